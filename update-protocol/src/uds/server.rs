//! The device's end: sessions, downloads, routines, answers (ISO 14229-1:2020, 8.7 and 10 to 15).
//!
//! [`Server::poll`] takes one request from a [`Link`], asks the [`Handler`], and puts the answer on the link. A slow
//! operation is answered with NRC 78 first; it runs when that answer has left the link, so that the tester hears of
//! it before the device goes deaf.

mod handler;
mod services;

pub use handler::{Answer, Download, Handler, Operation, SessionChange};

use super::{NEGATIVE_RESPONSE, Nrc, P2_STAR_MS, POSITIVE_OFFSET, S3_SERVER_MS, Session, sid};
use crate::isotp::{Link, Target, after};

const S3_US: u64 = S3_SERVER_MS as u64 * 1000;
/// A long operation says NRC 78 again this often, well within P2*.
const PENDING_AGAIN_US: u64 = P2_STAR_MS as u64 * 1000 / 2;
/// Shortest answer buffer a server works with: every answer without data of the handler fits.
const SHORTEST_ANSWER_BUFFER: usize = 8;

/// A task for the caller of [`Server::poll`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Reset now: the answer has left the link.
    Reset,
    /// Nobody spoke for S3: the default session is active again, an open download was closed.
    SessionExpired,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    /// The request for `target` stays in the link and is served at `at_us` ([`Handler::read_delay_us`]).
    Delayed,
    /// NRC 78 was sent at `at_us`; the request stays in the link and is served next.
    Deferred,
    /// The last answer is on its way, then the device resets.
    Resetting,
}

/// An open download.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct OpenDownload {
    size: u32,
    received: u32,
    /// Counter of the last accepted block; `None` before the first.
    last_block: Option<u8>,
}

/// The result of a request.
enum Reply {
    /// This much of the answer buffer.
    Positive(usize),
    Negative(Nrc),
    /// No answer: the tester suppressed it, or none is allowed.
    Silent,
    /// NRC 78 now, the rest later.
    Pending,
}

