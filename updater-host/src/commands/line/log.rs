//! The log of a production line: what became of each block (docs/updater-host.md, Log of the line). It is only added to,
//! and each line is on the disk before the next step: first that a block goes to a device, then that it is there.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use device_lists::{Entry, Head, LOG_FILE, LogFault, Outcome, Row, line_of};
use serde::Serialize;
use trust::host::{Existing, Readers, write_whole};

use super::list::List;
use crate::error::{Error, LineFault};

/// The entry of a row, of now.
pub(super) fn entry(result: Outcome, row: &Row) -> Entry {
    Entry {
        time: now(),
        result,
        serial: row.serial.clone(),
        node_address: row.node_address,
        vendor: row.vendor.to_string(),
        class: row.class.to_string(),
        device: row.device.to_string(),
        kid: row.kid().map(str::to_owned),
        block_sha256: hex::encode(row.block_sha256),
        factory_tag: None,
        loader_version: None,
        anchors: None,
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Where a block stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// No device has it.
    Free,
    /// It was sent to the device with this tag, and nothing is known since.
    Undecided {
        factory_tag: Option<String>,
    },
    /// A device has it.
    OnDevice,
    SetAside,
}

/// The log, which no other program writes meanwhile.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    len: u64,
    standing: BTreeMap<String, Standing>,
    /// Bytes of a last line that was cut off, if any.
    pub(super) torn: u64,
}

impl Log {
    /// Opens the log of a folder, or begins it. A last line without its end was being written when the power failed: it goes.
    ///
    /// # Errors
    /// [`LineFault`], [`Error::LineWrite`], [`Error::Read`]
    pub(super) fn open(list: &List) -> Result<Self, Error> {
        let path = list.folder().join(LOG_FILE);
        if !path.exists() {
            let head = Head::new(now(), list.sha256);
            match write_whole(&path, &line(&head)?, Readers::Everybody, Existing::Keep) {
                // Another program was faster, and has the lock.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                outcome => outcome.map_err(|source| Error::line_write(&path, source))?,
            }
        }
        let file = trust::host::open_own(&path).map_err(|source| Error::line_write(&path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Line(LineFault::Busy { path })),
            Err(TryLockError::Error(source)) => return Err(Error::line_write(&path, source)),
        }
        let (standing, len, torn) = read(&path, &file, list)?;
        if torn > 0 {
            file.set_len(len)
                .and_then(|()| file.sync_all())
                .map_err(|source| Error::line_write(&path, source))?;
        }
        Ok(Self { path, file, len, standing, torn })
    }

    /// Where the block of a serial stands.
    pub(super) fn standing(&self, serial: &str) -> Standing {
        self.standing.get(serial).cloned().unwrap_or(Standing::Free)
    }

    /// Adds a line; it is on the disk when this returns. If it does not fit there, the log is as before.
    ///
    /// # Errors
    /// [`Error::LineWrite`]
    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        let line = line(entry)?;
        let failed = |source| Error::line_write(&self.path, source);
        self.file.seek(SeekFrom::Start(self.len)).map_err(failed)?;
        if let Err(source) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            // What is left of it is a torn line for the next run.
            let _ = self.file.set_len(self.len);
            return Err(failed(source));
        }
        self.len = self.len.saturating_add(line.len() as u64);
        self.standing.insert(entry.serial.clone(), standing_after(entry));
        Ok(())
    }
}

fn line(content: &impl Serialize) -> Result<Vec<u8>, Error> {
    line_of(content).map_err(|error| Error::Output(error.into()))
}

fn standing_after(entry: &Entry) -> Standing {
    match entry.result {
        Outcome::Begun => Standing::Undecided { factory_tag: entry.factory_tag.clone() },
        Outcome::Refused => Standing::Free,
        Outcome::Provisioned | Outcome::Found => Standing::OnDevice,
        Outcome::SetAside => Standing::SetAside,
    }
}

/// Where each block stands, the bytes of whole lines, and those of a last line that was cut off.
fn read(path: &Path, file: &File, list: &List) -> Result<(BTreeMap<String, Standing>, u64, u64), Error> {
    let faulty = |fault| match fault {
        LogFault::Line { line, why } => Error::Line(LineFault::Log { path: path.to_owned(), line, why }),
        LogFault::OtherList => Error::Line(LineFault::ListChanged { path: list.path() }),
        LogFault::Read(source) => Error::read(path, source),
    };
    let mut log = device_lists::Log::begin(BufReader::new(file), list.sha256).map_err(faulty)?;
    let mut standing = BTreeMap::new();
    for entry in log.by_ref() {
        let (line, entry) = entry.map_err(faulty)?;
        let row = list.row(&entry.serial).filter(|row| hex::encode(row.block_sha256) == entry.block_sha256);
        if row.is_none() {
            let why = format!("the list has no such block of {}", entry.serial);
            return Err(faulty(LogFault::Line { line, why }));
        }
        let after = standing_after(&entry);
        standing.insert(entry.serial, after);
    }
    Ok((standing, log.whole_len(), log.torn_len()))
}
