//! Adapters that cannot be used, as the real program meets them: each gets its own advice.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tokio_serial::{SerialPort as _, SerialStream};

use super::Ended;

/// A user without rights on any machine.
const NOBODY: u32 = 65_534;

/// `scan` on a bus that does not open.
fn refused(command: &mut Command, bus: &str, message: &str, hint: &str) {
    command.args(["--json", "--bus", bus, "scan"]).stdin(Stdio::null());
    let ended = Ended::of(&command.output().unwrap());
    ended.is_error("bus-failed", 3);
    let told = ended.last["error"]["message"].as_str().unwrap();
    assert!(told.contains(bus.split('?').next().unwrap()) && told.contains(message), "{told}");
    let told = ended.last["error"]["hint"].as_str().unwrap();
    assert!(told.contains(hint), "{bus}: {told}");
}

fn host() -> Command {
    Command::new(env!("CARGO_BIN_EXE_updater-host"))
}

#[test]
fn an_adapter_that_is_absent_is_told_with_where_to_look() {
    let lists_serial = "Plug the adapter in. Run ls /dev/ttyACM* /dev/ttyUSB*";
    refused(&mut host(), "slcan:/dev/ttyACM-none", "No such file", lists_serial);
    refused(&mut host(), "slcan:/dev/ttyACM-none?speed=500k", "No such file", lists_serial);
    #[cfg(target_os = "linux")]
    refused(&mut host(), "socketcan:none0", "", "ip link show type can");
    refused(&mut host(), "slcan:unix:/nowhere/adapter", "No such file", "--bus");
    refused(&mut host(), "slcan:tcp:127.0.0.1:1", "refused", "--bus");
}

#[tokio::test]
async fn an_adapter_that_another_program_uses_is_told() {
    let (_line, adapter) = SerialStream::pair().unwrap();
    let path = adapter.name().unwrap();
    let other_program = File::open(&path).unwrap();
    other_program.lock().unwrap();
    refused(&mut host(), &format!("slcan:{path}"), "another program uses this port", "End the other program");
}

#[tokio::test]
async fn a_bit_rate_that_nothing_tells_is_asked_for() {
    let (_line, adapter) = SerialStream::pair().unwrap();
    let path = adapter.name().unwrap();
    refused(&mut host(), &format!("slcan:{path}"), "no traffic tells the bit rate", "?speed=500k");
}

#[tokio::test]
async fn an_adapter_without_permission_is_told_with_the_group() {
    let (_line, adapter) = SerialStream::pair().unwrap();
    let path = adapter.name().unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let hint = "usermod -aG dialout";
    refused(&mut unprivileged(folder.path()), &format!("slcan:{path}"), "Permission denied", hint);
    let socket = folder.path().join("adapter");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o000)).unwrap();
    let bus = format!("slcan:unix:{}", socket.display());
    refused(&mut unprivileged(folder.path()), &bus, "Permission denied", "may not use this bus");
}

/// The program without the rights of root, to whom nothing is forbidden. Nobody may read the folders of root either, so
/// it gets a copy.
fn unprivileged(folder: &Path) -> Command {
    if fs::metadata(folder).unwrap().uid() != 0 {
        return host();
    }
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let program = folder.join("updater-host");
    fs::copy(env!("CARGO_BIN_EXE_updater-host"), &program).unwrap();
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    command
}
