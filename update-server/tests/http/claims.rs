//! What reports may say of a device, and what publishers say against them.

use axum::http::Method;
use serde_json::{Value, json};
use trust::author::Signer as _;

use crate::harness::*;
use crate::issuers::{device_at, issuing, key};

const TECHNICIAN: &str = "technician-token-0123456789";

fn facts(more: Value) -> String {
    facts_of(CLASS, more)
}

fn facts_of(class: [u8; 16], more: Value) -> String {
    let mut facts = json!({"vendor": uuid(VENDOR), "class": uuid(class)});
    for (name, value) in more.as_object().unwrap() {
        facts[name] = value.clone();
    }
    facts.to_string()
}

fn world() -> World {
    let world = World::new();
    std::fs::write(world.token_file(), format!("{TOKEN}\nreport {TECHNICIAN}\n")).unwrap();
    world
}

async fn report(server: &Server, serial: &str, body: String) -> Answer {
    let bearer = format!("Bearer {TECHNICIAN}");
    let headers = [("authorization", &*bearer)];
    server.send(Method::PUT, &format!("/v1/devices/{serial}"), &headers, body.into_bytes()).await
}

async fn device(server: &Server, serial: &str) -> Value {
    server.get(&format!("/v1/devices/{serial}")).await.is(200).json()
}

#[tokio::test]
async fn srv53_a_report_sets_no_identity() {
    let world = world();
    let server = world.start();
    let line = issuing(&world.root, 30, 1_700_000_000);
    server.put("/v1/issuers", line.clone()).await.is(201);
    let thief = hex::encode(key(60).public_key().to_cose_key());
    let cwt = hex::encode(device_at(&line, 30, 31, "A", 1_750_000_000));
    for (serial, member) in [("A", json!({"identity": thief})), ("A", json!({"credential": cwt}))] {
        report(&server, serial, facts(member)).await.is_problem(403, "report-token");
        server.get("/v1/devices/A").await.is_problem(404, "device-unknown");
    }
    report(&server, "A", facts(json!({"version": "1.0"}))).await.is(201);
    report(&server, "A", facts(json!({"identity": thief}))).await.is_problem(403, "report-token");
    assert_eq!(device(&server, "A").await["identity"], Value::Null);
    server.put("/v1/devices/A", facts(json!({"credential": cwt}))).await.is(200);
    assert_eq!(device(&server, "A").await["identity"], hex::encode(key(31).public_key().to_cose_key()));
}

#[tokio::test]
async fn srv54_who_reports_first_keeps_out_neither_device_nor_state() {
    let world = world();
    let server = world.start();
    let anchor = hex::encode(world.root.public_key().kid().0);
    let digest = "00".repeat(32);
    let said = json!({"version": "6.6", "sequence": 6, "manifest_digest": digest, "release_kid": anchor, "anchors": [anchor]});
    let first = report(&server, "A", facts_of(OTHER_CLASS, said.clone())).await.is(201).json();
    assert_eq!((&first["vouched"], &first["state"]), (&json!(false), &json!("active")));
    // Between reports the first one stands.
    report(&server, "A", facts(json!({}))).await.is_problem(409, "device-conflict");

    let made = facts(json!({"state": "pre-activation", "line": "line 1"}));
    let claimed = server.put("/v1/devices/A", made.clone()).await.is(200).json();
    assert_eq!(
        (&claimed["class"], &claimed["state"], &claimed["vouched"]),
        (&json!(uuid(CLASS)), &json!("pre-activation"), &json!(true))
    );
    // What was reported of another class is of another device.
    for name in
        ["version", "sequence", "manifest_digest", "release_kid", "anchors", "stated_at", "anchors_at"]
    {
        assert_ne!(first[name], Value::Null, "{name}");
        assert_eq!(claimed[name], Value::Null, "{name}");
    }
    let publisher = claimed["registered"]["by"].clone();
    assert_ne!(publisher, first["registered"]["by"]);
    let events = device(&server, "A").await["events"].clone();
    assert_eq!((&events[0]["kind"], &events[0]["reporter"]), (&json!("device-claimed"), &publisher));
    let note = events[0]["note"].as_str().unwrap().to_owned();
    assert!(note.contains(&uuid(OTHER_CLASS)) && note.ends_with(&uuid(CLASS)), "{note}");

    // From now on nobody says otherwise, not even a publisher.
    report(&server, "A", facts_of(OTHER_CLASS, json!({}))).await.is_problem(409, "device-conflict");
    let refused = server.put("/v1/devices/A", facts_of(OTHER_CLASS, json!({}))).await;
    refused.is_problem(409, "device-conflict");
    assert!(refused.json()["detail"].as_str().unwrap().contains(&uuid(CLASS)), "{refused:?}");
    server.put("/v1/devices/A", facts(json!({"state": "active"}))).await.is_problem(409, "device-conflict");
    let again = server.put("/v1/devices/A", made).await.is(200).json();
    assert_eq!(again["registered"], claimed["registered"]);
    // A report stands in the way of no state, whatever the state is.
    let reported = report(&server, "A", facts(said)).await.is(200).json();
    assert_eq!((&reported["version"], &reported["state"]), (&json!("6.6"), &json!("pre-activation")));
    assert_eq!(device(&server, "A").await["events"].as_array().unwrap().len(), 1);

    // What was reported of the same class stays.
    report(&server, "B", facts(json!({"version": "1.0"}))).await.is(201);
    assert_eq!(listed(&server, "vouched=false").await, ["B"]);
    assert_eq!(listed(&server, "vouched=true").await, ["A"]);
    let claimed = server.put("/v1/devices/B", facts(json!({}))).await.is(200).json();
    assert_eq!((&claimed["version"], &claimed["vouched"]), (&json!("1.0"), &json!(true)));
    assert_eq!(device(&server, "B").await["events"], json!([]));
}

