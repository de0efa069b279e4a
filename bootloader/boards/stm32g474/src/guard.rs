//! The memory protection of this part: a stack that overflows, code in data memory and stray writes to code fault
//! instead of going on.

use cortex_m::peripheral::MPU;
use cortex_m_board::Program;
use cortex_m_board::protection::{self, EXECUTE_NEVER, NO_ACCESS, READ_ONLY, READ_WRITE, Rule};

use crate::banks;
use crate::memory_map::{BANK_LEN, LOADER_LEN, LOADER_START, RAM_START};

/// Below RAM, where a stack at the bottom of RAM overflows to: system memory of bank 2. The unique id lies below it.
const BELOW_STACK: Rule =
    Rule { start: RAM_START - 0x8000, len: 0x8000, permission: NO_ACCESS | EXECUTE_NEVER };
const RAM: Rule = Rule { start: RAM_START, len: 128 * 1024, permission: READ_WRITE | EXECUTE_NEVER };
const FLASH: Rule = Rule { start: LOADER_START, len: 2 * BANK_LEN, permission: READ_WRITE | EXECUTE_NEVER };
/// What the core can also see at address 0, where it takes its vectors without asking.
const ALIAS: Rule = Rule { start: 0, len: LOADER_START, permission: NO_ACCESS | EXECUTE_NEVER };
/// RAM that a program can run from.
const CORE_RAM: Rule = Rule { start: 0x1000_0000, len: 32 * 1024, permission: READ_WRITE | EXECUTE_NEVER };
const LOADER_CODE: Rule = Rule { start: LOADER_START, len: LOADER_LEN, permission: READ_ONLY };

/// While the loader runs, nothing else in flash can; an application has nothing to do in the loader.
pub(crate) fn protect(mpu: &mut MPU, program: Program) {
    let no_loader =
        Rule { start: LOADER_START ^ banks::flip(), len: LOADER_LEN, permission: NO_ACCESS | EXECUTE_NEVER };
    let rules: &[Rule] = match program {
        Program::Loader => &[ALIAS, CORE_RAM, BELOW_STACK, RAM, FLASH, LOADER_CODE],
        Program::Application => &[BELOW_STACK, RAM, no_loader],
    };
    // SAFETY: they leave each program its code, its RAM and its flash; devices are accessible by the default map.
    unsafe { protection::apply(mpu, rules) };
}
