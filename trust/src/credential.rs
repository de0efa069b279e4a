//! Credentials: a root certifies a key for a role and a scope (CWT with `cnf`, RFC 8747).

use core::ops::Deref;

use crate::anchor::Domain;
use crate::cbor::{Reader, Uint, Utf8};
use crate::error::{Error, ErrorKind};
use crate::key::{Commitment, KID_LEN, Kid, PublicKey};
#[cfg(feature = "host")]
use crate::record::CLAIM_ISSUING_KEY;
use crate::record::{
    CLAIM_CEILING, CLAIM_CNF, CLAIM_CTI, CLAIM_EXP, CLAIM_GENERATION, CLAIM_IAT, CLAIM_ISS, CLAIM_NBF,
    CLAIM_ROLE, CLAIM_SCOPE, CLAIM_SUB, MAX_CREDENTIAL_LEN, MAX_NAME_LEN, Record, bit, is_ignorable,
};
use crate::scope::{Role, Scope};
use crate::{RevocationClaims, TrustStore, UnixTime};

/// `typ` of a credential.
pub(crate) const TYP_CREDENTIAL: &str = "anchorage-credential+cwt";
/// Confirmation method COSE_Key, RFC 8747 section 3.1.
pub(crate) const CNF_COSE_KEY: i32 = 1;
/// Highest generation of a credential.
pub const MAX_GENERATION: u64 = 0xFFFF;
/// Highest sequence ceiling of a release credential.
pub const MAX_SEQUENCE_CEILING: u64 = i64::MAX.unsigned_abs();
/// The sequence ceiling of a release credential for which none is asked.
pub const DEFAULT_SEQUENCE_CEILING: u64 = 0xFFFF_FFFF;

/// The claims that every credential has.
const REQUIRED: u32 = bit(CLAIM_ISS)
    | bit(CLAIM_SUB)
    | bit(CLAIM_IAT)
    | bit(CLAIM_CTI)
    | bit(CLAIM_CNF)
    | bit(CLAIM_ROLE)
    | bit(CLAIM_SCOPE)
    | bit(CLAIM_GENERATION);

/// The claims of a credential, read and **not verified**: [`Credential`] is the verified one.
#[derive(Clone, Debug)]
pub struct CredentialClaims<'a> {
    issuer_kid: Kid,
    iss: Utf8<'a>,
    sub: Utf8<'a>,
    expires: Option<Uint>,
    not_before: Option<Uint>,
    issued_at: UnixTime,
    cti: &'a [u8; 16],
    key: PublicKey,
    role: Role,
    scope: Scope<'a>,
    generation: u64,
    /// Of a release credential; 0 of every other one.
    ceiling: u64,
    #[cfg(feature = "host")]
    issued: Issued,
}

/// Whether an issuing key signed a credential. A loader takes none that does.
#[cfg(feature = "host")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Issued {
    /// It must be an anchor's.
    No,
    /// It may be an issuing key's.
    Perhaps,
    /// This issuing key's, as its claim says.
    By(Kid),
}

/// A credential whose chain to an anchor holds, with the asked-for role, not revoked, and in time.
#[derive(Clone, Debug)]
pub struct Credential<'a> {
    claims: CredentialClaims<'a>,
    domain: Domain,
    commitment: Commitment<'a>,
}

impl<'a> Credential<'a> {
    /// Verifies a credential: structure, anchor, signature, role, revocation, and time if the store has a clock.
    ///
    /// The revocation list of the anchor's domain counts.
    ///
    /// # Errors
    /// The kind that names the fault when the record is malformed or unsupported; [`ErrorKind::AnchorUnknown`],
    /// [`ErrorKind::AnchorRights`] and [`ErrorKind::SignatureInvalid`] of its issuer; [`ErrorKind::RoleMismatch`];
    /// [`ErrorKind::CredentialForAnchor`]; [`ErrorKind::CredentialRevoked`], [`ErrorKind::KeyRevoked`] and
    /// [`ErrorKind::GenerationRevoked`] by the list; [`ErrorKind::CredentialNotYetValid`] and
    /// [`ErrorKind::CredentialExpired`] at the time of the store. They are found in this order.
    pub fn verify(cwt: &'a [u8], store: &TrustStore<'_>, role: Role) -> Result<Self, Error> {
        let mut credential = Self::vacant();
        credential.fill(cwt, 0, store, role)?;
        Ok(credential)
    }

