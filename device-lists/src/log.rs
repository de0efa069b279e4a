//! `line.jsonl`: what became of each block of a list on the production line (docs/updater-host.md, Log of the line).

use serde::{Deserialize, Serialize};

use crate::list::LIST_FILE;

/// Name of the log, in the folder of its list.
pub const LOG_FILE: &str = "line.jsonl";
/// Longest log, bytes: three lines of 1 KiB for each of 100,000 devices.
pub const MAX_LOG_LEN: u64 = 300 * 1024 * 1024;
const FORMAT: &str = "anchorage-line";
const VERSION: u32 = 1;

/// The first line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    format: String,
    version: u32,
    time: String,
    list_sha256: String,
}

impl Head {
    /// The first line of a log that begins now (RFC 3339), for a list of this digest.
    #[must_use]
    pub fn new(time: String, list_sha256: [u8; 32]) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, time, list_sha256: hex::encode(list_sha256) }
    }
}

/// What became of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
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
pub struct AnchorFacts {
    /// Hexadecimal digits.
    pub kid: String,
    /// A bit set (docs/records.md).
    pub rights: u8,
    /// Hexadecimal digits.
    pub domain: String,
}

/// A line after the first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// RFC 3339.
    pub time: String,
    /// What became of the block.
    pub result: Outcome,
    /// Serial of the block.
    pub serial: String,
    /// As the list has it.
    pub node_address: u8,
    /// UUID.
    pub vendor: String,
    /// UUID.
    pub class: String,
    /// UUID.
    pub device: String,
    /// kid of the device's key, if it has one.
    pub kid: Option<String>,
    /// Hexadecimal digits.
    pub block_sha256: String,
    /// Factory tag of the device to which the block goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factory_tag: Option<String>,
    /// Version of the device's loader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader_version: Option<String>,
    /// What it reports when it has its block, and the successions of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchors: Option<Vec<AnchorFacts>>,
}

/// A line of the log, as bytes.
///
/// # Errors
/// Those of `serde_json`; these types have none.
pub fn line_of(content: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(content)?;
    line.push(b'\n');
    Ok(line)
}

/// A log that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// The lines after the first, each with its number.
    pub entries: Vec<(u64, Entry)>,
    /// Bytes of whole lines.
    pub len: usize,
    /// Bytes of a last line without its end, which was being written when the power failed. It counts for nothing.
    pub torn: usize,
}

/// Why a log cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogFault {
    /// A line is none that a production line writes.
    Line {
        /// From 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// It was begun with another list.
    OtherList,
}

impl LogFault {
    /// The line at fault, and what is wrong.
    #[must_use]
    pub fn into_line(self) -> (u64, String) {
        match self {
            Self::Line { line, why } => (line, why),
            Self::OtherList => (1, format!("it belongs to another {LIST_FILE} than the one beside it")),
        }
    }
}

/// Reads the log of a list with this digest.
///
/// # Errors
/// [`LogFault`]
pub fn read_log(bytes: &[u8], list_sha256: [u8; 32]) -> Result<Log, LogFault> {
    let refuse = |line, why: String| LogFault::Line { line, why };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end.saturating_add(1));
    let (whole, torn) = bytes.split_at_checked(whole).unwrap_or_default();
    let mut lines = (1_u64..).zip(whole.split_inclusive(|byte| *byte == b'\n'));
    let (_, head) = lines.next().ok_or_else(|| refuse(1, "it has no first line".to_owned()))?;
    let head: Head = serde_json::from_slice(head).map_err(|error| refuse(1, error.to_string()))?;
    if head.format != FORMAT || head.version != VERSION {
        return Err(refuse(1, format!("{} version {} is not known here", head.format, head.version)));
    }
    if head.list_sha256 != hex::encode(list_sha256) {
        return Err(LogFault::OtherList);
    }
    let entries = lines.map(|(number, line)| {
        let entry = serde_json::from_slice(line).map_err(|error| refuse(number, error.to_string()))?;
        Ok((number, entry))
    });
    Ok(Log { entries: entries.collect::<Result<_, _>>()?, len: whole.len(), torn: torn.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 1; never edited, only added to.
    #[test]
    fn a_log_of_version_1_reads() {
        let head = r#"{"format":"anchorage-line","version":1,"time":"2026-11-27T10:00:00Z","list_sha256":"#;
        let head = format!("{head}\"{}\"}}\n", "07".repeat(32));
        let begun = r#"{"time":"2026-11-27T10:01:00Z","result":"begun","serial":"A","node_address":17,"vendor":"v","class":"c","device":"d","kid":null,"block_sha256":"00","factory_tag":"01"}"#;
        let made = r#"{"time":"2026-11-27T10:02:00Z","result":"provisioned","serial":"A","node_address":17,"vendor":"v","class":"c","device":"d","kid":"00","block_sha256":"00","loader_version":"1.0.0","anchors":[{"kid":"00","rights":15,"domain":"00"}]}"#;
        let text = format!("{head}{begun}\n{made}\n");
        let log = read_log(format!("{text}{{\"tim").as_bytes(), [7; 32]).unwrap();
        assert_eq!((log.len, log.torn), (text.len(), 5));
        assert_eq!(log.entries.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
        let mut written = line_of(&Head::new("2026-11-27T10:00:00Z".to_owned(), [7; 32])).unwrap();
        for (_, entry) in &log.entries {
            written.extend(line_of(entry).unwrap());
        }
        assert_eq!(String::from_utf8(written).unwrap(), text);
    }

    #[test]
    fn a_log_that_is_none_names_its_line() {
        let head = String::from_utf8(line_of(&Head::new(String::new(), [7; 32])).unwrap()).unwrap();
        for (log, line) in [
            (String::new(), 1),
            ("{".to_owned(), 1),
            (head.replace("line", "lines"), 1),
            (head.replace(":1,", ":2,"), 1),
            (format!("{head}{{}}\n"), 2),
        ] {
            let fault = read_log(log.as_bytes(), [7; 32]).unwrap_err();
            assert_eq!(fault.into_line().0, line, "{log}");
        }
        assert_eq!(read_log(head.as_bytes(), [8; 32]), Err(LogFault::OtherList));
    }
}
