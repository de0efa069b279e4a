//! The CMSDK watchdog: started by the loader, never stopped, fed by loader and application. An application that
//! hangs on trial is reset by it, and so reverted.

use cortex_m_board::mmio::Register;

use crate::clock::PERIPHERAL_MHZ;

/// Unfed for this long, the board resets. Generous: on a busy host QEMU's time goes on while the guest does not.
const TIMEOUT_US: u32 = 10_000_000;

// SAFETY: the CMSDK watchdog of this board (AN386, memory map); its registers take any value.
const LOAD: Register = unsafe { Register::at(0x4000_8000) };
// SAFETY: as above.
const CTRL: Register = unsafe { Register::at(0x4000_8008) };
// SAFETY: as above.
const INTCLR: Register = unsafe { Register::at(0x4000_800C) };
// SAFETY: as above.
const LOCK: Register = unsafe { Register::at(0x4000_8C00) };
const UNLOCK: u32 = 0x1ACC_E551;
const INTERRUPT: u32 = 1;
const RESET: u32 = 1 << 1;

/// Starts it. The first expiry is the NMI, which resets (src/fault.rs); the second would reset without the core.
pub(crate) fn start() {
    LOCK.write(UNLOCK);
    LOAD.write(TIMEOUT_US * PERIPHERAL_MHZ);
    CTRL.write(INTERRUPT | RESET);
    LOCK.write(0);
}

/// Puts the expiry off; does nothing before [`start`].
pub(crate) fn feed() {
    LOCK.write(UNLOCK);
    INTCLR.write(1);
    LOCK.write(0);
}
