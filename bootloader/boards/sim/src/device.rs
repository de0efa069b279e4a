//! The device from power-up on: loader, hand-over, application, reset, and again. Written like the board's two
//! programs (qemu-mps2, qemu-mps2-app); only the jump is another: the simulator cannot run the image's
//! code, it runs the demo application as the image's descriptor says.

use std::marker::PhantomData;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use bootloader::application::{Device, Table};
use bootloader::authority::Authenticates;
use bootloader::device::{Ended, Program, Service};
use bootloader::flash::{Flash, HasLayout};
use bootloader::layout::{Area, ENVELOPE_LEN_MAX, Layout, REVOCATION_LIST_LEN_MAX, Slot};
use bootloader::mailbox::{ALIVE, ALIVE_OFFSET, Listening, MAILBOX_LEN, ResetCause, Wake};
use bootloader::receive::Decrypting;
use bootloader::reporting::Authenticated;
use bootloader::session::{self, Description, MAX_REQUEST_LEN};
use bootloader::{Boot, Buffers, Entry, Loader};
use can_bus::{Bus, BusError, IsoTpChannel};
use demo_application::descriptor::DESCRIPTOR_LEN;
use demo_application::{ALIVE_AFTER_US, Application, Behaviour, Descriptor, take_table};
use embedded_storage::nor_flash::ReadNorFlash as _;
use qemu_mps2_support::AN386_LAYOUT as LAYOUT;
use qemu_mps2_support::layout::APP_DESCRIPTOR_OFFSET;
use update_protocol::isotp::Config;
use update_protocol::profile;
use update_protocol::uds::server::Server;

use crate::flash::{Flash as Chip, FlashFile};

/// Consecutive frames on their way at once; sockets hold more.
const BLOCK_SIZE: u8 = 32;
/// Time until the watchdog resets an application that hangs.
const WATCHDOG: Duration = Duration::from_secs(2);

/// What outlives a reset, but no power cut.
struct Kept {
    mailbox: [u8; MAILBOX_LEN],
    cause: ResetCause,
}

/// Runs a device of this kind for as long as the bus is there.
pub(crate) async fn run<A: Authenticates>(
    file: &FlashFile,
    mut bus: Bus,
    listening: Listening,
    table: Option<&'static Layout>,
) -> Result<()> {
    let mut kept = Kept { mailbox: [0; _], cause: ResetCause::Power };
    // A process has no unique id of its own that a second one over a copied file would not have.
    let factory_tag = getrandom::u64().context("the operating system gives no entropy")?;
    loop {
        let wake = Wake::read(&kept.mailbox, kept.cause, listening);
        kept = Kept { mailbox: wake.mailbox(), cause: ResetCause::Software };
        bus = match boot::<A>(file, &wake, factory_tag, bus, table).await? {
            Started::Application(entry, bus) => {
                kept.mailbox = entry.mailbox();
                run_application(file, entry, bus, &mut kept, table).await?
            }
            Started::Ended(bus) => bus,
            Started::Retries(bus) => {
                kept.mailbox = wake.mailbox_of_retry();
                bus
            }
        };
        log(&format!("reset ({:?})", kept.cause));
    }
}

/// The end of the loader.
enum Started {
    /// It hands over.
    Application(Entry, Bus),
    /// It stayed on the bus, and is to be reset.
    Ended(Bus),
    /// The same, by itself, after a fault that may pass.
    Retries(Bus),
}

/// The layout of the loader, which decrypts, and believes `A`.
struct OfLoader<A> {
    table: Option<&'static Layout>,
    believes: PhantomData<A>,
}

impl<A: Authenticates> HasLayout for OfLoader<A> {
    type Profile = Decrypting;
    type Authority = A;
    type Reports = Authenticated;

    fn layout(&self) -> &Layout {
        &LAYOUT
    }

    fn table(&self) -> Option<&Layout> {
        self.table
    }
}

fn flash<L: HasLayout>(file: &FlashFile, layout: L) -> Result<Flash<Chip, L>> {
    let chip = file.power_up().map_err(|error| anyhow!("the flash file is unusable: {error:?}"))?;
    Flash::new(chip, layout).map_err(|error| anyhow!("the flash does not fit the layout: {error:?}"))
}

/// The loader.
async fn boot<A: Authenticates>(
    file: &FlashFile,
    wake: &Wake,
    factory_tag: u64,
    bus: Bus,
    table: Option<&'static Layout>,
) -> Result<Started> {
    let (mut envelope, mut list) = ([0; ENVELOPE_LEN_MAX], [0; REVOCATION_LIST_LEN_MAX]);
    let loader = Loader::start(
        flash(file, OfLoader::<A> { table, believes: PhantomData })?,
        Buffers { envelope: &mut envelope, list: &mut list },
    );
    let description = Description {
        loader_version: env!("CARGO_PKG_VERSION"),
        max_request_len: MAX_REQUEST_LEN,
        factory_tag,
    };
    let mut session = match loader.boot(wake, description) {
        Boot::Run(entry) => return Ok(Started::Application(entry, bus)),
        Boot::Stay(session) => session,
    };
    let mut channel = channel(bus, session.loader().node_address(), MAX_REQUEST_LEN);
    let until_us = session.listens_until_us(channel.now_us());
    match (session.refusal(), until_us) {
        (Some(refusal), None) => log(&format!("the loader stays: {}", refusal.reason.slug())),
        (Some(refusal), Some(_)) => log(&format!("the loader listens: {}", refusal.reason.slug())),
        (None, Some(_)) => log("the loader listens"),
        (None, None) => log("the loader was asked for"),
    }
    let mut service = Service::new(session::server(wake.request), &mut session);
    let ended = serve(&mut channel, &mut service, until_us).await?;
    let entry = if ended == Ended::TimeUp { session.hand_over() } else { None };
    let bus = channel.into_bus();
    Ok(match entry {
        Some(entry) => Started::Application(entry, bus),
        None if ended == Ended::TimeUp && session.is_retry() => Started::Retries(bus),
        None => Started::Ended(bus),
    })
}

