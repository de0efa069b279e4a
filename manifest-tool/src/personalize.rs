//! Makes of an unsigned release an envelope for one device: encrypted for it alone, and authenticated by the key that it
//! shares with its maker. And judges one that is there already.

use std::path::{Path, PathBuf};

use device_lists::ciphertext_name;
use sha2::{Digest as _, Sha256};
use suit_manifest::author::{Encryption, UpdateDescription, authenticate, create, inspect};
use suit_manifest::host::Envelope;
use suit_manifest::{DeviceIdentity, ImageReference, Target as Installed, image_reference_for};
use trust::aes::Key128;
use trust::author::{DerivedKey, Recipient, wrap_again};
use trust::device_keys::Purpose;
use trust::encryption::{ContentAlgorithm, EncryptionInfo};

use crate::encryption::{Made, encrypted, is_read_by_each, not_made, with_encryptions};
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, read_file};
use crate::image::MAX_PAYLOAD_LEN;
use crate::master_key::LineKeys;
use crate::recipients::{Device, Wanted};

/// Why a file in the folder is not what the command would make there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FolderFault {
    /// Another master key, line, derivation or revision; or it was changed.
    #[error("is not authenticated by the key of its device")]
    OtherKey,
    /// Or another image or algorithm.
    #[error("is of another release")]
    OtherRelease,
    /// Of a command for one image that all devices have.
    #[error("has another content key than the envelopes of other devices")]
    OtherContentKey,
    /// Of a command for an image of each device.
    #[error("has the image that another device has as well")]
    SharedImage,
    #[error("is for none of these devices")]
    OtherDevice,
    #[error("is being written by another program")]
    InUse,
    /// Its ciphertext is not there, or is another one.
    #[error("has no encrypted image: {} is not there, or was changed", .0.display())]
    NoCiphertext(PathBuf),
}

impl FolderFault {
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCiphertext(_) => "ciphertext-missing",
            Self::InUse => "folder-in-use",
            Self::OtherKey
            | Self::OtherRelease
            | Self::OtherContentKey
            | Self::SharedImage
            | Self::OtherDevice => "envelope-foreign",
        }
    }

    /// Exit code (docs/manifest-tool.md).
    pub const fn exit_code(&self) -> u8 {
        if matches!(self, Self::InUse) { 3 } else { 5 }
    }

    /// What to do about it, one sentence.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoCiphertext(_) => "Put the encrypted image back, or choose an empty folder.",
            Self::InUse => "Wait until the other program has ended.",
            Self::OtherKey
            | Self::OtherRelease
            | Self::OtherContentKey
            | Self::SharedImage
            | Self::OtherDevice => {
                "Choose an empty folder, or run the command with which this one was begun."
            }
        }
    }
}

/// A device with its two keys, which are wiped when it is dropped.
pub(crate) struct Target {
    device: Device,
    authentication: DerivedKey,
    identity: DeviceIdentity,
}

impl Target {
    /// Derives the keys; a list that names the device has to know them, and be of devices that the update is for.
    pub(crate) fn of(
        wanted: &Wanted<'_>,
        keys: &LineKeys,
        update: &UpdateDescription,
    ) -> Result<Self, Error> {
        let serial = wanted.serial.clone();
        wanted.must_be_for(update)?;
        let device = match &wanted.listed {
            Some(listed) => *listed.row.device.as_bytes(),
            None => trust::host::device_id(update.vendor, serial.as_str()),
        };
        Ok(Self {
            authentication: wanted.key(keys, Purpose::Authentication)?,
            device: Device { serial, key: wanted.key(keys, Purpose::Update)? },
            identity: DeviceIdentity { vendor: update.vendor, class: update.class, device },
        })
    }

    fn authentication_key(&self) -> Result<&[u8; 32], Error> {
        let bytes = self.authentication.bytes.as_slice();
        bytes.try_into().map_err(|_| Error::Internal("an authentication key has another length"))
    }
}

