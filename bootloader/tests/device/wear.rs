//! A stranger on the bus with releases that are public, and flash that wears out (docs/boot-rules.md, Install).

use bootloader::Session;
use bootloader::attempts::{FIRST_DELAY_S, FREE_ATTEMPTS, LONGEST_DELAY_S};
use bootloader::layout::{Area, Slot};
use bootloader::state::Status;
use device_harness::device::{Boot, DeviceOf, Failure, Part, download, install, record, routine};
use device_harness::factory::Factory;
use device_harness::part;
use flash_model::{Medium, Nor};
use suit_manifest::Reason;
use update_protocol::profile::{ImageState, Object, rid};
use update_protocol::uds::Nrc;
use update_protocol::uds::server::{Download, Handler as _};

use crate::boot::{Board, board};

type Flash = flash_model::Nor<8, 4096>;

/// A device that runs release 1, confirmed; its envelope and image, and those of release 2, which is public too.
struct Public {
    board: Board,
    running: (Vec<u8>, Vec<u8>),
    newer: (Vec<u8>, Vec<u8>),
}

fn public() -> Public {
    let (mut board, factory) = board();
    let (old, new) = (board.image(6000, 1), board.image(9000, 2));
    let running = (factory.envelope(1, &old), old);
    let newer = (factory.envelope(2, &new), new);
    board.update(&running.0, &running.1);
    Public { board, running, newer }
}

/// The most erases of any page since then.
fn worst(board: &Board, before: &[u32]) -> u32 {
    board.nor.medium().erases().iter().zip(before).map(|(after, before)| after - before).max().unwrap()
}

/// Opens the stream of the whole image and sends the first bytes.
fn begin(session: &mut Session<'_, Flash>, image: &[u8]) -> Result<(), Nrc> {
    let size = u32::try_from(image.len()).unwrap();
    session.open_object(Download { address: 0x1000_0000, size })?;
    session.write_object(0, &image[..100])?;
    session.close_object();
    Ok(())
}

#[test]
fn boot28_what_runs_already_is_not_installed_again() {
    let Public { mut board, running: (envelope, image), .. } = public();
    let (state, operations) = (board.state(), board.nor.medium().operations());
    let refused = Err(Failure::Refused(Nrc::CONDITIONS_NOT_CORRECT, Some(Reason::RunsAlready)));
    for _ in 0..50 {
        assert_eq!(board.install(&envelope, &image), refused);
    }
    assert_eq!((board.state(), board.nor.medium().operations()), (state, operations), "nothing was written");
}

#[test]
fn boot28_another_install_outlives_the_offer_of_what_runs_already() {
    let Public { mut board, running, newer } = public();
    board.install(&newer.0, &newer.1).unwrap();
    assert!(board.install(&running.0, &running.1).is_err());
    assert_eq!(board.state().status, Status::Pending);
}

#[test]
fn boot28_the_same_release_repairs_an_active_image_that_does_not_verify() {
    let Public { mut board, running: (envelope, image), .. } = public();
    let start = (board.layout.image_address() - 0x2100_0000) as usize;
    board.nor.medium_mut().tamper(start + 3000, &[0x5A]);
    assert_eq!(board.boot(), Boot::Stay(Some(Reason::ImageDigestMismatch)));
    board.update(&envelope, &image);
    assert_eq!(board.running(image.len()), image);
}

#[test]
fn boot27_an_envelope_alone_writes_nothing() {
    let Public { mut board, newer: (envelope, image), .. } = public();
    let (state, operations) = (board.state(), board.nor.medium().operations());
    let nor = board.nor.clone();
    for _ in 0..20 {
        let mut session = board.program();
        for _ in 0..20 {
            download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
            let told = record(&session);
            assert_eq!((told.image, told.resume_offset), (ImageState::Confirmed, 0));
            assert_eq!((told.image_size as usize, told.flags.resumable), (image.len(), true));
            assert_eq!(routine(&mut session, rid::ABANDON_INSTALL), Ok(0));
            assert_eq!(record(&session).reason, Reason::InstallAbandoned.code());
            assert_eq!(record(&session).image_size, 0);
        }
    }
    assert_eq!((board.state(), board.nor.medium().operations()), (state, operations));
    board.install(&envelope, &image).unwrap();
}

