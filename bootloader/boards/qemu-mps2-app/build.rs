//! The application's linker scripts, from the board's layout, and what is compiled into it:
//! `APP_VERSION` (what it reports), `APP_CONFIRM` (`self`, `never`, `hang`, `crash` or `stall`), `APP_BALLAST` (bytes of a table that
//! makes the image as large as a real one), `APP_SLOT` (`1`: linked for slot B, for the feature `in-place`).

use std::error::Error;

use qemu_mps2_layout as layout;
use qemu_mps2_layout::linker::{self, Program};

const DEFAULT_VERSION: &str = "0.1.0";
const DEFAULT_BALLAST_LEN: usize = 160 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let machine = linker::machine()?;
    let mut application = linker::application(&machine);
    match variable("APP_SLOT")?.as_deref() {
        None | Some("0") => {}
        Some("1") if std::env::var_os("CARGO_FEATURE_IN_PLACE").is_some() => {
            application.code_start = machine.second_image_start();
        }
        Some(other) => {
            return Err(format!("APP_SLOT is {other:?}; it may be 0, or 1 with --features in-place").into());
        }
    }
    let descriptor_start = application.code_start + layout::APP_DESCRIPTOR_OFFSET;
    Program { text_start: Some(descriptor_start + layout::APP_DESCRIPTOR_LEN), ..application }
        .link(&[("descriptor.x", descriptor_x(descriptor_start))])?;

    let version = variable("APP_VERSION")?.unwrap_or_else(|| DEFAULT_VERSION.to_owned());
    let behaviour = match variable("APP_CONFIRM")?.as_deref() {
        None | Some("self") => "Confirms",
        Some("never") => "NeverConfirms",
        Some("hang") => "Hangs",
        Some("crash") => "Crashes",
        Some("stall") => "Stalls",
        Some(other) => {
            return Err(
                format!("APP_CONFIRM is {other:?}; it may be self, never, hang, crash or stall").into()
            );
        }
    };
    let ballast_len = match variable("APP_BALLAST")? {
        None => DEFAULT_BALLAST_LEN,
        Some(len) => len.parse().map_err(|error| format!("APP_BALLAST is {len:?}: {error}"))?,
    };
    let ballast = ballast(&version, ballast_len);
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("ballast.bin"), &ballast)?;
    std::fs::write(
        out.join("build.rs"),
        format!(
            "const VERSION: &str = {version:?};
const BEHAVIOUR: Behaviour = Behaviour::{behaviour};
static BALLAST: [u8; {ballast_len}] = *include_bytes!(concat!(env!(\"OUT_DIR\"), \"/ballast.bin\"));
const BALLAST_CHECKSUM: u32 = {:#x};
",
            checksum(&ballast)
        ),
    )?;
    Ok(())
}

fn variable(name: &str) -> Result<Option<String>, Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed={name}");
    match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}").into()),
    }
}

/// Puts the descriptor right after the vector table, where the simulator looks for it.
fn descriptor_x(start: u32) -> String {
    format!(
        "SECTIONS
{{
  .app_descriptor {start:#010x} :
  {{
    KEEP(*(.app_descriptor));
  }} > FLASH
}}
INSERT AFTER .vector_table;
ASSERT(ADDR(.vector_table) + SIZEOF(.vector_table) == {start:#010x}, \"the vectors are not as long as the layout has it\");
ASSERT(SIZEOF(.app_descriptor) == {len}, \"the descriptor is not as long as the layout has it\");
",
        len = layout::APP_DESCRIPTOR_LEN
    )
}

/// Bytes that do not compress and differ from version to version (xorshift, seeded with the version).
fn ballast(version: &str, len: usize) -> Vec<u8> {
    let mut state = version.bytes().fold(0x9E37_79B9_7F4A_7C15_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    }) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// FNV-1a, as the application's self-test computes it.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
