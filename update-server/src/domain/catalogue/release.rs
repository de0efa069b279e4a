//! A release, read from an envelope that verified.

use suit_manifest::host::Envelope;
use suit_manifest::{ImageReference, Reason, ReleaseImages, release_images};
use trust::{Domain, Kid, TrustStore};

use crate::domain::installs::Installs;
use crate::domain::{Digest, Identifier};

/// The image of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The URI in the manifest.
    pub uri: String,
}

impl Image {
    fn of(image: &ImageReference<'_>) -> Self {
        Self { digest: Digest(image.digest), size: image.size, uri: image.uri.to_owned() }
    }
}

/// A release, read from an envelope that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// SHA-256 over the bstr-wrapped manifest.
    pub manifest_digest: Digest,
    /// SHA-256 over the whole envelope.
    pub envelope_digest: Digest,
    /// The manifest's sequence number.
    pub sequence: u64,
    /// The version in the manifest's text, where it has one.
    pub version: Option<String>,
    /// For whose devices it is.
    pub vendor: Identifier,
    /// For which class of them.
    pub class: Identifier,
    /// What of a device it installs.
    pub target: Installs,
    /// For which single device of them, where it is not for all.
    pub device: Option<Identifier>,
    /// What is installed: of a release of both, the firmware.
    pub image: Image,
    /// What is installed in component-slot 1 of devices that run images in place; `None`: the same.
    pub second_image: Option<Image>,
    /// The table of a release of both.
    pub table_image: Option<Image>,
    /// The key that signed the manifest.
    pub release_kid: Kid,
    /// The domain whose root certified that key.
    pub domain: Domain,
    /// When this envelope was published: seconds since the epoch.
    pub published_at: u64,
    /// The times of the credential in this envelope.
    pub validity: Validity,
}

/// The times of a credential, seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When it was issued.
    pub issued_at: u64,
    /// From when it is valid.
    pub not_before: Option<u64>,
    /// Until when it is valid.
    pub expires: Option<u64>,
}

impl Validity {
    /// The times at which a verdict on it may change.
    pub(in crate::domain) fn boundaries(self) -> impl Iterator<Item = u64> {
        self.not_before.into_iter().chain(self.expires)
    }
}

impl Release {
    /// Verifies an envelope and reads the release from it.
    pub fn read(envelope: &[u8], store: &TrustStore<'_>, published_at: u64) -> Result<Self, Reason> {
        let authenticated = Envelope::parse(envelope)?.authenticate(store)?;
        let manifest = authenticated.manifest();
        let ReleaseImages { first, second, table } = release_images(manifest)?;
        let credential = authenticated.authority().credential();
        let validity = Validity {
            issued_at: credential.issued_at().0,
            not_before: credential.not_before().map(|time| time.0),
            expires: credential.expires().map(|time| time.0),
        };
        Ok(Self {
            manifest_digest: Digest(*authenticated.digest()),
            envelope_digest: Digest::of(envelope),
            sequence: manifest.sequence_number(),
            version: manifest.version_text().map(str::to_owned),
            vendor: Identifier(first.vendor),
            class: Identifier(first.class),
            target: if table.is_some() { Installs::Both } else { manifest.target().into() },
            device: first.device.map(Identifier),
            image: Image::of(&first),
            second_image: second.as_ref().map(Image::of),
            table_image: table.as_ref().map(Image::of),
            release_kid: credential.key().kid(),
            domain: credential.domain(),
            published_at,
            validity,
        })
    }

    /// Its images.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        std::iter::once(&self.image).chain(&self.second_image).chain(&self.table_image)
    }

    /// Whether this envelope of a manifest takes the place of `other`: one with the text does of one without, and of
    /// equals the one whose credential was issued later. A poorer copy never loses what is known.
    pub(in crate::domain) fn replaces(&self, other: &Self) -> bool {
        let rank = |release: &Self| (release.version.is_some(), release.validity.issued_at);
        rank(self) > rank(other)
    }
}
