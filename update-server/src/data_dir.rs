//! The data directory: whose it is, who may see it, and that one server at a time works in it. What else lies in the
//! place of its files is not opened.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use trust::host::{OtherOwner, check_own_file, kind_of, open_own, refuse_other_owner};

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
    fn a_database_that_is_lost_beside_its_images_is_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        DataDir::open(dir.path()).unwrap();
        let (database, folder) = (dir.path().join("registry.sqlite"), dir.path().join("images/ab"));
        fs::create_dir(&folder).unwrap();
        // Nothing is lost yet: no image was ever kept.
        DataDir::open(dir.path()).unwrap();
        fs::write(folder.join("abcd"), b"image").unwrap();
        let refused = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(refused, DataDirError::DatabaseLost { state: "empty", .. }), "{refused:?}");
        fs::remove_file(&database).unwrap();
        let refused = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(refused, DataDirError::DatabaseLost { state: "missing", .. }), "{refused:?}");
        assert!(!database.exists());
        fs::write(&database, b"whatever SQLite says of it").unwrap();
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
        fs::create_dir(dir.path().join("images")).unwrap();
        set(&dir.path().join("images"), 0o777);
        DataDir::open(dir.path()).unwrap();
        assert_eq!(dir.path().join("images").metadata().unwrap().mode() & 0o777, 0o750);
        let modes = files.each_ref().map(|path| path.metadata().unwrap().mode() & 0o777);
        // The owner's group may be that of a backup.
        assert_eq!(modes, [0o750, 0o640, 0o640]);
        let new = dir.path().join("new");
        DataDir::open(&new).unwrap();
        assert_eq!(new.join("registry.sqlite").metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_group_may_read_and_not_write() {
        let dir = tempfile::tempdir().unwrap();
        DataDir::open(dir.path()).unwrap();
        let paths = ["", "registry.sqlite", "images"].map(|name| dir.path().join(name));
        for path in &paths {
            fs::set_permissions(path, fs::Permissions::from_mode(0o770)).unwrap();
        }
        DataDir::open(dir.path()).unwrap();
        assert_eq!(paths.map(|path| path.metadata().unwrap().mode() & 0o777), [0o750; 3]);
    }

    /// Everything below a folder, with its kind and mode.
    fn listing(dir: &Path) -> Vec<(PathBuf, u32)> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<_> =
            entries.map(|path| (path.clone(), path.symlink_metadata().unwrap().mode())).collect();
        all.sort();
        all
    }

    #[test]
    fn what_lies_in_the_place_of_a_file_is_refused_by_name_and_left_alone() {
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        fs::write(elsewhere.path(), b"precious").unwrap();
        let names = ["lock", "registry.sqlite", "registry.sqlite-wal", "registry.sqlite-shm", "images"];
        for name in names {
            for (kind, words) in [
                ("folder", "it is a folder, not a file"),
                ("link", "it is a symbolic link"),
                ("pipe", "it is a pipe, not a"),
                ("second name", "it is a link to another file"),
                ("file", "it is a file, not a folder"),
            ] {
                let is_wrong =
                    if name == "images" { ["link", "pipe", "file"] } else { ["folder", "link", "pipe"] };
                let is_second_name = kind == "second name" && name != "images";
                if !is_wrong.contains(&kind) && !is_second_name {
                    continue;
                }
                let dir = tempfile::tempdir().unwrap();
                fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
                let path = dir.path().join(name);
                if name != "registry.sqlite" {
                    fs::write(dir.path().join("registry.sqlite"), b"").unwrap();
                }
                match kind {
                    "folder" => fs::create_dir(&path).unwrap(),
                    "link" if name == "images" => {
                        std::os::unix::fs::symlink("/does/not/exist", &path).unwrap()
                    }
                    "link" => std::os::unix::fs::symlink(elsewhere.path(), &path).unwrap(),
                    "pipe" => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
                    "file" => fs::write(&path, b"").unwrap(),
                    _ => fs::hard_link(elsewhere.path(), &path).unwrap(),
                }
                let before = listing(dir.path());
                let error = DataDir::open(dir.path()).unwrap_err();
                assert!(
                    matches!(&error, DataDirError::InTheWay { path: named, .. } if *named == path),
                    "{error:?}"
                );
                assert!(error.to_string().contains(words), "{error}");
                assert_eq!(listing(dir.path()), before, "{name}, {kind}: nothing is made or changed");
                assert_eq!(dir.path().metadata().unwrap().mode() & 0o777, 0o755);
            }
        }
        assert_eq!(fs::read(elsewhere.path()).unwrap(), b"precious");
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        // Only root can give files away.
        if !nix::unistd::geteuid().is_root() {
            DataDir::open(Path::new("/")).unwrap_err();
            return;
        }
        for name in ["", "lock", "registry.sqlite", "registry.sqlite-wal", "images"] {
            let dir = tempfile::tempdir().unwrap();
            DataDir::open(dir.path()).unwrap();
            let path = dir.path().join(name);
            if !path.exists() {
                fs::write(&path, b"").unwrap();
            }
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            let error = DataDir::open(dir.path()).unwrap_err();
            assert!(
                matches!(&error, DataDirError::OtherOwner { path: named, source } if named.ends_with(name) && source.owner == 12345),
                "{error:?}"
            );
        }
    }

    #[test]
    fn images_may_lie_on_another_disk() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(dir.path().join("registry.sqlite"), b"").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("images")).unwrap();
        fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o755)).unwrap();
        DataDir::open(dir.path()).unwrap();
        assert_eq!(elsewhere.path().metadata().unwrap().mode() & 0o777, 0o750);
    }

    #[test]
    fn a_file_is_not_a_data_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(DataDir::open(file.path()), Err(DataDirError::NotADirectory { .. })));
    }
}
