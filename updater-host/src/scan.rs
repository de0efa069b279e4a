//! Who is on the bus, and which one a person means.

use crate::cli::Choice;
use crate::connection::{Connection, Trouble};
use crate::device::{Device, OtherUnit};
use crate::error::{Error, nrc_words};
use crate::session::Session;
use std::time::Duration;

/// What is being done when a device does not answer here.
const READING: &str = "reading its state";

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Devices, by node address.
    pub(crate) devices: Vec<Device>,
    /// Nodes that answered the scan, and then not what is asked of a device of ours.
    pub(crate) others: Vec<OtherUnit>,
    /// Node addresses that several devices share.
    pub(crate) clashes: Vec<u8>,
}

/// Finds all devices: one request to all, answers collected for `scan_time`, then each is asked by itself.
///
/// # Errors
/// [`Error::Bus`]
pub(crate) async fn scan(connection: &mut Connection, scan_time: Duration) -> Result<Found, Error> {
    let mut found = Found::default();
    let nodes = connection.nodes(scan_time).await?;
    for node in nodes {
        match Session::new(connection, node).device().await {
            Ok(device) => found.devices.push(device),
            Err(Trouble::Bus(error)) => return Err(connection.bus_error(error)),
            // Nobody was heard of, and nobody answers.
            Err(Trouble::Lost(_)) if !connection.scans() => {}
            Err(trouble) => found.others.push(OtherUnit { node, reason: unknown(&trouble) }),
        }
    }
    Ok(found)
}

/// What is known of a unit that did not identify itself.
fn unknown(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Refused(nrc) => format!("it refuses to identify itself: {}", nrc_words(*nrc)),
        Trouble::Lost(_) => {
            "it answers the scan and then no question; its answers may come from another address".to_owned()
        }
        Trouble::Answer(error) => format!("it is not one of ours: {error}"),
        Trouble::Bus(error) => error.to_string(),
    }
}

/// The device a person means: the one with this node address or serial, or else the only one.
///
/// # Errors
/// [`Error::NoDevice`], [`Error::SeveralDevices`], [`Error::SerialNotFound`], [`Error::DeviceSilent`],
/// [`Error::DeviceAnswer`], [`Error::Bus`]
pub(crate) async fn choose(
    connection: &mut Connection,
    choice: &Choice,
    scan_time: Duration,
) -> Result<Device, Error> {
    if let Some(node) = choice.node {
        let read = Session::new(connection, node).device().await;
        return read.map_err(|trouble| trouble.with(connection, node, READING));
    }
    let found = scan(connection, scan_time).await?;
    let bus = connection.bus_name();
    if let Some(serial) = &choice.serial {
        let chosen = found.devices.into_iter().find(|device| device.serial.as_str() == Some(serial));
        return chosen.ok_or_else(|| Error::SerialNotFound { serial: serial.clone(), bus });
    }
    // Only one that is ours counts: on a mixed bus other units answer a scan as well.
    match <[Device; 1]>::try_from(found.devices) {
        Ok([device]) => Ok(device),
        Err(devices) if devices.is_empty() => Err(Error::NoDevice { bus, others: found.others }),
        Err(devices) => Err(Error::SeveralDevices(devices.iter().map(Device::summary).collect())),
    }
}
