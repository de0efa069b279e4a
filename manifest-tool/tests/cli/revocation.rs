//! Revocation lists, from one to the next.

use serde_json::json;

use super::workshop::{VENDOR, Workshop, split};

#[test]
fn revocation_goes_on_from_list_to_list() {
    let workshop = Workshop::with_release();
    let cti = workshop.ok(&["credential", "inspect", "release.cwt"])["cti"].clone();
    let kid = workshop.ok(&["key", "public", "release.pem"])["kid"].as_str().unwrap().to_owned();
    let revoke =
        |more: &[&'static str]| [&["revoke", "--key", "root.pem", "--issuer", "root"], more].concat();

    let bare = json!({"role": "release", "generation": 0, "id": "0102030405060708"});
    let first = workshop
        .ok(&revoke(&split("--first --kid 0102030405060708 --role release --generation 0 --out 1.cwt")));
    assert_eq!((&first["list_sequence"], &first["revoked"]), (&json!(1), &json!([bare])));
    let verify = |list| ["verify", "signed.suit", "--anchor", "root.cose", "--revocations", list];
    workshop.ok(&verify("1.cwt"));

    let second =
        workshop.ok(&revoke(&["--previous", "1.cwt", "--credential", "release.cwt", "--out", "2.cwt"]));
    assert_eq!(second["list_sequence"], 2);
    assert_eq!(second["revoked"], json!([bare, {"role": "release", "generation": 0, "id": cti}]));
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
        "--previous",
        "1.cwt",
        "--sequence",
        "9",
        "--kid",
        &kid,
        "--role",
        "release",
        "--generation",
        "0",
        "--out",
        "9.cwt",
    ];
    assert_eq!(workshop.ok(&by_kid)["list_sequence"], 9);
    assert_eq!(workshop.refused(&verify("9.cwt")), ("key-revoked".into(), 6));
    // What is revoked twice is there once.
    let again =
        workshop.ok(&revoke(&["--previous", "2.cwt", "--credential", "release.cwt", "--out", "3.cwt"]));
    assert_eq!((&again["list_sequence"], &again["revoked"]), (&json!(3), &second["revoked"]));
}

