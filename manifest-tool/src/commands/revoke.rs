//! `revoke`: revoke credentials and keys, and set minimum sequence numbers. A list is whole: it repeats everything in
//! the previous one.

mod devices;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ledger::{Event, Ledger, ListEntry};
use serde::Serialize;
use trust::author::{Minimum, RevocationRequest};
use trust::host::read_unverified_revocation;
use trust::{
    DEFAULT_SEQUENCE_CEILING, Kid, MAX_GENERATION, MAX_LIST_SEQUENCE, MAX_MINIMUM_SEQUENCE, RevocationClaims,
    Revoked, RevokedId, Role, UnixTime,
};

use self::devices::{DeviceArguments, Lines};
use super::SigningKeyArguments;
use super::credential::CredentialFile;
use super::list::{
    NewList, OwnCredential, PreviousArguments, PublishedArguments, blank, issuer, newest_time,
};
use crate::custody::scopes::{self, Unfamiliar};
use crate::describe::{RevocationView, uuid};
use crate::error::Error;
use crate::files::{OverwriteArguments, Wanted, check_outputs, write};
use crate::identifiers::{Class, IdentifierError, Vendor};
use crate::kind::Kind;
use crate::output::{Report, table};
use crate::recording::{LedgerArguments, Outcome, check_right};
use crate::step::StepArguments;
use crate::time::IssueTime;
use crate::two_steps::{Hand, ToBeSigned, TwoStepArguments};

/// Highest list-sequence of the command line: as many are left for its successors.
const HIGHEST_SEQUENCE: u64 = MAX_LIST_SEQUENCE / 2;
const NO_GENERATION: &str = "--kid and --cti need --role and --generation (the highest that this root has issued for \
                             the role); with the credential at hand, give --key-of or --credential instead";

const NO_NAMES: &str =
    "keys go by name only with a ledger: pass --ledger, or name them with --key-of or --kid";

/// `N` bytes in hex.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct HexBytes<const N: usize>([u8; N]);

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0} hexadecimal digits are required")]
struct HexError(usize);

impl<const N: usize> FromStr for HexBytes<N> {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; N];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| HexError(2 * N))?;
        Ok(Self(bytes))
    }
}

/// `--minimum`: devices of the class, or of all classes, refuse releases below this sequence number.
#[derive(Clone, PartialEq, Eq, Debug)]
struct MinimumArgument {
    class: Option<Class>,
    sequence: NonZeroU64,
}

impl FromStr for MinimumArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (class, sequence) = text.rsplit_once('=').ok_or("a minimum is CLASS=SEQUENCE, or *=SEQUENCE")?;
        let sequence =
            sequence.parse().ok().filter(|sequence: &NonZeroU64| sequence.get() <= MAX_MINIMUM_SEQUENCE);
        let sequence = sequence.ok_or(format!("a minimum is 1 to {MAX_MINIMUM_SEQUENCE}"))?;
        let class = match class {
            "*" => None,
            class => Some(class.parse().map_err(|error: IdentifierError| error.to_string())?),
        };
        Ok(Self { class, sequence })
    }
}

/// `--lowest-generation`: all credentials of the role below it are revoked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct GenerationArgument {
    role: Role,
    lowest: u64,
}

impl FromStr for GenerationArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (role, lowest) = text.split_once('=').ok_or("a lowest generation is ROLE=GENERATION")?;
        let role = Role::from_name(role).ok_or(format!("{role:?} is not a role"))?;
        let lowest = lowest.parse().ok().filter(|lowest| *lowest <= MAX_GENERATION);
        Ok(Self { role, lowest: lowest.ok_or(format!("a generation is 0 to {MAX_GENERATION}"))? })
    }
}

