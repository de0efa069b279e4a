//! What the registry knows of the table of a device, beside its firmware: neither is taken for the other.

use axum::http::Method;
use serde_json::{Value, json};
use suit_manifest::Target;
use suit_manifest::author::UpdateDescription;

use crate::harness::*;

/// What a device object says of its firmware.
const OF_FIRMWARE: [&str; 5] = ["version", "sequence", "manifest_digest", "release_kid", "stated_at"];

fn facts(more: Value) -> String {
    let mut facts = json!({"vendor": uuid(VENDOR), "class": uuid(CLASS)});
    for (name, value) in more.as_object().unwrap() {
        facts[name] = value.clone();
    }
    facts.to_string()
}

fn confirmed(more: Value) -> String {
    let mut event = json!({"kind": "update-confirmed"});
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    event.to_string()
}

fn firmware_of(device: &Value) -> Vec<Value> {
    OF_FIRMWARE.iter().map(|name| device[name].clone()).collect()
}

impl Server {
    async fn device(&self) -> Value {
        self.get("/v1/devices/A").await.is(200).json()
    }

    /// A release of firmware and one of a table: their digests.
    async fn two_releases(&self, key: &ReleaseKey) -> [String; 2] {
        let content = image(1, 1000);
        let table = UpdateDescription { target: Target::Table, ..description(&content, 7) };
        let mut digests = Vec::new();
        for description in [description(&content, 5), table] {
            let release = self.publish(&content, &sign(&description, key)).await.is(201).json();
            digests.push(release["manifest_digest"].as_str().unwrap().to_owned());
        }
        digests.try_into().unwrap()
    }
}

/// An event is of what the release installs that it names, whoever says otherwise.
#[tokio::test]
async fn srv69_a_confirmed_table_does_not_take_the_place_of_firmware() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let [firmware, table] = server.two_releases(&key).await;
    server.put("/v1/devices/A", facts(json!({"at": 50}))).await.is(201);
    let event = async |event: String| server.post("/v1/devices/A/events", event).await;
    event(confirmed(json!({"release": firmware, "version": "5.0.0", "sequence": 5, "at": 100})))
        .await
        .is(201);
    let before = server.device().await;
    assert_eq!((&before["table"], &before["manifest_digest"]), (&Value::Null, &json!(firmware)));

    let kid = hex::encode(key.kid().0);
    let of_table =
        json!({"release": table, "version": "7.0.0", "sequence": 7, "release_kid": kid, "at": 200});
    for kind in ["update-started", "update-installed", "update-reverted", "update-refused"] {
        let mut other = of_table.clone();
        other["kind"] = kind.into();
        event(confirmed(other)).await.is(201);
    }
    assert_eq!(server.device().await["table"], Value::Null, "nothing was confirmed");
    event(confirmed(of_table)).await.is(201);
    let after = server.device().await;
    assert_eq!(firmware_of(&after), firmware_of(&before));
    let expected = json!({"version": "7.0.0", "sequence": 7, "manifest_digest": table, "release_kid": kid, "stated_at": 200});
    assert_eq!(after["table"], expected);
    assert_eq!(
        (&after["events"][0]["target"], &after["events"][5]["target"]),
        (&json!("table"), &json!("firmware"))
    );

    // Each has a time of its own, and goes on by itself.
    event(confirmed(json!({"release": firmware, "version": "5.0.0", "sequence": 5, "at": 150})))
        .await
        .is(201);
    assert_eq!(server.device().await["stated_at"], json!(150));
    event(confirmed(json!({"target": "table", "version": "6", "sequence": 6, "at": 180}))).await.is(201);
    assert_eq!(server.device().await["table"], expected, "it came late");

    // A release that says otherwise; nothing is stored of it.
    let said = server.device().await;
    for (release, target) in [(&table, "firmware"), (&firmware, "table")] {
        let lie = confirmed(json!({"release": release, "target": target}));
        event(lie).await.is_problem(409, "target-contradicts");
    }
    for target in ["", "Table", "all"] {
        event(confirmed(json!({"target": target}))).await.is_problem(400, "request-malformed");
    }
    assert_eq!(server.device().await, said);

    // A release that is not here, or none: what the reporter says, and firmware without his word.
    let unknown = sha256(b"from files");
    for (more, name, version) in [
        (json!({"release": unknown, "target": "table", "version": "8"}), "table", "8"),
        (json!({"target": "table", "version": "9"}), "table", "9"),
        (json!({"release": unknown, "version": "10"}), "firmware", "10"),
        (json!({"target": "firmware", "version": "11"}), "firmware", "11"),
    ] {
        let before = server.device().await;
        event(confirmed(more)).await.is(201);
        let after = server.device().await;
        let (changed, same) = if name == "table" { (&after["table"], "version") } else { (&after, "table") };
        assert_eq!((&changed["version"], &after[same]), (&json!(version), &before[same]), "{name} {version}");
        assert_eq!(after["events"][0]["target"], json!(name));
    }
    event(json!({"kind": "list-refused"}).to_string()).await.is(201);
    assert_eq!(server.device().await["events"][0]["target"], Value::Null);
}

