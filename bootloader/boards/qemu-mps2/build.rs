//! The loader's linker scripts, from the board's layout.

use qemu_mps2_layout as layout;
use qemu_mps2_layout::linker::Program;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    Program {
        code_start: layout::LOADER_START,
        code_len: layout::LOADER_LEN,
        text_start: None,
        ram_start: layout::RAM_START,
        ram_len: layout::LOADER_RAM_LEN,
        stack_len: layout::LOADER_STACK_LEN,
    }
    .link(&[])?;
    // cortex-m-rt takes it in where the handlers of interrupts have other names than `DefaultHandler`: none here.
    std::fs::write(std::path::PathBuf::from(std::env::var("OUT_DIR")?).join("device.x"), "")?;
    Ok(())
}
