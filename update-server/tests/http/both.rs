//! Releases of firmware and a table: a third target, with numbers of both series and the images of both.

use axum::http::Method;
use serde_json::{Value, json};
use suit_manifest::Target;
use suit_manifest::author::{SlotImage, UpdateDescription};

use crate::harness::*;

fn slot_image(content: &[u8], uri: &str) -> SlotImage {
    let described = description(content, 1);
    let (digest, size) = (described.image_digest, described.image_size);
    SlotImage { digest, size, uri: uri.into(), encryption: None }
}

fn both(firmware: &[u8], table: &[u8], sequence: u64) -> UpdateDescription {
    let table = slot_image(table, "ni:///sha-256;table");
    UpdateDescription { table: Some(table), ..description(firmware, sequence) }
}

fn path(kind: &str, rest: &str) -> String {
    format!("/v1/releases{kind}?vendor={}&class={}{rest}", uuid(VENDOR), uuid(CLASS))
}

impl Server {
    /// The sequence numbers that are listed of firmware, tables and both.
    async fn shelves(&self, rest: &str) -> [Vec<u64>; 3] {
        let mut shelves = [const { Vec::new() }; 3];
        for (target, shelf) in ["firmware", "table", "both"].into_iter().zip(&mut shelves) {
            let list = self.get(&path("", &format!("&target={target}{rest}"))).await.is(200).json();
            for release in list["releases"].as_array().unwrap() {
                assert_eq!(release["target"], json!(target));
                shelf.push(release["sequence"].as_u64().unwrap());
            }
        }
        shelves
    }
}

/// What a device without a table refuses, and what it runs no more when it takes half of it.
#[tokio::test]
async fn srv72_a_release_of_both_is_offered_to_who_asks_for_both() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let (firmware, table) = (image(1, 1000), image(2, 300));
    server.put_image(&table).await;
    let signed = sign(&both(&firmware, &table, 8), &key);
    let release = server.publish(&firmware, &signed).await.is(201).json();
    assert_eq!((&release["target"], &release["sequence"]), (&json!("both"), &json!(8)));
    let of = |content: &[u8], uri| json!({"sha256": sha256(content), "size": content.len(), "uri": uri});
    assert_eq!(release["image"], of(&firmware, "ni:///sha-256;test"));
    assert_eq!(release["table_image"], of(&table, "ni:///sha-256;table"));
    assert_eq!(release["second_image"], Value::Null);

    for rest in ["", "&target=firmware", "&target=table"] {
        server.get(&path("/latest", rest)).await.is_problem(404, "release-unknown");
    }
    let latest = server.get(&path("/latest", "&target=both")).await.is(200).json();
    assert_eq!(latest, release);
    assert_eq!(server.shelves("").await, [vec![], vec![], vec![8]]);
    assert_eq!(server.get(&envelope_path(&release)).await.is(200).body, signed);

    // Neither hides it, nor does it hide them.
    for alone in
        [description(&firmware, 9), UpdateDescription { target: Target::Table, ..description(&table, 7) }]
    {
        let posted = server.post("/v1/releases", sign(&alone, &key)).await.is(201).json();
        assert_eq!(posted["table_image"], Value::Null);
    }
    assert_eq!(server.shelves("").await, [[9], [7], [8]]);
    drop(server);
    let server = world.start();
    assert_eq!(server.shelves("").await, [[9], [7], [8]]);
    assert_eq!(server.get(&path("/latest", "&target=both")).await.is(200).json(), release);
    let unknown = path("/latest", "&target=both").replace(&uuid(CLASS), &uuid(VENDOR));
    let refused = server.get(&unknown).await;
    refused.is_problem(404, "release-unknown");
    assert!(refused.json()["detail"].as_str().unwrap().contains("firmware and a table"), "{refused:?}");
}

/// A host would fetch what is not there, or not of this length; with three images any of them.
#[tokio::test]
async fn srv73_a_release_of_both_is_taken_with_all_its_images_only() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let contents = [image(1, 1000), image(2, 2000), image(3, 300)];
    let [firmware, second, table] = &contents;
    let described = UpdateDescription {
        second_slot: Some(slot_image(second, "ni:///sha-256;second")),
        ..both(firmware, table, 8)
    };
    let signed = sign(&described, &key);
    for (there, content) in contents.iter().enumerate() {
        let refused = server.post("/v1/releases", &*signed).await;
        refused.is_problem(409, "image-not-stored");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&sha256(content)), "with {there} of them: {detail}");
        assert_eq!(server.shelves("&all=true").await, [[0; 0]; 3]);
        server.put_image(content).await;
    }
    let lie = |table: &mut SlotImage| table.size += 1;
    let mut wrong = described.clone();
    wrong.table.as_mut().map(lie);
    server.post("/v1/releases", sign(&wrong, &key)).await.is_problem(422, "image-digest-mismatch");

    let release = server.post("/v1/releases", &*signed).await.is(201).json();
    assert_eq!(release["second_image"]["sha256"], json!(sha256(second)));
    assert_eq!(release["table_image"]["sha256"], json!(sha256(table)));
    for content in &contents {
        let name = format!("/v1/images/{}", sha256(content));
        assert_eq!(server.get(&name).await.is(200).body, &content[..]);
    }
    server.post("/v1/releases", &*signed).await.is(200);
}

