//! A tester and a device on one modelled bus, both ends through ISO-TP: whole downloads, classic and FD, messages up to
//! and above 4095 bytes, and frames that get lost.

use std::collections::VecDeque;

use update_protocol::can::Frame;
use update_protocol::isotp::{Config, Link, Target};
use update_protocol::profile;
use update_protocol::uds::client::{ClientError, Exchange, Progress, Request, Timing, response};
use update_protocol::uds::server::{Answer, Download, Event, Handler, Operation, Server};
use update_protocol::uds::{Nrc, Session};

type HeapLink = Link<Vec<u8>, Vec<u8>>;

#[derive(Default)]
struct Store {
    content: Vec<u8>,
    writes: usize,
    finished: bool,
}

impl Handler for Store {
    fn read_identifier(&mut self, _did: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        answer.append(&[0x5A; 80])
    }

    fn open_object(&mut self, _download: Download) -> Result<(), Nrc> {
        self.content.clear();
        Ok(())
    }

    fn write_object(&mut self, offset: u32, data: &[u8]) -> Result<(), Nrc> {
        assert_eq!(usize::try_from(offset), Ok(self.content.len()));
        self.content.extend_from_slice(data);
        self.writes += 1;
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), Nrc> {
        self.finished = true;
        Ok(())
    }

    fn is_slow(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Finish)
    }
}

/// Two nodes and what is on the wire between them.
struct Bus {
    tester: HeapLink,
    device: HeapLink,
    server: Server,
    store: Store,
    wire: VecDeque<(bool, Frame)>,
    now_us: u64,
    carried: usize,
    lost: usize,
    /// Says of the n-th frame whether it is lost.
    lose: Box<dyn FnMut(usize) -> bool>,
}

impl Bus {
    fn new(config: Config, capacity: usize, lose: impl FnMut(usize) -> bool + 'static) -> Self {
        let config = config.with_block_size(8);
        Self {
            tester: Link::new(profile::tester_addressing(0x10), config, vec![0; 300], vec![0; capacity]),
            device: Link::new(profile::device_addressing(0x10), config, vec![0; capacity], vec![0; 300]),
            server: Server::new(),
            store: Store::default(),
            wire: VecDeque::new(),
            now_us: 0,
            carried: 0,
            lost: 0,
            lose: Box::new(lose),
        }
    }

    /// One frame, or the next timeout if none is on the wire.
    fn step(&mut self, until_us: u64) {
        while let Some(frame) = self.tester.poll_transmit(self.now_us) {
            self.wire.push_back((true, frame));
        }
        let event = self.server.poll(&mut self.device, &mut self.store, self.now_us);
        assert_ne!(event, Some(Event::Reset));
        while let Some(frame) = self.device.poll_transmit(self.now_us) {
            self.wire.push_back((false, frame));
        }
        if let Some((from_tester, frame)) = self.wire.pop_front() {
            self.now_us += 100;
            self.carried += 1;
            if (self.lose)(self.carried) {
                self.lost += 1;
            } else {
                let to = if from_tester { &mut self.device } else { &mut self.tester };
                to.on_frame(&frame, self.now_us);
            }
        } else if self.device.received(Target::Physical).is_none() {
            let timeouts =
                [self.tester.next_timeout(), self.device.next_timeout(), self.server.next_timeout()];
            self.now_us =
                timeouts.into_iter().flatten().min().unwrap_or(until_us).clamp(self.now_us, until_us);
            self.tester.on_timeout(self.now_us);
            self.device.on_timeout(self.now_us);
        }
    }

