//! Headers and forms, in literal bytes.

use std::borrow::ToOwned as _;
use std::format;
use std::string::String;

use super::*;

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

/// A COSE_Sign1 of these header maps whose signature is over them: only what is wrong with the headers refuses it.
fn signed(headers: &str, signs: &Signs) -> Vec<u8> {
    let mut reader_of = unhex(headers);
    let protected_len = usize::from(reader_of[0] & 0x1f);
    let protected = reader_of.drain(..=protected_len).skip(1).collect::<Vec<_>>();
    let signature = signs.sign(&structure("Signature1", &[&protected, b"", PAYLOAD]));
    [&unhex("d284"), &unhex(headers)[..], &unhex("f65840"), &signature].concat()
}

/// docs/attacks.md, SUIT49.
#[test]
fn suit49_what_is_not_protected_says_nothing_about_a_signature() {
    use ErrorKind::*;
    let key = [Signs::P256(2).public()];
    for (headers, refused) in [
        // {1: -7}; the same with {4: 'k'} beside it, and with headers that nobody knows in both maps
        ("43a10126 a0", None),
        ("43a10126 a104416b", None),
        ("49a301260900626b7401 a1 18210a", None),
        ("43a10126 a10126", Some(HeaderUnknown)),
        ("43a10126 a10132", Some(HeaderUnknown)),
        ("40 a10126", Some(HeaderUnknown)),
        ("41a0 a10126", Some(HeaderUnknown)),
        ("40 a0", Some(HeaderMissing)),
        ("41a0 a0", Some(HeaderMissing)),
        ("46a2012602810a a0", Some(CriticalHeader)),
        ("46a20126028104 a0", Some(CriticalHeader)),
        ("43a10126 a102810a", Some(CriticalHeader)),
        ("46a2012604416b a104416b", Some(HeaderUnknown)),
        ("46a20126182100 a1182100", Some(HeaderUnknown)),
        ("45a201260126 a0", Some(KeyOrder)),
        ("43a10126 a204416b04416b", Some(KeyOrder)),
        ("43a10126 a2182100 0900", Some(KeyOrder)),
        ("44a1013800 a0", Some(NotCanonical)),
        ("43a10126 a14000", Some(UnexpectedType)),
        ("43a10126 a10400", Some(UnexpectedType)),
        ("44a1012600 a0", Some(TrailingBytes)),
    ] {
        let block = signed(headers, &Signs::P256(2));
        let verdict = verdict(&block, &key);
        match refused {
            None => assert!(matches!(verdict.outcome, Outcome::Holds(_)), "{headers}: {:?}", verdict.outcome),
            Some(kind) => assert_eq!(fault(&block, &key), Some(kind), "{headers}"),
        }
    }
}

#[test]
fn suit49_an_attached_payload_is_refused() {
    let signature = "5840".to_owned() + &"01".repeat(64);
    let tag = "5820".to_owned() + &"01".repeat(32);
    let payload = format!("5824{}", hex::encode(PAYLOAD));
    let keys = given();
    for (block, start) in [
        (format!("d284 43a10126 a0 {payload} {signature}"), "d284 43a10126 a0"),
        (format!("d862 84 40 a0 {payload} 81 83 43a10126 a0 {signature}"), "d862 84 40 a0"),
        (format!("d184 43a10105 a0 {payload} {tag}"), "d184 43a10105 a0"),
        (format!("d861 85 43a10105 a0 {payload} {tag} 81 83 40 a10125 40"), "d861 85 43a10105 a0"),
    ] {
        let bytes = unhex(&block);
        let Outcome::Fails(error) = verdict(&bytes, &keys).outcome else { panic!("{block}") };
        let position = u32::try_from(unhex(start).len()).unwrap();
        assert_eq!(error, Error::new(ErrorKind::UnexpectedType, position), "{block}");
    }
}

/// Each of the four ways to end is told apart.
#[test]
fn structures_and_algorithms_that_are_not_known_are_unsupported() {
    let signature = "5840".to_owned() + &"01".repeat(64);
    let outcome = |block: &str| verdict(&unhex(block), &given()).outcome;
    for unsupported in [
        // ES384, HSS-LMS, RS256, a name, EdDSA that nobody allowed
        format!("d284 44a1013822 a0 f6 {signature}"),
        format!("d284 44a101382d a0 f6 {signature}"),
        format!("d284 45a101390100 a0 f6 {signature}"),
        format!("d284 48a10165 4553323536 a0 f6 {signature}"),
        format!("d284 43a10127 a0 f6 {signature}"),
        // HMAC 256/64, HMAC 512/512
        format!("d184 43a10104 a0 f6 {signature}"),
        format!("d861 85 43a10107 a0 f6 {signature} 81 83 40 a10125 40"),
        // untagged, COSE_Encrypt0, COSE_Encrypt
        format!("84 43a10126 a0 f6 {signature}"),
        "d083 43a10101 a0 f6".to_owned(),
        "d860 84 43a10101 a0 f6 80".to_owned(),
        // HMAC 256/256, its key by ECDH-ES+A128KW
        format!("d861 85 43a10105 a0 f6 5820{} 81 83 44a101381c a0 40", "01".repeat(32)),
    ] {
        assert_eq!(outcome(&unsupported), Outcome::Unsupported, "{unsupported}");
    }
    for malformed in ["", "d2", "d240", "d284", "f6", "d83d d284 43a10126 a0 f6 40", "d28480a0f640"] {
        assert!(matches!(outcome(malformed), Outcome::Fails(_)), "{malformed}");
    }
    // Neither is a signature of that algorithm, whoever's.
    for malformed in
        [format!("d284 43a10126 a0 f6 583f{}", "01".repeat(63)), "d284 43a10132 a0 f6 40".to_owned()]
    {
        assert!(matches!(outcome(&malformed), Outcome::Fails(_)), "{malformed}");
    }
    let long = vec![0; MAX_BLOCK_LEN + 1];
    assert_eq!(fault(&long, &[]), Some(ErrorKind::TooLong));
}

