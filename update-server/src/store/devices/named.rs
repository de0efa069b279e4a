//! What is said of a release, beside what is here of it: its signed manifest knows better.

use sqlx::SqliteConnection;

use crate::domain::installs::Installs;
use crate::domain::registration::Conflict;
use crate::domain::{Digest, Identifier};
use crate::store::StoreError;
use crate::store::releases::stored_release;

/// What comes with the digest of a release.
pub(super) struct Said {
    pub(super) installs: Option<Installs>,
    pub(super) sequence: Option<u64>,
    /// Vendor and class of the device that is said to have it.
    pub(super) device: Option<(Identifier, Identifier)>,
}

/// What a release installs: its manifest tells where it is here, else what is said. `None`: nobody says. A release that is here and
/// is another one than is said, or for other devices, is a [`Conflict`].
pub(super) async fn compared(
    connection: &mut SqliteConnection,
    digest: Digest,
    said: Said,
) -> Result<Result<Option<Installs>, Conflict>, StoreError> {
    let Some(known) = stored_release(connection, digest).await? else { return Ok(Ok(said.installs)) };
    let (vendor, class, installs) = (known.vendor, known.class, known.target);
    if said.device.is_some_and(|device| device != (vendor, class)) {
        return Ok(Err(Conflict::Release { digest, vendor, class }));
    }
    if let Some(said) = said.installs
        && !installs.covers(said)
    {
        return Ok(Err(Conflict::Target { digest, installs, said }));
    }
    match said.sequence {
        Some(said) if said != known.sequence => {
            Ok(Err(Conflict::Sequence { digest, known: known.sequence, said }))
        }
        _ => Ok(Ok(Some(installs))),
    }
}
