//! Which revocation lists a device is given.

use update_protocol::profile::Object;
use update_protocol::profile::anchors::{self, AnchorEntry, DomainEntry};
use update_protocol::uds::Nrc;

#[cfg(feature = "http")]
use super::made;
use super::{Asked, Bench, FakeDevice};

const LIST: &[&str] = &["--revocations", "list.cwt"];

/// `FD02` of a device whose anchors are the roots of these domains, with these list-sequences.
fn report(domains: &[([u8; 8], u64)]) -> Vec<u8> {
    let mut report = anchors::head(u8::try_from(domains.len()).unwrap()).to_vec();
    for (kid, _) in domains {
        report.extend(AnchorEntry { kid: *kid, rights: 15, domain: *kid }.encode());
    }
    for (domain, list_sequence) in domains {
        let (domain, list_sequence) = (*domain, *list_sequence);
        report.extend(DomainEntry { domain, list_sequence, ..DomainEntry::default() }.encode());
    }
    report
}

fn was_given_the_list(device: &FakeDevice) -> bool {
    device.asked().iter().any(|asked| matches!(asked, Asked::Object(Object::RevocationList, _)))
}

#[test]
fn only_the_lists_of_its_own_anchors() {
    let own = Bench::new().made.root;
    // The list has number 3; the device says 2.
    let other = [0xAA; 8];
    for (domains, given) in
        [(vec![(own, 2)], true), (vec![(other, 2)], false), (vec![(other, 2), (own, 2)], true)]
    {
        let bench = Bench::new();
        let device = bench.device(|script| script.anchors = Some(report(&domains)));
        bench.update(LIST).is_result("confirmed", 0);
        assert_eq!(was_given_the_list(&device), given, "{domains:?}");
    }
}

#[test]
fn a_list_is_compared_with_the_number_of_its_own_domain() {
    let (own, other) = (Bench::new().made.root, [0xAA; 8]);
    // The list has number 3.
    for (report, given) in [
        // Only the device can tell it from the other list with this number.
        (Some(report(&[(own, 3)])), true),
        (Some(report(&[(own, 4)])), false),
        (Some(report(&[(other, 9), (own, 2)])), true),
        (Some(report(&[(other, 1), (own, 3)])), true),
        (None, true),
    ] {
        let bench = Bench::new();
        let device = bench.device(|script| script.anchors.clone_from(&report));
        bench.update(LIST).is_result("confirmed", 0);
        assert_eq!(was_given_the_list(&device), given, "{report:?}");
    }
}

#[test]
fn a_list_of_an_anchor_that_the_device_does_not_know() {
    let refusal = (Object::RevocationList, Nrc::SECURITY_ACCESS_DENIED, 0x0106);
    let bench = Bench::new();
    let _device = bench.device(|script| script.refuses = Some(refusal));
    bench.update(LIST).is_result("confirmed", 0);
    // One that named the anchor contradicts itself.
    let bench = Bench::new();
    let _device = bench.device(|script| {
        script.refuses = Some(refusal);
        script.anchors = Some(report(&[(bench.made.root, 0)]));
    });
    bench.update(LIST).is_error("anchor-unknown", 7);
}