/// A key may have several credentials, and its thief has them all: docs/manifest-tool.md revokes the key.
#[test]
fn a_stolen_key_is_revoked_under_all_its_credentials() {
    let workshop = Workshop::with_release();
    std::fs::rename(workshop.path("release.cwt"), workshop.path("older.cwt")).unwrap();
    workshop.credential("root", "release", &["--expires", "2100-01-01T00:00:00Z", "--generation", "2"]);
    workshop.sign("release", "newer.suit");
    let verify = |envelope, list| ["verify", envelope, "--anchor", "root.cose", "--revocations", list];
    let revoke = |more: &[&'static str]| {
        workshop.ok(&[&["revoke", "--key", "root.pem", "--issuer", "root"], more].concat());
    };
    revoke(&["--first", "--credential", "release.cwt", "--out", "1.cwt"]);
    assert_eq!(workshop.refused(&verify("newer.suit", "1.cwt")), ("credential-revoked".into(), 6));
    workshop.ok(&verify("signed.suit", "1.cwt"));

    let previous = ["--previous", "1.cwt", "--key-of", "older.cwt"];
    revoke(&[&previous[..], &["--key-of", "release.cwt", "--out", "2.cwt"]].concat());
    assert_eq!(workshop.refused(&verify("signed.suit", "2.cwt")), ("key-revoked".into(), 6));
    assert_eq!(workshop.refused(&verify("newer.suit", "2.cwt")).1, 6);
    // The highest generation of its credentials counts, or a higher one that is given.
    let kid = workshop.ok(&["key", "public", "release.cose"])["kid"].clone();
    let entry = |list, generation: u64| {
        let revoked = workshop.ok(&["inspect", list])["revoked"].clone();
        let wanted = json!({"role": "release", "generation": generation, "id": kid});
        assert!(revoked.as_array().unwrap().contains(&wanted), "{revoked}");
    };
    entry("2.cwt", 2);
    revoke(&[&previous[..], &["--generation", "5", "--out", "3.cwt"]].concat());
    entry("3.cwt", 5);
    // Nothing brings the key back: the entry leaves the list with the last generation that certified it.
    revoke(&["--previous", "2.cwt", "--lowest-generation", "release=2", "--out", "4.cwt"]);
    entry("4.cwt", 2);
    assert_eq!(workshop.refused(&verify("newer.suit", "4.cwt")).1, 6);
    revoke(&["--previous", "4.cwt", "--lowest-generation", "release=3", "--out", "5.cwt"]);
    assert_eq!(workshop.ok(&["inspect", "5.cwt"])["revoked"], json!([]));
    assert_eq!(workshop.refused(&verify("newer.suit", "5.cwt")), ("generation-revoked".into(), 6));
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

    let first = workshop.ok(&revoke(&["--first", "--minimum", "demo-node=2", "--out", "1.cwt"]));
    assert_eq!((&first["revoked"], &first["minimum_sequences"]), (&json!([]), &json!([minimum(2)])));
    workshop.ok(&verify("1.cwt"));
    let second = workshop.ok(&revoke(&split(
        "--previous 1.cwt --minimum demo-node=3 --minimum \
         c4e767d0-390b-5fbe-81a6-281e47b8b658=7 --out 2.cwt",
    )));
    assert_eq!(second["minimum_sequences"][0], minimum(3));
    assert_eq!(second["minimum_sequences"][1]["class"], "c4e767d0-390b-5fbe-81a6-281e47b8b658");
    assert_eq!(workshop.refused(&verify("2.cwt")), ("sequence-below-minimum".into(), 6));

    // Without --minimum they are carried on, and shown.
    let run = workshop.run(&split(
        "revoke --key root.pem --issuer root --previous 2.cwt --kid 0102030405060708 --role \
         release --generation 0 --out 3.cwt",
    ));
    assert!(run.stdout.contains("sequence 3 for class c4e767d0-390b-5fbe-81a6-281e47b8b657 of "), "{run:?}");
    assert_eq!(workshop.refused(&verify("3.cwt")), ("sequence-below-minimum".into(), 6));

    for wrong in [
        &["--previous", "2.cwt", "--minimum", "demo-node=2", "--out", "no"][..],
        &["--first", "--minimum", "demo-node=0", "--out", "no"],
        &["--first", "--minimum", "demo-node", "--out", "no"],
        &["--first", "--minimum", "=2", "--out", "no"],
        &["--first", "--kid", "0102030405060708", "--role", "release", "--generation", "0", "--out", "no"],
    ] {
        assert_eq!(workshop.refused(&revoke(wrong)), ("usage".into(), 2), "{wrong:?}");
    }
}

#[test]
fn revocation_refuses_what_would_not_hold() {
    let workshop = Workshop::with_release();
    workshop.key("other");
    let root_kid = workshop.ok(&["key", "public", "root.pem"])["kid"].as_str().unwrap().to_owned();
    workshop.ok(&split(
        "revoke --key root.pem --issuer root --first --kid 0102030405060708 --role release \
         --generation 0 --out 1.cwt",
    ));
    let revoke = |key: &'static str, more: &[&str]| {
        let arguments = [&["revoke", "--issuer", "i", "--out", "no.cwt", "--key", key], more].concat();
        workshop.refused(&arguments)
    };
    let id = "--kid 0102030405060709 --role release --generation 0";
    for (key, more, code, exit) in [
        ("root.pem", format!("--previous 1.cwt --sequence 1 {id}"), "usage", 2),
        ("other.pem", format!("--previous 1.cwt {id}"), "anchor-unknown", 5),
        ("other.pem", "--first --credential release.cwt".into(), "anchor-unknown", 5),
        ("root.pem", "--first --credential 1.cwt".into(), "record-type", 5),
        ("root.pem", format!("--first --sequence 0 {id}"), "usage", 2),
        ("root.pem", format!("--first --kid {root_kid} --role release --generation 0"), "not-possible", 2),
        ("root.pem", "--first --kid 01 --role release --generation 0".into(), "usage", 2),
        ("root.pem", "--first".into(), "usage", 2),
    ] {
        assert_eq!(revoke(key, &split(&more)), (code.into(), exit), "{key} {more}");
    }
    // A foreign list is no list for a verifier either.
    workshop.ok(&split(
        "revoke --key other.pem --issuer o --first --kid 0102030405060708 --role release \
         --generation 0 --out o.cwt",
    ));
    let refusal =
        workshop.refused(&["verify", "signed.suit", "--anchor", "root.cose", "--revocations", "o.cwt"]);
    assert_eq!(refusal, ("anchor-unknown".into(), 5));
}