async fn listed(server: &Server, query: &str) -> Vec<String> {
    let list = server.get(&format!("/v1/devices?{query}")).await.is(200).json();
    let devices = list["devices"].as_array().unwrap().clone();
    devices.iter().map(|device| device["serial"].as_str().unwrap().to_owned()).collect()
}

/// A publisher who set a state said it, also where reports alone know the device.
#[tokio::test]
async fn srv54_a_state_that_was_said_is_not_said_otherwise_by_a_registration() {
    let world = world();
    let server = world.start();
    for (serial, states) in [("A", &["suspended", "active"][..]), ("B", &["active"])] {
        report(&server, serial, facts(json!({}))).await.is(201);
        for state in states {
            let body = json!({"state": state, "reason": "as planned"}).to_string();
            server.put(&format!("/v1/devices/{serial}/state"), body).await.is(200);
        }
        let made = facts(json!({"state": "pre-activation"}));
        let path = format!("/v1/devices/{serial}");
        server.put(&path, made).await.is_problem(409, "device-conflict");
        assert_eq!(device(&server, serial).await["vouched"], false, "nothing changed");
        server.put(&path, facts(json!({"state": "active"}))).await.is(200);
    }
    // Without anybody's word the state is filled in like all else.
    server.put("/v1/devices/C", facts(json!({}))).await.is(201);
    server.put("/v1/devices/C", facts(json!({"state": "pre-activation"}))).await.is(200);
}

/// The identity that an earlier version took from a report.
#[tokio::test]
async fn srv54_an_identity_that_was_only_reported_gives_way() {
    let world = world();
    let server = world.start();
    let line = issuing(&world.root, 30, 1_700_000_000);
    server.put("/v1/issuers", line.clone()).await.is(201);
    report(&server, "A", facts(json!({}))).await.is(201);
    drop(server);
    let thief = hex::encode(key(60).public_key().to_cose_key());
    let sql = format!("UPDATE devices SET identity = x'{thief}'");
    world.change_database(Box::leak(sql.into_boxed_str())).await;
    let server = world.start();
    assert_eq!(device(&server, "A").await["identity"], thief);
    let cwt = hex::encode(device_at(&line, 30, 31, "A", 1_750_000_000));
    let claimed = server.put("/v1/devices/A", facts(json!({"credential": cwt}))).await.is(200).json();
    assert_eq!(claimed["identity"], hex::encode(key(31).public_key().to_cose_key()));
    assert_eq!(device(&server, "A").await["events"][0]["note"], "identity");
    let other = hex::encode(device_at(&line, 30, 32, "A", 1_750_000_001));
    server.put("/v1/devices/A", facts(json!({"credential": other}))).await.is_problem(409, "device-conflict");
}

#[tokio::test]
async fn srv55_an_older_credential_of_a_device_replaces_no_newer_one() {
    let world = world();
    let server = world.start();
    let line = issuing(&world.root, 30, 1_700_000_000);
    server.put("/v1/issuers", line.clone()).await.is(201);
    let cwt = |issued_at| hex::encode(device_at(&line, 30, 31, "A", issued_at));
    let put = async |cwt: &str| server.put("/v1/devices/A", facts(json!({"credential": cwt}))).await;
    let (old, new) = (cwt(1_750_000_000), cwt(1_750_000_001));
    put(&old).await.is(201);
    put(&new).await.is(200);
    let refused = put(&old).await;
    refused.is_problem(409, "credential-older");
    assert!(refused.json()["detail"].as_str().unwrap().contains("1750000001"), "{refused:?}");
    put(&cwt(1_750_000_001)).await.is_problem(409, "credential-contradicts");
    put(&new).await.is(200);
    assert_eq!(device(&server, "A").await["credential"]["cwt"], new);
    // One of another device, with whatever time, is refused as that.
    let other = hex::encode(device_at(&line, 30, 31, "B", 1_750_000_002));
    put(&other).await.is_problem(422, "credential-other-device");
}

