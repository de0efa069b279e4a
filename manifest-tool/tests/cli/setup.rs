//! From nothing to keys: `setup`, and the page that says what to do when one of them is lost.

use std::process::{Command, Stdio};

use serde_json::json;

use super::terminal::Terminal;
use super::workshop::{Workshop, finish, split};

const SETUP: &str =
    "setup desk --domain anchorage.example --product demo-node --first-medium one --second-medium two";

/// Two media, and a passphrase for everything.
fn table() -> Workshop {
    let workshop = Workshop::in_memory();
    workshop.write("passphrase", b"reading glasses under a quiet bridge\n");
    for medium in ["one", "two"] {
        std::fs::create_dir(workshop.path(medium)).unwrap();
    }
    workshop
}

fn anchor(workshop: &Workshop) -> String {
    let root = workshop
        .path("desk/out")
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap());
    let root = root.into_iter().find(|name| name.starts_with("root-")).unwrap();
    format!("desk/out/{root}")
}

#[test]
fn five_answers_make_everything_that_a_maker_needs() {
    let workshop = table();
    workshop.key("ci");
    let line = format!(
        "{SETUP} --ci-public ci.cose --yes --passphrase-file passphrase --who Ada --who Bob --who Cleo"
    );
    let made = workshop.ok(&split(&line));
    assert_eq!((&made["rehearsal"], &made["bundle_copies"].as_array().unwrap().len()), (&json!(false), &1));
    let root = anchor(&workshop);
    let verified = workshop.ok(&split(&format!("ceremony verify two/ceremony.tar --anchor {root}")));
    assert_eq!(verified["people"], json!(["Ada", "Bob", "Cleo"]));
    for (key, kept) in [("one/root.pem", "root"), ("two/recovery.pem", "recovery-root")] {
        assert!(
            workshop.path(key).exists()
                && workshop.path("desk/print").join(kept).join("share-3-of-3.html").exists()
        );
    }
    let ledger = workshop.ok(&split("ledger show one/ledger"));
    assert_eq!((&ledger["keys"][0]["status"], &ledger["uncovered"]), (&json!("good"), &json!(0)));
    // With what was made, a release is signed.
    let credential = root.replace("root-", "ci-").replace(".cose", ".cwt");
    let inspected = workshop.ok(&split(&format!("credential inspect {credential} --anchor {root}")));
    assert_eq!(inspected["role"], "release");
    // Nobody sets up twice, and going on changes nothing.
    assert_eq!(workshop.refused(&split(&line)), ("usage".into(), 2));
    let before = workshop.read("desk/transcript.jsonl");
    workshop.ok(&split("setup desk --passphrase-file passphrase"));
    assert_eq!(workshop.read("desk/transcript.jsonl"), before);
}

#[test]
fn a_setup_without_an_answer_makes_nothing() {
    let workshop = table();
    let all = format!("{SETUP} --ci-make --who Ada --yes");
    for (from, to, code) in [
        (" --domain anchorage.example", "", "usage"),
        (" --product demo-node", "", "usage"),
        (" --ci-make", "", "usage"),
        (" --who Ada", "", "usage"),
        (" --yes", "", "confirmation-needed"),
        ("--second-medium two", "--second-medium one", "usage"),
        ("--second-medium two", "--second-medium three", "usage"),
        ("anchorage.example", "Anchorage", "plan-invalid"),
    ] {
        let refused = workshop.refused(&split(&all.replace(from, to)));
        assert_eq!(refused.0, code, "{from} -> {to}");
    }
    assert!(!workshop.path("desk").exists());
}

/// A person at a terminal answers five questions and types passphrases.
#[test]
fn a_person_answers_the_questions() {
    let workshop = table();
    let mut terminal = Terminal::run(&workshop, "", &split("setup desk --passphrase-file passphrase"));
    for (question, answer) in [
        ("Domain of the company", "anchorage.example"),
        ("Name of the product", "demo-node"),
        ("Who is present", "Ada Example, Bob Example"),
        ("Folder of the first medium", "one"),
        ("Folder of the second medium", "two"),
        ("Public key of the CI", "-"),
        ("Make these keys?", "y"),
    ] {
        terminal.wait_for(question);
        terminal.enter(answer);
    }
    let (exit, shown) = terminal.end();
    assert_eq!(exit, Some(0), "{shown}");
    assert!(shown.contains("what-to-do-when.html") && shown.contains("Bob Example (witness)"), "{shown}");
    assert!(workshop.path("desk/ci.pem").exists());
}

