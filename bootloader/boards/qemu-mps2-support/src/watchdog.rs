//! The CMSDK watchdog: started by the loader, never stopped, fed by loader and application. An application that
//! hangs on trial is reset by it, and so reverted.

use cortex_m_board::mmio::Register;

use crate::MACHINE;

/// Unfed for this long, the board resets. Generous: on a busy host QEMU's time goes on while the guest does not.
const TIMEOUT_US: u32 = 10_000_000;

// SAFETY: the CMSDK watchdog of this board (its memory map); its registers take any value.
const LOAD: Register = unsafe { Register::at(MACHINE.watchdog as usize) };
// SAFETY: as above.
const CTRL: Register = unsafe { Register::at(MACHINE.watchdog as usize + 0x008) };
// SAFETY: as above.
const INTCLR: Register = unsafe { Register::at(MACHINE.watchdog as usize + 0x00C) };
// SAFETY: as above.
const LOCK: Register = unsafe { Register::at(MACHINE.watchdog as usize + 0xC00) };
const UNLOCK: u32 = 0x1ACC_E551;
const INTERRUPT: u32 = 1;
const RESET: u32 = 1 << 1;

/// Starts it. The first expiry is the NMI, which resets (src/fault.rs); the second would reset without the core.
pub(crate) fn start() {
    LOCK.write(UNLOCK);
    LOAD.write(TIMEOUT_US * MACHINE.peripheral_mhz);
    CTRL.write(INTERRUPT | RESET);
    LOCK.write(0);
}

/// Puts the expiry off; does nothing before [`start`].
pub(crate) fn feed() {
    LOCK.write(UNLOCK);
    INTCLR.write(1);
    LOCK.write(0);
}
