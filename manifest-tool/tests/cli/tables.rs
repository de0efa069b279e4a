//! Releases of a configuration table, from `create --table` to what a device with its provisioning block says.

use axum::http::StatusCode;
use serde_json::{Value, json};
use suit_manifest::Target;
use suit_manifest::author::inspect;

use super::encrypt::{ENCRYPT, recipients};
use super::fake_server::FakeServer;
use super::personalize::{PERSONALIZE, desk};
use super::provision_both_keys::PLAIN;
use super::workshop::{Workshop, split};

const LIMITS: &[u8] = b"max_pressure = 80\n";
const CREATE: &str = "create --table limits --vendor anchorage.example --class demo-node --out unsigned.suit";

/// With keys, a release of firmware, and a table that `create` takes.
fn workshop() -> Workshop {
    let workshop = Workshop::with_release();
    std::fs::rename(workshop.path("unsigned.suit"), workshop.path("firmware.suit")).unwrap();
    workshop.write("limits", LIMITS);
    workshop
}

/// `limits.suit`, signed, with this sequence number.
fn table(workshop: &Workshop, sequence: u64) -> Value {
    let created =
        workshop.ok(&split(&format!("{CREATE} --sequence {sequence} --version {sequence} --force")));
    let sign = "sign unsigned.suit --key release.pem --credential release.cwt --out limits.suit --force";
    workshop.ok(&split(sign));
    created
}

#[test]
fn a_table_is_created_signed_verified_and_shown() {
    let workshop = workshop();
    let created = table(&workshop, 1);
    assert_eq!((&created["target"], &created["image_file"]), (&json!("table"), &json!("limits")));
    assert_eq!(created["image"]["size"], LIMITS.len());
    let envelope = workshop.read("limits.suit");
    assert_eq!(inspect(&envelope).unwrap().manifest().target(), Target::Table);
    let verify =
        "verify limits.suit --anchor root.cose --image limits --vendor anchorage.example --class demo-node";
    let verified = workshop.ok(&split(verify));
    assert_eq!((&verified["image_verified"], &verified["target"]), (&json!(true), &json!("table")));
    let refused = workshop.refused(&split(&format!("{verify} --sequence-floor 2")));
    assert_eq!(refused.0, "sequence-rollback");
    assert_eq!(workshop.refused(&split(&verify.replace("demo-node", "other"))).0, "class-mismatch");
    assert_eq!(workshop.ok(&["inspect", "limits.suit"])["target"], "table");
    let words = workshop.run(&["inspect", "limits.suit"]).stdout;
    assert!(words.contains("\ntable ") && !words.contains("\nimage "), "{words}");
    assert_eq!(workshop.ok(&["inspect", "signed.suit"])["target"], "firmware");

    workshop.write("other", b"max_pressure = 90\n");
    assert_eq!(
        workshop.refused(&split(&verify.replace("--image limits", "--image other"))).0,
        "image-digest-mismatch"
    );
    // Everything that works on envelopes works on this one.
    assert_eq!(workshop.ok(&split("lint limits.suit --image limits --slot-size 4K"))["findings"], json!([]));
    let small = workshop.run(&split("--json lint limits.suit --slot-size 4")).object();
    assert_eq!(small["findings"][0]["code"], "slot-too-small");
    assert_eq!(workshop.refused(&split("lint limits.suit --image limits --range 0..4096")).0, "usage");
    std::fs::copy(workshop.path("limits.suit"), workshop.path("old.suit")).unwrap();
    table(&workshop, 2);
    let diff = workshop.run(&split("diff old.suit limits.suit"));
    assert!(diff.exit == 6 && diff.stdout.contains("sequence"), "{diff:?}");
}

#[test]
fn a_table_goes_into_its_envelope_and_out_again() {
    let workshop = workshop();
    workshop.ok(&split(&format!("{CREATE} --sequence 1 --version 1 --integrated")));
    workshop.sign("release", "limits.suit");
    workshop.ok(&split("integrate limits.suit --image limits --out one.suit"));
    workshop.ok(&split("verify one.suit --anchor root.cose"));
    let extracted = workshop.ok(&split("extract one.suit --image-out out.bin --out out.suit"));
    assert_eq!((&extracted["image_matches"], workshop.read("out.bin")), (&json!(true), LIMITS.to_vec()));
}

/// With a signature for some devices, and for each with its own key.
#[test]
fn a_table_is_encrypted_like_firmware() {
    let workshop = workshop();
    recipients(&workshop);
    table(&workshop, 1);
    let encrypt = ENCRYPT.replace("--image image.bin", "--image limits");
    let encrypted = workshop.ok(&split(&format!("{encrypt} --recipients recipients.csv")));
    assert_eq!(encrypted["target"], "table");
    assert_eq!(encrypted["image"]["decrypted"]["size"], LIMITS.len());
    workshop.ok(&split("sign e.suit --key release.pem --credential release.cwt --out r.suit"));
    workshop.ok(&split("verify r.suit --anchor root.cose --image image.enc"));

    let workshop = desk();
    workshop.write("limits", LIMITS);
    workshop.ok(&split(&format!("{CREATE} --sequence 1 --version 1 --force")));
    workshop.ok(&split(&PERSONALIZE.replace("--image image.bin", "--image limits")));
    let name = std::fs::read_dir(workshop.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.ends_with(".enc"))
        .unwrap();
    let verify = format!("verify out/A-0001.suit --block batch/A-0001.block --image out/{name}");
    let verified = workshop.ok(&split(&verify));
    assert_eq!((&verified["image_decrypted"], &verified["target"]), (&json!(true), &json!("table")));
    // The floor of a block is that of the firmware.
    workshop.ok(&split(&PLAIN.replace("--out-dir batch", "--out-dir floor --sequence-floor 3")));
    workshop.ok(&split(&verify.replace("batch/", "floor/")));
    let above = format!("{verify} --sequence-floor 2");
    assert_eq!(workshop.refused(&split(&above)).0, "sequence-rollback");
}

