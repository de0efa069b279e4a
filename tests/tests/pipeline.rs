//! The whole pipeline on the loader binary, on a Cortex-M4 in QEMU.

use anyhow::Result;
use system_tests::demonstration;

#[test]
fn entire_pipeline_on_the_cortex_m4() -> Result<()> {
    demonstration::check("qemu", "qemu-mps2")
}
