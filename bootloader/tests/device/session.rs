//! The loader on the bus: its sessions and what its services may do to each other (docs/can-protocol.md).

use bootloader::device::Program as _;
use bootloader::mailbox::Request;
use bootloader::session;
use device_harness::device::{Boot, Device, FACTORY_TAG, Failure, download, record, routine};
use device_harness::factory::Factory;
use suit_manifest::Reason;
use update_protocol::isotp::{Config, Link, Target};
use update_protocol::profile::{self, FACTORY_TAG_DELAY_MS, ImageState, Object, StateRecord, rid};
use update_protocol::uds::Nrc;
use update_protocol::uds::server::{Download, Event, Handler, Server};

type Board = Device<8, 4096>;
type HeapLink = Link<Vec<u8>, Vec<u8>>;

fn board() -> (Board, Factory) {
    let factory = Factory::new(1);
    let mut board = Board::new(4);
    board.provision(&factory);
    (board, factory)
}

/// A board that runs release 1, confirmed.
fn working() -> (Board, Factory) {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    board.update(&factory.envelope(1, &image), &image);
    (board, factory)
}

/// A tester's link and a device's, joined, with the device's server on it.
struct Bus {
    tester: HeapLink,
    device: HeapLink,
    server: Server,
    now_us: u64,
}

impl Bus {
    fn new(server: Server) -> Self {
        let link = |addressing| Link::new(addressing, Config::classic(), vec![0; 4095], vec![0; 4095]);
        Self {
            tester: link(profile::tester_addressing(0x10)),
            device: link(profile::device_addressing(0x10)),
            server,
            now_us: 0,
        }
    }

    /// Sends a request; the answers, and what the server wants of its caller then.
    fn ask(&mut self, loader: &mut impl Handler, request: &[u8]) -> (Vec<Vec<u8>>, Option<Event>) {
        self.tester.send(request, self.now_us).unwrap();
        self.settle(loader)
    }

    fn settle(&mut self, loader: &mut impl Handler) -> (Vec<Vec<u8>>, Option<Event>) {
        let (mut answers, mut event) = (Vec::new(), None);
        let mut quiet = 0;
        while quiet < 3 && event.is_none() {
            quiet += 1;
            while let Some(frame) = self.tester.poll_transmit(self.now_us) {
                self.device.on_frame(&frame, self.now_us);
                quiet = 0;
            }
            event = self.server.poll(&mut self.device, loader, self.now_us);
            while let Some(frame) = self.device.poll_transmit(self.now_us) {
                self.tester.on_frame(&frame, self.now_us);
                quiet = 0;
            }
            if let Some(answer) = self.tester.received(Target::Physical) {
                answers.push(answer.to_vec());
                self.tester.release(Target::Physical);
            }
        }
        (answers, event)
    }
}

/// The answer to `10 <session>`.
fn entered(session: u8) -> Vec<u8> {
    let [p2_high, p2_low] = profile::declared_p2_ms(4095).to_be_bytes();
    vec![0x50, session, p2_high, p2_low, 1, 0xF4]
}

#[test]
fn a_tester_that_leaves_sends_the_device_back_to_work() {
    let (mut working, _) = working();
    let mut loader = working.program();
    let mut bus = Bus::new(session::server(None));
    assert_eq!(bus.ask(&mut loader, &[0x10, 0x02]), (vec![entered(2)], None));
    let answer = vec![entered(1)];
    assert_eq!(bus.ask(&mut loader, &[0x10, 0x01]), (answer.clone(), Some(Event::Reset)));
    // Without anything to go back to it stays.
    let (mut empty, _) = board();
    let mut loader = empty.program();
    let mut bus = Bus::new(session::server(None));
    bus.ask(&mut loader, &[0x10, 0x02]);
    assert_eq!(bus.ask(&mut loader, &[0x10, 0x01]), (answer, None));
}

