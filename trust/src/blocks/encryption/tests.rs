use proptest::prelude::*;

use super::*;
use crate::author::{Encrypted, Recipient};
use crate::encryption::{ContentAlgorithm, EncryptionInfo};

const ALGORITHMS: [HostAlgorithm; 3] =
    [HostAlgorithm::A128Gcm, HostAlgorithm::A128Ctr, HostAlgorithm::ChaCha20Poly1305];
/// The key of the receiver in draft-ietf-suit-firmware-encryption-26, section "ECDH-ES+AES-KW + AES-GCM Example".
const X: &str = "5886cd61dd875862e5aaa820e7a15274c968a9bc96048ddcace32f50c3651ba3";
const Y: &str = "9eed8125e932cd60c0ead3650d0a485cf726d378d1b016ed4298b2961e258f1b";
const D: &str = "60fe6dd6d85d5740a5349b6f91267eeac5ba81b8cb53ee249e4b4eb102c476b3";
const KID_2: &str = "6b69642d32";
/// An ephemeral key of an example, and what it wraps.
const EPHEMERAL: &str = "a401022001215820 73024f415aa51529a66ccefd88f3f62a734492ff45f6ad37fd2888e73eaf19da \
    225820 4005b48a6fd091aa6abfe3cfbeede88b347e521d43405fdbd7d2cff0ebc21b26";
const WRAPPED: &str = "5818 a06b8e6550f308712b1df044b21b7d11d9b22792f1de0997";
const GCM_HEAD: &str = "d86084 43a10101 a1054cf14aab9d81d51f7ad943fe87 f6 81";

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text.replace([' ', '\n'], "")).unwrap()
}

fn read(info: &[u8]) -> Result<HostEncryption<'_>, Error> {
    HostEncryption::read(Span { bytes: info, base: 0 })
}

/// A private COSE_Key of P-256, with the kid of the draft.
fn of_the_draft() -> AgreementSecret {
    AgreementSecret::parse(&hex(&format!("a6010202 45{KID_2} 2001 215820{X} 225820{Y} 235820{D}"))).unwrap()
}

fn secrets() -> [AgreementSecret; 2] {
    let x25519 = AgreementSecret::parse(&hex(&format!("a4010102 4178 2004 235820{D}"))).unwrap();
    [of_the_draft(), x25519]
}

fn device(index: u8) -> Recipient {
    Recipient { kid: vec![index; 8], key: Key128::new([index; 16]) }
}

fn open(encrypted: &Encrypted, secret: &AgreementSecret) -> Result<Vec<u8>, Error> {
    let info = read(&encrypted.info)?;
    info.open(&info.content_key(secret)?, &encrypted.ciphertext)
}

fn refusal(info: &str, secret: &AgreementSecret) -> Option<ErrorKind> {
    let info = hex(info);
    read(&info).and_then(|info| info.content_key(secret).map(drop)).err().map(|error| error.kind)
}

/// Sections "ECDH-ES+AES-KW + AES-GCM Example" and "ECDH-ES+AES-KW + AES-CTR Example": opened with the key that they print.
#[test]
fn the_examples_of_the_draft_open_with_the_key_that_it_prints() {
    for (algorithm, info, ciphertext) in [
        (
            HostAlgorithm::A128Gcm,
            format!("{GCM_HEAD} 83 44a101381c a120 {EPHEMERAL} {WRAPPED}"),
            "758c4b7bbae2c4c1d462423e0f0dc3164ffa7b85bb94d4bd6d7ed26ab32f eb063385d4d3465927ec82cb5e198a59",
        ),
        (
            HostAlgorithm::A128Ctr,
            "d86084 40 a20139fffd0550dae613b2e0dc55f4322be38bdba9dc68 f681 83 44a101381c a120 a401022001 \
             215820 ee0718f6b019c29cc611c18cede2214066ddcedc2f0dbef873cb224c715c1174 \
             225820 279f2a88e4ab9e2ed30c0fcb69515b31b5d36725bfdb9ae02032ed4d5ab52cb8 \
             5818 e28b4502e4f5151884a995405579006e9465c3e94e3e0808"
                .to_owned(),
            "2bb8db522ae978246cc775c3b0241bd4b0333ffdd2db70c7ee7a4966e3b7",
        ),
    ] {
        let encrypted = Encrypted { info: hex(&info), ciphertext: hex(ciphertext) };
        let plaintext = open(&encrypted, &of_the_draft()).unwrap();
        assert_eq!(plaintext, b"This is a real firmware image.", "{algorithm:?}");
        assert_eq!(read(&encrypted.info).unwrap().algorithm(), algorithm);
        // A device passes its recipient over.
        let read = EncryptionInfo::read(Span { bytes: &encrypted.info, base: 0 }).unwrap();
        assert_eq!(
            read.content_key(&hex(KID_2), &Key128::new([1; 16])).unwrap_err().kind,
            ErrorKind::DeviceKeyUnknown
        );
    }
}

