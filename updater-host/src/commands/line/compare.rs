//! Whether a device that has its block says what the block says.

use device_lists::Row;
use trust::SuccessionNumber;

use super::super::provision::Block;
use crate::device::{Device, DeviceTrust};
use crate::error::{Error, LineFault};

/// # Errors
/// [`LineFault::DeviceDiffers`]
pub(super) fn compare(row: &Row, block: &Block, device: &Device) -> Result<(), Error> {
    let differs = |why| Err(Error::Line(LineFault::DeviceDiffers { serial: row.serial.clone(), why }));
    if device.node != row.node_address {
        return differs(format!("it has node 0x{:02X} instead of 0x{:02X}", device.node, row.node_address));
    }
    let identity = block.identity();
    for (what, has, wanted) in [
        ("vendor id", device.identity.vendor, identity.vendor),
        ("class id", device.identity.class, identity.class),
        ("device id", device.identity.device, identity.device),
    ] {
        if has != wanted {
            let (has, wanted) = (uuid::Uuid::from_bytes(has), uuid::Uuid::from_bytes(wanted));
            return differs(format!("its {what} is {has} instead of {wanted}"));
        }
    }
    match &device.trust {
        None => differs("it does not report its anchors".to_owned()),
        Some(trust) => compare_anchors(block, trust).or_else(differs),
    }
}

/// The anchors of a block are those of the device. Domains whose root was succeeded since keep their name only.
fn compare_anchors(block: &Block, trust: &DeviceTrust) -> Result<(), String> {
    for anchor in block.content.anchors.as_slice() {
        let (kid, domain) = (hex::encode(anchor.kid().0), hex::encode(anchor.domain().0.0));
        let Some(number) = trust.number(anchor.domain()) else {
            return Err(format!("it does not report the domain {domain}"));
        };
        let is_there = trust.anchors.iter().any(|has| {
            has.kid == anchor.kid().0
                && has.rights == anchor.rights().bits()
                && has.domain == anchor.domain().0.0
        });
        if !is_there && (number == SuccessionNumber::FIRST || anchor.is_recovery()) {
            return Err(format!("it does not report the anchor {kid} with the rights of the block"));
        }
    }
    let is_of_block = |domain: [u8; 8]| block.content.anchors.domains().any(|known| known.0.0 == domain);
    // Without anchors in the block the loader has its own.
    let has_anchors = !block.content.anchors.as_slice().is_empty();
    match trust.anchors.iter().find(|anchor| has_anchors && !is_of_block(anchor.domain)) {
        Some(other) => {
            Err(format!("it trusts the anchor {}, which the block does not name", hex::encode(other.kid)))
        }
        None => Ok(()),
    }
}
