//! slcan adapters with a small queue, of every manner: those that answer each frame and those that answer nothing.
//! Time is simulated.

use std::collections::VecDeque;
use std::time::Duration;

use can_bus::{Bus, Ended, Flow, IsoTpChannel, SlcanSpeed, Tester};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use update_protocol::can::Frame;
use update_protocol::isotp::Config;
use update_protocol::profile::{self, Object};
use update_protocol::slcan::{Decoder, MAX_LINE_LEN, encode};
use update_protocol::uds::server::{Answer, Download, Handler, Server};
use update_protocol::uds::{Nrc, Session};

const IMAGE_LEN: usize = 40_000;

/// An adapter: how many frames it holds, and what it says.
#[derive(Clone, Copy)]
struct Adapter {
    queue: usize,
    answers: bool,
    /// The bit rate of the bus that it is on.
    bus: u32,
    /// Whether there is other traffic, and how much of the bus it takes.
    others: f64,
    /// Frames in a thousand that the bus loses.
    lost_per_mille: u64,
}

#[derive(Default)]
struct Device(Vec<u8>);

impl Handler for Device {
    fn read_identifier(&mut self, _did: u16, _answer: &mut Answer<'_>) -> Result<(), Nrc> {
        Err(Nrc::REQUEST_OUT_OF_RANGE)
    }

    fn open_object(&mut self, _download: Download) -> Result<(), Nrc> {
        self.0.clear();
        Ok(())
    }

    fn write_object(&mut self, _offset: u32, data: &[u8]) -> Result<(), Nrc> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), Nrc> {
        if self.0 == image() { Ok(()) } else { Err(Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED) }
    }
}

