//! The boot rules (docs/boot-rules.md).

use bootloader::journal::{Journal, RECORD_LEN};
use bootloader::layout::{Area, Layout, Region, Regions, Slot};
use bootloader::mailbox::Request;
use bootloader::state::{ImageRecord, Status};
use device_harness::device::{Boot, Device, Failure, record};
use device_harness::factory::Factory;
use flash_model::Cut;
use suit_manifest::{Reason, fault};
use trust::RevokedId;
use trust::Role;
use update_protocol::profile::{ImageState, Mode, Object};

pub(crate) type Board = Device<8, 4096>;

pub(crate) const SLOT_LEN: usize = 5 * 4096;

/// Offset of slot A in the flash, of a board with four image pages.
pub(crate) fn slot_a(board: &Board) -> usize {
    (board.layout.image_address() - 0x2100_0000 - 4096) as usize
}

/// Offset of the image that ran before a swap.
pub(crate) fn kept(board: &Board) -> usize {
    board.layout.region(Area::Slot(Slot::Kept)).start as usize
}

/// Offset of the image that is installed.
pub(crate) fn slot_b(board: &Board) -> usize {
    board.layout.region(Area::Slot(Slot::B)).start as usize
}

pub(crate) fn board() -> (Board, Factory) {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    board.provision(&factory);
    (board, factory)
}

/// A board that runs release 1, confirmed, and has release 2 pending.
pub(crate) fn pending() -> (Board, Factory, Vec<u8>, Vec<u8>) {
    pending_of(6000, 9000)
}

/// The same with images of these lengths.
pub(crate) fn pending_of(old: usize, new: usize) -> (Board, Factory, Vec<u8>, Vec<u8>) {
    let (mut board, factory) = board();
    let (old, new) = (board.image(old, 1), board.image(new, 2));
    board.update(&factory.envelope(1, &old), &old);
    board.install(&factory.envelope(2, &new), &new).unwrap();
    (board, factory, old, new)
}

#[test]
fn a_device_from_the_factory_stays_on_the_bus() {
    let mut board = Board::new(4);
    assert_eq!(board.boot(), Boot::Stay(Some(Reason::NotProvisioned)));
    let state = record(&board.program());
    assert_eq!((state.mode, state.image), (Mode::Factory, ImageState::None));
    assert_eq!(board.nor.medium().operations(), 0);
}

#[test]
fn a_device_without_an_image_stays_on_the_bus() {
    let (mut board, _) = board();
    assert_eq!(board.boot(), Boot::Stay(Some(Reason::NothingBootable)));
    assert_eq!(record(&board.program()).mode, Mode::Loader);
}

#[test]
fn t06_a_power_cycle_before_confirming_reverts_and_does_not_raise_the_floor() {
    let (mut board, factory, old, _) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.state().floor, 1);
    assert!(matches!(board.boot(), Boot::Run(_)));
    let state = board.state();
    assert_eq!((state.status, state.floor), (Status::Idle, 1));
    assert_eq!(state.revert_reason, Reason::TrialNotConfirmed.code());
    assert_eq!(board.running(old.len()), old);
    let record = record(&board.program());
    assert_eq!((record.reason, record.flags.reverted), (Reason::TrialNotConfirmed.code(), true));
    // The reverted release may be tried again, and then confirm.
    let new = board.image(9000, 2);
    board.update(&factory.envelope(2, &new), &new);
    assert_eq!((board.state().floor, board.state().revert_reason), (2, 0));
}

#[test]
fn a_first_image_that_never_confirms_leaves_the_device_on_the_bus() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    board.install(&factory.envelope(1, &image), &image).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    for _ in 0..2 {
        assert_eq!(board.boot(), Boot::Stay(Some(Reason::TrialNotConfirmed)));
    }
    assert_eq!(board.state().floor, 0);
    board.update(&factory.envelope(1, &image), &image);
}

