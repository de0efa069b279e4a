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
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                let feedback = if self.0 & 1 == 0 { 0 } else { POLYNOMIAL };
                self.0 = self.0 >> 1 ^ feedback;
            }
        }
    }

    pub(crate) const fn value(self) -> u32 {
        !self.0
    }
}

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
            prop_assert_eq!(checksum(&[&one, &other]), crc.checksum(&[one, other].concat()));
        }
    }
}
