//! What a device reports of its last attempt, under its own key (docs/can-protocol.md, makeReport).

use bootloader::mailbox::{Listening, MAILBOX_LEN, ResetCause, Wake};
use bootloader::session::MAX_ANSWER_LEN;
use device_harness::device::{Boot, Device, Part, Placed, download, install, record, routine};
use device_harness::factory::{
    Factory, authenticated, authentication_key, description, device_key, encrypted,
};
use device_harness::part::{Deciphering, Symmetric};
use suit_manifest::author::inspect;
use suit_manifest::report::{
    NO_SECTION, Progress, ReportError, ReportResult, ReportTree, SHARED_SECTION, open_report,
};
use suit_manifest::{Reason, vocabulary::ReportReason};
use trust::author::DerivedKey;
use trust::encryption::ContentAlgorithm::A128Gcm;
use update_protocol::profile::{Object, rid};
use update_protocol::uds::Nrc;
use update_protocol::uds::server::{Answer, Download, Handler as _};

type Board = Device<8, 4096, Symmetric>;
type Session<'b, P, L> = bootloader::Session<'b, P, L>;

const NONCE: &[u8] = b"0123456789abcdef";
const IMAGE: u32 = 0x1000_0000;
const ZEROS: [u8; 32] = [0; 32];
/// suit-install
const INSTALL: i64 = 20;

fn own() -> DerivedKey {
    authentication_key("A-0001")
}

fn board() -> Board {
    let mut board = Board::new(4);
    board.provision_alone(&[device_key("A-0001"), own()]);
    board
}

fn release(sequence: u64, image: &[u8]) -> Vec<u8> {
    authenticated(&description(sequence, image), &own())
}

fn digest(envelope: &[u8]) -> [u8; 32] {
    *inspect(envelope).unwrap().digest()
}

fn ask<P: Part, L: Placed>(session: &mut Session<'_, P, L>, nonce: &[u8]) -> Result<Vec<u8>, Nrc> {
    let mut buffer = [0xEE; MAX_ANSWER_LEN - 4];
    let mut answer = Answer::new(&mut buffer);
    session.run_routine(rid::MAKE_REPORT, nonce, &mut answer)?;
    let len = answer.len();
    Ok(buffer[..len].to_vec())
}

fn open<'a>(answer: &'a [u8], key: &DerivedKey, nonce: &[u8]) -> Result<ReportTree<'a>, ReportError> {
    open_report(answer, &key.kid, key.bytes[..].try_into().unwrap(), Some(nonce))
}

/// What a report says.
#[derive(PartialEq, Eq, Debug)]
enum Told {
    Success,
    Underway(Progress),
    /// Why, in which section, and the keys of what was measured.
    Refused(Reason, i64, Vec<i64>),
}

/// What the device says: of which manifest, and what became of it.
fn told<P: Part, L: Placed>(session: &mut Session<'_, P, L>) -> ([u8; 32], Told) {
    let answer = ask(session, NONCE).unwrap();
    let tree = open(&answer, &own(), NONCE).unwrap();
    assert!(tree.uri.is_empty() && tree.records.is_empty() && tree.capabilities.is_none());
    let told = match (&tree.result, tree.progress()) {
        (ReportResult::Success, _) => Told::Success,
        (_, Some(progress)) => Told::Underway(progress),
        (ReportResult::Other { record, .. }, None) => {
            let measured = record.properties.iter().map(|property| property.key).collect();
            Told::Refused(tree.reason().unwrap(), record.section, measured)
        }
    };
    (tree.digest.bytes().try_into().unwrap(), told)
}

fn outside(reason: Reason) -> Told {
    Told::Refused(reason, NO_SECTION.into(), Vec::new())
}

/// Power comes on, and the loader listens.
fn power_up() -> Wake {
    let listening = Listening { at_power_up_ms: 200, ..Listening::DEFAULT };
    Wake::read(&[0; MAILBOX_LEN], ResetCause::Power, listening)
}

