//! `recertify`: replace the credential in signed envelopes. The signature covers the manifest and not the credential,
//! so nothing is signed again and no key is needed.

use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::author::{inspect, recertify};
use trust::Role;
use trust::author::read_unverified_credential;

use super::sign::explain;
use super::warn_of_time;
use crate::describe::CredentialView;
use crate::encryption::must_be_of_no_device;
use crate::error::Error;
use crate::files::{
    MAX_ENVELOPE_FILE_LEN, MAX_RECORD_FILE_LEN, OverwriteArguments, make_folder, must_differ, read, write_all,
};
use crate::output::{Output, Report, table};
use crate::time::now;
use crate::trusted::{TrustArguments, verify_credential};

/// Replace the credential in signed envelopes by a newer one for the same key
#[derive(clap::Args, Clone, Debug)]
pub struct Recertify {
    /// Signed envelope (repeatable)
    #[arg(value_name = "R.suit", required = true)]
    envelopes: Vec<PathBuf>,
    /// Newer credential for the key that signed the envelopes
    #[arg(long, value_name = "FILE")]
    credential: PathBuf,
    /// Envelope to write, for a single input
    #[arg(long, value_name = "R.suit", required_unless_present = "out_dir")]
    out: Option<PathBuf>,
    /// Directory to write the envelopes to, under their own names
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    out_dir: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Recertified {
    envelopes: Vec<RecertifiedEnvelope>,
    credential: CredentialView,
}

#[derive(Debug, Serialize)]
struct RecertifiedEnvelope {
    out: PathBuf,
    manifest_digest: String,
    sequence: u64,
}

impl Recertify {
    /// Exchanges all credentials, or writes nothing.
    pub fn run(&self, output: Output) -> Result<Recertified, Error> {
        let credential = read(&self.credential, MAX_RECORD_FILE_LEN)?;
        let claims = read_unverified_credential(&credential)
            .map_err(|error| Error::refused_record(&self.credential, error))?;
        if let Some(trusted) = self.trust.open()? {
            verify_credential(&trusted, &self.credential, &credential, Role::Release, now(None)?)?;
        }
        let inputs: Vec<&Path> = self
            .envelopes
            .iter()
            .chain([&self.credential])
            .map(PathBuf::as_path)
            .chain(self.trust.files())
            .collect();
        let mut made = Vec::new();
        for path in &self.envelopes {
            let out = self.output(path)?;
            must_differ(&out, &inputs)?;
            let envelope = read(path, MAX_ENVELOPE_FILE_LEN)?;
            if let Ok(inspection) = inspect(&envelope) {
                must_be_of_no_device(path, &inspection)?;
            }
            let renewed =
                recertify(&envelope, &credential).map_err(|error| explain(path, &self.credential, error))?;
            made.push((out, renewed));
        }
        warn_of_time(output, &claims)?;
        let envelopes = made
            .iter()
            .map(|(out, envelope)| {
                let inspection = inspect(envelope)
                    .map_err(|_| Error::Internal("the recertified envelope cannot be read back"))?;
                Ok(RecertifiedEnvelope {
                    out: out.clone(),
                    manifest_digest: hex::encode(inspection.digest()),
                    sequence: inspection.manifest().sequence_number(),
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        self.out_dir.as_deref().map_or(Ok(()), make_folder)?;
        let files: Vec<_> = made.iter().map(|(out, envelope)| (out.as_path(), envelope.as_slice())).collect();
        write_all(&files, self.overwrite.existing())?;
        Ok(Recertified { envelopes, credential: CredentialView::new(&claims) })
    }

    fn output(&self, envelope: &Path) -> Result<PathBuf, Error> {
        match (&self.out, &self.out_dir, envelope.file_name()) {
            (Some(_), _, _) if self.envelopes.len() > 1 => {
                Err(Error::usage("--out takes one envelope; pass --out-dir for several"))
            }
            (Some(out), _, _) => Ok(out.clone()),
            (None, Some(folder), Some(name)) => Ok(folder.join(name)),
            _ => Err(Error::usage("--out-dir requires input files with names")),
        }
    }
}

impl Report for Recertified {
    fn lines(&self) -> String {
        let mut rows: Vec<_> = self
            .envelopes
            .iter()
            .map(|made| ("envelope", format!("{} (sequence {})", made.out.display(), made.sequence)))
            .collect();
        rows.push(("signed by", format!("{} ({})", self.credential.subject, self.credential.kid)));
        rows.extend(self.credential.rows());
        table(&rows)
    }
}
