//! `report`: what a device says of its last attempt, as its maker reads it.

use axum::http::StatusCode;
use serde_json::{Value, json};
use suit_manifest::Reason;
use suit_manifest::report::{MAX_REPORT_LEN, Measured, Outcome, Place, Progress, Report, ReportNonce};
use trust::cbor::Writer;
use trust::provisioning::ProvisioningBlock;
use trust::write_attached_mac0;

use super::fake_server::FakeServer;
use super::personalize::{PERSONALIZE, desk};
use super::workshop::{Workshop, split};

const NONCE: &str = "000102030405060708090a0b0c0d0e0f";
const BY_BLOCK: &str = "report verify a.report --block batch/A-0001.block";
const BY_MASTER: &str = "report verify a.report --master master.key --line one --serial A-0001";

/// A report of A-0001 about this manifest.
fn report(workshop: &Workshop, digest: &[u8; 32], outcome: Outcome<'_>) -> Vec<u8> {
    let block = workshop.read("batch/A-0001.block");
    let (_, keys) = ProvisioningBlock::parse_own_key(&block).unwrap();
    let (kid, key) = keys.authentication().unwrap();
    let nonce = hex::decode(NONCE).unwrap();
    let report = Report { manifest_digest: digest, nonce: ReportNonce::of(&nonce).unwrap(), outcome };
    let (mut payload, mut container) = ([0; MAX_REPORT_LEN], [0; 2 * MAX_REPORT_LEN]);
    let payload = report.encode(&mut payload).unwrap();
    let mut writer = Writer::new(&mut container);
    write_attached_mac0(&mut writer, payload, kid, key);
    writer.finish().unwrap().to_vec()
}

/// A folder with personal releases, and the digest of that for A-0001.
fn with_releases() -> (Workshop, [u8; 32]) {
    let workshop = desk();
    workshop.ok(&split(PERSONALIZE));
    let envelope = workshop.read("out/A-0001.suit");
    let digest = *suit_manifest::author::inspect(&envelope).unwrap().digest();
    (workshop, digest)
}

const REFUSED: Outcome<'_> = Outcome::Refused {
    reason: Reason::ClassMismatch,
    place: Place { section: 3, offset: 87, component: 0 },
    measured: Measured::Class(&[0xC1; 16]),
};

#[test]
fn a_report_is_verified_with_the_key_of_its_device_and_says_what_became_of_the_release() {
    let (workshop, digest) = with_releases();
    workshop.write("a.report", &report(&workshop, &digest, REFUSED));
    let rest = format!("--nonce {NONCE} --release out/A-0001.suit");
    for line in
        [BY_BLOCK.to_owned(), BY_MASTER.to_owned(), format!("{BY_MASTER} --devices batch/devices.csv")]
    {
        let verified = workshop.ok(&split(&format!("{line} {rest}")));
        let facts = ["verified", "fresh", "outcome", "nonce", "manifest_digest"].map(|name| &verified[name]);
        let manifest = hex::encode(digest);
        assert_eq!(facts, [&json!(true), &json!(true), &json!("refused"), &json!(NONCE), &json!(manifest)]);
        assert_eq!(verified["device_key"], "0db5d2ece6f0730c");
        let refusal = json!({
            "reason": "class-mismatch", "result_code": Reason::ClassMismatch.code(), "suit_reason": 10,
            "section": 3, "offset": 87, "component": 0,
        });
        assert_eq!(verified["refusal"], refusal);
        let release = &verified["release"];
        assert_eq!((&release["is_meant"], &release["version"]), (&json!(true), &json!("2.0.0")));
    }
    let words = workshop.run(&split(&format!("{BY_BLOCK} {rest}"))).stdout;
    for word in ["verified    yes", "class-mismatch", "the shared sequence (3)", "2.0.0, sequence 2", "c1c1"]
    {
        assert!(words.contains(word), "{word}: {words}");
    }
    // Another command shows it; its notation is as exact as that of anything else.
    let run = workshop.run(&split("inspect a.report"));
    assert!(run.exit == 5 && run.stderr.contains("manifest-tool report show"), "{run:?}");
    assert!(workshop.ok(&split("inspect --edn a.report"))["edn"].as_str().unwrap().starts_with("17("));
    // It says nothing of another release.
    let other = format!("{BY_BLOCK} --release out/A-0002.suit");
    assert_eq!(workshop.refused(&split(&other)), ("report-of-another-release".into(), 5));
    let words = workshop.run(&split(&other)).stderr;
    assert!(
        words.contains(&hex::encode(digest)) && words.contains("is not about out/A-0002.suit"),
        "{words}"
    );
    let shown = workshop.ok(&split("report show a.report --release out/A-0002.suit"));
    assert_eq!(shown["release"]["is_meant"], false);
    let warned = workshop.run(&split(BY_BLOCK)).stderr;
    assert!(warned.contains("may be an old one"), "{warned}");
}

