//! Contents on hosts (feature `author`), with the instructions of the processor: an image of a host may be a hundred times as
//! long as one of a microcontroller, and the device's AES takes two blocks at a time without a table.
//!
//! What was encrypted is read back by other code than that which encrypted it: GCM is put together of counter mode and GHASH
//! here, piece by piece, as a device does it, and the code of devices itself reads what a device may well have to
//! (docs/decisions/0102).

use std::vec;
use std::vec::Vec;

use aes::Aes128;
use aes::cipher::{
    Block as CipherBlock, BlockCipherEncrypt as _, KeyInit as _, KeyIvInit as _, StreamCipher,
};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut as _;
use aes_gcm::aead::inout::InOutBuf;
use ctr::{Ctr32BE, Ctr128BE};
use ghash::GHash;
use ghash::universal_hash::UniversalHash as _;

use super::{Content, ContentAlgorithm, EncryptionInfo};
use crate::aes::{BLOCK_LEN, Block, Key128};
use crate::cose::byte_string_head;
use crate::gcm::{Ctr, GCM_IV_LEN};

/// The code of devices reads a content of at most so many bytes to its end, as long as the longest image of most
/// microcontrollers, and of a longer one both ends. It takes some fifty times as long as the processor's instructions.
const READ_AS_DEVICE_LEN: usize = 1 << 20;
/// Bytes at each end of a longer content.
const END_LEN: usize = 64 * 1024;
/// Bytes that are read back at a time: they stay near the processor.
const PIECE_LEN: usize = 32 * 1024;

/// Encrypts a content: its ciphertext, with its tag behind it if the algorithm has one. `None`: it is too long for it.
pub(crate) fn encrypt(
    algorithm: ContentAlgorithm,
    content_key: &Key128,
    iv: &Block,
    associated: &[u8],
    plaintext: &[u8],
) -> Option<Vec<u8>> {
    let key = content_key.as_bytes().into();
    let mut ciphertext = vec![0; plaintext.len().checked_add(algorithm.tag_len())?];
    let (content, behind) = ciphertext.split_at_mut_checked(plaintext.len())?;
    match algorithm {
        ContentAlgorithm::A128Gcm => {
            let iv = iv.first_chunk::<GCM_IV_LEN>()?;
            let both = InOutBuf::new(plaintext, content).ok()?;
            let tag = Aes128Gcm::new(key).encrypt_inout_detached(iv.into(), associated, both).ok()?;
            behind.copy_from_slice(&tag);
        }
        ContentAlgorithm::A128Ctr => {
            Ctr128BE::<Aes128>::new(key, iv.into()).try_apply_keystream_b2b(plaintext, content).ok()?;
        }
    }
    Some(ciphertext)
}

