//! Identities of devices: the credentials of issuing keys, and what stands under them (docs/records.md, Identity of a
//! device).

use suit_manifest::Reason;
use trust::host::read_unverified_credential;
use trust::{Credential, Kid, Role, TrustStore, UnixTime};

use super::records::Records;
use super::registry::Identity;
use super::{Identifier, Serial};
use crate::store::{IssuerInsertion, Store, StoreError, StoredIssuer};

/// Why a credential is not taken.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It does not verify.
    #[error("{}", .0.message())]
    Refused(Reason),
    /// It is no credential of a device.
    #[error("the credential is not one of a device under an issuing key")]
    NotADevice,
    /// The credential of its issuing key is not here.
    #[error("the credential of its issuing key {} is not stored", hex::encode(.0.0))]
    IssuerUnknown(Kid),
    /// It is that of another device.
    #[error("the credential is that of another device: serial, vendor or class differ")]
    OtherDevice,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<trust::Error> for IdentityError {
    fn from(error: trust::Error) -> Self {
        Self::Refused(Reason::from(error))
    }
}

/// What an issuing key's credential says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSummary {
    pub kid: Kid,
    pub name: String,
    pub vendor: Identifier,
    /// None: any.
    pub classes: Vec<Identifier>,
    pub issuer_kid: Kid,
    pub expires: Option<u64>,
    /// Why it does not verify now.
    pub refusal: Option<Reason>,
}

/// The identities. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identities {
    store: Store,
    records: Records,
}

impl Identities {
    /// The credentials in `store`, judged by `records`.
    pub fn new(store: Store, records: Records) -> Self {
        Self { store, records }
    }

    /// Verifies the credential of an issuing key and keeps it, unless one that was issued later is here.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn put_issuer(
        &self,
        bytes: Vec<u8>,
        now: u64,
    ) -> Result<(IssuerInsertion, IssuerSummary), IdentityError> {
        let summary = self.judge(&bytes, now)?;
        if let Some(refusal) = summary.refusal {
            return Err(IdentityError::Refused(refusal));
        }
        let issued_at = read_unverified_credential(&bytes)?.issued_at().0;
        let inserted = self.store.insert_issuer(summary.kid, issued_at, bytes, now).await?;
        Ok((inserted, summary))
    }

    /// The issuing keys, by kid.
    ///
    /// # Errors
    /// The database failed, or holds something else.
    pub async fn issuers(&self, now: u64) -> Result<Vec<IssuerSummary>, IdentityError> {
        let stored = self.store.issuers().await?;
        stored.iter().map(|StoredIssuer { bytes, .. }| self.judge(bytes, now)).collect()
    }

    /// The credential of an issuing key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn issuer(&self, kid: Kid) -> Result<Option<Vec<u8>>, IdentityError> {
        Ok(self.store.issuer(kid).await?)
    }

    /// Verifies the credential of a device: through its issuing key, for this serial, vendor and class.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn verify(
        &self,
        bytes: Vec<u8>,
        (serial, vendor, class): (&Serial, Identifier, Identifier),
        now: u64,
    ) -> Result<Identity, IdentityError> {
        let kid = read_unverified_credential(&bytes)?.issuing_key().ok_or(IdentityError::NotADevice)?;
        let issuer = self.store.issuer(kid).await?.ok_or(IdentityError::IssuerUnknown(kid))?;
        let key = self.records.trust_store().with(Some(UnixTime(now)), |store| {
            let credential = verified(&bytes, &issuer, store)?;
            let scope = credential.scope();
            let is_this = scope.serials().eq([serial.as_str()])
                && *scope.vendor() == vendor.0
                && scope.classes().eq([&class.0]);
            if is_this { Ok(*credential.key()) } else { Err(IdentityError::OtherDevice) }
        })?;
        Ok(Identity { key, credential: bytes })
    }

    /// Why the stored credential of a device does not verify now, if it does not.
    ///
    /// # Errors
    /// The database failed.
    pub async fn refusal(&self, bytes: &[u8], now: u64) -> Result<Option<Reason>, IdentityError> {
        let kid = read_unverified_credential(bytes)?.issuing_key().ok_or(IdentityError::NotADevice)?;
        let issuer = self.store.issuer(kid).await?.ok_or(IdentityError::IssuerUnknown(kid))?;
        let verdict = self.records.trust_store().with(Some(UnixTime(now)), |store| {
            verified(bytes, &issuer, store).map(drop).map_err(Reason::from)
        });
        Ok(verdict.err())
    }

    fn judge(&self, bytes: &[u8], now: u64) -> Result<IssuerSummary, IdentityError> {
        let claims = read_unverified_credential(bytes)?;
        let verdict = self
            .records
            .trust_store()
            .with(Some(UnixTime(now)), |store| Credential::verify(bytes, store, Role::Identity).map(drop));
        Ok(IssuerSummary {
            kid: claims.key().kid(),
            name: claims.sub().to_owned(),
            vendor: Identifier(*claims.scope().vendor()),
            classes: claims.scope().classes().map(|class| Identifier(*class)).collect(),
            issuer_kid: claims.issuer_kid(),
            expires: claims.expires().map(|time| time.0),
            refusal: verdict.err().map(Reason::from),
        })
    }
}

fn verified<'a>(
    bytes: &'a [u8],
    issuer: &[u8],
    store: &TrustStore<'_>,
) -> Result<Credential<'a>, trust::Error> {
    let issuing = Credential::verify(issuer, store, Role::Identity)?;
    Credential::verify_issued(bytes, &issuing, store)
}
