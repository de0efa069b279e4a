//! updater-host, update-server and manifest-tool against a simulated device: what goes right, what is refused and by
//! whom, and what gets lost on the way.

mod anchors;
mod bench;
mod environment;
mod identity;
mod in_place;
mod life;
mod line;
mod one_file;
mod relay;
mod report;
mod reports;
mod revocation;
mod succession;
mod tables;
mod tls;

use device_harness::factory::Factory;
use serde_json::{Value, json};
use system_tests::addresses;

use bench::{Bench, Ended, IMAGE_LEN, Life, Ongoing, UpdateServer, files, from_server, unchanged};
use relay::{Manner, Relay};

const HALF: u64 = IMAGE_LEN as u64 / 2;

#[test]
fn from_factory_state_to_the_second_release() {
    let (bench, _sim) = Bench::with_device();
    bench.release(2, Life::Confirms);
    let ended = bench.update(2, &[]);
    ended.is_result("confirmed", 0);
    assert_eq!(ended.last["serial"], "A-0001");
    assert_eq!(ended.last["before"], json!({"version": "1.0.0", "sequence": 1}));
    assert_eq!(ended.last["after"], json!({"version": "2.0.0", "sequence": 2}));
    assert_eq!(ended.last["bytes_sent"], IMAGE_LEN);
    let info = bench.info();
    assert_eq!((&info["mode"], &info["sequence_floor"]), (&json!("application"), &json!(2)));
    bench.update(2, &[]).is_result("up-to-date", 0);
}

#[test]
fn can_fd() {
    let mut bench = Bench::new();
    bench.bus.push_str("?fd");
    bench.release(1, Life::Confirms);
    let _sim = bench.sim("flash", &bench.bus);
    bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
    bench.update(1, &[]).is_result("confirmed", 0);
}

#[test]
fn a_device_is_provisioned_once() {
    let (bench, _sim) = Bench::with_device();
    bench.run(&["provision", "device.cbor"]).is_error("serial-in-use", 7);
    bench.write("other.cbor", &identity::block_of(&bench, "A-0002", 0x22));
    bench.run(&["provision", "other.cbor"]).is_error("already-provisioned", 5);
    let before = bench.info();
    assert_eq!((&before["serial"], &before["node"]), (&json!("A-0001"), &json!(0x21)));
}

/// Every file that must be refused, with the slug of the reason and the host's exit code.
fn attacks(bench: &Bench) -> Vec<(&'static str, &'static str, &'static str, i32)> {
    bench.release(2, Life::Confirms);
    let (envelope, image) = (bench.read("2.suit"), bench.read("2.bin"));
    let mut tampered = image.clone();
    tampered[IMAGE_LEN / 2] ^= 1;
    bench.write("tampered.bin", &tampered);
    bench.write("truncated.bin", &image[..IMAGE_LEN - 1]);
    bench.write("truncated.suit", &envelope[..envelope.len() - 1]);
    let uri = envelope.windows(8).position(|window| window == b"ni:///sh").expect("the manifest has a URI");
    let mut manifest = envelope.clone();
    manifest[uri + 20] ^= 1;
    bench.write("tampered.suit", &manifest);
    bench.write("rubbish.suit", &image[..1000]);

    // Each takes the place of a release with a number of its own.
    bench.release_by(&Factory::new(2), 3, Life::Confirms, |_| ());
    bench.release_by(&bench.factory, 4, Life::Confirms, |update| update.device = Some([0x44; 16]));
    vec![
        ("2.suit", "tampered.bin", "image-digest-mismatch", 5),
        ("tampered.suit", "2.bin", "manifest-digest-mismatch", 5),
        ("truncated.suit", "2.bin", "manifest-malformed", 5),
        ("rubbish.suit", "2.bin", "manifest-malformed", 5),
        ("3.suit", "3.bin", "anchor-unknown", 5),
        ("4.suit", "4.bin", "device-mismatch", 5),
    ]
}

#[test]
fn the_host_refuses_before_anything_is_sent() {
    let (bench, _sim) = Bench::with_device();
    let before = bench.info();
    for (envelope, image, code, exit) in attacks(&bench) {
        let ended = bench.run(&[&files(envelope, image)[..], &["--anchor", "root.cose"]].concat());
        ended.is_error(code, exit);
        assert_eq!(ended.last["error"]["refused_by"], "host", "{code}");
    }
    bench
        .run(&[&files("2.suit", "truncated.bin")[..], &["--anchor", "root.cose"]].concat())
        .is_error("image-digest-mismatch", 5);
    assert_eq!(before, bench.info());
}

