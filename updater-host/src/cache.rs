//! Downloads, kept on disk by digest so that an update works without the server.
//!
//! Nothing that is read back is believed: images and envelopes are matched with the digest in their name, lists and
//! envelopes are verified again before each use. Files appear whole (written aside and renamed) or, for an image
//! that is still being fetched, as `.part`, which is locked while a program writes to it.

mod folder;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use directories::{BaseDirs, ProjectDirs};
use sha2::{Digest as _, Sha256};
use suit_manifest::limits::MAX_ENVELOPE_LEN;
use trust::host::{Existing, ReadError, Readers};
use trust::{Anchor, Domain, MAX_REVOCATION_LIST_LEN, MAX_SUCCESSION_LEN, RevocationList, SuccessionNumber};
use uuid::Uuid;

use crate::cli::Cli;
use crate::error::Error;
use crate::server::{Kind, Latest, Shelf};
use folder::make_folder;

/// Longest release object that is read back, bytes.
const MAX_RELEASE_OBJECT_LEN: u64 = 16 * 1024;

/// Most successions of a domain that are read back: far more than a device takes.
const MAX_KEPT_SUCCESSIONS: usize = 1000;

/// Longest report of a device's trust that is read back, bytes.
const MAX_DEVICE_TRUST_LEN: u64 = 1024;

/// Room that anything needs which is kept, bytes.
const SMALLEST_WRITE: usize = 64 * 1024;

/// Folders for what is kept: downloads, which may be deleted at any time, and reports, which may not.
#[derive(Clone, Debug)]
pub(crate) struct DataDirs {
    pub(crate) cache: PathBuf,
    /// Reports that wait for their server.
    pub(crate) queue: PathBuf,
}

impl DataDirs {
    /// `chosen/cache` and `chosen/queue`, or the user's own directories.
    ///
    /// # Errors
    /// [`Error::NoDataDirectory`], [`Error::SharedFolder`], [`Error::Write`] when `chosen` is no folder
    pub(crate) fn new(chosen: Option<&Path>) -> Result<Self, Error> {
        if let Some(chosen) = chosen {
            folder::refuse_shared(chosen)?;
            // A folder that cannot be written is one thing; a name that can be none is a slip.
            if std::fs::metadata(chosen).is_ok_and(|found| !found.is_dir()) {
                return Err(Error::write(chosen, std::io::ErrorKind::NotADirectory.into()));
            }
            return Ok(Self { cache: chosen.join("cache"), queue: chosen.join("queue") });
        }
        // A home that does not exist is not made here.
        if !BaseDirs::new().is_some_and(|dirs| dirs.home_dir().is_dir()) {
            return Err(Error::NoDataDirectory);
        }
        let dirs = ProjectDirs::from("", "", "anchorage").ok_or(Error::NoDataDirectory)?;
        Ok(Self { cache: dirs.cache_dir().to_owned(), queue: dirs.data_dir().join("queue") })
    }

    /// Whether something can be kept there.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::SharedFolder`]
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        for folder in [&self.cache, &self.queue] {
            make_folder(&folder.join("new"))?;
            let failed = |source| Error::write(folder, source);
            let mut file = tempfile::tempfile_in(folder).map_err(failed)?;
            // A full disk still takes an empty file.
            file.write_all(&[0; SMALLEST_WRITE]).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        Ok(())
    }
}

/// Downloads by digest.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// An image that is being fetched. It is locked against other programs until it is dropped.
#[derive(Debug)]
pub(crate) struct PartialImage {
    file: File,
    path: PathBuf,
    len: u64,
    _lock: File,
}

