//! Reading a ledger: nothing of it is believed before the chain, the records and the head agree.

use std::path::{Path, PathBuf};

use trust::author::{SIGNATURE_LEN, Unsigned};
use trust::{Anchor, LedgerHead, PublicKey, RevocationList, sha256};

use crate::devices::{self, DeviceLine};
use crate::disk::{self, HEAD_FILE, HeadFile, Name};
use crate::entry::{Entry, Event, Open};
use crate::error::{Error, Fault};
use crate::facts::{Facts, names_hold};
use crate::joined::read_joined;
use crate::succession::{Order, Roots, read_before};
use crate::values::Hex;
use crate::{MAX_NAME_LEN, MAX_TEXT_LEN};

/// An entry, as it is stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Stored {
    /// The entry.
    pub entry: Entry,
    /// SHA-256 of its file.
    pub digest: [u8; 32],
    /// The signed record, if the entry has one.
    pub record: Option<Vec<u8>>,
    /// The devices of a batch.
    pub devices: Vec<DeviceLine>,
}

impl Stored {
    /// Whether it waits for a signature.
    #[must_use]
    pub fn is_unsigned(&self) -> bool {
        self.record.is_none() && self.entry.event.is_signed()
    }
}

/// The signed head.
#[derive(Clone, PartialEq, Debug)]
pub struct Signed {
    /// What it says.
    pub head: LedgerHead,
    /// The CWT.
    pub record: Vec<u8>,
}

/// A ledger whose chain, records and head were verified.
#[derive(Clone, Debug)]
pub struct Ledger {
    folder: PathBuf,
    key: PublicKey,
    opened: Open,
    before: Option<Box<Self>>,
    entries: Vec<Stored>,
    /// Entries of other copies, with the number of the entry that joined them.
    joined: Vec<(u64, Vec<Stored>)>,
    head: Option<Signed>,
}

impl Ledger {
    /// Reads and verifies the ledger in a folder.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::File`], [`Error::Newer`], [`Error::Damaged`]
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Self::open_at(folder, 0)
    }

    /// `depth`: how many ledgers go on from this one.
    pub(crate) fn open_at(folder: &Path, depth: u32) -> Result<Self, Error> {
        let names = disk::list(folder)?;
        devices::check_len(folder, 0)?;
        let mut entries = Vec::new();
        read_entries(folder, &names, None, &mut entries)?;
        let Some(first) = entries.first() else { return Err(Error::Absent(folder.to_owned())) };
        let (opened, key) = opened(folder, &first.entry)?;
        let before = read_before(folder, &opened, depth)?.map(Box::new);
        let roots = Roots { key: &key, open: &opened, before: before.as_deref() };
        read_devices(folder, &mut entries, &key)?;
        check_events(folder, &entries, &roots)?;
        let joined = read_joined(folder, &entries, &roots)?;
        let head = read_head(folder, &entries, &key)?;
        Ok(Self { folder: folder.to_owned(), key, opened, before, entries, joined, head })
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The key that it is about.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What the first entry says.
    #[must_use]
    pub fn opened(&self) -> &Open {
        &self.opened
    }

    /// The ledger of the root before, of which this one keeps a copy.
    #[must_use]
    pub fn before(&self) -> Option<&Self> {
        self.before.as_deref()
    }

    /// All entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Stored] {
        &self.entries
    }

    /// An entry by its number.
    #[must_use]
    pub fn entry(&self, number: u64) -> Option<&Stored> {
        self.entries.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The entries of other copies that went on by themselves, each with the number of the entry that joined it.
    #[must_use]
    pub fn joined(&self) -> &[(u64, Vec<Stored>)] {
        &self.joined
    }

    /// The head that the key signed last.
    #[must_use]
    pub fn head(&self) -> Option<&Signed> {
        self.head.as_ref()
    }

    /// The entries that the head does not cover yet.
    #[must_use]
    pub fn uncovered(&self) -> &[Stored] {
        let covered = self.head.as_ref().map_or(0, |signed| signed.head.entries);
        self.entries.get(usize::try_from(covered).unwrap_or(usize::MAX)..).unwrap_or_default()
    }

    /// The entry that was begun and waits for its signature.
    #[must_use]
    pub fn begun(&self) -> Option<&Stored> {
        self.entries.iter().find(|stored| stored.is_unsigned() && !self.is_void(stored.entry.number))
    }

    /// The entry whose record has these bytes to be signed, if it is signed.
    #[must_use]
    pub fn recorded(&self, to_be_signed: &[u8]) -> Option<u64> {
        let is_it = |stored: &&Stored| {
            stored.record.is_some() && stored.entry.event.to_be_signed() == Some(to_be_signed)
        };
        self.entries.iter().find(is_it).map(|stored| stored.entry.number)
    }

    /// Whether a later entry gave this one up.
    #[must_use]
    pub fn is_void(&self, number: u64) -> bool {
        is_void(&self.entries, number)
    }

    pub(crate) fn push(&mut self, stored: Stored) {
        self.entries.push(stored);
    }

    pub(crate) fn push_joined(&mut self, number: u64, entries: Vec<Stored>) {
        self.joined.push((number, entries));
    }

    pub(crate) fn set_devices(&mut self, devices: Vec<DeviceLine>) {
        if let Some(last) = self.entries.last_mut() {
            last.devices = devices;
        }
    }

    pub(crate) fn set_record(&mut self, number: u64, record: Vec<u8>) {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        if let Some(stored) = place.and_then(|place| self.entries.get_mut(place)) {
            stored.record = Some(record);
        }
    }

    pub(crate) fn set_head(&mut self, signed: Signed) {
        self.head = Some(signed);
    }
}

