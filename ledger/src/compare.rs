//! Two copies of one ledger: the same, one behind the other, or both gone on.

use serde::Serialize;

use crate::chain::Ledger;

/// How the second of two ledgers relates to the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// They have the same entries.
    Same,
    /// The second lacks the last entries of the first.
    Behind,
    /// The second has more entries.
    Ahead,
    /// Both went on after a common entry: one of them has to be joined to the other.
    Forked,
    /// They are ledgers of two keys.
    OtherKey,
}

/// The result of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// How the second relates to the first.
    pub relation: Relation,
    /// Number of the last entry that both have.
    pub common: u64,
    /// Entries that have a record on one side only: it was lost, or has not been signed there.
    pub unsigned_on_one_side: Option<u64>,
}

/// Compares two ledgers.
#[must_use]
pub fn compare(first: &Ledger, second: &Ledger) -> Comparison {
    let pairs = || first.entries().iter().zip(second.entries());
    let common = pairs().take_while(|(one, other)| one.digest == other.digest).count();
    let lens = (first.entries().len(), second.entries().len());
    let relation = if first.key() != second.key() {
        Relation::OtherKey
    } else if common == lens.0 && common == lens.1 {
        Relation::Same
    } else if common == lens.0 || has_joined(second, first, common) {
        Relation::Ahead
    } else if common == lens.1 || has_joined(first, second, common) {
        Relation::Behind
    } else {
        Relation::Forked
    };
    let differs = pairs().take(common).find(|(one, other)| one.record.is_some() != other.record.is_some());
    Comparison {
        relation,
        common: common as u64,
        unsigned_on_one_side: differs.map(|(one, _)| one.entry.number),
    }
}

/// Whether the entries that `other` added by itself were joined to `ledger`.
fn has_joined(ledger: &Ledger, other: &Ledger, common: usize) -> bool {
    let added = other.entries().get(common..).unwrap_or_default();
    ledger.joined().iter().any(|(_, joined)| {
        joined.iter().map(|stored| stored.digest).eq(added.iter().map(|stored| stored.digest))
    })
}
