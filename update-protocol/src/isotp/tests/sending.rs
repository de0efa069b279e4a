//! What a sender is told, and what it is not given to send.

use super::*;

fn sending(len: usize) -> HeapLink {
    let mut link = tester(Config::classic(), len);
    link.send(&pattern(len), 0).unwrap();
    assert_eq!(sent(&mut link).unwrap()[0] >> 4, 1);
    link
}

fn answer(link: &mut HeapLink, data: &[u8], now_us: u64) {
    link.on_frame(&Frame::new(RESPONSE, data).unwrap(), now_us);
}

#[test]
fn attack_endless_wait_ends_the_transfer() {
    let mut link = sending(100);
    for wait in 0..MAX_WAIT_FRAMES {
        answer(&mut link, &[0x31, 0, 0], u64::from(wait) * 900_000);
        link.on_timeout(u64::from(wait) * 900_000);
        assert_eq!(link.take_sent(), None);
    }
    answer(&mut link, &[0x31, 0, 0], 900_000);
    assert_eq!(link.take_sent(), Some(Err(TransmitError::WaitLimit)));
    assert!(!link.is_sending() && link.next_timeout().is_none());
}

#[test]
fn attack_overflow_and_reserved_flow_status_end_the_transfer() {
    let mut link = sending(100);
    answer(&mut link, &[0x32, 0, 0], 0);
    assert_eq!(link.take_sent(), Some(Err(TransmitError::Overflow)));
    for reserved in 3..=15 {
        let mut link = sending(100);
        answer(&mut link, &[0x30 | reserved, 0, 0], 0);
        assert_eq!(link.take_sent(), Some(Err(TransmitError::FlowStatus(reserved))));
        assert_eq!(sent(&mut link), None);
    }
}

#[test]
fn attack_slowest_flow_control_is_obeyed_and_bounded() {
    // STmin 7F and BS 1: the longest a receiver can drag out a frame without a timeout.
    let mut link = sending(20);
    answer(&mut link, &[0x30, 1, 0x7F], 0);
    assert!(link.poll_transmit(0).is_some());
    assert_eq!(link.poll_transmit(u64::MAX / 2), None, "BS 1: the next frame needs another flow control");
    answer(&mut link, &[0x30, 2, 0x7F], 10);
    assert!(link.poll_transmit(10).is_some());
    assert_eq!(link.take_sent(), Some(Ok(())));

    let mut link = sending(30);
    answer(&mut link, &[0x30, 0, 0xFF], 0);
    assert!(link.poll_transmit(0).is_some());
    assert_eq!(link.next_timeout(), Some(127_000));
    assert_eq!(link.poll_transmit(126_999), None);
    assert!(link.poll_transmit(127_000).is_some());
}

#[test]
fn flow_control_nobody_waits_for_is_ignored() {
    let mut link = tester(Config::classic(), 100);
    answer(&mut link, &[0x30, 0, 0], 0);
    answer(&mut link, &[0x32, 0, 0], 0);
    assert_eq!((sent(&mut link), link.take_sent()), (None, None));
    // In the middle of a block, too: it neither ends nor restarts it.
    let mut link = sending(100);
    answer(&mut link, &[0x30, 0, 0], 0);
    assert_eq!(sent(&mut link).unwrap()[0], 0x21);
    answer(&mut link, &[0x31, 0, 0], 0);
    answer(&mut link, &[0x30, 1, 0x7F], 0);
    answer(&mut link, &[0x3F, 1, 0x7F], 0);
    assert_eq!(sent(&mut link).unwrap()[0], 0x22);
    // A flow control that is too short is none.
    let mut link = sending(100);
    answer(&mut link, &[0x30, 0], 0);
    assert_eq!(sent(&mut link), None);
}

#[test]
fn a_sender_stops_when_the_receiver_has_lost_a_frame() {
    let mut link = sending(100);
    answer(&mut link, &[0x30, 0, 0], 0);
    assert_eq!(sent(&mut link).unwrap()[0], 0x21);
    answer(&mut link, &[0x32, 0, 0], 0);
    assert_eq!((sent(&mut link), link.take_sent()), (None, Some(Err(TransmitError::FrameLost))));
    // The same between two blocks.
    let mut link = sending(100);
    answer(&mut link, &[0x30, 1, 0], 0);
    assert_eq!(sent(&mut link).unwrap()[0], 0x21);
    answer(&mut link, &[0x32, 0, 0], 0);
    assert_eq!(link.take_sent(), Some(Err(TransmitError::Overflow)));
}

