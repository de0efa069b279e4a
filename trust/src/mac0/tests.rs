use std::borrow::ToOwned as _;
use std::vec::Vec;
use std::{format, vec};

use coset::{CoseMac0, TaggedCborSerializable as _};
use proptest::prelude::*;

use super::*;
use crate::author::mac0;

const KEY: [u8; 32] = [7; 32];
const KID: &[u8] = b"kid-of-8";
const PAYLOAD: &[u8] = b"the digest of a manifest";

fn refusal(mac0: &[u8]) -> Option<ErrorKind> {
    verify_mac0(mac0, PAYLOAD, KID, &KEY).err().map(|error| error.kind)
}

/// docs/attacks.md, SYM8.
#[test]
fn every_bit_and_every_shorter_mac0_is_refused() {
    let made = mac0(PAYLOAD, KID, &KEY).unwrap();
    assert_eq!(refusal(&made), None);
    for bit in 0..made.len() * 8 {
        let mut changed = made.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(refusal(&changed).is_some(), "bit {bit}: {}", hex::encode(changed));
    }
    for len in 0..made.len() {
        assert!(refusal(&made[..len]).is_some(), "{len}");
    }
    assert_eq!(refusal(&[&made[..], &[0]].concat()), Some(ErrorKind::TrailingBytes));
    for bit in 0..PAYLOAD.len() * 8 {
        let mut payload = PAYLOAD.to_vec();
        payload[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify_mac0(&made, &payload, KID, &KEY).unwrap_err().kind, ErrorKind::MacInvalid);
    }
    assert_eq!(verify_mac0(&made, PAYLOAD, KID, &[8; 32]).unwrap_err().kind, ErrorKind::MacInvalid);
    assert_eq!(verify_mac0(&made, PAYLOAD, b"other", &KEY).unwrap_err().kind, ErrorKind::DeviceKeyUnknown);
}

/// docs/attacks.md, SYM7.
#[test]
fn sym07_what_is_not_protected_says_nothing_about_a_mac() {
    let tag = "5820".to_owned() + &"00".repeat(32);
    use ErrorKind::*;
    for (headers, refused) in [
        ("43a10105 a0", MacInvalid),
        ("43a10105 a104486b69642d6f662d38", MacInvalid),
        ("40 a10105", HeaderUnknown),
        ("40 a0", HeaderMissing),
        ("43a10104 a0", AlgorithmUnsupported),
        ("4aa101674863536861323536 a0", AlgorithmUnsupported),
        ("44a1016148 a0", AlgorithmUnsupported),
        ("46a20105028101 a0", CriticalHeader),
        ("43a10105 a1028101", CriticalHeader),
        ("45a201050600 a0", HeaderUnknown),
        ("43a10105 a10600", HeaderUnknown),
        ("46a20105044131 a0", DeviceKeyUnknown),
        ("46a20105044131 a1044131", HeaderUnknown),
    ] {
        let bytes = hex::decode(format!("d1 84 {headers} f6 {tag}").replace(' ', "")).unwrap();
        assert!(refusal(&bytes).is_some_and(|kind| kind == refused), "{headers}: {:?}", refusal(&bytes));
    }
    for (structure, refused) in [
        (format!("84 43a10105 a0 f6 {tag}"), CoseUnsupported),
        (format!("d2 84 43a10105 a0 f6 {tag}"), CoseUnsupported),
        (format!("d861 84 43a10105 a0 f6 {tag}"), CoseUnsupported),
        (format!("d1 84 43a10105 a0 40 {tag}"), UnexpectedType),
        ("d1 84 43a10105 a0 f6 4100".to_owned(), UnexpectedType),
    ] {
        let bytes = hex::decode(structure.replace(' ', "")).unwrap();
        assert_eq!(refusal(&bytes), Some(refused), "{structure}");
    }
    assert_eq!(refusal(&[0xD1; MAX_MAC0_LEN + 1]), Some(TooLong));
    let made = mac0(PAYLOAD, KID, &KEY).unwrap();
    let long: Vec<u8> = vec![0; MAX_PAYLOAD_LEN + 1];
    assert_eq!(verify_mac0(&made, &long, KID, &KEY).unwrap_err().kind, TooLong);
}

