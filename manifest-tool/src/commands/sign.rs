//! `sign`: sign an envelope with a release key and add the credential of the key.

use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::Reason;
use suit_manifest::author::{AuthorError, inspect, sign};
use trust::Role;
use trust::author::read_unverified_credential;

use super::{SigningKeyArguments, warn_of_time};
use crate::describe::{ManifestView, kid};
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, MAX_RECORD_FILE_LEN, OverwriteArguments, read, write};
use crate::output::{Output, Report, table};

/// Sign an envelope with a release key
#[derive(clap::Args, Clone, Debug)]
pub struct Sign {
    /// Envelope to sign; an existing signature is replaced
    #[arg(value_name = "U.suit")]
    envelope: PathBuf,
    #[command(flatten)]
    key: SigningKeyArguments,
    /// Credential of the key
    #[arg(long, value_name = "FILE")]
    credential: PathBuf,
    /// Signed envelope to write
    #[arg(long, value_name = "R.suit")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Signed {
    envelope: PathBuf,
    release_kid: String,
    signer: String,
    #[serde(flatten)]
    manifest: ManifestView,
}

impl Sign {
    pub fn run(&self, output: Output) -> Result<Signed, Error> {
        self.key.must_differ_from(&self.out, &[&self.envelope, &self.credential])?;
        let envelope = read(&self.envelope, MAX_ENVELOPE_FILE_LEN)?;
        let credential = read(&self.credential, MAX_RECORD_FILE_LEN)?;
        let refused = |error| Error::refused_record(&self.credential, error);
        let claims = read_unverified_credential(&credential).map_err(refused)?;
        if claims.role() != Role::Release {
            return Err(refused(trust::Error::new(trust::ErrorKind::RoleMismatch, 0)));
        }
        if claims.scope().is_limited_to_serials() {
            return Err(Error::refused(&self.credential, Reason::ScopeDevice, 0));
        }
        // Signing does not change the manifest. Each device refuses a manifest that fails its dry run.
        let manifest = inspect(&envelope)
            .and_then(|inspection| ManifestView::of_inspection(&inspection))
            .map_err(|error| Error::refused_manifest(&self.envelope, error))?;

        let key = self.key.open()?;
        let signed = sign(&envelope, key.as_ref(), &credential)
            .map_err(|error| explain(&self.envelope, &self.credential, error))?;
        warn_of_time(output, &claims)?;
        write(&self.out, &signed, self.overwrite.existing())?;
        Ok(Signed {
            envelope: self.out.clone(),
            release_kid: kid(claims.key().kid()),
            signer: claims.sub().to_owned(),
            manifest,
        })
    }
}

/// Why an envelope could not be signed, or could not get another credential.
pub(super) fn explain(envelope: &Path, credential: &Path, error: AuthorError) -> Error {
    match error {
        AuthorError::Refused(error) => Error::refused_manifest(envelope, error),
        AuthorError::Signature(error) => Error::author("the signature", Some(credential), error),
        other @ (AuthorError::Description(..)
        | AuthorError::Role
        | AuthorError::TooLarge(_)
        | AuthorError::Encoding) => Error::Author { what: "the signed envelope", source: Box::new(other) },
    }
}

impl Report for Signed {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("envelope", format!("{} (signed)", self.envelope.display())),
            ("signed by", format!("{} ({})", self.signer, self.release_kid)),
        ];
        rows.extend(self.manifest.rows());
        table(&rows)
    }
}
