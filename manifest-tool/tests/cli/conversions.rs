//! Keys in the forms of other programs: what OpenSSL and OpenSSH write is imported, and they read what is exported.

use std::process::{Command, Stdio};

use serde_json::json;

use super::workshop::{Run, Workshop, finish, split};

/// Runs a program of this machine in the workshop.
fn other(workshop: &Workshop, line: &str) -> Run {
    let words = split(line);
    let mut command = Command::new(words[0]);
    // `''` is an empty argument.
    command.args(words[1..].iter().map(|word| if *word == "''" { "" } else { word }));
    command.current_dir(workshop.path("")).stdin(Stdio::null());
    finish(command)
}

fn ok(workshop: &Workshop, line: &str) -> String {
    let run = other(workshop, line);
    assert_eq!(run.exit, 0, "{line}: {run:?}");
    run.stdout
}

fn kid(workshop: &Workshop, key: &str) -> serde_json::Value {
    workshop.ok(&["key", "public", key])["kid"].clone()
}

#[test]
fn a_key_of_openssh_is_imported_and_exported() {
    let workshop = Workshop::new();
    workshop.write("secret", b"bird lamp river stone\n");
    ok(&workshop, "ssh-keygen -q -t ed25519 -N '' -C maker -f plain");
    ok(&workshop, "ssh-keygen -q -t ed25519 -N bird -C maker -f encrypted");
    workshop.write("bird", b"bird\n");
    let public = kid(&workshop, "plain.pub");
    // To sign it is imported first.
    let run = workshop.run(&["key", "public", "plain"]);
    assert!(run.exit == 4 && run.stderr.contains("manifest-tool key import KEY --out NEW.pem"), "{run:?}");
    let made = workshop.ok(&split("key import plain --out plain.pem --new-passphrase-file secret"));
    assert_eq!((&made["kid"], &made["encrypted"]), (&public, &json!(true)));
    let made =
        workshop.ok(&split("key import encrypted --out open.pem --passphrase-file bird --no-passphrase"));
    assert_eq!(made["kid"], kid(&workshop, "encrypted.pub"));
    let wrong = split("key import encrypted --out no.pem --passphrase-file secret --no-passphrase");
    assert_eq!(workshop.refused(&wrong), ("passphrase-wrong".into(), 4));

    // And back: ssh-keygen shows the same public half.
    workshop.ok(&split("key convert open.pem --to openssh --out again --no-passphrase"));
    let line = ok(&workshop, "ssh-keygen -y -f again");
    let original = String::from_utf8(workshop.read("encrypted.pub")).unwrap();
    let key = |line: &str| line.split_whitespace().take(2).collect::<String>();
    assert_eq!(key(&line), key(&original));
    workshop.write("word", b"correct-horse-battery-staple\n");
    workshop.ok(&split("key convert open.pem --to openssh --out locked --new-passphrase-file word"));
    ok(&workshop, "ssh-keygen -y -P correct-horse-battery-staple -f locked");
    assert_ne!(other(&workshop, "ssh-keygen -y -P wrong -f locked").exit, 0);
    let derivation = "key convert open.pem --to openssh --out no --no-passphrase --derivation scrypt";
    assert_eq!(workshop.refused(&split(derivation)), ("usage".into(), 2));
    let derivation =
        "key convert open.pem --to openssh --out no --new-passphrase-file word --derivation pbkdf2";
    assert_eq!(workshop.refused(&split(derivation)), ("usage".into(), 2));
    // The file stays, and is never the output.
    assert_eq!(
        workshop.refused(&split("key import plain --out plain --no-passphrase")),
        ("file-exists".into(), 2)
    );

    ok(&workshop, "ssh-keygen -q -t ecdsa -N '' -f ecdsa");
    let ecdsa = split("key import ecdsa --out no.pem --no-passphrase");
    assert_eq!(workshop.refused(&ecdsa), ("private-key-invalid".into(), 4));
}

#[test]
fn a_key_in_der_is_imported_and_exported() {
    let workshop = Workshop::new();
    ok(&workshop, "openssl genpkey -algorithm ed25519 -outform DER -out key.der");
    ok(&workshop, "openssl pkey -inform DER -in key.der -pubout -out key.spki");
    let made = workshop.ok(&split("key import key.der --out key.pem --no-passphrase"));
    assert_eq!(made["kid"], kid(&workshop, "key.spki"));
    workshop.ok(&split(
        "key convert key.pem --to pkcs8-der --out locked.der --new-passphrase-file passphrase --derivation pbkdf2",
    ));
    ok(&workshop, "openssl pkey -inform DER -in locked.der -passin file:passphrase -pubout -out again.spki");
    assert_eq!(workshop.read("again.spki"), workshop.read("key.spki"));
    let made = workshop
        .ok(&split("key import locked.der --out open.pem --passphrase-file passphrase --no-passphrase"));
    assert_eq!(made["kid"], kid(&workshop, "key.spki"));
}

