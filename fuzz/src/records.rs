//! COSE and CWT. What the strict reader takes is CBOR to another reader, too, and nothing that was not signed verifies.

use device_harness::factory::Factory;
use trust::author::{
    RevocationRequest, Signer as _, SoftwareKey, SuccessionRequest, grant_succession,
    read_unverified_credential, request_succession, sign_revocation,
};
use trust::host::read_unverified_revocation;
use trust::{
    Anchor, Credential, Domain, Holding, RevocationList, Rights, Role, SuccessionChain, SuccessionNumber,
    TrustStore, TrustStoreBuf, UnixTime, encode_succession_chain, verify_chained_sign1,
};

/// A detached payload, as the digest of a manifest is one.
const PAYLOAD: [u8; 36] = [0x82; 36];

/// Credential, revocation list, chained signature.
pub(crate) fn record(data: &[u8]) -> bool {
    let anchors = [Factory::new(1).anchor()];
    let store = TrustStore::new(&anchors).at(UnixTime(1_800_000_000));
    let mut verifies = RevocationList::verify(data, &anchors).is_ok();
    for role in [Role::Release, Role::Identity] {
        verifies |= Credential::verify(data, &store, role).is_ok();
    }
    assert!(
        verify_chained_sign1(data, &PAYLOAD, &store, Role::Release).is_err(),
        "nobody signed this payload"
    );
    if let Ok(claims) = read_unverified_credential(data) {
        assert!(!claims.iss().is_empty() && !claims.sub().is_empty());
    }
    if let Ok(list) = read_unverified_revocation(data) {
        assert!(list.sequence() > 0);
    }
    verifies
}

pub(crate) fn record_seeds() -> Vec<Vec<u8>> {
    let factory = Factory::new(1);
    vec![
        factory.credential().to_vec(),
        factory.revocation_list(3, &[factory.release_kid()]),
        factory.longest_revocation_list(9),
    ]
}

fn key(seed: u8) -> SoftwareKey {
    SoftwareKey::from_seed(&[seed; 32]).unwrap()
}

/// A root and its recovery root.
fn given() -> [Anchor; 2] {
    let domain = Domain(key(1).public_key().kid());
    [Anchor::root(key(1).public_key()), Anchor::recovery(key(2).public_key(), domain)]
}

/// A succession chain, as a device and as a program with a heap take it: both find the same root, and a program that took
/// one holds each of its records.
pub(crate) fn chain(data: &[u8]) -> bool {
    let given = given();
    let holding = Holding { given: &given, held: &given, numbers: &[SuccessionNumber::FIRST] };
    let device = SuccessionChain::verify(data, &holding);
    let mut store = TrustStoreBuf::new(given);
    let taken = store.add_chain(data);
    let Ok(device) = device else {
        assert!(taken.is_err(), "a program takes a chain that a device refuses");
        return false;
    };
    let succeeded = device.succeeded();
    assert!(succeeded.number() > SuccessionNumber::FIRST);
    assert!(succeeded.root().rights().include(Rights::GOVERNANCE.and(Rights::SUCCESSION)));
    if taken.is_ok() {
        let domain = succeeded.domain();
        assert_eq!(store.root_of(domain).map(Anchor::kid), Some(succeeded.root().kid()));
        assert_eq!(store.number_of(domain), succeeded.number());
        let again = store.chain_after(domain, SuccessionNumber::FIRST).expect("what was taken is there");
        let again = again.expect("a chain");
        let verified = SuccessionChain::verify(&again, &holding).expect("its own chain");
        assert_eq!(verified.succeeded().root().kid(), succeeded.root().kid());
    }
    true
}

pub(crate) fn chain_seeds() -> Vec<Vec<u8>> {
    let domain = given()[0].domain();
    let record = |grantor: u8, new: u8, recovery_epoch, succession_sequence| {
        let request = SuccessionRequest {
            iss: "root".into(),
            issued_at: UnixTime(1_700_000_000),
            domain,
            number: SuccessionNumber { recovery_epoch, succession_sequence },
            rights: Rights::FIRMWARE.and(Rights::GOVERNANCE).and(Rights::SUCCESSION),
        };
        grant_succession(&request_succession(&request, &key(new)).unwrap(), &key(grantor)).unwrap()
    };
    let list = |root: u8| {
        sign_revocation(&RevocationRequest::first("root".into(), UnixTime(1_700_000_000)), &key(root))
            .unwrap()
    };
    let chain = |records: &[Vec<u8>], root| {
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        encode_succession_chain(&records, &list(root)).unwrap()
    };
    vec![
        chain(&[record(1, 3, 0, 1)], 3),
        chain(&[record(2, 4, 1, 0)], 4),
        chain(&[record(1, 3, 0, 1), record(3, 5, 0, 2), record(2, 6, 1, 0), record(6, 7, 1, 1)], 7),
    ]
}
