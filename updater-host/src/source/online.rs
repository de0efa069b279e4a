//! Release, successions and revocation lists from an update-server, or what was fetched from it before.

use suit_manifest::reason::Reason;
use trust::host::read_unverified_revocation;
use trust::{Domain, RevocationList, TrustStoreBuf, read_unverified_succession};
use update_protocol::profile::Mode;
use uuid::Uuid;

use super::{HostChecks, Offer, check_envelope, sendable};
use crate::cache::Cache;
use crate::device::{Device, target_of};
use crate::error::{Error, ServerAnswerError, Subject};
use crate::output::{Output, Transfer};
use crate::plan::ReleaseName;
use crate::release::{NamedImage, Release};
use crate::server::{Fetching, Kind, Latest, Server};
use crate::trusted::{PendingList, Records, add_list, refused};

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

    /// The newest release for what a device is turned to, checked, unless it is older than what the device accepts. Without the server:
    /// the one that was fetched last.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NoRelease`], those of the server and of files
    pub(crate) async fn release(
        &self,
        trusted: &TrustStoreBuf,
        device: &Device,
        checks: HostChecks,
    ) -> Result<Offer, Error> {
        let kind = Kind {
            vendor: device.vendor(),
            class: device.class(),
            device: Uuid::from_bytes(device.identity.device),
            target: target_of(device.component),
        };
        let server = self.server.name();
        let mut is_kept = false;
        let latest = match self.server.latest(&kind).await {
            Ok(latest) => latest,
            Err(error @ (Error::NoRelease { .. } | Error::NotOffered { .. })) => {
                self.cache.forget_release_objects(&server, &kind)?;
                return Err(error);
            }
            Err(error) if error.is_offline() => {
                let objects = self.cache.release_objects(&server, &kind)?;
                let is_damaged = !objects.is_empty();
                let kept = objects.into_iter().filter_map(|object| Latest::read(object).ok());
                let Some(latest) = kept.max_by_key(|latest| latest.sequence) else {
                    if is_damaged {
                        self.warn_of_damage();
                    }
                    return Err(error);
                };
                is_kept = true;
                let words = format!("{error}; using the release that was fetched earlier");
                self.output.warn(&error.code(), &words);
                latest
            }
            Err(error) => return Err(error),
        };
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
        let checked = check_envelope(&envelope, trusted, device);
        if let Err(Error::Refused { reason: Reason::SequenceRollback, .. }) = &checked
            && checks == HostChecks::Enforced
            && device.state.mode == Mode::Application
        {
            self.kept(self.cache.keep_release_object(&server, &kind, &latest))?;
            return Ok(Offer::Older(ReleaseName {
                version: None,
                sequence: Some(latest.sequence),
                manifest_digest: Some(hex::encode(latest.manifest_digest)),
            }));
        }
        let facts = checks.apply(checked, self.output)?;
        let named = facts.as_ref().map_or(latest.image, |facts| facts.image);
        let other = facts.as_ref().and_then(|facts| facts.other_image).map(|other| other.named);
        let (image, other_image) = self.images(named, other, is_kept).await?;
        // An answer that leads nowhere takes no kept release away.
        if facts.is_some() {
            self.kept(self.cache.keep_release_object(&server, &kind, &latest))?;
        }
        let envelope = sendable(envelope, checks, self.output)?;
        Ok(Offer::Release(Release { envelope, image, other_image, facts, table: None }))
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

    /// The image for the slot that the device writes, and the one for the other slot: for this device when a trial ends,
    /// and for other devices of the class. Without the other one the update goes on.
    async fn images(
        &self,
        named: NamedImage,
        other: Option<NamedImage>,
        is_kept: bool,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), Error> {
        let is_here = |named: NamedImage| -> Result<bool, Error> {
            Ok(self.cache.image(&named.digest, named.size)?.is_some())
        };
        let here = is_here(named)?;
        // The server is away: what is here is all there is.
        let other_here = match other {
            Some(other) => is_kept || is_here(other)?,
            None => true,
        };
        let first = if here { 0 } else { named.size };
        let total = other.filter(|_| !other_here).map_or(first, |other| first.saturating_add(other.size));
        let image = self.image(named, 0, total).await;
        if is_kept && image.as_ref().is_err_and(Error::is_offline) {
            self.warn_of_damage();
        }
        let image = image?;
        let other_image = match other {
            Some(other) if is_kept => self.cache.image(&other.digest, other.size)?,
            Some(other) => match self.image(other, first, total).await {
                Ok(image) => Some(image),
                Err(error) => {
                    let words = format!("{error}; the image for the other slot is fetched the next time");
                    self.output.warn(&error.code(), &words);
                    None
                }
            },
            None => None,
        };
        Ok((image, other_image))
    }

    /// An image from the cache or the server. Of `total` bytes from the server, `before` are here already.
    async fn image(&self, named: NamedImage, before: u64, total: u64) -> Result<Vec<u8>, Error> {
        let NamedImage { digest, size } = named;
        if let Some(image) = self.cache.image(&digest, size)? {
            return Ok(image);
        }
        match self.fetch_image(self.cache, named, before, total).await {
            Err(error @ Error::Write { .. }) => {
                // The disk of the data folder is full; that of temporary files may not be.
                let Ok(folder) = tempfile::TempDir::new() else { return Err(error) };
                self.output.warn(&error.code(), &format!("{error}; the image is fetched for this run only"));
                let cache = Cache::new(folder.path().to_owned());
                match self.fetch_image(&cache, named, before, total).await {
                    // No disk takes it: that of the data folder is the one to make room on.
                    Err(Error::Write { .. }) => Err(error),
                    fetched => fetched,
                }
            }
            fetched => fetched,
        }
    }

    async fn fetch_image(
        &self,
        cache: &Cache,
        named: NamedImage,
        before: u64,
        total: u64,
    ) -> Result<Vec<u8>, Error> {
        self.output.progress_begin(Transfer::FromServer, before, total);
        let fetched = self
            .server
            .image(cache, &named.digest, named.size, &mut |fetching| match fetching {
                Fetching::At(bytes) => {
                    self.output.progress(Transfer::FromServer, before.saturating_add(bytes), total);
                }
                Fetching::ByAnother => {
                    self.output.say("  Another program downloads the same image; waiting for it.");
                }
            })
            .await;
        self.output.progress_end();
        fetched
    }
}

#[cfg(test)]
mod tests;
