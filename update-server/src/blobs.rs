//! Images by digest. An image is visible only as a whole: it is written beside its place while its digest is taken,
//! and put there, file and folder synchronised, when the digest is the promised one.
//!
//! They are written by `stage`, and read by `open`.

mod open;
mod stage;

use std::fs::{self, FileType};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use trust::host::kind_of;

pub use self::open::{ByteStream, Image};
use self::open::{Known, Opened};
use self::stage::Staged;
use crate::domain::Digest;

/// Bytes of an upload to write at a time. An upload has two parts in memory: one comes while the other is written.
const PART_LEN: usize = 512 << 10;
/// Large images that are hashed for readers at one time.
const MAX_HASHING: usize = 2;
/// How fast stored images are held against their digests in the background, bytes a second: a few percent of a
/// processor and of a disk.
const SCRUB_RATE: u32 = 4 << 20;
/// File of the readiness check; in the root, where no image lies.
const PROBE_FILE: &str = "readiness#0";
const PROBE_LEN: usize = 64 << 10;

/// Why an image could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes are not those that the digest names.
    #[error("the image has the digest {computed}, not {promised}")]
    DigestMismatch {
        /// What the sender said.
        promised: Digest,
        /// What arrived.
        computed: Digest,
    },
    /// The image is longer than this server takes.
    #[error("the image is longer than {limit} bytes")]
    TooLong {
        /// The limit that was passed.
        limit: u64,
    },
    /// The stored bytes are not those of the digest: the disk, or somebody, changed them.
    #[error("the stored image {digest} is damaged: its {len} bytes have another digest")]
    Damaged {
        /// What was asked for.
        digest: Digest,
        /// The length of what is stored, bytes.
        len: u64,
    },
    /// It was stored once, since a release names it, and is not there any more.
    #[error("the image {0}, which a release names, is lost")]
    Lost(Digest),
    /// Something that is no file lies in the place of the image, or what is no folder in the place of its folder. It
    /// stays there.
    #[error("{} is {kind}; it is in the way of an image", .path.display())]
    Obstructed {
        /// What lies there.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// The disk has no space left.
    #[error("the disk is full")]
    Full,
    /// The disk does not take it.
    #[error("cannot write {}: {source}", .path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk does not give it.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder could not be made or cleaned at the start.
    #[error("cannot use the image folder {}: {source}", .path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Whether it says that the disk, or what a user may have of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl BlobError {
    fn obstructed(path: &Path, kind: FileType) -> Self {
        Self::Obstructed { path: path.to_owned(), kind: kind_of(kind) }
    }

    fn unwritable(path: &Path, source: io::Error) -> Self {
        if is_full(&source) { Self::Full } else { Self::Unwritable { path: path.to_owned(), source } }
    }

    /// Whether the disk has no space left.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full => true,
            Self::Folder { source, .. } => is_full(source),
            Self::DigestMismatch { .. }
            | Self::TooLong { .. }
            | Self::Damaged { .. }
            | Self::Lost(_)
            | Self::Obstructed { .. }
            | Self::Unwritable { .. }
            | Self::Unreadable { .. } => false,
        }
    }

    fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), source }
    }
}

/// An upload that ended early: either the sender's fault or ours.
#[derive(Debug)]
pub enum UploadError<E> {
    /// The sender's stream failed.
    Source(E),
    /// The image was refused or could not be kept.
    Blob(BlobError),
}

impl<E> From<BlobError> for UploadError<E> {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

/// The image store.
#[derive(Debug)]
pub struct Blobs {
    root: PathBuf,
    known: Arc<Known>,
    hashing: Arc<Semaphore>,
}

impl Blobs {
    /// Opens the folder `root`, creates it if it is missing, and removes uploads that a crash cut off.
    /// The caller holds the data directory's lock: nobody else is uploading.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        let failed = |source| BlobError::Folder { path: root.to_owned(), source };
        fs::create_dir_all(root).map_err(failed)?;
        // That the folders are there has to last as well.
        stage::synchronise_folder(root).map_err(failed)?;
        if let Some(parent) = root.parent() {
            stage::synchronise_folder(parent).map_err(failed)?;
        }
        let removed = stage::remove_staged(root)?;
        if removed > 0 {
            tracing::warn!(removed, "removed unfinished uploads of an earlier run");
        }
        let hashing = Arc::new(Semaphore::new(MAX_HASHING));
        Ok(Self { root: root.to_owned(), known: Arc::default(), hashing })
    }

