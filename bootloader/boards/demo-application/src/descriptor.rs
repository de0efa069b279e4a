//! The descriptor of a demo application at a fixed place in its image. It tells the simulator, which cannot run
//! Cortex-M4 code, how the image behaves. The loader ignores it.

/// Bytes of the descriptor.
pub const DESCRIPTOR_LEN: usize = 52;
/// First bytes, the format version last.
pub const MAGIC: [u8; 16] = *b"ANCHORAGE-APP\0\0\x01";
/// Bytes of the version, padded with zeros.
const VERSION_LEN: usize = 32;

/// The behaviour of an application after its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// Confirms itself after its self-test.
    Confirms,
    /// Serves the bus and never confirms itself.
    NeverConfirms,
    /// Hangs before it serves anything; the watchdog ends it.
    Hangs,
    /// Confirms itself after its self-test and resets the device at once, at every start.
    Crashes,
    /// Confirms itself after its self-test and hangs at once, at every start.
    Stalls,
}

impl Behaviour {
    const CONFIRMS: u32 = 1;
    const HANGS: u32 = 1 << 1;
    const CRASHES: u32 = 1 << 2;

    const fn flags(self) -> u32 {
        match self {
            Self::Confirms => Self::CONFIRMS,
            Self::NeverConfirms => 0,
            Self::Hangs => Self::HANGS,
            Self::Crashes => Self::CONFIRMS | Self::CRASHES,
            Self::Stalls => Self::CONFIRMS | Self::HANGS,
        }
    }

    const fn from_flags(flags: u32) -> Option<Self> {
        const CRASHES: u32 = Behaviour::Crashes.flags();
        const STALLS: u32 = Behaviour::Stalls.flags();
        match flags {
            Self::CONFIRMS => Some(Self::Confirms),
            0 => Some(Self::NeverConfirms),
            Self::HANGS => Some(Self::Hangs),
            CRASHES => Some(Self::Crashes),
            STALLS => Some(Self::Stalls),
            _ => None,
        }
    }
}

/// Version and behaviour: magic (16), version (32), flags (u32, little-endian).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    version: [u8; VERSION_LEN],
    /// Its behaviour.
    pub behaviour: Behaviour,
}

impl Descriptor {
    /// `None` unless the version is 1 to 32 printable ASCII characters.
    #[must_use]
    pub const fn new(version: &str, behaviour: Behaviour) -> Option<Self> {
        let mut field = [0; VERSION_LEN];
        let Some((used, _)) = field.split_at_mut_checked(version.len()) else { return None };
        used.copy_from_slice(version.as_bytes());
        let descriptor = Self { version: field, behaviour };
        match descriptor.version_checked() {
            Some(checked) if checked.len() == version.len() => Some(descriptor),
            _ => None,
        }
    }

    /// The descriptor in these bytes, if it is one.
    #[must_use]
    pub fn parse(bytes: &[u8; DESCRIPTOR_LEN]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (flags, _) = rest.split_first_chunk()?;
        if *magic != MAGIC {
            return None;
        }
        let behaviour = Behaviour::from_flags(u32::from_le_bytes(*flags))?;
        let descriptor = Self { version: *version, behaviour };
        descriptor.version_checked().map(|_| descriptor)
    }

    /// Its bytes in an image.
    #[must_use]
    pub const fn encode(&self) -> [u8; DESCRIPTOR_LEN] {
        let mut bytes = [0; DESCRIPTOR_LEN];
        let (magic, rest) = bytes.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        let (version, flags) = rest.split_at_mut(VERSION_LEN);
        version.copy_from_slice(&self.version);
        flags.copy_from_slice(&self.behaviour.flags().to_le_bytes());
        bytes
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> &str {
        match self.version_checked() {
            Some(version) => version,
            None => "",
        }
    }

    /// Printable ASCII, then nothing but zeros.
    const fn version_checked(&self) -> Option<&str> {
        let mut rest: &[u8] = &self.version;
        let mut len = 0_usize;
        while let [first, tail @ ..] = rest {
            if *first == 0 {
                break;
            }
            if !first.is_ascii_graphic() {
                return None;
            }
            len = len.saturating_add(1);
            rest = tail;
        }
        while let [first, tail @ ..] = rest {
            if *first != 0 {
                return None;
            }
            rest = tail;
        }
        match self.version.split_at_checked(len) {
            Some((used, _)) if len != 0 => match core::str::from_utf8(used) {
                Ok(version) => Some(version),
                Err(_) => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let bytes = Descriptor::new("1.2.3", Behaviour::Confirms).unwrap().encode();
        let mut expected = [0; DESCRIPTOR_LEN];
        expected[..21].copy_from_slice(b"ANCHORAGE-APP\0\0\x011.2.3");
        expected[48] = 1;
        assert_eq!(bytes, expected);
    }

    #[test]
    fn what_is_encoded_is_parsed() {
        use Behaviour::{Confirms, Crashes, Hangs, NeverConfirms, Stalls};
        for behaviour in [Confirms, NeverConfirms, Hangs, Crashes, Stalls] {
            for version in ["1", "4.0.0-rc.1+build", "0123456789abcdef0123456789abcdef"] {
                let descriptor = Descriptor::new(version, behaviour).unwrap();
                assert_eq!(Descriptor::parse(&descriptor.encode()), Some(descriptor));
                assert_eq!(descriptor.version(), version);
            }
        }
    }

    #[test]
    fn versions_that_do_not_fit_are_none() {
        for version in ["", "0123456789abcdef0123456789abcdef0", "1 0", "1.0\n", "1.0\0", "1.é"] {
            assert_eq!(Descriptor::new(version, Behaviour::Confirms), None, "{version:?}");
        }
    }

    #[test]
    fn other_bytes_are_no_descriptor() {
        let good = Descriptor::new("1.2.3", Behaviour::NeverConfirms).unwrap().encode();
        assert_eq!(Descriptor::parse(&[0xFF; DESCRIPTOR_LEN]), None);
        for (position, value) in
            [(0, b'B'), (15, 2), (16, 0), (21, b' '), (22, b'x'), (47, 1), (48, 4), (48, 8), (51, 1)]
        {
            let mut bytes = good;
            bytes[position] = value;
            assert_eq!(Descriptor::parse(&bytes), None, "{position}");
        }
    }
}
