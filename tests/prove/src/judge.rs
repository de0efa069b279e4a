//! The promises that hold after every fault: a device boots within so many resets; its image is wholly the old or wholly
//! the new one; floors did not fall and did not rise before the image confirmed; no word is programmed twice; a further
//! boot changes nothing; a device that cannot run anything still takes a new install.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bootloader::layout::{Area, Half, Layout, Slot};
use bootloader::state::{BootState, Status};
use device_harness::device::{Boot, DeviceOf, Failure, Part};
use flash_model::{Medium, Random};

use crate::bench::{Bench, Facts};
use crate::case::{Case, Kind, LIVES, any_cut};
use crate::life::{Living, Observer, Release, Step, is_rescue};
use crate::loss::{Scene, Strike, halves_with};

/// Resets within which a device boots again.
pub const RESETS: u32 = 3;
/// Resets, each with all that a host tries, after which a step is given up.
const ATTEMPTS: u32 = 4;
/// Operations and reads of a case; one that needs more runs for ever.
const LIMIT: u64 = 3_000_000;

/// Reads in a row that fail, at most.
const OUTAGE_MAX: u64 = 8;

/// A broken promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// Nothing runs, or another image than an old or new one, or no install is taken.
    Brick,
    Floor,
    DoubleProgram,
    /// Anything else: a further boot that writes, another end, a panic.
    Other,
}

#[derive(Clone, Debug)]
pub struct Violation {
    pub promise: Promise,
    pub words: String,
}

/// What a case showed.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub violation: Option<Violation>,
    /// Nothing ran, as it may be ([`crate::loss`]): the fault took the image, or the only copy of the provisioning block.
    pub is_excused: bool,
    /// Most resets in a row until an image ran; 0 for faults that last.
    pub resets: u32,
    /// Erases of the sector that was erased most in the step; 0 for faults that last.
    pub erases: u32,
    /// Words of the trace.
    pub trace: Vec<String>,
}

/// Sees the resets of a case.
struct Judge<'j> {
    bench: &'j Facts,
    /// Sequence number of the release that the step brings.
    new: Option<u64>,
    releases: Vec<Release>,
    /// Those that confirmed themselves, or were about to.
    confirmed: Vec<u64>,
    /// The floor before the step, or that of the last confirmation that was reported as done.
    told_floor: u64,
    /// Releases that rescue a device may run, too.
    is_rescued: bool,
    /// An image has to run.
    must_run: bool,
    /// Resets in a row that led to no image.
    idle_resets: u32,
    worst: u32,
    violation: Option<Violation>,
    is_excused: bool,
    trace: Option<Vec<String>>,
}

