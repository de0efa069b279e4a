//! `inspect` shows any file of ours, and the SUIT envelopes of others.

use serde_json::Value;
use suit_manifest::author::UpdateDescription;

use super::workshop::{VENDOR, Workshop, split};

/// The words of a run that must succeed.
fn words(workshop: &Workshop, file: &str) -> String {
    let run = workshop.run(&["inspect", file]);
    assert_eq!(run.exit, 0, "{run:?}");
    run.stdout
}

#[test]
fn every_file_of_ours_is_shown() {
    let workshop = Workshop::with_release();
    workshop.ok(&split(
        "revoke --first --key root.pem --issuer root --credential release.cwt --minimum \
         demo-node=7 --vendor anchorage.example --out list.cwt",
    ));
    workshop.ok(&split(
        "provision --serial SN-1 --vendor anchorage.example --class demo-node --anchor \
         root.cose --out block.cbor",
    ));
    workshop.ok(&["key", "public", "root.cose", "--format", "spki", "--out", "root.spki"]);
    // A vector table: stack pointer, reset and a handler of a Cortex-M.
    let mut image = vec![0; 512];
    for (index, word) in [0x2000_4000u32, 0x0000_0101, 0x0000_0105].iter().enumerate() {
        image[4 * index..4 * index + 4].copy_from_slice(&word.to_le_bytes());
    }
    workshop.write("plausible.bin", &image);
    let root = workshop.ok(&["key", "public", "root.cose"])["kid"].clone();
    for (file, kind, (member, value)) in [
        ("signed.suit", "envelope", ("sequence", Value::from(2))),
        ("unsigned.suit", "envelope", ("signed", false.into())),
        ("release.cwt", "credential", ("issuer_kid", root.clone())),
        ("list.cwt", "revocation-list", ("issuer_kid", root.clone())),
        ("block.cbor", "provisioning-block", ("serial", "SN-1".into())),
        ("root.cose", "public-key", ("kid", root.clone())),
        ("root.spki", "public-key", ("kid", root.clone())),
        ("plausible.bin", "image", ("reset_vector", 0x101.into())),
    ] {
        let shown = workshop.ok(&["inspect", file]);
        assert_eq!((&shown["kind"], &shown[member]), (&kind.into(), &value), "{file}: {shown}");
        assert_eq!((&shown["verified"], &shown["refusal"]), (&false.into(), &Value::Null), "{file}");
        assert_eq!(shown["bytes"], workshop.read(file).len());
        assert!(words(&workshop, file).contains("NOT verified here"), "{file}");
    }
    let list = words(&workshop, "list.cwt");
    assert!(list.contains("sequence 7 for class c4e767d0-390b-5fbe-81a6-281e47b8b657"), "{list}");
    let block = words(&workshop, "block.cbor");
    assert!(block.contains("firmware, governance, succession, boot"), "{block}");
}

#[test]
fn what_is_no_file_of_ours_is_named_as_such() {
    let workshop = Workshop::new();
    workshop.key("root");
    for (content, expected) in [
        (&b"a word"[..], ("file-unknown", 5)),
        (b"", ("file-unknown", 5)),
        (b"\x7fELF", ("file-unknown", 5)),
        (b"\xd8\x6b\xa1", ("manifest-malformed", 5)),
        (b"\xd8\x3d\xd2\x84", ("record-malformed", 5)),
        (b"\xa6\x00\x01\x01", ("provisioning-malformed", 5)),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", ("key-invalid", 4)),
        (&workshop.read("root.pem"), ("key-invalid", 4)),
    ] {
        workshop.write("file", content);
        let (code, exit) = workshop.refused(&["inspect", "file"]);
        assert_eq!((code.as_str(), exit), expected, "{:?}", String::from_utf8_lossy(content));
    }
}

