//! T14: one skipped instruction must not boot. What was compared is compared a second time, without a branch: the
//! differences are folded into a number, and only the right number is a yes. A result that stayed zero, all ones,
//! or that an earlier branch let through wrongly, is a no.

use core::hint::black_box;

/// Two words that no single fault makes right.
#[derive(Debug)]
pub(crate) struct Evidence {
    first: u32,
    second: u32,
}

const FIRST: u32 = 0x3CA5_965A;
const SECOND: u32 = 0xC35A_69A6;

/// Pairs that are compared.
#[cfg(feature = "loader")]
pub(crate) const PAIRS: u32 = 7;

impl Evidence {
    /// Folds the pairs that must be equal into two words.
    #[cfg(feature = "loader")]
    pub(crate) fn collect(pairs: &[(&[u8; 32], &[u8; 32])]) -> Self {
        Self { first: fold(FIRST, pairs), second: fold(SECOND, pairs) }
    }

    /// Asked right before what it allows.
    #[inline(never)]
    pub(crate) fn holds(&self) -> bool {
        let first = black_box(self.first) == FIRST;
        let second = black_box(self.second) == SECOND;
        // Both are computed before either counts; `&` takes no short cut.
        black_box(first) & black_box(second)
    }
}

#[cfg(feature = "loader")]
#[inline(never)]
fn fold(start: u32, pairs: &[(&[u8; 32], &[u8; 32])]) -> u32 {
    let mut difference = 0u8;
    let mut compared = 0u32;
    for (left, right) in pairs {
        for (left, right) in left.iter().zip(right.iter()) {
            difference |= black_box(left ^ right);
            compared = black_box(compared).wrapping_add(1);
        }
    }
    // All bytes of all pairs have to have been looked at.
    start ^ u32::from(difference) ^ (compared ^ const { 32 * PAIRS })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: usize = super::PAIRS as usize;

    #[test]
    fn t14_any_difference_in_any_pair_is_a_no() {
        let same = [7; 32];
        let pair = (&same, &same);
        assert!(Evidence::collect(&[pair; PAIRS]).holds());
        for byte in 0..32 {
            for bit in 0..8 {
                let mut other = same;
                other[byte] ^= 1 << bit;
                for place in 0..PAIRS {
                    for different in [(&other, &same), (&same, &other)] {
                        let mut pairs = [pair; PAIRS];
                        pairs[place] = different;
                        assert!(!Evidence::collect(&pairs).holds());
                    }
                }
            }
        }
    }

    #[test]
    fn t14_what_was_not_compared_or_not_computed_is_a_no() {
        let same = [7; 32];
        for compared in 0..PAIRS {
            assert!(
                !Evidence::collect(&[(&same, &same); PAIRS][..compared]).holds(),
                "only {compared} were compared"
            );
        }
        for word in [0, u32::MAX, FIRST, SECOND] {
            assert!(!Evidence { first: word, second: word }.holds());
        }
        assert!(!Evidence { first: FIRST, second: 0 }.holds());
        assert!(!Evidence { first: 0, second: SECOND }.holds());
    }
}
