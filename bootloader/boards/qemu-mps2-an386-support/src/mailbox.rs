//! RAM that keeps its bytes across a reset, through which an application asks the loader for something.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

use bootloader::handoff::MAILBOX_LEN;

use crate::layout::{MAILBOX_LEN as REGION_LEN, MAILBOX_START};

const _: () = assert!(MAILBOX_LEN <= REGION_LEN as usize);

/// Leaves `bytes` for after the reset.
pub fn put(bytes: [u8; MAILBOX_LEN]) {
    let place = with_exposed_provenance_mut::<[u8; MAILBOX_LEN]>(MAILBOX_START as usize);
    // SAFETY: RAM that no linker script gives to anything else; bytes have no alignment.
    unsafe { place.write_volatile(bytes) };
    cortex_m::asm::dsb();
}

/// Takes the content, a message or the bytes of RAM after power-up, and clears it.
#[must_use]
pub fn take() -> [u8; MAILBOX_LEN] {
    let mut bytes = [0; MAILBOX_LEN];
    for (address, byte) in (MAILBOX_START as usize..).zip(&mut bytes) {
        // SAFETY: as above.
        *byte = unsafe { with_exposed_provenance::<u8>(address).read_volatile() };
    }
    put([0; MAILBOX_LEN]);
    bytes
}
