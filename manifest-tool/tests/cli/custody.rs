//! What keeps a key from being more than it should: ceilings, roles, roots, renewed credentials.

use serde_json::json;

use super::workshop::{VENDOR, Workshop, split};

/// `credential issue` for the release key of the workshop.
fn issue<'a>(subject: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common =
        split("credential issue --key root.pem --vendor anchorage.example --issuer root --subject s");
    [&common[..], &["--for", subject], more].concat()
}

#[test]
fn a_release_key_signs_up_to_its_ceiling() {
    let workshop = Workshop::with_release();
    let shown = workshop.ok(&["credential", "inspect", "release.cwt"]);
    assert_eq!((&shown["sequence_ceiling"], &shown["generation"]), (&json!(4_294_967_295u64), &json!(0)));
    let release = |more: &[&'static str]| {
        issue("release.cose", &[&["--role", "release", "--out", "low.cwt"], more].concat())
    };
    let low = workshop.ok(&release(&["--ceiling", "1", "--generation", "7"]));
    assert_eq!((&low["sequence_ceiling"], &low["generation"]), (&json!(1), &json!(7)));
    let sign =
        ["sign", "unsigned.suit", "--key", "release.pem", "--credential", "low.cwt", "--out", "no.suit"];
    assert_eq!(workshop.refused(&sign), ("sequence-above-ceiling".into(), 6));
    for (more, code) in [
        (&["--ceiling", "0", "--force"][..], "usage"),
        (&["--ceiling", "9223372036854775807", "--force"], "step-too-large"),
        (&["--ceiling", "9223372036854775808", "--allow-large-step"], "usage"),
        (&["--generation", "257", "--force"], "step-too-large"),
        (&["--generation", "65536", "--allow-large-step"], "usage"),
    ] {
        assert_eq!(workshop.refused(&release(more)), (code.into(), 2), "{more:?}");
    }
    // A credential in use has used its numbers already.
    let above = ["--ceiling", "4296015872", "--generation", "263", "--force"];
    assert_eq!(workshop.refused(&release(&above)), ("step-too-large".into(), 2));
    let high = issue(
        "release.cose",
        &[
            "--role",
            "release",
            "--out",
            "high.cwt",
            "--ceiling",
            "4296015871",
            "--generation",
            "263",
            "--known",
            "low.cwt",
        ],
    );
    workshop.ok(&high);
    workshop.ok(&release(&["--ceiling", "9223372036854775807", "--allow-large-step", "--force"]));
    let service = issue("release.cose", &["--role", "service", "--ceiling", "5", "--out", "no.cwt"]);
    assert_eq!(workshop.refused(&service), ("usage".into(), 2));
}

/// A root that certifies itself would be its own judge.
#[test]
fn a_root_gets_no_credential() {
    let workshop = Workshop::with_release();
    let own = issue("root.cose", &["--role", "release", "--out", "no.cwt"]);
    assert_eq!(workshop.refused(&own), ("credential-for-anchor".into(), 6));
    // Nor from another root, when a credential of it is known.
    workshop.key("other");
    let of_other = split(
        "credential issue --key other.pem --vendor anchorage.example --issuer o --subject s \
         --role release --for root.cose --out no.cwt --known release.cwt",
    );
    assert_eq!(workshop.refused(&of_other), ("credential-for-anchor".into(), 6));
}

#[test]
fn one_key_has_one_role() {
    let workshop = Workshop::with_release();
    let service =
        issue("release.cose", &["--role", "service", "--known", "release.cwt", "--out", "service.cwt"]);
    assert_eq!(workshop.refused(&service), ("key-has-role".into(), 4));
    workshop
        .ok(&issue("release.cose", &["--role", "release", "--known", "release.cwt", "--out", "more.cwt"]));
    workshop.key("service");
    let known =
        ["--role", "service", "--known", "release.cwt", "--known", "more.cwt", "--out", "service.cwt"];
    workshop.ok(&issue("service.cose", &known));
    let garbage = issue("service.cose", &["--role", "service", "--known", "root.cose", "--out", "no.cwt"]);
    assert_eq!(workshop.refused(&garbage).1, 5);
}

/// The scope of a key is the union over its valid credentials: to narrow it, the older ones are taken back.
#[test]
fn a_narrower_credential_replaces_the_older_one() {
    let workshop = Workshop::with_release();
    let narrow = |more: &[&'static str]| {
        let common =
            ["--role", "release", "--class", "another", "--replaces", "release.cwt", "--out", "narrow.cwt"];
        issue("release.cose", &[&common[..], more].concat())
    };
    for incomplete in [&[][..], &["--list-out", "list.cwt"], &["--first"]] {
        assert_eq!(workshop.refused(&narrow(incomplete)), ("usage".into(), 2), "{incomplete:?}");
    }
    let made = workshop.ok(&narrow(&["--list-out", "list.cwt", "--first"]));
    assert_eq!((&made["list_out"], &made["class_names"]), (&json!("list.cwt"), &json!(["another"])));
    let verify = ["verify", "signed.suit", "--anchor", "root.cose", "--revocations", "list.cwt"];
    assert_eq!(workshop.refused(&verify), ("credential-revoked".into(), 6));
    // That of another key, or of another root, is not replaced.
    workshop.key("second");
    let of_another = issue(
        "second.cose",
        &[
            "--role",
            "release",
            "--replaces",
            "release.cwt",
            "--list-out",
            "no.list",
            "--first",
            "--out",
            "no.cwt",
        ],
    );
    assert_eq!(workshop.refused(&of_another), ("usage".into(), 2));
}