    /// Whether a file lies under the image's name, damaged or not.
    ///
    /// # Errors
    /// Something else lies there, or the disk failed: the image is counted by [`damaged`](Self::damaged).
    pub async fn contains(&self, digest: Digest) -> Result<bool, BlobError> {
        let path = self.path(digest);
        let found = self.on_disk(move || stage::is_there(&path)).await;
        if let Err(error) = &found {
            self.known.note_unusable(digest, error);
        }
        found
    }

    /// The image, from memory if possible; `None` when it is not stored.
    ///
    /// # Errors
    /// It is damaged, or the disk failed.
    pub async fn image(&self, digest: Digest) -> Result<Option<Image>, BlobError> {
        match self.known.cached(digest) {
            Some(image) => Ok(Some(image)),
            None => self.stored(digest).await,
        }
    }

    /// The image as the disk has it; `None` when it is not stored.
    ///
    /// # Errors
    /// It is damaged, or the disk failed.
    pub async fn stored(&self, digest: Digest) -> Result<Option<Image>, BlobError> {
        let path = self.path(digest);
        let known = self.known.clone();
        // One visit to the disk, unless a large file has to be hashed: few of those at a time.
        let first = {
            let path = path.clone();
            move || match open_image(&path) {
                Ok(Some(file)) => {
                    let failed = |source| BlobError::unreadable(&path, source);
                    match known.is_settled(digest, &file).map_err(failed)? {
                        true => known.open(digest, file).map(|it| Some(Ok(it))).map_err(failed),
                        false => Ok(Some(Err(file))),
                    }
                }
                Ok(None) => {
                    known.note_absent(digest);
                    Ok(None)
                }
                Err(error) => {
                    known.note_unusable(digest, &error);
                    Err(error)
                }
            }
        };
        let opened = match self.on_disk(first).await? {
            None => return Ok(None),
            Some(Ok(opened)) => opened,
            Some(Err(file)) => {
                // Nobody closes the semaphore.
                let place = self.hashing.clone().acquire_owned().await.ok();
                let known = self.known.clone();
                let hash = move || {
                    // Taken along: the reader may be gone before this is done.
                    let _place = place;
                    known.open(digest, file).map_err(|source| BlobError::unreadable(&path, source))
                };
                self.on_disk(hash).await?
            }
        };
        match opened {
            Opened::Whole(image) => Ok(Some(image)),
            Opened::Damaged(len) => Err(BlobError::Damaged { digest, len }),
        }
    }

    /// An image that a release names is not there.
    pub fn note_lost(&self, digest: Digest) {
        self.known.note_lost(digest);
    }

    /// Images that are known to be damaged or lost, or that cannot be read.
    pub fn damaged(&self) -> usize {
        self.known.damaged()
    }

