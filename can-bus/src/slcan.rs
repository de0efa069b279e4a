//! slcan over a stream: a serial adapter, a TCP or Unix socket, another node (lines: `update_protocol::slcan`).

mod pacer;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_serial::SerialPortBuilderExt;
use update_protocol::can::Frame;
use update_protocol::isotp::N_A_US;
use update_protocol::slcan::{Decoder, Line, MAX_LINE_LEN, encode};

use self::pacer::{ANSWER_LIMIT, Gate, Pacer};
use crate::address::{SlcanAddress, SlcanDataSpeed, SlcanPeer, SlcanSpeed};
use crate::bus::{BitRates, BusError, Left};

/// Frames that are held for the caller. Reading stops at this number, and the peer has to wait.
const MAX_HELD_FRAMES: usize = 4096;
const READ_LEN: usize = 4096;
/// How long a bit rate is listened at: the slowest cyclic messages of a bus come once a second or so, others more often.
const LISTENING_TIME: Duration = Duration::from_millis(400);
/// Speed digits, the most common bit rates first.
const LISTENING_ORDER: [u8; 9] = [6, 5, 8, 4, 7, 3, 2, 1, 0];
/// Closes the channel of an adapter.
const CLOSE: &[u8] = b"C\r";

/// A byte stream that carries lines.
pub trait SlcanStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> SlcanStream for S {}

pub(crate) struct Slcan {
    stream: Box<dyn SlcanStream>,
    decoder: Decoder,
    frames: VecDeque<Frame>,
    /// The rest of a line that is being written.
    unsent: Vec<u8>,
    /// Whether an adapter was opened that has to be closed.
    adapter: bool,
    answer: Answer,
    /// For an adapter; a node at the other end of the line takes frames as fast as the line does.
    pacer: Option<Pacer>,
    bit_rates: BitRates,
    opened: Instant,
    /// Whether the adapter refused the frame that was written last.
    write_again: bool,
}

/// To which write the next answer of an adapter belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Answer {
    #[default]
    OfFrames,
    /// The command that was written last.
    Awaited,
    Came(bool),
}

impl fmt::Debug for Slcan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slcan").field("adapter", &self.adapter).finish_non_exhaustive()
    }
}

/// On Unix `NoDevice` means that another program holds the port, and a missing one is `NotFound`.
fn unopened(error: tokio_serial::Error) -> io::Error {
    if cfg!(unix) && error.kind == tokio_serial::ErrorKind::NoDevice {
        return io::Error::new(io::ErrorKind::ResourceBusy, "another program uses this port");
    }
    error.into()
}

