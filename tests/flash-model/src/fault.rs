//! Faults that a test plans for one operation, or for one word or sector from then on.

/// The effect of the interrupted operation on its word (program) or sector (erase). A word that was not wholly written
/// counts as programmed: if it is programmed again without an erase, it faults on every read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    Nothing,
    /// All of it; only its caller does not learn so.
    All,
    /// It reads as erased, and yet is not.
    Weak,
    /// Some of the bits that were to change, chosen by the seed.
    Torn(u64),
    /// It faults on every read.
    Unreadable,
    /// All of it until power is lost once more, then some bits.
    Fades(u64),
    /// Some bits until power is lost once more, then all of it.
    Settles(u64),
}

/// A planned fault of one operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Power is lost.
    Cut(Cut),
    /// The driver reports a failure, and this is the effect. A fault that lasts: the word takes no program any more, or
    /// the sector no erase.
    Error { effect: Cut, lasts: bool },
    /// The driver reports success, and nothing happened. A fault that lasts: nothing ever happens there again.
    Silent { lasts: bool },
}

/// The decay of a word at rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decay {
    /// One bit, chosen by the seed, reads otherwise.
    Flip(u64),
    /// It faults on every read until its sector is erased.
    Fault,
}

/// An operation, for whoever traces it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation {
    pub number: u64,
    /// Of the word or the sector.
    pub offset: usize,
    pub is_erase: bool,
    /// The fault that was planned for it.
    pub fault: Option<Fault>,
    /// Whether its caller was told that it is done.
    pub is_done: bool,
}
