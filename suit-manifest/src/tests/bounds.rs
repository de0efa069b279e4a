//! Files of 64 MiB that are made to exhaust whoever looks at them: what is shown of them is bounded, and says that it is
//! not everything.

use ciborium::Value;
use sha2::{Digest as _, Sha256};

use super::support::*;
use crate::ErrorKind;
use crate::author::tree::EnvelopeTree;
use crate::author::{NotationError, Outline, diagnostic_notation, integrate, outline};
use crate::limits::*;

/// As much as a file may have.
const LEN: usize = MAX_INTEGRATED_LEN;
const TAG_ENVELOPE: [u8; 2] = [0xd8, 0x6b];
/// An array or map of so many items, or a string of so many bytes, follows.
const ARRAY: u8 = 0x9a;
const MAP: u8 = 0xba;
const BYTES: u8 = 0x5a;
const TEXT: u8 = 0x7a;
const NULL: u8 = 0xf6;

fn head(kind: u8, len: usize) -> Vec<u8> {
    [&[kind][..], &(len as u32).to_be_bytes()].concat()
}

fn filled(kind: u8, len: usize, byte: u8) -> Vec<u8> {
    let mut item = head(kind, len);
    item.resize(item.len() + len, byte);
    item
}

fn tagged(items: &[u8]) -> Vec<u8> {
    [&TAG_ENVELOPE[..], items].concat()
}

/// The envelope around a manifest, without a signature.
fn unsigned(manifest: &[u8], members: &[(Value, Value)]) -> Vec<u8> {
    let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(manifest)))));
    assemble(vec![bytes(&digest)], manifest, members)
}

/// Elements, and bytes of text.
fn size(outline: &Outline) -> (usize, usize) {
    let own = (1, outline.name.len() + outline.value.len());
    outline.parts.iter().map(size).fold(own, |sum, part| (sum.0 + part.0, sum.1 + part.1))
}

fn depth(outline: &Outline) -> usize {
    1 + outline.parts.iter().map(depth).max().unwrap_or(0)
}

/// What is shown of a file within the limits: the last element says that it is not everything.
fn cut(file: &[u8]) -> Outline {
    let shown = outline(file).expect("an outline");
    let (elements, text) = size(&shown);
    // Elements around the last one that had room, and the words about what is left out.
    assert!(elements <= MAX_OUTLINE_ELEMENTS + 200, "{elements} elements");
    assert!(text <= MAX_OUTLINE_LEN + 100_000, "{text} bytes");
    assert!(depth(&shown) < 60);
    let last = shown.parts.last().unwrap();
    assert_eq!(last.name, "NOT shown as a whole");
    assert!(last.value.ends_with(&hex::encode(Sha256::digest(file))), "{}", last.value);
    assert!(format!("{shown:?}").contains("not shown\""));
    shown
}

