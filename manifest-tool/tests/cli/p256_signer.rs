//! `sign --no-credential` with a key of P-256. The second opinion is OpenSSL: its keys, in each form, and its verification.

use base64ct::Encoding as _;
use coset::iana::Algorithm;
use coset::{CoseSign1, HeaderBuilder, TaggedCborSerializable as _};
use suit_manifest::author::tree::EnvelopeTree;

use super::openssl::openssl;
use super::sign_alone::ONE_IMAGE_SEVERED;
use super::verify_blocks::payload;
use super::workshop::{Workshop, split};

const SIGN: &str = "--no-credential --out r.suit --force";

/// A release, a reader's key pair, and one key of P-256 in three forms with its public half.
fn desk() -> Workshop {
    let workshop = Workshop::with_release();
    workshop.write("app.bin", &workshop.read("image.bin"));
    workshop.write("word", b"a passphrase that nobody guesses so soon\n");
    for line in [
        "genpkey -algorithm X25519 -out reader.pem",
        "pkey -in reader.pem -pubout -out reader.pub",
        "ecparam -name prime256v1 -genkey -noout -out sec1.pem",
        "pkcs8 -topk8 -nocrypt -in sec1.pem -out plain.pem",
        "pkcs8 -topk8 -v2 aes-256-cbc -passout file:word -in sec1.pem -out locked.pem",
        "pkey -in sec1.pem -pubout -out p256.pub",
    ] {
        openssl(&workshop, line);
    }
    workshop
}

/// ECDSA-Sig-Value (RFC 3279 section 2.2.3) of r and s.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let mut bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        if bytes.first().is_none_or(|first| first & 0x80 != 0) {
            bytes.insert(0, 0);
        }
        [&[2, u8::try_from(bytes.len()).unwrap()], bytes.as_slice()].concat()
    };
    let (r, s) = signature.split_at(32);
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], both.as_slice()].concat()
}

#[test]
fn the_profiles_with_esp256_are_composed_signed_and_verified() {
    let workshop = desk();
    for (template, stem, algorithm) in
        [("mti-ecdh-a128ctr", "ctr", "a128ctr"), ("mti-esp256-ecdh-a128gcm", "gcm", "a128gcm")]
    {
        let file = format!("{}/../docs/templates/{template}.toml", env!("CARGO_MANIFEST_DIR"));
        workshop.write("d.toml", &std::fs::read(file).unwrap());
        workshop.ok(&split(&format!(
            "encrypt --image app.bin --public-key reader.pub --algorithm {algorithm} --info-out {stem}.info \
             --ciphertext-out {stem}.enc"
        )));
        workshop.ok(&split("compose d.toml --out u.suit --force"));
        let mut made = Vec::new();
        for key in ["sec1.pem", "plain.pem", "locked.pem --passphrase-file word", "file:plain.pem"] {
            let signed = workshop.ok(&split(&format!("sign u.suit --key {key} {SIGN}")));
            assert_eq!((&signed["curve"], signed["blocks"].as_array().unwrap().len()), (&"P-256".into(), 1));
            let verify = "verify r.suit --public-key p256.pub --decryption-key reader.pem";
            let report = workshop.ok(&split(&format!("{verify} --image {stem}.enc")));
            assert_eq!(report["image_decrypted"], true);
            assert_eq!(report["blocks"][0]["parts"][0]["algorithm"], "ESP256 (-9)");
            assert_eq!(report["blocks"][0]["parts"][0]["kid"], signed["kid"]);
            made.push(workshop.read("r.suit"));
        }
        // The nonce is that of RFC 6979, whatever form the key has.
        made.dedup();
        let [signed] = &made[..] else { panic!("{} signatures", made.len()) };

        let tree = EnvelopeTree::read(signed).unwrap();
        let block = CoseSign1::from_tagged_slice(tree.blocks[0].bytes).unwrap();
        let alg = HeaderBuilder::new().algorithm(Algorithm::ESP256).build().alg;
        assert_eq!(block.protected.header.alg, alg);
        workshop.write("message", &block.tbs_detached_data(&payload(signed), b""));
        workshop.write("signature", &der(&block.signature));
        openssl(&workshop, "dgst -sha256 -verify p256.pub -signature signature message");
        // Devices of ours verify none of it.
        let ours = "verify r.suit --anchor root.cose --vendor example.com --class node";
        assert_eq!(workshop.refused(&split(ours)).0, "algorithm-unsupported");
    }
}

