//! What a loader takes over from the reset, and what it hands over to an application.

use bootloader::mailbox::ResetCause;
use cortex_m_board::mmio::Register;

use super::{
    ACR, AHB1ENR, APB1ENR, CAN1, CFGR, CFGR_SWITCHED, CR, GPIOD, HSE_ON, PLL_ON, PLL_READY, PLLCFGR, PWR,
    TIM2, WAIT_STATES,
};
use crate::registers::RCC;

const HSI_ON: u32 = 1;
const PLLCFGR_RESET: u32 = 0x2400_3010;
const AHB1RSTR: Register = RCC.register(0x10);
const APB1RSTR: Register = RCC.register(0x20);
/// The memory that only the core reaches is clocked at reset.
const AHB1ENR_RESET: u32 = 1 << 20;
const CSR: Register = RCC.register(0x74);
const INSTRUCTION_CACHE_RESET: u32 = 1 << 11;

/// Leaves clocks, caches and the loader's peripherals as after a reset. The watchdog goes on.
pub(crate) fn stop() {
    AHB1RSTR.write(GPIOD);
    APB1RSTR.write(TIM2 | CAN1 | PWR);
    AHB1RSTR.write(0);
    APB1RSTR.write(0);
    AHB1ENR.write(AHB1ENR_RESET);
    APB1ENR.write(0);
    CR.set(HSI_ON);
    CFGR.write(0);
    while CFGR.read() & CFGR_SWITCHED != 0 {}
    CR.clear(PLL_ON | HSE_ON);
    while CR.read() & PLL_READY != 0 {}
    PLLCFGR.write(PLLCFGR_RESET);
    ACR.write(WAIT_STATES);
    ACR.write(WAIT_STATES | INSTRUCTION_CACHE_RESET);
    ACR.write(0);
}

/// Causes of a reset (7.3.21), those that come with others last.
const CAUSES: [(u32, ResetCause); 6] = [
    // A power-on sets the flag of the brown-out too, and each of them that of the pin.
    (1 << 27, ResetCause::Power),
    (1 << 25, ResetCause::BrownOut),
    (1 << 29, ResetCause::Watchdog),
    (1 << 30, ResetCause::Watchdog),
    (1 << 28, ResetCause::Software),
    (1 << 26, ResetCause::Pin),
];
const FORGET_CAUSES: u32 = 1 << 24;

/// Why the part was reset. Forgets it.
pub(crate) fn take_reset_cause() -> ResetCause {
    let flags = CSR.read();
    CSR.set(FORGET_CAUSES);
    let cause = CAUSES.iter().find(|(flag, _)| flags & flag != 0);
    cause.map_or(ResetCause::Unknown, |(_, cause)| *cause)
}
