//! Whether an entry may be written: what a reader of the ledger, or a root that goes on from it, will ask of it is asked
//! before. An entry stays: one that is refused later closes the ledger for good.

use std::path::Path;

use trust::RevocationList;
use trust::author::{AuthorError, Unsigned};
use trust::host::read_unverified_revocation;

use crate::chain::{Ledger, Stored, check_event, opened};
use crate::disk;
use crate::entry::{Entry, Event};
use crate::error::{Error, Fault};
use crate::names::{check_name, name_of};
use crate::succession::{Order, read_before};
use crate::{MAX_ENTRY_LEN, MAX_LEDGERS};

impl Ledger {
    /// Whether an entry, of which these are the bytes, may follow those that are there.
    pub(crate) fn check_next(&self, stored: &Stored, bytes: &[u8]) -> Result<(), Error> {
        let event = &stored.entry.event;
        self.check_name(&stored.entry)?;
        self.check_list(event)?;
        let mut order = self.check_succession(event)?;
        check_form(self.folder(), &stored.entry, bytes)?;
        let newest = self.newest_list();
        let before = (self.entries(), stored);
        let checked =
            check_event(self.folder(), before, &self.roots(), (&mut order, newest.as_ref())).map(drop);
        checked.map_err(unfit)
    }

    fn check_name(&self, entry: &Entry) -> Result<(), Error> {
        match (&entry.event, name_of(&entry.event)) {
            // It is reported, and counts with devices: the ledger of the root that it replaces has to be closed.
            (Event::Import(_), _) | (_, None) => Ok(()),
            // It is signed, and counts with devices under the name that it has.
            _ if entry.unwitnessed => Ok(()),
            (_, Some((name, kid))) => check_name(self.names(), name, kid),
        }
    }

    fn check_succession(&self, event: &Event) -> Result<Order<'_>, Error> {
        let refused = |reason| Error::Succession { path: self.folder().to_owned(), reason };
        let roots = self.roots();
        let mut order = Order::begin(&roots);
        for stored in self.entries() {
            order.follow(stored).map_err(refused)?;
        }
        let closes = order.next(event).map_err(refused)?.is_some() && self.opened().purpose.is_root();
        if closes && self.line().count() >= MAX_LEDGERS as usize && matches!(event, Event::Succession(_)) {
            return Err(refused("no ledger could go on from it: too many go on from one another"));
        }
        Ok(order)
    }

    /// A list has to continue those before it, and those of copies that were joined.
    fn check_list(&self, event: &Event) -> Result<(), Error> {
        let Event::RevocationList(entry) = event else { return Ok(()) };
        let unsigned = Unsigned::from_to_be_signed(&entry.to_be_signed.0, self.key())?;
        let blank = unsigned.with_blank_signature()?;
        let claims = read_unverified_revocation(&blank).map_err(AuthorError::from)?;
        let anchors = [trust::Anchor::root(*self.key())];
        let held = self.lists_to_continue();
        if held.is_empty() {
            self.roots().admit_first(&claims).map_err(AuthorError::from)?;
        }
        for held in held {
            let held = RevocationList::verify(held, &anchors).map_err(AuthorError::from)?;
            claims.continues(&held).map_err(AuthorError::from)?;
        }
        Ok(())
    }
}

/// Whether a ledger may begin with this entry, of which these are the bytes. The copy of the ledger that it goes on from is
/// there.
pub(crate) fn check_first(folder: &Path, entry: &Entry, bytes: &[u8]) -> Result<(), Error> {
    check_form(folder, entry, bytes)?;
    let (open, _) = opened(folder, entry).map_err(unfit)?;
    read_before(folder, &open, 0).map(drop)
}

/// The file reads as this entry.
fn check_form(folder: &Path, entry: &Entry, bytes: &[u8]) -> Result<(), Error> {
    let path = disk::entry_path(folder, entry.number, entry.event.kind());
    if bytes.len() as u64 > MAX_ENTRY_LEN {
        return Err(Error::Unfit { path, fault: Fault::TooLong(MAX_ENTRY_LEN) });
    }
    match disk::parse::<Entry>(&path, bytes).map_err(unfit)? {
        read if read == *entry => Ok(()),
        _ => Err(Error::Unfit { path, fault: Fault::Spelling }),
    }
}

/// What is damage in a ledger that is there is the fault of an entry that is not.
pub(crate) fn unfit(error: Error) -> Error {
    match error {
        Error::Damaged { path, fault } => Error::Unfit { path, fault },
        error => error,
    }
}
