use std::vec::Vec;
use std::{format, vec};

use coset::{CoseEncrypt, EncryptionContext, TaggedCborSerializable as _};
use proptest::prelude::*;

use super::*;
use crate::author::{Encrypted, Recipient as Named, encrypt, encrypt_with, wrap_again};

const KIDS: [&[u8]; 3] = [b"kid-1", b"another", b"third---"];

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

fn named(index: u8) -> Named {
    let kid = KIDS.get(usize::from(index)).map_or_else(|| vec![index; 8], |kid| kid.to_vec());
    Named { kid, key: Key128::new([b'a' + index; 16]) }
}

fn read(bytes: &[u8]) -> Result<EncryptionInfo<'_>, Error> {
    EncryptionInfo::read(Span { bytes, base: 0 })
}

/// What the device of `key` makes of it.
fn opened(encrypted: &Encrypted, key: &Named) -> Result<Vec<u8>, Error> {
    let info = read(&encrypted.info)?;
    let mut decryption = info.decryption(&info.content_key(&key.kid, &key.key)?);
    let (content, tag) = encrypted
        .ciphertext
        .split_at_checked(encrypted.ciphertext.len().saturating_sub(decryption.tag_len()))
        .unwrap();
    let mut content = content.to_vec();
    decryption.decrypt(&mut content);
    decryption.verify(tag).map(|()| content)
}

/// draft-ietf-suit-firmware-encryption-26, sections "AES-KW + AES-GCM Example" and "AES-KW + AES-CTR Example": made from the
/// values that they print.
#[test]
fn the_examples_of_the_draft_are_made_and_opened_as_printed() {
    let plaintext = b"This is a real firmware image.";
    for (algorithm, key, iv, info, ciphertext) in [
        (
            ContentAlgorithm::A128Gcm,
            "15f785b5c931414411b4b71373a9c0f7",
            "f14aab9d81d51f7ad943fe8700000000",
            "d860 8443a10101 a1054cf14aab9d81d51f7ad943fe87 f6 8183 40 a2012204456b69642d31 \
             581875603ffc9518d794713c8ca8a115a7fb32565a6d59534d62",
            "758c4b7bbae2c4c1d462423e0f0dc3164ffa7b85bb94d4bd6d7ed26ab32f eb063385d4d3465927ec82cb5e198a59",
        ),
        (
            ContentAlgorithm::A128Ctr,
            "261de6165070fb8951ec5d7b92a065fe",
            "dae613b2e0dc55f4322be38bdba9dc68",
            "d860 8440 a20139fffd0550dae613b2e0dc55f4322be38bdba9dc68 f6 8183 40 a2012204456b69642d31 \
             5818ce34035ce5c2e2666e46d4c131fc561dd190a6d26cfa1990",
            "2bb8db522ae978246cc775c3b0241bd4b0333ffdd2db70c7ee7a4966e3b7",
        ),
    ] {
        let key = Key128::new(hex(key).try_into().unwrap());
        let iv = hex(iv).try_into().unwrap();
        let made = encrypt_with(algorithm, plaintext, &[named(0)], &key, &iv).unwrap();
        assert_eq!(hex::encode(&made.info), hex::encode(hex(info)));
        assert_eq!(hex::encode(&made.ciphertext), hex::encode(hex(ciphertext)));
        assert_eq!(opened(&made, &named(0)).unwrap(), plaintext);
    }
}

#[test]
fn the_same_ciphertext_is_for_other_recipients_and_no_longer_for_the_first() {
    for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr] {
        let first = encrypt(algorithm, b"content", &[named(0)]).unwrap();
        let key = read(&first.info).unwrap().content_key(&named(0).kid, &named(0).key).unwrap();
        let info = wrap_again(&first.info, &key, &[named(1)]).unwrap();
        let second = Encrypted { info, ciphertext: first.ciphertext.clone() };
        assert_eq!(opened(&second, &named(1)).unwrap(), b"content");
        assert_eq!(opened(&second, &named(0)).unwrap_err().kind, ErrorKind::DeviceKeyUnknown);
        assert_eq!(wrap_again(&second.info, &key, &[named(0)]).unwrap(), first.info, "nothing else changes");
        assert!(wrap_again(&first.info, &key, &[]).is_err() && wrap_again(b"x", &key, &[named(1)]).is_err());
    }
}

