//! `ledger init`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ledger::{Context, Event, Hex, Ledger, Open, Purpose, Writer};
use serde::Serialize;
use trust::author::{RecordKind, Unsigned, read_unverified_credential};
use trust::host::{Existing, read_unverified_revocation};
use trust::{PublicKey, UnixTime, verify_succession_request};

use super::shown;
use crate::commands::SigningKeyArguments;
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::identifiers::Vendor;
use crate::output::{Report, table};
use crate::public_key;
use crate::recording::{BESIDE, ByArguments, close_by, last_time};
use crate::time::IssueTime;
use crate::two_steps::{ToBeSigned, TwoStepArguments};

/// What the key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum PurposeArgument {
    /// The root of a domain
    Root,
    /// The root of an owner's domain: it certifies no release keys
    OwnerRoot,
    /// It names a new root, and does nothing else
    RecoveryRoot,
    /// It certifies devices
    Issuing,
}

impl From<PurposeArgument> for Purpose {
    fn from(purpose: PurposeArgument) -> Self {
        match purpose {
            PurposeArgument::Root => Self::Root,
            PurposeArgument::OwnerRoot => Self::OwnerRoot,
            PurposeArgument::RecoveryRoot => Self::RecoveryRoot,
            PurposeArgument::Issuing => Self::Issuing,
        }
    }
}

/// Begin the ledger of a key, with the records that it signed before
#[derive(clap::Args, Clone, Debug)]
pub struct Init {
    /// Folder of the ledger; must hold no ledger
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    key: SigningKeyArguments,
    #[command(flatten)]
    two_steps: TwoStepArguments,
    /// Name of the key, at most 64 bytes
    #[arg(long, value_parser = crate::commands::name())]
    name: String,
    /// What the key is for
    #[arg(long, value_enum, default_value = "root")]
    purpose: PurposeArgument,
    /// Ledger of the root that this key succeeds; the new ledger keeps a copy of it
    #[arg(long, value_name = "DIR")]
    continues: Option<PathBuf>,
    /// Public key of the first root of the domain [default: the key itself, or as the ledger before]
    #[arg(long, value_name = "ANCHOR", conflicts_with = "continues")]
    domain_anchor: Option<PathBuf>,
    /// Domain of the company, of which the vendor id is made [default: as the ledger before]
    #[arg(long)]
    vendor: Option<Vendor>,
    /// Person who holds the key
    #[arg(long, value_name = "PERSON")]
    holder: String,
    /// Where the key is kept, in words
    #[arg(long, value_name = "TEXT")]
    kept: String,
    /// Credential or revocation list that the key signed without a ledger (repeatable)
    #[arg(long = "adopt", value_name = "FILE", num_args = 1..)]
    adopt: Vec<PathBuf>,
    #[command(flatten)]
    by: ByArguments,
    #[command(flatten)]
    time: IssueTime,
}

#[derive(Debug, Serialize)]
pub struct Begun {
    ledger: PathBuf,
    name: String,
    kid: String,
    entries: u64,
    adopted: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_be_signed: Option<ToBeSigned>,
}

/// A record that was signed before, and when it was issued.
struct Old<'a> {
    path: &'a Path,
    record: Vec<u8>,
    unsigned: Unsigned,
    /// Lists after the credentials of the same second.
    order: (UnixTime, bool, u64),
}

impl Init {
    /// A key has one ledger: two would each give out numbers and names without the other.
    fn check_first(&self, key: &PublicKey) -> Result<(), Error> {
        let beside = self.key.file().map(|path| trust::host::folder_of(&path).join(BESIDE));
        match beside.filter(|folder| ledger::is_ledger(folder)).map(|folder| Ledger::open(&folder)) {
            Some(Ok(ledger)) if ledger.key() == key => {
                Err(ledger::Error::Exists(ledger.folder().to_owned()).into())
            }
            _ => Ok(()),
        }
    }

