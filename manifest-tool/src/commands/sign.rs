//! `sign`: sign an envelope with a release key and add the credential of the key, now or in two steps.

mod alone;

use std::path::{Path, PathBuf};

use ledger::Ledger;
use serde::Serialize;
use suit_manifest::Reason;
use suit_manifest::author::{AuthorError, inspect, sign, to_be_signed};
use trust::author::{Signer, read_unverified_credential};
use trust::blocks::BlockSigner;
use trust::{CredentialClaims, PublicKey, Role};

use self::alone::SignedAlone;
use super::{SigningKeyArguments, warn_of_time};
use crate::describe::{ManifestView, kid};
use crate::encryption::must_be_of_no_device;
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, MAX_RECORD_FILE_LEN, OverwriteArguments, read, write};
use crate::output::{Output, Report, table};
use crate::recording::BESIDE;
use crate::time::now;
use crate::trusted::{TrustArguments, verify_credential};
use crate::two_steps::{Hand, ToBeSigned, TwoStepArguments};

/// Sign an envelope with a release key
#[derive(clap::Args, Clone, Debug)]
pub struct Sign {
    /// Envelope to sign; its signature is replaced, unless --add says otherwise
    #[arg(value_name = "U.suit")]
    envelope: PathBuf,
    #[command(flatten)]
    key: SigningKeyArguments,
    /// Credential of the key
    #[arg(long, value_name = "FILE", required_unless_present = "no_credential")]
    credential: Option<PathBuf>,
    /// Sign for devices of others, which know the key: any envelope of the drafts that devices of ours do not run
    #[arg(long, conflicts_with_all = [
        "credential", "anchors", "recovery_anchors", "successions", "revocations", "tbs_out",
    ])]
    no_credential: bool,
    /// Keep the blocks that are there, and add one
    #[arg(long, requires = "no_credential", conflicts_with_all = ["credential", "tbs_out"])]
    add: bool,
    /// Signed envelope to write
    #[arg(long, value_name = "R.suit", required_unless_present = "tbs_out", conflicts_with = "tbs_out")]
    out: Option<PathBuf>,
    /// What devices trust: the credential must be good under it
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    two_steps: TwoStepArguments,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Signed {
    envelope: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_be_signed: Option<ToBeSigned>,
    release_kid: String,
    signer: String,
    #[serde(flatten)]
    manifest: ManifestView,
}

/// What was signed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    Release(Box<Signed>),
    Alone(Box<SignedAlone>),
}

impl Sign {
    pub fn run(&self, output: Output) -> Result<Outcome, Error> {
        let inputs = std::iter::once(&self.envelope).chain(&self.credential).map(PathBuf::as_path);
        let inputs: Vec<&Path> = inputs.chain(self.trust.files()).collect();
        for out in self.out.iter().chain(&self.two_steps.outputs()) {
            self.key.must_differ_from(out, &inputs)?;
        }
        match (&self.credential, &self.out) {
            (Some(credential), _) => {
                self.sign_release(credential, output).map(Box::new).map(Outcome::Release)
            }
            (None, Some(out)) => self.sign_alone(out).map(Box::new).map(Outcome::Alone),
            (None, None) => Err(Error::Internal("nothing is to be written")),
        }
    }

    fn sign_alone(&self, out: &Path) -> Result<SignedAlone, Error> {
        let signer = self.key.open_block_signer()?;
        // A root is of Ed25519.
        if let BlockSigner::Ed25519(signer) = &signer {
            not_the_root(self.key.file().as_deref(), &signer.public_key())?;
        }
        let envelope = alone::signed(&self.envelope, &signer, self.add)?;
        let signed = SignedAlone::of(out, &envelope, &signer)?;
        write(out, &envelope, self.overwrite.existing())?;
        Ok(signed)
    }

    fn sign_release(&self, credential: &Path, output: Output) -> Result<Signed, Error> {
        let release = Release::read(&self.envelope, credential)?;
        if let Some(trusted) = self.trust.open()? {
            verify_credential(&trusted, credential, &release.credential, Role::Release, now(None)?)?;
        }
        let hand = self.two_steps.open(&self.key)?;
        let existing = self.overwrite.existing();
        let to_be_signed = match (&hand, &self.out) {
            (Hand::Later(later), _) => {
                let message = release.to_be_signed()?;
                if hand.public_key() != *release.claims()?.key() {
                    return Err(Error::CredentialOfAnotherKey(credential.to_owned()));
                }
                Some(later.write_release(
                    (&self.envelope, credential),
                    &message,
                    &release.manifest()?.rows(),
                    existing,
                )?)
            }
            (Hand::Now(signer), Some(out)) => {
                write(out, &release.sign(signer.as_ref())?, existing)?;
                None
            }
            (Hand::Now(_), None) => return Err(Error::Internal("nothing is to be written")),
        };
        warn_of_time(output, &release.claims()?)?;
        release.report(self.out.clone(), to_be_signed)
    }
}

