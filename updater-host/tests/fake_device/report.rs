//! Reports of devices that lie, play old answers or have none.

use std::sync::Arc;

use suit_manifest::Reason;
use suit_manifest::report::{
    MAX_REPORT_LEN, Measured, Outcome, Place, Progress, Report, ReportNonce, SHARED_SECTION,
};
use trust::cbor::Writer;
use trust::{ATTACHED_MAC0_ROOM, Kid, write_attached_mac0};
use update_protocol::profile::Object;
use update_protocol::uds::Nrc;

use super::{Asked, Bench, Ended, FakeDevice, Script};

const NONCE: &str = "000102030405060708";
const OLD: &str = "f0f1f2f3f4f5f6f7f8";
const ASK: [&str; 5] = ["report", "--yes", "--out", "a.report", "--nonce"];

/// The answer of a device to this nonce.
fn container(nonce: &[u8], outcome: Outcome<'_>) -> Vec<u8> {
    let report = Report { manifest_digest: &[5; 32], nonce: ReportNonce::of(nonce).unwrap(), outcome };
    let mut buffer = [0; MAX_REPORT_LEN];
    let payload = report.encode(&mut buffer).unwrap();
    let mut buffer = vec![0; payload.len() + ATTACHED_MAC0_ROOM];
    let mut writer = Writer::new(&mut buffer);
    write_attached_mac0(&mut writer, payload, &Kid(*b"device 1"), &[0x77; 32]);
    writer.finish().unwrap().to_vec()
}

fn refused(nonce: &[u8]) -> Vec<u8> {
    let place = Place { section: SHARED_SECTION, offset: 74, component: 0 };
    let (reason, id) = (Reason::VendorMismatch, [1; 16]);
    container(nonce, Outcome::Refused { reason, place, measured: Measured::of(reason, &id, &id, &id) })
}

impl Bench {
    /// A device that answers so.
    fn reporting(
        &self,
        answer: impl Fn(&[u8]) -> Result<Vec<u8>, Nrc> + Send + Sync + 'static,
    ) -> FakeDevice {
        self.device(|script| script.reporting = Some(Arc::new(answer)))
    }

    fn ask(&self) -> Ended {
        self.run(&[&ASK[..], &[NONCE]].concat())
    }

    fn kept_nothing(&self) {
        assert!(!self.made.folder().join("a.report").exists());
    }
}

/// The device was asked, and let go.
fn was_asked_once(device: &FakeDevice) {
    let nonce = hex::decode(NONCE).unwrap();
    assert_eq!(device.asked(), [Asked::Programming, Asked::Report(nonce), Asked::Reset]);
}

#[test]
fn a_report_is_kept_as_it_came_and_told_as_unverified() {
    let bench = Bench::new();
    let device = bench.reporting(|nonce| Ok(refused(nonce)));
    let ended = bench.ask();
    ended.is_result("reported", 0);
    let expected = serde_json::json!({
        "result": "reported", "serial": "FAKE-1", "node": 16, "nonce": NONCE, "verified": false,
        "device_key": hex::encode(b"device 1"), "manifest_digest": "05".repeat(32), "outcome": "refused",
        "summary": "vendor-mismatch: The update is for another vendor. \
            (condition-failed (10); in the shared sequence (3) at byte 74, component 0)",
        "refusal": {"reason": "vendor-mismatch", "result_code": 0x0220, "suit_reason": 10, "section": 3, "offset": 74,
            "component": 0},
        "file": "a.report", "delivery": null,
    });
    assert_eq!(ended.last, expected);
    assert_eq!(bench.made.read("a.report"), refused(&hex::decode(NONCE).unwrap()));
    was_asked_once(&device);

    // People get the command for who has the key; a fresh nonce is another one each time.
    let people = || Ended::of(&bench.command(&["report", "--yes"]).output().unwrap()).stdout;
    let (one, other) = (people(), people());
    assert!(
        one.contains("NOT VERIFIED") && one.contains("manifest-tool report verify FILE.report --nonce "),
        "{one}"
    );
    assert_ne!(one, other);
}

