//! One file: an envelope with the image integrated comes in one download, at whatever borders of blocks
//! (docs/can-protocol.md).

use bootloader::authority::Roots;
use bootloader::layout::{Area, Slot};
use bootloader::state::Status;
use device_harness::device::{
    Boot, Device, DeviceOf, Failure, Part, Placed, record, send_file, table_record,
};
use device_harness::factory::{
    FILE_URI, Factory, description, device_key, encrypted, in_one_file, one_file, table_description,
};
use device_harness::part::{Deciphering, Tabled, in_place};
use flash_model::Nor;
use suit_manifest::Reason;
use suit_manifest::author::{UpdateDescription, integrate, take_out};
use suit_manifest::profile::Installs as _;
use trust::encryption::ContentAlgorithm;
use update_protocol::profile::{Component, ImageState, Object};
use update_protocol::uds::Nrc;
use update_protocol::uds::server::{Download, Handler as _, Operation};

type Board<L = bootloader::layout::Layout> = Device<8, 4096, L>;

const FIRMWARE: u32 = Component::Firmware.file_address();

/// A device that runs release 1.
fn board<L: Placed>() -> (Board<L>, Factory) {
    let (mut board, factory) = (Board::new(4), Factory::new(1));
    let keys = [device_key("A-0001")];
    board.provision_with(&factory, if L::Profile::DECRYPTS { &keys } else { &[] });
    let image = board.image(5000, 1);
    board.update(&factory.envelope(1, &image), &image);
    (board, factory)
}

/// A signed envelope whose image is integrated, and its image.
fn release(board: &Board, factory: &Factory, sequence: u64, len: usize) -> (Vec<u8>, Vec<u8>) {
    let image = board.image(len, sequence.to_le_bytes()[0]);
    (factory.envelope_of(&in_one_file(&description(sequence, &image))), image)
}

/// Bytes before the image.
fn head_len(file: &[u8], image: &[u8]) -> usize {
    file.len() - image.len()
}

fn spare<P: Part, L: Placed>(board: &DeviceOf<P, L>) -> Vec<u8> {
    let slot = board.layout.region(Area::Slot(board.state().spare_slot(&board.layout)));
    board.nor.medium().bytes()[slot.start as usize..][..slot.len as usize].to_vec()
}

/// Blocks that end at these places, and at the end.
fn cut<'f>(file: &'f [u8], places: &'f [usize]) -> impl Iterator<Item = &'f [u8]> + Clone {
    let ends = places.iter().copied().chain([file.len()]);
    let starts = std::iter::once(0).chain(places.iter().copied());
    starts.zip(ends).map(|(start, end)| &file[start..end])
}

fn sent<'f, L: Placed>(
    board: &mut Board<L>,
    blocks: impl Iterator<Item = &'f [u8]> + Clone,
) -> Result<(), Failure> {
    let nor = board.nor.clone();
    send_file(&nor, &mut board.program(), Component::Firmware, blocks)
}

/// The file is refused for this reason, and nothing is written.
fn refused<L: Placed>(board: &mut Board<L>, file: &[u8], reason: Reason, what: &str) {
    let before = board.nor.medium().operations();
    let state = board.state();
    let failure = sent(board, file.chunks(707)).expect_err(what);
    assert_eq!(failure.reason(), Some(reason), "{what}");
    assert_eq!(board.nor.medium().operations(), before, "{what}: something was written");
    assert_eq!(board.state(), state);
}

#[test]
fn a_file_is_installed_as_its_envelope_and_its_image_are() {
    let (mut board, factory) = board();
    let (envelope, image) = release(&board, &factory, 2, 6001);
    let mut apart = board.twin();
    apart.install(&envelope, &image).unwrap();
    let file = one_file(&envelope, &image);
    sent(&mut board, file.chunks(707)).unwrap();
    assert_eq!(record(&board.program()).image, ImageState::Pending);
    assert_eq!(board.state(), apart.state());
    assert!(spare(&board) == spare(&apart), "the slots differ");
    assert!(matches!(board.boot(), Boot::Run(_)));
    board.application().confirm().unwrap();
    assert_eq!((board.state().floor, board.running(image.len())), (2, image));
    // What runs already is not installed again.
    refused(&mut board, &file, Reason::RunsAlready, "the same again");
}

