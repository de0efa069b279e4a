//! Takes the power away at every flash operation of a scenario, and holds the device to its promises after each:
//! it boots, its image is wholly the old or wholly the new one, a trial has a whole image to go back to, floors
//! neither fell nor rose before the image confirmed, the scenario runs to the same end, and a further boot changes
//! nothing.
//!
//! At each operation nothing of it happens. At the last word of every journal record and at some hundred other
//! operations something in between happens as well, one kind of [`Cut`] or another, and the power goes away again in
//! what the device does next. That no word is programmed twice, the flash model itself sees to.

use std::sync::atomic::{AtomicU64, Ordering};

use bootloader::journal::RECORD_LEN;
use bootloader::layout::{Area, Layout};
use bootloader::state::{BootState, Status};
use flash_model::{Cut, Medium, Nor, Random};
use update_protocol::profile::Component;

use crate::device::{Boot, Device, Failure, Placed};

mod update;

pub use update::Update;

/// An image that may be found in slot A: its sequence number and bytes.
pub type Release = (u64, Vec<u8>);

/// A procedure on a device, and the promises that have to hold after a power cut anywhere in it.
pub trait Scenario<const WORD: usize, const PAGE: usize, L = Layout>: Sync {
    /// A device right before.
    fn prepare(&self) -> Device<WORD, PAGE, L>;

    /// Does it, or goes on with it, from whatever state a reset left the device in.
    fn run(&self, device: &mut Device<WORD, PAGE, L>) -> Result<(), Failure>;

    /// The images that may run after a reset.
    fn releases(&self) -> Vec<Release>;

    /// Whether one of them has to.
    fn must_boot(&self) -> bool {
        true
    }

    /// Looks at a device that has just been reset, in whatever state it is.
    fn inspect(&self, _device: &mut Device<WORD, PAGE, L>) {}

    /// Looks at a device at the end.
    fn finished(&self, device: &mut Device<WORD, PAGE, L>);
}

/// Brings release 2 to a device that has another one or none, until it has been confirmed: [`Scenario::run`].
///
/// # Errors
/// The power goes away, or the device refuses it
pub fn update<const WORD: usize, const PAGE: usize, L: Placed>(
    device: &mut Device<WORD, PAGE, L>,
    component: Component,
    mut install: impl FnMut(&mut Device<WORD, PAGE, L>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // A cut between hand-over and confirming ends a trial: the host then begins again.
    for _ in 0..4 {
        let boot = device.boot();
        if device.nor.medium().is_off() {
            return Err(Failure::NoPower);
        }
        let runs = matches!(boot, Boot::Run(_));
        assert!(runs || device.state().floor == 0, "what was confirmed does not run: {boot:?}");
        let is_handed_over = match component {
            Component::Firmware => runs,
            Component::Table => device.table().found().is_some(),
        };
        let state = device.state_of(component);
        let is_new = is_handed_over && state.active.is_some_and(|image| image.sequence == 2);
        match state.status {
            Status::Trial { .. } if is_new => {
                return device.confirm(component).map(drop).map_err(|_| Failure::NoPower);
            }
            Status::Idle if is_new => return Ok(()),
            _ => install(device)?,
        }
    }
    panic!("the update does not come to an end: {:?}", device.state_of(component));
}

/// Runs the scenario with a cut at every operation; how many there were.
pub fn cut_everywhere<const WORD: usize, const PAGE: usize, L: Placed>(
    scenario: &impl Scenario<WORD, PAGE, L>,
) -> u64 {
    let base = scenario.prepare();
    let (medium, layout) = (base.nor.medium().clone(), base.layout);
    let floor = base.state().floor;

    let mut clean = base.twin();
    let before = clean.nor.medium().operations();
    scenario.run(&mut clean).expect("the scenario without a cut");
    let operations = clean.nor.medium().operations() - before;
    finish(scenario, &mut clean, "without a cut");
    let end = clean.state();

    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let operation = next.fetch_add(1, Ordering::Relaxed);
                    if operation >= operations {
                        break;
                    }
                    let sampled = operation.is_multiple_of(operations.div_ceil(SAMPLE));
                    cut_at(scenario, &medium, layout, (operation, sampled), (floor, &end));
                }
            });
        }
    });
    operations
}

/// Number of operations of a scenario that are cut in doubt, if it has as many.
const SAMPLE: u64 = 150;

/// A cut that leaves doubt.
fn doubtful(random: &mut Random) -> Cut {
    let seed = random.number();
    match random.number() % 5 {
        0 => Cut::Fades(seed),
        1 => Cut::Settles(seed),
        2 => Cut::Torn(seed),
        3 => Cut::Weak,
        _ => Cut::Unreadable,
    }
}

