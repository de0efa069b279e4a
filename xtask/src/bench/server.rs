//! `cargo xtask bench --server`: update-server under load, in a release build. A given older update-server takes turns
//! with it, and so does nginx for images; ratios of one run hold on any machine, the numbers on this one only.

mod load;

use std::fmt;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use emulator::{Behaviour, parent_death};
use serde::Serialize;
use serde_json::Value;

use self::load::{Clients, Connection, Load, Samples};
use crate::authoring::Workshop;
use crate::demo::server::{Server, TOKEN_FILE};
use crate::process::{self, Guard};
use crate::workspace::Workspace;
use crate::{board, tools};

/// How often the servers take turns.
const ROUNDS: u32 = 3;
const TURN: Duration = Duration::from_secs(2);
const WRITERS: [usize; 3] = [1, 4, 8];
/// Writers beside which releases are asked for.
const MANY_WRITERS: usize = 64;
const READERS: usize = 4;
const IMAGE_SIZES: [usize; 3] = [1 << 10, 256 << 10, 8 << 20];
/// Devices that one writer brings up to date, in turn.
const DEVICES: usize = 100;
const START_LIMIT: Duration = Duration::from_secs(10);

#[derive(Serialize)]
pub(super) struct Report {
    puts: Vec<Puts>,
    /// `GET /v1/releases/latest` by one client.
    latest_alone: Load,
    /// The same while [`MANY_WRITERS`] clients write.
    latest_under_writers: Load,
    images: Vec<Images>,
    /// What `cargo bench -p update-server` prints: the index with 10,000 releases.
    index: Vec<Value>,
}

/// `PUT /v1/devices/{serial}`, each synchronised to the disk.
#[derive(Serialize)]
struct Puts {
    writers: usize,
    load: Load,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<Load>,
}

/// `GET /v1/images/{sha256}` by [`READERS`] clients.
#[derive(Serialize)]
struct Images {
    bytes: usize,
    load: Load,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<Load>,
    /// nginx with the same files; `null` where it is not installed.
    nginx: Option<Load>,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, p50_ms, p99_ms } = self;
        write!(f, "{per_second:.0}/s, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms")
    }
}

/// ` (other: ..., rate 1.2 of it)`.
fn beside(f: &mut fmt::Formatter<'_>, load: Load, name: &str, other: Option<Load>) -> fmt::Result {
    let Some(other) = other else { return Ok(()) };
    let ratio = load.per_second / other.per_second;
    let p99 = load.p99_ms / other.p99_ms;
    write!(f, " ({name}: {other}; rate {ratio:.2}, p99 {p99:.2} of it)")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Puts { writers, load, baseline } in &self.puts {
            write!(f, "PUT device, {writers} writers: {load}")?;
            beside(f, *load, "baseline", *baseline)?;
            writeln!(f)?;
        }
        writeln!(f, "latest, 1 reader: {}", self.latest_alone)?;
        writeln!(f, "latest, 1 reader beside {MANY_WRITERS} writers: {}", self.latest_under_writers)?;
        for Images { bytes, load, baseline, nginx } in &self.images {
            write!(f, "GET image of {bytes} bytes, {READERS} readers: {load}")?;
            beside(f, *load, "baseline", *baseline)?;
            beside(f, *load, "nginx", *nginx)?;
            writeln!(f)?;
        }
        for row in &self.index {
            writeln!(f, "index: {row}")?;
        }
        Ok(())
    }
}

