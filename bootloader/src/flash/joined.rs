//! Two flash devices as one, for a board whose slot B lies in external flash (docs/flash-layout.md, Parts).

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Two devices in one space of offsets: the second one begins where the first one ends. Its word and its sector are
/// the larger ones of the two; both devices have the same erased value.
#[derive(Clone, Debug)]
pub struct Joined<A, B> {
    first: A,
    second: B,
}

/// Why an access to two devices failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinedError<A, B> {
    /// The first device failed.
    First(A),
    /// The second device failed.
    Second(B),
    /// The access reaches from one device into the other, or beyond the second one.
    OutOfBounds,
}

impl<A: NorFlashError, B: NorFlashError> NorFlashError for JoinedError<A, B> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::First(error) => error.kind(),
            Self::Second(error) => error.kind(),
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
        }
    }
}

/// The device of an access, and the offset in it.
enum Place {
    First(u32),
    Second(u32),
}

impl<A: NorFlash, B: NorFlash> Joined<A, B> {
    /// Joins them.
    #[must_use]
    pub const fn new(first: A, second: B) -> Self {
        // Of two powers of two the larger one is a multiple of the other.
        const {
            assert!(A::WRITE_SIZE.is_power_of_two() && B::WRITE_SIZE.is_power_of_two());
            assert!(A::READ_SIZE.is_power_of_two() && B::READ_SIZE.is_power_of_two());
            assert!(A::ERASE_SIZE.is_power_of_two() && B::ERASE_SIZE.is_power_of_two());
        }
        Self { first, second }
    }

    /// The devices.
    pub const fn devices(&self) -> (&A, &B) {
        (&self.first, &self.second)
    }

    fn place(&self, offset: u32, len: usize) -> Result<Place, JoinedError<A::Error, B::Error>> {
        let outside = JoinedError::OutOfBounds;
        let border = u32::try_from(self.first.capacity()).map_err(|_| outside)?;
        let outside = JoinedError::OutOfBounds;
        let Some(second) = offset.checked_sub(border) else {
            let end = u32::try_from(len).ok().and_then(|len| offset.checked_add(len));
            return if end.is_some_and(|end| end <= border) {
                Ok(Place::First(offset))
            } else {
                Err(outside)
            };
        };
        Ok(Place::Second(second))
    }
}

impl<A: NorFlash, B: NorFlash> ErrorType for Joined<A, B> {
    type Error = JoinedError<A::Error, B::Error>;
}

const fn larger(first: usize, second: usize) -> usize {
    if first > second { first } else { second }
}

impl<A: NorFlash, B: NorFlash> ReadNorFlash for Joined<A, B> {
    const READ_SIZE: usize = larger(A::READ_SIZE, B::READ_SIZE);

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        match self.place(offset, bytes.len())? {
            Place::First(offset) => self.first.read(offset, bytes).map_err(JoinedError::First),
            Place::Second(offset) => self.second.read(offset, bytes).map_err(JoinedError::Second),
        }
    }

    fn capacity(&self) -> usize {
        self.first.capacity().saturating_add(self.second.capacity())
    }
}

impl<A: NorFlash, B: NorFlash> NorFlash for Joined<A, B> {
    const WRITE_SIZE: usize = larger(A::WRITE_SIZE, B::WRITE_SIZE);
    const ERASE_SIZE: usize = larger(A::ERASE_SIZE, B::ERASE_SIZE);

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let len = to.checked_sub(from).ok_or(JoinedError::OutOfBounds)?;
        let outside = |_| JoinedError::OutOfBounds;
        match self.place(from, usize::try_from(len).map_err(outside)?)? {
            Place::First(from) => {
                self.first.erase(from, from.saturating_add(len)).map_err(JoinedError::First)
            }
            Place::Second(from) => {
                self.second.erase(from, from.saturating_add(len)).map_err(JoinedError::Second)
            }
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        match self.place(offset, bytes.len())? {
            Place::First(offset) => self.first.write(offset, bytes).map_err(JoinedError::First),
            Place::Second(offset) => self.second.write(offset, bytes).map_err(JoinedError::Second),
        }
    }
}