/// The second opinion: coset over the crate hmac.
#[test]
fn coset_verifies_what_is_made() {
    use ::hmac::{Hmac, KeyInit as _, Mac as _};
    let made = mac0(PAYLOAD, KID, &KEY).unwrap();
    let mut read = CoseMac0::from_tagged_slice(&made).unwrap();
    read.payload = Some(PAYLOAD.to_vec());
    assert_eq!(read.protected.header.key_id, KID);
    #[expect(deprecated, reason = "the payload is there")]
    let checked = read.verify_tag(&[], |tag, message| {
        let mut library = Hmac::<sha2::Sha256>::new_from_slice(&KEY).unwrap();
        library.update(message);
        library.verify_slice(tag).map_err(drop)
    });
    assert_eq!(checked, Ok(()));
}

const DEVICE: Kid = Kid(*b"kid-of-8");

fn attached(payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; payload.len() + ATTACHED_MAC0_ROOM];
    let mut writer = Writer::new(&mut buffer);
    write_attached_mac0(&mut writer, payload, &DEVICE, &KEY);
    writer.finish().unwrap().to_vec()
}

/// What a device makes, version 1: never edited, only added to.
const FROZEN_1: &str = "\
    d1844da2010504486b69642d6f662d38a0581874686520646967657374206f662061206d616e69666573745820\
    c95603afefea14b13bf54d2e443504c426fac830ded9db6652eda7fb40bc5257";

#[test]
fn a_mac0_of_a_device_is_frozen() {
    let made = attached(PAYLOAD);
    assert_eq!(hex::encode(&made), FROZEN_1);
    let payload = verify_attached_mac0(&made, &DEVICE, &KEY).unwrap();
    assert_eq!((payload.bytes, payload.base), (PAYLOAD, 19));
    assert_eq!(read_attached_mac0(&made), Ok((Some(DEVICE), payload)));
    // The other form.
    assert_eq!(verify_mac0(&made, PAYLOAD, KID, &KEY).unwrap_err().kind, ErrorKind::UnexpectedType);
    let detached = mac0(PAYLOAD, KID, &KEY).unwrap();
    assert_eq!(verify_attached_mac0(&detached, &DEVICE, &KEY).unwrap_err().kind, ErrorKind::UnexpectedType);
}

/// docs/attacks.md, SYM46.
#[test]
fn sym46_every_bit_and_every_shorter_attached_mac0_is_refused() {
    let made = attached(PAYLOAD);
    let refusal = |mac0: &[u8], kid: &Kid, key: &[u8; 32]| {
        verify_attached_mac0(mac0, kid, key).err().map(|error| error.kind)
    };
    for bit in 0..made.len() * 8 {
        let mut changed = made.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(refusal(&changed, &DEVICE, &KEY).is_some(), "bit {bit}: {}", hex::encode(changed));
    }
    for len in 0..made.len() {
        assert!(refusal(&made[..len], &DEVICE, &KEY).is_some(), "{len}");
    }
    assert_eq!(refusal(&[&made[..], &[0]].concat(), &DEVICE, &KEY), Some(ErrorKind::TrailingBytes));
    assert_eq!(refusal(&made, &DEVICE, &[8; 32]), Some(ErrorKind::MacInvalid));
    assert_eq!(refusal(&made, &Kid([0; 8]), &KEY), Some(ErrorKind::DeviceKeyUnknown));
    assert_eq!(refusal(&[0xD1; MAX_ATTACHED_MAC0_LEN + 1], &DEVICE, &KEY), Some(ErrorKind::TooLong));
}

proptest! {
    /// The second opinion: coset over the crate hmac.
    #[test]
    fn coset_verifies_what_a_device_makes(payload in proptest::collection::vec(any::<u8>(), 0..600)) {
        use ::hmac::{Hmac, KeyInit as _, Mac as _};
        let made = attached(&payload);
        prop_assert!(made.len() <= payload.len() + ATTACHED_MAC0_ROOM);
        prop_assert_eq!(verify_attached_mac0(&made, &DEVICE, &KEY).map(|span| span.bytes), Ok(&*payload));
        let read = CoseMac0::from_tagged_slice(&made).unwrap();
        prop_assert_eq!(read.payload.as_ref(), Some(&payload));
        prop_assert_eq!(&read.protected.header.key_id, KID);
        #[expect(deprecated, reason = "the payload is there")]
        let checked = read.verify_tag(&[], |tag, message| {
            let mut library = Hmac::<sha2::Sha256>::new_from_slice(&KEY).unwrap();
            library.update(message);
            library.verify_slice(tag).map_err(drop)
        });
        prop_assert_eq!(checked, Ok(()));
    }
}
