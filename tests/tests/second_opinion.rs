//! A second opinion on every kind of signed record, and on what is encrypted and authenticated for devices: what manifest-tool
//! makes, python-cwt reads, verifies and decrypts (docs/records.md).
//! Needs python3 with venv, and a package index.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use emulator::{parent_death, python};
use serde_json::{Value, json};
use system_tests::xtask::build_programs;

/// The COSE and CWT library that nobody here wrote; it reads the algorithm -19 (RFC 9864) since version 3.
const PACKAGES: [&str; 2] = ["cwt==3.3.0", "cbor2==5.9.0"];

/// Roots, the key of the CI, a first list, a ceremony.
const SETUP: &str = "setup desk --domain example.com --product node --who Ada --who Bob --who Cleo --first-medium one \
                     --second-medium two --ci-make --yes";

/// One record of each other kind, by the commands that a maker uses. `{root}` stands for the root's key and ledger.
const COMMANDS: [&str; 11] = [
    "credential issue {root} --for line.cose --role identity --vendor example.com --class node --subject line-1 \
     --out line.cwt",
    "ledger init line-ledger --key line.pem --purpose issuing --domain-anchor root.cose --name line-1 \
     --vendor example.com --holder Ada --kept safe",
    "revoke --kid 0011223344556677 --role release --generation 3 {root} --published desk/out/list.cwt --out list.cwt",
    "provision --devices devices.csv --vendor example.com --class node --anchor root.cose \
     --issuing line.cwt --key line.pem --ledger line-ledger --out-dir batch",
    "succession request --key next.pem --name next --history one/ledger --out next.request",
    "succession grant next.request {root} --reason old --yes --out next.succession",
    "ledger init next-ledger --key next.pem --name next --continues one/ledger --holder Ada --kept safe",
    "revoke --nothing-new --key next.pem --ledger next-ledger --none-published --out first.cwt",
    "succession chain --history next-ledger --out chain",
    "create --image image.bin --image-format bin --allow-non-firmware --vendor example.com --class node --sequence 7 \
     --version 7.0.0 --out unsigned.suit --image-out 7.bin",
    "sign unsigned.suit --key desk/ci.pem --credential release.cwt --out release.suit",
];

/// What the script wants to read, and where the commands put it.
const FILES: [(&str, &str); 4] = [
    ("device.cwt", "batch/A-1.cwt"),
    ("seal.cwt", "desk/seal.cwt"),
    ("transcript.jsonl", "desk/transcript.jsonl"),
    ("head.json", "one/ledger/head.json"),
];

/// A release that two devices and a partner read, in both algorithms, and one envelope for each device under its own key.
const ENCRYPTIONS: [&str; 5] = [
    "key master --out master.key",
    "create --image image.bin --image-format bin --allow-non-firmware --vendor example.com --class node --sequence 7 \
     --version 7.0.0 --out plain.suit --image-out plain.bin",
    "encrypt plain.suit --image plain.bin {by} --public-key partner.pub --algorithm a128gcm --out a128gcm.suit \
     --ciphertext-out a128gcm.enc",
    "encrypt plain.suit --image plain.bin {by} --public-key partner.pub --algorithm a128ctr --out a128ctr.suit \
     --ciphertext-out a128ctr.enc",
    "personalize plain.suit --image plain.bin {by} --out-dir personal",
];
/// Line and devices, as split arguments: the name of the line has a space.
const BY: [&str; 8] = ["--master", "master.key", "--line", "line 1", "--serial", "A-1", "--serial", "A-2"];

struct Desk {
    folder: tempfile::TempDir,
    tool: std::path::PathBuf,
}

impl Desk {
    fn open() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, tool: build_programs()?.join("manifest-tool") })
    }

    fn run(&self, line: &str) -> Result<Value> {
        let mut command = parent_death::command(&self.tool);
        let line = line.replace("{root}", "--key one/root.pem --ledger one/ledger");
        command.current_dir(self.folder.path()).arg("--json");
        for word in line.split_whitespace() {
            match word {
                "{by}" => command.args(BY),
                _ => command.arg(word),
            };
        }
        command.env("ANCHORAGE_PASSPHRASE_FILE", self.folder.path().join("passphrase"));
        let output = command.stdin(Stdio::null()).output().context("cannot start manifest-tool")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{line}: {text}{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(text.lines().last().unwrap_or_default())
            .with_context(|| format!("{line}: {text}"))
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        Ok(std::fs::write(self.folder.path().join(name), content)?)
    }

    /// What a script of `second_opinion` tells of the folder.
    fn told_by(&self, script: &str) -> Result<Value> {
        let python = python::environment(Path::new(env!("CARGO_TARGET_TMPDIR")), "cwt", &PACKAGES)?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/second_opinion").join(script);
        let output = Command::new(python).arg("-B").arg(script).arg(self.folder.path()).output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_str(&told)?)
    }

    /// kid of a key file, as manifest-tool has it.
    fn kid(&self, name: &str) -> Result<Value> {
        Ok(self.run(&format!("key info {name}"))?["kid"].clone())
    }
}

