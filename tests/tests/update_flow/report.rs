//! What a device says under its own key of an update, from the technician's bus to the maker's desk.

use device_harness::factory::{authentication_key, provisioning_block_with};
use serde_json::{Value, json};

use crate::bench::{Bench, Life};

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
