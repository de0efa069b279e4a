//! `credential issue` and `credential inspect`.

use super::{SigningKeyArguments, read_anchors};
use crate::describe::CredentialView;
use crate::error::Error;
use crate::files::{Existing, MAX_RECORD_FILE_LEN, read, write};
use crate::identifiers::{Class, Vendor};
use crate::output::{Report, table};
use crate::public_key;
use crate::time::{Time, display, now};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use std::path::PathBuf;
use trust::author::{
    CredentialRequest, ScopeRequest, issue_credential, random_cti, read_unverified_credential,
};
use trust::host::Serial;
use trust::{Credential, Role};

/// Certify a key with the root key
#[derive(clap::Args, Clone, Debug)]
pub struct Issue {
    #[command(flatten)]
    key: SigningKeyArguments,
    /// Public key to certify (COSE_Key or SPKI PEM)
    #[arg(long = "for", value_name = "PUBLIC")]
    subject_key: PathBuf,
    /// What the key may do
    #[arg(long, value_parser = role())]
    role: Role,
    /// Vendor whose devices it is for: UUID or domain
    #[arg(long)]
    vendor: Vendor,
    /// Class of devices it is for: UUID or name; several can be given, none means any
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<Class>,
    /// Serial of a device it is for; several can be given, none means any; not for releases
    #[arg(long = "serial", value_name = "SERIAL")]
    serials: Vec<Serial>,
    /// Name of the issuer
    #[arg(long)]
    issuer: String,
    /// Name of the holder
    #[arg(long)]
    subject: String,
    /// Time from which it is good, such as 2030-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    not_before: Option<Time>,
    /// Time from which it is no longer good; must lie in the future
    #[arg(long, value_name = "TIME")]
    expires: Option<Time>,
    /// Credential to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write over another file
    #[arg(long)]
    force: bool,
}

/// What `credential issue` did.
#[derive(Debug, Serialize)]
pub struct Issued {
    out: PathBuf,
    #[serde(flatten)]
    credential: CredentialView,
}

impl Issue {
    /// Issues the credential.
    pub fn run(&self) -> Result<Issued, Error> {
        self.key.must_differ_from(&self.out, &[&self.subject_key])?;
        if self.role == Role::Release && !self.serials.is_empty() {
            return Err(Error::usage(
                "a release credential cannot be limited to serials: leave --serial away, or give it to create",
            ));
        }
        let issued_at = now(None)?;
        if let Some(Time(end)) = self.expires.filter(|Time(end)| *end <= issued_at) {
            return Err(Error::usage(format!("--expires {} lies in the past", display(end))));
        }
        let subject_key = public_key::open(&self.subject_key)?;
        let vendor = self.vendor.id();
        let root = self.key.open()?;
        let request = CredentialRequest {
            iss: self.issuer.clone(),
            sub: self.subject.clone(),
            key: subject_key,
            role: self.role,
            scope: ScopeRequest {
                vendor: vendor.into_bytes(),
                classes: self.classes.iter().map(|class| class.id(vendor).into_bytes()).collect(),
                serials: self.serials.iter().map(|serial| serial.as_str().to_owned()).collect(),
                actions: None,
            },
            issued_at,
            not_before: self.not_before.map(|Time(time)| time),
            expires: self.expires.map(|Time(time)| time),
            cti: random_cti()
                .map_err(|error| Error::KeyOperation { doing: "generated", source: Box::new(error) })?,
            generation: 0,
            sequence_ceiling: None,
        };
        let cwt = issue_credential(&request, &root)
            .map_err(|error| Error::author("the credential", None, error))?;
        let claims = read_unverified_credential(&cwt).map_err(|_| Error::Internal("what was issued"))?;
        let credential = CredentialView::new(&claims).with_names(&self.vendor, &self.classes);
        write(&self.out, &cwt, Existing::from(self.force))?;
        Ok(Issued { out: self.out.clone(), credential })
    }
}

/// The names of [`Role`].
fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name))
        .try_map(|name| Role::from_name(&name).ok_or("this role has no name"))
}

impl Report for Issued {
    fn lines(&self) -> String {
        let mut rows = vec![("credential", self.out.display().to_string())];
        rows.extend(self.credential.rows());
        table(&rows)
    }
}

/// Show a credential, and verify it if an anchor is given
#[derive(clap::Args, Clone, Debug)]
pub struct Inspect {
    /// Credential
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Public key of the root that must have signed it; several can be given
    #[arg(long = "anchor", value_name = "ANCHOR")]
    anchors: Vec<PathBuf>,
    /// Time at which it must be good, with --anchor; by default now
    #[arg(long, value_name = "TIME", requires = "anchors")]
    now: Option<Time>,
}

/// What `credential inspect` found.
#[derive(Debug, Serialize)]
pub struct Inspected {
    verified: bool,
    #[serde(flatten)]
    credential: CredentialView,
}

impl Inspect {
    /// Reads the credential, and verifies it when there is an anchor to verify it with.
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
