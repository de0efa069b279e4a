//! Words for a technician, who can check power, bus and state of the machine, and call the manufacturer with a code.

use suit_manifest::reason::Reason;
use update_protocol::uds::Nrc;

use super::{DeviceRefusal, Subject};
use crate::device::{DeviceSummary, OtherUnit, reason_slug};
use crate::text::printable;

/// A component slot in words.
#[must_use]
pub(crate) fn slot_name(second_slot: bool) -> &'static str {
    if second_slot { "second" } else { "first" }
}

/// What a device means by a negative answer, in a clause that follows "the device refused ...".
#[must_use]
pub(crate) fn nrc_words(nrc: Nrc) -> String {
    let words = match nrc {
        Nrc::CONDITIONS_NOT_CORRECT => "it is not in a state that allows this",
        Nrc::SECURITY_ACCESS_DENIED | Nrc::AUTHENTICATION_REQUIRED => "it must be unlocked first",
        Nrc::SUB_FUNCTION_NOT_IN_SESSION | Nrc::SERVICE_NOT_IN_SESSION => {
            "its application does not allow this at present"
        }
        Nrc::BUSY_REPEAT_REQUEST => "it is busy",
        Nrc::SERVICE_NOT_SUPPORTED | Nrc::SUB_FUNCTION_NOT_SUPPORTED | Nrc::REQUEST_OUT_OF_RANGE => {
            "it does not have this function"
        }
        Nrc::GENERAL_PROGRAMMING_FAILURE => "it could not write its memory",
        Nrc::VOLTAGE_TOO_HIGH => "its supply voltage is too high",
        Nrc::VOLTAGE_TOO_LOW => "its supply voltage is too low",
        other => other.words().unwrap_or("it gives no known reason"),
    };
    words.to_owned()
}

/// What a technician can do about a negative answer without a reason.
#[must_use]
pub(crate) fn nrc_hint(nrc: Nrc) -> &'static str {
    match nrc {
        Nrc::CONDITIONS_NOT_CORRECT => {
            "Bring the machine into a state in which it may be updated (stopped, secured), and run the command again."
        }
        Nrc::SECURITY_ACCESS_DENIED | Nrc::AUTHENTICATION_REQUIRED => {
            "Ask the manufacturer how to unlock the device for updates; this program cannot."
        }
        Nrc::SUB_FUNCTION_NOT_IN_SESSION | Nrc::SERVICE_NOT_IN_SESSION => {
            "Disconnect other diagnostic tools, switch the device off and on, and run the command again. If it refuses \
             again, call the manufacturer."
        }
        Nrc::BUSY_REPEAT_REQUEST => "Wait until the device has finished its work, and run the command again.",
        Nrc::VOLTAGE_TOO_HIGH | Nrc::VOLTAGE_TOO_LOW => {
            "Check battery and charger, bring the supply voltage into its range, and run the command again."
        }
        Nrc(0x81..=0x91) => {
            "Bring the machine into the state that the device asks for, and run the command again."
        }
        _ => "Run updater-host info to see the state of the device, and call the manufacturer with the code.",
    }
}

/// What to do about a bus that cannot be used.
#[must_use]
pub(crate) fn bus_hint(address: &str, source: &can_bus::BusError) -> String {
    use std::io::ErrorKind;

    use can_bus::BusError;
    let is_socket = address.starts_with("slcan:tcp:") || address.starts_with("slcan:unix:");
    let is_serial = address.starts_with("slcan:") && !is_socket;
    let is_socketcan = address.starts_with("socketcan:");
    let io = match source {
        BusError::Open { source, .. } | BusError::Io(source) => source,
        BusError::Closed => return "Plug the adapter in again, and run the command again.".to_owned(),
        BusError::FdNotEnabled => return "Add ?fd to the address of the bus.".to_owned(),
        BusError::Stuck => {
            return "Check the bus: a second device that is switched on, termination, and the bit rate."
                .to_owned();
        }
        BusError::Unsupported(_) => return "Use an slcan adapter on this operating system.".to_owned(),
    };
    match io.kind() {
        ErrorKind::PermissionDenied if is_serial => "Your user may not use this adapter. Add it to the group of the \
            device file (usually: sudo usermod -aG dialout $USER), then log in again."
            .to_owned(),
        ErrorKind::PermissionDenied if is_socketcan => {
            "Your user may not use CAN sockets here. Run the program outside of the container or sandbox, or ask the \
             administrator."
                .to_owned()
        }
        ErrorKind::PermissionDenied => {
            "Your user may not use this bus. Ask the administrator of this computer.".to_owned()
        }
        ErrorKind::NotFound if is_serial => {
            "Plug the adapter in. Run ls /dev/ttyACM* /dev/ttyUSB* to list serial adapters, and pass the right one with --bus."
                .to_owned()
        }
        ErrorKind::InvalidInput if is_serial || is_socket => {
            "Ask for the bit rate of the bus and name it, for example: --bus slcan:/dev/ttyACM0?speed=500k".to_owned()
        }
        ErrorKind::ResourceBusy => "End the other program that uses the adapter, and run the command again.".to_owned(),
        ErrorKind::NetworkDown if is_socketcan => {
            "Start the interface, for example: sudo ip link set can0 up type can bitrate 500000".to_owned()
        }
        _ if is_socketcan => {
            "Check the name: run ip link show type can to list CAN interfaces, and pass the right one with --bus.".to_owned()
        }
        _ => "Check that the adapter is plugged in, and pass its address with --bus.".to_owned(),
    }
}

/// One line a device, for the message.
pub(super) fn list(devices: &[DeviceSummary]) -> String {
    devices.iter().map(|device| format!("\n  {device}")).collect()
}

/// The devices that answered instead of the one that was asked for.
pub(super) fn instead(found: &[DeviceSummary]) -> String {
    if found.is_empty() { String::new() } else { format!("; these devices answered:{}", list(found)) }
}

/// One line a unit, for the message.
pub(super) fn units(others: &[OtherUnit]) -> String {
    let lines: String = others.iter().map(|unit| format!("\n  {unit}")).collect();
    if lines.is_empty() { lines } else { format!("; these other units answered:{lines}") }
}

pub(super) fn clause(facts: Option<&str>) -> String {
    facts.map(|facts| format!(" ({})", printable(facts))).unwrap_or_default()
}

pub(super) fn bus_failure(address: &str, source: &can_bus::BusError) -> String {
    // This one names the bus itself.
    if matches!(source, can_bus::BusError::Open { .. }) {
        return printable(&source.to_string());
    }
    printable(&format!("the bus {address} failed: {source}"))
}

pub(super) fn device_refusal(refusal: &DeviceRefusal) -> String {
    let because = match refusal.reason() {
        Some(reason) => said_of(&refusal.subject, reason),
        None => nrc_words(refusal.nrc),
    };
    format!("the device refused {}: {because}", refusal.subject)
}

/// The slug of a reason code that is not 0, for the end of a message.
pub(super) fn because(reason_code: u16) -> String {
    reason_slug(reason_code).map(|slug| format!(": {slug}")).unwrap_or_default()
}

/// What a reason says of a subject: the table of reasons says image, of a configuration table too.
pub(super) fn said_of(subject: &Subject, reason: Reason) -> String {
    let words = lower(reason.message());
    if *subject == Subject::Table { words.replace("image", "table") } else { words }
}

/// A sentence of the table inside of another one.
fn lower(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    printable(&first.into_iter().chain(chars).collect::<String>())
}
