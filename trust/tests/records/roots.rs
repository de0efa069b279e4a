//! The keys and the good records from which the tests start.

use trust::author::{
    CredentialRequest, Minimum, RevocationRequest, ScopeRequest, Signer as _, SoftwareKey, issue_credential,
    sign_revocation, sign1_detached_chained,
};
use trust::{Anchor, Revoked, RevokedId, Role, TrustStore, UnixTime};

pub(super) const VENDOR: [u8; 16] = [0xa1; 16];
pub(super) const CLASS: [u8; 16] = [0xc1; 16];
pub(super) const CTI: [u8; 16] = [0x77; 16];
/// As long as a manifest's digest.
pub(super) const PAYLOAD: &[u8] = b"\x82\x2f\x58\x2001234567890123456789012345678901";

pub(super) fn key(seed: u8) -> SoftwareKey {
    SoftwareKey::from_seed(&[seed; 32]).unwrap()
}

pub(super) fn root() -> SoftwareKey {
    key(1)
}

pub(super) fn release() -> SoftwareKey {
    key(2)
}

pub(super) fn anchors() -> [Anchor; 1] {
    [Anchor::root(root().public_key())]
}

pub(super) fn store(anchors: &[Anchor]) -> TrustStore<'_> {
    TrustStore::new(anchors)
}

pub(super) fn request() -> CredentialRequest {
    CredentialRequest {
        iss: "Example root".into(),
        sub: "Example release".into(),
        key: release().public_key(),
        role: Role::Release,
        scope: ScopeRequest { vendor: VENDOR, classes: vec![CLASS], serials: Vec::new(), actions: None },
        issued_at: UnixTime(1_700_000_000),
        not_before: Some(UnixTime(1_700_000_000)),
        expires: Some(UnixTime(1_800_000_000)),
        cti: CTI,
        generation: 0,
        sequence_ceiling: None,
    }
}

pub(super) fn credential() -> Vec<u8> {
    issue_credential(&request(), &root()).unwrap()
}

pub(super) fn revoked_key(seed: u8) -> Revoked {
    RevokedId::Key(key(seed).public_key().kid()).revoked(Role::Release, 0)
}

pub(super) fn minimum(sequence: u64) -> Minimum {
    Minimum { vendor: VENDOR, class: Some(CLASS), sequence }
}

pub(super) fn revocation_request() -> RevocationRequest {
    RevocationRequest {
        iss: "Example root".into(),
        issued_at: UnixTime(1_700_000_000),
        sequence: 3,
        revoked: vec![revoked_key(9), RevokedId::Credential([0x99; 16]).revoked(Role::Release, 2)],
        lowest_generations: vec![(Role::Device, 1)],
        minimum_sequences: vec![minimum(7)],
    }
}

pub(super) fn revocation() -> Vec<u8> {
    sign_revocation(&revocation_request(), &root()).unwrap()
}

pub(super) fn chained() -> Vec<u8> {
    sign1_detached_chained(PAYLOAD, &release(), &credential()).unwrap()
}
