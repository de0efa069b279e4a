//! The succession chains that go before everything else (docs/records.md, Succession).
//!
//! Only a loader reports the numbers of its roots. A device that is behind gets the chain from its own root on: until it has
//! taken that, it refuses what the present root signed, and takes what a root signed that was stolen since.

use can_bus::Flow;
use serde::Serialize;
use suit_manifest::reason::Reason;
use trust::{Domain, SuccessionNumber, TrustStoreBuf};
use update_protocol::profile::{ImageState, Object};

use super::{Install, Refused, Stop, again};
use crate::connection::Trouble;
use crate::device::DeviceTrust;
use crate::error::{Error, RootFault, Subject};
use crate::output::Output;
use crate::session::{Session, session_is_lost};
use crate::trusted::anchor_of;

/// A root that the device has now.
#[derive(Serialize)]
struct Stored {
    event: &'static str,
    domain: String,
    recovery_epoch: u16,
    succession_sequence: u16,
    list_sequence: u64,
}

/// What became of the chains.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Domains whose root the device has now, with the newest list that is here.
    pub(crate) brought: Vec<Domain>,
    /// Domains in which the device stays where it is, and why.
    pub(crate) faults: Vec<(Domain, Error)>,
}

/// The chain that a device lacks of a domain; `None`: it stands at the same root, or does not know the domain.
///
/// # Errors
/// [`Error::Root`]
pub(crate) fn lacking(
    trusted: &TrustStoreBuf,
    device: &DeviceTrust,
    domain: Domain,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(number) = device.number(domain) else { return Ok(None) };
    let here = trusted.number_of(domain);
    let root = device.root(domain);
    let from = match root {
        // Without its root a device takes the whole chain.
        None => SuccessionNumber::FIRST,
        Some(_) => number,
    };
    if number > here {
        return Err(Error::Root(RootFault::DeviceNewer { domain, device: number, here }));
    }
    if from == here {
        // It was given none, or holds the one that is known here.
        let is_same = root.is_none() || trusted.root_of(domain).is_none_or(|known| root == Some(known.kid()));
        let contradicts = RootFault::Contradicts { domain, number };
        return if is_same { Ok(None) } else { Err(Error::Root(contradicts)) };
    }
    match trusted.chain_after(domain, from) {
        Ok(Some(chain)) => Ok(Some(chain)),
        Ok(None) => Err(Error::Root(RootFault::NoList { domain, number: here })),
        Err(_) => Err(Error::Root(RootFault::TooLong { domain, device: from })),
    }
}

/// Gives a device in its programming session the chains that it lacks.
///
/// # Errors
/// [`Trouble`], but for a refusal of a chain
pub(crate) async fn bring(
    session: &mut Session<'_>,
    trusted: &TrustStoreBuf,
    trust: &DeviceTrust,
    output: &Output,
) -> Result<Outcome, Trouble> {
    let mut outcome = Outcome::default();
    for domain in trusted.domains() {
        let chain = match lacking(trusted, trust, domain) {
            Ok(None) => continue,
            Ok(Some(chain)) => chain,
            Err(error) => {
                outcome.faults.push((domain, error));
                continue;
            }
        };
        if !takes_chains(session.state().await?.image) {
            outcome.faults.push((domain, Error::Root(RootFault::Waits)));
            continue;
        }
        let number = trusted.number_of(domain);
        output.wait_end();
        output.step("succession");
        match session.download(Object::SuccessionChain, &chain, |_| Flow::Continue).await {
            Ok(_) => {
                let list_sequence = trusted.list_of(domain).map_or(0, |list| list.sequence());
                output.say(&format!("  The device has root {number} of its domain now."));
                output.event(&Stored {
                    event: "succession-stored",
                    domain: hex::encode(domain.0.0),
                    recovery_epoch: number.recovery_epoch,
                    succession_sequence: number.succession_sequence,
                    list_sequence,
                });
                outcome.brought.push(domain);
            }
            Err(Trouble::Refused(nrc)) if !session_is_lost(nrc) => {
                let refusal = session.refusal(Subject::SuccessionChain(number), nrc).await;
                outcome.faults.push((domain, Error::DeviceRefused(refusal)));
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(outcome)
}

/// Whether a device takes a chain: it would not as long as it needs the image before as the way back.
#[must_use]
pub(crate) const fn takes_chains(image: ImageState) -> bool {
    match image {
        ImageState::None | ImageState::Confirmed | ImageState::Pending => true,
        ImageState::Trial | ImageState::Reverting => false,
    }
}

/// Why a device refused a chain, if it did.
pub(super) fn refusal(error: &Error) -> Option<Reason> {
    if let Error::DeviceRefused(refusal) = error { refusal.reason() } else { None }
}

impl Install<'_> {
    /// Reads what the device trusts, which only its loader reports, and gives it the chains that it lacks.
    pub(super) async fn bring_successions(&mut self) -> Result<(), Stop> {
        let (trusted, output) = (self.trusted, self.output);
        let mut session = Session::new(self.connection, self.device.node);
        let Some(trust) = session.trust().await.map_err(again)? else { return Ok(()) };
        let outcome = bring(&mut session, trusted, &trust, output).await.map_err(again)?;
        let trust = if outcome.brought.is_empty() {
            trust
        } else {
            session.trust().await.map_err(again)?.unwrap_or(trust)
        };
        self.learned.trust = Some(trust);
        // The list came with the chain.
        self.learned.settled.extend(outcome.brought);
        for (domain, error) in outcome.faults {
            if let Some(reason) = refusal(&error) {
                self.learned.refused.push(Refused::Succession(reason));
            }
            if self.is_of(domain) {
                return Err(Stop::Final(error));
            }
            // Another domain's matter: the release does not depend on it.
            if !self.learned.settled.contains(&domain) {
                self.output.warn(&error.code(), &error.to_string());
                self.learned.settled.push(domain);
            }
        }
        Ok(())
    }

    /// Whether the release goes back to a root of this domain.
    fn is_of(&self, domain: Domain) -> bool {
        let facts = self.release.facts.as_ref();
        let anchor = facts.and_then(|facts| anchor_of(self.trusted, facts.anchor()?));
        anchor.is_some_and(|anchor| anchor.domain() == domain)
    }
}

#[cfg(test)]
mod tests;
