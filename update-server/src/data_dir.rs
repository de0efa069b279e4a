//! The data directory: whose it is, who may see it, and that one server at a time works in it. What else lies in the
//! place of its files is not opened.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use trust::host::{OtherOwner, check_own_file, kind_of, open_own, refuse_other_owner};

use crate::blobs::is_full;

const LOCK_FILE: &str = "lock";
const DATABASE_FILE: &str = "registry.sqlite";
const IMAGES_DIR: &str = "images";
/// What else lies in a folder that is ours or still empty: an interrupted first start, a new file system.
const HARMLESS: [&str; 3] = [LOCK_FILE, IMAGES_DIR, "lost+found"];
const WORLD_WRITABLE: u32 = 0o002;
/// All rights of others, and that of the group to write. Its group may read: it may be that of a backup.
const TAKEN: u32 = 0o027;
/// SQLite gives its log and its shared memory these names.
const DATABASE_SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("the data directory {} is in use by another update-server{}", .path.display(), .holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse {
        path: PathBuf,
        /// The process that wrote the lock file, where it can be read.
        holder: Option<u32>,
    },
    /// Everybody on the machine could plant releases.
    #[error("the data directory {} is writable by everybody (mode {mode:04o})", .path.display())]
    WorldWritable {
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A wrong path, `/` for one: its files and its mode are others'.
    #[error("{} is not empty, and is not a data directory of update-server", .path.display())]
    Foreign { path: PathBuf },
    /// That user could change it at any time.
    #[error("cannot use {}: {source}", .path.display())]
    OtherOwner { path: PathBuf, source: OtherOwner },
    /// A folder, a link or a pipe lies where a file of the server should, or a file where a folder should.
    #[error("cannot use {}: {source}", .path.display())]
    InTheWay { path: PathBuf, source: io::Error },
    /// Started anew, the server would forget releases, withdrawals, revocation lists and devices.
    #[error("{} holds images, but its database is {state}", .path.display())]
    DatabaseLost {
        path: PathBuf,
        /// "missing" or "empty".
        state: &'static str,
    },
    #[error("{} is not a directory", .path.display())]
    NotADirectory { path: PathBuf },
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// What was opened or made.
        path: PathBuf,
        source: io::Error,
    },
}

impl DataDirError {
    /// Whether the disk has no space left.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_full(source),
            Self::InUse { .. }
            | Self::WorldWritable { .. }
            | Self::Foreign { .. }
            | Self::OtherOwner { .. }
            | Self::InTheWay { .. }
            | Self::DatabaseLost { .. }
            | Self::NotADirectory { .. } => false,
        }
    }
}

/// A directory that this process, and no other, works in for as long as the value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    // The lock is the file's: it falls when the file is closed, whatever ends the process.
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing (mode 0700) and locks it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io_error = |source| DataDirError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => DataDirError::NotADirectory { path: path.to_owned() },
            _ => io_error(source),
        })?;
        synchronise_entry(path).map_err(io_error)?;
        refuse_foreign(path)?;
        let mode = path.metadata().map_err(io_error)?.mode() & 0o7777;
        if mode & WORLD_WRITABLE != 0 {
            return Err(DataDirError::WorldWritable { path: path.to_owned(), mode });
        }
        // Before anything is made or changed.
        let files = DATABASE_SUFFIXES.map(|suffix| path.join(format!("{DATABASE_FILE}{suffix}")));
        for file in files.iter().chain([&path.join(LOCK_FILE)]) {
            check_file(file)?;
        }
        let images = path.join(IMAGES_DIR);
        check_folder(&images)?;

        let lock = lock(path)?;
        close_to_others(path)?;
        // SQLite gives its log the mode of the database, and makes that readable by everybody.
        open(&files[0])?;
        for file in &files {
            close_to_others(file)?;
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&images);
        made.map_err(|source| DataDirError::Io { path: images.clone(), source })?;
        close_to_others(&images)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The SQLite database.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    /// The folder of images.
    pub fn images(&self) -> PathBuf {
        self.path.join(IMAGES_DIR)
    }
}

