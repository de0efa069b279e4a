//! The question before an update, on a terminal.

use std::fs::File;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_serial::{SerialPort as _, SerialStream};

use super::Bench;

const UPDATE: &[&str] =
    &["update", "--release", "release.suit", "--image", "image.bin", "--anchor", "root.cose"];

/// A key that was pressed too early, or the next line of a pasted block.
#[tokio::test]
async fn what_was_typed_before_the_question_is_not_its_answer() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    let (mut person, terminal) = SerialStream::pair().unwrap();
    let terminal = File::options().read(true).write(true).open(terminal.name().unwrap()).unwrap();
    person.write_all(b"y\n").await.unwrap();
    let mut command = bench.command(UPDATE);
    command.stdin(Stdio::from(terminal.try_clone().unwrap())).stderr(Stdio::from(terminal));
    let mut child = command.spawn().unwrap();
    let mut shown = Vec::new();
    while !shown.ends_with(b"[y/N] ") {
        let mut part = [0; 256];
        let len = person.read(&mut part).await.unwrap();
        assert!(len > 0, "no question: {}", String::from_utf8_lossy(&shown));
        shown.extend_from_slice(&part[..len]);
    }
    person.write_all(b"n\n").await.unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "{}", String::from_utf8_lossy(&shown));
    assert_eq!(device.asked(), []);
}
