//! `credential issue` and `credential inspect`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::Reason;
use trust::author::{
    CredentialRequest, ScopeRequest, Signer, issue_credential, random_cti, read_unverified_credential,
};
use trust::host::Serial;
use trust::{
    Anchor, Credential, CredentialClaims, DEFAULT_SEQUENCE_CEILING, MAX_CLASSES, MAX_GENERATION,
    MAX_SEQUENCE_CEILING, MAX_SERIALS, PublicKey, RevocationList, Role, TrustStore, UnixTime,
};

use super::list::{NO_PREVIOUS, OwnCredential, PreviousArguments};
use super::{SigningKeyArguments, at_most, distinct, read_anchors};
use crate::describe::CredentialView;
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, OverwriteArguments, read, write_all};
use crate::identifiers::{Class, Vendor};
use crate::output::{Report, table};
use crate::public_key;
use crate::step::StepArguments;
use crate::time::{IssueTime, Time, display, now};

const NO_LIST: &str = "--first requires --replaces and --list-out";

/// Certify a key with the root key
#[derive(clap::Args, Clone, Debug)]
pub struct Issue {
    #[command(flatten)]
    key: SigningKeyArguments,
    /// Public key to certify (COSE_Key, SPKI PEM or DER, OpenSSH)
    #[arg(long = "for", value_name = "PUBLIC")]
    subject_key: PathBuf,
    /// Role of the key
    #[arg(long, value_parser = super::role())]
    role: Role,
    /// Vendor of the devices: UUID or domain
    #[arg(long)]
    vendor: Vendor,
    /// Class of the devices: UUID or name (repeatable) [default: any]
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<Class>,
    /// Serial of a device; not for role release (repeatable) [default: any]
    #[arg(long = "serial", value_name = "SERIAL")]
    serials: Vec<Serial>,
    /// Name of the issuer, at most 64 bytes
    #[arg(long, value_parser = super::name())]
    issuer: String,
    /// Name of the holder, at most 64 bytes
    #[arg(long, value_parser = super::name())]
    subject: String,
    /// Start of validity, such as 2030-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    not_before: Option<Time>,
    /// End of validity; must lie in the future
    #[arg(long, value_name = "TIME")]
    expires: Option<Time>,
    /// Highest sequence number that a release key may sign [default: 4294967295]
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..=MAX_SEQUENCE_CEILING))]
    ceiling: Option<u64>,
    /// Generation; a revocation list can revoke all generations below one
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=MAX_GENERATION))]
    generation: u64,
    /// Credential in use: its key gets no second role, its issuer no credential, its numbers are known (repeatable)
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// Older credential of this key, which --list-out revokes (repeatable)
    #[arg(long, value_name = "FILE", requires = "list_out")]
    replaces: Vec<PathBuf>,
    /// Revocation list to write, for --replaces
    #[arg(long, value_name = "FILE", requires = "replaces")]
    list_out: Option<PathBuf>,
    #[command(flatten)]
    previous: PreviousArguments,
    #[command(flatten)]
    time: IssueTime,
    /// Credential to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    step: StepArguments,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Issued {
    out: PathBuf,
    list_out: Option<PathBuf>,
    #[serde(flatten)]
    credential: CredentialView,
}

/// A credential of the command line. It is read once: it may be a pipe.
struct CredentialFile<'p> {
    path: &'p Path,
    bytes: Vec<u8>,
}

impl<'p> CredentialFile<'p> {
    fn read_all(paths: &'p [PathBuf]) -> Result<Vec<Self>, Error> {
        paths.iter().map(|path| Ok(Self { path, bytes: read(path, MAX_RECORD_FILE_LEN)? })).collect()
    }

    /// Not verified.
    fn claims(&self) -> Result<CredentialClaims<'_>, Error> {
        read_unverified_credential(&self.bytes).map_err(|error| Error::refused_record(self.path, error))
    }
}

