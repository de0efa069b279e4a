//! `succession grant`: the present root, or the recovery root, signs what a new root asked for.

use std::path::PathBuf;

use ledger::{Base64, Event, Hex, Import, Ledger, SuccessionEntry, Successor, Writer};
use serde::Serialize;
use suit_manifest::Reason;
use trust::author::{Unsigned, prepare_succession};
use trust::{ErrorKind, Held, PublicKey, SuccessionClaims, UnixTime, verify_succession_request};

use super::history::{Copies, History, HistoryArguments};
use super::preview::Preview;
use crate::commands::SigningKeyArguments;
use crate::commands::list::blank;
use crate::confirm::ConfirmArguments;
use crate::describe::SuccessionView;
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, OverwriteArguments, Wanted, check_outputs, holds, read, write};
use crate::kind::Kind;
use crate::output::{Output, Report, table, warning};
use crate::recording::{LedgerArguments, Outcome, last_time};
use crate::time::{IssueTime, display};
use crate::two_steps::{Hand, ToBeSigned, TwoStepArguments};
use crate::written::{self, Again};

const OPEN: &str =
    "the ledger of the replaced root stays open; run the command again with --retires to close it";
/// A request is for a ceremony that is at hand.
const MAX_REQUEST_DAYS: u64 = 90;
const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// Grant a request with the key of the present root, or of the recovery root
#[derive(clap::Args, Clone, Debug)]
pub struct Grant {
    /// Request of the new root
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
    #[command(flatten)]
    key: SigningKeyArguments,
    #[command(flatten)]
    history: HistoryArguments,
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Ledger of the root that the recovery root replaces: it is closed
    #[arg(long, value_name = "DIR")]
    retires: Option<PathBuf>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    time: IssueTime,
    /// Succession to write
    #[arg(long, value_name = "FILE", required_unless_present = "tbs_out", conflicts_with = "tbs_out")]
    out: Option<PathBuf>,
    #[command(flatten)]
    two_steps: TwoStepArguments,
    #[command(flatten)]
    confirm: ConfirmArguments,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Granted {
    out: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_be_signed: Option<ToBeSigned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_entry: Option<u64>,
    /// An earlier run had signed it.
    resumed: bool,
    /// That run had done everything: this one wrote nothing.
    done_before: bool,
    /// The entry with the succession, and its time, where an earlier run had signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<Earlier>,
    #[serde(flatten)]
    what: What,
}

/// What an earlier run left.
#[derive(Debug, Serialize)]
struct Earlier {
    entry: u64,
    time: String,
    #[serde(skip)]
    record: Vec<u8>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What {
    New(Box<Preview>),
    Resumed(SuccessionView),
}

impl Grant {
    pub fn run(&self, output: Output) -> Result<Granted, Error> {
        let mut inputs = self.history.paths();
        inputs.push(&self.request);
        let outputs: Vec<PathBuf> = self.out.iter().cloned().chain(self.two_steps.outputs()).collect();
        let kinds = self.out.iter().map(|_| Some(Kind::Succession)).chain(std::iter::repeat(None));
        let outputs: Vec<Wanted<'_>> = outputs.iter().map(PathBuf::as_path).zip(kinds).collect();
        for (out, _) in &outputs {
            self.key.must_differ_from(out, &inputs)?;
        }
        let request = read(&self.request, MAX_RECORD_FILE_LEN)?;
        let claims = verify_succession_request(&request)
            .map_err(|error| Error::refused_record(&self.request, error))?;
        let is_recovery = claims.number().is_of_recovery();
        if self.retires.is_some() && !is_recovery {
            let message = "--retires is for the recovery root: a root closes its own ledger";
            return Err(Error::usage(message));
        }
        let mut recorder =
            self.ledger.open(self.key.file().as_deref(), &[("--reason", self.reason.is_some())])?;
        let mut retiring = self.retires.as_deref().map(Writer::open).transpose()?;
        let closed = retiring.as_ref().map(Writer::ledger);
        let earlier = closed.and_then(last_time).max(Some(claims.issued_at()));
        let now = recorder.time(self.time, earlier)?;
        let mut sources = self.history.sources(Copies::Newest)?;
        for ledger in recorder.ledger().into_iter().chain(closed) {
            sources.add_ledger(ledger)?;
        }
        self.time.warn();
        let existing = self.overwrite.existing();
        let hand = self.two_steps.open(&self.key)?;
        let grantor = &hand.public_key();
        recorder.check_key(grantor)?;
        let prepared = prepare_succession(&request, grantor)
            .map_err(|error| Error::author("the succession", Some(&self.request), error))?;

        let granted = granted_before(recorder.ledger(), &prepared);
        let mut done_before = false;
        let (made, what) = match &granted {
            Some(granted) => {
                let covered = recorder.ledger().is_some_and(|ledger| ledger.uncovered().is_empty());
                done_before = covered && self.is_done(closed, &granted.record)?;
                // Where somebody else signs, attach has taken the head.
                let entry = match &hand {
                    Hand::Now(signer) if !done_before => recorder.close(now, signer.as_ref())?,
                    Hand::Now(_) | Hand::Later(_) => None,
                };
                let record = granted.record.clone();
                (Outcome::Signed { record, entry }, What::Resumed(SuccessionView::of_request(&claims)))
            }
            None => {
                recorder.check(grantor)?;
                check_outputs(&outputs, existing)?;
                self.check_age(&claims, now)?;
                if is_recovery {
                    sources.assume_recovery(*grantor);
                }
                let history = sources.verify()?;
                self.judge(&history, &claims, &prepared)?;
                if let Some(retiring) = &retiring {
                    retiring.check_key(history.root()?.key())?;
                }
                let retired = if is_recovery { closed } else { recorder.ledger() };
                let by = is_recovery.then(|| (grantor, recorder.ledger()));
                let view = SuccessionView::of_request(&claims);
                let preview = Preview::new(&history, view, retired, by, now)?;
                self.confirm.ask(output, &preview.lines(), "Sign this succession?")?;
                self.ledger.warn_without(&recorder, "signature");
                written::goes_on(Again::Signed);
                let with_reason = |event| self.with_reason(event);
                let rows = preview.rows();
                let made = recorder.record(&prepared, with_reason, now, &hand, (&rows, existing))?;
                if let Outcome::Signed { record, .. } = &made
                    && history.store.clone().add_succession(record.clone()) != Ok(Held::Newest)
                {
                    return Err(Error::Internal("the new succession does not verify"));
                }
                (made, What::New(Box::new(preview)))
            }
        };
        let (to_be_signed, ledger_entry) = match made {
            Outcome::Begun { to_be_signed, entry } => (Some(to_be_signed), entry),
            Outcome::Signed { record, entry } => {
                match &mut retiring {
                    Some(writer) => self.close_retired(writer, grantor, &record, now)?,
                    None if is_recovery => warning(OPEN),
                    None => {}
                }
                self.out.iter().try_for_each(|out| write(out, &record, existing))?;
                (None, entry)
            }
        };
        let resumed = granted.is_some();
        Ok(Granted { out: self.out.clone(), to_be_signed, ledger_entry, resumed, done_before, granted, what })
    }

