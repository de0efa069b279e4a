//! What the host believes: the anchors it was given, the newest revocation list of each, and the time.

use crate::error::{Error, Subject};
use crate::files;
use std::path::PathBuf;
use std::time::SystemTime;
use suit_manifest::reason::Reason;
use trust::host::open_public_keys;
use trust::{MAX_CWT_LEN, PublicKey, RevocationList, TrustStore, UnixTime};

/// Reads anchors. The same key twice counts once.
///
/// # Errors
/// [`Error::AnchorFile`]
pub(crate) fn read_anchors(paths: &[PathBuf]) -> Result<Vec<PublicKey>, Error> {
    open_public_keys(paths.iter().map(PathBuf::as_path))
        .map_err(|(path, source)| Error::anchor_file(path, source))
}

/// One revocation list as it was received, and where it came from.
#[derive(Clone, Debug)]
struct Received {
    source: String,
    bytes: Vec<u8>,
}

impl Received {
    fn verify(&self, anchors: &[PublicKey]) -> Result<RevocationList<'_>, Error> {
        RevocationList::verify(&self.bytes, anchors).map_err(|error| Error::Refused {
            subject: Subject::RevocationList(self.source.clone()),
            reason: Reason::from(error),
            position: error.position,
        })
    }
}

/// Anchors and revocation lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Believed {
    anchors: Vec<PublicKey>,
    lists: Vec<Received>,
}

impl Believed {
    /// Anchors without revocation lists.
    #[must_use]
    pub(crate) fn new(anchors: Vec<PublicKey>) -> Self {
        Self { anchors, lists: Vec::new() }
    }

    /// The anchors.
    #[cfg(feature = "http")]
    #[must_use]
    pub(crate) fn anchors(&self) -> &[PublicKey] {
        &self.anchors
    }

    /// Adds a revocation list that one of the anchors has signed. It stays beside older ones: the newest counts.
    ///
    /// # Errors
    /// [`Error::Refused`] when it does not verify; it is not added then.
    pub(crate) fn add_list(&mut self, source: String, bytes: Vec<u8>) -> Result<(), Error> {
        let received = Received { source, bytes };
        received.verify(&self.anchors)?;
        self.lists.push(received);
        Ok(())
    }

    /// Reads revocation lists from files and adds them.
    ///
    /// # Errors
    /// As [`Believed::add_list`] and [`files::read`].
    pub(crate) fn add_list_files(&mut self, paths: &[PathBuf]) -> Result<(), Error> {
        for path in paths {
            let bytes = files::read(path, MAX_CWT_LEN as u64)?;
            self.add_list(path.display().to_string(), bytes)?;
        }
        Ok(())
    }

    /// The newest list of each anchor that has one.
    ///
    /// # Errors
    /// [`Error::Refused`]; never for lists that [`Believed::add_list`] took.
    pub(crate) fn newest_lists(&self) -> Result<Vec<RevocationList<'_>>, Error> {
        let mut newest: Vec<RevocationList<'_>> = Vec::new();
        for received in &self.lists {
            let list = received.verify(&self.anchors)?;
            match newest.iter_mut().find(|held| held.issuer_kid() == list.issuer_kid()) {
                Some(held) if held.sequence() < list.sequence() => *held = list,
                Some(_) => {}
                None => newest.push(list),
            }
        }
        Ok(newest)
    }

    /// What verification needs, at the present time. `lists` are those of [`Believed::newest_lists`].
    #[must_use]
    pub(crate) fn store<'a>(&'a self, lists: &'a [RevocationList<'a>]) -> TrustStore<'a> {
        TrustStore { anchors: &self.anchors, revocations: lists, now: Some(now()) }
    }
}

/// The present time by the system's clock. A clock before 1970 is 1970: everything is not yet valid then.
#[must_use]
pub(crate) fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
pub(crate) mod tests;
