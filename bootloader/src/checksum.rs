//! The CRC-32 that everything of ours in flash and in the mailbox carries (docs/flash-layout.md).

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// The CRC over these parts, one after the other.
pub(crate) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut digest = CRC.digest();
    for part in parts {
        digest.update(part);
    }
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_crc_of_iso_hdlc_over_all_parts() {
        // The check value of the catalogue of parametrised CRC algorithms.
        assert_eq!(checksum(&[b"1234", b"", b"56789"]), 0xCBF4_3926);
    }
}
