//! An envelope with images in it: members whose URI begins with "#" (draft-ietf-suit-manifest-37 sections 5.5 and 7.5).
//! No signature is verified here; which image the manifest fetches from where, the device's walk says.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use suit_manifest::author::tree::{EnvelopeTree, Integrated};
use suit_manifest::author::{AuthorError, TakenApart, inspect, take_apart, take_out};
use suit_manifest::{ImageReference, ReleaseImages};

use crate::error::Error;
use crate::files::{MAX_BUNDLE_FILE_LEN, read};
use crate::verification::match_image;

/// URIs of the images of `create --integrated`, by their slots, and of a table that comes with one.
pub const INTEGRATED_URIS: [&str; 3] = ["#image", "#image-1", "#table"];
/// The place of such a table among them.
pub const TABLE_PLACE: usize = 2;
/// What a URI begins with that leads into the envelope.
const INTO_THE_ENVELOPE: char = '#';

/// Why a member is not taken away, put in or taken out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MemberFault {
    /// Nobody said which one, or one that is not there.
    #[error("has no member {0}")]
    Absent(String),
    /// The manifest has the element itself, and not its digest.
    #[error("has its {0} in the manifest, where it is signed as it stands")]
    InManifest(&'static str),
    #[error("has no integrated member")]
    NothingIntegrated,
    #[error("has several integrated members: {0}")]
    Ambiguous(String),
    /// The manifest is signed: its URI stays.
    #[error("fetches its image from {0:?}; only a URI that begins with \"#\" leads into an envelope")]
    OtherUri(String),
    #[error("has a member {0:?} already")]
    There(String),
    /// No digest that is signed is of it.
    #[error("has a member {0:?}, and its manifest fetches nothing from there: nobody signed it")]
    NotFetched(String),
}

impl MemberFault {
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Absent(_) | Self::NothingIntegrated => "member-absent",
            Self::InManifest(_) => "member-in-manifest",
            Self::Ambiguous(_) => "member-ambiguous",
            Self::OtherUri(_) => "uri-not-integrated",
            Self::There(_) => "member-exists",
            Self::NotFetched(_) => "member-not-fetched",
        }
    }

    /// What to do about it, one sentence.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Absent(_) | Self::NothingIntegrated => "manifest-tool inspect shows what the envelope has.",
            Self::InManifest(_) => {
                "Leave it in: what stands in the manifest cannot be severed after it was signed."
            }
            Self::Ambiguous(_) => "Name one of them with --uri.",
            Self::OtherUri(_) => {
                "Make the release with create --integrated and sign it: the URI is signed too."
            }
            Self::NotFetched(_) => "Take it out: manifest-tool extract --uri URI.",
            Self::There(_) => "Pass each image once, and take out with manifest-tool extract what is there.",
        }
    }
}

/// What is in an envelope, and is what the manifest names.
#[derive(Clone, Default, Debug)]
pub struct Inside {
    pub image: bool,
    /// Of a manifest with a table beside other components.
    pub table: bool,
    /// URIs of the members that were compared with nothing.
    pub not_compared: Vec<String>,
}

/// A file with an envelope, with or without integrated members.
pub struct Bundle<'p> {
    path: &'p Path,
    file: Vec<u8>,
}

impl<'p> Bundle<'p> {
    pub fn read(path: &'p Path) -> Result<Self, Error> {
        Ok(Self { path, file: read(path, MAX_BUNDLE_FILE_LEN)? })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.file
    }

