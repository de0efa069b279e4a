//! The device side of the named cases and of bad input, over the flash model and the session.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod board;
mod boot;
mod both;
mod decay;
mod decryption;
mod hostile;
mod install;
mod life;
mod one_file;
mod outage;
mod own_key;
mod provisioning;
mod remap;
mod report;
mod revocation;
mod session;
mod succession;
mod swap;
mod table;
mod threats;
mod walk;
mod wear;
