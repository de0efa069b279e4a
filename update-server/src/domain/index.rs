//! Which releases are offered, worked out ahead: an answer costs a look-up, however much was published or revoked.
//!
//! A verdict is the trust code's, on the bytes in the database. It is made again when something that it rests on
//! changes: the release itself, the revocation lists or the roots (then all verdicts are), or the time (then those that a
//! credential's validity bounds).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use suit_manifest::Reason;
use trust::TrustStore;

use super::catalogue::{Audience, Image, Release};
use super::installs::Installs;
use super::{Digest, Identifier};
use crate::store::{StoredEnvelope, StoredRelease, Withdrawal};

/// What the index says of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is offered.
    Offered,
    /// Its publisher withdrew it.
    Withdrawn,
    /// None of its envelopes verifies; the reason is that of the one that would be handed out.
    Refused(Reason),
    /// The database holds no envelope of it, or has it in another place than its manifest: it is damaged.
    Damaged,
}

/// A release that is known here.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Whether it is offered.
    pub verdict: Verdict,
    /// What it says, from the envelope that is handed out; of a release that is not offered, from any that a
    /// configured anchor's key signed. `None` when there is none.
    pub release: Option<Arc<Release>>,
    /// When and why it was withdrawn.
    pub withdrawal: Option<Withdrawal>,
    /// No configured anchor is that of an envelope of it: it would be good under another one.
    is_foreign: bool,
    place: Place,
    boundaries: Vec<u64>,
}

/// How many releases are stored, and under which anchors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// All of them, withdrawn and refused ones too.
    pub stored: usize,
    /// Those under no configured anchor.
    pub foreign: usize,
    /// Those of each domain that has any.
    pub of_domain: BTreeMap<[u8; 8], usize>,
}

/// Where a release stands in the index.
#[derive(Debug, Clone, Copy)]
struct Place {
    vendor: Identifier,
    class: Identifier,
    target: Installs,
    device: Option<Identifier>,
    sequence: u64,
}

impl Entry {
    /// The sequence number under which it is known.
    pub fn sequence(&self) -> u64 {
        self.place.sequence
    }

    /// Whether a key of a configured anchor ever signed it, so that it can be told what it is.
    pub fn can_be_shown(&self) -> bool {
        self.verdict != Verdict::Damaged && self.release.is_some()
    }

    /// An entry of a release that nobody signed.
    #[cfg(test)]
    pub(super) fn for_tests(
        (vendor, class, target): (Identifier, Identifier, Installs),
        sequence: u64,
        device: Option<Identifier>,
        verdict: Verdict,
        boundaries: Vec<u64>,
    ) -> Self {
        use super::catalogue::Validity;

        let place = Place { vendor, class, target, device, sequence };
        let release = Release {
            manifest_digest: Digest([0; 32]),
            envelope_digest: Digest([0; 32]),
            sequence,
            version: None,
            vendor,
            class,
            target,
            device,
            image: Image { digest: Digest([0; 32]), size: 0, uri: String::new() },
            second_image: None,
            table_image: None,
            release_kid: trust::Kid([0; 8]),
            domain: trust::Domain(trust::Kid([0; 8])),
            published_at: 0,
            validity: Validity { issued_at: 0, not_before: None, expires: None },
        };
        let release = Some(Arc::new(release));
        Self { verdict, release, withdrawal: None, is_foreign: false, place, boundaries }
    }

