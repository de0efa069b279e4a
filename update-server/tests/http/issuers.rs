//! `/v1/issuers`: which credential of an issuing key counts.

use std::time::Duration;

use serde_json::{Value, json};
use trust::author::{
    CredentialRequest, DeviceCredentialRequest, Signer as _, SoftwareKey, SuccessionRequest,
    grant_succession, issue_credential, issue_device_credential, request_succession, sign_revocation,
};
use trust::{Domain, RevokedId, Rights, Role, SuccessionNumber, UnixTime};
use update_server::domain::order::MAX_ISSUED_AHEAD;
use update_server::domain::unix_now;

use crate::harness::*;

pub(crate) fn key(seed: u8) -> SoftwareKey {
    SoftwareKey::from_seed(&[seed; 32]).unwrap()
}

/// The credential of an issuing key, issued at this time.
pub(crate) fn issuing(root: &SoftwareKey, seed: u8, issued_at: u64) -> Vec<u8> {
    issuing_with(root, seed, |request| request.issued_at = UnixTime(issued_at))
}

pub(crate) fn issuing_with(
    root: &SoftwareKey,
    seed: u8,
    change: impl FnOnce(&mut CredentialRequest),
) -> Vec<u8> {
    let mut request = credential_request(&key(seed));
    (request.sub, request.role, request.sequence_ceiling) = ("line 1".into(), Role::Identity, None);
    change(&mut request);
    issue_credential(&request, root).unwrap()
}

/// The credential of a device with the key `seed`, under the issuing key `by`.
pub(crate) fn device(issuing: &[u8], by: u8, seed: u8, serial: &str) -> Vec<u8> {
    device_at(issuing, by, seed, serial, 1_750_000_000)
}

pub(crate) fn device_at(issuing: &[u8], by: u8, seed: u8, serial: &str, issued_at: u64) -> Vec<u8> {
    let request = DeviceCredentialRequest {
        iss: "line 1".into(),
        sub: serial.into(),
        key: key(seed).public_key(),
        vendor: VENDOR,
        class: CLASS,
        serial: serial.into(),
        issued_at: UnixTime(issued_at),
        expires: None,
        cti: trust::author::random_cti().unwrap(),
    };
    issue_device_credential(&request, issuing, &key(by)).unwrap()
}

/// Where the credential of an issuing key is, by the answer to its upload.
pub(crate) fn path_of(issuer: &Value) -> String {
    format!("/v1/issuers/{}/{}", issuer["domain"].as_str().unwrap(), issuer["kid"].as_str().unwrap())
}

fn with_credential(cwt: &[u8]) -> String {
    json!({"vendor": uuid(VENDOR), "class": uuid(CLASS), "credential": hex::encode(cwt)}).to_string()
}

/// The list of this number that takes back credentials by their ctis.
fn list(root: &SoftwareKey, sequence: u64, ctis: &[[u8; 16]]) -> Vec<u8> {
    let mut request = revocation_request(sequence);
    request.revoked = ctis.iter().map(|cti| RevokedId::Credential(*cti).revoked(Role::Identity, 0)).collect();
    sign_revocation(&request, root).unwrap()
}

#[tokio::test]
async fn srv50_a_credential_that_is_dated_ahead_is_refused_and_keeps_none_out() {
    let world = World::new();
    let server = world.start();
    let now = unix_now();
    let ahead = issuing(&world.root, 30, now + MAX_ISSUED_AHEAD + 600);
    let refused = server.put("/v1/issuers", ahead.clone()).await;
    refused.is_problem(422, "credential-issued-ahead");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(&(now + MAX_ISSUED_AHEAD + 600).to_string()), "{detail}");
    assert_eq!(server.get("/v1/issuers").await.json()["issuers"], json!([]));

    // Clocks differ: an hour is nothing.
    let issuer = server.put("/v1/issuers", issuing(&world.root, 30, now - 600)).await.is(201).json();
    let near = issuing(&world.root, 30, now + 3600);
    let told = server.put("/v1/issuers", near.clone()).await.is(200).json();
    assert_eq!((&told["issued_at"], &told["kid"]), (&json!(now + 3600), &issuer["kid"]));
    assert_eq!(server.get(&path_of(&issuer)).await.is(200).body, near);

    // The same of a device.
    let device = |at| with_credential(&device_at(&near, 30, 31, "A", at));
    let refused = server.put("/v1/devices/A", device(now + MAX_ISSUED_AHEAD + 600)).await;
    refused.is_problem(422, "credential-issued-ahead");
    server.get("/v1/devices/A").await.is_problem(404, "device-unknown");
    server.put("/v1/devices/A", device(now + 3600)).await.is(201);
}

