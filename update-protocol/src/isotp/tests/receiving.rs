//! What a receiver is sent, by a peer and by an attacker.

use super::*;

fn receiving(len: u8) -> HeapLink {
    let mut link = device(Config::classic(), 4095);
    feed(&mut link, &[0x10, len, 1, 2, 3, 4, 5, 6]);
    assert_eq!(sent(&mut link).unwrap(), CONTINUE);
    link
}

fn assert_nothing(link: &mut HeapLink, why: &str) {
    assert_eq!(link.received(Target::Physical), None, "{why}");
    assert_eq!(link.received(Target::Functional), None, "{why}");
    assert_eq!(sent(link), None, "{why}");
    assert!(!link.is_receiving(), "{why}");
    assert_eq!(link.next_timeout(), None, "{why}");
}

#[test]
fn attack_single_frame_length_beyond_the_frame() {
    for data in [
        &[0x00][..],
        &[0x00, 1, 2, 3],
        &[0x01],
        &[0x03, 1, 2],
        &[0x07, 1, 2, 3, 4, 5, 6],
        &[0x08, 1, 2, 3, 4, 5, 6, 7],
        &[0x0F, 1, 2, 3, 4, 5, 6, 7],
        &[],
    ] {
        let mut link = device(Config::classic(), 4095);
        feed(&mut link, data);
        assert_nothing(&mut link, "classic");
    }
    for (announced, frame_len) in [(0, 12), (11, 12), (63, 64), (255, 64), (47, 48)] {
        let mut link = device(Config::fd(true), 4095);
        let mut data = vec![1; frame_len];
        (data[0], data[1]) = (0, announced);
        link.on_frame(&Frame::new_fd(REQUEST, &data, true).unwrap(), 0);
        assert_nothing(&mut link, "FD");
    }
    // An FD frame above 8 bytes has its length in the second byte only.
    let mut link = device(Config::fd(true), 4095);
    link.on_frame(&Frame::new_fd(REQUEST, &[7; 12], true).unwrap(), 0);
    assert_nothing(&mut link, "4-bit length in a long frame");
}

#[test]
fn attack_first_frame_with_a_huge_length_costs_nothing() {
    for head in [[0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2], [0x10, 0, 0, 0, 0x10, 0x00, 1, 2]] {
        let mut link = device(Config::classic(), 4095);
        feed(&mut link, &head);
        let announced = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        assert_eq!(link.take_receive_error(), Some(ReceiveError::TooLong { announced }));
        assert_eq!(sent(&mut link).unwrap(), OVERFLOW);
        assert_nothing(&mut link, "overflow");
        feed(&mut link, &[0x21, 1, 2, 3, 4, 5, 6, 7]);
        assert_nothing(&mut link, "consecutive frame after overflow");
    }
    let mut link = device(Config::classic(), 100);
    feed(&mut link, &[0x10, 101, 1, 2, 3, 4, 5, 6]);
    assert_eq!(sent(&mut link).unwrap(), OVERFLOW);
    feed(&mut link, &[0x10, 100, 1, 2, 3, 4, 5, 6]);
    assert_eq!(sent(&mut link).unwrap(), CONTINUE);
}

#[test]
fn attack_zero_and_undersized_first_frames() {
    for data in [
        &[0x10, 0, 0, 0, 0, 0, 0, 0][..],   // 32 bit, zero
        &[0x10, 0, 0, 0, 0x0F, 0xFF, 0, 0], // 32 bit for what fits 12
        &[0x10, 1, 1, 1, 1, 1, 1, 1],       // fits a single frame
        &[0x10, 7, 1, 1, 1, 1, 1, 1],       // fits a single frame
        &[0x10, 100, 1, 1, 1, 1, 1],        // a first frame fills its frame
        &[0x10],
        &[0x10, 100],
    ] {
        let mut link = device(Config::classic(), 4095);
        feed(&mut link, data);
        assert_nothing(&mut link, "undersized");
        assert_eq!(link.take_receive_error(), None);
    }
    // 62 bytes fit a single frame of 64; 63 do not.
    for (len, expected) in [(62, None), (63, Some(CONTINUE.to_vec()))] {
        let mut data = [1; 64];
        (data[0], data[1]) = (0x10, len);
        let mut link = device(Config::classic(), 4095);
        link.on_frame(&Frame::new_fd(REQUEST, &data, true).unwrap(), 0);
        assert_eq!(sent(&mut link), expected);
    }
}

#[test]
fn attack_consecutive_frame_skipped_repeated_or_alone() {
    let mut link = device(Config::classic(), 4095);
    feed(&mut link, &[0x21, 1, 2, 3, 4, 5, 6, 7]);
    assert_nothing(&mut link, "alone");
    for (numbers, expected, found) in [(&[2][..], 1, 2), (&[1, 1], 2, 1), (&[1, 3], 2, 3), (&[0], 1, 0)] {
        let mut link = receiving(100);
        for number in numbers {
            feed(&mut link, &[0x20 | number, 7, 7, 7, 7, 7, 7, 7]);
        }
        assert_eq!(link.take_receive_error(), Some(ReceiveError::SequenceNumber { expected, found }));
        assert_eq!(sent(&mut link).unwrap(), OVERFLOW, "the sender hears of it at once");
        feed(&mut link, &[0x24, 7, 7, 7, 7, 7, 7, 7]);
        assert_nothing(&mut link, "wrong number");
    }
}

