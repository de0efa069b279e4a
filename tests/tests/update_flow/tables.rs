//! A configuration table, from `create --table` to an application that confirms it, beside the firmware.

use device_harness::factory::{
    description, device_key, encrypted, provisioning_block_with, table_description, with_table,
};
use serde_json::{Value, json};
use suit_manifest::Target;
use suit_manifest::author::UpdateDescription;
use system_tests::addresses;
use trust::encryption::ContentAlgorithm;

use crate::bench::{Bench, Ended, Life, Ongoing, Sim, UpdateServer, files, from_server};
use crate::relay::{Manner, Relay};

/// Bytes of the long table: enough to be interrupted.
const LONG: usize = 80_000;

/// A device with a table slot that runs release 1, whose tables are of no maker yet.
fn with_table_slot() -> (Bench, Sim) {
    let bench = Bench::new();
    bench.release(1, Life::Confirms);
    let sim = bench.sim_with("flash", &bench.bus, &["--table"]);
    bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
    bench.update(1, &[]).is_result("confirmed", 0);
    (bench, sim)
}

impl Bench {
    /// Writes `table-N.suit` and `table-N.bin`.
    fn table(&self, sequence: u64, content: &[u8]) {
        let update = UpdateDescription { target: Target::Table, ..description(sequence, content) };
        self.write(&format!("table-{sequence}.suit"), &self.factory.envelope_of(&update));
        self.write(&format!("table-{sequence}.bin"), content);
    }

    fn install_table(&self, sequence: u64, more: &[&str]) -> Ended {
        Ongoing::start(&mut self.installing_table(sequence, more)).end()
    }

    fn installing_table(&self, sequence: u64, more: &[&str]) -> std::process::Command {
        let (envelope, table) = (format!("table-{sequence}.suit"), format!("table-{sequence}.bin"));
        self.command(&[&files(&envelope, &table)[..], &["--anchor", "root.cose"], more].concat())
    }

    /// Sequence number of the active table, and its state.
    fn table_of_device(&self) -> (Value, Value) {
        let info = self.info();
        (info["table"]["sequence"].clone(), info["table"]["image"].clone())
    }
}

