//! The loader's linker scripts, from the board's layout.

use qemu_mps2_layout::linker;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    linker::loader(&linker::machine()?).link(&[])
}
