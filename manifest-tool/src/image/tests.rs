use proptest::prelude::*;

use super::{Format, Image, ImageError, MAX_GAP_LEN, MAX_IMAGE_LEN, Options, extract, make, program_has};

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
    build(input, Options::default()).map(|image| image.bytes)
}

fn build(input: impl AsRef<[u8]>, options: Options) -> Result<Image, ImageError> {
    extract(input.as_ref().into(), &options)
}

fn of(format: Format) -> Options {
    Options { format: Some(format), ..Options::default() }
}

fn based(base: u64) -> Options {
    Options { base: Some(base), ..Options::default() }
}

#[test]
fn elf_segments_lie_by_physical_address() {
    let input = elf(&[(0x2101_1008, b"data"), (0x2101_1000, b"text"), (0x2101_2000, b"")]);
    let made = build(&input, Options::default()).unwrap();
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
    let made = build(&input, Options::default()).unwrap();
    assert_eq!((made.bytes.as_slice(), made.address), (&b"text"[..], Some(0x2101_1000)));
    // A section that would be loaded from nowhere.
    let size = input.len() - 3 * 40 + 20;
    input[size..size + 4].copy_from_slice(&9u32.to_le_bytes());
    assert_eq!(image(&input), Err(ImageError::Elf("a section lies in no loaded segment")));
}

#[test]
fn base_is_the_address_of_the_first_byte() {
    let input = elf(&[(0x1004, b"text")]);
    let image = build(&input, based(0x1000)).unwrap();
    assert_eq!((image.bytes.as_slice(), image.address), (&b"\xff\xff\xff\xfftext"[..], Some(0x1000)));
    assert_eq!(image.filled, 4);
    assert_eq!(build(&input, based(0x1005)), Err(ImageError::BelowBase(0x1004)));
    assert_eq!(build(b"plain", based(0)), Err(ImageError::NoAddresses));
}

#[test]
fn bad_layouts_are_refused() {
    let far = 0x1004 + u32::try_from(MAX_GAP_LEN).unwrap();
    for (segments, expected) in [
        (&[(0x1000, &b"text"[..]), (0x1003, b"data")][..], ImageError::Overlap(0x1003)),
        (&[(0x1000, b"text"), (0x1000, b"text")], ImageError::Overlap(0x1000)),
        (&[(0x1000, b"text"), (far + 1, b"data")], ImageError::Gap { from: 0x1004, to: u64::from(far) + 1 }),
        (&[(0x1000, b"")], ImageError::Empty),
        (&[], ImageError::Empty),
    ] {
        assert_eq!(image(&elf(segments)), Err(expected));
    }
    let widest = build(elf(&[(0x1000, b"text"), (far, b"data")]), Options::default()).unwrap();
    assert_eq!((widest.bytes.len() as u64, widest.filled), (4 + MAX_GAP_LEN + 4, MAX_GAP_LEN));
}

/// A file that loads the initial values of RAM to RAM: without a range it is one image with a gap of 384 MiB.
#[test]
fn a_range_leaves_out_what_lies_elsewhere() {
    let input = elf(&[(0x0800_0000, b"text"), (0x2000_0000, b"data")]);
    assert_eq!(image(&input), Err(ImageError::Gap { from: 0x0800_0004, to: 0x2000_0000 }));
    let in_range = |range| build(&input, Options { range: Some(range), ..Options::default() });
    let flash = in_range(0x0800_0000..0x0810_0000).unwrap();
    assert_eq!((flash.bytes.as_slice(), flash.address, flash.left_out), (&b"text"[..], Some(0x0800_0000), 4));
    let part = in_range(0x0800_0001..0x0800_0003).unwrap();
    assert_eq!((part.bytes.as_slice(), part.address, part.left_out), (&b"ex"[..], Some(0x0800_0001), 6));
    assert_eq!(in_range(0..0x0800_0000), Err(ImageError::OutsideRange(8)));
    assert_eq!(
        build(b"plain", Options { range: Some(0..9), ..Options::default() }),
        Err(ImageError::NoAddresses)
    );
    // With a range a long gap is meant, up to the longest image.
    let too_long = in_range(0..u64::MAX);
    assert_eq!(too_long, Err(ImageError::TooLong { len: 0x1800_0004, limit: MAX_IMAGE_LEN }));
}

