//! For tests: an instruction that a glitch skips (docs/attacks.md, T14). No product enables the feature.

use std::cell::Cell;

pub use trust::fault::skip_signatures;

thread_local! {
    static MANIFEST_DIGEST: Cell<bool> = const { Cell::new(false) };
}

/// From now on, whether this thread skips the branch that refuses a manifest for its digest.
pub fn skip_manifest_digest(skips: bool) {
    MANIFEST_DIGEST.set(skips);
}

pub(crate) fn skips_manifest_digest() -> bool {
    MANIFEST_DIGEST.get()
}
