//! Keys and their authority: COSE_Key, COSE_Sign1 with Ed25519, CWT credentials, anchors and revocation lists.
//!
//! Heap-free and `no_std`; nothing here touches a clock, a socket or a file. A verified record is a type with private
//! fields ([`Credential`], [`RevocationList`], [`Authority`]): there is no `bool` to forget.
//! docs/records.md describes the bytes.
//!
//! A function that returns a large value is `#[inline(never)]`: inlined, the value is copied field by field (1.3 KB
//! of the loader).
#![cfg_attr(
    not(any(feature = "author", feature = "host", feature = "fault-injection", feature = "memo")),
    no_std
)]
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(all(
    test,
    not(any(feature = "author", feature = "host", feature = "fault-injection", feature = "memo"))
))]
extern crate std;

pub mod aes;
mod anchor;
#[cfg(feature = "author")]
pub mod author;
#[cfg(feature = "blocks")]
pub mod blocks;
pub mod cbor;
mod chain;
mod cose;
mod credential;
pub mod device_keys;
pub mod encryption;
mod error;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod gcm;
pub mod hash;
pub mod hmac;
#[cfg(feature = "host")]
pub mod host;
mod key;
pub mod key_wrap;
#[cfg(feature = "host")]
mod ledger_head;
mod mac0;
#[cfg(feature = "memo")]
mod memo;
pub mod provisioning;
mod record;
mod revocation;
mod scope;
mod store;
mod succession;
mod text;
#[cfg(feature = "host")]
mod transcript;

pub use anchor::{
    ANCHORS_MAX, Anchor, AnchorSet, BLOCK_ANCHORS_MAX, DOMAINS_MAX, Domain, MAX_ANCHOR_SET_LEN, Rights,
};
pub use chain::{
    Authority, MAX_CHAINED_SIGN1_LEN, MAX_DETACHED_PAYLOAD_LEN, claimed_issuer, claimed_signer,
    verify_chained_sign1,
};
pub use credential::{
    Credential, CredentialClaims, DEFAULT_SEQUENCE_CEILING, MAX_GENERATION, MAX_SEQUENCE_CEILING,
};
pub use error::{Error, ErrorKind};
pub use key::{COSE_KEY_LEN, Commitment, KID_LEN, Kid, PublicKey, sha256};
#[cfg(feature = "host")]
pub use ledger_head::{LedgerHead, MAX_LEDGER_ENTRIES};
pub use mac0::{
    ATTACHED_MAC0_ROOM, DeviceAuthority, MAX_ATTACHED_MAC0_LEN, MAX_MAC0_LEN, claimed_device_key,
    read_attached_mac0, verify_attached_mac0, verify_mac0, write_attached_mac0,
};
pub use record::{MAX_CREDENTIAL_LEN, MAX_NAME_LEN};
pub use revocation::{
    MAX_LIST_SEQUENCE, MAX_MINIMUM_SEQUENCE, MAX_MINIMUM_SEQUENCES, MAX_REVOCATION_LIST_LEN, MAX_REVOKED,
    MinimumSequence, Replacement, RevocationClaims, RevocationList, Revoked, RevokedId,
};
pub use scope::{MAX_CLASSES, MAX_SERIALS, Role, Scope};
pub use store::TrustStore;
#[cfg(feature = "host")]
pub use store::{Held, TrustStoreBuf};
pub use succession::{
    Holding, MAX_SUCCESSION_CHAIN_LEN, MAX_SUCCESSION_LEN, MAX_SUCCESSIONS, Succeeded, SuccessionChain,
    SuccessionClaims, SuccessionNumber, succession_domain,
};
#[cfg(feature = "host")]
pub use succession::{
    SuccessionFile, encode_succession_chain, read_succession_file, read_unverified_succession,
    read_unverified_succession_request, verify_succession_request,
};
pub use text::{MAX_SERIAL_LEN, MAX_VERSION_LEN, is_printable, is_serial, is_version};
#[cfg(feature = "host")]
pub use transcript::{MAX_TRANSCRIPT_LINES, TranscriptEnd};

/// Seconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct UnixTime(pub u64);
