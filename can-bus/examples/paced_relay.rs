//! Joins two buses as one with a bit rate: what comes on one goes out on the other when it would have left a real bus.
//! For measurements: udp-multicast by itself is as fast as the machine.
//!
//! `paced_relay <bus> <bus> <nominal bit/s> [<data bit/s>]`; prints a line when it is ready and runs until it is ended.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use can_bus::{Bus, BusAddress};
use update_protocol::can::Frame;

/// What a thread may be late that sleeps.
const WAKE_UP: Duration = Duration::from_micros(120);
/// How late this program may be without the bus counting as idle: two wake-ups. More would also forgive a tester that
/// is slow to answer.
const SCHEDULING: Duration = Duration::from_micros(240);

#[derive(Clone, Copy)]
struct BitRates {
    nominal: f64,
    data: f64,
}

impl BitRates {
    /// Interframe space and the stuff bits of random data included.
    fn time_of(self, frame: &Frame) -> Duration {
        let id_bits = if frame.id().is_extended() { 20.0 } else { 0.0 };
        let data_bits = 8.0 * f64::from(u8::try_from(frame.data().len()).unwrap_or(64));
        let seconds = match (frame.is_fd(), frame.brs()) {
            (false, _) => 1.022 * (47.0 + id_bits + data_bits) / self.nominal,
            (true, brs) => {
                let fast = if brs { self.data } else { self.nominal };
                (29.5 + id_bits) / self.nominal + (58.0 + data_bits) / fast
            }
        };
        Duration::from_secs_f64(seconds)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [one, other, rates @ ..] = arguments.as_slice() else {
        return Err("usage: paced_relay <bus> <bus> <nominal bit/s> [<data bit/s>]".into());
    };
    let nominal: f64 = rates.first().ok_or("the bit rate is missing")?.parse()?;
    let rates = BitRates { nominal, data: rates.get(1).map_or(Ok(nominal), |rate| rate.parse())? };
    let mut one = Bus::open(&one.parse::<BusAddress>()?).await?;
    let mut other = Bus::open(&other.parse::<BusAddress>()?).await?;
    writeln!(std::io::stdout(), "ready")?;
    std::io::stdout().flush()?;

    let mut free_at = Instant::now();
    loop {
        let (frame, to_other) = tokio::select! {
            frame = one.recv() => (frame?, true),
            frame = other.recv() => (frame?, false),
        };
        let earliest = Instant::now().checked_sub(SCHEDULING).unwrap_or(free_at);
        free_at = free_at.max(earliest) + rates.time_of(&frame);
        while let Some(left) = free_at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            match left.checked_sub(WAKE_UP) {
                Some(sleep) if !sleep.is_zero() => std::thread::sleep(sleep),
                _ => std::hint::spin_loop(),
            }
        }
        if to_other { other.send(&frame).await? } else { one.send(&frame).await? }
    }
}
