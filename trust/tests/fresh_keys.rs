//! What an author encrypts: a key and an IV of its own for each content (draft-ietf-suit-firmware-encryption sections
//! 5, 6.2.1, 8 and 11).

use std::collections::BTreeSet;

use trust::aes::Key128;
use trust::author::{Recipient, encrypt};
use trust::cbor::Span;
use trust::encryption::{ContentAlgorithm, EncryptionInfo};

#[test]
fn no_two_contents_share_key_or_iv() {
    let recipient = Recipient { kid: b"device".to_vec(), key: Key128::new([7; 16]) };
    let plaintext = [0x5a; 48];
    for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr] {
        let (mut keys, mut infos, mut streams) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for _ in 0..64 {
            let encrypted = encrypt(algorithm, &plaintext, std::slice::from_ref(&recipient)).unwrap();
            let info = EncryptionInfo::read(Span { bytes: &encrypted.info, base: 0 }).unwrap();
            let key = info.content_key(&recipient.kid, &recipient.key).unwrap();
            // The same key stream would give the same ciphertext.
            streams.insert(encrypted.ciphertext[..plaintext.len()].to_vec());
            keys.insert(*key.as_bytes());
            // All but the IV and the wrapped key is alike: the bytes of the IV, as they stand.
            let differs = |wrapped: usize| encrypted.info[..encrypted.info.len() - wrapped].to_vec();
            infos.insert(differs(26));
        }
        assert_eq!((keys.len(), infos.len(), streams.len()), (64, 64, 64), "{algorithm:?}");
    }
}
