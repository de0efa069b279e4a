//! The real program against devices that lie, refuse, fall silent and fill their answers with rubbish.

#[cfg(unix)]
mod adapters;
mod clash;
mod fake;
mod fake_table;
#[cfg(unix)]
mod half;
mod interrupt;
mod life;
#[cfg(unix)]
mod line;
mod lost;
mod made;
mod report;
mod revocation;
mod session;
mod slots;
mod succession;
mod tables;
#[cfg(unix)]
mod terminal;
#[cfg(feature = "http")]
mod unfinished;
mod words;

use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::Value;
use update_protocol::profile::{Object, StateRecord};
use update_protocol::uds::Nrc;

use fake::{After, Asked, FakeDevice, Script};
use made::{IMAGE_LEN, IMAGE_SIZE, Made};

static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

/// A bus of its own: another port for every test of this process, another range for every process.
fn bus() -> String {
    let range = 20_000 + (std::process::id() % 300) as u16 * 100;
    format!("udp-multicast:239.74.163.2:{}", range + NEXT_PORT.fetch_add(1, Ordering::Relaxed))
}

struct Bench {
    bus: String,
    made: Made,
}

struct Ended {
    code: i32,
    last: Value,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let stdout = String::from_utf8(output.stdout.clone()).unwrap();
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        let last = stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        Self { code: output.status.code().unwrap_or(-1), last, stdout, stderr }
    }

    /// An error with this code and exit code, and nothing else.
    fn is_error(&self, code: &str, exit: i32) {
        let told = (self.last["error"]["code"].as_str(), self.last["exit"].as_i64(), self.code);
        assert_eq!(told, (Some(code), Some(exit.into()), exit), "{}\n{}", self.stdout, self.stderr);
        assert!(!self.last["error"]["hint"].as_str().unwrap().is_empty());
    }

    fn is_result(&self, result: &str, exit: i32) {
        assert_eq!(
            (self.last["result"].as_str(), self.code),
            (Some(result), exit),
            "{}\n{}",
            self.stdout,
            self.stderr
        );
    }
}

impl Bench {
    fn new() -> Self {
        Self { bus: bus(), made: Made::new() }
    }

    fn device(&self, change: impl FnOnce(&mut Script)) -> FakeDevice {
        let mut script = Script::good(self.made.manifest_digest);
        change(&mut script);
        FakeDevice::start(&self.bus, script)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_updater-host"));
        command.current_dir(self.made.folder()).env("ANCHORAGE_BUS", &self.bus).args(arguments);
        command.env("ANCHORAGE_DATA_DIR", "data");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut all = vec!["--json", "--patience", "2s"];
        all.extend(arguments);
        Ended::of(&self.command(&all).output().unwrap())
    }

    fn update(&self, more: &[&str]) -> Ended {
        let mut all =
            vec!["update", "--release", "release.suit", "--image", "image.bin", "--confirm-timeout", "1s"];
        all.extend(["--anchor", "root.cose", "--yes"]);
        all.extend(more);
        self.run(&all)
    }
}

fn images(asked: &[Asked]) -> Vec<(u32, usize)> {
    let image = |asked: &Asked| match asked {
        Asked::Object(Object::Image { offset }, bytes) => Some((*offset, bytes.len())),
        _ => None,
    };
    asked.iter().filter_map(image).collect()
}

#[test]
fn an_update_from_files() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    let ended = bench.update(&["--revocations", "list.cwt"]);
    ended.is_result("confirmed", 0);
    assert_eq!(ended.last["serial"], "FAKE-1");
    assert_eq!(ended.last["before"], serde_json::json!({"version": "4.0.0", "sequence": 4}));
    assert_eq!(ended.last["after"], serde_json::json!({"version": "5.0.0", "sequence": 5}));
    assert_eq!(ended.last["resumed_from"], 0);
    assert_eq!(ended.last["bytes_sent"], IMAGE_LEN);
    // The newer list first, then the envelope, then the image, then the reset.
    assert_eq!(
        device.asked(),
        [
            Asked::Programming,
            Asked::Object(Object::RevocationList, bench.made.read("list.cwt")),
            Asked::Object(Object::Envelope, bench.made.read("release.suit")),
            Asked::Object(Object::Image { offset: 0 }, bench.made.read("image.bin")),
            Asked::Reset,
        ]
    );
    // Every line is an object; progress ends at the total.
    let events: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let progress = events.iter().rfind(|event| event["event"] == "progress").unwrap();
    assert_eq!((&progress["bytes"], &progress["total"]), (&IMAGE_LEN.into(), &IMAGE_LEN.into()));
    assert!(events.iter().any(|event| event["event"] == "plan"));
}

