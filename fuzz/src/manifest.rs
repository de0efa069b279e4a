//! Envelopes, and manifests behind a good signature: the dry run ends within its limits, and what it says twice is the
//! same.

use std::sync::OnceLock;

use ciborium::Value;
use device_harness::factory::{DEVICE, Factory, description, device_key};
use suit_manifest::author::tree::EnvelopeTree;
use suit_manifest::author::{
    UpdateDescription, create, diagnostic_notation, inspect, integrate, outline, take_out,
};
use suit_manifest::{Envelope, Integrated, Target, host, image_reference};
use trust::encryption::ContentAlgorithm;
use trust::{TrustStore, UnixTime, sha256};

/// Key of the manifest in an envelope.
const MANIFEST: u8 = 3;

fn factory() -> &'static Factory {
    static FACTORY: OnceLock<Factory> = OnceLock::new();
    FACTORY.get_or_init(|| Factory::new(1))
}

/// Whether the envelope verifies.
fn judge(envelope: &[u8]) -> bool {
    let anchors = [factory().anchor()];
    let store = TrustStore::new(&anchors).at(UnixTime(1_800_000_000));
    let Ok(parsed) = host::Envelope::parse(envelope) else {
        assert!(Envelope::parse(envelope).is_err());
        return false;
    };
    let Ok(authenticated) = parsed.authenticate(&store) else { return false };
    let manifest = authenticated.manifest();
    let first = image_reference(manifest, manifest.target());
    assert_eq!(first, image_reference(manifest, manifest.target()));
    // Nothing is firmware and a table.
    let other = match manifest.target() {
        Target::Firmware => Target::Table,
        Target::Table => Target::Firmware,
    };
    assert!(image_reference(manifest, other).is_err());
    // A loader takes no more, and the same image.
    let loader = Envelope::parse(envelope).and_then(|parsed| parsed.authenticate(&store));
    if let Ok(loader) = &loader
        && let Ok(image) = image_reference(loader.manifest(), Target::Firmware)
    {
        assert_eq!(first, Ok(image));
    }
    true
}

/// The head of one file is found in no byte less, and is the envelope without its payload.
fn head(file: &[u8]) -> bool {
    let Ok(Some(found)) = Integrated::find(file) else { return false };
    let mut head = file[..found.content_at].to_vec();
    assert_eq!(Integrated::find(&head), Ok(Some(found)));
    assert_eq!(Integrated::find(&head[..found.content_at - 1]), Ok(None));
    Integrated::take_out(&mut head);
    if let Ok(envelope) = take_out(file, &[]) {
        assert_eq!(envelope, head[..found.key_at]);
    }
    true
}

/// The bytes are an envelope.
pub(crate) fn envelope(data: &[u8]) -> bool {
    let is_file = head(data);
    let verifies = judge(data);
    is_file || inspect(data).is_ok() || verifies
}

/// The envelope around a manifest, with its digest and no signature.
fn unsigned(manifest: &[u8]) -> Vec<u8> {
    let wrapped = byte_string(manifest);
    let digest = [&[0x82, 0x2f, 0x58, 0x20][..], &sha256(&wrapped)].concat();
    let mut unsigned = vec![0xd8, 0x6b, 0xa2, 0x02];
    unsigned.extend(byte_string(&[&[0x81][..], &byte_string(&digest)].concat()));
    unsigned.push(0x03);
    unsigned.extend(&wrapped);
    unsigned
}

/// The bytes are a manifest; the envelope around it is signed, so that the interpreter sees it.
pub(crate) fn commands(data: &[u8]) -> bool {
    let unsigned = unsigned(data);
    let _refusal = inspect(&unsigned).map(drop);
    // Whatever the author signs, a verifier takes.
    let Some(signed) = factory().sign(&unsigned) else { return false };
    judge(&signed)
}

/// The bytes are a manifest of any tool: the whole decoder reads it, and what a device reads it reads too.
pub(crate) fn tree(data: &[u8]) -> bool {
    let unsigned = unsigned(data);
    let read = EnvelopeTree::read(&unsigned);
    assert!(read.is_ok() || inspect(&unsigned).is_err());
    let outlined = outline(&unsigned);
    assert!(read.is_err() || outlined.is_some());
    // What the decoder reads is in the one encoding that has an exact notation, but for deep nesting.
    let _notation = diagnostic_notation(&unsigned);
    read.is_ok()
}

