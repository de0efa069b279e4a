//! What `provision` finds on the bus that keeps it from writing.

/// Why a provisioning block is not written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ProvisionConflict {
    /// More than one device without an identity: all of them would become the same one.
    SeveralFactoryDevices(usize),
    /// The device id of the block is not the one of its vendor id and serial: no command would speak to such a device.
    ForeignDeviceId {
        serial: String,
    },
    NodeInUse {
        node: u8,
        serial: String,
    },
    SerialInUse {
        node: u8,
        serial: String,
    },
}

impl ProvisionConflict {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::SeveralFactoryDevices(_) => "several-factory-devices",
            Self::ForeignDeviceId { .. } => "device-id-mismatch",
            Self::NodeInUse { .. } => "node-address-in-use",
            Self::SerialInUse { .. } => "serial-in-use",
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::SeveralFactoryDevices(_) => "Connect only one new device, and run the command again.",
            Self::ForeignDeviceId { .. } => "Make the block again with manifest-tool provision.",
            Self::NodeInUse { .. } => {
                "Disconnect the other device, or ask for a provisioning block with a free node address."
            }
            Self::SerialInUse { .. } => {
                "Check which block belongs to which device: each serial belongs to one device."
            }
        }
    }
}

impl std::fmt::Display for ProvisionConflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SeveralFactoryDevices(count) => {
                write!(
                    f,
                    "{count} devices answer at the node address of the new device, and each would get this identity"
                )
            }
            Self::ForeignDeviceId { serial } => {
                write!(
                    f,
                    "the device id of the block does not belong to its vendor id and its serial {serial}"
                )
            }
            Self::NodeInUse { node, serial } => {
                write!(f, "node address 0x{node:02X} of the block is in use by {serial}")
            }
            Self::SerialInUse { node, serial } => {
                write!(
                    f,
                    "the serial {serial} of the block is in use by the device at node address 0x{node:02X}"
                )
            }
        }
    }
}
