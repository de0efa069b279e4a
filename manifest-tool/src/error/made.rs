//! Errors out of those of libraries, and of what they are about.

use std::path::Path;

use suit_manifest::Reason;
use trust::author::SignError;
use trust::host::{KeyFileError, ReadError};

use super::{Error, FileAction, ImageDifference};
use crate::kind::Kind;
use crate::x509;

impl Error {
    /// A file cannot be used as a public key, or cannot be read.
    pub fn public_key(path: &Path, source: KeyFileError) -> Self {
        match source {
            KeyFileError::Read(error) => Self::file_read(path, error),
            source => Self::PublicKey { path: path.to_owned(), source },
        }
    }

    /// A file cannot be read.
    pub fn file_read(path: &Path, error: ReadError) -> Self {
        match error {
            ReadError::Io(source) => Self::File { action: FileAction::Read, path: path.to_owned(), source },
            ReadError::TooLong(limit) => Self::FileTooLong { path: path.to_owned(), limit },
        }
    }

    /// A file is refused by the trust chain.
    pub fn refused_record(path: &Path, error: trust::Error) -> Self {
        let reason = Reason::from(error);
        // A record of another type is not the one that was wanted; the others may be it, and damaged.
        let found = if reason == Reason::RecordType {
            Kind::instead_of(Kind::Record, path)
        } else if [Reason::RecordMalformed, Reason::CoseUnsupported].contains(&reason) {
            Kind::instead_of(Kind::Credential, path)
        } else {
            None
        };
        Self::Refused { path: path.to_owned(), reason, position: error.position, rule: None, found }
    }

    /// A file is refused as an envelope or manifest.
    pub fn refused_manifest(path: &Path, error: suit_manifest::Error) -> Self {
        let is_form = [Reason::ManifestMalformed, Reason::ManifestBare].contains(&error.reason());
        Self::refused_suit(path, error, is_form.then_some(Kind::Envelope))
    }

    /// A file is refused as the report of a device.
    pub(crate) fn refused_report(path: &Path, error: suit_manifest::Error) -> Self {
        Self::refused_suit(path, error, Some(Kind::Report))
    }

    /// `wanted`: what the file was to be, if it may be something else.
    fn refused_suit(path: &Path, error: suit_manifest::Error, wanted: Option<Kind>) -> Self {
        let reason = error.reason();
        let found = wanted.and_then(|kind| Kind::instead_of(kind, path));
        let rule = Some(error.rule());
        Self::Refused { path: path.to_owned(), reason, position: error.position, rule, found }
    }

    /// A file is refused.
    pub fn refused(path: &Path, reason: Reason, position: u32) -> Self {
        Self::Refused { path: path.to_owned(), reason, position, rule: None, found: None }
    }

    /// A file of a release was given for another part of it.
    pub(crate) fn misplaced(path: &Path, given: &'static str, meant: &'static str) -> Self {
        let difference = ImageDifference::Misplaced { given, meant };
        Self::ImageMismatch { path: path.to_owned(), difference }
    }

    /// A wrong command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into() }
    }

    /// A record could not be made: a refusal where the format has one, a key failure where the signer has one.
    pub(crate) fn author(
        what: &'static str,
        credential: Option<&Path>,
        error: trust::author::AuthorError,
    ) -> Self {
        use trust::author::AuthorError;
        match (error, credential) {
            (AuthorError::Signer(source), _) => Self::of_signer(source),
            (AuthorError::NotTheSignersCredential, Some(path)) => {
                Self::CredentialOfAnotherKey(path.to_owned())
            }
            (AuthorError::Refused(error), Some(path)) => Self::refused_record(path, error),
            (error, _) => Self::Author { what, source: Box::new(error) },
        }
    }

    /// A certificate could not be made of a file.
    pub(crate) fn certificate(path: &Path, fault: x509::Fault) -> Self {
        match fault {
            x509::Fault::Signer(error) => Self::of_signer(error),
            fault => Self::Certificate { path: path.to_owned(), fault },
        }
    }

    /// A signer gave no signature that can be used.
    pub(crate) fn of_signer(error: SignError) -> Self {
        match error {
            SignError::Foreign => Self::SignatureForeign,
            SignError::TooLong(_) => Self::Author { what: "the signature", source: Box::new(error) },
            SignError::Holder(source) => match source.downcast() {
                Ok(error) => Self::Holder(*error),
                Err(source) => Self::KeyOperation { doing: "used", source },
            },
        }
    }
}