/// Whoever reads a public key reads it in each form: the key to certify, and the anchor.
#[test]
fn a_public_key_counts_in_each_form() {
    let workshop = Workshop::with_release();
    let kid = kid(&workshop, "root.cose");
    for (format, name) in [("cose", "r.cose"), ("spki", "r.pem"), ("spki-der", "r.der"), ("openssh", "r.pub")]
    {
        workshop.ok(&["key", "public", "root.pem", "--format", format, "--out", name]);
        assert_eq!(workshop.ok(&["key", "public", name])["kid"], kid, "{format}");
        workshop.ok(&["verify", "signed.suit", "--anchor", name, "--image", "image.bin"]);
        workshop.ok(&[
            "key",
            "public",
            "release.pem",
            "--format",
            format,
            "--out",
            &format!("release.{format}"),
        ]);
        let (public, out) = (format!("release.{format}"), format!("{format}.cwt"));
        let issue = "credential issue --key root.pem --role release --vendor anchorage.example --issuer i --subject s";
        workshop.ok(&[&split(issue)[..], &["--for", &public, "--out", &out]].concat());
        workshop.ok(&["credential", "inspect", &out, "--anchor", name]);
    }
    // The other programs see the same key.
    ok(&workshop, "openssl pkey -pubin -inform DER -in r.der -pubout -out seen.pem");
    assert_eq!(workshop.read("seen.pem"), workshop.read("r.pem"));
    let fingerprint = ok(&workshop, "ssh-keygen -l -f r.pub");
    let info = workshop.ok(&["key", "info", "r.pub"]);
    assert_eq!(fingerprint.split(' ').nth(1), info["ssh_fingerprint"].as_str());
    assert_eq!(info["thumbprint"].as_str().unwrap()[..16], *kid.as_str().unwrap());
}

#[test]
fn keys_that_do_not_fit_are_named() {
    let workshop = Workshop::new();
    for (name, content, words) in [
        ("jwk", r#"{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#, "JWK"),
        ("age", "AGE-SECRET-KEY-1QQQQ\n", "age identity"),
        (
            "pgp",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxx\n-----END PGP PRIVATE KEY BLOCK-----\n",
            "OpenPGP",
        ),
        ("sec1", "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n", "another algorithm"),
        ("putty", "PuTTY-User-Key-File-3: ssh-ed25519\n", "PuTTY"),
    ] {
        workshop.write(name, content.as_bytes());
        for command in ["import", "convert --to openssh"] {
            let line = format!("key {command} {name} --out no.pem --no-passphrase");
            let run = workshop.run(&split(&line));
            assert!(run.exit == 4 && run.stderr.contains(words), "{name}: {run:?}");
        }
        assert!(!workshop.path("no.pem").exists());
        let run = workshop.run(&["key", "info", name]);
        assert!(run.exit == 4 && run.stderr.contains(words), "{name}: {run:?}");
    }
}

/// What protects a key is seen without opening it.
#[test]
fn a_key_is_shown_with_what_protects_it() {
    let workshop = Workshop::new();
    workshop.ok(&split("key generate --out scrypt.pem --passphrase-file passphrase"));
    workshop.ok(&split("key generate --out pbkdf2.pem --passphrase-file passphrase --derivation pbkdf2"));
    workshop.key("plain");
    let info = |line: &str| workshop.ok(&split(&format!("key info {line}")));
    let shown = info("scrypt.pem");
    let words = shown["encryption"].as_str().unwrap();
    assert!(words.contains("128 MiB a guess") && words.contains("AES-256-CBC"), "{words}");
    assert_eq!(shown["kid"], json!(null), "not opened");
    assert!(shown["permissions"].as_str().unwrap().starts_with("600, user"), "{shown}");
    let shown = info("pbkdf2.pem --passphrase-file passphrase");
    assert!(shown["encryption"].as_str().unwrap().contains("600000 rounds of HMAC-SHA-256"), "{shown}");
    assert!(shown["kid"].is_string(), "{shown}");
    let shown = info("plain.pem");
    assert_eq!((&shown["encryption"], &shown["kid"]), (&json!("NONE"), &kid(&workshop, "plain.cose")));
    std::fs::set_permissions(workshop.path("plain.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    assert!(info("plain.pem")["permissions"].as_str().unwrap().ends_with("OTHERS TOO"));
    assert_eq!(info("plain.cose")["form"], "public key, COSE_Key");
    ok(&workshop, "ssh-keygen -q -t ed25519 -N bird -f ssh");
    let shown = info("ssh");
    assert!(shown["form"].as_str().unwrap().contains("import it"), "{shown}");
    assert!(shown["encryption"].as_str().unwrap().starts_with("bcrypt, "), "{shown}");
    assert!(shown["memory_locked"].is_boolean());
}