impl EncryptionInfo<'_> {
    /// Whether a ciphertext, with its tag if there is one, is that of this plaintext under the content key.
    #[must_use]
    pub fn is_ciphertext_of(&self, content_key: &Key128, ciphertext: &[u8], plaintext: &[u8]) -> bool {
        let Some((content, tag)) = ciphertext.split_at_checked(plaintext.len()) else { return false };
        self.is_read_fast(content_key, (content, tag), plaintext)
            && self.is_read_as_device(content_key, (content, tag), plaintext)
    }

    fn is_read_fast(&self, content_key: &Key128, (content, tag): (&[u8], &[u8]), plaintext: &[u8]) -> bool {
        let key = content_key.as_bytes().into();
        match self.content {
            Content::Ctr(iv) => {
                let stream = Ctr128BE::<Aes128>::new(key, iv.into());
                tag.is_empty() && decrypts_to(content, plaintext, stream, |_| {})
            }
            Content::Gcm(iv) => {
                // SP 800-38D section 7.2.
                let aes = Aes128::new(key);
                let of = |block: Block| {
                    let mut block = CipherBlock::<Aes128>::from(block);
                    aes.encrypt_block(&mut block);
                    block
                };
                // Enc_structure, RFC 9052 section 5.3.
                let head = &mut [0; 3];
                let protected = byte_string_head(self.protected, head);
                let associated = [b"\x83\x67Encrypt".as_slice(), protected, self.protected, b"\x40"].concat();
                let mut sum = GHash::new(&of([0; BLOCK_LEN]));
                sum.update_padded(&associated);
                let stream = Ctr32BE::<Aes128>::new(key, &counter(iv, 2).into());
                let is_same = decrypts_to(content, plaintext, stream, |piece| sum.update_padded(piece));
                let mut lengths = [0; BLOCK_LEN];
                let bits =
                    [&*associated, content].map(|bytes| (bytes.len() as u64).wrapping_mul(8).to_be_bytes());
                lengths.copy_from_slice(bits.as_flattened());
                sum.update(&[lengths.into()]);
                let seal = of(counter(iv, 1));
                let computed = sum.finalize().into_iter().zip(seal).map(|(sum, seal)| sum ^ seal);
                is_same && computed.eq(tag.iter().copied())
            }
        }
    }

    fn is_read_as_device(
        &self,
        content_key: &Key128,
        (content, tag): (&[u8], &[u8]),
        plaintext: &[u8],
    ) -> bool {
        if content.len() <= READ_AS_DEVICE_LEN {
            let mut decryption = self.decryption(content_key);
            let mut read = content.to_vec();
            decryption.decrypt(&mut read);
            return read == plaintext && decryption.verify(tag).is_ok();
        }
        let first = match self.content {
            Content::Ctr(iv) => *iv,
            Content::Gcm(iv) => counter(iv, 2),
        };
        [0, content.len().saturating_sub(END_LEN)].into_iter().all(|start| {
            let ends = start..start.saturating_add(END_LEN);
            let Ok(position) = u32::try_from(start) else { return false };
            let Some((content, plaintext)) = content.get(ends.clone()).zip(plaintext.get(ends)) else {
                return false;
            };
            let mut read = content.to_vec();
            Ctr::at(content_key, &first, position).apply(&mut read);
            read == plaintext
        })
    }
}

/// Whether a stream makes the plaintext of the content. `sum` takes the ciphertext in whole blocks, but for the last piece.
fn decrypts_to(
    content: &[u8],
    plaintext: &[u8],
    mut stream: impl StreamCipher,
    mut sum: impl FnMut(&[u8]),
) -> bool {
    let mut room = vec![0; PIECE_LEN];
    let mut is_same = content.len() == plaintext.len();
    for (content, plaintext) in content.chunks(PIECE_LEN).zip(plaintext.chunks(PIECE_LEN)) {
        sum(content);
        let read = room.get_mut(..content.len()).unwrap_or_default();
        is_same &= stream.try_apply_keystream_b2b(content, read).is_ok() && read == plaintext;
    }
    is_same
}

/// A counter block of GCM.
fn counter(iv: &[u8; GCM_IV_LEN], count: u8) -> Block {
    let mut block = [0; BLOCK_LEN];
    for (to, from) in block.iter_mut().zip(iv) {
        *to = *from;
    }
    let [.., last] = &mut block;
    *last = count;
    block
}

