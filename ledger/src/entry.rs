//! The form of an entry. Its file is this, as JSON in the order of the members, indented by two spaces: one form only, so
//! that the digest of an entry is that of its content. A member that this version does not know would be lost when it is
//! written again, so an entry that has one is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::devices::Devices;
use crate::facts::{CeremonyFacts, CredentialFacts, ListFacts, SuccessionFacts};
use crate::values::{Base64, Hex, Time};

/// One entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// [`FORMAT`](crate::FORMAT).
    pub format: u32,
    /// From 1, without gaps.
    pub number: u64,
    /// SHA-256 of the file of the entry before it; the first one has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<Hex<32>>,
    /// When it was written, by the clock of that machine.
    pub time: Time,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<String>,
    /// The program that wrote it, with its version.
    pub tool: String,
    /// It records what was done without a ledger: nobody was asked to watch.
    #[serde(skip_serializing_if = "is_false", default)]
    pub unwitnessed: bool,
    /// What happened.
    pub event: Event,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The ledger begins: the first entry, and no other.
    Open(Open),
    /// The key certified another key.
    Credential(CredentialEntry),
    /// The key signed a revocation list.
    RevocationList(ListEntry),
    /// The key named a new root of its domain.
    Succession(SuccessionEntry),
    /// The key signed the end of the transcript of a ceremony.
    Ceremony(CeremonyEntry),
    /// Devices got their provisioning blocks, and their credentials where they have keys.
    Devices(Devices),
    /// Somebody else holds a key now, or it is kept elsewhere.
    Custody(Custody),
    /// A backup of the ledger's key was made.
    Backup(Backup),
    /// A backup of the ledger's key was proved to hold that key.
    BackupCheck(BackupCheck),
    /// What somebody else reported: the head of another ledger, or the newest list of a server.
    Import(Import),
    /// An entry that was begun is not going to be signed.
    Void(Void),
    /// Two copies of this ledger both went on: this entry joins them.
    Merge(Merge),
}

impl Event {
    /// The kind, as the name of the entry's file has it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Credential(_) => "credential",
            Self::RevocationList(_) => "revocation-list",
            Self::Succession(_) => "succession",
            Self::Ceremony(_) => "ceremony",
            Self::Devices(_) => crate::devices::KIND,
            Self::Custody(_) => "custody",
            Self::Backup(_) => "backup",
            Self::BackupCheck(_) => "backup-check",
            Self::Import(_) => "import",
            Self::Void(_) => "void",
            Self::Merge(_) => "merge",
        }
    }

    /// Whether it has a record by which somebody may do something: a root that retired signs none.
    #[must_use]
    pub fn has_authority(&self) -> bool {
        matches!(
            self,
            Self::Credential(_)
                | Self::RevocationList(_)
                | Self::Succession(_)
                | Self::Devices(Devices { signed: true, .. })
        )
    }

    /// What the key has to sign for this entry, the Sig_structure (RFC 9052 section 4.4).
    #[must_use]
    pub fn to_be_signed(&self) -> Option<&[u8]> {
        match self {
            Self::Credential(CredentialEntry { to_be_signed, .. })
            | Self::RevocationList(ListEntry { to_be_signed, .. })
            | Self::Succession(SuccessionEntry { to_be_signed, .. })
            | Self::Ceremony(CeremonyEntry { to_be_signed, .. }) => Some(&to_be_signed.0),
            _ => None,
        }
    }

    /// Whether the key has to sign something for this entry.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.to_be_signed().is_some() || matches!(self, Self::Devices(Devices { signed: true, .. }))
    }
}

/// What the ledger's key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The root of a domain.
    Root,
    /// The root of an owner's domain: it governs, and certifies no release key.
    OwnerRoot,
    /// It names a new root, and does nothing else.
    RecoveryRoot,
    /// It certifies devices, and is itself certified by a root.
    Issuing,
}

