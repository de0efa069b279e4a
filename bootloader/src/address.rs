//! The node address of the device, read in this one place, so that a later source of it is added once.

use trust::provisioning::Identity;
use update_protocol::profile::DEFAULT_NODE_ADDRESS;

/// The node address of a device with this identity; a device in factory state has none.
pub(crate) fn node_address(identity: Option<&Identity>) -> u8 {
    identity.map_or(DEFAULT_NODE_ADDRESS, |identity| identity.node_address)
}
