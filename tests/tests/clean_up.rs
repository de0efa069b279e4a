//! What a task started ends with it, when it is killed too.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use system_tests::xtask;

/// The kernel needs no time to speak of; a busy machine does.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_board_loses_its_power_with_the_task_that_gave_it() -> Result<()> {
    ensure!(emulator::is_installed(), "{} is not on this machine (Debian: qemu-system-arm)", emulator::QEMU);
    let folder = tempfile::tempdir()?;
    let mut command = xtask::command(&["qemu", "--flash"]);
    // What the task cannot remove any more goes with this test's folder.
    command.arg(folder.path().join("flash")).env("TMPDIR", folder.path()).stdout(Stdio::piped());
    let mut task = command.spawn()?;
    let stdout = BufReader::new(task.stdout.take().context("stdout is piped")?);
    let socket = stdout.lines().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("slcan:unix:")?;
        Some(rest.split(' ').next()?.to_owned())
    });
    let socket = socket.context("the task named no bus")?;
    UnixStream::connect(Path::new(&socket)).context("the board is not on")?;

    // SIGTERM: nothing of the task runs any more, no clean-up either.
    let sent = Command::new("kill").args(["-TERM", &task.id().to_string()]).status()?;
    ensure!(sent.success() && !task.wait()?.success(), "the task did not end by the signal");
    let deadline = Instant::now() + PATIENCE;
    while UnixStream::connect(Path::new(&socket)).is_ok() {
        ensure!(Instant::now() < deadline, "QEMU is still there, on {socket}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
