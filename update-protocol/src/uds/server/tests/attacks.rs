//! One test for each attack on the server that docs/can-protocol.md answers.

use super::*;

#[test]
fn attack_transfer_before_a_download() {
    let mut rig = Rig::programming();
    assert_eq!(rig.ask(&[0x36, 1, 1]), nrc(0x36, 0x24));
    assert_eq!(rig.ask(&[0x37]), nrc(0x37, 0x24));
    assert_eq!(rig.calls(), Vec::<String>::new());
}

#[test]
fn attack_transfer_past_the_size() {
    let mut rig = Rig::downloading(4);
    assert_eq!(rig.ask(&[0x36, 1, 1, 2, 3, 4, 5]), nrc(0x36, 0x71));
    assert_eq!(rig.ask(&[0x36, 1, 1, 2, 3]), [[0x76, 1, 0, 0, 0, 3]]);
    assert_eq!(rig.ask(&[0x36, 2, 4, 5]), nrc(0x36, 0x71));
    assert_eq!(rig.ask(&[0x36, 2, 4]), [[0x76, 2, 0, 0, 0, 4]]);
    assert_eq!(rig.ask(&[0x36, 3, 5]), nrc(0x36, 0x71));
    assert_eq!(rig.handler.content, [1, 2, 3, 4], "not a byte of what was refused");
    assert_eq!(rig.ask(&[0x37]), [&[0x7F, 0x37, 0x78][..], &[0x77]]);
}

#[test]
fn attack_wrong_block_counter() {
    let mut rig = Rig::downloading(10);
    // Before the first block there is none that could be repeated.
    for counter in [0, 2, 255] {
        assert_eq!(rig.ask(&[0x36, counter, 1]), nrc(0x36, 0x73));
    }
    assert_eq!(rig.ask(&[0x36, 1, 1]), [[0x76, 1, 0, 0, 0, 1]]);
    for counter in [0, 3, 255] {
        assert_eq!(rig.ask(&[0x36, counter, 1]), nrc(0x36, 0x73));
    }
    assert_eq!(rig.calls(), ["write 0 1"]);
}

#[test]
fn a_repeated_block_is_acknowledged_and_not_written_again() {
    let mut rig = Rig::downloading(3);
    for _ in 0..3 {
        assert_eq!(rig.ask(&[0x36, 1, 7, 8]), [[0x76, 1, 0, 0, 0, 2]]);
    }
    assert_eq!(rig.ask(&[0x36, 2, 9]), [[0x76, 2, 0, 0, 0, 3]]);
    // Also when everything has come: the answer to the last block may be the one that was lost.
    assert_eq!(rig.ask(&[0x36, 2, 9]), [[0x76, 2, 0, 0, 0, 3]]);
    assert_eq!(rig.calls(), ["write 0 2", "write 2 1"]);
    assert_eq!(rig.handler.content, [7, 8, 9]);
}

#[test]
fn attack_transfer_exit_early() {
    let mut rig = Rig::downloading(2);
    assert_eq!(rig.ask(&[0x37]), nrc(0x37, 0x24));
    rig.ask(&[0x36, 1, 1]);
    assert_eq!(rig.ask(&[0x37]), nrc(0x37, 0x24));
    assert_eq!(rig.ask(&[0x37, 0x00]), nrc(0x37, 0x13));
    assert_eq!(rig.calls(), ["write 0 1"], "not judged");
    rig.ask(&[0x36, 2, 2]);
    rig.ask(&[0x37]);
    assert_eq!(rig.ask(&[0x37]), nrc(0x37, 0x24), "once only");
}

