//! The loader over the trait of boards: the order of what it asks of a board.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bootloader::Entry;
use bootloader::authority::Roots;
use bootloader::board::{self, Board, Memory};
use bootloader::device::Drivers;
use bootloader::flash::{Supplied, SuppliedError};
use bootloader::layout::{Area, Layout, Region, Regions, Slot};
use bootloader::mailbox::{Listening, MAILBOX_LEN, Request, ResetCause, Wake};
use bootloader::receive::Plain;
use bootloader::reporting::Silent;
use device_harness::device::DeviceOf;
use device_harness::factory::Factory;
use device_harness::part::{BASE, RAM};
use embedded_storage::nor_flash::{NorFlash as _, ReadNorFlash as _};
use flash_model::Nor;
use update_protocol::can::Frame;
use update_protocol::isotp::Config;
use update_protocol::profile::{DEFAULT_NODE_ADDRESS, request_id};

const PAGE: u32 = 4096;
type Chip = Nor<8, { PAGE as usize }>;

const fn pages(first: u32, count: u32) -> Region {
    Region { start: first * PAGE, len: count * PAGE }
}

const LAYOUT: Layout = match Layout::new(Regions {
    base: BASE,
    page: PAGE,
    stored: pages(0, 4),
    journal: pages(4, 3),
    progress: pages(7, 1),
    slot_a: pages(8, 5),
    slot_b: pages(13, 6),
    ram: RAM,
}) {
    Ok(layout) => layout,
    Err(error) => panic!("{}", error.words()),
};

/// What the loader asked of its board, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Mailbox,
    PutMailbox,
    ResetCause,
    Flash,
    Lock,
    Jump,
    Reset,
    Halt,
}

struct Bench {
    flash: Option<Chip>,
    mailbox: [u8; MAILBOX_LEN],
    inbox: Vec<Frame>,
    now_us: u64,
    asked: Vec<Asked>,
}

impl Drivers for Bench {
    fn feed_watchdog(&mut self) {}

    fn expect_wake_up(&mut self) {}

    fn receive(&mut self) -> Option<Frame> {
        self.inbox.pop()
    }

    fn is_idle(&mut self) -> bool {
        true
    }

    fn transmit(&mut self, _: &Frame) {}

    fn now_us(&mut self) -> u64 {
        self.now_us
    }

    fn sleep_until(&mut self, deadline_us: Option<u64>) {
        self.now_us =
            deadline_us.expect("it sleeps without an end and without a tester").max(self.now_us + 1);
    }
}

impl Board for Bench {
    type Flash = Chip;
    type Profile = Plain;
    type Authority = Roots;
    type Reports = Silent;

    const LOADER_VERSION: &'static str = "1.2.3";
    const LAYOUT: Layout = LAYOUT;
    const LOADER: &'static [Region] = &[Region { start: 0, len: 0x1000 }];
    const VECTORS: u32 = 64;
    const LISTENING: Listening = Listening { at_power_up_ms: 200, ..Listening::DEFAULT };
    const CAN: Config = Config::classic();

    fn mailbox(&mut self) -> [u8; MAILBOX_LEN] {
        self.asked.push(Asked::Mailbox);
        self.mailbox
    }

    fn put_mailbox(&mut self, content: &[u8; MAILBOX_LEN]) {
        self.asked.push(Asked::PutMailbox);
        self.mailbox = *content;
    }

    fn take_reset_cause(&mut self) -> ResetCause {
        self.asked.push(Asked::ResetCause);
        ResetCause::Power
    }

    fn unique_id(&mut self) -> u64 {
        7
    }

    fn power_up_flash(&mut self) -> Option<Chip> {
        self.asked.push(Asked::Flash);
        self.flash.take()
    }

    fn lock(&mut self) {
        self.asked.push(Asked::Lock);
    }

    fn jump(&mut self, entry: Entry) -> ! {
        assert!(entry.redeem().is_some());
        self.asked.push(Asked::Jump);
        panic!("it jumps")
    }

    fn reset(&mut self) -> ! {
        self.asked.push(Asked::Reset);
        panic!("it resets")
    }

    fn halt(&mut self) -> ! {
        self.asked.push(Asked::Halt);
        panic!("it halts")
    }
}

