//! Numbers that only rise must not run out: a step that uses up most of one is refused without `--force`.

use crate::error::Error;

/// Largest step of a number that needs no `--force`.
pub const MAX_STEP: u64 = 1 << 20;

/// Refuses to raise `what` from one number to another by more than [`MAX_STEP`].
pub fn check(what: &'static str, from: u64, to: u64, force: bool) -> Result<(), Error> {
    if force || to.saturating_sub(from) <= MAX_STEP { Ok(()) } else { Err(Error::Step { what, from, to }) }
}

#[cfg(test)]
mod tests {
    use super::{MAX_STEP, check};

    #[test]
    fn a_step_has_a_bound() {
        assert!(check("n", 5, 5 + MAX_STEP, false).is_ok());
        assert!(check("n", 5, 6 + MAX_STEP, false).is_err());
        assert!(check("n", 0, u64::MAX, false).is_err());
        assert!(check("n", 0, u64::MAX, true).is_ok());
        assert!(check("n", u64::MAX, 1, false).is_ok(), "whether it may fall is not judged here");
    }
}
