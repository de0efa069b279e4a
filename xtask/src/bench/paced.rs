//! The same update over buses with a bit rate: by updater-host, and by stock udsoncan in the same run.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use emulator::parent_death;
use serde::Serialize;
use serde_json::Value;

use crate::authoring::{Authority, Release};
use crate::demo::device::Device;
use crate::demo::technician::Technician;
use crate::process::{self, Guard};
use crate::workspace::Workspace;

const PACKAGES: [&str; 4] = ["python-can==4.6.1", "msgpack==1.2.4", "can-isotp==2.0.7", "udsoncan==1.26.1"];
const GROUP: &str = "239.74.163.2";

/// A bus: name, bit rates, whether frames are CAN FD.
const BUSES: [(&str, &[&str], bool); 3] = [
    ("classic 500k", &["500000"], false),
    ("FD 500k/2M", &["500000", "2000000"], true),
    ("FD 1M/5M", &["1000000", "5000000"], true),
];

/// One update, seconds.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Seconds {
    /// From the opening of the image to its acceptance.
    image: f64,
    /// From the first request to the confirmation. Of updater-host, with its device named by node address, the whole
    /// process: it opens the bus, reads and verifies the release, and identifies the device.
    flow: f64,
    /// The whole process, from its start to its end.
    whole: f64,
}

#[derive(Serialize)]
pub(super) struct Row {
    bus: &'static str,
    bytes: u64,
    updater_host: Seconds,
    udsoncan: Seconds,
    /// udsoncan's time over updater-host's: above 1, updater-host is faster.
    image_ratio: f64,
    flow_ratio: f64,
    whole_ratio: f64,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}, {} bytes: image {:.3} s (udsoncan {:.3} s, ratio {:.3}), from the first request {:.3} s ({:.3} s, ratio {:.3}), \
             whole update {:.3} s ({:.3} s, ratio {:.3})",
            self.bus,
            self.bytes,
            self.updater_host.image,
            self.udsoncan.image,
            self.image_ratio,
            self.updater_host.flow,
            self.udsoncan.flow,
            self.flow_ratio,
            self.updater_host.whole,
            self.udsoncan.whole,
            self.whole_ratio
        )
    }
}

/// What is installed, and with what.
pub(super) struct Update<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) programs: &'a Path,
    pub(super) directory: &'a Path,
    pub(super) authority: &'a Authority,
    pub(super) release: &'a Release,
}

