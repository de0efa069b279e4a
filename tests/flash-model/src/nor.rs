//! A driver over a [`Medium`], or over a part of one: what a board would own, while the test keeps hold of the medium.

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use crate::{Chip, Medium};

/// Why the model refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelError {
    /// There is no power: nothing happens until [`Medium::power_on`].
    NoPower,
    /// A word that does not read.
    EccFault,
    /// A read, a program or an erase that failed.
    Failed,
    /// Not aligned, or outside.
    Misuse,
}

impl NorFlashError for ModelError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Misuse => NorFlashErrorKind::NotAligned,
            Self::NoPower | Self::EccFault | Self::Failed => NorFlashErrorKind::Other,
        }
    }
}

/// A driver of words of `WORD` bytes whose smallest sector has `PAGE` bytes.
#[derive(Clone)]
pub struct Nor<const WORD: usize, const PAGE: usize> {
    medium: Rc<RefCell<Medium>>,
    /// The part of the medium that it drives.
    start: usize,
    len: usize,
}

impl<const WORD: usize, const PAGE: usize> Nor<WORD, PAGE> {
    /// An erased flash of `len` bytes with even sectors.
    pub fn new(len: u32) -> Self {
        Self::with(Medium::of(&[Chip::even(WORD, PAGE, len as usize)]))
    }

    /// A flash of its own with the content of a medium that was kept.
    pub fn with(medium: Medium) -> Self {
        let len = medium.bytes().len();
        Self::window(&Rc::new(RefCell::new(medium)), 0, len)
    }

    /// The driver of `len` bytes of a medium that other drivers have parts of.
    pub fn window(medium: &Rc<RefCell<Medium>>, start: usize, len: usize) -> Self {
        let has_words = medium.borrow().words_in(start, len).all(|word| WORD.is_multiple_of(word));
        assert!(has_words, "the driver's word is whole words of the chip");
        Self { medium: Rc::clone(medium), start, len }
    }

    pub fn medium(&self) -> Ref<'_, Medium> {
        self.medium.borrow()
    }

    /// The medium, to cut and to tamper with.
    pub fn medium_mut(&self) -> RefMut<'_, Medium> {
        self.medium.borrow_mut()
    }

    /// Whether the controller finds this range blank: neither programmed nor half programmed, as far as it can tell.
    pub fn is_blank(&self, offset: u32, len: usize) -> Result<bool, ModelError> {
        let start = self.range(offset, len, WORD)?;
        self.medium.borrow().is_blank(start, len)
    }

    fn range(&self, offset: u32, len: usize, align: usize) -> Result<usize, ModelError> {
        let start = offset as usize;
        let fits = start.checked_add(len).is_some_and(|end| end <= self.len);
        if fits && start.is_multiple_of(align) && len.is_multiple_of(align) {
            Ok(self.start + start)
        } else {
            Err(ModelError::Misuse)
        }
    }
}

impl<const WORD: usize, const PAGE: usize> ErrorType for Nor<WORD, PAGE> {
    type Error = ModelError;
}

impl<const WORD: usize, const PAGE: usize> ReadNorFlash for Nor<WORD, PAGE> {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), ModelError> {
        let start = self.range(offset, bytes.len(), WORD)?;
        self.medium.borrow_mut().read(start, bytes)
    }

    fn capacity(&self) -> usize {
        self.len
    }
}

impl<const WORD: usize, const PAGE: usize> NorFlash for Nor<WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), ModelError> {
        let len = to.checked_sub(from).ok_or(ModelError::Misuse)? as usize;
        let start = self.range(from, len, PAGE)?;
        self.medium.borrow_mut().erase(start, len)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), ModelError> {
        let start = self.range(offset, bytes.len(), WORD)?;
        self.medium.borrow_mut().program(start, bytes)
    }
}
