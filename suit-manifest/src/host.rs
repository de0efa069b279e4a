//! The decoder as tool, server and host run it: they take what any device of the project takes, so that a release for
//! devices that decrypt is judged by the code of such a device (docs/decisions/0096).

use trust::{Authority, Kid};

use crate::envelope::{AuthenticatedOf, EnvelopeOf};
use crate::error::Error;
use crate::manifest::ManifestOf;
use crate::profile::Decrypting;

/// The outer structure of a SUIT envelope.
pub type Envelope<'a> = EnvelopeOf<'a, Decrypting>;
/// A manifest whose signature and digest hold.
pub type Authenticated<'a, A = Authority<'a>> = AuthenticatedOf<'a, Decrypting, A>;
/// The manifest of an authenticated envelope.
pub type Manifest<'a> = ManifestOf<'a, Decrypting>;

/// A manifest that a device authenticates with a key that only it and its maker have: **for whoever passes it on, nothing of
/// it is authenticated**. Its digest holds, and it is well-formed as a whole.
#[derive(Clone, Debug)]
pub struct Unproven<'a> {
    manifest: Manifest<'a>,
    digest: [u8; 32],
    kid: Option<Kid>,
}

impl<'a> Unproven<'a> {
    /// Reads an envelope with a COSE_Mac0.
    ///
    /// # Errors
    /// Those of [`EnvelopeOf::claimed_device_key`]; of [`EnvelopeOf::authenticate_with`] but for the MAC.
    pub fn read(envelope: &Envelope<'a>) -> Result<Self, Error> {
        let kid = envelope.claimed_device_key()?;
        envelope.check_manifest_digest()?;
        let manifest = Manifest::read(envelope, None)?;
        Ok(Self { manifest, digest: *envelope.digest().sha256(), kid })
    }

    /// The manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// SHA-256 over the bstr-wrapped manifest: the identity of the release.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// kid of the device's key, if the MAC names one.
    #[must_use]
    pub const fn kid(&self) -> Option<Kid> {
        self.kid
    }
}
