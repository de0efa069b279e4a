//! T10: which anchors a build takes. These tests run cargo itself, in a target folder of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use trust::author::{Signer as _, SoftwareKey};
use trust::hash::Sha256;

const DEVELOPMENT_ANCHOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/keys/development-anchor.cose");

fn build(profile: &[&str], features: &str, anchor: Option<&Path>) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "build",
            "--quiet",
            "--lib",
            "--package",
            "bootloader",
            "--no-default-features",
            "--features",
            features,
        ])
        .args(profile)
        .args(["--target-dir", concat!(env!("CARGO_TARGET_TMPDIR"), "/anchor")])
        .env_remove("ANCHOR");
    if let Some(anchor) = anchor {
        cargo.env("ANCHOR", anchor);
    }
    cargo.output().expect("cargo runs")
}

fn refused(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the build should have failed");
    assert!(said.contains(words), "the build says: {said}");
}

fn accepted(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("the target folder is writable");
    path
}

#[test]
fn the_development_anchor_is_the_key_of_its_published_seed() {
    let seed: [u8; 32] = Sha256::of(b"anchorage development anchor");
    let key = SoftwareKey::from_seed(&seed).unwrap().public_key();
    assert_eq!(std::fs::read(DEVELOPMENT_ANCHOR).unwrap(), key.to_cose_key());
}

#[test]
fn t10_a_release_takes_a_real_anchor_and_nothing_else() {
    let release = ["--release"];
    let development = Path::new(DEVELOPMENT_ANCHOR);
    refused(&build(&release, "loader", None), "a release build of the loader needs an anchor");
    refused(&build(&release, "loader", Some(development)), "ANCHOR is the development anchor");
    accepted(&build(&release, "dev-anchor", Some(development)));

    let own = SoftwareKey::from_seed(&[7; 32]).unwrap().public_key();
    let cose = file("own.cose", &own.to_cose_key());
    accepted(&build(&release, "loader", Some(&cose)));
    accepted(&build(&release, "provisioned-anchor", None));
    refused(&build(&release, "provisioned-anchor", Some(&cose)), "a loader has its anchor from one place");
    // An application verifies nothing and needs none.
    accepted(&build(&release, "", None));

    let missing = Path::new(env!("CARGO_TARGET_TMPDIR")).join("missing.cose");
    refused(&build(&release, "loader", Some(&missing)), "cannot read ANCHOR");
    let mut broken = own.to_cose_key();
    broken[0] ^= 1;
    refused(&build(&release, "loader", Some(&file("broken.cose", &broken))), "it is neither a COSE_Key");

    // RFC 8410 section 4, as every other tool writes a public key.
    let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    der.extend(own.as_bytes());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&der));
    accepted(&build(&release, "loader", Some(&file("own.pem", pem.as_bytes()))));
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0u32;
        for index in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(index).copied().unwrap_or(0));
        }
        for index in 0..4 {
            let value = (bits >> (18 - 6 * index) & 0x3F) as usize;
            text.push(if index <= chunk.len() { ALPHABET[value] as char } else { '=' });
        }
    }
    text
}
