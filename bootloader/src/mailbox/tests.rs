use ResetCause::{BrownOut, Pin, Power, Software, Unknown, Watchdog};

use super::*;

const LISTENING: Listening = Listening { at_power_up_ms: 0, after_silence_ms: 700, counts_power: false };

fn request(answer: bool) -> Request {
    Request::ProgrammingSession { answer }
}

fn read(mailbox: [u8; MAILBOX_LEN], cause: ResetCause) -> Wake {
    Wake::read(&mailbox, cause, LISTENING)
}

/// A mailbox with these parts.
fn mailbox(parts: &[(usize, &[u8])]) -> [u8; MAILBOX_LEN] {
    let mut mailbox = [0; MAILBOX_LEN];
    for (offset, part) in parts {
        mailbox[*offset..offset + part.len()].copy_from_slice(part);
    }
    mailbox
}

#[test]
fn the_mailbox_is_frozen() {
    // Loader and application are built apart: these bytes are their contract. Do not change, only add.
    let requests: [(Request, [u8; REQUEST_LEN]); 2] = [
        (request(true), *b"ANCHRMB1\x01\x01\x00\x00\x11\x9a\xc5\xa4"),
        (request(false), *b"ANCHRMB1\x01\x00\x00\x00\x10\x58\xaf\x93"),
    ];
    for (request, bytes) in requests {
        assert_eq!(request.encode(), bytes);
        assert_eq!(read(mailbox(&[(0, &bytes)]), Software).request, Some(request));
    }
    let counts: [(u8, [u8; 12]); 4] = [
        (0, *b"ANL1\x00\x00\x00\x00\x70\xfa\x48\x1f"),
        (1, *b"ANL1\x01\x00\x00\x00\xc8\x46\x2f\x7a"),
        (3, *b"ANL1\x03\x00\x00\x00\x62\x4f\xe7\xf1"),
        (255, *b"ANL1\xff\x00\x00\x00\xae\xff\x4e\xee"),
    ];
    for (count, bytes) in counts {
        let expected = mailbox(&[(16, &bytes)]);
        assert_eq!(counting(count, 0, 0), expected);
        assert_eq!(read(expected, Software).silent_resets, count);
        assert_eq!(read(mailbox(&[(16, &bytes), (28, b"LIVE")]), Software).silent_resets, 0);
    }
    assert_eq!((MAILBOX_LEN, REQUEST_LEN, ALIVE_OFFSET, ALIVE), (32, 16, 28, *b"LIVE"));
    assert_eq!(u32::from_le_bytes(ALIVE), 0x4556_494C);
}

#[test]
fn a_request_with_any_bit_flipped_is_none() {
    let bytes = mailbox(&[(0, &request(true).encode())]);
    for bit in 0..REQUEST_LEN * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read(flipped, Software).request, None, "bit {bit}");
    }
    assert_eq!(read([0; MAILBOX_LEN], Software).request, None);
    assert_eq!(read([0xFF; MAILBOX_LEN], Software).request, None);
}

/// With the CRC that belongs to the content: another program's mailbox, or one of a later version.
#[test]
fn boot15_a_mailbox_with_another_magic_or_request_is_none() {
    let bytes = request(true).encode();
    for bit in 0..(REQUEST_LEN - 4) * 8 {
        let mut other = bytes;
        other[bit / 8] ^= 1 << (bit % 8);
        let (content, crc) = other.split_last_chunk_mut::<4>().unwrap();
        *crc = checksum(&[content]).to_be_bytes();
        // The lowest bit of byte 9 says whether the answer is wanted.
        let expected = (bit == 9 * 8).then_some(request(false));
        assert_eq!(read(mailbox(&[(0, &other)]), Software).request, expected, "bit {bit}");
    }
}

#[test]
fn boot26_a_count_with_any_bit_flipped_is_none() {
    let bytes = counting(3, 0, 0);
    for bit in REQUEST_LEN * 8..ALIVE_OFFSET * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read(flipped, Software).silent_resets, 0, "bit {bit}");
        // With its own CRC: another magic, or bytes that no count has.
        let (content, crc) = flipped[REQUEST_LEN..ALIVE_OFFSET].split_last_chunk_mut::<4>().unwrap();
        *crc = checksum(&[content]).to_be_bytes();
        let expected = match bit / 8 {
            20 => 3 ^ (1 << (bit % 8)),
            // Another number of retries, or another table.
            21 | 22 => 3,
            _ => 0,
        };
        let changed = bit < (ALIVE_OFFSET - 4) * 8;
        assert_eq!(read(flipped, Software).silent_resets, if changed { expected } else { 3 }, "bit {bit}");
    }
    for filled in [0, 0xFF, 0xA5] {
        assert_eq!(read([filled; MAILBOX_LEN], Unknown).silent_resets, 0);
    }
}