/// docs/attacks.md, SYM5.
#[test]
fn every_bit_and_every_shorter_encryption_info_is_refused() {
    let whole = encrypt(ContentAlgorithm::A128Gcm, b"content", &[named(0)]).unwrap();
    let refused = |info: Vec<u8>| {
        opened(&Encrypted { info, ciphertext: whole.ciphertext.clone() }, &named(0))
            .map_err(|error| error.kind)
    };
    assert!(refused(whole.info.clone()).is_ok());
    for bit in 0..whole.info.len() * 8 {
        let mut info = whole.info.clone();
        info[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(info.clone()).is_err(), "bit {bit}: {}", hex::encode(info));
    }
    for len in 0..whole.info.len() {
        assert!(refused(whole.info[..len].to_vec()).is_err(), "{len}");
    }
    assert_eq!(refused([&whole.info[..], &[0]].concat()), Err(ErrorKind::TrailingBytes));
}

/// docs/attacks.md, SYM6.
#[test]
fn sym06_the_key_of_another_device_opens_nothing() {
    let made = encrypt(ContentAlgorithm::A128Gcm, b"content", &[named(0), named(1)]).unwrap();
    for index in [0, 1] {
        assert_eq!(opened(&made, &named(index)).unwrap(), b"content");
    }
    let refusal = |key: &Named| opened(&made, key).unwrap_err().kind;
    assert_eq!(refusal(&named(2)), ErrorKind::DeviceKeyUnknown);
    // It says that it is the other one.
    assert_eq!(refusal(&Named { key: named(2).key, ..named(0) }), ErrorKind::KeyUnwrap);
}

/// docs/attacks.md, SYM7.
#[test]
fn sym07_algorithms_count_where_they_are_protected_and_nothing_critical_is_passed_over() {
    const IV: &str = "4cf14aab9d81d51f7ad943fe87";
    const IV16: &str = "50dae613b2e0dc55f4322be38bdba9dc68";
    let wrapped = "5818".to_owned() + &"00".repeat(24);
    let for_one = format!("83 40 a2012204456b69642d31 {wrapped}");
    let outer = |headers: &str| format!("d860 84 {headers} f6 81 {for_one}");
    let inner = |recipients: &str| format!("d860 84 43a10101 a105{IV} f6 {recipients}");
    use ErrorKind::*;
    for (info, refusal) in [
        // RFC 9052 section 3: alg of an AEAD is protected.
        (outer(&format!("40 a2010105{IV}")), Some(HeaderUnknown)),
        (outer(&format!("41a0 a2010105{IV}")), Some(HeaderUnknown)),
        // It stands in one of both.
        (outer(&format!("43a10101 a2010105{IV}")), Some(HeaderUnknown)),
        // RFC 9459: nothing is protected in counter mode.
        (outer(&format!("45a10139fffd a105{IV16}")), Some(HeaderUnknown)),
        (outer(&format!("41a0 a20139fffd05{IV16}")), Some(HeaderUnknown)),
        (outer(&format!("40 a20139fffd05{IV16}")), None),
        (outer(&format!("43a10101 a105{IV}")), None),
        // IVs of other lengths.
        (outer(&format!("43a10101 a105{IV16}")), Some(OutOfRange)),
        (outer(&format!("40 a20139fffd05{IV}")), Some(OutOfRange)),
        (outer("43a10101 a0"), Some(HeaderMissing)),
        (outer(&format!("40 a105{IV}")), Some(HeaderMissing)),
        // A192GCM, and a name.
        (outer(&format!("43a10102 a105{IV}")), Some(AlgorithmUnsupported)),
        (outer(&format!("44a1016141 a105{IV}")), Some(AlgorithmUnsupported)),
        // crit, protected and not; an unknown header.
        (outer(&format!("46a20101028101 a105{IV}")), Some(CriticalHeader)),
        (outer(&format!("43a10101 a202810105{IV}")), Some(CriticalHeader)),
        (outer(&format!("45a201010600 a105{IV}")), Some(HeaderUnknown)),
        (outer(&format!("43a10101 a205{IV}0600")), Some(HeaderUnknown)),
        (outer(&format!("43a10101 a205{IV}614100")), Some(HeaderUnknown)),
        // No map, something behind it.
        (outer(&format!("4101 a105{IV}")), Some(UnexpectedType)),
        (outer(&format!("44a1010100 a105{IV}")), Some(TrailingBytes)),
        // Another structure, none, the ciphertext inside.
        (format!("d0 83 43a10101 a105{IV} f6"), Some(CoseUnsupported)),
        (format!("84 43a10101 a105{IV} f6 81 {for_one}"), Some(CoseUnsupported)),
        (format!("d860 84 43a10101 a105{IV} 4100 81 {for_one}"), Some(CoseUnsupported)),
        (format!("d8ff 84 43a10101 a105{IV} f6 81 {for_one}"), Some(UnexpectedType)),
        (format!("d860 83 43a10101 a105{IV} f6"), Some(UnexpectedType)),
        // Recipients: an empty map is as good as none, what is not protected may be unknown.
        (inner(&format!("81 83 41a0 a2012204456b69642d31 {wrapped}")), None),
        (inner(&format!("81 83 40 a30122044131 614100 {wrapped}")), None),
        (inner(&format!("81 83 40 a301220441311863f6 {wrapped}")), None),
        (inner(&format!("81 83 40 a10122 {wrapped}")), None),
        (inner(&format!("82 {for_one} 83 44a101381c a120a40102200121410022 4100 {wrapped}")), None),
        (inner("80"), Some(OutOfRange)),
        (inner(&format!("81 83 43a10122 a1044131 {wrapped}")), Some(HeaderUnknown)),
        (inner(&format!("81 83 43a10122 a20122044131 {wrapped}")), Some(HeaderUnknown)),
        (inner(&format!("81 83 40 a1044131 {wrapped}")), None),
        (inner(&format!("81 83 40 a2012202 8101 {wrapped}")), Some(CriticalHeader)),
        (inner(&format!("81 83 44a1028101 a10122 {wrapped}")), None),
        (inner("81 83 40 a10122 4100"), Some(UnexpectedType)),
        (inner("81 83 40 a10122 f6"), Some(UnexpectedType)),
        (inner(&format!("81 84 40 a10122 {wrapped} 81 {for_one}")), Some(CoseUnsupported)),
        (inner("81 82 40 a10122"), Some(UnexpectedType)),
        (inner(&format!("9840 {}", for_one.repeat(64))), None),
        (inner(&format!("9841 {}", for_one.repeat(65))), Some(TooMany)),
    ] {
        let bytes = hex(&info);
        assert_eq!(read(&bytes).err().map(|error| error.kind), refusal, "{info}");
    }
    assert_eq!(read(&[0; MAX_ENCRYPTION_INFO_LEN + 1]).unwrap_err().kind, TooLong);
}