/// A release of firmware and a table, in files.
impl Bench {
    fn both(&self, sequence: u64, life: Life, table: &[u8]) {
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

fn long(fill: u8) -> Vec<u8> {
    (0..LONG).map(|index| index.to_le_bytes()[0] ^ fill).collect()
}

#[test]
fn tables_are_installed_and_updated_beside_the_firmware() {
    let (bench, _sim) = with_table_slot();
    assert_eq!(bench.table_of_device(), (json!(0), json!("none")));
    bench.table(7, b"0..80 bar");
    let first = bench.install_table(7, &[]);
    first.is_result("confirmed", 0);
    assert_eq!(first.last["target"], "table");
    assert_eq!(first.last["after"], json!({"version": "7.0.0", "sequence": 7}));
    assert_eq!(bench.table_of_device(), (json!(7), json!("confirmed")));
    bench.install_table(7, &[]).is_result("up-to-date", 0);

    bench.table(9, b"0..90 bar, 4 s");
    let second = bench.install_table(9, &[]);
    second.is_result("confirmed", 0);
    assert_eq!(second.last["before"]["sequence"], 7);
    // The firmware is what it was, and its updates leave the table as it is.
    bench.release(2, Life::Confirms);
    let firmware = bench.update(2, &[]);
    firmware.is_result("confirmed", 0);
    assert_eq!(
        (&firmware.last["target"], &firmware.last["before"]["sequence"]),
        (&json!("firmware"), &json!(1))
    );
    let info = bench.info();
    assert_eq!((&info["sequence_floor"], &info["table"]["sequence_floor"]), (&json!(2), &json!(9)));
    assert_eq!(bench.table_of_device(), (json!(9), json!("confirmed")));
}

#[test]
fn suit60_a_device_takes_no_table_as_firmware_and_no_older_one() {
    let (bench, sim) = with_table_slot();
    bench.table(7, b"0..80 bar");
    bench.install_table(7, &[]).is_result("confirmed", 0);
    bench.table(6, b"an older one");
    bench.install_table(6, &[]).is_error("sequence-rollback", 6);
    let by_device = bench.install_table(6, &["--dangerous-skip-host-checks"]);
    by_device.is_error("sequence-rollback", 7);
    assert_eq!(by_device.last["error"]["refused_by"], "device");
    assert_eq!(bench.table_of_device(), (json!(7), json!("confirmed")));
    drop(sim);

    // A device without a table, of the same maker: what it is sent as firmware is none.
    let (bench, _sim) = Bench::with_device();
    bench.table(7, b"0..80 bar");
    bench.install_table(7, &[]).is_error("component-unsupported", 5);
    let by_device = bench.install_table(7, &["--dangerous-skip-host-checks"]);
    by_device.is_error("component-unsupported", 7);
    let info = bench.info();
    assert_eq!((&info["version"], &info["table"]), (&json!("1.0.0"), &Value::Null));
}

#[test]
fn an_interrupted_table_is_resumed_after_a_power_cut() {
    let (mut bench, sim) = with_table_slot();
    bench.table(1, &long(1));
    bench.install_table(1, &[]).is_result("confirmed", 0);
    bench.table(2, &long(2));
    let device_bus = std::mem::replace(&mut bench.bus, addresses::bus().expect("a port"));
    let _relay = Relay::start(&bench.bus, &device_bus, Manner::Quiet);
    let mut update = Ongoing::start(&mut bench.installing_table(2, &["--patience", "2s"]));
    update.until(LONG as u64 / 2);
    drop(sim);
    update.end().is_error("device-lost", 3);

    let _sim = bench.sim_with("flash", &device_bus, &["--table"]);
    let info = bench.info();
    assert_eq!((&info["table"]["resumable"], &info["resumable"]), (&json!(true), &json!(false)));
    assert_eq!(bench.table_of_device(), (json!(1), json!("confirmed")));
    let ended = bench.install_table(2, &[]);
    ended.is_result("confirmed", 0);
    let resumed_from = ended.last["resumed_from"].as_u64().expect("a number");
    assert!((1..LONG as u64).contains(&resumed_from), "{resumed_from}");
    assert_eq!(ended.last["bytes_sent"], LONG as u64 - resumed_from);
}

/// The demo application does not confirm a table that begins with this word.
#[test]
fn a_table_that_its_application_rejects_goes_back() {
    let (bench, _sim) = with_table_slot();
    bench.table(1, b"0..80 bar");
    bench.install_table(1, &[]).is_result("confirmed", 0);
    bench.table(2, b"reject this");
    let trial = bench.install_table(2, &["--confirm-timeout", "1s"]);
    trial.is_result("trial", 7);
    assert_eq!(bench.table_of_device(), (json!(2), json!("trial")));
    let reverted = bench.install_table(2, &["--confirm-timeout", "1s", "--revert-unconfirmed"]);
    reverted.is_result("reverted", 7);
    assert_eq!(reverted.last["reason"], "trial-not-confirmed");
    assert_eq!(reverted.last["after"]["sequence"], 1);
    // The floor is where it was: the maker's next try needs no number above the bad one's.
    bench.table(3, b"0..85 bar");
    bench.install_table(3, &[]).is_result("confirmed", 0);
}

/// Nobody but the device reads it on its way, and the floor in the device's block is that of its firmware.
#[test]
fn a_table_comes_encrypted_and_with_numbers_of_its_own() {
    let bench = Bench::new();
    let key = device_key("A-0001");
    let block = provisioning_block_with(&[bench.factory.anchor()], Some(5), std::slice::from_ref(&key));
    bench.write_secret("device.cbor", &block);
    bench.release(5, Life::Confirms);
    let _sim = bench.sim_with("flash", &bench.bus, &["--table"]);
    bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
    bench.update(5, &[]).is_result("confirmed", 0);
    let content = &long(5)[..4096];
    let update = UpdateDescription { target: Target::Table, ..description(1, content) };
    let (update, ciphertext) = encrypted(&update, content, ContentAlgorithm::A128Gcm, &[key]);
    bench.write("table-1.suit", &bench.factory.envelope_of(&update));
    bench.write("table-1.bin", &ciphertext);
    let verify = ["verify", "table-1.suit", "--block", "device.cbor", "--image", "table-1.bin"];
    assert_eq!(bench.manifest_tool(&verify)["image_decrypted"], true);
    bench.install_table(1, &[]).is_result("confirmed", 0);
    assert_eq!(bench.table_of_device(), (json!(1), json!("confirmed")));
}

#[test]
fn an_unfinished_table_is_abandoned() {
    let (mut bench, sim) = with_table_slot();
    bench.table(2, &long(2));
    let device_bus = std::mem::replace(&mut bench.bus, addresses::bus().expect("a port"));
    let _relay = Relay::start(&bench.bus, &device_bus, Manner::Quiet);
    let mut update = Ongoing::start(&mut bench.installing_table(2, &[]));
    update.until(LONG as u64 / 2).interrupt();
    update.end().is_error("interrupted", 3);
    bench.run(&["abandon"]).is_result("nothing-to-abandon", 0);
    bench.run(&["abandon", "--table"]).is_result("abandoned", 0);
    assert_eq!(bench.info()["table"]["resumable"], false);
    assert_eq!(bench.table_of_device(), (json!(0), json!("none")));
    drop(sim);
}

impl Bench {
    /// Makes a table and publishes it.
    fn publish_table(&self, server: &UpdateServer, sequence: u64, content: &[u8]) {
        self.table(sequence, content);
        let (envelope, table) = (format!("table-{sequence}.suit"), format!("table-{sequence}.bin"));
        server.publish_files(self, &[&envelope, "--image", &table]);
    }

    fn fetch(&self, server: &UpdateServer, more: &[&str]) -> Ended {
        self.run(&[&from_server(&server.url)[..], more].concat())
    }
}

/// What became of firmware and of table in the last line: result, sequence number.
fn both(ended: &Ended) -> [(Value, Value); 2] {
    let table = &ended.last["table"];
    assert_eq!((&ended.last["target"], &table["target"]), (&json!("firmware"), &json!("table")));
    [&ended.last, table].map(|report| (report["result"].clone(), report["after"]["sequence"].clone()))
}

/// One run brings both, each the newest of its own, whatever the numbers are.
#[test]
fn srv65_a_server_brings_firmware_and_table_each_its_newest() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.fetch(&server, &[]).is_error("no-release", 7);
    bench.fetch(&server, &["--target", "table"]).is_error("no-release", 7);
    // Tables alone, with a number above that of all firmware.
    bench.publish_table(&server, 40, b"0..80 bar");
    bench.fetch(&server, &["--target", "firmware"]).is_error("no-release", 7);
    let alone = bench.fetch(&server, &[]);
    alone.is_result("confirmed", 0);
    assert_eq!((&alone.last["target"], &alone.last["after"]["sequence"]), (&json!("table"), &json!(40)));
    assert!(alone.stdout.contains("\"no-release\""), "{}", alone.stdout);

    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 41, b"0..85 bar");
    let ended = bench.fetch(&server, &[]);
    ended.is_result("confirmed", 0);
    let confirmed = json!("confirmed");
    assert_eq!(both(&ended), [(confirmed.clone(), json!(2)), (confirmed.clone(), json!(41))]);
    let told = ended.stdout.lines().filter(|line| line.contains("\"event\":\"updated\"")).count();
    assert_eq!(told, 1, "{}", ended.stdout);
    assert_eq!(bench.table_of_device(), (json!(41), confirmed));
    let again = bench.fetch(&server, &[]);
    let there = json!("up-to-date");
    assert_eq!(both(&again), [(there.clone(), json!(2)), (there, json!(41))]);
    let firmware = bench.fetch(&server, &["--target", "firmware"]);
    firmware.is_result("up-to-date", 0);
    assert_eq!(firmware.last["table"], Value::Null);
    // The registry knows of each what it is.
    let device = server.get("/v1/devices/A-0001");
    assert_eq!((&device["version"], &device["sequence"]), (&json!("2.0.0"), &json!(2)));
    assert_eq!((&device["table"]["version"], &device["table"]["sequence"]), (&json!("41.0.0"), &json!(41)));
    for (installed, target) in [(&device, "firmware"), (&device["table"], "table")] {
        let digest = installed["manifest_digest"].as_str().expect("a digest");
        let release = server.get(&format!("/v1/releases/{digest}"));
        assert_eq!(
            (&release["target"], &release["release_kid"]),
            (&json!(target), &installed["release_kid"])
        );
    }
    let events: Vec<_> = device["events"].as_array().expect("a list").iter().collect();
    let of = |target: &str| {
        let of_it = events.iter().filter(|event| event["target"] == target);
        of_it.map(|event| event["kind"].as_str().expect("a kind")).collect::<Vec<_>>()
    };
    let run = ["update-confirmed", "update-installed", "update-started"];
    assert_eq!((of("firmware"), of("table")), (run.to_vec(), [run, run].concat()));
}