/// Another object, or a look at the pending image, takes the buffer that holds the envelope.
#[test]
fn boot27_an_envelope_that_the_buffer_lost_installs_nothing() {
    let Public { mut board, running, newer } = public();
    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &newer.0).unwrap();
    assert!(download(&nor, &mut session, Object::RevocationList, &[0; 300]).is_err());
    assert_eq!(begin(&mut session, &newer.1), Err(Nrc::CONDITIONS_NOT_CORRECT));
    assert_eq!(record(&session).reason, Reason::NoEnvelope.code());
    assert!(download(&nor, &mut session, Object::Envelope, &running.0).is_err());
    assert_eq!(begin(&mut session, &newer.1), Err(Nrc::CONDITIONS_NOT_CORRECT));
    install(&nor, &mut session, &newer.0, &newer.1).unwrap();
    drop(session);

    let factory = device_harness::factory::Factory::new(1);
    let third = board.image(7000, 3);
    let envelope = factory.envelope(3, &third);
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    assert_eq!(record(&session).image, ImageState::Confirmed, "it is not this one that waits for a reset");
    assert_eq!(routine(&mut session, rid::CHECK_PROGRAMMING_DEPENDENCIES), Ok(0));
    assert_eq!(begin(&mut session, &third), Err(Nrc::CONDITIONS_NOT_CORRECT));
    assert_eq!(record(&session).image, ImageState::Pending);
}

/// Envelope, first bytes, abandon, in a loop, with a reset now and then.
#[test]
fn boot27_a_stranger_who_installs_and_abandons_in_a_loop_wears_nothing_out() {
    let Public { mut board, newer: (envelope, image), .. } = public();
    let before = board.nor.medium().erases().to_vec();
    let (nor, mut begun) = (board.nor.clone(), 0);
    for _ in 0..20 {
        let mut session = board.program();
        for _ in 0..20 {
            download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
            match begin(&mut session, &image) {
                Ok(()) => begun += 1,
                Err(nrc) => {
                    assert_eq!(nrc, Nrc::REQUIRED_TIME_DELAY_NOT_EXPIRED);
                    let told = record(&session);
                    assert_eq!(told.reason, Reason::InstallDelayed.code());
                    assert_eq!(told.reason_position, FIRST_DELAY_S);
                }
            }
            routine(&mut session, rid::ABANDON_INSTALL).unwrap();
        }
    }
    assert_eq!(begun, u32::from(FREE_ATTEMPTS));
    let worst = worst(&board, &before);
    println!("400 rounds: {begun} begun, {worst} erases of the page that was erased most");
    assert!(worst <= u32::from(FREE_ATTEMPTS), "{worst} erases of one page");
}

/// A stream is one install, in however many pieces it comes.
#[test]
fn boot27_a_stream_in_many_pieces_counts_once() {
    let Public { mut board, newer: (envelope, image), .. } = public();
    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    let size = u32::try_from(image.len()).unwrap();
    session.open_object(Download { address: 0x1000_0000, size }).unwrap();
    for (piece, offset) in image.chunks(100).zip((0..).step_by(100)).take(20) {
        session.write_object(offset, piece).unwrap();
    }
    session.close_object();
    begin(&mut session, &image).expect("the second of those that do not wait");
}

/// The same without abandoning: each round resumes at the same byte, which erases its page again.
#[test]
fn boot27_a_stranger_who_resumes_in_a_loop_wears_nothing_out() {
    let Public { mut board, newer: (envelope, image), .. } = public();
    let before = board.nor.medium().erases().to_vec();
    let nor = board.nor.clone();
    let mut begun = 0;
    for _ in 0..20 {
        let mut session = board.program();
        for round in 0..20 {
            if round % 5 == 0 {
                download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
            }
            begun += u32::from(begin(&mut session, &image).is_ok());
        }
    }
    // What a session counts is lost with it, so the sum: 8 in the first, one less in each after it.
    let bound = (1..=u32::from(FREE_ATTEMPTS)).sum();
    let worst = worst(&board, &before);
    println!("400 rounds: {begun} begun, {worst} erases of the page that was erased most");
    assert!(
        begun <= bound && worst <= bound,
        "{begun} begun, {worst} erases of one page, {bound} are the bound"
    );
}

/// A head that does not take its envelope: an install that never begins erases it each time, and waits all the same.
#[test]
fn boot27_a_stranger_who_begins_what_cannot_begin_wears_nothing_out() {
    let Public { mut board, newer: (envelope, image), .. } = public();
    let head = board.layout.region(Area::Slot(Slot::B)).start as usize;
    board.nor.medium_mut().fail_to_program(head);
    let before = board.nor.medium().erases().to_vec();
    let nor = board.nor.clone();
    let mut session = board.program();
    for _ in 0..100 {
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        begin(&mut session, &image).unwrap_err();
    }
    drop(session);
    let worst = worst(&board, &before);
    assert!(worst <= u32::from(FREE_ATTEMPTS) + 1, "{worst} erases of one page");
}

/// Whole installs of a release that never confirms: each is a swap and a revert.
#[test]
fn boot27_a_stranger_who_swaps_in_a_loop_wears_nothing_out() {
    let Public { mut board, running, newer } = public();
    let before = board.nor.medium().erases().to_vec();
    let nor = board.nor.clone();
    let mut swaps = 0;
    for _ in 0..30 {
        if install(&nor, &mut board.program(), &newer.0, &newer.1).is_ok() {
            swaps += 1;
        }
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert!(matches!(board.boot(), Boot::Run(_)));
        assert_eq!(board.running(running.1.len()), running.1, "reverted");
    }
    assert_eq!(swaps, FREE_ATTEMPTS);
    let worst = worst(&board, &before);
    println!("30 rounds: {swaps} swaps, {worst} erases of the page that was erased most");
    assert!(worst <= 3 * u32::from(FREE_ATTEMPTS), "{worst} erases of one page");
}

