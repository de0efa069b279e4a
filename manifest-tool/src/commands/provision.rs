//! `provision`: make the block that gives a new device its identity and anchors (docs/records.md, version 1).

use std::path::{Path, PathBuf};

use serde::Serialize;
use trust::author::ProvisioningRequest;
use trust::host::Serial;
use trust::provisioning::{MAX_NODE_ADDRESS, UNPROVISIONED_SERIAL, is_node_address};
use trust::{AnchorSet, BLOCK_ANCHORS_MAX, DOMAINS_MAX, MAX_MINIMUM_SEQUENCE};

use super::read_anchors;
use crate::describe::{kid, uuid};
use crate::error::Error;
use crate::files::{OverwriteArguments, must_differ, write};
use crate::identifiers::{Class, Vendor, device_id};
use crate::output::{Report, table};
use crate::step::StepArguments;

/// Make a device's provisioning block
#[derive(clap::Args, Clone, Debug)]
pub struct Provision {
    /// Serial of the device
    #[arg(long)]
    serial: Serial,
    /// Vendor: UUID or domain
    #[arg(long)]
    vendor: Vendor,
    /// Class: UUID or name
    #[arg(long)]
    class: Class,
    /// Node address on the bus, 1 to 239, as 16 or 0x10
    #[arg(long, value_name = "N", default_value = "0x10", value_parser = node_address)]
    node_address: u8,
    /// Public key of a root that the device trusts, at most 2; none if the anchor is compiled in (repeatable)
    #[arg(long = "anchor", value_name = "ANCHOR")]
    anchors: Vec<PathBuf>,
    /// Sequence number below which the device refuses releases
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=MAX_MINIMUM_SEQUENCE))]
    sequence_floor: u64,
    /// Provisioning block to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Accept a sequence floor above 1048576
    #[arg(long, requires = "sequence_floor")]
    allow_large_step: bool,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Provisioned {
    out: PathBuf,
    serial: String,
    vendor: String,
    class: String,
    device: String,
    node_address: u8,
    anchors: Vec<String>,
    sequence_floor: u64,
}

impl Provision {
    pub fn run(&self) -> Result<Provisioned, Error> {
        let inputs: Vec<&Path> = self.anchors.iter().map(PathBuf::as_path).collect();
        must_differ(&self.out, &inputs)?;
        let trusted = read_anchors(&self.anchors)?;
        let anchors = trusted.anchors();
        if anchors.len() > BLOCK_ANCHORS_MAX || AnchorSet::of(anchors).is_err() {
            let message =
                format!("a device has at most {BLOCK_ANCHORS_MAX} anchors, of {DOMAINS_MAX} domains");
            return Err(Error::usage(message));
        }
        if self.serial.as_str() == UNPROVISIONED_SERIAL {
            let message =
                format!("--serial {UNPROVISIONED_SERIAL}: devices without a block report this serial");
            return Err(Error::usage(message));
        }
        StepArguments::of(self.allow_large_step).check("sequence floor", 0, self.sequence_floor)?;
        let vendor = self.vendor.id();
        let block = ProvisioningRequest {
            serial: self.serial.as_str(),
            vendor: vendor.into_bytes(),
            class: self.class.id(vendor).into_bytes(),
            device: device_id(&self.serial, vendor).into_bytes(),
            node_address: self.node_address,
            anchors,
            sequence_floor: self.sequence_floor,
        };
        let bytes = block.encode().map_err(|error| Error::author("the provisioning block", None, error))?;
        write(&self.out, &bytes, self.overwrite.existing())?;
        Ok(Provisioned {
            out: self.out.clone(),
            serial: block.serial.to_owned(),
            vendor: uuid(&block.vendor),
            class: uuid(&block.class),
            device: uuid(&block.device),
            node_address: block.node_address,
            anchors: anchors.iter().map(|anchor| kid(anchor.kid())).collect(),
            sequence_floor: block.sequence_floor,
        })
    }
}

impl Report for Provisioned {
    fn lines(&self) -> String {
        let anchors = match &self.anchors[..] {
            [] => "none: the loader must have its own compiled in".to_owned(),
            anchors => anchors.join(", "),
        };
        table(&[
            ("provisioning block", self.out.display().to_string()),
            ("serial", self.serial.clone()),
            ("vendor", self.vendor.clone()),
            ("class", self.class.clone()),
            ("device", self.device.clone()),
            ("node address", format!("{:#04x}", self.node_address)),
            ("anchors", anchors),
            ("sequence floor", self.sequence_floor.to_string()),
        ])
    }
}

/// Decimal, or hexadecimal with `0x`; 1 to 239.
fn node_address(text: &str) -> Result<u8, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let address = number.ok().filter(|address| is_node_address(*address));
    address.ok_or(format!("a node address is 1 to {MAX_NODE_ADDRESS}"))
}

#[cfg(test)]
mod tests;
