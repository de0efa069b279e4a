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