#[test]
fn sequence_number_wraps_from_15_to_0() {
    let mut link = receiving(6 + 7 * 20);
    for number in 1..=20_u8 {
        assert_eq!(link.received(Target::Physical), None);
        feed(&mut link, &[0x20 | (number & 0x0F), 7, 7, 7, 7, 7, 7, 7]);
    }
    assert_eq!(link.received(Target::Physical).map(<[u8]>::len), Some(146));
}

#[test]
fn attack_single_frame_injected_mid_reception_replaces_the_message() {
    let mut link = receiving(100);
    feed(&mut link, &[0x02, 0x3E, 0x00]);
    assert_eq!(link.received(Target::Physical), Some(&[0x3E, 0x00][..]));
    assert_eq!(link.take_receive_error(), Some(ReceiveError::Interrupted));
    link.release(Target::Physical);
    feed(&mut link, &[0x21, 7, 7, 7, 7, 7, 7, 7]);
    assert_nothing(&mut link, "the old message is over");
}

#[test]
fn attack_keep_alive_of_another_tool_does_not_end_a_reception() {
    let mut link = receiving(10);
    feed(&mut link, &[0x02, 0x3E, 0x80]);
    assert_eq!(link.take_receive_error(), None);
    feed(&mut link, &[0x21, 7, 8, 9, 10, 0xCC, 0xCC, 0xCC]);
    assert_eq!(link.received(Target::Physical), Some(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10][..]));
    // Without a reception it is a message like any other.
    let mut link = device(Config::classic(), 100);
    feed(&mut link, &[0x02, 0x3E, 0x80]);
    assert_eq!(link.received(Target::Physical), Some(&[0x3E, 0x80][..]));
}

#[test]
fn attack_first_frame_injected_mid_reception_restarts_it() {
    let mut link = receiving(100);
    feed(&mut link, &[0x21, 7, 7, 7, 7, 7, 7, 7]);
    feed(&mut link, &[0x10, 10, 9, 9, 9, 9, 9, 9]);
    assert_eq!(link.take_receive_error(), Some(ReceiveError::Interrupted));
    assert_eq!(sent(&mut link).unwrap(), CONTINUE);
    feed(&mut link, &[0x21, 8, 8, 8]);
    assert_eq!(link.received(Target::Physical), None, "shorter than the rest of the message");
    feed(&mut link, &[0x21, 8, 8, 8, 8, 0xCC, 0xCC, 0xCC]);
    assert_eq!(link.received(Target::Physical), Some(&[9, 9, 9, 9, 9, 9, 8, 8, 8, 8][..]));
    // One that is refused ends the reception too: its sender's frames would be taken for ours.
    let mut link = receiving(100);
    feed(&mut link, &[0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2]);
    assert_eq!(sent(&mut link).unwrap(), OVERFLOW);
    assert_nothing(&mut link, "overflow ends the reception");
}

#[test]
fn attack_first_frame_on_the_functional_identifier_is_ignored() {
    let functional = |data: &[u8]| Frame::new(FUNCTIONAL, data).unwrap();
    let mut link = device(Config::classic(), 4095);
    link.on_frame(&functional(&[0x10, 100, 1, 2, 3, 4, 5, 6]), 0);
    link.on_frame(&functional(&[0x21, 1, 2, 3, 4, 5, 6, 7]), 0);
    link.on_frame(&functional(&[0x30, 0, 0]), 0);
    assert_nothing(&mut link, "functional");
    // And it does not disturb a physical reception; neither does a functional single frame, which is delivered.
    let mut link = receiving(10);
    link.on_frame(&functional(&[0x10, 100, 1, 2, 3, 4, 5, 6]), 0);
    link.on_frame(&functional(&[0x02, 0x3E, 0x80]), 0);
    feed(&mut link, &[0x21, 7, 8, 9, 10, 0xCC, 0xCC, 0xCC]);
    assert_eq!(link.received(Target::Physical), Some(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10][..]));
    assert_eq!(link.received(Target::Functional), Some(&[0x3E, 0x80][..]));
    link.release(Target::Functional);
    assert_eq!(link.received(Target::Functional), None);
    assert!(link.received(Target::Physical).is_some());
}

#[test]
fn attack_remote_frame_with_our_identifier_is_ignored() {
    let mut link = receiving(10);
    for len in 0..=8 {
        let frame = Frame::new_remote(REQUEST, len).unwrap();
        assert!(frame.data().is_empty(), "a remote frame has no bytes that could be parsed");
        link.on_frame(&frame, 0);
        link.on_frame(&Frame::new_remote(FUNCTIONAL, len).unwrap(), 0);
    }
    assert_eq!(link.take_receive_error(), None);
    assert!(link.is_receiving());
    assert_eq!(link.received(Target::Functional), None);
}

