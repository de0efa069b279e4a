use update_protocol::can::Id;
use update_protocol::profile;

use super::*;
use crate::socketcan::Origin;
use crate::socketcan::fake::interface;

const NODE: u8 = 0x10;

#[tokio::test(start_paused = true)]
async fn a_flow_control_is_waited_for_from_when_its_frame_has_left() {
    let (can, wire) = interface(100, Duration::from_millis(50));
    let started = Instant::now();
    // Others are before us in the queue: our first frame leaves after 300 ms.
    for _ in 0..5 {
        let other = Frame::new(Id::Standard(0x123), &[0; 8]).unwrap();
        wire.lock().unwrap().enqueue(other, Origin::ThisMachine);
    }
    let flow_control = Frame::new(profile::response_id(NODE), &[0x30, 0, 0]).unwrap();
    wire.lock().unwrap().heard.push_back((started + Duration::from_millis(380), flow_control));
    let mut channel = IsoTpChannel::new(Bus::over_socketcan(can), profile::tester_addressing(NODE));
    channel.link_mut().set_patience(100_000);
    channel.send(&[0x22; 20]).await.unwrap();
    // Two consecutive frames after the flow control, and both have left.
    assert_eq!(started.elapsed(), Duration::from_millis(480));
    assert_eq!(channel.foreign_frames(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_leave_is_not_sent() {
    let (can, wire) = interface(100, Duration::from_millis(1));
    let mut channel = IsoTpChannel::new(Bus::over_socketcan(can), profile::tester_addressing(NODE));
    channel.send(&[0x3E, 0]).await.unwrap();
    wire.lock().unwrap().is_acknowledged = false;
    let error = channel.send(&[0x3E, 0]).await.unwrap_err();
    assert!(matches!(error, ChannelError::Transmit(TransmitError::BusTimeout)), "{error}");
}
