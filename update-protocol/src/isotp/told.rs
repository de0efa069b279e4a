//! What a link tells a tester: a device, which asks for none of it, does not keep it.

/// The last outcome, until somebody takes it. Without the feature `tester` nothing is kept.
#[derive(Debug)]
pub(super) struct Told<T> {
    #[cfg(feature = "tester")]
    last: Option<T>,
    of: core::marker::PhantomData<T>,
}

impl<T> Told<T> {
    pub(super) const NOTHING: Self = Self {
        #[cfg(feature = "tester")]
        last: None,
        of: core::marker::PhantomData,
    };

    /// Keeps it in place of an earlier one.
    #[cfg_attr(not(feature = "tester"), expect(clippy::unused_self, reason = "nothing is kept"))]
    pub(super) fn tell(&mut self, outcome: T) {
        #[cfg(feature = "tester")]
        {
            self.last = Some(outcome);
        }
        #[cfg(not(feature = "tester"))]
        drop(outcome);
    }
}

#[cfg(feature = "tester")]
impl<T: Copy + PartialEq> Told<T> {
    /// It, once.
    pub(super) const fn take(&mut self) -> Option<T> {
        self.last.take()
    }

    pub(super) fn is(&self, outcome: T) -> bool {
        self.last == Some(outcome)
    }
}
