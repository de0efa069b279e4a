use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::uds::Session;

fn encode(request: Request<'_>) -> Vec<u8> {
    request.encode(&mut [0; 64]).unwrap().to_vec()
}

fn begin(request: &[u8]) -> Exchange {
    Exchange::begin(request, Timing::default(), 0)
}

#[test]
fn requests_are_these_bytes() {
    assert_eq!(encode(Request::Session(Session::Programming)), [0x10, 0x02]);
    assert_eq!(encode(Request::HardReset), [0x11, 0x01]);
    assert_eq!(encode(Request::Read(&[0xF18C, 0xFD00])), [0x22, 0xF1, 0x8C, 0xFD, 0x00]);
    assert_eq!(
        encode(Request::StartRoutine { routine: 0xFF01, option: &[7] }),
        [0x31, 0x01, 0xFF, 0x01, 0x07]
    );
    assert_eq!(
        encode(Request::Download { address: 0x0802_0000, size: 0x4_0000 }),
        [0x34, 0x00, 0x44, 0x08, 0x02, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00]
    );
    assert_eq!(encode(Request::Transfer { counter: 1, data: &[0xDE, 0xAD] }), [0x36, 0x01, 0xDE, 0xAD]);
    assert_eq!(encode(Request::TransferExit), [0x37]);
    assert_eq!(encode(Request::TesterPresent { answer: true }), [0x3E, 0x00]);
    assert_eq!(encode(Request::TesterPresent { answer: false }), [0x3E, 0x80]);
}

#[test]
fn requests_that_are_none() {
    assert_eq!(Request::Read(&[]).encode(&mut [0; 64]), Err(RequestError::Identifiers(0)));
    assert_eq!(Request::Read(&[0; 9]).encode(&mut [0; 64]), Err(RequestError::Identifiers(9)));
    assert_eq!(
        Request::Transfer { counter: 1, data: &[] }.encode(&mut [0; 64]),
        Err(RequestError::EmptyBlock)
    );
    assert_eq!(Request::Transfer { counter: 1, data: &[1] }.encode(&mut [0; 2]), Err(RequestError::NoRoom));
    assert_eq!(Request::TransferExit.encode(&mut []), Err(RequestError::NoRoom));
}

#[test]
fn answers_to_other_requests_are_ignored() {
    for (request, own, others) in [
        (
            &[0x10, 0x82][..],
            &[0x50, 0x02, 0, 50, 1, 244][..],
            &[&[0x50, 0x01, 0, 50, 1, 244][..], &[0x51, 0x02]][..],
        ),
        (&[0x36, 0x07, 1], &[0x76, 0x07], &[&[0x76, 0x06], &[0x76], &[0x7F, 0x37, 0x24], &[0x7F, 0x36], &[]]),
        (
            &[0x31, 0x01, 0xF0, 0x01],
            &[0x71, 0x01, 0xF0, 0x01, 0],
            &[&[0x71, 0x01, 0xFF, 0x01, 0], &[0x71, 0x01]],
        ),
        (&[0x22, 0xF1, 0x8C], &[0x62, 0xF1, 0x8C, 0x41], &[&[0x62, 0xF1, 0x95, 0x31], &[0x62]]),
        (&[0x37], &[0x77], &[&[0x7F, 0x36, 0x78], &[0x7F, 0x37, 0x24, 0x00], &[0x37]]),
    ] {
        let mut exchange = begin(request);
        for other in others {
            assert_eq!(exchange.on_message(other, 1), Ok(Progress::Ignored), "{other:02X?}");
        }
        assert_eq!(exchange.deadline(), Timing::default().p2_us, "and nothing is waited for longer");
        assert_eq!(exchange.on_message(own, 1), Ok(Progress::Answered));
    }
}

#[test]
fn a_list_of_identifiers_may_be_answered_in_part() {
    let mut exchange = begin(&[0x22, 0xF1, 0x95, 0xF1, 0x8C]);
    assert_eq!(exchange.on_message(&[0x62, 0xF1, 0x8C, 0x41], 1), Ok(Progress::Answered));
}

#[test]
fn a_refusal_is_an_error_with_its_code() {
    for nrc in [0x13, 0x33, 0x70, 0xEE] {
        let error = ClientError::Refused { service: 0x37, nrc: Nrc(nrc) };
        assert_eq!(begin(&[0x37]).on_message(&[0x7F, 0x37, nrc], 1), Err(error));
    }
}