impl Judge<'_> {
    fn fail(&mut self, promise: Promise, words: String) {
        self.say(&format!("BROKEN: {words}"));
        self.violation.get_or_insert(Violation { promise, words });
    }

    /// The release that has confirmed itself last, and that has to run.
    fn confirmed_release(&self, state: &BootState) -> Option<&Release> {
        let old = self.bench.before.active.map(|image| image.sequence);
        let confirmed = self.confirmed.iter().copied().find(|&sequence| sequence == state.floor).or(old)?;
        self.releases.iter().find(|release| release.sequence == confirmed)
    }

    fn say(&mut self, words: &str) {
        if let Some(trace) = &mut self.trace {
            trace.push(words.to_owned());
        }
    }

    fn flush<P: Part>(&mut self, device: &DeviceOf<P>) {
        if let Some(trace) = &mut self.trace {
            trace.extend(describe(&device.nor.medium_mut().take_trace()));
        }
    }

    fn look<P: Part>(&mut self, device: &DeviceOf<P>) -> BootState {
        let state = device.state();
        let before = self.bench.before;
        let told = self.told_floor;
        if state.floor < told {
            self.fail(Promise::Floor, format!("the floor fell from {told} to {}", state.floor));
        } else if state.floor > before.floor && !self.confirmed.contains(&state.floor) {
            self.fail(Promise::Floor, format!("the floor rose to {} before a confirmation", state.floor));
        }
        if before.provisioned && !state.provisioned {
            self.fail(Promise::Floor, "the device is in factory state again".to_owned());
        }
        let lists = |state: &BootState| state.domains.map(|domain| domain.list_sequence);
        if lists(&before).iter().zip(lists(&state)).any(|(before, now)| now < *before) {
            self.fail(Promise::Floor, "the number of a revocation list fell".to_owned());
        }
        state
    }

    fn examine<P: Part>(&mut self, device: &DeviceOf<P>, state: &BootState) {
        let Some(active) = state.active else {
            return self.fail(Promise::Brick, "an image runs that the journal does not know".to_owned());
        };
        let old = self.bench.before.active.map(|image| image.sequence);
        let is_rescue = self.is_rescued && is_rescue(active.sequence);
        if !is_rescue && ![old, self.new].contains(&Some(active.sequence)) {
            self.fail(Promise::Brick, format!("release {} runs: neither old nor new", active.sequence));
        }
        let release = self.releases.iter().find(|release| release.sequence == active.sequence);
        // Of the head, a severable member may go: the loader verifies what counts.
        let is_whole = release.is_some_and(|release| {
            let image = release.image(&device.layout, device.active_slot());
            device.running(image.len()) == image
        });
        if !is_whole {
            self.fail(Promise::Brick, format!("release {} runs and is not whole", active.sequence));
        }
    }
}

impl<P: Part> Observer<P> for Judge<'_> {
    fn reset(&mut self, device: &mut DeviceOf<P>, boot: Boot) {
        self.flush(device);
        let state = self.look(device);
        self.say(&format!("reset: {boot:?}, {:?}, floor {}", state.status, state.floor));
        match boot {
            Boot::Run(_) => {
                self.worst = self.worst.max(self.idle_resets + 1);
                self.idle_resets = 0;
                self.examine(device, &state);
            }
            Boot::Stay(_) if self.must_run => self.idle_resets += 1,
            Boot::Stay(_) => {}
        }
    }

    fn confirms(&mut self, sequence: u64) {
        self.say(&format!("release {sequence} confirms itself"));
        self.confirmed.push(sequence);
    }

    fn confirmed(&mut self, sequence: u64) {
        self.told_floor = sequence;
        self.must_run = true;
    }

    fn says(&mut self, what: &str) {
        self.say(what);
    }
}

/// Operations in words, a run of words as one line.
fn describe(operations: &[flash_model::Operation]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut run: Option<(u64, usize, usize, u64)> = None;
    let close = |run: &mut Option<(u64, usize, usize, u64)>, lines: &mut Vec<String>| {
        if let Some((number, from, to, count)) = run.take() {
            lines.push(format!("{number:7} program {from:#08x}..={to:#08x}, {count} words"));
        }
    };
    for operation in operations {
        let flash_model::Operation { number, offset, is_erase, fault, is_done } = *operation;
        if !is_erase && fault.is_none() && is_done {
            match &mut run {
                Some((_, _, to, count)) if offset > *to && offset - *to <= 32 => {
                    (*to, *count) = (offset, *count + 1)
                }
                _ => {
                    close(&mut run, &mut lines);
                    run = Some((number, offset, offset, 1));
                }
            }
            continue;
        }
        close(&mut run, &mut lines);
        let what = if is_erase { "erase" } else { "program" };
        let fault = fault.map_or(String::new(), |fault| format!(", {fault:?}"));
        let end = if is_done { "" } else { ", not done" };
        lines.push(format!("{number:7} {what} {offset:#08x}{fault}{end}"));
    }
    close(&mut run, &mut lines);
    lines
}

