//! The frames that docs/can-protocol.md shows are the frames a device and a tester really send.

use update_protocol::can::{Frame, Id};
use update_protocol::isotp::{Config, Link};
use update_protocol::profile::{self, did};
use update_protocol::uds::Nrc;
use update_protocol::uds::server::{Answer, Download, Event, Handler, Server};

/// A loader that refuses every object.
#[derive(Default)]
struct Loader {
    received: Vec<u8>,
}

impl Handler for Loader {
    fn read_identifier(&mut self, did: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        if did == did::LOADER_VERSION { answer.append(b"0.1.0") } else { Err(Nrc::REQUEST_OUT_OF_RANGE) }
    }

    fn open_object(&mut self, _download: Download) -> Result<(), Nrc> {
        Ok(())
    }

    fn write_object(&mut self, _offset: u32, data: &[u8]) -> Result<(), Nrc> {
        self.received.extend_from_slice(data);
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), Nrc> {
        Err(Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED)
    }
}

fn documented() -> Vec<Frame> {
    let page = include_str!("../../docs/can-protocol.md");
    let block = page.split("```can\n").nth(1).unwrap().split("```").next().unwrap();
    let frame = |line: &str| {
        let (id, rest) = line.split_once("  ").unwrap();
        let bytes = rest.split("  ").next().unwrap().split(' ');
        let data: Vec<u8> = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        Frame::new(Id::Extended(u32::from_str_radix(id, 16).unwrap()), &data).unwrap()
    };
    block.lines().map(frame).collect()
}

#[test]
fn the_documented_frames_are_exchanged() {
    let mut link = Link::new(profile::device_addressing(0x10), Config::classic(), [0; 4095], [0; 300]);
    let (mut server, mut loader) = (Server::new(), Loader::default());
    let frames = documented();
    assert_eq!(frames.len(), 20);
    let mut has_reset = false;
    let mut answers = Vec::new();
    for frame in &frames {
        if frame.id() == profile::response_id(0x10) {
            assert!(!answers.is_empty(), "{frame} is not sent");
            assert_eq!(answers.remove(0), *frame);
            continue;
        }
        assert_eq!(answers, [], "sent, but not in the document before {frame}");
        link.on_frame(frame, 0);
        for _ in 0..5 {
            has_reset |= server.poll(&mut link, &mut loader, 0) == Some(Event::Reset);
            answers.extend(std::iter::from_fn(|| link.poll_transmit(0)));
        }
    }
    assert_eq!(answers, []);
    assert!(has_reset);
    assert_eq!(loader.received, [0xD8, 0x6B, 0xA2, 0x02, 0x43], "once, although it was sent twice");
}