    /// Everything in it.
    pub fn tree(&self) -> Result<EnvelopeTree<'_>, Error> {
        EnvelopeTree::read(&self.file).map_err(|error| Error::refused_manifest(self.path, error))
    }

    /// The envelope without anything integrated, and that.
    pub fn taken_apart(&self) -> TakenApart<'_> {
        take_apart(&self.file)
    }

    /// The envelope without anything integrated, as our devices and servers take it.
    pub fn release(&self) -> Result<Vec<u8>, Error> {
        take_out(&self.file, &[]).map_err(|error| self.not_changed(error))
    }

    pub fn fault(&self, fault: MemberFault) -> Error {
        Error::Member { path: self.path.to_owned(), fault }
    }

    /// Why no other envelope could be made of it.
    pub fn not_changed(&self, error: AuthorError) -> Error {
        match error {
            AuthorError::Refused(error) => Error::refused_manifest(self.path, error),
            other => Error::Author { what: "the envelope", source: Box::new(other) },
        }
    }

    /// Compares by `check` the members that a manifest fetches for an image; whether there is one.
    pub fn check_inside(
        &self,
        payloads: &[(&str, &[u8])],
        named: &ImageReference<'_>,
        check: impl Fn(&Path, &[u8], &ImageReference<'_>) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let mut fetched = payloads.iter().filter(|(uri, _)| *uri == named.uri).peekable();
        let is_there = fetched.peek().is_some();
        fetched.try_for_each(|(uri, payload)| check(&self.name_of(uri), payload, named))?;
        Ok(is_there)
    }

    /// Compares all that is in the envelope of a release that our devices walk through; `None`: they do not.
    pub fn check_release(&self) -> Result<Option<Inside>, Error> {
        let TakenApart { envelope, payloads } = self.taken_apart();
        let Ok(inspection) = inspect(&envelope) else { return Ok(None) };
        let Ok(images) = inspection.images() else { return Ok(None) };
        let not_compared = not_fetched(&payloads, &images).map(str::to_owned).collect();
        let ReleaseImages { first, second, table } = images;
        let check = |named: &ImageReference<'_>| self.check_inside(&payloads, named, match_image);
        let second = second.as_ref().map(check).transpose()?.unwrap_or_default();
        let table = table.as_ref().map(check).transpose()?.unwrap_or_default();
        Ok(Some(Inside { image: check(&first)? || second, table, not_compared }))
    }

    /// Fails if a member is one that the manifest fetches for no image: nothing that is signed says what it is.
    pub fn must_be_fetched(
        &self,
        payloads: &[(&str, &[u8])],
        images: &ReleaseImages<'_>,
    ) -> Result<(), Error> {
        let first = not_fetched(payloads, images).next();
        first.map_or(Ok(()), |uri| Err(self.fault(MemberFault::NotFetched(uri.to_owned()))))
    }

    /// The name of an integrated member for people.
    pub fn name_of(&self, uri: &str) -> PathBuf {
        format!("{}{uri}", self.path.display()).into()
    }
}

/// The members that a manifest fetches for none of its images.
fn not_fetched<'a>(
    payloads: &[(&'a str, &[u8])],
    images: &ReleaseImages<'_>,
) -> impl Iterator<Item = &'a str> {
    payloads.iter().map(|(uri, _)| *uri).filter(|uri| images.iter().all(|image| image.uri != *uri))
}

/// What a release installs, one for each slot that has its own: those of a device's walk.
pub fn images_of(release: &[u8]) -> Result<Vec<ImageReference<'_>>, suit_manifest::Error> {
    Ok(inspect(release)?.images()?.iter().copied().collect())
}

/// Whether a URI leads into the envelope.
pub fn is_integrated(uri: &str) -> bool {
    uri.starts_with(INTO_THE_ENVELOPE)
}

/// An integrated member, for people and scripts.
#[derive(Debug, Serialize)]
pub struct PayloadView {
    pub uri: String,
    pub size: usize,
    pub sha256: String,
}

impl PayloadView {
    pub fn new(uri: &str, content: &[u8]) -> Self {
        Self { uri: uri.to_owned(), size: content.len(), sha256: hex::encode(Sha256::digest(content)) }
    }

    pub fn of(member: &Integrated<'_>) -> Self {
        Self::new(member.uri, member.content.bytes)
    }

    pub fn words(&self) -> String {
        format!("{:?}, {} bytes, SHA-256 {}", self.uri, self.size, self.sha256)
    }
}
