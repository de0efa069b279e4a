//! A device in one geometry, with its life before each step, and the cases of each step.

use bootloader::layout::{Area, Layout, Slot};
use bootloader::state::BootState;
use device_harness::device::{Boot, DeviceOf, Failure, Part, Placed};
use flash_model::{Chip, Medium, Random};

use crate::case::{Case, Kind, LIVES, Unit};
use crate::judge::{Verdict, judge};
use crate::life::{Living, Observer, Step};
use crate::world::{Release, World};

/// Words that decay in the slots, of as many as there are.
const SLOT_WORDS: u64 = 600;
/// A brief run covers every operation of a geometry that has no more than this, and so many of any other one: those
/// have the same operations, with more words each.
const EVERY_OPERATION: u64 = 4000;
const SOME_OPERATIONS: u64 = 1000;
/// Lives, of as many operations as a step has.
const OPERATIONS_A_LIFE: u64 = 8;

/// A step that was done once without a fault.
pub struct Facts {
    /// The medium before it.
    pub base: Medium,
    pub before: BootState,
    pub after: BootState,
    /// The same of the table, on a device with one.
    pub table: Option<[BootState; 2]>,
    /// Number of operations, and of reads.
    pub operations: u64,
    pub reads: u64,
    /// Words that may decay.
    words: Vec<usize>,
    /// Erases of each sector.
    pub erases: Vec<u32>,
}

/// One geometry.
pub struct Bench<P, L = Layout> {
    name: &'static str,
    /// Its steps, in their order.
    pub life: &'static [Step],
    pub layout: Layout,
    pub world: World,
    steps: Vec<(Step, Facts)>,
    /// The release of the turnover.
    turnover: Option<Release>,
    _part: std::marker::PhantomData<fn() -> (P, L)>,
}

/// A geometry without its type.
pub trait Geometry: Sync + Send {
    fn name(&self) -> &'static str;
    /// One line: operations, and erases of a clean update by region.
    fn describe(&self) -> String;
    fn cases(&self, step: Step, kind: Kind, seed: u64) -> Vec<Case>;
    /// One case for each operation of a step, of a kind that the seed chooses; of a geometry with many operations, for
    /// some of them.
    fn brief(&self, step: Step, kinds: &[Kind], seed: u64) -> Vec<Case>;
    fn judge(&self, case: &Case, traces: bool) -> Verdict;
}

struct Silent;

impl<P, L> Observer<P, L> for Silent {
    fn reset(&mut self, _: &mut DeviceOf<P, L>, _: Boot) {}

    fn confirms(&mut self, _: &Release) {}

    fn confirmed(&mut self, _: &Release) {}

    fn refused(&mut self, _: Failure) {}

    fn says(&mut self, _: &str) {}
}

impl<P: Part, L: Placed> Bench<P, L> {
    /// Lives the life once without a fault.
    pub fn new(name: &'static str, chips: &[Chip], layout: Layout, life: &'static [Step]) -> Self {
        let device = DeviceOf::<P, L>::over(P::over(Medium::of(chips)), layout);
        let world = World::new(&device);
        let mut living = Living { device, world: &world, observer: Silent };
        let (mut steps, mut turnover) = (Vec::new(), None);
        for &step in life {
            if step != Step::Turnover {
                steps.push((step, perform(&mut living, step, None)));
                continue;
            }
            // Updates until one of them erases a half of the journal.
            for release in world.turnovers() {
                let facts = perform(&mut living, step, Some(release));
                let turns = (0..layout.journal_parts()).any(|part| {
                    let start = layout.region(Area::Journal(part)).start as usize;
                    let sector =
                        facts.base.sector_starts().position(|sector| sector == start).expect("a sector");
                    facts.erases[sector] > 0
                });
                if turns {
                    turnover = Some(release.clone());
                    steps.push((step, facts));
                    break;
                }
            }
        }
        assert!(
            turnover.is_some() || !life.contains(&Step::Turnover),
            "{name}: the journal does not turn over"
        );
        drop(living);
        Self { name, life, layout, world, steps, turnover, _part: std::marker::PhantomData }
    }

    pub fn facts(&self, step: Step) -> &Facts {
        &self.steps.iter().find(|(known, _)| *known == step).expect("every step was done").1
    }

    /// The firmware that a step brings.
    pub fn release_of(&self, step: Step) -> Option<&Release> {
        if step == Step::Turnover { self.turnover.as_ref() } else { self.world.release_of(step) }
    }

    /// The image that runs before a step.
    pub fn old_releases(&self, step: Step) -> impl Iterator<Item = &Release> {
        let old = self.facts(step).before.active;
        old.and_then(|image| self.world.release(image.sequence)).into_iter()
    }

    /// The table that a step brings, and the one before it.
    pub fn tables(&self, step: Step) -> impl Iterator<Item = &Release> {
        let old = self.facts(step).table.and_then(|[before, _]| before.active);
        let old = old.and_then(|table| self.world.table(table.sequence));
        old.into_iter().chain(self.world.table_of(step))
    }

    fn count(&self, step: Step, unit: Unit) -> u64 {
        if !self.life.contains(&step) {
            return 0;
        }
        let facts = self.facts(step);
        match unit {
            Unit::Operation => facts.operations,
            Unit::Read => facts.reads,
            Unit::Word => facts.words.len() as u64,
            Unit::Sector => facts.erases.len() as u64 * LIVES,
            // Once for a geometry, and not in each step.
            Unit::Life if matches!(step, Step::Update | Step::File | Step::TableUpdate) => {
                facts.operations / OPERATIONS_A_LIFE
            }
            Unit::Life => 0,
        }
    }