impl Update<'_> {
    /// Every bus, best of `rounds` each: what a machine does besides only makes an update slower.
    pub(super) fn measure(&self, rounds: u32) -> Result<Vec<Row>> {
        let python = self.python()?;
        let relay = self.relay()?;
        let mut rows = Vec::new();
        for (bus, rates, fd) in BUSES {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                ours.push(self.on_a_new_device(&relay, rates, fd, |port| self.updater_host(port, fd))?);
                theirs
                    .push(self.on_a_new_device(&relay, rates, fd, |port| self.udsoncan(&python, port, fd))?);
            }
            let best = |all: &[Seconds]| Seconds {
                image: all.iter().map(|one| one.image).fold(f64::INFINITY, f64::min),
                flow: all.iter().map(|one| one.flow).fold(f64::INFINITY, f64::min),
                whole: all.iter().map(|one| one.whole).fold(f64::INFINITY, f64::min),
            };
            let (updater_host, udsoncan) = (best(&ours), best(&theirs));
            rows.push(Row {
                bus,
                bytes: self.release.image_bytes,
                updater_host,
                udsoncan,
                image_ratio: udsoncan.image / updater_host.image,
                flow_ratio: udsoncan.flow / updater_host.flow,
                whole_ratio: udsoncan.whole / updater_host.whole,
            });
        }
        Ok(rows)
    }

    /// A factory-fresh device is provisioned on its own bus, and updated from the other side of the relay.
    fn on_a_new_device(
        &self,
        relay: &Path,
        rates: &[&str],
        fd: bool,
        update: impl Fn(u16) -> Result<Seconds>,
    ) -> Result<Seconds> {
        let directory = tempfile::tempdir()?;
        let device = Device::sim_with(self.programs, directory.path(), if fd { "?fd" } else { "" })?;
        let far = device.bus_address();
        Technician::new(self.programs, self.directory, far.clone()).run(&["provision", "device.cbor"])?;
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = parent_death::command(relay);
        command.args([bus_at(port, fd).as_str(), far.as_str()]).args(rates).stdout(Stdio::piped());
        let mut relay = Guard::spawn(&mut command)?;
        let mut line = String::new();
        let stdout = relay.0.stdout.take().context("stdout is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line == "ready\n", "the relay did not start");
        update(port)
    }

    fn updater_host(&self, port: u16, fd: bool) -> Result<Seconds> {
        let Release { envelope, image, .. } = self.release;
        let mut command = parent_death::command(self.programs.join("updater-host"));
        command.current_dir(self.directory).args([
            "--json",
            "--bus",
            &bus_at(port, fd),
            "--data-dir",
            "paced",
        ]);
        command.args(["update", "--node", "0x10", "--release", envelope, "--image", image, "--yes"]);
        command.args(["--anchor", &self.authority.anchor]).stdin(Stdio::null()).stdout(Stdio::piped());
        let began = Instant::now();
        let mut host = Guard::spawn(command.stderr(Stdio::null()))?;
        let stdout = host.0.stdout.take().context("stdout is piped")?;
        let (mut image_began, mut image_ended, mut last) = (None, None, Value::Null);
        for line in BufReader::new(stdout).lines() {
            last = serde_json::from_str(&line?)?;
            match (last["event"].as_str(), last["step"].as_str()) {
                (Some("progress"), _) => drop(image_began.get_or_insert_with(Instant::now)),
                (_, Some("restart")) => drop(image_ended.get_or_insert_with(Instant::now)),
                _ => {}
            }
        }
        ensure!(last["result"] == "confirmed", "updater-host: {last}");
        let whole = began.elapsed().as_secs_f64();
        let (Some(image_began), Some(image_ended)) = (image_began, image_ended) else {
            bail!("updater-host told no progress and no restart");
        };
        Ok(Seconds { image: (image_ended - image_began).as_secs_f64(), flow: whole, whole })
    }

    fn udsoncan(&self, python: &Path, port: u16, fd: bool) -> Result<Seconds> {
        let mut command = Command::new(python);
        command.current_dir(self.directory).args(["-c", include_str!("udsoncan_update.py"), GROUP]);
        command.args([port.to_string().as_str(), if fd { "fd" } else { "classic" }]);
        command.args([&self.release.envelope, &self.release.image]);
        let began = Instant::now();
        let said = String::from_utf8(process::output(&mut command)?)?;
        let whole = began.elapsed().as_secs_f64();
        let mut seconds = said.split_whitespace().map(str::parse::<f64>);
        match (seconds.next(), seconds.next()) {
            (Some(Ok(image)), Some(Ok(flow))) => Ok(Seconds { image, flow, whole }),
            _ => bail!("the udsoncan script said: {said}"),
        }
    }

    /// An interpreter with udsoncan; its environment is made once per target directory.
    fn python(&self) -> Result<PathBuf> {
        emulator::python::environment(self.workspace.target(), "udsoncan", &PACKAGES)
    }

    fn relay(&self) -> Result<PathBuf> {
        let mut command = self.workspace.cargo();
        command.args(["build", "--quiet", "--release", "--package", "can-bus", "--example", "paced_relay"]);
        process::output(&mut command)?;
        Ok(self.workspace.target().join("release/examples/paced_relay"))
    }
}

fn bus_at(port: u16, fd: bool) -> String {
    format!("udp-multicast:{GROUP}:{port}{}", if fd { "?fd" } else { "" })
}
