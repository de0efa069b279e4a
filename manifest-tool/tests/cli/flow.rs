//! The whole way: keys, credential, image, signature, verification, provisioning.

use serde_json::json;

use super::workshop::{CLASS, TWO_SLOTS, VENDOR, Workshop, finish, firmware, split};

/// Intel HEX of firmware that is linked at this address; `len` bytes, a multiple of 16.
fn intel_hex(address: u32, len: u32) -> Vec<u8> {
    let vectors = [0x2001_0000, address + 0x41, 0, 0].into_iter().flat_map(u32::to_le_bytes);
    let bytes: Vec<u8> = vectors.chain(std::iter::repeat(0x5A)).take(len as usize).collect();
    let mut records = Vec::new();
    for (at, data) in (address..).step_by(16).zip(bytes.chunks(16)) {
        records.push(ihex::Record::ExtendedLinearAddress((at >> 16) as u16));
        records.push(ihex::Record::Data { offset: (at & 0xFFFF) as u16, value: data.to_vec() });
    }
    records.push(ihex::Record::EndOfFile);
    ihex::create_object_file_representation(&records).unwrap().into_bytes()
}

/// Two images of one release lie in two slots: their addresses do not overlap.
#[test]
fn images_for_two_slots_share_no_address() {
    let workshop = Workshop::with_release();
    let create = |first: (u32, u32), second: (u32, u32)| {
        workshop.write("first.hex", &intel_hex(first.0, first.1));
        workshop.write("second.hex", &intel_hex(second.0, second.1));
        let line = TWO_SLOTS.replace("firmware.bin", "first.hex").replace("second.bin", "second.hex");
        workshop.run(&split(&format!("--json {line} --second-image-out image2.bin")))
    };
    let first = (0x0800_8000, 1024);
    for second in [
        // One address, with other lengths and so other bytes.
        (0x0800_8000, 1024 - 16),
        (0x0800_8000, 1024 + 16),
        // The last bytes of the first one, its first bytes, all of it.
        (0x0800_8400 - 256, 1024),
        (0x0800_8000 - 1024 + 256, 1024),
        (0x0800_8000 - 256, 2048),
        (0x0800_8100, 256),
    ] {
        for (one, other) in [(first, second), (second, first)] {
            let run = create(one, other);
            assert_eq!(run.refusal(), ("usage".into(), 2), "{one:x?} {other:x?}");
            assert!(run.object()["error"]["message"].as_str().unwrap().contains("overlap"), "{run:?}");
            assert!(!workshop.path("image2.bin").exists());
        }
    }
    // They may touch.
    for (one, other) in [(first, (0x0800_8400, 1024)), ((0x0800_8400, 1024), first)] {
        let run = create(one, other);
        assert_eq!((run.exit, &run.object()["second_image_address"]), (0, &json!(other.0)), "{run:?}");
    }
}

/// One release with an image for each slot: `verify` and `inspect` read back what `create` writes.
#[test]
fn a_release_for_two_slots() {
    let workshop = Workshop::with_release();
    let created = workshop.two_slots();
    let second = workshop.read("second.bin");
    assert_eq!(created["second_image_file"], "image2.bin");
    assert_eq!(workshop.read("image2.bin"), second);
    let (first, other) = (&created["image"]["sha256"], &created["second_image"]["sha256"]);
    assert!(first.is_string() && other.is_string() && first != other, "{created}");
    assert_eq!(workshop.ok(&["inspect", "two.suit"])["second_image"], created["second_image"]);
    for (slot, image, name) in [(0, "image.bin", "first"), (1, "image2.bin", "second")] {
        let verify = ["verify", "two.suit", "--anchor", "root.cose", "--image", image];
        let verified = workshop.ok(&verify);
        assert_eq!((&verified["image_verified"], &verified["second_image"]["sha256"]), (&json!(true), other));
        assert_eq!(verified["image_slot"], slot);
        let people = workshop.run(&verify).stdout;
        let row = people.lines().find(|line| line.starts_with("image matches")).unwrap();
        assert!(row.ends_with(&format!("yes ({name} slot)")), "{people}");
    }
    let one = workshop.ok(&["verify", "signed.suit", "--anchor", "root.cose", "--image", "image.bin"]);
    assert_eq!((&one["image_verified"], one.get("image_slot")), (&json!(true), None));
    let refused = workshop.refused(&["verify", "two.suit", "--anchor", "root.cose", "--image", "passphrase"]);
    assert_eq!(refused, ("image-digest-mismatch".into(), 5));

    // One file for both slots is linked for one of them.
    let same = TWO_SLOTS.replace("second.bin", "firmware.bin");
    let run = workshop.run(&split(&format!("--json {same} --second-image-out image3.bin")));
    assert_eq!(run.refusal(), ("usage".into(), 2));
    assert!(run.object()["error"]["message"].as_str().unwrap().contains("are equal"), "{run:?}");
    assert!(!workshop.path("image3.bin").exists());
}

