//! A configuration table, from `create --table` to an application that confirms it, beside the firmware.

mod both;
mod both_served;
mod served;

use device_harness::factory::{description, device_key, encrypted, provisioning_block_with};
use serde_json::{Value, json};
use suit_manifest::Target;
use suit_manifest::author::UpdateDescription;
use system_tests::addresses;
use trust::encryption::ContentAlgorithm;

use crate::bench::{Bench, Ended, Life, Ongoing, Sim, files};
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