/// One file: the device gets the envelope without the image, and the image beside it. docs/attacks.md, HOST45.
#[test]
fn host45_an_image_in_the_envelope_is_taken_out_and_compared() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    let (release, image) = (bench.made.read("release.suit"), bench.made.read("image.bin"));
    let write = |name: &str, image: &[u8]| {
        let bundle = suit_manifest::author::integrate(&release, &[("#image", image)]).unwrap();
        std::fs::write(bench.made.folder().join(name), bundle).unwrap();
    };
    write("one.suit", &image);
    let mut other = image.clone();
    other[7] ^= 1;
    write("other.suit", &other);
    let update = |file: &str| {
        bench.run(&["update", "--release", file, "--anchor", "root.cose", "--yes", "--confirm-timeout", "1s"])
    };
    update("other.suit").is_error("image-digest-mismatch", 5);
    update("release.suit").is_error("image-missing", 2);
    assert!(images(&device.asked()).is_empty());
    update("one.suit").is_result("confirmed", 0);
    let asked = device.asked();
    assert!(asked.contains(&Asked::Object(Object::Envelope, release)));
    assert!(asked.contains(&Asked::Object(Object::Image { offset: 0 }, image)));
}

#[test]
fn for_people_the_result_is_on_stdout_and_the_rest_on_stderr() {
    let bench = Bench::new();
    let _device = bench.device(|_| ());
    let update =
        ["update", "--release", "release.suit", "--image", "image.bin", "--anchor", "root.cose", "-y"];
    let ended = Ended::of(&bench.command(&update).output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stdout.starts_with("FAKE-1 runs 5.0.0 (sequence number 5) and has confirmed it"),
        "{}",
        ended.stdout
    );
    assert_eq!(ended.stdout.lines().count(), 1);
    assert!(ended.stderr.contains("Gets       5.0.0 (sequence number 5)"), "{}", ended.stderr);
}

#[test]
fn what_runs_already_is_not_sent_again_unless_asked_for() {
    let bench = Bench::new();
    let device = bench.device(|script| {
        (script.active_sequence, script.active_digest) = (5, script.manifest_digest);
    });
    bench.update(&[]).is_result("up-to-date", 0);
    assert_eq!(device.asked(), []);
    bench.update(&["--reinstall"]).is_result("confirmed", 0);
    assert_eq!(images(&device.asked()), [(0, IMAGE_LEN)]);
}

#[test]
fn a_device_resumes_where_it_says() {
    let bench = Bench::new();
    let device = bench.device(|script| script.resume_offset = 8192);
    let ended = bench.update(&[]);
    ended.is_result("confirmed", 0);
    assert_eq!(ended.last["resumed_from"], 8192);
    assert_eq!(ended.last["bytes_sent"], IMAGE_LEN - 8192);
    assert_eq!(images(&device.asked()), [(8192, IMAGE_LEN - 8192)]);
}

#[test]
fn without_a_terminal_and_a_yes_nothing_is_sent() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    let update = ["update", "--release", "release.suit", "--image", "image.bin", "--anchor", "root.cose"];
    bench.run(&update).is_error("confirmation-needed", 2);
    assert_eq!(device.asked(), []);
}

#[test]
fn nobody_is_there() {
    let bench = Bench::new();
    bench.run(&["scan"]).is_error("no-device", 3);
    bench.run(&["info", "--node", "0x22"]).is_error("device-silent", 3);
    bench.run(&["info", "--serial", "A-1"]).is_error("serial-not-found", 3);
    bench.update(&[]).is_error("no-device", 3);
    bench.run(&["--identifiers", "11bit", "scan"]).is_error("no-device", 3);
}