#[test]
fn attack_address_and_size() {
    let mut rig = Rig::programming();
    for request in [
        download(0xFFFF_FFFF, 1),
        download(0xFFFF_FFFF, 0xFFFF_FFFF),
        download(0x8000_0000, 0x8000_0000),
        download(0, 0),
        // Nibbles of zero, and wider than 32 bits.
        vec![0x34, 0, 0x00, 0, 0, 0, 0, 0, 0, 0, 1],
        vec![0x34, 0, 0x40, 0, 0, 0, 1],
        vec![0x34, 0, 0x04, 0, 0, 0, 0],
        vec![0x34, 0, 0x54, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        vec![0x34, 0, 0x4F, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        // Compression and encryption.
        [&[0x34, 0x10][..], &download(0, 4)[2..]].concat(),
        [&[0x34, 0x01][..], &download(0, 4)[2..]].concat(),
        // The example of the specification asks for a format this server has not.
        vec![0x34, 0x01, 0x44, 0x08, 0x02, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00],
    ] {
        assert_eq!(rig.ask(&request), nrc(0x34, 0x31), "{request:02X?}");
    }
    for len in 1..11 {
        assert_eq!(rig.ask(&download(0, 4)[..len]), nrc(0x34, 0x13), "{len} bytes");
    }
    assert_eq!(rig.ask(&[&download(0, 4)[..], &[0]].concat()), nrc(0x34, 0x13));
    assert_eq!(rig.calls(), Vec::<String>::new());
    // What is left is the handler's to judge.
    rig.ask(&download(0x1234_5678, 0xEDCB_A987));
    rig.ask(&[0x34, 0x00, 0x12, 0xAB, 0xCD, 0x07]);
    assert_eq!(rig.calls(), ["open 12345678+EDCBA987", "close", "open ABCD+7"]);
}

#[test]
fn attack_oversized_list_of_identifiers() {
    let mut rig = Rig::new();
    let list = |count: usize| [vec![0x22], [0xF1, 0x86].repeat(count)].concat();
    assert_eq!(rig.ask(&list(MAX_IDENTIFIERS))[0].len(), 1 + 3 * MAX_IDENTIFIERS);
    assert_eq!(rig.ask(&list(MAX_IDENTIFIERS + 1)), nrc(0x22, 0x13));
    assert_eq!(rig.ask(&list(2000)), nrc(0x22, 0x13));
    for short in [&[0x22][..], &[0x22, 0xF1], &[0x22, 0xF1, 0x86, 0xF1]] {
        assert_eq!(rig.ask(short), nrc(0x22, 0x13));
    }
    // Long answers: what does not fit the answer buffer is refused, not cut.
    assert_eq!(rig.ask(&[vec![0x22], [0xFD, 0x00].repeat(4)].concat()), nrc(0x22, 0x14));
}

#[test]
fn attack_routine_that_passes_a_check_by() {
    for session in [1, 3] {
        let mut rig = Rig::new();
        rig.ask(&[0x10, session]);
        rig.calls();
        assert_eq!(rig.ask(&[0x31, 0x01, 0xF0, 0x01]), nrc(0x31, 0x7F));
        assert_eq!(rig.calls(), Vec::<String>::new());
    }
    let mut rig = Rig::downloading(4);
    assert_eq!(rig.ask(&[0x31, 0x02, 0xF0, 0x01]), nrc(0x31, 0x12), "there is nothing to stop");
    assert_eq!(rig.ask(&[0x31, 0x01, 0xF0]), nrc(0x31, 0x13));
    assert_eq!(rig.ask(&[0x31, 0x01, 0xFF, 0x00]), [&[0x7F, 0x31, 0x78][..], &[0x7F, 0x31, 0x31]]);
    // A routine neither ends nor completes a download.
    rig.ask(&[0x31, 0x01, 0xF0, 0x01]);
    assert_eq!(rig.ask(&[0x37]), nrc(0x37, 0x24));
}

#[test]
fn attack_reset_in_mid_write() {
    // While a slow operation runs, nothing else is heard; the reset has to be asked for again.
    let mut rig = Rig::downloading(1);
    rig.ask(&[0x36, 1, 1]);
    rig.handler.slices = usize::MAX;
    rig.ask(&[0x37]);
    assert_eq!(rig.ask(&[0x11, 0x01]), Vec::<Vec<u8>>::new());
    assert_eq!(rig.ask_all(&[0x11, 0x01]), Vec::<Vec<u8>>::new());
    assert_eq!(rig.events, []);
    rig.handler.slices = 0;
    assert_eq!(rig.settle(), [[0x77]]);
}

#[test]
fn attack_services_for_all_that_only_one_may_be_asked() {
    let none = Vec::<Vec<u8>>::new();
    let mut rig = Rig::downloading(4);
    for request in [
        &[0x10, 0x01][..],
        &[0x11, 0x01],
        &[0x31, 0x01, 0xF0, 0x01],
        &[0x34, 0x00, 0x11, 0x00, 0x01],
        &[0x36, 1, 1],
        &[0x37],
        &[0x27, 0x01],
        &[0x3E],
        &[0x3E, 0x01],
        &[0x22],
        &[0x22, 0x12, 0x34],
        &[0x22, 0xFD, 0x02],
    ] {
        assert_eq!(rig.ask_all(request), none, "{request:02X?}");
    }
    assert_eq!(rig.calls(), Vec::<String>::new());
    assert_eq!(rig.server.session(), Session::Programming);
    assert_eq!(rig.ask_all(&[0x3E, 0x00]), [[0x7E, 0x00]]);
    assert_eq!(rig.ask_all(&[0x22, 0xF1, 0x8C]), [b"\x62\xF1\x8CA-1"]);
}

/// A device that was asked for more than a frame holds, by `identifier`: its answer waits for a flow control.
fn waiting_for_flow_control(identifier: crate::can::Id) -> Rig {
    let mut rig = Rig::downloading(4);
    let request = crate::can::Frame::new(identifier, &[0x03, 0x22, 0xFD, 0x00]).unwrap();
    rig.device.on_frame(&request, rig.now_us);
    assert_eq!(rig.server.poll(&mut rig.device, &mut rig.handler, rig.now_us), None);
    assert_eq!(rig.device.poll_transmit(rig.now_us).unwrap().data()[..2], [0x10, 83]);
    assert!(rig.device.is_awaiting_flow_control());
    rig.calls();
    rig
}

#[test]
fn attack_an_answer_to_all_does_not_block_the_tester_of_the_session() {
    let mut rig = waiting_for_flow_control(profile::FUNCTIONAL_ID);
    assert_eq!(rig.ask(&[0x36, 1, 9]), [[0x76, 1, 0, 0, 0, 1]]);
    // Nor whoever asks all next.
    let mut rig = waiting_for_flow_control(profile::FUNCTIONAL_ID);
    assert_eq!(rig.ask_all(&[0x3E, 0x00]), [[0x7E, 0x00]]);
}

#[test]
fn attack_an_answer_that_nobody_takes_gives_way_to_the_next_request() {
    let mut rig = waiting_for_flow_control(profile::request_id(0x10));
    assert_eq!(rig.ask(&[0x36, 1, 9]), [[0x76, 1, 0, 0, 0, 1]]);
    // A request to all does not end the answer to a tester.
    let mut rig = waiting_for_flow_control(profile::request_id(0x10));
    assert_eq!(rig.ask_all(&[0x3E, 0x00]), Vec::<Vec<u8>>::new());
    assert!(rig.device.is_awaiting_flow_control());
}

#[test]
fn attack_answers_are_not_answered() {
    // Two servers that took each other's answers for requests would never stop.
    let mut rig = Rig::new();
    for answer in [&[0x7F, 0x10, 0x11][..], &[0x50, 0x02], &[0x7E, 0x00], &[0xC0], &[0xFF, 0xFF]] {
        assert_eq!(rig.ask(answer), Vec::<Vec<u8>>::new(), "{answer:02X?}");
    }
}

#[test]
fn a_refused_object_is_closed_and_has_to_be_opened_again() {
    for code in [Nrc::SECURITY_ACCESS_DENIED, Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED] {
        let mut rig = Rig::downloading(1);
        rig.ask(&[0x36, 1, 1]);
        rig.handler.refuse = Some(code);
        assert_eq!(rig.ask(&[0x37]), [[0x7F, 0x37, 0x78], [0x7F, 0x37, code.0]]);
        assert_eq!(rig.ask(&[0x37]), nrc(0x37, 0x24));
        assert_eq!(rig.ask(&[0x36, 1, 1]), nrc(0x36, 0x24));
    }
    // A failed write ends it as well: nobody knows what flash holds.
    let mut rig = Rig::downloading(2);
    rig.handler.refuse = Some(Nrc::GENERAL_PROGRAMMING_FAILURE);
    assert_eq!(rig.ask(&[0x36, 1, 1]), nrc(0x36, 0x72));
    assert_eq!(rig.calls(), ["write 0 1", "close"]);
    assert_eq!(rig.ask(&[0x36, 1, 1]), nrc(0x36, 0x24));
    // A refused opening leaves nothing open, not even what was open before.
    let mut rig = Rig::downloading(2);
    rig.handler.refuse = Some(Nrc::CONDITIONS_NOT_CORRECT);
    assert_eq!(rig.ask(&download(0x1000_0000, 4)), nrc(0x34, 0x22));
    assert_eq!(rig.calls(), ["close", "open 10000000+4"]);
    assert_eq!(rig.ask(&[0x36, 1, 1]), nrc(0x36, 0x24));
}

#[test]
fn an_answer_buffer_too_small_for_anything_serves_nothing() {
    let mut link = Link::new(
        profile::device_addressing(0x10),
        Config::classic(),
        vec![0; 100],
        vec![0; SHORTEST_ANSWER_BUFFER - 1],
    );
    let (mut server, mut handler) = (Server::new(), Recorder::default());
    let request = crate::can::Frame::new(profile::request_id(0x10), &[0x02, 0x10, 0x02]).unwrap();
    link.on_frame(&request, 0);
    assert_eq!(server.poll(&mut link, &mut handler, 0), None);
    assert_eq!((link.poll_transmit(0), server.session(), handler.calls.len()), (None, Session::Default, 0));
}
