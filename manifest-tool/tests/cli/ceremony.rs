//! Key ceremonies from the plan to the proof, as people and files answer.

use std::process::Command;

use serde_json::{Value, json};

use super::terminal::Terminal;
use super::workshop::{Workshop, split};

pub(super) const RUN: &str =
    "ceremony run plan.toml --dir room --in in.tar --answers answers --no-passphrase";
pub(super) const SEAL: &str = "ceremony seal room --answers answers";
pub(super) const VERIFY: &str = "ceremony verify room --anchor room/out/root-2026.cose";

/// A plan with everything that a plan can have; `ci.cose` is in the bundle that comes in.
pub(super) const PLAN: &str = r#"
format = 1
purpose = "The first root of Example"
vendor = "anchorage.example"
classes = ["demo-node"]
first-list = true
bundle-copies = ["office"]

[[person]]
name = "Ada Example"
roles = ["operator", "custodian"]
[[person]]
name = "Bob Example"
roles = ["witness"]
[[person]]
name = "Cleo Example"
roles = ["custodian"]

[root]
name = "root 2026"
holder = "Ada Example"
kept = "stick 1, in the safe"
make = "stick-1/root.pem"
copies = ["stick-2/root.pem"]
[root.shares]
threshold = 2
holders = ["Ada Example", "Bob Example", "Cleo Example"]
kept = "at home"
folder = "print"

[recovery-root]
name = "recovery 2026"
holder = "Cleo Example"
kept = "bank"
make = "stick-3/recovery.pem"

[[key]]
name = "ci 2026"
role = "release"
public = "ci.cose"
fingerprint = "FINGERPRINT"
holder = "Bob Example"
kept = "CI secret"

[[key]]
name = "line 1"
role = "identity"
make = "line/issuing.pem"
holder = "Bob Example"
kept = "production"
"#;

/// The thumbprint of a key (RFC 9679).
pub(super) fn fingerprint(workshop: &Workshop, key: &str) -> String {
    hex::encode(trust::sha256(&workshop.read(key)))
}

/// A desk on which everything for a ceremony lies.
pub(super) fn desk() -> Workshop {
    let workshop = Workshop::in_memory();
    workshop.key("ci");
    workshop.ok(&split("ceremony pack ci.cose --out in.tar"));
    let plan = PLAN.replace("FINGERPRINT", &fingerprint(&workshop, "ci.cose"));
    workshop.write("plan.toml", plan.as_bytes());
    workshop.write("answers", b"*: *\n");
    workshop
}

pub(super) fn text(workshop: &Workshop, name: &str) -> String {
    String::from_utf8(workshop.read(name)).unwrap()
}

/// Code and exit code; other than [`Workshop::refused`], what the transcript has to tell may have been written.
pub(super) fn fails(workshop: &Workshop, line: &str) -> (String, i32) {
    workshop.run(&[&["--json"], &split(line)[..]].concat()).refusal()
}

/// The twelve words of a fingerprint as the page has them: six on each of two lines.
fn halves(words: &str) -> (String, String) {
    let words: Vec<&str> = words.split(' ').collect();
    assert_eq!(words.len(), 12, "{words:?}");
    (words[..6].join(" "), words[6..].join(" "))
}

