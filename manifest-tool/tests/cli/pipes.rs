//! Every input may be a pipe: it is read once.

use std::process::{Command, Stdio};

use super::fake_server::FakeServer;
use super::workshop::{Workshop, finish};

/// In `[NAME]` the shell puts the path of a pipe with the content of the file; a second read of it finds nothing.
fn over_pipes(workshop: &Workshop, line: &str) {
    let line = line.replace('[', "<(cat ").replace(']', ")");
    let mut command = Command::new("bash");
    let tool = workshop.command(&[]).get_program().to_owned();
    command.args(["-c", &format!("\"$0\" --json {line}")]).arg(tool).current_dir(workshop.path("."));
    command.env_remove("ANCHORAGE_PASSPHRASE_FILE").env("NO_PROXY", "*").stdin(Stdio::null());
    let run = finish(command);
    assert_eq!(run.exit, 0, "{line}: {run:?}");
}

#[test]
fn each_input_may_be_a_pipe() {
    let (workshop, server) = (Workshop::with_release(), FakeServer::start());
    workshop.write("token", b"a-token-for-tests\n");
    workshop.write("new", b"another passphrase, longer than the first one\n");
    workshop.write("strong", b"a passphrase that nobody guesses so soon\n");
    let url = &server.url;
    let rooted = "--key [root.pem] --issuer r";
    let issued = "--for [release.cose] --role release --vendor anchorage.example --subject s";
    let made = "--vendor anchorage.example --class demo-node --sequence 3 --version 3";
    let sent = format!("--server {url} --token-file [token]");
    for line in [
        "key generate --out key.pem --derivation pbkdf2 --passphrase-file [strong]".to_owned(),
        "key public [key.pem] --passphrase-file [strong] --out key.cose".to_owned(),
        "key public [key.cose]".to_owned(),
        "key passphrase [key.pem] --passphrase-file [strong] --new-passphrase-file [new] --derivation pbkdf2 --out new.pem"
            .to_owned(),
        format!("revoke {rooted} --first --kid 0102030405060708 --role release --generation 0 --out one.cwt"),
        format!(
            "revoke {rooted} --previous [one.cwt] --minimum demo-node=1 --vendor anchorage.example --known [release.cwt] \
             --out two.cwt"
        ),
        format!("credential issue {rooted} {issued} --known [release.cwt] --previous [two.cwt] --out new.cwt"),
        format!(
            "credential issue {rooted} {issued} --replaces [release.cwt] --list-out three.cwt --previous [two.cwt] \
             --out newer.cwt"
        ),
        format!("revoke {rooted} --previous [three.cwt] --credential [release.cwt] --out four.cwt"),
        format!("revoke {rooted} --previous [four.cwt] --key-of [new.cwt] --out five.cwt"),
        "credential inspect [release.cwt] --anchor [root.cose]".to_owned(),
        format!(
            "create --image [firmware.bin] {made} --previous-release [signed.suit] --out three.suit --image-out three.bin"
        ),
        "sign [three.suit] --key [release.pem] --credential [release.cwt] --out four.suit".to_owned(),
        "recertify [four.suit] --credential [new.cwt] --out five.suit".to_owned(),
        "verify [five.suit] --anchor [root.cose] --revocations [two.cwt] --image [three.bin]".to_owned(),
        "inspect [five.suit]".to_owned(),
        "inspect [five.cwt]".to_owned(),
        "provision --serial S --vendor anchorage.example --class demo-node --anchor [root.cose] --out block".to_owned(),
        "inspect [block]".to_owned(),
        format!("publish [five.suit] --image [three.bin] --revocations [two.cwt] {sent}"),
        format!("withdraw [five.suit] --reason r {sent}"),
    ] {
        over_pipes(&workshop, &line);
    }
}
