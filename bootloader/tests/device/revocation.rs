//! Revocation lists.

use bootloader::journal::RECORD_LEN;
use bootloader::layout::{Area, Half};
use bootloader::state::Status;
use device_harness::device::{Boot, Device, Failure, anchor_report, record};
use device_harness::factory::{Factory, provisioning_block};
use flash_model::Cut;
use suit_manifest::Reason;
use trust::{Anchor, Rights};
use update_protocol::profile::Object;
use update_protocol::profile::anchors::AnchorReport;
use update_protocol::uds::Nrc;

type Board = Device<8, 4096>;

fn board() -> (Board, Factory) {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    board.provision(&factory);
    (board, factory)
}

fn refusal(board: &mut Board, object: Object, bytes: &[u8]) -> Option<Reason> {
    let before = board.nor.medium().operations();
    let reason = board.send(object, bytes).expect_err("refused").reason();
    assert_eq!(board.nor.medium().operations(), before, "something was written");
    reason
}

#[test]
fn a_list_takes_back_a_key_across_resets_and_never_grows_older() {
    let (mut board, factory) = board();
    let stolen = factory.with_new_release_key(7);
    let image = board.image(64, 1);
    board.send(Object::Envelope, &stolen.envelope(1, &image)).unwrap();
    board.send(Object::RevocationList, &factory.revocation_list(5, &[stolen.release_kid()])).unwrap();
    assert_eq!(record(&board.program()).revocation_sequence, 5);
    let refused = board.send(Object::Envelope, &stolen.envelope(1, &image)).unwrap_err();
    assert_eq!(refused, Failure::Refused(Nrc::SECURITY_ACCESS_DENIED, Some(Reason::KeyRevoked)));
    for (sequence, kids, reason) in [
        (1, &[][..], Reason::RevocationSequence),
        (4, &[], Reason::RevocationSequence),
        (5, &[stolen.release_kid()], Reason::RevocationSequence),
        (5, &[], Reason::RevocationForked),
    ] {
        let list = factory.revocation_list(sequence, kids);
        assert_eq!(refusal(&mut board, Object::RevocationList, &list), Some(reason));
    }
    // Newer lists replace, set after set.
    for sequence in 6..12 {
        board
            .send(Object::RevocationList, &factory.revocation_list(sequence, &[stolen.release_kid()]))
            .unwrap();
        let reason = refusal(&mut board, Object::Envelope, &stolen.envelope(1, &image));
        assert_eq!(reason, Some(Reason::KeyRevoked));
    }
}

/// The way back in for a stolen key: a newer list that forgets it.
#[test]
fn a_newer_list_that_drops_an_entry_is_refused() {
    let (mut board, factory) = board();
    let stolen = factory.with_new_release_key(7);
    let other = factory.with_new_release_key(8);
    let image = board.image(64, 1);
    board.send(Object::RevocationList, &factory.revocation_list(1, &[stolen.release_kid()])).unwrap();
    for kids in [&[][..], &[other.release_kid()]] {
        let list = factory.revocation_list(2, kids);
        assert_eq!(refusal(&mut board, Object::RevocationList, &list), Some(Reason::RevocationDropsEntry));
    }
    let both = factory.revocation_list(2, &[other.release_kid(), stolen.release_kid()]);
    board.send(Object::RevocationList, &both).unwrap();
    for stolen in [&stolen, &other] {
        let reason = refusal(&mut board, Object::Envelope, &stolen.envelope(1, &image));
        assert_eq!(reason, Some(Reason::KeyRevoked));
    }
    // Nor does a minimum fall.
    board
        .send(
            Object::RevocationList,
            &factory.revocation_list_of(3, &[other.release_kid(), stolen.release_kid()], &[5]),
        )
        .unwrap();
    let lower = factory.revocation_list_of(4, &[other.release_kid(), stolen.release_kid()], &[4]);
    assert_eq!(refusal(&mut board, Object::RevocationList, &lower), Some(Reason::RevocationDropsEntry));
}

#[test]
fn a_list_of_somebody_else_is_refused() {
    let (mut board, factory) = board();
    let foreign = Factory::new(2).revocation_list(1, &[factory.release_kid()]);
    assert_eq!(refusal(&mut board, Object::RevocationList, &foreign), Some(Reason::AnchorUnknown));
}

