use aes::cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use proptest::prelude::*;

use super::*;

fn hex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// FIPS 197 appendix C.1.
#[test]
fn the_example_of_the_standard_encrypts_and_decrypts_as_printed() {
    let aes = Aes128::new(&Key128::new(hex("000102030405060708090a0b0c0d0e0f")));
    let plaintext: Block = hex("00112233445566778899aabbccddeeff");
    let mut blocks = [plaintext, [0; 16]];
    aes.encrypt(&mut blocks);
    assert_eq!(blocks[0], hex("69c4e0d86a7b0430d8cdb78070b4c55a"));
    aes.decrypt(&mut blocks);
    assert_eq!(blocks, [plaintext, [0; 16]]);
}

/// Every byte in every place through S-box and inverse.
#[test]
fn every_byte_in_every_place_is_as_the_library_says() {
    for place in 0..16 {
        for value in 0..=255 {
            let mut block = [0x5a; 16];
            block[place] = value;
            assert_as_library([value; 16], [block, [value; 16]]);
        }
    }
}

fn assert_as_library(key: [u8; 16], blocks: [Block; 2]) {
    let library = aes::Aes128::new(&key.into());
    let ours = Aes128::new(&Key128::new(key));
    let mut encrypted = blocks;
    ours.encrypt(&mut encrypted);
    let mut decrypted = blocks;
    ours.decrypt(&mut decrypted);
    for index in 0..2 {
        let mut block = blocks[index].into();
        library.encrypt_block(&mut block);
        assert_eq!(encrypted[index], <Block>::from(block));
        let mut block = blocks[index].into();
        library.decrypt_block(&mut block);
        assert_eq!(decrypted[index], <Block>::from(block));
    }
}

#[test]
fn a_key_is_not_printed() {
    assert_eq!(std::format!("{:?}", Key128::new([0x41; 16])), "Key128(..)");
}

proptest! {
    #[test]
    fn any_blocks_are_as_the_library_says(key: [u8; 16], blocks: [Block; 2]) {
        assert_as_library(key, blocks);
    }
}
