//! Every command except `update`: each asks one device for one thing.

mod revocations;

pub(crate) use revocations::revocations;

use std::time::Duration;

use can_bus::Flow;
use serde::Serialize;
use suit_manifest::reason::Reason;
use trust::host::device_id;
use trust::provisioning::{Identity, ProvisioningBlock};
use update_protocol::profile::{DEFAULT_NODE_ADDRESS, ImageState, MAX_PROVISIONING_BLOCK_LEN, Mode, Object};

use crate::cli::{Choice, Cli, Provision};
use crate::connection::{Connection, Trouble};
use crate::device::{Device, DeviceTrust, InfoReport, ScanReport};
use crate::error::{Error, Moment, ProvisionConflict, Subject};
use crate::files;
use crate::interrupt::Interrupt;
use crate::output::{Output, Report};
use crate::restart::await_answer;
use crate::scan::{self, READING, choose};
use crate::session::{PROGRAMMING, Reset, Session};

/// # Errors
/// [`Error::Bus`], [`Error::NoDevice`]
pub(crate) async fn scan(cli: &Cli) -> Result<ScanReport, Error> {
    let mut connection = Connection::open(cli).await?;
    let found = scan::scan(&mut connection, cli.scan_time).await?;
    if found.devices.is_empty() && found.others.is_empty() && found.clashes.is_empty() {
        return Err(Error::NoDevice { bus: connection.bus_name(), others: Vec::new() });
    }
    Ok(ScanReport {
        devices: found.devices.iter().map(Device::summary).collect(),
        others: found.others,
        clashes: found.clashes.iter().map(|clash| clash.node).collect(),
    })
}

/// # Errors
/// Those of [`choose`]
pub(crate) async fn info(cli: &Cli, choice: &Choice) -> Result<InfoReport, Error> {
    let mut connection = Connection::open(cli).await?;
    let device = choose(&mut connection, choice, cli.scan_time).await?;
    settle(&mut connection, device.node).await?;
    Ok(InfoReport::new(&device))
}

/// Result of a command that changes one thing.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    result: &'static str,
    serial: String,
    node: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    list_sequence: Option<u64>,
    #[serde(skip)]
    words: String,
}

impl Done {
    fn new(result: &'static str, device: &Device, list_sequence: Option<u64>, words: String) -> Self {
        Self { result, serial: device.serial.to_string(), node: device.node, list_sequence, words }
    }
}

impl Report for Done {
    fn lines(&self) -> String {
        self.words.clone()
    }

    fn is_change(&self) -> bool {
        true
    }
}

