//! Successions and revocation lists without a release: where there is nothing to install, the device gets those that it
//! lacks all the same (docs/records.md).
//!
//! To take one a device leaves its application for its loader, and a reset ends that. So this happens only with the
//! person's consent, and only to a device whose image is confirmed: a reset reverts one on trial, and swaps in one that
//! waits.

use std::time::Duration;

use can_bus::Flow;
use serde::Serialize;
use suit_manifest::reason::Reason;
use trust::{Domain, SuccessionNumber, TrustStoreBuf};
use update_protocol::profile::Object;

use super::{NewestList, Refused, successions};
use crate::connection::{Connection, Trouble};
use crate::device::{Device, DeviceTrust};
use crate::error::{Error, Moment, Subject};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::restart::await_answer;
use crate::session::{PROGRAMMING, Session};

/// A device and the records that it may lack.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    /// The bus.
    pub(crate) connection: &'a mut Connection,
    /// The device, as it was found.
    pub(crate) device: &'a Device,
    /// What is trusted here: the successions that the device may lack.
    pub(crate) trusted: &'a TrustStoreBuf,
    /// What the device trusted when it was asked last, perhaps by an earlier run.
    pub(crate) remembered: Option<&'a DeviceTrust>,
    /// The newest list of each domain that is trusted here.
    pub(crate) lists: &'a [NewestList],
    /// Whether all lists here are of one domain.
    pub(crate) knows_one_domain: bool,
    /// Where it is told.
    pub(crate) output: &'a Output,
    /// Whether it should end.
    pub(crate) interrupt: &'a Interrupt,
    /// How long the device may take to be there again.
    pub(crate) patience: Duration,
}

/// What a delivery learned of its device.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// What the device trusts now, if its loader was asked.
    pub(crate) trust: Option<DeviceTrust>,
    /// Records that it did not take.
    pub(crate) refused: Vec<Refused>,
}

/// A list that the device has now.
#[derive(Serialize)]
struct Stored {
    event: &'static str,
    list_sequence: u64,
}

impl Delivery<'_> {
    /// Gives the device the records that it lacks, if the person wants that: `is_agreed`, or asked here. Nothing that goes wrong here changes how the update ends: it is a warning.
    ///
    /// # Errors
    /// [`Error::Interrupted`] at the question, [`Error::AddressClash`]
    pub(crate) async fn run(mut self, is_agreed: bool) -> Result<Delivered, Error> {
        let root = self.trusted.domains().find(|domain| self.may_lack_root(*domain));
        let newest = self.lists.iter().filter(|list| self.may_lack(list)).map(|list| list.sequence).max();
        let what = match (root.map(|domain| self.trusted.number_of(domain)), newest) {
            (Some(number), _) => format!("the succession to root {number}"),
            (None, Some(newest)) => format!("the revocation list with list-sequence {newest}"),
            (None, None) => return Ok(Delivered::default()),
        };
        let may = if root.is_some() { "may lack" } else { "lacks" };
        let lacks = format!("the device {may} {what}");
        // A device without an image has nothing that a reset could revert.
        if !self.device.is_settled() {
            let words = format!("{lacks}, and gets it when it has confirmed its image");
            self.tell_not_sent(root.is_some(), &words);
            return Ok(Delivered::default());
        }
        if !is_agreed {
            let question = format!("The device {may} {what}. It restarts to take it. Send it?");
            let asked = async { Ok(self.output.confirm(&question).await) };
            match self.interrupt.or(Moment::BeforeTransfer, asked).await? {
                Ok(true) => {}
                Ok(false) => return Ok(Delivered::default()),
                Err(_) => {
                    self.tell_not_sent(root.is_some(), &format!("{lacks}. Pass --yes to send it"));
                    return Ok(Delivered::default());
                }
            }
        }
        let mut delivered = Delivered::default();
        let outcome = self.send(&mut delivered).await;
        if let Err(trouble) = outcome {
            if matches!(trouble, Trouble::Clash { .. }) {
                // Whether they hear it does not change the result.
                let _ = self.connection.leave_several(self.device.node).await;
                return Err(trouble.with(self.connection, self.device.node, PROGRAMMING));
            }
            let error = trouble.with(self.connection, self.device.node, PROGRAMMING);
            self.output.warn(&error.code(), &format!("{lacks}, and did not get it: {error}"));
        }
        Ok(delivered)
    }

    fn tell_not_sent(&self, is_root: bool, words: &str) {
        if is_root {
            self.output.warn("succession-not-sent", words);
        } else {
            self.output.warn("list-not-sent", words);
        }
    }

    /// By what the device says of itself, or said to an earlier run: an application does not name its roots.
    fn may_lack_root(&self, domain: Domain) -> bool {
        let here = self.trusted.number_of(domain);
        let is_sendable = here != SuccessionNumber::FIRST && self.trusted.list_of(domain).is_some();
        let known = self.device.trust.as_ref().or(self.remembered);
        is_sendable && known.is_none_or(|trust| trust.number(domain).is_some_and(|held| held < here))
    }

    /// By what the device says of itself. An application names the highest number of all its domains only, which says
    /// something where this program knows one domain.
    fn may_lack(&self, list: &NewestList) -> bool {
        match &self.device.trust {
            Some(trust) => trust.list_sequence(list.domain).is_some_and(|held| held < list.sequence),
            None => self.knows_one_domain && self.device.state.revocation_sequence < list.sequence,
        }
    }

    async fn send(&mut self, delivered: &mut Delivered) -> Result<(), Trouble> {
        let node = self.device.node;
        let mut session = Session::new(self.connection, node);
        session.open_programming().await?;
        let sent = in_session(
            &mut session,
            self.device,
            (self.trusted, self.lists),
            (self.output, self.interrupt),
            delivered,
        )
        .await;
        // Whether it hears us does not change the result: its session expires.
        if session.reset().await.is_ok() {
            let back = await_answer(self.connection, node, self.patience);
            let _ = self.interrupt.or(Moment::Command, back).await;
        }
        sent
    }
}