/// The release that devices get, and how.
pub(crate) struct Release {
    pub(crate) update: UpdateDescription,
    /// That for either slot or the first, that for the second one if it has one of its own, and the table that comes with it.
    pub(crate) images: Vec<Vec<u8>>,
    pub(crate) algorithm: ContentAlgorithm,
}

/// The images of a release as they come encrypted, and the keys that open them.
pub(crate) struct Sealed {
    encryptions: Vec<Encryption>,
    content_keys: Vec<Key128>,
}

/// What one device gets.
pub(crate) struct Personal {
    pub(crate) envelope: Vec<u8>,
    /// In the order of the images.
    pub(crate) ciphertexts: Vec<Vec<u8>>,
    pub(crate) sealed: Sealed,
}

impl Sealed {
    /// What a device gets out of a manifest with its update key; `None` if that is no encrypted image for it.
    fn of(images: &[ImageReference<'_>], recipient: &Recipient) -> Option<Self> {
        let mut sealed = Self { encryptions: Vec::new(), content_keys: Vec::new() };
        for image in images {
            let info = image.decrypted?.info;
            let read = EncryptionInfo::read(info).ok()?;
            sealed.content_keys.push(read.content_key(&recipient.kid, &recipient.key).ok()?);
            let info = info.bytes.to_vec();
            sealed.encryptions.push(Encryption { info, digest: image.digest, size: image.size });
        }
        Some(sealed)
    }

    /// SHA-256 of each ciphertext.
    pub(crate) fn digests(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.encryptions.iter().map(|encryption| &encryption.digest)
    }

    /// Whether both are of one run: the ciphertexts and the keys that open them.
    fn is_same(&self, other: &Self) -> bool {
        let (own, others) = (&self.content_keys, &other.content_keys);
        self.digests().eq(other.digests())
            && own.iter().map(Key128::as_bytes).eq(others.iter().map(Key128::as_bytes))
    }

    /// Fails unless an envelope that is there, at `path`, has the images that all devices have.
    pub(crate) fn must_be_of(&self, shared: &Self, path: &Path) -> Result<(), Error> {
        if self.is_same(shared) {
            return Ok(());
        }
        Err(Error::Folder { path: path.to_owned(), fault: FolderFault::OtherContentKey })
    }
}

impl Release {
    /// An envelope with ciphertexts of its own.
    pub(crate) fn seal_for(&self, target: &Target) -> Result<Personal, Error> {
        let recipient = target.device.recipient()?;
        let Made { envelope, ciphertexts } =
            encrypted(&self.update, &self.images, self.algorithm, std::slice::from_ref(&recipient).into())?;
        let unread = Error::Internal("an encrypted release cannot be read back");
        let inspection =
            inspect(&envelope).map_err(|_| Error::Internal("an encrypted release is no release"))?;
        let images: Vec<_> = inspection
            .images()
            .into_iter()
            .flat_map(|images| images.iter().copied().collect::<Vec<_>>())
            .collect();
        let sealed = Sealed::of(&images, &recipient).ok_or(unread)?;
        let envelope = self.finish(&envelope, &sealed, target)?;
        Ok(Personal { envelope, ciphertexts, sealed })
    }

    /// An envelope for ciphertexts that are there.
    pub(crate) fn envelope_for(&self, sealed: &Sealed, target: &Target) -> Result<Vec<u8>, Error> {
        let recipient = target.device.recipient()?;
        let pairs = sealed.encryptions.iter().zip(&sealed.content_keys);
        let encryptions = pairs.map(|(encryption, key)| {
            let info = wrap_again(&encryption.info, key, std::slice::from_ref(&recipient))
                .map_err(|error| Error::author("the encrypted image", None, error))?;
            Ok(Encryption { info, ..encryption.clone() })
        });
        let encryptions = encryptions.collect::<Result<_, Error>>()?;
        let unsigned = create(&with_encryptions(&self.update, encryptions)).map_err(not_made)?;
        self.finish(&unsigned, sealed, target)
    }