/// A release stays one beside such a signature, for those who take several.
#[test]
fn a_release_gets_a_second_signature_on_another_curve() {
    let workshop = desk();
    workshop.ok(&split(&format!("sign signed.suit --key plain.pem --add {SIGN}")));
    let both = "verify r.suit --public-key p256.pub --public-key release.cose --require 2 --image image.bin";
    assert_eq!(workshop.ok(&split(both))["keys"], 2);
    let again = "sign r.suit --key sec1.pem --add --no-credential --out again.suit";
    assert_eq!(workshop.refused(&split(again)), ("release-signed-by-key".into(), 5));
    let words = workshop.run(&split(&format!("sign unsigned.suit --key plain.pem {SIGN}"))).stdout;
    assert!(words.contains("a key of P-256") && words.contains("NOT for"), "{words}");
    // What is severed and away may be what devices of ours run, and they verify none of it.
    workshop.write("two.toml", ONE_IMAGE_SEVERED.as_bytes());
    workshop.ok(&split("compose two.toml --out two.suit"));
    workshop.ok(&split("sever two.suit --member install --out away.suit"));
    workshop.ok(&split(&format!("sign away.suit --key plain.pem {SIGN}")));
    // Of a personal release its device takes the MAC alone.
    workshop.ok(&split("key master --out master.key"));
    workshop.ok(&split(
        "personalize unsigned.suit --image image.bin --master master.key --line line --serial A-1 --out-dir personal",
    ));
    let personal = format!("sign personal/A-1.suit --key plain.pem --add {SIGN}");
    assert_eq!(workshop.refused(&split(&personal)), ("release-of-device".into(), 5));
}

