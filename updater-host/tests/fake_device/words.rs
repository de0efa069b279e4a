//! What a technician is told: the device, the bus, what to do; the words of the protocol only with `-v`.

use std::io::{BufRead as _, BufReader};

use update_protocol::uds::Nrc;

use super::{After, Asked, Bench, Ended};

const UPDATE: [&str; 10] = [
    "update",
    "--release",
    "release.suit",
    "--image",
    "image.bin",
    "--anchor",
    "root.cose",
    "--yes",
    "--confirm-timeout",
    "1s",
];

fn message(ended: &Ended) -> &str {
    ended.last["error"]["message"].as_str().unwrap()
}

/// As people see it.
fn people(bench: &Bench, arguments: &[&str]) -> Ended {
    Ended::of(&bench.command(&[&["--patience", "2s"], arguments].concat()).output().unwrap())
}

#[test]
fn an_unplugged_device_is_told_with_what_to_do_and_how_long_the_program_waits() {
    for verbose in [false, true] {
        let bench = Bench::new();
        let _device = bench.device(|script| script.dies_after = Some(6000));
        let flag: &[&str] = if verbose { &["-v"] } else { &[] };
        let ended = people(&bench, &[&UPDATE, flag].concat());
        assert_eq!(ended.code, 3);
        for words in [
            "Check its power and the cable",
            "continues when the device answers",
            "Waiting for the device",
            "s more",
        ] {
            assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        }
        let protocol = ["N_Bs", "N_Cr", "service"].iter().any(|word| ended.stderr.contains(word));
        assert_eq!(protocol, verbose, "{}", ended.stderr);
        // Once, however often it was tried.
        assert_eq!(ended.stderr.matches("Contact with the device was lost").count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn scripts_hear_how_long_a_lost_device_is_waited_for() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.dies_after = Some(6000));
    let ended = bench.update(&[]);
    let events: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let retry = events.iter().find(|event| event["event"] == "retry").unwrap();
    assert!(retry["patience_ms"].as_u64().unwrap() <= 2000 && retry["detail"].is_string(), "{retry}");
    assert!(events.iter().any(|event| event["event"] == "waiting" && event["step"] == "reconnect"));
}

#[test]
fn a_trial_shows_in_a_scan_and_gives_signs_of_life() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.after = After::StaysOnTrial);
    let ended = bench.update(&[]);
    assert!(
        ended.stdout.contains(r#"{"event":"waiting","step":"trial","seconds_left":1}"#),
        "{}",
        ended.stdout
    );
    assert_eq!(bench.run(&["scan"]).last["devices"][0]["image"], "trial");
    let scan = people(&bench, &["scan"]).stdout;
    assert!(scan.contains("on trial: not confirmed"), "{scan}");
    let ended = people(&bench, &UPDATE);
    assert!(ended.stderr.contains("has not confirmed itself yet; this program waits"), "{}", ended.stderr);
}

#[test]
fn a_revert_shows_in_a_scan() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.after = After::Reverts);
    bench.update(&[]).is_result("reverted", 7);
    assert_eq!(bench.run(&["scan"]).last["devices"][0]["reverted"], true);
    assert!(people(&bench, &["scan"]).stdout.contains("reverted after a failed update"));
}

/// One device whose provisioning block or journal is damaged: it is not taken for two, and its reason shows.
#[test]
fn a_device_that_lost_its_identity_is_named_as_damaged() {
    let bench = Bench::new();
    let device = bench.device(|script| {
        script.serial = b"unprovisioned".to_vec();
        script.identity = vec![0; 48];
        script.stays_for = Some(0x030a);
    });
    let scan = people(&bench, &["scan"]);
    assert!(scan.stdout.contains("DAMAGED: it does not know its identity any more"), "{}", scan.stdout);
    let scan = bench.run(&["scan"]);
    assert_eq!(scan.last["clashes"], serde_json::json!([]));
    assert_eq!(scan.last["devices"][0]["lost_identity"], true);
    assert_eq!(bench.run(&["info"]).last["reason"], "journal-corrupt");
    bench.made.write("block", &crate::made::block("A-1", 0x21));
    for ended in [bench.run(&UPDATE), bench.run(&["provision", "block"])] {
        ended.is_error("no-identity", 7);
        assert!(
            message(&ended).ends_with("does not know its identity any more: journal-corrupt"),
            "{}",
            ended.stdout
        );
    }
    assert_eq!(device.asked(), []);
}

