//! The memory protection of this part: a stack that overflows, code in data memory and stray writes to code fault
//! instead of going on.

use cortex_m::peripheral::MPU;
use cortex_m_board::Program;
use cortex_m_board::protection::{EXECUTE_NEVER, NO_ACCESS, READ_ONLY, READ_WRITE, Rule, apply};

use crate::memory_map::{CODE, FLASH_LEN, FLASH_START, RAM_LEN, RAM_START, VECTORS};

/// Below RAM, where a stack at the bottom of RAM overflows to. The unique id lies lower.
const BELOW_STACK: Rule =
    Rule { start: RAM_START - 0x8000, len: 0x8000, permission: NO_ACCESS | EXECUTE_NEVER };
const RAM: Rule = Rule { start: RAM_START, len: RAM_LEN, permission: READ_WRITE | EXECUTE_NEVER };
const FLASH: Rule = Rule { start: FLASH_START, len: FLASH_LEN, permission: READ_WRITE | EXECUTE_NEVER };
/// What the core can also see at address 0, where it takes its vectors without asking.
const ALIAS: Rule = Rule { start: 0, len: FLASH_START, permission: NO_ACCESS | EXECUTE_NEVER };
const LOADER_VECTORS: Rule = Rule { start: VECTORS.0, len: VECTORS.1, permission: READ_ONLY | EXECUTE_NEVER };
const LOADER_CODE: Rule = Rule { start: CODE.0, len: CODE.1, permission: READ_ONLY };

/// While the loader runs, nothing else in flash can. An application runs, and may not write to the loader.
pub(crate) fn protect(mpu: &mut MPU, program: Program) {
    let (loader, application) = (
        [ALIAS, BELOW_STACK, RAM, FLASH, LOADER_VECTORS, LOADER_CODE],
        [BELOW_STACK, RAM, LOADER_VECTORS, LOADER_CODE],
    );
    let rules: &[Rule] = match program {
        Program::Loader => &loader,
        Program::Application => &application,
    };
    // SAFETY: all RAM, and the program's own code: the loader's, or by the default map what lies in a slot.
    unsafe { apply(mpu, rules) };
}
