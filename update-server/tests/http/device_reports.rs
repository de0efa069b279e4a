//! `/v1/devices/{serial}/reports`: what devices say under their own keys, which the server does not have.

use axum::http::Method;
use serde_json::{Value, json};
use suit_manifest::Reason;
use suit_manifest::report::{
    MAX_REPORT_LEN, Measured, Outcome, Place, Report, ReportNonce, SHARED_SECTION, open_report,
};
use trust::cbor::Writer;
use trust::{ATTACHED_MAC0_ROOM, Kid, write_attached_mac0};

use crate::harness::*;

const TECHNICIAN: &str = "technician-token-0123456789";
const KEY: [u8; 32] = [0x77; 32];
const A: Kid = Kid(*b"device A");
const NONCE: [u8; 16] = [0x42; 16];

fn world() -> World {
    let world = World::new();
    std::fs::write(world.token_file(), format!("{TOKEN}\nreport {TECHNICIAN}\n")).unwrap();
    world
}

/// The answer of a device to this nonce, about this manifest.
fn container(nonce: &[u8], manifest_digest: &[u8; 32], kid: &Kid) -> Vec<u8> {
    let place = Place { section: SHARED_SECTION, offset: 74, component: 0 };
    let (reason, id) = (Reason::VendorMismatch, [1; 16]);
    let outcome = Outcome::Refused { reason, place, measured: Measured::of(reason, &id, &id, &id) };
    let report = Report { manifest_digest, nonce: ReportNonce::of(nonce).unwrap(), outcome };
    let mut buffer = [0; MAX_REPORT_LEN];
    let payload = report.encode(&mut buffer).unwrap();
    let mut buffer = vec![0; payload.len() + ATTACHED_MAC0_ROOM];
    let mut writer = Writer::new(&mut buffer);
    write_attached_mac0(&mut writer, payload, kid, &KEY);
    writer.finish().unwrap().to_vec()
}

fn refused(nonce: &[u8]) -> Vec<u8> {
    container(nonce, &[5; 32], &A)
}

fn path(serial: &str, nonce: &[u8]) -> String {
    format!("/v1/devices/{serial}/reports?nonce={}&at=1700000000", hex::encode(nonce))
}

impl Server {
    async fn register_device(&self, serial: &str) {
        let facts = json!({"vendor": uuid(VENDOR), "class": uuid(CLASS)}).to_string();
        self.put(&format!("/v1/devices/{serial}"), facts).await.is(201);
    }

    /// As a technician.
    async fn hand_over(&self, path: &str, report: Vec<u8>) -> Answer {
        let bearer = format!("Bearer {TECHNICIAN}");
        self.send(Method::POST, path, &[("authorization", &*bearer)], report).await
    }

