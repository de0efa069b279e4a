//! IWDG (RM0440 42, RM0090 21): started by the loader, never stopped, fed by loader and application. It has a clock of its own
//! (LSI, 32 kHz nominal), so that a loader whose crystal does not start is reset as well.

use cortex_m_board::mmio::Register;

// SAFETY: IWDG_KR takes three keys and ignores other values.
const KEY: Register = unsafe { Register::at(0x4000_3000) };
// SAFETY: IWDG_PR takes any value while it is unlocked.
const PRESCALER: Register = unsafe { Register::at(0x4000_3004) };
// SAFETY: as above.
const RELOAD: Register = unsafe { Register::at(0x4000_3008) };
// SAFETY: IWDG_SR is only read.
const STATUS: Register = unsafe { Register::at(0x4000_300C) };

const START: u32 = 0xCCCC;
const UNLOCK: u32 = 0x5555;
const FEED: u32 = 0xAAAA;
/// A tick is 256 of LSI: 8 ms, 5.4 ms on an F4 whose LSI runs at 47 kHz.
const DIVIDE_BY_256: u32 = 6;
/// 8.2 s nominal; longer than any call of the flash driver, and than anything that is computed between two of them.
const TICKS: u32 = 1024;
const BUSY: u32 = 0b11;

/// Starts it, or sets its time if the option bytes have started it.
pub fn start() {
    KEY.write(START);
    KEY.write(UNLOCK);
    PRESCALER.write(DIVIDE_BY_256);
    RELOAD.write(TICKS);
    // The values arrive in its own clock domain within some ticks of LSI; it runs in any case.
    while STATUS.read() & BUSY != 0 {}
    KEY.write(FEED);
}

/// Puts the expiry off; does nothing before [`start`].
pub fn feed() {
    KEY.write(FEED);
}
