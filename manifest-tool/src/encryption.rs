//! Makes an encrypted release out of an unsigned one (draft-ietf-suit-firmware-encryption section 4.2): the same update, whose
//! images come encrypted under content keys of their own, for each of some devices.

mod contents;

use std::path::Path;

use sha2::{Digest as _, Sha256};
use suit_manifest::author::{
    Encryption, Inspection, SlotImage, UpdateDescription, create, image_uri, inspect, sever_text,
};
use suit_manifest::{ComponentText, ImageReference, MAX_ENVELOPE_HEAD_LEN, ManifestText, ReleaseImages};
use trust::author::{AuthorError, Encrypted, Recipient, encrypt};
use trust::blocks::encryption::{AgreementKey, HostAlgorithm, seal};
use trust::cbor::Span;
use trust::encryption::{ContentAlgorithm, EncryptionInfo, MAX_RECIPIENTS};
use trust::host::{Serial, device_id};
use trust::{ErrorKind, MAX_CHAINED_SIGN1_LEN, MAX_CREDENTIAL_LEN};

use crate::error::Error;

pub(crate) use self::contents::ContentFiles;

/// Bytes of the longest release credential that `credential issue` makes, with 8 classes and names of 64 bytes. Devices take
/// longer ones; `sign` refuses what does not fit with the credential at hand.
const LONGEST_CREDENTIAL_LEN: usize = 576;
/// Most bytes that a signature with such a credential adds to an envelope: a COSE_Sign1, and heads of byte strings.
const MAX_SIGNATURE_LEN: usize = MAX_CHAINED_SIGN1_LEN - MAX_CREDENTIAL_LEN + LONGEST_CREDENTIAL_LEN + 8;

/// Why a release is not encrypted, signed, or given another credential.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReleaseFault {
    #[error("is signed or authenticated, and that would not hold for an encrypted image")]
    Signed,
    #[error("is encrypted already")]
    Encrypted,
    /// It has neither a signature nor a credential, and is of use to its device only as it is.
    #[error("is authenticated by the key of its device, and is not signed")]
    OfDevice,
    /// A credential says what a key may sign for them.
    #[error("is what devices of ours run")]
    Ours,
    /// A second one would count for nothing.
    #[error("has a signature of this key already")]
    SignedByKey,
    /// To encrypt is to write it anew.
    #[error("is not as create writes it: something of it would get lost")]
    Foreign,
}

impl ReleaseFault {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Signed => "release-signed",
            Self::Encrypted => "release-encrypted",
            Self::OfDevice => "release-of-device",
            Self::Ours => "release-ours",
            Self::SignedByKey => "release-signed-by-key",
            Self::Foreign => "release-foreign",
        }
    }

    /// What to do about it, one sentence.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Signed => "Pass the unsigned envelope that create wrote, and sign the result.",
            Self::Encrypted => "Pass the envelope that create wrote.",
            Self::OfDevice => "Pass the envelope of which personalize made this one.",
            Self::Ours => {
                "Sign it with --credential; whoever knows the key verifies it as well, and passes the credential over."
            }
            Self::SignedByKey => "Sign it with the key of another signer, or leave it as it is.",
            Self::Foreign => "Make the release with manifest-tool create of this version.",
        }
    }
}

/// Refuses an envelope that the key of a device authenticates: it is not signed.
pub(crate) fn must_be_of_no_device(path: &Path, inspection: &Inspection<'_>) -> Result<(), Error> {
    if inspection.mac0().is_none() {
        return Ok(());
    }
    Err(Error::Release { path: path.to_owned(), fault: ReleaseFault::OfDevice })
}

