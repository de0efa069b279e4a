//! The registry: who made a device, whose it is, where it is in its life, and its verified identity.

use axum::http::Method;
use serde_json::{Value, json};
use trust::author::{Signer as _, issue_credential};
use trust::{RevokedId, Role};

use crate::harness::*;
use crate::issuers::{device, issuing, key, path_of};

fn facts(more: Value) -> String {
    let mut facts = json!({"vendor": uuid(VENDOR), "class": uuid(CLASS)});
    for (name, value) in more.as_object().unwrap() {
        facts[name] = value.clone();
    }
    facts.to_string()
}

#[tokio::test]
async fn an_identity_is_verified_through_its_issuing_key() {
    let world = World::new();
    let server = world.start();
    let line = issuing(&world.root, 30, 1_700_000_000);
    let cwt = hex::encode(device(&line, 30, 31, "A-1"));
    let with = |cwt: &str| facts(json!({"credential": cwt}));
    server.put("/v1/devices/A-1", with(&cwt)).await.is_problem(409, "issuer-unknown");
    let issuer = server.put("/v1/issuers", line.clone()).await.is(201).json();
    assert_eq!((&issuer["name"], &issuer["refusal"]), (&json!("line 1"), &Value::Null));
    let path = path_of(&issuer);
    assert_eq!(server.get(&path).await.is(200).body, line);

    let made = server.put("/v1/devices/A-1", with(&cwt)).await.is(201).json();
    assert_eq!(made["identity"], hex::encode(key(31).public_key().to_cose_key()));
    let shown = server.get("/v1/devices/A-1").await.is(200).json();
    assert_eq!(shown["credential"], json!({"cwt": cwt, "refusal": null}));
    let registered = shown["registered"]["by"].as_str().unwrap();
    assert!(registered.starts_with("token-") && registered.len() == 14, "{registered}");

    // Another serial, class or key; forged; an issuing key that nobody certified; no device's.
    let other = hex::encode(device(&line, 30, 31, "A-2"));
    server.put("/v1/devices/A-1", with(&other)).await.is_problem(422, "credential-other-device");
    let class = json!({"vendor": uuid(VENDOR), "class": uuid(OTHER_CLASS), "credential": cwt}).to_string();
    server.put("/v1/devices/A-3", class).await.is_problem(422, "credential-other-device");
    let stranger = hex::encode(device(&line, 30, 32, "A-1"));
    server.put("/v1/devices/A-1", with(&stranger)).await.is_problem(409, "device-conflict");
    let both =
        facts(json!({"credential": stranger, "identity": hex::encode(key(31).public_key().to_cose_key())}));
    server.put("/v1/devices/A-4", both).await.is_problem(422, "credential-other-device");
    let mut forged = device(&line, 30, 33, "A-5");
    *forged.last_mut().unwrap() ^= 1;
    server.put("/v1/devices/A-5", with(&hex::encode(forged))).await.is_problem(422, "signature-invalid");
    server.put("/v1/devices/A-5", with(&hex::encode(&line))).await.is_problem(422, "credential-other-device");
    server.put("/v1/devices/A-5", with("zz")).await.is_problem(400, "request-malformed");
    let mut thief = credential_request(&key(40));
    (thief.role, thief.sequence_ceiling) = (Role::Identity, None);
    let foreign = issue_credential(&thief, &key(41)).unwrap();
    server.put("/v1/issuers", foreign).await.is_problem(422, "anchor-unknown");
    let release = issue_credential(&credential_request(&key(42)), &world.root).unwrap();
    server.put("/v1/issuers", release).await.is_problem(422, "role-mismatch");
    server.get("/v1/devices/A-5").await.is_problem(404, "device-unknown");

    // A renewed credential of the same issuing key takes the place of the older one, and not the reverse.
    let renewed = issuing(&world.root, 30, 1_760_000_000);
    server.put("/v1/issuers", renewed.clone()).await.is(200);
    server.put("/v1/issuers", line).await.is_problem(409, "credential-older");
    assert_eq!(server.get(&path).await.is(200).body, renewed);
    // A list takes the device back, and the issuing key.
    for (id, role, slug) in [(31, Role::Device, "key-revoked"), (30, Role::Identity, "key-revoked")] {
        let mut request = revocation_request(if role == Role::Device { 1 } else { 2 });
        request.revoked = vec![RevokedId::Key(key(31).public_key().kid()).revoked(Role::Device, 0)];
        if role == Role::Identity {
            request.revoked.insert(0, RevokedId::Key(key(id).public_key().kid()).revoked(Role::Identity, 0));
        }
        let list = trust::author::sign_revocation(&request, &world.root).unwrap();
        server.put("/v1/revocations", list).await;
        let shown = server.get("/v1/devices/A-1").await.is(200).json();
        assert_eq!(shown["credential"]["refusal"], slug, "{role:?}");
    }
    assert_eq!(server.get("/v1/issuers").await.is(200).json()["issuers"][0]["refusal"], "key-revoked");
}

