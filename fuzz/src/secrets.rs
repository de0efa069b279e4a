//! What a device reads with a key that its maker has too. Nothing that was not made with the key is taken, and what is read
//! is read by another reader as well.

use trust::aes::Key128;
use trust::author::{Recipient, encrypt_with, mac0};
use trust::cbor::Span;
use trust::encryption::{ContentAlgorithm, EncryptionInfo, MAX_RECIPIENTS};
use trust::{ErrorKind, verify_mac0};

const KID: &[u8] = b"kid-of-8";
const PAYLOAD: [u8; 36] = [0x82; 36];
const MAC_KEY: [u8; 32] = [7; 32];

fn recipient() -> Recipient {
    Recipient { kid: KID.to_vec(), key: Key128::new([1; 16]) }
}

/// COSE_Encrypt.
pub(crate) fn encryption(data: &[u8]) -> bool {
    let Ok(info) = EncryptionInfo::read(Span { bytes: data, base: 0 }) else { return false };
    // Recipients of other kinds are as their makers like; to another reader it is CBOR all the same.
    assert!(ciborium::from_reader::<ciborium::Value, _>(data).is_ok(), "another reader reads it too");
    assert!(info.kids().count() <= MAX_RECIPIENTS as usize);
    let Recipient { kid, key } = recipient();
    if let Ok(content_key) = info.content_key(&kid, &key) {
        let mut decryption = info.decryption(&content_key);
        decryption.decrypt(&mut [0; 40]);
        assert!(decryption.tag_len() == 0 || decryption.verify(&[0; 16]).is_err());
    }
    true
}

pub(crate) fn encryption_seeds() -> Vec<Vec<u8>> {
    let others = (2..5).map(|seed| Recipient { kid: vec![seed; 8], key: Key128::new([seed; 16]) });
    let recipients: Vec<Recipient> = others.chain([recipient()]).collect();
    let made = [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr].into_iter().zip([1, 4]);
    made.map(|(algorithm, count)| {
        let recipients = &recipients[recipients.len() - count..];
        encrypt_with(algorithm, b"content", recipients, &Key128::new([9; 16]), &[3; 16]).unwrap().info
    })
    .collect()
}

/// COSE_Mac0.
pub(crate) fn mac(data: &[u8]) -> bool {
    assert!(verify_mac0(data, &PAYLOAD, KID, &[8; 32]).is_err(), "nobody made it with this key");
    match verify_mac0(data, &PAYLOAD, KID, &MAC_KEY) {
        Ok(_) => true,
        Err(error) => matches!(error.kind, ErrorKind::MacInvalid | ErrorKind::DeviceKeyUnknown),
    }
}

pub(crate) fn mac_seeds() -> Vec<Vec<u8>> {
    vec![
        mac0(&PAYLOAD, KID, &MAC_KEY).unwrap(),
        mac0(b"another payload", KID, &MAC_KEY).unwrap(),
        mac0(&PAYLOAD, b"another", &MAC_KEY).unwrap(),
    ]
}
