//! `cargo xtask bench suit`: what the maker's commands cost beside the tool that a user would pick for the bytes alone. Files
//! stand in one folder and runs take turns, so a ratio holds on a busy machine too; nothing here fails for being slow.
//!
//! The first rows are about devices: instructions of the built loaders, which no other load changes.
//!
//! Our files last when a command has ended, those of OpenSSL do not: what that costs on this disk is measured as well. `create`
//! takes a binary as the image that it is, so it writes none, as `openssl dgst` does not.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::authoring::{CLASS, VENDOR};
use crate::process;
use crate::skip;
use crate::workspace::Workspace;

/// Runs of each; their median counts.
const ROUNDS: usize = 3;
/// Runs in the suite, where nobody reads more than that it works.
const BRIEF_ROUNDS: usize = 1;
/// The longest image that manifest-tool takes.
const IMAGE_LEN: usize = 64 << 20;
const BRIEF_IMAGE_LEN: usize = 1 << 20;
/// For Intel HEX and for devices: as long as images of microcontrollers are.
const SMALL_IMAGE_LEN: usize = 1 << 20;
const DEVICES: usize = 1000;
const BRIEF_DEVICES: usize = 20;
/// Bytes of a record of Intel HEX.
const RECORD_LEN: usize = 16;
/// Where the image is linked for.
const ADDRESS: u32 = 0x0800_0000;
const STACK_TOP: u32 = 0x2000_8000;
/// Vectors of the core behind the first.
const VECTORS: usize = 15;

/// How much is measured.
#[derive(Clone, Copy)]
pub(super) enum Extent {
    Full,
    /// For the suite.
    Brief,
}

#[derive(Serialize)]
pub(super) struct Report {
    /// Not in the suite.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    devices: Vec<DeviceRow>,
    rows: Vec<Row>,
    lasting: Lasting,
    personalize: Personalize,
}

/// Instructions on a device, beside those that nobody can leave away.
#[derive(Deserialize, Serialize)]
struct DeviceRow {
    what: String,
    instructions: u64,
    beside: String,
    beside_instructions: u64,
    ratio: f64,
    aim: f64,
    is_met: bool,
}

/// A command of ours and what stands beside it.
#[derive(Serialize)]
struct Row {
    ours: String,
    beside: String,
    bytes: usize,
    seconds: f64,
    beside_seconds: f64,
    ratio: f64,
    /// The ratio is at most this; `None` in the suite, whose programs are not those of a release.
    aim: Option<f64>,
    is_met: Option<bool>,
}

/// To write as many bytes as the image has, and to wait until they last: of `encrypt`.
#[derive(Serialize)]
struct Lasting {
    bytes: usize,
    seconds: f64,
}

/// `manifest-tool personalize` for many devices.
#[derive(Serialize)]
struct Personalize {
    devices: usize,
    image_bytes: usize,
    seconds: f64,
    devices_per_second: f64,
}

impl fmt::Display for DeviceRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, instructions, beside, beside_instructions, ratio, aim, is_met } = self;
        write!(f, "{what}: {instructions} instructions; {beside}: {beside_instructions}; ratio {ratio:.2}")?;
        write!(f, ", aim {aim:.2}: {}", if *is_met { "met" } else { "MISSED" })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, beside, bytes, seconds, beside_seconds, ratio, aim, is_met } = self;
        write!(
            f,
            "{ours}, {bytes} bytes: {seconds:.3} s; {beside}: {beside_seconds:.3} s; ratio {ratio:.2}"
        )?;
        match aim.zip(*is_met) {
            Some((aim, true)) => write!(f, ", aim {aim:.2}: met"),
            Some((aim, false)) => write!(f, ", aim {aim:.2}: MISSED"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.devices.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        let Lasting { bytes, seconds } = self.lasting;
        writeln!(f, "of that, {bytes} bytes written so that they last: {seconds:.3} s")?;
        let Personalize { devices, image_bytes, seconds, devices_per_second } = &self.personalize;
        writeln!(
            f,
            "personalize, {devices} devices, one image of {image_bytes} bytes: {seconds:.3} s, {devices_per_second:.0} devices/s"
        )
    }
}

