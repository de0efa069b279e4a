//! A NOR flash that holds its user to the contract: a word is programmed once between two erases of its page, an
//! erase takes whole pages, reads are aligned. It counts operations and loses power at any one of them; what the cut
//! leaves may read torn, erased, otherwise at the next cut, or not at all.
//!
//! One operation is one word programmed or one page erased: what the medium does without being interruptible
//! from outside.
#![forbid(unsafe_code)]

use std::cell::{Ref, RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

const ERASED: u8 = 0xFF;

/// The effect of the interrupted operation on its word (program) or page (erase). A word that was not wholly written
/// counts as programmed: if it is programmed again without an erase, it faults on every read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    Nothing,
    /// All of it; only its caller does not learn so.
    All,
    /// It reads as erased, and yet is not.
    Weak,
    /// Some of the bits that were to change, chosen by the seed.
    Torn(u64),
    /// It faults on every read.
    Unreadable,
    /// All of it until power is lost once more, then some bits.
    Fades(u64),
    /// Some bits until power is lost once more, then all of it.
    Settles(u64),
}

/// Why the model refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelError {
    /// There is no power: nothing happens until [`Medium::power_on`].
    NoPower,
    /// A word that does not read (set by a test).
    EccFault,
    /// A program or an erase that failed (set by a test).
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

