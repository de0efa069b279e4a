//! The folder of a production line: the list that `provision` makes, and the log that `updater-host` keeps beside it
//! (docs/updater-host.md, Log of the line).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use trust::UnixTime;
use trust::host::{Serial, printable};

use crate::commands::provision::LIST_FILE;
use crate::error::Error;
use crate::files::read_file;

const LOG_FILE: &str = "line.jsonl";
const LOG_FORMAT: &str = "anchorage-line";
const LOG_VERSION: u32 = 1;
/// Longest log, bytes: three lines of 1 KiB for each of 100,000 devices.
const MAX_LOG_LEN: u64 = 300 * 1024 * 1024;
/// Longest list, bytes: 100,000 devices of 320 bytes.
const MAX_LIST_LEN: u64 = 32 * 1024 * 1024;
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

/// A line of the list, as `provision` writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    serial: String,
    #[serde(rename = "node_address")]
    _node_address: u8,
    vendor: String,
    class: String,
    #[serde(rename = "device")]
    _device: String,
    #[serde(rename = "block")]
    _block: String,
    block_sha256: String,
    credential: String,
    kid: String,
    key_check: String,
}

/// The first line of the log.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
    list_sha256: String,
}

/// A line of the log after the first, as far as a registry needs it.
#[derive(Deserialize)]
struct Entry {
    time: String,
    result: Outcome,
    serial: String,
    block_sha256: String,
    anchors: Option<Vec<AnchorFacts>>,
}

/// What became of a block.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Begun,
    Refused,
    Provisioned,
    Found,
    SetAside,
}

/// An anchor that a device reported.
#[derive(Deserialize)]
struct AnchorFacts {
    kid: String,
}

impl Batch {
    /// Reads list and log, which belong together.
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let list = read_file(&folder.join(LIST_FILE), MAX_LIST_LEN)?;
        let path = folder.join(LOG_FILE);
        if !path.exists() {
            return Err(Error::NoLineLog(path));
        }
        let log = read_file(&path, MAX_LOG_LEN)?;
        let refuse = |line, why: String| Error::LineLog { path: path.clone(), line, why };

        let whole = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end.saturating_add(1));
        let (lines, torn) = log.split_at_checked(whole).unwrap_or_default();
        let mut lines = (1_u64..).zip(lines.split_inclusive(|byte| *byte == b'\n'));
        let (_, head) = lines.next().ok_or_else(|| refuse(1, "it has no first line".to_owned()))?;
        let head: Head = serde_json::from_slice(head).map_err(|error| refuse(1, error.to_string()))?;
        if head.format != LOG_FORMAT || head.version != LOG_VERSION {
            let why = format!("{} version {} is not known here", printable(&head.format), head.version);
            return Err(refuse(1, why));
        }
        if head.list_sha256 != hex::encode(trust::sha256(&list)) {
            return Err(refuse(1, format!("it belongs to another {LIST_FILE} than the one beside it")));
        }
        let mut last: BTreeMap<String, (u64, Entry)> = BTreeMap::new();
        for (number, line) in lines {
            let entry: Entry =
                serde_json::from_slice(line).map_err(|error| refuse(number, error.to_string()))?;
            last.insert(entry.serial.clone(), (number, entry));
        }

        let mut batch = Self {
            folder: folder.to_owned(),
            on_device: Vec::new(),
            set_aside: Vec::new(),
            left: 0,
            torn: !torn.is_empty(),
        };
        let now = crate::time::now(None)?;
        for (line, listed) in listed(&folder.join(LIST_FILE), &list)? {
            match last.remove(&listed.serial) {
                Some((number, entry)) if entry.block_sha256 != listed.block_sha256 => {
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

/// The devices of a list, each with its line.
fn listed(path: &Path, list: &[u8]) -> Result<Vec<(u64, Listed)>, Error> {
    let mut reader = csv::Reader::from_reader(list);
    let refuse = |line, why: String| Error::LineLog { path: path.to_owned(), line, why };
    let mut rows = Vec::new();
    for row in reader.deserialize::<Listed>() {
        let row =
            row.map_err(|error| refuse(error.position().map_or(1, csv::Position::line), error.to_string()))?;
        // provision writes one line for each, and nothing between them.
        let line = (rows.len() as u64).saturating_add(2);
        row.serial.parse::<Serial>().map_err(|error| refuse(line, error.to_string()))?;
        rows.push((line, row));
    }
    Ok(rows)
}

fn device((line, listed): (u64, Listed), entry: Entry, now: UnixTime) -> Result<Device, String> {
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
        vendor: listed.vendor,
        class: listed.class,
        credential: listed.credential,
        kid: listed.kid,
        key_check: listed.key_check,
        anchors,
        seen,
    })
}
