//! A table beside the firmware: installed, tried, confirmed and reverted by the rules of an image, and nobody jumps into it
//! (docs/tables.md).

use bootloader::application::Table;
use bootloader::authority::{OwnKey, Roots};
use bootloader::flash::Flash;
use bootloader::journal::Journal;
use bootloader::layout::{Area, Slot};
use bootloader::mailbox::table_place;
use bootloader::state::{BootState, Status};
use device_harness::device::{
    Boot, Device, begin, component_routine, download, record, refused_table, refused_untouched, table_record,
    wake,
};
use device_harness::factory::{
    Factory, authenticated, authentication_key, description, device_key, encrypted, provisioning_block_with,
    table_description,
};
use device_harness::part::{Deciphering, Tabled};
use device_harness::succession::{Dynasty, chain};
use suit_manifest::Reason;
use trust::encryption::ContentAlgorithm;
use update_protocol::profile::{Component, Destination, ImageState, Object, StateRecord, rid};
use update_protocol::uds::Nrc;

type Board = Device<8, 4096, Tabled<Roots>>;

const ENVELOPE: Destination = Object::Envelope.of(Component::Table);
const CONTENT: Destination = Object::Image { offset: 0 }.of(Component::Table);

/// A device that runs release 5, with keys of its own.
fn board() -> (Board, Factory) {
    let mut board = Board::new(4);
    let factory = Factory::new(1);
    board.provision_with(&factory, &[device_key("A-0001"), authentication_key("A-0001")]);
    let image = board.image(6000, 1);
    board.update(&factory.envelope(5, &image), &image);
    (board, factory)
}

/// Bytes that are no vector table.
fn bytes(len: usize, fill: u8) -> Vec<u8> {
    (0..len).map(|index| (index as u32).wrapping_mul(0x9E37_79B1).to_le_bytes()[3] ^ fill).collect()
}

fn release(factory: &Factory, sequence: u64, len: usize) -> (Vec<u8>, Vec<u8>) {
    let table = bytes(len, sequence.to_le_bytes()[0]);
    (factory.envelope_of(&table_description(sequence, &table)), table)
}

fn sequence(image: Option<bootloader::state::ImageRecord>) -> Option<u64> {
    image.map(|image| image.sequence)
}

#[test]
fn boot91_a_table_is_tried_confirmed_and_found_by_the_application() {
    let (mut board, factory) = board();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!((board.table().found(), board.found_table()), (None, None));
    let firmware = board.state();
    // One byte, a length that ends nowhere, and a full slot; in either slot in turn.
    let capacity = board.table_layout().image_capacity() as usize;
    for (number, len) in [(1, 1), (2, 5001), (3, capacity), (4, 17)] {
        let (envelope, table) = release(&factory, number, len);
        board.install_table(&envelope, &table).unwrap();
        let told = table_record(&board.program());
        assert_eq!((told.image, told.image_size as usize), (ImageState::Pending, len));
        assert!(matches!(board.boot(), Boot::Run(_)));
        let found = board.table().found().unwrap();
        assert!(found.is_on_trial);
        assert_eq!((found.sequence, found.len as usize), (number, len));
        assert_eq!(board.found_table(), Some(table.clone()));
        let mut read = vec![0; len / 8 * 8];
        board.table().read(0, &mut read).unwrap();
        assert_eq!(read, table[..len / 8 * 8]);
        assert_eq!(board.table_state().floor, number - 1, "before it confirms");
        board.table().confirm().unwrap();
        assert_eq!(board.table_state().floor, number);
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.found_table(), Some(table));
        let told = table_record(&board.program());
        assert_eq!(
            (told.image, told.active_sequence, told.sequence_floor),
            (ImageState::Confirmed, number, number)
        );
        assert_eq!((told.reason, told.flags.second_slot, told.slot_capacity as usize), (0, false, capacity));
        let answered = StateRecord::decode(&board.table().state_record(7)).unwrap();
        let same = |record: &StateRecord| (record.image, record.active_sequence, record.active_digest);
        assert_eq!(same(&answered), same(&told));
    }
    assert_eq!(board.state(), firmware, "nothing of the firmware has changed");
}

