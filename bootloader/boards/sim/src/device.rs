//! The device from power-up on: loader, hand-over, application, reset, and again. Written like the board's two
//! programs (qemu-mps2-an386, qemu-mps2-an386-app); only the jump is another: the simulator cannot run the image's
//! code, it runs the demo application as the image's descriptor says.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use bootloader::application::Device;
use bootloader::device::{Program, Reset, Service};
use bootloader::flash::Flash;
use bootloader::handoff::{MAILBOX_LEN, Request};
use bootloader::layout::{Area, ENVELOPE_LEN_MAX, REVOCATION_LIST_LEN_MAX, Slot};
use bootloader::session::{self, Description, MAX_REQUEST_LEN};
use bootloader::{Boot, Buffers, Entry, Loader};
use can_bus::{Bus, BusError, IsoTpChannel};
use demo_application::descriptor::DESCRIPTOR_LEN;
use demo_application::{Application, Behaviour, Descriptor};
use embedded_storage::nor_flash::ReadNorFlash as _;
use qemu_mps2_an386_support::LAYOUT;
use qemu_mps2_an386_support::layout::APP_DESCRIPTOR_OFFSET;
use update_protocol::isotp::Config;
use update_protocol::profile;
use update_protocol::uds::server::Server;

use crate::flash::{Flash as Chip, FlashFile};

/// Consecutive frames on their way at once; sockets hold more.
const BLOCK_SIZE: u8 = 32;
/// Time until the watchdog resets an application that hangs.
const WATCHDOG: Duration = Duration::from_secs(2);

/// RAM that outlives a reset.
type Mailbox = Option<[u8; MAILBOX_LEN]>;

/// Runs the device for as long as the bus is there.
pub(crate) async fn run(file: &FlashFile, mut bus: Bus) -> Result<()> {
    let mut mailbox = Mailbox::None;
    // A process has no unique id of its own that a second one over a copied file would not have.
    let factory_tag = getrandom::u64().context("the operating system gives no entropy")?;
    loop {
        let request = mailbox.take().as_ref().and_then(Request::decode);
        bus = match boot(file, request, factory_tag, bus).await? {
            Started::Application(entry, bus) => {
                let (bus, mail) = run_application(file, entry, bus).await?;
                mailbox = mail;
                bus
            }
            Started::Ended(bus) => bus,
        };
        log("reset");
    }
}

/// The end of the loader.
enum Started {
    /// It hands over.
    Application(Entry, Bus),
    /// It stayed on the bus, and is to be reset.
    Ended(Bus),
}

fn flash(file: &FlashFile) -> Result<Flash<Chip>> {
    let chip = file.power_up().map_err(|error| anyhow!("the flash file is unusable: {error:?}"))?;
    Flash::new(chip, LAYOUT).map_err(|error| anyhow!("the flash does not fit the layout: {error:?}"))
}

/// The loader.
async fn boot(file: &FlashFile, request: Option<Request>, factory_tag: u64, bus: Bus) -> Result<Started> {
    let (mut envelope, mut list) = ([0; ENVELOPE_LEN_MAX], [0; REVOCATION_LIST_LEN_MAX]);
    let loader = Loader::start(flash(file)?, Buffers { envelope: &mut envelope, list: &mut list });
    let description = Description {
        loader_version: env!("CARGO_PKG_VERSION"),
        max_request_len: MAX_REQUEST_LEN,
        factory_tag,
    };
    let mut session = match loader.boot(request, description) {
        Boot::Run(entry) => return Ok(Started::Application(entry, bus)),
        Boot::Stay(session) => session,
    };
    match session.refusal() {
        Some(refusal) => log(&format!("the loader stays: {}", refusal.reason.slug())),
        None => log("the loader was asked for"),
    }
    let mut channel = channel(bus, session.loader().node_address(), MAX_REQUEST_LEN);
    serve(&mut channel, Service::new(session::server(request), &mut session)).await?;
    Ok(Started::Ended(channel.into_bus()))
}

/// The image that the loader has handed over to. It ends with a reset.
async fn run_application(file: &FlashFile, entry: Entry, bus: Bus) -> Result<(Bus, Mailbox)> {
    let mut chip = flash(file)?.release();
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
            tokio::time::sleep(WATCHDOG).await;
            return Ok((bus, None));
        }
    };
    log(&format!("application {}", descriptor.version()));
    let mut application = Application::new(Device::open(flash(file)?), descriptor);
    // The self-test of the board has no counterpart here: reading the descriptor was the test.
    match application.self_test_passed() {
        Ok(Some(confirmation)) => log(&format!("application {}: {confirmation:?}", descriptor.version())),
        Ok(None) => {}
        Err(error) => log(&format!("application {}: cannot confirm itself: {error:?}", descriptor.version())),
    }
    let mut channel = channel(bus, application.node_address(), demo_application::MAX_REQUEST_LEN);
    serve(&mut channel, Service::new(Server::new(), &mut application)).await?;
    Ok((channel.into_bus(), application.mail()))
}

fn channel(bus: Bus, node: u8, max_request_len: u16) -> IsoTpChannel {
    let config = if bus.is_fd() { Config::fd(true) } else { Config::classic() };
    let config = config.with_block_size(BLOCK_SIZE);
    IsoTpChannel::with_config(bus, profile::device_addressing(node), config, max_request_len.into())
}

/// Serves testers until the device is to be reset.
async fn serve<P: Program>(channel: &mut IsoTpChannel, mut service: Service<'_, P>) -> Result<Reset> {
    loop {
        let now_us = channel.now_us();
        if let Some(reset) = service.poll(channel.link_mut(), now_us) {
            return Ok(reset);
        }
        match channel.drive(service.next_timeout()).await {
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
