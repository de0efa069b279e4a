//! Half of a release of firmware and a table waits for the other one (docs/tables.md, Both in one).

use std::time::Duration;

use serde_json::json;
use suit_manifest::reason::Reason;
use update_protocol::profile::ImageState;

use crate::fake::{After, Script};
use crate::fake_table::Table;
use crate::revocation::warnings;
use crate::{Bench, Ended};

fn firmware_waits(_: &mut Table, script: &mut Script) {
    (script.is_pending, script.is_resumable, script.after) = (true, true, After::Waits);
}

fn table_waits(table: &mut Table, _: &mut Script) {
    (table.image, table.after) = (ImageState::Pending, After::Waits);
}

fn both_wait(table: &mut Table, script: &mut Script) {
    firmware_waits(table, script);
    table_waits(table, script);
    table.manifest_digest = script.manifest_digest;
}

type Change = fn(&mut Table, &mut Script);

fn said(ended: &Ended) -> String {
    format!("{}{}", ended.last["error"]["message"], ended.last["error"]["hint"])
}

/// The technician is told that nothing was started.
#[test]
fn a_reset_that_starts_nothing_says_what_is_missing() {
    let bench = Bench::new();
    for (waits, words, way_out) in [
        (firmware_waits as Change, "its firmware still waits", "run updater-host abandon to drop"),
        (table_waits, "its table still waits", "run updater-host abandon --table to drop"),
    ] {
        let device = bench.with_table(waits);
        let ended = bench.run(&["reset"]);
        ended.is_error("part-missing", 7);
        assert!(said(&ended).contains(words) && said(&ended).contains(way_out), "{}", ended.stdout);
        drop(device);
    }
    // What starts is no half, and neither is one of two that are both there.
    let device = bench.with_table(|table, script| {
        firmware_waits(table, script);
        script.after = After::Confirms;
    });
    assert_eq!(bench.run(&["reset"]).code, 0);
    drop(device);
    let _both = bench.with_table(|table, script| {
        firmware_waits(table, script);
        table_waits(table, script);
        table.manifest_digest = script.manifest_digest;
    });
    assert_eq!(bench.run(&["reset"]).code, 0);
}

/// A device may answer once more before it resets, as it was.
#[test]
fn a_device_that_resets_late_is_no_half() {
    let bench = Bench::new();
    let _device = bench.with_table(|table, script| {
        firmware_waits(table, script);
        (script.after, script.reset_pause) = (After::Confirms, Duration::from_millis(700));
    });
    let ended = bench.run(&["reset"]);
    assert_eq!((ended.code, &ended.last["image"]), (0, &json!("confirmed")), "{}", ended.stdout);
}

/// Its reset starts what waits beside it, unless that is half of a release.
#[test]
fn a_half_that_an_update_does_not_start_is_told() {
    let bench = Bench::new();
    let device = bench.with_table(firmware_waits);
    let ended = bench.update_table(&[]);
    ended.is_result("confirmed", 0);
    assert_eq!(warnings(&ended), ["pending", "part-missing"], "{}", ended.stdout);
    assert!(ended.stdout.contains("unless it waits for its table"), "{}", ended.stdout);
    // The other half may never come.
    assert!(ended.stdout.contains("run updater-host abandon to drop the firmware"), "{}", ended.stdout);
    drop(device);
    // What a device said in its loader before keeps nothing from being told.
    let device = bench.with_table(|table, script| {
        firmware_waits(table, script);
        script.left_for = Some(Reason::SwapFailed.code());
    });
    let ended = bench.update_table(&[]);
    assert_eq!(warnings(&ended), ["pending", "part-missing"], "{}", ended.stdout);
    drop(device);
    // Nor does what its firmware said that this update replaces.
    let device = bench.with_table(|table, script| {
        table_waits(table, script);
        table.manifest_digest = [0x33; 32];
        script.left_for = Some(Reason::SwapFailed.code());
    });
    let ended = bench.update(&[]);
    ended.is_result("confirmed", 0);
    assert_eq!(warnings(&ended), ["pending", "part-missing"], "{}", ended.stdout);
    drop(device);
    let _starts = bench.with_table(|_, script| (script.is_pending, script.is_resumable) = (true, true));
    assert_eq!(warnings(&bench.update_table(&[])), ["pending"]);
}

