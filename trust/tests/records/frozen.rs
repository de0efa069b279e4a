//! Bytes of the first version of each record, made by another implementation (Python, `cryptography`).
//!
//! Never edit these: a new version of a format gets a vector of its own.

use trust::author::Signer as _;
use trust::{Credential, RevocationList, Role, verify_chained_sign1};

use super::roots::{PAYLOAD, anchors, chained, credential, key, revocation, store};

/// kid of the keys whose seeds are 32 times 1, and 32 times 2.
const ROOT_KID: &str = "dd2fb4e18b5e1ce3";
const RELEASE_KID: &str = "01565176601c895c";

const CREDENTIAL_V1: &str = concat!(
    "d83dd2845828a301320448dd2fb4e18b5e1ce3107818616e63686f726167652d63726564656e7469616c2b637774a058",
    "b0ab016c4578616d706c6520726f6f74026f4578616d706c652072656c65617365041a6b49d200051a6553f100061a65",
    "53f10007507777777777777777777777777777777708a101a3010120062158208139770ea87d175f56a35466c34c7ecc",
    "cb8d8a91b4ee37a25df60f5b8fc9b3943a00011170013a00011171a20150a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a10281",
    "50c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c13a00011175003a000111761affffffff5840bf7a6c290d14067ff880ac032a",
    "2f0db90f64d30734fea5c5cce3cb58ccb2202394b9f3d8e5c6e1b8eaa71b1c3ef680978bd9a5d3dc82d3cc195198e65a",
    "7d4606",
);

const REVOCATION_V1: &str = concat!(
    "d83dd2845828a301320448dd2fb4e18b5e1ce3107818616e63686f726167652d7265766f636174696f6e2b637774a058",
    "71a6016c4578616d706c6520726f6f74061a6553f1003a00011172033a000111738183010282481d55826ba1bf8dbb50",
    "999999999999999999999999999999993a00011174818350a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a150c1c1c1c1c1c1c1",
    "c1c1c1c1c1c1c1c1c1073a00011177a104015840ff8df5170841eef24aa3f81e459e028ccb2bb7e64bccece222746dfd",
    "d47787eb75d247c49ffa542c718f9dc2cc515a5a65545c065c5a3f38f2d94465befd5a04",
);

const CHAINED_V1: &str = concat!(
    "d2844da20132044801565176601c895ca10dd83dd2845828a301320448dd2fb4e18b5e1ce3107818616e63686f726167",
    "652d63726564656e7469616c2b637774a058b0ab016c4578616d706c6520726f6f74026f4578616d706c652072656c65",
    "617365041a6b49d200051a6553f100061a6553f10007507777777777777777777777777777777708a101a30101200621",
    "58208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3943a00011170013a00011171a20150",
    "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1028150c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c13a00011175003a000111761aff",
    "ffffff5840bf7a6c290d14067ff880ac032a2f0db90f64d30734fea5c5cce3cb58ccb2202394b9f3d8e5c6e1b8eaa71b",
    "1c3ef680978bd9a5d3dc82d3cc195198e65a7d4606f65840129d2eeae76bb466d2574fb3f215fd06745db01063df67de",
    "c5599c9d6e86e44cd170a17f0dc8c74033052bc03cee9fcb4e41868573aa360dcb9ccee5a3b8c301",
);

#[test]
fn frozen_kids() {
    assert_eq!(hex::encode(key(1).public_key().kid().0), ROOT_KID);
    assert_eq!(hex::encode(key(2).public_key().kid().0), RELEASE_KID);
}

#[test]
fn frozen_credential() {
    assert_eq!(hex::encode(credential()), CREDENTIAL_V1);
    let bytes = hex::decode(CREDENTIAL_V1).unwrap();
    assert!(Credential::verify(&bytes, &store(&anchors()), Role::Release).is_ok());
}

#[test]
fn frozen_revocation() {
    assert_eq!(hex::encode(revocation()), REVOCATION_V1);
    let bytes = hex::decode(REVOCATION_V1).unwrap();
    assert!(RevocationList::verify(&bytes, &anchors()).is_ok());
}

#[test]
fn frozen_chained_signature() {
    assert_eq!(hex::encode(chained()), CHAINED_V1);
    let bytes = hex::decode(CHAINED_V1).unwrap();
    assert!(verify_chained_sign1(&bytes, PAYLOAD, &store(&anchors()), Role::Release).is_ok());
}
