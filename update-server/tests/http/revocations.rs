//! `/v1/revocations`.

use serde_json::json;
use trust::author::{RevocationRequest, Signer as _, SoftwareKey, sign_revocation};
use trust::{MAX_LIST_SEQUENCE, RevokedId, Role};

use crate::harness::*;

#[tokio::test]
async fn only_a_newer_list_replaces_a_list() {
    let world = World::new();
    let server = world.start();
    let kid = world.root.public_key().kid();
    let path = format!("/v1/revocations/{}", hex::encode(kid.0));
    assert_eq!(server.get("/v1/revocations").await.is(200).json(), json!({"revocations": []}));
    server.get(&path).await.is_problem(404, "revocation-list-unknown");

    let gone = release_key(&world.root);
    let second = revocation(&world.root, 2, &[gone.kid()]);
    let stored = server.put("/v1/revocations", second.clone()).await;
    assert_eq!(
        stored.is(201).json(),
        json!({"domain": hex::encode(kid.0), "issuer_kid": hex::encode(kid.0), "list_sequence": 2})
    );
    server.put("/v1/revocations", second.clone()).await.is(200);
    let older = revocation(&world.root, 1, &[gone.kid()]);
    server.put("/v1/revocations", older).await.is_problem(409, "revocation-sequence");
    // Of one number and other bytes: neither the older nor the newer.
    let forked = revocation(&world.root, 2, &[]);
    server.put("/v1/revocations", forked).await.is_problem(409, "revocation-forked");
    let raw = server.get(&path).await;
    assert_eq!((raw.is(200).header("content-type"), &raw.body[..]), (Some("application/cwt"), &second[..]));
    let told = json!({"revocations": [
        {"domain": hex::encode(kid.0), "issuer_kid": hex::encode(kid.0), "list_sequence": 2, "revoked": [hex::encode(gone.kid().0)]}
    ]});
    assert_eq!(server.get("/v1/revocations").await.json(), told);

    let request = RevocationRequest {
        revoked: [RevokedId::Key(gone.kid()), RevokedId::Credential(gone.cti)]
            .map(|id| id.revoked(Role::Release, 0))
            .to_vec(),
        ..revocation_request(MAX_LIST_SEQUENCE)
    };
    let last = sign_revocation(&request, &world.root).unwrap();
    server.put("/v1/revocations", last.clone()).await.is(200);
    assert_eq!(server.get(&path).await.body, last);
    let told = server.get("/v1/revocations").await.json();
    assert_eq!(told["revocations"][0]["list_sequence"], json!(MAX_LIST_SEQUENCE));
    assert_eq!(told["revocations"][0]["revoked"], json!([hex::encode(gone.kid().0), hex::encode(gone.cti)]));
    server.put("/v1/revocations", second).await.is_problem(409, "revocation-sequence");

    // It is still so after a restart.
    drop(server);
    let server = world.start();
    assert_eq!(server.get(&path).await.body, last);
}

#[tokio::test]
async fn a_newer_list_takes_nothing_back() {
    let world = World::new();
    let server = world.start();
    let (stolen, other) = (release_key(&world.root), release_key(&world.root));
    let first = revocation(&world.root, 1, &[stolen.kid()]);
    server.put("/v1/revocations", first.clone()).await.is(201);
    let dropping = revocation(&world.root, 2, &[other.kid()]);
    server.put("/v1/revocations", dropping).await.is_problem(409, "revocation-drops-entry");
    let path = format!("/v1/revocations/{}", hex::encode(world.root.public_key().kid().0));
    assert_eq!(server.get(&path).await.body, first, "the stored list stays");
    let image = image(1, 100);
    server.publish(&image, &envelope(&image, 1, &stolen)).await.is_problem(422, "key-revoked");
    let whole = revocation(&world.root, 2, &[stolen.kid(), other.kid()]);
    server.put("/v1/revocations", whole).await.is(200);
}

