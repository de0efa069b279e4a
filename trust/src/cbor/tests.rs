use proptest::prelude::*;

use super::{List, MAX_DEPTH, Major, Reader, Utf8};
use crate::error::{Error, ErrorKind};

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

fn skip(hex: &str) -> Result<(), Error> {
    let bytes = bytes(hex);
    let mut reader = Reader::new(&bytes);
    reader.skip()?;
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
        ("82 01", Truncated, 2),
        ("9bffffffffffffffff 00", Truncated, 10),
        ("bbffffffffffffffff", Truncated, 9),
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

#[test]
fn embedded_items_keep_their_position() {
    let bytes = bytes("82 00 43 82 01 61");
    let mut reader = Reader::new(&bytes);
    reader.array_of(2).unwrap();
    reader.uint().unwrap();
    let mut embedded = reader.embedded().unwrap();
    assert_eq!(embedded.rest(), &bytes[3..]);
    embedded.array_of(2).unwrap();
    assert_eq!(embedded.uint(), Ok(1));
    assert_eq!(embedded.text(), Err(Error::new(ErrorKind::Truncated, 5)));
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn typed_reads_refuse_other_types() {
    let at = |hex: &str| bytes(hex);
    let refused = Err(Error::new(ErrorKind::UnexpectedType, 0));
    assert_eq!(Reader::new(&at("20")).uint(), refused);
    assert_eq!(
        Reader::new(&at("4100")).byte_array::<2>().map(drop),
        Err(Error::new(ErrorKind::UnexpectedType, 0))
    );
    assert_eq!(Reader::new(&at("83010203")).array_of(2), Err(Error::new(ErrorKind::UnexpectedType, 0)));
    assert_eq!(Reader::new(&at("d28440")).expect_tag(61), Err(Error::new(ErrorKind::UnexpectedType, 0)));
    assert_eq!(Reader::new(&at("3bffffffffffffffff")).int(), Err(Error::new(ErrorKind::OutOfRange, 0)));
    assert_eq!(Reader::new(&at("60")).name(4), Err(Error::new(ErrorKind::OutOfRange, 0)));
    assert_eq!(Reader::new(&at("656162636465")).name(4), Err(Error::new(ErrorKind::OutOfRange, 0)));
    assert_eq!(Reader::new(&at("3a00011170")).int(), Ok(-70001));
    assert_eq!(Reader::new(&at("a1")).peek(), Ok(Major::Map));
    for (hex, label) in [("3a00011170", -70001), ("1a80000000", i32::MAX), ("3a80000000", i32::MAX)] {
        assert_eq!(Reader::new(&at(hex)).label(), Ok(label), "{hex}");
    }
}

#[test]
fn lists_have_bounds() {
    let read = |hex: &str| {
        let bytes = bytes(hex);
        List::read(&mut Reader::new(&bytes), 1, 2, Reader::uint)
            .map(|list| list.iter(Reader::uint).collect::<Vec<_>>())
    };
    assert_eq!(read("820102"), Ok(vec![1, 2]));
    assert_eq!(read("80"), Err(Error::new(ErrorKind::OutOfRange, 0)));
    assert_eq!(read("83010203"), Err(Error::new(ErrorKind::TooMany, 0)));
    assert_eq!(read("820160"), Err(Error::new(ErrorKind::UnexpectedType, 2)));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = Reader::new(&bytes);
        // Tags 2 and 3 are bignums to ciborium, which it writes back as integers.
        if reader.skip().is_ok() && !bytes.iter().any(|byte| matches!(byte, 0xc2 | 0xc3)) {
            // What the strict reader accepts, ciborium reads, and writes back as it was.
            let len = usize::try_from(reader.position()).unwrap();
            let value: ciborium::Value = ciborium::from_reader(&bytes[..len]).unwrap();
            let mut again = Vec::new();
            ciborium::into_writer(&value, &mut again).unwrap();
            prop_assert_eq!(&again, &bytes[..len]);
        }
    }
}

fn text<'b>(reader: &mut Reader<'b>) -> Result<&'b str, Error> {
    reader.text().map(Utf8::as_str)
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
                if let Ok(value) = $read(&mut ours) {
                    prop_assert_eq!(Some(value), $decode(&mut theirs).ok());
                    prop_assert_eq!(usize::try_from(ours.position()).unwrap(), theirs.position());
                } else if $decode(&mut theirs).is_ok() {
                    // Only what is not in its shortest form, or of indefinite length, is refused here alone.
                    prop_assert_eq!(Reader::new(&bytes).next_head().unwrap_err().kind, ErrorKind::NotCanonical);
                }
            }};
        }
        same!(Reader::uint, minicbor::Decoder::u64);
        same!(Reader::int, minicbor::Decoder::i64);
        same!(Reader::bool, minicbor::Decoder::bool);
        same!(Reader::null, minicbor::Decoder::null);
        same!(Reader::bytes, minicbor::Decoder::bytes);
        same!(text, minicbor::Decoder::str);
        same!(|reader: &mut Reader<'_>| reader.array().map(Some), minicbor::Decoder::array);
        same!(|reader: &mut Reader<'_>| reader.map().map(|map| Some(map.remaining())), minicbor::Decoder::map);
        same!(Reader::tag, |decoder: &mut minicbor::Decoder<'_>| decoder.tag().map(|tag| tag.as_u64()));
    }
}
