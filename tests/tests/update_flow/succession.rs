//! Roots that are replaced: maker, server, host and device follow one another.

use std::fs;

use device_harness::factory::{Factory, provisioning_block};
use device_harness::succession::{Dynasty, chain};
use serde_json::{Value, json};

use crate::bench::{Bench, Ended, Life, Ongoing, Sim, UpdateServer, files, unchanged};

const RECOVERY: [&str; 2] = ["--recovery-anchor", "recovery.cose"];

/// A bench whose devices begin with the first root of a dynasty and its recovery root.
struct Court {
    bench: Bench,
    dynasty: Dynasty,
    second: Factory,
    third: Factory,
}

impl Court {
    fn new() -> Self {
        let (bench, dynasty) = (Bench::new(), Dynasty::new(1));
        assert_eq!(bench.factory.anchor(), dynasty.first().anchor());
        let [_, recovery] = dynasty.anchors();
        bench.write("recovery.cose", &recovery.key().to_cose_key());
        bench.write("device.cbor", &provisioning_block(&dynasty.anchors(), None));
        let [second, third] = [2, 3].map(Factory::new);
        bench.write("first.cwt", &bench.factory.revocation_list(9, &[]));
        bench.write("one.cwt", &dynasty.by_root(dynasty.first(), &second, (0, 1)));
        bench.write("second.cwt", &second.revocation_list(1, &[]));
        bench.write("two.cwt", &dynasty.by_recovery(&third, 1));
        bench.write("third.cwt", &third.revocation_list(4, &[]));
        Self { bench, dynasty, second, third }
    }

    /// The device runs release 1 of the first root, and holds its list 9.
    fn with_device() -> (Self, Sim) {
        let court = Self::new();
        let bench = &court.bench;
        bench.release(1, Life::Confirms);
        let sim = bench.sim("flash", &bench.bus);
        bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
        court.update(1, &["--revocations", "first.cwt"]).is_result("confirmed", 0);
        (court, sim)
    }

    fn server(&self) -> UpdateServer {
        UpdateServer::start_with(&self.bench, 0, &RECOVERY)
    }

    /// `update` with the files of a release.
    fn update(&self, sequence: u64, more: &[&str]) -> Ended {
        self.bench.update(sequence, &[&RECOVERY[..], more].concat())
    }

    fn update_from(&self, url: &str, more: &[&str]) -> Ended {
        self.bench.run(&[&from(url)[..], more].concat())
    }

    fn release(&self, root: &Factory, sequence: u64) {
        self.bench.release_by(root, sequence, Life::Confirms, |_| ());
    }

    fn forget_everything(&self) {
        fs::remove_dir_all(self.bench.path("data")).expect("the data folder goes");
    }
}

fn from(url: &str) -> Vec<&str> {
    [&crate::from_server(url)[..], &RECOVERY].concat()
}

fn kid(root: &Factory) -> String {
    root.anchor().kid().0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn event<'e>(ended: &'e Ended, event: &str) -> Vec<&'e str> {
    let mark = format!(r#""event":"{event}""#);
    ended.stdout.lines().filter(|line| line.contains(&mark)).collect()
}

fn stored(ended: &Ended) -> Vec<(u64, u64, u64)> {
    let number = |value: &Value, key: &str| value[key].as_u64().expect("a number");
    let events = event(ended, "succession-stored").into_iter().map(|line| {
        let event: Value = serde_json::from_str(line).expect("an object");
        (
            number(&event, "recovery_epoch"),
            number(&event, "succession_sequence"),
            number(&event, "list_sequence"),
        )
    });
    events.collect()
}

