//! Successions of roots (docs/boot-rules.md, Succession).

use bootloader::layout::{Area, Half};
use bootloader::state::{DomainNumbers, Status};
use device_harness::device::{Boot, Device, Failure, anchor_report, download, install, record};
use device_harness::factory::{Factory, VENDOR, provisioning_block};
use device_harness::succession::{Dynasty, ROOT, chain};
use suit_manifest::Reason;
use trust::author::Minimum;
use trust::{Anchor, Kid, MAX_MINIMUM_SEQUENCE, RevokedId, Rights, Role};
use update_protocol::profile::Object;
use update_protocol::profile::anchors::{AnchorEntry, AnchorReport, DomainEntry};
use update_protocol::uds::Nrc;
use update_protocol::uds::server::Handler as _;

type Board = Device<8, 4096>;

/// A device of a dynasty that runs release 1 of its first root, confirmed, under list 3 of that root.
fn board() -> (Board, Dynasty) {
    let dynasty = Dynasty::new(1);
    let mut board = Board::new(4);
    board.send(Object::ProvisioningBlock, &provisioning_block(&dynasty.anchors(), None)).unwrap();
    let image = board.image(6000, 1);
    board.update(&dynasty.first().envelope(1, &image), &image);
    board.send(Object::RevocationList, &dynasty.first().revocation_list(3, &[])).unwrap();
    (board, dynasty)
}

/// The chain by which the first root names the root of this factory.
fn first_chain(dynasty: &Dynasty, next: &Factory) -> Vec<u8> {
    chain(&[dynasty.by_root(dynasty.first(), next, (0, 1))], &next.revocation_list(1, &[]))
}

fn refusal(board: &mut Board, object: Object, bytes: &[u8]) -> Option<Reason> {
    let before = board.nor.medium().operations();
    let reason = board.send(object, bytes).expect_err("refused").reason();
    assert_eq!(board.nor.medium().operations(), before, "something was written");
    reason
}

fn runs(board: &mut Board, fill: u8) {
    let boot = board.boot();
    assert!(matches!(boot, Boot::Run(_)), "{boot:?} {:?}", board.state());
    assert_eq!(board.running(6000), board.image(6000, fill));
}

/// The root of this factory installs and lists nothing.
fn is_powerless(board: &mut Board, old: &Factory) {
    let image = board.image(6000, 0x77);
    let rights = [Some(Reason::AnchorRights), Some(Reason::AnchorUnknown)];
    let reason = refusal(board, Object::Envelope, &old.envelope(90, &image));
    // A domain that waits for its chain has a list that no root of it verifies.
    let shut = rights.contains(&reason) || reason == Some(Reason::RevocationMalformed);
    assert!(shut, "{reason:?}");
    let reason = refusal(board, Object::RevocationList, &old.revocation_list(90, &[]));
    assert!(rights.contains(&reason), "{reason:?}");
}

fn numbers(board: &Board) -> (u16, u16, u64) {
    let [DomainNumbers { recovery_epoch, succession_sequence, list_sequence }, _] = board.state().domains;
    (recovery_epoch, succession_sequence, list_sequence)
}

fn report(board: &mut Board) -> (Vec<AnchorEntry>, Vec<DomainEntry>) {
    let report = anchor_report(&mut board.program());
    let report = AnchorReport::decode(&report).unwrap();
    (report.anchors().collect(), report.domains().collect())
}

