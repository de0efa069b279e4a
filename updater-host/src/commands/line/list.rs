//! The list of devices that `manifest-tool provision --out-dir` makes, and their blocks beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use device_lists::{LIST_FILE, ListFault, MAX_LIST_LEN, Row, read_list};
use uuid::Uuid;

use super::super::provision::Block;
use crate::error::{Error, LineFault};
use crate::files;

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
        let rows = read_list(&bytes).map_err(|ListFault { line, why }| refuse(line, why))?;
        let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
        let by_serial = (0..).zip(&rows).map(|(place, row)| (row.serial.clone(), place)).collect();
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
