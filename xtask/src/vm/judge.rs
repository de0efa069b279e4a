//! Whether what the guest reported is what had to happen.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::authoring::Release;

/// The buses of the guest, in the order of its script.
const CASES: [&str; 3] = ["vcan", "vcan-fd", "slcan"];

/// Modules of can-bus/tests/vcan.rs, and how many tests each has.
const TESTS: [(&str, u64); 3] = [("plain", 2), ("slow", 3), ("serial", 1)];

/// One line of the guest.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Report {
    case: String,
    step: String,
    exit: i32,
    answer: Value,
}

/// One update through one CAN interface.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Case {
    case: String,
    interface: String,
    before: String,
    after: String,
    image_bytes: u64,
    /// Frames and payload bytes that updater-host, and the simulated device, sent through the interface.
    frames: u64,
    bytes: u64,
    seconds: f64,
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:8} {} -> {}, confirmed: {} image bytes in {:.1} s, {} frames through {}",
            self.case, self.before, self.after, self.image_bytes, self.seconds, self.frames, self.interface
        )
    }
}

/// Judges all cases; the first thing that is wrong is the error.
pub(super) fn judge(reports: &[Report], releases: &[Release; 2]) -> Result<Vec<Case>> {
    answer(reports, "guest", "up")?;
    if let Some(failed) = reports.iter().find(|report| report.exit != 0) {
        bail!("{} {}: exit {}: {}", failed.case, failed.step, failed.exit, failed.answer);
    }
    judge_tests(reports)?;
    let cases = CASES.iter().map(|case| judge_case(case, reports, releases)).collect::<Result<_>>()?;
    answer(reports, "guest", "done")?;
    Ok(cases)
}

/// The tests of can-bus that need interfaces.
fn judge_tests(reports: &[Report]) -> Result<()> {
    for (module, count) in TESTS {
        let tests = answer(reports, "can-bus", module)?;
        ensure!(tests["passed"] == count, "{count} tests of can-bus {module} had to pass: {tests}");
    }
    Ok(())
}

fn judge_case(case: &str, reports: &[Report], [first, second]: &[Release; 2]) -> Result<Case> {
    let installed = answer(reports, case, &first.version)?;
    ensure!(installed["result"] == "confirmed", "{case}: the first install: {installed}");
    let update = answer(reports, case, &second.version)?;
    ensure!(update["result"] == "confirmed", "{case}: the update: {update}");
    let text = |value: &Value, what: &str| -> Result<String> {
        Ok(value.as_str().with_context(|| format!("{case}: {what} is missing in {update}"))?.to_owned())
    };
    let before = text(&update["before"]["version"], "before.version")?;
    let after = text(&update["after"]["version"], "after.version")?;
    ensure!(before == first.version, "{case}: updated from {before}, not from {}", first.version);
    ensure!(after == second.version, "{case}: updated to {after}, not to {}", second.version);
    let info = answer(reports, case, "info")?;
    ensure!(info["version"] == after.as_str(), "{case}: the device reports {info}");

    let traffic = answer(reports, case, "traffic")?;
    let number = |key: &str| traffic[key].as_u64().with_context(|| format!("{case}: no {key} in {traffic}"));
    let (frames, bytes) = (number("frames")?, number("bytes")?);
    let images = first.image_bytes + second.image_bytes;
    ensure!(bytes >= images, "{case}: {bytes} bytes crossed the interface, the images are {images}");
    // Classic frames carry at most 8 bytes; only FD frames explain fewer frames than that.
    let classic_frames = images / 8;
    let expects_fd = case == "vcan-fd";
    ensure!(
        (frames < classic_frames) == expects_fd,
        "{case}: {frames} frames for {images} bytes are the wrong kind of frames"
    );
    Ok(Case {
        case: case.to_owned(),
        interface: text(&traffic["interface"], "interface")?,
        before,
        after,
        image_bytes: second.image_bytes,
        frames,
        bytes,
        seconds: update["seconds"].as_f64().with_context(|| format!("{case}: no seconds in {update}"))?,
    })
}

fn answer<'a>(reports: &'a [Report], case: &str, step: &str) -> Result<&'a Value> {
    let mut matching = reports.iter().filter(|report| report.case == case && report.step == step);
    let report = matching.next().with_context(|| format!("the guest did not report `{case} {step}`"))?;
    Ok(&report.answer)
}

#[cfg(test)]
mod tests;
