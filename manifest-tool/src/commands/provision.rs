//! `provision`: the block that tells a new device who it is and whom to believe (docs/records.md, version 1).

use super::read_anchors;
use crate::describe::{kid, uuid};
use crate::error::Error;
use crate::files::{Existing, must_differ, write};
use crate::identifiers::{Class, Vendor, device_id};
use crate::output::{Report, table};
use minicbor::Encoder;
use serde::Serialize;
use std::path::{Path, PathBuf};
use trust::PublicKey;
use trust::host::Serial;

/// Most anchors of a device.
const MAX_ANCHORS: usize = 4;
/// Longest block, bytes.
const MAX_BLOCK_LEN: usize = 1024;

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
    /// Public key of a root that the device trusts; up to 4, none when the loader has its anchor compiled in
    #[arg(long = "anchor", value_name = "ANCHOR")]
    anchors: Vec<PathBuf>,
    /// Sequence number below which the device takes no release
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    sequence_floor: u64,
    /// Provisioning block to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write over another file
    #[arg(long)]
    force: bool,
}

/// What a block says.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// Serial.
    pub serial: &'a str,
    /// Vendor id.
    pub vendor: [u8; 16],
    /// Class id.
    pub class: [u8; 16],
    /// Device id.
    pub device: [u8; 16],
    /// Node address.
    pub node_address: u8,
    /// Anchors; none when the loader has its own.
    pub anchors: &'a [PublicKey],
    /// Sequence floor to begin with.
    pub sequence_floor: u64,
}

impl Block<'_> {
    /// The block in deterministic CBOR; what is default is left out.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.write(&mut Encoder::new(&mut bytes))
            .map_err(|_| Error::Internal("a provisioning block could not be encoded"))?;
        if bytes.len() > MAX_BLOCK_LEN {
            return Err(Error::Internal("a provisioning block is too long"));
        }
        Ok(bytes)
    }

    fn write(
        &self,
        encoder: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        let has_anchors = !self.anchors.is_empty();
        let has_floor = self.sequence_floor > 0;
        encoder.map(6 + u64::from(has_anchors) + u64::from(has_floor))?;
        encoder.u8(0)?.u8(1)?;
        encoder.u8(1)?.str(self.serial)?;
        encoder.u8(2)?.bytes(&self.vendor)?;
        encoder.u8(3)?.bytes(&self.class)?;
        encoder.u8(4)?.bytes(&self.device)?;
        encoder.u8(5)?.u8(self.node_address)?;
        if has_anchors {
            encoder.u8(6)?.array(self.anchors.len() as u64)?;
            for anchor in self.anchors {
                encoder.bytes(&anchor.to_cose_key())?;
            }
        }
        if has_floor {
            encoder.u8(7)?.u64(self.sequence_floor)?;
        }
        Ok(())
    }
}

/// What `provision` did.
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
    /// Makes the block.
    pub fn run(&self) -> Result<Provisioned, Error> {
        let inputs: Vec<&Path> = self.anchors.iter().map(PathBuf::as_path).collect();
        must_differ(&self.out, &inputs)?;
        let anchors = read_anchors(&self.anchors)?;
        if anchors.len() > MAX_ANCHORS {
            return Err(Error::usage("a device holds at most 4 anchors"));
        }
        let vendor = self.vendor.id();
        let block = Block {
            serial: self.serial.as_str(),
            vendor: vendor.into_bytes(),
            class: self.class.id(vendor).into_bytes(),
            device: device_id(&self.serial, vendor).into_bytes(),
            node_address: self.node_address,
            anchors: &anchors,
            sequence_floor: self.sequence_floor,
        };
        let bytes = block.encode()?;
        write(&self.out, &bytes, Existing::from(self.force))?;
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
    number.ok().filter(|address| (1..=239).contains(address)).ok_or("a node address is 1 to 239".to_owned())
}

#[cfg(test)]
mod tests;
