//! The registry of Anchorage: releases, images, revocation lists and devices over HTTP (docs/server-api.md).
//!
//! `http` speaks the interface and nothing else, `domain` decides, `store` and `blobs` keep. Whether a release is
//! offered is decided by the same trust code that a device runs, when it is published and each time it is read.
//! The server holds public keys only; what looks like a private key is refused wherever it arrives.
#![forbid(unsafe_code)]

pub mod blobs;
pub mod config;
pub mod data_dir;
pub mod domain;
pub mod http;
pub mod log;
pub mod readiness;
pub mod server;
pub mod store;

/// The version that `GET /v1/health` and `--version` tell.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
