//! `credential issue`, `credential inspect` and `credential certificate`.

pub(super) mod again;
mod certificate;
mod inspect;
mod known;
pub(crate) mod left;
mod renew;

pub(super) use known::check_new_key;
pub use renew::Renew;
use std::path::{Path, PathBuf};

use ledger::{CredentialEntry, Event, Ledger};
use serde::Serialize;
use suit_manifest::Reason;
use trust::author::{
    CredentialRequest, ScopeRequest, Unsigned, prepare_credential, random_cti, read_unverified_credential,
};
use trust::host::{Serial, read_unverified_revocation};
use trust::{
    Anchor, CredentialClaims, DEFAULT_SEQUENCE_CEILING, MAX_CLASSES, MAX_GENERATION, MAX_SEQUENCE_CEILING,
    MAX_SERIALS, PublicKey, RevocationList, Role, UnixTime,
};

use super::list::{
    HeldList, NO_PREVIOUS, NewList, OwnCredential, PreviousArguments, PublishedArguments, blank, issuer,
};
use super::{SigningKeyArguments, at_most, distinct};
use crate::custody::scopes::{self, Unfamiliar};
use crate::describe::CredentialView;
use crate::error::Error;
use crate::files::{OverwriteArguments, check_outputs, write_all};
use crate::identifiers::{Class, Vendor, device_serial};
use crate::kind::Kind;
use crate::output::{Report, table, warning};
use crate::public_key;
use crate::recording::{LedgerArguments, Outcome, check_right};
use crate::step::{MAX_STEP, StepArguments};
use crate::time::{IssueTime, Time, display};
use crate::two_steps::{Hand, ToBeSigned, TwoStepArguments};
pub(crate) use known::{CredentialFile, InUse, read_issuing};
use known::{check_not_taken_back, check_role, of_ledger, widened};

pub use certificate::Certificate;
pub use inspect::Inspect;

const NO_LIST: &str = "--first requires --replaces and --list-out";

/// Certify a key with the root key
#[derive(clap::Args, Clone, Debug)]
pub struct Issue {
    #[command(flatten)]
    key: SigningKeyArguments,
    /// Public key to certify (COSE_Key, SPKI PEM or DER, OpenSSH)
    #[arg(long = "for", value_name = "PUBLIC")]
    subject_key: PathBuf,
    /// Role of the key
    #[arg(long, value_parser = super::role())]
    role: Role,
    /// Vendor of the devices: UUID or domain
    #[arg(long)]
    vendor: Vendor,
    /// Class of the devices: UUID or name (repeatable) [default: any]
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<Class>,
    /// Serial of a device; not for role release (repeatable) [default: any]
    #[arg(long = "serial", value_name = "SERIAL", value_parser = device_serial)]
    serials: Vec<Serial>,
    /// Name of the issuer, at most 64 bytes [default: that of the ledger]
    #[arg(long, value_parser = super::name())]
    issuer: Option<String>,
    /// Name of the key and its holder, at most 64 bytes; with a ledger, each name belongs to one key
    #[arg(long, value_parser = super::name())]
    subject: String,
    /// Start of validity, such as 2030-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    not_before: Option<Time>,
    /// End of validity; must lie in the future [default with a ledger: two years, for service keys one]
    #[arg(long, value_name = "TIME")]
    expires: Option<Time>,
    /// Set no end of validity, also with a ledger
    #[arg(long, conflicts_with = "expires")]
    no_expiry: bool,
    /// Highest sequence number that a release key may sign [default: 4294967295; with a ledger, above each revoked key's]
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..=MAX_SEQUENCE_CEILING))]
    ceiling: Option<u64>,
    /// Generation; a revocation list can revoke all generations below one [default: 0; with a ledger, the newest of the role]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=MAX_GENERATION))]
    generation: Option<u64>,
    /// Credential in use, or ledger: its keys get no second role, its issuer no credential, its numbers are known (repeatable)
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// Older credential of this key, which --list-out revokes (repeatable)
    #[arg(long, value_name = "FILE", requires = "list_out")]
    replaces: Vec<PathBuf>,
    /// Revocation list to write, for --replaces
    #[arg(long, value_name = "FILE", requires = "replaces", conflicts_with = "tbs_out")]
    list_out: Option<PathBuf>,
    #[command(flatten)]
    previous: PreviousArguments,
    #[command(flatten)]
    published: PublishedArguments,
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Who holds the certified key, for the ledger
    #[arg(long, value_name = "PERSON")]
    holder: Option<String>,
    /// Where the certified key is kept, in words, for the ledger
    #[arg(long, value_name = "TEXT")]
    kept: Option<String>,
    #[command(flatten)]
    time: IssueTime,
    /// Credential to write
    #[arg(long, value_name = "FILE", required_unless_present = "tbs_out", conflicts_with = "tbs_out")]
    out: Option<PathBuf>,
    #[command(flatten)]
    two_steps: TwoStepArguments,
    #[command(flatten)]
    step: StepArguments,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Issued {
    out: Option<PathBuf>,
    list_out: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_be_signed: Option<ToBeSigned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_entry: Option<u64>,
    /// What it permits that the newest credential before of its key did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    widened: Vec<String>,
    /// Vendor or classes that nothing at hand knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unfamiliar: Vec<Unfamiliar>,
    #[serde(flatten)]
    credential: CredentialView,
}

