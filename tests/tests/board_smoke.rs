//! The life of a device, on the emulated Cortex-M4 and on the simulator: provisioned, installed, updated over a power
//! cut, reverted when the new image does not confirm itself, and when it hangs, and updated although its application
//! dies after it has confirmed itself.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bootloader::mailbox::SILENT_RESETS_MAX;
use can_bus::{Bus, Ended, Flow, IsoTpChannel, Tester};
use device_harness::factory::{self, Factory, provisioning_block};
use emulator::{Application, Behaviour, Board, Programs, parent_death};
use qemu_mps2_layout as layout;
use suit_manifest::Reason;
use system_tests::{addresses, xtask};
use tokio::runtime::Runtime;
use update_protocol::profile::{self, DEFAULT_NODE_ADDRESS, ImageState, Mode, Object, StateRecord, did};
use update_protocol::uds::{S3_SERVER_MS, Session};

/// What the provisioning block says.
const NODE: u8 = 0x21;
/// A reset, with a hanging application and its watchdog in between, takes no longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Large enough for a transfer that can be cut, small enough for a slow machine.
const BALLAST_LEN: u32 = 16 * 1024;

/// What must stay unused of the loader's stack, bytes.
const STACK_RESERVE: u32 = 512;

enum Device {
    Board(Board),
    Sim { program: PathBuf, flash: PathBuf, bus: String, process: Option<Child> },
}

impl Device {
    fn bus(&self) -> String {
        match self {
            Self::Board(board) => board.bus(),
            Self::Sim { bus, .. } => bus.clone(),
        }
    }

    fn cut_power(&mut self) -> Result<()> {
        match self {
            Self::Board(board) => board.cut_power(),
            Self::Sim { process, .. } => {
                if let Some(mut process) = process.take() {
                    process.kill()?;
                    process.wait()?;
                }
            }
        }
        Ok(())
    }

    fn restore_power(&mut self) -> Result<()> {
        match self {
            Self::Board(board) => board.restore_power(),
            Self::Sim { program, flash, bus, process } => {
                let mut child = parent_death::command(program)
                    .args(["--bus", bus, "--flash"])
                    .arg(flash)
                    .stdout(Stdio::piped())
                    .spawn()
                    .context("cannot run the simulator")?;
                let stdout = child.stdout.take().context("no stdout")?;
                *process = Some(child);
                let mut line = String::new();
                ensure!(BufReader::new(stdout).read_line(&mut line)? != 0, "the simulator ended at once");
                Ok(())
            }
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // A simulator that is still alive must not outlive the test; there is nobody to tell if it already ended.
        let _ = self.cut_power();
    }
}

/// The bench: a device, a manufacturer, and a tester on the device's bus.
struct Bench {
    runtime: Runtime,
    device: Device,
    factory: Factory,
    programs: Programs,
    tester: Option<Tester>,
    node: u8,
}

struct Release {
    envelope: Vec<u8>,
    image: Vec<u8>,
}

impl Bench {
    fn new(device: Device, programs: Programs) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let factory = Factory::new(7);
        let node = DEFAULT_NODE_ADDRESS;
        Ok(Self { runtime, device, factory, programs, tester: None, node })
    }

    fn release(&self, sequence: u64, behaviour: Behaviour) -> Result<Release> {
        let version = format!("{sequence}.0.0");
        let elf =
            self.programs.application(&Application { version, behaviour, ballast_len: Some(BALLAST_LEN) })?;
        let image = emulator::image(&elf)?;
        Ok(Release { envelope: self.factory.envelope(sequence, &image), image })
    }

    /// A release of the application in C.
    fn c_release(&self, sequence: u64, confirms: bool) -> Result<Release> {
        let version = format!("{sequence}.0.0");
        let elf = self.programs.c_application(&version, confirms)?;
        // As its maker makes it.
        let folder = tempfile::tempdir()?;
        let (envelope, bytes) = (folder.path().join("unsigned.suit"), folder.path().join("app.bin"));
        let mut tool = std::process::Command::new(xtask::build_programs()?.join("manifest-tool"));
        tool.args(["create", "--vendor", "example.com", "--class", "node", "--version", &version]);
        tool.arg("--sequence").arg(sequence.to_string()).arg("--image").arg(&elf);
        let output = tool.arg("--out").arg(envelope).arg("--image-out").arg(&bytes).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let image = std::fs::read(bytes)?;
        Ok(Release { envelope: self.factory.envelope(sequence, &image), image })
    }

