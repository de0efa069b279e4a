//! The programs, a manufacturer's files, and simulated devices, on a bus of their own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use device_harness::factory::{Factory, description, image, provisioning_block};
use emulator::parent_death;
use serde_json::Value;
use suit_manifest::author::UpdateDescription;
use system_tests::addresses;
use system_tests::xtask::build_programs;

/// Where the simulator's images are linked to run, and a stack in its RAM.
const IMAGE_ADDRESS: u32 = 0x2101_1000;
const STACK_TOP: u32 = 0x2000_8000;
/// Where an image says what it is, for the simulator.
const DESCRIPTOR_OFFSET: usize = 0x400;
/// Bytes of the releases: some 12 000 classic frames.
pub(crate) const IMAGE_LEN: usize = 80_000;
/// No command of these tests takes longer; one that does is killed.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);

fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| build_programs().expect("the programs build"))
}

/// One of the programs.
pub(crate) fn program(name: &str) -> PathBuf {
    programs().join(name)
}

/// What an application does once it runs.
#[derive(Clone, Copy)]
pub(crate) enum Life {
    Confirms = 1,
    NeverConfirms = 0,
    Hangs = 2,
    Crashes = 5,
}

/// A folder with the files of a manufacturer and a bus.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    pub(crate) factory: Factory,
    pub(crate) bus: String,
}

