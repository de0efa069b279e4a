//! The whole pipeline on the simulated device: keys, release, update, refusals, power cut, revert.

use anyhow::Result;
use system_tests::demonstration;

#[test]
fn entire_pipeline_on_the_simulated_device() -> Result<()> {
    demonstration::check("sim", "sim")
}
