//! The CRC-32 that everything of ours in flash and in the mailbox carries (docs/flash-layout.md).

use crc::{CRC_32_ISO_HDLC, Crc, Digest, NoTable};

static CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// A CRC over parts that come one by one.
pub(crate) struct Checksum(Digest<'static, u32, NoTable>);

impl Checksum {
    pub(crate) fn new() -> Self {
        Self(CRC.digest())
    }

    pub(crate) fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    pub(crate) fn value(self) -> u32 {
        self.0.finalize()
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
    use super::*;

    #[test]
    fn it_is_the_crc_of_iso_hdlc_over_all_parts() {
        // The check value of the catalogue of parametrised CRC algorithms.
        assert_eq!(checksum(&[b"1234", b"", b"56789"]), 0xCBF4_3926);
    }
}
