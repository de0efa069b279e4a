//! Installs that nobody confirmed, and the delay before the next one (docs/boot-rules.md, Install). A release is public:
//! anybody on the bus can install it again and again and wear the flash out. So after [`FREE_ATTEMPTS`] installs without
//! a confirmation each further one waits, but never for good, and a release that was not tried yet does not wait.
//! Pure: what was tried comes from the journal, the time from the board.

/// Installs that may begin without a confirmation before the next one waits.
pub const FREE_ATTEMPTS: u8 = 8;
/// The first delay, in seconds of powered time; each further one is twice as long.
pub const FIRST_DELAY_S: u32 = 60;
/// The longest delay, seconds.
pub const LONGEST_DELAY_S: u32 = 3600;

/// Bits for the digests that were tried.
const BITS: u8 = 56;

/// The installs that began since the last confirmation: how many, and a set of their manifest digests. One bit stands
/// for several digests: a release that was never tried may be taken for one that was, and then it waits. As in a
/// journal record; every value is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempts(pub(crate) [u8; 8]);

impl Attempts {
    /// None.
    pub const NONE: Self = Self([0; _]);

    /// How many.
    #[must_use]
    pub const fn count(&self) -> u8 {
        let Self([count, ..]) = *self;
        count
    }

    /// One more, of the release with this manifest digest.
    pub(crate) fn add(&mut self, digest: &[u8; 32]) {
        let (index, bit) = place(digest);
        let Self([count, tried @ ..]) = self;
        *count = count.saturating_add(1);
        if let Some(byte) = tried.get_mut(index) {
            *byte |= bit;
        }
    }

    #[cfg(feature = "loader")]
    fn has(&self, digest: &[u8; 32]) -> bool {
        let (index, bit) = place(digest);
        let Self([_, tried @ ..]) = self;
        tried.get(index).is_none_or(|byte| byte & bit != 0)
    }
}

/// Byte and bit of a digest in the set.
fn place(digest: &[u8; 32]) -> (usize, u8) {
    let [first, ..] = digest;
    let position = first.checked_rem(BITS).unwrap_or(0);
    (usize::from(position / 8), 1u8.wrapping_shl(u32::from(position % 8)))
}

/// The time since slot B was last erased for an install, while the loader runs.
#[cfg(feature = "loader")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pace {
    /// Seconds since the loader's first look at the clock.
    now_s: u32,
    /// The same when it was erased; 0 before.
    erased_s: u32,
    /// The image byte from which on it was.
    from: Option<u32>,
    /// How often that was the same byte as before. The journal does not know of these.
    again: u8,
    /// How often an install was to begin and did not: the journal knows nothing of its release.
    failed: u8,
}

#[cfg(feature = "loader")]
impl Pace {
    /// A loader that has just started.
    pub(crate) const START: Self = Self { now_s: 0, erased_s: 0, from: None, again: 0, failed: 0 };

    /// It is so late now, microseconds.
    pub(crate) fn set_now_us(&mut self, now_us: u64) {
        self.now_s = seconds(now_us);
    }

    /// Seconds for which an image stream from this byte on has to wait. `has_progress`: the install came further by an
    /// eighth of its image since it was begun or resumed before this loader started.
    pub(crate) fn delay_s(
        &self,
        attempts: &Attempts,
        digest: &[u8; 32],
        offset: u32,
        has_progress: bool,
    ) -> u32 {
        let goes_on = self.from.map_or(has_progress, |from| offset > from);
        let sum = attempts.count().saturating_add(self.again).saturating_add(self.failed);
        let is_tried = attempts.has(digest) || self.failed >= FREE_ATTEMPTS;
        match sum.checked_sub(FREE_ATTEMPTS) {
            Some(over) if is_tried && !goes_on => {
                let delay_s = FIRST_DELAY_S.checked_shl(over.min(6).into()).unwrap_or(u32::MAX);
                let waited_s = self.now_s.saturating_sub(self.erased_s);
                delay_s.min(LONGEST_DELAY_S).saturating_sub(waited_s)
            }
            _ => 0,
        }
    }

    /// Slot B was erased for an image stream from this byte on, of an install that began now or went on; `has_failed`: it
    /// did not begin.
    pub(crate) fn erase(&mut self, offset: u32, is_new: bool, has_failed: bool) {
        if has_failed {
            self.failed = self.failed.saturating_add(1);
        } else if self.from == Some(offset) && !is_new {
            self.again = self.again.saturating_add(1);
        }
        (self.from, self.erased_s) = (Some(offset), self.now_s);
    }
}

