//! The whole of a signed envelope's authentication wrapper and manifest, bit by bit, against the function by which
//! the catalogue reads releases: none of the changed envelopes is a release.

use suit_manifest::author::{UpdateDescription, create, sign};
use trust::author::{
    CredentialRequest, ScopeRequest, Signer as _, SoftwareKey, issue_credential, random_cti,
};
use trust::{Anchor, Role, TrustStore, UnixTime};
use update_server::domain::catalogue::Release;

const VENDOR: [u8; 16] = [1; 16];
const CLASS: [u8; 16] = [2; 16];

fn signed(root: &SoftwareKey) -> Vec<u8> {
    let key = SoftwareKey::generate().unwrap();
    let scope = ScopeRequest { vendor: VENDOR, classes: vec![CLASS], serials: Vec::new(), actions: None };
    let request = CredentialRequest {
        iss: "root".into(),
        sub: "release".into(),
        key: key.public_key(),
        role: Role::Release,
        scope,
        issued_at: UnixTime(0),
        not_before: None,
        expires: None,
        cti: random_cti().unwrap(),
        generation: 0,
        sequence_ceiling: None,
    };
    let credential = issue_credential(&request, root).unwrap();
    let update = UpdateDescription {
        vendor: VENDOR,
        class: CLASS,
        sequence: 1,
        version: "1.0.0".into(),
        image_digest: [3; 32],
        image_size: 1000,
        uri: "ni:///sha-256;test".into(),
        ..UpdateDescription::default()
    };
    sign(&create(&update).unwrap(), &key, &credential).unwrap()
}

#[test]
fn every_flipped_bit_is_refused() {
    let root = SoftwareKey::generate().unwrap();
    let anchors = [Anchor::root(root.public_key())];
    let store = TrustStore::new(&anchors).at(UnixTime(1));
    let envelope = signed(&root);
    assert_eq!(Release::read(&envelope, &store, 0).unwrap().sequence, 1);
    let mut changed = envelope.clone();
    for position in 0..envelope.len() {
        for bit in 0..8 {
            changed[position] ^= 1 << bit;
            assert!(Release::read(&changed, &store, 0).is_err(), "bit {bit} of byte {position}");
            changed[position] ^= 1 << bit;
        }
        assert!(Release::read(&envelope[..position], &store, 0).is_err(), "{position} bytes");
    }
    assert_eq!(changed, envelope);
}