/// The update of an unsigned envelope that `create` wrote.
pub(crate) fn plain_update(path: &Path, envelope: &[u8]) -> Result<UpdateDescription, Error> {
    let refused = |error| Error::refused_manifest(path, error);
    let fault = |fault| Error::Release { path: path.to_owned(), fault };
    let inspection = inspect(envelope).map_err(refused)?;
    if inspection.block().is_some() {
        return Err(fault(ReleaseFault::Signed));
    }
    let update = update_of(&inspection).map_err(refused)?;
    if inspection.images().map_err(refused)?.iter().any(|image| image.decrypted.is_some()) {
        return Err(fault(ReleaseFault::Encrypted));
    }
    // Byte for byte: whatever it has beside the update would not be in the encrypted release.
    match create(&update) {
        Ok(again) if again == envelope => Ok(update),
        _ => Err(fault(ReleaseFault::Foreign)),
    }
}

fn update_of(inspection: &Inspection<'_>) -> Result<UpdateDescription, suit_manifest::Error> {
    let ReleaseImages { first, second, table } = inspection.images()?;
    let slot_image = |image: ImageReference<'_>| SlotImage {
        digest: image.digest,
        size: image.size,
        uri: image.uri.to_owned(),
        encryption: None,
    };
    let manifest = inspection.manifest();
    let text = manifest.text()?;
    let component = |which| text.and_then(|text| text.component_text(0, which)).map(str::to_owned);
    let description = text.and_then(|text| text.manifest_text(ManifestText::UpdateDescription));
    Ok(UpdateDescription {
        target: manifest.target(),
        vendor: first.vendor,
        class: first.class,
        device: first.device,
        sequence: manifest.sequence_number(),
        version: manifest.version_text().unwrap_or_default().to_owned(),
        image_digest: first.digest,
        image_size: first.size,
        uri: first.uri.to_owned(),
        encryption: None,
        second_slot: second.map(slot_image),
        table: table.map(slot_image),
        vendor_domain: component(ComponentText::VendorDomain),
        model: component(ComponentText::ModelInfo),
        description: description.map(str::to_owned),
    })
}

/// Fails if an update is for one device alone, and one of these is another one.
pub(crate) fn must_be_for<'s>(
    update: &UpdateDescription,
    serials: impl IntoIterator<Item = &'s Serial>,
) -> Result<(), Error> {
    let is_other = |serial: &&Serial| {
        update.device.is_some_and(|only| device_id(update.vendor, serial.as_str()) != only)
    };
    match serials.into_iter().find(is_other) {
        Some(serial) => {
            let message = format!("the release is for one device alone, and {serial} is another one");
            Err(Error::usage(message))
        }
        None => Ok(()),
    }
}

/// Those who are to read an image.
#[derive(Clone, Copy)]
pub(crate) struct Readers<'r> {
    /// Devices with their update keys.
    pub(crate) devices: &'r [Recipient],
    /// Whoever has the private half of these.
    pub(crate) public: &'r [AgreementKey],
}

impl<'r> Readers<'r> {
    fn len(self) -> usize {
        self.devices.len().saturating_add(self.public.len())
    }

    fn first(self, count: usize) -> Self {
        let devices = self.devices.get(..count).unwrap_or(self.devices);
        let public = self.public.get(..count.saturating_sub(devices.len())).unwrap_or(self.public);
        Self { devices, public }
    }

    /// Encrypts an image for each of them.
    pub(crate) fn encrypt(self, algorithm: HostAlgorithm, image: &[u8]) -> Result<Encrypted, AuthorError> {
        match (self.public, algorithm.on_devices()) {
            ([], Some(algorithm)) => encrypt(algorithm, image, self.devices),
            (public, _) => seal(algorithm, image, self.devices, public),
        }
    }

    /// Whether each device reads what was encrypted, by the code of devices. Holders of public keys were asked where it was
    /// sealed, and devices about contents that they do not run.
    pub(crate) fn are_right(self, algorithm: HostAlgorithm, made: &Encrypted, image: &[u8]) -> bool {
        self.devices.is_empty()
            || algorithm.on_devices().is_none()
            || is_read_by_each(&made.info, &made.ciphertext, image, self.devices)
    }