/// A recipient that is for another kind of key comes first; one without a kid is for nobody.
#[test]
fn a_device_finds_its_recipient_among_others() {
    let made = encrypt(ContentAlgorithm::A128Gcm, b"content", &[named(0)]).unwrap();
    let (head, own) = made.info.split_at(made.info.len() - 38);
    assert_eq!((head.last(), &own[..4]), (Some(&0x81), &[0x83, 0x40, 0xa2, 0x01][..]));
    let other = hex(&("83 44a101381c a120a40102200121410022 4100 5818".to_owned() + &"00".repeat(24)));
    let unnamed = [&[0x83, 0x40, 0xa1, 0x01, 0x22], &own[12..]].concat();
    let of = |recipient: &[u8]| {
        let info = [&head[..head.len() - 1], &[0x82], &other, recipient].concat();
        opened(&Encrypted { info, ciphertext: made.ciphertext.clone() }, &named(0))
    };
    assert_eq!(of(own).unwrap(), b"content");
    assert_eq!(of(&unnamed).unwrap_err().kind, ErrorKind::DeviceKeyUnknown);
    let nameless = Named { kid: vec![], ..named(0) };
    let info = [head, &unnamed].concat();
    let refused = opened(&Encrypted { info, ciphertext: made.ciphertext.clone() }, &nameless);
    assert_eq!(refused.unwrap_err().kind, ErrorKind::DeviceKeyUnknown);
}

