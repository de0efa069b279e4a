//! The loader of the STM32F407: the `bootloader` library over its drivers.
#![no_std]
#![no_main]

use bootloader::board::{self, Memory};
use stm32f407::machine::{Machine, Program};

unsafe extern "C" {
    fn DefaultHandler();
}

/// Interrupts stay masked, so the core never reads a vector after the exceptions. cortex-m-rt requires
/// one.
// SAFETY: the section of interrupt vectors, and a handler that resets.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [DefaultHandler];

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::new();

    // SAFETY: the first and only start of this program.
    let mut machine = unsafe { Machine::start(Program::Loader) };
    board::run(&mut machine, MEMORY)
}
