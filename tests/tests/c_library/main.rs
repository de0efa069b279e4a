//! The C library on this machine: a program in C, compiled by gcc and linked against the static library, with the flash
//! model for its flash. What it does has to be what the Rust side does, over every power cut.

#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod driver;
mod export;
mod header;
mod table;

use bootloader::application::Confirmation;
use bootloader::layout::Slot;
use bootloader::state::Status;
use device_harness::device::{Boot, Device, download};
use device_harness::factory::Factory;
use device_harness::part;
use flash_model::{Cut, Nor};
use update_protocol::profile::{DEFAULT_NODE_ADDRESS, Object, StateRecord};
use update_protocol::uds::server::{Download, Handler as _};

use driver::{CResult, Driver};

const CUTS: [Cut; 7] =
    [Cut::Nothing, Cut::All, Cut::Weak, Cut::Torn(3), Cut::Unreadable, Cut::Fades(3), Cut::Settles(3)];

/// A device whose second image is on trial and runs.
fn on_trial<const WORD: usize, const PAGE: usize>() -> Device<WORD, PAGE> {
    let factory = Factory::new(7);
    let mut device = Device::<WORD, PAGE>::new(4);
    device.provision(&factory);
    let first = device.image(900, 1);
    device.update(&factory.envelope(1, &first), &first);
    let second = device.image(1000, 2);
    device.install(&factory.envelope(2, &second), &second).expect("install");
    assert!(matches!(device.boot(), Boot::Run(_)));
    assert!(matches!(device.state().status, Status::Trial { boots: 1 }));
    device
}

/// C and Rust see the same in the same flash.
fn compare<const WORD: usize, const PAGE: usize>(
    driver: &mut Driver,
    device: &Device<WORD, PAGE>,
    place: &str,
) {
    assert_eq!(driver.open(&device.nor, &device.layout), CResult::Ok, "{place}");
    let mut application = device.application();
    let encoded = application.state_record(256);
    let record = StateRecord::decode(&encoded).unwrap();
    let (result, bytes) = driver.call(&device.nor, b'r');
    assert_eq!((result, bytes.as_slice()), (CResult::Ok, &encoded[..]), "{place}");
    let (result, state) = driver.call(&device.nor, b's');
    assert_eq!(result, CResult::Ok);
    assert_eq!(state[..8], record.active_sequence.to_ne_bytes(), "{place}");
    assert_eq!(state[8..16], record.sequence_floor.to_ne_bytes(), "{place}");
    assert_eq!(state[16..48], record.active_digest, "{place}");
    assert_eq!(state[48..50], record.reason.to_ne_bytes(), "{place}");
    assert_eq!(state[50..52], [record.image as u8, 0], "{place}");
    let (result, bytes) = driver.call(&device.nor, b'i');
    let Some(identity) = application.identity() else {
        assert_eq!(result, CResult::NotProvisioned, "{place}");
        assert_eq!(bytes[..48], [0; 48]);
        assert_eq!(bytes[48..], *b"unprovisioned\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10");
        return;
    };
    assert_eq!(result, CResult::Ok, "{place}");
    let mut serial = identity.serial().as_bytes().to_vec();
    serial.resize(33, 0);
    let expected =
        [&identity.vendor[..], &identity.class, &identity.device, &serial, &[identity.node_address]].concat();
    assert_eq!(bytes, expected, "{place}");
}

