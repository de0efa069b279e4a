//! Keys that the real OpenSSL writes, and keys of ours that it opens.

use std::process::{Command, Stdio};

use super::workshop::{Workshop, finish, split};

/// Runs the OpenSSL of this machine in the workshop's folder; must succeed.
pub(super) fn openssl(workshop: &Workshop, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(workshop.path(".")).args(arguments.split_whitespace()).stdin(Stdio::null());
    let run = finish(command);
    assert_eq!(run.exit, 0, "openssl {arguments}: {}", run.stderr);
}

/// kid and code of opening `name`.
fn open(workshop: &Workshop, name: &str) -> Result<String, String> {
    let run = workshop.run(&["--json", "key", "public", name, "--passphrase-file", "passphrase"]);
    let object = run.object();
    match object["kid"].as_str() {
        Some(kid) => Ok(kid.to_owned()),
        None => Err(format!("{} {}", object["error"]["code"], object["error"]["hint"])),
    }
}

#[test]
fn encrypted_keys_of_every_openssl_open() {
    let workshop = Workshop::new();
    openssl(&workshop, "genpkey -algorithm ed25519 -out plain.pem");
    let kid = open(&workshop, "plain.pem").unwrap();
    for (name, how) in [
        // OpenSSL 1.0 and LibreSSL derive with HMAC-SHA-1.
        ("sha1.pem", "-v2 aes-256-cbc -v2prf hmacWithSHA1"),
        ("sha224.pem", "-v2 aes-192-cbc -v2prf hmacWithSHA224"),
        ("sha256.pem", "-v2 aes-256-cbc -v2prf hmacWithSHA256"),
        ("sha384.pem", "-v2 aes-256-cbc -v2prf hmacWithSHA384"),
        ("sha512.pem", "-v2 aes-128-cbc -v2prf hmacWithSHA512"),
        ("scrypt.pem", "-scrypt"),
    ] {
        let encrypt = format!("pkcs8 -topk8 {how} -in plain.pem -passout file:passphrase -out {name}");
        openssl(&workshop, &encrypt);
        assert_eq!(open(&workshop, name), Ok(kid.clone()), "{name}");
    }
}

/// The hint is a command that works.
#[test]
fn a_key_that_is_not_read_comes_with_the_command_that_converts_it() {
    let workshop = Workshop::new();
    openssl(&workshop, "genpkey -algorithm ed25519 -out plain.pem");
    let kid = open(&workshop, "plain.pem").unwrap();
    openssl(&workshop, "pkey -in plain.pem -outform DER -out plain.der");
    // Of a file that is named twice OpenSSL takes the second line the second time.
    workshop.write("again", &workshop.read("passphrase"));
    for how in ["-v1 PBE-SHA1-3DES", "-v2 des3"] {
        let encrypt = format!("pkcs8 -topk8 {how} -in plain.pem -passout file:passphrase -out old.pem");
        openssl(&workshop, &encrypt);
        let hint = open(&workshop, "old.pem").unwrap_err();
        let convert = "openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW.pem";
        assert!(hint.starts_with("\"private-key-invalid\"") && hint.contains(convert), "{how}: {hint}");
        let convert = convert.trim_start_matches("openssl ").replace("KEY", "old.pem");
        openssl(&workshop, &format!("{convert} -passin file:passphrase -passout file:again"));
        assert_eq!(open(&workshop, "NEW.pem"), Ok(kid.clone()), "{how}");
    }
    let hint = open(&workshop, "plain.der").unwrap_err();
    let import = "manifest-tool key import KEY --out NEW.pem";
    assert!(hint.contains(import), "{hint}");
    let import =
        import.trim_start_matches("manifest-tool ").replace("KEY", "plain.der").replace("NEW", "DER");
    let made = workshop.ok(&split(&format!("{import} --new-passphrase-file passphrase")));
    assert_eq!(made["kid"], kid.as_str());
    assert_eq!(open(&workshop, "DER.pem"), Ok(kid));
}

#[test]
fn openssl_opens_a_plain_key_and_one_derived_with_pbkdf2() {
    let workshop = Workshop::new();
    for (name, how) in [
        ("plain.pem", &["--no-passphrase"][..]),
        ("pbkdf2.pem", &["--derivation", "pbkdf2", "--passphrase-file", "passphrase"]),
    ] {
        let made = workshop.ok(&[&["key", "generate", "--out", name], how].concat());
        openssl(&workshop, &format!("pkey -in {name} -passin file:passphrase -pubout -out public.pem"));
        assert_eq!(open(&workshop, "public.pem"), Ok(made["kid"].as_str().unwrap().to_owned()), "{name}");
    }
}
