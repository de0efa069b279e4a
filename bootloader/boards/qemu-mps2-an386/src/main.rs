//! The loader of the emulated board: the drivers under the `bootloader` library.
#![no_std]
#![no_main]

use bootloader::flash::Flash;
use bootloader::handoff::{Entry, Request};
use bootloader::session::{self, Description};
use bootloader::{Boot, Buffers, EnvelopeBuffer, ListBuffer, Loader, Session};
use flash_array::FlashArray;
use qemu_mps2_an386_support::LAYOUT;
use qemu_mps2_an386_support::layout::FLASH_LEN;
use qemu_mps2_an386_support::machine::{self, Ended, Machine, Program};
use qemu_mps2_an386_support::mailbox;
use qemu_mps2_an386_support::psram::{self, Psram};
use update_protocol::isotp::{BorrowedLink, Config};
use update_protocol::profile;

/// Longest request: a TransferData of a quarter of a flash page.
const MAX_REQUEST_LEN: u16 = 2 + 1024;
/// Longest answer, bytes: all data identifiers at once.
const MAX_ANSWER_LEN: usize = 352;

unsafe extern "C" {
    fn DefaultHandler();
}

/// Interrupts stay masked (clock.rs), so the core never reads a vector behind the exceptions. cortex-m-rt wants one.
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

    let request = Request::decode(&mailbox::take());
    // SAFETY: the first and only start of this program.
    let mut machine = unsafe { Machine::start(Program::Loader) };
    // SAFETY: taken once, and nothing else of the loader touches the PSRAM.
    let psram = unsafe { Psram::take() };
    let buffers = Buffers { envelope: ENVELOPE, list: LIST };
    // Matched in place: a copy of the session would take half a kilobyte of stack.
    let mut started = boot(psram, buffers, request);
    let session = match &mut started {
        Started::Run(entry) => machine.hand_over(entry),
        Started::Stay(session) => session,
        Started::Broken => machine.halt(),
    };
    let node = session.loader().node_address();
    let mut link = BorrowedLink::new(
        profile::device_addressing(node),
        Config::classic(),
        &mut REQUEST[..],
        &mut ANSWER[..],
    );
    let mut server = session::server(request);
    loop {
        match machine.serve(&mut link, &mut server, session) {
            Ended::Reset => machine.reset(),
            // Whoever asked for the loader is gone: a device that can work goes back to work.
            Ended::SessionExpired if session.loader().has_bootable() => machine.reset(),
            Ended::SessionExpired => {}
        }
    }
}

/// What the boot rules led to.
#[expect(clippy::large_enum_variant, reason = "there is one, matched in place; no heap to box it on")]
enum Started<'b> {
    /// The application.
    Run(Entry),
    /// The loader, on the bus.
    Stay(Session<'b, psram::Flash>),
    /// A flash that this loader cannot use.
    Broken,
}

// These are calls, and no parts of `main`, so that what they need of the stack is free again afterwards.

/// Powers up the flash and recovers what is in it.
#[inline(never)]
fn start(psram: Psram, buffers: Buffers<'_>) -> Option<Loader<'_, psram::Flash>> {
    let array = FlashArray::power_up(psram, FLASH_LEN).ok()?;
    Some(Loader::start(Flash::new(array, LAYOUT).ok()?, buffers))
}

/// Runs the boot rules.
#[inline(never)]
fn boot(psram: Psram, buffers: Buffers<'_>, request: Option<Request>) -> Started<'_> {
    let Some(mut loader) = start(psram, buffers) else { return Started::Broken };
    match loader.boot(request) {
        Boot::Run(entry) => Started::Run(entry),
        Boot::Stay(_) => {
            let description = Description {
                loader_version: env!("CARGO_PKG_VERSION"),
                max_request_len: MAX_REQUEST_LEN,
                factory_tag: machine::unique_id(),
            };
            Started::Stay(Session::new(loader, description))
        }
    }
}