/// Measures; `programs` and `baseline` are folders with an update-server, the former with a manifest-tool too.
pub(super) fn measure(
    workspace: &Workspace,
    programs: Option<&Path>,
    baseline: Option<&Path>,
) -> Result<Report> {
    let programs = match programs {
        Some(programs) => std::path::absolute(programs)?,
        None => workspace.release_programs()?,
    };
    let directory = workspace.fresh_directory("bench-server")?;
    let workshop = Workshop::open(&programs, &directory)?;
    let authority = workshop.authority("root", "release")?;
    let elf = board::build_application(workspace, "1.0.0", Behaviour::Confirms, None)?;
    let release = workshop.release(&authority, "1.0.0", &elf)?;
    let ours = Measured::start(&programs, &directory, &authority.anchor)?;
    ours.server.publish(&workshop, &release, None)?;
    let baseline = match baseline {
        Some(baseline) => {
            let place = directory.join("baseline");
            std::fs::create_dir(&place)?;
            std::fs::copy(directory.join(&authority.anchor), place.join(&authority.anchor))?;
            Some(Measured::start(&std::path::absolute(baseline)?, &place, &authority.anchor)?)
        }
        None => None,
    };

    let images = sample_images(&directory)?;
    for server in [Some(&ours), baseline.as_ref()].into_iter().flatten() {
        images.iter().try_for_each(|image| server.put_image(image))?;
    }
    let nginx = Nginx::start(&directory)?;
    let bench = Bench { ours: &ours, baseline: baseline.as_ref(), nginx: nginx.as_ref() };
    let puts = WRITERS.into_iter().map(|writers| bench.puts(writers)).collect::<Result<_>>()?;
    let inspected = workshop.manifest_tool(&["inspect", &release.envelope])?;
    let (latest_alone, latest_under_writers) = bench.latest(&inspected)?;
    let images = images.iter().map(|image| bench.images(image)).collect::<Result<_>>()?;
    drop(nginx);
    ours.server.stop()?;
    if let Some(baseline) = baseline {
        baseline.server.stop()?;
    }
    Ok(Report { puts, latest_alone, latest_under_writers, images, index: index(workspace)? })
}