    /// Of nobody: what no verification has filled.
    #[inline(never)]
    pub(crate) fn vacant() -> Self {
        Self {
            claims: CredentialClaims::vacant(),
            domain: Domain(Kid([0; KID_LEN])),
            commitment: Commitment::VACANT,
        }
    }

    /// Verifies into a vacant one, which counts only if there is no error. In place: it is large.
    #[inline(never)]
    pub(crate) fn fill(
        &mut self,
        cwt: &'a [u8],
        base: u32,
        store: &TrustStore<'_>,
        role: Role,
    ) -> Result<(), Error> {
        // The order of docs/records.md, "Chain of a manifest".
        let opened = Record::open(cwt, base, TYP_CREDENTIAL, MAX_CREDENTIAL_LEN);
        let record = opened.as_ref().map_err(|&error| error)?;
        let right = store.right_to_certify(role);
        let domain = record.verify(store.anchors(), right, &mut self.commitment)?.domain();
        self.domain = domain;
        let claims = &mut self.claims;
        claims.read_from(record)?;

        let refuse = |kind| Err(Error::new(kind, base));
        if claims.role != role {
            return refuse(ErrorKind::RoleMismatch);
        }
        // A root would be its own judge: no list could take back what it signs with this credential.
        if store.anchors().iter().any(|anchor| *anchor.key() == claims.key) {
            return refuse(ErrorKind::CredentialForAnchor);
        }
        claims.check_now(store, domain).map_err(|kind| Error::new(kind, base))
    }

    /// Verifies the credential of a device under an issuing key, whose own credential is verified.
    ///
    /// It names its issuing key, one serial and one class, within the scope of that key. It has no generation of its own:
    /// that of `issuing` counts against the lowest one for devices.
    ///
    /// # Errors
    /// The kind that names the fault when the record is malformed or unsupported; [`ErrorKind::KeyMismatch`] when another
    /// key than the issuing one signed it, or is named in it; [`ErrorKind::SignatureInvalid`];
    /// [`ErrorKind::RoleMismatch`] when `issuing` is no issuing key's, or it is no device's; [`ErrorKind::ScopeIssuer`];
    /// and as [`Credential::verify`] from [`ErrorKind::CredentialForAnchor`] on. They are found in this order.
    #[cfg(feature = "host")]
    pub fn verify_issued(
        cwt: &'a [u8],
        issuing: &Credential<'_>,
        store: &TrustStore<'_>,
    ) -> Result<Self, Error> {
        let record = Record::open(cwt, 0, TYP_CREDENTIAL, MAX_CREDENTIAL_LEN)?;
        let mut commitment = Commitment::VACANT;
        if record.issuer_kid() != issuing.key.kid() {
            return Err(record.error(ErrorKind::KeyMismatch));
        }
        record.verify_by(&issuing.key, &mut commitment)?;
        let mut claims = CredentialClaims::read(&record)?;
        claims.check_issued(issuing)?;
        let refuse = |kind| Error::new(kind, 0);
        if *issuing.key() == claims.key || store.anchors().iter().any(|anchor| *anchor.key() == claims.key) {
            return Err(refuse(ErrorKind::CredentialForAnchor));
        }
        claims.generation = issuing.generation;
        claims.check_now(store, issuing.domain).map_err(refuse)?;
        Ok(Self { claims, domain: issuing.domain, commitment })
    }

    /// The domain of the anchor that certified it, itself or its issuing key.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// R of the signature of the anchor that certified it.
    pub(crate) fn commitment(&self) -> &Commitment<'a> {
        &self.commitment
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
    #[must_use]
    pub fn issuer_kid(&self) -> Kid {
        self.issuer_kid
    }

