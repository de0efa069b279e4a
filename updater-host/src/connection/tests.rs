use std::io::Read as _;
use std::os::unix::net::UnixListener;

use clap::Parser as _;

use super::*;

/// An adapter takes a second connection only when the first is closed, as a serial port does.
#[tokio::test]
async fn a_bus_is_closed_before_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter");
    let listener = UnixListener::bind(&path).unwrap();
    let (alone, is_alone) = std::sync::mpsc::channel();
    let adapter = std::thread::spawn({
        let path = path.clone();
        move || {
            let (mut first, _) = listener.accept().unwrap();
            drop(listener);
            std::fs::remove_file(&path).unwrap();
            alone.send(()).unwrap();
            let mut said = String::new();
            first.read_to_string(&mut said).unwrap();
            let listener = UnixListener::bind(&path).unwrap();
            let (mut second, _) = listener.accept().unwrap();
            let mut opened = [0; 7];
            second.read_exact(&mut opened).unwrap();
            (said, opened)
        }
    });
    let bus = format!("slcan:unix:{}?speed=1M", path.display());
    let cli = Cli::try_parse_from(["updater-host", "--bus", &bus, "scan"]).unwrap();
    let mut connection = Connection::open(&cli).await.unwrap();
    is_alone.recv().unwrap();
    let gone = || Trouble::Bus(BusError::Closed);
    // Until the adapter is there again it is closed, and says so.
    for _ in 0..2000 {
        if adapter.is_finished() {
            break;
        }
        connection.recover(&gone()).await;
        if connection.tester.is_none() {
            assert!(matches!(connection.tester(), Err(Trouble::Bus(BusError::Closed))));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(adapter.is_finished(), "it was never closed");
    let (said, opened) = adapter.join().unwrap();
    assert!(said.ends_with("O\rC\r"), "{said:?}");
    assert_eq!(&opened, b"C\rS8\rO\r");
}
