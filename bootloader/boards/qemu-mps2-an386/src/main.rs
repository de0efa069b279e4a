//! The loader of the emulated board: the drivers under the `bootloader` library.
#![no_std]
#![no_main]

use bootloader::flash::Flash;
use bootloader::handoff::Request;
use bootloader::session::Description;
use bootloader::{Boot, Buffers, EnvelopeBuffer, ListBuffer, Loader, Session};
use flash_array::FlashArray;
use qemu_mps2_an386_support::LAYOUT;
use qemu_mps2_an386_support::layout::FLASH_LEN;
use qemu_mps2_an386_support::machine::{Ended, Machine, Program};
use qemu_mps2_an386_support::mailbox;
use qemu_mps2_an386_support::psram::Psram;
use update_protocol::isotp::{BorrowedLink, Config};
use update_protocol::profile::{self, DEFAULT_NODE_ADDRESS};
use update_protocol::uds::server::Server;
use update_protocol::uds::{self};

/// Longest request: a TransferData of a quarter of a flash page.
const MAX_REQUEST_LEN: u16 = 2 + 1024;
/// Longest answer, bytes: all data identifiers at once.
const MAX_ANSWER_LEN: usize = 320;

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
    let Ok(array) = FlashArray::power_up(psram, FLASH_LEN) else { machine.halt() };
    let Ok(flash) = Flash::new(array, LAYOUT) else { machine.halt() };

    let mut loader = Loader::start(flash, Buffers { envelope: ENVELOPE, list: LIST });
    if let Boot::Run(entry) = loader.boot(request) {
        machine.hand_over(&entry);
    }

    let node = loader.identity().map_or(DEFAULT_NODE_ADDRESS, |identity| identity.node_address);
    let mut link = BorrowedLink::new(
        profile::device_addressing(node),
        Config::classic(),
        &mut REQUEST[..],
        &mut ANSWER[..],
    );
    let mut server = match request {
        Some(Request::ProgrammingSession { answer: true }) => Server::announcing(uds::Session::Programming),
        Some(Request::ProgrammingSession { answer: false }) | None => Server::new(),
    };
    let mut session = Session::new(
        loader,
        Description { loader_version: env!("CARGO_PKG_VERSION"), max_request_len: MAX_REQUEST_LEN },
    );
    loop {
        match machine.serve(&mut link, &mut server, &mut session) {
            Ended::Reset => machine.reset(),
            // Whoever asked for the loader is gone: a device that can work goes back to work.
            Ended::SessionExpired if session.loader().has_bootable() => machine.reset(),
            Ended::SessionExpired => {}
        }
    }
}
