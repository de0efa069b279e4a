//! `/v1/releases`: what gets in, and what is said of it.

use ciborium::Value as Cbor;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use suit_manifest::author::{SlotImage, UpdateDescription, create};
use trust::author::{Signer as _, SoftwareKey};
use trust::{Role, UnixTime};
use update_server::domain::unix_now;

use crate::harness::*;

#[tokio::test]
async fn a_release_is_published_listed_and_fetched() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    server.latest().await.is_problem(404, "release-unknown");
    assert_eq!(server.listed().await, [0; 0]);

    let image_2 = image(2, 5000);
    let envelope_2 = envelope(&image_2, 2, &key);
    let release = server.publish(&image_2, &envelope_2).await.is(201).json();
    let digest = release["manifest_digest"].as_str().unwrap().to_owned();
    let published_at = release["published_at"].as_u64().unwrap();
    assert!(published_at.abs_diff(unix_now()) < 100);
    assert_eq!(
        release,
        json!({
            "manifest_digest": digest,
            "envelope_sha256": sha256(&envelope_2),
            "sequence": 2,
            "version": "2.0.0",
            "vendor": uuid(VENDOR),
            "class": uuid(CLASS),
            "target": "firmware",
            "image": {"sha256": sha256(&image_2), "size": 5000, "uri": "ni:///sha-256;test"},
            "release_kid": hex::encode(key.kid().0),
            "published_at": published_at,
            "envelope_url": format!("/v1/releases/{digest}/envelope"),
            "image_url": format!("/v1/images/{}", sha256(&image_2)),
        })
    );
    assert_eq!(server.post("/v1/releases", envelope_2.clone()).await.is(200).json(), release);
    assert_eq!(server.latest().await.is(200).json(), release);
    let fetched = server.get(&envelope_path(&release)).await;
    assert_eq!(fetched.is(200).header("content-type"), Some("application/suit-envelope+cose"));
    assert_eq!(fetched.body, envelope_2);

    // In any order: the highest sequence number is the newest.
    for sequence in [4, 1, 3] {
        let image = image(u8::try_from(sequence).unwrap(), 1000);
        server.publish(&image, &envelope(&image, sequence, &key)).await.is(201);
    }
    assert_eq!(server.listed().await, [4, 3, 2, 1]);
    assert_eq!(server.latest().await.json()["sequence"], json!(4));
    let part = format!("/v1/releases?vendor={}&class={}&below=4&limit=2", uuid(VENDOR), uuid(CLASS));
    let part = server.get(&part).await.is(200).json();
    let sequences: Vec<_> =
        part["releases"].as_array().unwrap().iter().map(|it| it["sequence"].clone()).collect();
    assert_eq!(sequences, [json!(3), json!(2)]);
    let other = format!("/v1/releases/latest?vendor={}&class={}", uuid(VENDOR), uuid(OTHER_CLASS));
    server.get(&other).await.is_problem(404, "release-unknown");

    // All of it outlives the process.
    drop(server);
    let server = world.start();
    assert_eq!(server.listed().await, [4, 3, 2, 1]);
    assert_eq!(server.get(&envelope_path(&release)).await.body, envelope_2);
}

#[tokio::test]
async fn the_image_has_to_be_there_and_as_the_manifest_says() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    server.post("/v1/releases", envelope(&image, 1, &key)).await.is_problem(409, "image-not-stored");
    server.put_image(&image).await;
    let lie = UpdateDescription { image_size: 999, ..description(&image, 1) };
    server.post("/v1/releases", sign(&lie, &key)).await.is_problem(422, "image-digest-mismatch");
    assert_eq!(server.listed().await, [0; 0]);
    server.post("/v1/releases", envelope(&image, 1, &key)).await.is(201);
}

/// A release with an image for each slot: both are stored, named and served.
#[tokio::test]
async fn a_release_for_two_slots_has_both_images_or_is_not_taken() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let (first, second) = (image(1, 1000), image(2, 2000));
    let digest: [u8; 32] = Sha256::digest(&second).into();
    let slot = |size| Some(SlotImage { digest, size, uri: "ni:///sha-256;second".into(), encryption: None });
    let with = |size| UpdateDescription { second_slot: slot(size), ..description(&first, 1) };
    let envelope = sign(&with(2000), &key);
    server.put_image(&first).await;
    server.post("/v1/releases", envelope.clone()).await.is_problem(409, "image-not-stored");
    server.put_image(&second).await;
    server.post("/v1/releases", sign(&with(1999), &key)).await.is_problem(422, "image-digest-mismatch");
    let release = server.post("/v1/releases", envelope).await.is(201).json();
    assert_eq!(release["image"]["sha256"], json!(sha256(&first)));
    let named = json!({"sha256": sha256(&second), "size": 2000, "uri": "ni:///sha-256;second"});
    assert_eq!(release["second_image"], named);
    let fetched = server.get(&format!("/v1/images/{}", sha256(&second))).await;
    assert_eq!(fetched.is(200).body, second);
}

