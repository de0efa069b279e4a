use super::*;
use crate::can::{Frame, Id};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

type HeapLink = Link<Vec<u8>, Vec<u8>>;

const REQUEST: Id = Id::Extended(0x18DA_10F1);
const RESPONSE: Id = Id::Extended(0x18DA_F110);
const FUNCTIONAL: Id = Id::Extended(0x18DB_33F1);

fn tester(config: Config, capacity: usize) -> HeapLink {
    let addressing = Addressing::tester(REQUEST, RESPONSE, Some(FUNCTIONAL)).unwrap();
    Link::new(addressing, config, vec![0; capacity], vec![0; capacity])
}

fn device(config: Config, capacity: usize) -> HeapLink {
    let addressing = Addressing::device(RESPONSE, REQUEST, Some(FUNCTIONAL)).unwrap();
    Link::new(addressing, config, vec![0; capacity], vec![0; capacity])
}

/// Gives the device a classic frame with the tester's identifier.
fn feed(link: &mut HeapLink, data: &[u8]) {
    feed_at(link, data, 0);
}

fn feed_at(link: &mut HeapLink, data: &[u8], now_us: u64) {
    link.on_frame(&Frame::new(REQUEST, data).unwrap(), now_us);
}

fn sent(link: &mut HeapLink) -> Option<Vec<u8>> {
    link.poll_transmit(0).map(|frame| frame.data().to_vec())
}

fn pattern(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

const CONTINUE: [u8; 8] = [0x30, 0, 0, PADDING, PADDING, PADDING, PADDING, PADDING];
const OVERFLOW: [u8; 8] = [0x32, 0, 0, PADDING, PADDING, PADDING, PADDING, PADDING];

// ---- bytes on the wire -------------------------------------------------------------------------------------------

#[test]
fn classic_frames_are_these_bytes() {
    let mut link = tester(Config::classic(), 5000);
    link.send(&[0x3E, 0x00], 0).unwrap();
    assert_eq!(sent(&mut link).unwrap(), [0x02, 0x3E, 0x00, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC]);
    assert_eq!(link.take_sent(), Some(Ok(())));

    link.send(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], 0).unwrap();
    assert_eq!(sent(&mut link).unwrap(), [0x10, 14, 1, 2, 3, 4, 5, 6]);
    assert_eq!(sent(&mut link), None);
    link.on_frame(&Frame::new(RESPONSE, &[0x30, 0, 0]).unwrap(), 0);
    assert_eq!(sent(&mut link).unwrap(), [0x21, 7, 8, 9, 10, 11, 12, 13]);
    assert_eq!(link.take_sent(), None);
    assert_eq!(sent(&mut link).unwrap(), [0x22, 14, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC]);
    assert_eq!(link.take_sent(), Some(Ok(())));

    link.send(&pattern(4096), 0).unwrap();
    assert_eq!(sent(&mut link).unwrap(), [0x10, 0, 0, 0, 0x10, 0, 0, 1]);
}

#[test]
fn fd_frames_are_these_bytes() {
    let mut link = tester(Config::fd(true), 5000);
    link.send(&[1; 7], 0).unwrap();
    let frame = link.poll_transmit(0).unwrap();
    assert!(frame.is_fd() && frame.brs());
    assert_eq!(frame.data(), [7, 1, 1, 1, 1, 1, 1, 1]);

    link.send(&[1; 8], 0).unwrap();
    assert_eq!(sent(&mut link).unwrap(), [0, 8, 1, 1, 1, 1, 1, 1, 1, 1, 0xCC, 0xCC]);
    link.send(&[1; 62], 0).unwrap();
    assert_eq!(sent(&mut link).unwrap().len(), 64);
    assert_eq!(link.take_sent(), Some(Ok(())));

    link.send(&[1; 63], 0).unwrap();
    let first = sent(&mut link).unwrap();
    assert_eq!((first.len(), &first[..3]), (64, &[0x10, 63, 1][..]));
    link.on_frame(&Frame::new_fd(RESPONSE, &[0x30, 0, 0], false).unwrap(), 0);
    assert_eq!(sent(&mut link).unwrap(), [0x21, 1, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC]);
}

#[test]
fn padding_is_optional_up_to_8_bytes_and_mandatory_above() {
    let mut link = tester(Config::classic().with_padding(None), 100);
    link.send(&[0x3E, 0x00], 0).unwrap();
    assert_eq!(sent(&mut link).unwrap(), [0x02, 0x3E, 0x00]);
    let mut link = tester(Config::fd(false).with_padding(None), 100);
    for len in 8..=62 {
        link.send(&pattern(len), 0).unwrap();
        let frame = sent(&mut link).unwrap();
        assert_eq!(Some(frame.len()), crate::can::fd_len(len + 2));
        assert!(frame[len + 2..].iter().all(|&byte| byte == PADDING));
    }
}

