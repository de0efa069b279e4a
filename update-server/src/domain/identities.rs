//! Identities of devices: the credentials of issuing keys, and what stands under them (docs/records.md, Identity of a
//! device).

use suit_manifest::Reason;
use trust::host::read_unverified_credential;
use trust::{Credential, Domain, Kid, Role, TrustStore, UnixTime};

use super::order::{Order, is_ahead};
use super::records::Records;
use super::registry::Identity;
use super::{Identifier, Serial};
use crate::store::{IssuerInsertion, Store, StoreError, StoredIssuer};

/// Of an issuing key that was stored before its domain was, and whose signer is not configured.
const UNKNOWN_DOMAIN: Domain = Domain(Kid([0; trust::KID_LEN]));

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
    /// It is dated later than clocks differ.
    #[error("the credential was issued at {issued_at}, more than a day after the server's time {now}")]
    IssuedAhead { issued_at: u64, now: u64 },
    /// One that was issued later is stored.
    #[error("the credential was issued at {offered}, and the stored one at {stored}, which is later")]
    Older { offered: u64, stored: u64 },
    /// Another one that was issued at the same time is stored.
    #[error("another credential of this key that was issued at {0} too is stored")]
    Contradicts(u64),
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
    /// `None`: its signer is not configured, and was not when it was stored.
    pub domain: Option<Domain>,
    pub kid: Kid,
    pub name: String,
    pub vendor: Identifier,
    /// None: any.
    pub classes: Vec<Identifier>,
    pub issuer_kid: Kid,
    pub issued_at: u64,
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
    ///
    /// # Errors
    /// The database failed.
    pub async fn open(store: Store, records: Records) -> Result<Self, StoreError> {
        let identities = Self { store, records };
        identities.adopt().await?;
        Ok(identities)
    }

    /// Finds the domains of issuing keys that were stored without.
    async fn adopt(&self) -> Result<(), StoreError> {
        let former = self.records.trust_store().former();
        for StoredIssuer { domain, kid, bytes } in self.store.issuers().await? {
            // A damaged one is named where it is asked for.
            if domain == UNKNOWN_DOMAIN
                && let Ok(claims) = read_unverified_credential(&bytes)
                && let Some(anchor) = former.iter().find(|anchor| anchor.kid() == claims.issuer_kid())
            {
                self.store.adopt_issuer(domain, kid, anchor.domain()).await?;
            }
        }
        Ok(())
    }

    /// Verifies the credential of an issuing key and keeps it. The stored one of that key and domain gives way if it was
    /// issued earlier, or does not verify any more.
    ///
    /// # Errors
    /// Why it was not taken. Nothing was stored.
    pub async fn put_issuer(
        &self,
        bytes: Vec<u8>,
        now: u64,
    ) -> Result<(IssuerInsertion, IssuerSummary), IdentityError> {
        let domain = self.verdict(&bytes, now).map_err(IdentityError::Refused)?;
        let summary = self.summary(Some(domain), &bytes, now)?;
        let offered = summary.issued_at;
        check_issue(offered, now)?;
        let stored = self.store.issuer(domain, summary.kid).await?;
        let dead = stored.filter(|stored| self.verdict(stored, now).is_err());
        let new = StoredIssuer { domain, kid: summary.kid, bytes };
        match self.store.insert_issuer(new, dead, now).await? {
            IssuerInsertion::Kept(Order::Earlier { stored }) => Err(IdentityError::Older { offered, stored }),
            IssuerInsertion::Kept(_) => Err(IdentityError::Contradicts(offered)),
            outcome @ (IssuerInsertion::Created
            | IssuerInsertion::Replaced
            | IssuerInsertion::AlreadyThere) => Ok((outcome, summary)),
        }
    }

    /// The issuing keys, by domain and kid.
    ///
    /// # Errors
    /// The database failed, or holds something else.
    pub async fn issuers(&self, now: u64) -> Result<Vec<IssuerSummary>, StoreError> {
        let stored = self.store.issuers().await?;
        let known = |domain| (domain != UNKNOWN_DOMAIN).then_some(domain);
        stored
            .iter()
            .map(|issuer| self.summary(known(issuer.domain), &issuer.bytes, now).map_err(corrupt))
            .collect()
    }

    /// The credential of an issuing key in a domain.
    ///
    /// # Errors
    /// The database failed.
    pub async fn issuer(&self, domain: Domain, kid: Kid) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.issuer(domain, kid).await
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
        let claims = read_unverified_credential(&bytes)?;
        let kid = claims.issuing_key().ok_or(IdentityError::NotADevice)?;
        check_issue(claims.issued_at().0, now)?;
        let key = self.through_any(kid, now, |issuer, store| {
            let credential = verified(&bytes, issuer, store)?;
            let scope = credential.scope();
            let is_this = scope.serials().eq([serial.as_str()])
                && *scope.vendor() == vendor.0
                && scope.classes().eq([&class.0]);
            if is_this { Ok(*credential.key()) } else { Err(IdentityError::OtherDevice) }
        });
        let key = key.await?;
        Ok(Identity { key, credential: bytes })
    }

    /// Why the stored credential of a device does not verify now, if it does not: a slug.
    ///
    /// # Errors
    /// The database failed, or holds something else.
    pub async fn refusal(&self, bytes: &[u8], now: u64) -> Result<Option<&'static str>, StoreError> {
        let claims = read_unverified_credential(bytes).map_err(corrupt)?;
        let kid = claims.issuing_key().ok_or(StoreError::Corrupt { what: "credential" })?;
        let verdict =
            self.through_any(kid, now, |issuer, store| Ok(verified(bytes, issuer, store).map(drop)?)).await;
        match verdict {
            Ok(()) => Ok(None),
            Err(IdentityError::Store(error)) => Err(error),
            Err(error) => Ok(Some(error.code())),
        }
    }

    /// What `decide` finds through a credential of an issuing key: of several, one for each domain, the first that
    /// serves, or the first error.
    async fn through_any<R>(
        &self,
        kid: Kid,
        now: u64,
        decide: impl Fn(&[u8], &TrustStore<'_>) -> Result<R, IdentityError>,
    ) -> Result<R, IdentityError> {
        let issuers = self.store.issuers_with(kid).await?;
        let trusted = self.records.trust_store();
        trusted.with(Some(UnixTime(now)), |store| {
            let mut first = None;
            for issuer in &issuers {
                match decide(&issuer.bytes, store) {
                    Ok(found) => return Ok(found),
                    Err(error) => first = first.or(Some(error)),
                }
            }
            Err(first.unwrap_or(IdentityError::IssuerUnknown(kid)))
        })
    }

    /// The domain in which an issuing key's credential counts now, or why it does not.
    fn verdict(&self, bytes: &[u8], now: u64) -> Result<Domain, Reason> {
        let trusted = self.records.trust_store();
        let verdict = trusted.with(Some(UnixTime(now)), |store| {
            Credential::verify(bytes, store, Role::Identity).map(|credential| credential.domain())
        });
        verdict.map_err(Reason::from)
    }

    fn summary(&self, domain: Option<Domain>, bytes: &[u8], now: u64) -> Result<IssuerSummary, trust::Error> {
        let claims = read_unverified_credential(bytes)?;
        Ok(IssuerSummary {
            domain,
            kid: claims.key().kid(),
            name: claims.sub().to_owned(),
            vendor: Identifier(*claims.scope().vendor()),
            classes: claims.scope().classes().map(|class| Identifier(*class)).collect(),
            issuer_kid: claims.issuer_kid(),
            issued_at: claims.issued_at().0,
            expires: claims.expires().map(|time| time.0),
            refusal: self.verdict(bytes, now).err(),
        })
    }
}

impl IdentityError {
    /// The code under which the interface names it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(reason) => reason.slug(),
            Self::NotADevice | Self::OtherDevice => "credential-other-device",
            Self::IssuerUnknown(_) => "issuer-unknown",
            Self::IssuedAhead { .. } => "credential-issued-ahead",
            Self::Older { .. } => "credential-older",
            Self::Contradicts(_) => "credential-contradicts",
            Self::Store(_) => "internal",
        }
    }
}

fn check_issue(issued_at: u64, now: u64) -> Result<(), IdentityError> {
    if is_ahead(issued_at, now) { Err(IdentityError::IssuedAhead { issued_at, now }) } else { Ok(()) }
}

fn corrupt(_: trust::Error) -> StoreError {
    StoreError::Corrupt { what: "credential" }
}

fn verified<'a>(
    bytes: &'a [u8],
    issuer: &[u8],
    store: &TrustStore<'_>,
) -> Result<Credential<'a>, trust::Error> {
    let issuing = Credential::verify(issuer, store, Role::Identity)?;
    Credential::verify_issued(bytes, &issuing, store)
}
