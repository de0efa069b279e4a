use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::can::{Frame, Id};

mod receiving;
mod sending;

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

// ---- identifiers -------------------------------------------------------------------------------------------------

#[test]
fn identifiers_of_canopen_are_refused() {
    let good = Id::Standard(0x6F8);
    for (id, service) in [
        (0x000, CanopenService::Management),
        (0x080, CanopenService::Management),
        (0x100, CanopenService::Management),
        (0x180, CanopenService::Management),
        (0x181, CanopenService::Pdo),
        (0x201, CanopenService::Pdo),
        (0x57F, CanopenService::Pdo),
        (0x580, CanopenService::Sdo),
        (0x600, CanopenService::Sdo),
        (0x67F, CanopenService::Sdo),
        (0x701, CanopenService::Heartbeat),
        (0x77F, CanopenService::Heartbeat),
        (0x7E4, CanopenService::Lss),
        (0x7E5, CanopenService::Lss),
    ] {
        let id = Id::Standard(id);
        let error = Err(AddressingError::Canopen(id, service));
        assert_eq!(Addressing::tester(id, good, None), error);
        assert_eq!(Addressing::tester(good, id, None), error);
        assert_eq!(Addressing::device(good, Id::Standard(0x6F0), Some(id)), error);
    }
    for id in [0x680, 0x700, 0x780, 0x7E3, 0x7E6, 0x7FF, 0x7DF, 0x7E0, 0x7E8] {
        assert!(Addressing::tester(Id::Standard(id), good, None).is_ok(), "{id:X}");
    }
    assert!(Addressing::tester(Id::Extended(0x600), good, None).is_ok(), "29 bits are not CANopen's");
}

#[test]
fn identifiers_that_make_no_link_are_refused() {
    let (a, b) = (Id::Standard(0x6F0), Id::Standard(0x6F8));
    assert_eq!(Addressing::tester(a, a, None), Err(AddressingError::Ambiguous(a)));
    assert_eq!(Addressing::tester(a, b, Some(b)), Err(AddressingError::Ambiguous(b)));
    let wide = Id::Standard(0x800);
    assert_eq!(Addressing::tester(a, wide, None), Err(AddressingError::OutOfRange(wide)));
}

// ---- anything ----------------------------------------------------------------------------------------------------

/// Bytes at random, and as often those of a frame in a transfer.
fn any_data() -> impl Strategy<Value = Vec<u8>> {
    let frame = (
        prop_oneof![Just([0x10, 9]), Just([0x10, 64]), Just([0x10, 65]), Just([0x30, 0]), Just([0x30, 2])],
        any::<[u8; 6]>(),
    )
        .prop_map(|(head, rest)| [&head[..], &rest].concat());
    let next = (0x20_u8..0x24, any::<[u8; 7]>()).prop_map(|(head, rest)| [&[head][..], &rest].concat());
    prop_oneof![2 => proptest::collection::vec(any::<u8>(), 0..=8), 1 => frame, 1 => next]
}

proptest! {
    /// Whatever comes, a link neither panics nor delivers more than its buffer, and always has an end.
    #[test]
    fn any_frames_at_any_time(frames in proptest::collection::vec(
        (any::<bool>(), 0_u64..300_000, any_data(), any::<bool>()), 0..200,
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
