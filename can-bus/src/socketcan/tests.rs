use socketcan::{CanAnyFrame, CanErrorFrame};
use update_protocol::can::Id;

use super::fake::interface;
use super::kernel::{kernel_frame, our_frame};
use super::*;

const FRAME_TIME: Duration = Duration::from_millis(10);

fn frame(number: u16) -> Frame {
    Frame::new(Id::Standard(0x123), &number.to_be_bytes()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn no_more_frames_are_in_flight_than_the_window_lets_through() {
    let (mut can, wire) = interface(1000, FRAME_TIME);
    for number in 0..100 {
        can.send(&frame(number)).await.unwrap();
    }
    // The widest window at 500 kbit/s.
    assert_eq!(wire.lock().unwrap().longest_queue, 9);
    assert_eq!(can.left(false).await.unwrap(), Left::All);
    let wire = wire.lock().unwrap();
    assert_eq!(wire.left, (0..100).map(frame).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_asked_again_when_a_frame_has_left_it() {
    let (mut can, wire) = interface(3, FRAME_TIME);
    for number in 0..100 {
        can.send(&frame(number)).await.unwrap();
    }
    can.left(false).await.unwrap();
    let wire = wire.lock().unwrap();
    assert_eq!(wire.left, (0..100).map(frame).collect::<Vec<_>>());
    // The window is as wide as the queue after the first one.
    assert_eq!(wire.refusals, 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_full_of_frames_of_others_is_waited_for() {
    let (mut can, wire) = interface(3, FRAME_TIME);
    for number in 0..3 {
        wire.lock().unwrap().enqueue(frame(number), Origin::ThisMachine);
    }
    can.send(&frame(3)).await.unwrap();
    can.left(false).await.unwrap();
    assert_eq!(wire.lock().unwrap().left, (0..4).map(frame).collect::<Vec<_>>());
    for number in 0..3 {
        assert_eq!(can.recv().await.unwrap(), frame(number));
    }
    // A queue that does not move is an error, and not a wait for ever.
    wire.lock().unwrap().is_acknowledged = false;
    for number in 0..3 {
        wire.lock().unwrap().enqueue(frame(number), Origin::ThisMachine);
    }
    assert!(matches!(can.send(&frame(3)).await, Err(BusError::Stuck)));
}

#[tokio::test(start_paused = true)]
async fn attack_a_frame_of_another_tester_is_no_echo_and_an_echo_no_frame() {
    let (mut can, wire) = interface(100, FRAME_TIME);
    // The same identifier and data, from another program and from another node.
    wire.lock().unwrap().enqueue(frame(1), Origin::ThisMachine);
    wire.lock().unwrap().heard.push_back((Instant::now(), frame(1)));
    can.send(&frame(1)).await.unwrap();
    let before = Instant::now();
    assert_eq!(can.left(false).await.unwrap(), Left::All);
    assert_eq!(before.elapsed(), FRAME_TIME * 2);
    for _ in 0..2 {
        assert_eq!(can.recv().await.unwrap(), frame(1));
    }
    // Our own frame does not come.
    wire.lock().unwrap().heard.push_back((Instant::now(), frame(2)));
    assert_eq!(can.recv().await.unwrap(), frame(2));
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_another_node_ends_the_wait_for_an_echo() {
    let (mut can, wire) = interface(100, FRAME_TIME);
    can.send(&frame(1)).await.unwrap();
    wire.lock().unwrap().heard.push_back((Instant::now() + FRAME_TIME / 2, frame(7)));
    assert_eq!(can.left(true).await.unwrap(), Left::Heard);
    assert_eq!(can.recv().await.unwrap(), frame(7));
    assert_eq!(can.left(true).await.unwrap(), Left::All);
    assert_eq!(wire.lock().unwrap().left, [frame(1)]);
}

#[tokio::test(start_paused = true)]
async fn an_echo_tells_of_the_frames_before_it_as_well() {
    let (mut can, wire) = interface(100, FRAME_TIME);
    wire.lock().unwrap().lost_echoes = (0..100).step_by(2).collect();
    for number in 0..100 {
        can.send(&frame(number)).await.unwrap();
    }
    assert_eq!(can.left(false).await.unwrap(), Left::All);
    assert_eq!(wire.lock().unwrap().left.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn nobody_acknowledges() {
    // From the beginning: such an interface cannot be told from one that does not echo, and is used without echoes.
    let (mut can, wire) = interface(100, FRAME_TIME);
    wire.lock().unwrap().is_acknowledged = false;
    for number in 0..20 {
        can.send(&frame(number)).await.unwrap();
    }
    assert_eq!(can.left(false).await.unwrap(), Left::All);
    assert!(!can.confirms());
    // When somebody comes, the echoes do.
    wire.lock().unwrap().is_acknowledged = true;
    wire.lock().unwrap().heard.push_back((Instant::now() + FRAME_TIME * 50, frame(7)));
    assert_eq!(can.recv().await.unwrap(), frame(7));
    assert!(can.confirms());
    // And when he leaves, it is an error, again and again.
    wire.lock().unwrap().is_acknowledged = false;
    for _ in 0..3 {
        can.send(&frame(1)).await.unwrap();
        assert!(matches!(can.left(false).await, Err(BusError::Stuck)));
    }
}

#[test]
fn every_kind_of_frame_comes_back_from_the_kernels_form() {
    for frame in [
        Frame::new(Id::Standard(0x7FF), &[]),
        Frame::new(Id::Standard(0x123), &[1, 2, 3, 4, 5, 6, 7, 8]),
        // The same number in the other width is another identifier.
        Frame::new(Id::Extended(0x123), &[1]),
        Frame::new(Id::Extended(0x1FFF_FFFF), &[1]),
        Frame::new_remote(Id::Standard(1), 5),
        Frame::new_remote(Id::Extended(1), 0),
        Frame::new_fd(Id::Standard(1), &[9; 8], false),
        Frame::new_fd(Id::Extended(1), &[9; 12], false),
        Frame::new_fd(Id::Extended(1), &[9; 64], true),
    ] {
        let frame = frame.unwrap();
        let kernel = kernel_frame(&frame).unwrap();
        assert_eq!(matches!(kernel, CanAnyFrame::Fd(_)), frame.is_fd());
        assert_eq!(our_frame(&kernel), Some(frame));
    }
}

#[test]
fn error_frames_are_no_frames() {
    let error = CanErrorFrame::new_error(0x20, &[0; 8]).unwrap();
    assert_eq!(our_frame(&CanAnyFrame::Error(error)), None);
}

#[tokio::test]
async fn an_interface_that_is_not_there_does_not_open() {
    let address = SocketCanAddress { interface: "nocan0".to_owned(), fd: false };
    assert!(SocketCan::open(&address).is_err());
}
