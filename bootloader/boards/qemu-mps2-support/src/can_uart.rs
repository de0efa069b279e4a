//! The CAN controller of this board: UART 0, which speaks slcan. QEMU connects it to a socket; there is nothing to
//! configure, so the commands an adapter would obey (`S6`, `O`, ..) are stepped over.

use cortex_m_board::mmio::Register;
use update_protocol::can::Frame;
use update_protocol::slcan::{self, Decoder};

use crate::MACHINE;

// SAFETY: CMSDK UART 0 of this board (its memory map); only `CanUart` touches it.
const DATA: Register = unsafe { Register::at(MACHINE.uart as usize) };
// SAFETY: as above.
const STATE: Register = unsafe { Register::at(MACHINE.uart as usize + 0x04) };
// SAFETY: as above.
const CTRL: Register = unsafe { Register::at(MACHINE.uart as usize + 0x08) };
// SAFETY: as above.
const INTCLEAR: Register = unsafe { Register::at(MACHINE.uart as usize + 0x0C) };
// SAFETY: as above.
const BAUDDIV: Register = unsafe { Register::at(MACHINE.uart as usize + 0x10) };

const TX_FULL: u32 = 1;
const RX_FULL: u32 = 1 << 1;
/// Transmitter, receiver, and the interrupts of both.
const ENABLE: u32 = 0b1111;
const INT_TX_RX: u32 = 0b11;
/// The fastest there is; QEMU does not slow the line down.
const BAUD_DIVIDER: u32 = 16;
/// Bytes taken in one call, so that noise without an end does not keep the main loop away.
const BYTES_PER_CALL: usize = 4 * slcan::MAX_LINE_LEN;

/// Frames in, frames out; one outgoing frame is held.
pub struct CanUart {
    decoder: Decoder,
    line: [u8; slcan::MAX_LINE_LEN],
    /// The bytes of `line` that are still to be sent.
    sent: usize,
    len: usize,
}

impl CanUart {
    /// On the bus, at the beginning of a line.
    #[must_use]
    pub fn start() -> Self {
        BAUDDIV.write(BAUD_DIVIDER);
        CTRL.write(ENABLE);
        Self { decoder: Decoder::new(), line: [0; slcan::MAX_LINE_LEN], sent: 0, len: 0 }
    }

    /// Whether the hardware is there and enabled, as far as it can tell.
    #[must_use]
    pub fn is_up(&self) -> bool {
        CTRL.read() & ENABLE == ENABLE && BAUDDIV.read() == BAUD_DIVIDER
    }

    /// Takes back the interrupts; what comes afterwards interrupts again.
    pub fn acknowledge(&mut self) {
        INTCLEAR.write(INT_TX_RX);
    }

    /// The next frame that has come.
    #[inline(never)]
    pub fn receive(&mut self) -> Option<Frame> {
        for _ in 0..BYTES_PER_CALL {
            if STATE.read() & RX_FULL == 0 {
                return None;
            }
            let [byte, ..] = DATA.read().to_le_bytes();
            if let Some(frame) = self.decoder.push(byte) {
                return Some(frame);
            }
        }
        None
    }

    /// Goes on sending; whether there is room for a frame now.
    pub fn is_idle(&mut self) -> bool {
        while let Some(byte) = self.line.get(..self.len).and_then(|line| line.get(self.sent)) {
            // Full for long only if the other end of the socket does not read.
            if STATE.read() & TX_FULL != 0 {
                return false;
            }
            DATA.write((*byte).into());
            self.sent += 1;
        }
        true
    }

    /// Begins to send a frame. One that is still being sent is cut off, so ask [`is_idle`](Self::is_idle) first.
    pub fn transmit(&mut self, frame: &Frame) {
        self.len = slcan::encode(frame, &mut self.line).len();
        self.sent = 0;
        self.is_idle();
    }
}

impl Default for CanUart {
    fn default() -> Self {
        Self::start()
    }
}
