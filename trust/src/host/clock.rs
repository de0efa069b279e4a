//! A clock that cannot be right.

use crate::{CredentialClaims, UnixTime};

/// The warning of a program whose clock is before the time at which a credential was issued: such a clock finds no
/// credential expired.
#[must_use]
pub fn clock_warning(credential: &CredentialClaims<'_>, now: UnixTime) -> Option<&'static str> {
    (now < credential.issued_at()).then_some(
        "the clock is before the time at which the release's credential was issued; set the clock, because an expired \
         credential would pass",
    )
}
