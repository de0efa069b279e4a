//! The signed end of the transcript of a ceremony: how many lines it has, and the digest of the last one, which names the
//! one before it, and so on (docs/ceremony.md). The root that was used in the ceremony signs it.

use crate::UnixTime;
use crate::error::Error;
use crate::key::PublicKey;
use crate::ledger_head::ChainEnd;
use crate::record::CLAIM_TRANSCRIPT;
#[cfg(feature = "author")]
use crate::record::{MAX_CREDENTIAL_LEN, Record};

/// `typ` of the end of a transcript.
pub(crate) const TYP_TRANSCRIPT: &str = "anchorage-transcript+cwt";
/// Most lines of a transcript: a ceremony of a hundred keys needs a thousand.
pub const MAX_TRANSCRIPT_LINES: u64 = 10_000;
const CLAIM: (i32, u64) = (CLAIM_TRANSCRIPT, MAX_TRANSCRIPT_LINES);

/// What the signature at the end of a transcript says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TranscriptEnd {
    /// Number of lines, at least 1.
    pub lines: u64,
    /// SHA-256 of the last line.
    pub digest: [u8; 32],
    /// When it was signed.
    pub issued_at: UnixTime,
}

impl TranscriptEnd {
    /// Verifies the end of a transcript under the root of the ceremony.
    ///
    /// # Errors
    /// [`AnchorUnknown`](crate::ErrorKind::AnchorUnknown) when another key signed it;
    /// [`SignatureInvalid`](crate::ErrorKind::SignatureInvalid); the kind that names the fault of the record or its
    /// claims.
    pub fn verify(cwt: &[u8], key: &PublicKey) -> Result<Self, Error> {
        ChainEnd::verify(cwt, key, TYP_TRANSCRIPT, CLAIM).map(Self::of)
    }

    /// Reads a record whose signature was not verified.
    #[cfg(feature = "author")]
    pub(crate) fn read(cwt: &[u8]) -> Result<Self, Error> {
        let record = Record::open(cwt, 0, TYP_TRANSCRIPT, MAX_CREDENTIAL_LEN)?;
        ChainEnd::read(&record, CLAIM).map(Self::of)
    }

    fn of(end: ChainEnd) -> Self {
        Self { lines: end.count, digest: end.digest, issued_at: end.issued_at }
    }
}
