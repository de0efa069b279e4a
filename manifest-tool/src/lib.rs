//! Keys, credentials, SUIT manifests, revocation, provisioning and publishing from the command line.
//!
//! One file a subcommand ([`commands`]). Before an output is written, the code that devices run reads it back. A refused
//! command writes nothing.
#![forbid(unsafe_code)]

mod agreement;
pub mod blocks;
pub mod bundle;
pub mod ceremony;
pub mod cli;
pub mod commands;
pub mod confirm;
pub mod custody;
mod describe;
pub mod description;
mod encryption;
pub mod error;
pub mod files;
pub mod html;
pub mod identifiers;
pub mod image;
pub mod keys;
pub mod kind;
pub mod lint;
mod master_key;
pub mod memory;
mod output;
mod passphrase;
mod personalize;
pub mod private_key;
mod provisioned;
pub mod public_key;
mod recipients;
pub mod recording;
mod server;
pub mod shares;
pub mod step;
pub mod time;
pub mod trusted;
pub mod two_steps;
pub mod verification;
pub mod wordlist;
pub mod written;
pub mod x509;

pub use error::Error;