#[test]
fn the_device_refuses_what_the_host_would_have() {
    let (bench, _sim) = Bench::with_device();
    let before = bench.info();
    for (envelope, image, code, _) in attacks(&bench) {
        let ended = bench.run(&[&files(envelope, image)[..], &["--dangerous-skip-host-checks"]].concat());
        ended.is_error(code, 7);
        assert_eq!(ended.last["error"]["refused_by"], "device", "{code}");
        unchanged(&before, &bench.info());
    }
}

#[test]
fn an_older_release_is_refused_by_both() {
    let (bench, _sim) = Bench::with_device();
    bench.release(2, Life::Confirms);
    bench.update(2, &[]).is_result("confirmed", 0);
    bench.update(1, &[]).is_error("sequence-rollback", 6);
    bench.update(1, &["--dangerous-skip-host-checks"]).is_error("sequence-rollback", 7);
    assert_eq!(bench.info()["version"], "2.0.0");
}

#[test]
fn a_revoked_key_is_refused_by_both_and_the_list_is_handed_on() {
    let (bench, _sim) = Bench::with_device();
    bench.release(2, Life::Confirms);
    let list = bench.factory.revocation_list(7, &[bench.factory.release_kid()]);
    bench.write("list.cwt", &list);
    bench.update(2, &["--revocations", "list.cwt"]).is_error("key-revoked", 6);

    // The successor's release brings the list to the device.
    let successor = bench.factory.with_new_release_key(9);
    bench.release_by(&successor, 3, Life::Confirms, |_| ());
    bench.update(3, &["--revocations", "list.cwt"]).is_result("confirmed", 0);
    assert_eq!(bench.info()["revocation_sequence"], 7);
    bench.release_by(&bench.factory, 4, Life::Confirms, |_| ());
    bench.update(4, &["--dangerous-skip-host-checks"]).is_error("key-revoked", 7);
    // The same list again, and an older one, by hand.
    bench.run(&["revocations", "list.cwt"]).is_error("revocation-sequence", 7);
    bench.write("older.cwt", &bench.factory.revocation_list(6, &[]));
    bench.run(&["revocations", "older.cwt"]).is_error("revocation-sequence", 7);
    assert_eq!(bench.info()["version"], "3.0.0");
}

#[test]
fn a_minimum_sequence_is_refused_by_the_host() {
    let (bench, _sim) = Bench::with_device();
    bench.release(2, Life::Confirms);
    bench.write("list.cwt", &bench.factory.revocation_list_of(1, &[], &[3]));
    bench.update(2, &["--revocations", "list.cwt"]).is_error("sequence-below-minimum", 6);
}

#[test]
fn an_image_that_never_confirms_stays_on_trial_until_it_is_reset() {
    let (bench, _sim) = Bench::with_device();
    bench.release(2, Life::NeverConfirms);
    let ended = bench.update(2, &["--confirm-timeout", "1s"]);
    ended.is_result("trial", 7);
    assert_eq!(ended.last["after"]["version"], "2.0.0");
    let reset = bench.run(&["reset"]);
    assert_eq!(
        (&reset.last["version"], &reset.last["reason"]),
        (&json!("1.0.0"), &json!("trial-not-confirmed"))
    );

    bench.release(3, Life::NeverConfirms);
    let ended = bench.update(3, &["--confirm-timeout", "1s", "--revert-unconfirmed"]);
    ended.is_result("reverted", 7);
    assert_eq!(ended.last["reason"], "trial-not-confirmed");
    assert_eq!(ended.last["after"], json!({"version": "1.0.0", "sequence": 1}));
    assert_eq!(bench.info()["sequence_floor"], 1);
}

#[test]
fn an_image_that_hangs_is_reverted_by_the_device() {
    let (bench, _sim) = Bench::with_device();
    bench.release(2, Life::Hangs);
    let ended = bench.update(2, &[]);
    ended.is_result("reverted", 7);
    // An image that never ran would be given up for another reason.
    assert_eq!(ended.last["reason"], "trial-not-confirmed");
    assert_eq!(ended.last["after"]["version"], "1.0.0");
}