#[test]
fn key33_a_root_that_was_succeeded_installs_nothing_and_what_it_installed_boots() {
    let (mut board, dynasty) = board();
    let next = Factory::new(2);
    board.send(Object::SuccessionChain, &first_chain(&dynasty, &next)).unwrap();
    for _ in 0..2 {
        is_powerless(&mut board, dynasty.first());
        runs(&mut board, 1);
    }
    assert_eq!(numbers(&board), (0, 1, 1), "lists begin again");
    let entry = |anchor: Anchor| {
        let (kid, rights, domain) = (anchor.kid().0, anchor.rights().bits(), anchor.domain().0.0);
        AnchorEntry { kid, rights, domain }
    };
    let domain = dynasty.domain();
    let [first, recovery] = dynasty.anchors();
    let expected = [Anchor::new(*next.anchor().key(), ROOT, domain), recovery, first.retired()].map(entry);
    let numbers =
        DomainEntry { domain: domain.0.0, list_sequence: 1, recovery_epoch: 0, succession_sequence: 1 };
    assert_eq!(report(&mut board), (expected.to_vec(), vec![numbers]));

    // The new root's release is tried; the way back leads to the old root's.
    let image = board.image(6000, 2);
    let envelope = next.envelope(2, &image);
    board.install(&envelope, &image).unwrap();
    runs(&mut board, 2);
    runs(&mut board, 1);
    assert_eq!(board.state().revert_reason, Reason::TrialNotConfirmed.code());
    board.update(&envelope, &image);
    runs(&mut board, 2);
    // The list of the new root counts.
    let list = next.revocation_list(2, &[next.release_kid()]);
    board.send(Object::RevocationList, &list).unwrap();
    let reason = refusal(&mut board, Object::Envelope, &next.envelope(3, &image));
    assert_eq!(reason, Some(Reason::KeyRevoked));
    // The next root finds the first one gone.
    let third = Factory::new(3);
    let records = [dynasty.by_root(dynasty.first(), &next, (0, 1)), dynasty.by_root(&next, &third, (0, 2))];
    board.send(Object::SuccessionChain, &chain(&records, &third.revocation_list(1, &[]))).unwrap();
    let kids: Vec<_> = report(&mut board).0.into_iter().map(|anchor| (anchor.kid, anchor.rights)).collect();
    let kid = |factory: &Factory| factory.anchor().kid().0;
    assert_eq!(kids, [(kid(&third), 7), (recovery.kid().0, 4), (kid(&next), 8)]);
    runs(&mut board, 2);
}

#[test]
fn key33_an_install_and_a_pending_image_are_abandoned_with_the_root_that_retires() {
    let next = Factory::new(2);
    for is_whole in [false, true] {
        let (mut board, dynasty) = board();
        let (old, image) = (dynasty.first(), board.image(9000, 2));
        let nor = board.nor.clone();
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &old.envelope(2, &image)).unwrap();
        let part = if is_whole { &image[..] } else { &image[..5000] };
        let sent = download(&nor, &mut session, Object::Image { offset: 0 }, part);
        assert_eq!(sent.is_ok(), is_whole);
        if is_whole {
            drop(session);
        } else {
            // In the middle of it.
            let mut session = board.program();
            download(&nor, &mut session, Object::Envelope, &old.envelope(2, &image)).unwrap();
            let address = Object::Image { offset: record(&session).resume_offset }.address().unwrap();
            let size = 9000 - record(&session).resume_offset;
            session.open_object(update_protocol::uds::server::Download { address, size }).unwrap();
            session.write_object(0, &image[..4096]).unwrap();
        }
        assert_eq!(matches!(board.state().status, Status::Pending), is_whole);
        assert_eq!(matches!(board.state().status, Status::Installing { .. }), !is_whole);
        let set = board.state().set;
        board.send(Object::SuccessionChain, &first_chain(&dynasty, &next)).unwrap();
        let state = board.state();
        assert_eq!((state.status, state.spare, state.set), (Status::Idle, None, set + 1));
        for _ in 0..2 {
            runs(&mut board, 1);
        }
        is_powerless(&mut board, dynasty.first());
    }
}

/// An envelope that was accepted, and an image whose stream is open: the session goes on after the chain.
#[test]
fn key33_an_install_of_the_session_does_not_outlive_the_root() {
    let (base, dynasty) = board();
    let (next, image) = (Factory::new(2), base.image(6000, 2));
    let envelope = dynasty.first().envelope(2, &image);
    for begins in [false, true] {
        let mut board = base.twin();
        let nor = board.nor.clone();
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        if begins {
            let address = Object::Image { offset: 0 }.address().unwrap();
            session.open_object(update_protocol::uds::server::Download { address, size: 6000 }).unwrap();
            session.write_object(0, &image[..4096]).unwrap();
        }
        download(&nor, &mut session, Object::SuccessionChain, &first_chain(&dynasty, &next)).unwrap();
        let refused = download(&nor, &mut session, Object::Image { offset: 0 }, &image).unwrap_err();
        assert_eq!(refused.reason(), Some(Reason::NoEnvelope), "{begins}");
        // The new root installs in the same session.
        install(&nor, &mut session, &next.envelope(2, &image), &image).unwrap();
    }
}