#[test]
fn of_two_devices_one_has_to_be_chosen() {
    let bench = Bench::new();
    let first = bench.device(|_| ());
    let second = bench.device(|script| {
        script.node = 0x11;
        script.serial = b"FAKE-2".to_vec();
        let id = uuid::Uuid::new_v5(&uuid::Uuid::from_bytes(made::VENDOR), b"device:FAKE-2");
        script.identity[32..].copy_from_slice(id.as_bytes());
    });
    let scan = bench.run(&["scan"]);
    assert_eq!(scan.last["devices"].as_array().unwrap().len(), 2, "{}", scan.stdout);
    let ended = bench.update(&[]);
    ended.is_error("several-devices", 2);
    let message = ended.last["error"]["message"].as_str().unwrap();
    assert!(message.contains("FAKE-1") && message.contains("FAKE-2"), "{message}");
    bench.update(&["--serial", "FAKE-2"]).is_result("confirmed", 0);
    bench.update(&["--node", "0x10"]).is_result("confirmed", 0);
    assert_eq!((images(&first.asked()).len(), images(&second.asked()).len()), (1, 1));
}

#[test]
fn a_refusal_of_the_device_keeps_its_reason() {
    for (object, nrc, reason, code) in [
        (Object::Envelope, Nrc::SECURITY_ACCESS_DENIED, 0x010a, "credential-revoked"),
        (Object::Envelope, Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED, 0x7abc, "reason-7abc"),
        (Object::Envelope, Nrc(0x99), 0, "nrc-99"),
        (Object::Image { offset: 0 }, Nrc::GENERAL_PROGRAMMING_FAILURE, 0x0309, "flash-failed"),
    ] {
        let bench = Bench::new();
        let device = bench.device(|script| script.refuses = Some((object, nrc, reason)));
        let ended = bench.update(&[]);
        ended.is_error(code, 7);
        assert_eq!(ended.last["error"]["refused_by"], "device");
        assert_eq!(ended.last["error"]["nrc"], nrc.0);
        // It is not tried again, and the device goes back to its application.
        let asked = device.asked();
        assert_eq!(asked.iter().filter(|asked| **asked == Asked::Programming).count(), 1, "{code}");
        assert_eq!(asked.last(), Some(&Asked::Reset), "{code}");
    }
}

#[test]
fn a_list_that_the_device_has_already_does_not_stop_the_update() {
    let bench = Bench::new();
    let refusal = (Object::RevocationList, Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED, 0x010f);
    let _device = bench.device(|script| script.refuses = Some(refusal));
    bench.update(&["--revocations", "list.cwt"]).is_result("confirmed", 0);
}

#[test]
fn what_does_not_verify_is_not_sent() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    let mut envelope = bench.made.read("release.suit");
    let mut image = bench.made.read("image.bin");
    bench.made.write("short.suit", &envelope[..envelope.len() - 1]);
    bench.made.write("short.bin", &image[..IMAGE_LEN - 1]);
    *envelope.last_mut().unwrap() ^= 1;
    image[77] ^= 1;
    bench.made.write("changed.suit", &envelope);
    bench.made.write("changed.bin", &image);
    bench.made.write("empty", b"");
    for (envelope, image, code, exit) in [
        ("release.suit", "changed.bin", "image-digest-mismatch", 5),
        ("release.suit", "short.bin", "image-digest-mismatch", 5),
        ("short.suit", "image.bin", "manifest-malformed", 5),
        ("changed.suit", "image.bin", "member-digest-mismatch", 5),
        ("image.bin", "image.bin", "manifest-malformed", 5),
        ("empty", "image.bin", "file-empty", 5),
        ("nowhere", "image.bin", "file-read", 3),
    ] {
        let update = ["update", "--release", envelope, "--image", image, "--anchor", "root.cose", "--yes"];
        bench.run(&update).is_error(code, exit);
    }
    assert_eq!(device.asked(), []);
}

#[test]
fn with_the_checks_off_the_device_sees_whatever_it_is() {
    let bench = Bench::new();
    let rubbish = (Object::Envelope, Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED, 0x0201);
    let device = bench.device(|script| script.refuses = Some(rubbish));
    bench.made.write("rubbish", b"not an envelope");
    let update =
        ["update", "--release", "rubbish", "--image", "image.bin", "--yes", "--dangerous-skip-host-checks"];
    let ended = bench.run(&update);
    ended.is_error("manifest-malformed", 7);
    assert_eq!(ended.last["error"]["refused_by"], "device");
    assert!(ended.stderr.contains("CHECKS ARE OFF"), "{}", ended.stderr);
    assert!(device.asked().contains(&Asked::Object(Object::Envelope, b"not an envelope".to_vec())));
}

