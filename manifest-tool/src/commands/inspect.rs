//! `inspect`: what an envelope says, nothing of it verified.

use crate::describe::{CredentialView, ManifestView};
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, read};
use crate::output::{Report, table};
use serde::Serialize;
use std::path::PathBuf;
use suit_manifest::author::inspect;
use trust::author::read_unverified_credential;

/// Show an envelope without verifying its signature
#[derive(clap::Args, Clone, Debug)]
pub struct Inspect {
    /// Envelope, signed or not
    #[arg(value_name = "R.suit")]
    envelope: PathBuf,
}

/// What `inspect` found.
#[derive(Debug, Serialize)]
pub struct Inspected {
    /// Always false: `verify` verifies.
    verified: bool,
    signed: bool,
    envelope_bytes: usize,
    #[serde(flatten)]
    manifest: ManifestView,
    credential: Option<CredentialView>,
}

impl Inspect {
    /// Reads the envelope.
    pub fn run(&self) -> Result<Inspected, Error> {
        let bytes = read(&self.envelope, MAX_ENVELOPE_FILE_LEN)?;
        let refused = |error| Error::refused_manifest(&self.envelope, error);
        let inspection = inspect(&bytes).map_err(refused)?;
        let credential = inspection
            .credential()
            .and_then(|cwt| read_unverified_credential(cwt).ok().map(|claims| CredentialView::new(&claims)));
        Ok(Inspected {
            verified: false,
            signed: inspection.sign1().is_some(),
            envelope_bytes: bytes.len(),
            manifest: ManifestView::of_inspection(&inspection).map_err(refused)?,
            credential,
        })
    }
}

impl Report for Inspected {
    fn lines(&self) -> String {
        let signed = if self.signed { "yes, NOT verified here" } else { "NO" };
        let mut rows =
            vec![("signed", signed.to_owned()), ("envelope", format!("{} bytes", self.envelope_bytes))];
        rows.extend(self.manifest.rows());
        let mut text = table(&rows);
        match &self.credential {
            Some(credential) => {
                text.push_str("\ncredential that came with the signature:\n");
                text.push_str(&table(&credential.rows()));
            }
            None if self.signed => text.push_str("\nno credential that can be read came with the signature"),
            None => {}
        }
        text
    }
}
