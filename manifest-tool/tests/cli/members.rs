//! Members of an envelope that come and go: `sever`, `integrate`, `extract`, and `create --integrated`.

use std::collections::BTreeMap;

use minicbor::{Decoder, Encoder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use suit_manifest::author::integrate;
use suit_manifest::author::tree::{EnvelopeTree, MemberKey};

use super::workshop::{TWO_SLOTS, Workshop, split};

const INTEGRATED: &str = "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 3 --version 3 \
    --integrated --out unsigned.suit --image-out image.bin --force";

/// A signed release whose manifest fetches `#image`: `integrated.suit`.
pub(super) fn with_integrated() -> Workshop {
    let workshop = Workshop::with_release();
    let created = workshop.ok(&split(INTEGRATED));
    assert_eq!(created["image"]["uri"], "#image");
    workshop.sign("release", "integrated.suit");
    workshop
}

#[test]
fn suit36_a_severed_release_verifies_as_before() {
    let workshop = Workshop::with_release();
    let before = workshop.ok(&split("verify signed.suit --anchor root.cose --image image.bin"));
    let severed = workshop.ok(&split("sever signed.suit --out short.suit"));
    assert_eq!(severed["severed"], json!(["text"]));
    assert_eq!(severed["bytes"], workshop.read("short.suit").len());
    assert!(workshop.read("short.suit").len() < workshop.read("signed.suit").len());
    let after = workshop.ok(&split("verify short.suit --anchor root.cose --image image.bin"));
    assert_eq!(after["manifest_digest"], before["manifest_digest"]);
    assert_eq!((&after["version"], &before["version"]), (&Value::Null, &json!("2.0.0")));
    // By name it is the same, and there is nothing left then.
    workshop.ok(&split("sever signed.suit --member text --out same.suit"));
    assert_eq!(workshop.read("same.suit"), workshop.read("short.suit"));
    let nothing = workshop.ok(&split("sever short.suit --out again.suit"));
    assert_eq!(nothing["severed"], json!([]));
    assert_eq!(workshop.read("again.suit"), workshop.read("short.suit"));
    for (line, code) in [
        ("sever short.suit --member text --out no.suit", "member-absent"),
        ("sever signed.suit --member coswid --out no.suit", "member-absent"),
        ("sever signed.suit --member install --out no.suit", "member-in-manifest"),
        ("sever root.cose --out no.suit", "manifest-malformed"),
    ] {
        assert_eq!(workshop.refused(&split(line)), (code.into(), 5), "{line}");
    }
    assert_eq!(workshop.refused(&split("sever signed.suit --out signed.suit")), ("same-file".into(), 2));
    assert_eq!(workshop.refused(&split("sever signed.suit --out unsigned.suit")), ("file-exists".into(), 2));
    workshop.ok(&split("sever signed.suit --out unsigned.suit --force"));
}

/// A byte string around `content`.
pub(super) fn wrap(content: &[u8]) -> Vec<u8> {
    let mut wrapped = Vec::new();
    Encoder::new(&mut wrapped).bytes(content).unwrap();
    wrapped
}

/// SUIT_Digest over a member.
fn digest(member: &[u8]) -> Vec<u8> {
    [&[0x82, 0x2f, 0x58, 0x20][..], Sha256::digest(member).as_slice()].concat()
}

/// Values by their keys, each as it stands.
pub(super) type Entries = BTreeMap<u8, Vec<u8>>;

/// The unsigned envelope of another manifest: `change` has its elements, and the severed members.
pub(super) fn rebuilt(envelope: &[u8], change: impl FnOnce(&mut Entries, &mut Entries)) -> Vec<u8> {
    let tree = EnvelopeTree::read(envelope).unwrap();
    let members = tree.members.iter().filter_map(|member| match member.key {
        MemberKey::Element(element) => {
            Some((u8::try_from(element.number()).unwrap(), member.value.bytes.to_vec()))
        }
        MemberKey::Uri(_) => None,
    });
    let mut members: Entries = members.collect();
    let wrapped = members.remove(&3).unwrap();
    let manifest = Decoder::new(&wrapped).bytes().unwrap();
    let mut decoder = Decoder::new(manifest);
    let mut elements = Entries::new();
    for _ in 0..decoder.map().unwrap().unwrap() {
        let key = decoder.u8().unwrap();
        let start = decoder.position();
        decoder.skip().unwrap();
        elements.insert(key, manifest[start..decoder.position()].to_vec());
    }
    change(&mut elements, &mut members);
    let map = |entries: &Entries| {
        let mut map = vec![0xa0 | u8::try_from(entries.len()).unwrap()];
        for (key, value) in entries {
            // Below 24 a key is one byte.
            map.extend([&[*key][..], value].concat());
        }
        map
    };
    let manifest = wrap(&map(&elements));
    members.insert(2, wrap(&[vec![0x81], wrap(&digest(&manifest))].concat()));
    members.insert(3, manifest);
    [vec![0xd8, 0x6b], map(&members)].concat()
}

/// Its install sequence stands in the envelope, with its digest in the manifest.
fn with_install_severed(envelope: &[u8]) -> Vec<u8> {
    rebuilt(envelope, |manifest, members| {
        let install = manifest.remove(&20).unwrap();
        manifest.insert(20, digest(&install));
        members.insert(20, install);
    })
}

/// A sequence that a device needs may be severed too; then no device of ours takes the rest, and the tool says so.
#[test]
fn a_release_without_its_install_sequence_warns() {
    let workshop = Workshop::with_release();
    workshop.write("unsigned.suit", &with_install_severed(&workshop.read("unsigned.suit")));
    workshop.sign("release", "severed.suit");
    workshop.ok(&split("verify severed.suit --anchor root.cose"));
    let text = workshop.run(&split("sever severed.suit --member text --out text.suit"));
    assert!(text.exit == 0 && text.stderr.is_empty(), "{text:?}");
    let run = workshop.run(&split("--json sever severed.suit --out rest.suit"));
    assert_eq!(run.object()["severed"], json!(["install", "text"]));
    assert!(
        run.stderr.contains("our devices would refuse the result: A required command sequence"),
        "{run:?}"
    );
    assert_eq!(workshop.refused(&split("verify rest.suit --anchor root.cose")), ("member-severed".into(), 5));
}

/// The same where the image lies in the envelope, which our devices refuse as it is, and where a release is for others.
#[test]
fn suit47_no_release_is_severed_into_one_that_nobody_installs_without_a_word() {
    let workshop = with_integrated();
    let unsigned = workshop.read("unsigned.suit");
    workshop.write("unsigned.suit", &with_install_severed(&unsigned));
    workshop.sign("release", "severed.suit");
    workshop.ok(&split("integrate severed.suit --image image.bin --out bundle.suit"));
    let words = |line: &str| {
        let run = workshop.run(&split(line));
        assert_eq!(run.exit, 0, "{run:?}");
        run.stderr
    };
    assert_eq!(words("sever bundle.suit --member text --out text.suit"), "");
    let warning = words("sever bundle.suit --out rest.suit");
    assert!(
        warning.contains("our devices would refuse the result: A required command sequence"),
        "{warning}"
    );
    // The image is in both.
    for file in ["text.suit", "rest.suit"] {
        let tree = workshop.read(file);
        let tree = EnvelopeTree::read(&tree).unwrap();
        assert_eq!(tree.integrated("#image").unwrap().content.bytes, workshop.read("image.bin"), "{file}");
    }
    // set-version, which our devices refuse.
    let foreign = rebuilt(&with_install_severed(&unsigned), |manifest, _| {
        manifest.insert(6, wrap(&[0x82, 1, 2]));
    });
    workshop.write("foreign.suit", &foreign);
    assert_eq!(words("sever foreign.suit --member text --out foreign-text.suit"), "");
    let warning = words("sever foreign.suit --out foreign-rest.suit");
    assert!(
        warning.contains("without install: a device that has not run it yet cannot install"),
        "{warning}"
    );
}

/// The whole way: made, signed, put in, taken out, and what came out is what went in.
#[test]
fn suit36_an_image_is_integrated_and_extracted() {
    let workshop = with_integrated();
    let line = "integrate integrated.suit --image image.bin --out bundle.suit";
    let run = workshop.run(&[&["--json"], &split(line)[..]].concat());
    assert_eq!(run.exit, 0, "{run:?}");
    assert_eq!(run.stderr, "");
    let report = run.object();
    assert_eq!(report["integrated"][0]["uri"], "#image");
    assert_eq!(report["integrated"][0]["size"], 5000);
    assert_eq!(report["missing"], json!([]));
    // A device takes it without the image, and the image is compared.
    assert_eq!(workshop.ok(&split("verify bundle.suit --anchor root.cose"))["image_verified"], true);
    let mut changed = workshop.read("bundle.suit");
    let at = changed.windows(64).position(|window| window == &workshop.read("image.bin")[100..164]).unwrap();
    changed[at] ^= 1;
    workshop.write("changed.suit", &changed);
    let refused = workshop.refused(&split("verify changed.suit --anchor root.cose"));
    assert_eq!(refused, ("image-digest-mismatch".into(), 5));
    let shown = workshop.ok(&split("inspect bundle.suit"));
    assert_eq!(shown["fault"], Value::Null);
    assert_eq!(shown["refusal"]["code"], "integrated-payload-unsupported");

    let extracted = workshop.ok(&split("extract bundle.suit --image-out out.bin --out out.suit"));
    assert_eq!((&extracted["uri"], &extracted["image_matches"]), (&json!("#image"), &json!(true)));
    assert_eq!(workshop.read("out.bin"), workshop.read("image.bin"));
    assert_eq!(workshop.read("out.suit"), workshop.read("integrated.suit"));
    workshop.ok(&split("verify out.suit --anchor root.cose --image out.bin"));
    workshop.ok(&split("extract bundle.suit --uri #image --image-out out.bin --out out.suit"));
    // Severing leaves the image in.
    workshop.ok(&split("sever bundle.suit --out short.suit"));
    workshop.ok(&split("extract short.suit --image-out short.bin --out rest.suit"));
    assert_eq!(workshop.read("short.bin"), workshop.read("image.bin"));
}

/// Where the image is, is signed: an envelope that fetches it from elsewhere takes none.
#[test]
fn suit36_only_a_signed_uri_leads_into_the_envelope() {
    let workshop = Workshop::with_release();
    let refused = workshop.refused(&split("integrate signed.suit --image image.bin --out bundle.suit"));
    assert_eq!(refused, ("uri-not-integrated".into(), 5));
}

/// Bytes of another image are neither put in nor taken out as that of the manifest.
#[test]
fn suit36_another_image_is_neither_integrated_nor_extracted() {
    let workshop = with_integrated();
    let mut other = workshop.read("image.bin");
    other[100] ^= 1;
    workshop.write("other.bin", &other);
    let line = "integrate integrated.suit --image other.bin --out bundle.suit";
    assert_eq!(workshop.refused(&split(line)), ("image-digest-mismatch".into(), 5));
    workshop
        .write("bundle.suit", &integrate(&workshop.read("integrated.suit"), &[("#image", &other)]).unwrap());
    let extract = split("extract bundle.suit --image-out out.bin --out out.suit");
    assert_eq!(workshop.refused(&extract), ("image-digest-mismatch".into(), 5));
    // A payload that no manifest names is taken out, with a word about it.
    workshop.write("bundle.suit", &integrate(&workshop.read("integrated.suit"), &[("#x", &other)]).unwrap());
    let run = workshop.run(&[&["--json"], &extract[..]].concat());
    assert_eq!((run.exit, &run.object()["image_matches"]), (0, &json!(false)), "{run:?}");
    assert!(run.stderr.contains("not compared with a digest"), "{run:?}");
    assert_eq!(workshop.read("out.bin"), other);
    // Nothing is verified of a file that has what nobody signed, be it beside the right image.
    let image = workshop.read("image.bin");
    let beside: [(&str, &[u8]); 2] = [("#image", &image), ("#x", &other)];
    workshop.write("beside.suit", &integrate(&workshop.read("integrated.suit"), &beside).unwrap());
    for line in ["bundle.suit --anchor root.cose", "bundle.suit --anchor root.cose --image image.bin"] {
        let lines = [line.to_owned(), line.replace("bundle", "beside")];
        for line in lines.map(|line| format!("verify {line}")) {
            assert_eq!(workshop.refused(&split(&line)), ("member-not-fetched".into(), 5), "{line}");
        }
    }
}

#[test]
fn each_slot_has_its_own_integrated_image() {
    let workshop = Workshop::with_release();
    workshop.two_slots();
    workshop.ok(&split(&format!("{TWO_SLOTS} --second-image-out image2.bin --integrated")));
    workshop.sign("release", "both.suit");
    let one = workshop.ok(&split("integrate both.suit --image image2.bin --out one.suit"));
    assert_eq!((&one["integrated"][0]["uri"], &one["missing"]), (&json!("#image-1"), &json!(["#image"])));
    workshop.ok(&split("integrate one.suit --image image.bin --out bundle.suit"));
    workshop.ok(&split("integrate both.suit --image image.bin --image image2.bin --out same.suit"));
    assert_eq!(workshop.read("same.suit"), workshop.read("bundle.suit"));
    for (line, code) in [
        ("integrate one.suit --image image2.bin --out no.suit", "member-exists"),
        ("integrate both.suit --image image.bin --image image.bin --out no.suit", "member-exists"),
        ("extract bundle.suit --image-out i --out no.suit", "member-ambiguous"),
        ("extract bundle.suit --uri #image-2 --image-out i --out no.suit", "member-absent"),
        ("extract both.suit --image-out i --out no.suit", "member-absent"),
    ] {
        assert_eq!(workshop.refused(&split(line)), (code.into(), 5), "{line}");
    }
    workshop.ok(&split("extract bundle.suit --uri #image-1 --image-out i2.bin --out rest.suit"));
    assert_eq!(workshop.read("i2.bin"), workshop.read("image2.bin"));
    workshop.ok(&split("extract rest.suit --image-out i.bin --out none.suit"));
    assert_eq!(workshop.read("none.suit"), workshop.read("both.suit"));
}

/// Who trusts a key alone is told as much of what is in the envelope as who has an anchor.
#[test]
fn suit36_keys_alone_compare_what_is_in_the_envelope() {
    let workshop = with_integrated();
    let other = changed(&workshop, "image.bin");
    let release = workshop.read("integrated.suit");
    workshop.write("bundle.suit", &integrate(&release, &[("#image", &workshop.read("image.bin"))]).unwrap());
    workshop.write("changed.suit", &integrate(&release, &[("#image", &other)]).unwrap());
    let bare = |given: &str| format!("verify {given} --public-key release.cose");
    let verified = workshop.ok(&split(&bare("bundle.suit")));
    assert_eq!(verified["image_verified"], true, "{verified}");
    assert_eq!(verified["not_checked"], json!(["credential", "scope", "revocation", "device"]));
    assert_eq!(workshop.ok(&split(&bare("integrated.suit")))["image_verified"], false);
    // A file beside it stands in for nothing, and neither does what is in the envelope for the file.
    workshop.ok(&split(&bare("bundle.suit --image image.bin")));
    for given in ["changed.suit", "changed.suit --image image.bin", "bundle.suit --image changed"] {
        let refused = workshop.refused(&split(&bare(given)));
        assert_eq!(refused, ("image-digest-mismatch".into(), 5), "{given}");
    }
    // What no manifest names is not compared.
    workshop.write("changed.suit", &integrate(&release, &[("#x", &other)]).unwrap());
    let verified = workshop.ok(&split(&bare("changed.suit --image image.bin")));
    assert_eq!(verified["image_component"], "\"app\"");
    assert_eq!(verified["members_not_compared"], json!(["#x"]));
    assert_eq!(verified["not_checked"].as_array().unwrap().last(), Some(&json!("members")));
    assert!(workshop.run(&split(&bare("changed.suit"))).stdout.contains("member \"#x\""));
    assert_eq!(workshop.ok(&split(&bare("changed.suit")))["image_verified"], false);
    // Each slot has its own.
    workshop.two_slots();
    workshop.ok(&split(&format!("{TWO_SLOTS} --second-image-out image2.bin --integrated")));
    workshop.sign("release", "both.suit");
    let images = ["image.bin", "image2.bin"].map(|name| workshop.read(name));
    for (uris, passes) in [(["#image", "#image-1"], true), (["#image-1", "#image"], false)] {
        let members = [(uris[0], images[0].as_slice()), (uris[1], images[1].as_slice())];
        workshop.write("two.suit", &integrate(&workshop.read("both.suit"), &members).unwrap());
        assert_eq!(workshop.run(&split(&bare("two.suit"))).exit == 0, passes, "{uris:?}");
    }
}

/// The same of an envelope that no device of ours runs: its manifest says which component is fetched from where.
#[test]
fn suit36_keys_alone_compare_what_is_in_the_envelope_of_another_tool() {
    let workshop = Workshop::with_release();
    let (first, second) = (workshop.read("image.bin"), changed(&workshop, "image.bin"));
    let component = |index: u8, content: &[u8], uri: &str| {
        let digest = hex::encode(Sha256::digest(content));
        format!(
            "{{ set-component-index = {index} }}, {{ override-parameters = {{ \
             image-digest = {{ sha-256 = \"{digest}\" }}, image-size = {}, uri = \"{uri}\" }} }}, \
             \"fetch\", \"image-match\"",
            content.len()
        )
    };
    let encrypt =
        "encrypt --image image.bin --public-key reader.pub --info-out i.info --ciphertext-out i.enc";
    super::openssl::openssl(&workshop, "genpkey -algorithm X25519 -out reader.pem");
    super::openssl::openssl(&workshop, "pkey -in reader.pem -pubout -out reader.pub");
    workshop.ok(&split(encrypt));
    // It has no digest of what it fetches here, but one of what it installs.
    let decrypted =
        component(2, &first, "#secret").replace("uri =", "encryption-info = { file = \"i.info\" }, uri =");
    let description = format!(
        "format = 1\nsequence-number = 1\ncomponents = [[{{ hex = \"00\" }}], [\"table\"], [\"app\"]]\n[sequences]\n\
         install = [{}, {}, {decrypted}]\n",
        component(0, &first, "#first"),
        component(1, &second, "#second")
    );
    workshop.write("d.toml", description.as_bytes());
    workshop.ok(&split("compose d.toml --out e.suit"));
    workshop.ok(&split("sign e.suit --key release.pem --no-credential --out theirs.suit"));
    let verify = |members: &[(&str, &[u8])]| {
        workshop.write("one.suit", &integrate(&workshop.read("theirs.suit"), members).unwrap());
        let run = workshop.run(&split("verify one.suit --public-key release.cose --json"));
        (run.exit, run.object())
    };
    let (exit, verified) = verify(&[("#first", &first), ("#second", &second)]);
    assert_eq!(exit, 0, "{verified}");
    assert_eq!((&verified["image_verified"], &verified["table_verified"]), (&json!(true), &json!(true)));
    let (_, verified) = verify(&[("#first", &first), ("#third", &first)]);
    assert_eq!((&verified["image_verified"], &verified["table_verified"]), (&json!(true), &json!(false)));
    let (_, verified) = verify(&[("#second", &second)]);
    assert_eq!((&verified["image_verified"], &verified["table_verified"]), (&json!(false), &json!(true)));
    let (_, verified) = verify(&[("#secret", &workshop.read("i.enc"))]);
    assert_eq!((&verified["image_verified"], &verified["table_verified"]), (&json!(false), &json!(false)));
    assert_eq!(verified["members_not_compared"], json!(["#secret"]));
    // One stands in for the other as little as a changed one.
    for members in [[("#first", &second), ("#second", &second)], [("#first", &first), ("#second", &first)]] {
        let members = members.map(|(uri, content)| (uri, content.as_slice()));
        let (exit, refused) = verify(&members);
        assert_eq!((exit, &refused["error"]["code"]), (5, &json!("image-digest-mismatch")), "{refused}");
    }
}

/// A file with one bit of it changed, which is `changed` too.
fn changed(workshop: &Workshop, name: &str) -> Vec<u8> {
    let mut bytes = workshop.read(name);
    bytes[100] ^= 1;
    workshop.write("changed", &bytes);
    bytes
}

#[test]
fn an_unsigned_envelope_with_an_image_warns() {
    let workshop = with_integrated();
    let run = workshop.run(&split("integrate unsigned.suit --image image.bin --out bundle.suit"));
    assert!(run.exit == 0 && run.stderr.contains("sign first"), "{run:?}");
    let line = "sign bundle.suit --key release.pem --credential release.cwt --out no.suit";
    assert_eq!(workshop.refused(&split(line)), ("integrated-payload-unsupported".into(), 5));
}