/// A UDS server for one tester.
#[derive(Debug)]
pub struct Server {
    session: Session,
    download: Option<OpenDownload>,
    phase: Phase,
    /// The request that [`Phase::Delayed`] holds back.
    target: Target,
    /// Time of the phase.
    at_us: u64,
    reset_after_answer: bool,
    /// A session that was switched to before this program ran and still has to be answered.
    announce: Option<Session>,
    s3_deadline: u64,
    /// Whether what is on its way out answers a request to all.
    answers_all: bool,
    /// S3 counts from the next poll on: something was served, which may have taken long.
    restart_s3: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// A server in the default session.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            session: Session::Default,
            download: None,
            phase: Phase::Idle,
            target: Target::Physical,
            at_us: 0,
            reset_after_answer: false,
            announce: None,
            s3_deadline: u64::MAX,
            answers_all: false,
            restart_s3: false,
        }
    }

    /// A server in `session` that announces nothing. S3 counts from its first poll.
    #[must_use]
    pub const fn entered(session: Session) -> Self {
        Self { session, restart_s3: true, ..Self::new() }
    }

    /// A server in `session`, which sends `50 <session> ...` without having been asked. For a loader whose
    /// application took the request, answered `7F 10 78` ([`SessionChange::HandOver`]) and reset.
    #[must_use]
    pub const fn announcing(session: Session) -> Self {
        Self { announce: Some(session), ..Self::entered(session) }
    }

    /// The active session.
    #[must_use]
    pub const fn session(&self) -> Session {
        self.session
    }

    /// Whether a download is open.
    #[must_use]
    pub const fn is_downloading(&self) -> bool {
        self.download.is_some()
    }

    /// Whether a request is being worked on; [`poll`](Self::poll) goes on with it.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    /// When to call [`poll`](Self::poll) again at the latest, besides after every frame in or out.
    #[must_use]
    pub fn next_timeout(&self) -> Option<u64> {
        match self.phase {
            Phase::Delayed | Phase::Deferred => Some(self.at_us),
            Phase::Resetting => Some(0),
            Phase::Idle if self.announce.is_some() => Some(0),
            Phase::Idle if self.session == Session::Default => None,
            Phase::Idle if self.restart_s3 => Some(0),
            Phase::Idle => Some(self.s3_deadline),
        }
    }

    /// Serves at most one request; call it after every frame, and until `poll_transmit` of the link is done.
    pub fn poll<R, T, H>(&mut self, link: &mut Link<R, T>, handler: &mut H, now_us: u64) -> Option<Event>
    where
        R: AsRef<[u8]> + AsMut<[u8]>,
        T: AsRef<[u8]> + AsMut<[u8]>,
        H: Handler + ?Sized,
    {
        if core::mem::take(&mut self.restart_s3) || link.is_sending() || link.is_receiving() {
            self.s3_deadline = after(now_us, S3_US);
        }
        if link.is_sending() {
            if !self.gives_way(link) {
                return None;
            }
            link.abort_send();
        }
        if self.phase == Phase::Resetting {
            return Some(Event::Reset);
        }
        if let Some(session) = self.announce.take() {
            let [p2_high, p2_low, star_high, star_low] = services::timing(max_request_len(link));
            let answer =
                [sid::SESSION | POSITIVE_OFFSET, session as u8, p2_high, p2_low, star_high, star_low];
            self.restart_s3 = true;
            // The link is idle and the answer is six bytes: only a buffer too small for anything refuses it.
            let _refused = link.send(&answer, now_us);
            return None;
        }
        if self.phase == Phase::Delayed {
            if now_us >= self.at_us {
                self.serve(self.target, link, handler, now_us);
            }
            return None;
        }
        if self.serve(Target::Physical, link, handler, now_us) {
            return None;
        }
        // Functional requests wait until a slow physical one is done: its answer goes first.
        if self.phase == Phase::Idle && self.serve(Target::Functional, link, handler, now_us) {
            return None;
        }
        self.expire(handler, now_us, link.is_receiving())
    }

    /// Whether the answer on its way out waits for a flow control that is not to be expected any more: its tester asks
    /// something else, or it answers a question to all that anybody may have asked.
    fn gives_way<R, T>(&self, link: &Link<R, T>) -> bool
    where
        R: AsRef<[u8]> + AsMut<[u8]>,
        T: AsRef<[u8]> + AsMut<[u8]>,
    {
        self.phase == Phase::Idle
            && link.is_awaiting_flow_control()
            && (link.received(Target::Physical).is_some()
                || (self.answers_all && link.received(Target::Functional).is_some()))
    }

    /// Closes the download and returns to the default session if nobody spoke for S3.
    fn expire<H: Handler + ?Sized>(
        &mut self,
        handler: &mut H,
        now_us: u64,
        is_receiving: bool,
    ) -> Option<Event> {
        if self.session == Session::Default
            || self.phase != Phase::Idle
            || is_receiving
            || now_us < self.s3_deadline
        {
            return None;
        }
        self.close_download(handler);
        self.session = Session::Default;
        Some(Event::SessionExpired)
    }

    /// Serves the request for `target`, if there is one. The request stays in the link while it is deferred.
    fn serve<R, T, H>(&mut self, target: Target, link: &mut Link<R, T>, handler: &mut H, now_us: u64) -> bool
    where
        R: AsRef<[u8]> + AsMut<[u8]>,
        T: AsRef<[u8]> + AsMut<[u8]>,
        H: Handler + ?Sized,
    {
        let max_request_len = max_request_len(link);
        let Some((request, answer)) = link.request_and_answer(target) else {
            return false;
        };
        let Some(&service) = request.first() else {
            return false;
        };
        self.restart_s3 = true;
        if self.phase == Phase::Idle
            && let delay_us @ 1.. = services::read_delay_us(request, handler)
        {
            (self.phase, self.target) = (Phase::Delayed, target);
            self.at_us = after(now_us, delay_us.into());
            return true;
        }
        let resumed = self.phase == Phase::Deferred;
        let reply = if answer.len() < SHORTEST_ANSWER_BUFFER
            || service & POSITIVE_OFFSET != 0
            || (target == Target::Functional && !matches!(service, sid::READ | sid::TESTER_PRESENT))
        {
            // Answering an answer would let two servers talk without end. And one request for all, answered by all,
            // may only be one that is meant so.
            Reply::Silent
        } else {
            self.dispatch(request, answer, handler, resumed, max_request_len)
        };

        let len = match reply {
            Reply::Positive(len) => len,
            Reply::Silent => 0,
            // Whoever asks all has to expect that some cannot answer; silence says it.
            Reply::Negative(_) | Reply::Pending if target == Target::Functional => 0,
            Reply::Negative(nrc) => negative(answer, service, nrc),
            // The other program gives the answer; here NRC 78 is the last word.
            Reply::Pending if self.reset_after_answer => negative(answer, service, Nrc::RESPONSE_PENDING),
            Reply::Pending => {
                if !resumed || now_us.saturating_sub(self.at_us) >= PENDING_AGAIN_US {
                    (self.phase, self.at_us) = (Phase::Deferred, now_us);
                    let len = negative(answer, service, Nrc::RESPONSE_PENDING);
                    link.send_written(len, now_us);
                }
                return true;
            }
        };
        self.phase = if self.reset_after_answer { Phase::Resetting } else { Phase::Idle };
        self.answers_all = target == Target::Functional;
        link.release(target);
        link.send_written(len, now_us);
        true
    }

    fn close_download<H: Handler + ?Sized>(&mut self, handler: &mut H) {
        if self.download.take().is_some() {
            handler.close_object();
        }
    }
}

fn max_request_len<R, T>(link: &Link<R, T>) -> u16
where
    R: AsRef<[u8]> + AsMut<[u8]>,
    T: AsRef<[u8]> + AsMut<[u8]>,
{
    u16::try_from(link.receive_capacity()).unwrap_or(u16::MAX)
}

fn negative(answer: &mut [u8], service: u8, nrc: Nrc) -> usize {
    let bytes = [NEGATIVE_RESPONSE, service, nrc.0];
    match answer.first_chunk_mut() {
        Some(to) => {
            *to = bytes;
            bytes.len()
        }
        None => 0,
    }
}

#[cfg(test)]
mod tests;
