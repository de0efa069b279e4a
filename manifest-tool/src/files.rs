//! Files: read up to a limit, written whole or not at all.

mod kept;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use trust::host::{
    Existing, Nameless, Readers, folder_of, kind_of, open_limited, read_limited, synchronise, write_whole,
};
use zeroize::Zeroizing;

use self::kept::kept;
use crate::error::{Error, FileAction};
use crate::kind::Kind;
use crate::memory;
use crate::output::write_data;

pub use self::kept::Kept;

/// Longest credential or revocation list that is read; what is too long for the format is refused by it.
pub const MAX_RECORD_FILE_LEN: u64 = 16 * 1024;
/// Longest envelope, bytes.
pub const MAX_ENVELOPE_FILE_LEN: u64 = suit_manifest::MAX_ENVELOPE_LEN as u64;
/// Longest envelope with what is integrated in it, bytes.
pub const MAX_BUNDLE_FILE_LEN: u64 = MAX_ENVELOPE_FILE_LEN + suit_manifest::MAX_INTEGRATED_LEN as u64;

/// PEM of every kind of private key: `PRIVATE KEY`, `ENCRYPTED PRIVATE KEY`, `EC PRIVATE KEY`, ... (RFC 7468
/// sections 10 and 11).
pub(crate) const PEM_PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";
/// Permission bits of everybody but the owner.
pub(crate) const OTHERS: u32 = 0o077;
/// Names standard input as a file that is read, and standard output as one that is written.
const STANDARD: &str = "-";

/// Whether standard input was read.
static STDIN_READ: AtomicBool = AtomicBool::new(false);

/// Whether it is standard input, or standard output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path == Path::new(STANDARD)
}

/// Reads a whole file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    read_into(path, limit, &mut bytes)?;
    Ok(bytes)
}

/// Reads a file in a folder that was named: a pipe or a folder in its place is refused, not waited for.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    trust::host::read_file(path, limit).map_err(|error| Error::file_read(path, error))
}

/// Reads a whole file that holds a secret; the memory is wiped when it is dropped.
pub fn read_secret(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    memory::lock();
    // Growing would leave copies behind.
    let capacity = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    read_into(path, limit, &mut bytes)?;
    Ok(bytes)
}

fn read_into(path: &Path, limit: u64, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let read = if is_standard(path) {
        // Standard input can be read once only.
        if STDIN_READ.swap(true, Ordering::Relaxed) {
            return Err(Error::SameFile(path.to_owned()));
        }
        read_limited(std::io::stdin().lock(), limit, bytes)
    } else {
        open_limited(path, limit, bytes)
    };
    read.map_err(|error| Error::file_read(path, error))
}

/// Permission to replace outputs.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct OverwriteArguments {
    /// Replace existing output files; never secrets, records of another kind, or what a batch has
    #[arg(long)]
    force: bool,
}

/// With `--force`, files are replaced that are not [`Kept`]; without it, only the very same content is taken as written
/// already.
pub fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Keep }
}

impl OverwriteArguments {
    /// What happens to a file that is there already.
    pub fn existing(self) -> Existing {
        existing(self.force)
    }
}

/// An output, and of which kind it is going to be, if it is one of [`Kind`].
pub type Wanted<'a> = (&'a Path, Option<Kind>);

/// Whether files with other content than what is going to be written may be written: before something is signed that no
/// command takes back. [`write_all`] checks again.
pub fn check_outputs(outputs: &[Wanted<'_>], existing: Existing) -> Result<(), Error> {
    for (index, (path, kind)) in outputs.iter().enumerate() {
        if outputs.iter().take(index).any(|(other, _)| same_file(path, other)) {
            return Err(Error::SameFile((*path).to_owned()));
        }
        if is_standard(path) {
            continue;
        }
        must_be_outside(path)?;
        match must_be_absent(path) {
            Err(Error::FileExists(_)) => check_replaceable(path, *kind, existing)?,
            result => result?,
        }
        let folder = folder_of(path);
        if !folder.is_dir() {
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, "its folder is not there");
            return Err(Error::File { action: FileAction::Write, path: path.to_path_buf(), source });
        }
    }
    Ok(())
}

/// Makes the folder for outputs, if it is not there.
pub fn make_folder(path: &Path) -> Result<(), Error> {
    if is_standard(path) {
        return Err(Error::usage("standard output is no folder: name one for several files"));
    }
    must_be_outside(&path.join("file"))?;
    let failed = |source| Error::File { action: FileAction::Write, path: path.to_owned(), source };
    std::fs::create_dir_all(path).map_err(|source| match path.metadata() {
        Ok(there) if !there.is_dir() => {
            failed(std::io::Error::other(format!("it is {}, not a folder", kind_of(there.file_type()))))
        }
        _ => failed(source),
    })
}

