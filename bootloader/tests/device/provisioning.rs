//! Factory state and the provisioning block.

use bootloader::layout::{Area, Half};
use bootloader::provisioning::ProvisioningBlock;
use device_harness::device::{Boot, Device, Failure, anchor_report, download, record};
use device_harness::factory::{Factory, provisioning_block};
use flash_model::{Cut, Fault};
use suit_manifest::Reason;
use trust::{Anchor, Rights};
use update_protocol::profile::anchors::{AnchorEntry, AnchorReport, DomainEntry};
use update_protocol::profile::{ImageState, Mode, Object, UNPROVISIONED_SERIAL};
use update_protocol::uds::Nrc;
use update_protocol::uds::server::{Download, Handler as _};

type Board = Device<8, 4096>;

#[test]
fn a_block_that_was_not_programmed_is_not_final() {
    let block = provisioning_block(&[Factory::new(1).anchor()], None);
    // In its header, and in its bytes, of either copy.
    for (half, dead) in [(Half::First, 0), (Half::First, 40), (Half::Second, 0), (Half::Second, 40)] {
        let mut board = Device::<8, 4096>::new(4);
        let start = board.layout.region(Area::Stored(half)).start as usize;
        board.nor.medium_mut().wear_out(start + dead);
        let refused = board.send(Object::ProvisioningBlock, &block).unwrap_err();
        assert_eq!(refused.reason(), Some(Reason::FlashFailed), "{dead}");
        assert!(!board.state().provisioned, "{dead}");
    }
}

#[test]
fn a_block_is_taken_once() {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    let floor = (1 << 33) + 5;
    let first = factory.anchor();
    let second = Anchor::new(*Factory::new(2).anchor().key(), Rights::BOOT, first.domain());
    let block = provisioning_block(&[first, second], Some(floor));
    board.send(Object::ProvisioningBlock, &block).unwrap();
    let state = record(&board.program());
    assert_eq!(state.sequence_floor, floor);
    let mut session = board.program();
    let report = anchor_report(&mut session);
    let report = AnchorReport::decode(&report).unwrap();
    let domain = first.domain().0.0;
    let entry = |anchor: Anchor, rights| AnchorEntry { kid: anchor.kid().0, rights, domain };
    assert_eq!(report.anchors().collect::<Vec<_>>(), [entry(first, 15), entry(second, 8)]);
    assert_eq!(report.domains().collect::<Vec<_>>(), [DomainEntry { domain, ..DomainEntry::default() }]);
    drop(session);

    let before = board.nor.medium().operations();
    let again = provisioning_block(&[Factory::new(2).anchor()], None);
    let refused = board.send(Object::ProvisioningBlock, &again).unwrap_err();
    assert_eq!(refused, Failure::Refused(Nrc::CONDITIONS_NOT_CORRECT, Some(Reason::AlreadyProvisioned)));
    assert_eq!(board.nor.medium().operations(), before);
}

#[test]
fn a_block_that_a_cut_left_in_doubt_is_not_final() {
    let factory = Factory::new(1);
    let block = provisioning_block(&[factory.anchor()], None);
    let operations = {
        let mut board = Board::new(4);
        board.send(Object::ProvisioningBlock, &block).unwrap();
        board.nor.medium().operations()
    };
    for back in 1..operations {
        for cut in [Cut::Fades(5), Cut::Settles(5), Cut::Torn(5), Cut::Unreadable] {
            let mut board = Board::new(4);
            board.nor.medium_mut().cut_at(operations - back, cut);
            assert_eq!(board.send(Object::ProvisioningBlock, &block), Err(Failure::NoPower));
            // Whatever it makes of that, it lasts, or the block may be sent again, also over another cut.
            for again in [None, Some(18), Some(back)] {
                let mut board = board.twin();
                board.nor.medium_mut().power_on();
                board.boot();
                if let (Some(again), Mode::Factory) = (again, record(&board.program()).mode) {
                    board.nor.medium_mut().cut_at(again, Cut::Nothing);
                    let _ = board.send(Object::ProvisioningBlock, &block);
                    board.nor.medium_mut().power_on();
                } else {
                    board.nor.medium_mut().power_cycle();
                }
                if record(&board.program()).mode == Mode::Factory {
                    board.send(Object::ProvisioningBlock, &block).unwrap();
                }
                assert!(board.loader().identity().is_some(), "{cut:?}, {back} before the end, {again:?}");
            }
        }
    }
}

#[test]
fn an_unprovisioned_device_takes_nothing_else() {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    let image = board.image(64, 1);
    for (address, bytes) in [(0, factory.envelope(1, &image)), (0x2000_0000, factory.revocation_list(1, &[]))]
    {
        let refused = board.send(Object::at(address).unwrap(), &bytes).unwrap_err();
        assert_eq!(refused, Failure::Refused(Nrc::CONDITIONS_NOT_CORRECT, Some(Reason::NotProvisioned)));
        let begun = board.program().open_object(Download { address, size: 64 });
        assert_eq!(begun, Err(Nrc::CONDITIONS_NOT_CORRECT), "refused before anything is sent");
    }
    assert_eq!(board.nor.medium().operations(), 0);
}

