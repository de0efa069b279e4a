//! Exchanges whose flash fails or decays, and what they cost (docs/boot-rules.md, Swap).

use bootloader::layout::Area;
use bootloader::state::{Status, SwapProgress};
use device_harness::device::{Boot, record};
use flash_model::{Cut, Fault, Medium};
use suit_manifest::Reason;
use update_protocol::profile::ImageState;

use crate::boot::{
    Board, SLOT_LEN, board, cut_in_boot, kept, operations_of_a_boot, pending, reads_of_a_boot, slot_a, slot_b,
};

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

/// An operation that fails once, with or without a word from the driver, is tried again: the update is not given up.
#[test]
fn boot23_an_operation_that_fails_once_within_a_swap_gives_nothing_up() {
    let (board, _, _, new) = pending();
    let faults = [Fault::Error { effect: Cut::Nothing, lasts: false }, Fault::Silent { lasts: false }];
    for operation in (0..operations_of_a_boot(&board)).step_by(7) {
        for fault in faults {
            let mut board = board.twin();
            board.nor.medium_mut().plan_at(operation, fault);
            assert!(matches!(board.boot(), Boot::Run(_)), "{operation}, {fault:?}");
            assert!(board.running(new.len()) == new, "{operation}, {fault:?}");
        }
    }
}

/// Two reads in a row that fail leave a hole in a page that is copied: it is not taken for the page.
#[test]
fn boot23_two_reads_that_fail_within_a_swap_leave_no_hole() {
    let (board, _, old, new) = pending();
    let reads = reads_of_a_boot(&board);
    let mut tried = 0;
    for read in (0..reads).step_by(5) {
        let mut board = board.twin();
        for failing in [read, read + 1] {
            board.nor.medium_mut().fail_read_at(failing, false);
        }
        board.boot();
        if board.state().status == (Status::Trial { boots: 1 }) {
            tried += 1;
            assert!(board.running(new.len()) == new, "{read}");
            // And the way back is whole.
            assert!(matches!(board.boot(), Boot::Run(_)), "{read}");
            assert!(board.running(old.len()) == old, "{read}");
        }
    }
    assert!(tried > 100, "{tried}");
}

