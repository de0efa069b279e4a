//! Limits on the size of files (`ulimit -f`).

use nix::sys::signal::{SigSet, Signal};

/// A write beyond the limit is an error of that write from here on (EFBIG), for this thread and those that it starts: by
/// default SIGXFSZ ends the program without a word, and its temporary files stay. Call it before anything else.
pub fn report_size_limit() {
    let mut held = SigSet::empty();
    held.add(Signal::SIGXFSZ);
    // A system that holds no signal back does as it always did.
    let _fatal = held.thread_block();
}
