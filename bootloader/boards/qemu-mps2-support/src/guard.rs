//! The memory protection of these machines: a stack that overflows, code in data memory and stray writes to code fault
//! instead of going on.

use cortex_m::peripheral::MPU;
use cortex_m_board::Program;
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

/// While the loader runs, nothing in flash can; an application runs there, and may not touch the loader.
pub(crate) fn protect(mpu: &mut MPU, program: Program) {
    let rules: &[Rule] = match program {
        Program::Loader => &[BELOW_STACK, RAM, LOADER_CODE, FLASH],
        Program::Application => &[BELOW_STACK, RAM, LOADER_CODE],
    };
    // SAFETY: all RAM, and the program's own code: the loader's with flash as data, or by the default map that in flash.
    unsafe { apply(mpu, rules) };
}
