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
use crate::layout::{Area, Half, PROVISIONING_BLOCK_LEN_MAX};
use crate::stored::{self, Found, Kind};
pub use trust::provisioning::{Identity, ProvisioningBlock};

// A block names an address that the bus profile takes.
const _: () = assert!(MAX_NODE_ADDRESS == update_protocol::profile::MAX_NODE_ADDRESS);

/// Reads the block in flash, the first copy that is whole; `None` when none was ever written whole, or none reads.
pub fn load<F: NorFlash>(flash: &mut Flash<F>) -> Option<ProvisioningBlock> {
    [Half::First, Half::Second].into_iter().find_map(|half| {
        let mut bytes = [0; PROVISIONING_BLOCK_LEN_MAX];
        let len = copy_in(flash, half, &mut bytes)?;
        ProvisioningBlock::parse(bytes.get(..len)?).ok()
    })
}

/// Length of the copy in a half.
fn copy_in<F: NorFlash>(
    flash: &mut Flash<F>,
    half: Half,
    bytes: &mut [u8; PROVISIONING_BLOCK_LEN_MAX],
) -> Option<usize> {
    match stored::read(flash, Area::Provisioning(half), 0, Kind::Provisioning, bytes) {
        Found::Record { len, .. } => Some(len),
        Found::Nothing | Found::Damaged => None,
    }
}

/// Writes a block that was parsed, over whatever a cut may have left there: twice, each read back.
#[cfg(feature = "loader")]
pub(crate) fn store<F: NorFlash>(flash: &mut Flash<F>, block: &[u8]) -> Result<(), FlashError> {
    [Half::First, Half::Second].into_iter().try_for_each(|half| store_in(flash, half, block))
}

#[cfg(feature = "loader")]
fn store_in<F: NorFlash>(flash: &mut Flash<F>, half: Half, block: &[u8]) -> Result<(), FlashError> {
    flash.erase_area(Area::Provisioning(half))?;
    stored::write(flash, Area::Provisioning(half), 0, (Kind::Provisioning, [0; 8]), block)?;
    let mut bytes = [0; PROVISIONING_BLOCK_LEN_MAX];
    let len = copy_in(flash, half, &mut bytes).ok_or(FlashError::NotProgrammed)?;
    if bytes.get(..len) == Some(block) { Ok(()) } else { Err(FlashError::NotProgrammed) }
}

/// Writes the copy again that does not read. The journal has the block as final, so both were the same.
#[cfg(feature = "loader")]
pub(crate) fn mend<F: NorFlash>(flash: &mut Flash<F>) -> Result<(), FlashError> {
    let mut bytes = [0; PROVISIONING_BLOCK_LEN_MAX];
    for half in [Half::First, Half::Second] {
        if copy_in(flash, half, &mut bytes).is_none()
            && let Some(len) = copy_in(flash, half.other(), &mut bytes)
        {
            store_in(flash, half, bytes.get(..len).ok_or(FlashError::OutOfArea)?)?;
        }
    }
    Ok(())
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