    fn ask_once(&mut self, request: &Request<'_>) -> Result<Vec<u8>, ClientError> {
        let mut buffer = vec![0; 10_000];
        let bytes = request.encode(&mut buffer).unwrap();
        self.tester.send(bytes, self.now_us).unwrap();
        let service = bytes[0];
        loop {
            match self.tester.take_sent() {
                Some(Ok(())) => break,
                Some(Err(_)) => return Err(ClientError::Timeout { service }),
                None => self.step(u64::MAX),
            }
        }
        let mut exchange = Exchange::begin(bytes, Timing::default(), self.now_us);
        loop {
            if let Some(message) = self.tester.received(Target::Physical).map(<[u8]>::to_vec) {
                self.tester.release(Target::Physical);
                if exchange.on_message(&message, self.now_us)? == Progress::Answered {
                    return Ok(message);
                }
            }
            exchange.on_timeout(self.now_us)?;
            self.step(exchange.deadline());
        }
    }

    /// A tester that asks again when an answer is lost.
    fn ask(&mut self, request: &Request<'_>) -> Vec<u8> {
        for _ in 0..20 {
            match self.ask_once(request) {
                Err(ClientError::Timeout { .. }) => {}
                outcome => return outcome.unwrap(),
            }
        }
        panic!("no answer to {:.60}", format!("{request:?}"));
    }

    fn download(&mut self, content: &[u8]) -> usize {
        self.ask(&Request::Session(Session::Programming));
        let size = u32::try_from(content.len()).unwrap();
        let max = response::download(&self.ask(&Request::Download { address: 0x1000_0000, size })).unwrap();
        let max = usize::try_from(max).unwrap();
        let (mut counter, mut sent) = (0_u8, 0);
        for block in content.chunks(max - 2) {
            counter = counter.wrapping_add(1);
            sent += u32::try_from(block.len()).unwrap();
            let answer = self.ask(&Request::Transfer { counter, data: block });
            assert_eq!(answer[..2], [0x76, counter]);
            assert_eq!(response::transfer(&answer), Ok(Some(sent)));
        }
        assert_eq!(self.ask(&Request::TransferExit), [0x77]);
        max
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

#[test]
fn downloads_with_messages_of_4095_bytes_and_more() {
    for config in [Config::classic(), Config::fd(true)] {
        for capacity in [300, 4095, 4096, 9000] {
            let mut bus = Bus::new(config, capacity, |_| false);
            let content = content(20_000);
            assert_eq!(bus.download(&content), capacity, "the largest message is the receive buffer");
            assert!(bus.store.finished);
            assert_eq!(bus.store.content, content);
            assert_eq!(bus.store.writes, content.len().div_ceil(capacity - 2));
        }
    }
}

#[test]
fn a_download_survives_lost_frames_and_writes_every_block_once() {
    for (config, one_in) in [(Config::classic(), 400), (Config::fd(true), 40)] {
        let mut lost = 0;
        for seed in 1..=5 {
            let mut random = Random(seed);
            let mut bus = Bus::new(config, 1000, move |_| random.next().is_multiple_of(one_in));
            let content = content(20_000);
            bus.ask(&Request::Session(Session::Programming));
            bus.ask(&Request::Download { address: 0x1000_0000, size: 20_000 });
            for (index, block) in content.chunks(998).enumerate() {
                let counter = u8::try_from(index + 1).unwrap();
                bus.ask(&Request::Transfer { counter, data: block });
            }
            lost += bus.lost;
            assert_eq!(bus.store.content, content, "seed {seed}");
            assert_eq!(bus.store.writes, content.len().div_ceil(998));
        }
        assert!(lost > 20, "only {lost} frames were lost");
    }
}

/// Numbers without a pattern, the same at every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 27)
    }
}

#[test]
fn a_long_answer_passes_too() {
    let mut bus = Bus::new(Config::classic(), 4095, |_| false);
    let answer = bus.ask(&Request::Read(&[0xFD00]));
    assert_eq!(response::identifier(&answer, 0xFD00).unwrap(), [0x5A; 80]);
    assert_eq!(
        bus.ask_once(&Request::TransferExit),
        Err(ClientError::Refused { service: 0x37, nrc: Nrc(0x7F) })
    );
}
