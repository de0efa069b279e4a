//! The life cycle of a device's identity, in the states of NIST SP 800-57 part 1 revision 5 section 7, and the transitions
//! that it allows there.

use std::fmt;
use std::str::FromStr;

use super::Malformed;

/// A state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifeState {
    /// It was made, and is not in use yet.
    PreActivation,
    /// It is in use.
    Active,
    /// It is not used for a while.
    Suspended,
    /// It is not used any more.
    Deactivated,
    /// Somebody else may have its key.
    Compromised,
    /// Its key is gone.
    Destroyed,
}

impl LifeState {
    /// All states, in the order of a life.
    pub const ALL: [Self; 6] = [
        Self::PreActivation,
        Self::Active,
        Self::Suspended,
        Self::Deactivated,
        Self::Compromised,
        Self::Destroyed,
    ];

    /// The state as the interface writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreActivation => "pre-activation",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deactivated => "deactivated",
            Self::Compromised => "compromised",
            Self::Destroyed => "destroyed",
        }
    }

    /// The states that may follow it (SP 800-57 part 1, figure 5). Nothing follows the end of a key.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::PreActivation => &[Self::Active, Self::Suspended, Self::Compromised, Self::Destroyed],
            Self::Active => &[Self::Suspended, Self::Deactivated, Self::Compromised, Self::Destroyed],
            Self::Suspended => &[Self::Active, Self::Deactivated, Self::Compromised, Self::Destroyed],
            Self::Deactivated => &[Self::Compromised, Self::Destroyed],
            Self::Compromised => &[Self::Destroyed],
            Self::Destroyed => &[],
        }
    }
}

impl fmt::Display for LifeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LifeState {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(Malformed {
            expected: "a state is pre-activation, active, suspended, deactivated, compromised or destroyed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_state_comes_back_but_from_suspension() {
        for state in LifeState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert!(!state.next().contains(&state), "{state}");
            assert!(!state.next().contains(&LifeState::PreActivation), "{state}");
            for next in state.next() {
                let back = next.next().contains(&state);
                let pair = [state, *next];
                let suspension = pair == [LifeState::Active, LifeState::Suspended]
                    || pair == [LifeState::Suspended, LifeState::Active];
                assert_eq!(back, suspension, "{state} and {next}");
            }
        }
        assert!(
            LifeState::Compromised.next() == [LifeState::Destroyed] && LifeState::Destroyed.next().is_empty()
        );
    }
}
