//! Keys, credentials, SUIT manifests, revocation, provisioning and publishing from the command line.
//!
//! A file a subcommand ([`commands`]); data goes to stdout, words for people to stderr. What is made is read again
//! by the code that devices run before it is written, and nothing is written when anything is refused.
#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
mod describe;
pub mod error;
pub mod files;
pub mod identifiers;
pub mod image;
mod output;
mod passphrase;
pub mod private_key;
pub mod public_key;
mod server;
pub mod step;
pub mod time;
pub mod verification;

pub use error::Error;
