//! `credential inspect`.

use std::path::PathBuf;

use serde::Serialize;
use trust::author::read_unverified_credential;
use trust::{Credential, CredentialClaims, Role, TrustStore};

use crate::describe::{CredentialView, kid};
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::output::{Report, table};
use crate::time::{Time, now};
use crate::trusted::TrustArguments;

/// Show a credential, and verify it if an anchor is given
#[derive(clap::Args, Clone, Debug)]
pub struct Inspect {
    /// Credential
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    trust: TrustArguments,
    /// Credential of the issuing key, for the credential of a device
    #[arg(long, value_name = "FILE", requires = "anchors")]
    issuing: Option<PathBuf>,
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
        let trusted = self.trust.open()?;
        let cwt = read(&self.file, MAX_RECORD_FILE_LEN)?;
        let refused = |error| Error::refused_record(&self.file, error);
        let claims = read_unverified_credential(&cwt).map_err(refused)?;
        if let Some(trusted) = &trusted {
            let now = now(self.now)?;
            trusted.with(Some(now), |store| self.verify(&cwt, &claims, store))?;
        }
        Ok(Inspected { verified: trusted.is_some(), credential: CredentialView::new(&claims) })
    }

    fn verify(&self, cwt: &[u8], claims: &CredentialClaims<'_>, store: &TrustStore<'_>) -> Result<(), Error> {
        let refused = |error| Error::refused_record(&self.file, error);
        match (claims.issuing_key(), &self.issuing) {
            (None, None) => Credential::verify(cwt, store, claims.role()).map(drop).map_err(refused),
            (Some(_), Some(path)) => {
                let bytes = read(path, MAX_RECORD_FILE_LEN)?;
                let issuing = Credential::verify(&bytes, store, Role::Identity)
                    .map_err(|error| Error::refused_record(path, error))?;
                Credential::verify_issued(cwt, &issuing, store).map(drop).map_err(refused)
            }
            (Some(key), None) => Err(Error::usage(format!(
                "the credential of a device stands under its issuing key {}: pass that one's credential as --issuing",
                kid(key)
            ))),
            (None, Some(_)) => {
                Err(Error::usage("--issuing is for the credential of a device under an issuing key"))
            }
        }
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
