//! The application's linker script, from the memory map of its board, and the table that makes its image larger.
//! `APP_BALLAST`: bytes of that table, 0 by default.

use linker_scripts::Program;
use stm32g474_layout as memory_map;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=APP_BALLAST");
    Program {
        code_start: memory_map::IMAGE_START,
        code_len: memory_map::IMAGE_LEN_MAX,
        text_start: None,
        ram_start: memory_map::RAM_START,
        ram_len: memory_map::APP_RAM_LEN,
        stack_len: memory_map::APP_STACK_LEN,
    }
    .link(&[])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    // cortex-m-rt takes it in where the handlers of interrupts have other names than `DefaultHandler`: none here.
    std::fs::write(out.join("device.x"), "")?;
    let len: u32 = std::env::var("APP_BALLAST").map_or(Ok(0), |len| len.parse())?;
    let ballast: Vec<u8> = (0..len).map(|index| index.wrapping_mul(0x9E37_79B1).to_le_bytes()[3]).collect();
    std::fs::write(out.join("ballast.bin"), ballast)?;
    Ok(())
}
