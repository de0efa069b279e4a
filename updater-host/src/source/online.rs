//! Release, successions and revocation lists from an update-server, or what was fetched from it before.

use suit_manifest::reason::Reason;
use trust::host::read_unverified_revocation;
use trust::{Domain, RevocationList, TrustStoreBuf, read_unverified_succession};
use update_protocol::profile::Component;
use uuid::Uuid;

use self::images::{Fetched, Wanted};
use super::{HostChecks, Offer, check_envelope, check_half, half, sendable};
use crate::cache::Cache;
use crate::device::Device;
use crate::error::{Error, ServerAnswerError, Subject};
use crate::output::Output;
use crate::plan::ReleaseName;
use crate::release::{Facts, Release};
use crate::server::{Kind, Latest, Server, Shelf};
use crate::trusted::{PendingList, Records, add_list, refused};

mod images;

/// Which release a server is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) shelf: Shelf,
    /// The number of a release of both that comes first: what is not above it is older then.
    pub(crate) above: Option<u64>,
    /// Nothing else is asked for, of a device that takes a release of both too.
    pub(crate) asks_alone: bool,
}

/// Who answered which release is the newest of a shelf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// The server: with a release, with none, or with a fault of its own.
    Server,
    /// It could not be reached; what was fetched earlier stands in.
    Kept,
    /// It could not be reached, and nothing was fetched earlier.
    Nobody,
}

/// A server and what was fetched from it.
#[derive(Debug)]
pub(crate) struct Online<'a> {
    pub(crate) server: &'a Server,
    pub(crate) cache: &'a Cache,
    pub(crate) output: &'a Output,
}

/// The successions and the revocation list of every domain that were fetched, by whatever command and from whatever server.
/// What was fetched once counts from then on, whatever files say or a server hands out later.
///
/// # Errors
/// [`Error::Read`]
pub(crate) fn fetched_records(
    cache: &Cache,
    trusted: &TrustStoreBuf,
    records: &mut Records,
) -> Result<(), Error> {
    for domain in trusted.domains() {
        records.kept_successions.extend(cache.successions(domain)?);
        let list = cache.revocation_list(domain)?;
        let source = "that was fetched earlier".to_owned();
        records.lists.extend(list.map(|bytes| PendingList { source, bytes, is_kept: true }));
    }
    Ok(())
}

/// Keeps every succession that is held: whoever knows of it once sends nothing of the root before, whatever comes later.
///
/// # Errors
/// [`Error::SharedFolder`], [`Error::Read`]
pub(crate) fn keep_successions(cache: &Cache, trusted: &TrustStoreBuf, output: &Output) -> Result<(), Error> {
    for (domain, number, record) in trusted.successions() {
        kept(cache.keep_succession(domain, number, record), output)?;
    }
    Ok(())
}

