//! The revocation lists that go before a release (docs/records.md, Revocation).
//!
//! The loader reports the list-sequence of each domain and no digest, so only the device can tell a list from the other
//! branch of a fork: it gets each list that is not older than its own. It keeps its own list when it refuses one, and
//! judges the release by that, so such a refusal does not stop the update.

use can_bus::Flow;
use suit_manifest::reason::Reason;
use trust::Domain;
use update_protocol::profile::Object;

use super::{Install, Stop};
use crate::commands::report::Said;
use crate::device::DeviceTrust;
use crate::error::{Error, Subject};

/// A revocation list that the device may not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NewestList {
    pub(crate) domain: Domain,
    /// list-sequence.
    pub(crate) sequence: u64,
    pub(crate) bytes: Vec<u8>,
}

/// A record that a device did not take, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// It keeps its own revocation list instead of the host's.
    List(Reason),
    /// It keeps its root.
    Succession(Reason),
}

/// What one run of the program learned of the trust of its device.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// Anchors and domains, as the loader reported them.
    pub(crate) trust: Option<DeviceTrust>,
    /// Domains whose list the device has judged, or need not judge.
    pub(super) settled: Vec<Domain>,
    /// Records that the device did not take in place of its own.
    pub(crate) refused: Vec<Refused>,
    /// What the device said of its refusal.
    #[cfg_attr(not(feature = "http"), allow(dead_code))] // it is for a server
    pub(crate) said: Option<Said>,
}

impl Install<'_> {
    /// Gives the device the lists that it may lack, by what its loader reported.
    pub(super) async fn send_lists(&mut self) -> Result<(), Stop> {
        let trust = self.learned.trust.clone();
        for list in self.lists {
            if self.learned.settled.contains(&list.domain) {
                continue;
            }
            let known = trust.as_ref().map(|trust| trust.list_sequence(list.domain));
            match known {
                Some(Some(held)) if held > list.sequence => self.held_is_newer(list, held),
                // The list of another manufacturer's devices.
                Some(None) => {}
                Some(Some(_)) | None => self.send_list(list, known.is_some()).await?,
            }
            self.learned.settled.push(list.domain);
        }
        Ok(())
    }

    /// `is_named`: the device reported the domain of the list.
    async fn send_list(&mut self, list: &NewestList, is_named: bool) -> Result<(), Stop> {
        let sequence = list.sequence;
        let sent = self.session().download(Object::RevocationList, &list.bytes, |_| Flow::Continue).await;
        let Err(trouble) = sent else { return Ok(()) };
        let subject = Subject::RevocationList(format!("with list-sequence {sequence}"));
        let stop = self.judge(trouble, subject).await;
        let Stop::Final(Error::DeviceRefused(refusal)) = &stop else { return Err(stop) };
        let Some(reason) = refusal.reason() else { return Err(stop) };
        if matches!(reason, Reason::RevocationForked | Reason::RevocationDropsEntry) {
            self.keeps_its_own(reason, sequence);
            return Ok(());
        }
        // It has this very list.
        let has_it = reason == Reason::RevocationSequence;
        if has_it || reason == Reason::AnchorUnknown && !is_named { Ok(()) } else { Err(stop) }
    }

    fn keeps_its_own(&mut self, reason: Reason, sequence: u64) {
        let difference = if reason == Reason::RevocationForked {
            "the device holds another revocation list with the same list-sequence"
        } else {
            "the revocation list lacks entries of the list that the device holds"
        };
        let words = format!(
            "{difference} ({sequence}). The device keeps its own list and judges the release by it. Tell the manufacturer"
        );
        self.refused(reason, &words);
    }

    fn held_is_newer(&mut self, list: &NewestList, held: u64) {
        let words = format!(
            "the device holds a newer revocation list (list-sequence {held}) than this computer ({}). The device judges \
             the release by its own list",
            list.sequence
        );
        self.refused(Reason::RevocationSequence, &words);
    }

    fn refused(&mut self, reason: Reason, words: &str) {
        self.output.warn(reason.slug(), words);
        self.learned.refused.push(Refused::List(reason));
    }
}