/// The part that survives a reset: the bytes and their history.
#[derive(Clone)]
pub struct Medium {
    bytes: Vec<u8>,
    word: usize,
    /// By word: programmed since its page was erased.
    programmed: Vec<bool>,
    unreadable: BTreeSet<usize>,
    /// Words that power was lost in, and that were not erased since.
    doubtful: BTreeSet<usize>,
    /// The content of doubtful words after the next loss of power.
    later: BTreeMap<usize, Vec<u8>>,
    dead: BTreeSet<usize>,
    /// Words that cannot be programmed.
    failing_to_program: BTreeSet<usize>,
    /// Words whose pages cannot be erased.
    failing_to_erase: BTreeSet<usize>,
    operations: u64,
    /// By page, as many as were erased yet.
    erases: Vec<u32>,
    /// Where the last operation was.
    last: usize,
    reads: u64,
    reprogrammed: u64,
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
            doubtful: BTreeSet::new(),
            later: BTreeMap::new(),
            dead: BTreeSet::new(),
            failing_to_program: BTreeSet::new(),
            failing_to_erase: BTreeSet::new(),
            operations: 0,
            erases: Vec::new(),
            last: 0,
            reads: 0,
            reprogrammed: 0,
            cut: None,
            power: true,
        }
    }

    /// Words programmed and pages erased since the model was made.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// How often each page was erased, as far as any was.
    pub fn erases(&self) -> Vec<u32> {
        self.erases.clone()
    }

    /// The offset of the last operation.
    pub fn last_offset(&self) -> usize {
        self.last
    }

    /// Read calls since the model was made.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// How often a word was programmed that a cut had left in doubt.
    pub fn reprogrammed(&self) -> u64 {
        self.reprogrammed
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

    /// Takes the power away between two operations, and gives it back.
    pub fn power_cycle(&mut self) {
        self.change_doubtful();
        self.power_on();
    }

    /// Makes the word at this offset fault on every read until its page is erased.
    pub fn break_word(&mut self, offset: usize) {
        self.unreadable.insert(offset / self.word);
    }

    /// Makes the word at this offset stay erased, whatever is programmed there; the driver reports success.
    pub fn wear_out(&mut self, offset: usize) {
        self.dead.insert(offset / self.word);
    }

    /// Makes the word at this offset fail to be programmed, and its page to be erased; the driver reports it.
    pub fn fail(&mut self, offset: usize) {
        self.fail_to_program(offset);
        self.fail_to_erase(offset);
    }

    /// [`Self::fail`] without the erase.
    pub fn fail_to_program(&mut self, offset: usize) {
        self.failing_to_program.insert(offset / self.word);
    }

    /// [`Self::fail`] without the program.
    pub fn fail_to_erase(&mut self, offset: usize) {
        self.failing_to_erase.insert(offset / self.word);
    }

    /// Takes back every failure.
    pub fn mend(&mut self) {
        self.failing_to_program.clear();
        self.failing_to_erase.clear();
    }

    /// Changes content without the driver, as an attacker with a programmer does.
    pub fn tamper(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Counts an operation; says what it does. Its caller is told by [`Self::told`].
    fn operate(&mut self, offset: usize) -> Result<Cut, ModelError> {
        self.told()?;
        self.last = offset;
        let number = self.operations;
        self.operations += 1;
        match self.cut {
            Some((at, cut)) if at == number => {
                self.power = false;
                self.change_doubtful();
                Ok(cut)
            }
            _ => Ok(Cut::All),
        }
    }

    fn told(&self) -> Result<(), ModelError> {
        if self.power { Ok(()) } else { Err(ModelError::NoPower) }
    }

    fn program_word(&mut self, offset: usize, bytes: &[u8]) -> Result<(), ModelError> {
        let cut = self.operate(offset)?;
        let word = offset / self.word;
        if self.failing_to_program.contains(&word) {
            return Err(ModelError::Failed);
        }
        if cut == Cut::Nothing || self.dead.contains(&word) {
            return self.told();
        }
        if self.doubtful.contains(&word) {
            self.unreadable.insert(word);
            self.reprogrammed += 1;
            return self.told();
        }
        assert!(!self.programmed[word], "the word at {offset:#x} was programmed twice");
        self.programmed[word] = true;
        self.change(word, bytes, cut);
        self.told()
    }

    fn erase_page(&mut self, offset: usize, page: usize) -> Result<(), ModelError> {
        let cut = self.operate(offset)?;
        if cut == Cut::Nothing {
            return self.told();
        }
        let words = offset / self.word..(offset + page) / self.word;
        if self.failing_to_erase.range(words.clone()).next().is_some() {
            return Err(ModelError::Failed);
        }
        if self.erases.len() <= offset / page {
            self.erases.resize(offset / page + 1, 0);
        }
        self.erases[offset / page] += 1;
        let erased = vec![ERASED; self.word];
        for word in words {
            self.unreadable.remove(&word);
            self.doubtful.remove(&word);
            self.later.remove(&word);
            self.programmed[word] = cut != Cut::All;
            self.change(word, &erased, cut);
        }
        self.told()
    }

    /// Makes a word of what it is to become as much as the cut lets it.
    fn change(&mut self, word: usize, new: &[u8], cut: Cut) {
        let place = word * self.word..(word + 1) * self.word;
        let old = self.bytes[place.clone()].to_vec();
        let torn = |seed| -> Vec<u8> {
            let mut random = Random(seed ^ word as u64);
            old.iter().zip(new).map(|(old, new)| old ^ ((old ^ new) & random.byte())).collect()
        };
        let now = match cut {
            Cut::All => new.to_vec(),
            Cut::Weak => vec![ERASED; self.word],
            Cut::Torn(seed) | Cut::Settles(seed) => torn(seed),
            Cut::Fades(seed) => {
                self.later.insert(word, torn(seed));
                new.to_vec()
            }
            Cut::Unreadable => {
                self.unreadable.insert(word);
                old
            }
            Cut::Nothing => old,
        };
        if let Cut::Settles(_) = cut {
            self.later.insert(word, new.to_vec());
        }
        if cut != Cut::All {
            self.doubtful.insert(word);
        }
        self.bytes[place].copy_from_slice(&now);
    }

    fn change_doubtful(&mut self) {
        for (word, bytes) in std::mem::take(&mut self.later) {
            self.bytes[word * self.word..(word + 1) * self.word].copy_from_slice(&bytes);
        }
    }
}

/// Numbers that look random and are the same in every run (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[0]
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
