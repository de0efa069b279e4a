//! The memory protection unit: a stack that overflows, code in data memory and stray writes to code fault instead of
//! going on. The MPU is off in the fault handler itself (HFNMIENA = 0).

use cortex_m::peripheral::MPU;
use cortex_m_board::protection::{EXECUTE_NEVER, NO_ACCESS, READ_ONLY, READ_WRITE, Rule, apply};

use crate::MACHINE;
use crate::layout::LOADER_LEN;

/// Below RAM, where a stack at the bottom of RAM overflows to. QEMU would ignore the writes.
const BELOW_STACK: Rule =
    Rule { start: MACHINE.ram_start - (16 << 20), len: 16 << 20, permission: NO_ACCESS | EXECUTE_NEVER };
/// All that a machine has at least.
const RAM: Rule = Rule { start: MACHINE.ram_start, len: 2 << 20, permission: READ_WRITE | EXECUTE_NEVER };
const LOADER_CODE: Rule = Rule { start: MACHINE.loader_start, len: LOADER_LEN, permission: READ_ONLY };
const FLASH: Rule =
    Rule { start: MACHINE.flash_start, len: 16 << 20, permission: READ_WRITE | EXECUTE_NEVER };

/// While the loader runs, nothing in flash can.
pub(crate) fn protect_loader(mpu: &mut MPU) {
    // SAFETY: the loader's code, all RAM, and flash as data.
    unsafe { apply(mpu, &[BELOW_STACK, RAM, LOADER_CODE, FLASH]) };
}

/// The application runs in flash, and may not touch the loader.
pub(crate) fn protect_application(mpu: &mut MPU) {
    // SAFETY: all RAM, and by the default map the application in flash.
    unsafe { apply(mpu, &[BELOW_STACK, RAM, LOADER_CODE]) };
}
