//! Diagnostic notation leads back to the very bytes; cbor-diag, a reader of somebody else, is the judge.

use cbor_diag::parse_diag;
use ciborium::Value;
use proptest::prelude::*;

use super::published::*;
use super::support::*;
use crate::author::{NotationError, diagnostic_notation, integrate, outline};

/// The bytes that the notation of a file means.
fn again(file: &[u8]) -> Vec<u8> {
    let notation = unescaped(&diagnostic_notation(file).unwrap());
    parse_diag(&notation).unwrap_or_else(|error| panic!("{error}: {notation}")).to_bytes()
}

/// cbor-diag knows the escapes of quote and backslash alone; any other character stands as it is.
fn unescaped(notation: &str) -> String {
    let mut units: Vec<u16> = Vec::new();
    let mut left = notation.chars();
    while let Some(character) = left.next() {
        if character != '\\' {
            units.extend(character.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        match left.next().unwrap() {
            'n' => units.push(10),
            'u' => {
                let digits: String = left.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&digits, 16).unwrap());
            }
            escaped => units.extend(['\\' as u16, escaped as u16]),
        }
    }
    String::from_utf16(&units).unwrap()
}

#[test]
fn suit38_the_notation_leads_back_to_the_file() {
    let published = [
        super::vectors::DRAFT_0,
        super::vectors::DRAFT_1,
        super::vectors::DRAFT_2,
        super::vectors::DRAFT_3,
        super::vectors::DRAFT_4,
        super::vectors::DRAFT_5,
        PROCESS_DEPENDENCY,
        INTEGRATED_DEPENDENCY,
        AES_KW_SLOT,
        ES_ECDH_CONTENT,
        ES_ECDH_DEPENDENCY,
    ];
    let mut files: Vec<Vec<u8>> = published.iter().map(|example| hex::decode(example).unwrap()).collect();
    files.extend([release(), credential(), integrate(&release(), &[("#image", &[0xa0; 300])]).unwrap()]);
    for file in files {
        assert_eq!(again(&file), file);
    }
    let shown = diagnostic_notation(&release()).unwrap();
    // What is wrapped is opened, down to the credential inside the signature.
    for words in ["107({", "2: <<[", "3: <<{", "18([", "<<{\n", "\"en\": {"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn the_notation_is_that_of_rfc_8949() {
    // Appendix A, and RFC 8610 appendix G.3.
    for (file, notation) in [
        ("00", "0"),
        ("1bffffffffffffffff", "18446744073709551615"),
        ("3bffffffffffffffff", "-18446744073709551616"),
        ("f93e00", "1.5"),
        ("f98000", "-0.0"),
        ("fb7e37e43c8800759c", "1e300"),
        ("f97c00", "Infinity"),
        ("f9fc00", "-Infinity"),
        ("f97e00", "NaN"),
        ("f4", "false"),
        ("f6", "null"),
        ("c11a514b67b0", "1(1363896240)"),
        ("4401020304", "h'01020304'"),
        ("40", "h''"),
        ("62225c", "\"\\\"\\\\\""),
        ("62c3bc", "\"ü\""),
        ("64f09f9880", "\"\\ud83d\\ude00\""),
        ("610a", "\"\\n\""),
        ("6107", "\"\\u0007\""),
        ("80", "[]"),
        ("a0", "{}"),
        ("820102", "[\n  1,\n  2\n]"),
        ("a10102", "{\n  1: 2\n}"),
        ("41a0", "<<{}>>"),
        ("4101", "h'01'"),
        ("42a0a0", "h'a0a0'"),
    ] {
        let file = hex::decode(file).unwrap();
        assert_eq!(diagnostic_notation(&file).as_deref(), Ok(notation));
    }
}

/// What could not be said exactly is not said.
#[test]
fn suit38_what_has_no_exact_notation_has_none() {
    // Two items, a longer head than needed, an indefinite length, undefined, a number as a float of more bytes, other
    // simple values, no CBOR, text that is none, and one of the many that are no number.
    for file in [
        "0000",
        "1801",
        "9f01ff",
        "f7",
        "fb3ff8000000000000",
        "f814",
        "f8ff",
        "f0",
        "",
        "ff",
        "a2",
        "61ff",
        "5f4101ff",
        "7f6161ff",
        "bf0001ff",
        "f97e01",
        "fa7fc00000",
        "fb7ff8000000000001",
    ] {
        assert_eq!(diagnostic_notation(&hex::decode(file).unwrap()), Err(NotationError::NotExact), "{file}");
    }
    // Inside a byte string such bytes stand as they are.
    assert_eq!(diagnostic_notation(&hex::decode("449f01ff00").unwrap()).unwrap(), "h'9f01ff00'");
    assert_eq!(diagnostic_notation(&hex::decode("439f01ff").unwrap()).unwrap(), "h'9f01ff'");
    // However deep: no crash.
    assert_eq!(diagnostic_notation(&[0x81; 100_000]), Err(NotationError::NotExact));
    let mut wrapped = vec![0x80];
    for _ in 0..100 {
        wrapped = encode(&Value::Array(vec![bytes(&wrapped)]));
    }
    let notation = diagnostic_notation(&wrapped).unwrap();
    assert_eq!(notation.matches("<<").count(), 16);
    assert_eq!(parse_diag(&notation).unwrap().to_bytes(), wrapped);
}

/// Items of CBOR as ciborium writes them.
fn items() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        "\\PC{0,10}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            proptest::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::Map),
            inner.clone().prop_map(|inner| Value::Tag(107, Box::new(inner))),
            inner.prop_map(|inner| bytes(&encode(&inner))),
        ]
    })
}

proptest! {
    #[test]
    fn suit38_the_notation_of_any_item_leads_back_to_it(item in items()) {
        let file = encode(&item);
        prop_assert_eq!(again(&file), file);
    }

    /// Two manifests with one outline are one: nothing is left out, and nothing is cut without its digest. Without an
    /// envelope, whose digest would differ in any case.
    #[test]
    fn suit38_another_manifest_has_another_outline(
        sequence in 4..7u64,
        size in 0..2u64,
        changed in proptest::option::of(0..80usize),
        command in prop_oneof![Just(3i64), Just(14), Just(-300)],
        strict in any::<bool>(),
    ) {
        let make = |sequence_number: u64, size: u64, changed: Option<usize>, command: i64, strict: bool| {
            let mut content = [0; 80];
            changed.into_iter().for_each(|at| content[at] = 1);
            let values = [(12, strict.into()), (14, size.into()), (18, bytes(&content))];
            let commands = vec![parameters(values), simple(command)];
            let manifest = Parts { sequence_number, ..Parts::install(commands) }.manifest();
            [&[0xd9, 0x04, 0x2e][..], &manifest].concat()
        };
        let base = make(5, 1, None, 3, true);
        let other = make(sequence, size, changed, command, strict);
        let (one, two) = (outline(&base).unwrap(), outline(&other).unwrap());
        prop_assert!(two.name.starts_with("bare SUIT manifest (tag 1070)"));
        prop_assert_eq!(one == two, base == other);
    }
}
