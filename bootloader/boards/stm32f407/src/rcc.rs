//! Reset and clock control (RM0090, 6 and 7). The crystal of 8 MHz, or the internal oscillator if there is none, over the
//! PLL: core 168 MHz, APB1 42 MHz, its timers 84 MHz.

use cortex_m_board::mmio::Register;

use crate::registers::{FLASH, RCC};

#[cfg(feature = "loader")]
pub(crate) mod handover;

const CR: Register = RCC.register(0x00);
const HSE_ON: u32 = 1 << 16;
const HSE_READY: u32 = 1 << 17;
const PLL_ON: u32 = 1 << 24;
const PLL_READY: u32 = 1 << 25;
const PLLCFGR: Register = RCC.register(0x04);
/// VCO 336 MHz, divided by 2 for the core, and by 7 for a USB or a random number generator.
const PLL_N: u32 = 336 << 6;
const PLL_Q: u32 = 7 << 24;
const PLL_FROM_HSE: u32 = 1 << 22;
const CFGR: Register = RCC.register(0x08);
const CFGR_SWITCHED: u32 = 0b11 << 2;
const SWITCHED_TO_PLL: u32 = 0b10 << 2;
const SWITCH_TO_PLL: u32 = 0b10;
/// APB1: divided by 4. APB2: by 2.
const DIVIDERS: u32 = 0b101 << 10 | 0b100 << 13;
const AHB1ENR: Register = RCC.register(0x30);
const APB1ENR: Register = RCC.register(0x40);

/// Clock of TIM2: twice APB1, since that is divided.
pub(crate) const TIMER_MHZ: u32 = 84;

const GPIOD: u32 = 1 << 3;
const TIM2: u32 = 1;
const CAN1: u32 = 1 << 25;
const PWR: u32 = 1 << 28;

/// Wait states and caches of the flash (3.5.1).
const ACR: Register = FLASH.register(0x00);
/// At 168 MHz and 2.7 V or more.
const WAIT_STATES: u32 = 5;
/// Instructions are cached, data are not: what the loader reads back comes from the flash itself.
const INSTRUCTION_CACHE: u32 = 1 << 9;

/// Looks at the crystal before the loader goes on without it: some 50 ms at 16 MHz. It starts within 10.
const HSE_LOOKS: u32 = 100_000;

/// Clocks core and peripherals. Without the crystal the board runs too, but its CAN clock is then as inexact as the
/// internal oscillator (1 %).
pub(crate) fn start() {
    ACR.write(WAIT_STATES | INSTRUCTION_CACHE);
    CR.set(HSE_ON);
    let has_crystal = (0..HSE_LOOKS).any(|_| CR.read() & HSE_READY != 0);
    let source = if has_crystal { PLL_FROM_HSE | 8 } else { 16 };
    PLLCFGR.write(PLL_Q | PLL_N | source);
    CFGR.write(DIVIDERS);
    CR.set(PLL_ON);
    // The watchdog ends these if the hardware does not.
    while CR.read() & PLL_READY == 0 {}
    CFGR.write(DIVIDERS | SWITCH_TO_PLL);
    while CFGR.read() & CFGR_SWITCHED != SWITCHED_TO_PLL {}
    AHB1ENR.set(GPIOD);
    APB1ENR.set(TIM2 | CAN1 | PWR);
    // The clock of a peripheral needs two cycles before the first access (7.3.14).
    let _ = APB1ENR.read();
}