#[test]
fn key33_no_succession_is_taken_while_slot_b_holds_the_way_back() {
    let (mut board, dynasty) = board();
    let next = Factory::new(2);
    let chain = first_chain(&dynasty, &next);
    let image = board.image(6000, 2);
    board.install(&dynasty.first().envelope(2, &image), &image).unwrap();
    runs(&mut board, 2);
    // On trial: the loader is asked for before the trial is over.
    let mut trial = board.twin();
    let reason = refusal_on_trial(&mut trial, &chain);
    assert_eq!(reason, Some(Reason::TrialNotConfirmed));
    // Confirmed, or reverted, it is.
    board.application().confirm().unwrap();
    board.send(Object::SuccessionChain, &chain).unwrap();
    runs(&mut board, 2);
    trial.boot();
    trial.send(Object::SuccessionChain, &chain).unwrap();
    runs(&mut trial, 1);
    for mut board in [board, trial] {
        is_powerless(&mut board, dynasty.first());
    }
}

/// A trial that has not been handed over yet: the loader listens first.
fn refusal_on_trial(board: &mut Board, chain: &[u8]) -> Option<Reason> {
    use bootloader::mailbox::{Listening, MAILBOX_LEN, ResetCause, Wake};
    let listening = Listening { at_power_up_ms: 200, ..Listening::DEFAULT };
    // Once more on trial, from the pending image on.
    board.boot();
    let image = board.image(6000, 2);
    let envelope = Dynasty::new(1).first().envelope(2, &image);
    board.install(&envelope, &image).unwrap();
    let wake = Wake::read(&[0; MAILBOX_LEN], ResetCause::Power, listening);
    let nor = board.nor.clone();
    let bootloader::Boot::Stay(mut session) = board.wake(&wake) else { panic!("it does not listen") };
    download(&nor, &mut session, Object::SuccessionChain, chain).unwrap_err().reason()
}

/// A chain of two roots and the ninth list of the last one, for a device that knows of none of it.
#[test]
fn key33_a_device_from_the_shelf_follows_one_chain_to_the_last_root() {
    let dynasty = Dynasty::new(1);
    let [second, third] = [2, 3].map(Factory::new);
    let stolen = third.with_new_release_key(9);
    let records =
        [dynasty.by_root(dynasty.first(), &second, (0, 1)), dynasty.by_root(&second, &third, (0, 2))];
    let whole = chain(&records, &third.revocation_list(9, &[stolen.release_kid()]));
    // From the shelf, and from each root on.
    for steps in 0..2 {
        let (mut board, _) = board();
        if steps == 1 {
            board.send(Object::SuccessionChain, &first_chain(&dynasty, &second)).unwrap();
        }
        board.send(Object::SuccessionChain, &whole).unwrap();
        assert_eq!(numbers(&board), (0, 2, 9));
        for old in [dynasty.first(), &second] {
            is_powerless(&mut board, old);
        }
        let image = board.image(6000, 2);
        let reason = refusal(&mut board, Object::Envelope, &stolen.envelope(2, &image));
        assert_eq!(reason, Some(Reason::KeyRevoked));
        runs(&mut board, 1);
        board.update(&third.envelope(2, &image), &image);
        runs(&mut board, 2);
        assert_eq!(refusal(&mut board, Object::SuccessionChain, &whole), Some(Reason::SuccessionOld));
    }
}

