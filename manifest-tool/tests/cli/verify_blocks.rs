//! `verify --public-key`: several blocks, keys of every form, images; and what OpenSSL signs.

use coset::cbor::Value;
use coset::iana::Algorithm;
use coset::{CborSerializable as _, TaggedCborSerializable as _};
use coset::{CoseSign1Builder, CoseSignBuilder, CoseSignatureBuilder, Header, HeaderBuilder};
use serde_json::json;
use suit_manifest::author::tree::EnvelopeTree;
use trust::author::{Signer as _, SoftwareKey};

use super::drafts::{PUBLIC_KEY, example};
use super::openssl::openssl;
use super::personalize::{PERSONALIZE, desk};
use super::workshop::{Workshop, split};

/// What blocks of an envelope are over.
pub(super) fn payload(envelope: &[u8]) -> Vec<u8> {
    EnvelopeTree::read(envelope).unwrap().payload.bytes.to_vec()
}

/// The envelope with these blocks behind its own.
pub(super) fn with_blocks(envelope: &[u8], blocks: &[Vec<u8>]) -> Vec<u8> {
    let Value::Tag(107, content) = Value::from_slice(envelope).unwrap() else { panic!() };
    let Value::Map(mut members) = *content else { panic!() };
    let wrapper = members.iter_mut().find(|(key, _)| *key == 2.into()).unwrap();
    let Value::Array(mut items) = Value::from_slice(wrapper.1.as_bytes().unwrap()).unwrap() else { panic!() };
    items.extend(blocks.iter().cloned().map(Value::Bytes));
    wrapper.1 = Value::Bytes(Value::Array(items).to_vec().unwrap());
    Value::Tag(107, Box::new(Value::Map(members))).to_vec().unwrap()
}

fn header(algorithm: Algorithm) -> Header {
    HeaderBuilder::new().algorithm(algorithm).build()
}

/// By the key of OpenSSL in `NAME.pem`: r and s out of the DER that it writes.
fn es256(workshop: &Workshop, name: &str, message: &[u8]) -> Vec<u8> {
    workshop.write("message", message);
    openssl(workshop, &format!("dgst -sha256 -sign {name}.pem -out signature message"));
    let der = workshop.read("signature");
    let mut left = &der[2..];
    let mut number = || {
        let len = usize::from(left[1]);
        let bytes = left[2..2 + len].to_vec();
        left = &left[2 + len..];
        let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        [vec![0; 32 - digits.len()], digits].concat()
    };
    [number(), number()].concat()
}

fn sign1(header: Header, payload: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let made = CoseSign1Builder::new().protected(header);
    made.create_detached_signature(payload, b"", sign).build().to_tagged_vec().unwrap()
}

