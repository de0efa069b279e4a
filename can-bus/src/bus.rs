//! One bus of any kind.

use std::io;

use update_protocol::can::Frame;

use crate::address::{BusAddress, SlcanDataSpeed, SlcanSpeed};
use crate::slcan::{Slcan, SlcanStream};
#[cfg(target_os = "linux")]
use crate::socketcan::SocketCan;
use crate::udp_multicast::UdpMulticast;

/// Why a bus does not open, send or receive.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// It cannot be opened.
    #[error("cannot open the bus {address}: {source}")]
    Open {
        /// Which one.
        address: BusAddress,
        /// Why.
        source: io::Error,
    },
    /// It failed.
    #[error("the bus failed: {0}")]
    Io(#[from] io::Error),
    /// The peer is gone.
    #[error("the other end of the bus is closed")]
    Closed,
    /// The frame is CAN FD and the bus was opened without `?fd`.
    #[error("the bus was opened without CAN FD (add ?fd to its address)")]
    FdNotEnabled,
    /// The bus takes no frames: nobody acknowledges, or it is overloaded.
    #[error("the bus took no frame for a second: nobody acknowledges, or it is overloaded")]
    Stuck,
    /// There is no such bus on this operating system.
    #[error("there is no {0} bus on this operating system")]
    Unsupported(&'static str),
}

/// Bit rates of a bus, bit/s, as far as they are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BitRates {
    /// Of classic frames, and of the arbitration of CAN FD frames.
    pub nominal: Option<u32>,
    /// Of the data of CAN FD frames.
    pub data: Option<u32>,
}

/// How a wait for frames to leave ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    /// They have left, as far as this bus tells.
    All,
    /// Another node has said something first.
    Heard,
}

/// An open bus. Frames that were sent with it are not received with it.
#[derive(Debug)]
pub struct Bus {
    transport: Transport,
    fd: bool,
}

#[derive(Debug)]
enum Transport {
    UdpMulticast(Box<UdpMulticast>),
    Slcan(Box<Slcan>),
    #[cfg(target_os = "linux")]
    SocketCan(SocketCan),
}

impl Bus {
    /// Opens a bus.
    ///
    /// # Errors
    /// [`BusError::Open`], [`BusError::Unsupported`]
    pub async fn open(address: &BusAddress) -> Result<Self, BusError> {
        let cannot = |source| BusError::Open { address: address.clone(), source };
        let transport = match address {
            BusAddress::UdpMulticast(udp) => {
                Transport::UdpMulticast(Box::new(UdpMulticast::open(udp).map_err(cannot)?))
            }
            BusAddress::Slcan(slcan) => Transport::Slcan(Box::new(Slcan::open(slcan).await.map_err(cannot)?)),
            #[cfg(target_os = "linux")]
            BusAddress::SocketCan(can) => Transport::SocketCan(SocketCan::open(can).map_err(cannot)?),
            #[cfg(not(target_os = "linux"))]
            BusAddress::SocketCan(_) => return Err(BusError::Unsupported("socketcan")),
        };
        Ok(Self { transport, fd: address.is_fd() })
    }

    /// A bus over a stream of slcan lines, without the commands that open an adapter: two ends of
    /// `tokio::io::duplex` are a bus within a process.
    #[must_use]
    pub fn over_slcan_stream(stream: Box<dyn SlcanStream>, fd: bool) -> Self {
        Self { transport: Transport::Slcan(Box::new(Slcan::over(stream))), fd }
    }

    /// An slcan adapter at the other end of a stream, opened as [`BusAddress::Slcan`] says.
    ///
    /// # Errors
    /// Those of the stream; the adapter refuses, or no traffic tells the bit rate.
    pub async fn over_slcan_adapter(
        stream: Box<dyn SlcanStream>,
        speed: Option<SlcanSpeed>,
        data: Option<SlcanDataSpeed>,
        fd: bool,
    ) -> std::io::Result<Self> {
        let slcan = Slcan::over_adapter(stream, speed, data).await?;
        Ok(Self { transport: Transport::Slcan(Box::new(slcan)), fd })
    }

