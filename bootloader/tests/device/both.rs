//! A release of firmware and a table: tried together, and confirmed and reverted with the firmware (docs/boot-rules.md, Both
//! in one).

use bootloader::application::Confirmation;
use bootloader::authority::Roots;
use bootloader::layout::{Area, Slot};
use bootloader::state::Status;
use device_harness::device::{
    Boot, Device, begin, component_routine, download, listening_wake, record, refused_table,
    refused_untouched, table_record,
};
use device_harness::factory::{
    Factory, authentication_key, description, device_key, encrypted, in_one_file, one_file,
    table_description, with_table,
};
use device_harness::part::{Deciphering, Tabled};
use suit_manifest::Reason;
use trust::encryption::ContentAlgorithm;
use update_protocol::profile::{Component, DependencyStatus, ImageState, Object, rid};

type Board = Device<8, 4096, Tabled<Roots>>;

/// A release of both: its envelope, the firmware and the table.
struct Both {
    envelope: Vec<u8>,
    image: Vec<u8>,
    table: Vec<u8>,
}

/// A device that runs release 5 of both, each by itself.
fn board() -> (Board, Factory) {
    let mut board = Board::new(4);
    let factory = Factory::new(1);
    board.provision_with(&factory, &[device_key("A-0001"), authentication_key("A-0001")]);
    let image = board.image(6000, 1);
    board.update(&factory.envelope(5, &image), &image);
    let table = vec![5; 3000];
    board.update_table(&factory.envelope_of(&table_description(5, &table)), &table);
    (board, factory)
}

fn release(board: &Board, factory: &Factory, sequence: u8) -> Both {
    let (image, table) = (board.image(5000, sequence), vec![sequence; 2000]);
    let sequence = sequence.into();
    let update = with_table(&description(sequence, &image), &table_description(sequence, &table));
    Both { envelope: factory.envelope_of(&update), image, table }
}

fn install(board: &mut Board, both: &Both) {
    board.install_table(&both.envelope, &both.table).unwrap();
    board.install(&both.envelope, &both.image).unwrap();
}

/// What runs, and the table that it found: their sequence numbers.
fn running(board: &mut Board) -> (u64, Option<u64>) {
    assert!(matches!(board.boot(), Boot::Run(_)));
    let found = board.table().found();
    (board.state().active.unwrap().sequence, found.map(|found| found.sequence))
}

fn floors(board: &Board) -> (u64, u64) {
    (board.state().floor, board.table_state().floor)
}

#[test]
fn firmware_and_table_of_a_release_are_tried_and_confirmed_together() {
    for table_first in [true, false] {
        let (mut board, factory) = board();
        let both = release(&board, &factory, 6);
        if table_first {
            install(&mut board, &both);
        } else {
            board.install(&both.envelope, &both.image).unwrap();
            board.install_table(&both.envelope, &both.table).unwrap();
        }
        assert_eq!(running(&mut board), (6, Some(6)));
        assert!(board.found_table().as_ref() == Some(&both.table));
        assert!(board.table().found().unwrap().is_on_trial);
        // The table is not confirmed before the firmware, nor without it.
        assert_eq!(board.table().confirm(), Ok(Confirmation::WithFirmware));
        assert_eq!(floors(&board), (5, 5));
        assert_eq!(board.application().confirm(), Ok(Confirmation::Confirmed));
        assert_eq!(board.table().confirm(), Ok(Confirmation::WithFirmware));
        assert_eq!(running(&mut board), (6, Some(6)));
        assert_eq!(floors(&board), (6, 6));
        assert_eq!((board.state().status, board.table_state().status), (Status::Idle, Status::Idle));
        assert_eq!(table_record(&board.program()).image, ImageState::Confirmed);
        // Each of both goes its own way again.
        let table = vec![7; 100];
        board.update_table(&factory.envelope_of(&table_description(7, &table)), &table);
        assert_eq!(running(&mut board), (6, Some(7)));
        let image = board.image(6000, 8);
        board.update(&factory.envelope(8, &image), &image);
        assert_eq!(running(&mut board), (8, Some(7)));
        // And together.
        let both = release(&board, &factory, 9);
        install(&mut board, &both);
        assert_eq!(running(&mut board), (9, Some(9)));
        board.application().confirm().unwrap();
        assert_eq!(running(&mut board), (9, Some(9)));
        assert_eq!(floors(&board), (9, 9));
    }
}

