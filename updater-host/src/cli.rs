//! The command line.

#[cfg(feature = "http")]
use std::ffi::OsString;
#[cfg(feature = "http")]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use can_bus::{BusAddress, Identifiers};
use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand};
use suit_manifest::report::{MAX_REPORT_NONCE_LEN, MIN_REPORT_NONCE_LEN};
use trust::host::RecoveryFile;

#[cfg(feature = "http")]
use crate::server::Shelf;

/// Find devices on the CAN bus, verify releases and install them
#[derive(Debug, Parser)]
#[command(name = "updater-host", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print one JSON object per line to stdout; the last one is the result or the error
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Show the protocol details of failures
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,

    /// CAN bus to use: udp-multicast[:GROUP:PORT], slcan:/dev/ttyX[@BAUD][?speed=500k], slcan:tcp:HOST:PORT, slcan:unix:PATH,
    /// socketcan:IFACE; `?fd` for CAN FD [default: udp-multicast, the bus of the simulator]
    #[arg(long, global = true, env = "ANCHORAGE_BUS", value_name = "ADDRESS")]
    pub(crate) bus: Option<BusAddress>,

    /// CAN identifiers to use: 29bit (18DA..), 11bit (7E0 and 7E8, one device), or 11bit:REQ:RESP in hexadecimal
    #[arg(long, global = true, default_value = "29bit", value_name = "KIND")]
    pub(crate) identifiers: Identifiers,

    /// Collect the answers to a scan for this long
    #[arg(long, global = true, value_parser = duration, default_value = "1s", value_name = "TIME")]
    pub(crate) scan_time: Duration,

    /// Wait this long for a device that stopped answering
    #[arg(long, global = true, value_parser = duration, default_value = "60s", value_name = "TIME")]
    pub(crate) patience: Duration,

    /// Keep downloads and unsent reports in this folder instead of your own directories
    #[cfg(feature = "http")]
    #[arg(long, global = true, env = "ANCHORAGE_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Neither read nor write the data folder: downloads lie in a temporary folder, reports that fail are lost
    #[cfg(feature = "http")]
    #[arg(long, global = true)]
    pub(crate) no_cache: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the devices on the bus
    Scan,
    /// Show everything that a device reports
    Info(Choice),
    /// Give a new device its identity: write its provisioning block
    Provision(Provision),
    /// Send a revocation list to a device
    Revocations(Revocations),
    /// Verify a release, install it and wait until the device confirms it
    Update(Box<Update>),
    /// Drop an unfinished install or an installed image that waits for a reset; the active image stays
    Abandon(Abandon),
    /// Reset a device: a waiting image is swapped in, an unconfirmed trial is reverted
    Reset(Choice),
    /// Ask a device what became of its last attempt to install. Its loader answers: this resets the device into its loader
    /// and back
    Report(AskReport),
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Choice {
    /// Choose the device with this node address (decimal, or hexadecimal with 0x)
    #[arg(long, value_parser = node, value_name = "ADDRESS", conflicts_with = "serial")]
    pub(crate) node: Option<u8>,

    /// Choose the device with this serial
    #[arg(long, value_name = "SERIAL")]
    pub(crate) serial: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Abandon {
    /// Drop that of the configuration table, not that of the firmware
    #[arg(long)]
    pub(crate) table: bool,

    #[command(flatten)]
    pub(crate) choice: Choice,
}

#[derive(Debug, Args)]
pub(crate) struct Provision {
    /// Provisioning block, made by manifest-tool provision
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    pub(crate) block: Option<PathBuf>,

    /// Node address that the device has now, before it is provisioned (default 0x10)
    #[arg(long, value_parser = node, value_name = "ADDRESS")]
    pub(crate) node: Option<u8>,

    #[command(flatten)]
    pub(crate) line: LineOptions,
}

/// A production line.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("pace")))]
pub(crate) struct LineOptions {
    /// Work through the list of devices in this folder, which manifest-tool provision --out-dir made
    #[arg(long, value_name = "DIR", requires = "pace")]
    pub(crate) from: Option<PathBuf>,

    /// Wait for one device, and give it the next block that no device has
    #[arg(long, group = "pace", requires = "from")]
    pub(crate) next: bool,

    /// Wait for one device after the other, until every block is on a device
    #[arg(long, group = "pace", requires = "from")]
    pub(crate) all: bool,

    /// Give the block of this serial to no device: its device is lost
    #[arg(long, value_name = "SERIAL", group = "pace", requires = "from")]
    pub(crate) set_aside: Option<String>,

    /// Bring each device to the present root with these successions: a record or a chain (repeatable)
    #[arg(long, value_name = "FILE", requires = "from")]
    pub(crate) successions: Vec<PathBuf>,

    /// Wait this long for each device
    #[arg(long, value_parser = duration, default_value = "10m", value_name = "TIME")]
    pub(crate) wait: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Revocations {
    /// Signed revocation list, or a succession chain, which ends with one
    pub(crate) list: PathBuf,

    /// Send these successions of roots first if the device lacks them: a record or a chain (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) successions: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) choice: Choice,
}

#[derive(Debug, Args)]
pub(crate) struct AskReport {
    #[command(flatten)]
    pub(crate) choice: Choice,

    /// Ask with this nonce of 8 to 64 bytes in hexadecimal digits, which the manufacturer gave [default: 16 fresh bytes]
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    pub(crate) nonce: Option<Nonce>,

    /// Keep the report in this new file, for manifest-tool report verify
    #[arg(long, value_name = "FILE.report", value_parser = new_file)]
    pub(crate) out: Option<PathBuf>,

    /// Hand the report over to this update-server, for its maker
    #[cfg(feature = "http")]
    #[arg(long, value_name = "URL", requires = "token_file")]
    pub(crate) server: Option<String>,

    /// Hand it over with the token in this file
    #[cfg(feature = "http")]
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) token_file: Option<PathBuf>,

    /// Trust the TLS authorities in this file (PEM) instead of those of this system
    #[cfg(feature = "http")]
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) ca: Option<PathBuf>,

    /// Reset the device into its loader without asking for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// The server that a command tells of a device.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contact<'a> {
    pub(crate) url: &'a str,
    pub(crate) token_file: Option<&'a Path>,
    pub(crate) ca: Option<&'a Path>,
}

