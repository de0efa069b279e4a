use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::migrate::Migrator;
use suit_manifest::Target;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use trust::{Domain, Kid, SuccessionNumber};

use super::*;
use crate::domain::registration::{Conflict, Custody, DeviceFacts, Source, Statement};
use crate::domain::registry::{Event, EventKind, Reporter};
use crate::domain::{Digest, Identifier};

async fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::connect(&dir.path().join("registry.sqlite")).await.unwrap();
    (dir, store)
}

/// Does to the database what no method does.
async fn change(store: &Store, sql: &'static str) {
    store.writer.run(move |connection| statement(connection, sql)).await.unwrap();
}

fn statement<'a>(
    connection: &'a mut SqliteConnection,
    sql: &'static str,
) -> BoxFuture<'a, Result<(), StoreError>> {
    async move {
        sqlx::query(sql).execute(connection).await?;
        Ok(())
    }
    .boxed()
}

impl Store {
    /// Keeps the writer busy until the returned end is dropped: those that come meanwhile are one group with it.
    pub(crate) async fn hold_writer(&self) -> (oneshot::Sender<()>, JoinHandle<Result<(), StoreError>>) {
        let (release, held) = oneshot::channel::<()>();
        let (started, running) = oneshot::channel();
        let writer = self.writer.clone();
        let write = tokio::spawn(async move {
            let work = async move {
                started.send(()).unwrap();
                let _ = held.await;
                Ok(())
            };
            writer.run(move |_| work.boxed()).await
        });
        running.await.unwrap();
        (release, write)
    }

    /// Takes every connection that reads.
    pub(crate) async fn hold_readers(&self) -> Vec<sqlx::pool::PoolConnection<sqlx::Sqlite>> {
        let mut held = Vec::new();
        for _ in 0..READ_CONNECTIONS {
            held.push(self.readers.acquire().await.unwrap());
        }
        held
    }

    /// When the readiness was written last.
    pub(crate) async fn checked_at(&self) -> i64 {
        sqlx::query_scalar("SELECT checked_at FROM readiness").fetch_one(&self.readers).await.unwrap()
    }
}

const VENDOR: Identifier = Identifier([1; 16]);
const CLASS: Identifier = Identifier([2; 16]);

fn envelope(manifest: u8, sequence: u64, bytes: &[u8]) -> NewEnvelope {
    NewEnvelope {
        manifest_digest: Digest([manifest; 32]),
        vendor: VENDOR,
        class: CLASS,
        target: Installs::Firmware,
        sequence,
        bytes: bytes.to_vec().into(),
        published_at: 1_700_000_000,
    }
}

