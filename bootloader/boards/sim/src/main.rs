//! The device as a process: the loader library and the demo application over a flash in a file, on any bus that
//! can-bus knows. Killing the process cuts the device's power; starting it again restores it.
//!
//! Its memory map is that of the emulated Cortex-M4 board, so it takes the same images, and the same flash file.
#![forbid(unsafe_code)]

mod device;
mod flash;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use bootloader::authority::{OwnKey, Roots};
use bootloader::mailbox::{LISTEN_MS, Listening};
use can_bus::{Bus, BusAddress};
use clap::Parser;
use qemu_mps2_support::AN386_TABLE_LAYOUT;
use trust::host::parse_or_exit;

/// Whom a device believes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Believes {
    /// Its maker's roots, by signatures
    Roots,
    /// Its own key, by MACs
    OwnKey,
}

/// A device as a process: the loader and the demo application over a flash in a file
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The device's flash; a file that does not exist yet or is empty is a new chip
    #[arg(long)]
    flash: PathBuf,
    /// The bus the device is on, e.g. `udp-multicast`, `slcan:unix:/path`, `socketcan:vcan0`
    #[arg(long, env = "ANCHORAGE_BUS", default_value = "udp-multicast")]
    bus: BusAddress,
    /// Whom its loader believes
    #[arg(long, value_enum, default_value = "roots")]
    believes: Believes,
    /// The device has a table beside its firmware
    #[arg(long)]
    table: bool,
    /// Milliseconds for which the loader listens after power-up before it hands over
    #[arg(long, value_name = "MS", default_value_t = 0)]
    listen_at_power_up: u32,
    /// Milliseconds for which the loader listens before it runs an application that was reset time and again
    #[arg(long, value_name = "MS", default_value_t = LISTEN_MS)]
    listen_after_silence: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Arguments = parse_or_exit();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let flash = flash::FlashFile::open(&arguments.flash)
        .with_context(|| format!("cannot use {} as flash", arguments.flash.display()))?;
    let bus = Bus::open(&arguments.bus).await?;
    writeln!(std::io::stdout(), "device with flash {} is on {}", arguments.flash.display(), arguments.bus)?;
    let listening = Listening {
        at_power_up_ms: arguments.listen_at_power_up,
        after_silence_ms: arguments.listen_after_silence,
        ..Listening::DEFAULT
    };
    let table = arguments.table.then_some(&AN386_TABLE_LAYOUT);
    match arguments.believes {
        Believes::Roots => device::run::<Roots>(&flash, bus, listening, table).await,
        Believes::OwnKey => device::run::<OwnKey>(&flash, bus, listening, table).await,
    }
}