/// Everything under the signature is shown, commands and parameters too.
#[test]
fn an_envelope_is_shown_down_to_its_commands() {
    let workshop = Workshop::with_release();
    let shown = words(&workshop, "signed.suit");
    for line in [
        "condition vendor-identifier (1): 15",
        "vendor-id (1): 98d315fc-4e56-530f-824f-d6164a8b8093",
        "image-size (14): 5000",
        "component 0: \"app\"",
        "protected alg (1): Ed25519 (-19)",
        "update-description (2): \"More of everything\"",
        "98d315fc-4e56-530f-824f-d6164a8b8093 (anchorage.example)",
        "c4e767d0-390b-5fbe-81a6-281e47b8b657 (demo-node)",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let actions = shown.lines().find(|line| line.starts_with("actions")).unwrap();
    assert!(actions.ends_with(" any"), "{actions}");
}

/// Commands that their manifest did not name are never shown without a word, whatever else a device would refuse.
#[test]
fn suit32_a_severed_member_of_another_digest_is_named() {
    let workshop = Workshop::with_release();
    let signed = workshop.read("signed.suit");
    let sound = workshop.ok(&["inspect", "signed.suit"]);
    assert!(sound["fault"].is_null() && sound["refusal"].is_null(), "{sound}");
    let text = b"More of everything";
    let at = signed.windows(text.len()).position(|window| window == text).unwrap();
    let mut changed = signed;
    changed[at] ^= 1;
    workshop.write("changed.suit", &changed);
    let shown = workshop.ok(&["inspect", "changed.suit"]);
    assert_eq!(shown["fault"]["code"], "member-digest-mismatch", "{shown}");
    assert_eq!(shown["fault"]["rule"], "suit-manifest-37 section 8.4.12", "{shown}");
    let shown = words(&workshop, "changed.suit");
    assert!(shown.contains("NOT AS SUIT ASKS"), "{shown}");
}

/// A typo in a name makes another id: the name stands beside it wherever the command line gave it.
#[test]
fn names_are_echoed_beside_their_ids() {
    let workshop = Workshop::new();
    workshop.key("root");
    workshop.key("release");
    let shown = workshop.credential("root", "release", &["--class", "demo-node"]);
    assert_eq!(shown["vendor_domain"], VENDOR);
    assert_eq!(shown["class_names"], Value::from(vec!["demo-node"]));
    let issue = "credential issue --key root.pem --for release.cose --role release --vendor anchorage.exampel --class \
                 demo-nod --issuer i --subject s --out typo.cwt";
    let run = workshop.run(&issue.split_whitespace().collect::<Vec<_>>());
    assert!(run.stdout.contains("(anchorage.exampel)") && run.stdout.contains("(demo-nod)"), "{run:?}");
}

/// A text is free to name anything: it must not pass for the vendor or class that the ids name.
#[test]
fn a_name_that_does_not_make_its_id_is_shown_as_such() {
    let workshop = Workshop::new();
    let update = UpdateDescription {
        target: suit_manifest::Target::Firmware,
        table: None,
        vendor: [1; 16],
        class: [2; 16],
        device: None,
        sequence: 1,
        version: "1".into(),
        image_digest: [3; 32],
        image_size: 8,
        uri: "x".into(),
        encryption: None,
        second_slot: None,
        vendor_domain: Some(VENDOR.into()),
        model: Some("demo-node".into()),
        description: None,
    };
    workshop.write("u.suit", &suit_manifest::author::create(&update).unwrap());
    let shown = words(&workshop, "u.suit");
    for line in [
        "01010101-0101-0101-0101-010101010101, NOT the id of anchorage.example",
        "02020202-0202-0202-0202-020202020202, NOT the id of demo-node",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

/// Exact, and nothing else on standard output: other programs make the file of it again.
#[test]
fn suit38_the_notation_of_a_file_is_all_that_is_printed() {
    let workshop = Workshop::with_release();
    for (file, begin) in
        [("signed.suit", "107({\n  2: <<["), ("release.cwt", "61("), ("root.cose", "{\n  1: 1,")]
    {
        let shown = workshop.run(&["inspect", "--edn", file]);
        assert!(shown.exit == 0 && shown.stdout.starts_with(begin), "{file}: {shown:?}");
        let object = workshop.ok(&["inspect", "--edn", file]);
        assert_eq!(object["edn"], shown.stdout.trim_end(), "{file}");
    }
    // What is no file of ours, and what another command shows.
    for (content, notation) in [(&b"\x82\x01\x02"[..], "[\n  1,\n  2\n]"), (b"\xa1\x01\x02", "{\n  1: 2\n}")]
    {
        workshop.write("any", content);
        let shown = workshop.ok(&["inspect", "--edn", "any"]);
        assert_eq!((&shown["edn"], &shown["kind"]), (&notation.into(), &"cbor".into()), "{shown}");
        assert_eq!(workshop.refused(&["inspect", "any"]), ("file-unknown".into(), 5));
    }
    workshop.write("any", &[&[0x81; 70][..], &[0]].concat());
    assert_eq!(workshop.refused(&["inspect", "--edn", "any"]), ("no-notation".into(), 5));
    // Not CBOR; a longer head than needed.
    workshop.write("long.suit", b"\xd8\x6b\xb8\x00");
    workshop.ok(&["key", "public", "root.cose", "--format", "spki", "--out", "root.spki"]);
    for file in ["root.spki", "long.suit"] {
        assert_eq!(workshop.refused(&["inspect", "--edn", file]), ("no-notation".into(), 5), "{file}");
    }
    assert_eq!(workshop.refused(&["inspect", "--edn", "root.pem"]), ("key-invalid".into(), 4));
}

/// One reader: what it does not take is shown as plain CBOR, with a word about it.
#[test]
fn what_is_not_read_as_suit_is_shown_as_it_stands() {
    let workshop = Workshop::new();
    // Tag 107 around {3: h'a10202'}: no wrapper.
    workshop.write("torso.suit", b"\xd8\x6b\xa1\x03\x43\xa1\x02\x02");
    let shown = words(&workshop, "torso.suit");
    for line in ["SUIT envelope (tag 107), NOT readable as such", "NOT AS SUIT ASKS", "wrapped", "2: 2"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}
