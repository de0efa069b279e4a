//! The devices that are to read an image, each with its update key: out of a master key, or from a file that has the keys.

use std::path::Path;

use csv_core::{ReadRecordResult, Reader};
use device_lists::{Lines, MAX_LIST_LEN, Row as ListRow, read_list, unguarded};
use suit_manifest::author::UpdateDescription;
use trust::Kid;
use trust::aes::Key128;
use trust::author::{DerivedKey, Recipient};
use trust::device_keys::Purpose;
use trust::host::{Serial, without_mark};
use zeroize::Zeroizing;

use crate::commands::provision::LineFault;
use crate::error::Error;
use crate::files::{must_be_private, read, read_secret};
use crate::identifiers::device_serial;
use crate::master_key::{LineKeys, key_check, listed_key_check, purpose_name};

/// Columns of a file of recipients.
const COLUMNS: [&str; 3] = ["serial", "kid", "key"];
/// Longest file of recipients, bytes.
const MAX_FILE_LEN: u64 = 1024 * 1024;

/// A device that is to read an image.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) serial: Serial,
    /// Its update key.
    pub(crate) key: DerivedKey,
}

impl Device {
    /// As whom the device finds itself in an encryption-info.
    pub(crate) fn recipient(&self) -> Result<Recipient, Error> {
        let key = self.key.bytes.as_slice().try_into().map(Key128::new);
        let key = key.map_err(|_| Error::Internal("an update key has another length"))?;
        Ok(Recipient { kid: self.key.kid.0.to_vec(), key })
    }
}

/// Whether a file begins as one of recipients does.
pub(crate) fn is_recipients(file: &[u8]) -> bool {
    let first = without_mark(file).split(|byte| *byte == b'\n').next().unwrap_or_default();
    first.trim_ascii_end() == COLUMNS.join(",").as_bytes()
}

/// A device whose keys come out of a master key, and its line in the list of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'p> {
    pub(crate) serial: Serial,
    pub(crate) listed: Option<Listed<'p>>,
}

/// What a list says of a device.
#[derive(Clone, Debug)]
pub(crate) struct Listed<'p> {
    path: &'p Path,
    line: u64,
    pub(crate) row: ListRow,
}

impl Listed<'_> {
    /// The line is at fault.
    pub(crate) fn refuse(&self, why: String) -> Error {
        Error::DevicesFile { path: self.path.to_owned(), line: self.line, fault: LineFault::Value(why) }
    }
}

impl Wanted<'_> {
    /// Fails if a list says that it is a device of another kind than the release is for.
    pub(crate) fn must_be_for(&self, update: &UpdateDescription) -> Result<(), Error> {
        let Some(listed) = &self.listed else { return Ok(()) };
        let (vendor, class) = (listed.row.vendor.as_bytes(), listed.row.class.as_bytes());
        if (vendor, class) == (&update.vendor, &update.class) {
            return Ok(());
        }
        Err(listed.refuse(format!("{} is of another vendor or class than the release", self.serial)))
    }

    /// A key of it; if a list names the device, the one whose key-check value the list has.
    pub(crate) fn key(&self, keys: &LineKeys, purpose: Purpose) -> Result<DerivedKey, Error> {
        let key = keys.key(self.serial.as_str(), purpose)?;
        let Some(listed) = &self.listed else { return Ok(key) };
        let Some(check) = listed_key_check(&listed.row.key_check, purpose) else {
            let name = purpose_name(purpose);
            return Err(listed.refuse(format!("{} was made without an {name} key", self.serial)));
        };
        let found = key_check(&key);
        if found != check {
            let serial = self.serial.to_string();
            return Err(Error::KeyCheck { serial, found, listed: check.to_owned() });
        }
        Ok(key)
    }
}

/// Devices by their serials, or those of the list of a batch.
pub(crate) fn wanted<'p>(serials: &[Serial], list: Option<&'p Path>) -> Result<Vec<Wanted<'p>>, Error> {
    let mut seen: Vec<String> = Vec::new();
    for serial in serials {
        let name = serial.as_str().to_ascii_lowercase();
        if seen.contains(&name) {
            return Err(Error::usage(format!("--serial {serial} is given twice")));
        }
        seen.push(name);
    }
    match list {
        Some(list) => of_list(list, serials),
        None => Ok(serials.iter().map(|serial| Wanted { serial: serial.clone(), listed: None }).collect()),
    }
}

/// The devices of a list, or those of them that are wanted.
fn of_list<'p>(path: &'p Path, wanted: &[Serial]) -> Result<Vec<Wanted<'p>>, Error> {
    let list = read_list(&read(path, MAX_LIST_LEN)?).map_err(|fault| Error::DevicesFile {
        path: path.to_owned(),
        line: fault.line,
        fault: LineFault::Form(fault.why),
    })?;
    if let Some(serial) =
        wanted.iter().find(|serial| list.iter().all(|(_, row)| row.serial != serial.as_str()))
    {
        return Err(Error::usage(format!("--serial {serial} is not in {}", path.display())));
    }
    let mut devices = Vec::new();
    for (line, row) in list {
        let serial: Serial =
            row.serial.parse().map_err(|_| Error::Internal("the list has what is no serial"))?;
        if wanted.is_empty() || wanted.contains(&serial) {
            devices.push(Wanted { serial, listed: Some(Listed { path, line, row }) });
        }
    }
    Ok(devices)
}

/// [`wanted`], with their update keys.
pub(crate) fn derive(
    keys: &LineKeys,
    serials: &[Serial],
    list: Option<&Path>,
    update: &UpdateDescription,
) -> Result<Vec<Device>, Error> {
    let device = |wanted: Wanted<'_>| {
        wanted.must_be_for(update)?;
        let key = wanted.key(keys, Purpose::Update)?;
        Ok(Device { serial: wanted.serial, key })
    };
    wanted(serials, list)?.into_iter().map(device).collect()
}

