//! PMSAv7.

use cortex_m::peripheral::MPU;

use super::{ENABLE, Rule};

/// No code there.
pub const EXECUTE_NEVER: u32 = 1 << 28;
/// Each access faults.
pub const NO_ACCESS: u32 = 0;
/// Data.
pub const READ_WRITE: u32 = 0b011 << 24;
/// Constants, and code if nothing else says.
pub const READ_ONLY: u32 = 0b110 << 24;
/// Normal memory, write-back.
const NORMAL: u32 = 0b001 << 19 | 1 << 17 | 1 << 16;

/// Describes the selected region.
///
/// # Safety
/// The program does not need more access than the rule leaves it.
pub(super) unsafe fn set(mpu: &mut MPU, rule: &Rule) {
    // The field holds the exponent less one.
    let size = (rule.len.trailing_zeros() - 1) << 1;
    // SAFETY: the caller's.
    unsafe {
        mpu.rbar.write(rule.start);
        mpu.rasr.write(rule.permission | NORMAL | size | ENABLE);
    }
}

/// Forgets the selected region.
///
/// # Safety
/// The unit is off.
pub(super) unsafe fn clear(mpu: &mut MPU) {
    // SAFETY: the caller's.
    unsafe { mpu.rasr.write(0) }
}