fn is_void(entries: &[Stored], number: u64) -> bool {
    entries.iter().any(|stored| matches!(&stored.entry.event, Event::Void(void) if void.entry == number))
}

/// Reads the entries of a folder and their records; they follow those that are there.
pub(crate) fn read_entries(
    folder: &Path,
    names: &[Name],
    before: Option<&Stored>,
    entries: &mut Vec<Stored>,
) -> Result<(), Error> {
    for name in names.iter().filter(|name| !name.is_record) {
        let stored = read_entry(folder, name, entries.last().or(before))?;
        entries.push(stored);
    }
    let mut records = names.iter().filter(|name| name.is_record).peekable();
    while let Some(name) = records.next() {
        let path = disk::record_path(folder, name.number, &name.kind);
        let is_of = |stored: &&mut Stored| {
            stored.entry.number == name.number && stored.entry.event.kind() == name.kind
        };
        match entries.iter_mut().find(is_of) {
            Some(stored) => {
                let limit = if matches!(stored.entry.event, Event::Devices(_)) {
                    devices::MAX_LINES_LEN
                } else {
                    crate::MAX_ENTRY_LEN
                };
                stored.record = Some(disk::read_limited(&path, limit)?);
            }
            None => return Err(Error::damaged(&path, Fault::NoEntry)),
        }
        if records.peek().is_some_and(|next| next.number == name.number) {
            return Err(Error::damaged(&path, Fault::Twice));
        }
    }
    Ok(())
}

/// Reads the lines of batches.
pub(crate) fn read_devices(folder: &Path, entries: &mut [Stored], key: &PublicKey) -> Result<(), Error> {
    for stored in entries {
        let Event::Devices(batch) = &stored.entry.event else { continue };
        let path = disk::lines_path(folder, stored.entry.number, stored.entry.event.kind());
        stored.devices = devices::read(&path, batch, key)?;
    }
    Ok(())
}

fn read_entry(folder: &Path, name: &Name, before: Option<&Stored>) -> Result<Stored, Error> {
    let path = disk::entry_path(folder, name.number, &name.kind);
    let fault = |fault| Err(Error::damaged(&path, fault));
    let expected = before.map_or(1, |before| before.entry.number.saturating_add(1));
    if name.number < expected {
        return fault(Fault::Twice);
    }
    if name.number > expected {
        return fault(Fault::Gap(expected));
    }
    let bytes = disk::read(&path)?;
    let entry: Entry = disk::parse(&path, &bytes)?;
    if entry.number != name.number {
        return fault(Fault::Number(entry.number));
    }
    if entry.event.kind() != name.kind {
        return fault(Fault::Kind(entry.event.kind()));
    }
    if entry.previous != before.map(|before| Hex(before.digest)) {
        return fault(Fault::Chain);
    }
    if before.is_some_and(|before| entry.time < before.entry.time) {
        return fault(Fault::Time);
    }
    if matches!(entry.event, Event::Open(_)) != before.is_none() {
        return fault(Fault::Place("a ledger begins with one entry of the kind open"));
    }
    if !texts_hold(&entry) {
        return fault(Fault::Text);
    }
    Ok(Stored { entry, digest: sha256(&bytes), record: None, devices: Vec::new() })
}

