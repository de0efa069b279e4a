//! Faults and panics reset the device: the loader then decides anew.

use core::panic::PanicInfo;

use cortex_m::peripheral::SCB;

use crate::mailbox::{self, RESET_CAUSE_START, SOFTWARE, WATCHDOG};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    mailbox::announce_reset();
    SCB::sys_reset()
}

/// Resets without a stack, which may be what has overflowed, and leaves the cause in r1.
#[unsafe(naked)]
extern "C" fn reset() -> ! {
    core::arch::naked_asm!(
        "ldr r0, ={cause}",
        "str r1, [r0]",
        "ldr r0, =0xE000ED0C", // AIRCR
        "ldr r1, =0x05FA0004", // key, SYSRESETREQ
        "dsb",
        "str r1, [r0]",
        "dsb",
        "0: b 0b",
        cause = const RESET_CAUSE_START,
    )
}

/// Any fault: the others are not enabled and escalate to this one.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn HardFault() -> ! {
    core::arch::naked_asm!("ldr r1, ={cause}", "b {reset}", cause = const SOFTWARE, reset = sym reset)
}

/// The watchdog.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn NonMaskableInt() -> ! {
    core::arch::naked_asm!("ldr r1, ={cause}", "b {reset}", cause = const WATCHDOG, reset = sym reset)
}

/// Interrupts are masked, so none is ever taken.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn DefaultHandler() -> ! {
    core::arch::naked_asm!("ldr r1, ={cause}", "b {reset}", cause = const SOFTWARE, reset = sym reset)
}
