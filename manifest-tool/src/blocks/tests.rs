use suit_manifest::ErrorKind as Manifest;
use trust::{ErrorKind, Kid};

use super::*;

/// A block with these parts, as [`judge`] would make it of signers.
fn block(outcomes: &[Outcome]) -> Verdict<'static> {
    let part = |outcome: &Outcome| Part {
        algorithm: Some(Algorithm::Number(-7)),
        key_algorithm: None,
        kid: None,
        outcome: *outcome,
    };
    let parts: Vec<Part<'static>> = outcomes.iter().map(part).collect();
    Verdict { structure: Some(CoseStructure::Sign), outcome: outcomes[0], parts }
}

fn holds(key: u8) -> Outcome {
    Outcome::Holds(Kid([key; 8]))
}

const fn too_few(held: usize, wanted: usize) -> Shortfall {
    Shortfall::TooFew { held, wanted, eddsa_left_out: false }
}

const FAILS: Outcome = Outcome::Fails(trust::Error::new(ErrorKind::SignatureInvalid, 7));
const FIRST_FAILS: Result<usize, Shortfall> =
    Err(Shortfall::Fails(1, trust::Error::new(ErrorKind::SignatureInvalid, 7)));

/// docs/attacks.md, SUIT51.
#[test]
fn suit51_a_key_counts_once_however_many_blocks_it_made() {
    let (a, b) = (block(&[holds(1)]), block(&[holds(2)]));
    let twice = [a.clone(), a.clone()];
    assert_eq!(held(&twice, None), Ok(1));
    assert_eq!(held(&twice, Some(2)), Err(too_few(1, 2)));
    // One key in two structures, and two keys in one.
    let several = block(&[holds(1), holds(1)]);
    assert_eq!(held(&[a.clone(), several], Some(2)), Err(too_few(1, 2)));
    assert_eq!(held(&[block(&[holds(1), holds(2)])], Some(2)), Ok(2));
    assert_eq!(held(&[a, b], Some(2)), Ok(2));
}

/// docs/attacks.md, SUIT51.
#[test]
fn suit51_a_block_that_fails_is_passed_over_for_those_who_count_alone() {
    let (good, bad, foreign) = (block(&[holds(1)]), block(&[FAILS]), block(&[Outcome::NoKey]));
    let unsupported = block(&[Outcome::Unsupported]);
    assert_eq!(held(&[bad.clone(), good.clone()], None), FIRST_FAILS);
    assert_eq!(held(&[bad.clone(), good.clone()], Some(1)), Ok(1));
    assert_eq!(held(&[foreign.clone(), unsupported.clone(), good], None), Ok(1));
    assert_eq!(held(&[foreign, unsupported], None), Err(too_few(0, 1)));
    // EdDSA that nobody allowed, and EdDSA of another key.
    let eddsa = |outcome| {
        let mut block = block(&[outcome]);
        block.parts[0].algorithm = Some(Algorithm::Number(-8));
        block
    };
    let left_out = Shortfall::TooFew { held: 0, wanted: 1, eddsa_left_out: true };
    assert_eq!(held(&[eddsa(Outcome::Unsupported)], None), Err(left_out));
    assert_eq!(held(&[eddsa(Outcome::NoKey)], None), Err(too_few(0, 1)));
    assert!(left_out.hint().contains("--allow-eddsa") && !too_few(0, 1).hint().contains("--allow-eddsa"));
    assert_eq!(held(std::slice::from_ref(&bad), Some(1)), Err(too_few(0, 1)));
    assert_eq!(held(&[], None), Err(Shortfall::Unsigned));
    assert_eq!(held(&[], Some(1)), Err(Shortfall::Unsigned));
    // A block that fails as a whole gives none of its signers.
    let mut forged = block(&[FAILS, holds(1)]);
    forged.outcome = FAILS;
    assert_eq!(held(&[forged], Some(1)), Err(too_few(0, 1)));
}

#[test]
fn each_shortfall_has_a_code() {
    let missing = suit_manifest::Error::new(Manifest::SignatureMissing, 0).reason();
    for (shortfall, code, exit, position) in [
        (Shortfall::Unsigned, missing.slug(), 5, None),
        (Shortfall::Fails(2, trust::Error::new(ErrorKind::MacInvalid, 9)), "mac-invalid", 5, Some(9)),
        (too_few(1, 2), "blocks-too-few", 5, None),
    ] {
        assert_eq!((shortfall.code(), shortfall.exit_code(), shortfall.position()), (code, exit, position));
        assert!(!shortfall.hint().is_empty() && !shortfall.to_string().is_empty());
    }
}
