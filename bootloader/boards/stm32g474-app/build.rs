//! The application's linker script, from the memory map of its board, and the table that makes its image larger.
//! `APP_BALLAST`: bytes of that table, 0 by default.

use linker_scripts::Program;
use stm32g474_layout as memory_map;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    Program {
        code_start: memory_map::IMAGE_START,
        code_len: memory_map::IMAGE_LEN_MAX,
        text_start: None,
        ram_start: memory_map::RAM_START,
        ram_len: memory_map::APP_RAM_LEN,
        stack_len: memory_map::APP_STACK_LEN,
    }
    .link(&[])?;
    linker_scripts::write_ballast()
}
