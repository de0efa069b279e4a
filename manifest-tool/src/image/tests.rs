use super::{Format, ImageError, MAX_IMAGE_LEN, make};
use proptest::prelude::*;

/// An ELF32 executable, little-endian, of these loadable segments: physical address, content.
fn elf(segments: &[(u32, &[u8])]) -> Vec<u8> {
    let table = 52 + 32 * segments.len();
    let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend_from_slice(&2u16.to_le_bytes()); // ET_EXEC
    out.extend_from_slice(&40u16.to_le_bytes()); // EM_ARM
    for word in [1u32, 0, 52, 0, 0] {
        out.extend_from_slice(&word.to_le_bytes()); // version, entry, program headers at, section headers at, flags
    }
    let count = u16::try_from(segments.len()).unwrap();
    for half in [52u16, 32, count, 40, 0, 0] {
        out.extend_from_slice(&half.to_le_bytes());
    }
    let mut offset = u32::try_from(table).unwrap();
    for (address, content) in segments {
        let len = u32::try_from(content.len()).unwrap();
        // The virtual address is another one: data that is copied to RAM at start.
        for word in [1, offset, 0x2000_0000, *address, len, len + 8, 6, 4] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        offset += len;
    }
    for (_, content) in segments {
        out.extend_from_slice(content);
    }
    out
}

fn image(input: &[u8]) -> Result<Vec<u8>, ImageError> {
    make(input, None, None).map(|image| image.bytes)
}

#[test]
fn elf_segments_lie_by_physical_address() {
    let input = elf(&[(0x2101_1008, b"data"), (0x2101_1000, b"text"), (0x2101_2000, b"")]);
    let made = make(&input, None, None).unwrap();
    assert_eq!(made.bytes, b"text\xff\xff\xff\xffdata");
    assert_eq!((made.format, made.address), (Format::Elf, Some(0x2101_1000)));
}

/// What lld makes of a link without -nmagic: a segment for the headers alone, at an address that means nothing.
/// Sections tell what is to be loaded; here `.text` (4 bytes, in a segment that holds 4 more) and `.bss`.
#[test]
fn elf_sections_tell_what_is_loaded() {
    let mut input = elf(&[(0x2000_0000, b""), (0x2101_1000, b"text+pad")]);
    // The first segment: the file from its first byte.
    input[52 + 4..52 + 8].fill(0);
    input[52 + 16..52 + 20].copy_from_slice(&116u32.to_le_bytes());
    let table = u32::try_from(input.len()).unwrap();
    input[32..36].copy_from_slice(&table.to_le_bytes());
    input[46..52].copy_from_slice(&[40, 0, 4, 0, 0, 0]);
    // name, type, flags, address, offset, size, link, info, alignment, entry size
    for section in [
        [0u32; 10],
        [0, 1, 6, 0x2101_1000, 116, 4, 0, 0, 4, 0],
        [0, 8, 3, 0x2000_4000, 0x4000_0000, 0x1000, 0, 0, 4, 0],
        // an empty `.data`, wherever it is said to lie
        [0, 1, 3, 0x2000_4000, 0, 0, 0, 0, 4, 0],
    ] {
        section.iter().for_each(|word| input.extend_from_slice(&word.to_le_bytes()));
    }
    let made = make(&input, None, None).unwrap();
    assert_eq!((made.bytes.as_slice(), made.address), (&b"text"[..], Some(0x2101_1000)));
    // A section that would be loaded from nowhere.
    let size = input.len() - 3 * 40 + 20;
    input[size..size + 4].copy_from_slice(&9u32.to_le_bytes());
    assert_eq!(image(&input), Err(ImageError::Elf("a section lies in no loaded segment")));
}

#[test]
fn base_is_the_address_of_the_first_byte() {
    let input = elf(&[(0x1004, b"text")]);
    let made = make(&input, None, Some(0x1000)).unwrap();
    assert_eq!((made.bytes.as_slice(), made.address), (&b"\xff\xff\xff\xfftext"[..], Some(0x1000)));
    assert_eq!(make(&input, None, Some(0x1005)), Err(ImageError::BelowBase(0x1004)));
    assert_eq!(make(b"plain", None, Some(0)), Err(ImageError::BaseOfBinary));
}

#[test]
fn bad_layouts_are_refused() {
    let far = u32::try_from(MAX_IMAGE_LEN).unwrap() + 0x1000;
    for (segments, expected) in [
        (&[(0x1000, &b"text"[..]), (0x1003, b"data")][..], ImageError::Overlap(0x1003)),
        (&[(0x1000, b"text"), (0x1000, b"text")], ImageError::Overlap(0x1000)),
        (&[(0x1000, b"text"), (far, b"data")], ImageError::TooLong),
        (&[(0x1000, b"")], ImageError::Empty),
        (&[], ImageError::Empty),
    ] {
        assert_eq!(image(&elf(segments)), Err(expected));
    }
}

#[test]
fn other_elf_files_are_refused() {
    let good = elf(&[(0x1000, b"text")]);
    let mut position_independent = good.clone();
    position_independent[16] = 3;
    assert_eq!(image(&position_independent), Err(ImageError::NotExecutable));
    let mut with_header = good.clone();
    with_header[56..60].fill(0);
    assert_eq!(image(&with_header), Err(ImageError::HeaderInSegment));
    let mut beyond = good.clone();
    beyond[56..60].copy_from_slice(&0x7fff_0000u32.to_le_bytes());
    assert!(matches!(image(&beyond), Err(ImageError::Elf(_))));
    for len in 4..good.len() {
        assert!(image(&good[..len]).is_err(), "{len}");
    }
}

