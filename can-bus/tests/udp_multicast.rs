//! Several programs on one virtual bus: who hears whom, and that a burst of ISO-TP loses nothing.
//!
//! Every test has a port of its own, so that they may run at once and beside a real virtual bus.

use std::time::{Duration, Instant};

use can_bus::{Bus, BusAddress, BusError, IsoTpChannel};
use tokio::time::timeout;
use update_protocol::can::{Frame, Id};
use update_protocol::profile;

async fn open(options: &str) -> Bus {
    let address: BusAddress = format!("udp-multicast:{options}").parse().unwrap();
    Bus::open(&address).await.unwrap()
}

/// A port that nobody else uses right now.
fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn frame(byte: u8) -> Frame {
    Frame::new(Id::Extended(0x18DA_10F1), &[byte; 8]).unwrap()
}

async fn soon(bus: &mut Bus) -> Frame {
    timeout(Duration::from_secs(10), bus.recv()).await.expect("no frame within ten seconds").unwrap()
}

async fn assert_silent(bus: &mut Bus) {
    if let Ok(frame) = timeout(Duration::from_millis(100), bus.recv()).await {
        panic!("heard {:?}", frame.unwrap());
    }
}

#[tokio::test]
async fn everybody_hears_a_frame_but_its_sender() {
    let port = free_port();
    let (mut a, mut b, mut c) =
        (open(&format!(":{port}")).await, open(&format!(":{port}")).await, open(&format!(":{port}")).await);
    a.send(&frame(1)).await.unwrap();
    b.send(&frame(2)).await.unwrap();
    assert_eq!(soon(&mut a).await, frame(2));
    assert_eq!(soon(&mut b).await, frame(1));
    assert_eq!([soon(&mut c).await, soon(&mut c).await], [frame(1), frame(2)]);
    for bus in [&mut a, &mut b, &mut c] {
        assert_silent(bus).await;
    }
}

#[tokio::test]
async fn other_ports_and_groups_are_other_buses() {
    let (port, other) = (free_port(), free_port());
    let mut a = open(&format!(":{port}")).await;
    let mut b = open(&format!(":{other}")).await;
    let mut c = open(&format!("239.74.163.3:{port}")).await;
    a.send(&frame(1)).await.unwrap();
    assert_silent(&mut b).await;
    assert_silent(&mut c).await;
}

#[tokio::test]
async fn datagrams_that_are_no_frames_are_stepped_over() {
    let port = free_port();
    let mut bus = open(&format!(":{port}")).await;
    let stray = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let group = format!("239.74.163.2:{port}");
    for datagram in
        [&[][..], b"hello", &[0xC1; 100], &[0xDF, 0xFF, 0xFF, 0xFF, 0xFF], &[0x91; 4000], &[0xFF; 9000]]
    {
        stray.send_to(datagram, &group).await.unwrap();
    }
    let mut other = open(&format!(":{port}")).await;
    other.send(&frame(1)).await.unwrap();
    assert_eq!(soon(&mut bus).await, frame(1));
}

#[tokio::test]
async fn fd_frames_need_a_bus_with_fd() {
    let port = free_port();
    let (mut classic, mut fd) = (open(&format!(":{port}")).await, open(&format!(":{port}?fd")).await);
    let long = Frame::new_fd(Id::Standard(1), &[5; 64], true).unwrap();
    assert!(matches!(classic.send(&long).await, Err(BusError::FdNotEnabled)));
    assert_silent(&mut fd).await;
    fd.send(&long).await.unwrap();
    assert_eq!(soon(&mut classic).await, long);
}

/// 1 MiB in messages of the size a device takes, one way, through two channels in tasks of their own.
async fn transfer(options: &str, message_len: usize) -> f64 {
    const TOTAL: usize = 1024 * 1024;
    let port = free_port();
    let mut sender =
        IsoTpChannel::new(open(&format!(":{port}{options}")).await, profile::tester_addressing(0x10));
    let mut receiver =
        IsoTpChannel::new(open(&format!(":{port}{options}")).await, profile::device_addressing(0x10));
    let message: Vec<u8> = (0..=255).cycle().take(message_len).collect();
    let count = TOTAL.div_ceil(message_len);
    let expected = message.clone();
    let receiving = tokio::spawn(async move {
        for at in 0..count {
            let (received, _) =
                receiver.recv(None).await.unwrap_or_else(|error| panic!("message {at}: {error}"));
            assert_eq!(received, expected, "message {at}");
        }
    });
    let started = Instant::now();
    for at in 0..count {
        // The receiver frees its buffer a moment after its last frame; a tester waits for an answer anyway.
        sender.send(&message).await.unwrap_or_else(|error| panic!("message {at}: {error}"));
    }
    receiving.await.unwrap();
    (count * message_len) as f64 / 1000.0 / started.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mebibyte_through_iso_tp_loses_nothing() {
    for (options, name) in [("", "classic"), ("?fd", "FD")] {
        for message_len in [4095, 60_000] {
            let rate = transfer(options, message_len).await;
            println!("{name}, messages of {message_len} bytes: {rate:.0} kB/s");
        }
    }
}
