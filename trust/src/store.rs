//! The trust store of a verifier: anchors, the newest revocation list of each domain, and the time.

use crate::UnixTime;
use crate::anchor::{Anchor, Domain, Rights};
use crate::cbor::Uint;
use crate::revocation::RevocationList;
use crate::scope::Role;

#[cfg(feature = "host")]
mod owned;

#[cfg(feature = "host")]
pub use owned::{Held, TrustStoreBuf};

/// The trust store of a verifier, borrowed for one decision. Programs with a heap keep a `TrustStoreBuf` (feature
/// `host`).
///
/// Every [`RevocationList`] is verified, so the store contains no other list.
#[derive(Clone, Copy, Debug)]
pub struct TrustStore<'a> {
    anchors: &'a [Anchor],
    lists: &'a [RevocationList<'a>],
    now: Option<Uint>,
    boots: bool,
}

impl<'a> TrustStore<'a> {
    /// Anchors, without a revocation list and without a clock.
    #[must_use]
    pub const fn new(anchors: &'a [Anchor]) -> Self {
        Self { anchors, lists: &[], now: None, boots: false }
    }

    /// With these revocation lists, in any order: the newest of each domain counts.
    #[must_use]
    pub const fn with_lists(self, lists: &'a [RevocationList<'a>]) -> Self {
        Self { lists, ..self }
    }

    /// At this time; without one, the times in credentials are not checked.
    #[must_use]
    pub const fn at(self, now: UnixTime) -> Self {
        Self { now: Some(Uint::of(now.0)), ..self }
    }

    /// To boot an image that was installed before: an anchor with the right *boot* suffices.
    #[must_use]
    pub const fn to_boot(self) -> Self {
        Self { boots: true, ..self }
    }

    /// The anchors.
    #[must_use]
    pub const fn anchors(&self) -> &'a [Anchor] {
        self.anchors
    }

    /// The time, if the verifier has a clock.
    #[must_use]
    pub fn now(&self) -> Option<UnixTime> {
        self.now.map(|now| UnixTime(now.get()))
    }

    /// The newest revocation list of a domain.
    #[must_use]
    pub fn list_of(&self, domain: Domain) -> Option<&'a RevocationList<'a>> {
        let of_domain = self.lists.iter().filter(|list| list.domain() == domain);
        of_domain.max_by_key(|list| list.sequence())
    }

    /// One of these rights certifies a key for `role`.
    pub(crate) const fn right_to_certify(&self, role: Role) -> Rights {
        let right = Rights::to_certify(role);
        match role {
            Role::Release if self.boots => right.and(Rights::BOOT),
            _ => right,
        }
    }
}
