//! The tester against the server of a device, each a task, over slcan within the process and over udp-multicast.

use std::time::Duration;

use can_bus::{Bus, BusAddress, Ended, Flow, IsoTpChannel, Tester, find_nodes};
use tokio::task::JoinHandle;
use update_protocol::profile::{self, Object, StateRecord, did};
use update_protocol::uds::client::{Request, Timing};
use update_protocol::uds::server::{Answer, Download, Event, Handler, Server, SessionChange};
use update_protocol::uds::{Nrc, Session};

#[derive(Default)]
struct Device {
    content: Vec<u8>,
    is_application: bool,
    slices_left: usize,
}

impl Handler for Device {
    fn read_identifier(&mut self, did: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        match did {
            did::SERIAL => answer.append(b"A-1"),
            did::STATE_RECORD => answer.append(&StateRecord::factory(4095, 512 * 1024).encode()),
            _ => Err(Nrc::REQUEST_OUT_OF_RANGE),
        }
    }

    fn open_object(&mut self, download: Download) -> Result<(), Nrc> {
        self.content.clear();
        Object::at(download.address).map(|_| ()).ok_or(Nrc::REQUEST_OUT_OF_RANGE)
    }

    fn write_object(&mut self, _offset: u32, data: &[u8]) -> Result<(), Nrc> {
        self.content.extend_from_slice(data);
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), Nrc> {
        if self.slices_left > 0 {
            self.slices_left -= 1;
            return Err(Nrc::RESPONSE_PENDING);
        }
        if self.content.starts_with(b"bad") { Err(Nrc::SECURITY_ACCESS_DENIED) } else { Ok(()) }
    }

    fn change_session(&mut self, session: Session) -> Result<SessionChange, Nrc> {
        if self.is_application && session == Session::Programming {
            return Ok(SessionChange::HandOver);
        }
        Ok(SessionChange::Enter)
    }
}

/// A device that begins as its application or as its loader and goes to the loader when it is asked to.
fn serve(bus: Bus, node: u8, is_application: bool) -> JoinHandle<Device> {
    tokio::spawn(async move {
        let mut channel = IsoTpChannel::new(bus, profile::device_addressing(node));
        let mut device = Device { is_application, slices_left: 3, ..Device::default() };
        let mut server = Server::new();
        loop {
            if channel.drive(server.next_timeout()).await.is_err() {
                return device;
            }
            let now_us = channel.now_us();
            if server.poll(channel.link_mut(), &mut device, now_us) == Some(Event::Reset) {
                channel.retarget(profile::device_addressing(node));
                server = if device.is_application {
                    Server::announcing(Session::Programming)
                } else {
                    Server::new()
                };
                device.is_application = false;
            }
        }
    })
}

async fn update(bus: Bus) {
    let mut tester = Tester::new(IsoTpChannel::new(bus, profile::tester_addressing(0x10)));
    assert_eq!(tester.read(did::SERIAL).await.unwrap(), b"A-1");
    assert_eq!(tester.read_state().await.unwrap(), StateRecord::factory(4095, 512 * 1024));
    let refused = tester.request(&Request::TransferExit).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Nrc::SERVICE_NOT_IN_SESSION));

    // The application says "wait" and resets; the loader says "welcome".
    tester.session(Session::Programming).await.unwrap();
    assert_eq!(tester.read(did::ACTIVE_SESSION).await.unwrap(), [2]);

    let content: Vec<u8> = (0..=255).cycle().take(30_000).collect();
    let mut progress = Vec::new();
    let image = |offset| Object::Image { offset };
    let ended = tester.download(image(0), &content, |taken| {
        progress.push(taken);
        Flow::Continue
    });
    assert_eq!(ended.await.unwrap(), Ended::Accepted);
    assert_eq!(progress.last(), Some(&content.len()));
    assert!(progress.is_sorted());

    // One that is stopped after a block, and one that goes on where the device is.
    let stop = |_| Flow::Stop;
    assert_eq!(tester.download(image(0), &content, stop).await.unwrap(), Ended::Stopped);
    let mut progress = Vec::new();
    let ended = tester.download(image(29_000), &content, |taken| {
        progress.push(taken);
        Flow::Continue
    });
    assert_eq!(ended.await.unwrap(), Ended::Accepted);
    assert_eq!(progress, [content.len()]);
    let beyond = tester.download(image(30_001), &content, stop).await.unwrap_err();
    assert_eq!(beyond.to_string(), "Image { offset: 30001 } cannot be sent as an object");

    let refused = tester.download(Object::Envelope, b"bad signature", stop).await;
    assert_eq!(refused.unwrap(), Ended::Stopped);
    let go_on = |_| Flow::Continue;
    let refused = tester.download(Object::Envelope, b"bad signature", go_on).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Nrc::SECURITY_ACCESS_DENIED));
    assert_eq!(refused.to_string(), "the device refused service 37: security access denied (NRC 33)");
    tester.keep_alive().await.unwrap();
    tester.hard_reset().await.unwrap();
}