async fn in_session(
    session: &mut Session<'_>,
    device: &Device,
    (trusted, lists): (&TrustStoreBuf, &[NewestList]),
    (output, interrupt): (&Output, &Interrupt),
    delivered: &mut Delivered,
) -> Result<(), Trouble> {
    if session.serial().await? != device.serial {
        output.warn("device-changed", "another device answers now; it gets no record");
        return Ok(());
    }
    let mut trust = session.trust().await?;
    // The list of a domain came with its chain; where the device stays at another root it takes none of ours.
    let mut settled: Vec<Domain> = Vec::new();
    if let Some(known) = &trust {
        let outcome = successions::bring(session, trusted, known, output).await?;
        if !outcome.brought.is_empty() {
            trust = session.trust().await?;
        }
        settled.extend(outcome.brought);
        for (domain, error) in outcome.faults {
            delivered.refused.extend(successions::refusal(&error).map(Refused::Succession));
            output.warn(&error.code(), &error.to_string());
            settled.push(domain);
        }
    }
    for list in lists.iter().filter(|list| !settled.contains(&list.domain)) {
        if interrupt.is_requested() {
            output.warn("list-not-sent", "interrupted before the next revocation list was sent");
            break;
        }
        // The loader knows each domain.
        let held = trust.as_ref().map(|trust| trust.list_sequence(list.domain));
        if held.is_some_and(|held| held.is_none_or(|held| held >= list.sequence)) {
            continue;
        }
        output.step("revocation list");
        match session.download(Object::RevocationList, &list.bytes, |_| Flow::Continue).await {
            Ok(_) => {
                output.say(&format!("  The device has the revocation list {} now.", list.sequence));
                output.event(&Stored { event: "list-stored", list_sequence: list.sequence });
            }
            Err(Trouble::Refused(nrc)) => {
                let subject = Subject::RevocationList(format!("with list-sequence {}", list.sequence));
                let refusal = session.refusal(subject, nrc).await;
                // The list of another manufacturer's devices is none of this device's concern.
                let is_foreign = trust.is_none() && refusal.reason() == Some(Reason::AnchorUnknown);
                if !is_foreign {
                    delivered.refused.extend(refusal.reason().map(Refused::List));
                    let error = Error::DeviceRefused(refusal);
                    output.warn(&error.code(), &error.to_string());
                }
            }
            Err(trouble) => return Err(trouble),
        }
    }
    // With what it took just now.
    delivered.trust = session.trust().await?;
    Ok(())
}