#[test]
fn from_a_root_to_a_verified_release() {
    let workshop = Workshop::with_release();
    assert_eq!(workshop.read("image.bin"), firmware());
    let verified = workshop.ok(&split(
        "verify signed.suit --anchor root.cose --image image.bin --vendor anchorage.example \
         --class demo-node",
    ));
    assert_eq!(verified["verified"], true);
    assert_eq!(verified["image_verified"], true);
    assert_eq!(verified["sequence"], 2);
    assert_eq!(verified["version"], "2.0.0");
    assert_eq!(verified["description"], "More of everything");
    assert_eq!(verified["vendor_domain"], VENDOR);
    assert_eq!(verified["model"], CLASS);
    assert_eq!(verified["image"]["size"], 5000);
    assert_eq!(verified["credential"]["issuer"], "root");
    let people = workshop.run(&["verify", "signed.suit", "--anchor", "root.cose"]);
    assert_eq!(people.exit, 0);
    assert!(people.stdout.starts_with("verified       yes\nimage matches  not checked"), "{people:?}");
    assert_eq!(people.stderr, "");
}

#[test]
fn inspect_believes_nothing() {
    let workshop = Workshop::with_release();
    let signed = workshop.ok(&["inspect", "signed.suit"]);
    assert_eq!((&signed["verified"], &signed["signed"]), (&json!(false), &json!(true)));
    assert_eq!(signed["credential"]["subject"], "release");
    let unsigned = workshop.ok(&["inspect", "unsigned.suit"]);
    assert_eq!((&unsigned["signed"], &unsigned["credential"]), (&json!(false), &json!(null)));
    assert_eq!(unsigned["manifest_digest"], signed["manifest_digest"]);
}

#[test]
fn credentials_are_inspected() {
    let workshop = Workshop::with_release();
    workshop.key("other");
    let shown = workshop.ok(&["credential", "inspect", "release.cwt"]);
    assert_eq!((&shown["verified"], &shown["role"]), (&json!(false), &json!("release")));
    let shown = workshop.ok(&["credential", "inspect", "release.cwt", "--anchor", "root.cose"]);
    assert_eq!(shown["verified"], true);
    let refusal = workshop.refused(&["credential", "inspect", "release.cwt", "--anchor", "other.cose"]);
    assert_eq!(refusal, ("anchor-unknown".into(), 5));
}

