//! SHA-256 and SHA-512 (FIPS 180-4): the compression functions of the crate sha2 under a buffer that is smaller than
//! that crate's and cannot panic (docs/decisions/0038). For the device's code, and for what runs it on a host.

use sha2::block_api::{compress256, compress512};

/// Bytes of the longer block, that of SHA-512.
const BLOCK_MAX: usize = 128;

/// The bytes that do not fill a block yet. One for both hashes, so that their code is there once.
#[derive(Clone, Debug)]
struct Input {
    block: [u8; BLOCK_MAX],
    /// Bytes of `block` that are there; fewer than all.
    filled: usize,
    /// Bytes of a block of this hash, a power of two.
    block_len: usize,
    /// Bytes in all.
    len: u64,
}

impl Input {
    const fn of(block_len: usize) -> Self {
        Self { block: [0; _], filled: 0, block_len, len: 0 }
    }

    fn push(&mut self, byte: u8) -> bool {
        if let Some(place) = self.block.get_mut(self.filled) {
            *place = byte;
        }
        self.filled = self.filled.wrapping_add(1) & self.block_len.wrapping_sub(1);
        self.filled == 0
    }

    #[inline(never)]
    fn absorb(&mut self, bytes: &[u8], compress: &mut dyn FnMut(&[u8; BLOCK_MAX])) {
        for byte in bytes {
            self.len = self.len.wrapping_add(1);
            if self.push(*byte) {
                compress(&self.block);
            }
        }
    }

    /// Pads with a one, zeros, and the number of bits in the last eight bytes (FIPS 180-4, 5.1; messages are shorter
    /// than 2^61 bytes).
    #[inline(never)]
    fn end(&mut self, compress: &mut dyn FnMut(&[u8; BLOCK_MAX])) {
        let bits = self.len.wrapping_shl(3).to_be_bytes();
        // Bytes of the number.
        let len_len = self.block_len / 8;
        if self.push(0x80) {
            compress(&self.block);
        }
        while self.filled != self.block_len.wrapping_sub(len_len) {
            if self.push(0) {
                compress(&self.block);
            }
        }
        for _ in 8..len_len {
            self.push(0);
        }
        self.absorb(&bits, compress);
    }
}

/// The block of a hash whose block may be shorter, as the compression takes it.
fn first<const BLOCK: usize>(block: &[u8; BLOCK_MAX]) -> &[[u8; BLOCK]] {
    block.as_chunks().0.get(..1).unwrap_or_default()
}

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident, $word:ty, $block:literal, $len:literal, $compress:ident, $initial:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            state: [$word; 8],
            input: Input,
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $name {
            /// The hash of nothing yet.
            // A call: in each of its callers it is as many instructions as the state has words.
            #[inline(never)]
            #[must_use]
            pub const fn new() -> Self {
                const INITIAL: [$word; 8] = $initial;
                Self { state: INITIAL, input: Input::of($block) }
            }

            /// The hash of these bytes.
            #[must_use]
            pub fn of(bytes: &[u8]) -> [u8; $len] {
                let mut hash = Self::new();
                hash.update(bytes);
                hash.finish()
            }

            /// Takes more of the message.
            pub fn update(&mut self, bytes: &[u8]) {
                let state = &mut self.state;
                self.input.absorb(bytes, &mut |block| $compress(state, first(block)));
            }

            /// The hash of what was taken.
            #[inline(always)]
            #[must_use]
            pub fn finish(mut self) -> [u8; $len] {
                self.end()
            }

            /// In place: a state is large.
            #[inline(never)]
            fn end(&mut self) -> [u8; $len] {
                let state = &mut self.state;
                self.input.end(&mut |block| $compress(state, first(block)));
                let mut bytes = [0; $len];
                for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(&self.state) {
                    *to = word.to_be_bytes();
                }
                bytes
            }
        }
    };
}

hash! {
    /// SHA-256.
    Sha256, u32, 64, 32, compress256,
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19]
}
hash! {
    /// SHA-512.
    Sha512, u64, 128, 64, compress512,
    [
        0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
        0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::Digest as _;

    use super::*;

    #[test]
    fn the_examples_of_the_standard_hash_as_printed() {
        let hex = |text: &str| hex::decode(text).unwrap();
        assert_eq!(
            Sha256::of(b"abc").to_vec(),
            hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        assert_eq!(
            Sha512::of(b"abc").to_vec(),
            hex("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f")
        );
    }

    /// Every length around the block and its padding, against the library that hosts use.
    #[test]
    fn every_length_up_to_five_blocks_hashes_as_the_library_says() {
        let bytes: std::vec::Vec<u8> = (0..640_u32).map(|n| n.wrapping_mul(167).to_le_bytes()[0]).collect();
        for len in 0..=bytes.len() {
            let bytes = &bytes[..len];
            assert_eq!(Sha256::of(bytes), <[u8; 32]>::from(sha2::Sha256::digest(bytes)), "{len}");
            assert_eq!(Sha512::of(bytes), <[u8; 64]>::from(sha2::Sha512::digest(bytes)), "{len}");
        }
    }

    proptest! {
        #[test]
        fn parts_hash_as_the_whole(bytes: std::vec::Vec<u8>, cuts in prop::collection::vec(0_usize..300, 0..8)) {
            let (mut short, mut long) = (Sha256::new(), Sha512::new());
            let mut rest = &bytes[..];
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                short.update(now);
                long.update(now);
                rest = later;
            }
            short.update(rest);
            long.update(rest);
            prop_assert_eq!(short.finish(), Sha256::of(&bytes));
            prop_assert_eq!(long.finish(), Sha512::of(&bytes));
        }
    }
}
