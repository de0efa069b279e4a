//! Signing with a record: what a key signs goes into the ledger of that key (docs/ledger.md), first what is to be signed,
//! then the signature, then the head. Without a ledger the same steps sign alone.

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use ledger::{Context, Event, Ledger, Open, Writer};
use trust::UnixTime;
use trust::author::{Signer, Unsigned};
use trust::host::Existing;

use crate::commands::credential::left::Left;
use crate::error::Error;
use crate::output::warning;
use crate::time::IssueTime;
use crate::two_steps::{Hand, ToBeSigned};
use crate::written::{self, Again};

/// The folder of a ledger that lies beside its key.
pub(crate) const BESIDE: &str = "ledger";
/// Who writes the entries, when `--by` is not given.
const BY_VARIABLE: &str = "ANCHORAGE_BY";
const LEDGER_VARIABLE: &str = "ANCHORAGE_LEDGER";

/// The ledger of the key that signs.
#[derive(clap::Args, Clone, Debug)]
pub struct LedgerArguments {
    /// Ledger of the key [env: ANCHORAGE_LEDGER] [default: the folder "ledger" beside the key]
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    /// Sign without recording it in a ledger
    #[arg(long, conflicts_with = "ledger")]
    no_ledger: bool,
    #[command(flatten)]
    by: ByArguments,
}

/// Who writes an entry.
#[derive(clap::Args, Clone, Debug)]
pub struct ByArguments {
    /// Your name, for the ledger [env: ANCHORAGE_BY]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Why, by whom and when an entry is written.
#[derive(clap::Args, Clone, Debug)]
pub struct EntryArguments {
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    by: ByArguments,
    #[command(flatten)]
    time: IssueTime,
}

impl EntryArguments {
    pub fn reason(&self) -> String {
        self.reason.clone()
    }

    /// What an entry says beside its event; it is not before the last entry of each of `ledgers`.
    pub fn context(&self, ledgers: &[&Ledger]) -> Result<Context, Error> {
        let last = ledgers.iter().filter_map(|ledger| last_time(ledger)).max();
        Ok(self.by.context(self.time.after(last)?))
    }
}

/// When the last entry was written.
pub fn last_time(ledger: &Ledger) -> Option<UnixTime> {
    ledger.entries().last().map(|last| last.entry.time.0)
}

fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folder that is given, else that of the environment.
pub fn ledger_folder(given: Option<&Path>) -> Option<PathBuf> {
    given.map(Path::to_owned).or_else(|| variable(LEDGER_VARIABLE).map(PathBuf::from))
}

impl ByArguments {
    /// What an entry says beside its event.
    pub fn context(&self, now: UnixTime) -> Context {
        let by = self.by.clone().or_else(|| variable(BY_VARIABLE)?.into_string().ok());
        Context { now, by, tool: tool(), unwitnessed: false }
    }
}

/// This program, as entries name it.
pub(crate) fn tool() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

impl LedgerArguments {
    /// Opens the ledger for writing, if there is one. `key`: the file of the key that is going to sign.
    ///
    /// `for_ledger`: options that have an effect in a ledger only, and whether they are given.
    pub fn open(&self, key: Option<&Path>, for_ledger: &[(&str, bool)]) -> Result<Recorder, Error> {
        let writer = self.writer(key)?;
        let by = [("--by", self.by.by.is_some())];
        let given = for_ledger.iter().chain(&by).find(|(_, is_given)| *is_given);
        match given {
            Some((option, _)) if writer.is_none() => Err(Error::usage(format!("{option} requires a ledger"))),
            _ => Ok(Recorder { writer, by: self.by.clone() }),
        }
    }

    fn writer(&self, key: Option<&Path>) -> Result<Option<Writer>, Error> {
        if self.no_ledger {
            return Ok(None);
        }
        if let Some(folder) = ledger_folder(self.ledger.as_deref()) {
            return Ok(Some(Writer::open(&folder)?));
        }
        let beside = key.map(|key| trust::host::folder_of(key).join(BESIDE));
        match beside.filter(|folder| folder.is_dir()).map(|folder| Writer::open(&folder)) {
            None | Some(Err(ledger::Error::Absent(_))) => Ok(None),
            Some(writer) => Ok(Some(writer?)),
        }
    }

    /// What an entry says beside its event.
    pub fn context(&self, now: UnixTime) -> Context {
        self.by.context(now)
    }

    /// Warns of something that was done, and that nothing records: a signature, a backup.
    pub fn warn_without(&self, recorder: &Recorder, done: &str) {
        if recorder.writer.is_none() && !self.no_ledger {
            warning(&format!(
                "no ledger records this {done}; begin one with manifest-tool ledger init (or pass --no-ledger)"
            ));
        }
    }
}

/// What became of a record.
pub enum Outcome {
    /// Signed, with the number of the last entry of the ledger, if there is one.
    Signed { record: Vec<u8>, entry: Option<u64> },
    /// Written for somebody else to sign; its entry is begun.
    Begun { to_be_signed: ToBeSigned, entry: Option<u64> },
}

/// Signs, and records it.
#[derive(Debug)]
pub struct Recorder {
    writer: Option<Writer>,
    by: ByArguments,
}

impl Recorder {
    /// Records in the given ledger; `by`: who writes its entries.
    pub fn of(writer: Writer, by: String) -> Self {
        Self { writer: Some(writer), by: ByArguments { by: Some(by) } }
    }

