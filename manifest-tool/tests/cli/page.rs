//! docs/keys.md, docs/ceremony.md, docs/encrypted-releases.md, docs/tables.md and docs/compose.md say only what works: their
//! commands are run as they stand, from the first to the last.

use std::process::{Command, Stdio};

use super::agent::Agent;
use super::token::Token;
use super::workshop::{Workshop, finish, firmware, split};

/// The commands of a page, one shell.
fn shell(page: &str, workshop: &Workshop) -> Command {
    let blocks: Vec<&str> =
        page.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(blocks.len() >= 2, "{blocks:?}");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_manifest-tool"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-x", "-c", &blocks.concat()]).current_dir(workshop.path("")).env("PATH", path);
    shell.stdin(Stdio::null());
    shell
}

fn must_work(shell: Command) {
    let run = finish(shell);
    assert_eq!(run.exit, 0, "{}", run.stderr);
}

#[test]
fn every_command_of_the_page_about_keys_works() {
    let (token, agent) = (Token::empty(), Agent::start());
    let mut shell = shell(include_str!("../../../docs/keys.md"), &token.workshop);
    shell.env("SSH_AUTH_SOCK", &agent.socket).env("SOFTHSM2_CONF", token.configuration());
    shell.env_remove("ANCHORAGE_PASSPHRASE_FILE");
    must_work(shell);
    for made in
        ["root.cose", "release.cwt", "token.cwt", "agent.cwt", "list.cwt", "attached.cwt", "second.cwt"]
    {
        assert!(token.workshop.path(made).exists(), "{made}");
    }
}

#[test]
fn every_command_of_the_page_about_ceremonies_works() {
    let workshop = Workshop::in_memory();
    workshop.write("passphrase", b"reading glasses under a quiet bridge\n");
    let mut shell = shell(include_str!("../../../docs/ceremony.md"), &workshop);
    shell.env_remove("ANCHORAGE_PASSPHRASE_FILE");
    must_work(shell);
    assert!(
        workshop.path("ceremony/ceremony.tar").exists() && !workshop.path("rehearsal/rehearsal").exists()
    );
}

/// The pages about releases go on where docs/manifest-tool.md has made root and release key.
fn desk() -> Workshop {
    let workshop = Workshop::with_release();
    for made in ["unsigned.suit", "signed.suit", "image.bin"] {
        std::fs::remove_file(workshop.path(made)).unwrap();
    }
    workshop.ok(&split(
        "credential issue --key root.pem --for release.cose --role release --vendor example.com --issuer root --subject ci \
         --no-ledger --out release.cwt --force",
    ));
    workshop
}

#[test]
fn every_command_of_the_page_about_encrypted_releases_works() {
    let workshop = desk();
    must_work(shell(include_str!("../../../docs/encrypted-releases.md"), &workshop));
    assert!(workshop.path("app.enc").exists() && workshop.path("app.suit").exists());
}

#[test]
fn every_command_of_the_page_about_tables_works() {
    let workshop = desk();
    workshop.write("limits.bin", b"0..80 bar, 5 s");
    must_work(shell(include_str!("../../../docs/tables.md"), &workshop));
    for made in ["limits.suit", "next.unsigned.suit", "both.suit"] {
        assert!(workshop.path(made).exists(), "{made}");
    }
}

/// With every template that there is.
#[test]
fn every_command_of_the_page_about_descriptions_works() {
    const PAGE: &str = include_str!("../../../docs/compose.md");
    let workshop = desk();
    for template in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/templates")).unwrap() {
        let template = template.unwrap();
        let name = template.file_name().into_string().unwrap();
        assert!(PAGE.contains(&format!("(templates/{name})")), "{name}");
        workshop.write(&name, &std::fs::read(template.path()).unwrap());
    }
    workshop.write("config.bin", b"0..80 bar, 5 s");
    workshop.write("limits.bin", b"0..90 bar, 4 s");
    for name in ["app.bin", "slot-a.bin", "radio.bin"] {
        workshop.write(name, &firmware());
    }
    let mut second = firmware();
    second[4000] ^= 1;
    workshop.write("slot-b.bin", &second);
    must_work(shell(PAGE, &workshop));
    // `create` makes the same, to the byte, and it is encrypted like its own.
    let create = "create --vendor example.com --class node --sequence 4 --version 4.0.0 --image-format bin --out u.suit \
                  --image-out i.bin --force";
    let description = ["--description", "Measures the pump twice as often", "--image", "app.bin"];
    workshop.ok(&[&split(create)[..], &description].concat());
    assert_eq!(workshop.read("u.suit"), workshop.read("unsigned.suit"));
    workshop.ok(&split("compose table.toml --out table.suit"));
    let create_table = "create --vendor example.com --class node --sequence 4 --version 4.0.0 --out t.suit";
    let description = ["--description", "Limits of the new pump", "--table", "limits.bin"];
    workshop.ok(&[&split(create_table)[..], &description].concat());
    assert_eq!(workshop.read("t.suit"), workshop.read("table.suit"));
    workshop.ok(&split("compose two-slots.toml --out slots.suit"));
    workshop.ok(&split(&format!(
        "{create} --image slot-a.bin --second-image slot-b.bin --second-image-out j.bin --allow-non-firmware"
    )));
    assert_eq!(workshop.read("u.suit"), workshop.read("slots.suit"));
    // What our devices do not run is not signed.
    let sign = "sign gateway.suit --key release.pem --credential release.cwt --out g.suit";
    assert_eq!(workshop.refused(&split(sign)).1, 5);
}
