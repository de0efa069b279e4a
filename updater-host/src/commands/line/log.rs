//! The log of a production line: what became of each block (docs/updater-host.md, Log of the line). It is only added to,
//! and each line is on the disk before the next step: first that a block goes to a device, then that it is there.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use trust::host::{Existing, Readers, write_whole};

use super::list::{List, Row};
use crate::error::{Error, LineFault};

pub(super) const LOG_FILE: &str = "line.jsonl";
/// Longest log, bytes: three lines of 1 KiB for each of 100,000 devices.
const MAX_LOG_LEN: u64 = 300 * 1024 * 1024;
const FORMAT: &str = "anchorage-line";
const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    version: u32,
    time: String,
    list_sha256: String,
}

/// What became of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// It goes to a device now.
    Begun,
    /// The device refused it, and is in factory state still.
    Refused,
    /// The device has it: it was read back.
    Provisioned,
    /// A device was found that has it.
    Found,
    /// No device gets it.
    SetAside,
}

/// An anchor that a device reports.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnchorFacts {
    pub(super) kid: String,
    pub(super) rights: u8,
    pub(super) domain: String,
}

/// A line after the first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) time: String,
    pub(super) result: Outcome,
    pub(super) serial: String,
    pub(super) node_address: u8,
    pub(super) vendor: String,
    pub(super) class: String,
    pub(super) device: String,
    pub(super) kid: Option<String>,
    pub(super) block_sha256: String,
    /// Factory tag of the device to which the block goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) factory_tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) loader_version: Option<String>,
    /// What it reports when it has its block, and the successions of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) anchors: Option<Vec<AnchorFacts>>,
}

impl Entry {
    pub(super) fn new(result: Outcome, row: &Row) -> Self {
        Self {
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
    pub(super) torn: usize,
}

impl Log {
    /// Opens the log of a folder, or begins it. A last line without its end was being written when the power failed: it goes.
    ///
    /// # Errors
    /// [`LineFault`], [`Error::Write`], [`Error::Read`]
    pub(super) fn open(list: &List) -> Result<Self, Error> {
        let path = list.folder().join(LOG_FILE);
        if !path.exists() {
            let head = Head {
                format: FORMAT.to_owned(),
                version: VERSION,
                time: now(),
                list_sha256: hex::encode(list.sha256),
            };
            match write_whole(&path, &line(&head)?, Readers::Everybody, Existing::Keep) {
                // Another program was faster, and has the lock.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                outcome => outcome.map_err(|source| Error::write(&path, source))?,
            }
        }
        let mut file = trust::host::open_own(&path).map_err(|source| Error::write(&path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Line(LineFault::Busy { path })),
            Err(TryLockError::Error(source)) => return Err(Error::write(&path, source)),
        }
        let mut bytes = Vec::new();
        (&mut file)
            .take(MAX_LOG_LEN.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| Error::read(&path, source))?;
        if bytes.len() as u64 > MAX_LOG_LEN {
            return Err(Error::read(&path, trust::host::ReadError::TooLong(MAX_LOG_LEN)));
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end.saturating_add(1));
        let (lines, torn) = bytes.split_at_checked(whole).unwrap_or_default();
        let standing = read_lines(&path, lines, list)?;
        if !torn.is_empty() {
            file.set_len(lines.len() as u64)
                .and_then(|()| file.sync_all())
                .map_err(|source| Error::write(&path, source))?;
        }
        Ok(Self { path, file, len: lines.len() as u64, standing, torn: torn.len() })
    }

    /// Where the block of a serial stands.
    pub(super) fn standing(&self, serial: &str) -> Standing {
        self.standing.get(serial).cloned().unwrap_or(Standing::Free)
    }

    /// Adds a line; it is on the disk when this returns. If it does not fit there, the log is as before.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        let line = line(entry)?;
        let failed = |source| Error::write(&self.path, source);
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
    let mut line = serde_json::to_vec(content).map_err(|error| Error::Output(error.into()))?;
    line.push(b'\n');
    Ok(line)
}

fn standing_after(entry: &Entry) -> Standing {
    match entry.result {
        Outcome::Begun => Standing::Undecided { factory_tag: entry.factory_tag.clone() },
        Outcome::Refused => Standing::Free,
        Outcome::Provisioned | Outcome::Found => Standing::OnDevice,
        Outcome::SetAside => Standing::SetAside,
    }
}

fn read_lines(path: &Path, bytes: &[u8], list: &List) -> Result<BTreeMap<String, Standing>, Error> {
    let refuse = |line, why: String| {
        let path = path.to_owned();
        Error::Line(LineFault::Log { path, line, why })
    };
    let mut lines = (1_u64..).zip(bytes.split_inclusive(|byte| *byte == b'\n'));
    let Some((_, head)) = lines.next() else {
        return Err(refuse(1, "it has no first line".to_owned()));
    };
    let head: Head = serde_json::from_slice(head).map_err(|error| refuse(1, error.to_string()))?;
    if head.format != FORMAT || head.version != VERSION {
        return Err(refuse(1, format!("{} version {} is not known here", head.format, head.version)));
    }
    if head.list_sha256 != hex::encode(list.sha256) {
        return Err(Error::Line(LineFault::ListChanged { path: list.path() }));
    }
    let mut standing = BTreeMap::new();
    for (number, line) in lines {
        let entry: Entry = serde_json::from_slice(line).map_err(|error| refuse(number, error.to_string()))?;
        let row = list.row(&entry.serial).filter(|row| hex::encode(row.block_sha256) == entry.block_sha256);
        if row.is_none() {
            return Err(refuse(number, format!("the list has no such block of {}", entry.serial)));
        }
        standing.insert(entry.serial.clone(), standing_after(&entry));
    }
    Ok(standing)
}