const _: () = assert!(PIECE_LEN.is_multiple_of(BLOCK_LEN) && END_LEN <= READ_AS_DEVICE_LEN);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::{Recipient, encrypt_with};
    use crate::cbor::Span;

    /// What hosts encrypt with their own code is what the code of devices reads, across its pieces and beyond what it reads
    /// of a long content.
    #[test]
    fn hosts_and_devices_agree_on_contents_of_every_length_around_a_border() {
        let lens = [0, 1, 15, 16, 17, 31, 32, 33, PIECE_LEN - 1, PIECE_LEN, PIECE_LEN + 1, 2 * PIECE_LEN + 5];
        let key = Key128::new(*b"a key of content");
        // The counter of counter mode runs over its last 32 bits, that of GCM has but those.
        let iv = [0xff; BLOCK_LEN];
        let recipients = [Recipient { kid: vec![1; 8], key: Key128::new([1; 16]) }];
        for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr] {
            for len in lens.into_iter().chain([READ_AS_DEVICE_LEN, READ_AS_DEVICE_LEN + 1]) {
                let plaintext: Vec<u8> = (0..251).cycle().take(len).collect();
                let made = encrypt_with(algorithm, &plaintext, &recipients, &key, &iv).unwrap();
                let info = EncryptionInfo::read(Span { bytes: &made.info, base: 0 }).unwrap();
                assert!(info.is_ciphertext_of(&key, &made.ciphertext, &plaintext), "{algorithm:?} {len}");
                let mut decryption = info.decryption(&key);
                let (content, tag) = made.ciphertext.split_at(len);
                let mut read = content.to_vec();
                decryption.decrypt(&mut read);
                assert_eq!(read, plaintext, "{algorithm:?} {len}");
                decryption.verify(tag).unwrap();
            }
        }
    }

    /// docs/attacks.md, SYM50: each of both readers refuses by itself.
    #[test]
    fn sym50_neither_reader_takes_another_byte_key_or_tag() {
        let key = Key128::new(*b"a key of content");
        let recipients = [Recipient { kid: vec![1; 8], key: Key128::new([1; 16]) }];
        let len = READ_AS_DEVICE_LEN + 3 * PIECE_LEN + 1;
        let plaintext = vec![7; len];
        for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr] {
            let made = encrypt_with(algorithm, &plaintext, &recipients, &key, &[3; BLOCK_LEN]).unwrap();
            let info = EncryptionInfo::read(Span { bytes: &made.info, base: 0 }).unwrap();
            let (content, tag) = made.ciphertext.split_at(len);
            let fast = |content: &[u8], tag: &[u8]| info.is_read_fast(&key, (content, tag), &plaintext);
            let device =
                |content: &[u8], tag: &[u8]| info.is_read_as_device(&key, (content, tag), &plaintext);
            assert!(fast(content, tag) && device(content, tag));
            for at in [0, END_LEN - 1, len / 2, len - END_LEN, len - 1] {
                let mut other = content.to_vec();
                other[at] ^= 1;
                assert!(!fast(&other, tag), "{algorithm:?} {at}");
                assert_eq!(device(&other, tag), at == len / 2, "{algorithm:?} {at}");
                assert!(!info.is_ciphertext_of(&key, &[&other, tag].concat(), &plaintext));
                // A ciphertext that is whole, of another plaintext.
                let mut other = plaintext.clone();
                other[at] ^= 1;
                assert!(!info.is_read_fast(&key, (content, tag), &other), "{algorithm:?} {at}");
            }
            assert!(!fast(content, &[tag, b"x"].concat()), "{algorithm:?}");
            for bit in 0..tag.len() * 8 {
                let mut other = tag.to_vec();
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!fast(content, &other), "{algorithm:?} bit {bit}");
            }
            // A short content is read by the code of devices as a whole, with its tag.
            let short =
                encrypt_with(algorithm, &plaintext[..40], &recipients, &key, &[3; BLOCK_LEN]).unwrap();
            let read = EncryptionInfo::read(Span { bytes: &short.info, base: 0 }).unwrap();
            for bit in 0..short.ciphertext.len() * 8 {
                let mut other = short.ciphertext.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                let parts = other.split_at(40);
                assert!(!read.is_read_as_device(&key, parts, &plaintext[..40]), "{algorithm:?} bit {bit}");
            }
            let parts = short.ciphertext.split_at(40);
            assert!(read.is_read_as_device(&key, parts, &plaintext[..40]));
            assert!(!read.is_read_as_device(&key, parts, &[8; 40]), "{algorithm:?}");
            let other = Key128::new(*b"another content.");
            assert!(!info.is_read_fast(&other, (content, tag), &plaintext));
            assert!(!info.is_read_as_device(&other, (content, tag), &plaintext));
            assert!(!info.is_ciphertext_of(&key, &made.ciphertext[1..], &plaintext));
        }
    }
}
