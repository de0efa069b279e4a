//! Ceremonies that are interrupted at each system call that writes: by SIGKILL, by a full disk. They go on afterwards, and
//! prove the same as others.

use serde_json::Value;

use super::ceremony::{RUN, SEAL, VERIFY, desk, text};
use super::cuts::{SIGKILL, cut_everywhere};
use super::workshop::{Workshop, split};

/// A desk for a small ceremony in memory: thousands of writes are synchronised.
fn small_desk() -> Workshop {
    let workshop = desk();
    let plan = text(&workshop, "plan.toml");
    let (head, rest) = plan.split_once("[recovery-root]").unwrap();
    let key = rest.split_once("[[key]]").unwrap().1.split_once("[[key]]").unwrap().0;
    workshop.write("plan.toml", format!("{head}[[key]]{key}").as_bytes());
    workshop
}

/// Everything that a ceremony proves, and nothing beside it.
fn check(workshop: &Workshop, what: &str) {
    workshop.ok(&split(VERIFY));
    workshop.ok(&split("ceremony verify room/ceremony.tar --anchor room/out/root-2026.cose"));
    let ledger = workshop.ok(&split("ledger verify room/stick-1/ledger --anchor room/out/root-2026.cose"));
    assert_eq!((&ledger["begun"], ledger["uncovered"].as_u64()), (&Value::Null, Some(0)), "{what}");
    let entries =
        workshop.ok(&split("ledger list room/stick-1/ledger"))["entries"].as_array().unwrap().clone();
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        kinds,
        [
            "open",
            "credential",
            "revocation-list",
            "backup",
            "backup-check",
            "backup",
            "backup-check",
            "ceremony"
        ],
        "{what}"
    );
    assert_eq!(workshop.read("room/stick-1/root.pem"), workshop.read("room/stick-2/root.pem"), "{what}");
    let recover = "key recover --share room/print/share-1-of-3.txt --share room/print/share-3-of-3.html --out again.pem \
                   --no-passphrase";
    workshop.ok(&split(recover));
    std::fs::remove_file(workshop.path("again.pem")).unwrap();
    for (path, _) in workshop.snapshot() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.starts_with(".anchorage-"), "{what}: {name} is left behind");
    }
}

/// Has each call of `line` end in `fault`, every `step`th of a kind, and carries the ceremony to its end each time.
fn cut_and_go_on(line: &str, before: &[&str], after: &[&str], fault: &str, step: usize) -> usize {
    let workshop = small_desk();
    before.iter().for_each(|line| drop(workshop.ok(&split(line))));
    cut_everywhere(&workshop, line, (fault, step), |what, done| {
        let rest = after.iter().filter(|next| !done || **next != line);
        rest.for_each(|line| drop(workshop.ok(&split(line))));
        check(&workshop, what);
    })
}

#[test]
fn a_ceremony_that_is_killed_at_any_write_goes_on() {
    let cuts = cut_and_go_on(RUN, &[], &[RUN, SEAL], SIGKILL, 1);
    assert!(cuts > 100, "{cuts}");
}

#[test]
fn a_seal_that_is_killed_at_any_write_is_made_again() {
    let cuts = cut_and_go_on(SEAL, &[RUN], &[SEAL], SIGKILL, 1);
    assert!(cuts > 40, "{cuts}");
}

/// Each write of a ceremony finds the disk full, or the stick gone.
#[test]
fn a_ceremony_on_a_full_disk_goes_on() {
    for (fault, step) in [("error=ENOSPC", 4), ("error=EIO", 11)] {
        let cuts = cut_and_go_on(RUN, &[], &[RUN, SEAL], fault, step);
        assert!(cuts > 5, "{fault}: {cuts}");
    }
    let cuts = cut_and_go_on(SEAL, &[RUN], &[SEAL], "error=ENOSPC", 3);
    assert!(cuts > 5, "{cuts}");
}

/// A setup that is killed goes on without the answers, as soon as they are written.
#[test]
fn a_setup_that_is_killed_goes_on() {
    let workshop = Workshop::in_memory();
    for medium in ["one", "two"] {
        std::fs::create_dir(workshop.path(medium)).unwrap();
    }
    let go_on = "setup desk --no-passphrase";
    let answers = "--domain anchorage.example --product node --who Ada --first-medium one --second-medium two --ci-make --yes";
    let line = format!("{go_on} {answers}");
    let cuts = cut_everywhere(&workshop, &line, (SIGKILL, 7), |what, _| {
        let has_answers = workshop.path("desk/plan.toml").exists();
        workshop.ok(&split(if has_answers { go_on } else { &line }));
        let out = workshop.path("desk/out").read_dir().unwrap().map(|file| file.unwrap().path());
        let root = out.into_iter().find(|path| path.to_string_lossy().contains("/root-")).unwrap();
        let verify = ["ceremony", "verify", "two/ceremony.tar", "--anchor", root.to_str().unwrap()];
        assert_eq!(workshop.ok(&verify)["ledgers"], 2, "{what}");
    });
    assert!(cuts > 4, "{cuts}");
}
