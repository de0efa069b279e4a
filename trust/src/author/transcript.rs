//! Making the end of the transcript of a ceremony.

use ciborium::value::Value;

use super::unsigned::Unsigned;
use super::{AuthorError, bytes, map, uint};
use crate::PublicKey;
use crate::record::{CLAIM_IAT, CLAIM_TRANSCRIPT};
use crate::transcript::{TYP_TRANSCRIPT, TranscriptEnd};

/// The end of a transcript, for the root of the ceremony to sign.
///
/// # Errors
/// [`AuthorError::Encoding`]
pub fn prepare_transcript_end(end: &TranscriptEnd, signer: &PublicKey) -> Result<Unsigned, AuthorError> {
    let claims = map([
        (CLAIM_IAT, uint(end.issued_at.0)),
        (CLAIM_TRANSCRIPT, Value::Array(vec![uint(end.lines), bytes(&end.digest)])),
    ]);
    Unsigned::new(TYP_TRANSCRIPT, &claims, signer)
}
