//! An interface with a queue and a bus that takes its time. Time is simulated.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use update_protocol::can::Frame;

use super::{Facts, FrameSocket, Origin, SocketCan};
use crate::bus::BitRates;

/// What a fake does, and what it has seen.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Frames that its queue holds.
    pub(crate) queue_len: usize,
    pub(crate) frame_time: Duration,
    /// Whether somebody acknowledges.
    pub(crate) is_acknowledged: bool,
    /// Echoes that are lost: the numbers of their frames, from 0.
    pub(crate) lost_echoes: Vec<usize>,
    /// Frames in the queue, and whose they are.
    pub(crate) queue: VecDeque<(Frame, Origin)>,
    /// What the others on the bus say, and when.
    pub(crate) heard: VecDeque<(Instant, Frame)>,
    free_at: Instant,
    ready: VecDeque<(Frame, Origin)>,
    /// Frames that have left.
    pub(crate) left: Vec<Frame>,
    pub(crate) longest_queue: usize,
    pub(crate) refusals: usize,
}

impl Wire {
    /// Lets time pass up to now.
    fn advance(&mut self) {
        let now = Instant::now();
        while self.is_acknowledged && !self.queue.is_empty() && self.free_at + self.frame_time <= now {
            self.free_at += self.frame_time;
            let (frame, origin) = self.queue.pop_front().unwrap();
            if !self.lost_echoes.contains(&self.left.len()) {
                self.ready.push_back((frame, origin));
            }
            self.left.push(frame);
        }
        while self.heard.front().is_some_and(|(at, _)| *at <= now) {
            let (_, frame) = self.heard.pop_front().unwrap();
            self.ready.push_back((frame, Origin::Bus));
        }
        if self.queue.is_empty() || !self.is_acknowledged {
            self.free_at = now;
        }
    }

    fn next_event(&self) -> Option<Instant> {
        let leaves = (self.is_acknowledged && !self.queue.is_empty()).then(|| self.free_at + self.frame_time);
        let comes = self.heard.front().map(|(at, _)| *at);
        leaves.into_iter().chain(comes).min()
    }

    /// Puts a frame of another socket into the queue.
    pub(crate) fn enqueue(&mut self, frame: Frame, origin: Origin) {
        self.advance();
        self.queue.push_back((frame, origin));
        self.longest_queue = self.longest_queue.max(self.queue.len());
    }
}

#[derive(Debug)]
struct Fake {
    wire: Arc<Mutex<Wire>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl FrameSocket for Fake {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Option<Frame>, Origin)>> {
        loop {
            let mut wire = self.wire.lock().unwrap();
            wire.advance();
            if let Some((frame, origin)) = wire.ready.pop_front() {
                return Poll::Ready(Ok((Some(frame), origin)));
            }
            let Some(at) = wire.next_event() else { return Poll::Pending };
            drop(wire);
            let sleep = self.sleep.insert(Box::pin(sleep_until(at)));
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn poll_send(&mut self, _cx: &mut Context<'_>, frame: &Frame) -> Poll<io::Result<()>> {
        let mut wire = self.wire.lock().unwrap();
        wire.advance();
        if wire.queue.len() >= wire.queue_len {
            wire.refusals += 1;
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::ENOBUFS)));
        }
        wire.enqueue(*frame, Origin::ThisSocket);
        Poll::Ready(Ok(()))
    }
}

/// An interface whose driver echoes, and the wire behind it.
pub(crate) fn interface(queue_len: usize, frame_time: Duration) -> (SocketCan, Arc<Mutex<Wire>>) {
    let wire = Arc::new(Mutex::new(Wire {
        queue_len,
        frame_time,
        is_acknowledged: true,
        lost_echoes: Vec::new(),
        queue: VecDeque::new(),
        heard: VecDeque::new(),
        free_at: Instant::now(),
        ready: VecDeque::new(),
        left: Vec::new(),
        longest_queue: 0,
        refusals: 0,
    }));
    let bit_rates = BitRates { nominal: Some(500_000), data: None };
    let socket = Box::new(Fake { wire: Arc::clone(&wire), sleep: None });
    (SocketCan::over(socket, Facts { bit_rates, driver_echoes: true }), wire)
}
