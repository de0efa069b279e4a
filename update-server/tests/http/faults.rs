//! What the machine does to a server: a disk that is full, a log that takes nothing, a database that is gone.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use futures::stream::{self, StreamExt as _};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use trust::UnixTime;
use update_server::domain::unix_now;

use crate::harness::*;

fn facts(sequence: u64) -> String {
    json!({"vendor": uuid(VENDOR), "class": uuid(CLASS), "version": "1.0", "sequence": sequence}).to_string()
}

/// A server whose data directory is a file system of its own, of `mebibytes`, that nobody else sees.
fn start_on_a_small_disk(world: &World, mebibytes: u32) -> Server {
    fs::create_dir_all(world.data()).unwrap();
    let server = world.command(&[]);
    let mut command = Command::new("unshare");
    // Who is not root may mount in a user namespace of its own.
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "sh", "-ec"]);
    command.arg(format!("mount -t tmpfs -o size={mebibytes}m,mode=0700 small \"$0\"; exec \"$@\""));
    command.arg(world.data()).arg(server.get_program()).args(server.get_args());
    command.env_remove("ANCHORAGE_SERVER_LOG");
    world.spawn(command, fs::File::create(world.path("log")).unwrap().into())
}

/// A file in the data directory as the server sees it.
fn seen_by(server: &Server, world: &World, name: &str) -> PathBuf {
    let data = world.data();
    PathBuf::from(format!("/proc/{}/root", server.child.id()))
        .join(data.strip_prefix("/").unwrap())
        .join(name)
}

