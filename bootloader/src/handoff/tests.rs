use super::*;
use crate::layout::tests::GOOD;

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

fn vectors(sp: u32, reset: u32) -> [u8; VECTORS_LEN] {
    let mut bytes = [0; VECTORS_LEN];
    bytes[..4].copy_from_slice(&sp.to_le_bytes());
    bytes[4..].copy_from_slice(&reset.to_le_bytes());
    bytes
}

#[test]
fn t13_a_vector_table_that_leads_elsewhere_is_refused() {
    let layout = Layout::new(GOOD).unwrap();
    let image = layout.image_address();
    let ram = GOOD.ram;
    let (top, size) = (ram.start + ram.len, 0x1000);
    let check = |sp, reset| check_vectors(&layout, size, &vectors(sp, reset));

    let entry = check(top, image + 9).unwrap();
    assert_eq!((entry.vector_table(), entry.stack_pointer(), entry.reset_vector()), (image, top, image + 9));
    check(ram.start + 8, image + size - 2 + 1).unwrap();

    for sp in [0, ram.start, ram.start - 8, top + 8, top - 4, image, !7] {
        assert_eq!(check(sp, image + 9), Err(VectorError::StackPointer), "{sp:#x}");
    }
    assert_eq!(check(top, image + 8), Err(VectorError::ThumbBit));
    for reset in [1, image + 1, image + 7, image + size + 1, image - 1, u32::MAX, 0x2000_0001] {
        assert_eq!(check(top, reset), Err(VectorError::OutsideImage), "{reset:#x}");
    }
    for size in [0, 4, 8, 9] {
        let entry = check_vectors(&layout, size, &vectors(top, image + 9));
        assert_eq!(entry, Err(VectorError::OutsideImage), "image of {size} bytes");
    }
}
