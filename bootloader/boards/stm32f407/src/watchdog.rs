//! The independent watchdog (RM0090, 21): started by the loader, and nothing but a reset stops it. Flash accesses and the
//! main loop feed it; an application has to feed it too.

use cortex_m_board::mmio::Register;

use crate::registers::IWDG;

const KR: Register = IWDG.register(0x00);
const START: u32 = 0xCCCC;
const UNLOCK: u32 = 0x5555;
const FEED: u32 = 0xAAAA;
const PR: Register = IWDG.register(0x04);
const DIVIDED_BY_256: u32 = 6;
const RLR: Register = IWDG.register(0x08);
const SR: Register = IWDG.register(0x0C);
/// Of 8 ms at 32 kHz: 10 s, and with the tolerance of its oscillator (17 to 47 kHz) 6.8 to 18.8 s. A sector takes up to
/// 4 s to erase, within which the core stands still.
const COUNT: u32 = 1250;

/// Starts it.
pub(crate) fn start() {
    KR.write(START);
    KR.write(UNLOCK);
    PR.write(DIVIDED_BY_256);
    RLR.write(COUNT);
    // The new values reach its own clock domain within some of its cycles; until then it runs for 512 ms.
    while SR.read() != 0 {}
    feed();
}

/// Puts the expiry off.
pub(crate) fn feed() {
    KR.write(FEED);
}
