//! What a ledger says about keys, as of its last entry.

use trust::{Anchor, RevocationList, Role, UnixTime};

use crate::chain::{Ledger, Stored};
use crate::devices::{DeviceLine, Devices, split_record};
use crate::entry::{CredentialEntry, Event};
use crate::error::Error;
use crate::values::{Hex, Time};

/// Whether a key may still act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// At least one credential of it is good.
    Good,
    /// Its credentials begin later.
    NotYet,
    /// Its credentials have ended.
    Expired,
    /// The newest list revokes it, or each credential of it.
    Revoked,
}

/// A key that the ledger's key certified.
#[derive(Clone, Debug)]
pub struct KeyState<'l> {
    /// Its name.
    pub name: &'l str,
    /// Its kid.
    pub kid: Hex<8>,
    /// Its role.
    pub role: &'l str,
    /// Its credentials, with the number of the entry of each.
    pub credentials: Vec<(u64, &'l CredentialEntry)>,
    /// Who holds it.
    pub holder: Option<&'l str>,
    /// Where it is kept.
    pub kept: Option<&'l str>,
    /// Whether it may act at the time that was asked for.
    pub status: Status,
    /// Numbers of the entries of credentials that the newest list revokes.
    revoked: Vec<u64>,
}

impl<'l> KeyState<'l> {
    /// The credentials that no list revokes.
    #[must_use = "an iterator"]
    pub fn unrevoked(&self) -> impl Iterator<Item = &'l CredentialEntry> {
        let is_revoked = |number| self.revoked.contains(number);
        self.credentials.iter().filter(move |(number, _)| !is_revoked(number)).map(|(_, entry)| *entry)
    }

    /// When the last of its credentials ends, of a good key the last that no list revokes; `None`: never.
    #[must_use]
    pub fn expires(&self) -> Option<Time> {
        let mut counting: Vec<&CredentialEntry> = self.unrevoked().collect();
        if counting.is_empty() {
            counting = self.credentials.iter().map(|(_, entry)| *entry).collect();
        }
        let ends = counting.into_iter().map(|entry| entry.facts.expires);
        ends.reduce(|one, other| Some(one?.max(other?))).flatten()
    }

    /// The highest generation under which it was certified.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.credentials.iter().map(|(_, entry)| entry.facts.generation).max().unwrap_or(0)
    }

    /// The highest sequence number that it may sign, of a release key.
    #[must_use]
    pub fn ceiling(&self) -> Option<u64> {
        self.credentials.iter().filter_map(|(_, entry)| entry.facts.ceiling).max()
    }
}

impl Ledger {
    /// The signed credentials, with the entry of each; those of joined copies too.
    pub fn credentials(&self) -> impl Iterator<Item = (&Stored, &CredentialEntry)> {
        let joined = self.joined().iter().flat_map(|(_, entries)| entries);
        self.entries().iter().chain(joined).filter_map(|stored| match &stored.entry.event {
            Event::Credential(entry) if stored.record.is_some() => Some((stored, entry)),
            _ => None,
        })
    }

    /// The batches of devices that were not given up, with the entry of each; those of joined copies too.
    pub fn batches(&self) -> impl Iterator<Item = (&Stored, &Devices)> {
        fn batch(stored: &Stored) -> Option<(&Stored, &Devices)> {
            match &stored.entry.event {
                Event::Devices(batch) => Some((stored, batch)),
                _ => None,
            }
        }
        let joined = self.joined().iter().flat_map(|(_, entries)| entries).filter_map(batch);
        let own = self.entries().iter().filter_map(batch);
        own.filter(|(stored, _)| !self.is_void(stored.entry.number)).chain(joined)
    }

    /// The devices of [`Ledger::batches`], with the number of the entry of each.
    pub fn devices(&self) -> impl Iterator<Item = (u64, &Devices, &DeviceLine)> {
        self.batches().flat_map(|(stored, batch)| {
            stored.devices.iter().map(move |line| (stored.entry.number, batch, line))
        })
    }

    /// The signed credentials of a batch, in the order of its devices.
    #[must_use]
    pub fn credentials_of(&self, batch: u64) -> Option<Vec<&[u8]>> {
        let stored = self.entry(batch)?;
        split_record(&stored.devices, stored.record.as_deref()?, self.key())
    }