#[test]
fn an_image_fits_its_slot() {
    let slot = |len| build(elf(&[(0x1000, b"text")]), Options { slot_size: Some(len), ..Options::default() });
    assert_eq!(slot(4).unwrap().bytes, b"text");
    assert_eq!(slot(3), Err(ImageError::TooLong { len: 4, limit: 3 }));
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
    let made = build(input, Options::default()).unwrap();
    assert_eq!(made.bytes, b"text\xff\xff\xff\xffdata");
    assert_eq!((made.format, made.address), (Format::Hex, Some(0x2101_1000)));
    // Segment addresses, 16 bytes each.
    let input = ":020000021000EC\n:040000007465787437\n:00000001FF\n";
    assert_eq!(build(input, Options::default()).unwrap().address, Some(0x1_0000));
}

#[test]
fn damaged_intel_hex_is_refused() {
    let line = |line, reason| Err(ImageError::Line { line, reason });
    for (input, expected) in [
        (":041000007465787428\n:00000001FF\n", line(1, "the checksum is wrong")),
        (":041000007465787427\n:00000001FF\n:041000007465787427\n", line(3, "a record follows the last one")),
        (":041000007465787427\n", Err(ImageError::Unfinished)),
        (":00000001FF\n", Err(ImageError::EmptyOfFormat)),
        (":041000007465787427\n:041002006461746150\n:00000001FF\n", Err(ImageError::Overlap(0x1002))),
        (":04FFFE00746578743A\n:00000001FF\n", line(1, "the record runs over the end of its segment")),
        (":041000007465787427\n\n:0000000AF6\n", line(3, "the record type is unsupported")),
        (":\n", line(1, "the record is too short")),
    ] {
        assert_eq!(build(input, of(Format::Hex)).map(|image| image.bytes), expected, "{input}");
    }
    assert_eq!(build(":ü", of(Format::Hex)), Err(ImageError::Line { line: 1, reason: "it is not text" }));
}

/// Windows programs write a byte order mark, some linkers a comment; neither makes a binary of the file.
#[test]
fn a_byte_order_mark_and_comments_are_passed_over() {
    let hex = ":041000007465787427\r\n:00000001FF\r\n";
    let s_record = "S10710007465787423\nS9030000FC\n";
    for head in ["\u{feff}", "; built by lanes\n", "\u{feff}\r\n# größe\r\n", "// 1.0\n\n"] {
        for (text, format) in [(hex, Format::Hex), (s_record, Format::Srec)] {
            let image = build(format!("{head}{text}"), Options::default()).unwrap();
            assert_eq!((image.bytes.as_slice(), image.format), (&b"text"[..], format), "{head:?}");
        }
    }
    // Other words are not comments, and the line counts.
    let titled = build(format!("\u{feff}; a\nProgram\n{hex}"), of(Format::Hex));
    assert_eq!(titled, Err(ImageError::Line { line: 2, reason: "it does not begin with a colon" }));
}

#[test]
fn s_records() {
    let input =
        "S00600004844521B\nS3092101100074657874FF\nS309210110086461746122\nS5030002FA\nS70521011000C8\n";
    let made = build(input, Options::default()).unwrap();
    assert_eq!(made.bytes, b"text\xff\xff\xff\xffdata");
    assert_eq!((made.format, made.address), (Format::Srec, Some(0x2101_1000)));
    let short = "S10710007465787423\nS9030000FC\n";
    assert_eq!(build(short, Options::default()).unwrap().address, Some(0x1000));
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
        ("S4030A00F2\n", line(1, "the record type is unsupported")),
        ("S\n", line(1, "it does not begin with S and a digit")),
        ("S5030002FA\nS9030000FC\n", line(1, "the number of data records is another one: some are missing")),
        ("S9030000FC\nS9030000FC\n", line(2, "a record follows the last one")),
        ("S10710007465787423\n", Err(ImageError::Unfinished)),
        ("S9030000FC\n", Err(ImageError::EmptyOfFormat)),
    ] {
        let result = build(input, of(Format::Srec)).map(|image| image.bytes);
        assert_eq!(result, expected, "{input}");
    }
}

