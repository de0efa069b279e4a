use super::{Existing, must_differ, read, write, write_all, write_secret};
use crate::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

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
