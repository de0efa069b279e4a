use clap::Parser as _;
use update_protocol::profile::{ImageState, Mode, StateRecord};

use super::*;
use crate::cli::{Cli, Command};
use crate::plan::ReleaseName;
use crate::release::tests::{Made, device, trusted};
use crate::release::{Release, check_half};

/// An answer, by its short name.
fn offered(component: Component, answer: &str) -> Offered {
    let unreachable = || Error::ServerUnreachable { url: "u".to_owned(), detail: "d".to_owned() };
    let shelf = Shelf::Both;
    let offer = match answer {
        "new" => Ok(Offer::Release(Release::default())),
        "old" => Ok(Offer::Older {
            newest: ReleaseName { version: None, sequence: None, manifest_digest: None },
            words: String::new(),
        }),
        "none" => Err(Error::NoRelease {
            vendor: uuid::Uuid::nil(),
            class: uuid::Uuid::nil(),
            shelf,
            has_both: false,
        }),
        "withdrawn" => Err(Error::NotOffered { detail: "d".to_owned() }),
        "offline" => Err(unreachable()),
        "busy" => {
            Err(Error::ServerRefused { status: 503, code: Some("busy".to_owned()), detail: "d".to_owned() })
        }
        "refused" => Err(Error::NoTable { serial: "s".to_owned() }),
        other => panic!("{other}"),
    };
    Offered { component, offer, is_tried: true }
}

/// What is brought, of the answers for both, firmware and table: by the place of the answer.
fn brought(answers: &str, is_there: bool) -> Vec<String> {
    brought_of(answers, is_there, true)
}

fn brought_of(answers: &str, is_there: bool, is_away: bool) -> Vec<String> {
    let answers: Vec<&str> = answers.split(' ').collect();
    let [both, firmware, table] = answers[..] else { panic!("{answers:?}") };
    let halves = [offered(Component::Firmware, firmware), offered(Component::Table, table)];
    let both = Offered { is_tried: false, ..offered(Component::Firmware, both) };
    let answers = Answers { both: Some(both), halves: halves.into(), is_there, is_away };
    let name = |offered: Offered| {
        let which = match (offered.is_tried, offered.component) {
            (false, _) => "both",
            (true, Component::Firmware) => "firmware",
            (true, Component::Table) => "table",
        };
        let offer = match offered.offer {
            Ok(Offer::Release(_)) => "new".to_owned(),
            Ok(Offer::Older { .. }) => "old".to_owned(),
            Err(error) => error.code(),
        };
        format!("{which} {offer}")
    };
    answers.chosen(&Output::new(true, false)).into_iter().map(name).collect()
}

#[test]
fn a_release_of_both_comes_before_what_is_beyond_it() {
    for (answers, expected) in [
        ("new new new", &["both new", "firmware new", "table new"][..]),
        ("new old new", &["both new", "table new"]),
        ("new new old", &["both new", "firmware new"]),
        ("new old old", &["both new"]),
        ("new none none", &["both new"]),
        ("new withdrawn none", &["both new"]),
        ("new offline offline", &["both new"]),
        // What is wrong is told in its turn.
        ("new refused new", &["both new", "firmware component-unsupported", "table new"]),
    ] {
        assert_eq!(brought(answers, false), expected, "{answers}");
    }
    // The device has it.
    for (answers, expected) in [
        ("new new old", &["firmware new"][..]),
        ("new old old", &["both new"]),
        ("new old new", &["table new"]),
    ] {
        assert_eq!(brought(answers, true), expected, "{answers}");
    }
}

#[test]
fn without_a_release_of_both_the_halves_come() {
    for both in ["old", "none", "withdrawn", "offline"] {
        for (halves, expected) in [
            ("new new", &["firmware new", "table new"][..]),
            ("old new", &["firmware old", "table new"]),
            ("none new", &["table new"]),
            ("new none", &["firmware new"]),
        ] {
            assert_eq!(brought(&format!("{both} {halves}"), false), expected, "{both}");
        }
    }
    // The server is away: there is nothing of a kind that was never fetched.
    assert_eq!(brought("old offline new", false), ["table new"]);
    assert_eq!(brought("old new offline", false), ["firmware new"]);
    assert_eq!(brought("old offline offline", false), ["both old"]);
    let unreachable = ["firmware server-unreachable", "table server-unreachable"];
    assert_eq!(brought("offline offline offline", false), unreachable);
    assert_eq!(brought("offline new offline", false), ["firmware new", unreachable[1]]);
    // With nothing at all the device has something newer, or it is said what is missing.
    assert_eq!(brought("old none withdrawn", false), ["both old"]);
    for both in ["none", "withdrawn", "offline"] {
        assert_eq!(brought(&format!("{both} none none"), false), ["firmware no-release"], "{both}");
    }
    // The maker meant both to come first.
    assert_eq!(
        brought("refused new new", false),
        ["both component-unsupported", "firmware new", "table new"]
    );
}

/// docs/decisions/0110: firmware that is beyond a release of both would shut it out for good.
#[test]
fn a_fault_of_the_server_about_both_stops_the_halves() {
    for (both, code) in [("offline", "server-unreachable"), ("busy", "busy")] {
        let offers = brought_of(&format!("{both} new new"), false, false);
        assert_eq!(offers, [&format!("both {code}"), "firmware new", "table new"], "{both}");
    }
    assert_eq!(brought("busy new new", false), ["firmware new", "table new"], "of a proxy");
}

/// What a device runs is not sent before what is beyond it, whatever else it has begun and in whichever program it is.
#[test]
fn a_release_of_both_that_runs_is_there() {
    let envelope = Made::good().with_table(b"t").envelope();
    let mut device = device();
    device.other = Some(device.state);
    let facts = check_half(&envelope, &trusted(), &device).unwrap();
    let digest = facts.manifest_digest;
    let release = Release { facts: Some(facts), table: Some(Box::default()), ..Release::default() };
    let is_there = |mode: Mode, images: [ImageState; 2], digests: [[u8; 32]; 2], more: &[&str]| {
        let all = [&["updater-host", "update", "--server", "http://u", "--anchor", "a"][..], more].concat();
        let Command::Update(options) = Cli::try_parse_from(all).unwrap().command else { panic!() };
        let state = |place: usize| StateRecord {
            mode,
            image: images[place],
            active_digest: digests[place],
            ..device.state
        };
        has_both(&Device { state: state(0), other: Some(state(1)), ..device.clone() }, &release, &options)
    };
    let (confirmed, pending) = (ImageState::Confirmed, ImageState::Pending);
    for mode in [Mode::Application, Mode::Loader] {
        assert!(is_there(mode, [confirmed; 2], [digest; 2], &[]));
        assert!(is_there(mode, [pending, confirmed], [digest; 2], &[]));
        assert!(is_there(mode, [confirmed, pending], [digest; 2], &[]));
        assert!(!is_there(mode, [confirmed; 2], [digest; 2], &["--reinstall"]));
        for place in 0..2 {
            let mut digests = [digest; 2];
            digests[place] = [9; 32];
            assert!(!is_there(mode, [confirmed; 2], digests, &[]));
            let mut images = [confirmed; 2];
            images[place] = ImageState::Trial;
            assert!(!is_there(mode, images, [digest; 2], &[]));
        }
    }
}
