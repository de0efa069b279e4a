//! The writer: who waits shares a commit, and is answered after it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use futures::future::join_all;
use tokio::task::JoinHandle;

use super::*;

type Write = JoinHandle<Result<(), StoreError>>;

fn write(store: &Store, sql: &'static str) -> Write {
    let store = store.clone();
    tokio::spawn(async move { store.writer.run(move |connection| statement(connection, sql)).await })
}

const ONE: &str = "INSERT INTO revocation_lists (domain, list_sequence, bytes, stored_at)
                   VALUES (x'0000000000000001', x'0000000000000001', x'00', 0)";
const TWO: &str = "INSERT INTO revocation_lists (domain, list_sequence, bytes, stored_at)
                   VALUES (x'0000000000000002', x'0000000000000001', x'00', 0)";
/// A row, and then one that the schema refuses.
const HALF: &str = "INSERT INTO revocation_lists (domain, list_sequence, bytes, stored_at)
                    VALUES (x'0000000000000003', x'0000000000000001', x'00', 0);
                    INSERT INTO revocation_lists (domain, list_sequence, bytes, stored_at)
                    VALUES (x'04', x'0000000000000001', x'00', 0)";

async fn kept(store: &Store) -> Vec<u8> {
    store.lists().await.unwrap().into_iter().map(|list| list.domain.0.0[7]).collect()
}

/// Waits until the queue holds so many writes.
async fn queued(store: &Store, count: usize) {
    while store.writer.waiting() < count {
        tokio::task::yield_now().await;
    }
}

/// Calls `decide` at each commit of the writer's connection; `false` makes it fail.
async fn at_commit(store: &Store, decide: impl FnMut() -> bool + Send + 'static) {
    let set = store.writer.run(move |connection| {
        async move {
            connection.lock_handle().await?.set_commit_hook(decide);
            Ok(())
        }
        .boxed()
    });
    // The hook hears of that commit too.
    set.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_wait_share_one_commit_and_none_is_answered_before_it() {
    let (_dir, store) = store().await;
    let (at, reached) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let mut first = true;
    at_commit(&store, move || {
        if !std::mem::take(&mut first) {
            at.send(()).unwrap();
            wait.recv().unwrap();
        }
        true
    })
    .await;
    let (release, held) = store.hold_writer().await;
    let mut writes = Vec::new();
    for sql in [ONE, TWO, "SELECT 1"] {
        writes.push(write(&store, sql));
        queued(&store, writes.len()).await;
    }
    drop(release);
    reached.recv().unwrap();
    // The commit is under way; time for an answer that does not wait for it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!held.is_finished() && writes.iter().all(|write| !write.is_finished()));
    assert!(kept(&store).await.is_empty());
    go.send(()).unwrap();
    for write in [held].into_iter().chain(writes) {
        write.await.unwrap().unwrap();
    }
    assert_eq!(kept(&store).await, [1, 2]);
    assert!(reached.try_recv().is_err(), "one commit");
}

#[tokio::test]
async fn a_write_that_fails_is_rolled_back_alone() {
    let (_dir, store) = store().await;
    let (release, held) = store.hold_writer().await;
    let mut writes = Vec::new();
    for sql in [ONE, HALF, TWO, ONE] {
        writes.push(write(&store, sql));
        queued(&store, writes.len()).await;
    }
    drop(release);
    held.await.unwrap().unwrap();
    let outcomes = join_all(writes).await.into_iter().map(|outcome| match outcome.unwrap() {
        Ok(()) => "kept",
        Err(StoreError::Database(_)) => "failed",
        Err(_) => "other",
    });
    assert_eq!(outcomes.collect::<Vec<_>>(), ["kept", "failed", "kept", "failed"]);
    assert_eq!(kept(&store).await, [1, 2]);
}

#[tokio::test]
async fn a_commit_that_fails_fails_its_whole_group_and_the_next_one_succeeds() {
    let (_dir, store) = store().await;
    let mut commits = 0;
    at_commit(&store, move || {
        commits += 1;
        commits != 2
    })
    .await;
    let (release, held) = store.hold_writer().await;
    let writes = [write(&store, ONE), write(&store, TWO)];
    queued(&store, 2).await;
    drop(release);
    for write in [held].into_iter().chain(writes) {
        assert!(matches!(write.await.unwrap(), Err(StoreError::Commit(_))));
    }
    assert!(kept(&store).await.is_empty());
    write(&store, ONE).await.unwrap().unwrap();
    assert_eq!(kept(&store).await, [1]);
}

#[tokio::test]
async fn a_connection_in_doubt_is_thrown_away() {
    for in_doubt in [
        // SQLite rolls back by itself on a full disk: what is under way for the caller is over for the database.
        "ROLLBACK",
        // A transaction is still open when the group has failed, and one after a commit that failed.
        "ROLLBACK; BEGIN",
        "PRAGMA defer_foreign_keys = ON;
         INSERT INTO envelopes (sha256, manifest_digest, bytes, published_at) VALUES (zeroblob(32), zeroblob(32), x'00', 0)",
    ] {
        let (_dir, store) = store().await;
        let (release, held) = store.hold_writer().await;
        let writes = [write(&store, ONE), write(&store, in_doubt)];
        queued(&store, 2).await;
        drop(release);
        for write in [held].into_iter().chain(writes) {
            assert!(matches!(write.await.unwrap(), Err(StoreError::Commit(_))), "{in_doubt}");
        }
        later_writes_are_kept(&store, in_doubt).await;
    }
    // One that failed alone may have changed the connection, though its rows are rolled back.
    let (_dir, store) = store().await;
    let failed = "PRAGMA query_only = ON; SELECT nothing";
    assert!(matches!(write(&store, failed).await.unwrap(), Err(StoreError::Database(_))));
    later_writes_are_kept(&store, failed).await;
}

async fn later_writes_are_kept(store: &Store, after: &str) {
    for sequence in 0..50 {
        let inserted = store.insert_envelope(envelope(sequence, u64::from(sequence), &[sequence])).await;
        assert_eq!(inserted.unwrap(), Insertion::Created, "after {after}");
    }
    assert!(kept(store).await.is_empty());
}

#[tokio::test]
async fn a_write_that_panics_fails_its_group_and_no_later_one() {
    let (_dir, store) = store().await;
    let (release, held) = store.hold_writer().await;
    let one = write(&store, ONE);
    queued(&store, 1).await;
    let panics = tokio::spawn({
        let store = store.clone();
        async move { store.writer.run::<(), _>(|_| async { panic!("in a test") }.boxed()).await }
    });
    queued(&store, 2).await;
    drop(release);
    for write in [held, one, panics] {
        assert!(matches!(write.await.unwrap(), Err(StoreError::BrokenOff)));
    }
    write(&store, TWO).await.unwrap().unwrap();
    assert_eq!(kept(&store).await, [2]);
}

#[tokio::test]
async fn a_write_for_which_nobody_waits_is_left_out() {
    let (_dir, store) = store().await;
    let (release, held) = store.hold_writer().await;
    let gone = write(&store, ONE);
    queued(&store, 1).await;
    gone.abort();
    assert!(gone.await.is_err());
    drop(release);
    held.await.unwrap().unwrap();
    write(&store, TWO).await.unwrap().unwrap();
    assert_eq!(kept(&store).await, [2]);
}

#[tokio::test]
async fn a_write_waits_for_its_turn_for_a_bounded_time() {
    let (_dir, mut store) = store().await;
    store.writer.turn_limit = Duration::from_millis(50);
    let (release, held) = store.hold_writer().await;
    let late = write(&store, ONE);
    assert!(matches!(late.await.unwrap(), Err(StoreError::Busy)));
    drop(release);
    held.await.unwrap().unwrap();
    assert!(kept(&store).await.is_empty());
}

#[tokio::test]
async fn a_group_has_a_bound_so_that_the_first_is_answered() {
    let (_dir, store) = store().await;
    let commits = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = commits.clone();
    at_commit(&store, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        true
    })
    .await;
    let (release, held) = store.hold_writer().await;
    let writes: Vec<_> = (0..100).map(|_| write(&store, "UPDATE readiness SET checked_at = 1")).collect();
    queued(&store, 100).await;
    let before = commits.load(Ordering::Relaxed);
    drop(release);
    held.await.unwrap().unwrap();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    assert_eq!(commits.load(Ordering::Relaxed) - before, 2);
}

