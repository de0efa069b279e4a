use trust::author::{RevocationRequest, Signer as _, SoftwareKey, sign_revocation};
use trust::{Anchor, RevokedId, Role};

use super::*;

fn root() -> SoftwareKey {
    SoftwareKey::from_seed(&[7; 32]).unwrap()
}

pub(crate) fn list(root: &SoftwareKey, sequence: u64) -> Vec<u8> {
    list_naming(root, sequence, &[9])
}

/// The same with an entry more.
#[cfg(feature = "http")]
pub(crate) fn revoking(root: &SoftwareKey, sequence: u64) -> Vec<u8> {
    list_naming(root, sequence, &[8, 9])
}

fn list_naming(root: &SoftwareKey, sequence: u64, ids: &[u8]) -> Vec<u8> {
    let revoked = ids.iter().map(|id| RevokedId::Credential([*id; 16]).revoked(Role::Release, 0));
    let request = RevocationRequest {
        iss: "Example root".to_owned(),
        issued_at: UnixTime(1_700_000_000),
        sequence,
        revoked: revoked.collect(),
        lowest_generations: vec![],
        minimum_sequences: vec![],
    };
    sign_revocation(&request, root).unwrap()
}

fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anchor");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// The reader's own tests are in trust; here: the error that a technician sees.
#[test]
fn a_file_that_is_not_an_anchor_is_refused_as_a_key() {
    let (_folder, path) = file(b"-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n");
    let error = read_anchors(&[path], &[]).unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("key-invalid", 4));
    assert!(error.to_string().ends_with("is not an anchor: it contains a private key"), "{error}");
    assert!(error.hint().contains("public half"), "{}", error.hint());
    let (_folder, path) = file(&[b' '; 17 * 1024]);
    assert_eq!(read_anchors(&[path], &[]).unwrap_err().code(), "file-too-long");
}

#[test]
fn an_anchor_counts_once() {
    let key = root().public_key();
    let ((_a, one), (_b, other)) = (file(&key.to_cose_key()), file(&key.to_cose_key()));
    assert_eq!(read_anchors(&[one, other], &[]).unwrap().anchors(), [Anchor::root(key)]);
}

#[test]
fn a_weak_key_is_no_anchor() {
    // The identity point: of small order, every signature would hold.
    let mut cose = root().public_key().to_cose_key();
    cose[8..].copy_from_slice(&[0; 32]);
    cose[8] = 1;
    let (_folder, path) = file(&cose);
    let error = read_anchors(&[path], &[]).unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("key-invalid", 4));
}

#[test]
fn the_newest_list_counts_whatever_the_order() {
    let root = root();
    let mut store = TrustStoreBuf::new([Anchor::root(root.public_key())]);
    for (sequence, held) in [(2, Held::Newest), (5, Held::Newest), (3, Held::Older), (5, Held::Already)] {
        assert_eq!(add_list(&mut store, "a list", list(&root, sequence)).unwrap(), held);
    }
    assert_eq!(store.lists().map(|list| list.sequence()).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_list_of_a_stranger_or_a_changed_one_is_refused_and_not_kept() {
    let root = root();
    let mut store = TrustStoreBuf::new([Anchor::root(root.public_key())]);
    let foreign = list(&SoftwareKey::from_seed(&[8; 32]).unwrap(), 9);
    let error = add_list(&mut store, "foreign", foreign).unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("anchor-unknown", 5));
    let mut changed = list(&root, 9);
    *changed.last_mut().unwrap() ^= 1;
    let error = add_list(&mut store, "changed", changed).unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("signature-invalid", 5));
    assert_eq!(store.lists().count(), 0);
}

#[test]
fn the_time_is_now() {
    assert!(now().0 > 1_700_000_000);
}
