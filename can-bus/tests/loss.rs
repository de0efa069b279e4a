//! Downloads over a bus that has a bit rate, loses frames and carries what others send. Time is simulated, so that a
//! second here costs nothing and is the same on every machine.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use can_bus::{Bus, Ended, Flow, IsoTpChannel, SlcanStream, Tester};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use update_protocol::can::{Frame, Id};
use update_protocol::isotp::{Config, StMin};
use update_protocol::profile::{self, Object, did};
use update_protocol::uds::server::{Answer, Download, Handler, Server};
use update_protocol::uds::{Nrc, Session};

const NODE: u8 = 0x10;
/// As the loader of our boards.
const MAX_REQUEST_LEN: usize = 1026;
const IMAGE_LEN: usize = 188_000;
/// Bits of a frame of 8 bytes with a 29-bit identifier and random data, on average.
const FRAME_BITS: f64 = 134.0;
const BIT_RATE: f64 = 500_000.0;
const TIMER_STEPS: Duration = Duration::from_millis(3);
/// Bytes that a line within the process holds: some frames.
const LINE_LEN: usize = 512;

/// What a bus does to frames, and who else is on it.
#[derive(Clone, Copy, Default)]
struct Conditions {
    /// Frames lost in a thousand.
    lost_per_mille: u64,
    /// What somebody sends again and again.
    disturbance: Option<(Id, &'static [u8], Duration)>,
}

#[derive(Default)]
struct Device {
    content: Vec<u8>,
}

impl Handler for Device {
    fn read_identifier(&mut self, did: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        if did == did::SERIAL {
            answer.append(b"A-SERIAL-OF-LENGTH-22")
        } else {
            Err(Nrc::REQUEST_OUT_OF_RANGE)
        }
    }

    fn open_object(&mut self, _download: Download) -> Result<(), Nrc> {
        self.content.clear();
        Ok(())
    }

    fn write_object(&mut self, offset: u32, data: &[u8]) -> Result<(), Nrc> {
        assert_eq!(offset as usize, self.content.len());
        self.content.extend_from_slice(data);
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), Nrc> {
        if self.content == image() { Ok(()) } else { Err(Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED) }
    }
}

fn image() -> Vec<u8> {
    (0..IMAGE_LEN).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

fn slcan(stream: DuplexStream) -> Bus {
    Bus::over_slcan_stream(Box::new(stream), false)
}

/// Numbers without a pattern, the same at every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 27)
    }
}

