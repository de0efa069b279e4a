//! Images by digest. An image is visible only as a whole: it is written beside its place while its digest is taken,
//! and put there, file and folder synchronised, when the digest is the promised one.
//!
//! `object_store` writes them, staged and synchronised; they are read from their files (`open`).

mod open;

use std::io::Write as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
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

/// What is held in memory of an upload; a bucket of S3 takes no smaller part.
const PART_LEN: usize = 5 << 20;
/// Parts of one upload that may wait for the disk before its sender has to.
const PARTS_UNDER_WAY: usize = 2;
/// Large images that are hashed for readers at one time.
const MAX_HASHING: usize = 2;
/// What the readiness check writes; in the root, where no image lies.
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
    hashing: Semaphore,
}

impl Blobs {
    /// Opens the folder `root`, makes it where it is missing, and removes what uploads left that a crash cut off.
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
            hashing: Semaphore::new(MAX_HASHING),
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

    /// The image, from memory where it is there; `None` when it is not stored.
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
        let text = digest.to_string();
        let path = self.root.join(&text[..2]).join(&text);
        let failed = {
            let path = path.clone();
            move |source| BlobError::Folder { path: path.clone(), source }
        };
        let known = self.known.clone();
        // One visit to the disk, unless a large file has to be hashed: few of those at a time.
        let first = move || match fs::File::open(path) {
            Ok(file) if known.is_settled(digest, &file)? => known.open(digest, file).map(|it| Some(Ok(it))),
            Ok(file) => Ok(Some(Err(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let blocking = async |work: Box<dyn FnOnce() -> io::Result<Opened> + Send>| {
            tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten()
        };
        let opened = match tokio::task::spawn_blocking(first).await.map_err(io::Error::other).flatten() {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(opened))) => Ok(opened),
            Ok(Some(Err(file))) => {
                // Nobody closes the semaphore.
                let _place = self.hashing.acquire().await.ok();
                let known = self.known.clone();
                blocking(Box::new(move || known.open(digest, file))).await
            }
            Err(error) => Err(error),
        };
        match opened.map_err(failed)? {
            Opened::Whole(image) => Ok(Some(image)),
            Opened::Damaged(len) => Err(BlobError::Damaged { digest, len }),
        }
    }

    /// Stores what `source` yields as `promised`, when that is its digest; returns its size in bytes. What was stored
    /// under this digest before is replaced as a whole: so an image that the disk has damaged is made good. On any
    /// error, and when the future is dropped, everything stays as it was.
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
        let written = tokio::task::spawn_blocking(move || {
            let mut file = fs::File::create(&probe)?;
            let kept = file.write_all(&[0; PROBE_LEN]).and_then(|()| file.sync_all());
            fs::remove_file(&probe)?;
            kept
        });
        match written.await.map_err(io::Error::other).flatten() {
            Ok(()) => Ok(()),
            Err(error) if is_full(&error) => Err(BlobError::Full),
            Err(source) => Err(BlobError::Folder { path, source }),
        }
    }
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
