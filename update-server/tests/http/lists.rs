//! Lists of devices that come in: which rows are refused, and that an old one sets no device back.

use serde_json::{Value, json};
use update_server::domain::unix_now;

use crate::harness::*;
use crate::issuers::{device_at, issuing};

fn facts(more: Value) -> String {
    let mut facts = json!({"vendor": uuid(VENDOR), "class": uuid(CLASS)});
    for (name, value) in more.as_object().unwrap() {
        facts[name] = value.clone();
    }
    facts.to_string()
}

/// A list with these columns beside serial, vendor and class.
fn list(columns: &str, rows: &[(&str, &str)]) -> String {
    let (vendor, class) = (uuid(VENDOR), uuid(CLASS));
    let rows = rows.iter().map(|(serial, cells)| format!("{serial},{vendor},{class},{cells}\n"));
    format!("serial,vendor,class,{columns}\n{}", rows.collect::<String>())
}

async fn device(server: &Server, serial: &str) -> Value {
    server.get(&format!("/v1/devices/{serial}")).await.is(200).json()
}

async fn exported(server: &Server) -> String {
    String::from_utf8(server.get("/v1/devices.csv").await.is(200).body.to_vec()).unwrap()
}

#[tokio::test]
async fn srv60_an_old_list_overwrites_nothing_that_is_newer() {
    let world = World::new();
    let server = world.start();
    let line = issuing(&world.root, 30, 1_700_000_000);
    server.put("/v1/issuers", line.clone()).await.is(201);
    let cwt = |issued_at| hex::encode(device_at(&line, 30, 31, "A", issued_at));
    let (old, new) = (cwt(1_750_000_000), cwt(1_750_000_001));
    let said = json!({"version": "1.0", "sequence": 1, "anchors": ["0000000000000001"], "at": 100, "credential": old});
    server.put("/v1/devices/A", facts(said)).await.is(201);
    let export = exported(&server).await;
    // Meanwhile it was updated and renewed. The report of that is of before the export, and came late.
    let later = json!({"version": "2.0", "sequence": 2, "anchors": ["0000000000000002"], "at": 101, "credential": new});
    server.put("/v1/devices/A", facts(later)).await.is(200);
    let before = device(&server, "A").await;
    let answer = server.post("/v1/devices", export.clone()).await.is(200).json();
    let gains = json!({"devices": 1, "new": 0, "identified": 0, "completed": 0, "unchanged": 1, "older_credentials": 1, "refused": []});
    assert_eq!(answer, gains);
    let after = device(&server, "A").await;
    assert_eq!(after, before);
    assert_eq!((&after["version"], &after["credential"]["cwt"]), (&json!("2.0"), &json!(new)));

    // Where nothing is known it is knowledge, of the time that it says.
    let other = World::new();
    let empty = other.start();
    let without = export.replace(&old, "");
    empty.post("/v1/devices", without).await.is(200);
    let known = device(&empty, "A").await;
    for name in ["version", "anchors", "stated_at", "anchors_at", "last_seen", "vouched"] {
        let expected = json!({"version": "1.0", "anchors": ["0000000000000001"], "stated_at": 100, "anchors_at": 100,
            "last_seen": known["last_seen"], "vouched": true});
        assert_eq!(known[name], expected[name], "{name}");
    }
}

