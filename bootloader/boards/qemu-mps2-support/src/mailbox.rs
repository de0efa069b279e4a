//! RAM that keeps its bytes across a reset: the mailbox of loader and application (docs/mailbox.md), and a word that
//! stands for the reset cause register of a chip, which this board does not have.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

use bootloader::mailbox::{ALIVE, ALIVE_OFFSET, MAILBOX_LEN, Request, ResetCause};

use crate::MACHINE;
use crate::layout::MAILBOX_LEN as REGION_LEN;

const MAILBOX_START: u32 = MACHINE.mailbox_start();
pub(crate) const RESET_CAUSE_START: u32 = MACHINE.reset_cause_start();

const _: () = assert!(MAILBOX_START as usize + MAILBOX_LEN <= RESET_CAUSE_START as usize);
const _: () = assert!(RESET_CAUSE_START + 4 <= MAILBOX_START + REGION_LEN);

/// Left by the loader: a reset about which no program says anything.
const PIN: u32 = u32::from_be_bytes(*b"PIN ");
/// Left by the handlers of faults.rs.
pub(crate) const SOFTWARE: u32 = u32::from_be_bytes(*b"SOFT");
/// Left by that of the watchdog.
pub(crate) const WATCHDOG: u32 = u32::from_be_bytes(*b"WDOG");

/// Leaves `bytes`, whole words, from this offset on for after the reset.
pub(crate) fn put(offset: usize, bytes: &[u8]) {
    let (words, _) = bytes.as_chunks();
    for (address, word) in (MAILBOX_START as usize + offset..).step_by(4).zip(words) {
        // SAFETY: RAM that no linker script gives to anything else, a multiple of 4; `offset` and `bytes` are parts of
        // the mailbox.
        unsafe { with_exposed_provenance_mut::<u32>(address).write_volatile(u32::from_ne_bytes(*word)) };
    }
    cortex_m::asm::dsb();
}

/// The content.
#[must_use]
pub fn get() -> [u8; MAILBOX_LEN] {
    let mut bytes = [0; MAILBOX_LEN];
    for (address, byte) in (MAILBOX_START as usize..).zip(&mut bytes) {
        // SAFETY: as in `put`.
        *byte = unsafe { with_exposed_provenance::<u8>(address).read_volatile() };
    }
    bytes
}

/// Leaves a request of the application for the loader.
pub fn ask(request: Request) {
    put(0, &request.encode());
}

/// The application's sign of life.
pub fn say_alive() {
    put(ALIVE_OFFSET, &ALIVE);
}

/// The next reset is a program's own.
pub(crate) fn announce_reset() {
    put_cause(SOFTWARE);
}

fn put_cause(cause: u32) {
    // SAFETY: as in `put`; a multiple of 4.
    unsafe { with_exposed_provenance_mut::<u32>(RESET_CAUSE_START as usize).write_volatile(cause) };
    cortex_m::asm::dsb();
}

/// Why the board was reset; the next reset has a cause of its own.
#[must_use]
pub fn take_cause() -> ResetCause {
    // SAFETY: as in `put_cause`.
    let cause = unsafe { with_exposed_provenance::<u32>(RESET_CAUSE_START as usize).read_volatile() };
    put_cause(PIN);
    match cause {
        PIN => ResetCause::Pin,
        SOFTWARE => ResetCause::Software,
        WATCHDOG => ResetCause::Watchdog,
        // RAM has lost its content.
        _ => ResetCause::Power,
    }
}