/// A root certifies, and signs no release: devices of others that trusted it would take whatever it certifies for one. Its
/// ledger, which lies beside it, says which key that is.
fn not_the_root(key: Option<&Path>, public: &PublicKey) -> Result<(), Error> {
    let Some(path) = key.map(|key| trust::host::folder_of(key).join(BESIDE)).filter(|path| path.is_dir())
    else {
        return Ok(());
    };
    match Ledger::open(&path) {
        Ok(ledger) if ledger.key() == public => Err(Error::KeyHasRole { path, role: "root" }),
        Ok(_) | Err(ledger::Error::Absent(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// An envelope and the credential that is going to stand in its signature.
pub(super) struct Release<'p> {
    paths: (&'p Path, &'p Path),
    envelope: Vec<u8>,
    credential: Vec<u8>,
}

impl<'p> Release<'p> {
    /// Reads both, and refuses a credential that signs no manifest and an envelope that devices would refuse.
    pub(super) fn read(envelope: &'p Path, credential: &'p Path) -> Result<Self, Error> {
        let release = Self {
            paths: (envelope, credential),
            envelope: read(envelope, MAX_ENVELOPE_FILE_LEN)?,
            credential: read(credential, MAX_RECORD_FILE_LEN)?,
        };
        let claims = release.claims()?;
        if claims.role() != Role::Release {
            let error = trust::Error::new(trust::ErrorKind::RoleMismatch, 0);
            return Err(Error::refused_record(credential, error));
        }
        if claims.scope().is_limited_to_serials() {
            return Err(Error::refused(credential, Reason::ScopeDevice, 0));
        }
        release.manifest()?.warn_of_recipients();
        Ok(release)
    }

    pub(super) fn claims(&self) -> Result<CredentialClaims<'_>, Error> {
        let refused = |error| Error::refused_record(self.paths.1, error);
        read_unverified_credential(&self.credential).map_err(refused)
    }

    /// Signing does not change the manifest. Each device refuses a manifest that fails its dry run.
    fn manifest(&self) -> Result<ManifestView, Error> {
        let refused = |error| Error::refused_manifest(self.paths.0, error);
        let inspection = inspect(&self.envelope).map_err(refused)?;
        must_be_of_no_device(self.paths.0, &inspection)?;
        ManifestView::of_inspection(&inspection).map_err(refused)
    }

    /// What the key of the credential has to sign.
    pub(super) fn to_be_signed(&self) -> Result<Vec<u8>, Error> {
        to_be_signed(&self.envelope, &self.credential)
            .map_err(|error| explain(self.paths.0, self.paths.1, error))
    }

    pub(super) fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, Error> {
        sign(&self.envelope, signer, &self.credential)
            .map_err(|error| explain(self.paths.0, self.paths.1, error))
    }

    pub(super) fn report(
        &self,
        envelope: Option<PathBuf>,
        to_be_signed: Option<ToBeSigned>,
    ) -> Result<Signed, Error> {
        let claims = self.claims()?;
        Ok(Signed {
            envelope,
            to_be_signed,
            release_kid: kid(claims.key().kid()),
            signer: claims.sub().to_owned(),
            manifest: self.manifest()?,
        })
    }
}

/// Why an envelope could not be signed, or could not get another credential.
pub(in crate::commands) fn explain(envelope: &Path, credential: &Path, error: AuthorError) -> Error {
    match error {
        AuthorError::Refused(error) => Error::refused_manifest(envelope, error),
        AuthorError::Signature(error) => Error::author("the signature", Some(credential), error),
        other @ (AuthorError::Description(..)
        | AuthorError::TableOfSlots
        | AuthorError::TwoTables
        | AuthorError::Role
        | AuthorError::TooLarge(_)
        | AuthorError::Encoding) => Error::Author { what: "the signed envelope", source: Box::new(other) },
    }
}

impl Report for Outcome {
    fn lines(&self) -> String {
        match self {
            Self::Release(signed) => signed.lines(),
            Self::Alone(signed) => signed.lines(),
        }
    }
}

impl Report for Signed {
    fn lines(&self) -> String {
        let signed = format!("{} ({})", self.signer, self.release_kid);
        let mut rows = Vec::new();
        rows.extend(self.to_be_signed.iter().flat_map(ToBeSigned::rows));
        if let Some(out) = &self.envelope {
            rows.push(("envelope", format!("{} (signed)", out.display())));
            rows.push(("signed by", signed));
        }
        rows.extend(self.manifest.rows());
        table(&rows)
    }
}