#[test]
fn what_goes_on_and_what_went_well_is_no_refusal() {
    for (outcome, name) in [(Outcome::Success, "success"), (Outcome::Underway(Progress::Trial), "not-over")] {
        let bench = Bench::new();
        let _device = bench.reporting(move |nonce| Ok(container(nonce, outcome)));
        let ended = bench.ask();
        ended.is_result("reported", 0);
        assert_eq!(
            (&ended.last["outcome"], &ended.last["refusal"]),
            (&name.into(), &serde_json::Value::Null)
        );
    }
}

/// docs/attacks.md, HOST46.
#[test]
fn host46_an_old_or_foreign_report_is_not_taken() {
    let old = refused(&hex::decode(OLD).unwrap());
    let without = refused(&[]);
    for answer in [old, without] {
        let bench = Bench::new();
        let device = bench.reporting(move |_| Ok(answer.clone()));
        let ended = bench.ask();
        ended.is_error("report-nonce", 5);
        assert_eq!(ended.last["error"]["refused_by"], "host");
        assert!(ended.last["error"]["message"].as_str().unwrap().contains(NONCE), "{}", ended.stdout);
        bench.kept_nothing();
        was_asked_once(&device);
    }

    // Another device is in the loader than the one that was asked.
    let bench = Bench::new();
    let device = bench.device(|script| {
        script.serial_in_loader = Some(b"FAKE-2".to_vec());
        script.reporting = Some(Arc::new(|nonce| Ok(refused(nonce))));
    });
    bench.ask().is_error("device-changed", 7);
    assert_eq!(device.asked(), [Asked::Programming, Asked::Reset]);
    bench.kept_nothing();
}

#[test]
fn what_is_no_report_is_not_kept() {
    type Answer = fn(&[u8]) -> Vec<u8>;
    let answers: [(Answer, &str, i32); 4] = [
        (|_| vec![0x5a; 200], "record-malformed", 5),
        (|_| vec![], "record-malformed", 5),
        (|nonce| refused(nonce)[..100].to_vec(), "record-malformed", 5),
        (|nonce| [&refused(nonce)[..], &[0; 4096]].concat(), "device-answer", 7),
    ];
    for (answer, code, exit) in answers {
        let bench = Bench::new();
        let device = bench.reporting(move |nonce| Ok(answer(nonce)));
        let ended = bench.ask();
        ended.is_error(code, exit);
        assert!(
            ended.last["error"]["hint"].as_str().unwrap().contains("call the manufacturer"),
            "{}",
            ended.stdout
        );
        bench.kept_nothing();
        was_asked_once(&device);
    }
}

#[test]
fn a_device_without_reports_says_so_whatever_its_loader_knows() {
    for (nrc, code) in [
        (Nrc::REQUEST_OUT_OF_RANGE, "not-reporting"),
        (Nrc::INCORRECT_LENGTH, "not-reporting"),
        (Nrc::CONDITIONS_NOT_CORRECT, "nothing-to-report"),
        (Nrc::SECURITY_ACCESS_DENIED, "nrc-33"),
    ] {
        let bench = Bench::new();
        let device = bench.reporting(move |_| Err(nrc));
        bench.ask().is_error(code, 7);
        bench.kept_nothing();
        was_asked_once(&device);
    }
}

#[test]
fn a_device_is_not_bothered_without_a_yes_or_a_place_for_the_answer() {
    let bench = Bench::new();
    let changes: [fn(&mut Script); 3] =
        [|_| (), |script| script.is_on_trial = true, |script| script.is_pending = true];
    for change in changes {
        let device = bench.device(change);
        bench.run(&["report"]).is_error("confirmation-needed", 2);
        bench.made.write("a.report", b"an older one");
        bench.ask().is_error("file-write", 3);
        assert_eq!(bench.made.read("a.report"), b"an older one");
        assert_eq!(device.asked(), []);
    }
    // A loader without an application restarts for nobody.
    let _device = bench.device(|script| {
        script.stays_for = Some(0x0311);
        script.reporting = Some(Arc::new(|nonce| Ok(refused(nonce))));
    });
    bench.run(&["report"]).is_result("reported", 0);
}