#[test]
fn boot92_a_table_that_is_not_confirmed_goes_back() {
    let (mut board, factory) = board();
    let (envelope, old) = release(&factory, 1, 3000);
    board.update_table(&envelope, &old);
    let (envelope, new) = release(&factory, 2, 4000);
    board.install_table(&envelope, &new).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.found_table(), Some(new.clone()));
    // The application does not like it, or dies.
    assert!(matches!(board.boot(), Boot::Run(_)));
    let state = board.table_state();
    assert_eq!((state.status, state.floor, sequence(state.active)), (Status::Idle, 1, Some(1)));
    assert_eq!(state.revert_reason, Reason::TrialNotConfirmed.code());
    assert_eq!(board.found_table(), Some(old));
    let told = table_record(&board.program());
    assert_eq!((told.reason, told.flags.reverted), (Reason::TrialNotConfirmed.code(), true));
    assert_eq!(record(&board.program()).reason, 0, "nothing is wrong with the firmware");
    // The first table has nothing to go back to.
    let (mut board, factory) = self::board();
    let (envelope, table) = release(&factory, 1, 3000);
    board.install_table(&envelope, &table).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)) && matches!(board.boot(), Boot::Run(_)));
    assert_eq!((board.found_table(), board.table_state().active), (None, None));
    board.update_table(&envelope, &table);
    assert_eq!(board.found_table(), Some(table));
}

/// A table that nothing could confirm is not tried: it waits for firmware, and another one may take its place.
#[test]
fn boot92_a_table_waits_for_firmware() {
    let (mut board, factory) = (Board::new(4), Factory::new(1));
    board.provision_with(&factory, &[device_key("A-0001")]);
    for number in [1, 2] {
        let (envelope, table) = release(&factory, number, 3000);
        board.install_table(&envelope, &table).unwrap();
        assert_eq!(board.boot(), Boot::Stay(Some(Reason::NothingBootable)));
        assert_eq!(board.table_state().status, Status::Pending);
    }
    let image = board.image(6000, 1);
    board.install(&factory.envelope(1, &image), &image).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.table().found().map(|found| (found.sequence, found.is_on_trial)), Some((2, true)));
}

/// docs/attacks.md, BOOT93: floors are apart, and each holds.
#[test]
fn boot93_a_table_below_its_floor_is_refused_in_every_state() {
    let (mut board, factory) = board();
    let (envelope, table) = release(&factory, 3, 3000);
    let (below, old) = release(&factory, 2, 3000);
    // Below the floor of the firmware, 5.
    board.update_table(&envelope, &table);
    refused_table(&mut board, &below, &old, Reason::SequenceRollback);
    refused_table(&mut board, &envelope, &table, Reason::RunsAlready);
    let (pending, new) = release(&factory, 4, 3000);
    board.install_table(&pending, &new).unwrap();
    refused_table(&mut board, &below, &old, Reason::SequenceRollback);
    assert!(matches!(board.boot(), Boot::Run(_)));
    // It goes back.
    drop(board.program());
    refused_table(&mut board, &below, &old, Reason::SequenceRollback);
    // Above that of the table, below that of the firmware.
    let image = board.image(6000, 9);
    refused_untouched(&mut board, &factory.envelope(4, &image), &image, Reason::SequenceRollback);
    // What waits in its slot below a floor that has risen since does not become active.
    let (mut board, _) = self::board();
    board.update_table(&envelope, &table);
    board.install_table(&pending, &new).unwrap();
    let mut flash = Flash::new(board.nor.clone(), board.table_layout()).unwrap();
    let mut journal: Journal = Journal::open(&mut flash);
    let raised = BootState { floor: 9, ..*journal.state() };
    journal.forge(&mut flash, raised).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!((board.found_table(), board.table_state().status), (None, Status::Idle));
}

/// docs/attacks.md, BOOT94.
#[test]
fn boot94_firmware_is_no_table_and_a_table_no_firmware() {
    let (mut board, factory) = board();
    let image = board.image(6000, 9);
    let firmware = factory.envelope(6, &image);
    let (envelope, table) = release(&factory, 6, 6000);
    refused_table(&mut board, &firmware, &image, Reason::ComponentUnsupported);
    refused_untouched(&mut board, &envelope, &table, Reason::ComponentUnsupported);
    // Nor by the objects of the other one after its own envelope.
    let nor = board.nor.clone();
    let mut session = board.program();
    let before = nor.medium().operations();
    for (accepted, other, reason) in [
        ((ENVELOPE, &envelope), (Object::Image { offset: 0 }.into(), &table), Reason::NoEnvelope),
        ((Object::Envelope.into(), &firmware), (CONTENT, &image), Reason::NoEnvelope),
    ] {
        download(&nor, &mut session, accepted.0, accepted.1).unwrap();
        let refused = download(&nor, &mut session, other.0, other.1).unwrap_err();
        assert_eq!(refused.reason(), Some(reason));
    }
    assert_eq!(nor.medium().operations(), before);
    // A device without a table, of each profile.
    let mut plain = Device::<8, 4096>::new(4);
    plain.provision(&factory);
    let refused = plain.send(ENVELOPE, &envelope).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::ObjectUnknown));
    refused_untouched(&mut plain, &envelope, &table, Reason::ComponentUnsupported);
    let mut decrypting = Device::<8, 4096, Deciphering>::new(4);
    decrypting.provision_with(&factory, &[device_key("A-0001"), authentication_key("A-0001")]);
    let refused = decrypting.send(ENVELOPE, &envelope).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::ObjectUnknown));
    refused_untouched(&mut decrypting, &envelope, &table, Reason::ComponentUnsupported);
    assert!(decrypting.program().table_record().is_none());
}

