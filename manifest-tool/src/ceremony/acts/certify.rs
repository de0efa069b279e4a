//! What the root signs: credentials and the first list. Each signature goes through its ledger.

use std::ffi::OsString;

use clap::{Args, Parser};
use ledger::{Event, Ledger, Writer};
use trust::UnixTime;

use crate::ceremony::CeremonyError;
use crate::ceremony::room::{Done, Open, Room};
use crate::ceremony::steps::{KeyRef, Step};
use crate::commands::credential::Issue;
use crate::commands::revoke::Revoke;
use crate::error::Error;
use crate::recording::{Recorder, close};
use crate::time::display;
use crate::two_steps::Hand;

/// How long a credential of a rehearsal is good, seconds.
const REHEARSAL_VALIDITY: u64 = 24 * 60 * 60;

/// `credential issue` and `revoke`, whose rules a ceremony does not have a second time.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Line<C: Args> {
    #[command(flatten)]
    command: C,
}

impl<C: Args> Line<C> {
    fn parse_options(options: Vec<(&str, OsString)>) -> Result<C, Error> {
        let words = options.into_iter().map(|(option, value)| {
            let mut word = OsString::from(option);
            if !value.is_empty() {
                word.push("=");
                word.push(value);
            }
            word
        });
        let line = Self::try_parse_from(words);
        line.map(|line| line.command).map_err(|error| Error::usage(trust::host::usage_message(&error)))
    }
}

impl Room {
    pub(super) fn certify(&mut self, step: &Step, place: usize) -> Result<Done, Error> {
        let key = KeyRef::Certified(place);
        let (path, public) = self.public_key(key)?;
        let certified = self.plan.keys.get(place).ok_or(Error::Internal("a step is about no key"))?.clone();
        let name = &certified.key.name;
        let keeper = self.keeper(KeyRef::Root)?;
        let confirmed = format!("{name} is to be certified for the role {}", certified.role.name());
        self.confirm(&step.id, keeper, &confirmed, None)?;

        let out = self.out_name(name, "cwt");
        let kid = ledger::Hex(public.kid().0);
        let is_it = |event: &Event| matches!(event, Event::Credential(entry) if entry.facts.kid == kid);
        let record = match self.signed_before(step, KeyRef::Root, is_it)? {
            Some(record) => record,
            None => {
                let now = self.now()?;
                let expires = if self.rehearsal {
                    Some(UnixTime(now.0.saturating_add(REHEARSAL_VALIDITY)))
                } else {
                    certified.expires.map(|end| end.0)
                };
                let classes = certified.classes.iter().map(|class| match class.name() {
                    Some(name) => name.to_owned(),
                    None => class.id(uuid::Uuid::nil()).to_string(),
                });
                let mut options: Vec<(&str, OsString)> = vec![
                    // Not opened from here: the key is open already.
                    ("--key", path.clone().into()),
                    ("--for", path.into()),
                    ("--role", certified.role.name().into()),
                    ("--vendor", self.vendor().into()),
                    ("--subject", self.marked(name).into()),
                    ("--ledger", self.ledger_folder(KeyRef::Root)?.into()),
                    ("--holder", certified.key.holder.into()),
                    ("--kept", certified.key.kept.into()),
                    ("--by", self.operator().into()),
                    ("--now", display(now).into()),
                    ("--out", self.folder.join(&out).into()),
                ];
                options.extend(classes.map(|class| ("--class", class.into())));
                options.extend(expires.map(|end| ("--expires", display(end).into())));
                let issue: Issue = Line::parse_options(options)?;
                issue.run_by(self.hand()?)?;
                self.signed_before(step, KeyRef::Root, is_it)?
                    .ok_or(Error::Internal("the ledger does not have the new credential"))?
            }
        };
        let mut done = Done::default();
        done.outputs.push(self.put_out(&out, &record)?);
        done.fact("kid", crate::describe::kid(public.kid()));
        Ok(done)
    }

    /// The open root, as the commands take it.
    fn hand(&mut self) -> Result<Option<Hand>, Error> {
        Ok(Some(Hand::Now(Box::new(Open(self.signer(KeyRef::Root)?)))))
    }

    pub(super) fn first_list(&mut self, step: &Step) -> Result<Done, Error> {
        let (name, out) = (self.key(KeyRef::Root)?.name.clone(), self.out_name("list", "cwt"));
        let keeper = self.keeper(KeyRef::Root)?;
        self.confirm(&step.id, keeper, &format!("{name} is to sign its first list"), None)?;
        let is_it = |event: &Event| matches!(event, Event::RevocationList(_));
        let record = match self.signed_before(step, KeyRef::Root, is_it)? {
            Some(record) => record,
            None => {
                let ledger = self.ledger_folder(KeyRef::Root)?;
                if Ledger::open(&ledger)?.newest_list().is_some() {
                    let detail = "it has a list already, so this one is not the first";
                    return Err(CeremonyError::Ledger { name, detail }.into());
                }
                let key = self.folder.join(self.out_name(&name, "cose"));
                let options: Vec<(&str, OsString)> = vec![
                    ("--nothing-new", "".into()),
                    ("--none-published", "".into()),
                    // Not opened from here: the key is open already.
                    ("--key", key.into()),
                    ("--ledger", ledger.into()),
                    ("--by", self.operator().into()),
                    ("--now", display(self.now()?).into()),
                    ("--out", self.folder.join(&out).into()),
                ];
                let revoke: Revoke = Line::parse_options(options)?;
                revoke.run_by(self.hand()?)?;
                self.signed_before(step, KeyRef::Root, is_it)?
                    .ok_or(Error::Internal("the ledger does not have the new list"))?
            }
        };
        let mut done = Done::default();
        done.outputs.push(self.put_out(&out, &record)?);
        Ok(done)
    }

    /// The ledger of a key, to sign with it.
    pub(in crate::ceremony) fn recorder(&self, key: KeyRef) -> Result<Recorder, Error> {
        Ok(Recorder::of(Writer::open(&self.ledger_folder(key)?)?, self.operator()))
    }

    /// What a step had signed before it was interrupted: an entry that was begun is finished, with the head.
    pub(in crate::ceremony) fn signed_before(
        &mut self,
        step: &Step,
        key: KeyRef,
        is_it: impl Fn(&Event) -> bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let before = self.transcript.begun(&step.id).flatten().unwrap_or(0);
        self.signed_after(before, key, is_it)
    }

    /// The same for entries after the given one.
    pub(in crate::ceremony) fn signed_after(
        &mut self,
        before: u64,
        key: KeyRef,
        is_it: impl Fn(&Event) -> bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let signer = self.signer(key)?;
        let mut writer = Writer::open(&self.ledger_folder(key)?)?;
        writer.check_key(&signer.public_key())?;
        let begun = writer.ledger().begun();
        if begun.is_some_and(|stored| stored.entry.number > before && is_it(&stored.entry.event)) {
            let (_, unsigned) = writer.begun()?;
            let made = |error| Error::author("the record", None, error);
            let record = unsigned.sign(signer.as_ref()).map_err(made)?;
            writer.finish(&record)?;
        } else {
            writer.check_nothing_begun()?;
        }
        let ledger = writer.ledger();
        let later = ledger.entries().iter().filter(|stored| stored.entry.number > before);
        let found = later.rev().find(|stored| is_it(&stored.entry.event) && stored.record.is_some());
        let record = found.and_then(|stored| stored.record.clone());
        if record.is_some() && !ledger.uncovered().is_empty() {
            let now = self.now()?;
            close(&mut writer, now, signer.as_ref())?;
        }
        Ok(record)
    }
}