#[tokio::test]
async fn srv60_a_row_is_of_the_time_at_which_the_device_was_seen() {
    let world = World::new();
    let server = world.start();
    let now = unix_now();
    server.put("/v1/devices/A", facts(json!({"version": "2.0", "at": now - 100}))).await.is(201);
    let seen = device(&server, "A").await["last_seen"].as_u64().unwrap();
    let row = |version: &str, seen: u64| list("version,last_seen", &[("A", &format!("{version},{seen}"))]);
    for (version, at) in [("1.0", now - 101), ("1.1", now - 100), ("1.2", 0)] {
        server.post("/v1/devices", row(version, at)).await.is(200);
        let known = device(&server, "A").await;
        assert_eq!((&known["version"], &known["last_seen"]), (&json!("2.0"), &json!(seen)), "{version}");
    }
    server.post("/v1/devices", row("3.0", now - 99)).await.is(200);
    let known = device(&server, "A").await;
    assert_eq!((&known["version"], &known["stated_at"]), (&json!("3.0"), &json!(now - 99)));
    assert_eq!(known["last_seen"], seen, "a list meets no device");
    // What is to come nobody has seen.
    server.post("/v1/devices", row("4.0", now + 1_000_000)).await.is(200);
    let known = device(&server, "A").await;
    assert!(known["stated_at"].as_u64().unwrap() <= unix_now() && known["version"] == "4.0", "{known}");
    assert!(known["last_seen"].as_u64().unwrap() <= unix_now(), "{known}");

    // A new device was last seen when the list says so.
    server.post("/v1/devices", list("last_seen", &[("B", "1234")])).await.is(200);
    assert_eq!(device(&server, "B").await["last_seen"], 1234);
    server.post("/v1/devices", list("last_seen", &[("D", &(now + 1_000_000).to_string())])).await.is(200);
    assert!(device(&server, "D").await["last_seen"].as_u64().unwrap() <= unix_now());
    // Its anchors are those of that time too.
    let row = |anchor: u64, seen: u64| list("anchors,last_seen", &[("E", &format!("{anchor:016x},{seen}"))]);
    for (anchor, seen) in [(1, 200), (2, 150)] {
        server.post("/v1/devices", row(anchor, seen)).await.is(200);
        let known = device(&server, "E").await;
        assert_eq!((&known["anchors"], &known["anchors_at"]), (&json!(["0000000000000001"]), &json!(200)));
    }
    // What is said of a time that nobody knows is still more than nothing.
    server.post("/v1/devices", list("version,last_seen", &[("C", "1.0,0")])).await.is(200);
    assert_eq!(device(&server, "C").await["version"], "1.0");
}

