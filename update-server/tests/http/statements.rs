//! What is said of firmware and table is of one release: what belongs to another one does not stay beside it.

use serde_json::{Value, json};
use suit_manifest::Target;
use suit_manifest::author::UpdateDescription;

use crate::harness::*;

/// What a device object says of one release.
const OF_A_RELEASE: [&str; 4] = ["version", "sequence", "manifest_digest", "release_kid"];

fn all(installed: &Value) -> [Value; 4] {
    OF_A_RELEASE.map(|name| installed[name].clone())
}

/// A statement of the firmware, or of the table, as the body of a registration.
fn said(of_table: bool, statement: &Value) -> String {
    let ids = json!({"vendor": uuid(VENDOR), "class": uuid(CLASS)});
    let mut body = ids;
    if of_table {
        body["table"] = statement.clone();
    } else {
        for (name, value) in statement.as_object().unwrap() {
            body[name] = value.clone();
        }
    }
    body.to_string()
}

/// docs/attacks.md, SRV80: of the firmware, of the table, and in a list.
#[tokio::test]
async fn srv80_no_member_of_another_release_stays_beside_what_is_said() {
    let world = World::new();
    let server = world.start();
    let (one, two, kid) = (sha256(b"one"), sha256(b"two"), "0123456789abcdef");
    let known = json!({"version": "7", "sequence": 7, "manifest_digest": one, "release_kid": kid});
    let none = Value::Null;
    for of_table in [false, true] {
        for (statement, left) in [
            // The registry would say that version 7 has the number 9.
            (json!({"sequence": 9}), [none.clone(), json!(9), none.clone(), none.clone()]),
            (json!({"manifest_digest": two}), [none.clone(), none.clone(), json!(two), none.clone()]),
            (json!({"version": "8"}), [json!("8"), none.clone(), none.clone(), none.clone()]),
            (json!({"version": "8", "sequence": 9}), [json!("8"), json!(9), none.clone(), none.clone()]),
            (
                json!({"manifest_digest": two, "sequence": 7}),
                [none.clone(), json!(7), json!(two), none.clone()],
            ),
            // Nothing is there.
            (json!({"sequence": 0}), [none.clone(), json!(0), none.clone(), none.clone()]),
            // The same with less.
            (json!({"sequence": 7}), all(&known)),
            (json!({"version": "7", "manifest_digest": one}), all(&known)),
        ] {
            server.put("/v1/devices/A", said(of_table, &known)).await;
            let told = server.put("/v1/devices/A", said(of_table, &statement)).await.is(200).json();
            let told = if of_table { &told["table"] } else { &told };
            assert_eq!(all(told), left, "{statement}");
        }
    }
    // A row of a list.
    server.put("/v1/devices/A", said(false, &known)).await.is(200);
    let list = format!("serial,vendor,class,sequence\nC,{},{},9\n", uuid(VENDOR), uuid(CLASS));
    server.put("/v1/devices/C", said(false, &json!({"version": "7", "at": 1}))).await.is(201);
    server.post("/v1/devices", list).await.is(200);
    let told = server.get("/v1/devices/C").await.is(200).json();
    assert_eq!((&told["version"], &told["sequence"]), (&none, &json!(9)));
    // A member that was not known is learned of the release that is named.
    server.put("/v1/devices/D", said(false, &json!({"version": "7", "release_kid": kid}))).await.is(201);
    let told = server
        .put("/v1/devices/D", said(false, &json!({"version": "7", "sequence": 7})))
        .await
        .is(200)
        .json();
    assert_eq!(all(&told), [json!("7"), json!(7), none.clone(), json!(kid)]);
}

