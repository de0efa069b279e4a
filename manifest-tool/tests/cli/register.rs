//! `register`: the devices of a production line in a server's registry.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::fake_server::FakeServer;
use super::workshop::{Workshop, split};

/// A batch of two devices with keys and one without, as `provision` makes it, and its log: two have their blocks, one is
/// left.
fn line() -> Workshop {
    line_with("")
}

/// The same with more arguments for `provision`, and `master.key` for those that want one.
fn line_with(more: &str) -> Workshop {
    let workshop = Workshop::new();
    super::encrypt::secret(&workshop, "master.key", super::encrypt::MASTER);
    workshop.write("token", b"a-token-for-tests\n");
    for name in ["root", "line", "one", "two"] {
        workshop.key(name);
    }
    workshop.ok(&split(
        "credential issue --key root.pem --vendor anchorage.example --issuer root --no-ledger --for line.cose --role identity \
         --class demo-node --subject line-1 --out line.cwt",
    ));
    workshop
        .write("devices.csv", b"serial,node,public_key\nA-1,0x11,one.cose\nA-2,0x12,two.cose\nA-3,0x13,\n");
    workshop.ok(&split(&format!(
        "provision --devices devices.csv --vendor anchorage.example --class demo-node --anchor root.cose --issuing line.cwt \
         --key line.pem --no-ledger --out-dir batch {more}"
    )));
    write_log(&workshop, &[("begun", "A-1"), ("provisioned", "A-1"), ("begun", "A-2"), ("found", "A-2")]);
    workshop
}

