//! Images on their way out: opened once, read by position, and never a byte that is not the digest's.
//!
//! A file is hashed when it is opened first. Whether it held is remembered with the file system's word on it (inode,
//! length, times), so that a file that was changed is hashed again. Small images are kept in memory once they held.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use hashlink::LruCache;
use sha2::{Digest as _, Sha256};

use super::BlobError;
use crate::domain::Digest;

/// Longest image that is kept in memory, and all of them together, bytes.
const MAX_CACHED_LEN: u64 = 512 << 10;
const CACHE_LEN: usize = 64 << 20;
/// Files of which is remembered whether they held.
const MAX_REMEMBERED: usize = 1 << 16;
/// Bytes to read from the disk at a time.
const READ_LEN: u64 = 128 << 10;
/// A file that changed within this time may change again without a new time stamp: clocks of file systems tick.
const TICK_NANOS: i128 = 1_000_000_000;

/// Bytes of an image on their way out.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// A file as it was when it was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let changed = i128::from(self.changed.0) * 1_000_000_000 + i128::from(self.changed.1);
        i128::try_from(now).is_ok_and(|now| now - changed > TICK_NANOS)
    }

    /// Whether the content is the same still; to be unlinked or renamed changes no content.
    fn holds(&self, metadata: &Metadata) -> bool {
        let now = Self::of(metadata);
        (now.size, now.modified) == (self.size, self.modified)
    }
}

/// An image that held against its digest.
#[derive(Debug)]
pub struct Image {
    size: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Memory(Bytes),
    File(Arc<File>, FileState),
}

impl Image {
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes `range` of an image in memory; `None` when it has to be read from its file.
    pub fn in_memory(&self, range: Range<u64>) -> Option<Bytes> {
        let Content::Memory(bytes) = &self.content else { return None };
        let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        bounds
            .filter(|(start, end)| start <= end && *end <= bytes.len())
            .map(|(start, end)| bytes.slice(start..end))
    }

    /// The bytes `range`, which lies within the image. The stream ends with an error when the file is changed
    /// meanwhile.
    pub fn read(self, range: Range<u64>) -> ByteStream {
        match self.content {
            Content::Memory(_) => {
                let bytes = self.in_memory(range).ok_or(io::ErrorKind::InvalidInput.into());
                stream::iter([bytes]).boxed()
            }
            Content::File(file, state) => stream::try_unfold(range, move |range| {
                let file = file.clone();
                async move {
                    if range.is_empty() {
                        return Ok(None);
                    }
                    let end = range.end.min(range.start.saturating_add(READ_LEN));
                    let start = range.start;
                    let read = move || read_at(&file, start..end, &state);
                    let bytes = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
                    Ok(Some((bytes, end..range.end)))
                }
            })
            .boxed(),
        }
    }
}

fn read_at(file: &File, range: Range<u64>, state: &FileState) -> io::Result<Bytes> {
    let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, range.start)?;
    // After the bytes: a change that came before them shows.
    if state.holds(&file.metadata()?) {
        Ok(bytes.into())
    } else {
        Err(io::Error::other("the file was changed"))
    }
}

/// An opened file, judged.
#[derive(Debug)]
pub(super) enum Opened {
    /// Its content is the digest's.
    Whole(Image),
    /// It is not; there are so many bytes.
    Damaged(u64),
}

/// Knowledge of the files: small images, verdicts on large ones, and the damaged ones.
#[derive(Debug)]
pub(super) struct Known {
    cache: Mutex<Cache>,
    judged: Mutex<LruCache<Digest, Judged>>,
    damaged: Mutex<HashSet<Digest>>,
    lost: Mutex<HashSet<Digest>>,
}

/// A large file, and whether its content was the digest's.
#[derive(Debug, Clone, Copy)]
struct Judged {
    state: FileState,
    is_whole: bool,
}

#[derive(Debug)]
struct Cache {
    images: LruCache<Digest, Bytes>,
    len: usize,
}

impl Default for Known {
    fn default() -> Self {
        let images = LruCache::new_unbounded();
        Self {
            cache: Mutex::new(Cache { images, len: 0 }),
            judged: Mutex::new(LruCache::new(MAX_REMEMBERED)),
            damaged: Mutex::default(),
            lost: Mutex::default(),
        }
    }
}

