//! What is said of a release, beside what is here of it: its signed manifest knows better.

use sqlx::SqliteConnection;
use suit_manifest::host::Envelope;
use trust::Kid;

use crate::domain::installs::Installs;
use crate::domain::registration::Conflict;
use crate::domain::{Digest, Identifier};
use crate::store::StoreError;
use crate::store::releases::stored_release;

/// What comes with the digest of a release.
pub(super) struct Said {
    pub(super) installs: Option<Installs>,
    pub(super) sequence: Option<u64>,
    /// The key that is said to have signed it.
    pub(super) release_kid: Option<Kid>,
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
    let Some(known) = stored_release(&mut *connection, digest).await? else { return Ok(Ok(said.installs)) };
    let (vendor, class, installs) = (known.vendor, known.class, known.target);
    if said.device.is_some_and(|device| device != (vendor, class)) {
        return Ok(Err(Conflict::Release { digest, vendor, class }));
    }
    if let Some(said) = said.installs
        && !installs.covers(said)
    {
        return Ok(Err(Conflict::Target { digest, installs, said }));
    }
    if let Some(said) = said.sequence
        && said != known.sequence
    {
        return Ok(Err(Conflict::Sequence { digest, known: known.sequence, said }));
    }
    if let Some(said) = said.release_kid
        && !is_signed_by(connection, digest, said).await?
    {
        return Ok(Err(Conflict::Signer { digest, said }));
    }
    Ok(Ok(Some(installs)))
}

/// Whether a key signed one of the envelopes that are here of a release: each verified when it came. One that is damaged says nothing.
async fn is_signed_by(
    connection: &mut SqliteConnection,
    release: Digest,
    kid: Kid,
) -> Result<bool, StoreError> {
    let envelopes: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT bytes FROM envelopes WHERE manifest_digest = $1")
            .bind(release.0.to_vec())
            .fetch_all(connection)
            .await?;
    let signer = |bytes: &Vec<u8>| Envelope::parse(bytes).ok()?.claimed_signer().ok();
    Ok(envelopes.iter().any(|bytes| signer(bytes) == Some(kid)))
}
