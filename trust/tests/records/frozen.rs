//! Bytes of the first version of each record, made by another implementation (Python, `cryptography`).
//!
//! Never edit these: a new version of a format gets a vector of its own.

use trust::author::{Signer as _, prepare_ledger_head, prepare_transcript_end};
use trust::{
    Credential, ErrorKind, LedgerHead, MAX_TRANSCRIPT_LINES, RevocationList, Role, SuccessionNumber,
    TranscriptEnd, TrustStoreBuf, UnixTime, encode_succession_chain, verify_chained_sign1,
};

use super::forge::{Sign1, array, bstr, int, map};
use super::issued;
use super::roots::{PAYLOAD, anchors, chained, credential, key, revocation, store};
use super::thrones::{RECOVERY, Succession, by_root, domain, first_list, given};

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

const SUCCESSION_V1: &str = concat!(
    "d83dd284582ea301320448dd2fb4e18b5e1ce310781e616e63686f726167652d73756363657373696f6e2d6772616e74",
    "2b637774a058d5d83dd2845828a30132044825d8ac30ce5eb2c3107818616e63686f726167652d73756363657373696f",
    "6e2b637774a05862a7016e4578616d706c6520726f6f742032061a6553f10008a101a301012006215820ca93ac170518",
    "7071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c3a0001117848dd2fb4e18b5e1ce33a00011179013a00",
    "01117a003a0001117b07584013b5c470b9a0045966d791939184f01db9e80bdd0ab08defa05f7cedc548809ee9e7b869",
    "bb169bc2845c1640f9402d05fc374e69b687a2722ca70a60bc2d7e005840dae4d8d440332955c45102066eddae724a5b",
    "e8c37908b35cbf1efefcd136185479049cda2179f8a912dd941d61ab2ea67c5d29e865a0748b27050ab53d0c600b",
);

const RECOVERY_V1: &str = concat!(
    "d83dd284582ea30132044872d16fafc7e5497610781e616e63686f726167652d73756363657373696f6e2d6772616e74",
    "2b637774a058d5d83dd2845828a30132044825d8ac30ce5eb2c3107818616e63686f726167652d73756363657373696f",
    "6e2b637774a05862a7016e4578616d706c6520726f6f742032061a6553f10008a101a301012006215820ca93ac170518",
    "7071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c3a0001117848dd2fb4e18b5e1ce33a00011179003a00",
    "01117a013a0001117b0758408c4f240f2753519ccc65d3cde3c97093f41c3cbf22127d8fbd3ef3af57862dbfe4ead4ee",
    "ba7bb44107995d10b497fd2ea49c7e4b1dc982a0eb88dbc40ac9b8085840af759bc9371750ae24f85ef61c08c4d6413b",
    "c775ca1083845615841e7ef96dae4d21816a1a919074faee538712237bf3cac54d45ef70f10351d539953983a609",
);

const CHAIN_V1: &str = concat!(
    "82d83dd284582ea301320448dd2fb4e18b5e1ce310781e616e63686f726167652d73756363657373696f6e2d6772616e",
    "742b637774a058d5d83dd2845828a30132044825d8ac30ce5eb2c3107818616e63686f726167652d7375636365737369",
    "6f6e2b637774a05862a7016e4578616d706c6520726f6f742032061a6553f10008a101a301012006215820ca93ac1705",
    "187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c3a0001117848dd2fb4e18b5e1ce33a00011179013a",
    "0001117a003a0001117b07584013b5c470b9a0045966d791939184f01db9e80bdd0ab08defa05f7cedc548809ee9e7b8",
    "69bb169bc2845c1640f9402d05fc374e69b687a2722ca70a60bc2d7e005840dae4d8d440332955c45102066eddae724a",
    "5be8c37908b35cbf1efefcd136185479049cda2179f8a912dd941d61ab2ea67c5d29e865a0748b27050ab53d0c600bd8",
    "3dd2845828a30132044825d8ac30ce5eb2c3107818616e63686f726167652d7265766f636174696f6e2b637774a05829",
    "a5016e4578616d706c6520726f6f742032061a6553f1003a00011172013a00011173803a00011177a05840f9f3c1ccfb",
    "10c7fc9de06bb785088bddb4dafe1a616de300291432529e082c5d4fdb5d9638e9e49ba9b2d0bb2906d81346c2988e40",
    "02fa2ab354044284d4a708",
);

const DEVICE_V1: &str = concat!(
    "d83dd2845828a301320448a139a9e001654c82107818616e63686f726167652d63726564656e7469616c2b637774a058",
    "9ca801666c696e6520310266412d30303031061a684ee18007507777777777777777777777777777777708a101a30101",
    "2006215820d54207da194977dcf46adbfec2bc2e75b52d5a8a42184fedfdc00024f0e3e8da3a00011170043a00011171",
    "a30150a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1028150c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1038166412d303030313a",
    "0001117c48a139a9e001654c825840b6ae7057091f9b1bd8280b3a0721423e9ab95e5a3ff9439fba39f6cf35685bcd8a",
    "146069f54da3d129392cfe39a9316aa1aa2af6c6f15a04e9c81340079a9702",
);

