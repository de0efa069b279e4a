//! Installing and resuming.

use bootloader::layout::{Area, Slot};
use bootloader::state::Status;
use device_harness::device::{
    Boot, Device, DeviceOf, Failure, Programming, download, install, record, routine,
};
use device_harness::factory::{Factory, description};
use device_harness::part::{self, Part as _};
use flash_model::{Medium, Nor};
use suit_manifest::Reason;
use update_protocol::profile::{ImageState, Object, rid};
use update_protocol::uds::Nrc;
use update_protocol::uds::server::{Download, Handler as _, Operation};

type Board = Device<8, 4096>;

fn board() -> (Board, Factory) {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    board.provision(&factory);
    (board, factory)
}

#[test]
fn an_image_is_installed_tried_and_confirmed() {
    let (mut board, factory) = board();
    for (sequence, len) in [(1, 9000), (2, 5001), (3, 12_288), (3, 8)] {
        let image = board.image(len.max(12), sequence as u8);
        let envelope = factory.envelope(sequence, &image);
        board.install(&envelope, &image).unwrap();
        assert_eq!(board.state().status, Status::Pending);
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.state().status, Status::Trial { boots: 1 });
        board.application().confirm().unwrap();
        assert_eq!((board.state().status, board.state().floor), (Status::Idle, sequence));
        assert_eq!(board.running(image.len()), image);
        assert!(matches!(board.boot(), Boot::Run(_)));
    }
}

/// Opens the install of an image of 15,000 bytes, and sends its beginning.
fn stream(nor: &Nor<8, 4096>, session: &mut Programming<'_, 8, 4096>, envelope: &[u8], begin: &[u8]) {
    download(nor, session, Object::Envelope, envelope).unwrap();
    session.open_object(Download { address: 0x1000_0000, size: 15_000 }).unwrap();
    session.write_object(0, begin).unwrap();
}

#[test]
fn an_interrupted_install_resumes_where_the_journal_says() {
    let (mut board, factory) = board();
    let image = board.image(15_000, 7);
    let envelope = factory.envelope(1, &image);
    let nor = board.nor.clone();
    {
        let mut session = board.program();
        stream(&nor, &mut session, &envelope, &image[..9000]);
    }
    // A reset, and nothing is believed before the envelope has come again.
    let mut session = board.program();
    let refused = download(&nor, &mut session, Object::Image { offset: 8192 }, &image[8192..]);
    assert_eq!(refused.unwrap_err().reason(), Some(Reason::NoEnvelope));
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    let state = record(&session);
    assert_eq!((state.resume_offset, state.image_size, state.flags.resumable), (8192, 15_000, true));
    download(&nor, &mut session, Object::Image { offset: 8192 }, &image[8192..]).unwrap();
    assert_eq!(record(&session).image, ImageState::Pending);
    drop(session);
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(image.len()), image);
}

#[test]
fn a_transfer_begins_at_the_committed_offset_only() {
    let (mut board, factory) = board();
    let image = board.image(15_000, 7);
    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &factory.envelope(1, &image)).unwrap();
    for offset in [1u32, 4096, 8192] {
        let refused = download(&nor, &mut session, Object::Image { offset }, &image[offset as usize..]);
        assert_eq!(refused.unwrap_err().reason(), Some(Reason::ObjectUnknown), "{offset}");
    }
    download(&nor, &mut session, Object::Image { offset: 0 }, &image).unwrap();
    assert_eq!(record(&session).image, ImageState::Pending);
}

#[test]
fn a_lost_tester_resumes_in_the_same_session() {
    let (mut board, factory) = board();
    let image = board.image(10_000, 7);
    let envelope = factory.envelope(1, &image);
    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    session.open_object(Download { address: 0x1000_0000, size: 10_000 }).unwrap();
    session.write_object(0, &image[..5003]).unwrap();
    session.close_object();
    assert_eq!(session.write_object(5003, &image[5003..]), Err(Nrc::REQUEST_SEQUENCE_ERROR));
    install(&nor, &mut session, &envelope, &image).unwrap();
}

