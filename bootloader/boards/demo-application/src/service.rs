//! The application on the bus, until a reset.

use bootloader::device::{self, Drivers, Ended, Service};
use bootloader::mailbox::Request;
use embedded_storage::nor_flash::NorFlash;
use update_protocol::isotp::{BorrowedLink, Config};
use update_protocol::profile;
use update_protocol::uds::server::Server;

use crate::{ALIVE_AFTER_US, Application};

/// Serves testers until the device is to be reset; `say_alive` when it has worked for a while. What to leave in the
/// mailbox for the loader.
pub fn serve<B: Drivers, F: NorFlash>(
    board: &mut B,
    mut application: Application<F>,
    request: &mut [u8],
    answer: &mut [u8],
    say_alive: impl FnOnce(&mut B),
) -> Option<Request> {
    let addressing = profile::device_addressing(application.node_address());
    let mut link = BorrowedLink::new(addressing, Config::classic(), request, answer);
    let mut service = Service::new(Server::new(), &mut application);
    let until_us = board.now_us().saturating_add(ALIVE_AFTER_US);
    if device::serve(board, &mut link, &mut service, Some(until_us)) == Ended::TimeUp {
        say_alive(board);
        // It has nothing else to do: this ends with a reset.
        let _reset = device::serve(board, &mut link, &mut service, None);
    }
    application.request()
}

/// The self-test of an image with the table that `linker_scripts::write_ballast` makes: it reads back from flash as it was
/// built.
#[must_use]
pub fn ballast_is_intact(ballast: &[u8]) -> bool {
    let mut bytes = core::hint::black_box(ballast).iter().zip(0u32..);
    bytes.all(|(byte, index)| {
        let [.., highest] = index.wrapping_mul(0x9E37_79B1).to_le_bytes();
        *byte == highest
    })
}