#[test]
fn boot26_each_hand_over_counts_until_the_application_says_that_it_is_alive() {
    let mut found = [0x5A; MAILBOX_LEN];
    for silent in 0..=u8::MAX {
        let wake = read(found, Watchdog);
        assert_eq!(wake.silent_resets, silent);
        assert_eq!((wake.is_silent(), wake.listen_ms()), (silent >= 3, if silent >= 3 { 700 } else { 0 }));
        // A loader that is reset itself changes nothing.
        assert_eq!(read(wake.mailbox(), Watchdog), wake);
        found = handing_over(wake.silent_resets, None);
    }
    assert_eq!(read(found, Watchdog).silent_resets, u8::MAX, "it does not begin anew");
    found[ALIVE_OFFSET..].copy_from_slice(&ALIVE);
    assert_eq!(read(found, Watchdog).silent_resets, 0);
    assert_eq!(read(handing_over(0, None), Watchdog).silent_resets, 1, "the next one has to say it itself");
}

#[test]
fn boot26_an_application_that_asks_for_the_loader_is_alive() {
    let mut found = handing_over(7, None);
    found[..REQUEST_LEN].copy_from_slice(&request(true).encode());
    let wake = read(found, Software);
    assert_eq!((wake.request, wake.silent_resets), (Some(request(true)), 0));
    // Taken once.
    assert_eq!(read(wake.mailbox(), Software), Wake { request: None, ..wake });
}

#[test]
fn boot26_power_clears_the_count_unless_the_board_says_otherwise() {
    let found = handing_over(4, None);
    for cause in [Pin, Software, Watchdog, BrownOut, Unknown] {
        assert_eq!(read(found, cause).silent_resets, 5, "{cause:?}");
    }
    assert_eq!(read(found, Power).silent_resets, 0);
    let counts_power = Listening { counts_power: true, ..LISTENING };
    assert_eq!(Wake::read(&found, Power, counts_power).silent_resets, 5);
    // RAM that did not outlive it is worth nothing.
    assert_eq!(Wake::read(&[0xA5; MAILBOX_LEN], Power, counts_power).silent_resets, 0);
}

#[test]
fn the_window_at_power_up_is_for_power_only() {
    let listening = Listening { at_power_up_ms: 50, after_silence_ms: 700, counts_power: false };
    let listen_ms = |found, cause| Wake::read(&found, cause, listening).listen_ms();
    assert_eq!(listen_ms([0; MAILBOX_LEN], Power), 50);
    // A board that cannot tell: RAM without a count was without power.
    assert_eq!(listen_ms([0xA5; MAILBOX_LEN], Unknown), 50);
    assert_eq!(listen_ms(handing_over(0, None), Unknown), 0);
    for cause in [BrownOut, Pin, Software, Watchdog] {
        assert_eq!(listen_ms([0; MAILBOX_LEN], cause), 0, "{cause:?}");
    }
    assert_eq!(listen_ms(handing_over(9, None), Power), 50, "power cleared the count");
    assert_eq!(listen_ms(handing_over(9, None), Unknown), 700);
    assert_eq!(Listening::DEFAULT.at_power_up_ms, 0);
}

/// A loader that resets itself has an end of it, and a hand-over begins it anew.
#[test]
fn retries_are_counted_until_the_power_goes() {
    let wake = read(handing_over(1, None), Software);
    assert_eq!((wake.silent_resets, wake.retries), (2, 0));
    let second = read(wake.mailbox_of_retry(), Software);
    assert_eq!((second.silent_resets, second.retries), (2, 1));
    assert_eq!(read(second.mailbox(), Watchdog).retries, 1);
    assert_eq!(read(second.mailbox_of_retry(), Software).retries, 2);
    assert_eq!(read(second.mailbox_of_retry(), Power).retries, 0);
    assert_eq!(read(handing_over(second.silent_resets, None), Software).retries, 0);
    let mut torn = second.mailbox_of_retry();
    torn[21] ^= 1;
    assert_eq!((read(torn, Software).silent_resets, read(torn, Software).retries), (0, 0));
}