/// As [`check_outputs`], for a file whose content is known: the very same content may be there already.
pub fn check_content(path: &Path, content: &[u8], existing: Existing) -> Result<(), Error> {
    must_be_outside(path)?;
    match state(path, content)? {
        State::Same => Ok(()),
        State::Absent | State::Other => check_outputs(&[(path, Kind::of_start(content))], existing),
    }
}

/// Whether a file is there with this very content.
pub fn holds(path: &Path, content: &[u8]) -> Result<bool, Error> {
    Ok(!is_standard(path) && matches!(state(path, content)?, State::Same))
}

/// Writes public files: all or none. Of files that replace others, some may be there when a folder cannot be written any more.
/// What is [`Kept`] is never replaced.
pub fn write_all(files: &[(&Path, &[u8])], existing: Existing) -> Result<(), Error> {
    files.iter().try_for_each(|(path, _)| must_be_outside(path))?;
    write_each(files, existing)
}

fn write_each(files: &[(&Path, &[u8])], existing: Existing) -> Result<(), Error> {
    for (index, (path, _)) in files.iter().enumerate() {
        if files.iter().take(index).any(|(other, _)| same_file(path, other)) {
            return Err(Error::SameFile((*path).to_owned()));
        }
    }
    let (mut wanted, mut standard) = (Vec::new(), None);
    for (path, content) in files {
        if is_standard(path) {
            standard = Some(content);
            continue;
        }
        match state(path, content)? {
            State::Same => {}
            State::Absent => wanted.push((*path, *content, true)),
            State::Other => {
                check_replaceable(path, Kind::of_start(content), existing)?;
                wanted.push((*path, *content, false));
            }
        }
    }
    give_names(&wanted, existing)?;
    standard.map_or(Ok(()), |content| write_data(content))
}

/// Writes files, each with whether it is new, and then gives all of them their names. If that fails, new ones go again.
fn give_names(files: &[(&Path, &[u8], bool)], existing: Existing) -> Result<(), Error> {
    let written = files.iter().map(|(path, content, is_new)| {
        let file = Nameless::write(path, content, Readers::Everybody);
        file.map(|file| (file, *path, *is_new)).map_err(|source| not_written(path, source))
    });
    let written = written.collect::<Result<Vec<_>, _>>()?;
    let _turn = turn(files);
    let mut new = Vec::new();
    let name_all = || {
        for (file, path, is_new) in written {
            file.give_name(existing).map_err(|source| not_written(path, source))?;
            new.extend(is_new.then_some(path));
        }
        let paths = files.iter().map(|(path, ..)| *path);
        let last = |path: &Path| synchronise(&folder_of(path)).map_err(|source| not_written(path, source));
        paths.into_iter().try_for_each(last)
    };
    let named = name_all();
    if named.is_err() {
        // The disk fails: what cannot be taken away either stays.
        new.iter().for_each(|path| drop(std::fs::remove_file(path)));
    }
    named
}

/// Files that belong together get their names in one turn: of two commands that replace the same ones at once, none is left
/// with some of its own and some of the other's. A file system without locks has no turns.
fn turn(files: &[(&Path, &[u8], bool)]) -> Vec<File> {
    let folders = files.iter().filter_map(|(path, ..)| folder_of(path).canonicalize().ok());
    // In one order for all: nobody waits for somebody who waits for him.
    let folders: BTreeSet<_> = folders.filter(|_| files.len() > 1).collect();
    let locked = |folder: &PathBuf| File::open(folder).and_then(|folder| folder.lock().map(|()| folder)).ok();
    folders.iter().filter_map(locked).collect()
}

/// Writes one public file.
pub fn write(path: &Path, content: &[u8], existing: Existing) -> Result<(), Error> {
    write_all(&[(path, content)], existing)
}

/// The door of copies of ledgers: writes a file that may be one of a ledger. Its entries stay as they are.
pub fn write_copy(path: &Path, content: &[u8], existing: Existing) -> Result<(), Error> {
    let is_entry = must_be_outside(path).is_err() && path.file_name() != Some(ledger::HEAD_FILE.as_ref());
    write_each(&[(path, content)], if is_entry { Existing::Keep } else { existing })
}

