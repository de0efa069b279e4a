//! The JSON of docs/server-api.md, as far as the host needs it. Fields it does not know are ignored.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A release, as the server lists it. What decides comes from the signed manifest.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ReleaseObject {
    /// Sequence number of the manifest.
    pub(crate) sequence: u64,
    /// The single device that it is for, if it is.
    #[serde(default)]
    pub(crate) device: Option<Uuid>,
    pub(crate) image: ImageObject,
    /// The table that comes with firmware.
    #[serde(default)]
    pub(crate) table_image: Option<ImageObject>,
    /// SHA-256 over the bstr-wrapped manifest; its name in the API.
    pub(crate) manifest_digest: String,
    /// SHA-256 over the envelope.
    pub envelope_sha256: String,
}

/// The image of a release.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ImageObject {
    pub sha256: String,
    pub(crate) size: u64,
}

/// A page of the successions of a domain.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SuccessionPage {
    pub(crate) successions: Vec<SuccessionObject>,
}

/// A succession. What decides comes from the signed record.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SuccessionObject {
    pub(crate) recovery_epoch: u16,
    pub(crate) succession_sequence: u16,
    /// Hex.
    pub(crate) record: String,
}

/// Body of `PUT /v1/devices/{serial}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct DeviceBody {
    pub(crate) vendor: Uuid,
    pub(crate) class: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Sequence number of the active image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<u64>,
    /// Manifest digest of the active image, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest_digest: Option<String>,
    /// kid of the key that signed the active release, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) release_kid: Option<String>,
    /// The table of a device that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<TableBody>,
    /// kids of the anchors, hex: 1 to 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) anchors: Option<Vec<String>>,
    /// When it was so, seconds since the epoch: one that comes late changes nothing that is known of a later time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<u64>,
}

/// What a device has in the place of its table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct TableBody {
    /// As its release says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// 0: it has none.
    pub(crate) sequence: u64,
    /// Hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest_digest: Option<String>,
    /// kid of the key that signed its release, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) release_kid: Option<String>,
}

/// What else than firmware alone an update installs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EventTarget {
    Table,
    /// Firmware and a table.
    Both,
}

/// The answer to a registration, as far as it shows that it was one.
#[derive(Debug, Deserialize)]
pub(crate) struct RegisteredDevice {
    pub(crate) serial: String,
}

/// What became of an update.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum EventKind {
    /// The first byte is about to be sent.
    #[serde(rename = "update-started")]
    Started,
    /// The image is installed and on trial.
    #[serde(rename = "update-installed")]
    Installed,
    /// The new image confirmed itself.
    #[serde(rename = "update-confirmed")]
    Confirmed,
    /// The device went back to the old image.
    #[serde(rename = "update-reverted")]
    Reverted,
    #[serde(rename = "update-refused")]
    Refused,
    /// The device kept its own revocation list instead of the one it was sent.
    #[serde(rename = "list-refused")]
    ListRefused,
    /// The device did not take the succession chain that it was sent.
    #[serde(rename = "succession-refused")]
    SuccessionRefused,
}

/// What a device said under its own key, for `POST /v1/devices/{serial}/reports`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SaidBody {
    /// Of the question, hex.
    pub(crate) nonce: String,
    /// COSE_Mac0 as it came, hex.
    pub(crate) report: String,
    /// When the device was asked, seconds since the epoch.
    pub(crate) at: u64,
}

/// The answer to a report that is kept.
#[derive(Debug, Deserialize)]
pub(crate) struct KeptReport {
    /// SHA-256 of its bytes, hex.
    pub(crate) digest: String,
}

/// Body of `POST /v1/devices/{serial}/events`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct EventBody {
    pub(crate) kind: EventKind,
    /// Manifest digest, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<String>,
    /// `None`: of firmware, or of nothing that is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<EventTarget>,
    /// kid of the key that signed the release, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) release_kid: Option<String>,
    /// Version of the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Sequence number of the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<u64>,
    /// Slug of the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// When, seconds since the epoch.
    pub(crate) at: u64,
}