#[test]
fn a_release_is_refused_for_its_reason() {
    let workshop = Workshop::with_release();
    workshop.key("other");
    let mut damaged = firmware();
    damaged[4999] ^= 1;
    workshop.write("damaged.bin", &damaged);
    workshop.write("longer.bin", &[firmware(), vec![0]].concat());
    for (arguments, code, exit) in [
        (&["verify", "unsigned.suit", "--anchor", "root.cose"][..], "signature-missing", 5),
        (&["verify", "signed.suit", "--anchor", "other.cose"], "anchor-unknown", 5),
        (
            &["verify", "signed.suit", "--anchor", "root.cose", "--image", "damaged.bin"],
            "image-digest-mismatch",
            5,
        ),
        (
            &["verify", "signed.suit", "--anchor", "root.cose", "--image", "longer.bin"],
            "image-digest-mismatch",
            5,
        ),
        (
            &[
                "verify",
                "signed.suit",
                "--anchor",
                "root.cose",
                "--vendor",
                "other.example",
                "--class",
                CLASS,
            ],
            "vendor-mismatch",
            5,
        ),
        (
            &["verify", "signed.suit", "--anchor", "root.cose", "--vendor", VENDOR, "--class", "other"],
            "class-mismatch",
            5,
        ),
        (
            &["verify", "signed.suit", "--anchor", "root.cose", "--sequence-floor", "3"],
            "sequence-rollback",
            6,
        ),
        (&["verify", "image.bin", "--anchor", "root.cose"], "manifest-malformed", 5),
        (&["verify", "signed.suit", "--anchor", "release.pem"], "key-invalid", 4),
        (&["verify", "missing.suit", "--anchor", "root.cose"], "file-read", 3),
    ] {
        assert_eq!(workshop.refused(arguments), (code.into(), exit), "{arguments:?}");
    }
    workshop.ok(&split("verify signed.suit --anchor root.cose --anchor other.cose --sequence-floor 2"));
}

#[test]
fn a_credential_has_its_time() {
    let workshop = Workshop::with_release();
    workshop.key("timed");
    workshop.credential(
        "root",
        "timed",
        &["--not-before", "2030-01-01T00:00:00Z", "--expires", "2031-01-01T00:00:00Z"],
    );
    let signing =
        workshop.run(&split("sign unsigned.suit --key timed.pem --credential timed.cwt --out timed.suit"));
    assert_eq!(signing.exit, 0, "{signing:?}");
    assert!(signing.stderr.contains("not valid yet"), "{signing:?}");
    let at = |time| ["verify", "timed.suit", "--anchor", "root.cose", "--now", time];
    assert_eq!(workshop.refused(&at("2029-12-31T23:59:59Z")), ("credential-not-yet-valid".into(), 6));
    workshop.ok(&at("2030-06-01T00:00:00Z"));
    assert_eq!(workshop.refused(&at("2031-01-01T00:00:00Z")), ("credential-expired".into(), 6));
    let refusal = workshop.refused(&split(
        "credential issue --key root.pem --for timed.cose --role release --vendor \
         anchorage.example --issuer root --subject s --not-before 2101-01-01T00:00:00Z \
         --expires 2100-01-01T00:00:00Z --out never.cwt",
    ));
    assert_eq!(refusal, ("usage".into(), 2));
}

/// `20270101` as seconds was 1970, and the credential was worth nothing from the start.
#[test]
fn an_expiry_is_a_time_that_lies_ahead() {
    let workshop = Workshop::new();
    workshop.key("root");
    workshop.key("release");
    let issue = |time: &str| {
        let arguments = "credential issue --key root.pem --for release.cose --role release --vendor example.com \
                         --issuer i --subject s --out release.cwt --expires";
        workshop.refused(&arguments.split_whitespace().chain([time]).collect::<Vec<_>>())
    };
    for time in ["20270101", "4102444800", "2100-01-01", "2020-01-01T00:00:00Z", "1970-08-23T14:41:41Z"] {
        assert_eq!(issue(time), ("usage".into(), 2), "{time}");
    }
    workshop.credential("root", "release", &["--expires", "2100-01-01T00:00:00Z"]);
}

