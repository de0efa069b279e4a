//! What gets lost around the reset.

use super::{After, Asked, Bench};

#[test]
fn a_reset_that_was_not_heard_is_sent_again() {
    let bench = Bench::new();
    let device = bench.device(|script| script.lost_resets = 1);
    bench.update(&[]).is_result("confirmed", 0);
    assert_eq!(device.asked().iter().filter(|asked| **asked == Asked::Reset).count(), 1);
}

#[test]
fn a_device_that_never_hears_the_reset_is_no_device_without_an_application() {
    let bench = Bench::new();
    let device = bench.device(|script| script.lost_resets = 100);
    bench.update(&[]).is_error("device-answer", 7);
    assert!(!device.asked().contains(&Asked::Reset));
}

#[test]
fn a_reset_by_hand_that_was_not_heard_is_no_success() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.lost_resets = 1);
    bench.run(&["reset"]).is_error("device-silent", 3);
    let ended = bench.run(&["reset"]);
    assert_eq!(ended.code, 0, "{}", ended.stdout);
}

#[test]
fn a_device_that_falls_silent_once_it_has_confirmed_has_confirmed() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.dies_confirmed = true);
    let ended = bench.update(&[]);
    ended.is_result("confirmed", 0);
    assert_eq!(ended.last["after"], serde_json::json!({"version": null, "sequence": 5}));
}

#[test]
fn a_second_run_does_not_name_the_trial_as_what_comes_back() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.after = After::StaysOnTrial);
    let update =
        ["update", "--release", "release.suit", "--image", "image.bin", "--anchor", "root.cose", "-y"];
    let update = [&update[..], &["--confirm-timeout", "500ms"]].concat();
    for before in ["4.0.0 (sequence number 4)", "the image before it"] {
        let ended = super::Ended::of(&bench.command(&update).output().unwrap());
        assert!(ended.stdout.contains(&format!("brings {before} back")), "{}", ended.stdout);
    }
}

/// It opened the session, and came back in its application.
#[test]
fn a_power_cut_just_after_the_session_opened_is_waited_out() {
    let bench = Bench::new();
    let device = bench.device(|script| script.loses_power_in_session = 2);
    let ended = bench.update(&[]);
    ended.is_result("confirmed", 0);
    assert!(ended.stdout.contains(r#""event":"retry""#), "{}", ended.stdout);
    assert_eq!(device.asked().iter().filter(|asked| **asked == Asked::Programming).count(), 3);
    // A device that never comes up in its loader is one that makes no sense.
    let bench = Bench::new();
    let _device = bench.device(|script| script.loses_power_in_session = u32::MAX);
    bench.update(&[]).is_error("device-answer", 7);
}