#[tokio::test]
async fn the_largest_sequence_number_is_the_newest() {
    let world = World::new();
    let server = world.start();
    // The highest ceiling that there is.
    let highest = i64::MAX as u64;
    let key = release_key_with(&world.root, |it| it.sequence_ceiling = Some(highest));
    let image = image(1, 100);
    for sequence in [highest, 1, u64::from(u32::MAX), 1 << 62] {
        server.publish(&image, &envelope(&image, sequence, &key)).await.is(201);
    }
    assert_eq!(server.listed().await, [highest, 1 << 62, u64::from(u32::MAX), 1]);
}

#[tokio::test]
async fn who_may_not_sign_is_refused_with_the_reason() {
    let world = World::new();
    let server = world.start();
    let image = image(1, 1000);
    server.put_image(&image).await;
    let update = description(&image, 1);
    let now = unix_now();
    // The forgery itself is sound: with the right credential it is taken.
    let sound = forge(&description(&image, 2), &release_key(&world.root));
    server.post("/v1/releases", sound).await.is(201);

    let foreign_root = SoftwareKey::generate().unwrap();
    let foreign = release_key(&foreign_root);
    server.post("/v1/releases", forge(&update, &foreign)).await.is_problem(422, "anchor-unknown");
    let service = release_key_with(&world.root, |it| it.role = Role::Service);
    server.post("/v1/releases", forge(&update, &service)).await.is_problem(422, "role-mismatch");
    let vendor = release_key_with(&world.root, |it| it.scope.vendor = *b"another vendor!!");
    server.post("/v1/releases", forge(&update, &vendor)).await.is_problem(422, "scope-vendor");
    let class = release_key_with(&world.root, |it| it.scope.classes = vec![OTHER_CLASS]);
    server.post("/v1/releases", forge(&update, &class)).await.is_problem(422, "scope-class");
    let low = release_key_with(&world.root, |it| it.sequence_ceiling = Some(10));
    let above = description(&image, 11);
    server.post("/v1/releases", forge(&above, &low)).await.is_problem(422, "sequence-above-ceiling");
    server.post("/v1/releases", forge(&description(&image, 10), &low)).await.is(201);
    let expired = release_key_with(&world.root, |it| it.expires = Some(UnixTime(now - 10)));
    server.post("/v1/releases", forge(&update, &expired)).await.is_problem(422, "credential-expired");
    let early = release_key_with(&world.root, |it| it.not_before = Some(UnixTime(now + 1000)));
    server.post("/v1/releases", forge(&update, &early)).await.is_problem(422, "credential-not-yet-valid");
    // A genuine signature, of another manifest.
    let genuine = release_key(&world.root);
    let (mut patched, other) = (sign(&update, &genuine), sign(&description(&image, 3), &genuine));
    let signature = patched.windows(2).rposition(|head| head == [0x58, 0x40]).unwrap() + 2;
    patched[signature..signature + 64].copy_from_slice(&other[signature..signature + 64]);
    server.post("/v1/releases", patched).await.is_problem(422, "signature-invalid");
    server.post("/v1/releases", create(&update).unwrap()).await.is_problem(422, "signature-missing");
    assert_eq!(server.listed().await, [10, 2]);
}

/// The envelope without its text, as anybody can make it.
fn sever_text(envelope: &[u8]) -> Vec<u8> {
    let Ok(Cbor::Tag(107, members)) = ciborium::from_reader(envelope) else { panic!("no envelope") };
    let mut members = members.into_map().unwrap();
    members.retain(|(key, _)| *key != Cbor::from(23));
    let mut bytes = Vec::new();
    ciborium::into_writer(&Cbor::Tag(107, Box::new(Cbor::Map(members))), &mut bytes).unwrap();
    assert_ne!(bytes, envelope);
    bytes
}

