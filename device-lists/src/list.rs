//! `devices.csv`: the devices of a batch, in the order in which the production line takes them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path};

use csv::{ErrorKind, Position, ReaderBuilder, StringRecord, Writer};
use serde::Deserialize;
use trust::host::Serial;
use trust::provisioning::{MAX_NODE_ADDRESS, is_node_address};
use uuid::Uuid;

use crate::cell::{guarded, unguarded};
use crate::lines::{Lines, beginning};

/// Name of the list in its folder.
pub const LIST_FILE: &str = "devices.csv";
/// Longest list, bytes: 100,000 devices of 320 bytes.
pub const MAX_LIST_LEN: u64 = 32 * 1024 * 1024;
/// Most devices of a list.
pub const MAX_DEVICES: u64 = 100_000;

/// Column that no list of anything else has.
const BLOCK_DIGEST: &str = "block_sha256";
/// The columns, in the order of [`Row::cells`]. A list has exactly these.
const COLUMNS: [&str; 10] = [
    "serial",
    "node_address",
    "vendor",
    "class",
    "device",
    "block",
    BLOCK_DIGEST,
    "credential",
    "kid",
    "key_check",
];

/// Whether a file begins as a list does.
#[must_use]
pub fn is_list(file: &[u8]) -> bool {
    let first = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
    first.strip_suffix(b"\r").unwrap_or(first) == COLUMNS.join(",").as_bytes()
}

/// A device of the list.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Serial.
    pub serial: String,
    /// Node address on the bus.
    pub node_address: u8,
    /// Vendor id.
    pub vendor: Uuid,
    /// Class id.
    pub class: Uuid,
    /// Device id.
    pub device: Uuid,
    /// File name of its block.
    pub block: String,
    /// SHA-256 of its block.
    #[serde(deserialize_with = "hex::serde::deserialize")]
    pub block_sha256: [u8; 32],
    /// File name of its credential, or empty.
    pub credential: String,
    /// kid of its key in hexadecimal digits, or empty.
    pub kid: String,
    /// Key-check values of the device's symmetric keys (`update=a1b2c3d4e5`), or empty; never a key.
    pub key_check: String,
}

impl Row {
    /// Name of its files, without an ending.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.block.strip_suffix(".block").unwrap_or(&self.block)
    }

    /// kid of its key, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        Some(self.kid.as_str()).filter(|kid| !kid.is_empty())
    }

    fn cells(&self) -> [Cow<'_, str>; COLUMNS.len()] {
        [
            Cow::from(&self.serial),
            self.node_address.to_string().into(),
            self.vendor.to_string().into(),
            self.class.to_string().into(),
            self.device.to_string().into(),
            Cow::from(&self.block),
            hex::encode(self.block_sha256).into(),
            Cow::from(&self.credential),
            Cow::from(&self.kid),
            Cow::from(&self.key_check),
        ]
    }

    fn check(&self) -> Result<(), String> {
        self.serial.parse::<Serial>().map_err(|error| error.to_string())?;
        if !is_node_address(self.node_address) {
            return Err(format!("a node address is 1 to {MAX_NODE_ADDRESS}, not {}", self.node_address));
        }
        if !is_file_name(&self.block) {
            return Err(format!("{:?} is no file name", self.block));
        }
        if !self.credential.is_empty() && !is_file_name(&self.credential) {
            return Err(format!("{:?} is no file name", self.credential));
        }
        if !self.kid.is_empty() && hex::decode(&self.kid).map_or(0, |kid| kid.len()) != 8 {
            return Err(format!("{:?} is no kid", self.kid));
        }
        Ok(())
    }
}