pub(crate) fn opened(folder: &Path, first: &Entry) -> Result<(Open, PublicKey), Error> {
    let path = disk::entry_path(folder, first.number, first.event.kind());
    let Event::Open(open) = &first.event else {
        return Err(Error::damaged(&path, Fault::Place("a ledger begins with one entry of the kind open")));
    };
    match PublicKey::from_cose_key(&open.public_key.0) {
        Ok(key) if key.kid().0 == open.kid.0 => Ok((open.clone(), key)),
        _ => Err(Error::damaged(&path, Fault::Key)),
    }
}

/// What each event needs of those before it: its record, names, numbers.
pub(crate) fn check_events(folder: &Path, entries: &[Stored], roots: &Roots<'_>) -> Result<(), Error> {
    let mut order = Order::begin(roots);
    let mut newest: Option<RevocationList<'_>> = None;
    for (place, stored) in entries.iter().enumerate() {
        let (before, after) = entries.split_at(place);
        if let Some(list) = check_event(folder, (before, stored), roots, (&mut order, newest.as_ref()))? {
            newest = Some(list);
        }
        let Entry { number, event, .. } = &stored.entry;
        // Only the newest one may wait, be it followed by entries that need no signature.
        let is_waiting = stored.is_unsigned() && !is_void(after, *number);
        if is_waiting && after.iter().skip(1).any(|later| later.entry.event.is_signed()) {
            return Err(Error::damaged(&disk::record_path(folder, *number, event.kind()), Fault::NoRecord));
        }
    }
    Ok(())
}

/// What one event needs of those before it. If it is a list that is signed, the list.
pub(crate) fn check_event<'e>(
    folder: &Path,
    (before, stored): (&[Stored], &'e Stored),
    roots: &Roots<'_>,
    (order, newest): (&mut Order<'_>, Option<&RevocationList<'_>>),
) -> Result<Option<RevocationList<'e>>, Error> {
    let key = roots.key;
    let Entry { number, event, .. } = &stored.entry;
    let path = disk::entry_path(folder, *number, event.kind());
    let record = disk::record_path(folder, *number, event.kind());
    let fault = |fault| Err(Error::damaged(&path, fault));
    if stored.record.is_some() && event.has_authority() && order.is_closed() {
        return Err(Error::damaged(&record, Fault::Retired));
    }
    if let Err(reason) = order.follow(stored) {
        return fault(Fault::Succession(reason));
    }
    let mut holds = None;
    if let Some(to_be_signed) = event.to_be_signed() {
        let unsigned = match Unsigned::from_to_be_signed(to_be_signed, key) {
            Ok(unsigned) => unsigned,
            Err(error) => return fault(Fault::ToBeSigned(error.to_string())),
        };
        match Facts::of(&unsigned) {
            Ok(facts) if facts.are_those_of(event) => {}
            Ok(_) => return fault(Fault::Facts),
            Err(error) => return fault(Fault::ToBeSigned(error.to_string())),
        }
        holds = stored.record.as_deref().map(|bytes| is_signed(&unsigned, bytes));
    } else if let Some(bytes) = stored.record.as_deref().filter(|_| event.is_signed()) {
        holds = Some(devices::split_record(&stored.devices, bytes, key).is_some());
    }
    if event.is_signed() {
        if holds == Some(false) {
            return Err(Error::damaged(&record, Fault::Record));
        }
    } else if stored.record.is_some() {
        return Err(Error::damaged(&record, Fault::NoEntry));
    }
    match event {
        Event::Credential(entry) => {
            if !names_hold(entry) {
                return fault(Fault::Facts);
            }
        }
        Event::RevocationList(_) => {
            let Some(bytes) = &stored.record else { return Ok(None) };
            let list = RevocationList::verify(bytes, &[Anchor::root(*key)]);
            let list = list.map_err(|_| Error::damaged(&record, Fault::Record))?;
            let follows = match newest {
                Some(held) => list.replaces(held).map(drop),
                None => roots.admit_first(&list),
            };
            if let Err(error) = follows {
                return Err(Error::damaged(&record, Fault::List(error.to_string())));
            }
            return Ok(Some(list));
        }
        Event::Void(void) => {
            let of = before.iter().find(|stored| stored.entry.number == void.entry);
            if !of.is_some_and(Stored::is_unsigned) || is_void(before, void.entry) {
                return fault(Fault::Place("it gives up an entry that does not wait for a signature"));
            }
        }
        Event::BackupCheck(check) => {
            let of = before.iter().find(|stored| stored.entry.number == check.backup);
            if !of.is_some_and(|stored| matches!(stored.entry.event, Event::Backup(_))) {
                return fault(Fault::Place("it checks an entry that is no backup"));
            }
        }
        Event::Merge(merge) => {
            if merge.common >= *number {
                return fault(Fault::Place("it joins at a later entry"));
            }
        }
        Event::Open(_)
        | Event::Succession(_)
        | Event::Ceremony(_)
        | Event::Devices(_)
        | Event::Custody(_)
        | Event::Backup(_)
        | Event::Import(_) => {}
    }
    Ok(None)
}