#[test]
fn tx_dl_is_one_that_a_dlc_says() {
    assert!(Config::fd(false).with_tx_dl(20).is_some());
    for bad in [0, 7, 9, 63, 65, 128] {
        assert!(Config::fd(false).with_tx_dl(bad).is_none());
    }
    assert!(Config::classic().with_tx_dl(12).is_none());
    let mut link = tester(Config::fd(false).with_tx_dl(20).unwrap(), 100);
    link.send(&pattern(19), 0).unwrap();
    assert_eq!(sent(&mut link).unwrap().len(), 20);
    assert_eq!(sent(&mut link), None, "the next one waits for flow control");
}

#[test]
fn st_min_counts_reserved_values_as_127_ms() {
    for (byte, micros) in [
        (0x00, 0),
        (0x01, 1000),
        (0x7F, 127_000),
        (0x80, 127_000),
        (0xF0, 127_000),
        (0xF1, 100),
        (0xF9, 900),
        (0xFA, 127_000),
        (0xFF, 127_000),
    ] {
        assert_eq!(StMin::from_byte(byte).as_micros(), micros, "{byte:02X}");
    }
    assert_eq!(StMin::from_millis(200), StMin::MAX);
}

// ---- both ends ---------------------------------------------------------------------------------------------------

/// Carries frames between two links until nothing moves; `lose` says of the n-th frame whether it is dropped.
/// Time passes only when nothing else happens.
fn carry(a: &mut HeapLink, b: &mut HeapLink, mut lose: impl FnMut(usize) -> bool) -> u64 {
    let (mut now_us, mut count) = (0, 0);
    let mut bus: VecDeque<(bool, Frame)> = VecDeque::new();
    loop {
        while let Some(frame) = a.poll_transmit(now_us) {
            bus.push_back((true, frame));
        }
        while let Some(frame) = b.poll_transmit(now_us) {
            bus.push_back((false, frame));
        }
        if let Some((from_a, frame)) = bus.pop_front() {
            if !lose(count) {
                if from_a { b.on_frame(&frame, now_us) } else { a.on_frame(&frame, now_us) }
            }
            count += 1;
            continue;
        }
        let Some(next) = [a.next_timeout(), b.next_timeout()].into_iter().flatten().min() else {
            return now_us;
        };
        now_us = now_us.max(next);
        a.on_timeout(now_us);
        b.on_timeout(now_us);
    }
}

#[test]
fn every_length_passes_in_both_formats_and_at_every_block_size() {
    for config in [Config::classic(), Config::fd(true), Config::fd(false).with_tx_dl(12).unwrap()] {
        for block_size in [0, 1, 2, 255] {
            let config = config.with_block_size(block_size);
            for len in (1..=200).chain([4094, 4095, 4096, 4097, 70_000]) {
                let (mut a, mut b) = (tester(config, 70_000), device(config, 70_000));
                let message = pattern(len);
                a.send(&message, 0).unwrap();
                carry(&mut a, &mut b, |_| false);
                assert_eq!(b.received(Target::Physical), Some(&message[..]), "{len} bytes, BS {block_size}");
                assert_eq!(a.take_sent(), Some(Ok(())));
                assert_eq!(b.take_receive_error(), None);
            }
        }
    }
}

#[test]
fn both_directions_at_once() {
    let (mut a, mut b) = (tester(Config::classic(), 5000), device(Config::fd(true).with_block_size(3), 5000));
    a.send(&pattern(5000), 0).unwrap();
    b.send(&pattern(4000), 0).unwrap();
    carry(&mut a, &mut b, |_| false);
    assert_eq!(b.received(Target::Physical), Some(&pattern(5000)[..]));
    assert_eq!(a.received(Target::Physical), Some(&pattern(4000)[..]));
}

#[test]
fn a_lost_frame_is_noticed_wherever_it_is_lost() {
    for config in [Config::classic().with_block_size(4), Config::fd(true).with_block_size(4)] {
        let (mut a, mut b) = (tester(config, 500), device(config, 500));
        a.send(&pattern(500), 0).unwrap();
        let mut frames = 0;
        carry(&mut a, &mut b, |_| {
            frames += 1;
            false
        });
        for lost in 0..frames {
            let (mut a, mut b) = (tester(config, 500), device(config, 500));
            a.send(&pattern(500), 0).unwrap();
            carry(&mut a, &mut b, |at| at == lost);
            assert_eq!(b.received(Target::Physical), None, "frame {lost}");
            let (sender, receiver) = (a.take_sent(), b.take_receive_error());
            assert!(matches!(sender, Some(Err(_))) || receiver.is_some(), "frame {lost}: nobody noticed");
            // And both go on with the next message.
            a.send(&pattern(500), 0).unwrap();
            carry(&mut a, &mut b, |_| false);
            assert_eq!(b.received(Target::Physical), Some(&pattern(500)[..]), "after frame {lost}");
        }
    }
}

