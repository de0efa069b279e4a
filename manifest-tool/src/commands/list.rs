//! How a revocation list goes on from its predecessors. Nothing that they revoke is lost, and no number falls: the
//! rule is `trust`'s, which server, host and device apply too.

use std::path::{Path, PathBuf};

use trust::author::{
    Minimum, RevocationRequest, Signer as _, SoftwareKey, read_unverified_credential, sign_revocation,
};
use trust::{Anchor, Credential, ErrorKind, RevocationList, Revoked, RevokedId, TrustStore};

use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::step;
use crate::time::now;

/// A list that forgets what was revoked gives a stolen key back: nobody begins one by an omission.
pub(super) const NO_PREVIOUS: &str =
    "give the newest list of this root with --previous, or begin its first one with --first";

/// The lists that a new one follows.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct PreviousArguments {
    /// Newest list of this root, which the new one continues (repeatable: two lists of one number end a fork)
    #[arg(long, value_name = "FILE")]
    previous: Vec<PathBuf>,
    /// Begin the first list of this root; a second first list takes back what the first one revoked
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

    /// Signs a list that says all that the previous ones say and what `fill` adds. `sequence`: its list-sequence, else
    /// the next one.
    pub(super) fn sign(
        &self,
        root: &SoftwareKey,
        issuer: &str,
        sequence: Option<u64>,
        force: bool,
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
        let verify = |(path, bytes): &'_ (&Path, Vec<u8>)| {
            RevocationList::verify(bytes, &anchors)
                .map(drop)
                .map_err(|error| Error::refused_record(path, error))
        };
        files.iter().try_for_each(verify)?;
        let held: Vec<RevocationList<'_>> =
            files.iter().filter_map(|(_, bytes)| RevocationList::verify(bytes, &anchors).ok()).collect();

        let mut request = RevocationRequest::following(issuer.to_owned(), now(None)?, &held)
            .map_err(|error| Error::author("the revocation list", None, error.into()))?;
        let before = request.clone();
        if let (Some(sequence), Some((path, _))) = (sequence, files.first())
            && sequence < request.sequence
        {
            return Err(Error::refused_record(path, trust::Error::new(ErrorKind::RevocationSequence, 0)));
        }
        request.sequence = sequence.unwrap_or(request.sequence);
        fill(&mut request)?;
        step::check("list-sequence", before.sequence.saturating_sub(1), request.sequence, force)?;
        for minimum in &request.minimum_sequences {
            let from = highest_minimum(&before.minimum_sequences, minimum);
            step::check("minimum sequence number", from, minimum.sequence, force)?;
        }

        let cwt = sign_revocation(&request, root)
            .map_err(|error| Error::author("the revocation list", None, error))?;
        let list = RevocationList::verify(&cwt, &anchors).map_err(|_| Error::Internal("what was signed"))?;
        for ((path, _), held) in files.iter().zip(&held) {
            list.replaces(held).map_err(|error| Error::refused_record(path, error))?;
        }
        Ok(cwt)
    }
}

/// What held for the devices of `minimum` before.
fn highest_minimum(before: &[Minimum], minimum: &Minimum) -> u64 {
    let held = before.iter().filter(|held| {
        held.vendor == minimum.vendor && (held.class.is_none() || held.class == minimum.class)
    });
    held.map(|held| held.sequence).max().unwrap_or(0)
}

/// A credential that this root issued, as an entry; revoking that of another would do nothing.
pub(super) fn own_credential(path: &Path, root: &SoftwareKey) -> Result<Revoked, Error> {
    let bytes = read(path, MAX_RECORD_FILE_LEN)?;
    let refused = |error| Error::refused_record(path, error);
    let role = read_unverified_credential(&bytes).map_err(refused)?.role();
    let anchors = [Anchor::root(root.public_key())];
    let credential = Credential::verify(&bytes, &TrustStore::new(&anchors), role).map_err(refused)?;
    Ok(RevokedId::Credential(*credential.cti()).revoked(role, credential.generation()))
}