#[test]
fn a_ceremony_from_the_plan_to_the_proof() {
    let workshop = desk();
    let planned = workshop.ok(&split("ceremony plan plan.toml"));
    let steps = planned["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[0]), (12, &json!("present")));
    let page = workshop.run(&split("ceremony plan plan.toml")).stdout;
    let (first, second) = halves(planned["words"].as_str().unwrap());
    for words in [
        "Ada Example (operator, custodian)",
        "made here, in stick-1/root.pem",
        "2 of 3",
        &format!("\nin words       {first}\n               {second}\n"),
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(page.lines().count() <= 66, "{page}");

    workshop.ok(&split(RUN));
    assert_eq!(workshop.refused(&split(VERIFY)), ("ceremony-not-sealed".into(), 2));
    let sealed = workshop.ok(&split(SEAL));
    let verified = workshop.ok(&split(VERIFY));
    assert_eq!(verified["transcript"], sealed["transcript"]);
    assert_eq!((&verified["rehearsal"], &verified["ledgers"]), (&json!(false), &json!(3)));
    assert_eq!(verified["answers"], json!(["NOT ATTENDED: the file answers"]));
    // The bundle proves the same by itself, and other programs read it.
    assert_eq!(workshop.read("room/ceremony.tar"), workshop.read("room/office/ceremony.tar"));
    let bundle =
        workshop.ok(&split("ceremony verify room/office/ceremony.tar --anchor room/out/root-2026.cose"));
    assert_eq!(bundle, verified);
    let list = Command::new("tar")
        .args(["-tf", "room/ceremony.tar"])
        .current_dir(workshop.path(""))
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.starts_with("CONTENTS.json\n") && list.contains("\nout/ci-2026.cwt\n"), "{list}");
    assert!(!list.contains(".pem") && !list.contains("share"), "{list}");

    // What was made is good, and the ledgers know it.
    for (name, role) in [("ci-2026", "release"), ("line-1", "identity")] {
        let credential = format!("credential inspect room/out/{name}.cwt --anchor room/out/root-2026.cose");
        let inspected = workshop.ok(&split(&credential));
        assert_eq!((&inspected["verified"], &inspected["role"]), (&json!(true), &json!(role)));
        assert_eq!(inspected["issuer"], "root 2026");
    }
    let ledger = workshop.ok(&split("ledger verify room/stick-1/ledger --anchor room/out/root-2026.cose"));
    assert_eq!((&ledger["uncovered"], &ledger["begun"]), (&json!(0), &Value::Null));
    let entries =
        workshop.ok(&split("ledger list room/ledgers/root-2026"))["entries"].as_array().unwrap().clone();
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "open",
            "credential",
            "credential",
            "revocation-list",
            "backup",
            "backup-check",
            "backup",
            "backup-check",
            "ceremony"
        ]
    );
    assert!(
        entries.last().unwrap()["subject"].as_str().unwrap().contains(sealed["transcript"].as_str().unwrap())
    );
    let recovery = text(&workshop, "room/stick-3/ledger/000001-open.json");
    let kid = verified["root"].as_str().unwrap();
    assert!(
        recovery.contains(&format!("\"domain\": \"{kid}\"")) && recovery.contains("\"recovery-root\""),
        "{recovery}"
    );

    // It is over, and each command says so.
    assert_eq!(workshop.refused(&split(RUN)), ("ceremony-sealed".into(), 2));
    let again = workshop.ok(&split(SEAL));
    assert_eq!(again["bundle_sha256"], sealed["bundle_sha256"], "the same bundle once more");
    let html = text(&workshop, "room/transcript.html");
    assert!(html.contains("Bob Example (witness) confirmed") && !html.contains("REHEARSAL"));
    assert!(!html.contains("<script") && !html.contains("http"), "self-contained");
}

/// The same steps with throw-away keys: nothing that looks real comes out of it, and nothing real is touched.
#[test]
fn a_rehearsal_leaves_nothing_that_looks_real() {
    let workshop = desk();
    let line = RUN.replace("run", "rehearse");
    let rehearsed = workshop.ok(&split(&line));
    assert_eq!(rehearsed["rehearsal"], true);
    let anchor = "room/out/REHEARSAL-root-2026.cose";
    let verify = format!("ceremony verify room --anchor {anchor}");
    assert_eq!(workshop.refused(&split(&verify)), ("ceremony-rehearsal".into(), 2));
    assert_eq!(workshop.ok(&split(&format!("{verify} --rehearsal")))["rehearsal"], true);
    let credential = format!("credential inspect room/out/REHEARSAL-ci-2026.cwt --anchor {anchor}");
    let inspected = workshop.ok(&split(&credential));
    assert_eq!(inspected["issuer"], "REHEARSAL root 2026");
    assert_eq!(inspected["subject"], "REHEARSAL ci 2026");
    let day = inspected["expires"].as_u64().unwrap() - inspected["issued_at"].as_u64().unwrap();
    assert_eq!(day, 24 * 60 * 60);
    // rehearsal.invalid, so that it is good for no device.
    assert_eq!(inspected["vendor"], "8554abd4-b476-5a7f-b618-463b47b96c13");
    for (path, content) in workshop.snapshot() {
        let name = path.strip_prefix(workshop.path("room")).map(|path| path.display().to_string());
        let Ok(name) = name else { continue };
        assert!(!trust::host::is_private_key(&content), "{name}");
        assert!(!name.contains("share") && !name.contains("stick"), "{name}");
        let is_known = ["plan.toml", "in/", "ledgers/", "transcript.", "seal.cwt", ".lock"];
        assert!(name.contains("REHEARSAL") || is_known.iter().any(|known| name.starts_with(known)), "{name}");
    }
    assert!(text(&workshop, "room/transcript.html").contains("<strong>REHEARSAL"));
    assert_eq!(workshop.refused(&split(&line)), ("ceremony-sealed".into(), 2));
    // Its folder is none for the ceremony.
    assert_eq!(workshop.refused(&split(RUN)), ("ceremony-other-mode".into(), 2));
    workshop.ok(&split(&RUN.replace("--dir room", "--dir real")));
}