/// Fills the disk to its last byte.
fn fill(path: &PathBuf) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    for len in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0x5a; len]).is_ok() {}
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_all_writes_succeed_once_there_is_space() {
    let world = World::new();
    let server = start_on_a_small_disk(&world, 8);
    server.put("/v1/devices/A", facts(1)).await.is(201);
    let ballast = seen_by(&server, &world, "ballast");
    let small = image(1, 1000);

    for round in 0..3 {
        fill(&ballast);
        let writes = (1..41).map(|sequence| server.put("/v1/devices/A", facts(sequence)));
        let answers: Vec<_> = stream::iter(writes).buffer_unordered(8).collect().await;
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
        assert!(!refused.is_empty(), "the disk is not full");
        for answer in refused {
            answer.is_problem(507, "storage-full");
        }
        server
            .put(&format!("/v1/images/{}", sha256(&small)), small.clone())
            .await
            .is_problem(507, "storage-full");
        // What needs no space is served.
        server.get("/v1/devices/A").await.is(200);

        fs::remove_file(&ballast).unwrap();
        let writes = (1..51).map(|sequence| server.put("/v1/devices/A", facts(1000 * round + sequence)));
        let answers: Vec<_> = stream::iter(writes).buffer_unordered(8).collect().await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 50, "{answers:?}");
    }
    server.put_image(&small).await;
    assert!(!server.log().contains("panicked"));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_dropped_and_counted() {
    let world = World::new();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut server = world.spawn(world.command(&[]), full.into());
    server.put("/v1/devices/A", facts(1)).await.is(201);
    let before = server.memory();
    let long = format!("/{}", "a".repeat(30_000));
    for _ in 0..500 {
        server.get(&long).await.is_problem(404, "not-found");
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more after 500 requests of 30 KB");
    let lost = server.get("/v1/health").await.is(200).json()["log_lines_lost"].clone();
    assert!(lost.as_u64().unwrap() >= 500, "{lost}");
    server.put("/v1/devices/A", facts(2)).await.is(200);

    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(server.wait(std::time::Duration::from_secs(10)).unwrap().code(), Some(0));

    // Nor is a refusal to start a panic.
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = world.command(&["--anchor", "/does/not/exist"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(4));
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_nobody_up() {
    let world = World::new();
    let mut server = world.spawn(world.command(&[]), std::process::Stdio::piped());
    // More than the pipe and the queue before it take.
    for _ in 0..6000 / 8 {
        let gets = (0..8).map(|_| server.get("/nowhere"));
        for answer in futures::future::join_all(gets).await {
            answer.is(404);
        }
    }
    assert!(server.get("/v1/health").await.is(200).json()["log_lines_lost"].as_u64().unwrap() > 0);
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(server.wait(std::time::Duration::from_secs(10)).unwrap().code(), Some(0));
}

#[tokio::test]
async fn what_a_client_sends_is_cut_at_200_characters_and_logged_once() {
    let world = World::new();
    let server = world.start();
    let before = server.log().len();
    let long = "x".repeat(30_000);
    let query = format!("/v1/devices?{long}=1");
    for _ in 0..20 {
        server.get(&format!("/{long}")).await.is(404);
        let answer = server.get(&query).await;
        answer.is_problem(400, "request-malformed");
        assert!(answer.body.len() < 1000, "{}", answer.body.len());
    }
    let member = json!({"k".repeat(4000): 1}).to_string();
    server.put("/v1/devices/A", member).await.is_problem(400, "request-malformed");
    let log = server.log();
    assert!(log.len() - before < 41 * 700, "{} bytes for 41 requests", log.len() - before);
    assert!(log.contains(&"x".repeat(150)) && !log.contains(&"x".repeat(201)), "{log}");
    let lines = log.lines().filter(|line| line.contains(&"x".repeat(100))).count();
    assert_eq!(lines, 40, "one line a request");
}

/// The number of a table's first page.
async fn page_of(database: &Path, table: &'static str) -> u64 {
    let options = SqliteConnectOptions::new().filename(database);
    let mut connection = options.connect().await.unwrap();
    let page = sqlx::query_scalar::<_, i64>("SELECT rootpage FROM sqlite_schema WHERE name = $1");
    let page = page.bind(table).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    u64::try_from(page).unwrap()
}

#[tokio::test]
async fn liveness_is_apart_from_readiness_and_readiness_says_what_is_wrong() {
    // Answers are given again for a moment; each fault gets a server of its own, asked once.
    let world = World::new();
    let server = world.start();
    server.get("/v1/health").await.is(200);
    drop(server);

    // Moved away, and replaced by another.
    let database = world.data().join("registry.sqlite");
    let moved = world.data().join("moved.sqlite");
    let server = world.start();
    fs::rename(&database, &moved).unwrap();
    server.get("/v1/health").await.is_problem(503, "database-moved");
    server.get("/v1/live").await.is(200);
    drop(server);
    fs::rename(&moved, &database).unwrap();
    let server = world.start();
    fs::copy(&database, &moved).unwrap();
    fs::rename(&moved, &database).unwrap();
    server.get("/v1/health").await.is_problem(503, "database-moved");
    drop(server);

    // A page that no write touches: the one of an empty table.
    let server = world.start();
    let whole = fs::read(&database).unwrap();
    let page = page_of(&database, "release_events").await;
    let file = OpenOptions::new().write(true).open(&database).unwrap();
    file.write_all_at(&[0xa5; 4096], (page - 1) * 4096).unwrap();
    server.get("/v1/health").await.is_problem(503, "database-damaged");
    server.get("/v1/live").await.is(200);
    drop(server);
    fs::write(&database, whole).unwrap();

    // Images cannot be kept: their folder is gone.
    let server = world.start();
    fs::rename(world.data().join("images"), world.data().join("elsewhere")).unwrap();
    server.get("/v1/health").await.is_problem(503, "images-unwritable");
    drop(server);

    // A full disk, and space again.
    let world = World::new();
    let server = start_on_a_small_disk(&world, 8);
    let ballast = seen_by(&server, &world, "ballast");
    fill(&ballast);
    server.get("/v1/health").await.is_problem(503, "storage-full");
    server.get("/v1/live").await.is(200);
    fs::remove_file(&ballast).unwrap();
    let mut answer = server.get("/v1/health").await;
    for _ in 0..100 {
        if answer.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        answer = server.get("/v1/health").await;
    }
    assert_eq!(answer.is(200).json()["status"], "ok");
}

#[tokio::test]
async fn a_clock_that_is_behind_is_warned_of_in_log_and_readiness() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    server.publish(&image, &envelope(&image, 1, &key)).await.is(201);
    let warnings = async |server: &Server| server.get("/v1/health").await.is(200).json()["warnings"].clone();
    assert_eq!(warnings(&server).await, json!([]));
    let warned = |log: &str, what: &str| {
        log.lines()
            .any(|line| line.contains("WARN") && line.contains("the clock is before") && line.contains(what))
    };
    assert!(!warned(&server.log(), ""));
    drop(server);

    // As if the clock had been set back since.
    world.change_database("UPDATE envelopes SET published_at = published_at + 100000").await;
    let server = world.start();
    assert!(warned(&server.log(), "newest record"), "{}", server.log());
    let told = warnings(&server).await;
    assert_eq!((told.as_array().unwrap().len(), &told[0]["code"]), (1, &json!("clock")));
    assert!(told[0]["detail"].as_str().unwrap().contains("set the clock"), "{told}");
    drop(server);

    // As if the maker's clock were right, and the server's behind it.
    let world = World::new();
    let server = world.start();
    let late = release_key_with(&world.root, |request| request.issued_at = UnixTime(unix_now() + 100_000));
    server.publish(&image, &envelope(&image, 1, &late)).await.is(201);
    assert_eq!(warnings(&server).await[0]["code"], "clock");
    assert!(warned(&server.log(), "genuine credential"), "{}", server.log());
}

#[tokio::test]
async fn what_lies_in_the_way_of_an_image_is_said_with_a_code() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let (wanted, other) = (image(1, 1000), image(2, 1000));
    let digest = sha256(&wanted);
    let folder = world.data().join("images").join(&digest[..2]);
    let place = folder.join(&digest);
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("precious"), b"").unwrap();

    let path = format!("/v1/images/{digest}");
    server.get(&path).await.is_problem(503, "image-obstructed");
    server.put(&path, wanted.clone()).await.is_problem(503, "image-obstructed");
    server.post("/v1/releases", envelope(&wanted, 1, &key)).await.is_problem(503, "image-obstructed");
    assert_eq!(server.get("/v1/live").await.json()["damaged_images"], 1);
    let log = server.log();
    let named = |line: &str| line.contains("image-obstructed") && line.contains("is a folder");
    assert!(log.lines().any(|line| named(line) && line.contains(&digest)), "{log}");
    assert!(place.join("precious").exists());
    // Nobody else is hurt.
    server.publish(&other, &envelope(&other, 2, &key)).await.is(201);
    fs::rename(&place, world.path("moved")).unwrap();
    server.publish(&wanted, &envelope(&wanted, 1, &key)).await.is(201);
    assert_eq!(server.get("/v1/live").await.json()["damaged_images"], 0);

    // The place of a folder of images is that of each image in it.
    fs::rename(&folder, world.path("folder")).unwrap();
    fs::write(&folder, b"precious").unwrap();
    server.put(&path, wanted.clone()).await.is_problem(503, "image-obstructed");
    drop(server);
    world.start().get("/v1/health").await.is_problem(503, "images-unwritable");
    assert_eq!(fs::read(&folder).unwrap(), b"precious");
}

