use base64ct::{Base64, Encoding as _};

use super::{KeyFileError, PemError, open_public_key, parse_public_key, to_ssh_line};
use crate::host::ReadError;

// RFC 8410 section 10.1, the public key and the private key of the examples.
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
const KEY: &str = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

#[test]
fn both_forms_give_the_same_key() {
    let from_pem = parse_public_key(PUBLIC.as_bytes()).unwrap();
    assert_eq!(hex::encode(from_pem.as_bytes()), KEY);
    assert_eq!(parse_public_key(&from_pem.to_cose_key()).unwrap(), from_pem);
}

/// The same key as ssh-keygen and OpenSSL write it.
#[test]
fn der_and_the_line_of_openssh_are_read() {
    let key = parse_public_key(PUBLIC.as_bytes()).unwrap();
    let der = hex::decode(format!("302a300506032b6570032100{KEY}")).unwrap();
    assert_eq!(parse_public_key(&der).unwrap(), key);
    let line = to_ssh_line(&key, "the root");
    assert!(
        line.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI") && line.ends_with(" the root"),
        "{line}"
    );
    assert_eq!(to_ssh_line(&key, "").split(' ').count(), 2);
    for text in [line.clone(), to_ssh_line(&key, ""), format!("\u{feff}# root\r\n{line}\r\n\r\n")] {
        assert_eq!(parse_public_key(text.as_bytes()).unwrap(), key, "{text:?}");
    }

    let refused = |bytes: &[u8]| parse_public_key(bytes).unwrap_err();
    assert!(matches!(refused(&der[..43]), KeyFileError::Unknown));
    assert!(matches!(refused(&[&der[..], &[0]].concat()), KeyFileError::Unknown));
    assert!(matches!(refused(format!("{line}\n{line}\n").as_bytes()), KeyFileError::Several));
    assert!(matches!(refused(&line.as_bytes()[..40]), KeyFileError::OpenSsh));
    assert!(matches!(
        refused(line.replace("ssh-ed25519 A", "ssh-ed25519 B").as_bytes()),
        KeyFileError::OpenSsh
    ));
    for other in ["ssh-rsa AAAA", "ecdsa-sha2-nistp256 AAAA", "sk-ssh-ed25519@openssh.com AAAA"] {
        assert!(matches!(refused(other.as_bytes()), KeyFileError::Algorithm), "{other}");
    }
    // Options of authorized_keys say more than the key.
    assert!(matches!(refused(format!("command=\"a\" {line}").as_bytes()), KeyFileError::Unknown));
}

