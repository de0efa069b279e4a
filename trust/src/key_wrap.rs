//! AES key wrap of a 128-bit key with a 128-bit key: A128KW of RFC 9053 section 6.2.1, RFC 3394.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use crate::aes::{Aes128, Block, Key128};
use crate::error::{Error, ErrorKind};

/// Bytes of a wrapped key: the key and the check.
pub const WRAPPED_KEY_LEN: usize = 24;

/// RFC 3394 section 2.2.3.1.
const INITIAL: [u8; 8] = [0xa6; 8];

/// Unwraps a key (RFC 3394 section 2.2.2). The check is compared in constant time.
///
/// # Errors
/// [`ErrorKind::KeyUnwrap`]: another key wrapped it, or it was changed.
#[inline(never)]
pub fn unwrap(key: &Key128, wrapped: &[u8; WRAPPED_KEY_LEN]) -> Result<Key128, Error> {
    let mut registers = Registers::of(wrapped);
    let aes = Aes128::new(key);
    for step in (1..=STEPS).rev() {
        registers.count(step);
        registers.process(|blocks| aes.decrypt(blocks));
    }
    let is_right = bool::from(registers.check.ct_eq(&INITIAL));
    let mut unwrapped = Key128::new([0; 16]);
    for (to, from) in unwrapped.as_mut().as_chunks_mut().0.iter_mut().zip([registers.second, registers.first])
    {
        *to = from;
    }
    if is_right { Ok(unwrapped) } else { Err(Error::new(ErrorKind::KeyUnwrap, 0)) }
}

/// Wraps a key (RFC 3394 section 2.2.1).
#[must_use]
pub fn wrap(key: &Key128, content: &Key128) -> [u8; WRAPPED_KEY_LEN] {
    let mut wrapped = [0; WRAPPED_KEY_LEN];
    for (to, from) in wrapped.iter_mut().zip(INITIAL.iter().chain(content.as_bytes())) {
        *to = *from;
    }
    let mut registers = Registers::of(&wrapped);
    let aes = Aes128::new(key);
    core::mem::swap(&mut registers.first, &mut registers.second);
    for step in 1..=STEPS {
        registers.process(|blocks| aes.encrypt(blocks));
        registers.count(step);
    }
    let parts = [registers.check, registers.first, registers.second];
    for (to, from) in wrapped.as_chunks_mut().0.iter_mut().zip(parts) {
        *to = from;
    }
    wrapped
}

/// Of a key with two halves.
const STEPS: u8 = 12;

/// A and both R; the next step is that of `first`.
struct Registers {
    check: [u8; 8],
    first: [u8; 8],
    second: [u8; 8],
}

impl Registers {
    /// Before the last step, which is that of the second half.
    fn of(wrapped: &[u8; WRAPPED_KEY_LEN]) -> Self {
        let (check, halves) = wrapped.split_first_chunk().unwrap_or((&INITIAL, &[]));
        let (second, first) = halves.split_first_chunk().unwrap_or((&INITIAL, &[]));
        let first = first.first_chunk().unwrap_or(&INITIAL);
        Self { check: *check, first: *first, second: *second }
    }

    /// The number of the step into the check: twelve of them need no more than its last byte.
    fn count(&mut self, step: u8) {
        let [.., last] = &mut self.check;
        *last ^= step;
    }

    /// One step; the next one is that of the other half.
    #[inline(always)]
    fn process(&mut self, step: impl FnOnce(&mut [Block; 2])) {
        let mut blocks = [[0; 16]; 2];
        if let [check, half, ..] = blocks.as_flattened_mut().as_chunks_mut().0 {
            (*check, *half) = (self.check, self.first);
        }
        step(&mut blocks);
        self.first = self.second;
        if let [check, half, ..] = blocks.as_flattened().as_chunks().0 {
            (self.check, self.second) = (*check, *half);
        }
        blocks.as_flattened_mut().zeroize();
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        for half in [&mut self.first, &mut self.second] {
            half.as_mut_slice().zeroize();
        }
    }
}

#[cfg(test)]
mod tests;
