//! RAM that keeps its bytes across a reset: the mailbox of loader and application (docs/mailbox.md), and a word that
//! stands for the reset cause register of a chip, which this board does not have.

use bootloader::mailbox::MAILBOX_LEN;
#[cfg(feature = "loader")]
use bootloader::mailbox::ResetCause;
use cortex_m_board::mailbox::Mailbox;
use cortex_m_board::retained::Retained;

use crate::MACHINE;
use crate::layout::MAILBOX_LEN as REGION_LEN;

const MAILBOX_START: u32 = MACHINE.mailbox_start();
pub(crate) const RESET_CAUSE_START: u32 = MACHINE.reset_cause_start();

const _: () = assert!(MAILBOX_START as usize + MAILBOX_LEN <= RESET_CAUSE_START as usize);
const _: () = assert!(RESET_CAUSE_START + 4 <= MAILBOX_START + REGION_LEN);

/// The mailbox.
// SAFETY: RAM that no linker script gives to anything else, a multiple of 4, with room for the mailbox.
pub const MAILBOX: Mailbox = unsafe { Mailbox::at(MAILBOX_START as usize) };
// SAFETY: a word behind it, of which the same is true.
const RESET_CAUSE: Retained<4> = unsafe { Retained::at(RESET_CAUSE_START as usize) };

/// Left by the loader: a reset about which no program says anything.
#[cfg(feature = "loader")]
const PIN: u32 = u32::from_be_bytes(*b"PIN ");
/// Left by the handlers of fault.rs.
pub(crate) const SOFTWARE: u32 = u32::from_be_bytes(*b"SOFT");
/// Left by that of the watchdog.
pub(crate) const WATCHDOG: u32 = u32::from_be_bytes(*b"WDOG");

/// The next reset is a program's own.
pub(crate) fn announce_reset() {
    put_cause(SOFTWARE);
}

fn put_cause(cause: u32) {
    RESET_CAUSE.put(&cause.to_ne_bytes());
}

/// Why the board was reset; the next reset has a cause of its own.
#[cfg(feature = "loader")]
#[must_use]
pub(crate) fn take_cause() -> ResetCause {
    let cause = u32::from_ne_bytes(RESET_CAUSE.get());
    put_cause(PIN);
    match cause {
        PIN => ResetCause::Pin,
        SOFTWARE => ResetCause::Software,
        WATCHDOG => ResetCause::Watchdog,
        // RAM has lost its content.
        _ => ResetCause::Power,
    }
}
