use trust::Anchor;
use trust::author::{Signer as _, SoftwareKey};

use super::*;
use crate::server::tests::fake::{Answer, FakeServer};
use crate::trusted::tests::list;

fn root(number: u8) -> SoftwareKey {
    SoftwareKey::from_seed(&[number; 32]).unwrap()
}

/// A cache, and a trust store with the roots 1 and 2.
struct Bench {
    folder: tempfile::TempDir,
    cache: Cache,
    trusted: TrustStoreBuf,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let trusted = TrustStoreBuf::new([1, 2].map(|number| Anchor::root(root(number).public_key())));
        Self { folder, cache, trusted }
    }

    /// Asks a server that gives this answer for root 1 and has nothing for root 2.
    async fn ask(&mut self, answer: impl Fn() -> Answer + Send + 'static) -> Result<(), Error> {
        let path = format!("/v1/revocations/{}", hex::encode(root(1).public_key().kid().0));
        let server =
            FakeServer::start(
                move |request| {
                    if request.path == path { answer() } else { Answer::new(404, vec![]) }
                },
            );
        let server = Server::new(&server.url(), None, None).map(|client| (client, server)).unwrap();
        let output = Output::new(true, false);
        let online = Online { server: &server.0, cache: &self.cache, output: &output };
        newest_lists(&online, &mut self.trusted).await
    }

    fn kept(&self, number: u8) -> Option<Vec<u8>> {
        self.cache.revocation_list(Domain(root(number).public_key().kid())).unwrap()
    }

    fn sequences(&self) -> Vec<u64> {
        self.trusted.lists().map(|list| list.sequence()).collect()
    }
}

#[tokio::test]
async fn the_list_of_another_anchor_takes_no_place() {
    let mut bench = Bench::new();
    bench.ask(|| Answer::ok(list(&root(1), 5))).await.unwrap();
    let error = bench.ask(|| Answer::ok(list(&root(2), 9))).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("server-answer", 7));
    assert_eq!((bench.kept(1), bench.kept(2)), (Some(list(&root(1), 5)), None));
}

#[tokio::test]
async fn a_fetched_list_is_kept_whatever_else_is_held() {
    let mut bench = Bench::new();
    bench.ask(|| Answer::ok(list(&root(1), 5))).await.unwrap();
    add_list(&mut bench.trusted, "a file", list(&root(1), 7)).unwrap();
    bench.ask(|| Answer::ok(list(&root(1), 6))).await.unwrap();
    assert_eq!((bench.kept(1), bench.sequences()), (Some(list(&root(1), 6)), vec![7]));
    // An older one than that is not.
    bench.ask(|| Answer::ok(list(&root(1), 4))).await.unwrap();
    assert_eq!(bench.kept(1), Some(list(&root(1), 6)));
}

#[tokio::test]
async fn a_list_that_was_fetched_once_counts_when_the_server_has_none() {
    let mut bench = Bench::new();
    bench.ask(|| Answer::ok(list(&root(1), 5))).await.unwrap();
    for answer in [|| Answer::new(404, vec![]), || Answer::new(503, vec![]), Answer::hang_up] {
        bench.trusted = TrustStoreBuf::new(bench.trusted.anchors().to_vec());
        bench.ask(answer).await.unwrap();
        assert_eq!(bench.sequences(), [5]);
    }
}

#[tokio::test]
async fn a_damaged_list_in_the_cache_does_not_count_and_is_replaced() {
    let mut bench = Bench::new();
    bench.ask(|| Answer::ok(list(&root(1), 5))).await.unwrap();
    let kid = hex::encode(root(1).public_key().kid().0);
    for damage in [list(&root(3), 9), b"rubbish".to_vec()] {
        std::fs::write(bench.folder.path().join("revocations").join(&kid), damage).unwrap();
        bench.trusted = TrustStoreBuf::new(bench.trusted.anchors().to_vec());
        bench.ask(|| Answer::ok(list(&root(1), 6))).await.unwrap();
        assert_eq!((bench.kept(1), bench.sequences()), (Some(list(&root(1), 6)), vec![6]));
    }
}
