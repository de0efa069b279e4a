//! The Cortex-M4 binary in QEMU: the board is reset, or its power is cut, at random instants of a whole update over its
//! bus. The flash lies in a file, so that it outlives QEMU; a board that is cut begins with RAM of zeros.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use can_bus::{Bus, Flow, IsoTpChannel, Tester};
use device_harness::factory::{Factory, provisioning_block};
use emulator::{Application, Behaviour, Board, Programs};
use flash_model::Random;
use serde::Serialize;
use tokio::runtime::Runtime;
use update_protocol::profile::{self, DEFAULT_NODE_ADDRESS, ImageState, Mode, Object, StateRecord};
use update_protocol::uds::Session;

/// The provisioning block names it.
const NODE: u8 = 0x21;
/// Table in the application that makes the transfer long enough to be cut.
const BALLAST_LEN: u32 = 16 * 1024;
/// A board that did not finish its update by then never will, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(240);
/// One attempt of the tester.
const ATTEMPT: Duration = Duration::from_secs(60);
/// How often a device is asked how far it is.
const POLL: Duration = Duration::from_millis(50);
/// Disturbances of an update at most.
const DISTURBANCES_MAX: u64 = 3;
const OLD: u64 = 1;
const NEW: u64 = 2;

/// The numbers of a run.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Rounds {
    pub rounds: u32,
    pub resets: u32,
    pub cuts: u32,
    pub failures: Vec<String>,
    pub interrupted: bool,
}

impl std::fmt::Display for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rounds, resets, cuts, failures, .. } = self;
        write!(f, "qemu: rounds={rounds} resets={resets} cuts={cuts} failed={}", failures.len())
    }
}

struct Release {
    envelope: Vec<u8>,
    image: Vec<u8>,
}

struct Bench {
    runtime: Runtime,
    loader: PathBuf,
    folder: tempfile::TempDir,
    new: Release,
    /// An update that nothing disturbs.
    clean: Duration,
}

/// Updates a board so many times, each time through resets and cuts at instants that the seed chooses. `target_dir`:
/// cargo's; `tell` is called after each round.
///
/// # Errors
/// When QEMU or cargo cannot be used, or an update fails that nothing disturbs.
pub fn run(
    rounds: u32,
    seed: u64,
    target_dir: &Path,
    stop: &AtomicBool,
    mut tell: impl FnMut(u32, &str),
) -> Result<Rounds> {
    ensure!(emulator::is_installed(), "{} is not on this machine (Debian: qemu-system-arm)", emulator::QEMU);
    let bench = Bench::new(target_dir)?;
    let mut summary = Rounds::default();
    for round in 0..rounds {
        if stop.load(Ordering::Relaxed) {
            summary.interrupted = true;
            break;
        }
        let mut random = Random(seed ^ (u64::from(round) << 32));
        let mut words = Vec::new();
        let result = bench.round(&mut random, &mut summary, &mut words);
        summary.rounds += 1;
        let words = words.join(", ");
        match result {
            Ok(()) => tell(round, &words),
            Err(error) => {
                tell(round, &format!("{words}: FAILED {error:#}"));
                summary.failures.push(format!("round {round}, seed {seed}, {words}: {error:#}"));
            }
        }
    }
    Ok(summary)
}