/// The host of a first install has gone before it asked for the reset.
#[test]
fn bus26_a_pending_first_image_is_tried_when_the_tester_has_gone() {
    let (mut first, factory) = board();
    let image = first.image(64, 1);
    first.install(&factory.envelope(1, &image), &image).unwrap();
    let mut loader = first.program();
    assert!(!loader.has_bootable() && loader.ends_with_its_session());
    let mut bus = Bus::new(session::server(None));
    bus.ask(&mut loader, &[0x10, 0x02]);
    assert_eq!(bus.ask(&mut loader, &[0x10, 0x01]), (vec![entered(1)], Some(Event::Reset)));
    drop(loader);
    assert!(matches!(first.boot(), Boot::Run(_)));
}

#[test]
fn a_programming_session_from_the_mailbox_expires_whether_its_answer_is_wanted_or_not() {
    for answer in [true, false] {
        let (mut board, _) = working();
        let mut loader = board.program();
        let mut bus = Bus::new(session::server(Some(Request::ProgrammingSession { answer })));
        let (answers, event) = bus.settle(&mut loader);
        assert_eq!((answers.len(), event), (usize::from(answer), None));
        assert_eq!(bus.ask(&mut loader, &[0x22, 0xF1, 0x86]), (vec![vec![0x62, 0xF1, 0x86, 2]], None));
        bus.now_us += 5_000_000;
        assert_eq!(bus.settle(&mut loader), (vec![], Some(Event::SessionExpired)));
    }
}

/// Their requests come from one address, and neither knows of the other.
#[test]
fn bus27_what_two_testers_send_in_turns_becomes_no_image() {
    let (mut board, factory) = working();
    let running = board.running(6000);
    let images = [2, 3].map(|number| board.image(6000, number));
    let mut loader = board.program();
    let mut bus = Bus::new(session::server(None));
    let mut ask = |request: &[u8]| bus.ask(&mut loader, request).0.pop().expect("an answer");
    let open = |address: u32, size: usize| {
        let size = u32::try_from(size).unwrap().to_be_bytes();
        [&[0x34, 0, 0x44][..], &address.to_be_bytes(), &size].concat()
    };
    let block = |counter: u8, data: &[u8]| [&[0x36, counter][..], data].concat();
    // The second one's envelope takes the place of the first one's.
    ask(&[0x10, 0x02]);
    for (sequence, image) in [2, 3].into_iter().zip(&images) {
        let envelope = factory.envelope(sequence, image);
        for request in [open(0, envelope.len()), block(1, &envelope), vec![0x37], open(0x1000_0000, 6000)] {
            assert_eq!(ask(&request)[0], request[0] | 0x40);
        }
    }
    // The first one goes on where it was: it is behind,
    let [first, second] = images.each_ref().map(|image| image.chunks(1000).collect::<Vec<_>>());
    assert_eq!(ask(&block(2, first[1])), [0x7F, 0x36, 0x73]);
    assert_eq!(ask(&block(1, second[0]))[0], 0x76);
    // or just there, and then the second one's block counts as a repeat.
    assert_eq!(ask(&block(2, first[1]))[0], 0x76);
    for (counter, data) in (2..).zip(&second[1..]) {
        assert_eq!(ask(&block(counter, data))[0], 0x76);
    }
    assert_eq!(ask(&[0x37]), [0x7F, 0x37, 0x70]);
    let state = record(&loader);
    assert_eq!((state.reason, state.image), (Reason::ImageDigestMismatch.code(), ImageState::Confirmed));
    drop(loader);
    assert!(matches!(board.boot(), Boot::Run(_)));
    assert_eq!(board.running(6000), running);
}