/// A later ceremony, with a root that is there: in a rehearsal it is not touched.
#[test]
fn a_root_that_is_kept_certifies_again() {
    let workshop = desk();
    workshop.ok(&split(RUN));
    workshop.ok(&split(SEAL));
    workshop.key("second");
    workshop.ok(&split("ceremony pack second.cose --out in.tar --force"));
    let plan = |root: &str, ledger: &str| {
        let (wanted, second) = (fingerprint(&workshop, root), fingerprint(&workshop, "second.cose"));
        let people = PLAN
            .split("[root]")
            .next()
            .unwrap()
            .replace("first-list = true\n", "")
            .replace("office", "office2");
        let plan = format!(
            "{people}\n[root]\nname = \"root 2026\"\nholder = \"Ada Example\"\nkept = \"stick 1\"\n\
             key = \"../room/stick-1/root.pem\"\nfingerprint = \"{wanted}\"\n{ledger}\n\
             [[key]]\nname = \"ci 2027\"\nrole = \"release\"\npublic = \"second.cose\"\nfingerprint = \"{second}\"\n\
             holder = \"Bob Example\"\nkept = \"CI secret\"\nexpires = \"2031-01-01T00:00:00Z\"\n"
        );
        workshop.write("later.toml", plan.as_bytes());
    };
    std::fs::create_dir(workshop.path("later")).unwrap();
    let line = "ceremony run later.toml --dir later --in in.tar --answers answers";
    // Its ledger lies beside it.
    plan("room/out/root-2026.cose", "");
    let text = text(&workshop, "later.toml");
    workshop.ok(&split(line));
    workshop.ok(&split("ceremony seal later --answers answers"));
    workshop.ok(&split("ceremony verify later --anchor room/out/root-2026.cose"));
    let shown = workshop.ok(&split("ledger show room/stick-1/ledger"));
    assert_eq!(shown["keys"].as_array().unwrap().len(), 3);

    // The key of somebody else lies there.
    let other =
        text.replace(&fingerprint(&workshop, "room/out/root-2026.cose"), &fingerprint(&workshop, "ci.cose"));
    workshop.write("other.toml", other.as_bytes());
    let refused = fails(&workshop, &line.replace("later.toml --dir later", "other.toml --dir other"));
    assert_eq!(refused, ("fingerprint-mismatch".into(), 5));
    assert!(!workshop.path("other/out").exists());

    // A rehearsal opens no real key: there is none.
    let gone = text
        .replace("room/stick-1/root.pem", "nowhere/root.pem")
        .replace("../room/stick-1/ledger", "nowhere/ledger");
    workshop.write("gone.toml", gone.as_bytes());
    let ledger = workshop.read("room/stick-1/ledger/head.json");
    workshop
        .ok(&split("ceremony rehearse gone.toml --dir gone --in in.tar --answers answers --no-passphrase"));
    assert_eq!(workshop.read("room/stick-1/ledger/head.json"), ledger);

    // The ledger is that of another key, or waits for a signature.
    let other = text.replace("[[key]]", "ledger = \"../room/stick-3/ledger\"\n[[key]]");
    workshop.write("other.toml", other.as_bytes());
    let line = "ceremony run other.toml --dir third --in in.tar --answers answers";
    assert_eq!(fails(&workshop, line), ("ceremony-ledger".into(), 5));
    let entries = workshop.path("room/stick-1/ledger").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let last = entries.filter(|path| path.extension().is_some_and(|end| end == "cwt")).max().unwrap();
    std::fs::remove_file(last).unwrap();
    std::fs::remove_file(workshop.path("room/stick-1/ledger/head.json")).unwrap();
    let line = "ceremony run later.toml --dir fourth --in in.tar --answers answers";
    assert_eq!(fails(&workshop, line), ("ceremony-ledger".into(), 5));
    assert!(!workshop.path("third/out").exists() && !workshop.path("fourth/out").exists());
}

