//! Says of a file what it is, by its first bytes.

use std::fmt;
use std::path::Path;

use suit_manifest::author::outline;
use suit_manifest::report::show_report;
use trust::author::{RecordKind, read_unverified_credential};
use trust::blocks::VerifyingKey;
use trust::device_keys::Purpose;
use trust::host::{is_private_key, read_unverified_revocation};
use trust::provisioning::ProvisioningBlock;
use trust::{
    LedgerHead, read_succession_file, read_unverified_succession, read_unverified_succession_request,
};

use crate::ceremony::transcript;
use crate::files::read;
use crate::master_key::is_master_key;
use crate::recipients::is_recipients;
use crate::shares;

/// Tag 107, an envelope; tag 1070, a bare manifest (draft-ietf-suit-manifest-37 section 8.2).
const SUIT_TAGS: [&[u8]; 2] = [&[0xd8, 107], &[0xd9, 0x04, 0x2e]];
/// Tag 61, a CWT (RFC 8392 section 6).
const CWT_TAG: &[u8] = &[0xd8, 61];
/// `format: 1`, the first member of a provisioning block.
const BLOCK_FORMAT: &[u8] = &[0x00, 0x01];
const PEM_MARK: &[u8] = b"-----BEGIN ";
/// First bytes of a file by which its kind is known: the page of a share has them all.
pub const START_LEN: usize = 256 * 1024;
/// Longest file that is looked at again, bytes: no record, envelope or key is longer.
const MAX_LEN: u64 = 64 * 1024;

/// Kind of a file of this project.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    PrivateKey,
    /// A key in hexadecimal digits, and nothing else.
    MasterKey,
    /// Devices with their keys.
    Recipients,
    Envelope,
    Manifest,
    Credential,
    RevocationList,
    Succession,
    SuccessionRequest,
    SuccessionChain,
    LedgerHead,
    /// A CWT that is none of these, or damaged.
    Record,
    ProvisioningBlock,
    /// The same with keys of the device.
    BlockWithKeys,
    PublicKey,
    /// PEM text of something else.
    Pem,
    Firmware,
    /// One of several of a private key.
    Share,
    /// `devices.csv` of a batch.
    DeviceList,
    /// `line.jsonl` of a batch.
    LineLog,
    /// Of a ceremony.
    Transcript,
    /// What a device said.
    Report,
}

impl Kind {
    /// The kind of a file of which the first [`START_LEN`] bytes count.
    pub fn of_start(file: &[u8]) -> Option<Self> {
        Self::of(file.get(..START_LEN).unwrap_or(file))
    }

    /// Whether nothing replaces a file of this kind: nobody can make it again.
    pub const fn always_stays(self) -> bool {
        matches!(
            self,
            Self::PrivateKey
                | Self::MasterKey
                | Self::Recipients
                | Self::BlockWithKeys
                | Self::Share
                | Self::DeviceList
                | Self::LineLog
        )
    }

    /// What a file is that goes to nobody else, if it is such a thing. Firmware may well have a key in it.
    pub fn secret_in(file: &[u8]) -> Option<Self> {
        Self::of(file).filter(|kind| {
            matches!(
                kind,
                Self::PrivateKey | Self::MasterKey | Self::Recipients | Self::BlockWithKeys | Self::Share
            )
        })
    }

    /// Whether it is a provisioning block, with keys or without.
    pub const fn is_block(self) -> bool {
        matches!(self, Self::ProvisioningBlock | Self::BlockWithKeys)
    }

    /// Whether only a file of the same kind replaces it.
    pub const fn is_record(self) -> bool {
        match self {
            Self::Envelope
            | Self::Manifest
            | Self::Credential
            | Self::RevocationList
            | Self::Succession
            | Self::SuccessionRequest
            | Self::SuccessionChain
            | Self::LedgerHead
            | Self::Record
            | Self::ProvisioningBlock
            | Self::Transcript
            | Self::Report => true,
            Self::PrivateKey | Self::MasterKey | Self::Recipients | Self::BlockWithKeys => false,
            Self::Share | Self::DeviceList | Self::LineLog => false,
            Self::PublicKey | Self::Pem | Self::Firmware => false,
        }
    }

