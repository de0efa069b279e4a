use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use trust::host::Existing;

use super::{
    check_content, check_outputs, make_folder, must_differ, read, write, write_all, write_copy, write_secret,
};
use crate::error::Error;

#[test]
fn an_output_is_never_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    write(&path, b"one", Existing::Keep).unwrap();
    write(&path, b"one", Existing::Keep).expect("the same content is written already");
    assert!(matches!(write(&path, b"two", Existing::Keep), Err(Error::FileExists(_))));
    assert!(matches!(write(&path, b"one longer", Existing::Keep), Err(Error::FileExists(_))));
    assert_eq!(fs::read(&path).unwrap(), b"one");
    write(&path, b"two", Existing::Replace).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
}

/// A lost root key is lost for ever; a device node that has become a file breaks other programs.
#[test]
fn force_replaces_neither_keys_nor_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let keys = [
        "-----BEGIN PRIVATE KEY-----\nMC4C",
        "of the root\n-----BEGIN ENCRYPTED PRIVATE KEY-----\r\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        r#"{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#,
    ];
    for key in keys {
        fs::write(path("key"), key).unwrap();
        assert!(matches!(write(&path("key"), b"new", Existing::Replace), Err(Error::FileKept { .. })));
        // Nothing is written beside it either.
        let files: [(&std::path::Path, &[u8]); 2] = [(&path("first"), b"a"), (&path("key"), b"b")];
        assert!(matches!(write_all(&files, Existing::Replace), Err(Error::FileKept { .. })));
        assert_eq!(fs::read_to_string(path("key")).unwrap(), key);
    }
    let _listener = std::os::unix::net::UnixListener::bind(path("node")).unwrap();
    std::os::unix::fs::symlink("/dev/null", path("null")).unwrap();
    std::os::unix::fs::symlink("key", path("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", path("nothing")).unwrap();
    for name in ["node", "null", "link", "nothing"] {
        let before = fs::symlink_metadata(path(name)).unwrap().file_type();
        assert!(
            matches!(write(&path(name), b"new", Existing::Replace), Err(Error::FileKept { .. })),
            "{name}"
        );
        assert_eq!(fs::symlink_metadata(path(name)).unwrap().file_type(), before);
    }
    assert!(!path("first").exists());
    fs::write(path("public"), "-----BEGIN PUBLIC KEY-----").unwrap();
    write(&path("public"), b"new", Existing::Replace).unwrap();
}

#[test]
fn of_several_outputs_none_is_written_when_one_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    fs::write(&second, b"taken").unwrap();
    let files: [(&std::path::Path, &[u8]); 2] = [(&first, b"a"), (&second, b"b")];
    assert!(matches!(write_all(&files, Existing::Keep), Err(Error::FileExists(_))));
    assert!(!first.exists());
    write_all(&files, Existing::Replace).unwrap();
    assert_eq!(fs::read(&second).unwrap(), b"b");
}

#[test]
fn one_file_has_one_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let detour = folder.path().join(".").join("out");
    assert!(matches!(
        write_all(&[(&path, b"a"), (&detour, b"b")], Existing::Replace),
        Err(Error::SameFile(_))
    ));
    assert!(!path.exists());
    fs::write(&path, b"in").unwrap();
    assert!(matches!(must_differ(&detour, &[&path]), Err(Error::SameFile(_))));
    assert!(must_differ(&folder.path().join("other"), &[&path]).is_ok());
}

#[test]
fn a_secret_is_its_owners_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    write_secret(&path, b"secret").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(write_secret(&path, b"secret"), Err(Error::FileExists(_))), "not even the same");
    // A link to nowhere is a file too.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    assert!(matches!(write_secret(&link, b"secret"), Err(Error::FileExists(_))));
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn reading_ends_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in");
    fs::write(&path, [0; 10]).unwrap();
    assert_eq!(read(&path, 10).unwrap().len(), 10);
    assert!(matches!(read(&path, 9), Err(Error::FileTooLong { limit: 9, .. })));
    assert!(matches!(read(std::path::Path::new("/dev/zero"), 9), Err(Error::FileTooLong { .. })));
    assert!(matches!(read(folder.path(), 9), Err(Error::File { .. })));
}

/// A file more or less in it, and a ledger does not read: entries, heads, copies of ledgers before and joined ones.
#[test]
fn nothing_is_written_into_a_ledger_but_by_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    for name in ["000001-before", "000003-merge"] {
        fs::create_dir_all(ledger.join(name)).unwrap();
    }
    fs::write(ledger.join("000001-open.json"), b"first").unwrap();
    fs::write(ledger.join("head.json"), b"head").unwrap();
    std::os::unix::fs::symlink("ledger", folder.path().join("link")).unwrap();
    fs::write(folder.path().join("outside"), b"").unwrap();
    std::os::unix::fs::symlink("../outside", ledger.join("000004-note.json")).unwrap();
    let inside = |result: Result<(), Error>| matches!(result, Err(Error::InsideLedger { .. }));
    for name in [
        "ledger/000001-open.json",
        "ledger/head.json",
        "ledger/000009-note.json",
        "ledger/000001-before/x",
        "ledger/000003-merge/x",
        "ledger/new/folder/x",
        "link/x",
    ] {
        let path = folder.path().join(name);
        for existing in [Existing::Keep, Existing::Replace] {
            assert!(inside(write(&path, b"first", existing)), "{name}");
            assert!(inside(check_outputs(&[(&path, None)], existing)), "{name}");
            assert!(inside(check_content(&path, b"first", existing)), "{name}");
        }
        assert!(inside(write_secret(&path, b"key")), "{name}");
        assert!(inside(make_folder(&path)), "{name}");
    }
    // A link in it would be replaced itself, wherever it leads to.
    assert!(inside(write(&ledger.join("000004-note.json"), b"x", Existing::Replace)));
    // Beside it everything goes on.
    write(&folder.path().join("beside"), b"", Existing::Keep).unwrap();
    make_folder(&folder.path().join("new/folder")).unwrap();
    // A copy of another ledger replaces no entry; that of this one brings entries and the newest head.
    let other = write_copy(&ledger.join("000001-open.json"), b"other", Existing::Replace);
    assert!(matches!(other, Err(Error::FileExists(_))));
    write_copy(&ledger.join("000001-open.json"), b"first", Existing::Replace).unwrap();
    write_copy(&ledger.join("000002-note.json"), b"second", Existing::Replace).unwrap();
    write_copy(&ledger.join("head.json"), b"newer", Existing::Replace).unwrap();
    assert!(matches!(write_copy(&ledger.join("head.json"), b"x", Existing::Keep), Err(Error::FileExists(_))));
    assert_eq!(fs::read(ledger.join("head.json")).unwrap(), b"newer");
}
