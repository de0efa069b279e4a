//! The promises of a table (docs/tables.md): the application gets a table that is wholly the old or wholly the new one, or
//! none where the flash lost it; its floor neither falls nor rises before a confirmation; and an install of a table writes
//! nothing where the firmware lies.

use bootloader::layout::{Area, Layout, Slot};
use bootloader::state::{BootState, Status};
use device_harness::device::{DeviceOf, Part, Placed};
use flash_model::Medium;

use super::Promise;
use crate::case::{Case, Kind};
use crate::loss::Strike;
use crate::world::Release;

/// Sees the table at each reset of a case.
pub(super) struct Witness {
    /// Its state before the step, and after it without a fault.
    pub(super) states: [BootState; 2],
    /// The old one and the new one.
    pub(super) tables: Vec<Release>,
    /// Those that were confirmed, or were about to be.
    pub(super) confirmed: Vec<u64>,
    /// The floor before the step, or that of the last confirmation that was reported as done.
    pub(super) told_floor: u64,
}

/// A broken promise.
pub(super) type Broken = Option<(Promise, String)>;

impl Witness {
    /// Right after a reset. `runs`: the application was started.
    pub(super) fn look<P: Part, L: Placed>(&self, device: &DeviceOf<P, L>, runs: bool) -> Broken {
        let state = device.table_state();
        let [before, _] = &self.states;
        if state.floor < self.told_floor {
            let words = format!("the floor of the table fell from {} to {}", self.told_floor, state.floor);
            return Some((Promise::Floor, words));
        }
        if state.floor > before.floor && !self.confirmed.contains(&state.floor) {
            let words = format!("the floor of the table rose to {} before a confirmation", state.floor);
            return Some((Promise::Floor, words));
        }
        let found = device.table().found().filter(|_| runs)?;
        let bytes = device.found_table().unwrap_or_default();
        let whole = self.tables.iter().find(|table| table.sequence == found.sequence);
        if whole.is_none_or(|table| table.table() != bytes) {
            let words = format!("table {} was handed over and is not whole", found.sequence);
            return Some((Promise::Table, words));
        }
        // What decays after its confirmation comes again as the same release, on a trial of its own.
        let may_count =
            if found.is_on_trial { found.sequence >= state.floor } else { found.sequence == state.floor };
        (!may_count)
            .then(|| (Promise::Table, format!("table {} over the floor {}", found.sequence, state.floor)))
    }

    /// At the end, after a reset that started the application. `is_done`: the host was told that the step is.
    pub(super) fn end<P: Part, L: Placed>(
        &self,
        device: &DeviceOf<P, L>,
        case: &Case,
        (is_done, strike): (bool, Option<&Strike>),
    ) -> Broken {
        let (state, layout) = (device.table_state(), device.table_layout());
        let [before, after] = &self.states;
        let found = device.table().found();
        let image = |state: &BootState| state.active.map(|image| (image.manifest_digest, image.sequence));
        let passes = case.kind.passes();
        if found.is_none() && before.active.is_some() && !took_the_table(&layout, case.kind, strike) {
            return Some((Promise::Table, format!("there was a table: {state:?}")));
        }
        let is_same = state.floor == after.floor
            && (!passes && found.is_none() || image(&state) == image(after))
            && (!passes || state.status == after.status);
        if is_done && !is_same {
            return Some((
                Promise::Other,
                format!("another end of the table: {state:?} instead of {after:?}"),
            ));
        }
        None
    }

    /// Nothing of it is on trial.
    pub(super) fn is_still<P: Part, L: Placed>(&self, device: &DeviceOf<P, L>) -> bool {
        device.table_state().status == Status::Idle
    }
}

/// Whether a fault that takes content struck in a slot of the table.
fn took_the_table(layout: &Layout, kind: Kind, strike: Option<&Strike>) -> bool {
    let is_in = |strike: &Strike| {
        [Slot::A, Slot::B]
            .map(|slot| layout.region(Area::Slot(slot)))
            .into_iter()
            .any(|slot| (slot.start as usize..(slot.start + slot.len) as usize).contains(&strike.offset))
    };
    kind.takes_content() && strike.is_some_and(is_in)
}

/// The slots of the firmware were erased in a step that brings a table alone.
pub(super) fn touched(layout: &Layout, before: &Medium, after: &Medium) -> Broken {
    let sectors = before.sector_starts().zip(before.erases().into_iter().zip(after.erases()));
    for (start, (earlier, later)) in sectors {
        let is_in = [Slot::A, Slot::B]
            .map(|slot| layout.region(Area::Slot(slot)))
            .into_iter()
            .any(|slot| (slot.start as usize..(slot.start + slot.len) as usize).contains(&start));
        if is_in && earlier != later {
            return Some((Promise::Table, format!("the install of a table erased firmware at {start:#x}")));
        }
    }
    None
}
