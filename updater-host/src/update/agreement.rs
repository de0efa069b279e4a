//! What is about to happen, all of it, and one question before any of it is sent.

use trust::TrustStoreBuf;
use update_protocol::profile::Component;

use super::offers::Offered;
use super::standing::{is_done, is_on_trial, warn_of_clock, warn_of_equal_number};
use super::{Reached, Run};
use crate::connection::Connection;
use crate::device::{Device, Waits};
use crate::error::{Error, Moment};
use crate::output::Output;
use crate::plan::Plan;
use crate::release::Release;
use crate::source::{HostChecks, Offer};

/// Said before a transfer of CAN FD frames that nobody told the data bit rate of.
const DATA_RATE_UNKNOWN: &str = "the data bit rate of the CAN FD bus is not known: frames are sent no faster than the \
    nominal bit rate allows. Append the data bit rate to the bus address, such as &data=2M";

impl Run<'_> {
    /// Shows the plan of each offer that is to be installed, and asks once for all of them. Firmware and a table of one run are
    /// agreed to together: who said no to the second one would be left with the first.
    ///
    /// # Errors
    /// [`Error::Declined`], [`Error::ConfirmationNeeded`], [`Error::Interrupted`]
    pub(super) async fn ask(
        &self,
        Reached { connection, device }: &mut Reached,
        offers: &[Offered],
        trusted: &TrustStoreBuf,
    ) -> Result<(), Error> {
        let Self { options, output, interrupt, .. } = *self;
        let (mut shown, mut asks) = (0, false);
        let looked_at = device.component;
        for Offered { component, offer, is_tried } in offers {
            let release = match offer {
                Ok(Offer::Release(release)) => release,
                Ok(Offer::Older { .. }) => continue,
                // The run ends with it: nothing comes after.
                Err(_) => break,
            };
            // What it will be refused for is told when its turn comes.
            if device.turn(*component).is_err() {
                continue;
            }
            // Firmware that comes before a table tries it.
            let is_tried = *is_tried
                || offers.len() > 1
                || self.checks == HostChecks::Skipped
                || device.check_tries().is_ok();
            if !is_tried || is_done(device, release, options) {
                continue;
            }
            let on_trial = is_on_trial(device, release) && !options.reinstall;
            show(connection, (device, release, on_trial), trusted, output);
            shown += 1;
            asks |= !on_trial;
        }
        device.turn(looked_at)?;
        if shown > 0 && connection.lacks_data_rate() {
            output.warn("data-bit-rate", DATA_RATE_UNKNOWN);
        }
        if !asks || options.yes {
            return Ok(());
        }
        let question = match shown {
            1 => "Install it?",
            2 => "Install both?",
            _ => "Install all three?",
        };
        let confirmed = interrupt.or(Moment::BeforeTransfer, output.confirm(question)).await?;
        if confirmed { Ok(()) } else { Err(Error::Declined) }
    }
}

/// The plan of an update, and what a person should know before it begins.
fn show(
    connection: &Connection,
    (device, release, on_trial): (&Device, &Release, bool),
    trusted: &TrustStoreBuf,
    output: &Output,
) {
    let plan = Plan::new(device, release, trusted, connection);
    output.say(&plan.lines());
    output.event(&plan);
    warn_of_equal_number(device, release, output);
    warn_of_clock(release, output);
    if let Some(component) = device.on_trial().filter(|_| !on_trial) {
        let what = match component {
            Component::Firmware => "image",
            Component::Table => "table",
        };
        let words = format!("the device has not confirmed its active {what}; this update reverts it first");
        output.warn("on-trial", &words);
    }
    let is_of_it = |waits: &Component| {
        release.table.is_some() && device.of(*waits).map(|state| state.manifest_digest) == release.digest()
    };
    if let Some(component) = device.waits_beside().filter(|waits| !is_of_it(waits)) {
        let (what, half) = match component {
            Component::Firmware => ("installed firmware", "table"),
            Component::Table => ("an installed table", "firmware"),
        };
        // This release takes the place of the other half.
        let waits = if device.other_half().is_some() { Some(Waits::Half) } else { device.waits(component) };
        let words = match waits {
            None | Some(Waits::Reset) => format!("{what} waits for a reset; this update starts it too"),
            Some(Waits::Half) => {
                format!("{what} waits for the {half} of its release; this update does not start it")
            }
            Some(Waits::Either) => {
                format!("{what} waits for a reset; this update starts it too, unless it waits for its {half}")
            }
        };
        output.warn("pending", &words);
    }
}
