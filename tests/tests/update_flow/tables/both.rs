//! Releases of firmware and a table in one, which a device tries, confirms and reverts together.

use device_harness::factory::{description, table_description, with_table};
use serde_json::json;
use system_tests::addresses;

use super::{LONG, long, with_table_slot};
use crate::bench::{Bench, Ended, Life, Ongoing, files};
use crate::relay::{Manner, Relay};

/// A release of firmware and a table, in files.
impl Bench {
    pub(super) fn both(&self, sequence: u64, life: Life, table: &[u8]) {
        self.release(sequence, life);
        let image = std::fs::read(self.path(&format!("{sequence}.bin"))).expect("an image");
        let update = with_table(&description(sequence, &image), &table_description(sequence, table));
        self.write(&format!("both-{sequence}.suit"), &self.factory.envelope_of(&update));
        self.write(&format!("table-{sequence}.bin"), table);
    }

    fn installing_both(&self, sequence: u64, more: &[&str]) -> std::process::Command {
        let [envelope, image, table] =
            [format!("both-{sequence}.suit"), format!("{sequence}.bin"), format!("table-{sequence}.bin")];
        let both = files(&envelope, &image);
        self.command(&[&both[..], &["--image", &table, "--anchor", "root.cose"], more].concat())
    }

    fn install_both(&self, sequence: u64, more: &[&str]) -> Ended {
        Ongoing::start(&mut self.installing_both(sequence, more)).end()
    }
}

#[test]
fn firmware_and_a_table_are_tried_and_confirmed_together() {
    let (bench, _sim) = with_table_slot();
    bench.table(1, b"0..80 bar");
    bench.install_table(1, &[]).is_result("confirmed", 0);
    bench.both(4, Life::Confirms, b"0..90 bar, 4 s");
    let both = bench.install_both(4, &[]);
    both.is_result("confirmed", 0);
    assert_eq!((&both.last["with_table"], &both.last["after"]["sequence"]), (&json!(true), &json!(4)));
    assert_eq!(bench.table_of_device(), (json!(4), json!("confirmed")));
    assert_eq!(bench.info()["version"], "4.0.0");
    let again = bench.install_both(4, &[]);
    again.is_result("up-to-date", 0);
    assert_eq!(again.last["with_table"], true);
    bench.run(&["reset"]);
    let info = bench.info();
    assert_eq!((&info["sequence_floor"], &info["table"]["sequence_floor"]), (&json!(4), &json!(4)));
    // Each goes its own way again.
    bench.table(5, b"0..95 bar");
    bench.install_table(5, &[]).is_result("confirmed", 0);
    assert_eq!(bench.info()["version"], "4.0.0");
    // What is missing is said before anything is sent.
    bench.both(6, Life::Confirms, b"0..97 bar");
    std::fs::remove_file(bench.path("table-6.bin")).expect("a file");
    bench.write("table-6.bin", b"another one");
    let missing = bench.install_both(6, &[]);
    missing.is_error("image-digest-mismatch", 5);
    assert_eq!(bench.info()["version"], "4.0.0");
}

#[test]
fn firmware_and_a_table_go_back_together() {
    let (bench, _sim) = with_table_slot();
    bench.table(1, b"0..80 bar");
    bench.install_table(1, &[]).is_result("confirmed", 0);
    // The application rejects the table, or never confirms itself.
    for (sequence, life, table) in
        [(4, Life::Confirms, &b"reject this"[..]), (5, Life::NeverConfirms, b"0..90 bar")]
    {
        bench.both(sequence, life, table);
        let more = ["--confirm-timeout", "1s", "--revert-unconfirmed"];
        bench.install_both(sequence, &more).is_result("reverted", 7);
        assert_eq!(bench.info()["version"], "1.0.0");
        assert_eq!(bench.table_of_device(), (json!(1), json!("confirmed")));
    }
    // A device without a table takes no half, whatever its host thinks.
    let (bench, _sim) = Bench::with_device();
    bench.both(4, Life::Confirms, b"0..90 bar");
    bench.install_both(4, &[]).is_error("component-unsupported", 5);
    let by_device = bench.install_both(4, &["--dangerous-skip-host-checks"]);
    by_device.is_error("component-unsupported", 7);
    assert_eq!(bench.info()["version"], "1.0.0");
}

/// The power goes away between the two halves, and while the second one comes.
#[test]
fn half_of_a_release_waits_for_the_host_to_bring_the_rest() {
    let (mut bench, sim) = with_table_slot();
    bench.both(4, Life::Confirms, &long(4));
    let device_bus = std::mem::replace(&mut bench.bus, addresses::bus().expect("a port"));
    let _relay = Relay::start(&bench.bus, &device_bus, Manner::Quiet);
    let mut update = Ongoing::start(&mut bench.installing_both(4, &["--patience", "2s"]));
    update.until(LONG as u64 / 2);
    drop(sim);
    update.end().is_error("device-lost", 3);
    let sim = bench.sim_with("flash", &device_bus, &["--table"]);
    assert_eq!(bench.info()["version"], "1.0.0");
    drop(sim);
    let _sim = bench.sim_with("flash", &device_bus, &["--table"]);
    bench.install_both(4, &[]).is_result("confirmed", 0);
    assert_eq!(bench.table_of_device(), (json!(4), json!("confirmed")));
}

