//! The fault of a case: how it comes into the flash, and where it struck.

use bootloader::layout::{Area, Half, Layout, Slot};
use bootloader::state::{BootState, Status};
use device_harness::device::{DeviceOf, Part, Placed};
use flash_model::{Medium, Random};

use super::witness::Judge;
use crate::case::{Case, Kind, LIVES};
use crate::life::Living;
use crate::loss::Strike;

/// Reads in a row that fail, at most.
const OUTAGE_MAX: u64 = 8;

/// All areas, for a trace.
fn areas(layout: &Layout) -> impl Iterator<Item = Area> {
    let journal = (0..layout.journal_parts()).map(Area::Journal);
    let stored = [Half::First, Half::Second].map(Area::Stored);
    stored.into_iter().chain(journal).chain([Area::Progress, Area::Slot(Slot::A), Area::Slot(Slot::B)])
}

/// Puts the fault of a case into the flash.
pub(super) fn arm<P: Part, L: Placed>(device: &DeviceOf<P, L>, case: &Case, seed: u64) {
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
pub(super) fn decay_anywhere<P: Part, L: Placed>(
    device: &DeviceOf<P, L>,
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

/// Where a fault struck, and what the device was doing then. `before`: the flash right before it.
pub(super) fn struck_at<P: Part, L: Placed>(
    living: &mut Living<'_, P, L, Judge<'_>>,
    (offset, before): (usize, Medium),
) -> Strike {
    let layout = living.device.layout;
    let mut then = before.clone();
    then.power_on();
    let BootState { status, set, .. } = DeviceOf::<P, L>::over(P::over(then), layout).state();
    let area = areas(&layout).find(|area| {
        let region = layout.region(*area);
        (region.start as usize..(region.start + region.len) as usize).contains(&offset)
    });
    let place = area.map_or_else(
        || "no area".to_owned(),
        |area| format!("{area:?}+{:#x}", offset - layout.region(area).start as usize),
    );
    living.observer.say(&format!("the fault struck at {offset:#x}, {place}, {status:?}"));
    let is_within_an_exchange =
        matches!(status, Status::Swapping(_) | Status::Reverting(_) | Status::Trial { .. });
    let is_reverting = matches!(status, Status::Reverting(_));
    Strike { offset, before, is_within_an_exchange, is_reverting, set }
}
