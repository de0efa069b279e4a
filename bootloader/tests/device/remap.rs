//! Boards that do not swap: images run in either slot, in place or after a bank switch (docs/boot-rules.md, Remap).

use bootloader::flash::Flash;
use bootloader::journal::Journal;
use bootloader::layout::{Area, Layout, Slot, Strategy};
use bootloader::state::{BootState, Status};
use device_harness::device::{Boot, Device, Failure, download, record, wake};
use device_harness::factory::{Factory, description};
use device_harness::part::{bank_switch, in_place};
use flash_model::Nor;
use suit_manifest::Reason;
use suit_manifest::author::{Command, Parameter, Sequences, compose};
use update_protocol::profile::{Object, StateRecord};

type Board = Device<8, 4096>;

fn board(layout: fn(u32, u32) -> Layout) -> (Board, Factory) {
    let layout = layout(4096, 4);
    let factory = Factory::new(1);
    let mut board = Board::over(Nor::new(layout.flash_len()), layout);
    board.provision(&factory);
    (board, factory)
}

/// A release with an image for each slot, of different lengths.
struct Release {
    envelope: Vec<u8>,
    images: [Vec<u8>; 2],
}

impl Release {
    fn new(board: &Board, factory: &Factory, sequence: u64) -> Self {
        let fill = sequence.to_le_bytes()[0];
        let images = [(Slot::A, 9000), (Slot::B, 6000)].map(|(slot, len)| board.image_for(slot, len, fill));
        let envelope = factory.envelope_for_slots(sequence, [&images[0], &images[1]]);
        Self { envelope, images }
    }

    fn for_next(&self, board: &mut Board) -> &[u8] {
        &self.images[usize::from(record(&board.program()).flags.second_slot)]
    }

    fn install(&self, board: &mut Board) -> Result<(), Failure> {
        let image = self.for_next(board).to_vec();
        board.install(&self.envelope, &image)
    }

    fn update(&self, board: &mut Board) {
        self.install(board).unwrap();
        assert!(matches!(board.boot(), Boot::Run(_)));
        board.application().confirm().unwrap();
    }
}

/// Erases of both slots.
fn erases(board: &Board) -> u32 {
    let medium = board.nor.medium();
    let sectors = medium.sector_starts().zip(medium.erases());
    sectors.filter(|(start, _)| *start >= place(board, Slot::A)).map(|(_, erases)| erases).sum()
}

fn place(board: &Board, slot: Slot) -> usize {
    board.layout.region(Area::Slot(slot)).start as usize
}

#[test]
fn boot29_releases_run_in_either_slot_in_turn_and_the_state_record_names_the_next_one() {
    let (mut board, factory) = board(in_place);
    for (sequence, slot) in [(1, Slot::A), (2, Slot::B), (3, Slot::A), (4, Slot::B)] {
        let second = slot == Slot::B;
        assert_eq!(record(&board.program()).flags.second_slot, second);
        let release = Release::new(&board, &factory, sequence);
        release.install(&mut board).unwrap();
        let before = erases(&board);
        let Boot::Run(vectors) = board.boot() else { panic!("release {sequence} does not boot") };
        assert_eq!(vectors.vector_table(), board.layout.run_address(slot));
        assert_eq!(erases(&board), before, "nothing is copied");
        board.application().confirm().unwrap();
        let image = &release.images[usize::from(second)];
        assert_eq!((board.active_slot(), &board.running(image.len())), (slot, image));
        let told = StateRecord::decode(&board.application().state_record(0)).unwrap();
        assert_eq!(told.flags.second_slot, !second);
    }
}

#[test]
fn boot29_a_trial_that_fails_goes_back_by_a_record_and_nothing_is_erased() {
    for layout in [in_place, bank_switch] {
        let (mut board, factory) = board(layout);
        let old = Release::new(&board, &factory, 1);
        let new = board.image(7000, 2);
        match board.layout.strategy() {
            Strategy::InPlace => {
                old.update(&mut board);
                Release::new(&board, &factory, 2).install(&mut board).unwrap();
            }
            _ => {
                board.update(&factory.envelope(1, &old.images[0]), &old.images[0]);
                board.install(&factory.envelope(2, &new), &new).unwrap();
            }
        }
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!((board.active_slot(), board.state().status), (Slot::B, Status::Trial { boots: 1 }));
        let (before, operations) = (erases(&board), board.nor.medium().operations());
        assert!(matches!(board.boot(), Boot::Run(_)));
        // One record is written twice, 160 bytes each.
        let record_words = 2 * 160 / 8;
        assert_eq!(
            board.nor.medium().operations() - operations,
            record_words,
            "{:?}",
            board.layout.strategy()
        );
        assert_eq!(erases(&board), before);
        let state = board.state();
        assert_eq!((board.active_slot(), state.status, state.floor), (Slot::A, Status::Idle, 1));
        assert_eq!(state.revert_reason, Reason::TrialNotConfirmed.code());
        assert_eq!(board.running(9000), old.images[0]);
    }
}

