//! An image on its way in: written beside its place under a name that no image has, hashed on the way, and put into its
//! place when it is the promised one. Whatever else lies there stays there.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::BlobError;
use crate::domain::Digest;

/// Marks a file that is being written; no digest has one.
const STAGED_MARK: char = '#';
/// The owner's group may be that of a backup.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// A file that is being written. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Staged {
    place: PathBuf,
    file: NamedTempFile,
    hasher: Sha256,
}

impl Staged {
    /// Begins the image `digest` below `root`.
    ///
    /// # Errors
    /// Something else lies in the place of the image or of its folder, or the folder takes no file.
    pub(super) fn begin(root: &Path, digest: Digest) -> Result<Self, BlobError> {
        let place = place(root, digest);
        is_there(&place)?;
        let folder = place.parent().unwrap_or(root);
        let unwritable = |source| BlobError::unwritable(folder, source);
        match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
            // What is kept in it lasts only when it does.
            Ok(()) => synchronise_folder(root).map_err(unwritable)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unwritable(error)),
        }
        let mut builder = tempfile::Builder::new();
        let prefix = format!("{digest}{STAGED_MARK}");
        builder.prefix(&prefix).suffix("").permissions(Permissions::from_mode(FILE_MODE));
        let file = builder.tempfile_in(folder).map_err(unwritable)?;
        Ok(Self { place, file, hasher: Sha256::new() })
    }

    /// Appends a part.
    ///
    /// # Errors
    /// The disk did not take it.
    pub(super) fn write(&mut self, part: &[u8]) -> Result<(), BlobError> {
        self.hasher.update(part);
        self.file.write_all(part).map_err(|source| BlobError::unwritable(&self.place, source))
    }

    /// Puts what was written into its place, file and folder synchronised, if it is what was promised.
    ///
    /// # Errors
    /// It is not, something else lies in its place, or the disk did not take it.
    pub(super) fn keep(self, promised: Digest) -> Result<(), BlobError> {
        let computed = Digest(self.hasher.finalize().into());
        if computed != promised {
            return Err(BlobError::DigestMismatch { promised, computed });
        }
        let unwritable = |source| BlobError::unwritable(&self.place, source);
        synchronise(self.file.as_file()).map_err(unwritable)?;
        // A rename would take the place of a link or a pipe.
        is_there(&self.place)?;
        self.file.persist(&self.place).map_err(|error| unwritable(error.error))?;
        synchronise_folder(self.place.parent().unwrap_or(&self.place)).map_err(unwritable)
    }
}

/// `ab/abcd..`: no folder grows beyond what a file system lists quickly.
pub(super) fn place(root: &Path, digest: Digest) -> PathBuf {
    let text = digest.to_string();
    root.join(&text[..2]).join(&text)
}

/// Whether a name in the image folder is that of the folder of some images.
pub(super) fn is_folder_name(name: &OsStr) -> bool {
    matches!(name.as_encoded_bytes(), [b'0'..=b'9' | b'a'..=b'f', b'0'..=b'9' | b'a'..=b'f'])
}

/// Whether a file lies in the place of an image.
///
/// # Errors
/// [`BlobError::Obstructed`] when something else does, or lies in the place of the image's folder.
pub(super) fn is_there(place: &Path) -> Result<bool, BlobError> {
    if let Some(folder) = place.parent() {
        refuse_no_folder(folder)?;
    }
    match fs::symlink_metadata(place) {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(metadata) => Err(BlobError::obstructed(place, metadata.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(BlobError::unreadable(place, source)),
    }
}

/// Refuses what lies in the place of a folder, unless it leads to one.
///
/// # Errors
/// [`BlobError::Obstructed`]
pub(super) fn refuse_no_folder(path: &Path) -> Result<(), BlobError> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(());
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) => Err(BlobError::obstructed(path, metadata.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(BlobError::unreadable(path, source)),
    }
}

/// Removes the files that a crash left half written; returns their number. Nothing else is touched.
pub(super) fn remove_staged(root: &Path) -> Result<usize, BlobError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BlobError::Folder { path, source }
    };
    let mut removed = 0;
    for folder in fs::read_dir(root).map_err(failed(root))? {
        let folder = folder.map_err(failed(root))?.path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder).map_err(failed(&folder))? {
            let file = file.map_err(failed(&folder))?;
            if is_staged(&file.file_name()) && file.file_type().is_ok_and(|kind| kind.is_file()) {
                fs::remove_file(file.path()).map_err(failed(&file.path()))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

fn is_staged(name: &OsStr) -> bool {
    let digest = name.to_str().and_then(|name| name.split_once(STAGED_MARK));
    digest.is_some_and(|(digest, _)| digest.parse::<Digest>().is_ok())
}

/// Waits until the disk has what the folder lists.
pub(super) fn synchronise_folder(folder: &Path) -> io::Result<()> {
    synchronise(&File::open(folder)?)
}

/// Waits until the disk has the content.
fn synchronise(file: &File) -> io::Result<()> {
    file.sync_all()?;
    #[cfg(test)]
    tests::note_synchronised(file);
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::sync::Mutex;

    use super::*;

    /// What was synchronised, in order: inode and, of a file, its length then.
    static SYNCHRONISED: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

    pub(super) fn note_synchronised(file: &File) {
        let metadata = file.metadata().unwrap();
        let len = if metadata.is_file() { metadata.len() } else { 0 };
        SYNCHRONISED.lock().unwrap().push((metadata.ino(), len));
    }

    /// A power cut loses what is not on the disk: a test cannot cut the power, but sees what was waited for.
    #[test]
    fn what_is_stored_is_synchronised_to_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"an image");
        let mut staged = Staged::begin(dir.path(), digest).unwrap();
        staged.write(b"an ").unwrap();
        staged.write(b"image").unwrap();
        staged.keep(digest).unwrap();
        let place = place(dir.path(), digest);
        let inode = |path: &Path| path.metadata().unwrap().ino();
        let (root, folder) = (inode(dir.path()), inode(place.parent().unwrap()));
        let ours = [root, folder, inode(&place)];
        let all = SYNCHRONISED.lock().unwrap();
        let order: Vec<_> = all.iter().copied().filter(|(inode, _)| ours.contains(inode)).collect();
        // The folder's entry, all of the file, and the file's entry, in this order.
        assert_eq!(order, [(root, 0), (inode(&place), 8), (folder, 0)]);
    }
}
