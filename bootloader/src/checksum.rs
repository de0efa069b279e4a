//! The CRC-32 (ISO-HDLC) that everything of ours in flash and in the mailbox carries (docs/flash-layout.md). Bit by bit
//! and written here: a fifth of the code that a general implementation takes, which counts in a C application
//! (docs/decisions/0036).

/// The polynomial, its lowest power in the highest bit.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// A CRC over parts that come one by one.
pub(crate) struct Checksum(u32);

impl Checksum {
    pub(crate) const fn new() -> Self {
        Self(u32::MAX)
    }

    #[inline(never)]
    pub(crate) fn update(&mut self, part: &[u8]) {
        for byte in part {
            self.0 = after_a_byte_fast(self.0 ^ u32::from(*byte));
        }
    }

    pub(crate) const fn value(self) -> u32 {
        !self.0
    }
}

/// The CRC after the eight bits in the low byte of this one.
#[inline(always)]
const fn after_a_byte(mut crc: u32) -> u32 {
    let mut bits = 0u8;
    while bits < 8 {
        let feedback = if crc & 1 == 0 { 0 } else { POLYNOMIAL };
        crc = crc >> 1 ^ feedback;
        bits = bits.wrapping_add(1);
    }
    crc
}

/// The same from a table: a device has no room for it, and tests simulate thousands of lives.
#[cfg(not(target_os = "none"))]
fn after_a_byte_fast(crc: u32) -> u32 {
    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "while it is compiled")]
    static TABLE: [u32; 256] = {
        let (mut table, mut byte) = ([0; 256], 0u8);
        loop {
            table[byte as usize] = after_a_byte(byte as u32);
            if byte == u8::MAX {
                break table;
            }
            byte += 1;
        }
    };
    let [low, ..] = crc.to_le_bytes();
    TABLE.get(usize::from(low)).copied().unwrap_or(0) ^ crc >> 8
}

#[cfg(target_os = "none")]
use after_a_byte as after_a_byte_fast;

/// The CRC over these parts, one after the other.
pub(crate) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut crc = Checksum::new();
    for part in parts {
        crc.update(part);
    }
    crc.value()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_crc_of_iso_hdlc_over_all_parts() {
        // The check value of the catalogue of parametrised CRC algorithms.
        assert_eq!(checksum(&[b"1234", b"", b"56789"]), 0xCBF4_3926);
    }

    proptest! {
        #[test]
        fn it_is_what_the_crate_crc_computes(one: Vec<u8>, other: Vec<u8>) {
            let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
            let parts = [one.clone(), other.clone()].concat();
            prop_assert_eq!(checksum(&[&one, &other]), crc.checksum(&parts));
            let bit_by_bit = parts.iter().fold(u32::MAX, |crc, byte| after_a_byte(crc ^ u32::from(*byte)));
            prop_assert_eq!(!bit_by_bit, crc.checksum(&parts));
        }
    }
}
