//! The bytes of a record.

use super::*;

/// Every kind of record, format version 1. Devices in the field hold these bytes: do not change, only add.
fn frozen() -> [(Record, &'static str); 4] {
    let one = ImageRecord { manifest_digest: [0xA1; 32], sequence: 0x0102_0304_0506_0708, size: 0x1234 };
    let two = ImageRecord { manifest_digest: [0xB2; 32], sequence: 9, size: 0xFFFF_FFFF };
    let numbers = |recovery_epoch, succession_sequence, list_sequence| DomainNumbers {
        recovery_epoch,
        succession_sequence,
        list_sequence,
    };
    [
        (
            Record { sequence: 1, is_second: false, state: BootState::FACTORY },
            "01051200000000010000000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000000000000000000000000000000000000000000000000000\
             000000000000000000000000000000000000000000000000000000000000000000000000dedbf74c",
        ),
        (
            Record {
                sequence: 0x0102_0304,
                is_second: true,
                state: BootState {
                    status: Status::Installing { offset: 0x2000 },
                    floor: 7,
                    active: Some(one),
                    spare: Some(two),
                    receives_in_b: false,
                    has_anchor_set: false,
                    set: 0x0E0F,
                    domains: [numbers(1, 2, 5), numbers(0x1112, 0x1314, 0x0C0D)],
                    provisioned: true,
                    revert_reason: 0x0303,
                    ownership_floor: 6,
                    marks: 0,
                    is_unmarked: false,
                    source: 0,
                    failed_mends: 3,
                    attempts: Attempts([1, 2, 3, 4, 5, 6, 7, 8]),
                },
            },
            "0105121b010203046100002000000000000000000e0f030300000006010203040506070800000000\
             00000007a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a101020304\
             0506070800001234b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2\
             0000000000000009ffffffff000100020000000000000005111213140000000000000c0d80ee740b",
        ),
        (
            Record {
                sequence: 2,
                is_second: false,
                state: BootState {
                    status: Status::Reverting(SwapProgress { page: 3, step: Step::Take }),
                    spare: Some(one),
                    receives_in_b: true,
                    marks: 0x0006_0708,
                    is_unmarked: true,
                    source: 0x2122_2324,
                    ..BootState::FACTORY
                },
            },
            "01051234000000020500000007212223240607080000000000000000000000000000000000000000\
             00000000000000000000000000000000000000000000000000000000000000000000000000000000\
             0000000000000000a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1\
             010203040506070800001234000000000000000000000000000000000000000000000000ed9dc767",
        ),
        (
            Record {
                sequence: 3,
                is_second: true,
                state: BootState {
                    status: Status::Trial { boots: 1 },
                    active: Some(two),
                    domains: [numbers(0, 0, u64::MAX), numbers(0, 0, 0)],
                    failed_mends: 7,
                    ..BootState::FACTORY
                },
            },
            "0105120a00000003ec00000000000000000000000000000000000000000000000000000000000000\
             00000000b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b200000000\
             00000009ffffffff0000000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000ffffffffffffffff0000000000000000000000001515b1f1",
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_record_format_is_frozen() {
    for (record, expected) in frozen() {
        let bytes = record.encode();
        assert_eq!(hex(&bytes), expected);
        let read = BootState::decode(&bytes).expect("a record");
        let Record { sequence, is_second, state } = record;
        assert_eq!((read.sequence, read.is_second, read.state), (sequence, is_second, state));
    }
}

#[test]
fn a_record_with_any_bit_flipped_is_no_record() {
    let [_, (record, _), ..] = frozen();
    let bytes = record.encode();
    for bit in 0..RECORD_LEN * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(BootState::decode(&flipped).is_none(), "bit {bit}");
    }
}

/// Another version, length or number of components and domains; a flag, a status and boots that there are not; images
/// that are not there and have content.
#[test]
fn a_record_with_a_value_where_no_field_has_it_is_no_record() {
    let bytes = Record { sequence: 1, is_second: false, state: BootState::FACTORY }.encode();
    assert_eq!(sealed(bytes), bytes);
    for (position, value) in
        [(0, 2), (1, 6), (2, 0x22), (2, 0x11), (3, 0x80), (8, 6), (8, 7), (8, 0x08), (12, 1)]
    {
        let mut other = bytes;
        other[position] = value;
        assert!(BootState::decode(&sealed(other)).is_none(), "{value} at {position}");
    }
    for position in 44..132 {
        let mut other = bytes;
        other[position] = 1;
        assert!(BootState::decode(&sealed(other)).is_none(), "byte {position} of an image");
    }
}

/// The record with the CRC that belongs to its content.
pub(super) fn sealed(mut record: [u8; RECORD_LEN]) -> [u8; RECORD_LEN] {
    let (content, crc) = record.split_last_chunk_mut::<4>().unwrap();
    *crc = checksum(&[content]).to_be_bytes();
    record
}
