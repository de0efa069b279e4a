//! A driver that looks at the supply before it erases or programs: what starves leaves bits that read differently each
//! time, however they read right afterwards.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Why an access failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SuppliedError<E> {
    /// The supply is too low; nothing was done.
    LowSupply,
    /// The driver failed.
    Driver(E),
}

impl<E: NorFlashError> NorFlashError for SuppliedError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::LowSupply => NorFlashErrorKind::Other,
            Self::Driver(error) => error.kind(),
        }
    }
}

/// A driver that erases and programs only when `is_sufficient` says that the supply lasts for it.
#[derive(Clone, Debug)]
pub struct Supplied<F, S> {
    device: F,
    is_sufficient: S,
}

impl<F: NorFlash, S: FnMut() -> bool> Supplied<F, S> {
    /// Over a driver.
    pub const fn new(device: F, is_sufficient: S) -> Self {
        Self { device, is_sufficient }
    }

    fn check(&mut self) -> Result<(), SuppliedError<F::Error>> {
        if (self.is_sufficient)() { Ok(()) } else { Err(SuppliedError::LowSupply) }
    }
}

impl<F: NorFlash, S> ErrorType for Supplied<F, S> {
    type Error = SuppliedError<F::Error>;
}

impl<F: NorFlash, S: FnMut() -> bool> ReadNorFlash for Supplied<F, S> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.device.read(offset, bytes).map_err(SuppliedError::Driver)
    }

    fn capacity(&self) -> usize {
        self.device.capacity()
    }
}

impl<F: NorFlash, S: FnMut() -> bool> NorFlash for Supplied<F, S> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.check()?;
        self.device.erase(from, to).map_err(SuppliedError::Driver)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.check()?;
        self.device.write(offset, bytes).map_err(SuppliedError::Driver)
    }
}
