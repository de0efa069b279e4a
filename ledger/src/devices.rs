//! Batches of devices: one entry, and one line a device beside it. A production line makes thousands of them, so they are
//! neither entries nor records of their own.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use trust::author::{SIGNATURE_LEN, Unsigned, read_unverified_credential};
use trust::{PublicKey, Role, sha256};
use uuid::Uuid;

use crate::disk;
use crate::error::{Error, Fault};
use crate::values::{Base64, Hex};

/// Most devices of a batch.
pub const MAX_DEVICES: u64 = 100_000;
/// Most bytes of the lines and credentials of all batches of a ledger, with those of joined copies: a reader holds them all.
/// Some 700,000 devices with credentials.
pub const MAX_BATCHES_LEN: u64 = 512 * 1024 * 1024;
/// Longest file of the lines of a batch, bytes.
pub(crate) const MAX_LINES_LEN: u64 = 128 * 1024 * 1024;

/// A batch of devices that got their provisioning blocks, and their credentials where they have keys.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    /// How many.
    pub devices: u64,
    /// SHA-256 of the file with a line for each.
    pub lines: Hex<32>,
    /// Vendor id, a UUID.
    pub vendor: String,
    /// What the devices trust from the start; none if their loaders have it compiled in.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub anchors: Vec<AnchorFacts>,
    /// Whether there are credentials to be signed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub signed: bool,
}

/// An anchor in a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorFacts {
    /// Its COSE_Key.
    pub public_key: Hex<40>,
    /// Its rights, a bit set (docs/records.md).
    pub rights: u8,
    /// Its domain.
    pub domain: Hex<8>,
}

/// One device of a batch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceLine {
    /// Serial.
    pub serial: String,
    /// Node address on the bus.
    pub node_address: u8,
    /// Class id, a UUID.
    pub class: String,
    /// Sequence number below which it refuses releases.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub sequence_floor: u64,
    /// kid of its own key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kid: Option<Hex<8>>,
    /// Key-check values of its symmetric keys, `name=hex` with spaces between; never a key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_check: Option<String>,
    /// The Sig_structure of its credential.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to_be_signed: Option<Base64>,
}

// serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl DeviceLine {
    /// Its credential, for the ledger's key to sign.
    ///
    /// # Errors
    /// As [`Unsigned::from_to_be_signed`]
    pub fn unsigned(&self, key: &PublicKey) -> Result<Option<Unsigned>, trust::author::AuthorError> {
        self.to_be_signed.as_ref().map(|bytes| Unsigned::from_to_be_signed(&bytes.0, key)).transpose()
    }

    /// Whether the line says what the credential says.
    fn agrees(&self, vendor: &str, unsigned: &Unsigned) -> Result<bool, trust::author::AuthorError> {
        let blank = unsigned.with_blank_signature()?;
        let claims = read_unverified_credential(&blank)?;
        let uuid = |id: &[u8; 16]| Uuid::from_bytes(*id).to_string();
        // Nothing else is ever signed with a batch, whoever wrote it.
        Ok(claims.issuing_key() == Some(unsigned.signer().kid())
            && claims.role() == Role::Device
            && claims.sub() == self.serial
            && self.kid == Some(Hex(claims.key().kid().0))
            && uuid(claims.scope().vendor()) == vendor
            && claims.scope().classes().map(uuid).eq([self.class.clone()])
            && claims.scope().serials().eq([self.serial.as_str()]))
    }
}

/// The kind of the entry of a batch.
pub(crate) const KIND: &str = "devices";

/// Fails if the batches of a ledger, and `more` bytes, are more than a reader holds.
pub(crate) fn check_len(folder: &Path, more: u64) -> Result<(), Error> {
    if disk::batches_len(folder)?.saturating_add(more) <= MAX_BATCHES_LEN {
        return Ok(());
    }
    Err(Error::BatchesFull(folder.to_owned()))
}

/// The file of a batch's lines.
pub(crate) fn encode(lines: &[DeviceLine]) -> Option<Vec<u8>> {
    let mut file = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut file, line).ok()?;
        file.push(b'\n');
    }
    Some(file)
}

