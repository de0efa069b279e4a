//! `/v1/devices`.

use axum::http::Method;
use serde_json::{Value, json};
use trust::author::Signer as _;

use crate::harness::*;

fn facts() -> Value {
    json!({"vendor": uuid(VENDOR), "class": uuid(CLASS)})
}

fn with(mut value: Value, name: &str, member: impl Into<Value>) -> Vec<u8> {
    value[name] = member.into();
    value.to_string().into_bytes()
}

#[tokio::test]
async fn a_device_is_registered_brought_up_to_date_and_told_of() {
    let world = World::new();
    let server = world.start();
    server.get("/v1/devices/SN-1").await.is_problem(404, "device-unknown");
    assert_eq!(server.get("/v1/devices").await.is(200).json(), json!({"devices": []}));

    let key = hex::encode(world.root.public_key().to_cose_key());
    let mut full = facts();
    full["version"] = "1.0.0".into();
    full["sequence"] = u64::MAX.into();
    full["identity"] = key.clone().into();
    let device = server.put("/v1/devices/SN-1", full.to_string()).await.is(201).json();
    assert_eq!((&device["serial"], &device["sequence"]), (&json!("SN-1"), &json!(u64::MAX)));
    assert_eq!((&device["vendor"], &device["identity"]), (&json!(uuid(VENDOR)), &json!(key)));
    assert!(device["last_seen"].as_u64().unwrap() > 1_700_000_000 && device.get("events").is_none());

    let device = server.put("/v1/devices/SN-1", with(facts(), "version", "1.1.0")).await.is(200).json();
    // Another version is of another release: its number is not known.
    assert_eq!((&device["version"], &device["sequence"]), (&json!("1.1.0"), &Value::Null));
    assert_eq!(&device["identity"], &json!(key));

    server
        .put("/v1/devices/SN-1", with(facts(), "class", uuid(OTHER_CLASS)))
        .await
        .is_problem(409, "device-conflict");
    let other = hex::encode(release_key(&world.root).key.public_key().to_cose_key());
    server.put("/v1/devices/SN-1", with(facts(), "identity", other)).await.is_problem(409, "device-conflict");
    let unchanged = server.get("/v1/devices/SN-1").await.is(200).json();
    assert_eq!((&unchanged["class"], &unchanged["version"]), (&json!(uuid(CLASS)), &json!("1.1.0")));
    assert_eq!((&unchanged["identity"], &unchanged["events"]), (&json!(key), &json!([])));
}

#[tokio::test]
async fn events_are_kept_and_the_last_hundred_shown() {
    let world = World::new();
    let server = world.start();
    let event = |sequence: u64| json!({"kind": "update-installed", "sequence": sequence}).to_string();
    server.post("/v1/devices/A/events", event(1)).await.is_problem(404, "device-unknown");
    server.put("/v1/devices/A", facts().to_string()).await.is(201);
    for sequence in 1..=101 {
        server.post("/v1/devices/A/events", event(sequence)).await.is(201);
    }
    let confirmed = json!({
        "kind": "update-confirmed", "release": sha256(b"manifest"), "version": "2.0.0", "sequence": 102,
        "at": 1_700_000_000_u64
    });
    assert_eq!(server.post("/v1/devices/A/events", confirmed.to_string()).await.is(201).body.len(), 0);
    let refused = json!({"kind": "update-refused", "version": "1.0.0", "reason": "sequence-rollback"});
    server.post("/v1/devices/A/events", refused.to_string()).await.is(201);
    let list = json!({"kind": "list-refused", "reason": "revocation-forked"});
    server.put("/v1/devices/B", facts().to_string()).await.is(201);
    server.post("/v1/devices/B/events", list.to_string()).await.is(201);
    let other = server.get("/v1/devices/B").await.is(200).json();
    assert_eq!(
        (&other["events"][0]["kind"], &other["events"][0]["reason"]),
        (&json!("list-refused"), &json!("revocation-forked"))
    );

    let device = server.get("/v1/devices/A").await.is(200).json();
    assert_eq!((&device["version"], &device["sequence"]), (&json!("2.0.0"), &json!(102)));
    let events = device["events"].as_array().unwrap();
    assert_eq!(events.len(), 100);
    assert_eq!(
        (&events[0]["kind"], &events[0]["reason"]),
        (&json!("update-refused"), &json!("sequence-rollback"))
    );
    assert_eq!(
        (&events[1]["release"], &events[1]["at"]),
        (&json!(sha256(b"manifest")), &json!(1_700_000_000))
    );
    assert_eq!((&events[2]["sequence"], &events[99]["sequence"]), (&json!(101), &json!(4)));
    assert!(events.iter().all(|event| event["received_at"].as_u64().unwrap() > 1_700_000_000));
}

