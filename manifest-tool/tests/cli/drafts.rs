//! The six examples of draft-ietf-suit-manifest-37 appendix B, composed of what the appendix says of them; their signatures are
//! facts. Here the program reads and verifies them; `suit-manifest` has them bit by bit.

use coset::cbor::Value;
use sha2::{Digest as _, Sha256};

use super::workshop::{Workshop, split};

/// The key of the appendix, P-256.
pub(super) const PUBLIC_KEY: &str = "\
    -----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhJaBGq4LqqvSYVcYnuzaJr6qi/Eb\n\
    bz/m4rVlnIXbwK07HypLbAmBMcCjbazR14vTgdzfsJwFLbM5kdtzOLSolg==\n\
    -----END PUBLIC KEY-----\n";

const SIGNATURES: [&str; 6] = [
    "408d0816f9b510749bf6a51b066951e08a4438f849eb092a1ac768eed9de696c\
     1b1dd35d82ef149e6a73a61976ad2cfe78444b8064293350a122f332cb49f0da",
    "27a3d7986eddcc1bee04e1436746408c308ed3c15ac590a1ca0cf96f85671cca\
     c216cb9a1497fc59e21c15f33c95cf75203e25c287b31a57d6cd2ef950b27a7a",
    "073d8d80ca67d61cdf04d813c748b2de98fe786fc67b764431307c8dbcbe91dc\
     6f762c2c4d7bb998ff9ead4798e03c8ee26b89ef7a9ad4569f6e187ce89e16c5",
    "0bbf7058c1a79dff23c7755d36aae5c6cc1aacb818f456e2e03f2664c369b9c6\
     700931a52f1f8d808aa4a8e5220d479c9661d2bce0a44974004325001e3b1abb",
    "c53c2826b042384e95c646cbcd4308b181f1ed2bfbeb4e70b93cac9fbdc82e38\
     2d877e2c2bcfaf975ffcd36941f2f4db89f68d3c77d6a3506e9b1509a49dec46",
    "53505bf2b1aba7f3c3e142d6c02350daf95331a8942e77d7378c6670285638e0\
     fe460fe7cebcbe242b14e7ac1a4482cf500136a2568a92a803f614d5f87ef7a7",
];

const DESCRIPTION: &str = "## Example 2: Simultaneous Download, Installation, Secure Boot, Severed Fields

    This example covers the following templates:
    
    * Compatibility Check ({{template-compatibility-check}})
    * Secure Boot ({{template-secure-boot}})
    * Firmware Download ({{firmware-download-template}})
    
    This example also demonstrates severable elements ({{ovr-severable}}), and text ({{manifest-digest-text}}).";

fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    coset::cbor::into_writer(value, &mut out).unwrap();
    out
}

