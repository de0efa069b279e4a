//! Whether a loader reports what became of its last attempt to install: a SUIT_Report (draft-ietf-suit-report-18) under the
//! authentication key of its device. It is a type that the board names, so that a loader which does not report has nothing
//! of it (docs/decisions/0099).
//!
//! A report is made when it is asked for, out of the journal and of the last refusal in RAM. Nothing is written for it: who
//! is on the bus wears nothing out, and a power cut finds nothing new.

use core::fmt::Debug;

use suit_manifest::Reason;
use suit_manifest::report::{MAX_REPORT_LEN, Measured, Outcome, Place, Progress};
use trust::ATTACHED_MAC0_ROOM;

use crate::provisioning::Identity;
use crate::refusal::Refusal;
use crate::state::{BootState, ImageRecord, Status};

/// Most bytes of a report in its container.
pub(crate) const CONTAINER_LEN: usize = MAX_REPORT_LEN + ATTACHED_MAC0_ROOM;
/// Of a manifest that did not authenticate: a digest of it would be what a stranger says.
pub(crate) const NO_DIGEST: [u8; 32] = [0; 32];

/// Whether a loader reports.
pub trait Reports: Sized + 'static {
    /// Whether it does.
    const REPORTS: bool;

    /// What it keeps of a refusal.
    #[doc(hidden)]
    type Kept: Debug;

    /// Nothing was refused yet.
    #[doc(hidden)]
    const NOTHING: Self::Kept;

    /// Keeps this instead.
    #[doc(hidden)]
    fn keep(kept: &mut Self::Kept, attempt: Option<Attempt>);

    /// What it keeps.
    #[doc(hidden)]
    fn kept(kept: &Self::Kept) -> Option<&Attempt>;
}

/// It does not report.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Reports for Silent {
    type Kept = ();

    const REPORTS: bool = false;
    const NOTHING: () = ();

    fn keep((): &mut (), _attempt: Option<Attempt>) {}

    fn kept((): &()) -> Option<&Attempt> {
        None
    }
}

/// It reports under the authentication key of its device. A device without one does not.
#[derive(Clone, Copy, Debug)]
pub struct Authenticated;

impl Reports for Authenticated {
    type Kept = Option<Attempt>;

    const REPORTS: bool = true;
    const NOTHING: Option<Attempt> = None;

    fn keep(kept: &mut Option<Attempt>, attempt: Option<Attempt>) {
        *kept = attempt;
    }

    fn kept(kept: &Option<Attempt>) -> Option<&Attempt> {
        kept.as_ref()
    }
}

/// An attempt that was refused since the loader started.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Of its manifest; [`NO_DIGEST`] if that did not authenticate.
    pub(crate) digest: [u8; 32],
    pub(crate) reason: Reason,
    pub(crate) place: Place,
}

impl Attempt {
    /// Refused where no command runs.
    pub(crate) const fn outside(digest: [u8; 32], refusal: Refusal) -> Self {
        Self { digest, reason: refusal.reason, place: Place::outside(refusal.position) }
    }
}

/// What is to be reported: the digest of the manifest that was attempted last, and what became of it. `None`: the device has
/// attempted nothing. `accepted`: the image of an install that has not begun; `is_bootable`: the active image verified.
pub(crate) fn outcome<'i>(
    state: &BootState,
    accepted: Option<&ImageRecord>,
    is_bootable: bool,
    kept: Option<&Attempt>,
    identity: &'i Identity,
) -> Option<([u8; 32], Outcome<'i>)> {
    let refused = |reason, place| {
        let measured = Measured::of(reason, &identity.vendor, &identity.class, &identity.device);
        Outcome::Refused { reason, place, measured }
    };
    if let Some(Attempt { digest, reason, place }) = kept {
        return Some((*digest, refused(*reason, *place)));
    }
    let digest_of = |image: Option<&ImageRecord>| image.map_or(NO_DIGEST, |image| image.manifest_digest);
    let (active, spare) = (digest_of(state.active.as_ref()), digest_of(accepted.or(state.spare.as_ref())));
    // A code of a later loader says that much.
    let reverted = || {
        let reason = Reason::from_code(state.revert_reason).unwrap_or(Reason::NothingBootable);
        refused(reason, Place::outside(0))
    };
    Some(match state.status {
        _ if accepted.is_some() => (spare, Outcome::Underway(Progress::Receiving)),
        Status::Installing { .. } => (spare, Outcome::Underway(Progress::Receiving)),
        // An exchange ends before anybody is served, or was refused.
        Status::Pending | Status::Swapping(_) => (spare, Outcome::Underway(Progress::Pending)),
        Status::Trial { .. } => (active, Outcome::Underway(Progress::Trial)),
        Status::Reverting(_) => (active, reverted()),
        // What was reverted lies where it came; of what was dropped nothing is left.
        Status::Idle if state.revert_reason != 0 => (spare, reverted()),
        Status::Idle if is_bootable => (active, Outcome::Success),
        Status::Idle => return None,
    })
}