    /// The signed lists, oldest first.
    #[must_use = "an iterator"]
    pub fn lists(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.entries().iter().filter_map(|stored| match (&stored.entry.event, &stored.record) {
            (Event::RevocationList(_), Some(record)) => Some(record.as_slice()),
            _ => None,
        })
    }

    /// The lists that the next one has to continue: the newest, and those of copies that were joined since.
    #[must_use]
    pub fn lists_to_continue(&self) -> Vec<&[u8]> {
        let is_list = |stored: &&Stored| {
            matches!(stored.entry.event, Event::RevocationList(_)) && stored.record.is_some()
        };
        let own = self.entries().iter().rev().find(is_list);
        let since = own.map_or(0, |own| own.entry.number);
        let joined = self.joined().iter().filter(|(number, _)| *number > since);
        let others = joined.filter_map(|(_, entries)| entries.iter().rev().find(is_list));
        own.into_iter().chain(others).filter_map(|stored| stored.record.as_deref()).collect()
    }

    /// Those lists, verified: what any of them revokes is revoked, for devices and servers that have it.
    #[must_use]
    pub fn lists_in_force(&self) -> Vec<RevocationList<'_>> {
        let anchors = [Anchor::root(*self.key())];
        let lists = self.lists_to_continue().into_iter();
        lists.filter_map(|bytes| RevocationList::verify(bytes, &anchors).ok()).collect()
    }

    /// Whether a copy that was joined signed a list that the newest one here does not continue.
    #[must_use]
    pub fn has_lists_apart(&self) -> bool {
        let own = self.lists().next_back();
        self.lists_to_continue().into_iter().any(|list| Some(list) != own)
    }

    /// The newest signed list.
    #[must_use]
    pub fn newest_list(&self) -> Option<RevocationList<'_>> {
        let anchors = [Anchor::root(*self.key())];
        self.lists().next_back().and_then(|bytes| RevocationList::verify(bytes, &anchors).ok())
    }

    /// The keys that the ledger's key certified, in the order of their first credentials.
    #[must_use]
    pub fn keys(&self, now: UnixTime) -> Vec<KeyState<'_>> {
        let lists = self.lists_in_force();
        let mut keys: Vec<KeyState<'_>> = Vec::new();
        for (stored, entry) in self.credentials() {
            let facts = &entry.facts;
            let known = keys.iter_mut().find(|key| key.kid == facts.kid && key.role == facts.role);
            match known {
                Some(key) => key.credentials.push((stored.entry.number, entry)),
                None => keys.push(KeyState {
                    name: &facts.name,
                    kid: facts.kid,
                    role: &facts.role,
                    credentials: vec![(stored.entry.number, entry)],
                    holder: None,
                    kept: None,
                    status: Status::Revoked,
                    revoked: Vec::new(),
                }),
            }
        }
        for key in &mut keys {
            let is_revoked = |entry| {
                let role = Role::from_name(key.role);
                role.is_some_and(|role| lists.iter().any(|list| is_revoked(list, role, entry)))
            };
            let of_key = key.credentials.iter().filter(|(_, entry)| is_revoked(entry));
            key.revoked = of_key.map(|(number, _)| *number).collect();
            key.status = status(key, &lists, now);
            (key.holder, key.kept) = self.custody(key.kid);
        }
        keys
    }

    /// A key by its name, or by its kid in hex.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`]; [`Error::OwnKey`] for the key whose ledger this is; [`Error::NameOfTwo`] if two keys have the name, as copies that were joined may say
    pub fn key_named(&self, name: &str, now: UnixTime) -> Result<KeyState<'_>, Error> {
        let mut keys = self.keys(now);
        if let Some(place) = keys.iter().position(|key| key.kid.to_string() == name) {
            return Ok(keys.swap_remove(place));
        }
        keys.retain(|key| key.name == name);
        let other = |first: &KeyState<'_>| keys.iter().find(|key| key.kid != first.kid).map(|key| key.kid);
        if let Some((first, other)) = keys.first().and_then(|first| Some((first.kid, other(first)?))) {
            return Err(Error::NameOfTwo { name: name.to_owned(), kids: [first, other] });
        }
        let open = self.opened();
        let is_own = open.name == name || open.kid.to_string() == name;
        let missing = if is_own { Error::OwnKey } else { Error::NoSuchKey };
        keys.into_iter().next().ok_or_else(|| missing(name.to_owned()))
    }

    /// The same, here or else in the ledgers before, with the one that knows it.
    ///
    /// # Errors
    /// Those of [`Ledger::key_named`]
    pub fn key_in_line(&self, name: &str, now: UnixTime) -> Result<(&Self, KeyState<'_>), Error> {
        for ledger in self.line() {
            match ledger.key_named(name, now) {
                Err(Error::NoSuchKey(_)) => {}
                found => return found.map(|key| (ledger, key)),
            }
        }
        Err(Error::NoSuchKey(name.to_owned()))
    }

    /// Who holds a key and where it is kept, by the last entry that says so.
    #[must_use]
    pub fn custody(&self, kid: Hex<8>) -> (Option<&str>, Option<&str>) {
        let mut found = (None, None);
        for stored in self.entries() {
            match &stored.entry.event {
                Event::Open(open) if open.kid == kid => found = (Some(&*open.holder), Some(&*open.kept)),
                Event::Custody(custody) if custody.kid == kid => {
                    found = (Some(&*custody.holder), Some(&*custody.kept));
                }
                Event::Credential(entry) if entry.facts.kid == kid => {
                    found = (entry.holder.as_deref().or(found.0), entry.kept.as_deref().or(found.1));
                }
                _ => {}
            }
        }
        found
    }

    /// Holds what was written down of the ledger against it: how many entries it had, and the digest of the last one, or its
    /// first digits. A copy that lacks them is stale. A digest may be that of an entry of a copy that was joined; a number
    /// alone is one of this copy's own entries, since joined ones prove nothing about those.
    ///
    /// # Errors
    /// [`Error::Older`]
    pub fn check_written(&self, entries: Option<u64>, digest: Option<&str>) -> Result<(), Error> {
        let last = self.entries().len() as u64;
        let older = |wanted| Err(Error::Older { path: self.folder().to_owned(), wanted, last });
        let lacks = entries.filter(|entries| *entries > last).map(|entries| format!("entry {entries}"));
        let Some(digest) = digest else { return lacks.map_or(Ok(()), older) };
        let joined = self.joined().iter().flat_map(|(_, entries)| entries);
        let is_it = |stored: &Stored| {
            // Both were written down together.
            entries.is_none_or(|number| stored.entry.number == number)
                && Hex(stored.digest).to_string().starts_with(digest)
        };
        if self.entries().iter().chain(joined).any(is_it) {
            return Ok(());
        }
        let wanted = || format!("entry with the digest {digest} where it was written down");
        older(lacks.unwrap_or_else(wanted))
    }

    /// Holds a published list against the lists here: a copy of the ledger that lacks it is stale.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Forked`]; [`Error::Author`] when this key did not sign the list
    pub fn check_published(&self, list: &[u8]) -> Result<(), Error> {
        let anchors = [Anchor::root(*self.key())];
        let published = RevocationList::verify(list, &anchors).map_err(trust::author::AuthorError::from)?;
        let joined = self.joined().iter().flat_map(|(_, entries)| entries);
        let known = self.entries().iter().chain(joined).filter_map(|stored| stored.record.as_deref());
        if known.into_iter().any(|known| known == list) {
            return Ok(());
        }
        let known = self.newest_list().map_or(0, |list| list.sequence());
        if published.sequence() <= known {
            return Err(Error::Forked(published.sequence()));
        }
        Err(Error::Stale { published: published.sequence(), known })
    }
}

/// As a verifier judges it: one good credential suffices.
fn status(key: &KeyState<'_>, lists: &[RevocationList<'_>], now: UnixTime) -> Status {
    let mut best = Status::Revoked;
    for (_, entry) in &key.credentials {
        let facts = &entry.facts;
        let Some(role) = facts.role() else { continue };
        let status = if lists.iter().any(|list| is_revoked(list, role, entry)) {
            Status::Revoked
        } else if facts.expires.is_some_and(|end| end <= Time(now)) {
            Status::Expired
        } else if facts.not_before.is_some_and(|begin| Time(now) < begin) {
            Status::NotYet
        } else {
            return Status::Good;
        };
        if status != Status::Revoked {
            best = status;
        }
    }
    best
}

fn is_revoked(list: &RevocationList<'_>, role: Role, entry: &CredentialEntry) -> bool {
    let facts = &entry.facts;
    list.revokes_kid(role, &trust::Kid(facts.kid.0))
        || list.revokes_cti(role, &facts.cti.0)
        || facts.generation < list.lowest_generation(role)
}
