//! `lint`: each finding has an envelope that has it, and a release of ours has none.

use std::collections::BTreeSet;

use serde_json::Value;
use suit_manifest::author::{Command, Parameter, Sequences, UpdateDescription, compose, create, integrate};

use super::members::{rebuilt, wrap};
use super::openssl::openssl;
use super::workshop::{Workshop, split};

pub(super) fn update() -> UpdateDescription {
    UpdateDescription {
        table: None,
        target: suit_manifest::Target::Firmware,
        vendor: [1; 16],
        class: [2; 16],
        device: None,
        sequence: 1,
        version: "1.2".into(),
        image_digest: [3; 32],
        image_size: 5000,
        uri: "x".into(),
        encryption: None,
        second_slot: None,
        vendor_domain: None,
        model: None,
        description: None,
    }
}

/// The codes that are found in a file, which must be some.
fn found(workshop: &Workshop, arguments: &str) -> Vec<String> {
    let run = workshop.run(&[&["--json", "lint"], &split(arguments)[..]].concat());
    assert_eq!(run.exit, 6, "{arguments}: {run:?}");
    let findings = run.object()["findings"].as_array().unwrap().clone();
    // In words they are the same.
    let words = workshop.run(&[&["lint"], &split(arguments)[..]].concat());
    assert_eq!((words.exit, words.stdout.lines().count()), (6, findings.len()), "{words:?}");
    let codes = findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned());
    let codes: Vec<String> = codes.collect();
    assert!(
        words.stdout.lines().zip(&codes).all(|(line, code)| line.starts_with(&format!("{code}: "))),
        "{words:?}"
    );
    codes
}

fn found_in(workshop: &Workshop, envelope: &[u8]) -> Vec<String> {
    workshop.write("linted.suit", envelope);
    found(workshop, "linted.suit")
}

#[test]
fn a_release_of_ours_has_no_findings() {
    let workshop = Workshop::with_release();
    workshop.two_slots();
    workshop.ok(&split("sever signed.suit --out short.suit"));
    for file in ["signed.suit", "two.suit", "short.suit"] {
        let line = format!("lint {file} --slot-size 5000 --image image.bin --range 0x08000000..0x08002000");
        let clean = workshop.ok(&split(&line));
        assert_eq!(clean["findings"], Value::Array(vec![]), "{file}");
    }
    assert_eq!(workshop.run(&split("lint signed.suit")).stdout, "nothing was found\n");
}