#[test]
fn python_cwt_verifies_a_record_of_each_kind() -> Result<()> {
    let desk = Desk::open()?;
    let folder = desk.folder.path();
    desk.write("passphrase", b"reading glasses under a quiet bridge\n")?;
    for name in ["one", "two"] {
        std::fs::create_dir(folder.join(name))?;
    }
    for name in ["next", "line", "device", "stranger"] {
        desk.run(&format!("key generate --out {name}.pem"))?;
        desk.run(&format!("key public {name}.pem --out {name}.cose"))?;
    }
    desk.write("devices.csv", b"serial,node,public_key\nA-1,0x11,device.cose\n")?;
    desk.write("image.bin", &[0x5A; 5000])?;
    desk.run(SETUP)?;
    // Their names have the year in them.
    for made in folder.join("desk/out").read_dir()? {
        let path = made?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for (first, last, copy) in
            [("root-", "cose", "root.cose"), ("ci-", "cose", "ci.cose"), ("ci-", "cwt", "release.cwt")]
        {
            if name.starts_with(first) && name.ends_with(last) {
                std::fs::copy(&path, folder.join(copy))?;
            }
        }
    }
    for line in COMMANDS {
        desk.run(line)?;
    }
    for (name, path) in FILES {
        std::fs::copy(folder.join(path), folder.join(name)).with_context(|| path.to_owned())?;
    }
    let entries = |entry: std::io::Result<std::fs::DirEntry>| Some(entry.ok()?.path());
    let mut entries: Vec<_> = folder.join("one/ledger").read_dir()?.filter_map(entries).collect();
    entries.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('0')));
    entries.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    std::fs::copy(entries.iter().max().context("a ledger has entries")?, folder.join("entry.json"))?;

    let told = desk.told_by("records.py")?;

    let domain = desk.kid("root.cose")?;
    let (entries, lines) =
        (entries.len(), std::fs::read_to_string(folder.join("transcript.jsonl"))?.lines().count());
    let next = json!({"name": "next", "number": [0, 1], "rights": 15, "domain": domain});
    let wanted = json!({
        "release.cwt": {"sub": desk.run("credential inspect release.cwt")?["subject"], "role": 1, "kid": desk.kid("ci.cose")?, "ceiling": u32::MAX},
        "line.cwt": {"sub": "line-1", "role": 2, "kid": desk.kid("line.cose")?},
        "device.cwt": {
            "sub": "A-1", "role": 4, "kid": desk.kid("device.cose")?, "issuing_key": desk.kid("line.cose")?, "serials": ["A-1"],
        },
        "list.cwt": {"sequence": 2, "revoked": [[1, 3, ["0011223344556677"]]]},
        "next.succession": next,
        "chain": [next, 1],
        "head.json": {"entries": entries},
        "seal.cwt": {"lines": lines},
        "release.suit": {"sequence": 7},
    });
    ensure!(told == wanted, "{told:#}\n{wanted:#}");
    Ok(())
}

#[test]
fn python_cwt_decrypts_and_authenticates_what_is_for_devices() -> Result<()> {
    let desk = Desk::open()?;
    desk.write("image.bin", &(0..50_000_u32).map(|place| place.to_le_bytes()[0] ^ 0x5A).collect::<Vec<_>>())?;
    for line in [
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out partner.pem",
        "pkey -in partner.pem -pubout -out partner.pub",
    ] {
        let mut openssl = Command::new("openssl");
        let output = openssl.args(line.split_whitespace()).current_dir(desk.folder.path()).output()?;
        ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for line in ENCRYPTIONS {
        desk.run(line)?;
    }
    let readers = ["A-1", "A-2", "partner"];
    let wanted = json!({"a128gcm": readers, "a128ctr": readers, "mac0": ["A-1", "A-2"]});
    let told = desk.told_by("encryption.py")?;
    ensure!(told == wanted, "{told:#}\n{wanted:#}");
    Ok(())
}
