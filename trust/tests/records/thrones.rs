//! Successions from which the tests start: the domain of key 1, whose recovery root is key 3.

use trust::author::{
    RevocationRequest, Signer as _, SuccessionRequest, grant_succession, request_succession, sign_revocation,
};
use trust::{Anchor, Domain, Rights, SuccessionNumber, UnixTime};

use super::roots::{key, root};

pub(super) const RECOVERY: u8 = 3;
/// Rights of a root after the first one.
pub(super) const ROOT: Rights = Rights::FIRMWARE.and(Rights::GOVERNANCE).and(Rights::SUCCESSION);

pub(super) fn domain() -> Domain {
    Domain(root().public_key().kid())
}

/// The anchors that a device begins with.
pub(super) fn given() -> [Anchor; 2] {
    [Anchor::root(root().public_key()), Anchor::recovery(key(RECOVERY).public_key(), domain())]
}

pub(super) const fn number(recovery_epoch: u16, succession_sequence: u16) -> SuccessionNumber {
    SuccessionNumber { recovery_epoch, succession_sequence }
}

/// A succession to sign.
#[derive(Clone, Copy)]
pub(super) struct Succession {
    pub(super) grantor: u8,
    pub(super) key: u8,
    pub(super) domain: Domain,
    pub(super) number: SuccessionNumber,
    pub(super) rights: Rights,
}

impl Succession {
    pub(super) fn request(&self) -> Vec<u8> {
        let request = SuccessionRequest {
            iss: "Example root 2".into(),
            issued_at: UnixTime(1_700_000_000),
            domain: self.domain,
            number: self.number,
            rights: self.rights,
        };
        request_succession(&request, &key(self.key)).unwrap()
    }

    /// By another grantor.
    pub(super) fn grant(&self, grantor: u8) -> Vec<u8> {
        grant_succession(&self.request(), &key(grantor)).unwrap()
    }

    pub(super) fn record(&self) -> Vec<u8> {
        self.grant(self.grantor)
    }
}

/// The root `grantor` names `key`, in epoch 0.
pub(super) fn by_root(grantor: u8, key: u8, sequence: u16) -> Succession {
    Succession { grantor, key, domain: domain(), number: number(0, sequence), rights: ROOT }
}

/// The recovery root names `key`.
pub(super) fn by_recovery(key: u8, epoch: u16) -> Succession {
    Succession { grantor: RECOVERY, key, domain: domain(), number: number(epoch, 0), rights: ROOT }
}

/// An empty list of this root.
pub(super) fn first_list(root: u8) -> Vec<u8> {
    list(root, |_| ())
}

pub(super) fn list(root: u8, change: impl FnOnce(&mut RevocationRequest)) -> Vec<u8> {
    let mut request = RevocationRequest::first("Example root 2".into(), UnixTime(1_700_000_000));
    change(&mut request);
    sign_revocation(&request, &key(root)).unwrap()
}