#[tokio::test]
async fn a_report_that_comes_late_is_kept_and_undoes_nothing() {
    let world = World::new();
    let server = world.start();
    let runs = |version: &str, at: u64| {
        json!({"vendor": uuid(VENDOR), "class": uuid(CLASS), "version": version, "at": at}).to_string()
    };
    server.put("/v1/devices/A", runs("1.0", 100)).await.is(201);
    server.put("/v1/devices/A", runs("3.0", 200)).await.is(200);
    let late = json!({"kind": "update-confirmed", "version": "2.0", "sequence": 2, "at": 150});
    server.post("/v1/devices/A/events", late.to_string()).await.is(201);
    let device = server.get("/v1/devices/A").await.is(200).json();
    assert_eq!((&device["version"], &device["sequence"]), (&json!("3.0"), &Value::Null));
    assert_eq!((&device["events"][0]["version"], &device["events"][0]["at"]), (&json!("2.0"), &json!(150)));
}

/// Its time of arrival counts; the same of it again is one all the same.
#[tokio::test]
async fn a_time_in_the_future_is_none() {
    let world = World::new();
    let server = world.start();
    server.put("/v1/devices/A", facts().to_string()).await.is(201);
    for at in [4_000_000_000_u64, 1 << 63] {
        let report =
            json!({"kind": "update-started", "version": "2.0.0", "sequence": at / 1_000_000, "at": at});
        for _ in 0..2 {
            server.post("/v1/devices/A/events", report.to_string()).await.is(201);
        }
    }
    let device = server.get("/v1/devices/A").await.is(200).json();
    let events = device["events"].as_array().unwrap();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events.iter().all(|event| event["at"].is_null() && event["received_at"].is_u64()), "{events:?}");
}

#[tokio::test]
async fn a_report_that_is_sent_again_is_kept_once() {
    let world = World::new();
    let server = world.start();
    server.put("/v1/devices/A", facts().to_string()).await.is(201);
    let event = json!({"kind": "update-refused", "reason": "class-mismatch", "at": 150});
    let other = json!({"kind": "update-refused", "reason": "vendor-mismatch", "at": 150});
    let later = json!({"kind": "update-refused", "reason": "class-mismatch", "at": 151});
    for event in [&event, &event, &other, &later, &event, &later] {
        server.post("/v1/devices/A/events", event.to_string()).await.is(201);
    }
    let device = server.get("/v1/devices/A").await.is(200).json();
    let events: Vec<_> =
        device["events"].as_array().unwrap().iter().map(|it| (&it["reason"], &it["at"])).collect();
    let kept = [&later, &other, &event].map(|event| (&event["reason"], &event["at"]));
    assert_eq!(events, kept);
}

#[tokio::test]
async fn any_printable_serial_names_a_device_and_the_list_goes_on() {
    let world = World::new();
    let server = world.start();
    let serials = ["a...", "a%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd", "a%20b", "%25", "%27%3B--", "~"];
    for serial in serials {
        // `..` in a path is the client's to resolve: it has to be escaped.
        let serial = serial.replace('.', "%2E");
        server.put(&format!("/v1/devices/{serial}"), facts().to_string()).await.is(201);
        server.get(&format!("/v1/devices/{serial}")).await.is(200);
    }
    let mut names = Vec::<String>::new();
    loop {
        let path = match names.last() {
            None => "/v1/devices?limit=4".to_owned(),
            Some(last) => format!("/v1/devices?limit=4&after={}", escape(last)),
        };
        let list = server.get(&path).await.is(200).json();
        let devices = list["devices"].as_array().unwrap();
        if devices.is_empty() {
            break;
        }
        names.extend(devices.iter().map(|device| device["serial"].as_str().unwrap().to_owned()));
    }
    assert_eq!(names, ["%", "';--", "a b", "a...", "a/../../etc/passwd", "~"]);
    assert!(!world.path("etc").exists());
    // A client's URL cannot name a folder, nor a folder show what begins with a full stop, and nobody sees a space at the end of a label.
    for serial in ["%2E%2E", "%2E", "%2Ea", "%20a", "a%20"] {
        server.put(&format!("/v1/devices/{serial}"), facts().to_string()).await.is(400);
    }
}