/// The finding that each fault is, and no more.
#[test]
fn suit37_each_fault_of_an_envelope_is_found() {
    let workshop = Workshop::with_release();
    let plain = create(&update()).unwrap();
    let of = |change: fn(&mut Sequences)| {
        let mut sequences = Sequences::of(&update());
        change(&mut sequences);
        compose(&update(), &sequences).unwrap()
    };
    let elements =
        |key: u8, value: &[u8]| rebuilt(&plain, |manifest, _| drop(manifest.insert(key, value.to_vec())));
    let parameters = |wanted: fn(&Parameter) -> bool| {
        move |sequences: &mut Sequences| {
            let keep = |commands: &mut Vec<Command>| {
                for command in commands.iter_mut() {
                    if let Command::Override(parameters) = command {
                        parameters.retain(wanted);
                    }
                }
                commands.retain(
                    |command| !matches!(command, Command::Override(parameters) if parameters.is_empty()),
                );
            };
            keep(&mut sequences.shared);
            sequences.install.iter_mut().for_each(keep);
        }
    };
    let without = |wanted: fn(&Parameter) -> bool| {
        let mut sequences = Sequences::of(&update());
        parameters(wanted)(&mut sequences);
        compose(&update(), &sequences).unwrap()
    };
    let unmatched = of(|sequences| {
        for commands in sequences.install.iter_mut().chain(&mut sequences.validate) {
            commands.retain(|command| *command != Command::ImageMatch);
            commands.push(Command::CheckVendor);
        }
    });
    let mut bad_text = vec![0xa1, 0x61, b'1', 0xa0];
    bad_text = wrap(&bad_text);
    let huge = UpdateDescription { image_size: 64 * 1024 * 1024 + 17, ..update() };
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("as made", plain.clone(), &["unsigned"]),
        ("64 MiB, a tag and a byte", create(&huge).unwrap(), &["unsigned", "too-long"]),
        (
            "a URI",
            without(|it| !matches!(it, Parameter::Uri(_))),
            &["device-refuses", "unsigned", "uri-missing"],
        ),
        (
            "a digest",
            without(|it| !matches!(it, Parameter::ImageDigest(_))),
            &["device-refuses", "unsigned", "digest-missing"],
        ),
        (
            "a size",
            without(|it| !matches!(it, Parameter::ImageSize(_))),
            &["device-refuses", "unsigned", "size-missing"],
        ),
        ("a match", unmatched, &["device-refuses", "unsigned", "image-unchecked"]),
        // [1, 2]: the version of the text; [1, 3]: another one; both are beyond a device.
        ("set-version", elements(6, &wrap(&[0x82, 1, 2])), &["device-refuses", "unsupported"]),
        (
            "another set-version",
            elements(6, &wrap(&[0x82, 1, 3])),
            &["device-refuses", "unsupported", "version-differs"],
        ),
        (
            "no text",
            rebuilt(&plain, |manifest, members| {
                manifest.remove(&23);
                members.remove(&23);
            }),
            &["unsigned", "version-missing"],
        ),
        (
            "a text of another form",
            rebuilt(&plain, |manifest, members| {
                members.remove(&23);
                manifest.insert(23, bad_text.clone());
            }),
            &["device-refuses", "unsigned", "text-malformed"],
        ),
        (
            "a load section",
            elements(8, &wrap(&[0x82, 18, 2])),
            &["device-refuses", "unsupported", "unsupported"],
        ),
        (
            "a custom command",
            elements(20, &wrap(&[0x82, 0x39, 0x01, 0x2b, 0])),
            &["device-refuses", "unsigned", "unsupported"],
        ),
        ("an image", integrate(&plain, &[("#x", b"no firmware")]).unwrap(), &["unsigned", "integrated"]),
        ("no envelope", workshop.read("root.cose"), &["not-suit"]),
    ];
    let mut seen = BTreeSet::new();
    for (what, envelope, expected) in cases {
        let mut codes = found_in(&workshop, &envelope);
        codes.retain(|code| code != "image-differs");
        assert_eq!(codes, expected, "{what}");
        seen.extend(codes);
    }
    for (line, code) in [
        ("signed.suit --slot-size 4999", "slot-too-small"),
        ("signed.suit --image firmware.bin --slot-size 4999", "slot-too-small"),
        ("signed.suit --image image.bin --range 0x08010000..0x08020000", "outside-range"),
        ("signed.suit --image image.bin --range 0x08000000..0x08001000", "outside-range"),
        ("signed.suit --image root.cose", "image-differs"),
    ] {
        assert_eq!(found(&workshop, line), [code], "{line}");
        seen.insert(code.into());
    }
    // A text in the manifest is sent with it.
    let long = "x".repeat(4000);
    let long = create(&UpdateDescription { description: Some(long), ..update() }).unwrap();
    let inside = rebuilt(&long, |manifest, members| {
        let text = members.remove(&23).unwrap();
        manifest.insert(23, text);
    });
    assert_eq!(found_in(&workshop, &inside), ["unsigned", "too-long"]);
    // Signed by somebody else's tool: a COSE_Sign1 without a credential.
    let signature = [&[0xd2, 0x84, 0x43, 0xa1, 1, 0x32, 0xa0, 0xf6, 0x58, 0x40][..], &[7; 64]].concat();
    let foreign = rebuilt(&plain, |_, _| {});
    let tree = suit_manifest::author::tree::EnvelopeTree::read(&foreign).unwrap();
    let wrapper = tree.members[0].value.bytes;
    // The array of one becomes one of two.
    let digest = minicbor::Decoder::new(wrapper).bytes().unwrap()[1..].to_vec();
    let signed = wrap(&[vec![0x82], digest, wrap(&signature)].concat());
    let rest: Vec<u8> = foreign[3 + 1 + wrapper.len()..].to_vec();
    let foreign = [&foreign[..4], &signed, &rest].concat();
    assert_eq!(found_in(&workshop, &foreign), ["credential-missing"]);
    seen.extend(["too-long".into(), "credential-missing".into()]);
    // Every code that the page lists was found here.
    assert_eq!(seen, listed());
}

/// The codes of `lint` in docs/manifest-tool.md.
fn listed() -> BTreeSet<String> {
    let page = include_str!("../../../docs/manifest-tool.md");
    let (_, rest) = page.split_once("| finding | what it is |").unwrap();
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
}

