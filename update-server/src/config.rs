//! The command line and what it points to, read and checked before anything is opened.

mod token;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand};
use trust::Anchor;
use trust::host::{AnchorsError, RecoveryFile, open_anchors};

pub use token::{TokenError, Tokens};

/// `update-server`.
#[derive(Debug, Parser)]
#[command(
    name = "update-server",
    version,
    about = "Serve releases, images, revocation lists and the device registry over HTTP"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM or SIGINT; print `listening on http://ADDRESS` when ready
    Serve(ServeArgs),
}

/// The options of `serve`. Each can come from its environment variable instead.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Listen on this address and port; port 0 takes any free one
    #[arg(long, env = "ANCHORAGE_SERVER_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = host_and_port)]
    pub listen: String,
    /// Folder for the database and the images; created if missing, refused if it holds anything else
    #[arg(long, env = "ANCHORAGE_SERVER_DATA", value_name = "DIR")]
    pub data: PathBuf,
    /// Public key of the first root of a domain to trust (COSE_Key or SPKI PEM) (repeatable)
    #[arg(
        long = "anchor",
        env = "ANCHORAGE_SERVER_ANCHORS",
        value_name = "FILE",
        value_delimiter = ',',
        required = true
    )]
    pub anchors: Vec<PathBuf>,
    /// Public key of the recovery root of a domain; `DOMAIN=FILE` beside several roots (repeatable)
    #[arg(
        long = "recovery-anchor",
        env = "ANCHORAGE_SERVER_RECOVERY_ANCHORS",
        value_name = "[DOMAIN=]FILE",
        value_delimiter = ',',
        value_parser = clap::builder::OsStringValueParser::new().map(RecoveryFile::from)
    )]
    pub recovery_anchors: Vec<RecoveryFile>,
    /// File of the tokens that permit writes, one a line; `report TOKEN` permits reports of devices only
    #[arg(long, env = "ANCHORAGE_SERVER_TOKEN_FILE", value_name = "FILE")]
    pub token_file: PathBuf,
    /// Longest image to accept, bytes
    #[arg(long, env = "ANCHORAGE_SERVER_MAX_IMAGE_BYTES", value_name = "N", default_value_t = 64 << 20, value_parser = clap::value_parser!(u64).range(1024..))]
    pub max_image_bytes: u64,
    /// Connections to accept from one address at a time; set 256 behind a proxy
    #[arg(
        long,
        env = "ANCHORAGE_SERVER_CONNECTIONS_PER_ADDRESS",
        value_name = "N",
        default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub connections_per_address: u16,
    /// Finish running requests for at most this long after SIGTERM, seconds
    #[arg(long, env = "ANCHORAGE_SERVER_SHUTDOWN_SECONDS", value_name = "N", default_value_t = 30)]
    pub shutdown_seconds: u64,
    /// Log to stderr what this tracing filter selects
    #[arg(long, env = "ANCHORAGE_SERVER_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

fn host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("give HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080".to_owned()),
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An anchor file.
    #[error("{source}. {}", .source.fault.hint())]
    Anchor {
        /// Which, and why.
        source: AnchorsError,
    },
    /// The token file.
    #[error("cannot use the token file {}: {source}", .path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TokenError,
    },
}

/// The configuration of `serve`, read and checked.
#[derive(Debug)]
pub struct Config {
    /// `HOST:PORT`.
    pub listen: String,
    /// The data directory.
    pub data: PathBuf,
    /// At least one anchor.
    pub anchors: Vec<Anchor>,
    /// At least one token.
    pub tokens: Tokens,
    /// Longest image that is taken, bytes.
    pub max_image_bytes: u64,
    /// Connections that one address may have at a time.
    pub connections_per_address: usize,
    /// How long requests under way may go on after the signal.
    pub shutdown_limit: Duration,
}

impl Config {
    /// Reads the files that the options name.
    pub fn read(args: ServeArgs) -> Result<Self, ConfigError> {
        let roots = args.anchors.iter().map(PathBuf::as_path);
        let trusted =
            open_anchors(roots, &args.recovery_anchors).map_err(|source| ConfigError::Anchor { source })?;
        let path = args.token_file;
        let tokens = Tokens::read(&path).map_err(|source| ConfigError::Token { path, source })?;
        Ok(Self {
            listen: args.listen,
            data: args.data,
            anchors: trusted.anchors().to_vec(),
            tokens,
            max_image_bytes: args.max_image_bytes,
            connections_per_address: usize::from(args.connections_per_address),
            shutdown_limit: Duration::from_secs(args.shutdown_seconds),
        })
    }
}
