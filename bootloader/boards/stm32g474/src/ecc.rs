//! Words of flash with two bad bits (RM0440 3.3.2): the controller raises the NMI for each, after it has answered the read
//! with anything. Within a read of the driver the handler takes the fault down for it, whatever FLASH_ECCR says: of a
//! word that a reset interrupted, its content may be wrong (device errata). Any other fault resets: the program itself does
//! not read back.

use core::sync::atomic::{AtomicU8, Ordering};

use cortex_m::peripheral::SCB;

use crate::registers::registers;

registers! {
    0x4002_2000:
    ECCR = 0x18;
}

/// Two bad bits; in single-bank mode there are two words at once.
const DETECTED: u32 = 1 << 31 | 1 << 29;
const CORRECTED: u32 = 1 << 30 | 1 << 28;

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

/// The only source that is enabled is the controller of the flash.
#[unsafe(no_mangle)]
extern "C" fn NonMaskableInt() {
    if READ.load(Ordering::SeqCst) == IDLE {
        SCB::sys_reset()
    }
    READ.store(FAULTED, Ordering::SeqCst);
    // Until this is cleared, the NMI comes again.
    ECCR.write(DETECTED | CORRECTED);
    cortex_m::asm::dsb();
}
