//! Joins the host's bus and the device's: slower than either, so that a test can act in the middle of a transfer, and
//! with noise, if it is told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use can_bus::{Bus, BusAddress};
use update_protocol::can::{Frame, Id};
use update_protocol::profile;

/// A pause for so many frames; timers are not finer.
const FRAMES_PER_PAUSE: u32 = 16;
const PAUSE: Duration = Duration::from_millis(2);
/// One frame of noise for so many frames of the transfer.
const FRAMES_PER_NOISE: u32 = 40;

/// What the relay does besides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Quiet,
    /// Random frames, with foreign identifiers and with those of the transfer, to both sides.
    Noisy,
    /// The device does not hear that it shall start anew.
    NoReset,
}

/// Hard reset (ISO 14229-1, 10.3) in a single frame.
const RESET: [u8; 3] = [2, 0x11, 1];

/// A relay; it ends when it is dropped.
pub(crate) struct Relay {
    stopping: Arc<AtomicBool>,
    has_dropped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    pub(crate) fn start(one: &str, other: &str, manner: Manner) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let has_dropped = Arc::new(AtomicBool::new(false));
        let (up, is_up) = std::sync::mpsc::channel();
        let addresses: [BusAddress; 2] = [one, other].map(|bus| bus.parse().expect("a bus"));
        let thread = std::thread::spawn({
            let (stopping, has_dropped) = (Arc::clone(&stopping), Arc::clone(&has_dropped));
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let one = Bus::open(&addresses[0]).await.expect("a bus");
                    let other = Bus::open(&addresses[1]).await.expect("a bus");
                    up.send(()).expect("the test waits");
                    relay(one, other, manner, &stopping, &has_dropped).await;
                });
            }
        });
        is_up.recv().expect("the relay starts");
        Self { stopping, has_dropped, thread: Some(thread) }
    }

    /// Waits for the reset that [`Manner::NoReset`] takes away.
    pub(crate) fn until_reset(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.has_dropped.load(Ordering::Relaxed) {
            assert!(Instant::now() < end, "no reset within a minute");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the relay ends");
        }
    }
}

async fn relay(
    mut one: Bus,
    mut other: Bus,
    manner: Manner,
    stopping: &AtomicBool,
    has_dropped: &AtomicBool,
) {
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    let mut frames: u32 = 0;
    while !stopping.load(Ordering::Relaxed) {
        tokio::select! {
            frame = one.recv() => {
                let frame = frame.expect("a frame");
                if manner == Manner::NoReset && frame.data().starts_with(&RESET) {
                    has_dropped.store(true, Ordering::Relaxed);
                    continue;
                }
                other.send(&frame).await.expect("sent");
            }
            frame = other.recv() => one.send(&frame.expect("a frame")).await.expect("sent"),
            () = tokio::time::sleep(Duration::from_millis(50)) => continue,
        }
        frames = frames.wrapping_add(1);
        if frames.is_multiple_of(FRAMES_PER_PAUSE) {
            tokio::time::sleep(PAUSE).await;
        }
        if manner == Manner::Noisy && frames.is_multiple_of(FRAMES_PER_NOISE) {
            one.send(&noise.frame()).await.expect("sent");
            other.send(&noise.frame()).await.expect("sent");
        }
    }
}

/// The same frames in every run (xorshift64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn frame(&mut self) -> Frame {
        let random = self.next();
        let id = match random % 8 {
            // Once in a while the identifiers of the transfer themselves.
            0 => profile::response_id(0x21),
            1 => profile::request_id(0x21),
            2 => profile::FUNCTIONAL_ID,
            3 | 4 => Id::Standard(u16::from_le_bytes([random.to_le_bytes()[1], 0]) * 8),
            _ => {
                let [_, a, b, c, d, ..] = random.to_le_bytes();
                Id::Extended(u32::from_le_bytes([a, b, c, d & 0x1F]))
            }
        };
        let data = self.next().to_le_bytes();
        Frame::new(id, &data[..(random >> 40) as usize % 9]).expect("a frame")
    }
}
