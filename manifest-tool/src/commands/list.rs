//! How a revocation list continues its predecessors: nothing that they revoke is dropped, and no number falls. Server,
//! host and device apply the same rule, from `trust`.

use std::path::{Path, PathBuf};

use ledger::Ledger;
use trust::author::{Minimum, RevocationRequest, Unsigned, prepare_revocation, read_unverified_credential};
use trust::host::read_unverified_revocation;
use trust::{
    Anchor, Credential, Kid, MAX_MINIMUM_SEQUENCES, MAX_REVOKED, PublicKey, RevocationList, Revoked,
    RevokedId, Role, TrustStore, UnixTime,
};

use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::recording::check_published;
use crate::step::StepArguments;

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
    /// The command line names none: the ledger knows.
    pub(super) const NONE: Self = Self { previous: Vec::new(), first: false };

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.previous.iter().map(PathBuf::as_path)
    }

    pub(super) fn is_given(&self) -> bool {
        self.first || !self.previous.is_empty()
    }

    pub(super) fn is_first(&self) -> bool {
        self.first
    }

    /// The lists that a new one follows: those of the command line, or the newest of the ledger.
    pub(super) fn held(&self, ledger: Option<&Ledger>) -> Result<Vec<HeldList>, Error> {
        if let Some(ledger) = ledger.filter(|_| !self.is_given()) {
            let held = |bytes: &[u8]| HeldList { path: ledger.folder().to_owned(), bytes: bytes.to_vec() };
            return Ok(ledger.lists_to_continue().into_iter().map(held).collect());
        }
        if !self.is_given() {
            return Err(Error::usage(NO_PREVIOUS));
        }
        let read =
            |path: &Path| Ok(HeldList { path: path.to_owned(), bytes: read(path, MAX_RECORD_FILE_LEN)? });
        self.paths().map(read).collect()
    }
}

/// The issuer that is given, else the name of the ledger's key.
pub(super) fn issuer(given: Option<&str>, ledger: Option<&Ledger>) -> Result<String, Error> {
    let name = given.or(ledger.map(|ledger| ledger.opened().name.as_str()));
    name.map(str::to_owned).ok_or_else(|| Error::usage("--issuer is required without a ledger"))
}

/// What of this root is published, for a key with a ledger: a copy of the ledger that lacks it is an old one.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct PublishedArguments {
    /// Newest published list of this root, from the server: a ledger that lacks it is out of date
    #[arg(long, value_name = "FILE")]
    published: Option<PathBuf>,
    /// Say that no list of this root was ever published
    #[arg(long, conflicts_with = "published")]
    none_published: bool,
}

impl PublishedArguments {
    /// The option that is given, if one is.
    pub(super) fn option(&self) -> (&'static str, bool) {
        if self.none_published {
            ("--none-published", true)
        } else {
            ("--published", self.published.is_some())
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.published.as_deref()
    }

    /// Fails before the ledger's key signs a list that another copy of the ledger may have signed already.
    pub(super) fn check(&self, ledger: Option<&Ledger>) -> Result<(), Error> {
        let Some(ledger) = ledger else { return Ok(()) };
        match &self.published {
            Some(path) => check_published(ledger, path, &read(path, MAX_RECORD_FILE_LEN)?),
            None if self.none_published => Ok(()),
            None => Err(Error::usage(
                "with a ledger, pass the newest list of this root that is published as --published (the server has it), \
                 or --none-published if there is none: that finds an old copy of the ledger",
            )),
        }
    }
}

/// A list that a new one follows, and the file or the ledger that it is from.
pub(super) struct HeldList {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// A new list of `root`, and when it is issued.
pub(super) struct NewList<'a> {
    pub(super) root: &'a PublicKey,
    pub(super) issuer: &'a str,
    /// Its list-sequence, by default the next one.
    pub(super) sequence: Option<u64>,
    pub(super) step: StepArguments,
    pub(super) issued_at: UnixTime,
    /// The first list of a root states the minimums of the roots before and revokes their devices, which their ledgers know.
    pub(super) ledger: Option<&'a Ledger>,
}

/// When the newest of these lists was issued.
pub(super) fn newest_time(held: &[HeldList]) -> Option<UnixTime> {
    held.iter().filter_map(|list| Some(read_unverified_revocation(&list.bytes).ok()?.issued_at())).max()
}

impl NewList<'_> {
    /// A list with everything in the `held` ones and what `fill` adds, for the root to sign.
    pub(super) fn prepare(
        &self,
        files: &[HeldList],
        fill: impl FnOnce(&mut RevocationRequest) -> Result<(), Error>,
    ) -> Result<Unsigned, Error> {
        let anchors = [Anchor::root(*self.root)];
        let held: Vec<RevocationList<'_>> = files
            .iter()
            .map(|HeldList { path, bytes }| {
                RevocationList::verify(bytes, &anchors).map_err(|error| Error::refused_record(path, error))
            })
            .collect::<Result<_, _>>()?;
        let mut request = RevocationRequest::following(self.issuer.to_owned(), self.issued_at, &held)
            .map_err(|error| Error::author("the revocation list", None, error.into()))?;
        if let Some(ledger) = self.ledger.filter(|_| held.is_empty()) {
            if let Some(before) = ledger.list_before() {
                request.state_minimums_of(&before);
            }
            for device in ledger.devices_revoked_before() {
                request.revoke(device.role, device.generation, device.id);
            }
        }
        let before = request.clone();
        if let (Some(sequence), Some(HeldList { path, .. })) = (self.sequence, files.first())
            && sequence < request.sequence
        {
            return Err(Error::usage(format!(
                "--sequence {sequence} is not above the list-sequence of {}: omit it, or pass {} or more",
                path.display(),
                request.sequence
            )));
        }
        request.sequence = self.sequence.unwrap_or(request.sequence);
        fill(&mut request)?;
        check_steps(self.step, &before, &request)?;
        check_room(&request)?;

        let unsigned = prepare_revocation(&request, self.root)
            .map_err(|error| Error::author("the revocation list", None, error))?;
        let blank = blank(&unsigned)?;
        let list = read_unverified_revocation(&blank).map_err(|_| UNREADABLE)?;
        for (HeldList { path, .. }, held) in files.iter().zip(&held) {
            list.continues(held).map_err(|error| Error::refused_record(path, error))?;
        }
        Ok(unsigned)
    }
}

const UNREADABLE: Error = Error::Internal("the new record cannot be read back");

/// A record that nobody has signed, to read it.
pub(super) fn blank(unsigned: &Unsigned) -> Result<Vec<u8>, Error> {
    unsigned.with_blank_signature().map_err(|_| UNREADABLE)
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
    pub(super) fn read(path: &Path, root: &PublicKey) -> Result<Self, Error> {
        Self::verify(path, &read(path, MAX_RECORD_FILE_LEN)?, root)
    }

    /// The same of bytes that were read from `path`, which may be a pipe.
    pub(super) fn verify(path: &Path, bytes: &[u8], root: &PublicKey) -> Result<Self, Error> {
        let refused = |error| Error::refused_record(path, error);
        let role = read_unverified_credential(bytes).map_err(refused)?.role();
        let anchors = [Anchor::root(*root)];
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
