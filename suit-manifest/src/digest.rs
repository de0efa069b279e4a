//! SUIT_Digest, draft-ietf-suit-manifest-37 section 10. Only SHA-256 is accepted.

use crate::error::ErrorKind;
use crate::source::Source;

/// COSE algorithm numbers (RFC 9054) and the length of what they produce.
const SHA_256: i32 = -16;
const OTHERS: [(i32, usize); 4] = [(-18, 32), (-43, 48), (-44, 64), (-45, 64)];

/// A SHA-256 digest that the manifest gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest<'a> {
    sha256: &'a [u8; 32],
}

impl<'a> Digest<'a> {
    /// A placeholder; no function returns it without a fault.
    pub(crate) const VACANT: Self = Self { sha256: &[0; 32] };

    /// The 32 bytes.
    #[must_use]
    pub fn sha256(&self) -> &'a [u8; 32] {
        self.sha256
    }

    /// `[-16, bstr .size 32]`. An extension after the two elements is refused.
    #[inline(never)]
    pub(crate) fn read(source: &mut Source<'a>) -> Self {
        let start = source.position();
        let elements = source.array().remaining();
        let algorithm = source.label();
        let bytes = source.bytes();
        let refused = match bytes.try_into() {
            // The CDDL has room for extensions, and none is registered.
            _ if elements != 2 => ErrorKind::DigestAlgorithmUnsupported,
            Ok(sha256) if algorithm == SHA_256 => return Self { sha256 },
            _ if algorithm == SHA_256 => ErrorKind::DigestLength,
            // T11: a wrong length has its own error even where the algorithm is unsupported.
            _ if OTHERS.iter().any(|&(known, len)| known == algorithm && len != bytes.len()) => {
                ErrorKind::DigestLength
            }
            _ => ErrorKind::DigestAlgorithmUnsupported,
        };
        source.refuse_as(refused, start);
        Self::VACANT
    }
}
