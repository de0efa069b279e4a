//! Sessions: how they are entered, handed over, left, and how they end by themselves.

use super::*;

#[test]
fn the_application_hands_a_programming_session_over() {
    let mut application = Rig::new();
    application.handler.hand_over = true;
    for request in [[0x10, 0x02], [0x10, 0x82]] {
        let mut application = Rig::new();
        application.handler.hand_over = true;
        assert_eq!(application.ask(&request), nrc(0x10, 0x78));
        assert_eq!(application.events, [Event::Reset], "only when the answer has left");
    }
    // The loader that comes up answers without being asked, and is in the session.
    let mut loader = Rig::with_server(Server::announcing(Session::Programming));
    assert_eq!(loader.server.next_timeout(), Some(0), "at once, without a frame that wakes it");
    assert_eq!(loader.settle(), [[0x50, 0x02, 0x03, 0x22, 0x01, 0xF4]]);
    assert_eq!(loader.ask(&download(0, 4)), [[0x74, 0x20, 0x0F, 0xFF]]);
    assert_eq!(loader.handler.calls, ["open 0+4"]);
}

#[test]
fn a_session_ends_when_nobody_speaks_for_s3() {
    let mut rig = Rig::downloading(10);
    rig.wait(4_999_999);
    assert_eq!(rig.server.session(), Session::Programming);
    rig.ask_all(&[0x3E, 0x80]);
    rig.wait(4_999_999);
    assert_eq!(rig.server.session(), Session::Programming, "TesterPresent restarts S3");
    assert_eq!(rig.server.next_timeout(), Some(rig.now_us + 1));
    rig.wait(1);
    assert_eq!(rig.server.session(), Session::Default);
    assert_eq!((rig.events.clone(), rig.calls()), (vec![Event::SessionExpired], vec!["close".to_string()]));
    assert_eq!(rig.ask(&[0x36, 1, 1]), nrc(0x36, 0x7F));
    assert_eq!(rig.server.next_timeout(), None);
}

#[test]
fn every_session_change_closes_the_download_but_a_refused_one_does_not() {
    for session in [1, 2, 3] {
        let mut rig = Rig::downloading(10);
        rig.handler.refuse = Some(Nrc::CONDITIONS_NOT_CORRECT);
        assert_eq!(rig.ask(&[0x10, session]), nrc(0x10, 0x22));
        assert_eq!(rig.server.session(), Session::Programming);
        assert!(rig.server.is_downloading());
        rig.calls();
        assert_eq!(rig.ask(&[0x10, session])[0][..2], [0x50, session]);
        assert_eq!(rig.calls()[1..], ["close"]);
        assert!(!rig.server.is_downloading());
    }
}

#[test]
fn reset_comes_after_its_answer_and_closes_the_download() {
    let mut rig = Rig::downloading(10);
    rig.ask(&[0x36, 1, 1, 2]);
    rig.calls();
    assert_eq!(rig.ask(&[0x11, 0x01]), [[0x51, 0x01]]);
    assert_eq!(rig.calls(), ["reset", "close"]);
    assert_eq!(rig.events, [Event::Reset]);

    let mut rig = Rig::new();
    rig.handler.refuse = Some(Nrc::CONDITIONS_NOT_CORRECT);
    assert_eq!(rig.ask(&[0x11, 0x01]), nrc(0x11, 0x22));
    assert_eq!(rig.events, []);
}

#[test]
fn a_reset_waits_until_its_answer_has_left_the_link() {
    let mut rig = Rig::new();
    rig.tester.send(&[0x11, 0x01], 0).unwrap();
    rig.device.on_frame(&rig.tester.poll_transmit(0).unwrap(), 0);
    for _ in 0..3 {
        assert_eq!(rig.server.poll(&mut rig.device, &mut rig.handler, 0), None);
    }
    assert_eq!(rig.device.poll_transmit(0).unwrap().data()[..3], [0x02, 0x51, 0x01]);
    assert_eq!(rig.server.poll(&mut rig.device, &mut rig.handler, 0), Some(Event::Reset));
}

#[test]
fn a_loader_that_is_left_resets_after_the_answer() {
    for (request, answers) in
        [([0x10, 0x01], vec![vec![0x50, 0x01, 0x03, 0x22, 0x01, 0xF4]]), ([0x10, 0x81], vec![])]
    {
        let mut loader = Rig::downloading(10);
        loader.handler.leaves = true;
        assert_eq!(loader.ask(&request), answers);
        assert_eq!(loader.events, [Event::Reset], "only when the answer has left");
        assert_eq!(loader.calls(), ["session Default", "close"]);
    }
}

#[test]
fn a_session_that_is_active_from_the_start_ends_after_s3_as_well() {
    for (server, greeting) in [
        (Server::entered(Session::Programming), vec![]),
        (Server::announcing(Session::Programming), vec![vec![0x50, 0x02, 0x03, 0x22, 0x01, 0xF4]]),
    ] {
        let mut rig = Rig::with_server(server);
        // The program's clock need not begin at 0.
        rig.now_us = 9_000_000;
        assert_eq!(rig.server.next_timeout(), Some(0), "at once, without a frame that wakes it");
        assert_eq!(rig.settle(), greeting);
        assert_eq!(rig.server.session(), Session::Programming);
        assert_eq!(rig.server.next_timeout(), Some(14_000_000));
        rig.wait(4_999_999);
        assert_eq!(rig.events, []);
        rig.wait(1);
        assert_eq!(rig.events, [Event::SessionExpired]);
        assert_eq!(rig.server.session(), Session::Default);
    }
}

#[test]
fn s3_counts_from_the_answer_however_long_the_work_took() {
    let mut rig = Rig::downloading(1);
    rig.ask(&[0x36, 1, 9]);
    rig.tester.send(&[0x37], 0).unwrap();
    let request = rig.tester.poll_transmit(0).unwrap();
    rig.device.on_frame(&request, 0);
    assert_eq!(rig.server.poll(&mut rig.device, &mut rig.handler, 0), None);
    assert_eq!(rig.device.poll_transmit(0).unwrap().data()[..4], [0x03, 0x7F, 0x37, 0x78]);
    // The work begins at 0 and has taken 6 s when the answer leaves.
    assert_eq!(rig.server.poll(&mut rig.device, &mut rig.handler, 0), None);
    assert_eq!(rig.device.poll_transmit(6_000_000).unwrap().data()[..2], [0x01, 0x77]);
    assert_eq!(rig.server.poll(&mut rig.device, &mut rig.handler, 6_000_000), None);
    assert_eq!(rig.server.session(), Session::Programming);
    assert_eq!(rig.server.next_timeout(), Some(11_000_000));
    assert_eq!(rig.server.poll(&mut rig.device, &mut rig.handler, 10_999_999), None);
    let expired = rig.server.poll(&mut rig.device, &mut rig.handler, 11_000_000);
    assert_eq!(expired, Some(Event::SessionExpired));
}