#[test]
fn a_revoked_key_does_not_brick_what_runs_but_a_pending_image_is_dropped() {
    let (mut board, factory, old, _) = pending();
    let list = factory.revocation_list(1, &[factory.release_kid()]);
    board.send(Object::RevocationList, &list).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    let state = board.state();
    assert_eq!((state.status, state.revert_reason), (Status::Idle, Reason::KeyRevoked.code()));
    assert_eq!(board.running(old.len()), old);
}

#[test]
fn a_pending_image_that_decayed_is_dropped() {
    let (mut board, _, old, _) = pending();
    let at = slot_b(&board) + 4096 + 5000;
    board.nor.medium_mut().tamper(at, &[0x5A]);
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.state().revert_reason, Reason::ImageDigestMismatch.code());
    assert_eq!(board.running(old.len()), old);
}

/// The offset behind the newest record in the journal.
fn journal_end(board: &Board) -> usize {
    let medium = board.nor.medium();
    let records = (0..board.layout.journal_parts()).flat_map(|part| {
        let region = board.layout.region(Area::Journal(part));
        let places = region.len as usize / RECORD_LEN;
        (0..places).map(move |index| region.start as usize + index * RECORD_LEN)
    });
    let written = records.filter(|&at| medium.bytes()[at] != 0xFF);
    written.max_by_key(|&at| medium.bytes()[at + 4..at + 8].to_vec()).unwrap() + RECORD_LEN
}

#[test]
fn a_confirmation_that_reads_torn_later_does_not_cost_the_way_back() {
    let (mut board, factory, _, _) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)));
    // The last word of the record; it reads whole at the next boot, and torn at the one after.
    board.nor.medium_mut().cut_at(RECORD_LEN as u64 / 8 - 1, Cut::Fades(1));
    board.application().confirm().unwrap_err();
    board.nor.medium_mut().power_on();
    assert_eq!(board.state().status, Status::Idle);
    let third = board.image(5000, 3);
    let envelope = factory.envelope(3, &third);
    for operations in [0, 1, 15, 16, 17, 23, 24, 25, 40, 100, 400] {
        let mut board = board.twin();
        board.nor.medium_mut().cut_at(operations, Cut::Nothing);
        assert_eq!(board.install(&envelope, &third), Err(Failure::NoPower));
        board.nor.medium_mut().power_on();
        assert!(matches!(board.boot(), Boot::Run(_)), "{operations}");
    }
}

#[test]
fn a_place_in_the_journal_that_takes_no_record_does_not_stop_an_update() {
    let (mut board, _, _, new) = pending();
    // Where the first record after a reset goes.
    let at = journal_end(&board) + RECORD_LEN;
    board.nor.medium_mut().wear_out(at);
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(new.len()), new);
}

#[test]
fn what_is_confirmed_runs_on_when_the_journal_takes_no_record_any_more() {
    let (mut board, _, old, _) = pending();
    for part in 0..board.layout.journal_parts() {
        let region = board.layout.region(Area::Journal(part));
        for at in (region.start..region.start + region.len).step_by(8) {
            board.nor.medium_mut().wear_out(at as usize);
        }
    }
    for _ in 0..3 {
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.state().status, Status::Pending);
        assert_eq!(board.running(old.len()), old);
    }
}

#[test]
fn any_change_of_the_active_image_or_its_head_does_not_boot() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    let envelope = factory.envelope(1, &image);
    board.update(&envelope, &image);
    let start = slot_a(&board);
    let places = (0..envelope.len()).step_by(7).chain([4096, 4100, 4104, 5000, 4096 + 5999]);
    for place in places {
        let mut tampered = board.twin();
        let byte = tampered.nor.medium().bytes()[start + place];
        tampered.nor.medium_mut().tamper(start + place, &[byte ^ 0x10]);
        let Boot::Stay(Some(_)) = tampered.boot() else { panic!("byte {place} of slot A does not matter") };
        assert_eq!(record(&tampered.program()).image, ImageState::None);
    }
}

