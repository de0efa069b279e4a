//! `cargo xtask demo`: the whole pipeline from nothing, through the programs' own command lines.
//!
//! Nothing here knows an answer beforehand: versions, reasons and states are read from what the programs print,
//! and the run fails when one is not what it has to be. All state is in `target/demo/`, made anew each time.

mod device;
mod refusals;
mod server;
mod story;
mod technician;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::authoring::{
    Authority, CLASS, FIRST, FOURTH, Release, ReleaseRequest, SECOND, SERIAL, THIRD, VENDOR, Workshop,
};
use crate::board;
use crate::tools::QEMU_ARM;
use crate::workspace::{self, Workspace};
use device::Device;
use server::Server;
use story::Story;
use technician::Technician;

/// Name of the directory below `target/`.
const DIRECTORY: &str = "demo";
/// The anchor's file.
const ANCHOR: &str = "root.cose";
/// How long the application that never confirms is waited for.
const CONFIRM_TIMEOUT: &str = "5s";
/// What is appended to the image whose installation is cut: its transfer must last long enough to be cut.
const ASSETS_LEN: usize = 192 * 1024;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which device; default: the board in QEMU when qemu-system-arm is here, else the simulated one
    #[arg(long, value_enum)]
    device: Option<Kind>,
    /// Prints one JSON object as the last line of stdout; the story goes to stderr
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
    // Two demonstrations in one directory would pull the files from under each other.
    let lock = std::fs::File::create(workspace.directory("")?.join("demo.lock"))?;
    lock.lock().context("cannot lock target/demo.lock")?;
    let directory = workspace.fresh_directory(DIRECTORY)?;
    let mut story = Story::new(arguments.json);
    let kind = arguments.device.unwrap_or_else(|| {
        if workspace::find_program(QEMU_ARM.program).is_some() { Kind::Qemu } else { Kind::Sim }
    });
    let report = tell(workspace, &directory, kind, &mut story)
        .with_context(|| format!("the demonstration failed; its files are in {}", directory.display()))?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}

fn tell(workspace: &Workspace, directory: &Path, kind: Kind, story: &mut Story) -> Result<Report> {
    // Build.
    story.title("Build");
    let programs = workspace.build_host_programs()?;
    story.step("manifest-tool, update-server, updater-host, sim");
    let workshop = Workshop::open(&programs, directory)?;
    let elves = [FIRST, SECOND, THIRD, FOURTH].map(|build| workshop.application(workspace, build));
    let [first, second, third, fourth] = elves;
    let (first, second, third, fourth) = (first?, second?, third?, fourth?);
    story
        .step("the application for Cortex-M4, as 1.0.0, 2.0.0, 3.0.0 and 4.0.0, which never confirms itself");
    let mut device = match kind {
        Kind::Qemu => {
            let loader = board::build_loader(workspace)?;
            story.step(&format!("the loader, {} bytes of ELF", std::fs::metadata(&loader)?.len()));
            Device::board(&loader, directory)?
        }
        Kind::Sim => Device::sim(&programs, directory)?,
    };
    story.note(&format!("the device is {}", device.description()));

    // At the maker's.
    story.title("At the maker's, offline");
    let authority = workshop.authority("root", "release")?;
    story.step("root key, release key, and the credential that lets the one sign for the other");
    let first = workshop.release(&authority, FIRST, &first)?;
    let second = workshop.release(&authority, SECOND, &second)?;
    story.step("releases 1.0.0 and 2.0.0, signed");

    // On the production line.
    story.title("On the production line");
    let technician = Technician::new(&programs, directory, device.bus_address());
    workshop.provisioning_block(&authority, "device.cbor")?;
    technician.run(&["provision", "device.cbor"])?;
    story.step(&format!("provisioned as {SERIAL}: {VENDOR}, {CLASS}, one anchor"));
    let installed = technician.install(&first, ANCHOR, &[])?;
    ensure!(installed["result"] == "confirmed", "the first install: {installed}");
    story.step(&technician::sentence(&installed)?);

    // In the field.
    story.title("In the field");
    let server = Server::start(&programs, directory, ANCHOR)?;
    story.step(&format!("update-server on {}", server.url()));
    server.publish(&workshop, &second, None)?;
    story.step("2.0.0 published");
    let found = technician.run(&["scan"])?;
    let serials: Vec<_> =
        found["devices"].as_array().into_iter().flatten().map(|one| &one["serial"]).collect();
    ensure!(serials == [SERIAL], "the scan found {serials:?}");
    story.step(&format!(
        "scan: {} {} on node {}",
        SERIAL,
        text(&found["devices"][0]["version"])?,
        found["devices"][0]["node"]
    ));
    let update = technician.update_from(&server, ANCHOR, &[])?;
    ensure!(update["result"] == "confirmed", "the update to 2.0.0: {update}");
    let (before, after) = (text(&update["before"]["version"])?, text(&update["after"]["version"])?);
    ensure!((before.as_str(), after.as_str()) == (FIRST.version, SECOND.version), "the update: {update}");
    story.step(&technician::sentence(&update)?);

    // What must be refused, by the device itself.
    story.title("Refused by the device, with the host's own checks switched off");
    let workbench =
        refusals::Workbench { workshop: &workshop, technician: &technician, authority: &authority };
    let refusals::Refusals { refused, successor } = workbench.run(story, &first, &third)?;

    // Power cut.
    story.title("A power cut half-way");
    let third = grown(&workshop, &successor, &third)?;
    server.publish(&workshop, &third, Some(refusals::REVOCATIONS))?;
    let resumed = power_cut(&technician, &server, &mut device, story, &third)?;

    // Revert.
    story.title("An application that never confirms itself");
    let fourth = workshop.release(&successor, FOURTH, &fourth)?;
    server.publish(&workshop, &fourth, None)?;
    let reverted = revert(&technician, &server, story)?;
    server.stop()?;
    story.end();
    Ok(Report { device: device.name().to_owned(), before, after, refused, resumed, reverted })
}