/// Of what there is a plan, in the order in which they were shown.
fn plans(ended: &Ended) -> Vec<String> {
    let lines = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let plans = lines.filter(|line| line["event"] == "plan");
    plans.map(|plan| plan["target"].as_str().expect("a target").to_owned()).collect()
}

/// Nobody is left with half of what he was asked for.
#[test]
fn host53_firmware_and_a_table_are_agreed_to_together_before_anything_is_sent() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 1, b"0..80 bar");
    let asking: Vec<&str> = from_server(&server.url).into_iter().filter(|it| *it != "--yes").collect();
    let asked = bench.run(&asking);
    asked.is_error("confirmation-needed", 2);
    assert_eq!(plans(&asked), ["firmware", "table"]);
    assert_eq!((bench.info()["sequence"].clone(), bench.table_of_device().0), (json!(1), json!(0)));
    // Of what there is nothing to do with nobody is asked.
    bench.fetch(&server, &["--target", "firmware"]).is_result("confirmed", 0);
    let asked = bench.run(&asking);
    asked.is_error("confirmation-needed", 2);
    assert_eq!(plans(&asked), ["table"]);
    assert_eq!(bench.table_of_device().0, json!(0));
    bench.fetch(&server, &[]).is_result("up-to-date", 0);
    assert_eq!(bench.table_of_device().0, json!(1));
    let nothing = bench.run(&asking);
    nothing.is_result("up-to-date", 0);
    assert_eq!(plans(&nothing), [""; 0]);
}

