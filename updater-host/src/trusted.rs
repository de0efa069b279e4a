//! The trust store of the host: the anchors it was given, the newest revocation list of each domain, and the time.

use std::path::PathBuf;
use std::time::SystemTime;

use suit_manifest::reason::Reason;
use trust::host::{RecoveryFile, open_anchors};
use trust::{Held, MAX_REVOCATION_LIST_LEN, TrustStoreBuf, UnixTime};

use crate::error::{Error, Subject};
use crate::files;

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
    store.add_list(bytes).map_err(|error| Error::Refused {
        subject: Subject::RevocationList(source.to_owned()),
        reason: Reason::from(error),
        position: error.position,
        facts: None,
    })
}

/// Reads revocation lists from files and adds them.
///
/// # Errors
/// As [`add_list`] and [`files::read`].
pub(crate) fn add_list_files(store: &mut TrustStoreBuf, paths: &[PathBuf]) -> Result<(), Error> {
    for path in paths {
        let bytes = files::read(path, MAX_REVOCATION_LIST_LEN as u64)?;
        add_list(store, &path.display().to_string(), bytes)?;
    }
    Ok(())
}

/// The present time by the system's clock. A clock before 1970 is 1970: everything is not yet valid then.
#[must_use]
pub(crate) fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
pub(crate) mod tests;
