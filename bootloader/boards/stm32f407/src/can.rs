//! CAN1 (bxCAN; RM0090, 32) at 500 kbit/s. PD0 receives, PD1 transmits.

use cortex_m_board::mmio::Register;
use stm32_support::clock::Line;
use update_protocol::can::{Frame, Id};
use update_protocol::profile::{FUNCTIONAL_ID, request_id};

use crate::registers::{CAN1, GPIOD};

/// Alternate function 9 on PD0 and PD1 (8.4, and table 9 of the data sheet).
const MODER: Register = GPIOD.register(0x00);
const PUPDR: Register = GPIOD.register(0x0C);
const AFRL: Register = GPIOD.register(0x20);

const MCR: Register = CAN1.register(0x000);
const INITIALISE: u32 = 1;
const SLEEP: u32 = 1 << 1;
/// Frames leave in the order in which they came.
const TRANSMIT_IN_ORDER: u32 = 1 << 2;
/// A full FIFO keeps what it has.
const FIFO_LOCKED: u32 = 1 << 3;
/// The controller leaves bus-off by itself, after 128 times 11 recessive bits (32.7.6).
const BUS_OFF_RECOVERY: u32 = 1 << 6;
const MSR: Register = CAN1.register(0x004);
const INITIALISING: u32 = 1;
const TSR: Register = CAN1.register(0x008);
/// RQCP of each mailbox: its request is done. One is written to clear them.
const REQUESTS_DONE: u32 = 1 << 16 | 1 << 8 | 1;
/// Number of the next free mailbox.
const NEXT_MAILBOX_SHIFT: u32 = 24;
const ALL_EMPTY: u32 = 0b111 << 26;
const RF0R: Register = CAN1.register(0x00C);
const PENDING: u32 = 0b11;
const OVERRUN: u32 = 1 << 4;
const RELEASE: u32 = 1 << 5;
const IER: Register = CAN1.register(0x014);
const ON_TRANSMITTED: u32 = 1;
const ON_RECEIVED: u32 = 1 << 1;
const BTR: Register = CAN1.register(0x01C);

/// Bit timing: 42 MHz / 6 gives 14 quanta of 143 ns a bit: 1 + 11 before the sample point (85.7 %), 2 after it, and
/// a jump of 1. Other rates change the divider: 24 for 125 kbit/s, 12 for 250, 3 for 1000.
const BIT_TIMING: u32 = bit_timing(6, 11, 2, 1);
const APB1_HZ: u32 = 42_000_000;
const _: () = assert!(APB1_HZ / 6 / (1 + 11 + 2) == 500_000);

/// Its interrupts (12.2, table 61): a frame has left, a frame has come.
pub(crate) const LINES: [Line; 2] = [Line(19), Line(20)];

const FMR: Register = CAN1.register(0x200);
const FILTERS_OFF: u32 = 1;
const FM1R: Register = CAN1.register(0x204);
const FS1R: Register = CAN1.register(0x20C);
const FFA1R: Register = CAN1.register(0x214);
const FA1R: Register = CAN1.register(0x21C);
/// Two of the 14 banks that CAN1 has: what a tester sends to a device, whichever it is, and what it sends to all. Other
/// frames do not fill the FIFO, which has room for three while an erase holds the core.
const FILTERS: [(u32, u32); 2] =
    [extended(request_id(0).raw(), 0x1FFF_00FF), extended(FUNCTIONAL_ID.raw(), Id::MAX_EXTENDED)];

const EXTENDED: u32 = 1 << 2;
const REMOTE: u32 = 1 << 1;
const REQUEST: u32 = 1;
/// Looks at the controller before it counts as broken: it answers within a bit of the bus.
const LOOKS: u32 = 1_000_000;

const fn bit_timing(divider: u32, before: u32, after: u32, jump: u32) -> u32 {
    (divider - 1) | (before - 1) << 16 | (after - 1) << 20 | (jump - 1) << 24
}

/// Identifier and mask of a filter for data frames of 29 bits.
const fn extended(id: u32, mask: u32) -> (u32, u32) {
    (id << 3 | EXTENDED, mask << 3 | EXTENDED | REMOTE)
}

/// A register of a mailbox or of a filter bank: they lie at equal distances.
const fn nth(first: usize, distance: usize, number: u32) -> usize {
    first + distance * number as usize
}

/// The registers of a transmit mailbox.
struct Mailbox {
    id: Register,
    len: Register,
    low: Register,
    high: Register,
}

