//! The list of devices that `manifest-tool provision --out-dir` makes, and their blocks beside it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use trust::host::Serial;
use update_protocol::profile::is_node_address;
use uuid::Uuid;

use super::super::provision::Block;
use crate::error::{Error, LineFault};
use crate::files;

const LIST_FILE: &str = "devices.csv";
/// Longest list, bytes: 100,000 devices of 320 bytes.
const MAX_LIST_LEN: u64 = 32 * 1024 * 1024;
/// Most devices of a list: as many as manifest-tool makes at once.
const MAX_DEVICES: u64 = 100_000;

/// A line of the list. The columns are exactly these.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) serial: String,
    pub(super) node_address: u8,
    pub(super) vendor: Uuid,
    pub(super) class: Uuid,
    pub(super) device: Uuid,
    /// File name of its block.
    block: String,
    #[serde(deserialize_with = "hex::serde::deserialize")]
    pub(super) block_sha256: [u8; 32],
    /// File name of its credential, or empty.
    #[serde(rename = "credential")]
    _credential: String,
    /// kid of its key, or empty.
    pub(super) kid: String,
    #[serde(rename = "key_check")]
    _key_check: String,
}

impl Row {
    fn check(&self) -> Result<(), String> {
        self.serial.parse::<Serial>().map_err(|error| error.to_string())?;
        if !is_node_address(self.node_address) {
            return Err(format!("a node address is 1 to 239, not {}", self.node_address));
        }
        let mut parts = Path::new(&self.block).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(format!("{:?} is no file name", self.block));
        }
        if !self.kid.is_empty() && hex::decode(&self.kid).map_or(0, |kid| kid.len()) != 8 {
            return Err(format!("{:?} is no kid", self.kid));
        }
        Ok(())
    }

    /// Name of its files, without an ending.
    pub(super) fn file_name(&self) -> &str {
        self.block.strip_suffix(".block").unwrap_or(&self.block)
    }

    pub(super) fn kid(&self) -> Option<&str> {
        Some(self.kid.as_str()).filter(|kid| !kid.is_empty())
    }
}

/// The devices of a production line, in their order.
#[derive(Debug)]
pub(super) struct List {
    folder: PathBuf,
    pub(super) rows: Vec<Row>,
    by_serial: BTreeMap<String, usize>,
    pub(super) sha256: [u8; 32],
}

impl List {
    /// # Errors
    /// [`LineFault::List`], those of [`files::read_file`]
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(LIST_FILE);
        let bytes = files::read_file(&path, MAX_LIST_LEN)?;
        let refuse = |line, why| Error::Line(LineFault::List { path: path.clone(), line, why });
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let (mut rows, mut by_serial) = (Vec::<Row>::new(), BTreeMap::new());
        for row in reader.deserialize::<Row>() {
            let row =
                row.map_err(|error| refuse(error.position().map_or(1, csv::Position::line), form(&error)))?;
            let line = rows.len() as u64 + 2;
            if rows.len() as u64 >= MAX_DEVICES {
                return Err(refuse(line, format!("a list has at most {MAX_DEVICES} devices")));
            }
            row.check().map_err(|why| refuse(line, why))?;
            if by_serial.insert(row.serial.clone(), rows.len()).is_some() {
                return Err(refuse(line, format!("the serial {} stands there twice", row.serial)));
            }
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(refuse(1, "it has no device".to_owned()));
        }
        let sha256 = trust::sha256(&bytes);
        Ok(Self { folder: folder.to_owned(), rows, by_serial, sha256 })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(LIST_FILE)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn row(&self, serial: &str) -> Option<&Row> {
        self.rows.get(*self.by_serial.get(serial)?)
    }

    /// Reads the block of a device. It is the one of the list, and for this device.
    ///
    /// # Errors
    /// [`LineFault::Block`], those of [`Block::read`]
    pub(super) fn block(&self, row: &Row) -> Result<Block, Error> {
        let path = self.folder.join(&row.block);
        let block = Block::read(&path);
        let differs = |why: String| {
            let (path, serial) = (path.clone(), row.serial.clone());
            Err(Error::Line(LineFault::Block { path, serial, why }))
        };
        let block = match block {
            Ok(block) => block,
            // A damaged one is named with the device that it is for.
            Err(error @ (Error::Refused { .. } | Error::ProvisionConflict(_) | Error::FileEmpty(_))) => {
                return differs(format!("{error} [{}]", error.code()));
            }
            Err(error) => return Err(error),
        };
        let sha256 = trust::sha256(&block.bytes);
        if sha256 != row.block_sha256 {
            return differs(format!(
                "its SHA-256 is {}, and that of the list {}",
                hex::encode(sha256),
                hex::encode(row.block_sha256)
            ));
        }
        let identity = block.identity();
        let ids = [identity.vendor, identity.class, identity.device].map(Uuid::from_bytes);
        if identity.serial() != row.serial
            || identity.node_address != row.node_address
            || ids != [row.vendor, row.class, row.device]
        {
            return differs(format!(
                "it is for {} with node 0x{:02X}, class {} and device id {}",
                identity.serial(),
                identity.node_address,
                ids[1],
                ids[2]
            ));
        }
        Ok(block)
    }
}

/// What is wrong with a line, without the position that the message has anyway.
fn form(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} values, and the header {expected_len}")
        }
        _ => error.to_string(),
    }
}
