//! What a case shows on its way: each reset is held against the promises that hold at every instant.

use bootloader::state::BootState;
use device_harness::device::{Boot, DeviceOf, Failure, Part, Placed};
use suit_manifest::Reason;
use update_protocol::profile::Component;

use super::table::{Broken, Witness};
use super::{Promise, Violation};
use crate::bench::Facts;
use crate::life::Observer;
use crate::world::{Release, is_rescue};

/// Sees the resets of a case.
pub(super) struct Judge<'j> {
    pub(super) bench: &'j Facts,
    /// Sequence number of the release that the step brings.
    pub(super) new: Option<u64>,
    pub(super) releases: Vec<Release>,
    /// Those that confirmed themselves, or were about to.
    pub(super) confirmed: Vec<u64>,
    /// The floor before the step, or that of the last confirmation that was reported as done.
    pub(super) told_floor: u64,
    /// Releases that rescue a device may run, too.
    pub(super) is_rescued: bool,
    /// The table, on a device with one.
    pub(super) table: Option<Witness>,
    /// What is in flash stays there: a release that comes is what its manifest says.
    pub(super) keeps_content: bool,
    /// An image has to run.
    pub(super) must_run: bool,
    /// Resets in a row that led to no image.
    pub(super) idle_resets: u32,
    pub(super) worst: u32,
    pub(super) violation: Option<Violation>,
    pub(super) is_excused: bool,
    pub(super) trace: Option<Vec<String>>,
}

impl Judge<'_> {
    pub(super) fn fail(&mut self, promise: Promise, words: String) {
        self.say(&format!("BROKEN: {words}"));
        self.violation.get_or_insert(Violation { promise, words });
    }

    pub(super) fn fail_if(&mut self, broken: Broken) {
        if let Some((promise, words)) = broken {
            self.fail(promise, words);
        }
    }

    /// The release that has confirmed itself last, and that has to run.
    pub(super) fn confirmed_release(&self, state: &BootState) -> Option<&Release> {
        let old = self.bench.before.active.map(|image| image.sequence);
        let confirmed = self.confirmed.iter().copied().find(|&sequence| sequence == state.floor).or(old)?;
        self.releases.iter().find(|release| release.sequence == confirmed)
    }

    pub(super) fn say(&mut self, words: &str) {
        if let Some(trace) = &mut self.trace {
            trace.push(words.to_owned());
        }
    }

    pub(super) fn flush<P: Part, L: Placed>(&mut self, device: &DeviceOf<P, L>) {
        if let Some(trace) = &mut self.trace {
            trace.extend(describe(&device.nor.medium_mut().take_trace()));
        }
    }

    fn look<P: Part, L: Placed>(&mut self, device: &DeviceOf<P, L>) -> BootState {
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

    fn examine<P: Part, L: Placed>(&mut self, device: &DeviceOf<P, L>, state: &BootState) {
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

impl<P: Part, L: Placed> Observer<P, L> for Judge<'_> {
    fn reset(&mut self, device: &mut DeviceOf<P, L>, boot: Boot) {
        self.flush(device);
        let state = self.look(device);
        self.say(&format!("reset: {boot:?}, {:?}, floor {}", state.status, state.floor));
        let runs = matches!(boot, Boot::Run(_));
        self.fail_if(self.table.as_ref().and_then(|table| table.look(device, runs)));
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

    fn confirms(&mut self, release: &Release) {
        let Release { component, sequence, .. } = *release;
        self.say(&format!("release {sequence} of the {component:?} confirms itself"));
        match (component, &mut self.table) {
            (Component::Table, Some(table)) => table.confirmed.push(sequence),
            _ => self.confirmed.push(sequence),
        }
    }

    fn confirmed(&mut self, release: &Release) {
        match (release.component, &mut self.table) {
            (Component::Table, Some(table)) => table.told_floor = release.sequence,
            _ => {
                self.told_floor = release.sequence;
                self.must_run = true;
            }
        }
    }

    /// Whatever was cut: what goes on behind it is the same content.
    fn refused(&mut self, failure: Failure) {
        let reason = failure.reason();
        if self.keeps_content && matches!(reason, Some(Reason::ImageDigestMismatch | Reason::ContentTag)) {
            self.fail(Promise::Other, format!("a genuine release is refused: {reason:?}"));
        }
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
