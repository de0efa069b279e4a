//! A tester whose frames get lost, and one whose device takes its time. Time is simulated: it passes when nobody has
//! anything to do.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use can_bus::{Bus, Ended, Flow, IsoTpChannel, Tester, find_nodes, first_frames};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use update_protocol::can::Frame;
use update_protocol::profile::{self, Object, did};
use update_protocol::uds::client::Request;
use update_protocol::uds::server::{Answer, Download, Handler, Operation, Server};
use update_protocol::uds::{Nrc, Session};

/// Bytes that a bus within the process holds.
const BUS_LEN: usize = 64 * 1024;

/// A device that counts what it writes.
#[derive(Default)]
struct Device {
    writes: usize,
}

impl Handler for Device {
    fn read_identifier(&mut self, _did: u16, _answer: &mut Answer<'_>) -> Result<(), Nrc> {
        Err(Nrc::REQUEST_OUT_OF_RANGE)
    }

    fn open_object(&mut self, _download: Download) -> Result<(), Nrc> {
        Ok(())
    }

    fn write_object(&mut self, _offset: u32, _data: &[u8]) -> Result<(), Nrc> {
        self.writes += 1;
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), Nrc> {
        Ok(())
    }

    fn is_slow(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Write { .. } | Operation::Finish)
    }
}

fn slcan(stream: tokio::io::DuplexStream) -> Bus {
    Bus::over_slcan_stream(Box::new(stream), false)
}

fn tester(bus: Bus) -> Tester {
    Tester::new(IsoTpChannel::new(bus, profile::tester_addressing(0x10)))
}

/// A tester and a device on a bus that loses the first single frame of the service `lost`. The device ends with the bus.
fn with_loss(lost: u8) -> (Tester, JoinHandle<Device>) {
    let ((near, near_end), (far_end, far)) = (duplex(BUS_LEN), duplex(BUS_LEN));
    let (mut near_end, mut far_end) = (slcan(near_end), slcan(far_end));
    tokio::spawn(async move {
        let mut is_lost = false;
        loop {
            tokio::select! {
                frame = near_end.recv() => match frame {
                    Ok(frame) => far_end.send(&frame).await.unwrap(),
                    Err(_closed) => break,
                },
                frame = far_end.recv() => match frame {
                    Ok(frame) if !is_lost && frame.data()[1] == lost => is_lost = true,
                    Ok(frame) => near_end.send(&frame).await.unwrap(),
                    Err(_closed) => break,
                },
            }
        }
    });
    let device = tokio::spawn(async move {
        let mut channel = IsoTpChannel::new(slcan(far), profile::device_addressing(0x10));
        let (mut server, mut device) = (Server::new(), Device::default());
        while channel.drive(server.next_timeout()).await.is_ok() {
            let now_us = channel.now_us();
            server.poll(channel.link_mut(), &mut device, now_us);
        }
        device
    });
    (tester(slcan(near)), device)
}