#[test]
fn each_step_of_an_update_is_reported() {
    let mut board = board();
    assert_eq!(told(&mut board.program()), (ZEROS, outside(Reason::NothingBootable)));
    let image = board.image(9000, 1);
    let envelope = release(1, &image);
    let this = digest(&envelope);
    let underway = |progress| (this, Told::Underway(progress));

    let nor = board.nor.clone();
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    assert_eq!(told(&mut session), underway(Progress::Receiving));
    let size = image.len() as u32;
    session.open_object(Download { address: IMAGE, size }).unwrap();
    session.write_object(0, &image[..8192]).unwrap();
    assert_eq!(told(&mut session), underway(Progress::Receiving));
    drop(session);
    // After a reset the journal says the same, and the install goes on.
    assert_eq!(told(&mut board.program()), underway(Progress::Receiving));
    board.install(&envelope, &image).unwrap();
    assert_eq!(told(&mut board.program()), underway(Progress::Pending));

    let bootloader::Boot::Stay(mut session) = board.wake(&power_up()) else { panic!("it listens") };
    assert_eq!(told(&mut session), underway(Progress::Trial));
    assert!(session.hand_over().is_some());
    drop(session);
    board.application().confirm().unwrap();
    assert_eq!(told(&mut board.program()), (this, Told::Success));
    // What it runs is no new attempt that fails.
    let refused = board.install(&envelope, &image).unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::RunsAlready));
    assert_eq!(told(&mut board.program()), (this, Told::Success));
}

/// A revert is in the journal: each loader says so, until something else is tried.
#[test]
fn a_revert_is_reported_after_every_reset() {
    let mut board = board();
    let first = board.image(5000, 1);
    board.update(&release(1, &first), &first);
    let image = board.image(6000, 2);
    let envelope = release(2, &image);
    board.install(&envelope, &image).unwrap();
    assert!(matches!(board.boot(), Boot::Run(_)));
    // It does not confirm itself.
    for _ in 0..3 {
        let (of, what) = told(&mut board.program());
        assert_eq!((of, what), (digest(&envelope), outside(Reason::TrialNotConfirmed)));
        assert!(matches!(board.boot(), Boot::Run(_)));
    }
    let answer = ask(&mut board.program(), NONCE).unwrap();
    let tree = open(&answer, &own(), NONCE).unwrap();
    assert_eq!(tree.report_reason(), Some(ReportReason::OperationFailed));
    let image = board.image(7000, 3);
    board.update(&release(3, &image), &image);
    assert_eq!(told(&mut board.program()).1, Told::Success);
}

/// docs/attacks.md, BOOT88: what a stranger says of his manifest is not what the device says.
#[test]
fn boot88_of_an_envelope_that_nobody_authenticated_no_digest_is_reported() {
    let mut board = board();
    let image = board.image(5000, 1);
    board.update(&release(1, &image), &image);
    let nor = board.nor.clone();
    let mut session = board.program();
    let mut forged = release(2, &image);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let foreign = authenticated(&description(2, &image), &authentication_key("A-0002"));
    let signed = Factory::new(1).envelope(2, &image);
    for (envelope, reason) in [
        (&forged[..], Reason::MemberDigestMismatch),
        (&foreign[..], Reason::DeviceKeyUnknown),
        (&signed[..], Reason::CoseUnsupported),
        (b"no envelope", Reason::ManifestMalformed),
    ] {
        let refused = download(&nor, &mut session, Object::Envelope, envelope).unwrap_err();
        assert_eq!(refused.reason(), Some(reason));
        assert_eq!(told(&mut session), (ZEROS, outside(reason)));
    }
    // A refusal before the first byte is written is forgotten with the RAM.
    drop(session);
    assert_eq!(told(&mut board.program()).1, Told::Success);
}

