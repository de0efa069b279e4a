//! The data directory: who may see it, and that one server at a time works in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

const LOCK_FILE: &str = "lock";
const DATABASE_FILE: &str = "registry.sqlite";
const IMAGES_DIR: &str = "images";
/// What else lies in a folder that is ours or still empty: an interrupted first start, a new file system.
const HARMLESS: [&str; 3] = [LOCK_FILE, IMAGES_DIR, "lost+found"];
const WORLD_WRITABLE: u32 = 0o002;
const OTHERS: u32 = 0o007;

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
    #[error("the data directory {} belongs to another user (uid {owner}; this process has {own})", .path.display())]
    OtherOwner { path: PathBuf, owner: u32, own: u32 },
    #[error("{} is not a directory", .path.display())]
    NotADirectory { path: PathBuf },
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// What was opened or made.
        path: PathBuf,
        source: io::Error,
    },
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
        let lock = lock(path)?;
        close_to_others(path)?;
        let database = path.join(DATABASE_FILE);
        // SQLite gives its log the mode of the database, and makes that readable by everybody.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&database)
            .map_err(|source| DataDirError::Io { path: database.clone(), source })?;
        for suffix in ["", "-wal", "-shm"] {
            close_to_others(&path.join(format!("{DATABASE_FILE}{suffix}")))?;
        }
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
    if !path.join(DATABASE_FILE).is_file() {
        for entry in fs::read_dir(path).map_err(io_error)? {
            let name = entry.map_err(io_error)?.file_name();
            if !HARMLESS.iter().any(|harmless| name == *harmless) {
                return Err(DataDirError::Foreign { path: path.to_owned() });
            }
        }
    }
    let owner = path.metadata().map_err(io_error)?.uid();
    // The process's folder belongs to its effective user.
    match fs::metadata("/proc/self").map(|process| process.uid()) {
        Ok(own) if own != owner => Err(DataDirError::OtherOwner { path: path.to_owned(), owner, own }),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Takes the rights of others (neither owner nor group) from what is there, and says so.
fn close_to_others(path: &Path) -> Result<(), DataDirError> {
    let io_error = |source| DataDirError::Io { path: path.to_owned(), source };
    let mode = match path.metadata() {
        Ok(metadata) => metadata.mode() & 0o7777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(io_error(source)),
    };
    if mode & OTHERS != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & !OTHERS)).map_err(io_error)?;
        tracing::warn!(
            path = %path.display(),
            before = format!("{mode:04o}"),
            now = format!("{:04o}", mode & !OTHERS),
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
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error)?;
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
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/data");
        let held = DataDir::open(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        match DataDir::open(&path) {
            Err(DataDirError::InUse { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(held);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_directory_that_everybody_may_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(DataDir::open(dir.path()), Err(DataDirError::WorldWritable { mode: 0o777, .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is written on refusal");
    }

    #[test]
    fn a_folder_of_others_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("letter"), b"").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(DataDir::open(dir.path()), Err(DataDirError::Foreign { .. })));
        assert_eq!(dir.path().metadata().unwrap().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        // An empty one is taken, with what a new file system or an interrupted start leaves in it.
        fs::remove_file(dir.path().join("letter")).unwrap();
        for name in ["lost+found", "images"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        DataDir::open(dir.path()).unwrap();
        // Ours stays ours, whatever an operator lays beside it.
        fs::write(dir.path().join("copy.sqlite"), b"").unwrap();
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn what_others_may_read_is_closed_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let files = ["", "registry.sqlite", "registry.sqlite-wal"].map(|name| dir.path().join(name));
        for file in &files[1..] {
            fs::write(file, b"").unwrap();
            set(file, 0o644);
        }
        set(dir.path(), 0o755);
        DataDir::open(dir.path()).unwrap();
        let modes = files.each_ref().map(|path| path.metadata().unwrap().mode() & 0o777);
        // The owner's group may be that of a backup.
        assert_eq!(modes, [0o750, 0o640, 0o640]);
        let new = dir.path().join("new");
        DataDir::open(&new).unwrap();
        assert_eq!(new.join("registry.sqlite").metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_is_not_a_data_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(DataDir::open(file.path()), Err(DataDirError::NotADirectory { .. })));
    }
}
