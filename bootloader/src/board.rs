//! The loader over a board (docs/boards.md, docs/decisions/0037). A board is a description and drivers; every decision
//! is here, the same on all boards.

use core::marker::PhantomData;

use embedded_storage::nor_flash::NorFlash;
use update_protocol::isotp::{BorrowedLink, Config};
use update_protocol::profile;

use crate::authority::Authenticates;
use crate::device::{self, Drivers, Ended, Service};
use crate::flash::{Flash, HasLayout};
use crate::layout::{Layout, Region, Slot};
use crate::loader::{Buffers, Loader};
use crate::mailbox::{Listening, MAILBOX_LEN, ResetCause, Wake};
use crate::receive::Receives;
use crate::reporting::Reports;
use crate::revocation::ListBuffer;
use crate::session::{self, Description, MAX_ANSWER_LEN, MAX_REQUEST_LEN, Session};
use crate::token::Entry;
use crate::verify::EnvelopeBuffer;

/// Smallest alignment of a vector table: VTOR has no bits below (ARMv7-M, B3.2.5).
const VECTOR_TABLE_ALIGNMENT_MIN: u32 = 128;

/// A board, as the loader needs it.
pub trait Board: Drivers {
    /// All flash of the layout; two devices are [joined](crate::flash::Joined). Its calls feed the watchdog, an ECC fault is
    /// an error, and it erases nothing while the supply is too low ([`crate::flash::Supplied`]).
    type Flash: NorFlash;
    /// What of SUIT the loader takes: [`Plain`](crate::receive::Plain), or [`Decrypting`](crate::receive::Decrypting) if
    /// it decrypts images with a key of its device.
    type Profile: Receives;
    /// On whose word it installs: that of the maker's [`Roots`](crate::authority::Roots), or of the device's own key
    /// ([`OwnKey`](crate::authority::OwnKey)).
    type Authority: Authenticates;
    /// Whether it [reports](crate::reporting) what became of its last attempt to install:
    /// [`Silent`](crate::reporting::Silent), or [`Authenticated`](crate::reporting::Authenticated) by the key of its device.
    type Reports: Reports;

    /// Version of the loader, ASCII.
    const LOADER_VERSION: &'static str;
    /// Where things lie in flash, and the RAM of an application.
    const LAYOUT: Layout;
    /// Where its table lies, if it has one: [`Layout::for_table`].
    #[cfg(feature = "table")]
    const TABLE: Option<Layout> = None;
    /// The addresses of the loader itself: one region, or more if sectors with other data lie between them.
    const LOADER: &'static [Region];
    /// Vectors of the part, those of the core included: they decide the alignment of an application's table.
    const VECTORS: u32;
    /// How long the loader listens before it hands over.
    const LISTENING: Listening;
    /// How the loader sends.
    const CAN: Config;

    /// The content of the mailbox.
    fn mailbox(&mut self) -> [u8; MAILBOX_LEN];

    /// Leaves a content for after the reset or the jump.
    fn put_mailbox(&mut self, content: &[u8; MAILBOX_LEN]);

    /// Why the board was reset. Asked once; forgets the cause, so that the next reset has one of its own.
    fn take_reset_cause(&mut self) -> ResetCause;

    /// A number that no other board has, or entropy: it tells devices in factory state apart.
    fn unique_id(&mut self) -> u64;

    /// Brings up the flash. Asked once.
    fn power_up_flash(&mut self) -> Option<Self::Flash>;

    /// Protects the loader and the stored objects from the application until the next reset, as far as the part can; not
    /// the journal, in which the application confirms itself. Called right before the jump; docs/boards.md says what each
    /// board protects.
    fn lock(&mut self);

    /// Leaves the core as after a reset, [redeems](Entry::redeem) the entry as the last thing, and jumps. An entry that is
    /// not whole any more ends in a reset. A board that switches banks redeems it [with its
    /// bank](crate::layout::Strategy::BankSwitch), and switches and jumps in one: the loader may lie in the bank that goes.
    fn jump(&mut self, entry: Entry) -> !;

    /// Resets.
    fn reset(&mut self) -> !;

    /// The flash does not come up: nothing is left to do until the watchdog resets.
    fn halt(&mut self) -> !;
}

