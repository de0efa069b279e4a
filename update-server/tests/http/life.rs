//! Starting, stopping, and what ends in between.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use trust::author::Signer as _;

use crate::harness::*;

#[tokio::test]
async fn it_stops_at_once_when_nothing_is_under_way() {
    let world = World::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = world.start();
        server.get("/v1/health").await.is(200);
        let idle = server.connect();
        server.signal(signal);
        let status = server.wait(Duration::from_secs(10)).expect("it stops");
        assert_eq!(status.code(), Some(0), "{}", server.log());
        drop(idle);
    }
    // SQLite has put its log away.
    assert!(!world.data().join("registry.sqlite-wal").exists());
    assert_eq!(world.data().metadata().unwrap().mode() & 0o777, 0o700);
}

/// An answer has a date, and no date is before 1970.
#[test]
fn a_clock_before_1970_is_refused_at_the_start() {
    let world = World::new();
    let (source, library) = (world.path("clock.c"), world.path("clock.so"));
    fs::write(
        &source,
        "#include <sys/syscall.h>\n#include <time.h>\n#include <unistd.h>\n\
         int clock_gettime(clockid_t clock, struct timespec *time) {\n\
             long result = syscall(SYS_clock_gettime, clock, time);\n\
             if (clock == CLOCK_REALTIME) time->tv_sec = -1;\n\
             return (int)result;\n}\n",
    )
    .unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-D_GNU_SOURCE", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(gcc.status().unwrap().success());
    let mut command = world.command(&[]);
    command.env("LD_PRELOAD", &library);
    let (code, said) = fail(command);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("error: the clock is before 1970\nhint: set the clock"), "{said}");
}

/// Begins a download of `image` and reads the head of the answer only.
fn begin_download(server: &Server, image: &[u8]) -> (std::net::TcpStream, Vec<u8>) {
    let mut stream = server.connect();
    write!(stream, "GET /v1/images/{} HTTP/1.1\r\nHost: x\r\n\r\n", sha256(image)).unwrap();
    let mut start = vec![0; 1000];
    stream.read_exact(&mut start).unwrap();
    let head = start.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    (stream, start.split_off(head))
}

#[tokio::test]
async fn a_download_under_way_is_finished_before_it_stops() {
    let world = World::new();
    let mut server = world.start();
    // More than all the buffers on the way hold.
    let image = image(1, 24 << 20);
    server.put_image(&image).await;
    let (mut stream, mut got) = begin_download(&server, &image);

    server.signal(Signal::SIGTERM);
    eventually("the end of listening", || std::net::TcpStream::connect(&server.address).is_err());
    assert!(server.wait(Duration::from_millis(500)).is_none(), "the download is not over");
    stream.read_to_end(&mut got).unwrap();
    assert!(got == image, "{} of {} bytes", got.len(), image.len());
    assert_eq!(server.wait(Duration::from_secs(10)).unwrap().code(), Some(0));
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off() {
    let world = World::new();
    let mut server = world.start_with(&["--shutdown-seconds", "1"]);
    let image = image(1, 24 << 20);
    server.put_image(&image).await;
    let (_stream, _) = begin_download(&server, &image);
    let started = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait(Duration::from_secs(10)).expect("it stops").code(), Some(0));
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let world = World::new();
    let mut server = world.start_with(&["--shutdown-seconds", "600"]);
    let image = image(1, 24 << 20);
    server.put_image(&image).await;
    let (_stream, _) = begin_download(&server, &image);
    server.signal(Signal::SIGTERM);
    eventually("the end of listening", || std::net::TcpStream::connect(&server.address).is_err());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait(Duration::from_secs(10)).expect("it stops").code(), Some(0));
}

#[tokio::test]
async fn killed_in_the_middle_of_an_upload_it_starts_clean() {
    let world = World::new();
    let mut server = world.start();
    let key = release_key(&world.root);
    let kept = image(1, 100_000);
    server.publish(&kept, &envelope(&kept, 1, &key)).await.is(201);

    let cut = image(2, 16 << 20);
    let mut stream = server.connect();
    write!(
        stream,
        "PUT /v1/images/{} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n",
        sha256(&cut),
        bearer(),
        cut.len()
    )
    .unwrap();
    stream.write_all(&cut[..12 << 20]).unwrap();
    eventually("the upload", || world.image_files().len() == 2);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert!(world.image_files().iter().any(|name| name.contains('#')), "it was cut off in the middle");

    let server = world.start();
    assert_eq!(world.image_files(), [sha256(&kept)]);
    server.get(&format!("/v1/images/{}", sha256(&cut))).await.is_problem(404, "image-unknown");
    assert!(server.get(&format!("/v1/images/{}", sha256(&kept))).await.body == kept);
    assert_eq!(server.listed().await, [1]);
    server.put_image(&cut).await;
}

#[tokio::test]
async fn what_was_answered_with_201_outlives_a_kill() {
    let world = World::new();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    for round in 1..=5 {
        let mut server = world.start();
        server.publish(&image, &envelope(&image, round, &key)).await.is(201);
        server.put("/v1/revocations", revocation(&world.root, round, &[])).await;
        server.child.kill().unwrap();
        server.child.wait().unwrap();
    }
    let server = world.start();
    assert_eq!(server.listed().await, [5, 4, 3, 2, 1]);
    assert_eq!(server.get("/v1/revocations").await.json()["revocations"][0]["list_sequence"], 5);
}

