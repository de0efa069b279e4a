//! Keys in a real OpenSSH agent, and agents that misbehave.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::workshop::{Run, Workshop, finish, split};

/// An agent that ends with the test.
pub(super) struct Agent {
    process: Child,
    pub(super) socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Agent {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let mut command = Command::new("ssh-agent");
        let process = command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while !socket.exists() {
            assert!(began.elapsed() < Duration::from_secs(60), "ssh-agent does not start");
            thread::sleep(Duration::from_millis(10));
        }
        Self { process, socket, _folder: folder }
    }

    /// A program of OpenSSH, in the workshop.
    fn ssh(&self, workshop: &Workshop, program: &str, arguments: &[&str]) -> Run {
        let mut command = Command::new(program);
        command.current_dir(workshop.path("")).args(arguments).stdin(Stdio::null());
        command.env("SSH_AUTH_SOCK", &self.socket).env_remove("DISPLAY").env_remove("SSH_ASKPASS");
        finish(command)
    }

    /// Makes a key and adds it. Its files: `NAME` and `NAME.pub`.
    pub(super) fn add(&self, workshop: &Workshop, kind: &str, name: &str, more: &[&str]) {
        let generate = ["-q", "-t", kind, "-N", "", "-C", name, "-f", name];
        assert_eq!(self.ssh(workshop, "ssh-keygen", &generate).exit, 0);
        let added = self.ssh(workshop, "ssh-add", &[&["-q"], more, &[name]].concat());
        assert_eq!(added.exit, 0, "{added:?}");
    }

