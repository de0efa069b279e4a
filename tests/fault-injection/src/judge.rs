//! What an attack achieved: judged by the loader library over the flash that it left.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bootloader::layout::Slot;
use bootloader::mailbox::MAILBOX_LEN;
use bootloader::state::BootState;
use serde::Serialize;

use crate::cases::Prepared;
use crate::subject::Subject;
use crate::workers::{Attack, End};

/// The success of an attack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Finding {
    /// Something runs that must not.
    Boots,
    /// It runs after a further reset.
    BootsLater,
    /// Something is handed over as a table that must not be.
    HandsOver,
    /// It is after a further reset.
    HandsOverLater,
    /// The sequence floor fell.
    FloorFell,
    /// A revocation list is forgotten.
    RevocationFell,
    /// The device counts as new.
    ProvisioningLost,
}

/// The verdict about an attack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    /// Its successes.
    pub(crate) findings: Vec<Finding>,
    /// Nothing runs any more, although something should: why the device stays, and what its journal says.
    pub(crate) lost: Option<String>,
}

/// Judges the attacks of one case.
pub(crate) struct Judge<'p> {
    prepared: &'p Prepared,
    before: BootState,
    table_before: Option<BootState>,
    folder: PathBuf,
    known: HashMap<(String, Option<u32>, String), Verdict>,
}

impl<'p> Judge<'p> {
    /// Of the device that was prepared; the memories lie in this folder.
    pub(crate) fn new(prepared: &'p Prepared, folder: &std::path::Path) -> Result<Self> {
        let before = prepared.subject.state()?;
        let table_before = table_state(&prepared.subject)?;
        Ok(Self { prepared, before, table_before, folder: folder.to_owned(), known: HashMap::new() })
    }

    /// The verdict about an attack.
    pub(crate) fn judge(&mut self, attack: &Attack) -> Result<Verdict> {
        let pc = (attack.end == End::Image).then_some(attack.pc);
        let key = (attack.flash.clone(), pc, attack.mailbox.clone());
        if let Some(verdict) = self.known.get(&key) {
            return Ok(verdict.clone());
        }
        let verdict =
            self.examine(attack).with_context(|| format!("the flash {} cannot be judged", attack.flash))?;
        self.known.insert(key, verdict.clone());
        Ok(verdict)
    }

    fn examine(&self, attack: &Attack) -> Result<Verdict> {
        let memory = std::fs::read(self.folder.join(&attack.flash))?;
        let subject = self.prepared.subject.with(memory);
        let Ok(state) = subject.state() else {
            // The head of the emulated chip is gone, which no chip has: nothing can run from it.
            let findings = if attack.end == End::Image { vec![Finding::Boots] } else { Vec::new() };
            return Ok(Verdict { findings, lost: Some("no memory of a chip".to_owned()) });
        };
        let mut findings = self.losses(&subject, &state)?;
        if attack.end == End::Image && !self.runs_allowed(&subject, attack.pc) {
            findings.push(Finding::Boots);
        }
        if attack.end == End::Image && !self.may_hand_over(&subject, &mailbox(&attack.mailbox)?)? {
            findings.push(Finding::HandsOver);
        }
        let handed_over = subject.settle()?;
        let runs = handed_over.is_some();
        if let Some(mailbox) = handed_over
            && !self.may_hand_over(&subject, &mailbox)?
        {
            findings.push(Finding::HandsOverLater);
        }
        if runs && !self.is_allowed(&subject)? {
            findings.push(Finding::BootsLater);
        }
        findings.extend(self.losses(&subject, &subject.state()?)?);
        findings.sort_unstable();
        findings.dedup();
        let lost = match &self.prepared.allowed {
            Some((slot, image)) if !runs => Some(self.describe_loss(&subject, (*slot, image))?),
            _ => None,
        };
        Ok(Verdict { findings, lost })
    }

    fn describe_loss(&self, subject: &Subject, (slot, image): (Slot, &[u8])) -> Result<String> {
        let state = subject.state()?;
        let reason = subject.refusal()?.map_or("no reason".to_owned(), |reason| format!("{reason:?}"));
        let is_there = if subject.holds(slot, image) { "is" } else { "is not" };
        let active = match (state.active, self.before.active) {
            (None, _) => "names no image",
            (Some(active), Some(before)) if active == before => "names it",
            _ => "names another one",
        };
        Ok(format!("{reason}, {:?}, the image {is_there} in its slot and the journal {active}", state.status))
    }

    /// Whether the table that an application takes with this mailbox, if it takes one, is one that it may have.
    fn may_hand_over(&self, subject: &Subject, mailbox: &[u8; MAILBOX_LEN]) -> Result<bool> {
        if !subject.is_tabled() {
            return Ok(true);
        }
        let table = subject.table(mailbox)?;
        Ok(table.is_none() || table == self.prepared.allowed_table)
    }

    /// Whether the image that the loader would run now may run.
    fn is_allowed(&self, subject: &Subject) -> Result<bool> {
        match &self.prepared.allowed {
            Some((slot, image)) => subject.runs((*slot, image)),
            None => Ok(false),
        }
    }

    /// Whether an address lies in the image that may run: a jump to another place of it runs nothing forged.
    fn runs_allowed(&self, subject: &Subject, address: u32) -> bool {
        self.prepared.allowed.as_ref().is_some_and(|(slot, image)| {
            let offset = address.checked_sub(subject.layout.run_address(*slot));
            offset.is_some_and(|offset| (offset as usize) < image.len()) && subject.holds(*slot, image)
        })
    }

    /// What the journals forgot.
    fn losses(&self, subject: &Subject, after: &BootState) -> Result<Vec<Finding>> {
        let table = self.table_before.zip(table_state(subject)?);
        let table_fell = table.is_some_and(|(before, after)| after.floor < before.floor);
        let mut domains = self.before.domains.iter().zip(&after.domains);
        let fell = domains.any(|(before, after)| after.list_sequence < before.list_sequence);
        let losses = [
            (after.floor < self.before.floor || table_fell, Finding::FloorFell),
            (fell, Finding::RevocationFell),
            (self.before.provisioned && !after.provisioned, Finding::ProvisioningLost),
        ];
        Ok(losses.into_iter().filter_map(|(is_lost, finding)| is_lost.then_some(finding)).collect())
    }
}

fn table_state(subject: &Subject) -> Result<Option<BootState>> {
    subject.is_tabled().then(|| subject.table_state()).transpose()
}

/// A mailbox from its hex digits.
fn mailbox(hex: &str) -> Result<[u8; MAILBOX_LEN]> {
    let bytes = hex
        .as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits)?, 16).context("no hex digits"));
    let bytes = bytes.collect::<Result<Vec<_>>>()?;
    bytes.try_into().ok().context("a mailbox of another length")
}
