//! Takes the power away at every flash operation of a scenario, and holds the device to its promises after each:
//! it boots, its image is wholly the old or wholly the new one, floors neither fell nor rose before the image
//! confirmed, the scenario runs to the same end, and a further boot changes nothing.
//!
//! That no word is programmed twice, the flash model itself sees to.

use super::device::{Device, Failure};
use super::flash::{Cut, Medium, Nor};
use bootloader::Boot;
use bootloader::layout::Layout;
use bootloader::state::{BootState, Status};
use std::sync::atomic::{AtomicU64, Ordering};

/// An image that may be found in slot A: its sequence number and bytes.
pub type Release = (u64, Vec<u8>);

/// What is done to a device, and what has to hold whenever the power goes away in it.
pub trait Scenario<const WORD: usize, const PAGE: usize>: Sync {
    /// A device right before.
    fn prepare(&self) -> Device<WORD, PAGE>;

    /// Does it, or goes on with it, from whatever state a reset left the device in.
    fn run(&self, device: &mut Device<WORD, PAGE>) -> Result<(), Failure>;

    /// The images that slot A may hold after a reset; empty: it need not boot at all.
    fn releases(&self) -> Vec<Release>;

    /// Looks at a device that has just been reset, in whatever state it is.
    fn inspect(&self, _device: &mut Device<WORD, PAGE>) {}

    /// Looks at a device at the end.
    fn finished(&self, device: &mut Device<WORD, PAGE>);
}

/// Runs the scenario with a cut at every operation; how many there were.
pub fn cut_everywhere<const WORD: usize, const PAGE: usize>(scenario: &impl Scenario<WORD, PAGE>) -> u64 {
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
                    cut_at(scenario, &medium, layout, operation, (floor, &end));
                }
            });
        }
    });
    operations
}

fn cut_at<const WORD: usize, const PAGE: usize>(
    scenario: &impl Scenario<WORD, PAGE>,
    medium: &Medium,
    layout: Layout,
    operation: u64,
    (floor, end): (u64, &BootState),
) {
    let at = format!("cut at operation {operation}");
    let mut device = Device::<WORD, PAGE>::over(Nor::with(medium.clone()), layout);
    // After an operation that happened is the same flash as before the one that follows: one kind of cut is enough
    // as long as cuts are atomic, but for the last operation.
    device.nor.medium_mut().cut_at(operation, Cut::Nothing);
    assert_eq!(scenario.run(&mut device), Err(Failure::NoPower), "{at}: power should have gone");
    device.nor.medium_mut().power_on();

    let mut reset = device.twin();
    scenario.inspect(&mut reset);
    let mut reset = device.twin();
    whole(&mut reset, &scenario.releases(), floor, &at);

    scenario.run(&mut device).unwrap_or_else(|failure| panic!("{at}: cannot go on: {failure:?}"));
    finish(scenario, &mut device, &at);
    let found = device.state();
    let same = |state: &BootState| (state.status, state.floor, state.active, state.provisioned);
    assert_eq!(same(&found), same(end), "{at}: another end");
}

/// The first boot after a cut.
fn whole<const WORD: usize, const PAGE: usize>(
    device: &mut Device<WORD, PAGE>,
    releases: &[Release],
    floor: u64,
    at: &str,
) {
    let boot = device.boot();
    let state = device.state();
    assert!(state.floor >= floor, "{at}: the floor fell");
    if releases.is_empty() {
        return;
    }
    assert!(matches!(boot, Boot::Run(_)), "{at}: does not boot: {boot:?}, {state:?}");
    let active = state.active.expect("an active image");
    let (_, image) = releases
        .iter()
        .find(|(sequence, _)| *sequence == active.sequence)
        .unwrap_or_else(|| panic!("{at}: sequence {} was never installed", active.sequence));
    assert_eq!(active.size as usize, image.len(), "{at}: another image");
    assert!(device.running(image.len()) == *image, "{at}: the image is torn");
    if state.floor > floor {
        let confirmed = state.status == Status::Idle && active.sequence == state.floor;
        assert!(confirmed, "{at}: the floor rose before its image confirmed");
    }
    quiet(device, at);
}

/// A device that is not on trial does not write when it boots.
fn quiet<const WORD: usize, const PAGE: usize>(device: &mut Device<WORD, PAGE>, at: &str) {
    if device.state().status != Status::Idle {
        return;
    }
    let (state, before) = (device.state(), device.nor.medium().operations());
    let boot = device.boot();
    assert_eq!(device.nor.medium().operations(), before, "{at}: a further boot wrote");
    assert_eq!((device.boot(), device.state()), (boot, state), "{at}: a further boot changed something");
}

fn finish<const WORD: usize, const PAGE: usize>(
    scenario: &impl Scenario<WORD, PAGE>,
    device: &mut Device<WORD, PAGE>,
    at: &str,
) {
    quiet(device, at);
    scenario.finished(device);
}
