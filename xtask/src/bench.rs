//! `cargo xtask bench`: a first honest measure, not a contest: how fast an image travels into each device, and
//! how long a verification takes on this machine. Development builds of our code over optimised dependencies; release builds
//! beside other programs (`suit`, `--paced`, `--server`).

mod paced;
mod server;
mod suit;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use emulator::Behaviour;
use serde::Serialize;

use crate::authoring::{Authority, Release, Workshop};
use crate::board;
use crate::demo::device::Device;
use crate::demo::technician::Technician;
use crate::skip;
use crate::tools::QEMU_ARM;
use crate::workspace::{self, Workspace};

/// Bytes of table in the application: an image of a usual size.
const BALLAST_LEN: u32 = 256 * 1024;
/// How often a release is verified.
const VERIFICATIONS: u32 = 20;
/// How often each update over a paced bus is measured.
const PACED_ROUNDS: u32 = 3;
const VERSION: &str = "1.0.0";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Measure this only
    #[arg(value_enum, value_name = "WHAT", conflicts_with_all = ["paced", "server"])]
    pub(crate) what: Option<What>,
    /// Take the programs from this directory instead of building them
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,
    /// Compare updater-host with udsoncan on buses with a bit rate, in a release build (installs udsoncan below target/tools)
    #[arg(long)]
    pub(crate) paced: bool,
    /// Measure update-server only, in a release build: writes, latest, images beside nginx, and the index
    #[arg(long, conflicts_with = "paced")]
    pub(crate) server: bool,
    /// Measure the update-server of this directory in the same run
    #[arg(long, value_name = "DIR", requires = "server")]
    pub(crate) baseline: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// A part of the bench that is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum What {
    /// Instructions of the loader from the reset to the jump, beside bare SHA-256 and bare verifications
    Boot,
    /// Making, signing and encrypting of releases by manifest-tool, beside OpenSSL, in a release build
    Suit,
}

#[derive(Serialize)]
struct Report {
    /// A whole `manifest-tool verify`: process start, reading, chain and image digest.
    verify_seconds: f64,
    transfers: Vec<Transfer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paced: Vec<paced::Row>,
    /// With short images: `bench suit` measures.
    suit: suit::Report,
}

/// A first install of an image; the seconds are updater-host's own, from the first question to the confirmation.
#[derive(Serialize)]
struct Transfer {
    device: &'static str,
    bytes: u64,
    seconds: f64,
    bytes_per_second: f64,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let _lock = workspace.lock("bench")?;
    if arguments.what == Some(What::Boot) {
        ensure!(arguments.programs.is_none(), "a boot has none of these programs; omit --programs");
        return skip::count_boot(workspace, arguments.json);
    }
    if arguments.what == Some(What::Suit) {
        let programs = match &arguments.programs {
            Some(programs) => std::path::absolute(programs)?,
            None => workspace.release_program("manifest-tool")?,
        };
        let report = suit::measure(workspace, &programs, suit::Extent::Full)?;
        match arguments.json {
            true => println!("{}", serde_json::to_string(&report)?),
            false => print!("{report}"),
        }
        return Ok(());
    }
    if arguments.server {
        let report =
            server::measure(workspace, arguments.programs.as_deref(), arguments.baseline.as_deref())?;
        match arguments.json {
            true => println!("{}", serde_json::to_string(&report)?),
            false => print!("{report}"),
        }
        return Ok(());
    }
    // Side by side with another tester, the programs are those of a release.
    let programs = match &arguments.programs {
        None if arguments.paced => workspace.release_programs()?,
        given => workspace.host_programs(given.as_deref())?,
    };
    let elf = board::build_application(workspace, VERSION, Behaviour::Confirms, Some(BALLAST_LEN))?;
    let directory = workspace.fresh_directory("bench")?;
    let workshop = Workshop::open(&programs, &directory)?;
    let authority = workshop.authority("root", "release")?;
    workshop.provisioning_block(&authority, "device.cbor")?;
    let release = workshop.release(&authority, VERSION, &elf)?;

    let bench =
        Bench { programs: &programs, directory: &directory, authority: &authority, release: &release };
    let verify_seconds = bench.verify(&workshop)?;
    let mut transfers = vec![bench.transfer(Device::sim(&programs, &directory)?)?];
    if workspace::find_program(QEMU_ARM.program).is_some() {
        let loader: PathBuf = board::build_loader(workspace)?;
        transfers.push(bench.transfer(Device::board(&loader, &directory)?)?);
    }
    let paced = if arguments.paced { bench.paced(workspace)? } else { Vec::new() };
    let suit = suit::measure(workspace, &programs, suit::Extent::Brief)?;
    let report = Report { verify_seconds, transfers, paced, suit };
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    println!("verify a release: {:.1} ms", report.verify_seconds * 1000.0);
    for transfer in &report.transfers {
        println!(
            "install {} bytes on {}: {:.1} s, {:.0} bytes/s",
            transfer.bytes, transfer.device, transfer.seconds, transfer.bytes_per_second
        );
    }
    for row in &report.paced {
        println!("{row}");
    }
    print!("{}", report.suit);
    Ok(())
}

struct Bench<'a> {
    programs: &'a Path,
    directory: &'a Path,
    authority: &'a Authority,
    release: &'a Release,
}

impl Bench<'_> {
    fn verify(&self, workshop: &Workshop<'_>) -> Result<f64> {
        let Release { envelope, image, .. } = self.release;
        let began = Instant::now();
        for _ in 0..VERIFICATIONS {
            workshop.manifest_tool(&[
                "verify",
                envelope,
                "--anchor",
                &self.authority.anchor,
                "--image",
                image,
            ])?;
        }
        Ok(began.elapsed().as_secs_f64() / f64::from(VERIFICATIONS))
    }

    fn paced(&self, workspace: &Workspace) -> Result<Vec<paced::Row>> {
        let Self { programs, directory, authority, release } = *self;
        paced::Update { workspace, programs, directory, authority, release }.measure(PACED_ROUNDS)
    }

    /// Provisions a new device and installs the release.
    fn transfer(&self, device: Device) -> Result<Transfer> {
        let technician = Technician::new(self.programs, self.directory, device.bus_address());
        technician.run(&["provision", "device.cbor"])?;
        let result = technician.install(self.release, &self.authority.anchor)?;
        ensure!(result["result"] == "confirmed", "the install: {result}");
        let bytes = result["bytes_sent"].as_u64().with_context(|| format!("no bytes_sent: {result}"))?;
        let seconds = result["seconds"].as_f64().with_context(|| format!("no seconds: {result}"))?;
        #[allow(clippy::cast_precision_loss, reason = "an image has far fewer than 2^52 bytes")]
        let bytes_per_second = bytes as f64 / seconds;
        Ok(Transfer { device: device.name(), bytes, seconds, bytes_per_second })
    }
}
