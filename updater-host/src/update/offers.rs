//! What there is for a device: a release in files, or the newest ones of a server, its firmware and its table.

use trust::TrustStoreBuf;
use update_protocol::profile::Component;

use super::Run;
use crate::device::Device;
use crate::error::Error;
#[cfg(feature = "http")]
use crate::output::Output;
#[cfg(feature = "http")]
use crate::reporting::Reporting;
use crate::source::{self, Offer};

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
        let mut offers = Vec::new();
        for component in self.options.target.components(has_table) {
            let offer = match device.turn(*component) {
                Ok(()) => reporting.online(self.output).release(trusted, device, self.checks).await,
                Err(error) => Err(error),
            };
            offers.push(Offered {
                component: *component,
                offer,
                is_tried: *component == Component::Firmware,
            });
        }
        chosen(offers, self.output)
    }
}

/// Those of several offers that there are. One that the server does not have stops no other: with none at all the first one says why.
#[cfg(feature = "http")]
fn chosen(mut offers: Vec<Offered>, output: &Output) -> Vec<Offered> {
    let is_missing =
        |offered: &Offered| matches!(offered.offer, Err(Error::NoRelease { .. } | Error::NotOffered { .. }));
    if offers.iter().all(is_missing) {
        offers.truncate(1);
        return offers;
    }
    for missing in offers.extract_if(.., |offered| is_missing(offered)) {
        match (missing.component, missing.offer) {
            // Mostly there are none.
            (Component::Table, Err(Error::NoRelease { .. })) | (_, Ok(_)) => {}
            (_, Err(error)) => output.warn(&error.code(), &error.to_string()),
        }
    }
    offers
}
