//! Chips on a bench: the very ELF of a board's loader in an emulated Cortex-M4, with register models of the chip that are
//! written from its reference manual, and a tester on its CAN bus. The emulator is a script over unicorn
//! (`src/emulation`), in a process of its own; its time is a count of accesses to devices, so every run is the
//! same.
#![forbid(unsafe_code)]

mod bench;
mod protocol;
pub mod symmetric;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use emulator::{parent_death, python};
use serde_json::{Value, json};
use update_protocol::can::Frame;

pub use bench::{Bench, PowerGone, Sent};
pub use protocol::{Program, Ran};

/// A chip that has models.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Model {
    /// The script in `src/emulation`.
    pub script: &'static str,
    /// Address and bytes of its flash.
    pub flash: (u32, u32),
    /// Bytes of a word, the unit of programming.
    pub word: u32,
}

/// Flash of a chip at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memory(Vec<u8>);

impl Memory {
    /// Its bytes, from the first address of flash on.
    #[must_use]
    pub fn bytes(&self, model: Model) -> &[u8] {
        &self.0[..model.flash.1 as usize]
    }

    /// Addresses of the words between these addresses that have been programmed.
    #[must_use]
    pub fn programmed(&self, model: Model, addresses: std::ops::Range<u32>) -> Vec<u32> {
        let (start, len) = model.flash;
        let words = (start..).step_by(model.word as usize).zip(&self.0[len as usize..]);
        words.filter(|(at, mark)| addresses.contains(at) && **mark == 1).map(|(at, _)| at).collect()
    }
}

/// A chip with a loader in its flash.
#[derive(Debug)]
pub struct Chip {
    model: Model,
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

impl Drop for Chip {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Chip {
    /// A new chip into which a probe has programmed `loader` (an ELF); its power is off. `target` is cargo's target
    /// directory, for the interpreter's environment; `seed` is for the content of RAM at power-up.
    ///
    /// # Errors
    /// When the emulator does not start.
    pub fn new(model: Model, target: &Path, loader: &Path, seed: u64) -> Result<Self> {
        let interpreter = python::environment(target, "unicorn", &[python::UNICORN])?;
        let folder = tempfile::Builder::new().prefix("chip").tempdir()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/emulation").join(model.script);
        let mut process = parent_death::command(&interpreter)
            .arg("-B")
            .arg(script)
            .arg(loader)
            .arg(seed.to_string())
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", interpreter.display()))?;
        let stdin = process.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(process.stdout.take().context("no stdout")?);
        Ok(Self { model, process, stdin, stdout, folder })
    }

    /// What it is.
    #[must_use]
    pub const fn model(&self) -> Model {
        self.model
    }

    fn command(&mut self, command: &Value) -> Result<String> {
        writeln!(self.stdin, "{command}")?;
        self.stdin.flush()?;
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            bail!("the model of the chip has ended; it says why on stderr");
        }
        Ok(line)
    }

    fn ran(&mut self, command: &Value) -> Result<Ran> {
        let line = self.command(command)?;
        serde_json::from_str(&line).with_context(|| format!("the model of the chip said {line}"))
    }

    /// Power off, then on: RAM holds anything, time begins at 0.
    ///
    /// # Errors
    /// When the emulator fails.
    pub fn power_on(&mut self) -> Result<Ran> {
        self.ran(&json!({ "do": "power" }))
    }

    /// The reset pin.
    ///
    /// # Errors
    /// When the emulator fails.
    pub fn reset(&mut self) -> Result<Ran> {
        self.ran(&json!({ "do": "reset" }))
    }

    /// Runs to `at_us`, hands the frames of the tester to the bus, and runs on to `until_us`, at most until the chip has
    /// sent something.
    ///
    /// # Errors
    /// When the emulator fails, or the program does what the part does not promise.
    pub fn run(&mut self, at_us: u64, frames: &[Frame], until_us: u64) -> Result<Ran> {
        let frames: Vec<_> = frames.iter().map(protocol::Wire::from).collect();
        self.ran(&json!({ "do": "run", "at_us": at_us, "frames": frames, "until_us": until_us }))
    }

    /// What lies in flash.
    ///
    /// # Errors
    /// When the emulator fails.
    pub fn memory(&mut self) -> Result<Memory> {
        let path = self.folder.path().join("memory");
        self.command(&json!({ "do": "memory", "path": path }))?;
        Ok(Memory(std::fs::read(path)?))
    }

    /// Puts this into flash; to be called while power is off.
    ///
    /// # Errors
    /// When the emulator fails.
    pub fn restore(&mut self, memory: &Memory) -> Result<()> {
        let path = self.folder.path().join("memory");
        std::fs::write(&path, &memory.0)?;
        self.command(&json!({ "do": "restore", "path": path })).map(drop)
    }

    /// The word of flash at this address can no longer be read.
    ///
    /// # Errors
    /// When the emulator fails.
    pub fn spoil(&mut self, address: u32) -> Result<()> {
        self.command(&json!({ "do": "spoil", "address": address })).map(drop)
    }

    /// The power goes away before the operation of this number from now on. An operation is a write to a register of
    /// the flash controller, or to flash.
    ///
    /// # Errors
    /// When the emulator fails.
    pub fn cut_at(&mut self, operation: u64) -> Result<()> {
        self.command(&json!({ "do": "cut", "operation": operation })).map(drop)
    }

    /// Keeps what lies in flash before each of these operations from now on, for [`kept`](Self::kept).
    ///
    /// # Errors
    /// When the emulator fails.
    pub fn keep_before(&mut self, operations: &[u64]) -> Result<()> {
        self.command(&json!({ "do": "want", "operations": operations })).map(drop)
    }

    /// What lay in flash before the operation of this number, counted since the chip was new; and what lies there after a
    /// cut within it, if it changes flash. It is kept no longer.
    ///
    /// # Errors
    /// When it was not kept.
    pub fn kept(&self, operation: u64) -> Result<(Memory, Option<Memory>)> {
        let take = |name: String| {
            let path = self.folder.path().join(name);
            let memory = std::fs::read(&path)?;
            std::fs::remove_file(path).map(|()| Memory(memory))
        };
        let before =
            take(operation.to_string()).with_context(|| format!("operation {operation} was not kept"))?;
        Ok((before, take(format!("{operation}-torn")).ok()))
    }

    /// Changes what is around the chip, or breaks it; its script says which settings there are.
    ///
    /// # Errors
    /// When the emulator fails, or does not know a setting.
    pub fn configure(&mut self, mut settings: Value) -> Result<()> {
        settings.as_object_mut().context("no object")?.insert("do".to_owned(), "configure".into());
        self.command(&settings).map(drop)
    }

    /// Bytes of RAM.
    ///
    /// # Errors
    /// When the emulator fails.
    pub fn peek(&mut self, address: u32, len: u32) -> Result<Vec<u8>> {
        let line = self.command(&json!({ "do": "peek", "address": address, "len": len }))?;
        let answer: Value = serde_json::from_str(&line)?;
        let bytes = hex::decode(answer["bytes"].as_str().context("no bytes")?)?;
        ensure!(bytes.len() == len as usize, "{} bytes of {len}", bytes.len());
        Ok(bytes)
    }
}
