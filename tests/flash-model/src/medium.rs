//! The part that survives a reset: the bytes, their history, and the faults that a test has planned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::part::Geometry;
use crate::{Chip, Cut, Fault, ModelError, Operation, Random};

mod plan;

/// The bytes and their history. Words and sectors are named by the offset of any of their bytes.
#[derive(Clone)]
pub struct Medium {
    geometry: Arc<Geometry>,
    bytes: Vec<u8>,
    /// By word: programmed since its sector was erased.
    programmed: Vec<bool>,
    unreadable: BTreeSet<usize>,
    /// Words that power was lost in, or whose program failed, and that were not erased since.
    doubtful: BTreeSet<usize>,
    /// The content of doubtful words after the next loss of power.
    later: BTreeMap<usize, Vec<u8>>,
    /// Words that stay as they are, whatever is programmed there.
    dead: BTreeSet<usize>,
    /// Sectors that stay as they are, whenever they are erased.
    dead_sectors: BTreeSet<usize>,
    /// Sectors whose last erase did not happen, and whose user does not know.
    not_erased: BTreeSet<usize>,
    /// Words that cannot be programmed.
    failing_to_program: BTreeSet<usize>,
    /// Words whose sectors cannot be erased.
    failing_to_erase: BTreeSet<usize>,
    /// Words that do not read any more, erased or not.
    broken: BTreeSet<usize>,
    /// A stretch of which nothing reads from this read on: its start and its length.
    silence: Option<(u64, usize, usize)>,
    operations: u64,
    /// By sector.
    erases: Vec<u32>,
    /// By sector: erases after which it fails.
    endurance: BTreeMap<usize, u32>,
    /// Where the last operation was.
    last: usize,
    reads: u64,
    reprogrammed: u64,
    /// Whether a word that is programmed twice is a panic; counted otherwise.
    is_strict: bool,
    double_programs: u64,
    plan: BTreeMap<u64, Fault>,
    read_plan: BTreeMap<u64, bool>,
    /// Operations and reads after which nothing happens any more: the user runs away.
    limit: u64,
    trace: Option<Vec<Operation>>,
    /// Whether a fault that lasts keeps the part as it was before.
    keeps_strike: bool,
    strike: Option<(usize, Box<Medium>)>,
    power: bool,
}

/// Everything that has not happened yet.
const NEVER: u64 = u64::MAX;

impl Medium {
    /// An erased part.
    #[must_use]
    pub fn of(chips: &[Chip]) -> Self {
        let geometry = Geometry::new(chips);
        let bytes = (0..geometry.len()).map(|offset| geometry.erased(offset)).collect();
        Self {
            bytes,
            programmed: vec![false; geometry.index(geometry.len())],
            erases: vec![0; geometry.sectors().len()],
            geometry: Arc::new(geometry),
            unreadable: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            later: BTreeMap::new(),
            dead: BTreeSet::new(),
            dead_sectors: BTreeSet::new(),
            not_erased: BTreeSet::new(),
            failing_to_program: BTreeSet::new(),
            failing_to_erase: BTreeSet::new(),
            broken: BTreeSet::new(),
            silence: None,
            operations: 0,
            endurance: BTreeMap::new(),
            last: 0,
            reads: 0,
            reprogrammed: 0,
            is_strict: true,
            double_programs: 0,
            plan: BTreeMap::new(),
            read_plan: BTreeMap::new(),
            limit: NEVER,
            trace: None,
            keeps_strike: false,
            strike: None,
            power: true,
        }
    }

    /// Words programmed and sectors erased since the model was made.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// How often each sector was erased.
    #[must_use]
    pub fn erases(&self) -> Vec<u32> {
        self.erases.clone()
    }

    /// The offset of the last operation.
    #[must_use]
    pub fn last_offset(&self) -> usize {
        self.last
    }