#[test]
fn a_list_cannot_take_back_an_anchor_of_its_domain() {
    let (one, two) = (Factory::new(1), Factory::new(2));
    let second = Anchor::new(*two.anchor().key(), Rights::FIRMWARE, one.anchor().domain());
    let list = one.revocation_list(1, &[two.anchor().kid()]);
    let mut board = Board::new(4);
    board.send(Object::ProvisioningBlock, &provisioning_block(&[one.anchor(), second], None)).unwrap();
    assert_eq!(refusal(&mut board, Object::RevocationList, &list), Some(Reason::RevocationNamesAnchor));

    // What it says of another domain's key has no effect.
    let mut board = Board::new(4);
    board.send(Object::ProvisioningBlock, &provisioning_block(&[one.anchor(), two.anchor()], None)).unwrap();
    board.send(Object::RevocationList, &list).unwrap();
    let image = board.image(64, 1);
    board.send(Object::Envelope, &two.envelope(1, &image)).unwrap();
}

#[test]
fn key18_a_retired_anchor_installs_and_lists_nothing() {
    let (one, two) = (Factory::new(1), Factory::new(2));
    let retired = Anchor::new(*two.anchor().key(), Rights::BOOT, one.anchor().domain());
    let mut board = Board::new(4);
    board.send(Object::ProvisioningBlock, &provisioning_block(&[one.anchor(), retired], None)).unwrap();
    let image = board.image(64, 1);
    assert_eq!(refusal(&mut board, Object::Envelope, &two.envelope(1, &image)), Some(Reason::AnchorRights));
    let list = two.revocation_list(1, &[]);
    assert_eq!(refusal(&mut board, Object::RevocationList, &list), Some(Reason::AnchorRights));
    board.send(Object::Envelope, &one.envelope(1, &image)).unwrap();
}

/// Exchanges the provisioning block in flash for one in which the factory's anchor has retired, and another one not.
fn retire(board: &Board, factory: &Factory) {
    let retired = Anchor::new(*factory.anchor().key(), Rights::BOOT, factory.anchor().domain());
    let mut other = Board::new(4);
    let block = provisioning_block(&[retired, Factory::new(2).anchor()], None);
    other.send(Object::ProvisioningBlock, &block).unwrap();
    let region = board.layout.region(Area::Stored(Half::First));
    let place = region.start as usize..(region.start + 2 * region.len) as usize;
    board.nor.medium_mut().tamper(place.start, &other.nor.medium().bytes()[place]);
}

#[test]
fn key18_what_was_installed_under_an_anchor_that_has_retired_boots_and_comes_back() {
    let (mut board, factory) = board();
    let (first, second) = (board.image(6000, 1), board.image(6000, 2));
    board.update(&factory.envelope(1, &first), &first);
    board.install(&factory.envelope(2, &second), &second).unwrap();

    // Nothing new is tried under it; what was confirmed runs.
    let mut dropped = board.twin();
    retire(&dropped, &factory);
    for _ in 0..2 {
        assert!(matches!(dropped.boot(), Boot::Run(_)));
        let state = dropped.state();
        assert_eq!((state.status, state.revert_reason), (Status::Idle, Reason::AnchorRights.code()));
        assert_eq!(dropped.running(first.len()), first);
    }

    // The way back from a trial leads to it as well.
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(second.len()), second);
    retire(&board, &factory);
    assert!(matches!(board.boot(), Boot::Run(_)));
    let state = board.state();
    assert_eq!((state.status, state.revert_reason), (Status::Idle, Reason::TrialNotConfirmed.code()));
    assert_eq!(board.running(first.len()), first);
}

#[test]
fn a_minimum_sequence_in_a_list_is_kept_to() {
    let (mut board, factory) = board();
    board.send(Object::RevocationList, &factory.revocation_list_of(1, &[], &[5])).unwrap();
    let image = board.image(64, 1);
    let reason = refusal(&mut board, Object::Envelope, &factory.envelope(4, &image));
    assert_eq!(reason, Some(Reason::SequenceBelowMinimum));
    board.send(Object::Envelope, &factory.envelope(5, &image)).unwrap();
}