/// Tables of a class have sequence numbers of their own.
#[test]
fn the_numbers_of_tables_are_not_those_of_firmware() {
    let workshop = workshop();
    table(&workshop, 5);
    std::fs::copy(workshop.path("limits.suit"), workshop.path("old.suit")).unwrap();
    let next = |sequence: u64, previous: &str| {
        format!("{CREATE} --force --sequence {sequence} --version 6 --previous-release {previous}")
    };
    assert_eq!(workshop.refused(&split(&next(5, "old.suit"))).0, "usage");
    workshop.ok(&split(&next(6, "old.suit")));
    let of_firmware = workshop.run(&[&["--json"], &split(&next(6, "signed.suit"))[..]].concat());
    let message = of_firmware.object()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("is a release of firmware, this one is of table"), "{message}");
    let firmware = "create --image firmware.bin --vendor anchorage.example --class demo-node --version 6 --sequence 6 \
                    --out f.suit --image-out f.bin --previous-release old.suit";
    assert_eq!(workshop.refused(&split(firmware)).0, "usage");
}

/// Any bytes are a table, but not those of a file in which every byte has an address, and no secret.
#[test]
fn what_is_no_table_is_refused_by_name() {
    let workshop = workshop();
    let create = format!("{CREATE} --sequence 1 --version 1");
    for (name, content) in [
        ("hex", &b":0400000001020304F2\n:00000001FF\n"[..]),
        ("srec", b"S107000001020304EE\nS9030000FC\n"),
        ("elf", b"\x7fELF\x01\x01\x01"),
        ("empty", b""),
    ] {
        workshop.write("limits", content);
        assert_eq!(workshop.refused(&split(&create)), ("image-unusable".into(), 5), "{name}");
    }
    let words = workshop.run(&split(&create)).stderr;
    assert!(words.contains("a table has at least one byte"), "{words}");
    // A text that looks like one is meant as it is.
    workshop.write("limits", b"S1;80 bar\n");
    assert_eq!(workshop.refused(&split(&create)).0, "image-unusable");
    let words = workshop.run(&split(&create)).stderr;
    assert!(words.contains("S-records") && words.contains("--image-format bin"), "{words}");
    workshop.ok(&split(&format!("{create} --image-format bin")));
    let named = format!("{create} --image-format hex --force");
    assert_eq!(workshop.refused(&split(&named)).0, "image-unusable");
    let words = workshop.run(&split(&named)).stderr;
    assert!(words.contains("--image-format calls it Intel HEX"), "{words}");
    std::fs::copy(workshop.path("root.pem"), workshop.path("limits")).unwrap();
    assert_eq!(workshop.refused(&split(&format!("{create} --force"))).0, "image-unusable");
    workshop.write("limits", &[0; 4097]);
    let small = format!("{create} --force --slot-size 4K");
    assert_eq!(workshop.refused(&split(&small)).0, "image-unusable");
    let words = workshop.run(&split(&small)).stderr;
    assert!(words.contains("the table has 4097 bytes") && !words.contains("linker"), "{words}");
    assert!(words.contains("--slot-size") && !words.contains("--table-slot-size"), "{words}");
    workshop.ok(&split(&format!("{create} --force --slot-size 5K")));
    let onto_itself = create.replace("unsigned.suit", "limits");
    assert_eq!(workshop.refused(&split(&format!("{onto_itself} --force"))).0, "same-file");
}

/// Its number is held against those of tables: firmware has others.
#[test]
fn a_table_is_published_in_its_own_series() {
    let (workshop, server) = (workshop(), FakeServer::start());
    let view = table(&workshop, 9);
    workshop.write("token", b"a-token-for-tests\n");
    let line = format!("publish limits.suit --image limits --server {} --token-file token", server.url);
    let newest = |target: &str, sequence: u64| {
        let release =
            json!({"vendor": view["vendor"], "class": view["class"], "target": target, "sequence": sequence});
        server.answers("GET", StatusCode::OK, &json!({"releases": [release]}).to_string());
    };
    // A server that answers with the numbers of firmware would let a wrong step pass, or refuse a right one.
    newest("firmware", 8);
    assert_eq!(workshop.refused(&split(&line)).0, "server-answer");
    assert!(server.take_sent().is_empty());
    assert!(server.take_queries()[0].ends_with("&all=true&limit=1&target=table"));
    newest("table", 8);
    server.newest(&view, "both", None);
    let published = workshop.ok(&split(&line));
    assert_eq!((&published["target"], &published["release"]), (&json!("table"), &json!("created")));
    assert!(server.take_sent().last().unwrap().starts_with("POST "));
}