/// docs/attacks.md, SUIT49.
#[test]
fn suit49_eddsa_is_for_those_who_allow_it() {
    let block = sign1(HeaderBuilder::new().algorithm(Alg::EdDSA).build(), &Signs::Ed25519(1));
    let given = given();
    let judged = |allow_eddsa| {
        let keys = Keys { public: &given, device: None, allow_eddsa };
        judge(Span { bytes: &block, base: 0 }, PAYLOAD, &keys).outcome
    };
    assert_eq!(judged(false), Outcome::Unsupported);
    assert_eq!(judged(true), Outcome::Holds(given[0].kid()));
}

/// RFC 9052 section 4.4: no protected headers are an empty string in what is signed, however they were written.
#[test]
fn an_empty_map_around_the_signers_is_as_good_as_none() {
    let message = structure("Signature", &[b"", b"\xa1\x01\x26", b"", PAYLOAD]);
    let signature = hex::encode(Signs::P256(2).sign(&message));
    for body in ["40", "41a0"] {
        let block = unhex(&format!("d862 84 {body} a0 f6 81 83 43a10126 a0 5840{signature}"));
        let outcome = verdict(&block, &[Signs::P256(2).public()]).outcome;
        assert!(matches!(outcome, Outcome::Holds(_)), "{body}: {outcome:?}");
    }
    // alg has no place there (section 4.1); what else is there is signed.
    for body in ["43a10126", "43a10900"] {
        let block = unhex(&format!("d862 84 {body} a0 f6 81 83 43a10126 a0 5840{signature}"));
        assert!(fault(&block, &[Signs::P256(2).public()]).is_some(), "{body}");
    }
}

/// RFC 9052 sections 8.5.1 and 8.5.2.
#[test]
fn recipients_of_a_mac_are_as_their_algorithms_ask() {
    use ErrorKind::*;
    let block = |recipients: &str| {
        let tag = hex::encode(hmac(&MAC_KEY, &structure("MAC", &[b"\xa1\x01\x05", b"", PAYLOAD])));
        unhex(&format!("d861 85 43a10105 a0 f6 5820{tag} {recipients}"))
    };
    let kid: String = hex::encode(MAC_KID);
    for (recipients, refused) in [
        (format!("81 83 40 a2 0125 0448{kid} 40"), None),
        (format!("81 83 41a0 a2 0125 0448{kid} 40"), None),
        ("81 83 43a10125 a0 40".to_owned(), Some(HeaderUnknown)),
        ("81 83 40 a10125 4100".to_owned(), Some(UnexpectedType)),
        ("81 84 40 a10125 40 80".to_owned(), Some(UnexpectedType)),
        ("82 83 40 a10125 40 83 40 a10125 40".to_owned(), Some(TooMany)),
        ("82 83 40 a10125 40 83 44a101381c a0 40".to_owned(), Some(TooMany)),
        ("80".to_owned(), Some(OutOfRange)),
        ("81 83 40 a2012204416b 40".to_owned(), Some(UnexpectedType)),
        ("81 83 40 a0 40".to_owned(), Some(HeaderMissing)),
        ("81 83 40 a2012502810a 40".to_owned(), Some(CriticalHeader)),
        ("81 82 40 a10125".to_owned(), Some(UnexpectedType)),
    ] {
        let block = block(&recipients);
        match refused {
            None => {
                assert!(matches!(verdict(&block, &[]).outcome, Outcome::Holds(_)), "{recipients}");
            }
            Some(_) => assert!(fault(&block, &[]).is_some(), "{recipients}"),
        }
        if let Some(kind) = refused.filter(|_| !recipients.starts_with("81 82")) {
            assert_eq!(fault(&block, &[]), Some(kind), "{recipients}");
        }
    }
    let name = hex::encode(UPDATE_KID);
    // Wrapped by nobody, under the device's name.
    let wrapped = block(&format!("81 83 40 a2 0122 0448{name} 5828{}", "00".repeat(40)));
    assert_eq!(fault(&wrapped, &[]), Some(KeyUnwrap));
    for nameless in [format!("81 83 40 a1 0122 5828{}", "00".repeat(40)), "81 83 40 a10125 40".to_owned()] {
        assert_eq!(verdict(&block(&nameless), &[]).outcome, Outcome::NoKey, "for nobody");
    }
}