/// The image begins in the page that holds the envelope.
#[test]
fn boot62_a_page_that_the_head_and_the_image_share_is_erased_before_it_is_filled_again() {
    let (chip, layout) = part::few_sectors(4, 1024);
    let mut board = DeviceOf::<_>::over(Nor::<4, 1024>::over(Medium::of(&[chip])), layout);
    assert!(layout.head_shares_page());
    let factory = Factory::new(1);
    board.provision(&factory);
    let image = board.image(10_000, 7);
    let envelope = factory.envelope(1, &image);
    let nor = board.nor.clone();
    let open = Download { address: 0x1000_0000, size: 10_000 };
    let write = Operation::Write { offset: 0, len: 1 };
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    session.open_object(open).unwrap();
    assert!(session.is_slow(write), "the first byte erases");
    session.write_object(0, &image[..3000]).unwrap();
    assert!(!session.is_slow(write));
    session.close_object();
    // Nothing is committed, so the head would have to go too: the envelope has to come again.
    let refused = download(&nor, &mut session, Object::Image { offset: 0 }, &image);
    assert_eq!(refused.unwrap_err().reason(), Some(Reason::NoEnvelope));
    drop(session);
    for len in [1, 4095] {
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        assert_eq!(record(&session).resume_offset, 0);
        session.open_object(open).unwrap();
        session.write_object(0, &image[..len]).unwrap();
    }
    // The first commit is where the second page begins.
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    session.open_object(open).unwrap();
    session.write_object(0, &image[..5000]).unwrap();
    drop(session);
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    assert_eq!(record(&session).resume_offset, 4096);
    download(&nor, &mut session, Object::Image { offset: 4096 }, &image[4096..]).unwrap();
    drop(session);
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(image.len()), image);
    assert_eq!(nor.medium().double_programs(), 0);
}

#[test]
fn t08_a_stale_head_from_an_older_install_is_not_believed_on_resume() {
    let (mut board, factory) = board();
    let nor = board.nor.clone();
    let first = board.image(15_000, 1);
    let second = board.image(15_000, 2);
    let (head, other_head) = (factory.envelope(1, &first), factory.envelope(1, &second));
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &head).unwrap();
    session.open_object(Download { address: 0x1000_0000, size: 15_000 }).unwrap();
    session.write_object(0, &first[..9000]).unwrap();
    drop(session);

    // Another manifest begins at zero, and so does the same manifest under another signature.
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &other_head).unwrap();
    assert_eq!(record(&session).resume_offset, 0);
    session.open_object(Download { address: 0x1000_0000, size: 15_000 }).unwrap();
    session.write_object(0, &second[..9000]).unwrap();
    drop(session);
    let resigned = factory.with_new_release_key(9).envelope(1, &second);
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &resigned).unwrap();
    assert_eq!(record(&session).resume_offset, 0);
}

#[test]
fn t08_a_head_that_changed_in_flash_is_not_resumed() {
    let (mut board, factory) = board();
    let nor = board.nor.clone();
    let image = board.image(15_000, 1);
    let envelope = factory.envelope(1, &image);
    let mut session = board.program();
    stream(&nor, &mut session, &envelope, &image[..9000]);
    drop(session);
    let slot_b = board.layout.region(Area::Slot(Slot::B)).start as usize;
    let mut changed = envelope.clone();
    changed[100] ^= 1;
    // The head of another release is whole, and not the one that the journal knows.
    let another = factory.envelope(1, &board.image(15_000, 2));
    for (head, sent) in [(&changed, &envelope), (&another, &another)] {
        let mut board = board.twin();
        board.nor.medium_mut().tamper(slot_b, head);
        let nor = board.nor.clone();
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, sent).unwrap();
        assert_eq!(record(&session).resume_offset, 0);
    }
}