/// Where the manifest refused, and what the device has instead.
#[test]
fn a_condition_that_failed_is_reported_with_its_place() {
    let mut board = board();
    let nor = board.nor.clone();
    let image = board.image(5000, 1);
    let update = description(3, &image);
    let other = [0x55; 16];
    let cases = [
        (
            Reason::VendorMismatch,
            1,
            suit_manifest::author::UpdateDescription { vendor: other, ..update.clone() },
        ),
        (
            Reason::ClassMismatch,
            2,
            suit_manifest::author::UpdateDescription { class: other, ..update.clone() },
        ),
        (
            Reason::DeviceMismatch,
            24,
            suit_manifest::author::UpdateDescription { device: Some(other), ..update.clone() },
        ),
    ];
    for (reason, key, update) in cases {
        let envelope = authenticated(&update, &own());
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap_err();
        let shared = Told::Refused(reason, SHARED_SECTION.into(), vec![key]);
        assert_eq!(told(&mut session), (digest(&envelope), shared));
        // The byte is that of the condition in the sequence.
        let answer = ask(&mut session, NONCE).unwrap();
        let tree = open(&answer, &own(), NONCE).unwrap();
        let ReportResult::Other { record, .. } = &tree.result else { panic!() };
        let whole = suit_manifest::author::tree::EnvelopeTree::read(&envelope).unwrap();
        let shared = whole.manifest.shared.as_ref().unwrap();
        let sequence = shared[0].position - 1;
        let failed = shared.iter().find(|command| command.code == key).unwrap();
        assert_eq!(record.offset, u64::from(failed.position - sequence));
        assert_eq!((record.component, tree.report_reason()), (0, Some(ReportReason::ConditionFailed)));
    }
    // An older release is authentic, and no command of it runs.
    board.update(&authenticated(&update, &own()), &image);
    let image = board.image(5000, 2);
    let old = release(2, &image);
    let mut session = board.program();
    download(&nor, &mut session, Object::Envelope, &old).unwrap_err();
    assert_eq!(told(&mut session), (digest(&old), outside(Reason::SequenceRollback)));
    // A device that waits is no refusal of the manifest; an image without its envelope is none of one.
    let size = image.len() as u32;
    session.open_object(Download { address: IMAGE, size }).unwrap_err();
    assert_eq!(told(&mut session), (ZEROS, outside(Reason::NoEnvelope)));
}

#[test]
fn an_image_that_does_not_match_is_reported_with_its_place() {
    let mut board = board();
    let nor = board.nor.clone();
    let image = board.image(5000, 1);
    let envelope = release(1, &image);
    let mut session = board.program();
    install(&nor, &mut session, &envelope, &board_image_of_another(&image)).unwrap_err();
    let mismatch = Told::Refused(Reason::ImageDigestMismatch, INSTALL, Vec::new());
    assert_eq!(told(&mut session), (digest(&envelope), mismatch));
    // Too few bytes, and too many.
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    let size = image.len() as u32;
    session.open_object(Download { address: IMAGE, size }).unwrap();
    session.write_object(0, &image[..100]).unwrap();
    session.finish_object().unwrap_err();
    assert_eq!(told(&mut session), (digest(&envelope), outside(Reason::ImageIncomplete)));
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    session.open_object(Download { address: IMAGE, size }).unwrap();
    session.write_object(0, &[image.clone(), vec![0; 8]].concat()).unwrap_err();
    assert_eq!(told(&mut session), (digest(&envelope), outside(Reason::ImageOverrun)));
    // Dropped on request: the last attempt did not succeed.
    session.close_object();
    download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
    assert_eq!(routine(&mut session, rid::ABANDON_INSTALL), Ok(0));
    assert_eq!(told(&mut session), (digest(&envelope), outside(Reason::InstallAbandoned)));
}

fn board_image_of_another(image: &[u8]) -> Vec<u8> {
    let mut other = image.to_vec();
    *other.last_mut().unwrap() ^= 1;
    other
}

/// docs/attacks.md, SYM47: the nonce of the question is in the answer; a recorded answer does not have it.
#[test]
fn sym47_a_recorded_report_does_not_answer_another_question() {
    let mut board = board();
    let image = board.image(5000, 1);
    board.update(&release(1, &image), &image);
    let mut session = board.program();
    let recorded = ask(&mut session, NONCE).unwrap();
    assert_eq!(open(&recorded, &own(), b"another question").unwrap_err(), ReportError::Nonce);
    let other = open(&recorded, &authentication_key("A-0002"), NONCE).unwrap_err();
    assert_eq!(other.reason(), Reason::DeviceKeyUnknown);
    for len in 0..=80 {
        let nonce = &[7; 80][..len];
        let answer = ask(&mut session, nonce);
        if len == 0 || (8..=64).contains(&len) {
            let answer = answer.unwrap();
            assert_eq!(open(&answer, &own(), nonce).unwrap().nonce, (len > 0).then_some(nonce));
        } else {
            assert_eq!(answer, Err(Nrc::INCORRECT_LENGTH), "{len}");
        }
    }
}

/// docs/attacks.md, BOOT87: whoever is on the bus asks, and is refused, as often as he likes.
#[test]
fn boot87_reports_and_refusals_write_nothing() {
    let mut board = board();
    let image = board.image(5000, 1);
    board.update(&release(1, &image), &image);
    let (state, nor) = (board.state(), board.nor.clone());
    let before = nor.medium().operations();
    let foreign = authenticated(&description(2, &image), &authentication_key("A-0002"));
    for round in 0..50_u64 {
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &foreign).unwrap_err();
        for asked in 0..20_u64 {
            let nonce = [round.to_be_bytes(), asked.to_be_bytes()].concat();
            let answer = ask(&mut session, &nonce).unwrap();
            open(&answer, &own(), &nonce).unwrap();
        }
        assert_eq!(ask(&mut session, &[0; 7]), Err(Nrc::INCORRECT_LENGTH));
    }
    assert_eq!(board.state(), state);
    assert_eq!(nor.medium().operations(), before);
}

