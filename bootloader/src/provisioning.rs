//! The provisioning block in flash (docs/records.md): the identity of the device, and its anchors. Written once, in
//! factory state. A provisioned device whose block is unreadable has no identity and trusts no key.

use embedded_storage::nor_flash::NorFlash;
#[cfg(feature = "loader")]
use suit_manifest::Reason;
#[cfg(feature = "loader")]
use trust::AnchorSet;
use trust::provisioning::MAX_NODE_ADDRESS;

use crate::flash::Flash;
#[cfg(feature = "loader")]
use crate::flash::FlashError;
use crate::layout::{Area, PROVISIONING_BLOCK_LEN_MAX};
use crate::stored::{self, Found, Kind};
pub use trust::provisioning::{Identity, ProvisioningBlock};

// A block names an address that the bus profile takes.
const _: () = assert!(MAX_NODE_ADDRESS == update_protocol::profile::MAX_NODE_ADDRESS);

/// Reads the block in flash; `None` when none was ever written whole, or it no longer reads.
pub fn load<F: NorFlash>(flash: &mut Flash<F>) -> Option<ProvisioningBlock> {
    let mut block = [0; PROVISIONING_BLOCK_LEN_MAX];
    match stored::read(flash, Area::Provisioning, 0, Kind::Provisioning, &mut block) {
        Found::Record { len, .. } => ProvisioningBlock::parse(block.get(..len)?).ok(),
        Found::Nothing | Found::Damaged => None,
    }
}

/// Writes a block that was parsed, over whatever a cut may have left there.
#[cfg(feature = "loader")]
pub(crate) fn store<F: NorFlash>(flash: &mut Flash<F>, block: &[u8]) -> Result<(), FlashError> {
    flash.erase_area(Area::Provisioning)?;
    stored::write(flash, Area::Provisioning, 0, (Kind::Provisioning, [0; 8]), block)
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