#[tokio::test]
async fn one_server_a_data_directory() {
    let world = World::new();
    let server = world.start();
    let (code, said) = world.fail(&[]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("in use by another update-server"), "{said}");
    assert!(said.contains(&format!("process {}", server.child.id())), "{said}");
    server.get("/v1/health").await.is(200);
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_what_to_do() {
    let world = World::new();
    let private = world.path("root.pem");
    fs::write(&private, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n")
        .unwrap();
    let (code, said) = world.fail(&["--anchor", private.to_str().unwrap()]);
    assert!(code == 4 && said.contains("private key"), "{code} {said}");
    let (code, said) = world.fail(&["--anchor", "/does/not/exist"]);
    assert!(code == 4 && said.contains("/does/not/exist"), "{code} {said}");
    let (code, said) = world.fail(&["--log", "a=b=c"]);
    assert!(code == 2 && said.contains("--log"), "{code} {said}");
    let mut nothing = std::process::Command::new(env!("CARGO_BIN_EXE_update-server"));
    nothing.env_clear().arg("serve");
    let (code, said) = fail(nothing);
    assert_eq!(code, 2);
    for missing in ["--data", "--anchor", "--token-file"] {
        assert!(said.contains(missing), "{said}");
    }
    let (code, said) = world.fail(&["--no-such-option"]);
    assert!(code == 2 && said.contains("--no-such-option"), "{code} {said}");

    set_mode(&world.token_file(), 0o644);
    let (code, said) = world.fail(&[]);
    assert!(
        code == 4 && said.contains("everybody on this machine") && said.contains("chmod 600"),
        "{code} {said}"
    );
    assert!(!said.contains(TOKEN));
    set_mode(&world.token_file(), 0o600);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_update-server"));
    command.env_clear().args(["serve", "--listen", &address, "--data"]).arg(world.data());
    command.arg("--anchor").arg(world.anchor_file()).arg("--token-file").arg(world.token_file());
    let (code, said) = fail(command);
    assert!(code == 3 && said.contains(&address), "{code} {said}");

    let database = world.data().join("registry.sqlite");
    fs::rename(&database, world.path("moved")).unwrap();
    fs::create_dir(&database).unwrap();
    let (code, said) = world.fail(&[]);
    assert!(
        code == 3 && said.contains("registry.sqlite: it is a folder") && said.contains("hint:"),
        "{code} {said}"
    );
    fs::remove_dir(&database).unwrap();
    fs::rename(world.path("moved"), &database).unwrap();

    set_mode(&world.data(), 0o777);
    let (code, said) = world.fail(&[]);
    assert!(code == 3 && said.contains("writable by everybody"), "{code} {said}");
    set_mode(&world.data(), 0o755);
    world.start().get("/v1/health").await.is(200);
}

#[tokio::test]
async fn everything_can_come_from_the_environment() {
    let world = World::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_update-server"));
    command
        .env_clear()
        .arg("serve")
        .env("ANCHORAGE_SERVER_LISTEN", "localhost:0")
        .env("ANCHORAGE_SERVER_DATA", world.path("elsewhere"))
        .env("ANCHORAGE_SERVER_ANCHORS", world.anchor_file())
        .env("ANCHORAGE_SERVER_TOKEN_FILE", world.token_file())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut line = [0; 29];
    child.stdout.take().unwrap().read_exact(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with(b"listening on http://"));
    assert!(world.path("elsewhere/registry.sqlite").exists());
}

#[tokio::test]
async fn a_newer_database_and_a_damaged_list_keep_it_from_starting() {
    let world = World::new();
    let server = world.start();
    let list = revocation(&world.root, 1, &[]);
    server.put("/v1/revocations", list).await.is(201);
    drop(server);

    world.change_database("UPDATE revocation_lists SET bytes = x'00'").await;
    let (code, said) = world.fail(&[]);
    let kid = hex::encode(world.root.public_key().kid().0);
    assert!(code == 5 && said.contains(&kid) && said.contains("hint:"), "{code} {said}");
    world.change_database("DELETE FROM revocation_lists").await;
    world.start().get("/v1/health").await.is(200);

    world
        .change_database(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (99, 'future', TRUE, x'00', 0)",
        )
        .await;
    let (code, said) = world.fail(&[]);
    assert!(code == 3 && said.contains("version 99"), "{code} {said}");
}

#[tokio::test]
async fn plain_http_beyond_loopback_is_warned_of() {
    let world = World::new();
    for (listen, warned) in [("127.0.0.1:0", false), ("0.0.0.0:0", true)] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_update-server"));
        command.env_clear().args(["serve", "--listen", listen, "--data"]).arg(world.data());
        command.arg("--anchor").arg(world.anchor_file()).arg("--token-file").arg(world.token_file());
        let log = world.path("log");
        let mut server = world.spawn(command, fs::File::create(&log).unwrap().into());
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait(Duration::from_secs(10)).unwrap().code(), Some(0));
        let log = fs::read_to_string(log).unwrap();
        assert_eq!(log.contains("tokens travel unencrypted"), warned, "{listen}: {log}");
    }
}
