//! T14 over the built loader: each instruction of the verification is skipped once, in an emulator.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use system_tests::xtask;

/// The path from the boot rules to the signature; the whole form of `cargo xtask skip` has the rest.
const PATH: [&str; 13] = [
    "bootloader::verify",
    "bootloader::evidence",
    "bootloader::token",
    "decide",
    "suit_manifest::",
    "trust::chain",
    "trust::cose",
    "trust::credential",
    "trust::record",
    "trust::mac0",
    "bootloader::authority",
    "bootloader::loader::both",
    "bootloader::loader::table",
];
/// Instructions of it that run in a case, at least: fewer would mean that the emulator looked elsewhere.
const INSTRUCTIONS_MIN: u64 = 500;

fn number(value: &Value, key: &str) -> Result<u64> {
    value[key].as_u64().with_context(|| format!("no {key} in {value}"))
}

#[test]
fn t14_no_skipped_instruction_boots_anything_forged_or_lowers_a_floor() -> Result<()> {
    let mut arguments = vec!["skip", "--brief"];
    arguments.extend(PATH.iter().flat_map(|part| ["--in", part]));
    let report = xtask::run(&arguments)?;
    let cases = report["cases"].as_array().context("the report lists no cases")?;
    ensure!(cases.len() == 21, "{} cases", cases.len());
    for case in cases {
        ensure!(number(case, "instructions")? >= INSTRUCTIONS_MIN, "too little was attacked: {case}");
        ensure!(case["successes"] == Value::Array(Vec::new()), "an attack succeeded: {case}");
    }
    ensure!(number(&report, "boots")? == 0 && number(&report, "floors_fallen")? == 0, "{report}");
    Ok(())
}

/// The control: the same attacks find a boot in loaders that do not compare a second time, by signatures, by MACs and
/// of a table.
#[test]
fn t14_without_the_second_comparison_a_skipped_instruction_boots() -> Result<()> {
    for (case, part) in [
        ("forged-credential", "verify"),
        ("forged-mac", "authenticate_with"),
        ("table-mac", "authenticate_with"),
    ] {
        let mut command = xtask::command(&["skip", "--brief", "--in", part, "--case", case]);
        let output = command.args(["--without-evidence", "--json"]).output()?;
        let report: Value = serde_json::from_slice(&output.stdout).context("no JSON")?;
        ensure!(number(&report, "boots")? > 0, "the emulator is blind: {report}");
        ensure!(!output.status.success(), "a forged boot is no failure");
    }
    Ok(())
}
