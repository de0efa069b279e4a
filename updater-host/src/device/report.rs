//! The results of `scan` and `info`.

use std::fmt::Write as _;

use serde::Serialize;
use suit_manifest::reason::Reason;
use trust::{Domain, Kid};
use uuid::Uuid;

use super::summary::came;
use super::{Device, DeviceSummary, DeviceTrust, active_digest, install_digest, reason_slug};
use crate::output::Report;

/// Result of `scan`.
#[derive(Debug, Serialize)]
pub(crate) struct ScanReport {
    /// Those that answered, by node address.
    pub(crate) devices: Vec<DeviceSummary>,
    /// Nodes that answer the scan, but not as our devices do.
    pub(crate) others: Vec<OtherUnit>,
    /// Node addresses that several devices share.
    pub(crate) clashes: Vec<u8>,
}

/// A node that answers a scan and does not identify itself as a supported device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct OtherUnit {
    pub(crate) node: u8,
    /// What is known of it.
    pub(crate) reason: String,
}

impl std::fmt::Display for OtherUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node 0x{:02X}  another unit: {}", self.node, self.reason)
    }
}

impl Report for ScanReport {
    fn lines(&self) -> String {
        let devices = self.devices.iter().map(ToString::to_string);
        let others = self.others.iter().map(ToString::to_string);
        let clashes = self.clashes.iter().map(|node| {
            format!("node 0x{node:02X}  MORE THAN ONE DEVICE uses this node address; disconnect all but one")
        });
        devices.chain(others).chain(clashes).collect::<Vec<_>>().join("\n")
    }
}

/// Result of `info`.
#[derive(Debug, Serialize)]
pub(crate) struct InfoReport {
    #[serde(flatten)]
    summary: DeviceSummary,
    device: Uuid,
    loader_version: Option<String>,
    sequence_floor: u64,
    revocation_sequence: u64,
    anchor_compiled_in: bool,
    resume_offset: u32,
    image_size: u32,
    manifest_digest: Option<String>,
    /// Digest of the manifest of the active image.
    active_digest: Option<String>,
    reason: Option<String>,
    reason_position: u32,
    /// What the technician can do about its state, if there is something.
    hint: Option<&'static str>,
    max_request_len: u16,
    slot_capacity: u32,
    anchors: Vec<String>,
    domains: Vec<DomainReport>,
}

/// A domain of a device, and its root.
#[derive(Debug, Serialize)]
struct DomainReport {
    domain: String,
    /// `None`: none of its anchors governs the domain, or it lost its root.
    root: Option<String>,
    recovery_epoch: u16,
    succession_sequence: u16,
    list_sequence: u64,
}

impl DomainReport {
    fn all(trust: &DeviceTrust) -> impl Iterator<Item = Self> + '_ {
        trust.domains.iter().map(|entry| Self {
            domain: hex::encode(entry.domain),
            root: trust.root(Domain(Kid(entry.domain))).map(|root| hex::encode(root.0)),
            recovery_epoch: entry.recovery_epoch,
            succession_sequence: entry.succession_sequence,
            list_sequence: entry.list_sequence,
        })
    }
}

impl InfoReport {
    /// Everything the device told.
    #[must_use]
    pub(crate) fn new(device: &Device) -> Self {
        let state = device.firmware();
        Self {
            summary: device.summary(),
            device: Uuid::from_bytes(device.identity.device),
            loader_version: device.loader_version.as_ref().map(ToString::to_string),
            sequence_floor: state.sequence_floor,
            revocation_sequence: state.revocation_sequence,
            anchor_compiled_in: state.flags.anchor_compiled_in,
            resume_offset: state.resume_offset,
            image_size: state.image_size,
            manifest_digest: install_digest(state),
            active_digest: active_digest(state).map(hex::encode),
            reason: reason_slug(state.reason),
            reason_position: state.reason_position,
            hint: device.hint(),
            max_request_len: state.max_request_len,
            slot_capacity: state.slot_capacity,
            anchors: device
                .trust
                .iter()
                .flat_map(|trust| &trust.anchors)
                .map(|anchor| hex::encode(anchor.kid))
                .collect(),
            domains: device.trust.iter().flat_map(DomainReport::all).collect(),
        }
    }
}

impl Report for InfoReport {
    fn lines(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            let separator = if text.is_empty() { "" } else { "\n" };
            // Writing to a String does not fail.
            let _ = write!(text, "{separator}{name:20}{value}");
        };
        line("serial", &self.summary.serial);
        line("node address", &format_args!("0x{:02X}", self.summary.node));
        line("vendor id", &self.summary.vendor);
        line("class id", &self.summary.class);
        line("device id", &self.device);
        line("answers", &self.summary.mode);
        line("loader", &self.loader_version.as_deref().unwrap_or("-"));
        line("application", &self.summary.version.as_deref().unwrap_or("-"));
        line("image", &self.summary.image);
        line("sequence number", &self.summary.sequence);
        if let Some(digest) = &self.active_digest {
            line("release", digest);
        }
        line("sequence floor", &self.sequence_floor);
        line("revocation list", &self.revocation_sequence);
        if let Some(digest) = &self.manifest_digest {
            line("install", digest);
            let came = came(self.summary.image, self.resume_offset, self.image_size);
            line("installed", &came);
        }
        if let Some(silence) = &self.summary.silence {
            line("application dies", silence);
        }
        if self.summary.listening {
            line(
                "window",
                &"the loader listens for a moment before it runs the application: update the device now",
            );
        }
        if let Some(reason) = self.reason.as_ref().filter(|_| self.summary.silence.is_none()) {
            // No image is reverted for a delay: a refusal hides the older reason.
            let is_delay = reason == Reason::InstallDelayed.slug();
            let what = if self.summary.reverted && !is_delay { "reverted" } else { "last refusal" };
            match self.reason_position {
                0 => line(what, reason),
                seconds if is_delay => line(what, &format_args!("{reason} ({seconds} s at that time)")),
                position => line(what, &format_args!("{reason} (at byte {position})")),
            }
        }
        if let Some(hint) = &self.hint {
            line("to do", hint);
        }
        line("slot", &format_args!("{} bytes", self.slot_capacity));
        match &self.summary.table {
            Some(table) => table.lines(&mut line),
            None => line("table", &"none: the device keeps none, or its application does not say"),
        }
        if !self.anchors.is_empty() {
            let anchors = if self.anchor_compiled_in { "anchors (built in)" } else { "anchors" };
            line(anchors, &self.anchors.join(" "));
        }
        for DomainReport { domain, root, recovery_epoch, succession_sequence, list_sequence } in &self.domains
        {
            let root = root.as_deref().unwrap_or("none");
            let words = format!(
                "{domain}: root {recovery_epoch}.{succession_sequence} ({root}), revocation list {list_sequence}"
            );
            line("domain", &words);
        }
        text
    }
}
