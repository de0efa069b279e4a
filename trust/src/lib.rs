//! Who may sign what: COSE_Key, COSE_Sign1 with Ed25519, CWT credentials, anchors and revocation lists.
//!
//! Heap-free and `no_std`; nothing here touches a clock, a socket or a file. What has been verified is a type
//! with private fields ([`Credential`], [`RevocationList`], [`Authority`]): there is no `bool` to forget.
//! The bytes are described in docs/records.md.
#![cfg_attr(not(feature = "author"), no_std)]
#![forbid(unsafe_code)]
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
