//! After the transfer: the reset, the swap, the trial, and the outcome that the device reports.

use std::time::{Duration, Instant};

use update_protocol::profile::{Component, ImageState, Mode, StateRecord};

use crate::connection::Connection;
use crate::error::{DeviceAnswerError, Error, Moment};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::session::Session;

/// How soon the device is asked again at first; it doubles up to the longest.
const FIRST_INTERVAL: Duration = Duration::from_millis(2);
const LONGEST_INTERVAL: Duration = Duration::from_millis(250);
/// How long the loader may answer instead of an application before it counts as stuck there.
const LOADER_GRACE: Duration = Duration::from_secs(5);

/// A restart that takes longer is shown.
const SILENCE: Duration = Duration::from_secs(2);

/// Most resets that are sent to a device that still waits for one.
const MAX_RESETS: u32 = 4;

/// What became of the new image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It runs and has confirmed itself.
    Confirmed,
    /// It runs, and has not confirmed itself in time.
    Trial,
    /// The device runs what it ran before, with its reason code; 0: it gave none.
    Reverted(u16),
}

/// How the wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Settled {
    /// What became of the new image.
    pub(crate) outcome: Outcome,
    /// The state record that says so.
    pub(crate) state: StateRecord,
}

/// The wait for a device that resets.
#[derive(Debug)]
pub(crate) struct Restart<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) node: u8,
    /// What of the device is new.
    pub(crate) component: Component,
    /// Sequence number of the new image; `None` when the host does not know it.
    pub(crate) sequence: Option<u64>,
    /// Manifest digest of the new image; `None` when the host does not know it.
    pub(crate) digest: Option<[u8; 32]>,
    /// Sequence number of the image that ran before.
    pub(crate) sequence_before: u64,
    pub(crate) output: &'a Output,
    /// Whether the wait should end.
    pub(crate) interrupt: &'a Interrupt,
    /// How long the device may be silent.
    pub(crate) patience: Duration,
    /// How long the new image may take to confirm itself.
    pub(crate) confirm_timeout: Duration,
    /// Whether an image that has not confirmed itself by then is reset away.
    pub(crate) revert_unconfirmed: bool,
}

