//! The tester's end: requests as bytes, the wait for an answer, answers as values.
//!
//! [`Exchange`] is one request and its answer: it ignores what belongs to another request, follows NRC 78 as far as
//! [`Timing`] allows, and turns a negative answer into [`ClientError::Refused`].
//!
//! ```
//! use update_protocol::uds::client::{Exchange, Progress, Request, Timing};
//! let mut buffer = [0; 16];
//! let request = Request::Download { address: 0, size: 300 }.encode(&mut buffer)?;
//! let mut exchange = Exchange::begin(request, Timing::default(), 0);
//! assert_eq!(exchange.on_message(&[0x7F, 0x34, 0x78], 10_000)?, Progress::Waiting);
//! assert_eq!(exchange.on_message(&[0x74, 0x20, 0x0F, 0xFF], 20_000)?, Progress::Answered);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod request;
pub mod response;

pub use request::{Request, RequestError};

use core::fmt;

use super::{NEGATIVE_RESPONSE, Nrc, P2_MS, P2_STAR_MS, POSITIVE_OFFSET, SUPPRESS_POSITIVE, sid};

/// How long a tester waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// For the first sign of an answer, from the moment the request is sent.
    pub p2_us: u64,
    /// For the next sign after NRC 78.
    pub p2_star_us: u64,
    /// From the request to the answer, however often NRC 78 comes.
    pub pending_total_us: u64,
    /// How often NRC 78 may come for one request.
    pub max_pending: u16,
}

/// A tester adds this to the times that a server declares: for the bus, gateways and a busy machine.
const MARGIN_US: u64 = 1_000_000;
/// The longest P2 that a server may declare.
pub const MAX_P2_US: u64 = 15_000_000;
/// The longest P2* that a server may declare.
pub const MAX_P2_STAR_US: u64 = 60_000_000;

impl Timing {
    /// The times that a server declared with its session, within [`MAX_P2_US`] and [`MAX_P2_STAR_US`].
    #[must_use]
    pub fn declared(self, session: response::SessionTiming) -> Self {
        Self {
            p2_us: session.p2_us.min(MAX_P2_US).saturating_add(MARGIN_US),
            p2_star_us: session.p2_star_us.min(MAX_P2_STAR_US).saturating_add(MARGIN_US),
            ..self
        }
    }
}

impl Default for Timing {
    /// P2 and P2* that a server has before it declares others, with a margin; two minutes of NRC 78 in all.
    fn default() -> Self {
        Self {
            p2_us: (P2_MS as u64).saturating_mul(1000).saturating_add(MARGIN_US),
            p2_star_us: (P2_STAR_MS as u64).saturating_mul(1000).saturating_add(MARGIN_US),
            pending_total_us: 120_000_000,
            max_pending: 1000,
        }
    }
}

/// Why a request has no positive answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientError {
    /// The device said no.
    Refused {
        /// The service that was asked for.
        service: u8,
        /// Why.
        nrc: Nrc,
    },
    /// The device did not answer in time.
    Timeout {
        /// The service that was asked for.
        service: u8,
    },
    /// The device said "wait" for longer or more often than [`Timing`] allows.
    PendingTooLong {
        /// The service that was asked for.
        service: u8,
    },
    /// A positive answer that is not built as the standard says.
    Malformed {
        /// The service that was asked for.
        service: u8,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { service, nrc } => write!(f, "the device refused service {service:02X}: {nrc}"),
            Self::Timeout { service } => write!(f, "the device did not answer service {service:02X} in time"),
            Self::PendingTooLong { service } => {
                write!(f, "the device asked to wait too long for service {service:02X}")
            }
            Self::Malformed { service } => {
                write!(f, "the answer of the device to service {service:02X} is malformed")
            }
        }
    }
}

impl core::error::Error for ClientError {}

/// How a message belongs to an [`Exchange`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Not the answer to this request: an old one, or of another service.
    Ignored,
    /// NRC 78: go on waiting.
    Waiting,
    /// The positive answer; read it with [`response`].
    Answered,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exchange {
    service: u8,
    /// The bytes of the request that its answer repeats after the service, and their number.
    echo: [u8; 3],
    echo_len: usize,
    timing: Timing,
    deadline: u64,
    give_up_at: u64,
    pending: u16,
}

impl Exchange {
    /// Begins when the last frame of `request` has left.
    #[must_use]
    pub fn begin(request: &[u8], timing: Timing, now_us: u64) -> Self {
        let (service, parameters) = request.split_first().map_or((0, &[][..]), |(&sid, rest)| (sid, rest));
        let echo_len = match service {
            sid::SESSION | sid::RESET | sid::TESTER_PRESENT | sid::TRANSFER => 1,
            // A list is answered without what the device does not know, so only a single identifier is repeated.
            sid::READ if parameters.len() == 2 => 2,
            sid::ROUTINE => 3,
            _ => 0,
        };
        let mut echo = [0; 3];
        for (to, from) in echo.iter_mut().zip(parameters) {
            *to = *from;
        }
        if matches!(service, sid::SESSION | sid::RESET | sid::TESTER_PRESENT | sid::ROUTINE) {
            echo[0] &= !SUPPRESS_POSITIVE;
        }
        Self {
            service,
            echo,
            echo_len,
            timing,
            deadline: now_us.saturating_add(timing.p2_us),
            give_up_at: now_us.saturating_add(timing.pending_total_us),
            pending: 0,
        }
    }

    /// A message from the device.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a negative answer, [`ClientError::PendingTooLong`] for one NRC 78 too many.
    pub fn on_message(&mut self, message: &[u8], now_us: u64) -> Result<Progress, ClientError> {
        let service = self.service;
        match message {
            &[NEGATIVE_RESPONSE, answered, Nrc::RESPONSE_PENDING_BYTE] if answered == service => {
                self.pending = self.pending.saturating_add(1);
                if self.pending > self.timing.max_pending || now_us >= self.give_up_at {
                    return Err(ClientError::PendingTooLong { service });
                }
                self.deadline = now_us.saturating_add(self.timing.p2_star_us);
                Ok(Progress::Waiting)
            }
            &[NEGATIVE_RESPONSE, answered, nrc] if answered == service => {
                Err(ClientError::Refused { service, nrc: Nrc(nrc) })
            }
            [answered, rest @ ..]
                if *answered == service.wrapping_add(POSITIVE_OFFSET)
                    && self.echo.get(..self.echo_len).is_some_and(|echo| rest.starts_with(echo)) =>
            {
                Ok(Progress::Answered)
            }
            _ => Ok(Progress::Ignored),
        }
    }

    /// The request has left; P2 counts from here.
    pub const fn sent(&mut self, now_us: u64) {
        self.deadline = now_us.saturating_add(self.timing.p2_us);
        self.give_up_at = now_us.saturating_add(self.timing.pending_total_us);
    }

    /// The service that was asked for.
    #[must_use]
    pub const fn service(&self) -> u8 {
        self.service
    }

    /// When [`on_timeout`](Self::on_timeout) ends the wait.
    #[must_use]
    pub const fn deadline(&self) -> u64 {
        if self.deadline < self.give_up_at { self.deadline } else { self.give_up_at }
    }

    /// # Errors
    /// [`ClientError::Timeout`] or [`ClientError::PendingTooLong`] when the wait is over.
    pub const fn on_timeout(&self, now_us: u64) -> Result<(), ClientError> {
        if now_us >= self.give_up_at {
            Err(ClientError::PendingTooLong { service: self.service })
        } else if now_us >= self.deadline {
            Err(ClientError::Timeout { service: self.service })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