/// Measures the manifest-tool of `programs`.
pub(super) fn measure(workspace: &Workspace, programs: &Path, extent: Extent) -> Result<Report> {
    let (rounds, image_len, devices) = match extent {
        Extent::Full => (ROUNDS, IMAGE_LEN, DEVICES),
        Extent::Brief => (BRIEF_ROUNDS, BRIEF_IMAGE_LEN, BRIEF_DEVICES),
    };
    let has_aims = matches!(extent, Extent::Full);
    let devices_cost = match extent {
        Extent::Full => serde_json::from_slice(&skip::count_suit(workspace)?).context("the instructions")?,
        Extent::Brief => Vec::new(),
    };
    let desk = Desk { programs, directory: workspace.fresh_directory("bench-suit")?, rounds, has_aims };
    desk.open(image_len)?;
    let create_and_sign = desk.compare(
        ("create + sign", || desk.create("image.bin", "image").and_then(|()| desk.sign("image"))),
        ("openssl dgst -sha256", || desk.openssl(&["dgst", "-sha256", "image.bin"])),
        (image_len, 1.3),
    )?;
    let hex = desk.compare(
        ("create from Intel HEX", || desk.convert("small.hex", "from-hex")),
        ("create from a binary", || desk.convert("small.bin", "small")),
        (SMALL_IMAGE_LEN, 4.0),
    )?;
    let mut rows = vec![create_and_sign];
    for algorithm in ["a128ctr", "a128gcm"] {
        rows.push(desk.compare(
            (&format!("encrypt --algorithm {algorithm}"), || desk.encrypt(algorithm)),
            // The command line of OpenSSL has no AEAD.
            ("openssl enc -aes-128-ctr", || desk.openssl(&ENCRYPT)),
            (image_len, 2.0),
        )?);
    }
    rows.push(hex);
    Ok(Report {
        devices: devices_cost,
        rows,
        lasting: desk.lasting(image_len)?,
        personalize: desk.personalize(devices)?,
    })
}

const ENCRYPT: [&str; 10] = [
    "enc",
    "-aes-128-ctr",
    "-K",
    "000102030405060708090a0b0c0d0e0f",
    "-iv",
    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
    "-in",
    "image.bin",
    "-out",
    "image.openssl",
];

/// The maker's desk: a folder of keys and images. Its keys are not encrypted, so that no passphrase is weighed in a run.
struct Desk<'a> {
    programs: &'a Path,
    directory: PathBuf,
    rounds: usize,
    has_aims: bool,
}

impl Desk<'_> {
    fn open(&self, image_len: usize) -> Result<()> {
        for name in ["root", "release"] {
            let (private, public) = (format!("{name}.pem"), format!("{name}.cose"));
            self.tool(&["key", "generate", "--no-passphrase", "--out", &private])?;
            self.tool(&["key", "public", &private, "--format", "cose", "--out", &public])?;
        }
        let issue =
            ["credential", "issue", "--key", "root.pem", "--for", "release.cose", "--role", "release"];
        let of = ["--vendor", VENDOR, "--class", CLASS, "--issuer", "root", "--subject", "release"];
        self.tool(&[&issue[..], &of, &["--out", "release.credential"]].concat())?;
        self.tool(&["key", "master", "--out", "master.key"])?;
        let small = image(SMALL_IMAGE_LEN);
        std::fs::write(self.directory.join("image.bin"), image(image_len))?;
        std::fs::write(self.directory.join("small.hex"), intel_hex(&small))?;
        std::fs::write(self.directory.join("small.bin"), small)?;
        Ok(())
    }

    fn run(&self, command: &mut Command) -> Result<()> {
        process::output(command.current_dir(&self.directory)).map(drop)
    }

    fn tool(&self, arguments: &[&str]) -> Result<()> {
        self.run(Command::new(self.programs.join("manifest-tool")).arg("--json").args(arguments))
    }

    fn openssl(&self, arguments: &[&str]) -> Result<()> {
        self.run(Command::new("openssl").args(arguments))
    }

    /// Every output is new: replacing one compares it with what is there.
    fn clear(&self, names: &[String]) -> Result<()> {
        names.iter().map(|name| self.directory.join(name)).try_for_each(|path| {
            if path.exists() {
                std::fs::remove_file(path).context("an output of the run before")
            } else {
                Ok(())
            }
        })
    }

    /// Of a binary, which is the image itself.
    fn create(&self, image: &str, name: &str) -> Result<()> {
        self.create_with(image, name, &[])
    }

    /// The same, and the image as a file of its own, which other input than a binary needs.
    fn convert(&self, image: &str, name: &str) -> Result<()> {
        let out = format!("{name}.image");
        self.clear(std::slice::from_ref(&out))?;
        self.create_with(image, name, &["--image-out", &out])
    }

    fn create_with(&self, image: &str, name: &str, more: &[&str]) -> Result<()> {
        let envelope = format!("{name}.unsigned.suit");
        self.clear(std::slice::from_ref(&envelope))?;
        let of = ["create", "--image", image, "--vendor", VENDOR, "--class", CLASS];
        let what = ["--sequence", "1", "--version", "1.0.0", "--out", &envelope];
        self.tool(&[&of[..], &what, more].concat())
    }

    fn sign(&self, name: &str) -> Result<()> {
        let (unsigned, signed) = (format!("{name}.unsigned.suit"), format!("{name}.suit"));
        self.clear(std::slice::from_ref(&signed))?;
        let by = ["--key", "release.pem", "--credential", "release.credential"];
        self.tool(&[&["sign", &unsigned, "--out", &signed][..], &by].concat())
    }

    fn encrypt(&self, algorithm: &str) -> Result<()> {
        let (envelope, out) = ("encrypted.suit", "image.enc");
        self.clear(&[envelope.to_owned(), out.to_owned()])?;
        let of = ["encrypt", "image.unsigned.suit", "--image", "image.bin", "--algorithm", algorithm];
        let by = ["--master", "master.key", "--line", "line", "--serial", "A-0001"];
        self.tool(&[&of[..], &by, &["--out", envelope, "--ciphertext-out", out]].concat())
    }

    fn lasting(&self, bytes: usize) -> Result<Lasting> {
        let content = std::fs::read(self.directory.join("image.bin"))?;
        let mut times = Vec::new();
        for _ in 0..self.rounds {
            self.clear(&["image.lasting".to_owned()])?;
            times.push(seconds(|| {
                let mut file = File::create_new(self.directory.join("image.lasting"))?;
                file.write_all(&content)?;
                Ok(file.sync_all()?)
            })?);
        }
        Ok(Lasting { bytes, seconds: median(times)? })
    }

    fn personalize(&self, devices: usize) -> Result<Personalize> {
        let serials: Vec<_> = (0..devices).map(|number| format!("A-{number:04}")).collect();
        let mut arguments = vec!["personalize", "small.unsigned.suit", "--image", "small.image"];
        arguments.extend(["--master", "master.key", "--line", "line", "--out-dir", "devices"]);
        arguments.extend(serials.iter().flat_map(|serial| ["--serial", serial.as_str()]));
        let seconds = seconds(|| self.tool(&arguments))?;
        #[allow(clippy::cast_precision_loss, reason = "there are a thousand devices")]
        let devices_per_second = devices as f64 / seconds;
        Ok(Personalize { devices, image_bytes: SMALL_IMAGE_LEN, seconds, devices_per_second })
    }

    /// Both take turns; the median of each.
    fn compare(
        &self,
        (ours, our_run): (&str, impl Fn() -> Result<()>),
        (beside, other_run): (&str, impl Fn() -> Result<()>),
        (bytes, aim): (usize, f64),
    ) -> Result<Row> {
        let (mut our_times, mut other_times) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            our_times.push(seconds(&our_run)?);
            other_times.push(seconds(&other_run)?);
        }
        let (seconds, beside_seconds) = (median(our_times)?, median(other_times)?);
        let ratio = seconds / beside_seconds;
        let (ours, beside) = (ours.to_owned(), beside.to_owned());
        let aim = self.has_aims.then_some(aim);
        let is_met = aim.map(|aim| ratio <= aim);
        Ok(Row { ours, beside, bytes, seconds, beside_seconds, ratio, aim, is_met })
    }
}

