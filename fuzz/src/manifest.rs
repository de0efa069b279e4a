//! Envelopes, and manifests behind a good signature: the dry run ends within its limits, and what it says twice is the
//! same.

use std::sync::OnceLock;

use ciborium::Value;
use device_harness::factory::{DEVICE, Factory, description};
use suit_manifest::author::{create, inspect};
use suit_manifest::{Envelope, image_reference};
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
    let Ok(parsed) = Envelope::parse(envelope) else { return false };
    let Ok(authenticated) = parsed.authenticate(&store) else { return false };
    let (first, second) = (image_reference(&authenticated), image_reference(&authenticated));
    assert_eq!(first, second);
    true
}

/// The bytes are an envelope.
pub(crate) fn envelope(data: &[u8]) -> bool {
    let verifies = judge(data);
    inspect(data).is_ok() || verifies
}

/// The bytes are a manifest; the envelope around it is signed, so that the interpreter sees it.
pub(crate) fn commands(data: &[u8]) -> bool {
    let wrapped = byte_string(data);
    let digest = [&[0x82, 0x2f, 0x58, 0x20][..], &sha256(&wrapped)].concat();
    let mut unsigned = vec![0xd8, 0x6b, 0xa2, 0x02];
    unsigned.extend(byte_string(&[&[0x81][..], &byte_string(&digest)].concat()));
    unsigned.push(0x03);
    unsigned.extend(&wrapped);
    let _refusal = inspect(&unsigned).map(drop);
    // Whatever the author signs, a verifier takes.
    let Some(signed) = factory().sign(&unsigned) else { return false };
    judge(&signed)
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

/// A release for every device of a class, one for a single device, one that is not signed.
pub(crate) fn envelope_seeds() -> Vec<Vec<u8>> {
    let mut single = description(7, b"image");
    single.device = Some(DEVICE);
    single.description = Some("For one device".to_owned());
    let unsigned = create(&single).unwrap();
    vec![factory().envelope(3, b"image"), factory().envelope_of(&single), unsigned]
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
