//! What the whole asks of its platform, and what it tells it.

use trust::cbor::{Span, Utf8};

use crate::argument::{AnyDigest, ComponentMetadata, WaitInfo};
use crate::limits::{MAX_CONTENT_LEN, MAX_VERSION_NUMBERS};
use crate::processor::{Platform, PlatformError};
use crate::vocabulary::{CommandCode, ManifestElement};

/// Numbers of a version, as a platform gives them.
pub(super) const VERSION_NUMBERS: usize = 8;
const _: () = assert!(VERSION_NUMBERS as u64 == MAX_VERSION_NUMBERS as u64);

/// The questions of the whole, beyond those of [`Platform`]. What a platform does not know it does not answer, and the
/// condition fails.
pub trait WholePlatform: Platform {
    /// Is the vendor of the component that of this private enterprise number, a relative object identifier?
    fn pen_matches(&mut self, component: u32, pen: &[u8]) -> bool {
        let _ = (component, pen);
        false
    }

    /// Does the component hold an image of `size` bytes with this digest of SHA-384 or SHA-512?
    ///
    /// # Errors
    /// The reason for which the component cannot be read.
    fn digest_matches(
        &mut self,
        component: u32,
        digest: &AnyDigest<'_>,
        size: u64,
    ) -> Result<bool, PlatformError> {
        let _ = (component, digest, size);
        Ok(false)
    }

    /// Reads the component from its start into `buffer`, and gives the bytes that the whole component has: it is
    /// longer than the buffer where they are more.
    ///
    /// # Errors
    /// The reason for which the component cannot be read.
    fn read_component(
        &mut self,
        component: u32,
        buffer: &mut [u8; MAX_CONTENT_LEN],
    ) -> Result<Option<u64>, PlatformError> {
        let _ = (component, buffer);
        Ok(None)
    }

    /// Seconds since 1970-01-01.
    fn now(&mut self) -> Option<u64> {
        None
    }

    /// What the battery holds, in mWh.
    fn battery_mwh(&mut self) -> Option<u64> {
        None
    }

    /// Is an update of this priority authorized? Smaller is more urgent.
    fn authorizes(&mut self, component: u32, priority: Option<i64>) -> bool {
        let _ = (component, priority);
        false
    }

    /// The version of the component, number by number; how many there are.
    fn version(&mut self, component: u32, numbers: &mut [i64; VERSION_NUMBERS]) -> Option<usize> {
        let _ = (component, numbers);
        None
    }

    /// Does the component hold the envelope of a dependency whose manifest has this digest? It is computed over the byte
    /// string around the manifest and nothing else, so that the envelope may lose or gain signatures; `size` is that of
    /// the envelope, where the manifest sets it. image-match and image-not-match over a dependency ask this
    /// (suit-trust-domains section 5.2.2).
    ///
    /// # Errors
    /// The reason for which the component cannot be read.
    fn dependency_matches(
        &mut self,
        component: u32,
        digest: &AnyDigest<'_>,
        size: Option<u64>,
    ) -> Result<bool, PlatformError> {
        let _ = (component, digest, size);
        Ok(false)
    }

    /// Is the component the envelope of a dependency whose authentication holds, for an authority that the platform
    /// lets it have, whose manifest has the digest that it is authenticated with, and is that the one given here?
    /// (suit-trust-domains section 5.6.4)
    ///
    /// # Errors
    /// The reason for which the dependency is refused: the run aborts.
    fn dependency_is_whole(&mut self, component: u32, digest: &AnyDigest<'_>) -> Result<bool, PlatformError> {
        let _ = (component, digest);
        Ok(false)
    }

    /// A command with a reporting policy has ended (section 8.4.7).
    fn record(&mut self, record: &Record) {
        let _ = record;
    }
}

/// What is told of a command that ended: the fields of a SUIT_Record (draft-ietf-suit-report), the policy and the
/// result. The parameters are those of [`ProcessorOf::properties`]; the caller knows which manifest runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// suit-common for the shared sequence, or the section.
    pub section: ManifestElement,
    /// Byte of the command in its section.
    pub offset: u32,
    /// Index of the component.
    pub component: u32,
    /// The command.
    pub command: CommandCode,
    /// Bits of the reporting policy.
    pub policy: u8,
    /// Whether it succeeded.
    pub succeeded: bool,
}

/// The parameters of a component as they are set now.
#[derive(Clone, Copy, Debug)]
pub struct Properties<'a> {
    /// image-digest
    pub image_digest: Option<AnyDigest<'a>>,
    /// image-size
    pub image_size: Option<u64>,
    /// uri
    pub uri: Option<Utf8<'a>>,
    /// content: what a write writes
    pub content: Option<&'a [u8]>,
    /// encryption-info, a tagged COSE_Encrypt: what is fetched, copied or written is encrypted
    pub encryption_info: Option<Span<'a>>,
    /// source-component
    pub source_component: Option<u32>,
    /// invoke-args
    pub invoke_args: Option<&'a [u8]>,
    /// fetch-arguments
    pub fetch_arguments: Option<&'a [u8]>,
    /// wait-info
    pub wait_info: Option<WaitInfo<'a>>,
    /// component-metadata
    pub metadata: Option<ComponentMetadata<'a>>,
}
