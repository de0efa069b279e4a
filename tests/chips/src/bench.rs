//! A tester on the chip's bus. Chip and tester have one time, that of the chip: the tester runs on a runtime whose clock
//! stands still (tokio's `start_paused`) and moves on when both wait for it.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use can_bus::{Bus, Ended, Flow, IsoTpChannel, Tester};
use device_harness::factory::{Factory, provisioning_block};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until};
use update_protocol::can::Frame;
use update_protocol::profile::{self, DEFAULT_NODE_ADDRESS, ImageState, Mode, Object, StateRecord, did};
use update_protocol::slcan::{Decoder, MAX_LINE_LEN, encode};
use update_protocol::uds::Session;

use crate::protocol::Ran;
use crate::{Chip, Memory};

/// Chip and tester hear of each other at the latest after this: the runtime counts in milliseconds.
const STEP: Duration = Duration::from_millis(1);
/// How long a chip that sleeps is left alone at most.
const REST: Duration = Duration::from_secs(1);
/// No procedure of a device takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// What cortex-m-rt paints the stack with.
const PAINT: u8 = 0xCC;
/// What the provisioning block says.
const NODE: u8 = 0x21;

/// The power went away, as [`Chip::cut_at`] wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PowerGone;

impl fmt::Display for PowerGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the power went away")
    }
}

impl std::error::Error for PowerGone {}

/// A chip with power, and what it did last.
struct Powered {
    chip: Chip,
    /// The moment at which power came.
    since: Instant,
    last: Ran,
    sent: Sent,
}

/// The frames that a chip has sent.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sent {
    /// All of them.
    pub frames: u64,
    /// Those that are FD frames with bit rate switching.
    pub fast: u64,
    /// Data bytes of the longest one.
    pub longest: usize,
}

impl Sent {
    fn count(&mut self, frame: &Frame) {
        self.frames += 1;
        self.fast += u64::from(frame.is_fd() && frame.brs());
        self.longest = self.longest.max(frame.data().len());
    }
}

/// Bytes of the pipe between the tester and the chip.
const PIPE_LEN: usize = 1 << 16;

/// The bench.
pub struct Bench {
    runtime: Runtime,
    local: LocalSet,
    powered: Rc<RefCell<Powered>>,
    fd: bool,
    node: u8,
    tester: Option<Tester>,
    /// The chip's end of the bus, while nobody drives it.
    wire: Rc<RefCell<Option<Wire>>>,
}

/// The chip's end of the bus.
struct Wire {
    stream: DuplexStream,
    decoder: Decoder,
}