#[test]
fn a_power_cut_in_the_transfer_is_waited_for_and_resumed() {
    let (mut bench, sim) = Bench::with_device();
    bench.release(2, Life::Confirms);
    let device_bus = std::mem::replace(&mut bench.bus, addresses::bus().expect("a port"));
    let _relay = Relay::start(&bench.bus, &device_bus, Manner::Quiet);
    let mut update = Ongoing::start(&mut update_command(&bench, 2, &[]));
    update.until(HALF);
    drop(sim);
    let _sim = bench.sim("flash", &device_bus);
    let ended = update.end();
    ended.is_result("confirmed", 0);
    assert!(ended.stdout.contains(r#""event":"retry""#), "{}", ended.stdout);
    // Less than twice the image: it went on where the device had committed.
    let sent = ended.last["bytes_sent"].as_u64().expect("a number");
    assert!((IMAGE_LEN as u64..IMAGE_LEN as u64 + HALF).contains(&sent), "{sent}");
}

#[test]
fn a_device_that_does_not_come_back_is_given_up_and_resumed_later() {
    let (mut bench, sim) = Bench::with_device();
    bench.release(2, Life::Confirms);
    let device_bus = std::mem::replace(&mut bench.bus, addresses::bus().expect("a port"));
    let _relay = Relay::start(&bench.bus, &device_bus, Manner::Quiet);
    let mut update = Ongoing::start(&mut update_command(&bench, 2, &["--patience", "2s"]));
    update.until(HALF);
    drop(sim);
    let ended = update.end();
    ended.is_error("device-lost", 3);
    assert!(
        ended.last["error"]["hint"].as_str().is_some_and(|hint| hint.contains("it resumes")),
        "{}",
        ended.last
    );

    let _sim = bench.sim("flash", &device_bus);
    let info = bench.info();
    assert_eq!((&info["version"], &info["resumable"]), (&json!("1.0.0"), &json!(true)));
    let ended = bench.update(2, &[]);
    ended.is_result("confirmed", 0);
    let resumed_from = ended.last["resumed_from"].as_u64().expect("a number");
    assert!((1..=IMAGE_LEN as u64).contains(&resumed_from), "{resumed_from}");
    assert_eq!(ended.last["bytes_sent"], IMAGE_LEN as u64 - resumed_from);
}

#[test]
fn ctrl_c_leaves_the_device_running_and_the_next_run_resumes() {
    let (mut bench, _sim) = Bench::with_device();
    bench.release(2, Life::Confirms);
    let device_bus = std::mem::replace(&mut bench.bus, addresses::bus().expect("a port"));
    let _relay = Relay::start(&bench.bus, &device_bus, Manner::Quiet);
    let mut update = Ongoing::start(&mut update_command(&bench, 2, &[]));
    update.until(HALF).interrupt();
    update.end().is_error("interrupted", 3);
    let info = bench.info();
    assert_eq!((&info["version"], &info["mode"]), (&json!("1.0.0"), &json!("application")));
    let ended = bench.update(2, &[]);
    ended.is_result("confirmed", 0);
    assert!(ended.last["resumed_from"].as_u64() > Some(0), "{}", ended.stdout);
}

#[test]
fn noise_on_the_bus_costs_time_and_nothing_else() {
    let (mut bench, _sim) = Bench::with_device();
    bench.release(2, Life::Confirms);
    let device_bus = std::mem::replace(&mut bench.bus, addresses::bus().expect("a port"));
    let _relay = Relay::start(&bench.bus, &device_bus, Manner::Noisy);
    // Frames with the transfer's own identifiers may break any one exchange: a few runs have to be enough.
    let last = (0..5)
        .map(|_| {
            bench.run(
                &[&["update", "--node", "0x21"], &files("2.suit", "2.bin")[1..], &["--anchor", "root.cose"]]
                    .concat(),
            )
        })
        .inspect(is_typed)
        .find(|ended| ended.code == 0);
    assert!(last.is_some(), "no run came through");
    assert_eq!(bench.run(&["info", "--node", "0x21"]).last["version"], "2.0.0");
}

#[test]
fn two_hosts_at_once_do_not_harm_the_device() {
    let (bench, _sim) = Bench::with_device();
    bench.release(2, Life::Confirms);
    let hosts: Vec<Ongoing> =
        (0..2).map(|_| Ongoing::start(&mut update_command(&bench, 2, &["--patience", "5s"]))).collect();
    for host in hosts {
        is_typed(&host.end());
    }
    // Whatever became of the two, the device works and takes the release from one.
    let ended = bench.update(2, &[]);
    assert!(matches!(ended.last["result"].as_str(), Some("confirmed" | "up-to-date")), "{}", ended.stdout);
    assert_eq!(bench.info()["version"], "2.0.0");
}

/// A result, or an error with a code.
fn is_typed(ended: &Ended) {
    let typed = ended.last["result"].is_string() || ended.last["error"]["code"].is_string();
    assert!(typed && [0, 3, 7].contains(&ended.code), "{}\n{}", ended.stdout, ended.stderr);
}

#[test]
fn of_two_devices_one_is_chosen_by_its_serial() {
    let (bench, _first) = Bench::with_device();
    bench.release(2, Life::Confirms);
    bench.write("second.cbor", &identity::block_of(&bench, "A-0002", 0x22));
    let _second = bench.sim("flash-2", &bench.bus);
    bench.run(&["provision", "second.cbor"]).is_result("provisioned", 0);

    let ended = bench.update(2, &[]);
    ended.is_error("several-devices", 2);
    let message = ended.last["error"]["message"].as_str().expect("a message");
    assert!(message.contains("A-0001") && message.contains("A-0002"), "{message}");
    bench.update(2, &["--serial", "A-0002"]).is_result("confirmed", 0);
    let devices = bench.run(&["scan"]).last["devices"].clone();
    let versions: Vec<&Value> =
        devices.as_array().expect("a list").iter().map(|device| &device["version"]).collect();
    assert_eq!(versions, [&json!("1.0.0"), &json!("2.0.0")]);
}

#[test]
fn from_a_server_with_reports() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    bench.run(&from_server(&server.url)).is_error("no-release", 7);
    server.publish(&bench, 2);
    bench.run(&from_server(&server.url)).is_result("confirmed", 0);
    bench.run(&from_server(&server.url)).is_result("up-to-date", 0);
    let device = server.get("/v1/devices/A-0001");
    assert_eq!((&device["version"], &device["sequence"]), (&json!("2.0.0"), &json!(2)));
    let kinds: Vec<&str> = device["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    for kind in ["update-started", "update-installed", "update-confirmed"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
}

/// The device got its release from files; the server has an older one only.
#[test]
fn a_server_with_older_releases_has_nothing_newer_and_learns_of_the_device() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.release(3, Life::Confirms);
    bench.update(3, &[]).is_result("confirmed", 0);
    bench.run(&from_server(&server.url)).is_result("nothing-newer", 0);
    let device = server.get("/v1/devices/A-0001");
    assert_eq!((&device["version"], &device["sequence"]), (&json!("3.0.0"), &json!(3)));
}

#[test]
fn what_became_of_an_update_is_told_by_the_next_run_at_the_latest() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    // As if the run had ended after the reset, before it had told.
    bench.update(2, &[]).is_result("confirmed", 0);
    bench.run(&from_server(&server.url)).is_result("up-to-date", 0);
    let device = server.get("/v1/devices/A-0001");
    assert_eq!((&device["version"], &device["sequence"]), (&json!("2.0.0"), &json!(2)));
}

