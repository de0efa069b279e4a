//! Credentials that are made again from what a ledger knows: for the same key under another root, or for its successor.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ledger::{CredentialEntry, CredentialFacts, Event, KeyState, Ledger, Status};
use trust::author::{CredentialRequest, ScopeRequest, random_cti};
use trust::{PublicKey, Role, UnixTime};
use uuid::Uuid;

use super::validity;
use crate::confirm::ConfirmArguments;
use crate::error::Error;
use crate::files::OverwriteArguments;
use crate::recording::{LedgerArguments, Recorder};
use crate::time::{IssueTime, Time, display};

/// How credentials are made again, whoever they are for.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct MakingArguments {
    #[command(flatten)]
    pub(crate) ledger: LedgerArguments,
    /// End of validity; must lie in the future [default: two years, for service keys one]
    #[arg(long, value_name = "TIME")]
    expires: Option<Time>,
    #[command(flatten)]
    pub(crate) time: IssueTime,
    /// Folder for the credentials, and for the releases under their own names; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) out_dir: PathBuf,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArguments,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArguments,
}

impl MakingArguments {
    /// When they are issued; none of them would have ended by then.
    pub(crate) fn now(&self, recorder: &Recorder) -> Result<UnixTime, Error> {
        let now = recorder.time(self.time, None)?;
        match self.expires() {
            Some(end) if end <= now => {
                Err(Error::usage(format!("--expires {} lies in the past", display(end))))
            }
            _ => Ok(now),
        }
    }

    pub(crate) fn expires(&self) -> Option<UnixTime> {
        self.expires.map(|Time(end)| end)
    }
}

const DAMAGED: Error = Error::Internal("an entry of the ledger does not read");

/// A credential that is going to be made, and what the ledger knows beside it.
pub(crate) struct Again {
    pub(crate) request: CredentialRequest,
    names: BTreeMap<String, String>,
    holder: Option<String>,
    kept: Option<String>,
}

/// The key that takes over from another one.
#[derive(Clone)]
pub(crate) struct Successor {
    pub(crate) key: PublicKey,
    pub(crate) name: String,
    pub(crate) holder: Option<String>,
    pub(crate) kept: Option<String>,
    pub(crate) generation: u64,
    pub(crate) ceiling: u64,
}

/// Who issues it, and when.
#[derive(Clone, Copy)]
pub(crate) struct Issuance<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) issued_at: UnixTime,
    /// End of validity; by default that of the role.
    pub(crate) expires: Option<UnixTime>,
}

/// A key by its name or kid, in a ledger or else in those before; with the ledger that knows it.
pub(crate) fn find<'l>(
    ledger: &'l Ledger,
    name: &str,
    now: UnixTime,
) -> Result<(&'l Ledger, KeyState<'l>), Error> {
    let (ledger, key) = ledger.key_in_line(name, now)?;
    if key.status == Status::Revoked {
        return Err(Error::KeyWasRevoked { name: key.name.to_owned(), kid: key.kid.to_string() });
    }
    Ok((ledger, key))
}

/// The newest credential of each scope of a key.
pub(crate) fn scopes<'l>(key: &KeyState<'l>) -> Vec<&'l CredentialEntry> {
    let mut newest: Vec<&CredentialEntry> = Vec::new();
    for (_, entry) in &key.credentials {
        match newest.iter_mut().find(|known| has_same_scope(&known.facts, &entry.facts)) {
            Some(known) => *known = *entry,
            None => newest.push(entry),
        }
    }
    newest
}

fn has_same_scope(one: &CredentialFacts, other: &CredentialFacts) -> bool {
    let scope = |facts: &CredentialFacts| {
        let sorted = |ids: &[String]| {
            let mut ids = ids.to_vec();
            ids.sort();
            ids
        };
        (facts.vendor.clone(), sorted(&facts.classes), sorted(&facts.serials), facts.actions)
    };
    scope(one) == scope(other)
}

/// The rows of the key that a credential says, as the ledger has them.
pub(crate) fn role_of(key: &KeyState<'_>) -> Result<Role, Error> {
    Role::from_name(key.role).ok_or(DAMAGED)
}

impl Again {
    /// The same credential as `old`, of the key's ceiling and generation, issued anew.
    pub(crate) fn new(
        key: &KeyState<'_>,
        old: &CredentialEntry,
        issuance: Issuance<'_>,
    ) -> Result<Self, Error> {
        let facts = &old.facts;
        let role = role_of(key)?;
        let id = |text: &String| Uuid::try_parse(text).map(Uuid::into_bytes).map_err(|_| DAMAGED);
        let end = validity(role).map(|seconds| UnixTime(issuance.issued_at.0.saturating_add(seconds)));
        let lists = issuance.ledger.lists_in_force();
        let lowest = lists.iter().map(|list| list.lowest_generation(role)).max().unwrap_or(0);
        let request = CredentialRequest {
            iss: issuance.ledger.opened().name.clone(),
            sub: facts.name.clone(),
            key: PublicKey::from_cose_key(&facts.public_key.0).map_err(|_| DAMAGED)?,
            role,
            scope: ScopeRequest {
                vendor: id(&facts.vendor)?,
                classes: facts.classes.iter().map(id).collect::<Result<_, _>>()?,
                serials: facts.serials.clone(),
                actions: facts.actions,
            },
            issued_at: issuance.issued_at,
            not_before: None,
            expires: issuance.expires.or(end),
            cti: random_cti()
                .map_err(|error| Error::KeyOperation { doing: "generated", source: Box::new(error) })?,
            generation: key.generation().max(lowest),
            sequence_ceiling: key.ceiling(),
        };
        let (holder, kept) = (key.holder.map(str::to_owned), key.kept.map(str::to_owned));
        Ok(Self { request, names: old.names.clone(), holder, kept })
    }

    /// The same for another key, which takes over: a generation later, and with numbers that the first one cannot have used.
    pub(crate) fn for_successor(self, successor: Successor) -> Self {
        let Successor { key, name, holder, kept, generation, ceiling } = successor;
        let request = CredentialRequest {
            key,
            sub: name,
            generation: generation.max(self.request.generation),
            sequence_ceiling: Some(ceiling),
            ..self.request
        };
        Self { request, holder, kept, ..self }
    }

    pub(crate) fn in_ledger(&self, event: Event) -> Event {
        let Event::Credential(entry) = event else { return event };
        let (names, holder, kept) = (self.names.clone(), self.holder.clone(), self.kept.clone());
        Event::Credential(CredentialEntry { names, holder, kept, ..entry })
    }

    /// Name of its file: the key's, and its kid, since names may be alike without what file names lack.
    pub(crate) fn file_name(&self, place: usize) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
        let name: String = self.request.sub.chars().map(plain).collect();
        let kid = hex::encode(self.request.key.kid().0);
        let place = if place == 0 { String::new() } else { format!("-{}", place.saturating_add(1)) };
        format!("{name}-{kid}{place}.cwt")
    }
}
