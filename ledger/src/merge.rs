//! Joining a copy of a ledger that went on by itself.

use std::fs;
use std::path::Path;

use crate::chain::{Ledger, Stored};
use crate::compare::{Relation, compare};
use crate::devices;
use crate::disk;
use crate::entry::{Event, Merge};
use crate::error::Error;
use crate::fit::unfit;
use crate::joined::read_copy;
use crate::values::Hex;
use crate::writer::{Context, Writer, check_nothing_begun, encode};

impl Writer {
    /// Joins another copy that went on by itself: its entries are kept beside the entry that says so. The number of that
    /// entry.
    ///
    /// # Errors
    /// [`Error::NotForked`]; [`Error::SignedOnce`]; [`Error::Begun`] while either copy waits for a signature; those of
    /// [`Writer::append`]
    pub fn merge(&mut self, other: &Ledger, reason: String, context: &Context) -> Result<u64, Error> {
        let common = check_forked(&self.ledger, other)?;
        self.check_nothing_begun()?;
        check_nothing_begun(other)?;
        let place = usize::try_from(common).unwrap_or(usize::MAX);
        let entries = other.entries().get(place..).unwrap_or_default();
        let other = entries.iter().map(|stored| Hex(stored.digest)).collect();
        let merge = Merge { common, other, reason };
        let next = self.next(Event::Merge(merge.clone()), context)?;
        let number = next.0.entry.number;
        devices::check_len(self.ledger.folder(), batches_len(entries)?)?;
        let folder = disk::joined_path(self.ledger.folder(), number);
        // What a cut left there is of no entry.
        disk::remove(&folder)?;
        let path = disk::entry_path(self.ledger.folder(), number, next.0.entry.event.kind());
        let joined = write_copy(&folder, entries)
            .and_then(|()| self.read_copy((number, &merge)).map_err(unfit))
            .and_then(|joined| self.add(next).map(|_| joined));
        match joined {
            Ok(joined) => {
                self.ledger.push_joined(number, joined);
                Ok(number)
            }
            Err(error) => {
                // It is of no entry, and would be taken for that of a later one: unless the entry is there, and but its folder
                // was not flushed.
                if path.symlink_metadata().is_err() {
                    disk::remove(&folder)?;
                }
                Err(error)
            }
        }
    }

    /// As it will be read.
    fn read_copy(&self, merge: (u64, &Merge)) -> Result<Vec<Stored>, Error> {
        read_copy(self.ledger.folder(), self.ledger.entries(), merge, &self.ledger.roots())
    }
}

/// The number of the last entry that both have, if the other one went on by itself after it.
fn check_forked(ledger: &Ledger, other: &Ledger) -> Result<u64, Error> {
    let not = |reason| {
        let (other, path) = (other.folder().to_owned(), ledger.folder().to_owned());
        Err(Error::NotForked { other, path, reason })
    };
    let comparison = compare(ledger, other);
    match comparison.relation {
        Relation::Forked => {}
        Relation::OtherKey => return not("it is the ledger of another key"),
        Relation::Same | Relation::Behind => return not("it has no entry that is not here"),
        Relation::Ahead => return not("it has all entries of this copy and more"),
    }
    if comparison.common == 0 {
        return not("they have no entry in common");
    }
    if !other.joined().is_empty() {
        return not("it has joined a copy itself; join this copy to that one");
    }
    // Only what follows is joined: the record would be lost.
    if let Some(entry) = comparison.unsigned_on_one_side {
        let has = ledger.entry(entry).is_some_and(|stored| stored.record.is_some());
        let (signed, unsigned) = if has { (ledger, other) } else { (other, ledger) };
        let (signed, unsigned) = (signed.folder().to_owned(), unsigned.folder().to_owned());
        return Err(Error::SignedOnce { entry, signed, unsigned });
    }
    Ok(comparison.common)
}

fn write_copy(folder: &Path, entries: &[Stored]) -> Result<(), Error> {
    fs::create_dir(folder).map_err(|source| Error::write(folder, source))?;
    for stored in entries {
        let (number, kind) = (stored.entry.number, stored.entry.event.kind());
        disk::write_new(&disk::entry_path(folder, number, kind), &encode(&stored.entry)?)?;
        if matches!(stored.entry.event, Event::Devices(_)) {
            let lines = devices::encode(&stored.devices).ok_or(trust::author::AuthorError::Encoding)?;
            disk::write_new(&disk::lines_path(folder, number, kind), &lines)?;
        }
        if let Some(record) = &stored.record {
            disk::write_new(&disk::record_path(folder, number, kind), record)?;
        }
    }
    Ok(())
}

/// How long the files of batches are.
fn batches_len(entries: &[Stored]) -> Result<u64, Error> {
    let mut len: u64 = 0;
    for stored in entries.iter().filter(|stored| matches!(stored.entry.event, Event::Devices(_))) {
        let lines = devices::encode(&stored.devices).ok_or(trust::author::AuthorError::Encoding)?;
        let record = stored.record.as_ref().map_or(0, Vec::len);
        len = len.saturating_add(lines.len().saturating_add(record) as u64);
    }
    Ok(len)
}