#[test]
fn what_is_sealed_is_read_by_each_recipient_and_by_nobody_else() {
    let devices = [device(1), device(2)];
    let [p256, x25519] = secrets();
    let others = [
        AgreementSecret::fresh_for(p256.public()).unwrap(),
        AgreementSecret::fresh_for(x25519.public()).unwrap(),
    ];
    for algorithm in ALGORITHMS {
        let public = [p256.public().clone(), x25519.public().clone()];
        let made = seal(algorithm, b"content", &devices, &public).unwrap();
        assert_eq!(made.ciphertext.len(), 7 + algorithm.tag_len());
        let info = read(&made.info).unwrap();
        let kids: Vec<_> = info.recipients().iter().map(|one| one.kid.unwrap().to_vec()).collect();
        assert_eq!(kids, [vec![1; 8], vec![2; 8], hex(KID_2), b"x".to_vec()]);
        let numbers: Vec<_> =
            info.recipients().iter().map(|one| one.algorithm.unwrap().number().unwrap()).collect();
        assert_eq!(numbers, [-3, -3, -29, -29]);
        for secret in [&p256, &x25519] {
            assert_eq!(open(&made, secret).unwrap(), b"content", "{algorithm:?} {secret:?}");
        }
        for secret in &others {
            assert_eq!(open(&made, secret).unwrap_err().kind, ErrorKind::DeviceKeyUnknown, "{secret:?}");
        }
        for one in &devices {
            let key = info.content_key_of_device(&one.kid, &one.key).unwrap();
            assert_eq!(info.open(&key, &made.ciphertext).unwrap(), b"content");
        }
        assert_eq!(
            info.content_key_of_device(&[1; 8], &device(2).key).unwrap_err().kind,
            ErrorKind::KeyUnwrap
        );
        // The code of devices reads what it knows of it.
        let on_device = EncryptionInfo::read(Span { bytes: &made.info, base: 0 });
        match algorithm.on_devices() {
            None => assert_eq!(on_device.unwrap_err().kind, ErrorKind::AlgorithmUnsupported),
            Some(_) => {
                let on_device = on_device.unwrap();
                let key = on_device.content_key(&[2; 8], &device(2).key).unwrap();
                assert!(on_device.is_ciphertext_of(&key, &made.ciphertext, b"content"));
            }
        }
        // Each has keys of its own.
        let again = seal(algorithm, b"content", &devices, &public).unwrap();
        let parts = |made: &Encrypted| {
            read(&made.info)
                .unwrap()
                .recipients
                .iter()
                .map(|one| one.wrapped.bytes.to_vec())
                .collect::<Vec<_>>()
        };
        assert!(parts(&made).iter().all(|wrapped| !parts(&again).contains(wrapped)));
    }
    let none = seal(HostAlgorithm::A128Gcm, b"content", &[], &[]);
    assert!(none.is_err(), "for nobody");
}

