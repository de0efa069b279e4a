//! Each bit and each length of each kind of block.

use super::*;

/// docs/attacks.md, SUIT48. A signer of a COSE_Sign whose header names another key or algorithm is none that was given, as if somebody
/// had left it away: then one key fewer holds.
#[test]
fn suit48_every_bit_and_every_shorter_block_is_refused() {
    let given = given();
    for (block, structure, _) in all() {
        let whole = verdict(&block, &given).keys().count();
        for bit in 0..block.len() * 8 {
            let mut changed = block.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let holds = verdict(&changed, &given).keys().count();
            assert!(holds < whole, "{structure:?}, bit {bit}");
        }
        for len in 0..block.len() {
            assert!(fault(&block[..len], &given).is_some(), "{structure:?}, {len} bytes");
        }
        let longer = [&block[..], &[0]].concat();
        assert_eq!(fault(&longer, &given), Some(ErrorKind::TrailingBytes));
    }
}

/// A signer or recipient that fails is not made good by another one, and one of somebody else is no obstacle.
#[test]
fn suit48_each_signer_of_a_cose_sign_is_judged() {
    let signers = || {
        vec![
            (protected(Alg::Ed25519, &Signs::Ed25519(1).public().kid().0), Signs::Ed25519(1)),
            (protected(Alg::ES256, &Signs::P256(2).public().kid().0), Signs::P256(2)),
        ]
    };
    let one = |outcome: Outcome| matches!(outcome, Outcome::Holds(_));
    let good = sign(signers());
    let first = verdict(&good, &given()[..1]);
    assert!(one(first.outcome) && one(first.parts[0].outcome) && first.parts[1].outcome == Outcome::NoKey);
    assert_eq!(verdict(&good, &[Signs::P256(9).public()]).outcome, Outcome::NoKey);
    assert_eq!(verdict(&good, &[]).outcome, Outcome::NoKey);

    // The second signature is by somebody else, under the first key's eyes.
    let mut forged = signers();
    forged[1].1 = Signs::P256(9);
    let forged = sign(forged);
    let judged = verdict(&forged, &given());
    assert!(one(judged.parts[0].outcome) && !one(judged.outcome), "{:?}", judged.outcome);
    assert_eq!(judged.keys().count(), 0);
    assert!(one(verdict(&forged, &given()[..1]).outcome), "nobody gave the second key");

    // Several recipients of one MAC: that of another device is passed over.
    let two = mac(&CONTENT_MAC_KEY, vec![wrapped(b"update-2"), wrapped(UPDATE_KID)]);
    let judged = verdict(&two, &[]);
    assert!(one(judged.outcome) && judged.parts[0].outcome == Outcome::NoKey);
    assert_eq!(
        verdict(&mac(&CONTENT_MAC_KEY, vec![wrapped(b"update-2")]), &[]).outcome,
        Outcome::NoKey,
        "for another device"
    );
}