fn escape(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[tokio::test]
async fn what_is_malformed_is_refused() {
    let world = World::new();
    let server = world.start();
    for serial in ["%00", "%0a", "%c3%bc", "%ff%fe", &"x".repeat(33), "a%7f"] {
        let path = format!("/v1/devices/{serial}");
        server.put(&path, facts().to_string()).await.is_problem(400, "request-malformed");
        server.get(&path).await.is_problem(400, "request-malformed");
    }
    for body in [
        b"".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"\xff\xfe".to_vec(),
        b"{\"vendor\": \"\xc3\x28\"}".to_vec(),
        "{\"vendor\": 1}".into(),
        json!({"vendor": uuid(VENDOR)}).to_string().into_bytes(),
        with(facts(), "vendor", "acme"),
        with(facts(), "serial", "A"),
        with(facts(), "version", ""),
        with(facts(), "version", "1.0\u{0}"),
        with(facts(), "sequence", -1),
        with(facts(), "sequence", 1.5),
        with(facts(), "identity", "00"),
        with(facts(), "at", "yesterday"),
        facts().to_string().replace('}', ", \"sequence\": 18446744073709551616}").into_bytes(),
        format!("{}{}", facts(), facts()).into_bytes(),
        "[".repeat(4000).into_bytes(),
    ] {
        let answer = server.put("/v1/devices/A", body.clone()).await;
        assert_eq!(answer.status, 400, "{} {answer:?}", String::from_utf8_lossy(&body));
        answer.is_problem(400, "request-malformed");
    }
    server.put("/v1/devices/A", vec![b' '; 4097]).await.is_problem(413, "body-too-large");
    server.get("/v1/devices/A").await.is_problem(404, "device-unknown");

    server.put("/v1/devices/A", facts().to_string()).await.is(201);
    let event = json!({"kind": "update-started"});
    for body in [
        with(event.clone(), "kind", "update-exploded"),
        with(event.clone(), "release", "abc"),
        with(event.clone(), "release", sha256(b"").to_uppercase()),
        with(event.clone(), "reason", "Not A Slug"),
        with(event.clone(), "at", "yesterday"),
        b"{}".to_vec(),
    ] {
        server.post("/v1/devices/A/events", body).await.is_problem(400, "request-malformed");
    }
    let events = server.get("/v1/devices/A").await.json()["events"].clone();
    assert_eq!(events, json!([]));
    for query in
        ["limit=x", "limit=0", "limit=1001", "limit=70000", "limit=-1", "after=%ff", "page=2", "after=%00"]
    {
        server.get(&format!("/v1/devices?{query}")).await.is_problem(400, "request-malformed");
    }
    server.get("/v1/devices?limit=1000").await.is(200);
}

#[tokio::test]
async fn the_registry_keeps_manifest_release_key_and_anchors_of_what_runs() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let (release_kid, root) = (hex::encode(key.kid().0), hex::encode(world.root.public_key().kid().0));
    let (one, two) = (sha256(b"manifest one"), sha256(b"manifest two"));
    let runs = json!({
        "vendor": uuid(VENDOR), "class": uuid(CLASS), "version": "1.0", "sequence": 7,
        "manifest_digest": one, "release_kid": release_kid, "anchors": [root],
    });
    let device = server.put("/v1/devices/A", runs.to_string()).await.is(201).json();
    assert_eq!((&device["manifest_digest"], &device["release_kid"]), (&json!(one), &json!(release_kid)));
    assert_eq!(&device["anchors"], &json!([root]));

    // Said again with less, it stays.
    let device = server.put("/v1/devices/A", with(facts(), "sequence", 7)).await.is(200).json();
    assert_eq!((&device["manifest_digest"], &device["anchors"]), (&json!(one), &json!([root])));
    // Another image of the same number is another image, and its signer is not known.
    let device =
        server.put("/v1/devices/A", with(facts(), "manifest_digest", two.clone())).await.is(200).json();
    assert_eq!((&device["manifest_digest"], &device["sequence"]), (&json!(two), &Value::Null));
    assert_eq!((&device["release_kid"], &device["version"]), (&Value::Null, &Value::Null));
    // Of another number without a digest, none is known.
    let device = server.put("/v1/devices/A", with(facts(), "sequence", 8)).await.is(200).json();
    assert_eq!((&device["manifest_digest"], &device["version"]), (&Value::Null, &Value::Null));

    let confirmed = json!({
        "kind": "update-confirmed", "release": one, "release_kid": release_kid, "version": "9.0", "sequence": 9
    });
    server.post("/v1/devices/A/events", confirmed.to_string()).await.is(201);
    let installed = json!({"kind": "update-installed", "release": two, "sequence": 10});
    server.post("/v1/devices/A/events", installed.to_string()).await.is(201);
    let device = server.get("/v1/devices/A").await.is(200).json();
    assert_eq!((&device["manifest_digest"], &device["release_kid"]), (&json!(one), &json!(release_kid)));
    assert_eq!(&device["events"][1]["release_kid"], &json!(release_kid));

    let many: Vec<_> = (0..9).map(|n| format!("{n:016x}")).collect();
    for (name, value) in [
        ("manifest_digest", json!("00")),
        ("release_kid", json!(one)),
        ("release_kid", json!("A".repeat(16))),
        ("anchors", json!([])),
        ("anchors", json!([root, root])),
        ("anchors", json!(many)),
        ("anchors", json!(root)),
    ] {
        server.put("/v1/devices/A", with(facts(), name, value)).await.is_problem(400, "request-malformed");
    }
}

