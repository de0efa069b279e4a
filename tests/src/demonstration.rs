//! The report that `cargo xtask demo --json` has to print, compared apart from the program that prints it.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::xtask;

/// Runs the demonstration on one kind of device and compares its whole report.
///
/// # Errors
/// When the demonstration fails or reports anything else.
pub fn check(kind: &str, device: &str) -> Result<()> {
    let programs = xtask::build_programs()?;
    let programs = programs.to_str().context("the path of the programs is text")?;
    let report = xtask::run(&["demo", "--device", kind, "--programs", programs])?;
    let expected = expected(device);
    ensure!(report == expected, "the demonstration reports {report}, not {expected}");
    Ok(())
}

fn expected(device: &str) -> Value {
    json!({
        "device": device,
        "before": "1.0.0",
        "after": "2.0.0",
        "refused": {
            "tampered-image": "image-digest-mismatch",
            "tampered-manifest": "manifest-digest-mismatch",
            "foreign-root": "anchor-unknown",
            "revoked-release-key": "credential-revoked",
            "rollback": "sequence-rollback",
            "wrong-vendor": "vendor-mismatch",
            "wrong-class": "class-mismatch",
        },
        "resumed": true,
        "reverted": true,
    })
}