#[test]
fn malformed_blocks_are_refused_and_nothing_is_written() {
    let anchor = Factory::new(1).anchor();
    let good = provisioning_block(&[anchor], None);
    assert!(ProvisioningBlock::parse(&good).is_ok());
    let edit = |change: fn(&mut Vec<u8>)| {
        let mut block = good.clone();
        change(&mut block);
        block
    };
    let cases: [(&str, Vec<u8>); 9] = [
        ("no anchor", provisioning_block(&[], None)),
        ("format version 2", edit(|block| block[2] = 2)),
        (
            "unknown key",
            edit(|block| {
                block[0] += 1;
                block.extend([0x0B, 0x00]);
            }),
        ),
        ("keys out of order", edit(|block| block.swap(1, 3))),
        ("trailing byte", edit(|block| block.push(0))),
        ("serial with a control character", edit(|block| block[5] = 7)),
        (
            "serial of factory state",
            edit(|block| {
                let serial = UNPROVISIONED_SERIAL.bytes();
                block.splice(4..11, [0x6D].into_iter().chain(serial));
            }),
        ),
        ("node address 0", edit(|block| node(block)[1] = 0)),
        ("node address 240", edit(|block| node(block)[1] = 240)),
    ];
    let mut board = Board::new(4);
    for (name, block) in cases {
        let refused = board.send(Object::ProvisioningBlock, &block).unwrap_err();
        let expected =
            Failure::Refused(Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED, Some(Reason::ProvisioningMalformed));
        assert_eq!(refused, expected, "{name}");
    }
    assert_eq!(board.nor.medium().operations(), 0);
}

/// A loader may not go without what its block asks for: it refuses by the feature's name.
#[test]
fn a_block_that_asks_for_a_feature_is_refused_by_its_name() {
    let good = provisioning_block(&[Factory::new(1).anchor()], None);
    let mut board = Board::new(4);
    for (key, reason) in [
        (8, Reason::ProvisioningDeviceKeys),
        (9, Reason::ProvisioningPolicy),
        (10, Reason::ProvisioningIdentityCredential),
    ] {
        let mut block = good.clone();
        block[0] += 1;
        block.extend([key, 0x80]);
        assert_eq!(board.send(Object::ProvisioningBlock, &block).unwrap_err().reason(), Some(reason));
    }
    assert_eq!(board.nor.medium().operations(), 0);
}

fn node(block: &mut [u8]) -> &mut [u8] {
    let at = block.windows(3).position(|window| window == [0x05, 0x18, 0x21]).unwrap();
    &mut block[at + 1..at + 3]
}

#[test]
fn boot13_a_provisioned_device_whose_journal_is_lost_takes_no_block() {
    let factory = Factory::new(1);
    let (mut young, mut old) = (Board::new(4), Board::new(4));
    let image = young.image(64, 1);
    for board in [&mut young, &mut old] {
        board.provision(&factory);
    }
    // With records in both halves.
    for sequence in 1..=8 {
        old.update(&factory.envelope(sequence, &image), &image);
    }
    let journal = young.layout.region(Area::Journal(0));
    let parts = usize::from(young.layout.journal_parts());
    let (start, len) = (journal.start as usize, parts * journal.len as usize);
    for (board, block_too) in [(&young, false), (&old, false), (&old, true)] {
        for unreadable in [true, false] {
            let mut board = board.twin();
            let mut medium = board.nor.medium_mut();
            for at in (start..start + len).step_by(8) {
                if medium.bytes()[at..at + 8] == [0xFF; 8] {
                    continue;
                }
                if unreadable { medium.break_word(at) } else { medium.tamper(at, &[0xA5; 8]) }
            }
            if block_too {
                medium.break_word(40);
            }
            drop(medium);
            assert_eq!(board.boot(), Boot::Stay(Some(Reason::JournalCorrupt)));
            assert_eq!(record(&board.program()).mode, Mode::Loader);
            let before = board.nor.medium().operations();
            let block = provisioning_block(&[Factory::new(2).anchor()], None);
            for (object, bytes) in [
                (Object::ProvisioningBlock, block),
                (Object::Envelope, factory.envelope(9, &image)),
                (Object::RevocationList, factory.revocation_list(1, &[])),
            ] {
                let refused = board.send(object, &bytes).unwrap_err();
                assert_eq!(refused.reason(), Some(Reason::JournalCorrupt));
            }
            assert_eq!(board.nor.medium().operations(), before);
        }
    }
}

