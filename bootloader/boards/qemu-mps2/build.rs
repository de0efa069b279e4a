//! The loader's linker scripts, from the board's layout.

use qemu_mps2_layout::{DECRYPTING_STACK_LEN, linker};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let mut loader = linker::loader(&linker::machine()?);
    if std::env::var_os("CARGO_FEATURE_DECRYPTING").is_some() {
        loader.ram_len += DECRYPTING_STACK_LEN;
        loader.stack_len += DECRYPTING_STACK_LEN;
    }
    loader.link(&[])
}
