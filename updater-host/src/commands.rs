//! Every command except `update`: each asks one device for one thing.

mod line;
mod provision;
pub(crate) mod report;
mod revocations;

pub(crate) use line::line;
pub(crate) use provision::provision;
pub(crate) use report::report;
pub(crate) use revocations::revocations;

use std::time::{Duration, Instant};

use can_bus::Flow;
use serde::Serialize;
use suit_manifest::Reason;
use update_protocol::profile::{Component, ImageState, Mode, Object, StateRecord};

use crate::cli::{Abandon, Choice, Cli};
use crate::connection::{Connection, Trouble};
use crate::device::{Device, DeviceTrust, InfoReport, ScanReport, target_of};
use crate::error::{Error, Moment, Subject};
use crate::interrupt::Interrupt;
use crate::output::{Output, Report};
use crate::restart::await_answer;
use crate::scan::{self, READING, choose};
use crate::session::{PROGRAMMING, Reset, Session};

/// # Errors
/// [`Error::Bus`], [`Error::NoDevice`]
pub(crate) async fn scan(cli: &Cli) -> Result<ScanReport, Error> {
    let mut connection = Connection::open(cli).await?;
    let found = scan::scan(&mut connection, cli.scan_time).await?;
    if found.devices.is_empty() && found.others.is_empty() && found.clashes.is_empty() {
        return Err(Error::NoDevice { bus: connection.bus_name(), others: Vec::new() });
    }
    Ok(found.into())
}

/// # Errors
/// Those of [`choose`]
pub(crate) async fn info(cli: &Cli, choice: &Choice) -> Result<InfoReport, Error> {
    let mut connection = Connection::open(cli).await?;
    let device = choose(&mut connection, choice, cli.scan_time).await?;
    settle(&mut connection, device.node).await?;
    Ok(InfoReport::new(&device))
}

/// Result of a command that changes one thing.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    result: &'static str,
    serial: String,
    node: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    list_sequence: Option<u64>,
    /// What of the device it was about, where there is a choice: `firmware` or `table`.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'static str>,
    #[serde(skip)]
    words: String,
}

impl Done {
    fn new(result: &'static str, device: &Device, list_sequence: Option<u64>, words: String) -> Self {
        let serial = device.serial.to_string();
        Self { result, serial, node: device.node, list_sequence, target: None, words }
    }

    /// The same, about what the device is turned to.
    fn of_target(result: &'static str, device: &Device, words: String) -> Self {
        Self { target: Some(target_of(device.component).name()), ..Self::new(result, device, None, words) }
    }
}

impl Report for Done {
    fn lines(&self) -> String {
        self.words.clone()
    }

    fn is_change(&self) -> bool {
        true
    }
}

/// list-sequence of the one domain whose list changed; `None` if the device does not report its domains.
fn changed_sequence(before: Option<DeviceTrust>, after: Option<DeviceTrust>) -> Option<u64> {
    let before = before?.domains;
    after?.domains.into_iter().find(|domain| !before.contains(domain)).map(|domain| domain.list_sequence)
}