/// The record is the one of these bytes, with a signature that holds.
fn is_signed(unsigned: &Unsigned, record: &[u8]) -> bool {
    let signature = record.last_chunk::<SIGNATURE_LEN>();
    signature.is_some_and(|signature| unsigned.attach(signature).is_ok_and(|made| made == record))
}

/// The head, if there is one.
fn read_head(folder: &Path, entries: &[Stored], key: &PublicKey) -> Result<Option<Signed>, Error> {
    let path = folder.join(HEAD_FILE);
    let fault = |fault| Err(Error::damaged(&path, fault));
    let bytes = match disk::read(&path) {
        Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let file: HeadFile = disk::parse(&path, &bytes)?;
    let head = match LedgerHead::verify(&file.head.0, key) {
        Ok(head) => head,
        Err(error) => return fault(Fault::HeadSignature(error.to_string())),
    };
    if file.entries != head.entries {
        return fault(Fault::Number(file.entries));
    }
    let last = usize::try_from(head.entries).ok().and_then(|number| entries.get(number.checked_sub(1)?));
    match last {
        None => fault(Fault::HeadBeyond(head.entries)),
        Some(last) if last.digest != head.digest => fault(Fault::HeadDigest(head.entries)),
        Some(_) => Ok(Some(Signed { head, record: file.head.0 })),
    }
}

/// Each text that no record bounds is printable, of one line, and not too long.
pub(crate) fn texts_hold(entry: &Entry) -> bool {
    let name = |text: &str| is_text(text, MAX_NAME_LEN);
    let text = |text: &str| is_text(text, MAX_TEXT_LEN);
    let option = |value: &Option<String>| value.as_deref().is_none_or(text);
    let event = match &entry.event {
        Event::Open(open) => {
            name(&open.name) && name(&open.holder) && text(&open.kept) && option(&open.vendor)
        }
        Event::Credential(entry) => option(&entry.holder) && option(&entry.kept),
        Event::RevocationList(entry) => option(&entry.reason),
        Event::Succession(entry) => option(&entry.reason),
        Event::Ceremony(entry) => option(&entry.purpose),
        Event::Custody(custody) => {
            name(&custody.name) && name(&custody.holder) && text(&custody.kept) && text(&custody.reason)
        }
        Event::Backup(backup) => backup.holders.iter().all(|holder| name(holder)) && text(&backup.kept),
        Event::Void(void) => text(&void.reason),
        Event::Merge(merge) => text(&merge.reason),
        Event::Devices(_) | Event::BackupCheck(_) | Event::Import(_) => true,
    };
    event && text(&entry.tool) && option(&entry.by)
}

pub(crate) fn is_text(text: &str, limit: usize) -> bool {
    trust::host::is_line(text, limit)
}
