//! docs/keys.md, docs/ceremony.md and docs/encrypted-releases.md say only what works: its commands are run as they stand, from the first to the last.

use std::process::{Command, Stdio};

use super::agent::Agent;
use super::token::Token;
use super::workshop::{Workshop, finish, split};

const PAGE: &str = include_str!("../../../docs/keys.md");

#[test]
fn every_command_of_the_page_about_keys_works() {
    let blocks: Vec<&str> =
        PAGE.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(blocks.len() >= 5, "{blocks:?}");
    let (token, agent) = (Token::empty(), Agent::start());
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_manifest-tool"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-x", "-c", &blocks.concat()]).current_dir(token.workshop.path(""));
    shell.env("PATH", path).env("SSH_AUTH_SOCK", &agent.socket).env("SOFTHSM2_CONF", token.configuration());
    shell.env_remove("ANCHORAGE_PASSPHRASE_FILE").stdin(Stdio::null());
    let run = finish(shell);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    for made in
        ["root.cose", "release.cwt", "token.cwt", "agent.cwt", "list.cwt", "attached.cwt", "second.cwt"]
    {
        assert!(token.workshop.path(made).exists(), "{made}");
    }
}

#[test]
fn every_command_of_the_page_about_ceremonies_works() {
    const PAGE: &str = include_str!("../../../docs/ceremony.md");
    let workshop = Workshop::in_memory();
    workshop.write("passphrase", b"reading glasses under a quiet bridge\n");
    let blocks: Vec<&str> =
        PAGE.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_manifest-tool"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-x", "-c", &blocks.concat()]).current_dir(workshop.path("")).env("PATH", path);
    shell.env_remove("ANCHORAGE_PASSPHRASE_FILE").stdin(Stdio::null());
    let run = finish(shell);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert!(
        workshop.path("ceremony/ceremony.tar").exists() && !workshop.path("rehearsal/rehearsal").exists()
    );
}

#[test]
fn every_command_of_the_page_about_encrypted_releases_works() {
    const PAGE: &str = include_str!("../../../docs/encrypted-releases.md");
    let workshop = Workshop::with_release();
    // The page goes on where docs/manifest-tool.md has made root and release key.
    for made in ["unsigned.suit", "signed.suit", "image.bin"] {
        std::fs::remove_file(workshop.path(made)).unwrap();
    }
    workshop.ok(&split(
        "credential issue --key root.pem --for release.cose --role release --vendor example.com --issuer root --subject ci \
         --no-ledger --out release.cwt --force",
    ));
    let blocks: Vec<&str> =
        PAGE.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(blocks.len() >= 2, "{blocks:?}");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_manifest-tool"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-x", "-c", &blocks.concat()]).current_dir(workshop.path("")).env("PATH", path);
    let run = finish(shell);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert!(workshop.path("app.enc").exists() && workshop.path("app.suit").exists());
}
