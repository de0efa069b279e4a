//! Numbers that may be absent.

/// An unsigned number as a field that may be absent: a device takes three words for an `Option` of it, and four for
/// `Option<u64>`, whose tag alone has two that every test compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uint([u32; 2]);

impl Uint {
    /// The number as a field.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
        Self([u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])])
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        let Self([high, low]) = self;
        (high as u64) << 32 | low as u64
    }
}
