//! The application's side of the loader for applications in C (docs/applications.md): the functions of
//! `include/anchorage_app.h`, each a thin face of [`bootloader::application`] or [`bootloader::mailbox`]. An
//! application in Rust uses those directly.
//!
//! No heap, no panic, no formatting. `unsafe` is what the language asks for at its border: each pointer of the caller is
//! checked for null and alignment, and the header says what the caller promises about the rest.
#![no_std]
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

// A static library for this machine, which the tests link, takes its panic handler from there, too.
#[cfg(feature = "host")]
extern crate std;

pub mod board;
pub mod calls;
#[cfg(feature = "host")]
pub mod header;
mod pointer;
#[cfg(feature = "remap")]
pub mod table;
pub mod values;

#[cfg(all(target_os = "none", feature = "static-library"))]
mod panic;
