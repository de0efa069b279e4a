//! The ledger of a signing key: each thing that the key signed, who holds which key, and what was done about them, in
//! order (docs/ledger.md).
//!
//! A ledger is a folder of public material: one file an entry, text in one form, each naming the digest of the one before
//! it; the record beside each entry that has one; and a head, which the key signs. It travels with the key and is copied to
//! whoever wants to check it. Nothing here touches a private key or a clock: callers bring signatures and the time.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

mod chain;
mod compare;
mod devices;
mod disk;
mod entry;
mod error;
mod facts;
mod fit;
mod joined;
mod merge;
mod names;
mod state;
mod succession;
mod values;
mod writer;

pub use chain::{Ledger, Signed, Stored};
pub use compare::{Comparison, Relation, compare};
pub use devices::{AnchorFacts, DeviceLine, Devices, MAX_BATCHES_LEN, MAX_DEVICES};
pub use disk::{HEAD_FILE, head_of_file, is_head_file, is_ledger};
pub use entry::{
    Backup, BackupCheck, BackupKind, CeremonyEntry, Continues, CredentialEntry, Custody, Entry, Event,
    Import, ListEntry, Merge, Open, Purpose, SuccessionEntry, Void,
};
pub use error::{Error, Fault};
pub use facts::{CeremonyFacts, CredentialFacts, ListFacts, MinimumFacts, RevokedFacts, SuccessionFacts};
pub use names::check_name;
pub use state::{KeyState, Status};
pub use succession::Successor;
pub use values::{Base64, Hex, Time};
pub use writer::{Context, Writer};

/// Version of the form of entries and heads.
pub const FORMAT: u32 = 1;
/// Longest file of an entry, bytes.
pub const MAX_ENTRY_LEN: u64 = 64 * 1024;
/// Longest name of a key or person, bytes: that of a credential's holder.
pub const MAX_NAME_LEN: usize = trust::MAX_NAME_LEN;
/// Longest text of an entry, such as a reason or where a key is kept, bytes.
pub const MAX_TEXT_LEN: usize = 500;
/// Most ledgers that go on from one another, each with a copy of those before it.
pub const MAX_LEDGERS: u32 = 16;