#[tokio::test]
async fn the_writes_before_the_end_are_kept_and_later_ones_refused() {
    let (_dir, store) = store().await;
    let (release, held) = store.hold_writer().await;
    let one = write(&store, ONE);
    queued(&store, 1).await;
    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.writer.close().await }
    });
    queued(&store, 2).await;
    drop(release);
    closing.await.unwrap();
    held.await.unwrap().unwrap();
    one.await.unwrap().unwrap();
    assert!(matches!(write(&store, TWO).await.unwrap(), Err(StoreError::BrokenOff)));
    assert_eq!(kept(&store).await, [1]);
}

#[tokio::test]
async fn readers_do_not_wait_for_a_writer() {
    let (_dir, store) = store().await;
    let (release, held) = store.hold_writer().await;
    let waiting = write(&store, ONE);
    // More at one time than there are connections.
    for read in join_all((0..64).map(|_| store.releases(None, 10))).await {
        assert_eq!(read.unwrap(), []);
    }
    assert!(!waiting.is_finished(), "it waits for its turn");
    drop(release);
    held.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
}

/// A cut leaves a root with its own list: both are one commit.
#[tokio::test]
async fn srv49_a_succession_and_its_list_are_one_commit() {
    let (_dir, store) = store().await;
    let domain = Domain(Kid([9; 8]));
    let number = SuccessionNumber { recovery_epoch: 0, succession_sequence: 1 };
    let insert = || {
        let succession = StoredSuccession { domain, number, bytes: b"succession".to_vec() };
        let list = NewList { domain, number, list_sequence: 1, bytes: b"list".to_vec() };
        store.insert_successions(vec![succession], Some(list), 0)
    };
    let mut commits = 0;
    at_commit(&store, move || {
        commits += 1;
        // The first is that of the hook itself; of the next one nothing may stay.
        commits != 2
    })
    .await;
    assert!(matches!(insert().await, Err(StoreError::Commit(_))));
    assert_eq!((store.successions().await.unwrap().len(), store.lists().await.unwrap().len()), (0, 0));

    let commits = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = commits.clone();
    at_commit(&store, move || counter.fetch_add(1, Ordering::SeqCst) < 9).await;
    let before = commits.load(Ordering::SeqCst);
    assert_eq!(insert().await.unwrap(), SuccessionInsertion::Kept);
    assert_eq!(commits.load(Ordering::SeqCst), before + 1);
    assert_eq!((store.successions().await.unwrap().len(), store.lists().await.unwrap().len()), (1, 1));
}