/// The loader over this flash, until it jumps, resets or halts.
fn run(flash: Option<Chip>, mailbox: &[u8], inbox: Vec<Frame>) -> Bench {
    let mut content = [0; MAILBOX_LEN];
    content[..mailbox.len()].copy_from_slice(mailbox);
    let mut bench = Bench { flash, mailbox: content, inbox, now_us: 0, asked: Vec::new() };
    let mut memory = Box::new(Memory::new());
    let ended = catch_unwind(AssertUnwindSafe(|| board::run(&mut bench, &mut memory)));
    let Err(_) = ended;
    bench
}

fn device() -> DeviceOf<Chip> {
    let factory = Factory::new(1);
    let mut device = DeviceOf::over(Chip::new(LAYOUT.flash_len()), LAYOUT);
    device.provision(&factory);
    let image = device.image(6000, 1);
    device.update(&factory.envelope(1, &image), &image);
    device
}

const BEGINNING: [Asked; 4] = [Asked::Mailbox, Asked::ResetCause, Asked::PutMailbox, Asked::Flash];

/// It listens after power-up, hands over, and locks what an application must not write before it jumps.
#[test]
fn boot60_the_loader_locks_before_it_jumps() {
    let bench = run(Some(device().nor), &[], Vec::new());
    let ending = [Asked::PutMailbox, Asked::Lock, Asked::Jump];
    assert_eq!(bench.asked, [&BEGINNING[..], &ending].concat());
    assert_eq!(bench.now_us, 200_000, "it listened");
}

/// `11 01`.
fn tester_reset(node_address: u8) -> Frame {
    Frame::new(request_id(node_address), &[2, 0x11, 1]).unwrap()
}

#[test]
fn a_tester_resets_the_loader() {
    let blank = Chip::new(LAYOUT.flash_len());
    let bench = run(
        Some(blank),
        &Request::ProgrammingSession { answer: false }.encode(),
        vec![tester_reset(DEFAULT_NODE_ADDRESS)],
    );
    assert_eq!(bench.asked, [&BEGINNING[..], &[Asked::Reset]].concat());
}

/// The loader resets by itself after an outage, a few times: a reset that a tester asks for is not one of them.
#[test]
fn boot67_a_stranger_does_not_use_up_the_resets_of_the_loader() {
    let mut device = device();
    let node_address = device.loader().node_address();
    let slot = LAYOUT.region(Area::Slot(Slot::A));
    device.nor.medium_mut().silence(slot.start as usize, slot.len as usize);
    for (inbox, retries) in [(Vec::new(), 1), (vec![tester_reset(node_address)], 0)] {
        let bench = run(Some(device.nor.clone()), &[], inbox);
        assert_eq!(bench.asked.last(), Some(&Asked::Reset));
        assert_eq!(Wake::read(&bench.mailbox, ResetCause::Software, Listening::DEFAULT).retries, retries);
    }
}

#[test]
fn a_board_without_its_flash_halts() {
    assert_eq!(run(None, &[], Vec::new()).asked, [&BEGINNING[..], &[Asked::Halt]].concat());
}

/// A supply that is too low refuses to erase and to program, and nothing else.
#[test]
fn boot61_a_low_supply_erases_and_programs_nothing() {
    let mut is_sufficient = false;
    let mut chip = Chip::new(LAYOUT.flash_len());
    chip.write(0, &[0x55; 8]).unwrap();
    for expected in [Err(()), Ok(())] {
        let mut supplied = Supplied::new(&mut chip, || is_sufficient);
        let erased = supplied.erase(0, PAGE);
        assert_eq!(erased.map_err(|error| assert!(matches!(error, SuppliedError::LowSupply))), expected);
        let mut bytes = [0; 8];
        chip.read(0, &mut bytes).unwrap();
        assert_eq!(bytes == [0x55; 8], expected.is_err());
        let mut supplied = Supplied::new(&mut chip, || is_sufficient);
        assert_eq!(supplied.write(8, &[0x33; 8]).is_ok(), is_sufficient);
        supplied.read(8, &mut bytes).unwrap();
        assert_eq!(bytes == [0x33; 8], is_sufficient);
        is_sufficient = true;
    }
}
