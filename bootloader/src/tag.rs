//! The tag that distinguishes devices in factory state, which all have one address and one serial: a tester asks for
//! it (docs/can-protocol.md, Factory tag). Simultaneous answers of several devices would destroy each other on the
//! bus, so each device waits for a time that it derives from its tag, a new one for each question.

use update_protocol::profile::FACTORY_TAG_DELAY_MS;

const DELAY_US: u64 = FACTORY_TAG_DELAY_MS as u64 * 1000;
/// 2^64 divided by the golden ratio: multiplied by it, numbers that differ little differ in their high bits.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// The tag, and how often it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FactoryTag {
    tag: u64,
    asked: u32,
}

impl FactoryTag {
    pub(crate) const fn new(tag: u64) -> Self {
        Self { tag, asked: 0 }
    }

    /// As it is answered.
    pub(crate) const fn bytes(&self) -> [u8; 8] {
        self.tag.to_be_bytes()
    }

    /// Delay of the answer to the next question, µs.
    pub(crate) fn next_delay_us(&mut self) -> u32 {
        self.asked = self.asked.wrapping_add(1);
        let mixed = (self.tag ^ self.tag >> 32).wrapping_add(self.asked.into()).wrapping_mul(SPREAD);
        let delay_us = (mixed >> 32).wrapping_mul(DELAY_US) >> 32;
        u32::try_from(delay_us).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_of_tags_that_are_close_to_each_other_differ_and_stay_within_the_limit() {
        for tag in [0, 1, 2, 1 << 32, 2 << 32, u64::MAX - 1, 0x0011_2233_4455_6677] {
            let (mut one, mut next) = (FactoryTag::new(tag), FactoryTag::new(tag + 1));
            let mut closest = 0;
            for _ in 0..100 {
                let (one, next) = (one.next_delay_us(), next.next_delay_us());
                assert!(u64::from(one.max(next)) < DELAY_US);
                // A frame of 250 kbit/s takes half a millisecond.
                closest += u32::from(one.abs_diff(next) < 1000);
            }
            assert!(closest < 20, "{tag:#x}: {closest} of 100 answers at the same time");
        }
    }
}