#[tokio::test]
async fn what_production_says_needs_a_publishers_token_and_changes_with_a_reason_only() {
    let world = World::new();
    let technician = "technician-token-0123456789";
    std::fs::write(world.token_file(), format!("{TOKEN}\nreport {technician}\n")).unwrap();
    let server = world.start();
    let custody = json!({"line": "line 1", "owner": "Example Shipping", "state": "pre-activation", "key_checks": "update=a1b2c3"});
    let bearer_of_report = format!("Bearer {technician}");
    let headers = [("authorization", &*bearer_of_report)];
    let report = |body: String| server.send(Method::PUT, "/v1/devices/A", &headers, body.into_bytes());
    for name in ["line", "owner", "state", "key_checks"] {
        let one = facts(json!({name: custody[name]}));
        report(one).await.is_problem(403, "report-token");
    }
    let made = server.put("/v1/devices/A", facts(custody.clone())).await.is(201).json();
    for (name, value) in custody.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name}");
    }
    // The host's report, and the same registration again, change none of it; another one is refused.
    report(facts(json!({"version": "1.0"}))).await.is(200);
    server.put("/v1/devices/A", facts(custody.clone())).await.is(200);
    for (name, other) in
        [("line", "line 2"), ("owner", "Somebody"), ("state", "active"), ("key_checks", "update=ffff")]
    {
        server.put("/v1/devices/A", facts(json!({name: other}))).await.is_problem(409, "device-conflict");
    }
    // A key is no key-check value.
    for bad in [
        "update=00112233445566778899aabbccddeeff",
        "update",
        "Update=aabb",
        "a=aa",
        "a=aabb a=ccdd",
        "",
        "a=xyzw",
    ] {
        server
            .put("/v1/devices/B", facts(json!({"key_checks": bad})))
            .await
            .is_problem(400, "request-malformed");
    }
    let bearer = bearer();
    let headers = [("authorization", &*bearer)];
    let amend =
        |body: Value| server.send(Method::PATCH, "/v1/devices/A", &headers, body.to_string().into_bytes());
    amend(json!({"owner": "Somebody"})).await.is_problem(400, "request-malformed");
    amend(json!({"reason": "sold"})).await.is_problem(400, "request-malformed");
    amend(json!({"owner": "x".repeat(65), "reason": "sold"})).await.is_problem(400, "request-malformed");
    let changed = amend(json!({"owner": "Somebody", "line": null, "reason": "sold"})).await.is(200).json();
    assert_eq!(
        (&changed["owner"], &changed["line"], &changed["key_checks"]),
        (&json!("Somebody"), &Value::Null, &json!("update=a1b2c3"))
    );
    let event = &server.get("/v1/devices/A").await.is(200).json()["events"][0];
    assert_eq!(
        (&event["kind"], &event["note"]),
        (&json!("device-amended"), &json!("line: none; owner: Somebody; sold"))
    );
    assert!(event["reporter"].as_str().unwrap().starts_with("token-"));
}