/// The RAM that a board lends its loader: a static variable, since it is larger than a stack.
#[derive(Debug)]
pub struct Memory {
    envelope: EnvelopeBuffer,
    list: ListBuffer,
    request: [u8; MAX_REQUEST_LEN as usize],
    answer: [u8; MAX_ANSWER_LEN],
}

impl Memory {
    /// All zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self { envelope: [0; _], list: [0; _], request: [0; _], answer: [0; _] }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// The layout of a board.
struct Known<B>(PhantomData<B>);

impl<B: Board> HasLayout for Known<B> {
    type Profile = B::Profile;
    type Authority = B::Authority;
    type Reports = B::Reports;

    fn layout(&self) -> &Layout {
        const { &B::LAYOUT }
    }

    #[cfg(feature = "table")]
    fn table(&self) -> Option<&Layout> {
        const { B::TABLE.as_ref() }
    }
}

/// Runs the loader: boots an image, or serves testers. A board calls it once, with its watchdog running.
pub fn run<B: Board>(board: &mut B, memory: &mut Memory) -> ! {
    const { check::<B>() };
    let (mailbox, cause) = (board.mailbox(), board.take_reset_cause());
    let wake = Wake::read(&mailbox, cause, B::LISTENING);
    board.put_mailbox(&wake.mailbox());
    let Memory { envelope, list, request, answer } = memory;
    let flash = board.power_up_flash().and_then(|flash| Flash::new(flash, Known::<B>(PhantomData)).ok());
    let Some(flash) = flash else { board.halt() };
    let description = Description {
        loader_version: B::LOADER_VERSION,
        max_request_len: MAX_REQUEST_LEN,
        factory_tag: board.unique_id(),
    };
    // Made where it stays: a session that moves takes its RAM twice.
    let session = &mut Session::new(Loader::new(flash, Buffers { envelope, list }), description);
    session.recover();
    if let Some(entry) = session.boot(&wake) {
        hand_over(board, entry)
    }
    let addressing = profile::device_addressing(session.loader().node_address());
    let mut link = BorrowedLink::new(addressing, B::CAN, request, answer);
    let until_us = session.listens_until_us(board.now_us());
    let mut service = Service::new(session::server(wake.request), session);
    if device::serve(board, &mut link, &mut service, until_us) == Ended::TimeUp {
        let entry = session.hand_over();
        session.forget();
        if let Some(entry) = entry {
            hand_over(board, entry)
        }
        // A reset that a tester asks for is not one of them: a stranger would use them up.
        if session.is_retry() {
            board.put_mailbox(&wake.mailbox_of_retry());
        }
    }
    session.forget();
    board.reset()
}

#[inline(never)]
fn hand_over<B: Board>(board: &mut B, entry: Entry) -> ! {
    board.put_mailbox(&entry.mailbox());
    board.lock();
    board.jump(entry)
}

/// A description that contradicts itself does not compile.
#[allow(clippy::panic, reason = "at compile time")]
const fn check<B: Board>() {
    let size = B::VECTORS.saturating_mul(4).next_power_of_two();
    let alignment = if size > VECTOR_TABLE_ALIGNMENT_MIN { size } else { VECTOR_TABLE_ALIGNMENT_MIN };
    assert!(
        B::LAYOUT.image_address().is_multiple_of(alignment),
        "the vector table of an image in slot A is not aligned to its size"
    );
    assert!(
        B::LAYOUT.run_address(Slot::B).is_multiple_of(alignment),
        "the vector table of an image in slot B is not aligned to its size"
    );
    assert!(!B::LOADER.is_empty(), "the loader has no region");
    let mut rest = B::LOADER;
    while let [region, after @ ..] = rest {
        assert!(region.len != 0, "a region of the loader is empty");
        assert!(!B::LAYOUT.uses(*region), "a region of the loader and one of the layout share bytes");
        #[cfg(feature = "table")]
        if let Some(table) = B::TABLE {
            assert!(!table.uses(*region), "a region of the loader and one of the table share bytes");
        }
        assert!(
            !region.overlaps(B::LAYOUT.ram()),
            "a region of the loader and the application's RAM share bytes"
        );
        rest = after;
    }
    assert!(
        !B::LAYOUT.uses(B::LAYOUT.ram()),
        "the flash of the layout and the application's RAM share bytes"
    );
    assert!(B::LOADER_VERSION.len() <= profile::MAX_TEXT_LEN, "the version of the loader is too long");
}