/// The second list does not know the first one: the stolen key would sign again.
#[test]
fn a_list_never_begins_by_an_omission() {
    let workshop = Workshop::with_release();
    let revoke = |more: &[&'static str]| {
        let line = "revoke --key root.pem --issuer root --kid 0102030405060708 --role release --generation 0";
        [&split(line)[..], more].concat()
    };
    for more in [&["--out", "no.cwt"][..], &["--sequence", "2", "--out", "no.cwt"]] {
        let run = workshop.run(&[&["--json"], &revoke(more)[..]].concat());
        assert_eq!(run.refusal(), ("usage".into(), 2));
        assert!(run.stdout.contains("--previous") && run.stdout.contains("--first"), "{run:?}");
    }
    let both = revoke(&["--first", "--previous", "1.cwt", "--out", "no.cwt"]);
    assert_eq!(workshop.refused(&both), ("usage".into(), 2));

    workshop.ok(&split("revoke --key root.pem --issuer root --first --credential release.cwt --out 1.cwt"));
    // A second first list is refused wherever the first one is known.
    workshop.ok(&revoke(&["--first", "--sequence", "2", "--out", "2.cwt"]));
    let verify = |lists: [&'static str; 2]| {
        workshop.refused(&[
            "verify",
            "signed.suit",
            "--anchor",
            "root.cose",
            "--revocations",
            lists[0],
            "--revocations",
            lists[1],
        ])
    };
    assert_eq!(verify(["1.cwt", "2.cwt"]), ("revocation-drops-entry".into(), 6));
    assert_ne!(verify(["2.cwt", "1.cwt"]).1, 0);
}

/// Two lists of one number, made from one predecessor on two machines: the next one unites them.
#[test]
fn two_previous_lists_end_a_fork() {
    let workshop = Workshop::with_release();
    let revoke = |more: &[&'static str]| {
        [&["revoke", "--key", "root.pem", "--issuer", "root", "--vendor", VENDOR], more].concat()
    };
    workshop.ok(&revoke(&["--first", "--minimum", "demo-node=1", "--out", "1.cwt"]));
    workshop.ok(&revoke(&split(
        "--previous 1.cwt --minimum demo-node=2 --kid 0102030405060708 --role release \
         --generation 0 --out a.cwt",
    )));
    workshop.ok(&revoke(&split(
        "--previous 1.cwt --minimum demo-node=9 --cti 0102030405060708090a0b0c0d0e0f10 --role \
         release --generation 1 --lowest-generation service=3 --out b.cwt",
    )));
    let fork = split("verify signed.suit --anchor root.cose --revocations a.cwt --revocations b.cwt");
    assert_eq!(workshop.refused(&fork), ("revocation-forked".into(), 6));
    let united = workshop.ok(&revoke(&split("--previous a.cwt --previous b.cwt --minimum *=1 --out 3.cwt")));
    assert_eq!(united["list_sequence"], 3);
    assert_eq!(united["revoked"].as_array().unwrap().len(), 2);
    assert_eq!(united["minimum_sequences"][0]["sequence"], 9);
    assert_eq!(united["minimum_sequences"][1]["class"], json!(null));
    assert_eq!(united["lowest_generations"], json!([{"role": "service", "lowest": 3}]));
    for list in ["a.cwt", "b.cwt"] {
        let both = [
            "verify",
            "signed.suit",
            "--anchor",
            "root.cose",
            "--revocations",
            list,
            "--revocations",
            "3.cwt",
        ];
        assert_eq!(workshop.refused(&both), ("sequence-below-minimum".into(), 6));
    }
    // What does not fall, does not fall.
    let lower = revoke(&split("--previous 3.cwt --minimum *=7 --lowest-generation service=2 --out no"));
    assert_eq!(workshop.refused(&lower), ("usage".into(), 2));
}

