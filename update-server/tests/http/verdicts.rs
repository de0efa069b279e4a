//! When a release is not offered any more: revocation, minimum, expiry, withdrawal.

use axum::http::Method;
use serde_json::json;
use suit_manifest::author::UpdateDescription;
use trust::author::{Minimum, RevocationRequest, sign_revocation};
use trust::{RevokedId, Role, UnixTime};
use update_server::domain::unix_now;

use crate::harness::*;

#[tokio::test]
async fn what_a_revoked_key_signed_is_neither_taken_nor_offered_any_more() {
    let world = World::new();
    let server = world.start();
    let (lost, kept) = (release_key(&world.root), release_key(&world.root));
    let image = image(1, 1000);
    server.publish(&image, &envelope(&image, 1, &kept)).await.is(201);
    let release = server.publish(&image, &envelope(&image, 2, &lost)).await.is(201).json();
    assert_eq!(server.listed().await, [2, 1]);

    server.put("/v1/revocations", revocation(&world.root, 1, &[lost.kid()])).await.is(201);
    assert_eq!(server.listed().await, [1]);
    assert_eq!(server.latest().await.json()["sequence"], json!(1));
    server.get(&envelope_path(&release)).await.is_problem(410, "key-revoked");
    server.post("/v1/releases", envelope(&image, 3, &lost)).await.is_problem(422, "key-revoked");
    // Nor is the old one a success when it is sent again.
    server.post("/v1/releases", envelope(&image, 2, &lost)).await.is_problem(422, "key-revoked");

    // By its cti, and after a restart.
    let request = RevocationRequest {
        revoked: [RevokedId::Key(lost.kid()), RevokedId::Credential(kept.cti)]
            .map(|id| id.revoked(Role::Release, 0))
            .to_vec(),
        ..revocation_request(2)
    };
    server.put("/v1/revocations", sign_revocation(&request, &world.root).unwrap()).await.is(200);
    drop(server);
    let server = world.start();
    server.latest().await.is_problem(404, "release-not-offered");
    server.post("/v1/releases", envelope(&image, 4, &kept)).await.is_problem(422, "credential-revoked");

    // The same manifest under a new key is the same release, offered again.
    let new = release_key(&world.root);
    let again = server.post("/v1/releases", envelope(&image, 2, &new)).await.is(201).json();
    assert_eq!(again["manifest_digest"], release["manifest_digest"]);
    assert_ne!(again["envelope_sha256"], release["envelope_sha256"]);
    assert_eq!(server.latest().await.is(200).json(), again);
    assert_eq!(server.get(&envelope_path(&release)).await.is(200).body, envelope(&image, 2, &new));
}

#[tokio::test]
async fn what_lies_under_a_minimum_sequence_is_not_offered() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    for sequence in 1..=3 {
        server.publish(&image, &envelope(&image, sequence, &key)).await.is(201);
    }
    let request = RevocationRequest {
        minimum_sequences: [(OTHER_CLASS, 9), (CLASS, 3)]
            .map(|(class, sequence)| Minimum { vendor: VENDOR, class: Some(class), sequence })
            .to_vec(),
        ..revocation_request(1)
    };
    server.put("/v1/revocations", sign_revocation(&request, &world.root).unwrap()).await.is(201);
    assert_eq!(server.listed().await, [3]);
    server.post("/v1/releases", envelope(&image, 2, &key)).await.is_problem(422, "sequence-below-minimum");
    server.post("/v1/releases", envelope(&image, 4, &key)).await.is(201);
}

