//! Two devices cannot become one.

use device_harness::factory::{CLASS, VENDOR};
use serde_json::json;
use trust::author::ProvisioningRequest;
use uuid::Uuid;

use super::bench::{Bench, Life};

/// A block with the device id of its serial (docs/records.md, Identifiers).
pub(crate) fn block_of(bench: &Bench, serial: &str, node_address: u8) -> Vec<u8> {
    let anchors = [bench.factory.anchor()];
    let request = ProvisioningRequest {
        serial,
        vendor: VENDOR,
        class: CLASS,
        device: Uuid::new_v5(&Uuid::from_bytes(VENDOR), format!("device:{serial}").as_bytes()).into_bytes(),
        node_address,
        anchors: &anchors,
        sequence_floor: 0,
    };
    request.encode().expect("provisioning block")
}

#[test]
fn one_provision_does_not_write_two_devices() {
    let bench = Bench::new();
    let _one = bench.sim("flash", &bench.bus);
    let other = bench.sim("flash2", &bench.bus);
    for command in [&["provision", "device.cbor"][..], &["provision", "device.cbor", "--node", "0x10"]] {
        let ended = bench.run(command);
        ended.is_error("several-factory-devices", 7);
        assert!(ended.stdout.contains("2 devices answer"), "{}", ended.stdout);
    }
    drop(other);
    // Neither was written.
    assert_eq!(bench.info()["mode"], "factory");
    bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
    let _other = bench.sim("flash2", &bench.bus);
    assert_eq!(bench.run(&["info", "--node", "0x10"]).last["mode"], "factory");
}

#[test]
fn a_node_address_or_a_serial_in_use_is_not_given_again() {
    let bench = Bench::new();
    let _known = bench.sim("flash", &bench.bus);
    bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
    let _new = bench.sim("flash2", &bench.bus);
    bench.write("node.cbor", &block_of(&bench, "A-0002", 0x21));
    bench.write("serial.cbor", &block_of(&bench, "A-0001", 0x22));
    let ended = bench.run(&["provision", "node.cbor"]);
    ended.is_error("node-address-in-use", 7);
    assert!(ended.stdout.contains("0x21") && ended.stdout.contains("A-0001"), "{}", ended.stdout);
    let ended = bench.run(&["provision", "serial.cbor"]);
    ended.is_error("serial-in-use", 7);
    assert!(ended.stdout.contains("0x21") && ended.stdout.contains("A-0001"), "{}", ended.stdout);
    assert_eq!(bench.run(&["info", "--node", "0x10"]).last["mode"], "factory");
}

#[test]
fn an_equal_number_of_another_manifest_is_installed() {
    let (bench, _sim) = Bench::with_device();
    bench.update(1, &[]).is_result("up-to-date", 0);
    // Another image under the same number.
    bench.release_by(&bench.factory, 1, Life::Confirms, |update| update.version = "1.0.1".to_owned());
    let ended = bench.update(1, &[]);
    ended.is_result("confirmed", 0);
    assert!(ended.stdout.contains("same-number"), "{}", ended.stdout);
    assert_eq!(bench.update(1, &[]).last["release"]["version"], json!("1.0.1"));
    bench.update(1, &[]).is_result("up-to-date", 0);
}