#[test]
fn each_domain_has_its_own_list() {
    let (one, two) = (Factory::new(1), Factory::new(2));
    let mut board = Board::new(4);
    board.send(Object::ProvisioningBlock, &provisioning_block(&[one.anchor(), two.anchor()], None)).unwrap();
    let image = board.image(64, 1);
    board.send(Object::RevocationList, &one.revocation_list(9, &[one.release_kid()])).unwrap();
    // The other domain's list has a lower number and does not displace it, nor the other way round.
    board.send(Object::RevocationList, &two.revocation_list(2, &[two.release_kid()])).unwrap();
    for factory in [&one, &two] {
        let reason = refusal(&mut board, Object::Envelope, &factory.envelope(1, &image));
        assert_eq!(reason, Some(Reason::KeyRevoked));
    }
    assert_eq!(
        refusal(&mut board, Object::RevocationList, &two.revocation_list(2, &[])),
        Some(Reason::RevocationForked)
    );
    board.send(Object::RevocationList, &one.revocation_list(10, &[one.release_kid()])).unwrap();
    for factory in [&one, &two] {
        let reason = refusal(&mut board, Object::Envelope, &factory.envelope(1, &image));
        assert_eq!(reason, Some(Reason::KeyRevoked));
        board.send(Object::Envelope, &factory.with_new_release_key(7).envelope(1, &image)).unwrap();
    }
    assert_eq!(record(&board.program()).revocation_sequence, 10);
    assert_eq!(board.state().domains.map(|domain| domain.list_sequence), [10, 2]);
    let report = anchor_report(&mut board.program());
    let report = AnchorReport::decode(&report).unwrap();
    let numbers = report.domains().map(|domain| (domain.domain, domain.list_sequence)).collect::<Vec<_>>();
    assert_eq!(numbers, [(one.anchor().domain().0.0, 10), (two.anchor().domain().0.0, 2)]);
}

/// A board with two domains, one with list 9 and two with list 2, each of which takes back the signer's own release
/// key.
fn two_anchors() -> (Board, [Factory; 2]) {
    let factories = [Factory::new(1), Factory::new(2)];
    let mut board = Board::new(4);
    let anchors: Vec<_> = factories.iter().map(Factory::anchor).collect();
    board.send(Object::ProvisioningBlock, &provisioning_block(&anchors, None)).unwrap();
    for (factory, sequence) in factories.iter().zip([9, 2]) {
        let list = factory.revocation_list(sequence, &[factory.release_kid()]);
        board.send(Object::RevocationList, &list).unwrap();
    }
    (board, factories)
}

/// Where the stored object with this number, the block being number 0, lies in both halves.
fn object_at(board: &Board, number: usize) -> [usize; 2] {
    [Half::First, Half::Second].map(|half| {
        let mut at = board.layout.region(Area::Stored(half)).start as usize;
        for _ in 0..number {
            let medium = board.nor.medium();
            let len = usize::from(u16::from_be_bytes([medium.bytes()[at + 2], medium.bytes()[at + 3]]));
            at += 32 + len.next_multiple_of(32);
        }
        at
    })
}

#[test]
fn a_list_that_decayed_is_not_forgotten_when_another_domain_sends_one() {
    // The other domain's list decayed, or the signer's own with it behind it.
    for (decayed, signer) in [(0, 1), (1, 0), (0, 0), (1, 1)] {
        for word in [None, Some(0), Some(32), Some(64)] {
            let (mut board, factories) = two_anchors();
            // Both copies.
            for at in object_at(&board, 1 + decayed) {
                match word {
                    Some(word) => board.nor.medium_mut().break_word(at + word),
                    // What has lost its charge reads as erased.
                    None => board.nor.medium_mut().tamper(at, &[0xFF; 32]),
                }
            }
            let image = board.image(64, 1);
            let owner = &factories[decayed];
            let reason = refusal(&mut board, Object::Envelope, &owner.envelope(1, &image));
            assert_eq!(reason, Some(Reason::RevocationMalformed), "{decayed} {word:?}");
            let numbers = [9, 2];
            let list = factories[signer].revocation_list(10, &[factories[signer].release_kid()]);
            board.send(Object::RevocationList, &list).unwrap();

            let other = &factories[1 - signer];
            let reason = refusal(&mut board, Object::Envelope, &other.envelope(1, &image));
            let shut = [Some(Reason::KeyRevoked), Some(Reason::RevocationMalformed)];
            assert!(shut.contains(&reason), "{decayed} {signer} {word:?}: {reason:?}");
            if reason == shut[1] {
                // An older list does not open it again; one with the domain's own number does, though the other
                // domain's is higher.
                let number = numbers[1 - signer];
                let older = other.revocation_list(number - 1, &[]);
                let reason = refusal(&mut board, Object::RevocationList, &older);
                assert_eq!(reason, Some(Reason::RevocationSequence));
                let same = other.revocation_list(number, &[other.release_kid()]);
                board.send(Object::RevocationList, &same).unwrap();
                let reason = refusal(&mut board, Object::Envelope, &other.envelope(1, &image));
                assert_eq!(reason, Some(Reason::KeyRevoked));
            }
            let new = factories[signer].with_new_release_key(7);
            board.send(Object::Envelope, &new.envelope(1, &image)).unwrap();
        }
    }
}