impl Issue {
    pub fn run(&self) -> Result<Issued, Error> {
        self.run_by(None)
    }

    /// Issues; `hand` signs in place of the key of the command line.
    pub(crate) fn run_by(&self, hand: Option<Hand>) -> Result<Issued, Error> {
        let files = self.known.iter().chain(&self.replaces).map(PathBuf::as_path);
        let inputs: Vec<&Path> = files
            .chain(self.previous.paths())
            .chain(self.published.path())
            .chain([self.subject_key.as_path()])
            .collect();
        for out in self.outputs().map(Path::to_owned).chain(self.two_steps.outputs()) {
            self.key.must_differ_from(&out, &inputs)?;
        }
        let for_ledger = [
            ("--holder", self.holder.is_some()),
            ("--kept", self.kept.is_some()),
            ("--no-expiry", self.no_expiry),
            self.published.option(),
        ];
        let mut recorder = self.ledger.open(self.key.file().as_deref(), &for_ledger)?;
        self.check_arguments(recorder.ledger())?;
        check_right(recorder.ledger(), certify(self.role), |ledger| ledger.may_certify(self.role))?;
        let subject_key = public_key::open(&self.subject_key)?;
        check_not_taken_back(recorder.ledger(), &subject_key)?;
        let InUse { credentials: mut known, ledgers } = InUse::read(&self.known)?;
        let replaces = CredentialFile::read_all(&self.replaces)?;
        known.extend(of_ledger(recorder.ledger()));
        let numbers = self.numbers(&subject_key, known.iter().chain(&replaces), recorder.ledger())?;
        for ledger in recorder.ledger().into_iter().chain(&ledgers) {
            check_role(ledger, &subject_key, self.role)?;
        }
        let issued_at = recorder.time(self.time, numbers.latest)?;
        self.time.warn();
        if let Some(Time(end)) = self.expires.filter(|Time(end)| *end <= issued_at) {
            return Err(Error::usage(format!("--expires {} lies in the past", display(end))));
        }
        if self.list_out.is_some() {
            self.published.check(recorder.ledger())?;
        }
        // Of the command line or the ledger; a credential without a list needs none.
        let is_known = self.previous.is_given() || recorder.ledger().is_some();
        let held = if is_known { self.previous.held(recorder.ledger())? } else { Vec::new() };
        let hand = hand.map_or_else(|| self.two_steps.open(&self.key), Ok)?;
        let root = &hand.public_key();
        recorder.check(root)?;
        if subject_key == *root {
            return Err(self.for_anchor());
        }
        for file in known.iter().chain(&replaces) {
            let claims = file.claims()?;
            if claims.key() == root {
                return Err(Error::KeyHasRole { path: file.path.clone(), role: claims.role().name() });
            }
        }
        let issuer = issuer(self.issuer.as_deref(), recorder.ledger())?;
        let request = self.request(subject_key, &issuer, issued_at, &numbers, recorder.ledger())?;
        let unsigned = prepare_credential(&request, root)
            .map_err(|error| Error::author("the credential", None, error))?;
        let blank_credential = blank(&unsigned)?;
        let claims = read_unverified_credential(&blank_credential)
            .map_err(|_| Error::Internal("the new credential cannot be read back"))?;
        let wider = widened(&claims, &known.iter().chain(&replaces).collect::<Vec<_>>())?;
        if !wider.is_empty() {
            warning(&format!(
                "this credential permits more than the one before of its key: {}",
                wider.join("; ")
            ));
        }
        let at_hand: Vec<&Ledger> = recorder.ledger().into_iter().chain(&ledgers).collect();
        let classes = self.classes.iter().map(|class| class.id(self.vendor.id()));
        let in_use: Vec<&CredentialFile> = known.iter().chain(&replaces).collect();
        let unfamiliar = scopes::check(&at_hand, &in_use, self.vendor.id(), classes)?;
        let credential_view = || CredentialView::new(&claims).with_names(&self.vendor, &self.classes());
        let list = match &self.list_out {
            Some(_) => {
                let ledger = recorder.ledger();
                let list =
                    NewList { root, issuer: &issuer, sequence: None, step: self.step, issued_at, ledger };
                Some(replace(&list, &held, &replaces, &claims)?)
            }
            None => None,
        };
        self.check_under(list.as_ref(), &held, root, &claims)?;
        let existing = self.overwrite.existing();
        let kinds = [Kind::Credential, Kind::RevocationList].map(Some);
        check_outputs(&self.outputs().zip(kinds).collect::<Vec<_>>(), existing)?;

        self.ledger.warn_without(&recorder, "signature");
        let in_ledger = |event| self.in_ledger(event);
        let report = |to_be_signed, ledger_entry| {
            Ok(Issued {
                out: self.out.clone(),
                list_out: self.list_out.clone(),
                to_be_signed,
                ledger_entry,
                widened: wider.clone(),
                unfamiliar: unfamiliar.clone(),
                credential: credential_view(),
            })
        };
        // A list beside the credential is signed by a key that is at hand.
        let Hand::Now(signer) = &hand else {
            let rows = credential_view().rows();
            return match recorder.record(&unsigned, in_ledger, issued_at, &hand, (&rows, existing))? {
                Outcome::Begun { to_be_signed, entry } => report(Some(to_be_signed), entry),
                Outcome::Signed { .. } => Err(Error::Internal("somebody else signed at once")),
            };
        };
        let mut signed = vec![recorder.sign(&unsigned, in_ledger, issued_at, signer.as_ref())?];
        if let Some(list) = &list {
            signed.push(recorder.sign(list, |event| event, issued_at, signer.as_ref())?);
        }
        let ledger_entry = recorder.close(issued_at, signer.as_ref())?;
        let files: Vec<(&Path, &[u8])> = self.outputs().zip(signed.iter().map(Vec::as_slice)).collect();
        write_all(&files, existing)?;
        report(None, ledger_entry)
    }

