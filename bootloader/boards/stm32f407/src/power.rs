//! The supply (RM0090, 5.2.3).

use cortex_m_board::mmio::Register;

use crate::registers::PWR;

const CR: Register = PWR.register(0x00);
const DETECTOR_ON: u32 = 1 << 4;
const LEVEL: u32 = 0b111 << 5;
/// 2.84 V falling, at least 2.75: programming 32 bits at once needs 2.7 V (3.6.2).
const LEVEL_5: u32 = 0b101 << 5;
const CSR: Register = PWR.register(0x04);
const BELOW_LEVEL: u32 = 1 << 2;

/// Watches the supply.
pub(crate) fn start() {
    CR.replace(LEVEL | DETECTOR_ON, LEVEL_5 | DETECTOR_ON);
}

/// Whether the supply suffices to erase and to program.
pub(crate) fn is_sufficient() -> bool {
    CSR.read() & BELOW_LEVEL == 0
}
