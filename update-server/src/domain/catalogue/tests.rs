use std::sync::mpsc;

use futures::{FutureExt as _, poll};
use suit_manifest::Reason;
use suit_manifest::author::{UpdateDescription, create, image_uri, sign};
use tokio::sync::oneshot;
use trust::author::{CredentialRequest, ScopeRequest, Signer as _, SoftwareKey, issue_credential};
use trust::{Anchor, Role};

use super::*;

/// A catalogue without releases, on a store and blobs of its own.
pub(crate) async fn catalogue(dir: &tempfile::TempDir) -> (Store, Arc<Blobs>, Catalogue) {
    let store = Store::connect(&dir.path().join("registry.sqlite")).await.unwrap();
    let blobs = Arc::new(Blobs::open(&dir.path().join("images")).unwrap());
    let anchor = Anchor::root(SoftwareKey::generate().unwrap().public_key());
    let records = Records::open(store.clone(), vec![anchor]).await.unwrap();
    let catalogue = Catalogue::open(store.clone(), blobs.clone(), records, 0).await.unwrap();
    (store, blobs, catalogue)
}

#[tokio::test]
async fn few_readers_verify_at_one_time_and_one_that_left_keeps_its_place_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let (.., catalogue) = catalogue(&dir).await;
    let mut working = Vec::new();
    for _ in 0..READERS_VERIFYING {
        let (start, started) = oneshot::channel();
        let (end, ended) = mpsc::channel::<()>();
        let reader = tokio::spawn({
            let catalogue = catalogue.clone();
            async move {
                let decide = move |_: &TrustStore<'_>| {
                    start.send(()).unwrap();
                    ended.recv().unwrap_err()
                };
                catalogue.verify(0, decide).await.map(drop)
            }
        });
        started.await.unwrap();
        reader.abort();
        assert!(reader.await.unwrap_err().is_cancelled());
        working.push(end);
    }
    let mut next = catalogue.verify(0, |store| store.anchors().len()).boxed();
    assert!(poll!(&mut next).is_pending());
    assert_eq!(catalogue.places.available_permits(), 0);
    working.pop();
    assert_eq!(next.await.unwrap(), 1);
}

#[tokio::test]
async fn a_verification_that_panics_is_an_error_and_gives_its_place_back() {
    let dir = tempfile::tempdir().unwrap();
    let (.., catalogue) = catalogue(&dir).await;
    let panicked = catalogue.verify::<()>(0, |_| panic!("on purpose")).await;
    assert!(matches!(panicked, Err(CatalogueError::Verification(_))), "{panicked:?}");
    assert_eq!(catalogue.places.available_permits(), READERS_VERIFYING);
}

/// Polls until the condition holds.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen");
}