#[tokio::test]
async fn a_poorer_copy_loses_nothing_that_is_known() {
    let world = World::new();
    let server = world.start();
    let first = release_key(&world.root);
    let image = image(1, 1000);
    let whole = envelope(&image, 1, &first);
    let release = server.publish(&image, &whole).await.is(201).json();
    assert_eq!(release["version"], json!("1.0.0"));
    let answer = server.post("/v1/releases", sever_text(&whole)).await.is(201).json();
    assert_eq!(answer["version"], json!("1.0.0"));
    assert_eq!(server.latest().await.is(200).json(), release);
    assert_eq!(server.get(&envelope_path(&release)).await.body, whole);

    // Also when only the poorer one is valid any more: the text is the manifest's, whoever signed.
    let second = release_key(&world.root);
    let poorer = sever_text(&envelope(&image, 1, &second));
    server.post("/v1/releases", poorer.clone()).await.is(201);
    server.put("/v1/revocations", revocation(&world.root, 1, &[first.kid()])).await.is(201);
    let latest = server.latest().await.is(200).json();
    assert_eq!(
        (&latest["version"], &latest["release_kid"]),
        (&json!("1.0.0"), &json!(hex::encode(second.kid().0)))
    );
    assert_eq!(server.get(&envelope_path(&release)).await.body, poorer);
}

#[tokio::test]
async fn a_newer_credential_takes_the_place_of_the_old_and_keeps_it() {
    let world = World::new();
    let server = world.start();
    let now = unix_now();
    let old = release_key_with(&world.root, |it| {
        it.issued_at = UnixTime(now - 1000);
        it.expires = Some(UnixTime(now + 3));
    });
    let image = image(1, 1000);
    let old_envelope = envelope(&image, 1, &old);
    let release = server.publish(&image, &old_envelope).await.is(201).json();

    // The same key and manifest under a renewed credential.
    let mut request = credential_request(&old.key);
    request.issued_at = UnixTime(now);
    let credential = trust::author::issue_credential(&request, &world.root).unwrap();
    let renewed = ReleaseKey { key: old.key, credential, cti: request.cti };
    let new_envelope = envelope(&image, 1, &renewed);
    let answer = server.post("/v1/releases", new_envelope.clone()).await.is(201).json();
    assert_eq!(answer["manifest_digest"], release["manifest_digest"]);
    assert_eq!(server.get(&envelope_path(&release)).await.body, new_envelope);
    // The old one sent again takes nothing back.
    server.post("/v1/releases", old_envelope.clone()).await.is(200);
    server.post("/v1/releases", sever_text(&old_envelope)).await.is(201);
    assert_eq!(server.get(&envelope_path(&release)).await.body, new_envelope);
    while unix_now() < now + 3 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(server.latest().await.is(200).json()["sequence"], json!(1));
}

#[tokio::test]
async fn a_release_for_a_single_device_is_offered_to_that_device_only() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    let device = *b"a single device!";
    server.publish(&image, &envelope(&image, 1, &key)).await.is(201);
    let single = UpdateDescription { device: Some(device), ..description(&image, 2) };
    let release = server.post("/v1/releases", sign(&single, &key)).await.is(201).json();
    assert_eq!(release["device"], json!(uuid(device)));
    assert_eq!(server.listed().await, [1]);
    assert_eq!(server.latest().await.json()["sequence"], json!(1));
    let base = format!("/v1/releases/latest?vendor={}&class={}", uuid(VENDOR), uuid(CLASS));
    let own = server.get(&format!("{base}&device={}", uuid(device))).await;
    assert_eq!(own.is(200).json()["sequence"], json!(2));
    let other = server.get(&format!("{base}&device={}", uuid(*b"another device!!"))).await;
    assert_eq!(other.is(200).json()["sequence"], json!(1));
}

