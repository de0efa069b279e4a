//! Private keys on disk: encrypted, their owner's, never overwritten, never shown.

use std::os::unix::fs::PermissionsExt as _;

use super::workshop::{Workshop, finish, split};

const GENERATE: [&str; 6] = ["key", "generate", "--out", "key.pem", "--passphrase-file", "passphrase"];

#[test]
fn a_key_is_encrypted_and_its_owners() {
    let workshop = Workshop::new();
    let made = workshop.ok(&GENERATE);
    assert_eq!(made["encrypted"], true);
    let pem = String::from_utf8(workshop.read("key.pem")).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let mode = std::fs::metadata(workshop.path("key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = workshop.ok(&["key", "public", "key.pem", "--passphrase-file", "passphrase"]);
    assert_eq!(shown["kid"], made["kid"]);
}

#[test]
fn an_unencrypted_key_must_be_asked_for() {
    let workshop = Workshop::new();
    assert_eq!(workshop.refused(&["key", "generate", "--out", "key.pem"]), ("passphrase-needed".into(), 4));
    workshop.ok(&["key", "generate", "--out", "key.pem", "--no-passphrase"]);
    assert!(workshop.read("key.pem").starts_with(b"-----BEGIN PRIVATE KEY-----"));
    let mode = std::fs::metadata(workshop.path("key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let both = [&GENERATE[..], &["--no-passphrase"]].concat();
    assert_eq!(workshop.refused(&both), ("usage".into(), 2));
}

#[test]
fn the_environment_names_a_passphrase_file() {
    let workshop = Workshop::new();
    workshop.ok(&GENERATE);
    let mut command = workshop.command(&["key", "public", "key.pem"]);
    command.env("ANCHORAGE_PASSPHRASE_FILE", "passphrase");
    assert_eq!(finish(command).exit, 0);
    // What is said on the command line counts more, and no passphrase is none.
    workshop.write("wrong", b"wrong\n");
    let mut command = workshop.command(&["--json", "key", "public", "key.pem", "--passphrase-file", "wrong"]);
    command.env("ANCHORAGE_PASSPHRASE_FILE", "passphrase");
    assert_eq!(finish(command).refusal(), ("passphrase-wrong".into(), 4));
    let mut command = workshop.command(&["key", "generate", "--no-passphrase", "--out", "plain.pem"]);
    command.env("ANCHORAGE_PASSPHRASE_FILE", "passphrase");
    assert_eq!(finish(command).exit, 0);
    assert!(workshop.read("plain.pem").starts_with(b"-----BEGIN PRIVATE KEY-----"));
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let workshop = Workshop::new();
    workshop.ok(&GENERATE);
    let open = |content: &[u8]| {
        workshop.write("other", content);
        workshop.refused(&["key", "public", "key.pem", "--passphrase-file", "other", "--out", "key.cose"])
    };
    assert_eq!(open(b"for tests onlY\n"), ("passphrase-wrong".into(), 4));
    assert_eq!(open(b"\n"), ("passphrase-unusable".into(), 4));
    assert_eq!(open(&[b'a'; 1025]), ("passphrase-unusable".into(), 4));
    assert_eq!(open(b"\xff\n"), ("passphrase-unusable".into(), 4));
    assert_eq!(workshop.refused(&["key", "public", "key.pem"]), ("passphrase-needed".into(), 4));
    // The first line, whatever ends it.
    for content in [&b"for tests only"[..], b"for tests only\r\nmore", b"\xef\xbb\xbffor tests only\r\n"] {
        workshop.write("other", content);
        workshop.ok(&["key", "public", "key.pem", "--passphrase-file", "other"]);
    }
}

/// A thief of the file guesses a weak passphrase; for tests one is taken when it is asked for.
#[test]
fn a_weak_passphrase_protects_no_new_key() {
    let workshop = Workshop::new();
    for weak in ["a", "password", "anchorage1", "12345678901234567890", "qwertyuiop"] {
        workshop.write("passphrase", weak.as_bytes());
        assert_eq!(workshop.refused(&GENERATE), ("passphrase-weak".into(), 4), "{weak}");
    }
    // The first line of a key file is no secret: the paths were swapped.
    workshop.key("other");
    workshop.write("passphrase", &workshop.read("other.pem"));
    for more in [&[][..], &["--weak-passphrase"]] {
        let refusal = workshop.refused(&[&GENERATE[..], more].concat());
        assert_eq!(refusal, ("passphrase-unusable".into(), 4));
    }
    workshop.write("passphrase", b"a");
    workshop.ok(&[&GENERATE[..], &["--weak-passphrase"]].concat());
    // It opens, whatever its passphrase is worth.
    workshop.ok(&["key", "public", "key.pem", "--passphrase-file", "passphrase"]);
}

#[test]
fn a_key_that_others_can_read_gives_a_warning() {
    let workshop = Workshop::new();
    workshop.key("key");
    let warned = |mode| {
        std::fs::set_permissions(workshop.path("key.pem"), std::fs::Permissions::from_mode(mode)).unwrap();
        let run = workshop.run(&["key", "public", "key.pem"]);
        assert_eq!(run.exit, 0);
        run.stderr.contains("warning: other users") && run.stderr.contains("chmod 600 key.pem")
    };
    for (mode, expected) in [(0o600, false), (0o400, false), (0o640, true), (0o644, true), (0o602, true)] {
        assert_eq!(warned(mode), expected, "{mode:o}");
    }
    // A public key in the place of a private one is no secret.
    workshop.ok(&["key", "public", "key.pem", "--format", "cose", "--out", "key.cose"]);
    let run = workshop.run(&["key", "passphrase", "key.cose", "--out", "new.pem"]);
    assert!(run.exit == 4 && !run.stderr.contains("chmod"), "{}", run.stderr);
}

#[test]
fn a_key_is_never_overwritten() {
    let workshop = Workshop::new();
    workshop.ok(&GENERATE);
    assert_eq!(workshop.refused(&GENERATE), ("file-exists".into(), 2));
    workshop.write("note.txt", b"not a key");
    let refusal = workshop.refused(&["key", "generate", "--no-passphrase", "--out", "note.txt"]);
    assert_eq!(refusal, ("file-exists".into(), 2));
    assert_eq!(workshop.refused(&["key", "generate", "--force", "--out", "key.pem"]), ("usage".into(), 2));
    // Nor by another command, with or without force.
    for force in [&[][..], &["--force"]] {
        let arguments =
            [&["key", "public", "key.pem", "--passphrase-file", "passphrase", "--out", "key.pem"], force];
        assert_eq!(workshop.refused(&arguments.concat()), ("same-file".into(), 2));
    }
    workshop.key("other");
    for name in ["key.pem", "other.pem"] {
        let refusal = workshop.refused(&["key", "public", "other.cose", "--out", name, "--force"]);
        assert_eq!(refusal, ("file-exists".into(), 2));
    }
}

/// Without its passphrase a key is lost too.
#[test]
fn a_passphrase_file_is_never_overwritten() {
    let workshop = Workshop::new();
    workshop.ok(&GENERATE);
    workshop.key("other");
    let public = ["--json", "key", "public", "key.pem", "--out", "passphrase", "--force"];
    let issue = "--json credential issue --key key.pem --for other.cose --role release --issuer i --subject s \
                 --vendor example.com --out passphrase --force";
    let revoke = "--json revoke --first --key key.pem --issuer i --kid 0102030405060708 --role release --generation 0 --out passphrase --force";
    let before = workshop.snapshot();
    for arguments in [public.to_vec(), issue.split_whitespace().collect(), revoke.split(' ').collect()] {
        let said = workshop.command(&[&arguments[..], &["--passphrase-file", "passphrase"]].concat());
        let mut meant = workshop.command(&arguments);
        meant.env("ANCHORAGE_PASSPHRASE_FILE", "./passphrase");
        for command in [said, meant] {
            assert_eq!(finish(command).refusal(), ("same-file".into(), 2), "{arguments:?}");
        }
    }
    assert_eq!(workshop.snapshot(), before);
}

#[test]
fn public_keys_in_every_form() {
    let workshop = Workshop::new();
    let made = workshop.ok(&["key", "generate", "--no-passphrase", "--out", "key.pem"]);
    for (format, file) in [("cose", "key.cose"), ("spki", "key.spki")] {
        let shown = workshop.ok(&["key", "public", "key.pem", "--format", format, "--out", file]);
        assert_eq!(shown["kid"], made["kid"]);
    }
    assert_eq!(workshop.read("key.cose").len(), 40);
    assert!(workshop.read("key.spki").starts_with(b"-----BEGIN PUBLIC KEY-----\n"));
    // Hex is for people: no reader of ours takes it, so no file of it is written.
    let shown = workshop.run(&["key", "public", "key.pem", "--format", "hex"]).stdout;
    assert!(shown.trim_end().ends_with(made["public_key"].as_str().unwrap()), "{shown}");
    let hex = ["key", "public", "key.pem", "--format", "hex", "--out", "key.hex"];
    assert_eq!(workshop.refused(&hex), ("usage".into(), 2));
    // A public key file is read back, in both of its forms, and as editors and mail leave it.
    let pem = String::from_utf8(workshop.read("key.spki")).unwrap();
    workshop.write("windows.pem", format!("\u{feff}{}", pem.replace('\n', "\r\n")).as_bytes());
    workshop.write("mail.pem", format!("The root:\n\n{pem}\n-- \nthe maker\n").as_bytes());
    for file in ["key.cose", "key.spki", "windows.pem", "mail.pem"] {
        assert_eq!(workshop.ok(&["key", "public", file])["kid"], made["kid"], "{file}");
    }
}

#[test]
fn nothing_shows_the_private_half() {
    let workshop = Workshop::new();
    workshop.ok(&["key", "generate", "--no-passphrase", "--out", "key.pem"]);
    let pem = String::from_utf8(workshop.read("key.pem")).unwrap();
    let secret = pem.lines().nth(1).unwrap();
    workshop.write("broken.pem", pem.replace(secret, &secret[..60]).as_bytes());
    for arguments in [
        &["key", "public", "key.pem", "--format", "spki"][..],
        &["key", "public", "broken.pem"],
        &["verify", "key.pem", "--anchor", "key.pem"],
        &["inspect", "key.pem"],
        &["credential", "inspect", "key.pem"],
    ] {
        let run = workshop.run(arguments);
        assert!(!run.stdout.contains(&secret[22..50]) && !run.stderr.contains(&secret[22..50]), "{run:?}");
    }
}

/// `openssl pkcs8` does not read it: the advice must not be to convert it.
#[test]
fn a_key_of_ssh_keygen_is_named() {
    let workshop = Workshop::new();
    let pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nYWJj\n-----END OPENSSH PRIVATE KEY-----\n";
    workshop.write("ssh", pem.as_bytes());
    let run = workshop.run(&["key", "public", "ssh"]);
    assert_eq!(run.exit, 4, "{run:?}");
    assert!(run.stderr.contains("it is an OpenSSH key") && !run.stderr.contains("openssl"), "{run:?}");
}

/// Who knew the passphrase and left no longer opens the key; the key itself stays the same.
#[test]
fn a_key_gets_another_passphrase() {
    let workshop = Workshop::new();
    let made = workshop.ok(&GENERATE);
    workshop.write("new", b"another correct horse battery\n");
    let change = |more: &str| format!("key passphrase key.pem --passphrase-file passphrase --out {more}");
    let changed = workshop.ok(&split(&change("new.pem --new-passphrase-file new")));
    assert_eq!((&changed["kid"], &changed["encrypted"]), (&made["kid"], &true.into()));
    let open = |key, passphrase| ["key", "public", key, "--passphrase-file", passphrase];
    assert_eq!(workshop.ok(&open("new.pem", "new"))["kid"], made["kid"]);
    assert_eq!(workshop.refused(&open("new.pem", "passphrase")), ("passphrase-wrong".into(), 4));
    workshop.ok(&open("key.pem", "passphrase"));

    assert_eq!(workshop.ok(&split(&change("plain.pem --no-passphrase")))["encrypted"], false);
    assert_eq!(workshop.ok(&["key", "public", "plain.pem"])["kid"], made["kid"]);
    workshop.write("weak", b"a");
    for (more, code, exit) in [
        ("key.pem --new-passphrase-file new", "file-exists", 2),
        ("new.pem --new-passphrase-file new", "file-exists", 2),
        ("no.pem --new-passphrase-file weak", "passphrase-weak", 4),
        ("no.pem --new-passphrase-file new --no-passphrase", "usage", 2),
        ("no.pem", "passphrase-needed", 4),
    ] {
        assert_eq!(workshop.refused(&split(&change(more))), (code.into(), exit), "{more}");
    }
}