/// One bit of the map that an envelope is: its last member, a severed one, is not part of it any more. Whatever is signed
/// is there, so the image is the one that was meant: it runs, and a pending one is tried.
#[test]
fn boot5_a_head_that_lost_its_severed_member_is_the_same_release() {
    let (mut board, factory) = board();
    let (old, new) = (board.image(6000, 1), board.image(6000, 2));
    board.update(&factory.envelope(1, &old), &old);
    let (envelope, start, size) = (factory.envelope(2, &new), slot_a(&board), board.layout.page() as usize);
    assert_eq!(envelope[2], 0xA3, "a map of three");
    let lose = |board: &mut Board, at: usize| board.nor.medium_mut().tamper(at + 2, &[0xA2]);
    let mut pending = board.twin();
    pending.install(&envelope, &new).unwrap();
    let slot_b = kept(&pending) + size;
    assert!(pending.nor.medium().bytes()[slot_b..].starts_with(&envelope));
    lose(&mut pending, slot_b);
    assert!(matches!(pending.boot(), Boot::Run(_)));
    assert!(pending.running(new.len()) == new);
    pending.application().confirm().unwrap();
    assert!(matches!(pending.boot(), Boot::Run(_)));
    lose(&mut board, start);
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert!(board.running(old.len()) == old);
    // The same release is no other one because of it.
    board.update(&envelope, &new);
}

#[test]
fn an_unreadable_word_of_the_active_image_is_a_reason_not_a_trap() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    board.update(&factory.envelope(1, &image), &image);
    let start = slot_a(&board);
    board.nor.medium_mut().break_word(start + 4096 + 3000);
    assert_eq!(board.boot(), Boot::Stay(Some(Reason::FlashFailed)));
    let mut head = board.twin();
    head.nor.medium_mut().break_word(start + 64);
    assert_eq!(head.boot(), Boot::Stay(Some(Reason::FlashFailed)));
}

/// An image that a loader with more RAM took in: its stack begins behind the RAM that this board has.
#[test]
fn t13_an_image_whose_vectors_lead_elsewhere_does_not_boot() {
    let (mut board, factory) = board();
    let old = board.image(6000, 1);
    board.update(&factory.envelope(1, &old), &old);
    let regions = *board.layout.regions();
    let ram = Region { len: 2 * regions.ram.len, ..regions.ram };
    let larger = Layout::new(Regions { ram, ..regions }).unwrap();
    let mut other = Board::over(board.twin().nor, larger);
    let mut new = other.image(9000, 2);
    new[..4].copy_from_slice(&(ram.start + ram.len).to_le_bytes());
    let envelope = factory.envelope(2, &new);
    other.install(&envelope, &new).unwrap();

    let mut pending = Board::over(other.twin().nor, board.layout);
    assert!(matches!(pending.boot(), Boot::Run(_)));
    assert_eq!(pending.running(old.len()), old);
    assert_eq!(pending.state().revert_reason, Reason::VectorTableInvalid.code());

    other.update(&envelope, &new);
    let mut active = Board::over(other.twin().nor, board.layout);
    assert_eq!(active.boot(), Boot::Stay(Some(Reason::VectorTableInvalid)));
}

#[test]
fn t14_a_signed_image_that_the_journal_does_not_know_does_not_boot() {
    let (mut board, factory) = board();
    let (first, second) = (board.image(6000, 1), board.image(6000, 2));
    board.update(&factory.envelope(1, &first), &first);
    // Another genuine release of this device, put into slot A with a programmer.
    let mut other = board.twin();
    other.update(&factory.envelope(2, &second), &second);
    let start = slot_a(&board);
    let slot = other.nor.medium().bytes()[start..start + SLOT_LEN].to_vec();
    board.nor.medium_mut().tamper(start, &slot);
    assert_eq!(board.boot(), Boot::Stay(Some(Reason::HeadInvalid)));
}

