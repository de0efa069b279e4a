//! Files of a ledger: their names, reading and writing them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trust::host::{Existing, ReadError, Readers, lock_own, write_whole};

use crate::devices::{self, MAX_LINES_LEN};
use crate::error::{Error, Fault};
use crate::values::Base64;
use crate::{FORMAT, MAX_ENTRY_LEN};

/// The file with the signed head.
pub const HEAD_FILE: &str = "head.json";
const LOCK_FILE: &str = ".lock";
/// The kind of the first entry.
const OPEN: &str = "open";
/// The kind of an entry that joined a copy: beside another one, its folder is what a cut left.
const MERGE: &str = "merge";
const ENTRY: &str = "json";
const RECORD: &str = "cwt";
const LINES: &str = "jsonl";
/// Digits of an entry's number in the name of its file.
const DIGITS: usize = 6;
const _: () = assert!(trust::MAX_LEDGER_ENTRIES <= 10u64.pow(6));

/// The file with the head.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeadFile {
    pub(crate) format: u32,
    /// Number of the last entry that it covers.
    pub(crate) entries: u64,
    /// The signed head, a CWT.
    pub(crate) head: Base64,
}

/// The signed head in a file of the name [`HEAD_FILE`], a CWT that is not verified.
#[must_use]
pub fn head_of_file(file: &[u8]) -> Option<Vec<u8>> {
    parse::<HeadFile>(Path::new(HEAD_FILE), file).ok().map(|file| file.head.0)
}

/// Whether a file is one of the name [`HEAD_FILE`].
#[must_use]
pub fn is_head_file(file: &[u8]) -> bool {
    head_of_file(file).is_some()
}

/// The names of a ledger's files, as far as they are an entry's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) number: u64,
    pub(crate) kind: String,
    pub(crate) is_record: bool,
}

impl Name {
    /// `000012-credential.json`, or `.cwt`. Other files are no matter of a ledger: a stick collects them.
    fn parse(name: &OsStr) -> Option<Self> {
        let (stem, extension) = name.to_str()?.rsplit_once('.')?;
        let (number, kind) = stem.split_once('-')?;
        let is_number = number.len() == DIGITS && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_record = extension == RECORD;
        (is_number && (is_record || extension == ENTRY)).then(|| Self {
            number: number.parse().unwrap_or(0),
            kind: kind.to_owned(),
            is_record,
        })
    }
}

pub(crate) fn entry_path(folder: &Path, number: u64, kind: &str) -> PathBuf {
    folder.join(format!("{number:0DIGITS$}-{kind}.{ENTRY}"))
}

pub(crate) fn record_path(folder: &Path, number: u64, kind: &str) -> PathBuf {
    folder.join(format!("{number:0DIGITS$}-{kind}.{RECORD}"))
}

pub(crate) fn lines_path(folder: &Path, number: u64, kind: &str) -> PathBuf {
    folder.join(format!("{number:0DIGITS$}-{kind}.{LINES}"))
}

/// Whether a ledger lies in a folder: its first entry does.
#[must_use]
pub fn is_ledger(folder: &Path) -> bool {
    entry_path(folder, 1, OPEN).symlink_metadata().is_ok()
}

/// The folder with the entries of another copy, beside the entry that joined it.
pub(crate) fn joined_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:0DIGITS$}-{MERGE}"))
}

/// The folder with a copy of the ledger that this one goes on from.
pub(crate) fn before_path(folder: &Path) -> PathBuf {
    folder.join(format!("{:0DIGITS$}-before", 1))
}

/// Copies the files of a ledger, and of those that it goes on from, into a folder that is made.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir(to).map_err(|source| Error::write(to, source))?;
    for Name { number, kind, is_record } in list(from)? {
        let path = if is_record { record_path } else { entry_path };
        let limit = if is_record { MAX_LINES_LEN } else { MAX_ENTRY_LEN };
        write_new(&path(to, number, &kind), &read_limited(&path(from, number, &kind), limit)?)?;
        let lines = lines_path(from, number, &kind);
        if !is_record && lines.is_file() {
            write_new(&lines_path(to, number, &kind), &read_limited(&lines, MAX_LINES_LEN)?)?;
        }
        let joined = joined_path(from, number);
        if !is_record && kind == MERGE && joined.is_dir() {
            copy(&joined, &joined_path(to, number))?;
        }
    }
    match read(&from.join(HEAD_FILE)) {
        Ok(head) => write_new(&to.join(HEAD_FILE), &head)?,
        Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let before = before_path(from);
    if before.is_dir() { copy(&before, &before_path(to)) } else { Ok(()) }
}

