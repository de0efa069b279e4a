//! Frames and the text of slcan adapters. A message that is received fits its buffer, transmission ends, and what a
//! decoder takes is encoded as a frame that decodes to the same.

use update_protocol::can::Frame;
use update_protocol::isotp::{Config, Link, Target};
use update_protocol::profile::{FUNCTIONAL_ID, device_addressing, request_id};
use update_protocol::slcan::{Decoder, MAX_LINE_LEN, encode};

use crate::input::Input;

const NODE: u8 = 0x10;
/// Frames that a link may want to send between two events: a whole message of the buffer, in classic frames.
const MAX_FRAMES: usize = 4096;

/// One event after another: its first byte decides which.
pub(crate) fn isotp(data: &[u8]) -> bool {
    let mut passed = false;
    let mut input = Input(data);
    let config =
        if input.byte().is_some_and(|byte| byte & 1 == 1) { Config::fd(true) } else { Config::classic() };
    let (mut receive, mut send) = ([0; 512], [0; 512]);
    let mut link = Link::new(device_addressing(NODE), config, &mut receive[..], &mut send[..]);
    let mut now_us = 0u64;
    while let Some(event) = input.byte() {
        match event % 8 {
            0..=3 => {
                let id = if event & 0x10 == 0 { request_id(NODE) } else { FUNCTIONAL_ID };
                let len = usize::from(event >> 5) + 2;
                let len = if event & 0x08 == 0 { len.min(8) } else { 64 };
                let payload = input.bytes(len);
                let frame = if payload.len() <= 8 {
                    Frame::new(id, payload)
                } else {
                    Frame::new_fd(id, payload, true)
                };
                if let Ok(frame) = frame {
                    link.on_frame(&frame, now_us);
                }
            }
            4 => now_us += u64::from(input.number().unwrap_or(0)) * 100,
            5 => link.on_timeout(now_us),
            6 => {
                let len = usize::from(input.number().unwrap_or(0)) % 520;
                let _refusal = link.send(input.bytes(len), now_us);
            }
            _ => {
                for target in [Target::Physical, Target::Functional] {
                    if let Some(message) = link.received(target) {
                        assert!(!message.is_empty() && message.len() <= 512);
                        passed = true;
                    }
                    link.release(target);
                }
            }
        }
        let sent = std::iter::from_fn(|| link.poll_transmit(now_us)).take(MAX_FRAMES).count();
        assert!(sent < MAX_FRAMES, "the link sends without end");
        if let Some(sent) = link.take_sent() {
            assert!(!link.is_sending());
            passed |= sent.is_ok();
        }
    }
    passed
}

/// The bytes of a serial line.
pub(crate) fn slcan(data: &[u8]) -> bool {
    let mut passed = false;
    let mut decoder = Decoder::default();
    for byte in data {
        if let Some(frame) = decoder.push(*byte) {
            let mut line = [0; MAX_LINE_LEN];
            let mut again = Decoder::default();
            let decoded = encode(&frame, &mut line).iter().find_map(|byte| again.push(*byte));
            assert_eq!(decoded, Some(frame));
            passed = true;
        }
    }
    passed
}

/// A single frame; a first frame and its consecutive frames; a message out and its flow control.
pub(crate) fn isotp_seeds() -> Vec<Vec<u8>> {
    let mut segmented = vec![0, 0xC0, 0x10, 0x14, 1, 2, 3, 4, 5, 6];
    for number in [0x21, 0x22] {
        segmented.extend([0xC0, number, 7, 8, 9, 10, 11, 12, 13, 4, 0, 20]);
    }
    segmented.push(7);
    vec![
        vec![0, 0x40, 0x02, 0x3E, 0x00, 0x00, 7],
        segmented,
        [&[1, 6, 0, 40][..], &[0x5A; 40], &[0xC0, 0x30, 0, 0, 0, 0, 0, 0, 0, 5]].concat(),
    ]
}

pub(crate) fn slcan_seeds() -> Vec<Vec<u8>> {
    vec![b"t7E08021003CCCCCCCCCC\r".to_vec(), b"T18DA10F1200\rd7DF9AA\rr1230\r\x07z\r".to_vec()]
}
