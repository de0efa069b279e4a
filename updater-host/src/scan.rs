//! The devices on the bus, and the choice of one.

use std::time::Duration;

use crate::cli::Choice;
use crate::connection::{Connection, Trouble};
use crate::device::{Device, OtherUnit, ScanReport};
use crate::error::{Error, nrc_words};
use crate::session::Session;

/// What is being done when a device does not answer here.
pub(crate) const READING: &str = "reading its state";

#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Devices, by node address.
    pub(crate) devices: Vec<Device>,
    /// Nodes that answered the scan and did not identify themselves as supported devices.
    pub(crate) others: Vec<OtherUnit>,
    /// Node addresses that several devices share.
    pub(crate) clashes: Vec<Clash>,
}

/// Several devices at one node address.
#[derive(Debug)]
pub(crate) struct Clash {
    pub(crate) node: u8,
    /// What showed it.
    pub(crate) evidence: String,
    /// It is one device that answers another tester too, whose requests carry this program's identifiers.
    pub(crate) is_twin: bool,
}

impl From<Clash> for Error {
    fn from(Clash { node, evidence, is_twin }: Clash) -> Self {
        if is_twin { Self::AnotherTester { evidence } } else { Self::AddressClash { node, evidence } }
    }
}

impl From<Found> for ScanReport {
    /// A device that answers another program too is one device, and its answers are not to be relied on.
    fn from(Found { devices, mut others, clashes }: Found) -> Self {
        let (twins, clashes): (Vec<_>, Vec<_>) = clashes.into_iter().partition(|clash| clash.is_twin);
        others.extend(twins.into_iter().map(|clash| OtherUnit {
            node: clash.node,
            reason: "another program with the address of this one asks it now".to_owned(),
        }));
        let devices = devices.iter().map(Device::summary).collect();
        Self { devices, others, clashes: clashes.iter().map(|clash| clash.node).collect() }
    }
}

/// How long the first look for a device that was named takes.
const FIRST_LOOK: Duration = Duration::from_millis(150);

/// Finds all devices: one request to all, answers collected for `scan_time`, then each is asked by itself.
///
/// # Errors
/// [`Error::Bus`]
pub(crate) async fn scan(connection: &mut Connection, scan_time: Duration) -> Result<Found, Error> {
    let nodes = connection.nodes(scan_time).await?;
    let mut found = Found::default();
    for node in nodes {
        match read(connection, node).await {
            Ok(device) => match one_device(device) {
                Ok(device) => found.devices.push(device),
                Err(clash) => found.clashes.push(clash),
            },
            Err(trouble @ Trouble::Clash { .. }) => {
                let is_twin = connection.has_twin();
                found.clashes.push(Clash { node, evidence: trouble.to_string(), is_twin });
            }
            Err(Trouble::Bus(error)) => return Err(connection.bus_error(error)),
            // With one pair of identifiers no scan came before: there is no device.
            Err(Trouble::Lost(_)) if !connection.scans() => {}
            Err(trouble) => found.others.push(OtherUnit { node, reason: unknown(&trouble) }),
        }
    }
    Ok(found)
}

/// What is at a node address, and whether it is one device.
async fn read(connection: &mut Connection, node: u8) -> Result<Device, Trouble> {
    let device = read_soon(connection, node).await?;
    Session::new(connection, node).settle().await?;
    Ok(device)
}

/// The same before a slower device has answered, unless the answers make no sense: they may be those of two devices.
async fn read_soon(connection: &mut Connection, node: u8) -> Result<Device, Trouble> {
    let mut session = Session::new(connection, node);
    let device = session.device().await;
    if device.is_err() {
        session.settle().await?;
    }
    device
}

/// The one device at a node address.
async fn read_one(connection: &mut Connection, node: u8) -> Result<Device, Error> {
    let read = read_soon(connection, node).await;
    let device = read.map_err(|trouble| trouble.with(connection, node, READING))?;
    Ok(one_device(device)?)
}

/// A device, unless its answers are those of two.
fn one_device(device: Device) -> Result<Device, Clash> {
    if device.is_one_device() {
        return Ok(device);
    }
    let evidence = format!(
        "the device id {} does not belong to the serial {}",
        uuid::Uuid::from_bytes(device.identity.device),
        device.serial
    );
    Err(Clash { node: device.node, evidence, is_twin: false })
}

/// What is known of a unit that did not identify itself.
fn unknown(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Refused(nrc) => format!("it refuses to identify itself: {}", nrc_words(*nrc)),
        Trouble::Lost(_) => {
            "it answers the scan but no question; its answers may come from another address".to_owned()
        }
        Trouble::Answer(error) => format!("it is not a supported device: {error}"),
        Trouble::Bus(_) | Trouble::Clash { .. } => trouble.to_string(),
    }
}

/// The device a person means: the one with this node address or serial, or else the only one.
///
/// # Errors
/// [`Error::NoDevice`], [`Error::SeveralDevices`], [`Error::SerialNotFound`], [`Error::DeviceSilent`],
/// [`Error::DeviceAnswer`], [`Error::Bus`], and that of a [`Clash`]
pub(crate) async fn choose(
    connection: &mut Connection,
    choice: &Choice,
    scan_time: Duration,
) -> Result<Device, Error> {
    if let Some(node) = choice.node {
        return read_one(connection, node).await;
    }
    let is_named = |device: &Device| {
        choice.serial.as_deref().is_some_and(|serial| device.serial.as_str() == Some(serial))
    };
    if choice.serial.is_some() && connection.scans() {
        // It mostly answers at once; the whole scan waits for those that do not.
        let found = scan(connection, FIRST_LOOK.min(scan_time)).await?;
        if let Some(device) = found.devices.into_iter().find(is_named) {
            return Ok(device);
        }
    }
    let found = scan(connection, scan_time).await?;
    let bus = connection.bus_name();
    if let Some(serial) = &choice.serial {
        let others = found.devices.iter().map(Device::summary).collect();
        if let Some(device) = found.devices.into_iter().find(is_named) {
            return Ok(device);
        }
        // It may be one of those that share an address.
        return Err(match found.clashes.into_iter().next() {
            Some(clash) => clash.into(),
            None => Error::SerialNotFound { serial: serial.clone(), bus, found: others },
        });
    }
    if let Some(clash) = found.clashes.into_iter().next() {
        return Err(clash.into());
    }
    // Only one that is ours counts: on a mixed bus other units answer a scan as well.
    match <[Device; 1]>::try_from(found.devices) {
        Ok([device]) => Ok(device),
        Err(devices) if devices.is_empty() => Err(Error::NoDevice { bus, others: found.others }),
        Err(devices) => Err(Error::SeveralDevices(devices.iter().map(Device::summary).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody is sent to disconnect devices where there is one.
    #[test]
    fn a_device_that_another_program_asks_is_no_second_device() {
        let clash = |node, is_twin| Clash { node, evidence: "e".to_owned(), is_twin };
        let clashes = vec![clash(0x10, true), clash(0x11, false)];
        let report = ScanReport::from(Found { clashes, ..Found::default() });
        assert_eq!(report.clashes, [0x11]);
        let others: Vec<_> = report.others.iter().map(|unit| (unit.node, unit.reason.as_str())).collect();
        assert_eq!(others, [(0x10, "another program with the address of this one asks it now")]);
    }
}
