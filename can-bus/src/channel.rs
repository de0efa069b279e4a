//! A bus and an ISO-TP link, joined: for the tester and for a device that is a process.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};
use update_protocol::can::Frame;
use update_protocol::isotp::{
    Addressing, Config, Link, N_A_US, ReceiveError, SendError, Target, TransmitError,
};

use crate::answers::{Answers, Surplus};
use crate::bus::{Bus, BusError, Left};
use crate::wait::{now_or_never, pause_exactly};

/// Longest message a channel sends and receives, bytes.
pub const MAX_MESSAGE_LEN: usize = 64 * 1024;
/// How many frames of the past [`IsoTpChannel::discard_received`] looks at: more than socket buffers hold.
const MAX_DISCARDED_FRAMES: usize = 10_000;
/// Messages that are held for the caller; the oldest is dropped first.
const MAX_HELD_MESSAGES: usize = 64;
/// The longest a message may take that is being sent, or that is still coming in when its wait is over: a peer with the
/// shortest blocks and the longest pauses the protocol allows would hold a channel for hours.
pub(crate) const MESSAGE_LIMIT: Duration = Duration::from_secs(30);
/// Consecutive frames that may be on their way at once: what a socket buffer holds while this process sleeps.
const BLOCK_SIZE: u8 = 32;
/// How much too late a timer of the runtime may be: it counts in milliseconds. STmin is waited for exactly from there on.
const TIMER_STEP: Duration = Duration::from_millis(2);

/// Why a message was not sent or received.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// It was not taken for sending.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It was not sent.
    #[error("the message was not sent: {0}")]
    Transmit(#[from] TransmitError),
    /// It was not received.
    #[error("the message was not received: {0}")]
    Receive(#[from] ReceiveError),
    /// None came.
    #[error("no message came in time")]
    Timeout,
    /// The peer took it in too slowly.
    #[error("the message was not sent within {} s: the other end takes it too slowly", MESSAGE_LIMIT.as_secs())]
    TooSlow,
}

/// An event on a channel.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The message that was being sent is gone, or was given up.
    Sent(Result<(), TransmitError>),
    /// A message came.
    Message(Vec<u8>, Target),
    /// A message began and did not end.
    Broken(ReceiveError),
    /// Nothing, in time.
    Late,
}

/// ISO-TP on a bus.
///
/// A device that is a process:
/// ```no_run
/// # use can_bus::{Bus, BusError, IsoTpChannel};
/// # use update_protocol::{profile, uds::server::{Event, Handler, Server}};
/// # async fn serve(bus: Bus, mut handler: impl Handler) -> Result<(), BusError> {
/// let mut channel = IsoTpChannel::new(bus, profile::device_addressing(0x10));
/// let mut server = Server::new();
/// loop {
///     channel.drive(server.next_timeout()).await?;
///     let now_us = channel.now_us();
///     match server.poll(channel.link_mut(), &mut handler, now_us) {
///         Some(Event::Reset) => return Ok(()),
///         Some(Event::SessionExpired) | None => {}
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct IsoTpChannel {
    bus: Bus,
    link: Link<Vec<u8>, Vec<u8>>,
    /// A frame that the link gave away and the bus has not taken yet.
    outgoing: Option<Frame>,
    /// Frames that were sent since the message began.
    message_frames: u32,
    /// Whether everything that the bus has taken has left, as far as the bus tells.
    has_left: bool,
    /// Messages that came while something else was waited for.
    held: VecDeque<(Vec<u8>, Target)>,
    started: Instant,
    /// A point in time that was waited for exactly: it has been reached, whatever the runtime's clock says.
    reached_us: u64,
    foreign_frames: u64,
    answers: Answers,
}

impl IsoTpChannel {
    /// A channel in the bus's own frame format, messages up to [`MAX_MESSAGE_LEN`].
    #[must_use]
    pub fn new(bus: Bus, addressing: Addressing) -> Self {
        let config = if bus.is_fd() { Config::fd(true) } else { Config::classic() };
        Self::with_config(bus, addressing, config.with_block_size(BLOCK_SIZE), MAX_MESSAGE_LEN)
    }

