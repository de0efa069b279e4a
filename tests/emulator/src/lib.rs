//! The emulated board: builds its programs, runs QEMU with its flash in a file and its CAN controller on a unix
//! socket, resets it, cuts its power, and reads its RAM. docs/boards.md has the command line in words.
#![forbid(unsafe_code)]

use std::fs::File;
use std::hash::{Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, elf};
use qemu_mps2_layout::{AN386, Machine};
use serde_json::{Value, json};

pub mod c_programs;
pub mod parent_death;
mod programs;
pub mod python;
pub mod script;

pub use programs::{Application, Behaviour, Loader, Program, Programs};

/// The emulator.
pub const QEMU: &str = "qemu-system-arm";
/// QEMU answers within this, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection to it waits for its greeting.
const GREETING: Duration = Duration::from_secs(2);
/// The pattern with which cortex-m-rt paints the stack.
const STACK_PAINT: u32 = 0xCCCC_CCCC;

/// Whether QEMU for Arm is on this machine.
#[must_use]
pub fn is_installed() -> bool {
    Command::new(QEMU).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// An application as an image: what its ELF loads, from the vector table on.
pub fn image(elf_path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(elf_path)?;
    let header = elf::FileHeader32::<Endianness>::parse(&*bytes)?;
    let endian = header.endian()?;
    let (mut start, mut image) = (None, Vec::new());
    for segment in header.program_headers(endian, &*bytes)? {
        let data =
            segment.data(endian, &*bytes).map_err(|()| anyhow::anyhow!("a segment outside the file"))?;
        if segment.p_type(endian) != elf::PT_LOAD || data.is_empty() {
            continue;
        }
        let address = segment.p_paddr(endian);
        let at = address.checked_sub(*start.get_or_insert(address)).context("segments out of order")?;
        let at = usize::try_from(at)?;
        ensure!(at >= image.len(), "segments out of order");
        image.resize(at, 0xFF);
        image.extend_from_slice(data);
    }
    Ok(image)
}

/// A board with its power on, until it is dropped. The flash file outlives it.
#[derive(Debug)]
pub struct Board {
    machine: Machine,
    loader: PathBuf,
    flash: PathBuf,
    /// Sockets and QEMU's log. Short, as a socket's path may have 107 bytes only.
    folder: tempfile::TempDir,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    process: Child,
    monitor: Monitor,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Board {
    /// Starts a Cortex-M4F that runs `loader` (an ELF) and has its flash in the file `flash`; a file that does not exist
    /// yet is a new chip.
    pub fn power_on(loader: &Path, flash: &Path) -> Result<Self> {
        Self::power_on_machine(AN386, loader, flash)
    }

    /// The same with another machine, which `loader` was built for.
    pub fn power_on_machine(machine: Machine, loader: &Path, flash: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("board").tempdir()?;
        let (loader, flash) = (loader.to_owned(), flash.to_owned());
        let mut board = Self { machine, loader, flash, folder, running: None };
        board.restore_power()?;
        Ok(board)
    }

    /// The bus the board is alone on, in the words of can-bus. One client at a time; a second waits for the first
    /// to leave.
    #[must_use]
    pub fn bus(&self) -> String {
        format!("slcan:unix:{}", self.can_socket().display())
    }

    /// The unix socket of its CAN controller: Lawicel frames both ways.
    #[must_use]
    pub fn can_socket(&self) -> PathBuf {
        self.folder.path().join("can")
    }

    /// The file its flash is in.
    #[must_use]
    pub fn flash(&self) -> &Path {
        &self.flash
    }

    /// The output of QEMU.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// Resets the board as its reset pin would. RAM keeps its bytes.
    pub fn reset(&mut self) -> Result<()> {
        self.monitor()?.execute("system_reset", json!({})).map(drop)
    }

    /// Ends QEMU between two instructions (SIGKILL): RAM is lost, what has been written to flash stays.
    pub fn cut_power(&mut self) {
        self.running = None;
    }

    /// Starts QEMU again after [`cut_power`](Self::cut_power), and waits for it.
    pub fn restore_power(&mut self) -> Result<()> {
        self.running = None;
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let monitor_socket = self.folder.path().join("monitor");
        let mut process = parent_death::command(QEMU)
            .arg("-machine")
            .arg(format!("mps2-{},memory-backend=flash", self.machine.name))
            .args(["-m", "16M", "-object"])
            .arg(format!("memory-backend-file,id=flash,size=16M,share=on,mem-path={}", escaped(&self.flash)?))
            .args(["-display", "none", "-nodefaults", "-monitor", "none", "-chardev"])
            // mux: its buffer lets the guest take bytes without a round through QEMU's main loop for each.
            .arg(format!("socket,id=can,server=on,wait=off,mux=on,path={}", escaped(&self.can_socket())?))
            .args(["-serial", "chardev:can", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", escaped(&monitor_socket)?))
            .arg("-device")
            .arg(format!(
                "loader,addr={:#x},data={:#x},data-len=8",
                self.machine.unique_id_start(),
                unique_id(&self.flash)?
            ))
            .arg("-kernel")
            .arg(&self.loader)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {QEMU}"))?;
        match Monitor::connect(&monitor_socket, &mut process) {
            Ok(monitor) => {
                self.running = Some(Running { process, monitor });
                Ok(())
            }
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                Err(error.context(format!("{QEMU} does not come up: {}", self.log()?)))
            }
        }
    }

    /// Bytes of RAM or flash as the processor sees them.
    pub fn memory(&mut self, address: u32, len: u32) -> Result<Vec<u8>> {
        let dump = self.folder.path().join("memory");
        let arguments = json!({"val": address, "size": len, "filename": dump});
        self.monitor()?.execute("memsave", arguments)?;
        let bytes = std::fs::read(&dump)?;
        ensure!(bytes.len() == len as usize, "{} bytes of memory instead of {len}", bytes.len());
        Ok(bytes)
    }

    /// Deepest use of the stack since the program that runs has started, in bytes. `stack_len` is what the program
    /// was linked for (layout).
    pub fn stack_used(&mut self, stack_len: u32) -> Result<u32> {
        let stack = self.memory(self.machine.ram_start, stack_len)?;
        let untouched = stack.chunks_exact(4).take_while(|word| **word == STACK_PAINT.to_le_bytes()).count();
        ensure!(untouched > 0, "the stack of {stack_len} bytes was used up, or never painted");
        Ok(stack_len - u32::try_from(untouched * 4)?)
    }

    fn monitor(&mut self) -> Result<&mut Monitor> {
        Ok(&mut self.running.as_mut().context("the board's power is off")?.monitor)
    }
}

/// Stands for the unique id of a chip: the same while the flash file keeps its path.
fn unique_id(flash: &Path) -> Result<u64> {
    let mut hasher = std::hash::DefaultHasher::new();
    std::path::absolute(flash)?.hash(&mut hasher);
    Ok(hasher.finish())
}

/// A path within a QEMU option, where a comma is written twice.
fn escaped(path: &Path) -> Result<String> {
    Ok(path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?.replace(',', ",,"))
}

/// QEMU's machine protocol: a JSON object a line each way, events in between.
#[derive(Debug)]
struct Monitor {
    lines: BufReader<UnixStream>,
}

impl Monitor {
    fn connect(socket: &Path, process: &mut Child) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let mut monitor = loop {
            match Self::greeted(socket) {
                Ok(monitor) => break monitor,
                Err(_) if Instant::now() < deadline => {
                    if let Some(status) = process.try_wait()? {
                        bail!("{QEMU} ended: {status}");
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(error).context("no monitor"),
            }
        };
        monitor.lines.get_ref().set_read_timeout(Some(PATIENCE))?;
        monitor.execute("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    /// A connection on which QEMU has said that it is one. One that comes while QEMU is still opening its monitor gets no
    /// greeting, or a part of one: the next connection does.
    fn greeted(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(GREETING))?;
        let mut monitor = Self { lines: BufReader::new(stream) };
        ensure!(monitor.line()?.get("QMP").is_some(), "no QMP greeting");
        Ok(monitor)
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        ensure!(self.lines.read_line(&mut line)? != 0, "{QEMU} closed its monitor");
        Ok(serde_json::from_str(&line)?)
    }

    fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let mut line = serde_json::to_vec(&json!({"execute": command, "arguments": arguments}))?;
        line.push(b'\n');
        self.lines.get_mut().write_all(&line)?;
        loop {
            let mut answer = self.line()?;
            if let Some(error) = answer.get("error") {
                bail!("{command}: {error}");
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }
}