#[test]
fn suit46_what_is_shown_of_many_small_items_is_bounded() {
    let nulls = filled(ARRAY, LEN, NULL);
    let shown = cut(&tagged(&nulls));
    assert_eq!(shown.value, format!("array of {LEN}"));
    assert_eq!((shown.parts[5].name.as_str(), shown.parts[5].value.as_str()), ("5", "null"));
    let left = LEN - (shown.parts.len() - 2);
    assert_eq!(shown.parts[shown.parts.len() - 2].value, format!("{left} more, not shown"));
    // Without a length; as the key of a map; below the depth that has elements of its own; in many small arrays.
    cut(&tagged(&[&[0x9f][..], &nulls[5..], &[0xff]].concat()));
    cut(&tagged(&[&[0xa1][..], &nulls, &[0]].concat()));
    cut(&tagged(&[&[0x81; 15][..], &nulls].concat()));
    cut(&tagged(&[head(ARRAY, LEN / 2), [0x81, NULL].repeat(LEN / 2)].concat()));
    // Fewer elements than there may be, each with as much text as is shown of one.
    cut(&tagged(&[head(ARRAY, 10_000), filled(TEXT, 4096, b'a').repeat(10_000)].concat()));
    // Long names: the paths to elements are bounded too.
    for (len, start) in [(0xff00, "CBOR of 65285 bytes, SHA-256 "), (1000, "\"kkk")] {
        let entry = [filled(TEXT, len, b'k'), vec![0xa0]].concat();
        let shown = outline(&tagged(&[head(MAP, 900), entry.repeat(900)].concat())).unwrap();
        assert!(shown.parts.iter().all(|part| part.name.len() < 400 && part.name.starts_with(start)));
        assert_eq!(shown.parts.len(), 900);
    }
    // What is an image takes no room from what stands behind it.
    let image = filled(ARRAY, MAX_ENVELOPE_LEN, NULL);
    let shown =
        outline(&tagged(&[&[0x82][..], &head(BYTES, image.len()), &image, &[0x07]].concat())).unwrap();
    assert!(shown.parts[0].value.starts_with("h'9a00010000f6"), "{}", shown.parts[0].value);
    assert_eq!((shown.parts.len(), shown.parts[1].value.as_str()), (2, "7"));
}

#[test]
fn suit46_one_long_value_is_cut() {
    for (kind, byte) in [(BYTES, 0xa0), (TEXT, 0x01), (TEXT, b'"'), (BYTES, 0x81)] {
        let shown = outline(&tagged(&filled(kind, LEN, byte))).unwrap();
        assert!(shown.value.len() < 40_000 && shown.parts.is_empty(), "{}", shown.value.len());
        let digest = hex::encode(Sha256::digest(vec![byte; LEN]));
        assert!(shown.value.contains(&format!("({LEN} bytes, SHA-256 {digest})")), "{}", shown.value);
    }
    // In what is read as SUIT: an identifier as a value, and as the name of what is said in it.
    let id = Value::Array(vec![bytes(&[1; 20_000])]);
    let said = map([(1, "model".into()), (3, "node".into())]);
    let text = Value::Map(vec![("en".into(), Value::Map(vec![(id.clone(), said)]))]);
    let parts = Parts { components: vec![id], ..Parts::default() };
    let shown = outline(&unsigned(&parts.with(23, bytes(&encode(&text))).manifest(), &[])).unwrap();
    let manifest = &shown.parts[1].parts;
    let [common, text] =
        ["common (3)", "text (23)"].map(|name| manifest.iter().find(|part| part.name == name).expect(name));
    let value = &common.parts[0].parts[0].value;
    assert!(value.len() < 33_000 && value.contains("... (40000 bytes, SHA-256 "), "{}", value.len());
    let [component] = &text.parts[0].parts[..] else { panic!("{text:?}") };
    assert!(component.name.len() < 400 && component.parts.len() == 2, "{component:?}");
    // A hundred thousand levels, in one and in byte strings around each other.
    assert_eq!(outline(&tagged(&vec![0x81; LEN])), None);
    let mut wrapped = filled(ARRAY, LEN / 4, NULL);
    for _ in 0..40 {
        wrapped = [&[0x81][..], &head(BYTES, wrapped.len()), &wrapped].concat();
    }
    assert!(depth(&outline(&tagged(&wrapped)).unwrap()) < 20);
}

