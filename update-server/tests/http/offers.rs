//! What is found among the releases, however many there are, and what nobody may keep.

use serde_json::{Value, json};
use suit_manifest::author::UpdateDescription;

use crate::harness::*;

fn base(class: [u8; 16]) -> String {
    format!("/v1/releases?vendor={}&class={}", uuid(VENDOR), uuid(class))
}

/// The sequence numbers of the list at `path`.
async fn sequences(server: &Server, path: &str) -> Vec<u64> {
    let list = server.get(path).await.is(200).json();
    list["releases"].as_array().unwrap().iter().map(|it| it["sequence"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn what_is_offered_is_found_behind_many_that_are_not() {
    let world = World::new();
    let server = world.start();
    let (lost, kept) = (release_key(&world.root), release_key(&world.root));
    let image = image(1, 1000);
    server.put_image(&image).await;
    for sequence in 1..=44 {
        let key = if [1, 7, 41].contains(&sequence) { &kept } else { &lost };
        server.post("/v1/releases", envelope(&image, sequence, key)).await.is(201);
    }
    assert_eq!(server.listed().await, (1..=44).rev().collect::<Vec<_>>());
    server.put("/v1/revocations", revocation(&world.root, 1, &[lost.kid()])).await.is(201);

    // Nor are those for single devices everybody's.
    for sequence in 45..=52 {
        let device = Some([u8::try_from(sequence).unwrap(); 16]);
        let single = UpdateDescription { device, ..description(&image, sequence) };
        server.post("/v1/releases", sign(&single, &kept)).await.is(201);
    }

    assert_eq!(server.latest().await.is(200).json()["sequence"], json!(41));
    assert_eq!(server.listed().await, [41, 7, 1]);
    let base = base(CLASS);
    for (rest, expected) in [
        ("&limit=1", &[41][..]),
        ("&limit=2", &[41, 7]),
        ("&limit=3", &[41, 7, 1]),
        ("&limit=1000", &[41, 7, 1]),
        ("&below=41", &[7, 1]),
        ("&below=41&limit=1", &[7]),
        ("&below=7", &[1]),
        ("&below=1", &[]),
    ] {
        assert_eq!(sequences(&server, &format!("{base}{rest}")).await, expected, "{rest}");
    }
    let many = (0..40).map(|_| server.latest());
    for answer in futures::future::join_all(many).await {
        assert_eq!(answer.is(200).json()["sequence"], json!(41));
    }
}

#[tokio::test]
async fn the_database_finds_a_release_and_does_not_say_what_it_is() {
    let world = World::new();
    let mut server = world.start();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    let release = server.publish(&image, &envelope(&image, 1, &key)).await.is(201).json();
    let other = server.publish(&image, &envelope(&image, 2, &key)).await.is(201).json();
    let path = |release: &Value| release["envelope_url"].as_str().unwrap().to_owned();
    assert_eq!(server.listed().await, [2, 1]);
    // The index is made when a server starts.
    macro_rules! change {
        ($sql:expr) => {
            drop(server);
            world.change_database($sql).await;
            server = world.start();
        };
    }

    // Under another class it is not offered to that class.
    change!("UPDATE releases SET class = CAST('class-of-others!' AS BLOB)");
    assert_eq!(sequences(&server, &base(OTHER_CLASS)).await, [0; 0]);
    let latest = base(OTHER_CLASS).replace("releases?", "releases/latest?");
    server.get(&latest).await.is_problem(404, "release-not-offered");
    change!("UPDATE releases SET class = CAST('class-of-tests!!' AS BLOB)");
    assert_eq!(server.listed().await, [2, 1]);

    // Nor an old one in the place of a new one.
    change!("UPDATE releases SET sequence = x'0000000000000009' WHERE sequence = x'0000000000000001'");
    assert_eq!(server.listed().await, [2]);
    assert_eq!(server.latest().await.json()["sequence"], json!(2));

    // Nor another envelope than that of the manifest which was asked for.
    change!(
        "UPDATE envelopes SET manifest_digest =
         (SELECT manifest_digest FROM releases WHERE sequence = x'0000000000000002')"
    );
    server.get(&path(&release)).await.is_problem(404, "release-unknown");
    assert_eq!(server.get(&path(&other)).await.is(200).body, envelope(&image, 2, &key));
    // It is looked at once more on its way out, and what is gone meanwhile is not offered any more.
    assert_eq!(server.latest().await.is(200).json()["sequence"], json!(2));
    world.change_database("DELETE FROM envelopes WHERE id = 2").await;
    server.get(&path(&other)).await.is_problem(404, "release-unknown");
    assert_eq!(server.listed().await, [0; 0]);
    assert!(server.log().contains("another manifest"));
}

#[tokio::test]
async fn what_is_handed_out_is_verified_on_its_way() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    for sequence in 1..=3 {
        server.publish(&image, &envelope(&image, sequence, &key)).await.is(201);
    }
    // The database was changed under the index.
    world.change_database("UPDATE envelopes SET bytes = zeroblob(length(bytes)) WHERE id = 3").await;
    assert_eq!(server.latest().await.is(200).json()["sequence"], json!(2));
    assert_eq!(server.listed().await, [2, 1]);
    world.change_database("DELETE FROM envelopes").await;
    server.latest().await.is_problem(404, "release-not-offered");
    assert_eq!(server.listed().await, [0; 0]);
}

#[tokio::test]
async fn no_cache_may_keep_what_can_be_revoked() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    let release = server.publish(&image, &envelope(&image, 1, &key)).await.is(201).json();
    server.put("/v1/revocations", revocation(&world.root, 1, &[])).await.is(201);
    let device = json!({"vendor": uuid(VENDOR), "class": uuid(CLASS)}).to_string();
    let registered = server.put("/v1/devices/A", device).await;
    assert_eq!(registered.is(201).header("cache-control"), Some("no-store"));
    let list = server.get("/v1/revocations").await.json()["revocations"][0]["domain"].clone();
    for path in [
        "/v1/health",
        "/v1/anchors",
        &base(CLASS),
        &base(CLASS).replace("releases?", "releases/latest?"),
        release["envelope_url"].as_str().unwrap(),
        "/v1/revocations",
        &format!("/v1/revocations/{}", list.as_str().unwrap()),
        &format!("/v1/successions/{}", list.as_str().unwrap()),
        "/v1/devices",
        "/v1/devices/A",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.is(200).header("cache-control"), Some("no-store"), "{path}");
    }
    for path in ["/nowhere", &format!("/v1/images/{}", sha256(b"unknown"))] {
        assert_eq!(server.get(path).await.is(404).header("cache-control"), Some("no-store"), "{path}");
    }
    let image = server.get(&format!("/v1/images/{}", sha256(&image))).await;
    assert_eq!(image.is(200).header("cache-control"), Some("public, max-age=31536000, immutable"));
}