fn cut_at<const WORD: usize, const PAGE: usize, L: Placed>(
    scenario: &impl Scenario<WORD, PAGE, L>,
    medium: &Medium,
    layout: Layout,
    (operation, sampled): (u64, bool),
    (floor, end): (u64, &BootState),
) {
    let cut = |cut| {
        let at = format!("{cut:?} at operation {operation}");
        let mut device = Device::<WORD, PAGE, L>::over(Nor::with(medium.clone()), layout);
        device.nor.medium_mut().cut_at(operation, cut);
        assert_eq!(scenario.run(&mut device), Err(Failure::NoPower), "{at}: power should have gone");
        after_cut(scenario, &mut device, floor, &at);
        (device, at)
    };
    // After an operation that happened is the same flash as before the one that follows.
    let (mut device, at) = cut(Cut::Nothing);
    let last = device.nor.medium().last_offset();
    to_the_end(scenario, &mut device, end, &at);

    let mut random = Random(operation);
    let mut twice = Vec::new();
    if ends_record::<L>(layout, last, WORD) {
        // The reading changes: the next cut follows at once, in a step of a swap, or anywhere.
        for first in [Cut::Fades(operation), Cut::Settles(operation)] {
            twice.extend([4, 24, 200].map(|range| (first, random.number() % range)));
        }
    } else if sampled {
        twice.push((doubtful(&mut random), random.number() % 200));
    }
    for (first, again) in twice {
        let (mut device, at) = cut(first);
        let second = doubtful(&mut random);
        let at = format!("{at}, {second:?} {again} operations later");
        device.nor.medium_mut().cut_at(again, second);
        match scenario.run(&mut device) {
            // At the end before that.
            Ok(()) => device.nor.medium_mut().power_cycle(),
            Err(failure) => assert_eq!(failure, Failure::NoPower, "{at}: cannot go on"),
        }
        after_cut(scenario, &mut device, floor, &at);
        to_the_end(scenario, &mut device, end, &at);
    }
}

/// Whether the word at this offset is the last one of a record in the journal.
fn ends_record<L: Placed>(layout: Layout, offset: usize, word: usize) -> bool {
    let ends = |layout: &Layout| {
        (0..layout.journal_parts()).any(|part| {
            let region = layout.region(Area::Journal(part));
            let start = region.start as usize;
            (start..start + region.len as usize).contains(&offset)
                && (offset + word - start).is_multiple_of(RECORD_LEN)
        })
    };
    ends(&layout) || L::from(layout).table().is_some_and(ends)
}

/// From what a cut left to the end of the scenario.
fn to_the_end<const WORD: usize, const PAGE: usize, L: Placed>(
    scenario: &impl Scenario<WORD, PAGE, L>,
    device: &mut Device<WORD, PAGE, L>,
    end: &BootState,
    at: &str,
) {
    scenario.run(device).unwrap_or_else(|failure| panic!("{at}: cannot go on: {failure:?}"));
    finish(scenario, device, at);
    let found = device.state();
    let same = |state: &BootState| (state.status, state.floor, state.active, state.provisioned);
    assert_eq!(same(&found), same(end), "{at}: another end");
}

/// The first boot after a cut, on a copy.
fn after_cut<const WORD: usize, const PAGE: usize, L: Placed>(
    scenario: &impl Scenario<WORD, PAGE, L>,
    device: &mut Device<WORD, PAGE, L>,
    floor: u64,
    at: &str,
) {
    device.nor.medium_mut().power_on();
    scenario.inspect(&mut device.twin());
    whole(scenario, &mut device.twin(), floor, at);
}

fn whole<const WORD: usize, const PAGE: usize, L: Placed>(
    scenario: &impl Scenario<WORD, PAGE, L>,
    device: &mut Device<WORD, PAGE, L>,
    floor: u64,
    at: &str,
) {
    let boot = device.boot();
    let state = device.state();
    assert!(state.floor >= floor, "{at}: the floor fell");
    if !scenario.must_boot() && matches!(boot, Boot::Stay(_)) {
        return;
    }
    assert!(matches!(boot, Boot::Run(_)), "{at}: does not boot: {boot:?}, {state:?}");
    runs_a_release(scenario, device, &state, at);
    if matches!(state.status, Status::Trial { .. }) && state.spare.is_some() {
        let mut back = device.twin();
        assert!(matches!(back.boot(), Boot::Run(_)), "{at}: the way back is lost");
        let reverted = back.state();
        assert_eq!(reverted.active, state.spare, "{at}: another image came back");
        runs_a_release(scenario, &back, &reverted, at);
    }
    if state.floor > floor {
        let confirmed =
            state.status == Status::Idle && state.active.is_some_and(|image| image.sequence == state.floor);
        assert!(confirmed, "{at}: the floor rose before its image confirmed");
    }
    quiet(device, at);
}

/// The active image is, to the last byte, one of the releases.
fn runs_a_release<const WORD: usize, const PAGE: usize, L: Placed>(
    scenario: &impl Scenario<WORD, PAGE, L>,
    device: &Device<WORD, PAGE, L>,
    state: &BootState,
    at: &str,
) {
    let active = state.active.expect("an active image");
    let (_, image) = scenario
        .releases()
        .into_iter()
        .find(|(sequence, _)| *sequence == active.sequence)
        .unwrap_or_else(|| panic!("{at}: sequence {} was never installed", active.sequence));
    assert_eq!(active.size as usize, image.len(), "{at}: another image");
    assert!(device.running(image.len()) == image, "{at}: the image is torn");
}

/// A device with nothing on trial does not write when it boots.
fn quiet<const WORD: usize, const PAGE: usize, L: Placed>(device: &mut Device<WORD, PAGE, L>, at: &str) {
    let has_table = L::from(device.layout).table().is_some();
    if device.state().status != Status::Idle || has_table && device.table_state().status != Status::Idle {
        return;
    }
    let (state, before) = (device.state(), device.nor.medium().operations());
    let boot = device.boot();
    assert_eq!(device.nor.medium().operations(), before, "{at}: a further boot wrote");
    assert_eq!((device.boot(), device.state()), (boot, state), "{at}: a further boot changed something");
}

fn finish<const WORD: usize, const PAGE: usize, L: Placed>(
    scenario: &impl Scenario<WORD, PAGE, L>,
    device: &mut Device<WORD, PAGE, L>,
    at: &str,
) {
    quiet(device, at);
    scenario.finished(device);
}
