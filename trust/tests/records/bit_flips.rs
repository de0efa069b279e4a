//! Nothing of a signed record can be changed: every bit, every length, random bytes.

use proptest::prelude::*;
use trust::{
    Credential, Error, ErrorKind, RevocationList, Role, TrustStoreBuf, encode_succession_chain,
    verify_chained_sign1,
};

use super::issued;
use super::roots::{PAYLOAD, anchors, chained, credential, revocation, store};
use super::thrones::{by_root, first_list, given};

type Verify = fn(&[u8]) -> Result<(), Error>;

/// All kinds of records, and how each is verified.
fn records() -> Vec<(Vec<u8>, Verify)> {
    vec![
        (credential(), verify_credential),
        (revocation(), verify_revocation),
        (chained(), verify_chained),
        (succession(), verify_succession),
        (chain(), verify_chain),
        (issued::device(), issued::verify_device),
    ]
}

fn succession() -> Vec<u8> {
    by_root(1, 4, 1).record()
}

fn chain() -> Vec<u8> {
    encode_succession_chain(&[&succession()], &first_list(4)).unwrap()
}

fn verify_succession(bytes: &[u8]) -> Result<(), Error> {
    TrustStoreBuf::new(given()).add_succession(bytes.to_vec()).map(drop)
}

fn verify_chain(bytes: &[u8]) -> Result<(), Error> {
    TrustStoreBuf::new(given()).add_chain(bytes).map(drop)
}

fn verify_credential(bytes: &[u8]) -> Result<(), Error> {
    Credential::verify(bytes, &store(&anchors()), Role::Release).map(drop)
}

fn verify_revocation(bytes: &[u8]) -> Result<(), Error> {
    RevocationList::verify(bytes, &anchors()).map(drop)
}

fn verify_chained(bytes: &[u8]) -> Result<(), Error> {
    verify_chained_sign1(bytes, PAYLOAD, &store(&anchors()), Role::Release).map(drop)
}

#[test]
fn every_flipped_bit_is_refused() {
    for (good, verify) in records() {
        assert_eq!(verify(&good), Ok(()));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let refused = verify(&bytes).expect_err("a flipped bit");
            assert!(usize::try_from(refused.position).unwrap() <= good.len());
        }
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    for (good, verify) in records() {
        for len in 0..good.len() {
            verify(&good[..len]).expect_err("truncated");
        }
        for byte in 0..=255 {
            verify(&[&good[..], &[byte]].concat()).expect_err("a byte more");
        }
    }
}

#[test]
fn one_kind_of_record_is_no_other() {
    // The type tells the two kinds of CWT apart before anything of their claims is read, the tags tell the third kind.
    let (typ, other) = (Some(ErrorKind::RecordType), Some(ErrorKind::UnexpectedType));
    let refusals = [
        [None, typ, other, typ, other, Some(ErrorKind::KeyMismatch)],
        [typ, None, other, typ, other, typ],
        [other, other, None, other, other, other],
        [typ, typ, other, None, other, typ],
        [other, other, Some(ErrorKind::CoseUnsupported), other, None, other],
        [Some(ErrorKind::AnchorUnknown), typ, other, typ, other, None],
    ];
    assert_eq!(records().len(), refusals.len());
    for ((good, _), refusals) in records().into_iter().zip(refusals) {
        for ((_, verify), refusal) in records().into_iter().zip(refusals) {
            assert_eq!(verify(&good).err().map(|error| error.kind), refusal);
        }
    }
}

proptest! {
    /// From the first byte on, and behind the beginning of a good record: there the reader looks at them.
    #[test]
    fn random_bytes_are_refused(at in any::<prop::sample::Index>(), random in proptest::collection::vec(any::<u8>(), 0..1200)) {
        for (good, verify) in records() {
            prop_assert!(verify(&random).is_err());
            let bytes = [&good[..at.index(good.len())], &random].concat();
            prop_assert_eq!(verify(&bytes).is_ok(), bytes == good);
        }
    }

    #[test]
    fn damaged_records_are_refused(at in any::<prop::sample::Index>(), patch in proptest::collection::vec(any::<u8>(), 1..40)) {
        for (good, verify) in records() {
            let at = at.index(good.len());
            let mut bytes = good.clone();
            let end = (at + patch.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&patch[..end - at]);
            prop_assert_eq!(verify(&bytes).is_ok(), bytes == good);
        }
    }
}
