use std::fmt::Write as _;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::isotp::Config;
use crate::profile;
use crate::uds::MAX_IDENTIFIERS;

mod attacks;
mod sessions;
mod table;

type HeapLink = Link<Vec<u8>, Vec<u8>>;

/// A device that writes down what it is asked to do.
#[derive(Default)]
struct Recorder {
    calls: Vec<String>,
    open: bool,
    /// What was announced for the open object.
    size: usize,
    content: Vec<u8>,
    refuse: Option<Nrc>,
    /// How often the next slow call says that it is not done.
    slices: usize,
    hand_over: bool,
    /// As a loader that has something to go back to.
    leaves: bool,
    slow_write: bool,
}

impl Recorder {
    fn outcome(&mut self) -> Result<(), Nrc> {
        if self.slices > 0 {
            self.slices -= 1;
            return Err(Nrc::RESPONSE_PENDING);
        }
        self.refuse.take().map_or(Ok(()), Err)
    }
}

impl Handler for Recorder {
    fn read_identifier(&mut self, did: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        match did {
            0xF18C => answer.append(b"A-1"),
            0xFD00 => answer.append(&[0x5A; 80]),
            0xFD02 => Err(Nrc::CONDITIONS_NOT_CORRECT),
            _ => Err(Nrc::REQUEST_OUT_OF_RANGE),
        }
    }

    fn open_object(&mut self, download: Download) -> Result<(), Nrc> {
        self.calls.push(std::format!("open {:X}+{:X}", download.address, download.size));
        self.outcome()?;
        assert!(!self.open, "opened twice");
        self.open = true;
        self.size = download.size as usize;
        self.content.clear();
        Ok(())
    }

    fn write_object(&mut self, offset: u32, data: &[u8]) -> Result<(), Nrc> {
        assert!(self.open, "written while closed");
        self.calls.push(std::format!("write {offset:X} {}", data.len()));
        self.outcome()?;
        assert_eq!(offset as usize, self.content.len());
        self.content.extend_from_slice(data);
        assert!(self.content.len() <= self.size, "written past the announced size");
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), Nrc> {
        assert!(self.open, "finished while closed");
        self.calls.push("finish".to_string());
        let outcome = self.outcome();
        if outcome != Err(Nrc::RESPONSE_PENDING) {
            self.open = false;
        }
        outcome
    }

    fn close_object(&mut self) {
        assert!(self.open, "closed twice");
        self.open = false;
        self.calls.push("close".to_string());
    }

    fn run_routine(&mut self, routine: u16, option: &[u8], answer: &mut Answer<'_>) -> Result<(), Nrc> {
        self.calls.push(std::format!("routine {routine:X} {option:X?}"));
        self.outcome()?;
        if routine == 0xF001 { answer.append(&[0]) } else { Err(Nrc::REQUEST_OUT_OF_RANGE) }
    }

    fn change_session(&mut self, session: Session) -> Result<SessionChange, Nrc> {
        self.calls.push(std::format!("session {session:?}"));
        self.outcome()?;
        Ok(match session {
            Session::Programming if self.hand_over => SessionChange::HandOver,
            Session::Default if self.leaves => SessionChange::EnterAndReset,
            _ => SessionChange::Enter,
        })
    }

    fn prepare_reset(&mut self) -> Result<(), Nrc> {
        self.calls.push("reset".to_string());
        self.outcome()
    }

    fn is_slow(&self, operation: Operation) -> bool {
        match operation {
            Operation::Write { .. } => self.slow_write,
            Operation::Finish | Operation::Routine(_) => true,
            Operation::Open(_) | Operation::ChangeSession(_) => false,
        }
    }
}

/// A server on a link, and a tester on the other end of it.
struct Rig {
    server: Server,
    handler: Recorder,
    device: HeapLink,
    tester: HeapLink,
    now_us: u64,
    events: Vec<Event>,
}

impl Rig {
    fn new() -> Self {
        Self::with_server(Server::new())
    }

    fn with_server(server: Server) -> Self {
        let link = |addressing| Link::new(addressing, Config::classic(), vec![0; 4095], vec![0; 300]);
        Self {
            server,
            handler: Recorder::default(),
            device: link(profile::device_addressing(0x10)),
            tester: Link::new(
                profile::tester_addressing(0x10),
                Config::classic(),
                vec![0; 300],
                vec![0; 5000],
            ),
            now_us: 0,
            events: Vec::new(),
        }
    }

