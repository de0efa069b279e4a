//! Revocation lists, from one to the next.

use serde_json::json;

use super::workshop::{VENDOR, Workshop};

#[test]
fn revocation_goes_on_from_list_to_list() {
    let workshop = Workshop::with_release();
    let cti = workshop.ok(&["credential", "inspect", "release.cwt"])["cti"].clone();
    let kid = workshop.ok(&["key", "public", "release.pem"])["kid"].as_str().unwrap().to_owned();
    let revoke =
        |more: &[&'static str]| [&["revoke", "--key", "root.pem", "--issuer", "root"], more].concat();

    let first = workshop.ok(&revoke(&["--kid", "0102030405060708", "--out", "1.cwt"]));
    assert_eq!((&first["list_sequence"], &first["revoked"]), (&json!(1), &json!(["0102030405060708"])));
    let verify = |list| ["verify", "signed.suit", "--anchor", "root.cose", "--revocations", list];
    workshop.ok(&verify("1.cwt"));

    let second =
        workshop.ok(&revoke(&["--previous", "1.cwt", "--credential", "release.cwt", "--out", "2.cwt"]));
    assert_eq!(second["list_sequence"], 2);
    assert_eq!(second["revoked"], json!(["0102030405060708", cti]));
    assert_eq!(workshop.refused(&verify("2.cwt")), ("credential-revoked".into(), 6));
    // The newest list counts, in whatever order they are given.
    for order in [["1.cwt", "2.cwt"], ["2.cwt", "1.cwt"]] {
        let refusal = workshop.refused(&[
            "verify",
            "signed.suit",
            "--anchor",
            "root.cose",
            "--revocations",
            order[0],
            "--revocations",
            order[1],
        ]);
        assert_eq!(refusal, ("credential-revoked".into(), 6));
    }

    let by_kid = [
        "revoke",
        "--key",
        "root.pem",
        "--issuer",
        "root",
        "--sequence",
        "9",
        "--kid",
        &kid,
        "--out",
        "9.cwt",
    ];
    assert_eq!(workshop.ok(&by_kid)["list_sequence"], 9);
    assert_eq!(workshop.refused(&verify("9.cwt")), ("key-revoked".into(), 6));
    // A newer list that does not say it any more takes it back, whatever older lists are shown.
    let refusal =
        workshop.refused(&["verify", "signed.suit", "--anchor", "root.cose", "--revocations", "2.cwt"]);
    assert_eq!(refusal, ("credential-revoked".into(), 6));
    workshop.ok(&revoke(&["--sequence", "10", "--kid", "0102030405060708", "--out", "10.cwt"]));
    for order in [["2.cwt", "10.cwt"], ["10.cwt", "2.cwt"]] {
        workshop.ok(&[
            "verify",
            "signed.suit",
            "--anchor",
            "root.cose",
            "--revocations",
            order[0],
            "--revocations",
            order[1],
        ]);
    }
    // What is revoked twice is there once.
    let again =
        workshop.ok(&revoke(&["--previous", "2.cwt", "--credential", "release.cwt", "--out", "3.cwt"]));
    assert_eq!((&again["list_sequence"], &again["revoked"]), (&json!(3), &second["revoked"]));
}

/// A key may have several credentials, and whoever has found it has them all: docs/manifest-tool.md revokes the key.
#[test]
fn a_lost_key_is_revoked_by_its_kid() {
    let workshop = Workshop::with_release();
    std::fs::rename(workshop.path("release.cwt"), workshop.path("older.cwt")).unwrap();
    workshop.credential("root", "release", &["--expires", "2100-01-01T00:00:00Z"]);
    workshop.sign("release", "newer.suit");
    let verify = |envelope, list| ["verify", envelope, "--anchor", "root.cose", "--revocations", list];
    let revoke = |more: &[&'static str]| {
        workshop.ok(&[&["revoke", "--key", "root.pem", "--issuer", "root"], more].concat());
    };
    revoke(&["--credential", "release.cwt", "--out", "1.cwt"]);
    assert_eq!(workshop.refused(&verify("newer.suit", "1.cwt")), ("credential-revoked".into(), 6));
    workshop.ok(&verify("signed.suit", "1.cwt"));

    let kid = workshop.ok(&["key", "public", "release.cose"])["kid"].as_str().unwrap().to_owned();
    workshop.ok(&[
        "revoke",
        "--key",
        "root.pem",
        "--issuer",
        "root",
        "--previous",
        "1.cwt",
        "--kid",
        &kid,
        "--out",
        "2.cwt",
    ]);
    assert_eq!(workshop.refused(&verify("signed.suit", "2.cwt")), ("key-revoked".into(), 6));
    assert_eq!(workshop.refused(&verify("newer.suit", "2.cwt")).1, 6);
}

#[test]
fn minimum_sequences_are_set_and_carried_on() {
    let workshop = Workshop::with_release();
    let revoke = |more: &[&'static str]| {
        [&["revoke", "--key", "root.pem", "--issuer", "root", "--vendor", VENDOR], more].concat()
    };
    let verify = |list| ["verify", "signed.suit", "--anchor", "root.cose", "--revocations", list];
    let minimum = |sequence: u64| {
        let shown = workshop.ok(&["inspect", "signed.suit"]);
        json!({"vendor": shown["vendor"], "class": shown["class"], "sequence": sequence})
    };

    let first = workshop.ok(&revoke(&["--minimum", "demo-node=2", "--out", "1.cwt"]));
    assert_eq!((&first["revoked"], &first["minimum_sequences"]), (&json!([]), &json!([minimum(2)])));
    workshop.ok(&verify("1.cwt"));
    let second = workshop.ok(&revoke(&[
        "--previous",
        "1.cwt",
        "--minimum",
        "demo-node=3",
        "--minimum",
        "c4e767d0-390b-5fbe-81a6-281e47b8b658=7",
        "--out",
        "2.cwt",
    ]));
    assert_eq!(second["minimum_sequences"][0], minimum(3));
    assert_eq!(second["minimum_sequences"][1]["class"], "c4e767d0-390b-5fbe-81a6-281e47b8b658");
    assert_eq!(workshop.refused(&verify("2.cwt")), ("sequence-below-minimum".into(), 6));

    // Without --minimum they are carried on, and shown.
    let run = workshop.run(&[
        "revoke",
        "--key",
        "root.pem",
        "--issuer",
        "root",
        "--previous",
        "2.cwt",
        "--kid",
        "0102030405060708",
        "--out",
        "3.cwt",
    ]);
    assert!(run.stdout.contains("sequence 3 for class c4e767d0-390b-5fbe-81a6-281e47b8b657 of "), "{run:?}");
    assert_eq!(workshop.refused(&verify("3.cwt")), ("sequence-below-minimum".into(), 6));

    for wrong in [
        &["--previous", "2.cwt", "--minimum", "demo-node=2", "--out", "no"][..],
        &["--minimum", "demo-node=0", "--out", "no"],
        &["--minimum", "demo-node", "--out", "no"],
        &["--minimum", "=2", "--out", "no"],
        &["--kid", "0102030405060708", "--out", "no"],
    ] {
        assert_eq!(workshop.refused(&revoke(wrong)), ("usage".into(), 2), "{wrong:?}");
    }
}

#[test]
fn revocation_refuses_what_would_not_hold() {
    let workshop = Workshop::with_release();
    workshop.key("other");
    let root_kid = workshop.ok(&["key", "public", "root.pem"])["kid"].as_str().unwrap().to_owned();
    workshop.ok(&[
        "revoke",
        "--key",
        "root.pem",
        "--issuer",
        "root",
        "--kid",
        "0102030405060708",
        "--out",
        "1.cwt",
    ]);
    let revoke = |key: &'static str, more: &[&str]| {
        let arguments = [&["revoke", "--issuer", "i", "--out", "no.cwt", "--key", key], more].concat();
        workshop.refused(&arguments)
    };
    for (key, more, code, exit) in [
        (
            "root.pem",
            &["--previous", "1.cwt", "--sequence", "1", "--kid", "0102030405060709"][..],
            "revocation-sequence",
            6,
        ),
        ("other.pem", &["--previous", "1.cwt", "--kid", "0102030405060709"], "anchor-unknown", 5),
        ("other.pem", &["--credential", "release.cwt"], "anchor-unknown", 5),
        ("root.pem", &["--credential", "1.cwt"], "record-type", 5),
        ("root.pem", &["--sequence", "0", "--kid", "0102030405060709"], "not-possible", 2),
        ("root.pem", &["--kid", &root_kid], "not-possible", 2),
        ("root.pem", &["--kid", "01"], "usage", 2),
        ("root.pem", &[], "usage", 2),
    ] {
        assert_eq!(revoke(key, more), (code.into(), exit), "{key} {more:?}");
    }
    // A foreign list is no list for a verifier either.
    workshop.ok(&[
        "revoke",
        "--key",
        "other.pem",
        "--issuer",
        "o",
        "--kid",
        "0102030405060708",
        "--out",
        "o.cwt",
    ]);
    let refusal =
        workshop.refused(&["verify", "signed.suit", "--anchor", "root.cose", "--revocations", "o.cwt"]);
    assert_eq!(refusal, ("anchor-unknown".into(), 5));
}
