//! The signed head of a ledger: how many entries it has, and the digest of the last one, which names the one before it,
//! and so on (docs/ledger.md). The key whose uses the ledger records signs it.

use crate::UnixTime;
use crate::anchor::{Anchor, Rights};
use crate::error::{Error, ErrorKind};
use crate::key::{Commitment, Kid, PublicKey};
use crate::record::{CLAIM_IAT, CLAIM_LEDGER, MAX_CREDENTIAL_LEN, Record, is_ignorable};

/// `typ` of a ledger's head.
pub(crate) const TYP_LEDGER_HEAD: &str = "anchorage-ledger+cwt";
/// Most entries of a ledger: one a day for more than a thousand years.
pub const MAX_LEDGER_ENTRIES: u64 = 1_000_000;

/// What the head of a ledger says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LedgerHead {
    /// Number of entries, which is the number of the last one; at least 1.
    pub entries: u64,
    /// SHA-256 of the file of the last entry.
    pub digest: [u8; 32],
    /// When it was signed.
    pub issued_at: UnixTime,
}

impl LedgerHead {
    /// Verifies a head under the key of its ledger.
    ///
    /// # Errors
    /// [`ErrorKind::AnchorUnknown`] when another key signed it; [`ErrorKind::SignatureInvalid`]; the kind that names
    /// the fault of the record or its claims.
    pub fn verify(cwt: &[u8], key: &PublicKey) -> Result<Self, Error> {
        let end = ChainEnd::verify(cwt, key, TYP_LEDGER_HEAD, (CLAIM_LEDGER, MAX_LEDGER_ENTRIES))?;
        Ok(Self { entries: end.count, digest: end.digest, issued_at: end.issued_at })
    }

    /// What a head says and the kid of the key that it names, **not verified**: to show it.
    ///
    /// # Errors
    /// The kind that names the fault of the record or its claims.
    pub fn read_unverified(cwt: &[u8]) -> Result<(Self, Kid), Error> {
        let record = Record::open(cwt, 0, TYP_LEDGER_HEAD, MAX_CREDENTIAL_LEN)?;
        let end = ChainEnd::read(&record, (CLAIM_LEDGER, MAX_LEDGER_ENTRIES))?;
        let head = Self { entries: end.count, digest: end.digest, issued_at: end.issued_at };
        Ok((head, record.issuer_kid()))
    }
}

/// A signed end of something that is chained by digests.
pub(crate) struct ChainEnd {
    /// Number of links, at least 1.
    pub(crate) count: u64,
    /// SHA-256 of the last one.
    pub(crate) digest: [u8; 32],
    pub(crate) issued_at: UnixTime,
}

impl ChainEnd {
    /// Verifies a record of `typ` whose private `claim` is `[count, digest]`, with at most `most` links.
    pub(crate) fn verify(
        cwt: &[u8],
        key: &PublicKey,
        typ: &'static str,
        (claim, most): (i32, u64),
    ) -> Result<Self, Error> {
        let record = Record::open(cwt, 0, typ, MAX_CREDENTIAL_LEN)?;
        // Any right: it is about one key, whatever that key may do.
        record.verify(&[Anchor::root(*key)], Rights::ALL, &mut { Commitment::VACANT })?;
        Self::read(&record, (claim, most))
    }

    /// Reads the claims, without verifying the signature.
    pub(crate) fn read(record: &Record<'_>, (claim, most): (i32, u64)) -> Result<Self, Error> {
        let mut reader = record.claims();
        let reader = &mut reader;
        let (mut issued_at, mut end) = (None, None);
        let mut entries = reader.map();
        while let Some(label) = entries.next_label(reader) {
            let start = reader.position();
            match label {
                CLAIM_IAT => issued_at = Some(UnixTime(reader.uint())),
                label if label == claim => {
                    reader.array_of(2);
                    end = Some((reader.uint_within(1, most), *reader.byte_array()));
                }
                label if is_ignorable(label) => reader.skip(),
                _ => reader.refuse(ErrorKind::UnknownKey, start),
            }
        }
        reader.expect_end();
        let (Some(issued_at), Some((count, digest))) = (issued_at, end) else {
            let missing = Error::new(ErrorKind::MissingKey, reader.position());
            return Err(reader.check().err().unwrap_or(missing));
        };
        reader.check()?;
        Ok(Self { count, digest, issued_at })
    }
}
