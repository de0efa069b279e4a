//! What an update has begun and nothing has tried yet: it waits for a reset, or for the other half of its release
//! (docs/tables.md, Both in one).

use suit_manifest::reason::Reason;
use update_protocol::profile::{Component, ImageState, Mode, StateRecord};

use super::{Device, beside, install_digest};
use crate::error::Error;

/// What starts that which is installed and waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waits {
    /// A reset: it stands alone, or the other half of its release is there.
    Reset,
    /// The other half of its release, which has not come whole: no reset starts it alone.
    Half,
    /// Either: a device does not say whether what it has is half of a release.
    Either,
}

impl Device {
    /// What waits for a reset beside the component that is looked at, and starts with it.
    pub(crate) fn waits_beside(&self) -> Option<Component> {
        let other = beside(self.component);
        self.waiting(other).map(|_| other)
    }

    /// What waited for a reset, and still does after it: half of a release of firmware and a table, whose other half is not
    /// there. A loader that stays for another reason says which.
    pub(crate) fn waits_still(&self, component: Component, before: &Self) -> bool {
        // What was reverted before keeps nothing waiting.
        let stays = self.firmware().mode == Mode::Loader
            && Reason::from_code(self.firmware().reason)
                .is_some_and(|reason| !matches!(reason, Reason::PartMissing | Reason::TrialNotConfirmed));
        let waiting = |device: &Self| device.waiting(component).map(|state| state.manifest_digest);
        let is_as_before = waiting(self).is_some() && waiting(self) == waiting(before);
        is_as_before && !stays && !self.has_both_halves(component)
    }

    /// That this half of a release waits for the other one.
    pub(crate) fn half_waits(&self, component: Component) -> Error {
        Error::HalfWaits { serial: self.serial.to_string(), waits: component }
    }

    /// The state of a component on which something waits for a reset.
    fn waiting(&self, component: Component) -> Option<&StateRecord> {
        self.of(component).filter(|state| state.image == ImageState::Pending)
    }

    /// Whether the other component has the other half of what waits on this one.
    fn has_both_halves(&self, component: Component) -> bool {
        let release = self.of(component).map(|state| state.manifest_digest);
        self.of(beside(component)).is_some_and(|other| {
            let waits = other.image == ImageState::Pending && Some(other.manifest_digest) == release;
            waits || Some(other.active_digest) == release
        })
    }

    /// For what something waits that is installed on a component; `None`: nothing is.
    pub(crate) fn waits(&self, component: Component) -> Option<Waits> {
        let release = self.waiting(component)?.manifest_digest;
        Some(match self.of(beside(component)) {
            None => Waits::Reset,
            Some(_) if self.has_both_halves(component) => Waits::Reset,
            Some(other) if other.manifest_digest == release => Waits::Half,
            Some(_) => Waits::Either,
        })
    }

    /// The other half of what was begun or waits on what is looked at, where the device has begun that too.
    pub(crate) fn other_half(&self) -> Option<Component> {
        let digest = install_digest(&self.state)?;
        let other = self.other.as_ref()?;
        (install_digest(other)? == digest).then(|| beside(self.component))
    }

    /// Whether an update has begun something that is not tried yet.
    pub(crate) fn has_unfinished(&self) -> bool {
        let unfinished = |state: &StateRecord| state.image == ImageState::Pending || state.flags.resumable;
        unfinished(&self.state) || self.other.as_ref().is_some_and(unfinished)
    }
}
