//! The loader of the emulated board: the drivers under the `bootloader` library.
#![no_std]
#![no_main]

mod memory;

use bootloader::device::{self, Board as _, Ended, Service};
use bootloader::flash::Flash;
use bootloader::session::{self, Description, MAX_ANSWER_LEN, MAX_REQUEST_LEN};
use bootloader::{Buffers, EnvelopeBuffer, ListBuffer, Loader, Session};
use flash_array::FlashArray;
use qemu_mps2_an386_support::layout::FLASH_LEN;
use qemu_mps2_an386_support::machine::{self, Machine, Program};
use qemu_mps2_an386_support::psram::{self, Psram};
use qemu_mps2_an386_support::{LAYOUT, LISTENING, mailbox};
use update_protocol::isotp::{BorrowedLink, Config};
use update_protocol::profile;

unsafe extern "C" {
    fn DefaultHandler();
}

/// Interrupts stay masked (clock.rs), so the core never reads a vector after the exceptions. cortex-m-rt requires
/// one.
// SAFETY: the section of interrupt vectors, and a handler that resets.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [DefaultHandler];

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENVELOPE: EnvelopeBuffer = [0; _];
    static mut LIST: ListBuffer = [0; _];
    static mut REQUEST: [u8; MAX_REQUEST_LEN as usize] = [0; _];
    static mut ANSWER: [u8; MAX_ANSWER_LEN] = [0; _];

    // Memory protection before anything is read that others wrote.
    // SAFETY: the first and only start of this program.
    let mut machine = unsafe { Machine::start(Program::Loader) };
    let wake = mailbox::take(LISTENING);
    // SAFETY: taken once, and nothing else of the loader touches the PSRAM.
    let psram = unsafe { Psram::take() };
    let buffers = Buffers { envelope: ENVELOPE, list: LIST };
    let description = Description {
        loader_version: env!("CARGO_PKG_VERSION"),
        max_request_len: MAX_REQUEST_LEN,
        factory_tag: machine::unique_id(),
    };
    // By reference from here on: a session that moves takes its RAM twice.
    let mut started = start(psram, buffers, description);
    let Some(session) = &mut started else { machine.halt() };
    if let Some(entry) = session.boot(&wake) {
        machine.hand_over(entry)
    }
    let addressing = profile::device_addressing(session.loader().node_address());
    let mut link = BorrowedLink::new(addressing, Config::classic(), &mut REQUEST[..], &mut ANSWER[..]);
    let until_us = session.listens_until_us(machine.now_us());
    let mut service = Service::new(session::server(wake.request), session);
    if device::serve(&mut machine, &mut link, &mut service, until_us) == Ended::TimeUp
        && let Some(entry) = session.hand_over()
    {
        machine.hand_over(entry)
    }
    machine.reset()
}

/// Powers up the flash and recovers the journal. A call of its own, so that its stack is free again afterwards.
#[inline(never)]
fn start(psram: Psram, buffers: Buffers<'_>, description: Description) -> Option<Session<'_, psram::Flash>> {
    let array = FlashArray::power_up(psram, FLASH_LEN).ok()?;
    let loader = Loader::start(Flash::new(array, LAYOUT).ok()?, buffers);
    Some(Session::new(loader, description))
}