/// Puts the stored objects of one board in the place of another one's.
fn exchange_objects(board: &Board, other: &Board) {
    let region = board.layout.region(Area::Stored(Half::First));
    let place = region.start as usize..(region.start + 2 * region.len) as usize;
    board.nor.medium_mut().tamper(place.start, &other.nor.medium().bytes()[place]);
}

/// In a set with the right number, and in one with an older number.
#[test]
fn key19_an_older_list_put_in_the_place_of_the_newest_lets_nobody_in() {
    let (mut board, factory) = board();
    let mut older = board.twin();
    older.send(Object::RevocationList, &factory.revocation_list(1, &[])).unwrap();
    let list = factory.revocation_list(2, &[factory.release_kid()]);
    board.send(Object::RevocationList, &list).unwrap();
    assert_eq!(board.state().set, older.state().set);
    let image = board.image(64, 1);
    for sequence in [2, 3] {
        let mut exchanged = board.twin();
        exchange_objects(&exchanged, &older);
        let reason = refusal(&mut exchanged, Object::Envelope, &factory.envelope(1, &image));
        // An older set has no block that counts.
        let shut = if sequence == 2 { Reason::RevocationMalformed } else { Reason::ProvisioningMalformed };
        assert_eq!(reason, Some(shut));
        let list = factory.revocation_list(3, &[factory.release_kid()]);
        if sequence == 2 {
            board.send(Object::RevocationList, &list).unwrap();
        }
    }
}

/// With the right number and under the name of the domain, as a device writes it on which both are of one domain.
#[test]
fn key19_the_list_of_another_domain_in_its_place_lets_nobody_in() {
    let (one, two) = (Factory::new(1), Factory::new(2));
    let of_one = Anchor::new(*two.anchor().key(), Rights::GOVERNANCE, one.anchor().domain());
    let [mut board, mut other] = [two.anchor(), of_one].map(|second| {
        let mut board = Board::new(4);
        let block = provisioning_block(&[one.anchor(), second], None);
        board.send(Object::ProvisioningBlock, &block).unwrap();
        board
    });
    board.send(Object::RevocationList, &one.revocation_list(5, &[one.release_kid()])).unwrap();
    other.send(Object::RevocationList, &two.revocation_list(5, &[])).unwrap();
    // The list only: the block says which domains there are.
    for at in object_at(&board, 1).into_iter().zip(object_at(&other, 1)) {
        let bytes = other.nor.medium().bytes()[at.1..at.1 + 1024].to_vec();
        board.nor.medium_mut().tamper(at.0, &bytes);
    }
    let image = board.image(64, 1);
    let reason = refusal(&mut board, Object::Envelope, &one.envelope(1, &image));
    assert_eq!(reason, Some(Reason::RevocationMalformed));
}

