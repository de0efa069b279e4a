use std::sync::mpsc;

use futures::{FutureExt as _, poll};
use tokio::sync::oneshot;
use trust::Anchor;
use trust::author::{Signer as _, SoftwareKey};

use super::*;

async fn catalogue(dir: &tempfile::TempDir) -> Catalogue {
    let store = Store::connect(&dir.path().join("registry.sqlite")).await.unwrap();
    let blobs = Arc::new(Blobs::open(&dir.path().join("images")).unwrap());
    let anchor = Anchor::root(SoftwareKey::generate().unwrap().public_key());
    let records = Records::open(store.clone(), vec![anchor]).await.unwrap();
    Catalogue::new(store, blobs, records)
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
