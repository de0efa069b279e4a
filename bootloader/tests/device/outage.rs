//! Flash that does not answer for a while, or takes no record any more: no image is forgotten for it
//! (docs/boot-rules.md).

use bootloader::application::Confirmation;
use bootloader::flash::FlashError;
use bootloader::journal::JournalError;
use bootloader::layout::Area;
use bootloader::mailbox::{Listening, RETRIES_MAX, Request, ResetCause, Wake};
use bootloader::state::Status;
use device_harness::device::{Boot, install, wake};
use suit_manifest::Reason;

use crate::boot::{
    Board, SLOT_LEN, board, cut_in_boot, kept, operations_of_a_boot, pending, pending_of, reads_of_a_boot,
    slot_a, slot_b,
};

/// All words of a stretch do not read until they are erased.
fn spoil(board: &mut Board, start: usize, len: usize) {
    for word in (start..start + len).step_by(8) {
        board.nor.medium_mut().break_word(word);
    }
}

/// A trial that ends while the slot with the way back does not answer: as after a watchdog reset within an access to an
/// external flash.
#[test]
fn boot63_a_way_back_that_does_not_read_for_a_while_is_not_forgotten() {
    let (mut board, factory, old, new) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)), "the trial");
    let mut silent = board.twin();
    let start = kept(&board);
    spoil(&mut silent, start, SLOT_LEN);
    for _ in 0..2 {
        assert_eq!(silent.boot(), Boot::Stay(Some(Reason::FlashFailed)));
        assert_eq!(silent.state(), board.state());
    }
    // The flash answers again.
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert!(board.running(old.len()) == old);
    // It never does: a new image comes.
    silent.install(&factory.envelope(3, &new), &new).unwrap();
    assert!(matches!(silent.boot(), Boot::Run(_)));
    assert!(silent.running(new.len()) == new);
}

/// One read that fails costs nothing: it is tried again.
#[test]
fn boot50_a_read_that_fails_once_stops_no_boot() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    board.update(&factory.envelope(1, &image), &image);
    let reads = reads_of_a_boot(&board);
    for read in 0..reads {
        let mut board = board.twin();
        board.nor.medium_mut().fail_read_at(read, false);
        assert!(matches!(board.boot(), Boot::Run(_)), "read {read} of {reads}");
    }
}

/// An application whose journal does not read is not told that all is well: the loader may see its trial yet.
#[test]
fn a_confirmation_over_a_journal_that_does_not_read_is_an_error() {
    let (mut board, _, _, _) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)), "the trial");
    let region = board.layout.region(Area::Journal(0));
    let mut silent = board.twin();
    spoil(&mut silent, region.start as usize, 3 * region.len as usize);
    assert_eq!(silent.application().confirm(), Err(JournalError::Flash(FlashError::Unreadable)));
    board.application().confirm().unwrap();
    assert_eq!(board.application().confirm(), Ok(Confirmation::AlreadyConfirmed));
}

/// The image on trial does not read, nor does the way back: its trial is over, and nothing is forgotten.
#[test]
fn boot63_two_slots_that_do_not_read_for_a_while_are_not_forgotten() {
    let (mut board, factory, _, new) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)), "the trial");
    let mut silent = board.twin();
    let (start, behind) = (slot_a(&board), kept(&board));
    spoil(&mut silent, start, SLOT_LEN);
    spoil(&mut silent, behind, SLOT_LEN);
    assert_eq!(silent.boot(), Boot::Stay(Some(Reason::FlashFailed)));
    let state = silent.state();
    assert_eq!((state.active, state.spare), (board.state().active, board.state().spare));
    silent.install(&factory.envelope(3, &new), &new).unwrap();
}

/// A journal whose other parts do not erase: an update begins only with room for all of its records.
#[test]
fn boot64_a_journal_without_room_stops_no_device_between_two_images() {
    for filling in 0..7 {
        let (mut board, factory) = board();
        let (old, new) = (board.image(9000, 1), board.image(9000, 2));
        board.update(&factory.envelope(1, &old), &old);
        for _ in 0..filling {
            board.install(&factory.envelope(3, &old), &old).unwrap();
        }
        board.install(&factory.envelope(2, &new), &new).unwrap();
        for part in 0..board.layout.journal_parts() {
            let start = board.layout.region(Area::Journal(part)).start as usize;
            board.nor.medium_mut().fail_to_erase(start);
        }
        for _ in 0..3 {
            assert!(matches!(board.boot(), Boot::Run(_)), "{filling}");
            assert_eq!(board.state().status, Status::Pending, "{filling}");
            assert!(board.running(old.len()) == old, "{filling}");
        }
        board.nor.medium_mut().mend();
        assert!(matches!(board.boot(), Boot::Run(_)), "{filling}");
        assert!(board.running(new.len()) == new, "{filling}");
    }
}

