//! The loader of the emulated boards: the `bootloader` library over its drivers.
#![no_std]
#![no_main]

use bootloader::board::{self, Memory};
use cortex_m_board::Program;
use qemu_mps2_support::machine::Machine;

cortex_m_board::masked_interrupts!();

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::new();

    // Memory protection before anything is read that others wrote.
    // SAFETY: the first and only start of this program.
    let mut machine = unsafe { Machine::start(Program::Loader) };
    board::run(&mut machine, MEMORY)
}
