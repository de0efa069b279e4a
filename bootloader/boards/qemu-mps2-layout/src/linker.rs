//! The programs of the boards for linker scripts, and the machine that a build script is for.

use std::boxed::Box;
use std::error::Error;
use std::format;

pub use linker_scripts::Program;

use crate::{MACHINES, Machine};

/// The loader.
#[must_use]
pub const fn loader(machine: &Machine) -> Program {
    Program {
        code_start: machine.loader_start,
        code_len: crate::LOADER_LEN,
        text_start: None,
        ram_start: machine.ram_start,
        ram_len: crate::LOADER_RAM_LEN,
        stack_len: crate::LOADER_STACK_LEN,
    }
}

/// The application, in Rust or in C: its code from the image's start on.
#[must_use]
pub const fn application(machine: &Machine) -> Program {
    Program {
        code_start: machine.image_start(),
        code_len: crate::IMAGE_LEN_MAX,
        text_start: None,
        ram_start: machine.ram_start,
        ram_len: crate::APP_RAM_LEN,
        stack_len: crate::APP_STACK_LEN,
    }
}

/// The machine that the features of the package choose whose build script asks.
///
/// # Errors
/// When they choose none, or several.
pub fn machine() -> Result<Machine, Box<dyn Error>> {
    let is_chosen = |machine: &Machine| {
        std::env::var_os(format!("CARGO_FEATURE_{}", machine.name.to_ascii_uppercase())).is_some()
    };
    let mut chosen = MACHINES.into_iter().filter(is_chosen);
    match (chosen.next(), chosen.next()) {
        (Some(machine), None) => Ok(machine),
        _ => Err("choose one machine: --features an385, an386, an500 or an505".into()),
    }
}