/// Nobody is there who could reset the device: it does so itself, a few times, after it has listened.
#[test]
fn boot65_a_fault_that_may_pass_is_tried_again_without_anybody() {
    let (mut board, factory) = board();
    let image = board.image(9000, 1);
    board.update(&factory.envelope(1, &image), &image);
    let start = slot_a(&board);
    spoil(&mut board, start, SLOT_LEN);
    let mut start = wake(None);
    for retry in 0..=RETRIES_MAX {
        assert_eq!(start.retries, retry);
        let bootloader::Boot::Stay(mut session) = board.wake(&start) else { panic!("it does not read") };
        let is_retry = retry < RETRIES_MAX;
        assert_eq!((session.is_retry(), session.listens_until_us(0).is_some()), (is_retry, is_retry));
        assert!(session.hand_over().is_none());
        start = Wake::read(&start.mailbox_of_retry(), ResetCause::Software, Listening::DEFAULT);
    }
    // A tester who asked for the loader has it as long as the session lives; then the loader tries again.
    let bootloader::Boot::Stay(session) =
        board.wake(&wake(Some(Request::ProgrammingSession { answer: true })))
    else {
        panic!("it was asked for")
    };
    assert!(session.is_retry());
    assert_eq!(session.refusal().map(|refusal| refusal.reason), Some(Reason::FlashFailed));
}

/// A request for the loader in an outage, with the way back under way: no install gives both images up.
#[test]
fn boot67_a_request_in_an_outage_gives_no_image_up() {
    let (mut board, factory, _, new) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)), "the trial");
    let start = kept(&board);
    board.nor.medium_mut().silence(start, SLOT_LEN);
    let (state, nor) = (board.state(), board.nor.clone());
    let sent = install(&nor, &mut board.program(), &factory.envelope(3, &new), &new);
    assert_eq!(sent.unwrap_err().reason(), Some(Reason::SwapFailed));
    assert_eq!((board.state().active, board.state().spare), (state.active, state.spare));
}

/// The only image does not read for a moment, at any read of its first boot: pending, or on trial. It is not dropped.
#[test]
fn boot63_the_only_image_is_not_dropped_for_reads_that_fail() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    board.install(&factory.envelope(1, &image), &image).unwrap();
    let reads = reads_of_a_boot(&board);
    let mut outages = 0;
    for read in (0..reads).step_by(3) {
        let mut board = board.twin();
        (read..read + 6).for_each(|read| board.nor.medium_mut().fail_read_at(read, false));
        let ends: Vec<_> = (0..4).map(|_| board.boot()).collect();
        outages += u32::from(!matches!(ends.first(), Some(Boot::Run(_))));
        assert!(ends.iter().any(|end| matches!(end, Boot::Run(_))), "reads from {read} on: {ends:?}");
    }
    assert!(outages > 10, "{outages}");
}

/// It never reads again: after the resets by itself the loader drops it, and takes another one.
#[test]
fn boot63_the_only_image_is_dropped_if_it_never_reads() {
    for is_on_trial in [false, true] {
        let (mut board, factory) = board();
        let image = board.image(6000, 1);
        board.install(&factory.envelope(1, &image), &image).unwrap();
        let start = if is_on_trial { slot_a(&board) } else { slot_b(&board) } + 4096;
        if is_on_trial {
            // The power goes away right before the hand-over.
            let cuts =
                (0..operations_of_a_boot(&board)).rev().map(|operation| cut_in_boot(&board, operation));
            board = cuts.into_iter().find(|cut| cut.state().status == Status::Trial { boots: 0 }).unwrap();
        }
        board.nor.medium_mut().silence(start, 4096);
        let mut start = wake(None);
        for retry in 0..=RETRIES_MAX {
            let bootloader::Boot::Stay(session) = board.wake(&start) else { panic!("it does not read") };
            assert_eq!(session.is_retry(), retry < RETRIES_MAX, "{retry}");
            start = Wake::read(&start.mailbox_of_retry(), ResetCause::Software, Listening::DEFAULT);
        }
        board.nor.medium_mut().mend();
        let next = board.image(7000, 2);
        board.update(&factory.envelope(2, &next), &next);
    }
}

/// A device before an update, and before the revert after it; the old image is longer, or the new one.
struct Exchange {
    board: Board,
    is_revert: bool,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Exchange {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for (old, new) in [(6000, 9000), (9000, 5000)] {
            for is_revert in [false, true] {
                let (mut board, _, old, new) = pending_of(old, new);
                if is_revert {
                    assert!(matches!(board.boot(), Boot::Run(_)), "the trial");
                }
                all.push(Self { board, is_revert, old, new });
            }
        }
        all
    }

