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
                target: Installs::Firmware,
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
        |manifest, bytes: &[u8]| NewEnvelope { target: Installs::Table, ..envelope(manifest, 7, bytes) };
    assert_eq!(store.insert_envelope(envelope(1, 7, b"firmware")).await.unwrap(), Insertion::Created);
    assert_eq!(store.insert_envelope(table(2, b"table")).await.unwrap(), Insertion::Created);
    let taken = store.insert_envelope(table(3, b"other")).await.unwrap();
    assert_eq!(taken, Insertion::SequenceTaken { target: Target::Table, by: Digest([2; 32]) });
    let taken = store.insert_envelope(envelope(4, 7, b"another")).await.unwrap();
    assert_eq!(taken, Insertion::SequenceTaken { target: Target::Firmware, by: Digest([1; 32]) });
    let targets = [1, 2].map(|name| store.release(Digest([name; 32])));
    let [firmware, table] = futures::future::join_all(targets).await.try_into().unwrap();
    assert_eq!(firmware.unwrap().unwrap().target, Installs::Firmware);
    assert_eq!(table.unwrap().unwrap().target, Installs::Table);
}

/// Two releases with one number of one series: of firmware, tables and both, whichever comes first.
#[tokio::test]
async fn srv71_a_number_of_both_is_one_of_firmware_and_one_of_a_table() {
    let of = |target, manifest: u8| NewEnvelope { target, ..envelope(manifest, 7, &[manifest]) };
    let halves = [(Installs::Firmware, Target::Firmware), (Installs::Table, Target::Table)];
    for (half, target) in halves {
        for [first, second] in [[Installs::Both, half], [half, Installs::Both]] {
            let (_dir, store) = store().await;
            assert_eq!(store.insert_envelope(of(first, 1)).await.unwrap(), Insertion::Created);
            let taken = store.insert_envelope(of(second, 2)).await.unwrap();
            let expected = Insertion::SequenceTaken { target, by: Digest([1; 32]) };
            assert_eq!(taken, expected, "{first:?} and {second:?}");
            assert_eq!(
                (store.release(Digest([2; 32])).await.unwrap(), envelopes(&store, 2).await),
                (None, vec![])
            );
            // The database itself holds it to that.
            let sql = "INSERT INTO releases (manifest_digest, vendor, class, target, sequence, published_at)
                SELECT zeroblob(32), vendor, class, CASE target WHEN 'both' THEN 'firmware' ELSE 'both' END, sequence, 1
                FROM releases";
            let written = store.writer.run(move |connection| statement(connection, sql)).await;
            assert!(written.is_err(), "beside {first:?}");
        }
    }
    // Neither half has another number, nor has another class.
    let (_dir, store) = store().await;
    let others = [
        of(Installs::Both, 1),
        NewEnvelope { sequence: 8, ..of(Installs::Both, 2) },
        NewEnvelope { sequence: 9, ..of(Installs::Firmware, 3) },
        NewEnvelope { sequence: 9, ..of(Installs::Table, 4) },
        NewEnvelope { class: VENDOR, ..of(Installs::Both, 5) },
    ];
    for other in others {
        assert_eq!(store.insert_envelope(other).await.unwrap(), Insertion::Created);
    }
    assert_eq!(store.release(Digest([2; 32])).await.unwrap().unwrap().target, Installs::Both);
}

/// A database of the version before: each series has its numbers, and nothing is lost.
#[tokio::test]
async fn releases_from_before_those_of_both_keep_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.sqlite");
    let mut connection = database_before(15, &path).await;
    for (name, target, withdrawal) in [(1_u8, "firmware", "NULL, NULL"), (2, "table", "8, 'wrong gains'")] {
        let digest = hex::encode([name; 32]);
        let sql = format!(
            "INSERT INTO releases (manifest_digest, vendor, class, target, sequence, published_at, withdrawn_at, withdrawn_reason)
             VALUES (x'{digest}', x'{vendor}', x'{class}', '{target}', x'{sequence:016x}', 7, {withdrawal});
             INSERT INTO envelopes (sha256, manifest_digest, bytes, published_at) VALUES (x'{digest}', x'{digest}', x'0{name}', 7)",
            vendor = hex::encode(VENDOR.0),
            class = hex::encode(CLASS.0),
            sequence = 7,
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let store = Store::connect(&path).await.unwrap();
    let stored = |name, target, withdrawal| StoredRelease {
        manifest_digest: Digest([name; 32]),
        vendor: VENDOR,
        class: CLASS,
        target,
        sequence: 7,
        withdrawal,
    };
    let withdrawn = Some(Withdrawal { reason: "wrong gains".into(), at: 8 });
    for expected in [stored(1, Installs::Firmware, None), stored(2, Installs::Table, withdrawn)] {
        let digest = expected.manifest_digest;
        assert_eq!(store.release(digest).await.unwrap(), Some(expected));
        assert_eq!(envelopes(&store, digest.0[0]).await.len(), 1);
        let both = NewEnvelope { target: Installs::Both, ..envelope(3, 7, b"both") };
        assert!(matches!(store.insert_envelope(both).await.unwrap(), Insertion::SequenceTaken { .. }));
    }
    let orphan = "INSERT INTO envelopes (sha256, manifest_digest, bytes, published_at)
        VALUES (zeroblob(32), zeroblob(32), x'00', 1)";
    assert!(store.writer.run(move |connection| statement(connection, orphan)).await.is_err());
}
