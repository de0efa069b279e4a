//! Puts the anchor into the loader, and sees to it that no release goes out without one or with the development
//! anchor (docs/boot-rules.md, Anchors).

use std::path::Path;
use std::{env, fs, process};

use trust::PublicKey;
use trust::host::{KeyFileError, open_public_key};

/// Its private half is public (bootloader/keys/README.md).
const DEVELOPMENT_ANCHOR: &str = "keys/development-anchor.cose";

fn main() {
    println!("cargo::rerun-if-env-changed=ANCHOR");
    println!("cargo::rerun-if-changed={DEVELOPMENT_ANCHOR}");
    println!("cargo::rerun-if-changed=build.rs");
    if !feature("LOADER") {
        return;
    }
    let anchor = env::var("ANCHOR").ok().filter(|path| !path.is_empty()).map(|path| read_anchor(&path));
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    match anchor {
        Some(_) if feature("PROVISIONED_ANCHOR") => fail(
            "ANCHOR is set and the feature `provisioned-anchor` is on: a loader has its anchor from one place. Unset ANCHOR, or leave the feature out.",
        ),
        Some(key) if release && !feature("DEV_ANCHOR") && key == development_anchor() => fail(
            "ANCHOR is the development anchor, whose private half everybody has: a release build refuses it. Give your own root's public key; the feature `dev-anchor` allows it for a demonstration.",
        ),
        None if release && !feature("PROVISIONED_ANCHOR") => fail(
            "a release build of the loader needs an anchor: set ANCHOR=<root public key, .cose or SPKI .pem>, or turn on the feature `provisioned-anchor` to take it from the provisioning block.",
        ),
        _ => {}
    }
    let bytes = anchor.map(|key| *key.as_bytes());
    let source = format!("pub(super) const ANCHOR: Option<[u8; 32]> = {bytes:?};\n");
    let out = env::var_os("OUT_DIR").unwrap_or_else(|| fail("cargo did not set OUT_DIR"));
    fs::write(Path::new(&out).join("anchor.rs"), source)
        .unwrap_or_else(|error| fail(&format!("cannot write the anchor to OUT_DIR: {error}")));
}

fn feature(name: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}

/// Build scripts run in the package's folder; a path in `ANCHOR` is meant from the workspace's, or absolute.
fn read_anchor(path: &str) -> PublicKey {
    let from_workspace = Path::new("..").join(path);
    let file = if Path::new(path).is_absolute() { Path::new(path) } else { &from_workspace };
    println!("cargo::rerun-if-changed={}", file.display());
    open_public_key(file).unwrap_or_else(|error| {
        fail(&if let KeyFileError::Read(error) = error {
            format!("cannot read ANCHOR={path} (paths are taken from the workspace's folder): {error}")
        } else {
            format!("ANCHOR={path} is not an anchor: {error}. {}", error.hint())
        })
    })
}

fn development_anchor() -> PublicKey {
    open_public_key(Path::new(DEVELOPMENT_ANCHOR))
        .unwrap_or_else(|_| fail("bootloader/keys/development-anchor.cose is missing or damaged"))
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    process::exit(1)
}
