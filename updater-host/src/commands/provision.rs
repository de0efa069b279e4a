//! `provision`: gives the one new device on the bus its identity. The production line writes its blocks here, too.

use std::path::Path;
use std::time::Duration;

use suit_manifest::reason::Reason;
use trust::host::device_id;
use trust::provisioning::{Identity, ProvisioningBlock};
use update_protocol::profile::{DEFAULT_NODE_ADDRESS, MAX_PROVISIONING_BLOCK_LEN, Mode, Object};

use super::{Done, back, enter, give, read, reset};
use crate::cli::Cli;
use crate::connection::Connection;
use crate::device::Device;
use crate::error::{Error, Moment, ProvisionConflict, Subject};
use crate::files;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::scan;

/// A provisioning block that a loader takes, as far as a host can tell.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) content: ProvisioningBlock,
}

impl Block {
    /// # Errors
    /// [`Error::Refused`], [`Error::ProvisionConflict`], those of [`files::read_file`]
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = files::read_file(path, MAX_PROVISIONING_BLOCK_LEN.into())?;
        // Whether the device has a use for keys, it says itself.
        let (content, _keys) = ProvisioningBlock::parse_with_keys(&bytes)
            .map_err(|error| refused(Reason::of_provisioning(error.kind), error.position))?;
        let identity = &content.identity;
        if device_id(identity.vendor, identity.serial()) != identity.device {
            let serial = identity.serial().to_owned();
            return Err(Error::ProvisionConflict(ProvisionConflict::ForeignDeviceId { serial }));
        }
        Ok(Self { bytes, content })
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.content.identity
    }
}

/// # Errors
/// [`Error::Refused`] for a block that cannot be read and for a device that is provisioned already,
/// [`Error::DeviceRefused`], those of [`scan::choose`]
pub(crate) async fn provision(
    cli: &Cli,
    block: &Path,
    node: Option<u8>,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Done, Error> {
    let block = Block::read(block)?;
    let found = async {
        let mut connection = Connection::open(cli).await?;
        let device = look_around(&mut connection, node, block.identity(), cli.scan_time, output).await?;
        Ok((connection, device))
    };
    let (mut connection, device) = interrupt.or(Moment::BeforeTransfer, found).await?;
    let provisioned = write(&mut connection, device.node, &block, cli, output, interrupt).await?;
    let words = format!("{} is provisioned, node 0x{:02X}.", provisioned.serial, provisioned.node);
    Ok(Done::new("provisioned", &provisioned, None, words))
}

/// Gives a device in factory state its block, and reads what it says of itself after its next start.
///
/// # Errors
/// [`Error::DeviceRefused`], [`Error::DeviceChanged`], those of a device that is lost
pub(super) async fn write(
    connection: &mut Connection,
    node: u8,
    block: &Block,
    cli: &Cli,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Device, Error> {
    let identity = block.identity();
    output.step("provisioning");
    enter(connection, node).await?;
    give(connection, node, Object::ProvisioningBlock, &block.bytes, Subject::ProvisioningBlock).await?;
    // The device answers at its own node address from the next start on. If it has not heard this, it starts anew when
    // its session expires.
    let _ = reset(connection, node).await?;
    back(connection, identity.node_address, cli, interrupt).await?;
    let provisioned = read(connection, identity.node_address).await?;
    if provisioned.serial.as_str() != Some(identity.serial()) {
        return Err(Error::DeviceChanged {
            expected: identity.serial().to_owned(),
            found: provisioned.serial.to_string(),
        });
    }
    Ok(provisioned)
}

/// The one device on the bus that has no identity yet, if nothing else has what the block gives it. Devices without an
/// identity share a node address and take every frame together, so they are counted before one is spoken to.
///
/// # Errors
/// [`Error::ProvisionConflict`], [`Error::AddressClash`], [`Error::NoDevice`], [`Error::SeveralDevices`],
/// [`Error::Refused`] if no device is in factory state
pub(super) async fn look_around(
    connection: &mut Connection,
    blank_node: Option<u8>,
    identity: &Identity,
    scan_time: Duration,
    output: &Output,
) -> Result<Device, Error> {
    output.step("looking for other devices");
    let conflict = |conflict| Err(Error::ProvisionConflict(conflict));
    let named = blank_node;
    let blank_node = named.unwrap_or(DEFAULT_NODE_ADDRESS);
    let tags = connection.count_factory_devices(blank_node).await?;
    let answers = connection.count_answers(blank_node).await?;
    if tags > 1 || tags == 1 && answers > 1 {
        return conflict(ProvisionConflict::SeveralFactoryDevices(tags.max(answers)));
    }
    if answers > 1 {
        let evidence = format!("{answers} answers came to one question");
        return Err(Error::AddressClash { node: blank_node, evidence });
    }
    let found = scan::scan(connection, scan_time).await?;
    if let Some(device) = found.devices.iter().find(|device| device.node == blank_node) {
        device.check_identity()?;
    }
    let node = identity.node_address;
    for device in found.devices.iter().filter(|device| device.state.mode != Mode::Factory) {
        let serial = device.serial.to_string();
        if serial == identity.serial() && device.node != blank_node {
            return conflict(ProvisionConflict::SerialInUse { node: device.node, serial });
        }
        if device.node == node && node != blank_node {
            return conflict(ProvisionConflict::NodeInUse { node, serial });
        }
    }
    if node != blank_node
        && (found.clashes.iter().any(|clash| clash.node == node)
            || found.others.iter().any(|unit| unit.node == node))
    {
        return conflict(ProvisionConflict::NodeInUse { node, serial: "another unit".to_owned() });
    }
    if let Some(clash) = found.clashes.into_iter().find(|clash| clash.node == blank_node) {
        return Err(clash.into());
    }
    if found.devices.is_empty() {
        return Err(Error::NoDevice { bus: connection.bus_name(), others: found.others });
    }
    let blank =
        |device: &Device| device.state.mode == Mode::Factory && named.is_none_or(|node| device.node == node);
    let blank: Vec<Device> = found.devices.into_iter().filter(blank).collect();
    match <[Device; 1]>::try_from(blank) {
        Ok([device]) => Ok(device),
        Err(blank) if blank.is_empty() => Err(refused(Reason::AlreadyProvisioned, 0)),
        Err(blank) => Err(Error::SeveralDevices(blank.iter().map(Device::summary).collect())),
    }
}

fn refused(reason: Reason, position: u32) -> Error {
    Error::Refused { subject: Subject::ProvisioningBlock, reason, position, facts: None }
}
