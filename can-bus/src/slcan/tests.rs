use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::timeout;
use update_protocol::can::Id;

use super::*;

fn frame(byte: u8) -> Frame {
    Frame::new(Id::Extended(0x18DA_10F1), &[byte; 8]).unwrap()
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(10), future).await.expect("took longer than ten seconds")
}

#[tokio::test]
async fn two_nodes_joined_directly_hear_each_other() {
    let (a, b) = duplex(64);
    let (mut a, mut b) = (Slcan::over(Box::new(a)), Slcan::over(Box::new(b)));
    soon(a.send(&frame(1))).await.unwrap();
    assert_eq!(soon(b.recv()).await.unwrap(), frame(1));
    soon(b.send(&frame(2))).await.unwrap();
    assert_eq!(soon(a.recv()).await.unwrap(), frame(2));
    drop(b);
    assert!(matches!(soon(a.recv()).await, Err(BusError::Closed)));
}

#[tokio::test]
async fn a_dropped_receive_loses_nothing() {
    let (near, mut far) = duplex(4096);
    let mut bus = Slcan::over(Box::new(near));
    for half in [&b"T18DA10F1"[..], b"80101010101"] {
        far.write_all(half).await.unwrap();
        assert!(timeout(Duration::from_millis(20), bus.recv()).await.is_err());
    }
    far.write_all(b"010101\rz\r\x07t1230\r").await.unwrap();
    assert_eq!(soon(bus.recv()).await.unwrap(), frame(1));
    assert_eq!(soon(bus.recv()).await.unwrap(), Frame::new(Id::Standard(0x123), &[]).unwrap());
}

#[tokio::test]
async fn a_dropped_send_leaves_no_half_line() {
    let (near, mut far) = duplex(10);
    let mut bus = Slcan::over(Box::new(near));
    assert!(timeout(Duration::from_millis(20), bus.send(&frame(1))).await.is_err(), "no room");
    let reader = tokio::spawn(async move {
        let mut text = String::new();
        far.read_to_string(&mut text).await.unwrap();
        text
    });
    soon(bus.send(&frame(2))).await.unwrap();
    drop(bus);
    assert_eq!(soon(reader).await.unwrap(), "T18DA10F180101010101010101\rT18DA10F180202020202020202\r");
}

/// Both ends write more than the line holds before they receive: without reading meanwhile, neither would end.
#[tokio::test]
async fn two_writers_do_not_wait_for_each_other_for_ever() {
    async fn talk(stream: tokio::io::DuplexStream) -> Result<(), BusError> {
        let mut bus = Slcan::over(Box::new(stream));
        for byte in 0..200 {
            bus.send(&frame(byte)).await?;
        }
        for byte in 0..200 {
            assert_eq!(bus.recv().await?, frame(byte));
        }
        Ok(())
    }
    let (a, b) = duplex(64);
    let (a, b) = soon(async { tokio::join!(talk(a), talk(b)) }).await;
    a.unwrap();
    b.unwrap();
}

fn speed(digit: u8) -> Option<SlcanSpeed> {
    Some(SlcanSpeed::of_digit(digit).unwrap())
}

#[tokio::test]
async fn an_adapter_is_opened_and_closed_over_tcp() {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = SlcanAddress {
        peer: SlcanPeer::Tcp(tcp.local_addr().unwrap().to_string()),
        speed: speed(6),
        data: None,
        fd: false,
    };
    let (bus, adapter) = soon(async {
        tokio::join!(Slcan::open(&address), async {
            let (mut adapter, _) = tcp.accept().await.unwrap();
            // Nothing was open that could be closed; the other commands are done.
            adapter.write_all(b"\x07\r\r").await.unwrap();
            adapter
        })
    })
    .await;
    let (mut bus, mut adapter) = (bus.unwrap(), adapter);
    soon(bus.send(&frame(1))).await.unwrap();
    // An acknowledgement, and the frame of another node.
    adapter.write_all(b"Z\rT18DA10F182222222222222222\r").await.unwrap();
    assert_eq!(soon(bus.recv()).await.unwrap(), frame(0x22));
    drop(bus);
    let mut text = String::new();
    soon(adapter.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "C\rS6\rO\rT18DA10F180101010101010101\rC\r");
}

#[tokio::test]
async fn a_line_without_an_adapter_is_told_no_commands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.sock");
    let unix = tokio::net::UnixListener::bind(&path).unwrap();
    let address = SlcanAddress { peer: SlcanPeer::Unix(path), speed: None, data: None, fd: false };
    let mut bus = soon(Slcan::open(&address)).await.unwrap();
    soon(bus.send(&frame(1))).await.unwrap();
    drop(bus);
    let (mut board, _) = soon(unix.accept()).await.unwrap();
    let mut text = String::new();
    soon(board.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "T18DA10F180101010101010101\r");
}

/// A pseudo terminal is as near to a serial device as a machine without one has it.
#[tokio::test]
async fn a_serial_device_is_opened_by_its_path() {
    use tokio_serial::{SerialPort as _, SerialStream};
    let (mut adapter, terminal) = SerialStream::pair().unwrap();
    let path = terminal.name().unwrap();
    let address = SlcanAddress {
        peer: SlcanPeer::Serial { path, baud: 115_200 },
        speed: speed(8),
        data: None,
        fd: false,
    };
    let mut bus = soon(Slcan::open(&address)).await.unwrap();
    soon(bus.send(&frame(7))).await.unwrap();
    let expected = b"C\rS8\rO\rT18DA10F180707070707070707\r";
    let mut text = vec![0; expected.len()];
    soon(adapter.read_exact(&mut text)).await.unwrap();
    assert_eq!(text, expected);
    adapter.write_all(b"\rT18DA10F180808080808080808\r").await.unwrap();
    assert_eq!(soon(bus.recv()).await.unwrap(), frame(8));
}

#[tokio::test]
async fn what_is_not_there_does_not_open() {
    let missing = SlcanPeer::Unix("/nonexistent/board.sock".into());
    assert!(
        soon(Slcan::open(&SlcanAddress { peer: missing, speed: speed(8), data: None, fd: false }))
            .await
            .is_err()
    );
    let missing = SlcanPeer::Serial { path: "/nonexistent/tty".into(), baud: 115_200 };
    assert!(
        soon(Slcan::open(&SlcanAddress { peer: missing, speed: speed(8), data: None, fd: false }))
            .await
            .is_err()
    );
}
