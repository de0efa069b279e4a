//! Claims, well signed: each that is missing, unknown, doubled, out of range or too many.

use trust::{Credential, ErrorKind, RevocationList, Role, TrustStoreBuf};

use super::forge::{
    CREDENTIAL, NIL, REVOCATION, Sign1, array, bstr, credential_claims, int, map, revocation_claims,
    succession, succession_claims, tstr,
};
use super::roots::{anchors, key, release, root, store};
use super::thrones::given;

type Claims = Vec<(Vec<u8>, Vec<u8>)>;
/// Why claims are refused, if they are.
type Refusal = fn(&Claims) -> Option<ErrorKind>;

fn credential_result(claims: &Claims) -> Option<ErrorKind> {
    let cwt = Sign1::record(&root(), CREDENTIAL, &map(claims)).cwt(&root());
    Credential::verify(&cwt, &store(&anchors()), Role::Release).err().map(|error| error.kind)
}

fn revocation_result(claims: &Claims) -> Option<ErrorKind> {
    let cwt = Sign1::record(&root(), REVOCATION, &map(claims)).cwt(&root());
    RevocationList::verify(&cwt, &anchors()).err().map(|error| error.kind)
}

fn succession_result(claims: &Claims) -> Option<ErrorKind> {
    let record = succession(claims, &key(4), &root());
    TrustStoreBuf::new(given()).add_succession(record).err().map(|error| error.kind)
}

/// The good claims with the value of one replaced.
fn with(mut claims: Claims, key: i64, value: Vec<u8>) -> Claims {
    let entry = claims.iter_mut().find(|(claim, _)| *claim == int(key)).unwrap();
    entry.1 = value;
    claims
}

#[test]
fn every_claim_is_required() {
    let kinds: [(Claims, Refusal); 3] = [
        (credential_claims(&release()), credential_result),
        (revocation_claims(), revocation_result),
        (succession_claims(&root(), &key(4)), succession_result),
    ];
    for (claims, result) in kinds {
        assert_eq!(result(&claims), None);
        for index in 0..claims.len() {
            let mut less = claims.clone();
            less.remove(index);
            assert_eq!(result(&less), Some(ErrorKind::MissingKey), "claim {index}");
            let mut twice = claims.clone();
            twice.insert(index, claims[index].clone());
            assert_eq!(result(&twice), Some(ErrorKind::KeyOrder), "claim {index}");
            if index > 0 {
                let mut swapped = claims.clone();
                swapped.swap(index - 1, index);
                assert_eq!(result(&swapped), Some(ErrorKind::KeyOrder), "claim {index}");
            }
        }
        // A claim that the other kind of record has, one that none has, and the neighbours of the ignored ones.
        for (unknown, expected) in [
            (3, Some(ErrorKind::UnknownKey)),
            (-70013, Some(ErrorKind::UnknownKey)),
            (-70015, Some(ErrorKind::UnknownKey)),
            (-70099, Some(ErrorKind::UnknownKey)),
            (-70100, None),
            (-70199, None),
            (-70200, Some(ErrorKind::UnknownKey)),
        ] {
            let mut more = claims.clone();
            more.push((int(unknown), array(&[int(0)])));
            more.sort();
            assert_eq!(result(&more), expected, "claim {unknown}");
        }
        let mut text = claims.clone();
        text.push((tstr("role"), int(1)));
        assert_eq!(result(&text), Some(ErrorKind::UnexpectedType));
    }
}