#[tokio::test]
async fn verdicts_that_a_reader_began_are_made_after_it_hung_up() {
    let dir = tempfile::tempdir().unwrap();
    let (.., catalogue) = catalogue(&dir).await;
    let held = catalogue.store.hold_readers().await;
    catalogue.doubt(Digest::of(b"a release"));
    // The first begins, and waits for the database; the others wait for the first.
    for _ in 0..10 {
        let mut asked = catalogue.bring_up_to(0).boxed();
        for _ in 0..5 {
            assert!(poll!(&mut asked).is_pending());
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(Arc::strong_count(&catalogue.judging), 3, "one of the ten is at work, and keeps its turn");
    drop(held);
    // Nobody asks any more.
    eventually("the verdict", || catalogue.is_current(0)).await;
}

#[tokio::test]
async fn verdicts_that_hang_are_not_given_and_hold_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let (.., mut catalogue) = catalogue(&dir).await;
    let digest = Digest::of(b"a release");
    catalogue.indexed.write().unwrap().index.put(digest, entry(1, None, Verdict::Offered, Vec::new()));
    assert_eq!(catalogue.every(EVERYBODY, None, 9, 0).await.unwrap().len(), 1);

    catalogue.turn_limit = Duration::from_millis(20);
    catalogue.doubt(digest);
    let turn = catalogue.judging.clone().lock_owned().await;
    let is_busy = |refused: CatalogueError| matches!(refused, CatalogueError::Busy);
    assert!(is_busy(catalogue.latest(EVERYBODY, 0).await.unwrap_err()));
    assert!(is_busy(catalogue.offers(EVERYBODY, None, 9, 0).await.unwrap_err()));
    assert!(is_busy(catalogue.every(EVERYBODY, None, 9, 0).await.unwrap_err()));
    assert!(is_busy(catalogue.release(digest, 0).await.unwrap_err()));
    assert!(is_busy(catalogue.envelope(digest, 0).await.unwrap_err()));
    assert!(is_busy(catalogue.withdraw(digest, None, 0).await.unwrap_err()));
    assert_eq!(Arc::strong_count(&catalogue.judging), 2, "nobody waits on");
    drop(turn);
    // The database does not have it: that is what is told then.
    assert!(catalogue.every(EVERYBODY, None, 9, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_verdict_that_could_not_be_made_is_not_given_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (.., catalogue) = catalogue(&dir).await;
    let digest = Digest::of(b"a release");
    catalogue.indexed.write().unwrap().index.put(digest, entry(1, None, Verdict::Offered, Vec::new()));
    catalogue.doubt(digest);
    catalogue.store.close().await;
    for _ in 0..2 {
        let refused = catalogue.offers(EVERYBODY, None, 9, 0).await;
        assert!(matches!(refused, Err(CatalogueError::Store(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn an_index_in_which_somebody_panicked_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (.., catalogue) = catalogue(&dir).await;
    let indexed = catalogue.indexed.clone();
    let panicked = std::thread::spawn(move || {
        let mut indexed = indexed.write().unwrap();
        indexed.index.put(Digest::of(b"half"), entry(1, None, Verdict::Offered, Vec::new()));
        panic!("on purpose");
    });
    panicked.join().unwrap_err();
    assert!(catalogue.every(EVERYBODY, None, 9, 0).await.unwrap().is_empty());
    assert!(!catalogue.indexed.is_poisoned());
}

const VENDOR: Identifier = Identifier([1; 16]);
const CLASS: Identifier = Identifier([2; 16]);
const EVERYBODY: Audience =
    Audience { vendor: VENDOR, class: CLASS, target: Installs::Firmware, device: None };

/// A release of the index for tests that need no envelope.
fn entry(sequence: u64, device: Option<Identifier>, verdict: Verdict, boundaries: Vec<u64>) -> Entry {
    Entry::for_tests((VENDOR, CLASS, Installs::Firmware), sequence, device, verdict, boundaries)
}

/// Neither is in the way of the other: offered, refused or withdrawn, newer or older, or with the same number.
#[test]
fn srv65_tables_and_firmware_have_shelves_of_their_own() {
    let tables = Audience { target: Installs::Table, ..EVERYBODY };
    let table = |sequence, verdict| {
        Entry::for_tests((VENDOR, CLASS, Installs::Table), sequence, None, verdict, Vec::new())
    };
    let mut index = Index::default();
    let [image, limits, older, newer] = [1, 2, 3, 4].map(|name: u8| Digest([name; 32]));
    index.put(image, entry(5, None, Verdict::Offered, Vec::new()));
    assert!(index.newest(tables).is_none() && index.offers(tables, None, 9).is_empty());
    // Under the very number.
    index.put(limits, table(5, Verdict::Offered));
    index.put(older, table(3, Verdict::Offered));
    index.put(newer, table(9, Verdict::Withdrawn));
    assert_eq!((index.offers(EVERYBODY, None, 9), index.every(EVERYBODY, None, 9).len()), (vec![image], 1));
    assert_eq!(index.newest(EVERYBODY).unwrap().verdict, Verdict::Offered);
    assert_eq!((index.offers(tables, None, 9), index.every(tables, None, 9).len()), (vec![limits, older], 3));
    assert_eq!(index.newest(tables).unwrap().verdict, Verdict::Withdrawn);
    // What goes takes nothing along.
    index.remove(limits);
    assert_eq!(index.offers(EVERYBODY, None, 9), [image]);
    index.remove(image);
    assert_eq!((index.offers(EVERYBODY, None, 9), index.offers(tables, None, 9)), (Vec::new(), vec![older]));
}

#[test]
fn an_answer_is_one_look_up_behind_any_number_that_are_not_offered() {
    let mut index = Index::default();
    let digest = |sequence: u64| Digest::of(&sequence.to_be_bytes());
    let device = |sequence: u64| Identifier(u128::from(sequence).to_be_bytes());
    index.put(digest(1), entry(1, None, Verdict::Offered, Vec::new()));
    for sequence in 2..5000 {
        index.put(digest(sequence), entry(sequence, None, Verdict::Refused(Reason::KeyRevoked), Vec::new()));
    }
    for sequence in 5000..10_000 {
        index.put(digest(sequence), entry(sequence, Some(device(sequence)), Verdict::Offered, Vec::new()));
    }
    index.put(digest(u64::MAX), entry(u64::MAX, Some(device(7000)), Verdict::Offered, Vec::new()));
    assert_eq!(index.offers(EVERYBODY, None, 10), [digest(1)]);
    assert_eq!(index.newest(EVERYBODY).unwrap().sequence(), 4999);
    let single = Audience { device: Some(device(7000)), ..EVERYBODY };
    assert_eq!(index.offers(single, None, 10), [digest(u64::MAX), digest(7000), digest(1)]);
    assert_eq!(index.offers(single, Some(u64::MAX), 1), [digest(7000)]);
    assert_eq!(index.offers(single, Some(1), 1), []);
    assert_eq!(index.every(EVERYBODY, Some(9000), 2), [digest(8999), digest(8998)]);
    let others = Audience { class: VENDOR, ..EVERYBODY };
    assert!(index.offers(others, None, 10).is_empty() && index.newest(others).is_none());

    // Put again it takes its old place, and gone it leaves none.
    index.put(digest(1), entry(1, None, Verdict::Withdrawn, Vec::new()));
    assert_eq!(index.offers(EVERYBODY, None, 10), []);
    index.put(digest(1), entry(1, None, Verdict::Offered, vec![50, 90]));
    assert_eq!(index.bounded_between(0, 49), []);
    assert_eq!(index.bounded_between(91, 51), [digest(1)]);
    assert_eq!(index.bounded_between(50, 50), [digest(1)]);
    index.remove(digest(1));
    assert_eq!(index.offers(EVERYBODY, None, 10), []);
    assert_eq!(index.bounded_between(0, u64::MAX), []);
}

/// The index may hold at a later time than a request was made: both judge at that one, also when the clock was set back.
#[tokio::test]
async fn a_release_is_handed_out_at_the_time_of_its_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let (root, key) = (SoftwareKey::generate().unwrap(), SoftwareKey::generate().unwrap());
    let store = Store::connect(&dir.path().join("registry.sqlite")).await.unwrap();
    let blobs = Arc::new(Blobs::open(&dir.path().join("images")).unwrap());
    let records = Records::open(store.clone(), vec![Anchor::root(root.public_key())]).await.unwrap();
    let catalogue = Catalogue::open(store, blobs.clone(), records, 1_000).await.unwrap();
    let image = Bytes::from_static(b"an image");
    let image_digest = trust::sha256(&image);
    let source = futures::stream::iter([Ok::<_, std::io::Error>(image.clone())]);
    blobs.write(Digest(image_digest), source, 100).await.unwrap();
    let request = CredentialRequest {
        iss: "root".into(),
        sub: "release".into(),
        key: key.public_key(),
        role: Role::Release,
        scope: ScopeRequest { vendor: [1; 16], classes: vec![[2; 16]], serials: Vec::new(), actions: None },
        issued_at: UnixTime(0),
        not_before: Some(UnixTime(1_010)),
        expires: None,
        cti: [7; 16],
        generation: 0,
        sequence_ceiling: None,
    };
    let update = UpdateDescription {
        vendor: [1; 16],
        class: [2; 16],
        sequence: 1,
        version: "1.0.0".into(),
        image_digest,
        image_size: image.len() as u64,
        uri: image_uri(&image_digest),
        ..UpdateDescription::default()
    };
    let credential = issue_credential(&request, &root).unwrap();
    let envelope = Bytes::from(sign(&create(&update).unwrap(), &key, &credential).unwrap());
    catalogue.publish(envelope, 1_012).await.unwrap();
    let audience = EVERYBODY;
    assert_eq!(catalogue.latest(audience, 1_012).await.unwrap().sequence, 1);
    assert_eq!(catalogue.latest(audience, 1_009).await.unwrap().sequence, 1);
}