#[test]
fn outcomes_have_words() {
    let (workshop, digest) = with_releases();
    for (outcome, name, says) in [
        (Outcome::Success, "success", "has confirmed itself"),
        (Outcome::Underway(Progress::Receiving), "not-over", "still to come"),
        (Outcome::Underway(Progress::Trial), "not-over", "on trial"),
        (REFUSED, "refused", "class-mismatch"),
    ] {
        workshop.write("a.report", &report(&workshop, &digest, outcome));
        let verified = workshop.ok(&split(&format!("{BY_BLOCK} --nonce {NONCE}")));
        assert_eq!(verified["outcome"], name);
        assert!(verified["summary"].as_str().unwrap().contains(says), "{verified}");
        assert_eq!(verified["refusal"] == Value::Null, name != "refused");
    }
    // Nothing authenticated: it is about no manifest.
    let outcome = Outcome::Refused {
        reason: Reason::MacInvalid,
        place: Place::outside(60),
        measured: Measured::Nothing,
    };
    workshop.write("a.report", &report(&workshop, &[0; 32], outcome));
    let verified = workshop.ok(&split(BY_BLOCK));
    assert_eq!(verified["manifest_digest"], Value::Null);
}

#[test]
fn sym46_a_report_that_is_forged_old_or_of_another_device_is_refused() {
    let (workshop, digest) = with_releases();
    let whole = report(&workshop, &digest, REFUSED);
    workshop.write("a.report", &whole);
    let code = |line: &str| workshop.refused(&split(line));
    // Another device, line, master key, or revision.
    for (line, said) in [
        (BY_BLOCK.replace("A-0001", "A-0002"), "device-key-unknown"),
        (BY_MASTER.replace("A-0001", "A-0002"), "device-key-unknown"),
        (BY_MASTER.replace("one", "two"), "device-key-unknown"),
        // The kid does not tell master keys apart.
        (BY_MASTER.replace("master.key", "other.key"), "mac-invalid"),
        (format!("{BY_MASTER} --revision 1"), "device-key-unknown"),
    ] {
        assert_eq!(code(&line), (said.into(), 5), "{line}");
        let run = workshop.run(&split(&format!("--json {line}")));
        let hint = run.object()["error"]["hint"].as_str().unwrap().to_owned();
        let names = ["--line", "--revision", "--serial", "--derivation"].map(|option| hint.contains(option));
        assert_eq!(names, [line.contains("--master"); 4], "{line}: {hint}");
    }
    // An old one.
    let other = NONCE.replace('0', "1");
    assert_eq!(code(&format!("{BY_BLOCK} --nonce {other}")), ("report-nonce".into(), 5));
    // Every bit is in the tests of the library.
    for bit in (0..8 * whole.len()).step_by(13) {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        workshop.write("a.report", &changed);
        let run = workshop.run(&split(&format!("--json {BY_BLOCK} --nonce {NONCE}")));
        assert_eq!(run.exit, 5, "bit {bit}: {}", run.stdout);
    }
    for len in (0..whole.len()).step_by(7) {
        workshop.write("a.report", &whole[..len]);
        assert_eq!(code(&format!("{BY_BLOCK} --nonce {NONCE}")).1, 5, "{len}");
    }
    // The release of the device has a MAC of the same key, and is no report.
    assert_eq!(code(&BY_BLOCK.replace("a.report", "out/A-0001.suit")).1, 5);
}

#[test]
fn a_report_is_shown_as_what_nobody_verified() {
    let (workshop, digest) = with_releases();
    workshop.write("a.report", &report(&workshop, &digest, REFUSED));
    let shown = workshop.ok(&split("report show a.report --release out/A-0001.suit"));
    let facts = (&shown["verified"], &shown["fresh"], &shown["release"]["is_meant"]);
    assert_eq!(facts, (&json!(false), &json!(false), &json!(true)));
    let run = workshop.run(&split("report show a.report"));
    assert!(run.stdout.contains("verified    NO") && run.stderr.contains("nothing was verified"), "{run:?}");
    for file in ["out/A-0001.suit", "master.key", "batch/A-0001.block"] {
        assert_eq!(workshop.refused(&split(&format!("report show {file}"))).1, 5, "{file}");
    }
    // Keys that say nothing of a report.
    workshop.ok(&split(
        "provision --devices plain.csv --vendor anchorage.example --class demo-node --no-ledger --master master.key --line one \
         --keys update --out-dir other",
    ));
    let run = workshop.run(&split("--json report verify a.report --block other/A-0001.block"));
    assert!(run.stdout.contains("has no authentication key"), "{run:?}");
    assert_eq!(workshop.refused(&split(&format!("{BY_BLOCK} --nonce 0011"))), ("usage".into(), 2));
}