/// Digest, size and URI are judged for the component that has them, whichever command sets them: override-multiple
/// selects its last component (suit-update-management section 5.7), copy-params takes what is there (section 5.8).
#[test]
fn suit37_each_component_is_judged_by_its_own_parameters() {
    let workshop = Workshop::new();
    let plain = create(&update()).unwrap();
    let digest = [&[3][..], &wrap(&[&[0x82, 0x2f, 0x58, 0x20][..], &[3; 32]].concat())].concat();
    let (size, uri) = (vec![14, 0x19, 0x13, 0x88], vec![21, 0x61, b'x']);
    let of = |parts: &[&Vec<u8>]| {
        let entries: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
        [vec![0xa0 | u8::try_from(parts.len()).unwrap()], entries].concat()
    };
    let (all, image) = (of(&[&digest, &size, &uri]), of(&[&digest, &size]));
    let index = |index: u8| vec![12, index];
    let set = |parameters: &[u8]| [&[20][..], parameters].concat();
    let multiple = |first: &[u8], second: &[u8]| [&[0x18, 34, 0xa2, 0][..], first, &[1], second].concat();
    // From component 0: digest and size.
    let copy = vec![0x18, 35, 0xa1, 0, 0x82, 3, 14];
    let fetch = vec![21, 2, 3, 15];
    // How many commands these are, and what is found.
    type Case = (&'static str, u8, Vec<Vec<u8>>, &'static [&'static str]);
    let cases: Vec<Case> = vec![
        ("all of both", 3, vec![multiple(&all, &all), fetch.clone()], &[]),
        ("all of the last", 3, vec![multiple(&of(&[&uri]), &all), fetch.clone()], &[]),
        (
            "not all of the last",
            3,
            vec![multiple(&all, &of(&[&uri])), fetch.clone()],
            &["digest-missing", "size-missing"],
        ),
        (
            "copied",
            7,
            vec![index(0), set(&image), index(1), copy.clone(), set(&of(&[&uri])), fetch.clone()],
            &[],
        ),
        (
            "copied, and the digest is not there",
            7,
            vec![index(0), set(&of(&[&size])), index(1), copy.clone(), set(&of(&[&uri])), fetch.clone()],
            &["digest-missing"],
        ),
        (
            "copied before it is there",
            8,
            vec![index(1), copy.clone(), index(0), set(&image), index(1), set(&of(&[&uri])), fetch.clone()],
            &["digest-missing", "size-missing"],
        ),
    ];
    for (what, count, commands, expected) in cases {
        let shared = wrap(&[0x82, 12, 0]);
        let ids = [0xa2, 2, 0x82, 0x81, 0x41, b'a', 0x81, 0x41, b'b', 4];
        let common = wrap(&[&ids[..], &shared].concat());
        let install = wrap(&[vec![0x80 | (2 * count + 2)], vec![12, 0], commands.concat()].concat());
        let envelope = rebuilt(&plain, |manifest, _| {
            manifest.insert(3, common);
            manifest.insert(20, install);
            manifest.remove(&7);
        });
        let mut codes = found_in(&workshop, &envelope);
        codes.retain(|code| code.ends_with("-missing") || code == "image-unchecked");
        assert_eq!(codes, expected, "{what}");
        let run = workshop.run(&split("lint linted.suit --slot-size 4999"));
        for (component, has_size) in [("0", true), ("1", !expected.contains(&"size-missing"))] {
            let words = format!("the image of component {component} has 5000 bytes, and the slot 4999");
            let is_said = what != "all of the last" || component == "1";
            assert_eq!(run.stdout.contains(&words), has_size && is_said, "{what}: {run:?}");
        }
    }
}

/// What is encrypted has no addresses, and the bytes of its tag are in no slot.
#[test]
fn what_is_encrypted_is_measured_by_its_manifest() {
    let workshop = Workshop::with_release();
    openssl(&workshop, "genpkey -algorithm X25519 -out reader.pem");
    openssl(&workshop, "pkey -in reader.pem -pubout -out reader.pub");
    workshop.ok(&split(
        "encrypt unsigned.suit --image image.bin --public-key reader.pub --out e.suit --ciphertext-out e.bin",
    ));
    let others = ["unsigned", "unsupported", "unsupported"];
    let codes = |line: &str| {
        let mut codes = found(&workshop, line);
        codes.sort();
        codes
    };
    assert_eq!(codes("e.suit --image e.bin --slot-size 5000"), others);
    assert!(codes("e.suit --image e.bin --slot-size 4999").contains(&"slot-too-small".to_owned()));
    let range = "lint e.suit --image e.bin --range 0x08000000..0x08002000";
    assert_eq!(workshop.refused(&split(range)), ("usage".into(), 2));
}

/// A range is that of an image, the one that is given or the one in the envelope.
#[test]
fn a_range_needs_an_image() {
    let workshop = Workshop::with_release();
    let range = "--range 0x08010000..0x08020000";
    assert_eq!(workshop.refused(&split(&format!("lint signed.suit {range}"))), ("usage".into(), 2));
    let line = "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 3 --version 3 \
                --integrated --out unsigned.suit --image-out image.bin --force";
    workshop.ok(&split(line));
    workshop.sign("release", "integrated.suit");
    workshop.ok(&split("integrate integrated.suit --image image.bin --out bundle.suit"));
    assert_eq!(found(&workshop, "bundle.suit"), ["integrated"]);
    // Its own bytes, and not those of the head that CBOR puts before them.
    let size = workshop.read("image.bin").len();
    let words = workshop.run(&split("lint bundle.suit")).stdout;
    assert!(words.contains(&format!("\"#image\", {size} bytes:")), "{words}");
    assert_eq!(found(&workshop, &format!("bundle.suit {range}")), ["integrated", "outside-range"]);
    assert_eq!(found(&workshop, "bundle.suit --range 0x08000000..0x08002000"), ["integrated"]);
    // What is no envelope is found first.
    assert_eq!(found(&workshop, &format!("root.cose {range}")), ["not-suit"]);
}
