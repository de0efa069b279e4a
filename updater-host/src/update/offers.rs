//! What there is for a device: a release in files, or the newest ones of a server, of both, of its firmware and of its table.

use trust::TrustStoreBuf;
use update_protocol::profile::Component;

use super::Run;
#[cfg(feature = "http")]
use super::standing::has_both;
#[cfg(feature = "http")]
use crate::cli::Wanted;
use crate::device::Device;
use crate::error::Error;
#[cfg(feature = "http")]
use crate::output::Output;
#[cfg(feature = "http")]
use crate::reporting::Reporting;
#[cfg(feature = "http")]
use crate::server::Shelf;
use crate::source::{self, Offer};
#[cfg(feature = "http")]
use crate::source::{Heard, Question};

/// What there is for a component of the device.
pub(super) struct Offered {
    pub(super) component: Component,
    pub(super) offer: Result<Offer, Error>,
    /// Whether something tries it was asked already, or need not be: files are read for what the device is now.
    pub(super) is_tried: bool,
}

impl Run<'_> {
    /// What there is for the device, in the order in which it gets it. All of it is fetched before anything is sent: an update takes
    /// its time, and a technician leaves the network.
    pub(super) async fn offers(&self, trusted: &TrustStoreBuf, device: &mut Device) -> Vec<Offered> {
        let Self { options, checks, output, .. } = *self;
        let offer = match (&options.release, &options.bundle) {
            (Some(envelope), _) => {
                source::from_files(envelope, &options.images, trusted, device, checks, output)
            }
            (None, Some(folder)) => source::from_bundle(folder, trusted, device, checks, output),
            #[cfg(feature = "http")]
            (None, None) if let Some(reporting) = self.reporting => {
                return self.offers_of_server(reporting, trusted, device).await;
            }
            (None, None) => Err(Error::NothingToInstall),
        };
        vec![Offered { component: device.component, offer: offer.map(Offer::Release), is_tried: true }]
    }

    #[cfg(feature = "http")]
    async fn offers_of_server(
        &self,
        reporting: &Reporting,
        trusted: &TrustStoreBuf,
        device: &mut Device,
    ) -> Vec<Offered> {
        let has_table = device.of(Component::Table).is_some();
        let online = reporting.online(self.output);
        let (mut both, mut halves) = (None, Vec::new());
        let (mut above, mut is_there) = (None, false);
        let mut heard = Vec::new();
        for shelf in self.options.target.shelves(has_table) {
            let component = shelf.component();
            let asks_alone = has_table && self.options.target != Wanted::All;
            let question = Question { shelf: *shelf, above, asks_alone };
            let offer = match device.turn(component) {
                Ok(()) => {
                    let (by, offer) = online.release(trusted, device, question, self.checks).await;
                    heard.push(by);
                    offer
                }
                Err(error) => Err(error),
            };
            if *shelf == Shelf::Both
                && let Ok(Offer::Release(release)) = &offer
            {
                above = release.facts.as_ref().map(|facts| facts.sequence);
                is_there = has_both(device, release, self.options);
            }
            let offered = Offered { component, offer, is_tried: component == Component::Firmware };
            match shelf {
                Shelf::Both => both = Some(offered),
                Shelf::Firmware | Shelf::Table => halves.push(offered),
            }
        }
        let is_away = heard.iter().all(|by| *by != Heard::Server) && heard.first() == Some(&Heard::Nobody);
        let chosen = Answers { both, halves, is_there, is_away };
        chosen.chosen(self.output)
    }
}

/// What a server answered.
#[cfg(feature = "http")]
struct Answers {
    /// Firmware and a table in one release.
    both: Option<Offered>,
    /// Firmware, and a table.
    halves: Vec<Offered>,
    /// The device has that of both.
    is_there: bool,
    /// The server answered no question, and nothing of both was fetched earlier: nobody knows whether there is one.
    is_away: bool,
}

#[cfg(feature = "http")]
impl Answers {
    /// Those of several answers that are brought. What the server does not have stops nothing else: with nothing at all the first one
    /// says why. A release of both that may be there stops all: firmware that is beyond it would shut it out for good.
    fn chosen(self, output: &Output) -> Vec<Offered> {
        let Self { both, mut halves, is_there, is_away } = self;
        let warn = |error: &Error| output.warn(&error.code(), &error.to_string());
        let both = match both {
            Some(Offered { offer: Ok(offer), component, is_tried }) => {
                let is_new = matches!(offer, Offer::Release(_));
                halves.retain(|half| match &half.offer {
                    // What is left is beyond it.
                    Ok(Offer::Older { .. }) => !is_new,
                    Err(Error::NoRelease { .. }) => false,
                    Ok(Offer::Release(_)) => true,
                    Err(error) => {
                        let is_passed_over = is_missing(half) || error.is_offline();
                        if is_passed_over {
                            warn(error);
                        }
                        !is_passed_over
                    }
                });
                if halves.is_empty() || is_new && !is_there {
                    halves.insert(0, Offered { component, offer: Ok(offer), is_tried });
                }
                return halves;
            }
            Some(Offered { offer: Err(Error::NoRelease { .. }), .. }) => None,
            Some(Offered { offer: Err(error), .. })
                if matches!(error, Error::NotOffered { .. }) || is_away && error.is_offline() =>
            {
                if halves.iter().any(|half| half.offer.is_ok()) {
                    warn(&error);
                }
                None
            }
            other => other,
        };
        if halves.iter().all(is_missing) {
            halves.truncate(1);
            return both.into_iter().chain(halves).collect();
        }
        for missing in halves.extract_if(.., |half| is_missing(half)) {
            match (missing.component, missing.offer) {
                // Mostly there are none.
                (Component::Table, Err(Error::NoRelease { .. })) | (_, Ok(_)) => {}
                (_, Err(error)) => warn(&error),
            }
        }
        both.into_iter().chain(halves).collect()
    }
}

/// Whether the server has nothing of it.
#[cfg(feature = "http")]
fn is_missing(offered: &Offered) -> bool {
    matches!(offered.offer, Err(Error::NoRelease { .. } | Error::NotOffered { .. }))
}

#[cfg(all(test, feature = "http"))]
mod tests;