#[test]
fn frames_of_others_are_ignored() {
    let mut link = device(Config::classic(), 4095);
    // The same number with the other width is another identifier.
    for id in [RESPONSE, Id::Standard(0x0F1), Id::Extended(0x18DA_11F1), Id::Extended(0)] {
        link.on_frame(&Frame::new(id, &[0x02, 0x3E, 0x00]).unwrap(), 0);
    }
    assert_nothing(&mut link, "others");
    let eleven = Addressing::device(Id::Standard(0x7E8), Id::Standard(0x7E0), None).unwrap();
    let mut link = Link::new(eleven, Config::classic(), vec![0; 100], vec![0; 100]);
    link.on_frame(&Frame::new(Id::Extended(0x7E0), &[0x02, 0x3E, 0x00]).unwrap(), 0);
    assert_nothing(&mut link, "29 bits are not 11");
    link.on_frame(&Frame::new(Id::Standard(0x7E0), &[0x02, 0x3E, 0x00]).unwrap(), 0);
    assert!(link.received(Target::Physical).is_some());
}

#[test]
fn unknown_kinds_of_frames_are_ignored() {
    for kind in 4..=15_u8 {
        let mut link = device(Config::classic(), 4095);
        feed(&mut link, &[kind << 4 | 2, 1, 2, 3, 4, 5, 6, 7]);
        assert_nothing(&mut link, "unknown");
    }
}

#[test]
fn consecutive_frames_have_the_length_of_the_first() {
    let mut link = receiving(100);
    feed(&mut link, &[0x21, 1, 2, 3]);
    feed(&mut link, &[0x21]);
    link.on_frame(&Frame::new_fd(REQUEST, &[0x21; 12], false).unwrap(), 0);
    assert!(link.is_receiving(), "shorter and longer ones are ignored");
    feed(&mut link, &[0x21, 7, 7, 7, 7, 7, 7, 7]);
    feed(&mut link, &[0x22, 7, 7, 7, 7, 7, 7, 7]);
    assert_eq!(link.take_receive_error(), None);
}

#[test]
fn nobody_may_go_on_before_our_flow_control() {
    let mut link = device(Config::classic(), 4095);
    feed(&mut link, &[0x10, 10, 1, 2, 3, 4, 5, 6]);
    feed(&mut link, &[0x21, 7, 8, 9, 10, 0, 0, 0]);
    assert_eq!(link.received(Target::Physical), None);
    assert_eq!(sent(&mut link).unwrap(), CONTINUE);
    feed(&mut link, &[0x21, 7, 8, 9, 10, 0, 0, 0]);
    assert!(link.received(Target::Physical).is_some());
}

#[test]
fn a_receiver_gives_up_after_a_second() {
    let mut link = receiving(100);
    assert_eq!(link.next_timeout(), Some(N_CR_US));
    link.on_timeout(N_CR_US - 1);
    assert!(link.is_receiving());
    feed_at(&mut link, &[0x21, 7, 7, 7, 7, 7, 7, 7], N_CR_US - 1);
    link.on_timeout(2 * N_CR_US - 2);
    assert!(link.is_receiving(), "every frame restarts the wait");
    link.on_timeout(2 * N_CR_US - 1);
    assert_eq!(link.take_receive_error(), Some(ReceiveError::ConsecutiveTimeout));
    assert_nothing(&mut link, "N_Cr");

    // N_Ar: the flow control cannot be sent.
    let mut link = device(Config::classic(), 4095);
    feed(&mut link, &[0x10, 100, 1, 2, 3, 4, 5, 6]);
    link.on_timeout(N_A_US);
    assert_eq!(link.take_receive_error(), Some(ReceiveError::BusTimeout));
    assert_nothing(&mut link, "N_Ar");
}

#[test]
fn a_message_is_kept_until_it_is_released() {
    let mut link = device(Config::classic(), 4095);
    feed(&mut link, &[0x02, 1, 1]);
    feed(&mut link, &[0x02, 2, 2]);
    assert_eq!(link.take_receive_error(), Some(ReceiveError::Busy));
    feed(&mut link, &[0x10, 100, 3, 3, 3, 3, 3, 3]);
    assert_eq!(link.take_receive_error(), Some(ReceiveError::Busy));
    assert_eq!(sent(&mut link).unwrap(), OVERFLOW);
    assert_eq!(link.received(Target::Physical), Some(&[1, 1][..]));
    link.on_frame(&Frame::new(FUNCTIONAL, &[0x01, 5]).unwrap(), 0);
    link.on_frame(&Frame::new(FUNCTIONAL, &[0x01, 6]).unwrap(), 0);
    assert_eq!(link.received(Target::Functional), Some(&[5][..]));
}
