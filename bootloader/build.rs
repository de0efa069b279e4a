//! Puts the anchor into the loader, and sees to it that no release goes out without one or with the development
//! anchor (docs/boot-rules.md, Anchors).

use std::path::Path;
use std::{env, fs, process};
use trust::PublicKey;

/// Its private half is public (bootloader/keys/README.md).
const DEVELOPMENT_ANCHOR: &str = "keys/development-anchor.cose";
/// DER of an Ed25519 SubjectPublicKeyInfo up to the key (RFC 8410 section 4).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

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
    let bytes = fs::read(file).unwrap_or_else(|error| {
        fail(&format!("cannot read ANCHOR={path} (paths are taken from the workspace's folder): {error}"))
    });
    parse_anchor(&bytes).unwrap_or_else(|| {
        fail(&format!(
            "ANCHOR={path} is neither the COSE_Key nor the SPKI PEM of a usable Ed25519 public key"
        ))
    })
}

fn development_anchor() -> PublicKey {
    fs::read(DEVELOPMENT_ANCHOR)
        .ok()
        .and_then(|bytes| PublicKey::from_cose_key(&bytes).ok())
        .unwrap_or_else(|| fail("bootloader/keys/development-anchor.cose is missing or damaged"))
}

fn parse_anchor(bytes: &[u8]) -> Option<PublicKey> {
    if let Ok(key) = PublicKey::from_cose_key(bytes) {
        return Some(key);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, rest) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    let der = base64(body)?;
    PublicKey::from_bytes(der.strip_prefix(&SPKI_HEAD)?.try_into().ok()?).ok()
}

/// Base64 of one DER key: 44 bytes make 60 characters without a remainder but for `=`.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0u32, 0u32, Vec::new());
    for character in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    process::exit(1)
}
