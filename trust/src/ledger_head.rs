//! The signed head of a ledger: how many entries it has, and the digest of the last one, which names the one before it,
//! and so on (docs/ledger.md). The key whose uses the ledger records signs it.

use crate::UnixTime;
use crate::anchor::{Anchor, Rights};
use crate::error::{Error, ErrorKind};
use crate::key::{Commitment, PublicKey};
use crate::record::{CLAIM_IAT, CLAIM_LEDGER, MAX_CREDENTIAL_LEN, Record, bit, is_ignorable};

/// `typ` of a ledger's head.
pub(crate) const TYP_LEDGER_HEAD: &str = "anchorage-ledger+cwt";
/// Most entries of a ledger: one a day for more than a thousand years.
pub const MAX_LEDGER_ENTRIES: u64 = 1_000_000;

const REQUIRED: u32 = bit(CLAIM_IAT) | bit(CLAIM_LEDGER);

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
        let record = Record::open(cwt, 0, TYP_LEDGER_HEAD, MAX_CREDENTIAL_LEN)?;
        // Any right: a ledger is about one key, whatever that key may do.
        record.verify(&[Anchor::root(*key)], Rights::ALL, &mut { Commitment::VACANT })?;
        let mut reader = record.claims();
        let reader = &mut reader;
        let (mut head, mut seen) = (Self { entries: 0, digest: [0; 32], issued_at: UnixTime(0) }, 0);
        let mut entries = reader.map();
        while let Some(claim) = entries.next_label(reader) {
            seen |= bit(claim);
            let start = reader.position();
            match claim {
                CLAIM_IAT => head.issued_at = UnixTime(reader.uint()),
                CLAIM_LEDGER => {
                    reader.array_of(2);
                    head.entries = reader.uint_within(1, MAX_LEDGER_ENTRIES);
                    head.digest = *reader.byte_array();
                }
                claim if is_ignorable(claim) => reader.skip(),
                _ => reader.refuse(ErrorKind::UnknownKey, start),
            }
        }
        reader.expect_end();
        if REQUIRED & !seen != 0 {
            reader.refuse(ErrorKind::MissingKey, reader.position());
        }
        reader.check()?;
        Ok(head)
    }
}