/// Runs one case; `traces`: with what happened in words.
pub fn judge<P: Part>(bench: &Bench<P>, case: &Case, traces: bool) -> Verdict {
    let result = catch_unwind(AssertUnwindSafe(|| match case.kind {
        Kind::Life => life(bench, case, traces),
        _ => {
            let facts = bench.facts(case.step);
            one(bench, facts, case, facts.base.clone(), (traces, true)).0
        }
    }));
    result.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        let words = format!("panic: {}", words.unwrap_or_default());
        let violation = Some(Violation { promise: Promise::Other, words });
        Verdict { violation, ..Verdict::default() }
    })
}

/// A whole life, each step with faults that pass.
fn life<P: Part>(bench: &Bench<P>, case: &Case, traces: bool) -> Verdict {
    let mut random = case.random();
    let mut medium = bench.facts(Step::Provision).base.clone();
    let mut whole = Verdict::default();
    // A turnover has a history of its own.
    for step in Step::ALL.into_iter().filter(|&step| step != Step::Turnover) {
        let facts = bench.facts(step);
        let passing: Vec<_> =
            Kind::ALL.into_iter().filter(|kind| kind.passes() && *kind != Kind::Life).collect();
        let kind = passing[usize::try_from(random.below(passing.len() as u64)).expect("an index")];
        let units = if kind.unit() == crate::case::Unit::Read { facts.reads } else { facts.operations };
        let here = Case { step, kind, at: random.below(units), seed: random.number(), ..case.clone() };
        let (verdict, next) = one(bench, facts, &here, medium, (traces, false));
        whole.resets = whole.resets.max(verdict.resets);
        whole.erases = whole.erases.max(verdict.erases);
        whole.trace.push(format!("-- {here}"));
        whole.trace.extend(verdict.trace);
        if verdict.violation.is_some() {
            whole.violation = verdict.violation;
            return whole;
        }
        medium = next;
    }
    whole
}

/// One step with its fault and a cut in the recovery; the verdict, and the medium at the end.
fn one<P: Part>(
    bench: &Bench<P>,
    facts: &Facts,
    case: &Case,
    medium: Medium,
    (traces, is_last): (bool, bool),
) -> (Verdict, Medium) {
    let mut random = case.random();
    let release = bench.release_of(case.step);
    let device = DeviceOf::over(P::over(medium), bench.layout);
    let rescues = bench.world.rescues().cloned();
    let observer = Judge {
        bench: facts,
        new: release.map(|release| release.sequence),
        releases: bench.old_releases(case.step).cloned().chain(release.cloned()).chain(rescues).collect(),
        confirmed: Vec::new(),
        told_floor: facts.before.floor,
        is_rescued: false,
        must_run: facts.before.active.is_some(),
        idle_resets: 0,
        worst: 0,
        violation: None,
        is_excused: false,
        trace: traces.then(Vec::new),
    };
    let mut living = Living { device, world: &bench.world, observer };
    {
        let mut medium = living.device.nor.medium_mut();
        medium.power_on();
        medium.count_double_programs();
        medium.limit(LIMIT);
        if !case.kind.passes() {
            medium.keep_strike();
        }
        if traces {
            medium.start_trace();
        }
    }
    let erases = living.device.nor.medium().erases();
    let double_programs = living.device.nor.medium().double_programs();
    arm(&living.device, case, random.number());
    let first = living.run(case.step, release);
    living.observer.flush(&living.device);
    let strike = match case.kind {
        Kind::Flip | Kind::Decay => {
            let offset = usize::try_from(case.at).expect("an offset");
            Some((offset, facts.base.clone()))
        }
        Kind::DecayWithin => decay_anywhere(&living.device, case, &mut random),
        _ => None,
    };
    let done = if first.is_ok() && case.kind.passes() {
        first
    } else {
        recover(&mut living, case, release, &mut random)
    };
    let struck = living.device.nor.medium_mut().take_strike();
    let strike = strike.or_else(|| struck.map(|(offset, before)| (offset, *before)));
    let strike = strike.map(|(offset, before)| {
        let mut then = before.clone();
        then.power_on();
        let BootState { status, set, .. } = DeviceOf::over(P::over(then), bench.layout).state();
        let area = areas(&bench.layout).find(|area| {
            let region = bench.layout.region(*area);
            (region.start as usize..(region.start + region.len) as usize).contains(&offset)
        });
        let place = area.map_or_else(
            || "no area".to_owned(),
            |area| format!("{area:?}+{:#x}", offset - bench.layout.region(area).start as usize),
        );
        living.observer.say(&format!("the fault struck at {offset:#x}, {place}, {status:?}"));
        let is_within_an_exchange =
            matches!(status, Status::Swapping(_) | Status::Reverting(_) | Status::Trial { .. });
        let is_reverting = matches!(status, Status::Reverting(_));
        Strike { offset, before, is_within_an_exchange, is_reverting, set }
    });
    end(&mut living, facts, case, (done.is_ok(), strike.as_ref(), is_last));
    living.observer.flush(&living.device);
    let medium = living.device.nor.medium().clone();
    let mut observer = living.observer;
    if medium.double_programs() > double_programs {
        observer.fail(Promise::DoubleProgram, "a word was programmed twice".to_owned());
    }
    let most = erases.iter().zip(medium.erases()).map(|(before, after)| after - before).max();
    let verdict = Verdict {
        violation: observer.violation,
        is_excused: observer.is_excused,
        resets: if case.kind.passes() { observer.worst } else { 0 },
        erases: if case.kind.passes() { most.unwrap_or(0) } else { 0 },
        trace: observer.trace.unwrap_or_default(),
    };
    (verdict, medium)
}