impl Bench {
    /// Puts a chip on the bench and switches it on. `fd`: the tester sends FD frames.
    ///
    /// # Errors
    /// When the emulator fails.
    pub fn new(mut chip: Chip, fd: bool) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        let last = chip.power_on()?;
        let since = runtime.block_on(async { Instant::now() });
        let powered = Rc::new(RefCell::new(Powered { chip, since, last, sent: Sent::default() }));
        let wire = Rc::default();
        Ok(Self {
            runtime,
            local: LocalSet::new(),
            powered,
            fd,
            node: DEFAULT_NODE_ADDRESS,
            tester: None,
            wire,
        })
    }

    /// The chip.
    #[must_use]
    pub fn chip(&self) -> RefMut<'_, Chip> {
        RefMut::map(self.powered.borrow_mut(), |powered| &mut powered.chip)
    }

    /// What the chip did last.
    #[must_use]
    pub fn last(&self) -> Ran {
        self.powered.borrow().last.clone()
    }

    /// The frames that the chip has sent so far.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.powered.borrow().sent
    }

    /// Power off; then what lies in flash is this, if anything is given; then power on.
    ///
    /// # Errors
    /// When the emulator fails.
    pub fn power_cycle(&mut self, memory: Option<&Memory>) -> Result<()> {
        self.tester = None;
        *self.wire.borrow_mut() = None;
        let now = self.runtime.block_on(async { Instant::now() });
        let mut powered = self.powered.borrow_mut();
        if let Some(memory) = memory {
            powered.chip.restore(memory)?;
        }
        powered.last = powered.chip.power_on()?;
        powered.since = now;
        Ok(())
    }

    /// A bench that knows a device as this node.
    pub const fn turn_to(&mut self, node: u8) {
        self.node = node;
    }

    /// Does something on the bus.
    ///
    /// # Errors
    /// [`PowerGone`], those of the work, and those of the emulator.
    pub fn on<T>(&mut self, work: impl AsyncFnOnce(&mut Tester) -> Result<T>) -> Result<T> {
        let Self { runtime, local, powered, fd, node, tester, wire } = self;
        local.block_on(runtime, async {
            if tester.is_none() {
                let (near, far) = tokio::io::duplex(PIPE_LEN);
                let bus = Bus::over_slcan_stream(Box::new(near), *fd);
                *tester = Some(Tester::new(IsoTpChannel::new(bus, profile::tester_addressing(*node))));
                *wire.borrow_mut() = Some(Wire { stream: far, decoder: Decoder::new() });
            }
            let mut end = wire.borrow_mut().take().context("no wire")?;
            let tester = tester.as_mut().context("no tester")?;
            let outcome = tokio::select! {
                biased;
                outcome = work(tester) => outcome,
                error = drive(powered, &mut end) => Err(error),
            };
            *wire.borrow_mut() = Some(end);
            outcome
        })
    }

    /// Lets time go by.
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn pass(&mut self, time: Duration) -> Result<()> {
        self.on(async |_| {
            sleep(time).await;
            Ok(())
        })
    }

    /// Waits until the device answers with such a state.
    ///
    /// # Errors
    /// It does not; [`PowerGone`], and those of the emulator.
    pub fn wait(&mut self, is_right: impl Fn(&StateRecord) -> bool) -> Result<StateRecord> {
        self.on(async |tester| {
            let deadline = Instant::now() + PATIENCE;
            loop {
                match tester.read_state().await {
                    Ok(state) if is_right(&state) => return Ok(state),
                    answer => ensure!(Instant::now() < deadline, "the device is not there: {answer:?}"),
                }
                sleep(Duration::from_millis(100)).await;
            }
        })
    }

    /// Waits until the device answers as `mode` says it is.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_for(&mut self, mode: Mode) -> Result<StateRecord> {
        self.wait(|state| state.mode == mode).with_context(|| format!("waiting for {mode:?}"))
    }

    /// From the factory to a device with this manufacturer's anchor.
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn provision(&mut self, factory: &Factory) -> Result<()> {
        self.provision_with(&provisioning_block(&[factory.anchor()], None))
    }

    /// From the factory to a device with this provisioning block.
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn provision_with(&mut self, block: &[u8]) -> Result<()> {
        self.wait_for(Mode::Factory)?;
        self.on(async |tester| {
            tester.session(Session::Programming).await?;
            tester.download(Object::ProvisioningBlock, block, |_| Flow::Continue).await?;
            Ok(tester.hard_reset().await?)
        })?;
        self.turn_to(NODE);
        self.tester = None;
        self.wait_for(Mode::Loader)?;
        Ok(())
    }

    /// Start-up code has painted the stack, of which so many bytes begin at this address: 512 are still as it was painted.
    ///
    /// # Errors
    /// They are not; when the emulator fails.
    pub fn expect_stack_reserve(&self, address: u32, len: u32) -> Result<()> {
        let stack = self.chip().peek(address, len)?;
        let free = stack.iter().take_while(|byte| **byte == PAINT).count();
        println!("{free} of {len} bytes are free");
        ensure!(free >= 512, "{free} bytes are free");
        ensure!(free < stack.len() / 2, "the stack is not painted, or not used");
        Ok(())
    }

    /// Hands a release over, up to the verdict, and resets; how much of the image the device had before.
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn install(&mut self, envelope: &[u8], image: &[u8]) -> Result<usize> {
        self.on(async |tester| {
            tester.session(Session::Programming).await?;
            tester.download(Object::Envelope, envelope, |_| Flow::Continue).await?;
            let resumed_from = tester.read_state().await?.resume_offset;
            let object = Object::Image { offset: resumed_from };
            let ended = tester.download(object, image, |_| Flow::Continue).await?;
            ensure!(ended == Ended::Accepted, "it was stopped");
            ensure!(tester.read_state().await?.image == ImageState::Pending, "not pending");
            tester.hard_reset().await?;
            Ok(usize::try_from(resumed_from)?)
        })
    }

    /// The device runs this release, confirmed.
    ///
    /// # Errors
    /// It does not; as [`on`](Self::on).
    pub fn expect_confirmed(&mut self, version: &str, sequence: u64) -> Result<StateRecord> {
        let state = self.wait_for(Mode::Application)?;
        let found = self.on(async |tester| Ok(tester.read(did::APPLICATION_VERSION).await?))?;
        ensure!(found == version.as_bytes(), "{version} does not run: {state:?}");
        ensure!(state.image == ImageState::Confirmed, "{version} is not confirmed: {state:?}");
        ensure!((state.sequence_floor, state.active_sequence) == (sequence, sequence), "{state:?}");
        Ok(state)
    }
}

/// Runs the chip beside the tester; ends with an error only.
async fn drive(powered: &RefCell<Powered>, wire: &mut Wire) -> anyhow::Error {
    loop {
        match step(powered, wire).await {
            Ok(()) => {}
            Err(error) => return error,
        }
    }
}

async fn step(powered: &RefCell<Powered>, Wire { stream, decoder }: &mut Wire) -> Result<()> {
    let (since, until, wake) = {
        let powered = powered.borrow();
        let at = |us| powered.since + Duration::from_micros(us);
        (powered.since, at(powered.last.now_us), powered.last.wake_us.map(at))
    };
    let until =
        if powered.borrow().last.asleep { wake.unwrap_or(until + REST).min(until + REST) } else { until };
    let mut bytes = [0; 4096];
    // What the tester says while the chip sleeps wakes it.
    let taken = tokio::select! {
        biased;
        taken = stream.read(&mut bytes) => taken?,
        () = sleep_until(until) => 0,
    };
    let frames: Vec<Frame> = bytes[..taken].iter().filter_map(|byte| decoder.push(*byte)).collect();
    let now = Instant::now().duration_since(since);
    let us = |time: Duration| u64::try_from(time.as_micros());
    let ran = {
        let mut powered = powered.borrow_mut();
        powered.last = powered.chip.run(us(now)?, &frames, us(now + STEP)?)?;
        powered.last.clone()
    };
    for frame in &ran.frames {
        let frame = frame.frame()?;
        powered.borrow_mut().sent.count(&frame);
        let mut line = [0; MAX_LINE_LEN];
        stream.write_all(encode(&frame, &mut line)).await?;
    }
    if ran.cut {
        return Err(PowerGone.into());
    }
    Ok(())
}
