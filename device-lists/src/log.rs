//! `line.jsonl`: what became of each block of a list on the production line (docs/updater-host.md, Log of the line).

use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};

use crate::list::LIST_FILE;

/// Name of the log, in the folder of its list.
pub const LOG_FILE: &str = "line.jsonl";
/// Longest log, bytes: three lines of 1 KiB for each of 100,000 devices.
pub const MAX_LOG_LEN: u64 = 300 * 1024 * 1024;
/// Longest line, bytes: one with all the anchors that a device can have, twice over.
pub const MAX_LINE_LEN: u64 = 4096;
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

/// Whether a file begins as a log does.
#[must_use]
pub fn is_log(file: &[u8]) -> bool {
    let first = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice(first).is_ok_and(|head: Head| head.format == FORMAT)
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

/// A log that is read, a line at a time: the entries after the first line, each with its number. Its end, or the first
/// fault, is the end of it.
#[derive(Debug)]
pub struct Log<R> {
    reader: R,
    line: u64,
    len: u64,
    torn: u64,
    is_over: bool,
}

/// Why a log cannot be used.
#[derive(Debug)]
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
    /// It cannot be read.
    Read(io::Error),
}

impl LogFault {
    /// The line at fault, and what is wrong; or what the system said.
    ///
    /// # Errors
    /// That of [`LogFault::Read`]
    pub fn into_line(self) -> io::Result<(u64, String)> {
        match self {
            Self::Line { line, why } => Ok((line, why)),
            Self::OtherList => Ok((1, format!("it belongs to another {LIST_FILE} than the one beside it"))),
            Self::Read(error) => Err(error),
        }
    }
}

impl<R: BufRead> Log<R> {
    /// Reads the first line of the log of a list with this digest.
    ///
    /// # Errors
    /// [`LogFault`]
    pub fn begin(reader: R, list_sha256: [u8; 32]) -> Result<Self, LogFault> {
        let refuse = |why: String| LogFault::Line { line: 1, why };
        let mut log = Self { reader, line: 0, len: 0, torn: 0, is_over: false };
        let head = log.next_line()?.ok_or_else(|| refuse("it has no first line".to_owned()))?;
        let head: Head = serde_json::from_slice(&head).map_err(|error| refuse(error.to_string()))?;
        if head.format != FORMAT || head.version != VERSION {
            return Err(refuse(format!("{} version {} is not known here", head.format, head.version)));
        }
        if head.list_sha256 != hex::encode(list_sha256) {
            return Err(LogFault::OtherList);
        }
        Ok(log)
    }

    /// Bytes of the whole lines that were read.
    #[must_use]
    pub fn whole_len(&self) -> u64 {
        self.len
    }

    /// Bytes of a last line without its end, which was being written when the power failed. It counts for nothing.
    #[must_use]
    pub fn torn_len(&self) -> u64 {
        self.torn
    }

    /// The next whole line; `None` at the end.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, LogFault> {
        let mut bytes = Vec::new();
        let mut part = (&mut self.reader).take(MAX_LINE_LEN.saturating_add(1));
        let read = part.read_until(b'\n', &mut bytes).map_err(LogFault::Read)? as u64;
        let line = self.line.saturating_add(1);
        let refuse = |why| LogFault::Line { line, why };
        if read > MAX_LINE_LEN {
            return Err(refuse(format!("it has more than {MAX_LINE_LEN} bytes")));
        }
        if bytes.last() != Some(&b'\n') {
            self.torn = read;
            return Ok(None);
        }
        (self.line, self.len) = (line, self.len.saturating_add(read));
        if self.len > MAX_LOG_LEN {
            return Err(refuse(format!("a log has at most {MAX_LOG_LEN} bytes")));
        }
        Ok(Some(bytes))
    }

    fn next_entry(&mut self) -> Result<Option<(u64, Entry)>, LogFault> {
        let Some(bytes) = self.next_line()? else { return Ok(None) };
        let entry = serde_json::from_slice(&bytes);
        let line = self.line;
        let entry = entry.map_err(|error| LogFault::Line { line, why: error.to_string() })?;
        Ok(Some((line, entry)))
    }
}

impl<R: BufRead> Iterator for Log<R> {
    type Item = Result<(u64, Entry), LogFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.next_entry().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
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
        let torn = format!("{text}{{\"tim");
        let mut log = Log::begin(torn.as_bytes(), [7; 32]).unwrap();
        let entries: Vec<_> = log.by_ref().collect::<Result<_, _>>().unwrap();
        assert_eq!((log.whole_len(), log.torn_len()), (text.len() as u64, 5));
        assert_eq!(entries.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
        let mut written = line_of(&Head::new("2026-11-27T10:00:00Z".to_owned(), [7; 32])).unwrap();
        for (_, entry) in &entries {
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
            let all = |log: &str| Log::begin(log.as_bytes(), [7; 32])?.collect::<Result<Vec<_>, _>>();
            assert_eq!(all(&log).unwrap_err().into_line().unwrap().0, line, "{log}");
        }
        assert!(matches!(Log::begin(head.as_bytes(), [8; 32]), Err(LogFault::OtherList)));
    }

    /// A log without an end fills no memory, and nothing is read behind a fault.
    #[test]
    fn a_log_is_read_a_line_at_a_time() {
        let head = line_of(&Head::new(String::new(), [7; 32])).unwrap();
        let endless = io::BufReader::new(head.chain(io::repeat(b'x')));
        let mut log = Log::begin(endless, [7; 32]).unwrap();
        assert!(matches!(log.next(), Some(Err(LogFault::Line { line: 2, .. }))));
        assert!(log.next().is_none());
        let no_line = Log::begin(io::BufReader::new(io::repeat(b'x')), [7; 32]);
        assert!(matches!(no_line, Err(LogFault::Line { line: 1, .. })));
        let fails = io::BufReader::new(Fails);
        assert!(matches!(Log::begin(fails, [7; 32]), Err(LogFault::Read(_))));
    }

    struct Fails;

    impl io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the stick is gone"))
        }
    }
}
