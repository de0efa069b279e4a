//! What a device reads with a key that its maker has too. Nothing that was not made with the key is taken, and what is read
//! is read by another reader as well.

use ciborium::cbor;
use suit_manifest::Reason;
use suit_manifest::report::{
    MAX_REPORT_LEN, Measured, Outcome, Place, Progress, Report, ReportNonce, ReportTree, open_report,
    show_report,
};
use trust::aes::Key128;
use trust::author::{Recipient, encrypt_with, mac0};
use trust::blocks::encryption::{AgreementKey, AgreementSecret, HostAlgorithm, HostEncryption, seal};
use trust::cbor::{Span, Writer};
use trust::encryption::{ContentAlgorithm, EncryptionInfo, MAX_RECIPIENTS};
use trust::{ATTACHED_MAC0_ROOM, ErrorKind, Kid, verify_mac0, write_attached_mac0};

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

/// A private COSE_Key of P-256, whose d is 5.
const AGREEMENT_SECRET: &str =
    "a3010220012358200000000000000000000000000000000000000000000000000000000000000005";

/// What hosts read of a COSE_Encrypt, and files with keys to agree with.
pub(crate) fn agreement(data: &[u8]) -> bool {
    let is_key = AgreementKey::parse(data).is_ok() | AgreementSecret::parse(data).is_ok();
    let Ok(info) = HostEncryption::read(Span { bytes: data, base: 0 }) else { return is_key };
    assert!(ciborium::from_reader::<ciborium::Value, _>(data).is_ok(), "another reader reads it too");
    assert!(info.recipients().len() <= MAX_RECIPIENTS as usize);
    let secret = AgreementSecret::parse(&hex::decode(AGREEMENT_SECRET).unwrap()).unwrap();
    if let Ok(key) = info.content_key(&secret) {
        let opened = info.open(&key, &[0; 40]);
        assert!(opened.is_err() || info.algorithm() == HostAlgorithm::A128Ctr, "nobody made this tag");
    }
    let Ok(on_device) = EncryptionInfo::read(Span { bytes: data, base: 0 }) else { return true };
    assert_eq!(HostAlgorithm::from(on_device.algorithm()), info.algorithm());
    let Recipient { kid, key } = recipient();
    assert_eq!(on_device.content_key(&kid, &key).is_ok(), info.content_key_of_device(&kid, &key).is_ok());
    true
}

pub(crate) fn agreement_seeds() -> Vec<Vec<u8>> {
    let secret = hex::decode(AGREEMENT_SECRET).unwrap();
    let p256 = AgreementSecret::parse(&secret).unwrap().public().clone();
    let x25519 = hex::decode(format!("a301012004215820{}", "09".repeat(32))).unwrap();
    let public = [p256, AgreementKey::parse(&x25519).unwrap()];
    let sealed = [HostAlgorithm::A128Gcm, HostAlgorithm::A128Ctr, HostAlgorithm::ChaCha20Poly1305]
        .map(|algorithm| seal(algorithm, b"content", &[recipient()], &public).unwrap().info);
    [secret, x25519].into_iter().chain(sealed).collect()
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

/// A SUIT report, which is put into the container of a device; as it is, the bytes are no container of it.
pub(crate) fn report(data: &[u8]) -> bool {
    assert!(open_report(data, &Kid(*b"kid-of-8"), &[8; 32], None).is_err(), "nobody made it with this key");
    let _shown = show_report(data).map(|(_, tree)| tree.outline());
    let Ok(tree) = ReportTree::read(Span { bytes: data, base: 0 }) else { return false };
    assert!(ciborium::from_reader::<ciborium::Value, _>(data).is_ok(), "another reader reads it too");
    assert!(!tree.summary().is_empty() && !tree.outline().parts.is_empty());
    let mut buffer = vec![0; data.len() + ATTACHED_MAC0_ROOM];
    let mut writer = Writer::new(&mut buffer);
    write_attached_mac0(&mut writer, data, &Kid(*b"kid-of-8"), &MAC_KEY);
    let container = writer.finish().expect("there is room");
    match open_report(container, &Kid(*b"kid-of-8"), &MAC_KEY, tree.nonce) {
        Ok(opened) => assert_eq!(opened.summary(), tree.summary()),
        Err(error) => assert!(data.len() > 16_000, "{error}"),
    }
    true
}

pub(crate) fn report_seeds() -> Vec<Vec<u8>> {
    let place = Place { section: 20, offset: 12, component: 1 };
    let vendor = &[0xA1; 16];
    let reason = Reason::VendorMismatch;
    let outcomes = [
        Outcome::Success,
        Outcome::Underway(Progress::Pending),
        Outcome::Refused { reason, place, measured: Measured::Vendor(vendor) },
    ];
    let nonce = ReportNonce::of(b"a nonce!").expect("it is long enough");
    let made = outcomes.map(|outcome| {
        let report = Report { manifest_digest: &[0xD1; 32], nonce, outcome };
        report.encode(&mut [0; MAX_REPORT_LEN]).expect("there is room").to_vec()
    });
    // Everything that another device may report.
    let bytes = |bytes: &[u8]| ciborium::Value::Bytes(bytes.to_vec());
    let record = cbor!([[1, 0], 20, 300, 2, { 14 => 70_000 }, "more"]).unwrap();
    let system = cbor!({ 0 => [bytes(b"app")], 2 => bytes(vendor) }).unwrap();
    let capabilities = cbor!({
        1 => [[bytes(b"app")], [bytes(b"files"), true]], 2 => [1, 2], 3 => [1], 4 => [5, (-3)], 10 => [1],
        300 => "later", [3, 3, 1] => [3]
    })
    .unwrap();
    let whole = cbor!({
        2 => bytes(b"n"), 3 => [record, system], 4 => { 5 => (-4), 6 => record, 7 => 77 }, 8 => capabilities,
        99 => ["https://example.com/m", [(-16), bytes(&[9; 32])]], 1000 => false
    })
    .unwrap();
    let mut encoded = Vec::new();
    ciborium::into_writer(&whole, &mut encoded).unwrap();
    made.into_iter().chain([encoded]).collect()
}