fn int(number: i64) -> Value {
    number.into()
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn hexed(digits: &str) -> Value {
    Value::Bytes(hex::decode(digits).unwrap())
}

fn map<const N: usize>(entries: [(i64, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

/// `bstr .cbor [command, argument, ...]`
fn sequence<const N: usize>(commands: [(i64, Value); N]) -> Value {
    let flat = commands.into_iter().flat_map(|(code, argument)| [code.into(), argument]).collect();
    bytes(&encode(&Value::Array(flat)))
}

fn digest(of: &[u8]) -> Value {
    Value::Array(vec![int(-16), bytes(of)])
}

/// The first image of the examples, and the second one: digest and size.
fn image(second: bool) -> [(i64, Value); 2] {
    let (digits, size) = match second {
        false => ("00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210", 34768),
        true => ("0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff", 76834),
    };
    [(3, bytes(&encode(&digest(&hex::decode(digits).unwrap())))), (14, int(size))]
}

fn ids() -> [(i64, Value); 2] {
    [(1, hexed("fa6b4a53d5ad5fdfbe9de663e4d41ffe")), (2, hexed("1492af1425695e48bf429b2d51f2ab45"))]
}

fn ids_and_image() -> Value {
    let ([vendor, class], [digest, size]) = (ids(), image(false));
    map([vendor, class, digest, size])
}

fn uri(uri: &str) -> (i64, Value) {
    (20, map([(21, Value::Text(uri.to_owned()))]))
}

/// Of the components with these bytes as identifiers, and the shared sequence.
fn common(components: &[u8], shared: Value) -> Value {
    let components = components.iter().map(|id| Value::Array(vec![bytes(&[*id])])).collect();
    bytes(&encode(&map([(2, Value::Array(components)), (4, shared)])))
}

type Members = Vec<(i64, Value)>;

/// Manifest and severed members.
fn manifest(number: i64) -> (Members, Members) {
    let vendor_and_class = [(1, int(15)), (2, int(15))];
    let [vendor, class] = vendor_and_class.clone();
    let (fetch, matched, invoke) = ((21, int(2)), (3, int(15)), (23, int(2)));
    let one = |shared: Members| {
        let [a, b, c] = <[_; 3]>::try_from(shared).unwrap();
        common(&[0], sequence([a, b, c]))
    };
    let plain = || one(vec![(20, ids_and_image()), vendor.clone(), class.clone()]);
    let select = |index: i64| (12, int(index));
    let slot = |slot: i64| [(20, map([(5, int(slot))])), (5, int(5))];
    let file = |number: u8| uri(&format!("http://example.com/file{number}.bin"));
    let mut members = vec![];
    let of_its_own = match number {
        0 => vec![(3, plain()), (7, sequence([matched])), (9, sequence([invoke]))],
        1 => {
            let install = sequence([uri("http://example.com/file.bin"), fetch, matched.clone()]);
            vec![(3, plain()), (7, sequence([matched])), (20, install)]
        }
        2 => {
            let long = uri("http://example.com/very/long/path/to/file/file.bin");
            let install = sequence([long, fetch, matched.clone()]);
            let of_component = map([
                (3, Value::Text("arm.com".into())),
                (
                    5,
                    "This component is a demonstration. The digest is a sample pattern, not a real one."
                        .into(),
                ),
            ]);
            let language = vec![
                (int(1), Value::Text(DESCRIPTION.to_owned())),
                (Value::Array(vec![bytes(&[0])]), of_component),
            ];
            let text = bytes(&encode(&Value::Map(vec![("en-US".into(), Value::Map(language))])));
            let severed = |member: &Value| digest(&Sha256::digest(encode(member)));
            let own = vec![
                (3, plain()),
                (4, Value::Text("https://git.io/JJYoj".into())),
                (7, sequence([matched])),
                (9, sequence([invoke])),
                (20, severed(&install)),
                (23, severed(&text)),
            ];
            members = vec![(20, install), (23, text)];
            own
        }
        3 => {
            let shared = |number: i64| {
                let [set, check] = slot(number);
                sequence([set, check, (20, map(image(number == 1)))])
            };
            let from = |number: i64, file| {
                let [set, check] = slot(number);
                sequence([set, check, file])
            };
            let shared = Value::Array(vec![shared(0), shared(1)]);
            let common = common(&[0], sequence([(20, map(ids())), (15, shared), vendor, class]));
            let install = (15, Value::Array(vec![from(0, file(1)), from(1, file(2))]));
            vec![(3, common), (7, sequence([matched.clone()])), (20, sequence([install, fetch, matched]))]
        }
        4 => {
            let common = common(&[0, 2, 1], sequence([select(0), (20, ids_and_image()), vendor, class]));
            let ([first, _], [second, size]) = (image(false), image(true));
            let load = map([second, size, (22, int(0))]);
            let fetched = map([first, (21, Value::Text("http://example.com/file.bin".into()))]);
            let copy = (22, int(2));
            vec![
                (3, common),
                (7, sequence([select(0), matched.clone()])),
                (8, sequence([select(2), (20, load), copy.clone(), matched.clone()])),
                (9, sequence([select(2), invoke])),
                (16, sequence([select(1), (20, fetched), fetch, matched.clone()])),
                (20, sequence([select(0), (20, map([(22, int(1))])), copy, matched])),
            ]
        }
        _ => {
            let shared = [select(0), (20, ids_and_image()), vendor, class, select(1), (20, map(image(true)))];
            let both = [select(0), matched.clone(), select(1), matched.clone()];
            let install =
                [select(0), file(1), fetch.clone(), matched.clone(), select(1), file(2), fetch, matched];
            vec![
                (3, common(&[0, 1], sequence(shared))),
                (7, sequence(both)),
                (9, sequence([select(0), invoke])),
                (20, sequence(install)),
            ]
        }
    };
    ([vec![(1, int(1)), (2, int(number))], of_its_own].concat(), members)
}

fn to_value(entries: Members) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

pub(super) fn example(number: usize) -> Vec<u8> {
    let (manifest, members) = manifest(i64::try_from(number).unwrap());
    let manifest = bytes(&encode(&to_value(manifest)));
    let payload = encode(&digest(&Sha256::digest(encode(&manifest))));
    let signature = hexed(SIGNATURES[number]);
    let sign1 = Value::Array(vec![hexed("a10126"), map([]), Value::Null, signature]);
    let block = encode(&Value::Tag(18, Box::new(sign1)));
    let wrapper = Value::Array(vec![bytes(&payload), bytes(&block)]);
    let envelope = [vec![(2, bytes(&encode(&wrapper))), (3, manifest)], members].concat();
    encode(&Value::Tag(107, Box::new(to_value(envelope))))
}

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("draft.pem", PUBLIC_KEY.as_bytes());
    workshop
}

#[test]
fn verify_takes_the_six_examples_of_the_draft_under_its_key() {
    let workshop = workshop();
    for number in 0..SIGNATURES.len() {
        workshop.write("draft.suit", &example(number));
        let verified = workshop.ok(&split("verify draft.suit --public-key draft.pem"));
        assert_eq!((&verified["verified"], &verified["sequence"]), (&true.into(), &number.into()));
        let block = &verified["blocks"][0];
        assert_eq!(
            (&block["structure"], &block["outcome"], &block["parts"][0]["algorithm"]),
            (&"COSE_Sign1 (tag 18)".into(), &"holds".into(), &"ES256 (-7)".into())
        );
        assert_eq!(verified["image_verified"], false);
        let not_checked = ["credential", "scope", "revocation", "device", "image"];
        assert_eq!(verified["not_checked"], serde_json::json!(not_checked));
        let words = workshop.run(&split("verify draft.suit --public-key draft.pem")).stdout;
        assert!(words.contains("NOT checked") && words.contains("not compared"), "{words}");
        assert!(words.contains("SHA-256 (-16) ") && !words.contains("unknown"), "{words}");
        // Digest, protected header and signature.
        let envelope = example(number);
        for position in [15, 40, envelope.len() - 1, 55, 60, 70, 110] {
            let mut changed = envelope.clone();
            changed[position] ^= 1;
            workshop.write("changed.suit", &changed);
            let run = workshop.run(&split("verify changed.suit --public-key draft.pem --json"));
            assert_eq!(run.exit, 5, "byte {position} of example {number}: {run:?}");
        }
    }
}

#[test]
fn inspect_shows_a_key_of_p256_with_the_name_that_verify_gives_it() {
    let workshop = workshop();
    workshop.write("draft.suit", &example(0));
    let key = workshop.ok(&["inspect", "draft.pem"]);
    assert_eq!((&key["kind"], &key["curve"]), (&"public-key".into(), &"P-256".into()));
    let verified = workshop.ok(&split("verify draft.suit --public-key draft.pem"));
    assert_eq!(verified["blocks"][0]["key"], key["kid"]);
    workshop.write("draft.cose", &hex::decode(key["cose_key"].as_str().unwrap()).unwrap());
    assert_eq!(workshop.ok(&["inspect", "draft.cose"])["kid"], key["kid"]);
    workshop.ok(&split("verify draft.suit --public-key draft.cose"));
}

#[test]
fn inspect_names_everything_in_the_examples_of_the_draft() {
    let workshop = workshop();
    for number in 0..SIGNATURES.len() {
        workshop.write("draft.suit", &example(number));
        let words = workshop.run(&["inspect", "draft.suit"]).stdout;
        let shown = workshop.ok(&["inspect", "draft.suit"]);
        for text in [&words, &shown["contents"].to_string()] {
            assert!(!text.contains("unknown") && !text.contains("not readable"), "{number}: {text}");
        }
        assert!(words.contains("COSE_Sign1 (tag 18), ES256 (-7), names no key"), "{words}");
        assert_eq!(shown["blocks"][0]["parts"][0]["algorithm"], "ES256 (-7)");
        assert_eq!(shown["fault"], serde_json::Value::Null);
        let notation = workshop.ok(&["inspect", "--edn", "draft.suit"]);
        assert!(notation["edn"].as_str().unwrap().contains("107("), "{notation}");
    }
}