fn rows(workshop: &Workshop) -> Vec<Vec<String>> {
    let list = String::from_utf8(workshop.read("batch/devices.csv")).unwrap();
    list.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn sha256(content: &[u8]) -> String {
    hex::encode(trust::sha256(content))
}

fn write_log(workshop: &Workshop, entries: &[(&str, &str)]) {
    let rows: BTreeMap<String, Vec<String>> =
        rows(workshop).into_iter().map(|row| (row[0].clone(), row)).collect();
    let head = json!({"format": "anchorage-line", "version": 1, "time": "2026-11-27T10:00:00Z",
                      "list_sha256": sha256(&workshop.read("batch/devices.csv"))});
    let mut log = format!("{head}\n");
    for (result, serial) in entries {
        let row = &rows[*serial];
        let entry = json!({"time": "2026-11-27T10:20:00Z", "result": result, "serial": serial, "node_address": 17,
            "vendor": row[2], "class": row[3], "device": row[4], "kid": null, "block_sha256": row[6], "loader_version": "0.1.0",
            "anchors": [{"kid": "0011223344556677", "rights": 15, "domain": "0011223344556677"}]});
        log += &format!("{entry}\n");
    }
    workshop.write("batch/line.jsonl", log.as_bytes());
}

const REGISTER: &str = "register batch --issuing line.cwt --line hall-2 --token-file token --server";

fn answers(workshop: &Workshop, server: &FakeServer, devices: Value) {
    let kid = workshop.ok(&split("key info line.cose"))["kid"].clone();
    let issuer = json!({"kid": kid, "name": "line-1", "refusal": null}).to_string();
    server.answers("PUT /v1/issuers", StatusCode::OK, &issuer);
    server.answers("POST /v1/devices", StatusCode::OK, &devices.to_string());
}

/// The answer of a server that knew the other devices with all that was sent.
fn did(devices: u64, new: u64) -> Value {
    json!({"devices": devices, "new": new, "identified": 0, "completed": 0, "unchanged": devices.saturating_sub(new),
           "older_credentials": 0, "refused": []})
}

#[test]
fn devices_that_have_their_block_are_registered() {
    let (workshop, server) = (line(), FakeServer::start());
    answers(&workshop, &server, did(2, 1));
    let line = format!("{REGISTER} {}", server.url);
    let line = split(&line);
    let said = workshop.ok(&line);
    assert_eq!((&said["devices"], &said["new"], &said["left"]), (&json!(2), &json!(1), &json!(1)));
    let sent = server.record.lock().unwrap().sent.clone();
    assert_eq!(&sent[0].body[..], &workshop.read("line.cwt")[..]);
    let mut reader = csv::Reader::from_reader(&sent[1].body[..]);
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    for (row, serial) in rows.iter().zip(["A-1", "A-2"]) {
        let credential = hex::encode(workshop.read(&format!("batch/{serial}.cwt")));
        assert_eq!((row["serial"].as_str(), row["credential"].as_str()), (serial, credential.as_str()));
        assert_eq!((row["line"].as_str(), row["anchors"].as_str()), ("hall-2", "0011223344556677"));
        assert_eq!(row["last_seen"], "1795774800");
    }
    assert_eq!(server.take_sent(), ["PUT /v1/issuers", "POST /v1/devices"]);

    // A line that the power cut off counts for nothing, and a block that is set aside is no device.
    write_log(&workshop, &[("begun", "A-1"), ("set-aside", "A-1"), ("provisioned", "A-3")]);
    let log = workshop.read("batch/line.jsonl");
    workshop.write("batch/line.jsonl", &[&log[..], b"{\"time\":\"2026"].concat());
    answers(&workshop, &server, did(1, 1));
    let said = workshop.ok(&line);
    assert_eq!(
        (&said["set_aside"], &said["torn"], &said["left"]),
        (&json!(["A-1"]), &json!(true), &json!(1))
    );
}

/// The registry compares keys by their check values; it gets no key.
#[test]
fn sym27_the_registry_gets_key_check_values_and_no_keys() {
    let (workshop, server) = (line_with("--master master.key --line one"), FakeServer::start());
    answers(&workshop, &server, did(2, 2));
    workshop.ok(&split(&format!("{REGISTER} {}", server.url)));
    let sent = server.record.lock().unwrap().sent.clone();
    let mut reader = csv::Reader::from_reader(&sent[1].body[..]);
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    let checks: Vec<&str> = rows.iter().map(|row| row["key_checks"].as_str()).collect();
    assert_eq!(checks, ["update=d448591124", "update=1915974f1b"]);
    for key in ["905e8249187e5b319ad22c655a2ecf2e", "e47a879b488b63442370ead9e4b45854"] {
        assert!(!String::from_utf8_lossy(&sent[1].body).contains(key));
    }
}

/// Nothing is sent of a folder that is not whole, or not of one piece.
#[test]
fn a_folder_that_does_not_fit_is_refused() {
    let (workshop, server) = (line(), FakeServer::start());
    let line = format!("{REGISTER} {}", server.url);
    let line = split(&line);
    let (list, log) = (workshop.read("batch/devices.csv"), workshop.read("batch/line.jsonl"));
    let refused = |code: &str, what: &str| {
        assert_eq!(workshop.refused(&line), (code.into(), 5), "{what}");
        workshop.write("batch/devices.csv", &list);
        workshop.write("batch/line.jsonl", &log);
    };
    let text = String::from_utf8(log.clone()).unwrap();
    for (what, log) in [
        ("nothing", String::new()),
        ("another format", text.replace("anchorage-line", "other")),
        ("a newer version", text.replace("\"version\":1", "\"version\":2")),
        ("an unknown result", text.replace("\"found\"", "\"lost\"")),
        ("a device of another list", text.replace("A-2", "A-9")),
        ("another block", text.replace(&rows(&workshop)[0][6], &"0".repeat(64))),
        ("a damaged line", text.replacen("\"result\"", "\"result", 1)),
        ("a time that is none", text.replace("10:20:00Z", "10:20")),
        ("a time before all", text.replace("2026-11-27T10:20", "1960-11-27T10:20")),
        ("a time to come", text.replace("2026-11-27T10:20", "2999-11-27T10:20")),
    ] {
        workshop.write("batch/line.jsonl", log.as_bytes());
        refused("line-log", what);
    }
    workshop.write("batch/devices.csv", &[&list[..], b"\n"].concat());
    refused("line-log", "another list");
    std::fs::remove_file(workshop.path("batch/line.jsonl")).unwrap();
    refused("line-log-absent", "no log");

    // The credential of another device, and a file that is no credential: nobody sends a private key by mistake.
    let credential = workshop.read("batch/A-1.cwt");
    std::fs::copy(workshop.path("batch/A-2.cwt"), workshop.path("batch/A-1.cwt")).unwrap();
    assert_eq!(workshop.refused(&line).0, "line-log");
    std::fs::copy(workshop.path("one.pem"), workshop.path("batch/A-1.cwt")).unwrap();
    assert_eq!(workshop.refused(&line).0, "record-malformed");
    workshop.write("batch/A-1.cwt", &credential);
    assert!(server.take_sent().is_empty());

    // A pipe would be waited for.
    std::fs::remove_file(workshop.path("batch/A-1.cwt")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(workshop.path("batch/A-1.cwt")).status().unwrap();
    assert!(made.success());
    let run = workshop.run(&[&["--json"], &line[..]].concat());
    assert_eq!(run.refusal(), ("file-read".into(), 3));
    std::fs::remove_file(workshop.path("batch/A-1.cwt")).unwrap();
    workshop.write("batch/A-1.cwt", &credential);

    // Nothing is wrong with a line that only begins.
    workshop.write("batch/line.jsonl", (text.lines().next().unwrap().to_owned() + "\n").as_bytes());
    answers(&workshop, &server, did(0, 0));
    let said = workshop.ok(&line);
    assert_eq!((&said["devices"], &said["left"]), (&json!(0), &json!(3)));
    assert_eq!(server.take_sent(), ["PUT /v1/issuers"]);
    workshop.write("batch/line.jsonl", &log);

    // What the server says is held against what was sent.
    answers(&workshop, &server, did(1, 1));
    assert_eq!(workshop.refused(&line), ("server-answer".into(), 7));
    let problem = json!({"title": "Conflict", "status": 409, "code": "device-conflict", "detail": "Line 2: another class."});
    server.answers("POST /v1/devices", StatusCode::CONFLICT, &problem.to_string());
    assert_eq!(workshop.refused(&line), ("device-conflict".into(), 7));
}

#[test]
fn tool80_a_serial_like_a_formula_goes_through_list_and_registration() {
    let (workshop, server) = (line(), FakeServer::start());
    workshop.write("formulas.csv", b"serial,node\n=1+1,0x11\n-2,0x12\n");
    std::fs::remove_dir_all(workshop.path("batch")).unwrap();
    workshop.ok(&split(
        "provision --devices formulas.csv --vendor anchorage.example --class demo-node --anchor root.cose --no-ledger --out-dir batch",
    ));
    for cell in rows(&workshop).concat() {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
    let list = device_lists::read_list(&workshop.read("batch/devices.csv")).unwrap();
    assert_eq!((&*list[0].1.serial, &*list[1].1.serial, &*list[1].1.block), ("=1+1", "-2", "-2.block"));
    let mut log = device_lists::line_of(&device_lists::Head::new(
        "2026-11-27T10:00:00Z".to_owned(),
        trust::sha256(&workshop.read("batch/devices.csv")),
    ))
    .unwrap();
    for (_, row) in &list {
        log.extend_from_slice(
            &device_lists::line_of(&json!({"time": "2026-11-27T10:20:00Z", "result": "found",
            "serial": row.serial, "node_address": 17, "vendor": "v", "class": "c", "device": "d", "kid": null,
            "block_sha256": hex::encode(row.block_sha256)}))
            .unwrap(),
        );
    }
    workshop.write("batch/line.jsonl", &log);
    answers(&workshop, &server, did(2, 2));
    workshop.ok(&split(&format!("{REGISTER} {}", server.url)));
    let sent = server.record.lock().unwrap().sent.clone();
    let cells: Vec<csv::StringRecord> =
        csv::Reader::from_reader(&sent[1].body[..]).into_records().map(Result::unwrap).collect();
    assert_eq!((&cells[0][0], &cells[1][0]), ("'=1+1", "'-2"));
}

#[test]
fn whoever_waits_for_a_slow_server_hears_of_it() {
    let (workshop, server) = (line(), FakeServer::start());
    answers(&workshop, &server, did(2, 2));
    let line = format!("{REGISTER} {}", server.url);
    let words = format!("waiting for {}/ ...", server.url);
    assert!(!workshop.run(&split(&line)).stderr.contains("waiting"));
    server.record.lock().unwrap().delay = Some(Duration::from_millis(2_300));
    let run = workshop.run(&split(&line));
    assert!(run.exit == 0 && run.stderr.contains(&words), "{run:?}");
    let scripted = workshop.run(&split(&format!("--json {line}")));
    assert!(scripted.exit == 0 && !scripted.stderr.contains("waiting"), "{scripted:?}");
}

/// A server that takes a body, and gives its answer in two halves, each after its pause; for one request.
fn slow_server(before_body: Duration, before_half: Duration, answer: String) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut len) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
        }
        std::thread::sleep(before_body);
        std::io::copy(&mut reader.take(len), &mut std::io::sink()).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        stream.write_all(head.as_bytes()).unwrap();
        for half in [&answer[..10], &answer[10..]] {
            std::thread::sleep(before_half);
            stream.write_all(half.as_bytes()).unwrap();
        }
    });
    (url, thread)
}

