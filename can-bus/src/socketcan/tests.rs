use socketcan::CanErrorFrame;

use super::*;

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