/// A class by name and by its UUID is one class: the scope has eight places.
#[test]
fn what_a_scope_names_twice_is_in_it_once() {
    let workshop = Workshop::with_release();
    let by_name = workshop.credential("root", "release", &["--class", CLASS, "--force"]);
    let id = by_name["classes"][0].as_str().unwrap();
    let both = ["--class", CLASS, "--class", id, "--class", CLASS, "--force"];
    assert_eq!(workshop.credential("root", "release", &both)["classes"], by_name["classes"]);
    let serials = ["--role", "identity", "--serial", "S-1", "--serial", "S-2", "--serial", "S-1", "--force"];
    let issued = workshop.credential("root", "release", &serials);
    assert_eq!(issued["serials"], serde_json::json!(["S-1", "S-2"]));
}

#[test]
fn a_scope_and_a_role_bind_the_signer() {
    let workshop = Workshop::with_release();
    for (name, more, code) in [
        ("narrow", &["--class", "another-class"][..], "scope-class"),
        ("service", &["--role", "service"], "role-mismatch"),
    ] {
        workshop.key(name);
        workshop.credential("root", name, more);
        let (key, credential) = (format!("{name}.pem"), format!("{name}.cwt"));
        let arguments =
            ["sign", "unsigned.suit", "--key", &key, "--credential", &credential, "--out", "no.suit"];
        assert_eq!(workshop.refused(&arguments), (code.into(), 6), "{name}");
    }
    let refusal =
        workshop.refused(&split("sign unsigned.suit --key root.pem --credential release.cwt --out x.suit"));
    assert_eq!(refusal, ("key-mismatch".into(), 5));
}

#[test]
fn a_release_for_one_device() {
    let workshop = Workshop::with_release();
    workshop.ok(&split(
        "create --image firmware.bin --vendor anchorage.example --class demo-node --serial \
         A-1 --sequence 3 --version 3 --out unsigned.suit --image-out image.bin --force",
    ));
    workshop.sign("release", "one.suit");
    let verify = |more: &[&'static str]| {
        [&["verify", "one.suit", "--anchor", "root.cose", "--vendor", VENDOR, "--class", CLASS], more]
            .concat()
    };
    workshop.ok(&verify(&[]));
    workshop.ok(&verify(&["--serial", "A-1"]));
    assert_eq!(workshop.refused(&verify(&["--serial", "A-2"])), ("device-mismatch".into(), 5));
}

#[test]
fn a_device_is_provisioned() {
    let workshop = Workshop::new();
    workshop.key("root");
    let block = workshop.ok(&split(
        "provision --serial DEMO-0001 --vendor anchorage.example --class demo-node --anchor \
         root.cose --anchor root.cose --out block",
    ));
    assert_eq!(block["vendor"], "98d315fc-4e56-530f-824f-d6164a8b8093");
    assert_eq!(block["class"], "c4e767d0-390b-5fbe-81a6-281e47b8b657");
    assert_eq!(block["device"], "9adf253f-dc53-53f5-8b40-e4b1795add77");
    assert_eq!((&block["node_address"], &block["anchors"].as_array().unwrap().len()), (&json!(16), &1));
    let bytes = workshop.read("block");
    assert_eq!(&bytes[..7], b"\xa7\x00\x01\x01\x69DE");
    let (root, block) = (workshop.read("root.cose"), workshop.ok(&["inspect", "block"]));
    assert!(bytes.windows(root.len()).any(|window| window == root));
    assert_eq!(block["anchors"][0]["rights"], "firmware, governance, succession, boot");

    for index in 1..5 {
        workshop.key(&format!("root{index}"));
    }
    let refusal = workshop.refused(&split(
        "provision --serial A --vendor anchorage.example --class demo-node --anchor root.cose \
         --anchor root1.cose --anchor root2.cose --anchor root3.cose --anchor root4.cose \
         --out many",
    ));
    assert_eq!(refusal, ("usage".into(), 2));
}

#[test]
fn signing_again_replaces_the_signature() {
    let workshop = Workshop::with_release();
    workshop.key("next");
    workshop.credential("root", "next", &[]);
    workshop.ok(&split("sign signed.suit --key next.pem --credential next.cwt --out again.suit"));
    let verified = workshop.ok(&["verify", "again.suit", "--anchor", "root.cose"]);
    assert_eq!(verified["credential"]["subject"], "next");
    assert_eq!(verified["manifest_digest"], workshop.ok(&["inspect", "signed.suit"])["manifest_digest"]);
}

