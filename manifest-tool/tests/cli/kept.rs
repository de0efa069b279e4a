//! What no output replaces, with `--force` or without: what a batch of devices has, secrets, and records of another kind.

use super::identity::{BATCH, factory};
use super::workshop::{Workshop, finish, split};

/// The log of a line that works through the list of `batch`.
fn begin_line(workshop: &Workshop) {
    let list = workshop.read("batch/devices.csv");
    let head = device_lists::Head::new("2026-11-27T10:00:00Z".to_owned(), trust::sha256(&list));
    workshop.write("batch/line.jsonl", &device_lists::line_of(&head).unwrap());
}

/// The code is `file-exists`, and message and hint contain these words; nothing was changed.
fn kept(workshop: &Workshop, line: &str, [message, hint]: [&str; 2]) {
    let before = workshop.snapshot();
    let run = workshop.run(&[&["--json"], &split(line)[..]].concat());
    assert_eq!(run.refusal(), ("file-exists".into(), 2), "{line}");
    let error = run.object()["error"].clone();
    assert!(error["message"].as_str().unwrap().contains(message), "{line}: {error}");
    assert!(error["hint"].as_str().unwrap().contains(hint), "{line}: {error}");
    assert!(!error["hint"].as_str().unwrap().contains("--force replaces the file"), "{line}: {error}");
    assert_eq!(workshop.snapshot(), before, "{line}");
}

#[test]
fn tool83_a_batch_goes_into_no_folder_of_another_one() {
    let workshop = factory();
    workshop.ok(&split(BATCH));
    workshop.write("devices.csv", b"serial,public_key\nC-1,thief.cose\n");
    let list = ["the list of a batch of devices", "new folder"];
    let log = ["the log of a production line", "new folder"];
    for line in [BATCH.to_owned(), format!("{BATCH} --force")] {
        kept(&workshop, &line, list);
        begin_line(&workshop);
        kept(&workshop, &line, list);
        // The log says of which devices, whether their list is there or not.
        std::fs::rename(workshop.path("batch/devices.csv"), workshop.path("list")).unwrap();
        kept(&workshop, &line, log);
        std::fs::rename(workshop.path("list"), workshop.path("batch/devices.csv")).unwrap();
        std::fs::remove_file(workshop.path("batch/line.jsonl")).unwrap();
    }
    workshop.ok(&split(&BATCH.replace("--out-dir batch", "--out-dir another")));
}

/// A spreadsheet saves a list otherwise than we write it, and a cell may be damaged: its batch stays all the same.
#[test]
fn tool83_a_list_that_was_saved_anew_or_damaged_protects_its_batch() {
    let workshop = factory();
    workshop.ok(&split(BATCH));
    let list = String::from_utf8(workshop.read("batch/devices.csv")).unwrap();
    let quoted: String = list.lines().map(|line| format!("\"{}\"\r\n", line.replace(',', "\",\""))).collect();
    let one =
        "provision --serial A-0001 --vendor anchorage.example --class demo-node --anchor root.cose --force";
    for saved in [format!("\u{feff}{list}"), quoted, list.replace(',', ";"), format!("{list}x\n")] {
        workshop.write("batch/devices.csv", saved.as_bytes());
        kept(&workshop, &format!("{BATCH} --again --force"), ["batch", "new folder"]);
        kept(&workshop, &format!("{one} --out batch/A-0001.block"), ["a file of a batch", "new folder"]);
        kept(
            &workshop,
            "key public one.cose --force --out batch/devices.csv",
            ["the list of a batch", "new folder"],
        );
    }
}

/// Devices may have the blocks and credentials that a list names.
#[test]
fn tool83_what_a_list_names_is_not_made_anew_beside_it() {
    let workshop = factory();
    workshop.ok(&split(BATCH));
    let list = ["a file of a batch", "new folder"];
    kept(&workshop, &format!("{BATCH} --again --force"), list);
    let one =
        "provision --serial A-0001 --vendor anchorage.example --class demo-node --anchor root.cose --force";
    kept(&workshop, &format!("{one} --out batch/A-0001.block"), list);
    let issue = "credential issue --key root.pem --for one.cose --role service --vendor anchorage.example --issuer root \
                 --subject s --no-ledger --force";
    kept(&workshop, &format!("{issue} --out batch/A-0002.cwt"), list);
    // A device that the list does not name, and the same batch once more, lose nothing.
    workshop.ok(&split(&format!("{one} --out batch/A-0009.block")));
    begin_line(&workshop);
    // The head of the ledger is signed once more, at its time.
    let batch =
        || workshop.snapshot().into_iter().filter(|(path, _)| !path.ends_with("line-ledger/head.json"));
    let before: Vec<_> = batch().collect();
    workshop.ok(&split(BATCH));
    assert_eq!(batch().collect::<Vec<_>>(), before);
}