#[test]
fn credential_values_have_ranges() {
    use ErrorKind::{KeyInvalid, MissingKey, OutOfRange, TooMany, UnexpectedType, UnknownKey};
    let name = |len| tstr(&"n".repeat(len));
    let vendor = (int(1), bstr(&[0xa1; 16]));
    let scope = |entries: &[(Vec<u8>, Vec<u8>)]| map(&[std::slice::from_ref(&vendor), entries].concat());
    let classes = |count| scope(&[(int(2), array(&vec![bstr(&[0xc1; 16]); count]))]);
    let serials = |count| scope(&[(int(3), array(&vec![tstr("A"); count]))]);
    let serial = |len| scope(&[(int(3), array(&[name(len)]))]);
    let key = release_key();
    for (claim, value, expected) in [
        (1, name(64), None),
        (1, name(65), Some(OutOfRange)),
        (1, name(0), Some(OutOfRange)),
        (1, bstr(b"n"), Some(UnexpectedType)),
        (2, name(64), None),
        (2, name(65), Some(OutOfRange)),
        (2, name(0), Some(OutOfRange)),
        (6, int(-1), Some(UnexpectedType)),
        (7, bstr(&[0; 15]), Some(UnexpectedType)),
        (7, bstr(&[0; 17]), Some(UnexpectedType)),
        (8, map(&[]), Some(MissingKey)),
        (8, map(&[(int(2), key.clone())]), Some(UnknownKey)),
        (8, map(&[(int(1), key.clone()), (int(3), bstr(b"kid"))]), Some(UnknownKey)),
        (8, map(&[(int(1), map(&[]))]), Some(KeyInvalid)),
        (8, key.clone(), Some(UnknownKey)),
        (-70001, int(0), Some(OutOfRange)),
        (-70001, int(6), Some(OutOfRange)),
        (-70001, int(257), Some(OutOfRange)),
        (-70001, tstr("release"), Some(UnexpectedType)),
        (-70002, map(&[]), Some(MissingKey)),
        (-70002, map(&[(int(1), bstr(&[0; 15]))]), Some(UnexpectedType)),
        (-70002, scope(&[(int(5), int(0))]), Some(UnknownKey)),
        (-70002, classes(8), None),
        (-70002, classes(9), Some(TooMany)),
        (-70002, classes(0), Some(OutOfRange)),
        (-70002, scope(&[(int(2), array(&[bstr(&[0; 15])]))]), Some(UnexpectedType)),
        (-70002, serials(8), None),
        (-70002, serials(9), Some(TooMany)),
        (-70002, serials(0), Some(OutOfRange)),
        (-70002, serial(32), None),
        (-70002, serial(33), Some(OutOfRange)),
        (-70002, serial(0), Some(OutOfRange)),
        (-70002, scope(&[(int(4), int(3))]), None),
        (-70002, scope(&[(int(4), int(-1))]), Some(UnexpectedType)),
        (-70006, int(65_535), None),
        (-70006, int(65_536), Some(OutOfRange)),
        (-70006, int(-1), Some(UnexpectedType)),
        (-70007, int(0), Some(OutOfRange)),
        (-70007, int(i64::MAX), None),
        (-70007, [&[0x1b][..], &(1u64 << 63).to_be_bytes()].concat(), Some(OutOfRange)),
        (-70007, tstr("9"), Some(UnexpectedType)),
    ] {
        let claims = with(credential_claims(&release()), claim, value.clone());
        assert_eq!(credential_result(&claims), expected, "claim {claim}: {}", hex::encode(value));
    }
}

