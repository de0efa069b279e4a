//! The roots of a domain, one after the other.

use trust::author::{Signer as _, SoftwareKey, SuccessionRequest, grant_succession, request_succession};
use trust::{Anchor, Domain, Rights, SuccessionNumber, UnixTime, encode_succession_chain};

use crate::factory::Factory;

/// The domain of one manufacturer, with a recovery root. Its later roots are those of other [`Factory`]s.
pub struct Dynasty {
    first: Factory,
    recovery: SoftwareKey,
}

/// Rights of a root after the first one.
pub const ROOT: Rights = Rights::FIRMWARE.and(Rights::GOVERNANCE).and(Rights::SUCCESSION);

impl Dynasty {
    /// That of the manufacturer with this number.
    pub fn new(number: u8) -> Self {
        let recovery = SoftwareKey::from_seed(&[number ^ 0x20; 32]).expect("recovery key");
        Self { first: Factory::new(number), recovery }
    }

    /// The manufacturer with the first root.
    pub fn first(&self) -> &Factory {
        &self.first
    }

    /// The domain.
    pub fn domain(&self) -> Domain {
        self.first.anchor().domain()
    }

    /// The anchors that a device of it begins with.
    pub fn anchors(&self) -> [Anchor; 2] {
        [self.first.anchor(), Anchor::recovery(self.recovery.public_key(), self.domain())]
    }

    /// `grantor` names the root of `new`, in this epoch.
    pub fn by_root(&self, grantor: &Factory, new: &Factory, number: (u16, u16)) -> Vec<u8> {
        self.grant(grantor.root(), new, number, ROOT)
    }

    /// The same without the right to certify release keys.
    pub fn by_root_without_firmware(&self, grantor: &Factory, new: &Factory, number: (u16, u16)) -> Vec<u8> {
        self.grant(grantor.root(), new, number, Rights::GOVERNANCE.and(Rights::SUCCESSION))
    }

    /// The recovery root names the root of `new`.
    pub fn by_recovery(&self, new: &Factory, epoch: u16) -> Vec<u8> {
        self.grant(&self.recovery, new, (epoch, 0), ROOT)
    }

    fn grant(
        &self,
        grantor: &SoftwareKey,
        new: &Factory,
        (recovery_epoch, succession_sequence): (u16, u16),
        rights: Rights,
    ) -> Vec<u8> {
        let request = SuccessionRequest {
            iss: "root".into(),
            issued_at: UnixTime(1_700_000_000),
            domain: self.domain(),
            number: SuccessionNumber { recovery_epoch, succession_sequence },
            rights,
        };
        let request = request_succession(&request, new.root()).expect("request");
        grant_succession(&request, grantor).expect("succession")
    }
}

/// A chain of these records, with this list at its end.
pub fn chain(records: &[Vec<u8>], list: &[u8]) -> Vec<u8> {
    let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
    encode_succession_chain(&records, list).expect("chain")
}