    /// The credential, and the list if there is one.
    fn outputs(&self) -> impl Iterator<Item = &Path> {
        self.out.iter().chain(&self.list_out).map(PathBuf::as_path)
    }

    fn classes(&self) -> Vec<&Class> {
        let vendor = self.vendor.id();
        distinct(&self.classes, |class| class.id(vendor))
    }

    /// What no file has to be read for.
    fn check_arguments(&self, ledger: Option<&Ledger>) -> Result<(), Error> {
        if self.list_out.is_some() && !self.previous.is_given() && ledger.is_none() {
            return Err(Error::usage(NO_PREVIOUS));
        }
        if self.list_out.is_none() && self.previous.is_first() {
            return Err(Error::usage(NO_LIST));
        }
        at_most("--class", self.classes().len(), MAX_CLASSES.into())?;
        at_most("--serial", self.serials().len(), MAX_SERIALS.into())?;
        if let (Some(Time(begin)), Some(Time(end))) = (self.not_before, self.expires)
            && begin >= end
        {
            return Err(Error::usage(format!("--not-before {} is not before --expires", display(begin))));
        }
        if self.ceiling.is_some() && self.role != Role::Release {
            return Err(Error::usage("--ceiling is for release credentials only"));
        }
        if self.role == Role::Release && !self.serials.is_empty() {
            return Err(Error::usage(
                "a release credential cannot be limited to serials: omit --serial, or pass it to create",
            ));
        }
        Ok(())
    }

