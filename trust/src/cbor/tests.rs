use proptest::prelude::*;

use super::{List, MAX_DEPTH, Major, Reader};
use crate::error::{Error, ErrorKind};

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

fn skip(hex: &str) -> Result<(), Error> {
    let bytes = bytes(hex);
    let mut reader = Reader::new(&bytes);
    reader.skip();
    reader.finish()
}

#[test]
fn deterministic_items_are_walked() {
    for hex in [
        "00",
        "17",
        "1818",
        "190100",
        "1a00010000",
        "1b0000000100000000",
        "1bffffffffffffffff",
        "20",
        "37",
        "3818",
        "3bffffffffffffffff",
        "40",
        "4101",
        "60",
        "6161",
        "80",
        "83010203",
        "a0",
        "a10102",
        "a3010120062102",
        "c100",
        "d83dd2f6",
        "f4",
        "f5",
        "f6",
        "a2 8101 00 8102 00",
    ] {
        assert_eq!(skip(hex), Ok(()), "{hex}");
    }
}

#[test]
fn what_is_not_deterministic_is_refused() {
    use ErrorKind::*;
    for (hex, kind, position) in [
        // longer than needed
        ("1817", NotCanonical, 0),
        ("1900ff", NotCanonical, 0),
        ("1a0000ffff", NotCanonical, 0),
        ("1b00000000ffffffff", NotCanonical, 0),
        ("3817", NotCanonical, 0),
        ("580101", NotCanonical, 0),
        ("780161", NotCanonical, 0),
        ("980101", NotCanonical, 0),
        ("b8010101", NotCanonical, 0),
        ("d80101", NotCanonical, 0),
        ("81 1817", NotCanonical, 1),
        ("a1 1817 00", NotCanonical, 1),
        // indefinite lengths, reserved information, break
        ("5f4101ff", NotCanonical, 0),
        ("7f6161ff", NotCanonical, 0),
        ("9f01ff", NotCanonical, 0),
        ("bf0101ff", NotCanonical, 0),
        ("1c", NotCanonical, 0),
        ("fe", NotCanonical, 0),
        ("ff", NotCanonical, 0),
        // keys
        ("a2 01 00 01 00", KeyOrder, 3),
        ("a2 02 00 01 00", KeyOrder, 3),
        ("a2 20 00 01 00", KeyOrder, 3),
        ("a2 6161 00 4161 00", KeyOrder, 4),
        ("81 a2 02 00 01 00", KeyOrder, 4),
        // floats, undefined, other simple values
        ("f97e00", UnexpectedType, 0),
        ("fa7fc00000", UnexpectedType, 0),
        ("fb7ff8000000000000", UnexpectedType, 0),
        ("f7", UnexpectedType, 0),
        ("e0", UnexpectedType, 0),
        ("f8ff", UnexpectedType, 0),
        // text that is not UTF-8
        ("61ff", InvalidText, 0),
        // ends early
        ("", Truncated, 0),
        ("18", Truncated, 0),
        ("1901", Truncated, 0),
        ("4201", Truncated, 0),
        ("5bffffffffffffffff", Truncated, 0),
        ("82 01", Truncated, 0),
        ("82 8100", Truncated, 3),
        ("9bffffffffffffffff 00", Truncated, 0),
        ("bbffffffffffffffff", Truncated, 0),
        ("a1 01", Truncated, 2),
        ("c1", Truncated, 1),
        // goes on
        ("00 00", TrailingBytes, 1),
    ] {
        assert_eq!(skip(hex), Err(Error::new(kind, position)), "{hex}");
    }
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| "81".repeat(depth - 1) + "00";
    assert_eq!(skip(&nested(usize::from(MAX_DEPTH))), Ok(()));
    let too_deep = nested(usize::from(MAX_DEPTH) + 1);
    assert_eq!(skip(&too_deep), Err(Error::new(ErrorKind::TooDeep, u32::from(MAX_DEPTH))));
    // Tags and keys nest as well.
    assert_eq!(skip(&("c1".repeat(100) + "00")).unwrap_err().kind, ErrorKind::TooDeep);
    assert_eq!(skip(&("a1".repeat(100) + "00")).unwrap_err().kind, ErrorKind::TooDeep);
}

/// What `read` reads, when all of the bytes could be read.
fn read<'b, T>(bytes: &'b [u8], read: impl FnOnce(&mut Reader<'b>) -> T) -> Result<T, Error> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader);
    reader.check().map(|()| value)
}

#[test]
fn embedded_items_keep_their_position() {
    let bytes = bytes("82 00 43 82 01 61");
    let mut reader = Reader::new(&bytes);
    reader.array_of(2);
    assert_eq!(reader.uint(), 0);
    let mut after = reader.clone();
    let span = after.span();
    assert_eq!((span.bytes, span.base), (&bytes[3..], 3));
    assert_eq!(after.finish(), Ok(()));
    reader.embedded(|embedded| {
        embedded.array_of(2);
        assert_eq!(embedded.uint(), 1);
        embedded.text();
    });
    assert_eq!(reader.finish(), Err(Error::new(ErrorKind::Truncated, 5)));
}