    /// Holds every stored image against its digest, at [`SCRUB_RATE`]; returns how many there are. A damaged one is
    /// named in the log, counted by [`damaged`](Self::damaged), and not served.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub async fn scrub(&self) -> io::Result<usize> {
        let (root, known) = (self.root.clone(), self.known.clone());
        let scrub = move || scrub(&root, &known, SCRUB_RATE);
        tokio::task::spawn_blocking(scrub).await.map_err(io::Error::other).flatten()
    }

    fn path(&self, digest: Digest) -> PathBuf {
        stage::place(&self.root, digest)
    }

    /// Runs `work` where it may wait for the disk.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        self.join(tokio::task::spawn_blocking(work)).await
    }

    async fn join<T>(&self, work: JoinHandle<Result<T, BlobError>>) -> Result<T, BlobError> {
        work.await.map_err(|error| BlobError::unreadable(&self.root, io::Error::other(error))).flatten()
    }

    /// Stores the bytes of `source` as `promised` if that is their digest; returns their number. An image that is stored
    /// already is replaced as a whole, which repairs a damaged one. On any error, and when the future is dropped,
    /// everything stays as it was.
    pub async fn write<S, E>(&self, promised: Digest, source: S, limit: u64) -> Result<u64, UploadError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let root = self.root.clone();
        // A file that is dropped on the way is removed.
        let mut writing = tokio::task::spawn_blocking(move || Staged::begin(&root, promised));
        let mut source = std::pin::pin!(source);
        let mut waiting = BytesMut::new();
        let mut size = 0_u64;
        while let Some(part) = source.next().await {
            let taken = part.map_err(UploadError::Source).and_then(|part| {
                size = size.saturating_add(part.len() as u64);
                if size > limit { Err(BlobError::TooLong { limit }.into()) } else { Ok(part) }
            });
            let part = match taken {
                Ok(part) => part,
                Err(refused) => {
                    // Nothing of it is left when the sender hears so.
                    let staged = self.join(writing).await;
                    self.on_disk(move || staged.map(drop)).await.ok();
                    return Err(refused);
                }
            };
            // Copied: kept as they came, parts of a few bytes would cost many times their length.
            waiting.extend_from_slice(&part);
            if waiting.len() >= PART_LEN {
                let (mut staged, part) = (self.join(writing).await?, waiting.split());
                writing = tokio::task::spawn_blocking(move || staged.write(&part).map(|()| staged));
            }
        }
        let mut staged = self.join(writing).await?;
        let kept = move || staged.write(&waiting).and_then(|()| staged.keep(promised));
        self.on_disk(kept).await?;
        self.known.note_written(promised);
        Ok(size)
    }

    /// Keeps a file of the size of a small image for a moment.
    ///
    /// # Errors
    /// The folder takes no file.
    pub async fn check(&self) -> Result<(), BlobError> {
        let root = self.root.clone();
        self.on_disk(move || check(&root)).await
    }
}

/// Opens what lies under an image's name; `None` when nothing does. Waits for no pipe, and follows no link.
fn open_image(path: &Path) -> Result<Option<fs::File>, BlobError> {
    if !stage::is_there(path)? {
        return Ok(None);
    }
    match fs::File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(BlobError::unreadable(path, source)),
    }
}

/// [`Blobs::check`]
fn check(root: &Path) -> Result<(), BlobError> {
    let path = root.join(PROBE_FILE);
    let keep = || {
        match fs::remove_file(&path) {
            // Of a check that was cut off, or whatever else has its name: it is not opened.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut file = fs::File::create_new(&path)?;
        let kept = file.write_all(&[0; PROBE_LEN]).and_then(|()| file.sync_all());
        fs::remove_file(&path)?;
        kept
    };
    keep().map_err(|source| BlobError::unwritable(&path, source))?;
    for folder in fs::read_dir(root).map_err(|source| BlobError::unreadable(root, source))?.flatten() {
        if stage::is_folder_name(&folder.file_name()) {
            stage::refuse_no_folder(&folder.path())?;
        }
    }
    Ok(())
}

/// [`Blobs::scrub`], with at most `rate` bytes a second.
fn scrub(root: &Path, known: &Known, rate: u32) -> io::Result<usize> {
    let mut count = 0;
    for folder in fs::read_dir(root)? {
        let Ok(files) = fs::read_dir(folder?.path()) else { continue };
        for file in files.flatten() {
            let Some(digest) = file.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let pace = |len| {
                let len = u32::try_from(len).unwrap_or(u32::MAX);
                std::thread::sleep(Duration::from_secs(1) * len / rate);
            };
            let verified = open_image(&file.path()).and_then(|opened| {
                let Some(opened) = opened else { return Ok(false) };
                let verified = known.verify(digest, &opened, pace);
                verified.map(|_| true).map_err(|source| BlobError::unreadable(&file.path(), source))
            });
            match verified {
                Ok(true) => count += 1,
                Ok(false) => known.note_absent(digest),
                Err(error) => known.note_unusable(digest, &error),
            }
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
