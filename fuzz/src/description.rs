//! Descriptions in TOML, as `compose` takes them: what is refused is refused at one of its lines, and what is not makes an
//! envelope that the whole decoder reads, that has one text, and that comes out the same each time.

use std::path::PathBuf;
use std::sync::OnceLock;

use manifest_tool::description::Description;
use manifest_tool::error::Error;
use manifest_tool::lint::findings;
use suit_manifest::author::diagnostic_notation;
use suit_manifest::author::tree::EnvelopeTree;
use tempfile::TempDir;

use crate::manifest::envelope_seeds;

/// A folder with the files that the seeds name.
fn folder() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("app.bin"), [0x5A; 100]).unwrap();
        std::fs::write(folder.path().join("info"), [0xA0]).unwrap();
        std::fs::write(folder.path().join("radio.suit"), envelope_seeds().first().unwrap()).unwrap();
        folder
    });
    folder.path().to_owned()
}

/// Whether a text could name a file outside of the folder.
fn leads_outside(text: &str) -> bool {
    ["\"/", "'/", "..", "\\"].into_iter().any(|way| text.contains(way))
}

/// The bytes as a description.
pub(crate) fn description(data: &[u8]) -> bool {
    if std::str::from_utf8(data).is_ok_and(leads_outside) {
        return false;
    }
    let parsed = Description::parse(&folder().join("description.toml"), data);
    if let Err(Error::Description { line, .. }) = &parsed {
        let lines = 1 + data.iter().filter(|byte| **byte == b'\n').count();
        assert!((1..=lines).contains(line), "line {line} of {lines}");
    }
    // A file that it names cannot be read, or is no envelope.
    let Ok(Description { composition, .. }) = parsed else { return false };
    let Ok(envelope) = composition.compose() else { return false };
    let tree = EnvelopeTree::read(&envelope).unwrap();
    assert_eq!(tree.manifest.sequence_number, composition.sequence_number);
    assert!(diagnostic_notation(&envelope).is_ok());
    assert_eq!(composition.compose().ok(), Some(envelope.clone()));
    // It is not signed, which is a finding.
    assert!(!findings(&envelope, None).is_empty());
    true
}

pub(crate) fn description_seeds() -> Vec<Vec<u8>> {
    let usual = r#"
format = 1
sequence-number = 7
components = [["app"], ["app", "encrypted"]]
reference-uri = "https://example.com/app.suit"
severed = ["text", "payload-fetch"]

[sequences]
shared = [
    { set-component-index = true },
    { override-parameters = { vendor-id = "example.com", class-id = "gateway", device-id = { serial = "A-1" } } },
    { set-component-index = 0 },
    { override-parameters = { image-digest = { file = "app.bin" }, image-size = { file = "app.bin" } } },
    "vendor-identifier",
    { class-identifier = 0 },
]
payload-fetch = [{ set-component-index = 1 }, { override-parameters = { uri = { file = "app.bin" } } }, "fetch"]
install = [
    { override-parameters = { source-component = 1, encryption-info = { file = "info" } } },
    "copy",
    { try-each = [["image-match"], [{ run-sequence = ["abort"] }], "nothing"] },
]
validate = ["image-match"]
invoke = ["invoke"]

[text.en]
manifest-description = "a release"
[[text.en.component]]
id = ["app"]
component-version = "2.0.0"
"#;
    let whole = r##"
format = 1
sequence-number = 0xFF
digest = "sha-512"
components = [["a"], [{ hex = "00ff" }], ["b"]]
dependencies = { 1 = { prefix = ["radio"] }, 2 = {} }
component-id = ["gateway"]
set-version = "1.2.-1"
coswid = { hex = "a0" }

[integrated]
"#radio" = { file = "radio.suit" }

[sequences]
shared = [{ override-multiple = { 0 = { vendor-id = { pen = 300 } }, 1 = { image-digest = { manifest-of = "radio.suit" } } } }]
dependency-resolution = [{ copy-params = { 0 = ["vendor-id"] } }, { set-parameters = { uri = "#radio" } }, "fetch"]
load = [{ override-parameters = { wait-info = { authorization = 1, other-device-version = { device = { hex = "01" }, versions = ["<= 2"] } } } }, "wait"]
validate = [{ -300 = { hex = "00" } }, { override-parameters = { -1 = { hex = "f6" }, version = ">= 1.2", content = { text = "x" } } }, "check-content"]
uninstall = ["unlink"]
"##;
    vec![usual.as_bytes().to_vec(), whole.as_bytes().to_vec()]
}