#[test]
fn tool84_no_output_replaces_a_secret_or_the_log_of_a_line() {
    let workshop = factory();
    workshop.ok(&split(BATCH));
    begin_line(&workshop);
    std::fs::create_dir(workshop.path("pages")).unwrap();
    workshop.ok(&split("key backup root.pem --shares 3 --threshold 2 --out-dir pages"));
    let page = String::from_utf8(workshop.read("pages/share-1-of-3.txt")).unwrap();
    let code = page.lines().find(|line| line.starts_with("ANCHORAGE-SHARE:")).unwrap();
    workshop.write("code", code.as_bytes());
    let words = page.split_once("Words:\n").unwrap().1.split_once("\n\n").unwrap().0;
    workshop.write("words", words.as_bytes());
    workshop.write("damaged", page.replace("ANCHORAGE-SHARE:", "ANCHORAGE-SHARE:00").as_bytes());
    let key = String::from_utf8(workshop.read("root.pem")).unwrap();
    workshop.write("far", format!("{}{key}", "# a note\n".repeat(100_000)).as_bytes());
    let public = |out: &str| format!("key public one.cose --force --out {out}");
    let share = ["a share of a private key", "another name"];
    for (out, words) in [
        ("pages/share-1-of-3.txt", share),
        ("pages/share-2-of-3.html", share),
        ("code", share),
        ("words", share),
        ("damaged", share),
        ("root.pem", ["a private key", "another name"]),
        ("far", ["a private key", "another name"]),
        ("batch/line.jsonl", ["the log of a production line", "new folder"]),
        ("batch/devices.csv", ["the list of a batch", "new folder"]),
    ] {
        kept(&workshop, &public(out), words);
        kept(&workshop, &public(out).replace("--force ", ""), words);
    }
    workshop.write("batch/line.jsonl", b"{damaged");
    kept(&workshop, &public("batch/line.jsonl"), ["the log of a production line", "new folder"]);
    // What is nobody's secret may go.
    workshop.write("note", "# a note\n".repeat(100_000).as_bytes());
    workshop.ok(&split(&public("note")));
}

/// Neither PIN nor passphrase is used by these commands; the environment names their files all the same.
#[test]
fn tool84_no_output_replaces_a_file_that_the_environment_names() {
    let workshop = Workshop::new();
    workshop.write("pin", b"1234\n");
    for (variable, named, out) in
        [("ANCHORAGE_PIN_FILE", "./pin", "pin"), ("ANCHORAGE_PASSPHRASE_FILE", "passphrase", "./passphrase")]
    {
        let line = format!("--json provision --serial s --vendor v.example --class c --force --out {out}");
        let before = workshop.snapshot();
        let mut command = workshop.command(&split(&line));
        command.env(variable, named);
        let run = finish(command);
        assert_eq!(run.refusal(), ("file-exists".into(), 2), "{run:?}");
        assert!(run.stdout.contains(&format!("the file that {variable} names")), "{run:?}");
        assert_eq!(workshop.snapshot(), before);
    }
}

#[test]
fn tool84_a_record_is_replaced_by_one_of_its_kind_alone() {
    let workshop = Workshop::with_release();
    let provision =
        "provision --serial s --vendor anchorage.example --class demo-node --anchor root.cose --force --out";
    workshop.ok(&split(&format!("{provision} s.block")));
    let revoke = "revoke --first --no-ledger --key root.pem --issuer root --nothing-new --force --out";
    workshop.ok(&split(&format!("{revoke} s.list")));
    let issue = "credential issue --key root.pem --for release.cose --role release --issuer root --subject r \
                 --vendor anchorage.example --no-ledger --force --out";
    for (line, own, others) in [
        (provision, "s.block", ["signed.suit", "release.cwt", "s.list"]),
        (revoke, "s.list", ["signed.suit", "release.cwt", "s.block"]),
        (issue, "release.cwt", ["signed.suit", "s.list", "s.block"]),
        ("key public root.pem --force --out", "root.cose", ["signed.suit", "release.cwt", "s.list"]),
    ] {
        for other in others {
            let what = match other {
                "signed.suit" => "an envelope",
                "release.cwt" => "a credential",
                "s.list" => "a revocation list",
                _ => "a provisioning block",
            };
            kept(&workshop, &format!("{line} {other}"), [what, "records of another kind"]);
        }
        workshop.ok(&split(&format!("{line} {own}")));
    }
}
