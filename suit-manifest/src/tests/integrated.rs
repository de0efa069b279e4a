//! The head of an envelope with an integrated payload, as it comes byte by byte.

use super::support::*;
use crate::author::{integrate, take_out};
use crate::{ErrorKind, Integrated};

const URI: &str = "#image";

/// Payloads whose lengths have heads of each size that a file can have.
fn payloads() -> [Vec<u8>; 4] {
    [1, 24, 256, 70_000].map(|len| vec![0xA5; len])
}

#[test]
fn suit64_what_is_before_the_payload_is_the_envelope_without_it() {
    let envelope = release();
    for payload in payloads() {
        let file = integrate(&envelope, &[(URI, &payload)]).unwrap();
        let head_len = file.len() - payload.len();
        for len in 0..head_len {
            assert_eq!(Integrated::find(&file[..len]), Ok(None), "{len} of {head_len}");
        }
        for len in head_len..(head_len + 30).min(file.len()) {
            let mut head = file[..len].to_vec();
            let found = Integrated::find(&head).unwrap().unwrap();
            assert_eq!((found.content_at, found.len), (head_len, payload.len() as u64));
            assert_eq!(found.uri(&head).as_bytes(), URI.as_bytes());
            Integrated::take_out(&mut head);
            assert_eq!(head[..found.key_at], take_out(&file, &[]).unwrap());
        }
    }
}

#[test]
fn suit64_other_envelopes_have_no_head() {
    let envelope = release();
    let refused = |bytes: &[u8]| Integrated::find(bytes).unwrap_err().kind;
    assert_eq!(refused(&envelope), ErrorKind::ImageReference);
    let two = integrate(&envelope, &[(URI, &[1]), ("#other", &[2])]).unwrap();
    assert_eq!(refused(&two), ErrorKind::IntegratedPayloadUnsupported);
    let file = integrate(&envelope, &[(URI, &[1, 2, 3])]).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = file.clone();
        change(&mut bytes);
        refused(&bytes)
    };
    let content_at = file.len() - 3;
    // Another tag; a number of members in more than one byte, and in more than it needs; a text in the place of bytes.
    assert_eq!(changed(&|file| file[1] -= 1), ErrorKind::Malformed(trust::ErrorKind::UnexpectedType));
    let members = |head: &[u8]| changed(&|file| drop(file.splice(2..3, head.iter().copied())));
    assert_eq!(members(&[0xB8, 24]), ErrorKind::EnvelopeMemberUnknown);
    assert_eq!(members(&[0xB8, 4]), ErrorKind::Malformed(trust::ErrorKind::NotCanonical));
    assert_eq!(
        changed(&|file| file[content_at - 1] = 0x63),
        ErrorKind::Malformed(trust::ErrorKind::UnexpectedType)
    );
    assert_eq!(
        changed(&|file| drop(file.splice(content_at - 1..content_at, [0x58, 3]))),
        ErrorKind::Malformed(trust::ErrorKind::NotCanonical)
    );
    // The payload before the others, and keys that are no text.
    let mut first = file[..3].to_vec();
    first.extend(&file[envelope.len()..]);
    first.extend(&envelope[3..]);
    assert_eq!(refused(&first), ErrorKind::IntegratedPayloadUnsupported);
    assert_eq!(
        changed(&|file| file[envelope.len()] = 0x46),
        ErrorKind::Malformed(trust::ErrorKind::UnexpectedType)
    );
}