    /// Judges a release by its envelopes, the last received first.
    ///
    /// `store` is what is believed now; `history` has the anchors only, those of former roots too: what it verifies was
    /// genuine once.
    pub(super) fn judge(
        stored: &StoredRelease,
        envelopes: &[StoredEnvelope],
        store: &TrustStore<'_>,
        history: &TrustStore<'_>,
    ) -> Self {
        let digest = stored.manifest_digest;
        let mut boundaries = Vec::new();
        let mut valid: Option<Release> = None;
        let mut refused: Option<(u64, Reason)> = None;
        let mut genuine: Option<Release> = None;
        let mut is_foreign = false;
        for envelope in envelopes {
            let read = Release::read(&envelope.bytes, store, envelope.published_at);
            let past = match &read {
                Ok(release) => Ok(release.clone()),
                Err(_) => Release::read(&envelope.bytes, history, envelope.published_at),
            };
            if let Ok(release) = &past {
                if release.manifest_digest != digest {
                    tracing::error!(
                        release = %digest,
                        envelope = %release.envelope_digest,
                        "the database has the envelope of another manifest under this one"
                    );
                    continue;
                }
                boundaries.extend(release.validity.boundaries());
                if genuine.as_ref().is_none_or(|best| release.replaces(best)) {
                    genuine = Some(release.clone());
                }
            }
            match read {
                Ok(release) if valid.as_ref().is_none_or(|best| release.replaces(best)) => {
                    valid = Some(release)
                }
                Ok(_) => {}
                Err(reason) => {
                    is_foreign |= reason == Reason::AnchorUnknown;
                    let issued_at = past.map_or(0, |release| release.validity.issued_at);
                    if refused.is_none_or(|(best, _)| issued_at > best) {
                        refused = Some((issued_at, reason));
                    }
                }
            }
        }
        // The manifest's digest covers the text: whichever envelope had it, it is this release's.
        let version = genuine.as_ref().and_then(|release| release.version.clone());
        let offered = valid.is_some();
        let release = valid.or(genuine).map(|release| Arc::new(Release { version, ..release }));
        let place = Place {
            vendor: stored.vendor,
            class: stored.class,
            target: stored.target,
            device: release.as_ref().and_then(|release| release.device),
            sequence: stored.sequence,
        };
        let in_place = release.as_ref().is_none_or(|release| {
            (release.vendor, release.class, release.target, release.sequence)
                == (place.vendor, place.class, place.target, place.sequence)
        });
        if !in_place {
            tracing::error!(release = %digest, "the database has it in another place than its manifest");
        }
        let verdict = match (in_place, offered, &stored.withdrawal, refused) {
            (false, ..) => Verdict::Damaged,
            (true, _, Some(_), _) => Verdict::Withdrawn,
            (true, true, None, _) => Verdict::Offered,
            (true, false, None, Some((_, reason))) => Verdict::Refused(reason),
            (true, false, None, None) => Verdict::Damaged,
        };
        let is_foreign = release.is_none() && is_foreign;
        Self { verdict, release, withdrawal: stored.withdrawal.clone(), is_foreign, place, boundaries }
    }
}

fn under(below: Option<u64>) -> (Bound<u64>, Bound<u64>) {
    (Bound::Unbounded, below.map_or(Bound::Unbounded, Bound::Excluded))
}

/// Releases of one class, one target and one kind of audience, by sequence number.
#[derive(Debug, Default)]
struct Shelf {
    all: BTreeMap<u64, Digest>,
    offered: BTreeMap<u64, Digest>,
}

impl Shelf {
    fn newest_below(&self, below: Option<u64>) -> Option<(u64, Digest)> {
        let newest = self.offered.range(under(below)).next_back();
        newest.map(|(sequence, digest)| (*sequence, *digest))
    }
}

/// What one target of a class has. A table and firmware with one sequence number do not know of each other.
#[derive(Debug, Default)]
struct Class {
    every: BTreeMap<u64, Digest>,
    general: Shelf,
    single: HashMap<Identifier, Shelf>,
}

impl Class {
    fn shelf(&mut self, device: Option<Identifier>) -> &mut Shelf {
        match device {
            None => &mut self.general,
            Some(device) => self.single.entry(device).or_default(),
        }
    }

    /// The shelves that are for this audience.
    fn shelves(&self, device: Option<Identifier>) -> impl Iterator<Item = &Shelf> {
        std::iter::once(&self.general).chain(device.and_then(|device| self.single.get(&device)))
    }
}

/// The index.
#[derive(Debug, Default)]
pub struct Index {
    entries: HashMap<Digest, Entry>,
    classes: HashMap<(Identifier, Identifier, Installs), Class>,
    boundaries: BTreeMap<u64, BTreeSet<Digest>>,
    newest_issue: Option<u64>,
    /// The images that releases name, with the number of these releases.
    images: HashMap<Digest, usize>,
}