    /// Whether an earlier run did all that comes after the ledger of the grantor.
    fn is_done(&self, closed: Option<&Ledger>, record: &[u8]) -> Result<bool, Error> {
        let is_closed = closed.is_none_or(|ledger| ledger.successions().any(|known| known.record == record));
        let is_written =
            self.out.iter().try_fold(true, |all, out| Ok::<_, Error>(all && holds(out, record)?))?;
        Ok(is_closed && is_written)
    }

    fn check_age(&self, claims: &SuccessionClaims<'_>, now: UnixTime) -> Result<(), Error> {
        let age = now.0.saturating_sub(claims.issued_at().0);
        if age <= MAX_REQUEST_DAYS.saturating_mul(SECONDS_A_DAY) {
            return Ok(());
        }
        let (path, issued) = (self.request.clone(), display(claims.issued_at()));
        Err(Error::RequestOld { path, issued, days: MAX_REQUEST_DAYS })
    }

    /// What a device will say, before anything is signed: of all its rules only the signature may be missing.
    fn judge(
        &self,
        history: &History,
        claims: &SuccessionClaims<'_>,
        prepared: &Unsigned,
    ) -> Result<(), Error> {
        match history.store.clone().add_succession(blank(prepared)?) {
            Err(error) if error.kind == ErrorKind::SignatureInvalid => {
                history.check_new(claims.key(), claims.iss(), &self.request)
            }
            Err(error) => Err(Error::refused(&self.request, Reason::from(error), 0)),
            Ok(_) => Err(Error::refused(&self.request, Reason::SuccessionOld, 0)),
        }
    }

    fn with_reason(&self, event: Event) -> Event {
        match event {
            Event::Succession(entry) => {
                Event::Succession(SuccessionEntry { reason: self.reason.clone(), ..entry })
            }
            event => event,
        }
    }

    /// The root that was replaced cannot do it itself.
    fn close_retired(
        &self,
        writer: &mut Writer,
        grantor: &PublicKey,
        record: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        if writer.ledger().successions().any(|known| known.record == record) {
            return Ok(());
        }
        let grantor = Hex(grantor.to_cose_key());
        let import = Import::Succession { grantor, record: Base64(record.to_owned()) };
        writer.append(Event::Import(import), &self.ledger.context(now))?;
        Ok(())
    }
}

/// The succession that this request led to in an earlier run.
fn granted_before(ledger: Option<&Ledger>, prepared: &Unsigned) -> Option<Earlier> {
    let is_it = |known: &Successor<'_>| {
        Unsigned::from_record(known.record, prepared.signer()).is_ok_and(|unsigned| unsigned == *prepared)
    };
    let Successor { entry, time, record, .. } = ledger?.successions().find(is_it)?;
    Some(Earlier { entry, time: time.to_string(), record: record.to_vec() })
}

impl Report for Granted {
    fn lines(&self) -> String {
        let mut rows = Vec::new();
        rows.extend(self.out.as_ref().map(|out| ("succession", out.display().to_string())));
        rows.extend(self.to_be_signed.iter().flat_map(ToBeSigned::rows));
        rows.extend(self.ledger_entry.map(|entry| ("entry of the ledger", entry.to_string())));
        rows.extend(self.granted.iter().map(|Earlier { entry, time, .. }| {
            let end = if self.done_before { "nothing was left to do" } else { "this run went on with it" };
            ("granted before", format!("entry {entry} of the ledger, {time}; {end}"))
        }));
        rows.push((
            "next steps",
            "ledger init --continues, the first list (revoke), credentials, succession chain".to_owned(),
        ));
        table(&rows)
    }
}
