//! The virtual bus against the real python-can, and our ISO-TP and UDS against implementations by others
//! (can-isotp, udsoncan). Needs python3 with venv; what else it needs it installs below the target directory.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use can_bus::{Bus, BusAddress, IsoTpChannel};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use update_protocol::can::{Frame, Id};
use update_protocol::profile::{self, did};
use update_protocol::uds::Nrc;
use update_protocol::uds::server::{Answer, Download, Handler, Server};

const GROUP: &str = "239.74.163.2";
const PACKAGES: [&str; 4] = ["python-can==4.6.1", "msgpack==1.2.4", "can-isotp==2.0.7", "udsoncan==1.26.1"];

/// The interpreter of an environment that has [`PACKAGES`]; made once per target directory.
fn python() -> PathBuf {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-can");
    let interpreter = environment.join("bin/python");
    let complete = environment.join("complete");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
        return interpreter;
    }
    let run = |program: &Path, arguments: &[&str]| {
        let status = std::process::Command::new(program).args(arguments).status();
        assert!(
            status.as_ref().is_ok_and(std::process::ExitStatus::success),
            "{} {arguments:?}: {status:?}; this test needs python3 with venv (apt-get install python3-venv) and a \
             package index",
            program.display()
        );
    };
    run(Path::new("python3"), &["-m", "venv", "--clear", &environment.to_string_lossy()]);
    run(&interpreter, &[&["-m", "pip", "install", "--quiet"], &PACKAGES[..]].concat());
    std::fs::write(complete, wanted).unwrap();
    interpreter
}

struct Script {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    fn start(interpreter: &Path, text: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(interpreter)
            .args(["-c", text])
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { _process: process, lines }
    }

    async fn line(&mut self) -> String {
        let line = timeout(Duration::from_secs(60), self.lines.next_line()).await;
        line.expect("the script said nothing for a minute").unwrap().expect("the script ended")
    }
}

/// Its port is the test's own, so that it hears nobody else.
async fn open(options: &str) -> (Bus, String) {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address: BusAddress = format!("udp-multicast:{GROUP}:{port}{options}").parse().unwrap();
    (Bus::open(&address).await.unwrap(), port.to_string())
}

// One test, so that one process makes the environment.
#[tokio::test]
async fn programs_of_others_join_the_bus() {
    let interpreter = tokio::task::spawn_blocking(python).await.unwrap();
    frames_of_every_kind_both_ways(&interpreter).await;
    a_tester_of_others_downloads(&interpreter, "classic").await;
    a_tester_of_others_downloads(&interpreter, "fd").await;
}

async fn frames_of_every_kind_both_ways(interpreter: &Path) {
    let (mut bus, port) = open("?fd").await;
    let mut script = Script::start(interpreter, include_str!("python_can/frames.py"), &[GROUP, &port]);
    assert_eq!(script.line().await, "ready");
    let fd: Vec<u8> = (0..64).collect();
    for (frame, heard) in [
        (Frame::new(Id::Extended(0x18DA_10F1), &[2, 0x3E, 0]), "18DA10F1 True data 3 023e00"),
        (Frame::new(Id::Standard(0x7E0), &[]), "7E0 False data 0 "),
        (Frame::new_remote(Id::Standard(0x7FF), 8), "7FF False remote 8 "),
        (Frame::new_fd(Id::Standard(1), &fd[..12], false), "1 False fd 12 000102030405060708090a0b"),
        (Frame::new_fd(Id::Extended(1), &[7], true), "1 True brs 1 07"),
    ] {
        bus.send(&frame.unwrap()).await.unwrap();
        assert_eq!(script.line().await, heard);
    }
    for expected in [
        Frame::new(Id::Standard(0x7E8), &[2, 0x7E, 0]),
        Frame::new(Id::Extended(0x18DA_F110), &fd[..8]),
        Frame::new_remote(Id::Extended(0x123), 4),
        Frame::new_fd(Id::Standard(0x123), &fd[..12], false),
        Frame::new_fd(Id::Standard(0x124), &fd, true),
    ] {
        let heard = timeout(Duration::from_secs(20), bus.recv()).await.expect("heard nothing");
        assert_eq!(heard.unwrap(), expected.unwrap());
    }
}

#[derive(Default)]
struct Device {
    content: Vec<u8>,
}

impl Handler for Device {
    fn read_identifier(&mut self, did: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        if did == did::SERIAL { answer.append(b"A-1") } else { Err(Nrc::REQUEST_OUT_OF_RANGE) }
    }

    fn open_object(&mut self, download: Download) -> Result<(), Nrc> {
        assert_eq!(download, Download { address: 0x1000_0000, size: 8_000 });
        Ok(())
    }

    fn write_object(&mut self, _offset: u32, data: &[u8]) -> Result<(), Nrc> {
        self.content.extend_from_slice(data);
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), Nrc> {
        let expected: Vec<u8> = (0..=250).cycle().take(8_000).collect();
        if self.content == expected { Ok(()) } else { Err(Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED) }
    }
}

async fn a_tester_of_others_downloads(interpreter: &Path, format: &str) {
    let (bus, port) = open(if format == "fd" { "?fd" } else { "" }).await;
    let mut script =
        Script::start(interpreter, include_str!("python_can/tester.py"), &[GROUP, &port, format]);
    let device = tokio::spawn(async move {
        let mut channel = IsoTpChannel::new(bus, profile::device_addressing(0x10));
        let (mut server, mut device) = (Server::new(), Device::default());
        loop {
            channel.drive(server.next_timeout()).await.unwrap();
            let now_us = channel.now_us();
            server.poll(channel.link_mut(), &mut device, now_us);
        }
    });
    // A block is as long as the channel's longest message can say: two bytes of length, less service and counter.
    for expected in ["ready", "serial A-1", "session 2", "unknown 31", "refused 24", "done 65533"] {
        assert_eq!(script.line().await, expected, "{format}");
    }
    device.abort();
}
