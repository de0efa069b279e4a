//! What is known of a domain: the anchors that its devices were given, the successions since, and the lists of its roots.

use std::path::{Path, PathBuf};

use ledger::{Hex, Ledger, Purpose};
use suit_manifest::Reason;
use trust::host::read_unverified_revocation;
use trust::{
    Anchor, Domain, ErrorKind, MAX_SUCCESSION_CHAIN_LEN, PublicKey, Rights, SuccessionNumber, TrustStoreBuf,
    read_succession_file, read_unverified_succession,
};

use crate::custody::roles::{ROOT, keys_of};
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::public_key;
use crate::recording::{check_published, ledger_folder};

const NO_ROOT: &str = "pass the ledger of a root of the domain as --history, or its first root as --anchor";
/// Longest file with successions that is read, bytes.
const MAX_FILE_LEN: u64 = {
    assert!(MAX_SUCCESSION_CHAIN_LEN as u64 <= MAX_RECORD_FILE_LEN);
    MAX_RECORD_FILE_LEN
};

/// Where the history of a domain is read from.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct HistoryArguments {
    /// Ledger of a root, or of the recovery root, of the domain (repeatable) [default without --anchor: ANCHORAGE_LEDGER]
    #[arg(long, value_name = "DIR")]
    history: Vec<PathBuf>,
    /// First root of the domain, as devices have it [default: as the ledgers say]
    #[arg(long, value_name = "ANCHOR")]
    anchor: Option<PathBuf>,
    /// Say that --anchor is an owner's root, which certifies no release keys
    #[arg(long, requires = "anchor")]
    owner_root: bool,
    /// Recovery root of the domain, as devices have it [default: as the ledgers say]
    #[arg(long, value_name = "ANCHOR")]
    recovery_anchor: Option<PathBuf>,
    /// Succession, or succession chain, that is not in the ledgers (repeatable)
    #[arg(long = "succession", value_name = "FILE")]
    successions: Vec<PathBuf>,
    /// Published revocation list; request and grant refuse a copy of a ledger that lacks it (repeatable)
    #[arg(long = "list", value_name = "FILE")]
    lists: Vec<PathBuf>,
}

/// Whether the ledgers have to have the lists of the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Copies {
    /// Where a root is replaced: its successor goes on from what the ledger says.
    Newest,
    /// A list may be newer than its ledger.
    Any,
}

/// A record, and where it is from.
#[derive(Clone)]
struct Found {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// What is found in files and ledgers.
#[derive(Default)]
pub(super) struct Sources {
    first: Option<Anchor>,
    recovery: Option<PublicKey>,
    domain: Option<Domain>,
    successions: Vec<Found>,
    lists: Vec<Found>,
    /// The lists of the command line, which ledgers are held against.
    published: Vec<Found>,
    copies: Option<Copies>,
    /// Keys that are no roots, with the role of each.
    certified: Vec<(PathBuf, Hex<8>, &'static str)>,
    /// Names of keys, with the kid of each.
    names: Vec<(String, Hex<8>)>,
}

/// The history of a domain, verified from its first root on.
pub(super) struct History {
    pub(super) store: TrustStoreBuf,
    pub(super) domain: Domain,
    certified: Vec<(PathBuf, Hex<8>, &'static str)>,
    names: Vec<(String, Hex<8>)>,
}

impl HistoryArguments {
    pub(super) fn paths(&self) -> Vec<&Path> {
        let anchors = self.anchor.iter().chain(&self.recovery_anchor);
        anchors.chain(&self.successions).chain(&self.lists).map(PathBuf::as_path).collect()
    }

