//! The provisioning block in flash (docs/records.md): the identity of the device, and its anchors. Written once, in
//! factory state. A provisioned device whose block is unreadable has no identity and trusts no key.

use embedded_storage::nor_flash::NorFlash;
#[cfg(feature = "loader")]
use suit_manifest::{Reason, profile::Installs as _};
#[cfg(feature = "loader")]
use trust::device_keys::DeviceKeys;
use trust::provisioning::MAX_NODE_ADDRESS;

use crate::flash::{Flash, HasLayout};
use crate::layout::PROVISIONING_BLOCK_LEN_MAX;
use crate::stored::{self, DEVICE, Kind};
#[cfg(feature = "loader")]
use crate::{anchor, authority::Authenticates as _, refusal::Refusal, reporting::Reports as _};
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

/// Whether blocks of such a loader have keys.
#[cfg(feature = "loader")]
const fn takes_keys<L: HasLayout>() -> bool {
    L::Profile::DECRYPTS || !L::Authority::HAS_ANCHORS || L::Reports::REPORTS
}

/// Reads a block, without its keys.
#[cfg(feature = "loader")]
pub(crate) fn parse<L: HasLayout>(block: &[u8]) -> Result<ProvisioningBlock, trust::Error> {
    if takes_keys::<L>() {
        L::Authority::read_block(block).map(|(block, _)| block)
    } else {
        ProvisioningBlock::parse(block)
    }
}

/// A buffer that held a block is needed for something else.
#[cfg(feature = "loader")]
pub(crate) fn wipe<L: HasLayout>(buffer: &mut [u8]) {
    if takes_keys::<L>() {
        buffer.fill(0);
        // The buffer is read by somebody, as far as the compiler knows.
        core::hint::black_box(buffer);
    }
}

/// The keys of the device. The buffer holds at least a block.
#[cfg(feature = "loader")]
#[inline(never)]
pub(crate) fn keys<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    set: u16,
    buffer: &mut [u8],
) -> Result<DeviceKeys, Refusal> {
    let len = stored::load(flash, set, (Kind::Provisioning, DEVICE), buffer);
    let block = len.and_then(|len| buffer.get(..len)).ok_or(Refusal::of(Reason::ProvisioningMalformed))?;
    let read = L::Authority::read_block(block);
    wipe::<L>(buffer);
    Ok(read?.1)
}

/// Whether a block's anchors fit a loader that has its own compiled in, or has not, or is to have none.
#[cfg(feature = "loader")]
pub(crate) fn check_anchors<L: HasLayout>(block: &ProvisioningBlock) -> Result<(), Reason> {
    match (anchor::IS_COMPILED_IN, block.anchors.is_empty()) {
        _ if !L::Authority::HAS_ANCHORS => Ok(()),
        (true, false) => Err(Reason::AnchorCompiledIn),
        (false, true) => Err(Reason::ProvisioningMalformed),
        _ => Ok(()),
    }
}
