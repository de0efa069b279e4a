//! Two devices on one node address: noticed, named, refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use update_protocol::profile::Object;

use super::Bench;
use super::fake::{Asked, Script};

#[test]
fn two_devices_on_one_node_address_are_named_and_refused() {
    let bench = Bench::new();
    let one = bench.device(|_| ());
    let other = bench.device(|script| script.serial = b"FAKE-2".to_vec());
    let scan = bench.run(&["scan"]);
    assert_eq!((&scan.last["clashes"], scan.code), (&serde_json::json!([0x10]), 0), "{}", scan.stdout);
    assert_eq!(scan.last["devices"], serde_json::json!([]));
    for command in [&["info"][..], &["info", "--node", "0x10"], &["reset"], &["revocations", "list.cwt"]] {
        bench.run(command).is_error("node-address-clash", 7);
    }
    // Nor does a serial hide it, be it that of one of them.
    for serial in ["FAKE-1", "FAKE-2"] {
        bench.run(&["info", "--serial", serial]).is_error("node-address-clash", 7);
    }
    bench.update(&[]).is_error("node-address-clash", 7);
    let ended = bench.update(&["--node", "0x10"]);
    ended.is_error("node-address-clash", 7);
    let message = ended.last["error"]["message"].as_str().unwrap();
    assert!(message.contains("0x10") && message.contains(" answers came to "), "{message}");
    assert_eq!((one.asked(), other.asked()), (vec![], vec![]));
}

/// Every request counts its answers, so a device that answers later is noticed before a command interrupts it, or while
/// the other one is updated: whatever both took is dropped before they start again.
#[test]
fn a_slower_device_on_the_same_address_is_noticed() {
    for delay in [5, 25] {
        let two = || {
            let bench = Bench::new();
            let one = bench.device(|_| ());
            let other = bench.device(|script| {
                script.serial = b"FAKE-2".to_vec();
                script.answer_delay = Duration::from_millis(delay);
            });
            (bench, one, other)
        };
        for command in [&["info", "--node", "0x10"][..], &["reset"], &["revocations", "list.cwt"]] {
            let (bench, one, other) = two();
            bench.run(command).is_error("node-address-clash", 7);
            assert_eq!((one.asked(), other.asked()), (vec![], vec![]), "{delay} {command:?}");
        }
        // Also where there is nothing to install.
        let bench = Bench::new();
        let runs = |script: &mut Script| {
            (script.active_sequence, script.active_digest) = (5, script.manifest_digest);
        };
        let one = bench.device(runs);
        let other = bench.device(|script| {
            runs(script);
            script.serial = b"FAKE-2".to_vec();
            script.answer_delay = Duration::from_millis(delay);
        });
        bench.update(&["--node", "0x10"]).is_error("node-address-clash", 7);
        assert_eq!((one.asked(), other.asked()), (vec![], vec![]), "{delay}");

        let (bench, one, other) = two();
        bench.update(&["--node", "0x10"]).is_error("node-address-clash", 7);
        for asked in [one.asked(), other.asked()] {
            // The slower one may be deaf to what comes while it answers.
            let last = |wanted: fn(&Asked) -> bool| asked.iter().rposition(wanted);
            let image = last(|asked| matches!(asked, Asked::Object(Object::Image { .. }, _)));
            let abandoned = last(|asked| *asked == Asked::Abandon);
            let is_dropped = abandoned > image || last(|asked| *asked == Asked::Reset) < image;
            assert!(image.is_none() || is_dropped, "{delay}");
        }
        let asked: Vec<Asked> =
            one.asked().into_iter().filter(|asked| !matches!(asked, Asked::Object(..))).collect();
        assert!(one.asked().last().is_none_or(|last| *last == Asked::Reset), "{delay} {asked:?}");
    }
}

