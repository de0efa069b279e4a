//! One name, one key, for good: a person certifies, revokes and confirms by name.

use std::collections::BTreeSet;

use trust::read_unverified_succession;

use crate::MAX_NAME_LEN;
use crate::chain::{Ledger, is_text};
use crate::entry::{Event, Import};
use crate::error::Error;
use crate::values::Hex;

/// A name as people take it: two that differ in case or in blanks alone are one.
fn plain(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Fails unless a name looks like what it is, and none of `names` is the same one, or one that people take for it, of another
/// key. A key that is among `names` under this very name keeps it, whatever others are called.
///
/// # Errors
/// [`Error::Text`], [`Error::NameTaken`]
pub fn check_name<'n>(
    names: impl IntoIterator<Item = (&'n str, Hex<8>)>,
    name: &str,
    kid: Hex<8>,
) -> Result<(), Error> {
    let wanted = plain(name);
    let mut taken = None;
    for (known, of) in names {
        if of == kid {
            if known == name {
                return Ok(());
            }
        } else if taken.is_none() && (known == name || plain(known) == wanted) {
            taken = Some((known, of));
        }
    }
    if !is_text(name, MAX_NAME_LEN) {
        return Err(Error::text());
    }
    match taken {
        Some((held, kid)) => Err(Error::NameTaken { name: name.to_owned(), held: held.to_owned(), kid }),
        None => Ok(()),
    }
}

impl Ledger {
    /// The names that keys have or had, with the kid of each: this key, those that it certified, and the roots that it or the
    /// recovery root named, be it only in an entry that was begun; and those of the roots before.
    #[must_use]
    pub fn names(&self) -> Vec<(&str, Hex<8>)> {
        self.line().flat_map(Self::own_names).collect()
    }

    fn own_names(&self) -> Vec<(&str, Hex<8>)> {
        let given_up: BTreeSet<u64> = self
            .entries()
            .iter()
            .filter_map(|stored| match &stored.entry.event {
                Event::Void(void) => Some(void.entry),
                _ => None,
            })
            .collect();
        let own = self.entries().iter().filter(|stored| !given_up.contains(&stored.entry.number));
        let joined = self.joined().iter().flat_map(|(_, entries)| entries);
        own.chain(joined).filter_map(|stored| name_of(&stored.entry.event)).collect()
    }
}

/// The key that an event gives a name.
pub(crate) fn name_of(event: &Event) -> Option<(&str, Hex<8>)> {
    match event {
        Event::Open(open) => Some((&open.name, open.kid)),
        Event::Credential(entry) => Some((&entry.facts.name, entry.facts.kid)),
        Event::Succession(entry) => Some((&entry.facts.name, entry.facts.kid)),
        Event::Import(Import::Succession { record, .. }) => {
            let claims = read_unverified_succession(&record.0).ok()?;
            Some((claims.iss(), Hex(claims.key().kid().0)))
        }
        _ => None,
    }
}
