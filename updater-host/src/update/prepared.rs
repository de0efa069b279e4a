//! An update of which everything is there and verified: it is sent, started and waited for.

use std::time::Instant;

use suit_manifest::Reason;
use trust::TrustStoreBuf;
use update_protocol::profile::{Component, StateRecord};

use super::Run;
use super::outcome::{UpdateReport, UpdateResult, report};
use super::standing::{is_on_trial, warn_of_labels};
use crate::connection::Connection;
use crate::device::{Device, Installed};
use crate::error::{Error, Moment};
use crate::install::{Install, Learned, NewestList, Sent, Transferred};
use crate::plan::ReleaseName;
use crate::release::Release;
use crate::restart::{Outcome, Restart, Settled};
use crate::session::Session;

/// Everything is there and verified.
pub(super) struct Prepared<'r> {
    pub(super) connection: &'r mut Connection,
    pub(super) device: &'r mut Device,
    pub(super) release: Release,
    pub(super) run: &'r Run<'r>,
    pub(super) trusted: &'r TrustStoreBuf,
    /// The lists that are held here.
    pub(super) lists: &'r [NewestList],
}

impl Prepared<'_> {
    pub(super) async fn install(&mut self) -> Result<UpdateReport, Error> {
        let output = self.run.output;
        #[cfg(feature = "http")]
        let interrupt = self.run.interrupt;
        let started = Instant::now();
        #[cfg(feature = "http")]
        if let Some(reporting) = self.run.reporting {
            reporting.started(self.device, &self.release, output, interrupt).await;
        }
        let outcome = self.transfer_and_restart().await;
        #[cfg(feature = "http")]
        if let Some(reporting) = self.run.reporting {
            reporting.ended(self.device, &self.release, &outcome, output, interrupt).await;
        }
        let Ended { sent, outcome, after, ran_already } = outcome?;
        let (result, reason) = match outcome {
            Outcome::Confirmed if ran_already => (UpdateResult::UpToDate, None),
            Outcome::Confirmed => (UpdateResult::Confirmed, None),
            Outcome::Trial => (UpdateResult::Trial, None),
            Outcome::Reverted(reason) => (UpdateResult::Reverted, Some(reason)),
        };
        self.look_beside().await;
        if result == UpdateResult::Confirmed {
            warn_of_labels(&self.release, &after, output);
        }
        let mut report = report(self.device, ReleaseName::of(&self.release), result, after, reason);
        report.with_table = self.release.table.is_some();
        report.resumed_from = sent.resumed_from;
        report.bytes_sent = sent.bytes;
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    async fn transfer_and_restart(&mut self) -> Result<Ended, Error> {
        let mut sent = Sent::default();
        let on_trial = is_on_trial(self.device, &self.release) && !self.run.options.reinstall;
        if !on_trial {
            // The table first: firmware that waits without it is told so by the device.
            let table = match self.release.table.take() {
                Some(mut table) => {
                    self.device.turn(Component::Table)?;
                    let brought = self.transfer(&mut table).await;
                    self.release.table = Some(table);
                    self.device.turn(Component::Firmware)?;
                    Some(brought?)
                }
                None => None,
            };
            let mut release = std::mem::take(&mut self.release);
            let brought = self.transfer(&mut release).await;
            self.release = release;
            let brought = match (brought, &table) {
                (
                    Err(Error::Interrupted(Moment::BeforeTransfer | Moment::BeforeImage)),
                    Some(Transferred::Pending(_)),
                ) => Err(Error::Interrupted(Moment::BetweenHalves)),
                (brought, _) => brought,
            };
            match (brought?, table) {
                (Transferred::Pending(of_firmware), Some(Transferred::Pending(of_table))) => {
                    sent = Sent { bytes: of_firmware.bytes.saturating_add(of_table.bytes), ..of_firmware };
                }
                (Transferred::Pending(of_firmware), _) => sent = of_firmware,
                // It ran the firmware, and was let go with the table on trial.
                (Transferred::RunsAlready, Some(Transferred::Pending(of_table))) => {
                    let restart = self.restart(Component::Table);
                    let Settled { outcome, .. } = restart.wait_or_revert().await?;
                    let Ended { after, .. } = self.runs_already().await;
                    self.look_at_table(outcome).await;
                    return Ok(Ended { sent: of_table, outcome, after, ran_already: false });
                }
                (Transferred::RunsAlready, _) => return Ok(self.runs_already().await),
            }
            #[cfg(feature = "http")]
            if let Some(reporting) = self.run.reporting {
                reporting.installed(self.device, &self.release, self.run.output);
            }
        }
        let restart = self.restart(self.device.component);
        let Settled { outcome, state } =
            if on_trial { restart.wait_or_revert().await? } else { restart.reset_and_wait().await? };
        let after = self.after(&state).await;
        self.look_at_table(outcome).await;
        Ok(Ended { sent, outcome, after, ran_already: false })
    }

    /// Sends a release, or a half of one, to what the device is turned to.
    async fn transfer(&mut self, release: &mut Release) -> Result<Transferred, Error> {
        let Run { cli, options, output, interrupt, .. } = *self.run;
        let mut install = Install {
            connection: self.connection,
            device: self.device,
            release,
            trusted: self.trusted,
            lists: self.lists,
            learned: Learned::default(),
            output,
            interrupt,
            patience: cli.patience,
            refusal_report: options.refusal_report.as_deref(),
        };
        let installed = install.run().await;
        let learned = install.learned;
        #[cfg(feature = "http")]
        if let Some(reporting) = self.run.reporting {
            reporting.records_refused(self.device, &learned.refused, output);
            if let Some(said) = learned.said {
                reporting.refusal_said(self.device, said, output);
            }
        }
        self.device.trust = learned.trust.or(self.device.trust.take());
        installed
    }

    /// The wait for what becomes of this component.
    fn restart(&mut self, component: Component) -> Restart<'_> {
        let Run { cli, options, output, interrupt, .. } = *self.run;
        let before = self.device.of(component).unwrap_or(&self.device.state).active_sequence;
        Restart {
            connection: self.connection,
            node: self.device.node,
            component,
            sequence: self.release.facts.as_ref().map(|facts| facts.sequence),
            digest: self.release.digest(),
            sequence_before: before,
            output,
            interrupt,
            patience: cli.patience,
            confirm_timeout: options.confirm_timeout,
            revert_unconfirmed: options.revert_unconfirmed,
        }
    }

    /// Reads what became of the table of a release of both. The device tries firmware and table together: if it says otherwise,
    /// somebody has to know.
    async fn look_at_table(&mut self, outcome: Outcome) {
        if self.release.table.is_none() {
            return;
        }
        let session = Session::new(self.connection, self.device.node);
        // As it was before it is not any more, in any case.
        self.device.other = session.of(Component::Table).state().await.ok();
        let digest = self.device.other.as_ref().map(|state| state.active_digest);
        if outcome == Outcome::Confirmed && digest != self.release.digest() {
            let words = "the device has confirmed the firmware, but does not say that it has the table of the release; \
                         tell the manufacturer";
            self.run.output.warn("table-missing", words);
        }
    }

    /// What waited beside the release is started by the same reset, unless it is half of another one.
    async fn look_beside(&mut self) {
        let Some(component) = self.device.waits_beside() else { return };
        // Both are read: what the device said before it was updated, perhaps in its loader, is no reason any more.
        let own = Session::new(self.connection, self.device.node).of(self.device.component).state().await;
        let other = Session::new(self.connection, self.device.node).of(component).state().await;
        let (Ok(state), Ok(other)) = (own, other) else { return };
        let after = Device { state, other: Some(other), ..self.device.clone() };
        if after.waits_still(component, self.device) {
            let half = after.half_waits(component);
            self.run.output.warn(Reason::PartMissing.slug(), &format!("{half}. {}", half.hint()));
        }
    }

    /// What the device has now. The outcome is known; a device that is silent now only keeps the name of its version to
    /// itself.
    async fn after(&mut self, state: &StateRecord) -> Installed {
        if self.device.component == Component::Table {
            let mut after = Installed::new(None, state);
            // Nobody but its release has a name for it.
            let facts = self.release.facts.as_ref();
            let own = facts.filter(|facts| after.digest == Some(facts.manifest_digest));
            after.version = own.and_then(|facts| facts.version.clone());
            return after;
        }
        let mut session = Session::new(self.connection, self.device.node);
        let version = session.application_version(state.mode).await;
        Installed::new(version.ok().flatten().as_ref(), state)
    }

    /// The end of an update that the device did not need: it was let go with the image that it ran.
    async fn runs_already(&mut self) -> Ended {
        let session = Session::new(self.connection, self.device.node);
        let after = match session.of(self.device.component).state().await {
            Ok(state) => self.after(&state).await,
            // It has said what it runs; a device that is silent now only keeps the name of its version to itself.
            Err(_) => self.device.installed(),
        };
        Ended { sent: Sent::default(), outcome: Outcome::Confirmed, after, ran_already: true }
    }
}

/// A transfer that the device has judged.
pub(crate) struct Ended {
    pub(crate) sent: Sent,
    pub(crate) outcome: Outcome,
    pub(crate) after: Installed,
    /// The device ran the release before, and refused to install it again.
    pub(crate) ran_already: bool,
}