/// Writes a file that its owner alone reads, and that the same command can make again; never to standard output.
pub fn write_private(path: &Path, content: &[u8], existing: Existing) -> Result<(), Error> {
    if is_standard(path) {
        return Err(Error::usage("a block with a key can only be written to a file"));
    }
    must_be_outside(path)?;
    match state(path, content)? {
        // It is there, and others may have read it.
        State::Same => must_be_private(path),
        State::Absent => write_atomically(path, content, Readers::Owner, Existing::Keep),
        State::Other => {
            check_replaceable(path, Kind::of_start(content), existing)?;
            write_atomically(path, content, Readers::Owner, existing)
        }
    }
}

/// Writes a secret, readable by its owner only; never over a file and never to standard output.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), Error> {
    if is_standard(path) {
        return Err(Error::usage("a private key can only be written to a file"));
    }
    must_be_outside(path)?;
    write_atomically(path, content, Readers::Owner, Existing::Keep)
}

/// Fails if other users can read or change the file of a symmetric key: whoever has read it has the key, whatever becomes of
/// the file.
pub fn must_be_private(path: &Path) -> Result<(), Error> {
    // A pipe has no other readers; what is not there is not read either.
    let metadata = if is_standard(path) { None } else { path.metadata().ok() };
    match metadata.filter(std::fs::Metadata::is_file) {
        Some(metadata) if metadata.permissions().mode() & OTHERS != 0 => Err(Error::Exposed(path.to_owned())),
        _ => Ok(()),
    }
}

/// Fails early when `path` exists. The write checks again.
pub fn must_be_absent(path: &Path) -> Result<(), Error> {
    match path.symlink_metadata() {
        Ok(_) => Err(Error::FileExists(path.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::File { action: FileAction::Write, path: path.to_owned(), source }),
    }
}

/// Fails when an output is also an input.
pub fn must_differ(output: &Path, inputs: &[&Path]) -> Result<(), Error> {
    if is_standard(output) {
        return Ok(());
    }
    match inputs.iter().find(|input| same_file(output, input)) {
        Some(_) => Err(Error::SameFile(output.to_owned())),
        None => Ok(()),
    }
}

/// Fails if an output lies in the folder of a ledger, or below it. Whatever `--force` says, only the writer of the ledger
/// writes there: many a name of a file is that of an entry, and which ones are is no matter of the other commands.
pub(crate) fn must_be_outside(output: &Path) -> Result<(), Error> {
    if is_standard(output) {
        return Ok(());
    }
    // Of folders that are not there yet, those that are.
    let there = output
        .ancestors()
        .skip(1)
        .map(|folder| if folder == Path::new("") { Path::new(".") } else { folder });
    let Some(folder) = there.into_iter().find_map(|folder| folder.canonicalize().ok()) else { return Ok(()) };
    match folder.ancestors().find(|folder| ledger::is_ledger(folder)) {
        Some(ledger) => Err(Error::InsideLedger { path: output.to_owned(), ledger: ledger.to_owned() }),
        None => Ok(()),
    }
}

enum State {
    Absent,
    Same,
    Other,
}

fn state(path: &Path, content: &[u8]) -> Result<State, Error> {
    match must_be_absent(path) {
        Ok(()) => return Ok(State::Absent),
        Err(Error::FileExists(_)) => {}
        Err(error) => return Err(error),
    }
    if !path.is_file() {
        return Ok(State::Other);
    }
    match read(path, content.len() as u64) {
        Ok(bytes) if bytes == content => Ok(State::Same),
        Ok(_) | Err(Error::FileTooLong { .. }) => Ok(State::Other),
        Err(error) => Err(error),
    }
}

/// Whether another content may come into the place of a file, of this kind.
fn check_replaceable(path: &Path, wanted: Option<Kind>, existing: Existing) -> Result<(), Error> {
    match (kept(path, wanted), existing) {
        (Ok(Some(kept)), _) => Err(Error::FileKept { path: path.to_owned(), kept }),
        (Ok(None) | Err(_), Existing::Keep) => Err(Error::FileExists(path.to_owned())),
        (outcome, Existing::Replace) => outcome.map(|_| ()),
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    let resolve = |path: &Path| {
        path.canonicalize().or_else(|_| {
            let name = path.file_name().unwrap_or_default();
            folder_of(path).canonicalize().map(|directory| directory.join(name))
        })
    };
    one == other || matches!((resolve(one), resolve(other)), (Ok(one), Ok(other)) if one == other)
}

fn write_atomically(path: &Path, content: &[u8], readers: Readers, existing: Existing) -> Result<(), Error> {
    write_whole(path, content, readers, existing).map_err(|source| not_written(path, source))
}

fn not_written(path: &Path, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::AlreadyExists => Error::FileExists(path.to_owned()),
        _ => Error::File { action: FileAction::Write, path: path.to_owned(), source },
    }
}

#[cfg(test)]
mod tests;