/// What is read as SUIT can be as large: each dependency has its own 64 KiB.
#[test]
fn suit46_dependencies_are_bounded() {
    let nulls = Value::Array(vec![Value::Null; 60_000]);
    let dependency = unsigned(&Parts::install([(-300, nulls)]).manifest(), &[]);
    let of = |dependency: &[u8], count: u32| {
        let uris: Vec<String> = (0..count).map(|index| format!("#{index:04}")).collect();
        let members: Vec<(&str, &[u8])> = uris.iter().map(|uri| (uri.as_str(), dependency)).collect();
        let around = unsigned(&Parts::default().manifest(), &[]);
        integrate(&around, &members).map_err(|error| error.to_string())
    };
    let with = |count| of(&dependency, count);
    let most = with(MAX_DEPENDENCIES).unwrap();
    let tree = EnvelopeTree::read(&most).unwrap();
    assert!(tree.integrated.iter().all(|member| matches!(member.envelope, Some(Ok(_)))));
    // The first one has more elements than there is room for; the list that it stands in says so as well.
    let shown = cut(&most);
    let left = &shown.parts[shown.parts.len() - 2];
    assert_eq!((left.name.as_str(), left.value.as_str()), ("...", "31 more, not shown"));
    // As many texts; the second of two has not enough room for its own.
    let texts = map((0..15_000).map(|key| (key, "".into())));
    let text = encode(&Value::Map(vec![("en".into(), texts)]));
    let wordy = unsigned(&Parts::default().with(23, bytes(&text)).manifest(), &[]);
    let shown = cut(&of(&wordy, 2).unwrap());
    let manifest = &shown.parts[3].parts[0].parts[1];
    assert_eq!(manifest.parts.last().unwrap().parts.last().unwrap().name, "...");
    assert!(with(MAX_DEPENDENCIES + 1).unwrap_err().contains("longer, or nested more deeply"));
    // At whatever depth they are: two with 20 inside each.
    let inner = with(20).unwrap();
    let around = |members: &[(Value, Value)]| unsigned(&Parts::default().manifest(), members);
    let member = |uri: &str| (Value::Text(uri.into()), bytes(&inner));
    assert!(EnvelopeTree::read(&around(&[member("#a")])).unwrap().fault_inside().is_none());
    let both = around(&[member("#a"), member("#b")]);
    let both = EnvelopeTree::read(&both).unwrap();
    let too_many = ErrorKind::Malformed(trust::ErrorKind::TooMany);
    assert_eq!(both.fault_inside().map(|error| error.kind), Some(too_many));
    // Members that are next to nothing: each would cost more memory than it has bytes.
    let names = (0..10_000).map(|index| format!("{index:07}"));
    let members: Vec<u8> = names.flat_map(|name| [&[0x67][..], name.as_bytes(), &[0x40]].concat()).collect();
    let mut file = tagged(&[head(MAP, LEN / 9), members].concat());
    file.resize(LEN, 0);
    let refused = EnvelopeTree::read(&file).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::EnvelopeTooLarge);
    assert!((refused.position as usize) < MAX_ENVELOPE_LEN + 100, "at the first one that is too much");
}

/// Neither a long manifest without an envelope nor a file that is longer than any envelope is read as one.
#[test]
fn suit46_what_is_shown_as_suit_has_the_limits_of_an_envelope() {
    let bare = |texts: i64| {
        let texts = map((0..texts).map(|key| (key, "".into())));
        let text = encode(&Value::Map(vec![("en".into(), texts)]));
        let manifest = Parts::default().with(23, bytes(&text)).manifest();
        outline(&[&[0xd9, 0x04, 0x2e][..], &manifest].concat()).unwrap().name
    };
    assert_eq!(bare(15_000), "bare SUIT manifest (tag 1070)");
    assert_eq!(bare(20_000), "bare SUIT manifest (tag 1070), NOT readable as such");
    let with_image = |len: usize| {
        let member = (Value::Text("#image".into()), bytes(&vec![0; len]));
        outline(&unsigned(&Parts::default().manifest(), &[member])).unwrap().name
    };
    assert_eq!(with_image(LEN), "SUIT envelope (tag 107)");
    assert_eq!(with_image(LEN + MAX_ENVELOPE_LEN), "SUIT envelope (tag 107), NOT readable as such");
}

