//! A device, a manufacturer, and a tester on the device's bus.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use can_bus::{Bus, Ended, Flow, IsoTpChannel, Tester};
use device_harness::factory::{
    Factory, authenticated, authentication_key, description, device_key, encrypted, in_one_file, one_file,
    provisioning_block_with, table_description,
};
use emulator::{Application, Behaviour, Board, Programs, parent_death};
use qemu_mps2_layout::{DECRYPTING_STACK_LEN, LOADER_STACK_LEN, Machine};
use suit_manifest::Reason;
use suit_manifest::author::UpdateDescription;
use suit_manifest::report::open_report;
use system_tests::{plain, xtask};
use tokio::runtime::Runtime;
use trust::Anchor;
use trust::author::DerivedKey;
use trust::encryption::ContentAlgorithm;
use update_protocol::profile::{
    self, Component, DEFAULT_NODE_ADDRESS, ImageState, Mode, Object, StateRecord, did, rid,
};
use update_protocol::uds::Session;

/// What the provisioning block says.
const NODE: u8 = 0x21;
/// A reset, with a hanging application and its watchdog in between, takes no longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Large enough for a transfer that can be cut, small enough for a slow machine.
const BALLAST_LEN: u32 = 16 * 1024;

/// What must stay unused of the loader's stack, bytes.
const STACK_RESERVE: u32 = 512;

pub(super) enum Device {
    Board(Board),
    Sim { program: PathBuf, flash: PathBuf, bus: String, process: Option<Child> },
}

impl Device {
    pub(super) fn bus(&self) -> String {
        match self {
            Self::Board(board) => board.bus(),
            Self::Sim { bus, .. } => bus.clone(),
        }
    }

