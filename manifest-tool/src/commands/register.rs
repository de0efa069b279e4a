//! `register`: the devices of a production line in the registry of an update-server (docs/server-api.md). It can be run
//! again, also while the line goes on: the server has what was registered.

mod line;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use device_lists::{LIST_FILE, guarded};
use serde::Serialize;
use trust::author::read_unverified_credential;
use trust::host::{is_line, printable};

use self::line::{Batch, Device};
use crate::describe::kid;
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read, read_file};
use crate::output::{Output, Report, progress_bar, table};
use crate::server::{Imported, IssuerKept, Server, ServerArguments};

/// What a server takes at once: devices, and bytes of CSV (docs/server-api.md).
const MAX_DEVICES: usize = 10_000;
const MAX_CSV_LEN: usize = 8 * 1024 * 1024;
/// Longest line of the CSV, bytes: a credential in hexadecimal digits, 8 anchors, two names of 64 characters.
const MAX_ROW_LEN: usize = 4 * 1024;

/// Exit code when the server refuses devices, docs/errors.md.
const REFUSED_EXIT: u8 = 7;

/// Longest name of a line or an owner, characters.
const MAX_LABEL_LEN: usize = 64;

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
    /// Register the others when the server refuses some devices; without it none of the (at most 10,000) devices that are
    /// sent at once is registered then
    #[arg(long)]
    good_rows: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Serialize)]
pub struct Registered {
    server: String,
    /// Of the issuing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuing: Option<IssuerKept>,
    /// Those that have their block: what the registry did with them.
    #[serde(flatten)]
    done: Imported,
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
        rows.extend(self.done.rows());
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

    /// Whatever a server refuses is bad news.
    fn exit(&self) -> u8 {
        if self.done.refused.is_empty() { 0 } else { REFUSED_EXIT }
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
            let done = send(&server, parts, self.good_rows, output).await?;
            Ok((issuing, done))
        });
        let (issuing, done) = done?;
        Ok(Registered {
            server: self.server.url().to_owned(),
            issuing,
            done,
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
    serial: Cow<'a, str>,
    vendor: &'a str,
    class: &'a str,
    line: Cow<'a, str>,
    owner: Cow<'a, str>,
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

async fn send(server: &Server, parts: Vec<Part>, good_rows: bool, output: Output) -> Result<Imported, Error> {
    let all: usize = parts.iter().map(|part| part.devices).sum();
    let bar = progress_bar(all as u64, "  devices {bar:30} {pos}/{len} {eta}", output);
    let mut done = Imported::default();
    let sent = async {
        for part in parts {
            let step = format!("registering {} to {}", printable(&part.first), printable(&part.last));
            done.add(server.post_devices(&step, part.csv, (part.devices, good_rows), &bar).await?);
            bar.inc(part.devices as u64);
        }
        Ok(())
    }
    .await;
    bar.finish_and_clear();
    match sent {
        Ok(()) => Ok(done),
        Err(cause) if done == Imported::default() => Err(cause),
        Err(cause) => Err(Error::LaterPart { done, cause: Box::new(cause) }),
    }
}

/// A name as a registry takes it (docs/server-api.md).
fn label(text: &str) -> Result<String, String> {
    if is_line(text, usize::MAX) && text.chars().count() <= MAX_LABEL_LEN {
        Ok(text.to_owned())
    } else {
        Err(format!("a name is 1 to {MAX_LABEL_LEN} printable characters, without a space at either end"))
    }
}

/// Reads the credential of an issuing key, and its kid. No other file is sent: it could be a private key.
fn read_issuing(path: &Path) -> Result<(Vec<u8>, String), Error> {
    let bytes = read(path, MAX_RECORD_FILE_LEN)?;
    let issuing_kid = kid(super::credential::read_issuing(path, &bytes)?.key().kid());
    Ok((bytes, issuing_kid))
}
