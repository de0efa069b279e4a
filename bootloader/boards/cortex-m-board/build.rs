//! Says which architecture the core has: rustc names only its instructions.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(armv6m)");
    println!("cargo:rustc-check-cfg=cfg(armv8m)");
    let target = std::env::var("TARGET").unwrap_or_default();
    for architecture in ["v6m", "v8m"] {
        if target.starts_with(&format!("thumb{architecture}")) {
            println!("cargo:rustc-cfg=arm{architecture}");
        }
    }
}
