//! The provisioning block in flash (docs/records.md): the identity of the device, and its anchors. Written once, in
//! factory state. A provisioned device whose block is unreadable has no identity and trusts no key.

use embedded_storage::nor_flash::NorFlash;
#[cfg(feature = "loader")]
use suit_manifest::Reason;
#[cfg(feature = "loader")]
use trust::AnchorSet;
use trust::provisioning::MAX_NODE_ADDRESS;

use crate::flash::{Flash, HasLayout};
use crate::layout::PROVISIONING_BLOCK_LEN_MAX;
use crate::stored::{self, DEVICE, Kind};
pub use trust::provisioning::Identity;
#[cfg(feature = "loader")]
pub use trust::provisioning::ProvisioningBlock;

// A block names an address that the bus profile takes.
const _: () = assert!(MAX_NODE_ADDRESS == update_protocol::profile::MAX_NODE_ADDRESS);

/// Reads the identity in the block, and whether the block has anchors.
pub(crate) fn load_identity<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    set: u16,
) -> Option<(Identity, bool)> {
    read(flash, set, Identity::in_front_of)
}

fn read<F: NorFlash, L: HasLayout, T>(
    flash: &mut Flash<F, L>,
    set: u16,
    parse: fn(&[u8]) -> Option<T>,
) -> Option<T> {
    let mut bytes = [0; PROVISIONING_BLOCK_LEN_MAX];
    let len = stored::load(flash, set, (Kind::Provisioning, DEVICE), &mut bytes)?;
    parse(bytes.get(..len)?)
}

/// Whether a block's anchors fit a loader that has its own compiled in, or has not.
#[cfg(feature = "loader")]
pub(crate) fn check_anchors(anchors: &AnchorSet, compiled_in: bool) -> Result<(), Reason> {
    match (compiled_in, anchors.is_empty()) {
        (true, false) => Err(Reason::AnchorCompiledIn),
        (false, true) => Err(Reason::ProvisioningMalformed),
        _ => Ok(()),
    }
}
