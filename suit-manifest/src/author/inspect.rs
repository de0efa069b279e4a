//! Reads an envelope without verifying its signature: for tools that show or sign it, or pass on what only a device verifies. Nothing here returns an
//! [`crate::Authenticated`].

use trust::Kid;
use trust::cbor::Span;

use crate::dry_run::{
    ImageReference, ReleaseImages, image_reference, release_images, second_image_reference,
};
use crate::error::{Error, ErrorKind};
use crate::host::{Envelope, Manifest};

/// COSE header label of the credential, RFC 9528.
const KCWT: i32 = 13;

/// The content of an envelope; only its digests are verified.
#[derive(Clone, Debug)]
pub struct Inspection<'a> {
    manifest: Manifest<'a>,
    digest: [u8; 32],
    block: Option<Span<'a>>,
    has_mac: bool,
}

/// Reads an envelope, signed or not, and checks its structure and digests, not its signature and scope.
///
/// # Errors
/// Those of [`Envelope::parse`]; the kind that names the fault of the manifest;
/// [`ErrorKind::ManifestDigestMismatch`](crate::ErrorKind::ManifestDigestMismatch).
pub fn inspect(envelope: &[u8]) -> Result<Inspection<'_>, Error> {
    let parsed = Envelope::parse(envelope)?;
    parsed.check_manifest_digest()?;
    let manifest = Manifest::read(&parsed, None)?;
    Ok(Inspection {
        manifest,
        digest: *parsed.digest().sha256(),
        block: parsed.block(),
        has_mac: parsed.has_mac(),
    })
}

impl<'a> Inspection<'a> {
    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// SHA-256 over the bstr-wrapped manifest.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The authentication block, tagged.
    #[must_use]
    pub fn block(&self) -> Option<&'a [u8]> {
        self.block.map(|block| block.bytes)
    }

    /// The COSE_Sign1, tagged.
    #[must_use]
    pub fn sign1(&self) -> Option<&'a [u8]> {
        self.block().filter(|_| !self.has_mac)
    }

    /// The COSE_Mac0, tagged.
    #[must_use]
    pub fn mac0(&self) -> Option<&'a [u8]> {
        self.block().filter(|_| self.has_mac)
    }

    /// kid of the device's key that the COSE_Mac0 names, **nothing of it verified**: only the device can. `None` if it names none.
    ///
    /// # Errors
    /// [`ErrorKind::SignatureMissing`](crate::ErrorKind::SignatureMissing);
    /// [`ErrorKind::Trust`](crate::ErrorKind::Trust) when the block does not read as a COSE_Mac0
    pub fn device_key(&self) -> Result<Option<Kid>, Error> {
        let block = self.block.ok_or(Error::new(ErrorKind::SignatureMissing, 0))?;
        trust::claimed_device_key(block.bytes).map_err(|error| Error::trust(error, block.base))
    }

    /// The signer's credential, a CWT, when the signature is of the form that docs/records.md gives it.
    #[must_use]
    pub fn credential(&self) -> Option<&'a [u8]> {
        let mut reader = self.block?.reader();
        reader.expect_tag(18);
        reader.array_of(4);
        reader.bytes();
        let mut headers = reader.map();
        while let Some(label) = headers.next_label(&mut reader) {
            let value = reader.item();
            if label == KCWT && reader.check().is_ok() {
                return Some(value);
            }
        }
        None
    }

    /// Everything that the manifest installs.
    ///
    /// # Errors
    /// Those of [`crate::release_images`].
    pub fn images(&self) -> Result<ReleaseImages<'a>, Error> {
        release_images(&self.manifest)
    }

    /// The image that the manifest installs, if it installs one thing.
    ///
    /// # Errors
    /// Those of [`crate::image_reference`].
    pub fn image_reference(&self) -> Result<ImageReference<'a>, Error> {
        image_reference(&self.manifest, self.manifest.target())
    }

    /// [`crate::second_image_reference`] of a manifest that nobody has verified.
    ///
    /// # Errors
    /// Those of [`crate::second_image_reference`].
    pub fn second_image_reference(&self) -> Result<Option<ImageReference<'a>>, Error> {
        second_image_reference(&self.manifest, self.manifest.target())
    }
}