#[test]
fn t02_bytes_past_the_signed_size_are_refused_and_not_written() {
    let (mut board, factory) = board();
    let image = board.image(5000, 1);
    let envelope = factory.envelope(1, &image);
    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    let longer = Download { address: 0x1000_0000, size: 5001 };
    assert_eq!(session.open_object(longer), Err(Nrc::REQUEST_OUT_OF_RANGE));
    assert_eq!(record(&session).reason, Reason::ObjectUnknown.code());
    session.open_object(Download { address: 0x1000_0000, size: 5000 }).unwrap();
    let before = nor.medium().operations();
    let mut overrun = image.clone();
    overrun.push(0);
    assert_eq!(session.write_object(0, &overrun), Err(Nrc::TRANSFER_DATA_SUSPENDED));
    assert_eq!(record(&session).reason, Reason::ImageOverrun.code());
    assert_eq!(nor.medium().operations(), before, "a refused block was written");
}

#[test]
fn t02_what_lies_behind_the_image_is_not_swapped_in() {
    // The image before: none, a longer one, a shorter one.
    for (before, len) in [(0, 5000), (9000, 5000), (5000, 9000)] {
        let (mut board, factory) = board();
        if before > 0 {
            let old = board.image(before, 1);
            board.update(&factory.envelope(1, &old), &old);
        }
        let image = board.image(len, 2);
        board.install(&factory.envelope(2, &image), &image).unwrap();
        // An attacker's bytes in the pages behind the image in slot B.
        let slot_b = board.layout.region(Area::Slot(Slot::B)).start as usize;
        let [old_end, end] = [before, len].map(|len| len.next_multiple_of(4096));
        board.nor.medium_mut().tamper(slot_b + 4096 + end, &vec![0xA5; 4 * 4096 - end]);
        assert!(matches!(board.boot(), Boot::Run(_)));
        let is_erased = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0xFF);
        assert_eq!(board.running(len), image);
        assert!(is_erased(&board.running(4 * 4096)[end..]), "behind the image lies something");
        // Nor behind the image that comes back.
        if before > 0 {
            assert!(matches!(board.boot(), Boot::Run(_)));
            let behind = &board.running(4 * 4096)[old_end..old_end.max(end)];
            assert!(is_erased(behind), "behind the image that came back lies something");
        }
    }
}

#[test]
fn an_image_that_is_not_the_signed_one_is_refused_and_forgotten() {
    let (mut board, factory) = board();
    let good = board.image(5000, 1);
    let envelope = factory.envelope(1, &good);
    board.update(&envelope, &good);
    let image = board.image(6000, 2);
    let envelope = factory.envelope(2, &image);
    for position in [8, 100, 4095, 4096, 5999] {
        let mut tampered = image.clone();
        tampered[position] ^= 1;
        let refused = board.install(&envelope, &tampered).unwrap_err();
        let expected = Failure::Refused(Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED, Some(Reason::ImageDigestMismatch));
        assert_eq!(refused, expected);
        assert_eq!((board.state().status, board.state().spare), (Status::Idle, None));
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.running(good.len()), good);
    }
}

/// The server of the protocol refuses it before. The loader neither takes it for whole nor forgets it.
#[test]
fn an_image_that_ends_early_is_incomplete_and_is_resumed() {
    let (mut board, factory) = board();
    let image = board.image(15_000, 1);
    let envelope = factory.envelope(1, &image);
    let nor = board.nor.clone();
    let mut session = board.program();
    stream(&nor, &mut session, &envelope, &image[..9000]);
    session.finish_object().unwrap_err();
    assert_eq!(record(&session).reason, Reason::ImageIncomplete.code());
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    assert_eq!(record(&session).resume_offset, 8192);
}