/// Whole seconds in so many microseconds; of more than 32 bits the low ones. Long division by 16 bits at a time: the
/// compiler's own by a number of 64 bits costs a loader 0.9 KB, and nothing else divides such a number.
#[cfg(feature = "loader")]
#[inline(never)]
fn seconds(us: u64) -> u32 {
    // A second has 64 times 15,625 microseconds.
    let (mut seconds, mut rest) = (0u32, 0u32);
    for shift in [54, 38, 22, 6] {
        let [low, high, ..] = (us >> shift).to_le_bytes();
        rest = (rest << 16) | u32::from(u16::from_le_bytes([low, high]));
        seconds = (seconds << 16) | (rest / 15_625);
        rest %= 15_625;
    }
    seconds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn seconds_are_microseconds_divided_by_a_million(us: u64, short in 0..100_000_000_u64) {
            for us in [us, short, short * 1_000_000, (short * 1_000_000).saturating_sub(1)] {
                prop_assert_eq!(u64::from(seconds(us)), (us / 1_000_000) & 0xFFFF_FFFF);
            }
        }
    }

    const ONE: [u8; 32] = [1; 32];
    const OTHER: [u8; 32] = [2; 32];

    fn tried(times: u8, digest: &[u8; 32]) -> Attempts {
        let mut attempts = Attempts::NONE;
        for _ in 0..times {
            attempts.add(digest);
        }
        attempts
    }

    /// The delay of an install from the start on, right after a reset.
    fn delay_s(attempts: &Attempts, digest: &[u8; 32]) -> u32 {
        Pace::START.delay_s(attempts, digest, 0, false)
    }

    #[test]
    fn boot27_the_delay_doubles_from_a_minute_to_an_hour() {
        for times in 0..FREE_ATTEMPTS {
            assert_eq!(delay_s(&tried(times, &ONE), &ONE), 0, "{times}");
        }
        let delays: Vec<u32> = (8..=16).map(|times| delay_s(&tried(times, &ONE), &ONE)).collect();
        assert_eq!(delays, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        // It never becomes a refusal for good, however often somebody tries.
        let pace = Pace { again: 255, ..Pace::START };
        assert_eq!(pace.delay_s(&tried(255, &ONE), &ONE, 0, false), LONGEST_DELAY_S);
        assert_eq!((tried(255, &ONE).count(), tried(0, &ONE).count()), (255, 0));
    }

    #[test]
    fn boot27_a_release_that_was_not_tried_goes_first() {
        let mut attempts = tried(20, &ONE);
        assert_eq!((delay_s(&attempts, &OTHER), delay_s(&attempts, &ONE)), (0, 3600));
        attempts.add(&OTHER);
        assert_eq!(delay_s(&attempts, &OTHER), 3600, "once");
        // 57 and 1 share a bit.
        assert_eq!(delay_s(&tried(20, &ONE), &[57; 32]), 3600);
    }

    #[test]
    fn boot27_the_delay_counts_from_the_last_erase_or_the_start() {
        let attempts = tried(9, &ONE);
        let mut pace = Pace::START;
        for (now_s, left_s) in [(0, 120), (1, 119), (119, 1), (120, 0), (500, 0)] {
            pace.set_now_us(now_s * 1_000_000);
            assert_eq!(pace.delay_s(&attempts, &ONE, 0, false), left_s, "after {now_s} s");
        }
        pace.erase(0, true, false);
        assert_eq!(pace.delay_s(&tried(10, &ONE), &ONE, 0, false), 240);
        pace.set_now_us(501 * 1_000_000);
        assert_eq!(pace.delay_s(&tried(10, &ONE), &ONE, 0, false), 239);
        // A clock that goes back gives nothing.
        pace.set_now_us(0);
        assert_eq!(pace.delay_s(&tried(10, &ONE), &ONE, 0, false), 240);
    }

    #[test]
    fn boot27_what_goes_on_does_not_wait_and_what_does_not_counts() {
        let attempts = tried(20, &ONE);
        assert_eq!(Pace::START.delay_s(&attempts, &ONE, 8192, true), 0);
        assert_eq!(Pace::START.delay_s(&attempts, &ONE, 8192, false), 3600);
        let mut pace = Pace::START;
        pace.erase(8192, false, false);
        // What the journal knows of earlier progress is used up.
        assert_eq!(pace.delay_s(&attempts, &ONE, 8192, true), 3600);
        assert_eq!(pace.delay_s(&attempts, &ONE, 12288, false), 0);
        let few = tried(1, &ONE);
        for _ in 0..7 {
            assert_eq!(pace.delay_s(&few, &ONE, 8192, false), 0);
            pace.erase(8192, false, false);
        }
        assert_eq!(pace.delay_s(&few, &ONE, 8192, false), 60);
    }

    #[test]
    fn every_digest_has_a_bit_and_all_bits_are_used() {
        let mut attempts = Attempts::NONE;
        for first in 0..=255 {
            let digest = [first; 32];
            attempts.add(&digest);
            assert!(attempts.has(&digest), "{first}");
        }
        assert_eq!(attempts.0, [0xFF; 8]);
    }

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let mut attempts = tried(3, &[9; 32]);
        attempts.add(&[55; 32]);
        assert_eq!(attempts.0, [4, 0, 2, 0, 0, 0, 0, 0x80]);
    }
}
