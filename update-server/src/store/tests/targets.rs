//! What releases install, of databases from before it was kept too.

use super::*;

/// A database of the version before: releases with their envelopes, events and withdrawals.
#[tokio::test]
async fn releases_from_before_tables_are_of_firmware_and_nothing_of_them_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.sqlite");
    let mut connection = database_before(11, &path).await;
    for (name, withdrawal) in [(1_u8, "NULL, NULL"), (2, "8, 'it bricks'")] {
        let digest = hex::encode([name; 32]);
        let sql = format!(
            "INSERT INTO releases (manifest_digest, vendor, class, sequence, published_at, withdrawn_at, withdrawn_reason)
             VALUES (x'{digest}', x'{vendor}', x'{class}', x'{sequence:016x}', 7, {withdrawal});
             INSERT INTO envelopes (sha256, manifest_digest, bytes, published_at) VALUES (x'{digest}', x'{digest}', x'0{name}', 7);
             INSERT INTO release_events (manifest_digest, kind, at) VALUES (x'{digest}', 'release-published', 7)",
            vendor = hex::encode(VENDOR.0),
            class = hex::encode(CLASS.0),
            sequence = u64::MAX - u64::from(name),
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();

    for _ in 0..2 {
        let store = Store::connect(&path).await.unwrap();
        for name in [1_u8, 2] {
            let withdrawal = (name == 2).then(|| Withdrawal { reason: "it bricks".into(), at: 8 });
            let expected = StoredRelease {
                manifest_digest: Digest([name; 32]),
                vendor: VENDOR,
                class: CLASS,
                target: Target::Firmware,
                sequence: u64::MAX - u64::from(name),
                withdrawal,
            };
            assert_eq!(store.release(Digest([name; 32])).await.unwrap(), Some(expected));
            let kept = envelopes(&store, name).await;
            assert_eq!(kept.iter().map(|it| it.bytes.as_slice()).collect::<Vec<_>>(), [[name]]);
            assert_eq!(store.release_events(Digest([name; 32]), 9).await.unwrap().len(), 1);
        }
        // References still hold, and are watched.
        let orphan = "INSERT INTO envelopes (sha256, manifest_digest, bytes, published_at)
            VALUES (zeroblob(32), zeroblob(32), x'00', 1)";
        let orphaned = store.writer.run(move |connection| statement(connection, orphan)).await;
        assert!(orphaned.is_err());
        let broken: Vec<sqlx::sqlite::SqliteRow> =
            sqlx::query("PRAGMA foreign_key_check").fetch_all(&store.readers).await.unwrap();
        assert!(broken.is_empty());
        store.close().await;
    }
}

/// Two publishers of one number: of one target one wins, of two both are taken.
#[tokio::test]
async fn srv65_a_number_of_a_table_is_no_number_of_firmware() {
    let (_dir, store) = store().await;
    let table =
        |manifest, bytes: &[u8]| NewEnvelope { target: Target::Table, ..envelope(manifest, 7, bytes) };
    assert_eq!(store.insert_envelope(envelope(1, 7, b"firmware")).await.unwrap(), Insertion::Created);
    assert_eq!(store.insert_envelope(table(2, b"table")).await.unwrap(), Insertion::Created);
    let taken = store.insert_envelope(table(3, b"other")).await.unwrap();
    assert_eq!(taken, Insertion::SequenceTaken { by: Digest([2; 32]) });
    let taken = store.insert_envelope(envelope(4, 7, b"another")).await.unwrap();
    assert_eq!(taken, Insertion::SequenceTaken { by: Digest([1; 32]) });
    let targets = [1, 2].map(|name| store.release(Digest([name; 32])));
    let [firmware, table] = futures::future::join_all(targets).await.try_into().unwrap();
    assert_eq!(firmware.unwrap().unwrap().target, Target::Firmware);
    assert_eq!(table.unwrap().unwrap().target, Target::Table);
}
