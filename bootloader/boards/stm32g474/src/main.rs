//! The loader of the STM32G474: the `bootloader` library over its drivers.
#![no_std]
#![no_main]

use bootloader::board::{self, Memory};
use cortex_m_board::Program;
use stm32g474::machine::Machine;

cortex_m_board::masked_interrupts!();

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::new();

    // SAFETY: the first and only start of this program.
    let mut machine = unsafe { Machine::start(Program::Loader) };
    board::run(&mut machine, MEMORY)
}
