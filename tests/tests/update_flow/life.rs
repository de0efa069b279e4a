//! Devices whose application dies, and releases that run already.

use serde_json::json;

use crate::bench::{Bench, Life};

#[test]
fn boot28_what_runs_already_is_up_to_date_even_if_it_is_sent() {
    let (bench, _sim) = Bench::with_device();
    let ended = bench.update(1, &["--reinstall"]);
    ended.is_result("up-to-date", 0);
    assert_eq!(ended.last["bytes_sent"], 0);
    let info = bench.info();
    assert_eq!((&info["version"], &info["image"]), (&json!("1.0.0"), &json!("confirmed")));
}

#[test]
fn boot26_a_device_whose_application_dies_is_found_and_updated() {
    let (bench, _sim) = Bench::with_device();
    bench.release(2, Life::Crashes);
    let ended = bench.update(2, &[]);
    ended.is_error("application-silent", 7);
    let info = bench.info();
    assert_eq!((&info["mode"], &info["sequence"]), (&json!("loader"), &json!(2)));
    assert_eq!((&info["listening"], &info["reason"]), (&json!(true), &json!("application-silent")));
    assert_eq!(info["silence"]["last_reset"], "software");
    assert!(info["silence"]["resets"].as_u64().is_some_and(|resets| resets >= 3), "{info}");

    bench.release(3, Life::Confirms);
    bench.update(3, &[]).is_result("confirmed", 0);
    assert_eq!(bench.info()["version"], "3.0.0");
}

/// FR16: the first image that a device gets has nothing to be reverted to.
#[test]
fn a_first_image_that_never_confirms_leaves_a_device_that_asks_for_another() {
    let bench = Bench::new();
    bench.release(1, Life::NeverConfirms);
    let _sim = bench.sim("flash", &bench.bus);
    bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
    let ended = bench.update(1, &["--confirm-timeout", "1s", "--revert-unconfirmed"]);
    ended.is_error("nothing-bootable", 7);
    let error = &ended.last["error"];
    assert!(error["message"].as_str().is_some_and(|words| words.contains("trial-not-confirmed")), "{error}");
    let info = bench.info();
    assert_eq!((&info["mode"], &info["image"]), (&json!("loader"), &json!("none")));
    for hint in [&error["hint"], &info["hint"]] {
        let hint = hint.as_str().expect("a hint");
        assert!(
            hint.contains("did not confirm itself") && hint.contains("install another release"),
            "{hint}"
        );
    }

    bench.release(2, Life::Confirms);
    bench.update(2, &[]).is_result("confirmed", 0);
    assert_eq!(bench.info()["hint"], json!(null));
}
