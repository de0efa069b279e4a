//! Says of a file what it is, by its first bytes.

use std::fmt;
use std::path::Path;

use suit_manifest::author::outline;
use trust::author::read_unverified_credential;
use trust::host::{is_private_key, parse_public_key, read_unverified_revocation};
use trust::{
    LedgerHead, read_succession_file, read_unverified_succession, read_unverified_succession_request,
};

use crate::files::read;

/// Tag 107, an envelope; tag 1070, a bare manifest (draft-ietf-suit-manifest-37 section 8.2).
const SUIT_TAGS: [&[u8]; 2] = [&[0xd8, 107], &[0xd9, 0x04, 0x2e]];
/// Tag 61, a CWT (RFC 8392 section 6).
const CWT_TAG: &[u8] = &[0xd8, 61];
/// `format: 1`, the first member of a provisioning block.
const BLOCK_FORMAT: &[u8] = &[0x00, 0x01];
const PEM_MARK: &[u8] = b"-----BEGIN ";
/// Longest file that is looked at again, bytes: no record, envelope or key is longer.
const MAX_LEN: u64 = 64 * 1024;

/// Kind of a file of this project.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    PrivateKey,
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
    PublicKey,
    /// PEM text of something else.
    Pem,
    Firmware,
}

impl Kind {
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
            _ if is_chain(file) => Self::SuccessionChain,
            _ if ledger::is_head_file(file) => Self::LedgerHead,
            _ if begins_a_block(file) => Self::ProvisioningBlock,
            _ if parse_public_key(file).is_ok() => Self::PublicKey,
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrivateKey => "a private key",
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
            Self::PublicKey => "a public key",
            Self::Pem => "PEM text",
            Self::Firmware => "firmware",
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
