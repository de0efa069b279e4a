use uuid::Uuid;

use super::*;
use crate::server::tests::fake::{Answer, FakeServer};

fn queue() -> (tempfile::TempDir, Queue) {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::new(folder.path().join("queue"), Keeping::Lasting);
    (folder, queue)
}

fn output() -> Output {
    Output::new(true, false)
}

fn report(sequence: u64) -> Report {
    Report::Device(DeviceBody {
        manifest_digest: None,
        release_kid: None,
        table: None,
        anchors: None,
        vendor: Uuid::from_u128(1),
        class: Uuid::from_u128(2),
        version: None,
        sequence: Some(sequence),
        at: None,
    })
}

async fn report_now(queue: &Queue, server: &Server, reports: Vec<Report>) {
    queue.keep(server, "A-1", reports, &output());
    queue.deliver(server, &output()).await;
}

/// As update-server answers a registration of the device.
fn registered() -> Answer {
    Answer::ok(br#"{"serial":"A-1"}"#.to_vec())
}

fn offline() -> Server {
    Server::new("http://127.0.0.1:1", Some("secret"), None).unwrap()
}

fn to(server: &FakeServer) -> Server {
    Server::new(&server.url(), Some("secret"), None).unwrap()
}

fn delivered(server: &FakeServer) -> Vec<u64> {
    let sequence = |body: &[u8]| {
        serde_json::from_slice::<serde_json::Value>(body).unwrap()["sequence"].as_u64().unwrap()
    };
    server.requests().iter().map(|request| sequence(&request.body)).collect()
}

/// Moves what waits to another server's name, as if it had been that one which was away.
fn readdress(queue: &Queue, server: &Server) {
    for path in queue.waiting().unwrap() {
        let mut queued = read_report(&path).unwrap().unwrap();
        queued.server = server.name();
        fs::write(path, serde_json::to_vec(&queued).unwrap()).unwrap();
    }
}

#[tokio::test]
async fn reports_wait_for_the_server_and_go_in_order() {
    let (_folder, queue) = queue();
    report_now(&queue, &offline(), vec![report(1), report(2)]).await;
    report_now(&queue, &offline(), vec![report(3)]).await;
    assert_eq!(queue.waiting().unwrap().len(), 3);

    let server = FakeServer::start(|_| registered());
    readdress(&queue, &to(&server));
    report_now(&queue, &to(&server), vec![report(4)]).await;
    assert_eq!(delivered(&server), [1, 2, 3, 4]);
    assert!(queue.waiting().unwrap().is_empty());
}

#[tokio::test]
async fn a_report_that_waited_says_when_it_was_so() {
    let (_folder, queue) = queue();
    let Report::Device(body) = report(1) else { return };
    report_now(&queue, &offline(), vec![Report::Device(DeviceBody { at: Some(77), ..body })]).await;
    let server = FakeServer::start(|_| registered());
    readdress(&queue, &to(&server));
    queue.deliver(&to(&server), &output()).await;
    let sent: serde_json::Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(sent["at"], 77);
}

#[test]
fn a_report_of_an_older_version_is_one() {
    let kept = r#"{"server":"s","serial":"A-1","report":{"device":{"vendor":"00000000-0000-0000-0000-000000000001","class":"00000000-0000-0000-0000-000000000002","sequence":1}}}"#;
    let queued: Queued = serde_json::from_str(kept).unwrap();
    assert_eq!(queued.report, report(1));
}

#[tokio::test]
async fn the_token_is_not_on_the_disk() {
    let (_folder, queue) = queue();
    report_now(&queue, &offline(), vec![report(1)]).await;
    let text = fs::read_to_string(&queue.waiting().unwrap()[0]).unwrap();
    assert!(text.contains("A-1") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn reports_of_another_server_stay() {
    let (_folder, queue) = queue();
    report_now(&queue, &offline(), vec![report(1)]).await;
    let server = FakeServer::start(|_| registered());
    queue.deliver(&to(&server), &output()).await;
    assert!(server.requests().is_empty());
    assert_eq!(queue.waiting().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_server_does_not_take_at_all_is_dropped_and_the_rest_goes_on() {
    let (_folder, queue) = queue();
    let server = FakeServer::start(|request| {
        let refused = String::from_utf8_lossy(&request.body).contains("\"sequence\":1");
        if refused { Answer::new(400, br#"{"code":"request-malformed"}"#.to_vec()) } else { registered() }
    });
    report_now(&queue, &to(&server), vec![report(1), report(2)]).await;
    assert_eq!(delivered(&server), [1, 2]);
    assert!(queue.waiting().unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_token_or_a_busy_server_loses_no_report() {
    let answers = [
        (401, r#"{"code":"unauthorized"}"#),
        (403, r#"{"code":"report-token"}"#),
        (408, "{}"),
        (429, "{}"),
        (503, r#"{"code":"busy"}"#),
    ];
    for (status, body) in answers {
        let (_folder, queue) = queue();
        let server = FakeServer::start(move |_| Answer::new(status, body.as_bytes().to_vec()));
        let client = to(&server);
        queue.keep(&client, "B-2", vec![report(1)], &output());
        report_now(&queue, &client, vec![report(2)]).await;
        assert_eq!(queue.waiting().unwrap().len(), 2, "{status}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

/// A wrong address or a captive portal must not empty the queue.
#[tokio::test]
async fn the_answer_of_another_server_loses_no_report() {
    for (status, body) in [
        (200, "<html>"),
        (200, "{}"),
        (204, ""),
        (400, "<html>"),
        (404, ""),
        (404, r#"{"code":"not-found"}"#),
        (405, r#"{"code":"method-not-allowed"}"#),
        (401, "<html>"),
        (403, "<html>"),
        (410, "{}"),
        (500, "<html>"),
        (500, r#"{"code":"internal"}"#),
    ] {
        let (_folder, queue) = queue();
        let server = FakeServer::start(move |_| Answer::new(status, body.as_bytes().to_vec()));
        report_now(&queue, &to(&server), vec![report(1), report(2)]).await;
        assert_eq!(queue.waiting().unwrap().len(), 2, "{status} {body}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_report_is_dropped() {
    let (_folder, queue) = queue();
    report_now(&queue, &offline(), vec![report(1)]).await;
    let server = FakeServer::start(|_| registered());
    readdress(&queue, &to(&server));
    for (name, bytes) in [("0-1.json", &b"{"[..]), ("1-1.json", b""), ("2-1.json", &[b' '; 20_000])] {
        fs::write(queue.folder.join(name), bytes).unwrap();
    }
    queue.deliver(&to(&server), &output()).await;
    assert_eq!(delivered(&server), [1]);
    assert!(queue.waiting().unwrap().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn a_report_that_is_gone_holds_up_no_other() {
    let (_folder, queue) = queue();
    report_now(&queue, &offline(), vec![report(1)]).await;
    let server = FakeServer::start(|_| registered());
    readdress(&queue, &to(&server));
    // Listed, and not there any more when it is read.
    std::os::unix::fs::symlink("/nowhere/at/all", queue.folder.join("0-1.json")).unwrap();
    queue.try_deliver(&to(&server), &output()).await.unwrap();
    assert_eq!(delivered(&server), [1]);
}

#[tokio::test]
async fn the_queue_has_a_limit_and_the_oldest_go() {
    let (_folder, queue) = queue();
    queue.write(&Queued { server: String::new(), serial: String::new(), report: report(0) }).unwrap();
    for number in 1..MAX_QUEUED {
        let name = format!("{:024}-1.json", u128::MAX / 2 + number as u128);
        fs::write(queue.folder.join(name), b"{}").unwrap();
    }
    let oldest = queue.waiting().unwrap()[0].clone();
    queue.write(&Queued { server: String::new(), serial: String::new(), report: report(1) }).unwrap();
    assert_eq!(queue.waiting().unwrap().len(), MAX_QUEUED);
    assert!(!oldest.exists());
}

#[tokio::test]
async fn two_programs_do_not_send_the_same_report() {
    let (_folder, queue) = queue();
    report_now(&queue, &offline(), vec![report(1)]).await;
    let server = FakeServer::start(|_| registered());
    readdress(&queue, &to(&server));
    let _other = try_lock(&queue.folder.join("lock")).unwrap().unwrap();
    queue.deliver(&to(&server), &output()).await;
    assert!(server.requests().is_empty());
}

/// One device with a name that leads nowhere must not keep the reports on all others from the registry.
#[tokio::test]
async fn the_trouble_of_one_device_does_not_hold_up_the_others() {
    let answers = [
        (405, r#"{"code":"method-not-allowed"}"#),
        // Something between that dislikes the serial, and a fault of the server that only this report meets.
        (403, "<html>"),
        (404, "<html>"),
        (500, r#"{"code":"internal"}"#),
        (200, "<html>"),
    ];
    for (status, body) in answers {
        let (_folder, queue) = queue();
        let server = FakeServer::start(move |request| match request.path.as_str() {
            "/v1/devices/A-1" => Answer::new(status, body.as_bytes().to_vec()),
            path => {
                let serial = path.rsplit('/').next().unwrap();
                Answer::ok(serde_json::json!({ "serial": serial }).to_string().into_bytes())
            }
        });
        let client = to(&server);
        fs::create_dir_all(queue.folder.join("0-1.json")).unwrap();
        for (serial, sequence) in [("..", 1), ("A-1", 2), ("A-1", 3), ("B-2", 4)] {
            queue.keep(&client, serial, vec![report(sequence)], &output());
        }
        queue.deliver(&client, &output()).await;
        assert_eq!(delivered(&server), [2, 4], "{status} {body}");
        assert_eq!(queue.waiting().unwrap().len(), 2, "those on A-1 wait in their order");
    }
}

/// A captive portal answers everything: it is asked three times, not a thousand.
#[tokio::test]
async fn what_refuses_three_devices_in_a_row_is_asked_no_more() {
    let (_folder, queue) = queue();
    let server = FakeServer::start(|_| Answer::new(403, b"<html>".to_vec()));
    let client = to(&server);
    for serial in ["A-1", "A-1", "B-2", "C-3", "D-4", "E-5"] {
        queue.keep(&client, serial, vec![report(1)], &output());
    }
    queue.deliver(&client, &output()).await;
    assert_eq!(server.requests().len(), 3);
    assert_eq!(queue.waiting().unwrap().len(), 6);
}

fn said(nonce: &str) -> Report {
    Report::Said(SaidBody { nonce: nonce.to_owned(), report: hex::encode(b"a report"), at: 77 })
}

/// As update-server answers a report that it keeps.
fn kept() -> Answer {
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"a report"));
    Answer::new(201, format!(r#"{{"digest":"{digest}","verified":false}}"#).into_bytes())
}

#[tokio::test]
async fn what_a_device_said_goes_as_it_came_and_waits_for_the_server() {
    let (_folder, queue) = queue();
    let waiting = queue.keep(&offline(), "A-1", vec![said("4242424242424242")], &output());
    queue.deliver(&offline(), &output()).await;
    assert_eq!(queue.fate_of(&waiting[0]), Fate::Waiting);

    let server = FakeServer::start(|_| kept());
    readdress(&queue, &to(&server));
    queue.deliver(&to(&server), &output()).await;
    assert_eq!(queue.fate_of(&waiting[0]), Fate::Delivered);
    let requests = server.requests();
    assert_eq!(
        (&*requests[0].method, &*requests[0].path, &*requests[0].body),
        ("POST", "/v1/devices/A-1/reports?nonce=4242424242424242&at=77", &b"a report"[..])
    );
}

/// docs/attacks.md, HOST49.
#[tokio::test]
async fn host49_what_a_device_said_and_the_server_does_not_take_holds_up_nothing() {
    // For good: it is dropped. An answer that says something of other bytes, or comes from a server without such a path, is no
    // judgement: it stays.
    let other = || Answer::new(201, br#"{"digest":"00","verified":false}"#.to_vec());
    let cases: [(fn() -> Answer, Fate); 3] = [
        (|| Answer::new(422, br#"{"code":"report-nonce"}"#.to_vec()), Fate::Refused),
        (|| Answer::new(404, br#"{"code":"not-found"}"#.to_vec()), Fate::Waiting),
        (other, Fate::Waiting),
    ];
    for (answer, fate) in cases {
        let (_folder, queue) = queue();
        let server = FakeServer::start(move |request| match &*request.method {
            "POST" => answer(),
            _ => registered(),
        });
        let to = to(&server);
        let reports =
            [said("4242424242424242"), said("4343434343434343"), said("4444444444444444"), report(1)];
        let paths = queue.keep(&to, "A-1", reports.to_vec(), &output());
        queue.deliver(&to, &output()).await;
        assert_eq!(
            paths.iter().map(|path| queue.fate_of(path)).collect::<Vec<_>>(),
            [fate, fate, fate, Fate::Delivered]
        );
        assert_eq!(server.requests().len(), 4);
    }
}

#[tokio::test]
async fn what_a_device_said_is_lost_with_a_folder_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::new(folder.path().join("queue"), Keeping::ThisRun);
    let paths = queue.keep(&offline(), "A-1", vec![said("4242424242424242")], &output());
    queue.deliver(&offline(), &output()).await;
    assert_eq!(queue.fate_of(&paths[0]), Fate::Lost);
}