    /// Name of the issuer.
    #[must_use]
    pub fn iss(&self) -> &'a str {
        self.iss.as_str()
    }

    /// Name of the holder.
    #[must_use]
    pub fn sub(&self) -> &'a str {
        self.sub.as_str()
    }

    /// The credential's own identifier, by which it is revoked.
    #[must_use]
    pub fn cti(&self) -> &'a [u8; 16] {
        self.cti
    }

    /// The certified key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The role for which the key is certified.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The devices for which it is certified.
    #[must_use]
    pub fn scope(&self) -> &Scope<'a> {
        &self.scope
    }

    /// First second at which it is good, if it is limited.
    #[must_use]
    pub fn not_before(&self) -> Option<UnixTime> {
        self.not_before.map(|time| UnixTime(time.get()))
    }

    /// First second at which it is no longer good, if it is limited.
    #[must_use]
    pub fn expires(&self) -> Option<UnixTime> {
        self.expires.map(|time| UnixTime(time.get()))
    }

    /// When it was issued.
    #[must_use]
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// Its generation: a revocation list takes back all generations of a role below one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// kid of the issuing key under which it stands; `None` when an anchor certified it.
    #[cfg(feature = "host")]
    #[must_use]
    pub fn issuing_key(&self) -> Option<Kid> {
        match self.issued {
            Issued::By(kid) => Some(kid),
            Issued::No | Issued::Perhaps => None,
        }
    }

    /// The highest manifest sequence number that its key may sign; 0 when it is no release credential.
    #[must_use]
    pub fn sequence_ceiling(&self) -> u64 {
        self.ceiling
    }

    /// Whether a list of its domain lets it be.
    ///
    /// # Errors
    /// [`ErrorKind::CredentialRevoked`], [`ErrorKind::KeyRevoked`], [`ErrorKind::GenerationRevoked`]
    pub fn check_list(&self, list: &RevocationClaims<'_>) -> Result<(), ErrorKind> {
        if list.revokes_cti(self.role, self.cti) {
            return Err(ErrorKind::CredentialRevoked);
        }
        if list.revokes_kid(self.role, &self.key.kid()) {
            return Err(ErrorKind::KeyRevoked);
        }
        if self.generation < list.lowest_generation(self.role) {
            return Err(ErrorKind::GenerationRevoked);
        }
        Ok(())
    }

    /// The list of the domain and the time of the store let it be.
    fn check_now(&self, store: &TrustStore<'_>, domain: Domain) -> Result<(), ErrorKind> {
        let list = store.list_of(domain);
        #[cfg(feature = "fault-injection")]
        let list = list.filter(|_| !crate::fault::skips_lists());
        if let Some(list) = list {
            self.check_list(list)?;
        }
        // RFC 8392 sections 3.1.4 and 3.1.5: good from nbf on, no longer good at exp.
        if let Some(now) = store.now() {
            if self.not_before().is_some_and(|begin| now < begin) {
                return Err(ErrorKind::CredentialNotYetValid);
            }
            if self.expires().is_some_and(|end| now >= end) {
                return Err(ErrorKind::CredentialExpired);
            }
        }
        Ok(())
    }

    /// The credential under which this one stands may have issued it: for one device, within its own scope.
    ///
    /// # Errors
    /// [`ErrorKind::KeyMismatch`], [`ErrorKind::RoleMismatch`], [`ErrorKind::ScopeIssuer`]
    #[cfg(feature = "host")]
    pub(crate) fn check_issued(&self, issuing: &CredentialClaims<'_>) -> Result<(), Error> {
        let refuse = |kind| Err(Error::new(kind, 0));
        if self.issuing_key() != Some(issuing.key.kid()) {
            return refuse(ErrorKind::KeyMismatch);
        }
        if issuing.role != Role::Identity || self.role != Role::Device {
            return refuse(ErrorKind::RoleMismatch);
        }
        if issuing.scope.contains_device(&self.scope) { Ok(()) } else { refuse(ErrorKind::ScopeIssuer) }
    }

    /// A placeholder; no function returns it.
    fn vacant() -> Self {
        Self {
            issuer_kid: Kid([0; KID_LEN]),
            iss: Utf8::EMPTY,
            sub: Utf8::EMPTY,
            expires: None,
            not_before: None,
            issued_at: UnixTime(0),
            cti: &[0; 16],
            key: PublicKey::VACANT,
            role: Role::Release,
            scope: Scope::VACANT,
            generation: 0,
            ceiling: 0,
            #[cfg(feature = "host")]
            issued: Issued::No,
        }
    }

    /// Of an anchor or an issuing key.
    #[cfg(feature = "host")]
    pub(crate) fn read(record: &Record<'a>) -> Result<Self, Error> {
        let mut claims = Self { issued: Issued::Perhaps, ..Self::vacant() };
        claims.read_from(record)?;
        Ok(claims)
    }

    /// Reads them in place: a device has no room for copies.
    #[inline(never)]
    fn read_from(&mut self, record: &Record<'a>) -> Result<(), Error> {
        self.issuer_kid = record.issuer_kid();
        let mut reader = record.claims();
        let reader = &mut reader;
        let mut seen = 0;
        let mut entries = reader.map();
        while let Some(claim) = entries.next_label(reader) {
            seen |= bit(claim);
            let start = reader.position();
            match claim {
                CLAIM_ISS => self.iss = reader.name(MAX_NAME_LEN),
                CLAIM_SUB => self.sub = reader.name(MAX_NAME_LEN),
                CLAIM_EXP => self.expires = Some(Uint::of(reader.uint())),
                CLAIM_NBF => self.not_before = Some(Uint::of(reader.uint())),
                CLAIM_IAT => self.issued_at = UnixTime(reader.uint()),
                CLAIM_CTI => self.cti = reader.byte_array(),
                CLAIM_CNF => self.key = read_confirmation(reader),
                CLAIM_ROLE => self.role = Role::read(reader),
                CLAIM_SCOPE => self.scope = Scope::read(reader),
                CLAIM_GENERATION => self.generation = read_generation(reader),
                // The role stands before it. For another one it would bound nothing.
                CLAIM_CEILING if self.role == Role::Release => {
                    self.ceiling = reader.uint_within(1, MAX_SEQUENCE_CEILING);
                }
                // It stands and falls with that key, and has no generation of its own.
                #[cfg(feature = "host")]
                CLAIM_ISSUING_KEY if self.issued != Issued::No && seen & bit(CLAIM_GENERATION) == 0 => {
                    self.issued = Issued::By(Kid(*reader.byte_array()));
                }
                claim if is_ignorable(claim) => reader.skip(),
                _ => reader.refuse(ErrorKind::UnknownKey, start),
            }
        }
        reader.expect_end();
        let ceiling = if self.role == Role::Release { bit(CLAIM_CEILING) } else { 0 };
        #[cfg(feature = "host")]
        let seen = if self.issuing_key().is_some() { seen | bit(CLAIM_GENERATION) } else { seen };
        if (REQUIRED | ceiling) & !seen != 0 {
            reader.refuse(ErrorKind::MissingKey, reader.position());
        }
        reader.check()
    }
}

/// 0 to [`MAX_GENERATION`].
pub(crate) fn read_generation(reader: &mut Reader<'_>) -> u64 {
    reader.uint_within(0, MAX_GENERATION)
}

/// `{1: COSE_Key}`.
#[inline(never)]
pub(crate) fn read_confirmation(reader: &mut Reader<'_>) -> PublicKey {
    let mut entries = reader.map();
    let start = reader.position();
    match (entries.next_label(reader), entries.remaining()) {
        (Some(CNF_COSE_KEY), 0) => {}
        (None, _) => reader.refuse(ErrorKind::MissingKey, start),
        _ => reader.refuse(ErrorKind::UnknownKey, start),
    }
    PublicKey::read(reader)
}

/// The claims of a credential, **not verified**: to show them, or to find its key.
///
/// # Errors
/// The kind that names the fault when the record is malformed or unsupported.
#[cfg(feature = "host")]
pub fn read_unverified_credential(cwt: &[u8]) -> Result<CredentialClaims<'_>, Error> {
    CredentialClaims::read(&Record::open(cwt, 0, TYP_CREDENTIAL, MAX_CREDENTIAL_LEN)?)
}
