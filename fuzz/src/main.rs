//! libFuzzer over the target that `FUZZ_TARGET` names. Run by `cargo xtask fuzz`.
#![no_main]
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use fuzz_targets::Target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        fuzz_targets::target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET names no target: {name:?}"))
    });
    (target.run)(data);
});
