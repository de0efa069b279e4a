//! A clock that cannot be right. One that is behind finds no credential expired; a credential that was issued by a clock
//! that is ahead looks newer than each later one.

use crate::{CredentialClaims, UnixTime};

/// Nothing that the pinned compiler built runs before that compiler was made: 2026-04-14, midnight UTC. A test holds it
/// against the compiler.
const BUILT_AFTER: UnixTime = UnixTime(1_776_124_800);
/// Nobody runs this program 30 years after its compiler was made, seconds.
const LONGEST_USE: u64 = 30 * 365 * 24 * 60 * 60;

/// Why a clock cannot be right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockFault {
    /// The time at which this program can have been built.
    BeforeProgram,
    /// The time at which a credential or a revocation list was issued.
    BeforeCredential,
    /// The time of a record that this program made itself.
    BeforeRecord,
    /// Far after the time at which this program was built.
    FarAhead,
}

impl ClockFault {
    /// One sentence without a full stop, with an instruction.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::BeforeProgram => {
                "the clock is before the time at which this program was built; set the clock, because an expired \
                 credential would pass"
            }
            Self::BeforeCredential => {
                "the clock is before the time at which a genuine credential or list was issued; set the clock, because an \
                 expired credential would pass"
            }
            Self::BeforeRecord => {
                "the clock is before the time of the newest record that was made here; set the clock, because an expired \
                 credential would pass"
            }
            Self::FarAhead => {
                "the clock is more than 30 years after the time at which this program was built; set the clock, because a \
                 valid credential would count as expired"
            }
        }
    }
}

/// The fault of a clock that reads `now`.
///
/// `issued_at`: when the newest credential or list that is known to be genuine was issued. `recorded_at`: the newest
/// time that this program recorded by its own clock.
#[must_use]
pub fn clock_fault(
    now: UnixTime,
    issued_at: Option<UnixTime>,
    recorded_at: Option<UnixTime>,
) -> Option<ClockFault> {
    let is_before = |time: Option<UnixTime>| time.is_some_and(|time| now < time);
    if is_before(Some(BUILT_AFTER)) {
        Some(ClockFault::BeforeProgram)
    } else if is_before(issued_at) {
        Some(ClockFault::BeforeCredential)
    } else if is_before(recorded_at) {
        Some(ClockFault::BeforeRecord)
    } else if now.0.saturating_sub(BUILT_AFTER.0) > LONGEST_USE {
        Some(ClockFault::FarAhead)
    } else {
        None
    }
}

/// The warning about a time, of the clock or chosen by a user, that is before the issue of a credential.
#[must_use]
pub fn clock_warning(credential: &CredentialClaims<'_>, now: UnixTime) -> Option<&'static str> {
    (now < credential.issued_at()).then_some(ClockFault::BeforeCredential.message())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Moves with rust-toolchain.toml.
    #[test]
    fn nothing_is_built_before_its_compiler_was_made() {
        let told = Command::new("rustc").arg("-Vv").output().unwrap().stdout;
        let told = String::from_utf8(told).unwrap();
        let made = told.lines().find_map(|line| line.strip_prefix("commit-date: ")).unwrap();
        let midnight = humantime::parse_rfc3339(&format!("{made}T00:00:00Z")).unwrap();
        let seconds = midnight.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(BUILT_AFTER.0, seconds, "{made}");
    }

    #[test]
    fn a_wrong_clock_is_told_by_what_it_is_before_or_after() {
        let at = |seconds: u64| UnixTime(BUILT_AFTER.0 + seconds);
        let fault = |now, issued_at, recorded_at| clock_fault(at(now), issued_at, recorded_at);
        assert_eq!(clock_fault(UnixTime(BUILT_AFTER.0 - 1), None, None), Some(ClockFault::BeforeProgram));
        assert_eq!(clock_fault(UnixTime(0), Some(at(5)), Some(at(5))), Some(ClockFault::BeforeProgram));
        assert_eq!(fault(0, None, None), None);
        assert_eq!(fault(4, Some(at(5)), None), Some(ClockFault::BeforeCredential));
        assert_eq!(fault(4, Some(at(4)), Some(at(5))), Some(ClockFault::BeforeRecord));
        assert_eq!(fault(5, Some(at(5)), Some(at(5))), None);
        assert_eq!(fault(LONGEST_USE, Some(at(5)), None), None);
        assert_eq!(fault(LONGEST_USE + 1, Some(at(5)), None), Some(ClockFault::FarAhead));
        assert_eq!(clock_fault(UnixTime(u64::MAX), None, None), Some(ClockFault::FarAhead));
    }
}