/// Such a credential would put the key out of service, with the old one revoked.
#[test]
fn no_credential_is_issued_that_its_list_revokes() {
    let workshop = Workshop::with_release();
    let revoke = |more| [&split("revoke --key root.pem --issuer root")[..], &split(more)].concat();
    workshop.ok(&revoke("--first --lowest-generation release=2 --out generation.list"));
    workshop.ok(&revoke("--first --key-of release.cwt --generation 9 --out key.list"));
    let issue = |more: &str| {
        format!(
            "credential issue --key root.pem --for release.cose --role release --vendor anchorage.example \
             --issuer i --subject s --out new.cwt {more}"
        )
    };
    let replaces = "--replaces release.cwt --list-out new.list";
    for (list, more, code) in [
        ("generation", "", "generation-revoked"),
        ("generation", "--generation 1", "generation-revoked"),
        ("key", "--generation 9", "key-revoked"),
    ] {
        for replaces in ["", replaces] {
            let line = issue(&format!("--previous {list}.list {more} {replaces}"));
            assert_eq!(workshop.refused(&split(&line)), (code.into(), 6), "{line}");
        }
    }
    let good = issue(&format!("--previous generation.list --generation 2 {replaces}"));
    workshop.ok(&split(&good));
    workshop.ok(&split(&issue("--previous new.list --generation 2 --force")));
}

/// A credential is renewed without signing every release again.
#[test]
fn envelopes_get_a_renewed_credential() {
    let workshop = Workshop::with_release();
    std::fs::copy(workshop.path("signed.suit"), workshop.path("second.suit")).unwrap();
    std::fs::create_dir(workshop.path("renewed")).unwrap();
    workshop.ok(&issue("release.cose", &["--role", "release", "--generation", "1", "--out", "new.cwt"]));
    let recertify = |more: &[&'static str]| [&["recertify", "--credential", "new.cwt"], more].concat();
    let made = workshop.run(
        &[&["--json"], &recertify(&["signed.suit", "second.suit", "--out-dir", "renewed"])[..]].concat(),
    );
    assert_eq!(made.exit, 0, "{made:?}");
    let envelopes = made.object()["envelopes"].as_array().unwrap().clone();
    let digest = workshop.ok(&["verify", "signed.suit", "--anchor", "root.cose"])["manifest_digest"].clone();
    for (made, path) in envelopes.iter().zip(["renewed/signed.suit", "renewed/second.suit"]) {
        assert_eq!((&made["out"], &made["manifest_digest"]), (&json!(path), &digest));
        let verified = workshop.ok(&["verify", path, "--anchor", "root.cose", "--image", "image.bin"]);
        assert_eq!(
            (&verified["manifest_digest"], &verified["credential"]["generation"]),
            (&digest, &json!(1))
        );
    }
    std::fs::remove_dir_all(workshop.path("renewed")).unwrap();

    workshop.key("other");
    workshop.credential("root", "other", &[]);
    workshop.ok(&issue("release.cose", &["--role", "release", "--class", "another", "--out", "narrow.cwt"]));
    for (arguments, code, exit) in [
        (
            &["recertify", "signed.suit", "--credential", "other.cwt", "--out", "no.suit"][..],
            "key-mismatch",
            5,
        ),
        (&["recertify", "signed.suit", "--credential", "narrow.cwt", "--out", "no.suit"], "scope-class", 6),
        (
            &["recertify", "unsigned.suit", "--credential", "new.cwt", "--out", "no.suit"],
            "signature-missing",
            5,
        ),
        (
            &["recertify", "signed.suit", "--credential", "signed.suit", "--out", "no.suit"],
            "record-malformed",
            5,
        ),
        (
            &["recertify", "signed.suit", "second.suit", "--credential", "new.cwt", "--out", "no.suit"],
            "usage",
            2,
        ),
        (&["recertify", "signed.suit", "--credential", "new.cwt"], "usage", 2),
        (&["recertify", "signed.suit", "--credential", "new.cwt", "--out", "image.bin"], "file-exists", 2),
    ] {
        assert_eq!(workshop.refused(arguments), (code.into(), exit), "{arguments:?}");
    }
}

/// The wrong key lay on the desk: no device would take what it certifies.
#[test]
fn a_key_that_has_a_role_certifies_nothing() {
    let workshop = Workshop::with_release();
    workshop.key("third");
    let issue = format!(
        "credential issue --key release.pem --for third.cose --role release --vendor {VENDOR} --issuer r --subject t --out t.cwt"
    );
    for known in ["--known release.cwt", "--replaces release.cwt --list-out l.cwt --first"] {
        assert_eq!(
            workshop.refused(&split(&format!("{issue} {known}"))),
            ("key-has-role".into(), 4),
            "{known}"
        );
    }
}