/// Each command of the page works, for the keys that were made.
#[test]
fn the_page_says_what_to_do() {
    let workshop = table();
    let line = format!("{SETUP} --ci-make --yes --passphrase-file passphrase --who Ada --who Bob");
    workshop.ok(&split(&line));
    let page = String::from_utf8(workshop.read("desk/what-to-do-when.html")).unwrap();
    let plain = |text: &str| {
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let sections: Vec<String> =
        page.split("<code>").skip(1).map(|rest| plain(rest.split_once("</code>").unwrap().0)).collect();
    assert_eq!(sections.len(), 8, "{page}");
    // Whatever goes on from a copy of the ledger holds it against the newest list.
    let held = |number: usize, option: &str| {
        let is_held = |line: &&str| line.contains(option) && line.contains("newest/list.cwt");
        sections[number].lines().filter(is_held).count()
    };
    let published = [1, 4, 5].map(|number| held(number, " --published "));
    assert_eq!((published, held(6, " --list ")), ([1, 1, 1], 2), "{page}");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_manifest-tool"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let passphrase = workshop.path("passphrase");
    for (number, section) in sections.iter().enumerate() {
        let folder = workshop.path(&format!("section-{number}"));
        std::fs::create_dir(&folder).unwrap();
        // What a person does at the prompts.
        let lines: Vec<String> = section
            .lines()
            .map(|line| {
                let kind = if line.contains("recovery-again") { "recovery-root" } else { "root" };
                let share = |number| {
                    workshop.path(&format!("desk/print/{kind}/share-{number}-of-3.txt")).display().to_string()
                };
                let typed = format!(
                    "--share {} --share {} --new-passphrase-file {}",
                    share(1),
                    share(3),
                    passphrase.display()
                );
                let line = line.replace("--type", &typed);
                if line.contains(" rotate ") || line.contains(" grant ") {
                    format!("{line} --yes")
                } else {
                    line
                }
            })
            .collect();
        let mut shell = Command::new("sh");
        shell.args(["-e", "-x", "-c", &lines.join("\n")]).current_dir(&folder).env("PATH", &path);
        shell.env("ANCHORAGE_PASSPHRASE_FILE", &passphrase).stdin(Stdio::null());
        let run = finish(shell);
        // The first section reports what is due, with an exit code of its own.
        assert!(run.exit == 0 || number == 0 && run.stderr.contains("doctor"), "{section}: {run:?}");
    }
    let original = workshop.ok(&["key", "public", &anchor(&workshop)])["kid"].clone();
    let recovered = workshop.ok(&split("key public section-5/again/root.pem --passphrase-file passphrase"));
    assert_eq!(recovered["kid"], original);
    assert!(
        workshop.path("section-4/stolen.list").exists()
            && workshop.path("section-6/successor.chain").exists()
    );
    // The stolen key stays out under the next root: it goes on from the newest copy of the ledger, not from that of the setup.
    let first = |folder: &str, start: &str, end: &str| {
        let files = workshop
            .path(folder)
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        files.into_iter().find(|name| name.starts_with(start) && name.ends_with(end)).unwrap()
    };
    let credential = format!("desk/out/{}", first("desk/out", "ci-", ".cwt"));
    let stolen = workshop.ok(&["credential", "inspect", &credential])["kid"].clone();
    let again = format!(
        "credential renew {} --key section-6/successor/root.pem --out-dir again --yes --passphrase-file passphrase",
        stolen.as_str().unwrap()
    );
    assert_eq!(workshop.refused(&split(&again)), ("key-revoked".into(), 6));
    let old = &format!("desk/ledgers/{}", first("desk/ledgers", "root-", ""));
    let list = ["--list", "desk/newest/list.cwt"];
    let request = split(
        "succession request --key two/recovery.pem --name other --by-recovery --out x --history two/ledger",
    );
    let request = [&request[..], &["--history", old], &list].concat();
    let run = workshop.run(&[&["--json"], &request[..]].concat());
    assert_eq!(run.refusal(), ("ledger-stale".into(), 5));
    assert!(
        run.object()["error"]["message"].as_str().unwrap().starts_with("desk/newest/list.cwt: "),
        "{run:?}"
    );
    let grant = split(
        "succession grant section-6/request --key two/recovery.pem --ledger two/ledger --reason x --yes --out y",
    );
    let grant = [&grant[..], &["--retires", old], &list].concat();
    // The file of a lock appears beside the ledgers.
    let run = workshop.run(&[&["--json"], &grant[..]].concat());
    assert_eq!(run.refusal(), ("ledger-stale".into(), 5));
    assert!(!workshop.path("y").exists());
}