fn warns(ended: &Ended, code: &str) -> bool {
    event(ended, "warning").iter().any(|line| line.contains(&format!(r#""code":"{code}""#)))
}

/// Two successions, the second by the recovery root: nobody takes anything of a root that was replaced, and a device that was
/// on the shelf all the time follows from one folder, without the server.
#[test]
fn host28_everyone_follows_the_roots_and_a_device_from_the_shelf_too() {
    let (court, sim) = Court::with_device();
    let (bench, first) = (&court.bench, court.dynasty.first());
    // As it stands now, a device goes to the shelf.
    drop(sim);
    fs::copy(bench.path("flash"), bench.path("shelf")).expect("copied");
    let sim = bench.sim("flash", &bench.bus);
    let server = court.server();
    let url = server.url.clone();
    server.publish_list(bench, "first.cwt");
    court.release(&court.second, 2);
    court.release(first, 3);

    // The root names its successor, who releases at once.
    let all = ["2.suit", "--image", "2.bin", "--succession", "one.cwt", "--revocations", "second.cwt"];
    server.publish_files(bench, &all);
    let ended = court.update_from(&url, &[]);
    ended.is_result("confirmed", 0);
    assert_eq!(stored(&ended), [(0, 1, 1)]);
    assert_eq!(ended.last["after"], json!({"version": "2.0.0", "sequence": 2}));
    let registered = server.get("/v1/devices/A-0001");
    let second = kid(&court.second);
    assert!(registered["anchors"].as_array().expect("anchors").contains(&json!(second)), "{registered}");

    // Nobody takes anything of the root that retired.
    let refused = server.publication(bench, &["3.suit", "--image", "3.bin"]);
    assert!(refused.code != 0 && refused.stderr.contains("anchor-rights"), "{}", refused.stderr);
    bench.write("late.cwt", &first.revocation_list(10, &[]));
    let refused = server.publication(bench, &["--revocations", "late.cwt"]);
    assert!(refused.code != 0 && refused.stderr.contains("anchor-rights"), "{}", refused.stderr);
    court.update(3, &[]).is_error("anchor-rights", 6);
    court.update(3, &["--dangerous-skip-host-checks"]).is_error("anchor-rights", 7);
    bench.run(&["revocations", "late.cwt"]).is_error("anchor-rights", 6);

    // It was stolen as well: the recovery root speaks.
    court.release(&court.third, 4);
    court.release(&court.second, 5);
    let all = ["4.suit", "--image", "4.bin", "--succession", "two.cwt", "--revocations", "third.cwt"];
    server.publish_files(bench, &all);
    let ended = court.update_from(&url, &[]);
    ended.is_result("confirmed", 0);
    assert_eq!(stored(&ended), [(1, 0, 4)]);
    court.update(5, &[]).is_error("anchor-rights", 6);
    court.update(5, &["--dangerous-skip-host-checks"]).is_error("anchor-rights", 7);
    let anchors = server.get("/v1/anchors");
    assert_eq!(anchors["domains"][0]["root_kid"], kid(&court.third));
    // Once more: there is nothing to send, and the device is left alone.
    let ended = court.update_from(&url, &[]);
    ended.is_result("up-to-date", 0);
    assert!(event(&ended, "step").iter().all(|line| !line.contains("succession")), "{}", ended.stdout);

    // The device from the shelf, with what lies in the folder.
    drop((server, sim));
    let _sim = bench.sim("shelf", &bench.bus);
    assert_eq!(bench.info()["sequence"], 1);
    let ended = court.update_from(&url, &[]);
    ended.is_result("confirmed", 0);
    assert!(warns(&ended, "server-unreachable"), "{}", ended.stdout);
    assert_eq!(stored(&ended), [(1, 0, 4)]);
    assert_eq!(bench.info()["version"], "4.0.0");
    // It never heard of the second root.
    court.update(5, &["--dangerous-skip-host-checks"]).is_error("anchor-unknown", 7);
    court.release(court.dynasty.first(), 6);
    court.update(6, &["--dangerous-skip-host-checks"]).is_error("anchor-rights", 7);
}

#[test]
fn host29_a_chain_from_a_file_goes_before_the_release_and_a_cut_in_between_costs_nothing() {
    let (court, sim) = Court::with_device();
    let bench = &court.bench;
    let records = [bench.read("one.cwt"), bench.read("two.cwt")];
    bench.write("chain", &chain(&records, &bench.read("third.cwt")));
    court.release(&court.third, 2);
    court.release(court.dynasty.first(), 3);
    // Without the successions nobody vouches for the release.
    court.update(2, &[]).is_error("anchor-unknown", 5);
    // Without its recovery root this computer cannot tell who the root is.
    bench.update(2, &["--successions", "chain"]).is_error("anchor-unknown", 5);
    let update =
        [&files("2.suit", "2.bin")[..], &["--anchor", "root.cose", "--successions", "chain"], &RECOVERY]
            .concat();
    let mut ongoing = Ongoing::start(&mut bench.command(&update));
    ongoing.until_step("succession");
    drop(sim);
    let _sim = bench.sim("flash", &bench.bus);
    let ended = ongoing.end();
    ended.is_result("confirmed", 0);
    assert_eq!(bench.info()["version"], "2.0.0");
    court.update(3, &["--dangerous-skip-host-checks"]).is_error("anchor-rights", 7);

    // What was given once counts from then on.
    assert!(bench.path("data/cache/successions").is_dir());
    court.update(3, &[]).is_error("anchor-rights", 6);
    court.update(2, &[]).is_result("up-to-date", 0);
}

#[test]
fn host30_a_device_that_is_ahead_of_the_host_gets_nothing_and_says_why() {
    let (court, _sim) = Court::with_device();
    let bench = &court.bench;
    court.release(&court.second, 2);
    court.update(2, &["--successions", "one.cwt", "--revocations", "second.cwt"]).is_result("confirmed", 0);
    let before = bench.info();

    // Another computer, which knows of nothing.
    court.forget_everything();
    court.release(court.dynasty.first(), 3);
    let ended = court.update(3, &[]);
    ended.is_error("device-root-newer", 7);
    assert!(ended.last["error"]["message"].as_str().expect("words").contains("root 0.1"), "{}", ended.stdout);
    assert!(ended.last["error"]["hint"].as_str().expect("a hint").contains("--successions"));
    unchanged(&before, &bench.info());

    // One that was told of another root with the same number, by a thief.
    let thief = Factory::new(4);
    court.release(&thief, 4);
    bench.write("thief.cwt", &court.dynasty.by_root(court.dynasty.first(), &thief, (0, 1)));
    bench.write("his.cwt", &thief.revocation_list(1, &[]));
    let told = ["--successions", "thief.cwt", "--revocations", "his.cwt"];
    court.update(4, &told).is_error("device-root-differs", 7);
    unchanged(&before, &bench.info());
    // It stays so until it learns of both, and then only the recovery root helps.
    court.update(2, &["--successions", "one.cwt"]).is_error("succession-forked", 6);
    court.release(&court.third, 5);
    let rescue = ["--successions", "two.cwt", "--revocations", "third.cwt"];
    court.update(5, &rescue).is_result("confirmed", 0);
}

#[test]
fn host31_a_device_without_a_newer_release_gets_its_root_all_the_same() {
    let (court, sim) = Court::with_device();
    let bench = &court.bench;
    drop(sim);
    fs::copy(bench.path("flash"), bench.path("other")).expect("copied");
    let sim = bench.sim("flash", &bench.bus);
    // Release 1, certified again by the successor: the same manifest.
    let was = bench.read("1.suit");
    court.release(&court.second, 1);
    assert_ne!(bench.read("1.suit"), was);
    let told = ["--successions", "one.cwt", "--revocations", "second.cwt"];
    let silent = bench.run(
        &[
            &["update", "--release", "1.suit", "--image", "1.bin", "--anchor", "root.cose"],
            &RECOVERY[..],
            &told,
        ]
        .concat(),
    );
    silent.is_result("up-to-date", 0);
    assert!(warns(&silent, "succession-not-sent"), "{}", silent.stdout);
    let ended = court.update(1, &told);
    ended.is_result("up-to-date", 0);
    assert_eq!(stored(&ended), [(0, 1, 1)]);
    court.release(court.dynasty.first(), 2);
    court.update(2, &["--dangerous-skip-host-checks"]).is_error("anchor-rights", 7);
    // From now on it is not asked again.
    let ended = court.update(1, &told);
    assert!(event(&ended, "step").is_empty(), "{}", ended.stdout);
    assert_eq!(bench.info()["version"], "1.0.0");

    // By hand: the chain goes first, here as a file of its own.
    drop(sim);
    let _sim = bench.sim("other", &bench.bus);
    court.forget_everything();
    bench.run(&["revocations", "second.cwt"]).is_error("anchor-unknown", 7);
    bench.run(&["revocations", "first.cwt", "--successions", "one.cwt"]).is_error("anchor-rights", 6);
    bench.write("thief.cwt", &court.dynasty.by_root(court.dynasty.first(), &court.third, (0, 1)));
    let both = ["revocations", "second.cwt", "--successions", "one.cwt", "--successions", "thief.cwt"];
    bench.run(&both).is_error("succession-forked", 6);
    let ended = bench.run(&["revocations", "second.cwt", "--successions", "one.cwt"]);
    ended.is_result("stored", 0);
    assert_eq!(ended.last["list_sequence"], 1);
    bench.write("chain", &chain(&[bench.read("one.cwt"), bench.read("two.cwt")], &bench.read("third.cwt")));
    let ended = bench.run(&["revocations", "chain"]);
    ended.is_result("stored", 0);
    assert_eq!(ended.last["list_sequence"], 4);
    bench.run(&["revocations", "chain"]).is_error("revocation-sequence", 7);
}

/// The first list of a successor forgets what the device's list asks for: the chain is refused, and the server hears of it.
#[test]
fn a_chain_that_the_device_refuses_ends_the_update_and_is_reported() {
    let (court, _sim) = Court::with_device();
    let bench = &court.bench;
    bench.write("strict.cwt", &bench.factory.revocation_list_of(10, &[], &[1]));
    bench.run(&["revocations", "strict.cwt"]).is_result("stored", 0);
    let before = bench.info();
    let server = court.server();
    court.release(&court.second, 2);
    let all = ["2.suit", "--image", "2.bin", "--succession", "one.cwt", "--revocations", "second.cwt"];
    server.publish_files(bench, &all);
    let ended = court.update_from(&server.url, &[]);
    ended.is_error("revocation-drops-entry", 7);
    assert!(ended.last["error"]["message"].as_str().expect("words").contains("succession chain to root 0.1"));
    unchanged(&before, &bench.info());
    let device = server.get("/v1/devices/A-0001");
    let events = device["events"].as_array().expect("events");
    let kinds = events.iter().filter(|event| event["reason"] == "revocation-drops-entry");
    let kinds: Vec<_> = kinds.map(|event| event["kind"].as_str().expect("a kind")).collect();
    assert!(kinds.contains(&"succession-refused"), "{device}");
}

/// A chain ends with a list of its last root: without one the device cannot follow.
#[test]
fn a_root_that_signed_no_list_is_named() {
    let (court, _sim) = Court::with_device();
    let bench = &court.bench;
    court.release(&court.second, 2);
    let before = bench.info();
    court.update(2, &["--successions", "one.cwt"]).is_error("root-without-list", 7);
    unchanged(&before, &bench.info());
    court.update(2, &["--revocations", "second.cwt"]).is_result("confirmed", 0);
}