#[test]
fn suit65_a_block_may_end_anywhere() {
    let (board, factory) = board();
    let (envelope, image) = release(&board, &factory, 2, 4601);
    let mut apart = board.twin();
    apart.install(&envelope, &image).unwrap();
    let meant = spare(&apart);
    let file = one_file(&envelope, &image);
    let head = head_len(&file, &image);
    let check = |blocks: &mut dyn FnMut(&mut Board) -> Result<(), Failure>, what: &str| {
        let mut board = board.twin();
        blocks(&mut board).expect(what);
        assert!(spare(&board) == meant && board.state().status == Status::Pending, "{what}");
    };
    // Each place in the head, in the key and around the border; two of them; and blocks of one length.
    let places = (1..head).step_by(41).chain(envelope.len() - 4..head + 20);
    for place in places {
        check(&mut |board| sent(board, cut(&file, &[place])), &format!("a block ends at {place} of {head}"));
    }
    for place in head - 6..head + 3 {
        let places = [place, place + 1, place + 9];
        check(&mut |board| sent(board, cut(&file, &places)), &format!("blocks end at {places:?} of {head}"));
    }
    for len in [1, 2, 3, 7, 8, 64, head, 1024, 4095, 4096, 4097, file.len()] {
        check(&mut |board| sent(board, file.chunks(len)), &format!("blocks of {len} bytes"));
    }
}

#[test]
fn suit64_a_file_that_is_not_what_its_manifest_says_writes_nothing() {
    let (mut board, factory) = board();
    let (envelope, image) = release(&board, &factory, 2, 6001);
    let file = one_file(&envelope, &image);
    let other = factory.envelope(2, &image);
    for (file, reason, what) in [
        (
            integrate(&other, &[("#image", &image)]).unwrap(),
            Reason::ImageReference,
            "a URI that leads elsewhere",
        ),
        (integrate(&envelope, &[("#images", &image)]).unwrap(), Reason::ImageReference, "another name"),
        (one_file(&envelope, &image[..6000]), Reason::ImageReference, "a shorter image"),
        (one_file(&envelope, &[&image[..], &[0]].concat()), Reason::ImageReference, "a longer image"),
        (envelope.clone(), Reason::ImageReference, "no image"),
        (
            integrate(&envelope, &[("#image", &image), ("#other", &image)]).unwrap(),
            Reason::IntegratedPayloadUnsupported,
            "two images",
        ),
        ([&file[..], &[0]].concat(), Reason::ManifestMalformed, "a byte behind the file"),
        (file[..file.len() - 1].to_vec(), Reason::ManifestMalformed, "a byte too few"),
        (file[..head_len(&file, &image)].to_vec(), Reason::ManifestMalformed, "a head alone"),
        (file[..300].to_vec(), Reason::ImageIncomplete, "half a head"),
        (Factory::new(2).envelope(2, &image), Reason::ImageReference, "an envelope alone"),
    ] {
        refused(&mut board, &file, reason, what);
    }
    // The payload is the last member.
    let mut members = vec![0xD8, 0x6B, 0xA4];
    members.extend(&file[envelope.len()..]);
    members.extend(&envelope[3..]);
    refused(&mut board, &members, Reason::IntegratedPayloadUnsupported, "the payload first");
    // What an envelope is refused for, a file is.
    for (envelope, reason) in [
        (Factory::new(2).envelope_of(&in_one_file(&description(2, &image))), Reason::AnchorUnknown),
        (
            factory.envelope_of(&UpdateDescription {
                device: Some([0x55; 16]),
                ..in_one_file(&description(2, &image))
            }),
            Reason::DeviceMismatch,
        ),
        (factory.envelope_of(&in_one_file(&table_description(2, &image))), Reason::ComponentUnsupported),
    ] {
        refused(&mut board, &one_file(&envelope, &image), reason, "an envelope that is refused");
    }
    board.update(&envelope, &image);
    let (older, image) = release(&board, &factory, 1, 6001);
    refused(&mut board, &one_file(&older, &image), Reason::SequenceRollback, "an older release");
}

#[test]
fn suit64_every_bit_flip_of_a_head_is_refused_and_nothing_is_written() {
    let (mut board, factory) = board();
    let (envelope, image) = release(&board, &factory, 2, 4601);
    let file = one_file(&envelope, &image);
    let before = board.nor.medium().operations();
    let nor = board.nor.clone();
    let mut session = board.program();
    for bit in 0..head_len(&file, &image) * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let sent = send_file(&nor, &mut session, Component::Firmware, flipped.chunks(1024));
        assert!(sent.expect_err("flipped").reason().is_some(), "bit {bit}");
        assert_eq!(nor.medium().operations(), before, "bit {bit}: something was written");
    }
    send_file(&nor, &mut session, Component::Firmware, file.chunks(1024)).unwrap();
}

