use super::*;

fn read(datagram: &[u8]) -> Option<Frame> {
    rmp_serde::from_slice::<Received<'_>>(datagram).ok().and_then(|message| message.frame())
}

fn written(frame: &Frame) -> Vec<u8> {
    rmp_serde::to_vec_named(&Message::from(frame)).unwrap()
}

/// What python-can 4.6.1 writes for `Message(arbitration_id=0x18DA10F1, data=[2, 0x3E, 0])`.
const FROM_PYTHON_CAN: &[u8] = b"\x8b\xa9timestamp\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xaearbitration_id\xce\x18\xda\x10\xf1\
\xaeis_extended_id\xc3\xafis_remote_frame\xc2\xaeis_error_frame\xc2\xa7channel\xc0\xa3dlc\x03\xa4data\xc4\x03\x02>\x00\
\xa5is_fd\xc2\xaebitrate_switch\xc2\xb5error_state_indicator\xc2";

#[test]
fn datagrams_are_these_bytes() {
    let frame = Frame::new(Id::Extended(0x18DA_10F1), &[0x02, 0x3E, 0x00]).unwrap();
    assert_eq!(read(FROM_PYTHON_CAN), Some(frame));
    let mut ours = written(&frame);
    // The time is the one thing that differs.
    ours[12..20].fill(0);
    assert_eq!(ours, FROM_PYTHON_CAN);
}

#[test]
fn every_kind_of_frame_comes_back() {
    for frame in [
        Frame::new(Id::Standard(0x7E0), &[]),
        Frame::new(Id::Standard(0x7FF), &[1; 8]),
        Frame::new_remote(Id::Extended(0x1FFF_FFFF), 8),
        Frame::new_fd(Id::Extended(1), &[3; 64], true),
        Frame::new_fd(Id::Standard(1), &[3; 12], false),
    ] {
        let frame = frame.unwrap();
        assert_eq!(read(&written(&frame)), Some(frame));
    }
}

#[test]
fn attack_datagrams_that_are_no_frames() {
    let frame = Frame::new(Id::Standard(0x7E0), &[1, 2, 3]).unwrap();
    let good = written(&frame);
    for len in 0..good.len() {
        assert_eq!(read(&good[..len]), None, "cut to {len} bytes");
    }
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            // Whatever it reads as, it is a frame that a bus can carry, or none.
            if let Some(frame) = read(&bad) {
                assert!(frame.id().is_valid() && frame.data().len() <= 8);
            }
        }
    }
    let error = Message { is_error_frame: true, ..Message::from(&frame) };
    assert_eq!(read(&rmp_serde::to_vec_named(&error).unwrap()), None);
    let both = Message { is_remote_frame: true, is_fd: true, ..Message::from(&frame) };
    assert_eq!(read(&rmp_serde::to_vec_named(&both).unwrap()), None);
    let wide = Message { arbitration_id: 0x800, ..Message::from(&frame) };
    assert_eq!(read(&rmp_serde::to_vec_named(&wide).unwrap()), None);
    let long = Message { data: &[0; 9], ..Message::from(&frame) };
    assert_eq!(read(&rmp_serde::to_vec_named(&long).unwrap()), None);
}
