//! The programs of the board for linker scripts.

pub use linker_scripts::Program;

/// The application, in Rust or in C: its code from the image's start on.
pub const APPLICATION: Program = Program {
    code_start: crate::IMAGE_START,
    code_len: crate::IMAGE_LEN_MAX,
    text_start: None,
    ram_start: crate::RAM_START,
    ram_len: crate::APP_RAM_LEN,
    stack_len: crate::APP_STACK_LEN,
};
