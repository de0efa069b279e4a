//! What an interrupted run left in a ledger: entries that no head covers yet. The same command goes on with them, so that
//! nothing is certified or revoked twice. A run that ended has signed the head, after its files were written.

use ledger::{CredentialFacts, Event, Ledger, Stored};
use trust::author::Unsigned;
use trust::{Kid, Role};

use crate::error::Error;

/// An entry of an earlier run, and its record if that is signed already.
pub(crate) struct Left {
    pub(crate) entry: u64,
    pub(crate) record: Option<Vec<u8>>,
}

/// The entries of runs that did not end, without those that were given up.
fn entries(ledger: &Ledger) -> impl Iterator<Item = &Stored> {
    ledger.uncovered().iter().filter(|stored| !ledger.is_void(stored.entry.number))
}

/// Whether an entry is one of a run that did not end.
pub(crate) fn is_left(ledger: &Ledger, number: u64) -> bool {
    entries(ledger).any(|stored| stored.entry.number == number)
}

/// The same of an entry that may be one of another ledger.
pub(crate) fn is_left_entry(ledger: &Ledger, stored: &Stored) -> bool {
    entries(ledger).any(|left| left.digest == stored.digest)
}

/// The same credential as this one, but for its time and its cti. `has_end`: its end was named, and is not counted from the
/// time of issue.
pub(crate) fn credential(
    ledger: &Ledger,
    unsigned: &Unsigned,
    has_end: bool,
) -> Result<Option<(Unsigned, Left)>, Error> {
    let made = |error| Error::author("the credential", None, error);
    let Event::Credential(wanted) = Event::of_record(unsigned).map_err(made)? else { return Ok(None) };
    let is_same = |stored: &&Stored| match &stored.entry.event {
        Event::Credential(entry) => same(&entry.facts, &wanted.facts, has_end),
        _ => false,
    };
    entries(ledger).find(is_same).map(|stored| left(ledger, stored)).transpose()
}

/// A list that revokes a key.
pub(crate) fn list(ledger: &Ledger, role: Role, kid: Kid) -> Result<Option<(Unsigned, Left)>, Error> {
    let id = hex::encode(kid.0);
    let is_it = |stored: &&Stored| match &stored.entry.event {
        Event::RevocationList(entry) => {
            entry.facts.revoked.iter().any(|revoked| revoked.role == role.name() && revoked.id == id)
        }
        _ => false,
    };
    entries(ledger).find(is_it).map(|stored| left(ledger, stored)).transpose()
}

fn left(ledger: &Ledger, stored: &Stored) -> Result<(Unsigned, Left), Error> {
    let bytes = stored.entry.event.to_be_signed().ok_or(Error::Internal("an entry has no record"))?;
    let unsigned = Unsigned::from_to_be_signed(bytes, ledger.key())
        .map_err(|error| Error::author("the record", None, error))?;
    Ok((unsigned, Left { entry: stored.entry.number, record: stored.record.clone() }))
}

fn same(one: &CredentialFacts, other: &CredentialFacts, has_end: bool) -> bool {
    let validity =
        |facts: &CredentialFacts| facts.expires.map(|end| end.0.0.saturating_sub(facts.issued.0.0));
    let same_end = if has_end { one.expires == other.expires } else { validity(one) == validity(other) };
    let timeless = |facts: &CredentialFacts| CredentialFacts {
        cti: other.cti,
        issued: other.issued,
        expires: None,
        ..facts.clone()
    };
    same_end && timeless(one) == timeless(other)
}