    /// The kind of a file with these bytes, if it is one of ours.
    pub fn of(file: &[u8]) -> Option<Self> {
        let [envelope, manifest] = SUIT_TAGS;
        Some(match file {
            _ if is_private_key(file) => Self::PrivateKey,
            _ if file.starts_with(manifest) => Self::Manifest,
            // Some tools write envelopes without their tag.
            _ if file.starts_with(envelope) || outline(file).is_some() => Self::Envelope,
            _ if file.starts_with(CWT_TAG) => match read_unverified_credential(file) {
                Ok(_) => Self::Credential,
                Err(_) if read_unverified_revocation(file).is_ok() => Self::RevocationList,
                Err(_) if read_unverified_succession(file).is_ok() => Self::Succession,
                Err(_) if read_unverified_succession_request(file).is_ok() => Self::SuccessionRequest,
                Err(_) if LedgerHead::read_unverified(file).is_ok() => Self::LedgerHead,
                Err(_) => Self::Record,
            },
            _ if show_report(file).is_ok() => Self::Report,
            _ if is_chain(file) => Self::SuccessionChain,
            _ if ledger::is_head_file(file) => Self::LedgerHead,
            _ if begins_a_block(file) && has_keys(file) => Self::BlockWithKeys,
            _ if begins_a_block(file) => Self::ProvisioningBlock,
            _ if is_master_key(file) => Self::MasterKey,
            _ if is_recipients(file) => Self::Recipients,
            _ if shares::is_share(file) => Self::Share,
            _ if device_lists::is_list(file) => Self::DeviceList,
            _ if device_lists::is_log(file) => Self::LineLog,
            _ if transcript::is_transcript(file) => Self::Transcript,
            _ if VerifyingKey::parse(file).is_ok() => Self::PublicKey,
            _ if file.windows(PEM_MARK.len()).take(4096).any(|window| window == PEM_MARK) => Self::Pem,
            _ if firmware_image::is_plausible(file, None) => Self::Firmware,
            _ => return None,
        })
    }

    /// The kind of a file that a reader of another kind refused.
    pub fn instead_of(wanted: Self, path: &Path) -> Option<Self> {
        // A pipe gives its bytes once.
        let file = path.is_file().then(|| read(path, MAX_LEN).ok()).flatten()?;
        Self::of(&file).filter(|kind| ![wanted, Self::Record].contains(kind))
    }
}

impl From<RecordKind> for Kind {
    fn from(kind: RecordKind) -> Self {
        match kind {
            RecordKind::Credential => Self::Credential,
            RecordKind::RevocationList => Self::RevocationList,
            RecordKind::SuccessionRequest => Self::SuccessionRequest,
            RecordKind::Succession => Self::Succession,
            RecordKind::LedgerHead => Self::LedgerHead,
            RecordKind::Transcript => Self::Record,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrivateKey => "a private key",
            Self::MasterKey => "a master key",
            Self::Recipients => "a file of recipients and their keys",
            Self::Envelope => "an envelope",
            Self::Manifest => "a manifest without an envelope",
            Self::Credential => "a credential",
            Self::RevocationList => "a revocation list",
            Self::Succession => "a succession",
            Self::SuccessionRequest => "a request for a succession",
            Self::SuccessionChain => "a succession chain",
            Self::LedgerHead => "the head of a ledger",
            Self::Record => "a signed record",
            Self::ProvisioningBlock => "a provisioning block",
            Self::BlockWithKeys => "a provisioning block with keys",
            Self::PublicKey => "a public key",
            Self::Pem => "PEM text",
            Self::Firmware => "firmware",
            Self::Share => "a share of a private key",
            Self::DeviceList => "the list of a batch of devices",
            Self::LineLog => "the log of a production line",
            Self::Transcript => "the transcript of a ceremony",
            Self::Report => "the report of a device",
        })
    }
}

fn is_chain(file: &[u8]) -> bool {
    read_succession_file(file).is_ok_and(|parts| parts.list.is_some())
}

/// Whether a file begins as a provisioning block does: a map of fewer than 24 members.
fn begins_a_block(file: &[u8]) -> bool {
    matches!(file, [0xa1..=0xb7, rest @ ..] if rest.starts_with(BLOCK_FORMAT))
}

/// Whether a provisioning block has keys of its device.
fn has_keys(block: &[u8]) -> bool {
    let read = ProvisioningBlock::parse_with_keys(block);
    read.is_ok_and(|(_, keys)| Purpose::ALL.into_iter().any(|purpose| keys.of(purpose).is_some()))
}
