//! The registry of Anchorage: releases, images, revocation lists and devices over HTTP (docs/server-api.md).
//!
//! `http` speaks the interface and nothing else, `domain` decides, `store` and `blobs` keep. The trust code that a
//! device runs decides whether a release is offered: when it is published, when a list or the time changes it, and
//! once more when it is handed out. The server holds public keys only; a body that is a private key is refused
//! (docs/server-api.md says in which forms it is recognised).
#![forbid(unsafe_code)]

pub mod blobs;
pub mod clock;
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