#[test]
fn a_check_of_the_pending_image_does_not_touch_an_object_that_is_being_received() {
    let (mut board, factory) = board();
    let image = board.image(6000, 1);
    let pending = factory.envelope(1, &image);
    board.install(&pending, &image).unwrap();
    // Another envelope of the same length, which nobody may take for the pending one.
    let mut forged = pending.clone();
    *forged.last_mut().unwrap() ^= 1;

    let nor = board.nor.clone();
    let mut loader = board.program();
    let size = u32::try_from(forged.len()).unwrap();
    loader.open_object(Download { address: 0, size }).unwrap();
    loader.write_object(0, &forged).unwrap();
    let check = rid::CHECK_PROGRAMMING_DEPENDENCIES;
    assert_eq!(routine(&mut loader, check), Err(Nrc::CONDITIONS_NOT_CORRECT));
    assert_eq!(loader.finish_object(), Err(Nrc::SECURITY_ACCESS_DENIED), "judged what was sent");
    assert_eq!(record(&loader).image, ImageState::Pending);
    // Nor a revocation list.
    let list = factory.revocation_list(1, &[trust::Kid([9; 8])]);
    let size = u32::try_from(list.len()).unwrap();
    loader.open_object(Download { address: 0x2000_0000, size }).unwrap();
    loader.write_object(0, &list).unwrap();
    assert_eq!(routine(&mut loader, check), Err(Nrc::CONDITIONS_NOT_CORRECT));
    assert_eq!(loader.finish_object(), Ok(()));
    assert_eq!(routine(&mut loader, check), Ok(0), "in between it is answered");
    let refused: Result<(), Failure> = download(&nor, &mut loader, Object::Envelope, &forged);
    assert_eq!(refused.unwrap_err().reason(), Some(Reason::MemberDigestMismatch));
}

#[test]
fn boot19_a_device_in_factory_state_answers_its_tag_after_a_delay_of_its_own() {
    let mut fresh = Board::new(4);
    let mut loader = fresh.program();
    let mut bus = Bus::new(session::server(None));
    let answer = [&[0x62, 0xFD, 0x03][..], &FACTORY_TAG.to_be_bytes()].concat();
    let mut delays = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let asked_us = bus.now_us;
        let (mut answers, event) = bus.ask(&mut loader, &[0x22, 0xFD, 0x03]);
        while answers.is_empty() {
            // Meanwhile it says when it will go on, and nothing comes before.
            bus.now_us = bus.server.next_timeout().expect("something is due");
            answers = bus.settle(&mut loader).0;
        }
        assert_eq!((answers, event), (vec![answer.clone()], None));
        let delay_us = bus.now_us - asked_us;
        assert!(delay_us < u64::from(FACTORY_TAG_DELAY_MS) * 1000, "{delay_us} us");
        delays.insert(delay_us / 1000);
    }
    assert!(delays.len() > 5, "the delay is drawn anew for each question: {delays:?}");
    // What is asked for without the tag does not wait.
    assert_eq!(bus.ask(&mut loader, &[0x22, 0xF1, 0x86]).0.len(), 1);

    let (mut provisioned, _) = board();
    let mut loader = provisioned.program();
    let mut bus = Bus::new(session::server(None));
    assert_eq!(bus.ask(&mut loader, &[0x22, 0xFD, 0x03]).0, [[0x7F, 0x22, 0x31]]);
}

#[test]
fn boot20_loader_and_application_say_which_manifest_runs() {
    let (mut board, factory) = board();
    assert_eq!(record(&board.program()).active_digest, [0; 32]);
    // Two releases with one sequence number: only the digest tells them apart.
    for image in [board.image(6000, 1), board.image(6000, 2)] {
        let envelope = factory.envelope(1, &image);
        let before = board.state();
        board.install(&envelope, &image).unwrap();
        let active = before.active.map_or([0; 32], |image| image.manifest_digest);
        let pending = record(&board.program());
        assert_eq!(pending.active_digest, active);
        board.boot();
        board.application().confirm().unwrap();
        let expected = board.state().active.unwrap().manifest_digest;
        assert_eq!(pending.manifest_digest, expected, "what was pending runs");
        assert_eq!(record(&board.program()).active_digest, expected);
        assert_eq!(
            StateRecord::decode(&board.application().state_record(256)).unwrap().active_digest,
            expected
        );
    }
}