    /// The ledger, if there is one.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.writer.as_ref().map(Writer::ledger)
    }

    /// The time of a new record: not before anything that the ledger has.
    pub fn time(&self, time: IssueTime, earlier: Option<UnixTime>) -> Result<UnixTime, Error> {
        time.after(earlier.into_iter().chain(self.ledger().and_then(last_time)))
    }

    /// Fails when the ledger is that of another key.
    pub fn check_key(&self, key: &trust::PublicKey) -> Result<(), Error> {
        let Some(writer) = &self.writer else { return Ok(()) };
        Ok(writer.check_key(key)?)
    }

    /// Fails before anything is signed: the ledger is that of another key, or of a root that was succeeded, or an entry waits
    /// for its signature.
    pub fn check(&self, key: &trust::PublicKey) -> Result<(), Error> {
        self.check_key(key)?;
        let Some(writer) = &self.writer else { return Ok(()) };
        writer.check_open()?;
        Ok(writer.check_nothing_begun()?)
    }

    /// Has a record signed and recorded, with the head; or begins its entry and writes what somebody else has to sign.
    /// `rows`: what the record says, for that person. Call [`Recorder::check`] before.
    pub fn record(
        &mut self,
        unsigned: &Unsigned,
        event: impl FnOnce(Event) -> Event,
        now: UnixTime,
        hand: &Hand,
        (rows, existing): (&[(&str, String)], Existing),
    ) -> Result<Outcome, Error> {
        match hand {
            Hand::Now(signer) => {
                let record = self.sign(unsigned, event, now, signer.as_ref())?;
                Ok(Outcome::Signed { record, entry: self.close(now, signer.as_ref())? })
            }
            Hand::Later(later) => {
                later.check(existing)?;
                self.begin(unsigned, event, now)?;
                let to_be_signed = later.write_record(unsigned, self.ledger(), rows, existing)?;
                let begun = self.ledger().and_then(Ledger::begun);
                Ok(Outcome::Begun { to_be_signed, entry: begun.map(|stored| stored.entry.number) })
            }
        }
    }

    /// As [`Recorder::check`] for a command that goes on with entries of an earlier run.
    pub(crate) fn check_left(&self, key: &trust::PublicKey, left: &[&Left]) -> Result<(), Error> {
        let begun = self.ledger().and_then(Ledger::begun).map(|stored| stored.entry.number);
        if !left.iter().any(|left| Some(left.entry) == begun) {
            return self.check(key);
        }
        self.check_key(key)?;
        let Some(writer) = &self.writer else { return Ok(()) };
        Ok(writer.check_open()?)
    }

    /// As [`Recorder::sign`]; or goes on with what an earlier run left of this record.
    pub(crate) fn go_on(
        &mut self,
        (unsigned, left): (&Unsigned, Option<&Left>),
        event: impl FnOnce(Event) -> Event,
        now: UnixTime,
        signer: &dyn Signer,
    ) -> Result<Vec<u8>, Error> {
        written::goes_on(Again::Always);
        match left {
            None => self.sign(unsigned, event, now, signer),
            Some(Left { record: Some(record), .. }) => Ok(record.clone()),
            Some(Left { record: None, .. }) => self.finish(unsigned, signer),
        }
    }

    /// Begins an entry, has its record signed, and finishes it.
    pub fn sign(
        &mut self,
        unsigned: &Unsigned,
        event: impl FnOnce(Event) -> Event,
        now: UnixTime,
        signer: &dyn Signer,
    ) -> Result<Vec<u8>, Error> {
        self.begin(unsigned, event, now)?;
        self.finish(unsigned, signer)
    }

    /// Has the record of the begun entry signed, and finishes it.
    fn finish(&mut self, unsigned: &Unsigned, signer: &dyn Signer) -> Result<Vec<u8>, Error> {
        let made = |error| Error::author("the record", None, error);
        let record = unsigned.sign(signer).map_err(made)?;
        if let Some(writer) = &mut self.writer {
            writer.finish(&record)?;
        }
        Ok(record)
    }

    /// Adds the entry of a record that is going to be signed.
    fn begin(
        &mut self,
        unsigned: &Unsigned,
        event: impl FnOnce(Event) -> Event,
        now: UnixTime,
    ) -> Result<(), Error> {
        if let Some(writer) = &mut self.writer {
            let made = |error| Error::author("the entry of the ledger", None, error);
            let event = event(Event::of_record(unsigned).map_err(made)?);
            written::expect(writer.ledger());
            writer.append(event, &self.by.context(now))?;
        }
        Ok(())
    }

    /// Adds an entry without a record. Its number.
    pub fn note(&mut self, event: Event, now: UnixTime) -> Result<u64, Error> {
        let context = self.by.context(now);
        let writer = self.writer.as_mut().ok_or(Error::Internal("there is no ledger"))?;
        Ok(writer.append(event, &context)?)
    }

