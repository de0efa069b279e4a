//! `credential inspect`.

use std::path::PathBuf;

use serde::Serialize;
use trust::Credential;
use trust::author::read_unverified_credential;

use crate::commands::read_anchors;
use crate::describe::CredentialView;
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::output::{Report, table};
use crate::time::{Time, now};

/// Show a credential, and verify it if an anchor is given
#[derive(clap::Args, Clone, Debug)]
pub struct Inspect {
    /// Credential
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Public key of the root that must have signed it (repeatable)
    #[arg(long = "anchor", value_name = "ANCHOR")]
    anchors: Vec<PathBuf>,
    /// Time at which the credential must be valid [default: now]
    #[arg(long, value_name = "TIME", requires = "anchors")]
    now: Option<Time>,
}

#[derive(Debug, Serialize)]
pub struct Inspected {
    verified: bool,
    #[serde(flatten)]
    credential: CredentialView,
}

impl Inspect {
    /// Reads the credential, and verifies it if anchors are given.
    pub fn run(&self) -> Result<Inspected, Error> {
        let trusted = read_anchors(&self.anchors)?;
        let cwt = read(&self.file, MAX_RECORD_FILE_LEN)?;
        let refused = |error| Error::refused_record(&self.file, error);
        let claims = read_unverified_credential(&cwt).map_err(refused)?;
        let verified = !trusted.anchors().is_empty();
        if verified {
            let now = now(self.now)?;
            trusted
                .with(Some(now), |store| Credential::verify(&cwt, store, claims.role()).map(drop))
                .map_err(refused)?;
        }
        Ok(Inspected { verified, credential: CredentialView::new(&claims) })
    }
}

impl Report for Inspected {
    fn lines(&self) -> String {
        let verified = if self.verified { "yes" } else { "NO: no --anchor was given" };
        let mut rows = vec![("verified", verified.to_owned())];
        rows.extend(self.credential.rows());
        table(&rows)
    }
}
