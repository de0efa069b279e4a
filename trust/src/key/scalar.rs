//! Numbers modulo L, the order of Ed25519's base point, as far as a verification needs them: read, reduce, take bits.
//! All of them are public. The library's own are made for secrets and cost 4 KB of a loader's flash
//! (docs/decisions/0023).

/// Bits of a number below L = 2^252 + 27742317777372353535851937790883648493, in whole windows.
pub(super) const SCALAR_BITS: u32 = 255;

/// L, least significant limb first.
const ORDER: [u32; 8] = [0x5cf5_d3ed, 0x5812_631a, 0xa2f7_9cd6, 0x14de_f9de, 0, 0, 0, 0x1000_0000];

/// A number below L, least significant limb first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Scalar([u32; 8]);

impl Scalar {
    /// Takes the encoding of RFC 8032 section 5.1.7; `None` unless it is below L.
    pub(super) fn from_canonical_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let mut limbs = [0; 8];
        for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks().0) {
            *limb = u32::from_le_bytes(*bytes);
        }
        minus_order(&limbs).is_none().then_some(Self(limbs))
    }

    /// A number of 512 bits, least significant byte first, modulo L.
    #[inline(never)]
    pub(super) fn from_wide_bytes(bytes: &[u8; 64]) -> Self {
        let mut rest = [0u32; 8];
        for byte in bytes.iter().rev() {
            for bit in (0..8).rev() {
                // Twice what is left, below 2 L < 2^254, and the next bit.
                let mut carry = u32::from(byte >> bit) & 1;
                for limb in &mut rest {
                    (*limb, carry) = (*limb << 1 | carry, *limb >> 31);
                }
                rest = minus_order(&rest).unwrap_or(rest);
            }
        }
        Self(rest)
    }

    /// Three bits, of which `bit` is the lowest.
    pub(super) fn window(&self, bit: u32) -> usize {
        (bit..bit.saturating_add(3)).rev().fold(0, |window, bit| {
            let limb = usize::try_from(bit / 32).ok().and_then(|limb| self.0.get(limb)).copied().unwrap_or(0);
            (window << 1) | usize::from((limb >> (bit % 32)) & 1 == 1)
        })
    }
}

/// `None` if it is below L.
#[inline(never)]
fn minus_order(number: &[u32; 8]) -> Option<[u32; 8]> {
    let mut difference = [0; 8];
    let mut borrows = false;
    for ((difference, number), order) in difference.iter_mut().zip(number).zip(ORDER) {
        (*difference, borrows) = number.borrowing_sub(order, borrows);
    }
    (!borrows).then_some(difference)
}