    fn serials(&self) -> Vec<&Serial> {
        distinct(&self.serials, |serial| serial.as_str().to_owned())
    }

    fn request(
        &self,
        key: PublicKey,
        issuer: &str,
        issued_at: UnixTime,
        numbers: &Numbers,
        ledger: Option<&Ledger>,
    ) -> Result<CredentialRequest, Error> {
        let vendor = self.vendor.id();
        let proposed = ledger.filter(|_| !self.no_expiry).and_then(|_| validity(self.role));
        let proposed = proposed.map(|seconds| {
            let begin = self.not_before.map_or(issued_at, |Time(begin)| begin.max(issued_at));
            UnixTime(begin.0.saturating_add(seconds))
        });
        Ok(CredentialRequest {
            iss: issuer.to_owned(),
            sub: self.subject.clone(),
            key,
            role: self.role,
            scope: ScopeRequest {
                vendor: vendor.into_bytes(),
                classes: self.classes().iter().map(|class| class.id(vendor).into_bytes()).collect(),
                serials: self.serials().iter().map(|serial| serial.as_str().to_owned()).collect(),
                actions: None,
            },
            issued_at,
            not_before: self.not_before.map(|Time(time)| time),
            expires: self.expires.map(|Time(time)| time).or(proposed),
            cti: random_cti()
                .map_err(|error| Error::KeyOperation { doing: "generated", source: Box::new(error) })?,
            generation: numbers.generation,
            sequence_ceiling: numbers.ceiling,
        })
    }

    /// What the ledger knows beside the credential: names of ids, and who has the key.
    fn in_ledger(&self, event: Event) -> Event {
        let Event::Credential(entry) = event else { return event };
        let vendor = self.vendor.id();
        let classes = self
            .classes
            .iter()
            .filter_map(|class| Some((class.id(vendor).to_string(), class.name()?.to_owned())));
        let vendor_name = self.vendor.domain().map(|domain| (vendor.to_string(), domain.to_owned()));
        let names = vendor_name.into_iter().chain(classes).collect();
        Event::Credential(CredentialEntry {
            names,
            holder: self.holder.clone(),
            kept: self.kept.clone(),
            ..entry
        })
    }

    /// A credential whose key or generation a list of its root revokes would never be valid.
    fn check_under(
        &self,
        new: Option<&Unsigned>,
        held: &[HeldList],
        root: &PublicKey,
        claims: &CredentialClaims<'_>,
    ) -> Result<(), Error> {
        let anchors = [Anchor::root(*root)];
        for HeldList { path, bytes } in held {
            RevocationList::verify(bytes, &anchors).map_err(|error| Error::refused_record(path, error))?;
        }
        let new = new.map(blank).transpose()?;
        let lists = match &new {
            Some(new) => vec![&new[..]],
            None => held.iter().map(|list| &list.bytes[..]).collect(),
        };
        for list in lists {
            let refused = |error| Error::refused_record(&self.subject_key, error);
            let list = read_unverified_revocation(list).map_err(refused)?;
            claims.check_list(&list).map_err(|kind| refused(trust::Error::new(kind, 0)))?;
        }
        Ok(())
    }