/// Confirms in C with the power cut at every operation in every way, and in Rust with the same cut: the same flash, and
/// the trial is as it was or over, never anything else.
fn cut_everywhere<const WORD: usize, const PAGE: usize>(driver: &mut Driver) -> u32 {
    let device = on_trial::<WORD, PAGE>();
    let place = format!("word {WORD}, page {PAGE}");
    compare(driver, &device, &place);
    let clean = device.twin();
    let before = clean.nor.medium().operations();
    clean.application().confirm().unwrap();
    let operations = clean.nor.medium().operations() - before;
    let mut cuts = 0;
    for operation in 0..operations {
        for cut in CUTS {
            let place = format!("{place}, operation {operation}, {cut:?}");
            let (c, rust) = (device.twin(), device.twin());
            for twin in [&c, &rust] {
                twin.nor.medium_mut().cut_at(operation, cut);
            }
            rust.application().confirm().unwrap_err();
            assert_eq!(driver.open(&c.nor, &c.layout), CResult::Ok);
            assert_eq!(driver.call(&c.nor, b'c').0, CResult::Flash, "{place}");
            for twin in [&c, &rust] {
                assert!(twin.nor.medium().is_off(), "{place}");
                twin.nor.medium_mut().power_on();
            }
            assert_eq!(c.nor.medium().bytes(), rust.nor.medium().bytes(), "{place}");
            compare(driver, &c, &place);
            let state = c.state();
            let is_over = state.status == Status::Idle;
            assert!(is_over || state.status == Status::Trial { boots: 1 }, "{place}: {state:?}");
            assert_eq!(state.floor, if is_over { 2 } else { 1 }, "{place}");
            // The application tries again; whatever was left in doubt, the trial ends.
            let again = driver.call(&c.nor, b'c').0;
            assert_eq!(again, if is_over { CResult::AlreadyConfirmed } else { CResult::Ok }, "{place}");
            c.nor.medium_mut().power_cycle();
            assert!(again == CResult::AlreadyConfirmed || c.state().status == Status::Idle, "{place}");
            cuts += 1;
        }
    }
    cuts
}

#[test]
fn attack_a_power_cut_in_a_confirmation_from_c_confirms_or_does_not() {
    let mut driver = Driver::start();
    let mut cuts = 0;
    cuts += cut_everywhere::<1, 512>(&mut driver);
    cuts += cut_everywhere::<8, 4096>(&mut driver);
    cuts += cut_everywhere::<16, 2048>(&mut driver);
    cuts += cut_everywhere::<32, 8192>(&mut driver);
    println!("{cuts} cuts");
    assert!(cuts > 500);
}

#[test]
fn a_confirmation_from_c_is_the_one_from_rust() {
    let mut driver = Driver::start();
    let device = on_trial::<8, 2048>();
    let rust = device.twin();
    assert_eq!(rust.application().confirm(), Ok(Confirmation::Confirmed));
    assert_eq!(driver.open(&device.nor, &device.layout), CResult::Ok);
    assert_eq!(driver.call(&device.nor, b'c').0, CResult::Ok);
    assert_eq!(device.nor.medium().bytes(), rust.nor.medium().bytes());
    let operations = device.nor.medium().operations();
    assert_eq!(driver.call(&device.nor, b'c').0, CResult::AlreadyConfirmed);
    assert_eq!(device.nor.medium().operations(), operations);
    compare(&mut driver, &device, "confirmed");
    assert_eq!(device.state().floor, 2);
}

/// The image of either slot is on trial and confirms itself. A library without the feature refuses the layout: it would
/// write a journal that the loader does not know.
#[test]
fn a_confirmation_from_c_without_a_swap_is_the_one_from_rust() {
    let (mut swapping, mut driver) = (Driver::start(), Driver::start_remapping());
    let swapped = on_trial::<8, 2048>();
    compare(&mut driver, &swapped, "with a swap");
    for layout in [part::in_place, part::bank_switch] {
        let factory = Factory::new(7);
        let layout = layout(2048, 4);
        let mut device = Device::<8, 2048>::over(Nor::new(layout.flash_len()), layout);
        device.provision(&factory);
        for (sequence, slot) in [(1, Slot::A), (2, Slot::B), (3, Slot::A)] {
            let place = format!("{:?}, release {sequence}", layout.strategy());
            let image = device.image_for(slot, 900, sequence as u8);
            device.install(&factory.envelope(sequence, &image), &image).expect("install");
            assert!(matches!(device.boot(), Boot::Run(_)), "{place}");
            compare(&mut driver, &device, &place);
            assert_eq!(swapping.open(&device.nor, &device.layout), CResult::Layout, "{place}");
            let rust = device.twin();
            assert_eq!(rust.application().confirm(), Ok(Confirmation::Confirmed), "{place}");
            assert_eq!(driver.open(&device.nor, &device.layout), CResult::Ok, "{place}");
            assert_eq!(driver.call(&device.nor, b'c').0, CResult::Ok, "{place}");
            assert_eq!(device.nor.medium().bytes(), rust.nor.medium().bytes(), "{place}");
            assert_eq!(device.state().floor, sequence, "{place}");
            compare(&mut driver, &device, &place);
        }
    }
}

