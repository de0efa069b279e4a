//! Times on the command line and in reports: RFC 3339 in UTC.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use trust::UnixTime;
use trust::host::{ClockFault, clock_fault};

use crate::error::Error;
use crate::output::warning;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// A time on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time(pub UnixTime);

/// Not of that form: a bare number could be seconds, milliseconds or a date.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a time is RFC 3339 in UTC, such as 2030-01-31T00:00:00Z")]
pub struct TimeError;

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = humantime::parse_rfc3339(text).map_err(|_| TimeError)?;
        let since_epoch = time.duration_since(UNIX_EPOCH).map_err(|_| TimeError)?;
        Ok(Self(UnixTime(since_epoch.as_secs())))
    }
}

/// The time that is given, else that of the system clock.
pub fn now(given: Option<Time>) -> Result<UnixTime, Error> {
    match given {
        Some(Time(time)) => Ok(time),
        None => match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since_epoch) => Ok(UnixTime(since_epoch.as_secs())),
            Err(_) => Err(Error::Clock(ClockFault::BeforeProgram)),
        },
    }
}

/// `--now` of what issues records.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct IssueTime {
    /// Time of issue, not before that of an earlier record [default: that of this machine's clock]
    #[arg(long, value_name = "TIME")]
    now: Option<Time>,
}

impl IssueTime {
    pub fn is_given(self) -> bool {
        self.now.is_some()
    }

    /// Warns once of a time that is given and not that of the clock: a slip of a year, if it is the clock that is right.
    pub fn warn(self) {
        if let (Some(Time(given)), Ok(clock)) = (self.now, now(None))
            && clock.0.abs_diff(given.0) > SECONDS_A_DAY
        {
            warning(&format!("the clock of this machine reads {}, --now {}", display(clock), display(given)));
        }
    }

    /// The time that is given, else that of the system clock, which must be able to be right. `earlier`: when the records
    /// that the new one replaces or stands beside were issued; what looks older than they are never counts.
    pub fn after(self, earlier: impl IntoIterator<Item = UnixTime>) -> Result<UnixTime, Error> {
        let earlier = earlier.into_iter().max();
        match self.now {
            Some(Time(given)) => {
                if let Some(earlier) = earlier.filter(|earlier| given < *earlier) {
                    return Err(Error::usage(format!(
                        "--now {} is before {}, when an earlier record was issued",
                        display(given),
                        display(earlier)
                    )));
                }
                Ok(given)
            }
            None => {
                let now = now(None)?;
                clock_fault(now, earlier, None).map_or(Ok(now), |fault| Err(Error::Clock(fault)))
            }
        }
    }
}

/// RFC 3339 where it can be, else the seconds; as ledgers have it.
pub fn display(time: UnixTime) -> String {
    ledger::Time(time).to_string()
}

#[cfg(test)]
mod tests {
    use trust::UnixTime;

    use super::{Time, display};

    #[test]
    fn one_form_of_time() {
        assert_eq!("2023-11-14T22:13:20Z".parse(), Ok(Time(UnixTime(1_700_000_000))));
        for bad in [
            "",
            "-1",
            "20270101",
            "1700000000",
            "2023-11-14 22:13:20Z",
            "2023-11-14T22:13:20",
            "tomorrow",
            "2023-11-14",
            "1969-12-31T23:59:59Z",
            "2023-11-14T22:13:20+01:00",
        ] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_time_can_be_shown() {
        assert_eq!(display(UnixTime(1_700_000_000)), "2023-11-14T22:13:20Z");
        assert_eq!(display(UnixTime(253_402_300_799)), "9999-12-31T23:59:59Z");
        assert_eq!(display(UnixTime(253_402_300_800)), "253402300800 s after 1970");
        assert_eq!(display(UnixTime(u64::MAX)), format!("{} s after 1970", u64::MAX));
    }
}
