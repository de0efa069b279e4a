//! PMSAv8.

use cortex_m::peripheral::MPU;

use super::{ENABLE, Rule};

/// No code there.
pub const EXECUTE_NEVER: u32 = 1;
/// Each write faults: no region forbids a privileged program to read.
pub const NO_ACCESS: u32 = READ_ONLY;
/// Data.
pub const READ_WRITE: u32 = 0b01 << 1;
/// Constants, and code if nothing else says.
pub const READ_ONLY: u32 = 0b11 << 1;
/// Normal memory, write-back: attribute 0, which every region has.
const NORMAL: u32 = 0xFF;
/// Regions begin and end at multiples of this.
const GRANULE: u32 = 32;

/// Describes the selected region.
///
/// # Safety
/// The program does not need more access than the rule leaves it.
pub(super) unsafe fn set(mpu: &mut MPU, rule: &Rule) {
    let last = rule.start + (rule.len - GRANULE);
    // SAFETY: the caller's.
    unsafe {
        let [attributes, _] = &mpu.mair;
        attributes.write(NORMAL);
        mpu.rbar.write(rule.start | rule.permission);
        mpu.rlar.write(last | ENABLE);
    }
}

/// Forgets the selected region.
///
/// # Safety
/// The unit is off.
pub(super) unsafe fn clear(mpu: &mut MPU) {
    // SAFETY: the caller's.
    unsafe { mpu.rlar.write(0) }
}
