//! Writing to a ledger, in the order that a power cut cannot spoil: the entry with the bytes to be signed, the record, the
//! head. Between any two of them the ledger reads, and says what is left to do.

use std::fs::{self, File};
use std::path::Path;

use trust::author::{SIGNATURE_LEN, Unsigned, prepare_ledger_head};
use trust::{LedgerHead, MAX_LEDGER_ENTRIES, PublicKey, UnixTime, sha256};

use crate::FORMAT;
use crate::chain::{Ledger, Signed, Stored, texts_hold};
use crate::devices::{self, AnchorFacts, DeviceLine, Devices};
use crate::disk::{self, HeadFile};
use crate::entry::{Entry, Event, Open, Void};
use crate::error::Error;
use crate::fit::check_first;
use crate::values::{Base64, Hex, Time};

/// When, by whom and with which program an entry is written.
#[derive(Clone, Debug)]
pub struct Context {
    /// The time.
    pub now: UnixTime,
    /// Who writes it.
    pub by: Option<String>,
    /// The program, with its version.
    pub tool: String,
    /// It was done before the ledger began, or without it.
    pub unwitnessed: bool,
}

/// A ledger that nobody else writes to until this is dropped.
#[derive(Debug)]
pub struct Writer {
    pub(crate) ledger: Ledger,
    _lock: File,
}

impl Writer {
    /// Begins a ledger in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::InUse`], [`Error::Text`], [`Error::File`]
    pub fn create(folder: &Path, open: Open, context: &Context) -> Result<Self, Error> {
        Self::create_after(folder, open, None, context)
    }

    /// Begins the ledger of a root that succeeds the one of `before`, with a copy of that ledger.
    ///
    /// # Errors
    /// [`Error::NotSucceeded`] when that ledger does not say that this key is the next root; [`Error::NameTaken`];
    /// those of [`Writer::create`]
    pub fn continue_from(
        folder: &Path,
        open: Open,
        before: &Ledger,
        context: &Context,
    ) -> Result<Self, Error> {
        let open = crate::succession::continuing(open, before)?;
        if let Some(last) = before.entries().last().map(|last| last.entry.time)
            && Time(context.now) < last
        {
            let time = Time(context.now).to_string();
            return Err(Error::TimeGoesBack { time, last: last.to_string() });
        }
        Self::create_after(folder, open, Some(before), context)
    }

