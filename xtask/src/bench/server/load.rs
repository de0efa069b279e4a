//! Clients that send one request after another on a connection of their own, and what they measured.
//!
//! A client of a library costs more than the server's answer to a small request; this one writes a prepared request
//! and reads the answer's head and body.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

const BUFFER_LEN: usize = 256 << 10;
/// A server that is silent for longer has failed.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// What clients of one kind saw.
#[derive(Debug, Default, Clone)]
pub(super) struct Samples {
    latencies: Vec<Duration>,
    elapsed: Duration,
}

/// A summary of samples.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Load {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Samples {
    pub(super) fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.elapsed += other.elapsed;
    }

    pub(super) fn summary(mut self) -> Result<Load> {
        ensure!(!self.latencies.is_empty(), "no request was answered");
        self.latencies.sort_unstable();
        let at = |percent: usize| {
            let index = (self.latencies.len() - 1) * percent / 100;
            self.latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
        };
        #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52 requests")]
        let count = self.latencies.len() as f64;
        Ok(Load { per_second: count / self.elapsed.as_secs_f64(), p50_ms: at(50), p99_ms: at(99) })
    }
}

/// Requests of one kind, and how many clients send them at a time.
pub(super) struct Clients<'a> {
    /// `HOST:PORT`.
    pub(super) address: &'a str,
    pub(super) count: usize,
    /// The bytes of a client's next request, by the number of the client and of the request.
    pub(super) request: &'a (dyn Fn(usize, usize) -> Vec<u8> + Sync),
}

impl Clients<'_> {
    /// Sends for `duration`.
    pub(super) fn run(&self, duration: Duration) -> Result<Samples> {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let running = self.start(scope, &stop);
            thread::sleep(duration);
            stop.store(true, Ordering::Relaxed);
            running.collect()
        })
    }

    /// Sends for `duration` while `others` send too; returns what the own clients saw.
    pub(super) fn run_beside(&self, others: &Clients<'_>, duration: Duration) -> Result<Samples> {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let beside = others.start(scope, &stop);
            let running = self.start(scope, &stop);
            thread::sleep(duration);
            stop.store(true, Ordering::Relaxed);
            beside.collect()?;
            running.collect()
        })
    }

    fn start<'s>(&'s self, scope: &'s thread::Scope<'s, '_>, stop: &'s AtomicBool) -> Running<'s> {
        let began = Instant::now();
        let threads = (0..self.count)
            .map(|client| {
                scope.spawn(move || {
                    let mut connection = Connection::open(self.address)?;
                    let mut latencies = Vec::new();
                    let mut number = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let request = (self.request)(client, number);
                        let sent = Instant::now();
                        connection.exchange(&request)?;
                        latencies.push(sent.elapsed());
                        number += 1;
                    }
                    Ok(latencies)
                })
            })
            .collect();
        Running { began, threads }
    }
}

struct Running<'s> {
    began: Instant,
    threads: Vec<thread::ScopedJoinHandle<'s, Result<Vec<Duration>>>>,
}

impl Running<'_> {
    fn collect(self) -> Result<Samples> {
        let mut latencies = Vec::new();
        for thread in self.threads {
            let Ok(seen) = thread.join() else { bail!("a client panicked") };
            latencies.extend(seen?);
        }
        Ok(Samples { latencies, elapsed: self.began.elapsed() })
    }
}

/// A connection that stays open between requests.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_LIMIT))?;
        Ok(Self { stream, buffer: vec![0; BUFFER_LEN] })
    }

    /// Sends a request, reads the answer to its end, and fails unless it is a success.
    pub(super) fn exchange(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        let head = loop {
            let room = self.buffer.get_mut(filled..).unwrap_or_default();
            let read = self.stream.read(room)?;
            ensure!(read > 0, "the connection or the answer's head ended early");
            filled += read;
            let seen = self.buffer.get(..filled).unwrap_or_default();
            if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = String::from_utf8_lossy(self.buffer.get(..head).unwrap_or_default());
        ensure!(text.starts_with("HTTP/1.1 2"), "refused: {text}");
        let announced = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        let len = announced.with_context(|| format!("no length: {text}"))??;
        let mut missing = (head + len).checked_sub(filled).context("bytes follow the answer")?;
        while missing > 0 {
            let room = self.buffer.get_mut(..missing.min(BUFFER_LEN)).unwrap_or_default();
            let read = self.stream.read(room)?;
            ensure!(read > 0, "the answer ended early");
            missing -= read;
        }
        Ok(())
    }
}
