//! The loader's linker scripts, from the memory map: vectors in the first sector, the rest in the sector of 64 KiB.

use linker_scripts::Program;
use stm32f407_layout as memory_map;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let (vectors, code) = (memory_map::VECTORS, memory_map::CODE);
    let sectors = format!(
        "ASSERT(ADDR(.vector_table) + SIZEOF(.vector_table) <= {:#010x}, \"the vectors leave their sector\");\n",
        vectors.0 + vectors.1
    );
    Program {
        code_start: vectors.0,
        code_len: code.0 + code.1 - vectors.0,
        text_start: Some(code.0),
        ram_start: memory_map::RAM_START,
        ram_len: memory_map::LOADER_RAM_LEN,
        stack_len: memory_map::LOADER_STACK_LEN,
    }
    .link(&[("sectors.x", sectors)])
}
