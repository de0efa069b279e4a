//! `register`: the devices of a production line in the registry of an update-server (docs/server-api.md). It can be run
//! again, also while the line goes on: the server has what was registered.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use trust::UnixTime;
use trust::author::read_unverified_credential;
use trust::host::{Serial, printable};

use super::provision::LIST_FILE;
use crate::describe::kid;
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read, read_file};
use crate::output::{Output, Report, progress_bar, table};
use crate::server::{IssuerKept, Server, ServerArguments};

/// What the production line keeps beside the list (docs/updater-host.md, Log of the line).
const LOG_FILE: &str = "line.jsonl";
const LOG_FORMAT: &str = "anchorage-line";
const LOG_VERSION: u32 = 1;
/// Longest log, bytes: three lines of 1 KiB for each of 100,000 devices.
const MAX_LOG_LEN: u64 = 300 * 1024 * 1024;
/// Longest list, bytes: 100,000 devices of 320 bytes.
const MAX_LIST_LEN: u64 = 32 * 1024 * 1024;
/// How far the clock of a line may be ahead, seconds. What is told of the future would outdo what is known since.
const MAX_AHEAD: u64 = 24 * 60 * 60;
/// What a server takes at once: devices, and bytes of CSV (docs/server-api.md).
const MAX_DEVICES: usize = 10_000;
const MAX_CSV_LEN: usize = 8 * 1024 * 1024;
/// Longest line of the CSV, bytes: a credential in hexadecimal digits, 8 anchors, two names of 64 characters.
const MAX_ROW_LEN: usize = 4 * 1024;

/// Enter the devices of a production line in an update-server's registry
#[derive(clap::Args, Clone, Debug)]
pub struct Register {
    /// Folder of the batch, as `provision --out-dir` made it, with the log of the production line
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Credential of the issuing key, sent first; the server needs it for devices that have a key
    #[arg(long, value_name = "FILE")]
    issuing: Option<PathBuf>,
    /// Name of the production line, which the registry keeps with each device
    #[arg(long, value_name = "NAME", value_parser = label)]
    line: Option<String>,
    /// Owner of the devices, which the registry keeps with each device
    #[arg(long, value_name = "NAME", value_parser = label)]
    owner: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Serialize)]
pub struct Registered {
    server: String,
    /// Of the issuing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuing: Option<IssuerKept>,
    /// That have their block, and are in the registry.
    devices: usize,
    /// Of these, that were not there before.
    new: u64,
    /// Of the list, that have no block yet.
    left: usize,
    /// Serials whose block no device gets.
    set_aside: Vec<String>,
    /// A last line that the power cut off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    torn: bool,
}

impl Report for Registered {
    fn lines(&self) -> String {
        let mut rows = vec![("server", self.server.clone())];
        rows.extend(self.issuing.as_ref().map(|it| ("issuing key", it.to_string())));
        rows.push(("registered", format!("{} devices, {} of them new", self.devices, self.new)));
        if self.left > 0 {
            rows.push(("left", format!("{} devices of the list have no block yet", self.left)));
        }
        if !self.set_aside.is_empty() {
            rows.push(("set aside", self.set_aside.join(", ")));
        }
        if self.torn {
            rows.push(("log", "its last line is cut off, and does not count".to_owned()));
        }
        table(&rows)
    }
}

impl Register {
    pub fn run(&self, output: Output) -> Result<Registered, Error> {
        let batch = Batch::read(&self.folder)?;
        let issuing = self.issuing.as_deref().map(read_issuing).transpose()?;
        let parts = self.parts(&batch)?;
        let done = self.server.run(output, async |server| {
            let issuing = match issuing {
                Some((credential, kid)) => Some(server.put_issuer(credential, &kid).await?),
                None => None,
            };
            let new = send(&server, parts, output).await?;
            Ok((issuing, new))
        });
        let (issuing, new) = done?;
        Ok(Registered {
            server: self.server.url().to_owned(),
            issuing,
            devices: batch.on_device.len(),
            new,
            left: batch.left,
            set_aside: batch.set_aside,
            torn: batch.torn,
        })
    }