#[cfg(feature = "http")]
impl<'a> Contact<'a> {
    fn of(
        server: Option<&'a String>,
        token_file: Option<&'a PathBuf>,
        ca: Option<&'a PathBuf>,
    ) -> Option<Self> {
        let (token_file, ca) = (token_file.map(PathBuf::as_path), ca.map(PathBuf::as_path));
        server.map(|url| Self { url, token_file, ca })
    }
}

#[cfg(feature = "http")]
impl AskReport {
    pub(crate) fn contact(&self) -> Option<Contact<'_>> {
        Contact::of(self.server.as_ref(), self.token_file.as_ref(), self.ca.as_ref())
    }
}

#[cfg(feature = "http")]
impl Update {
    pub(crate) fn contact(&self) -> Option<Contact<'_>> {
        Contact::of(self.server.as_ref(), self.token_file.as_ref(), self.ca.as_ref())
    }
}

/// What a server is asked for.
#[cfg(feature = "http")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Wanted {
    Firmware,
    Table,
    /// Everything that it has for the device.
    All,
}

#[cfg(feature = "http")]
impl Wanted {
    /// What is looked for, for a device that has a table or not, in the order in which it comes: what is beyond a release of
    /// both goes by it, and the firmware confirms the table.
    pub(crate) fn shelves(self, has_table: bool) -> &'static [Shelf] {
        match (self, has_table) {
            (Self::Firmware, _) | (Self::All, false) => &[Shelf::Firmware],
            (Self::Table, _) => &[Shelf::Table],
            (Self::All, true) => &[Shelf::Both, Shelf::Firmware, Shelf::Table],
        }
    }
}