impl Restart<'_> {
    /// Resets a device whose image is pending, and waits for what becomes of it.
    ///
    /// # Errors
    /// [`Error::DeviceSilent`], [`Error::NothingRuns`], [`Error::DeviceAnswer`], [`Error::DeviceRefused`],
    /// [`Error::Interrupted`], [`Error::Bus`]
    pub(crate) async fn reset_and_wait(mut self) -> Result<Settled, Error> {
        self.output.step("restart");
        // A session that expired meanwhile has reset the device already: another reset would end the trial.
        let is_in_session = Session::new(self.connection, self.node).is_in_programming().await;
        if is_in_session.unwrap_or(true) {
            self.reset().await?;
        }
        self.wait_or_revert().await
    }

    /// Waits for what becomes of an image that is on trial.
    ///
    /// # Errors
    /// As [`Restart::reset_and_wait`].
    pub(crate) async fn wait_or_revert(mut self) -> Result<Settled, Error> {
        let settled = self.wait().await;
        self.output.wait_end();
        let settled = settled?;
        if settled.outcome != Outcome::Trial || !self.revert_unconfirmed {
            return Ok(settled);
        }
        self.output.step("revert");
        self.reset().await?;
        self.wait().await
    }

    /// Whether it was heard shows in what the device says from then on.
    async fn reset(&mut self) -> Result<(), Error> {
        let reset = Session::new(self.connection, self.node).reset().await;
        reset.map(drop).map_err(|trouble| trouble.with(self.connection, self.node, "the reset"))
    }

    /// Waits for what becomes of the new image.
    ///
    /// # Errors
    /// As [`Restart::reset_and_wait`].
    async fn wait(&mut self) -> Result<Settled, Error> {
        let mut last_heard = Instant::now();
        let mut loader_since: Option<Instant> = None;
        let mut trial_since: Option<Instant> = None;
        let mut same_since: Option<Instant> = None;
        let mut resets = 1;
        let mut interval = Interval::default();
        loop {
            self.interrupt.or(Moment::Restart, interval.pause()).await?;
            let session = Session::new(self.connection, self.node);
            let state = match session.of(self.component).state().await {
                Ok(state) => state,
                Err(trouble) => {
                    if last_heard.elapsed() >= self.patience || trouble.is_final() {
                        return Err(trouble.with(self.connection, self.node, "the restart"));
                    }
                    if last_heard.elapsed() >= SILENCE {
                        let left = self.patience.saturating_sub(last_heard.elapsed());
                        self.output.waiting("restart", "The device has not answered since its reset", left);
                    }
                    self.connection.recover(&trouble).await;
                    continue;
                }
            };
            last_heard = Instant::now();
            if state.mode != Mode::Application {
                // It has not heard the reset, and our questions keep its session from expiring.
                if state.image == ImageState::Pending && resets < MAX_RESETS {
                    resets += 1;
                    // A refusal, or a bus that fails, shows in the next answer.
                    let _ = Session::new(self.connection, self.node).reset().await;
                    continue;
                }
                if loader_since.get_or_insert(last_heard).elapsed() >= LOADER_GRACE {
                    if state.image == ImageState::Pending {
                        return Err(Error::DeviceAnswer(DeviceAnswerError::NoReset));
                    }
                    // The device does not run, whatever is new: its firmware says why.
                    let firmware = Session::new(self.connection, self.node).state().await;
                    let reason_code = firmware.map_or(state.reason, |firmware| firmware.reason);
                    return Err(Error::NothingRuns { reason_code });
                }
                continue;
            }
            loader_since = None;
            match self.judge(&state) {
                Some(Outcome::Trial) => {
                    if trial_since.is_none() {
                        self.output.step("trial");
                    }
                    let waited = trial_since.get_or_insert(last_heard).elapsed();
                    let left = self.confirm_timeout.saturating_sub(waited);
                    let what = match self.component {
                        Component::Firmware => "The new image runs and has not confirmed itself yet",
                        Component::Table => "The new table is in use and has not been confirmed yet",
                    };
                    self.output.waiting("trial", what, left);
                    if waited >= self.confirm_timeout {
                        return Ok(Settled { outcome: Outcome::Trial, state });
                    }
                }
                Some(outcome) => return Ok(Settled { outcome, state }),
                // It has not reset yet.
                None => {
                    if same_since.get_or_insert(last_heard).elapsed() >= self.patience {
                        return Err(Error::DeviceAnswer(DeviceAnswerError::NoReset));
                    }
                }
            }
        }
    }

    /// What an application says about itself; `None` when that is from before the reset.
    fn judge(&self, state: &StateRecord) -> Option<Outcome> {
        let active = state.active_sequence;
        let runs_the_new_one = match self.digest.filter(|_| state.active_digest != [0; 32]) {
            Some(digest) => digest == state.active_digest,
            None => self.sequence.map_or(active != self.sequence_before, |sequence| active == sequence),
        };
        match state.image {
            ImageState::Pending | ImageState::Reverting => None,
            ImageState::Trial if runs_the_new_one => Some(Outcome::Trial),
            ImageState::Confirmed if runs_the_new_one && !state.flags.reverted => Some(Outcome::Confirmed),
            ImageState::None | ImageState::Confirmed | ImageState::Trial => {
                Some(Outcome::Reverted(state.reason))
            }
        }
    }
}

/// The pause between two questions.
struct Interval(Duration);

impl Default for Interval {
    fn default() -> Self {
        Self(FIRST_INTERVAL)
    }
}

impl Interval {
    async fn pause(&mut self) -> Result<(), Error> {
        tokio::time::sleep(self.0).await;
        self.0 = self.0.saturating_mul(2).min(LONGEST_INTERVAL);
        Ok(())
    }
}

/// Waits until a device answers again after a reset, from its loader or its application.
///
/// # Errors
/// [`Error::DeviceSilent`], [`Error::DeviceAnswer`], [`Error::Bus`]
pub(crate) async fn await_answer(
    connection: &mut Connection,
    node: u8,
    patience: Duration,
) -> Result<(), Error> {
    let started = Instant::now();
    let mut interval = Interval::default();
    loop {
        interval.pause().await?;
        match Session::new(connection, node).state().await {
            Ok(_) => return Ok(()),
            Err(trouble) if started.elapsed() >= patience || trouble.is_final() => {
                return Err(trouble.with(connection, node, "the restart"));
            }
            Err(trouble) => connection.recover(&trouble).await,
        }
    }
}