    /// The CSV of the devices, in parts that a server takes.
    fn parts(&self, batch: &Batch) -> Result<Vec<Part>, Error> {
        let mut parts: Vec<Part> = Vec::new();
        let mut writer: Option<(csv::Writer<Vec<u8>>, usize, Part)> = None;
        let failed = |_| Error::Internal("a device cannot be written as CSV");
        for device in &batch.on_device {
            let row = self.row(&batch.folder, device)?;
            let serial = device.serial.clone();
            let is_full = |len: usize, part: &Part| {
                part.devices == MAX_DEVICES || len.saturating_add(MAX_ROW_LEN) > MAX_CSV_LEN
            };
            if writer.as_ref().is_some_and(|(_, len, part)| is_full(*len, part)) {
                parts.extend(writer.take().map(finish).transpose()?);
            }
            let (to, len, part) = writer.get_or_insert_with(|| {
                let part = Part { first: serial.clone(), ..Part::default() };
                (
                    csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new()),
                    0,
                    part,
                )
            });
            to.serialize(&row).map_err(failed)?;
            to.flush().map_err(|_| Error::Internal("a device cannot be written as CSV"))?;
            *len = to.get_ref().len();
            part.devices = part.devices.saturating_add(1);
            part.last = serial;
        }
        parts.extend(writer.map(finish).transpose()?);
        Ok(parts)
    }

    fn row<'a>(&'a self, folder: &Path, device: &'a Device) -> Result<Row<'a>, Error> {
        let credential = match device.credential.as_str() {
            "" => String::new(),
            name => {
                let refuse =
                    |why: String| Error::LineLog { path: folder.join(LIST_FILE), line: device.line, why };
                let mut parts = Path::new(name).components();
                if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                    return Err(refuse(format!("{:?} is no file name", printable(name))));
                }
                let path = folder.join(name);
                let credential = read_file(&path, MAX_RECORD_FILE_LEN)?;
                let claims = read_unverified_credential(&credential)
                    .map_err(|error| Error::refused_record(&path, error))?;
                let certified = kid(claims.key().kid());
                if claims.issuing_key().is_none() || certified != device.kid {
                    let (file, wanted) = (printable(name), printable(&device.kid));
                    return Err(refuse(format!(
                        "{file} is a credential of the key {certified}, not of {wanted}"
                    )));
                }
                hex::encode(&credential)
            }
        };
        Ok(Row {
            serial: guarded(&device.serial),
            vendor: &device.vendor,
            class: &device.class,
            line: guarded(self.line.as_deref().unwrap_or_default()),
            owner: guarded(self.owner.as_deref().unwrap_or_default()),
            anchors: device.anchors.join(" "),
            credential,
            key_checks: &device.key_check,
            last_seen: device.seen,
        })
    }
}

/// The columns of a registry that a production line knows.
#[derive(Serialize)]
struct Row<'a> {
    serial: String,
    vendor: &'a str,
    class: &'a str,
    line: String,
    owner: String,
    anchors: String,
    credential: String,
    key_checks: &'a str,
    last_seen: u64,
}

/// Devices that are sent at once: all of them are registered, or none.
#[derive(Default)]
struct Part {
    csv: Vec<u8>,
    devices: usize,
    first: String,
    last: String,
}

fn finish((writer, _, part): (csv::Writer<Vec<u8>>, usize, Part)) -> Result<Part, Error> {
    let csv = writer.into_inner().map_err(|_| Error::Internal("a device cannot be written as CSV"))?;
    Ok(Part { csv, ..part })
}

async fn send(server: &Server, parts: Vec<Part>, output: Output) -> Result<u64, Error> {
    let all: usize = parts.iter().map(|part| part.devices).sum();
    let bar = progress_bar(all as u64, "  devices {bar:30} {pos}/{len} {eta}", output);
    let mut new = 0_u64;
    for part in parts {
        let step = format!("registering {} to {}", printable(&part.first), printable(&part.last));
        new = new.saturating_add(server.post_devices(&step, part.csv, part.devices).await?);
        bar.inc(part.devices as u64);
    }
    bar.finish_and_clear();
    Ok(new)
}

/// A cell that a registry reads as this text: its own lists guard formulas by an apostrophe, which it takes off.
fn guarded(cell: &str) -> String {
    let is_formula = cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if is_formula { format!("'{cell}") } else { cell.to_owned() }
}

/// 1 to 64 characters, as a registry takes them.
fn label(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.chars().count()) && text.trim() == text;
    if fits && printable(text) == text {
        Ok(text.to_owned())
    } else {
        Err("a name is 1 to 64 printable characters, without a space at either end".to_owned())
    }
}

/// Reads the credential of an issuing key, and its kid. No other file is sent: it could be a private key.
fn read_issuing(path: &Path) -> Result<(Vec<u8>, String), Error> {
    let bytes = read(path, MAX_RECORD_FILE_LEN)?;
    let claims = read_unverified_credential(&bytes).map_err(|error| Error::refused_record(path, error))?;
    let issuing_kid = kid(claims.key().kid());
    Ok((bytes, issuing_kid))
}

/// A device that has its block.
struct Device {
    /// Where it is in the list.
    line: u64,
    serial: String,
    vendor: String,
    class: String,
    /// File name, or empty.
    credential: String,
    kid: String,
    key_check: String,
    /// kids.
    anchors: Vec<String>,
    /// Seconds since the epoch.
    seen: u64,
}

/// A list of devices, and what became of it on the production line.
struct Batch {
    folder: PathBuf,
    on_device: Vec<Device>,
    set_aside: Vec<String>,
    left: usize,
    torn: bool,
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

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Begun,
    Refused,
    Provisioned,
    Found,
    SetAside,
}

#[derive(Deserialize)]
struct AnchorFacts {
    kid: String,
}

impl Batch {
    fn read(folder: &Path) -> Result<Self, Error> {
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
