use std::borrow::ToOwned as _;
use std::format;
use std::vec::Vec;

use super::*;
use crate::Anchor;
use crate::author::{
    Derivation, DerivedKey, DeviceKeyRequest, MasterKey, ProvisioningRequest, Signer as _, SoftwareKey,
};
use crate::provisioning::ProvisioningBlock;

const REQUEST: ProvisioningRequest<'_> = ProvisioningRequest {
    serial: "A-1001",
    vendor: [1; 16],
    class: [2; 16],
    device: [3; 16],
    node_address: 5,
    anchors: &[],
    sequence_floor: 0,
};

fn derived(purpose: Purpose) -> DerivedKey {
    let request = DeviceKeyRequest { line: "line 1", serial: "A-1001", purpose, revision: 2 };
    MasterKey::new(&[9; 16]).unwrap().derive(Derivation::HkdfSha256, &request).unwrap()
}

fn all() -> Vec<DerivedKey> {
    Purpose::ALL.map(derived).to_vec()
}

#[test]
fn keys_in_a_block_are_read_as_they_were_written() {
    let block = REQUEST.encode_with_keys(&all()).unwrap();
    let (read, keys) = ProvisioningBlock::parse_with_keys(&block).unwrap();
    assert_eq!(read.identity.serial(), "A-1001");
    for derived in all() {
        let key = keys.of(derived.purpose).unwrap();
        assert_eq!((key.kid(), key.revision()), (&derived.kid, 2));
    }
    let (update, authentication) = (derived(Purpose::Update), derived(Purpose::Authentication));
    let (kid, key) = keys.update().unwrap();
    assert_eq!((kid, &key.as_bytes()[..]), (&update.kid, &update.bytes[..]));
    let (kid, key) = keys.authentication().unwrap();
    assert_eq!((kid, &key[..]), (&authentication.kid, &authentication.bytes[..]));
    let (_, some) =
        ProvisioningBlock::parse_with_keys(&REQUEST.encode_with_keys(&all()[..1]).unwrap()).unwrap();
    assert!(
        some.update().is_some()
            && some.authentication().is_none()
            && some.of(Purpose::Provisioning).is_none()
    );
    let (_, none) = ProvisioningBlock::parse_with_keys(&REQUEST.encode().unwrap()).unwrap();
    assert!(none.update().is_none());
}

/// docs/attacks.md, SYM10.
#[test]
fn sym10_a_loader_without_the_feature_refuses_device_keys() {
    let block = REQUEST.encode_with_keys(&all()).unwrap();
    assert_eq!(ProvisioningBlock::parse(&block).unwrap_err().kind, ErrorKind::DeviceKeysUnsupported);
}

/// docs/attacks.md, SYM43.
#[test]
fn sym43_a_device_that_trusts_its_own_key_has_one_and_no_anchors() {
    let block = REQUEST.encode_with_keys(&all()).unwrap();
    let (read, keys) = ProvisioningBlock::parse_own_key(&block).unwrap();
    assert!(read.anchors.is_empty() && keys.authentication().is_some() && keys.update().is_some());
    let refused = |block: &[u8]| ProvisioningBlock::parse_own_key(block).unwrap_err().kind;
    let update = REQUEST.encode_with_keys(&all()[..1]).unwrap();
    assert_eq!(refused(&update), ErrorKind::MissingKey);
    assert_eq!(refused(&REQUEST.encode().unwrap()), ErrorKind::MissingKey);
    let root = SoftwareKey::from_seed(&[1; 32]).unwrap().public_key();
    let anchors = [Anchor::root(root)];
    let governed = ProvisioningRequest { anchors: &anchors, ..REQUEST }.encode_with_keys(&all()).unwrap();
    assert_eq!(refused(&governed), ErrorKind::AnchorsUnsupported);
    assert!(ProvisioningBlock::parse_with_keys(&governed).is_ok());
}

#[test]
fn device_keys_of_another_form_are_refused() {
    use ErrorKind::*;
    let kid = "48".to_owned() + &"11".repeat(8);
    let (short, long) = ("50".to_owned() + &"22".repeat(16), "5820".to_owned() + &"33".repeat(32));
    let update = format!("84 01 00 {kid} {short}");
    let authentication = format!("84 03 00 {kid} {long}");
    for (keys, refusal) in [
        (format!("82 {update} {authentication}"), None),
        (format!("82 {authentication} {update}"), Some(KeyOrder)),
        (format!("82 {update} {update}"), Some(Repeated)),
        ("80".to_owned(), Some(OutOfRange)),
        (format!("84 {}", update.repeat(4)), Some(TooMany)),
        (format!("81 84 00 00 {kid} {short}"), Some(OutOfRange)),
        (format!("81 84 04 00 {kid} {short}"), Some(OutOfRange)),
        (format!("81 84 01 1a00010000 {kid} {short}"), Some(OutOfRange)),
        (format!("81 84 01 00 {kid} {long}"), Some(UnexpectedType)),
        (format!("81 84 03 00 {kid} {short}"), Some(UnexpectedType)),
        (format!("81 84 01 00 4111 {short}"), Some(UnexpectedType)),
        (format!("81 83 01 00 {kid}"), Some(UnexpectedType)),
        ("a0".to_owned(), Some(UnexpectedType)),
    ] {
        let mut block = REQUEST.encode().unwrap();
        block[0] += 1;
        block.push(8);
        block.extend(hex::decode(keys.replace(' ', "")).unwrap());
        let found = ProvisioningBlock::parse_with_keys(&block).err().map(|error| error.kind);
        assert_eq!(found, refusal, "{keys}");
    }
}

/// docs/attacks.md, SYM4.
#[test]
fn device_keys_are_not_printed() {
    let block = REQUEST.encode_with_keys(&all()).unwrap();
    let (_, keys) = ProvisioningBlock::parse_with_keys(&block).unwrap();
    let text = std::format!("{keys:?}");
    for key in all() {
        let head = std::format!("{}, {}, {}", key.bytes[0], key.bytes[1], key.bytes[2]);
        assert!(!text.contains(&head), "{text}");
    }
}
