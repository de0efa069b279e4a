//! For tests: an instruction that a glitch skips (docs/attacks.md, T14). No product enables the feature.

use std::cell::Cell;

pub use trust::fault::{skip_list_number, skip_lists, skip_signatures};

thread_local! {
    static MANIFEST_DIGEST: Cell<bool> = const { Cell::new(false) };
    static SEQUENCE: Cell<bool> = const { Cell::new(false) };
}

/// From now on, whether this thread skips the branch that refuses a manifest for its digest.
pub fn skip_manifest_digest(skips: bool) {
    MANIFEST_DIGEST.set(skips);
}

/// From now on, whether this thread skips the branch that refuses a sequence number below the floor.
pub fn skip_sequence(skips: bool) {
    SEQUENCE.set(skips);
}

pub(crate) fn skips_sequence() -> bool {
    SEQUENCE.get()
}

pub(crate) fn skips_manifest_digest() -> bool {
    MANIFEST_DIGEST.get()
}
