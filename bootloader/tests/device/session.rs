//! The loader on the bus: its sessions and what its services may do to each other (docs/can-protocol.md).

use crate::bench::{Device, Failure, download, record, routine};
use crate::factory::Factory;
use bootloader::handoff::Request;
use bootloader::session;
use suit_manifest::Reason;
use update_protocol::isotp::{Config, Link, Target};
use update_protocol::profile::{self, ImageState, Object, rid};
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

#[test]
fn a_tester_that_leaves_sends_the_device_back_to_work() {
    let (mut working, _) = working();
    let mut loader = working.program();
    let mut bus = Bus::new(session::server(None));
    assert_eq!(bus.ask(&mut loader, &[0x10, 0x02]), (vec![vec![0x50, 2, 0, 0x32, 1, 0xF4]], None));
    let answer = vec![vec![0x50, 1, 0, 0x32, 1, 0xF4]];
    assert_eq!(bus.ask(&mut loader, &[0x10, 0x01]), (answer.clone(), Some(Event::Reset)));
    // Without anything to go back to it stays.
    let (mut empty, _) = board();
    let mut loader = empty.program();
    let mut bus = Bus::new(session::server(None));
    bus.ask(&mut loader, &[0x10, 0x02]);
    assert_eq!(bus.ask(&mut loader, &[0x10, 0x01]), (answer, None));
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
