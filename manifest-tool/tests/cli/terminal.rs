//! A person at a terminal: a pseudo-terminal that controls the program.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::workshop::Workshop;

const PASSPHRASE: &str = "correct horse battery staple";
/// Far above what an answer takes.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) struct Terminal {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    shown: String,
    program: Child,
}

impl Terminal {
    /// Runs the program on a terminal on which somebody has typed ahead.
    pub(super) fn run(workshop: &Workshop, typed_ahead: &str, arguments: &[&str]) -> Self {
        let pair = openpty(None, None).unwrap();
        let mut keyboard = File::from(pair.master);
        keyboard.write_all(typed_ahead.as_bytes()).unwrap();
        let terminal = File::from(pair.slave);
        // setsid makes the terminal the one that /dev/tty names.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_manifest-tool")]).args(arguments);
        command.current_dir(workshop.path("")).env_remove("ANCHORAGE_PASSPHRASE_FILE");
        command.stdin(terminal.try_clone().unwrap()).stdout(terminal.try_clone().unwrap()).stderr(terminal);
        let program = command.spawn().unwrap();
        drop(command);
        let mut reader = keyboard.try_clone().unwrap();
        let (sender, screen) = channel();
        // Reading ends with an error when the last program on the terminal has ended.
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { keyboard, screen, shown: String::new(), program }
    }

    pub(super) fn wait_for(&mut self, words: &str) {
        while !self.shown.contains(words) {
            let next = self.screen.recv_timeout(LIMIT);
            let next = next.unwrap_or_else(|error| panic!("{error}: no {words:?} in {:?}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&next));
        }
    }

    /// Until words were shown so often.
    pub(super) fn wait_for_times(&mut self, words: &str, times: usize) {
        while self.shown.matches(words).count() < times {
            let next = self.screen.recv_timeout(LIMIT);
            let next = next.unwrap_or_else(|error| panic!("{error}: {words:?} in {:?}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&next));
        }
    }

    pub(super) fn enter(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Exit code and everything that was shown.
    pub(super) fn end(mut self) -> (Option<i32>, String) {
        let status = self.program.wait().unwrap();
        while let Ok(more) = self.screen.recv_timeout(LIMIT) {
            self.shown.push_str(&String::from_utf8_lossy(&more));
        }
        (status.code(), self.shown)
    }
}

/// README's commands, pasted as a block: the line after the first one became the passphrase of the root key.
#[test]
fn lines_typed_ahead_are_no_passphrase() {
    let workshop = Workshop::new();
    let ahead = "manifest-tool key public root.pem\nmanifest-tool key public root.pem\n";
    let mut terminal = Terminal::run(&workshop, ahead, &["key", "generate", "--out", "root.pem"]);
    terminal.wait_for("Passphrase for root.pem: ");
    terminal.enter(PASSPHRASE);
    terminal.wait_for("Repeat it: ");
    terminal.enter(PASSPHRASE);
    let (exit, shown) = terminal.end();
    assert_eq!(exit, Some(0), "{shown}");
    assert!(!shown.contains(PASSPHRASE), "{shown}");
    workshop.write("passphrase", PASSPHRASE.as_bytes());
    workshop.ok(&["key", "public", "root.pem", "--passphrase-file", "passphrase"]);
}

#[test]
fn entries_that_differ_make_no_key() {
    let workshop = Workshop::new();
    let mut terminal = Terminal::run(&workshop, "", &["key", "generate", "--out", "root.pem"]);
    terminal.wait_for("Passphrase for root.pem: ");
    terminal.enter(PASSPHRASE);
    terminal.wait_for("Repeat it: ");
    terminal.enter("correct horse battery stable");
    let (exit, shown) = terminal.end();
    assert_eq!(exit, Some(4), "{shown}");
    assert!(
        shown.contains("passphrase-unusable") && shown.contains("enter the same passphrase twice"),
        "{shown}"
    );
    assert!(!workshop.path("root.pem").exists());
}

#[test]
fn ctrl_c_at_the_prompt_leaves_the_terminal_as_it_was() {
    let workshop = Workshop::new();
    let mut terminal = Terminal::run(&workshop, "", &["key", "generate", "--out", "root.pem"]);
    let flags = |terminal: &Terminal| tcgetattr(&terminal.keyboard).unwrap().local_flags;
    let before = LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
    terminal.wait_for("Passphrase for root.pem: ");
    assert!(!flags(&terminal).contains(LocalFlags::ECHO));
    terminal.keyboard.write_all(b"correct\x03").unwrap();
    assert!(!terminal.program.wait().unwrap().success());
    assert!(flags(&terminal).contains(before), "{:?}", flags(&terminal));
    assert!(!workshop.path("root.pem").exists());
}

#[test]
fn the_end_of_input_at_the_prompt_is_an_empty_passphrase() {
    let workshop = Workshop::new();
    let mut terminal = Terminal::run(&workshop, "", &["key", "generate", "--out", "root.pem"]);
    terminal.wait_for("Passphrase for root.pem: ");
    terminal.keyboard.write_all(b"\x04").unwrap();
    let (exit, shown) = terminal.end();
    assert!(exit == Some(4) && shown.contains("the passphrase is empty"), "{shown}");
}
