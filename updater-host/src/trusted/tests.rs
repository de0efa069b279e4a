use trust::author::{
    Minimum, RevocationRequest, Signer as _, SoftwareKey, SuccessionRequest, grant_succession,
    request_succession, sign_revocation,
};
use trust::{Anchor, Domain, RevokedId, Role, SuccessionNumber, encode_succession_chain};

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

/// The succession of the domain of key 1 in which `grantor` names the key `new`.
pub(crate) fn succession(grantor: u8, new: u8, number: SuccessionNumber) -> Vec<u8> {
    let first = Anchor::root(key(1).public_key());
    let request = SuccessionRequest {
        iss: "Example root".to_owned(),
        issued_at: UnixTime(1_700_000_000),
        domain: first.domain(),
        number,
        rights: first.rights(),
    };
    grant_succession(&request_succession(&request, &key(new)).unwrap(), &key(grantor)).unwrap()
}

pub(crate) fn key(number: u8) -> SoftwareKey {
    SoftwareKey::from_seed(&[number; 32]).unwrap()
}

pub(crate) const fn number(recovery_epoch: u16, succession_sequence: u16) -> SuccessionNumber {
    SuccessionNumber { recovery_epoch, succession_sequence }
}

/// The domain of key 1, whose recovery root is key 9.
pub(crate) fn realm() -> TrustStoreBuf {
    let domain = Domain(key(1).public_key().kid());
    TrustStoreBuf::new([Anchor::root(key(1).public_key()), Anchor::recovery(key(9).public_key(), domain)])
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
    assert!(error.to_string().ends_with("cannot be used as an anchor: it contains a private key"), "{error}");
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

fn output() -> Output {
    Output::new(true, false)
}

fn given(records: &[Vec<u8>]) -> Records {
    let successions =
        Successions { source: "a file".to_owned(), records: records.to_vec(), lists: Vec::new() };
    Records { successions, ..Records::default() }
}

fn pending(bytes: Vec<u8>, is_kept: bool) -> PendingList {
    PendingList { source: "of a test".to_owned(), bytes, is_kept }
}

#[test]
fn files_of_successions_are_records_and_chains() {
    let (one, two) = (succession(1, 2, number(0, 1)), succession(9, 3, number(1, 0)));
    let chain = encode_succession_chain(&[&one, &two], &list(&key(3), 1)).unwrap();
    let ((_a, record), (_b, whole)) = (file(&one), file(&chain));
    let read = read_successions(&[record.clone(), whole]).unwrap();
    assert_eq!(read.records, [one.clone(), one, two]);
    assert_eq!(read.lists.iter().map(|(_, list)| list).collect::<Vec<_>>(), [&list(&key(3), 1)]);
    assert!(read.source.starts_with(&*record.to_string_lossy()) && read.source.contains(", "));

    for (bytes, code) in [(list(&key(1), 1), "record-type"), (b"rubbish".to_vec(), "record-malformed")] {
        let (_folder, path) = file(&bytes);
        let error = read_successions(&[path]).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains("the succession /"), "{error}");
    }
    let (_folder, path) = file(&[0x82; 4097]);
    assert_eq!(read_successions(&[path]).unwrap_err().code(), "file-too-long");
}

/// Each list counts while its signer is the root, whatever the order of files.
#[test]
fn host33_the_list_of_a_root_that_retired_binds_the_first_list_of_the_next_one() {
    let minimum = Minimum { vendor: [1; 16], class: None, sequence: 5 };
    let with_minimum = |root: u8, minimums: &[Minimum]| {
        let request = RevocationRequest {
            minimum_sequences: minimums.to_vec(),
            ..RevocationRequest::first("root".to_owned(), UnixTime(1_700_000_000))
        };
        sign_revocation(&request, &key(root)).unwrap()
    };
    let old = with_minimum(1, &[minimum]);
    let record = succession(1, 2, number(0, 1));
    for is_kept in [false, true] {
        let records = |list: Vec<u8>| Records {
            lists: vec![pending(list, false), pending(old.clone(), is_kept)],
            ..given(std::slice::from_ref(&record))
        };
        let mut store = realm();
        let error = records(with_minimum(2, &[])).add_to(&mut store, &output()).unwrap_err();
        assert_eq!(error.code(), "revocation-drops-entry");
        let mut store = realm();
        records(with_minimum(2, &[minimum])).add_to(&mut store, &output()).unwrap();
        assert_eq!(
            store.lists().map(|list| list.issuer_kid()).collect::<Vec<_>>(),
            [key(2).public_key().kid()]
        );
    }
    // A list that comes when its signer has retired counts no more, and is no error.
    let mut store = realm();
    given(std::slice::from_ref(&record)).add_to(&mut store, &output()).unwrap();
    let late = Records { lists: vec![pending(old, false)], ..Records::default() };
    late.add_to(&mut store, &output()).unwrap();
    assert_eq!(store.lists().count(), 0);
}

#[test]
fn a_succession_that_does_not_fit_is_refused_and_a_damaged_kept_one_ignored() {
    let (one, fork) = (succession(1, 2, number(0, 1)), succession(1, 3, number(0, 1)));
    let stranger = succession(8, 2, number(0, 1));
    let mut store = realm();
    let error = given(std::slice::from_ref(&stranger)).add_to(&mut store, &output()).unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("anchor-unknown", 5));
    let kept = |records: &[Vec<u8>], more: &[Vec<u8>]| Records {
        kept_successions: records.to_vec(),
        lists: vec![pending(list(&key(1), 1), true)],
        ..given(more)
    };
    let mut store = realm();
    kept(&[b"rubbish".to_vec(), stranger, one.clone()], &[]).add_to(&mut store, &output()).unwrap();
    assert_eq!(store.number_of(store.domains().next().unwrap()), number(0, 1));
    // What was kept counts as much as a file.
    let error = kept(std::slice::from_ref(&one), std::slice::from_ref(&fork)).add_to(&mut realm(), &output());
    assert_eq!(error.unwrap_err().code(), "succession-forked");
    let rescue = succession(9, 4, number(1, 0));
    let mut store = realm();
    kept(&[one], &[fork, rescue]).add_to(&mut store, &output()).unwrap();
    assert_eq!(store.number_of(store.domains().next().unwrap()), number(1, 0));
}
