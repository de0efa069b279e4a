use super::{Block, node_address};
use trust::author::{Signer as _, SoftwareKey};

/// docs/records.md, provisioning block, version 1. Never edited: a new version gets a vector of its own.
#[test]
fn frozen_block() {
    let anchor = SoftwareKey::from_seed(&[1; 32]).unwrap().public_key();
    let block = Block {
        serial: "A-1",
        vendor: [0xa1; 16],
        class: [0xc1; 16],
        device: [0xd1; 16],
        node_address: 0x20,
        anchors: &[anchor],
        sequence_floor: 300,
    };
    let expected = concat!(
        "a8",
        "0001",
        "0163412d31",
        "0250a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
        "0350c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1",
        "0450d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
        "051820",
        "06815828a301012006215820",
        "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
        "0719012c",
    );
    assert_eq!(hex::encode(block.encode().unwrap()), expected);
}

#[test]
fn what_is_default_is_left_out() {
    let block = Block {
        serial: "A",
        vendor: [0; 16],
        class: [0; 16],
        device: [0; 16],
        node_address: 16,
        anchors: &[],
        sequence_floor: 0,
    };
    let zeros = "00".repeat(16);
    let expected = format!("a60001016141{}0510", [2, 3, 4].map(|key| format!("0{key}50{zeros}")).concat());
    assert_eq!(hex::encode(block.encode().unwrap()), expected);
}

#[test]
fn the_largest_block_fits() {
    let anchors: Vec<_> =
        (1..=4).map(|seed| SoftwareKey::from_seed(&[seed; 32]).unwrap().public_key()).collect();
    let block = Block {
        serial: &"S".repeat(32),
        vendor: [0xa1; 16],
        class: [0xc1; 16],
        device: [0xd1; 16],
        node_address: 239,
        anchors: &anchors,
        sequence_floor: u64::MAX,
    };
    assert!(block.encode().unwrap().len() <= 1024);
}

#[test]
fn node_addresses() {
    assert_eq!(node_address("16"), Ok(16));
    assert_eq!(node_address("0xef"), Ok(239));
    for bad in ["0", "240", "0xF1", "256", "-1", "", "0x", "ten"] {
        assert!(node_address(bad).is_err(), "{bad}");
    }
}
