use super::*;

#[test]
fn a_declared_p2_fits_the_longest_request_on_the_slowest_bus() {
    // 8-byte frames of at most 160 bits at 125 kbit/s are 1.28 ms each.
    assert_eq!(declared_p2_ms(7), 54);
    assert_eq!(declared_p2_ms(1026), 50 + (149 * 128_u16).div_ceil(100));
    assert_eq!(declared_p2_ms(4095), 50 + 752);
    assert_eq!(declared_p2_ms(u16::MAX), 50 + 11_988);
}

/// Version 1 of the state record. This test is never edited: a new layout is a new version with a new test.
#[test]
fn state_record_version_1_is_these_bytes() {
    let record = StateRecord {
        mode: Mode::Application,
        image: ImageState::Reverting,
        flags: Flags { reverted: true, anchor_compiled_in: true, ..Flags::default() },
        sequence_floor: 0x0102_0304_0506_0708,
        active_sequence: 0x1112_1314_1516_1718,
        revocation_sequence: 0x2122_2324_2526_2728,
        resume_offset: 0x3132_3334,
        image_size: 0x4142_4344,
        manifest_digest: [0xD5; 32],
        reason: 0x5152,
        reason_position: 0x6162_6364,
        max_request_len: 0x7172,
        slot_capacity: 0x8182_8384,
        active_digest: [0xA6; 32],
    };
    #[rustfmt::skip]
    let bytes = [
        0x01, 0x02, 0x04, 0x05,
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
        0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
        0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
        0x31, 0x32, 0x33, 0x34,
        0x41, 0x42, 0x43, 0x44,
        0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5,
        0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5,
        0x51, 0x52,
        0x61, 0x62, 0x63, 0x64,
        0x71, 0x72,
        0x81, 0x82, 0x83, 0x84,
        0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6,
        0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6,
    ];
    assert_eq!(record.encode(), bytes);
    assert_eq!(StateRecord::decode(&bytes), Ok(record));
    let listening = StateRecord { flags: Flags { listening: true, ..record.flags }, ..record };
    assert_eq!(listening.encode()[3], 0x0D);
    assert_eq!(StateRecord::decode(&listening.encode()), Ok(listening));
    let second_slot = StateRecord { flags: Flags { second_slot: true, ..record.flags }, ..record };
    assert_eq!(second_slot.encode()[3], 0x15);
    assert_eq!(StateRecord::decode(&second_slot.encode()), Ok(second_slot));
}

#[test]
fn a_record_that_is_not_version_1_is_refused() {
    let good = StateRecord::factory(4095, 512 * 1024).encode();
    for len in (0..200).filter(|&len| len != STATE_RECORD_LEN) {
        assert_eq!(StateRecord::decode(&[1; 200][..len]), Err(StateRecordError::Length(len)));
    }
    for (at, value, error) in [
        (0, 2, StateRecordError::Version(2)),
        (1, 3, StateRecordError::Mode(3)),
        (2, 5, StateRecordError::Image(5)),
        (3, 32, StateRecordError::Flags(32)),
    ] {
        let mut bad = good;
        bad[at] = value;
        assert_eq!(StateRecord::decode(&bad), Err(error));
    }
}

#[test]
fn objects_have_the_documented_addresses() {
    for (object, address) in [
        (Object::Envelope, 0x0000_0000),
        (Object::Image { offset: 0 }, 0x1000_0000),
        (Object::Image { offset: 0x1234 }, 0x1000_1234),
        (Object::Image { offset: 0x0FFF_FFFF }, 0x1FFF_FFFF),
        (Object::RevocationList, 0x2000_0000),
        (Object::ProvisioningBlock, 0x3000_0000),
        (Object::SuccessionChain, 0x4000_0000),
    ] {
        assert_eq!(object.address(), Some(address));
        assert_eq!(Object::at(address), Some(object));
        assert_eq!(Destination::from(object).address(), Some(address));
        assert_eq!(Destination::at(address), Some(object.into()));
    }
    for nothing in [1, 0x0FFF_FFFF, 0x2000_0001, 0x2FFF_FFFF, 0x3000_0001, 0x5000_0001, 0x7000_0000, u32::MAX]
    {
        assert_eq!(Object::at(nothing), None);
        assert_eq!(Destination::at(nothing), None);
    }
    assert_eq!(Object::Image { offset: 0x1000_0000 }.address(), None);
}

/// A device without a table has nothing there.
#[test]
fn the_objects_of_a_table_have_addresses_of_their_own() {
    for (object, address) in [
        (Object::Envelope, 0x5000_0000),
        (Object::Image { offset: 0 }, 0x6000_0000),
        (Object::Image { offset: 0x1234 }, 0x6000_1234),
        (Object::Image { offset: 0x0FFF_FFFF }, 0x6FFF_FFFF),
    ] {
        assert_eq!(object.of(Component::Table).address(), Some(address));
        assert_eq!(Destination::at(address), Some(object.of(Component::Table)));
        assert_eq!(Object::at(address), None);
    }
    for object in [
        Object::Image { offset: 0x1000_0000 },
        Object::RevocationList,
        Object::ProvisioningBlock,
        Object::SuccessionChain,
    ] {
        assert_eq!(object.of(Component::Table).address(), None);
    }
}

#[test]
fn an_option_record_names_a_component() {
    for component in [Component::Firmware, Component::Table] {
        assert_eq!(Component::of(&[component as u8]), Some(component));
    }
    assert_eq!([Component::Firmware, Component::Table].map(Component::state_identifier), [0xFD00, 0xFD04]);
    assert_eq!(Component::of(&[]), Some(Component::Firmware));
    for option in [&[2][..], &[0xFF], &[0, 0], &[1, 0]] {
        assert_eq!(Component::of(option), None);
    }
}

#[test]
fn identifiers_are_normal_fixed_and_collide_with_nobody() {
    assert_eq!(request_id(0x10), Id::Extended(0x18DA_10F1));
    assert_eq!(response_id(0x10), Id::Extended(0x18DA_F110));
    assert_eq!(FUNCTIONAL_ID, Id::Extended(0x18DB_33F1));
    for node in 0..=u8::MAX {
        assert_eq!(responding_node(response_id(node)), is_node_address(node).then_some(node), "{node:02X}");
        assert!(!is_node_address(node) || device_addressing(node).checked().is_ok(), "{node:02X}");
        assert!(!is_node_address(node) || tester_addressing(node).checked().is_ok(), "{node:02X}");
    }
    assert_eq!(
        [0, 1, 239, 240, TESTER_ADDRESS, 255].map(is_node_address),
        [false, true, true, false, false, false]
    );
    assert_eq!(responding_node(Id::Extended(0x18DA_10F1)), None);
    assert_eq!(responding_node(Id::Standard(0x7E8)), None);
    assert!(device_addressing_11().checked().is_ok());
    assert!(tester_addressing_11().checked().is_ok());
}
