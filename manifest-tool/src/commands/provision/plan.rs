//! Which devices are made: one of the command line, or the lines of a CSV file (RFC 4180).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use device_lists::{Lines, beginning, what_is_wrong};
use ledger::MAX_DEVICES;
use serde::Deserialize;
use trust::host::Serial;
use trust::{Kid, MAX_MINIMUM_SEQUENCE, PublicKey};
use uuid::Uuid;

use super::node_address;
use crate::error::Error;
use crate::files::read;
use crate::identifiers::{Class, device_serial};
use crate::public_key;

/// Longest CSV file of devices, bytes.
const MAX_CSV_LEN: u64 = 32 * 1024 * 1024;

/// A device that gets a provisioning block.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) serial: Serial,
    pub(super) class: Uuid,
    pub(super) node_address: u8,
    pub(super) sequence_floor: u64,
    pub(super) key: Option<PublicKey>,
    /// The file of that key.
    pub(super) key_path: Option<PathBuf>,
}

/// What is the same for all devices that do not say it themselves.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    pub(super) vendor: Uuid,
    pub(super) class: Option<Uuid>,
    pub(super) node_address: u8,
    pub(super) sequence_floor: u64,
}

/// Why a line of a CSV file gives no device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineFault {
    /// Not CSV, an unknown column, a missing value.
    Form(String),
    /// A value is outside of its range.
    Value(String),
    /// Something that must be of one device only is that of an earlier line, too.
    Twice(&'static str, String, u64),
}

impl LineFault {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Value(_) => "devices-file",
            Self::Twice(..) => "device-twice",
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(why) | Self::Value(why) => f.write_str(why),
            Self::Twice(what, value, line) => write!(f, "the {what} {value} is already that of line {line}"),
        }
    }
}

/// A line, as it stands in the file. Other columns are refused: a misspelt one would be a default unseen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    serial: String,
    #[serde(default)]
    node: Option<String>,
    #[serde(default)]
    class: Option<String>,
    #[serde(default)]
    sequence_floor: Option<String>,
    #[serde(default)]
    public_key: Option<PathBuf>,
}

/// Reads the devices of a CSV file, with a header; paths in it are relative to its folder.
pub(super) fn read_devices(path: &Path, defaults: &Defaults) -> Result<Vec<Planned>, Error> {
    let bytes = read(path, MAX_CSV_LEN)?;
    let bytes = trust::host::without_mark(&bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let mut lines = Lines::default();
    let mut line_of = |at: &csv::Position| lines.number_at(bytes, beginning(bytes, at));
    let mut seen = Seen::default();
    let mut devices = Vec::new();
    let refuse = |line, fault| Error::DevicesFile { path: path.to_owned(), line, fault };
    let header = reader.headers().map_err(|error| refuse(1, LineFault::Form(what_is_wrong(&error))))?.clone();
    let mut record = csv::StringRecord::new();
    loop {
        let read = reader.read_record(&mut record).map_err(|error| {
            let line = error.position().map_or(1, &mut line_of);
            refuse(line, LineFault::Form(what_is_wrong(&error)))
        });
        if !read? {
            break;
        }
        let line = record.position().map_or(1, &mut line_of);
        let row = record.deserialize::<Row>(Some(&header)).map_err(|error| {
            // A misspelt column is no fault of the first device.
            let is_header =
                matches!(error.kind(), csv::ErrorKind::Deserialize { err, .. } if err.field().is_none());
            refuse(if is_header { 1 } else { line }, LineFault::Form(what_is_wrong(&error)))
        })?;
        if devices.len() as u64 >= MAX_DEVICES {
            return Err(refuse(
                line,
                LineFault::Value(format!("at most {MAX_DEVICES} devices are made at once")),
            ));
        }
        let key = match row.public_key.as_ref().filter(|key| !key.as_os_str().is_empty()) {
            Some(key) => {
                let key_path = trust::host::folder_of(path).join(key);
                Some((public_key::open(&key_path)?, key_path))
            }
            None => None,
        };
        let planned =
            row.plan(key, defaults).and_then(|planned| seen.add(&planned, &row, line).map(|()| planned));
        devices.push(planned.map_err(|fault| refuse(line, fault))?);
    }
    if devices.is_empty() {
        let fault = LineFault::Form("it has no device: a header and a line for each are required".to_owned());
        return Err(Error::DevicesFile { path: path.to_owned(), line: 1, fault });
    }
    Ok(devices)
}

impl Row {
    fn plan(&self, key: Option<(PublicKey, PathBuf)>, defaults: &Defaults) -> Result<Planned, LineFault> {
        let value = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let serial = device_serial(&self.serial).map_err(LineFault::Value)?;
        let class = match value(&self.class) {
            Some(class) => {
                let class = Class::from_str(&class).map_err(|error| LineFault::Value(error.to_string()))?;
                class.id(defaults.vendor)
            }
            None => defaults.class.ok_or_else(|| {
                LineFault::Form("it has no class: add a column class, or pass --class".to_owned())
            })?,
        };
        let node = value(&self.node).map(|node| node_address(&node)).transpose().map_err(LineFault::Value)?;
        let floor = match value(&self.sequence_floor) {
            Some(floor) => {
                let number = floor.parse().ok().filter(|floor| *floor <= MAX_MINIMUM_SEQUENCE);
                number.ok_or_else(|| {
                    LineFault::Value(format!("a sequence floor is 0 to {MAX_MINIMUM_SEQUENCE}, not {floor}"))
                })?
            }
            None => defaults.sequence_floor,
        };
        Ok(Planned {
            serial,
            class,
            node_address: node.unwrap_or(defaults.node_address),
            sequence_floor: floor,
            key: key.as_ref().map(|(key, _)| *key),
            key_path: key.map(|(_, path)| path),
        })
    }
}

/// What one device only may have, with the line of each.
#[derive(Default)]
struct Seen {
    serials: BTreeMap<String, u64>,
    /// Of lines that name one: where all are the same, each device is alone on its bus.
    nodes: BTreeMap<u8, u64>,
    keys: BTreeMap<[u8; 8], u64>,
}

impl Seen {
    fn add(&mut self, planned: &Planned, row: &Row, line: u64) -> Result<(), LineFault> {
        let serial = planned.serial.as_str().to_owned();
        // Their files may lie on a stick that knows no case.
        if let Some(earlier) = self.serials.insert(serial.to_ascii_lowercase(), line) {
            return Err(LineFault::Twice("serial", serial, earlier));
        }
        let has_node = row.node.as_ref().is_some_and(|node| !node.is_empty());
        if has_node && let Some(earlier) = self.nodes.insert(planned.node_address, line) {
            return Err(LineFault::Twice("node address", format!("{:#04x}", planned.node_address), earlier));
        }
        if let Some(Kid(kid)) = planned.key.map(|key| key.kid())
            && let Some(earlier) = self.keys.insert(kid, line)
        {
            return Err(LineFault::Twice("public key", hex::encode(kid), earlier));
        }
        Ok(())
    }
}