    /// A channel that receives and sends messages of up to `capacity` bytes.
    #[must_use]
    pub fn with_config(bus: Bus, addressing: Addressing, config: Config, capacity: usize) -> Self {
        Self {
            bus,
            link: Link::new(addressing, config, vec![0; capacity], vec![0; capacity]),
            outgoing: None,
            message_frames: 0,
            has_left: true,
            held: VecDeque::new(),
            started: Instant::now(),
            reached_us: 0,
            foreign_frames: 0,
            answers: Answers::default(),
        }
    }

    /// Microseconds since the channel was made: the clock of its link.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX).max(self.reached_us)
    }

    /// The link.
    #[must_use]
    pub const fn link(&self) -> &Link<Vec<u8>, Vec<u8>> {
        &self.link
    }

    /// The link, for a server to work on.
    pub const fn link_mut(&mut self) -> &mut Link<Vec<u8>, Vec<u8>> {
        &mut self.link
    }

    /// How many frames of others carried an identifier that this end sends with. There is another node with this
    /// address on the bus if it is not 0.
    #[must_use]
    pub const fn foreign_frames(&self) -> u64 {
        self.foreign_frames
    }

    /// A request to one node is about to leave, which answers it once.
    pub(crate) fn expect_answer(&mut self, service: u8) {
        let now_us = self.now_us();
        self.answers.asked(service, now_us);
    }

    /// Takes in what comes until so long after the first request to this node; messages are dropped.
    pub(crate) async fn settle(&mut self, since_first: Duration) -> Result<(), BusError> {
        let Some(since_us) = self.answers.since_us() else { return Ok(()) };
        let since_first_us = u64::try_from(since_first.as_micros()).unwrap_or(u64::MAX);
        while !matches!(self.next(Some(since_us.saturating_add(since_first_us))).await?, Heard::Late) {}
        Ok(())
    }

    /// Whether more answers than requests have come, those of another tester with these identifiers included.
    pub(crate) fn surplus(&self) -> Option<Surplus> {
        self.answers.surplus()
    }

    /// Talks to another node from here on.
    pub fn retarget(&mut self, addressing: Addressing) {
        if self.link.addressing() != &addressing {
            self.foreign_frames = 0;
            self.answers = Answers::default();
        }
        self.outgoing = None;
        self.held.clear();
        self.link.retarget(addressing);
    }

    /// The bus.
    #[must_use]
    pub const fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The bus, for frames that are no ISO-TP of this link.
    pub const fn bus_mut(&mut self) -> &mut Bus {
        &mut self.bus
    }

    /// Gives the bus back.
    #[must_use]
    pub fn into_bus(self) -> Bus {
        self.bus
    }

    /// One step: sends what is to be sent, waits for a frame, a timeout of the link, or the point in time `until_us`,
    /// and sends what that led to. While a message waits to be [released](Link::release) and nothing is being sent, it
    /// does not wait, only looks. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn drive(&mut self, until_us: Option<u64>) -> Result<(), BusError> {
        self.transmit().await?;
        let until_us = match (self.link.next_timeout(), until_us) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        // A message that the caller can work on is a reason not to sleep, but not to leave frames unread.
        let is_waiting = !self.link.is_sending()
            && [Target::Physical, Target::Functional]
                .into_iter()
                .any(|target| self.link.received(target).is_some());
        let until_us = if is_waiting { Some(0) } else { until_us };
        let exact_us = self.link.next_frame_at().filter(|frame_at| until_us == Some(*frame_at));
        let (started, now_us) = (self.started, self.now_us());
        tokio::select! {
            // Frames first: a program that was not scheduled for a while finds them waiting beside its timeout.
            biased;
            frame = self.bus.recv() => self.take_in(&frame?),
            () = wait(started, now_us, until_us, exact_us) => {
                self.reached_us = self.reached_us.max(exact_us.unwrap_or(0));
                let now_us = self.now_us();
                self.link.on_timeout(now_us);
            }
        }
        self.transmit().await
    }

    fn take_in(&mut self, frame: &Frame) {
        let own = self.link.addressing();
        if frame.id() == own.tx() || Some(frame.id()) == own.functional_tx() {
            self.foreign_frames = self.foreign_frames.saturating_add(1);
            self.answers.overheard(frame.data());
        }
        if frame.id() == own.rx() {
            self.answers.heard(frame.data());
        }
        let now_us = self.now_us();
        self.link.on_frame(frame, now_us);
    }

    async fn transmit(&mut self) -> Result<(), BusError> {
        loop {
            if self.outgoing.is_none() {
                let now_us = self.now_us();
                self.outgoing = self.link.poll_transmit(now_us);
            }
            let Some(frame) = &self.outgoing else {
                if self.frames_leave().await? {
                    continue;
                }
                return Ok(());
            };
            match timeout(Duration::from_micros(N_A_US), self.bus.send(frame)).await {
                Ok(sent) => {
                    self.outgoing = None;
                    sent?;
                    self.has_left = false;
                    self.message_frames = self.message_frames.saturating_add(1);
                    // A receiver that has lost a frame says so in the middle of a message.
                    if self.link.is_sending()
                        && let Some(frame) = now_or_never(self.bus.recv()).await
                    {
                        self.take_in(&frame?);
                    }
                }
                Err(_elapsed) => {
                    self.outgoing = None;
                    return Err(BusError::Stuck);
                }
            }
        }
    }

    /// Nothing more is to be sent for now: waits until what was sent has left, so that the waits for an answer do not
    /// count the time in a queue. A frame of the peer ends it, since it says that ours have come; returns whether there
    /// was one.
    async fn frames_leave(&mut self) -> Result<bool, BusError> {
        // STmin is exact only where the bus confirms each frame.
        while !self.has_left && (self.bus.confirms() || self.link.next_frame_at().is_none()) {
            match self.bus.left_or_heard().await {
                Ok(Left::All) => {
                    self.has_left = true;
                    let now_us = self.now_us();
                    self.link.frames_left(now_us);
                }
                Ok(Left::Heard) => {
                    let frame = self.bus.recv().await?;
                    self.take_in(&frame);
                    if frame.id() == self.link.addressing().rx() {
                        self.has_left = true;
                        return Ok(true);
                    }
                }
                Err(BusError::Stuck) => {
                    self.has_left = true;
                    self.link.frame_stuck();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Begins to send a message; [`next`](Self::next) tells when it is gone. A message that was on its way is given up.
    pub(crate) fn begin(&mut self, message: &[u8], target: Target) -> Result<(), SendError> {
        self.link.abort_send();
        self.message_frames = 0;
        let now_us = self.now_us();
        match target {
            Target::Physical => self.link.send(message, now_us),
            Target::Functional => self.link.send_functional(message, now_us),
        }
    }

    /// Tells the bus whether the message that [began](Self::begin) last has passed.
    pub(crate) fn message(&mut self, passed: bool) {
        self.bus.message(passed, self.message_frames);
    }

    /// Waits for the next event, at most until `until_us`. Messages leave the link at once, so that none blocks the next
    /// one.
    pub(crate) async fn next(&mut self, until_us: Option<u64>) -> Result<Heard, BusError> {
        loop {
            self.transmit().await?;
            for target in [Target::Physical, Target::Functional] {
                if let Some(message) = self.link.received(target).map(<[u8]>::to_vec) {
                    self.link.release(target);
                    if self.held.len() == MAX_HELD_MESSAGES {
                        self.held.pop_front();
                    }
                    self.held.push_back((message, target));
                }
            }
            if let Some(sent) = self.link.take_sent() {
                return Ok(Heard::Sent(sent));
            }
            if let Some((message, target)) = self.held.pop_front() {
                return Ok(Heard::Message(message, target));
            }
            match self.link.take_receive_error() {
                // The message that interrupted is on its way.
                None | Some(ReceiveError::Interrupted) => {}
                Some(error) => return Ok(Heard::Broken(error)),
            }
            if until_us.is_some_and(|until_us| self.now_us() >= until_us) {
                return Ok(Heard::Late);
            }
            self.drive(until_us).await?;
        }
    }

    /// Sends a message to the peer; returns when its last frame has left. A message whose future was dropped is given
    /// up.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub async fn send(&mut self, message: &[u8]) -> Result<(), ChannelError> {
        self.begin(message, Target::Physical)?;
        self.finish_sending().await
    }

    /// Sends a message of one frame to every node.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub async fn send_functional(&mut self, message: &[u8]) -> Result<(), ChannelError> {
        self.begin(message, Target::Functional)?;
        self.finish_sending().await
    }

    async fn finish_sending(&mut self) -> Result<(), ChannelError> {
        let until_us = at_the_latest(self.now_us());
        let mut came = VecDeque::new();
        let outcome = loop {
            match self.next(Some(until_us)).await? {
                Heard::Sent(sent) => break sent.map_err(ChannelError::from),
                Heard::Message(message, target) => came.push_back((message, target)),
                Heard::Broken(_) => {}
                Heard::Late => {
                    self.link.abort_send();
                    break Err(ChannelError::TooSlow);
                }
            }
        };
        came.append(&mut self.held);
        self.held = came;
        outcome
    }

    /// Drops all messages that have come and were not taken: late answers.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn discard_received(&mut self) -> Result<(), BusError> {
        // The runtime looks at its sockets, and no timer is in the way of what is sent next.
        yield_now().await;
        for _ in 0..MAX_DISCARDED_FRAMES {
            let Some(frame) = now_or_never(self.bus.recv()).await else {
                break;
            };
            self.take_in(&frame?);
            self.link.release(Target::Physical);
        }
        self.link.release(Target::Physical);
        self.link.release(Target::Functional);
        self.link.take_receive_error();
        self.held.clear();
        Ok(())
    }

    /// Waits for a message, at most until `until_us`, and takes it. A message that is coming in by then may take up to
    /// 30 s more; it is given up then.
    ///
    /// # Errors
    /// [`ChannelError`]; after [`ChannelError::Receive`] the next message can be received.
    pub async fn recv(&mut self, until_us: Option<u64>) -> Result<(Vec<u8>, Target), ChannelError> {
        loop {
            let is_receiving = self.link.is_receiving();
            let limit_us = if is_receiving { until_us.map(at_the_latest) } else { until_us };
            match self.next(limit_us).await? {
                Heard::Message(message, target) => return Ok((message, target)),
                Heard::Broken(error) => return Err(error.into()),
                Heard::Sent(_) => {}
                Heard::Late if self.link.is_receiving() && !is_receiving => {}
                Heard::Late => {
                    if is_receiving {
                        self.give_up();
                    }
                    return Err(ChannelError::Timeout);
                }
            }
        }
    }

    /// Forgets a message that is half sent or half received.
    pub fn give_up(&mut self) {
        let addressing = *self.link.addressing();
        self.retarget(addressing);
    }
}

/// When a message has to be there whose wait was over at `until_us`.
pub(crate) fn at_the_latest(until_us: u64) -> u64 {
    until_us.saturating_add(u64::try_from(MESSAGE_LIMIT.as_micros()).unwrap_or(u64::MAX))
}

/// Waits until a point in time on the clock that began at `started`; without one it never ends. `exact_us` is the same
/// point where a late end matters.
async fn wait(started: Instant, now_us: u64, until_us: Option<u64>, exact_us: Option<u64>) {
    let Some(until_us) = until_us else {
        return std::future::pending().await;
    };
    let until = started + Duration::from_micros(until_us);
    if exact_us.is_none() {
        return sleep_until(until).await;
    }
    let left = Duration::from_micros(until_us.saturating_sub(now_us));
    if left > TIMER_STEP {
        sleep_until(until - TIMER_STEP).await;
        pause_exactly(TIMER_STEP.min(until.saturating_duration_since(Instant::now())));
    } else {
        // The runtime looks at its sockets before this thread sleeps.
        yield_now().await;
        pause_exactly(left);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
