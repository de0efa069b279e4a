//! slcan over a stream: a serial adapter, a TCP or Unix socket, another node (lines: `update_protocol::slcan`).

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_serial::SerialPortBuilderExt;
use update_protocol::can::Frame;
use update_protocol::slcan::{Decoder, MAX_LINE_LEN, encode};

use crate::address::{SlcanAddress, SlcanPeer};
use crate::bus::BusError;

/// Frames that are held while nobody takes them; reading stops there, and the peer has to wait.
const MAX_HELD_FRAMES: usize = 4096;
const READ_LEN: usize = 4096;
/// Closes the channel of an adapter.
const CLOSE: &[u8] = b"C\r";

/// What lines can travel on.
pub trait SlcanStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> SlcanStream for S {}

pub(crate) struct Slcan {
    stream: Box<dyn SlcanStream>,
    decoder: Decoder,
    frames: VecDeque<Frame>,
    /// What is still to be written of a line.
    unsent: Vec<u8>,
    /// Whether an adapter was opened that has to be closed.
    adapter: bool,
}

impl fmt::Debug for Slcan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slcan").field("adapter", &self.adapter).finish_non_exhaustive()
    }
}

impl Slcan {
    pub(crate) async fn open(address: &SlcanAddress) -> io::Result<Self> {
        let stream: Box<dyn SlcanStream> = match &address.peer {
            SlcanPeer::Serial { path, baud } => Box::new(tokio_serial::new(path, *baud).open_native_async()?),
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
        let mut bus = Self::over(stream);
        bus.adapter = true;
        // A channel that was left open refuses a bit rate; an acknowledgement is not waited for, because a node
        // that is no adapter gives none.
        bus.unsent.extend_from_slice(CLOSE);
        bus.unsent.extend_from_slice(format!("S{}\rO\r", address.speed).as_bytes());
        bus.flush().await.map_err(|error| match error {
            BusError::Io(error) => error,
            other => io::Error::other(other),
        })?;
        Ok(bus)
    }

    pub(crate) fn over(stream: Box<dyn SlcanStream>) -> Self {
        Self {
            stream,
            decoder: Decoder::new(),
            frames: VecDeque::new(),
            unsent: Vec::with_capacity(MAX_LINE_LEN),
            adapter: false,
        }
    }

    pub(crate) async fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        // What a dropped send left goes first, so that lines stay whole.
        self.flush().await?;
        self.unsent.extend_from_slice(encode(frame, &mut [0; MAX_LINE_LEN]));
        self.flush().await
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

    /// Writes, and reads while writing has to wait: two ends that only wrote would wait for each other for ever.
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
        self.frames.extend(buffer.filled().iter().filter_map(|&byte| self.decoder.push(byte)));
        Poll::Ready(Ok(()))
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