/// What a report says that a device runs is no table, in a list neither.
#[tokio::test]
async fn srv69_a_report_names_no_table_as_what_runs() {
    let world = World::new();
    let server = world.start();
    let [firmware, table] = server.two_releases(&release_key(&world.root)).await;
    let (runs, has) =
        (json!({"manifest_digest": firmware}), json!({"manifest_digest": table, "version": "7"}));
    for lie in [json!({"manifest_digest": table}), json!({"table": runs})] {
        let refused = server.put("/v1/devices/A", facts(lie)).await;
        refused.is_problem(409, "target-contradicts");
        assert!(refused.json()["detail"].as_str().unwrap().contains("installs"), "{refused:?}");
    }
    let list = format!("serial,vendor,class,manifest_digest\nA,{},{},{table}\n", uuid(VENDOR), uuid(CLASS));
    let refused = server.post("/v1/devices", list).await;
    refused.is_problem(422, "rows-refused");
    assert_eq!(refused.json()["rows"][0]["code"], json!("target-contradicts"));
    server.get("/v1/devices/A").await.is_problem(404, "device-unknown");

    let made = facts(json!({"manifest_digest": firmware, "version": "5", "table": has, "at": 100}));
    let made = server.put("/v1/devices/A", made).await.is(201).json();
    let table_of = |version: &str, digest: Value, at: u64| json!({"version": version, "sequence": null, "manifest_digest": digest, "release_kid": null, "stated_at": at});
    assert_eq!(made["table"], table_of("7", json!(table), 100));
    assert_eq!((&made["manifest_digest"], &made["version"]), (&json!(firmware), &json!("5")));
    // Who says nothing of the table changes nothing of it; another version is of another release.
    let told = server.put("/v1/devices/A", facts(json!({"version": "6", "at": 200}))).await.is(200).json();
    assert_eq!((&told["table"], &told["manifest_digest"]), (&made["table"], &Value::Null));
    let told = server
        .put("/v1/devices/A", facts(json!({"table": {"version": "8"}, "at": 300})))
        .await
        .is(200)
        .json();
    assert_eq!((&told["table"], &told["stated_at"]), (&table_of("8", Value::Null, 300), &json!(200)));
    for bad in [json!({"table": 7}), json!({"table": {"colour": 1}}), json!({"table": {"sequence": -1}})] {
        server.put("/v1/devices/A", facts(bad)).await.is_problem(400, "request-malformed");
    }

    // What was reported under another class is of another device, its table too.
    let path = "/v1/devices/B";
    let technician = "technician-token-0123456789";
    drop(server);
    std::fs::write(world.token_file(), format!("{TOKEN}\nreport {technician}\n")).unwrap();
    let server = world.start();
    assert_eq!(server.device().await["table"], told["table"]);
    let bearer = format!("Bearer {technician}");
    let headers = [("authorization", &*bearer)];
    let body = json!({"vendor": uuid(VENDOR), "class": uuid(OTHER_CLASS), "table": {"version": "1"}});
    let said = server.send(Method::PUT, path, &headers, body.to_string().into_bytes()).await.is(201).json();
    assert_eq!(said["table"]["version"], json!("1"));
    assert_eq!(server.put(path, facts(json!({}))).await.is(200).json()["table"], Value::Null);
}

#[tokio::test]
async fn tables_are_in_lists_and_filters() {
    let world = World::new();
    let server = world.start();
    let [of_firmware, of_table] = ["1111111111111111", "2222222222222222"];
    let table = json!({"version": "7", "sequence": u64::MAX, "manifest_digest": sha256(b"t"), "release_kid": of_table});
    let both = json!({"version": "5", "release_kid": of_firmware, "table": table, "at": 1_700_000_000});
    server.put("/v1/devices/A", facts(both)).await.is(201);
    server.put("/v1/devices/B", facts(json!({"version": "7"}))).await.is(201);
    let listed = server.get("/v1/devices").await.is(200).json();
    assert_eq!(listed["devices"][0]["table"]["sequence"], json!(u64::MAX));
    assert_eq!(listed["devices"][1]["table"], Value::Null);
    for (query, expected) in [
        ("table_version=7".to_owned(), &["A"][..]),
        ("table_version=5".into(), &[]),
        ("version=7".into(), &["B"]),
        // A key that is lost may have signed either.
        (format!("release_kid={of_table}"), &["A"]),
        (format!("release_kid={of_firmware}"), &["A"]),
    ] {
        let listed = server.get(&format!("/v1/devices?{query}")).await.is(200).json();
        let serials: Vec<_> =
            listed["devices"].as_array().unwrap().iter().map(|it| it["serial"].clone()).collect();
        assert_eq!(serials, expected, "{query}");
    }
    server.get("/v1/devices?table_version=").await.is_problem(400, "request-malformed");

    // Out and in again, where what is known of a later time stays.
    let csv = String::from_utf8(server.get("/v1/devices.csv").await.is(200).body.to_vec()).unwrap();
    let other = World::new();
    let empty = other.start();
    empty.post("/v1/devices", csv.clone()).await.is(200);
    let [before, after] = [server.device().await, empty.device().await];
    assert_eq!((&after["table"], &after["version"]), (&before["table"], &before["version"]));
    let later = facts(json!({"table": {"version": "8", "sequence": 8}, "at": 1_700_000_001}));
    empty.put("/v1/devices/A", later).await.is(200);
    let again = empty.post("/v1/devices", csv.clone()).await.is(200).json();
    assert_eq!((&again["unchanged"], &again["completed"]), (&json!(2), &json!(0)));
    assert_eq!(empty.device().await["table"]["version"], json!("8"));
    // And back: the table has a time of its own.
    let back = empty.get("/v1/devices.csv").await.is(200).body.to_vec();
    assert_eq!(server.post("/v1/devices", back).await.is(200).json()["completed"], json!(1));
    assert_eq!(server.device().await["table"], empty.device().await["table"]);
    // Of a later time the list counts.
    let newer = csv.replace("1700000000", "1700000002");
    assert_ne!(newer, csv);
    assert_eq!(empty.post("/v1/devices", newer).await.is(200).json()["completed"], json!(1));
    assert_eq!(empty.device().await["table"]["version"], json!("7"));
}