/// All areas, for a trace.
fn areas(layout: &Layout) -> impl Iterator<Item = Area> {
    let journal = (0..layout.journal_parts()).map(Area::Journal);
    let stored = [Half::First, Half::Second].map(Area::Stored);
    stored.into_iter().chain(journal).chain([Area::Progress, Area::Slot(Slot::A), Area::Slot(Slot::B)])
}

fn arm<P: Part>(device: &DeviceOf<P>, case: &Case, seed: u64) {
    let mut medium = device.nor.medium_mut();
    match case.kind {
        Kind::ReadLasts => medium.fail_read_at(case.at, true),
        // The loader tries a read again: an outage is longer than that, or not.
        Kind::Read => (0..1 + seed % OUTAGE_MAX).for_each(|read| medium.fail_read_at(case.at + read, false)),
        Kind::Flip | Kind::Decay => {
            medium.decay(usize::try_from(case.at).expect("an offset"), case.kind.decay(seed))
        }
        Kind::Wear => {
            let sector = usize::try_from(case.at / LIVES).expect("a sector");
            let erases = medium.erases()[sector] + u32::try_from(case.at % LIVES).expect("few");
            let start = medium.sector_starts().nth(sector).expect("a sector");
            medium.endure(start, erases);
        }
        kind => {
            if let Some(fault) = kind.fault(seed) {
                medium.plan_at(case.at, fault);
            }
        }
    }
}

/// A programmed word decays while there is no power.
fn decay_anywhere<P: Part>(
    device: &DeviceOf<P>,
    case: &Case,
    random: &mut Random,
) -> Option<(usize, Medium)> {
    let mut medium = device.nor.medium_mut();
    let len = medium.bytes().len() as u64;
    for _ in 0..64 {
        let offset = usize::try_from(random.below(len)).expect("an offset");
        if medium.is_programmed(offset) {
            let before = medium.clone();
            medium.decay(offset, case.kind.decay(random.number()));
            return Some((offset, before));
        }
    }
    None
}

