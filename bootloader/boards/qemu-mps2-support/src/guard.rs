//! The memory protection unit: a stack that overflows, code in data memory and stray writes to code fault instead of
//! going on. The MPU is off in the fault handler itself (HFNMIENA = 0).

use cortex_m::peripheral::MPU;

use crate::layout::{FLASH_START, LOADER_LEN, LOADER_START, RAM_START};

const ENABLE: u32 = 1;
const PRIVILEGED_DEFAULT: u32 = 1 << 2;
const EXECUTE_NEVER: u32 = 1 << 28;
const NO_ACCESS: u32 = 0;
const READ_WRITE: u32 = 0b011 << 24;
const READ_ONLY: u32 = 0b110 << 24;
/// Normal memory, write-back.
const NORMAL: u32 = 0b001 << 19 | 1 << 17 | 1 << 16;

/// A power of two of bytes from a multiple of itself on, and what may be done there.
struct Rule {
    start: u32,
    len: u32,
    permission: u32,
}

/// Below RAM, where a stack at the bottom of RAM overflows to. QEMU would ignore the writes.
const BELOW_STACK: Rule =
    Rule { start: RAM_START - (16 << 20), len: 16 << 20, permission: NO_ACCESS | EXECUTE_NEVER };
const RAM: Rule = Rule { start: RAM_START, len: 4 << 20, permission: READ_WRITE | EXECUTE_NEVER };
const LOADER_CODE: Rule = Rule { start: LOADER_START, len: LOADER_LEN, permission: READ_ONLY };
const FLASH: Rule = Rule { start: FLASH_START, len: 16 << 20, permission: READ_WRITE | EXECUTE_NEVER };

/// While the loader runs, nothing in flash can.
pub(crate) fn protect_loader(mpu: &mut MPU) {
    apply(mpu, &[BELOW_STACK, RAM, LOADER_CODE, FLASH]);
}

/// The application runs in flash, and may not touch the loader.
pub(crate) fn protect_application(mpu: &mut MPU) {
    apply(mpu, &[BELOW_STACK, RAM, LOADER_CODE]);
}

fn apply(mpu: &mut MPU, rules: &[Rule]) {
    release(mpu);
    for (number, rule) in (0_u32..).zip(rules) {
        // The field holds the exponent less one.
        let size = (rule.len.trailing_zeros() - 1) << 1;
        // SAFETY: the rules leave the program what it uses: its code, its RAM, devices (by the default map).
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
pub(crate) fn release(mpu: &mut MPU) {
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
