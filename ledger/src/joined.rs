//! Entries of other copies, which a merge joined to a ledger.

use std::path::Path;

use trust::{Anchor, PublicKey, RevocationList};

use crate::chain::{Stored, check_events, read_devices, read_entries};
use crate::disk;
use crate::entry::{Event, Merge};
use crate::error::{Error, Fault};
use crate::succession::Roots;
use crate::values::Hex;

/// The first list after a merge continues that of the other copy too.
fn check_joined_lists(
    folder: &Path,
    entries: &[Stored],
    (merge, other): (u64, &[Stored]),
    key: &PublicKey,
) -> Result<(), Error> {
    let anchors = [Anchor::root(*key)];
    let list =
        |stored: &&Stored| matches!(stored.entry.event, Event::RevocationList(_)) && stored.record.is_some();
    let newest = other.iter().rev().find(list).and_then(|stored| stored.record.as_deref());
    let first = entries.iter().filter(|stored| stored.entry.number > merge).find(list);
    let (Some(held), Some(first)) = (newest, first) else { return Ok(()) };
    let (Ok(held), Some(Ok(list))) = (
        RevocationList::verify(held, &anchors),
        first.record.as_deref().map(|bytes| RevocationList::verify(bytes, &anchors)),
    ) else {
        return Ok(());
    };
    list.replaces(&held).map(drop).map_err(|error| {
        let path = disk::record_path(folder, first.entry.number, first.entry.event.kind());
        Error::damaged(&path, Fault::List(error.to_string()))
    })
}

/// Reads and verifies what other copies added, from the folder of each entry that joined one.
pub(crate) fn read_joined(
    folder: &Path,
    entries: &[Stored],
    roots: &Roots<'_>,
) -> Result<Vec<(u64, Vec<Stored>)>, Error> {
    let mut joined = Vec::new();
    for stored in entries {
        let Event::Merge(merge) = &stored.entry.event else { continue };
        let number = stored.entry.number;
        joined.push((number, read_copy(folder, entries, (number, merge), roots)?));
    }
    Ok(joined)
}

/// Reads and verifies what the copy added that this entry joins.
pub(crate) fn read_copy(
    root: &Path,
    entries: &[Stored],
    (number, merge): (u64, &Merge),
    roots: &Roots<'_>,
) -> Result<Vec<Stored>, Error> {
    let folder = disk::joined_path(root, number);
    let common = usize::try_from(merge.common).ok().and_then(|common| entries.get(..common));
    let common = common.filter(|common| !common.is_empty());
    let Some(common) = common else {
        return Err(Error::damaged(&folder, Fault::Place("it has no entry in common")));
    };
    let names = match disk::list(&folder) {
        Err(Error::Absent(_)) => return Err(Error::damaged(&folder, Fault::Joined)),
        names => names?,
    };
    let mut other = Vec::new();
    read_entries(&folder, &names, common.last(), &mut other)?;
    if !other.iter().map(|stored| Hex(stored.digest)).eq(merge.other.iter().copied()) {
        return Err(Error::damaged(&folder, Fault::Joined));
    }
    read_devices(&folder, &mut other, roots.key)?;
    check_events(&folder, &[common, &other].concat(), roots)?;
    check_joined_lists(root, entries, (number, &other), roots.key)?;
    Ok(other)
}