#[tokio::test]
async fn srv61_every_row_that_is_refused_is_named_and_nothing_imported_unless_asked() {
    let world = World::new();
    let server = world.start();
    server.put("/v1/devices/K", facts(json!({"owner": "Ada"}))).await.is(201);
    let (vendor, class) = (uuid(VENDOR), uuid(CLASS));
    let list = format!(
        "# made by hand\nserial,vendor,class,owner\n\nA,{vendor},{class},Ada\nB,x,{class},Ada\n\"C\",{vendor},{class},\"A\nB\"\n\
         D,{vendor}\n# more\nK,{vendor},{class},Bob\nunprovisioned,{vendor},{class},\nE,{vendor},{class},\n\
         F,{vendor},{class},Ada\nF,{vendor},{class},Bob\n,,,\n"
    );
    let refused = server.post("/v1/devices", list.clone()).await;
    refused.is_problem(422, "rows-refused");
    let problem = refused.json();
    let named = |rows: &Value| -> Vec<(u64, String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rows = rows.as_array().unwrap();
        rows.iter()
            .map(|row| (row["line"].as_u64().unwrap(), text(&row["serial"]), text(&row["code"])))
            .collect()
    };
    let expected = [
        (5, "B", "request-malformed"),
        (6, "C", "request-malformed"),
        (8, "", "request-malformed"),
        (10, "K", "device-conflict"),
        (11, "unprovisioned", "request-malformed"),
        (13, "F", "request-malformed"),
        (14, "F", "request-malformed"),
    ]
    .map(|(line, serial, code)| (line, serial.to_owned(), code.to_owned()));
    assert_eq!(named(&problem["rows"]), expected);
    let details: Vec<_> = problem["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["detail"].as_str().unwrap().to_owned())
        .collect();
    for (place, says) in [
        (0, "UUID"),
        (1, "owner"),
        (2, "2 cells"),
        (3, "Ada"),
        (4, "factory"),
        (5, "line 14"),
        (6, "line 13"),
    ] {
        assert!(details[place].contains(says), "{details:?}");
    }
    assert!(problem["detail"].as_str().unwrap().contains("7 of 9"), "{problem}");
    for serial in ["A", "E", "F"] {
        server.get(&format!("/v1/devices/{serial}")).await.is_problem(404, "device-unknown");
    }

    let good = server.post("/v1/devices?good_rows=true", list.clone()).await.is(200).json();
    assert_eq!((&good["devices"], &good["new"]), (&json!(2), &json!(2)));
    assert_eq!(named(&good["refused"]), expected);
    assert_eq!(device(&server, "A").await["owner"], "Ada");
    assert_eq!(device(&server, "K").await["owner"], "Ada");
    server.get("/v1/devices/F").await.is_problem(404, "device-unknown");
    for query in ["good_rows=x", "good=true"] {
        server.post(&format!("/v1/devices?{query}"), list.clone()).await.is_problem(400, "request-malformed");
    }
    // One that cannot be read keeps out a good one that contradicts nothing.
    let (vendor, class) = (uuid(VENDOR), uuid(CLASS));
    let one = format!("serial,vendor,class\nG,{vendor},{class}\nH,x,{class}\n");
    server.post("/v1/devices", one).await.is_problem(422, "rows-refused");
    server.get("/v1/devices/G").await.is_problem(404, "device-unknown");
    // A list without a good row, and one that is no list.
    let bad = format!("serial,vendor,class\nA,x,{class}\n");
    let none = server.post("/v1/devices?good_rows=true", bad).await.is(200).json();
    assert_eq!((&none["devices"], none["refused"].as_array().unwrap().len()), (&json!(0), 1));
    for (list, says) in [
        ("", "column serial"),
        ("serial,vendor,class\n", "no device"),
        ("serial,colour\nA,red\n", "colour"),
        ("serial,vendor,class,class\nA,b,c,d\n", "twice"),
    ] {
        let refused = server.post("/v1/devices?good_rows=true", list).await;
        refused.is_problem(400, "request-malformed");
        assert!(refused.json()["detail"].as_str().unwrap().contains(says), "{refused:?}");
    }
}

/// A program that writes no quotes: its device must not be left out in silence.
#[tokio::test]
async fn srv61_a_row_that_looks_like_a_comment_is_not_left_out() {
    let world = World::new();
    let server = world.start();
    let rows = list("owner", &[("A", "Ada"), ("#1", "Ada")]);
    let refused = server.post("/v1/devices", rows.clone()).await;
    refused.is_problem(422, "rows-refused");
    assert_eq!(refused.json()["rows"][0]["line"], 3);
    server.post("/v1/devices", rows.replace("#1", "\"#1\"")).await.is(200);
    assert_eq!(device(&server, "%231").await["owner"], "Ada");
}

/// All rows can be read, and one contradicts what is known.
#[tokio::test]
async fn srv61_a_conflict_alone_keeps_the_other_rows_out() {
    let world = World::new();
    let server = world.start();
    server.put("/v1/devices/K", facts(json!({"owner": "Ada"}))).await.is(201);
    let list = list("owner", &[("A", "Bob"), ("K", "Bob"), ("Z", "Bob")]);
    let refused = server.post("/v1/devices", list.clone()).await;
    refused.is_problem(422, "rows-refused");
    let rows = refused.json()["rows"].clone();
    assert_eq!(
        (rows.as_array().unwrap().len(), &rows[0]["line"], &rows[0]["serial"]),
        (1, &json!(3), &json!("K"))
    );
    assert!(rows[0]["hint"].as_str().unwrap().contains("PATCH"), "{rows}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("Line 3 (K): "), "the first one is named");
    for serial in ["A", "Z"] {
        server.get(&format!("/v1/devices/{serial}")).await.is_problem(404, "device-unknown");
    }
    let good = server.post("/v1/devices?good_rows=true", list).await.is(200).json();
    assert_eq!((&good["devices"], &good["new"], &good["refused"]), (&json!(2), &json!(2), &rows));
    assert_eq!(device(&server, "K").await["owner"], "Ada");
}

/// Each count is of what was done, and of nothing else.
#[tokio::test]
async fn a_list_says_what_it_did_per_kind() {
    let world = World::new();
    let server = world.start();
    let line = issuing(&world.root, 30, 1_700_000_000);
    server.put("/v1/issuers", line.clone()).await.is(201);
    let cwt = |serial: &str, at| hex::encode(device_at(&line, 30, 31, serial, at));
    let later = cwt("E", 1_750_000_001);
    for (serial, said) in [
        ("B", json!({"owner": "Ada"})),
        ("C", json!({})),
        ("D", json!({"owner": "Ada"})),
        ("E", json!({"owner": "Ada", "credential": later})),
    ] {
        server.put(&format!("/v1/devices/{serial}"), facts(said)).await.is(201);
    }
    let [b, d, e] = ["B", "D", "E"].map(|serial| cwt(serial, 1_750_000_000));
    // New; an identity; a value; both; nothing, by an older credential.
    let rows = [
        ("A", ",Ada,"),
        ("B", &*format!("{b},Ada,")),
        ("C", ",Ada,"),
        ("D", &*format!("{d},Ada,one")),
        ("E", &*format!("{e},Ada,")),
    ];
    let answer = server.post("/v1/devices", list("credential,owner,line", &rows)).await.is(200).json();
    let gains = json!({"devices": 5, "new": 1, "identified": 2, "completed": 2, "unchanged": 1, "older_credentials": 1, "refused": []});
    assert_eq!(answer, gains);
}

/// A production line is registered again while it goes on: nothing is added to a device that says the same of a later time.
#[tokio::test]
async fn the_same_of_a_later_time_is_nothing_new() {
    let world = World::new();
    let server = world.start();
    let (one, two) = ("0000000000000001", "0000000000000002");
    let columns = "version,stated_at,anchors,anchors_at,last_seen";
    let gains = json!({"devices": 1, "new": 0, "identified": 0, "completed": 0, "unchanged": 0, "older_credentials": 0, "refused": []});
    for (row, kind) in [
        (format!("1.0,100,{one},100,100"), "new"),
        (format!("1.0,100,{one},100,100"), "unchanged"),
        (format!(",,{one},101,101"), "unchanged"),
        ("1.0,102,,,102".to_owned(), "unchanged"),
        (format!("1.0,103,{one},103,103"), "unchanged"),
        (format!("2.0,104,{one},104,104"), "completed"),
        (format!("2.0,105,{two},105,105"), "completed"),
    ] {
        let answer = server.post("/v1/devices", list(columns, &[("A", &row)])).await.is(200).json();
        let mut gains = gains.clone();
        gains[kind] = json!(1);
        assert_eq!(answer, gains, "{row}");
    }
    // The time is that of the last word all the same.
    let known = device(&server, "A").await;
    assert_eq!((&known["stated_at"], &known["anchors_at"]), (&json!(105), &json!(105)));
}

#[tokio::test]
async fn srv56_texts_like_formulas_go_out_guarded_and_come_in_as_they_were() {
    let world = World::new();
    let server = world.start();
    let texts = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "'quoted'", "#1", "a, \"b\"", "＝1"];
    for (number, text) in texts.iter().enumerate() {
        let said = facts(json!({"owner": text, "line": text, "version": format!("={number}")}));
        server.put(&format!("/v1/devices/%2B{number}"), said).await.is(201);
    }
    server.put("/v1/devices/%231", facts(json!({}))).await.is(201);
    let export = exported(&server).await;
    let cells =
        csv::Reader::from_reader(export.as_bytes()).into_records().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(cells.len(), texts.len() + 1);
    for cell in cells.iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝']), "{cell}");
    }
    let other = World::new();
    let empty = other.start();
    let answer = empty.post("/v1/devices", export.clone()).await.is(200).json();
    assert_eq!(answer["new"], texts.len() + 1);
    let told = |list: &str| -> Vec<Vec<String>> {
        let records = csv::Reader::from_reader(list.as_bytes()).into_records().map(Result::unwrap);
        records.map(|cells| cells.iter().take(18).map(str::to_owned).collect()).collect()
    };
    assert_eq!(told(&exported(&empty).await), told(&export));
    for (number, text) in texts.iter().enumerate() {
        let known = device(&empty, &format!("%2B{number}")).await;
        assert_eq!((&known["owner"], &known["version"]), (&json!(text), &json!(format!("={number}"))));
    }
}

/// What was only reported is no more than that on the next server.
#[tokio::test]
async fn srv54_a_list_does_not_vouch_for_what_was_only_reported() {
    let world = World::new();
    let server = world.start();
    let rows = [("A", "false,"), ("B", "true,"), ("C", ","), ("D", "false,suspended")];
    server.post("/v1/devices", list("vouched,state", &rows)).await.is(200);
    for (serial, vouched, state) in
        [("A", false, "active"), ("B", true, "active"), ("C", true, "active"), ("D", false, "suspended")]
    {
        let known = device(&server, serial).await;
        assert_eq!((&known["vouched"], &known["state"]), (&json!(vouched), &json!(state)), "{serial}");
    }
    let answer = server.post("/v1/devices", list("vouched", &[("A", "perhaps")])).await;
    answer.is_problem(422, "rows-refused");
    let export = exported(&server).await;
    let states: Vec<_> = csv::Reader::from_reader(export.as_bytes())
        .into_records()
        .map(|cells| cells.unwrap()[5].to_owned())
        .collect();
    assert_eq!(states, ["", "", "", "suspended"], "what nobody said is not known");
}