#[test]
fn an_embedded_item_is_read_to_its_end() {
    let bytes = bytes("82 42 01 02 03");
    let mut reader = Reader::new(&bytes);
    reader.array_of(2);
    assert_eq!(reader.embedded(Reader::uint), 1);
    assert_eq!(reader.check(), Err(Error::new(ErrorKind::TrailingBytes, 3)));
}

#[test]
fn the_first_fault_stays_and_nothing_is_read_after_it() {
    let bytes = bytes("85 60 01 4101 f5 a1 01 02");
    let mut reader = Reader::new(&bytes);
    let mut items = reader.array();
    assert!(items.next(&reader));
    // A text, where an integer stands.
    assert_eq!(reader.uint(), 0);
    let fault = Err(Error::new(ErrorKind::UnexpectedType, 1));
    assert_eq!(reader.check(), fault);
    assert!(!items.next(&reader));
    assert_eq!((reader.uint(), reader.bytes(), reader.bool(), reader.label()), (0, &[][..], false, i32::MAX));
    assert_eq!((reader.byte_array(), reader.item(), reader.peek_item()), (&[0; 4], &[][..], &[][..]));
    assert_eq!((reader.text().as_str(), reader.name(3).as_str()), ("", ""));
    assert!(reader.map().next_label(&mut reader).is_none());
    assert_eq!(List::read(&mut reader, 0, 8, Reader::skip).iter(Reader::uint).count(), 0);
    reader.embedded(|embedded| assert!(embedded.is_at_end()));
    reader.refuse(ErrorKind::TooLong, 0);
    assert_eq!((reader.check(), reader.finish()), (fault, fault));
}

#[test]
fn typed_reads_refuse_other_types() {
    let at = |hex: &str| bytes(hex);
    let (unexpected, out_of_range) =
        (Error::new(ErrorKind::UnexpectedType, 0), Error::new(ErrorKind::OutOfRange, 0));
    assert_eq!(read(&at("20"), Reader::uint), Err(unexpected));
    assert_eq!(read(&at("4100"), |reader| *reader.byte_array::<2>()), Err(unexpected));
    assert_eq!(read(&at("83010203"), |reader| reader.array_of(2)), Err(unexpected));
    assert_eq!(read(&at("d28440"), |reader| reader.expect_tag(61)), Err(unexpected));
    assert_eq!(read(&at("f5"), Reader::null), Err(unexpected));
    assert_eq!(read(&at("f6"), Reader::bool), Err(unexpected));
    assert_eq!(read(&at("60"), Reader::int), Err(unexpected));
    assert_eq!(read(&at("3bffffffffffffffff"), Reader::int), Err(out_of_range));
    assert_eq!(read(&at("60"), |reader| reader.name(4)), Err(out_of_range));
    assert_eq!(read(&at("656162636465"), |reader| reader.name(4)), Err(out_of_range));
    assert_eq!(read(&at("01"), |reader| reader.uint_within(2, 3)), Err(out_of_range));
    assert_eq!(read(&at("03"), |reader| reader.uint_within(2, 3)), Ok(3));
    assert_eq!(read(&at("04"), |reader| reader.uint_within(2, 3)), Err(out_of_range));
    assert_eq!(read(&at("3a00011170"), Reader::int), Ok(-70001));
    assert_eq!(read(&at("a1"), Reader::peek), Ok(Major::Map));
    for (hex, label) in [("3a00011170", -70001), ("1a80000000", i32::MAX), ("3a80000000", i32::MAX)] {
        assert_eq!(read(&at(hex), Reader::label), Ok(label), "{hex}");
    }
}