impl Bench {
    /// Builds the programs and makes a device that runs the old release.
    fn new(target_dir: &Path) -> Result<Self> {
        let programs = Programs::new(target_dir)?;
        let loader = programs.loader()?;
        let factory = Factory::new(7);
        let release = |sequence: u64| -> Result<Release> {
            let version = format!("{sequence}.0.0");
            let ballast_len = Some(BALLAST_LEN);
            let behaviour = Behaviour::Confirms;
            let elf = programs.application(&Application { version, behaviour, ballast_len })?;
            let image = emulator::image(&elf)?;
            Ok(Release { envelope: factory.envelope(sequence, &image), image })
        };
        let (old, new) = (release(OLD)?, release(NEW)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let folder = tempfile::tempdir()?;
        let mut bench = Self { runtime, loader, folder, new, clean: Duration::ZERO };
        {
            let board = Board::power_on(&bench.loader, &bench.flash("base"))?;
            let block = provisioning_block(&[factory.anchor()], None);
            bench.provision(&board, &block).context("provisioning")?;
            bench.finish(&board, OLD, &old).context("the first install")?;
        }
        let board = bench.board("clean")?;
        let began = Instant::now();
        bench.finish(&board, NEW, &bench.new).context("an update that nothing disturbs")?;
        bench.clean = began.elapsed();
        Ok(bench)
    }

    fn flash(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A board with a copy of the flash that runs the old release.
    fn board(&self, name: &str) -> Result<Board> {
        let flash = self.flash(name);
        std::fs::copy(self.flash("base"), &flash)?;
        Board::power_on(&self.loader, &flash)
    }

    fn round(&self, random: &mut Random, summary: &mut Rounds, words: &mut Vec<String>) -> Result<()> {
        let mut board = self.board("round")?;
        for _ in 0..=random.below(DISTURBANCES_MAX) {
            let instant = self.clean.mul_f64(f64::from(u32::try_from(random.below(1000))?) / 1000.0);
            let attempt = update(board.bus(), NEW, &self.new);
            let within = self.runtime.block_on(async { tokio::time::timeout(instant, attempt).await });
            if let Ok(Err(error)) = &within {
                // A broken promise, and not a device that is just away.
                if let Some(broken) = error.downcast_ref::<Broken>() {
                    bail!("{broken}");
                }
            }
            let is_cut = random.below(2) == 0;
            words.push(format!("{} at {} ms", if is_cut { "cut" } else { "reset" }, instant.as_millis()));
            if is_cut {
                summary.cuts += 1;
                board.cut_power();
                board.restore_power()?;
            } else {
                summary.resets += 1;
                board.reset()?;
            }
        }
        self.finish(&board, NEW, &self.new)
    }

    /// Brings an update to its end, whatever was begun.
    fn finish(&self, board: &Board, sequence: u64, release: &Release) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let attempt = update(board.bus(), sequence, release);
            let error = match self.runtime.block_on(async { tokio::time::timeout(ATTEMPT, attempt).await }) {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if error.is::<Broken>() => return Err(error),
                Ok(Err(error)) => error,
                Err(elapsed) => elapsed.into(),
            };
            ensure!(Instant::now() < deadline, "the update does not come to an end: {error:#}");
            std::thread::sleep(POLL);
        }
    }

    fn provision(&self, board: &Board, block: &[u8]) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let attempt = async {
                let mut tester = tester(&board.bus(), DEFAULT_NODE_ADDRESS).await?;
                tester.session(Session::Programming).await?;
                tester.download(Object::ProvisioningBlock, block, |_| Flow::Continue).await?;
                Ok::<_, anyhow::Error>(tester.hard_reset().await?)
            };
            match self.runtime.block_on(attempt) {
                Ok(()) => return Ok(()),
                Err(error) => ensure!(Instant::now() < deadline, "no device takes the block: {error:#}"),
            }
            std::thread::sleep(POLL);
        }
    }
}

/// A promise that a device broke; nothing that another attempt mends.
#[derive(Debug)]
struct Broken(String);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

async fn tester(bus: &str, node: u8) -> Result<Tester> {
    let bus = Bus::open(&bus.parse()?).await?;
    Ok(Tester::new(IsoTpChannel::new(bus, profile::tester_addressing(node))))
}

/// The state; an error if it breaks a promise of an update from the old release, or of the first one.
async fn state(tester: &mut Tester, sequence: u64) -> Result<StateRecord> {
    let state = tester.read_state().await?;
    let before = sequence - 1;
    let is_confirmed = state.image == ImageState::Confirmed && state.active_sequence == sequence;
    let floors = if is_confirmed { sequence..=sequence } else { before..=before };
    // Between the confirmation and this answer the application has raised it.
    let is_raising = state.active_sequence == sequence && state.sequence_floor == sequence;
    if state.mode == Mode::Factory
        || !(floors.contains(&state.sequence_floor) || is_raising)
        || (state.mode == Mode::Application && ![before, sequence].contains(&state.active_sequence))
    {
        bail!(Broken(format!("an update from {before} to {sequence} leaves {state:?}")));
    }
    Ok(state)
}

/// One attempt: until the release runs and has confirmed itself.
async fn update(bus: String, sequence: u64, release: &Release) -> Result<()> {
    let mut tester = tester(&bus, NODE).await?;
    let now = state(&mut tester, sequence).await?;
    if now.active_sequence != sequence {
        tester.session(Session::Programming).await?;
        tester.download(Object::Envelope, &release.envelope, |_| Flow::Continue).await?;
        let now = state(&mut tester, sequence).await?;
        if now.image != ImageState::Pending {
            let offset = now.resume_offset;
            let rest = &release.image;
            tester.download(Object::Image { offset }, rest, |_| Flow::Continue).await?;
        }
        tester.hard_reset().await?;
    }
    loop {
        tokio::time::sleep(POLL).await;
        let now = match state(&mut tester, sequence).await {
            Ok(now) => now,
            Err(error) if error.is::<Broken>() => return Err(error),
            // It starts, or exchanges its slots.
            Err(_) => continue,
        };
        if now.mode == Mode::Application
            && now.active_sequence == sequence
            && now.image == ImageState::Confirmed
        {
            return Ok(());
        }
        // A reset ended its trial: it is sent again.
        let is_back = now.mode == Mode::Application && now.active_sequence != sequence;
        ensure!(!is_back || now.image == ImageState::Pending, "the old release runs again");
    }
}
