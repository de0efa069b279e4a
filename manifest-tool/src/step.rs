//! Numbers that only rise must not run out: a large step needs `--allow-large-step`.

use crate::error::Error;

/// Largest step of a sequence number, list-sequence, minimum, floor or ceiling.
pub const MAX_STEP: u64 = 1 << 20;
/// Largest step of a generation; there are only 65,536 of them.
pub const MAX_GENERATION_STEP: u64 = 256;

/// Permission for large steps.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct StepArguments {
    /// Accept a number that rises by more than 1048576, or a generation that rises by more than 256
    #[arg(long)]
    allow_large_step: bool,
}

impl StepArguments {
    /// For a command whose option has an effect beside another one only.
    pub fn of(allow_large_step: bool) -> Self {
        Self { allow_large_step }
    }

    /// Refuses to raise `what` from one number to another by more than [`MAX_STEP`].
    pub fn check(self, what: &'static str, from: u64, to: u64) -> Result<(), Error> {
        self.check_limit(what, from, to, MAX_STEP)
    }

    /// Refuses to raise a generation by more than [`MAX_GENERATION_STEP`].
    pub fn check_generation(self, what: &'static str, from: u64, to: u64) -> Result<(), Error> {
        self.check_limit(what, from, to, MAX_GENERATION_STEP)
    }

    fn check_limit(self, what: &'static str, from: u64, to: u64, limit: u64) -> Result<(), Error> {
        if self.allow_large_step || to.saturating_sub(from) <= limit {
            return Ok(());
        }
        Err(Error::Step { what, from, to, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_GENERATION_STEP, MAX_STEP, StepArguments};

    #[test]
    fn a_step_has_a_bound() {
        let strict = StepArguments { allow_large_step: false };
        assert!(strict.check("n", 5, 5 + MAX_STEP).is_ok());
        assert!(strict.check("n", 5, 6 + MAX_STEP).is_err());
        assert!(strict.check("n", 0, u64::MAX).is_err());
        assert!(strict.check("n", u64::MAX, 1).is_ok(), "falling numbers are not judged here");
        assert!(strict.check_generation("g", 1, 1 + MAX_GENERATION_STEP).is_ok());
        assert!(strict.check_generation("g", 1, 2 + MAX_GENERATION_STEP).is_err());
        assert!(StepArguments { allow_large_step: true }.check("n", 0, u64::MAX).is_ok());
    }
}
