//! Succession: the root of a domain is replaced by a new key (docs/records.md, Succession).
//!
//! A record is a CWT in a CWT (RFC 8392 section 7): the new root asks, and so proves that it has its key; the present root
//! or the recovery root signs what it asked. [`SuccessionChain`] verifies a row of them, and the revocation list of the
//! last root: tool, server, host and device all decide by it.

mod chain;

use crate::UnixTime;
use crate::anchor::{Domain, Rights};
use crate::cbor::{Reader, Span, Utf8};
use crate::credential::read_confirmation;
use crate::error::{Error, ErrorKind};
use crate::key::{KID_LEN, Kid, PublicKey};
use crate::record::{
    CLAIM_CNF, CLAIM_DOMAIN, CLAIM_IAT, CLAIM_ISS, CLAIM_RECOVERY_EPOCH, CLAIM_RIGHTS,
    CLAIM_SUCCESSION_SEQUENCE, MAX_NAME_LEN, Record, bit, is_ignorable,
};

pub use chain::{Holding, Succeeded, SuccessionChain, succession_domain};
#[cfg(feature = "host")]
pub use chain::{SuccessionFile, encode_succession_chain, read_succession_file};
#[cfg(feature = "host")]
pub(crate) use chain::{follow_one, records};

/// `typ` of what the new root signs.
pub(crate) const TYP_SUCCESSION: &str = "anchorage-succession+cwt";
/// `typ` of what the present root or the recovery root signs around it.
pub(crate) const TYP_SUCCESSION_GRANT: &str = "anchorage-succession-grant+cwt";
/// Longest succession, bytes.
pub const MAX_SUCCESSION_LEN: usize = 1024;
/// Longest succession chain, bytes.
pub const MAX_SUCCESSION_CHAIN_LEN: usize = 4096;
/// Most successions of a chain: as many of the shortest as there is room for.
pub const MAX_SUCCESSIONS: u32 = 12;

/// The place of a root among those of its domain: higher is later, whatever the order in which records come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct SuccessionNumber {
    /// How often the recovery root named a root. It counts before everything that roots signed.
    pub recovery_epoch: u16,
    /// How often a root named its successor since then.
    pub succession_sequence: u16,
}

impl SuccessionNumber {
    /// That of the first root of a domain.
    pub const FIRST: Self = Self { recovery_epoch: 0, succession_sequence: 0 };

    /// That of the successor whom a root names.
    #[must_use]
    pub const fn named_by_root(self) -> Option<Self> {
        match self.succession_sequence.checked_add(1) {
            Some(succession_sequence) => Some(Self { succession_sequence, ..self }),
            None => None,
        }
    }

    /// That of the successor whom the recovery root names.
    #[must_use]
    pub const fn named_by_recovery(self) -> Option<Self> {
        match self.recovery_epoch.checked_add(1) {
            Some(recovery_epoch) => Some(Self { recovery_epoch, succession_sequence: 0 }),
            None => None,
        }
    }

    /// Numbers in their order.
    const fn code(self) -> u32 {
        (self.recovery_epoch as u32) << 16 | self.succession_sequence as u32
    }

    /// Whether it is that of the successor whom the root or the recovery root of `before` names.
    const fn is_after(self, before: Self) -> bool {
        // After the last number of an epoch comes the next epoch: it is the recovery root's in any case.
        self.code() == before.code().wrapping_add(1) || self.is_named_by_recovery(before)
    }

    /// Whether it is that of the successor whom the recovery root of `before` names. None is, in the last epoch.
    const fn is_named_by_recovery(self, before: Self) -> bool {
        self.code() == (before.code() | 0xFFFF).wrapping_add(1)
    }

    /// Whether the recovery root named the root with this number.
    #[must_use]
    pub const fn is_of_recovery(self) -> bool {
        self.recovery_epoch != 0 && self.succession_sequence == 0
    }
}

impl Ord for SuccessionNumber {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.code().cmp(&other.code())
    }
}

impl PartialOrd for SuccessionNumber {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl core::fmt::Display for SuccessionNumber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}", self.recovery_epoch, self.succession_sequence)
    }
}

/// The claims of a succession, read and **not verified**.
#[derive(Clone, Debug)]
pub struct SuccessionClaims<'a> {
    grantor: Kid,
    iss: Utf8<'a>,
    issued_at: UnixTime,
    domain: Domain,
    number: SuccessionNumber,
    key: PublicKey,
    rights: Rights,
}

impl<'a> SuccessionClaims<'a> {
    /// kid of the root or recovery root that signed it.
    #[must_use]
    pub fn grantor(&self) -> Kid {
        self.grantor
    }