/// docs/attacks.md, SYM51.
#[test]
fn sym51_every_bit_and_every_shorter_encryption_info_of_an_agreement_is_refused() {
    for secret in &secrets() {
        for algorithm in [HostAlgorithm::A128Gcm, HostAlgorithm::ChaCha20Poly1305] {
            let made = seal(algorithm, b"content", &[], &[secret.public().clone()]).unwrap();
            let opened =
                |info: Vec<u8>| open(&Encrypted { info, ciphertext: made.ciphertext.clone() }, secret);
            assert!(opened(made.info.clone()).is_ok());
            // RFC 7748 section 5: the highest bit of a u-coordinate says nothing.
            let x25519_top =
                made.info.windows(7).position(|window| window == b"\xa3\x01\x01\x20\x04\x21\x58");
            let ignored = x25519_top.map(|at| (at + 8 + 31) * 8 + 7);
            // Nobody protects the name of a key, and without it the key is tried: what comes out is the content.
            let kid = [
                &[0x04, 0x40 | u8::try_from(secret.public().kid().len()).unwrap()][..],
                &secret.public().kid(),
            ]
            .concat();
            let name = made.info.windows(kid.len()).position(|window| window == kid).unwrap();
            for bit in (0..made.info.len() * 8).filter(|bit| Some(*bit) != ignored) {
                let mut info = made.info.clone();
                info[bit / 8] ^= 1 << (bit % 8);
                let opened = opened(info.clone());
                let is_named = (name..name + kid.len()).contains(&(bit / 8));
                let is_harmless = is_named && opened.as_ref().is_ok_and(|content| content == b"content");
                assert!(opened.is_err() || is_harmless, "{secret:?} bit {bit}: {}", hex::encode(info));
            }
            for len in 0..made.info.len() {
                assert!(opened(made.info[..len].to_vec()).is_err(), "{len}");
            }
            assert!(opened([&made.info[..], &[0]].concat()).is_err());
            for bit in 0..made.ciphertext.len() * 8 {
                let mut other = made.clone();
                other.ciphertext[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open(&other, secret).unwrap_err().kind, ErrorKind::ContentTag, "bit {bit}");
            }
            for len in 0..made.ciphertext.len() {
                let other = Encrypted { ciphertext: made.ciphertext[..len].to_vec(), ..made.clone() };
                assert_eq!(open(&other, secret).unwrap_err().kind, ErrorKind::ContentTag, "{len}");
            }
        }
    }
}

/// docs/attacks.md, SYM52: invalid points leak the private key of whoever agrees with them.
#[test]
fn sym52_an_ephemeral_key_is_a_usable_point_of_the_same_curve() {
    let [p256, x25519] = secrets();
    let with = |key: &str| format!("{GCM_HEAD} 83 44a101381c a120 {key} {WRAPPED}");
    let zeros = "00".repeat(32);
    let u = |digits: &str| with(&format!("a301012004215820{digits}"));
    let xy = |x: &str, y: &str| with(&format!("a401022001215820{x}225820{y}"));
    use ErrorKind::*;
    for (info, secret, expected) in [
        (with(EPHEMERAL), &p256, None),
        // y as a sign: the x-coordinate of the product is the same for both.
        (with(&(EPHEMERAL[..82].to_owned() + "22f4")), &p256, None),
        (with(&(EPHEMERAL[..82].to_owned() + "22f5")), &p256, None),
        // Neutral, off the curve, on another one, and not below p.
        (xy(&zeros, &zeros), &p256, Some(KeyInvalid)),
        (xy(X, X), &p256, Some(KeyInvalid)),
        (xy(&"ff".repeat(32), Y), &p256, Some(KeyInvalid)),
        (with(&EPHEMERAL.replace("2001", "2002")), &p256, Some(KeyInvalid)),
        (u(X), &p256, Some(KeyInvalid)),
        (with(EPHEMERAL), &x25519, Some(KeyInvalid)),
        // OKP with P-256, EC2 with X25519, y of a curve that has none.
        (with(&EPHEMERAL.replace("a401022001", "a401012001")), &p256, Some(KeyInvalid)),
        (with(&EPHEMERAL.replace("a401022001", "a401022004")), &p256, Some(KeyInvalid)),
        (with(&EPHEMERAL.replace("a401022001", "a401012004")), &x25519, Some(KeyInvalid)),
        // Of order 1, 2, 4 and 8: 0, 1, p - 1, and one of those that are known.
        (u(&zeros), &x25519, Some(KeyInvalid)),
        (u(&("01".to_owned() + &zeros[2..])), &x25519, Some(KeyInvalid)),
        (u(&("ec".to_owned() + &"ff".repeat(30) + "7f")), &x25519, Some(KeyInvalid)),
        (u("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"), &x25519, Some(KeyInvalid)),
        (u(X), &x25519, Some(KeyUnwrap)),
        // Of another length; without a part; with its private half.
        (with("a3010120042141aa"), &x25519, Some(KeyInvalid)),
        (with(&format!("a20101215820{X}")), &x25519, Some(MissingKey)),
        (with("a201012004"), &x25519, Some(KeyInvalid)),
        (with(&format!("a401012004215820{X}235820{D}")), &x25519, Some(KeyInvalid)),
        (with("40"), &x25519, Some(UnexpectedType)),
    ] {
        assert_eq!(refusal(&info, secret), expected, "{secret:?} {info}");
    }
    // Nor does anybody encrypt to such a key.
    assert_eq!(
        AgreementKey::parse(&hex(&format!("a301012004215820{zeros}"))).unwrap_err(),
        AgreementKeyError::Point
    );
    let small = AgreementKey::of(agreement::Point::X25519([0; 32]), None);
    assert!(seal(HostAlgorithm::A128Gcm, b"content", &[], &[small]).is_err());
}

