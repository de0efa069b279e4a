//! Clocks and pins (RM0440 7, 9, 3.3.3).
//!
//! The core runs at 144 MHz from the crystal: 24 MHz / 6 * 72 / 2. FDCAN takes the crystal itself, whose 24 MHz divide
//! into both bit rates. If the crystal does not start, all come from HSI16 (1 %), and FDCAN divides output Q by two:
//! then the image starts, and CAN may not work.

use crate::registers::registers;

#[cfg(feature = "loader")]
pub(crate) mod handover;

registers! {
    0x4002_1000:
    CR = 0x00;
    CFGR = 0x08;
    PLLCFGR = 0x0C;
    AHB2ENR = 0x4C;
    APB1ENR1 = 0x58;
    CCIPR = 0x88;
}
registers! {
    0x4002_2000:
    FLASH_ACR = 0x00;
}
registers! {
    0x4800_0000:
    GPIOA_MODER = 0x00;
    GPIOA_AFRH = 0x24;
}

/// Frequency of TIM2, which has the clock of the core.
pub(crate) const TIMER_MHZ: u32 = 144;

const HSE_ON: u32 = 1 << 16;
const HSE_READY: u32 = 1 << 17;
const PLL_ON: u32 = 1 << 24;
const PLL_READY: u32 = 1 << 25;
const PLL: u32 = 3;
const SWITCH_STATUS: u32 = 0b11 << 2;
const HALVED: u32 = 0b1000 << 4;
const HALF_MASK: u32 = 0b1111 << 4;
/// Reads of a register in which the crystal is there, or never: some 30 ms at 16 MHz.
const CRYSTAL_TRIES: u32 = 50_000;
/// 288 MHz, from the crystal divided by 6 or from HSI16 divided by 4, times 72. Output R has half of it, output Q a sixth.
const PLL_FROM_CRYSTAL: u32 = 3 | (6 - 1) << 4;
const PLL_FROM_HSI: u32 = 2 | (4 - 1) << 4;
const PLL_OUTPUTS: u32 = 72 << 8 | 1 << 24 | 1 << 20 | 2 << 21;
/// The kernel clock of FDCAN: output Q in place of the crystal.
const FDCAN_FROM_PLL: u32 = 1 << 24;

/// Four wait states (up to 150 MHz), prefetch, instruction cache; bit 18 lets a debugger in. No data cache: what was programmed or erased must be
/// read from flash, and its ECC seen.
const ACR: u32 = 1 << 18 | 1 << 9 | 1 << 8 | 4;
const ACR_LATENCY: u32 = 0b1111;

const GPIOA: u32 = 1;
const TIM2: u32 = 1;
const FDCAN: u32 = 1 << 25;
const PWR: u32 = 1 << 28;
/// PA11 and PA12 with alternate function 9: receive and transmit of FDCAN1 (data sheet, table 13).
const PINS_MODE: u32 = 0b1111 << 22;
const PINS_ALTERNATE: u32 = 0b1010 << 22;
const PINS_FUNCTION_MASK: u32 = 0xFF << 12;
const PINS_FUNCTION: u32 = 0x99 << 12;

/// Core at 144 MHz, peripherals with a clock, pins with FDCAN. Whether the crystal runs; if not, the kernel clock of FDCAN
/// has 48 MHz and not 24.
pub(crate) fn start() -> bool {
    APB1ENR1.set(TIM2 | FDCAN | PWR);
    AHB2ENR.set(GPIOA);
    FLASH_ACR.write(ACR);
    while FLASH_ACR.read() & ACR_LATENCY != ACR & ACR_LATENCY {}
    CR.set(HSE_ON);
    let has_crystal = (0..CRYSTAL_TRIES).any(|_| CR.read() & HSE_READY != 0);
    if has_crystal {
        PLLCFGR.write(PLL_OUTPUTS | PLL_FROM_CRYSTAL);
    } else {
        CR.clear(HSE_ON);
        CCIPR.set(FDCAN_FROM_PLL);
        PLLCFGR.write(PLL_OUTPUTS | PLL_FROM_HSI);
    }
    CR.set(PLL_ON);
    while CR.read() & PLL_READY == 0 {}
    // A step of more than 80 MHz at once needs half the frequency for a microsecond (7.2.7).
    CFGR.write(HALVED | PLL);
    while CFGR.read() & SWITCH_STATUS != PLL << 2 {}
    cortex_m::asm::delay(TIMER_MHZ);
    CFGR.replace(HALF_MASK, 0);
    GPIOA_AFRH.replace(PINS_FUNCTION_MASK, PINS_FUNCTION);
    GPIOA_MODER.replace(PINS_MODE, PINS_ALTERNATE);
    has_crystal
}