fn seconds(run: impl Fn() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    run()?;
    Ok(began.elapsed().as_secs_f64())
}

fn median(mut times: Vec<f64>) -> Result<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().context("nothing was measured")
}

/// An image that does not compress, behind a vector table.
fn image(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut words = Vec::with_capacity(len);
    while words.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words.extend_from_slice(&state.to_le_bytes());
    }
    words.truncate(len);
    let handlers = [ADDRESS + 0x101; VECTORS];
    let table: Vec<u8> = [STACK_TOP].into_iter().chain(handlers).flat_map(u32::to_le_bytes).collect();
    words.splice(..table.len(), table);
    words
}

/// The image as Intel HEX, as linkers write it.
fn intel_hex(image: &[u8]) -> String {
    use fmt::Write as _;

    let mut text = String::new();
    let mut record = |kind: u8, offset: u16, data: &[u8]| {
        let [high, low] = offset.to_be_bytes();
        let len = u8::try_from(data.len()).unwrap_or(u8::MAX);
        let head = [len, high, low, kind];
        let sum = head.iter().chain(data).fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        text.push(':');
        for byte in head.iter().chain(data).chain([&sum.wrapping_neg()]) {
            let _ = write!(text, "{byte:02X}");
        }
        text.push('\n');
    };
    for (address, data) in (ADDRESS..).step_by(RECORD_LEN).zip(image.chunks(RECORD_LEN)) {
        let [high, higher, low, lower] = address.to_be_bytes();
        if (low, lower) == (0, 0) {
            record(4, 0, &[high, higher]);
        }
        record(0, u16::from_be_bytes([low, lower]), data);
    }
    record(1, 0, &[]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intel_hex_is_as_linkers_write_it() {
        let hex = intel_hex(&[b"0123456789abcdef".as_slice(), b"text"].concat());
        assert_eq!(
            hex,
            ":020000040800F2\n:10000000303132333435363738396162636465668E\n:040010007465787427\n:00000001FF\n"
        );
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).unwrap(), 2.0);
    }
}
