//! `cargo xtask demo`: the whole pipeline from nothing, through the programs' own command lines.
//!
//! Nothing here knows an answer beforehand: versions, reasons and states are read from what the programs print,
//! and the run fails when one is not what it has to be. All state is in `target/demo/`, made anew each time.

pub(crate) mod device;
mod drill;
mod refusals;
pub(crate) mod server;
mod story;
pub(crate) mod technician;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use emulator::Behaviour;
use serde::Serialize;
use serde_json::Value;

use crate::authoring::{CLASS, Release, SERIAL, VENDOR, Workshop};
use crate::board;
use crate::tools::QEMU_ARM;
use crate::workspace::{self, Workspace};
use device::Device;
use server::Server;
use story::Story;
use technician::Technician;

/// Name of the directory below `target/`.
const DIRECTORY: &str = "demo";
const ANCHOR: &str = "root.cose";
/// Why the device goes back to what it ran before.
const NOT_CONFIRMED: &str = "trial-not-confirmed";
/// How long the application that never confirms is waited for.
const CONFIRM_TIMEOUT: &str = "5s";
/// Far above what any command on the bus takes here.
const COMMAND_LIMIT: Duration = Duration::from_secs(180);
/// The versions of the demonstration's application.
const FIRST: &str = "1.0.0";
const SECOND: &str = "2.0.0";
const THIRD: &str = "3.0.0";
/// Boots, works, and never confirms itself.
const FOURTH: &str = "4.0.0";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Device to update [default: the board in QEMU if qemu-system-arm is installed, else the simulated one]
    #[arg(long, value_enum)]
    device: Option<Kind>,
    /// Take manifest-tool, update-server, updater-host and sim from this directory instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Run this page of docs/custody instead: lost-release-key, lost-root, ...
    #[arg(long, value_name = "NAME", conflicts_with = "device")]
    story: Option<String>,
    /// Print one JSON object as the last line of stdout; the story goes to stderr
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// The Cortex-M4 board in QEMU
    Qemu,
    /// The simulated device
    Sim,
}

/// What happened, in the words of the programs.
#[derive(Serialize)]
struct Report {
    device: String,
    before: String,
    after: String,
    refused: BTreeMap<&'static str, String>,
    resumed: bool,
    reverted: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if let Some(name) = &arguments.story {
        let mut story = Story::new(arguments.json);
        let told = drill::tell(workspace, name, arguments.programs.as_deref(), &mut story)?;
        story.end();
        if arguments.json {
            println!("{}", serde_json::to_string(&told)?);
        }
        return Ok(());
    }
    let _lock = workspace.lock(DIRECTORY)?;
    let directory = workspace.fresh_directory(DIRECTORY)?;
    let mut story = Story::new(arguments.json);
    let kind = arguments.device.unwrap_or_else(|| {
        if workspace::find_program(QEMU_ARM.program).is_some() { Kind::Qemu } else { Kind::Sim }
    });
    let report = tell(workspace, &directory, kind, arguments.programs.as_deref(), &mut story)
        .with_context(|| format!("the demonstration failed; its files are in {}", directory.display()))?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}

fn tell(
    workspace: &Workspace,
    directory: &Path,
    kind: Kind,
    programs: Option<&Path>,
    story: &mut Story,
) -> Result<Report> {
    story.title("Build (from nothing: some minutes)");
    let programs = workspace.host_programs(programs)?;
    story.step("manifest-tool, update-server, updater-host, sim");
    let applications = Applications::build(workspace)?;
    story.step("the application for Cortex-M4: 1.0.0, 2.0.0, 3.0.0, and 4.0.0, which never confirms itself");
    let mut device = match kind {
        Kind::Qemu => {
            let loader = board::build_loader(workspace)?;
            story.step("the loader");
            Device::board(&loader, directory)?
        }
        Kind::Sim => Device::sim(&programs, directory)?,
    };
    story.note(&format!("the device is {}", device.description()));

    story.title("At the maker's, offline");
    let workshop = Workshop::open(&programs, directory)?;
    let authority = workshop.authority("root", "release")?;
    story.step("root key, release key, and the credential that lets the one sign for the other");
    let first = workshop.release(&authority, FIRST, &applications.first)?;
    let second = workshop.release(&authority, SECOND, &applications.second)?;
    story.step("releases 1.0.0 and 2.0.0, signed");

    story.title("On the production line");
    let technician = Technician::new(&programs, directory, device.bus_address());
    workshop.provisioning_block(&authority, "device.cbor")?;
    technician.run(&["provision", "device.cbor"])?;
    story.step(&format!("provisioned as {SERIAL}: {VENDOR}, {CLASS}, one anchor"));
    let installed = technician.install(&first, ANCHOR)?;
    ensure!(installed["result"] == "confirmed", "the first install: {installed}");
    story.step(&technician::sentence(&installed)?);

    story.title("In the field");
    let server = Server::start(&programs, directory, ANCHOR, &[])?;
    server.publish(&workshop, &second, None)?;
    story.step(&format!("update-server on {}, 2.0.0 published", server.url()));
    story.step(&scan(&technician)?);
    let update = technician.update_from(&server, ANCHOR, &[])?;
    ensure!(update["result"] == "confirmed", "the update to {SECOND}: {update}");
    let (before, after) = (text(&update["before"]["version"])?, text(&update["after"]["version"])?);
    ensure!((before.as_str(), after.as_str()) == (FIRST, SECOND), "the update to {SECOND}: {update}");
    story.step(&technician::sentence(&update)?);

    story.title("Refused by the device itself; the host's checks are switched off");
    let workbench = refusals::Workbench {
        workshop: &workshop,
        technician: &technician,
        authority: &authority,
        first_elf: &applications.first,
        next_elf: &applications.fourth,
    };
    let refusals::Refusals { refused, successor } = workbench.run(story)?;

    story.title("A power cut half-way");
    let third = workshop.release(&successor, THIRD, &applications.third)?;
    server.publish(&workshop, &third, Some(refusals::REVOCATIONS))?;
    let resumed = power_cut(&technician, &server, &mut device, story, &third)?;

    story.title("An application that never confirms itself");
    let fourth = workshop.release(&successor, FOURTH, &applications.fourth)?;
    server.publish(&workshop, &fourth, None)?;
    let reverted = revert(&technician, &server, story)?;

    server.stop()?;
    story.end();
    Ok(Report { device: device.name().to_owned(), before, after, refused, resumed, reverted })
}

