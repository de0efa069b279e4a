use super::*;

#[test]
fn the_mailbox_is_frozen() {
    // Loader and application are built apart: these bytes are their contract. Do not change, only add.
    let frozen: [(Request, [u8; MAILBOX_LEN]); 2] = [
        (Request::ProgrammingSession { answer: true }, *b"ANCHRMB1\x01\x01\x00\x00\x11\x9a\xc5\xa4"),
        (Request::ProgrammingSession { answer: false }, *b"ANCHRMB1\x01\x00\x00\x00\x10\x58\xaf\x93"),
    ];
    for (request, bytes) in frozen {
        assert_eq!(request.encode(), bytes);
        assert_eq!(Request::decode(&bytes), Some(request));
    }
}

#[test]
fn a_mailbox_with_any_bit_flipped_is_none() {
    let bytes = Request::ProgrammingSession { answer: true }.encode();
    for bit in 0..MAILBOX_LEN * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Request::decode(&flipped), None, "bit {bit}");
    }
    assert_eq!(Request::decode(&[0; MAILBOX_LEN]), None);
    assert_eq!(Request::decode(&[0xFF; MAILBOX_LEN]), None);
}

/// With the CRC that belongs to the content: another program's mailbox, or one of a later version.
#[test]
fn boot15_a_mailbox_with_another_magic_or_request_is_none() {
    let bytes = Request::ProgrammingSession { answer: true }.encode();
    for bit in 0..(MAILBOX_LEN - 4) * 8 {
        let mut other = bytes;
        other[bit / 8] ^= 1 << (bit % 8);
        let (content, crc) = other.split_last_chunk_mut::<4>().unwrap();
        *crc = checksum(&[content]).to_be_bytes();
        // The lowest bit of byte 9 says whether the answer is wanted.
        let expected = (bit == 9 * 8).then_some(Request::ProgrammingSession { answer: false });
        assert_eq!(Request::decode(&other), expected, "bit {bit}");
    }
}
