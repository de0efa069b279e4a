//! Why the server does not start, the exit code for it, and what the operator can do.

use std::io;
use std::process::ExitCode;

use crate::blobs::{BlobError, is_full};
use crate::config::ConfigError;
use crate::data_dir::DataDirError;
use crate::domain::catalogue::CatalogueError;
use crate::domain::records::RecordsError;
use crate::store::StoreError;

/// Exit codes (docs/errors.md): the system or the disk, an option's file, a record that is not authentic.
const SYSTEM: u8 = 3;
const CONFIGURATION: u8 = 4;
const RECORD: u8 = 5;

const FREE_SPACE: &str = "free space on the disk of --data, then start the server";

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The options point to something unusable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image store.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The stored revocation lists and successions.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The stored releases.
    #[error("cannot read the stored releases: {0}")]
    Catalogue(#[from] CatalogueError),
    /// Nothing that is stored would be offered, and no record says why.
    #[error(
        "none of the {releases} stored releases is under an anchor that was given ({})", anchors.join(", ")
    )]
    NoReleaseUnderAnchors {
        /// How many there are.
        releases: usize,
        /// kids of the first roots.
        anchors: Vec<String>,
    },
    /// The address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// As given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// No answer can have a date.
    #[error("the clock is before 1970")]
    Clock,
    /// The runtime, the signals or stdout.
    #[error("the system failed: {0}")]
    System(#[from] io::Error),
}

impl StartError {
    /// The exit code (docs/errors.md).
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.judge().0)
    }

    /// An instruction for the operator, unless the message has it.
    pub fn hint(&self) -> Option<&'static str> {
        self.judge().1
    }

    fn judge(&self) -> (u8, Option<&'static str>) {
        if self.is_full() {
            return (SYSTEM, Some(FREE_SPACE));
        }
        match self {
            Self::Config(_) => (CONFIGURATION, None),
            Self::DataDir(error) => (SYSTEM, of_data_dir(error)),
            Self::Store(error) => (SYSTEM, of_store(error)),
            Self::Records(RecordsError::StoredList { .. }) => (
                RECORD,
                Some(
                    "restore the database from a backup, or check what --anchor names: no list may revoke an anchor",
                ),
            ),
            Self::Records(RecordsError::StoredSuccession { .. }) => (
                RECORD,
                Some(
                    "restore the database from a backup, or check --anchor and --recovery-anchor: they name the roots of \
                     the domain's beginning",
                ),
            ),
            Self::NoReleaseUnderAnchors { .. } => (
                CONFIGURATION,
                Some(
                    "pass the anchors under which they were published, beside a new one; to begin without these releases, give \
                     --data a new folder",
                ),
            ),
            Self::Clock => (SYSTEM, Some("set the clock, then start the server")),
            Self::Listen { .. } => (SYSTEM, Some("check --listen; port 0 takes any free port")),
            Self::Records(
                RecordsError::Refused(_)
                | RecordsError::NotNewer { .. }
                | RecordsError::SuccessionOld { .. }
                | RecordsError::Contradicted
                | RecordsError::Store(_)
                | RecordsError::Cut(_),
            )
            | Self::Blobs(_)
            | Self::Catalogue(_)
            | Self::System(_) => (SYSTEM, None),
        }
    }

    /// Whether the disk has no space left, whatever part of the server found that.
    fn is_full(&self) -> bool {
        match self {
            Self::Store(error)
            | Self::Records(RecordsError::Store(error))
            | Self::Catalogue(
                CatalogueError::Store(error) | CatalogueError::Records(RecordsError::Store(error)),
            ) => error.is_full(),
            Self::Blobs(error) | Self::Catalogue(CatalogueError::Blobs(error)) => error.is_full(),
            Self::DataDir(error) => error.is_full(),
            Self::System(error) => is_full(error),
            Self::Config(_)
            | Self::Records(_)
            | Self::Catalogue(_)
            | Self::NoReleaseUnderAnchors { .. }
            | Self::Listen { .. }
            | Self::Clock => false,
        }
    }
}

fn of_data_dir(error: &DataDirError) -> Option<&'static str> {
    match error {
        DataDirError::InUse { .. } => Some("stop the other one, or give this one its own --data"),
        DataDirError::Foreign { .. } => Some("give --data a new or an empty folder; nothing was changed"),
        DataDirError::DatabaseLost { .. } => Some(
            "restore registry.sqlite from a backup; to begin anew, without releases, revocation lists and devices, \
             move `images` away",
        ),
        DataDirError::OtherOwner { .. } => {
            Some("run update-server as that user, or chown it; look what is in it before")
        }
        DataDirError::InTheWay { .. } => {
            Some("move it away, after a look at what it is; nothing was changed")
        }
        DataDirError::WorldWritable { .. } => Some("chmod o-w it, after a look at what is in it"),
        DataDirError::NotADirectory { .. } | DataDirError::Io { .. } => None,
    }
}

fn of_store(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::Newer { .. } => {
            Some("run the update-server that wrote it, or restore a backup from before")
        }
        StoreError::Migration(_) => Some("restore the database from a backup"),
        StoreError::Corrupt { .. }
        | StoreError::Database(_)
        | StoreError::Commit(_)
        | StoreError::Busy
        | StoreError::BrokenOff
        | StoreError::File { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::{FREE_SPACE, StartError};
    use crate::blobs::BlobError;
    use crate::data_dir::DataDirError;
    use crate::domain::catalogue::CatalogueError;
    use crate::domain::records::RecordsError;
    use crate::store::StoreError;

    /// What SQLite says of a database that may not grow.
    async fn full() -> StoreError {
        use sqlx::{ConnectOptions as _, Executor as _};
        let options = sqlx::sqlite::SqliteConnectOptions::new().in_memory(true).pragma("max_page_count", "1");
        let mut connection = options.connect().await.unwrap();
        connection.execute("CREATE TABLE a (b); CREATE TABLE c (d)").await.unwrap_err().into()
    }

    /// Whichever part of the server finds no space: a backup does not help, and the operator is not left alone.
    #[tokio::test]
    async fn a_full_disk_at_the_start_has_the_same_hint_everywhere() {
        let io_error = || io::Error::from(io::ErrorKind::StorageFull);
        let path = || PathBuf::from("images");
        let found: [StartError; 8] = [
            full().await.into(),
            RecordsError::from(full().await).into(),
            CatalogueError::from(full().await).into(),
            CatalogueError::from(RecordsError::from(full().await)).into(),
            BlobError::Folder { path: path(), source: io::ErrorKind::QuotaExceeded.into() }.into(),
            CatalogueError::from(BlobError::Full).into(),
            DataDirError::Io { path: path(), source: io_error() }.into(),
            io_error().into(),
        ];
        for error in found {
            assert_eq!(error.hint(), Some(FREE_SPACE), "{error:?}");
        }
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let other: [StartError; 4] = [
            RecordsError::from(StoreError::Busy).into(),
            BlobError::Folder { path: path(), source: denied() }.into(),
            DataDirError::Io { path: path(), source: denied() }.into(),
            denied().into(),
        ];
        for error in other {
            assert_eq!(error.hint(), None, "{error:?}");
        }
    }
}
