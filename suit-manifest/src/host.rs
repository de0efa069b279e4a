//! The decoder as tool, server and host run it: they take what any device of the project takes, so that a release for
//! devices that decrypt is judged by the code of such a device (docs/decisions/0096).

use trust::Authority;

use crate::envelope::{AuthenticatedOf, EnvelopeOf};
use crate::manifest::ManifestOf;
use crate::profile::Decrypting;

/// The outer structure of a SUIT envelope.
pub type Envelope<'a> = EnvelopeOf<'a, Decrypting>;
/// A manifest whose signature and digest hold.
pub type Authenticated<'a, A = Authority<'a>> = AuthenticatedOf<'a, Decrypting, A>;
/// The manifest of an authenticated envelope.
pub type Manifest<'a> = ManifestOf<'a, Decrypting>;
