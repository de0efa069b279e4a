//! `encrypt --public-key` and `verify --decryption-key`: for holders of a key pair. The second opinion is OpenSSL: its keys, its
//! agreement, its key derivation, its ciphers.

use std::os::unix::fs::PermissionsExt as _;

use coset::cbor::Value as Cbor;
use coset::iana::Algorithm;
use coset::{CborSerializable as _, TaggedCborSerializable as _};
use coset::{CoseEncrypt, CoseRecipient, CoseSign1Builder, HeaderBuilder, Label};
use serde_json::Value;
use suit_manifest::author::inspect;
use trust::author::{Signer as _, SoftwareKey};

use super::encrypt::{KEYS, KIDS, info, recipients, secret};
use super::openssl::openssl;
use super::verify_blocks::{payload, with_blocks};
use super::workshop::{Workshop, split};

const CURVES: [(&str, &str); 2] = [("p256", "EC -pkeyopt ec_paramgen_curve:P-256"), ("x25519", "X25519")];
/// RFC 5480 and RFC 8410: what stands before a point in a SubjectPublicKeyInfo.
const P256_SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
const X25519_SPKI: &str = "302a300506032b656e032100";

fn hex(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap()
}

/// A release, and `p256.pem`, `x25519.pem` of OpenSSL with their public halves.
fn desk() -> Workshop {
    let workshop = Workshop::with_release();
    key_pairs(&workshop);
    workshop
}

fn key_pairs(workshop: &Workshop) {
    for (name, kind) in CURVES {
        openssl(workshop, &format!("genpkey -algorithm {kind} -out {name}.pem"));
        openssl(workshop, &format!("pkey -in {name}.pem -pubout -out {name}.pub"));
        std::fs::set_permissions(
            workshop.path(&format!("{name}.pem")),
            std::fs::Permissions::from_mode(0o600),
        )
        .unwrap();
    }
}

/// The content key that OpenSSL gets out of a recipient with a private key.
fn content_key(workshop: &Workshop, recipient: &CoseRecipient, name: &str) -> Vec<u8> {
    assert_eq!(
        recipient.protected.header.alg,
        HeaderBuilder::new().algorithm(Algorithm::ECDH_ES_A128KW).build().alg
    );
    let protected = recipient.protected.original_data.clone().unwrap();
    assert_eq!(protected, hex("a101381c"));
    let (_, ephemeral) =
        recipient.unprotected.rest.iter().find(|(label, _)| *label == Label::Int(-1)).unwrap();
    let coordinate = |label: i64| {
        let entries = ephemeral.as_map().unwrap();
        entries
            .iter()
            .find(|(key, _)| *key == Cbor::from(label))
            .and_then(|(_, value)| value.as_bytes().cloned())
    };
    let head = if name == "p256" { P256_SPKI } else { X25519_SPKI };
    let point = [hex(head), coordinate(-2).unwrap(), coordinate(-3).unwrap_or_default()].concat();
    workshop.write("ephemeral.der", &point);
    openssl(
        workshop,
        &format!("pkeyutl -derive -inkey {name}.pem -peerkey ephemeral.der -peerform DER -out shared"),
    );
    // RFC 9053 section 5.2, with what the draft says of it.
    let context = [
        hex("842283f6f6f683f6f6f6831880"),
        hex("44a101381c"),
        hex("57"),
        b"SUIT Payload Encryption".to_vec(),
    ];
    let (shared, context) = (hex::encode(workshop.read("shared")), hex::encode(context.concat()));
    openssl(
        workshop,
        &format!(
            "kdf -keylen 16 -kdfopt digest:SHA256 -kdfopt hexkey:{shared} -kdfopt hexinfo:{context} -binary -out kek HKDF"
        ),
    );
    let wrapped = recipient.ciphertext.clone().unwrap();
    workshop.write("wrapped", &wrapped);
    let kek = hex::encode(workshop.read("kek"));
    openssl(
        workshop,
        &format!("enc -d -id-aes128-wrap -K {kek} -iv a6a6a6a6a6a6a6a6 -in wrapped -out content.key"),
    );
    let key = workshop.read("content.key");
    assert_eq!(key.len() + 8, wrapped.len());
    key
}