/// 3.0.0 with assets behind its code, so that its transfer lasts; signed with the key that is still good.
fn grown(workshop: &Workshop<'_>, authority: &Authority, elf: &Path) -> Result<Release> {
    let request = |name, elf| ReleaseRequest {
        name,
        version: THIRD.version,
        sequence: 3,
        vendor: VENDOR,
        class: CLASS,
        elf,
    };
    let code = workshop.special_release(authority, request("3.0.0-code", elf))?;
    let mut image = std::fs::read(workshop.directory().join(&code.image))?;
    // Bytes that no transfer could shorten: a linear congruential sequence (Knuth's constants).
    let mut state = 3_u64;
    image.extend(
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .take(ASSETS_LEN),
    );
    let with_assets = workshop.directory().join("3.0.0-with-assets.bin");
    std::fs::write(&with_assets, image)?;
    workshop.special_release(authority, request(THIRD.version, &with_assets))
}

/// Updates to 3.0.0, cuts the power in the middle, and updates again. Returns whether that resumed.
fn power_cut(
    technician: &Technician<'_>,
    server: &Server,
    device: &mut Device,
    story: &mut Story,
    release: &Release,
) -> Result<bool> {
    let cut = technician.update_until_half(server, ANCHOR, || device.power_cut())?;
    story.step(&format!("power cut after {} of {} bytes", cut.bytes, release.image_bytes));
    let finished = match cut.finished {
        // The host waited for the device and went on by itself.
        Some(finished) => finished,
        None => technician.update_from(server, ANCHOR, &[])?,
    };
    ensure!(finished["result"] == "confirmed", "the update to 3.0.0: {finished}");
    ensure!(finished["after"]["version"] == THIRD.version, "the update to 3.0.0: {finished}");
    let resumed_from = finished["resumed_from"].as_u64().unwrap_or(0);
    ensure!(resumed_from > 0, "the update began again at the first byte: {finished}");
    ensure!(resumed_from <= release.image_bytes, "resumed behind the image's end: {finished}");
    story.step(&format!("resumed at byte {resumed_from}; {}", technician::sentence(&finished)?));
    Ok(true)
}

/// Updates to 4.0.0, which must end with 3.0.0. Returns whether the device reverted.
fn revert(technician: &Technician<'_>, server: &Server, story: &mut Story) -> Result<bool> {
    let finished = technician.update_from(server, ANCHOR, &["--confirm-timeout", CONFIRM_TIMEOUT])?;
    ensure!(finished["result"] == "reverted", "the update to 4.0.0: {finished}");
    let state = technician.run(&["info"])?;
    ensure!(state["version"] == THIRD.version, "after the revert the device is {state}");
    ensure!(state["sequence_floor"] == 3, "the revert moved the floor: {state}");
    let reason = text(&state["reason"])?;
    story.step(&format!(
        "4.0.0 booted on trial, was not confirmed; back to {} ({reason})",
        text(&state["version"])?
    ));
    Ok(state["reverted"] == true)
}

/// A text out of a program's answer.
fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("no text: {value}"))?.to_owned())
}

/// Far above what any command on the bus takes here.
const COMMAND_LIMIT: Duration = Duration::from_secs(180);