/// The first entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// Name of the key.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Its kid.
    pub kid: Hex<8>,
    /// Its COSE_Key.
    pub public_key: Hex<40>,
    /// The domain for which it signs: the kid of the first root.
    pub domain: Hex<8>,
    /// Domain name of the company, of which the vendor id is made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vendor: Option<String>,
    /// Who holds the key.
    pub holder: String,
    /// Where it is kept, in words.
    pub kept: String,
    /// The ledger of the root before this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub continues: Option<Continues>,
}

/// The ledger that another one goes on from.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continues {
    /// kid of the key of that ledger.
    pub kid: Hex<8>,
    /// Number of its last entry.
    pub entries: u64,
    /// SHA-256 of the file of that entry.
    pub digest: Hex<32>,
}

/// A credential.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CredentialEntry {
    /// What it says; the same as in the bytes.
    #[serde(flatten)]
    pub facts: CredentialFacts,
    /// Names of the vendor and the classes, by the ids that are made of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub names: BTreeMap<String, String>,
    /// Who holds the certified key, if that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub holder: Option<String>,
    /// Where it is kept, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept: Option<String>,
    /// The Sig_structure of the credential.
    pub to_be_signed: Base64,
}

/// A revocation list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ListEntry {
    /// What it says; the same as in the bytes.
    #[serde(flatten)]
    pub facts: ListFacts,
    /// Why it was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The Sig_structure of the list.
    pub to_be_signed: Base64,
}

/// A succession.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SuccessionEntry {
    /// What it says; the same as in the bytes.
    #[serde(flatten)]
    pub facts: SuccessionFacts,
    /// Why it was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The Sig_structure of the succession.
    pub to_be_signed: Base64,
}

/// A ceremony.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CeremonyEntry {
    /// What the end of its transcript says; the same as in the bytes.
    #[serde(flatten)]
    pub facts: CeremonyFacts,
    /// What the ceremony was for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub purpose: Option<String>,
    /// The Sig_structure of the end of the transcript.
    pub to_be_signed: Base64,
}

/// Who holds a key, and where it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custody {
    /// Name of the key.
    pub name: String,
    /// Its kid.
    pub kid: Hex<8>,
    /// Who holds it now.
    pub holder: String,
    /// Where it is kept now, in words.
    pub kept: String,
    /// Why that changed.
    pub reason: String,
}

/// The form of a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum BackupKind {
    /// The encrypted key file.
    Copy,
    /// So many of the shares are needed to make the key again.
    Shares {
        /// Needed.
        threshold: u8,
        /// Made.
        shares: u8,
        /// What their pages have in common; absent: an earlier version made the entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        split: Option<Hex<2>>,
    },
}

/// A backup of the ledger's key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Its form.
    pub form: BackupKind,
    /// Who has it, or has the shares.
    pub holders: Vec<String>,
    /// Where it lies, in words.
    pub kept: String,
}

/// A check of a backup.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupCheck {
    /// Number of the entry of the backup.
    pub backup: u64,
}

/// What somebody else reported. It is not proved here.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Import {
    /// The head of the ledger of a key that this one certified.
    Ledger(Continues),
    /// The newest list of this domain on a server, or with devices.
    Published {
        /// Its list-sequence.
        list_sequence: u64,
        /// SHA-256 of its bytes.
        digest: Hex<32>,
    },
    /// The recovery root named a new root: the ledger's key has retired.
    Succession {
        /// COSE_Key of the recovery root.
        grantor: Hex<40>,
        /// The succession.
        record: Base64,
    },
}

/// An entry that is given up.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Void {
    /// Its number.
    pub entry: u64,
    /// Why.
    pub reason: String,
}

/// Another copy, which went on by itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// Number of the last entry that both copies have.
    pub common: u64,
    /// The files of the other copy's entries after it, in order; the records are in the folder of this entry.
    pub other: Vec<Hex<32>>,
    /// Why there were two.
    pub reason: String,
}
