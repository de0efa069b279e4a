//! One word of flash that decays or faults at rest, anywhere in the journal, the stored objects or the marks, at every
//! state of a life (docs/attacks.md, BOOT24).

use bootloader::layout::{Area, Half};
use bootloader::state::{BootState, Status};
use device_harness::device::Boot;
use device_harness::factory::Factory;
use suit_manifest::Reason;
use update_protocol::profile::Object;

use crate::boot::{Board, cut_in_boot, operations_of_a_boot};

/// A life: the device from the factory to its second release, at each state on the way.
fn life() -> (Vec<(&'static str, Board)>, Factory, Factory) {
    let factory = Factory::new(1);
    let stolen = factory.with_new_release_key(7);
    let mut board = Board::new(4);
    let mut life = vec![("factory", board.twin())];
    board.provision(&factory);
    life.push(("provisioned", board.twin()));
    board.send(Object::RevocationList, &factory.revocation_list(4, &[])).unwrap();
    board.send(Object::RevocationList, &factory.revocation_list(5, &[stolen.release_kid()])).unwrap();
    life.push(("listed", board.twin()));
    let (old, new) = (board.image(6000, 1), board.image(9000, 2));
    board.update(&factory.envelope(1, &old), &old);
    life.push(("confirmed", board.twin()));
    let envelope = factory.envelope(2, &new);
    board.send(Object::Envelope, &envelope).unwrap();
    life.push(("installing", board.twin()));
    board.install(&envelope, &new).unwrap();
    life.push(("pending", board.twin()));
    let half = operations_of_a_boot(&board) / 2;
    life.push(("within the swap", cut_in_boot(&board, half)));
    assert!(matches!(board.boot(), Boot::Run(_)));
    life.push(("trial", board.twin()));
    let half = operations_of_a_boot(&board) / 2;
    let reverting = cut_in_boot(&board, half);
    assert!(matches!(reverting.state().status, Status::Reverting(_)));
    life.push(("within the revert", reverting));
    board.application().confirm().unwrap();
    life.push(("confirmed again", board));
    (life, factory, stolen)
}

/// What must not be lost. Marks and sets have numbers of their own.
fn essence(state: &BootState) -> impl PartialEq + std::fmt::Debug + use<> {
    let lists = state.domains.map(|domain| domain.list_sequence);
    (state.status, state.floor, state.active, state.spare, lists, state.provisioned, state.revert_reason)
}

/// The words of an area that are not erased.
fn used_words(board: &Board, area: Area) -> Vec<usize> {
    let region = board.layout.region(area);
    let words = (region.start..region.start + region.len).step_by(8).map(|word| word as usize);
    words.filter(|&word| board.nor.medium().bytes()[word..word + 8] != [0xFF; 8]).collect()
}

#[test]
fn boot24_no_word_that_decays_loses_anything_at_any_state_of_a_life() {
    let (life, factory, stolen) = life();
    let mut decayed = 0;
    for (name, board) in &life {
        let mut clean = board.twin();
        let image = clean.image(64, 9);
        let before = essence(&clean.state());
        let boot = clean.boot();
        let after = essence(&clean.state());
        let mut words = used_words(board, Area::Progress);
        words.extend((0..3).flat_map(|part| used_words(board, Area::Journal(part))));
        words.extend(
            [Half::First, Half::Second].into_iter().flat_map(|half| used_words(board, Area::Stored(half))),
        );
        for (index, &word) in words.iter().enumerate() {
            for is_unreadable in [false, true] {
                let mut board = board.twin();
                if is_unreadable {
                    board.nor.medium_mut().break_word(word);
                } else {
                    let byte = board.nor.medium().bytes()[word + index % 8];
                    board.nor.medium_mut().tamper(word + index % 8, &[byte ^ 1 << (index % 7)]);
                }
                let at = format!("{name}, word {word:#x}, unreadable: {is_unreadable}");
                decayed += 1;
                // A mark that is lost costs a step.
                if !matches!(
                    board.state().status,
                    Status::Swapping(_) | Status::Reverting(_) | Status::Installing { .. }
                ) {
                    assert_eq!(essence(&board.state()), before, "{at}");
                }
                assert_eq!(board.boot(), boot, "{at}");
                assert_eq!(essence(&board.state()), after, "{at}");
                // Whatever suffered is whole again: what was its other copy may decay now.
                if index % 16 == 0 && board.state().provisioned && board.state().domains[0].list_sequence == 5
                {
                    let refused = board.send(Object::Envelope, &stolen.envelope(9, &image)).unwrap_err();
                    let closed = [Some(Reason::KeyRevoked), Some(Reason::TrialNotConfirmed)];
                    assert!(closed.contains(&refused.reason()), "{at}: {refused:?}");
                    let older = factory.revocation_list(4, &[]);
                    let refused = board.send(Object::RevocationList, &older).unwrap_err();
                    assert_eq!(refused.reason(), Some(Reason::RevocationSequence), "{at}");
                }
            }
        }
    }
    assert!(decayed > 5000, "{decayed}");
}

/// A copy on a page that takes nothing any more costs a few erases, not one at every boot; the next set is another try.
#[test]
fn boot25_a_copy_that_cannot_be_written_again_is_tried_a_few_times() {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    board.provision(&factory);
    let image = board.image(64, 1);
    board.update(&factory.envelope(1, &image), &image);
    let region = board.layout.region(Area::Stored(Half::Second));
    board.nor.medium_mut().wear_out(region.start as usize + 40);
    board.nor.medium_mut().break_word(region.start as usize + 40);
    let page = (region.start / 4096) as usize;
    let erases = |board: &Board| board.nor.medium().erases()[page];
    let before = erases(&board);
    for _ in 0..50 {
        assert!(matches!(board.boot(), Boot::Run(_)));
    }
    assert_eq!(erases(&board) - before, 3);
    let operations = board.nor.medium().operations();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.nor.medium().operations(), operations, "a boot writes nothing more");
}