/// docs/attacks.md, SUIT69: the application confirms the table and not the firmware, or nothing.
#[test]
fn suit69_a_release_that_is_not_confirmed_goes_back_as_a_whole() {
    for confirms_table in [false, true] {
        let (mut board, factory) = board();
        let both = release(&board, &factory, 6);
        install(&mut board, &both);
        assert_eq!(running(&mut board), (6, Some(6)));
        if confirms_table {
            board.table().confirm().unwrap();
        }
        assert_eq!(running(&mut board), (5, Some(5)));
        assert_eq!(floors(&board), (5, 5));
        let why = Reason::TrialNotConfirmed.code();
        assert_eq!((board.state().revert_reason, board.table_state().revert_reason), (why, why));
        assert_eq!(running(&mut board), (5, Some(5)));
        // The same release may be tried again.
        install(&mut board, &both);
        assert_eq!(running(&mut board), (6, Some(6)));
    }
}

/// docs/attacks.md, SUIT69: half of a release is sent, and the device is reset.
#[test]
fn suit69_half_of_a_release_waits_for_the_other_one() {
    let (mut board, factory) = board();
    let (both, nor) = (release(&board, &factory, 6), board.nor.clone());
    board.install(&both.envelope, &both.image).unwrap();
    // Who asks whether it is good is told what is missing.
    {
        let mut session = board.program();
        let checked = component_routine(&mut session, rid::CHECK_PROGRAMMING_DEPENDENCIES, &[]).unwrap();
        assert_eq!(checked, DependencyStatus::NoMatch as u8);
        assert_eq!(record(&session).reason, Reason::PartMissing.code());
    }
    for _ in 0..2 {
        assert_eq!(running(&mut board), (5, Some(5)));
        assert_eq!(board.state().status, Status::Pending);
    }
    // Some of the other half is not the other half.
    {
        let mut session = board.program();
        let content = Object::Image { offset: 0 }.of(Component::Table);
        download(&nor, &mut session, Object::Envelope.of(Component::Table), &both.envelope).unwrap();
        begin(&mut session, content, &both.table, 1414).unwrap();
    }
    assert_eq!(running(&mut board), (5, Some(5)));
    assert_eq!(board.state().status, Status::Pending);
    board.install_table(&both.envelope, &both.table).unwrap();
    assert_eq!(running(&mut board), (6, Some(6)));
    // The other way round.
    let (mut board, _) = self::board();
    board.install_table(&both.envelope, &both.table).unwrap();
    for _ in 0..2 {
        assert_eq!(running(&mut board), (5, Some(5)));
        assert_eq!(board.table_state().status, Status::Pending);
    }
    // A table of another release is not the other half.
    let (mut board, _) = self::board();
    board.install(&both.envelope, &both.image).unwrap();
    let other = release(&board, &factory, 7);
    board.install_table(&other.envelope, &other.table).unwrap();
    assert_eq!(running(&mut board), (5, Some(5)));
    let table = vec![1; 100];
    board.install_table(&factory.envelope_of(&table_description(8, &table)), &table).unwrap();
    assert_eq!(running(&mut board), (5, Some(8)));
    // Firmware by itself needs no table, and leaves one that waits.
    let (mut board, _) = self::board();
    board.install_table(&both.envelope, &both.table).unwrap();
    let image = board.image(6000, 6);
    board.install(&factory.envelope(6, &image), &image).unwrap();
    assert_eq!(running(&mut board), (6, Some(5)));
    assert_eq!(board.table_state().status, Status::Pending);
}

/// docs/attacks.md, SUIT70: what waits in a slot decays before the reset.
#[test]
fn suit70_a_half_that_does_not_verify_takes_the_other_one_with_it() {
    for in_table in [true, false] {
        let (mut board, factory) = board();
        let both = release(&board, &factory, 6);
        install(&mut board, &both);
        let (layout, state) = match in_table {
            true => (board.table_layout(), board.table_state()),
            false => (board.layout, board.state()),
        };
        let at = layout.region(Area::Slot(state.spare_slot(&layout))).start as usize + 4096 + 100;
        board.nor.medium_mut().tamper(at, &[0x3A]);
        assert_eq!(running(&mut board), (5, Some(5)), "in the table: {in_table}");
        assert_eq!(board.state().status, Status::Idle);
        assert_eq!(board.state().revert_reason, Reason::ImageDigestMismatch.code());
        assert_eq!(running(&mut board), (5, Some(5)));
        // Sent again, it comes.
        install(&mut board, &both);
        assert_eq!(running(&mut board), (6, Some(6)));
    }
}

