//! Members that come and go: what is signed keeps its bytes.

use proptest::prelude::*;

use super::published::*;
use super::support::*;
use crate::author::tree::{EnvelopeTree, Member, MemberKey};
use crate::author::{AuthorError, integrate, sever, sever_text, take_out};
use crate::vocabulary::{EnvelopeElement, ManifestElement};
use crate::{Envelope, ErrorKind, MAX_ENVELOPE_LEN, MAX_INTEGRATED_LEN};

fn keys(envelope: &[u8]) -> Vec<String> {
    let tree = EnvelopeTree::read(envelope).unwrap();
    let name = |key| match key {
        MemberKey::Element(element) => EnvelopeElement::name(element).to_owned(),
        MemberKey::Uri(uri) => uri.to_owned(),
    };
    tree.members.iter().map(|member| name(member.key)).collect()
}

/// An envelope with each severable element in it.
fn everything_severed() -> Vec<u8> {
    let elements = EnvelopeElement::ALL.iter().filter(|element| element.is_severable());
    let parts = elements.fold(Parts::default(), |parts, element| {
        let content = match element {
            EnvelopeElement::Text => encode(&map([])),
            EnvelopeElement::Coswid => encode(&map([])),
            _ => sequence([simple(3)]),
        };
        parts.with_severed(element.number(), &content)
    });
    parts.signed()
}

#[test]
fn suit36_severing_leaves_the_signature_as_it_is() {
    let whole = everything_severed();
    let severable =
        ["coswid", "dependency-resolution", "payload-fetch", "candidate-verification", "install", "text"];
    assert_eq!(keys(&whole), [&["authentication-wrapper", "manifest"][..], &severable].concat());
    let before = EnvelopeTree::read(&whole).unwrap();
    for element in EnvelopeElement::ALL {
        let without = sever(&whole, &[*element]).unwrap();
        let after = EnvelopeTree::read(&without).unwrap();
        let is_gone = !keys(&without).contains(&element.name().to_owned());
        assert_eq!(is_gone, element.is_severable(), "{element:?}");
        assert_eq!(is_gone, without.len() < whole.len(), "{element:?}");
        assert_eq!(after.digest, before.digest);
        assert_eq!(after.blocks[0].bytes, before.blocks[0].bytes);
        let number = ManifestElement::from_number(element.number()).unwrap();
        if number.is_sequence() && number.is_severable() {
            let (_, member) = after.manifest.sections.iter().find(|(known, _)| *known == number).unwrap();
            assert!(matches!(member, Member::Severed(_, None)), "{element:?}");
        }
    }
    let bare = sever(&whole, EnvelopeElement::ALL).unwrap();
    assert_eq!(keys(&bare), ["authentication-wrapper", "manifest"]);
    assert_eq!(sever(&bare, EnvelopeElement::ALL).unwrap(), bare);

    // What a device takes stays what it takes.
    let release = release();
    let severed = sever_text(&release).unwrap();
    assert_eq!(authenticate(&severed).unwrap().digest(), authenticate(&release).unwrap().digest());
}

#[test]
fn suit36_what_is_integrated_comes_out_as_it_went_in() {
    let release = release();
    let long = vec![0x5A; 70_000];
    let payloads = [("#b", &b"one"[..]), ("#aa", &long), ("#a", b"")];
    let bundle = integrate(&release, &payloads).unwrap();
    // RFC 8949 section 4.2.1: shorter keys first.
    assert_eq!(keys(&bundle), ["authentication-wrapper", "manifest", "text", "#a", "#b", "#aa"]);
    let tree = EnvelopeTree::read(&bundle).unwrap();
    for (uri, payload) in payloads {
        assert_eq!(tree.integrated(uri).unwrap().content.bytes, payload);
    }
    assert_eq!(take_out(&bundle, &[]).unwrap(), release);
    let rest = take_out(&bundle, &["#b", "#none"]).unwrap();
    assert_eq!(rest, integrate(&release, &[payloads[2], payloads[1]]).unwrap());
    assert_eq!(
        keys(&sever_text(&bundle).unwrap()),
        ["authentication-wrapper", "manifest", "#a", "#b", "#aa"]
    );
    // A loader says what it is, and takes none.
    assert_eq!(
        Envelope::parse(&integrate(&release, &payloads[..1]).unwrap()).unwrap_err().kind,
        ErrorKind::IntegratedPayloadUnsupported
    );
    // One URI, one payload.
    for twice in [integrate(&bundle, &[("#b", b"two")]), integrate(&release, &[("#c", b"1"), ("#c", b"2")])] {
        assert!(
            matches!(twice, Err(AuthorError::Refused(error)) if matches!(error.kind, ErrorKind::Malformed(_)))
        );
    }
    // A published dependency comes out as it stands.
    let published = hex::decode(INTEGRATED_DEPENDENCY).unwrap();
    let tree = EnvelopeTree::read(&published).unwrap();
    let dependency = tree.integrated("#dependent.suit").unwrap().content.bytes;
    let without = take_out(&published, &[]).unwrap();
    assert_eq!(integrate(&without, &[("#dependent.suit", dependency)]).unwrap(), published);
}

/// The room for payloads is none for a manifest.
#[test]
fn suit36_what_is_not_integrated_keeps_its_limit() {
    let release = release();
    let limit = MAX_INTEGRATED_LEN;
    let bundle = integrate(&release, &[("#image", &vec![0; limit])]).unwrap();
    assert_eq!(EnvelopeTree::read(&bundle).unwrap().integrated[0].content.bytes.len(), limit);
    let too_long = integrate(&release, &[("#image", &vec![0; limit + MAX_ENVELOPE_LEN])]);
    assert!(
        matches!(too_long, Err(AuthorError::Refused(error)) if error.kind == ErrorKind::EnvelopeTooLarge)
    );
    // A text for people, or a manifest, of that length.
    let text = encode(&map([]));
    for len in [MAX_ENVELOPE_LEN - 2000, MAX_ENVELOPE_LEN] {
        let mut parts = Parts::default().with_severed(23, &text);
        parts = parts.with(4, "x".repeat(len).into());
        let read = EnvelopeTree::read(&parts.signed()).map(drop).map_err(|error| error.kind);
        let expected = if len == MAX_ENVELOPE_LEN {
            ErrorKind::EnvelopeTooLarge
        } else {
            // A URI has a limit of its own.
            ErrorKind::Malformed(trust::ErrorKind::TooLong)
        };
        assert_eq!(read, Err(expected));
    }
}

proptest! {
    /// Whatever goes in, in whatever order.
    #[test]
    fn suit36_any_payloads_come_out_as_they_went_in(
        payloads in proptest::collection::btree_map("#?[a-z]{0,30}", proptest::collection::vec(any::<u8>(), 0..300), 0..5),
    ) {
        let release = release();
        let payloads: Vec<(&str, &[u8])> =
            payloads.iter().map(|(uri, payload)| (uri.as_str(), payload.as_slice())).collect();
        let bundle = integrate(&release, &payloads).unwrap();
        let reversed: Vec<_> = payloads.iter().rev().copied().collect();
        prop_assert_eq!(&integrate(&release, &reversed).unwrap(), &bundle);
        let tree = EnvelopeTree::read(&bundle).unwrap();
        prop_assert_eq!(tree.integrated.len(), payloads.len());
        for (uri, payload) in payloads {
            prop_assert_eq!(tree.integrated(uri).unwrap().content.bytes, payload);
        }
        prop_assert_eq!(take_out(&bundle, &[]).unwrap(), release);
    }
}