#[test]
fn a_flipped_image_is_refused_at_its_end() {
    let (mut board, factory) = board();
    let (envelope, image) = release(&board, &factory, 2, 6001);
    let mut file = one_file(&envelope, &image);
    *file.last_mut().unwrap() ^= 1;
    let failure = sent(&mut board, file.chunks(707)).unwrap_err();
    assert_eq!(failure.reason(), Some(Reason::ImageDigestMismatch));
    assert_eq!(board.state().status, Status::Idle);
    assert!(matches!(board.boot(), Boot::Run(_)));
}

#[test]
fn suit65_a_head_is_as_long_as_the_buffer_and_no_longer() {
    let (board, factory) = board::<bootloader::layout::Layout>();
    let image = board.image(6001, 2);
    let with_notes = |len: usize| {
        let notes = Some("n".repeat(len));
        let update = UpdateDescription { description: notes, ..in_one_file(&description(2, &image)) };
        one_file(&factory.envelope_of(&update), &image)
    };
    let spare = 4096 - head_len(&with_notes(2000), &image);
    for (more, reason) in
        [(0, None), (1, Some(Reason::EnvelopeTooLarge)), (10, Some(Reason::EnvelopeTooLarge))]
    {
        let file = with_notes(2000 + spare + more);
        assert_eq!(head_len(&file, &image), 4096 + more);
        for block in [707, 1024, 4095, 4096, 4097, 5000] {
            let mut board = board.twin();
            let before = board.nor.medium().operations();
            let refusal = sent(&mut board, file.chunks(block)).err();
            assert_eq!(refusal.and_then(Failure::reason), reason, "{more} more, blocks of {block}");
            assert_eq!(refusal.is_none(), board.nor.medium().operations() > before);
        }
    }
    // Where the buffer ends, and not with the block behind it.
    let file = with_notes(2000 + spare + 1);
    let refusal = sent(&mut board.twin(), std::iter::once(&file[..4096])).err();
    assert_eq!(refusal.and_then(Failure::reason), Some(Reason::EnvelopeTooLarge));
}

#[test]
fn suit66_a_file_begins_again_at_its_first_byte() {
    let (mut board, factory) = board();
    let (envelope, image) = release(&board, &factory, 2, 11_000);
    let file = one_file(&envelope, &image);
    let nor = board.nor.clone();
    let begin = |board: &mut Board, sent: usize| {
        let mut session = board.program();
        session.open_object(Download { address: FIRMWARE, size: file.len() as u32 }).unwrap();
        for (block, offset) in file[..sent].chunks(707).zip((0..).step_by(707)) {
            session.write_object(offset, block).unwrap();
        }
        session.close_object();
    };
    // In the head, in its first page, and behind a commit: the old image runs, and the next file begins anew.
    for stop in [300, head_len(&file, &image) + 10, 10_500] {
        begin(&mut board, stop);
        assert_eq!(matches!(board.state().status, Status::Installing { .. }), stop > 300, "{stop}");
        assert!(matches!(board.boot(), Boot::Run(_)), "{stop}");
    }
    // A host goes on where it stopped, with envelope and image; another plain tool does not have to.
    let mut other = board.twin();
    let resumed = record(&other.program()).resume_offset;
    assert_eq!(resumed, 8192);
    other.install(&envelope, &image).unwrap();
    sent(&mut board, file.chunks(707)).unwrap();
    assert!(spare(&other) == spare(&board));
    // So does one that did not hear that it is pending; and one takes the place of what a host began.
    sent(&mut board, file.chunks(707)).unwrap();
    assert_eq!(record(&board.program()).image, ImageState::Pending);
    let (newer, image) = release(&board, &factory, 3, 7000);
    send_file(&nor, &mut board.program(), Component::Firmware, one_file(&newer, &image).chunks(707)).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(image.len()), image);
}

