//! The loader's linker scripts, from the memory map.

use linker_scripts::Program;
use stm32g474_layout as memory_map;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    Program {
        code_start: memory_map::LOADER_START,
        code_len: memory_map::LOADER_LEN,
        text_start: None,
        ram_start: memory_map::RAM_START,
        ram_len: memory_map::LOADER_RAM_LEN,
        stack_len: memory_map::LOADER_STACK_LEN,
    }
    .link(&[])
}
