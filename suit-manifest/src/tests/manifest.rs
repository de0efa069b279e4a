//! Manifest, common and text: draft-ietf-suit-manifest-37 sections 8.4.1 to 8.4.5.

use ciborium::Value;
use sha2::{Digest as _, Sha256};
use trust::ErrorKind as Trust;

use super::support::*;
use crate::limits::{MAX_COMPONENT_SEGMENT_LEN, MAX_COMPONENT_SEGMENTS, MAX_COMPONENTS, MAX_URI_LEN};
use crate::{ComponentId, ComponentText, ErrorKind, ManifestText, Reason, Section};

#[test]
fn the_version_is_one() {
    let common = map([(2, Value::Array(vec![])), (4, bytes(&[]))]);
    for version in [0, 2, 1_000_000] {
        // Nothing behind the version is looked at.
        let manifest = encode(&map([(1, version.into()), (2, 5.into()), (3, bytes(&encode(&common)))]));
        assert_eq!(refusal(&seal(&manifest, &[], &credential())), ErrorKind::ManifestVersion);
    }
}

#[test]
fn required_members_are_there() {
    let whole = vec![
        (1, Value::from(1)),
        (2, 5.into()),
        (
            3,
            bytes(&encode(&map([
                (2, Value::Array(vec![Value::Array(vec![bytes(b"app")])])),
                (4, bytes(&sequence(identity()))),
            ]))),
        ),
    ];
    assert!(authenticate(&seal(&encode(&map(whole.clone())), &[], &credential())).is_ok());
    for missing in 0..3 {
        let mut members = whole.clone();
        members.remove(missing);
        let envelope = seal(&encode(&map(members)), &[], &credential());
        assert_eq!(refusal(&envelope), ErrorKind::Malformed(Trust::MissingKey), "{missing}");
    }
    let app = Value::Array(vec![Value::Array(vec![bytes(b"app")])]);
    for (common, expected) in [
        (map([(4, bytes(&sequence(identity())))]), ErrorKind::ComponentCount),
        (map([(2, app)]), ErrorKind::IdentityUnchecked),
    ] {
        let manifest = encode(&map([(1, 1.into()), (2, 5.into()), (3, bytes(&encode(&common)))]));
        let refused = refusal(&seal(&manifest, &[], &credential()));
        assert_eq!(refused, expected);
    }
}

#[test]
fn what_is_not_supported_is_refused() {
    // load, set-version, coswid, dependency-resolution, candidate-verification, uninstall, custom
    for key in [5, 6, 8, 14, 15, 18, 24, -1, 99] {
        let mut parts = Parts::default();
        parts.members.push((key, bytes(&sequence([simple(3)]))));
        assert_eq!(parts.refusal(), ErrorKind::ManifestElementUnsupported, "{key}");
    }
    // dependencies in common
    let common = map([(1, map([])), (2, Value::Array(vec![])), (4, bytes(&[]))]);
    let manifest = encode(&map([(1, 1.into()), (2, 5.into()), (3, bytes(&encode(&common)))]));
    assert_eq!(refusal(&seal(&manifest, &[], &credential())), ErrorKind::ManifestElementUnsupported);
}