#[tokio::test]
async fn a_release_ends_with_its_credential() {
    let world = World::new();
    let server = world.start();
    let expires = unix_now() + 3;
    let key = release_key_with(&world.root, |it| it.expires = Some(UnixTime(expires)));
    let image = image(1, 1000);
    server.publish(&image, &envelope(&image, 1, &key)).await.is(201);
    while unix_now() < expires {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let latest = server.latest().await;
    latest.is_problem(404, "release-not-offered");
    assert!(latest.json()["detail"].as_str().unwrap().contains("credential-expired"), "{latest:?}");
    assert_eq!(server.listed().await, [0; 0]);
    let path = format!("/v1/releases?vendor={}&class={}&all=true", uuid(VENDOR), uuid(CLASS));
    let all = server.get(&path).await.is(200).json();
    let release = &all["releases"][0];
    assert_eq!((&release["status"], &release["refusal"]), (&json!("refused"), &json!("credential-expired")));
    assert_eq!(release["version"], json!("1.0.0"));
}

#[tokio::test]
async fn a_release_is_withdrawn_with_a_reason_and_offered_again() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    server.publish(&image, &envelope(&image, 1, &key)).await.is(201);
    let bad = envelope(&image, 2, &key);
    let release = server.publish(&image, &bad).await.is(201).json();
    let path = format!("/v1/releases/{}", release["manifest_digest"].as_str().unwrap());
    let withdrawal = format!("{path}/withdrawal");
    let reason = json!({"reason": "bricks hardware revision C"});

    // Without the token, without a reason, of what is not there.
    server
        .send(Method::PUT, &withdrawal, &[], reason.to_string().into())
        .await
        .is_problem(401, "unauthorized");
    server.send(Method::DELETE, &withdrawal, &[], Vec::new()).await.is_problem(401, "unauthorized");
    let long = json!({"reason": "x".repeat(201)}).to_string();
    for body in ["", "{}", "{\"reason\": \"\"}", "{\"reason\": \" \"}", "{\"reason\": \"a\\nb\"}", &long] {
        server.put(&withdrawal, body).await.is_problem(400, "request-malformed");
    }
    let unknown = format!("/v1/releases/{}/withdrawal", sha256(b"unknown"));
    server.put(&unknown, reason.to_string()).await.is_problem(404, "release-unknown");
    assert_eq!(server.listed().await, [2, 1]);

    let withdrawn = server.put(&withdrawal, reason.to_string()).await.is(200).json();
    assert_eq!(
        (&withdrawn["status"], &withdrawn["withdrawn"]["reason"]),
        (&json!("withdrawn"), &reason["reason"])
    );
    assert_eq!(server.listed().await, [1]);
    assert_eq!(server.latest().await.json()["sequence"], json!(1));
    let gone = server.get(&envelope_path(&release)).await;
    gone.is_problem(410, "release-withdrawn");
    assert!(gone.json()["detail"].as_str().unwrap().contains("revision C"));
    // It stays: its number is taken, and to publish it again does not offer it again.
    server.post("/v1/releases", bad.clone()).await.is_problem(409, "release-withdrawn");
    let another = UpdateDescription { version: "2.0.1".into(), ..description(&image, 2) };
    server.post("/v1/releases", sign(&another, &key)).await.is_problem(409, "sequence-taken");

    // Again is no second event; after a restart all is as it was.
    server.put(&withdrawal, reason.to_string()).await.is(200);
    drop(server);
    let server = world.start();
    assert_eq!(server.listed().await, [1]);
    let all = format!("/v1/releases?vendor={}&class={}&all=true", uuid(VENDOR), uuid(CLASS));
    let all = server.get(&all).await.is(200).json();
    let status: Vec<_> = all["releases"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(status, [json!("withdrawn"), json!("offered")]);

    let restored =
        server.send(Method::DELETE, &withdrawal, &[("authorization", &bearer())], Vec::new()).await;
    assert_eq!(
        (&restored.is(200).json()["status"], &restored.json()["withdrawn"]),
        (&json!("offered"), &json!(null))
    );
    assert_eq!(server.listed().await, [2, 1]);
    assert_eq!(server.get(&envelope_path(&release)).await.is(200).body, bad);
    let shown = server.get(&path).await.is(200).json();
    let events = shown["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["release-restored", "release-withdrawn", "release-published"]);
    assert_eq!((&events[1]["reason"], &events[0]["reason"]), (&reason["reason"], &json!(null)));
    server
        .send(Method::DELETE, &path, &[("authorization", &bearer())], Vec::new())
        .await
        .is_problem(405, "method-not-allowed");
}