/// docs/attacks.md, SUIT70: the table decays between the swap and the first start.
#[test]
fn suit70_firmware_on_trial_without_its_table_goes_back() {
    for (journal_too, why) in [(false, Reason::PartMissing), (true, Reason::JournalCorrupt)] {
        let (mut board, factory) = board();
        let both = release(&board, &factory, 6);
        install(&mut board, &both);
        // A start that listens first: both are on trial, and nothing was handed over.
        let wake = listening_wake();
        assert!(matches!(board.wake(&wake), bootloader::Boot::Stay(_)));
        assert_eq!(board.state().status, Status::Trial { boots: 0 });
        assert_eq!(board.table_state().status, Status::Trial { boots: 0 });
        let layout = board.table_layout();
        let at = layout.region(Area::Slot(Slot::B)).start as usize + 4096 + 100;
        board.nor.medium_mut().tamper(at, &[0x3A]);
        if journal_too {
            for part in 0..layout.journal_parts() {
                let region = layout.region(Area::Journal(part));
                let zeros = vec![0; region.len as usize];
                board.nor.medium_mut().tamper(region.start as usize, &zeros);
            }
        }
        let (firmware, table) = running(&mut board);
        assert_eq!(firmware, 5);
        assert_eq!(board.state().revert_reason, why.code());
        assert_eq!(table, (!journal_too).then_some(5));
        let of_table = board.table_state().revert_reason;
        assert!(journal_too || of_table == Reason::ImageDigestMismatch.code());
    }
}

/// docs/attacks.md, SUIT70: the journal of the table takes nothing when it is tried, or handed over.
#[test]
fn suit70_firmware_does_not_run_beside_a_table_that_cannot_be_tried() {
    let refuses = |board: &mut Board| {
        let layout = board.table_layout();
        for part in 0..layout.journal_parts() {
            let region = layout.region(Area::Journal(part));
            let (start, len) = (region.start as usize, region.len as usize);
            let words: Vec<_> = board.nor.medium().word_starts(start, len).collect();
            for word in words {
                board.nor.medium_mut().fail_to_program(word);
            }
        }
    };
    let (mut board, factory) = board();
    let both = release(&board, &factory, 6);
    install(&mut board, &both);
    let mut unconfirmed = board.twin();
    refuses(&mut board);
    for _ in 0..2 {
        assert_eq!(running(&mut board), (5, Some(5)));
        assert_eq!(board.state().revert_reason, Reason::PartMissing.code());
        assert_eq!(board.table_state().status, Status::Pending);
    }
    // The firmware was given up, and so is what waits for it.
    board.nor.medium_mut().mend();
    assert_eq!(running(&mut board), (5, Some(5)));
    assert_eq!((board.table_state().status, board.table_state().spare), (Status::Idle, None));
    assert_eq!(board.table_state().revert_reason, Reason::TrialNotConfirmed.code());

    assert!(matches!(unconfirmed.wake(&listening_wake()), bootloader::Boot::Stay(_)));
    refuses(&mut unconfirmed);
    assert!(matches!(unconfirmed.boot(), Boot::Stay(Some(_))));
    assert_eq!(unconfirmed.state().status, Status::Trial { boots: 0 });
    unconfirmed.nor.medium_mut().mend();
    assert_eq!(running(&mut unconfirmed), (6, Some(6)));
}

/// docs/attacks.md, SUIT67: a device has both, or takes neither.
#[test]
fn suit67_a_device_without_a_table_takes_no_half() {
    let (board, factory) = board();
    let both = release(&board, &factory, 6);
    let mut decrypting = Device::<8, 4096, Deciphering>::new(4);
    decrypting.provision_with(&factory, &[device_key("A-0001"), authentication_key("A-0001")]);
    refused_untouched(&mut decrypting, &both.envelope, &both.image, Reason::ComponentUnsupported);
    let mut plain = Device::<8, 4096>::new(4);
    plain.provision(&factory);
    refused_untouched(&mut plain, &both.envelope, &both.image, Reason::ComponentUnsupported);
}