/// The ledger of a root that was succeeded lies in that of its successor: it goes out with it.
#[test]
fn the_ledger_of_a_successor_goes_out_whole() {
    let workshop = desk();
    workshop.ok(&split(RUN));
    workshop.ok(&split(SEAL));
    workshop.key("second");
    let ledger = "room/stick-1/ledger";
    for line in [
        format!("succession request --key second.pem --name second --history {ledger} --out request"),
        format!(
            "succession grant request --key room/stick-1/root.pem --ledger {ledger} --reason age --yes --out succession"
        ),
        format!(
            "ledger init second.ledger --key second.pem --name second --continues {ledger} --holder Ada --kept safe"
        ),
    ] {
        workshop.ok(&split(&line));
    }
    let plan = format!(
        "{}\n[root]\nname = \"second\"\nholder = \"Ada Example\"\nkept = \"safe\"\nkey = \"../second.pem\"\n\
         fingerprint = \"{}\"\nledger = \"../second.ledger\"\n",
        PLAN.split("[root]").next().unwrap(),
        fingerprint(&workshop, "second.cose")
    );
    workshop.write("plan2.toml", plan.as_bytes());
    workshop.ok(&split("ceremony run plan2.toml --dir room2 --answers answers"));
    workshop.ok(&split("ceremony seal room2 --answers answers"));
    let verify = "ceremony verify room2/ceremony.tar --anchor second.cose";
    assert_eq!(workshop.ok(&split(verify))["ledgers"], 1);
    assert!(workshop.path("room2/ledgers/second/000001-before/000001-open.json").exists());
    // A second first list is none.
    workshop.write("plan3.toml", plan.replace("office", "office3").as_bytes());
    let again = "ceremony run plan3.toml --dir room3 --answers answers";
    assert_eq!(fails(&workshop, again), ("ceremony-ledger".into(), 5));
    // The root that has retired signs nothing more.
    let retired = plan
        .replace("../second.pem", "../room/stick-1/root.pem")
        .replace("../second.ledger", "../room/stick-1/ledger")
        .replace(&fingerprint(&workshop, "second.cose"), &fingerprint(&workshop, "room/out/root-2026.cose"));
    workshop.write("plan4.toml", retired.as_bytes());
    let retired = "ceremony run plan4.toml --dir room4 --answers answers";
    assert_eq!(fails(&workshop, retired), ("ceremony-ledger".into(), 5));
    assert!(!workshop.path("room4/out").exists());
}

/// People leave the room, and come back: the ceremony goes on where it was.
#[test]
fn a_ceremony_stops_and_goes_on() {
    let workshop = desk();
    let mut keys = Vec::new();
    for (stop, made) in [
        ("begin-root", "room/stick-1/root.pem"),
        ("certify-line-1", "room/out/line-1.cose"),
        ("first-list", "room/out/line-1.cwt"),
    ] {
        workshop.write("answers", format!("{stop}: nobody\n*: *\n").as_bytes());
        assert_eq!(fails(&workshop, RUN), ("ceremony-not-confirmed".into(), 4), "{stop}");
        keys.push((made, workshop.read(made)));
        assert_eq!(fails(&workshop, SEAL), ("ceremony-unfinished".into(), 2));
    }
    workshop.write("answers", b"*: *\n");
    workshop.ok(&split(RUN));
    for (name, content) in keys {
        assert_eq!(workshop.read(name), content, "{name}");
    }
    workshop.ok(&split(SEAL));
    workshop.ok(&split(VERIFY));
    let transcript = text(&workshop, "room/transcript.jsonl");
    assert_eq!(transcript.matches("{\"not-confirmed\":{\"step\":\"begin-root\"").count(), 1);
    assert_eq!(transcript.matches("{\"session\":{").count(), 5, "each time that it was taken up");
}

/// People at a terminal: a wrong name and a wrong word are asked for again, and not repeated anywhere.
#[test]
fn people_answer_at_a_terminal() {
    let workshop = desk();
    let plan = text(&workshop, "plan.toml");
    let small =
        format!("{}{}", plan.split("[[key]]").next().unwrap().split("copies = [\"stick").next().unwrap(), "");
    workshop.write("plan.toml", small.replace("bundle-copies = [\"office\"]\n", "").as_bytes());
    let mut terminal = Terminal::run(
        &workshop,
        "Ada Example\n",
        &split("ceremony run plan.toml --dir room --no-passphrase"),
    );
    for (name, nth) in [("Ada Example", 1), ("Bob Example", 2), ("Cleo Example", 3)] {
        terminal.wait_for_times("type your name", nth);
        if nth == 1 {
            terminal.enter("hunter2 my passphrase");
            terminal.wait_for("That is not the answer");
            terminal.wait_for_times("type your name", 2);
        }
        terminal.enter(name);
        if nth == 1 {
            terminal.wait_for("Bob Example (witness), type");
        }
        if nth == 2 {
            terminal.wait_for("Cleo Example (custodian), type");
        }
    }
    terminal.wait_for("to be made in");
    terminal.enter("ada example");
    terminal.wait_for("on paper");
    terminal.enter("Bob Example");
    terminal.wait_for("type word");
    for _ in 0..3 {
        terminal.enter("zzzz");
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    let (exit, shown) = terminal.end();
    assert_eq!(exit, Some(4), "{shown}");
    assert!(shown.contains("ceremony-not-confirmed"), "{shown}");
    let transcript = text(&workshop, "room/transcript.jsonl");
    assert!(transcript.contains("people at the terminal") && !transcript.contains("hunter2"), "{transcript}");
    assert!(!transcript.contains("zzzz") && !workshop.path("room/out").exists());
    // Without a terminal nobody is asked.
    assert_eq!(
        fails(&workshop, "ceremony run plan.toml --dir room --no-passphrase"),
        ("ceremony-unattended".into(), 4)
    );
}