#[test]
fn silence_ends_after_p2_and_after_pending_after_p2_star() {
    let timing = Timing { p2_us: 100, p2_star_us: 1000, pending_total_us: 10_000, max_pending: 5 };
    let mut exchange = Exchange::begin(&[0x37], timing, 0);
    assert_eq!(exchange.on_timeout(99), Ok(()));
    assert_eq!(exchange.on_timeout(100), Err(ClientError::Timeout { service: 0x37 }));
    assert_eq!(exchange.on_message(&[0x7F, 0x37, 0x78], 50), Ok(Progress::Waiting));
    assert_eq!(exchange.deadline(), 1050);
    assert_eq!(exchange.on_timeout(1049), Ok(()));
    assert_eq!(exchange.on_timeout(1050), Err(ClientError::Timeout { service: 0x37 }));
}

#[test]
fn attack_pending_for_ever_is_followed_only_so_far() {
    let pending = [0x7F, 0x37, 0x78];
    let too_long = Err(ClientError::PendingTooLong { service: 0x37 });
    let timing = Timing { p2_us: 100, p2_star_us: 1000, pending_total_us: 10_000, max_pending: 5 };
    // Too often.
    let mut exchange = Exchange::begin(&[0x37], timing, 0);
    for _ in 0..5 {
        assert_eq!(exchange.on_message(&pending, 1), Ok(Progress::Waiting));
    }
    assert_eq!(exchange.on_message(&pending, 1), too_long);
    // Too long, however rarely it comes.
    let mut exchange = Exchange::begin(&[0x37], timing, 0);
    assert_eq!(exchange.on_message(&pending, 9_500), Ok(Progress::Waiting));
    assert_eq!(exchange.deadline(), 10_000);
    assert_eq!(exchange.on_timeout(10_000), Err(ClientError::PendingTooLong { service: 0x37 }));
    assert_eq!(exchange.on_message(&pending, 10_000), too_long);
}

#[test]
fn answers_are_read_or_malformed() {
    assert_eq!(
        response::session(&[0x50, 0x02, 0x00, 0x32, 0x01, 0xF4]),
        Ok(response::SessionTiming { p2_us: 50_000, p2_star_us: 5_000_000 })
    );
    for bad in [&[0x50, 0x02][..], &[0x50, 0x02, 0, 50, 1, 244, 0], &[]] {
        assert_eq!(response::session(bad), Err(ClientError::Malformed { service: 0x10 }));
    }
    assert_eq!(response::identifier(b"\x62\xF1\x8CA-1", 0xF18C), Ok(&b"A-1"[..]));
    assert_eq!(
        response::identifier(b"\x62\xF1\x8CA-1", 0xF195),
        Err(ClientError::Malformed { service: 0x22 })
    );
    assert_eq!(response::identifier(b"\x62\xF1", 0xF18C), Err(ClientError::Malformed { service: 0x22 }));
    assert_eq!(response::routine(&[0x71, 0x01, 0xFF, 0x01, 0x02], 0xFF01), Ok(&[0x02][..]));
    assert_eq!(response::routine(&[0x71, 0x01, 0xFF], 0xFF01), Err(ClientError::Malformed { service: 0x31 }));
    assert_eq!(response::download(&[0x74, 0x20, 0x0F, 0xFF]), Ok(4095));
    assert_eq!(response::download(&[0x74, 0x10, 0x03]), Ok(3));
    assert_eq!(response::download(&[0x74, 0x50, 1, 0, 0, 0, 0]), Ok(u32::MAX));
    // Too small to carry a byte, a width that is not there, reserved bits.
    for bad in
        [&[0x74, 0x10, 0x02][..], &[0x74, 0x20, 0x0F], &[0x74, 0x00], &[0x74], &[0x74, 0x21, 0x0F, 0xFF]]
    {
        assert_eq!(response::download(bad), Err(ClientError::Malformed { service: 0x34 }), "{bad:02X?}");
    }
}

proptest! {
    #[test]
    fn any_messages_do_no_harm(request in proptest::collection::vec(any::<u8>(), 0..8),
                               messages in proptest::collection::vec(
                                   (0_u64..20_000_000, proptest::option::of(proptest::collection::vec(any::<u8>(), 0..8))), 0..20)) {
        let mut exchange = begin(&request);
        let mut now_us = 0;
        for (pause_us, message) in messages {
            now_us += pause_us;
            // Or NRC 78.
            let pending = [0x7F, exchange.service(), 0x78];
            let message = message.unwrap_or(pending.to_vec());
            let _progress = exchange.on_message(&message, now_us);
            let _read = (response::session(&message), response::download(&message),
                         response::identifier(&message, 0xFD00), response::routine(&message, 0xF001));
        }
        prop_assert!(exchange.deadline() <= Timing::default().pending_total_us);
    }
}