const LEDGER_HEAD_V1: &str = concat!(
    "d83dd2845823a301320448dd2fb4e18b5e1ce31074616e63686f726167652d6c65646765722b637774a05830a2061a65",
    "53f1003a0001117f820c5820dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd5840fc21",
    "5fa4e9f824c6d1f40288a0b3371d0d86cd81655284ccce96eaf09c80f0e742f286e11e54d01b8db27878dbc85371fdfb",
    "f3c8f4e8c45b260fd81d1f65e20e",
);

const TRANSCRIPT_END_V1: &str = concat!(
    "d83dd2845828a301320448dd2fb4e18b5e1ce3107818616e63686f726167652d7472616e7363726970742b637774a058",
    "31a2061a6553f1003a000111808218225820dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
    "dddd584025d281b345ab42795d6df9fe65d4e65a920b0a6bb25612b358fa874efdda5948659c6b9555e08876f9e73244",
    "6621a3b63df4cfc6b3fe9a0f70484ae567b76c08",
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

#[test]
fn frozen_succession() {
    let domain = domain();
    for (frozen, grantor, recovery_epoch, succession_sequence) in
        [(SUCCESSION_V1, 1, 0, 1), (RECOVERY_V1, RECOVERY, 1, 0)]
    {
        let number = SuccessionNumber { recovery_epoch, succession_sequence };
        let record = Succession { number, ..by_root(1, 4, 1) }.grant(grantor);
        assert_eq!(hex::encode(&record), frozen);
        let mut store = TrustStoreBuf::new(given());
        store.add_succession(hex::decode(frozen).unwrap()).unwrap();
        assert_eq!(store.number_of(domain), number);
        assert_eq!(*store.root_of(domain).unwrap().key(), key(4).public_key());
    }
}

#[test]
fn frozen_chain() {
    let record = by_root(1, 4, 1).record();
    let list = first_list(4);
    assert_eq!(hex::encode(encode_succession_chain(&[&record], &list).unwrap()), CHAIN_V1);
    let mut store = TrustStoreBuf::new(given());
    store.add_chain(&hex::decode(CHAIN_V1).unwrap()).unwrap();
    assert_eq!(store.list_of(domain()).unwrap().as_bytes(), list);
}

#[test]
fn frozen_device_credential() {
    assert_eq!(hex::encode(issued::device()), DEVICE_V1);
    assert_eq!(issued::verify_device(&hex::decode(DEVICE_V1).unwrap()), Ok(()));
}

/// Heads of ledgers and ends of transcripts are signed, and neither is taken for the other.
#[test]
fn frozen_ends_of_chains() {
    let (root, issued_at, digest) = (key(1), UnixTime(1_700_000_000), [0xdd; 32]);
    let public = root.public_key();
    let head = LedgerHead { entries: 12, digest, issued_at };
    let end = TranscriptEnd { lines: 34, digest, issued_at };
    let heads = prepare_ledger_head(&head, &public).unwrap().sign(&root).unwrap();
    let ends = prepare_transcript_end(&end, &public).unwrap().sign(&root).unwrap();
    assert_eq!((hex::encode(&heads), hex::encode(&ends)), (LEDGER_HEAD_V1.into(), TRANSCRIPT_END_V1.into()));
    assert_eq!(LedgerHead::verify(&heads, &public), Ok(head));
    assert_eq!(TranscriptEnd::verify(&ends, &public), Ok(end));
    assert_eq!(LedgerHead::verify(&ends, &public).unwrap_err().kind, ErrorKind::RecordType);
    assert_eq!(TranscriptEnd::verify(&heads, &public).unwrap_err().kind, ErrorKind::RecordType);
    let stranger = key(2).public_key();
    assert_eq!(TranscriptEnd::verify(&ends, &stranger).unwrap_err().kind, ErrorKind::AnchorUnknown);
    for lines in [0, MAX_TRANSCRIPT_LINES + 1] {
        let unsigned = prepare_transcript_end(&TranscriptEnd { lines, ..end }, &public).unwrap();
        let refused = TranscriptEnd::verify(&unsigned.sign(&root).unwrap(), &public).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::OutOfRange);
    }
}

/// A claim is missing, or one is there that nobody knows; those that may be ignored are.
#[test]
fn the_end_of_a_transcript_has_its_two_claims() {
    let end = |claims: &[(Vec<u8>, Vec<u8>)]| {
        let record = Sign1::record(&key(1), "anchorage-transcript+cwt", &map(claims)).cwt(&key(1));
        TranscriptEnd::verify(&record, &key(1).public_key()).map(|end| end.lines).map_err(|error| error.kind)
    };
    let issued = (int(6), int(1));
    let claim = |label| (int(label), array(&[int(3), bstr(&[0xdd; 32])]));
    assert_eq!(end(&[issued.clone(), claim(-70017)]), Ok(3));
    assert_eq!(end(&[issued.clone(), claim(-70017), claim(-70100)]), Ok(3));
    assert_eq!(end(&[issued.clone(), claim(-70017), claim(-70018)]), Err(ErrorKind::UnknownKey));
    assert_eq!(end(&[issued.clone(), claim(-70016)]), Err(ErrorKind::UnknownKey));
    assert_eq!(end(&[issued]), Err(ErrorKind::MissingKey));
    assert_eq!(end(&[claim(-70017)]), Err(ErrorKind::MissingKey));
}