#[test]
fn st_min_and_block_size_of_the_receiver_are_kept() {
    let pace = Config::classic().with_st_min(StMin::from_byte(0xF5)).with_block_size(1);
    let (mut a, mut b) = (tester(Config::classic(), 100), device(pace, 100));
    a.send(&pattern(100), 0).unwrap();
    carry(&mut a, &mut b, |_| false);
    assert_eq!(b.received(Target::Physical), Some(&pattern(100)[..]));

    let (mut a, mut b) = (tester(Config::classic(), 100), device(pace.with_block_size(0), 100));
    a.send(&pattern(100), 0).unwrap();
    // 94 bytes in 14 consecutive frames: 13 pauses of 500 us.
    assert_eq!(carry(&mut a, &mut b, |_| false), 13 * 500);
    assert_eq!(b.received(Target::Physical), Some(&pattern(100)[..]));
}

// ---- what a sender is told ---------------------------------------------------------------------------------------

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
    answer(&mut link, &[0x32, 0, 0], 0);
    answer(&mut link, &[0x30, 1, 0x7F], 0);
    assert_eq!(sent(&mut link).unwrap()[0], 0x22);
    // A flow control that is too short is none.
    let mut link = sending(100);
    answer(&mut link, &[0x30, 0], 0);
    assert_eq!(sent(&mut link), None);
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

// ---- what a receiver is sent -------------------------------------------------------------------------------------

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
        link.on_frame(&Frame::new_remote(REQUEST, len).unwrap(), 0);
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

// ---- identifiers -------------------------------------------------------------------------------------------------

#[test]
fn identifiers_of_canopen_are_refused() {
    let good = Id::Standard(0x123);
    for (id, service) in [
        (0x580, CanopenService::Sdo),
        (0x600, CanopenService::Sdo),
        (0x67F, CanopenService::Sdo),
        (0x701, CanopenService::Heartbeat),
        (0x77F, CanopenService::Heartbeat),
    ] {
        let id = Id::Standard(id);
        let error = Err(AddressingError::Canopen(id, service));
        assert_eq!(Addressing::tester(id, good, None), error);
        assert_eq!(Addressing::tester(good, id, None), error);
        assert_eq!(Addressing::device(good, Id::Standard(1), Some(id)), error);
    }
    for id in [0x57F, 0x680, 0x700, 0x780, 0x7DF, 0x7E0, 0x7E8] {
        assert!(Addressing::tester(Id::Standard(id), good, None).is_ok(), "{id:X}");
    }
    assert!(Addressing::tester(Id::Extended(0x600), good, None).is_ok(), "29 bits are not CANopen's");
}

#[test]
fn identifiers_that_make_no_link_are_refused() {
    let (a, b) = (Id::Standard(1), Id::Standard(2));
    assert_eq!(Addressing::tester(a, a, None), Err(AddressingError::Ambiguous(a)));
    assert_eq!(Addressing::tester(a, b, Some(b)), Err(AddressingError::Ambiguous(b)));
    let wide = Id::Standard(0x800);
    assert_eq!(Addressing::tester(a, wide, None), Err(AddressingError::OutOfRange(wide)));
}

// ---- anything ----------------------------------------------------------------------------------------------------

proptest! {
    /// Whatever comes, a link neither panics nor delivers more than its buffer, and always has an end.
    #[test]
    fn any_frames_at_any_time(frames in proptest::collection::vec(
        (any::<bool>(), 0_u64..300_000, proptest::collection::vec(any::<u8>(), 0..=8), any::<bool>()), 0..200,
    )) {
        let mut link = device(Config::classic(), 64);
        link.send(&pattern(64), 0).unwrap();
        let mut now_us = 0;
        for (functional, pause, data, poll) in frames {
            now_us += pause;
            link.on_timeout(now_us);
            let id = if functional { FUNCTIONAL } else { REQUEST };
            link.on_frame(&Frame::new(id, &data).unwrap(), now_us);
            if poll {
                link.poll_transmit(now_us);
            }
            prop_assert!(link.received(Target::Physical).is_none_or(|message| (1..=64).contains(&message.len())));
            prop_assert!(link.received(Target::Functional).is_none_or(|message| (1..=7).contains(&message.len())));
        }
        // Left alone, it comes to rest.
        for _ in 0..64 {
            while link.poll_transmit(now_us).is_some() {}
            let Some(next) = link.next_timeout() else { break };
            now_us = now_us.max(next);
            link.on_timeout(now_us);
        }
        prop_assert_eq!(link.next_timeout(), None);
        prop_assert!(!link.is_receiving() && !link.is_sending());
    }

    /// What one end sends, the other receives, whatever the lengths, formats and paces.
    #[test]
    fn any_message_arrives(message in proptest::collection::vec(any::<u8>(), 1..3000),
                           fd: bool, block_size: u8, st_min: u8) {
        let config = if fd { Config::fd(true) } else { Config::classic() };
        let pace = config.with_block_size(block_size).with_st_min(StMin::from_byte(st_min));
        let (mut a, mut b) = (tester(config, 3000), device(pace, 3000));
        a.send(&message, 0).unwrap();
        carry(&mut a, &mut b, |_| false);
        prop_assert_eq!(b.received(Target::Physical), Some(&message[..]));
    }
}