/// An image for the other slot costs no erase where it is seen in time, and never runs.
#[test]
fn boot30_an_image_linked_for_the_other_slot_is_refused_before_an_erase() {
    for layout in [in_place, bank_switch] {
        let (mut board, factory) = board(layout);
        let first = board.image(9000, 1);
        board.update(&factory.envelope(1, &first), &first);
        // Linked for the addresses of a slot in which it will not run.
        let wrong = match board.layout.strategy() {
            Strategy::InPlace => board.image_for(Slot::A, 9000, 2),
            _ => {
                let address = board.layout.base() + board.layout.regions().slot_b.start + 4096;
                device_harness::factory::image(9000, 2, address, 0x2001_0000)
            }
        };
        let envelope = factory.envelope(2, &wrong);
        let state = board.state();
        let before = board.nor.medium().operations();
        let refused = board.install(&envelope, &wrong).unwrap_err();
        assert_eq!(refused.reason(), Some(Reason::ImageNotForSlot), "{:?}", board.layout.strategy());
        assert_eq!(board.nor.medium().operations(), before, "it writes nothing");
        assert_eq!(board.state(), state);

        // A host that sends it byte by byte: the bytes in flash are looked at.
        let nor = board.nor.clone();
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        let refused = byte_by_byte(&mut session, &wrong);
        assert!(refused.is_err(), "{:?}", board.layout.strategy());
        assert_eq!(record(&session).reason, Reason::ImageNotForSlot.code());
        drop(session);
        assert_eq!(board.state().status, Status::Idle);
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.running(9000), first);
    }
}

fn byte_by_byte(
    session: &mut bootloader::Session<'_, Nor<8, 4096>>,
    image: &[u8],
) -> Result<(), update_protocol::uds::Nrc> {
    use update_protocol::uds::server::{Download, Handler as _};
    let address = Object::Image { offset: 0 }.address().unwrap();
    session.open_object(Download { address, size: image.len() as u32 })?;
    for (offset, byte) in (0..).zip(image) {
        session.write_object(offset, core::slice::from_ref(byte))?;
    }
    session.finish_object()
}

/// A release that names no image for the slot that receives is refused by its envelope.
#[test]
fn boot30_a_release_without_an_image_for_the_slot_is_refused_by_its_envelope() {
    let (mut board, factory) = board(in_place);
    let image = board.image_for(Slot::B, 6000, 1);
    let update = description(1, &image);
    let mut sequences = Sequences::of(&update);
    sequences.shared.extend([Command::Override(vec![Parameter::Slot(1)]), Command::CheckSlot]);
    let envelope = factory.sign(&compose(&update, &sequences).unwrap()).unwrap();
    let operations = board.nor.medium().operations();
    let refused = board.install(&envelope, &image).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::SlotMismatch));
    assert_eq!(board.nor.medium().operations(), operations);
}

/// A journal that names the other slot, over a copy of the image there: by its digest, or else by its vectors.
#[test]
fn boot30_an_image_in_the_other_slot_does_not_boot() {
    for with_both in [true, false] {
        let (mut board, factory) = board(in_place);
        let release = Release::new(&board, &factory, 1);
        let (envelope, image) = match with_both {
            true => (release.envelope.clone(), release.images[0].clone()),
            false => (factory.envelope(1, &release.images[0]), release.images[0].clone()),
        };
        board.update(&envelope, &image);
        let (a, b, len) = (place(&board, Slot::A), place(&board, Slot::B), 4096 + image.len());
        let copied = board.nor.medium().bytes()[a..a + len].to_vec();
        board.nor.medium_mut().tamper(b, &copied);
        let mut flash = Flash::new(board.nor.clone(), board.layout).unwrap_or_else(|_| panic!());
        let mut journal = Journal::open(&mut flash);
        let state = BootState { receives_in_b: false, ..*journal.state() };
        journal.forge(&mut flash, state).unwrap();
        let why = if with_both { Reason::ImageDigestMismatch } else { Reason::ImageNotForSlot };
        assert_eq!(board.boot(), Boot::Stay(Some(why)));
    }
}

#[test]
fn boot29_the_release_that_runs_is_not_installed_again_in_the_other_slot_unless_it_is_damaged() {
    let (mut board, factory) = board(in_place);
    let release = Release::new(&board, &factory, 1);
    release.update(&mut board);
    let operations = board.nor.medium().operations();
    assert_eq!(release.install(&mut board).unwrap_err().reason(), Some(Reason::RunsAlready));
    assert_eq!(board.nor.medium().operations(), operations);
    let at = place(&board, Slot::A) + 4096 + 100;
    let byte = board.nor.medium().bytes()[at];
    board.nor.medium_mut().tamper(at, &[!byte]);
    assert_eq!(board.boot(), Boot::Stay(Some(Reason::ImageDigestMismatch)));
    release.update(&mut board);
    assert_eq!((board.active_slot(), board.running(6000)), (Slot::B, release.images[1].clone()));
}

/// A board that does not know of banks would jump into the other image.
#[test]
fn boot31_an_image_that_needs_a_bank_switch_is_not_redeemed_without() {
    let (mut board, factory) = board(bank_switch);
    for (sequence, bank) in [(1, Slot::A), (2, Slot::B)] {
        let image = board.image(6000, sequence as u8);
        board.update(&factory.envelope(sequence, &image), &image);
        for knows_banks in [true, false] {
            let bootloader::Boot::Run(entry) = board.wake(&wake(None)) else { panic!("it boots") };
            if knows_banks {
                assert_eq!(entry.redeem_with_bank().unwrap().1, bank);
            } else {
                assert_eq!(entry.redeem().is_some(), bank == Slot::A);
            }
        }
        assert!(!record(&board.program()).flags.second_slot, "one image fits both");
    }
}
