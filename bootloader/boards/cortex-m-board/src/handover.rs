//! The jump into an application: the core is left as after a reset, but for the watchdog, which goes on.

use core::ptr::with_exposed_provenance;

use bootloader::Entry;
use bootloader::firmware_image::Vectors;
#[cfg(feature = "remap")]
use bootloader::layout::Slot;
use cortex_m::peripheral::{Peripherals, SCB};

/// Loads the stack pointer and branches to the reset vector.
pub type Branch = unsafe fn(stack_pointer: *const u32, reset_vector: *const u32) -> !;

/// Never returns: runs the application.
pub fn jump(peripherals: &mut Peripherals, entry: Entry) -> ! {
    jump_by(peripherals, entry, cortex_m::asm::bootstrap)
}

/// The same for a part that leaves its loader in a way of its own.
#[inline(always)]
pub fn jump_by(peripherals: &mut Peripherals, entry: Entry, branch: Branch) -> ! {
    quiesce(peripherals);
    let Some(vectors) = entry.redeem() else { SCB::sys_reset() };
    hand_over(peripherals, vectors, branch)
}

/// The same for a part that [switches banks](bootloader::layout::Strategy::BankSwitch): `switch` does so before it
/// branches, from RAM.
#[cfg(feature = "remap")]
pub fn jump_with_bank(peripherals: &mut Peripherals, entry: Entry, branch: Branch, switch: Branch) -> ! {
    quiesce(peripherals);
    match entry.redeem_with_bank() {
        Some((vectors, Slot::A)) => hand_over(peripherals, vectors, branch),
        Some((vectors, Slot::B)) => hand_over(peripherals, vectors, switch),
        Some((_, Slot::Kept)) | None => SCB::sys_reset(),
    }
}

/// Nothing interrupts any more, and nothing is protected.
#[inline(always)]
fn quiesce(peripherals: &mut Peripherals) {
    cortex_m::interrupt::disable();
    peripherals.SYST.disable_counter();
    peripherals.SYST.disable_interrupt();
    SCB::clear_pendst();
    SCB::clear_pendsv();
    for (enable, pending) in peripherals.NVIC.icer.iter().zip(&peripherals.NVIC.icpr) {
        // SAFETY: disabling interrupts that are masked already, and forgetting that they were pending.
        unsafe {
            enable.write(u32::MAX);
            pending.write(u32::MAX);
        }
    }
    crate::protection::release(&mut peripherals.MPU);
}

#[inline(always)]
fn hand_over(peripherals: &mut Peripherals, vectors: Vectors, branch: Branch) -> ! {
    let stack_pointer = with_exposed_provenance(vectors.stack_pointer() as usize);
    let reset_vector = with_exposed_provenance(vectors.reset_vector() as usize);
    // SAFETY: an `Entry` exists only for an image that was verified and whose stack pointer and reset vector were
    // checked. Nothing of the loader is used afterwards.
    unsafe {
        peripherals.SCB.vtor.write(vectors.vector_table());
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
        // Nothing is enabled or pending any more: what remains is the core's state after a reset.
        cortex_m::interrupt::enable();
        branch(stack_pointer, reset_vector)
    }
}