/// And what is left when one half is dropped.
#[test]
fn whoever_drops_one_half_is_told_of_the_other() {
    let bench = Bench::new();
    for (arguments, drops_the_other) in
        [(&["abandon"][..], "abandon --table"), (&["abandon", "--table"], "abandon drops")]
    {
        let device = bench.with_table(|table, script| {
            firmware_waits(table, script);
            table_waits(table, script);
            table.manifest_digest = script.manifest_digest;
        });
        let ended = bench.run(arguments);
        ended.is_result("abandoned", 0);
        assert_eq!(warnings(&ended), ["part-missing"]);
        assert!(ended.stdout.contains(drops_the_other), "{}", ended.stdout);
        drop(device);
        // Two that do not belong together.
        let device = bench.with_table(|table, script| {
            firmware_waits(table, script);
            table_waits(table, script);
            table.manifest_digest = [0x11; 32];
        });
        assert!(warnings(&bench.run(arguments)).is_empty());
        drop(device);
    }
}

/// Half of a release, or what stands alone: a device does not say, unless it has begun the other half.
#[test]
fn what_waits_is_told_with_what_starts_it() {
    let bench = Bench::new();
    let begun: Change = |table, script| {
        (table.is_resumable, table.resume_offset) = (true, 16);
        table.manifest_digest = script.manifest_digest;
    };
    let firmware_begun: Change = |table, script| {
        (script.is_resumable, script.resume_offset) = (true, 16);
        table.manifest_digest = script.manifest_digest;
    };
    let nothing: Change = |_, _| ();
    let either = "abandon to drop it.";
    for (waits, other, in_list, to_do) in [
        (firmware_waits as Change, nothing, "image waits for a reset, or for the table of its", either),
        (firmware_waits, begun, "image waits for the table of its release", "no reset starts it alone"),
        (
            table_waits,
            nothing,
            "one waits for a reset, or for the firmware of its",
            "abandon --table to drop it.",
        ),
        (table_waits, firmware_begun, "one waits for the firmware of its release", "no reset tries it alone"),
        (firmware_waits, both_wait, "image waits for a reset  ", "updater-host reset to start it, or"),
        (table_waits, both_wait, "one waits for a reset\n", "updater-host reset to start it, or"),
    ] {
        let _device = bench.with_table(|table, script| {
            waits(table, script);
            other(table, script);
        });
        let people =
            |command: &str| String::from_utf8(bench.command(&[command]).output().unwrap().stdout).unwrap();
        let (scan, info) = (people("scan"), people("info"));
        assert!(scan.contains(in_list), "{scan}");
        assert!(info.contains(to_do) && info.contains("abandon"), "{info}");
        let names_both = info.contains("updater-host abandon and updater-host abandon --table to drop both");
        assert_eq!(names_both, to_do.contains("alone"), "{info}");
        let ended = bench.run(&["info"]);
        if ended.last["table"]["image"] == "pending" {
            assert!(info.contains("table installed     all 36 bytes"), "{info}");
        }
    }
}

/// A device that has nothing to be confused with.
#[test]
fn an_image_of_a_device_without_a_table_waits_for_a_reset() {
    let bench = Bench::new();
    let _device = bench.device(|script| (script.is_pending, script.is_resumable) = (true, true));
    let scan = String::from_utf8(bench.command(&["scan"]).output().unwrap().stdout).unwrap();
    assert!(scan.trim_end().ends_with("an installed image waits for a reset"), "{scan}");
}

/// Both are there, and an update takes the place of one.
#[test]
fn an_update_that_replaces_a_half_does_not_start_the_other_one() {
    let bench = Bench::new();
    let _device = bench.with_table(|table, script| {
        both_wait(table, script);
        script.manifest_digest = [0x22; 32];
        table.manifest_digest = [0x22; 32];
    });
    let ended = bench.update(&[]);
    assert!(ended.stdout.contains("this update does not start it"), "{}", ended.stdout);
}