    fn on<T>(&mut self, work: impl AsyncFnOnce(&mut Tester) -> Result<T>) -> Result<T> {
        let (bus, node) = (self.device.bus(), self.node);
        self.runtime.block_on(async {
            if self.tester.is_none() {
                let bus = Bus::open(&bus.parse()?).await?;
                self.tester = Some(Tester::new(IsoTpChannel::new(bus, profile::tester_addressing(node))));
            }
            work(self.tester.as_mut().context("no tester")?).await
        })
    }

    /// Waits until the device answers as `mode` says it is.
    fn wait_for(&mut self, mode: Mode) -> Result<StateRecord> {
        self.wait(|state| state.mode == mode).with_context(|| format!("waiting for {mode:?}"))
    }

    /// Waits until the device answers with such a state.
    fn wait(&mut self, is_right: impl Fn(&StateRecord) -> bool) -> Result<StateRecord> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.on(async |tester| Ok(tester.read_state().await?)) {
                Ok(state) if is_right(&state) => return Ok(state),
                answer => ensure!(Instant::now() < deadline, "the device is not there: {answer:?}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the device answers with this reason.
    fn wait_for_reason(&mut self, reason: Reason) -> Result<StateRecord> {
        self.wait(|state| state.reason == reason.code())
    }

    /// Waits until the application has died as often as this.
    fn wait_for_silence(&mut self, resets: u8) -> Result<StateRecord> {
        self.wait(|state| {
            state.reason == Reason::ApplicationSilent.code()
                && state.reason_position & 0xFF >= u32::from(resets)
        })
    }

    fn version(&mut self) -> Result<String> {
        let version = self.on(async |tester| Ok(tester.read(did::APPLICATION_VERSION).await?))?;
        Ok(String::from_utf8(version)?)
    }

    fn cut_power(&mut self) -> Result<()> {
        self.tester = None;
        self.device.cut_power()
    }

    /// What tells the device from others in factory state.
    fn factory_tag(&mut self) -> Result<Vec<u8>> {
        self.wait_for(Mode::Factory)?;
        let tag = self.on(async |tester| Ok(tester.read(did::FACTORY_TAG).await?))?;
        ensure!(tag.len() == 8 && tag != [0; 8], "no tag: {tag:?}");
        Ok(tag)
    }

    fn provision(&mut self) -> Result<()> {
        let state = self.wait_for(Mode::Factory)?;
        ensure!(state.image == ImageState::None, "a new device has an image: {state:?}");
        let block = provisioning_block(&[self.factory.anchor()], None);
        self.on(async |tester| {
            tester.session(Session::Programming).await?;
            tester.download(Object::ProvisioningBlock, &block, |_| Flow::Continue).await?;
            Ok(tester.hard_reset().await?)
        })?;
        self.node = NODE;
        self.tester = None;
        self.wait_for(Mode::Loader)?;
        Ok(())
    }

    /// Hands the envelope over and says from where on the image is wanted.
    fn offer(&mut self, release: &Release) -> Result<usize> {
        self.on(async |tester| {
            tester.session(Session::Programming).await?;
            tester.download(Object::Envelope, &release.envelope, |_| Flow::Continue).await?;
            let state = tester.read_state().await?;
            ensure!(state.mode == Mode::Loader, "an application took an envelope");
            Ok(usize::try_from(state.resume_offset)?)
        })
    }

    /// Sends what the device does not have yet, up to the verdict.
    fn transfer(&mut self, release: &Release) -> Result<usize> {
        let resumed_from = self.offer(release)?;
        self.on(async |tester| {
            let object = Object::Image { offset: u32::try_from(resumed_from)? };
            tester.download(object, &release.image, |_| Flow::Continue).await?;
            ensure!(tester.read_state().await?.image == ImageState::Pending, "not pending");
            Ok(())
        })?;
        Ok(resumed_from)
    }

    fn install(&mut self, release: &Release) -> Result<usize> {
        let resumed_from = self.transfer(release)?;
        self.on(async |tester| Ok(tester.hard_reset().await?))?;
        Ok(resumed_from)
    }

    fn board(&mut self) -> Result<&mut Board> {
        match &mut self.device {
            Device::Board(board) => Ok(board),
            Device::Sim { .. } => anyhow::bail!("not the board"),
        }
    }

    fn install_half(&mut self, release: &Release) -> Result<()> {
        ensure!(self.offer(release)? == 0, "nothing was sent yet");
        self.on(async |tester| {
            let half = release.image.len() / 2;
            let stop = |taken| if taken < half { Flow::Continue } else { Flow::Stop };
            let ended = tester.download(Object::Image { offset: 0 }, &release.image, stop).await?;
            ensure!(ended == Ended::Stopped, "it was not stopped");
            Ok(())
        })
    }

    /// The device runs this, confirmed.
    fn expect_confirmed(&mut self, version: &str, sequence: u64) -> Result<StateRecord> {
        let state = self.wait_for(Mode::Application)?;
        ensure!(self.version()? == version, "{version} does not run: {state:?}");
        ensure!(state.image == ImageState::Confirmed, "{version} is not confirmed: {state:?}");
        ensure!((state.sequence_floor, state.active_sequence) == (sequence, sequence), "{state:?}");
        Ok(state)
    }
}

/// The whole life, but for what is measured on one kind of device only.
fn live(bench: &mut Bench) -> Result<()> {
    let started = Instant::now();
    let step = |what: &str| println!("{:6.1} s: {what}", started.elapsed().as_secs_f32());
    bench.provision()?;
    step("provisioned");
    let first = bench.release(1, Behaviour::Confirms)?;
    bench.install(&first)?;
    bench.expect_confirmed("1.0.0", 1)?;
    step("1.0.0 confirmed");

    let second = bench.release(2, Behaviour::Confirms)?;
    bench.offer(&second)?;
    // The tester falls silent: the device gives it up after S3 and goes back to work.
    std::thread::sleep(Duration::from_millis(u64::from(S3_SERVER_MS) + 1000));
    bench.expect_confirmed("1.0.0", 1)?;
    step("1.0.0 after the tester has gone");
    bench.on(async |tester| {
        tester.session(Session::Programming).await?;
        Ok(tester.session(Session::Default).await?)
    })?;
    bench.expect_confirmed("1.0.0", 1)?;
    step("1.0.0 after the tester has left the session");
    bench.install_half(&second)?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    bench.expect_confirmed("1.0.0", 1)?;
    step("1.0.0 after the power cut");
    let resumed_from = bench.install(&second)?;
    ensure!(resumed_from > 0, "the transfer began anew");
    bench.expect_confirmed("2.0.0", 2)?;
    step("2.0.0 confirmed");

    let silent = bench.release(3, Behaviour::NeverConfirms)?;
    bench.install(&silent)?;
    let trial = bench.wait_for(Mode::Application)?;
    ensure!(bench.version()? == "3.0.0" && trial.image == ImageState::Trial, "{trial:?}");
    ensure!(trial.sequence_floor == 2, "the floor rose before the confirmation: {trial:?}");
    step("3.0.0 on trial");
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    let reverted = bench.expect_confirmed("2.0.0", 2)?;
    ensure!(reverted.flags.reverted, "{reverted:?}");
    ensure!(reverted.reason == Reason::TrialNotConfirmed.code(), "{reverted:?}");
    step("2.0.0 after the revert");

    let hanging = bench.release(4, Behaviour::Hangs)?;
    bench.install(&hanging)?;
    let reverted = bench.expect_confirmed("2.0.0", 2)?;
    ensure!(reverted.flags.reverted, "the image that hangs was not reverted: {reverted:?}");
    step("2.0.0 after the watchdog");

    for (sequence, dying, cause) in [(4, Behaviour::Crashes, 4), (6, Behaviour::Stalls, 5)] {
        survive(bench, sequence, dying, cause)?;
        step(&format!("{}.0.0 in the window of an application that dies", sequence + 1));
    }
    Ok(())
}

/// An application that dies after it has confirmed itself: the loader comes to listen, and takes the next release.
/// `cause` is that of the resets (docs/mailbox.md).
fn survive(bench: &mut Bench, sequence: u64, behaviour: Behaviour, cause: u8) -> Result<()> {
    let dying = bench.release(sequence, behaviour)?;
    bench.install(&dying)?;
    let state = bench.wait_for_reason(Reason::ApplicationSilent)?;
    ensure!((state.mode, state.image) == (Mode::Loader, ImageState::Confirmed), "{state:?}");
    ensure!(state.flags.listening && state.active_sequence == sequence, "{state:?}");
    let [_, _, last, resets] = state.reason_position.to_be_bytes();
    ensure!(last == cause && resets >= SILENT_RESETS_MAX, "{resets} resets, the last by {last}");

    if behaviour == Behaviour::Crashes {
        // Nobody has needed it: it runs the application again, which dies again, and it listens again.
        let again = bench.wait_for_silence(resets + 1)?;
        ensure!(again.flags.listening, "{again:?}");
    }
    let next = bench.release(sequence + 1, Behaviour::Confirms)?;
    bench.install(&next)?;
    bench.expect_confirmed(&format!("{}.0.0", sequence + 1), sequence + 1)?;
    Ok(())
}

fn programs() -> Result<Programs> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("no target directory")?;
    Programs::new(target)
}

/// The board, with its flash in this folder.
fn board_in(folder: &Path) -> Result<Bench> {
    ensure!(emulator::is_installed(), "{} is not on this machine (Debian: qemu-system-arm)", emulator::QEMU);
    let programs = programs()?;
    let board = Board::power_on(&programs.loader()?, &folder.join("flash"))?;
    Bench::new(Device::Board(board), programs)
}

#[test]
fn a_device_lives_on_the_cortex_m4() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_in(folder.path())?;
    let tag = bench.factory_tag()?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    ensure!(bench.factory_tag()? == tag, "the board's unique id changed");
    live(&mut bench)?;

