//! A release of two images, from its maker to the loader binary of a board whose images run in place: every program on
//! the way has to hand on both, and the device gets the one for the slot that it writes.

use std::path::PathBuf;

use emulator::{Application, Behaviour, Board, Programs};
use qemu_mps2_layout::AN386;
use serde_json::{Value, json};

use crate::bench::{Bench, Ended, UpdateServer, from_server};

/// Bytes that the images hold beside their code.
const BALLAST_LEN: u32 = 16 * 1024;
const FIRST_SLOT: &str = "the release's image for the first slot";
const SECOND_SLOT: &str = "the release's image for the second slot";

/// A maker with keys of its own, and a provisioned board without an application.
struct Life {
    bench: Bench,
    programs: Programs,
    _board: Board,
}

impl Life {
    fn begin() -> Self {
        let programs =
            Programs::new(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("..")).expect("a folder");
        let programs = programs.on(AN386).in_place();
        let mut bench = Bench::new();
        let loader = programs.loader().expect("the loader");
        let board = Board::power_on_machine(AN386, &loader, &bench.path("flash")).expect("the board");
        bench.bus = board.bus();

        for name in ["root", "release"] {
            let (private, public) = (format!("{name}.pem"), format!("{name}.cose"));
            bench.manifest_tool(&["key", "generate", "--no-passphrase", "--out", &private]);
            bench.manifest_tool(&["key", "public", &private, "--out", &public, "--force"]);
        }
        let scope = ["--vendor", "example.com", "--class", "node"];
        let holder =
            ["--for", "release.cose", "--role", "release", "--issuer", "root", "--subject", "release"];
        let issue = ["credential", "issue", "--key", "root.pem", "--out", "release.cwt"];
        bench.manifest_tool(&[&issue[..], &holder, &scope].concat());
        let identity = ["provision", "--serial", "A-0001", "--anchor", "root.cose"];
        bench.manifest_tool(&[&identity[..], &scope, &["--out", "device.cbor", "--force"]].concat());
        bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
        Self { bench, programs, _board: board }
    }

    /// Makes `N.suit` with `N.bin` and `N.second.bin`, and has manifest-tool tell the two apart.
    fn release(&self, sequence: u64, behaviour: Behaviour) {
        let version = format!("{sequence}.0.0");
        let application = Application { version: version.clone(), behaviour, ballast_len: Some(BALLAST_LEN) };
        let [first, second] = [0, 1].map(|slot| {
            let elf = self.programs.application_for(slot, &application).expect("the application");
            elf.to_str().expect("a path").to_owned()
        });
        let number = sequence.to_string();
        let [envelope, image, second_image] = files_of(sequence);
        let what =
            ["--vendor", "example.com", "--class", "node", "--sequence", &number, "--version", &version];
        let images = ["--image", &first, "--second-image", &second];
        let out =
            ["--out", "unsigned.suit", "--force", "--image-out", &image, "--second-image-out", &second_image];
        self.bench.manifest_tool(&[&["create"], &what[..], &images, &out].concat());
        let keys = ["--key", "release.pem", "--credential", "release.cwt", "--out", &envelope];
        self.bench.manifest_tool(&[&["sign", "unsigned.suit"], &keys[..]].concat());
        for (slot, image) in [image, second_image].iter().enumerate() {
            let verify = ["verify", &envelope, "--anchor", "root.cose", "--image", image];
            assert_eq!(self.bench.manifest_tool(&verify)["image_slot"], slot);
        }
    }

    fn publish(&self, server: &UpdateServer, sequence: u64) {
        let [envelope, image, second] = files_of(sequence);
        server.publish_files(&self.bench, &[&envelope, "--image", &image, "--second-image", &second]);
    }

    /// Makes, publishes and installs a release, and sees it confirmed.
    fn update(&self, server: &UpdateServer, sequence: u64) {
        self.release(sequence, Behaviour::Confirms);
        self.publish(server, sequence);
        let ended = self.bench.run(&from_server(&server.url));
        ended.is_result("confirmed", 0);
        assert_eq!(ended.last["after"], json!({"version": format!("{sequence}.0.0"), "sequence": sequence}));
        assert_eq!(self.bench.info()["sequence_floor"], sequence);
    }