#[test]
fn conditions_are_checked_before_anything_is_written() {
    let (mut board, factory) = board();
    let good = board.image(5000, 1);
    board.update(&factory.envelope(5, &good), &good);
    let image = board.image(5000, 2);
    let base = description(6, &image);
    let other = |change: fn(&mut suit_manifest::author::UpdateDescription)| {
        let mut update = base.clone();
        change(&mut update);
        update
    };
    let foreign = Factory::new(2);
    let cases = [
        ("foreign root", foreign.envelope_of(&base), Nrc::SECURITY_ACCESS_DENIED, Reason::AnchorUnknown),
        (
            "t05 rollback",
            factory.envelope_of(&other(|update| update.sequence = 4)),
            Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED,
            Reason::SequenceRollback,
        ),
        (
            "device",
            factory.envelope_of(&other(|update| update.device = Some([9; 16]))),
            Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED,
            Reason::DeviceMismatch,
        ),
        (
            "size",
            factory.envelope_of(&other(|update| update.image_size = 4 * 4096 + 1)),
            Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED,
            Reason::ImageTooLarge,
        ),
        (
            "size that wraps",
            factory.envelope_of(&other(|update| update.image_size = u64::from(u32::MAX) + 2)),
            Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED,
            Reason::ImageTooLarge,
        ),
    ];
    let nor = board.nor.clone();
    for (name, envelope, nrc, reason) in cases {
        let before = nor.medium().operations();
        let refused = board.send(Object::Envelope, &envelope).unwrap_err();
        assert_eq!(refused, Failure::Refused(nrc, Some(reason)), "{name}");
        assert_eq!(nor.medium().operations(), before, "{name}: something was written");
    }
}

#[test]
fn vendor_and_class_of_another_device_are_refused() {
    let factory = Factory::new(1);
    for (name, at, reason) in
        [("vendor", 15usize, Reason::VendorMismatch), ("class", 33, Reason::ClassMismatch)]
    {
        // The same manufacturer's device of another vendor or class id.
        let mut block = device_harness::factory::provisioning_block(&[factory.anchor()], None);
        let id =
            if name == "vendor" { device_harness::factory::VENDOR } else { device_harness::factory::CLASS };
        let position = block.windows(16).position(|window| window == id).unwrap();
        assert!(position.abs_diff(at) < 4, "{position}");
        block[position] ^= 1;
        let mut board = Board::new(4);
        board.send(Object::ProvisioningBlock, &block).unwrap();
        let image = board.image(5000, 1);
        let before = board.nor.medium().operations();
        let refused = board.send(Object::Envelope, &factory.envelope(1, &image)).unwrap_err();
        assert_eq!(refused.reason(), Some(reason));
        assert_eq!(board.nor.medium().operations(), before);
    }
}

#[test]
fn t13_an_image_without_a_usable_vector_table_never_becomes_pending() {
    let (mut board, factory) = board();
    let stack = |image: &mut Vec<u8>| image[..4].copy_from_slice(&0x1000_0000u32.to_le_bytes());
    let thumb = |image: &mut Vec<u8>| image[4] &= 0xFE;
    let outside = |image: &mut Vec<u8>| image[4..8].copy_from_slice(&0x2100_0001u32.to_le_bytes());
    for change in [stack as fn(&mut Vec<u8>), thumb, outside] {
        let mut image = board.image(5000, 1);
        change(&mut image);
        let refused = board.install(&factory.envelope(1, &image), &image).unwrap_err();
        assert_eq!(refused.reason(), Some(Reason::VectorTableInvalid));
        assert_eq!(board.state().status, Status::Idle);
    }
}

#[test]
fn the_same_envelope_for_a_pending_image_writes_nothing() {
    let (mut board, factory) = board();
    let image = board.image(5000, 1);
    let envelope = factory.envelope(1, &image);
    board.install(&envelope, &image).unwrap();
    let before = board.nor.medium().operations();
    board.install(&envelope, &image).unwrap();
    assert_eq!(board.nor.medium().operations(), before);
    assert_eq!(board.state().status, Status::Pending);
}