/// No path leads out of the folder.
fn is_file_name(text: &str) -> bool {
    let mut parts = Path::new(text).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

/// Why a list cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListFault {
    /// From 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

/// The list of these devices, in which a spreadsheet finds no formula.
///
/// # Errors
/// Those of `csv`; writing to memory has none.
pub fn write_list<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Result<Vec<u8>, csv::Error> {
    let mut list = Writer::from_writer(Vec::new());
    list.write_record(COLUMNS)?;
    for row in rows {
        let cells = row.cells();
        list.write_record(cells.each_ref().map(|cell| guarded(cell).into_owned()))?;
    }
    list.into_inner().map_err(|error| error.into_error().into())
}

/// Reads what [`write_list`] wrote: the devices, each with its line.
///
/// # Errors
/// [`ListFault`]: a row that is none, a serial that stands there twice, no device or more than [`MAX_DEVICES`].
pub fn read_list(bytes: &[u8]) -> Result<Vec<(u64, Row)>, ListFault> {
    let mut reader = ReaderBuilder::new().from_reader(bytes);
    let mut lines = Lines::default();
    let header = reader.headers().map_err(|error| ListFault { line: 1, why: what_is_wrong(&error) })?.clone();
    if !header.iter().any(|column| column.trim_ascii() == BLOCK_DIGEST) {
        let why = format!(
            "it is no list of a batch: manifest-tool provision writes those, with a column {BLOCK_DIGEST}"
        );
        return Err(ListFault { line: 1, why });
    }
    let (mut rows, mut serials) = (Vec::new(), BTreeMap::new());
    for record in reader.records() {
        let mut number =
            |at: Option<&Position>| at.map_or(1, |at| lines.number_at(bytes, beginning(bytes, at)));
        let record = record
            .map_err(|error| ListFault { line: number(error.position()), why: what_is_wrong(&error) })?;
        let line = number(record.position());
        let refuse = |why| ListFault { line, why };
        if rows.len() as u64 >= MAX_DEVICES {
            return Err(refuse(format!("a list has at most {MAX_DEVICES} devices")));
        }
        let record: StringRecord = record.iter().map(unguarded).collect();
        let row = record.deserialize::<Row>(Some(&header)).map_err(|error| refuse(what_is_wrong(&error)))?;
        row.check().map_err(refuse)?;
        if let Some(earlier) = serials.insert(row.serial.clone(), line) {
            return Err(refuse(format!("the serial {} stands on line {earlier} too", row.serial)));
        }
        rows.push((line, row));
    }
    if rows.is_empty() {
        return Err(ListFault { line: 1, why: "it has no device".to_owned() });
    }
    Ok(rows)
}

/// What is wrong with a row, without the position that the message has anyway.
#[must_use]
pub fn what_is_wrong(error: &csv::Error) -> String {
    match error.kind() {
        ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} values, and the header {expected_len}")
        }
        ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(serial: &str) -> Row {
        Row {
            serial: serial.to_owned(),
            node_address: 17,
            vendor: Uuid::from_bytes([1; 16]),
            class: Uuid::from_bytes([2; 16]),
            device: Uuid::from_bytes([3; 16]),
            block: format!("{serial}.block"),
            block_sha256: [4; 32],
            credential: String::new(),
            kid: "0011223344556677".to_owned(),
            key_check: String::new(),
        }
    }

    #[test]
    fn tool80_a_list_of_devices_has_no_formula_and_reads_back() {
        let rows: Vec<Row> = ["=1+1", "+1", "-1", "@x", "'=x", "'", "a,\"b\"", "#1"].map(row).to_vec();
        let list = write_list(&rows).unwrap();
        let cells = csv::Reader::from_reader(&list[..])
            .into_records()
            .flat_map(|record| record.unwrap().iter().map(str::to_owned).collect::<Vec<_>>());
        for cell in cells {
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
        }
        let read = read_list(&list).unwrap();
        assert_eq!(read.iter().map(|(line, _)| *line).collect::<Vec<_>>(), (2..10).collect::<Vec<_>>());
        assert_eq!(read.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn a_list_that_is_none_names_its_line() {
        let list = String::from_utf8(write_list(&[row("A"), row("B")]).unwrap()).unwrap();
        for (from, to, line) in [
            ("B,17", "A,17", 3),
            ("B,17", "B,240", 3),
            ("B,17", "\n\nB,240", 5),
            ("B.block", "../B.block", 3),
            ("0011223344556677", "00112233445566", 2),
            (",,0011223344556677,\nB", ",../x,0011223344556677,\nB", 2),
            ("serial", "serials", 2),
            ("B,17", "B", 3),
        ] {
            let other = list.replacen(from, to, 1);
            assert_eq!(read_list(other.as_bytes()).unwrap_err().line, line, "{other}");
        }
        let fault = read_list(b"serial,node\nA,16\n").unwrap_err();
        assert!(fault.line == 1 && fault.why.contains("no list of a batch"), "{fault:?}");
        assert_eq!(read_list(list.lines().next().unwrap().as_bytes()).unwrap_err().line, 1);
    }
}
