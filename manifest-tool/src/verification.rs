//! `verify` as a function: trust chain, dry run of the command processor and image, with the code that devices run.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use suit_manifest::author::sever_text;
use suit_manifest::host::{Authenticated, Envelope, Manifest};
use suit_manifest::{
    DeviceIdentity, ErrorKind, ImageReference, MAX_ENVELOPE_HEAD_LEN, ReleaseImages, release_images,
    release_images_for,
};
use trust::{TrustStoreBuf, UnixTime};

use crate::error::{Error, ImageDifference};

/// What a release is held against.
#[derive(Clone, Copy, Debug)]
pub struct Verification<'a> {
    /// Anchors and revocation lists.
    pub trusted: &'a TrustStoreBuf,
    /// The time at which credentials must be valid.
    pub now: UnixTime,
    /// The device that the release must be for; `None`: any.
    pub device: Option<Device>,
    /// The sequence number below which a device refuses releases.
    pub sequence_floor: u64,
}

/// A device, or all devices of its class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    pub vendor: [u8; 16],
    pub class: [u8; 16],
    /// Device id; `None` stands for whichever device of the class the release is for.
    pub device: Option<[u8; 16]>,
}

/// A release that a device with these anchors would take.
#[derive(Clone, Debug)]
pub struct Verified<'a> {
    /// Its manifest and its signer's authority.
    pub authenticated: Authenticated<'a>,
    /// Everything that it installs.
    pub images: ReleaseImages<'a>,
}

impl Verification<'_> {
    /// Verifies a signed envelope: structure, chain, signature, digest, scope, sequence, a dry run, and that it fits
    /// into a device without its text.
    pub fn of<'e>(&self, envelope: &'e [u8]) -> Result<Verified<'e>, suit_manifest::Error> {
        let parsed = Envelope::parse(envelope)?;
        let authenticated = self.trusted.with(Some(self.now), |store| parsed.authenticate(store))?;
        let images = rehearse(authenticated.manifest(), envelope, self.device, self.sequence_floor)?;
        Ok(Verified { authenticated, images })
    }
}

/// What follows when a manifest is authentic: sequence number, a dry run, and that the envelope fits into a device without
/// its text. Everything that it installs.
pub(crate) fn rehearse<'a>(
    manifest: &Manifest<'a>,
    envelope: &[u8],
    device: Option<Device>,
    sequence_floor: u64,
) -> Result<ReleaseImages<'a>, suit_manifest::Error> {
    manifest.check_sequence(sequence_floor)?;
    let mut images = release_images(manifest)?;
    if let Some(device) = device {
        let identity = DeviceIdentity {
            vendor: device.vendor,
            class: device.class,
            device: device.device.or(images.first.device).unwrap_or_default(),
        };
        images = release_images_for(manifest, &identity)?;
    }
    // A device receives only the head; the text can be severed.
    let fits = |envelope: &[u8]| envelope.len() <= MAX_ENVELOPE_HEAD_LEN;
    if !fits(envelope) && !sever_text(envelope).is_ok_and(|severed| fits(&severed)) {
        return Err(suit_manifest::Error::new(ErrorKind::EnvelopeTooLarge, 0));
    }
    Ok(images)
}

/// Whether `image` is the one that a manifest names.
pub fn match_image(path: &Path, image: &[u8], named: &ImageReference<'_>) -> Result<(), Error> {
    let mismatch = |difference| Err(Error::ImageMismatch { path: path.to_owned(), difference });
    if named.decrypted.is_some() && Sha256::digest(image).as_slice() == named.installed_digest() {
        return mismatch(ImageDifference::Decrypted);
    }
    if image.len() as u64 != named.size {
        return mismatch(ImageDifference::Size(image.len() as u64, named.size));
    }
    if Sha256::digest(image).as_slice() != named.digest {
        return mismatch(ImageDifference::Digest);
    }
    Ok(())
}

/// What a release names for each option that takes a file of it.
pub(crate) fn by_option<'a>(images: &ReleaseImages<'a>) -> Vec<(&'static str, ImageReference<'a>)> {
    let ReleaseImages { first, second, table } = *images;
    let named = [("--image", Some(first)), ("--second-image", second), ("--table", table)];
    named.into_iter().filter_map(|(option, named)| Some((option, named?))).collect()
}

/// [`match_image`] for the file of `option`: one that is for another option of `all` is told so.
pub(crate) fn match_file(
    path: &Path,
    image: &[u8],
    option: &'static str,
    all: &[(&'static str, ImageReference<'_>)],
) -> Result<(), Error> {
    let of_option = |(name, _): &&(&'static str, ImageReference<'_>)| *name == option;
    let named = all.iter().find(of_option).ok_or(Error::Internal("nothing is named for an option"))?;
    match_image(path, image, &named.1).map_err(|error| misplaced(error, path, image, option, all))
}

/// Says of a file that does not match whether it is for another option.
pub(crate) fn misplaced(
    error: Error,
    path: &Path,
    image: &[u8],
    option: &'static str,
    all: &[(&'static str, ImageReference<'_>)],
) -> Error {
    let is_for = |(_, named): &&(&'static str, ImageReference<'_>)| match_image(path, image, named).is_ok();
    match all.iter().find(is_for) {
        Some((meant, _)) if *meant != option => Error::misplaced(path, option, meant),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sha2::{Digest as _, Sha256};
    use suit_manifest::ImageReference;

    use super::match_image;
    use crate::error::{Error, ImageDifference};

    /// A manifest may name a size that is not that of the image with its digest: both must hold.
    #[test]
    fn digest_and_size_must_match() {
        let image = b"firmware";
        let named = ImageReference {
            uri: "",
            digest: Sha256::digest(image).into(),
            size: 8,
            decrypted: None,
            vendor: [0; 16],
            class: [0; 16],
            device: None,
        };
        let difference = |named: &ImageReference<'_>| match match_image(Path::new("i"), image, named) {
            Ok(()) => None,
            Err(Error::ImageMismatch { difference, .. }) => Some(difference),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(difference(&named), None);
        assert_eq!(difference(&ImageReference { size: 9, ..named }), Some(ImageDifference::Size(8, 9)));
        assert_eq!(difference(&ImageReference { size: 7, ..named }), Some(ImageDifference::Size(8, 7)));
        assert_eq!(difference(&ImageReference { digest: [0; 32], ..named }), Some(ImageDifference::Digest));
    }
}