    /// Reads the files and ledgers of the command line.
    pub(super) fn sources(&self, copies: Copies) -> Result<Sources, Error> {
        let mut sources = Sources { copies: Some(copies), ..Sources::default() };
        for path in &self.lists {
            sources.lists.push(Found { path: path.clone(), bytes: read(path, MAX_RECORD_FILE_LEN)? });
        }
        sources.published.clone_from(&sources.lists);
        if let Some(path) = &self.anchor {
            let key = public_key::open(path)?;
            let rights = if self.owner_root { OWNER_ROOT } else { Rights::ALL };
            sources.first = Some(Anchor::new(key, rights, Domain(key.kid())));
            sources.domain = Some(Domain(key.kid()));
        }
        sources.recovery = self.recovery_anchor.as_deref().map(public_key::open).transpose()?;
        let folders = match (&self.history[..], &self.anchor) {
            ([], None) => ledger_folder(None).into_iter().collect(),
            (folders, _) => folders.to_vec(),
        };
        for folder in folders {
            sources.add_ledger(&Ledger::open(&folder)?)?;
        }
        for path in &self.successions {
            let file = read(path, MAX_FILE_LEN)?;
            let parts = read_succession_file(&file).map_err(|error| Error::refused_record(path, error))?;
            let found = |bytes: &[u8]| Found { path: path.clone(), bytes: bytes.to_vec() };
            sources.successions.extend(parts.records.into_iter().map(found));
            sources.lists.extend(parts.list.map(found));
        }
        Ok(sources)
    }
}

const OWNER_ROOT: Rights = Rights::GOVERNANCE.and(Rights::SUCCESSION);

impl Sources {
    /// Adds what a ledger knows, and those that it goes on from.
    pub(super) fn add_ledger(&mut self, ledger: &Ledger) -> Result<(), Error> {
        let domain = Domain(trust::Kid(ledger.opened().domain.0));
        if *self.domain.get_or_insert(domain) != domain {
            let path = ledger.folder().display();
            return Err(Error::usage(format!("{path} is a ledger of another domain than the rest")));
        }
        self.names.extend(ledger.names().into_iter().map(|(name, kid)| (name.to_owned(), kid)));
        for ledger in ledger.line() {
            let (key, folder) = (*ledger.key(), ledger.folder());
            for list in self.published.iter().filter(|_| self.copies == Some(Copies::Newest)) {
                let claims = read_unverified_revocation(&list.bytes);
                if claims.is_ok_and(|claims| claims.issuer_kid() == key.kid()) {
                    check_published(ledger, &list.path, &list.bytes)?;
                }
            }
            let is_first = key.kid() == domain.0;
            match ledger.rights().filter(|_| is_first && self.first.is_none()) {
                Some(rights) if ledger.opened().purpose != Purpose::RecoveryRoot => {
                    self.first = Some(Anchor::new(key, rights, domain));
                }
                _ => {}
            }
            if ledger.opened().purpose == Purpose::RecoveryRoot {
                self.add_recovery(key, folder)?;
            }
            let found = |bytes: &[u8]| Found { path: folder.to_owned(), bytes: bytes.to_vec() };
            for succession in ledger.successions() {
                if succession.facts.number().is_of_recovery() {
                    self.add_recovery(succession.grantor, folder)?;
                }
                self.successions.push(found(succession.record));
            }
            self.lists.extend(ledger.newest_list().map(|list| found(list.as_bytes())));
        }
        // A key that was a root before is refused by the successions themselves.
        let certified = keys_of(ledger).into_iter().filter(|known| known.role != ROOT);
        self.certified
            .extend(certified.map(|known| (known.ledger.folder().to_owned(), known.kid, known.role)));
        Ok(())
    }

    /// Devices have one recovery root of a domain.
    fn add_recovery(&mut self, key: PublicKey, path: &Path) -> Result<(), Error> {
        if *self.recovery.get_or_insert(key) == key {
            return Ok(());
        }
        Err(Error::refused(path, Reason::AnchorUnknown, 0))
    }

    /// The key that is going to sign is the recovery root, if the command line names no other one.
    pub(super) fn assume_recovery(&mut self, key: PublicKey) {
        self.recovery.get_or_insert(key);
    }

