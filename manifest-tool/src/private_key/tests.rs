use std::path::Path;

use base64ct::{Base64, Encoding as _};
use pkcs8::der::Encode as _;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{
    EncryptionScheme as Cipher, Kdf, Parameters, Pbkdf2Params, Pbkdf2Prf, Salt, ScryptParams,
};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, SecretDocument};
use trust::author::{Signer as _, SoftwareKey};
use trust::host::Pem;
use zeroize::Zeroizing;

use super::{Derivation, KeyFault, PLAIN_LABEL, decode, encode, encrypt, foreign, is_affordable};
use crate::error::Error;

/// One key, as OpenSSL 3 writes it: plain, and under the passphrase `secret`.
const OPENSSL_PLAIN: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIEFc0QckRwUEHZtYVDdC8CNSQauH0nEkbLg4dIOcVPbM
-----END PRIVATE KEY-----
";
const OPENSSL_PBKDF2: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhga9au9+uEGAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEBF54NhG4BPwKFgBLAr7/UgEQB8M
GlKbYfdqwqQWQg1RFPEwCHmuwLWAJ5/oTcIquKFHa3VcMtY8dq9CFvaues9jkxDZ
2zs+MVqUzsOAbW3g+Po=
-----END ENCRYPTED PRIVATE KEY-----
";
const OPENSSL_SCRYPT: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAgHTfzY4+q0OAICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBANaM/knXsoR6gwSd+MvArzBED0UahySO7lhsAJ
EMCyCECLqRC2VjBibfPlHjHZzNhJsku6E4WTyTAgH6SruAcSEwiR2Kjun6mNk9sf
xe7S1Hbi
-----END ENCRYPTED PRIVATE KEY-----
";
const OPENSSL_PUBLIC: &str = "84cdb80fb9766df718a84dc22f950a5798c54642da44703b0d21b5b0a8a8d3e9";
/// Keys that are not for us: PBES1, X25519, P-256.
const OPENSSL_PBES1: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MFgwHAYKKoZIhvcNAQwBAzAOBAg3xzf8xICCdwICCAAEOMiJabshuLTzwotX0v1E
1WwdafAFG2PuC55xklBn0+lFDI5EULgy66nn0kNS4mr7NRakHmETZcko
-----END ENCRYPTED PRIVATE KEY-----
";
const OPENSSL_X25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEIAiYIhxmu1tn3FSpokjUVnR3u127FlOdqHyOj7+ls1xp
-----END PRIVATE KEY-----
";
const OPENSSL_P256: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgM4PfDZk83uX7MTRV
aIk7J2isIbsOUEWWQL/D4rB4PtWhRANCAAREpYjzKlD4G5WRWRx0L+hYkj6JAKdk
lYjiGJLO2IJ/Sfi5tClr1mS+zN00VE/kiJTM2peqi6FlNcTB2eWbV3xg
-----END PRIVATE KEY-----
";

fn open(pem: &str, passphrase: &str) -> Result<String, Error> {
    let key = decode(Path::new("key.pem"), pem.as_bytes(), || Ok(Zeroizing::new(passphrase.to_owned())))?;
    Ok(hex::encode(key.public_key().as_bytes()))
}

#[test]
fn openssls_keys_open() {
    for pem in [OPENSSL_PLAIN, OPENSSL_PBKDF2, OPENSSL_SCRYPT] {
        assert_eq!(open(pem, "secret").unwrap(), OPENSSL_PUBLIC);
    }
}