#[tokio::test]
async fn an_update_over_slcan_classic_and_fd() {
    for fd in [false, true] {
        let (near, far) = tokio::io::duplex(1024);
        let device = serve(Bus::over_slcan_stream(Box::new(far), fd), 0x10, true);
        update(Bus::over_slcan_stream(Box::new(near), fd)).await;
        let device = device.await.unwrap();
        assert_eq!(device.content, b"bad signature");
        assert!(!device.is_application);
    }
}

#[tokio::test]
async fn an_update_over_udp_multicast_beside_other_nodes() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address: BusAddress = format!("udp-multicast::{port}").parse().unwrap();
    let mut devices = Vec::new();
    for node in [0x10, 0x11, 0xEF] {
        devices.push(serve(Bus::open(&address).await.unwrap(), node, true));
    }
    let mut bus = Bus::open(&address).await.unwrap();
    assert_eq!(find_nodes(&mut bus, Duration::from_millis(500)).await.unwrap(), [0x10, 0x11, 0xEF]);
    update(bus).await;
    for device in devices {
        device.abort();
    }
}

#[tokio::test]
async fn nobody_there_is_a_timeout() {
    let (near, _far) = tokio::io::duplex(64 * 1024);
    let channel =
        IsoTpChannel::new(Bus::over_slcan_stream(Box::new(near), false), profile::tester_addressing(0x10));
    let mut tester = Tester::new(channel).with_timing(Timing { p2_us: 20_000, ..Timing::default() });
    let error = tester.read(did::SERIAL).await.unwrap_err();
    assert_eq!(error.to_string(), "the device did not answer service 22 in time");
    assert_eq!(error.refusal(), None);
    assert_eq!(find_nodes(tester.channel_mut().bus_mut(), Duration::from_millis(20)).await.unwrap(), []);
}

#[tokio::test]
async fn a_bus_that_takes_nothing_is_an_error_and_not_a_wait_for_ever() {
    // The line holds one frame and nobody reads.
    let (near, _far) = tokio::io::duplex(16);
    let channel =
        IsoTpChannel::new(Bus::over_slcan_stream(Box::new(near), false), profile::tester_addressing(0x10));
    let mut tester = Tester::new(channel);
    let session = tokio::time::timeout(Duration::from_secs(20), tester.session(Session::Default));
    let error = session.await.expect("waits for ever").unwrap_err();
    assert!(error.to_string().starts_with("the bus took no frame for a second"), "{error}");
}

#[tokio::test]
async fn a_late_answer_is_not_taken_for_the_next_one() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let mut device =
        IsoTpChannel::new(Bus::over_slcan_stream(Box::new(far), false), profile::device_addressing(0x10));
    let channel =
        IsoTpChannel::new(Bus::over_slcan_stream(Box::new(near), false), profile::tester_addressing(0x10));
    let mut tester =
        Tester::new(channel).with_timing(Timing { p2_us: 20_000, p2_star_us: 20_000, ..Timing::default() });
    let device = async {
        // The first request is answered when its tester has given up, after three repeats, the second in time.
        for _ in 0..4 {
            assert_eq!(device.recv(None).await.unwrap().0, [0x31, 1, 0xF0, 1]);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        device.send(&[0x71, 1, 0xF0, 1, 8]).await.unwrap();
        assert_eq!(device.recv(None).await.unwrap().0, [0x31, 1, 0xF0, 1]);
        device.send(&[0x71, 1, 0xF0, 1, 4]).await.unwrap();
    };
    let tester = async {
        let error = tester.routine(0xF001, &[]).await.unwrap_err();
        assert_eq!(error.to_string(), "the device did not answer service 31 in time");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(tester.routine(0xF001, &[]).await.unwrap(), [4]);
    };
    tokio::join!(device, tester);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_where_a_repeat_is_harmless() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let mut device =
        IsoTpChannel::new(Bus::over_slcan_stream(Box::new(far), false), profile::device_addressing(0x10));
    let channel =
        IsoTpChannel::new(Bus::over_slcan_stream(Box::new(near), false), profile::tester_addressing(0x10));
    let mut tester = Tester::new(channel).with_timing(Timing { p2_us: 50_000, ..Timing::default() });
    let heard = tokio::spawn(async move {
        let mut heard = Vec::new();
        // Says nothing to the first two, answers the third, and hears nothing more of that service.
        while let Ok((request, _)) = device.recv(None).await {
            heard.push(request[0]);
            if heard.len() == 3 {
                device.send(&[0x76, 0x01]).await.unwrap();
            }
        }
        heard
    });
    tester.request(&Request::Transfer { counter: 1, data: b"block" }).await.unwrap();
    tester.hard_reset().await.unwrap_err();
    drop(tester);
    assert_eq!(heard.await.unwrap(), [0x36, 0x36, 0x36, 0x11], "a reset is asked for once");
}