#[test]
fn each_floor_holds_for_its_half() {
    let (mut board, factory) = board();
    let table = vec![7; 100];
    board.update_table(&factory.envelope_of(&table_description(7, &table)), &table);
    let below = release(&board, &factory, 6);
    refused_table(&mut board, &below.envelope, &below.table, Reason::SequenceRollback);
    let image = board.image(6000, 8);
    board.update(&factory.envelope(8, &image), &image);
    let below = release(&board, &factory, 7);
    refused_untouched(&mut board, &below.envelope, &below.image, Reason::SequenceRollback);
}

/// One half is lost later: it alone comes again.
#[test]
fn a_half_is_repaired_by_itself() {
    let (mut board, factory) = board();
    let both = release(&board, &factory, 6);
    install(&mut board, &both);
    assert_eq!(running(&mut board), (6, Some(6)));
    board.application().confirm().unwrap();
    assert_eq!(running(&mut board), (6, Some(6)));
    let slot = board.table_layout().region(Area::Slot(Slot::B)).start as usize;
    board.nor.medium_mut().tamper(slot + 4096 + 100, &[0x3A]);
    assert_eq!(running(&mut board), (6, None));
    refused_untouched(&mut board, &both.envelope, &both.image, Reason::RunsAlready);
    board.install_table(&both.envelope, &both.table).unwrap();
    assert_eq!(running(&mut board), (6, Some(6)));
    // The firmware is confirmed: the table has a trial of its own again.
    assert_eq!(board.table().confirm(), Ok(Confirmation::Confirmed));
    assert_eq!(running(&mut board), (6, Some(6)));
    assert_eq!(board.table_state().status, Status::Idle);
}

/// Both come encrypted for one device, and each as one file.
#[test]
fn both_come_encrypted_or_as_files() {
    let (mut board, factory) = board();
    let (image, table) = (board.image(5000, 6), vec![6; 2000]);
    let keys = [device_key("A-0001")];
    let (update, ciphertext) = encrypted(&description(6, &image), &image, ContentAlgorithm::A128Gcm, &keys);
    let (of_table, table_ciphertext) =
        encrypted(&table_description(6, &table), &table, ContentAlgorithm::A128Ctr, &keys);
    let envelope = factory.envelope_of(&with_table(&update, &of_table));
    board.install(&envelope, &ciphertext).unwrap();
    board.install_table(&envelope, &table_ciphertext).unwrap();
    assert_eq!(running(&mut board), (6, Some(6)));
    assert!(board.found_table() == Some(table) && board.running(5000) == image);
    board.application().confirm().unwrap();
    assert_eq!(running(&mut board), (6, Some(6)));

    let (image, table) = (board.image(5000, 7), vec![7; 2000]);
    let update = with_table(&in_one_file(&description(7, &image)), &table_description(7, &table));
    let envelope = factory.envelope_of(&update);
    board.install_file(Component::Firmware, &one_file(&envelope, &image)).unwrap();
    board.install_table(&envelope, &table).unwrap();
    assert_eq!(running(&mut board), (7, Some(7)));
}

/// docs/attacks.md, SUIT69: the firmware's journal takes nothing, and may read otherwise at the next reset.
#[test]
fn suit69_a_table_is_confirmed_once_its_firmware_is_for_good() {
    let (mut board, factory) = board();
    let both = release(&board, &factory, 6);
    install(&mut board, &both);
    assert_eq!(running(&mut board), (6, Some(6)));
    board.application().confirm().unwrap();
    for part in 0..board.layout.journal_parts() {
        let region = board.layout.region(Area::Journal(part));
        let (start, len) = (region.start as usize, region.len as usize);
        let words: Vec<_> = board.nor.medium().word_starts(start, len).collect();
        for word in words {
            board.nor.medium_mut().fail_to_program(word);
        }
    }
    for _ in 0..2 {
        assert_eq!(running(&mut board), (6, Some(6)));
        assert_eq!((board.table_state().floor, board.table_state().status), (5, Status::Trial { boots: 1 }));
    }
    board.nor.medium_mut().mend();
    assert_eq!(running(&mut board), (6, Some(6)));
    assert_eq!((board.table_state().floor, board.table_state().status), (6, Status::Idle));
}