#[test]
fn a_serial_with_escapes_does_not_reach_the_terminal() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.serial = b"\x1b[2J\x07A".to_vec());
    let people = Ended::of(&bench.command(&["scan"]).output().unwrap());
    assert!(people.stdout.contains("\\x1b[2J\\x07A"), "{:?}", people.stdout);
    assert!(!people.stdout.contains('\x1b') && !people.stderr.contains('\x1b'));
    assert_eq!(bench.run(&["info"]).last["serial"], "\\x1b[2J\\x07A");
}

#[test]
fn answers_that_make_no_sense_are_errors() {
    let good = StateRecord::factory(1024, 1024).encode();
    let mut other_version = good;
    other_version[0] = 2;
    let mut no_mode = good;
    no_mode[1] = 9;
    let states = [
        vec![],
        good[..79].to_vec(),
        [&good[..], &[0]].concat(),
        other_version.to_vec(),
        no_mode.to_vec(),
        vec![0xff; 4000],
    ];
    for state in states {
        let bench = Bench::new();
        let device = bench.device(|script| script.raw_state = Some(state));
        bench.run(&["info", "--node", "0x10"]).is_error("device-answer", 7);
        assert_eq!(bench.run(&["scan"]).last["others"][0]["node"], 0x10);
        bench.update(&["--node", "0x10"]).is_error("device-answer", 7);
        assert_eq!(device.asked(), []);
    }
    let long_texts: [fn(&mut Script); 3] = [
        |script| script.serial = vec![b'A'; 33],
        |script| script.version = vec![b'1'; 5000],
        |script| script.identity = vec![1; 47],
    ];
    for change in long_texts {
        let bench = Bench::new();
        let _device = bench.device(change);
        bench.run(&["info", "--node", "0x10"]).is_error("device-answer", 7);
    }
}

#[test]
fn a_device_that_lies_about_the_install_gets_no_image() {
    let lies: [fn(&mut Script); 3] = [
        |script| script.manifest_digest = [9; 32],
        |script| script.image_size = IMAGE_SIZE + 1,
        |script| script.resume_offset = IMAGE_SIZE + 1,
    ];
    for lie in lies {
        let bench = Bench::new();
        let device = bench.device(lie);
        bench.update(&[]).is_error("device-answer", 7);
        assert_eq!(images(&device.asked()), []);
    }
}

#[test]
fn another_device_behind_the_same_address_gets_nothing() {
    let bench = Bench::new();
    let device = bench.device(|script| script.serial_in_loader = Some(b"OTHER".to_vec()));
    let ended = bench.update(&[]);
    ended.is_error("device-changed", 7);
    assert_eq!(device.asked(), [Asked::Programming]);
}

#[test]
fn a_device_that_falls_silent_is_waited_for_and_then_given_up() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.dies_after = Some(6000));
    let ended = bench.update(&[]);
    ended.is_error("device-lost", 3);
    assert!(ended.last["error"]["hint"].as_str().unwrap().contains("it resumes"), "{}", ended.last);
    assert!(ended.stdout.contains(r#""event":"retry""#), "{}", ended.stdout);
}

#[test]
fn an_image_that_does_not_confirm_is_no_success() {
    let bench = Bench::new();
    let device = bench.device(|script| script.after = After::StaysOnTrial);
    let ended = bench.update(&[]);
    ended.is_result("trial", 7);
    assert_eq!(ended.last["after"]["sequence"], 5);
    assert_eq!(device.asked().iter().filter(|asked| **asked == Asked::Reset).count(), 1);
}

#[test]
fn a_release_on_trial_is_waited_for_and_not_sent_again() {
    let bench = Bench::new();
    let device = bench.device(|script| script.after = After::StaysOnTrial);
    bench.update(&[]).is_result("trial", 7);
    let asked = device.asked();
    let ended = bench.update(&[]);
    ended.is_result("trial", 7);
    assert_eq!(ended.last["bytes_sent"], 0);
    assert_eq!(device.asked(), asked);
    bench.update(&["--revert-unconfirmed"]).is_result("reverted", 7);
    assert_eq!(images(&device.asked()).len(), 1);
}

#[test]
fn a_device_that_reset_by_itself_is_not_reset_again() {
    let bench = Bench::new();
    // As if its session had expired before the host asked for the reset.
    let device = bench.device(|script| {
        script.after = After::StaysOnTrial;
        script.resets_by_itself = true;
    });
    bench.update(&[]).is_result("trial", 7);
    assert_eq!(
        device.asked().last(),
        Some(&Asked::Object(Object::Image { offset: 0 }, bench.made.read("image.bin")))
    );
}

#[test]
fn an_unconfirmed_image_can_be_reset_away() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.after = After::StaysOnTrial);
    let trial = bench.update(&[]);
    trial.is_result("trial", 7);
    assert!(trial.last["hint"].as_str().unwrap().contains("wait longer"), "{}", trial.last);
    let ended = bench.update(&["--revert-unconfirmed"]);
    ended.is_result("reverted", 7);
    assert_eq!(ended.last["reason"], "trial-not-confirmed");
    assert_eq!(ended.last["after"], serde_json::json!({"version": "4.0.0", "sequence": 4}));
}

