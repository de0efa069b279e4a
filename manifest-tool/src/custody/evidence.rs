//! Releases, devices and provisioning blocks that the command line names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use suit_manifest::author::inspect;
use trust::author::read_unverified_credential;
use trust::provisioning::{MAX_PROVISIONING_BLOCK_LEN, ProvisioningBlock};
use trust::{Anchor, Rights};

use crate::describe::{kid, uuid};
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, read};

/// Longest answer of a server about its devices, bytes: some hundred thousand devices.
const MAX_DEVICES_LEN: u64 = 256 * 1024 * 1024;

/// What is known beside the ledgers.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct EvidenceArguments {
    /// Signed envelope of a release (repeatable)
    #[arg(long = "release", value_name = "R.suit", num_args = 1..)]
    releases: Vec<PathBuf>,
    /// Devices of an update-server: the answer of GET /v1/devices, as a file (repeatable)
    #[arg(long = "devices", value_name = "FILE", num_args = 1..)]
    devices: Vec<PathBuf>,
    /// Provisioning block of a device (repeatable)
    #[arg(long = "block", value_name = "FILE", num_args = 1..)]
    blocks: Vec<PathBuf>,
}

impl EvidenceArguments {
    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.releases.iter().chain(&self.devices).chain(&self.blocks).map(PathBuf::as_path)
    }
}

/// A release, as its envelope says; its signature is not verified here.
pub struct Release {
    pub name: String,
    pub release_kid: String,
    pub issuer_kid: String,
    pub sequence: u64,
    pub vendor: String,
    pub class: String,
}

/// A device, as a server or its provisioning block says.
pub struct Device {
    pub serial: String,
    /// kids; none: not known.
    pub anchors: Vec<String>,
    /// Those of its block, with their rights.
    pub given: Vec<Anchor>,
    /// kids of the keys that signed what it runs and its table.
    pub release_kids: Vec<String>,
    /// Whether a block gave it a recovery root; `None`: no block is known.
    pub has_recovery_root: Option<bool>,
}

/// What the command line named.
#[derive(Default)]
pub struct Evidence {
    pub releases: Vec<Release>,
    /// Whether devices were named at all.
    pub knows_devices: bool,
    /// By serial.
    pub devices: Vec<Device>,
}

impl Evidence {
    pub fn is_empty(&self) -> bool {
        self.releases.is_empty() && !self.knows_devices
    }

    /// What was looked at, in words.
    pub fn looked_at(&self) -> Vec<String> {
        let mut words = Vec::new();
        if !self.releases.is_empty() {
            words.push(format!("{} releases", self.releases.len()));
        }
        if self.knows_devices {
            words.push(format!("{} devices", self.devices.len()));
        }
        words
    }
}

/// A server's answer; members that are not needed are passed over.
#[derive(Deserialize)]
struct Devices {
    devices: Vec<DeviceObject>,
}

#[derive(Deserialize)]
struct DeviceObject {
    serial: String,
    anchors: Option<Vec<String>>,
    release_kid: Option<String>,
    #[serde(default)]
    table: Option<TableObject>,
    #[serde(default)]
    retired: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct TableObject {
    release_kid: Option<String>,
}

impl EvidenceArguments {
    pub fn read(&self) -> Result<Evidence, Error> {
        let releases = self.releases.iter().map(|path| release(path)).collect::<Result<_, _>>()?;
        let mut devices: BTreeMap<String, Device> = BTreeMap::new();
        for path in &self.blocks {
            let device = block(path)?;
            devices.insert(device.serial.clone(), device);
        }
        for path in &self.devices {
            let bytes = read(path, MAX_DEVICES_LEN)?;
            let answer: Devices = serde_json::from_slice(&bytes)
                .map_err(|error| Error::Devices { path: path.clone(), reason: error.to_string() })?;
            for object in answer.devices.into_iter().filter(|object| object.retired.is_none()) {
                let known = devices.remove(&object.serial);
                let of_block = known.as_ref().map(|known| known.anchors.clone());
                let device = Device {
                    // What a device reports is newer than its block.
                    anchors: object.anchors.or(of_block).unwrap_or_default(),
                    release_kids: object
                        .release_kid
                        .into_iter()
                        .chain(object.table.and_then(|table| table.release_kid))
                        .collect(),
                    has_recovery_root: known.as_ref().and_then(|known| known.has_recovery_root),
                    given: known.map(|known| known.given).unwrap_or_default(),
                    serial: object.serial,
                };
                devices.insert(device.serial.clone(), device);
            }
        }
        let knows_devices = !self.devices.is_empty() || !self.blocks.is_empty();
        Ok(Evidence { releases, knows_devices, devices: devices.into_values().collect() })
    }
}

fn release(path: &Path) -> Result<Release, Error> {
    let bytes = read(path, MAX_ENVELOPE_FILE_LEN)?;
    let refused = |error| Error::refused_manifest(path, error);
    let inspection = inspect(&bytes).map_err(refused)?;
    let credential = inspection
        .credential()
        .ok_or_else(|| refused(suit_manifest::Error::new(suit_manifest::ErrorKind::SignatureMissing, 0)))?;
    let claims =
        read_unverified_credential(credential).map_err(|error| Error::refused_record(path, error))?;
    let image = inspection.images().map_err(refused)?.first;
    Ok(Release {
        name: path.display().to_string(),
        release_kid: kid(claims.key().kid()),
        issuer_kid: kid(claims.issuer_kid()),
        sequence: inspection.manifest().sequence_number(),
        vendor: uuid(&image.vendor),
        class: uuid(&image.class),
    })
}

fn block(path: &Path) -> Result<Device, Error> {
    let bytes = read(path, MAX_PROVISIONING_BLOCK_LEN as u64)?;
    let (block, _keys) =
        ProvisioningBlock::parse_with_keys(&bytes).map_err(|error| Error::refused_record(path, error))?;
    let anchors = block.anchors.as_slice();
    let is_recovery = |rights: Rights| rights == Rights::SUCCESSION;
    Ok(Device {
        serial: block.identity.serial().to_owned(),
        anchors: anchors.iter().map(|anchor| kid(anchor.kid())).collect(),
        given: anchors.to_vec(),
        release_kids: Vec::new(),
        has_recovery_root: (!anchors.is_empty())
            .then(|| anchors.iter().any(|anchor| is_recovery(anchor.rights()))),
    })
}
