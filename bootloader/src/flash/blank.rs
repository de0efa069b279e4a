//! Parts whose erased words fault when they are read, such as LPC55 and RA: the controller's blank check tells such a
//! word from one with an ECC fault (docs/flash-layout.md, Parts).

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// A driver whose controller checks words for being blank.
pub trait BlankCheck: NorFlash {
    /// Whether `len` bytes from `offset` on, whole words, have not been programmed since their sector was erased.
    ///
    /// # Errors
    /// [`ErrorType::Error`] if the controller fails.
    fn is_blank(&mut self, offset: u32, len: usize) -> Result<bool, Self::Error>;
}

/// A driver that reads blank words as erased.
#[derive(Clone, Debug)]
pub struct BlankAsErased<F> {
    device: F,
    erased: u8,
}

impl<F: BlankCheck> BlankAsErased<F> {
    /// Over a driver whose erased bytes have this value.
    pub const fn new(device: F, erased: u8) -> Self {
        Self { device, erased }
    }

    /// The driver.
    pub const fn device(&self) -> &F {
        &self.device
    }

    const WORD: usize = if F::WRITE_SIZE > F::READ_SIZE { F::WRITE_SIZE } else { F::READ_SIZE };

    fn read_word(&mut self, offset: u32, word: &mut [u8]) -> Result<(), F::Error> {
        let Err(error) = self.device.read(offset, word) else { return Ok(()) };
        if self.device.is_blank(offset, word.len())? {
            word.fill(self.erased);
            return Ok(());
        }
        Err(error)
    }
}

impl<F: BlankCheck> ErrorType for BlankAsErased<F> {
    type Error = F::Error;
}

impl<F: BlankCheck> ReadNorFlash for BlankAsErased<F> {
    /// Blankness is that of whole words.
    const READ_SIZE: usize = Self::WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        if self.device.read(offset, bytes).is_ok() {
            return Ok(());
        }
        let mut at = offset;
        for word in bytes.chunks_mut(Self::WORD) {
            self.read_word(at, word)?;
            at = at.saturating_add(u32::try_from(word.len()).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.device.capacity()
    }
}

impl<F: BlankCheck> NorFlash for BlankAsErased<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.device.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.device.write(offset, bytes)
    }
}