const fn mailbox(number: u32) -> Mailbox {
    Mailbox {
        id: CAN1.register(nth(0x180, 0x10, number)),
        len: CAN1.register(nth(0x184, 0x10, number)),
        low: CAN1.register(nth(0x188, 0x10, number)),
        high: CAN1.register(nth(0x18C, 0x10, number)),
    }
}

const MAILBOXES: [Mailbox; 3] = [mailbox(0), mailbox(1), mailbox(2)];
const RECEIVED_ID: Register = CAN1.register(0x1B0);
const RECEIVED_LEN: Register = CAN1.register(0x1B4);
const RECEIVED_LOW: Register = CAN1.register(0x1B8);
const RECEIVED_HIGH: Register = CAN1.register(0x1BC);
const BANKS: [(Register, Register); 2] =
    [(CAN1.register(0x240), CAN1.register(0x244)), (CAN1.register(0x248), CAN1.register(0x24C))];

/// The controller.
pub(crate) struct Can(());

impl Can {
    /// Brings it up. It takes part in the bus after 11 recessive bits; a bus that is held dominant does not stop the
    /// loader.
    pub(crate) fn start() -> Self {
        PUPDR.replace(0b1111, 0b01);
        AFRL.replace(0xFF, 0x99);
        MODER.replace(0b1111, 0b1010);
        // Out of sleep, into initialisation: only there timing and filters can be set (32.4.1).
        MCR.write(INITIALISE | TRANSMIT_IN_ORDER | FIFO_LOCKED | BUS_OFF_RECOVERY);
        let _ = (0..LOOKS).any(|_| MSR.read() & INITIALISING != 0);
        BTR.write(BIT_TIMING);
        FMR.set(FILTERS_OFF);
        FA1R.write(0);
        // Masks of 32 bits, all into FIFO 0.
        FM1R.write(0);
        FFA1R.write(0);
        FS1R.write(0b11);
        for ((first, second), (id, mask)) in BANKS.iter().zip(FILTERS) {
            first.write(id);
            second.write(mask);
        }
        FA1R.write(0b11);
        FMR.clear(FILTERS_OFF);
        IER.write(ON_TRANSMITTED | ON_RECEIVED);
        MCR.clear(INITIALISE | SLEEP);
        Self(())
    }

    /// Forgets that frames were sent: else their interrupt stays pending.
    pub(crate) fn acknowledge(&mut self) {
        TSR.write(REQUESTS_DONE);
    }

    /// The next frame received.
    pub(crate) fn receive(&mut self) -> Option<Frame> {
        loop {
            let state = RF0R.read();
            if state & RELEASE != 0 {
                continue;
            }
            if state & PENDING == 0 {
                return None;
            }
            let (id, len) = (RECEIVED_ID.read(), RECEIVED_LEN.read() & 0xF);
            let words = [RECEIVED_LOW.read().to_le_bytes(), RECEIVED_HIGH.read().to_le_bytes()];
            RF0R.write(RELEASE | OVERRUN);
            let data = words.as_flattened().get(..usize::try_from(len).unwrap_or_default().min(8));
            // The filters pass data frames of 29 bits only.
            if let Ok(frame) = Frame::new(Id::Extended(id >> 3), data.unwrap_or_default()) {
                return Some(frame);
            }
        }
    }

    /// Whether all mailboxes are empty. A frame that nobody acknowledges stays in its mailbox.
    pub(crate) fn is_idle(&mut self) -> bool {
        TSR.read() & ALL_EMPTY == ALL_EMPTY
    }

    /// Puts a frame into the next mailbox; there is one when the controller is idle.
    pub(crate) fn transmit(&mut self, frame: &Frame) {
        let number = usize::try_from(TSR.read() >> NEXT_MAILBOX_SHIFT & 0b11).unwrap_or_default();
        let Some(mailbox) = MAILBOXES.get(number) else { return };
        let mut data = [0; 8];
        for (place, byte) in data.iter_mut().zip(frame.data()) {
            *place = *byte;
        }
        let [a, b, c, d, e, f, g, h] = data;
        mailbox.low.write(u32::from_le_bytes([a, b, c, d]));
        mailbox.high.write(u32::from_le_bytes([e, f, g, h]));
        mailbox.len.write(frame.dlc().into());
        mailbox.id.write(match frame.id() {
            Id::Standard(id) => u32::from(id) << 21 | REQUEST,
            Id::Extended(id) => id << 3 | EXTENDED | REQUEST,
        });
    }
}