#[test]
fn other_keys_sign_nothing() {
    let workshop = desk();
    for (name, line) in [
        ("p384.pem", "ecparam -name secp384r1 -genkey -noout -out p384.pem"),
        ("p384.pk8", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pk8"),
        ("rsa.pem", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa.pem"),
        ("x25519.pem", "genpkey -algorithm X25519 -out x25519.pem"),
    ] {
        openssl(&workshop, line);
        let refused = workshop.refused(&split(&format!("sign unsigned.suit --key {name} {SIGN}")));
        assert_eq!(refused, ("private-key-invalid".into(), 4), "{name}");
        let run = workshop.run(&split(&format!("--json sign unsigned.suit --key {name} {SIGN}")));
        let error = run.object()["error"].clone();
        assert!(
            error["message"].as_str().unwrap().contains("neither a key of Ed25519 nor one of P-256"),
            "{error}"
        );
        assert!(error["hint"].as_str().unwrap().contains("Ed25519 or P-256"), "{error}");
    }
    // The private half of one key and the public half of another one.
    openssl(&workshop, "pkey -in plain.pem -outform DER -out one.der");
    openssl(&workshop, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out two.der");
    let (one, two) = (workshop.read("one.der"), workshop.read("two.der"));
    let mixed = [&one[..one.len() - 64], &two[two.len() - 64..]].concat();
    let pem = "-----BEGIN PRIVATE KEY-----\n".to_owned()
        + &base64ct::Base64::encode_string(&mixed)
        + "\n-----END PRIVATE KEY-----\n";
    workshop.write("mixed.pem", pem.as_bytes());
    let refused = workshop.refused(&split(&format!("sign unsigned.suit --key mixed.pem {SIGN}")));
    assert_eq!(refused, ("private-key-invalid".into(), 4));
    let wrong = "sign unsigned.suit --key locked.pem --passphrase-file token";
    workshop.write("token", b"another passphrase, which is wrong\n");
    assert_eq!(workshop.refused(&split(&format!("{wrong} {SIGN}"))), ("passphrase-wrong".into(), 4));
    // A credential certifies keys of Ed25519 alone.
    let released = "sign unsigned.suit --key plain.pem --credential release.cwt --out no.suit";
    assert_eq!(workshop.refused(&split(released)), ("private-key-invalid".into(), 4));
}

fn hint(workshop: &Workshop, line: &str) -> String {
    let run = workshop.run(&split(&format!("--json {line}")));
    assert_eq!(run.refusal(), ("private-key-invalid".into(), 4), "{line}");
    run.object()["error"]["hint"].as_str().unwrap().to_owned()
}

/// No command imports a key of P-256: it is taken in DER too, and what openssl converts is named with its command.
#[test]
fn forms_of_a_p256_key_are_taken_or_named() {
    let workshop = desk();
    for line in [
        "pkey -in plain.pem -outform DER -out plain.der",
        "ec -in sec1.pem -outform DER -out sec1.der",
        "pkcs8 -topk8 -v2 aes-256-cbc -passout file:word -in sec1.pem -outform DER -out locked.der",
        "ecparam -name prime256v1 -param_enc explicit -genkey -noout -out numbers.pem",
        "pkcs8 -topk8 -nocrypt -in numbers.pem -out numbers.pk8",
        "genpkey -algorithm ed25519 -outform DER -out ed.der",
    ] {
        openssl(&workshop, line);
    }
    for key in ["plain.der", "sec1.der", "locked.der --passphrase-file word"] {
        let signed = workshop.ok(&split(&format!("sign unsigned.suit --key {key} {SIGN}")));
        assert_eq!(signed["curve"], "P-256", "{key}");
    }
    for key in ["numbers.pem", "numbers.pk8"] {
        let said = hint(&workshop, &format!("sign unsigned.suit --key {key} {SIGN}"));
        assert!(said.contains("openssl ec -in KEY -param_enc named_curve -out NEW.pem"), "{said}");
        openssl(&workshop, &format!("ec -in {key} -param_enc named_curve -out named.pem"));
        workshop.ok(&split(&format!("sign unsigned.suit --key named.pem {SIGN}")));
    }
    // One of Ed25519 can be imported, as the hint says.
    let said = hint(&workshop, &format!("sign unsigned.suit --key ed.der {SIGN}"));
    assert!(said.contains("key import"), "{said}");
    workshop.ok(&split("key import ed.der --no-passphrase --out ed.pem"));
}

#[test]
fn key_public_writes_the_public_half_of_p256() {
    let workshop = desk();
    let kid = workshop.ok(&split(&format!("sign unsigned.suit --key plain.pem {SIGN}")))["kid"].clone();
    let openssls = workshop.read("p256.pub");
    for (key, format) in [
        ("sec1.pem", "cose"),
        ("plain.pem", "spki"),
        ("locked.pem --passphrase-file word", "spki-der"),
        ("p256.pub", "cose"),
    ] {
        let line = format!("key public {key} --format {format} --out half --force");
        let report = workshop.ok(&split(&line));
        assert_eq!((&report["kid"], &report["curve"]), (&kid, &"P-256".into()), "{line}");
        if format == "spki" {
            assert_eq!(workshop.read("half"), openssls);
        }
        workshop.ok(&split("verify r.suit --public-key half"));
    }
    let shown = workshop.ok(&split("key public sec1.pem --format hex"))["public_key"].clone();
    assert_eq!(shown.as_str().map(str::len), Some(130));
    assert_eq!(workshop.refused(&split("key public sec1.pem --format openssh")), ("usage".into(), 2));
    // It is no anchor.
    workshop.ok(&split("key public sec1.pem --out anchor.cose"));
    let ours = "verify signed.suit --anchor anchor.cose --vendor anchorage.example --class demo-node";
    assert_ne!(workshop.run(&split(ours)).exit, 0);
    // Others can read the file: a warning, as of a key of Ed25519.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(workshop.path("plain.pem"), readable).unwrap();
    for line in ["key public plain.pem".to_owned(), format!("sign unsigned.suit --key plain.pem {SIGN}")] {
        let run = workshop.run(&split(&line));
        assert!(run.stderr.contains("chmod 600 plain.pem"), "{line}: {run:?}");
    }
}