#[test]
fn lists_whose_record_reads_torn_later_are_not_erased() {
    let (mut board, factory) = board();
    let list = |sequence| factory.revocation_list(sequence, &[factory.release_kid()]);
    board.send(Object::RevocationList, &list(1)).unwrap();
    // The last word of each copy of the record that names the set with list 2, after the one that affirms list 1.
    let journal = board.layout.region(Area::Journal(0));
    let journal = journal.start as usize..(journal.start + 3 * journal.len) as usize;
    let cut = (0..).map(|operation| {
        let mut board = board.twin();
        board.nor.medium_mut().cut_at(operation, Cut::Fades(1));
        let sent = board.send(Object::RevocationList, &list(2));
        let at = board.nor.medium().last_offset();
        let ends = journal.contains(&at) && (at + 8 - journal.start) % 4096 % RECORD_LEN == 0;
        board.nor.medium_mut().power_on();
        (board, operation, sent.is_ok(), ends)
    });
    let cut = cut.take_while(|(_, _, is_sent, _)| !is_sent).filter(|(.., ends)| *ends);
    let [.., (first, ..), (board, operations, ..)] = &cut.collect::<Vec<_>>()[..] else { panic!("records") };
    assert!(first.state().set == board.state().set, "list 2 counts for now");
    let image = board.image(64, 1);
    for (board, again) in
        [first, board].into_iter().flat_map(|board| (0..*operations).map(move |again| (board, again)))
    {
        let mut board = board.twin();
        board.nor.medium_mut().cut_at(again, Cut::Nothing);
        assert_eq!(board.send(Object::RevocationList, &list(3)), Err(Failure::NoPower));
        board.nor.medium_mut().power_on();
        // What the cut left in doubt is written again once.
        drop(board.program());
        let reason = refusal(&mut board, Object::Envelope, &factory.envelope(1, &image));
        assert_eq!(reason, Some(Reason::KeyRevoked), "{again}");
    }
}

#[test]
fn a_list_that_was_not_programmed_does_not_take_the_place_of_the_one_that_counts() {
    let (mut board, factories) = two_anchors();
    let last = factories[1].revocation_list(11, &[factories[1].release_kid()]);
    let image = board.image(64, 1);
    for number in [0, 1, 2] {
        for word in [0, 40] {
            let mut board = board.twin();
            let [at, _] = object_at(&board, number);
            board.nor.medium_mut().wear_out(at + word);
            let refused = board.send(Object::RevocationList, &last).unwrap_err();
            assert_eq!(refused.reason(), Some(Reason::FlashFailed));
            for factory in &factories {
                let reason = board.send(Object::Envelope, &factory.envelope(1, &image)).unwrap_err().reason();
                assert_eq!(reason, Some(Reason::KeyRevoked));
            }
        }
    }
    board.send(Object::RevocationList, &last).unwrap();
}

#[test]
fn the_longest_lists_of_all_domains_fit() {
    let factories = [1, 2].map(Factory::new);
    let mut board = Board::new(4);
    let anchors = factories.each_ref().map(Factory::anchor);
    board.send(Object::ProvisioningBlock, &provisioning_block(&anchors, None)).unwrap();
    for sequence in [1, 2] {
        for factory in &factories {
            let list = factory.longest_revocation_list(sequence);
            assert!((1473..=1536).contains(&list.len()), "{} bytes", list.len());
            board.send(Object::RevocationList, &list).unwrap();
        }
    }
    let image = board.image(64, 1);
    for factory in &factories {
        let reason = refusal(&mut board, Object::Envelope, &factory.envelope(1, &image));
        assert_eq!(reason, Some(Reason::KeyRevoked));
    }
}

#[test]
fn lists_that_decayed_let_nobody_in_until_they_are_sent_again() {
    let (mut board, factory) = board();
    let list = factory.revocation_list(5, &[factory.with_new_release_key(7).release_kid()]);
    board.send(Object::RevocationList, &list).unwrap();
    let image = board.image(64, 1);
    // A flipped bit in header or list of both copies; `None`: all of it reads as erased.
    for damage in [Some(0usize), Some(4), Some(40), None] {
        let mut board = board.twin();
        for at in object_at(&board, 1) {
            let at = at + damage.unwrap_or(0);
            let byte = board.nor.medium().bytes()[at];
            let bytes = if damage.is_some() { vec![byte ^ 1] } else { vec![0xFF; 512] };
            board.nor.medium_mut().tamper(at, &bytes);
        }
        let reason = refusal(&mut board, Object::Envelope, &factory.envelope(1, &image));
        assert_eq!(reason, Some(Reason::RevocationMalformed), "{damage:?}");
        let older = factory.revocation_list(4, &[]);
        let reason = refusal(&mut board, Object::RevocationList, &older);
        assert_eq!(reason, Some(Reason::RevocationSequence), "{damage:?}");
        board.send(Object::RevocationList, &list).unwrap();
        board.send(Object::Envelope, &factory.envelope(1, &image)).unwrap();
    }
}