/// Such a clock finds no credential expired.
#[test]
fn a_clock_before_the_credential_was_issued_gives_a_warning() {
    let workshop = Workshop::with_release();
    let verify = ["verify", "signed.suit", "--anchor", "root.cose"];
    assert_eq!(workshop.run(&verify).stderr, "");
    let run = workshop.run(&[&verify[..], &["--now", "1970-01-01T00:00:00Z"]].concat());
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(run.stderr.contains("set the clock"), "{run:?}");
}

/// The file that was given is the image; of all other input the image is written, or nothing.
#[test]
fn a_binary_is_its_own_image() {
    let workshop = Workshop::with_release();
    let create =
        "create --vendor anchorage.example --class demo-node --sequence 4 --version 4 --out own.suit";
    let created = workshop.ok(&split(&format!("{create} --image firmware.bin")));
    assert_eq!(created["image_file"], "firmware.bin");
    workshop.ok(&split("sign own.suit --key release.pem --credential release.cwt --out own.signed.suit"));
    let verify = "verify own.signed.suit --anchor root.cose --image firmware.bin";
    assert_eq!(workshop.ok(&split(verify))["image_verified"], true);

    let mut other = workshop.read("firmware.bin");
    other[300] ^= 1;
    workshop.write("second.bin", &other);
    let two = format!("{create} --image firmware.bin --second-image second.bin --force");
    let created = workshop.ok(&split(&two));
    assert_eq!(
        (&created["image_file"], &created["second_image_file"]),
        (&json!("firmware.bin"), &json!("second.bin"))
    );

    workshop.write("app.hex", &intel_hex(0x0800_8000, 1024));
    for (image, why) in
        [("app.hex", "which is Intel HEX; pass --image-out"), ("-", "it is in no file; pass --image-out")]
    {
        let mut command = workshop.command(&split(&format!("{create} --force --image {image}")));
        command.stdin(std::fs::File::open(workshop.path("firmware.bin")).unwrap());
        let run = finish(command);
        assert!(run.exit == 2 && run.stderr.contains(why), "{run:?}");
    }
    let line = format!("{create} --image <(cat firmware.bin)");
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &format!("\"$0\" {line} --force")]).arg(workshop.command(&[]).get_program());
    command.current_dir(workshop.path("."));
    let run = finish(command);
    assert!(run.exit == 2 && run.stderr.contains("it is in no file"), "{run:?}");
    let mut table = workshop.command(&split(&format!("{create} --force --table -")));
    table.stdin(std::fs::File::open(workshop.path("firmware.bin")).unwrap());
    let run = finish(table);
    assert!(run.exit == 2 && run.stderr.contains("the table of - is in no file"), "{run:?}");
    let hex = "--second-image app.hex --force --image firmware.bin";
    assert_eq!(workshop.refused(&split(&format!("{create} {hex}"))), ("usage".into(), 2));
}

/// Files that belong together are replaced in one turn.
#[test]
fn two_commands_replace_several_files_one_after_the_other() {
    let workshop = Workshop::with_release();
    let create = "create --vendor anchorage.example --class demo-node --sequence 4 --version 4 --out own.suit --force \
                  --image firmware.bin --image-out own.bin";
    workshop.write("own.bin", b"of another run");
    let folder = std::fs::File::open(workshop.path(".")).unwrap();
    folder.lock().unwrap();
    let mut waiting = workshop.command(&split(create)).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(waiting.try_wait().unwrap().is_none(), "it did not wait");
    assert_eq!(workshop.read("own.bin"), b"of another run");
    assert!(!workshop.path("own.suit").exists());
    drop(folder);
    assert!(waiting.wait().unwrap().success());
    assert_eq!(workshop.read("own.bin"), workshop.read("firmware.bin"));
}