#[tokio::test]
async fn a_folder_that_takes_no_image_is_said_with_a_code_and_leaves_nothing() {
    let world = World::new();
    let server = start_on_a_small_disk(&world, 8);
    let small = image(1, 1000);
    let path = format!("/v1/images/{}", sha256(&small));
    // A disk that is full only when the image is written, not when it begins.
    let large = image(2, 12 << 20);
    server.put(&format!("/v1/images/{}", sha256(&large)), large).await.is_problem(507, "storage-full");
    server.put(&path, small).await.is(201);
    let folders = fs::read_dir(seen_by(&server, &world, "images")).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    assert_eq!(files.count(), 1, "what was written of the large one is gone");
}

#[tokio::test]
async fn the_scrub_runs_and_health_counts_what_it_finds() {
    let world = World::new();
    let server = world.start();
    let image = image(1, 1000);
    server.put_image(&image).await;
    let counted =
        async |server: &Server| server.get("/v1/live").await.is(200).json()["damaged_images"].clone();
    assert_eq!(counted(&server).await, json!(0));
    drop(server);
    let digest = sha256(&image);
    fs::write(world.data().join("images").join(&digest[..2]).join(&digest), b"damaged").unwrap();
    // Nobody asks for it.
    let server = world.start();
    for _ in 0..200 {
        if counted(&server).await == json!(1) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(counted(&server).await, json!(1));
    assert!(server.log().lines().any(|line| line.contains("ERROR") && line.contains(&digest)));
    server.put_image(&image).await;
    assert_eq!(counted(&server).await, json!(0));
}