#[tokio::test]
async fn a_sequence_number_is_given_once() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let images: Vec<_> = (0..8).map(|seed| image(seed, 1000)).collect();
    for image in &images {
        server.put_image(image).await;
    }
    // Eight publishers at once, eight manifests, one sequence number.
    let envelopes: Vec<_> = images.iter().map(|image| envelope(image, 7, &key)).collect();
    let posts = envelopes.iter().map(|envelope| server.post("/v1/releases", envelope.clone()));
    let answers = futures::future::join_all(posts).await;
    let created: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(created.len(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.is_problem(409, "sequence-taken");
    }
    assert_eq!(server.listed().await, [7]);
    assert_eq!(server.latest().await.json(), created[0].json());

    // Eight publishers of the same envelope: one creates, the others find it.
    let same = envelope(&images[0], 8, &key);
    let answers = futures::future::join_all((0..8).map(|_| server.post("/v1/releases", same.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 7, "{answers:?}");
}

#[tokio::test]
async fn changed_envelopes_are_refused() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    server.put_image(&image).await;
    let envelope = envelope(&image, 1, &key);
    // Every bit at the library (tests/tampering.rs); over HTTP one of every seventh byte, and every truncation there.
    for position in (0..envelope.len()).step_by(7) {
        let mut flipped = envelope.clone();
        flipped[position] ^= 1 << (position % 8);
        let answer = server.post("/v1/releases", flipped).await;
        assert!([400, 422].contains(&answer.status.as_u16()), "byte {position}: {answer:?}");
        let answer = server.post("/v1/releases", &envelope[..position]).await;
        assert!([400, 422].contains(&answer.status.as_u16()), "{position} bytes: {answer:?}");
    }
    server
        .post("/v1/releases", [envelope.as_slice(), &[0]].concat())
        .await
        .is_problem(400, "manifest-malformed");
    server.post("/v1/releases", vec![0; 64 << 10]).await.is_problem(400, "manifest-malformed");
    server.post("/v1/releases", vec![0; (64 << 10) + 1]).await.is_problem(413, "body-too-large");
    assert_eq!(server.listed().await, [0; 0]);
    server.post("/v1/releases", envelope).await.is(201);
}

#[tokio::test]
async fn queries_and_digests_are_checked() {
    let world = World::new();
    let server = world.start();
    let (vendor, class) = (uuid(VENDOR), uuid(CLASS));
    for query in [
        "",
        "?",
        &format!("?vendor={vendor}"),
        &format!("?vendor={vendor}&class=x"),
        &format!("?vendor={vendor}&class={class}&class={class}"),
        &format!("?vendor={vendor}&class={class}&sort=asc"),
        &format!("?vendor={}&class={class}", hex::encode(VENDOR)),
        "?vendor=%ff&class=%00",
    ] {
        server.get(&format!("/v1/releases/latest{query}")).await.is_problem(400, "request-malformed");
        server.get(&format!("/v1/releases{query}")).await.is_problem(400, "request-malformed");
    }
    for rest in ["below=-1", "below=18446744073709551616", "limit=x", "limit=0", "limit=1001"] {
        let path = format!("/v1/releases?vendor={vendor}&class={class}&{rest}");
        server.get(&path).await.is_problem(400, "request-malformed");
    }
    server.get(&format!("/v1/releases?vendor={vendor}&class={class}&limit=1000")).await.is(200);
    for digest in ["x", "..%2f..%2fregistry.sqlite", &"0".repeat(63), &"A".repeat(64), "%ff", "%00"] {
        for path in [format!("/v1/releases/{digest}/envelope"), format!("/v1/images/{digest}")] {
            server.get(&path).await.is_problem(400, "request-malformed");
        }
        server.put(&format!("/v1/images/{digest}"), "x").await.is_problem(400, "request-malformed");
    }
    let unknown = sha256(b"unknown");
    server.get(&format!("/v1/releases/{unknown}/envelope")).await.is_problem(404, "release-unknown");
    assert_eq!(world.image_files(), [""; 0]);
}

#[tokio::test]
async fn anchors_are_told_and_several_are_possible() {
    let world = World::new();
    let second = SoftwareKey::generate().unwrap();
    let file = world.path("second.cose");
    std::fs::write(&file, second.public_key().to_cose_key()).unwrap();
    let server = world.start_with(&["--anchor", file.to_str().unwrap()]);
    let told: Vec<_> = [&world.root, &second]
        .map(|root| root.public_key())
        .map(|key| (hex::encode(key.kid().0), key))
        .map(|(kid, key)| (kid, hex::encode(key.to_cose_key())))
        .into();
    let anchors = server.get("/v1/anchors").await.is(200).json()["anchors"].clone();
    let found = anchors.as_array().unwrap().iter().map(|anchor| {
        assert_eq!((&anchor["domain"], &anchor["standing"]), (&anchor["kid"], &json!("root")));
        (anchor["kid"].as_str().unwrap().to_owned(), anchor["cose_key"].as_str().unwrap().to_owned())
    });
    assert_eq!(found.collect::<Vec<_>>(), told);

    let image = image(1, 1000);
    server.publish(&image, &envelope(&image, 1, &release_key(&world.root))).await.is(201);
    let lost = release_key(&second);
    server.publish(&image, &envelope(&image, 2, &lost)).await.is(201);
    server.put("/v1/revocations", revocation(&second, 1, &[lost.kid()])).await.is(201);
    assert_eq!(server.listed().await, [1]);

    // An anchor that is no longer configured takes its releases along; its list waits for it.
    drop(server);
    let server = world.start();
    assert_eq!(server.listed().await, [1]);
    assert_eq!(server.get("/v1/revocations").await.json(), json!({"revocations": []}));
    drop(server);
    let server = world.start_with(&["--anchor", file.to_str().unwrap()]);
    assert_eq!(server.get("/v1/revocations").await.json()["revocations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_page_is_full_behind_releases_that_cannot_be_shown() {
    let world = World::new();
    let other = World::new();
    let (key, gone) = (release_key(&world.root), release_key(&other.root));
    let image = image(1, 1000);
    let server = world.start_with(&["--anchor", other.anchor_file().to_str().unwrap()]);
    for (sequence, key) in [(1, &key), (2, &key), (3, &gone), (4, &gone)] {
        server.publish(&image, &envelope(&image, sequence, key)).await.is(201);
    }
    drop(server);
    // The second root is taken out of the configuration.
    let server = world.start();
    let list = format!("/v1/releases?vendor={}&class={}&all=true", uuid(VENDOR), uuid(CLASS));
    for (limit, expected) in [(1, &[2][..]), (2, &[2, 1]), (9, &[2, 1])] {
        let page = server.get(&format!("{list}&limit={limit}")).await.is(200).json();
        let shown = page["releases"].as_array().unwrap().iter().map(|it| it["sequence"].as_u64().unwrap());
        assert_eq!(shown.collect::<Vec<_>>(), expected, "limit {limit}");
    }
}

/// Under a wrong anchor nothing would be offered, and a host would learn of no update: the operator does, at the start.
#[tokio::test]
async fn srv62_a_server_says_which_releases_are_under_no_anchor() {
    let world = World::new();
    let other = World::new();
    let [file, wrong] = ["second.cose", "wrong.cose"].map(|name| world.path(name));
    std::fs::copy(other.anchor_file(), &file).unwrap();
    std::fs::write(&wrong, SoftwareKey::generate().unwrap().public_key().to_cose_key()).unwrap();
    let file = file.to_str().unwrap();
    let image = image(1, 1000);
    let server = world.start_with(&["--anchor", file]);
    let health = server.get("/v1/health").await.is(200).json();
    assert_eq!((&health["releases"]["stored"], &health["warnings"]), (&json!(0), &json!([])));
    for (sequence, root) in [(1, &world.root), (2, &other.root), (3, &other.root)] {
        server.publish(&image, &envelope(&image, sequence, &release_key(root))).await.is(201);
    }
    assert_eq!(server.get("/v1/health").await.json()["warnings"], json!([]));
    drop(server);

    // One anchor too few, and one under which nothing is.
    let server = world.start_with(&["--anchor", wrong.to_str().unwrap()]);
    let health = server.get("/v1/health").await.is(200).json();
    assert_eq!(health["releases"], json!({"stored": 3, "under_no_anchor": 2}));
    let codes: Vec<_> = health["warnings"].as_array().unwrap().iter().map(|it| it["code"].clone()).collect();
    assert_eq!(codes, ["releases-under-no-anchor", "anchor-without-releases"]);
    let log = server.log();
    assert!(log.contains("under no anchor that was given"), "{log}");
    assert!(log.contains("no stored release is under this anchor"), "{log}");
    drop(server);

    // Withdrawn, revoked or expired releases are another matter; of these none is under the anchor.
    std::fs::copy(&wrong, world.anchor_file()).unwrap();
    let (code, said) = world.fail(&[]);
    assert_eq!(code, 4, "{said}");
    let kid = hex::encode(trust::host::open_public_key(&wrong).unwrap().kid().0);
    assert!(said.contains("none of the 3 stored releases") && said.contains(&kid), "{said}");
    assert!(said.contains("hint: pass the anchors"), "{said}");
    // A release that is damaged says nothing of its anchor.
    world.change_database("UPDATE envelopes SET bytes = zeroblob(length(bytes)) WHERE id = 1").await;
    assert_eq!(world.fail(&[]).0, 4);
    std::fs::copy(other.anchor_file(), world.anchor_file()).unwrap();
    assert_eq!(world.start().listed().await, [3, 2]);
}

/// A list that revokes every key is no wrong option: the next release has to be published.
#[tokio::test]
async fn a_server_whose_releases_are_all_refused_starts() {
    let world = World::new();
    let key = release_key(&world.root);
    let image = image(1, 1000);
    let server = world.start();
    server.publish(&image, &envelope(&image, 1, &key)).await.is(201);
    server.put("/v1/revocations", revocation(&world.root, 1, &[key.kid()])).await.is(201);
    drop(server);
    let server = world.start();
    let health = server.get("/v1/health").await.is(200).json();
    assert_eq!((&health["releases"]["under_no_anchor"], &health["warnings"]), (&json!(0), &json!([])));
    server.publish(&image, &envelope(&image, 2, &release_key(&world.root))).await.is(201);
    assert_eq!(server.listed().await, [2]);
}
