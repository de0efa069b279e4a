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
    /// Arrives after the loop has looked for a frame, before it sleeps.
    late: Option<Frame>,
    /// A device has something since [`Drivers::expect_wake_up`].
    woken: bool,
    /// Sleeps that ended at once.
    woken_sleeps: u32,
}

impl Bench {
    fn longest_unfed_us(&self) -> u64 {
        self.longest_unfed_us.max(self.now_us - self.fed_us)
    }
}

impl Drivers for Bench {
    fn feed_watchdog(&mut self) {
        self.longest_unfed_us = self.longest_unfed_us.max(self.now_us - self.fed_us);
        self.fed_us = self.now_us;
    }

    fn expect_wake_up(&mut self) {
        self.woken = false;
    }

    fn receive(&mut self) -> Option<Frame> {
        let received = if self.inbox.is_empty() { None } else { Some(self.inbox.remove(0)) };
        if let (None, Some(late)) = (&received, self.late.take()) {
            self.inbox.push(late);
            self.woken = true;
        }
        received
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
        if self.woken {
            self.woken_sleeps += 1;
            return;
        }
        self.now_us = deadline_us.unwrap_or(u64::MAX).clamp(self.now_us, self.now_us + 500_000);
    }
}

fn single_frame(request: &[u8]) -> Frame {
    let mut data = [0xCC; 8];
    data[0] = request.len().try_into().unwrap();
    data[1..=request.len()].copy_from_slice(request);
    Frame::new(profile::request_id(0x10), &data).unwrap()
}

/// Serves until the reset; what the tester asks comes as single frames.
fn run(board: &mut Bench, server: Server, bootable: bool, requests: &[&[u8]]) -> Ended {
    run_until(board, server, bootable, None, requests)
}

fn run_until(
    board: &mut Bench,
    server: Server,
    bootable: bool,
    until_us: Option<u64>,
    requests: &[&[u8]],
) -> Ended {
    board.inbox.extend(requests.iter().map(|request| single_frame(request)));
    let (mut request, mut answer) = (vec![0; 64], vec![0; 64]);
    let addressing = profile::device_addressing(0x10);
    let mut link = BorrowedLink::new(addressing, Config::classic(), &mut request[..], &mut answer[..]);
    let mut program = Worker { bootable };
    serve(board, &mut link, &mut Service::new(server, &mut program), until_us)
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
fn a_frame_that_arrives_right_before_a_sleep_ends_it() {
    let mut board = Bench { late: Some(single_frame(&[0x11, 0x01])), ..Bench::default() };
    run(&mut board, Server::entered(Session::Programming), true, &[]);
    assert_eq!(board.sent.len(), 1, "served before the session expired");
    assert!(board.now_us < 10_000, "{} us", board.now_us);
    assert!(board.woken_sleeps < 10, "awake for {} rounds after one wake-up", board.woken_sleeps);
}

#[test]
fn a_loader_whose_tester_has_gone_goes_back_to_work_if_it_can() {
    let mut board = Bench::default();
    run(&mut board, Server::entered(Session::Programming), true, &[]);
    let s3_us = u64::from(S3_SERVER_MS) * 1000;
    assert!((s3_us..s3_us + 1_000_000).contains(&board.now_us), "{} us", board.now_us);
    let unfed_us = board.longest_unfed_us();
    assert!(unfed_us < 1_000_000, "the watchdog was not fed for {unfed_us} us");
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
        assert!(!service.poll(&mut link, now_us));
        board.sleep_until(service.next_timeout());
    }
}

#[test]
fn boot26_a_loader_listens_for_as_long_as_it_was_told_and_no_longer() {
    let mut board = Bench::default();
    assert_eq!(run_until(&mut board, Server::new(), true, Some(700_000), &[]), Ended::TimeUp);
    assert!((700_000..701_000).contains(&board.now_us), "{} us", board.now_us);
    // Nobody holds it up with questions, to it or to all.
    for request in [&[0x3E, 0x00][..], &[0x22, 0xF1, 0x80]] {
        let mut board = Bench::default();
        assert_eq!(run_until(&mut board, Server::new(), true, Some(700_000), &[request]), Ended::TimeUp);
        assert_eq!(board.sent.len(), 1, "answered");
        assert!((700_000..701_000).contains(&board.now_us), "{} us", board.now_us);
    }
}

#[test]
fn boot26_a_tester_in_its_session_keeps_the_loader() {
    let mut board = Bench::default();
    let ended = run_until(&mut board, Server::new(), true, Some(700_000), &[&[0x10, 0x02]]);
    assert_eq!(ended, Ended::Reset, "when its session has expired, not before");
    assert!(board.now_us >= u64::from(S3_SERVER_MS) * 1000, "{} us", board.now_us);
    assert!(board.woken_sleeps < 10 && board.longest_unfed_us() < 1_000_000);
}

/// An application says that it is alive then, whoever talks to it.
#[test]
fn the_time_of_a_program_that_goes_on_without_a_tester_is_up_in_a_session_too() {
    let mut board = Bench::default();
    let ended = run_until(&mut board, Server::new(), false, Some(700_000), &[&[0x10, 0x03]]);
    assert_eq!(ended, Ended::TimeUp);
    assert!((700_000..701_000).contains(&board.now_us), "{} us", board.now_us);
}

#[test]
fn a_reset_that_was_asked_for_comes_before_the_end_of_the_time() {
    let mut board = Bench::default();
    assert_eq!(run_until(&mut board, Server::new(), true, Some(300), &[&[0x11, 0x01]]), Ended::Reset);
}