/// A loop over items that does not ask for faults ends all the same.
#[test]
fn no_more_items_are_announced_than_there_are_bytes() {
    let truncated = Err(Error::new(ErrorKind::Truncated, 0));
    for (hex, has_room) in
        [("81 00", true), ("82 00", false), ("9a ffffffff 00", false), ("9b ffffffffffffffff 00", false)]
    {
        let array = bytes(hex);
        let mut map = array.clone();
        map[0] |= 0x20;
        for read in [
            (|reader| reader.array().remaining()) as fn(&mut Reader<'_>) -> u32,
            |reader| reader.array_within(0, u32::MAX).remaining(),
            |reader| reader.map().remaining(),
            |reader| {
                reader.skip();
                0
            },
        ] {
            for bytes in [&array, &map] {
                let mut reader = Reader::new(bytes);
                let count = read(&mut reader);
                assert!(count <= u32::from(has_room), "{hex}: {count}");
                if !has_room && reader.check() != Err(Error::new(ErrorKind::UnexpectedType, 0)) {
                    assert_eq!(reader.check(), truncated, "{hex}");
                }
            }
        }
    }
}

/// A value that is refused is not handed out.
#[test]
fn what_is_refused_reads_as_empty() {
    let (number, three, text) = (bytes("07"), bytes("83010203"), bytes("656162636465"));
    assert_eq!(Reader::new(&number).uint_within(8, 9), 0);
    assert_eq!(Reader::new(&bytes("47")).int(), 0);
    assert_eq!(Reader::new(&bytes("3bffffffffffffffff")).int(), 0);
    assert_eq!(Reader::new(&three).array_within(0, 2).remaining(), 0);
    assert_eq!(Reader::new(&three).array_within(4, 5).remaining(), 0);
    assert_eq!(Reader::new(&text).name(4).as_str(), "");
}

fn uint(reader: &mut Reader<'_>) {
    reader.uint();
}

#[test]
fn lists_have_bounds() {
    let list = |hex: &str| {
        let bytes = bytes(hex);
        read(&bytes, |reader| List::read(reader, 1, 2, uint))
            .map(|list| list.iter(Reader::uint).collect::<Vec<_>>())
    };
    assert_eq!(list("820102"), Ok(vec![1, 2]));
    assert_eq!(list("80"), Err(Error::new(ErrorKind::OutOfRange, 0)));
    assert_eq!(list("83010203"), Err(Error::new(ErrorKind::TooMany, 0)));
    assert_eq!(list("820160"), Err(Error::new(ErrorKind::UnexpectedType, 2)));
}

#[test]
fn lists_of_strings_are_searched() {
    let bytes = bytes("83 4101 6161 420203");
    let list = read(&bytes, |reader| List::read(reader, 0, 3, Reader::skip)).unwrap();
    for (content, is_there) in [(&[1][..], true), (b"a", true), (&[2, 3], true), (&[2], false), (&[], false)]
    {
        assert_eq!(list.contains(content), is_there, "{content:?}");
    }
}

#[test]
fn a_bit_is_of_one_label() {
    let labels = [-1, 0, 1, 31, 32, i32::MIN, i32::MAX];
    assert_eq!(labels.map(super::bit), [0, 1, 2, 1 << 31, 0, 0, 0]);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = Reader::new(&bytes);
        // Tags 2 and 3 are bignums to ciborium, which it writes back as integers.
        reader.skip();
        if reader.check().is_ok() && !bytes.iter().any(|byte| matches!(byte, 0xc2 | 0xc3)) {
            // What the strict reader accepts, ciborium reads, and writes back as it was.
            let len = usize::try_from(reader.position()).unwrap();
            let value: ciborium::Value = ciborium::from_reader(&bytes[..len]).unwrap();
            let mut again = Vec::new();
            ciborium::into_writer(&value, &mut again).unwrap();
            prop_assert_eq!(&again, &bytes[..len]);
        }
    }
}

fn text<'b>(reader: &mut Reader<'b>) -> &'b str {
    reader.text().as_str()
}

proptest! {
    /// Heads around every length of an argument, read by this reader and by minicbor.
    #[test]
    fn minicbor_reads_the_same(initial in any::<u8>(), argument in any::<u64>(), shift in 0u32..64, cut in 0usize..12) {
        let mut bytes = vec![initial];
        bytes.extend((argument >> shift).to_be_bytes().into_iter().skip(match initial & 0x1f { 24 => 7, 25 => 6, 26 => 4, 27 => 0, _ => 8 }));
        bytes.extend([0x61; 4]);
        bytes.truncate(bytes.len().saturating_sub(cut));
        let theirs = minicbor::Decoder::new(&bytes);
        let ours = Reader::new(&bytes);
        macro_rules! same {
            ($read:expr, $decode:expr) => {{
                let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
                let value = $read(&mut ours);
                if let Ok(()) = ours.check() {
                    prop_assert_eq!(Some(value), $decode(&mut theirs).ok());
                    prop_assert_eq!(usize::try_from(ours.position()).unwrap(), theirs.position());
                } else if $decode(&mut theirs).is_ok() {
                    // Refused here alone: what is not in its shortest form or of indefinite length, and more items than bytes.
                    let kind = ours.check().unwrap_err().kind;
                    let is_counted = kind == ErrorKind::Truncated && matches!(initial >> 5, 4 | 5);
                    prop_assert!(kind == ErrorKind::NotCanonical || is_counted, "{kind:?}");
                }
            }};
        }
        same!(Reader::uint, minicbor::Decoder::u64);
        same!(Reader::int, minicbor::Decoder::i64);
        same!(Reader::bool, minicbor::Decoder::bool);
        same!(Reader::null, minicbor::Decoder::null);
        same!(Reader::bytes, minicbor::Decoder::bytes);
        same!(text, minicbor::Decoder::str);
        let items = |count: Option<u64>| count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        same!(
            |reader: &mut Reader<'_>| Some(reader.array().remaining()),
            |decoder: &mut minicbor::Decoder<'_>| decoder.array().map(items)
        );
        same!(
            |reader: &mut Reader<'_>| Some(reader.map().remaining()),
            |decoder: &mut minicbor::Decoder<'_>| decoder.map().map(items)
        );
        same!(Reader::tag, |decoder: &mut minicbor::Decoder<'_>| decoder.tag().map(|tag| tag.as_u64()));
    }
}