#[test]
fn suit66_files_wait_as_other_installs_do() {
    let (mut board, factory) = board();
    let (envelope, image) = release(&board, &factory, 2, 5000);
    let file = one_file(&envelope, &image);
    let nor = board.nor.clone();
    let mut session = board.program();
    let delayed =
        (0..20).find_map(|_| send_file(&nor, &mut session, Component::Firmware, file.chunks(707)).err());
    let refused = Failure::Refused(Nrc::REQUIRED_TIME_DELAY_NOT_EXPIRED, Some(Reason::InstallDelayed));
    assert_eq!(delayed, Some(refused));
    assert!(record(&session).reason_position > 0);
}

#[test]
fn a_tester_is_told_to_wait_while_the_head_may_end() {
    let (mut board, factory) = board();
    let (envelope, image) = release(&board, &factory, 2, 6001);
    let file = one_file(&envelope, &image);
    let mut session = board.program();
    session.open_object(Download { address: FIRMWARE, size: file.len() as u32 }).unwrap();
    assert!(session.is_slow(Operation::Write { offset: 0, len: 100 }));
    session.write_object(0, &file[..1024]).unwrap();
    assert!(!session.is_slow(Operation::Write { offset: 1024, len: 100 }));
}

#[test]
fn an_encrypted_image_comes_in_one_file() {
    let (mut board, factory) = board::<Deciphering>();
    let image = board.image(9001, 2);
    for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr] {
        let mut board = board.twin();
        let (update, ciphertext) =
            encrypted(&description(2, &image), &image, algorithm, &[device_key("A-0001")]);
        let file = one_file(&factory.envelope_of(&in_one_file(&update)), &ciphertext);
        sent(&mut board, file.chunks(13)).unwrap();
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.running(image.len()), image);
    }
    let other = in_one_file(
        &encrypted(&description(2, &image), &image, ContentAlgorithm::A128Gcm, &[device_key("A-0001")]).0,
    );
    refused(
        &mut board,
        &one_file(&factory.envelope_of(&other), &image),
        Reason::ImageReference,
        "the plaintext",
    );
}

#[test]
fn a_table_comes_in_one_file() {
    let (mut board, factory) = board::<Tabled<Roots>>();
    let table: Vec<u8> = (0..5001u32).map(|index| index.to_le_bytes()[0]).collect();
    let envelope = factory.envelope_of(&in_one_file(&table_description(1, &table)));
    let file = one_file(&envelope, &table);
    refused(&mut board, &file, Reason::ComponentUnsupported, "a table as firmware");
    board.install_file(Component::Table, &file).unwrap();
    assert_eq!(table_record(&board.program()).image, ImageState::Pending);
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.found_table(), Some(table));
    // A device without one has no such object.
    let mut board = self::board::<bootloader::layout::Layout>().0;
    let failure = board.install_file(Component::Table, &file).unwrap_err();
    assert_eq!(failure, Failure::Refused(Nrc::REQUEST_OUT_OF_RANGE, Some(Reason::ObjectUnknown)));
}

#[test]
fn a_file_runs_where_it_lies() {
    let layout = in_place(4096, 4);
    let mut board = DeviceOf::<Nor<8, 4096>>::over(Nor::new(layout.flash_len()), layout);
    let factory = Factory::new(1);
    board.provision(&factory);
    let mut slot = Slot::A;
    for sequence in 1..=3u64 {
        let image = board.image_for(slot, 6001, sequence.to_le_bytes()[0]);
        let envelope = factory.envelope_of(&in_one_file(&description(sequence, &image)));
        let file = one_file(&envelope, &image);
        assert_eq!(take_out(&file, &[FILE_URI]).unwrap(), envelope);
        board.install_file(Component::Firmware, &file).unwrap();
        assert!(matches!(board.boot(), Boot::Run(_)));
        board.application().confirm().unwrap();
        assert_eq!(board.running(image.len()), image);
        slot = if slot == Slot::A { Slot::B } else { Slot::A };
    }
}

#[test]
fn a_file_comes_when_an_envelope_may() {
    let (mut board, factory) = board();
    let (envelope, image) = release(&board, &factory, 2, 6001);
    let file = one_file(&envelope, &image);
    // Not in factory state, and not during a trial.
    let mut fresh = Board::<bootloader::layout::Layout>::new(4);
    refused(&mut fresh, &file, Reason::NotProvisioned, "factory state");
    sent(&mut board, file.chunks(707)).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    let mut session = board.program();
    let opened = session.open_object(Download { address: FIRMWARE, size: file.len() as u32 });
    let envelope = session.open_object(Download { address: Object::Envelope.address().unwrap(), size: 500 });
    assert_eq!(opened, envelope);
}