/// Entries of generations that are taken back as a whole make room.
#[test]
fn a_lowest_generation_takes_back_what_lies_below_it() {
    let workshop = Workshop::with_release();
    let revoke =
        |more: &[&'static str]| [&["revoke", "--key", "root.pem", "--issuer", "root"], more].concat();
    workshop.ok(&revoke(&split("--first --kid 0102030405060708 --role release --generation 0 --out 1.cwt")));
    let second =
        workshop.ok(&revoke(&["--previous", "1.cwt", "--lowest-generation", "release=1", "--out", "2.cwt"]));
    assert_eq!(second["revoked"], json!([]));
    let verify = split("verify signed.suit --anchor root.cose --revocations 1.cwt --revocations 2.cwt");
    assert_eq!(workshop.refused(&verify).1, 6);
    workshop.credential("root", "release", &["--generation", "1", "--force"]);
    workshop.ok(&["recertify", "signed.suit", "--credential", "release.cwt", "--out", "new.suit"]);
    workshop.ok(&["verify", "new.suit", "--anchor", "root.cose", "--revocations", "2.cwt"]);
}

#[test]
fn a_minimum_stays_within_reach() {
    let workshop = Workshop::with_release();
    workshop.credential("root", "release", &["--ceiling", "1000", "--force"]);
    let revoke = |more: &[&'static str]| {
        let common = [
            "revoke", "--key", "root.pem", "--issuer", "root", "--vendor", VENDOR, "--first", "--out",
            "l.cwt",
        ];
        [&common[..], more].concat()
    };
    for (more, code) in [
        (&["--minimum", "demo-node=1048577"][..], "step-too-large"),
        (&["--minimum", "demo-node=4294967296"], "minimum-above-ceiling"),
        (&["--minimum", "demo-node=1001", "--known", "release.cwt"], "minimum-above-ceiling"),
        (&["--minimum", "demo-node=1", "--sequence", "1048577"], "step-too-large"),
        // Each permission permits one thing.
        (&["--minimum", "demo-node=1001", "--known", "release.cwt", "--force"], "minimum-above-ceiling"),
        (
            &["--minimum", "demo-node=1001", "--known", "release.cwt", "--allow-large-step"],
            "minimum-above-ceiling",
        ),
        (&["--minimum", "demo-node=1048577", "--force", "--allow-unreachable-minimum"], "step-too-large"),
        (
            &[
                "--minimum",
                "demo-node=18446744073709551615",
                "--allow-large-step",
                "--allow-unreachable-minimum",
            ],
            "usage",
        ),
    ] {
        assert_eq!(workshop.refused(&revoke(more)), (code.into(), 2), "{more:?}");
    }
    workshop.ok(&revoke(&["--minimum", "demo-node=1000", "--known", "release.cwt"]));
    let unreachable =
        ["--minimum", "demo-node=1001", "--known", "release.cwt", "--allow-unreachable-minimum"];
    assert_eq!(workshop.refused(&revoke(&unreachable)), ("file-exists".into(), 2));
    workshop.ok(&revoke(&[&unreachable[..], &["--force"]].concat()));
}

/// An id whose role or generation is guessed revokes nothing, comes back too early, or fills the list for good.
#[test]
fn a_bare_id_needs_its_role_and_generation() {
    let workshop = Workshop::with_release();
    let revoke = |more: &[&'static str]| {
        let common = ["revoke", "--key", "root.pem", "--issuer", "root", "--first", "--out", "l.cwt"];
        [&common[..], more].concat()
    };
    for id in [["--kid", "0102030405060708"], ["--cti", "0102030405060708090a0b0c0d0e0f10"]] {
        for incomplete in [&[][..], &["--role", "release"], &["--generation", "0"]] {
            let run = workshop.run(&[&["--json"], &revoke(&[&id[..], incomplete].concat())[..]].concat());
            assert_eq!(run.refusal(), ("usage".into(), 2), "{id:?} {incomplete:?}");
            assert!(run.stdout.contains("--key-of"), "{run:?}");
        }
    }
    // Without such an id they have nothing to say.
    for more in [["--role", "release"], ["--generation", "0"]] {
        let exact = revoke(&[&["--credential", "release.cwt"][..], &more].concat());
        assert_eq!(workshop.refused(&exact), ("usage".into(), 2), "{more:?}");
    }
}

/// There are only 65,536 generations: a slip must not use them up.
#[test]
fn a_generation_rises_and_never_far() {
    let workshop = Workshop::with_release();
    let revoke = |more: &[&'static str]| {
        let common = ["revoke", "--key", "root.pem", "--issuer", "root", "--first", "--out", "l.cwt"];
        [&common[..], more].concat()
    };
    let bare = ["--kid", "0102030405060708", "--role", "service", "--generation"];
    let with = |generation: &'static str| [&bare[..], &[generation]].concat();
    for far in [with("257"), with("65535"), vec!["--lowest-generation", "release=257"]] {
        assert_eq!(workshop.refused(&revoke(&far)), ("step-too-large".into(), 2), "{far:?}");
    }
    // No list could follow this one, whatever is permitted.
    let last = ["--sequence", "18446744073709551615", "--allow-large-step"];
    assert_eq!(workshop.refused(&revoke(&[&with("0")[..], &last].concat())), ("usage".into(), 2));
    workshop.ok(&revoke(&with("256")));
    workshop.ok(&revoke(&[&with("65535")[..], &["--allow-large-step", "--force"]].concat()));
}

/// A list without a successor ends revocation wherever it is taken.
#[test]
fn a_list_leaves_room_for_its_successors() {
    let workshop = Workshop::new();
    workshop.key("root");
    let revoke = |sequence: &'static str, more: &[&'static str]| {
        let common = ["revoke", "--key", "root.pem", "--issuer", "root", "--lowest-generation", "release=1"];
        [&common[..], &["--first", "--out", "l.cwt", "--sequence", sequence], more].concat()
    };
    for sequence in ["2305843009213693953", "18446744073709551615"] {
        let last = revoke(sequence, &["--allow-large-step", "--force"]);
        assert_eq!(workshop.refused(&last), ("usage".into(), 2), "{sequence}");
    }
    assert_eq!(workshop.refused(&revoke("1048577", &[])), ("step-too-large".into(), 2));
    workshop.ok(&revoke("2305843009213693952", &["--allow-large-step"]));
    let next =
        "revoke --key root.pem --issuer root --lowest-generation release=2 --previous l.cwt --out n.cwt";
    assert_eq!(workshop.ok(&split(next))["list_sequence"], 2_305_843_009_213_693_953_u64);
}

