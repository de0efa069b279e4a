//! Faults and panics reset the device: the loader then decides anew. For chips that keep the cause of a reset.

use core::panic::PanicInfo;

use cortex_m::peripheral::SCB;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    SCB::sys_reset()
}

/// Any fault: the others are not enabled and escalate to this one. Resets without a stack, which may be what has
/// overflowed.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn HardFault() -> ! {
    core::arch::naked_asm!(
        "ldr r0, =0xE000ED0C", // AIRCR
        "ldr r1, =0x05FA0004", // key, SYSRESETREQ
        "dsb",
        "str r1, [r0]",
        "dsb",
        "0: b 0b",
    )
}

/// Interrupts are masked: what comes here is an exception that nobody expects.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn DefaultHandler() -> ! {
    core::arch::naked_asm!("b {reset}", reset = sym HardFault)
}