/// An install that was interrupted: the marks, which take places of 16 or of 32 bytes.
#[test]
fn an_install_that_can_be_resumed_reads_in_c_as_in_rust() {
    fn interrupt<const WORD: usize, const PAGE: usize>(driver: &mut Driver) {
        let factory = Factory::new(7);
        let mut device = Device::<WORD, PAGE>::new(40_000u32.div_ceil(PAGE as u32));
        device.provision(&factory);
        let first = device.image(900, 1);
        device.update(&factory.envelope(1, &first), &first);
        let image = device.image(30_000, 2);
        let nor = device.nor.clone();
        let mut session = device.program();
        download(&nor, &mut session, Object::Envelope, &factory.envelope(2, &image)).expect("envelope");
        let download = Download { address: 0x1000_0000, size: 30_000 };
        session.open_object(download).expect("image");
        session.write_object(0, &image[..20_000]).expect("blocks");
        session.close_object();
        assert!(matches!(device.boot(), Boot::Run(_)));
        let record = StateRecord::decode(&device.application().state_record(256)).unwrap();
        assert!(record.flags.resumable && record.resume_offset > 8000, "{record:?}");
        compare(driver, &device, &format!("word {WORD}"));
    }
    let mut driver = Driver::start();
    interrupt::<1, 512>(&mut driver);
    interrupt::<8, 4096>(&mut driver);
    interrupt::<16, 2048>(&mut driver);
    interrupt::<32, 8192>(&mut driver);
}

/// Full halves of the journal: the library erases, through the third callback.
#[test]
fn a_confirmation_from_c_turns_the_journal_over() {
    let mut driver = Driver::start();
    let factory = Factory::new(7);
    let mut device = Device::<8, 512>::new(2);
    device.provision(&factory);
    let mut erases = 0;
    for sequence in 1..=30u8 {
        let image = device.image(600, sequence);
        device.install(&factory.envelope(sequence.into(), &image), &image).expect("install");
        assert!(matches!(device.boot(), Boot::Run(_)));
        let before: u32 = device.nor.medium().erases().iter().sum();
        assert_eq!(driver.open(&device.nor, &device.layout), CResult::Ok);
        assert_eq!(driver.call(&device.nor, b'c').0, CResult::Ok);
        erases += device.nor.medium().erases().iter().sum::<u32>() - before;
        assert_eq!((device.state().status, device.state().floor), (Status::Idle, sequence.into()));
    }
    assert!(erases > 0, "the journal was never turned over");
}

/// Any word of the flash that is read at all decays or faults: C sees what Rust sees, and nothing crashes.
#[test]
fn attack_decayed_flash_reads_in_c_as_in_rust() {
    let mut driver = Driver::start();
    let device = on_trial::<8, 2048>();
    let read = device.layout.regions().slot_a.start as usize;
    let mut refused = 0;
    for offset in (0..read).step_by(8) {
        if device.nor.medium().bytes()[offset..offset + 8] == [0xFF; 8] && !offset.is_multiple_of(256) {
            continue;
        }
        for fault in [true, false] {
            let twin = device.twin();
            if fault {
                twin.nor.medium_mut().break_word(offset);
            } else {
                let byte = twin.nor.medium().bytes()[offset + 3] ^ 0x24;
                twin.nor.medium_mut().tamper(offset + 3, &[byte]);
            }
            compare(&mut driver, &twin, &format!("{offset:#x}, {fault}"));
            assert_eq!(driver.call(&twin.nor, b'c').0, CResult::Ok);
            assert_eq!(twin.state().floor, 2);
            refused += 1;
        }
    }
    assert!(refused > 100);
}

