//! Images by digest. An image is visible only as a whole: it is written beside its place while its digest is taken,
//! and put there, file and folder synchronised, when the digest is the promised one.
//!
//! Behind it is `object_store`: a folder now, a bucket when one is wanted.

use std::io::Write as _;
use std::path::{Path as FilePath, PathBuf};
use std::{fs, io, ops::Range};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt as _, WriteMultipart};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::domain::Digest;

/// What is held in memory of an upload; a bucket of S3 takes no smaller part.
const PART_LEN: usize = 5 << 20;
/// Parts of one upload that may wait for the disk before its sender has to.
const PARTS_UNDER_WAY: usize = 2;
/// What is read from the disk at a time for a download.
const READ_LEN: usize = 64 << 10;
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

/// Bytes of an image on their way out.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// The image store.
#[derive(Debug)]
pub struct Blobs {
    store: Box<dyn ObjectStore>,
    root: PathBuf,
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
        Ok(Self { store: Box::new(store), root: root.to_owned() })
    }

    /// The size in bytes of the image, where it is stored.
    pub async fn size(&self, digest: Digest) -> Result<Option<u64>, BlobError> {
        match self.store.head(&location(digest)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
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

    /// The bytes `range` of the image; `None` when it is not stored. The range lies within the image's size.
    pub async fn read(&self, digest: Digest, range: Range<u64>) -> Result<Option<ByteStream>, BlobError> {
        if range.is_empty() {
            return Ok(Some(futures::stream::empty().boxed()));
        }
        let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
        let result = match self.store.get_opts(&location(digest), options).await {
            Ok(result) => result,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let range = result.range.clone();
        match result.payload {
            // Read here, since `into_stream` goes to the disk for every 8 KiB.
            GetResultPayload::File(file, path) => {
                let mut file = tokio::fs::File::from_std(file);
                file.seek(io::SeekFrom::Start(range.start))
                    .await
                    .map_err(|source| BlobError::Folder { path, source })?;
                let reader = file.take(range.end - range.start);
                Ok(Some(ReaderStream::with_capacity(reader, READ_LEN).boxed()))
            }
            _ => Ok(Some(result.into_stream().map(|part| part.map_err(io::Error::other)).boxed())),
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