/// A tester and a device on a bus under these conditions. The device ends with the bus.
fn bus(conditions: Conditions, config: Config) -> (Tester, JoinHandle<()>) {
    let ((near, near_end), (far_end, far)) = (duplex(LINE_LEN), duplex(LINE_LEN));
    let (others, others_end) = duplex(LINE_LEN);
    let (mut near_end, mut far_end, mut others_end) = (slcan(near_end), slcan(far_end), slcan(others_end));
    tokio::spawn(async move {
        let mut others = slcan(others);
        while let Some((id, data, pause)) = conditions.disturbance {
            sleep(pause).await;
            if others.send(&Frame::new(id, data).unwrap()).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    });
    tokio::spawn(async move {
        let (mut random, mut free_at) = (Random(1), Instant::now());
        loop {
            let (frame, from_device, from_tester) = tokio::select! {
                biased;
                frame = far_end.recv() => (frame, true, false),
                frame = others_end.recv() => (frame, false, false),
                frame = near_end.recv() => (frame, false, true),
            };
            let Ok(frame) = frame else { return };
            // Timers are not finer than a millisecond, and up to one late: what they are late is made up for.
            free_at =
                free_at.max(Instant::now() - TIMER_STEPS) + Duration::from_secs_f64(FRAME_BITS / BIT_RATE);
            if free_at > Instant::now() + Duration::from_millis(1) {
                sleep_until(free_at).await;
            }
            if random.next() % 1000 < conditions.lost_per_mille {
                continue;
            }
            if !from_device && far_end.send(&frame).await.is_err() {
                return;
            }
            if !from_tester && near_end.send(&frame).await.is_err() {
                return;
            }
        }
    });
    let device = tokio::spawn(async move {
        let addressing = profile::device_addressing(NODE);
        let mut channel = IsoTpChannel::with_config(slcan(far), addressing, config, MAX_REQUEST_LEN);
        let (mut server, mut device) = (Server::new(), Device::default());
        while channel.drive(server.next_timeout()).await.is_ok() {
            let now_us = channel.now_us();
            server.poll(channel.link_mut(), &mut device, now_us);
        }
    });
    (Tester::new(IsoTpChannel::new(slcan(near), profile::tester_addressing(NODE))), device)
}

/// How long the image takes, in simulated time; and whether another tester was noticed.
async fn download(conditions: Conditions, config: Config) -> (Duration, bool) {
    let (mut tester, _device) = bus(conditions, config);
    tester.session(Session::Programming).await.unwrap();
    let started = Instant::now();
    let ended = tester.download(Object::Image { offset: 0 }, &image(), |_| Flow::Continue).await;
    assert_eq!(ended.unwrap(), Ended::Accepted);
    (started.elapsed(), tester.has_twin())
}

fn device_config() -> Config {
    Config::classic().with_block_size(32)
}

#[tokio::test(start_paused = true)]
async fn three_lost_frames_in_a_thousand_cost_less_than_the_image_itself() {
    for config in [device_config(), Config::classic()] {
        let (quiet, _) = download(Conditions::default(), config).await;
        let (lossy, _) = download(Conditions { lost_per_mille: 3, ..Conditions::default() }, config).await;
        assert!(quiet < Duration::from_secs(9), "{quiet:?} without loss");
        assert!(lossy < Duration::from_secs(15), "{lossy:?} with 0.3 %");
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_ends_on_a_bus_that_loses_one_frame_in_fifty() {
    for config in [device_config(), Config::classic()] {
        let (lossy, _) = download(Conditions { lost_per_mille: 20, ..Conditions::default() }, config).await;
        assert!(lossy < Duration::from_secs(60), "{lossy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn attack_traffic_of_others_costs_what_its_frames_cost() {
    let (quiet, twin) = download(Conditions::default(), device_config()).await;
    assert!(!twin, "nobody else is there");
    let every = |per_second: u32| Duration::from_secs(1) / per_second;
    for (what, disturbance) in [
        ("attack_functional_tester_present", (profile::FUNCTIONAL_ID, &[0x02, 0x3E, 0x00][..], every(60))),
        ("attack_functional_read", (profile::FUNCTIONAL_ID, &[0x03, 0x22, 0xF1, 0x8C], every(5))),
        ("attack_physical_keep_alive", (profile::request_id(NODE), &[0x02, 0x3E, 0x80], every(5))),
    ] {
        let conditions = Conditions { disturbance: Some(disturbance), ..Conditions::default() };
        let (disturbed, twin) = download(conditions, device_config()).await;
        assert!(disturbed < quiet.mul_f64(1.2), "{what}: {disturbed:?} instead of {quiet:?}");
        assert!(twin, "{what}: another tester with our address is noticed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_with_the_longest_pauses_gets_blocks_that_it_takes_in_time() {
    let (mut tester, _device) = bus(Conditions::default(), Config::classic().with_st_min(StMin::MAX));
    tester.session(Session::Programming).await.unwrap();
    let image = image();
    let mut longest = 0;
    let mut last = 0;
    // 4,000 bytes in one block would take 73 s.
    let stopped = tester.download(Object::Image { offset: 0 }, &image, |taken| {
        longest = longest.max(taken - last);
        last = taken;
        if taken > 4_000 { Flow::Stop } else { Flow::Continue }
    });
    assert_eq!(stopped.await.unwrap(), Ended::Stopped);
    assert!((500..600).contains(&longest), "{longest} bytes at 127 ms between two frames");
}

/// A line that fails when it is read again and again although nothing comes.
struct Counted {
    line: DuplexStream,
    reads: usize,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.reads += 1;
        assert!(self.reads < 1_000, "it spins");
        Pin::new(&mut self.line).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.line).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.line).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(cx)
    }
}

fn counted(line: DuplexStream) -> Bus {
    let stream: Box<dyn SlcanStream> = Box::new(Counted { line, reads: 0 });
    Bus::over_slcan_stream(stream, false)
}

#[tokio::test(start_paused = true)]
async fn attack_unasked_message_does_not_make_a_sender_spin() {
    // On both ends: a tester, and a device that is a process.
    for is_tester in [true, false] {
        let (near, far) = duplex(4096);
        tokio::spawn(async move {
            let mut bus = slcan(far);
            let id = if is_tester { profile::response_id(NODE) } else { profile::request_id(NODE) };
            let mut says = async |data: &[u8]| bus.send(&Frame::new(id, data).unwrap()).await.unwrap();
            says(&[0x02, 0x7E, 0x00]).await;
            // The flow control of a first frame takes its time.
            sleep(Duration::from_millis(200)).await;
            says(&[0x30, 0, 0]).await;
            std::future::pending::<()>().await;
        });
        let addressing =
            if is_tester { profile::tester_addressing(NODE) } else { profile::device_addressing(NODE) };
        let mut channel = IsoTpChannel::new(counted(near), addressing);
        if is_tester {
            channel.send(&[0x22; 40]).await.unwrap();
        } else {
            channel.link_mut().send(&[0x62; 40], 0).unwrap();
            while channel.link().is_sending() {
                channel.drive(None).await.unwrap();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_go_now_waits_for_no_timer() {
    let (near, far) = duplex(4096);
    let mut device = IsoTpChannel::new(slcan(far), profile::device_addressing(NODE));
    let device = tokio::spawn(async move {
        while let Ok((request, _)) = device.recv(None).await {
            device.send(&[0x62, request[1], request[2], 1]).await.unwrap();
        }
    });
    let mut tester = Tester::new(IsoTpChannel::new(slcan(near), profile::tester_addressing(NODE)));
    // Between two ticks of the runtime's clock: a timer of length zero ends at the next one.
    tokio::time::advance(Duration::from_micros(300)).await;
    let started = Instant::now();
    for _ in 0..100 {
        tester.read(did::ACTIVE_SESSION).await.unwrap();
    }
    // A clock that is paused moves only when everybody waits for it.
    assert_eq!(started.elapsed(), Duration::ZERO);
    drop(tester);
    device.await.unwrap();
}