/// Only the reset is missing: it waits until a second device must have answered.
#[test]
fn nothing_is_started_before_a_slower_device_has_answered() {
    let bench = Bench::new();
    let waits = |script: &mut Script| (script.is_pending, script.is_resumable) = (true, true);
    let one = bench.device(waits);
    let _other = bench.device(|script| {
        waits(script);
        script.serial = b"FAKE-2".to_vec();
        script.answer_delay = Duration::from_millis(20);
    });
    bench.update(&["--node", "0x10"]).is_error("node-address-clash", 7);
    let asked = one.asked();
    let abandoned = asked.iter().position(|asked| *asked == Asked::Abandon);
    let reset = asked.iter().position(|asked| *asked == Asked::Reset);
    // On a busy machine the second answer may come with the first one: then nothing was asked at all.
    assert!(asked.is_empty() || abandoned.is_some() && reset > abandoned, "{asked:?}");
}

/// Two devices that have an identity share the address at which `provision` looks for a new one.
#[test]
fn provision_names_a_clash_at_the_address_of_new_devices() {
    let bench = Bench::new();
    let one = bench.device(|_| ());
    let other = bench.device(|script| script.serial = b"FAKE-2".to_vec());
    bench.made.write("device.cbor", &crate::made::block("A-1", 0x21));
    bench.run(&["provision", "device.cbor"]).is_error("node-address-clash", 7);
    assert_eq!((one.asked(), other.asked()), (vec![], vec![]));
}

/// Where both answers became one on the bus, what they say of themselves does not fit together.
#[test]
fn a_device_id_of_another_serial_is_a_clash() {
    let bench = Bench::new();
    let device = bench.device(|script| script.serial = b"FAKE-2".to_vec());
    let ended = bench.update(&[]);
    ended.is_error("node-address-clash", 7);
    let message = ended.last["error"]["message"].as_str().unwrap();
    assert!(message.contains("does not belong to the serial FAKE-2"), "{message}");
    assert_eq!(device.asked(), []);
}

/// Two hosts update one device: an answer to one reaches both. What the device refuses then says nothing of the file.
#[test]
fn bus45_two_updates_of_one_device_call_no_good_file_damaged() {
    for (head_start_ms, is_slow) in [(0, false), (30, true), (200, true)] {
        let bench = Bench::new();
        let _device = bench.device(|script| {
            script.block_pause = Duration::from_millis(if is_slow { 40 } else { 0 });
        });
        let update =
            ["--json", "--patience", "2s", "update", "--release", "release.suit", "--image", "image.bin"];
        let first =
            bench.command(&[&update[..], &["--anchor", "root.cose", "--yes"]].concat()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(head_start_ms));
        let second = bench.update(&[]);
        let first = String::from_utf8(first.wait_with_output().unwrap().stdout).unwrap();
        let first: serde_json::Value = serde_json::from_str(first.lines().last().unwrap()).unwrap();
        for ended in [&first, &second.last] {
            assert!(ended["error"]["refused_by"].is_null(), "{head_start_ms} ms: {ended}");
        }
    }
}

/// One device that two programs ask: nobody has to disconnect it.
#[test]
fn another_tester_is_no_second_device() {
    let bench = Bench::new();
    let _device = bench.device(|_| ());
    let is_over = Arc::new(AtomicBool::new(false));
    let other = std::thread::spawn({
        let (is_over, bus) = (Arc::clone(&is_over), bench.bus.parse().unwrap());
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let bus = can_bus::Bus::open(&bus).await.unwrap();
                let addressing = update_protocol::profile::tester_addressing(0x10);
                let mut tester = can_bus::Tester::new(can_bus::IsoTpChannel::new(bus, addressing));
                while !is_over.load(Ordering::Relaxed) {
                    // What this one makes of the answers to the other is not looked at.
                    let _ = tester.read(update_protocol::profile::did::SERIAL).await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
    });
    std::thread::sleep(Duration::from_millis(100));
    // Whom the device answers in time is chance: what is asked may get through, or be told of the other one.
    let rounds: Vec<_> = (0..3).map(|_| (bench.run(&["scan"]), bench.run(&["info"]))).collect();
    is_over.store(true, Ordering::Relaxed);
    other.join().unwrap();
    for (scan, info) in rounds {
        assert_eq!(scan.last["clashes"], serde_json::json!([]), "{}", scan.stdout);
        assert_ne!(info.last["error"]["code"], "node-address-clash", "{}", info.stdout);
    }
}