    /// Read calls since the model was made.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// How often a word was programmed that a cut, or a failure, had left in doubt.
    #[must_use]
    pub fn reprogrammed(&self) -> u64 {
        self.reprogrammed
    }

    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The offsets at which words begin, from `start` on, `len` bytes far.
    pub fn word_starts(&self, start: usize, len: usize) -> impl Iterator<Item = usize> + '_ {
        let mut at = start;
        std::iter::from_fn(move || {
            (at < start + len).then(|| {
                at += self.geometry.word(at);
                at - self.geometry.word(at - 1)
            })
        })
    }

    /// The offsets at which chips end.
    pub fn chip_ends(&self) -> impl Iterator<Item = usize> + '_ {
        self.geometry.chip_ends()
    }

    /// Lengths of the words that the chips in a range have.
    pub(crate) fn words_in(&self, start: usize, len: usize) -> impl Iterator<Item = usize> + '_ {
        self.geometry.words_in(start, start + len)
    }

    /// The offsets at which sectors begin.
    pub fn sector_starts(&self) -> impl Iterator<Item = usize> + '_ {
        self.geometry.sectors().iter().map(|sector| sector.start)
    }

    /// Whether the word was programmed since its sector was erased.
    #[must_use]
    pub fn is_programmed(&self, offset: usize) -> bool {
        self.programmed[self.geometry.index(self.geometry.word_start(offset))]
    }

    pub(crate) fn read(&mut self, start: usize, bytes: &mut [u8]) -> Result<(), ModelError> {
        self.told()?;
        self.reads += 1;
        if let Some((_, start, len)) = self.silence.take_if(|(read, ..)| *read < self.reads) {
            self.silence(start, len);
        }
        if self.is_over_limit() {
            self.power = false;
            return Err(ModelError::NoPower);
        }
        if let Some(lasts) = self.read_plan.remove(&(self.reads - 1)) {
            if lasts {
                self.strike(start);
                self.broken.insert(self.geometry.word_start(start));
            }
            return Err(ModelError::Failed);
        }
        let end = start + bytes.len();
        let is_whole =
            [&self.unreadable, &self.broken].iter().all(|words| words.range(start..end).next().is_none());
        if !is_whole || self.meets_an_erased_word_that_faults(start, bytes.len()) {
            return Err(ModelError::EccFault);
        }
        bytes.copy_from_slice(&self.bytes[start..end]);
        Ok(())
    }

    fn meets_an_erased_word_that_faults(&self, start: usize, len: usize) -> bool {
        self.geometry.any_faults_when_erased()
            && self
                .word_starts(start, len)
                .any(|word| self.geometry.faults_when_erased(word) && self.reads_blank(word))
    }

    /// Whether a word looks as if it had not been programmed.
    fn reads_blank(&self, word: usize) -> bool {
        let erased = self.geometry.erased(word);
        let content = &self.bytes[word..word + self.geometry.word(word)];
        let is_sound = self.programmed[self.geometry.index(word)] && !self.doubtful.contains(&word);
        !is_sound && content.iter().all(|&byte| byte == erased) && !self.unreadable.contains(&word)
    }

    pub(crate) fn is_blank(&self, start: usize, len: usize) -> Result<bool, ModelError> {
        self.told()?;
        Ok(self.word_starts(start, len).all(|word| self.reads_blank(word) && !self.broken.contains(&word)))
    }

    /// Programs words one after the other.
    pub(crate) fn program(&mut self, start: usize, bytes: &[u8]) -> Result<(), ModelError> {
        let mut done = 0;
        while done < bytes.len() {
            let len = self.geometry.word(start + done);
            self.program_word(start + done, &bytes[done..done + len])?;
            done += len;
        }
        Ok(())
    }

    /// Erases sectors one after the other; the range is whole sectors.
    pub(crate) fn erase(&mut self, start: usize, len: usize) -> Result<(), ModelError> {
        let end = start + len;
        let mut at = start;
        while at < end {
            let number = self.geometry.sector(at);
            let sector = self.geometry.sectors()[number];
            if sector.start != at || at + sector.len > end {
                return Err(ModelError::Misuse);
            }
            self.erase_sector(number)?;
            at += sector.len;
        }
        Ok(())
    }

    /// Counts an operation; returns its fault. Its caller is told by [`Self::told`].
    fn operate(&mut self, offset: usize, is_erase: bool) -> Result<Option<Fault>, ModelError> {
        self.told()?;
        self.last = offset;
        let number = self.operations;
        self.operations += 1;
        let mut fault = self.plan.remove(&number);
        if matches!(fault, Some(Fault::Error { lasts: true, .. } | Fault::Silent { lasts: true })) {
            self.strike(offset);
        }
        if self.is_over_limit() {
            fault = Some(Fault::Cut(Cut::Nothing));
        }
        if let Some(Fault::Cut(_)) = fault {
            self.power = false;
            self.change_doubtful();
        }
        if let Some(trace) = &mut self.trace {
            trace.push(Operation { number, offset, is_erase, fault, is_done: false });
        }
        Ok(fault)
    }

    fn told(&self) -> Result<(), ModelError> {
        if self.power { Ok(()) } else { Err(ModelError::NoPower) }
    }

    fn done(&mut self, result: Result<(), ModelError>) -> Result<(), ModelError> {
        if let Some(last) = self.trace.as_mut().and_then(|trace| trace.last_mut()) {
            last.is_done = result.is_ok();
        }
        result
    }

    fn program_word(&mut self, word: usize, bytes: &[u8]) -> Result<(), ModelError> {
        let fault = self.operate(word, false)?;
        let result = self.program_with(word, bytes, fault);
        self.done(result)
    }

    fn program_with(&mut self, word: usize, bytes: &[u8], fault: Option<Fault>) -> Result<(), ModelError> {
        if self.failing_to_program.contains(&word) {
            self.told()?;
            return Err(ModelError::Failed);
        }
        let (cut, result) = self.effect(word, fault, false);
        if cut == Cut::Nothing || self.dead.contains(&word) {
            return result;
        }
        let index = self.geometry.index(word);
        if self.doubtful.contains(&word) {
            self.unreadable.insert(word);
            self.reprogrammed += 1;
            return result;
        }
        if self.programmed[index] {
            self.program_twice(word);
            return result;
        }
        self.programmed[index] = true;
        self.change(word, bytes, cut);
        result
    }

    /// The user of a sector that was not erased, and of which the driver said that it was, is not to blame.
    fn program_twice(&mut self, word: usize) {
        if !self.not_erased.contains(&self.geometry.sector(word)) {
            assert!(!self.is_strict, "the word at {word:#x} was programmed twice");
            self.double_programs += 1;
        }
        self.unreadable.insert(word);
    }

    /// What is done of an operation, and what its caller is told.
    fn effect(
        &mut self,
        offset: usize,
        fault: Option<Fault>,
        is_erase: bool,
    ) -> (Cut, Result<(), ModelError>) {
        match fault {
            None => (Cut::All, Ok(())),
            Some(Fault::Cut(cut)) => (cut, Err(ModelError::NoPower)),
            Some(Fault::Error { effect, lasts }) => {
                if lasts && is_erase {
                    self.failing_to_erase.insert(offset);
                } else if lasts {
                    self.failing_to_program.insert(offset);
                }
                (effect, Err(ModelError::Failed))
            }
            Some(Fault::Silent { lasts }) => {
                let sector = self.geometry.sector(offset);
                if lasts && is_erase {
                    self.dead_sectors.insert(sector);
                } else if lasts {
                    self.dead.insert(offset);
                }
                if is_erase {
                    self.not_erased.insert(sector);
                }
                (Cut::Nothing, Ok(()))
            }
        }
    }

    fn erase_sector(&mut self, number: usize) -> Result<(), ModelError> {
        let fault = self.operate(self.geometry.sectors()[number].start, true)?;
        let result = self.erase_with(number, fault);
        self.done(result)
    }

    fn erase_with(&mut self, number: usize, fault: Option<Fault>) -> Result<(), ModelError> {
        let sector = self.geometry.sectors()[number];
        let end = sector.start + sector.len;
        let fails = self.failing_to_erase.range(sector.start..end).next().is_some();
        if fails || self.endurance.get(&number).is_some_and(|&endurance| self.erases[number] >= endurance) {
            self.told()?;
            self.strike(sector.start);
            return Err(ModelError::Failed);
        }
        let (cut, result) = self.effect(sector.start, fault, true);
        if self.dead_sectors.contains(&number) {
            self.not_erased.insert(number);
            return result;
        }
        if cut == Cut::Nothing {
            return result;
        }
        self.erases[number] += 1;
        self.not_erased.remove(&number);
        for words in [&mut self.unreadable, &mut self.doubtful] {
            if words.range(sector.start..end).next().is_some() {
                words.retain(|word| !(sector.start..end).contains(word));
            }
        }
        self.later.retain(|word, _| !(sector.start..end).contains(word));
        let geometry = Arc::clone(&self.geometry);
        self.programmed[geometry.index(sector.start)..geometry.index(end)].fill(cut != Cut::All);
        if cut == Cut::All {
            self.bytes[sector.start..end].fill(geometry.erased(sector.start));
            return result;
        }
        let mut word = sector.start;
        while word < end {
            let len = geometry.word(word);
            self.change(word, &vec![geometry.erased(word); len], cut);
            word += len;
        }
        result
    }

    /// Makes a word of what it is to become as much as the cut lets it.
    fn change(&mut self, word: usize, new: &[u8], cut: Cut) {
        let place = word..word + new.len();
        if cut == Cut::All {
            self.bytes[place].copy_from_slice(new);
            return;
        }
        let old = self.bytes[place.clone()].to_vec();
        let torn = |seed| -> Vec<u8> {
            let mut random = Random(seed ^ word as u64);
            old.iter().zip(new).map(|(old, new)| old ^ ((old ^ new) & random.byte())).collect()
        };
        let now = match cut {
            Cut::All => new.to_vec(),
            Cut::Weak => vec![self.geometry.erased(word); new.len()],
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
        self.doubtful.insert(word);
        self.bytes[place].copy_from_slice(&now);
    }

    fn change_doubtful(&mut self) {
        for (word, bytes) in std::mem::take(&mut self.later) {
            self.bytes[word..word + bytes.len()].copy_from_slice(&bytes);
        }
    }
}