/// What was refused before anything was written is forgotten by the reset with which an update ends.
#[test]
fn an_update_keeps_what_the_device_reports_of_its_refusal() {
    let refusal = (Object::Envelope, Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED, Reason::VendorMismatch.code());
    let bench = Bench::new();
    let device = bench.device(|script| {
        script.refuses = Some(refusal);
        script.reporting = Some(Arc::new(|nonce| Ok(refused(nonce))));
    });
    let ended = bench.update(&["--refusal-report", "a.report"]);
    ended.is_error("vendor-mismatch", 7);
    let asked = device.asked();
    let report = asked.iter().position(|asked| matches!(asked, Asked::Report(_))).unwrap();
    assert!(asked.iter().skip(report).any(|asked| *asked == Asked::Reset), "{asked:?}");
    let kept = std::fs::read(bench.made.folder().join("a.report")).unwrap();
    let Some(Asked::Report(nonce)) = asked.get(report) else { panic!("{asked:?}") };
    assert_eq!(kept, refused(nonce));
    // A file that is there, and a folder that is not, are found before the device is bothered.
    let before = device.asked().len();
    for path in ["a.report", "absent/a.report"] {
        bench.update(&["--refusal-report", path]).is_error("file-write", 3);
    }
    assert_eq!(device.asked().len(), before);
    // What cannot be written is told all the same.
    let ended = bench.update(&["--refusal-report", "/proc/a.report"]);
    ended.is_error("vendor-mismatch", 7);
    let warning = ended.stdout.lines().find(|line| line.contains("file-write")).expect("a warning");
    assert!(warning.contains("the device reports: "), "{warning}");
}

/// What is wrong with a place, in words of this program; standard output is none.
#[test]
fn a_place_for_the_answer_that_cannot_be_is_told_in_words() {
    let bench = Bench::new();
    let device = bench.reporting(|nonce| Ok(container(nonce, Outcome::Success)));
    std::fs::write(bench.made.folder().join("there.report"), b"kept").unwrap();
    for (out, words) in
        [("there.report", "it is there already"), ("absent/a.report", "its folder is not there")]
    {
        let ended = bench.run(&["report", "--yes", "--out", out]);
        ended.is_error("file-write", 3);
        assert!(ended.last["error"]["message"].as_str().unwrap().ends_with(words), "{}", ended.stdout);
    }
    for command in [
        &["report", "--yes", "--out", "-"][..],
        &["update", "--release", "release.suit", "--refusal-report", "-"],
    ] {
        let ended = bench.run(command);
        ended.is_error("usage", 2);
        assert!(ended.last["error"]["message"].as_str().unwrap().contains("name a file"), "{}", ended.stdout);
    }
    assert_eq!(device.asked(), []);
    assert!(!bench.made.folder().join("-").exists());
}

/// A device without reports, or with one that answers another question, is refused as it was.
#[test]
fn a_refusal_without_a_report_stays_what_it_is() {
    type Answer = fn(&[u8]) -> Result<Vec<u8>, Nrc>;
    for answer in
        [(|_| Err(Nrc::REQUEST_OUT_OF_RANGE)) as Answer, |_| Ok(refused(b"another one")), |_| Ok(vec![1])]
    {
        let bench = Bench::new();
        let _device = bench.device(|script| {
            script.refuses =
                Some((Object::Envelope, Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED, Reason::VendorMismatch.code()));
            script.reporting = Some(Arc::new(answer));
        });
        bench.update(&["--refusal-report", "a.report"]).is_error("vendor-mismatch", 7);
        bench.kept_nothing();
    }
}

#[cfg(feature = "http")]
#[test]
fn a_report_waits_for_a_server_that_is_away() {
    let bench = Bench::new();
    let _device = bench.reporting(|nonce| Ok(refused(nonce)));
    bench.made.write("token", b"a-token-for-tests");
    let server = ["--server", "http://127.0.0.1:1", "--token-file", "token"];
    let ended = bench.run(&[&ASK[..], &[NONCE], &server].concat());
    ended.is_result("reported", 0);
    assert_eq!((&ended.last["delivery"], &ended.last["file"]), (&"waiting".into(), &"a.report".into()));
    let people = Ended::of(&bench.command(&[&["report", "--yes"], &server[..]].concat()).output().unwrap());
    assert!(
        people.stdout.contains("It waits here for the next contact with the server."),
        "{}",
        people.stdout
    );
    // Who hands over has a token; who has none hands nothing over.
    for half in [&server[..2], &server[2..]] {
        bench.run(&[&ASK[..], &[NONCE], half].concat()).is_error("usage", 2);
    }
}