/// Both were fetched by a run that nobody confirmed.
#[test]
fn without_the_server_firmware_and_table_come_from_the_cache() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 1, b"0..80 bar");
    let url = server.url.clone();
    let unconfirmed: Vec<&str> = from_server(&url).into_iter().filter(|it| *it != "--yes").collect();
    bench.run(&unconfirmed).is_error("confirmation-needed", 2);
    drop(server);
    let ended = bench.run(&from_server(&url));
    assert_eq!(both(&ended), [2, 1].map(|sequence| (json!("confirmed"), json!(sequence))));
    assert!(ended.stdout.contains("server-unreachable"), "{}", ended.stdout);
}

/// A session for the table would end the trial of the firmware.
#[test]
fn host51_no_table_follows_firmware_that_is_not_confirmed() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::NeverConfirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 1, b"0..80 bar");
    let trial = bench.fetch(&server, &["--confirm-timeout", "1s"]);
    trial.is_result("trial", 7);
    assert_eq!((&trial.last["after"]["sequence"], &trial.last["table"]), (&json!(2), &Value::Null));
    assert_eq!(bench.info()["sequence"], 2, "still on trial");
    assert_eq!(bench.table_of_device(), (json!(0), json!("none")));
    let reverted = bench.fetch(&server, &["--confirm-timeout", "1s", "--revert-unconfirmed"]);
    reverted.is_result("reverted", 7);
    assert_eq!(reverted.last["table"], Value::Null);
    // By itself it comes.
    bench.fetch(&server, &["--target", "table"]).is_result("confirmed", 0);
}

/// What became of the firmware is told, whatever becomes of the table.
#[test]
fn a_table_that_does_not_come_leaves_the_firmware_that_came() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 1, b"reject this");
    let ended = bench.fetch(&server, &["--confirm-timeout", "2s"]);
    ended.is_result("confirmed", 7);
    assert_eq!(both(&ended)[1], (json!("trial"), json!(1)));
    // The host refuses one that is too large, and by then the firmware is there.
    bench.release(3, Life::Confirms);
    server.publish(&bench, 3);
    bench.publish_table(&server, 2, &vec![7; 400_000]);
    let ended = bench.fetch(&server, &[]);
    ended.is_error("image-too-large", 5);
    assert!(ended.stdout.contains("\"event\":\"updated\""), "{}", ended.stdout);
    assert_eq!(bench.info()["version"], "3.0.0");
}

#[test]
fn a_device_without_a_table_gets_none() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 9, b"0..80 bar");
    let ended = bench.fetch(&server, &[]);
    ended.is_result("confirmed", 0);
    assert_eq!((&ended.last["target"], &ended.last["table"]), (&json!("firmware"), &Value::Null));
    bench.fetch(&server, &["--target", "table"]).is_error("component-unsupported", 5);
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
    bench.install_both(4, &[]).is_result("up-to-date", 0);
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