#[test]
fn an_install_is_abandoned_and_the_active_image_stays() {
    let (mut board, factory) = board();
    let old = board.image(5000, 1);
    board.update(&factory.envelope(1, &old), &old);
    let new = board.image(5000, 2);
    board.install(&factory.envelope(2, &new), &new).unwrap();
    {
        let mut session = board.program();
        assert_eq!(routine(&mut session, rid::CHECK_PROGRAMMING_DEPENDENCIES), Ok(0));
        assert_eq!(routine(&mut session, rid::ABANDON_INSTALL), Ok(0));
        assert_eq!(routine(&mut session, rid::CHECK_PROGRAMMING_DEPENDENCIES), Ok(1));
        assert_eq!(routine(&mut session, rid::ABANDON_INSTALL), Ok(0));
    }
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(old.len()), old);
}

#[test]
fn boot22_an_abandoned_install_is_named_until_the_next_download() {
    let (mut board, factory) = board();
    let (old, new) = (board.image(5000, 1), board.image(5000, 2));
    board.update(&factory.envelope(1, &old), &old);
    let envelope = factory.envelope(2, &new);
    let nor = board.nor.clone();
    let mut session = board.program();
    // Without an install there is nothing to abandon, and nothing to name.
    assert_eq!(routine(&mut session, rid::ABANDON_INSTALL), Ok(0));
    assert_eq!(record(&session).reason, 0);
    for whole in [false, true] {
        if whole {
            install(&nor, &mut session, &envelope, &new).unwrap();
        } else {
            download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        }
        assert_eq!(record(&session).reason, 0, "a download forgets what was abandoned");
        assert_eq!(routine(&mut session, rid::ABANDON_INSTALL), Ok(0));
        let state = record(&session);
        assert_eq!((state.reason, state.image), (Reason::InstallAbandoned.code(), ImageState::Confirmed));
        let image = download(&nor, &mut session, Object::Image { offset: 0 }, &new);
        assert_eq!(image.unwrap_err().reason(), Some(Reason::NoEnvelope));
    }
}

#[test]
fn a_pending_image_that_decayed_is_reported() {
    let (mut board, factory) = board();
    let image = board.image(5000, 1);
    board.install(&factory.envelope(1, &image), &image).unwrap();
    let slot_b = board.layout.region(Area::Slot(Slot::B)).start as usize;
    board.nor.medium_mut().tamper(slot_b + 4096 + 3000, &[0xA5]);
    let mut session = board.program();
    assert_eq!(routine(&mut session, rid::CHECK_PROGRAMMING_DEPENDENCIES), Ok(2));
}

#[test]
fn nothing_is_installed_over_the_way_back() {
    let (mut board, factory) = board();
    let (old, new) = (board.image(5000, 1), board.image(5000, 2));
    board.update(&factory.envelope(1, &old), &old);
    board.install(&factory.envelope(2, &new), &new).unwrap();
    // The swap is through, then somebody asks for the loader before the trial has begun.
    let mut cut = board.twin();
    let mut operations = 0;
    while !matches!(cut.state().status, Status::Trial { boots: 0 }) {
        cut = board.twin();
        operations += 1;
        cut.nor.medium_mut().cut_at(operations, flash_model::Cut::Nothing);
        let _ = cut.boot();
        cut.nor.medium_mut().power_on();
    }
    // What the cut left in doubt is written again once.
    drop(cut.program());
    let before = cut.nor.medium().operations();
    let begun = cut.program().open_object(Download { address: 0, size: 100 });
    assert_eq!(begun, Err(Nrc::CONDITIONS_NOT_CORRECT), "refused before anything is sent");
    let refused = cut.send(Object::Envelope, &factory.envelope(3, &old)).unwrap_err();
    let expected = Failure::Refused(Nrc::CONDITIONS_NOT_CORRECT, Some(Reason::TrialNotConfirmed));
    assert_eq!(refused, expected);
    assert_eq!(cut.nor.medium().operations(), before);
}
