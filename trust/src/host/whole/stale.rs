//! Temporary files of a program that was killed: the next one that writes in their folder removes them. One may be the
//! private key that was being written.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The name of each temporary file is this, [`RANDOM`] letters and digits, and [`SUFFIX`]: nobody gives such a name to a
/// file of his own, as he may give `.anchorage-passphrase`.
pub(super) const PREFIX: &str = ".anchorage-tmp-";
/// Letters and digits in the name of a temporary file.
pub(super) const RANDOM: usize = 12;
/// Ends the name of each temporary file.
pub(super) const SUFFIX: &str = ".partial";
/// So much older than a new file, by the clock of the same file system, is one that is stale unless it is locked. The lock
/// comes a moment after the file.
const MIN_AGE: Duration = Duration::from_secs(60);
/// Folders that are remembered: those beyond are looked through again at each write.
const MAX_FOLDERS: usize = 1024;

static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Whether a file has the name of a temporary file of [`super::write_whole`].
#[must_use]
pub fn is_temporary_name(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    random.is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Removes the stale temporary files of a folder, once in the life of this process; `new` is one that it has just made
/// there. What cannot be removed stays: it keeps nobody from writing.
pub(super) fn sweep(folder: &Path, new: &File) {
    let Ok(real) = folder.canonicalize() else { return };
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if swept.contains(&real) {
        return;
    }
    if swept.len() < MAX_FOLDERS {
        swept.insert(real);
    }
    drop(swept);
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        if is_temporary_name(&entry.file_name()) {
            let _stays = remove(&entry, new);
        }
    }
}

/// Removes a file if it is our own, old, and nobody writes it.
fn remove(entry: &DirEntry, new: &File) -> io::Result<()> {
    let there = entry.path().symlink_metadata()?;
    let age = new.metadata()?.modified()?.duration_since(there.modified()?).unwrap_or_default();
    if !there.is_file() || age < MIN_AGE {
        return Ok(());
    }
    #[cfg(unix)]
    super::super::own::refuse_other_owner(&there).map_err(io::Error::other)?;
    let file = super::super::read::open_file(&entry.path())?;
    // Whoever writes it holds the lock; where a file system has none, nobody knows, and it stays.
    file.try_lock().map_err(io::Error::from)?;
    std::fs::remove_file(entry.path())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::host::{Existing, Readers, write_whole};

    /// A file in a folder that was written some time ago.
    fn old(folder: &Path, name: &str, age: Duration) -> File {
        let file = File::create_new(folder.join(name)).unwrap();
        file.set_modified(SystemTime::now().checked_sub(age).unwrap()).unwrap();
        file
    }

    #[test]
    fn a_file_that_a_killed_program_left_goes_with_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let day = Duration::from_secs(24 * 60 * 60);
        let name = |random: &str| format!("{PREFIX}{random}{SUFFIX}");
        let [killed, now, written, directory, link] =
            ["killed000000", "now000000000", "written00000", "directory000", "link00000000"].map(name);
        drop(old(folder, &killed, day));
        drop(old(folder, &now, Duration::from_secs(1)));
        // Files of the user, whatever they are called.
        let others = [
            ".anchorage-passphrase",
            ".anchorage-pin",
            ".anchorage-tmp-",
            ".anchorage-tmp-1",
            ".anchorage-tmp-1.partial",
            ".anchorage-tmp-killed-00000.partial",
            ".anchorage-tmp-killed0000000.partial",
            ".other",
            "anchorage-notes",
        ];
        for other in others {
            drop(old(folder, other, day));
        }
        let written_now = old(folder, &written, day);
        written_now.lock().unwrap();
        std::fs::create_dir(folder.join(&directory)).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(".other", folder.join(&link)).unwrap();
        write_whole(&folder.join("new"), b"new", Readers::Owner, Existing::Keep).unwrap();
        let left: BTreeSet<String> =
            folder.read_dir().unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        assert!(!left.contains(&killed), "{left:?}");
        let mut stay = BTreeSet::from(others.map(str::to_owned));
        stay.extend([now, written, directory, "new".to_owned()]);
        #[cfg(unix)]
        stay.insert(link);
        assert_eq!(left, stay);
    }

    /// A write that lasts holds its lock, so that no other program takes its file away.
    #[test]
    fn a_file_is_locked_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = super::super::temporary(folder.path(), Readers::Owner).unwrap();
        assert!(is_temporary_name(file.path().file_name().unwrap()));
        let other = File::open(file.path()).unwrap();
        assert!(matches!(other.try_lock(), Err(std::fs::TryLockError::WouldBlock)));
    }
}