    fn run(&self, workshop: &Workshop, arguments: &[&str]) -> Run {
        with_socket(workshop, &self.socket, arguments)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn with_socket(workshop: &Workshop, socket: &std::path::Path, arguments: &[&str]) -> Run {
    let mut command = workshop.command(&[&["--json"], arguments].concat());
    command.env("SSH_AUTH_SOCK", socket);
    finish(command)
}

/// Root in an agent: certify a release key with it, and verify what the release key signs.
#[test]
fn a_root_in_an_agent_certifies_a_release_key() {
    let workshop = Workshop::with_release();
    let agent = Agent::start();
    agent.add(&workshop, "ed25519", "maker root", &[]);
    agent.add(&workshop, "ed25519", "other", &[]);
    agent.add(&workshop, "ecdsa", "ecdsa", &[]);
    let listed = agent.ssh(&workshop, "ssh-add", &["-l"]).stdout;
    let line = listed.lines().find(|line| line.contains("maker root")).unwrap();
    let fingerprint = line.split_whitespace().nth(1).unwrap();
    assert!(fingerprint.starts_with("SHA256:"), "{line}");

    let public = ["key", "public", "ssh-agent:maker%20root", "--out", "agent.cose"];
    let kid = agent.run(&workshop, &public).object()["kid"].clone();
    for (index, key) in ["maker%20root", fingerprint, "?public=agent.cose"].into_iter().enumerate() {
        let (key, out) = (format!("ssh-agent:{key}"), format!("by{index}.cwt"));
        let shown = agent.run(&workshop, &["key", "public", &key]);
        assert_eq!(shown.object()["kid"], kid, "{key}: {shown:?}");
        let issue = "credential issue --for release.cose --role release --vendor anchorage.example --issuer i \
                     --subject s";
        let issued = agent.run(&workshop, &[&split(issue)[..], &["--key", &key, "--out", &out]].concat());
        assert_eq!(issued.exit, 0, "{key}: {issued:?}");
        workshop.ok(&["credential", "inspect", &out, "--anchor", "agent.cose"]);
    }
}

#[test]
fn an_agent_that_does_not_sign_is_named() {
    let workshop = Workshop::with_release();
    let agent = Agent::start();
    let public = |key: &str| agent.run(&workshop, &["key", "public", key]);
    assert_eq!(public("ssh-agent:").refusal(), ("key-absent".into(), 4));
    agent.add(&workshop, "ed25519", "one", &[]);
    assert_eq!(public("ssh-agent:").exit, 0, "the only one");
    agent.add(&workshop, "ed25519", "two", &[]);
    assert_eq!(public("ssh-agent:").refusal(), ("key-ambiguous".into(), 4));
    let absent = public("ssh-agent:three");
    assert_eq!(absent.refusal(), ("key-absent".into(), 4));
    assert!(absent.stdout.contains("(one)") && absent.stdout.contains("(two)"), "{absent:?}");

    // A locked agent shows no keys.
    workshop.program("lock.sh", b"#!/bin/sh\necho secret\n");
    let mut lock = Command::new("ssh-add");
    lock.arg("-x").env("SSH_AUTH_SOCK", &agent.socket).env("SSH_ASKPASS", workshop.path("lock.sh"));
    lock.env("SSH_ASKPASS_REQUIRE", "force").stdin(Stdio::null());
    assert_eq!(finish(lock).exit, 0);
    assert_eq!(public("ssh-agent:one").refusal(), ("key-absent".into(), 4));

    let mut command = workshop.command(&["--json", "key", "public", "ssh-agent:one"]);
    command.env_remove("SSH_AUTH_SOCK");
    assert_eq!(finish(command).refusal(), ("agent-unreachable".into(), 3));
    let gone = workshop.path("no-socket");
    let run = with_socket(&workshop, &gone, &["key", "public", "ssh-agent:one"]);
    assert_eq!(run.refusal(), ("agent-unreachable".into(), 3));
}

/// Who has to confirm (`ssh-add -c`) and cannot be asked has not confirmed.
#[test]
fn a_refusal_of_the_agent_signs_nothing() {
    let workshop = Workshop::with_release();
    let agent = Agent::start();
    agent.add(&workshop, "ed25519", "root2", &["-c"]);
    let before = workshop.snapshot();
    let issue = "credential issue --key ssh-agent:root2 --for release.cose --role release --vendor a.example \
                 --issuer i --subject s --out new.cwt";
    assert_eq!(agent.run(&workshop, &split(issue)).refusal(), ("agent-refused".into(), 4));
    assert_eq!(workshop.snapshot(), before);
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// Answers of an agent that holds the key of `public`, with `signature` for whatever it is asked to sign.
fn fake(listener: &UnixListener, answers: &[Vec<u8>]) {
    for answer in answers {
        let (mut stream, _) = listener.accept().unwrap();
        let mut len = [0; 4];
        stream.read_exact(&mut len).unwrap();
        let mut request = vec![0; u32::from_be_bytes(len) as usize];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(answer).unwrap();
    }
}

#[test]
fn a_hostile_agent_gets_no_signature_in() {
    let workshop = Workshop::with_release();
    let public =
        hex::decode(workshop.ok(&["key", "public", "root.cose"])["public_key"].as_str().unwrap()).unwrap();
    let blob = [string(b"ssh-ed25519"), string(&public)].concat();
    let listed = string(&[&[12, 0, 0, 0, 1][..], &string(&blob), &string(b"root")].concat());
    let signature = |kind: &[u8], bytes: &[u8]| {
        string(&[&[14][..], &string(&[string(kind), string(bytes)].concat())].concat())
    };
    let cases = [
        (vec![string(&[5])], "agent-answer"),
        (vec![string(&[12, 0xff, 0xff, 0xff, 0xff])], "agent-answer"),
        (vec![string(&[12, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 1])], "agent-answer"),
        (vec![vec![0x7f, 0xff, 0xff, 0xff]], "agent-answer"),
        (vec![vec![0, 0, 0, 0]], "agent-answer"),
        (vec![vec![0, 0]], "agent-unreachable"),
        (vec![listed.clone(), string(&[5])], "agent-refused"),
        (vec![listed.clone(), signature(b"ssh-ed25519", &[1; 63])], "agent-answer"),
        (vec![listed.clone(), signature(b"ssh-rsa", &[1; 64])], "agent-answer"),
        (vec![listed.clone(), signature(b"ssh-ed25519", &[1; 64])], "signature-foreign"),
    ];
    let before = workshop.snapshot();
    for (answers, code) in cases {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let listener = UnixListener::bind(&socket).unwrap();
        let run = thread::scope(|scope| {
            scope.spawn(|| fake(&listener, &answers));
            let issue = "credential issue --key ssh-agent:root --for release.cose --role release --vendor a.example \
                         --issuer i --subject s --out new.cwt";
            with_socket(&workshop, &socket, &split(issue))
        });
        assert_eq!(run.refusal().0, code, "{answers:02x?}: {run:?}");
    }
    assert_eq!(workshop.snapshot(), before);
}
