//! Literal bytes. The frozen envelope is never edited, only added to; the others are the examples of
//! draft-ietf-suit-manifest-37, appendix B (repository suit-wg/manifest-spec, examples/), made by other hands.

use ciborium::Value;
use sha2::{Digest as _, Sha256};

use super::support::*;
use crate::author::{Outline, inspect, outline};
use crate::host;
use crate::{
    ComponentText, Envelope, Error, ErrorKind, ManifestText, ProcessorOf, Section, Step, Target,
    image_reference,
};

/// Version 1 of what `author::create` and `author::sign` make: `support::update`, seeds 1 and 2.
const FROZEN_1: &str = "\
    d86ba302590197825824822f58207caa4b9a6fb62c80e9c1e3a0da8ea923df8df0ee397e95297e7321ba80a3eb6959016dd2\
    844da20132044801565176601c895ca10dd83dd2845828a301320448dd2fb4e18b5e1ce3107818616e63686f726167652d63\
    726564656e7469616c2b637774a058a5a90164726f6f74026772656c65617365061a6553f100075007070707070707070707\
    07070707070708a101a3010120062158208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3943a\
    00011170013a00011171a20150a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1028250c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c150c2\
    c2c2c2c2c2c2c2c2c2c2c2c2c2c2c23a00011175003a000111761affffffff5840751477855d3c1abc8fa6606795d6862ee5\
    59ed20d6633c54cbca5c2aec91f4efca620670c2059ac28d3e6db39b1703a719dddcb5ad531653a24fb6a79646ce01f65840\
    2862df5f0237789d0a1f2dba533e95d79ec370d4a69bf182d8ad9c74f9b8bdd44ed7190c28bf38fd3e069c8385acdc46d7f5\
    78301ca1d3239d3eb644310815070358dea701010205035861a2028181436170700458568614a40150a1a1a1a1a1a1a1a1a1\
    a1a1a1a1a1a1a10250c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1035824822f5820111111111111111111111111111111111111\
    11111111111111111111111111110e1987d0010f020f074382030f09438217021458438614a11578396e693a2f2f2f736861\
    2d3235363b455245524552455245524552455245524552455245524552455245524552455245524552455245524552451502\
    030f17822f58201df888a14cabd1ac8186f4b20d2314a078a323629a5125c6a6fd70872dc8a6a6175836a162656ea2026f46\
    69786573207468652070756d702e8143617070a3036b6578616d706c652e636f6d046470756d700665312e322e33";

/// Example 0: secure boot.
pub(super) const DRAFT_0: &str = "\
    d86ba2025873825824822f58206658ea560262696dd1f13b782239a064da7c6c5cbaf52fded428a6fc83c7e5af584ad28443\
    a10126a0f65840408d0816f9b510749bf6a51b066951e08a4438f849eb092a1ac768eed9de696c1b1dd35d82ef149e6a73a6\
    1976ad2cfe78444b8064293350a122f332cb49f0da035871a50101020003585fa202818141000458568614a40150fa6b4a53\
    d5ad5fdfbe9de663e4d41ffe02501492af1425695e48bf429b2d51f2ab45035824822f582000112233445566778899aabbcc\
    ddeeff0123456789abcdeffedcba98765432100e1987d0010f020f074382030f0943821702";

/// Example 1: download and installation at once.
pub(super) const DRAFT_1: &str = "\
    d86ba2025873825824822f58201f2e7acca0dc2786f2fe4eb947f50873a6a3cfaa98866c5b02e621f42074daf2584ad28443\
    a10126a0f6584027a3d7986eddcc1bee04e1436746408c308ed3c15ac590a1ca0cf96f85671ccac216cb9a1497fc59e21c15\
    f33c95cf75203e25c287b31a57d6cd2ef950b27a7a035894a50101020103585fa202818141000458568614a40150fa6b4a53\
    d5ad5fdfbe9de663e4d41ffe02501492af1425695e48bf429b2d51f2ab45035824822f582000112233445566778899aabbcc\
    ddeeff0123456789abcdeffedcba98765432100e1987d0010f020f074382030f1458258614a115781b687474703a2f2f6578\
    616d706c652e636f6d2f66696c652e62696e1502030f";