/// docs/attacks.md, SRV80: a release that is here says its number and its version itself.
#[tokio::test]
async fn srv80_a_release_that_is_here_has_its_own_number_and_version() {
    let world = World::new();
    let server = world.start();
    let content = image(1, 1000);
    let release = server
        .publish(&content, &sign(&description(&content, 5), &release_key(&world.root)))
        .await
        .is(201)
        .json();
    let digest = &release["manifest_digest"];
    server.put("/v1/devices/A", said(false, &json!({"version": "4"}))).await.is(201);
    let before = server.get("/v1/devices/A").await.json();
    for kind in ["update-confirmed", "update-started"] {
        for (more, code) in [
            (json!({"sequence": 6}), "sequence-contradicts"),
            (json!({"sequence": 0, "version": "5.0.0"}), "sequence-contradicts"),
            (json!({"sequence": 5, "version": "6.0.0"}), "version-contradicts"),
        ] {
            let mut event = json!({"kind": kind, "release": digest});
            for (name, value) in more.as_object().unwrap() {
                event[name] = value.clone();
            }
            server.post("/v1/devices/A/events", event.to_string()).await.is_problem(409, code);
        }
    }
    let lie = said(false, &json!({"manifest_digest": digest, "sequence": 6}));
    server.put("/v1/devices/A", lie).await.is_problem(409, "sequence-contradicts");
    let list = format!(
        "serial,vendor,class,manifest_digest,sequence\nA,{},{},{},6\n",
        uuid(VENDOR),
        uuid(CLASS),
        digest.as_str().unwrap()
    );
    let refused = server.post("/v1/devices", list).await;
    refused.is_problem(422, "rows-refused");
    assert_eq!(refused.json()["rows"][0]["code"], json!("sequence-contradicts"));
    assert_eq!(server.get("/v1/devices/A").await.json(), before);
    // The application may call itself otherwise; nobody knows better of a release that is not here.
    let own = said(false, &json!({"manifest_digest": digest, "sequence": 5, "version": "five"}));
    assert_eq!(server.put("/v1/devices/A", own).await.is(200).json()["version"], json!("five"));
    let event = json!({"kind": "update-confirmed", "release": digest, "sequence": 5, "version": "5.0.0"});
    server.post("/v1/devices/A/events", event.to_string()).await.is(201);
    let event =
        json!({"kind": "update-confirmed", "release": sha256(b"files"), "sequence": 6, "version": "6"});
    server.post("/v1/devices/A/events", event.to_string()).await.is(201);
    assert_eq!(server.get("/v1/devices/A").await.json()["version"], json!("6"));
}

/// docs/attacks.md, SRV81: where nothing is, nothing has a version, a manifest or a key.
#[tokio::test]
async fn srv81_nothing_has_no_version_manifest_or_key() {
    let world = World::new();
    let server = world.start();
    let (digest, kid) = (sha256(b"one"), "0123456789abcdef");
    for of_table in [false, true] {
        for more in [json!({"version": "7"}), json!({"manifest_digest": digest}), json!({"release_kid": kid})]
        {
            let mut statement = more.clone();
            statement["sequence"] = json!(0);
            let answer = server.put("/v1/devices/A", said(of_table, &statement)).await;
            answer.is_problem(409, "sequence-contradicts");
        }
    }
    let list =
        format!("serial,vendor,class,table_version,table_sequence\nA,{},{},9,0\n", uuid(VENDOR), uuid(CLASS));
    let refused = server.post("/v1/devices", list).await;
    refused.is_problem(422, "rows-refused");
    assert_eq!(refused.json()["rows"][0]["code"], json!("sequence-contradicts"));
    server.put("/v1/devices/A", said(false, &json!({"sequence": 0}))).await.is(201);
    let confirmed = json!({"kind": "update-confirmed", "sequence": 0, "version": "7"});
    let answer = server.post("/v1/devices/A/events", confirmed.to_string()).await;
    answer.is_problem(409, "sequence-contradicts");
    assert_eq!(server.get("/v1/devices/A").await.json()["version"], Value::Null);
}

/// docs/attacks.md, SRV82: a device has no release that is for others, of its class or of another one.
#[tokio::test]
async fn srv82_no_device_has_a_release_of_others() {
    let world = World::new();
    let server = world.start();
    let (content, key) = (image(1, 1000), release_key(&world.root));
    let class = description(&content, 5);
    let for_one =
        UpdateDescription { device: Some(trust::host::device_id(VENDOR, "A")), sequence: 6, ..class.clone() };
    let devices = [("A", CLASS), ("B", CLASS), ("C", [9; 16])];
    let body = |class, more: &Value| {
        let mut body = json!({"vendor": uuid(VENDOR), "class": uuid(class)});
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        body.to_string()
    };
    for (serial, class) in devices {
        server.put(&format!("/v1/devices/{serial}"), body(class, &json!({}))).await.is(201);
    }
    for (description, may) in [(class, ["A", "B"].as_slice()), (for_one, &["A"])] {
        let release = server.publish(&content, &sign(&description, &key)).await.is(201).json();
        let digest = &release["manifest_digest"];
        for (serial, class) in devices {
            let event = |kind: &str| json!({"kind": kind, "release": digest}).to_string();
            let events = format!("/v1/devices/{serial}/events");
            // It may be tried.
            server.post(&events, event("update-refused")).await.is(201);
            let answer = server.post(&events, event("update-confirmed")).await;
            let report = body(class, &json!({"manifest_digest": digest}));
            if may.contains(&serial) {
                answer.is(201);
                server.put(&format!("/v1/devices/{serial}"), report).await.is(200);
            } else {
                answer.is_problem(409, "release-contradicts");
                let answer = server.put(&format!("/v1/devices/{serial}"), report).await;
                answer.is_problem(409, "release-contradicts");
            }
        }
    }
}

