//! Bytes of the first version of each record, made by another implementation (Python, `cryptography`).
//!
//! Never edit these: a new version of a format gets a vector of its own.

use super::roots::{PAYLOAD, anchors, chained, credential, key, revocation, store};
use trust::author::Signer as _;
use trust::{Credential, RevocationList, Role, verify_chained_sign1};

/// kid of the keys whose seeds are 32 times 1, and 32 times 2.
const ROOT_KID: &str = "dd2fb4e18b5e1ce3";
const RELEASE_KID: &str = "01565176601c895c";

const CREDENTIAL_V1: &str = concat!(
    "d83dd2845828a301320448dd2fb4e18b5e1ce3107818616e63686f726167652d63726564656e7469616c2b637774a058",
    "a0a9016c4578616d706c6520726f6f74026f4578616d706c652072656c65617365041a6b49d200051a6553f100061a65",
    "53f10007507777777777777777777777777777777708a101a3010120062158208139770ea87d175f56a35466c34c7ecc",
    "cb8d8a91b4ee37a25df60f5b8fc9b3943a00011170013a00011171a20150a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a10281",
    "50c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c15840c427d89de1feded73caadbfee72ec2f876231e19141ceae0f054bb2711",
    "b91ba6b1108b0728b4333ba1171abac4e399a5a5d09398e41e82f6334405ede925360c",
);

const REVOCATION_V1: &str = concat!(
    "d83dd2845828a301320448dd2fb4e18b5e1ce3107818616e63686f726167652d7265766f636174696f6e2b637774a058",
    "65a5016c4578616d706c6520726f6f74061a6553f1003a00011172033a0001117382481d55826ba1bf8dbb5099999999",
    "9999999999999999999999993a00011174818350a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a150c1c1c1c1c1c1c1c1c1c1c1",
    "c1c1c1c1c107584022f704eb91a5d817989fc9bd742e510c5fe31071f22b9cd8ad40b21ba8901d59c158a3263441eabe",
    "c06676cf3ffd80e6c46666c9582074993ae184cf3d5c3605",
);

const CHAINED_V1: &str = concat!(
    "d2844da20132044801565176601c895ca10dd83dd2845828a301320448dd2fb4e18b5e1ce3107818616e63686f726167",
    "652d63726564656e7469616c2b637774a058a0a9016c4578616d706c6520726f6f74026f4578616d706c652072656c65",
    "617365041a6b49d200051a6553f100061a6553f10007507777777777777777777777777777777708a101a30101200621",
    "58208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3943a00011170013a00011171a20150",
    "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1028150c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c15840c427d89de1feded73caadb",
    "fee72ec2f876231e19141ceae0f054bb2711b91ba6b1108b0728b4333ba1171abac4e399a5a5d09398e41e82f6334405",
    "ede925360cf65840129d2eeae76bb466d2574fb3f215fd06745db01063df67dec5599c9d6e86e44cd170a17f0dc8c740",
    "33052bc03cee9fcb4e41868573aa360dcb9ccee5a3b8c301",
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