/// docs/attacks.md, BOOT95: what decayed since is not handed over.
#[test]
fn boot95_a_damaged_table_is_none_and_the_device_runs() {
    for in_head in [true, false] {
        let (mut board, factory) = board();
        let (envelope, table) = release(&factory, 1, 3000);
        board.update_table(&envelope, &table);
        let slot = board.table_layout().region(Area::Slot(Slot::A)).start as usize;
        let at = slot + if in_head { 30 } else { 4096 + 1234 };
        board.nor.medium_mut().tamper(at, &[0]);
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.found_table(), None);
        let told = table_record(&board.program());
        assert_eq!(told.image, ImageState::None);
        assert_ne!(told.reason, 0);
        let told = StateRecord::decode(&board.table().state_record(7)).unwrap();
        assert_eq!(told.image, ImageState::None);
        // The same one again, since the one that is there is no good.
        board.update_table(&envelope, &table);
        assert_eq!(board.found_table(), Some(table));
    }
}

/// docs/attacks.md, BOOT95: the application believes the mailbox only as far as the journal says the same.
#[test]
fn boot95_a_mailbox_that_is_not_whole_names_no_table() {
    let (mut board, factory) = board();
    let (envelope, table) = release(&factory, 1, 3000);
    board.update_table(&envelope, &table);
    let bootloader::Boot::Run(entry) = board.wake(&wake(None)) else { panic!("it runs") };
    let mailbox = entry.mailbox();
    assert_eq!(table_place(&mailbox).map(|place| place.slot), Some(Slot::A));
    for bit in 16 * 8..28 * 8 {
        let mut flipped = mailbox;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(table_place(&flipped), None, "bit {bit}");
    }
}

/// docs/attacks.md, BOOT95: the mailbox of an earlier start names the other slot.
#[test]
fn boot95_the_journal_has_the_last_word_on_where_the_table_lies() {
    let (mut board, factory) = board();
    let (envelope, table) = release(&factory, 1, 3000);
    board.update_table(&envelope, &table);
    let earlier = *board.mailbox();
    let (envelope, table) = release(&factory, 2, 3000);
    board.update_table(&envelope, &table);
    let flash = Flash::new(board.nor.clone(), board.table_layout()).unwrap();
    assert_eq!(Table::open(flash, &earlier).found(), None);
    assert_eq!(board.found_table(), Some(table));
}

/// docs/attacks.md, BOOT96.
#[test]
fn boot96_revocation_counts_for_tables() {
    let (mut board, factory) = board();
    let (envelope, table) = release(&factory, 1, 3000);
    board.update_table(&envelope, &table);
    let (pending, new) = release(&factory, 2, 3000);
    board.install_table(&pending, &new).unwrap();
    board.send(Object::RevocationList, &factory.revocation_list(1, &[factory.release_kid()])).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    // What waited is dropped; what was confirmed stays, as the firmware does.
    let state = board.table_state();
    assert_eq!((state.status, sequence(state.active)), (Status::Idle, Some(1)));
    assert_eq!((state.revert_reason, board.found_table()), (Reason::KeyRevoked.code(), Some(table)));
    refused_table(&mut board, &pending, &new, Reason::KeyRevoked);
    // And the list can be replaced after a table was handled.
    board.send(Object::RevocationList, &factory.revocation_list(2, &[factory.release_kid()])).unwrap();
    refused_table(&mut board, &pending, &new, Reason::KeyRevoked);
}

