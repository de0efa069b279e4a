//! The transfer of a release into a device's spare slot, again and again until the device has it whole or the person's
//! patience ends (docs/can-protocol.md, Downloads).
//!
//! What the device has committed is in its state record, so every try begins with a new session, sends the envelope
//! again and continues at the resume offset.

mod delay;
mod delivery;
mod lists;
mod successions;

pub(crate) use delivery::{Delivered, Delivery};
pub(crate) use lists::{Learned, NewestList, Refused};
pub(crate) use successions::{bring, takes_chains};

use std::path::Path;
use std::time::{Duration, Instant};

use can_bus::{Ended, Flow};
use suit_manifest::reason::Reason;
use trust::TrustStoreBuf;
use update_protocol::profile::{ImageState, Object, StateRecord};
use update_protocol::uds::Nrc;

use crate::commands::report;
use crate::connection::{Connection, Trouble};
use crate::device::Device;
use crate::error::{DeviceAnswerError, DeviceRefusal, Error, Moment, Subject, slot_name};
use crate::interrupt::Interrupt;
use crate::output::{Output, Retry, Transfer};
use crate::release::{Release, image_of};
use crate::restart::await_answer;
use crate::session::{PROGRAMMING, Reset, Session, session_is_lost};

/// Tries without a new byte before patience is looked at.
const MIN_FRUITLESS_TRIES: u32 = 3;
/// Tries without a new byte in which the device does answer; then somebody else is in the way.
const MAX_ANSWERED_TRIES: u32 = 8;
/// Pause before the second try; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Who else is there, and what it does to the update.
const ANOTHER_TESTER: &str = "another tester uses address F1 on this bus: frames with this program's CAN identifiers \
    come from elsewhere. Disconnect the other tool if the update fails or is slow";
/// What an adapter does to the update.
const ADAPTER_DROPS: &str =
    "the CAN adapter refused frames because its queue was full; the transfer slows down for it";
/// How long a device that was let go may take to be there again.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Install<'a> {
    pub(crate) connection: &'a mut Connection,
    /// The device, as it was when the release was chosen for it.
    pub(crate) device: &'a Device,
    /// What it gets; the image is that for the slot that it writes in its session.
    pub(crate) release: &'a mut Release,
    /// What is trusted here: the successions that the device may lack.
    pub(crate) trusted: &'a TrustStoreBuf,
    /// The newest revocation list of each domain that is trusted here; the device may know others.
    pub(crate) lists: &'a [NewestList],
    /// What this run learns of the device.
    pub(crate) learned: Learned,
    pub(crate) output: &'a Output,
    /// Whether it should end.
    pub(crate) interrupt: &'a Interrupt,
    /// How long a silent device is waited for.
    pub(crate) patience: Duration,
    /// Where its report of a refusal goes.
    pub(crate) refusal_report: Option<&'a Path>,
}

/// What was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sent {
    /// Image byte at which this run began.
    pub(crate) resumed_from: u32,
    /// Image bytes of this run, repeats included.
    pub(crate) bytes: u64,
}

/// Why a try ended.
enum Stop {
    /// Another one may help.
    Again(Trouble),
    /// Another one does not help.
    Final(Error),
    /// The device runs the release, and its image verifies.
    RunsAlready,
    /// The device delays the install, by so many seconds.
    Delayed(u32, DeviceRefusal),
}

/// What the device has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transferred {
    /// The release, pending; in its programming session.
    Pending(Sent),
    /// It ran the release before; it was let go.
    RunsAlready,
}

/// How far the tries have come.
#[derive(Debug)]
struct Tries {
    /// Whether this try is in a programming session of its own.
    opened: bool,
    /// Whether a list or the envelope was sent.
    begun: bool,
    sent: Option<Sent>,
    /// Furthest image byte that the device took.
    furthest: u32,
    last_progress: Instant,
    fruitless: u32,
    answered: u32,
    /// Delays of the device that were waited for.
    delays: u32,
    /// Whether the person knows of another tester.
    warned: bool,
    /// Whether the person knows that the adapter drops frames.
    warned_of_drops: bool,
    /// The same, of an adapter that does not report it.
    warned_of_silent_drops: bool,
}

impl Tries {
    /// The device has the image without this run.
    fn has_already(&mut self, state: &StateRecord) {
        self.sent.get_or_insert(Sent { resumed_from: state.image_size, bytes: 0 });
    }
}

