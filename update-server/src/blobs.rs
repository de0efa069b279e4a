//! Images by digest. An image is visible only as a whole: it is written beside its place while its digest is taken,
//! and put there, file and folder synchronised, when the digest is the promised one.
//!
//! `object_store` writes them, staged and synchronised; they are read from their files (`open`).

mod open;

use std::io::Write as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

pub use self::open::{ByteStream, Image};
use self::open::{Known, Opened};
use crate::domain::Digest;

/// Memory for a part of an upload, bytes; S3 takes no smaller part.
const PART_LEN: usize = 5 << 20;
/// Parts of one upload that may wait for the disk before its sender has to.
const PARTS_UNDER_WAY: usize = 2;
/// Large images that are hashed for readers at one time.
const MAX_HASHING: usize = 2;
/// How fast stored images are held against their digests in the background, bytes a second: a few percent of a
/// processor and of a disk.
const SCRUB_RATE: u32 = 4 << 20;
/// File of the readiness check; in the root, where no image lies.
const PROBE_FILE: &str = "readiness#0";
const PROBE_LEN: usize = 64 << 10;
/// `object_store` marks a file that is being written with this; no digest has one.
const STAGED_MARK: char = '#';

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
    /// The disk has no space left.
    #[error("the disk is full")]
    Full,
    /// The disk failed.
    #[error("the image store failed: {0}")]
    Store(object_store::Error),
    /// The folder could not be made or cleaned.
    #[error("cannot use the image folder {}: {source}", .path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        if is_full(&error) { Self::Full } else { Self::Store(error) }
    }
}

/// Whether a full disk is among the causes.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

/// An upload that ended early: either the sender's fault or ours.
#[derive(Debug)]
pub enum UploadError<E> {
    /// The sender's stream failed.
    Source(E),
    /// The image was refused or could not be kept.
    Blob(BlobError),
}

impl<E, B: Into<BlobError>> From<B> for UploadError<E> {
    fn from(error: B) -> Self {
        Self::Blob(error.into())
    }
}

/// The image store.
#[derive(Debug)]
pub struct Blobs {
    store: Box<dyn ObjectStore>,
    root: PathBuf,
    known: Arc<Known>,
    hashing: Arc<Semaphore>,
}

impl Blobs {
    /// Opens the folder `root`, creates it if it is missing, and removes uploads that a crash cut off.
    /// The caller holds the data directory's lock: nobody else is uploading.
    pub fn open(root: &FilePath) -> Result<Self, BlobError> {
        let folder_error = |source| BlobError::Folder { path: root.to_owned(), source };
        fs::create_dir_all(root).map_err(folder_error)?;
        // `object_store` synchronises what is below the root; that the root is there has to last as well.
        if let Some(parent) = root.parent() {
            fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(folder_error)?;
        }
        let removed = remove_staged(root)?;
        if removed > 0 {
            tracing::warn!(removed, "removed unfinished uploads of an earlier run");
        }
        let store = LocalFileSystem::new_with_prefix(root)?.with_fsync(true);
        Ok(Self {
            store: Box::new(store),
            root: root.to_owned(),
            known: Arc::default(),
            hashing: Arc::new(Semaphore::new(MAX_HASHING)),
        })
    }

