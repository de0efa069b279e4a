//! The whole decoder: published examples down to the last command, the grammar of each value, and what is refused at
//! which byte.

use ciborium::Value;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use trust::ErrorKind as Trust;

use super::published::*;
use super::support::*;
use crate::ErrorKind;
use crate::argument::{DigestAlgorithm, ParameterValue, VendorId, WaitEvent};
use crate::author::outline;
use crate::author::tree::{ArgumentTree, CommandTree, Dependency, EnvelopeTree, IndexTree, Member};
use crate::vocabulary::{CommandCode, ManifestElement, ParameterKey};

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// The envelope around a manifest, without a signature.
fn unsigned(manifest: &[u8], members: &[(Value, Value)]) -> Vec<u8> {
    let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(manifest)))));
    assemble(vec![bytes(&digest)], manifest, members)
}

/// The commands of install, read back.
fn install(commands: Vec<(i64, Value)>) -> Result<Vec<String>, (ErrorKind, u8)> {
    let envelope = unsigned(&Parts::install(commands).manifest(), &[]);
    let tree = EnvelopeTree::read(&envelope)
        .map_err(|error| (error.kind, envelope.get(error.position as usize).copied().unwrap_or(0)))?;
    let commands = tree.manifest.section(ManifestElement::Install).unwrap();
    Ok(commands.iter().map(|command| format!("{:?}", command.argument)).collect())
}

/// The value of one parameter of an override-parameters.
fn value(key: i64, value: Value) -> Result<String, (ErrorKind, u8)> {
    install(vec![parameters([(key, value)])]).map(|mut commands| commands.remove(0))
}