#[test]
fn a_key_in_another_form_is_named() {
    for (text, words) in [
        ("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n", "an age recipient"),
        (
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEY\n-----END PGP PUBLIC KEY BLOCK-----\n",
            "PGP PUBLIC KEY",
        ),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n", "RFC 4716"),
        ("untrusted comment: minisign public key\nRWQ\n", "minisign"),
        (r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#, "JWK"),
    ] {
        let error = parse_public_key(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(words), "{text}: {error}");
        assert!(error.hint().contains("Ed25519"), "{error}: {}", error.hint());
    }
}

/// Editors, mail and other systems change these; none of it changes the key.
#[test]
fn pem_is_read_as_people_keep_it() {
    let kept = [
        PUBLIC.replace('\n', "\r\n"),
        PUBLIC.trim_end().to_owned(),
        format!("\n\n{PUBLIC}"),
        format!("{PUBLIC}\r\n\r\n"),
        format!("\u{feff}{PUBLIC}"),
        format!("\u{feff}\r\n{PUBLIC}"),
        format!("The root of the plant in Größe:\n{PUBLIC}-- \nthe maker\n"),
        PUBLIC.replace("MCow", "  MCow").replace("E=\n", "E=  \n\n"),
        PUBLIC.replace("wBQYDK2Vw", "wBQY\nDK2Vw"),
    ];
    for text in kept {
        let key = parse_public_key(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        assert_eq!(hex::encode(key.as_bytes()), KEY, "{text:?}");
    }
}

#[test]
fn other_files_are_refused_by_their_kind() {
    let refused = |bytes: &[u8]| parse_public_key(bytes).unwrap_err();
    assert!(matches!(refused(b""), KeyFileError::Empty));
    assert!(matches!(refused(b"a word"), KeyFileError::Unknown));
    assert!(matches!(refused(b"\x7fELF\x01\xff"), KeyFileError::Unknown));
    for text in
        [PRIVATE.to_owned(), format!("{PUBLIC}{PRIVATE}"), PRIVATE.replace("PRIVATE", "ENCRYPTED PRIVATE")]
    {
        assert!(matches!(refused(text.as_bytes()), KeyFileError::PrivateKey), "{text}");
    }
    let certificate = PUBLIC.replace("PUBLIC KEY", "CERTIFICATE");
    assert!(matches!(refused(certificate.as_bytes()), KeyFileError::Label(label) if label == "CERTIFICATE"));
    assert!(matches!(refused(format!("{PUBLIC}{PUBLIC}").as_bytes()), KeyFileError::Pem(PemError::Several)));
    for len in [28, 60, 100] {
        assert!(
            matches!(refused(&PUBLIC.as_bytes()[..len]), KeyFileError::Pem(PemError::Unfinished)),
            "{len}"
        );
    }
    let broken = PUBLIC.replace("MCow", "M*ow");
    assert!(matches!(refused(broken.as_bytes()), KeyFileError::Pem(PemError::Base64)));
    let headers = PUBLIC.replace("MCow", "Proc-Type: 4,ENCRYPTED\n\nMCow");
    assert!(matches!(refused(headers.as_bytes()), KeyFileError::Pem(PemError::Headers)));
    let utf16: Vec<u8> = format!("\u{feff}{PUBLIC}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(matches!(refused(&utf16), KeyFileError::Pem(PemError::Utf16)));
}

#[test]
fn other_keys_are_refused() {
    let refused = |text: &str| parse_public_key(text.as_bytes()).unwrap_err();
    // X25519 (1.3.101.110) differs in one octet of the identifier.
    assert!(matches!(refused(&PUBLIC.replace("DK2VwAyEA", "DK2VuAyEA")), KeyFileError::Algorithm));
    // NULL as parameters, which RFC 8410 section 3 forbids; then a key of one byte.
    for der in [format!("302c300706032b65700500032100{KEY}"), "300c300506032b6570030300 19".replace(' ', "")]
    {
        let body = Base64::encode_string(&hex::decode(der).unwrap());
        let text = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----");
        assert!(matches!(refused(&text), KeyFileError::Spki), "{text}");
    }
    // The neutral element is of small order, in either form.
    let mut small = parse_public_key(PUBLIC.as_bytes()).unwrap().to_cose_key();
    let start = small.len() - 32;
    small[start..].fill(0);
    small[start] = 1;
    assert!(matches!(parse_public_key(&small), Err(KeyFileError::Key(_))));
    let mut long = parse_public_key(PUBLIC.as_bytes()).unwrap().to_cose_key().to_vec();
    long.push(b'\n');
    assert!(matches!(parse_public_key(&long), Err(KeyFileError::Key(_))), "a COSE_Key ends where it ends");
}

#[test]
fn a_file_has_a_limit() {
    let absent = open_public_key(std::path::Path::new("/nowhere/at/all"));
    assert!(matches!(absent, Err(KeyFileError::Read(ReadError::Io(_)))));
    let endless = open_public_key(std::path::Path::new("/dev/zero"));
    assert!(matches!(endless, Err(KeyFileError::Read(ReadError::TooLong(_)))));
}

#[test]
fn every_refusal_says_what_to_do() {
    let refused = parse_public_key(PRIVATE.as_bytes()).unwrap_err();
    assert_eq!(refused.to_string(), "it contains a private key");
    assert!(refused.hint().contains("public half"), "{}", refused.hint());
    assert!(parse_public_key(b"x").unwrap_err().hint().ends_with("writes it."));
}
