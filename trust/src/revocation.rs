//! Signed revocation lists: an anchor takes back credentials (by cti) and keys (by kid), as a whole list that
//! replaces the one before it.

use crate::UnixTime;
use crate::anchor::{Anchor, Domain, Rights};
use crate::cbor::{List, Reader};
use crate::error::{Error, ErrorKind};
use crate::key::{KID_LEN, Kid};
use crate::record::{
    CLAIM_IAT, CLAIM_ISS, CLAIM_LIST_SEQUENCE, CLAIM_MINIMUM_SEQUENCE, CLAIM_REVOKED, MAX_NAME_LEN, Record,
};
use core::ops::Deref;

/// `typ` of a revocation list.
pub(crate) const TYP_REVOCATION: &str = "anchorage-revocation+cwt";
/// Most entries of a list.
pub const MAX_REVOKED: u64 = 32;
/// Most minimum sequences of a list.
pub const MAX_MINIMUM_SEQUENCES: u64 = 8;

/// What a revocation list says. Read, but by itself not trusted: [`RevocationList`] is the verified one.
#[derive(Clone, Debug)]
pub struct RevocationClaims<'a> {
    cwt: &'a [u8],
    issuer_kid: Kid,
    iss: &'a str,
    issued_at: UnixTime,
    sequence: u64,
    revoked: List<'a>,
    minimum_sequences: Option<List<'a>>,
}

/// One entry of a revocation list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revoked<'a> {
    /// A key, under whatever credential of the same anchor.
    Key(Kid),
    /// One credential.
    Credential(&'a [u8; 16]),
}

/// The least manifest sequence number that a class of devices should still take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MinimumSequence<'a> {
    /// Vendor id, a UUID.
    pub vendor: &'a [u8; 16],
    /// Class id, a UUID.
    pub class: &'a [u8; 16],
    /// Manifest sequence number.
    pub sequence: u64,
}

/// A verified revocation list: an anchor with the right *governance* signed it, and it names no anchor of its domain.
#[derive(Clone, Debug)]
pub struct RevocationList<'a> {
    claims: RevocationClaims<'a>,
    domain: Domain,
}

/// How a list relates to the one of its domain that is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replacement {
    /// It is newer, and takes its place.
    Newer,
    /// It is the same list.
    Same,
}

impl<'a> RevocationList<'a> {
    /// Verifies a list: structure, signature of one of `anchors`, and that it names no anchor of its own
    /// domain. What it says of keys of other domains has no effect.
    ///
    /// # Errors
    /// [`ErrorKind::AnchorUnknown`], [`ErrorKind::AnchorRights`], [`ErrorKind::SignatureInvalid`],
    /// [`ErrorKind::RevokesAnchor`], and those of its form
    pub fn verify(cwt: &'a [u8], anchors: &[Anchor]) -> Result<Self, Error> {
        let record = Record::open(cwt, 0, TYP_REVOCATION)?;
        let domain = record.verify(anchors, Rights::GOVERNANCE)?.domain();
        let claims = RevocationClaims::read(cwt, &record)?;
        // A root is replaced by its successor, never revoked by a list.
        let mut own = anchors.iter().filter(|anchor| anchor.domain() == domain);
        if own.any(|anchor| claims.revokes_kid(&anchor.kid())) {
            return Err(Error::new(ErrorKind::RevokesAnchor, claims.revoked.position()));
        }
        Ok(Self { claims, domain })
    }

    /// A list that verified before, for the anchor of this domain: its signature is not checked again.
    #[cfg(feature = "host")]
    pub(crate) fn verified_before(cwt: &'a [u8], domain: Domain) -> Option<Self> {
        let record = Record::open(cwt, 0, TYP_REVOCATION).ok()?;
        Some(Self { claims: RevocationClaims::read(cwt, &record).ok()?, domain })
    }

    /// The domain for which it was signed: it counts for the credentials of this domain, and no other's.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// Whether this list may take the place of `held`, a list of the same domain.
    ///
    /// # Errors
    /// [`ErrorKind::RevocationSequence`] when it is older; [`ErrorKind::RevocationForked`] when it is another list
    /// with the same list-sequence
    pub fn replaces(&self, held: &RevocationList<'_>) -> Result<Replacement, Error> {
        let refuse = |kind| Err(Error::new(kind, 0));
        if self.sequence < held.sequence {
            return refuse(ErrorKind::RevocationSequence);
        }
        if self.sequence == held.sequence {
            return if self.cwt == held.cwt {
                Ok(Replacement::Same)
            } else {
                refuse(ErrorKind::RevocationForked)
            };
        }
        Ok(Replacement::Newer)
    }
}

