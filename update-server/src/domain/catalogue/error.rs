//! Why the catalogue refuses.

use suit_manifest::{Reason, Target};
use tokio::task::JoinError;

use crate::blobs::BlobError;
use crate::domain::Digest;
use crate::domain::records::RecordsError;
use crate::store::{StoreError, Withdrawal};

/// Why a release is not accepted or not offered.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The trust code or the command processor refused the envelope.
    #[error("{}", .0.message())]
    Refused(Reason),
    /// The image has to be here first.
    #[error("the image {digest}, which the manifest names, is not stored here")]
    ImageNotStored {
        /// The image's digest.
        digest: Digest,
    },
    /// The manifest lies about the image.
    #[error("the manifest gives the image {digest} a size of {manifest} bytes; it has {stored}")]
    ImageSize {
        /// The image's digest.
        digest: Digest,
        /// The size in the manifest, bytes.
        manifest: u64,
        /// The size of the stored image, bytes.
        stored: u64,
    },
    /// One sequence number, one manifest.
    #[error("sequence number {sequence} of the {} of this vendor and class belongs to the manifest {by}", .target.name())]
    SequenceTaken {
        /// The sequence number.
        sequence: u64,
        /// Of which series: firmware and tables have one each, and what installs both is in both.
        target: Target,
        /// The manifest that has it.
        by: Digest,
    },
    #[error("this release is unknown")]
    Unknown,
    /// The publisher withdrew the release.
    #[error("its publisher withdrew this release: {}", .0.reason)]
    Withdrawn(Withdrawal),
    /// There are releases, and the newest of them is not offered.
    #[error(
        "releases were published, but none is offered; the newest, sequence number {sequence}, is refused: {why}"
    )]
    NoneOffered {
        /// The sequence number of the newest.
        sequence: u64,
        /// Why that one is not offered.
        why: String,
    },
    /// The database gives an envelope that does not verify, again and again.
    #[error("the database holds no envelope of the release {0} that verifies")]
    Damaged(Digest),
    /// The index did not become current in time; its old verdicts are not given.
    #[error("the verdicts on the releases are not up to date yet")]
    Busy,
    /// The signed records cannot be used.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image store failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The verification panicked, or the server is ending.
    #[error("a verification broke off: {0}")]
    Verification(#[from] JoinError),
}