/// docs/attacks.md, SRV74: of the firmware, of the table, in a list and in each event.
#[tokio::test]
async fn srv74_a_release_that_is_here_was_signed_by_a_key_of_its_envelopes() {
    let world = World::new();
    let server = world.start();
    let (content, first, second) = (image(1, 1000), release_key(&world.root), release_key(&world.root));
    let description = description(&content, 5);
    let release = server.publish(&content, &sign(&description, &first)).await.is(201).json();
    let digest = &release["manifest_digest"];
    let table = UpdateDescription { target: Target::Table, ..description.clone() };
    let of_table =
        server.publish(&content, &sign(&table, &first)).await.is(201).json()["manifest_digest"].clone();
    server.put("/v1/devices/A", said(false, &json!({"version": "4"}))).await.is(201);
    let row = |kid: &str| {
        let digest = digest.as_str().unwrap();
        let ids = format!("{},{}", uuid(VENDOR), uuid(CLASS));
        format!("serial,vendor,class,manifest_digest,release_kid\nA,{ids},{digest},{kid}\n")
    };
    let refused = |kid: String| {
        let (server, row) = (&server, row(&kid));
        let of_table = &of_table;
        async move {
            let before = server.get("/v1/devices/A").await.json();
            for kind in ["update-confirmed", "update-started"] {
                let event = json!({"kind": kind, "release": digest, "release_kid": kid}).to_string();
                server.post("/v1/devices/A/events", event).await.is_problem(409, "release-contradicts");
            }
            for (is_table, digest) in [(false, digest), (true, of_table)] {
                let report = said(is_table, &json!({"manifest_digest": digest, "release_kid": kid}));
                server.put("/v1/devices/A", report).await.is_problem(409, "release-contradicts");
            }
            let list = server.post("/v1/devices", row).await;
            list.is_problem(422, "rows-refused");
            assert_eq!(list.json()["rows"][0]["code"], json!("release-contradicts"));
            assert_eq!(server.get("/v1/devices/A").await.json(), before);
        }
    };
    let kids = [&first, &second].map(|key| hex::encode(key.kid().0));
    refused(kids[1].clone()).await;
    // Signed again by another key: either may have signed what the device has.
    server.publish(&content, &sign(&description, &second)).await.is(201);
    for kid in &kids {
        let event = json!({"kind": "update-confirmed", "release": digest, "release_kid": kid}).to_string();
        server.post("/v1/devices/A/events", event).await.is(201);
        assert_eq!(server.get("/v1/devices/A").await.json()["release_kid"], json!(kid));
        let report = said(false, &json!({"manifest_digest": digest, "release_kid": kid}));
        server.put("/v1/devices/A", report).await.is(200);
        server.post("/v1/devices", row(kid)).await.is(200);
    }
    refused("0123456789abcdef".to_owned()).await;
    // Nobody knows better of a release that is not here.
    let event =
        json!({"kind": "update-confirmed", "release": sha256(b"files"), "release_kid": "0123456789abcdef"});
    server.post("/v1/devices/A/events", event.to_string()).await.is(201);
}

/// A key without anything that it signed, and a table without anything, say nothing that could be kept.
#[tokio::test]
async fn what_could_not_be_kept_is_refused() {
    let world = World::new();
    let server = world.start();
    let kid = json!({"release_kid": "0123456789abcdef"});
    for body in [said(false, &kid), said(true, &kid), said(true, &json!({}))] {
        server.put("/v1/devices/A", body).await.is_problem(400, "request-malformed");
    }
    for column in ["release_kid", "table_release_kid"] {
        let ids = format!("A,{},{}", uuid(VENDOR), uuid(CLASS));
        let list = format!("serial,vendor,class,{column}\n{ids},0123456789abcdef\n");
        let refused = server.post("/v1/devices", list).await;
        refused.is_problem(422, "rows-refused");
        assert_eq!(refused.json()["rows"][0]["code"], json!("request-malformed"), "{column}");
        // An empty cell is none.
        server.post("/v1/devices", format!("serial,vendor,class,{column}\n{ids},\n")).await.is(200);
    }
}