impl Cache {
    /// A cache in this folder, which is made when something is written.
    #[must_use]
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The cache of this command line; `None` with `--no-cache`, and when nobody named a folder and this user has none, so
    /// that nothing was ever kept.
    ///
    /// # Errors
    /// Those of [`DataDirs::new`] but for that one
    pub(crate) fn of(cli: &Cli) -> Result<Option<Self>, Error> {
        if cli.no_cache {
            return Ok(None);
        }
        match DataDirs::new(cli.data_dir.as_deref()) {
            Ok(dirs) => Ok(Some(Self::new(dirs.cache))),
            Err(Error::NoDataDirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An image of `size` bytes, if it is here and has its digest. One that is damaged is deleted.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Write`]
    pub(crate) fn image(&self, digest: &[u8; 32], size: u64) -> Result<Option<Vec<u8>>, Error> {
        self.by_digest(&self.image_path(digest), digest, size)
    }

    /// An envelope, if it is here and has its digest (of the file, not the manifest).
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Write`]
    pub(crate) fn envelope(&self, digest: &[u8; 32]) -> Result<Option<Vec<u8>>, Error> {
        self.by_digest(&self.envelope_path(digest), digest, MAX_ENVELOPE_LEN as u64)
    }

    /// # Errors
    /// [`Error::Write`], [`Error::SharedFolder`]
    pub(crate) fn keep_envelope(&self, bytes: &[u8]) -> Result<(), Error> {
        write_whole(&self.envelope_path(&Sha256::digest(bytes).into()), bytes)
    }

    /// The release objects that `server` gave last, of this shelf: for this very device, and for its class. As they came.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Write`]
    pub(crate) fn release_objects(&self, server: &str, kind: &Kind) -> Result<Vec<Vec<u8>>, Error> {
        let paths = [Some(kind.device), None].map(|device| self.release_path(server, kind, device));
        let read = paths.iter().map(|path| read_if_there(path, MAX_RELEASE_OBJECT_LEN));
        read.filter_map(Result::transpose).collect()
    }

    /// Keeps the newest release: for its single device if it is for one, else for the class. If the other one has a
    /// higher sequence number, it has been withdrawn, and goes.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::SharedFolder`]
    pub(crate) fn keep_release_object(
        &self,
        server: &str,
        kind: &Kind,
        latest: &Latest,
    ) -> Result<(), Error> {
        write_whole(&self.release_path(server, kind, latest.device), &latest.object)?;
        let other = self.release_path(server, kind, latest.device.is_none().then_some(kind.device));
        let kept = read_if_there(&other, MAX_RELEASE_OBJECT_LEN)?.map(Latest::read);
        match kept {
            Some(Ok(kept)) if kept.sequence > latest.sequence => remove(&other),
            _ => Ok(()),
        }
    }

    /// Forgets the kept releases for a kind of device: the server offers none any more.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub(crate) fn forget_release_objects(&self, server: &str, kind: &Kind) -> Result<(), Error> {
        remove(&self.release_path(server, kind, Some(kind.device)))?;
        remove(&self.release_path(server, kind, None))
    }

    /// The newest revocation list of a domain that was ever fetched. To be verified.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Write`]
    pub(crate) fn revocation_list(&self, domain: Domain) -> Result<Option<Vec<u8>>, Error> {
        read_if_there(&self.list_path(domain), MAX_REVOCATION_LIST_LEN as u64)
    }

    /// Keeps a revocation list, unless the one of its domain that is here is as new.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::SharedFolder`]
    pub(crate) fn keep_revocation_list(
        &self,
        anchors: &[Anchor],
        list: &RevocationList<'_>,
    ) -> Result<(), Error> {
        let path = self.list_path(list.domain());
        // Another program may be at the same list.
        let _lock = lock(&path.with_extension("lock"))?;
        let kept = read_if_there(&path, MAX_REVOCATION_LIST_LEN as u64)?;
        let kept = kept.as_deref().and_then(|bytes| RevocationList::verify(bytes, anchors).ok());
        if kept.is_some_and(|kept| kept.domain() == list.domain() && kept.sequence() >= list.sequence()) {
            return Ok(());
        }
        write_whole(&path, list.as_bytes())
    }

    /// Every succession of a domain that was ever held here, in their order. To be verified.
    ///
    /// # Errors
    /// [`Error::Read`]
    pub(crate) fn successions(&self, domain: Domain) -> Result<Vec<Vec<u8>>, Error> {
        let folder = self.successions_path(domain);
        let failed = |source: std::io::Error| Error::read(&folder, source);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut numbers = Vec::new();
        for entry in entries.take(MAX_KEPT_SUCCESSIONS) {
            let name = entry.map_err(failed)?.file_name();
            numbers.extend(name.to_str().and_then(number_of_name));
        }
        numbers.sort_unstable();
        let read = numbers
            .into_iter()
            .map(|number| read_if_there(&folder.join(number.to_string()), MAX_SUCCESSION_LEN as u64));
        read.filter_map(Result::transpose).collect()
    }

    /// Keeps a succession that was verified. None is ever replaced by another.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::SharedFolder`]
    pub(crate) fn keep_succession(
        &self,
        domain: Domain,
        number: SuccessionNumber,
        record: &[u8],
    ) -> Result<(), Error> {
        let path = self.successions_path(domain).join(number.to_string());
        match read_if_there(&path, MAX_SUCCESSION_LEN as u64)? {
            Some(kept) if kept == record => Ok(()),
            // What is there did not verify, or it would be the one that is held.
            _ => write_whole(&path, record),
        }
    }

    /// What a device was found to trust, by its device id: the content of `FD02`.
    ///
    /// # Errors
    /// [`Error::Read`]
    pub(crate) fn device_trust(&self, device: Uuid) -> Result<Option<Vec<u8>>, Error> {
        read_if_there(&self.device_path(device), MAX_DEVICE_TRUST_LEN)
    }

    /// # Errors
    /// [`Error::Write`], [`Error::SharedFolder`]
    pub(crate) fn keep_device_trust(&self, device: Uuid, report: &[u8]) -> Result<(), Error> {
        write_whole(&self.device_path(device), report)
    }

    /// Opens an image for fetching, at what an earlier run left. `None` while another program fetches it.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::SharedFolder`]
    pub(crate) fn partial_image(&self, digest: &[u8; 32]) -> Result<Option<PartialImage>, Error> {
        let path = self.image_path(digest).with_extension("part");
        make_folder(&path)?;
        // The lock is a file of its own: the other one is renamed when it is complete.
        let Some(lock) = try_lock(&path.with_extension("lock"))? else { return Ok(None) };
        let failed = |source| Error::write(&path, source);
        let mut file = folder::open_own(&path)?;
        let len = file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Some(PartialImage { file, path, len, _lock: lock }))
    }