    /// Records a batch of devices, and has their credentials signed, in the order of `lines`. Without a ledger they are
    /// signed alone.
    pub fn record_devices(
        &mut self,
        batch: Batch,
        now: UnixTime,
        signer: Option<&dyn Signer>,
        progress: &ProgressBar,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let Batch { vendor, anchors, lines } = batch;
        let context = self.by.context(now);
        written::goes_on(Again::Always);
        if let Some(writer) = &mut self.writer {
            written::expect(writer.ledger());
            writer.append_devices(vendor, anchors, lines, &context)?;
            return match signer {
                Some(signer) => Ok(finish_devices(writer, signer, progress)?.1),
                None => Ok(Vec::new()),
            };
        }
        let Some(signer) = signer else { return Ok(Vec::new()) };
        let made = |error| Error::author("the credential", None, error);
        let key = signer.public_key();
        let unsigned = progress.wrap_iter(lines.iter()).filter_map(|line| line.unsigned(&key).transpose());
        unsigned.map(|unsigned| unsigned.and_then(|one| one.sign(signer)).map_err(made)).collect()
    }

    /// The credentials of a batch that the ledger has; those that are not signed yet are.
    pub fn go_on_with_devices(
        &mut self,
        entry: u64,
        signer: Option<&dyn Signer>,
        progress: &ProgressBar,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let Some(writer) = &mut self.writer else { return Ok(Vec::new()) };
        match (writer.ledger().credentials_of(entry), signer) {
            (Some(credentials), _) => Ok(credentials.into_iter().map(<[u8]>::to_vec).collect()),
            (None, Some(signer)) => Ok(finish_devices(writer, signer, progress)?.1),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Has the head signed over everything that was recorded. The number of the last entry.
    pub fn close(&mut self, now: UnixTime, signer: &dyn Signer) -> Result<Option<u64>, Error> {
        let Some(writer) = &mut self.writer else { return Ok(None) };
        close(writer, now, signer)?;
        Ok(writer.ledger().entries().last().map(|last| last.entry.number))
    }
}

/// Has the head of a ledger signed, or writes what somebody else has to sign.
pub fn close_by(
    writer: &mut Writer,
    now: UnixTime,
    hand: &Hand,
    existing: Existing,
) -> Result<Option<ToBeSigned>, Error> {
    match hand {
        Hand::Now(signer) => close(writer, now, signer.as_ref()).map(|()| None),
        Hand::Later(later) => {
            let entries = writer.ledger().entries();
            let rows = [
                ("ledger of", writer.ledger().opened().name.clone()),
                ("entries", entries.len().to_string()),
                ("last entry", entries.last().map(|last| hex::encode(last.digest)).unwrap_or_default()),
            ];
            later.write_record(&writer.prepare_head(now)?, Some(writer.ledger()), &rows, existing).map(Some)
        }
    }
}

/// Fails when a copy of a ledger lacks a published list, which was read from `path`.
pub fn check_published(ledger: &Ledger, path: &Path, list: &[u8]) -> Result<(), Error> {
    ledger.check_published(list).map_err(|error| match error {
        ledger::Error::Author(trust::author::AuthorError::Refused(refused)) => {
            Error::refused_record(path, refused)
        }
        source => Error::Published { path: path.to_owned(), source },
    })
}

/// Fails when devices take no record of this kind from the ledger's key: it is there for something else, or a succession
/// gave it fewer rights. `act`: what it may not do.
pub fn check_right(
    ledger: Option<&Ledger>,
    act: &'static str,
    has_right: impl FnOnce(&Ledger) -> bool,
) -> Result<(), Error> {
    match ledger {
        Some(ledger) if !has_right(ledger) => {
            let Open { name, kid, .. } = ledger.opened();
            Err(Error::KeyLacksRight { name: name.clone(), kid: kid.to_string(), act })
        }
        _ => Ok(()),
    }
}

/// Has the head of a ledger signed.
pub fn close(writer: &mut Writer, now: UnixTime, signer: &dyn Signer) -> Result<(), Error> {
    let made = |error| Error::author("the head of the ledger", None, error);
    let head = writer.prepare_head(now)?.sign(signer).map_err(made)?;
    Ok(writer.set_head(head)?)
}

/// A batch of devices to be recorded.
pub struct Batch {
    pub vendor: String,
    pub anchors: Vec<ledger::AnchorFacts>,
    pub lines: Vec<ledger::DeviceLine>,
}

/// Has the credentials of the begun batch signed: the number of its entry, and they.
pub fn finish_devices(
    writer: &mut Writer,
    signer: &dyn Signer,
    progress: &ProgressBar,
) -> Result<(u64, Vec<Vec<u8>>), Error> {
    let made = |error| Error::author("the credential", None, error);
    let (_, unsigned) = writer.begun_devices()?;
    let signed = progress.wrap_iter(unsigned.iter()).map(|one| one.sign(signer).map_err(made));
    let credentials = signed.collect::<Result<Vec<_>, _>>()?;
    let entry = writer.finish_devices(&credentials)?;
    Ok((entry, credentials))
}