/// docs/attacks.md, BOOT89: a question between envelope, blocks and end of an install changes nothing of it.
#[test]
fn boot89_a_report_in_the_middle_of_an_install_disturbs_nothing() {
    let keys = [device_key("A-0001"), own()];
    let mut board = board();
    for sequence in 1..=2 {
        let image = board.image(9000, sequence as u8);
        let (update, ciphertext) = encrypted(&description(sequence, &image), &image, A128Gcm, &keys[..1]);
        let envelope = authenticated(&update, &keys[1]);
        let nor = board.nor.clone();
        let mut session = board.program();
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        let size = ciphertext.len() as u32;
        let mut offset = 0;
        told(&mut session);
        session.open_object(Download { address: IMAGE, size }).unwrap();
        for block in ciphertext.chunks(1000) {
            assert_eq!(told(&mut session), (digest(&envelope), Told::Underway(Progress::Receiving)));
            session.write_object(offset, block).unwrap();
            offset += block.len() as u32;
        }
        told(&mut session);
        session.finish_object().unwrap();
        assert_eq!(told(&mut session), (digest(&envelope), Told::Underway(Progress::Pending)));
        drop(session);
        assert!(matches!(board.boot(), Boot::Run(_)));
        board.application().confirm().unwrap();
        assert_eq!(board.running(image.len()), image);
    }
    // A device that lets an install wait keeps its envelope, whatever is asked meanwhile.
    let image = board.image(6000, 7);
    let envelope = release(9, &image);
    let nor = board.nor.clone();
    let mut session = board.program();
    for _ in 0..40 {
        download(&nor, &mut session, Object::Envelope, &envelope).unwrap();
        if session.open_object(Download { address: IMAGE, size: 6000 }).is_err() {
            break;
        }
        session.write_object(0, &image[..100]).unwrap();
        session.close_object();
    }
    assert_eq!(record(&session).reason, Reason::InstallDelayed.code());
    assert_eq!(told(&mut session), (digest(&envelope), outside(Reason::InstallDelayed)));
    session.set_now(40 * 3_600_000_000);
    download(&nor, &mut session, Object::Image { offset: 0 }, &image).unwrap();
    assert_eq!(told(&mut session), (digest(&envelope), Told::Underway(Progress::Pending)));
}

/// A loader that does not report, a device that has no key for it, and one from the factory.
#[test]
fn who_does_not_report_has_no_such_routine() {
    let factory = Factory::new(1);
    let mut silent = Device::<8, 4096>::new(4);
    silent.provision(&factory);
    let mut without = Device::<8, 4096, Deciphering>::new(4);
    without.provision_with(&factory, &[device_key("A-0001")]);
    assert_eq!(ask(&mut silent.program(), b""), Err(Nrc::REQUEST_OUT_OF_RANGE));
    assert_eq!(ask(&mut without.program(), NONCE), Err(Nrc::REQUEST_OUT_OF_RANGE));
    assert_eq!(ask(&mut Board::new(4).program(), NONCE), Err(Nrc::REQUEST_OUT_OF_RANGE));
    // A maker with roots may ask as well.
    let mut hybrid = Device::<8, 4096, Deciphering>::new(4);
    hybrid.provision_with(&factory, &[device_key("A-0001"), own()]);
    let image = hybrid.image(5000, 1);
    let envelope = factory.envelope(1, &image);
    hybrid.update(&envelope, &image);
    assert_eq!(told(&mut hybrid.program()), (digest(&envelope), Told::Success));
    let other =
        suit_manifest::author::UpdateDescription { device: Some([0x55; 16]), ..description(2, &image) };
    let other = factory.envelope_of(&other);
    let nor = hybrid.nor.clone();
    let mut session = hybrid.program();
    download(&nor, &mut session, Object::Envelope, &other).unwrap_err();
    let refused = Told::Refused(Reason::DeviceMismatch, SHARED_SECTION.into(), vec![24]);
    assert_eq!(told(&mut session), (digest(&other), refused));
}
