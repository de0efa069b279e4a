//! How a revocation list continues its predecessors: nothing that they revoke is dropped, and no number falls. Server,
//! host and device apply the same rule, from `trust`.

use std::path::{Path, PathBuf};

use trust::author::{Minimum, RevocationRequest, Signer, read_unverified_credential, sign_revocation};
use trust::{
    Anchor, Credential, Kid, MAX_MINIMUM_SEQUENCES, MAX_REVOKED, RevocationList, Revoked, RevokedId, Role,
    TrustStore,
};

use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::step::StepArguments;
use crate::time::IssueTime;

/// A list that drops a revocation lets a stolen key sign again, so no list begins by omission.
pub(super) const NO_PREVIOUS: &str =
    "pass the newest list of this root as --previous, or --first if it has none";

/// The lists that a new one follows.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct PreviousArguments {
    /// Newest list of this root, which the new one continues; pass both lists of a fork (repeatable)
    #[arg(long, value_name = "FILE")]
    previous: Vec<PathBuf>,
    /// Begin the first list of this root; any later list must have --previous
    #[arg(long, conflicts_with = "previous")]
    first: bool,
}

impl PreviousArguments {
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.previous.iter().map(PathBuf::as_path)
    }

    pub(super) fn is_given(&self) -> bool {
        self.first || !self.previous.is_empty()
    }

    pub(super) fn is_first(&self) -> bool {
        self.first
    }

    /// Signs a list with everything in the previous ones and what `fill` adds. `sequence`: its list-sequence, by default
    /// the next one.
    pub(super) fn sign(
        &self,
        root: &dyn Signer,
        issuer: &str,
        sequence: Option<u64>,
        step: StepArguments,
        time: IssueTime,
        fill: impl FnOnce(&mut RevocationRequest) -> Result<(), Error>,
    ) -> Result<Vec<u8>, Error> {
        if !self.is_given() {
            return Err(Error::usage(NO_PREVIOUS));
        }
        let files: Vec<(&Path, Vec<u8>)> = self
            .paths()
            .map(|path| Ok((path, read(path, MAX_RECORD_FILE_LEN)?)))
            .collect::<Result<_, Error>>()?;
        let anchors = [Anchor::root(root.public_key())];
        let held: Vec<RevocationList<'_>> = files
            .iter()
            .map(|(path, bytes)| {
                RevocationList::verify(bytes, &anchors).map_err(|error| Error::refused_record(path, error))
            })
            .collect::<Result<_, _>>()?;

        let issued_at = time.after(held.iter().map(|list| list.issued_at()))?;
        let mut request = RevocationRequest::following(issuer.to_owned(), issued_at, &held)
            .map_err(|error| Error::author("the revocation list", None, error.into()))?;
        let before = request.clone();
        if let (Some(sequence), Some((path, _))) = (sequence, files.first())
            && sequence < request.sequence
        {
            return Err(Error::usage(format!(
                "--sequence {sequence} is not above the list-sequence of {}: omit it, or pass {} or more",
                path.display(),
                request.sequence
            )));
        }
        request.sequence = sequence.unwrap_or(request.sequence);
        fill(&mut request)?;
        check_steps(step, &before, &request)?;
        check_room(&request)?;

        let cwt = sign_revocation(&request, root)
            .map_err(|error| Error::author("the revocation list", None, error))?;
        let list = RevocationList::verify(&cwt, &anchors)
            .map_err(|_| Error::Internal("the signed list cannot be read back"))?;
        for ((path, _), held) in files.iter().zip(&held) {
            list.replaces(held).map_err(|error| Error::refused_record(path, error))?;
        }
        Ok(cwt)
    }
}

/// The format limits what a list contains, whether this command line named it or an earlier one.
fn check_room(request: &RevocationRequest) -> Result<(), Error> {
    let stays = |revoked: &&Revoked| revoked.generation >= request.lowest_generation(revoked.role);
    let ids = request.revoked.iter().filter(stays).count();
    if ids > MAX_REVOKED as usize {
        return Err(Error::usage(format!(
            "the list would contain {ids} keys and credentials, and at most {MAX_REVOKED} fit: revoke whole \
             generations with --lowest-generation"
        )));
    }
    let minimums = request.minimum_sequences.len();
    if minimums > MAX_MINIMUM_SEQUENCES as usize {
        return Err(Error::usage(format!(
            "the list would contain {minimums} minimums, and at most {MAX_MINIMUM_SEQUENCES} fit: set one for all \
             classes with --minimum *=SEQUENCE"
        )));
    }
    Ok(())
}

/// Refuses large steps: no later list can lower a number again.
fn check_steps(
    step: StepArguments,
    before: &RevocationRequest,
    request: &RevocationRequest,
) -> Result<(), Error> {
    step.check("list-sequence", before.sequence.saturating_sub(1), request.sequence)?;
    for minimum in &request.minimum_sequences {
        let from = highest_minimum(&before.minimum_sequences, minimum);
        step.check("minimum sequence number", from, minimum.sequence)?;
    }
    for role in Role::ALL {
        let lowest = before.lowest_generation(role);
        step.check_generation("lowest generation", lowest, request.lowest_generation(role))?;
        let from = highest_generation(before, role).max(lowest);
        step.check_generation("generation", from, highest_generation(request, role))?;
    }
    Ok(())
}

/// Generation of the role's entry: only a lowest generation above it lets its ids leave the list.
fn highest_generation(request: &RevocationRequest, role: Role) -> u64 {
    let of_role = request.revoked.iter().filter(|revoked| revoked.role == role);
    of_role.map(|revoked| revoked.generation).max().unwrap_or(0)
}

/// The previous minimum for the devices of `minimum`.
fn highest_minimum(before: &[Minimum], minimum: &Minimum) -> u64 {
    let held = before.iter().filter(|held| {
        held.vendor == minimum.vendor && (held.class.is_none() || held.class == minimum.class)
    });
    held.map(|held| held.sequence).max().unwrap_or(0)
}

/// A credential that this root issued.
pub(super) struct OwnCredential {
    role: Role,
    generation: u64,
    cti: [u8; 16],
    kid: Kid,
}

impl OwnCredential {
    /// Verifies it: an entry for a credential of another root would do nothing.
    pub(super) fn read(path: &Path, root: &dyn Signer) -> Result<Self, Error> {
        Self::verify(path, &read(path, MAX_RECORD_FILE_LEN)?, root)
    }

    /// The same of bytes that were read from `path`, which may be a pipe.
    pub(super) fn verify(path: &Path, bytes: &[u8], root: &dyn Signer) -> Result<Self, Error> {
        let refused = |error| Error::refused_record(path, error);
        let role = read_unverified_credential(bytes).map_err(refused)?.role();
        let anchors = [Anchor::root(root.public_key())];
        let credential = Credential::verify(bytes, &TrustStore::new(&anchors), role).map_err(refused)?;
        Ok(Self {
            role,
            generation: credential.generation(),
            cti: *credential.cti(),
            kid: credential.key().kid(),
        })
    }

    /// Revokes this credential only.
    pub(super) fn revoke(&self, request: &mut RevocationRequest) {
        request.revoke(self.role, self.generation, RevokedId::Credential(self.cti));
    }

    /// Its key. `at_least`: highest known generation of the key's other credentials.
    pub(super) fn key(&self, at_least: u64) -> Revoked {
        RevokedId::Key(self.kid).revoked(self.role, self.generation.max(at_least))
    }
}
