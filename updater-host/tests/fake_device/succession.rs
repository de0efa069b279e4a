//! Which succession chains a device is given, and when nothing is.

use trust::author::{
    RevocationRequest, Signer as _, SoftwareKey, SuccessionRequest, grant_succession, request_succession,
    sign_revocation,
};
use trust::{Anchor, SuccessionNumber, UnixTime, encode_succession_chain};
use update_protocol::profile::Object;
use update_protocol::profile::anchors::{self, AnchorEntry, DomainEntry};
use update_protocol::uds::Nrc;

use super::revocation::warnings;
use super::{Asked, Bench};

fn key(number: u8) -> SoftwareKey {
    SoftwareKey::from_seed(&[number; 32]).unwrap()
}

/// The root of the bench's manufacturer, and of an owner: the domains of the device.
const MAKER: u8 = 7;
const OWNER: u8 = 20;

pub(crate) fn kid(number: u8) -> [u8; 8] {
    key(number).public_key().kid().0
}

/// The root of the domain names the key `new`, in epoch 0.
pub(crate) fn succession(domain: u8, grantor: u8, new: u8, sequence: u16) -> Vec<u8> {
    let first = Anchor::root(key(domain).public_key());
    let request = SuccessionRequest {
        iss: "root".to_owned(),
        issued_at: UnixTime(1_700_000_000),
        domain: first.domain(),
        number: SuccessionNumber { recovery_epoch: 0, succession_sequence: sequence },
        rights: first.rights(),
    };
    grant_succession(&request_succession(&request, &key(new)).unwrap(), &key(grantor)).unwrap()
}

pub(crate) fn first_list(root: u8) -> Vec<u8> {
    let request = RevocationRequest::first("root".to_owned(), UnixTime(1_700_000_000));
    sign_revocation(&request, &key(root)).unwrap()
}

/// `FD02` of a device with these domains: the first root, the present one, and its number in epoch 0.
pub(crate) fn report(domains: &[(u8, u8, u16)]) -> Vec<u8> {
    let mut report = anchors::head(u8::try_from(domains.len()).unwrap()).to_vec();
    for (domain, root, _) in domains {
        report.extend(AnchorEntry { kid: kid(*root), rights: 15, domain: kid(*domain) }.encode());
    }
    for (domain, _, succession_sequence) in domains {
        let entry = DomainEntry {
            domain: kid(*domain),
            succession_sequence: *succession_sequence,
            ..DomainEntry::default()
        };
        report.extend(entry.encode());
    }
    report
}

/// A bench that knows of one succession of the owner's root, 20 to 21, and a chain to it.
fn bench() -> (Bench, Vec<u8>) {
    let bench = Bench::new();
    bench.made.write("owner.cose", &key(OWNER).public_key().to_cose_key());
    bench.made.write("succession.cwt", &succession(OWNER, OWNER, 21, 1));
    bench.made.write("owners.cwt", &first_list(21));
    let chain = encode_succession_chain(&[&bench.made.read("succession.cwt")], &first_list(21)).unwrap();
    (bench, chain)
}

const OWNERS: &[&str] =
    &["--anchor", "owner.cose", "--successions", "succession.cwt", "--revocations", "owners.cwt"];

fn behind() -> Vec<u8> {
    report(&[(MAKER, MAKER, 0), (OWNER, OWNER, 0)])
}

fn current() -> Vec<u8> {
    report(&[(MAKER, MAKER, 0), (OWNER, 21, 1)])
}

fn objects(asked: &[Asked]) -> Vec<Object> {
    let object = |asked: &Asked| if let Asked::Object(object, _) = asked { Some(*object) } else { None };
    asked.iter().filter_map(object).collect()
}

const IMAGE: Object = Object::Image { offset: 0 };