const LIST: &str = "GET /v1/devices/A-0001/reports";

/// A list with one report of this digest, and how the bytes under a digest are asked for.
fn server_with(digest: &str, body: &str) -> FakeServer {
    let server = FakeServer::start();
    let list =
        json!({"reports": [{"digest": digest, "received_at": 1_767_322_645, "summary": "not believed"}]});
    server.answers("GET /v1/devices/A-0001/reports/", StatusCode::OK, body);
    server.answers_once(LIST, StatusCode::OK, &list.to_string());
    server
}

fn fetch(server: &FakeServer) -> String {
    format!("report fetch --server {} --serial A-0001 --out-dir said", server.url)
}

/// Whatever --force says: nobody makes the answer of a device again.
#[test]
fn no_output_takes_the_place_of_a_report() {
    let (workshop, digest) = with_releases();
    workshop.write("a.report", &report(&workshop, &digest, Outcome::Success));
    let before = workshop.read("a.report");
    let create =
        "create --image firmware.bin --vendor example.com --class node --sequence 9 --version 9 --force";
    for outputs in ["--out a.report --image-out i.bin", "--out n.suit --image-out a.report"] {
        let line = format!("{create} {outputs}");
        assert_eq!(workshop.refused(&split(&line)).0, "file-exists", "{outputs}");
        assert!(workshop.run(&split(&line)).stderr.contains("the report of a device"));
    }
    assert_eq!(workshop.read("a.report"), before);
}

/// docs/attacks.md, TOOL88: what a server says of a report is neither believed nor written under its name.
#[test]
fn tool88_a_server_hands_out_other_bytes_than_the_report() {
    let workshop = Workshop::new();
    let digest = hex::encode(trust::sha256(b"a report"));
    for (named, body) in [
        (digest.as_str(), "another report"),
        (&digest[1..], "a report"),
        ("../../../../../../../../../../../../../../../../../../../../tmp/x", "a report"),
        (&digest.to_uppercase(), "a report"),
    ] {
        let server = server_with(named, body);
        assert_eq!(workshop.refused(&split(&fetch(&server))), ("server-answer".into(), 7), "{named}");
    }
    let long = "x".repeat(64 * 1024 + 1);
    let server = server_with(&hex::encode(trust::sha256(long.as_bytes())), &long);
    assert_eq!(workshop.refused(&split(&fetch(&server))), ("server-answer".into(), 7));
    assert!(!workshop.path("said").exists(), "no folder stays behind");
    // A report that does not read is kept as it came, and said to be none.
    let server = server_with(&digest, "a report");
    let fetched = workshop.ok(&split(&fetch(&server)));
    assert_eq!((&fetched["new"], &fetched["reports"][0]["outcome"]), (&json!(1), &Value::Null));
    assert!(!fetched.to_string().contains("believed"), "{fetched}");
    // Of which device else the server has a report with this key, no bytes say.
    assert_eq!(fetched["reports"][0].get("key_also_of"), None);
    let server = FakeServer::start();
    let list = json!({"reports": [{"digest": digest, "received_at": 1, "key_also_of": "A-0002\u{1b}[2J"}]});
    server.answers("GET /v1/devices/A-0001/reports/", StatusCode::OK, "a report");
    server.answers_once(LIST, StatusCode::OK, &list.to_string());
    let run = workshop.run(&[&["--json"], &split(&fetch(&server))[..]].concat());
    assert_eq!(run.object()["reports"][0]["key_also_of"], "A-0002\u{1b}[2J");
    assert!(
        run.stderr.contains("the key of a report of A-0002") && !run.stderr.contains('\u{1b}'),
        "{run:?}"
    );
    let file = format!("said/{}.report", &digest[..16]);
    assert_eq!(
        (fetched["reports"][0]["file"].as_str(), workshop.read(&file)),
        (Some(&*file), b"a report".to_vec())
    );
    // Once more: it is there. With another content, it stays.
    let server = server_with(&digest, "a report");
    assert_eq!(workshop.ok(&split(&fetch(&server)))["new"], 0);
    workshop.write(&file, b"of somebody else");
    let server = server_with(&digest, "a report");
    assert_eq!(workshop.refused(&split(&fetch(&server))), ("file-exists".into(), 2));
    assert_eq!(workshop.read(&file), b"of somebody else");
}

#[test]
fn a_server_without_the_device_says_so() {
    let (workshop, server) = (Workshop::new(), FakeServer::start());
    let problem = json!({"code": "device-unknown", "detail": "no such device"}).to_string();
    server.answers(LIST, StatusCode::NOT_FOUND, &problem);
    let run = workshop.run(&[&["--json"], &split(&fetch(&server))[..]].concat());
    let error = &run.object()["error"];
    assert_eq!((&error["code"], run.exit), (&json!("device-unknown"), 7), "{error}");
}