    /// In the programming session.
    fn programming() -> Self {
        let mut rig = Self::new();
        assert_eq!(rig.ask(&[0x10, 0x02]), [[0x50, 0x02, 0x03, 0x22, 0x01, 0xF4]]);
        rig.handler.calls.clear();
        rig
    }

    /// With a download of `size` bytes open.
    fn downloading(size: u32) -> Self {
        let mut rig = Self::programming();
        assert_eq!(rig.ask(&download(0, size)), [[0x74, 0x20, 0x0F, 0xFF]]);
        rig.handler.calls.clear();
        rig
    }

    /// Sends a request and returns every answer until nothing moves.
    fn ask(&mut self, request: &[u8]) -> Vec<Vec<u8>> {
        self.tester.send(request, self.now_us).unwrap();
        self.settle()
    }

    fn ask_all(&mut self, request: &[u8]) -> Vec<Vec<u8>> {
        self.tester.send_functional(request, self.now_us).unwrap();
        self.settle()
    }

    fn settle(&mut self) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        let mut quiet = 0;
        while quiet < 3 {
            quiet += 1;
            while let Some(frame) = self.tester.poll_transmit(self.now_us) {
                self.device.on_frame(&frame, self.now_us);
                quiet = 0;
            }
            let event = self.server.poll(&mut self.device, &mut self.handler, self.now_us);
            self.events.extend(event);
            while let Some(frame) = self.device.poll_transmit(self.now_us) {
                self.tester.on_frame(&frame, self.now_us);
                quiet = 0;
            }
            if let Some(answer) = self.tester.received(Target::Physical) {
                answers.push(answer.to_vec());
                self.tester.release(Target::Physical);
            }
            if event == Some(Event::Reset) {
                break;
            }
        }
        answers
    }

    fn wait(&mut self, us: u64) -> Vec<Vec<u8>> {
        self.now_us += us;
        self.settle()
    }

    fn calls(&mut self) -> Vec<String> {
        std::mem::take(&mut self.handler.calls)
    }
}

fn download(address: u32, size: u32) -> Vec<u8> {
    [&[0x34, 0x00, 0x44][..], &address.to_be_bytes(), &size.to_be_bytes()].concat()
}

fn nrc(service: u8, nrc: u8) -> Vec<Vec<u8>> {
    vec![vec![0x7F, service, nrc]]
}

// ---- services ----------------------------------------------------------------------------------------------------

#[test]
fn a_whole_download() {
    let mut rig = Rig::downloading(600);
    let content: Vec<u8> = (0..=255).cycle().take(600).collect();
    // The frames the specification gives, and blocks of any length.
    assert_eq!(rig.ask(&[&[0x36, 0x01][..], &content[..2]].concat()), [[0x76, 0x01, 0, 0, 0, 2]]);
    for (counter, at) in (2_u8..=255).chain([0]).zip(2..258) {
        let [high, low] = u16::try_from(at + 1).unwrap().to_be_bytes();
        assert_eq!(rig.ask(&[0x36, counter, content[at]]), [[0x76, counter, 0, 0, high, low]]);
    }
    assert_eq!(rig.ask(&[&[0x36, 0x01][..], &content[257..]].concat()), [[0x76, 0x01, 0, 0, 2, 0x58]]);
    assert_eq!(rig.ask(&[0x37]), [&[0x7F, 0x37, 0x78][..], &[0x77]]);
    assert_eq!(rig.handler.content, content);
    assert_eq!(rig.calls().last().unwrap(), "finish");
    assert!(!rig.server.is_downloading());
}

#[test]
fn tester_present_and_its_suppressed_answer() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&[0x3E, 0x00]), [[0x7E, 0x00]]);
    assert_eq!(rig.ask(&[0x3E, 0x80]), Vec::<Vec<u8>>::new());
    assert_eq!(rig.ask(&[0x3E, 0x81]), nrc(0x3E, 0x12), "a negative answer is not suppressed");
}

#[test]
fn the_suppress_bit_of_the_other_services() {
    let none = Vec::<Vec<u8>>::new();
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&[0x10, 0x82]), none);
    assert_eq!(rig.server.session(), Session::Programming);
    // After NRC 78 the positive answer is sent whatever was asked for (ISO 14229-1, 7.4.2.4).
    assert_eq!(
        rig.ask(&[0x31, 0x81, 0xF0, 0x01]),
        [&[0x7F, 0x31, 0x78][..], &[0x71, 0x01, 0xF0, 0x01, 0x00]]
    );
    assert_eq!(rig.ask(&[0x11, 0x81]), none);
    assert_eq!(rig.events, [Event::Reset]);
}

