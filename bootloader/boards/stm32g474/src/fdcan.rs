//! FDCAN1 (RM0440 44): classic and FD frames, 500 kbit/s and 2 Mbit/s in the data phase. Its message RAM has a fixed layout
//! (44.3.6): filters, two receive FIFOs of three elements, three transmit buffers.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

use stm32_support::clock::Line;
use update_protocol::can::{Frame, Id, MAX_CLASSIC_LEN, MAX_FD_LEN, len_of_dlc};
use update_protocol::profile::{FUNCTIONAL_ID, request_id};

use crate::registers::registers;

registers! {
    0x4000_6400:
    DBTP = 0x0C;
    CCCR = 0x18;
    NBTP = 0x1C;
    TDCR = 0x48;
    IR = 0x50;
    IE = 0x54;
    ILE = 0x5C;
    RXGFC = 0x80;
    XIDAM = 0x84;
    RXF0S = 0x90;
    RXF0A = 0x94;
    TXFQS = 0xC4;
    TXBRP = 0xC8;
    TXBAR = 0xCC;
    TXBTIE = 0xDC;
    CKDIV = 0x100;
}

/// FDCAN1_IT0.
pub(crate) const LINES: [Line; 1] = [Line(21)];

const MESSAGE_RAM: usize = 0x4000_A400;
const EXTENDED_FILTERS: usize = MESSAGE_RAM + 0x70;
const RECEIVE_FIFO: usize = MESSAGE_RAM + 0xB0;
const TRANSMIT_BUFFERS: usize = MESSAGE_RAM + 0x278;
/// Words and bytes of an element of a FIFO: two words of head, 64 bytes of data.
const ELEMENT_WORDS: usize = 18;
const ELEMENT_LEN: usize = 4 * ELEMENT_WORDS;
const HEAD_LEN: usize = 8;

// CCCR.
const INIT: u32 = 1;
const CONFIGURATION: u32 = 1 << 1;
const FD: u32 = 1 << 8;
const BIT_RATE_SWITCH: u32 = 1 << 9;

/// 24 MHz / 3 / (1 + 12 + 3): 500 kbit/s, sampled at 81 %.
const NOMINAL: u32 = (3 - 1) << 25 | (3 - 1) << 16 | (12 - 1) << 8 | (3 - 1);
/// 24 MHz / 1 / (1 + 8 + 3): 2 Mbit/s, sampled at 75 %; the delay of the transceiver is compensated.
const DATA: u32 = 1 << 23 | (8 - 1) << 8 | (3 - 1) << 4 | (3 - 1);
/// The second sample point: 9 ticks after the delay that was measured.
const DELAY_COMPENSATION: u32 = 9 << 8;

/// Frames that no filter accepts, and remote frames, are rejected; one filter for 29 bits, none for 11.
const REJECT_OTHERS: u32 = 0b10 << 4 | 0b10 << 2 | 0b11 | 1 << 24;
/// A message is in FIFO 0, one has left, the controller is off the bus.
const WAKING: u32 = 1 | 1 << 7 | 1 << 19;
const LINE_0: u32 = 1;
const ALL_BUFFERS: u32 = 0b111;

// Filter and elements.
const TO_FIFO_0: u32 = 1 << 29;
const BY_MASK: u32 = 0b10 << 30;
const EXTENDED: u32 = 1 << 30;
const REMOTE: u32 = 1 << 29;
const STANDARD_SHIFT: u32 = 18;
const ELEMENT_FD: u32 = 1 << 21;
const ELEMENT_BIT_RATE_SWITCH: u32 = 1 << 20;
const LENGTH_CODE: u32 = 16;

/// Requests to any node and to all of them (docs/can-protocol.md): the board starts before its node address is known.
/// Any node: 18DAxxF1; all: 18DB33F1.
const FILTER: u32 = request_id(0).raw();
const FILTER_MASK: u32 = 0x1FFE_00FF;
const _: () = assert!(request_id(0xFF).raw() & FILTER_MASK == FILTER & FILTER_MASK);
const _: () = assert!(FUNCTIONAL_ID.raw() & FILTER_MASK == FILTER & FILTER_MASK);

/// Reads a word of the message RAM, which takes whole words only.
fn peek(address: usize) -> u32 {
    // SAFETY: the message RAM of FDCAN1, a multiple of 4; memory while the peripheral has a clock.
    unsafe { with_exposed_provenance::<u32>(address).read_volatile() }
}

fn poke(address: usize, value: u32) {
    // SAFETY: as in `peek`.
    unsafe { with_exposed_provenance_mut::<u32>(address).write_volatile(value) }
}