/// Example 2: install and text severed into the envelope.
pub(super) const DRAFT_2: &str = "\
    d86ba4025873825824822f58206a5197ed8f9dccf733d1c89a359441708e070b4c6dcb9a1c2c82c6165f609b90584ad28443\
    a10126a0f65840073d8d80ca67d61cdf04d813c748b2de98fe786fc67b764431307c8dbcbe91dc6f762c2c4d7bb998ff9ead\
    4798e03c8ee26b89ef7a9ad4569f6e187ce89e16c50358d1a80101020203585fa202818141000458568614a40150fa6b4a53\
    d5ad5fdfbe9de663e4d41ffe02501492af1425695e48bf429b2d51f2ab45035824822f582000112233445566778899aabbcc\
    ddeeff0123456789abcdeffedcba98765432100e1987d0010f020f047468747470733a2f2f6769742e696f2f4a4a596f6a07\
    4382030f094382170214822f5820cfa90c5c58595e7f5119a72f803fd0370b3e6abbec6315cd38f63135281bc49817822f58\
    20302196d452bce5e8bfeaf71e395645ede6d365e63507a081379721eeecf0000714583c8614a1157832687474703a2f2f65\
    78616d706c652e636f6d2f766572792f6c6f6e672f706174682f746f2f66696c652f66696c652e62696e1502030f1759020b\
    a165656e2d5553a20179019d2323204578616d706c6520323a2053696d756c74616e656f757320446f776e6c6f61642c2049\
    6e7374616c6c6174696f6e2c2053656375726520426f6f742c2053657665726564204669656c64730a0a2020202054686973\
    206578616d706c6520636f766572732074686520666f6c6c6f77696e672074656d706c617465733a0a202020200a20202020\
    2a20436f6d7061746962696c69747920436865636b20287b7b74656d706c6174652d636f6d7061746962696c6974792d6368\
    65636b7d7d290a202020202a2053656375726520426f6f7420287b7b74656d706c6174652d7365637572652d626f6f747d7d\
    290a202020202a204669726d7761726520446f776e6c6f616420287b7b6669726d776172652d646f776e6c6f61642d74656d\
    706c6174657d7d290a202020200a2020202054686973206578616d706c6520616c736f2064656d6f6e737472617465732073\
    6576657261626c6520656c656d656e747320287b7b6f76722d736576657261626c657d7d292c20616e64207465787420287b\
    7b6d616e69666573742d6469676573742d746578747d7d292e814100a2036761726d2e636f6d0578525468697320636f6d70\
    6f6e656e7420697320612064656d6f6e7374726174696f6e2e205468652064696765737420697320612073616d706c652070\
    61747465726e2c206e6f742061207265616c206f6e652e";

/// Example 3: A/B images, by component slot.
pub(super) const DRAFT_3: &str = "\
    d86ba2025873825824822f5820f6d44a62ec906b392500c242e78e908e9cc5057f3f04104a06a8566200da2ee0584ad28443\
    a10126a0f658400bbf7058c1a79dff23c7755d36aae5c6cc1aacb818f456e2e03f2664c369b9c6700931a52f1f8d808aa4a8\
    e5220d479c9661d2bce0a44974004325001e3b1abb0359010fa5010102030358a4a2028181410004589b8814a20150fa6b4a\
    53d5ad5fdfbe9de663e4d41ffe02501492af1425695e48bf429b2d51f2ab450f8258348614a10500050514a2035824822f58\
    2000112233445566778899aabbccddeeff0123456789abcdeffedcba98765432100e1987d058368614a10501050514a20358\
    24822f58200123456789abcdeffedcba987654321000112233445566778899aabbccddeeff0e1a00012c22010f020f074382\
    030f14585b860f8258288614a10500050514a115781c687474703a2f2f6578616d706c652e636f6d2f66696c65312e62696e\
    58288614a10501050514a115781c687474703a2f2f6578616d706c652e636f6d2f66696c65322e62696e1502030f";