#[test]
fn components_are_bounded_and_different() {
    let with = |components: Vec<Value>| Parts { components, ..Parts::default() }.refusal();
    let component =
        |segments: &[&[u8]]| Value::Array(segments.iter().map(|segment| bytes(segment)).collect());
    assert_eq!(with(vec![]), ErrorKind::ComponentCount);
    assert_eq!(with(vec![component(&[b"app"]), component(&[b"app"])]), ErrorKind::ComponentCount);
    let many = (0..=MAX_COMPONENTS as u8).map(|index| component(&[&[index]])).collect();
    assert_eq!(with(many), ErrorKind::ComponentCount);
    assert_eq!(with(vec![component(&[])]), ErrorKind::ComponentUnsupported);
    let deep = vec![b"x".as_slice(); MAX_COMPONENT_SEGMENTS as usize + 1];
    assert_eq!(with(vec![component(&deep)]), ErrorKind::Malformed(Trust::TooMany));
    let long = vec![0; MAX_COMPONENT_SEGMENT_LEN + 1];
    assert_eq!(with(vec![component(&[&long])]), ErrorKind::Malformed(Trust::TooLong));
    assert_eq!(
        with(vec![Value::Array(vec![Value::Text("app".into())])]),
        ErrorKind::Malformed(Trust::UnexpectedType)
    );

    let envelope = release();
    let authenticated = authenticate(&envelope).unwrap();
    let components = authenticated.manifest().components();
    assert_eq!((components.len(), components.at(0), components.at(1)), (1, Some(ComponentId::APP), None));
    assert_eq!(ComponentId::APP.segments().collect::<Vec<_>>(), [b"app"]);
}

#[test]
fn the_reference_uri_is_bounded() {
    let with = |len| Parts::default().with(4, Value::Text("u".repeat(len))).signed();
    let envelope = with(MAX_URI_LEN);
    assert_eq!(authenticate(&envelope).unwrap().manifest().reference_uri().unwrap().len(), MAX_URI_LEN);
    assert_eq!(refusal(&with(MAX_URI_LEN + 1)), ErrorKind::Malformed(Trust::TooLong));
    assert_eq!(refusal(&with(0)), ErrorKind::ManifestElementUnsupported);
}

#[test]
fn sections_are_told_apart_from_absent_ones() {
    let envelope = release();
    let authenticated = authenticate(&envelope).unwrap();
    let manifest = authenticated.manifest();
    assert!(!manifest.has_section(Section::PayloadFetch));
    for section in [Section::Install, Section::Validate, Section::Invoke] {
        assert!(manifest.has_section(section));
    }
    assert_eq!(
        run_on(&mut Device::default(), &authenticated, Section::PayloadFetch).unwrap(),
        Vec::<String>::new()
    );
}

#[test]
fn the_text_is_found_wherever_it_is() {
    let envelope = release();
    let authenticated = authenticate(&envelope).unwrap();
    let text = authenticated.manifest().text().unwrap().unwrap();
    assert_eq!(text.manifest_text(ManifestText::UpdateDescription), Some("Fixes the pump."));
    assert_eq!(text.manifest_text(ManifestText::ManifestDescription), None);
    assert_eq!(text.component_text(0, ComponentText::VendorDomain), Some("example.com"));
    assert_eq!(text.component_text(0, ComponentText::ModelInfo), Some("pump"));
    assert_eq!(text.component_text(1, ComponentText::ModelInfo), None);
    assert_eq!(authenticated.manifest().version_text(), Some("1.2.3"));

    let inline = Parts::default().with(23, bytes(&encode(&text_map("de-DE", vec![])))).signed();
    assert_eq!(authenticate(&inline).unwrap().manifest().version_text(), Some("9"));
    let none = Parts::default().signed();
    assert_eq!(authenticate(&none).unwrap().manifest().version_text(), None);
}

fn text_map(language: &str, more: Vec<(Value, Value)>) -> Value {
    let component = (
        Value::Array(vec![bytes(b"app")]),
        map([(6, Value::Text("9".into())), (7, Value::Text("8".into()))]),
    );
    let entries = [vec![(1.into(), Value::Text("t".into())), component], more].concat();
    Value::Map(vec![(Value::Text(language.into()), Value::Map(entries))])
}

