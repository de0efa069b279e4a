//! A CAN interface of the Linux kernel (CAN_RAW; Documentation/networking/can.rst).
//!
//! The queue of an interface is short, and a frame too many is refused (ENOBUFS) rather than waited for. So the
//! socket is given a send buffer that is smaller than the queue: the kernel then says EAGAIN, which can be polled.

use std::io;
use std::time::Duration;

use socketcan::{
    CanAnyFrame, CanDataFrame, CanFdFrame, CanRemoteFrame, EmbeddedFrame, ExtendedId, Id as KernelId,
    SocketOptions, StandardId, id::FdFlags, tokio::CanFdSocket,
};
use tokio::time::{Instant, sleep};
use update_protocol::can::{Frame, Id};
use update_protocol::isotp::N_A_US;

use crate::address::SocketCanAddress;
use crate::bus::BusError;

/// The kernel raises this to its least, about six frames.
const SEND_BUFFER_LEN: i32 = 1;
const RECEIVE_BUFFER_LEN: i32 = 4 * 1024 * 1024;
/// How long a full queue of the interface is left alone.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(crate) struct SocketCan {
    socket: CanFdSocket,
}

impl SocketCan {
    pub(crate) fn open(address: &SocketCanAddress) -> io::Result<Self> {
        let socket = CanFdSocket::open(&address.interface)?;
        socket.set_socket_option_int(libc::SOL_SOCKET, libc::SO_SNDBUF, SEND_BUFFER_LEN)?;
        socket.set_socket_option_int(libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER_LEN)?;
        // Other programs of this machine see our frames; this socket does not.
        socket.set_loopback(true)?;
        socket.set_recv_own_msgs(false)?;
        socket.set_error_filter_drop_all()?;
        Ok(Self { socket })
    }

    pub(crate) async fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        let frame = kernel_frame(frame).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let give_up_at = Instant::now() + Duration::from_micros(N_A_US);
        loop {
            let write = self.socket.write_frame(&frame);
            match tokio::time::timeout_at(give_up_at, write).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    if Instant::now() >= give_up_at {
                        return Err(BusError::Stuck);
                    }
                    sleep(FULL_QUEUE_PAUSE).await;
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_elapsed) => return Err(BusError::Stuck),
            }
        }
    }

    pub(crate) async fn recv(&mut self) -> Result<Frame, BusError> {
        loop {
            let frame = self.socket.read_frame().await?;
            if let Some(frame) = our_frame(&frame) {
                return Ok(frame);
            }
        }
    }
}

fn kernel_frame(frame: &Frame) -> Option<CanAnyFrame> {
    let id: KernelId = match frame.id() {
        Id::Standard(id) => StandardId::new(id)?.into(),
        Id::Extended(id) => ExtendedId::new(id)?.into(),
    };
    Some(if frame.is_fd() {
        let flags = if frame.brs() { FdFlags::BRS } else { FdFlags::empty() };
        CanFdFrame::with_flags(id, frame.data(), flags)?.into()
    } else if frame.is_remote() {
        CanRemoteFrame::new_remote(id, frame.announced_len())?.into()
    } else {
        CanDataFrame::new(id, frame.data())?.into()
    })
}

/// `None` for error frames.
fn our_frame(frame: &CanAnyFrame) -> Option<Frame> {
    let id = |id: KernelId| match id {
        KernelId::Standard(id) => Id::Standard(id.as_raw()),
        KernelId::Extended(id) => Id::Extended(id.as_raw()),
    };
    match frame {
        CanAnyFrame::Normal(frame) => Frame::new(id(frame.id()), frame.data()).ok(),
        CanAnyFrame::Remote(frame) => Frame::new_remote(id(frame.id()), frame.dlc()).ok(),
        CanAnyFrame::Fd(frame) => Frame::new_fd(id(frame.id()), frame.data(), frame.is_brs()).ok(),
        CanAnyFrame::Error(_) => None,
    }
}

#[cfg(test)]
mod tests;
