//! Which bank of the flash lies where (RM0440 10.2.1): SYSCFG_MEMRMP.FB_MODE puts bank 2 at the first address, until the
//! next reset. Only addresses change places. Bank and page of an erase (FLASH_CR), the address of an ECC fault
//! (FLASH_ECCR), write protection and the securable area name banks, whatever lies where.

#[cfg(feature = "bank-switch")]
pub(crate) use exchange::{flip, start};

/// What an address of flash is combined with, by exclusive or, for what lies there after a reset.
#[cfg(not(feature = "bank-switch"))]
pub(crate) const fn flip() -> u32 {
    0
}

/// Nothing exchanges them.
#[cfg(not(feature = "bank-switch"))]
pub(crate) const fn start() {}

#[cfg(all(feature = "bank-switch", feature = "loader"))]
pub(crate) use exchange::switch;

#[cfg(feature = "bank-switch")]
mod exchange {
    use crate::memory_map::{BANK_LEN, LOADER_START};
    use crate::registers::registers;

    registers! {
        0x4001_0000:
        MEMRMP = 0x00;
    }
    registers! {
        0x4002_1000:
        APB2ENR = 0x60;
    }

    const SYSCFG: u32 = 1;
    const FB_MODE: u32 = 1 << 8;
    const _: () = assert!(LOADER_START.is_multiple_of(2 * BANK_LEN) && BANK_LEN.is_power_of_two());

    /// SYSCFG has a clock: without one it reads as 0. It keeps it for an application.
    pub(crate) fn start() {
        APB2ENR.set(SYSCFG);
        // The clock is there two cycles later (7.2.17).
        let _clock = APB2ENR.read();
    }

    /// What an address of flash is combined with, by exclusive or, for what lies there after a reset.
    pub(crate) fn flip() -> u32 {
        if MEMRMP.read() & FB_MODE == 0 { 0 } else { BANK_LEN }
    }

    /// Exchanges the banks and branches to an application, whose loader's pages are hidden as in
    /// [`leave`](crate::flash::leave).
    ///
    /// # Safety
    /// The arguments are those of an image that may run once the banks are exchanged; nothing of the caller is used
    /// afterwards.
    #[cfg(feature = "loader")]
    pub(crate) unsafe fn switch(stack_pointer: *const u32, reset_vector: *const u32) -> ! {
        let control = crate::flash::unlock_to_hide();
        // SAFETY: the caller vouched for them; the controller takes `control`.
        unsafe { exchange_and_branch(stack_pointer, reset_vector, control) }
    }

    /// Exchanges the banks, empties both caches, writes `control` to FLASH_CR. In RAM, since the loader's code is gone
    /// after the exchange. If it does not happen, the watchdog resets: nothing else may run.
    #[cfg(feature = "loader")]
    #[unsafe(naked)]
    #[unsafe(link_section = ".data.exchange_and_branch")]
    unsafe extern "C" fn exchange_and_branch(
        stack_pointer: *const u32,
        reset_vector: *const u32,
        control: u32,
    ) -> ! {
        core::arch::naked_asm!(
            "cpsid i",
            "ldr r4, =0x40022000", // FLASH_ACR
            "ldr r5, =0x00040001", // as after a reset, without caches
            "str r5, [r4]",
            "dsb",
            "ldr r6, =0x40010000", // SYSCFG_MEMRMP
            "mov r7, #0x100",      // FB_MODE
            "str r7, [r6]",
            "2:",
            "ldr r3, [r6]",
            "tst r3, r7",
            "beq 2b",
            "dsb",
            "isb",
            "orr r3, r5, #0x1800", // DCRST, ICRST
            "str r3, [r4]",
            "str r5, [r4]",
            "orr r5, r5, #0x600", // DCEN, ICEN
            "str r5, [r4]",
            "str r2, [r4, #0x14]",     // FLASH_CR
            "orr r2, r2, #0x80000000", // LOCK
            "str r2, [r4, #0x14]",
            "dsb",
            "isb",
            "msr msp, r0",
            "cpsie i",
            "bx r1",
            ".ltorg",
        )
    }
}