#[test]
fn a_key_comes_back() {
    let seed = [7; 32];
    let plain = encode(&seed).unwrap();
    assert!(plain.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    for derivation in [Derivation::Scrypt, Derivation::Pbkdf2] {
        let encrypted = encrypt(&seed, "pass phrase", derivation).unwrap();
        assert!(encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert_eq!(open(&plain, "not asked for").unwrap(), open(&encrypted, "pass phrase").unwrap());
    }
    // RFC 8410 section 7, version 1: what every other tool reads.
    let der = SecretDocument::from_pem(&plain).unwrap().1;
    assert_eq!(hex::encode(der.as_bytes()), format!("302e020100300506032b657004220420{}", "07".repeat(32)));
}

/// A root's key is meant to last: guessing its passphrase has to cost memory for each guess.
#[test]
fn a_new_key_costs_128_mib_a_guess() {
    let pem = encrypt(&[7; 32], "pass phrase", Derivation::default()).unwrap();
    let der = SecretDocument::from_pem(&pem).unwrap().1;
    let info = EncryptedPrivateKeyInfoRef::try_from(der.as_bytes()).unwrap();
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else { panic!("PBES2") };
    let Kdf::Scrypt(scrypt) = &parameters.kdf else { panic!("scrypt") };
    assert_eq!((scrypt.cost_parameter, scrypt.block_size, scrypt.parallelization), (1 << 17, 8, 1));
}

#[test]
fn two_encryptions_differ() {
    let encrypted = || encrypt(&[7; 32], "a", Derivation::Pbkdf2).unwrap();
    assert_ne!(encrypted(), encrypted(), "salt and IV");
}

#[test]
fn a_key_is_read_as_people_keep_it() {
    let kept = [
        format!("\u{feff}{}", OPENSSL_PLAIN.replace('\n', "\r\n")),
        format!("\n\nof the root\n{OPENSSL_PLAIN}\n\n"),
        // `openssl req -newkey` and backups hold both halves in one file.
        format!("-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n{OPENSSL_PLAIN}"),
    ];
    for text in kept {
        assert_eq!(open(&text, "").unwrap(), OPENSSL_PUBLIC, "{text:?}");
    }
    let two = format!("{OPENSSL_PLAIN}{OPENSSL_PBKDF2}");
    assert!(matches!(open(&two, "secret"), Err(Error::PrivateKey { .. })));
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    for pem in [OPENSSL_PBKDF2, OPENSSL_SCRYPT] {
        for wrong in ["", "Secret", "secret "] {
            assert!(matches!(open(pem, wrong), Err(Error::PassphraseWrong(_))));
        }
    }
}

#[test]
fn other_keys_are_refused() {
    let cut = &OPENSSL_PLAIN[..60];
    let certificate = OPENSSL_PLAIN.replace("PRIVATE KEY", "CERTIFICATE");
    for pem in [OPENSSL_PBES1, OPENSSL_X25519, OPENSSL_P256, cut, certificate.as_str(), "", "\u{fffd}"] {
        assert!(matches!(open(pem, "secret"), Err(Error::PrivateKey { .. })), "{pem}");
    }
}

/// A key pair whose halves do not belong together signs what nobody can verify, or worse.
#[test]
fn a_foreign_public_half_is_refused() {
    let own = hex::decode(OPENSSL_PUBLIC).unwrap();
    let seed = hex::decode("415cd107244705041d9b58543742f0235241ab87d271246cb83874839c54f6cc").unwrap();
    let with_public = |public: &[u8]| {
        let mut der = hex::decode("3051020101300506032b657004220420").unwrap();
        der.extend_from_slice(&seed);
        der.extend_from_slice(&[0x81, 0x21, 0x00]);
        der.extend_from_slice(public);
        let document = SecretDocument::try_from(der.as_slice()).unwrap();
        document.to_pem(PLAIN_LABEL, LineEnding::LF).unwrap()
    };
    assert_eq!(open(&with_public(&own), "").unwrap(), OPENSSL_PUBLIC);
    assert!(matches!(open(&with_public(&[1; 32]), ""), Err(Error::PrivateKey { .. })));
}

fn scheme(kdf: &Kdf) -> EncryptionScheme {
    Parameters { kdf: kdf.clone(), encryption: Cipher::Aes256Cbc { iv: [0; 16] } }.into()
}

/// A key file of this key derivation, with zeros for a key.
fn encrypted(kdf: &Kdf) -> String {
    let info = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: scheme(kdf),
        encrypted_data: OctetStringRef::new(&[0; 48]).unwrap(),
    };
    let document = SecretDocument::try_from(info.to_der().unwrap()).unwrap();
    document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap().to_string()
}

/// A file that names its own cost must not cost hours or all memory.
#[test]
fn unaffordable_encryption_is_refused_before_it_is_tried() {
    let salt = Salt::new([0; 8]).unwrap();
    let scrypt = |cost_parameter, block_size, parallelization| {
        Kdf::Scrypt(ScryptParams { salt, cost_parameter, block_size, parallelization, key_length: None })
    };
    let mut pbkdf2 = Pbkdf2Params::hmac_sha256(10_000_001, &[0; 8]).unwrap();
    let mut kdfs = vec![scrypt(1 << 40, 8, 1), scrypt(1 << 18, 8, 1024), scrypt(1 << 14, 65535, 1)];
    kdfs.push(scrypt(u64::MAX, u16::MAX, u16::MAX));
    // The lanes alone: 4 GiB, at a work that is small.
    kdfs.push(scrypt(2, 512, 65535));
    // What scrypt does not know.
    kdfs.extend([scrypt(0, 8, 1), scrypt(1, 8, 1), scrypt(3, 8, 1), scrypt(2, 0, 1), scrypt(2, 8, 0)]);
    kdfs.push(Kdf::Pbkdf2(pbkdf2));
    pbkdf2.iteration_count = u32::MAX;
    kdfs.push(Kdf::Pbkdf2(pbkdf2));
    for kdf in kdfs {
        assert!(!is_affordable(&kdf));
        assert!(matches!(open(&encrypted(&kdf), "secret"), Err(Error::PrivateKey { .. })));
    }
    // What others use is still read.
    for kdf in [scrypt(1 << 14, 8, 1), scrypt(1 << 18, 8, 1), scrypt(1 << 15, 8, 16)] {
        assert!(is_affordable(&kdf));
    }
}

/// A key of OpenSSH, changed between its base64.
fn changed_ssh(passphrase: Option<&str>, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let pem = foreign::encode_ssh(&[7; 32], passphrase).unwrap();
    let mut bytes = Vec::new();
    Pem::find(pem.as_bytes()).unwrap().decode(&mut bytes).unwrap();
    change(&mut bytes);
    format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
        Base64::encode_string(&bytes)
    )
}