impl<'a> Deref for RevocationList<'a> {
    type Target = RevocationClaims<'a>;

    fn deref(&self) -> &Self::Target {
        &self.claims
    }
}

impl<'a> RevocationClaims<'a> {
    /// kid of the anchor that signed it.
    pub fn issuer_kid(&self) -> Kid {
        self.issuer_kid
    }

    /// Name of the issuer.
    pub fn iss(&self) -> &'a str {
        self.iss
    }

    /// When it was issued.
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// list-sequence, above zero; a newer list has a higher one.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The list as it was received.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.cwt
    }

    /// True when the key is revoked, under credentials of the list's domain.
    pub fn revokes_kid(&self, kid: &Kid) -> bool {
        self.names(&kid.0)
    }

    /// True when the credential is revoked, if it is of the list's domain.
    pub fn revokes_cti(&self, cti: &[u8; 16]) -> bool {
        self.names(cti)
    }

    /// The two kinds of entries differ in length.
    fn names(&self, id: &[u8]) -> bool {
        self.revoked.iter(Reader::bytes).any(|entry| entry == id)
    }

    /// What is revoked.
    pub fn entries(&self) -> impl Iterator<Item = Revoked<'a>> + use<'a> {
        self.revoked.iter(Revoked::read)
    }

    /// Minimum sequence numbers.
    pub fn minimum_sequences(&self) -> impl Iterator<Item = MinimumSequence<'a>> + use<'a> {
        self.minimum_sequences.clone().into_iter().flat_map(|list| list.iter(MinimumSequence::read))
    }

    /// The least manifest sequence number for devices of this class, if the list has one; it is for releases under
    /// credentials of the list's domain.
    pub fn minimum_sequence(&self, vendor: &[u8; 16], class: &[u8; 16]) -> Option<u64> {
        let mut highest = None;
        for minimum in self.minimum_sequences.as_ref()?.iter(MinimumSequence::read) {
            if minimum.vendor == vendor && minimum.class == class {
                highest = highest.max(Some(minimum.sequence));
            }
        }
        highest
    }

    #[inline(never)]
    pub(crate) fn read(cwt: &'a [u8], record: &Record<'a>) -> Result<Self, Error> {
        let mut reader = record.claims();
        let reader = &mut reader;
        let (mut iss, mut issued_at, mut sequence, mut revoked) = (None, None, None, None);
        let mut minimum_sequences = None;
        let mut entries = reader.map()?;
        while let Some(claim) = entries.next_label(reader)? {
            let start = reader.position();
            match claim {
                CLAIM_ISS => iss = Some(reader.name(MAX_NAME_LEN)?),
                CLAIM_IAT => issued_at = Some(UnixTime(reader.uint()?)),
                CLAIM_LIST_SEQUENCE => match reader.uint()? {
                    0 => return Err(Error::new(ErrorKind::OutOfRange, start)),
                    number => sequence = Some(number),
                },
                CLAIM_REVOKED => revoked = Some(List::read(reader, 0, MAX_REVOKED, Revoked::read)?),
                CLAIM_MINIMUM_SEQUENCE => {
                    let list = List::read(reader, 1, MAX_MINIMUM_SEQUENCES, MinimumSequence::read)?;
                    minimum_sequences = Some(list);
                }
                _ => return Err(Error::new(ErrorKind::UnknownKey, start)),
            }
        }
        reader.finish()?;
        let (Some(iss), Some(issued_at), Some(sequence), Some(revoked)) = (iss, issued_at, sequence, revoked)
        else {
            return Err(reader.error(ErrorKind::MissingKey));
        };
        let issuer_kid = record.issuer_kid();
        Ok(Self { cwt, issuer_kid, iss, issued_at, sequence, revoked, minimum_sequences })
    }
}

impl<'a> Revoked<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let start = reader.position();
        let bytes = reader.bytes()?;
        if let Ok(kid) = <[u8; KID_LEN]>::try_from(bytes) {
            return Ok(Self::Key(Kid(kid)));
        }
        bytes.try_into().map(Self::Credential).map_err(|_| Error::new(ErrorKind::UnexpectedType, start))
    }
}

impl<'a> MinimumSequence<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        reader.array_of(3)?;
        Ok(Self { vendor: reader.byte_array()?, class: reader.byte_array()?, sequence: reader.uint()? })
    }
}
