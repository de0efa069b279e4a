//! Updates through the Linux CAN stack: vcan, classic and FD, and slcan into the Cortex-M4.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use system_tests::xtask;

#[test]
fn entire_updates_through_socketcan() -> Result<()> {
    let programs = xtask::build_programs()?;
    let programs = programs.to_str().context("the path of the programs is text")?;
    let report = xtask::run(&["vm", "--programs", programs])?;
    let cases = report["cases"].as_array().context("the report lists no cases")?;
    let names: Vec<_> = cases.iter().map(|case| &case["case"]).collect();
    ensure!(names == ["vcan", "vcan-fd", "slcan"], "the cases are {names:?}");
    for case in cases {
        ensure!(case["before"] == "1.0.0" && case["after"] == "2.0.0", "no whole update: {case}");
        let number = |key: &str| case[key].as_u64().with_context(|| format!("no {key} in {case}"));
        ensure!(number("bytes")? > number("image_bytes")?, "the image did not cross the interface: {case}");
    }
    let frames = |index: usize| cases.get(index).and_then(|case: &Value| case["frames"].as_u64());
    ensure!(frames(1) < frames(0), "CAN FD took no fewer frames than classic CAN: {report}");
    Ok(())
}