/// What a test in the factory left in the progress region has the numbers that the first install will have.
#[test]
fn marks_of_a_test_in_the_factory_do_not_count() {
    let factory = Factory::new(1);
    let mut tested = Board::new(4);
    tested.provision(&factory);
    let image = tested.image(15_000, 1);
    let envelope = factory.envelope(1, &image);
    let nor = tested.nor.clone();
    let mut session = tested.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    session.open_object(Download { address: 0x1000_0000, size: 15_000 }).unwrap();
    session.write_object(0, &image[..9000]).unwrap();
    drop(session);
    assert_eq!(record(&tested.program()).resume_offset, 8192);
    let region = tested.layout.region(Area::Progress);
    let marks = tested.nor.medium().bytes()[region.start as usize..][..region.len as usize].to_vec();

    let mut board = Board::new(4);
    board.nor.medium_mut().tamper(region.start as usize, &marks);
    board.provision(&factory);
    board.send(Object::Envelope, &envelope).unwrap();
    assert_eq!(record(&board.program()).resume_offset, 0);
}

fn decay(board: &Board, offset: usize) {
    let byte = board.nor.medium().bytes()[offset];
    board.nor.medium_mut().tamper(offset, &[byte ^ 1]);
}

/// One word of the block that reads otherwise, or not at all: the other copy counts, and the damaged one is written
/// again, also when power goes away in that.
#[test]
fn no_word_that_decays_loses_the_provisioning_block() {
    let factory = Factory::new(1);
    let mut whole = Board::new(4);
    whole.provision(&factory);
    let image = whole.image(64, 1);
    whole.update(&factory.envelope(1, &image), &image);
    let halves = [Half::First, Half::Second].map(|half| whole.layout.region(Area::Stored(half)));
    let len = provisioning_block(&[factory.anchor()], None).len() + 32;
    for region in halves {
        for word in (0..len).step_by(8) {
            for is_unreadable in [false, true] {
                let mut board = whole.twin();
                let offset = region.start as usize + word;
                if is_unreadable {
                    board.nor.medium_mut().break_word(offset);
                } else {
                    decay(&board, offset);
                }
                if word % 24 == 0 {
                    board.nor.medium_mut().cut_at(word as u64 / 8, Cut::Torn(7));
                    board.boot();
                    board.nor.medium_mut().power_on();
                }
                assert!(matches!(board.boot(), Boot::Run(_)), "{offset:#x}");
                let before = board.nor.medium().operations();
                assert!(matches!(board.boot(), Boot::Run(_)), "{offset:#x}");
                assert_eq!(board.nor.medium().operations(), before, "mended once");
                // The copy that was whole.
                let other = halves.into_iter().find(|half| *half != region).unwrap();
                decay(&board, other.start as usize + 40);
                assert!(matches!(board.boot(), Boot::Run(_)), "{offset:#x}: it was not written again");
            }
        }
    }
}

#[test]
fn a_provisioned_device_whose_block_decayed_trusts_nobody() {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    board.provision(&factory);
    let image = board.image(64, 1);
    board.update(&factory.envelope(1, &image), &image);
    for half in [Half::First, Half::Second] {
        decay(&board, board.layout.region(Area::Stored(half)).start as usize + 40);
    }

    assert_eq!(board.boot(), Boot::Stay(Some(Reason::ProvisioningMalformed)));
    assert_eq!(record(&board.program()).image, ImageState::None);
    let before = board.nor.medium().operations();
    for (object, bytes, reason) in [
        (Object::Envelope, factory.envelope(2, &image), Reason::ProvisioningMalformed),
        (Object::RevocationList, factory.revocation_list(1, &[]), Reason::ProvisioningMalformed),
        (
            Object::ProvisioningBlock,
            provisioning_block(&[Factory::new(2).anchor()], None),
            Reason::AlreadyProvisioned,
        ),
    ] {
        assert_eq!(board.send(object, &bytes).unwrap_err().reason(), Some(reason));
    }
    assert_eq!(board.nor.medium().operations(), before);
}

/// The first part of the journal is not erased, for a moment or for good. No other part takes the first record: a cut there
/// would look like a journal that was lost.
#[test]
fn boot13_a_failing_first_part_of_the_journal_locks_no_device_of_the_factory() {
    let block = provisioning_block(&[Factory::new(1).anchor()], None);
    for lasts in [false, true] {
        for cut in (0..60).step_by(3) {
            let mut board = Board::new(4);
            board.nor.medium_mut().cut_at(1 + cut, Cut::Unreadable);
            board.nor.medium_mut().plan_at(0, Fault::Error { effect: Cut::Nothing, lasts });
            for _ in 0..2 {
                let _ = board.send(Object::ProvisioningBlock, &block);
            }
            board.nor.medium_mut().power_on();
            assert_eq!(record(&board.program()).mode, Mode::Factory, "{lasts}, {cut}");
            let sent = board.send(Object::ProvisioningBlock, &block);
            if lasts {
                assert_eq!(sent.unwrap_err().reason(), Some(Reason::FlashFailed), "{cut}");
            } else {
                sent.unwrap();
            }
            assert_eq!(board.state().provisioned, !lasts, "{cut}");
        }
    }
}