#[test]
fn malformed_text_is_refused_when_it_is_read() {
    let refused = |text: Value| {
        let envelope = Parts::default().with(23, Value::Bytes(encode(&text))).signed();
        let authenticated = authenticate(&envelope).unwrap();
        assert_eq!(authenticated.manifest().version_text(), None);
        authenticated.manifest().text().unwrap_err().kind
    };
    let stranger = (Value::Array(vec![bytes(b"other")]), map([(6, Value::Text("9".into()))]));
    for text in [
        Value::Map(vec![]),
        Value::Array(vec![]),
        text_map("", vec![]),
        text_map("no spaces", vec![]),
        text_map("ninechars", vec![]),
        text_map("en-", vec![]),
        text_map("1a", vec![]),
        text_map("en", vec![stranger]),
        text_map("en", vec![(Value::Text("x".into()), Value::Text("y".into()))]),
        Value::Map(vec![(Value::Text("en".into()), map([(1, 1.into())]))]),
    ] {
        assert_eq!(refused(text.clone()), ErrorKind::TextMalformed, "{text:?}");
    }
}

/// One byte more, behind each part of an envelope that ends before its enclosing byte string does. All of it is signed.
#[test]
fn suit25_nothing_follows_any_part_of_a_signed_envelope() {
    const MORE: u8 = 0x17;
    let more = |part: &[u8]| [part, &[MORE]].concat();
    let section = sequence([simple(3)]);
    let nested = |command| sequence([command, simple(3)]);
    let with = |key, content: Vec<u8>| Parts::default().with(key, Value::Bytes(content)).signed();
    let common =
        map([(2, Value::Array(Parts::default().components)), (4, Value::Bytes(Parts::default().shared))]);
    let common = Value::Bytes(more(&encode(&common)));
    let manifest = encode(&map([(1, 1.into()), (2, 5.into()), (3, common)]));
    let mut cases = vec![
        ("the manifest", seal(&more(&Parts::default().manifest()), &[], &credential())),
        ("common", seal(&manifest, &[], &credential())),
        ("shared", Parts { shared: more(&sequence(identity())), ..Parts::default() }.signed()),
        ("install, severed", Parts::default().with_severed(20, &more(&section)).signed()),
        ("a sequence within", with(20, nested(run_sequence(more(&section))))),
        ("an alternative", with(20, nested(try_each([section.clone(), more(&section)])))),
        (
            "an image digest",
            with(20, nested(parameters([(3, Value::Bytes(more(&encode(&digest_value(-16, &IMAGE)))))]))),
        ),
    ];
    cases.extend([7, 9, 16, 20].map(|key| ("a section", with(key, more(&section)))));
    // The digest that is signed, and the array around it, which is not.
    let manifest = Parts::default().manifest();
    let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(&manifest)))));
    let signed = |digest: &[u8]| {
        let sign1 = trust::author::sign1_detached_chained(digest, &release_key(), &credential()).unwrap();
        Value::Array(vec![bytes(digest), bytes(&sign1)])
    };
    let envelope = |wrapper: &[u8]| {
        let members = vec![(2.into(), bytes(wrapper)), (3.into(), bytes(&manifest))];
        encode(&Value::Tag(107, Box::new(Value::Map(members))))
    };
    assert!(authenticate(&envelope(&encode(&signed(&digest)))).is_ok());
    cases.push(("the digest", envelope(&encode(&signed(&more(&digest))))));
    cases.push(("the authentication", envelope(&more(&encode(&signed(&digest))))));
    cases.push(("the envelope", more(&Parts::default().signed())));
    for (part, envelope) in cases {
        let refused = authenticate(&envelope).err().unwrap_or_else(|| panic!("{part} is accepted"));
        assert_eq!(refused.kind, ErrorKind::Malformed(Trust::TrailingBytes), "{part}");
        assert_eq!(refused.reason(), Reason::ManifestMalformed, "{part}");
        assert_eq!(envelope[refused.position as usize], MORE, "{part}");
    }

    let envelope = with(23, more(&encode(&text_map("en", vec![]))));
    let refused = authenticate(&envelope).unwrap().manifest().text().unwrap_err();
    assert_eq!((refused.kind, envelope[refused.position as usize]), (ErrorKind::TextMalformed, MORE));
}
