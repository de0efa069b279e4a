//! The promises that hold after every fault: a device boots within so many resets; its image is wholly the old or wholly
//! the new one; floors did not fall and did not rise before the image confirmed; no word is programmed twice; a further
//! boot changes nothing; a device that cannot run anything still takes a new install; an install that is continued is the
//! same content.

mod fault;
mod promises;
mod table;
mod witness;

use std::panic::{AssertUnwindSafe, catch_unwind};

use device_harness::device::{Boot, DeviceOf, Failure, Part, Placed};
use flash_model::{Medium, Random};

use crate::bench::{Bench, Facts};
use crate::case::{Case, Kind, any_cut};
use crate::life::{Living, Step};
use crate::world::Release;
use fault::{arm, decay_anywhere, struck_at};
use promises::end;
use table::Witness;
use witness::Judge;

/// Resets within which a device boots again.
pub const RESETS: u32 = 3;
/// Resets, each with all that a host tries, after which a step is given up.
const ATTEMPTS: u32 = 4;
/// Operations and reads of a case; one that needs more runs for ever.
const LIMIT: u64 = 3_000_000;

/// A broken promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// Nothing runs, or another image than an old or new one, or no install is taken.
    Brick,
    Floor,
    DoubleProgram,
    /// A table that is not whole is handed over, or one is lost, or its install touches the firmware.
    Table,
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

/// Runs one case; `traces`: with what happened in words.
pub fn judge<P: Part, L: Placed>(bench: &Bench<P, L>, case: &Case, traces: bool) -> Verdict {
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
fn life<P: Part, L: Placed>(bench: &Bench<P, L>, case: &Case, traces: bool) -> Verdict {
    let mut random = case.random();
    let mut medium = bench.facts(Step::Provision).base.clone();
    let mut whole = Verdict::default();
    // A turnover has a history of its own.
    for step in bench.life.iter().copied().filter(|&step| step != Step::Turnover) {
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
fn one<P: Part, L: Placed>(
    bench: &Bench<P, L>,
    facts: &Facts,
    case: &Case,
    medium: Medium,
    (traces, is_last): (bool, bool),
) -> (Verdict, Medium) {
    let mut random = case.random();
    let release = bench.release_of(case.step);
    let device = DeviceOf::<P, L>::over(P::over(medium), bench.layout);
    let rescues = bench.world.rescues().cloned();
    let observer = Judge {
        bench: facts,
        new: release.map(|release| release.sequence),
        releases: bench.old_releases(case.step).cloned().chain(release.cloned()).chain(rescues).collect(),
        confirmed: Vec::new(),
        told_floor: facts.before.floor,
        is_rescued: false,
        table: facts.table.map(|states| Witness {
            states,
            tables: bench.tables(case.step).cloned().collect(),
            confirmed: Vec::new(),
            told_floor: states[0].floor,
        }),
        keeps_content: case.kind.keeps_content(),
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
    let strike = strike.map(|strike| struck_at(&mut living, strike));
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

/// Resets, and goes on with the step, through one more cut.
fn recover<P: Part, L: Placed>(
    living: &mut Living<'_, P, L, Judge<'_>>,
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
        // These steps reset the device into its session; a device comes up by itself first. The others begin with it.
        if matches!(case.step, Step::Provision | Step::List | Step::Abandon) && living.boot().is_err() {
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
fn comes_up<P: Part, L: Placed>(living: &mut Living<'_, P, L, Judge<'_>>) {
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