/// A program that ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) last: Value,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn is_error(&self, code: &str, exit: i32) {
        let told = (self.last["error"]["code"].as_str(), self.code);
        assert_eq!(told, (Some(code), exit), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.last["exit"], exit);
    }

    pub(crate) fn is_result(&self, result: &str, exit: i32) {
        let told = (self.last["result"].as_str(), self.code);
        assert_eq!(told, (Some(result), exit), "{}\n{}", self.stdout, self.stderr);
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bench = Self { folder, factory: Factory::new(1), bus: addresses::bus().expect("a port") };
        let anchor = bench.factory.anchor();
        bench.write("root.cose", &anchor.key().to_cose_key());
        bench.write("device.cbor", &provisioning_block(&[anchor], None));
        bench
    }

    /// A bench whose device runs release 1.
    pub(crate) fn with_device() -> (Self, Sim) {
        let bench = Self::new();
        bench.release(1, Life::Confirms);
        let sim = bench.sim("flash", &bench.bus);
        bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
        bench.update(1, &[]).is_result("confirmed", 0);
        (bench, sim)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("written");
    }

    /// The programs refuse secrets that others can read.
    pub(crate) fn write_secret(&self, name: &str, bytes: &[u8]) {
        self.write(name, bytes);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(self.path(name), mode).expect("permissions");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("read")
    }

    /// Writes `N.suit` and `N.bin`: version N.0.0 with sequence number N.
    pub(crate) fn release(&self, sequence: u64, life: Life) {
        self.release_by(&self.factory, sequence, life, |_| ());
    }

    pub(crate) fn release_by(
        &self,
        factory: &Factory,
        sequence: u64,
        life: Life,
        change: impl FnOnce(&mut UpdateDescription),
    ) {
        let image = application(sequence, life);
        let mut update = description(sequence, &image);
        change(&mut update);
        self.write(&format!("{sequence}.suit"), &factory.envelope_of(&update));
        self.write(&format!("{sequence}.bin"), &image);
    }

    pub(crate) fn sim(&self, flash: &str, bus: &str) -> Sim {
        self.sim_with(flash, bus, &[])
    }

    pub(crate) fn sim_with(&self, flash: &str, bus: &str, more: &[&str]) -> Sim {
        Sim::start(&self.path(flash), bus, more)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = parent_death::command(program("updater-host"));
        command.current_dir(self.folder.path()).env("ANCHORAGE_BUS", &self.bus);
        command.args(["--json", "--data-dir", "data"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ongoing::start(&mut self.command(arguments)).end()
    }

    /// `update` with the files of a release.
    pub(crate) fn update(&self, sequence: u64, more: &[&str]) -> Ended {
        let (envelope, image) = (format!("{sequence}.suit"), format!("{sequence}.bin"));
        self.run(&[&files(&envelope, &image)[..], &["--anchor", "root.cose"], more].concat())
    }

    /// manifest-tool with these arguments, and the object that it prints.
    pub(crate) fn manifest_tool(&self, arguments: &[&str]) -> Value {
        let ended = self.maker(&[&["--json"], arguments].concat());
        assert_eq!(ended.code, 0, "{}\n{}", ended.stdout, ended.stderr);
        ended.last
    }

    /// manifest-tool in the bench's folder.
    pub(crate) fn maker(&self, arguments: &[&str]) -> Ended {
        let mut command = parent_death::command(program("manifest-tool"));
        command.current_dir(self.folder.path()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ongoing::start(&mut command).end()
    }

    /// What the device says of itself, once it answers.
    pub(crate) fn info(&self) -> Value {
        let started = Instant::now();
        loop {
            let ended = self.run(&["info"]);
            if ended.code == 0 {
                return ended.last;
            }
            assert!(started.elapsed() < COMMAND_LIMIT, "{}", ended.stdout);
        }
    }
}

/// The arguments of an update from files.
pub(crate) fn files<'a>(envelope: &'a str, image: &'a str) -> Vec<&'a str> {
    vec!["update", "--yes", "--release", envelope, "--image", image]
}

/// The arguments of an update from a server.
pub(crate) fn from_server(url: &str) -> Vec<&str> {
    vec!["update", "--yes", "--server", url, "--anchor", "root.cose", "--token-file", "token"]
}

fn application(sequence: u64, life: Life) -> Vec<u8> {
    let fill = u8::try_from(sequence % 251).expect("a byte");
    let mut image = image(IMAGE_LEN, fill, IMAGE_ADDRESS, STACK_TOP);
    let mut descriptor = b"ANCHORAGE-APP\0\0\x01".to_vec();
    descriptor.extend(format!("{sequence}.0.0").bytes());
    descriptor.resize(16 + 32, 0);
    descriptor.extend((life as u32).to_le_bytes());
    image[DESCRIPTOR_OFFSET..DESCRIPTOR_OFFSET + descriptor.len()].copy_from_slice(&descriptor);
    image
}

/// Tells `info` apart from `info` of before, but for what a refusal may change: its reason.
pub(crate) fn unchanged(before: &Value, after: &Value) {
    let mut after = after.clone();
    for key in ["reason", "reason_position"] {
        after[key] = before[key].clone();
    }
    assert_eq!(*before, after);
}

/// A process that is killed when it is dropped: for a device, its power cut.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a program and waits for the line it prints when it is up.
    pub(crate) fn start(command: &mut Command) -> (Self, String, BufReader<ChildStdout>) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        assert!(!line.is_empty(), "the program ended at once");
        (Self(child), line, stdout)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
pub(crate) struct Sim {
    _running: Running,
    _stdout: BufReader<ChildStdout>,
}

impl Sim {
    fn start(flash: &Path, bus: &str, more: &[&str]) -> Self {
        let mut command = parent_death::command(program("sim"));
        command.arg("--flash").arg(flash).args(["--bus", bus]).args(more);
        let (running, _, stdout) = Running::start(&mut command);
        Self { _running: running, _stdout: stdout }
    }
}

pub(crate) struct UpdateServer {
    pub(crate) url: String,
    _running: Running,
    _stdout: BufReader<ChildStdout>,
}

impl UpdateServer {
    /// Starts it; port 0 is any.
    pub(crate) fn start(bench: &Bench, port: u16) -> Self {
        Self::start_with(bench, port, &[])
    }

    pub(crate) fn start_with(bench: &Bench, port: u16, more: &[&str]) -> Self {
        let (running, line, stdout) = Running::start(Self::command(bench, port).args(more));
        let url = line.trim().strip_prefix("listening on ").expect("it says where").to_owned();
        Self { url, _running: running, _stdout: stdout }
    }

    pub(crate) fn command(bench: &Bench, port: u16) -> Command {
        bench.write_secret("token", b"a-token-for-tests-0123456789abcdef\n");
        let mut command = parent_death::command(program("update-server"));
        command.current_dir(bench.folder.path());
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data", "server"]);
        command.args(["--anchor", "root.cose", "--token-file", "token"]);
        command
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port")
    }

    pub(crate) fn publish(&self, bench: &Bench, sequence: u64) {
        let (envelope, image) = (format!("{sequence}.suit"), format!("{sequence}.bin"));
        self.publish_files(bench, &[&envelope, "--image", &image]);
    }

    pub(crate) fn publish_list(&self, bench: &Bench, list: &str) {
        self.publish_files(bench, &["--revocations", list]);
    }

    pub(crate) fn publish_files(&self, bench: &Bench, files: &[&str]) {
        let ended = self.publication(bench, files);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }

    /// `manifest-tool publish` with these files.
    pub(crate) fn publication(&self, bench: &Bench, files: &[&str]) -> Ended {
        let server = ["--server", &self.url, "--token-file", "token"];
        bench.maker(&[&["publish"], files, &server].concat())
    }

    /// `GET` of a path that answers JSON.
    pub(crate) fn get(&self, path: &str) -> Value {
        let body = self.get_bytes(path);
        serde_json::from_slice(&body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&body)))
    }

    /// `GET` of a path: the body.
    pub(crate) fn get_bytes(&self, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a body");
        answer.split_off(head + 4)
    }
}

