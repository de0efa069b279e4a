//! Image and table in each other's place, and a plaintext in the place of its ciphertext: the hint says so.

use super::openssl::openssl;
use super::workshop::{Run, Workshop, finish, split};

const CREATE: &str = "create --image firmware.bin --image-out f.bin --table limits --vendor anchorage.example \
                      --class demo-node --version 7 --sequence 7 --out u.suit --force";
const SIGN: &str = "--key release.pem --credential release.cwt";
const PROVISION: &str = "provision --devices plain.csv --vendor anchorage.example --class demo-node --anchor root.cose \
                         --no-ledger --master master.key --line one --out-dir batch";

/// The run ends with a mismatch; message and hint.
fn mismatch(workshop: &Workshop, line: &str) -> (String, String) {
    let run: Run = finish(workshop.command(&split(&format!("--json {line}"))));
    assert_eq!(run.refusal(), ("image-digest-mismatch".into(), 5), "{line}: {run:?}");
    let error = run.object()["error"].clone();
    ["message", "hint"].map(|member| error[member].as_str().unwrap().to_owned()).into()
}

/// A release of both, signed, in a folder with devices that have keys.
fn both() -> Workshop {
    let workshop = Workshop::with_release();
    workshop.write("limits", b"max_pressure = 80\n");
    workshop.write("other", b"max_pressure = 81\n");
    workshop.write("token", b"a-token-for-tests\n");
    workshop.write("plain.csv", b"serial,node\nA-0001,16\n");
    workshop.ok(&split("key master --out master.key"));
    workshop.ok(&split(PROVISION));
    workshop.ok(&split(CREATE));
    workshop.ok(&split(&format!("sign u.suit {SIGN} --out both.suit")));
    workshop
}

#[test]
fn swapped_files_are_told_from_changed_ones() {
    let workshop = both();
    let master = "--master master.key --line one --serial A-0001";
    for command in [
        "publish both.suit --server http://127.0.0.1:9 --token-file token".to_owned(),
        "verify both.suit --anchor root.cose".to_owned(),
        "verify both.suit --public-key release.cose".to_owned(),
        format!("encrypt u.suit {master} --out e.suit --ciphertext-out f.enc --table-ciphertext-out t.enc"),
        format!("personalize u.suit {master} --out-dir personal"),
    ] {
        let (message, hint) = mismatch(&workshop, &format!("{command} --image limits --table f.bin"));
        assert!(
            message.contains("limits is not what") && message.contains("what --table is for"),
            "{message}"
        );
        assert!(hint.contains("Swap"), "{command}: {hint}");
        let (message, hint) = mismatch(&workshop, &format!("{command} --image f.bin --table f.bin"));
        assert!(message.contains("what --image is for") && hint.contains("Swap"), "{command}: {message}");
        for changed in ["--image f.bin --table other", "--image other --table limits"] {
            let (message, hint) = mismatch(&workshop, &format!("{command} {changed}"));
            assert!(!message.contains("is for") && !hint.contains("Swap"), "{command}: {message} {hint}");
        }
    }
}

/// Encrypted ones are compared as they come, and with --decryption-key as what comes out.
#[test]
fn swapped_ciphertexts_are_told_too() {
    let workshop = both();
    openssl(&workshop, "genpkey -algorithm X25519 -out reader.pem");
    openssl(&workshop, "pkey -in reader.pem -pubout -out reader.pub");
    workshop.ok(&split(
        "encrypt u.suit --image f.bin --table limits --master master.key --line one --devices batch/devices.csv \
         --public-key reader.pub --out e.suit --ciphertext-out f.enc --table-ciphertext-out t.enc",
    ));
    workshop.ok(&split(&format!("sign e.suit {SIGN} --out sealed.suit")));
    let swapped = "--image t.enc --table f.enc";
    for command in [
        "verify sealed.suit --anchor root.cose",
        "verify sealed.suit --block batch/A-0001.block",
        "verify sealed.suit --public-key release.cose",
        "verify sealed.suit --public-key release.cose --decryption-key reader.pem",
        "publish sealed.suit --server http://127.0.0.1:9 --token-file token",
    ] {
        let (message, hint) = mismatch(&workshop, &format!("{command} {swapped}"));
        assert!(message.contains("t.enc") && message.contains("what --table is for"), "{command}: {message}");
        assert!(hint.contains("Swap"), "{command}: {hint}");
    }
    // What is to be installed is not what is sent.
    for command in [
        "verify sealed.suit --anchor root.cose",
        "publish sealed.suit --server http://127.0.0.1:9 --token-file token",
        "verify sealed.suit --block batch/A-0001.block",
    ] {
        let (message, hint) = mismatch(&workshop, &format!("{command} --image f.bin --table t.enc"));
        assert!(message.contains("what decryption makes"), "{command}: {message}");
        assert!(hint.contains("Pass the encrypted image"), "{command}: {hint}");
    }
    // A partner compares either: the manifest names both.
    for image in ["f.bin", "f.enc"] {
        let line = format!("verify sealed.suit --public-key release.cose --image {image}");
        assert_eq!(workshop.ok(&split(&line))["image_verified"], true, "{line}");
    }
}