/// Resets, and goes on with the step, through one more cut.
fn recover<P: Part>(
    living: &mut Living<'_, P, Judge<'_>>,
    case: &Case,
    release: Option<&Release>,
    random: &mut Random,
) -> Result<(), Failure> {
    let mut last = Err(Failure::NoPower);
    for attempt in 0..ATTEMPTS {
        {
            let mut medium = living.device.nor.medium_mut();
            if medium.is_off() {
                medium.power_on()
            } else {
                medium.power_cycle()
            };
            if attempt == 0 {
                let range = [4, 24, 200, 2000][usize::try_from(random.below(4)).expect("an index")];
                let cut = any_cut(random);
                medium.cut_at(random.below(range), cut);
            }
        }
        if attempt == 0 && living.observer.must_run && case.kind.passes() {
            comes_up(living);
        }
        // These steps reset the device into its session; a device comes up by itself first.
        if !matches!(case.step, Step::First | Step::Update | Step::Turnover | Step::Revert)
            && living.boot().is_err()
        {
            continue;
        }
        last = living.run(case.step, release);
        if last.is_ok() || living.device.nor.medium().is_over_limit() {
            break;
        }
    }
    last
}

/// A device with an image comes up by itself, without a host, also through the cut in the recovery.
fn comes_up<P: Part>(living: &mut Living<'_, P, Judge<'_>>) {
    // One more, for the cut.
    for _ in 0..=RESETS {
        if matches!(living.boot(), Ok(Boot::Run(_))) {
            return;
        }
        let mut medium = living.device.nor.medium_mut();
        if medium.is_off() {
            medium.power_on();
        }
    }
    let state = living.device.state();
    let words = format!("nothing comes up without a host: {:?}, floor {}", state.status, state.floor);
    living.observer.fail(Promise::Brick, words);
}

/// The promises at the end of a case.
fn end<P: Part>(
    living: &mut Living<'_, P, Judge<'_>>,
    facts: &Facts,
    case: &Case,
    (is_done, strike, is_last): (bool, Option<&Strike>, bool),
) {
    if living.device.nor.medium().is_over_limit() {
        return living.observer.fail(Promise::Other, "the device works for ever".to_owned());
    }
    living.device.nor.medium_mut().power_cycle();
    let mut runs = false;
    for _ in 0..RESETS {
        runs = matches!(living.boot(), Ok(Boot::Run(_)));
        if runs {
            break;
        }
    }
    let state = living.device.state();
    let layout = living.device.layout;
    let (is_unknown, is_lost) = {
        let medium = living.device.nor.medium();
        let scene = Scene { layout: &layout, medium: &medium, kind: case.kind, strike };
        let confirmed = living.observer.confirmed_release(&state);
        (
            state.provisioned && scene.took_the_only_copy(living.world.block()),
            confirmed.is_some_and(|release| scene.took_the_image(release)),
        )
    };
    living.observer.is_excused = !runs && living.observer.must_run && (is_unknown || is_lost);
    if is_unknown && !runs {
        living.observer.is_excused = true;
        return;
    }
    if !runs && living.observer.must_run && !living.observer.is_excused {
        let words = format!("nothing runs after {RESETS} resets: {:?}, floor {}", state.status, state.floor);
        living.observer.fail(Promise::Brick, words);
    }
    if is_done {
        compare(living, facts, case, (&state, strike, runs));
    } else if case.kind.passes() {
        living.observer.fail(Promise::Other, "the step does not come to an end".to_owned());
    }
    still(living, case);
    let takes_none = takes_no_install(living);
    if is_last
        && living.observer.violation.is_none()
        && (!runs || case.kind == Kind::Wear)
        && living.device.state().provisioned
    {
        lives_on(living, case, takes_none, runs);
    }
}

/// Whether the device may refuse installs: a fault lasts in the slot that receives, or in one of two parts of its journal,
/// which takes no record once the other part is full (docs/flash-layout.md, Journal).
fn takes_no_install<P: Part>(living: &mut Living<'_, P, Judge<'_>>) -> bool {
    let layout = living.device.layout;
    let spare = Area::Slot(living.device.state().spare_slot(&layout));
    let parts = (0..layout.journal_parts()).filter(|_| layout.journal_parts() < 3).map(Area::Journal);
    let medium = living.device.nor.medium();
    parts
        .chain([spare])
        .map(|area| layout.region(area))
        .any(|region| medium.has_lasting_fault(region.start as usize, region.len as usize))
}

