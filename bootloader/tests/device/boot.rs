//! The boot rules (docs/boot-rules.md).

use bootloader::handoff::Request;
use bootloader::journal::RECORD_LEN;
use bootloader::layout::{Area, Half, Slot};
use bootloader::state::{Status, SwapProgress};
use device_harness::device::{Boot, Device, Failure, record};
use device_harness::factory::Factory;
use flash_model::{Cut, Medium};
use suit_manifest::{Reason, fault};
use update_protocol::profile::{ImageState, Mode, Object};

type Board = Device<8, 4096>;

const SLOT_LEN: usize = 5 * 4096;

/// Offset of slot A in the flash, of a board with four image pages.
fn slot_a(board: &Board) -> usize {
    (board.layout.image_address() - 0x2100_0000 - 4096) as usize
}

/// Offset of the image that ran before a swap.
fn kept(board: &Board) -> usize {
    board.layout.region(Area::Slot(Slot::Kept)).start as usize
}

/// Offset of the image that is installed.
fn slot_b(board: &Board) -> usize {
    board.layout.region(Area::Slot(Slot::B)).start as usize
}

fn board() -> (Board, Factory) {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    board.provision(&factory);
    (board, factory)
}

/// A board that runs release 1, confirmed, and has release 2 pending.
fn pending() -> (Board, Factory, Vec<u8>, Vec<u8>) {
    let (mut board, factory) = board();
    let (old, new) = (board.image(6000, 1), board.image(9000, 2));
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
    let records = [Half::First, Half::Second].into_iter().flat_map(|half| {
        let region = board.layout.region(Area::Journal(half));
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
    for half in [Half::First, Half::Second] {
        let region = board.layout.region(Area::Journal(half));
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
    assert_eq!(head.boot(), Boot::Stay(Some(Reason::HeadInvalid)));
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
    reader.tag().unwrap();
    let mut members = reader.map().unwrap();
    members.next_raw(&mut reader).unwrap();
    reader.item().unwrap();
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
        assert_eq!(glitched, Boot::Stay(Some(Reason::HeadInvalid)));
        assert_eq!(sent.unwrap_err().reason(), Some(Reason::HeadInvalid));
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
        assert_eq!(glitched, Boot::Stay(Some(Reason::HeadInvalid)), "{offset}");
        assert_eq!(sent.unwrap_err().reason(), Some(Reason::HeadInvalid), "{offset}");
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
    let mut board = pending().0;
    *operations += 1;
    let from_the_end = {
        let mut clean = board.twin();
        let before = clean.nor.medium().operations();
        let _ = clean.boot();
        clean.nor.medium().operations() - before
    };
    board.nor.medium_mut().cut_at(from_the_end - *operations, Cut::Nothing);
    let _ = board.boot();
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

type Fail = fn(&mut Medium, usize);
/// Name of an area, and an offset in the flash.
type Place = (&'static str, usize);
/// What a driver reports: it cannot erase the page, or cannot program the word.
const FAILURES: [(&str, Fail); 2] = [("erase", Medium::fail_to_erase), ("program", Medium::fail_to_program)];

/// A word of each page that an exchange of an image of three pages for one of four writes.
fn pages_of_an_exchange(board: &Board) -> Vec<Place> {
    let places = [("slot A", slot_a(board)), ("kept", kept(board)), ("slot B", slot_b(board))];
    places
        .into_iter()
        .flat_map(|(name, start)| (0..4).map(move |page| (name, start + page * 4096 + 72)))
        .collect()
}

/// The update is given up with the old image running, and a part that works again takes it. Only while a page of slot A
/// is erased and takes nothing the device has no image: it stays on the bus.
#[test]
fn boot23_a_page_that_fails_within_a_swap_gives_the_update_up() {
    for ((name, place), (kind, fail)) in cases_of_an_exchange() {
        let at = format!("{kind}, {name} {place:#x}");
        let (mut board, factory, old, new) = pending();
        fail(&mut board.nor.medium_mut(), place);
        // Behind the old image nothing has to come back.
        let is_stuck = name == "slot A" && kind == "program" && place < slot_a(&board) + 3 * 4096;
        for _ in 0..2 {
            let boot = board.boot();
            let state = board.state();
            assert_eq!(state.revert_reason, Reason::SwapFailed.code(), "{at}");
            if is_stuck {
                assert_eq!(boot, Boot::Stay(Some(Reason::SwapFailed)), "{at}");
                assert!(matches!(state.status, Status::Reverting(_)), "{at}");
                continue;
            }
            assert!(matches!(boot, Boot::Run(_)), "{at}");
            assert_eq!((state.status, board.running(old.len())), (Status::Idle, old.clone()), "{at}");
        }
        board.nor.medium_mut().mend();
        assert!(matches!(board.boot(), Boot::Run(_)), "{at}");
        assert_eq!(board.running(old.len()), old, "{at}");
        board.update(&factory.envelope(3, &new), &new);
        assert_eq!(board.running(new.len()), new, "{at}");
    }
}

/// Pages and failures; a swap writes three pages of slot B, which begin with those that are kept.
fn cases_of_an_exchange() -> Vec<(Place, (&'static str, Fail))> {
    let board = board().0;
    let is_written = |(name, place): &(&str, usize)| *name == "slot A" || *place < kept(&board) + 3 * 4096;
    let pages = pages_of_an_exchange(&board).into_iter().filter(is_written);
    pages.flat_map(|page| FAILURES.map(|failure| (page, failure))).collect()
}

/// A word that takes nothing, and a driver that says nothing about it: what is copied is read back before its source goes.
#[test]
fn boot23_a_dead_word_in_a_copied_page_loses_no_image() {
    for (name, place) in pages_of_an_exchange(&board().0) {
        let (mut board, factory, old, new) = pending();
        board.nor.medium_mut().wear_out(place);
        let boot = board.boot();
        if name == "slot A" && place < slot_a(&board) + 3 * 4096 {
            // Neither image fits there any more; the device takes one, and stays on the bus.
            assert_eq!(boot, Boot::Stay(Some(Reason::SwapFailed)), "{place:#x}");
            board.install(&factory.envelope(3, &new), &new).unwrap();
            assert_eq!(board.boot(), Boot::Stay(Some(Reason::SwapFailed)), "{place:#x}");
            continue;
        }
        assert!(matches!(boot, Boot::Run(_)), "{name} {place:#x}");
        let runs = board.state().active.unwrap();
        let image = if runs.sequence == 1 { &old } else { &new };
        assert_eq!(&board.running(image.len()), image, "{name} {place:#x}");
    }
}

/// What lies behind a shorter image is erased if it can be; nothing depends on it.
#[test]
fn boot23_a_page_behind_the_image_that_comes_stops_no_update() {
    for (_, fail) in FAILURES {
        let (mut board, factory) = board();
        let (old, new) = (board.image(9000, 1), board.image(6000, 2));
        board.update(&factory.envelope(1, &old), &old);
        board.install(&factory.envelope(2, &new), &new).unwrap();
        let behind = slot_a(&board) + 3 * 4096 + 72;
        fail(&mut board.nor.medium_mut(), behind);
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.running(new.len()), new);
    }
}

/// A slot B that does not answer at all for one boot: nothing is erased for what cannot be read.
#[test]
fn boot23_a_slot_that_does_not_answer_for_a_while_loses_no_image() {
    let (mut board, _, old, _) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)));
    let whole = board.twin();
    let mut silences = 0;
    let operations = {
        let mut clean = whole.twin();
        let before = clean.nor.medium().operations();
        clean.boot();
        clean.nor.medium().operations() - before
    };
    for operation in (0..operations).step_by(3) {
        let mut board = whole.twin();
        board.nor.medium_mut().cut_at(operation, Cut::Nothing);
        board.boot();
        board.nor.medium_mut().power_on();
        if !matches!(board.state().status, Status::Reverting(_)) {
            continue;
        }
        let mut silent = board.twin();
        for word in (kept(&board)..kept(&board) + SLOT_LEN + 4096).step_by(8) {
            silent.nor.medium_mut().break_word(word);
        }
        let before = silent.nor.medium().bytes()[slot_a(&board)..slot_a(&board) + 4096].to_vec();
        if silent.boot() == Boot::Stay(Some(Reason::SwapFailed)) {
            silences += 1;
            assert!(matches!(silent.state().status, Status::Reverting(_)), "{operation}");
            assert_eq!(
                silent.nor.medium().bytes()[slot_a(&board)..slot_a(&board) + 4096],
                before,
                "{operation}"
            );
        }
        assert!(matches!(board.boot(), Boot::Run(_)), "{operation}");
        assert_eq!(board.running(old.len()), old, "{operation}");
    }
    assert!(silences > 10, "{silences}");
}

/// What a revert saves nobody needs. A page of slot A that fails keeps the device on the bus: it goes on when the page
/// works again, and takes a new image.
#[test]
fn boot23_a_page_that_fails_within_a_revert_leaves_a_device_that_takes_an_image() {
    for ((name, place), (kind, fail)) in cases_of_an_exchange() {
        let at = format!("{kind}, {name} {place:#x}");
        let (mut board, factory, old, new) = pending();
        assert!(matches!(board.boot(), Boot::Run(_)), "{at}");
        fail(&mut board.nor.medium_mut(), place);
        let boot = board.boot();
        if name == "slot A" && place < slot_a(&board) + 3 * 4096 {
            assert_eq!(boot, Boot::Stay(Some(Reason::SwapFailed)), "{at}");
            assert_eq!(record(&board.program()).image, ImageState::Reverting, "{at}");
            let mut mended = board.twin();
            mended.nor.medium_mut().mend();
            assert!(matches!(mended.boot(), Boot::Run(_)), "{at}");
            assert_eq!(mended.running(old.len()), old, "{at}");
            board.install(&factory.envelope(3, &new), &new).unwrap();
            board.nor.medium_mut().mend();
            assert!(matches!(board.boot(), Boot::Run(_)), "{at}");
            assert_eq!(board.running(new.len()), new, "{at}");
            continue;
        }
        assert!(matches!(boot, Boot::Run(_)), "{at}");
        assert_eq!(board.running(old.len()), old, "{at}");
        assert_eq!(board.state().revert_reason, Reason::TrialNotConfirmed.code(), "{at}");
    }
}

/// The last mark is lost with the power: the step after it may have begun, and what an earlier step would read is gone.
#[test]
fn boot24_a_mark_that_decays_within_a_swap_loses_no_image() {
    let (board, _, old, new) = pending();
    let operations = {
        let mut clean = board.twin();
        let before = clean.nor.medium().operations();
        assert!(matches!(clean.boot(), Boot::Run(_)));
        clean.nor.medium().operations() - before
    };
    let region = board.layout.region(Area::Progress);
    let mut lost = 0;
    for operation in 0..operations {
        let mut board = board.twin();
        board.nor.medium_mut().cut_at(operation, Cut::Nothing);
        board.boot();
        board.nor.medium_mut().power_on();
        if !matches!(board.state().status, Status::Swapping(_)) {
            continue;
        }
        let words = (region.start..region.start + region.len).step_by(8).map(|word| word as usize);
        let last = words.rev().find(|&word| board.nor.medium().bytes()[word..word + 8] != [0xFF; 8]);
        let Some(last) = last else { continue };
        lost += 1;
        board.nor.medium_mut().break_word(last);
        assert!(matches!(board.boot(), Boot::Run(_)), "{operation}");
        assert_eq!(board.running(new.len()), new, "{operation}");
        assert!(matches!(board.boot(), Boot::Run(_)), "{operation}: no way back");
        assert_eq!(board.running(old.len()), old, "{operation}: the way back");
    }
    assert!(lost > 100, "{lost}");
}

/// A source that decayed is no step that was done: in bytes that no digest covers, nothing is lost by doing it again.
#[test]
fn boot24_a_source_that_decays_within_a_swap_is_no_step_that_was_done() {
    let (board, _, old, new) = pending();
    let mut decayed = 0;
    for operation in 0..200 {
        let mut board = board.twin();
        board.nor.medium_mut().cut_at(operation, Cut::Nothing);
        board.boot();
        board.nor.medium_mut().power_on();
        if board.state().status != Status::Swapping(SwapProgress::START) {
            continue;
        }
        decayed += 1;
        // Behind the envelope in the head.
        board.nor.medium_mut().tamper(slot_a(&board) + 4000, &[0x7F]);
        assert!(matches!(board.boot(), Boot::Run(_)), "{operation}");
        assert_eq!(board.running(new.len()), new, "{operation}");
        assert!(matches!(board.boot(), Boot::Run(_)), "{operation}: no way back");
        assert_eq!(board.running(old.len()), old, "{operation}");
    }
    assert!(decayed > 5, "{decayed}");
}

/// No page is used up by exchanges: erases of each page of an update that is reverted, from the install on.
#[test]
fn no_page_is_erased_more_than_three_times_an_update() {
    let (mut board, factory, _, _) = {
        let (mut board, factory) = board();
        let old = board.image(16_000, 1);
        board.update(&factory.envelope(1, &old), &old);
        (board, factory, (), ())
    };
    let mut journal = 0;
    for round in 2..12 {
        let before = board.nor.medium().erases();
        let new = board.image(16_000, round);
        board.install(&factory.envelope(round.into(), &new), &new).unwrap();
        assert!(matches!(board.boot(), Boot::Run(_)));
        // Not confirmed: it goes back.
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.state().active.unwrap().sequence, 1);
        let journal_pages =
            [Half::First, Half::Second].map(|half| board.layout.region(Area::Journal(half)).start / 4096);
        for (page, (before, after)) in before.iter().zip(board.nor.medium().erases()).enumerate() {
            let erases = after - before;
            if journal_pages.contains(&u32::try_from(page).unwrap()) {
                journal += erases;
            } else {
                assert!(erases <= 3, "page {page} was erased {erases} times");
            }
        }
    }
    // Ten updates that went back: one page of the journal each, at most.
    assert!(journal <= 10, "{journal}");
}

#[test]
fn boot23_a_first_image_that_the_journal_cannot_begin_to_swap_in_is_named() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    board.install(&factory.envelope(1, &image), &image).unwrap();
    for half in [Half::First, Half::Second] {
        let region = board.layout.region(Area::Journal(half));
        for at in (region.start..region.start + region.len).step_by(8) {
            board.nor.medium_mut().fail(at as usize);
        }
    }
    assert_eq!(board.boot(), Boot::Stay(Some(Reason::SwapFailed)));
    assert_eq!(board.state().status, Status::Pending);
    board.nor.medium_mut().mend();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(image.len()), image);
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