#[tokio::test]
async fn a_life_goes_one_way() {
    let world = World::new();
    let mut server = world.start();
    server.put("/v1/devices/A", facts(json!({}))).await.is(201);
    async fn step(server: &Server, state: &str) -> Answer {
        let body = json!({"state": state, "reason": "as planned"}).to_string();
        server.put("/v1/devices/A/state", body).await
    }
    assert_eq!(server.get("/v1/devices/A").await.is(200).json()["state"], "active");
    step(&server, "pre-activation").await.is_problem(409, "state-transition");
    for state in ["suspended", "active", "active", "deactivated", "compromised"] {
        assert_eq!(step(&server, state).await.is(200).json()["state"], state);
    }
    for state in ["active", "suspended", "deactivated", "pre-activation"] {
        step(&server, state).await.is_problem(409, "state-transition");
    }
    server.put("/v1/devices/A/state", r#"{"state": "destroyed"}"#).await.is_problem(400, "request-malformed");
    step(&server, "gone").await.is_problem(400, "request-malformed");
    step(&server, "destroyed").await.is(200);
    let refused = step(&server, "active").await;
    refused.is_problem(409, "state-transition");
    assert!(refused.json()["detail"].as_str().unwrap().contains("Nothing follows"));
    server
        .put("/v1/devices/B/state", r#"{"state": "active", "reason": "x"}"#)
        .await
        .is_problem(404, "device-unknown");
    let events = server.get("/v1/devices/A").await.is(200).json();
    let notes: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|event| event["note"].clone()).collect();
    assert_eq!(notes.len(), 5, "the same again is no event: {notes:?}");
    assert_eq!(notes[0], "compromised to destroyed; as planned");
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.wait(std::time::Duration::from_secs(20)).unwrap();
    let server = world.start();
    assert_eq!(server.get("/v1/devices/A").await.is(200).json()["state"], "destroyed");
}

#[tokio::test]
async fn lists_are_filtered_and_go_out_and_in_as_csv() {
    let world = World::new();
    let server = world.start();
    let line = issuing(&world.root, 30, 1_700_000_000);
    server.put("/v1/issuers", line.clone()).await.is(201);
    let anchor = hex::encode(world.root.public_key().kid().0);
    let cwt = hex::encode(device(&line, 30, 31, "A-1"));
    let first = json!({"line": "one, \"two\"", "owner": "Ada", "credential": cwt, "anchors": [anchor], "state": "pre-activation",
        "key_checks": "auth=0102 update=a1b2c3", "sequence": u64::MAX, "version": "=1+1"});
    server.put("/v1/devices/A-1", facts(first)).await.is(201);
    server.put("/v1/devices/A-2", facts(json!({"line": "three", "version": "2"}))).await.is(201);
    server.put("/v1/devices/A-3", facts(json!({"owner": "Ada"}))).await.is(201);
    let serials = |query: &str| {
        let path = format!("/v1/devices?{query}");
        let server = &server;
        async move {
            let devices = server.get(&path).await.is(200).json();
            let serials =
                devices["devices"].as_array().unwrap().iter().map(|device| device["serial"].clone());
            serials.map(|serial| serial.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    for (query, expected) in [
        ("owner=Ada".to_owned(), &["A-1", "A-3"][..]),
        ("line=three".into(), &["A-2"]),
        ("state=pre-activation".into(), &["A-1"]),
        ("version=2".into(), &["A-2"]),
        (format!("anchor={anchor}"), &["A-1"]),
        ("anchor=0000000000000000".into(), &[]),
        ("unseen_since=1".into(), &[]),
        ("unseen_since=99999999999&owner=Ada&state=active".into(), &["A-3"]),
        (format!("vendor={}&class={}", uuid(VENDOR), uuid(CLASS)), &["A-1", "A-2", "A-3"]),
        (format!("class={}", uuid(OTHER_CLASS)), &[]),
    ] {
        assert_eq!(serials(&query).await, expected, "{query}");
    }
    for bad in ["state=gone", "anchor=x", "owner=", "line=%00"] {
        server.get(&format!("/v1/devices?{bad}")).await.is_problem(400, "request-malformed");
    }
    let answer = server.get("/v1/devices.csv").await;
    assert_eq!(answer.is(200).header("content-type"), Some("text/csv; charset=utf-8"));
    let csv = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!(csv.lines().count(), 4);
    let only = server.get("/v1/devices.csv?owner=Ada").await.is(200).body.to_vec();
    assert_eq!(String::from_utf8(only).unwrap().lines().count(), 3);

    // Into another server, which gives out the same again but for its own words.
    let other = World::new();
    let empty = other.start();
    let refused = empty.post("/v1/devices", csv.clone()).await;
    refused.is_problem(422, "rows-refused");
    assert_eq!(refused.json()["rows"][0]["code"], "issuer-unknown");
    assert_eq!(empty.get("/v1/devices").await.json(), json!({"devices": []}), "all or nothing");
    let without = csv.replace(&cwt, "");
    assert_eq!(
        empty.post("/v1/devices", without.clone()).await.is(200).json(),
        json!({"devices": 3, "new": 3, "identified": 0, "completed": 0, "unchanged": 0, "older_credentials": 0, "refused": []})
    );
    assert_eq!(
        empty.post("/v1/devices", without.clone()).await.is(200).json(),
        json!({"devices": 3, "new": 0, "identified": 0, "completed": 0, "unchanged": 3, "older_credentials": 0, "refused": []})
    );
    let said = |csv: &str| -> Vec<String> {
        csv.lines().map(|line| line.split(',').take(14).collect::<Vec<_>>().join(",")).collect()
    };
    let again = String::from_utf8(empty.get("/v1/devices.csv").await.body.to_vec()).unwrap();
    assert_eq!(said(&again), said(&without));
}
