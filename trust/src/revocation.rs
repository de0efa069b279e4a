//! Signed revocation lists: an anchor takes back credentials (by cti) and keys (by kid), as a whole list that
//! replaces the one before it.

use crate::UnixTime;
use crate::cbor::{List, Reader};
use crate::error::{Error, ErrorKind};
use crate::key::{KID_LEN, Kid, PublicKey};
use crate::record::{
    CLAIM_IAT, CLAIM_ISS, CLAIM_LIST_SEQUENCE, CLAIM_MINIMUM_SEQUENCE, CLAIM_REVOKED, MAX_NAME_LEN, Record,
};

/// `typ` of a revocation list.
pub(crate) const TYP_REVOCATION: &str = "anchorage-revocation+cwt";
/// Most entries of a list.
pub const MAX_REVOKED: u64 = 32;
/// Most minimum sequences of a list.
pub const MAX_MINIMUM_SEQUENCES: u64 = 8;

/// A verified revocation list.
#[derive(Clone, Debug)]
pub struct RevocationList<'a> {
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
    /// A key, under whatever credential.
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

impl<'a> RevocationList<'a> {
    /// Verifies a list: structure, signature of one of `anchors`, and that it names none of them.
    pub fn verify(cwt: &'a [u8], anchors: &[PublicKey]) -> Result<Self, Error> {
        let record = Record::open(cwt, 0, TYP_REVOCATION)?;
        record.verify(anchors)?;
        let list = Self::read(cwt, &record)?;
        // A root is replaced by re-anchoring, never revoked by a list.
        if anchors.iter().any(|anchor| list.revokes_kid(&anchor.kid())) {
            return Err(Error::new(ErrorKind::RevokesAnchor, list.revoked.position()));
        }
        Ok(list)
    }

    /// Succeeds when this list is newer than the one with `held_sequence`; floors never fall.
    pub fn supersede(&self, held_sequence: u64) -> Result<(), Error> {
        if self.sequence > held_sequence { Ok(()) } else { Err(Error::new(ErrorKind::RevocationSequence, 0)) }
    }

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

    /// True when the key is revoked.
    pub fn revokes_kid(&self, kid: &Kid) -> bool {
        self.names(&kid.0)
    }

    /// True when the credential is revoked.
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

    /// The least manifest sequence number for devices of this class, if the list has one.
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
