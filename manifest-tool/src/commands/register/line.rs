//! The folder of a production line: the list that `provision` makes, and the log that `updater-host` keeps beside it
//! (docs/updater-host.md, Log of the line).

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use device_lists::{
    Entry, LIST_FILE, LOG_FILE, ListFault, Log, LogFault, MAX_LIST_LEN, Outcome, Row, read_list,
};
use trust::UnixTime;
use trust::host::{ReadError, open_file, printable};

use crate::error::Error;
use crate::files::read_file;

/// How far the clock of a line may be ahead, seconds. What is told of the future would outdo what is known since.
const MAX_AHEAD: u64 = 24 * 60 * 60;

/// A device that has its block.
pub(super) struct Device {
    /// Where it is in the list.
    pub(super) line: u64,
    pub(super) serial: String,
    pub(super) vendor: String,
    pub(super) class: String,
    /// File name, or empty.
    pub(super) credential: String,
    pub(super) kid: String,
    pub(super) key_check: String,
    /// kids.
    pub(super) anchors: Vec<String>,
    /// Seconds since the epoch.
    pub(super) seen: u64,
}

/// A list of devices, and what became of it on the production line.
pub(super) struct Batch {
    pub(super) folder: PathBuf,
    pub(super) on_device: Vec<Device>,
    pub(super) set_aside: Vec<String>,
    pub(super) left: usize,
    pub(super) torn: bool,
}

impl Batch {
    /// Reads list and log, which belong together.
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let list_path = folder.join(LIST_FILE);
        let list = read_file(&list_path, MAX_LIST_LEN)?;
        let path = folder.join(LOG_FILE);
        if !path.exists() {
            return Err(Error::NoLineLog(path));
        }
        let refuse = |line, why: String| Error::LineLog { path: path.clone(), line, why };
        let cannot_read = |error| Error::file_read(&path, ReadError::Io(error));
        let faulty = |fault: LogFault| match fault.into_line() {
            Ok((line, why)) => refuse(line, why),
            Err(error) => cannot_read(error),
        };
        let log = BufReader::new(open_file(&path).map_err(cannot_read)?);
        let mut log = Log::begin(log, trust::sha256(&list)).map_err(faulty)?;
        let rows = read_list(&list).map_err(|ListFault { line, why }| Error::LineLog {
            path: list_path,
            line,
            why,
        })?;
        let mut last: BTreeMap<String, (u64, Entry)> = BTreeMap::new();
        for entry in log.by_ref() {
            let (number, entry) = entry.map_err(faulty)?;
            last.insert(entry.serial.clone(), (number, entry));
        }

        let mut batch = Self {
            folder: folder.to_owned(),
            on_device: Vec::new(),
            set_aside: Vec::new(),
            left: 0,
            torn: log.torn_len() > 0,
        };
        let now = crate::time::now(None)?;
        for (line, listed) in rows {
            match last.remove(&listed.serial) {
                Some((number, entry)) if entry.block_sha256 != hex::encode(listed.block_sha256) => {
                    return Err(refuse(number, format!("the list has another block of {}", listed.serial)));
                }
                Some((number, entry)) => match entry.result {
                    Outcome::Provisioned | Outcome::Found => {
                        let device = device((line, listed), entry, now).map_err(|why| refuse(number, why))?;
                        batch.on_device.push(device);
                    }
                    Outcome::SetAside => batch.set_aside.push(listed.serial),
                    Outcome::Begun | Outcome::Refused => batch.left = batch.left.saturating_add(1),
                },
                None => batch.left = batch.left.saturating_add(1),
            }
        }
        if let Some((serial, (number, _))) = last.into_iter().next() {
            return Err(refuse(number, format!("the list has no device {}", printable(&serial))));
        }
        Ok(batch)
    }
}

fn device((line, listed): (u64, Row), entry: Entry, now: UnixTime) -> Result<Device, String> {
    let time = humantime::parse_rfc3339(&entry.time).ok();
    let seen = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let no_time = || format!("its time, {:?}, is none since 1970", printable(&entry.time));
    let seen = seen.ok_or_else(no_time)?.as_secs();
    if seen > now.0.saturating_add(MAX_AHEAD) {
        return Err(format!("its time, {}, is more than a day after this computer's clock", entry.time));
    }
    let anchors = entry.anchors.unwrap_or_default().into_iter().map(|anchor| anchor.kid).collect();
    Ok(Device {
        line,
        serial: listed.serial,
        vendor: listed.vendor.to_string(),
        class: listed.class.to_string(),
        credential: listed.credential,
        kid: listed.kid,
        key_check: listed.key_check,
        anchors,
        seen,
    })
}
