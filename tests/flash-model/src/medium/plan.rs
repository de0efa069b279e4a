//! What a test plans, breaks, and asks of the part.

use super::Medium;
use crate::{Cut, Decay, Fault, Operation, Random};

impl Medium {
    /// Takes the power away in the operation with this number, counted from now: 0 is the next one.
    pub fn cut_at(&mut self, operation: u64, cut: Cut) {
        self.plan.clear();
        self.plan_at(operation, Fault::Cut(cut));
    }

    /// Plans a fault of the operation with this number, counted from now, beside those that are planned.
    pub fn plan_at(&mut self, operation: u64, fault: Fault) {
        self.plan.insert(self.operations + operation, fault);
    }

    /// Lets the read call with this number, counted from now, fail; `lasts`: its first word never reads again.
    pub fn fail_read_at(&mut self, read: u64, lasts: bool) {
        self.read_plan.insert(self.reads + read, lasts);
    }

    /// Whether every fault that was planned has happened.
    #[must_use]
    pub fn is_plan_over(&self) -> bool {
        self.plan.is_empty() && self.read_plan.is_empty()
    }

    /// Whether a cut has happened.
    #[must_use]
    pub fn is_off(&self) -> bool {
        !self.power
    }

    /// Gives power back; a fault that was planned and has not happened is forgotten.
    pub fn power_on(&mut self) {
        self.power = true;
        self.plan.clear();
        self.read_plan.clear();
    }

    /// Takes the power away between two operations, and gives it back.
    pub fn power_cycle(&mut self) {
        self.change_doubtful();
        self.power_on();
    }

    /// Makes the word fault on every read until its sector is erased.
    pub fn break_word(&mut self, offset: usize) {
        self.decay(offset, Decay::Fault);
    }

    /// Nothing of this stretch reads, whatever is written there, until [`Self::mend`]; what it holds stays.
    pub fn silence(&mut self, start: usize, len: usize) {
        let words: Vec<_> = self.word_starts(start, len).collect();
        self.broken.extend(words);
    }

    /// [`Self::silence`] once there were so many more reads.
    pub fn silence_after(&mut self, reads: u64, start: usize, len: usize) {
        self.silence = Some((self.reads + reads, start, len));
    }

    /// Lets a word decay that nobody touches.
    pub fn decay(&mut self, offset: usize, decay: Decay) {
        let word = self.geometry.word_start(offset);
        match decay {
            Decay::Flip(seed) => {
                let bits = self.geometry.word(word) as u64 * 8;
                let bit = usize::try_from(Random(seed).below(bits)).expect("a bit of a word");
                self.bytes[word + bit / 8] ^= 1 << (bit % 8);
                // It is no erased word any more.
                let index = self.geometry.index(word);
                if !std::mem::replace(&mut self.programmed[index], true) {
                    self.doubtful.insert(word);
                }
            }
            Decay::Fault => {
                self.unreadable.insert(word);
            }
        }
    }

    /// Makes the word stay erased, whatever is programmed there; the driver reports success.
    pub fn wear_out(&mut self, offset: usize) {
        self.dead.insert(self.geometry.word_start(offset));
    }

    /// Makes the word fail to be programmed, and its sector to be erased; the driver reports it.
    pub fn fail(&mut self, offset: usize) {
        self.fail_to_program(offset);
        self.fail_to_erase(offset);
    }

    /// [`Self::fail`] without the erase.
    pub fn fail_to_program(&mut self, offset: usize) {
        self.failing_to_program.insert(self.geometry.word_start(offset));
    }

    /// [`Self::fail`] without the program.
    pub fn fail_to_erase(&mut self, offset: usize) {
        self.failing_to_erase.insert(self.geometry.word_start(offset));
    }

    /// Makes the sector take no erase any more after so many in all; each then fails, and the driver reports it.
    pub fn endure(&mut self, offset: usize, erases: u32) {
        self.endurance.insert(self.geometry.sector(offset), erases);
    }

    /// Whether any sector has been erased as often as it endures.
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.endurance.iter().any(|(&sector, &endurance)| self.erases[sector] >= endurance)
    }

    /// Takes back every failure and every limit of endurance, and every word that stays dead or unreadable for good.
    pub fn mend(&mut self) {
        self.failing_to_program.clear();
        self.failing_to_erase.clear();
        self.endurance.clear();
        self.dead.clear();
        self.dead_sectors.clear();
        self.broken.clear();
    }

    /// Whether a failure lasts in this range.
    #[must_use]
    pub fn has_lasting_fault(&self, start: usize, len: usize) -> bool {
        let end = start + len;
        let words = [&self.failing_to_program, &self.broken, &self.dead];
        words.iter().any(|words| words.range(start..end).next().is_some()) || self.takes_no_erase(start, len)
    }

    /// Whether a sector of this range is not erased any more.
    #[must_use]
    pub fn takes_no_erase(&self, start: usize, len: usize) -> bool {
        let sectors = self.geometry.sector(start)..self.geometry.sector(start + len - 1) + 1;
        let fails_to_erase = |word: &usize| sectors.contains(&self.geometry.sector(*word));
        self.failing_to_erase.iter().any(fails_to_erase)
            || self.dead_sectors.range(sectors.clone()).next().is_some()
            || self.endurance.range(sectors.clone()).any(|(&sector, &erases)| self.erases[sector] >= erases)
    }

    /// Counts words that are programmed twice where the model would panic otherwise.
    pub fn count_double_programs(&mut self) {
        self.is_strict = false;
    }

    /// How often a word was programmed that had been programmed since its sector was erased.
    #[must_use]
    pub fn double_programs(&self) -> u64 {
        self.double_programs
    }

    /// Lets nothing happen any more after so many further operations and reads.
    pub fn limit(&mut self, steps: u64) {
        self.limit = self.operations + self.reads + steps;
    }

    /// Whether more was done than the limit.
    #[must_use]
    pub fn is_over_limit(&self) -> bool {
        self.operations + self.reads > self.limit
    }

    /// Keeps the part as it is right before the first fault that lasts, from now on.
    pub fn keep_strike(&mut self) {
        (self.keeps_strike, self.strike) = (true, None);
    }

    /// The offset of the first fault that lasts, and the part right before it.
    pub fn take_strike(&mut self) -> Option<(usize, Box<Self>)> {
        self.strike.take()
    }

    pub(super) fn strike(&mut self, offset: usize) {
        if std::mem::take(&mut self.keeps_strike) {
            self.strike = Some((offset, Box::new(self.clone())));
        }
    }

    /// Whether these bytes are there, and read in whole units of so many bytes.
    #[must_use]
    pub fn holds(&self, offset: usize, bytes: &[u8], unit: usize) -> bool {
        let end = offset + bytes.len();
        let units = offset - offset % unit..end.next_multiple_of(unit);
        self.bytes.get(offset..end) == Some(bytes)
            && [&self.unreadable, &self.broken]
                .iter()
                .all(|words| words.range(units.clone()).next().is_none())
    }

    /// Keeps a list of operations from now on.
    pub fn start_trace(&mut self) {
        self.trace = Some(Vec::new());
    }

    /// The operations since [`Self::start_trace`], or since this was called last.
    pub fn take_trace(&mut self) -> Vec<Operation> {
        self.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Changes content without the driver, as an attacker with a programmer does.
    pub fn tamper(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}
