//! Secrets stay in the memory of this process: no core dump, no reader of `/proc/PID/mem`, and no swap where the system
//! permits it. What the system refuses is left out: `key info` says whether memory is locked.

use std::sync::Once;

use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// CAP_IPC_LOCK (capabilities(7)): its holder locks as much as it likes.
const CAP_IPC_LOCK: u32 = 14;

/// Before anything else: no core dumps, of programs that this one starts either, and no debugger of the same user.
pub fn protect() {
    // A system that has neither keeps its secrets as it always did.
    let _unlimited = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    #[cfg(target_os = "linux")]
    let _dumpable = nix::sys::prctl::set_dumpable(false);
}

/// Before the first secret is read: keeps all memory, present and future, out of swap. With a limit on locked memory
/// that would make later allocations fail, so it is left out there.
pub(crate) fn lock() {
    static LOCKED: Once = Once::new();
    LOCKED.call_once(|| {
        if may_lock() {
            // Pages are locked when they are used first: the stacks of threads are mostly never used.
            let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
            let _swappable = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault);
        }
    });
}

fn may_lock() -> bool {
    let is_unlimited = getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, hard)| {
        soft == RLIM_INFINITY
            || hard == RLIM_INFINITY && setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard).is_ok()
    });
    is_unlimited || has_capability()
}

fn has_capability() -> bool {
    let effective = status_line("CapEff").and_then(|value| u64::from_str_radix(&value, 16).ok());
    effective.is_some_and(|set| set >> CAP_IPC_LOCK & 1 == 1)
}

/// Whether memory of this process is locked.
pub(crate) fn is_locked() -> bool {
    status_line("VmLck").is_some_and(|value| value != "0 kB")
}

/// A line of `/proc/self/status`, without its name.
fn status_line(name: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
}