impl Install<'_> {
    /// Sends the release until the device has it and accepts it, or says that it runs it.
    ///
    /// # Errors
    /// [`Error::DeviceRefused`], [`Error::DeviceLost`], [`Error::DeviceAnswer`], [`Error::DeviceChanged`],
    /// [`Error::SlotChanged`], [`Error::Refused`] for the image of the other slot, [`Error::Interrupted`]
    pub(crate) async fn run(&mut self) -> Result<Transferred, Error> {
        let mut tries = Tries {
            opened: false,
            begun: false,
            sent: None,
            furthest: 0,
            last_progress: Instant::now(),
            fruitless: 0,
            answered: 0,
            delays: 0,
            warned: false,
            warned_of_drops: false,
            warned_of_silent_drops: false,
        };
        loop {
            let before = tries.furthest;
            let outcome = match self.attempt(&mut tries).await {
                // A second device may be slower than a short image; nothing starts in it.
                Ok(()) => self.session().settle().await.map_err(again),
                stop => stop,
            };
            self.output.progress_end();
            if !tries.warned_of_drops && self.connection.drops_frames() {
                tries.warned_of_drops = true;
                self.output.warn("adapter-drops", ADAPTER_DROPS);
            }
            if !tries.warned_of_silent_drops
                && let Some(frames) = self.connection.drops_after()
            {
                tries.warned_of_silent_drops = true;
                self.output.warn("adapter-drops-silently", &drops_silently(frames));
            }
            if !tries.warned && self.connection.has_twin() {
                tries.warned = true;
                self.output.warn("another-tester", ANOTHER_TESTER);
            }
            let trouble = match outcome {
                Ok(()) => return Ok(Transferred::Pending(tries.sent.unwrap_or_default())),
                Err(Stop::RunsAlready) => {
                    self.keep_active().await?;
                    return Ok(Transferred::RunsAlready);
                }
                Err(Stop::Delayed(delay_s, refusal)) => {
                    let error = match self.wait_for_device(&mut tries, delay_s).await {
                        Ok(true) => continue,
                        Ok(false) => Error::DeviceRefused(refusal),
                        Err(error) => error,
                    };
                    self.leave(&error).await;
                    return Err(error);
                }
                // Its requests and ours got mixed: the refusal may be of either, and a reset would end its work.
                Err(Stop::Final(Error::DeviceRefused(refusal))) if self.connection.has_twin() => {
                    let evidence = Error::DeviceRefused(refusal).to_string();
                    return Err(Error::AnotherTester { evidence });
                }
                Err(Stop::Final(error)) => {
                    if tries.opened {
                        self.leave(&error).await;
                    }
                    return Err(error);
                }
                // More answers than requests: nothing is sent to two devices.
                Err(Stop::Again(trouble @ Trouble::Clash { .. })) => {
                    let clash = trouble.with(self.connection, self.device.node, PROGRAMMING);
                    if tries.opened {
                        self.leave(&clash).await;
                    }
                    return Err(clash);
                }
                Err(Stop::Again(trouble)) => trouble,
            };
            if let Some(error) = self.give_up(&mut tries, before, &trouble) {
                return Err(error);
            }
            if let Err(error) = self.pause(&tries, &trouble).await {
                if tries.opened {
                    self.leave(&error).await;
                }
                return Err(error);
            }
        }
    }

    async fn attempt(&mut self, tries: &mut Tries) -> Result<(), Stop> {
        // A session of an earlier try may have expired, and the application may be running again.
        tries.opened = false;
        if self.interrupt.is_requested() {
            return Err(Stop::Final(self.interrupted(tries)));
        }
        if let Err(trouble) = self.session().open_programming().await {
            // One of several devices has opened it.
            tries.opened = matches!(trouble, Trouble::Clash { .. });
            return Err(match trouble {
                // Nothing was begun that could have been lost: this is the device's answer.
                Trouble::Refused(nrc) if nrc != Nrc::BUSY_REPEAT_REQUEST => {
                    let refusal = self.session().refusal(Subject::Step(PROGRAMMING), nrc).await;
                    Stop::Final(Error::DeviceRefused(refusal))
                }
                other => again(other),
            });
        }
        tries.opened = true;
        self.check_device().await?;
        if !self.session().is_in_programming().await.map_err(again)? {
            // It lost its power after it had opened the session, and started anew.
            tries.opened = false;
            return Err(Stop::Again(Trouble::Answer(DeviceAnswerError::NotTheLoader)));
        }
        self.bring_successions().await?;
        self.follow_slot().await?;
        // An earlier run installed it, or an earlier try; only the reset is missing.
        if tries.begun || self.device.state.image == ImageState::Pending {
            let state = self.state().await?;
            if self.is_pending(&state) {
                tries.has_already(&state);
                return Ok(());
            }
        }
        tries.begun = true;
        self.send_lists().await?;
        self.output.wait_end();
        self.output.step("envelope");
        self.send(Object::Envelope, Subject::Envelope).await?;
        let state = self.state().await?;
        if self.is_pending(&state) {
            tries.has_already(&state);
            return Ok(());
        }
        let offset = match self.resume_offset(&state) {
            Ok(offset) => offset,
            Err(wrong) => return Err(self.unless_several(wrong).await),
        };
        self.send_image(offset, tries).await
    }

    /// Nothing is sent to another device than the one that the release was checked for.
    async fn check_device(&mut self) -> Result<(), Stop> {
        let serial = self.session().serial().await.map_err(again)?;
        if serial == self.device.serial {
            return Ok(());
        }
        let (expected, found) = (self.device.serial.to_string(), serial.to_string());
        Err(self.unless_several(Stop::Final(Error::DeviceChanged { expected, found })).await)
    }

    /// What a device says that makes no sense may be of a second one that answers later: it is heard before this one is
    /// blamed.
    async fn unless_several(&mut self, wrong: Stop) -> Stop {
        self.session().settle().await.map_or_else(again, |()| wrong)
    }

    /// The session may have ended a trial, after which the device writes the other slot.
    async fn follow_slot(&mut self) -> Result<(), Stop> {
        if !self.release.depends_on_slot() {
            return Ok(());
        }
        let state = self.state().await?;
        if self.release.follow_slot(&state).map_err(Stop::Final)? {
            let slot = slot_name(state.flags.second_slot);
            self.output.say(&format!("  The device takes the image for the {slot} slot now."));
        }
        Ok(())
    }

    async fn send(&mut self, object: Object, subject: Subject) -> Result<(), Stop> {
        let envelope = &self.release.envelope;
        match Session::new(self.connection, self.device.node)
            .of(self.device.component)
            .download(object, envelope, |_| Flow::Continue)
            .await
        {
            Ok(_) => Ok(()),
            Err(trouble) => Err(self.judge(trouble, subject).await),
        }
    }

    /// The offset at which the image continues, if the device's report of the install is consistent.
    fn resume_offset(&self, state: &StateRecord) -> Result<u32, Stop> {
        let answer = |error| Err(Stop::Final(Error::DeviceAnswer(error)));
        if let Some(facts) = &self.release.facts {
            if state.manifest_digest != facts.manifest_digest {
                return answer(DeviceAnswerError::OtherInstall);
            }
            if u64::from(state.image_size) != facts.installed_size {
                return answer(DeviceAnswerError::OtherInstall);
            }
        }
        let (offset, size) = (state.resume_offset, self.image_len());
        if offset > size {
            return answer(DeviceAnswerError::ResumeOffset { offset, size });
        }
        Ok(offset)
    }

    async fn send_image(&mut self, offset: u32, tries: &mut Tries) -> Result<(), Stop> {
        let total = self.image_len();
        let first = tries.sent.is_none();
        let mut sent = *tries.sent.get_or_insert(Sent { resumed_from: offset, bytes: 0 });
        if first && offset > 0 {
            self.output.say(&format!("  Resuming at byte {offset} of {total}."));
        }
        let mut position = offset;
        self.output.progress_begin(Transfer::ToDevice, offset.into(), total.into());
        let (output, interrupt) = (self.output, self.interrupt);
        let on_block = |taken: usize| {
            let taken = u32::try_from(taken).unwrap_or(u32::MAX);
            sent.bytes = sent.bytes.saturating_add(taken.saturating_sub(position).into());
            position = taken;
            output.progress(Transfer::ToDevice, position.into(), total.into());
            if interrupt.is_requested() { Flow::Stop } else { Flow::Continue }
        };
        let outcome = Session::new(self.connection, self.device.node)
            .of(self.device.component)
            .download(Object::Image { offset }, &self.release.image, on_block)
            .await;
        tries.sent = Some(sent);
        if position > tries.furthest {
            tries.furthest = position;
            tries.last_progress = Instant::now();
        }
        match outcome {
            Ok(Ended::Accepted) => Ok(()),
            Ok(Ended::Stopped) => Err(Stop::Final(self.interrupted(tries))),
            Err(trouble) => Err(self.judge(trouble, image_of(self.device.component)).await),
        }
    }

    /// Whether another try can help, and if not, what the device's reason is.
    async fn judge(&mut self, trouble: Trouble, subject: Subject) -> Stop {
        match trouble {
            Trouble::Refused(nrc) if session_is_lost(nrc) => Stop::Again(trouble),
            Trouble::Refused(nrc) => {
                let refusal = self.session().refusal(subject, nrc).await;
                if refusal.reason() == Some(Reason::RunsAlready) {
                    Stop::RunsAlready
                } else if refusal.reason() == Some(Reason::InstallDelayed) {
                    Stop::Delayed(refusal.position, refusal)
                } else {
                    Stop::Final(Error::DeviceRefused(refusal))
                }
            }
            other => again(other),
        }
    }

    /// Lets a device go that runs the release: nothing else may come up instead of it.
    async fn keep_active(&mut self) -> Result<(), Error> {
        let node = self.device.node;
        let state = self.session().state().await;
        let others = state.is_ok_and(|state| state.image == ImageState::Pending || state.flags.resumable);
        if others {
            let abandoned = self.session().abandon().await;
            abandoned
                .map_err(|trouble| trouble.with(self.connection, node, "abandoning the other install"))?;
        }
        if let Ok(Reset::Heard) = self.session().reset().await {
            let _ = await_answer(self.connection, node, LEAVE_LIMIT).await;
        }
        Ok(())
    }

    fn give_up(&self, tries: &mut Tries, before: u32, trouble: &Trouble) -> Option<Error> {
        if tries.furthest > before {
            (tries.fruitless, tries.answered) = (0, 0);
        }
        tries.fruitless += 1;
        let answered = matches!(trouble, Trouble::Refused(_) | Trouble::Answer(_));
        tries.answered += u32::from(answered);
        let impatient =
            tries.fruitless >= MIN_FRUITLESS_TRIES && tries.last_progress.elapsed() >= self.patience;
        if !impatient && tries.answered < MAX_ANSWERED_TRIES {
            return None;
        }
        Some(match trouble {
            Trouble::Answer(error) => Error::DeviceAnswer(*error),
            _ => Error::DeviceLost {
                committed: tries.furthest,
                total: self.image_len(),
                last: trouble.to_string(),
                detail: trouble.detail(),
            },
        })
    }

    async fn pause(&mut self, tries: &Tries, trouble: &Trouble) -> Result<(), Error> {
        let doubled = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(tries.fruitless.saturating_sub(1)));
        let left = self.patience.saturating_sub(tries.last_progress.elapsed());
        let pause = doubled.min(LONGEST_PAUSE).min(left.max(FIRST_PAUSE));
        let has = format!("It has {} of {} bytes.", tries.furthest, self.image_len());
        self.output.retry(&Retry { what: trouble.to_string(), detail: trouble.detail(), has, pause, left });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.interrupt.requested() => return Err(self.interrupted(tries)),
        }
        self.connection.recover(trouble).await;
        Ok(())
    }

    /// After a refusal or an interruption the device goes back to its application, as it was. Otherwise somebody else
    /// may be at work on it.
    async fn leave(&mut self, error: &Error) {
        if !matches!(
            error,
            Error::DeviceRefused(_)
                | Error::Interrupted(_)
                | Error::AddressClash { .. }
                | Error::SlotChanged { .. }
                | Error::Root(_)
                | Error::Refused { .. }
        ) {
            return;
        }
        // A reset forgets what was refused before anything was written.
        if let (Error::DeviceRefused(_), Some(path)) = (error, self.refusal_report) {
            self.learned.said = report::keep_refusal(self.connection, self.device, path, self.output).await;
        }
        // Whether it hears us does not change the result.
        if matches!(error, Error::AddressClash { .. }) {
            // Whether they hear it does not change the result.
            let _ = self.connection.leave_several(self.device.node).await;
            return;
        }
        if let Ok(Reset::Heard) = self.session().reset().await {
            let _ = await_answer(self.connection, self.device.node, LEAVE_LIMIT).await;
        }
    }

    fn is_pending(&self, state: &StateRecord) -> bool {
        let ours =
            self.release.facts.as_ref().is_some_and(|facts| facts.manifest_digest == state.manifest_digest);
        state.image == ImageState::Pending && ours
    }

    fn interrupted(&self, tries: &Tries) -> Error {
        Error::Interrupted(match tries.sent {
            None if tries.begun => Moment::BeforeImage,
            None => Moment::BeforeTransfer,
            Some(_) => Moment::Transfer { taken: tries.furthest, total: self.image_len() },
        })
    }

    fn image_len(&self) -> u32 {
        // Images are limited where they are read (files::MAX_IMAGE_LEN).
        u32::try_from(self.release.image.len()).unwrap_or(u32::MAX)
    }

    async fn state(&mut self) -> Result<StateRecord, Stop> {
        self.session().state().await.map_err(again)
    }

    fn session(&mut self) -> Session<'_> {
        Session::new(self.connection, self.device.node).of(self.device.component)
    }
}

fn drops_silently(frames: u32) -> String {
    format!(
        "the CAN adapter seems to hold {frames} frames and to drop those that follow without reporting it. The transfer \
         slows down for it. If it fails, connect the adapter without a hub, reduce the other traffic on the bus, or use an \
         adapter with a larger transmit queue"
    )
}

/// What cannot get better is final.
fn again(trouble: Trouble) -> Stop {
    match trouble {
        Trouble::Answer(error @ DeviceAnswerError::PendingForEver) => Stop::Final(Error::DeviceAnswer(error)),
        other => Stop::Again(other),
    }
}