/// What makes an old report no answer to this question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Nonce(pub(crate) Vec<u8>);

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("source").required(true).multiple(true)))]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) choice: Choice,

    /// Get the newest release for the device from this update-server, and report the result to it
    #[cfg(feature = "http")]
    #[arg(long, value_name = "URL", group = "source")]
    pub(crate) server: Option<String>,

    /// What to get from the server: the firmware, its configuration table, or both where the device has a table
    #[cfg(feature = "http")]
    #[arg(
        long,
        value_enum,
        value_name = "TARGET",
        default_value_t = Wanted::All,
        hide_possible_values = true,
        conflicts_with_all = ["release", "bundle"]
    )]
    pub(crate) target: Wanted,

    /// Install the release in this envelope
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) release: Option<PathBuf>,

    /// Image of the release in --release, if it is not in the envelope; of a release with one for each slot, both: the
    /// device's slot chooses (repeatable)
    #[arg(long = "image", value_name = "FILE", requires = "release")]
    pub(crate) images: Vec<PathBuf>,

    /// Install the release for the device out of this folder of manifest-tool personalize
    #[arg(long, value_name = "DIR", group = "source", conflicts_with_all = ["release", "images", "dangerous_skip_host_checks"])]
    pub(crate) bundle: Option<PathBuf>,

    /// Trust this first root of a domain: COSE_Key, or public key in PEM (repeatable). Not for releases that the device's own
    /// key authenticates: only the device can verify those
    #[arg(
        long = "anchor",
        value_name = "FILE",
        required_unless_present_any = ["dangerous_skip_host_checks", "release", "bundle"]
    )]
    pub(crate) anchors: Vec<PathBuf>,

    /// Trust this recovery root of a domain to name its next root; DOMAIN=FILE beside several roots (repeatable)
    #[arg(
        long = "recovery-anchor",
        value_name = "[DOMAIN=]FILE",
        requires = "anchors",
        value_parser = clap::builder::OsStringValueParser::new().map(RecoveryFile::from)
    )]
    pub(crate) recovery_anchors: Vec<RecoveryFile>,

    /// Apply this signed revocation list and send it to the device (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) revocations: Vec<PathBuf>,

    /// Follow these successions of roots, and send them to a device that lacks them: a record or a chain (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) successions: Vec<PathBuf>,

    /// Trust the TLS authorities in this file (PEM) instead of those of this system
    #[cfg(feature = "http")]
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) ca: Option<PathBuf>,

    /// Report to the server with the token in this file
    #[cfg(feature = "http")]
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) token_file: Option<PathBuf>,

    /// Install without asking for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Send the release even if the device reports that it runs it; the device refuses it while its image is whole
    #[arg(long)]
    pub(crate) reinstall: bool,

    /// Wait this long for the new image to confirm itself
    #[arg(long, value_parser = duration, default_value = "30s", value_name = "TIME")]
    pub(crate) confirm_timeout: Duration,

    /// Reset the device if the new image has not confirmed itself by then, which brings back the old one
    #[arg(long)]
    pub(crate) revert_unconfirmed: bool,

    /// If the device refuses, keep its own report of that, for its maker to verify; of a device that reports
    #[arg(long, value_name = "FILE", value_parser = new_file)]
    pub(crate) refusal_report: Option<PathBuf>,

    /// Send the release even if host verification fails. The device still verifies it. For testing only
    #[arg(long)]
    pub(crate) dangerous_skip_host_checks: bool,
}

/// `--no-cache` where it does nothing. Where the data folder lies is a setting, which a script may give to each command.
#[cfg(feature = "http")]
pub(crate) fn without_effect(cli: &Cli, arguments: &[OsString]) -> Option<String> {
    let is_update = matches!(cli.command, Command::Update(_));
    let names_folder = trust::host::names_option(arguments, "data-dir");
    match (cli.no_cache, names_folder) {
        (true, _) if !is_update => Some("--no-cache has an effect for update only".to_owned()),
        (true, true) => Some("--no-cache does not use the folder of --data-dir: pass one of them".to_owned()),
        _ => None,
    }
}