/// The list has no room for an id below its lowest generation. The key may have a credential of a higher one.
#[test]
fn a_key_below_the_lowest_generation_is_not_passed_over() {
    let workshop = Workshop::with_release();
    let kid = workshop.ok(&["key", "public", "release.pem"])["kid"].as_str().unwrap().to_owned();
    workshop.credential("root", "release", &["--generation", "6", "--force"]);
    workshop.sign("release", "forgotten.suit");
    workshop.credential("root", "release", &["--generation", "3", "--force"]);
    let revoke = |previous: &[&'static str], line: &'static str| {
        [&["revoke", "--key", "root.pem", "--issuer", "root"], previous, &split(line)].concat()
    };
    let first = ["--first"];
    workshop.ok(&revoke(&first, "--lowest-generation release=5 --out 1.cwt"));
    let previous = ["--previous", "1.cwt"];
    let below = || ("generation-below-lowest".into(), 2);
    for line in [
        "--key-of release.cwt --out 2.cwt",
        "--key-of release.cwt --generation 4 --out 2.cwt",
        "--cti 0102030405060708090a0b0c0d0e0f10 --role release --generation 4 --out 2.cwt",
    ] {
        assert_eq!(workshop.refused(&revoke(&previous, line)), below(), "{line}");
    }
    let bare = format!("revoke --key root.pem --issuer root --previous 1.cwt --kid {kid} --out 2.cwt");
    let bare = format!("{bare} --role release --generation 3");
    assert_eq!(workshop.refused(&split(&bare)), below());
    // The same in the list that revokes the generation.
    let both = "--key-of release.cwt --lowest-generation release=5 --out 2.cwt";
    assert_eq!(workshop.refused(&revoke(&first, both)), below());

    // A credential below it is revoked; a key is, under the highest generation of the role.
    workshop.ok(&revoke(&previous, "--credential release.cwt --out 2.cwt"));
    let verify = |list| ["verify", "forgotten.suit", "--anchor", "root.cose", "--revocations", list];
    workshop.ok(&verify("2.cwt"));
    workshop.ok(&revoke(&["--previous", "2.cwt"], "--key-of release.cwt --generation 6 --out 3.cwt"));
    assert_eq!(workshop.refused(&verify("3.cwt")), ("key-revoked".into(), 6));
}
