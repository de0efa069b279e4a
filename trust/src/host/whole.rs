//! Files that are there wholly or not at all, also after a power cut (feature `files`).

mod stale;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

pub use stale::is_temporary_name;

/// What happens to a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// It stays.
    Keep,
    /// It is replaced.
    Replace,
}

/// Who may read a new file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readers {
    /// Its owner only.
    Owner,
    /// Everybody whom the process's umask admits.
    Everybody,
}

/// Writes a temporary file in the same folder, synchronises it, gives it its name, and synchronises the folder.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] for a file that is to stay; what the system said. The file is as it was then.
pub fn write_whole(path: &Path, content: &[u8], readers: Readers, existing: Existing) -> io::Result<()> {
    Nameless::write(path, content, readers)?.give_name(existing)?;
    synchronise(&folder_of(path))
}

/// A file that is written whole and has no name yet: when it is dropped, nothing is there. For files of which all are to be
/// there or none.
#[derive(Debug)]
pub struct Nameless {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Nameless {
    /// Writes a temporary file in the folder of `path`, and synchronises it.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(path: &Path, content: &[u8], readers: Readers) -> io::Result<Self> {
        let folder = folder_of(path);
        let mut file = temporary(&folder, readers)?;
        stale::sweep(&folder, file.as_file());
        file.write_all(content)?;
        file.as_file().sync_all()?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Gives it its name, which lasts once [`synchronise`] was called for the folder.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] for a file that is to stay; what the system said. The file is as it was then.
    pub fn give_name(self, existing: Existing) -> io::Result<()> {
        match existing {
            Existing::Replace => self.file.persist(&self.path),
            Existing::Keep => self.file.persist_noclobber(&self.path),
        }
        .map(drop)
        .map_err(|error| error.error)
    }
}

/// A new temporary file, which is locked while it is written.
fn temporary(folder: &Path, readers: Readers) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(stale::PREFIX).rand_bytes(stale::RANDOM).suffix(stale::SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = if readers == Readers::Owner { 0o600 } else { 0o666 };
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _the_folder_decides = readers;
    let file = builder.tempfile_in(folder)?;
    // Some file systems of sticks know no locks: there nothing is removed either.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// The folder in which a file lies.
#[must_use]
pub fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes the names in a folder last.
///
/// # Errors
/// What the system said.
#[cfg(unix)]
pub fn synchronise(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows opens no folder as a file.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn synchronise(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_or_replaced_and_no_other_one_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_whole(&path, b"one", Readers::Owner, Existing::Keep).unwrap();
        let error = write_whole(&path, b"two", Readers::Everybody, Existing::Keep).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write_whole(&path, b"three", Readers::Everybody, Existing::Replace).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_without_a_name_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        drop(Nameless::write(&path, b"one", Readers::Owner).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        Nameless::write(&path, b"two", Readers::Owner).unwrap().give_name(Existing::Keep).unwrap();
        let third = Nameless::write(&path, b"three", Readers::Owner).unwrap();
        let error = third.give_name(Existing::Keep).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