#[test]
fn host28_the_chain_goes_first_and_brings_its_list() {
    let (bench, chain) = bench();
    let device = bench.device(|script| {
        (script.anchors, script.anchors_after) = (Some(behind()), Some(current()));
    });
    let ended = bench.update(&[OWNERS, &["--revocations", "list.cwt"]].concat());
    ended.is_result("confirmed", 0);
    let asked = device.asked();
    assert_eq!(objects(&asked), [Object::SuccessionChain, Object::RevocationList, Object::Envelope, IMAGE]);
    assert_eq!(asked[1], Asked::Object(Object::SuccessionChain, chain));
    // The owner's list came with the chain: what follows is the maker's.
    assert_eq!(asked[2], Asked::Object(Object::RevocationList, bench.made.read("list.cwt")));
    assert_eq!(warnings(&ended), [""; 0]);
    assert!(ended.stdout.contains(r#""event":"succession-stored""#), "{}", ended.stdout);
}

#[test]
fn a_device_that_is_current_or_of_another_domain_gets_no_chain() {
    for (report, lists) in [(current(), 1), (report(&[(MAKER, MAKER, 0)]), 0)] {
        let (bench, _) = bench();
        let device = bench.device(|script| script.anchors = Some(report));
        bench.update(OWNERS).is_result("confirmed", 0);
        let sent = objects(&device.asked());
        assert!(!sent.contains(&Object::SuccessionChain));
        assert_eq!(sent.iter().filter(|sent| **sent == Object::RevocationList).count(), lists);
    }
}

/// A lost session costs a new try; the chain that the device has taken is not sent again.
#[test]
fn host29_a_chain_is_sent_until_the_device_has_it() {
    for (lost, chains) in [(Object::SuccessionChain, 2), (IMAGE, 1)] {
        let (bench, _) = bench();
        let device = bench.device(|script| {
            (script.anchors, script.anchors_after) = (Some(behind()), Some(current()));
            script.loses_session = Some((lost, 1));
        });
        bench.update(OWNERS).is_result("confirmed", 0);
        let sent = objects(&device.asked());
        assert_eq!(sent.iter().filter(|sent| **sent == Object::SuccessionChain).count(), chains, "{lost:?}");
    }
}

/// The release is the maker's: what is wrong with the owner's domain does not stop it, and nothing of it is sent.
#[test]
fn the_trouble_of_another_domain_is_a_warning() {
    for (report, refuses, code) in [
        (report(&[(MAKER, MAKER, 0), (OWNER, 22, 2)]), None, "device-root-newer"),
        (report(&[(MAKER, MAKER, 0), (OWNER, 22, 1)]), None, "device-root-differs"),
        (behind(), Some(0x011a), "succession-forked"),
    ] {
        let (bench, _) = bench();
        let device = bench.device(|script| {
            script.anchors = Some(report);
            script.refuses =
                refuses.map(|reason| (Object::SuccessionChain, Nrc::GENERAL_PROGRAMMING_FAILURE, reason));
        });
        let ended = bench.update(OWNERS);
        ended.is_result("confirmed", 0);
        assert_eq!(warnings(&ended), [code], "{}", ended.stdout);
        let lists = objects(&device.asked()).into_iter().filter(|sent| *sent == Object::RevocationList);
        assert_eq!(lists.count(), 0, "{code}");
    }
}

#[test]
fn host30_nothing_goes_to_a_device_at_another_root_of_the_releases_domain() {
    let (bench, _) = bench();
    let device = bench.device(|script| script.anchors = Some(report(&[(MAKER, 22, 1)])));
    let ended = bench.update(&["--revocations", "list.cwt"]);
    ended.is_error("device-root-newer", 7);
    // It is let go at once.
    assert_eq!(device.asked(), [Asked::Programming, Asked::Reset]);
}

#[test]
fn nothing_of_the_root_before_is_sent_and_a_refused_chain_is_an_error() {
    let bench = Bench::new();
    bench.made.write("succession.cwt", &succession(MAKER, MAKER, 21, 1));
    let device = bench.device(|script| {
        script.anchors = Some(report(&[(MAKER, MAKER, 0)]));
        script.refuses = Some((Object::SuccessionChain, Nrc::SECURITY_ACCESS_DENIED, 0x011c));
    });
    bench.made.write("maker.cwt", &first_list(21));
    // Its release is that of the root before: the host does not even ask.
    bench.update(&["--successions", "succession.cwt"]).is_error("anchor-rights", 6);
    assert_eq!(device.asked(), []);
    bench.made.write("fork.cwt", &succession(MAKER, MAKER, 22, 1));
    for (line, code) in [
        (&["revocations", "list.cwt", "--successions", "succession.cwt"][..], "anchor-rights"),
        (
            &["revocations", "maker.cwt", "--successions", "succession.cwt", "--successions", "fork.cwt"],
            "succession-forked",
        ),
    ] {
        let before = device.asked().len();
        bench.run(line).is_error(code, 6);
        assert_eq!(device.asked()[before..], [Asked::Programming, Asked::Reset], "{code}");
    }
    let ended = bench.run(&["revocations", "maker.cwt", "--successions", "succession.cwt"]);
    ended.is_error("succession-key", 7);
    assert_eq!(objects(&device.asked()), [Object::SuccessionChain]);
    assert_eq!(device.asked().last(), Some(&Asked::Reset));
}

#[test]
fn host32_a_device_with_a_way_back_gets_no_chain_in_this_session() {
    let (bench, _) = bench();
    let waits = |script: &mut super::Script| {
        script.anchors = Some(behind());
        (script.is_on_trial, script.stays_on_trial) = (true, true);
    };
    let device = bench.device(waits);
    let ended = bench.update(OWNERS);
    assert!(warnings(&ended).contains(&"succession-waits".to_owned()), "{}", ended.stdout);
    assert!(!objects(&device.asked()).contains(&Object::SuccessionChain));
    drop(device);
    let device = bench.device(waits);
    let ended = bench.run(&["revocations", "owners.cwt", "--successions", "succession.cwt"]);
    ended.is_error("succession-waits", 7);
    assert_eq!(device.asked(), [Asked::Programming, Asked::Reset]);
}

/// Without a release the loader is asked once, with consent; what it says is kept.
#[cfg(feature = "http")]
#[test]
fn host31_a_device_is_asked_once_for_its_roots() {
    let (bench, _) = bench();
    let runs = |script: &mut super::Script| {
        (script.active_sequence, script.active_digest) = (5, script.manifest_digest);
        (script.anchors, script.anchors_after) = (Some(behind()), Some(current()));
    };
    let device = bench.device(runs);
    let quiet = ["update", "--release", "release.suit", "--image", "image.bin", "--anchor", "root.cose"];
    let ended = bench.run(&[&quiet[..], OWNERS].concat());
    ended.is_result("up-to-date", 0);
    assert_eq!((warnings(&ended), device.asked()), (vec!["succession-not-sent".to_owned()], vec![]));
    bench.update(OWNERS).is_result("up-to-date", 0);
    assert_eq!(objects(&device.asked()), [Object::SuccessionChain]);
    let before = device.asked();
    bench.update(OWNERS).is_result("up-to-date", 0);
    assert_eq!(device.asked(), before, "its application is left alone");
}