    /// What updater-host keeps under the name of this image.
    fn kept(&self, image: &str) -> PathBuf {
        let images = std::fs::read_dir(self.bench.path("data/cache/images")).expect("a cache");
        let bytes = self.bench.read(image);
        let mut paths = images.map(|entry| entry.expect("an entry").path());
        paths.find(|path| std::fs::read(path).is_ok_and(|kept| kept == bytes)).expect("the image is kept")
    }

    /// `update` with one of the two files: the host refuses it before the device is asked for anything.
    fn is_refused_without(&self, sequence: u64, image: &str, missing: &str) {
        let before = self.bench.info();
        let [envelope, ..] = files_of(sequence);
        let files = ["update", "--yes", "--anchor", "root.cose", "--release", &envelope, "--image", image];
        let ended = self.bench.run(&files);
        ended.is_error("image-digest-mismatch", 5);
        let error = &ended.last["error"];
        assert!(error["message"].as_str().is_some_and(|words| words.contains(missing)), "{error}");
        assert_eq!(error["hint"], "Pass both images of the release with --image.");
        assert_eq!(before, self.bench.info());
    }
}

/// Names of the files of a release: envelope, image for the first slot, image for the second one.
fn files_of(sequence: u64) -> [String; 3] {
    [format!("{sequence}.suit"), format!("{sequence}.bin"), format!("{sequence}.second.bin")]
}

/// Fetches a release and stops before anything is sent.
fn fetch(bench: &Bench, url: &str) {
    let arguments: Vec<&str> = from_server(url).into_iter().filter(|argument| *argument != "--yes").collect();
    bench.run(&arguments).is_error("confirmation-needed", 2);
}

fn warns(ended: &Ended, code: &str) {
    let is_told = ended.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    assert!(is_told.into_iter().any(|event| event["code"] == code), "no {code}: {}", ended.stdout);
}

#[test]
fn a_release_of_two_images_goes_the_whole_way_and_back() {
    let life = Life::begin();
    let Life { bench, .. } = &life;
    let server = UpdateServer::start(bench, 0);
    let url = server.url.clone();

    // One of the two images is not a release for the server, and the server keeps none.
    life.release(1, Behaviour::Confirms);
    let [envelope, image, second] = files_of(1);
    let one = server.publication(bench, &[&envelope, "--image", &image]);
    assert_eq!(one.code, 2, "{}", one.stderr);
    assert!(one.stderr.contains("pass --second-image"), "{}", one.stderr);
    bench.run(&from_server(&url)).is_error("no-release", 7);

    // From files: the new device writes its first slot.
    life.is_refused_without(1, &second, FIRST_SLOT);
    let both = ["--release", &envelope, "--image", &second, "--image", &image];
    let ended = bench.run(&[&["update", "--yes", "--anchor", "root.cose"], &both[..]].concat());
    ended.is_result("confirmed", 0);

    // From the server, each slot once: 2 lies in the second slot, 3 in the first one.
    life.update(&server, 2);
    life.kept("2.bin");
    life.kept("2.second.bin");
    life.update(&server, 3);

    // Without the server: the image for the second slot is what the device needs, the other one may be lost.
    life.release(4, Behaviour::NeverConfirms);
    life.publish(&server, 4);
    fetch(bench, &url);
    drop(server);
    life.is_refused_without(4, "4.bin", SECOND_SLOT);
    let before = bench.info();
    let (needed, aside) = (life.kept("4.second.bin"), bench.path("aside"));
    std::fs::rename(&needed, &aside).expect("moved");
    let ended = bench.run(&from_server(&url));
    ended.is_error("server-unreachable", 3);
    warns(&ended, "cache-damaged");
    assert_eq!(before, bench.info());
    std::fs::rename(&aside, &needed).expect("moved");
    std::fs::remove_file(life.kept("4.bin")).expect("removed");

    // It never confirms itself: the device runs 3 where it lies, and that slot was not written.
    let trial = ["--confirm-timeout", "2s", "--revert-unconfirmed"];
    let ended = bench.run(&[&from_server(&url)[..], &trial].concat());
    ended.is_result("reverted", 7);
    assert_eq!(ended.last["reason"], "trial-not-confirmed");
    assert_eq!(ended.last["after"], json!({"version": "3.0.0", "sequence": 3}));
    let info = bench.info();
    assert_eq!((&info["mode"], &info["sequence_floor"]), (&json!("application"), &json!(3)), "{info}");
}
