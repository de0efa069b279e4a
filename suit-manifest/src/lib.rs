//! SUIT: envelope, manifest and command processor of draft-ietf-suit-manifest-37, for one-image A/B updates.
//!
//! Heap-free and `no_std`; nothing here touches a clock, a socket, a file or flash. [`Envelope::parse`] reads the
//! outer structure only. [`Envelope::authenticate`] verifies the signature, then the whole structure, and returns the
//! token [`Authenticated`]. A [`Walk`] runs the command sequences over a [`Platform`] and stops where it needs bytes.
//! What of SUIT is taken is a type, a [`profile`]. What became of it is a [`report`]. docs/suit-support.md lists the supported part of SUIT.
//!
//! A function that returns a large value is `#[inline(never)]`: inlined, the value is copied field by field (1.3 KB
//! of the loader).
#![cfg_attr(not(any(test, feature = "host", feature = "fault-injection")), no_std)]
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

pub mod argument;
#[cfg(any(test, feature = "author"))]
pub mod author;
mod command;
mod component;
mod digest;
mod dry_run;
#[cfg(any(test, feature = "host"))]
mod entries;
mod envelope;
mod error;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod host;
mod integrated;
pub mod limits;
mod manifest;
mod parameter;
mod processor;
pub mod profile;
pub mod reason;
pub mod report;
mod source;
mod span;
mod structure;
mod text;
pub mod vocabulary;
mod walk;

pub use component::{ComponentId, Components, Target, Wanted};
pub use digest::Digest;
pub use dry_run::{
    DeviceIdentity, ImageReference, image_reference, image_reference_for, second_image_reference,
};
#[cfg(any(test, feature = "host"))]
pub use dry_run::{ReleaseImages, release_images, release_images_for};
pub use envelope::{Authenticated, AuthenticatedOf, Envelope, EnvelopeOf};
pub use error::{Condition, Error, ErrorKind};
pub use integrated::Integrated;
pub use limits::{MAX_ENVELOPE_HEAD_LEN, MAX_ENVELOPE_LEN, MAX_INTEGRATED_LEN};
pub use manifest::{Manifest, ManifestOf, Section};
pub use processor::{Fetch, Platform, PlatformError, Processor, ProcessorOf, Step};
pub use reason::Reason;
pub use text::{ComponentText, ManifestText, Text, TextEntry};
pub use walk::{Image, Walk, Walked};

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)] // of limits, which are small
mod tests;