#[test]
fn intel_hex() {
    let input = ":020000042101D8\r\n:041000007465787427\r\n:04100800646174614A\r\n:0400000521011001C4\r\n:00000001FF\r\n";
    let made = make(input.as_bytes(), None, None).unwrap();
    assert_eq!(made.bytes, b"text\xff\xff\xff\xffdata");
    assert_eq!((made.format, made.address), (Format::Hex, Some(0x2101_1000)));
    // Segment addresses, 16 bytes each.
    let input = ":020000021000EC\n:040000007465787437\n:00000001FF\n";
    assert_eq!(make(input.as_bytes(), None, None).unwrap().address, Some(0x1_0000));
}

#[test]
fn damaged_intel_hex_is_refused() {
    let line = |line, reason| Err(ImageError::Line { line, reason });
    for (input, expected) in [
        (":041000007465787428\n:00000001FF\n", line(1, "the checksum is wrong")),
        (":041000007465787427\n:00000001FF\n:041000007465787427\n", line(3, "a record follows the last one")),
        (":041000007465787427\n", Err(ImageError::Unfinished)),
        (":00000001FF\n", Err(ImageError::Empty)),
        (":041000007465787427\n:041002006461746150\n:00000001FF\n", Err(ImageError::Overlap(0x1002))),
        (":04FFFE00746578743A\n:00000001FF\n", line(1, "the record runs over the end of its segment")),
        (":041000007465787427\n\n:0000000AF6\n", line(3, "the record type is not known")),
        (":\n", line(1, "the record is too short")),
    ] {
        assert_eq!(
            make(input.as_bytes(), Some(Format::Hex), None).map(|image| image.bytes),
            expected,
            "{input}"
        );
    }
    assert_eq!(make(":ü".as_bytes(), Some(Format::Hex), None), Err(ImageError::NotText));
}

#[test]
fn s_records() {
    let input =
        "S00600004844521B\nS3092101100074657874FF\nS309210110086461746122\nS5030002FA\nS70521011000C8\n";
    let made = make(input.as_bytes(), None, None).unwrap();
    assert_eq!(made.bytes, b"text\xff\xff\xff\xffdata");
    assert_eq!((made.format, made.address), (Format::Srec, Some(0x2101_1000)));
    let short = "S10710007465787423\nS9030000FC\n";
    assert_eq!(make(short.as_bytes(), None, None).unwrap().address, Some(0x1000));
}

#[test]
fn damaged_s_records_are_refused() {
    let line = |line, reason| Err(ImageError::Line { line, reason });
    for (input, expected) in [
        ("S10710007465787424\nS9030000FC\n", line(1, "the checksum is wrong")),
        ("S107100074657874\n", line(1, "the record has another length than it says")),
        ("S10710007465787\n", line(1, "a character is not a hexadecimal digit, or one is missing")),
        ("S107 0007465787423\n", line(1, "a character is not a hexadecimal digit, or one is missing")),
        ("S400\n", line(1, "the record is too short")),
        ("S0\n", line(1, "the record is too short")),
        ("S1020AF3\n", line(1, "the record is too short")),
        ("S4030A00F2\n", line(1, "the record type is not known")),
        ("S\n", line(1, "it does not begin with S and a digit")),
        ("S5030002FA\nS9030000FC\n", line(1, "the number of data records is another one: some are missing")),
        ("S9030000FC\nS9030000FC\n", line(2, "a record follows the last one")),
        ("S10710007465787423\n", Err(ImageError::Unfinished)),
        ("S9030000FC\n", Err(ImageError::Empty)),
    ] {
        let result = make(input.as_bytes(), Some(Format::Srec), None).map(|image| image.bytes);
        assert_eq!(result, expected, "{input}");
    }
}

#[test]
fn a_binary_is_taken_as_it_is() {
    let made = make(b"\0\x01binary", None, None).unwrap();
    assert_eq!((made.bytes.as_slice(), made.format, made.address), (&b"\0\x01binary"[..], Format::Bin, None));
    // Text alone makes no Intel HEX, and what is said counts.
    assert_eq!(make(b":\xff", None, None).unwrap().format, Format::Bin);
    assert_eq!(make(b":00000001FF", Some(Format::Bin), None).unwrap().bytes, b":00000001FF");
    assert_eq!(make(b"", None, None), Err(ImageError::Empty));
}

proptest! {
    #[test]
    fn random_input_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[:S][0-9A-F]{0,80}\n?") {
        for format in [Format::Elf, Format::Hex, Format::Srec, Format::Bin] {
            let _outcome = make(&bytes, Some(format), None);
            let _outcome = make(text.as_bytes(), Some(format), Some(0));
        }
    }

    #[test]
    fn damaged_elf_never_panics(at in 0usize..84, byte in any::<u8>()) {
        let mut input = elf(&[(0x1000, b"text")]);
        input[at] = byte;
        let _outcome = make(&input, Some(Format::Elf), None);
    }
}