/// Example 4: load from external storage.
pub(super) const DRAFT_4: &str = "\
    d86ba2025873825824822f58205b5f6586b1e6cdf19ee479a5adabf206581000bd584b0832a9bdaf4f72cdbdd6584ad28443\
    a10126a0f65840c53c2826b042384e95c646cbcd4308b181f1ed2bfbeb4e70b93cac9fbdc82e382d877e2c2bcfaf975ffcd3\
    6941f2f4db89f68d3c77d6a3506e9b1509a49dec4603590116a801010204035867a20283814100814102814101045858880c\
    0014a40150fa6b4a53d5ad5fdfbe9de663e4d41ffe02501492af1425695e48bf429b2d51f2ab45035824822f582000112233\
    445566778899aabbccddeeff0123456789abcdeffedcba98765432100e1987d0010f020f0745840c00030f085838880c0214\
    a3035824822f58200123456789abcdeffedcba987654321000112233445566778899aabbccddeeff0e1a00012c2216001602\
    030f0945840c02170210584e880c0114a2035824822f582000112233445566778899aabbccddeeff0123456789abcdeffedc\
    ba987654321015781b687474703a2f2f6578616d706c652e636f6d2f66696c652e62696e1502030f144b880c0014a1160116\
    02030f";

/// Example 5: two components.
pub(super) const DRAFT_5: &str = "\
    d86ba2025873825824822f582015ce60f77657e4531dc329155f8b0ed78f94bdc6d165b2665473693dcc34f470584ad28443\
    a10126a0f6584053505bf2b1aba7f3c3e142d6c02350daf95331a8942e77d7378c6670285638e0fe460fe7cebcbe242b14e7\
    ac1a4482cf500136a2568a92a803f614d5f87ef7a703590101a601010205035895a202828141008141010458898c0c0014a4\
    0150fa6b4a53d5ad5fdfbe9de663e4d41ffe02501492af1425695e48bf429b2d51f2ab45035824822f582000112233445566\
    778899aabbccddeeff0123456789abcdeffedcba98765432100e1987d0010f020f0c0114a2035824822f58200123456789ab\
    cdeffedcba987654321000112233445566778899aabbccddeeff0e1a00012c220749880c00030f0c01030f0945840c001702\
    14584f900c0014a115781c687474703a2f2f6578616d706c652e636f6d2f66696c65312e62696e1502030f0c0114a115781c\
    687474703a2f2f6578616d706c652e636f6d2f66696c65322e62696e1502030f";

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn the_envelope_is_frozen() {
    let frozen = unhex(FROZEN_1);
    assert_eq!(hex::encode(release()), FROZEN_1);
    let authenticated = authenticate(&frozen).unwrap();
    let image = image_reference(authenticated.manifest(), Target::Firmware).unwrap();
    assert_eq!((image.digest, image.size), (IMAGE, IMAGE_SIZE));
    assert_eq!(
        (authenticated.manifest().sequence_number(), authenticated.manifest().version_text()),
        (5, Some("1.2.3"))
    );
}

/// The manifest of the frozen envelope begins behind `03 58 de`: key 3 and the head of the bstr.
fn frozen_manifest() -> (Vec<u8>, Vec<u8>) {
    let frozen = unhex(FROZEN_1);
    let head = [0x03, 0x58, 0xde, 0xa7, 0x01, 0x01, 0x02, 0x05];
    let start = frozen.windows(head.len()).position(|window| window == head).unwrap();
    (frozen[start + 1..][..2 + 0xde].to_vec(), frozen[start + 3..][..0xde].to_vec())
}

