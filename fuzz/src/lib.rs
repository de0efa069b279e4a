//! Fuzz targets: functions that take hostile bytes, and hold the property that each module doc names.
//!
//! `cargo xtask fuzz TARGET` runs one of them under libFuzzer; `cargo test -p fuzz-targets` replays the corpora, so that
//! what was found once stays found. A target panics when its property does not hold.
#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a target reports")]

mod blocks;
mod ceremony;
mod description;
mod device;
mod files;
mod http;
mod input;
mod lines;
mod manifest;
mod records;
mod secrets;
mod shares;
mod wire;

/// A target: its name, and what is done with the bytes.
pub struct Target {
    /// Name on the command line and of the folder with its corpus.
    pub name: &'static str,
    /// Takes any bytes; returns whether they got past the parser. Each seed has to.
    pub run: fn(&[u8]) -> bool,
    /// Good inputs, made by the code of today: what mutations begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 21] = [
    Target { name: "envelope", run: manifest::envelope, seeds: manifest::envelope_seeds },
    Target { name: "commands", run: manifest::commands, seeds: manifest::commands_seeds },
    Target { name: "tree", run: manifest::tree, seeds: manifest::tree_seeds },
    Target { name: "description", run: description::description, seeds: description::description_seeds },
    Target { name: "record", run: records::record, seeds: records::record_seeds },
    Target { name: "chain", run: records::chain, seeds: records::chain_seeds },
    Target { name: "encryption", run: secrets::encryption, seeds: secrets::encryption_seeds },
    Target { name: "agreement", run: secrets::agreement, seeds: secrets::agreement_seeds },
    Target { name: "mac", run: secrets::mac, seeds: secrets::mac_seeds },
    Target { name: "report", run: secrets::report, seeds: secrets::report_seeds },
    Target { name: "blocks", run: blocks::blocks, seeds: blocks::blocks_seeds },
    Target { name: "isotp", run: wire::isotp, seeds: wire::isotp_seeds },
    Target { name: "slcan", run: wire::slcan, seeds: wire::slcan_seeds },
    Target { name: "session", run: device::session, seeds: device::session_seeds },
    Target { name: "journal", run: device::journal, seeds: device::journal_seeds },
    Target { name: "provisioning", run: device::provisioning, seeds: device::provisioning_seeds },
    Target { name: "files", run: files::files, seeds: files::files_seeds },
    Target { name: "ceremony", run: ceremony::ceremony, seeds: ceremony::ceremony_seeds },
    Target { name: "share", run: shares::share, seeds: shares::share_seeds },
    Target { name: "line", run: lines::line, seeds: lines::line_seeds },
    Target { name: "http", run: http::http, seeds: http::http_seeds },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