/// A step that its host was told to be done has the end that it has without a fault: what only rises, after every fault;
/// the image, after each that did not take it; all of it, after a fault that passes.
fn compare<P: Part>(
    living: &mut Living<'_, P, Judge<'_>>,
    facts: &Facts,
    case: &Case,
    (state, strike, runs): (&BootState, Option<&Strike>, bool),
) {
    let rising = |state: &BootState| {
        (state.floor, state.provisioned, state.domains.map(|domain| domain.list_sequence))
    };
    // Where images run in either slot, a trial that was lost moves the next one, which has another length there.
    let image = |state: &BootState| state.active.map(|image| (image.manifest_digest, image.sequence));
    let passes = case.kind.passes();
    // A revert, or an image that was dropped, may leave nothing to run where a fault lasts.
    let counts_image = passes || runs || !matches!(case.step, Step::Revert | Step::Abandon);
    let is_same = rising(state) == rising(&facts.after)
        && (!counts_image || image(state) == image(&facts.after))
        && (!passes || state.status == facts.after.status);
    if !is_same {
        let words = format!("another end: {state:?} instead of {:?}", facts.after);
        living.observer.fail(Promise::Other, words);
    }
    let world = living.world;
    let layout = living.device.layout;
    let medium = living.device.nor.medium().clone();
    let scene = Scene { layout: &layout, medium: &medium, kind: case.kind, strike };
    for object in state.provisioned.then_some(world.block()).into_iter().chain(world.list(state)) {
        let copies = halves_with(&layout, &medium, object, Some(state.set)).len();
        let enough = if passes { 2 } else { 1 };
        if copies < enough && !scene.took_the_only_copy(object) {
            let words = format!("{copies} copies of a stored object are left, and not {enough}");
            living.observer.fail(Promise::Other, words);
        }
    }
}

/// A further boot changes nothing.
fn still<P: Part>(living: &mut Living<'_, P, Judge<'_>>, case: &Case) {
    let before = living.device.state();
    // A part with a lasting fault is mended at each boot as far as it goes.
    if before.status != Status::Idle || !case.kind.passes() {
        return;
    }
    let operations = living.device.nor.medium().operations();
    if living.boot().is_err() || living.device.nor.medium().operations() != operations {
        living.observer.fail(Promise::Other, "a further boot writes".to_owned());
    }
    if living.device.state() != before {
        living.observer.fail(Promise::Other, "a further boot changes the state".to_owned());
    }
}

/// A device that cannot run anything takes a new install, and runs it once its flash works again.
fn lives_on<P: Part>(living: &mut Living<'_, P, Judge<'_>>, case: &Case, takes_none: bool, ran: bool) {
    let world = living.world;
    living.observer.is_rescued = true;
    for release in world.rescues() {
        let taken = living.install(release);
        living.observer.say(&format!("rescue by release {}: {taken:?}", release.sequence));
        if case.kind != Kind::Wear {
            if taken.is_err() && !takes_none {
                return living
                    .observer
                    .fail(Promise::Brick, format!("nothing runs, and no install is taken: {taken:?}"));
            }
            break;
        }
        // A part that wears out: each update is done or given up.
        let _ = living.update(release);
        living.device.nor.medium_mut().power_cycle();
        if living.observer.violation.is_some() {
            return;
        }
        if living.device.state().active.is_some_and(|image| image.sequence != release.sequence) {
            break;
        }
    }
    if ran {
        return;
    }
    // With a part that works again, the next release runs.
    living.device.nor.medium_mut().mend();
    // The one that was taken may run already, on trial: it confirms itself.
    if case.kind != Kind::Wear {
        let _ = living.update(world.rescues().next().expect("a release"));
    }
    let last = world.rescues().last().expect("a release");
    if living.update(last).is_err() {
        living.observer.fail(Promise::Brick, "a device whose flash works again takes no image".to_owned());
    }
}