fn image() -> Vec<u8> {
    (0..IMAGE_LEN).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

/// Plays the adapter on `line`; what leaves it goes to `bus`, and comes from there. Ends with either.
async fn play(adapter: Adapter, mut line: DuplexStream, mut bus: Bus) {
    let (mut decoder, mut text) = (Decoder::new(), Vec::new());
    let mut queue: VecDeque<Frame> = VecDeque::new();
    let mut is_open = false;
    let mut free_at = Instant::now();
    let frame_time = Duration::from_secs_f64(134.0 / f64::from(adapter.bus) / (1.0 - adapter.others));
    let mut bytes = [0; 256];
    let mut rate = 0;
    let mut random: u64 = 1;
    loop {
        while !queue.is_empty() && free_at <= Instant::now() {
            free_at += frame_time;
            let frame = queue.pop_front().unwrap();
            // A linear congruential generator (Knuth's MMIX).
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (random >> 33) % 1000 < adapter.lost_per_mille {
                continue;
            }
            if bus.send(&frame).await.is_err() {
                return;
            }
        }
        if queue.is_empty() {
            free_at = free_at.max(Instant::now());
        }
        let wake = if queue.is_empty() { Instant::now() + Duration::from_secs(3600) } else { free_at };
        let read = tokio::select! {
            biased;
            read = line.read(&mut bytes) => read.unwrap_or(0),
            frame = bus.recv() => {
                let Ok(frame) = frame else { return };
                if is_open && rate == adapter.bus && line.write_all(encode(&frame, &mut [0; MAX_LINE_LEN])).await.is_err() {
                    return;
                }
                continue;
            }
            () = sleep_until(wake) => continue,
        };
        if read == 0 {
            return;
        }
        for &byte in &bytes[..read] {
            if byte != b'\r' {
                text.push(byte);
            }
            let frame = decoder.push(byte);
            if byte != b'\r' {
                continue;
            }
            let command = std::mem::take(&mut text);
            let answer: &[u8] = match (frame, command.first()) {
                (Some(frame), _) => {
                    assert!(is_open && rate == adapter.bus, "a frame at {rate} bit/s disturbs the bus");
                    if queue.len() < adapter.queue {
                        queue.push_back(frame);
                        b"Z\r"
                    } else {
                        b"\x07"
                    }
                }
                (None, Some(b'S')) => {
                    rate = SlcanSpeed::of_digit(command[1] - b'0').unwrap().bit_rate();
                    b"\r"
                }
                (None, Some(b'O' | b'L')) => {
                    is_open = true;
                    b"\r"
                }
                (None, Some(b'C')) if is_open => {
                    is_open = false;
                    b"\r"
                }
                _ => b"\x07",
            };
            if adapter.answers && line.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

/// A host's end of the adapter, with a device behind it.
fn behind(adapter: Adapter, config: Config) -> DuplexStream {
    let (near, line) = duplex(64 * 1024);
    let (bus, far) = duplex(64 * 1024);
    tokio::spawn(play(adapter, line, Bus::over_slcan_stream(Box::new(bus), false)));
    tokio::spawn(async move {
        let far = Bus::over_slcan_stream(Box::new(far), false);
        let mut channel = IsoTpChannel::with_config(far, profile::device_addressing(0x10), config, 1026);
        let (mut server, mut device) = (Server::new(), Device::default());
        while channel.drive(server.next_timeout()).await.is_ok() {
            let now_us = channel.now_us();
            server.poll(channel.link_mut(), &mut device, now_us);
        }
    });
    near
}

/// How long an image takes, and how many frames the adapter said that it refused.
async fn download(adapter: Adapter, config: Config, speed: Option<SlcanSpeed>) -> (Duration, u64) {
    let bus = Bus::over_slcan_adapter(Box::new(behind(adapter, config)), speed, None, false).await.unwrap();
    let mut tester = Tester::new(IsoTpChannel::new(bus, profile::tester_addressing(0x10)));
    tester.session(Session::Programming).await.unwrap();
    let started = Instant::now();
    let image = image();
    let download = tester.download(Object::Image { offset: 0 }, &image, |_| Flow::Continue);
    let ended = timeout_at(started + Duration::from_secs(60), download).await.expect("it does not end");
    assert_eq!(ended.unwrap(), Ended::Accepted);
    (started.elapsed(), tester.channel_mut().bus_mut().refused_frames())
}

#[tokio::test(start_paused = true)]
async fn adapters_with_a_small_queue_update() {
    for (rate, others) in [("125k", 0.0), ("500k", 0.0), ("1M", 0.0), ("500k", 0.5)] {
        let speed: SlcanSpeed = rate.parse().unwrap();
        for (queue, answers) in [(28, true), (28, false), (64, true), (64, false), (10, true)] {
            for block_size in [0, 32] {
                let adapter = Adapter { queue, answers, bus: speed.bit_rate(), others, lost_per_mille: 0 };
                let config = Config::classic().with_block_size(block_size);
                let (elapsed, refused) = download(adapter, config, Some(speed)).await;
                let frames = f64::from(u32::try_from(IMAGE_LEN.div_ceil(7)).unwrap());
                let least = frames * 134.0 / f64::from(speed.bit_rate()) / (1.0 - others);
                let what =
                    format!("{rate}, {others} others, queue {queue}, answers {answers}, BS {block_size}");
                // A queue shorter than what passes between two ticks of the runtime's clock cannot keep the bus busy.
                let limit = if queue < 17 {
                    4.0
                } else if others > 0.0 {
                    2.5
                } else {
                    1.6
                };
                assert!(elapsed.as_secs_f64() < least * limit, "{what}: {elapsed:?} instead of {least:.2} s");
                assert!(others > 0.0 || queue < 17 || refused == 0, "{what}: {refused} frames refused");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_bit_rate_is_assumed() {
    // Without traffic there is nothing to learn it from.
    let adapter = Adapter { queue: 28, answers: true, bus: 250_000, others: 0.0, lost_per_mille: 0 };
    let quiet = Box::new(behind(adapter, Config::classic()));
    let error = Bus::over_slcan_adapter(quiet, None, None, false).await.unwrap_err().to_string();
    assert_eq!(error, "no traffic tells the bit rate of the bus; name it, e.g. ?speed=500k");

    let (near, line) = duplex(64 * 1024);
    let (bus, others) = duplex(64 * 1024);
    tokio::spawn(play(adapter, line, Bus::over_slcan_stream(Box::new(bus), false)));
    tokio::spawn(async move {
        let mut others = Bus::over_slcan_stream(Box::new(others), false);
        let heartbeat = Frame::new(update_protocol::can::Id::Standard(0x705), &[5]).unwrap();
        while others.send(&heartbeat).await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    // The adapter fails the test when it is given a frame at another rate.
    let mut bus = Bus::over_slcan_adapter(Box::new(near), None, None, false).await.unwrap();
    bus.send(&Frame::new(profile::FUNCTIONAL_ID, &[2, 0x3E, 0]).unwrap()).await.unwrap();
    let heard = timeout_at(Instant::now() + Duration::from_secs(1), bus.recv()).await;
    assert!(heard.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_refuses_to_open_is_an_error() {
    let (near, mut line) = duplex(1024);
    tokio::spawn(async move {
        let mut byte = [0];
        while line.read_exact(&mut byte).await.is_ok() {
            if byte[0] == b'\r' {
                line.write_all(b"\x07").await.unwrap();
            }
        }
    });
    let speed = SlcanSpeed::of_digit(7);
    let error = Bus::over_slcan_adapter(Box::new(near), speed, None, false).await.unwrap_err().to_string();
    assert_eq!(error, "the adapter refuses the bit rate 800k (command S7)");
}

/// After how many frames the adapter was found to drop one.
async fn drops_after(adapter: Adapter) -> Option<u32> {
    let speed = Some("500k".parse::<SlcanSpeed>().unwrap());
    let near = Box::new(behind(adapter, Config::classic().with_block_size(0)));
    let bus = Bus::over_slcan_adapter(near, speed, None, false).await.unwrap();
    let mut tester = Tester::new(IsoTpChannel::new(bus, profile::tester_addressing(0x10)));
    tester.session(Session::Programming).await.unwrap();
    // It ends all the same: the window becomes as narrow as the queue.
    let ended = tester.download(Object::Image { offset: 0 }, &image(), |_| Flow::Continue).await;
    assert_eq!(ended.unwrap(), Ended::Accepted);
    tester.channel().bus().drops_after()
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_drops_without_a_word_is_noticed() {
    let adapter = Adapter { queue: 4, answers: false, bus: 500_000, others: 0.0, lost_per_mille: 0 };
    let found = drops_after(adapter).await.expect("not noticed");
    assert!((3..=6).contains(&found), "{found}");
    assert_eq!(drops_after(Adapter { queue: 28, ..adapter }).await, None);
    // One that says so is counted by what it says.
    assert_eq!(drops_after(Adapter { answers: true, ..adapter }).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_disturbed_bus_is_not_blamed_on_the_adapter() {
    for lost_per_mille in [1, 5, 20] {
        let adapter = Adapter { queue: 64, answers: false, bus: 500_000, others: 0.0, lost_per_mille };
        assert_eq!(drops_after(adapter).await, None, "{lost_per_mille}");
    }
}

#[tokio::test(start_paused = true)]
async fn fd_frames_are_paced_at_the_data_bit_rate_or_at_the_nominal_one() {
    let frame = Frame::new_fd(profile::request_id(0x10), &[0; 64], true).unwrap();
    // Bits of 100 frames without stuff bits: 49 and 538 each.
    for (data, seconds) in [(Some("2M"), 100.0 * (49.0 / 5e5 + 538.0 / 2e6)), (None, 100.0 * 587.0 / 5e5)] {
        let (near, mut line) = duplex(64 * 1024);
        tokio::spawn(async move {
            let mut bytes = [0; 256];
            while line.read(&mut bytes).await.is_ok_and(|len| len > 0) {}
        });
        let speed = Some("500k".parse().unwrap());
        let data = data.map(|data| data.parse().unwrap());
        let mut bus = Bus::over_slcan_adapter(Box::new(near), speed, data, true).await.unwrap();
        let started = Instant::now();
        for _ in 0..100 {
            bus.send(&frame).await.unwrap();
        }
        // All but the window, and timers that count in milliseconds. Time is simulated.
        let elapsed = started.elapsed().as_secs_f64();
        assert!(
            (seconds * 0.85..seconds * 1.05).contains(&elapsed),
            "{data:?}: {elapsed} instead of {seconds}"
        );
    }
}