/// Kills a process that takes longer than it may, so that whoever waits for its end or its words does not wait for
/// ever.
struct Watch {
    ended: Sender<()>,
    thread: JoinHandle<bool>,
}

impl Watch {
    fn over(process: u32, limit: Duration) -> Self {
        let (ended, end) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let late = end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if late {
                let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status();
            }
            late
        });
        Self { ended, thread }
    }

    /// Whether it had to be killed. To be called when it has ended.
    fn was_late(self) -> bool {
        drop(self.ended);
        self.thread.join().expect("the watch ends")
    }
}

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let mut child = Command::new("sleep").arg("60").spawn().expect("it starts");
    let watch = Watch::over(child.id(), Duration::from_millis(10));
    assert!(!child.wait().expect("it ends").success());
    assert!(watch.was_late());
}

/// A command, mostly an update, that goes on while the test does something.
pub(crate) struct Ongoing {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: JoinHandle<String>,
    lines: String,
    watch: Watch,
}

impl Ongoing {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("updater-host starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut pipe = child.stderr.take().expect("stderr is piped");
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).expect("stderr");
            text
        });
        let watch = Watch::over(child.id(), COMMAND_LIMIT);
        Self { child, stdout, stderr, lines: String::new(), watch }
    }

    /// Waits until so many bytes of the image are over.
    pub(crate) fn until(&mut self, bytes: u64) -> &mut Self {
        loop {
            let mut line = String::new();
            let len = self.stdout.read_line(&mut line).expect("a line");
            assert!(len > 0, "the update ended before {bytes} bytes were over:\n{}", self.lines);
            self.lines.push_str(&line);
            let event: Value = serde_json::from_str(&line).expect("an object");
            if event["event"] == "progress" && event["bytes"].as_u64() >= Some(bytes) {
                return self;
            }
        }
    }

    /// Waits until this step begins.
    pub(crate) fn until_step(&mut self, step: &str) -> &mut Self {
        loop {
            let mut line = String::new();
            let len = self.stdout.read_line(&mut line).expect("a line");
            assert!(len > 0, "the update ended before the step {step:?}:\n{}", self.lines);
            self.lines.push_str(&line);
            let event: Value = serde_json::from_str(&line).expect("an object");
            if event["event"] == "step" && event["step"] == step {
                return self;
            }
        }
    }

    pub(crate) fn interrupt(&mut self) -> &mut Self {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        self
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.end();
    }

    pub(crate) fn end(mut self) -> Ended {
        self.stdout.read_to_string(&mut self.lines).expect("the rest");
        let stderr = self.stderr.join().expect("stderr");
        let code = self.child.wait().expect("it ends").code().unwrap_or(-1);
        assert!(!self.watch.was_late(), "no end after {COMMAND_LIMIT:?}:\n{}\n{stderr}", self.lines);
        let last = self.lines.lines().last().and_then(|line| serde_json::from_str(line).ok());
        Ended { code, last: last.unwrap_or_default(), stdout: self.lines, stderr }
    }
}
