// Linker scripts out of layout.rs, for the build scripts of loader and application. `memory.x` is what
// cortex-m-rt's link.x includes; its assertions compare what the linker did with what layout.rs says.

/// What a binary occupies: where its code lies, how much RAM it has and how much of that is stack.
pub struct Program {
    /// Address of the vector table, and first of the code.
    pub code_start: u32,
    /// Bytes for code and constants.
    pub code_len: u32,
    /// Where instructions may begin, if not right behind the vector table.
    pub text_start: Option<u32>,
    /// Bytes of RAM from `RAM_START` on.
    pub ram_len: u32,
    /// Bytes of them that are stack; they come first, so that an overflow leaves RAM instead of eating variables.
    pub stack_len: u32,
}

impl Program {
    /// The text of memory.x.
    pub fn memory_x(&self) -> String {
        let Self { code_start, code_len, text_start, ram_len, stack_len } = *self;
        let stack_end = super::layout::RAM_START;
        let stack_start = stack_end + stack_len;
        let static_len = ram_len - stack_len;
        let stext = text_start.map_or(String::new(), |start| format!("_stext = {start:#010x};\n"));
        format!(
            "/* Generated from layout.rs. */
MEMORY
{{
  FLASH : ORIGIN = {code_start:#010x}, LENGTH = {code_len:#x}
  RAM : ORIGIN = {stack_start:#010x}, LENGTH = {static_len:#x}
}}
_stack_start = {stack_start:#010x};
_stack_end = {stack_end:#010x};
{stext}ASSERT(__vector_table == {code_start:#010x}, \"the vector table is not where layout.rs has it\");
ASSERT(__sidata + (__edata - __sdata) <= {code_start:#010x} + {code_len:#x}, \"the code leaves its region\");
ASSERT(__sdata >= _stack_start, \"variables reach into the stack\");
ASSERT(__euninit <= {stack_end:#010x} + {ram_len:#x}, \"variables leave RAM\");
"
        )
    }

    /// Writes memory.x and the other scripts `(name, text)` where the linker finds them, and passes link.x.
    pub fn link(&self, scripts: &[(&str, String)]) -> Result<(), Box<dyn std::error::Error>> {
        let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
        std::fs::write(out.join("memory.x"), self.memory_x())?;
        println!("cargo:rustc-link-search={}", out.display());
        // Programs for this machine (tests of the libraries) have nothing to do with linker scripts.
        if std::env::var("CARGO_CFG_TARGET_OS")? == "none" {
            println!("cargo:rustc-link-arg-bins=-Tlink.x");
            // No page alignment: else the linker loads the ELF's own headers to the page below RAM's variables.
            println!("cargo:rustc-link-arg-bins=--nmagic");
            for (name, text) in scripts {
                std::fs::write(out.join(name), text)?;
                println!("cargo:rustc-link-arg-bins=-T{name}");
            }
        }
        Ok(())
    }
}