    /// Slot A, and both parts of slot B.
    fn slots(&self) -> [(usize, usize); 2] {
        [(slot_a(&self.board), SLOT_LEN), (kept(&self.board), SLOT_LEN + 4096)]
    }

    /// Its flash answers again: the device runs a whole image, and the old one at the end.
    fn comes_back(&self, board: &mut Board, at: &str) {
        let at = format!("revert: {}, {at}", self.is_revert);
        board.nor.medium_mut().mend();
        let runs = (0..4).any(|_| matches!(board.boot(), Boot::Run(_)));
        assert!(runs, "{at}: {:?}", board.state());
        let is_old = board.running(self.old.len()) == self.old;
        assert!(is_old || !self.is_revert && board.running(self.new.len()) == self.new, "{at}");
        // The way back of a trial is whole too.
        if !is_old {
            assert!(matches!(board.boot(), Boot::Run(_)), "{at}");
            assert!(board.running(self.old.len()) == self.old, "{at}");
        }
    }
}

/// A slot that does not answer for whole boots in the middle of an exchange, after a cut at any operation, and answers
/// again: no page of it counts as copied.
#[test]
fn boot80_a_slot_that_answers_again_has_lost_no_image() {
    for exchange in Exchange::all() {
        for operation in (0..operations_of_a_boot(&exchange.board)).step_by(5) {
            let cut = cut_in_boot(&exchange.board, operation);
            for (start, len) in exchange.slots() {
                let mut board = cut.twin();
                board.nor.medium_mut().silence(start, len);
                let first = [board.boot(), board.boot()];
                exchange.comes_back(&mut board, &format!("cut at {operation}, silent {start:#x}: {first:?}"));
            }
        }
    }
}

/// A stranger who comes within an outage: an install would give both images up, and the next reset may need them.
#[test]
fn boot67_an_outage_lets_nobody_give_two_images_up() {
    let (mut board, factory, _, new) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)), "the trial");
    let start = kept(&board);
    spoil(&mut board, start, SLOT_LEN);
    let (state, nor) = (board.state(), board.nor.clone());
    let envelope = factory.envelope(3, &new);
    let mut start = wake(None);
    for retry in 0..=RETRIES_MAX {
        let bootloader::Boot::Stay(mut session) = board.wake(&start) else { panic!("it does not read") };
        let sent = install(&nor, &mut session, &envelope, &new);
        if retry < RETRIES_MAX {
            assert_eq!(sent.unwrap_err().reason(), Some(Reason::SwapFailed), "{retry}");
            assert_eq!((board.state().active, board.state().spare), (state.active, state.spare), "{retry}");
        } else {
            sent.unwrap();
        }
        start = Wake::read(&start.mailbox_of_retry(), ResetCause::Software, Listening::DEFAULT);
    }
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert!(board.running(new.len()) == new);
}

/// Flash that answers nothing for a while within the way back, wherever it begins and however long it lasts: a page that
/// was not taken never counts as taken.
#[test]
fn boot23_an_outage_within_the_way_back_loses_no_page() {
    let (mut board, _, old, _) = pending();
    assert!(matches!(board.boot(), Boot::Run(_)), "the trial");
    let reads = reads_of_a_boot(&board);
    let mut clean = board.twin();
    assert!(matches!(clean.boot(), Boot::Run(_)));
    assert!(clean.running(old.len()) == old);
    for len in [9, 70, 150, 300, 600, 1200] {
        for start in (0..reads).step_by(23) {
            let mut board = board.twin();
            for read in start..start + len {
                board.nor.medium_mut().fail_read_at(read, false);
            }
            let ends: Vec<_> = (0..8).map(|_| board.boot()).collect();
            assert!(matches!(ends.last(), Some(Boot::Run(_))), "{len} reads from {start} on: {ends:?}");
            assert!(board.running(old.len()) == old, "{len} reads from {start} on");
        }
    }
}

/// The same where a slot falls silent at any read of the boot that exchanges the images.
#[test]
fn boot80_a_slot_that_falls_silent_within_an_exchange_has_lost_no_image() {
    for exchange in Exchange::all() {
        for (start, len) in exchange.slots() {
            for read in (0..reads_of_a_boot(&exchange.board)).step_by(31) {
                let mut board = exchange.board.twin();
                board.nor.medium_mut().silence_after(read, start, len);
                let first = board.boot();
                exchange.comes_back(&mut board, &format!("read {read}, silent {start:#x}: {first:?}"));
            }
        }
    }
}