#[test]
fn a_long_upload_is_no_wait_and_a_wait_is_told_once() {
    let pause = Duration::from_millis(2_300);
    let workshop = line();
    let told = |(url, thread): (String, JoinHandle<()>)| {
        let run = workshop.run(&split(&format!("register batch --token-file token --server {url}")));
        thread.join().unwrap();
        assert_eq!(run.exit, 0, "{run:?}");
        run.stderr.matches("waiting for").count()
    };
    assert_eq!(told(slow_server(Duration::ZERO, pause, did(2, 2).to_string())), 1);

    // More than the buffers on the way take: a server that takes it slowly has nothing to answer yet.
    let list = device_lists::read_list(&workshop.read("batch/devices.csv")).unwrap();
    let devices = many(&list[2].1, 9_000);
    workshop.write("batch/devices.csv", &device_lists::write_list(&devices).unwrap());
    write_log(&workshop, &provisioned(&devices));
    let anchor = r#"{"kid":"0011223344556677","rights":15,"domain":"0011223344556677"},"#;
    let log = String::from_utf8(workshop.read("batch/line.jsonl")).unwrap();
    let log = log.replace(r#""anchors":["#, &format!(r#""anchors":[{}"#, anchor.repeat(35)));
    workshop.write("batch/line.jsonl", log.as_bytes());
    assert_eq!(told(slow_server(pause, Duration::ZERO, did(9_000, 9_000).to_string())), 0);
}

#[test]
fn what_became_of_each_device_is_reported_per_kind() {
    let (workshop, server) = (line(), FakeServer::start());
    let line = format!("{REGISTER} {}", server.url);
    let row = json!({"line": 3, "serial": "A-2", "code": "device-conflict", "detail": "Its owner is Bob.", "hint": "Change it\u{1b}."});
    let problem = json!({"title": "x", "status": 422, "code": "rows-refused", "detail": "1 of 2 rows are refused", "hint": "of the server",
                         "rows": [row]});
    answers(&workshop, &server, did(2, 2));
    server.answers("POST /v1/devices", StatusCode::UNPROCESSABLE_ENTITY, &problem.to_string());
    let run = workshop.run(&split(&format!("--json {line}")));
    assert_eq!(run.refusal(), ("rows-refused".into(), 7));
    let error = &run.object()["error"];
    assert_eq!(
        (&error["rows"][0]["serial"], &error["rows"][0]["detail"]),
        (&json!("A-2"), &json!("Its owner is Bob."))
    );
    assert_eq!(error["rows"][0]["hint"], "Change it\\u{1b}.");
    assert!(error["hint"].as_str().unwrap().contains("--good-rows"));
    let words = workshop.run(&split(&line)).stderr;
    assert!(words.contains("A-2: Its owner is Bob. [device-conflict]"), "{words}");

    // Rows are refused with --good-rows only, and it is not success.
    let mixed = json!({"devices": 1, "new": 0, "identified": 1, "completed": 1, "unchanged": 0, "older_credentials": 0, "refused": [row]});
    answers(&workshop, &server, mixed.clone());
    assert_eq!(workshop.refused(&split(&line)).0, "server-answer");
    let good = format!("{line} --good-rows");
    let run = workshop.run(&split(&format!("--json {good}")));
    assert_eq!(
        (run.exit, &run.object()["identified"], &run.object()["refused"][0]["serial"]),
        (7, &json!(1), &json!("A-2"))
    );
    let run = workshop.run(&split(&good));
    for words in ["1 filled in or renewed", "A-2: Its owner is Bob.", "1 devices that were there got some"] {
        assert!(run.stdout.contains(words), "{words}: {run:?}");
    }
    // As many refusals as there are rows fit.
    let rows: Vec<_> = (0..2)
        .map(|_| json!({"serial": "A-1", "code": "device-conflict", "detail": "x".repeat(100_000)}))
        .collect();
    let long = json!({"devices": 0, "new": 0, "identified": 0, "completed": 0, "unchanged": 0, "older_credentials": 0, "refused": rows});
    answers(&workshop, &server, long);
    assert_eq!(workshop.run(&split(&good)).exit, 7);

    let older = json!({"title": "Conflict", "status": 409, "code": "credential-older", "detail": "d", "hint": "of the server"});
    server.answers("PUT /v1/issuers", StatusCode::CONFLICT, &older.to_string());
    let run = workshop.run(&split(&format!("--json {line}")));
    assert_eq!(run.refusal(), ("credential-older".into(), 7));
    assert!(run.object()["error"]["hint"].as_str().unwrap().contains("leave --issuing out"));
}

/// Devices like `one`, without keys.
fn many(one: &device_lists::Row, count: usize) -> Vec<device_lists::Row> {
    let device = |number: usize| {
        let serial = format!("B-{number}");
        let (credential, kid) = (String::new(), String::new());
        device_lists::Row { block: format!("{serial}.block"), serial, credential, kid, ..one.clone() }
    };
    (0..count).map(device).collect()
}

fn provisioned(devices: &[device_lists::Row]) -> Vec<(&str, &str)> {
    devices.iter().map(|row| ("provisioned", row.serial.as_str())).collect()
}

/// 10,001 devices without keys go in two parts. The first stays registered when the second fails, and that is said.
#[test]
fn a_part_that_fails_does_not_hide_those_before_it() {
    let (workshop, server) = (line(), FakeServer::start());
    let list = device_lists::read_list(&workshop.read("batch/devices.csv")).unwrap();
    let devices = many(&list[2].1, 10_001);
    workshop.write("batch/devices.csv", &device_lists::write_list(&devices).unwrap());
    write_log(&workshop, &provisioned(&devices));
    let row =
        json!({"line": 2, "serial": "B-10000", "code": "device-conflict", "detail": "Its owner is Bob."});
    let problem = json!({"title": "x", "status": 422, "code": "rows-refused", "rows": [row],
                         "detail": "1 of 1 rows are refused, and nothing was imported."});
    let answer = || {
        answers(&workshop, &server, did(1, 1));
        server.answers_once("POST /v1/devices", StatusCode::OK, &did(10_000, 9_998).to_string());
    };
    let line = format!("{REGISTER} {}", server.url);
    answer();
    let said = workshop.ok(&split(&line));
    assert_eq!((&said["devices"], &said["new"]), (&json!(10_001), &json!(9_999)));
    // No import object.
    let unclear = (StatusCode::OK, "server-answer", 0);
    for (status, code, rows) in [(StatusCode::UNPROCESSABLE_ENTITY, "rows-refused", 1), unclear] {
        answer();
        server.answers("POST /v1/devices", status, &problem.to_string());
        let run = workshop.run(&split(&format!("--json {line}")));
        assert_eq!(run.refusal(), (code.into(), 7));
        let failure = run.object();
        assert_eq!(failure["registered"], did(10_000, 9_998));
        assert_eq!(failure["error"]["rows"].as_array().map_or(0, Vec::len), rows);
        let message = failure["error"]["message"].as_str().unwrap();
        assert!(message.ends_with("; of those sent before, 10000 devices are registered"), "{message}");
    }
    answer();
    server.answers("POST /v1/devices", StatusCode::UNPROCESSABLE_ENTITY, &problem.to_string());
    let words = workshop.run(&split(&line)).stderr;
    for part in [
        "B-10000: Its owner is Bob.",
        "--good-rows",
        "  registered     10000 devices",
        "2 with nothing to add",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    // Of a first part nothing stays.
    server.answers("POST /v1/devices", StatusCode::UNPROCESSABLE_ENTITY, &problem.to_string());
    let run = workshop.run(&split(&format!("--json {line}")));
    assert_eq!((run.exit, run.object().get("registered")), (7, None));
}
