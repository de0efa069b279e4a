//! The trust store of the host: the anchors it was given, every succession of their domains, the newest revocation list of
//! each, and the time.

use std::path::PathBuf;
use std::time::SystemTime;

use suit_manifest::reason::Reason;
use trust::host::{RecoveryFile, open_anchors, read_unverified_revocation};
use trust::{
    Anchor, Held, MAX_REVOCATION_LIST_LEN, MAX_SUCCESSION_CHAIN_LEN, TrustStoreBuf, UnixTime,
    read_succession_file,
};

use crate::error::{Error, Subject};
use crate::files;
use crate::output::Output;

/// Reads anchor files: each root is the first one of a domain of its own. The same key twice counts once.
///
/// # Errors
/// [`Error::AnchorFile`], [`Error::Read`]
pub(crate) fn read_anchors(roots: &[PathBuf], recoveries: &[RecoveryFile]) -> Result<TrustStoreBuf, Error> {
    open_anchors(roots.iter().map(PathBuf::as_path), recoveries).map_err(Error::anchor_file)
}

/// Verifies a revocation list and holds it if it is the newest of its domain. `source` is for messages.
///
/// # Errors
/// [`Error::Refused`] when it does not verify, or contradicts the list that is held; the store stays as it was.
pub(crate) fn add_list(store: &mut TrustStoreBuf, source: &str, bytes: Vec<u8>) -> Result<Held, Error> {
    store.add_list(bytes).map_err(|error| refused(Subject::RevocationList(source.to_owned()), error))
}

/// A refusal by the trust code.
pub(crate) fn refused(subject: Subject, error: trust::Error) -> Error {
    Error::Refused { subject, reason: Reason::from(error), position: error.position, facts: None }
}

/// Whether a list verifies and contradicts one that is held. It counts as much as the other one.
pub(crate) fn contradicts(error: &Error) -> bool {
    let Error::Refused { reason, .. } = error else { return false };
    matches!(reason, Reason::RevocationForked | Reason::RevocationDropsEntry)
}

/// What a file with successions holds, not verified.
#[derive(Clone, Debug, Default)]
pub(crate) struct Successions {
    /// The files, for messages.
    pub(crate) source: String,
    pub(crate) records: Vec<Vec<u8>>,
    /// The lists at the end of chains, each with its file.
    pub(crate) lists: Vec<(String, Vec<u8>)>,
}

/// Reads files with a succession or a chain each.
///
/// # Errors
/// [`Error::Refused`] for a file that is neither, and those of [`files::read`]
pub(crate) fn read_successions(paths: &[PathBuf]) -> Result<Successions, Error> {
    let mut read = Successions::default();
    for path in paths {
        let source = path.display().to_string();
        let bytes = files::read(path, MAX_SUCCESSION_CHAIN_LEN as u64)?;
        let file = read_succession_file(&bytes)
            .map_err(|error| refused(Subject::Succession(source.clone()), error))?;
        read.records.extend(file.records.into_iter().map(<[u8]>::to_vec));
        read.lists.extend(file.list.map(|list| (source.clone(), list.to_vec())));
        let comma = if read.source.is_empty() { "" } else { ", " };
        read.source = format!("{}{comma}{source}", read.source);
    }
    Ok(read)
}

/// What comes together in the trust store before a server is asked.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Successions of files.
    pub(crate) successions: Successions,
    /// Successions that were fetched earlier.
    pub(crate) kept_successions: Vec<Vec<u8>>,
    /// Lists, each added while its signer is the root.
    pub(crate) lists: Vec<PendingList>,
}

/// A revocation list whose turn has not come yet.
#[derive(Clone, Debug)]
pub(crate) struct PendingList {
    /// For messages.
    pub(crate) source: String,
    pub(crate) bytes: Vec<u8>,
    /// It was fetched earlier: one that does not verify is damaged, and only a warning.
    pub(crate) is_kept: bool,
}

impl PendingList {
    /// Whether its signer has retired, so that it counts no more.
    fn is_past(&self, store: &TrustStoreBuf) -> bool {
        let Ok(list) = read_unverified_revocation(&self.bytes) else { return false };
        let kid = list.issuer_kid();
        store.anchors().iter().any(|anchor| anchor.is_retired() && anchor.kid() == kid)
    }

    fn add(self, store: &mut TrustStoreBuf, output: &Output) -> Result<(), Error> {
        match add_list(store, &self.source, self.bytes) {
            Err(error) if self.is_kept && !contradicts(&error) => {
                output.warn(&error.code(), &format!("{error}; this list is ignored"));
                Ok(())
            }
            outcome => outcome.map(drop),
        }
    }
}

impl Records {
    /// Reads lists from files.
    ///
    /// # Errors
    /// Those of [`files::read`]
    pub(crate) fn read_lists(&mut self, paths: &[PathBuf]) -> Result<(), Error> {
        for path in paths {
            let bytes = files::read(path, MAX_REVOCATION_LIST_LEN as u64)?;
            self.lists.push(PendingList { source: path.display().to_string(), bytes, is_kept: false });
        }
        Ok(())
    }

    /// Adds all of it: successions in their order, and each list while its signer is the root. So the list of a root that
    /// retired says what minimums the first list of the next one has to state.
    ///
    /// # Errors
    /// [`Error::Refused`] for what was given and does not verify, and for two records that contradict each other: nobody
    /// here can tell which of them the manufacturer means.
    pub(crate) fn add_to(self, store: &mut TrustStoreBuf, output: &Output) -> Result<(), Error> {
        let Self { successions, kept_successions, lists } = self;
        let Successions { source, records, lists: of_chains } = successions;
        let of_chains =
            of_chains.into_iter().map(|(source, bytes)| PendingList { source, bytes, is_kept: false });
        let mut pending: Vec<_> = lists.into_iter().chain(of_chains).collect();
        let mut fault = Ok(());
        let mut meet = |store: &mut TrustStoreBuf| {
            let due: Vec<_> = pending.extract_if(.., |list| store.is_due(&list.bytes)).collect();
            for list in due {
                let added = list.add(store, output);
                // The first one that was refused is told.
                if fault.is_ok() {
                    fault = added;
                }
            }
        };
        // One that is damaged does not take those before it away.
        for record in kept_successions {
            meet(store);
            if let Err(error) = store.add_successions([record], &mut meet) {
                let error = refused(Subject::Succession("that was fetched earlier".to_owned()), error);
                output.warn(&error.code(), &format!("{error}; it is ignored"));
            }
        }
        store
            .add_successions(records, &mut meet)
            .map_err(|error| refused(Subject::Succession(source), error))?;
        fault?;
        for list in pending {
            if list.is_past(store) {
                tell_past(&list, output);
            } else {
                list.add(store, output)?;
            }
        }
        Ok(())
    }
}

fn tell_past(list: &PendingList, output: &Output) {
    if !list.is_kept {
        let words = format!(
            "a root that has retired signed the revocation list {}: it does not count",
            crate::text::printable(&list.source)
        );
        output.warn(Reason::AnchorRights.slug(), &words);
    }
}

/// The anchor with this kid.
#[must_use]
pub(crate) fn anchor_of(store: &TrustStoreBuf, kid: trust::Kid) -> Option<&Anchor> {
    store.anchors().iter().find(|anchor| anchor.kid() == kid)
}

/// The present time by the system's clock. A clock before 1970 is 1970: everything is not yet valid then.
#[must_use]
pub(crate) fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
pub(crate) mod tests;
