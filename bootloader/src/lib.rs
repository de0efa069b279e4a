//! The loader as a library: where things lie in flash, the journal, the boot rules, installing, swapping, and the
//! bus session. A board brings a flash driver, a CAN controller and the jump; docs/boot-rules.md and
//! docs/flash-layout.md describe the rest.
//!
//! Heap-free, `no_std`, no `unsafe`. Without the feature `loader` only the part an application needs is built:
//! the flash door, the journal, confirming, and the mailbox to the loader.
#![cfg_attr(not(test), no_std)]
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

mod address;
#[cfg(feature = "loader")]
pub mod anchor;
pub mod application;
pub mod attempts;
#[cfg(feature = "loader")]
pub mod authority;
#[cfg(feature = "loader")]
pub mod board;
mod checksum;
#[cfg(feature = "loader")]
mod decide;
pub mod device;
mod evidence;
pub mod flash;
#[cfg(feature = "loader")]
mod install;
pub mod journal;
pub mod layout;
#[cfg(feature = "loader")]
mod loader;
pub mod mailbox;
pub mod provisioning;
#[cfg(feature = "loader")]
pub mod receive;
#[cfg(feature = "loader")]
pub mod refusal;
mod report;
#[cfg(feature = "loader")]
pub mod reporting;
#[cfg(feature = "loader")]
mod revocation;
#[cfg(feature = "loader")]
pub mod session;
pub mod state;
mod stored;
#[cfg(feature = "loader")]
mod succession;
#[cfg(feature = "loader")]
mod swap;
#[cfg(feature = "loader")]
mod tag;
mod token;
#[cfg(feature = "loader")]
mod verify;

#[cfg(feature = "loader")]
pub use decide::Boot;
pub use firmware_image;
#[cfg(feature = "loader")]
pub use install::COMMIT_INTERVAL;
#[cfg(feature = "loader")]
pub use loader::{Buffers, Loader};
#[cfg(feature = "loader")]
pub use revocation::ListBuffer;
#[cfg(feature = "loader")]
pub use session::Session;
pub use token::{Entry, Purpose, SlotProof};
#[cfg(feature = "loader")]
pub use verify::EnvelopeBuffer;