/// # Errors
/// [`Error::DeviceRefused`], those of [`choose`]
pub(crate) async fn abandon(
    cli: &Cli,
    options: &Abandon,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Done, Error> {
    const ABANDON: &str = "abandoning the install";
    let (mut connection, device) = reach(cli, &options.choice, interrupt).await?;
    let (component, what) =
        if options.table { (Component::Table, "table") } else { (Component::Firmware, "image") };
    let device = device.turned(component)?;
    let waits = |state: &StateRecord| state.image == ImageState::Pending || state.flags.resumable;
    let serial = &device.serial;
    // Nobody is interrupted for nothing.
    if !waits(&device.state) && matches!(device.state.mode, Mode::Application | Mode::Loader) {
        let other = match (device.other.as_ref().is_some_and(waits), component) {
            (false, _) => "",
            (true, Component::Firmware) => " An install of its table is in progress: --table drops it.",
            (true, Component::Table) => {
                " An install of its firmware is in progress: without --table it is dropped."
            }
        };
        let words = format!("{serial} has no install of its {what} in progress.{other}");
        return Ok(Done::of_target("nothing-to-abandon", &device, words));
    }
    let dropped = match device.state.image {
        ImageState::Pending => format!("the {what} that waited for a reset"),
        _ => "the install that was in progress".to_owned(),
    };
    let words = format!("{serial}: {dropped} is dropped; its active {what} is unchanged.");
    if let Some(on_trial) = device.on_trial() {
        let what = if on_trial == Component::Table { "table" } else { "image" };
        let words = format!("the device has not confirmed its active {what}; this command reverts it");
        output.warn("on-trial", &words);
    }
    output.step("abandon");
    enter(&mut connection, device.node).await?;
    let mut session = Session::new(&mut connection, device.node).of(component);
    let abandoned = session.abandon().await;
    // Whether it hears us does not change the result: its session expires.
    let _ = session.reset().await;
    abandoned.map_err(|trouble| trouble.with(&connection, device.node, ABANDON))?;
    if let Some(half) = device.other_half() {
        let (what, more) = match half {
            Component::Firmware => ("image", ""),
            Component::Table => ("table", " --table"),
        };
        let words = format!(
            "it was half of a release of firmware and a table, and the other half, its {what}, is still there: nothing starts it \
             alone; updater-host abandon{more} drops it too"
        );
        output.warn(Reason::PartMissing.slug(), &words);
    }
    back_with_a_result(&mut connection, device.node, cli, interrupt).await?;
    Ok(Done::of_target("abandoned", &device, words))
}

/// How long a device may take to begin the reset to which it has answered.
const RESET_TIME: Duration = Duration::from_secs(2);
/// The pause before it is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// # Errors
/// Those of [`choose`], [`Error::DeviceSilent`], [`Error::HalfWaits`]
pub(crate) async fn restart(
    cli: &Cli,
    choice: &Choice,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<InfoReport, Error> {
    let (mut connection, device) = reach(cli, choice, interrupt).await?;
    settle(&mut connection, device.node).await?;
    output.step("reset");
    if reset(&mut connection, device.node).await? == Reset::Lost {
        return Err(connection.silent(
            device.node,
            "the reset",
            "the answer to the reset was lost".to_owned(),
        ));
    }
    back(&mut connection, device.node, cli, interrupt).await?;
    let after = started(&mut connection, &device, cli, interrupt).await?;
    match half_of(&after, &device) {
        Some(half) => Err(after.half_waits(half)),
        None => Ok(InfoReport::new(&after)),
    }
}

/// What waited before a reset and waits after it, as half of a release does.
fn half_of(after: &Device, before: &Device) -> Option<Component> {
    let waits = |component: &Component| after.waits_still(*component, before);
    [Component::Firmware, Component::Table].into_iter().find(waits)
}

/// The device after a reset. One that answers before it has reset says what it said before: it is asked again for a while.
async fn started(
    connection: &mut Connection,
    before: &Device,
    cli: &Cli,
    interrupt: &Interrupt,
) -> Result<Device, Error> {
    let asked = Instant::now();
    loop {
        let after = read(connection, before.node).await;
        let is_early = match &after {
            Ok(after) => half_of(after, before).is_some(),
            // It has answered once, and resets now.
            Err(error) => matches!(error, Error::DeviceSilent { .. }),
        };
        if !is_early || asked.elapsed() >= RESET_TIME.min(cli.patience) {
            return after;
        }
        let pause = async {
            tokio::time::sleep(AGAIN).await;
            Ok(())
        };
        interrupt.or(Moment::Command, pause).await?;
    }
}

/// The device that a command is for. Up to here a command may end at any time; from here on it ends what it begins in a
/// session, since a device that is left in one stays away from its application until the session expires.
async fn reach(cli: &Cli, choice: &Choice, interrupt: &Interrupt) -> Result<(Connection, Device), Error> {
    let found = async {
        let mut connection = Connection::open(cli).await?;
        let device = choose(&mut connection, choice, cli.scan_time).await?;
        Ok((connection, device))
    };
    interrupt.or(Moment::BeforeTransfer, found).await
}

/// Waits until a device that resets answers again.
async fn back(connection: &mut Connection, node: u8, cli: &Cli, interrupt: &Interrupt) -> Result<(), Error> {
    interrupt.or(Moment::Command, await_answer(connection, node, cli.patience)).await
}

/// The same where the result is known: Ctrl-C does not change it.
async fn back_with_a_result(
    connection: &mut Connection,
    node: u8,
    cli: &Cli,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    match back(connection, node, cli, interrupt).await {
        Err(Error::Interrupted(_)) => Ok(()),
        outcome => outcome,
    }
}

/// Opens a programming session. An application that refuses continues undisturbed.
async fn enter(connection: &mut Connection, node: u8) -> Result<(), Error> {
    settle(connection, node).await?;
    let opened = Session::new(connection, node).open_programming().await;
    opened.map_err(|trouble| trouble.with(connection, node, PROGRAMMING))
}

/// A device that shares its node address is not touched, and not mixed with another in a report.
async fn settle(connection: &mut Connection, node: u8) -> Result<(), Error> {
    let settled = Session::new(connection, node).settle().await;
    settled.map_err(|trouble| trouble.with(connection, node, READING))
}

async fn trust(connection: &mut Connection, node: u8) -> Result<Option<DeviceTrust>, Error> {
    let trust = Session::new(connection, node).trust().await;
    trust.map_err(|trouble| trouble.with(connection, node, READING))
}

/// Sends an object in a programming session. After a refusal the device returns to its application.
async fn give(
    connection: &mut Connection,
    node: u8,
    object: Object,
    bytes: &[u8],
    subject: Subject,
) -> Result<(), Error> {
    let mut session = Session::new(connection, node);
    match session.download(object, bytes, |_| Flow::Continue).await {
        Ok(_) => Ok(()),
        Err(Trouble::Refused(nrc)) => {
            let refusal = session.refusal(subject, nrc).await;
            // Whether it hears us does not change the result.
            let _ = session.reset().await;
            Err(Error::DeviceRefused(refusal))
        }
        Err(trouble) => Err(trouble.with(connection, node, "a download")),
    }
}

async fn reset(connection: &mut Connection, node: u8) -> Result<Reset, Error> {
    let reset = Session::new(connection, node).reset().await;
    reset.map_err(|trouble| trouble.with(connection, node, "the reset"))
}

async fn read(connection: &mut Connection, node: u8) -> Result<Device, Error> {
    let read = Session::new(connection, node).device().await;
    read.map_err(|trouble| trouble.with(connection, node, READING))
}