impl Index {
    /// Puts a release in, in the place of what was known of it.
    pub(super) fn put(&mut self, digest: Digest, entry: Entry) {
        self.remove(digest);
        let Place { vendor, class, target, device, sequence } = entry.place;
        let class = self.classes.entry((vendor, class, target)).or_default();
        class.every.insert(sequence, digest);
        let shelf = class.shelf(device);
        shelf.all.insert(sequence, digest);
        if entry.verdict == Verdict::Offered {
            shelf.offered.insert(sequence, digest);
        }
        for image in entry.release.iter().flat_map(|release| release.images()) {
            *self.images.entry(image.digest).or_default() += 1;
        }
        let issued_at = entry.release.as_ref().map(|release| release.validity.issued_at);
        self.newest_issue = self.newest_issue.max(issued_at);
        for boundary in &entry.boundaries {
            self.boundaries.entry(*boundary).or_default().insert(digest);
        }
        self.entries.insert(digest, entry);
    }

    /// Takes a release out.
    pub(super) fn remove(&mut self, digest: Digest) {
        let Some(entry) = self.entries.remove(&digest) else { return };
        let Place { vendor, class, target, device, sequence } = entry.place;
        if let Some(class) = self.classes.get_mut(&(vendor, class, target)) {
            class.every.remove(&sequence);
            let shelf = class.shelf(device);
            shelf.all.remove(&sequence);
            shelf.offered.remove(&sequence);
        }
        for Image { digest, .. } in entry.release.iter().flat_map(|release| release.images()) {
            if let Some(count) = self.images.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    self.images.remove(digest);
                }
            }
        }
        for boundary in &entry.boundaries {
            if let Some(digests) = self.boundaries.get_mut(boundary) {
                digests.remove(&digest);
            }
        }
    }

    /// What is known of a release.
    pub fn entry(&self, digest: Digest) -> Option<&Entry> {
        self.entries.get(&digest)
    }

    /// When the newest credential was issued that a configured anchor's key signed: seconds since the epoch.
    pub(super) fn newest_issue(&self) -> Option<u64> {
        self.newest_issue
    }

    /// How many releases there are, and under which anchors.
    pub(super) fn standing(&self) -> Standing {
        let mut standing = Standing { stored: self.entries.len(), ..Standing::default() };
        for entry in self.entries.values() {
            standing.foreign += usize::from(entry.is_foreign);
            if let Some(release) = &entry.release {
                *standing.of_domain.entry(release.domain.0.0).or_default() += 1;
            }
        }
        standing
    }

    /// The images that releases name.
    pub(super) fn images(&self) -> impl Iterator<Item = Digest> + '_ {
        self.images.keys().copied()
    }

    /// Whether a release names this image.
    pub(super) fn names_image(&self, digest: Digest) -> bool {
        self.images.contains_key(&digest)
    }

    /// Releases whose verdict may differ between two times (seconds since the epoch).
    pub(super) fn bounded_between(&self, one: u64, other: u64) -> Vec<Digest> {
        let span = one.min(other)..=one.max(other);
        self.boundaries.range(span).flat_map(|(_, digests)| digests.iter().copied()).collect()
    }

    fn class(&self, Audience { vendor, class, target, .. }: Audience) -> Option<&Class> {
        self.classes.get(&(vendor, class, target))
    }

    /// At most `limit` releases that are offered to `audience`, highest sequence number first, below `below`.
    pub fn offers(&self, audience: Audience, mut below: Option<u64>, limit: usize) -> Vec<Digest> {
        let Some(class) = self.class(audience) else { return Vec::new() };
        let mut offers = Vec::new();
        while offers.len() < limit {
            let newest = class.shelves(audience.device).filter_map(|shelf| shelf.newest_below(below)).max();
            let Some((sequence, digest)) = newest else { break };
            offers.push(digest);
            below = Some(sequence);
        }
        offers
    }

    /// At most `limit` releases of the class that can be shown, offered or not and for whichever device.
    pub fn every(&self, audience: Audience, below: Option<u64>, limit: usize) -> Vec<Digest> {
        let Some(class) = self.class(audience) else { return Vec::new() };
        let all = class.every.range(under(below)).rev().map(|(_, digest)| *digest);
        all.filter(|digest| self.entry(*digest).is_some_and(Entry::can_be_shown)).take(limit).collect()
    }

    /// The newest release that is meant for `audience`, offered or not.
    pub fn newest(&self, audience: Audience) -> Option<&Entry> {
        let class = self.class(audience)?;
        let newest = class.shelves(audience.device).filter_map(|shelf| shelf.all.last_key_value()).max()?;
        self.entries.get(newest.1)
    }
}