/// docs/attacks.md, SYM11.
#[test]
fn sym11_what_is_wrong_with_a_foreign_recipient_is_its_own_matter() {
    let made = encrypt(ContentAlgorithm::A128Gcm, b"content", &[named(0)]).unwrap();
    let (head, own) = made.info.split_at(made.info.len() - 38);
    let with = |foreign: &str| [&head[..head.len() - 1], &[0x82], &hex(foreign)[..], own].concat();
    for foreign in [
        "83 49a201381c0443313233 a0 4100",
        "83 46a201381c1340 a0 4100",
        "83 40 a1016341424d 4100",
        "83 40 a0 4100",
        "83 44a101381c a0 f6",
        "84 44a101381c a0 f6 80",
        "83 47a201381c028101 a0 4100",
        "83 44a101381c a102810a 4100",
    ] {
        let made = Encrypted { info: with(foreign), ciphertext: made.ciphertext.clone() };
        assert_eq!(opened(&made, &named(0)).unwrap(), b"content", "{foreign}");
    }
    // It has to be a recipient, and CBOR, all the same.
    for foreign in ["05", "82 40 a0", "85 40 a0 f6 80 00", "83 40 a2044100044100 f6", "83 40 a0"] {
        assert!(read(&with(foreign)).is_err(), "{foreign}");
    }
}

/// docs/attacks.md, SYM12.
#[test]
fn sym12_a_stream_of_counter_mode_that_is_too_long_is_refused() {
    let at_the_limit = Ctr::at(&Key128::new([1; 16]), &[2; 16], MAX_STREAM_LEN);
    let mut ctr = at_the_limit.clone();
    let mut bytes = [0xff; 40];
    ctr.apply(&mut bytes);
    assert_eq!(ctr.position(), u32::MAX);
    assert_eq!(bytes[2..], [0; 38], "nothing is decrypted beyond");
    ctr.apply(&mut bytes);
    assert_eq!(bytes, [0; 40]);
    assert_eq!(Decryption::Ctr(ctr).verify(&[]).unwrap_err().kind, ErrorKind::TooLong);
    assert!(Decryption::Ctr(at_the_limit).verify(&[]).is_ok());
}

/// The second opinion: coset and aes-gcm.
#[test]
fn coset_reads_and_decrypts_what_is_made() {
    use aes_gcm::aead::AeadInOut as _;
    use aes_gcm::{Aes128Gcm, KeyInit as _};
    let made = encrypt(ContentAlgorithm::A128Gcm, b"a real image", &[named(0), named(1)]).unwrap();
    let encrypt = CoseEncrypt::from_tagged_slice(&made.info).unwrap();
    let recipient = &encrypt.recipients[1];
    assert_eq!(recipient.unprotected.key_id, KIDS[1]);
    let mut key = [0; 16];
    let kek = aes_kw::KwAes128::new(named(1).key.as_bytes().into());
    kek.unwrap_key(recipient.ciphertext.as_ref().unwrap(), &mut key).unwrap();
    let associated =
        coset::enc_structure_data(EncryptionContext::CoseEncrypt, encrypt.protected.clone(), &[]);
    let (content, tag) = made.ciphertext.split_last_chunk::<16>().unwrap();
    let mut content = content.to_vec();
    let iv: [u8; 12] = encrypt.unprotected.iv.try_into().unwrap();
    Aes128Gcm::new(&key.into())
        .decrypt_inout_detached(&iv.into(), &associated, content.as_mut_slice().into(), tag.into())
        .unwrap();
    assert_eq!(content, b"a real image");
}

#[test]
fn a_tag_of_another_length_is_refused() {
    for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr] {
        let made = encrypt(algorithm, b"", &[named(0)]).unwrap();
        let info = read(&made.info).unwrap();
        assert_eq!(info.algorithm(), algorithm);
        let key = info.content_key(KIDS[0], &named(0).key).unwrap();
        assert!(info.decryption(&key).verify(&made.ciphertext).is_ok());
        for wrong in [&[0; 15][..], &[0; 17], &[0]] {
            assert_eq!(info.decryption(&key).verify(wrong).unwrap_err().kind, ErrorKind::ContentTag);
        }
    }
}

proptest! {
    #[test]
    fn what_is_encrypted_is_decrypted_by_each_recipient_alone(
        plaintext: Vec<u8>,
        recipients in 1_u8..20,
        is_gcm: bool,
    ) {
        let algorithm = if is_gcm { ContentAlgorithm::A128Gcm } else { ContentAlgorithm::A128Ctr };
        let keys: Vec<Named> = (0..recipients).map(named).collect();
        let made = encrypt(algorithm, &plaintext, &keys).unwrap();
        for key in &keys {
            prop_assert_eq!(&opened(&made, key).unwrap(), &plaintext);
        }
        prop_assert_eq!(opened(&made, &named(recipients)).unwrap_err().kind, ErrorKind::DeviceKeyUnknown);
        prop_assert_eq!(read(&made.info).unwrap().kids().count(), usize::from(recipients));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = read(&bytes);
    }
}
