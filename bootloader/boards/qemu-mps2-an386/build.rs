//! The loader's memory.x, from the board's layout.rs.

#[allow(dead_code, unreachable_pub, reason = "shared with the drivers; the loader needs a part")]
#[path = "../qemu-mps2-an386-support/layout.rs"]
mod layout;
#[allow(unreachable_pub, reason = "shared with the application")]
#[path = "../qemu-mps2-an386-support/linker.rs"]
mod linker;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../qemu-mps2-an386-support/layout.rs");
    println!("cargo:rerun-if-changed=../qemu-mps2-an386-support/linker.rs");
    linker::Program {
        code_start: layout::LOADER_START,
        code_len: layout::LOADER_LEN,
        text_start: None,
        ram_len: layout::LOADER_RAM_LEN,
        stack_len: layout::LOADER_STACK_LEN,
    }
    .link(&[])?;
    // cortex-m-rt takes it in where the handlers of interrupts have other names than `DefaultHandler`: none here.
    std::fs::write(std::path::PathBuf::from(std::env::var("OUT_DIR")?).join("device.x"), "")?;
    Ok(())
}