/// The genuine wrapper and signature, with the manifest of another envelope of the same length behind them.
fn with_manifest_of(other: &[u8], genuine: &[u8]) -> Vec<u8> {
    let mut reader = trust::cbor::Reader::new(genuine);
    reader.tag();
    let mut members = reader.map();
    assert!(members.next_label(&mut reader).is_some());
    reader.skip();
    let manifest = reader.position() as usize;
    [&genuine[..manifest], &other[manifest..]].concat()
}

#[test]
fn t14_a_skipped_check_of_the_manifest_digest_boots_and_installs_nothing() {
    let (mut board, factory) = board();
    let (signed, other) = (board.image(6000, 1), board.image(6000, 2));
    let (envelope, another) = (factory.envelope(1, &signed), factory.envelope(1, &other));
    board.update(&envelope, &signed);
    // With a programmer: the attacker's image and its manifest, behind the signature that the journal knows; and the
    // manifest that the journal knows, behind the signature of another one.
    for (forged, image) in
        [(with_manifest_of(&another, &envelope), &other), (with_manifest_of(&envelope, &another), &signed)]
    {
        let mut board = board.twin();
        let start = slot_a(&board);
        board.nor.medium_mut().tamper(start, &forged);
        board.nor.medium_mut().tamper(start + 4096, image);
        assert_eq!(board.boot(), Boot::Stay(Some(Reason::ManifestDigestMismatch)));

        fault::skip_manifest_digest(true);
        let glitched = board.boot();
        let sent = board.install(&forged, image);
        fault::skip_manifest_digest(false);
        // The digest that the journal knows, or else the evidence.
        let refused = [Some(Reason::HeadInvalid), Some(Reason::FlashFailed)];
        assert!(matches!(glitched, Boot::Stay(reason) if refused.contains(&reason)), "{glitched:?}");
        assert!(refused.contains(&sent.unwrap_err().reason()));
        assert_eq!(board.boot(), Boot::Stay(Some(Reason::ManifestDigestMismatch)));
    }
}

/// One bit of the second half of each signature: what a glitch lets through is compared again.
#[test]
fn t14_a_skipped_check_of_a_signature_boots_and_installs_nothing() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    let envelope = factory.envelope(1, &image);
    board.update(&envelope, &image);
    let credential = factory.credential();
    let nested = envelope.windows(credential.len()).position(|bytes| bytes == credential).unwrap();
    // A signature ends its COSE_Sign1; that of the manifest follows the credential, and a nil.
    let of_the_credential = nested + credential.len() - 32;
    let of_the_manifest = nested + credential.len() + 1 + 2 + 32;
    for offset in [of_the_credential, of_the_manifest] {
        let mut board = board.twin();
        let mut forged = envelope.clone();
        forged[offset] ^= 1;
        let start = slot_a(&board);
        board.nor.medium_mut().tamper(start, &forged);
        assert_eq!(board.boot(), Boot::Stay(Some(Reason::SignatureInvalid)), "{offset}");

        fault::skip_signatures(true);
        let glitched = board.boot();
        let sent = board.install(&forged, &image);
        fault::skip_signatures(false);
        assert_eq!(glitched, Boot::Stay(Some(Reason::FlashFailed)), "{offset}");
        assert_eq!(sent.unwrap_err().reason(), Some(Reason::FlashFailed), "{offset}");
    }
}

#[test]
fn t05_an_older_genuine_image_put_into_slot_a_does_not_boot() {
    let (mut board, factory) = board();
    let (first, second) = (board.image(6000, 1), board.image(6000, 2));
    board.update(&factory.envelope(1, &first), &first);
    let start = slot_a(&board);
    let slot = board.nor.medium().bytes()[start..start + SLOT_LEN].to_vec();
    board.update(&factory.envelope(2, &second), &second);
    board.nor.medium_mut().tamper(start, &slot);
    assert_eq!(board.boot(), Boot::Stay(Some(Reason::SequenceRollback)));
}