impl Slcan {
    pub(crate) async fn open(address: &SlcanAddress) -> io::Result<Self> {
        let stream: Box<dyn SlcanStream> = match &address.peer {
            SlcanPeer::Serial { path, baud } => {
                Box::new(tokio_serial::new(path, *baud).open_native_async().map_err(unopened)?)
            }
            SlcanPeer::Tcp(host) => {
                let stream = TcpStream::connect(host).await?;
                // Frames are small and each may be waited for.
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            #[cfg(unix)]
            SlcanPeer::Unix(path) => Box::new(UnixStream::connect(path).await?),
            #[cfg(not(unix))]
            SlcanPeer::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let is_serial = matches!(address.peer, SlcanPeer::Serial { .. });
        match address.speed {
            // The other end of such a line is a node, which knows none of these commands.
            None if !is_serial => Ok(Self::over(stream)),
            speed => Self::over_adapter(stream, speed, address.data).await,
        }
    }

    /// Opens the channel of an adapter. Without a bit rate it listens for one first, since a wrong one disturbs the bus.
    pub(crate) async fn over_adapter(
        stream: Box<dyn SlcanStream>,
        speed: Option<SlcanSpeed>,
        data: Option<SlcanDataSpeed>,
    ) -> io::Result<Self> {
        let mut bus = Self::over(stream);
        bus.adapter = true;
        let speed = match speed {
            Some(speed) => speed,
            None => bus.listen_for_speed().await?,
        };
        // A channel that was left open refuses a bit rate; a refusal to close one that is not open is none.
        bus.command("C\r").await?;
        let set_data = data.map(|data| (format!("Y{}\r", data.digit()), format!("the data bit rate {data}")));
        let commands = [
            Some((format!("S{}\r", speed.digit()), format!("the bit rate {speed}"))),
            set_data,
            Some(("O\r".to_owned(), format!("to open at {speed}"))),
        ];
        for (command, what) in commands.into_iter().flatten() {
            if bus.command(&command).await? == Some(false) {
                let what = format!("the adapter refuses {what} (command {})", command.trim_end());
                return Err(io::Error::other(what));
            }
        }
        let data_rate = data.map(SlcanDataSpeed::bit_rate);
        bus.pacer = Some(Pacer::new(speed.bit_rate(), data_rate));
        bus.bit_rates = BitRates { nominal: Some(speed.bit_rate()), data: data_rate };
        bus.opened = Instant::now();
        Ok(bus)
    }

    async fn listen_for_speed(&mut self) -> io::Result<SlcanSpeed> {
        for speed in LISTENING_ORDER.into_iter().filter_map(SlcanSpeed::of_digit) {
            self.command("C\r").await?;
            self.command(&format!("S{}\r", speed.digit())).await?;
            if self.command("L\r").await? == Some(false) {
                let what = "the adapter cannot listen for the bit rate of its bus; name it, e.g. ?speed=500k";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            self.frames.clear();
            let until = Instant::now() + LISTENING_TIME;
            while self.frames.is_empty() && self.read_until(until).await.map_err(as_io)? {}
            if !self.frames.is_empty() {
                self.frames.clear();
                return Ok(speed);
            }
        }
        self.command("C\r").await?;
        let what = "no traffic tells the bit rate of the bus; name it, e.g. ?speed=500k";
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }

    /// The answer of an adapter to a command; `None`: some adapters send none.
    async fn command(&mut self, command: &str) -> io::Result<Option<bool>> {
        self.unsent.extend_from_slice(command.as_bytes());
        let outcome = async {
            self.flush().await?;
            self.answer = Answer::Awaited;
            let until = Instant::now() + ANSWER_LIMIT;
            while self.answer == Answer::Awaited && self.read_until(until).await? {}
            Ok(match std::mem::take(&mut self.answer) {
                Answer::Came(accepted) => Some(accepted),
                Answer::Awaited | Answer::OfFrames => None,
            })
        };
        outcome.await.map_err(as_io)
    }

    pub(crate) fn over(stream: Box<dyn SlcanStream>) -> Self {
        Self {
            stream,
            decoder: Decoder::new(),
            frames: VecDeque::new(),
            unsent: Vec::with_capacity(MAX_LINE_LEN),
            adapter: false,
            answer: Answer::OfFrames,
            pacer: None,
            bit_rates: BitRates::default(),
            opened: Instant::now(),
            write_again: false,
        }
    }

    pub(crate) const fn bit_rates(&self) -> BitRates {
        self.bit_rates
    }

    /// Frames that the adapter refused to take.
    pub(crate) fn refused_frames(&self) -> u64 {
        self.pacer.as_ref().map_or(0, Pacer::refused_frames)
    }

    /// How many frames the adapter seems to hold, if it drops those that follow without saying so.
    pub(crate) fn drops_after(&self) -> Option<u32> {
        self.pacer.as_ref().and_then(Pacer::drops_after)
    }

    /// Whether a message has passed whole, and how many of its frames were sent, for an adapter that does not say itself what it drops.
    pub(crate) fn message(&mut self, passed: bool, frames: u32) {
        if let Some(pacer) = &mut self.pacer {
            pacer.message(passed, frames);
        }
    }

    /// Waits until the bus has taken what was written to an adapter, by its bit rate, or, if that ends it, until a frame
    /// of another node has come. Frames that come are held for [`recv`](Self::recv).
    pub(crate) async fn left(&mut self, frame_ends_it: bool) -> Result<Left, BusError> {
        while let Some(wait) = self.pacer.as_ref().and_then(|pacer| pacer.queued(self.opened.elapsed())) {
            if frame_ends_it && !self.frames.is_empty() {
                return Ok(Left::Heard);
            }
            self.read_until(Instant::now() + wait).await?;
        }
        Ok(Left::All)
    }

    pub(crate) async fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        let give_up_at = Instant::now() + Duration::from_micros(N_A_US);
        // The rest of a dropped send goes first, so that lines stay whole.
        self.flush().await?;
        loop {
            self.pass_gate(frame).await?;
            self.unsent.extend_from_slice(encode(frame, &mut [0; MAX_LINE_LEN]));
            self.flush().await?;
            let now = self.opened.elapsed();
            let Some(pacer) = &mut self.pacer else { return Ok(()) };
            pacer.written(frame, now);
            if !pacer.is_lockstep() {
                return Ok(());
            }
            // One at a time: a frame that is refused is written again in its place.
            self.write_again = false;
            self.await_answer().await?;
            if !self.write_again {
                return Ok(());
            }
            if Instant::now() >= give_up_at {
                return Err(BusError::Stuck);
            }
        }
    }

    /// Waits until the adapter has room.
    async fn pass_gate(&mut self, frame: &Frame) -> Result<(), BusError> {
        while let Some(pacer) = &self.pacer {
            match pacer.gate(frame, self.opened.elapsed()) {
                Gate::Open => break,
                Gate::After(wait) => {
                    let until = Instant::now() + wait;
                    while self.read_until(until).await? {}
                }
                Gate::Answer => self.await_answer().await?,
            }
        }
        Ok(())
    }

    /// Waits until one more frame is answered, or is not to be any more.
    async fn await_answer(&mut self) -> Result<(), BusError> {
        let until = Instant::now() + ANSWER_LIMIT;
        let before = self.pacer.as_ref().map(Pacer::unanswered);
        while self.pacer.as_ref().map(Pacer::unanswered) == before {
            if !self.read_until(until).await?
                && let Some(pacer) = &mut self.pacer
            {
                pacer.answer_lost();
                break;
            }
        }
        Ok(())
    }

    /// Reads what has come; `false` when nothing has by then.
    async fn read_until(&mut self, until: Instant) -> Result<bool, BusError> {
        if self.frames.len() >= MAX_HELD_FRAMES {
            sleep_until(until).await;
            return Ok(false);
        }
        match timeout_at(until, poll_fn(|cx| self.poll_read(cx))).await {
            Ok(read) => read.map(|()| true),
            Err(_elapsed) => Ok(false),
        }
    }

    pub(crate) async fn recv(&mut self) -> Result<Frame, BusError> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            poll_fn(|cx| self.poll_read(cx)).await?;
        }
    }

