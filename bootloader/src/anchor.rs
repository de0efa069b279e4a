//! The anchors of the loader: the one that was compiled in (`ANCHOR=file` at build time, checked by build.rs), or
//! those of the provisioning block (feature `provisioned-anchor`). A release build has exactly one of the two.

use trust::{Anchor, AnchorSet, PublicKey};

mod compiled_in {
    include!(concat!(env!("OUT_DIR"), "/anchor.rs"));
}

/// Whether this build has its anchor compiled in.
pub const IS_COMPILED_IN: bool = compiled_in::ANCHOR.is_some();

/// The anchors that a device begins with: the compiled-in one if there is one, else those of the provisioning block.
///
/// build.rs has checked the compiled-in key; a key that did not decode here would leave the device without anchors.
pub(crate) fn effective(provisioned: &AnchorSet) -> AnchorSet {
    match compiled_in::ANCHOR {
        Some(key) => PublicKey::from_bytes(&key)
            .and_then(|key| AnchorSet::of(&[Anchor::root(key)]))
            .unwrap_or(AnchorSet::EMPTY),
        None => *provisioned,
    }
}