/// The warnings of an update, with `--json`: their codes.
pub(crate) fn warnings(ended: &super::Ended) -> Vec<String> {
    let events = ended.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let warnings = events.filter(|event| event["event"] == "warning");
    warnings.map(|event| event["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_device_that_keeps_its_own_list_is_offered_the_release() {
    // The list has number 3.
    for (held, reason, warning) in [
        (3, 0x0111, Some("revocation-forked")),
        (2, 0x0112, Some("revocation-drops-entry")),
        (3, 0x010f, None),
        (4, 0, Some("revocation-sequence")),
    ] {
        let bench = Bench::new();
        let device = bench.device(|script| {
            script.anchors = Some(report(&[(bench.made.root, held)]));
            script.refuses =
                (reason != 0).then_some((Object::RevocationList, Nrc::GENERAL_PROGRAMMING_FAILURE, reason));
        });
        let ended = bench.update(LIST);
        ended.is_result("confirmed", 0);
        assert_eq!(warnings(&ended), warning.into_iter().collect::<Vec<_>>(), "{}", ended.stdout);
        assert_eq!(was_given_the_list(&device), reason != 0);
    }
}

#[test]
fn people_read_the_code_of_a_fork() {
    let bench = Bench::new();
    let _device = bench.device(|script| {
        script.anchors = Some(report(&[(bench.made.root, 3)]));
        script.refuses = Some((Object::RevocationList, Nrc::GENERAL_PROGRAMMING_FAILURE, 0x0111));
    });
    let arguments =
        ["update", "--release", "release.suit", "--image", "image.bin", "--anchor", "root.cose", "-y"];
    let ended = super::Ended::of(&bench.command(&[&arguments[..], LIST].concat()).output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let line = ended.stderr.lines().find(|line| line.ends_with("[revocation-forked]")).unwrap();
    assert!(line.starts_with("warning: the device holds another revocation list"), "{line}");
}

#[test]
fn a_list_that_is_refused_for_itself_stops_the_update() {
    for (reason, code) in [(0x0107, "signature-invalid"), (0x010e, "revocation-names-anchor")] {
        let bench = Bench::new();
        let _device = bench.device(|script| {
            script.anchors = Some(report(&[(bench.made.root, 3)]));
            script.refuses = Some((Object::RevocationList, Nrc::SECURITY_ACCESS_DENIED, reason));
        });
        bench.update(LIST).is_error(code, 7);
    }
}

/// A lost device costs a new try, and not another judgement of its lists.
#[test]
fn a_list_is_judged_once_a_run() {
    let bench = Bench::new();
    let device = bench.device(|script| {
        script.anchors = Some(report(&[(bench.made.root, 3)]));
        script.refuses = Some((Object::RevocationList, Nrc::GENERAL_PROGRAMMING_FAILURE, 0x0111));
        script.loses_session = Some((Object::Image { offset: 0 }, 1));
    });
    let ended = bench.update(LIST);
    ended.is_result("confirmed", 0);
    assert_eq!(warnings(&ended), ["revocation-forked"]);
    let lists =
        device.asked().into_iter().filter(|asked| matches!(asked, Asked::Object(Object::RevocationList, _)));
    assert_eq!(lists.count(), 1);
    assert_eq!(super::images(&device.asked()).len(), 2);
}

/// BOOT14: the number of the list is in the journal, and the list does not read any more.
#[test]
fn a_device_that_lost_its_list_gets_it_again() {
    let bench = Bench::new();
    let _device = bench.device(|script| {
        script.anchors = Some(report(&[(bench.made.root, 3)]));
        script.lost_list = true;
    });
    bench.update(&[]).is_error("revocation-malformed", 7);
    bench.update(LIST).is_result("confirmed", 0);
}

#[test]
fn a_file_that_is_no_list_does_not_interrupt_a_device() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    for (file, code) in [("release.suit", "record-malformed"), ("root.cose", "record-malformed")] {
        bench.run(&["revocations", file]).is_error(code, 5);
    }
    assert_eq!(device.asked(), []);
}

/// Puts a list where an earlier run with a server would have kept it.
#[cfg(feature = "http")]
fn was_fetched(bench: &Bench, list: &str) {
    let folder = bench.made.folder().join("data/cache/revocations");
    std::fs::create_dir_all(&folder).unwrap();
    let name: String = bench.made.root.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(folder.join(name), bench.made.read(list)).unwrap();
}

/// A release on a USB stick whose key was stolen: the list was fetched before, and this run knows no server.
#[cfg(feature = "http")]
#[test]
fn a_list_that_was_fetched_once_counts_for_files_too() {
    for more in [&[][..], LIST] {
        let bench = Bench::new();
        let device = bench.device(|_| ());
        was_fetched(&bench, "revoking.cwt");
        bench.update(more).is_error("credential-revoked", 6);
        // The device learns of it, although it gets no release.
        let list = Asked::Object(Object::RevocationList, bench.made.read("revoking.cwt"));
        assert_eq!(device.asked(), [Asked::Programming, list, Asked::Reset], "{more:?}");
    }
}

#[cfg(feature = "http")]
#[test]
fn a_list_that_was_fetched_once_and_contradicts_a_file_is_refused() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    was_fetched(&bench, "revoking.cwt");
    for (number, code) in [(4, "revocation-forked"), (5, "revocation-drops-entry")] {
        bench.made.write("file.cwt", &made::list(number, &[[0xee; 16]]));
        bench.update(&["--revocations", "file.cwt"]).is_error(code, 6);
    }
    assert_eq!(device.asked(), []);
}

const REVOKING: &[&str] = &["--revocations", "revoking.cwt"];

#[test]
fn a_device_that_runs_the_release_already_gets_the_list_that_it_lacks() {
    for (held, given) in [(2, true), (3, false), (4, false)] {
        for domains in [true, false] {
            let bench = Bench::new();
            let device = bench.device(|script| {
                (script.active_sequence, script.active_digest) = (5, script.manifest_digest);
                script.revocation_sequence = if domains { 0 } else { held };
                script.anchors = domains.then(|| report(&[(bench.made.root, held)]));
            });
            bench.update(LIST).is_result("up-to-date", 0);
            assert_eq!(was_given_the_list(&device), given, "{held} {domains}");
        }
    }
}

/// To take a list an application is left, and a reset reverts an image that is not confirmed.
#[test]
fn a_list_alone_is_sent_with_consent_and_to_a_confirmed_image_only() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    let update = ["update", "--release", "release.suit", "--image", "image.bin", "--anchor", "root.cose"];
    let ended = bench.run(&[&update[..], REVOKING].concat());
    ended.is_error("credential-revoked", 6);
    assert_eq!((warnings(&ended), device.asked()), (vec!["list-not-sent".to_owned()], vec![]));
    drop(device);

    let bench = Bench::new();
    let device = bench.device(|script| script.after = super::After::StaysOnTrial);
    bench.update(&[]).is_result("trial", 7);
    let before = device.asked();
    let ended = bench.update(REVOKING);
    ended.is_error("credential-revoked", 6);
    assert_eq!((warnings(&ended), device.asked()), (vec!["list-not-sent".to_owned()], before));
}

/// Nothing runs that a reset could revert.
#[test]
fn a_device_without_an_image_gets_a_list_alone() {
    let bench = Bench::new();
    let device = bench.device(|script| {
        script.stays_for = Some(0x030e);
        script.anchors = Some(report(&[(bench.made.root, 0)]));
    });
    let ended = bench.update(REVOKING);
    ended.is_error("credential-revoked", 6);
    assert_eq!((was_given_the_list(&device), warnings(&ended)), (true, vec![]));
}

#[test]
fn a_device_that_refuses_a_list_alone_changes_no_ending() {
    let bench = Bench::new();
    let device = bench.device(|script| {
        script.refuses = Some((Object::RevocationList, Nrc::GENERAL_PROGRAMMING_FAILURE, 0x0112));
    });
    let ended = bench.update(REVOKING);
    ended.is_error("credential-revoked", 6);
    assert_eq!(warnings(&ended), ["revocation-drops-entry"]);
    assert_eq!(device.asked().last(), Some(&Asked::Reset));
}
