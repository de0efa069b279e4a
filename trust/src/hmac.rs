//! HMAC with SHA-256 (RFC 2104, FIPS 198-1) over the hash that is there anyway: HMAC 256/256 of RFC 9053 section 3.1.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use crate::hash::Sha256;

/// Bytes of a tag.
pub const MAC_LEN: usize = 32;
/// Bytes of a block of SHA-256.
const BLOCK_LEN: usize = 64;

/// The MAC of a message that comes in pieces.
#[inline(never)]
#[must_use]
pub fn hmac_sha256(key: &[u8; 32], message: &[&[u8]]) -> [u8; MAC_LEN] {
    // Section 2: K XOR ipad, then the message; K XOR opad, then the hash of that.
    let mut inner = begin(key, 0x36);
    for piece in message {
        inner.update(piece);
    }
    let mut outer = begin(key, 0x5c);
    outer.update(&inner.finish());
    outer.finish()
}

/// A MAC as it came, and what it has to be.
#[derive(Clone, Copy, Debug)]
pub struct Mac<'a> {
    /// Computed with the key that both sides have.
    pub computed: [u8; MAC_LEN],
    /// As it came.
    pub received: &'a [u8; MAC_LEN],
}

impl Mac<'_> {
    /// Whether both are the same, compared in constant time.
    #[must_use]
    pub fn holds(&self) -> bool {
        bool::from(self.computed.ct_eq(self.received))
    }
}

#[inline(never)]
fn begin(key: &[u8; 32], pad: u8) -> Sha256 {
    let mut block = [pad; BLOCK_LEN];
    for (byte, key) in block.iter_mut().zip(key) {
        *byte ^= key;
    }
    let mut hash = Sha256::new();
    hash.update(&block);
    block.as_mut_slice().zeroize();
    hash
}

#[cfg(test)]
mod tests;