#[test]
fn a_device_without_an_image_shows_in_a_scan() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.stays_for = Some(0x0311));
    let scan = people(&bench, &["scan"]);
    assert!(scan.stdout.contains("nothing to run: no valid image"), "{}", scan.stdout);
}

#[test]
fn a_forgotten_bus_is_named() {
    let bench = Bench::new();
    for arguments in [&["--json", "scan"][..], &["--json", "info", "--node", "0x77"], &["--json", "info"]] {
        let ended = Ended::of(&bench.command(arguments).env_remove("ANCHORAGE_BUS").output().unwrap());
        assert_eq!(ended.code, 3);
        assert!(message(&ended).contains("the simulator's bus (--bus was not given)"), "{}", ended.stdout);
        assert!(ended.last["error"]["hint"].as_str().unwrap().contains("--bus socketcan:can0"));
    }
    let named = bench.run(&["info", "--node", "0x77"]);
    named.is_error("device-silent", 3);
    assert!(
        message(&named).contains(&bench.bus) && !message(&named).contains("simulator"),
        "{}",
        named.stdout
    );
}

#[test]
fn a_unit_that_refuses_to_identify_itself_is_told_with_its_refusal() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.refuses_reads = Some(Nrc::SECURITY_ACCESS_DENIED));
    let scan = bench.run(&["scan"]);
    let unit = scan.last["others"][0].to_string();
    assert!(unit.contains("refuses to identify itself: it must be unlocked first"), "{unit}");
    for command in [&["info"][..], &["reset"]] {
        let ended = bench.run(command);
        ended.is_error("no-device", 3);
        assert!(
            message(&ended).contains("node 0x10") && message(&ended).contains("unlocked"),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn a_unit_that_answers_from_another_address_is_told() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.answers_from = Some(0x22));
    let ended = bench.run(&["info"]);
    ended.is_error("no-device", 3);
    assert!(
        message(&ended).contains("node 0x22") && message(&ended).contains("another address"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_refused_session_is_told_in_words_and_not_tried_again() {
    for (nrc, words, hint) in [
        (Nrc::SUB_FUNCTION_NOT_IN_SESSION, "does not allow this at present", "switch the device off and on"),
        (Nrc::VOLTAGE_TOO_HIGH, "its supply voltage is too high", "supply voltage"),
        (Nrc::VOLTAGE_TOO_LOW, "its supply voltage is too low", "supply voltage"),
        (Nrc::SECURITY_ACCESS_DENIED, "must be unlocked first", "Ask the manufacturer"),
    ] {
        let bench = Bench::new();
        let device = bench.device(|script| script.refuses_session = Some(nrc));
        let ended = bench.update(&[]);
        ended.is_error(&format!("nrc-{:02x}", nrc.0), 7);
        assert!(message(&ended).contains(words), "{}", ended.stdout);
        assert!(ended.last["error"]["hint"].as_str().unwrap().contains(hint), "{}", ended.stdout);
        assert_eq!(device.asked(), [Asked::Programming]);
    }
}

#[test]
fn a_mismatch_names_both_classes_and_a_rollback_both_versions() {
    let bench = Bench::new();
    {
        let _device = bench.device(|script| script.identity[16..32].fill(0x77));
        let ended = bench.update(&[]);
        ended.is_error("class-mismatch", 5);
        let made_for = uuid::Uuid::from_bytes(crate::made::CLASS).to_string();
        for class in [made_for.as_str(), "77777777-7777-7777-7777-777777777777"] {
            assert!(message(&ended).contains(class), "{class}: {}", ended.stdout);
        }
    }
    let _device = bench.device(|script| {
        script.active_sequence = 9;
        script.version = b"9.0.0".to_vec();
    });
    let ended = bench.update(&[]);
    ended.is_error("sequence-rollback", 6);
    for words in ["the release is 5.0.0, sequence number 5", "the device runs 9.0.0, sequence number 9"] {
        assert!(message(&ended).contains(words), "{words}: {}", ended.stdout);
    }
}

#[test]
fn labels_at_odds_are_told() {
    let bench = Bench::new();
    let _device = bench.device(|script| script.version_after = b"3.0.0".to_vec());
    let ended = bench.update(&[]);
    ended.is_result("confirmed", 0);
    let warning = ended.stdout.lines().find(|line| line.contains("version-labels-differ")).unwrap();
    assert!(warning.contains("5.0.0") && warning.contains("3.0.0"), "{warning}");
}

#[test]
fn an_unknown_bit_rate_is_said_and_not_assumed() {
    let bench = Bench::new();
    let _device = bench.device(|_| ());
    let ended = people(&bench, &UPDATE);
    assert!(ended.stderr.contains("the bit rate of the bus is not known"), "{}", ended.stderr);
}

/// `updater-host --json ... | head -1`
#[test]
fn a_closed_pipe_does_not_change_the_exit_code() {
    let bench = Bench::new();
    let _device = bench.device(|_| ());
    let mut child = bench.command(&[&["--json"], &UPDATE[..]].concat()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with('{'), "{line}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for arguments in [&["scan"][..], &["--json", "info"], &["--help"]] {
        let mut child = bench.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn an_equal_number_of_another_manifest_is_no_release_that_runs_already() {
    for (active_digest, result) in [([9; 32], "confirmed"), ([0; 32], "up-to-date")] {
        let bench = Bench::new();
        let _device = bench.device(|script| {
            (script.active_sequence, script.active_digest) = (crate::made::SEQUENCE, active_digest);
        });
        let ended = bench.update(&[]);
        ended.is_result(result, 0);
        assert_eq!(ended.stdout.contains("same-number"), result == "confirmed", "{}", ended.stdout);
        bench.update(&[]).is_result("up-to-date", 0);
    }
}

/// Such a clock finds no credential expired.
#[test]
fn a_clock_before_the_credential_was_issued_gives_a_warning() {
    let bench = Bench::new();
    let _device = bench.device(|_| ());
    bench.made.renew(1 << 40);
    let ended = bench.update(&[]);
    ended.is_result("confirmed", 0);
    assert!(ended.stdout.contains(r#""code":"clock""#), "{}", ended.stdout);
}

#[test]
fn an_empty_variable_is_unset_and_the_command_line_wins() {
    let bench = Bench::new();
    let _device = bench.device(|_| ());
    for variable in ["", "nonsense:"] {
        for arguments in
            [&["--json", "--bus", &bench.bus, "scan"][..], &["--json", "scan", "--bus", &bench.bus]]
        {
            let mut command = bench.command(arguments);
            let ended = Ended::of(&command.env("ANCHORAGE_BUS", variable).output().unwrap());
            assert_eq!(ended.code, 0, "{variable:?} {}", ended.stderr);
        }
    }
    let ended = Ended::of(&bench.command(&["--json", "scan"]).env("ANCHORAGE_BUS", "").output().unwrap());
    ended.is_error("no-device", 3);
    assert!(message(&ended).contains("--bus was not given"), "{}", ended.stdout);
    let ended =
        Ended::of(&bench.command(&["--json", "scan"]).env("ANCHORAGE_BUS", "nonsense:").output().unwrap());
    assert_eq!(ended.code, 2, "{}", ended.stderr);
}

#[test]
fn an_install_is_abandoned_and_what_runs_goes_on() {
    let bench = Bench::new();
    {
        // An application is not interrupted when there is nothing to abandon.
        let device = bench.device(|_| ());
        bench.run(&["abandon"]).is_result("nothing-to-abandon", 0);
        assert_eq!(device.asked(), []);
    }
    let device = bench.device(|script| script.is_resumable = true);
    let ended = bench.run(&["abandon"]);
    ended.is_result("abandoned", 0);
    assert_eq!(device.asked(), [Asked::Programming, Asked::Abandon, Asked::Reset]);
}