#[test]
fn reading_several_identifiers() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&[0x22, 0xF1, 0x8C]), [b"\x62\xF1\x8CA-1"]);
    assert_eq!(rig.ask(&[0x22, 0xF1, 0x86]), [[0x62, 0xF1, 0x86, 0x01]]);
    assert_eq!(rig.ask(&[0x22, 0xF1, 0x86, 0xF1, 0x8C]), [b"\x62\xF1\x86\x01\xF1\x8CA-1"]);
    // A partial answer is refused by testers of others.
    assert_eq!(rig.ask(&[0x22, 0xF1, 0x86, 0x12, 0x34, 0xF1, 0x8C]), nrc(0x22, 0x31));
    assert_eq!(rig.ask(&[0x22, 0x12, 0x34, 0x12, 0x35]), nrc(0x22, 0x31));
    assert_eq!(rig.ask(&[0x22, 0xF1, 0x8C, 0xFD, 0x02]), nrc(0x22, 0x22));
    rig.ask(&[0x10, 0x03]);
    assert_eq!(rig.ask(&[0x22, 0xF1, 0x86]), [[0x62, 0xF1, 0x86, 0x03]]);
}

#[test]
fn slow_work_in_slices_keeps_the_tester_waiting() {
    let mut rig = Rig::downloading(1);
    rig.ask(&[0x36, 1, 9]);
    rig.handler.slices = 1000;
    assert_eq!(rig.ask(&[0x37]), nrc(0x37, 0x78));
    assert!(rig.server.is_busy());
    // Not at every slice, but well within P2*.
    assert_eq!(rig.wait(1_000_000), Vec::<Vec<u8>>::new());
    assert_eq!(rig.wait(1_500_000), nrc(0x37, 0x78));
    assert_eq!(rig.wait(2_500_000), nrc(0x37, 0x78));
    // S3 does not run meanwhile, and what is said meanwhile is not heard.
    assert_eq!(rig.ask(&[0x11, 0x01]), Vec::<Vec<u8>>::new());
    rig.handler.slices = 0;
    assert_eq!(rig.settle(), [[0x77]]);
    assert_eq!(rig.server.session(), Session::Programming);
}

#[test]
fn a_slow_write_is_answered_with_pending_first_and_done_once() {
    let mut rig = Rig::downloading(4);
    rig.handler.slow_write = true;
    assert_eq!(rig.ask(&[0x36, 1, 1, 2]), [&[0x7F, 0x36, 0x78][..], &[0x76, 0x01, 0, 0, 0, 2]]);
    assert_eq!(rig.ask(&[0x36, 1, 1, 2]), [[0x76, 0x01, 0, 0, 0, 2]], "a repeat is nothing slow");
    assert_eq!(rig.calls(), ["write 0 2"]);
}

// ---- anything ----------------------------------------------------------------------------------------------------

/// A service with parameters at random, and as often a request that is served.
fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let served: [&[u8]; 10] = [
        &[0x10, 1],
        &[0x10, 2],
        &[0x11, 1],
        &[0x22, 0xF1, 0x8C],
        &[0x22, 0xFD, 0],
        &[0x31, 1, 0xF0, 1],
        &[0x34, 0, 0x44, 0, 0, 0, 0, 0, 0, 0, 64],
        &[0x36, 1, 7, 7],
        &[0x37],
        &[0x3E, 0],
    ];
    let any_of_a_service = (
        prop_oneof![
            proptest::sample::select(vec![0x10_u8, 0x11, 0x22, 0x31, 0x34, 0x36, 0x37, 0x3E]),
            any::<u8>()
        ],
        proptest::collection::vec(any::<u8>(), 0..20),
    );
    prop_oneof![
        any_of_a_service.prop_map(|(service, parameters)| [&[service][..], &parameters].concat()),
        proptest::sample::select(served.map(<[u8]>::to_vec).to_vec()),
    ]
}

proptest! {
    /// Whatever is asked: at most NRC 78 and one answer each, of the right service; the handler's own checks hold;
    /// and nothing is written but within the announced size.
    #[test]
    fn any_requests(requests in proptest::collection::vec((any_request(), any::<bool>()), 1..40)) {
        let mut rig = Rig::downloading(64);
        for (request, functional) in requests {
            let service = request[0];
            let answers = if functional && request.len() <= 7 { rig.ask_all(&request) } else { rig.ask(&request) };
            prop_assert!(answers.len() <= 2);
            for answer in answers {
                prop_assert!(answer[0] == service | 0x40 || (answer[0] == 0x7F && answer[1] == service));
            }
            if rig.events.contains(&Event::Reset) {
                break;
            }
        }
    }
}
