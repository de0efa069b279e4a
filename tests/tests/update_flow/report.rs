//! What a device says under its own key of an update, from the technician's bus to the maker's desk.

use device_harness::factory::{authentication_key, provisioning_block_with};
use serde_json::{Value, json};

use crate::bench::{Bench, Life, UpdateServer, files};

impl Bench {
    /// Asks the device, and has the maker verify the answer with the key in its block.
    fn verified_report(&self, file: &str, release: &str) -> Value {
        let ended = self.run(&["report", "--yes", "--out", file]);
        ended.is_result("reported", 0);
        let nonce = ended.last["nonce"].as_str().expect("a nonce");
        let verified = self.manifest_tool(&[
            "report",
            "verify",
            file,
            "--block",
            "device.cbor",
            "--nonce",
            nonce,
            "--release",
            release,
        ]);
        assert_eq!((&ended.last["verified"], &verified["verified"]), (&json!(false), &json!(true)));
        for member in ["outcome", "summary", "refusal", "manifest_digest"] {
            assert_eq!(ended.last[member], verified[member], "{member}: {}", ended.stdout);
        }
        verified
    }
}

#[test]
fn the_maker_learns_from_the_device_what_became_of_an_update() {
    let bench = Bench::new();
    bench.write_secret(
        "device.cbor",
        &provisioning_block_with(&[bench.factory.anchor()], None, &[authentication_key("A-0001")]),
    );
    bench.release(1, Life::Confirms);
    bench.release(2, Life::NeverConfirms);
    let _sim = bench.sim("flash", &bench.bus);
    bench.run(&["report", "--yes"]).is_error("not-reporting", 7);
    bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
    bench.update(1, &[]).is_result("confirmed", 0);
    let before = bench.info();
    let report = bench.verified_report("1.report", "1.suit");
    assert_eq!((&report["outcome"], &report["release"]["is_meant"]), (&json!("success"), &json!(true)));
    // It runs what it ran.
    assert_eq!(bench.info(), before);

    bench.update(2, &["--confirm-timeout", "1s", "--revert-unconfirmed"]).is_result("reverted", 7);
    let report = bench.verified_report("2.report", "2.suit");
    assert_eq!((&report["outcome"], &report["release"]["is_meant"]), (&json!("refused"), &json!(true)));
    assert_eq!(report["refusal"]["reason"], "trial-not-confirmed");
    // The answer of another day answers no question of today.
    let nonce = report["nonce"].as_str().expect("a nonce");
    let old =
        bench.maker(&["--json", "report", "verify", "1.report", "--block", "device.cbor", "--nonce", nonce]);
    old.is_error("report-nonce", 5);
}

impl UpdateServer {
    /// The reports of the device that the server tells of, the last first.
    fn reports(&self) -> Vec<Value> {
        self.get("/v1/devices/A-0001/reports")["reports"].as_array().expect("a list").clone()
    }
}

/// A device without public keys refuses a release. Its word for it comes through technician and server to its maker, who alone
/// can tell that it is the device's.
#[test]
fn what_a_device_said_comes_through_the_server_to_its_maker() {
    let bench = Bench::new();
    bench.write_secret("device.cbor", &provisioning_block_with(&[], None, &[authentication_key("A-0001")]));
    bench.write_secret("other.cbor", &provisioning_block_with(&[], None, &[authentication_key("A-0002")]));
    bench.release(1, Life::Confirms);
    let _sim = bench.sim_with("flash", &bench.bus, &["--believes", "own-key"]);
    bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
    let server = UpdateServer::start(&bench, 0);
    let more =
        ["--dangerous-skip-host-checks", "--refusal-report", "refusal.report", "--server", &server.url];
    let ended = bench.run(&[&files("1.suit", "1.bin")[..], &more, &["--token-file", "token"]].concat());
    ended.is_error("cose-unsupported", 7);

    let reports = server.reports();
    let [told] = &reports[..] else { panic!("{reports:?}") };
    let expected = (&json!(false), &json!("refused"), &json!("cose-unsupported"), &Value::Null);
    assert_eq!((&told["verified"], &told["outcome"], &told["reason"], &told["manifest_digest"]), expected);
    let digest = told["digest"].as_str().expect("a digest");
    let fetched = server.get_bytes(&format!("/v1/devices/A-0001/reports/{digest}"));
    assert_eq!(fetched, bench.read("refusal.report"));
    // The maker's desk gets it from there, and has the key.
    let fetch =
        ["--json", "report", "fetch", "--serial", "A-0001", "--out-dir", "said", "--server", &server.url];
    let fetched = bench.maker(&fetch);
    let [report] = &fetched.last["reports"].as_array().expect("a list")[..] else {
        panic!("{}", fetched.stdout)
    };
    assert_eq!((&fetched.last["new"], &report["verified"]), (&json!(1), &json!(false)));
    assert_eq!((&report["nonce"], &report["outcome"]), (&told["nonce"], &json!("refused")));
    let file = report["file"].as_str().expect("a file");
    assert_eq!(bench.read(file), bench.read("refusal.report"));
    let verify = |block| {
        let nonce = told["nonce"].as_str().expect("a nonce");
        bench.maker(&["--json", "report", "verify", file, "--block", block, "--nonce", nonce])
    };
    let verified = verify("device.cbor");
    assert_eq!((verified.code, &verified.last["verified"]), (0, &json!(true)), "{}", verified.stdout);
    assert_eq!(verified.last["refusal"]["reason"], told["reason"]);
    verify("other.cbor").is_error("device-key-unknown", 5);
}

#[test]
fn what_a_device_said_waits_for_the_server() {
    let bench = Bench::new();
    let keys = [authentication_key("A-0001")];
    bench.write_secret("device.cbor", &provisioning_block_with(&[bench.factory.anchor()], None, &keys));
    bench.release(1, Life::Confirms);
    let _sim = bench.sim("flash", &bench.bus);
    bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
    bench.update(1, &[]).is_result("confirmed", 0);
    let server = UpdateServer::start(&bench, 0);
    let (port, url) = (server.port(), server.url.clone());
    let report = || {
        let ended = bench.run(&["report", "--yes", "--server", &url, "--token-file", "token"]);
        ended.is_result("reported", 0);
        ended.last
    };
    assert_eq!(report()["delivery"], "delivered");
    drop(server);
    let waiting = report();
    assert_eq!((&waiting["delivery"], &waiting["file"]), (&json!("waiting"), &Value::Null));

    let server = UpdateServer::start(&bench, port);
    let last = report();
    assert_eq!(last["delivery"], "delivered");
    let reports = server.reports();
    assert_eq!(reports.len(), 3);
    for (told, said) in reports.iter().zip([&last, &waiting]) {
        assert_eq!((&told["nonce"], &told["outcome"]), (&said["nonce"], &json!("success")));
        assert!(told["at"].as_u64() <= told["received_at"].as_u64() && told["at"].is_u64());
    }
    assert_eq!(server.get("/v1/devices/A-0001")["sequence"], 1);
    // A file that cannot be written does not keep it from the server.
    let options = ["report", "--yes", "--out", "/proc/a.report", "--server", &url, "--token-file", "token"];
    bench.run(&options).is_error("file-write", 3);
    assert_eq!(server.reports().len(), 4);
    // Without a server nothing of this is said.
    assert_eq!(bench.run(&["report", "--yes"]).last["delivery"], Value::Null);
}
