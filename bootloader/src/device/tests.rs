use std::vec;

use update_protocol::isotp::Config;
use update_protocol::profile;
use update_protocol::uds::server::{Answer, SessionChange};
use update_protocol::uds::{Nrc, S3_SERVER_MS, Session};

use super::*;

struct Worker {
    bootable: bool,
}

impl Handler for Worker {
    fn read_identifier(&mut self, _: u16, _: &mut Answer<'_>) -> Result<(), Nrc> {
        Err(Nrc::REQUEST_OUT_OF_RANGE)
    }

    fn change_session(&mut self, _: Session) -> Result<SessionChange, Nrc> {
        Ok(SessionChange::Enter)
    }
}

impl Program for Worker {
    fn ends_with_its_session(&self) -> bool {
        self.bootable
    }
}

/// A board whose controller needs a while for each frame, and whose time passes in sleep and with each look at it.
#[derive(Default)]
struct Bench {
    inbox: Vec<Frame>,
    sent: Vec<Frame>,
    now_us: u64,
    busy_until_us: u64,
    fed_us: u64,
    longest_unfed_us: u64,
    /// The controller never sends again.
    stuck: bool,
}

impl Board for Bench {
    fn feed_watchdog(&mut self) {
        self.longest_unfed_us = self.longest_unfed_us.max(self.now_us - self.fed_us);
        self.fed_us = self.now_us;
    }

    fn expect_wake_up(&mut self) {}

    fn receive(&mut self) -> Option<Frame> {
        if self.inbox.is_empty() { None } else { Some(self.inbox.remove(0)) }
    }

    fn is_idle(&mut self) -> bool {
        !self.stuck && self.now_us >= self.busy_until_us
    }

    fn transmit(&mut self, frame: &Frame) {
        assert!(self.is_idle());
        self.busy_until_us = self.now_us + 500;
        self.sent.push(*frame);
    }

    fn now_us(&mut self) -> u64 {
        self.now_us += 10;
        self.now_us
    }

    fn sleep_until(&mut self, deadline_us: Option<u64>) {
        self.now_us = deadline_us.unwrap_or(u64::MAX).clamp(self.now_us, self.now_us + 500_000);
    }
}

/// Serves until the reset; what the tester asks comes as single frames.
fn run(board: &mut Bench, server: Server, bootable: bool, requests: &[&[u8]]) -> Reset {
    for request in requests {
        let mut data = [0xCC; 8];
        data[0] = request.len().try_into().unwrap();
        data[1..=request.len()].copy_from_slice(request);
        board.inbox.push(Frame::new(profile::request_id(0x10), &data).unwrap());
    }
    let (mut request, mut answer) = (vec![0; 64], vec![0; 64]);
    let addressing = profile::device_addressing(0x10);
    let mut link = BorrowedLink::new(addressing, Config::classic(), &mut request[..], &mut answer[..]);
    let mut program = Worker { bootable };
    serve(board, &mut link, &mut Service::new(server, &mut program))
}

#[test]
fn a_reset_waits_for_its_answer_to_leave() {
    let mut board = Bench::default();
    run(&mut board, Server::new(), false, &[&[0x11, 0x01]]);
    assert_eq!(board.sent.len(), 1);
    assert!(board.is_idle(), "the answer is still on its way");
}

#[test]
fn a_reset_does_not_wait_for_ever_for_a_controller_that_sends_no_more() {
    let mut board = Bench { stuck: true, ..Bench::default() };
    // Silent: nothing has to leave.
    run(&mut board, Server::new(), false, &[&[0x11, 0x81]]);
    assert!(board.now_us < 2 * LAST_FRAME_US, "{} us", board.now_us);
}

#[test]
fn a_loader_whose_tester_has_gone_goes_back_to_work_if_it_can() {
    let mut board = Bench::default();
    run(&mut board, Server::entered(Session::Programming), true, &[]);
    let s3_us = u64::from(S3_SERVER_MS) * 1000;
    assert!((s3_us..s3_us + 1_000_000).contains(&board.now_us), "{} us", board.now_us);
    assert!(board.longest_unfed_us < 1_000_000, "the watchdog was not fed for {} us", board.longest_unfed_us);
}

/// Its last frame was never acknowledged, because the tester was the only other node.
#[test]
fn bus26_a_loader_whose_controller_sends_no_more_goes_back_to_work() {
    let mut board = Bench { stuck: true, ..Bench::default() };
    run(&mut board, Server::entered(Session::Programming), true, &[]);
    let s3_us = u64::from(S3_SERVER_MS) * 1000;
    assert!((s3_us..s3_us + LAST_FRAME_US + 1000).contains(&board.now_us), "{} us", board.now_us);
}

#[test]
fn one_without_an_image_stays() {
    let mut board = Bench::default();
    let mut program = Worker { bootable: false };
    let (mut request, mut answer) = (vec![0; 64], vec![0; 64]);
    let addressing = profile::device_addressing(0x10);
    let mut link = BorrowedLink::new(addressing, Config::classic(), &mut request[..], &mut answer[..]);
    let mut service = Service::new(Server::entered(Session::Programming), &mut program);
    for _ in 0..100 {
        let now_us = board.now_us();
        assert_eq!(service.poll(&mut link, now_us), None);
        board.sleep_until(service.next_timeout());
    }
}