/// Reads and verifies the lines of an entry.
pub(crate) fn read(path: &Path, devices: &Devices, key: &PublicKey) -> Result<Vec<DeviceLine>, Error> {
    let fault = |fault| Err(Error::damaged(path, fault));
    let bytes = disk::read_limited(path, MAX_LINES_LEN)?;
    if sha256(&bytes) != devices.lines.0 {
        return fault(Fault::Lines("it is not the one that the entry names"));
    }
    let mut lines = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice::<DeviceLine>(line) {
            Ok(line) => lines.push(line),
            Err(error) => return fault(Fault::Form(error.to_string())),
        }
    }
    if encode(&lines).as_deref() != Some(&bytes[..]) {
        return fault(Fault::Spelling);
    }
    check(devices, &lines, key).map(|()| lines).or_else(fault)
}

/// The lines are those of the entry: as many, each device once, each as its credential says.
pub(crate) fn check(devices: &Devices, lines: &[DeviceLine], key: &PublicKey) -> Result<(), Fault> {
    if lines.len() as u64 != devices.devices || lines.is_empty() || devices.devices > MAX_DEVICES {
        return Err(Fault::Lines("it has another number of devices than the entry says"));
    }
    let mut serials = BTreeSet::new();
    for line in lines {
        if !trust::is_serial(&line.serial) || !serials.insert(&line.serial) {
            return Err(Fault::Lines("a serial is there twice, or is none"));
        }
        if !is_uuid(&line.class) || !is_uuid(&devices.vendor) {
            return Err(Fault::Lines("a vendor or class is no UUID"));
        }
        if line.key_check.as_deref().is_some_and(|checks| !are_key_checks(checks)) {
            return Err(Fault::Lines("a key-check value is none"));
        }
        match line.unsigned(key) {
            Ok(None) if line.kid.is_none() => {}
            Ok(Some(unsigned)) if line.agrees(&devices.vendor, &unsigned).unwrap_or(false) => {}
            _ => return Err(Fault::Facts),
        }
    }
    if lines.iter().any(|line| line.to_be_signed.is_some()) == devices.signed {
        Ok(())
    } else {
        Err(Fault::Lines("it has credentials, and the entry has none, or the reverse"))
    }
}

/// `name=hex` with a space between, of 2 to 6 bytes each and 12 together, as the registry takes them: no key fits in.
fn are_key_checks(text: &str) -> bool {
    let digits = |check: &str| {
        let (name, value) = check.split_once('=')?;
        let is_name = (1..=16).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_value = (4..=12).contains(&value.len())
            && value.len().is_multiple_of(2)
            && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (is_name && is_value).then_some(value.len())
    };
    let lengths: Option<Vec<usize>> = text.split(' ').map(digits).collect();
    lengths.is_some_and(|lengths| lengths.iter().sum::<usize>() <= 24)
}

fn is_uuid(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == text)
}

/// What of the lines is to be signed, in their order.
pub(crate) fn to_be_signed(
    lines: &[DeviceLine],
    key: &PublicKey,
) -> Result<Vec<Unsigned>, trust::author::AuthorError> {
    lines.iter().filter_map(|line| line.unsigned(key).transpose()).collect()
}

/// The credentials of the lines in a record, which is one after the other (RFC 8742), each with a signature that holds.
pub(crate) fn split_record<'r>(
    lines: &[DeviceLine],
    record: &'r [u8],
    key: &PublicKey,
) -> Option<Vec<&'r [u8]>> {
    let mut rest = record;
    let mut credentials = Vec::new();
    for unsigned in to_be_signed(lines, key).ok()? {
        let len = unsigned.with_blank_signature().ok()?.len();
        let (credential, after) = rest.split_at_checked(len)?;
        let signature = credential.last_chunk::<SIGNATURE_LEN>()?;
        if unsigned.attach(signature).ok()? != credential {
            return None;
        }
        credentials.push(credential);
        rest = after;
    }
    rest.is_empty().then_some(credentials)
}