/// One that an earlier version of the server took.
#[tokio::test]
async fn srv50_a_stored_credential_that_is_dated_ahead_gives_way() {
    let world = World::new();
    let server = world.start();
    let now = unix_now();
    let issuer = server.put("/v1/issuers", issuing(&world.root, 30, now)).await.is(201).json();
    drop(server);
    let ahead = hex::encode(issuing(&world.root, 30, now + 10 * MAX_ISSUED_AHEAD));
    let sql = format!("UPDATE issuers SET bytes = x'{ahead}'");
    world.change_database(Box::leak(sql.into_boxed_str())).await;
    let server = world.start();
    assert_eq!(hex::encode(server.get(&path_of(&issuer)).await.is(200).body.as_ref()), ahead);
    let sound = issuing(&world.root, 30, now - 1);
    server.put("/v1/issuers", sound.clone()).await.is(200);
    assert_eq!(server.get(&path_of(&issuer)).await.is(200).body, sound);
}

#[tokio::test]
async fn srv51_a_credential_that_no_longer_verifies_gives_way_to_an_earlier_one() {
    let world = World::new();
    let server = world.start();
    let now = unix_now();
    let mut cti = [0; 16];
    let revoked = issuing_with(&world.root, 30, |request| {
        request.issued_at = UnixTime(now);
        cti = request.cti;
    });
    let older = issuing(&world.root, 30, now - 10);
    let issuer = server.put("/v1/issuers", revoked.clone()).await.is(201).json();
    let path = path_of(&issuer);
    // While it counts, the older one does not take its place, and the answer says so.
    let refused = server.put("/v1/issuers", older.clone()).await;
    refused.is_problem(409, "credential-older");
    assert!(refused.json()["detail"].as_str().unwrap().contains(&now.to_string()), "{refused:?}");
    assert_eq!(server.get(&path).await.body, revoked);
    server.put("/v1/revocations", list(&world.root, 1, &[cti])).await.is(201);
    assert_eq!(server.get("/v1/issuers").await.json()["issuers"][0]["refusal"], "credential-revoked");
    let told = server.put("/v1/issuers", older.clone()).await.is(200).json();
    assert_eq!((&told["issued_at"], &told["refusal"]), (&json!(now - 10), &Value::Null));
    assert_eq!(server.get(&path).await.body, older);
    server.put("/v1/issuers", revoked).await.is_problem(422, "credential-revoked");

    // Expired.
    let short = issuing_with(&world.root, 32, |request| request.expires = Some(UnixTime(now + 3)));
    let issuer = server.put("/v1/issuers", short).await.is(201).json();
    let lasting = issuing(&world.root, 32, now - 20);
    server.put("/v1/issuers", lasting.clone()).await.is_problem(409, "credential-older");
    tokio::time::sleep(Duration::from_secs(4)).await;
    server.put("/v1/issuers", lasting.clone()).await.is(200);
    assert_eq!(server.get(&path_of(&issuer)).await.body, lasting);

    // Its root has retired: the next one certifies the key with whatever clock it has.
    let second = SoftwareKey::generate().unwrap();
    let request = SuccessionRequest {
        iss: "the next root".into(),
        issued_at: UnixTime(now),
        domain: Domain(world.root.public_key().kid()),
        number: SuccessionNumber { recovery_epoch: 0, succession_sequence: 1 },
        rights: Rights::FIRMWARE.and(Rights::GOVERNANCE).and(Rights::SUCCESSION),
    };
    let record = grant_succession(&request_succession(&request, &second).unwrap(), &world.root).unwrap();
    server.put("/v1/successions", record).await.is(201);
    let next = issuing(&second, 32, now - 30);
    let told = server.put("/v1/issuers", next.clone()).await.is(200).json();
    assert_eq!(path_of(&told), path_of(&issuer), "the domain stays");
    assert_eq!(server.get(&path_of(&issuer)).await.body, next);
}