/// What the device has stored since a table came is what counts, in both recoveries of T14.
#[test]
fn boot96_tables_go_on_under_newer_lists() {
    let (mut board, factory) = board();
    for (number, list) in [(1, 1), (2, 2), (3, 4)] {
        let (envelope, table) = release(&factory, number, 3000);
        board.install_table(&envelope, &table).unwrap();
        board.send(Object::RevocationList, &factory.revocation_list(list, &[])).unwrap();
        assert!(matches!(board.boot(), Boot::Run(_)));
        board.table().confirm().unwrap();
        assert_eq!(board.found_table(), Some(table));
    }
}

/// docs/attacks.md, BOOT97.
#[test]
fn boot97_a_lost_journal_of_the_table_refuses_tables_and_nothing_else() {
    let (mut board, factory) = board();
    let (envelope, table) = release(&factory, 2, 3000);
    board.update_table(&envelope, &table);
    let layout = board.table_layout();
    for part in 0..layout.journal_parts() {
        let region = layout.region(Area::Journal(part));
        let range = region.start as usize..(region.start + region.len) as usize;
        board.nor.medium_mut().tamper(range.start, &vec![0x5A; range.len()]);
    }
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.table().found(), None);
    let (older, old) = release(&factory, 1, 3000);
    for (envelope, table) in [(&older, &old), (&envelope, &table)] {
        let refused = board.install_table(envelope, table).unwrap_err();
        assert_eq!(refused.reason(), Some(Reason::JournalCorrupt));
    }
    assert_eq!(table_record(&board.program()).reason, Reason::JournalCorrupt.code());
    let image = board.image(6000, 9);
    board.update(&factory.envelope(6, &image), &image);
}

/// Each is forgotten by itself, and an option record names it.
#[test]
fn routines_act_on_the_component_that_they_name() {
    let (mut board, factory) = board();
    let (envelope, table) = release(&factory, 1, 3000);
    board.install_table(&envelope, &table).unwrap();
    let image = board.image(6000, 9);
    board.install(&factory.envelope(6, &image), &image).unwrap();
    let mut session = board.program();
    for option in [&[][..], &[0], &[1]] {
        assert_eq!(component_routine(&mut session, rid::CHECK_PROGRAMMING_DEPENDENCIES, option), Ok(0));
    }
    assert_eq!(component_routine(&mut session, rid::ABANDON_INSTALL, &[2]), Err(Nrc::REQUEST_OUT_OF_RANGE));
    assert_eq!(component_routine(&mut session, rid::ABANDON_INSTALL, &[1, 1]), Err(Nrc::INCORRECT_LENGTH));
    assert_eq!(component_routine(&mut session, rid::ABANDON_INSTALL, &[1]), Ok(0));
    assert_eq!(table_record(&session).image, ImageState::None);
    assert_eq!(record(&session).image, ImageState::Pending);
    assert_eq!(component_routine(&mut session, rid::CHECK_PROGRAMMING_DEPENDENCIES, &[1]), Ok(1));
    assert_eq!(component_routine(&mut session, rid::CHECK_PROGRAMMING_DEPENDENCIES, &[0]), Ok(0));
    assert_eq!(component_routine(&mut session, rid::ABANDON_INSTALL, &[]), Ok(0));
    assert_eq!(record(&session).image, ImageState::Confirmed);
    drop(session);
    let mut plain = Device::<8, 4096>::new(4);
    plain.provision(&factory);
    let refused = component_routine(&mut plain.program(), rid::ABANDON_INSTALL, &[1]);
    assert_eq!(refused, Err(Nrc::REQUEST_OUT_OF_RANGE));
}

/// Both at once, in one session: each has its own trial.
#[test]
fn firmware_and_a_table_are_tried_in_one_boot() {
    let (mut board, factory) = board();
    let (envelope, table) = release(&factory, 1, 3000);
    let image = board.image(6000, 9);
    let firmware = factory.envelope(6, &image);
    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, ENVELOPE, &envelope).unwrap();
    download(&nor, &mut session, CONTENT, &table).unwrap();
    download(&nor, &mut session, Object::Envelope, &firmware).unwrap();
    download(&nor, &mut session, Object::Image { offset: 0 }, &image).unwrap();
    drop(session);
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!((board.running(6000), board.found_table()), (image, Some(table.clone())));
    // The firmware works, and does not know such a table.
    board.application().confirm().unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!((sequence(board.state().active), board.found_table()), (Some(6), None));
}