/// Adds the successions and the newest revocation list of every domain that the server has. Without the server those do
/// that were fetched earlier.
///
/// # Errors
/// [`Error::Refused`] for a record of the server's that does not verify, and for one that contradicts another; those of the
/// server but for [`Error::ServerUnreachable`]
pub(crate) async fn fetch_records(online: &Online<'_>, trusted: &mut TrustStoreBuf) -> Result<(), Error> {
    for domain in trusted.domains().collect::<Vec<_>>() {
        match online.fetch_records_of(domain, trusted).await {
            Err(error) if error.is_offline() => {
                let words =
                    format!("{error}; using the successions and revocation lists that this computer has");
                online.output.warn(&error.code(), &words);
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Whether a list verifies, but for another domain than this one.
fn is_of_another(domain: Domain, trusted: &TrustStoreBuf, bytes: &[u8]) -> bool {
    RevocationList::verify(bytes, trusted.anchors()).is_ok_and(|list| list.domain() != domain)
}

/// What cannot be kept is fetched again the next time: no reason to end an update.
fn kept(kept: Result<(), Error>, output: &Output) -> Result<(), Error> {
    match kept {
        Err(error @ Error::Write { .. }) => {
            output.warn(&error.code(), &format!("{error}; it is fetched again the next time"));
            Ok(())
        }
        kept => kept,
    }
}

impl Online<'_> {
    async fn fetch_records_of(&self, domain: Domain, trusted: &mut TrustStoreBuf) -> Result<(), Error> {
        let Self { server, cache, output } = self;
        let successions = server.successions(domain).await?;
        let is_of_domain = |record: &Vec<u8>| {
            read_unverified_succession(record).is_ok_and(|claims| claims.domain() == domain)
        };
        // Another domain's must not come in its place.
        if !successions.iter().all(is_of_domain) {
            return Err(Error::ServerAnswer(ServerAnswerError::OtherContent { what: "succession" }));
        }
        let source = format!("of {}", server.name());
        trusted
            .add_successions(successions, |_| ())
            .map_err(|error| refused(Subject::Succession(source.clone()), error))?;
        keep_successions(cache, trusted, output)?;
        let Some(bytes) = server.revocation_list(domain).await? else { return Ok(()) };
        // A page or an empty body is no list to judge; another domain's must not take its place.
        if read_unverified_revocation(&bytes).is_err() || is_of_another(domain, trusted, &bytes) {
            return Err(Error::ServerAnswer(ServerAnswerError::OtherContent { what: "revocation list" }));
        }
        add_list(trusted, &source, bytes.clone())?;
        // Also where a newer one was given as a file: that one may not be given the next time.
        if let Ok(fetched) = RevocationList::verify(&bytes, trusted.anchors()) {
            self.kept(cache.keep_revocation_list(trusted.anchors(), &fetched))?;
        }
        Ok(())
    }

    /// The newest release of a shelf for a device that is turned to it, checked, unless it is older than what the device accepts.
    /// Without the server: the one that was fetched last. And who has said so.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NoRelease`], those of the server and of files
    pub(crate) async fn release(
        &self,
        trusted: &TrustStoreBuf,
        device: &mut Device,
        question: Question,
        checks: HostChecks,
    ) -> (Heard, Result<Offer, Error>) {
        let mut heard = Heard::Server;
        let offer = self.asked(trusted, device, question, (checks, &mut heard)).await;
        (heard, offer)
    }

    async fn asked(
        &self,
        trusted: &TrustStoreBuf,
        device: &mut Device,
        Question { shelf, above, asks_alone }: Question,
        (checks, heard): (HostChecks, &mut Heard),
    ) -> Result<Offer, Error> {
        let kind = Kind {
            vendor: device.vendor(),
            class: device.class(),
            device: Uuid::from_bytes(device.identity.device),
            shelf,
        };
        let server = self.server.name();
        let latest = match self.server.latest(&kind).await {
            Ok(latest) => latest,
            Err(mut error @ (Error::NoRelease { .. } | Error::NotOffered { .. })) => {
                self.cache.forget_release_objects(&server, &kind)?;
                if let Error::NoRelease { has_both, .. } = &mut error
                    && asks_alone
                {
                    *has_both = self.server.latest(&Kind { shelf: Shelf::Both, ..kind }).await.is_ok();
                }
                return Err(error);
            }
            Err(error) if error.is_offline() => {
                let objects = self.cache.release_objects(&server, &kind)?;
                let is_damaged = !objects.is_empty();
                // What names its fault is the server itself, and not what stands before it.
                let is_named = matches!(error, Error::ServerRefused { code: Some(_), .. });
                *heard = match (is_damaged, is_named) {
                    (true, _) => Heard::Kept,
                    (false, true) => Heard::Server,
                    (false, false) => Heard::Nobody,
                };
                let kept = objects.into_iter().filter_map(|object| Latest::read(object).ok());
                let Some(latest) = kept.max_by_key(|latest| latest.sequence) else {
                    if is_damaged {
                        self.warn_of_damage();
                    }
                    return Err(error);
                };
                let words = format!("{error}; using the release that was fetched earlier");
                self.output.warn(&error.code(), &words);
                latest
            }
            Err(error) => return Err(error),
        };
        let is_kept = *heard == Heard::Kept;
        let envelope = match self.envelope(&latest).await {
            Err(error @ Error::ServerRefused { status: 410, .. }) => {
                self.cache.forget_release_objects(&server, &kind)?;
                return Err(error);
            }
            Err(error) if is_kept && error.is_offline() => {
                self.warn_of_damage();
                return Err(error);
            }
            envelope => envelope?,
        };
        // The number and the digest of the object stand in the plan, in reports and in the cache.
        if !latest.names(&envelope) {
            if is_kept {
                self.warn_of_damage();
            }
            return Err(Error::ServerAnswer(ServerAnswerError::OtherContent { what: "release" }));
        }
        let checked = judged(&envelope, trusted, device, shelf);
        let is_older = match &checked {
            // Of both, whatever is checked: there are newer ones of each.
            Err(error) if shelf == Shelf::Both => is_rollback(error),
            // A device that has nothing to run gets nothing else either: that is no end of an update. With a release of both it
            // gets that.
            Err(error) => {
                let goes_on = device.has_firmware() || above.is_some();
                is_rollback(error) && checks == HostChecks::Enforced && goes_on
            }
            Ok((facts, Some(_))) => is_passed(device, facts),
            Ok((facts, None)) => above.is_some_and(|above| facts.sequence <= above),
        };
        if is_older {
            self.kept(self.cache.keep_release_object(&server, &kind, &latest))?;
            let newest = ReleaseName {
                version: None,
                sequence: Some(latest.sequence),
                manifest_digest: Some(hex::encode(latest.manifest_digest)),
            };
            return Ok(Offer::Older { newest, words: no_newer(shelf, latest.sequence, is_kept) });
        }
        let (facts, of_table) = checks.apply(checked, self.output)?.unzip();
        let of_table = of_table.flatten();
        let table = match shelf {
            Shelf::Firmware | Shelf::Table => None,
            // Where the checks are skipped, the server's word is all there is.
            Shelf::Both => Some(
                of_table
                    .as_ref()
                    .map(|facts| facts.image)
                    .or(latest.table_image)
                    .ok_or(Error::ServerAnswer(ServerAnswerError::OtherContent { what: "release" }))?,
            ),
        };
        let wanted = Wanted {
            image: facts.as_ref().map_or(latest.image, |facts| facts.image),
            table,
            other: facts.as_ref().and_then(|facts| facts.other_image).map(|other| other.named),
        };
        let Fetched { image, table, other } = self.images(wanted, is_kept).await?;
        // An answer that leads nowhere takes no kept release away.
        if facts.is_some() {
            self.kept(self.cache.keep_release_object(&server, &kind, &latest))?;
        }
        let envelope = sendable(envelope, checks, self.output)?;
        let table = table.map(|table| half(&envelope, of_table, table));
        Ok(Offer::Release(Release { envelope, image, other_image: other, facts, table }))
    }

    fn kept(&self, outcome: Result<(), Error>) -> Result<(), Error> {
        kept(outcome, self.output)
    }

    /// Something was fetched earlier, and is of no use: the server is needed.
    fn warn_of_damage(&self) {
        let words = "the release that was fetched earlier is damaged or incomplete";
        self.output.warn("cache-damaged", words);
    }

    async fn envelope(&self, latest: &Latest) -> Result<Vec<u8>, Error> {
        if let Some(envelope) = self.cache.envelope(&latest.envelope_digest)? {
            return Ok(envelope);
        }
        let envelope = self.server.envelope(latest).await?;
        self.kept(self.cache.keep_envelope(&envelope))?;
        Ok(envelope)
    }
}

/// What the host finds in the envelope of a release: of what the device is turned to, and of the table that comes with it. Of a
/// release of both the device is turned to the firmware in the end.
fn judged(
    envelope: &[u8],
    trusted: &TrustStoreBuf,
    device: &mut Device,
    shelf: Shelf,
) -> Result<(Facts, Option<Facts>), Error> {
    if shelf != Shelf::Both {
        return Ok((check_envelope(envelope, trusted, device)?, None));
    }
    device.turn(Component::Table)?;
    let table = check_half(envelope, trusted, device);
    device.turn(Component::Firmware)?;
    match (check_half(envelope, trusted, device), table) {
        (Ok(firmware), Ok(table)) => Ok((firmware, Some(table))),
        // One half that is beyond it is enough.
        (Err(_), Err(error)) if is_rollback(&error) => Err(error),
        (Err(error), _) | (Ok(_), Err(error)) => Err(error),
    }
}

/// That the newest release of a shelf is none for the device. Nothing is said of the other shelves, nor of a server that was not
/// reached.
fn no_newer(shelf: Shelf, sequence: u64, is_kept: bool) -> String {
    let is_older = match shelf {
        Shelf::Firmware | Shelf::Table => "is no newer",
        Shelf::Both => "is no newer on both sides",
    };
    let what = format!("newest release of {}", shelf.words());
    if is_kept {
        format!(
            "the {what} that was fetched earlier ({sequence}) {is_older}, and the server could not be asked"
        )
    } else {
        format!("the server's {what} ({sequence}) {is_older}")
    }
}

fn is_rollback(error: &Error) -> bool {
    matches!(error, Error::Refused { reason: Reason::SequenceRollback, .. })
}

/// Whether the device has something newer than a release of both, in either place: then it is a way back, and what is newer may be
/// on trial.
fn is_passed(device: &Device, facts: &Facts) -> bool {
    [Component::Firmware, Component::Table]
        .iter()
        .any(|component| device.of(*component).is_some_and(|state| state.active_sequence > facts.sequence))
}

#[cfg(test)]
mod tests;
