//! Revocation lists without a release: where there is nothing to install, the device gets the lists that it lacks all
//! the same (docs/records.md, Revocation).
//!
//! To take a list a device leaves its application for its loader, and a reset ends that. So this happens only with the
//! person's consent, and only to a device whose image is confirmed: a reset reverts one on trial, and swaps in one that
//! waits.

use std::time::Duration;

use can_bus::Flow;
use serde::Serialize;
use suit_manifest::reason::Reason;
use update_protocol::profile::{ImageState, Object};

use super::NewestList;
use crate::connection::{Connection, Trouble};
use crate::device::{Device, DeviceTrust};
use crate::error::{Error, Moment, Subject};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::restart::await_answer;
use crate::session::{PROGRAMMING, Session};

/// A device and the lists that it may lack.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    /// The bus.
    pub(crate) connection: &'a mut Connection,
    /// The device, as it was found.
    pub(crate) device: &'a Device,
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

/// A list that the device has now.
#[derive(Serialize)]
struct Stored {
    event: &'static str,
    list_sequence: u64,
}

impl Delivery<'_> {
    /// Gives the device the lists that it lacks, if the person wants that: `is_agreed`, or asked here. Returns why it
    /// refused some of them. Nothing that goes wrong here changes how the update ends: it is a warning.
    ///
    /// # Errors
    /// [`Error::Interrupted`] at the question, [`Error::AddressClash`]
    pub(crate) async fn run(mut self, is_agreed: bool) -> Result<Vec<Reason>, Error> {
        let lacking: Vec<_> = self.lists.iter().filter(|list| self.may_lack(list)).collect();
        let Some(newest) = lacking.iter().map(|list| list.sequence).max() else { return Ok(Vec::new()) };
        let lacks = format!("the device lacks the revocation list with list-sequence {newest}");
        // A device without an image has nothing that a reset could revert.
        if !matches!(self.device.state.image, ImageState::Confirmed | ImageState::None) {
            let words = format!("{lacks}, and gets it when it has confirmed its image");
            self.output.warn("list-not-sent", &words);
            return Ok(Vec::new());
        }
        if !is_agreed {
            let question = format!(
                "The device lacks the revocation list with list-sequence {newest}. It restarts to take it. Send it?"
            );
            let asked = async { Ok(self.output.confirm(&question).await) };
            match self.interrupt.or(Moment::BeforeTransfer, asked).await? {
                Ok(true) => {}
                Ok(false) => return Ok(Vec::new()),
                Err(_) => {
                    self.output.warn("list-not-sent", &format!("{lacks}. Pass --yes to send it"));
                    return Ok(Vec::new());
                }
            }
        }
        self.output.step("revocation list");
        let mut refused = Vec::new();
        let outcome = self.send(&lacking, &mut refused).await;
        if let Err(trouble) = outcome {
            if matches!(trouble, Trouble::Clash { .. }) {
                // Whether they hear it does not change the result.
                let _ = self.connection.leave_several(self.device.node).await;
                return Err(trouble.with(self.connection, self.device.node, PROGRAMMING));
            }
            let error = trouble.with(self.connection, self.device.node, PROGRAMMING);
            self.output.warn(&error.code(), &format!("{lacks}, and did not get it: {error}"));
        }
        Ok(refused)
    }

    /// By what the device says of itself. An application names the highest number of all its domains only, which says
    /// something where this program knows one domain.
    fn may_lack(&self, list: &NewestList) -> bool {
        match &self.device.trust {
            Some(trust) => trust.list_sequence(list.domain).is_some_and(|held| held < list.sequence),
            None => self.knows_one_domain && self.device.state.revocation_sequence < list.sequence,
        }
    }

    async fn send(&mut self, lists: &[&NewestList], refused: &mut Vec<Reason>) -> Result<(), Trouble> {
        let node = self.device.node;
        let mut session = Session::new(self.connection, node);
        session.open_programming().await?;
        let sent = in_session(&mut session, self.device, lists, (self.output, self.interrupt), refused).await;
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
    lists: &[&NewestList],
    (output, interrupt): (&Output, &Interrupt),
    refused: &mut Vec<Reason>,
) -> Result<(), Trouble> {
    if session.serial().await? != device.serial {
        output.warn("device-changed", "another device answers now; it gets no revocation list");
        return Ok(());
    }
    let trust: Option<DeviceTrust> = session.trust().await?;
    for list in lists {
        if interrupt.is_requested() {
            output.warn("list-not-sent", "interrupted before the next revocation list was sent");
            break;
        }
        // The loader knows each domain.
        let held = trust.as_ref().map(|trust| trust.list_sequence(list.domain));
        if held.is_some_and(|held| held.is_none_or(|held| held >= list.sequence)) {
            continue;
        }
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
                    refused.extend(refusal.reason());
                    let error = Error::DeviceRefused(refusal);
                    output.warn(&error.code(), &error.to_string());
                }
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(())
}