#[tokio::test]
async fn the_database_is_as_durable_and_strict_as_the_module_says() {
    let (_dir, store) = store().await;
    for (pragma, expected) in
        [("PRAGMA synchronous", 2_i64), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", 10_000)]
    {
        let asked = store.writer.run(move |connection| {
            async move { Ok(sqlx::query_scalar::<_, i64>(pragma).fetch_one(connection).await?) }.boxed()
        });
        assert_eq!(asked.await.unwrap(), expected, "{pragma}");
    }
    let written = sqlx::query("DELETE FROM devices").execute(&store.readers).await;
    assert!(written.is_err(), "readers only read");
    let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(&store.readers).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.sqlite");
    let store = Store::connect(&path).await.unwrap();
    change(
        &store,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'from the future', TRUE, x'00', 0)",
    )
    .await;
    store.close().await;
    match Store::connect(&path).await {
        Err(StoreError::Newer { found: 99, known: 15 }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_migration_that_was_changed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.sqlite");
    let store = Store::connect(&path).await.unwrap();
    change(&store, "UPDATE _sqlx_migrations SET checksum = x'00'").await;
    store.close().await;
    assert!(matches!(Store::connect(&path).await, Err(StoreError::Migration(_))));
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.sqlite");
    std::fs::write(&path, b"this is not a database, and long enough to be looked at".repeat(100)).unwrap();
    assert!(matches!(Store::connect(&path).await, Err(StoreError::Database(_))));
}

async fn envelopes(store: &Store, manifest: u8) -> Vec<StoredEnvelope> {
    store.envelopes(Digest([manifest; 32]), Digest([manifest; 32])).await.unwrap()
}

#[tokio::test]
async fn a_sequence_number_belongs_to_one_manifest() {
    let (_dir, store) = store().await;
    assert_eq!(store.insert_envelope(envelope(1, 7, b"a")).await.unwrap(), Insertion::Created);
    let there = Insertion::AlreadyThere { published_at: 1_700_000_000 };
    assert_eq!(store.insert_envelope(envelope(1, 7, b"a")).await.unwrap(), there);
    // Signed again.
    assert_eq!(store.insert_envelope(envelope(1, 7, b"b")).await.unwrap(), Insertion::Created);
    let taken = Insertion::SequenceTaken { target: Target::Firmware, by: Digest([1; 32]) };
    assert_eq!(store.insert_envelope(envelope(2, 7, b"c")).await.unwrap(), taken);
    let bytes = envelopes(&store, 1).await.into_iter().map(|it| it.bytes);
    assert_eq!(bytes.collect::<Vec<_>>(), [b"b", b"a"]);
    assert_eq!(envelopes(&store, 2).await, []);
    assert_eq!(store.envelope(Digest::of(b"a")).await.unwrap().as_deref(), Some(&b"a"[..]));
    assert_eq!(store.envelope(Digest::of(b"c")).await.unwrap(), None);
}

#[tokio::test]
async fn sequence_numbers_are_kept_up_to_the_largest_and_releases_come_page_by_page() {
    let (_dir, store) = store().await;
    let sequences = [0, 1, 255, 256, 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX];
    for (manifest, sequence) in sequences.iter().enumerate() {
        let bytes = [u8::try_from(manifest).unwrap()];
        store.insert_envelope(envelope(bytes[0], *sequence, &bytes)).await.unwrap();
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.releases(after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.manifest_digest);
        found.extend(page.iter().map(|release| release.sequence));
    }
    assert_eq!(found, sequences);
    let three = store.envelopes(Digest([2; 32]), Digest([4; 32])).await.unwrap();
    assert_eq!(three.iter().map(|it| it.bytes[0]).collect::<Vec<_>>(), [2, 3, 4]);
}

#[tokio::test]
async fn of_many_publishers_of_one_sequence_number_one_wins() {
    let (_dir, store) = store().await;
    let tasks = (0..16_u8).map(|manifest| {
        let store = store.clone();
        tokio::spawn(async move { store.insert_envelope(envelope(manifest, 1, &[manifest])).await.unwrap() })
    });
    let mut outcomes = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        outcomes.push(task.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|it| **it == Insertion::Created).count(), 1, "{outcomes:?}");
    let releases = store.releases(None, 100).await.unwrap();
    assert_eq!(releases.len(), 1);
    for manifest in 0..16 {
        let digest = Digest([manifest; 32]);
        let kept = usize::from(digest == releases[0].manifest_digest);
        assert_eq!(envelopes(&store, manifest).await.len(), kept, "nothing half-published");
    }
}

#[tokio::test]
async fn a_list_sequence_only_rises() {
    let (_dir, store) = store().await;
    let domain = Domain(Kid([9; 8]));
    let insert_under = |number, list_sequence, bytes: &[u8]| {
        store.insert_list(NewList { domain, number, list_sequence, bytes: bytes.to_vec() }, 0)
    };
    let insert = |sequence, bytes: &'static [u8]| insert_under(SuccessionNumber::FIRST, sequence, bytes);
    assert_eq!(insert(5, b"five").await.unwrap(), ListInsertion::Created);
    assert_eq!(insert(5, b"five").await.unwrap(), ListInsertion::AlreadyThere);
    assert_eq!(insert(5, b"other").await.unwrap(), ListInsertion::NotNewer { stored: 5 });
    assert_eq!(insert(4, b"four").await.unwrap(), ListInsertion::NotNewer { stored: 5 });
    assert_eq!(insert(u64::MAX, b"last").await.unwrap(), ListInsertion::Replaced);
    assert_eq!(insert(6, b"six").await.unwrap(), ListInsertion::NotNewer { stored: u64::MAX });
    assert_eq!(store.lists().await.unwrap(), [StoredList { domain, bytes: b"last".to_vec() }]);

    // Each root counts from the beginning.
    let number =
        |recovery_epoch, succession_sequence| SuccessionNumber { recovery_epoch, succession_sequence };
    assert_eq!(insert_under(number(0, 2), 1, b"second").await.unwrap(), ListInsertion::Replaced);
    for (earlier, sequence) in [(number(0, 0), u64::MAX), (number(0, 1), 9), (number(0, 2), 1)] {
        let refused = insert_under(earlier, sequence, b"earlier").await.unwrap();
        assert_eq!(refused, ListInsertion::NotNewer { stored: 1 }, "{earlier}");
    }
    assert_eq!(insert_under(number(1, 0), 1, b"rescue").await.unwrap(), ListInsertion::Replaced);
    assert_eq!(insert_under(number(0, 3), 7, b"thief").await.unwrap(), ListInsertion::NotNewer { stored: 1 });
    assert_eq!(store.lists().await.unwrap(), [StoredList { domain, bytes: b"rescue".to_vec() }]);
}

#[tokio::test]
async fn successions_are_kept_with_their_list_or_not_at_all() {
    let (_dir, store) = store().await;
    let domain = Domain(Kid([9; 8]));
    let succession = |recovery_epoch, succession_sequence, bytes: &[u8]| StoredSuccession {
        domain,
        number: SuccessionNumber { recovery_epoch, succession_sequence },
        bytes: bytes.to_vec(),
    };
    let list = |of: &StoredSuccession, bytes: &[u8]| NewList {
        domain,
        number: of.number,
        list_sequence: 1,
        bytes: bytes.to_vec(),
    };
    let (one, two, rescue) =
        (succession(0, 1, b"one"), succession(0, 2, b"two"), succession(1, 0, b"rescue"));
    let insert =
        |successions: &[StoredSuccession], list| store.insert_successions(successions.to_vec(), list, 0);
    let kept = insert(&[one.clone(), two.clone()], Some(list(&two, b"list"))).await.unwrap();
    assert_eq!(kept, SuccessionInsertion::Kept);
    // Of another record with a number that is taken nothing is stored, whatever comes with it.
    let fork = [rescue.clone(), succession(0, 2, b"fork")];
    let refused = insert(&fork, Some(list(&rescue, b"newer"))).await.unwrap();
    assert_eq!(refused, SuccessionInsertion::Contradicted);
    // Nor with a list that is not newer.
    let refused = insert(std::slice::from_ref(&rescue), Some(list(&two, b"other"))).await.unwrap();
    assert_eq!(refused, SuccessionInsertion::Contradicted);
    assert_eq!(store.successions().await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(store.lists().await.unwrap()[0].bytes, b"list");

    assert_eq!(insert(&[rescue.clone(), one.clone()], None).await.unwrap(), SuccessionInsertion::Kept);
    assert_eq!(store.successions().await.unwrap(), [one, two, rescue]);
}

/// The database of the version before this migration, as the server opens it: what refers to a release is watched.
async fn database_before(migration: i64, path: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(true);
    let mut connection = options.connect().await.unwrap();
    let before = MIGRATIONS.iter().filter(|other| other.version < migration).cloned().collect();
    Migrator::with_migrations(before).run(&mut connection).await.unwrap();
    connection
}

fn reporter() -> Reporter {
    Reporter::of(b"token")
}

fn said(version: Option<&str>) -> Statement {
    Statement { version: version.map(|version| version.parse().unwrap()), ..Statement::default() }
}

/// Facts of which nothing else is known.
fn facts(source: Source) -> DeviceFacts {
    DeviceFacts {
        vendor: VENDOR,
        class: CLASS,
        firmware: Statement::default(),
        table: Statement::default(),
        anchors: None,
        identity: None,
        credential: None,
        custody: Custody::default(),
        reporter: reporter(),
        source,
    }
}

#[tokio::test]
async fn a_device_keeps_what_a_later_registration_leaves_out() {
    let (_dir, store) = store().await;
    let facts = |version: Option<&str>, sequence| DeviceFacts {
        firmware: Statement { sequence, ..said(version) },
        ..facts(Source::Publisher { at: None })
    };
    let made = store.upsert_device("A", &facts(Some("1.0"), Some(u64::MAX)), 10).await.unwrap().unwrap();
    assert!(made.is_new);
    let outcome = store.upsert_device("A", &facts(None, None), 20).await.unwrap().unwrap();
    assert!(!outcome.is_new);
    let device = outcome.device;
    assert_eq!(
        (device.firmware.version.as_deref(), device.firmware.sequence, device.last_seen),
        (Some("1.0"), Some(u64::MAX), 20)
    );
    let other = DeviceFacts { class: VENDOR, ..facts(Some("9.9"), None) };
    let refused = store.upsert_device("A", &other, 30).await.unwrap();
    assert_eq!(refused, Err(Conflict::Class(CLASS)));
    assert_eq!(store.device("A").await.unwrap().unwrap(), device, "unchanged");
}

#[tokio::test]
async fn only_a_confirmed_update_changes_what_a_device_runs() {
    let (_dir, store) = store().await;
    let facts = facts(Source::Publisher { at: None });
    store.upsert_device("A", &facts, 0).await.unwrap().unwrap();
    let event = |kind, version: &str| Event {
        kind,
        release: Some(Digest([3; 32])),
        target: None,
        release_kid: None,
        version: Some(version.parse().unwrap()),
        sequence: Some(2),
        reason: None,
        at: Some(u64::MAX),
    };
    assert_eq!(
        store.insert_event("A", &event(EventKind::Confirmed, "2.0"), (&reporter(), 5)).await.unwrap(),
        Some(Ok(()))
    );
    assert_eq!(
        store.insert_event("A", &event(EventKind::Reverted, "3.0"), (&reporter(), 6)).await.unwrap(),
        Some(Ok(()))
    );
    assert_eq!(
        store.insert_event("B", &event(EventKind::Reverted, "3.0"), (&reporter(), 6)).await.unwrap(),
        None
    );
    let device = store.device("A").await.unwrap().unwrap();
    assert_eq!(
        (device.firmware.version.as_deref(), device.firmware.sequence, device.last_seen),
        (Some("2.0"), Some(2), 6)
    );
    let events = store.events("A", 100).await.unwrap();
    assert_eq!(
        events.iter().map(|it| it.kind.as_str()).collect::<Vec<_>>(),
        ["update-reverted", "update-confirmed"]
    );
    assert_eq!(store.events("A", 1).await.unwrap().len(), 1);
    assert_eq!(store.events("B", 100).await.unwrap(), []);
}

/// docs/attacks.md, SRV68. What a publisher did, and what others reported, stays.
#[tokio::test]
async fn srv68_a_token_keeps_its_newest_events_and_pushes_out_no_others() {
    let (_dir, store) = store().await;
    change(
        &store,
        "INSERT INTO devices (serial, vendor, class, last_seen)
         VALUES ('A', zeroblob(16), zeroblob(16), 0), ('B', zeroblob(16), zeroblob(16), 0)",
    )
    .await;
    let (technician, other) = (Reporter::of(b"technician"), Reporter::of(b"other"));
    let event = |at| Event {
        kind: EventKind::Started,
        release: None,
        target: None,
        release_kid: None,
        version: None,
        sequence: None,
        reason: None,
        at: Some(at),
    };
    assert_eq!(store.insert_event("A", &event(1), (&other, 1)).await.unwrap(), Some(Ok(())));
    store.mark_retired("A", true, Some("scrapped"), (&technician, 1)).await.unwrap();
    assert_eq!(store.insert_event("B", &event(1), (&technician, 1)).await.unwrap(), Some(Ok(())));
    change(
        &store,
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 999)
         INSERT INTO device_events (serial, kind, at, received_at, reporter)
         SELECT 'A', 'update-refused', n, 1, (SELECT reporter FROM device_events WHERE serial = 'B') FROM numbers",
    )
    .await;
    let kept = async || {
        let events = store.events("A", 9999).await.unwrap();
        let of = |reporter: &Reporter| {
            let own = events.iter().filter(|it| it.reporter.as_deref() == Some(reporter.as_str()));
            own.map(|it| (it.kind.clone(), it.at)).collect::<Vec<_>>()
        };
        (of(&other).len(), of(&technician))
    };
    assert_eq!(store.insert_event("A", &event(2000), (&technician, 2)).await.unwrap(), Some(Ok(())));
    assert_eq!(kept().await.1.len(), 1001, "a thousand, and that it was retired");
    assert_eq!(store.insert_event("A", &event(2001), (&technician, 3)).await.unwrap(), Some(Ok(())));
    let (of_other, own) = kept().await;
    assert_eq!((of_other, own.len()), (1, 1001));
    assert_eq!(own[0], ("update-started".into(), Some(2001)));
    assert_eq!(own[999], ("update-refused".into(), Some(2)), "the oldest went");
    assert_eq!(own[1000], ("device-retired".into(), None));
    assert_eq!(store.events("B", 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_said_late_does_not_undo_what_was_said_of_a_later_time() {
    let (_dir, store) = store().await;
    let facts =
        |version: Option<&str>, at| DeviceFacts { firmware: said(version), ..facts(Source::Report { at }) };
    let confirmed = |version: &str, at| Event {
        kind: EventKind::Confirmed,
        release: None,
        target: None,
        release_kid: None,
        version: Some(version.parse().unwrap()),
        sequence: Some(9),
        reason: None,
        at,
    };
    let version = async || store.device("A").await.unwrap().unwrap().firmware.version;
    // What says nothing of a version stands in the way of none.
    store.upsert_device("A", &facts(None, Some(400)), 1000).await.unwrap().unwrap();
    for (said, at, now, known) in [
        ("1.0", Some(100), 1001, "1.0"),
        ("3.0", Some(200), 1002, "3.0"),
        ("1.1", Some(199), 1003, "3.0"),
        ("3.1", Some(200), 1004, "3.1"),
        // Without a time of its own it speaks of now; of what is to come nobody can speak.
        ("4.0", None, 1005, "4.0"),
        ("3.2", Some(1004), 1006, "4.0"),
        ("5.0", Some(u64::MAX), 1007, "5.0"),
        // The clock was set back.
        ("5.1", Some(100), 900, "5.0"),
        ("6.0", None, 901, "6.0"),
    ] {
        let device = store.upsert_device("A", &facts(Some(said), at), now).await.unwrap().unwrap().device;
        assert_eq!((device.firmware.version.as_deref(), device.last_seen), (Some(known), now), "{said}");
    }
    assert_eq!(
        store.insert_event("A", &confirmed("2.0", Some(150)), (&reporter(), 902)).await.unwrap(),
        Some(Ok(()))
    );
    let device = store.device("A").await.unwrap().unwrap();
    assert_eq!(
        (device.firmware.version.as_deref(), device.firmware.sequence, device.last_seen),
        (Some("6.0"), None, 902)
    );
    assert_eq!(store.events("A", 9).await.unwrap()[0].version.as_deref(), Some("2.0"));
    assert_eq!(
        store.insert_event("A", &confirmed("7.0", Some(1010)), (&reporter(), 1011)).await.unwrap(),
        Some(Ok(()))
    );
    assert_eq!(version().await.as_deref(), Some("7.0"));
    store.upsert_device("A", &facts(Some("6.1"), Some(1009)), 1012).await.unwrap().unwrap();
    assert_eq!(version().await.as_deref(), Some("7.0"));
}

/// A database of the version before a publisher's word counted against reports.
#[tokio::test]
async fn srv54_devices_that_are_here_already_are_vouched_for_by_what_only_a_publisher_could_say() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.sqlite");
    let mut connection = database_before(8, &path).await;
    for (serial, column, value) in [
        ("line", "line", "'one'"),
        ("owner", "owner", "'Ada'"),
        ("checks", "key_checks", "'a=0011'"),
        ("credential", "credential", "x'00'"),
        ("state", "state", "'suspended'"),
        ("report", "anchors", "x'0102030405060708'"),
        ("stepped", "version", "'1.0'"),
        ("updated", "version", "'1.0'"),
    ] {
        let sql = format!(
            "INSERT INTO devices (serial, vendor, class, last_seen, stated_at, {column})
             VALUES ('{serial}', x'{vendor}', x'{class}', 9, 7, {value})",
            vendor = hex::encode(VENDOR.0),
            class = hex::encode(CLASS.0),
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    sqlx::query(
        "INSERT INTO device_events (serial, kind, received_at)
         VALUES ('stepped', 'device-state', 8), ('updated', 'update-confirmed', 8);
         INSERT INTO issuers (kid, issued_at, bytes, stored_at) VALUES (x'0102030405060708', 5, x'00', 6)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();

    let store = Store::connect(&path).await.unwrap();
    for (serial, vouched, state_set, anchors_at) in [
        ("line", true, false, 0),
        ("owner", true, false, 0),
        ("checks", true, false, 0),
        ("credential", true, false, 0),
        ("state", true, true, 0),
        ("report", false, false, 7),
        ("stepped", false, true, 0),
        ("updated", false, false, 0),
    ] {
        let device = store.device(serial).await.unwrap().unwrap();
        let found = (device.vouched, device.state_set, device.anchors_at, device.firmware.stated_at);
        assert_eq!(found, (vouched, state_set, anchors_at, 7), "{serial}");
    }
    let issuers = store.issuers().await.unwrap();
    let (domain, kid) = (Domain(Kid([0; 8])), Kid([1, 2, 3, 4, 5, 6, 7, 8]));
    assert_eq!(issuers, [StoredIssuer { domain, kid, bytes: vec![0] }]);
}

mod group_commit;
mod tables_of_devices;
mod targets;

/// A disk that is full at the first start is no damage: no backup helps, space does.
#[tokio::test]
async fn a_database_that_finds_no_space_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("registry.sqlite"))
        .create_if_missing(true)
        .pragma("max_page_count", "4");
    let error = super::migrate(&mut options.connect().await.unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Migration(_)) && error.is_full(), "{error:?}");
    let hint = crate::server::StartError::from(error).hint();
    assert!(hint.unwrap().contains("free space"), "{hint:?}");
}