/// Removes a folder that a cut left.
pub(crate) fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::write(folder, source)),
        _ => Ok(()),
    }
}

/// Removes a file of a ledger that is taken back.
pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
    fs::remove_file(path).map_err(|source| Error::write(path, source))
}

/// The names of the entries and records in a folder, by number.
pub(crate) fn list(folder: &Path) -> Result<Vec<Name>, Error> {
    let failed = |source| Error::read(folder, source);
    let mut names = Vec::new();
    let files = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(Error::Absent(folder.to_owned()));
        }
        files => files.map_err(failed)?,
    };
    for file in files {
        names.extend(Name::parse(&file.map_err(failed)?.file_name()));
    }
    names.sort_by(|one, other| {
        (one.number, one.is_record, &one.kind).cmp(&(other.number, other.is_record, &other.kind))
    });
    Ok(names)
}

/// How long the lines and credentials of all batches in a folder are, and those of the copies that were joined.
pub(crate) fn batches_len(folder: &Path) -> Result<u64, Error> {
    let mut len: u64 = 0;
    for Name { number, kind, is_record } in list(folder)? {
        let paths = match (kind == devices::KIND, is_record) {
            (true, true) => vec![record_path(folder, number, &kind)],
            (true, false) => vec![lines_path(folder, number, &kind)],
            _ => Vec::new(),
        };
        for path in paths {
            // One that is missing is found when it is read.
            len = len.saturating_add(fs::symlink_metadata(&path).map_or(0, |there| there.len()));
        }
        let joined = joined_path(folder, number);
        if !is_record && kind == MERGE && joined.is_dir() {
            len = len.saturating_add(batches_len(&joined)?);
        }
    }
    Ok(len)
}

/// Reads a file of at most [`MAX_ENTRY_LEN`] bytes.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    read_limited(path, MAX_ENTRY_LEN)
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    // A pipe in the place of a file would be waited for.
    let there = fs::symlink_metadata(path).map_err(|source| Error::read(path, source))?;
    if !there.is_file() {
        return Err(Error::damaged(path, Fault::NotAFile(trust::host::kind_of(there.file_type()))));
    }
    trust::host::read_file(path, limit).map_err(|error| match error {
        ReadError::Io(source) => Error::read(path, source),
        ReadError::TooLong(limit) => Error::damaged(path, Fault::TooLong(limit)),
    })
}

/// Reads a file of ours: of this format, in the one form that it has.
pub(crate) fn parse<T: Serialize + for<'de> Deserialize<'de>>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let form = |error: serde_json::Error| Error::damaged(path, Fault::Form(error.to_string()));
    let Format { format } = serde_json::from_slice(bytes).map_err(form)?;
    if format != u64::from(FORMAT) {
        return Err(Error::Newer { path: path.to_owned(), format });
    }
    let value = serde_json::from_slice(bytes).map_err(form)?;
    if encode(&value).as_deref() == Some(bytes) {
        Ok(value)
    } else {
        Err(Error::damaged(path, Fault::Spelling))
    }
}

/// The one form of a file of ours.
pub(crate) fn encode(value: &impl Serialize) -> Option<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).ok()?;
    bytes.push(b'\n');
    Some(bytes)
}

/// Writes a file that is never changed again.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_whole(path, bytes, Readers::Everybody, Existing::Keep).map_err(|source| Error::write(path, source))
}

/// Writes a file that no entry names yet: what a cut left in its place is replaced.
pub(crate) fn write_unnamed(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_whole(path, bytes, Readers::Everybody, Existing::Replace)
        .map_err(|source| Error::write(path, source))
}

/// Writes the head, in the place of the one before it.
pub(crate) fn write_head(folder: &Path, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(HEAD_FILE);
    write_whole(&path, bytes, Readers::Everybody, Existing::Replace)
        .map_err(|source| Error::write(&path, source))
}

/// Keeps other programs from writing, until it is dropped.
pub(crate) fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK_FILE);
    let locked = lock_own(&path).map_err(|source| Error::write(&path, source))?;
    locked.ok_or_else(|| Error::InUse(folder.to_owned()))
}
