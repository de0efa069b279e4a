//! Credentials: a root certifies a key for a role and a scope (CWT with `cnf`, RFC 8747).

use crate::anchor::Domain;
use crate::cbor::Reader;
use crate::error::{Error, ErrorKind};
use crate::key::{Kid, PublicKey};
use crate::record::{
    CLAIM_CNF, CLAIM_CTI, CLAIM_EXP, CLAIM_IAT, CLAIM_ISS, CLAIM_NBF, CLAIM_ROLE, CLAIM_SCOPE, CLAIM_SUB,
    MAX_NAME_LEN, Record,
};
use crate::scope::{Role, Scope};
use crate::{TrustStore, UnixTime};
use core::ops::Deref;

/// `typ` of a credential.
pub(crate) const TYP_CREDENTIAL: &str = "anchorage-credential+cwt";
/// Confirmation method COSE_Key, RFC 8747 section 3.1.
pub(crate) const CNF_COSE_KEY: i32 = 1;

/// What a credential says. Read, but by itself not believed: [`Credential`] is the verified one.
#[derive(Clone, Debug)]
pub struct CredentialClaims<'a> {
    issuer_kid: Kid,
    iss: &'a str,
    sub: &'a str,
    expires: Option<UnixTime>,
    not_before: Option<UnixTime>,
    issued_at: UnixTime,
    cti: &'a [u8; 16],
    key: PublicKey,
    role: Role,
    scope: Scope<'a>,
}

/// A credential whose chain to an anchor holds, with the asked-for role, not revoked, and in time.
#[derive(Clone, Debug)]
pub struct Credential<'a> {
    claims: CredentialClaims<'a>,
    domain: Domain,
}

impl<'a> Credential<'a> {
    /// Verifies a credential: structure, anchor, signature, role, revocation, and time if the store has a clock.
    ///
    /// The revocation list of the anchor's domain counts.
    pub fn verify(cwt: &'a [u8], store: &TrustStore<'_>, role: Role) -> Result<Self, Error> {
        Self::verify_nested(cwt, 0, store, role)
    }

    #[inline(never)]
    pub(crate) fn verify_nested(
        cwt: &'a [u8],
        base: u32,
        store: &TrustStore<'_>,
        role: Role,
    ) -> Result<Self, Error> {
        // The order of docs/records.md, "Chain of a manifest".
        let record = Record::open(cwt, base, TYP_CREDENTIAL)?;
        let domain = record.verify(store.anchors(), store.right_to_certify(role))?.domain();
        let claims = CredentialClaims::read(&record)?;

        let refuse = |kind| Err(Error::new(kind, base));
        if claims.role != role {
            return refuse(ErrorKind::RoleMismatch);
        }
        if let Some(list) = store.list_of(domain) {
            if list.revokes_cti(claims.cti) {
                return refuse(ErrorKind::CredentialRevoked);
            }
            if list.revokes_kid(&claims.key.kid()) {
                return refuse(ErrorKind::KeyRevoked);
            }
        }
        // RFC 8392 sections 3.1.4 and 3.1.5: good from nbf on, no longer good at exp.
        if let Some(now) = store.now() {
            if claims.not_before.is_some_and(|begin| now < begin) {
                return refuse(ErrorKind::CredentialNotYetValid);
            }
            if claims.expires.is_some_and(|end| now >= end) {
                return refuse(ErrorKind::CredentialExpired);
            }
        }
        Ok(Self { claims, domain })
    }

    /// The domain of the anchor that certified it.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.domain
    }
}

impl<'a> Deref for Credential<'a> {
    type Target = CredentialClaims<'a>;

    fn deref(&self) -> &Self::Target {
        &self.claims
    }
}

impl<'a> CredentialClaims<'a> {
    /// kid of the key that signed the credential.
    pub fn issuer_kid(&self) -> Kid {
        self.issuer_kid
    }

    /// Name of the issuer.
    pub fn iss(&self) -> &'a str {
        self.iss
    }

    /// Name of the holder.
    pub fn sub(&self) -> &'a str {
        self.sub
    }

    /// The credential's own identifier, by which it is revoked.
    pub fn cti(&self) -> &'a [u8; 16] {
        self.cti
    }

    /// The certified key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What the key may be used for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// For which devices.
    pub fn scope(&self) -> &Scope<'a> {
        &self.scope
    }

    /// First second at which it is good, if it is limited.
    pub fn not_before(&self) -> Option<UnixTime> {
        self.not_before
    }

    /// First second at which it is no longer good, if it is limited.
    pub fn expires(&self) -> Option<UnixTime> {
        self.expires
    }

    /// When it was issued.
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    #[inline(never)]
    pub(crate) fn read(record: &Record<'a>) -> Result<Self, Error> {
        let mut reader = record.claims();
        let reader = &mut reader;
        let (mut iss, mut sub, mut expires, mut not_before, mut issued_at) = (None, None, None, None, None);
        let (mut cti, mut key, mut role, mut scope) = (None, None, None, None);
        let mut entries = reader.map()?;
        while let Some(claim) = entries.next_label(reader)? {
            let start = reader.position();
            match claim {
                CLAIM_ISS => iss = Some(reader.name(MAX_NAME_LEN)?),
                CLAIM_SUB => sub = Some(reader.name(MAX_NAME_LEN)?),
                CLAIM_EXP => expires = Some(UnixTime(reader.uint()?)),
                CLAIM_NBF => not_before = Some(UnixTime(reader.uint()?)),
                CLAIM_IAT => issued_at = Some(UnixTime(reader.uint()?)),
                CLAIM_CTI => cti = Some(reader.byte_array()?),
                CLAIM_CNF => key = Some(read_confirmation(reader)?),
                CLAIM_ROLE => {
                    let code = reader.uint()?;
                    role = Some(Role::from_code(code).ok_or(Error::new(ErrorKind::OutOfRange, start))?);
                }
                CLAIM_SCOPE => scope = Some(Scope::read(reader)?),
                _ => return Err(Error::new(ErrorKind::UnknownKey, start)),
            }
        }
        reader.finish()?;
        let (Some(iss), Some(sub), Some(issued_at), Some(cti), Some(key), Some(role), Some(scope)) =
            (iss, sub, issued_at, cti, key, role, scope)
        else {
            return Err(reader.error(ErrorKind::MissingKey));
        };
        let issuer_kid = record.issuer_kid();
        Ok(Self { issuer_kid, iss, sub, expires, not_before, issued_at, cti, key, role, scope })
    }
}

/// `{1: COSE_Key}`.
fn read_confirmation(reader: &mut Reader<'_>) -> Result<PublicKey, Error> {
    let mut entries = reader.map()?;
    let start = reader.position();
    match (entries.next_label(reader)?, entries.remaining()) {
        (Some(CNF_COSE_KEY), 0) => PublicKey::read(reader),
        (None, _) => Err(Error::new(ErrorKind::MissingKey, start)),
        _ => Err(Error::new(ErrorKind::UnknownKey, start)),
    }
}
