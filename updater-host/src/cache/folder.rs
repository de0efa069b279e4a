//! Folders and files that are this user's own: the program may run as root, and somebody else may have been in the folder.

use std::fs::{DirBuilder, File};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use crate::error::Error;

/// The rights of group and others to write.
#[cfg(unix)]
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Makes the folder of a file where it is missing, readable by its owner only, whatever the umask.
///
/// # Errors
/// [`Error::Write`], [`Error::SharedFolder`]
pub(super) fn make_folder(path: &Path) -> Result<&Path, Error> {
    let folder = path.parent().unwrap_or(path);
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder).map_err(|source| Error::write(folder, source))?;
    refuse_shared(folder)?;
    Ok(folder)
}

/// Refuses a folder in which another user may delete the lists that were fetched, and put links into the way. One that
/// is not there yet is fine.
///
/// # Errors
/// [`Error::SharedFolder`]
pub(super) fn refuse_shared(folder: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    if let Ok(metadata) = folder.metadata() {
        let unsafe_for = |fault| Err(Error::SharedFolder { path: folder.to_owned(), fault });
        let mode = metadata.mode() & 0o7777;
        if mode & WRITABLE_BY_OTHERS != 0 {
            return unsafe_for(format!("other users may write to it (mode {mode:04o})"));
        }
        if let Err(other) = trust::host::refuse_other_owner(&metadata) {
            return unsafe_for(other.to_string());
        }
    }
    Ok(())
}

/// Opens a file that is this user's own, or makes it.
///
/// # Errors
/// [`Error::Write`]
pub(super) fn open_own(path: &Path) -> Result<File, Error> {
    trust::host::open_own(path).map_err(|source| Error::write(path, source))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn folders_and_files_are_their_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cache/images/part");
        make_folder(&file).unwrap();
        open_own(&file).unwrap();
        assert_eq!([&folder.path().join("cache"), file.parent().unwrap()].map(mode), [0o700; 2]);
        assert_eq!(mode(&file), 0o600);
        // What is there is opened as it is.
        fs::write(&file, b"part").unwrap();
        assert_eq!(open_own(&file).unwrap().metadata().unwrap().len(), 4);
    }

    #[test]
    fn a_link_in_the_cache_leads_to_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, b"precious").unwrap();
        symlink(&victim, folder.path().join("soft")).unwrap();
        symlink(folder.path().join("absent"), folder.path().join("dangling")).unwrap();
        fs::hard_link(&victim, folder.path().join("hard")).unwrap();
        for (name, why) in
            [("soft", "symbolic link"), ("dangling", "symbolic link"), ("hard", "link to another")]
        {
            let error = open_own(&folder.path().join(name)).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.code(), "file-write");
        }
        assert!(!folder.path().join("absent").exists());
        assert_eq!(fs::read(victim).unwrap(), b"precious");
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        // Only root may give a folder away; for everybody else the folder of the devices is root's.
        let is_root = std::os::unix::fs::chown(folder.path(), Some(65534), None).is_ok();
        let path = if is_root { folder.path() } else { Path::new("/dev") };
        let error = super::super::DataDirs::new(Some(path)).unwrap_err();
        assert_eq!((error.code().as_str(), error.exit_code()), ("shared-folder", 3));
        assert!(error.to_string().contains("another user"), "{error}");
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, code) in [
            (0o1777, "shared-folder"),
            (0o777, "shared-folder"),
            (0o775, "shared-folder"),
            (0o755, ""),
            (0o700, ""),
        ] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            for outcome in [
                make_folder(&folder.path().join("file")).map(drop),
                super::super::DataDirs::new(Some(folder.path())).map(drop),
            ] {
                assert_eq!(outcome.err().map(|error| error.code()).unwrap_or_default(), code, "{mode:o}");
            }
        }
    }
}