    // How deep the stacks were: of the application now, and of the loader after all it ever does.
    let used = bench.board()?.stack_used(layout::APP_STACK_LEN)?;
    println!("stack of the application: {used} of {} bytes", layout::APP_STACK_LEN);
    let next = bench.release(8, Behaviour::Confirms)?;
    bench.transfer(&next)?;
    let used = bench.board()?.stack_used(layout::LOADER_STACK_LEN)?;
    println!("stack of the loader: {used} of {} bytes", layout::LOADER_STACK_LEN);
    ensure!(
        used <= layout::LOADER_STACK_LEN - STACK_RESERVE,
        "{used} bytes of the loader's stack are in use"
    );
    Ok(())
}

/// Applications in C: installed and confirmed, updated over the bus with a power cut half-way, and reverted.
#[test]
fn a_device_with_applications_in_c_lives_on_the_cortex_m4() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut bench = board_in(folder.path())?;
    bench.provision()?;
    let first = bench.c_release(1, true)?;
    bench.install(&first)?;
    bench.expect_confirmed("1.0.0", 1)?;
    let serial = bench.on(async |tester| Ok(tester.read(did::SERIAL).await?))?;
    ensure!(serial == b"A-0001", "another serial: {serial:?}");
    let identity = bench.on(async |tester| Ok(tester.read(did::IDENTITY).await?))?;
    ensure!(identity == [factory::VENDOR, factory::CLASS, factory::DEVICE].concat(), "{identity:?}");

    let second = bench.c_release(2, true)?;
    bench.install_half(&second)?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    bench.expect_confirmed("1.0.0", 1)?;
    bench.install(&second)?;
    bench.expect_confirmed("2.0.0", 2)?;

    let silent = bench.c_release(3, false)?;
    bench.install(&silent)?;
    let trial = bench.wait_for(Mode::Application)?;
    ensure!(bench.version()? == "3.0.0" && trial.image == ImageState::Trial, "{trial:?}");
    ensure!(trial.sequence_floor == 2, "the floor rose before the confirmation: {trial:?}");
    bench.on(async |tester| Ok(tester.hard_reset().await?))?;
    let reverted = bench.expect_confirmed("2.0.0", 2)?;
    ensure!(reverted.reason == Reason::TrialNotConfirmed.code(), "{reverted:?}");

    // An application in Rust takes its place, and the other way round.
    let rust = bench.release(4, Behaviour::Confirms)?;
    bench.install(&rust)?;
    bench.expect_confirmed("4.0.0", 4)?;
    let c = bench.c_release(5, true)?;
    bench.install(&c)?;
    bench.expect_confirmed("5.0.0", 5)?;

    // It says that it is alive: any number of resets, and the loader never listens.
    for _ in 0..=SILENT_RESETS_MAX {
        std::thread::sleep(Duration::from_secs(4));
        bench.on(async |tester| Ok(tester.hard_reset().await?))?;
        let state = bench.wait_for(Mode::Application)?;
        ensure!(!state.flags.listening, "{state:?}");
    }
    Ok(())
}

#[test]
fn a_device_lives_in_the_simulator() -> Result<()> {
    let programs = programs()?;
    let program = xtask::build_programs()?.join("sim");
    let folder = tempfile::tempdir()?;
    let flash = folder.path().join("flash");
    let mut device = Device::Sim { program, flash, bus: addresses::bus()?, process: None };
    device.restore_power()?;
    let mut bench = Bench::new(device, programs)?;
    let tag = bench.factory_tag()?;
    bench.cut_power()?;
    bench.device.restore_power()?;
    ensure!(bench.factory_tag()? != tag, "two processes have one tag");
    live(&mut bench)
}
