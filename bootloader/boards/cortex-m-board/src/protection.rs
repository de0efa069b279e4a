//! The memory protection unit (ARMv7-M, B3.5). It is off in the fault handler itself (HFNMIENA = 0).

use cortex_m::peripheral::MPU;

const ENABLE: u32 = 1;
const PRIVILEGED_DEFAULT: u32 = 1 << 2;
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

/// Applies up to eight rules; a later one goes before an earlier one. Privileged code may access the rest.
///
/// # Safety
/// The rules leave the program what it uses: its code, its variables, its stack.
pub unsafe fn apply(mpu: &mut MPU, rules: &[Rule]) {
    release(mpu);
    for (number, rule) in (0_u32..).zip(rules) {
        // The field holds the exponent less one.
        let size = (rule.len.trailing_zeros() - 1) << 1;
        // SAFETY: the caller vouches for the rules; devices are accessible by the default map.
        unsafe {
            mpu.rnr.write(number);
            mpu.rbar.write(rule.start);
            mpu.rasr.write(rule.permission | NORMAL | size | ENABLE);
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
            mpu.rasr.write(0);
        }
    }
}
