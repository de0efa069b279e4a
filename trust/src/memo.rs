//! For tests that boot a device a million times: what the curve answered to the very same numbers. These functions depend
//! on nothing else, so a test sees what it would see without; a device spends two thirds of its test's time in them. No
//! product enables the feature.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::thread::LocalKey;

/// Answers that a thread keeps; then it begins anew.
const KEPT: usize = 1 << 12;

pub(crate) type Answers<I, O> = RefCell<HashMap<I, O>>;

/// What `compute` answers to `input`; once for each.
pub(crate) fn once<I: Eq + Hash, O: Copy>(
    answers: &'static LocalKey<Answers<I, O>>,
    input: I,
    compute: impl FnOnce() -> O,
) -> O {
    if let Some(known) = answers.with_borrow(|answers| answers.get(&input).copied()) {
        return known;
    }
    let answer = compute();
    answers.with_borrow_mut(|answers| {
        if answers.len() >= KEPT {
            answers.clear();
        }
        answers.insert(input, answer);
    });
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static SQUARES: Answers<usize, usize> = RefCell::default();
    }

    #[test]
    fn each_input_is_computed_once_and_no_more_are_kept_than_that() {
        let mut computed = 0;
        let mut square = |number| {
            once(&SQUARES, number, || {
                computed += 1;
                number * number
            })
        };
        assert_eq!([square(7), square(8), square(7)], [49, 64, 49]);
        for number in 0..3 * KEPT {
            assert_eq!(square(number), number * number);
        }
        assert_eq!(computed, 3 * KEPT);
        assert!(SQUARES.with_borrow(HashMap::len) <= KEPT);
    }
}