    /// One key has one role, and a root has none. Generation and ceiling do not rise far above those in use; with a ledger,
    /// they go on from those in use.
    fn numbers<'f>(
        &self,
        subject_key: &PublicKey,
        files: impl Iterator<Item = &'f CredentialFile>,
        ledger: Option<&Ledger>,
    ) -> Result<Numbers, Error> {
        let list = ledger.and_then(Ledger::newest_list);
        // Each counts for the credentials of its own root.
        let lists: Vec<_> =
            ledger.into_iter().flat_map(Ledger::line).filter_map(Ledger::newest_list).collect();
        let is_revoked = |known: &CredentialClaims<'_>| {
            let of_root = lists.iter().find(|list| list.issuer_kid() == known.issuer_kid());
            of_root.is_some_and(|list| known.check_list(list).is_err())
        };
        let lowest = list.as_ref().map_or(0, |list| list.lowest_generation(self.role));
        let (mut highest, mut ceiling, mut latest) = (lowest, DEFAULT_SEQUENCE_CEILING, None);
        let (mut of_role, mut of_revoked) = (lowest, None);
        for file in files {
            let known = file.claims()?;
            if known.issuer_kid() == subject_key.kid() {
                return Err(self.for_anchor());
            }
            if known.key() == subject_key && known.role() != self.role {
                return Err(Error::KeyHasRole { path: file.path.clone(), role: known.role().name() });
            }
            highest = highest.max(known.generation());
            ceiling = ceiling.max(known.sequence_ceiling());
            latest = latest.max(Some(known.issued_at()));
            if known.role() == self.role {
                of_role = of_role.max(known.generation());
                if is_revoked(&known) {
                    of_revoked = of_revoked.max(Some(known.sequence_ceiling()));
                }
            }
        }
        let generation = self.generation.unwrap_or(if ledger.is_some() { of_role } else { 0 });
        // A thief may have used up the numbers of a revoked key.
        let above = of_revoked.filter(|_| self.role == Role::Release && self.ceiling.is_none());
        let above = above.map(|revoked| revoked.saturating_add(MAX_STEP).min(MAX_SEQUENCE_CEILING));
        let proposed = self.ceiling.or(above);
        self.step.check_generation("generation", highest, generation)?;
        self.step.check("sequence ceiling", ceiling, proposed.unwrap_or(0))?;
        Ok(Numbers { generation, ceiling: proposed, latest })
    }

    fn for_anchor(&self) -> Error {
        Error::refused(&self.subject_key, Reason::CredentialForAnchor, 0)
    }
}

/// A list that revokes the replaced credentials: the scope of a key is the union over its credentials.
fn replace(
    list: &NewList<'_>,
    held: &[HeldList],
    replaces: &[CredentialFile],
    new: &CredentialClaims<'_>,
) -> Result<Unsigned, Error> {
    list.prepare(held, |request| {
        for old in replaces {
            let CredentialFile { path, bytes } = old;
            if old.claims()?.key() != new.key() {
                let message = format!("{} is for another key: revoke it instead", path.display());
                return Err(Error::usage(message));
            }
            OwnCredential::verify(path, bytes, list.root)?.revoke(request);
        }
        Ok(())
    })
}

/// What a root does, for a message.
fn certify(role: Role) -> &'static str {
    match role {
        Role::Release => "certify release keys",
        Role::Identity => "certify identity keys",
        Role::Service => "certify service keys",
        Role::Device => "certify device keys",
        Role::Operator => "certify operator keys",
    }
}

/// The numbers of a new credential.
struct Numbers {
    generation: u64,
    /// `None`: the default.
    ceiling: Option<u64>,
    /// When the newest known credential was issued.
    latest: Option<UnixTime>,
}

const DAY: u64 = 24 * 60 * 60;

/// How long a credential of a role is good when nobody says so, seconds; `None`: without an end. A device without a clock
/// checks no end, so what must end on devices is revoked.
fn validity(role: Role) -> Option<u64> {
    match role {
        Role::Release | Role::Operator => Some(2 * 365 * DAY),
        Role::Service => Some(365 * DAY),
        Role::Identity | Role::Device => None,
    }
}

impl Report for Issued {
    fn lines(&self) -> String {
        let mut rows = Vec::new();
        rows.extend(self.out.as_ref().map(|out| ("credential", out.display().to_string())));
        rows.extend(self.to_be_signed.iter().flat_map(ToBeSigned::rows));
        rows.extend(self.list_out.as_ref().map(|path| ("revocation list", path.display().to_string())));
        rows.extend(self.ledger_entry.map(|entry| ("entry of the ledger", entry.to_string())));
        rows.extend(self.credential.rows());
        table(&rows)
    }
}
