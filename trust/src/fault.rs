//! For tests: an instruction that a glitch skips (docs/attacks.md, T14). No product enables the feature.

use std::cell::Cell;

thread_local! {
    static SIGNATURES: Cell<bool> = const { Cell::new(false) };
    static LISTS: Cell<bool> = const { Cell::new(false) };
    static LIST_NUMBER: Cell<bool> = const { Cell::new(false) };
}

/// From now on, whether this thread skips the branch that refuses a signature.
pub fn skip_signatures(skips: bool) {
    SIGNATURES.set(skips);
}

/// From now on, whether this thread skips the branches that refuse what a revocation list takes back.
pub fn skip_lists(skips: bool) {
    LISTS.set(skips);
}

/// From now on, whether this thread skips the branch that refuses a stored list of another number than the journal's.
pub fn skip_list_number(skips: bool) {
    LIST_NUMBER.set(skips);
}

/// Whether this thread does.
#[must_use]
pub fn skips_list_number() -> bool {
    LIST_NUMBER.get()
}

/// Whether this thread skips what a list takes back.
#[must_use]
pub fn skips_lists() -> bool {
    LISTS.get()
}

pub(crate) fn skips_signatures() -> bool {
    SIGNATURES.get()
}