    async fn flush(&mut self) -> Result<(), BusError> {
        while !self.unsent.is_empty() {
            poll_fn(|cx| self.poll_write(cx)).await?;
        }
        Ok(())
    }

    /// Writes, and reads while it cannot write: two ends that only write would block each other without end.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BusError>> {
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, &self.unsent) {
            return Poll::Ready(match written {
                Ok(0) => Err(BusError::Closed),
                Ok(len) => {
                    self.unsent.drain(..len);
                    Ok(())
                }
                Err(error) => Err(error.into()),
            });
        }
        if self.frames.len() < MAX_HELD_FRAMES { self.poll_read(cx) } else { Poll::Pending }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BusError>> {
        let mut bytes = [0; READ_LEN];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(BusError::Closed));
        }
        for &byte in buffer.filled() {
            match self.decoder.push_line(byte) {
                Some(Line::Frame(frame)) => self.frames.push_back(frame),
                Some(Line::Accepted) => self.answered(true),
                Some(Line::Refused) => self.answered(false),
                None => {}
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Slcan {
    fn answered(&mut self, accepted: bool) {
        if self.answer != Answer::OfFrames {
            self.answer = Answer::Came(accepted);
        } else if let Some(pacer) = &mut self.pacer {
            if accepted {
                pacer.accepted();
            } else {
                self.write_again = pacer.refused(self.opened.elapsed());
            }
        }
    }
}

fn as_io(error: BusError) -> io::Error {
    match error {
        BusError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// Closes the adapter's channel as far as it takes bytes right now.
impl Drop for Slcan {
    fn drop(&mut self) {
        if self.adapter {
            self.unsent.extend_from_slice(CLOSE);
            let mut cx = Context::from_waker(Waker::noop());
            while let Poll::Ready(Ok(len @ 1..)) =
                Pin::new(&mut self.stream).poll_write(&mut cx, &self.unsent)
            {
                self.unsent.drain(..len);
                if self.unsent.is_empty() {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