/// The image that OpenSSL makes of a ciphertext.
fn decrypt(workshop: &Workshop, info: &[u8], ciphertext: &str, recipient: usize, name: &str) -> Vec<u8> {
    let message = CoseEncrypt::from_tagged_slice(info).unwrap();
    let key = hex::encode(content_key(workshop, &message.recipients[recipient], name));
    let iv = message.unprotected.iv.clone();
    let sealed = workshop.read(ciphertext);
    let (cipher, iv, tag_len) = match iv.len() {
        16 => ("-aes-128-ctr", hex::encode(&iv), 0),
        // The block counter of RFC 8439 section 2.8 begins with 1 for the content.
        _ if key.len() == 64 => ("-chacha20", "01000000".to_owned() + &hex::encode(&iv), 16),
        // SP 800-38D section 7.1: J0 + 1.
        _ => ("-aes-128-ctr", hex::encode(&iv) + "00000002", 16),
    };
    let (content, tag) = sealed.split_at(sealed.len() - tag_len);
    workshop.write("content", content);
    openssl(workshop, &format!("enc -d {cipher} -K {key} -iv {iv} -in content -out opened"));
    if cipher == "-chacha20" {
        // RFC 8439 sections 2.6 and 2.8: the key of Poly1305 is the first block, and what is sealed is padded.
        workshop.write("zeros", &[0; 32]);
        openssl(
            workshop,
            &format!(
                "enc {cipher} -K {key} -iv {} -in zeros -out one-time",
                "00000000".to_owned() + &iv[8..]
            ),
        );
        let associated =
            coset::enc_structure_data(coset::EncryptionContext::CoseEncrypt, message.protected, &[]);
        let padded =
            |bytes: &[u8]| [bytes, &vec![0; bytes.len().next_multiple_of(16) - bytes.len()]].concat();
        let lens = [associated.len(), content.len()].map(|len| (len as u64).to_le_bytes()).concat();
        workshop.write("sealed", &[padded(&associated), padded(content), lens].concat());
        let one_time = hex::encode(workshop.read("one-time"));
        openssl(workshop, &format!("mac -macopt hexkey:{one_time} -in sealed -binary -out tag Poly1305"));
        assert_eq!(workshop.read("tag"), tag);
    }
    workshop.read("opened")
}

const ENCRYPT: &str =
    "encrypt unsigned.suit --image image.bin --out e.suit --ciphertext-out image.enc --force";
const CONTENT: &str = "encrypt --image image.bin --info-out image.info --ciphertext-out image.enc --force";
const TO_BOTH: &str = "--public-key p256.pub --public-key x25519.pub";

#[test]
fn openssl_reads_what_is_encrypted_to_its_keys() {
    let workshop = desk();
    recipients(&workshop);
    for algorithm in ["a128ctr", "a128gcm", "chacha20-poly1305"] {
        let made = workshop
            .ok(&split(&format!("{CONTENT} {TO_BOTH} --algorithm {algorithm} --recipients recipients.csv")));
        let info = workshop.read("image.info");
        for (index, (name, _)) in CURVES.into_iter().enumerate() {
            let opened = decrypt(&workshop, &info, "image.enc", 3 + index, name);
            assert_eq!(opened, workshop.read("image.bin"), "{algorithm} {name}");
        }
        let message = CoseEncrypt::from_tagged_slice(&info).unwrap();
        let kids: Vec<_> =
            message.recipients.iter().map(|one| hex::encode(&one.unprotected.key_id)).collect();
        assert_eq!(kids[..3], KIDS);
        let public = made["public_keys"].as_array().unwrap();
        let shown: Vec<_> = public.iter().map(|one| one["kid"].as_str().unwrap()).collect();
        assert_eq!(kids[3..], shown);
        assert_eq!((&public[0]["curve"], &public[1]["curve"]), (&"P-256".into(), &"X25519".into()));
    }
    // A release, which devices read as well.
    workshop.ok(&split(&format!("{ENCRYPT} {TO_BOTH} --algorithm a128ctr --recipients recipients.csv")));
    let read = info(&workshop.read("e.suit"), false);
    for (index, (name, _)) in CURVES.into_iter().enumerate() {
        assert_eq!(
            decrypt(&workshop, &read, "image.enc", 3 + index, name),
            workshop.read("image.bin"),
            "{name}"
        );
    }
    let message = CoseEncrypt::from_tagged_slice(&read).unwrap();
    let of_device = super::encrypt::content_key(&message, KIDS[1], KEYS[1]).unwrap();
    assert_eq!(of_device.to_vec(), workshop.read("content.key"));
}

