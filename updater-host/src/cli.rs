//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use can_bus::{BusAddress, Identifiers};
use clap::{Args, Parser, Subcommand};

/// Finds devices on the CAN bus, verifies releases and installs them.
#[derive(Debug, Parser)]
#[command(name = "updater-host", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print one JSON object a line to stdout; the last one is the result or the error
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Show protocol details of failures as well
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,

    /// The CAN bus: udp-multicast[:GROUP:PORT], slcan:/dev/ttyX[@BAUD][?speed=500k], slcan:tcp:HOST:PORT, slcan:unix:PATH,
    /// socketcan:IFACE; `?fd` for CAN FD [default: udp-multicast, the simulator's]
    #[arg(long, global = true, env = "ANCHORAGE_BUS", value_name = "ADDRESS")]
    pub(crate) bus: Option<BusAddress>,

    /// CAN identifiers: 29bit (18DA..), 11bit (7E0 and 7E8, one device), or 11bit:REQ:RESP in hexadecimal digits
    #[arg(long, global = true, default_value = "29bit", value_name = "KIND")]
    pub(crate) identifiers: Identifiers,

    /// How long a scan collects answers
    #[arg(long, global = true, value_parser = duration, default_value = "1s", value_name = "TIME")]
    pub(crate) scan_time: Duration,

    /// How long to wait for a device that stopped answering
    #[arg(long, global = true, value_parser = duration, default_value = "60s", value_name = "TIME")]
    pub(crate) patience: Duration,

    /// Keeps downloads and unsent reports here instead of in the user's own directories.
    #[cfg(feature = "http")]
    #[arg(long, global = true, env = "ANCHORAGE_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the devices on the bus.
    Scan,
    /// Shows what a device says about itself.
    Info(Choice),
    /// Writes the provisioning block of a device that has none yet.
    Provision(Provision),
    /// Gives a device a newer revocation list.
    Revocations(Revocations),
    /// Verifies a release, installs it and waits until the device confirms it.
    Update(Box<Update>),
    /// Drop an install in progress or an image that waits for its reset; the active image stays
    Abandon(Choice),
    /// Resets a device; an image that waits is swapped in, an unconfirmed trial is reverted.
    Reset(Choice),
}

/// Which device.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Choice {
    /// Node address of the device, hexadecimal with 0x or decimal.
    #[arg(long, value_parser = node, value_name = "ADDRESS", conflicts_with = "serial")]
    pub(crate) node: Option<u8>,

    /// Serial of the device.
    #[arg(long, value_name = "SERIAL")]
    pub(crate) serial: Option<String>,
}

/// `provision`
#[derive(Debug, Args)]
pub(crate) struct Provision {
    /// The block that manifest-tool provision made.
    pub(crate) block: PathBuf,

    /// Node address of the device before it is provisioned.
    #[arg(long, value_parser = node, value_name = "ADDRESS")]
    pub(crate) node: Option<u8>,
}

/// `revocations`
#[derive(Debug, Args)]
pub(crate) struct Revocations {
    /// The signed revocation list.
    pub(crate) list: PathBuf,

    /// Which device.
    #[command(flatten)]
    pub(crate) choice: Choice,
}

/// `update`
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Which device.
    #[command(flatten)]
    pub(crate) choice: Choice,

    /// Gets the newest release for the device from this update-server, and reports to it.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "URL", required_unless_present = "release")]
    pub(crate) server: Option<String>,

    /// Installs this signed envelope instead.
    #[arg(long, value_name = "FILE", requires = "image")]
    #[cfg_attr(not(feature = "http"), arg(required = true))]
    pub(crate) release: Option<PathBuf>,

    /// The image that belongs to --release.
    #[arg(long, value_name = "FILE", requires = "release")]
    pub(crate) image: Option<PathBuf>,

    /// A root that is trusted: COSE_Key, or public key in PEM. May be given several times.
    #[arg(long = "anchor", value_name = "FILE", required_unless_present = "dangerous_skip_host_checks")]
    pub(crate) anchors: Vec<PathBuf>,

    /// A signed revocation list. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) revocations: Vec<PathBuf>,

    /// Certificates (PEM) of the authorities to trust instead of those of this system
    #[cfg(feature = "http")]
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) ca: Option<PathBuf>,

    /// The server's token, to report what became of the update.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) token_file: Option<PathBuf>,

    /// Does not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Installs the release even when the device runs it already.
    #[arg(long)]
    pub(crate) reinstall: bool,

    /// How long the new image may take to confirm itself.
    #[arg(long, value_parser = duration, default_value = "30s", value_name = "TIME")]
    pub(crate) confirm_timeout: Duration,

    /// Resets a device that has not confirmed the new image by then, so that it goes back to the old one.
    #[arg(long)]
    pub(crate) revert_unconfirmed: bool,

    /// Sends what it is given although it does not verify. The device still refuses it: this is for tests.
    #[arg(long)]
    pub(crate) dangerous_skip_host_checks: bool,
}

/// `500ms`, `30s`, `2m`, or seconds; at least 1 ms, at most a day.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let milliseconds_per_unit = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        _ => return Err("say 500ms, 30s or 2m".to_owned()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(milliseconds_per_unit))
        .filter(|milliseconds| (1..=86_400_000).contains(milliseconds))
        .map(Duration::from_millis)
        .ok_or_else(|| "say 500ms, 30s or 2m, at most a day".to_owned())
}

fn node(text: &str) -> Result<u8, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u8::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    number
        .filter(|node| update_protocol::profile::is_node_address(*node))
        .ok_or_else(|| "a node address is 1 to 239".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "0", "-1s", "1h", "1.5s", "99999999999999999999s", "2000m"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn node_addresses() {
        assert_eq!(node("16"), Ok(16));
        assert_eq!(node("0x10"), Ok(16));
        for bad in ["0xF1", "241", "256", "0x", "ten", ""] {
            assert!(node(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_update_needs_an_anchor() {
        let update = ["updater-host", "update", "--release", "r", "--image", "i"];
        assert!(Cli::try_parse_from(update).is_err());
        assert!(Cli::try_parse_from(update.iter().chain(&["--anchor", "a"])).is_ok());
        assert!(Cli::try_parse_from(update.iter().chain(&["--dangerous-skip-host-checks"])).is_ok());
    }

    #[test]
    fn an_update_needs_a_release_with_its_image_or_a_server() {
        for bad in [&["--release", "r"][..], &["--image", "i"], &[]] {
            let arguments = ["updater-host", "update", "--anchor", "a"].iter().chain(bad);
            assert!(Cli::try_parse_from(arguments).is_err(), "{bad:?}");
        }
    }
}
