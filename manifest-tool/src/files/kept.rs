//! What no output replaces, whatever `--force` says: secrets, what a batch of devices has, and records, unless the output
//! is one of the same kind. The one home of that rule; ledgers have one of their own, [`super::must_be_outside`].

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use device_lists::{LIST_FILE, LOG_FILE, MAX_LIST_LEN, read_list};
use trust::host::{PrivateKeyWatch, ReadError, contains, folder_of, kind_of};
use zeroize::Zeroizing;

use super::{PEM_PRIVATE_KEY, read_file, same_file};
use crate::error::{Error, FileAction};
use crate::keys::PIN_FILE_VARIABLE;
use crate::kind::{Kind, START_LEN};
use crate::passphrase::PASSPHRASE_FILE_VARIABLE;

/// Why a file stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// A link, wherever it leads: a rename over it would take it away.
    Link,
    /// A folder, a pipe, a device node: its name. The same.
    Other(&'static str),
    /// The variable of the environment that names it.
    Named(&'static str),
    /// A secret, a record, or the list or log of a batch.
    Kind(Kind),
    /// A list of devices beside it names it.
    OfBatch,
}

impl Kept {
    /// What to do instead, one sentence.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::OfBatch | Self::Kind(Kind::DeviceList | Kind::LineLog) => {
                "Choose a new folder: devices may have what this one holds, and their list and log are its only record."
            }
            // What is written is renamed into its place: a link would go, and not the file that it leads to.
            Self::Link => "Pass the file that the link leads to, or another name.",
            Self::Other(_) => "Pass the name of a file: what is there stays.",
            Self::Named(_) | Self::Kind(_) => {
                "Choose another name: --force replaces neither secrets nor records of another kind."
            }
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => f.write_str("a link"),
            Self::Other(name) => f.write_str(name),
            Self::Named(variable) => write!(f, "the file that {variable} names"),
            Self::Kind(kind) => kind.fmt(f),
            Self::OfBatch => write!(f, "a file of a batch: {LIST_FILE} beside it names it"),
        }
    }
}

/// Why the file at a path stays where an output of this kind was to go; `None` if it may be replaced.
pub(super) fn kept(path: &Path, wanted: Option<Kind>) -> Result<Option<Kept>, Error> {
    let there = path
        .symlink_metadata()
        .map_err(|source| Error::File { action: FileAction::Write, path: path.to_owned(), source })?
        .file_type();
    if there.is_symlink() {
        return Ok(Some(Kept::Link));
    }
    if !there.is_file() {
        return Ok(Some(Kept::Other(kind_of(there))));
    }
    for variable in [PASSPHRASE_FILE_VARIABLE, PIN_FILE_VARIABLE] {
        if std::env::var_os(variable).is_some_and(|named| same_file(Path::new(&named), path)) {
            return Ok(Some(Kept::Named(variable)));
        }
    }
    // One is one by its name too: its first line may be damaged, or a spreadsheet may have saved it.
    for (name, kind) in [(LOG_FILE, Kind::LineLog), (LIST_FILE, Kind::DeviceList)] {
        if path.file_name() == Some(name.as_ref()) {
            return Ok(Some(Kept::Kind(kind)));
        }
    }
    let (start, has_key) = look(path).map_err(|source| Error::file_read(path, ReadError::Io(source)))?;
    if has_key {
        return Ok(Some(Kept::Kind(Kind::PrivateKey)));
    }
    if let Some(kind) = Kind::of(&start)
        && (kind.always_stays() || kind.is_record() && wanted != Some(kind))
    {
        return Ok(Some(Kept::Kind(kind)));
    }
    Ok(is_of_batch(path)?.then_some(Kept::OfBatch))
}

/// The first bytes of a file, and whether it has a private key, wherever that stands.
fn look(path: &Path) -> std::io::Result<(Zeroizing<Vec<u8>>, bool)> {
    let mut file = File::open(path)?;
    let mut start = Zeroizing::new(Vec::with_capacity(START_LEN));
    let mut part = Zeroizing::new(vec![0; 64 * 1024]);
    let mut watch = PrivateKeyWatch::default();
    loop {
        let taken = file.read(&mut part)?;
        let Some(read) = part.get(..taken).filter(|read| !read.is_empty()) else { break };
        watch.take(read);
        let room = START_LEN.saturating_sub(start.len()).min(read.len());
        start.extend_from_slice(read.get(..room).unwrap_or_default());
    }
    let has_key = watch.found() || contains(&start, PEM_PRIVATE_KEY);
    Ok((start, has_key))
}

/// Whether the list of a batch names the file: block or credential of a device.
fn is_of_batch(path: &Path) -> Result<bool, Error> {
    let list_path = folder_of(path).join(LIST_FILE);
    if !list_path.exists() {
        return Ok(false);
    }
    // What cannot be read may name it.
    let list = read_file(&list_path, MAX_LIST_LEN)?;
    let Some(name) = path.file_name() else { return Ok(false) };
    Ok(match read_list(&list) {
        Ok(rows) => {
            rows.iter().any(|(_, row)| [&row.block, &row.credential].iter().any(|file| name == file.as_str()))
        }
        // Damaged, or saved by a spreadsheet: it names what stands in it. A list of somebody else has no blocks.
        Err(_) => contains(&list, name.as_encoded_bytes()),
    })
}