#[test]
fn a_revert_is_told_with_its_reason() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.after = After::Reverts);
    let ended = bench.update(&[]);
    ended.is_result("reverted", 7);
    assert_eq!(ended.last["reason"], "trial-not-confirmed");
    assert_eq!(ended.last["after"]["sequence"], 4);
}

#[test]
fn a_device_that_stays_in_its_loader_runs_nothing() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.after = After::StaysInLoader);
    bench.update(&[]).is_error("nothing-bootable", 7);
}

/// A scan of ten minutes is not waited for where its device is named and answers.
#[test]
fn a_device_that_is_named_is_asked_at_once() {
    let bench = Bench::new();
    let _device = bench.device(|_| ());
    for named in [["--serial", "FAKE-1"], ["--node", "0x10"]] {
        let mut child =
            bench.command(&[&["--scan-time", "10m", "info"], &named[..]].concat()).spawn().unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while child.try_wait().unwrap().is_none() {
            if std::time::Instant::now() > until {
                child.kill().unwrap();
                panic!("{named:?} waits for the whole scan");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(child.wait().unwrap().success(), "{named:?}");
    }
}

#[test]
fn a_wrong_option_is_an_object_as_well() {
    let bench = Bench::new();
    let ended = bench.run(&["update"]);
    ended.is_error("usage", 2);
    let message = ended.last["error"]["message"].as_str().unwrap();
    assert!(message.contains("--anchor <FILE>") && !message.contains('\n'), "{message}");
    let ended = bench.run(&[]);
    ended.is_error("usage", 2);
    let message = ended.last["error"]["message"].as_str().unwrap();
    assert!(message.contains("subcommand"), "{message}");
    Ended::of(&bench.command(&["--json"]).output().unwrap()).is_error("usage", 2);
    bench.run(&["--bus", "nonsense", "scan"]).is_error("usage", 2);
    bench.run(&["--bus", "slcan:/nowhere/tty", "scan"]).is_error("bus-failed", 3);
}

#[test]
fn a_revocation_list_is_given_to_the_device() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    let ended = bench.run(&["revocations", "list.cwt"]);
    ended.is_result("stored", 0);
    let list = Asked::Object(Object::RevocationList, bench.made.read("list.cwt"));
    assert_eq!(device.asked(), [Asked::Programming, list, Asked::Reset]);
}

#[test]
fn a_provisioned_device_is_not_provisioned_again() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    bench.made.write("rubbish", b"no block");
    bench.run(&["provision", "rubbish"]).is_error("provisioning-malformed", 5);
    bench.made.write("other", &made::block_of_device("A-1", 0x10, [1; 16]));
    bench.run(&["provision", "other"]).is_error("device-id-mismatch", 7);
    bench.made.write("block", &made::block("A-1", 0x10));
    bench.run(&["provision", "block"]).is_error("already-provisioned", 5);
    bench.run(&["provision", "block", "--node", "0x10"]).is_error("already-provisioned", 5);
    assert_eq!(device.asked(), []);
}
