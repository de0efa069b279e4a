//! GHASH (NIST SP 800-38D section 6.4), without a table: nothing depends on key or data but the values.
//!
//! Words are multiplied as T. Pornin's BearSSL does it: integer multiplications of every fourth bit, whose carries fall
//! into the holes. 32-bit products take the same time on every Cortex-M; 64-bit ones do not (docs/decisions/0090).

use zeroize::Zeroize as _;

use crate::aes::{BLOCK_LEN, Block};

/// The hash of the bytes so far.
#[derive(Clone)]
pub(super) struct Ghash {
    key: [u32; 4],
    sum: Block,
    /// Bytes of the last block that are added to `sum` already.
    filled: usize,
}

impl Drop for Ghash {
    fn drop(&mut self) {
        self.key.as_mut_slice().zeroize();
        self.sum.as_mut_slice().zeroize();
    }
}

impl Ghash {
    pub(super) fn new(key: &Block) -> Self {
        Self { key: words(key), sum: [0; BLOCK_LEN], filled: 0 }
    }

    /// The next bytes.
    #[inline(never)]
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(to) = self.sum.get_mut(self.filled & 15) {
                *to ^= byte;
            }
            self.filled = self.filled.wrapping_add(1);
            if self.filled == BLOCK_LEN {
                self.multiply();
            }
        }
    }

    /// Fills the last block with zeros.
    pub(super) fn pad(&mut self) {
        if self.filled != 0 {
            self.multiply();
        }
    }

    /// Takes the lengths in bits, of associated data and ciphertext, of so many bytes; then the hash.
    pub(super) fn end(&mut self, associated_len: u32, len: u32) -> Block {
        self.pad();
        for len in [associated_len, len] {
            self.take(&u64::from(len).wrapping_mul(8).to_be_bytes());
        }
        self.sum
    }

    #[inline(never)]
    fn multiply(&mut self) {
        self.filled = 0;
        let product = product(&words(&self.sum), &self.key);
        for (bytes, word) in self.sum.as_chunks_mut().0.iter_mut().zip(product) {
            *bytes = word.to_be_bytes();
        }
    }
}

fn words(block: &Block) -> [u32; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

/// Product in the field. The highest bit of the first word is the coefficient of 1.
#[inline(never)]
fn product(a: &[u32; 4], b: &[u32; 4]) -> [u32; 4] {
    let mut wide = [0_u32; 8];
    for (i, a) in (0_usize..).zip(a) {
        for (j, b) in (i..).zip(b) {
            // Coefficients below 32, and from there on: the lower half of a product is that of the reversed factors.
            if let Some([low, high]) = wide.get_mut(j & 7..).and_then(|words| words.first_chunk_mut()) {
                *low ^= multiply_low(a.reverse_bits(), b.reverse_bits()).reverse_bits();
                *high ^= multiply_low(*a, *b) << 1;
            }
        }
    }
    // x^128 = 1 + x + x^2 + x^7: each of the last four words, from the last one on, into the words four before it.
    let [a, b, c, d, e, f, g, h] = &mut wide;
    fold(h, d, e);
    fold(g, c, d);
    fold(f, b, c);
    fold(e, a, b);
    [*a, *b, *c, *d]
}

#[inline(never)]
fn fold(word: &u32, first: &mut u32, second: &mut u32) {
    *first ^= word ^ word >> 1 ^ word >> 2 ^ word >> 7;
    *second ^= word << 31 ^ word << 30 ^ word << 25;
}

/// Lower half of the product of two polynomials over GF(2).
#[inline(never)]
fn multiply_low(a: u32, b: u32) -> u32 {
    const EVERY_FOURTH: u32 = 0x1111_1111;
    const MASKS: [u32; 4] = [EVERY_FOURTH, EVERY_FOURTH << 1, EVERY_FOURTH << 2, EVERY_FOURTH << 3];
    let [mask0, mask1, mask2, mask3] = MASKS;
    let (a0, a1, a2, a3) = (a & mask0, a & mask1, a & mask2, a & mask3);
    let (b0, b1, b2, b3) = (b & mask0, b & mask1, b & mask2, b & mask3);
    let times = u32::wrapping_mul;
    let sum0 = times(a0, b0) ^ times(a1, b3) ^ times(a2, b2) ^ times(a3, b1);
    let sum1 = times(a0, b1) ^ times(a1, b0) ^ times(a2, b3) ^ times(a3, b2);
    let sum2 = times(a0, b2) ^ times(a1, b1) ^ times(a2, b0) ^ times(a3, b3);
    let sum3 = times(a0, b3) ^ times(a1, b2) ^ times(a2, b1) ^ times(a3, b0);
    sum0 & mask0 | sum1 & mask1 | sum2 & mask2 | sum3 & mask3
}