impl Issue {
    pub fn run(&self) -> Result<Issued, Error> {
        let files = self.known.iter().chain(&self.replaces).map(PathBuf::as_path);
        let inputs: Vec<&Path> =
            files.chain(self.previous.paths()).chain([self.subject_key.as_path()]).collect();
        for out in std::iter::once(&self.out).chain(&self.list_out) {
            self.key.must_differ_from(out, &inputs)?;
        }
        if self.list_out.is_some() && !self.previous.is_given() {
            return Err(Error::usage(NO_PREVIOUS));
        }
        if self.list_out.is_none() && self.previous.is_first() {
            return Err(Error::usage(NO_LIST));
        }
        let vendor = self.vendor.id();
        let classes = distinct(&self.classes, |class| class.id(vendor));
        let serials = distinct(&self.serials, |serial| serial.as_str().to_owned());
        at_most("--class", classes.len(), MAX_CLASSES.into())?;
        at_most("--serial", serials.len(), MAX_SERIALS.into())?;
        if let (Some(Time(begin)), Some(Time(end))) = (self.not_before, self.expires)
            && begin >= end
        {
            return Err(Error::usage(format!("--not-before {} is not before --expires", display(begin))));
        }
        if self.ceiling.is_some() && self.role != Role::Release {
            return Err(Error::usage("--ceiling is for release credentials only"));
        }
        if self.role == Role::Release && !self.serials.is_empty() {
            return Err(Error::usage(
                "a release credential cannot be limited to serials: omit --serial, or pass it to create",
            ));
        }
        let subject_key = public_key::open(&self.subject_key)?;
        let (known, replaces) =
            (CredentialFile::read_all(&self.known)?, CredentialFile::read_all(&self.replaces)?);
        let latest = self.check_known(&subject_key, known.iter().chain(&replaces))?;
        let issued_at = self.time.after(latest)?;
        self.time.warn();
        if let Some(Time(end)) = self.expires.filter(|Time(end)| *end <= issued_at) {
            return Err(Error::usage(format!("--expires {} lies in the past", display(end))));
        }
        let root = self.key.open()?;
        if subject_key == root.public_key() {
            return Err(self.for_anchor());
        }
        for file in known.iter().chain(&replaces) {
            let claims = file.claims()?;
            if *claims.key() == root.public_key() {
                return Err(Error::KeyHasRole { path: file.path.to_owned(), role: claims.role().name() });
            }
        }
        let request = CredentialRequest {
            iss: self.issuer.clone(),
            sub: self.subject.clone(),
            key: subject_key,
            role: self.role,
            scope: ScopeRequest {
                vendor: vendor.into_bytes(),
                classes: classes.iter().map(|class| class.id(vendor).into_bytes()).collect(),
                serials: serials.iter().map(|serial| serial.as_str().to_owned()).collect(),
                actions: None,
            },
            issued_at,
            not_before: self.not_before.map(|Time(time)| time),
            expires: self.expires.map(|Time(time)| time),
            cti: random_cti()
                .map_err(|error| Error::KeyOperation { doing: "generated", source: Box::new(error) })?,
            generation: self.generation,
            sequence_ceiling: self.ceiling,
        };
        let cwt = issue_credential(&request, root.as_ref())
            .map_err(|error| Error::author("the credential", None, error))?;
        let claims = read_unverified_credential(&cwt)
            .map_err(|_| Error::Internal("the issued credential cannot be read back"))?;
        let credential = CredentialView::new(&claims).with_names(&self.vendor, &classes);
        let mut outputs = vec![(self.out.as_path(), cwt.as_slice())];
        let list = match &self.list_out {
            Some(path) => Some((path.as_path(), self.replace(&replaces, &subject_key, root.as_ref())?)),
            None => None,
        };
        match &list {
            Some((path, list)) => self.check_under((path, list), &cwt, root.as_ref())?,
            None => {
                for path in self.previous.paths() {
                    self.check_under((path, &read(path, MAX_RECORD_FILE_LEN)?), &cwt, root.as_ref())?;
                }
            }
        }
        outputs.extend(list.as_ref().map(|(path, list)| (*path, list.as_slice())));
        write_all(&outputs, self.overwrite.existing())?;
        Ok(Issued { out: self.out.clone(), list_out: self.list_out.clone(), credential })
    }

    /// A list that revokes the replaced credentials: the scope of a key is the union over its credentials.
    fn replace(
        &self,
        replaces: &[CredentialFile<'_>],
        subject_key: &PublicKey,
        root: &dyn Signer,
    ) -> Result<Vec<u8>, Error> {
        self.previous.sign(root, &self.issuer, None, self.step, self.time, |request| {
            for old in replaces {
                let CredentialFile { path, bytes } = old;
                if old.claims()?.key() != subject_key {
                    let message = format!("{} is for another key: revoke it instead", path.display());
                    return Err(Error::usage(message));
                }
                OwnCredential::verify(path, bytes, root)?.revoke(request);
            }
            Ok(())
        })
    }

    /// A credential whose key or generation a list of its root revokes would never be valid.
    fn check_under(&self, (path, list): (&Path, &[u8]), cwt: &[u8], root: &dyn Signer) -> Result<(), Error> {
        let anchors = [Anchor::root(root.public_key())];
        let list =
            RevocationList::verify(list, &anchors).map_err(|error| Error::refused_record(path, error))?;
        let lists = [list];
        let store = TrustStore::new(&anchors).with_lists(&lists);
        let verified = Credential::verify(cwt, &store, self.role);
        verified.map(drop).map_err(|error| Error::refused_record(&self.out, error))
    }

    /// One key has one role, and a root has none. Generation and ceiling do not rise far above those in use. When the latest
    /// of them was issued.
    fn check_known<'f>(
        &self,
        subject_key: &PublicKey,
        files: impl Iterator<Item = &'f CredentialFile<'f>>,
    ) -> Result<Option<UnixTime>, Error> {
        let (mut generation, mut ceiling, mut latest) = (0, DEFAULT_SEQUENCE_CEILING, None);
        for file in files {
            let known = file.claims()?;
            if known.issuer_kid() == subject_key.kid() {
                return Err(self.for_anchor());
            }
            if known.key() == subject_key && known.role() != self.role {
                return Err(Error::KeyHasRole { path: file.path.to_owned(), role: known.role().name() });
            }
            generation = generation.max(known.generation());
            ceiling = ceiling.max(known.sequence_ceiling());
            latest = latest.max(Some(known.issued_at()));
        }
        self.step.check_generation("generation", generation, self.generation)?;
        self.step.check("sequence ceiling", ceiling, self.ceiling.unwrap_or(0))?;
        Ok(latest)
    }

    fn for_anchor(&self) -> Error {
        Error::refused(&self.subject_key, Reason::CredentialForAnchor, 0)
    }
}

impl Report for Issued {
    fn lines(&self) -> String {
        let mut rows = vec![("credential", self.out.display().to_string())];
        rows.extend(self.list_out.as_ref().map(|path| ("revocation list", path.display().to_string())));
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
