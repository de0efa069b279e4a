//! `credential certificate`: the X.509 mirror of a root, an issuing key or a device.

use std::path::PathBuf;

use serde::Serialize;
use trust::author::{Signer, Unsigned, read_unverified_credential};

use crate::commands::SigningKeyArguments;
use crate::describe::kid;
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, OverwriteArguments, read, write};
use crate::output::{Report, table};
use crate::time::Time;
use crate::x509::{Issuer, mirror, root, to_pem};

/// Make the X.509 certificate of a root, an issuing key or a device
#[derive(clap::Args, Clone, Debug)]
pub struct Certificate {
    /// Credential of the issuing key or the device
    #[arg(value_name = "FILE", required_unless_present = "root", conflicts_with = "root")]
    file: Option<PathBuf>,
    #[command(flatten)]
    key: SigningKeyArguments,
    /// Make the certificate of the root itself, under this name
    #[arg(long, value_name = "NAME", value_parser = crate::commands::name(), requires = "not_before")]
    root: Option<String>,
    /// Begin of the root's certificate, such as 2026-01-31T00:00:00Z; it has no end
    #[arg(long, value_name = "TIME", requires = "root")]
    not_before: Option<Time>,
    /// Certificate of the key that issued the credential, PEM or DER
    #[arg(long, value_name = "FILE", required_unless_present = "root", conflicts_with = "root")]
    issuer_certificate: Option<PathBuf>,
    /// Write DER in the place of PEM
    #[arg(long)]
    der: bool,
    /// Certificate to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Certified {
    out: PathBuf,
    subject: String,
    kid: String,
    issuer_kid: String,
}

impl Certificate {
    pub fn run(&self) -> Result<Certified, Error> {
        let inputs: Vec<_> = self.file.iter().chain(&self.issuer_certificate).map(PathBuf::as_path).collect();
        self.key.must_differ_from(&self.out, &inputs)?;
        let failed = |path: Option<&PathBuf>, fault| Error::certificate(path.unwrap_or(&self.out), fault);
        let (der, certified) = match (&self.file, &self.issuer_certificate) {
            (Some(file), Some(issuer)) => {
                let cwt = read(file, MAX_RECORD_FILE_LEN)?;
                let claims =
                    read_unverified_credential(&cwt).map_err(|error| Error::refused_record(file, error))?;
                let certificate = read(issuer, MAX_CERTIFICATE_LEN)?;
                let issuer = Issuer::read(&certificate).map_err(|fault| failed(Some(issuer), fault))?;
                let signer = self.key.open()?;
                // Nothing is mirrored that this key did not certify.
                Unsigned::from_record(&cwt, &signer.public_key())
                    .map_err(|error| Error::author("the certificate", Some(file), error))?;
                let der =
                    mirror(&claims, &issuer, signer.as_ref()).map_err(|fault| failed(Some(file), fault))?;
                (der, self.certified(claims.sub(), claims.key(), signer.as_ref()))
            }
            _ => {
                let (Some(name), Some(Time(from))) = (&self.root, self.not_before) else {
                    return Err(Error::Internal("neither a credential nor a root"));
                };
                let signer = self.key.open()?;
                let der = root(name, from, signer.as_ref()).map_err(|fault| failed(None, fault))?;
                (der, self.certified(name, &signer.public_key(), signer.as_ref()))
            }
        };
        let bytes =
            if self.der { der } else { to_pem(&der).map_err(|fault| failed(None, fault))?.into_bytes() };
        write(&self.out, &bytes, self.overwrite.existing())?;
        Ok(certified)
    }

    fn certified(&self, subject: &str, key: &trust::PublicKey, signer: &dyn Signer) -> Certified {
        Certified {
            out: self.out.clone(),
            subject: subject.to_owned(),
            kid: kid(key.kid()),
            issuer_kid: kid(signer.public_key().kid()),
        }
    }
}

/// Longest certificate that is read, bytes.
const MAX_CERTIFICATE_LEN: u64 = 64 * 1024;

impl Report for Certified {
    fn lines(&self) -> String {
        table(&[
            ("certificate", self.out.display().to_string()),
            ("subject", format!("{} ({})", self.subject, self.kid)),
            ("issuer", self.issuer_kid.clone()),
        ])
    }
}