    /// Verifies everything, from the first root on.
    pub(super) fn verify(mut self) -> Result<History, Error> {
        let first = self.first.ok_or_else(|| Error::usage(NO_ROOT))?;
        let domain = first.domain();
        let recovery = self.recovery.map(|key| Anchor::recovery(key, domain));
        let mut store = TrustStoreBuf::new([first].into_iter().chain(recovery));
        let number = |found: &Found| read_unverified_succession(&found.bytes).map(|claims| claims.number());
        for found in &self.successions {
            number(found).map_err(|error| Error::refused_record(&found.path, error))?;
        }
        self.successions.sort_by_key(|found| number(found).ok());
        for found in &self.successions {
            let claims = read_unverified_succession(&found.bytes);
            let named = claims.map(|claims| (claims.iss().to_owned(), Hex(claims.key().kid().0)));
            self.names.extend(named);
        }
        for found in &self.lists {
            read_unverified_revocation(&found.bytes)
                .map_err(|error| Error::refused_record(&found.path, error))?;
        }
        // Lists are verified under the root that signed them, before it is replaced.
        self.lists
            .sort_by_key(|found| read_unverified_revocation(&found.bytes).ok().map(|list| list.sequence()));
        let mut refused = Vec::new();
        add_lists(&mut store, &mut self.lists)?;
        for found in self.successions {
            if let Err(error) = store.add_succession(found.bytes.clone()) {
                refused.push((found, error));
            }
            add_lists(&mut store, &mut self.lists)?;
        }
        let has_aside = !refused.is_empty();
        for (found, error) in refused {
            // What roots signed before the recovery root spoke does not count, a fork included; nor do the lists of the
            // roots that they named.
            let epoch = number(&found).map_or(0, |number| number.recovery_epoch);
            if epoch >= store.number_of(domain).recovery_epoch {
                return Err(Error::refused_record(&found.path, error));
            }
        }
        match self.lists.first() {
            Some(found) if !has_aside => Err(Error::refused(&found.path, Reason::AnchorUnknown, 0)),
            _ => Ok(History { store, domain, certified: self.certified, names: self.names }),
        }
    }
}

/// Adds the lists that the present root signed, and drops them.
fn add_lists(store: &mut TrustStoreBuf, lists: &mut Vec<Found>) -> Result<(), Error> {
    let mut later = Vec::new();
    for found in lists.drain(..) {
        match store.add_list(found.bytes.clone()) {
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::AnchorUnknown => later.push(found),
            Err(error) => return Err(Error::refused_record(&found.path, error)),
        }
    }
    *lists = later;
    Ok(())
}

impl History {
    /// The present root.
    pub(super) fn root(&self) -> Result<&Anchor, Error> {
        self.store.root_of(self.domain).ok_or(Error::Internal("the domain has no root"))
    }

    /// Its number.
    pub(super) fn number(&self) -> SuccessionNumber {
        self.store.number_of(self.domain)
    }

    /// The root that devices were given.
    pub(super) fn first(&self) -> Result<&Anchor, Error> {
        let first = self.store.given().iter().find(|anchor| anchor.is_root());
        first.ok_or(Error::Internal("the domain has no first root"))
    }

    /// A key that is to be a root was none before, and has no other role: whoever has it would have both. Its name is that of
    /// no other key: else no ledger of it could go on from that of the root before, under this name.
    pub(super) fn check_new(&self, key: &PublicKey, name: &str, path: &Path) -> Result<(), Error> {
        let names = self.names.iter().map(|(name, kid)| (name.as_str(), *kid));
        ledger::check_name(names, name, Hex(key.kid().0))?;
        if self.store.anchors().iter().any(|anchor| anchor.key() == key) {
            return Err(Error::refused(path, Reason::SuccessionKey, 0));
        }
        match self.certified.iter().find(|(_, certified, _)| certified.0 == key.kid().0) {
            Some((path, _, role)) => Err(Error::KeyHasRole { path: path.clone(), role }),
            None => Ok(()),
        }
    }
}