/// First trap (section 8.3): the digest is over the bstr, its head `58 de` included.
#[test]
fn the_manifest_digest_is_over_the_wrapped_manifest() {
    const DIGEST: &str = "7caa4b9a6fb62c80e9c1e3a0da8ea923df8df0ee397e95297e7321ba80a3eb69";
    let (wrapped, content) = frozen_manifest();
    assert_eq!(hex::encode(Sha256::digest(&wrapped)), DIGEST);
    assert_ne!(hex::encode(Sha256::digest(&content)), DIGEST);
    let frozen = unhex(FROZEN_1);
    assert_eq!(hex::encode(authenticate(&frozen).unwrap().digest()), DIGEST);
}

/// Second trap (section 8.3): the detached payload is the content of the digest bstr, `82 2f 58 20 ...`, and not
/// the bstr, `58 24 82 2f 58 20 ...`.
#[test]
fn the_detached_payload_is_the_content_of_the_digest_bstr() {
    let payload = unhex("822f58207caa4b9a6fb62c80e9c1e3a0da8ea923df8df0ee397e95297e7321ba80a3eb69");
    let signature = unhex(
        "2862df5f0237789d0a1f2dba533e95d79ec370d4a69bf182d8ad9c74f9b8bdd4\
         4ed7190c28bf38fd3e069c8385acdc46d7f578301ca1d3239d3eb64431081507",
    );
    // Sig_structure of RFC 9052 section 4.4: ["Signature1", protected, h'', payload]
    let to_be_signed = |payload: &[u8]| {
        [
            &unhex("846a5369676e617475726531")[..],
            &unhex("4da20132044801565176601c895c"),
            &[0x40],
            &encode(&bytes(payload)),
        ]
        .concat()
    };
    let key = ed25519_dalek::VerifyingKey::from_bytes(
        &unhex("8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394").try_into().unwrap(),
    )
    .unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    assert!(key.verify_strict(&to_be_signed(&payload), &signature).is_ok());
    let bstr = encode(&bytes(&payload));
    assert_eq!(bstr[..2], [0x58, 0x24]);
    assert!(key.verify_strict(&to_be_signed(&bstr), &signature).is_err());
    // It is the signature of the frozen envelope, and the verdict of our own verifier is the same.
    let frozen = unhex(FROZEN_1);
    assert!(frozen.windows(64).any(|window| window == signature.to_bytes()));
    assert!(authenticate(&frozen).is_ok());
}

#[test]
fn the_examples_of_the_draft_are_read() {
    for (example, sequence_number, sections) in [
        (DRAFT_0, 0, &[Section::Validate, Section::Invoke][..]),
        (DRAFT_1, 1, &[Section::Install, Section::Validate]),
        (DRAFT_2, 2, &[Section::Install, Section::Validate, Section::Invoke]),
        (DRAFT_3, 3, &[Section::Install, Section::Validate]),
        (DRAFT_5, 5, &[Section::Install, Section::Validate, Section::Invoke]),
    ] {
        let envelope = unhex(example);
        // Also the digests over the wrapped manifest and members.
        let inspection = inspect(&envelope).unwrap();
        assert_eq!(inspection.manifest().sequence_number(), sequence_number);
        for section in [Section::PayloadFetch, Section::Install, Section::Validate, Section::Invoke] {
            assert_eq!(inspection.manifest().has_section(section), sections.contains(&section));
        }
        // They are signed with ES256 and without a credential.
        assert!(matches!(refusal(&envelope), ErrorKind::Trust(_)));
        for len in 0..envelope.len() {
            assert!(inspect(&envelope[..len]).is_err());
        }
    }
}