/// A signed release, and a key `p256.pem` of OpenSSL with its public half.
fn desk_with_p256() -> Workshop {
    let workshop = Workshop::with_release();
    openssl(&workshop, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem");
    openssl(&workshop, "pkey -in p256.pem -pubout -out p256.pub");
    workshop
}

/// The second opinion: OpenSSL signs what coset says is to be signed.
#[test]
fn blocks_of_openssl_hold_beside_ours() {
    let workshop = desk_with_p256();
    let signed = workshop.read("signed.suit");
    let payload = payload(&signed);
    let p256 = |message: &[u8]| es256(&workshop, "p256", message);
    let one = sign1(header(Algorithm::ESP256), &payload, p256);
    let several = CoseSignBuilder::new().add_detached_signature(
        CoseSignatureBuilder::new().protected(header(Algorithm::ES256)).build(),
        &payload,
        b"",
        p256,
    );
    workshop.write("two.suit", &with_blocks(&signed, &[one]));
    workshop.write("three.suit", &with_blocks(&signed, &[several.build().to_tagged_vec().unwrap()]));
    for (file, structure) in [("two.suit", "COSE_Sign1 (tag 18)"), ("three.suit", "COSE_Sign (tag 98)")] {
        let both = format!("verify {file} --public-key release.cose --public-key p256.pub --require 2");
        let verified = workshop.ok(&split(&both));
        assert_eq!((&verified["keys"], &verified["blocks"][1]["structure"]), (&json!(2), &json!(structure)));
        let words = workshop.run(&split(&both)).stdout;
        assert!(words.contains("under 2 of the given keys") && words.contains(structure), "{words}");
        // Either key alone is enough without --require, and not with it.
        for key in ["release.cose", "p256.pub"] {
            let line = format!("verify {file} --public-key {key}");
            assert_eq!(workshop.ok(&split(&line))["keys"], 1);
            let refused = workshop.run(&split(&format!("{line} --require 2 --json")));
            assert_eq!(refused.refusal(), ("blocks-too-few".into(), 5));
            let outcomes = refused.object()["error"]["blocks"].clone();
            let outcomes: Vec<_> =
                outcomes.as_array().unwrap().iter().map(|block| &block["outcome"]).collect();
            assert!(
                outcomes.contains(&&json!("holds")) && outcomes.contains(&&json!("no-key")),
                "{outcomes:?}"
            );
        }
        let shown = workshop.run(&["inspect", file]).stdout;
        assert!(shown.contains(structure) && shown.contains("(-19), key "), "{shown}");
    }
    // No device of ours takes two blocks.
    assert_eq!(workshop.refused(&split("verify two.suit --anchor root.cose")).0, "signature-multiple");
}

/// docs/attacks.md, SUIT51.
#[test]
fn suit51_a_block_that_is_there_twice_counts_once() {
    let workshop = desk_with_p256();
    let signed = workshop.read("signed.suit");
    let own = EnvelopeTree::read(&signed).unwrap().blocks[0].bytes.to_vec();
    workshop.write("twice.suit", &with_blocks(&signed, &[own]));
    let line = "verify twice.suit --public-key release.cose";
    assert_eq!(workshop.ok(&split(line))["keys"], 1);
    assert_eq!(workshop.refused(&split(&format!("{line} --require 2"))), ("blocks-too-few".into(), 5));
}

/// docs/attacks.md, SUIT51.
#[test]
fn suit51_a_block_that_fails_refuses_unless_keys_are_counted() {
    let workshop = desk_with_p256();
    let signed = workshop.read("signed.suit");
    let forged =
        sign1(header(Algorithm::ES256), b"another digest", |message| es256(&workshop, "p256", message));
    workshop.write("forged.suit", &with_blocks(&signed, &[forged]));
    let line = "verify forged.suit --public-key release.cose --public-key p256.pub";
    let refused = workshop.run(&split(&format!("{line} --json")));
    assert_eq!(refused.refusal(), ("signature-invalid".into(), 5));
    assert!(refused.object()["error"]["position"].as_u64().is_some_and(|position| position > 100));
    let words = workshop.run(&split(line)).stderr;
    assert!(words.contains("block 2") && words.contains("FAILS [signature-invalid"), "{words}");
    assert_eq!(workshop.ok(&split(&format!("{line} --require 1")))["keys"], 1);
    assert_eq!(workshop.refused(&split(&format!("{line} --require 2"))).0, "blocks-too-few");
}

#[test]
fn an_envelope_that_nobody_given_signed_is_refused() {
    let workshop = desk_with_p256();
    workshop.write("draft.pem", PUBLIC_KEY.as_bytes());
    let code = |line: &str| workshop.refused(&split(line));
    assert_eq!(code("verify unsigned.suit --public-key release.cose"), ("signature-missing".into(), 5));
    assert_eq!(code("verify signed.suit --public-key root.cose"), ("blocks-too-few".into(), 5));
    assert_eq!(code("verify signed.suit --public-key p256.pub"), ("blocks-too-few".into(), 5));
    // It names no key: any of its curve is tried.
    workshop.write("draft.suit", &example(0));
    assert_eq!(code("verify draft.suit --public-key p256.pub"), ("signature-invalid".into(), 5));
    assert_eq!(code("verify draft.suit --public-key release.cose"), ("blocks-too-few".into(), 5));
    workshop.ok(&split("verify draft.suit --public-key p256.pub --public-key draft.pem"));
    // Keys, and files that are none.
    for (file, expected) in
        [("p256.pem", "private"), ("release.pem", "private"), ("image.bin", "neither"), ("absent", "absent")]
    {
        let run = workshop.run(&["verify", "draft.suit", "--public-key", file]);
        assert!(run.stderr.contains(expected), "{file}: {run:?}");
        assert_eq!(run.exit, if file == "absent" { 3 } else { 4 }, "{file}: {run:?}");
    }
    assert_eq!(code("verify draft.suit --public-key p256.pem"), ("key-invalid".into(), 4));
}

#[test]
fn an_image_is_compared_with_what_the_manifest_names() {
    let workshop = desk_with_p256();
    let line = "verify signed.suit --public-key release.cose --image";
    let verified = workshop.ok(&split(&format!("{line} image.bin")));
    let not_checked = json!(["credential", "scope", "revocation", "device"]);
    assert_eq!((&verified["image_verified"], &verified["not_checked"]), (&json!(true), &not_checked));
    let other = workshop.refused(&split(&format!("{line} p256.pub")));
    assert_eq!(other, ("image-digest-mismatch".into(), 5));
    workshop.two_slots();
    for image in ["image.bin", "image2.bin"] {
        let line = format!("verify two.suit --public-key release.cose --image {image}");
        assert_eq!(workshop.ok(&split(&line))["image_verified"], true);
    }
    // A manifest without an image.
    workshop.write("draft.pem", PUBLIC_KEY.as_bytes());
    workshop.write("draft.suit", &example(4));
    let run = workshop.run(&split("verify draft.suit --public-key draft.pem --image image.bin --json"));
    assert_eq!(run.refusal(), ("image-digest-mismatch".into(), 5));
}

/// docs/attacks.md, SUIT49.
#[test]
fn suit49_verify_takes_eddsa_from_those_who_ask_for_it() {
    let workshop = Workshop::with_release();
    let unsigned = workshop.read("unsigned.suit");
    let key = SoftwareKey::from_seed(&[7; 32]).unwrap();
    workshop.write("old.cose", &key.public_key().to_cose_key());
    let block = sign1(header(Algorithm::EdDSA), &payload(&unsigned), |message| {
        trust::author::signature(&key, message).unwrap().to_vec()
    });
    workshop.write("old.suit", &with_blocks(&unsigned, &[block]));
    let line = "verify old.suit --public-key old.cose";
    let refused = workshop.run(&split(&format!("{line} --json")));
    assert_eq!(refused.refusal(), ("blocks-too-few".into(), 5));
    assert_eq!(refused.object()["error"]["blocks"][0]["outcome"], "unsupported");
    assert_eq!(workshop.ok(&split(&format!("{line} --allow-eddsa")))["keys"], 1);
}

/// The MAC of a personal envelope, under the keys of the one device.
#[test]
fn a_mac_is_judged_with_the_keys_of_a_block() {
    let workshop = desk();
    workshop.ok(&split(PERSONALIZE));
    let verified = workshop.ok(&split("verify out/A-0001.suit --keys-of batch/A-0001.block"));
    let block = &verified["blocks"][0];
    assert_eq!(
        (&block["structure"], &block["parts"][0]["algorithm"], &block["outcome"]),
        (&json!("COSE_Mac0 (tag 17)"), &json!("HMAC 256/256 (5)"), &json!("holds"))
    );
    let other = workshop.refused(&split("verify out/A-0001.suit --keys-of batch/A-0002.block"));
    assert_eq!(other, ("blocks-too-few".into(), 5));
}