#[test]
fn revocation_values_have_ranges() {
    use ErrorKind::{KeyOrder, OutOfRange, TooMany, UnexpectedType};
    let minimum =
        |vendor: usize, class: Vec<u8>, sequence: i64| array(&[bstr(&vec![0; vendor]), class, int(sequence)]);
    let class = || bstr(&[0; 16]);
    let entry = |role, generation, ids: &[Vec<u8>]| array(&[int(role), int(generation), array(ids)]);
    let ids = |count: usize, len: usize| vec![bstr(&vec![9; len]); count];
    for (claim, value, expected) in [
        (-70003, int(0), Some(OutOfRange)),
        (-70003, int(-1), Some(UnexpectedType)),
        (-70003, int(1), None),
        (-70003, int(1 << 62), None),
        (-70003, int((1 << 62) + 1), Some(OutOfRange)),
        (-70004, array(&[entry(1, 0, &ids(32, 16))]), None),
        (-70004, array(&[entry(1, 0, &ids(33, 8))]), Some(TooMany)),
        (-70004, array(&[entry(1, 0, &ids(16, 8)), entry(2, 0, &ids(17, 8))]), Some(TooMany)),
        (-70004, array(&[entry(1, 0, &ids(16, 8)), entry(2, 0, &ids(16, 8))]), None),
        (-70004, array(&[entry(1, 0, &[])]), Some(OutOfRange)),
        (-70004, array(&[entry(1, 0, &ids(1, 7))]), Some(UnexpectedType)),
        (-70004, array(&[entry(1, 0, &ids(1, 9))]), Some(UnexpectedType)),
        (-70004, array(&[entry(1, 0, &[tstr("12345678")])]), Some(UnexpectedType)),
        (-70004, array(&[entry(0, 0, &ids(1, 8))]), Some(OutOfRange)),
        (-70004, array(&[entry(6, 0, &ids(1, 8))]), Some(OutOfRange)),
        (-70004, array(&[entry(1, 65_536, &ids(1, 8))]), Some(OutOfRange)),
        (-70004, array(&[entry(2, 0, &ids(1, 8)), entry(1, 0, &ids(1, 8))]), Some(KeyOrder)),
        (-70004, array(&[entry(1, 0, &ids(1, 8)), entry(1, 1, &ids(1, 8))]), Some(KeyOrder)),
        (-70004, array(&ids(1, 8)), Some(UnexpectedType)),
        (-70004, map(&[]), Some(UnexpectedType)),
        (-70005, array(&vec![minimum(16, class(), 7); 16]), None),
        (-70005, array(&vec![minimum(16, class(), 7); 17]), Some(TooMany)),
        (-70005, array(&[]), Some(OutOfRange)),
        (-70005, array(&[minimum(16, NIL.to_vec(), 7)]), None),
        (-70005, array(&[minimum(16, vec![0xf5], 7)]), Some(UnexpectedType)),
        (-70005, array(&[minimum(16, class(), 1 << 62)]), None),
        (-70005, array(&[minimum(16, class(), (1 << 62) + 1)]), Some(OutOfRange)),
        (-70005, array(&[minimum(15, class(), 7)]), Some(UnexpectedType)),
        (-70005, array(&[minimum(16, bstr(&[0; 15]), 7)]), Some(UnexpectedType)),
        (-70005, array(&[minimum(16, class(), -1)]), Some(UnexpectedType)),
        (-70005, array(&[array(&[])]), Some(UnexpectedType)),
        (-70008, map(&[(int(1), int(1)), (int(5), int(65_535))]), None),
        (-70008, map(&[(int(0), int(1))]), Some(OutOfRange)),
        (-70008, map(&[(int(6), int(1))]), Some(OutOfRange)),
        (-70008, map(&[(int(-1), int(1))]), Some(OutOfRange)),
        (-70008, map(&[(int(1), int(65_536))]), Some(OutOfRange)),
        (-70008, map(&[(int(2), int(1)), (int(1), int(1))]), Some(KeyOrder)),
        (-70008, array(&[]), Some(UnexpectedType)),
    ] {
        let mut claims = revocation_claims();
        claims.insert(4, (int(-70005), array(&[minimum(16, class(), 7)])));
        let claims = with(claims, claim, value.clone());
        assert_eq!(revocation_result(&claims), expected, "claim {claim}: {}", hex::encode(value));
    }
}

#[test]
fn succession_values_have_ranges() {
    use ErrorKind::{KeyInvalid, OutOfRange, SuccessionOrder, SuccessionRights, UnexpectedType, UnknownKey};
    for (claim, value, expected) in [
        (1, tstr(&"n".repeat(64)), None),
        (1, tstr(&"n".repeat(65)), Some(OutOfRange)),
        (1, tstr(""), Some(OutOfRange)),
        (6, int(-1), Some(UnexpectedType)),
        (8, map(&[(int(2), release_key())]), Some(UnknownKey)),
        (8, map(&[(int(1), map(&[]))]), Some(KeyInvalid)),
        (-70009, bstr(&[0; 7]), Some(UnexpectedType)),
        (-70009, bstr(&[0; 9]), Some(UnexpectedType)),
        (-70010, int(0), Some(OutOfRange)),
        (-70010, int(2), Some(SuccessionOrder)),
        (-70010, int(65_535), Some(SuccessionOrder)),
        (-70010, int(65_536), Some(OutOfRange)),
        (-70010, int(-1), Some(UnexpectedType)),
        (-70011, int(1), Some(SuccessionOrder)),
        (-70011, int(65_536), Some(OutOfRange)),
        (-70012, int(0), Some(OutOfRange)),
        (-70012, int(1), Some(SuccessionRights)),
        (-70012, int(6), None),
        (-70012, int(15), None),
        (-70012, int(16), Some(OutOfRange)),
        (-70012, tstr("7"), Some(UnexpectedType)),
    ] {
        let claims = with(succession_claims(&root(), &key(4)), claim, value.clone());
        assert_eq!(succession_result(&claims), expected, "claim {claim}: {}", hex::encode(value));
    }
}

fn release_key() -> Vec<u8> {
    use trust::author::Signer as _;
    release().public_key().to_cose_key().to_vec()
}
