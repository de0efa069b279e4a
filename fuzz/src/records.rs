//! COSE and CWT. What the strict reader takes is CBOR to another reader, too, and nothing that was not signed verifies.

use device_harness::factory::Factory;
use trust::author::read_unverified_credential;
use trust::host::read_unverified_revocation;
use trust::{Credential, RevocationList, Role, TrustStore, UnixTime, verify_chained_sign1};

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
