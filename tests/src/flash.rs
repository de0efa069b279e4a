//! A NOR flash that holds its user to the contract: a word is programmed once between two erases of its page, an
//! erase takes whole pages, reads are aligned. It counts operations and loses power at any one of them.
//!
//! One operation is one word programmed or one page erased: what the medium does without being interruptible
//! from outside.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use std::cell::{Ref, RefCell, RefMut};
use std::collections::BTreeSet;
use std::rc::Rc;

const ERASED: u8 = 0xFF;

/// What the operation that power was lost in has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// Nothing.
    Nothing,
    /// All of it; only its caller does not learn so.
    All,
}

/// Why the model refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelError {
    /// There is no power: nothing happens until [`Medium::power_on`].
    NoPower,
    /// A word that does not read (set by a test).
    EccFault,
    /// Not aligned, or outside.
    Misuse,
}

impl NorFlashError for ModelError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Misuse => NorFlashErrorKind::NotAligned,
            Self::NoPower | Self::EccFault => NorFlashErrorKind::Other,
        }
    }
}

/// What survives a reset: the bytes and how they came to be.
#[derive(Clone)]
pub struct Medium {
    bytes: Vec<u8>,
    word: usize,
    /// By word: programmed since its page was erased.
    programmed: Vec<bool>,
    unreadable: BTreeSet<usize>,
    operations: u64,
    reads: u64,
    cut: Option<(u64, Cut)>,
    power: bool,
}

impl Medium {
    fn new(len: usize, word: usize) -> Self {
        Self {
            bytes: vec![ERASED; len],
            word,
            programmed: vec![false; len / word],
            unreadable: BTreeSet::new(),
            operations: 0,
            reads: 0,
            cut: None,
            power: true,
        }
    }

    /// Words programmed and pages erased since the model was made.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Read calls since the model was made.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the power away in the operation with this number, counted from now: 0 is the next one.
    pub fn cut_at(&mut self, operation: u64, cut: Cut) {
        self.cut = Some((self.operations + operation, cut));
    }

    /// Whether a cut has happened.
    pub fn is_off(&self) -> bool {
        !self.power
    }

    /// Gives power back; a cut that has not happened is forgotten.
    pub fn power_on(&mut self) {
        self.power = true;
        self.cut = None;
    }

    /// Makes the word at this offset fault on every read until its page is erased.
    pub fn break_word(&mut self, offset: usize) {
        self.unreadable.insert(offset / self.word);
    }

    /// Changes content behind the driver's back, as an attacker with a programmer does.
    pub fn tamper(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Counts an operation; says whether it takes effect, and whether its caller is told.
    fn operate(&mut self) -> (bool, Result<(), ModelError>) {
        if !self.power {
            return (false, Err(ModelError::NoPower));
        }
        let number = self.operations;
        self.operations += 1;
        match self.cut {
            Some((at, cut)) if at == number => {
                self.power = false;
                (cut == Cut::All, Err(ModelError::NoPower))
            }
            _ => (true, Ok(())),
        }
    }

    fn program_word(&mut self, offset: usize, bytes: &[u8]) -> Result<(), ModelError> {
        let (effect, told) = self.operate();
        if effect {
            let word = offset / self.word;
            assert!(!self.programmed[word], "the word at {offset:#x} was programmed twice");
            self.programmed[word] = true;
            self.bytes[offset..offset + self.word].copy_from_slice(bytes);
        }
        told
    }

    fn erase_page(&mut self, offset: usize, page: usize) -> Result<(), ModelError> {
        let (effect, told) = self.operate();
        if effect {
            self.bytes[offset..offset + page].fill(ERASED);
            let words = offset / self.word..(offset + page) / self.word;
            self.programmed[words.clone()].fill(false);
            self.unreadable.retain(|word| !words.contains(word));
        }
        told
    }
}

/// A driver over a shared [`Medium`]: what a board would own, while the test keeps hold of the medium.
#[derive(Clone)]
pub struct Nor<const WORD: usize, const PAGE: usize> {
    medium: Rc<RefCell<Medium>>,
}

impl<const WORD: usize, const PAGE: usize> Nor<WORD, PAGE> {
    /// An erased flash of `len` bytes.
    pub fn new(len: u32) -> Self {
        Self { medium: Rc::new(RefCell::new(Medium::new(len as usize, WORD))) }
    }

    /// A flash of its own with the content of a medium that was kept.
    pub fn with(medium: Medium) -> Self {
        assert_eq!(medium.word, WORD);
        Self { medium: Rc::new(RefCell::new(medium)) }
    }

    /// The medium.
    pub fn medium(&self) -> Ref<'_, Medium> {
        self.medium.borrow()
    }

    /// The medium, to cut and to tamper with.
    pub fn medium_mut(&self) -> RefMut<'_, Medium> {
        self.medium.borrow_mut()
    }
}

fn range(capacity: usize, offset: u32, len: usize, align: usize) -> Result<usize, ModelError> {
    let start = offset as usize;
    let fits = start.checked_add(len).is_some_and(|end| end <= capacity);
    if fits && start.is_multiple_of(align) && len.is_multiple_of(align) {
        Ok(start)
    } else {
        Err(ModelError::Misuse)
    }
}

impl<const WORD: usize, const PAGE: usize> ErrorType for Nor<WORD, PAGE> {
    type Error = ModelError;
}

impl<const WORD: usize, const PAGE: usize> ReadNorFlash for Nor<WORD, PAGE> {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), ModelError> {
        let mut medium = self.medium.borrow_mut();
        let start = range(medium.bytes.len(), offset, bytes.len(), WORD)?;
        if !medium.power {
            return Err(ModelError::NoPower);
        }
        medium.reads += 1;
        let end = start + bytes.len();
        if medium.unreadable.range(start / WORD..end / WORD).next().is_some() {
            return Err(ModelError::EccFault);
        }
        bytes.copy_from_slice(&medium.bytes[start..end]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.medium.borrow().bytes.len()
    }
}

impl<const WORD: usize, const PAGE: usize> NorFlash for Nor<WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), ModelError> {
        let mut medium = self.medium.borrow_mut();
        let len = to.checked_sub(from).ok_or(ModelError::Misuse)? as usize;
        let start = range(medium.bytes.len(), from, len, PAGE)?;
        for page in (start..start + len).step_by(PAGE) {
            medium.erase_page(page, PAGE)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), ModelError> {
        let mut medium = self.medium.borrow_mut();
        let start = range(medium.bytes.len(), offset, bytes.len(), WORD)?;
        for (index, word) in bytes.chunks_exact(WORD).enumerate() {
            medium.program_word(start + index * WORD, word)?;
        }
        Ok(())
    }
}