    fn create_after(
        folder: &Path,
        open: Open,
        before: Option<&Ledger>,
        context: &Context,
    ) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))?;
        let lock = disk::lock(folder)?;
        if !disk::list(folder)?.is_empty() {
            return Err(Error::Exists(folder.to_owned()));
        }
        let entry = entry(1, None, Event::Open(open), context)?;
        let bytes = encode(&entry)?;
        if let Some(before) = before {
            // What a cut left there is of no entry.
            disk::remove(&disk::before_path(folder))?;
            let copy = disk::before_path(folder);
            disk::copy(before.folder(), &copy)?;
            Ledger::open(&copy)?;
        }
        check_first(folder, &entry, &bytes)?;
        let path = disk::entry_path(folder, 1, entry.event.kind());
        disk::write_new(&path, &bytes)?;
        Ok(Self { ledger: Ledger::open(folder)?, _lock: lock })
    }

    /// Opens a ledger to write to it.
    ///
    /// # Errors
    /// [`Error::InUse`]; those of [`Ledger::open`]
    pub fn open(folder: &Path) -> Result<Self, Error> {
        if disk::list(folder)?.is_empty() {
            return Err(Error::Absent(folder.to_owned()));
        }
        let lock = disk::lock(folder)?;
        Ok(Self { ledger: Ledger::open(folder)?, _lock: lock })
    }

    /// Takes back a ledger that this writer began, the last file first, as long as its key vouches for none of it.
    ///
    /// # Errors
    /// [`Error::Exists`] once it has a head; [`Error::File`]
    pub fn withdraw(self) -> Result<(), Error> {
        let folder = self.ledger.folder();
        if self.ledger.head().is_some() {
            return Err(Error::Exists(folder.to_owned()));
        }
        for stored in self.ledger.entries().iter().rev() {
            let (number, kind) = (stored.entry.number, stored.entry.event.kind());
            if stored.record.is_some() {
                disk::remove_file(&disk::record_path(folder, number, kind))?;
            }
            disk::remove_file(&disk::entry_path(folder, number, kind))?;
            if !stored.devices.is_empty() {
                disk::remove_file(&disk::lines_path(folder, number, kind))?;
            }
        }
        disk::remove(&disk::before_path(folder))
    }

    /// The ledger, as far as it is written.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Fails unless the ledger is that of the key that signs.
    ///
    /// # Errors
    /// [`Error::OtherKey`]
    pub fn check_key(&self, key: &PublicKey) -> Result<(), Error> {
        if self.ledger.key() == key {
            return Ok(());
        }
        Err(Error::OtherKey {
            path: self.ledger.folder().to_owned(),
            ledger: Hex(self.ledger.key().kid().0),
            key: Hex(key.kid().0),
        })
    }

    /// Fails while an entry waits for its signature.
    ///
    /// # Errors
    /// [`Error::Begun`]
    pub fn check_nothing_begun(&self) -> Result<(), Error> {
        check_nothing_begun(&self.ledger)
    }

    /// Fails once another root has followed: the key signs no record any more.
    ///
    /// # Errors
    /// [`Error::Closed`]
    pub fn check_open(&self) -> Result<(), Error> {
        match self.ledger.successor() {
            None => Ok(()),
            Some(successor) => Err(Error::Closed {
                path: self.ledger.folder().to_owned(),
                name: successor.facts.name.clone(),
                kid: successor.facts.kid,
                number: successor.facts.number(),
            }),
        }
    }

    /// Adds an entry: one with a record begins here, and waits for [`Writer::finish`]. Its number.
    ///
    /// # Errors
    /// [`Error::Begun`] if it needs a signature and another entry waits for one; [`Error::Closed`] if it needs one and the
    /// key has retired; [`Error::Succession`]; [`Error::TimeGoesBack`];
    /// [`Error::NameTaken`]; [`Error::Text`]; [`Error::Unfit`]; [`Error::Full`]; [`Error::File`]: nothing was added then.
    pub fn append(&mut self, event: Event, context: &Context) -> Result<u64, Error> {
        let next = self.next(event, context)?;
        self.add(next)
    }

    /// An entry that may be added, and its bytes: whatever reading will find is found before anything is written.
    pub(crate) fn next(&self, event: Event, context: &Context) -> Result<(Stored, Vec<u8>), Error> {
        if event.has_authority() {
            self.check_open()?;
        }
        if event.is_signed() {
            self.check_nothing_begun()?;
        }
        let last = self.ledger.entries().last();
        let number = self.next_number();
        if number > MAX_LEDGER_ENTRIES {
            return Err(Error::Full);
        }
        if let Some(last) = last.map(|last| last.entry.time).filter(|last| Time(context.now) < *last) {
            let time = Time(context.now).to_string();
            return Err(Error::TimeGoesBack { time, last: last.to_string() });
        }
        let entry = entry(number, last.map(|last| Hex(last.digest)), event, context)?;
        let bytes = encode(&entry)?;
        let stored = Stored { entry, digest: sha256(&bytes), record: None, devices: Vec::new() };
        self.ledger.check_next(&stored, &bytes)?;
        Ok((stored, bytes))
    }

    pub(crate) fn add(&mut self, (stored, bytes): (Stored, Vec<u8>)) -> Result<u64, Error> {
        let Entry { number, event, .. } = &stored.entry;
        let number = *number;
        disk::write_new(&disk::entry_path(self.ledger.folder(), number, event.kind()), &bytes)?;
        self.ledger.push(stored);
        Ok(number)
    }

    /// Adds a batch of devices: its lines, then its entry. With credentials it begins here, and waits for
    /// [`Writer::finish_devices`]. Its number.
    ///
    /// # Errors
    /// [`Error::Batch`] if a line is not what it must be; [`Error::BatchesFull`]; those of [`Writer::append`]
    pub fn append_devices(
        &mut self,
        vendor: String,
        anchors: Vec<AnchorFacts>,
        lines: Vec<DeviceLine>,
        context: &Context,
    ) -> Result<u64, Error> {
        let file = devices::encode(&lines).ok_or(trust::author::AuthorError::Encoding)?;
        let batch = Devices {
            devices: lines.len() as u64,
            lines: Hex(sha256(&file)),
            vendor,
            anchors,
            signed: lines.iter().any(|line| line.to_be_signed.is_some()),
        };
        devices::check(&batch, &lines, self.ledger.key()).map_err(Error::Batch)?;
        let next = self.next(Event::Devices(batch), context)?;
        // The credentials come later, and have to have room then.
        let credentials = lines.iter().filter_map(|line| line.to_be_signed.as_ref());
        let credentials = credentials.map(|bytes| bytes.0.len().saturating_add(SIGNATURE_LEN)).sum::<usize>();
        devices::check_len(self.ledger.folder(), file.len().saturating_add(credentials) as u64)?;
        let path = disk::lines_path(self.ledger.folder(), next.0.entry.number, devices::KIND);
        disk::write_unnamed(&path, &file)?;
        let number = self.add(next)?;
        self.ledger.set_devices(lines);
        Ok(number)
    }

    /// The credentials that the begun batch waits for, in the order of its devices.
    ///
    /// # Errors
    /// [`Error::NothingBegun`] also when the begun entry is no batch; [`Error::Author`]
    pub fn begun_devices(&self) -> Result<(u64, Vec<Unsigned>), Error> {
        let batch = |stored: &&Stored| matches!(stored.entry.event, Event::Devices(_));
        let stored = self.ledger.begun().filter(batch).ok_or(Error::NothingBegun)?;
        Ok((stored.entry.number, devices::to_be_signed(&stored.devices, self.ledger.key())?))
    }

    /// Writes the credentials of the begun batch, in the order of its devices. The number of the entry.
    ///
    /// # Errors
    /// [`Error::NothingBegun`]; [`Error::Author`] if one is missing or another one, or its signature does not hold;
    /// [`Error::File`]
    pub fn finish_devices(&mut self, credentials: &[Vec<u8>]) -> Result<u64, Error> {
        let (number, _) = self.begun_devices()?;
        let record = credentials.concat();
        let stored = self.ledger.entry(number).ok_or(Error::NothingBegun)?;
        if devices::split_record(&stored.devices, &record, self.ledger.key()).is_none() {
            let refused = trust::Error::new(trust::ErrorKind::SignatureInvalid, 0);
            return Err(trust::author::AuthorError::from(refused).into());
        }
        let path = disk::record_path(self.ledger.folder(), number, stored.entry.event.kind());
        disk::write_new(&path, &record)?;
        self.ledger.set_record(number, record);
        Ok(number)
    }

    fn next_number(&self) -> u64 {
        self.ledger.entries().last().map_or(0, |last| last.entry.number).saturating_add(1)
    }

    /// What the begun entry waits for.
    ///
    /// # Errors
    /// [`Error::NothingBegun`]; [`Error::Author`]
    pub fn begun(&self) -> Result<(u64, Unsigned), Error> {
        let stored = self.ledger.begun().ok_or(Error::NothingBegun)?;
        let to_be_signed = stored.entry.event.to_be_signed().ok_or(Error::NothingBegun)?;
        Ok((stored.entry.number, Unsigned::from_to_be_signed(to_be_signed, self.ledger.key())?))
    }

    /// Writes the record of the begun entry, which [`Unsigned::attach`] or [`Unsigned::sign`] made. The number of the entry.
    ///
    /// # Errors
    /// [`Error::Closed`]; [`Error::NothingBegun`]; [`Error::Author`] if it is another record, or its signature does not hold;
    /// [`Error::File`]
    pub fn finish(&mut self, record: &[u8]) -> Result<u64, Error> {
        let (number, unsigned) = self.begun()?;
        if self.ledger.begun().is_some_and(|stored| stored.entry.event.has_authority()) {
            self.check_open()?;
        }
        let refused =
            || trust::author::AuthorError::from(trust::Error::new(trust::ErrorKind::SignatureInvalid, 0));
        let signature = record.last_chunk().ok_or_else(refused)?;
        if unsigned.attach(signature)? != record {
            return Err(refused().into());
        }
        let kind = self.ledger.entry(number).map_or("", |stored| stored.entry.event.kind());
        disk::write_new(&disk::record_path(self.ledger.folder(), number, kind), record)?;
        self.ledger.set_record(number, record.to_owned());
        Ok(number)
    }

    /// Gives the begun entry up. The number of the entry that says so.
    ///
    /// # Errors
    /// [`Error::NothingBegun`]; those of [`Writer::append`]
    pub fn void(&mut self, reason: String, context: &Context) -> Result<u64, Error> {
        let entry = self.ledger.begun().ok_or(Error::NothingBegun)?.entry.number;
        self.append(Event::Void(Void { entry, reason }), context)
    }

    /// The head over all entries, for the key to sign.
    ///
    /// # Errors
    /// [`Error::Author`]
    pub fn prepare_head(&self, now: UnixTime) -> Result<Unsigned, Error> {
        let last = self.ledger.entries().last().ok_or(Error::NothingBegun)?;
        let head = LedgerHead { entries: last.entry.number, digest: last.digest, issued_at: now };
        Ok(prepare_ledger_head(&head, self.ledger.key())?)
    }

    /// Takes a signed head, which covers entries that are there.
    ///
    /// # Errors
    /// [`Error::Author`] if its signature does not hold, or it is of other entries; [`Error::OldHead`];
    /// [`Error::File`]
    pub fn set_head(&mut self, record: Vec<u8>) -> Result<(), Error> {
        let refused = |kind| trust::author::AuthorError::from(trust::Error::new(kind, 0));
        let head =
            LedgerHead::verify(&record, self.ledger.key()).map_err(trust::author::AuthorError::from)?;
        if self.ledger.entry(head.entries).is_none_or(|stored| stored.digest != head.digest) {
            return Err(refused(trust::ErrorKind::OutOfRange).into());
        }
        let covered = self.ledger.head().map_or(0, |signed| signed.head.entries);
        if head.entries < covered {
            return Err(Error::OldHead { entries: head.entries, covered });
        }
        let file = HeadFile { format: FORMAT, entries: head.entries, head: Base64(record.clone()) };
        disk::write_head(self.ledger.folder(), &encode(&file)?)?;
        self.ledger.set_head(Signed { head, record });
        Ok(())
    }
}

fn entry(number: u64, previous: Option<Hex<32>>, event: Event, context: &Context) -> Result<Entry, Error> {
    let Context { now, by, tool, unwitnessed } = context.clone();
    let entry = Entry { format: FORMAT, number, previous, time: Time(now), by, tool, unwitnessed, event };
    if texts_hold(&entry) {
        return Ok(entry);
    }
    Err(Error::text())
}

pub(crate) fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    disk::encode(value).ok_or(Error::Author(trust::author::AuthorError::Encoding))
}

pub(crate) fn check_nothing_begun(ledger: &Ledger) -> Result<(), Error> {
    match ledger.begun() {
        None => Ok(()),
        Some(stored) => Err(Error::Begun {
            entry: stored.entry.number,
            kind: stored.entry.event.kind(),
            name: match &stored.entry.event {
                Event::Credential(entry) => entry.facts.name.clone(),
                Event::RevocationList(entry) => format!("list {}", entry.facts.sequence),
                Event::Succession(entry) => entry.facts.name.clone(),
                Event::Ceremony(entry) => format!("transcript {}", entry.facts.transcript),
                Event::Devices(batch) => format!("{} devices", batch.devices),
                _ => String::new(),
            },
        }),
    }
}