    /// Whether a file lies under the image's name, damaged or not.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn contains(&self, digest: Digest) -> Result<bool, BlobError> {
        match self.store.head(&location(digest)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
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
        let failed = {
            let path = path.clone();
            move |source| BlobError::Folder { path: path.clone(), source }
        };
        let known = self.known.clone();
        // One visit to the disk, unless a large file has to be hashed: few of those at a time.
        let first = move || match open_image(&path) {
            Ok(file) if known.is_settled(digest, &file)? => known.open(digest, file).map(|it| Some(Ok(it))),
            Ok(file) => Ok(Some(Err(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                known.note_absent(digest);
                Ok(None)
            }
            Err(error) => Err(error),
        };
        let opened = match blocking(first).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(opened))) => Ok(opened),
            Ok(Some(Err(file))) => {
                // Nobody closes the semaphore.
                let place = self.hashing.clone().acquire_owned().await.ok();
                let known = self.known.clone();
                blocking(move || {
                    // Taken along: the reader may be gone before this is done.
                    let _place = place;
                    known.open(digest, file)
                })
                .await
            }
            Err(error) => Err(error),
        };
        match opened.map_err(failed)? {
            Opened::Whole(image) => Ok(Some(image)),
            Opened::Damaged(len) => Err(BlobError::Damaged { digest, len }),
        }
    }

    /// Images that are known to be damaged.
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
        blocking(move || scrub(&root, &known, SCRUB_RATE)).await
    }

    fn path(&self, digest: Digest) -> PathBuf {
        let text = digest.to_string();
        self.root.join(&text[..2]).join(&text)
    }

    /// Stores the bytes of `source` as `promised` if that is their digest; returns their number. An image that is stored
    /// already is replaced as a whole, which repairs a damaged one. On any error, and when the future is dropped,
    /// everything stays as it was.
    pub async fn write<S, E>(&self, promised: Digest, source: S, limit: u64) -> Result<u64, UploadError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let upload = self.store.put_multipart(&location(promised)).await?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_LEN);
        match receive(&mut writer, promised, source, limit).await {
            Ok(size) => {
                // Synchronises file and folder before it returns.
                writer.finish().await?;
                self.known.note_written(promised);
                Ok(size)
            }
            Err(error) => {
                if let Err(cleanup) = writer.abort().await {
                    tracing::warn!(%promised, error = %cleanup, "could not remove an unfinished upload");
                }
                Err(error)
            }
        }
    }

    /// Keeps a file of the size of a small image for a moment.
    ///
    /// # Errors
    /// The folder takes no file.
    pub async fn check(&self) -> Result<(), BlobError> {
        let path = self.root.join(PROBE_FILE);
        let probe = path.clone();
        let written = blocking(move || {
            let mut file = fs::File::create(&probe)?;
            let kept = file.write_all(&[0; PROBE_LEN]).and_then(|()| file.sync_all());
            fs::remove_file(&probe)?;
            kept
        });
        match written.await {
            Ok(()) => Ok(()),
            Err(error) if is_full(&error) => Err(BlobError::Full),
            Err(source) => Err(BlobError::Folder { path, source }),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten()
}

/// Opens what lies under an image's name. Waits for no pipe, and follows no link.
fn open_image(path: &FilePath) -> io::Result<fs::File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    fs::File::open(path)
}

/// [`Blobs::scrub`], with at most `rate` bytes a second.
fn scrub(root: &FilePath, known: &Known, rate: u32) -> io::Result<usize> {
    let mut count = 0;
    for folder in fs::read_dir(root)? {
        let Ok(files) = fs::read_dir(folder?.path()) else { continue };
        for file in files.flatten() {
            let Some(digest) = file.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let pace = |len| {
                let len = u32::try_from(len).unwrap_or(u32::MAX);
                std::thread::sleep(Duration::from_secs(1) * len / rate);
            };
            match open_image(&file.path()).and_then(|file| known.verify(digest, &file, pace)) {
                Ok(_) => count += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => known.note_absent(digest),
                Err(error) => tracing::error!(%digest, %error, "a stored image cannot be read"),
            }
        }
    }
    Ok(count)
}

async fn receive<S, E>(
    writer: &mut WriteMultipart,
    promised: Digest,
    source: S,
    limit: u64,
) -> Result<u64, UploadError<E>>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    let mut source = std::pin::pin!(source);
    let mut hasher = Sha256::new();
    let mut size = 0_u64;
    while let Some(part) = source.next().await {
        let part = part.map_err(UploadError::Source)?;
        size = size.saturating_add(part.len() as u64);
        if size > limit {
            return Err(BlobError::TooLong { limit }.into());
        }
        hasher.update(&part);
        writer.wait_for_capacity(PARTS_UNDER_WAY).await?;
        // Copied: kept as they came, parts of a few bytes would cost many times their length.
        writer.write(&part);
    }
    let computed = Digest(hasher.finalize().into());
    if computed != promised {
        return Err(BlobError::DigestMismatch { promised, computed }.into());
    }
    Ok(size)
}

/// `ab/abcd..`: no folder grows beyond what a file system lists quickly.
fn location(digest: Digest) -> Path {
    let text = digest.to_string();
    Path::from_iter([&text[..2], text.as_str()])
}

fn remove_staged(root: &FilePath) -> Result<usize, BlobError> {
    let folder_error = |path: &FilePath| {
        let path = path.to_owned();
        move |source| BlobError::Folder { path, source }
    };
    let mut removed = 0;
    for folder in fs::read_dir(root).map_err(folder_error(root))? {
        let folder = folder.map_err(folder_error(root))?.path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder).map_err(folder_error(&folder))? {
            let file = file.map_err(folder_error(&folder))?;
            if file.file_name().to_string_lossy().contains(STAGED_MARK) {
                fs::remove_file(file.path()).map_err(folder_error(&file.path()))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
