//! Making the head of a ledger.

use ciborium::value::Value;

use super::unsigned::Unsigned;
use super::{AuthorError, bytes, map, uint};
use crate::PublicKey;
use crate::ledger_head::{LedgerHead, TYP_LEDGER_HEAD};
use crate::record::{CLAIM_IAT, CLAIM_LEDGER};

/// The head of a ledger, for the ledger's key to sign.
///
/// # Errors
/// [`AuthorError::Encoding`]
pub fn prepare_ledger_head(head: &LedgerHead, signer: &PublicKey) -> Result<Unsigned, AuthorError> {
    let claims = map([
        (CLAIM_IAT, uint(head.issued_at.0)),
        (CLAIM_LEDGER, Value::Array(vec![uint(head.entries), bytes(&head.digest)])),
    ]);
    Unsigned::new(TYP_LEDGER_HEAD, &claims, signer)
}