/// The image that the loader has handed over to. It ends with a reset.
async fn run_application(
    file: &FlashFile,
    entry: Entry,
    bus: Bus,
    kept: &mut Kept,
    table: Option<&'static Layout>,
) -> Result<Bus> {
    let mut chip = flash(file, LAYOUT)?.release();
    let image = LAYOUT.region(Area::Slot(Slot::A)).start.saturating_add(LAYOUT.head_len());
    let vectors = entry.redeem().context("what the loader hands over did not verify")?;
    anyhow::ensure!(
        vectors.vector_table() == LAYOUT.image_address(),
        "the loader hands over to another address"
    );
    let mut bytes = [0; DESCRIPTOR_LEN];
    chip.read(image.saturating_add(APP_DESCRIPTOR_OFFSET), &mut bytes)
        .map_err(|error| anyhow!("the flash cannot be read: {error:?}"))?;
    let descriptor = match Descriptor::parse(&bytes) {
        Some(descriptor) if descriptor.behaviour != Behaviour::Hangs => descriptor,
        hanging => {
            log(hanging.map_or("the image is no demo application: it hangs", |_| "the application hangs"));
            return Ok(hang(bus, kept).await);
        }
    };
    log(&format!("application {}", descriptor.version()));
    let mut application = Application::new(Device::open(flash(file, LAYOUT)?), descriptor);
    if let Some(layout) = table {
        let mut table = Table::open(flash(file, *layout)?, &kept.mailbox);
        let taken = take_table(&mut table, descriptor.behaviour);
        let said = table.found().map(|found| (found.sequence, found.is_on_trial));
        log(&match said {
            None => "no table".to_owned(),
            Some((sequence, false)) => format!("table {sequence}"),
            Some((sequence, true)) => format!("table {sequence}: not confirmed"),
        });
        application = application.with_table(taken);
    }
    // The self-test of the board has no counterpart here: reading the descriptor was the test.
    match application.self_test_passed() {
        Ok(Some(confirmation)) => log(&format!("application {}: {confirmation:?}", descriptor.version())),
        Ok(None) => {}
        Err(error) => log(&format!("application {}: cannot confirm itself: {error:?}", descriptor.version())),
    }
    match descriptor.behaviour {
        Behaviour::Confirms | Behaviour::NeverConfirms => {}
        Behaviour::Crashes => {
            log("the application crashes");
            return Ok(bus);
        }
        Behaviour::Hangs | Behaviour::Stalls => {
            log("the application hangs");
            return Ok(hang(bus, kept).await);
        }
    }
    let mut channel = channel(bus, application.node_address(), demo_application::MAX_REQUEST_LEN);
    let mut service = Service::new(Server::new(), &mut application);
    let until_us = channel.now_us().saturating_add(ALIVE_AFTER_US);
    if serve(&mut channel, &mut service, Some(until_us)).await? == Ended::TimeUp {
        leave(kept, ALIVE_OFFSET, &ALIVE);
        // It has nothing else to do: this ends with a reset.
        let _reset = serve(&mut channel, &mut service, None).await?;
    }
    if let Some(request) = application.request() {
        leave(kept, 0, &request.encode());
    }
    Ok(channel.into_bus())
}

/// Until the watchdog resets the device.
async fn hang(bus: Bus, kept: &mut Kept) -> Bus {
    tokio::time::sleep(WATCHDOG).await;
    kept.cause = ResetCause::Watchdog;
    bus
}

/// Writes to the mailbox, as an application does.
fn leave(kept: &mut Kept, offset: usize, bytes: &[u8]) {
    for (to, from) in kept.mailbox.iter_mut().skip(offset).zip(bytes) {
        *to = *from;
    }
}

fn channel(bus: Bus, node: u8, max_request_len: u16) -> IsoTpChannel {
    let config = if bus.is_fd() { Config::fd(true) } else { Config::classic() };
    let config = config.with_block_size(BLOCK_SIZE);
    IsoTpChannel::with_config(bus, profile::device_addressing(node), config, max_request_len.into())
}

/// Serves testers until the device is to be reset, or until it is `until_us` and no tester is in the way.
async fn serve<P: Program>(
    channel: &mut IsoTpChannel,
    service: &mut Service<'_, P>,
    until_us: Option<u64>,
) -> Result<Ended> {
    loop {
        let now_us = channel.now_us();
        if service.poll(channel.link_mut(), now_us) {
            return Ok(Ended::Reset);
        }
        let until_us = until_us.filter(|_| service.may_stop(channel.link_mut()));
        if until_us.is_some_and(|until_us| now_us >= until_us) {
            return Ok(Ended::TimeUp);
        }
        match channel.drive(service.next_timeout().into_iter().chain(until_us).min()).await {
            // Nobody acknowledges on this bus at the moment; the tester tries again.
            Ok(()) | Err(BusError::Stuck) => {}
            Err(error) => return Err(error).context("the device's bus is gone"),
        }
    }
}

/// Says what happens in the device, on stderr.
#[allow(clippy::print_stderr, reason = "the log of this program")]
fn log(what: &str) {
    eprintln!("sim: {what}");
}