#[test]
fn suit46_components_and_indices_are_bounded() {
    let most = MAX_COMPONENTS_READ as usize;
    let refused =
        |parts: &Parts| EnvelopeTree::read(&unsigned(&parts.manifest(), &[])).err().map(|error| error.kind);
    let too_many = Some(ErrorKind::Malformed(trust::ErrorKind::TooMany));
    let components = |count: usize| {
        let ids = (0..count).map(|index| Value::Array(vec![bytes(&(index as u16).to_be_bytes())]));
        Parts { components: ids.collect(), ..Parts::default() }
    };
    assert_eq!(refused(&components(most)), None);
    assert_eq!(refused(&components(most + 1)), too_many);
    let indices = |count: usize| {
        let list = (0..count).map(|index| Value::from(index as u64)).collect();
        Parts::install([component_index(Value::Array(list)), simple(3)])
    };
    assert_eq!(refused(&indices(most)), None);
    assert_eq!(refused(&indices(most + 1)), too_many);
    let dependencies = |count: usize| {
        let entries = (0..count).map(|index| (index as i64, map([]))).collect::<Vec<_>>();
        let common = map([(1, map(entries)), (2, Value::Array(Parts::default().components))]);
        let manifest = encode(&map([(1, 1.into()), (2, 5.into()), (3, bytes(&encode(&common)))]));
        EnvelopeTree::read(&unsigned(&manifest, &[])).err().map(|error| error.kind)
    };
    assert_eq!(dependencies(most), None);
    assert_eq!(dependencies(most + 1), too_many);
}

#[test]
fn suit46_the_exact_notation_is_bounded() {
    let release = release();
    let with = |image: &[u8]| diagnostic_notation(&integrate(&release, &[("#image", image)]).unwrap());
    // An image of 15 MiB is shown to its last byte.
    let image = vec![0x20; 15 << 20];
    let shown = with(&image).unwrap();
    assert!(shown.len() > 2 * image.len() && shown.len() <= MAX_NOTATION_LEN);
    assert!(shown.contains(&format!("h'{}'", "20".repeat(image.len()))));
    // Longer ones, text that is six times as long, items that are indented deeper than they are long.
    assert_eq!(with(&vec![0x20; LEN]), Err(NotationError::TooLong));
    assert_eq!(diagnostic_notation(&filled(TEXT, LEN / 8, 1)), Err(NotationError::TooLong));
    let mut nested = filled(ARRAY, 900_000, NULL);
    for _ in 0..10 {
        nested = [&[0x81][..], &head(BYTES, nested.len()), &nested].concat();
        nested = [&[0x81; 30][..], &nested].concat();
    }
    assert_eq!(diagnostic_notation(&nested), Err(NotationError::TooLong));
    // As many items as bytes: in the file, and in what is integrated.
    assert_eq!(diagnostic_notation(&filled(ARRAY, LEN, NULL)), Err(NotationError::TooMany));
    assert_eq!(with(&filled(ARRAY, LEN - 5, NULL)), Err(NotationError::TooMany));
    assert!(diagnostic_notation(&filled(ARRAY, MAX_NOTATION_ITEMS - 1, NULL)).is_ok());
    assert_eq!(diagnostic_notation(&filled(ARRAY, MAX_NOTATION_ITEMS, NULL)), Err(NotationError::TooMany));
    // The deepest that there is: 64 lists in each of 16 byte strings.
    let mut deepest = vec![NULL];
    for _ in 0..16 {
        deepest = encode(&bytes(&[&[0x81; 64][..], &deepest].concat()));
    }
    let shown = diagnostic_notation(&deepest).unwrap();
    assert_eq!(
        (shown.matches("<<").count(), shown.matches('[').count(), shown.matches("h'").count()),
        (16, 16 * 64, 0)
    );
    let mut opened = vec![0x80];
    for _ in 0..20 {
        opened = [&[0x81][..], &encode(&bytes(&opened))].concat();
    }
    let shown = diagnostic_notation(&opened).unwrap();
    assert_eq!((shown.matches("<<").count(), shown.matches("h'").count()), (16, 1));
    let deeper = encode(&bytes(&[&[0x81; 65][..], &[NULL]].concat()));
    assert!(diagnostic_notation(&deeper).unwrap().starts_with("h'8181"));
}