/// A manifest with every element and every command; and those of releases.
pub(crate) fn tree_seeds() -> Vec<Vec<u8>> {
    let policies = [1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 18, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 33];
    let mut commands: Vec<Value> = Vec::new();
    for code in policies {
        commands.extend([Value::from(code), Value::from(15)]);
    }
    let int = |number: i64| Value::from(number);
    let map = |entries: Vec<(i64, Value)>| {
        Value::Map(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
    };
    let encode = |value: &Value| {
        let mut out = Vec::new();
        ciborium::into_writer(value, &mut out).unwrap();
        out
    };
    let wrap = |value: &Value| Value::Bytes(encode(value));
    let version = Value::Array(vec![int(2), Value::Array(vec![int(1), int(2), int(-1), int(3)])]);
    let other = Value::Array(vec![Value::Bytes(b"pump".to_vec()), Value::Array(vec![version.clone()])]);
    let parameters = map(vec![
        (1, Value::Tag(112, Box::new(Value::Bytes(vec![0x82, 0x37])))),
        (4, int(1_800_000_000)),
        (18, Value::Bytes(b"content".to_vec())),
        (19, Value::Bytes(vec![0xd8, 0x60, 0x80])),
        (22, int(1)),
        (23, Value::Bytes(b"arguments".to_vec())),
        (25, Value::Bytes(b"arguments".to_vec())),
        (26, int(100)),
        (27, int(-1)),
        (28, wrap(&version)),
        (29, wrap(&map(vec![(1, int(0)), (4, other), (9, int(6))]))),
        (
            30,
            wrap(&map(vec![
                (1, int(7)),
                (2, map(vec![(0, int(7))])),
                (5, int(3)),
                (7, Value::Tag(1, Box::new(int(5)))),
            ])),
        ),
    ]);
    let body = wrap(&Value::Array(vec![int(14), int(15)]));
    commands.extend([int(12), Value::Array(vec![int(1), int(0)]), int(19), parameters.clone()]);
    commands.extend([int(15), Value::Array(vec![body.clone(), body.clone(), Value::Null])]);
    commands.extend([int(20), parameters, int(32), body.clone(), int(-300), Value::Null]);
    commands.extend([int(34), map(vec![(0, map(vec![(14, int(1))]))])]);
    commands.extend([int(35), map(vec![(0, Value::Array(vec![int(3), int(14)]))])]);
    let common = map(vec![
        (1, map(vec![(1, map(vec![(1, Value::Array(vec![Value::Bytes(b"d".to_vec())]))]))])),
        (2, Value::Array(vec![Value::Array(vec![Value::Bytes(b"app".to_vec())])])),
        (4, body.clone()),
    ]);
    let sequence = wrap(&Value::Array(commands));
    let manifest = map(vec![
        (1, int(1)),
        (2, int(7)),
        (3, wrap(&common)),
        (4, Value::Text("https://example.com/a.suit".to_owned())),
        (5, Value::Array(vec![Value::Bytes(b"m".to_vec())])),
        (6, wrap(&Value::Array(vec![int(1), int(2), int(3)]))),
        (7, body.clone()),
        (8, body.clone()),
        (9, body.clone()),
        (14, Value::Bytes(vec![0xa0])),
        (15, body.clone()),
        (16, body.clone()),
        (18, body.clone()),
        (20, sequence),
        (24, body),
    ]);
    let mut seeds = commands_seeds();
    seeds.push(encode(&manifest));
    seeds
}

/// The bytes as a CBOR byte string, in the shortest form.
fn byte_string(content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut out = match (u8::try_from(len), u16::try_from(len), u32::try_from(len)) {
        (Ok(len), ..) if len < 24 => vec![0x40 | len],
        (Ok(len), ..) => vec![0x58, len],
        (_, Ok(len), _) => [&[0x59][..], &len.to_be_bytes()].concat(),
        (.., Ok(len)) => [&[0x5a][..], &len.to_be_bytes()].concat(),
        _ => panic!("no fuzzer makes 4 GiB"),
    };
    out.extend(content);
    out
}

/// A release for every device of a class, one for a single device, one that is not signed, an encrypted one, a table, one file.
pub(crate) fn envelope_seeds() -> Vec<Vec<u8>> {
    let mut single = description(7, b"image");
    single.device = Some(DEVICE);
    single.description = Some("For one device".to_owned());
    let unsigned = create(&single).unwrap();
    let key = [device_key("A-0001")];
    let (encrypted, _) = factory().encrypted(4, b"image", ContentAlgorithm::A128Gcm, &key);
    let table = UpdateDescription { target: Target::Table, ..description(2, b"table") };
    let table = factory().envelope_of(&table);
    let whole = integrate(&unsigned, &[("#image", b"image")]).unwrap();
    vec![factory().envelope(3, b"image"), factory().envelope_of(&single), unsigned, encrypted, table, whole]
}

pub(crate) fn commands_seeds() -> Vec<Vec<u8>> {
    envelope_seeds().iter().filter_map(|envelope| member(envelope, MANIFEST)).collect()
}

/// Content of a member of an envelope (draft-ietf-suit-manifest-37 section 8.2).
fn member(envelope: &[u8], key: u8) -> Option<Vec<u8>> {
    let Ok(Value::Tag(107, members)) = ciborium::from_reader(envelope) else { return None };
    let members = members.into_map().ok()?;
    members.into_iter().find(|(name, _)| *name == Value::from(key))?.1.into_bytes().ok()
}
