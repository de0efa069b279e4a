//! A device as its provisioning block makes it: judges a release with the keys, the anchors and the identity that the block
//! gives it.

use std::path::{Path, PathBuf};

use suit_manifest::host::{Envelope, Manifest};
use suit_manifest::{ErrorKind, ImageReference, Reason, ReleaseImages, Target};
use trust::device_keys::{DeviceKeys, Purpose};
use trust::encryption::EncryptionInfo;
use trust::provisioning::{MAX_PROVISIONING_BLOCK_LEN, ProvisioningBlock};
use trust::{Kid, TrustStoreBuf, UnixTime, sha256};

use crate::error::{Error, ImageDifference};
use crate::files::{must_be_private, read_secret};
use crate::kind::Kind;
use crate::verification::{Device, Verification, Verified, match_image, rehearse};

/// What a device is before its first release.
pub(crate) struct ProvisionedDevice {
    path: PathBuf,
    block: ProvisioningBlock,
    keys: DeviceKeys,
}

/// A release that the device takes.
pub(crate) enum Taken<'a> {
    /// Under its anchors.
    Signed(Box<Verified<'a>>),
    /// By the key that it shares with its maker.
    Authenticated(Box<OwnRelease<'a>>),
}

/// A release that the device's own key authenticates.
pub(crate) struct OwnRelease<'a> {
    /// Of that key.
    pub(crate) kid: Kid,
    pub(crate) manifest: Manifest<'a>,
    pub(crate) digest: [u8; 32],
    pub(crate) images: ReleaseImages<'a>,
}

impl ProvisionedDevice {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = read_secret(path, MAX_PROVISIONING_BLOCK_LEN as u64)?;
        let refused = |error: trust::Error| Error::Refused {
            path: path.to_owned(),
            reason: Reason::of_provisioning(error.kind),
            position: error.position,
            rule: None,
            // A damaged block is one still.
            found: Kind::of(&file).filter(|kind| !kind.is_block()),
        };
        let (block, keys) = ProvisioningBlock::parse_with_keys(&file).map_err(refused)?;
        if Purpose::ALL.into_iter().any(|purpose| keys.of(purpose).is_some()) {
            must_be_private(path)?;
        }
        Ok(Self { path: path.to_owned(), block, keys })
    }

    pub(crate) fn keys(&self) -> &DeviceKeys {
        &self.keys
    }

    /// Whether it looks at the time: that of a credential, which its own key has not.
    pub(crate) fn has_anchors(&self) -> bool {
        !self.block.anchors.as_slice().is_empty()
    }

    /// Judges an envelope as the device does before it erases anything: who made it, whether it is for this device, and
    /// whether its key unwraps the content key.
    pub(crate) fn judge<'e>(
        &self,
        (path, envelope): (&Path, &'e [u8]),
        now: UnixTime,
        sequence_floor: u64,
    ) -> Result<Taken<'e>, Error> {
        let refused = |error| Error::refused_manifest(path, error);
        let identity = &self.block.identity;
        let device = Device { vendor: identity.vendor, class: identity.class, device: Some(identity.device) };
        let taken = if self.has_anchors() {
            let trusted = TrustStoreBuf::new(self.block.anchors.as_slice().iter().copied());
            let verification = Verification { trusted: &trusted, now, device: Some(device), sequence_floor };
            Taken::Signed(Box::new(verification.of(envelope).map_err(refused)?))
        } else {
            let Some((kid, key)) = self.keys.authentication() else {
                let message = format!(
                    "the anchor of {} is compiled into its loader; pass --anchor",
                    self.path.display()
                );
                return Err(Error::usage(message));
            };
            let parsed = Envelope::parse(envelope).map_err(refused)?;
            let authenticated = parsed.authenticate_with(kid, key).map_err(refused)?;
            let manifest = authenticated.manifest().clone();
            let images = rehearse(&manifest, envelope, Some(device), sequence_floor).map_err(refused)?;
            let digest = *authenticated.digest();
            Taken::Authenticated(Box::new(OwnRelease { kid: *kid, manifest, digest, images }))
        };
        // The floor of a block is that of the firmware.
        if taken.manifest().target() == Target::Firmware {
            taken.manifest().check_sequence(self.block.sequence_floor).map_err(refused)?;
        }
        for image in taken.images().iter() {
            self.decrypted(image, None).map_err(|error| refused(of_trust(error)))?;
        }
        Ok(taken)
    }

    /// Fails unless `image` is what a release has as this image, and, if it comes encrypted, what it makes of it is the one
    /// that is to be installed.
    pub(crate) fn check_image(
        &self,
        path: &Path,
        image: &[u8],
        named: &ImageReference<'_>,
    ) -> Result<(), Error> {
        match_image(path, image, named)?;
        let refused = |error: trust::Error| Error::refused(path, of_trust(error).reason(), 0);
        let Some(plaintext) = self.decrypted(named, Some(image)).map_err(refused)? else { return Ok(()) };
        if plaintext == named.installed_digest() {
            return Ok(());
        }
        Err(Error::ImageMismatch { path: path.to_owned(), difference: ImageDifference::Digest })
    }

    /// SHA-256 of what the update key makes of a ciphertext, whose tag holds. Without a ciphertext, the key unwraps the
    /// content key; `None` then, and of an image that is not encrypted.
    fn decrypted(
        &self,
        image: &ImageReference<'_>,
        ciphertext: Option<&[u8]>,
    ) -> Result<Option<[u8; 32]>, trust::Error> {
        let Some(decrypted) = image.decrypted else { return Ok(None) };
        let info = EncryptionInfo::read(decrypted.info)?;
        let unknown = trust::Error::new(trust::ErrorKind::DeviceKeyUnknown, decrypted.info.base);
        let (kid, key) = self.keys.update().ok_or(unknown)?;
        let content_key = info.content_key(&kid.0, &key)?;
        let Some(ciphertext) = ciphertext else { return Ok(None) };
        let mut decryption = info.decryption(&content_key);
        let content_len = ciphertext.len().saturating_sub(decryption.tag_len());
        let (content, tag) = ciphertext.split_at_checked(content_len).unwrap_or_default();
        let mut plaintext = content.to_vec();
        decryption.decrypt(&mut plaintext);
        decryption.verify(tag)?;
        Ok(Some(sha256(&plaintext)))
    }
}

fn of_trust(error: trust::Error) -> suit_manifest::Error {
    suit_manifest::Error::new(ErrorKind::Trust(error.kind), error.position)
}

impl<'a> Taken<'a> {
    fn manifest(&self) -> &Manifest<'a> {
        match self {
            Self::Signed(verified) => verified.authenticated.manifest(),
            Self::Authenticated(own) => &own.manifest,
        }
    }

    /// Everything that it installs.
    pub(crate) fn images(&self) -> &ReleaseImages<'a> {
        match self {
            Self::Signed(verified) => &verified.images,
            Self::Authenticated(own) => &own.images,
        }
    }
}