    pub(super) fn cut_power(&mut self) -> Result<()> {
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

    pub(super) fn restore_power(&mut self) -> Result<()> {
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

/// Emulated boards that are powered: each needs a processor to itself, or its timers run ahead of it.
static POWERED: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// The right to power a board.
struct Supply;

impl Supply {
    /// Waits until a processor is free.
    fn wait() -> Self {
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        let (count, freed) = &POWERED;
        let powered = count.lock().unwrap_or_else(PoisonError::into_inner);
        let mut powered =
            freed.wait_while(powered, |powered| *powered >= most).unwrap_or_else(PoisonError::into_inner);
        *powered += 1;
        Self
    }
}

impl Drop for Supply {
    fn drop(&mut self) {
        let (count, freed) = &POWERED;
        *count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        freed.notify_one();
    }
}

/// The bench: a device, a manufacturer, and a tester on the device's bus.
pub(super) struct Bench {
    runtime: Runtime,
    pub(super) device: Device,
    factory: Factory,
    programs: Programs,
    /// The keys of the device: its releases are encrypted then.
    keys: Vec<DerivedKey>,
    /// Its authentication key, with which it reports.
    own: Option<DerivedKey>,
    /// Whether it believes that key, and nobody else.
    believes_itself: bool,
    tester: Option<Tester>,
    node: u8,
    /// After the device, which is powered off first.
    _supply: Option<Supply>,
}

pub(super) struct Release {
    pub(super) envelope: Vec<u8>,
    image: Vec<u8>,
    /// Linked for the second slot, of a device whose images run in place.
    second: Option<Vec<u8>>,
}

impl Release {
    /// The image that the device takes in this state.
    fn image(&self, state: &StateRecord) -> &[u8] {
        self.second.as_ref().filter(|_| state.flags.second_slot).unwrap_or(&self.image)
    }
}

impl Bench {
    pub(super) fn new(device: Device, programs: Programs) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let factory = Factory::new(7);
        let node = DEFAULT_NODE_ADDRESS;
        let (keys, own) = (Vec::new(), None);
        let (believes_itself, tester, _supply) = (false, None, None);
        Ok(Self { runtime, device, factory, programs, keys, own, believes_itself, tester, node, _supply })
    }

    pub(super) fn release(&self, sequence: u64, behaviour: Behaviour) -> Result<Release> {
        self.release_as(sequence, behaviour, |update| update)
    }

    /// A release as one file.
    pub(super) fn file(&self, sequence: u64, behaviour: Behaviour) -> Result<Vec<u8>> {
        let Release { envelope, image, .. } =
            self.release_as(sequence, behaviour, |update| in_one_file(&update))?;
        Ok(one_file(&envelope, &image))
    }

    fn release_as(
        &self,
        sequence: u64,
        behaviour: Behaviour,
        form: impl FnOnce(UpdateDescription) -> UpdateDescription,
    ) -> Result<Release> {
        let version = format!("{sequence}.0.0");
        let elf =
            self.programs.application(&Application { version, behaviour, ballast_len: Some(BALLAST_LEN) })?;
        let image = emulator::image(&elf)?;
        let update = description(sequence, &image);
        let (update, image) = match self.keys.as_slice() {
            [] => (update, image),
            keys => encrypted(&update, &image, ContentAlgorithm::A128Gcm, keys),
        };
        let update = form(update);
        let envelope = match &self.own {
            Some(own) if self.believes_itself => authenticated(&update, own),
            _ => self.factory.envelope_of(&update),
        };
        Ok(Release { envelope, image, second: None })
    }

    /// A release with an image for each slot.
    pub(super) fn release_for_slots(&self, sequence: u64, behaviour: Behaviour) -> Result<Release> {
        let application =
            Application { version: format!("{sequence}.0.0"), behaviour, ballast_len: Some(BALLAST_LEN) };
        let link = |slot| emulator::image(&self.programs.application_for(slot, &application)?);
        let (image, second) = (link(0)?, link(1)?);
        let envelope = self.factory.envelope_for_slots(sequence, [&image, &second]);
        Ok(Release { envelope, image, second: Some(second) })
    }

    /// A release of the application in C.
    pub(super) fn c_release(&self, sequence: u64, confirms: bool) -> Result<Release> {
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
        Ok(Release { envelope: self.factory.envelope(sequence, &image), image, second: None })
    }

    pub(super) fn on<T>(&mut self, work: impl AsyncFnOnce(&mut Tester) -> Result<T>) -> Result<T> {
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
    pub(super) fn wait_for(&mut self, mode: Mode) -> Result<StateRecord> {
        self.wait(|state| state.mode == mode).with_context(|| format!("waiting for {mode:?}"))
    }

    /// Waits until the device answers with such a state.
    pub(super) fn wait(&mut self, is_right: impl Fn(&StateRecord) -> bool) -> Result<StateRecord> {
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
    pub(super) fn wait_for_reason(&mut self, reason: Reason) -> Result<StateRecord> {
        self.wait(|state| state.reason == reason.code())
    }

    /// Waits until the application has died as often as this.
    pub(super) fn wait_for_silence(&mut self, resets: u8) -> Result<StateRecord> {
        self.wait(|state| {
            state.reason == Reason::ApplicationSilent.code()
                && state.reason_position & 0xFF >= u32::from(resets)
        })
    }

    pub(super) fn version(&mut self) -> Result<String> {
        let version = self.on(async |tester| Ok(tester.read(did::APPLICATION_VERSION).await?))?;
        Ok(String::from_utf8(version)?)
    }

    pub(super) fn cut_power(&mut self) -> Result<()> {
        self.tester = None;
        self.device.cut_power()
    }

    /// What tells the device from others in factory state.
    pub(super) fn factory_tag(&mut self) -> Result<Vec<u8>> {
        self.wait_for(Mode::Factory)?;
        let tag = self.on(async |tester| Ok(tester.read(did::FACTORY_TAG).await?))?;
        ensure!(tag.len() == 8 && tag != [0; 8], "no tag: {tag:?}");
        Ok(tag)
    }

    /// The device gets a key, and each release is encrypted for it.
    pub(super) fn encrypts(&mut self) {
        self.keys = vec![device_key("A-0001")];
    }

    /// The device believes its own key, and decrypts.
    pub(super) fn believes_itself(&mut self) {
        self.encrypts();
        self.has_a_key();
        self.believes_itself = true;
    }

    /// It does not decrypt.
    pub(super) fn takes_plain_images(&mut self) {
        self.keys.clear();
    }

    /// The device gets a key for its reports.
    pub(super) fn has_a_key(&mut self) {
        self.own = Some(authentication_key("A-0001"));
    }

    pub(super) fn provision(&mut self) -> Result<()> {
        match self.believes_itself {
            true => self.provision_with(&[]),
            false => self.provision_with(&[self.factory.anchor()]),
        }
    }

    pub(super) fn provision_with(&mut self, anchors: &[Anchor]) -> Result<()> {
        let state = self.wait_for(Mode::Factory)?;
        ensure!(state.image == ImageState::None, "a new device has an image: {state:?}");
        let block =
            provisioning_block_with(anchors, None, &[self.keys.as_slice(), self.own.as_slice()].concat());
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

    /// From now on, releases are of this manufacturer.
    pub(super) fn is_taken_over_by(&mut self, factory: Factory) {
        self.factory = factory;
    }

    /// Hands the loader a record.
    pub(super) fn send(&mut self, object: Object, record: &[u8]) -> Result<()> {
        self.on(async |tester| {
            tester.session(Session::Programming).await?;
            tester.download(object, record, |_| Flow::Continue).await?;
            Ok(())
        })
    }

    /// The loader refuses a record for this reason.
    pub(super) fn expect_refusal(&mut self, object: Object, record: &[u8], reason: Reason) -> Result<()> {
        ensure!(self.send(object, record).is_err(), "the device took what is {reason:?}");
        let state = self.on(async |tester| Ok(tester.read_state().await?))?;
        ensure!(state.reason == reason.code(), "not {reason:?}: {state:?}");
        Ok(())
    }

    /// A table for the device, whose loader decrypts it.
    pub(super) fn table(&self, sequence: u64, table: &[u8]) -> Result<Release> {
        let (update, image) =
            encrypted(&table_description(sequence, table), table, ContentAlgorithm::A128Gcm, &self.keys);
        let own = self.own.as_ref().context("a device without a key")?;
        Ok(Release { envelope: authenticated(&update, own), image, second: None })
    }

    /// Sends a table up to the verdict, or so many bytes of it; says from where on the device wanted it.
    pub(super) fn send_table(&mut self, table: &Release, len: Option<usize>) -> Result<usize> {
        self.on(async |tester| {
            tester.session(Session::Programming).await?;
            let to = Object::Envelope.of(Component::Table);
            tester.download(to, &table.envelope, |_| Flow::Continue).await?;
            let offset = tester.read_state_of(Component::Table).await?.resume_offset;
            let until = |taken| if len.is_none_or(|len| taken < len) { Flow::Continue } else { Flow::Stop };
            let to = Object::Image { offset }.of(Component::Table);
            let ended = tester.download(to, &table.image, until).await?;
            ensure!((ended == Ended::Stopped) == len.is_some(), "it ended otherwise");
            Ok(usize::try_from(offset)?)
        })
    }

    /// A plain tool sends so much of one file.
    pub(super) fn send_file(&mut self, component: Component, file: &[u8], len: usize) -> Result<()> {
        self.on(async |tester| plain::send_file(tester, component, file, len).await)
    }

    /// A table for the device as one file.
    pub(super) fn table_file(&self, sequence: u64, table: &[u8]) -> Result<Vec<u8>> {
        let update = in_one_file(&table_description(sequence, table));
        let own = self.own.as_ref().context("a device without a key")?;
        Ok(one_file(&authenticated(&update, own), table))
    }

    /// The state of the table.
    pub(super) fn table_state(&mut self) -> Result<StateRecord> {
        self.on(async |tester| Ok(tester.read_state_of(Component::Table).await?))
    }

    /// What the loader reports of its last attempt, under the key of the device.
    pub(super) fn report(&mut self) -> Result<String> {
        let own = self.own.clone().context("a device without a key")?;
        let nonce = [0x5A; 32];
        let report = self.on(async |tester| {
            tester.session(Session::Programming).await?;
            Ok(tester.routine(rid::MAKE_REPORT, &nonce).await?)
        })?;
        let key = own.bytes.as_slice().try_into()?;
        Ok(open_report(&report, &own.kid, key, Some(&nonce))?.summary())
    }

    /// A release of the maker for another device of this kind.
    pub(super) fn release_for_another(&self, sequence: u64) -> Result<Vec<u8>> {
        let update = UpdateDescription { device: Some([0x55; 16]), ..description(sequence, &[0xFF; 64]) };
        Ok(authenticated(&update, self.own.as_ref().context("a device without a key")?))
    }

    /// Hands the envelope over and says from where on the image is wanted.
    pub(super) fn offer(&mut self, release: &Release) -> Result<usize> {
        self.on(async |tester| {
            tester.session(Session::Programming).await?;
            tester.download(Object::Envelope, &release.envelope, |_| Flow::Continue).await?;
            let state = tester.read_state().await?;
            ensure!(state.mode == Mode::Loader, "an application took an envelope");
            Ok(usize::try_from(state.resume_offset)?)
        })
    }

    /// Sends what the device does not have yet, up to the verdict.
    pub(super) fn transfer(&mut self, release: &Release) -> Result<usize> {
        let resumed_from = self.offer(release)?;
        self.on(async |tester| {
            let object = Object::Image { offset: u32::try_from(resumed_from)? };
            let image = release.image(&tester.read_state().await?);
            tester.download(object, image, |_| Flow::Continue).await?;
            ensure!(tester.read_state().await?.image == ImageState::Pending, "not pending");
            Ok(())
        })?;
        Ok(resumed_from)
    }

    pub(super) fn install(&mut self, release: &Release) -> Result<usize> {
        let resumed_from = self.transfer(release)?;
        self.on(async |tester| Ok(tester.hard_reset().await?))?;
        Ok(resumed_from)
    }

    /// Enough of the loader's stack was never used.
    pub(super) fn expect_stack_reserve(&mut self) -> Result<()> {
        let more = if self.keys.is_empty() { 0 } else { DECRYPTING_STACK_LEN };
        let len = LOADER_STACK_LEN + more;
        let used = self.board()?.stack_used(len)?;
        println!("stack of the loader: {used} of {len} bytes");
        ensure!(used <= len - STACK_RESERVE, "{used} bytes of the loader's stack are in use");
        Ok(())
    }

    pub(super) fn board(&mut self) -> Result<&mut Board> {
        match &mut self.device {
            Device::Board(board) => Ok(board),
            Device::Sim { .. } => anyhow::bail!("not the board"),
        }
    }

    pub(super) fn install_half(&mut self, release: &Release) -> Result<()> {
        ensure!(self.offer(release)? == 0, "nothing was sent yet");
        self.on(async |tester| {
            let image = release.image(&tester.read_state().await?);
            let half = image.len() / 2;
            let stop = |taken| if taken < half { Flow::Continue } else { Flow::Stop };
            let ended = tester.download(Object::Image { offset: 0 }, image, stop).await?;
            ensure!(ended == Ended::Stopped, "it was not stopped");
            Ok(())
        })
    }

    /// The device runs this, confirmed.
    pub(super) fn expect_confirmed(&mut self, version: &str, sequence: u64) -> Result<StateRecord> {
        let state = self.wait_for(Mode::Application)?;
        ensure!(self.version()? == version, "{version} does not run: {state:?}");
        ensure!(state.image == ImageState::Confirmed, "{version} is not confirmed: {state:?}");
        ensure!((state.sequence_floor, state.active_sequence) == (sequence, sequence), "{state:?}");
        Ok(state)
    }
}

pub(super) fn programs() -> Result<Programs> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("no target directory")?;
    Programs::new(target)
}

/// A board, with its flash in this folder.
pub(super) fn board_in(machine: Machine, folder: &Path) -> Result<Bench> {
    board_of(programs()?.on(machine), folder)
}

/// A board with these programs, with its flash in this folder.
pub(super) fn board_of(programs: Programs, folder: &Path) -> Result<Bench> {
    ensure!(emulator::is_installed(), "{} is not on this machine (Debian: qemu-system-arm)", emulator::QEMU);
    let loader = programs.loader()?;
    let supply = Supply::wait();
    let board = Board::power_on_machine(programs.machine(), &loader, &folder.join("flash"))?;
    Ok(Bench { _supply: Some(supply), ..Bench::new(Device::Board(board), programs)? })
}
