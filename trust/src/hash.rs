//! SHA-256 and SHA-512 (FIPS 180-4), compact and without a reachable panic (docs/decisions/0038): for the device's
//! code, and for what runs it on a host. One table of constants serves both: the words of SHA-256 are the upper halves
//! of those of SHA-512.

/// The first 64 bits of the fractional parts of the cube roots of the first 80 primes (FIPS 180-4, 4.2.3).
static K: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];

/// The same of the square roots of the first 8 primes (5.3.5).
static INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

const fn whole(word: u64) -> u64 {
    word
}

/// The upper half.
const fn upper(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

macro_rules! hash {
    (
        $(#[$doc:meta])* $name:ident,
        word: $word:ty, $of:expr,
        block: $block:literal, length_at: $length_at:literal, digest: $digest:literal, rounds: $rounds:literal,
        sums: $sum_a:expr, $sum_e:expr, schedule: $near:expr, $far:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            state: [$word; 8],
            /// Bytes hashed so far.
            len: u64,
            /// The last, incomplete block.
            block: [u8; $block],
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $name {
            /// Nothing yet.
            #[must_use]
            pub fn new() -> Self {
                Self { state: INITIAL.map($of), len: 0, block: [0; $block] }
            }

            /// The next bytes.
            // A call, for size, as the ones below.
            #[inline(never)]
            pub fn update(&mut self, mut data: &[u8]) {
                while !data.is_empty() {
                    let used = self.used();
                    if used == 0
                        && let Some((block, rest)) = data.split_first_chunk()
                    {
                        self.len = self.len.wrapping_add($block);
                        self.compress(block);
                        data = rest;
                        continue;
                    }
                    let Some(free) = self.block.get_mut(used..) else { return };
                    let (now, rest) = data.split_at_checked(free.len()).unwrap_or((data, &[]));
                    for (to, from) in free.iter_mut().zip(now) {
                        *to = *from;
                        self.len = self.len.wrapping_add(1);
                    }
                    data = rest;
                    if self.used() == 0 {
                        let block = self.block;
                        self.compress(&block);
                    }
                }
            }

            /// The digest.
            #[inline(never)]
            #[must_use]
            pub fn finish(mut self) -> [u8; $digest] {
                let bits = self.len.wrapping_mul(8);
                self.update(&[0x80]);
                // The length has twice the bytes of a word; that of a message below 2^61 bytes fits the last eight.
                while self.used() != $length_at {
                    self.update(&[0]);
                }
                while self.used() != $block - 8 {
                    self.update(&[0]);
                }
                self.update(&bits.to_be_bytes());
                let mut digest = [0; $digest];
                for (to, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
                    *to = word.to_be_bytes();
                }
                digest
            }

            /// The digest of bytes that are all there.
            #[must_use]
            pub fn of(bytes: &[u8]) -> [u8; $digest] {
                let mut hash = Self::new();
                hash.update(bytes);
                hash.finish()
            }

            /// Bytes in the last block.
            const fn used(&self) -> usize {
                let [low, ..] = self.len.to_le_bytes();
                low as usize & ($block - 1)
            }

            /// Section 6.2.2 (6.4.2), with a schedule of 16 words that goes round.
            #[inline(never)]
            fn compress(&mut self, bytes: &[u8; $block]) {
                let mut schedule: [$word; 16] = [0; 16];
                for (to, from) in schedule.iter_mut().zip(bytes.as_chunks().0) {
                    *to = <$word>::from_be_bytes(*from);
                }
                let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = self.state;
                for (round, k) in K.iter().enumerate().take($rounds) {
                    let word = |at: usize| schedule.get(round.wrapping_add(at) & 15).copied().unwrap_or(0);
                    let now = word(0);
                    let later =
                        now.wrapping_add($near(word(1))).wrapping_add(word(9)).wrapping_add($far(word(14)));
                    if let Some(place) = schedule.get_mut(round & 15) {
                        *place = later;
                    }
                    let choice = (e & f) ^ (!e & g);
                    let first = h
                        .wrapping_add($sum_e(e))
                        .wrapping_add(choice)
                        .wrapping_add($of(*k))
                        .wrapping_add(now);
                    let majority = (a & b) ^ (a & c) ^ (b & c);
                    let second = $sum_a(a).wrapping_add(majority);
                    (h, g, f, e) = (g, f, e, d.wrapping_add(first));
                    (d, c, b, a) = (c, b, a, first.wrapping_add(second));
                }
                for (to, word) in self.state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                    *to = to.wrapping_add(word);
                }
            }
        }
    };
}

hash! {
    /// SHA-256 of bytes that come one after the other.
    Sha256,
    word: u32, upper,
    block: 64, length_at: 56, digest: 32, rounds: 64,
    sums: |x: u32| x.rotate_right(2) ^ x.rotate_right(13) ^ x.rotate_right(22),
    |x: u32| x.rotate_right(6) ^ x.rotate_right(11) ^ x.rotate_right(25),
    schedule: |x: u32| x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3,
    |x: u32| x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10
}

hash! {
    /// SHA-512 of bytes that come one after the other.
    Sha512,
    word: u64, whole,
    block: 128, length_at: 112, digest: 64, rounds: 80,
    sums: |x: u64| x.rotate_right(28) ^ x.rotate_right(34) ^ x.rotate_right(39),
    |x: u64| x.rotate_right(14) ^ x.rotate_right(18) ^ x.rotate_right(41),
    schedule: |x: u64| x.rotate_right(1) ^ x.rotate_right(8) ^ x >> 7,
    |x: u64| x.rotate_right(19) ^ x.rotate_right(61) ^ x >> 6
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