    fn case(&self, step: Step, kind: Kind, index: u64, seed: u64) -> Case {
        let at = match kind.unit() {
            Unit::Word => self.facts(step).words[usize::try_from(index).expect("an index")] as u64,
            _ => index,
        };
        Case { geometry: self.name.to_owned(), step, kind, at, seed }
    }
}

fn perform<P: Part, L: Placed>(
    living: &mut Living<'_, P, L, Silent>,
    step: Step,
    release: Option<&Release>,
) -> Facts {
    let base = living.device.nor.medium().clone();
    let before = living.device.state();
    let table_state =
        |device: &DeviceOf<P, L>| L::from(device.layout).table().is_some().then(|| device.table_state());
    let table = table_state(&living.device);
    living.run(step, release).unwrap_or_else(|failure| panic!("{step:?} without a fault: {failure:?}"));
    let after = living.device.state();
    let table = table.zip(table_state(&living.device)).map(|(before, after)| [before, after]);
    let words = words(&base, &L::from(living.device.layout));
    let medium = living.device.nor.medium();
    let erases = base.erases().iter().zip(medium.erases()).map(|(before, after)| after - before).collect();
    let (operations, reads) = (medium.operations() - base.operations(), medium.reads() - base.reads());
    drop(medium);
    Facts { base, before, after, table, operations, reads, words, erases }
}

/// Every word of the records, and some of the slots.
fn words(medium: &Medium, placed: &impl Placed) -> Vec<usize> {
    let mut slots = Vec::new();
    let mut records = Vec::new();
    let of = |layout: &Layout| [Slot::A, Slot::B, Slot::Kept].map(|slot| layout.region(Area::Slot(slot)));
    let table = placed.table().map(of);
    let regions: Vec<_> = of(placed.layout()).into_iter().chain(table.into_iter().flatten()).collect();
    for word in medium.word_starts(0, medium.bytes().len()) {
        let is_in_a_slot = regions
            .iter()
            .any(|slot| (slot.start as usize..(slot.start + slot.len) as usize).contains(&word));
        if is_in_a_slot && medium.is_programmed(word) {
            slots.push(word);
        } else if !is_in_a_slot {
            records.push(word);
        }
    }
    let step = (slots.len() as u64).div_ceil(SLOT_WORDS).max(1);
    let erased_too = (records.len() as u64).div_ceil(2 * SLOT_WORDS).max(1);
    let some = |words: Vec<usize>, step: u64| words.into_iter().step_by(usize::try_from(step).expect("few"));
    let (programmed, erased): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|&word| medium.is_programmed(word));
    programmed.into_iter().chain(some(erased, erased_too)).chain(some(slots, step)).collect()
}

impl<P: Part, L: Placed> Geometry for Bench<P, L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self) -> String {
        let operations: u64 = self.steps.iter().map(|(_, facts)| facts.operations).sum();
        let (_, update) = self.steps.last().expect("a step");
        let starts: Vec<_> = update.base.sector_starts().collect();
        let most = |start: u32, len: u32| {
            let range = start as usize..(start + len) as usize;
            let erases = starts.iter().zip(&update.erases).filter(|(sector, _)| range.contains(*sector));
            erases.map(|(_, erases)| *erases).max().unwrap_or(0)
        };
        let region = |area| self.layout.region(area);
        let journal = region(Area::Journal(0));
        let (a, b, kept) =
            (region(Area::Slot(Slot::A)), region(Area::Slot(Slot::B)), region(Area::Slot(Slot::Kept)));
        let progress = region(Area::Progress);
        format!(
            "{:13} {operations:6} operations; erases of an update: journal {}, progress {}, slot A {}, slot B {}",
            self.name,
            most(journal.start, u32::from(self.layout.journal_parts()) * journal.len),
            most(progress.start, progress.len),
            most(a.start, a.len),
            most(b.start, b.len).max(most(kept.start, kept.len)),
        )
    }

    fn cases(&self, step: Step, kind: Kind, seed: u64) -> Vec<Case> {
        (0..self.count(step, kind.unit())).map(|index| self.case(step, kind, index, seed)).collect()
    }

    fn brief(&self, step: Step, kinds: &[Kind], seed: u64) -> Vec<Case> {
        let operations = self.count(step, Unit::Operation);
        let all: u64 = self.steps.iter().map(|(_, facts)| facts.operations).sum();
        let stride = if all > EVERY_OPERATION { all / SOME_OPERATIONS } else { 1 };
        let stride = usize::try_from(stride).expect("few");
        let cases = (0..operations).step_by(stride).filter_map(|operation| {
            let mut random = Random(seed ^ (operation << 8) ^ step as u64);
            let kind = kinds[usize::try_from(random.below(kinds.len() as u64)).expect("an index")];
            let count = self.count(step, kind.unit());
            let index = if kind.unit() == Unit::Operation { operation } else { random.below(count) };
            (count > 0).then(|| self.case(step, kind, index, seed))
        });
        cases.collect()
    }

    fn judge(&self, case: &Case, traces: bool) -> Verdict {
        judge(self, case, traces)
    }
}