    /// Ends a fetch: the bytes become an image of the cache when they have their size and digest, else they are
    /// thrown away and this is `None`.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Write`]
    pub(crate) fn finish_image(
        &self,
        mut partial: PartialImage,
        digest: &[u8; 32],
        size: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let path = partial.path.clone();
        let failed = |source| Error::write(&path, source);
        let mut bytes = Vec::new();
        partial.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        (&partial.file).take(size.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if !matches(&bytes, digest, size) {
            partial.restart()?;
            return Ok(None);
        }
        partial.file.sync_all().map_err(failed)?;
        fs::rename(&path, self.image_path(digest)).map_err(failed)?;
        Ok(Some(bytes))
    }

    fn by_digest(&self, path: &Path, digest: &[u8; 32], limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(bytes) = read_if_there(path, limit)? else { return Ok(None) };
        if Sha256::digest(&bytes)[..] == digest[..] {
            return Ok(Some(bytes));
        }
        remove(path)?;
        Ok(None)
    }

    fn image_path(&self, digest: &[u8; 32]) -> PathBuf {
        self.root.join("images").join(hex::encode(digest))
    }

    fn envelope_path(&self, digest: &[u8; 32]) -> PathBuf {
        self.root.join("envelopes").join(hex::encode(digest))
    }

    fn list_path(&self, domain: Domain) -> PathBuf {
        self.root.join("revocations").join(hex::encode(domain.0.0))
    }

    fn successions_path(&self, domain: Domain) -> PathBuf {
        self.root.join("successions").join(hex::encode(domain.0.0))
    }

    fn device_path(&self, device: Uuid) -> PathBuf {
        self.root.join("devices").join(device.to_string())
    }

    fn release_path(&self, server: &str, kind: &Kind, device: Option<Uuid>) -> PathBuf {
        let server = hex::encode(Sha256::digest(server));
        let Kind { vendor, class, shelf, .. } = kind;
        let shelf = match shelf {
            Shelf::Firmware => "",
            Shelf::Table => ".table",
            Shelf::Both => ".both",
        };
        let device = device.map(|device| format!(".{device}")).unwrap_or_default();
        self.root.join("releases").join(server).join(format!("{vendor}.{class}{shelf}{device}.json"))
    }
}

/// The number that names the file of a succession; `None` for any other file.
fn number_of_name(name: &str) -> Option<SuccessionNumber> {
    let (epoch, sequence) = name.split_once('.')?;
    let number =
        SuccessionNumber { recovery_epoch: epoch.parse().ok()?, succession_sequence: sequence.parse().ok()? };
    (number.to_string() == name).then_some(number)
}

impl PartialImage {
    #[must_use]
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// # Errors
    /// [`Error::Write`]
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| Error::write(&self.path, source))?;
        self.len = self.len.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Throws away what is here.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        let failed = |source| Error::write(&self.path, source);
        self.file.set_len(0).map_err(failed)?;
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        self.len = 0;
        Ok(())
    }
}

fn matches(bytes: &[u8], digest: &[u8; 32], size: u64) -> bool {
    bytes.len() as u64 == size && Sha256::digest(bytes)[..] == digest[..]
}

/// Reads at most `limit` bytes and one more, so that a longer file does not have the digest it should.
fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    match trust::host::open_limited(path, limit, &mut bytes) {
        Ok(()) | Err(ReadError::TooLong(_)) => Ok(Some(bytes)),
        Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::read(path, error)),
    }
}

/// Writes a file so that it is there wholly or not at all, also after a power cut.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    make_folder(path)?;
    let failed = |source| Error::write(path, source);
    trust::host::write_whole(path, bytes, Readers::Owner, Existing::Replace).map_err(failed)
}

/// Locks a file, which is made if need be and stays; `None` while another program has it. Closing it unlocks it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<File>, Error> {
    make_folder(path)?;
    trust::host::lock_own(path).map_err(|source| Error::write(path, source))
}

/// The same, for what takes no time: waits until no other program has it.
fn lock(path: &Path) -> Result<File, Error> {
    make_folder(path)?;
    let file = folder::open_own(path)?;
    file.lock().map_err(|source| Error::write(path, source))?;
    Ok(file)
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::write(path, error)),
        _ => Ok(()),
    }
}

/// The digest that 64 lowercase hex digits stand for.
pub(crate) fn digest_of_hex(text: &str) -> Option<[u8; 32]> {
    let lowercase = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut digest = [0; 32];
    (lowercase && hex::decode_to_slice(text, &mut digest).is_ok()).then_some(digest)
}

#[cfg(test)]
mod tests;