/// One number for two releases of one half, withdrawals, single devices, revocations.
#[tokio::test]
async fn srv71_both_has_numbers_of_both_series_and_a_life_of_its_own() {
    let world = World::new();
    let server = world.start();
    let (lost, key) = (release_key(&world.root), release_key(&world.root));
    let (firmware, content) = (image(1, 1000), image(2, 300));
    let table = |sequence| UpdateDescription { target: Target::Table, ..description(&content, sequence) };
    server.put_image(&firmware).await;
    server.put_image(&content).await;
    let post =
        async |description: &UpdateDescription| server.post("/v1/releases", sign(description, &key)).await;
    for good in [both(&firmware, &content, 5), description(&firmware, 6), table(7)] {
        post(&good).await.is(201);
    }
    let taken = [
        (description(&firmware, 5), "firmware"),
        (table(5), "table"),
        (both(&firmware, &content, 6), "firmware"),
        (both(&firmware, &content, 7), "table"),
    ];
    for (another, half) in taken {
        let another = UpdateDescription { version: "another".into(), ..another };
        let refused = post(&another).await;
        refused.is_problem(409, "sequence-taken");
        assert!(refused.json()["detail"].as_str().unwrap().contains(half), "{refused:?}");
    }
    let device = [7; 16];
    let single = UpdateDescription { device: Some(device), ..both(&firmware, &content, 50) };
    post(&single).await.is(201);
    let newer = post(&both(&firmware, &content, 8)).await.is(201).json();
    server.post("/v1/releases", sign(&both(&firmware, &content, 9), &lost)).await.is(201);
    let named = format!("&device={}", uuid(device));
    assert_eq!(server.shelves("").await, [vec![6], vec![7], vec![9, 8, 5]]);
    assert_eq!(server.shelves(&named).await, [vec![6], vec![7], vec![50, 9, 8, 5]]);

    server.put("/v1/revocations", revocation(&world.root, 1, &[lost.kid()])).await.is(201);
    assert_eq!(server.shelves("").await, [vec![6], vec![7], vec![8, 5]]);
    let digest = newer["manifest_digest"].as_str().unwrap();
    let withdrawal = format!("/v1/releases/{digest}/withdrawal");
    let marked = server.put(&withdrawal, json!({"reason": "wrong gains"}).to_string()).await.is(200).json();
    assert_eq!((&marked["status"], &marked["target"]), (&json!("withdrawn"), &json!("both")));
    assert_eq!(server.shelves("").await, [[6], [7], [5]]);
    server.get(&envelope_path(&newer)).await.is_problem(410, "release-withdrawn");
    server.send(Method::DELETE, &withdrawal, &[("authorization", &bearer())], Vec::new()).await.is(200);
    assert_eq!(server.shelves("").await, [vec![6], vec![7], vec![8, 5]]);
    assert_eq!(server.shelves("&all=true").await, [vec![6], vec![7], vec![50, 9, 8, 5]]);
}

/// The database finds a release; its manifest says what it installs.
#[tokio::test]
async fn srv66_a_release_of_both_in_the_place_of_one_half_is_not_offered() {
    for place in ["UPDATE releases SET target = 'firmware'", "UPDATE releases SET target = 'table'"] {
        let world = World::new();
        let server = world.start();
        let (firmware, table) = (image(1, 1000), image(2, 300));
        server.put_image(&table).await;
        let signed = sign(&both(&firmware, &table, 8), &release_key(&world.root));
        server.publish(&firmware, &signed).await.is(201);
        drop(server);
        world.change_database(place).await;
        let server = world.start();
        assert_eq!(server.shelves("").await, [[0; 0]; 3], "{place}");
        assert!(server.log().contains("another place"));
    }
}

/// A device that confirms it runs both: they have one digest and one number.
#[tokio::test]
async fn what_a_device_says_of_both_is_held_against_the_release() {
    let world = World::new();
    let server = world.start();
    let (firmware, table) = (image(1, 1000), image(2, 300));
    server.put_image(&table).await;
    let signed = sign(&both(&firmware, &table, 8), &release_key(&world.root));
    let release = server.publish(&firmware, &signed).await.is(201).json();
    let digest = &release["manifest_digest"];
    let facts = json!({"vendor": uuid(VENDOR), "class": uuid(CLASS), "manifest_digest": digest, "at": 50});
    server.put("/v1/devices/A", facts.to_string()).await.is(201);
    let event =
        json!({"kind": "update-confirmed", "release": digest, "version": "8.0.0", "sequence": 8, "at": 100});
    server.post("/v1/devices/A/events", event.to_string()).await.is(201);
    let device = server.get("/v1/devices/A").await.is(200).json();
    for half in [&device, &device["table"]] {
        assert_eq!((&half["manifest_digest"], &half["sequence"]), (digest, &json!(8)));
    }
    assert_eq!(device["events"][0]["target"], json!("both"));
}