fn import(pem: &str, passphrase: &str) -> Result<[u8; 32], Error> {
    let passphrase = || Ok(Zeroizing::new(passphrase.to_owned()));
    foreign::decode(Path::new("key"), pem.as_bytes(), passphrase).map(|(seed, _)| *seed)
}

#[test]
fn a_key_of_openssh_comes_back() {
    assert_eq!(import(&changed_ssh(None, |_| {}), "not asked for").unwrap(), [7; 32]);
    let encrypted = changed_ssh(Some("secret"), |_| {});
    assert_eq!(import(&encrypted, "secret").unwrap(), [7; 32]);
    assert!(matches!(import(&encrypted, "Secret"), Err(Error::PassphraseWrong(_))));
    assert!(matches!(import(&encrypted[..200], "secret"), Err(Error::PrivateKey { .. })));
}

#[test]
fn an_unaffordable_key_of_openssh_is_refused_before_it_is_tried() {
    let dear = changed_ssh(Some("secret"), |bytes| {
        let rounds = 64u32.to_be_bytes();
        let place = bytes.windows(4).position(|window| window == rounds).unwrap();
        bytes[place..place + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    });
    match import(&dear, "secret") {
        Err(Error::PrivateKey { fault, .. }) => assert_eq!(fault, KeyFault::Cost),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_foreign_public_half_in_a_key_of_openssh_is_refused() {
    let own = SoftwareKey::from_seed(&[7; 32]).unwrap().public_key();
    let other = SoftwareKey::from_seed(&[8; 32]).unwrap().public_key();
    let changed = changed_ssh(None, |bytes| {
        while let Some(place) = bytes.windows(32).position(|window| window == own.as_bytes()) {
            bytes[place..place + 32].copy_from_slice(other.as_bytes());
        }
    });
    match import(&changed, "") {
        Err(Error::PrivateKey { fault, .. }) => assert_eq!(fault, KeyFault::Halves),
        other => panic!("{other:?}"),
    }
}

/// Somebody who is told that the passphrase is wrong looks for another passphrase.
#[test]
fn an_encryption_that_is_not_supported_is_not_a_wrong_passphrase() {
    let key_length = Pbkdf2Params { key_length: Some(16), ..Pbkdf2Params::hmac_sha256(1, &[0; 8]).unwrap() };
    match open(&encrypted(&Kdf::Pbkdf2(key_length)), "secret") {
        Err(Error::PrivateKey { fault, .. }) => assert_eq!(fault, KeyFault::Encryption),
        other => panic!("{other:?}"),
    }
}

/// The default of RFC 8018, which OpenSSL 1.0 and LibreSSL write.
#[test]
fn pbkdf2_with_hmac_sha1_is_read() {
    let sha1 =
        Pbkdf2Params { prf: Pbkdf2Prf::HmacWithSha1, ..Pbkdf2Params::hmac_sha256(1, &[0; 8]).unwrap() };
    // Zeros for a key: they decrypt to nothing, which is what a wrong passphrase does too.
    assert!(matches!(open(&encrypted(&Kdf::Pbkdf2(sha1)), "secret"), Err(Error::PassphraseWrong(_))));
}