impl Known {
    /// A small image, where it is in memory.
    pub(super) fn cached(&self, digest: Digest) -> Option<Image> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = cache.images.get(&digest)?.clone();
        Some(Image { size: bytes.len() as u64, content: Content::Memory(bytes) })
    }

    fn judged(&self) -> MutexGuard<'_, LruCache<Digest, Judged>> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verdict(&self, digest: Digest, state: &FileState) -> Option<bool> {
        self.judged().get(&digest).filter(|judged| judged.state == *state).map(|judged| judged.is_whole)
    }

    /// Remembers that a file held, without looking.
    #[cfg(test)]
    pub(super) fn believe(&self, digest: Digest, file: &File) {
        let state = FileState::of(&file.metadata().unwrap());
        self.judged().insert(digest, Judged { state, is_whole: true });
    }

    /// Images that were found damaged, lost or unusable, and not whole since.
    pub(super) fn damaged(&self) -> usize {
        let (damaged, lost) = (self.damaged_now(), self.lost_now());
        damaged.union(&lost).count()
    }

    fn damaged_now(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost_now(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a file can be opened without hashing it at length.
    pub(super) fn is_settled(&self, digest: Digest, file: &File) -> io::Result<bool> {
        let state = FileState::of(&file.metadata()?);
        Ok(state.size <= MAX_CACHED_LEN || self.verdict(digest, &state).is_some())
    }

    /// The image was written, whole.
    pub(super) fn note_written(&self, digest: Digest) {
        self.note(digest, true);
    }

    /// Something else lies under the image's name, or the disk does not give it.
    pub(super) fn note_unusable(&self, digest: Digest, error: &BlobError) {
        if self.damaged_now().insert(digest) {
            tracing::error!(%digest, %error, "a stored image cannot be read");
        }
        self.forget(digest);
    }

    /// Nothing lies under the name of an image that was stored once.
    pub(super) fn note_lost(&self, digest: Digest) {
        if self.lost_now().insert(digest) {
            tracing::error!(%digest, "a stored image is lost");
        }
    }

    /// Nothing lies under the image's name any more.
    pub(super) fn note_absent(&self, digest: Digest) {
        self.damaged_now().remove(&digest);
        self.forget(digest);
    }

    /// Holds a file against its digest, unless that was done. Blocks while it reads.
    pub(super) fn open(&self, digest: Digest, file: File) -> io::Result<Opened> {
        let state = FileState::of(&file.metadata()?);
        if state.size > MAX_CACHED_LEN {
            let is_whole = match self.verdict(digest, &state) {
                Some(is_whole) => is_whole,
                None => self.judge(digest, &file, state, |_| {})?,
            };
            self.note(digest, is_whole);
            return Ok(match is_whole {
                true => {
                    Opened::Whole(Image { size: state.size, content: Content::File(Arc::new(file), state) })
                }
                false => Opened::Damaged(state.size),
            });
        }
        // Whoever asks whether an image is there (HEAD) would have it read and hashed each time otherwise.
        if self.verdict(digest, &state) == Some(true)
            && let Some(image) = self.cached(digest)
        {
            return Ok(Opened::Whole(image));
        }
        let len = usize::try_from(state.size).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        let is_whole = file.read_exact_at(&mut bytes, 0).is_ok() && Digest::of(&bytes) == digest;
        self.note(digest, is_whole);
        if !is_whole {
            self.forget(digest);
            return Ok(Opened::Damaged(state.size));
        }
        self.remember(digest, state, is_whole);
        let bytes = Bytes::from(bytes);
        self.keep(digest, bytes.clone());
        Ok(Opened::Whole(Image { size: state.size, content: Content::Memory(bytes) }))
    }

    /// Holds a file against its digest, known or not, and calls `pace` after each block with its length.
    /// Blocks while it reads.
    pub(super) fn verify(&self, digest: Digest, file: &File, pace: impl Fn(usize)) -> io::Result<bool> {
        let is_whole = self.judge(digest, file, FileState::of(&file.metadata()?), pace)?;
        self.note(digest, is_whole);
        if !is_whole {
            self.forget(digest);
        }
        Ok(is_whole)
    }

    fn judge(&self, digest: Digest, file: &File, state: FileState, pace: impl Fn(usize)) -> io::Result<bool> {
        let is_whole = hash(file, pace)? == digest && state.holds(&file.metadata()?);
        if state.size > MAX_CACHED_LEN || !is_whole {
            self.remember(digest, state, is_whole);
        }
        Ok(is_whole)
    }

    /// Remembers the verdict on a file, unless it may change again and look the same.
    fn remember(&self, digest: Digest, state: FileState, is_whole: bool) {
        match !is_whole || state.is_settled() {
            true => self.judged().insert(digest, Judged { state, is_whole }),
            false => self.judged().remove(&digest),
        };
    }

    fn note(&self, digest: Digest, is_whole: bool) {
        // A file lies there.
        self.lost_now().remove(&digest);
        if is_whole {
            self.damaged_now().remove(&digest);
        } else if self.damaged_now().insert(digest) {
            tracing::error!(%digest, "a stored image is damaged");
        }
    }

    /// Stops serving an image from memory that the disk does not have.
    fn forget(&self, digest: Digest) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = cache.images.remove(&digest) {
            cache.len -= bytes.len();
        }
    }

    fn keep(&self, digest: Digest, bytes: Bytes) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.len += bytes.len();
        if let Some(before) = cache.images.insert(digest, bytes) {
            cache.len -= before.len();
        }
        while cache.len > CACHE_LEN
            && let Some((_, oldest)) = cache.images.remove_lru()
        {
            cache.len -= oldest.len();
        }
    }
}

fn hash(file: &File, pace: impl Fn(usize)) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; usize::try_from(READ_LEN).map_err(io::Error::other)?];
    let mut position = 0;
    loop {
        match file.read_at(&mut buffer, position)? {
            0 => return Ok(Digest(hasher.finalize().into())),
            len => {
                hasher.update(buffer.get(..len).unwrap_or_default());
                position += len as u64;
                pace(len);
            }
        }
    }
}
