//! The table as an application in C has it, against the Rust side over the same flash.

use bootloader::authority::Roots;
use bootloader::state::Status;
use device_harness::device::{Boot, Device};
use device_harness::factory::{Factory, table_description};
use device_harness::part::Tabled;
use flash_model::Cut;

use crate::driver::{CResult, Driver};

type Board = Device<8, 2048, Tabled<Roots>>;

/// A device on trial of a table, which its application has not looked at yet.
fn on_trial() -> (Board, Vec<u8>) {
    let (mut board, factory) = (Board::new(4), Factory::new(1));
    board.provision(&factory);
    let image = board.image(3000, 1);
    board.update(&factory.envelope(1, &image), &image);
    for (sequence, len) in [(1, 2000), (2, 3001)] {
        let table = vec![sequence as u8; len];
        let envelope = factory.envelope_of(&table_description(sequence, &table));
        if sequence == 1 {
            board.update_table(&envelope, &table);
        } else {
            board.install_table(&envelope, &table).unwrap();
        }
    }
    assert!(matches!(board.boot(), Boot::Run(_)));
    (board, vec![2; 3001])
}

#[test]
fn a_table_in_c_is_the_one_in_rust() {
    let mut driver = Driver::start_remapping();
    let (board, table) = on_trial();
    assert_eq!(driver.open_table(&board.nor, &board.table_layout(), board.mailbox()), CResult::Ok);
    let compare = |driver: &mut Driver| {
        let found = board.table().found().unwrap();
        let expected = [
            &[u8::from(found.is_on_trial)][..],
            &found.sequence.to_ne_bytes(),
            &found.address.to_ne_bytes(),
            &found.len.to_ne_bytes(),
        ]
        .concat();
        assert_eq!(driver.call(&board.nor, b'F'), (CResult::Ok, expected));
        let record = board.table().state_record(256);
        assert_eq!(driver.call(&board.nor, b'S'), (CResult::Ok, record.to_vec()));
        found
    };
    assert!(compare(&mut driver).is_on_trial);
    // Wherever words and units end.
    for (offset, len) in [(0, 3001), (0, 1), (3000, 1), (17, 100), (31, 2), (3001, 0)] {
        let expected = table[offset..offset + len].to_vec();
        assert_eq!(driver.read_table(&board.nor, offset as u32, len as u32), (CResult::Ok, expected));
    }
    for (offset, len) in [(0, 3002), (3001, 1), (u32::MAX, 2), (3002, 0)] {
        assert_eq!(driver.read_table(&board.nor, offset, len), (CResult::Outside, vec![]));
    }
    assert_eq!(driver.call(&board.nor, b'C').0, CResult::Ok);
    assert_eq!(board.table_state().status, Status::Idle);
    let operations = board.nor.medium().operations();
    assert_eq!(driver.call(&board.nor, b'C').0, CResult::AlreadyConfirmed);
    assert_eq!(board.nor.medium().operations(), operations);
    assert!(!compare(&mut driver).is_on_trial);
}

#[test]
fn without_the_word_of_the_loader_there_is_no_table() {
    let mut driver = Driver::start_remapping();
    let (board, _) = on_trial();
    let mut flipped = board.mailbox().to_vec();
    flipped[22] ^= 3;
    for mailbox in [vec![0; 32], vec![0xFF; 32], flipped] {
        assert_eq!(driver.open_table(&board.nor, &board.table_layout(), &mailbox), CResult::Ok);
        assert_eq!(driver.call(&board.nor, b'F').0, CResult::NoTable);
        assert_eq!(driver.read_table(&board.nor, 0, 1).0, CResult::NoTable);
        // Nor a trial that could be ended.
        let operations = board.nor.medium().operations();
        assert_eq!(driver.call(&board.nor, b'C').0, CResult::AlreadyConfirmed);
        assert_eq!(board.nor.medium().operations(), operations);
    }
    // The layout of firmware is none of a table, nor the reverse a mistake that a program survives.
    assert_eq!(driver.open_table(&board.nor, &board.layout, board.mailbox()), CResult::Layout);
    assert_eq!(driver.call(&board.nor, b'F').0, CResult::NotOpen);
}

#[test]
fn attack_a_power_cut_while_a_table_is_confirmed_from_c_confirms_or_does_not() {
    let mut driver = Driver::start_remapping();
    let (board, _) = on_trial();
    let clean = board.twin_at_this_start();
    let before = clean.nor.medium().operations();
    clean.table().confirm().unwrap();
    let operations = clean.nor.medium().operations() - before;
    for operation in 0..operations {
        for cut in [Cut::Nothing, Cut::All, Cut::Torn(operation), Cut::Unreadable] {
            let twin = board.twin_at_this_start();
            twin.nor.medium_mut().cut_at(operation, cut);
            assert_eq!(driver.open_table(&twin.nor, &twin.table_layout(), twin.mailbox()), CResult::Ok);
            assert_eq!(driver.call(&twin.nor, b'C').0, CResult::Flash);
            twin.nor.medium_mut().power_on();
            let state = twin.table_state();
            let is_over = state.status == Status::Idle;
            assert!(is_over || state.status == Status::Trial { boots: 1 }, "{operation} {cut:?}: {state:?}");
            assert_eq!(state.floor, if is_over { 2 } else { 1 }, "{operation} {cut:?}");
        }
    }
    assert!(operations > 10);
}

#[test]
fn wrong_pointers_are_refused() {
    let mut driver = Driver::start_remapping();
    let (board, _) = on_trial();
    assert_eq!(driver.open(&board.nor, &board.layout), CResult::Ok);
    assert_eq!(driver.open_table(&board.nor, &board.table_layout(), board.mailbox()), CResult::Ok);
    let (pointers, closed) = driver.misuse_table(&board.nor);
    assert_eq!(pointers, vec![CResult::Pointer; 14]);
    assert_eq!(closed, vec![CResult::NotOpen; 4]);
}
