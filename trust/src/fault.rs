//! For tests: an instruction that a glitch skips (docs/attacks.md, T14). No product enables the feature.

use std::cell::Cell;

thread_local! {
    static SIGNATURES: Cell<bool> = const { Cell::new(false) };
}

/// From now on, whether this thread skips the branch that refuses a signature.
pub fn skip_signatures(skips: bool) {
    SIGNATURES.set(skips);
}

pub(crate) fn skips_signatures() -> bool {
    SIGNATURES.get()
}
