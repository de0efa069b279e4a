//! The Cortex-M4 binary in QEMU, through resets and power cuts at random instants of an update.

use std::path::Path;
use std::sync::atomic::AtomicBool;

#[test]
fn twenty_updates_in_qemu_survive_resets_and_cuts_at_random_instants() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory");
    let tell = |round: u32, words: &str| println!("{round:5}: {words}");
    let summary = prove::qemu::run(20, 1, target, &AtomicBool::new(false), tell).expect("QEMU");
    println!("{summary}");
    assert!(summary.failures.is_empty(), "{summary}: {:#?}", summary.failures);
    assert_eq!(summary.rounds, 20);
    assert!(summary.cuts > 5 && summary.resets > 5, "{summary}");
}