fn codes(commands: &[CommandTree<'_>]) -> Vec<i64> {
    commands.iter().map(|command| command.code).collect()
}

#[test]
fn suit30_published_examples_are_read_as_a_whole() {
    for (example, blocks, integrated) in [
        (super::vectors::DRAFT_0, 1, 0),
        (super::vectors::DRAFT_1, 1, 0),
        (super::vectors::DRAFT_2, 1, 0),
        (super::vectors::DRAFT_3, 1, 0),
        (super::vectors::DRAFT_4, 1, 0),
        (super::vectors::DRAFT_5, 1, 0),
        (PROCESS_DEPENDENCY, 1, 0),
        (INTEGRATED_DEPENDENCY, 1, 1),
        (DEPENDENT, 1, 0),
        (AES_KW_SLOT, 1, 0),
        (ES_ECDH_CONTENT, 1, 0),
        (ES_ECDH_DEPENDENCY, 1, 1),
    ] {
        let envelope = unhex(example);
        let tree = EnvelopeTree::read(&envelope).unwrap();
        assert_eq!((tree.blocks.len(), tree.integrated.len()), (blocks, integrated));
        assert!(tree.integrated.iter().all(|member| matches!(member.envelope, Some(Ok(_)))));
        let shown = format!("{:?}", outline(&envelope).unwrap());
        assert!(!shown.contains("unknown") && !shown.contains("not readable"), "{shown}");
        for (_, member) in &tree.manifest.sections {
            for command in member.content().unwrap() {
                assert!(command.known().is_some());
                // The byte that an error would name is that of the code.
                assert_eq!(
                    encode(&command.code.into())[..],
                    envelope[command.position as usize..][..encode(&command.code.into()).len()]
                );
            }
        }
        for len in 0..envelope.len() {
            assert!(EnvelopeTree::read(&envelope[..len]).is_err(), "{len}");
        }
    }
}

/// Every bit of a manifest is under its digest, and every bit of a severed member and of the heads around them too.
#[test]
fn suit30_flipped_bits_of_published_manifests_are_refused() {
    for example in [super::vectors::DRAFT_2, PROCESS_DEPENDENCY, AES_KW_SLOT] {
        let mut envelope = unhex(example);
        let tree = EnvelopeTree::read(&envelope).unwrap();
        let signature = tree.blocks[0];
        let (start, end) = (signature.base as usize, signature.base as usize + signature.bytes.len());
        for position in 0..envelope.len() {
            if (start..end).contains(&position) {
                continue;
            }
            for bit in 0..8 {
                envelope[position] ^= 1 << bit;
                assert!(EnvelopeTree::read(&envelope).is_err(), "bit {bit} of byte {position}");
                envelope[position] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn suit30_a_dependency_is_read_with_its_place() {
    let envelope = unhex(INTEGRATED_DEPENDENCY);
    let tree = EnvelopeTree::read(&envelope).unwrap();
    let manifest = &tree.manifest;
    let prefix = Some(vec![&b"dependent.suit"[..]]);
    assert_eq!(manifest.dependencies, [Dependency { index: 1, prefix }]);
    assert_eq!(manifest.components, [vec![&b"10"[..]]]);
    assert_eq!(manifest.component_id, Some(vec![&b"depending.suit"[..]]));
    assert!(manifest.shared.is_none());
    let resolution = manifest.section(ManifestElement::DependencyResolution).unwrap();
    assert_eq!(codes(resolution), [12, 20, 21, 3]);
    let ArgumentTree::Parameters(parameters) = &resolution[1].argument else { panic!() };
    let keys: Vec<_> = parameters.iter().map(|parameter| parameter.known().unwrap()).collect();
    assert_eq!(keys, [ParameterKey::ImageDigest, ParameterKey::ImageSize, ParameterKey::Uri]);
    assert!(matches!(parameters[1].value, ParameterValue::ImageSize(190)));
    let ParameterValue::ImageDigest(digest) = parameters[0].value else { panic!() };
    let inner = tree.integrated("#dependent.suit").unwrap();
    assert_eq!(inner.content.bytes, unhex(DEPENDENT));
    // The digest of the dependency is that of its manifest, wrapped (suit-trust-domains section 5.2.2).
    let inner = inner.envelope.as_ref().unwrap().as_ref().unwrap();
    assert_eq!(digest, inner.digest);
    let written = inner.manifest.section(ManifestElement::Install).unwrap();
    assert_eq!(codes(written), [20, 18]);
    assert_eq!(written[1].known(), Some(CommandCode::Write));
    let ArgumentTree::Parameters(parameters) = &written[0].argument else { panic!() };
    assert!(matches!(parameters[0].value, ParameterValue::Content(b"hello world")));
    assert!(envelope[written[0].position as usize] == 20, "positions are those of the outer file");
}

#[test]
fn suit30_encrypted_content_is_read_with_its_source() {
    let envelope = unhex(AES_KW_SLOT);
    let tree = EnvelopeTree::read(&envelope).unwrap();
    let install = tree.manifest.section(ManifestElement::Install).unwrap();
    assert_eq!(codes(install), [12, 20, 21, 12, 20, 22]);
    let ArgumentTree::Parameters(parameters) = &install[4].argument else { panic!() };
    let ParameterValue::EncryptionInfo(info) = parameters[0].value else { panic!() };
    assert_eq!(info.bytes[..2], [0xd8, 0x60], "tag 96");
    assert!(matches!(parameters[1].value, ParameterValue::SourceComponent(1)));
    let ArgumentTree::Index(index) = &install[3].argument else { panic!() };
    assert_eq!(*index, IndexTree::One(0));
}

// --- Values of parameters: section 8.4.8, suit-update-management section 4

#[test]
fn suit31_each_parameter_has_its_type() {
    let wrap = |value: &Value| bytes(&encode(value));
    let list = |numbers: &[i64]| Value::Array(numbers.iter().map(|number| (*number).into()).collect());
    let version = |comparison: i64, numbers: &[i64]| Value::Array(vec![comparison.into(), list(numbers)]);
    let good = [
        (1, bytes(&VENDOR), "VendorId(Uuid("),
        (1, Value::Tag(112, Box::new(bytes(&[0x82, 0x37]))), "VendorId(Pen("),
        (2, bytes(&CLASS), "ClassId("),
        (3, image_digest(&IMAGE), "ImageDigest("),
        (4, u64::MAX.into(), "UseBefore(18446744073709551615)"),
        (5, 1.into(), "ComponentSlot(1)"),
        (12, Value::Bool(false), "StrictOrder(false)"),
        (13, Value::Bool(true), "SoftFailure(true)"),
        (14, 1.into(), "ImageSize(1)"),
        (18, bytes(b"x"), "Content([120])"),
        (19, bytes(&[0xd8, 0x60]), "EncryptionInfo("),
        (21, Value::Text("u".into()), "Uri("),
        (22, 1.into(), "SourceComponent(1)"),
        (23, bytes(b"a"), "InvokeArgs([97])"),
        (24, bytes(&DEVICE), "DeviceId("),
        (25, bytes(b"a"), "FetchArguments([97])"),
        (26, 5.into(), "MinimumBattery(5)"),
        (27, (-5).into(), "UpdatePriority(-5)"),
        (28, wrap(&version(2, &[1, 2, -1, 3])), "Version("),
        (29, wrap(&map([(1, 3.into())])), "WaitInfo("),
        (30, wrap(&map([(5, 2.into())])), "ComponentMetadata("),
        (-257, 7.into(), "Custom("),
        (99, 7.into(), "Custom("),
    ];
    for (key, given, shown) in good {
        let read = value(key, given).unwrap();
        assert!(read.contains(shown), "{key}: {read}");
    }
    let malformed = |kind| Err((ErrorKind::Malformed(kind), ()));
    let bad = |key, given| value(key, given).map(drop).map_err(|(kind, _)| (kind, ()));
    assert_eq!(bad(2, bytes(&[1; 15])), malformed(Trust::UnexpectedType));
    assert_eq!(bad(1, Value::Tag(111, Box::new(bytes(&[1])))), malformed(Trust::UnexpectedType));
    for oid in [&[][..], &[0x80, 1], &[0x81], &[1, 1]] {
        let pen = Value::Tag(112, Box::new(bytes(oid)));
        assert_eq!(bad(1, pen), malformed(Trust::OutOfRange), "{oid:02x?}");
    }
    assert_eq!(bad(14, (-1).into()), malformed(Trust::UnexpectedType));
    assert_eq!(bad(18, bytes(&[0; 1025])), malformed(Trust::TooLong));
    assert_eq!(bad(28, wrap(&version(2, &[]))), malformed(Trust::OutOfRange));
    assert_eq!(bad(28, wrap(&version(2, &[0; 9]))), malformed(Trust::TooMany));
    assert_eq!(bad(28, wrap(&list(&[1]))), malformed(Trust::UnexpectedType));
    assert_eq!(bad(28, wrap(&version(6, &[1]))), Err((ErrorKind::ParameterUnsupported, ())));
    assert_eq!(bad(29, wrap(&map([]))), malformed(Trust::OutOfRange));
    assert_eq!(bad(29, wrap(&map([(10, 1.into())]))), Err((ErrorKind::ParameterUnsupported, ())));
    assert_eq!(
        bad(29, bytes(&[encode(&map([(1, 3.into())])), vec![0]].concat())),
        malformed(Trust::TrailingBytes)
    );
    assert_eq!(bad(30, wrap(&map([(5, 4.into())]))), malformed(Trust::OutOfRange));
    assert_eq!(bad(30, wrap(&map([(6, 4.into())]))), malformed(Trust::UnexpectedType));
    assert_eq!(bad(30, wrap(&map([(9, 4.into())]))), Err((ErrorKind::ParameterUnsupported, ())));
}

#[test]
fn suit31_versions_compare_number_by_number() {
    use crate::vocabulary::Comparison::*;
    let matches = |comparison: crate::vocabulary::Comparison, wanted: &[i64], actual: &[i64]| {
        let list = Value::Array(wanted.iter().map(|number| (*number).into()).collect());
        let encoded = encode(&Value::Array(vec![comparison.number().into(), list]));
        let envelope = unsigned(&Parts::install(vec![parameters([(28, bytes(&encoded))])]).manifest(), &[]);
        let tree = EnvelopeTree::read(&envelope).unwrap();
        let commands = tree.manifest.section(ManifestElement::Install).unwrap();
        let ArgumentTree::Parameters(parameters) = &commands[0].argument else { panic!() };
        let ParameterValue::Version(wanted) = parameters[0].value else { panic!() };
        wanted.is_met_by(actual.iter().copied())
    };
    // The examples of suit-update-management section 4.4.
    assert!(matches(Equal, &[1], &[1, 9, 9]));
    assert!(matches(GreaterEqual, &[1, 0], &[1, 0, 7]) && matches(Lesser, &[1, 10], &[1, 9, 9]));
    assert!(!matches(Lesser, &[1, 10], &[1, 10, 0]));
    assert!(matches(Lesser, &[2, 0, 0], &[2, 0, -1, 1]), "a release candidate lies below its release");
    assert!(matches(Greater, &[1, 99], &[2, 0, -1, 1]), "and above every earlier one");
    assert!(matches(Lesser, &[1, 2, -1], &[1, 2, -2]) && matches(Lesser, &[1, 2, -2], &[1, 2, -3]));
    assert!(matches(Greater, &[1, 2, -1], &[1, 2]), "what is not there counts as 0");
    assert!(matches(LesserEqual, &[1, 2], &[1, 2, 3]) && !matches(Greater, &[1, 2], &[1, 2, 3]));
}

#[test]
fn suit31_wait_events_are_read() {
    let matched = |comparison: i64| Value::Array(vec![comparison.into(), Value::Array(vec![1.into()])]);
    let other = Value::Array(vec![bytes(b"pump"), Value::Array(vec![matched(2), matched(5)])]);
    let events = map([(1, (-1).into()), (2, 1.into()), (3, 1.into()), (4, other), (9, 6.into())]);
    let envelope =
        unsigned(&Parts::install(vec![parameters([(29, bytes(&encode(&events)))])]).manifest(), &[]);
    let tree = EnvelopeTree::read(&envelope).unwrap();
    let commands = tree.manifest.section(ManifestElement::Install).unwrap();
    let ArgumentTree::Parameters(parameters) = &commands[0].argument else { panic!() };
    let ParameterValue::WaitInfo(info) = parameters[0].value else { panic!() };
    let events: Vec<_> = info.events().collect();
    assert_eq!(events.len(), 5);
    assert_eq!(events[0], WaitEvent::Authorization(-1));
    assert_eq!(events[4], WaitEvent::DayOfWeekUtc(6));
    let WaitEvent::OtherDeviceVersion { device, versions } = events[3] else { panic!() };
    assert_eq!((device, versions.iter().count()), (&b"pump"[..], 2));
}

fn xof<H: Default + sha3::digest::Update + sha3::digest::ExtendableOutput>(
    bytes: &[u8],
    len: usize,
) -> Vec<u8> {
    let mut out = vec![0; len];
    H::digest_xof(bytes, &mut out);
    out
}

/// FIPS 202, the empty message.
#[test]
fn suit31_shake_gives_the_published_bytes() {
    assert_eq!(hex::encode(xof::<sha3::Shake128>(b"", 8)), "7f9c2ba4e88f827d");
    assert_eq!(hex::encode(xof::<sha3::Shake256>(b"", 8)), "46b9dd2b0ba88d13");
}

#[test]
fn suit31_digests_of_every_algorithm_are_read_and_compared() {
    let body = sequence([simple(3)]);
    let item = encode(&bytes(&body));
    for (number, right) in [
        (-16, Sha256::digest(&item).to_vec()),
        (-43, Sha384::digest(&item).to_vec()),
        (-44, Sha512::digest(&item).to_vec()),
        (-18, xof::<sha3::Shake128>(&item, 32)),
        (-45, xof::<sha3::Shake256>(&item, 64)),
    ] {
        let mut wrong = right.clone();
        wrong[0] ^= 1;
        let read = |digest: &[u8]| {
            let manifest = Parts::default().with(20, digest_value(number, digest)).manifest();
            let envelope = unsigned(&manifest, &[(20.into(), bytes(&body))]);
            EnvelopeTree::read(&envelope).map(drop).map_err(|error| error.kind)
        };
        assert_eq!(read(&right), Ok(()), "{number}");
        assert_eq!(read(&wrong), Err(ErrorKind::MemberDigestMismatch), "{number}");
        assert_eq!(read(&right[1..]), Err(ErrorKind::DigestLength), "{number}");
    }
    assert_eq!(DigestAlgorithm::ALL.map(DigestAlgorithm::number), [-16, -18, -43, -44, -45]);
}

// --- Elements and commands

#[test]
fn suit32_every_element_is_read_in_the_manifest_and_severed() {
    let body = sequence([simple(14)]);
    for (key, severable) in
        [(7, false), (8, false), (9, false), (15, true), (16, true), (18, true), (20, true), (24, false)]
    {
        let element = ManifestElement::from_number(key).unwrap();
        let manifest = Parts::default().with(key, bytes(&body)).manifest();
        let envelope = unsigned(&manifest, &[]);
        let tree = EnvelopeTree::read(&envelope).unwrap();
        assert_eq!(codes(tree.manifest.section(element).unwrap()), [14]);

        let severed = Parts::default().with_severed(key, &body);
        let envelope = unsigned(&severed.manifest(), &severed.severed);
        let read = EnvelopeTree::read(&envelope);
        assert_eq!(read.is_ok(), severable, "{key}");
        if let Ok(tree) = read {
            assert_eq!(codes(tree.manifest.section(element).unwrap()), [14]);
            let envelope = unsigned(&severed.manifest(), &[]);
            let tree = EnvelopeTree::read(&envelope).unwrap();
            assert!(tree.manifest.section(element).is_none());
            assert!(matches!(tree.manifest.sections[0].1, Member::Severed(_, None)));
            // Without a digest in the manifest nothing authenticates it.
            let stray = unsigned(&Parts::default().manifest(), &severed.severed);
            let refused = EnvelopeTree::read(&stray).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::EnvelopeMemberUnauthenticated);
        }
    }
    let coswid = Parts::default().with_severed(14, &[0xa0]);
    let envelope = unsigned(&coswid.manifest(), &coswid.severed);
    let tree = EnvelopeTree::read(&envelope).unwrap();
    assert_eq!(tree.manifest.coswid.unwrap().content().unwrap().bytes, [0xa0]);
    let version = Value::Array(vec![1.into(), 2.into(), (-1).into()]);
    let manifest = Parts::default().with(6, bytes(&encode(&version))).manifest();
    let envelope = unsigned(&manifest, &[]);
    let tree = EnvelopeTree::read(&envelope).unwrap();
    assert_eq!(tree.manifest.set_version.unwrap().numbers().collect::<Vec<_>>(), [1, 2, -1]);
    let shown = format!("{:?}", outline(&envelope).unwrap());
    assert!(shown.contains("1.2.rc"), "{shown}");
    let unknown = Parts::default().with(25, 0.into()).manifest();
    let unknown = EnvelopeTree::read(&unsigned(&unknown, &[])).unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::ManifestElementUnsupported);
}

#[test]
fn suit32_every_command_is_read_with_its_argument() {
    let pair = |key: i64, value: Value| (Value::from(key), value);
    for code in CommandCode::ALL {
        let argument = match code.number() {
            12 => Value::Array(vec![2.into(), 0.into()]),
            15 => {
                Value::Array(vec![bytes(&sequence([simple(3)])), bytes(&sequence([simple(14)])), Value::Null])
            }
            19 | 20 => map([(21, Value::Text("u".into()))]),
            32 => bytes(&sequence([simple(3)])),
            34 => Value::Map(vec![pair(0, map([(14, 1.into())])), pair(1, map([(14, 2.into())]))]),
            35 => Value::Map(vec![pair(0, Value::Array(vec![3.into(), 14.into()]))]),
            _ => 15.into(),
        };
        assert!(install(vec![(code.number(), argument.clone())]).is_ok(), "{code:?}");
        let envelope = unsigned(&Parts::install(vec![(code.number(), argument)]).manifest(), &[]);
        let shown = format!("{:?}", outline(&envelope).unwrap());
        assert!(shown.contains(code.name()) && !shown.contains("unknown"), "{code:?}: {shown}");
        // Another form than its own is malformed, at the argument.
        let wrong = if code.argument() == crate::vocabulary::ArgumentForm::Policy {
            16.into()
        } else {
            Value::Text("x".into())
        };
        assert!(
            matches!(install(vec![(code.number(), wrong)]), Err((ErrorKind::Malformed(_), _))),
            "{code:?}"
        );
    }
    assert_eq!(install(vec![(-300, 0.into())]).map(drop), Ok(()), "a custom command is legal");
    let empty = Value::Map(vec![pair(0, Value::Array(vec![]))]);
    assert!(matches!(install(vec![(35, empty)]), Err((ErrorKind::Malformed(Trust::OutOfRange), 0x80))));
}

#[test]
fn suit32_vendors_are_told_apart() {
    let pen = VendorId::Pen(&[1]);
    assert_ne!(pen, VendorId::Uuid(&VENDOR));
}

/// suit-trust-domains section 5.4: envelopes inside each other are bounded.
#[test]
fn suit32_dependencies_inside_each_other_are_bounded() {
    let mut envelope = unsigned(&Parts::default().manifest(), &[]);
    let mut depths = 0;
    while EnvelopeTree::read(&envelope).is_ok() {
        envelope = unsigned(&Parts::default().manifest(), &[(Value::Text("#d".into()), bytes(&envelope))]);
        depths += 1;
    }
    assert_eq!(depths, crate::limits::MAX_DEPENDENCY_DEPTH);
    assert_eq!(EnvelopeTree::read(&envelope).unwrap_err().kind, ErrorKind::NestingTooDeep);
}

/// An encrypted payload has any bytes: one that begins as an envelope does, and is none, is a payload all the same.
#[test]
fn suit32_a_payload_that_begins_as_an_envelope_is_one() {
    let payload = [0xd8, 0x6b, 1, 2, 3];
    let envelope = unsigned(&Parts::default().manifest(), &[(Value::Text("#p".into()), bytes(&payload))]);
    let tree = EnvelopeTree::read(&envelope).unwrap();
    let member = tree.integrated("#p").unwrap();
    assert_eq!(member.content.bytes, payload);
    let fault = tree.fault_inside().unwrap();
    assert!(matches!(member.envelope, Some(Err(error)) if error == fault));
    let around = unsigned(&Parts::default().manifest(), &[(Value::Text("#d".into()), bytes(&envelope))]);
    let tree = EnvelopeTree::read(&around).unwrap();
    assert_eq!(tree.fault_inside().map(|error| error.kind), Some(fault.kind));
    assert!(
        EnvelopeTree::read(&unsigned(&Parts::default().manifest(), &[])).unwrap().fault_inside().is_none()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// What the device's decoder reads, the whole one reads too.
    #[test]
    fn suit33_the_whole_decoder_reads_what_a_device_reads(manifest in prop::collection::vec(any::<u8>(), 0..60)) {
        let envelope = unsigned(&manifest, &[]);
        let device = crate::author::inspect(&envelope).is_ok();
        prop_assert!(!device || EnvelopeTree::read(&envelope).is_ok());
    }

    #[test]
    fn suit33_random_bytes_do_not_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
        let tagged = [&[0xd8, 0x6b][..], &content].concat();
        prop_assert!(EnvelopeTree::read(&tagged).is_err());
        let _shown = outline(&tagged);
    }
}