/// What waits is told by whoever resets the device, or drops one half of it.
#[test]
fn half_of_a_release_waits_across_a_reset_and_says_so() {
    let (mut bench, sim) = with_table_slot();
    bench.both(4, Life::Confirms, b"0..90 bar");
    let device_bus = std::mem::replace(&mut bench.bus, addresses::bus().expect("a port"));
    let _relay = Relay::start(&bench.bus, &device_bus, Manner::Quiet);
    let mut update = Ongoing::start(&mut bench.installing_both(4, &["--patience", "2s"]));
    // The table has come, and some of the firmware.
    update.until(20_000);
    drop(sim);
    update.end().is_error("device-lost", 3);
    let _sim = bench.sim_with("flash", &device_bus, &["--table"]);
    for _ in 0..2 {
        let ended = bench.run(&["reset"]);
        ended.is_error("part-missing", 7);
        assert!(ended.stdout.contains("its table still waits"), "{}", ended.stdout);
        let info = bench.info();
        let hint = info["hint"].as_str().expect("a hint");
        assert!(hint.contains("no reset tries it alone"), "{hint}");
        let of_table = (&info["table"]["image"], &info["table"]["image_size"]);
        assert_eq!(of_table, (&json!("pending"), &json!(b"0..90 bar".len())));
    }
    let ended = bench.run(&["abandon"]);
    ended.is_result("abandoned", 0);
    let info = bench.info();
    let hint = info["hint"].as_str().expect("a hint");
    assert!(hint.contains("If a reset does not try it, it waits for the firmware"), "{hint}");
    assert!(ended.stdout.contains("updater-host abandon --table drops it too"), "{}", ended.stdout);
    bench.install_both(4, &[]).is_result("confirmed", 0);
    assert_eq!(bench.table_of_device(), (json!(4), json!("confirmed")));
    bench.run(&["reset"]);
    assert_eq!(bench.info()["version"], "4.0.0");
}

/// One file for the technician, out of which the host takes both.
#[test]
fn both_are_installed_out_of_one_envelope() {
    let (bench, _sim) = with_table_slot();
    bench.release(4, Life::Confirms);
    let (image, table) = (bench.read("4.bin"), b"0..90 bar".to_vec());
    let mut update = with_table(&description(4, &image), &table_description(4, &table));
    update.uri = "#image".to_owned();
    if let Some(table) = &mut update.table {
        table.uri = "#table".to_owned();
    }
    bench.write("both.suit", &bench.factory.envelope_of(&update));
    bench.write("table.bin", &table);
    bench.manifest_tool(&[
        "integrate",
        "both.suit",
        "--image",
        "4.bin",
        "--image",
        "table.bin",
        "--out",
        "one.suit",
    ]);
    let ended = bench.run(&["update", "--yes", "--release", "one.suit", "--anchor", "root.cose"]);
    ended.is_result("confirmed", 0);
    assert_eq!(
        (&ended.last["with_table"], bench.table_of_device()),
        (&json!(true), (json!(4), json!("confirmed")))
    );
}

/// docs/attacks.md, HOST54: a file that is damaged on its way is not sent, whichever half it is.
#[test]
fn host54_no_half_of_a_bundle_is_sent_that_is_not_the_one_of_its_release() {
    let (bench, _sim) = with_table_slot();
    bench.both(4, Life::Confirms, b"0..90 bar");
    std::fs::create_dir(bench.path("bundle")).expect("a folder");
    bench.write("bundle/A-0001.suit", &bench.read("both-4.suit"));
    let digits = |file: &str| trust::sha256(&bench.read(file)).map(|byte| format!("{byte:02x}")).concat();
    let name = |file: &str| format!("bundle/{}.enc", digits(file));
    let files = [(name("4.bin"), bench.read("4.bin")), (name("table-4.bin"), bench.read("table-4.bin"))];
    let update = || bench.run(&["update", "--yes", "--bundle", "bundle", "--anchor", "root.cose"]);
    for damaged in 0..files.len() {
        for (place, (name, content)) in files.iter().enumerate() {
            let mut content = content.clone();
            if place == damaged {
                *content.last_mut().expect("a byte") ^= 1;
            }
            bench.write(name, &content);
        }
        update().is_error("image-digest-mismatch", 5);
        let table = &bench.info()["table"];
        assert_eq!((&table["image"], &table["manifest_digest"]), (&json!("none"), &json!(null)), "{damaged}");
    }
    for (name, content) in &files {
        bench.write(name, content);
    }
    update().is_result("confirmed", 0);
    assert_eq!(bench.table_of_device(), (json!(4), json!("confirmed")));
}

/// Both halves are sent as they stand, and the device refuses what is not its table.
#[test]
fn without_the_checks_of_the_host_both_halves_are_sent() {
    let (bench, _sim) = with_table_slot();
    bench.both(4, Life::Confirms, b"0..90 bar");
    bench.write("table-4.bin", b"0..99 bar");
    bench.install_both(4, &["--dangerous-skip-host-checks"]).is_error("image-digest-mismatch", 7);
    bench.write("table-4.bin", b"0..90 bar");
    // Without an anchor nothing is known of the release.
    let both =
        [&files("both-4.suit", "4.bin")[..], &["--image", "table-4.bin", "--dangerous-skip-host-checks"]];
    let update = bench.command(&both.concat());
    let ended = Ongoing::start(&mut { update }).end();
    ended.is_result("confirmed", 0);
    assert_eq!(bench.table_of_device(), (json!(4), json!("confirmed")));
}