    /// Name of the new root.
    #[must_use]
    pub fn iss(&self) -> &'a str {
        self.iss.as_str()
    }

    /// When it was issued.
    #[must_use]
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// The domain whose root is replaced.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The number of the new root.
    #[must_use]
    pub fn number(&self) -> SuccessionNumber {
        self.number
    }

    /// The key of the new root.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The rights of the new root.
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.rights
    }

    fn vacant() -> Self {
        Self {
            grantor: Kid([0; KID_LEN]),
            iss: Utf8::EMPTY,
            issued_at: UnixTime(0),
            domain: Domain(Kid([0; KID_LEN])),
            number: SuccessionNumber::FIRST,
            key: PublicKey::VACANT,
            rights: Rights::BOOT,
        }
    }

    /// In place: a device has no room for copies.
    #[inline(never)]
    fn read_from(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        let mut seen = 0;
        let mut entries = reader.map();
        while let Some(claim) = entries.next_label(reader) {
            seen |= bit(claim);
            let start = reader.position();
            match claim {
                CLAIM_ISS => self.iss = reader.name(MAX_NAME_LEN),
                CLAIM_IAT => self.issued_at = UnixTime(reader.uint()),
                CLAIM_CNF => self.key = read_confirmation(reader),
                CLAIM_DOMAIN => self.domain = Domain(Kid(*reader.byte_array())),
                CLAIM_SUCCESSION_SEQUENCE => self.number.succession_sequence = read_number(reader),
                CLAIM_RECOVERY_EPOCH => self.number.recovery_epoch = read_number(reader),
                CLAIM_RIGHTS => self.rights = Rights::read(reader),
                claim if is_ignorable(claim) => reader.skip(),
                _ => reader.refuse(ErrorKind::UnknownKey, start),
            }
        }
        reader.expect_end();
        if REQUIRED & !seen != 0 {
            reader.refuse(ErrorKind::MissingKey, reader.position());
        }
        // The first root of a domain succeeds nobody.
        if self.number == SuccessionNumber::FIRST {
            reader.refuse(ErrorKind::OutOfRange, reader.position());
        }
        reader.check()
    }
}

/// The claims that every succession has.
const REQUIRED: u32 = bit(CLAIM_ISS)
    | bit(CLAIM_IAT)
    | bit(CLAIM_CNF)
    | bit(CLAIM_DOMAIN)
    | bit(CLAIM_SUCCESSION_SEQUENCE)
    | bit(CLAIM_RECOVERY_EPOCH)
    | bit(CLAIM_RIGHTS);

fn read_number(reader: &mut Reader<'_>) -> u16 {
    u16::try_from(reader.uint_within(0, u16::MAX.into())).unwrap_or(0)
}

/// A succession that was taken apart; neither of its signatures is verified yet.
struct Opened<'a> {
    /// Signed by the present root or the recovery root.
    grant: Record<'a>,
    /// Signed by the new root.
    request: Record<'a>,
    claims: SuccessionClaims<'a>,
}

impl<'a> Opened<'a> {
    /// The next item of a chain.
    #[inline(never)]
    fn next(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Self::read(chain::read_item(reader)?)
    }

    fn read(record: Span<'a>) -> Result<Self, Error> {
        let grant = Record::open(record.bytes, record.base, TYP_SUCCESSION_GRANT, MAX_SUCCESSION_LEN)?;
        let request = open_request(grant.payload())?;
        let mut opened = Self { grant, request, claims: SuccessionClaims::vacant() };
        opened.claims.grantor = opened.grant.issuer_kid();
        opened.claims.read_from(&mut opened.request.claims())?;
        Ok(opened)
    }
}

fn open_request(request: Span<'_>) -> Result<Record<'_>, Error> {
    Record::open(request.bytes, request.base, TYP_SUCCESSION, MAX_SUCCESSION_LEN)
}

/// The claims of a succession, **not verified**: to show them, or to find its place.
///
/// # Errors
/// The kind that names the fault of the record or its claims.
#[cfg(feature = "host")]
pub fn read_unverified_succession(record: &[u8]) -> Result<SuccessionClaims<'_>, Error> {
    Ok(Opened::read(Span { bytes: record, base: 0 })?.claims)
}

/// The claims of a request, **not verified**: to show them. The grantor is zeros.
///
/// # Errors
/// The kind that names the fault of the request or its claims.
#[cfg(feature = "host")]
pub fn read_unverified_succession_request(request: &[u8]) -> Result<SuccessionClaims<'_>, Error> {
    let record = open_request(Span { bytes: request, base: 0 })?;
    let mut claims = SuccessionClaims::vacant();
    claims.read_from(&mut record.claims())?;
    Ok(claims)
}

/// The claims of a request of a new root that nobody has granted yet; the new root's own signature holds. The grantor is
/// zeros.
///
/// # Errors
/// [`ErrorKind::KeyMismatch`] and [`ErrorKind::SignatureInvalid`] of the new root; the kind that names the fault of the
/// request or its claims
#[cfg(feature = "host")]
pub fn verify_succession_request(request: &[u8]) -> Result<SuccessionClaims<'_>, Error> {
    let record = open_request(Span { bytes: request, base: 0 })?;
    let mut claims = SuccessionClaims::vacant();
    claims.read_from(&mut record.claims())?;
    chain::verify_possession(&record, claims.key())?;
    Ok(claims)
}