fn index(workspace: &Workspace) -> Result<Vec<Value>> {
    let mut command = workspace.cargo();
    command.args(["bench", "--quiet", "--package", "update-server", "--bench", "index"]);
    let printed = String::from_utf8(process::output(&mut command)?)?;
    printed.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// An image for transfers: its file, and its name on the servers.
struct SampleImage {
    file: PathBuf,
    digest: String,
    bytes: usize,
}

fn sample_images(directory: &Path) -> Result<Vec<SampleImage>> {
    let folder = directory.join("nginx/v1/images");
    std::fs::create_dir_all(&folder)?;
    let make = |bytes: usize| {
        let file = directory.join(format!("{bytes}.bin"));
        std::fs::write(&file, vec![0xa5; bytes])?;
        let printed = process::output(Command::new("sha256sum").arg(&file))?;
        let digest = String::from_utf8(printed)?.split_whitespace().next().context("no digest")?.to_owned();
        std::fs::copy(&file, folder.join(&digest))?;
        Ok(SampleImage { file, digest, bytes })
    };
    IMAGE_SIZES.into_iter().map(make).collect()
}

/// A server with its address and token.
struct Measured {
    server: Server,
    address: String,
    token: String,
}

impl Measured {
    fn start(programs: &Path, directory: &Path, anchor: &str) -> Result<Self> {
        // One address has all the clients.
        let server = Server::start(
            programs,
            directory,
            anchor,
            &[("ANCHORAGE_SERVER_CONNECTIONS_PER_ADDRESS", "256")],
        )?;
        let address = server.url().strip_prefix("http://").context("not an address")?.to_owned();
        let token = std::fs::read_to_string(directory.join(TOKEN_FILE))?.trim().to_owned();
        Ok(Self { server, address, token })
    }

    fn put(&self, path: &str, body: &[u8]) -> Vec<u8> {
        let Self { address, token, .. } = self;
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    fn put_image(&self, image: &SampleImage) -> Result<()> {
        let request = self.put(&format!("/v1/images/{}", image.digest), &std::fs::read(&image.file)?);
        Connection::open(&self.address)?.exchange(&request)
    }

    fn put_device(&self, client: usize, number: usize) -> Vec<u8> {
        const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        let facts = format!(
            r#"{{"vendor": "{UUID}", "class": "{UUID}", "version": "1.0.{number}", "sequence": {number}}}"#
        );
        self.put(&format!("/v1/devices/W{client}-{}", number % DEVICES), facts.as_bytes())
    }

    fn write(&self, writers: usize) -> Result<Samples> {
        let request = |client, number| self.put_device(client, number);
        Clients { address: &self.address, count: writers, request: &request }.run(TURN)
    }
}

fn get(address: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

fn read(address: &str, path: &str) -> Result<Samples> {
    let request = |_, _| get(address, path);
    Clients { address, count: READERS, request: &request }.run(TURN)
}

struct Bench<'a> {
    ours: &'a Measured,
    baseline: Option<&'a Measured>,
    nginx: Option<&'a Nginx>,
}

impl Bench<'_> {
    fn puts(&self, writers: usize) -> Result<Puts> {
        let [load, baseline] = take_turns([
            Some(&|| self.ours.write(writers)),
            self.baseline
                .map(|baseline| move || baseline.write(writers))
                .as_ref()
                .map(|turn| turn as Turn<'_>),
        ])?;
        Ok(Puts { writers, load: load.context("measured")?, baseline })
    }

    fn images(&self, image: &SampleImage) -> Result<Images> {
        let path = format!("/v1/images/{}", image.digest);
        let path = path.as_str();
        let baseline = self.baseline.map(|baseline| || read(&baseline.address, path));
        let nginx = self.nginx.map(|nginx| || read(&nginx.address, path));
        let [load, baseline, nginx] = take_turns([
            Some(&|| read(&self.ours.address, path)),
            baseline.as_ref().map(|turn| turn as Turn<'_>),
            nginx.as_ref().map(|turn| turn as Turn<'_>),
        ])?;
        Ok(Images { bytes: image.bytes, load: load.context("measured")?, baseline, nginx })
    }

    /// The newest release of the vendor and class of one: alone, and beside many writers.
    fn latest(&self, release: &Value) -> Result<(Load, Load)> {
        let identifier = |name: &str| release[name].as_str().with_context(|| format!("no {name}: {release}"));
        let (vendor, class) = (identifier("vendor")?, identifier("class")?);
        let path = format!("/v1/releases/latest?vendor={vendor}&class={class}");
        let address = self.ours.address.as_str();
        let request = |_, _| get(address, &path);
        let reader = Clients { address, count: 1, request: &request };
        let write = |client, number| self.ours.put_device(client, number);
        let writers = Clients { address, count: MANY_WRITERS, request: &write };
        let [alone, beside] =
            take_turns([Some(&|| reader.run(TURN)), Some(&|| reader.run_beside(&writers, TURN))])?;
        Ok((alone.context("measured")?, beside.context("measured")?))
    }
}

type Turn<'a> = &'a dyn Fn() -> Result<Samples>;

/// Lets all that are there take turns, so that a machine that is busy for a while slows each of them.
fn take_turns<const N: usize>(turns: [Option<Turn<'_>>; N]) -> Result<[Option<Load>; N]> {
    let mut samples: [Samples; N] = std::array::from_fn(|_| Samples::default());
    for _ in 0..ROUNDS {
        for (turn, samples) in turns.iter().zip(&mut samples) {
            if let Some(turn) = turn {
                samples.add(turn()?);
            }
        }
    }
    let mut loads = [None; N];
    for ((turn, samples), load) in turns.iter().zip(samples).zip(&mut loads) {
        if turn.is_some() {
            *load = Some(samples.summary()?);
        }
    }
    Ok(loads)
}

/// nginx that serves the images as files, with its usual log.
struct Nginx {
    process: Guard,
    address: String,
}

impl Nginx {
    /// `None`, with a line on stderr, where it is not installed and cannot be.
    fn start(directory: &Path) -> Result<Option<Self>> {
        if let Err(error) = tools::provide_system_tools(&[tools::NGINX]) {
            eprintln!("images are measured without nginx: {error:#}");
            return Ok(None);
        }
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let place = directory.join("nginx");
        let at = |name: &str| place.join(name).display().to_string();
        let config = format!(
            "pid {}; error_log {}; daemon off; worker_processes auto; events {{ worker_connections 1024; }}\n\
             http {{ access_log {}; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n\
             default_type application/octet-stream; server {{ listen {address}; root {}; }} }}\n",
            at("nginx.pid"),
            at("error.log"),
            at("access.log"),
            place.display(),
        );
        std::fs::write(place.join("nginx.conf"), config)?;
        // As root it would serve as a user who cannot read here.
        let mut command = parent_death::signalled("TERM", tools::NGINX.program);
        command.arg("-e").arg(at("error.log")).arg("-c").arg(at("nginx.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let process = Guard::spawn(&mut command)?;
        let began = Instant::now();
        while TcpStream::connect(&address).is_err() {
            ensure!(began.elapsed() < START_LIMIT, "nginx does not answer; see {}", at("error.log"));
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(Self { process, address }))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It ends its workers then; killed, it would leave them.
        let _ = self.process.terminate(START_LIMIT);
    }
}