    /// The encryption-info of some image; `None`: it would be longer than is read.
    fn stand_in(self, algorithm: HostAlgorithm) -> Result<Option<Vec<u8>>, Error> {
        match self.encrypt(algorithm, &[0]) {
            Ok(Encrypted { info, .. }) => Ok(Some(info)),
            Err(AuthorError::Refused(error)) if error.kind == ErrorKind::TooLong => Ok(None),
            Err(error) => Err(Error::author("the encrypted image", None, error)),
        }
    }

    /// Fails if there are more of them than an encryption-info has room for.
    pub(crate) fn must_fit(self, algorithm: HostAlgorithm) -> Result<(), Error> {
        self.must(|readers| readers.stand_in(algorithm).map(|info| info.is_some()))
    }

    fn must(self, fits: impl Fn(Self) -> Result<bool, Error>) -> Result<(), Error> {
        let mut fit = self.len().min(usize::try_from(MAX_RECIPIENTS).unwrap_or(usize::MAX));
        while fit > 0 && !fits(self.first(fit))? {
            fit -= 1;
        }
        if fit < self.len() { Err(Error::Recipients { given: self.len(), fit }) } else { Ok(()) }
    }
}

impl<'r> From<&'r [Recipient]> for Readers<'r> {
    fn from(devices: &'r [Recipient]) -> Self {
        Self { devices, public: &[] }
    }
}

/// An encrypted release.
pub(crate) struct Made {
    /// Unsigned.
    pub(crate) envelope: Vec<u8>,
    /// Of the image, of that for the second slot if there is one, and of the table that comes with it.
    pub(crate) ciphertexts: Vec<Vec<u8>>,
}

/// Encrypts what an update installs, and reads the result back as each device does. `images`: that for either slot or the
/// first, that for the second one if the update has it, and the table that comes with it.
pub(crate) fn encrypted(
    update: &UpdateDescription,
    images: &[Vec<u8>],
    algorithm: ContentAlgorithm,
    readers: Readers<'_>,
) -> Result<Made, Error> {
    readers.must(|readers| fits(update, algorithm, readers))?;
    let (mut ciphertexts, mut encryptions) = (Vec::new(), Vec::new());
    for image in images {
        let made = readers
            .encrypt(algorithm.into(), image)
            .map_err(|error| Error::author("the encrypted image", None, error))?;
        // An image may be long: its digest and the look whether it is read take about the same time.
        let (digest, is_read) = std::thread::scope(|scope| {
            let digest = scope.spawn(|| Sha256::digest(&made.ciphertext).into());
            let is_read = readers.are_right(algorithm.into(), &made, image);
            (digest.join(), is_read)
        });
        if !is_read {
            return Err(Error::Internal("an encrypted image cannot be read back"));
        }
        let digest = digest.map_err(|_| Error::Internal("an encrypted image has no digest"))?;
        let Encrypted { info, ciphertext } = made;
        let size = ciphertext.len() as u64;
        encryptions.push(Encryption { info, digest, size });
        ciphertexts.push(ciphertext);
    }
    let envelope = create(&with_encryptions(update, encryptions)).map_err(not_made)?;
    Ok(Made { envelope, ciphertexts })
}

pub(crate) fn not_made(error: suit_manifest::author::AuthorError) -> Error {
    Error::Author { what: "the manifest", source: Box::new(error) }
}

/// The update with its images encrypted: each is then found by the digest of its ciphertext, unless it had a place of its own.
pub(crate) fn with_encryptions(
    update: &UpdateDescription,
    encryptions: Vec<Encryption>,
) -> UpdateDescription {
    let uri = |plain: &str, digest: &[u8; 32], encryption: &Encryption| {
        if plain == image_uri(digest) { image_uri(&encryption.digest) } else { plain.to_owned() }
    };
    let mut encryptions = encryptions.into_iter();
    let mut update = update.clone();
    if let Some(encryption) = encryptions.next() {
        update.uri = uri(&update.uri, &update.image_digest, &encryption);
        update.encryption = Some(encryption);
    }
    for (other, encryption) in update.second_slot.iter_mut().chain(&mut update.table).zip(encryptions) {
        other.uri = uri(&other.uri, &other.digest, &encryption);
        other.encryption = Some(encryption);
    }
    update
}