    async fn reports(&self, serial: &str) -> Vec<Value> {
        let answer = self.get(&format!("/v1/devices/{serial}/reports")).await;
        answer.is(200).json()["reports"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn a_report_is_kept_as_it_came_told_of_as_unverified_and_given_to_its_maker() {
    let world = world();
    let server = world.start();
    server.hand_over(&path("A", &NONCE), refused(&NONCE)).await.is_problem(404, "device-unknown");
    server.get("/v1/devices/A/reports").await.is_problem(404, "device-unknown");
    server.register_device("A").await;
    assert_eq!(server.get("/v1/devices/A/reports").await.is(200).json(), json!({"reports": []}));

    let report = refused(&NONCE);
    let digest = sha256(&report);
    let kept = json!({"digest": digest, "verified": false});
    assert_eq!(server.hand_over(&path("A", &NONCE), report.clone()).await.is(201).json(), kept);
    // The answer was lost.
    assert_eq!(server.hand_over(&path("A", &NONCE), report.clone()).await.is(200).json(), kept);
    let mut reports = server.reports("A").await;
    assert_eq!(reports.len(), 1);
    let told = reports[0].as_object_mut().unwrap();
    assert!(told.remove("received_at").unwrap().as_u64().unwrap() > 1_700_000_000);
    assert!(told.remove("reporter").unwrap().as_str().unwrap().starts_with("token-"));
    let expected = json!({
        "digest": digest, "verified": false, "at": 1_700_000_000, "nonce": hex::encode(NONCE),
        "device_key": hex::encode(A.0), "key_also_of": null, "manifest_digest": "05".repeat(32),
        "release_sequence": null, "release_target": null, "outcome": "refused", "reason": "vendor-mismatch",
        "summary": "vendor-mismatch: The update is for another vendor. \
            (condition-failed (10); in the shared sequence (3) at byte 74, component 0)",
    });
    assert_eq!(reports[0], expected);

    let fetched = server.get(&format!("/v1/devices/A/reports/{digest}")).await;
    assert_eq!(fetched.is(200).body, report);
    assert_eq!(fetched.header("content-type"), Some("application/cose; cose-type=\"cose-mac0\""));
    // At the maker's desk.
    assert!(open_report(&fetched.body, &A, &KEY, Some(&NONCE)).is_ok());
    let other = sha256(b"another one");
    server.get(&format!("/v1/devices/A/reports/{other}")).await.is_problem(404, "report-unknown");
    server.register_device("B").await;
    server.get(&format!("/v1/devices/B/reports/{digest}")).await.is_problem(404, "report-unknown");
    // It says nothing of what the registry knows.
    let device = server.get("/v1/devices/A").await.is(200).json();
    assert_eq!((&device["manifest_digest"], &device["events"]), (&Value::Null, &json!([])));

    // A report of a retired device is taken, and all of it outlives the server.
    server.put("/v1/devices/A/retirement", "{}").await.is(200);
    let later = refused(&[0x43; 16]);
    server.hand_over(&path("A", &[0x43; 16]), later.clone()).await.is(201);
    drop(server);
    let server = world.start();
    let digests: Vec<_> = server.reports("A").await.iter().map(|told| told["digest"].clone()).collect();
    assert_eq!(digests, [json!(sha256(&later)), json!(digest)]);
}

#[tokio::test]
async fn a_report_names_the_release_that_it_is_about() {
    let world = world();
    let server = world.start();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    let release = server.publish(&image, &envelope(&image, 7, &key)).await.is(201).json();
    let manifest_digest = release["manifest_digest"].as_str().unwrap();
    let about = hex::decode(manifest_digest).unwrap().try_into().unwrap();
    server.register_device("A").await;
    server.hand_over(&path("A", &NONCE), container(&NONCE, &about, &A)).await.is(201);
    // No manifest authenticated.
    server.hand_over(&path("A", &[1; 8]), container(&[1; 8], &[0; 32], &A)).await.is(201);
    let reports = server.reports("A").await;
    let named = |told: &Value| {
        ["manifest_digest", "release_sequence", "release_target"].map(|member| told[member].clone())
    };
    assert_eq!(named(&reports[1]), [json!(manifest_digest), json!(7), json!("firmware")]);
    assert_eq!(named(&reports[0]), [Value::Null, Value::Null, Value::Null]);
}

/// docs/attacks.md, SRV67. What a server of another version took, this one may not read.
#[tokio::test]
async fn srv67_a_report_that_cannot_be_read_hides_no_other() {
    let world = world();
    let server = world.start();
    server.register_device("A").await;
    for nonce in [[1; 8], [2; 8], [3; 8]] {
        server.hand_over(&path("A", &nonce), refused(&nonce)).await.is(201);
    }
    drop(server);
    world.change_database("UPDATE device_reports SET bytes = x'd18443a10105' WHERE id = 2").await;
    let server = world.start();
    let reports = server.reports("A").await;
    let outcomes: Vec<_> = reports.iter().map(|told| told["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["refused", "unreadable", "refused"]);
    let unreadable = &reports[1];
    assert_eq!((&unreadable["nonce"], &unreadable["reason"]), (&Value::Null, &json!("record-malformed")));
    assert!(unreadable["summary"].as_str().unwrap().contains("cannot read"), "{unreadable}");
    assert_eq!(unreadable["digest"], sha256(&refused(&[2; 8])));
    // Its maker may read it.
    let bytes =
        server.get(&format!("/v1/devices/A/reports/{}", unreadable["digest"].as_str().unwrap())).await;
    assert_eq!(bytes.is(200).body, &[0xd1, 0x84, 0x43, 0xa1, 0x01, 0x05][..]);
}

/// docs/attacks.md, SRV63.
#[tokio::test]
async fn srv63_what_is_no_answer_to_the_question_is_not_kept() {
    let world = world();
    let server = world.start();
    server.register_device("A").await;
    let report = refused(&NONCE);
    server.hand_over(&path("A", &[0x41; 16]), report.clone()).await.is_problem(422, "report-nonce");
    server.hand_over(&path("A", &NONCE), refused(&[])).await.is_problem(422, "report-nonce");
    for query in ["", "?nonce=", "?nonce=00", "?nonce=zz000000000000000000", "?nonce=4242424242424242&more=1"]
    {
        let path = format!("/v1/devices/A/reports{query}");
        server.hand_over(&path, report.clone()).await.is_problem(400, "request-malformed");
    }
    server.hand_over(&path("A", &[0xAB; 16]).replace("ab", "AB"), refused(&[0xAB; 16])).await.is(400);
    for len in 0..report.len() {
        server
            .hand_over(&path("A", &NONCE), report[..len].to_vec())
            .await
            .is_problem(400, "record-malformed");
    }
    let longer = [&report[..], b"\0"].concat();
    server.hand_over(&path("A", &NONCE), longer).await.is_problem(400, "record-malformed");
    let long = vec![0; 4097];
    server.hand_over(&path("A", &NONCE), long).await.is_problem(413, "body-too-large");
    assert_eq!(server.reports("A").await, [json!(null); 0]);

    let wrong =
        server.send(Method::POST, &path("A", &NONCE), &[("authorization", "Bearer no")], report).await;
    wrong.is_problem(401, "unauthorized");
    server.send(Method::POST, &path("A", &NONCE), &[], refused(&NONCE)).await.is_problem(401, "unauthorized");
    assert_eq!(server.reports("A").await, [json!(null); 0]);
}

/// docs/attacks.md, SRV64. A token pushes out its own reports, and nobody else's.
#[tokio::test]
async fn srv64_a_token_keeps_its_newest_hundred_and_pushes_out_no_others() {
    let world = world();
    let server = world.start();
    server.register_device("A").await;
    let nonce = |number: u8| [number; 8];
    let of_publisher = refused(&nonce(200));
    server.post(&path("A", &nonce(200)), of_publisher.clone()).await.is(201);
    // The same from another token is kept for that one too.
    server.hand_over(&path("A", &nonce(200)), of_publisher.clone()).await.is(201);
    for number in 1..=100 {
        server.hand_over(&path("A", &nonce(number)), refused(&nonce(number))).await.is(201);
    }
    let reports = server.reports("A").await;
    assert_eq!(reports.len(), 101);
    assert_eq!(reports[0]["nonce"], hex::encode(nonce(100)));
    assert_eq!(reports[99]["nonce"], hex::encode(nonce(1)));
    assert_eq!(reports[100]["nonce"], hex::encode(nonce(200)));
    server.hand_over(&path("A", &nonce(101)), refused(&nonce(101))).await.is(201);
    let reports = server.reports("A").await;
    assert_eq!((reports.len(), &reports[99]["nonce"]), (101, &json!(hex::encode(nonce(2)))));
    let kept = server.get(&format!("/v1/devices/A/reports/{}", sha256(&of_publisher))).await;
    assert_eq!(kept.is(200).body, of_publisher);
    assert!(server.log().contains("dropped: 1"));
}

/// A report of one device handed over for another: the maker sees it, and no thief keeps out the genuine ones.
#[tokio::test]
async fn a_key_that_two_devices_name_is_told_of_both() {
    let world = world();
    let server = world.start();
    server.register_device("A").await;
    server.register_device("B").await;
    server.hand_over(&path("B", &NONCE), refused(&NONCE)).await.is(201);
    server.hand_over(&path("A", &NONCE), refused(&NONCE)).await.is(201);
    assert_eq!(server.reports("A").await[0]["key_also_of"], "B");
    assert_eq!(server.reports("B").await[0]["key_also_of"], "A");
}