/// # Errors
/// [`Error::Refused`] for a block that cannot be read and for a device that is provisioned already,
/// [`Error::DeviceRefused`], those of [`choose`]
pub(crate) async fn provision(
    cli: &Cli,
    options: &Provision,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Done, Error> {
    let block = files::read(&options.block, MAX_PROVISIONING_BLOCK_LEN.into())?;
    let identity = ProvisioningBlock::parse(&block)
        .map_err(|error| refused(Reason::of_provisioning(error.kind), error.position))?
        .identity;
    if device_id(identity.vendor, identity.serial()) != identity.device {
        let serial = identity.serial().to_owned();
        return Err(Error::ProvisionConflict(ProvisionConflict::ForeignDeviceId { serial }));
    }
    let found = async {
        let mut connection = Connection::open(cli).await?;
        let device = look_around(&mut connection, options, &identity, cli.scan_time, output).await?;
        Ok((connection, device))
    };
    let (mut connection, device) = interrupt.or(Moment::BeforeTransfer, found).await?;
    output.step("provisioning");
    enter(&mut connection, device.node).await?;
    give(&mut connection, device.node, Object::ProvisioningBlock, &block, Subject::ProvisioningBlock).await?;
    // The device answers at its own node address from the next start on. If it has not heard this, it starts anew when
    // its session expires.
    let _ = reset(&mut connection, device.node).await?;
    back(&mut connection, identity.node_address, cli, interrupt).await?;
    let provisioned = read(&mut connection, identity.node_address).await?;
    if provisioned.serial.as_str() != Some(identity.serial()) {
        return Err(Error::DeviceChanged {
            expected: identity.serial().to_owned(),
            found: provisioned.serial.to_string(),
        });
    }
    let words = format!("{} is provisioned, node 0x{:02X}.", provisioned.serial, provisioned.node);
    Ok(Done::new("provisioned", &provisioned, None, words))
}

/// The one device on the bus that has no identity yet, if nothing else has what the block gives it. Devices without an
/// identity share a node address and take every frame together, so they are counted before one is spoken to.
async fn look_around(
    connection: &mut Connection,
    options: &Provision,
    identity: &Identity,
    scan_time: Duration,
    output: &Output,
) -> Result<Device, Error> {
    output.step("looking for other devices");
    let conflict = |conflict| Err(Error::ProvisionConflict(conflict));
    let blank_node = options.node.unwrap_or(DEFAULT_NODE_ADDRESS);
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
    let blank = |device: &Device| {
        device.state.mode == Mode::Factory && options.node.is_none_or(|node| device.node == node)
    };
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

/// list-sequence of the one domain whose list changed; `None` if the device does not report its domains.
fn changed_sequence(before: Option<DeviceTrust>, after: Option<DeviceTrust>) -> Option<u64> {
    let before = before?.domains;
    after?.domains.into_iter().find(|domain| !before.contains(domain)).map(|domain| domain.list_sequence)
}

/// # Errors
/// [`Error::DeviceRefused`], those of [`choose`]
pub(crate) async fn abandon(
    cli: &Cli,
    choice: &Choice,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Done, Error> {
    const ABANDON: &str = "abandoning the install";
    let (mut connection, device) = reach(cli, choice, interrupt).await?;
    let words = format!("{} has no install in progress; its active image is unchanged.", device.serial);
    // An application is not interrupted for nothing.
    let idle = device.state.image != ImageState::Pending && !device.state.flags.resumable;
    if idle && device.state.mode == Mode::Application {
        return Ok(Done::new("nothing-to-abandon", &device, None, words));
    }
    if device.state.image == ImageState::Trial {
        output.warn("on-trial", "the device has not confirmed its active image; this command reverts it");
    }
    output.step("abandon");
    enter(&mut connection, device.node).await?;
    let mut session = Session::new(&mut connection, device.node);
    let abandoned = session.abandon().await;
    // Whether it hears us does not change the result: its session expires.
    let _ = session.reset().await;
    abandoned.map_err(|trouble| trouble.with(&connection, device.node, ABANDON))?;
    back_with_a_result(&mut connection, device.node, cli, interrupt).await?;
    Ok(Done::new("abandoned", &device, None, words))
}

/// # Errors
/// Those of [`choose`], [`Error::DeviceSilent`]
pub(crate) async fn restart(
    cli: &Cli,
    choice: &Choice,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<InfoReport, Error> {
    let (mut connection, device) = reach(cli, choice, interrupt).await?;
    settle(&mut connection, device.node).await?;
    output.step("reset");
    if reset(&mut connection, device.node).await? == Reset::Lost {
        return Err(connection.silent(
            device.node,
            "the reset",
            "the answer to the reset was lost".to_owned(),
        ));
    }
    back(&mut connection, device.node, cli, interrupt).await?;
    Ok(InfoReport::new(&read(&mut connection, device.node).await?))
}

/// The device that a command is for. Up to here a command may end at any time; from here on it ends what it begins in a
/// session, since a device that is left in one stays away from its application until the session expires.
async fn reach(cli: &Cli, choice: &Choice, interrupt: &Interrupt) -> Result<(Connection, Device), Error> {
    let found = async {
        let mut connection = Connection::open(cli).await?;
        let device = choose(&mut connection, choice, cli.scan_time).await?;
        Ok((connection, device))
    };
    interrupt.or(Moment::BeforeTransfer, found).await
}

/// Waits until a device that resets answers again.
async fn back(connection: &mut Connection, node: u8, cli: &Cli, interrupt: &Interrupt) -> Result<(), Error> {
    interrupt.or(Moment::Command, await_answer(connection, node, cli.patience)).await
}

/// The same where the result is known: Ctrl-C does not change it.
async fn back_with_a_result(
    connection: &mut Connection,
    node: u8,
    cli: &Cli,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    match back(connection, node, cli, interrupt).await {
        Err(Error::Interrupted(_)) => Ok(()),
        outcome => outcome,
    }
}

/// Opens a programming session. An application that refuses continues undisturbed.
async fn enter(connection: &mut Connection, node: u8) -> Result<(), Error> {
    settle(connection, node).await?;
    let opened = Session::new(connection, node).open_programming().await;
    opened.map_err(|trouble| trouble.with(connection, node, PROGRAMMING))
}

/// A device that shares its node address is not touched, and not mixed with another in a report.
async fn settle(connection: &mut Connection, node: u8) -> Result<(), Error> {
    let settled = Session::new(connection, node).settle().await;
    settled.map_err(|trouble| trouble.with(connection, node, READING))
}

async fn trust(connection: &mut Connection, node: u8) -> Result<Option<DeviceTrust>, Error> {
    let trust = Session::new(connection, node).trust().await;
    trust.map_err(|trouble| trouble.with(connection, node, READING))
}

/// Sends an object in a programming session. After a refusal the device returns to its application.
async fn give(
    connection: &mut Connection,
    node: u8,
    object: Object,
    bytes: &[u8],
    subject: Subject,
) -> Result<(), Error> {
    let mut session = Session::new(connection, node);
    match session.download(object, bytes, |_| Flow::Continue).await {
        Ok(_) => Ok(()),
        Err(Trouble::Refused(nrc)) => {
            let refusal = session.refusal(subject, nrc).await;
            // Whether it hears us does not change the result.
            let _ = session.reset().await;
            Err(Error::DeviceRefused(refusal))
        }
        Err(trouble) => Err(trouble.with(connection, node, "a download")),
    }
}

async fn reset(connection: &mut Connection, node: u8) -> Result<Reset, Error> {
    let reset = Session::new(connection, node).reset().await;
    reset.map_err(|trouble| trouble.with(connection, node, "the reset"))
}

async fn read(connection: &mut Connection, node: u8) -> Result<Device, Error> {
    let read = Session::new(connection, node).device().await;
    read.map_err(|trouble| trouble.with(connection, node, READING))
}