#[tokio::test]
async fn srv51_two_credentials_of_one_time_contradict_each_other() {
    let world = World::new();
    let server = world.start();
    let now = unix_now();
    let (one, two) = (issuing(&world.root, 30, now), issuing(&world.root, 30, now));
    assert_ne!(one, two);
    let issuer = server.put("/v1/issuers", one.clone()).await.is(201).json();
    assert_eq!(server.put("/v1/issuers", one.clone()).await.is(200).json(), issuer, "again");
    server.put("/v1/issuers", two).await.is_problem(409, "credential-contradicts");
    assert_eq!(server.get(&path_of(&issuer)).await.body, one);
}

#[tokio::test]
async fn srv52_each_domain_has_its_own_credential_of_an_issuing_key() {
    let world = World::new();
    let other = SoftwareKey::generate().unwrap();
    let anchor = world.path("other.cose");
    std::fs::write(&anchor, other.public_key().to_cose_key()).unwrap();
    let start = || world.start_with(&["--anchor", anchor.to_str().unwrap()]);
    let server = start();
    let now = unix_now();
    let mut cti = [0; 16];
    let of_one = issuing_with(&world.root, 30, |request| {
        request.issued_at = UnixTime(now - 10);
        cti = request.cti;
    });
    let of_other = issuing(&other, 30, now - 20);
    let one = server.put("/v1/issuers", of_one.clone()).await.is(201).json();
    let two = server.put("/v1/issuers", of_other.clone()).await.is(201).json();
    assert_eq!(one["kid"], two["kid"]);
    assert_eq!(two["domain"], hex::encode(other.public_key().kid().0));
    assert_eq!(server.get(&path_of(&one)).await.is(200).body, of_one);
    assert_eq!(server.get(&path_of(&two)).await.is(200).body, of_other);
    assert_eq!(server.get("/v1/issuers").await.json()["issuers"].as_array().unwrap().len(), 2);
    for path in ["/v1/issuers/x/y", "/v1/issuers/0000000000000000/y", "/v1/issuers/x/0000000000000000"] {
        server.get(path).await.is_problem(400, "request-malformed");
    }
    let absent = "/v1/issuers/0000000000000000/0000000000000000";
    server.get(absent).await.is_problem(404, "issuer-unknown");

    // A device is verified through whichever of them verifies.
    server.put("/v1/devices/A", with_credential(&device(&of_one, 30, 31, "A"))).await.is(201);
    server.put("/v1/revocations", list(&world.root, 1, &[cti])).await.is(201);
    let refusal =
        async |server: &Server| server.get("/v1/devices/A").await.json()["credential"]["refusal"].clone();
    assert_eq!(refusal(&server).await, Value::Null);
    server.put("/v1/revocations", revocation(&other, 1, &[])).await.is(201);
    drop(server);

    // Those that a server stored before it knew of domains find theirs.
    world.change_database("UPDATE issuers SET domain = x'0000000000000000' WHERE rowid = 1").await;
    let server = start();
    let mut told: Vec<_> = server.get("/v1/issuers").await.json()["issuers"].as_array().unwrap().clone();
    told.sort_by_key(path_of);
    let mut paths = [path_of(&one), path_of(&two)];
    paths.sort();
    assert_eq!(told.iter().map(path_of).collect::<Vec<_>>(), paths);
    drop(server);

    // A damaged one keeps nothing else from being served.
    world
        .change_database("UPDATE issuers SET domain = x'0000000000000000', bytes = x'00' WHERE rowid = 1")
        .await;
    let server = start();
    server.get("/v1/issuers").await.is_problem(503, "database-damaged");
    server.get("/v1/live").await.is(200);
    drop(server);

    // Without any of them the device is still told of, with the reason.
    world.change_database("DELETE FROM issuers").await;
    let server = start();
    assert_eq!(refusal(&server).await, "issuer-unknown");
}