/// Sign a revocation list with the root key
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("what").multiple(true).required(true))]
pub struct Revoke {
    /// Key to revoke, by its name or kid in the ledger (repeatable)
    #[arg(value_name = "NAME", group = "what")]
    names: Vec<String>,
    #[command(flatten)]
    key: SigningKeyArguments,
    /// Name of the issuer, at most 64 bytes [default: that of the ledger]
    #[arg(long, value_parser = super::name())]
    issuer: Option<String>,
    #[command(flatten)]
    previous: PreviousArguments,
    #[command(flatten)]
    published: PublishedArguments,
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// list-sequence of the new list, 1 to 2^61 [default: the next one]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=HIGHEST_SEQUENCE))]
    sequence: Option<u64>,
    /// Credential to revoke; other credentials of its key stay valid (repeatable)
    #[arg(long = "credential", value_name = "FILE", group = "what")]
    credentials: Vec<PathBuf>,
    /// Credential whose key to revoke, under all of its credentials: give each one that you have (repeatable)
    #[arg(long = "key-of", value_name = "FILE", groups = ["what", "with_generation"])]
    keys_of: Vec<PathBuf>,
    /// kid of a key to revoke when its credential is lost (repeatable)
    #[arg(long = "kid", value_name = "HEX", groups = ["what", "bare", "with_generation"])]
    kids: Vec<HexBytes<8>>,
    /// cti of a credential to revoke when the file is lost (repeatable)
    #[arg(long = "cti", value_name = "HEX", groups = ["what", "bare", "with_generation"])]
    ctis: Vec<HexBytes<16>>,
    /// Role of --kid and --cti, which require it
    #[arg(long, value_parser = super::role(), requires = "bare")]
    role: Option<Role>,
    /// Highest generation that this root has issued for the role; --kid and --cti require it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=MAX_GENERATION),
          requires = "with_generation")]
    generation: Option<u64>,
    #[command(flatten)]
    devices: DeviceArguments,
    /// Revoke each credential of a role below this generation (repeatable)
    #[arg(long = "lowest-generation", value_name = "ROLE=GENERATION", group = "what")]
    lowest_generations: Vec<GenerationArgument>,
    /// Revoke nothing more: the first list of a root, which a succession chain needs
    #[arg(long, group = "what", conflicts_with_all = [
        "names", "credentials", "keys_of", "kids", "ctis", "serials", "lowest_generations",
        "minimums",
    ])]
    nothing_new: bool,
    /// Make devices of a class (UUID or name; * for all) refuse releases below this sequence number (repeatable)
    #[arg(long = "minimum", value_name = "CLASS=SEQUENCE", group = "what", requires = "vendor")]
    minimums: Vec<MinimumArgument>,
    /// Vendor of the classes of --minimum: UUID or domain
    #[arg(long, requires = "minimums")]
    vendor: Option<Vendor>,
    /// Release credential in use; a minimum above all ceilings is refused (repeatable) [default ceiling: 4294967295]
    #[arg(long, value_name = "FILE", requires = "minimums")]
    known: Vec<PathBuf>,
    /// Revocation list to write
    #[arg(long, value_name = "FILE", required_unless_present = "tbs_out", conflicts_with = "tbs_out")]
    out: Option<PathBuf>,
    #[command(flatten)]
    two_steps: TwoStepArguments,
    /// Accept a minimum above all ceilings, which stops all releases
    #[arg(long, requires = "minimums")]
    allow_unreachable_minimum: bool,
    #[command(flatten)]
    time: IssueTime,
    #[command(flatten)]
    step: StepArguments,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct RevokeReport {
    out: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_be_signed: Option<ToBeSigned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_entry: Option<u64>,
    /// Vendor or classes of minimums that nothing at hand knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unfamiliar: Vec<Unfamiliar>,
    #[serde(flatten)]
    list: RevocationView,
}

impl Revoke {
    pub fn run(&self) -> Result<RevokeReport, Error> {
        self.run_by(None)
    }