/// docs/attacks.md, SYM53.
#[test]
fn sym53_headers_of_an_agreement_count_where_they_are_protected() {
    let [p256, _] = secrets();
    let recipient = |headers: &str| format!("{GCM_HEAD} 83 {headers} {WRAPPED}");
    use ErrorKind::*;
    for (headers, expected) in [
        (format!("44a101381c a204 45{KID_2} 20 {EPHEMERAL}"), None),
        // alg where nobody protects it, in both maps, and as a name.
        (format!("40 a201381c20 {EPHEMERAL}"), Some(HeaderUnknown)),
        (format!("41a0 a201381c20 {EPHEMERAL}"), Some(HeaderUnknown)),
        (format!("44a101381c a201381c20 {EPHEMERAL}"), Some(HeaderUnknown)),
        (format!("44a1016141 a120 {EPHEMERAL}"), Some(DeviceKeyUnknown)),
        // The ephemeral key is protected too: another key is derived.
        (format!("5850a201381c20 {EPHEMERAL} a0"), Some(KeyUnwrap)),
        (format!("47a201381c044178 a120 {EPHEMERAL}"), Some(DeviceKeyUnknown)),
        ("44a101381c a0".to_owned(), Some(HeaderMissing)),
        // crit, and what would belong into the context.
        (format!("47a201381c028101 a120 {EPHEMERAL}"), Some(CriticalHeader)),
        (format!("44a101381c a2028120 20 {EPHEMERAL}"), Some(CriticalHeader)),
        (format!("44a101381c a220 {EPHEMERAL} 354178"), Some(HeaderUnknown)),
        (format!("44a101381c a220 {EPHEMERAL} 38194178"), Some(HeaderUnknown)),
        // A salt is no number, and counts.
        (format!("44a101381c a220 {EPHEMERAL} 3301"), Some(UnexpectedType)),
        (format!("44a101381c a220 {EPHEMERAL} 334178"), Some(KeyUnwrap)),
        // Another one, of which nothing depends.
        (format!("44a101381c a2182a00 20 {EPHEMERAL}"), None),
        // ECDH-SS + A128KW, and direct.
        (format!("44a101381f a120 {EPHEMERAL}"), Some(DeviceKeyUnknown)),
        (format!("44a1013818 a120 {EPHEMERAL}"), Some(DeviceKeyUnknown)),
    ] {
        let headers = headers.replace("5850", &format!("58{:02x}", 5 + hex(EPHEMERAL).len()));
        assert_eq!(refusal(&recipient(&headers), &p256), expected, "{headers}");
    }
    // Recipients of a recipient.
    let deep = format!("{GCM_HEAD} 84 44a101381c a120 {EPHEMERAL} {WRAPPED} 818340a040");
    assert_eq!(refusal(&deep, &p256), Some(CoseUnsupported));
    // Of the content: alg of an AEAD is protected, the IV is as long as it has to be, and a wrapped key as the content asks.
    let one = format!("81 83 44a101381c a120 {EPHEMERAL} {WRAPPED}");
    let iv = "054cf14aab9d81d51f7ad943fe87";
    for (content, expected) in [
        (format!("43a10101 a1{iv} f6"), None),
        (format!("44a1011818 a1{iv} f6"), None),
        (format!("40 a2011818{iv} f6"), Some(HeaderUnknown)),
        (format!("40 a20101{iv} f6"), Some(HeaderUnknown)),
        (format!("45a10139fffd a1{iv} f6"), Some(HeaderUnknown)),
        ("44a1011818 a10541aa f6".to_owned(), Some(OutOfRange)),
        ("44a1011818 a0 f6".to_owned(), Some(HeaderMissing)),
        (format!("44a1011818 a1{iv} 40"), Some(CoseUnsupported)),
        (format!("43a10102 a1{iv} f6"), Some(AlgorithmUnsupported)),
        (format!("48a201181802811818 a1{iv} f6"), Some(CriticalHeader)),
    ] {
        let info = format!("d86084 {content} {one}");
        assert_eq!(refusal(&info, &p256), expected, "{info}");
    }
    // A128KW as devices take it: with nothing protected, in either form, and never alg.
    for (headers, expected) in [
        ("40 a2012204456b69642d31", None),
        ("41a0 a2012204456b69642d31", None),
        ("43a10122 a104456b69642d31", Some(HeaderUnknown)),
        ("44a1182a00 a2012204456b69642d31", None),
        ("40 a3012202810104456b69642d31", Some(CriticalHeader)),
    ] {
        let info = hex(&format!("d86084 43a10101 a1{iv} f6 81 83 {headers} {WRAPPED}"));
        let on_device = EncryptionInfo::read(Span { bytes: &info, base: 0 }).map(drop);
        assert_eq!(read(&info).map(drop).map_err(|error| error.kind).err(), expected, "{headers}");
        assert_eq!(on_device.map_err(|error| error.kind).err(), expected, "{headers}");
        let is_ours = read(&info).is_ok_and(|info| info.recipients()[0].is_for_devices());
        let kids = EncryptionInfo::read(Span { bytes: &info, base: 0 }).map_or(0, |info| info.kids().count());
        assert_eq!(kids == 1, is_ours, "{headers}");
    }
    let short = format!("d86084 44a1011818 a1{iv} f6 81 83 40 a201220441aa {WRAPPED}");
    assert_eq!(refusal(&short, &p256), Some(UnexpectedType), "a key of 128 bits for ChaCha20");
}

