//! The promises at the end of a case.

use bootloader::layout::Area;
use bootloader::state::{BootState, Status};
use device_harness::device::{Boot, Part, Placed};

use super::table::touched;
use super::witness::Judge;
use super::{Promise, RESETS};
use crate::bench::Facts;
use crate::case::{Case, Kind};
use crate::life::{Living, Step};
use crate::loss::{Scene, Strike, halves_with};

/// Holds the end of a case against them.
pub(super) fn end<P: Part, L: Placed>(
    living: &mut Living<'_, P, L, Judge<'_>>,
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
            state.provisioned && scene.took_the_only_copy(&living.world.block),
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
    if runs {
        let broken = living.observer.table.as_ref();
        let broken = broken.and_then(|table| table.end(&living.device, case, (is_done, strike)));
        living.observer.fail_if(broken);
    }
    // Within a life, the step before erased some.
    if is_last && living.world.release_of(case.step).is_none() && living.world.table_of(case.step).is_some() {
        let broken = touched(&layout, &facts.base, &living.device.nor.medium());
        living.observer.fail_if(broken);
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
fn takes_no_install<P: Part, L: Placed>(living: &mut Living<'_, P, L, Judge<'_>>) -> bool {
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
fn compare<P: Part, L: Placed>(
    living: &mut Living<'_, P, L, Judge<'_>>,
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
    for object in state.provisioned.then_some(world.block.as_slice()).into_iter().chain(world.list(state)) {
        let copies = halves_with(&layout, &medium, object, Some(state.set)).len();
        let enough = if passes { 2 } else { 1 };
        if copies < enough && !scene.took_the_only_copy(object) {
            let words = format!("{copies} copies of a stored object are left, and not {enough}");
            living.observer.fail(Promise::Other, words);
        }
    }
}

/// A further boot changes nothing.
fn still<P: Part, L: Placed>(living: &mut Living<'_, P, L, Judge<'_>>, case: &Case) {
    let before = living.device.state();
    // A part with a lasting fault is mended at each boot as far as it goes.
    let is_still = living.observer.table.as_ref().is_none_or(|table| table.is_still(&living.device));
    if before.status != Status::Idle || !is_still || !case.kind.passes() {
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
fn lives_on<P: Part, L: Placed>(
    living: &mut Living<'_, P, L, Judge<'_>>,
    case: &Case,
    takes_none: bool,
    ran: bool,
) {
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
        let _ = living.update(&[release]);
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
        let _ = living.update(&[world.rescues().next().expect("a release")]);
    }
    let last = world.rescues().last().expect("a release");
    if living.update(&[last]).is_err() {
        living.observer.fail(Promise::Brick, "a device whose flash works again takes no image".to_owned());
    }
}