/// Whether a device takes the release for these recipients once it is signed, under any credential of `credential issue`.
fn fits(
    update: &UpdateDescription,
    algorithm: ContentAlgorithm,
    readers: Readers<'_>,
) -> Result<bool, Error> {
    // As long as the real one: the content stands outside.
    let Some(info) = readers.stand_in(algorithm.into())? else { return Ok(false) };
    let stand_in = |size: u64, digest: u8| {
        let size = size.saturating_add(algorithm.tag_len() as u64);
        Encryption { info: info.clone(), digest: [digest; 32], size }
    };
    let mut encryptions = vec![stand_in(update.image_size, 1)];
    for (other, digest) in update.second_slot.iter().chain(&update.table).zip(2..) {
        encryptions.push(stand_in(other.size, digest));
    }
    let envelope = create(&with_encryptions(update, encryptions)).map_err(not_made)?;
    let head = sever_text(&envelope).map_err(not_made)?;
    Ok(head.len().saturating_add(MAX_SIGNATURE_LEN) <= MAX_ENVELOPE_HEAD_LEN)
}

/// Whether the content key unwraps for each recipient by the code of devices, and the ciphertext decrypts to the image.
pub(crate) fn is_read_by_each(
    info: &[u8],
    ciphertext: &[u8],
    image: &[u8],
    recipients: &[Recipient],
) -> bool {
    let Ok(info) = EncryptionInfo::read(Span { bytes: info, base: 0 }) else { return false };
    let mut keys = recipients.iter().map(|recipient| info.content_key(&recipient.kid, &recipient.key).ok());
    let Some(Some(content_key)) = keys.next() else { return false };
    if !keys.all(|key| key.is_some_and(|key| key.as_bytes() == content_key.as_bytes())) {
        return false;
    }
    info.is_ciphertext_of(&content_key, ciphertext, image)
}

#[cfg(test)]
mod tests {
    use trust::aes::Key128;
    use trust::author::{Recipient, encrypt};
    use trust::encryption::ContentAlgorithm;

    use super::is_read_by_each;

    /// docs/attacks.md, SYM50.
    #[test]
    fn what_one_device_cannot_read_does_not_leave() {
        let recipient = |number: u8| Recipient { kid: vec![number; 8], key: Key128::new([number; 16]) };
        let all = [recipient(1), recipient(2), recipient(3)];
        for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr] {
            let made = encrypt(algorithm, b"image", &all).unwrap();
            let (info, good) = (&made.info, &made.ciphertext);
            assert!(is_read_by_each(info, good, b"image", &all));
            assert!(!is_read_by_each(&[], good, b"image", &all));
            assert!(!is_read_by_each(info, good, b"image", &[]));
            assert!(!is_read_by_each(info, good, b"imagf", &all));
            assert!(!is_read_by_each(info, b"", b"image", &all));
            let longer = [good.as_slice(), b"x"].concat();
            assert!(!is_read_by_each(info, &longer, b"image", &all));
            // The last of them has another key than the one that was used.
            let other = Recipient { kid: vec![3; 8], key: Key128::new([4; 16]) };
            let [one, two, _] = all.clone();
            assert!(!is_read_by_each(info, good, b"image", &[one, two, other]));
        }
        let mut made = encrypt(ContentAlgorithm::A128Gcm, b"image", &all).unwrap();
        made.ciphertext[10] ^= 1;
        assert!(!is_read_by_each(&made.info, &made.ciphertext, b"image", &all), "the tag counts");
    }
}
