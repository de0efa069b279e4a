//! SocketCAN itself: the echoes of real interfaces. `cargo xtask vm` runs these in its guest, which has the
//! interfaces.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use can_bus::{BitRates, Bus, BusAddress, IsoTpChannel};
use socketcan::CanInterface;
use tokio::time::timeout;
use update_protocol::can::{Frame, Id};
use update_protocol::profile;

const NODE: u8 = 0x10;

async fn open(address: &str) -> Bus {
    Bus::open(&address.parse::<BusAddress>().unwrap()).await.unwrap()
}

fn frame(id: u16, number: u16) -> Frame {
    Frame::new(Id::Standard(id), &number.to_be_bytes()).unwrap()
}

/// What comes until it is quiet.
async fn drain(bus: &mut Bus) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Ok(frame) = timeout(Duration::from_secs(1), bus.recv()).await {
        frames.push(frame.unwrap());
    }
    frames
}

/// Two programs of this machine that send the same frames: only the kernel's mark tells whose they are.
async fn two_testers_with_one_address(address: &str) {
    let (mut one, mut other) = (open(address).await, open(address).await);
    for number in 0..20 {
        one.send(&frame(0x123, number)).await.unwrap();
        other.send(&frame(0x123, number)).await.unwrap();
    }
    let expected: Vec<Frame> = (0..20).map(|number| frame(0x123, number)).collect();
    assert_eq!(drain(&mut one).await, expected);
    assert_eq!(drain(&mut other).await, expected);

    let addressing = profile::tester_addressing(NODE);
    let (mut one, mut other) = (IsoTpChannel::new(one, addressing), IsoTpChannel::new(other, addressing));
    one.send(&[0x3E, 0x80]).await.unwrap();
    assert!(one.recv(Some(one.now_us() + 300_000)).await.is_err());
    assert!(other.recv(Some(other.now_us() + 300_000)).await.is_err());
    assert_eq!((one.foreign_frames(), other.foreign_frames()), (0, 1));
}

/// vcan without echoes of the driver: the kernel echoes a frame as soon as the queue has taken it.
mod plain {
    use super::*;

    const BUS: &str = "socketcan:vcan";

    #[tokio::test]
    async fn attack_two_testers_with_one_address_hear_each_other_and_not_themselves() {
        two_testers_with_one_address(BUS).await;
    }

    #[tokio::test]
    async fn the_bit_rate_of_a_virtual_interface_is_not_known() {
        assert_eq!(open(BUS).await.bit_rates(), BitRates::default());
    }
}

/// vcan with echoes of the driver, after a queue of four frames that passes one in 20 ms.
mod slow {
    use super::*;

    const BUS: &str = "socketcan:vcan-slow";
    const FRAME_TIME: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn attack_two_testers_with_one_address_hear_each_other_and_not_themselves() {
        two_testers_with_one_address(BUS).await;
    }

    #[tokio::test]
    async fn frames_into_a_short_queue_arrive_whole_and_in_order() {
        let (mut sender, mut receiver) = (open(BUS).await, open(BUS).await);
        let sent: Vec<Frame> = (0..100).map(|number| frame(0x123, number)).collect();
        for frame in &sent {
            sender.send(frame).await.unwrap();
        }
        assert_eq!(drain(&mut receiver).await, sent);
        assert_eq!(drain(&mut sender).await, []);
    }

    #[tokio::test]
    async fn a_message_is_sent_when_its_frame_has_left() {
        let mut channel = IsoTpChannel::new(open(BUS).await, profile::tester_addressing(NODE));
        for _ in 0..5 {
            let started = Instant::now();
            channel.send(&[0x3E, 0x80]).await.unwrap();
            // The queue holds it for so long; who takes it for sent earlier counts the queue as the device's time.
            assert!(started.elapsed() >= FRAME_TIME, "{:?}", started.elapsed());
        }
    }
}

/// A serial line that the kernel makes an interface of.
mod serial {
    use super::*;

    const INTERFACE: &str = "slcan0";

    #[tokio::test]
    async fn the_kernel_says_the_bit_rate_of_an_interface_that_has_one() {
        let interface = CanInterface::open(INTERFACE).unwrap();
        interface.set_bitrate(1_000_000, None).unwrap();
        interface.bring_up().unwrap();
        let bus = open(&format!("socketcan:{INTERFACE}")).await;
        assert_eq!(bus.bit_rates(), BitRates { nominal: Some(1_000_000), data: None });
    }
}
