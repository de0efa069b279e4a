//! How long an answer is waited for before its request is sent again, and how long a block is: both follow what the bus
//! and the device have shown so far. The round trip is estimated as in RFC 6298; a repeat is never measured (Karn).

use std::time::Duration;

/// Before anything is known.
const FIRST_PATIENCE: Duration = Duration::from_millis(300);
/// The least, so that a machine that was busy does not count as a lost frame.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(40);
/// A frame of 8 bytes at 50 kbit/s, before anything is known.
const FIRST_FRAME_TIME: Duration = Duration::from_micros(3_200);
/// Requests of fewer frames tell the round trip, those of more the time of a frame.
const LONG_REQUEST_FRAMES: u64 = 16;
/// Frames that may be queued between this program and the bus when a flow control is waited for.
const QUEUED_FRAMES: u64 = 64;
/// The longest a block may take: well below the limit for a message, and time enough between two of them to be stopped.
const BLOCK_LIMIT: Duration = Duration::from_secs(10);
/// A block that is taken makes the next one longer by this part of itself; one of which a frame was lost halves it. The
/// length ends where about one block in three is lost. A silence shrinks it less: mostly its cause is a frame that every
/// block has once, and it costs as much as a few hundred frames.
const GROWTH: usize = 2;

#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    smoothed_us: u64,
    variation_us: u64,
}

/// Measurements of the way to a device and back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    round_trip: Option<RoundTrip>,
    frame_us: Option<u64>,
    /// Bytes of data in a block; `None`: as many as the device takes.
    block_len: Option<usize>,
}

impl Pace {
    /// How long a single frame is waited for that answers a single frame, after so many silences.
    pub(crate) fn patience_us(&self, silences: u32) -> u64 {
        let first = match self.round_trip {
            None => micros(FIRST_PATIENCE),
            Some(RoundTrip { smoothed_us, variation_us }) => {
                smoothed_us.saturating_add(variation_us.saturating_mul(4)).max(micros(SHORTEST_PATIENCE))
            }
        };
        first.saturating_mul(2_u64.saturating_pow(silences))
    }

    /// How long a flow control is waited for: what was sent before it may still be queued.
    pub(crate) fn flow_control_patience_us(&self, frames: usize, silences: u32) -> u64 {
        let queued = QUEUED_FRAMES.min(frames as u64);
        self.patience_us(silences).saturating_add(self.frame_time_us().saturating_mul(queued))
    }

    /// How long the answer to a request of so many frames is waited for, from the moment its first frame was sent. An
    /// operating system or an adapter may have queued what counts as sent.
    pub(crate) fn answer_patience_us(&self, frames: usize, silences: u32) -> u64 {
        let on_the_bus = self.frame_time_us().saturating_mul(frames as u64);
        self.patience_us(silences).saturating_add(on_the_bus.saturating_mul(5) / 4)
    }

    fn frame_time_us(&self) -> u64 {
        self.frame_us.unwrap_or(micros(FIRST_FRAME_TIME))
    }

    /// A request of so many frames was answered without a repeat and without NRC 78, so long after its beginning.
    pub(crate) fn answered(&mut self, frames: usize, elapsed_us: u64) {
        let frames = frames as u64;
        if frames < LONG_REQUEST_FRAMES {
            self.round_trip = Some(match self.round_trip {
                None => RoundTrip { smoothed_us: elapsed_us, variation_us: elapsed_us / 2 },
                Some(RoundTrip { smoothed_us, variation_us }) => RoundTrip {
                    smoothed_us: (smoothed_us * 7 + elapsed_us) / 8,
                    variation_us: (variation_us * 3 + smoothed_us.abs_diff(elapsed_us)) / 4,
                },
            });
            return;
        }
        let frame_us = elapsed_us / frames;
        self.frame_us = Some(self.frame_us.map_or(frame_us, |known| (known * 3 + frame_us) / 4));
    }

    /// How many bytes of data the next block has. `max`: what the device takes; `payload`: data bytes of a frame;
    /// `st_min_us`: the pause that the device asks for between two of them.
    pub(crate) fn block_len(&self, max: usize, payload: usize, st_min_us: u64) -> usize {
        let in_time = match micros(BLOCK_LIMIT).checked_div(st_min_us) {
            None => max,
            Some(frames) => usize::try_from(frames).unwrap_or(usize::MAX).saturating_mul(payload),
        };
        self.block_len.unwrap_or(max).min(in_time).clamp(1, max.max(1))
    }

    /// A block of so many bytes was taken.
    pub(crate) fn block_taken(&mut self, len: usize, max: usize) {
        if let Some(block_len) = self.block_len.filter(|block_len| len >= *block_len) {
            let longer = block_len.saturating_add((block_len / GROWTH).max(1));
            self.block_len = (longer < max).then_some(longer);
        }
    }

    /// A block of so many bytes was lost. `least`: what fits a single frame.
    pub(crate) fn block_lost(&mut self, len: usize, least: usize, silence: bool) {
        let shorter = if silence { len - len / 4 } else { len / 2 };
        self.block_len = Some(shorter.max(least));
    }
}

const fn micros(duration: Duration) -> u64 {
    // Seconds at most.
    duration.as_secs().saturating_mul(1_000_000).saturating_add(duration.subsec_micros() as u64)
}

#[cfg(test)]
mod tests;
