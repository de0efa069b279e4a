//! Configuration tables beside firmware: neither is offered in the place of the other, nor in its way.

use serde_json::{Value, json};
use suit_manifest::Target;
use suit_manifest::author::UpdateDescription;
use trust::author::{Minimum, RevocationRequest, sign_revocation};

use crate::harness::*;

fn table(content: &[u8], sequence: u64) -> UpdateDescription {
    UpdateDescription { target: Target::Table, ..description(content, sequence) }
}

fn path(kind: &str, rest: &str) -> String {
    format!("/v1/releases{kind}?vendor={}&class={}{rest}", uuid(VENDOR), uuid(CLASS))
}

impl Server {
    async fn newest(&self, rest: &str) -> Value {
        self.get(&path("/latest", rest)).await.is(200).json()
    }

    async fn sequences(&self, rest: &str) -> Vec<u64> {
        let list = self.get(&path("", rest)).await.is(200).json();
        list["releases"].as_array().unwrap().iter().map(|it| it["sequence"].as_u64().unwrap()).collect()
    }
}

/// Devices ask for the newest release of their class, and who says nothing of a target means firmware.
#[tokio::test]
async fn suit60_a_table_is_not_offered_as_firmware() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let (content, image) = (image(1, 1000), image(2, 2000));
    let release = server.publish(&content, &sign(&table(&content, 7), &key)).await.is(201).json();
    assert_eq!((&release["target"], &release["sequence"]), (&json!("table"), &json!(7)));
    for rest in ["", "&target=firmware", "&all=true"] {
        assert_eq!(server.sequences(rest).await, [0; 0], "{rest}");
    }
    for rest in ["", "&target=firmware"] {
        server.get(&path("/latest", rest)).await.is_problem(404, "release-unknown");
    }
    assert_eq!(server.newest("&target=table").await, release);
    assert_eq!(server.get(&envelope_path(&release)).await.is(200).body, sign(&table(&content, 7), &key));

    // And the reverse.
    let firmware = server.publish(&image, &envelope(&image, 9, &key)).await.is(201).json();
    assert_eq!(firmware["target"], json!("firmware"));
    assert_eq!((server.newest("").await, server.newest("&target=table").await), (firmware, release));
    assert_eq!((server.sequences("").await, server.sequences("&target=table").await), (vec![9], vec![7]));
    for rest in ["&target=", "&target=Table", "&target=all", "&target=table&target=firmware"] {
        server.get(&path("/latest", rest)).await.is_problem(400, "request-malformed");
        server.get(&path("", rest)).await.is_problem(400, "request-malformed");
    }
}

/// One number for both, a newer one of each, withdrawals, releases for single devices.
#[tokio::test]
async fn srv65_a_table_and_firmware_are_not_in_the_way_of_each_other() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let (content, image) = (image(1, 1000), image(2, 2000));
    server.put_image(&content).await;
    server.put_image(&image).await;
    let mut digests = Vec::new();
    for description in
        [description(&image, 5), table(&content, 5), table(&content, 9), description(&image, 6)]
    {
        let posted = server.post("/v1/releases", sign(&description, &key)).await.is(201).json();
        digests.push(posted["manifest_digest"].as_str().unwrap().to_owned());
    }
    // Of its own series a number is taken.
    for another in [table(&content, 9), description(&image, 6)] {
        let another = UpdateDescription { version: "another".into(), ..another };
        server.post("/v1/releases", sign(&another, &key)).await.is_problem(409, "sequence-taken");
    }
    let both = async |server: &Server, device: &str| {
        let listed = server.sequences(device).await;
        (listed, server.sequences(&format!("&target=table{device}")).await)
    };
    assert_eq!(both(&server, "").await, (vec![6, 5], vec![9, 5]));

    // The newest of one is withdrawn, and all of the other.
    let reason = json!({"reason": "wrong gains"}).to_string();
    let withdrawal = |digest: &str| format!("/v1/releases/{digest}/withdrawal");
    server.put(&withdrawal(&digests[2]), &*reason).await.is(200);
    assert_eq!(both(&server, "").await, (vec![6, 5], vec![5]));
    for firmware in [&digests[0], &digests[3]] {
        server.put(&withdrawal(firmware), &*reason).await.is(200);
    }
    assert_eq!(both(&server, "").await, (vec![], vec![5]));
    let refused = server.get(&path("/latest", "")).await;
    refused.is_problem(404, "release-not-offered");
    assert!(refused.json()["detail"].as_str().unwrap().contains("sequence number 6"), "{refused:?}");
    assert_eq!(server.newest("&target=table").await["sequence"], json!(5));

    // A table for one device, with a higher number than all.
    let device = [7; 16];
    let single = UpdateDescription { device: Some(device), ..table(&content, 50) };
    server.post("/v1/releases", sign(&single, &key)).await.is(201);
    let named = format!("&device={}", uuid(device));
    assert_eq!(both(&server, "").await, (vec![], vec![5]));
    assert_eq!(both(&server, &named).await, (vec![], vec![50, 5]));

    // As the index is made at the start.
    drop(server);
    let server = world.start();
    assert_eq!(both(&server, &named).await, (vec![], vec![50, 5]));
    assert_eq!(both(&server, "&all=true").await, (vec![6, 5], vec![50, 9, 5]));
}

/// The database finds a release; its manifest says what it installs.
#[tokio::test]
async fn srv66_a_table_in_the_place_of_firmware_is_not_offered() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let content = image(1, 1000);
    server.publish(&content, &sign(&table(&content, 7), &key)).await.is(201);
    drop(server);
    world.change_database("UPDATE releases SET target = 'firmware'").await;
    let server = world.start();
    for rest in ["", "&target=table"] {
        assert_eq!(server.sequences(rest).await, [0; 0], "{rest}");
    }
    server.get(&path("/latest", "")).await.is_problem(404, "release-not-offered");
    assert!(server.log().contains("another place"));
}

/// What a list says of a class, it says of its tables too; what is said of a key likewise.
#[tokio::test]
async fn srv65_tables_end_with_their_key_and_below_the_minimum() {
    let world = World::new();
    let server = world.start();
    let (lost, kept) = (release_key(&world.root), release_key(&world.root));
    let content = image(1, 1000);
    server.put_image(&content).await;
    for (sequence, key) in [(1, &kept), (2, &kept), (3, &kept), (4, &lost)] {
        server.post("/v1/releases", sign(&table(&content, sequence), key)).await.is(201);
    }
    server.publish(&content, &envelope(&content, 1, &kept)).await.is(201);
    server.put("/v1/revocations", revocation(&world.root, 1, &[lost.kid()])).await.is(201);
    assert_eq!(
        (server.sequences("&target=table").await, server.sequences("").await),
        (vec![3, 2, 1], vec![1])
    );
    let request = RevocationRequest {
        minimum_sequences: vec![Minimum { vendor: VENDOR, class: Some(CLASS), sequence: 3 }],
        ..revocation_request(2)
    };
    let request = RevocationRequest {
        revoked: vec![trust::RevokedId::Key(lost.kid()).revoked(trust::Role::Release, 0)],
        ..request
    };
    server.put("/v1/revocations", sign_revocation(&request, &world.root).unwrap()).await.is(200);
    assert_eq!((server.sequences("&target=table").await, server.sequences("").await), (vec![3], vec![]));
    let late = server.post("/v1/releases", sign(&table(&content, 2), &kept)).await;
    late.is_problem(422, "sequence-below-minimum");
}