/// The draft, section "Context Information Structure": a salt in a header is passed on.
#[test]
fn a_salt_is_processed() {
    let [p256, _] = secrets();
    let made = seal(HostAlgorithm::A128Gcm, b"content", &[], &[p256.public().clone()]).unwrap();
    let key = read(&made.info).unwrap().content_key(&p256).unwrap();
    let info = read(&made.info).unwrap();
    let Way::Agreement(Ok(agreement)) = &info.recipients[0].way else { panic!("no agreement") };
    let salted = Agreement { salt: b"salt", ..agreement.clone() };
    let with = key_encryption_key(&p256.agree(&agreement.ephemeral).unwrap(), &salted);
    let mut wrapped = vec![0; 24];
    KwAes128::new(with.as_bytes().into()).wrap_key(key.as_bytes(), &mut wrapped).unwrap();
    // The same recipient with the salt, in the unprotected map behind the ephemeral key.
    let (old, at) = (info.recipients[0].wrapped.bytes, info.recipients[0].wrapped.base as usize);
    let mut changed = [&made.info[..at - 2], b"\x33\x44salt", &made.info[at - 2..]].concat();
    let map = changed
        .windows(7)
        .position(|window| window == [&hex("a20445")[..], &hex(KID_2)[..4]].concat())
        .unwrap();
    changed[map] = 0xa3;
    let end = changed.len() - 24;
    assert_eq!(&changed[end..], old);
    assert_eq!(
        refusal(&hex::encode(&changed), &p256),
        Some(ErrorKind::KeyUnwrap),
        "the key is that without a salt"
    );
    changed[end..].copy_from_slice(&wrapped);
    let ciphertext = made.ciphertext.clone();
    assert_eq!(open(&Encrypted { info: changed, ciphertext }, &p256).unwrap(), b"content");
}

