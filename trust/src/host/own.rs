//! Files that are a program's own: it may run as root, and somebody else may have been in its folder.

use std::fs::{File, FileType, Metadata, TryLockError};
use std::io;
use std::path::Path;

/// Opens a file to read and write it, or makes it for its owner only. It is never another one: no link is followed, and
/// neither a file with a second name nor anything but a file is taken. Waits for no pipe.
///
/// # Errors
/// What the system said, or what lies in the place of the file.
pub fn open_own(path: &Path) -> io::Result<File> {
    if let Ok(there) = path.symlink_metadata() {
        check_own_file(&there)?;
    }
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        use nix::fcntl::OFlag;
        // Something else may have come into its place since.
        options.mode(0o600).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    }
    let file = options.open(path)?;
    check_own_file(&file.metadata()?)?;
    Ok(file)
}

/// Keeps other programs out of what a file stands for, which [`open_own`] opens or makes, until it is closed. `None`: another
/// one has it. Where a file system knows no locks, as those of some sticks, nobody is kept out.
///
/// # Errors
/// Those of [`open_own`]; what the system said.
pub fn lock_own(path: &Path) -> io::Result<Option<File>> {
    lock(open_own(path)?)
}

/// The same of a folder, in which nothing is left.
///
/// # Errors
/// What the system said.
#[cfg(unix)]
pub fn lock_folder(path: &Path) -> io::Result<Option<File>> {
    match lock(File::open(path)?) {
        // A server of files that locks only what is open to be written.
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EBADF as i32) => {
            File::open(path).map(Some)
        }
        result => result,
    }
}

fn lock(file: File) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Some(file)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A file or folder belongs to another user, who can change it at any time.
#[cfg(unix)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OtherOwner {
    /// The user to whom it belongs.
    pub owner: u32,
    /// The user as whom this program runs.
    pub own: u32,
}

#[cfg(unix)]
impl std::error::Error for OtherOwner {}

#[cfg(unix)]
impl std::fmt::Display for OtherOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it belongs to another user (uid {}; this process has {})", self.owner, self.own)
    }
}

/// Refuses what does not belong to the user as whom this program runs.
///
/// # Errors
/// [`OtherOwner`]
#[cfg(unix)]
pub fn refuse_other_owner(metadata: &Metadata) -> Result<(), OtherOwner> {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    let own = nix::unistd::geteuid().as_raw();
    if owner == own { Ok(()) } else { Err(OtherOwner { owner, own }) }
}

/// Refuses what is no file, and a file that has a second name.
///
/// # Errors
/// What it is instead.
pub fn check_own_file(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(io::Error::other(format!("it is {}, not a file", kind_of(metadata.file_type()))));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(metadata) > 1 {
        return Err(io::Error::other("it is a link to another file"));
    }
    Ok(())
}

/// The name of a kind of file, with its article, such as "a symbolic link".
#[must_use]
pub fn kind_of(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_file() {
        "a file"
    } else {
        "something else"
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_file_of_its_own_is_made_for_its_owner_and_opened_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        open_own(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, b"part").unwrap();
        assert_eq!(open_own(&path).unwrap().metadata().unwrap().len(), 4);
    }

    #[test]
    fn a_file_is_locked_until_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let first = lock_own(&path).unwrap();
        assert!(first.is_some() && lock_own(&path).unwrap().is_none());
        drop(first);
        assert!(lock_own(&path).unwrap().is_some());
        let first = lock_folder(folder.path()).unwrap();
        assert!(first.is_some() && lock_folder(folder.path()).unwrap().is_none());
        drop(first);
        assert!(lock_folder(folder.path()).unwrap().is_some());
    }

    #[test]
    fn what_lies_in_the_place_of_a_file_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("victim"), b"precious").unwrap();
        symlink(path("victim"), path("soft")).unwrap();
        symlink(path("absent"), path("dangling")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
        assert!(made.success());
        for (name, kind) in [
            ("soft", "a symbolic link, not a file"),
            ("dangling", "a symbolic link, not a file"),
            ("folder", "a folder, not a file"),
            ("socket", "a socket, not a file"),
            ("pipe", "a pipe, not a file"),
        ] {
            let error = open_own(&path(name)).unwrap_err();
            assert!(error.to_string().contains(kind), "{name}: {error}");
        }
        fs::hard_link(path("victim"), path("hard")).unwrap();
        assert!(open_own(&path("hard")).unwrap_err().to_string().contains("a link to another file"));
        assert!(!path("absent").exists());
        assert_eq!(fs::read(path("victim")).unwrap(), b"precious");
    }
}