#[tokio::test]
async fn a_fork_of_a_list_is_refused_and_ended_by_a_list_above_both() {
    let world = World::new();
    let server = world.start();
    let (one, other) = (release_key(&world.root), release_key(&world.root));
    let held = revocation(&world.root, 5, &[one.kid()]);
    server.put("/v1/revocations", held.clone()).await.is(201);
    let fork = revocation(&world.root, 5, &[other.kid()]);
    server.put("/v1/revocations", fork).await.is_problem(409, "revocation-forked");
    let path = format!("/v1/revocations/{}", hex::encode(world.root.public_key().kid().0));
    assert_eq!(server.get(&path).await.body, held);
    server.put("/v1/revocations", revocation(&world.root, 6, &[one.kid(), other.kid()])).await.is(200);
    // Also after a restart.
    drop(server);
    let server = world.start();
    let fork = revocation(&world.root, 6, &[other.kid(), one.kid()]);
    server.put("/v1/revocations", fork).await.is_problem(409, "revocation-forked");
}

#[tokio::test]
async fn of_lists_that_come_at_once_the_newest_stays() {
    let world = World::new();
    let server = world.start();
    let lists: Vec<_> = (1..=12).map(|sequence| revocation(&world.root, sequence, &[])).collect();
    let answers =
        futures::future::join_all(lists.iter().map(|list| server.put("/v1/revocations", list.clone()))).await;
    assert!(answers.iter().all(|answer| [200, 201, 409].contains(&answer.status.as_u16())), "{answers:?}");
    assert_eq!(server.get("/v1/revocations").await.json()["revocations"][0]["list_sequence"], json!(12));
}

#[tokio::test]
async fn a_list_that_does_not_verify_is_refused() {
    let world = World::new();
    let server = world.start();
    let foreign = SoftwareKey::generate().unwrap();
    server.put("/v1/revocations", revocation(&foreign, 1, &[])).await.is_problem(422, "anchor-unknown");
    // A release key signs no lists, though its credential is good.
    let release = release_key(&world.root);
    server.put("/v1/revocations", revocation(&release.key, 1, &[])).await.is_problem(422, "anchor-unknown");
    server.put("/v1/revocations", release.credential.clone()).await.is_problem(422, "record-type");
    let list = revocation(&world.root, 1, &[release.kid()]);
    let mut signature = list.clone();
    *signature.last_mut().unwrap() ^= 1;
    server.put("/v1/revocations", signature).await.is_problem(422, "signature-invalid");
    for malformed in
        [&b""[..], &list[..list.len() - 1], b"{}", &[0xff; 1024], &[list.as_slice(), &[0]].concat()]
    {
        server.put("/v1/revocations", malformed).await.is_problem(400, "record-malformed");
    }
    server.put("/v1/revocations", vec![0; 1536]).await.is_problem(400, "record-malformed");
    server.put("/v1/revocations", vec![0; 1537]).await.is_problem(413, "body-too-large");
    assert_eq!(server.get("/v1/revocations").await.json(), json!({"revocations": []}));
    for kid in ["00", "XYZ", &"A".repeat(16), "..%2f..%2f", &"0".repeat(17)] {
        server.get(&format!("/v1/revocations/{kid}")).await.is_problem(400, "request-malformed");
    }
    server.put("/v1/revocations", list).await.is(201);
}

#[tokio::test]
async fn every_flipped_bit_of_a_list_is_refused() {
    let world = World::new();
    let server = world.start();
    let list = revocation(&world.root, 3, &[release_key(&world.root).kid()]);
    // All of them at the library (trust does); here a sample that walks through every byte.
    for position in 0..list.len() {
        let mut flipped = list.clone();
        flipped[position] ^= 1 << (position % 8);
        let answer = server.put("/v1/revocations", flipped).await;
        assert!([400, 422].contains(&answer.status.as_u16()), "byte {position}: {answer:?}");
    }
    assert_eq!(server.get("/v1/revocations").await.json(), json!({"revocations": []}));
}