/// The sums over a table are its own, and so is the way on after a reset.
#[test]
fn an_encrypted_table_goes_on_where_it_stopped() {
    for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr] {
        let (mut board, factory) = board();
        let table = bytes(12_000, 7);
        let (update, ciphertext) =
            encrypted(&table_description(1, &table), &table, algorithm, &[device_key("A-0001")]);
        let envelope = factory.envelope_of(&update);
        let nor = board.nor.clone();
        let mut session = board.program();
        download(&nor, &mut session, ENVELOPE, &envelope).unwrap();
        // The tester goes after some of it.
        begin(&mut session, CONTENT, &ciphertext, 9000).unwrap();
        drop(session);
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(table_record(&board.program()).resume_offset, 8192);
        board.update_table(&envelope, &ciphertext);
        assert_eq!(board.found_table(), Some(table));
    }
}

/// The device's own key, and nothing public.
#[test]
fn a_device_that_believes_its_own_key_has_tables_too() {
    let (update, own) = (device_key("A-0001"), authentication_key("A-0001"));
    let mut board = Device::<8, 4096, Tabled<OwnKey>>::new(4);
    board.provision_alone(&[update.clone(), own.clone()]);
    let image = board.image(6000, 1);
    board.update(&authenticated(&description(1, &image), &own), &image);
    let table = bytes(5000, 3);
    let (description, ciphertext) =
        encrypted(&table_description(1, &table), &table, ContentAlgorithm::A128Gcm, &[update]);
    board.update_table(&authenticated(&description, &own), &ciphertext);
    assert_eq!(board.found_table(), Some(table));
}

/// docs/attacks.md, BOOT98: nobody wears a slot out by going back and forth.
#[test]
fn boot98_a_table_that_is_begun_again_and_again_has_to_wait() {
    let (mut board, factory) = board();
    let (envelope, table) = release(&factory, 1, 12_000);
    let image = board.image(12_000, 9);
    let firmware = factory.envelope(6, &image);
    let nor = board.nor.clone();
    let mut session = board.program();
    // Both have come some of their way, to places that differ.
    let both = [(Component::Firmware, &firmware, &image, 8192), (Component::Table, &envelope, &table, 4096)];
    for (component, envelope, bytes, committed) in both {
        download(&nor, &mut session, Object::Envelope.of(component), envelope).unwrap();
        let content = Object::Image { offset: 0 }.of(component);
        begin(&mut session, content, bytes, committed as usize + 100).unwrap();
    }
    let mut resumed = [0; 2];
    for _ in 0..60 {
        for ((component, envelope, bytes, offset), resumed) in both.into_iter().zip(&mut resumed) {
            download(&nor, &mut session, Object::Envelope.of(component), envelope).unwrap();
            let content = Object::Image { offset }.of(component);
            match begin(&mut session, content, &bytes[offset as usize..], 707) {
                Ok(()) => *resumed += 1,
                Err(_) => assert_eq!(record(&session).reason, Reason::InstallDelayed.code()),
            }
        }
    }
    assert!(resumed.iter().all(|&resumed| (1..10).contains(&resumed)), "{resumed:?}");
}

/// docs/attacks.md, BOOT99: the root of a table that was confirmed may retire.
#[test]
fn boot99_a_table_stays_when_its_root_retires() {
    let dynasty = Dynasty::new(1);
    let mut board = Board::new(4);
    let keys = [device_key("A-0001"), authentication_key("A-0001")];
    board.send(Object::ProvisioningBlock, &provisioning_block_with(&dynasty.anchors(), None, &keys)).unwrap();
    let image = board.image(6000, 1);
    board.update(&dynasty.first().envelope(1, &image), &image);
    let (envelope, table) = release(dynasty.first(), 1, 3000);
    board.update_table(&envelope, &table);
    let (second, third) = (Factory::new(2), Factory::new(3));
    let by_first = dynasty.by_root(dynasty.first(), &second, (0, 1));
    board
        .send(
            Object::SuccessionChain,
            &chain(std::slice::from_ref(&by_first), &second.revocation_list(1, &[])),
        )
        .unwrap();
    // The firmware follows the new root, and the old one stays for the table alone.
    let image = board.image(6000, 9);
    board.update(&second.envelope(6, &image), &image);
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.found_table(), Some(table.clone()));
    let records = [by_first, dynasty.by_root(&second, &third, (0, 2))];
    board.send(Object::SuccessionChain, &chain(&records, &third.revocation_list(1, &[]))).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.found_table(), Some(table));
    let (late, new) = release(dynasty.first(), 2, 3000);
    refused_table(&mut board, &late, &new, Reason::AnchorRights);
    let (envelope, table) = release(&third, 2, 3000);
    board.update_table(&envelope, &table);
    assert_eq!(board.found_table(), Some(table));
}