#[test]
fn boot27_the_delay_ends_after_powered_time_and_outlives_resets() {
    let Public { mut board, newer: (envelope, image), .. } = public();
    let nor = board.nor.clone();
    let mut delay_s = FIRST_DELAY_S;
    for round in 0..20 {
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        if round < FREE_ATTEMPTS {
            begin(&mut session, &image).unwrap();
        } else {
            for now_s in [0, delay_s / 2, delay_s - 1] {
                session.set_now(u64::from(now_s) * 1_000_000);
                assert_eq!(begin(&mut session, &image), Err(Nrc::REQUIRED_TIME_DELAY_NOT_EXPIRED));
                assert_eq!(record(&session).reason_position, delay_s - now_s, "round {round}");
            }
            session.set_now(u64::from(delay_s) * 1_000_000);
            begin(&mut session, &image).expect("it is never refused for good");
            delay_s = (2 * delay_s).min(LONGEST_DELAY_S);
        }
        routine(&mut session, rid::ABANDON_INSTALL).unwrap();
    }
    assert_eq!(delay_s, LONGEST_DELAY_S);
}

#[test]
fn boot27_a_release_that_nobody_has_tried_is_installed_at_once_and_its_confirmation_ends_the_delay() {
    let Public { mut board, newer: (envelope, image), .. } = public();
    let nor = board.nor.clone();
    {
        let mut session = board.program();
        for _ in 0..FREE_ATTEMPTS {
            download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
            begin(&mut session, &image).unwrap();
            routine(&mut session, rid::ABANDON_INSTALL).unwrap();
        }
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        assert!(begin(&mut session, &image).is_err());
    }
    let factory = device_harness::factory::Factory::new(1);
    let third = board.image(7000, 3);
    board.update(&factory.envelope(3, &third), &third);
    assert_eq!(board.state().attempts.count(), 0);
}

/// A bad bus: the transfer breaks off again and again, and goes on each time.
#[test]
fn boot27_an_install_that_goes_on_does_not_wait() {
    let (mut board, factory) = board();
    let image = board.image(16_000, 1);
    let envelope = factory.envelope(1, &image);
    let nor = board.nor.clone();
    for round in 0..3 {
        let mut session = board.program();
        for _ in 0..5 {
            download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        }
        let offset = record(&session).resume_offset;
        assert_eq!(offset, round * 4096);
        let size = 16_000 - offset;
        session.open_object(Download { address: 0x1000_0000 + offset, size }).unwrap();
        let at = offset as usize;
        session.write_object(0, &image[at..at + 4100]).unwrap();
    }
    assert_eq!(board.state().attempts.count(), 1);
    board.update(&envelope, &image);
}

/// Resumes an install over and over, so many commits further each time; how many resumptions the journal counted.
fn resumes<P: Part>(board: &mut DeviceOf<P>, envelope: &[u8], image: &[u8], step: usize, rounds: u8) -> u8 {
    let nor = board.nor.clone();
    for _ in 0..=rounds {
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, envelope).unwrap();
        let offset = record(&session).resume_offset;
        let size = u32::try_from(image.len()).unwrap() - offset;
        session.open_object(Download { address: 0x1000_0000 + offset, size }).unwrap();
        let at = offset as usize;
        session.write_object(0, &image[at..at + step + 100]).unwrap();
    }
    board.state().attempts.count() - 1
}

/// Each resumption costs places of the journal, so a stranger who comes one commit further each time waits too.
#[test]
fn boot27_a_resumption_that_comes_little_further_counts() {
    let factory = Factory::new(1);
    let mut board = Board::new(16);
    board.provision(&factory);
    let image = board.image(60_000, 1);
    let envelope = factory.envelope(1, &image);
    assert_eq!(resumes(&mut board.twin(), &envelope, &image, 4096, 7), 7);
    assert_eq!(resumes(&mut board, &envelope, &image, 8192, 6), 0);
}

/// Steps that are records count no more than marks do.
#[test]
fn boot27_an_install_that_goes_on_without_marks_does_not_wait() {
    let (chip, layout) = part::few_sectors(4, 1024);
    let factory = Factory::new(1);
    let mut board = DeviceOf::<_>::over(Nor::<4, 1024>::with(Medium::of(&[chip])), layout);
    board.provision(&factory);
    let image = board.image(12_000, 1);
    let envelope = factory.envelope(1, &image);
    assert_eq!(resumes(&mut board, &envelope, &image, 4096, 1), 0);
    assert_eq!(board.state().status, Status::Installing { offset: 4096 });
}
