use std::collections::BTreeSet;
use std::process::Command;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

const REQUEST: DeviceKeyRequest<'_> =
    DeviceKeyRequest { line: "line 1", serial: "A-1001", purpose: Purpose::Update, revision: 0 };

fn master(len: u8) -> MasterKey {
    MasterKey::new(&(1..=len).collect::<Vec<u8>>()).unwrap()
}

/// NIST CAVP, KDF in counter mode: CMAC with AES-128, counter of 32 bits before the fixed input, COUNT 0, L 128.
#[test]
fn a_vector_of_nist_for_counter_mode_holds() {
    let fixed = hex("98cd4cbbbebe15d17dc86e6dbad800a2dcbd64f7c7ad0e78e9cf94ffdba89d03\
                     e97eadf6c4f7b806caf52aa38f09d0eb71d71f497bcc6906b48d36c4");
    let mut out = [0; 16];
    cmac_counter(&hex("c10b152e8c97b77e18704e0f0bd38305"), &fixed, &mut out).unwrap();
    assert_eq!(out[..], hex("26faf61908ad9ee881b8305c221db53f"));
}

/// RFC 4493 section 4, and SP 800-38B appendix D.3 for a key of 32 bytes.
#[test]
fn the_examples_of_cmac_hold() {
    let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    let message = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411");
    for (key, len, mac) in [
        (&key, 0, "bb1d6929e95937287fa37d129b756746"),
        (&key, 16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (&key, 40, "dfa66747de9ae63030ca32611497c827"),
        (
            &hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
            16,
            "28a7023f452e8f82bd4bf28d8c37c35c",
        ),
    ] {
        let (head, tail) = message[..len].split_at(len / 3);
        assert_eq!(cmac(key, &[head, tail]).unwrap()[..], hex(mac));
    }
    assert_eq!(cmac(&[1; 24], &[]), None);
}

/// RFC 5869 appendix A.3, which has no salt, as a derivation has none.
#[test]
fn the_example_of_hkdf_without_a_salt_holds() {
    let mut out = [0; 42];
    Hkdf::<sha2::Sha256>::new(None, &[0x0b; 22]).expand(&[], &mut out).unwrap();
    assert_eq!(
        out[..],
        hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    );
}

/// Frozen: a device has its keys for fifteen years.
#[test]
fn derivations_of_this_version_stay() {
    let info = info(&REQUEST).unwrap();
    assert_eq!(
        hex::encode(&info),
        "8574616e63686f726167652d6465766963652d6b6579666c696e65203166412d313030310100"
    );
    let authentication = DeviceKeyRequest { purpose: Purpose::Authentication, revision: 7, ..REQUEST };
    let mut lines = Vec::new();
    for (len, derivation) in [
        (16, Derivation::HkdfSha256),
        (16, Derivation::CmacCounter),
        (32, Derivation::HkdfSha256),
        (32, Derivation::CmacCounter),
    ] {
        for request in [REQUEST, authentication] {
            let key = master(len).derive(derivation, &request).unwrap();
            lines.push(
                hex::encode(&key.bytes)
                    + " "
                    + &hex::encode(key.kid.0)
                    + " "
                    + &hex::encode(key.check_value()),
            );
        }
    }
    assert_eq!(lines, FROZEN);
}

/// OpenSSL 3.0 made them.
const FROZEN: [&str; 8] = [
    "10f2a940795f8ae4fb5cd425be744abd 32574f961cad37ab c37daf32b8",
    "e3f8f01b2b4461e1f9fdf934b24ffbdfea8fb226cceef0d74f8ebc7df9610bd0 a95ed5eec82d314b 42275aa2b6",
    "003a720ab5abda0a02eb8719630b4118 32574f961cad37ab 3ac0d3900b",
    "6bd46d205a302f9e5864f6a30f8057fe3cc685f33805e0c08c6ad6b9bec4831a a95ed5eec82d314b c0cd73b762",
    "032372d6a4847529135aca0aacc4e83b 32574f961cad37ab 3b46da412e",
    "0e7e0c895a96182003c055a3c504d160222938ba4960258186cb5deaeba45ea4 a95ed5eec82d314b 3994524303",
    "3b2ef946bbd9543508e08ced048f6472 32574f961cad37ab 9141251743",
    "8283d5aa874103b0511cc25f5e37125260f6cc50a288e3bbe7577c771d8985ac a95ed5eec82d314b 98eec2b0a9",
];

/// The second opinion: OpenSSL, both derivations.
#[test]
fn openssl_derives_the_same() {
    let info = hex::encode(info(&REQUEST).unwrap());
    for len in [16, 32] {
        let secret = hex::encode(&master(len).0[..]);
        let cipher = format!("cipher:AES-{}-CBC", u32::from(len) * 8);
        let hkdf = ["digest:SHA256".to_owned(), format!("hexkey:{secret}"), format!("hexinfo:{info}")];
        let label = format!("hexsalt:{}", hex::encode(LABEL));
        let counter =
            ["mac:CMAC".to_owned(), cipher, format!("hexkey:{secret}"), label, format!("hexinfo:{info}")];
        for (derivation, kdf, options) in
            [(Derivation::HkdfSha256, "HKDF", &hkdf[..]), (Derivation::CmacCounter, "KBKDF", &counter)]
        {
            let mut openssl = Command::new("openssl");
            openssl.args(["kdf", "-keylen", "16"]);
            for option in options {
                openssl.args(["-kdfopt", option]);
            }
            let output = openssl.arg(kdf).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap().replace([':', '\n'], "");
            let derived = master(len).derive(derivation, &REQUEST).unwrap();
            assert_eq!(text.to_lowercase(), hex::encode(&derived.bytes), "{kdf} {len}");
        }
    }
}

/// docs/attacks.md, SYM9.
#[test]
fn sym09_no_two_requests_have_one_key() {
    let with = |line, serial| DeviceKeyRequest { line, serial, ..REQUEST };
    let mut requests =
        vec![with("a", "bc"), with("ab", "c"), with("a,b", "c"), with("a", "b,c"), with("c", "ab")];
    for purpose in Purpose::ALL {
        for revision in [0, 1, MAX_KEY_REVISION] {
            requests.push(DeviceKeyRequest { purpose, revision, ..REQUEST });
        }
    }
    for derivation in [Derivation::HkdfSha256, Derivation::CmacCounter] {
        for len in [16, 32] {
            let derived = requests.iter().map(|request| master(len).derive(derivation, request).unwrap());
            let keys: BTreeSet<_> = derived.map(|key| (key.kid, key.bytes[..16].to_vec())).collect();
            assert_eq!(keys.len(), requests.len());
            let heads: BTreeSet<_> = keys.iter().map(|(_, key)| key).collect();
            assert_eq!(heads.len(), requests.len());
        }
    }
}

#[test]
fn what_no_device_has_is_refused() {
    let refusal = |request| match master(16).derive(Derivation::HkdfSha256, &request) {
        Err(AuthorError::Refused(error)) => error.kind,
        other => panic!("{other:?}"),
    };
    let long = "x".repeat(65);
    assert_eq!(refusal(DeviceKeyRequest { line: "", ..REQUEST }), ErrorKind::OutOfRange);
    assert_eq!(refusal(DeviceKeyRequest { line: &long, ..REQUEST }), ErrorKind::OutOfRange);
    assert_eq!(
        refusal(DeviceKeyRequest { revision: MAX_KEY_REVISION + 1, ..REQUEST }),
        ErrorKind::OutOfRange
    );
    for serial in ["", " A", "A\n", &"x".repeat(33)] {
        assert_eq!(refusal(DeviceKeyRequest { serial, ..REQUEST }), ErrorKind::InvalidText, "{serial:?}");
    }
    for bytes in [&[1; 15][..], &[1; 17], &[1; 24], &[], &[0; 16], &[0; 32]] {
        assert!(MasterKey::new(bytes).is_err(), "{bytes:?}");
    }
}

/// docs/attacks.md, SYM4.
#[test]
fn no_key_is_printed() {
    let key = master(16).derive(Derivation::HkdfSha256, &REQUEST).unwrap();
    for text in [format!("{:?}", master(16)), format!("{key:?}")] {
        assert!(!text.contains("1, 2, 3") && text.len() < 120, "{text}");
    }
}