/// A slot B that does not answer at all for one boot: nothing is erased for what cannot be read.
#[test]
fn boot23_a_slot_that_does_not_answer_for_a_while_loses_no_image() {
    let (mut board, _, old, _) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)));
    let whole = board.twin();
    let mut silences = 0;
    for operation in (0..operations_of_a_boot(&whole)).step_by(3) {
        let mut board = cut_in_boot(&whole, operation);
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
    let region = board.layout.region(Area::Progress);
    let mut lost = 0;
    for operation in 0..operations_of_a_boot(&board) {
        let mut board = cut_in_boot(&board, operation);
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
        let mut board = cut_in_boot(&board, operation);
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
    let (mut board, factory) = board();
    let old = board.image(16_000, 1);
    board.update(&factory.envelope(1, &old), &old);
    let mut journal = 0;
    for round in 2..12 {
        let before = board.nor.medium().erases();
        let new = board.image(16_000, round);
        board.install(&factory.envelope(round.into(), &new), &new).unwrap();
        assert!(matches!(board.boot(), Boot::Run(_)));
        // Not confirmed: it goes back.
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.state().active.unwrap().sequence, 1);
        let parts = 0..board.layout.journal_parts();
        let journal_pages: Vec<_> =
            parts.map(|part| board.layout.region(Area::Journal(part)).start / 4096).collect();
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
    for part in 0..board.layout.journal_parts() {
        let region = board.layout.region(Area::Journal(part));
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

/// Words of an area, by their offset in the flash.
fn words(board: &Board, area: Area) -> impl Iterator<Item = usize> {
    let region = board.layout.region(area);
    (region.start..region.start + region.len).step_by(8).map(|word| word as usize)
}

/// The slots of a board.
fn slots(board: &Board) -> Vec<u8> {
    board.nor.medium().bytes()[slot_a(board)..].to_vec()
}

/// A region for marks that does not answer for one boot: nothing is done again that was done.
#[test]
fn boot24_marks_that_do_not_read_for_a_while_lose_no_image() {
    let (mut board, _, old, new) = pending();
    let trial = {
        let mut board = board.twin();
        assert!(matches!(board.boot(), Boot::Run(_)));
        board
    };
    let mut silences = 0;
    for whole in [&mut board, &mut trial.twin()] {
        for operation in 0..operations_of_a_boot(whole) {
            let mut board = cut_in_boot(whole, operation);
            let status = board.state().status;
            if !matches!(status, Status::Swapping(_) | Status::Reverting(_)) {
                continue;
            }
            let mut silent = board.twin();
            for word in words(&board, Area::Progress) {
                silent.nor.medium_mut().break_word(word);
            }
            let before = slots(&silent);
            assert_eq!(silent.boot(), Boot::Stay(Some(Reason::SwapFailed)), "{operation}");
            silences += 1;
            assert!(slots(&silent) == before, "{operation}: something was done");
            // What the loader wrote into the journal meanwhile takes no mark back.
            for part in 0..3 {
                let region = board.layout.region(Area::Journal(part));
                let place = region.start as usize..(region.start + region.len) as usize;
                board.nor.medium_mut().tamper(place.start, &silent.nor.medium().bytes()[place]);
            }
            assert!(matches!(board.boot(), Boot::Run(_)), "{operation}");
            if let Status::Swapping(_) = status {
                assert_eq!(board.running(new.len()), new, "{operation}");
                assert!(matches!(board.boot(), Boot::Run(_)), "{operation}: no way back");
            }
            assert_eq!(board.running(old.len()), old, "{operation}");
        }
    }
    assert!(silences > 1000, "{silences}");
}

/// Marks that never read again: the device takes a new image.
#[test]
fn boot23_a_device_whose_marks_are_lost_for_good_takes_an_image() {
    let (board, factory, _, new) = pending();
    for operation in [60, 700, 1500, 3000] {
        let mut board = cut_in_boot(&board, operation);
        if !matches!(board.state().status, Status::Swapping(_)) {
            continue;
        }
        for word in words(&board, Area::Progress) {
            board.nor.medium_mut().break_word(word);
            board.nor.medium_mut().fail(word);
        }
        assert_eq!(board.boot(), Boot::Stay(Some(Reason::SwapFailed)), "{operation}");
        board.install(&factory.envelope(3, &new), &new).unwrap();
        // Each step is a record now, also across a reset.
        let mut cut = cut_in_boot(&board, 1200);
        for board in [&mut board, &mut cut] {
            assert!(matches!(board.boot(), Boot::Run(_)), "{operation}");
            assert_eq!(board.running(new.len()), new, "{operation}");
        }
    }
}

/// A supply that fails in every swap: neither marks nor journal are worn out by it.
#[test]
fn boot25_a_reset_within_a_swap_erases_no_page_of_marks() {
    let (mut board, _, _, new) = pending();
    let erases = |board: &Board, area| {
        let region = board.layout.region(area);
        let page = (region.start / 4096) as usize;
        board.nor.medium().erases().get(page).copied().unwrap_or(0)
    };
    let before = erases(&board, Area::Progress);
    let journal = |board: &Board| (0..3).map(|part| erases(board, Area::Journal(part))).sum::<u32>();
    let journal_before = journal(&board);
    // Most fail before a step is marked, the last ones after one.
    let mut marked = 0;
    for operation in [100, 300].repeat(20).into_iter().chain([700; 6]) {
        let cut = cut_in_boot(&board, operation);
        if !matches!(cut.state().status, Status::Swapping(_)) {
            break;
        }
        board = cut;
        marked += u32::from(operation == 700);
    }
    assert!(marked >= 3, "{marked}");
    assert!(erases(&board, Area::Progress) - before <= 1, "the marks");
    assert!(journal(&board) - journal_before <= 7, "the journal");
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(new.len()), new);
}

/// A page of the journal that fails for good when a swap is under way, whatever power does meanwhile.
#[test]
fn boot23_a_page_of_the_journal_that_fails_within_a_swap_stops_nothing() {
    for kind in [Medium::fail_to_erase, Medium::fail_to_program] {
        for part in 0..3 {
            let (board, factory, _, new) = pending();
            let mut board = cut_in_boot(&board, 90);
            assert!(matches!(board.state().status, Status::Swapping(_)));
            for word in words(&board, Area::Journal(part)) {
                kind(&mut board.nor.medium_mut(), word);
            }
            for reset in 0..40 {
                board = cut_in_boot(&board, 60 + reset);
            }
            for sequence in 3..9 {
                assert!(matches!(board.boot(), Boot::Run(_)), "part {part}");
                board.application().confirm().unwrap();
                board.install(&factory.envelope(sequence, &new), &new).unwrap();
            }
        }
    }
}