/// Also what no device of ours takes is shown, down to the last command.
#[test]
fn the_examples_of_the_draft_are_outlined() {
    fn lines(outline: &Outline, depth: usize, out: &mut String) {
        out.push_str(&format!("{:depth$}{}: {}\n", "", outline.name, outline.value));
        outline.parts.iter().for_each(|part| lines(part, depth + 1, out));
    }
    let shown = |example: &str| {
        let mut out = String::new();
        lines(&outline(&unhex(example)).unwrap(), 0, &mut out);
        assert!(!out.contains("not readable") && !out.contains("unknown"), "{out}");
        out
    };
    for (example, words) in [
        (
            DRAFT_0,
            &["manifest digest: SHA-256 (-16) ", "protected alg (1): ES256 (-7)", "sequence-number (2): 0"][..],
        ),
        (
            DRAFT_1,
            &[
                "uri (21): \"http://example.com/file.bin\"",
                "vendor-id (1): fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe",
            ],
        ),
        (
            DRAFT_2,
            &["text (23), severed: SHA-256 (-16) ", "vendor-domain (3): \"arm.com\"", "severed install (20)"],
        ),
        (DRAFT_3, &["try-each (15)", "sequence 1", "component-slot (5): 1"]),
        (DRAFT_4, &["load (8)", "copy (22): 2", "source-component (22): 0"]),
        (DRAFT_5, &["set-component-index (12): 1", "component 1: 01"]),
    ] {
        let out = shown(example);
        assert!(words.iter().all(|words| out.contains(words)), "{words:?}: {out}");
    }
    // A bare manifest, an envelope without its tag; and neither.
    let envelope = unhex(DRAFT_0);
    assert!(outline(&envelope[2..]).is_some_and(|outline| outline.name == "SUIT envelope without its tag"));
    let (_, content) = frozen_manifest();
    let bare = outline(&[&[0xd9, 0x04, 0x2e][..], &content].concat()).unwrap();
    assert_eq!(
        (bare.name.as_str(), bare.parts[1].name.as_str()),
        ("bare SUIT manifest (tag 1070)", "sequence-number (2)")
    );
    // What is not read as SUIT is shown as it stands.
    let torso = outline(&unhex("d9042ea10201")).unwrap();
    assert!(torso.name.ends_with("NOT readable as such"), "{torso:?}");
    assert_eq!((torso.parts[0].name.as_str(), torso.parts[0].value.as_str()), ("2", "1"));
    for other in [&b""[..], b"text", &unhex("a10201"), &envelope[..envelope.len() - 1]] {
        assert_eq!(outline(other), None);
    }
}

/// Wrapped a hundred times, or a hundred thousand arrays deep: shown in part, or not at all, without a crash.
#[test]
fn a_hostile_nesting_is_outlined_without_a_crash() {
    let mut sequence = unhex("8203f6");
    for _ in 0..100 {
        sequence = encode(&Value::Array(vec![32.into(), bytes(&sequence)]));
    }
    let manifest = Value::Map(vec![(20.into(), bytes(&sequence))]);
    let file = encode(&Value::Tag(1070, Box::new(manifest)));
    assert!(outline(&file).is_some());
    assert_eq!(outline(&[0x81; 100_000]), None);
}

/// It has a load section, and copies.
#[test]
fn the_example_with_load_is_refused() {
    let envelope = unhex(DRAFT_4);
    assert_eq!(inspect(&envelope).unwrap_err().kind, ErrorKind::ManifestElementUnsupported);
}

#[test]
fn severed_members_of_the_draft_are_read_and_held_against_their_digests() {
    let envelope = unhex(DRAFT_2);
    let inspection = inspect(&envelope).unwrap();
    assert_eq!(inspection.manifest().reference_uri(), Some("https://git.io/JJYoj"));
    let text = inspection.manifest().text().unwrap().unwrap();
    assert_eq!(text.component_text(0, ComponentText::VendorDomain), Some("arm.com"));
    assert!(text.manifest_text(ManifestText::ManifestDescription).unwrap().starts_with("## Example 2"));
    let severed = crate::author::sever_text(&envelope).unwrap();
    assert!(inspect(&severed).unwrap().manifest().text().unwrap().is_none());

    let fetched = run_example(&inspection, &mut example_device(), Section::Install).unwrap();
    assert_eq!(fetched, ["fetch 0 http://example.com/very/long/path/to/file/file.bin"]);
    for position in envelope.len() - 20..envelope.len() {
        let mut tampered = envelope.clone();
        tampered[position] ^= 1;
        assert_eq!(inspect(&tampered).unwrap_err().kind, ErrorKind::MemberDigestMismatch);
    }
}