/// `500ms`, `30s`, `2m`, or seconds; at least 1 ms, at most a day.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let milliseconds_per_unit = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        _ => return Err("use a form such as 500ms, 30s or 2m".to_owned()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(milliseconds_per_unit))
        .filter(|milliseconds| (1..=86_400_000).contains(milliseconds))
        .map(Duration::from_millis)
        .ok_or_else(|| "use 1ms to 24 hours, in a form such as 500ms, 30s or 2m".to_owned())
}

fn nonce(text: &str) -> Result<Nonce, String> {
    hex::decode(text)
        .ok()
        .filter(|bytes| (MIN_REPORT_NONCE_LEN..=MAX_REPORT_NONCE_LEN).contains(&bytes.len()))
        .map(Nonce)
        .ok_or_else(|| {
            format!("use {MIN_REPORT_NONCE_LEN} to {MAX_REPORT_NONCE_LEN} bytes in hexadecimal digits")
        })
}

/// A file to write: standard output has the result.
fn new_file(text: &str) -> Result<PathBuf, String> {
    if text == "-" {
        return Err("standard output has the result of the command: name a file".to_owned());
    }
    Ok(PathBuf::from(text))
}

fn node(text: &str) -> Result<u8, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u8::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    number
        .filter(|node| update_protocol::profile::is_node_address(*node))
        .ok_or_else(|| "use a node address from 1 to 239".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[cfg(feature = "http")]
    #[test]
    fn the_data_folder_is_that_of_updates() {
        let refused = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            without_effect(&Cli::try_parse_from(&arguments).unwrap(), &arguments).is_some()
        };
        let update = "updater-host update --server http://h --anchor a";
        for more in ["", " --data-dir d", " --no-cache"] {
            assert!(!refused(&format!("{update}{more}")), "{more}");
        }
        for line in ["updater-host scan --no-cache", "updater-host --no-cache info"] {
            assert!(refused(line), "{line}");
        }
        assert!(refused(&format!("{update} --no-cache --data-dir d")));
        assert!(!refused("updater-host scan") && !refused("updater-host --data-dir d info"));
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
    fn nonces() {
        assert_eq!(nonce("00a1B2c3d4e5f607").map(|nonce| nonce.0.len()), Ok(8));
        assert!(nonce(&"ab".repeat(64)).is_ok());
        for bad in ["", "00a1b2c3d4e5f6", "00a1b2c3d4e5f60", "0x00a1b2c3d4e5f6", &"ab".repeat(65)] {
            assert!(nonce(bad).is_err(), "{bad}");
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
    fn an_update_from_a_server_needs_an_anchor() {
        let update = ["updater-host", "update", "--server", "https://example.com"];
        assert!(Cli::try_parse_from(update).is_err());
        assert!(Cli::try_parse_from(update.iter().chain(&["--anchor", "a"])).is_ok());
        assert!(Cli::try_parse_from(update.iter().chain(&["--dangerous-skip-host-checks"])).is_ok());
        // Of files the release says whether it needs one.
        for source in [&["--release", "r", "--image", "i"][..], &["--bundle", "d"]] {
            assert!(Cli::try_parse_from(["updater-host", "update"].iter().chain(source)).is_ok());
        }
        let both = ["updater-host", "update", "--release", "r", "--image", "i", "--bundle", "d"];
        assert!(Cli::try_parse_from(both).is_err());
    }

    #[test]
    fn an_update_needs_a_release_with_its_image_or_a_server() {
        let unchecked = ["--bundle", "d", "--dangerous-skip-host-checks"];
        for bad in [&["--image", "i"][..], &["--bundle", "d", "--image", "i"], &unchecked, &[]] {
            let arguments = ["updater-host", "update", "--anchor", "a"].iter().chain(bad);
            assert!(Cli::try_parse_from(arguments).is_err(), "{bad:?}");
        }
    }
}