#[test]
fn attack_flash_of_noise_is_a_device_without_identity_in_c() {
    let mut driver = Driver::start();
    let device = Device::<8, 2048>::new(2);
    compare(&mut driver, &device, "erased");
    let mut random = flash_model::Random(5);
    for _ in 0..50 {
        let noise: Vec<u8> =
            (0..device.layout.flash_len()).map(|_| random.number().to_le_bytes()[0]).collect();
        device.nor.medium_mut().tamper(0, &noise);
        compare(&mut driver, &device, "noise");
    }
    let before = device.nor.medium().operations();
    // No loader runs an application on a device without provisioning: it is the journal that does not read.
    assert_eq!(driver.call(&device.nor, b'c').0, CResult::Flash);
    assert_eq!(device.nor.medium().operations(), before);
    let (_, record) = driver.call(&device.nor, b'r');
    let record = StateRecord::decode(&record).unwrap();
    assert_eq!((record.active_sequence, record.sequence_floor), (0, 0));
    let (_, identity) = driver.call(&device.nor, b'i');
    assert_eq!(identity.last(), Some(&DEFAULT_NODE_ADDRESS));
}

#[test]
fn attack_a_wrong_pointer_from_c_is_an_answer() {
    let mut driver = Driver::start();
    let device = on_trial::<8, 2048>();
    let before = device.nor.medium().operations();
    assert_eq!(driver.open(&device.nor, &device.layout), CResult::Ok);
    let (pointers, closed) = driver.misuse(&device.nor);
    assert_eq!(pointers, vec![CResult::Pointer; 22]);
    assert_eq!(closed, vec![CResult::NotOpen; 4]);
    assert_eq!(device.nor.medium().operations(), before);
    compare(&mut driver, &device, "after misuse");
}

/// The numbers as they were generated, and nothing else.
#[test]
fn attack_a_layout_that_was_changed_is_refused() {
    let mut driver = Driver::start();
    let device = on_trial::<8, 2048>();
    let good = device.layout.numbers();
    for index in 0..good.len() {
        for bit in [0, 9, 31] {
            let mut numbers = good;
            numbers[index] ^= 1 << bit;
            assert_eq!(driver.open_numbers(&device.nor, &numbers, 8), CResult::Layout, "{index}, {bit}");
        }
    }
    for word in [0, 3, 24, 33, 64, u32::MAX] {
        assert_eq!(driver.open_numbers(&device.nor, &good, word), CResult::Layout, "{word}");
    }
    assert_eq!(driver.call(&device.nor, b'c').0, CResult::NotOpen);
    assert_eq!(driver.open_numbers(&device.nor, &good, 8), CResult::Ok);
}

#[test]
fn the_mailbox_is_written_as_documented() {
    let mut driver = Driver::start();
    let nor = Nor::<8, 512>::new(512);
    let (result, mailbox) = driver.call(&nor, b'a');
    assert_eq!(result, CResult::Ok);
    assert_eq!(mailbox, [&[0xEE; 28][..], b"LIVE"].concat());
    let (result, mailbox) = driver.call(&nor, b'l');
    assert_eq!(result, CResult::Ok);
    let request = [b"ANCHRMB1", &[1, 1, 0, 0][..], &[0x11, 0x9A, 0xC5, 0xA4]].concat();
    assert_eq!(mailbox, [request, vec![0xEE; 16]].concat());
}

#[test]
fn every_result_has_a_text() {
    let mut driver = Driver::start();
    let nor = Nor::<8, 512>::new(512);
    let texts: Vec<_> = (0..CResult::ALL.len() as i32).map(|number| driver.text(&nor, number)).collect();
    let distinct: std::collections::BTreeSet<_> = texts.iter().collect();
    assert_eq!(distinct.len(), texts.len(), "{texts:?}");
    for number in [-1, CResult::ALL.len() as i32, i32::MAX] {
        assert_eq!(driver.text(&nor, number), "unknown result");
    }
    assert!(!distinct.contains(&"unknown result".to_owned()));
}
