//! The provisioning block: what its one writer writes, its one reader reads; all else is refused.

use trust::author::{AuthorError, ProvisioningRequest, Signer as _};
use trust::provisioning::{Identity, MAX_PROVISIONING_BLOCK_LEN, ProvisioningBlock, UNPROVISIONED_SERIAL};
use trust::{Anchor, Domain, ErrorKind, MAX_MINIMUM_SEQUENCE, Rights};

use super::forge::{array, bstr, int, map, tstr};
use super::roots::key;

fn request(anchors: &[Anchor]) -> ProvisioningRequest<'_> {
    ProvisioningRequest {
        serial: "A-1",
        vendor: [0xa1; 16],
        class: [0xc1; 16],
        device: [0xd1; 16],
        node_address: 0x20,
        anchors,
        sequence_floor: 300,
    }
}

fn root(seed: u8) -> Anchor {
    Anchor::root(key(seed).public_key())
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn anchor_item(seed: u8, rights: i64, domain: &[u8]) -> Vec<u8> {
    array(&[key(seed).public_key().to_cose_key().to_vec(), int(rights), bstr(domain)])
}

/// The entries of a good block, to be changed.
fn entries() -> Entries {
    vec![
        (int(0), int(1)),
        (int(1), tstr("A-1")),
        (int(2), bstr(&[0xa1; 16])),
        (int(3), bstr(&[0xc1; 16])),
        (int(4), bstr(&[0xd1; 16])),
        (int(5), int(0x20)),
        (int(6), array(&[anchor_item(1, 15, &key(1).public_key().kid().0)])),
        (int(7), int(300)),
    ]
}

fn refusal(entries: &Entries) -> Option<ErrorKind> {
    ProvisioningBlock::parse(&map(entries)).err().map(|error| error.kind)
}

/// docs/records.md, provisioning block, version 1.
#[test]
fn frozen_block() {
    let expected = concat!(
        "a8",
        "0001",
        "0163412d31",
        "0250a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
        "0350c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1",
        "0450d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
        "051820",
        "068183a301012006215820",
        "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
        "0f48dd2fb4e18b5e1ce3",
        "0719012c",
    );
    assert_eq!(hex::encode(request(&[root(1)]).encode().unwrap()), expected);
    assert_eq!(map(&entries()), hex::decode(expected).unwrap());
}

#[test]
fn what_is_written_is_read() {
    let anchors = [
        root(1),
        Anchor::new(key(2).public_key(), Rights::BOOT, root(1).domain()),
        Anchor::new(key(3).public_key(), Rights::GOVERNANCE.and(Rights::SUCCESSION), Domain(root(3).kid())),
    ];
    let block = request(&anchors).encode().unwrap();
    let read = ProvisioningBlock::parse(&block).unwrap();
    assert_eq!(read.anchors.as_slice(), anchors);
    assert_eq!(read.anchors.domains().collect::<Vec<_>>(), [root(1).domain(), root(3).domain()]);
    assert_eq!((read.identity.serial(), read.identity.node_address), ("A-1", 0x20));
    assert_eq!(
        (read.identity.vendor, read.identity.class, read.identity.device),
        ([0xa1; 16], [0xc1; 16], [0xd1; 16])
    );
    assert_eq!(read.sequence_floor, 300);
}

/// Bytes of a block up to the end of the node address.
fn front_len(identity: &Identity) -> usize {
    let (serial_len, address) = (identity.serial().len(), identity.node_address);
    5 + serial_len + usize::from(serial_len > 23) + 3 * 18 + 2 + usize::from(address > 23)
}

/// What an application reads is what the loader parsed, and the front of a block that the loader refuses is none.
#[test]
fn an_identity_is_read_from_every_block_and_from_nothing_else() {
    let one = [root(1)];
    for (serial_len, anchors, sequence_floor) in
        [(1, &one[..], 0), (23, &one, 7), (24, &[], 0), (32, &[], 7), (31, &one, 1)]
    {
        let serial = "s".repeat(serial_len);
        for node_address in [1, 23, 24, 239] {
            let block =
                ProvisioningRequest { serial: &serial, node_address, sequence_floor, ..request(anchors) }
                    .encode()
                    .unwrap();
            let expected = ProvisioningBlock::parse(&block).unwrap().identity;
            assert_eq!((expected.serial(), expected.node_address), (serial.as_str(), node_address));
            assert_eq!(Identity::in_front_of(&block), Some((expected, !anchors.is_empty())));

            let front = front_len(&expected);
            for len in 0..front {
                assert_eq!(Identity::in_front_of(&block[..len]), None, "{len}");
            }
            for (offset, value) in (0..front).flat_map(|offset| (0..=255).map(move |value| (offset, value))) {
                let mut other = block.clone();
                other[offset] = value;
                let found = Identity::in_front_of(&other).map(|(identity, _)| identity);
                match ProvisioningBlock::parse(&other) {
                    Ok(block) => assert_eq!(found, Some(block.identity), "{offset}: {value:#04x}"),
                    // A fault after a front that is whole.
                    Err(error) if found.is_some_and(|found| error.position as usize >= front_len(&found)) => {
                    }
                    Err(error) => assert_eq!(found, None, "{offset}: {value:#04x}, {error:?}"),
                }
            }
        }
    }
}

/// The serial of devices in factory state is none of a block.
#[test]
fn an_application_takes_no_device_for_one_in_factory_state() {
    let serial = "x".repeat(UNPROVISIONED_SERIAL.len());
    let mut block = ProvisioningRequest { serial: &serial, ..request(&[root(1)]) }.encode().unwrap();
    assert_eq!(Identity::in_front_of(&block).unwrap().0.serial(), serial);
    let at = block.windows(serial.len()).position(|window| window == serial.as_bytes()).unwrap();
    block[at..at + serial.len()].copy_from_slice(UNPROVISIONED_SERIAL.as_bytes());
    assert_eq!(Identity::in_front_of(&block), None);
    assert_eq!(ProvisioningBlock::parse(&block).unwrap_err().kind, ErrorKind::InvalidText);
}

#[test]
fn what_is_default_is_left_out() {
    let block = ProvisioningRequest { serial: "A", sequence_floor: 0, ..request(&[]) }.encode().unwrap();
    assert_eq!(block[0], 0xa6);
    let read = ProvisioningBlock::parse(&block).unwrap();
    assert!(read.anchors.is_empty());
    assert_eq!(read.sequence_floor, 0);
}

#[test]
fn the_largest_block_fits() {
    let domains = [root(1).domain(), root(2).domain(), root(1).domain(), root(2).domain()];
    let anchors: Vec<_> = (1..=4)
        .zip(domains)
        .zip([Rights::ALL, Rights::ALL, Rights::BOOT, Rights::BOOT])
        .map(|((seed, domain), rights)| Anchor::new(key(seed).public_key(), rights, domain))
        .collect();
    let serial = "S".repeat(32);
    let largest = ProvisioningRequest {
        serial: &serial,
        node_address: 239,
        sequence_floor: MAX_MINIMUM_SEQUENCE,
        ..request(&anchors)
    };
    assert!(largest.encode().unwrap().len() <= MAX_PROVISIONING_BLOCK_LEN);
}

#[test]
fn every_key_but_two_is_required_and_none_is_unknown() {
    for index in 0..entries().len() {
        let mut less = entries();
        let (key, _) = less.remove(index);
        let optional = key == int(6) || key == int(7);
        assert_eq!(refusal(&less), (!optional).then_some(ErrorKind::MissingKey), "{key:?}");
    }
    for (key, expected) in [
        (8, ErrorKind::DeviceKeysUnsupported),
        (9, ErrorKind::PolicyUnsupported),
        (10, ErrorKind::IdentityCredentialUnsupported),
        (11, ErrorKind::UnknownKey),
    ] {
        let mut more = entries();
        more.push((int(key), array(&[])));
        assert_eq!(refusal(&more), Some(expected), "key {key}");
    }
}

#[test]
fn values_have_ranges() {
    use ErrorKind::{InvalidText, OutOfRange, Repeated, TooMany, UnexpectedType};
    let own = key(1).public_key().kid().0;
    let anchors = |items: &[Vec<u8>]| array(items);
    let many: Vec<_> = (1..=5).map(|seed| anchor_item(seed, 8, &own)).collect();
    let two_of = |rights| [anchor_item(1, rights, &own), anchor_item(2, rights, &own)];
    let domains: Vec<_> = (1..=3).map(|seed| anchor_item(seed, 15, &[seed; 8])).collect();
    for (key, value, expected) in [
        (0, int(2), OutOfRange),
        (1, tstr(""), OutOfRange),
        (1, tstr(&"S".repeat(33)), OutOfRange),
        (1, tstr("A\u{7}"), InvalidText),
        (1, tstr("\u{e4}"), InvalidText),
        (2, bstr(&[0; 15]), UnexpectedType),
        (5, int(0), OutOfRange),
        (5, int(240), OutOfRange),
        (5, int(0xf1), OutOfRange),
        (5, int(257), OutOfRange),
        (6, anchors(&[]), OutOfRange),
        (7, int((1 << 62) + 1), OutOfRange),
        (6, anchors(&many), TooMany),
        (6, anchors(&domains), TooMany),
        (6, anchors(&[many[0].clone(), anchor_item(1, 8, &own)]), Repeated),
        (6, anchors(&two_of(15)), Repeated),
        (6, anchors(&two_of(6)), Repeated),
        (6, anchors(&two_of(4)), Repeated),
        (6, anchors(&[anchor_item(1, 0, &own)]), OutOfRange),
        (6, anchors(&[anchor_item(1, 16, &own)]), OutOfRange),
        (6, anchors(&[anchor_item(1, 15, &own[1..])]), UnexpectedType),
        (6, anchors(&[key_alone()]), UnexpectedType),
    ] {
        let mut changed = entries();
        changed[usize::try_from(key).unwrap()].1 = value.clone();
        assert_eq!(refusal(&changed), Some(expected), "key {key}: {}", hex::encode(value));
    }
    let mut block = map(&entries());
    block.push(0);
    assert_eq!(ProvisioningBlock::parse(&block).unwrap_err().kind, ErrorKind::TrailingBytes);
    assert_eq!(ProvisioningBlock::parse(&[0; 1025]).unwrap_err().kind, ErrorKind::TooLong);
}

/// The anchor of an earlier draft: a wrapped COSE_Key without rights and domain.
fn key_alone() -> Vec<u8> {
    bstr(&key(1).public_key().to_cose_key())
}

#[test]
fn the_writer_writes_nothing_that_the_reader_refuses() {
    let twice = [root(1), root(1)];
    let three = [root(1), root(2), root(3)];
    for (request, expected) in [
        (request(&twice), ErrorKind::Repeated),
        (request(&three), ErrorKind::TooMany),
        (ProvisioningRequest { node_address: 240, ..request(&[]) }, ErrorKind::OutOfRange),
        (ProvisioningRequest { sequence_floor: u64::MAX, ..request(&[]) }, ErrorKind::OutOfRange),
        (
            ProvisioningRequest { sequence_floor: MAX_MINIMUM_SEQUENCE + 1, ..request(&[]) },
            ErrorKind::OutOfRange,
        ),
        (ProvisioningRequest { serial: "A\n", ..request(&[]) }, ErrorKind::InvalidText),
        (ProvisioningRequest { serial: UNPROVISIONED_SERIAL, ..request(&[]) }, ErrorKind::InvalidText),
    ] {
        let Err(AuthorError::Refused(refused)) = request.encode() else { panic!("made") };
        assert_eq!(refused.kind, expected);
    }
}
