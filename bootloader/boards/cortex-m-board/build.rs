//! Says which architecture the core has: rustc names only its instructions.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(armv8m)");
    if std::env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m")) {
        println!("cargo:rustc-cfg=armv8m");
    }
}
