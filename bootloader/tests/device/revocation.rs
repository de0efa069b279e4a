//! Revocation lists.

use crate::bench::{Device, Failure, record};
use crate::factory::{Factory, provisioning_block};
use suit_manifest::Reason;
use update_protocol::profile::Object;
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
    for sequence in [1, 4, 5] {
        let list = factory.revocation_list(sequence, &[]);
        assert_eq!(refusal(&mut board, Object::RevocationList, &list), Some(Reason::RevocationSequence));
    }
    // Newer lists replace, back and forth between the two halves.
    for sequence in 6..12 {
        board
            .send(Object::RevocationList, &factory.revocation_list(sequence, &[stolen.release_kid()]))
            .unwrap();
        let reason = refusal(&mut board, Object::Envelope, &stolen.envelope(1, &image));
        assert_eq!(reason, Some(Reason::KeyRevoked));
    }
    board.send(Object::RevocationList, &factory.revocation_list(12, &[])).unwrap();
    board.send(Object::Envelope, &stolen.envelope(1, &image)).unwrap();
}

#[test]
fn a_list_of_somebody_else_is_refused() {
    let (mut board, factory) = board();
    let foreign = Factory::new(2).revocation_list(1, &[factory.release_kid()]);
    assert_eq!(refusal(&mut board, Object::RevocationList, &foreign), Some(Reason::AnchorUnknown));
}

#[test]
fn a_list_cannot_take_back_an_anchor() {
    let (one, two) = (Factory::new(1), Factory::new(2));
    let mut board = Board::new(4);
    board.send(Object::ProvisioningBlock, &provisioning_block(&[one.anchor(), two.anchor()], None)).unwrap();
    // Its own kid is refused by trust already; here it is another of the device's anchors.
    let list = one.revocation_list(1, &[two.anchor().kid()]);
    assert_eq!(refusal(&mut board, Object::RevocationList, &list), Some(Reason::RevocationNamesAnchor));
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
fn each_anchor_has_its_own_list() {
    let (one, two) = (Factory::new(1), Factory::new(2));
    let mut board = Board::new(4);
    board.send(Object::ProvisioningBlock, &provisioning_block(&[one.anchor(), two.anchor()], None)).unwrap();
    let image = board.image(64, 1);
    board.send(Object::RevocationList, &one.revocation_list(9, &[one.release_kid()])).unwrap();
    // The other anchor's list has a lower number and does not displace it, nor the other way round.
    board.send(Object::RevocationList, &two.revocation_list(2, &[two.release_kid()])).unwrap();
    for factory in [&one, &two] {
        let reason = refusal(&mut board, Object::Envelope, &factory.envelope(1, &image));
        assert_eq!(reason, Some(Reason::KeyRevoked));
    }
    assert_eq!(
        refusal(&mut board, Object::RevocationList, &two.revocation_list(2, &[])),
        Some(Reason::RevocationSequence)
    );
    board.send(Object::RevocationList, &one.revocation_list(10, &[])).unwrap();
    board.send(Object::Envelope, &one.envelope(1, &image)).unwrap();
    let reason = refusal(&mut board, Object::Envelope, &two.envelope(1, &image));
    assert_eq!(reason, Some(Reason::KeyRevoked));
    assert_eq!(record(&board.program()).revocation_sequence, 10);
}

#[test]
fn lists_that_decayed_let_nobody_in_until_they_are_sent_again() {
    let (mut board, factory) = board();
    let list = factory.revocation_list(5, &[factory.with_new_release_key(7).release_kid()]);
    board.send(Object::RevocationList, &list).unwrap();
    let image = board.image(64, 1);
    let region = board.layout.region(bootloader::layout::Area::Revocation(bootloader::layout::Half::First));
    for damage in [0usize, 4, 40] {
        let mut board = board.twin();
        let at = region.start as usize + damage;
        let byte = board.nor.medium().bytes()[at];
        board.nor.medium_mut().tamper(at, &[byte ^ 1]);
        let reason = refusal(&mut board, Object::Envelope, &factory.envelope(1, &image));
        assert_eq!(reason, Some(Reason::RevocationMalformed));
        let older = factory.revocation_list(4, &[]);
        let reason = refusal(&mut board, Object::RevocationList, &older);
        assert_eq!(reason, Some(Reason::RevocationSequence));
        board.send(Object::RevocationList, &list).unwrap();
        board.send(Object::Envelope, &factory.envelope(1, &image)).unwrap();
    }
}
