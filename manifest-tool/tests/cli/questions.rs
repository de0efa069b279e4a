//! What owners and auditors ask: `custody report`, `custody what-if`, `today`; and what the tests of `doctor` share.

use std::process::Command;

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use serde_json::{Value, json};

use super::workshop::{Run, Workshop, split};

pub(super) const LATER: &str = "2099-01-01T00:00:00Z";

/// A root whose holder has everything, and a CI key with a credential that is too good.
pub(super) fn careless() -> Workshop {
    let workshop = Workshop::with_release();
    workshop.ok(&split(
        "ledger init ledger --key root.pem --name maker --holder Ada --kept drawer --vendor anchorage.example",
    ));
    issue(&workshop, "release", "--role release --no-expiry");
    workshop
}

pub(super) fn issue(workshop: &Workshop, name: &str, more: &str) -> Value {
    let line = format!(
        "credential issue --key root.pem --vendor anchorage.example --for {name}.cose --out {name}.new.cwt --subject {name} {more}"
    );
    workshop.ok(&split(&line))
}

pub(super) fn with_json(workshop: &Workshop, line: &str) -> Run {
    workshop.run(&[&["--json"], &split(line)[..]].concat())
}

/// The codes that `doctor` finds; its exit code is that of its object.
pub(super) fn found(workshop: &Workshop, line: &str) -> Vec<String> {
    let before = workshop.snapshot();
    let run = with_json(workshop, &format!("doctor {line}"));
    let object = run.object();
    let findings = object["findings"].as_array().unwrap_or_else(|| panic!("{run:?}"));
    assert_eq!(run.exit, if findings.is_empty() { 0 } else { 6 }, "{run:?}");
    assert_eq!(object["exit"], run.exit);
    assert_eq!(workshop.snapshot(), before, "it only looks");
    for finding in findings {
        assert!(finding["hint"].as_str().is_some_and(|hint| hint.len() > 9), "{finding}");
    }
    findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

pub(super) fn copy(workshop: &Workshop, from: &str, to: &str) {
    let status = Command::new("cp").arg("-r").arg(workshop.path(from)).arg(workshop.path(to)).status();
    assert!(status.unwrap().success());
}

pub(super) fn recovery_root(workshop: &Workshop) {
    workshop.key("recovery");
    workshop.ok(&split(
        "ledger init recovery --key recovery.pem --name spare --purpose recovery-root --domain-anchor root.cose \
         --holder Bob --kept bank",
    ));
}

#[test]
fn what_is_due_today_comes_with_its_command() {
    let workshop = careless();
    let due = |more: &str| {
        let object = workshop.ok(&split(&format!("today ledger {more}")));
        let due = object["due"].as_array().unwrap().clone();
        due.iter().map(|due| due["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(due(""), ["backup-missing"]);
    workshop.ok(&split(
        "key backup root.pem --copy copy.pem --new-passphrase-file passphrase --weak-passphrase --holder Bob --kept bank \
         --now 2030-01-01T00:00:00Z",
    ));
    let check = "key backup-check --copy copy.pem --passphrase-file passphrase --ledger ledger --now 2030-01-02T00:00:00Z";
    workshop.ok(&split(check));
    workshop.ok(&split("ledger finish ledger --key root.pem --now 2030-01-02T00:00:00Z"));
    assert!(due("--now 2030-06-01T00:00:00Z").is_empty());
    assert_eq!(due("--now 2030-12-20T00:00:00Z"), ["backup-check-due"]);
    assert_eq!(due("--now 2031-01-03T00:00:00Z"), ["backup-unchecked"]);
    copy(&workshop, "ledger", "office");
    workshop.key("service");
    issue(
        &workshop,
        "service",
        "--role service --class demo-node --expires 2031-01-01T00:00:00Z --now 2030-01-03T00:00:00Z",
    );
    assert_eq!(due("--now 2030-10-20T00:00:00Z --copy office"), ["credential-expiring", "copy-behind"]);
    let object = workshop.ok(&split("today ledger --now 2030-10-20T00:00:00Z --copy office"));
    assert_eq!(object["due"][0]["due"], "2031-01-01T00:00:00Z");
    for (place, words) in [(0, "credential issue"), (1, "cp -r ledger/. office")] {
        assert!(object["due"][place]["hint"].as_str().unwrap().contains(words), "{object}");
    }
    assert!(due("--now 2031-01-02T00:00:00Z").contains(&"credential-expired".to_owned()));
    let swapped = workshop.ok(&split("today office --copy ledger --now 2030-06-01T00:00:00Z"));
    assert_eq!(swapped["due"][0]["code"], "ledger-behind");
    assert_eq!(workshop.refused(&split("today ledger --copy absent")), ("ledger-absent".into(), 2));
}

#[test]
fn revoking_a_key_stops_what_it_signed_and_losing_it_has_steps() {
    let workshop = careless();
    workshop.ok(&split("ledger note release --ledger ledger --holder Bob --kept ci --reason told"));
    let kid = workshop.ok(&["key", "public", "release.cose"])["kid"].clone();
    let devices = json!({"devices": [
        {"serial": "s1", "anchors": null, "release_kid": kid, "retired": null, "version": "2"},
        {"serial": "s2", "anchors": null, "release_kid": null, "retired": null},
        {"serial": "s3", "anchors": null, "release_kid": kid, "retired": {"reason": "", "at": 1}},
        {"serial": "s4", "anchors": null, "release_kid": null, "table": {"release_kid": kid}, "retired": null},
        {"serial": "s5", "anchors": null, "release_kid": null, "table": null, "retired": null},
    ]});
    workshop.write("devices", devices.to_string().as_bytes());
    let line = "custody what-if ledger --revoke release --release signed.suit --devices devices";
    let answer = workshop.ok(&split(line));
    let stops = &answer["stops"];
    assert_eq!(
        (&stops["credentials"], &stops["devices"], &stops["people"]),
        (&json!([2]), &json!(["s1", "s4"]), &json!(["Bob"]))
    );
    assert!(stops["releases"][0].as_str().unwrap().starts_with("signed.suit (sequence 2"), "{answer}");
    assert_eq!(stops["left_without"].as_array().unwrap().len(), 1);
    assert!(
        answer["steps"][1]
            .as_str()
            .unwrap()
            .starts_with("manifest-tool revoke release --key KEY --ledger ledger")
    );
    assert!(answer["steps"][0].as_str().unwrap().contains("manifest-tool rotate release"), "{answer}");
    // With a second key, nothing is left without one; without files, the answer says what it does not know.
    workshop.key("second");
    issue(&workshop, "second", "--role release");
    let answer = workshop.ok(&split("custody what-if ledger --revoke release"));
    assert_eq!(answer["stops"]["left_without"], json!([]));
    assert_eq!(answer["unknown"].as_array().unwrap().len(), 2);
    // What the answer says happens: the list stops that release.
    workshop.ok(&split("revoke release --key root.pem --none-published --out list.cwt"));
    let verify = split("verify signed.suit --anchor root.cose --revocations list.cwt");
    assert_eq!(workshop.refused(&verify), ("key-revoked".into(), 6));

    let lost = workshop.ok(&split("custody what-if ledger --lost second"));
    assert!(lost["stops"].is_null() && lost["steps"].to_string().contains("credential issue"), "{lost}");
    let root = |ledgers: &str| {
        workshop.ok(&split(&format!("custody what-if {ledgers} --lost maker")))["steps"].to_string()
    };
    assert!(root("ledger").contains("provisioned anew"));
    recovery_root(&workshop);
    assert!(root("ledger recovery").contains("recovery root spare (Bob)"));
    workshop.ok(&split(
        "key backup root.pem --copy copy.pem --new-passphrase-file passphrase --weak-passphrase --holder Bob --kept bank",
    ));
    assert!(root("ledger").contains("key recover --copy FILE"));
    assert_eq!(workshop.refused(&split("custody what-if ledger --revoke maker")), ("usage".into(), 2));
    assert_eq!(
        workshop.refused(&split("custody what-if ledger --lost nobody")),
        ("ledger-no-such-key".into(), 2)
    );
}

#[test]
fn copies_that_differ_are_no_success() {
    let workshop = careless();
    copy(&workshop, "ledger", "office");
    assert_eq!(with_json(&workshop, "ledger diff ledger office").exit, 0);
    workshop.ok(&split("ledger note release --ledger ledger --holder Bob --kept ci --reason told"));
    for (line, relation) in [("ledger diff ledger office", "behind"), ("ledger diff office ledger", "ahead")]
    {
        let run = with_json(&workshop, line);
        assert_eq!((run.exit, &run.object()["relation"]), (6, &json!(relation)), "{run:?}");
        assert_eq!(run.object()["exit"], 6);
    }
    workshop.ok(&split("ledger note release --ledger office --holder Eve --kept ci --reason told"));
    assert_eq!(with_json(&workshop, "ledger diff ledger office").exit, 6);
    // The same entries, and a record that was lost.
    copy(&workshop, "ledger", "third");
    std::fs::remove_file(workshop.path("third/000002-credential.cwt")).unwrap();
    assert_eq!(with_json(&workshop, "ledger diff ledger third").exit, 6);
}

/// What others report is recorded, and does not go back.
#[test]
fn heads_and_published_lists_are_imported() {
    let workshop = careless();
    workshop.key("issuing");
    workshop.ok(&split("ledger init production --key issuing.pem --name line-1 --holder Eve --kept hall --purpose issuing --domain-anchor root.cose"));
    let import = split("ledger import production --ledger ledger --by Ada");
    assert_eq!(workshop.refused(&import), ("ledger-no-such-key".into(), 2), "not certified here");
    issue(&workshop, "issuing", "--role identity");
    let imported = workshop.ok(&import);
    assert!(imported["reported"].as_str().unwrap().starts_with("ledger of line-1"), "{imported}");
    copy(&workshop, "production", "before");
    workshop.ok(&split("ledger note line-1 --ledger production --holder Bob --reason left"));
    workshop.ok(&split("ledger finish production --key issuing.pem"));
    workshop.ok(&import);
    let older = split("ledger import before --ledger ledger");
    assert_eq!(workshop.refused(&older), ("ledger-old-head".into(), 2));
    // A second ledger of the same key.
    let other = "ledger init other --key issuing.pem --name line-1 --holder Mallory --kept hall --purpose issuing --domain-anchor root.cose";
    workshop.ok(&split(other));
    workshop.ok(&split("ledger note line-1 --ledger other --holder M --reason x"));
    workshop.ok(&split("ledger finish other --key issuing.pem"));
    let other = split("ledger import other --ledger ledger");
    assert_eq!(workshop.refused(&other), ("ledger-other-history".into(), 5));

    copy(&workshop, "ledger", "office");
    workshop.ok(&split("revoke release --key root.pem --none-published --out list.cwt"));
    workshop.ok(&split("ledger import --published list.cwt --ledger ledger"));
    let stale = split("ledger import --published list.cwt --ledger office");
    assert_eq!(workshop.refused(&stale), ("ledger-stale".into(), 5));
    workshop.ok(&split("ledger finish ledger --key root.pem"));
    let listed = workshop.ok(&["ledger", "list", "ledger"]);
    let last = listed["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["kind"], &last["subject"]), (&json!("import"), &json!("published list 1")));
}

/// Every form in which a private key could stand somewhere.
fn traces(seed: &[u8]) -> Vec<Vec<u8>> {
    let hex = hex::encode(seed);
    // Base64 of the seed at each offset of a longer text.
    let inner = (0..3).map(|offset| {
        let padded = [&vec![0; offset][..], seed].concat();
        Base64Unpadded::encode_string(&padded)[4..40].to_owned()
    });
    let texts = [hex.to_uppercase(), hex, Base64::encode_string(seed)].into_iter().chain(inner);
    texts.map(String::into_bytes).chain([seed.to_vec()]).collect()
}

#[test]
fn no_private_byte_leaves_its_key_file() {
    let workshop = careless();
    let mut keys = vec!["root.pem", "release.pem"];
    let mut words = Vec::new();
    let mut run = |line: &str| {
        let run = workshop.run(&split(line));
        words.push(run.stdout.into_bytes());
        words.push(run.stderr.into_bytes());
        run.exit
    };
    std::fs::create_dir(workshop.path("pages")).unwrap();
    for (line, exit) in [
        (
            "key backup root.pem --shares 3 --threshold 2 --out-dir pages --kept s --holder A --holder B --holder C",
            0,
        ),
        (
            "key backup-check --share pages/share-1-of-3.txt --share pages/share-2-of-3.html --ledger ledger",
            0,
        ),
        (
            "key recover --share pages/share-1-of-3.txt --share pages/share-3-of-3.html --out again.pem --no-passphrase",
            0,
        ),
        ("key recover --share pages/share-1-of-3.txt --share root.pem --out no.pem --no-passphrase", 5),
        ("key backup-check --copy root.pem --public release.cose", 5),
        (
            "credential issue --key root.cose --vendor anchorage.example --for release.cose --subject r2 --role release --tbs-out t",
            0,
        ),
        ("ledger finish ledger --key root.pem --out r2.cwt", 0),
        ("attach --tbs root.pem --signature root.pem --signer root.cose --out no.cwt", 5),
        ("custody report ledger --release signed.suit --html page.html", 0),
        ("--json custody report ledger", 0),
        ("custody what-if ledger --revoke release", 0),
        ("doctor ledger --key root.pem --program firmware.bin", 6),
        ("doctor ledger --key root.pem --program root.pem", 5),
        ("doctor --devices root.pem", 5),
        ("doctor root.pem", 2),
        ("today ledger", 0),
        ("ledger import --published root.pem --ledger ledger", 5),
        ("key info root.pem", 0),
        ("inspect root.pem", 4),
    ] {
        assert_eq!(run(line), exit, "{line}");
    }
    keys.push("again.pem");
    let seeds: Vec<Vec<u8>> = ["root.pem", "release.pem"]
        .map(|key| {
            let pem = String::from_utf8(workshop.read(key)).unwrap();
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            Base64::decode_vec(&body).unwrap().split_off(16)
        })
        .to_vec();
    assert!(seeds.iter().all(|seed| seed.len() == 32));
    let traces: Vec<Vec<u8>> = seeds.iter().flat_map(|seed| traces(seed)).collect();
    let is_in =
        |bytes: &[u8]| traces.iter().any(|trace| bytes.windows(trace.len()).any(|part| part == trace));
    assert!(is_in(&workshop.read("root.pem")), "the search finds what is there");
    for text in &words {
        assert!(!is_in(text), "{}", String::from_utf8_lossy(text));
    }
    for (path, content) in workshop.snapshot() {
        let is_key = keys.iter().any(|key| path.ends_with(key));
        assert!(is_key || !is_in(&content), "{}", path.display());
    }
}

#[test]
fn the_report_answers_in_text_in_json_and_on_one_page() {
    let workshop = careless();
    workshop.ok(&split("ledger note release --ledger ledger --holder <b>Bob --kept ci --reason told"));
    let kid = workshop.ok(&["key", "public", "root.cose"])["kid"].clone();
    let devices =
        json!({"devices": [{"serial": "s1", "anchors": [kid], "release_kid": null, "retired": null}]});
    workshop.write("devices", devices.to_string().as_bytes());
    let report = workshop.ok(&split("custody report ledger --devices devices --html page.html"));
    let ledger = &report["ledgers"][0];
    assert_eq!((&ledger["name"], &ledger["devices"]), (&json!("maker"), &json!(["s1"])));
    assert_eq!(
        (&ledger["keys"][0]["holder"], &ledger["keys"][0]["status"]),
        (&json!("<b>Bob"), &json!("good"))
    );
    assert_eq!(ledger["entries"].as_array().unwrap().len(), 3);
    assert!(!report["findings"].as_array().unwrap().is_empty());
    let page = String::from_utf8(workshop.read("page.html")).unwrap();
    for words in
        ["&lt;b&gt;Bob", "s1", "recovery-root-missing", "credentials that end within 90 days", "maker"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    for foreign in ["<b>", "<script", "http:", "https:", "src=", "<link", "url("] {
        assert!(!page.contains(foreign), "{foreign}: the page stands alone");
    }
    // Without devices it says what is missing, and a credential that ends is named.
    let text = workshop.run(&split("custody report ledger")).stdout;
    assert!(
        text.contains("not known: pass the devices") && text.contains("entry") || text.contains("open"),
        "{text}"
    );
    workshop.key("soon");
    issue(&workshop, "soon", "--role service --class demo-node --expires 2030-01-01T00:00:00Z");
    let report = workshop.ok(&split("custody report ledger --now 2029-11-01T00:00:00Z"));
    assert_eq!(report["ledgers"][0]["expiring"][0]["code"], "credential-expiring");
    let report = workshop.ok(&split("custody report ledger --now 2029-09-01T00:00:00Z"));
    assert_eq!(report["ledgers"][0]["expiring"], json!([]));
    // Nothing is put into a ledger, and nothing replaced.
    let inside = split("custody report ledger --html ledger/page.html");
    assert_eq!(workshop.refused(&inside), ("inside-ledger".into(), 2));
    let again = split("custody report ledger --html page.html --now 2029-09-01T00:00:00Z");
    assert_eq!(workshop.refused(&again), ("file-exists".into(), 2));
}

/// A finding that the page does not explain, or one that is never made.
#[test]
fn the_page_names_every_finding() {
    let sources = [
        include_str!("../../src/custody/findings.rs"),
        include_str!("../../src/custody/kept.rs"),
        include_str!("../../src/custody/roles.rs"),
        include_str!("../../src/commands/doctor.rs"),
    ]
    .concat();
    let page = include_str!("../../../docs/custody-questions.md");
    let is_code = |text: &&str| {
        text.contains('-')
            && !text.starts_with('-')
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    let made: Vec<&str> = sources.split('"').filter(is_code).collect();
    let named: Vec<&str> = page.split("## Findings").nth(1).unwrap().split('`').filter(is_code).collect();
    assert!(made.len() > 15 && named.len() > 15, "{made:?}, {named:?}");
    for code in &made {
        assert!(named.contains(code), "{code} is not on the page");
    }
    // These are the codes of the ledger itself.
    let of_ledger = ["ledger-stale"];
    for code in named.iter().filter(|code| !of_ledger.contains(code)) {
        assert!(made.contains(code), "{code} is never found");
    }
}