#[test]
fn a_reader_proves_with_a_private_key_that_a_release_opens() {
    let workshop = desk();
    // A COSE_Key with a name, beside those of OpenSSL.
    let d = "60fe6dd6d85d5740a5349b6f91267eeac5ba81b8cb53ee249e4b4eb102c476b3";
    let (x, y) = (
        "5886cd61dd875862e5aaa820e7a15274c968a9bc96048ddcace32f50c3651ba3",
        "9eed8125e932cd60c0ead3650d0a485cf726d378d1b016ed4298b2961e258f1b",
    );
    workshop.write("named.pub", &hex(&format!("a501020245{}2001215820{x}225820{y}", "6b69642d32")));
    workshop.write("named.pem", &hex(&format!("a601020245{}2001215820{x}225820{y}235820{d}", "6b69642d32")));
    std::fs::set_permissions(workshop.path("named.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let made =
        workshop.ok(&split(&format!("{ENCRYPT} {TO_BOTH} --public-key named.pub --algorithm a128ctr")));
    assert_eq!(made["public_keys"][2]["kid"], "6b69642d32");
    assert!(made.get("recipients").is_none(), "{made}");
    let sign = "sign e.suit --key release.pem --credential release.cwt --out r.suit";
    workshop.ok(&split(sign));
    let verify = "verify r.suit --public-key release.cose --image image.enc --decryption-key";
    for name in ["p256", "x25519", "named"] {
        let report = workshop.ok(&split(&format!("{verify} {name}.pem")));
        assert_eq!(
            (&report["image_decrypted"], &report["image_verified"]),
            (&true.into(), &true.into()),
            "{name}"
        );
    }
    // Without the key, the ciphertext is an image of the release too, and it is said which.
    for (image, component) in [("image.enc", r#""app" / "encrypted""#), ("image.bin", r#""app""#)] {
        let report = workshop.ok(&split(&format!("verify r.suit --public-key release.cose --image {image}")));
        assert!(report.get("image_decrypted").is_none(), "{report}");
        assert_eq!(report["image_component"], component);
    }
    let refused = |more: &str| workshop.refused(&split(&format!("{verify} {more}")));
    let plain = "verify signed.suit --public-key release.cose --image image.bin --decryption-key p256.pem";
    assert_eq!(workshop.refused(&split(plain)), ("usage".to_owned(), 2));
    let words = workshop.run(&split(plain)).stderr;
    assert!(words.contains("the release is not encrypted"), "{words}");
    openssl(&workshop, "genpkey -algorithm X25519 -out other.pem");
    openssl(&workshop, "genpkey -algorithm ed25519 -out ed25519.pem");
    openssl(&workshop, "pkcs8 -topk8 -v2 aes-256-cbc -in p256.pem -passout file:passphrase -out locked.pem");
    workshop.write("exposed.pem", &workshop.read("p256.pem"));
    std::fs::set_permissions(workshop.path("exposed.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    for (key, code, exit) in [
        ("other.pem", "device-key-unknown", 5),
        ("ed25519.pem", "key-invalid", 4),
        ("locked.pem", "key-invalid", 4),
        ("p256.pub", "key-invalid", 4),
        ("exposed.pem", "secret-readable", 4),
    ] {
        assert_eq!(refused(key), (code.to_owned(), exit), "{key}");
    }
    // The partner has no device whose key could be another one.
    let words = workshop.run(&split(&format!("{verify} other.pem"))).stderr;
    assert!(words.contains("encrypt it to your public key") && !words.contains("device's"), "{words}");
    // Counter mode makes the ciphertext, which is named too, out of the plaintext.
    let plain = verify.replace("image.enc", "image.bin");
    assert_eq!(
        workshop.refused(&split(&format!("{plain} p256.pem"))),
        ("image-digest-mismatch".to_owned(), 5)
    );
    let words = workshop.run(&split(&format!("{plain} p256.pem"))).stderr;
    assert!(words.contains("is what decryption makes"), "{words}");
    // It says nothing of another ciphertext: the digest of the plaintext does.
    let mut other = workshop.read("image.enc");
    other[100] ^= 1;
    workshop.write("image.enc", &other);
    assert_eq!(refused("p256.pem"), ("image-digest-mismatch".to_owned(), 5));
    // A tag does, and the manifest says whose fault it is.
    workshop.ok(&split(&format!("{ENCRYPT} {TO_BOTH}")));
    workshop.ok(&split(&format!("{sign} --force")));
    workshop.ok(&split(&format!("{verify} p256.pem")));
    workshop.write("image.enc", &other);
    assert_eq!(refused("p256.pem"), ("image-digest-mismatch".to_owned(), 5));
}

/// What is shown and found names the algorithms, and says that our devices are none of those who read it.
#[test]
fn others_that_read_a_release_are_named() {
    let workshop = desk();
    recipients(&workshop);
    workshop.ok(&split(&format!("{ENCRYPT} {TO_BOTH} --recipients recipients.csv")));
    let shown = workshop.ok(&split("inspect e.suit"));
    let decrypted = &shown["image"]["decrypted"];
    assert_eq!(decrypted["recipients"], serde_json::json!(KIDS));
    let others = decrypted["other_recipients"].as_array().unwrap();
    assert!(others.iter().all(|one| one["algorithm"] == "ECDH-ES + A128KW (-29)"), "{others:?}");
    assert_eq!(others.len(), 2);
    let text = workshop.run(&split("inspect e.suit")).stdout;
    assert!(text.contains("for 3 key(s)") && text.contains("for others: ECDH-ES + A128KW (-29)"), "{text}");
    workshop.ok(&split(&format!("{ENCRYPT} {TO_BOTH}")));
    let found = workshop.run(&split("lint e.suit")).stdout;
    assert!(found.contains("an image that none of them can decrypt"), "{found}");
    warns_that_no_device_reads_it(&workshop);
    let text = workshop.run(&split("inspect e.suit")).stdout;
    assert!(text.contains("bytes, SHA-256") && !text.contains("key(s)"), "{text}");
    assert!(text.contains("for no device of ours, for others: ECDH-ES + A128KW (-29)"), "{text}");
    workshop.ok(&split(&format!("{ENCRYPT} {TO_BOTH} --recipients recipients.csv")));
    let found = |file: &str| -> Vec<String> {
        let run = workshop.run(&["--json", "lint", file]);
        let findings = run.object()["findings"].as_array().cloned().unwrap();
        let of =
            |one: &Value| (one["code"] == "unsupported").then(|| one["message"].as_str().unwrap().to_owned());
        findings.iter().filter_map(of).collect()
    };
    assert_eq!(found("e.suit"), ["recipients with ECDH-ES + A128KW (-29)"]);
    // The same to the byte, but for devices alone.
    workshop.ok(&split(&format!("{ENCRYPT} --recipients recipients.csv")));
    assert_eq!(found("e.suit"), [""; 0]);
}

/// Whoever makes, signs and verifies the release e.suit for holders of key pairs alone is told; for a certain device, it is refused.
fn warns_that_no_device_reads_it(workshop: &Workshop) {
    let verify = "verify s.suit --anchor root.cose";
    for (line, warns) in [
        (format!("{ENCRYPT} {TO_BOTH}"), true),
        ("sign e.suit --key release.pem --credential release.cwt --out s.suit --force".to_owned(), true),
        (verify.to_owned(), true),
        (format!("{ENCRYPT} {TO_BOTH} --recipients recipients.csv"), false),
        (format!("{ENCRYPT} {TO_BOTH}"), true),
    ] {
        let run = workshop.run(&split(&line));
        assert_eq!(run.exit, 0, "{line}: {}", run.stderr);
        let times = run.stderr.matches("no device of ours can decrypt this release").count();
        assert_eq!(times, usize::from(warns), "{line}: {}", run.stderr);
    }
    let shown = workshop.ok(&split("inspect s.suit"));
    let of_device = format!(
        "{verify} --vendor {} --class {}",
        shown["vendor"].as_str().unwrap(),
        shown["class"].as_str().unwrap()
    );
    assert_eq!(workshop.refused(&split(&of_device)), ("device-key-unknown".to_owned(), 5));
}

#[test]
fn whom_an_image_is_not_encrypted_to_is_refused_with_a_reason() {
    let workshop = desk();
    secret(&workshop, "master.key", &format!("{}\n", super::encrypt::MASTER));
    openssl(&workshop, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem");
    openssl(&workshop, "pkey -in p384.pem -pubout -out p384.pub");
    workshop.write("copy.pub", &workshop.read("p256.pub"));
    // Neutral, and off the curve.
    let zeros = "00".repeat(32);
    workshop.write("neutral.pub", &hex(&format!("a401022001215820{zeros}225820{zeros}")));
    workshop.write("small.pub", &hex(&format!("a301012004215820{zeros}")));
    let before = workshop.snapshot();
    for (line, code, exit) in [
        (format!("{ENCRYPT} --public-key p256.pem"), "key-invalid", 4),
        (format!("{ENCRYPT} --public-key release.cose"), "key-invalid", 4),
        (format!("{ENCRYPT} --public-key p384.pub"), "key-invalid", 4),
        (format!("{ENCRYPT} --public-key neutral.pub"), "key-invalid", 4),
        (format!("{ENCRYPT} --public-key small.pub"), "key-invalid", 4),
        (format!("{CONTENT} --public-key small.pub"), "key-invalid", 4),
        (format!("{ENCRYPT} --public-key p256.pub --public-key copy.pub"), "usage", 2),
        // No device of ours runs it, and nobody could sign it.
        (format!("{ENCRYPT} --public-key p256.pub --algorithm chacha20-poly1305"), "usage", 2),
        (format!("{ENCRYPT} --public-key p256.pub --master master.key --line line"), "usage", 2),
        (CONTENT.to_owned(), "usage", 2),
        (format!("{CONTENT} --master master.key --line line --serial A-1"), "usage", 2),
        (CONTENT.replace("image.bin", "p256.pem") + " --public-key p256.pub", "image-unusable", 5),
        (CONTENT.replace("image.info", "p256.pub") + " --public-key p256.pub", "same-file", 2),
    ] {
        let found = workshop.refused(&split(&line));
        assert_eq!(found.0, code, "{line}");
        assert_eq!(found.1, exit, "{line}");
    }
    assert_eq!(workshop.snapshot(), before, "nothing was written");
    let many: Vec<String> = (0..70)
        .map(|index| {
            let u = hex::encode([index + 9; 32]);
            workshop.write(&format!("{index}.pub"), &hex(&format!("a301012004215820{u}")));
            format!("--public-key {index}.pub")
        })
        .collect();
    let found = workshop.refused(&split(&format!("{ENCRYPT} {}", many.join(" "))));
    assert_eq!(found, ("recipients-too-many".to_owned(), 2));
    let found = workshop.refused(&split(&format!("{CONTENT} {}", many.join(" "))));
    assert_eq!(found, ("recipients-too-many".to_owned(), 2));
}

/// The profiles of draft-ietf-suit-mti with a key agreement and Ed25519, out of their templates; `sign` signs
/// each, with or without a credential, and so does the signer of another maker.
#[test]
fn templates_of_the_mti_profiles_are_composed_signed_and_opened() {
    let workshop = desk();
    workshop.write("app.bin", &workshop.read("image.bin"));
    let issue = "credential issue --key root.pem --for release.cose --role release --vendor example.com --issuer root \
                 --subject ci --no-ledger --out example.cwt";
    workshop.ok(&split(issue));
    for (template, stem, algorithm, number) in [
        ("mti-ecdh-a128ctr", "ctr", "a128ctr", -65534),
        ("mti-ed25519-ecdh-chacha20", "chacha", "chacha20-poly1305", 24),
    ] {
        let file = format!("{}/../docs/templates/{template}.toml", env!("CARGO_MANIFEST_DIR"));
        workshop.write("d.toml", &std::fs::read(file).unwrap());
        workshop.ok(&split(&format!(
            "encrypt --image app.bin {TO_BOTH} --algorithm {algorithm} --info-out {stem}.info --ciphertext-out {stem}.enc"
        )));
        workshop.ok(&split("compose d.toml --out u.suit --force"));
        let unsigned = workshop.read("u.suit");
        let key = SoftwareKey::from_seed(&seed(&workshop, "release.pem")).unwrap();
        let header = HeaderBuilder::new().algorithm(Algorithm::Ed25519).build();
        let sign = |message: &[u8]| key.sign(message).unwrap().to_vec();
        let block = CoseSign1Builder::new().protected(header);
        let block = block.create_detached_signature(&payload(&unsigned), b"", sign).build();
        workshop.write("r.suit", &with_blocks(&unsigned, &[block.to_tagged_vec().unwrap()]));
        for (name, _) in CURVES {
            let report = workshop.ok(&split(&format!(
                "verify r.suit --public-key release.cose --image {stem}.enc --decryption-key {name}.pem"
            )));
            assert_eq!(report["image_decrypted"], true, "{template} {name}");
        }
        // The plaintext is no fault of the envelope.
        let plain = workshop
            .run(&split("verify r.suit --public-key release.cose --image app.bin --decryption-key p256.pem"));
        assert!(plain.stderr.contains("is what decryption makes"), "{}", plain.stderr);
        // Digest and block are those of the profile, and so are recipients and content.
        let report = workshop.ok(&split("verify r.suit --public-key release.cose"));
        assert_eq!(report["digest_algorithm"], "SHA-256 (-16)");
        assert_eq!(report["blocks"][0]["parts"][0]["algorithm"], "Ed25519 (-19)");
        let message = CoseEncrypt::from_tagged_slice(&workshop.read(&format!("{stem}.info"))).unwrap();
        let alg =
            [&message.protected.header, &message.unprotected].into_iter().find_map(|map| map.alg.clone());
        assert_eq!(coset::Header { alg, ..Default::default() }.to_vec().unwrap(), header_of(number));
        // What our devices say of it, and what is shown.
        let is_ours = inspect(&unsigned).and_then(|read| read.image_reference().map(drop)).is_ok();
        assert_eq!(is_ours, number != 24);
        let shown = workshop.run(&split("inspect r.suit")).stdout;
        let content = if number == 24 { "ChaCha20/Poly1305 (24)" } else { "A128CTR (-65534)" };
        assert!(shown.contains("ECDH-ES + A128KW (-29)") && shown.contains(content), "{shown}");
        let composed = workshop.run(&split("compose d.toml --out again.suit --force"));
        let words = composed.stdout + &composed.stderr;
        assert!(words.contains("recipients with ECDH-ES + A128KW (-29)"), "{words}");
        let run = workshop.run(&["--json", "lint", "r.suit"]);
        let found = run.object()["findings"].to_string();
        assert!(found.contains("recipients with ECDH-ES + A128KW (-29)"), "{found}");
        assert_eq!(found.contains("an image in ChaCha20/Poly1305"), number == 24, "{found}");
        assert_eq!(found.contains("encryption-unsupported"), number == 24, "{found}");
        let sign = "sign u.suit --key release.pem --credential example.cwt --out s.suit --force";
        let signed = workshop.run(&split(sign));
        assert_eq!(signed.exit == 0, number != 24, "{}", signed.stderr);
        let alone = "sign u.suit --key release.pem --no-credential --out s.suit --force";
        let signed = workshop.run(&split(alone));
        assert_eq!(signed.exit == 0, number == 24, "{}", signed.stderr);
        let report = workshop.ok(&split(&format!(
            "verify s.suit --public-key release.cose --image {stem}.enc --decryption-key p256.pem"
        )));
        assert_eq!(report["image_decrypted"], true, "{template}");
    }
}

/// `{1: number}`
fn header_of(number: i64) -> Vec<u8> {
    Cbor::Map(vec![(1.into(), number.into())]).to_vec().unwrap()
}

/// The private key of a PKCS#8 file of ours.
fn seed(workshop: &Workshop, name: &str) -> [u8; 32] {
    openssl(workshop, &format!("pkey -in {name} -outform DER -out seed.der"));
    workshop.read("seed.der").last_chunk().copied().unwrap()
}