/// Reads a file that has the keys: CSV (RFC 4180) with the columns serial, kid and key, the latter two in hexadecimal digits.
pub(crate) fn read_recipients(path: &Path) -> Result<Vec<Device>, Error> {
    must_be_private(path)?;
    let file = read_secret(path, MAX_FILE_LEN)?;
    let refuse = |line, fault| Error::DevicesFile { path: path.to_owned(), line, fault };
    let mut rows = Rows::of(&file);
    let header = rows.next_row().map(|(_, row)| row);
    if header.is_none_or(|row| row.fields().ok() != Some(COLUMNS.map(str::as_bytes))) {
        let header = COLUMNS.join(",");
        return Err(refuse(1, LineFault::Form(format!("the header of a file of recipients is {header}"))));
    }
    let mut devices: Vec<(u64, Device)> = Vec::new();
    while let Some((line, row)) = rows.next_row() {
        let device = row.device().map_err(|fault| refuse(line, fault))?;
        for (earlier, other) in &devices {
            check_other(&device, other, *earlier).map_err(|fault| refuse(line, fault))?;
        }
        devices.push((line, device));
    }
    if devices.is_empty() {
        let fault = LineFault::Form("it has no device: a header and a line for each are required".to_owned());
        return Err(refuse(1, fault));
    }
    Ok(devices.into_iter().map(|(_, device)| device).collect())
}

/// Serial, kid and key are of one device each.
fn check_other(device: &Device, other: &Device, line: u64) -> Result<(), LineFault> {
    if device.serial.as_str().eq_ignore_ascii_case(other.serial.as_str()) {
        return Err(LineFault::Twice("serial", device.serial.to_string(), line));
    }
    if device.key.kid == other.key.kid {
        return Err(LineFault::Twice("kid", hex::encode(device.key.kid.0), line));
    }
    if device.key.bytes == other.key.bytes {
        return Err(LineFault::Value(format!("its key is that of line {line} as well")));
    }
    Ok(())
}

/// The rows of a file with keys. The crate csv keeps what it reads in memory that nobody wipes.
struct Rows<'f> {
    file: &'f [u8],
    /// Bytes of it that are read.
    read: usize,
    reader: Reader,
    lines: Lines,
    /// Of the present row, its fields one behind the other.
    fields: Zeroizing<Vec<u8>>,
}

/// A row: of a longer one the fields behind the third are not told apart.
struct Row<'r> {
    fields: &'r [u8],
    ends: [usize; COLUMNS.len() + 1],
    count: usize,
}

impl<'f> Rows<'f> {
    fn of(file: &'f [u8]) -> Self {
        let file = without_mark(file);
        let fields = Zeroizing::new(vec![0; file.len() + 1]);
        Self { file, read: 0, reader: Reader::new(), lines: Lines::default(), fields }
    }

    /// The next row and its line, from 1.
    fn next_row(&mut self) -> Option<(u64, Row<'_>)> {
        let rest = self.file.get(self.read..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let line = self.lines.number_at(self.file, self.read + blank);
        let (mut ends, mut count, mut written) = ([0; COLUMNS.len() + 1], 0, 0);
        loop {
            let rest = self.file.get(self.read..).unwrap_or_default();
            // The field behind the last one takes what else the row has.
            let own = count.min(COLUMNS.len());
            let output = self.fields.get_mut(written..).unwrap_or_default();
            let (result, read, wrote, ended) =
                self.reader.read_record(rest, output, ends.get_mut(own..).unwrap_or_default());
            self.read += read;
            written += wrote;
            count = own + ended;
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return None,
                // A buffer as long as the file is never full.
                ReadRecordResult::OutputFull => return None,
                ReadRecordResult::InputEmpty | ReadRecordResult::OutputEndsFull => {}
            }
        }
        Some((line, Row { fields: self.fields.get(..written).unwrap_or_default(), ends, count }))
    }
}

impl<'r> Row<'r> {
    fn fields(&self) -> Result<[&'r [u8]; COLUMNS.len()], LineFault> {
        let [serial, kid, key, _] = self.ends;
        if self.count != COLUMNS.len() {
            return Err(LineFault::Form(format!("it does not have {} values", COLUMNS.len())));
        }
        let field = |from, to| self.fields.get(from..to).unwrap_or_default();
        Ok([field(0, serial), field(serial, kid), field(kid, key)].map(<[u8]>::trim_ascii))
    }

    /// No message repeats what stands in the row: it may be the key.
    fn device(&self) -> Result<Device, LineFault> {
        let [serial, kid, key] = self.fields()?;
        let not = |what: &str| LineFault::Value(format!("its {what} is required"));
        let serial =
            std::str::from_utf8(serial).ok().map(unguarded).and_then(|text| device_serial(text).ok());
        let serial = serial.ok_or_else(|| not("serial, 1 to 32 printable characters,"))?;
        let mut id = [0; trust::KID_LEN];
        hex::decode_to_slice(kid, &mut id).map_err(|_| not("kid in 16 hexadecimal digits"))?;
        let mut bytes = Zeroizing::new(vec![0; Purpose::Update.key_len()]);
        hex::decode_to_slice(key, bytes.as_mut_slice()).map_err(|_| not("key in 32 hexadecimal digits"))?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(LineFault::Value("its key is zero".to_owned()));
        }
        Ok(Device { serial, key: DerivedKey { purpose: Purpose::Update, revision: 0, kid: Kid(id), bytes } })
    }
}

#[cfg(test)]
mod tests;
