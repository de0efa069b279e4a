//! AES-128 in counter mode and in Galois/counter mode (NIST SP 800-38A section 6.5, SP 800-38D), as a stream that begins
//! again where it was cut.
//!
//! The key stream depends on nothing but key, IV and position, so a decryption goes on at any byte. The sum that the tag
//! seals depends on all ciphertext before. It gives away the key of the hash, so it is in no flash: after a restart it is
//! derived again from the plaintext that was written ([`Gcm::derive_again`], docs/decisions/0090).

mod ghash;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use self::ghash::Ghash;
use crate::aes::{Aes128, BLOCK_LEN, Block, Key128};
use crate::error::{Error, ErrorKind};

/// Bytes of the IV of GCM: 96 bits, as RFC 9053 section 4.1 has it.
pub const GCM_IV_LEN: usize = 12;
/// Bytes of a tag of GCM.
pub const TAG_LEN: usize = BLOCK_LEN;
/// Most bytes that one key stream is for. GCM has counters for sixteen times as many (SP 800-38D section 5.2.1.1).
pub const MAX_STREAM_LEN: u32 = u32::MAX - 1;

/// The key stream of counter mode.
#[derive(Clone)]
struct Keystream {
    key: Key128,
    /// The counter block of position 0.
    first: Block,
    /// Bytes of the stream that are behind. Above [`MAX_STREAM_LEN`] for ever once it got there.
    position: u32,
}

/// Where the ciphertext is that a sum takes.
enum Side<'s> {
    Nowhere,
    Before(&'s mut Ghash),
    After(&'s mut Ghash),
}

impl Keystream {
    /// Adds the key stream to `bytes`.
    #[inline(never)]
    fn apply(&mut self, mut bytes: &mut [u8], mut side: Side<'_>) {
        let aes = Aes128::new(&self.key);
        while !bytes.is_empty() {
            if self.position > MAX_STREAM_LEN {
                // Here the stream would begin to repeat: nothing is decrypted, and nothing verifies.
                bytes.fill(0);
                return;
            }
            // Two blocks cost as much as one.
            let pair = self.position >> 5 << 1;
            let mut stream = [self.first; 2];
            for (block, index) in stream.iter_mut().zip([pair, pair | 1]) {
                count(block, index);
            }
            aes.encrypt(&mut stream);
            let stream = stream.as_flattened_mut();
            let ahead = stream.get_mut(self.position as usize & 31..).unwrap_or_default();
            let (part, rest) = bytes.split_at_mut(bytes.len().min(ahead.len()));
            if let Side::Before(sum) = &mut side {
                sum.take(part);
            }
            for (byte, key) in part.iter_mut().zip(&*ahead) {
                *byte ^= key;
            }
            if let Side::After(sum) = &mut side {
                sum.take(part);
            }
            let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
            self.position = self.position.saturating_add(len);
            stream.zeroize();
            bytes = rest;
        }
    }
}

/// Adds to a counter block, a number of 128 bits. GCM counts in its last 32 only: they never run over.
fn count(block: &mut Block, index: u32) {
    let mut carry = index;
    for byte in block.iter_mut().rev() {
        carry = carry.wrapping_add(u32::from(*byte));
        [*byte, ..] = carry.to_le_bytes();
        carry >>= 8;
    }
}

/// AES-128 in counter mode: A128CTR of RFC 9459. Nothing authenticates what comes out.
#[derive(Clone)]
pub struct Ctr(Keystream);

impl Ctr {
    /// At the beginning. The IV is the first counter block (RFC 9459 section 4).
    #[must_use]
    pub fn new(key: &Key128, iv: &Block) -> Self {
        Self::at(key, iv, 0)
    }

    /// At any byte.
    #[must_use]
    pub fn at(key: &Key128, iv: &Block, position: u32) -> Self {
        Self(Keystream { key: key.clone(), first: *iv, position })
    }

    /// Decrypts or encrypts the next bytes, as many as there are.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply(bytes, Side::Nowhere);
    }

    /// Bytes that are behind.
    #[must_use]
    pub const fn position(&self) -> u32 {
        self.0.position
    }
}

/// Decrypts a stream of A128GCM (RFC 9053 section 4.1).
///
/// What [`Gcm::decrypt`] gives is not authentic before [`Gcm::verify`] succeeds.
#[derive(Clone)]
pub struct Gcm {
    stream: Keystream,
    sum: Ghash,
    /// The key stream's block for the tag.
    seal: Block,
    associated_len: u32,
}

impl Drop for Gcm {
    fn drop(&mut self) {
        self.seal.as_mut_slice().zeroize();
    }
}

impl Gcm {
    /// At the beginning, with the associated data, which comes in pieces.
    #[must_use]
    #[inline(never)]
    pub fn new(key: &Key128, iv: &[u8; GCM_IV_LEN], associated: &[&[u8]]) -> Self {
        // SP 800-38D section 7.1: the key of the hash is the encrypted zero, J0 is the IV and a one.
        let mut counter = [0; BLOCK_LEN];
        for (to, from) in counter.iter_mut().zip(iv) {
            *to = *from;
        }
        let [.., last] = &mut counter;
        *last = 1;
        let mut blocks = [[0; BLOCK_LEN], counter];
        Aes128::new(key).encrypt(&mut blocks);
        let [.., last] = &mut counter;
        *last = 2;
        let [hash_key, seal] = &blocks;
        let (mut sum, seal) = (Ghash::new(hash_key), *seal);
        let mut associated_len = 0;
        for piece in associated {
            sum.take(piece);
            associated_len = piece.len().wrapping_add(associated_len);
        }
        sum.pad();
        blocks.as_flattened_mut().zeroize();
        Self {
            stream: Keystream { key: key.clone(), first: counter, position: 0 },
            sum,
            seal,
            associated_len: u32::try_from(associated_len).unwrap_or(u32::MAX),
        }
    }

    /// Decrypts the next bytes, as many as there are.
    pub fn decrypt(&mut self, bytes: &mut [u8]) {
        self.stream.apply(bytes, Side::Before(&mut self.sum));
    }

    /// After a restart: the plaintext up to where the stream was cut, from the beginning and in parts of any length. The
    /// next byte to be decrypted is the one after it. Leaves it encrypted again.
    pub fn derive_again(&mut self, plaintext: &mut [u8]) {
        self.stream.apply(plaintext, Side::After(&mut self.sum));
    }

    /// Bytes that are behind.
    #[must_use]
    pub const fn position(&self) -> u32 {
        self.stream.position
    }

    /// All ciphertext is behind: compares the tag, in constant time (SP 800-38D section 7.2).
    ///
    /// # Errors
    /// [`ErrorKind::ContentTag`]; [`ErrorKind::TooLong`] when there was more than [`MAX_STREAM_LEN`].
    #[inline(never)]
    pub fn verify(mut self, tag: &[u8; TAG_LEN]) -> Result<(), Error> {
        let position = self.stream.position;
        if position > MAX_STREAM_LEN {
            return Err(Error::new(ErrorKind::TooLong, position));
        }
        let mut computed = self.sum.end(self.associated_len, position);
        for (byte, seal) in computed.iter_mut().zip(&self.seal) {
            *byte ^= seal;
        }
        let is_equal = bool::from(computed.ct_eq(tag));
        if is_equal { Ok(()) } else { Err(Error::new(ErrorKind::ContentTag, position)) }
    }
}

impl core::fmt::Debug for Gcm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Gcm(at {}, ..)", self.stream.position)
    }
}

impl core::fmt::Debug for Ctr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Ctr(at {}, ..)", self.0.position)
    }
}

#[cfg(test)]
mod tests;
