//! AES-128 (FIPS 197), bitsliced: no table, no branch and no address depends on key or data.
//!
//! Own code, because the crate aes takes 4 KB more of a loader (docs/decisions/0090); the tests compare it with that
//! crate's. Two blocks are processed at once: bit `8 * row + 2 * column + block` of word `i` is bit `i` of that byte.

mod s_box;

use zeroize::Zeroize as _;

use self::s_box::sub_bytes;

/// Bytes of a block.
pub const BLOCK_LEN: usize = 16;

/// A block of AES.
pub type Block = [u8; BLOCK_LEN];

/// Two blocks, bitsliced.
type State = [u32; 8];

/// A key of AES-128, wiped when it is dropped.
#[derive(Clone)]
pub struct Key128([u8; 16]);

impl Drop for Key128 {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl Key128 {
    /// The key of these bytes. Whoever has them wipes them.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_mut(&mut self) -> &mut [u8; 16] {
        &mut self.0
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl core::fmt::Debug for Key128 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key128(..)")
    }
}

/// The round keys of a key, wiped when they are dropped.
pub(crate) struct Aes128([State; 11]);

impl Drop for Aes128 {
    fn drop(&mut self) {
        self.0.as_flattened_mut().zeroize();
    }
}

impl Aes128 {
    /// Expands a key (FIPS 197 section 5.2).
    #[inline(never)]
    pub(crate) fn new(key: &Key128) -> Self {
        let mut keys = Self([[0; 8]; 11]);
        let mut pair = [key.0; 2];
        let mut round = slice(&pair);
        pair.as_flattened_mut().zeroize();
        let mut constant = 1;
        for to in &mut keys.0 {
            *to = round;
            constant = next_round_key(&mut round, constant);
        }
        round.as_mut_slice().zeroize();
        keys
    }

    /// Encrypts two blocks (FIPS 197 section 5.1).
    #[inline(never)]
    pub(crate) fn encrypt(&self, blocks: &mut [Block; 2]) {
        let mut state = slice(blocks);
        let mut left = self.0.len();
        for key in &self.0 {
            add(&mut state, key);
            left = left.wrapping_sub(1);
            if left == 0 {
                break;
            }
            sub_bytes(&mut state);
            shift_rows(&mut state);
            if left > 1 {
                mix_columns(&mut state);
            }
        }
        unslice(&mut state, blocks);
    }

    /// Decrypts two blocks (FIPS 197 section 5.3). The inverse of shifting rows is to shift them three times, that of
    /// mixing columns to mix them three times.
    #[inline(never)]
    pub(crate) fn decrypt(&self, blocks: &mut [Block; 2]) {
        let mut state = slice(blocks);
        let mut left = self.0.len();
        for key in self.0.iter().rev() {
            add(&mut state, key);
            if left < self.0.len() && left > 1 {
                thrice(mix_columns, &mut state);
            }
            left = left.wrapping_sub(1);
            if left == 0 {
                break;
            }
            thrice(shift_rows, &mut state);
            s_box::inverse_affine(&mut state);
            sub_bytes(&mut state);
            s_box::inverse_affine(&mut state);
        }
        unslice(&mut state, blocks);
    }
}

fn thrice(step: fn(&mut State), state: &mut State) {
    for _ in 0..3 {
        step(state);
    }
}

/// The round key after this one; the round constant after this one. Both blocks of a round key are the same.
#[inline(never)]
fn next_round_key(key: &mut State, constant: u32) -> u32 {
    let mut substituted = *key;
    sub_bytes(&mut substituted);
    let mut bits = constant;
    for (word, substituted) in key.iter_mut().zip(&substituted) {
        // The last column, one row up, into the first one; then each column is added to all after it.
        let first = substituted.rotate_right(8).wrapping_shr(6) & 0x0303_0303;
        let mut columns = *word ^ first ^ (bits & 1).wrapping_mul(3);
        columns ^= columns.wrapping_shl(2) & 0xfcfc_fcfc;
        columns ^= columns.wrapping_shl(4) & 0xf0f0_f0f0;
        *word = columns;
        bits = bits.wrapping_shr(1);
    }
    substituted.as_mut_slice().zeroize();
    constant.wrapping_shl(1) ^ constant.wrapping_shr(7).wrapping_mul(0x11b)
}

fn add(state: &mut State, key: &State) {
    for (word, key) in state.iter_mut().zip(key) {
        *word ^= key;
    }
}

/// Row `r`, a byte of each word, by `r` columns.
#[inline(never)]
fn shift_rows(state: &mut State) {
    for word in state {
        let bits = *word;
        let bits = bits & 0x00ff_00ff | bits >> 2 & 0x3f00_3f00 | bits << 6 & 0xc000_c000;
        *word = bits & 0x0000_ffff | bits >> 4 & 0x0f0f_0000 | bits << 4 & 0xf0f0_0000;
    }
}

/// FIPS 197 section 5.1.3: each byte becomes `2 (a + b) + b + c + d`, where b, c and d lie below it.
#[inline(never)]
fn mix_columns(state: &mut State) {
    let [.., highest] = *state;
    let highest = highest ^ highest.rotate_right(8);
    let mut below = 0;
    // The polynomial of the field, bit by bit.
    let mut reduction = 0x1b_u32;
    for word in state {
        let next = word.rotate_right(8);
        let sum = *word ^ next;
        *word = next ^ sum.rotate_right(16) ^ below ^ (highest & all_or_none(reduction));
        below = sum;
        reduction >>= 1;
    }
}

/// All bits, if the lowest is set.
const fn all_or_none(bits: u32) -> u32 {
    (bits & 1).wrapping_neg()
}

fn slice([first, second]: &[Block; 2]) -> State {
    let mut state = [0; 8];
    let columns = first.as_chunks().0.iter().zip(second.as_chunks().0);
    for ([a, b], (first, second)) in state.as_chunks_mut().0.iter_mut().zip(columns) {
        (*a, *b) = (u32::from_le_bytes(*first), u32::from_le_bytes(*second));
    }
    transpose(&mut state);
    state
}

/// Wipes the state.
fn unslice(state: &mut State, [first, second]: &mut [Block; 2]) {
    transpose(state);
    let columns = first.as_chunks_mut().0.iter_mut().zip(second.as_chunks_mut().0);
    for ([a, b], (first, second)) in state.as_chunks().0.iter().zip(columns) {
        (*first, *second) = (a.to_le_bytes(), b.to_le_bytes());
    }
    state.as_mut_slice().zeroize();
}

/// Transposes the eight by eight bits of each byte of the words. It is its own inverse.
#[inline(never)]
fn transpose(state: &mut State) {
    let mut distance = 1_usize;
    let mut mask = 0x5555_5555_u32;
    while distance < 8 {
        for low in 0..8_usize {
            let high = low | distance;
            if low != high {
                let (a, b) = (word(state, low), word(state, high));
                let swapped = (a >> distance ^ b) & mask;
                set_word(state, high, b ^ swapped);
                set_word(state, low, a ^ swapped << distance);
            }
        }
        distance = distance.wrapping_shl(1);
        mask = if distance == 2 { 0x3333_3333 } else { 0x0f0f_0f0f };
    }
}

/// The word of this index, of which the lower three bits count.
fn word(state: &State, index: usize) -> u32 {
    state.get(index & 7).copied().unwrap_or_default()
}

fn set_word(state: &mut State, index: usize, value: u32) {
    if let Some(word) = state.get_mut(index & 7) {
        *word = value;
    }
}

#[cfg(test)]
mod tests;
