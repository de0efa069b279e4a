//! Tables of devices, of databases from before they were kept too.

use super::*;

/// A database of the version before took a confirmed table for what runs.
#[tokio::test]
async fn srv69_what_an_earlier_version_took_for_firmware_is_the_table_that_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.sqlite");
    let mut connection = database_before(13, &path).await;
    for (name, target) in [(1_u8, "firmware"), (2, "table")] {
        let digest = hex::encode([name; 32]);
        let sql = format!(
            "INSERT INTO releases (manifest_digest, vendor, class, target, sequence, published_at)
             VALUES (x'{digest}', zeroblob(16), zeroblob(16), '{target}', x'000000000000000{name}', 7);
             INSERT INTO devices (serial, vendor, class, last_seen, version, sequence, manifest_digest, stated_at)
             VALUES ('{target}', zeroblob(16), zeroblob(16), 9, '{name}', x'000000000000000{name}', x'{digest}', 8);
             INSERT INTO device_events (serial, kind, release, received_at)
             VALUES ('{target}', 'update-confirmed', x'{digest}', 9), ('{target}', 'update-started', NULL, 9),
                    ('{target}', 'list-refused', NULL, 9)"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();

    let store = Store::connect(&path).await.unwrap();
    let installed = |name: u8| Installed {
        version: Some(name.to_string()),
        sequence: Some(name.into()),
        manifest_digest: Some(Digest([name; 32])),
        release_kid: None,
        stated_at: 8,
    };
    for (serial, firmware, table, target) in [
        ("firmware", installed(1), Installed::default(), Installs::Firmware),
        ("table", Installed::default(), installed(2), Installs::Table),
    ] {
        let device = store.device(serial).await.unwrap().unwrap();
        assert_eq!((device.firmware, device.table), (firmware, table), "{serial}");
        let events = store.events(serial, 9).await.unwrap();
        let targets: Vec<_> = events.iter().map(|event| event.target).collect();
        assert_eq!(targets, [None, Some(Installs::Firmware), Some(target)], "{serial}");
    }
}

/// The same of the same time is another event if it is of the other target.
#[tokio::test]
async fn a_repeated_event_is_one_of_its_target() {
    let (_dir, store) = store().await;
    store.upsert_device("A", &facts(Source::Publisher { at: None }), 0).await.unwrap().unwrap();
    let event = |target| Event {
        kind: EventKind::Confirmed,
        release: None,
        target,
        release_kid: None,
        version: Some("2".parse().unwrap()),
        sequence: Some(2),
        reason: None,
        at: Some(5),
    };
    for target in [None, Some(Installs::Table), Some(Installs::Firmware), Some(Installs::Table)] {
        let kept = store.insert_event("A", &event(target), (&reporter(), 6)).await.unwrap();
        assert_eq!(kept, Some(Ok(())));
    }
    assert_eq!(store.events("A", 9).await.unwrap().len(), 2);
}
