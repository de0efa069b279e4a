use trust::author::{RevocationRequest, Signer as _, SoftwareKey, sign_revocation};
use update_protocol::profile::anchors::{AnchorEntry, DomainEntry};

use super::*;
use crate::trusted::tests::{key, number, realm, succession as record};

fn domain() -> Domain {
    Domain(key(1).public_key().kid())
}

fn list(root: u8) -> Vec<u8> {
    let request = RevocationRequest::first("root".into(), trust::UnixTime(1_700_000_000));
    sign_revocation(&request, &key(root)).unwrap()
}

/// A store that knows root 1, then 2 by the root, then 3 by the recovery root.
fn store(known: usize) -> TrustStoreBuf {
    let records = [record(1, 2, number(0, 1)), record(9, 3, number(1, 0))];
    let mut store = realm();
    for record in &records[..known] {
        store.add_succession(record.clone()).unwrap();
    }
    store.add_list(list([1, 2, 3][known])).unwrap();
    store
}

/// A device whose root is this key, by this number; 0: it has lost it.
fn device(root: u8, number: SuccessionNumber) -> DeviceTrust {
    let anchor = |key: &SoftwareKey, rights| AnchorEntry {
        kid: key.public_key().kid().0,
        rights,
        domain: domain().0.0,
    };
    let root = (root != 0).then(|| anchor(&key(root), 7));
    DeviceTrust {
        anchors: root.into_iter().chain([anchor(&key(9), 4)]).collect(),
        domains: vec![DomainEntry {
            domain: domain().0.0,
            list_sequence: 9,
            recovery_epoch: number.recovery_epoch,
            succession_sequence: number.succession_sequence,
        }],
    }
}

fn code(store: &TrustStoreBuf, device: &DeviceTrust) -> String {
    lacking(store, device, domain()).unwrap_err().code()
}

#[test]
fn a_device_that_is_behind_lacks_the_chain_from_its_own_root_on() {
    for (known, root, at) in
        [(1, 1, number(0, 0)), (2, 1, number(0, 0)), (2, 2, number(0, 1)), (2, 5, number(0, 7))]
    {
        let store = store(known);
        let chain = lacking(&store, &device(root, at), domain()).unwrap();
        assert!(chain.is_some(), "{at}");
        assert_eq!(chain, store.chain_after(domain(), at).unwrap());
    }
    for (known, root, at) in [(0, 1, number(0, 0)), (1, 2, number(0, 1)), (2, 3, number(1, 0))] {
        assert_eq!(lacking(&store(known), &device(root, at), domain()).unwrap(), None, "{at}");
    }
    let stranger = Domain(key(7).public_key().kid());
    assert_eq!(lacking(&store(2), &device(1, number(0, 0)), stranger).unwrap(), None);
}

#[test]
fn a_device_that_lost_its_root_lacks_the_whole_chain() {
    let store = store(2);
    let whole = store.chain_after(domain(), SuccessionNumber::FIRST).unwrap();
    for at in [number(0, 0), number(0, 1), number(1, 0)] {
        assert_eq!(lacking(&store, &device(0, at), domain()).unwrap(), whole, "{at}");
    }
    // It was never given a root.
    assert_eq!(lacking(&self::store(0), &device(0, number(0, 0)), domain()).unwrap(), None);
    // What is known here does not reach its number.
    assert_eq!(code(&store, &device(0, number(1, 1))), "device-root-newer");
}

#[test]
fn host30_a_device_at_a_later_or_another_root_is_named() {
    for (known, root, at) in [(0, 2, number(0, 1)), (1, 3, number(1, 0)), (2, 4, number(1, 1))] {
        assert_eq!(code(&store(known), &device(root, at)), "device-root-newer", "{at}");
    }
    for (known, root, at) in [(1, 5, number(0, 1)), (2, 5, number(1, 0))] {
        assert_eq!(code(&store(known), &device(root, at)), "device-root-differs", "{at}");
    }
}

#[test]
fn a_chain_that_cannot_be_made_is_named() {
    let mut bare = realm();
    bare.add_succession(record(1, 2, number(0, 1))).unwrap();
    assert_eq!(code(&bare, &device(1, number(0, 0))), "root-without-list");
    let mut long = realm();
    let keys: Vec<u8> = (20..34).collect();
    for (sequence, pair) in (1..).zip([&[1], &keys[..]].concat().windows(2)) {
        long.add_succession(record(pair[0], pair[1], number(0, sequence))).unwrap();
    }
    long.add_list(list(33)).unwrap();
    assert_eq!(code(&long, &device(1, number(0, 0))), "succession-chain-too-long");
    assert!(lacking(&long, &device(28, number(0, 9)), domain()).unwrap().is_some());
}

/// The device would refuse it: its old image, under its old root, is the way back (docs/decisions/0066).
#[test]
fn host32_no_chain_is_sent_while_a_device_has_a_way_back() {
    let takes = [ImageState::None, ImageState::Confirmed, ImageState::Pending];
    assert!(takes.into_iter().all(takes_chains));
    assert!(![ImageState::Trial, ImageState::Reverting].into_iter().any(takes_chains));
}

#[test]
fn what_a_device_trusts_is_kept_as_it_came() {
    let trust = device(2, number(0, 1));
    #[cfg(feature = "http")]
    assert_eq!(DeviceTrust::read(&trust.encode()).unwrap(), trust);
    assert_eq!(trust.number(domain()), Some(number(0, 1)));
    assert_eq!(trust.root(domain()), Some(key(2).public_key().kid()));
    assert_eq!(trust.domain_of(key(9).public_key().kid()), Some(domain()));
}