/// Nothing is written and no mode is changed in a folder that is not ours.
fn refuse_foreign(path: &Path) -> Result<(), DataDirError> {
    let io_error = |source| DataDirError::Io { path: path.to_owned(), source };
    // Whatever it is: what it should be is checked next.
    let database = path.join(DATABASE_FILE).symlink_metadata();
    let lost = match &database {
        Ok(metadata) if metadata.is_file() && metadata.len() == 0 => Some("empty"),
        Ok(_) => None,
        Err(_) => Some("missing"),
    };
    if let Some(state) = lost
        && has_images(&path.join(IMAGES_DIR))
    {
        return Err(DataDirError::DatabaseLost { path: path.to_owned(), state });
    }
    if database.is_err() {
        for entry in fs::read_dir(path).map_err(io_error)? {
            let name = entry.map_err(io_error)?.file_name();
            if !HARMLESS.iter().any(|harmless| name == *harmless) {
                return Err(DataDirError::Foreign { path: path.to_owned() });
            }
        }
    }
    check_owner(path, &path.metadata().map_err(io_error)?)
}

/// Whether an image lies in the folder: the database of a first start is complete before that.
fn has_images(images: &Path) -> bool {
    let folders = fs::read_dir(images).into_iter().flatten().flatten();
    folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten()).next().is_some()
}

fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), DataDirError> {
    refuse_other_owner(metadata).map_err(|source| DataDirError::OtherOwner { path: path.to_owned(), source })
}

/// Refuses what lies in the place of a file and is not one of ours. It may be absent.
fn check_file(path: &Path) -> Result<(), DataDirError> {
    match path.symlink_metadata() {
        Ok(metadata) => {
            check_own_file(&metadata)
                .map_err(|source| DataDirError::InTheWay { path: path.to_owned(), source })?;
            check_owner(path, &metadata)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(DataDirError::Io { path: path.to_owned(), source }),
    }
}

/// Refuses what lies in the place of a folder and is none of ours. It may be absent, and a link to a folder on another
/// disk.
fn check_folder(path: &Path) -> Result<(), DataDirError> {
    let in_the_way = |why| DataDirError::InTheWay { path: path.to_owned(), source: io::Error::other(why) };
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => check_owner(path, &metadata),
        Ok(metadata) => Err(in_the_way(format!("it is {}, not a folder", kind_of(metadata.file_type())))),
        Err(_) if path.is_symlink() => Err(in_the_way("it is a symbolic link that leads nowhere".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(DataDirError::Io { path: path.to_owned(), source }),
    }
}

fn open(path: &Path) -> Result<File, DataDirError> {
    open_own(path).map_err(|source| DataDirError::Io { path: path.to_owned(), source })
}

/// Takes the rights of others, and that of the group to write, from what is there, and says so.
fn close_to_others(path: &Path) -> Result<(), DataDirError> {
    let io_error = |source| DataDirError::Io { path: path.to_owned(), source };
    let mode = match path.metadata() {
        Ok(metadata) => metadata.mode() & 0o7777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(io_error(source)),
    };
    if mode & TAKEN != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & !TAKEN)).map_err(io_error)?;
        tracing::warn!(
            path = %path.display(),
            before = format!("{mode:04o}"),
            now = format!("{:04o}", mode & !TAKEN),
            "took access from other users"
        );
    }
    Ok(())
}

/// What is stored below lasts only when the way to it does.
fn synchronise_entry(path: &Path) -> io::Result<()> {
    let path = path.canonicalize()?;
    let Some(folder) = path.parent() else { return Ok(()) };
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        // A folder that may be passed but not listed was not made by this process.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

fn lock(dir: &Path) -> Result<File, DataDirError> {
    let path = dir.join(LOCK_FILE);
    let io_error = |source| DataDirError::Io { path: path.clone(), source };
    // Not truncated on opening: until the lock is held the contents are another server's.
    let mut file = open(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let holder = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(DataDirError::InUse { path: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(io_error(source)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(io_error)?;
    writeln!(file, "{}", std::process::id()).map_err(io_error)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