#[tokio::test]
async fn srv58_anchors_of_an_earlier_time_replace_none_of_a_later_one() {
    let world = world();
    let server = world.start();
    let holds = |anchor: u64, at: u64| facts(json!({"anchors": [format!("{anchor:016x}")], "at": at}));
    report(&server, "A", holds(1, 200)).await.is(201);
    let late = report(&server, "A", holds(2, 150)).await.is(200).json();
    assert_eq!((&late["anchors"], &late["anchors_at"]), (&json!(["0000000000000001"]), &json!(200)));
    // What it runs has a time of its own.
    let runs = facts(json!({"version": "1.0", "at": 300}));
    let told = report(&server, "A", runs).await.is(200).json();
    assert_eq!((&told["stated_at"], &told["anchors_at"]), (&json!(300), &json!(200)));
    let told = report(&server, "A", holds(3, 250)).await.is(200).json();
    assert_eq!((&told["anchors"], &told["stated_at"]), (&json!(["0000000000000003"]), &json!(300)));
}

/// The server's clock was wrong once: what it noted then keeps nothing out for ever.
#[tokio::test]
async fn what_was_noted_of_a_time_to_come_gives_way() {
    let world = world();
    let server = world.start();
    let says = |version: &str, anchor: &str| facts(json!({"version": version, "anchors": [anchor]}));
    report(&server, "A", says("1.0", "0000000000000001")).await.is(201);
    drop(server);
    world.change_database("UPDATE devices SET stated_at = 99999999999, anchors_at = 99999999999").await;
    let server = world.start();
    let told = report(&server, "A", says("2.0", "0000000000000002")).await.is(200).json();
    assert_eq!((&told["version"], &told["anchors"]), (&json!("2.0"), &json!(["0000000000000002"])));
}

/// A key of AES-128 does not fit in, in pieces or as a name neither.
#[tokio::test]
async fn srv59_key_check_values_are_too_short_for_a_key_together() {
    let world = world();
    let server = world.start();
    let put = async |checks: &str| server.put("/v1/devices/A", facts(json!({"key_checks": checks}))).await;
    for bad in [
        "a=001122334455 b=66778899aabb c=ccdd",
        "a=001122334455 b=66778899aa c=eeff",
        "a=0011 b=2233 c=4455 d=6677 e=8899 f=aabb g=ccdd h=eeff",
        "00112233445566778899aabbccddeeff=0011",
        "a00112=0011",
        "a=00112233445566",
        "a=00",
        "abcdefghijklmnopqrstuvwxyzabcdefg=0011",
    ] {
        put(bad).await.is_problem(400, "request-malformed");
    }
    server.get("/v1/devices/A").await.is_problem(404, "device-unknown");
    put("auth-1=001122334455 update-2024=66778899aabb").await.is(201);
    let amend = json!({"key_checks": "a=001122334455 b=66778899aabb c=ccdd", "reason": "x"}).to_string();
    let bearer = bearer();
    let headers = [("authorization", &*bearer)];
    let answer = server.send(Method::PATCH, "/v1/devices/A", &headers, amend.into_bytes()).await;
    answer.is_problem(400, "request-malformed");
}

/// docs/attacks.md, SRV70. What is known already is reported on, and nobody else is kept out.
#[tokio::test]
async fn srv70_a_token_makes_no_more_devices_known_than_it_may() {
    let world = world();
    let other = "other-technician-token-0123456789";
    std::fs::write(world.token_file(), format!("{TOKEN}\nreport {TECHNICIAN}\nreport {other}\n")).unwrap();
    let server = world.start();
    let first = report(&server, "A-1", facts(json!({}))).await.is(201).json();
    drop(server);
    let technician = first["registered"]["by"].as_str().unwrap();
    let sql = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999)
         INSERT INTO devices (serial, vendor, class, last_seen, registered_at, registered_by)
         SELECT 'A-' || n, x'{vendor}', x'{class}', 0, 0, '{technician}' FROM numbers;
         -- Of a database from before it was noted who vouches.
         INSERT INTO devices (serial, vendor, class, last_seen, registered_at, registered_by, vouched)
         VALUES ('V', x'{vendor}', x'{class}', 0, 0, '{technician}', 1)",
        vendor = hex::encode(VENDOR),
        class = hex::encode(CLASS),
    );
    world.change_database(Box::leak(sql.into_boxed_str())).await;
    let server = world.start();
    report(&server, "A-10000", facts(json!({}))).await.is(201);
    let refused = report(&server, "B", facts(json!({}))).await;
    refused.is_problem(409, "device-limit");
    assert!(refused.json()["detail"].as_str().unwrap().contains("10000"), "{refused:?}");
    server.get("/v1/devices/B").await.is_problem(404, "device-unknown");
    report(&server, "A-2", facts(json!({"version": "1.0"}))).await.is(200);

    let bearer = format!("Bearer {other}");
    let headers = [("authorization", &*bearer)];
    server.send(Method::PUT, "/v1/devices/C", &headers, facts(json!({})).into_bytes()).await.is(201);
    server.put("/v1/devices/D", facts(json!({}))).await.is(201);
    // One for which a publisher vouches makes room for one.
    server.put("/v1/devices/A-3", facts(json!({}))).await.is(200);
    report(&server, "B", facts(json!({}))).await.is(201);
    report(&server, "E", facts(json!({}))).await.is_problem(409, "device-limit");
}