#[test]
fn a_chain_that_is_not_good_changes_nothing() {
    let (mut board, dynasty) = board();
    let [next, thief] = [2, 9].map(Factory::new);
    let good = dynasty.by_root(dynasty.first(), &next, (0, 1));
    let list = next.revocation_list(1, &[]);
    for (bytes, reason) in [
        (chain(&[dynasty.by_root(&thief, &next, (0, 1))], &list), Reason::AnchorUnknown),
        (chain(&[dynasty.by_root(dynasty.first(), &next, (0, 2))], &list), Reason::SuccessionOrder),
        (chain(&[dynasty.by_recovery(&next, 2)], &list), Reason::SuccessionOrder),
        (chain(std::slice::from_ref(&good), &thief.revocation_list(1, &[])), Reason::AnchorUnknown),
        (chain(std::slice::from_ref(&good), &dynasty.first().revocation_list(9, &[])), Reason::AnchorRights),
        (chain(&[good.clone(), dynasty.by_root(&thief, &next, (0, 2))], &list), Reason::AnchorUnknown),
        (good, Reason::RecordMalformed),
        (list, Reason::RecordMalformed),
    ] {
        assert_eq!(refusal(&mut board, Object::SuccessionChain, &bytes), Some(reason));
    }
    let too_long = board.send(Object::SuccessionChain, &[0; 4097]).unwrap_err();
    assert_eq!(too_long, Failure::Refused(Nrc::REQUEST_OUT_OF_RANGE, Some(Reason::ObjectUnknown)));
    let unprovisioned =
        Board::new(4).send(Object::SuccessionChain, &first_chain(&dynasty, &next)).unwrap_err();
    assert_eq!(unprovisioned.reason(), Some(Reason::NotProvisioned));
    assert_eq!(numbers(&board), (0, 0, 3));
    assert!(!board.state().has_anchor_set);
    let image = board.image(6000, 2);
    board.update(&dynasty.first().envelope(2, &image), &image);
}

#[test]
fn key27_a_device_refuses_a_fork_until_the_recovery_root_speaks() {
    let (mut board, dynasty) = board();
    let [next, other, last] = [2, 3, 4].map(Factory::new);
    board.send(Object::SuccessionChain, &first_chain(&dynasty, &next)).unwrap();
    let fork = first_chain(&dynasty, &other);
    assert_eq!(refusal(&mut board, Object::SuccessionChain, &fork), Some(Reason::SuccessionForked));
    let records = [dynasty.by_root(dynasty.first(), &other, (0, 1)), dynasty.by_recovery(&last, 1)];
    board.send(Object::SuccessionChain, &chain(&records, &last.revocation_list(1, &[]))).unwrap();
    assert_eq!(numbers(&board), (1, 0, 1));
    for old in [dynasty.first(), &next, &other] {
        is_powerless(&mut board, old);
    }
    runs(&mut board, 1);
}

/// Minimums of the list before bind the successor of a root, and not the one whom the recovery root names.
#[test]
fn key31_the_first_list_of_a_successor_states_the_minimums_that_a_device_holds() {
    let (mut board, dynasty) = board();
    let next = Factory::new(2);
    board.send(Object::RevocationList, &dynasty.first().revocation_list_of(4, &[], &[5])).unwrap();
    let record = dynasty.by_root(dynasty.first(), &next, (0, 1));
    for minimums in [&[][..], &[4]] {
        let less = chain(std::slice::from_ref(&record), &next.revocation_list_of(1, &[], minimums));
        assert_eq!(refusal(&mut board, Object::SuccessionChain, &less), Some(Reason::RevocationDropsEntry));
    }
    let mut recovered = board.twin();
    let rescue = chain(&[dynasty.by_recovery(&next, 1)], &next.revocation_list(1, &[]));
    recovered.send(Object::SuccessionChain, &rescue).unwrap();
    board.send(Object::SuccessionChain, &chain(&[record], &next.revocation_list_of(1, &[], &[5]))).unwrap();
    let image = board.image(6000, 2);
    let reason = refusal(&mut board, Object::Envelope, &next.envelope(4, &image));
    assert_eq!(reason, Some(Reason::SequenceBelowMinimum));
    recovered.update(&next.envelope(4, &image), &image);
}