#[test]
fn an_image_on_trial_that_decayed_goes_at_once() {
    let (mut board, _, old, _) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)));
    // As if the swap had not written what it read.
    let mut board = {
        let mut before = pending().0;
        let mut operations = 0;
        while before.state().status != (Status::Trial { boots: 0 }) {
            before = pending_twin(&mut operations);
        }
        before
    };
    let at = slot_a(&board) + 4096 + 700;
    board.nor.medium_mut().tamper(at, &[0x5A]);
    assert!(matches!(board.boot(), Boot::Run(_)));
    let state = board.state();
    assert_eq!((state.status, state.revert_reason), (Status::Idle, Reason::ImageDigestMismatch.code()));
    assert_eq!(board.running(old.len()), old);
}

/// A board whose power went away one operation later than the last time.
fn pending_twin(operations: &mut u64) -> Board {
    let board = pending().0;
    *operations += 1;
    cut_in_boot(&board, operations_of_a_boot(&board) - *operations)
}

/// Flash operations of the next boot.
pub(crate) fn operations_of_a_boot(board: &Board) -> u64 {
    let mut clean = board.twin();
    let before = clean.nor.medium().operations();
    clean.boot();
    clean.nor.medium().operations() - before
}

/// Reads of the next boot, which runs an image.
pub(crate) fn reads_of_a_boot(board: &Board) -> u64 {
    let mut clean = board.twin();
    let before = clean.nor.medium().reads();
    assert!(matches!(clean.boot(), Boot::Run(_)));
    clean.nor.medium().reads() - before
}

/// The same board after a boot whose power went away in this operation.
pub(crate) fn cut_in_boot(board: &Board, operation: u64) -> Board {
    let mut board = board.twin();
    board.nor.medium_mut().cut_at(operation, Cut::Nothing);
    board.boot();
    board.nor.medium_mut().power_on();
    board
}

#[test]
fn a_spare_slot_that_does_not_verify_never_comes_back() {
    for damage in ["head", "image", "erased"] {
        let (mut board, _, _, _) = pending();
        assert!(matches!(board.boot(), Boot::Run(_)));
        let kept = kept(&board);
        match damage {
            "head" => board.nor.medium_mut().tamper(kept + 50, &[0x5A, 0xA5]),
            "image" => board.nor.medium_mut().tamper(kept + 4096 + 50, &[0x5A, 0xA5]),
            _ => board.nor.medium_mut().tamper(kept, &[0xFF; SLOT_LEN]),
        }
        for _ in 0..2 {
            assert_eq!(board.boot(), Boot::Stay(Some(Reason::TrialNotConfirmed)), "{damage}");
        }
        assert_eq!(board.state().active, None);
    }
}

#[test]
fn whoever_asks_for_the_loader_gets_it_and_the_pending_image_waits() {
    let (mut board, _, old, new) = pending();
    let before = board.nor.medium().operations();
    assert_eq!(board.boot_with(Some(Request::ProgrammingSession { answer: true })), Boot::Stay(None));
    assert_eq!(board.nor.medium().operations(), before);
    assert_eq!(board.running(old.len()), old);
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(new.len()), new);
}

#[test]
fn an_application_that_asks_for_the_loader_before_it_confirmed_has_ended_its_trial() {
    let (mut board, _, old, _) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.boot_with(Some(Request::ProgrammingSession { answer: false })), Boot::Stay(None));
    assert_eq!(board.state().revert_reason, Reason::TrialNotConfirmed.code());
    assert_eq!(board.running(old.len()), old);
}

#[test]
fn the_boot_of_a_confirmed_image_writes_nothing() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    board.update(&factory.envelope(1, &image), &image);
    let before = board.nor.medium().operations();
    for _ in 0..3 {
        assert!(matches!(board.boot(), Boot::Run(_)));
    }
    board.application().confirm().unwrap();
    assert_eq!(board.nor.medium().operations(), before);
}