/// ELFs of the demo application, in the order of their lives.
struct Applications {
    first: PathBuf,
    second: PathBuf,
    third: PathBuf,
    fourth: PathBuf,
}

impl Applications {
    fn build(workspace: &Workspace) -> Result<Self> {
        let build = |version, behaviour| board::build_application(workspace, version, behaviour, None);
        Ok(Self {
            first: build(FIRST, Behaviour::Confirms)?,
            second: build(SECOND, Behaviour::Confirms)?,
            third: build(THIRD, Behaviour::Confirms)?,
            fourth: build(FOURTH, Behaviour::NeverConfirms)?,
        })
    }
}

/// The device, and nothing else, must be on the bus.
fn scan(technician: &Technician<'_>) -> Result<String> {
    let found = technician.run(&["scan"])?;
    let devices = found["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [device] = devices else { bail!("the scan found {found}") };
    ensure!(device["serial"] == SERIAL, "the scan found {found}");
    Ok(format!("scan: {SERIAL} runs {} and answers on node {}", text(&device["version"])?, device["node"]))
}

/// Updates to 3.0.0, cuts the power in the middle, and updates again. Returns whether that resumed.
fn power_cut(
    technician: &Technician<'_>,
    server: &Server,
    device: &mut Device,
    story: &mut Story,
    release: &Release,
) -> Result<bool> {
    let taken = technician.update_until_half(server, ANCHOR, || device.power_cut())?;
    story
        .step(&format!("power cut after {taken} of {} bytes, and the host is gone too", release.image_bytes));
    let finished = technician.update_from(server, ANCHOR, &[])?;
    ensure!(finished["result"] == "confirmed", "the update to {THIRD}: {finished}");
    ensure!(finished["before"]["version"] == SECOND, "the cut update left more than bytes: {finished}");
    ensure!(finished["after"]["version"] == THIRD, "the update to {THIRD}: {finished}");
    let resumed_from = finished["resumed_from"].as_u64().unwrap_or(0);
    ensure!(resumed_from > 0, "the update started over at the first byte: {finished}");
    let rest = release.image_bytes.checked_sub(resumed_from);
    let rest = rest.with_context(|| format!("the update resumed past the end of the image: {finished}"))?;
    // A block that was lost on the way is sent again, the image as a whole is not.
    let sent = finished["bytes_sent"].as_u64().unwrap_or(0);
    ensure!(
        (rest..release.image_bytes).contains(&sent),
        "the update did not send the remaining {rest} bytes: {finished}"
    );
    story.step(&format!("resumed at byte {resumed_from}; {}", technician::sentence(&finished)?));
    Ok(true)
}

/// Updates to 4.0.0, which must run on trial and end with 3.0.0. Returns whether the device reverted.
fn revert(technician: &Technician<'_>, server: &Server, story: &mut Story) -> Result<bool> {
    let finished = technician.update_from(
        server,
        ANCHOR,
        &["--confirm-timeout", CONFIRM_TIMEOUT, "--revert-unconfirmed"],
    )?;
    // An image that was given up without having run is told by another reason.
    ensure!(finished["result"] == "reverted", "the update to {FOURTH}: {finished}");
    ensure!(finished["reason"] == NOT_CONFIRMED, "the update to {FOURTH}: {finished}");
    ensure!(finished["before"]["version"] == THIRD, "the update to {FOURTH}: {finished}");
    let state = technician.run(&["info"])?;
    ensure!(state["version"] == THIRD, "after the revert the device is {state}");
    ensure!(state["sequence_floor"] == 3, "the revert moved the floor: {state}");
    ensure!(state["reverted"] == true, "after the revert the device is {state}");
    ensure!(state["reason"] == NOT_CONFIRMED, "after the revert the device is {state}");
    story.step(&format!("{FOURTH} ran on trial and was not confirmed ({NOT_CONFIRMED}); back to {THIRD}"));
    Ok(true)
}

/// A text out of a program's answer.
fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("not text: {value}"))?.to_owned())
}
