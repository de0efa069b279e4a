//! The versions of the schema, compiled in.
//!
//! They are listed here rather than by `sqlx::migrate!`: its macros would compile SQLite, sqlx and tokio a second time.

use std::sync::LazyLock;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Every migration, in the order in which they are applied; the version is the place, from one.
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let migrations = (1..).zip(FILES).map(|(version, (name, sql))| {
        let description = name.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_').replace('_', " ");
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
});

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../migrations/sqlite/", $name, ".sql")))),*]
    };
}

/// Names, without `.sql`, and statements.
const FILES: [(&str, &str); 15] = files![
    "0001_initial",
    "0002_stated_at",
    "0003_readiness",
    "0004_withdrawal_and_what_runs",
    "0005_indexes",
    "0006_successions",
    "0007_registry",
    "0008_issuers_of_domains",
    "0009_who_vouches",
    "0010_device_reports",
    "0011_targets",
    "0012_events_of_a_token",
    "0013_tables_of_devices",
    "0014_reported_devices",
    "0015_releases_of_both",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is not in the list would never be applied.
    #[test]
    fn each_file_of_the_folder_is_a_migration_of_its_number() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let listed: Vec<String> = FILES.iter().map(|(name, _)| format!("{name}.sql")).collect();
        assert_eq!(found, listed);
        for (migration, (name, _)) in MIGRATIONS.iter().zip(FILES) {
            assert!(name.starts_with(&format!("{:04}_", migration.version)), "{name}");
        }
    }

    /// What databases in the field hold of the first migration: sqlx compares it before it applies anything.
    #[test]
    fn a_migration_keeps_the_checksum_that_databases_hold() {
        let first = MIGRATIONS.iter().next().unwrap();
        assert_eq!(
            hex::encode(&first.checksum),
            "1eee355c85cc417b457279b925d0acbff7da90abe8e1f99aec12db6d95c87749e493a41a3a4aa9065a66708a0879ccae"
        );
    }
}
