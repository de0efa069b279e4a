//! The head of an item: major type and argument (RFC 8949 section 3).

use crate::error::ErrorKind;

/// The major type of an item, RFC 8949 section 3.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// A word, for size: a device widens a byte again after each call.
#[repr(u32)]
pub enum Major {
    /// 0
    Unsigned,
    /// 1
    Negative,
    /// 2
    Bytes,
    /// 3
    Text,
    /// 4
    Array,
    /// 5
    Map,
    /// 6
    Tag,
    /// 7: false, true, null; anything else of it is refused when it is read
    Simple,
}

impl Major {
    /// The upper three bits of an initial byte.
    pub(super) const fn of(initial: u8) -> Self {
        match initial >> 5 {
            0 => Self::Unsigned,
            1 => Self::Negative,
            2 => Self::Bytes,
            3 => Self::Text,
            4 => Self::Array,
            5 => Self::Map,
            6 => Self::Tag,
            _ => Self::Simple,
        }
    }

    /// The upper three bits of an initial byte.
    pub(super) const fn initial(self) -> u8 {
        (self as u8) << 5
    }
}

/// Reads the head at the start of `bytes`, whose argument must be definite and in its shortest form; and what follows it.
///
/// # Errors
/// [`ErrorKind::Truncated`], [`ErrorKind::NotCanonical`]
pub(super) fn read_head(bytes: &[u8]) -> Result<((Major, u64), &[u8]), ErrorKind> {
    let (initial, rest) = bytes.split_first().ok_or(ErrorKind::Truncated)?;
    let information = initial & 0x1f;
    // Bytes of the argument, and the least value that needs as many.
    let (len, least) = match information {
        0..=23 => (0, 0),
        24 => (1, 24),
        25 => (2, 1 << 8),
        26 => (4, 1 << 16),
        27 => (8, 1 << 32),
        _ => return Err(ErrorKind::NotCanonical),
    };
    let (bytes, rest) = rest.split_at_checked(len).ok_or(ErrorKind::Truncated)?;
    let argument = match bytes {
        [] => u64::from(information),
        _ => bytes.iter().fold(0, |argument, byte| (argument << 8) | u64::from(*byte)),
    };
    if argument < least {
        return Err(ErrorKind::NotCanonical);
    }
    Ok(((Major::of(*initial), argument), rest))
}