    /// The envelope with the MAC of the device, read back by the code of devices.
    fn finish(&self, unsigned: &[u8], sealed: &Sealed, target: &Target) -> Result<Vec<u8>, Error> {
        let envelope = authenticate(unsigned, &target.authentication.kid, target.authentication_key()?);
        let envelope = envelope.map_err(not_made)?;
        match self.read_by(target, &envelope)? {
            Some(read) if read.is_same(sealed) => Ok(envelope),
            _ => Err(Error::Internal("a personal envelope cannot be read back")),
        }
    }

    /// What a device gets out of an envelope with its two keys; `None` if it refuses it.
    fn read_by(&self, target: &Target, envelope: &[u8]) -> Result<Option<Sealed>, Error> {
        let recipient = target.device.recipient()?;
        let key = target.authentication_key()?;
        let read = || {
            let parsed = Envelope::parse(envelope).ok()?;
            let authenticated = parsed.authenticate_with(&target.authentication.kid, key).ok()?;
            let UpdateDescription { target: installed, second_slot, table, .. } = &self.update;
            let wanted = |target: Installed| if table.is_some() { target.of_any() } else { target.into() };
            let first = (wanted(*installed), 0, self.update.image_digest);
            let second = second_slot.as_ref().map(|image| (wanted(*installed), 1, image.digest));
            let table = table.as_ref().map(|table| (wanted(Installed::Table), 0, table.digest));
            let images = std::iter::once(first).chain(second).chain(table).map(|(wanted, slot, digest)| {
                let manifest = authenticated.manifest();
                let named = image_reference_for(manifest, wanted, &target.identity, slot).ok()?;
                (named.installed_digest() == digest).then_some(named)
            });
            Sealed::of(&images.collect::<Option<Vec<_>>>()?, &recipient)
        };
        Ok(read())
    }

    /// Judges an envelope that is there: whether this command, with the content key that it has, makes the very same one.
    pub(crate) fn found(&self, target: &Target, path: &Path) -> Result<Sealed, Error> {
        let envelope = read_file(path, MAX_ENVELOPE_FILE_LEN)?;
        let fault = |fault| Err(Error::Folder { path: path.to_owned(), fault });
        let key = target.authentication_key()?;
        let is_own = Envelope::parse(&envelope)
            .is_ok_and(|parsed| parsed.authenticate_with(&target.authentication.kid, key).is_ok());
        if !is_own {
            return fault(FolderFault::OtherKey);
        }
        let Some(sealed) = self.read_by(target, &envelope)? else { return fault(FolderFault::OtherRelease) };
        let is_as_asked = |encryption: &Encryption| {
            let info = EncryptionInfo::read(trust::cbor::Span { bytes: &encryption.info, base: 0 });
            info.is_ok_and(|info| info.algorithm() == self.algorithm)
        };
        if !sealed.encryptions.iter().all(is_as_asked) || self.envelope_for(&sealed, target)? != envelope {
            return fault(FolderFault::OtherRelease);
        }
        Ok(sealed)
    }

    /// Fails unless the ciphertexts of an envelope that is there lie beside it, and are those of the images.
    pub(crate) fn check_ciphertexts(
        &self,
        target: &Target,
        sealed: &Sealed,
        path: &Path,
    ) -> Result<(), Error> {
        let recipient = target.device.recipient()?;
        for (encryption, image) in sealed.encryptions.iter().zip(&self.images) {
            let file = trust::host::folder_of(path).join(ciphertext_name(&encryption.digest));
            let is_there = read_file(&file, MAX_PAYLOAD_LEN).is_ok_and(|ciphertext| {
                Sha256::digest(&ciphertext).as_slice() == encryption.digest
                    && is_read_by_each(&encryption.info, &ciphertext, image, std::slice::from_ref(&recipient))
            });
            if !is_there {
                return Err(Error::Folder { path: path.to_owned(), fault: FolderFault::NoCiphertext(file) });
            }
        }
        Ok(())
    }
}