#[test]
fn a_sender_that_knows_its_peer_waits_no_longer_than_it_is_told() {
    let mut link = tester(Config::classic(), 100);
    link.set_patience(80_000);
    link.send(&pattern(100), 0).unwrap();
    assert_eq!(sent(&mut link).unwrap()[0], 0x10);
    assert_eq!(link.next_timeout(), Some(80_000));
    answer(&mut link, &[0x30, 1, 0xF3], 10_000);
    assert_eq!(link.peer_st_min().as_micros(), 300);
    assert!(link.poll_transmit(10_000).is_some());
    assert_eq!(link.next_timeout(), Some(90_000));
    // A receiver that says "wait" gets the whole N_Bs.
    answer(&mut link, &[0x31, 0, 0], 20_000);
    assert_eq!(link.next_timeout(), Some(20_000 + N_BS_US));
    link.retarget(*link.addressing());
    link.set_patience(u64::MAX);
    link.send(&pattern(100), 0).unwrap();
    sent(&mut link);
    assert_eq!(link.next_timeout(), Some(N_BS_US));
}

#[test]
fn st_min_below_a_millisecond_is_kept() {
    for (byte, micros) in (0xF1..=0xF9).zip((100..=900).step_by(100)) {
        let mut link = sending(30);
        answer(&mut link, &[0x30, 0, byte], 0);
        assert!(link.poll_transmit(0).is_some());
        assert_eq!(link.next_timeout(), Some(micros));
        assert_eq!(link.poll_transmit(micros - 1), None);
        assert!(link.poll_transmit(micros).is_some());
    }
}

#[test]
fn a_flow_control_does_not_touch_the_sequence_number() {
    let mut link = sending(200);
    for number in 1..=28_u8 {
        answer(&mut link, &[0x30, 1, 0], 0);
        assert_eq!(sent(&mut link).unwrap()[0], 0x20 | (number & 0x0F));
    }
    assert_eq!(link.take_sent(), Some(Ok(())));
}

#[test]
fn a_sender_gives_up_after_a_second() {
    let mut link = sending(100);
    link.on_timeout(N_BS_US - 1);
    assert_eq!(link.take_sent(), None);
    assert_eq!(link.next_timeout(), Some(N_BS_US));
    link.on_timeout(N_BS_US);
    assert_eq!(link.take_sent(), Some(Err(TransmitError::FlowControlTimeout)));

    // N_As: the bus takes nothing.
    let mut link = tester(Config::classic(), 100);
    link.send(&[1], 5).unwrap();
    link.on_timeout(5 + N_A_US - 1);
    assert!(link.is_sending());
    link.on_timeout(5 + N_A_US);
    assert_eq!(link.take_sent(), Some(Err(TransmitError::BusTimeout)));
    assert_eq!(link.poll_transmit(5 + N_A_US), None);
    let mut link = sending(100);
    answer(&mut link, &[0x30, 0, 0], 7);
    link.on_timeout(7 + N_A_US);
    assert_eq!(link.take_sent(), Some(Err(TransmitError::BusTimeout)));
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let mut link = tester(Config::classic(), 10);
    assert_eq!(link.send(&[], 0), Err(SendError::Empty));
    assert_eq!(link.send(&[0; 11], 0), Err(SendError::TooLong { capacity: 10 }));
    assert_eq!(link.send_functional(&[0; 8], 0), Err(SendError::NotFunctional));
    link.send(&[0; 10], 0).unwrap();
    assert_eq!(link.send(&[1], 0), Err(SendError::Busy));
    assert_eq!(device(Config::classic(), 10).send_functional(&[1], 0), Err(SendError::NotFunctional));
    link.abort_send();
    link.send_functional(&[0x3E, 0x80], 0).unwrap();
    assert_eq!(link.poll_transmit(0).unwrap().id(), FUNCTIONAL);
}

#[test]
fn waits_count_from_the_moment_a_frame_has_left() {
    let mut link = sending(100);
    assert_eq!(link.next_timeout(), Some(N_BS_US));
    // The first frame lay in a queue for half a second.
    link.frames_left(500_000);
    assert_eq!(link.next_timeout(), Some(500_000 + N_BS_US));
    answer(&mut link, &[0x30, 2, 5], 500_000);
    assert!(link.poll_transmit(500_000).is_some());
    // STmin begins when the frame has left.
    link.frames_left(502_000);
    assert_eq!(link.poll_transmit(506_999), None);
    assert!(link.poll_transmit(507_000).is_some());
    link.frames_left(509_000);
    assert_eq!(link.next_timeout(), Some(509_000 + N_BS_US));
    // It never shortens a wait.
    link.frames_left(0);
    assert_eq!(link.next_timeout(), Some(509_000 + N_BS_US));
}

#[test]
fn a_frame_that_does_not_leave_ends_its_message() {
    // A first frame, and the only frame of a message that counted as sent.
    for len in [100, 5] {
        let mut link = tester(Config::classic(), 100);
        link.send(&pattern(len), 0).unwrap();
        assert!(sent(&mut link).is_some());
        link.frame_stuck();
        assert!(!link.is_sending());
        assert_eq!(link.take_sent(), Some(Err(TransmitError::BusTimeout)));
    }
    let mut idle = tester(Config::classic(), 100);
    idle.frame_stuck();
    assert_eq!(idle.take_sent(), None);
}