#[test]
fn without_the_server_the_fetched_release_installs_and_the_reports_wait() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    let (url, port) = (server.url.clone(), server.port());
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    // Fetched, verified, planned, and not confirmed by anybody.
    let unconfirmed: Vec<&str> =
        from_server(&url).into_iter().filter(|argument| *argument != "--yes").collect();
    bench.run(&unconfirmed).is_error("confirmation-needed", 2);
    drop(server);
    let ended = bench.run(&from_server(&url));
    ended.is_result("confirmed", 0);
    assert!(ended.stdout.contains("server-unreachable"), "{}", ended.stdout);

    let server = UpdateServer::start(&bench, port);
    bench.run(&from_server(&url)).is_result("up-to-date", 0);
    let device = server.get("/v1/devices/A-0001");
    assert_eq!(device["version"], "2.0.0");
    assert_eq!(device["events"].as_array().map(Vec::len), Some(3), "{device}");
}

#[test]
fn a_damaged_cache_is_fetched_again_and_of_no_use_without_the_server() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    let (url, port) = (server.url.clone(), server.port());
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    let unconfirmed: Vec<&str> =
        from_server(&url).into_iter().filter(|argument| *argument != "--yes").collect();
    bench.run(&unconfirmed).is_error("confirmation-needed", 2);
    let images = bench.path("data/cache/images");
    let image = std::fs::read_dir(images).expect("a cache").filter_map(Result::ok).map(|entry| entry.path());
    let image = image.filter(|path| path.extension().is_none()).last().expect("the image is kept");
    let mut bytes = std::fs::read(&image).expect("read");
    bytes[1234] ^= 1;
    std::fs::write(&image, bytes).expect("written");
    drop(server);
    let ended = bench.run(&from_server(&url));
    ended.is_error("server-unreachable", 3);
    assert!(ended.stdout.contains("cache-damaged"), "{}", ended.stdout);
    assert_eq!(bench.info()["version"], "1.0.0");

    let _server = UpdateServer::start(&bench, port);
    bench.run(&from_server(&url)).is_result("confirmed", 0);
}

fn update_command(bench: &Bench, sequence: u64, more: &[&str]) -> std::process::Command {
    let (envelope, image) = (format!("{sequence}.suit"), format!("{sequence}.bin"));
    bench.command(&[&files(&envelope, &image)[..], &["--anchor", "root.cose"], more].concat())
}