#[tokio::test(start_paused = true)]
async fn a_slow_block_whose_answer_is_lost_is_repeated_in_the_same_session() {
    let (mut tester, device) = with_loss(0x76);
    tester.session(Session::Programming).await.unwrap();
    // After NRC 78 the tester waits longer than the device keeps a session in which it hears nothing.
    let ended = tester.download(Object::Envelope, b"abcd", |_| Flow::Continue).await.unwrap();
    assert_eq!(ended, Ended::Accepted);
    assert_eq!(tester.read(did::ACTIVE_SESSION).await.unwrap(), [2]);
    drop(tester);
    assert_eq!(device.await.unwrap().writes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_is_lost_leaves_the_device_in_its_session() {
    let (mut tester, _device) = with_loss(0x77);
    tester.session(Session::Programming).await.unwrap();
    let error = tester.download(Object::Envelope, b"abcd", |_| Flow::Continue).await.unwrap_err();
    assert_eq!(error.to_string(), "the answer of the device to the end of the download was lost");
    assert_eq!(tester.read(did::ACTIVE_SESSION).await.unwrap(), [2]);
}

#[tokio::test(start_paused = true)]
async fn the_p2_star_that_a_device_declares_is_honoured_within_a_limit() {
    // P2* of 20 s is honoured, one of 650 s is not.
    for (declared, pause, answers) in [(2_000_u16, 15, true), (65_000, 55, true), (65_000, 70, false)] {
        let (near, far) = duplex(BUS_LEN);
        tokio::spawn(async move {
            let mut bus = slcan(far);
            let [high, low] = declared.to_be_bytes();
            let _session = bus.recv().await.unwrap();
            bus.send(&says(&[0x06, 0x50, 0x02, 0x00, 0x32, high, low])).await.unwrap();
            while bus.recv().await.is_ok_and(|frame| frame.data()[1] != 0x31) {}
            bus.send(&says(&[0x03, 0x7F, 0x31, 0x78])).await.unwrap();
            sleep(Duration::from_secs(pause)).await;
            bus.send(&says(&[0x05, 0x71, 0x01, 0xFF, 0x01, 0x00])).await.unwrap();
            std::future::pending::<()>().await;
        });
        let mut tester = tester(slcan(near));
        tester.session(Session::Programming).await.unwrap();
        let answer = tester.routine(0xFF01, &[]).await;
        assert_eq!(answer.is_ok(), answers, "{declared} {pause}: {answer:?}");
    }
}

/// What a hostile device says.
fn says(data: &[u8]) -> Frame {
    Frame::new(profile::response_id(0x10), data).unwrap()
}

/// Another tester with the same identifiers asks, and the device answers it as well: that is no second device.
#[tokio::test(start_paused = true)]
async fn answers_to_another_tester_are_no_second_device() {
    for (is_asked, is_one) in [(true, true), (false, false)] {
        let (near, far) = duplex(BUS_LEN);
        tokio::spawn(async move {
            let mut bus = slcan(far);
            while let Ok(request) = bus.recv().await {
                if is_asked {
                    bus.send(&Frame::new(request.id(), &[0x03, 0x22, 0xF1, 0x8C]).unwrap()).await.unwrap();
                }
                for serial in *b"AB" {
                    bus.send(&says(&[0x04, 0x62, 0xF1, 0x8C, serial])).await.unwrap();
                }
            }
        });
        let mut tester = tester(slcan(near));
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(tester.read(did::SERIAL).await);
        }
        assert_eq!(answers.iter().all(Result::is_ok), is_one, "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn attack_answers_that_begin_and_never_end() {
    let (near, far) = duplex(BUS_LEN);
    tokio::spawn(async move {
        let mut bus = slcan(far);
        bus.recv().await.unwrap();
        // Each begins before the wait for the rest of the last one is over.
        while bus.send(&says(&[0x10, 0x64, 0x51, 1, 2, 3, 4, 5])).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    let started = Instant::now();
    let error = tester(slcan(near)).hard_reset().await.unwrap_err();
    assert!(error.to_string().ends_with(" answers came to 1 requests"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(35), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn attack_flow_control_as_slow_as_it_may_be() {
    let (near, far) = duplex(BUS_LEN);
    tokio::spawn(async move {
        let mut bus = slcan(far);
        while bus.recv().await.is_ok() {
            for _ in 0..16 {
                sleep(Duration::from_millis(900)).await;
                bus.send(&says(&[0x31, 0, 0])).await.unwrap();
            }
            bus.send(&says(&[0x30, 1, 0])).await.unwrap();
        }
    });
    let started = Instant::now();
    let block = Request::Transfer { counter: 1, data: &[0; 4000] };
    let error = tester(slcan(near)).request(&block).await.unwrap_err();
    assert_eq!(error.to_string(), "the message was not sent within 30 s: the other end takes it too slowly");
    assert!(started.elapsed() < 4 * Duration::from_secs(31), "{:?}", started.elapsed());
}

/// How long a tester that has this patience asks a device that is silent after its session, and how often.
async fn asks_a_silent_device(patience: Duration, block: bool) -> (Duration, usize) {
    let (near, far) = duplex(BUS_LEN);
    let asked = tokio::spawn(async move {
        let mut bus = slcan(far);
        bus.recv().await.unwrap();
        bus.send(&says(&[0x06, 0x50, 0x02, 0x00, 0x32, 0x01, 0xF4])).await.unwrap();
        if block {
            while bus.recv().await.unwrap().data()[0] != 0x21 {
                let _sent = bus.send(&says(&[0x30, 0, 0])).await;
            }
            bus.send(&says(&[0x04, 0x74, 0x20, 0x0F, 0xFF])).await.unwrap();
        }
        let mut asked = 0;
        while let Ok(frame) = bus.recv().await {
            // A session is kept alive meanwhile.
            asked += usize::from(frame.id() == profile::request_id(0x10));
        }
        asked
    });
    let mut tester = tester(slcan(near)).with_patience(patience);
    tester.session(Session::Programming).await.unwrap();
    let started = Instant::now();
    let error = if block {
        tester.download(Object::Envelope, b"abcd", |_| Flow::Continue).await.unwrap_err()
    } else {
        tester.read(did::SERIAL).await.unwrap_err()
    };
    assert!(error.to_string().contains("in time"), "{error}");
    let elapsed = started.elapsed();
    drop(tester);
    (elapsed, asked.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_silent_device_is_waited_for_no_longer_than_patience() {
    // Without a limit all repeats are made.
    let (whole, asked) = asks_a_silent_device(Duration::MAX, false).await;
    assert_eq!(asked, 4);
    for patience in [0, 500, 1000].map(Duration::from_millis) {
        let (elapsed, _) = asks_a_silent_device(patience, false).await;
        // The first try is always made, and each lasts until it is clear that no answer comes.
        let try_ms = Duration::from_millis(300);
        assert!(elapsed < whole && elapsed <= patience * 2 + try_ms, "{patience:?}: {elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_block_is_repeated_no_longer_than_patience() {
    let (whole, asked) = asks_a_silent_device(Duration::MAX, true).await;
    assert_eq!(asked, 9);
    assert!(whole > Duration::from_secs(8), "{whole:?}");
    let (elapsed, asked) = asks_a_silent_device(Duration::from_secs(2), true).await;
    assert!(asked > 1 && elapsed < Duration::from_secs(4), "{asked} tries in {elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_stays_silent_is_asked_once_when_patience_is_over() {
    let (near, far) = duplex(BUS_LEN);
    let asked = tokio::spawn(async move {
        let (mut bus, mut asked) = (slcan(far), 0);
        while bus.recv().await.is_ok() {
            asked += 1;
        }
        asked
    });
    let mut tester = tester(slcan(near)).with_patience(Duration::from_millis(500));
    for _ in 0..5 {
        tester.read(did::SERIAL).await.unwrap_err();
    }
    drop(tester);
    // The first question is repeated once, as far as patience goes.
    assert_eq!(asked.await.unwrap(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_device_at_work_whose_nrc_78_was_lost_is_waited_for() {
    let (near, far) = duplex(BUS_LEN);
    tokio::spawn(async move {
        let mut bus = slcan(far);
        bus.recv().await.unwrap();
        // Its NRC 78 was lost, and it hears nothing while it works.
        let works_until = Instant::now() + Duration::from_secs(7);
        while tokio::time::timeout_at(works_until, bus.recv()).await.is_ok() {}
        bus.send(&says(&[0x01, 0x77])).await.unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!(tester(slcan(near)).request(&Request::TransferExit).await.unwrap(), [0x77]);
}

/// A line on which frames of somebody come without a pause, and which takes everything.
struct Flood(usize);

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        const LINE: &[u8] = b"T18DA41F180000000000000000\r";
        while to.remaining() > 0 {
            to.put_slice(&LINE[self.0..=self.0]);
            self.0 = (self.0 + 1) % LINE.len();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn attack_a_bus_that_never_pauses_does_not_keep_a_scan_from_ending() {
    let (ended, has_ended) = std::sync::mpsc::channel();
    // A scan that does not end would keep its thread, and a runtime with it.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut bus = Bus::over_slcan_stream(Box::new(Flood(0)), false);
            assert_eq!(find_nodes(&mut bus, Duration::from_millis(20)).await.unwrap(), []);
            let addressing = profile::tester_addressing(0x10);
            let window = Duration::from_millis(20);
            assert!(first_frames(&mut bus, &addressing, &[0x3E, 0], window).await.unwrap().is_empty());
        });
        ended.send(()).unwrap();
    });
    has_ended.recv_timeout(Duration::from_secs(60)).expect("the scan does not end");
}