/// An older genuine image in slot A, and one that the journal records below the floor.
#[test]
fn t14_a_skipped_check_of_the_floor_boots_nothing() {
    let (mut board, factory) = board();
    let (first, second) = (board.image(6000, 1), board.image(6000, 2));
    board.update(&factory.envelope(1, &first), &first);
    let state = board.state();
    board.update(&factory.envelope(2, &second), &second);
    // The journal says that the first one is active, and keeps its floor.
    let start = slot_a(&board);
    let mut older = board.twin();
    let slot = kept(&board);
    let bytes = board.nor.medium().bytes()[slot..slot + SLOT_LEN].to_vec();
    older.nor.medium_mut().tamper(start, &bytes);
    forge(&older, bootloader::state::BootState { active: state.active, ..board.state() });
    assert_eq!(older.boot(), Boot::Stay(Some(Reason::SequenceRollback)));
    fault::skip_sequence(true);
    let glitched = older.boot();
    fault::skip_sequence(false);
    assert_eq!(glitched, Boot::Stay(Some(Reason::FlashFailed)));
}

/// A pending image whose key, credential, generation or number a list has taken back since.
#[test]
fn t14_a_skipped_check_of_a_revocation_installs_and_tries_nothing() {
    let (board, factory, _, new) = pending();
    let cti = RevokedId::Credential(factory.credential_cti());
    for list in [
        factory.revocation_list(1, &[factory.release_kid()]),
        factory.revocation_list_with(1, |list| list.revoked = vec![cti.revoked(Role::Release, 0)]),
        factory.revocation_list_with(1, |list| list.lowest_generations = vec![(Role::Release, 1)]),
        factory.revocation_list_of(1, &[], &[4]),
        factory.longest_revocation_list(1),
    ] {
        let mut board = board.twin();
        board.send(Object::RevocationList, &list).unwrap();
        let mut installing = board.twin();
        fault::skip_lists(true);
        let glitched = board.boot();
        let sent = installing.install(&factory.envelope(3, &new), &new);
        fault::skip_lists(false);
        assert!(matches!(glitched, Boot::Run(_)));
        assert_eq!(board.state().revert_reason, Reason::FlashFailed.code());
        assert_eq!(sent.unwrap_err().reason(), Some(Reason::FlashFailed));
    }
}

/// An older list in the place of the newest one: it does not take the key back yet.
#[test]
fn t14_a_skipped_check_of_a_lists_number_tries_nothing() {
    let (board, factory, _, _) = pending();
    let mut older = board.twin();
    older.send(Object::RevocationList, &factory.revocation_list(1, &[])).unwrap();
    let mut newer = older.twin();
    newer.send(Object::RevocationList, &factory.revocation_list(2, &[factory.release_kid()])).unwrap();
    let state = older.state();
    forge(&older, bootloader::state::BootState { domains: newer.state().domains, ..state });
    fault::skip_list_number(true);
    let glitched = older.boot();
    fault::skip_list_number(false);
    assert!(matches!(glitched, Boot::Run(_)));
    assert_eq!(older.state().revert_reason, Reason::FlashFailed.code());
}

/// The journal records the image under another sequence number than its manifest's.
#[test]
fn t14_an_image_that_was_recorded_with_another_number_does_not_boot() {
    let (mut board, factory) = board();
    let image = board.image(6000, 7);
    board.update(&factory.envelope(7, &image), &image);
    let state = board.state();
    for sequence in [6, 8] {
        let active = state.active.map(|image| ImageRecord { sequence, ..image });
        forge(&board, bootloader::state::BootState { active, ..state });
        assert_eq!(board.boot(), Boot::Stay(Some(Reason::FlashFailed)), "{sequence}");
    }
    forge(&board, state);
    assert!(matches!(board.boot(), Boot::Run(_)));
}

/// Writes this state into the journal.
fn forge(board: &Board, state: bootloader::state::BootState) {
    let mut flash = bootloader::flash::Flash::new(board.nor.clone(), board.layout).unwrap();
    let mut journal: Journal = Journal::open(&mut flash);
    journal.forge(&mut flash, state).unwrap();
}