    /// Revokes; `hand` signs in place of the key of the command line.
    pub(crate) fn run_by(&self, hand: Option<Hand>) -> Result<RevokeReport, Error> {
        let files = self.credentials.iter().chain(&self.keys_of).chain(&self.known).map(PathBuf::as_path);
        let inputs: Vec<&Path> = files.chain(self.previous.paths()).chain(self.published.path()).collect();
        for out in self.out.iter().chain(&self.two_steps.outputs()) {
            self.key.must_differ_from(out, &inputs)?;
        }
        // Before the passphrase prompt.
        let for_ledger = [("--reason", self.reason.is_some()), self.published.option()];
        let mut recorder = self.ledger.open(self.key.file().as_deref(), &for_ledger)?;
        check_right(recorder.ledger(), "sign revocation lists", Ledger::may_revoke)?;
        let held = self.previous.held(recorder.ledger())?;
        self.published.check(recorder.ledger())?;
        let issued_at = recorder.time(self.time, newest_time(&held))?;
        let mut named = self.bare()?;
        named.extend(self.named(recorder.ledger(), issued_at)?);
        let lines = self.devices.open()?;
        named.extend(self.devices.named(&lines, recorder.ledger(), issued_at)?);
        let known = CredentialFile::read_all(&self.known)?;
        let ceiling = highest_ceiling(&known, recorder.ledger())?;
        self.time.warn();
        let hand = hand.map_or_else(|| self.two_steps.open(&self.key), Ok)?;
        let root = &hand.public_key();
        recorder.check(root)?;
        let unfamiliar = self.unfamiliar(&known, recorder.ledger())?;
        let issuer = issuer(self.issuer.as_deref(), recorder.ledger())?;
        let (sequence, step, ledger) = (self.sequence, self.step, recorder.ledger());
        let list = NewList { root, issuer: &issuer, sequence, step, issued_at, ledger };
        let unsigned = list.prepare(&held, |request| {
            for path in &self.keys_of {
                named.push(OwnCredential::read(path, root)?.key(self.generation.unwrap_or(0)));
            }
            for Revoked { role, generation, id } in &named {
                request.revoke(*role, *generation, *id);
            }
            for path in &self.credentials {
                OwnCredential::read(path, root)?.revoke(request);
            }
            self.raise_generations(request, &lines)?;
            self.raise_minimums(request, ceiling)
        })?;
        let list = blank(&unsigned)?;
        let claims =
            read_unverified_revocation(&list).map_err(|_| Error::Internal("the list does not read"))?;
        named.iter().try_for_each(|revoked| check_in_force(&claims, revoked))?;
        let list = RevocationView::new(&claims);
        let existing = self.overwrite.existing();
        let outputs: Vec<Wanted<'_>> =
            self.out.iter().map(|out| (out.as_path(), Some(Kind::RevocationList))).collect();
        check_outputs(&outputs, existing)?;
        self.ledger.warn_without(&recorder, "signature");
        let with_reason = |event| match event {
            Event::RevocationList(entry) => {
                Event::RevocationList(ListEntry { reason: self.reason.clone(), ..entry })
            }
            event => event,
        };
        let made = recorder.record(&unsigned, with_reason, issued_at, &hand, (&list.rows(), existing))?;
        let (to_be_signed, ledger_entry) = match made {
            Outcome::Begun { to_be_signed, entry } => (Some(to_be_signed), entry),
            Outcome::Signed { record, entry } => {
                self.out.iter().try_for_each(|out| write(out, &record, existing))?;
                (None, entry)
            }
        };
        Ok(RevokeReport { out: self.out.clone(), to_be_signed, ledger_entry, unfamiliar, list })
    }

    /// The keys of the ledger that the command line names, each with the highest generation that it ever had.
    fn named(&self, ledger: Option<&Ledger>, now: UnixTime) -> Result<Vec<Revoked>, Error> {
        let Some(ledger) = ledger else {
            return if self.names.is_empty() { Ok(Vec::new()) } else { Err(Error::usage(NO_NAMES)) };
        };
        let revoked = self.names.iter().map(|name| {
            let key = ledger.key_named(name, now)?;
            let role =
                Role::from_name(key.role).ok_or(Error::Internal("a role of the ledger has no name"))?;
            Ok(RevokedId::Key(Kid(key.kid.0)).revoked(role, key.generation()))
        });
        revoked.collect()
    }

    /// The ids of the command line. A guessed role would revoke nothing; a guessed generation would let the id leave
    /// the list too early, or never.
    fn bare(&self) -> Result<Vec<Revoked>, Error> {
        let keys = self.kids.iter().map(|kid| RevokedId::Key(Kid(kid.0)));
        let ids: Vec<_> = keys.chain(self.ctis.iter().map(|cti| RevokedId::Credential(cti.0))).collect();
        match (self.role, self.generation) {
            _ if ids.is_empty() => Ok(Vec::new()),
            (Some(role), Some(generation)) => {
                Ok(ids.into_iter().map(|id| id.revoked(role, generation)).collect())
            }
            _ => Err(Error::usage(NO_GENERATION)),
        }
    }

