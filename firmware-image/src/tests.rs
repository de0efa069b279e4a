use std::vec::Vec;

use crate::{Region, VECTORS_LEN, VectorError, Vectors, is_plausible};

const IMAGE: u32 = 0x0801_1000;
const RAM: Region = Region { start: 0x2000_0000, len: 0x1_0000 };
const TOP: u32 = RAM.start + RAM.len;

fn vectors(sp: u32, reset: u32) -> [u8; VECTORS_LEN] {
    let mut bytes = [0; VECTORS_LEN];
    bytes[..4].copy_from_slice(&sp.to_le_bytes());
    bytes[4..].copy_from_slice(&reset.to_le_bytes());
    bytes
}

#[test]
fn t13_a_vector_table_that_leads_elsewhere_is_refused() {
    let size = 0x1000;
    let check = |sp, reset| Vectors::check(Region { start: IMAGE, len: size }, RAM, &vectors(sp, reset));

    let entry = check(TOP, IMAGE + 9).unwrap();
    assert_eq!((entry.vector_table(), entry.stack_pointer(), entry.reset_vector()), (IMAGE, TOP, IMAGE + 9));
    check(RAM.start + 8, IMAGE + size - 2 + 1).unwrap();

    for sp in [0, RAM.start, RAM.start - 8, TOP + 8, TOP - 4, IMAGE, !7] {
        assert_eq!(check(sp, IMAGE + 9), Err(VectorError::StackPointer), "{sp:#x}");
    }
    assert_eq!(check(TOP, IMAGE + 8), Err(VectorError::ThumbBit));
    for reset in [1, IMAGE + 1, IMAGE + 7, IMAGE + size + 1, IMAGE - 1, u32::MAX, 0x2000_0001] {
        assert_eq!(check(TOP, reset), Err(VectorError::OutsideImage), "{reset:#x}");
    }
    for len in [0, 4, 8, 9] {
        let entry = Vectors::check(Region { start: IMAGE, len }, RAM, &vectors(TOP, IMAGE + 9));
        assert_eq!(entry, Err(VectorError::OutsideImage), "image of {len} bytes");
    }
}

/// A table of 16 vectors in an image of 4 KiB; reserved ones are zero.
fn image(sp: u32, exceptions: u32) -> Vec<u8> {
    let mut words = [exceptions; 16];
    words[0] = sp;
    words[7..11].fill(0);
    let mut image: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    image.resize(4096, 0xaa);
    image
}

#[test]
fn firmware_is_plausible_with_and_without_its_address() {
    for sp in [TOP, 0x2000_0008, 0x1001_0000, 0x2010_0000, 0x4000_0000, 0xA000_0000] {
        let image = image(sp, IMAGE + 0x101);
        assert!(is_plausible(&image, Some(IMAGE)), "{sp:#x}");
        assert!(is_plausible(&image, None), "{sp:#x}");
    }
}

#[test]
fn what_is_not_firmware_is_not_plausible() {
    let good = image(TOP, IMAGE + 0x101);
    let elsewhere = image(TOP, IMAGE + 0x1001);
    assert!(!is_plausible(&elsewhere, Some(IMAGE)));
    let text: Vec<u8> = b"# Anchorage\n\nFirmware updates for devices on a CAN bus.\n".repeat(9);
    let mut far_apart = good.clone();
    far_apart[12..16].copy_from_slice(&(IMAGE + 0x2001).to_le_bytes());
    let mut even = good.clone();
    even[8..12].copy_from_slice(&(IMAGE + 0x100).to_le_bytes());
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("short", &good[..7]),
        ("text", &text),
        ("zeros", &[0; 512]),
        ("erased", &[0xff; 512]),
        ("zip", b"PK\x03\x04\x14\0\0\0\x08\0\x41\x42\x43\x44"),
        ("handlers further apart than the image is long", &far_apart),
        ("a handler without the thumb bit", &even),
        ("stack in flash", &image(0x0000_1000, IMAGE + 0x101)),
        ("stack in peripherals", &image(0x4800_0000, IMAGE + 0x101)),
        ("no reset vector", &image(TOP, 0)),
    ] {
        assert!(!is_plausible(bytes, None), "{name}");
    }
}