/// The thief has the root, and goes first. He names himself, without the right firmware; he hides minimums in a list that
/// nobody else sees; he takes the owner's keys back. The recovery root takes the device back all the same.
#[test]
fn key32_a_thief_who_goes_first_does_not_keep_the_recovery_root_out() {
    let (board, dynasty) = board();
    let [thief, heir, owner] = [9, 10, 4].map(Factory::new);
    let stolen = dynasty.first();
    type Mischief<'m> = &'m dyn Fn(&mut Board);
    let mischiefs: [(&str, Mischief<'_>); 5] = [
        ("names himself", &|board| {
            board.send(Object::SuccessionChain, &first_chain(&dynasty, &thief)).unwrap();
        }),
        ("gives firmware up", &|board| {
            let record = dynasty.by_root_without_firmware(stolen, &thief, (0, 1));
            let list = thief.revocation_list(1, &[]);
            board.send(Object::SuccessionChain, &chain(&[record], &list)).unwrap();
        }),
        ("names an heir, and an heir's heir", &|board| {
            let records = [dynasty.by_root(stolen, &thief, (0, 1)), dynasty.by_root(&thief, &heir, (0, 2))];
            board.send(Object::SuccessionChain, &chain(&records, &heir.revocation_list(1, &[]))).unwrap();
        }),
        ("hides minimums and takes keys back", &|board| {
            let list = stolen.revocation_list_with(1 << 62, |list| {
                let minimum =
                    |number| Minimum { vendor: [number; 16], class: None, sequence: MAX_MINIMUM_SEQUENCE };
                list.minimum_sequences = (0..15).chain([VENDOR[0]]).map(minimum).collect();
                let kids = [owner.release_kid(), owner.anchor().kid(), stolen.release_kid()];
                list.revoked = kids.map(|kid: Kid| RevokedId::Key(kid).revoked(Role::Release, 9)).to_vec();
                list.lowest_generations = Role::ALL.map(|role| (role, 65_535)).to_vec();
            });
            board.send(Object::RevocationList, &list).unwrap();
        }),
        ("installs", &|board| {
            let image = board.image(6000, 3);
            board.install(&stolen.with_new_release_key(9).envelope(3, &image), &image).unwrap();
        }),
    ];
    let rescue = chain(
        &[dynasty.by_recovery(&owner, 1)],
        &owner.revocation_list(1, &[stolen.with_new_release_key(9).release_kid()]),
    );
    for (name, mischief) in mischiefs {
        let mut board = board.twin();
        mischief(&mut board);
        board.send(Object::SuccessionChain, &rescue).unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        assert_eq!(numbers(&board), (1, 0, 1), "{name}");
        runs(&mut board, 1);
        for old in [stolen, &thief, &heir] {
            is_powerless(&mut board, old);
        }
        let image = board.image(6000, 2);
        board.update(&owner.envelope(2, &image), &image);
        runs(&mut board, 2);
    }
}

/// Both copies of the anchor set are unreadable.
fn lose_anchors(board: &Board) {
    lose(board, 3);
}

/// Both copies of the first object of this kind are.
fn lose(board: &Board, wanted: u8) {
    for half in [Half::First, Half::Second] {
        let mut at = board.layout.region(Area::Stored(half)).start as usize;
        loop {
            let medium = board.nor.medium();
            let (kind, len) = (medium.bytes()[at], [medium.bytes()[at + 2], medium.bytes()[at + 3]]);
            drop(medium);
            if kind == wanted {
                break;
            }
            assert!([1, 2, 3].contains(&kind), "no object of kind {wanted}");
            at += 32 + usize::from(u16::from_be_bytes(len)).next_multiple_of(32);
        }
        board.nor.medium_mut().break_word(at + 40);
    }
}

#[test]
fn key35_a_device_that_lost_its_anchors_boots_and_takes_the_whole_chain_only() {
    let dynasty = Dynasty::new(1);
    let [second, third, fourth] = [2, 3, 4].map(Factory::new);
    let rows = [
        dynasty.by_root(dynasty.first(), &second, (0, 1)),
        dynasty.by_root(&second, &third, (0, 2)),
        dynasty.by_root(&third, &fourth, (0, 3)),
    ];
    let (mut base, _) = board();
    base.send(Object::SuccessionChain, &chain(&rows[..2], &third.revocation_list(4, &[]))).unwrap();
    lose_anchors(&base);
    let image = base.image(6000, 2);
    for _ in 0..2 {
        // The image of the first root, which the block names, boots.
        runs(&mut base, 1);
        for factory in [dynasty.first(), &second, &third] {
            let reason = refusal(&mut base, Object::Envelope, &factory.envelope(9, &image));
            assert_eq!(reason, Some(Reason::AnchorSetMalformed));
            let reason = refusal(&mut base, Object::RevocationList, &factory.revocation_list(9, &[]));
            assert_eq!(reason, Some(Reason::AnchorSetMalformed));
        }
    }
    let refused = base.send(Object::Envelope, &third.envelope(9, &image)).unwrap_err();
    assert_eq!(refused, Failure::Refused(Nrc::CONDITIONS_NOT_CORRECT, Some(Reason::AnchorSetMalformed)));
    let (anchors, domains) = report(&mut base);
    assert_eq!(anchors.iter().map(|anchor| anchor.rights).collect::<Vec<_>>(), [8, 4]);
    assert_eq!((domains[0].succession_sequence, domains[0].list_sequence), (2, 4));

    for (records, list, reason) in [
        // It stops at a root that was succeeded since, or does not begin at the first one.
        (&rows[..1], second.revocation_list(9, &[]), Reason::SuccessionOld),
        (&rows[1..], fourth.revocation_list(9, &[]), Reason::SuccessionOrder),
        // The list of the root that was lost may not be older than the journal says, nor another one.
        (&rows[..2], third.revocation_list(3, &[]), Reason::RevocationSequence),
        (&rows[..2], third.revocation_list(4, &[second.release_kid()]), Reason::RevocationForked),
    ] {
        let refused = refusal(&mut base, Object::SuccessionChain, &chain(records, &list));
        assert_eq!(refused, Some(reason));
    }
    for (records, root, list) in [(&rows[..2], &third, 4), (&rows[..2], &third, 5), (&rows[..], &fourth, 1)] {
        let mut board = base.twin();
        let chain = chain(records, &root.revocation_list(list, &[]));
        board.send(Object::SuccessionChain, &chain).unwrap();
        assert_eq!(numbers(&board), (0, u16::try_from(records.len()).unwrap(), list));
        runs(&mut board, 1);
        is_powerless(&mut board, dynasty.first());
        is_powerless(&mut board, &second);
        board.update(&root.envelope(2, &image), &image);
        runs(&mut board, 2);
    }
    // The recovery root may begin it.
    let rescue = chain(&[dynasty.by_recovery(&fourth, 1)], &fourth.revocation_list(1, &[]));
    base.send(Object::SuccessionChain, &rescue).unwrap();
    base.update(&fourth.envelope(2, &image), &image);
}

/// The list is unreadable too: only its number is known.
#[test]
fn key35_an_older_list_does_not_come_back_with_the_chain() {
    let (mut board, dynasty) = board();
    let next = Factory::new(2);
    let record = dynasty.by_root(dynasty.first(), &next, (0, 1));
    let with = |list: u64| chain(std::slice::from_ref(&record), &next.revocation_list(list, &[]));
    board.send(Object::SuccessionChain, &with(4)).unwrap();
    lose(&board, 3);
    lose(&board, 2);
    let refused = refusal(&mut board, Object::SuccessionChain, &with(3));
    assert_eq!(refused, Some(Reason::RevocationSequence));
    board.send(Object::SuccessionChain, &with(4)).unwrap();
    assert_eq!(numbers(&board), (0, 1, 4));
}

/// What runs was installed under a root that only the lost set knows: the loader waits for the chain.
#[test]
fn key35_an_image_of_a_later_root_boots_again_when_the_chain_has_come() {
    let (mut board, dynasty) = board();
    let next = Factory::new(2);
    let chain = first_chain(&dynasty, &next);
    board.send(Object::SuccessionChain, &chain).unwrap();
    let image = board.image(6000, 2);
    board.update(&next.envelope(2, &image), &image);
    lose_anchors(&board);
    let boot = board.boot();
    assert_eq!(boot, Boot::Stay(Some(Reason::AnchorUnknown)));
    board.send(Object::SuccessionChain, &chain).unwrap();
    runs(&mut board, 2);
}

/// The other domain of the device keeps its anchors, unless it had a succession too; then it waits for its own chain.
#[test]
fn key35_another_domain_comes_back_with_its_own_chain() {
    let [maker, owner] = [1, 5].map(Dynasty::new);
    let [made, owned] = [2, 6].map(Factory::new);
    for both in [false, true] {
        let mut board = Board::new(4);
        // The domains alternate.
        let ([maker_root, maker_recovery], [owner_root, owner_recovery]) = (maker.anchors(), owner.anchors());
        let anchors = [maker_root, owner_root, owner_recovery, maker_recovery];
        board.send(Object::ProvisioningBlock, &provisioning_block(&anchors, None)).unwrap();
        let image = board.image(6000, 1);
        board.update(&maker.first().envelope(1, &image), &image);
        let chains = [first_chain(&maker, &made), first_chain(&owner, &owned)];
        board.send(Object::SuccessionChain, &chains[0]).unwrap();
        if both {
            board.send(Object::SuccessionChain, &chains[1]).unwrap();
        }
        lose_anchors(&board);
        runs(&mut board, 1);
        let present = if both { &owned } else { owner.first() };
        let reason = refusal(&mut board, Object::Envelope, &present.envelope(2, &image));
        assert_eq!(reason, Some(Reason::AnchorSetMalformed));
        board.send(Object::SuccessionChain, &chains[0]).unwrap();
        is_powerless(&mut board, maker.first());
        if both {
            is_powerless(&mut board, owner.first());
            is_powerless(&mut board, present);
            board.send(Object::SuccessionChain, &chains[1]).unwrap();
        }
        let numbers: Vec<_> = board.state().domains.iter().map(|domain| domain.succession_sequence).collect();
        assert_eq!(numbers, [1, u16::from(both)]);
        runs(&mut board, 1);
        for (factory, sequence) in [(&made, 2_u8), (present, 3)] {
            let image = board.image(6000, sequence);
            board.update(&factory.envelope(sequence.into(), &image), &image);
        }
    }
}

/// An owner's root without firmware is succeeded by one without firmware, and the maker's domain does not notice.
#[test]
fn key28_the_successor_of_an_owners_root_releases_no_firmware() {
    let (maker, owner) = (Factory::new(1), Dynasty::new(5));
    let next = Factory::new(6);
    let root = Anchor::new(
        *owner.first().anchor().key(),
        Rights::GOVERNANCE.and(Rights::SUCCESSION),
        owner.domain(),
    );
    let mut board = Board::new(4);
    board.send(Object::ProvisioningBlock, &provisioning_block(&[maker.anchor(), root], None)).unwrap();
    let more = first_chain(&owner, &next);
    assert_eq!(refusal(&mut board, Object::SuccessionChain, &more), Some(Reason::SuccessionRights));
    let record = owner.by_root_without_firmware(owner.first(), &next, (0, 1));
    let chain = chain(&[record], &next.revocation_list(1, &[]));
    board.send(Object::SuccessionChain, &chain).unwrap();
    let image = board.image(6000, 1);
    let reason = refusal(&mut board, Object::Envelope, &next.envelope(1, &image));
    assert_eq!(reason, Some(Reason::AnchorRights));
    board.update(&maker.envelope(1, &image), &image);
    assert_eq!(board.state().domains.map(|domain| domain.succession_sequence), [0, 1]);
}

/// T14: the verdict on a signature is skipped.
#[test]
fn t14_a_forged_succession_is_refused_by_a_second_comparison() {
    let (mut board, dynasty) = board();
    let [next, thief] = [2, 9].map(Factory::new);
    let mut forged = first_chain(&dynasty, &next);
    // A bit of the outer signature's S, and of the inner one's.
    let record = dynasty.by_root(dynasty.first(), &next, (0, 1));
    trust::fault::skip_signatures(true);
    for back in [1, 67] {
        let at = record.len() - back - 8;
        forged[1 + at] ^= 1;
        let reason = refusal(&mut board, Object::SuccessionChain, &forged);
        forged[1 + at] ^= 1;
        assert_eq!(reason, Some(Reason::SignatureInvalid), "{back}");
    }
    trust::fault::skip_signatures(false);
    let stranger = chain(&[dynasty.by_root(&thief, &next, (0, 1))], &next.revocation_list(1, &[]));
    assert_eq!(refusal(&mut board, Object::SuccessionChain, &stranger), Some(Reason::AnchorUnknown));
}