    /// A CAN interface that is not the kernel's.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) fn over_socketcan(can: SocketCan) -> Self {
        Self { transport: Transport::SocketCan(can), fd: false }
    }

    /// Frames that an adapter refused because its queue was full.
    #[must_use]
    pub fn refused_frames(&self) -> u64 {
        match &self.transport {
            Transport::Slcan(bus) => bus.refused_frames(),
            Transport::UdpMulticast(_) => 0,
            #[cfg(target_os = "linux")]
            Transport::SocketCan(_) => 0,
        }
    }

    /// The bit rates: those that an adapter was opened at, and those that the kernel reports of an interface.
    #[must_use]
    pub fn bit_rates(&self) -> BitRates {
        match &self.transport {
            Transport::Slcan(bus) => bus.bit_rates(),
            Transport::UdpMulticast(_) => BitRates::default(),
            #[cfg(target_os = "linux")]
            Transport::SocketCan(bus) => bus.bit_rates(),
        }
    }

    /// Whether [`left`](Self::left) tells when frames leave the controller.
    pub(crate) fn confirms(&self) -> bool {
        match &self.transport {
            Transport::UdpMulticast(_) | Transport::Slcan(_) => false,
            #[cfg(target_os = "linux")]
            Transport::SocketCan(bus) => bus.confirms(),
        }
    }

    /// Waits until the frames that were sent have left, as far as this bus tells.
    pub(crate) async fn left(&mut self) -> Result<(), BusError> {
        self.wait_to_leave(false).await.map(|_| ())
    }

    /// The same, but a frame of another node ends it; [`recv`](Self::recv) gives it then.
    pub(crate) async fn left_or_heard(&mut self) -> Result<Left, BusError> {
        self.wait_to_leave(true).await
    }

    async fn wait_to_leave(&mut self, frame_ends_it: bool) -> Result<Left, BusError> {
        match &mut self.transport {
            Transport::UdpMulticast(_) => Ok(Left::All),
            Transport::Slcan(bus) => bus.left(frame_ends_it).await,
            #[cfg(target_os = "linux")]
            Transport::SocketCan(bus) => bus.left(frame_ends_it).await,
        }
    }

    /// How many frames an adapter that answers nothing seems to hold, if it drops those that follow: with one more ahead
    /// frames were lost at once, again and again, and with so many none.
    #[must_use]
    pub fn drops_after(&self) -> Option<u32> {
        match &self.transport {
            Transport::Slcan(bus) => bus.drops_after(),
            Transport::UdpMulticast(_) => None,
            #[cfg(target_os = "linux")]
            Transport::SocketCan(_) => None,
        }
    }

    /// Tells the bus whether a message has passed whole, and how many of its frames were sent: what has no other sign of
    /// a full queue is paced by that.
    pub(crate) fn message(&mut self, passed: bool, frames: u32) {
        match &mut self.transport {
            Transport::Slcan(bus) => bus.message(passed, frames),
            Transport::UdpMulticast(_) => {}
            #[cfg(target_os = "linux")]
            Transport::SocketCan(_) => {}
        }
    }

    /// Whether CAN FD frames may be sent.
    #[must_use]
    pub const fn is_fd(&self) -> bool {
        self.fd
    }

    /// Sends a frame; returns when the operating system has taken it. If the future is dropped, the frame may or
    /// may not be sent, but never half of it.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        if frame.is_fd() && !self.fd {
            return Err(BusError::FdNotEnabled);
        }
        match &mut self.transport {
            Transport::UdpMulticast(bus) => bus.send(frame).await,
            Transport::Slcan(bus) => bus.send(frame).await,
            #[cfg(target_os = "linux")]
            Transport::SocketCan(bus) => bus.send(frame).await,
        }
    }

    /// The next frame of another node. If the future is dropped, no frame is lost. Stray datagrams, noise on a serial
    /// line and error frames are skipped.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn recv(&mut self) -> Result<Frame, BusError> {
        match &mut self.transport {
            Transport::UdpMulticast(bus) => bus.recv().await,
            Transport::Slcan(bus) => bus.recv().await,
            #[cfg(target_os = "linux")]
            Transport::SocketCan(bus) => bus.recv().await,
        }
    }
}