#[test]
fn files_with_keys_to_agree_with_are_told_apart() {
    let public = |digits: &str| AgreementKey::parse(&hex(digits)).map(|key| hex::encode(key.kid()));
    let secret =
        |digits: &str| AgreementSecret::parse(&hex(digits)).map(|key| hex::encode(key.public().kid()));
    use AgreementKeyError::*;
    let p256 = format!("a401022001215820{X}225820{Y}");
    let thumbprint = hex::encode(&sha256_of(&hex(&p256))[..8]);
    assert_eq!(public(&p256), Ok(thumbprint.clone()));
    assert_eq!(public(&format!("a5010202 45{KID_2} 2001215820{X}225820{Y}")), Ok(KID_2.to_owned()));
    assert_eq!(secret(&format!("a3010220 01235820{D}")), Ok(thumbprint), "the public half is derived");
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    for (digits, expected) in [
        (format!("a501022001215820{X}225820{Y}235820{D}"), Private),
        (format!("a401022001215820{X}225820{X}"), Point),
        (format!("a401022002215820{X}225820{Y}"), Curve),
        (format!("a301012006215820{X}"), Curve),
        (format!("a30104 2001215820{X}"), Algorithm),
        // For ES256; for signatures.
        (format!("a501020326 2001215820{X}225820{Y}"), Algorithm),
        (format!("a50102048102 2001215820{X}225820{Y}"), Operations),
        (format!("a301022001215820{X}"), Form),
        ("a401022001214101225820".to_owned() + Y, Form),
        ("a2".to_owned(), Form),
        ("00".to_owned(), Form),
    ] {
        assert_eq!(public(&digits), Err(expected), "{digits}");
    }
    for (digits, expected) in [
        (p256, Public),
        (format!("a501022001215820{X}225820{X}235820{D}"), Point),
        // Of another private key; 0; not below the order.
        (format!("a501022001215820{X}225820{Y}235820{X}"), Point),
        (format!("a301022001235820{}", "00".repeat(32)), Point),
        (format!("a301022001235820{order}"), Point),
        (format!("a401020481022001235820{D}"), Operations),
    ] {
        assert_eq!(secret(&digits), Err(expected), "{digits}");
    }
    assert!(!format!("{:?}", of_the_draft()).contains("60"), "no secret is printed");
}

fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    crate::key::sha256(bytes)
}

proptest! {
    /// A reader of hosts takes whatever that of devices takes, and makes the same of it.
    #[test]
    fn hosts_read_what_devices_read(content: Vec<u8>, gcm: bool, flip in 0_usize..2000) {
        let algorithm = if gcm { ContentAlgorithm::A128Gcm } else { ContentAlgorithm::A128Ctr };
        let mut made = crate::author::encrypt(algorithm, &content, &[device(1), device(2)]).unwrap();
        // One bit of some, and of others none.
        if flip < made.info.len() * 8 {
            made.info[flip / 8] ^= 1 << (flip % 8);
        }
        let Ok(info) = EncryptionInfo::read(Span { bytes: &made.info, base: 0 }) else { return Ok(()) };
        let host = read(&made.info).unwrap();
        prop_assert_eq!(host.algorithm(), HostAlgorithm::from(info.algorithm()));
        for one in [device(1), device(2)] {
            let key = info.content_key(&one.kid, &one.key);
            let again = host.content_key_of_device(&one.kid, &one.key);
            prop_assert_eq!(key.as_ref().ok().map(|key| key.as_bytes().to_vec()), again.as_ref().ok().map(|key| key.as_bytes().to_vec()));
            if let (Ok(key), Ok(again)) = (key, again)
                && let Ok(plaintext) = host.open(&again, &made.ciphertext)
            {
                prop_assert!(info.is_ciphertext_of(&key, &made.ciphertext, &plaintext));
            }
        }
    }
}
