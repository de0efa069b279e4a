//! A bus and an ISO-TP link, joined: for the tester and for a device that is a process.

use crate::bus::{Bus, BusError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use update_protocol::can::Frame;
use update_protocol::isotp::{
    Addressing, Config, Link, N_A_US, ReceiveError, SendError, Target, TransmitError,
};

/// Longest message a channel sends and receives, bytes.
pub const MAX_MESSAGE_LEN: usize = 64 * 1024;
/// How many frames of the past [`IsoTpChannel::discard_received`] looks at: more than socket buffers hold.
const MAX_DISCARDED_FRAMES: usize = 10_000;
/// The longest a message may take that is being sent, or that is still coming in when its wait is over: a peer with the
/// shortest blocks and the longest pauses the protocol allows would hold a channel for hours.
pub(crate) const MESSAGE_LIMIT: Duration = Duration::from_secs(30);
/// Consecutive frames that may be on their way at once: what a socket buffer holds while this process sleeps.
const BLOCK_SIZE: u8 = 32;

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
    started: Instant,
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
            started: Instant::now(),
        }
    }

    /// Microseconds since the channel was made: the clock of its link.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
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

    /// Talks to another node from here on.
    pub fn retarget(&mut self, addressing: Addressing) {
        self.outgoing = None;
        self.link.retarget(addressing);
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
    /// and sends what that led to. While a message waits to be [released](Link::release), it does not wait, only looks.
    /// Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn drive(&mut self, until_us: Option<u64>) -> Result<(), BusError> {
        self.transmit().await?;
        let until_us = match (self.link.next_timeout(), until_us) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        // A message that waits for the caller is a reason not to sleep, but not to leave frames unread.
        let is_waiting = [Target::Physical, Target::Functional]
            .into_iter()
            .any(|target| self.link.received(target).is_some());
        let until_us = if is_waiting { Some(0) } else { until_us };
        let deadline = until_us.map(|us| self.started + Duration::from_micros(us));
        tokio::select! {
            // Frames first: a program that was not scheduled for a while finds them waiting beside its timeout.
            biased;
            frame = self.bus.recv() => {
                let now_us = self.now_us();
                self.link.on_frame(&frame?, now_us);
            }
            () = sleep_until(deadline.unwrap_or(self.started)), if deadline.is_some() => {
                let now_us = self.now_us();
                self.link.on_timeout(now_us);
            }
        }
        self.transmit().await
    }

    async fn transmit(&mut self) -> Result<(), BusError> {
        loop {
            if self.outgoing.is_none() {
                let now_us = self.now_us();
                self.outgoing = self.link.poll_transmit(now_us);
            }
            let Some(frame) = &self.outgoing else {
                return Ok(());
            };
            match timeout(Duration::from_micros(N_A_US), self.bus.send(frame)).await {
                Ok(sent) => {
                    self.outgoing = None;
                    sent?;
                }
                Err(_elapsed) => {
                    self.outgoing = None;
                    return Err(BusError::Stuck);
                }
            }
        }
    }

    /// Sends a message to the peer; returns when its last frame has left. A message whose future was dropped is given
    /// up.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub async fn send(&mut self, message: &[u8]) -> Result<(), ChannelError> {
        self.link.abort_send();
        let now_us = self.now_us();
        self.link.send(message, now_us)?;
        self.finish_sending().await
    }

    /// Sends a message of one frame to every node.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub async fn send_functional(&mut self, message: &[u8]) -> Result<(), ChannelError> {
        self.link.abort_send();
        let now_us = self.now_us();
        self.link.send_functional(message, now_us)?;
        self.finish_sending().await
    }

    async fn finish_sending(&mut self) -> Result<(), ChannelError> {
        let sent = timeout(MESSAGE_LIMIT, async {
            self.transmit().await?;
            loop {
                if let Some(sent) = self.link.take_sent() {
                    return Ok(sent?);
                }
                self.drive(None).await?;
            }
        });
        let Ok(outcome) = sent.await else {
            self.link.abort_send();
            return Err(ChannelError::TooSlow);
        };
        outcome
    }

    /// Forgets what has come so far and nobody took: answers that were too late.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn discard_received(&mut self) -> Result<(), BusError> {
        for _ in 0..MAX_DISCARDED_FRAMES {
            let Ok(frame) = timeout(Duration::ZERO, self.bus.recv()).await else {
                break;
            };
            let now_us = self.now_us();
            self.link.on_frame(&frame?, now_us);
            self.link.release(Target::Physical);
        }
        self.link.release(Target::Physical);
        self.link.release(Target::Functional);
        self.link.take_receive_error();
        Ok(())
    }

    /// Waits for a message, at most until `until_us`, and takes it. A message that is coming in by then may take up to
    /// 30 s more; it is given up then.
    ///
    /// # Errors
    /// [`ChannelError`]; after [`ChannelError::Receive`] the next message can be received.
    pub async fn recv(&mut self, until_us: Option<u64>) -> Result<(Vec<u8>, Target), ChannelError> {
        loop {
            for target in [Target::Physical, Target::Functional] {
                if let Some(message) = self.link.received(target).map(<[u8]>::to_vec) {
                    self.link.release(target);
                    return Ok((message, target));
                }
            }
            match self.link.take_receive_error() {
                // The message that interrupted is on its way.
                None | Some(ReceiveError::Interrupted) => {}
                Some(error) => return Err(error.into()),
            }
            let is_receiving = self.link.is_receiving();
            let limit_us = if is_receiving { until_us.map(at_the_latest) } else { until_us };
            if limit_us.is_some_and(|limit_us| self.now_us() >= limit_us) {
                if is_receiving {
                    let addressing = *self.link.addressing();
                    self.retarget(addressing);
                }
                return Err(ChannelError::Timeout);
            }
            self.drive(limit_us).await?;
        }
    }
}

/// When a message has to be there whose wait was over at `until_us`.
fn at_the_latest(until_us: u64) -> u64 {
    until_us.saturating_add(u64::try_from(MESSAGE_LIMIT.as_micros()).unwrap_or(u64::MAX))
}