/// The device of the draft's examples.
fn example_device() -> Device {
    let id = |text: &str| unhex(text).try_into().unwrap();
    let image = |text: &str| unhex(text).try_into().unwrap();
    Device {
        vendor: id("fa6b4a53d5ad5fdfbe9de663e4d41ffe"),
        class: id("1492af1425695e48bf429b2d51f2ab45"),
        images: vec![
            (image("00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"), 34768),
            (image("0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff"), 76834),
        ],
        ..Device::default()
    }
}

fn run_example(
    inspection: &crate::author::Inspection<'_>,
    device: &mut Device,
    section: Section,
) -> Result<Vec<String>, Error> {
    let manifest: &host::Manifest<'_> = inspection.manifest();
    let mut processor = ProcessorOf::ready(manifest, section)?;
    let mut steps = vec![];
    loop {
        match processor.run(device)? {
            Step::Fetch(fetch) => steps.push(format!("fetch {} {}", fetch.component, fetch.uri.as_str())),
            Step::Invoke { component } => steps.push(format!("invoke {component}")),
            Step::Done => return Ok(steps),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_examples_of_the_draft_run() {
    let run = |example: &str, device: &mut Device, section| {
        let envelope = unhex(example);
        run_example(&inspect(&envelope).unwrap(), device, section).map_err(|error| error.reason().slug())
    };
    let mut device = example_device();
    assert_eq!(run(DRAFT_0, &mut device, Section::Validate), Ok(vec![]));
    assert_eq!(run(DRAFT_0, &mut device, Section::Invoke), Ok(vec!["invoke 0".into()]));
    assert_eq!(
        run(DRAFT_1, &mut device, Section::Install),
        Ok(vec!["fetch 0 http://example.com/file.bin".into()])
    );
    assert_eq!(
        run(DRAFT_5, &mut device, Section::Install),
        Ok(vec![
            "fetch 0 http://example.com/file1.bin".into(),
            "fetch 1 http://example.com/file2.bin".into()
        ])
    );
    assert_eq!(run(DRAFT_5, &mut device, Section::Validate), Ok(vec![]));
    assert_eq!(run(DRAFT_5, &mut device, Section::Invoke), Ok(vec!["invoke 0".into()]));

    // A/B: the slot decides on URI and digest.
    assert_eq!(
        run(DRAFT_3, &mut device, Section::Install),
        Ok(vec!["fetch 0 http://example.com/file1.bin".into()])
    );
    device.slot = Some(1);
    assert_eq!(
        run(DRAFT_3, &mut device, Section::Install),
        Err("image-digest-mismatch"),
        "image A in slot B"
    );
    device.images.swap(0, 1);
    assert_eq!(
        run(DRAFT_3, &mut device, Section::Install),
        Ok(vec!["fetch 0 http://example.com/file2.bin".into()])
    );
    device.slot = Some(2);
    assert_eq!(run(DRAFT_3, &mut device, Section::Install), Err("slot-mismatch"));

    let mut stranger = Device { class: FOREIGN, ..example_device() };
    for example in [DRAFT_0, DRAFT_1, DRAFT_2, DRAFT_3, DRAFT_5] {
        assert_eq!(run(example, &mut stranger, Section::Validate), Err("class-mismatch"));
    }
}

/// A bare manifest, tag 1070, has no signature and no way in.
#[test]
fn a_bare_manifest_is_no_envelope() {
    let (_, content) = frozen_manifest();
    let bare = [&[0xd9, 0x04, 0x2e][..], &content].concat();
    assert_eq!(Envelope::parse(&bare).unwrap_err().kind, ErrorKind::ManifestBare);
}