/// Each half has lost something that the other one has: no set can be written without losing one of them.
#[test]
fn boot24_a_set_of_which_each_half_lacks_an_object_is_kept() {
    let (mut board, factories) = two_anchors();
    let ([first, _], [_, second]) = (object_at(&board, 1), object_at(&board, 2));
    for at in [first, second] {
        board.nor.medium_mut().break_word(at + 40);
    }
    let image = board.image(64, 1);
    let list = factories[1].revocation_list(11, &[factories[1].release_kid()]);
    let refused = board.send(Object::RevocationList, &list).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::FlashFailed));
    for factory in &factories {
        let reason = refusal(&mut board, Object::Envelope, &factory.envelope(1, &image));
        assert_eq!(reason, Some(Reason::KeyRevoked));
    }
}

/// The header of an object in one half and its bytes in the other are all that is left of it: it counts, and no half is
/// erased, at no boot and for no newer list.
#[test]
fn boot24_an_object_of_which_each_half_has_a_part_is_kept() {
    for number in 0..3 {
        for header_in_first in [false, true] {
            let (mut board, factories) = two_anchors();
            let [first, second] = object_at(&board, number);
            let (with_header, with_bytes) = if header_in_first { (first, second) } else { (second, first) };
            board.nor.medium_mut().break_word(with_header + 40);
            board.nor.medium_mut().break_word(with_bytes);
            let at = format!("object {number}, header in the first half: {header_in_first}");
            let image = board.image(64, 1);
            board.boot();
            let list = factories[0].revocation_list(11, &[factories[0].release_kid()]);
            let refused = board.send(Object::RevocationList, &list).unwrap_err();
            assert_eq!(refused.reason(), Some(Reason::FlashFailed), "{at}");
            for factory in &factories {
                let reason = refusal(&mut board, Object::Envelope, &factory.envelope(1, &image));
                assert_eq!(reason, Some(Reason::KeyRevoked), "{at}");
            }
        }
    }
}

/// A read that fails for a while, at each read of a replacement, for as long as one try and its repetition and for
/// longer; while both halves hold the set, and while one does.
#[test]
fn boot24_a_read_that_fails_for_a_while_drops_no_object() {
    let (board, factories) = two_anchors();
    let list = factories[0].revocation_list(10, &[factories[0].release_kid()]);
    let envelope = |factory: &Factory| factory.envelope(1, &board.image(64, 1));
    let envelopes = [0, 1].map(|index| envelope(&factories[index]));
    let mut refused = 0;
    for lacking in [None, Some(Half::First), Some(Half::Second)] {
        let mut base = board.twin();
        if let Some(half) = lacking {
            decay_for_good(&mut base, half);
        }
        let mut clean = base.twin();
        let before = clean.nor.medium().reads();
        clean.send(Object::RevocationList, &list).unwrap();
        let reads = clean.nor.medium().reads() - before;
        for read in 0..reads {
            for outage in if read % 8 == 0 { vec![2, 9] } else { vec![2] } {
                let mut board = base.twin();
                for further in 0..outage {
                    board.nor.medium_mut().fail_read_at(read + further, false);
                }
                refused += u32::from(board.send(Object::RevocationList, &list).is_err());
                board.nor.medium_mut().power_cycle();
                let at = format!("{lacking:?}, read {read} of {reads}, {outage} in a row");
                // Both lists count, and the device knows who it is.
                for envelope in &envelopes {
                    let reason = board.send(Object::Envelope, envelope).unwrap_err().reason();
                    assert_eq!(reason, Some(Reason::KeyRevoked), "{at}");
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

/// A half that has decayed and was tried again as often as it is: only the other one holds the set.
fn decay_for_good(board: &mut Board, half: Half) {
    let start = board.layout.region(Area::Stored(half)).start as usize;
    board.nor.medium_mut().break_word(start);
    board.nor.medium_mut().fail(start);
    for _ in 0..4 {
        board.boot();
    }
    board.nor.medium_mut().mend();
}
