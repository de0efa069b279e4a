//! Which key is tried for which block.

use super::*;

fn named(signs: &Signs, name: &[u8], algorithm: Option<i64>) -> VerifyingKey {
    signs.public().with(Some(name.to_vec()), algorithm)
}

/// docs/attacks.md, SUIT50.
#[test]
fn suit50_a_key_is_tried_for_blocks_of_its_name_alone() {
    let key = Signs::P256(2);
    let with_kid = |kid: &[u8]| sign1(protected(Alg::ES256, kid), &key);
    let outcome = |block: &[u8], key: VerifyingKey| verdict(block, &[key]).outcome;
    let holds = Outcome::Holds(key.public().kid());
    let thumbprint = *key.public().thumbprint();
    for kid in [&thumbprint[..], &thumbprint[..8], b"signing-key-1"] {
        // Without a name of its own, it is tried: a kid is what an author likes.
        assert_eq!(outcome(&with_kid(kid), key.public()), holds);
    }
    assert_eq!(outcome(&with_kid(b"signing-key-1"), named(&key, b"signing-key-1", None)), holds);
    assert_eq!(outcome(&with_kid(b"signing-key-2"), named(&key, b"signing-key-1", None)), Outcome::NoKey);
    assert_eq!(outcome(&with_kid(&thumbprint[..8]), named(&key, b"signing-key-1", None)), holds);
    // Of another key, of which nobody gave the public half; and one that lies about its name.
    let foreign = sign1(protected(Alg::ES256, b"signing-key-2"), &Signs::P256(9));
    assert_eq!(outcome(&foreign, key.public()), Outcome::NoKey);
    let lie = sign1(protected(Alg::ES256, &thumbprint[..8]), &Signs::P256(9));
    assert!(matches!(outcome(&lie, key.public()), Outcome::Fails(_)));
    let nameless = sign1(HeaderBuilder::new().algorithm(Alg::ES256).build(), &Signs::P256(9));
    assert!(matches!(outcome(&nameless, key.public()), Outcome::Fails(_)));
    // One of several.
    assert_eq!(verdict(&nameless, &[key.public(), Signs::P256(9).public()]).keys().count(), 1);
    // MACs are for the key that they name.
    assert_eq!(verdict(&mac0(b"mac-of-2"), &[]).outcome, Outcome::NoKey);
    assert_eq!(verdict(&mac(&MAC_KEY, vec![direct(b"mac-of-2")]), &[]).outcome, Outcome::NoKey);
    let without = judge(Span { bytes: &mac0(MAC_KID), base: 0 }, PAYLOAD, &Keys::default()).outcome;
    assert_eq!(without, Outcome::NoKey);
}

/// docs/attacks.md, SUIT50.
#[test]
fn suit50_a_key_of_one_algorithm_is_for_no_other() {
    let key = Signs::P256(2);
    let block = sign1(HeaderBuilder::new().algorithm(Alg::ES256).build(), &key);
    assert!(matches!(verdict(&block, &[named(&key, b"k", Some(-7))]).outcome, Outcome::Holds(_)));
    for other in [-9, -19, -35] {
        assert_eq!(verdict(&block, &[named(&key, b"k", Some(other))]).outcome, Outcome::NoKey);
    }
    // A key of the other curve is none for it.
    assert_eq!(verdict(&block, &[Signs::Ed25519(1).public()]).outcome, Outcome::NoKey);
}

/// FIPS 186-5 section 6.4.2: n - s is as good as s. Nothing is named by the bytes of a block.
#[test]
fn both_halves_of_s_verify() {
    let key = Signs::P256(2);
    let block = sign1(HeaderBuilder::new().algorithm(Alg::ESP256).build(), &key);
    let (head, signature) = block.split_at(block.len() - 64);
    let signature = p256::ecdsa::Signature::from_slice(signature).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    let other = [head, &other.to_bytes()].concat();
    assert_ne!(other, block);
    assert!(matches!(verdict(&other, &[key.public()]).outcome, Outcome::Holds(_)));
}
