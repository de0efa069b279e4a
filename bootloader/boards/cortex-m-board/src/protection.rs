//! The memory protection unit: PMSAv7 (ARMv7-M, B3.5) or PMSAv8 (ARMv8-M, B9.3). It is off in the fault handler itself (HFNMIENA = 0).

use cortex_m::peripheral::MPU;

#[cfg(not(armv8m))]
mod v7;
#[cfg(armv8m)]
mod v8;

#[cfg(not(armv8m))]
use v7 as unit;
#[cfg(armv8m)]
use v8 as unit;

pub use unit::{EXECUTE_NEVER, NO_ACCESS, READ_ONLY, READ_WRITE};

const ENABLE: u32 = 1;
const PRIVILEGED_DEFAULT: u32 = 1 << 2;

/// A power of two of bytes from a multiple of itself on, and its permission.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// First address.
    pub start: u32,
    /// Bytes.
    pub len: u32,
    /// What may be done there.
    pub permission: u32,
}

/// Applies up to eight rules. A later one goes before an earlier one; with PMSAv8 they may not overlap. Privileged code may
/// access the rest.
///
/// # Safety
/// The rules leave the program what it uses: its code, its variables, its stack.
pub unsafe fn apply(mpu: &mut MPU, rules: &[Rule]) {
    release(mpu);
    for (number, rule) in (0_u32..).zip(rules) {
        // SAFETY: the caller vouches for the rules; devices are accessible by the default map.
        unsafe {
            mpu.rnr.write(number);
            unit::set(mpu, rule);
        }
    }
    // SAFETY: as above.
    unsafe { mpu.ctrl.write(PRIVILEGED_DEFAULT | ENABLE) };
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// Lifts all protection, as after a reset.
pub fn release(mpu: &mut MPU) {
    cortex_m::asm::dmb();
    // SAFETY: without the MPU everything is permitted that was.
    unsafe { mpu.ctrl.write(0) };
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    for number in 0..8 {
        // SAFETY: the MPU is off.
        unsafe {
            mpu.rnr.write(number);
            unit::clear(mpu);
        }
    }
}
