//! Words of flash with two bad bits (RM0440 3.3.2): the controller raises the NMI for each, after it has answered the read
//! with anything. The handler takes the fault down for the driver whose read it was. Any other one resets: the program
//! itself does not read back.

use core::sync::atomic::{AtomicU8, Ordering};

use cortex_m::peripheral::SCB;

use crate::memory_map::LOADER_LEN;
use crate::registers::registers;

registers! {
    0x4002_2000:
    ECCR = 0x18;
}

/// Two bad bits; in single-bank mode there are two words at once.
const DETECTED: u32 = 1 << 31 | 1 << 29;
const CORRECTED: u32 = 1 << 30 | 1 << 28;
/// In system memory, of bank 2, and the offset in its bank.
const SYSTEM: u32 = 1 << 22;
const BANK_2: u32 = 1 << 21;
const OFFSET: u32 = 0x7_FFFF;

const IDLE: u8 = 0;
const READING: u8 = 1;
const FAULTED: u8 = 2;

static READ: AtomicU8 = AtomicU8::new(IDLE);

/// Runs a read of the driver; whether each of its words was good.
pub(crate) fn watch(read: impl FnOnce()) -> bool {
    // A fault that is still noted keeps the address of the next one out.
    ECCR.write(DETECTED | CORRECTED);
    READ.store(READING, Ordering::SeqCst);
    read();
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    READ.swap(IDLE, Ordering::SeqCst) == READING
}

/// Whether the fault that the controller has noted lies in the loader.
const fn is_in_loader(eccr: u32) -> bool {
    eccr & (SYSTEM | BANK_2) == 0 && eccr & OFFSET < LOADER_LEN
}

/// The only source that is enabled is the controller of the flash.
#[unsafe(no_mangle)]
extern "C" fn NonMaskableInt() {
    let eccr = ECCR.read();
    if eccr & DETECTED == 0 || is_in_loader(eccr) || READ.load(Ordering::SeqCst) == IDLE {
        SCB::sys_reset()
    }
    READ.store(FAULTED, Ordering::SeqCst);
    // Until this is cleared, the NMI comes again.
    ECCR.write(DETECTED | CORRECTED);
    cortex_m::asm::dsb();
}
