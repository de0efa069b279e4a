//! Why the chip was reset, and clocks and pins as after a reset (RM0440 7.4).

use bootloader::mailbox::ResetCause;

use super::{
    ACR, AHB2ENR, APB1ENR1, CCIPR, CFGR, CR, FDCAN, FDCAN_FROM_PLL, FLASH_ACR, GPIOA, GPIOA_AFRH,
    GPIOA_MODER, HALF_MASK, HALVED, HSE_ON, PINS_FUNCTION_MASK, PINS_MODE, PLL_ON, PLL_READY, PLLCFGR, PWR,
    SWITCH_STATUS, TIM2,
};
use crate::registers::registers;

registers! {
    0x4002_1000:
    APB1RSTR1 = 0x38;
    CSR = 0x94;
}

const HSI: u32 = 1;
const SWITCH: u32 = 0b11;
const PLLCFGR_RESET: u32 = 0x1000;
/// As after a reset: one wait state, both caches on.
const ACR_RESET: u32 = 1 << 18 | 1 << 10 | 1 << 9 | 1;
const ACR_INSTRUCTION_CACHE: u32 = 1 << 9;
const ACR_CACHE_RESETS: u32 = 1 << 12 | 1 << 11;

const FORGET: u32 = 1 << 23;
const PIN: u32 = 1 << 26;
const BROWN_OUT: u32 = 1 << 27;
const SOFTWARE: u32 = 1 << 28;
const WATCHDOGS: u32 = 0b11 << 29;
/// A low-power mode that the option bytes forbid, and a launch of the option bytes: what a program does.
const FORBIDDEN_MODE: u32 = 1 << 31;
const OPTION_BYTES: u32 = 1 << 25;

/// Why the chip was reset (7.4.28). Each reset pulls the pin as well; power-up is a brown-out for this part.
pub(crate) fn take_reset_cause() -> ResetCause {
    let flags = CSR.read();
    CSR.set(FORGET);
    CSR.clear(FORGET);
    match flags {
        flags if flags & BROWN_OUT != 0 => ResetCause::Power,
        flags if flags & WATCHDOGS != 0 => ResetCause::Watchdog,
        flags if flags & (SOFTWARE | FORBIDDEN_MODE | OPTION_BYTES) != 0 => ResetCause::Software,
        flags if flags & PIN != 0 => ResetCause::Pin,
        _ => ResetCause::Unknown,
    }
}

/// Everything of [`start`](super::start) as after a reset, for an application.
pub(crate) fn stop() {
    APB1RSTR1.write(TIM2 | FDCAN | PWR);
    APB1RSTR1.write(0);
    GPIOA_MODER.replace(PINS_MODE, PINS_MODE);
    GPIOA_AFRH.replace(PINS_FUNCTION_MASK, 0);
    CFGR.replace(HALF_MASK, HALVED);
    CFGR.replace(SWITCH, HSI);
    while CFGR.read() & SWITCH_STATUS != HSI << 2 {}
    CFGR.replace(HALF_MASK, 0);
    CR.clear(PLL_ON);
    while CR.read() & PLL_READY != 0 {}
    CR.clear(HSE_ON);
    PLLCFGR.write(PLLCFGR_RESET);
    CCIPR.clear(FDCAN_FROM_PLL);
    APB1ENR1.clear(TIM2 | FDCAN | PWR);
    AHB2ENR.clear(GPIOA);
    // What the cache holds of slot A may be older than its image.
    FLASH_ACR.write(ACR & !ACR_INSTRUCTION_CACHE);
    FLASH_ACR.write(ACR & !ACR_INSTRUCTION_CACHE | ACR_CACHE_RESETS);
    FLASH_ACR.write(ACR_RESET);
}
