//! An application that dies after it confirmed itself, and what the loader does then (docs/mailbox.md).

use bootloader::mailbox::{
    ALIVE, ALIVE_OFFSET, LISTEN_MS, Listening, MAILBOX_LEN, REQUEST_LEN, Request, ResetCause,
    SILENT_RESETS_MAX, Wake,
};
use bootloader::state::Status;
use device_harness::device::{install, record};
use device_harness::factory::Factory;
use suit_manifest::Reason;
use update_protocol::profile::{ImageState, Mode};

use crate::boot::{Board, board};

const LISTENING: Listening = Listening { at_power_up_ms: 200, ..Listening::DEFAULT };

/// A device with its RAM.
struct Life {
    board: Board,
    factory: Factory,
    mailbox: [u8; MAILBOX_LEN],
}

/// The result of a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Start {
    /// The image runs at once.
    Runs,
    /// It runs when nobody has needed the loader for so many milliseconds.
    Listens(u64, Option<Reason>),
}

impl Life {
    /// It runs release 1, confirmed.
    fn new() -> Self {
        let (mut board, factory) = board();
        let image = board.image(6000, 1);
        board.update(&factory.envelope(1, &image), &image);
        Self { board, factory, mailbox: [0xA5; MAILBOX_LEN] }
    }

    /// A reset, and the hand-over after it.
    fn start(&mut self, cause: ResetCause) -> Start {
        let wake = Wake::read(&self.mailbox, cause, LISTENING);
        self.mailbox = wake.mailbox();
        let (start, entry) = match self.board.wake(&wake) {
            bootloader::Boot::Run(entry) => (Start::Runs, entry),
            bootloader::Boot::Stay(mut session) => {
                let listens_us = session.listens_until_us(7).expect("it has an image") - 7;
                assert!(record(&session).flags.listening);
                let reason = session.refusal().map(|refusal| refusal.reason);
                (Start::Listens(listens_us / 1000, reason), session.hand_over().expect("it has an image"))
            }
        };
        self.mailbox = entry.mailbox();
        assert!(entry.redeem().is_some());
        start
    }

    fn say_alive(&mut self) {
        self.mailbox[ALIVE_OFFSET..].copy_from_slice(&ALIVE);
    }
}

const LISTENS: Start = Start::Listens(LISTEN_MS as u64, Some(Reason::ApplicationSilent));
/// The power-up of a device that is switched on.
const SWITCHED_ON: Start = Start::Listens(200, None);

#[test]
fn boot26_an_application_that_dies_leaves_a_window_before_each_hand_over() {
    let mut life = Life::new();
    assert_eq!(life.start(ResetCause::Power), SWITCHED_ON);
    for _ in 1..SILENT_RESETS_MAX {
        assert_eq!(life.start(ResetCause::Software), Start::Runs);
    }
    for cause in [ResetCause::Watchdog, ResetCause::Pin, ResetCause::BrownOut, ResetCause::Software] {
        assert_eq!(life.start(cause), LISTENS, "{cause:?}");
    }
    // A sign of life ends it, and so does power.
    life.say_alive();
    assert_eq!(life.start(ResetCause::Watchdog), Start::Runs);
    life.mailbox = [0; MAILBOX_LEN];
    assert_eq!(life.start(ResetCause::Power), SWITCHED_ON);
}

#[test]
fn boot26_an_application_that_lives_is_never_waited_for() {
    let mut life = Life::new();
    for _ in 0..20 {
        life.say_alive();
        assert_eq!(life.start(ResetCause::Software), Start::Runs);
    }
}

#[test]
fn boot26_the_state_record_says_why_it_listens() {
    let mut life = Life::new();
    for _ in 0..5 {
        life.start(ResetCause::Watchdog);
    }
    let wake = Wake::read(&life.mailbox, ResetCause::Watchdog, LISTENING);
    let bootloader::Boot::Stay(session) = life.board.wake(&wake) else { panic!("it does not listen") };
    let state = record(&session);
    assert_eq!((state.mode, state.image), (Mode::Loader, ImageState::Confirmed));
    assert_eq!(state.reason, Reason::ApplicationSilent.code());
    assert_eq!(state.reason_position.to_be_bytes(), [0, 0, 5, 5], "cause and count");
}

/// It is updated in its window; the new image starts with a count of its own.
#[test]
fn boot26_a_device_whose_application_dies_is_updated_in_its_window() {
    let mut life = Life::new();
    for _ in 0..5 {
        life.start(ResetCause::Watchdog);
    }
    let wake = Wake::read(&life.mailbox, ResetCause::Watchdog, LISTENING);
    life.mailbox = wake.mailbox();
    let (nor, image) = (life.board.nor.clone(), life.board.image(7000, 2));
    let envelope = life.factory.envelope(2, &image);
    let bootloader::Boot::Stay(mut session) = life.board.wake(&wake) else { panic!("it does not listen") };
    install(&nor, &mut session, &envelope, &image).expect("install");
    drop(session);
    assert_eq!(life.start(ResetCause::Software), Start::Runs, "the trial does not wait");
    assert_eq!(life.board.running(image.len()), image);
    life.board.application().confirm().expect("confirm");
    assert_eq!(life.start(ResetCause::Software), Start::Runs);
    assert_eq!(life.start(ResetCause::Software), Start::Runs);
    assert_eq!(life.start(ResetCause::Software), LISTENS);
}

/// A trial that waits for the window at power-up is counted when it begins, not before.
#[test]
fn boot26_a_trial_is_counted_when_the_window_is_over() {
    let mut life = Life::new();
    let image = life.board.image(7000, 2);
    let envelope = life.factory.envelope(2, &image);
    life.board.install(&envelope, &image).unwrap();
    for _ in 0..3 {
        let wake = Wake::read(&[0; MAILBOX_LEN], ResetCause::Power, LISTENING);
        assert!(matches!(life.board.wake(&wake), bootloader::Boot::Stay(_)), "switched off in its window");
        assert_eq!(life.board.state().status, Status::Trial { boots: 0 });
    }
    assert_eq!(life.start(ResetCause::Power), SWITCHED_ON);
    assert_eq!(life.board.state().status, Status::Trial { boots: 1 });
    assert_eq!(life.start(ResetCause::Power), SWITCHED_ON);
    assert_eq!(life.board.state().status, Status::Idle, "reverted");
}

#[test]
fn boot26_a_request_for_the_loader_is_served_until_a_reset() {
    let mut life = Life::new();
    for _ in 0..5 {
        life.start(ResetCause::Watchdog);
    }
    life.mailbox[..REQUEST_LEN].copy_from_slice(&Request::ProgrammingSession { answer: true }.encode());
    let wake = Wake::read(&life.mailbox, ResetCause::Software, LISTENING);
    let bootloader::Boot::Stay(session) = life.board.wake(&wake) else { panic!("it was asked for") };
    assert_eq!(session.listens_until_us(0), None);
    assert_eq!((session.refusal(), record(&session).flags.listening), (None, false));
}