    /// A minimum for a class that no device has stops nothing.
    fn unfamiliar(
        &self,
        known: &[CredentialFile],
        ledger: Option<&Ledger>,
    ) -> Result<Vec<Unfamiliar>, Error> {
        let Some(vendor) = self.vendor.as_ref().map(Vendor::id) else { return Ok(Vec::new()) };
        let ledgers: Vec<&Ledger> = ledger.into_iter().collect();
        let classes = self.minimums.iter().filter_map(|minimum| Some(minimum.class.as_ref()?.id(vendor)));
        scopes::check(&ledgers, &known.iter().collect::<Vec<_>>(), vendor, classes)
    }

    fn raise_generations(&self, request: &mut RevocationRequest, lines: &Lines) -> Result<(), Error> {
        for GenerationArgument { role, lowest } in &self.lowest_generations {
            let held = request.lowest_generation(*role);
            if *lowest < held {
                let message =
                    format!("the lowest generation of {} credentials is {held} already", role.name());
                return Err(Error::usage(message));
            }
            request.raise_generation(*role, *lowest);
        }
        // An issuing key whose entry leaves the list with this very command is not revoked for good.
        let of_devices = self.lowest_generations.iter().filter(|raised| raised.role == Role::Device);
        of_devices
            .map(|raised| raised.lowest)
            .max()
            .map_or(Ok(()), |lowest| self.devices.check_lowest(lines, request, lowest))
    }

    /// Each class once. A minimum never falls: devices may already have refused releases below it.
    fn raise_minimums(&self, request: &mut RevocationRequest, ceiling: u64) -> Result<(), Error> {
        let Some(vendor) = self.vendor.as_ref().map(Vendor::id) else { return Ok(()) };
        for wanted in &self.minimums {
            let class = wanted.class.as_ref().map(|class| class.id(vendor).into_bytes());
            let minimum = Minimum { vendor: vendor.into_bytes(), class, sequence: wanted.sequence.get() };
            let same = |least: &&Minimum| (least.vendor, least.class) == (minimum.vendor, minimum.class);
            if let Some(least) = request.minimum_sequences.iter().find(same)
                && minimum.sequence < least.sequence
            {
                let class = class.as_ref().map_or("all classes".to_owned(), uuid);
                return Err(Error::usage(format!("the minimum of {class} is {} already", least.sequence)));
            }
            if minimum.sequence > ceiling && !self.allow_unreachable_minimum {
                return Err(Error::MinimumAboveCeiling { minimum: minimum.sequence, ceiling });
            }
            request.raise_minimum(minimum);
        }
        Ok(())
    }
}

/// An id below the lowest generation of its role is not in the list. It may have a credential of a higher generation,
/// which would stay valid. (A credential that was read is certainly below.)
fn check_in_force(list: &RevocationClaims<'_>, revoked: &Revoked) -> Result<(), Error> {
    let Revoked { role, generation, id } = revoked;
    let is_revoked = match id {
        RevokedId::Key(kid) => list.revokes_kid(*role, kid),
        RevokedId::Credential(cti) => list.revokes_cti(*role, cti),
    };
    if is_revoked {
        return Ok(());
    }
    let lowest = list.lowest_generation(*role);
    Err(Error::BelowLowestGeneration { id: hex::encode(id.as_bytes()), generation: *generation, lowest })
}

/// No release can reach a minimum above this.
fn highest_ceiling(known: &[CredentialFile], ledger: Option<&Ledger>) -> Result<u64, Error> {
    let of_ledger = ledger.into_iter().flat_map(Ledger::line).flat_map(Ledger::credentials);
    let mut highest = of_ledger.filter_map(|(_, entry)| entry.facts.ceiling).max();
    for file in known {
        let claims = file.claims()?;
        if claims.role() == Role::Release {
            highest = highest.max(Some(claims.sequence_ceiling()));
        }
    }
    Ok(highest.unwrap_or(DEFAULT_SEQUENCE_CEILING))
}

impl Report for RevokeReport {
    fn lines(&self) -> String {
        let mut rows = Vec::new();
        rows.extend(self.out.as_ref().map(|out| ("revocation list", out.display().to_string())));
        rows.extend(self.to_be_signed.iter().flat_map(ToBeSigned::rows));
        rows.extend(self.ledger_entry.map(|entry| ("entry of the ledger", entry.to_string())));
        rows.extend(self.list.rows());
        table(&rows)
    }
}
