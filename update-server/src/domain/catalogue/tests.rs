use std::sync::mpsc;

use futures::{FutureExt as _, poll};
use suit_manifest::Reason;
use tokio::sync::oneshot;
use trust::Anchor;
use trust::author::{Signer as _, SoftwareKey};

use super::*;

async fn catalogue(dir: &tempfile::TempDir) -> Catalogue {
    let store = Store::connect(&dir.path().join("registry.sqlite")).await.unwrap();
    let blobs = Arc::new(Blobs::open(&dir.path().join("images")).unwrap());
    let anchor = Anchor::root(SoftwareKey::generate().unwrap().public_key());
    let records = Records::open(store.clone(), vec![anchor]).await.unwrap();
    Catalogue::open(store, blobs, records, 0).await.unwrap()
}

#[tokio::test]
async fn few_readers_verify_at_one_time_and_one_that_left_keeps_its_place_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = catalogue(&dir).await;
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
    let catalogue = catalogue(&dir).await;
    let panicked = catalogue.verify::<()>(0, |_| panic!("on purpose")).await;
    assert!(matches!(panicked, Err(CatalogueError::Verification(_))), "{panicked:?}");
    assert_eq!(catalogue.places.available_permits(), READERS_VERIFYING);
}

const VENDOR: Identifier = Identifier([1; 16]);
const CLASS: Identifier = Identifier([2; 16]);
const EVERYBODY: Audience = Audience { vendor: VENDOR, class: CLASS, device: None };

/// A release of the index for tests that need no envelope.
fn entry(sequence: u64, device: Option<Identifier>, verdict: Verdict, boundaries: Vec<u64>) -> Entry {
    Entry::for_tests(VENDOR, CLASS, sequence, device, verdict, boundaries)
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
