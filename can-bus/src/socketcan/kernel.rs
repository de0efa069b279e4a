//! The socket of the kernel.

use std::io;
use std::task::{Context, Poll, ready};

use socketcan::{
    CanAnyFrame, CanDataFrame, CanFdFrame, CanFdSocket, CanInterface, CanRemoteFrame, EmbeddedFrame,
    ExtendedId, Id as KernelId, Socket, SocketOptions, StandardId, id::FdFlags,
};
use tokio::io::unix::AsyncFd;
use update_protocol::can::{Frame, Id};

use super::{Facts, FrameSocket, Origin};
use crate::address::SocketCanAddress;
use crate::bus::BitRates;

/// The kernel raises this to its least, about six frames: a longer queue is of no use.
const SEND_BUFFER_LEN: i32 = 1;
const RECEIVE_BUFFER_LEN: i32 = 4 * 1024 * 1024;
/// `IFF_ECHO` of linux/if.h: the driver echoes a frame when it has left, and not when it was queued.
const IFF_ECHO: u32 = 1 << 18;
/// `CAN_BITRATE_UNKNOWN` of linux/can/netlink.h.
const UNKNOWN_BIT_RATE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct KernelSocket(AsyncFd<CanFdSocket>);

impl KernelSocket {
    pub(super) fn open(address: &SocketCanAddress) -> io::Result<(Self, Facts)> {
        let socket = CanFdSocket::open(&address.interface)?;
        socket.set_nonblocking(true)?;
        socket.set_socket_option_int(libc::SOL_SOCKET, libc::SO_SNDBUF, SEND_BUFFER_LEN)?;
        socket.set_socket_option_int(libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER_LEN)?;
        // Other programs of this machine see our frames, and this socket sees when they leave.
        socket.set_loopback(true)?;
        socket.set_recv_own_msgs(true)?;
        socket.set_error_filter_drop_all()?;
        #[expect(
            deprecated,
            reason = "the socket owns its descriptor, and `register` asks for no more; it is unsafe"
        )]
        let socket = AsyncFd::new(socket)?;
        Ok((Self(socket), facts(&address.interface)))
    }
}

impl FrameSocket for KernelSocket {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Option<Frame>, Origin)>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let read = ready.try_io(|socket| {
                let socket = socket.get_ref();
                // Only the flags; the frame stays for the next call, and nobody else reads from this socket.
                let (_, flags) = socket.as_raw_socket().recv_vectored_with_flags(&mut [], libc::MSG_PEEK)?;
                let origin = match (flags.is_confirm(), flags.is_dontroute()) {
                    (true, _) => Origin::ThisSocket,
                    (false, true) => Origin::ThisMachine,
                    (false, false) => Origin::Bus,
                };
                Ok((our_frame(&socket.read_frame()?), origin))
            });
            if let Ok(read) = read {
                return Poll::Ready(read);
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, frame: &Frame) -> Poll<io::Result<()>> {
        let frame = kernel_frame(frame).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(sent) = ready.try_io(|socket| socket.get_ref().write_frame(&frame)) {
                return Poll::Ready(sent);
            }
        }
    }
}

/// What the kernel says about an interface; anybody may ask.
fn facts(interface: &str) -> Facts {
    let known = |rate: u32| Some(rate).filter(|rate| ![0, UNKNOWN_BIT_RATE].contains(rate));
    let netlink = CanInterface::open(interface).ok();
    let nominal = netlink.as_ref().and_then(|interface| interface.bit_timing().ok().flatten());
    let data = netlink.as_ref().and_then(|interface| interface.data_bit_timing().ok().flatten());
    let bit_rates = BitRates {
        nominal: nominal.and_then(|timing| known(timing.bitrate)),
        data: data.and_then(|timing| known(timing.bitrate)),
    };
    let flags = std::fs::read_to_string(format!("/sys/class/net/{interface}/flags"));
    let flags =
        flags.ok().and_then(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok());
    Facts { bit_rates, driver_echoes: flags.is_some_and(|flags| flags & IFF_ECHO != 0) }
}

pub(super) fn kernel_frame(frame: &Frame) -> Option<CanAnyFrame> {
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
pub(super) fn our_frame(frame: &CanAnyFrame) -> Option<Frame> {
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