/// The controller.
#[derive(Debug)]
pub struct Can(());

impl Can {
    /// On the bus. `is_halved`: the kernel clock has 48 MHz in place of 24.
    pub(crate) fn start(is_halved: bool) -> Self {
        CCCR.write(INIT);
        while CCCR.read() & INIT == 0 {}
        CCCR.write(INIT | CONFIGURATION);
        CCCR.write(INIT | CONFIGURATION | FD | BIT_RATE_SWITCH);
        CKDIV.write(is_halved.into());
        NBTP.write(NOMINAL);
        DBTP.write(DATA);
        TDCR.write(DELAY_COMPENSATION);
        poke(EXTENDED_FILTERS, TO_FIFO_0 | FILTER);
        poke(EXTENDED_FILTERS + 4, BY_MASK | FILTER_MASK);
        XIDAM.write(Id::MAX_EXTENDED);
        RXGFC.write(REJECT_OTHERS);
        TXBTIE.write(ALL_BUFFERS);
        IE.write(WAKING);
        ILE.write(LINE_0);
        CCCR.clear(INIT | CONFIGURATION);
        Self(())
    }

    /// Whether it takes part in the bus.
    #[must_use]
    pub fn is_up(&self) -> bool {
        CCCR.read() & INIT == 0
    }

    /// Takes back the interrupts; what comes afterwards interrupts again.
    pub(crate) fn acknowledge(&mut self) {
        IR.write(u32::MAX);
        // Bus-off sets it; the controller is back after 129 times 11 recessive bits (44.4.19).
        CCCR.clear(INIT);
    }

    /// The next frame that has come.
    pub(crate) fn receive(&mut self) -> Option<Frame> {
        loop {
            let status = RXF0S.read();
            if status & 0b1111 == 0 {
                return None;
            }
            let index = status >> 8 & 0b11;
            let frame = element(RECEIVE_FIFO + index as usize * ELEMENT_LEN);
            RXF0A.write(index);
            if frame.is_some() {
                return frame;
            }
        }
    }

    /// Whether there is room for a frame, and the last one has left.
    pub(crate) fn is_idle(&mut self) -> bool {
        TXBRP.read() == 0
    }

    /// Begins to send a frame; the controller is idle.
    pub(crate) fn transmit(&mut self, frame: &Frame) {
        let index = TXFQS.read() >> 16 & 0b11;
        let start = TRANSMIT_BUFFERS + index as usize * ELEMENT_LEN;
        let id = match frame.id() {
            Id::Extended(id) => EXTENDED | id,
            Id::Standard(id) => u32::from(id) << STANDARD_SHIFT,
        };
        let mut format = u32::from(frame.dlc()) << LENGTH_CODE;
        if frame.is_fd() {
            format |= ELEMENT_FD;
        }
        if frame.brs() {
            format |= ELEMENT_BIT_RATE_SWITCH;
        }
        poke(start, id);
        poke(start + 4, format);
        for (address, bytes) in (start + HEAD_LEN..).step_by(4).zip(frame.data().chunks(4)) {
            let word = bytes.iter().rev().fold(0, |word: u32, byte| word << 8 | u32::from(*byte));
            poke(address, word);
        }
        TXBAR.write(1 << index);
    }
}

/// The frame of an element; nothing for a remote frame, which means nothing here.
fn element(start: usize) -> Option<Frame> {
    let (id, format) = (peek(start), peek(start + 4));
    if id & REMOTE != 0 {
        return None;
    }
    let [dlc, ..] = (format >> LENGTH_CODE & 0xF).to_le_bytes();
    let len = len_of_dlc(dlc)?;
    let is_fd = format & ELEMENT_FD != 0;
    let len = if is_fd { len } else { len.min(MAX_CLASSIC_LEN) };
    let mut data = [0; MAX_FD_LEN];
    let (words, _) = data.as_chunks_mut();
    for (address, word) in (start + HEAD_LEN..start + HEAD_LEN + len).step_by(4).zip(words) {
        *word = peek(address).to_le_bytes();
    }
    let data = data.get(..len)?;
    let id = if id & EXTENDED != 0 {
        Id::Extended(id & Id::MAX_EXTENDED)
    } else {
        let [low, high, ..] = (id >> STANDARD_SHIFT & u32::from(Id::MAX_STANDARD)).to_le_bytes();
        Id::Standard(u16::from_le_bytes([low, high]))
    };
    if is_fd {
        Frame::new_fd(id, data, format & ELEMENT_BIT_RATE_SWITCH != 0).ok()
    } else {
        Frame::new(id, data).ok()
    }
}
