use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use trust::host::Existing;

use super::{must_differ, read, write, write_all, write_secret};
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
        assert!(matches!(write(&path("key"), b"new", Existing::Replace), Err(Error::FileExists(_))));
        // Nothing is written beside it either.
        let files: [(&std::path::Path, &[u8]); 2] = [(&path("first"), b"a"), (&path("key"), b"b")];
        assert!(matches!(write_all(&files, Existing::Replace), Err(Error::FileExists(_))));
        assert_eq!(fs::read_to_string(path("key")).unwrap(), key);
    }
    let _listener = std::os::unix::net::UnixListener::bind(path("node")).unwrap();
    std::os::unix::fs::symlink("/dev/null", path("null")).unwrap();
    std::os::unix::fs::symlink("key", path("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", path("nothing")).unwrap();
    for name in ["node", "null", "link", "nothing"] {
        let before = fs::symlink_metadata(path(name)).unwrap().file_type();
        assert!(matches!(write(&path(name), b"new", Existing::Replace), Err(Error::FileExists(_))), "{name}");
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
