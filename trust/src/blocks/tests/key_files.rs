//! Public keys as other tools write them.

use std::format;

use ciborium::Value;

use super::*;
use crate::blocks::key::Named;
use crate::host::KeyFileError;

// The key of draft-ietf-suit-manifest-37 appendix B.
const X: &str = "8496811aae0baaabd26157189eecda26beaa8bf11b6f3fe6e2b5659c85dbc0ad";
const Y: &str = "3b1f2a4b6c098131c0a36dacd1d78bd381dcdfb09c052db33991db7338b4a896";

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

fn key(entries: Vec<(i64, Value)>) -> Vec<u8> {
    let entries = entries.into_iter().map(|(label, value)| (label.into(), value)).collect();
    let mut out = Vec::new();
    ciborium::into_writer(&Value::Map(entries), &mut out).unwrap();
    out
}

fn ec2(more: Vec<(i64, Value)>) -> Vec<u8> {
    let of_point = vec![(-1, 1.into()), (-2, Value::Bytes(unhex(X))), (-3, Value::Bytes(unhex(Y)))];
    key([vec![(1, 2.into())], more, of_point].concat())
}

#[test]
fn a_key_of_p256_is_read_from_each_form() {
    let spki = unhex(&format!("3059301306072a8648ce3d020106082a8648ce3d030107034200 04{X}{Y}"));
    let compressed = unhex(&format!("3039301306072a8648ce3d020106082a8648ce3d030107032200 02{X}"));
    let base64 = {
        use base64ct::Encoding as _;
        base64ct::Base64::encode_string(&spki)
    };
    let (first, second) = base64.split_at(64);
    let pem = format!(
        "\u{feff}the key\r\n-----BEGIN PUBLIC KEY-----\r\n{first}\r\n{second}\r\n-----END PUBLIC KEY-----\r\n"
    );
    let short = [(1, 2.into()), (-1, 1.into()), (-2, Value::Bytes(unhex(X))), (-3, Value::Bool(false))];
    let forms =
        [spki, compressed, pem.into_bytes(), ec2(vec![]), key(short.to_vec()), ec2(vec![(3, (-7).into())])];
    let kids = forms.map(|form| VerifyingKey::parse(&form).unwrap().kid());
    assert!(kids.iter().all(|kid| *kid == kids[0]));
    // RFC 9679: over the four members that an EC2 key has to have.
    assert_eq!(kids[0].0[..], crate::sha256(&ec2(vec![]))[..8]);
    let named = ec2(vec![(2, Value::Bytes(b"k1".to_vec())), (4, Value::Array(vec![2.into()]))]);
    let named = VerifyingKey::parse(&named).unwrap();
    assert_eq!((named.named_by(Some(b"k1")), named.named_by(Some(b"k2"))), (Named::Yes, Named::No));
    assert_eq!(named.curve_name(), "P-256");
}

#[test]
fn a_key_of_ed25519_is_read_as_everywhere() {
    let Signs::Ed25519(seed) = Signs::Ed25519(1) else { unreachable!() };
    let x = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes();
    let own = crate::PublicKey::from_bytes(&x).unwrap();
    let spki = [&unhex("302a300506032b6570032100")[..], &x].concat();
    let cose = key(vec![(1, 1.into()), (3, (-19).into()), (-1, 6.into()), (-2, Value::Bytes(x.to_vec()))]);
    let ssh = crate::host::to_ssh_line(&own, "me").into_bytes();
    for form in [own.to_cose_key().to_vec(), spki, cose, ssh] {
        let key = VerifyingKey::parse(&form).unwrap();
        assert_eq!((key.kid(), key.curve_name()), (own.kid(), "Ed25519"));
    }
}

#[test]
fn what_is_no_key_is_refused() {
    use VerifyingKeyError::*;
    let wrong_point = ec2(vec![])
        .iter()
        .rev()
        .enumerate()
        .map(|(i, b)| if i == 0 { b ^ 1 } else { *b })
        .rev()
        .collect::<Vec<_>>();
    type Is = fn(&VerifyingKeyError) -> bool;
    let cases: Vec<(Vec<u8>, Is)> = vec![
        (wrong_point, |error| matches!(error, Point)),
        (unhex(&format!("3059301306072a8648ce3d020106082a8648ce3d030107034200 04{X}{X}")), |error| {
            matches!(error, Point)
        }),
        // The neutral point
        (unhex("3019301306072a8648ce3d020106082a8648ce3d030107030200 00"), |error| matches!(error, Point)),
        // secp384r1, and a curve in parameters of its own
        (unhex(&format!("3056301006072a8648ce3d020106052b81040022034200 04{X}{Y}")), |error| {
            matches!(error, Curve)
        }),
        (unhex(&format!("304f300906072a8648ce3d0201034200 04{X}{Y}")), |error| matches!(error, Curve)),
        // d: a private key
        (ec2(vec![(-4, Value::Bytes(vec![7; 32]))]), |error| matches!(error, File(KeyFileError::PrivateKey))),
        (ec2(vec![(4, Value::Array(vec![1.into()]))]), |error| matches!(error, Operations)),
        (key(vec![(1, 2.into()), (-1, 1.into()), (-2, Value::Bytes(unhex(X)))]), |error| {
            matches!(error, Form)
        }),
        (
            key(vec![
                (1, 2.into()),
                (-1, 2.into()),
                (-2, Value::Bytes(unhex(X))),
                (-3, Value::Bytes(unhex(Y))),
            ]),
            |error| matches!(error, Curve),
        ),
        (
            key(vec![
                (1, 2.into()),
                (-1, 1.into()),
                (-2, Value::Bytes(unhex(X)[1..].to_vec())),
                (-3, Value::Bytes(unhex(Y))),
            ]),
            |error| matches!(error, Form),
        ),
        (key(vec![(1, 4.into()), (-1, Value::Bytes(vec![1; 32]))]), |error| matches!(error, Form)),
        (b"\xa1".to_vec(), |error| matches!(error, Form)),
        (b"".to_vec(), |error| matches!(error, File(KeyFileError::Empty))),
        (b"-----BEGIN PRIVATE KEY-----\n".to_vec(), |error| matches!(error, File(KeyFileError::PrivateKey))),
        (b"-----BEGIN EC PRIVATE KEY-----\n".to_vec(), |error| {
            matches!(error, File(KeyFileError::PrivateKey))
        }),
        (b"ecdsa-sha2-nistp256 AAAA".to_vec(), |error| matches!(error, Algorithm)),
        // RSA
        (unhex("301c300d06092a864886f70d0101010500030b00300802010302010300 00"), |_| true),
    ];
    for (file, is_it) in cases {
        let error = VerifyingKey::parse(&file).unwrap_err();
        assert!(is_it(&error), "{}: {error:?}", hex::encode(file));
        assert!(!format!("{error}").is_empty() && !error.hint().is_empty());
    }
}