    pub fn run(&self) -> Result<Begun, Error> {
        let before = self.continues.as_deref().map(Ledger::open).transpose()?;
        self.check_purpose(before.as_ref())?;
        for out in self.two_steps.outputs() {
            let inputs: Vec<&Path> = self.adopt.iter().map(PathBuf::as_path).collect();
            self.key.must_differ_from(&out, &inputs)?;
        }
        let hand = self.two_steps.open(&self.key)?;
        hand.check(Existing::Keep)?;
        let key = hand.public_key();
        self.check_first(&key)?;
        let mut old = self.adopt.iter().map(|path| Old::read(path, &key)).collect::<Result<Vec<_>, _>>()?;
        old.sort_by_key(|old| old.order);
        old.dedup_by(|one, other| one.record == other.record);
        let earlier = before.as_ref().and_then(last_time);
        let now = self.time.after(old.iter().map(|old| old.order.0).chain(earlier))?;
        self.time.warn();
        let context = self.by.context(now);
        let open = Open {
            name: self.name.clone(),
            purpose: self.purpose.into(),
            kid: Hex(key.kid().0),
            public_key: Hex(key.to_cose_key()),
            domain: Hex(self.first_root(&key)?.kid().0),
            vendor: self.vendor(before.as_ref()),
            holder: self.holder.clone(),
            kept: self.kept.clone(),
            continues: None,
        };
        let mut writer = match &before {
            Some(before) => Writer::continue_from(&self.folder, open, before, &context)?,
            None => Writer::create(&self.folder, open, &context)?,
        };
        let unwitnessed = Context { unwitnessed: true, ..context };
        if let Err(refused) = old.iter().try_for_each(|old| old.adopt(&mut writer, &unwitnessed)) {
            // Else the same command without the record that is refused would find a ledger there.
            writer.withdraw()?;
            return Err(refused);
        }
        let to_be_signed = close_by(&mut writer, now, &hand, Existing::Keep)?;
        Ok(Begun {
            ledger: self.folder.clone(),
            name: self.name.clone(),
            kid: Hex(key.kid().0).to_string(),
            entries: writer.ledger().entries().len() as u64,
            adopted: old.len(),
            to_be_signed,
        })
    }
}

impl Init {
    /// A domain bears the name of its first root, which only a root can be itself.
    fn check_purpose(&self, before: Option<&Ledger>) -> Result<(), Error> {
        let is_root = matches!(self.purpose, PurposeArgument::Root | PurposeArgument::OwnerRoot);
        match before {
            Some(before) if before.opened().purpose != self.purpose.into() => {
                Err(Error::usage("--purpose differs from that of the ledger of --continues"))
            }
            None if !is_root && self.domain_anchor.is_none() => {
                Err(Error::usage("pass the public key of the first root of the domain as --domain-anchor"))
            }
            _ => Ok(()),
        }
    }

    fn first_root(&self, key: &PublicKey) -> Result<PublicKey, Error> {
        let first = self.domain_anchor.as_deref().map(public_key::open).transpose()?.unwrap_or(*key);
        if first == *key && matches!(self.purpose, PurposeArgument::RecoveryRoot | PurposeArgument::Issuing) {
            return Err(Error::usage(
                "--domain-anchor is the key of this ledger: pass that of the first root",
            ));
        }
        Ok(first)
    }

    fn vendor(&self, before: Option<&Ledger>) -> Option<String> {
        match &self.vendor {
            Some(vendor) => vendor.domain().map(str::to_owned),
            None => before.and_then(|before| before.opened().vendor.clone()),
        }
    }
}

impl<'a> Old<'a> {
    fn read(path: &'a Path, key: &trust::PublicKey) -> Result<Self, Error> {
        let record = read(path, MAX_RECORD_FILE_LEN)?;
        let refused = |error| Error::refused_record(path, error);
        let unsigned = Unsigned::from_record(&record, key)
            .map_err(|error| Error::author("the entry of the ledger", Some(path), error))?;
        let order = match unsigned.kind() {
            RecordKind::Credential => {
                (read_unverified_credential(&record).map_err(refused)?.issued_at(), false, 0)
            }
            RecordKind::RevocationList => {
                let list = read_unverified_revocation(&record).map_err(refused)?;
                (list.issued_at(), true, list.sequence())
            }
            RecordKind::Succession => {
                let request = verify_succession_request(unsigned.payload()).map_err(refused)?;
                (request.issued_at(), true, u64::MAX)
            }
            RecordKind::SuccessionRequest | RecordKind::LedgerHead | RecordKind::Transcript => {
                return Err(refused(trust::Error::new(trust::ErrorKind::RecordType, 0)));
            }
        };
        Ok(Self { path, record, unsigned, order })
    }

    fn adopt(&self, writer: &mut Writer, context: &Context) -> Result<(), Error> {
        let refused = |error: ledger::Error| match error {
            ledger::Error::Author(error) => Error::author("the entry", Some(self.path), error),
            error => error.into(),
        };
        let event = Event::of_record(&self.unsigned).map_err(|error| refused(error.into()))?;
        writer.append(event, context).map_err(refused)?;
        writer.finish(&self.record).map(drop).map_err(refused)
    }
}

impl Report for Begun {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("ledger", shown(&self.ledger)),
            ("key", format!("{} ({})", self.name, self.kid)),
            ("entries", self.entries.to_string()),
            ("adopted", format!("{} (unwitnessed)", self.adopted)),
        ];
        rows.extend(self.to_be_signed.iter().flat_map(ToBeSigned::rows));
        table(&rows)
    }
}
