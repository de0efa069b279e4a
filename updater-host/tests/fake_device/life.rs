//! Devices that refuse what they run already, and that delay installs (docs/boot-rules.md, Delays).

use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};
use update_protocol::profile::Object;
use update_protocol::uds::Nrc;

use super::fake::Asked;
use super::{Bench, IMAGE_LEN, images};

const RUNS_ALREADY: (Object, Nrc, u16) = (Object::Envelope, Nrc::CONDITIONS_NOT_CORRECT, 0x0319);

/// The device knows better than its application what runs, e.g. when that does not say a digest.
#[test]
fn boot28_a_device_that_runs_the_release_already_is_up_to_date() {
    let bench = Bench::new();
    let device = bench.device(|script| script.refuses = Some(RUNS_ALREADY));
    let ended = bench.update(&[]);
    ended.is_result("up-to-date", 0);
    assert_eq!((&ended.last["bytes_sent"], &ended.last["after"]["version"]), (&json!(0), &json!("4.0.0")));
    assert_eq!(images(&device.asked()), []);
    assert_eq!(device.asked().last(), Some(&Asked::Reset), "it was let go");
    assert!(!device.asked().contains(&Asked::Abandon));
}

/// What waits for a reset there is another image, and would come up instead.
#[test]
fn boot28_an_image_that_would_replace_what_is_wanted_and_runs_is_abandoned() {
    let bench = Bench::new();
    let device = bench.device(|script| {
        script.refuses = Some(RUNS_ALREADY);
        script.is_pending = true;
    });
    bench.update(&[]).is_result("up-to-date", 0);
    let asked = device.asked();
    assert_eq!(asked[asked.len() - 2..], [Asked::Abandon, Asked::Reset]);
}

/// The second try of the job that installed it must not end well.
#[test]
fn boot26_a_device_whose_application_dies_is_not_up_to_date() {
    let bench = Bench::new();
    let _device = bench.device(|script| {
        (script.active_sequence, script.active_digest) = (5, script.manifest_digest);
        script.old_reason = 0x0318;
    });
    bench.update(&[]).is_error("application-silent", 7);
}

#[test]
fn boot27_a_delay_is_shown_and_waited_for() {
    let bench = Bench::new();
    let device = bench.device(|script| script.delays = (1, 3));
    let ended = bench.update(&[]);
    ended.is_result("confirmed", 0);
    assert!(
        ended.stdout.contains(r#""event":"waiting","step":"delay","seconds_left":4"#),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains(r#""code":"install-delayed""#), "{}", ended.stdout);
    assert_eq!(images(&device.asked()), [(0, IMAGE_LEN)]);
    assert!(
        !device.asked()[..device.asked().len() - 1].contains(&Asked::Reset),
        "its time runs in the loader"
    );
}

#[test]
fn boot27_a_delay_that_does_not_end_is_not_waited_for_without_end() {
    for delays in [(u32::MAX, 1), (1, 3602), (1, u32::MAX)] {
        let bench = Bench::new();
        let device = bench.device(|script| script.delays = delays);
        let ended = bench.update(&[]);
        ended.is_error("install-delayed", 7);
        assert_eq!(device.asked().last(), Some(&Asked::Reset), "it was let go");
    }
}

#[test]
fn boot27_ctrl_c_ends_a_delay_and_lets_the_device_go() {
    let bench = Bench::new();
    let device = bench.device(|script| script.delays = (1, 3000));
    let update =
        ["--json", "update", "--release", "release.suit", "--image", "image.bin", "--anchor", "root.cose"];
    let mut child = bench.command(&[&update[..], &["--yes"]].concat()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains(r#""step":"delay""#)).unwrap();
    super::interrupt::interrupt(&child);
    let last: Value = serde_json::from_str(&lines.last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "interrupted", "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(device.asked().last(), Some(&Asked::Reset));
}
