//! The supply (RM0440 6.2.2): the detector says whether it lasts to erase and to program.

use crate::registers::registers;

registers! {
    0x4000_7000:
    CR2 = 0x04;
    SR2 = 0x14;
}

const ENABLE: u32 = 1;
/// VPVD3: 2.5 V falling (data sheet, embedded reset and power control block). Far below a supply of 3.3 V, and far above
/// the 1.71 V that an erase needs.
const THRESHOLD: u32 = 3 << 1;
const IS_LOW: u32 = 1 << 11;

/// Switches the detector on.
pub(crate) fn start() {
    CR2.write(THRESHOLD | ENABLE);
}

/// Whether the supply is above the threshold.
pub(crate) fn is_sufficient() -> bool {
    SR2.read() & IS_LOW == 0
}