/// README.md became an image once, and any archive.
#[test]
fn data_that_is_not_firmware_needs_its_format_and_permission() {
    let words = b"# Anchorage\n\nFirmware updates for devices on a CAN bus.\n";
    let options = |format, any_content| Options { format, any_content, ..Options::default() };
    for (format, allowed) in [(None, false), (None, true), (Some(Format::Bin), false)] {
        assert_eq!(
            make(words.as_slice(), &options(format, allowed)),
            Err(ImageError::NotFirmware),
            "{format:?} {allowed}"
        );
    }
    assert_eq!(make(words.as_slice(), &options(Some(Format::Bin), true)).unwrap().bytes, words);

    // Stack pointer, reset vector, and some code.
    let vectors =
        |stack: u32, reset: u32| [stack.to_le_bytes(), reset.to_le_bytes(), [0; 4], [0; 4]].concat();
    let firmware = vectors(0x2001_0000, 0x0800_0009);
    for input in [firmware.clone(), elf(&[(0x0800_0000, &firmware)])] {
        assert_eq!(make(input, &Options::default()).unwrap().bytes, firmware);
    }
    // Linked for another place than the one that it is loaded to.
    let elsewhere = make(elf(&[(0x0801_0000, &firmware)]), &Options::default());
    assert_eq!(elsewhere, Err(ImageError::NotFirmware));
}

#[test]
fn a_binary_is_taken_as_it_is() {
    let image = build(b"\0\x01binary", Options::default()).unwrap();
    assert_eq!(
        (image.bytes.as_slice(), image.format, image.address),
        (&b"\0\x01binary"[..], Format::Bin, None)
    );
    // A colon alone does not make Intel HEX, and --image-format decides.
    assert_eq!(build(b":\xff", Options::default()).unwrap().format, Format::Bin);
    assert_eq!(build(b":00000001FF", of(Format::Bin)).unwrap().bytes, b":00000001FF");
    assert_eq!(build(b"", Options::default()), Err(ImageError::EmptyImage));
    assert_eq!(build(b":00000001FF\n", of(Format::Hex)), Err(ImageError::EmptyOfFormat));
}

proptest! {
    #[test]
    fn random_input_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[:S][0-9A-F]{0,80}\n?") {
        for format in [Format::Elf, Format::Hex, Format::Srec, Format::Bin] {
            let _outcome = build(&bytes, of(format));
            let _outcome = build(&text, Options { base: Some(0), range: Some(3..90), ..of(format) });
        }
    }

    #[test]
    fn damaged_elf_never_panics(at in 0usize..84, byte in any::<u8>()) {
        let mut input = elf(&[(0x1000, b"text")]);
        input[at] = byte;
        let _outcome = build(&input, of(Format::Elf));
    }
}

/// A program header is 32 bytes, and each may name the whole file.
#[test]
fn a_program_is_not_longer_than_its_file() {
    let content = [0x5a; 4096];
    let segments: Vec<(u32, &[u8])> = (0..8).map(|number| (number * 0x1_0000, &content[..])).collect();
    let mut file = elf(&segments);
    assert_eq!(program_has(&file, &content[..32]), Ok(true));
    for number in 0..segments.len() {
        let header = 52 + 32 * number;
        file[header + 4..header + 8].copy_from_slice(&64_u32.to_le_bytes());
        let len = u32::try_from(file.len() - 64).unwrap();
        file[header + 16..header + 20].copy_from_slice(&len.to_le_bytes());
    }
    let limit = file.len() as u64;
    assert_eq!(program_has(&file, b"x"), Err(ImageError::TooLong { len: 2 * (limit - 64), limit }));
    let overlapping = elf(&[(0x100, &content), (0x200, &content)]);
    assert_eq!(program_has(&overlapping, b"x"), Err(ImageError::Overlap(0x200)));
    assert_eq!(program_has(&elf(&[]), b"x"), Err(ImageError::Empty));
}
