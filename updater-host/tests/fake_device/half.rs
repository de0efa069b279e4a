//! Half of a release of firmware and a table waits for the other one (docs/tables.md, Both in one).

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

fn said(ended: &Ended) -> String {
    format!("{}{}", ended.last["error"]["message"], ended.last["error"]["hint"])
}

/// The technician is told that nothing was started.
#[test]
fn a_reset_that_starts_nothing_says_what_is_missing() {
    let bench = Bench::new();
    for (waits, words) in [
        (firmware_waits as fn(&mut Table, &mut Script), "its firmware still waits"),
        (table_waits, "its table still waits"),
    ] {
        let device = bench.with_table(waits);
        let ended = bench.run(&["reset"]);
        ended.is_error("part-missing", 7);
        assert!(said(&ended).contains(words) && said(&ended).contains("abandon --table"), "{}", ended.stdout);
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

/// Its reset starts what waits beside it, unless that is half of a release.
#[test]
fn a_half_that_an_update_does_not_start_is_told() {
    let bench = Bench::new();
    let device = bench.with_table(firmware_waits);
    let ended = bench.update_table(&[]);
    ended.is_result("confirmed", 0);
    assert_eq!(warnings(&ended), ["pending", "part-missing"], "{}", ended.stdout);
    assert!(ended.stdout.contains("unless it waits for its table"), "{}", ended.stdout);
    drop(device);
    // What a device said in its loader before keeps nothing from being told.
    let device = bench.with_table(|table, script| {
        firmware_waits(table, script);
        script.left_for = Some(suit_manifest::reason::Reason::SwapFailed.code());
    });
    let ended = bench.update_table(&[]);
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