#[tokio::test]
async fn a_device_is_retired_and_taken_back() {
    let world = World::new();
    let server = world.start();
    let authorized = [("authorization", bearer())];
    let authorized = authorized.each_ref().map(|(name, value)| (*name, value.as_str()));
    let path = "/v1/devices/A/retirement";
    let reason = json!({"reason": "scrapped"}).to_string();
    server.put(path, reason.clone()).await.is_problem(404, "device-unknown");
    for serial in ["A", "B"] {
        server.put(&format!("/v1/devices/{serial}"), facts().to_string()).await.is(201);
    }
    server.send(Method::PUT, path, &[], reason.clone().into()).await.is_problem(401, "unauthorized");
    server.send(Method::DELETE, path, &[], Vec::new()).await.is_problem(401, "unauthorized");
    server.put(path, "{\"reason\": \"\"}").await.is_problem(400, "request-malformed");

    let device = server.put(path, reason.clone()).await.is(200).json();
    assert_eq!(&device["retired"]["reason"], &json!("scrapped"));
    assert!(device["retired"]["at"].as_u64().unwrap() > 1_700_000_000);
    server.put(path, "{}").await.is(200);
    // Another reason takes the place of the one before.
    let device = server.put(path, json!({"reason": "sold"}).to_string()).await.is(200).json();
    assert_eq!(&device["retired"]["reason"], &json!("sold"));
    server.put(path, reason.clone()).await.is(200);
    let listed = async |query: &str| {
        let list = server.get(&format!("/v1/devices{query}")).await.is(200).json();
        let devices = list["devices"].as_array().unwrap().clone();
        devices.iter().map(|device| device["serial"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed("").await, ["A", "B"]);
    assert_eq!(listed("?retired=true").await, ["A"]);
    assert_eq!(listed("?retired=false").await, ["B"]);
    // It is heard all the same, and stays retired.
    server.post("/v1/devices/A/events", json!({"kind": "update-started"}).to_string()).await.is(201);
    let device = server.put("/v1/devices/A", with(facts(), "version", "2.0")).await.is(200).json();
    assert_eq!((&device["version"], &device["retired"]["reason"]), (&json!("2.0"), &json!("scrapped")));

    let device = server.send(Method::DELETE, path, &authorized, Vec::new()).await.is(200).json();
    assert_eq!(&device["retired"], &Value::Null);
    server.send(Method::DELETE, path, &authorized, Vec::new()).await.is(200);
    let device = server.get("/v1/devices/A").await.is(200).json();
    let events = device["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["device-restored", "update-started", "device-retired", "device-retired", "device-retired"]
    );
    let notes: Vec<_> = events[2..].iter().map(|event| event["note"].clone()).collect();
    assert_eq!(notes, ["scrapped", "sold", "scrapped"]);
    assert_eq!(listed("?retired=true").await, [""; 0]);
}

#[tokio::test]
async fn a_token_for_reports_permits_reports_only() {
    let world = World::new();
    let technician = "the-token-of-a-technician";
    std::fs::write(world.token_file(), format!("{TOKEN}\nreport {technician}\n")).unwrap();
    let server = world.start();
    let bearer = format!("Bearer {technician}");
    let send = async |method: Method, path: &str, body: &str| {
        server.send(method, path, &[("authorization", &bearer)], body.as_bytes().to_vec()).await
    };
    send(Method::PUT, "/v1/devices/A", &facts().to_string()).await.is(201);
    let event = json!({"kind": "update-started"}).to_string();
    send(Method::POST, "/v1/devices/A/events", &event).await.is(201);
    let zeros = "0".repeat(64);
    for (method, path) in [
        (Method::PUT, format!("/v1/images/{zeros}")),
        (Method::POST, "/v1/releases".to_owned()),
        (Method::PUT, format!("/v1/releases/{zeros}/withdrawal")),
        (Method::DELETE, format!("/v1/releases/{zeros}/withdrawal")),
        (Method::PUT, "/v1/revocations".to_owned()),
        (Method::PUT, "/v1/devices/A/retirement".to_owned()),
        (Method::DELETE, "/v1/devices/A/retirement".to_owned()),
    ] {
        send(method, &path, "{}").await.is_problem(403, "report-token");
    }
    assert_eq!(&server.get("/v1/devices/A").await.json()["retired"], &Value::Null);
    server.put("/v1/devices/A/retirement", "{}").await.is(200);
}

#[tokio::test]
async fn the_serial_of_the_factory_state_names_no_device() {
    let world = World::new();
    let server = world.start();
    server.put("/v1/devices/unprovisioned", facts().to_string()).await.is_problem(400, "request-malformed");
    assert_eq!(server.get("/v1/devices").await.json()["devices"], json!([]));
}
