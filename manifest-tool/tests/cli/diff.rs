//! `diff`: what changed from one release to the next, and nothing else.

use serde_json::{Value, json};

use super::members::rebuilt;
use super::workshop::{Workshop, split};

/// The report of two files that differ.
fn differ(workshop: &Workshop, old: &str, new: &str) -> Value {
    let run = workshop.run(&["--json", "diff", old, new]);
    assert_eq!(run.exit, 6, "{old} {new}: {run:?}");
    let report = run.object();
    assert_eq!(report["equal"], false);
    assert_ne!(report["elements"], json!([]), "{old} {new}");
    report
}

/// What differs of this list, with the names alone.
fn names(report: &Value, list: &str) -> Vec<String> {
    let all = report[list].as_array().unwrap().iter();
    all.map(|difference| difference["what"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn suit39_a_diff_says_what_changed_and_nothing_else() {
    let workshop = Workshop::with_release();
    let same = workshop.ok(&split("diff signed.suit signed.suit"));
    assert_eq!(same, json!({ "equal": true, "release": [], "elements": [], "left_out": 0 }));
    assert_eq!(workshop.run(&split("diff signed.suit signed.suit")).stdout, "they are equal\n");

    let report = differ(&workshop, "unsigned.suit", "signed.suit");
    assert_eq!(names(&report, "release"), ["signed by", "credential"]);
    assert_eq!(report["release"][0]["old"], "nobody");
    assert!(
        names(&report, "elements")
            .iter()
            .all(|what| what.contains("authentication-wrapper (2) / COSE_Sign1"))
    );

    // The next release: another image, number and version.
    let mut firmware = workshop.read("firmware.bin");
    firmware.push(1);
    workshop.write("firmware.bin", &firmware);
    let create = "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 3 --version 2.0.1 \
                  --description x --out unsigned.suit --image-out image.bin --force";
    workshop.ok(&split(create));
    workshop.sign("release", "next.suit");
    let report = differ(&workshop, "signed.suit", "next.suit");
    assert_eq!(
        names(&report, "release"),
        ["manifest", "sequence", "version", "description", "image", "image URI"]
    );
    assert_eq!((&report["release"][1]["old"], &report["release"][1]["new"]), (&json!("2"), &json!("3")));
    let elements = names(&report, "elements");
    for part in
        ["sequence-number (2)", "image-digest (3)", "image-size (14)", "uri (21)", "component-version (6)"]
    {
        assert_eq!(elements.iter().filter(|what| what.ends_with(part)).count(), 1, "{part}: {elements:?}");
    }
    assert!(
        !elements.iter().any(|what| what.ends_with("vendor-id (1)") || what.ends_with("invoke (23)")),
        "{elements:?}"
    );
    let words = workshop.run(&split("diff signed.suit next.suit"));
    assert!(words.exit == 6 && words.stdout.contains("sequence: 2 -> 3\n"), "{words:?}");
    assert!(words.stdout.contains("version: 2.0.0 -> 2.0.1\n"), "{words:?}");

    // Another device, and another class.
    workshop.ok(&split(&create.replace("demo-node", "other-node --serial A-1")));
    let report = differ(&workshop, "next.suit", "unsigned.suit");
    let release = names(&report, "release");
    assert!(
        ["class", "device", "signed by"].iter().all(|name| release.contains(&(*name).to_owned())),
        "{release:?}"
    );
    let device = report["release"].as_array().unwrap().iter().find(|row| row["what"] == "device").unwrap();
    assert_eq!(device["old"], Value::Null);
    // A command that came, and none that only moved.
    let words = workshop.run(&split("diff next.suit unsigned.suit")).stdout;
    assert!(words.contains("\n+ SUIT envelope (tag 107) / manifest (3) / common (3) / shared-sequence (4) / condition device-identifier (24): 15"), "{words}");
    assert!(!words.contains("image-match"), "{words}");
}

/// Envelopes of which our devices would take neither are compared too, severed members and images in them included.
#[test]
fn suit39_no_difference_is_left_out() {
    let workshop = Workshop::with_release();
    workshop.ok(&split("sever signed.suit --out short.suit"));
    let report = differ(&workshop, "signed.suit", "short.suit");
    let gone = names(&report, "elements");
    assert!(
        gone.iter().all(|what| what.starts_with("SUIT envelope (tag 107) / severed text (23)")),
        "{gone:?}"
    );
    // An empty text has no line of its own: {"en": {}} and {"de": {}}, in the place of another one.
    let unsigned = workshop.read("unsigned.suit");
    let with_text =
        |text: &[u8]| rebuilt(&unsigned, |_, members| drop(members.insert(23, super::members::wrap(text))));
    workshop.write("en.suit", &with_text(b"\xa1\x62en\xa0"));
    workshop.write("de.suit", &with_text(b"\xa1\x62de\xa0"));
    assert_eq!(names(&differ(&workshop, "en.suit", "de.suit"), "elements"), ["encoding"]);
    // One byte at the end of a long payload.
    let mut payload = vec![7; 100_000];
    workshop.write("one.suit", &suit_manifest::author::integrate(&unsigned, &[("#x", &payload)]).unwrap());
    payload[99_999] = 8;
    workshop.write("two.suit", &suit_manifest::author::integrate(&unsigned, &[("#x", &payload)]).unwrap());
    let report = differ(&workshop, "one.suit", "two.suit");
    assert_eq!(names(&report, "elements"), ["SUIT envelope (tag 107) / \"#x\""]);
    assert_eq!(report["release"], json!([]));
    // Types are told apart; the same value in other bytes is a difference too (1, 1.0 in half and single, h'01', "1").
    for (name, value) in [
        ("int", &[1][..]),
        ("half", &[0xf9, 0x3c, 0x00]),
        ("single", &[0xfa, 0x3f, 0x80, 0x00, 0x00]),
        ("bytes", &[0x41, 1]),
        ("text", &[0x61, b'1']),
        ("array", &[0x81, 0x07]),
        ("map", &[0xa1, 0x00, 0x07]),
        ("undefined", &[0xf7]),
        ("null", &[0xf6]),
    ] {
        workshop.write(&format!("{name}.suit"), &[&[0xd8, 0x6b, 0xa1, 0x03][..], value].concat());
    }
    for (old, new, what, from, to) in [
        ("int", "half", "3", "1", "1.0"),
        ("int", "bytes", "3", "1", "h'01'"),
        ("bytes", "text", "3", "h'01'", "\"1\""),
        ("array", "map", "3", "array of 1", "map of 1"),
        ("undefined", "null", "3", "undefined", "null"),
    ] {
        let report = differ(&workshop, &format!("{old}.suit"), &format!("{new}.suit"));
        let element = &report["elements"][0];
        let place = format!("SUIT envelope (tag 107), NOT readable as such / {what}");
        assert_eq!(
            (&element["what"], &element["old"], &element["new"]),
            (&json!(place), &json!(from), &json!(to))
        );
        assert_eq!(report["elements"].as_array().unwrap().len(), 1, "{report}");
    }
    let report = differ(&workshop, "half.suit", "single.suit");
    assert_eq!(report["elements"], json!([{ "what": "encoding", "old": "7 bytes", "new": "9 bytes" }]));
    for (file, code, exit) in [("root.cose", "manifest-malformed", 5), ("absent", "file-read", 3)] {
        assert_eq!(workshop.refused(&["diff", "signed.suit", file]), (code.into(), exit), "{file}");
    }
}
