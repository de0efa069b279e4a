//! What a server has for a device on which an earlier update has begun something, and which it has nothing newer for.

use sha2::Digest as _;
use suit_manifest::reason::Reason;
use update_protocol::profile::ImageState;

use crate::fake::Script;
use crate::fake_table::Table;
use crate::made::{IMAGE_LEN, TABLE};
use crate::revocation::warnings;
use crate::slots::fake_server::{Answer, FakeServer};
use crate::{Bench, Ended};

const NONE: &[u8] = br#"{"code":"release-unknown"}"#;

/// A server with this release of firmware, of a table or of both, `target`, and nothing else. Of another one it answers as told.
fn serving(
    bench: &Bench,
    (target, file): (&'static str, &str),
    other: (&'static str, fn() -> Answer),
) -> FakeServer {
    let sha256 = |bytes: &[u8]| hex::encode(sha2::Sha256::digest(bytes));
    let (image, envelope) = (bench.made.read("image.bin"), bench.made.read(file));
    let inspected = suit_manifest::author::inspect(&envelope).unwrap();
    let named = |image: &[u8]| serde_json::json!({"sha256": sha256(image), "size": image.len()});
    let object = serde_json::json!({
        "manifest_digest": hex::encode(inspected.digest()), "envelope_sha256": sha256(&envelope),
        "sequence": inspected.manifest().sequence_number(), "image": named(&image), "table_image": named(TABLE),
    });
    let of_image = format!("/v1/images/{}", sha256(&image));
    let of_table = format!("/v1/images/{}", sha256(TABLE));
    FakeServer::start(move |request| match request.path.as_str() {
        path if path.starts_with("/v1/releases/latest") => {
            let asked = path.rsplit_once("target=").map_or("firmware", |(_, target)| target);
            match asked {
                asked if asked == target => Answer::ok(object.to_string().into_bytes()),
                asked if asked == other.0 => (other.1)(),
                _ => Answer::new(404, NONE.to_vec()),
            }
        }
        path if path.ends_with("/envelope") => Answer::ok(envelope.clone()),
        path if path == of_image => Answer::ok(image.clone()),
        path if path == of_table => Answer::ok(TABLE.to_vec()),
        path if path.starts_with("/v1/successions/") => {
            Answer::new(404, br#"{"code":"domain-unknown"}"#.to_vec())
        }
        _ => Answer::new(404, br#"{"code":"revocation-list-unknown"}"#.to_vec()),
    })
}

fn none() -> Answer {
    Answer::new(404, NONE.to_vec())
}

fn fetch(bench: &Bench, server: &FakeServer) -> Ended {
    let rest = ["--confirm-timeout", "1s", "--anchor", "root.cose", "--yes"];
    bench.run(&[&["update", "--server", &server.url()][..], &rest].concat())
}

#[test]
fn what_an_earlier_update_has_begun_is_told_with_what_to_do() {
    let bench = Bench::new();
    let server = serving(&bench, ("firmware", "release.suit"), ("table", none));
    type Begun = fn(&mut Table, &mut Script);
    let cases: [(Begun, &[&str]); 4] = [
        (|_, _| (), &[]),
        (|_, script| script.is_resumable = true, &["updater-host abandon drops it"]),
        (|table, _| table.is_resumable = true, &["updater-host abandon --table drops it"]),
        (
            |table, script| (script.is_resumable, table.image) = (true, ImageState::Pending),
            &["has not come whole", "waits for a reset"],
        ),
    ];
    for (begun, words) in cases {
        let _device = bench.with_table(|table, script| {
            script.active_sequence = 6;
            begun(table, script);
        });
        let ended = fetch(&bench, &server);
        ended.is_result("nothing-newer", 0);
        let told = warnings(&ended).iter().filter(|code| *code == "unfinished").count();
        assert_eq!(told, words.len(), "{}", ended.stdout);
        assert!(words.iter().all(|words| ended.stdout.contains(words)), "{}", ended.stdout);
    }
}

/// Of a target that is asked for alone nothing is said of the others, and of a server that is away nothing at all.
#[test]
fn who_has_nothing_newer_is_told_as_it_is() {
    let bench = Bench::new();
    let server = serving(&bench, ("firmware", "release.suit"), ("both", none));
    let _device = bench.with_table(|_, script| script.active_sequence = 6);
    let url = server.url();
    let people = || {
        let all = ["update", "--server", &url, "--target", "firmware", "--anchor", "root.cose", "--yes"];
        String::from_utf8(bench.command(&all).output().unwrap().stdout).unwrap()
    };
    let online = people();
    assert!(online.ends_with("; the server's newest release of firmware (5) is no newer.\n"), "{online}");
    drop(server);
    let away = people();
    let words = "; the newest release of firmware that was fetched earlier (5) is no newer, and the server could not be asked.\n";
    assert!(away.ends_with(words), "{away}");
}

/// Who asks for one target misses what comes in one with the other.
#[test]
fn who_asks_for_one_target_is_told_of_a_release_of_both() {
    let bench = Bench::new();
    let asked = |server: &FakeServer, target: &str| {
        let ended = bench.run(&[
            "update",
            "--server",
            &server.url(),
            "--target",
            target,
            "--anchor",
            "root.cose",
            "--yes",
        ]);
        ended.is_error("no-release", 7);
        ended.last["error"]["hint"].as_str().unwrap().contains("without --target")
    };
    let device = bench.with_table(|_, _| ());
    let of_both = serving(&bench, ("both", "both.suit"), ("table", none));
    assert!(asked(&of_both, "firmware") && asked(&of_both, "table"));
    let of_a_table = serving(&bench, ("table", "table.suit"), ("both", none));
    assert!(!asked(&of_a_table, "firmware"));
    assert_eq!(device.asked(), []);
    drop(device);
    // A device without a table takes none.
    let _device = bench.device(|_| ());
    assert!(!asked(&of_both, "firmware"));
}

/// One count for firmware and table.
#[test]
fn a_download_of_both_counts_the_bytes_of_both() {
    let bench = Bench::new();
    let server = serving(&bench, ("both", "both.suit"), ("table", none));
    let _device = bench.with_table(|_, _| ());
    let ended = fetch(&bench, &server);
    let events = ended.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let downloads: Vec<_> = events.filter(|event| event["event"] == "download").collect();
    let total = IMAGE_LEN + TABLE.len();
    assert!(downloads.iter().all(|event| event["total"] == total), "{downloads:?}");
    let counted: Vec<_> = downloads.iter().map(|event| event["bytes"].as_u64().unwrap()).collect();
    assert!(counted.is_sorted() && counted.last() == Some(&(total as u64)), "{counted:?}");
}

/// It waits for something that is newer, and there is nothing: that is no good end.
#[test]
fn a_device_that_runs_nothing_is_told_beside_older_releases_of_both() {
    let bench = Bench::new();
    let server = serving(&bench, ("both", "both.suit"), ("table", none));
    let _device = bench.with_table(|_, script| {
        (script.active_sequence, script.stays_for) = (6, Some(Reason::HeadInvalid.code()));
    });
    fetch(&bench, &server).is_error("nothing-bootable", 7);
}

/// docs/decisions/0110: what is beyond a release of both does not come without it.
#[test]
fn a_fault_of_the_server_about_both_sends_no_firmware() {
    let bench = Bench::new();
    for (answer, code, exit) in [
        ((|| Answer::new(503, br#"{"code":"busy"}"#.to_vec())) as fn() -> Answer, "busy", 7),
        (Answer::hang_up, "server-unreachable", 3),
        (|| Answer::new(503, vec![]), "server-refused", 7),
    ] {
        let server = serving(&bench, ("firmware", "release.suit"), ("both", answer));
        let device = bench.with_table(|_, _| ());
        fetch(&bench, &server).is_error(code, exit);
        assert_eq!(device.asked(), []);
    }
    let server = serving(&bench, ("firmware", "release.suit"), ("both", none));
    let _device = bench.with_table(|_, _| ());
    fetch(&bench, &server).is_result("confirmed", 0);
}
