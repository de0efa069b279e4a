//! `sign --no-credential`: envelopes that devices of ours do not run, for devices that know the key.

use serde_json::{Value, json};
use suit_manifest::author::tree::{EnvelopeTree, MemberKey};
use suit_manifest::author::{integrate, take_out};
use suit_manifest::vocabulary::EnvelopeElement;
use trust::author::SoftwareKey;

use super::verify_blocks::{payload, with_blocks};
use super::workshop::{Workshop, split};

const SIGN: &str = "sign gateway.suit --key release.pem --no-credential --out signed.suit --force";

/// The template of two processors, its radio signed by one maker: `gateway.suit`, which nobody has signed.
fn desk() -> Workshop {
    let workshop = Workshop::with_release();
    workshop.key("radio");
    workshop.write("app.bin", &workshop.read("image.bin"));
    workshop.write("radio.bin", b"what a radio runs");
    for name in ["radio", "main-and-radio"] {
        let file = format!("{}/../docs/templates/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        workshop.write(&format!("{name}.toml"), &std::fs::read(file).unwrap());
    }
    workshop.ok(&split("compose radio.toml --out unsigned-radio.suit"));
    workshop.ok(&split("sign unsigned-radio.suit --key radio.pem --no-credential --out radio.suit"));
    workshop.ok(&split("compose main-and-radio.toml --out gateway.suit"));
    workshop
}

#[test]
fn what_devices_of_others_run_is_signed() {
    let workshop = desk();
    let signed = workshop.ok(&split(SIGN));
    assert_eq!(signed["blocks"].as_array().unwrap().len(), 1);
    assert_eq!(signed["blocks"][0]["parts"][0]["algorithm"], "Ed25519 (-19)");
    let report = workshop.ok(&split("verify signed.suit --public-key release.cose"));
    assert_eq!(report["manifest_digest"], signed["manifest_digest"]);
    assert_eq!(report["blocks"][0]["parts"][0]["kid"], signed["kid"]);
    // Everything but the wrapper keeps its bytes, and the radio its own signature.
    let (before, after) = (workshop.read("gateway.suit"), workshop.read("signed.suit"));
    let (before, after) = (EnvelopeTree::read(&before).unwrap(), EnvelopeTree::read(&after).unwrap());
    let wrapper = MemberKey::Element(EnvelopeElement::AuthenticationWrapper);
    assert_eq!(before.members.len(), after.members.len());
    for (before, after) in before.members.iter().zip(&after.members) {
        assert_eq!(before.key, after.key);
        assert_eq!(before.value.bytes == after.value.bytes, before.key != wrapper, "{:?}", before.key);
    }
    workshop.ok(&split("extract signed.suit --uri #radio.suit --image-out again.suit --out rest.suit"));
    workshop.ok(&split("verify again.suit --public-key radio.cose"));
    let words = workshop.run(&split(SIGN)).stdout;
    assert!(words.contains("holds under") && words.contains("devices of ours"), "{words}");
}

/// Of a dependency in the envelope the manifest's digest is the one that is named: neither another envelope stands in for it nor
/// a changed one.
#[test]
fn a_dependency_is_compared() {
    let workshop = desk();
    workshop.ok(&split(SIGN));
    let verify = "verify one.suit --public-key release.cose";
    let radio = workshop.read("radio.suit");
    let with = |radio: &[u8]| {
        let rest = take_out(&workshop.read("signed.suit"), &["#radio.suit"]).unwrap();
        workshop.write("one.suit", &integrate(&rest, &[("#radio.suit", radio)]).unwrap());
    };
    with(&radio);
    let verified = workshop.ok(&split(verify));
    assert_eq!(
        (&verified["members_not_compared"], &verified["image_verified"]),
        (&Value::Null, &json!(false))
    );
    let mut changed = radio.clone();
    *changed.last_mut().unwrap() ^= 1;
    with(&changed);
    assert_eq!(workshop.refused(&split(verify)).1, 5);
    for other in [workshop.read("signed.suit").as_slice(), b"what a radio runs"] {
        with(other);
        assert_eq!(workshop.refused(&split(verify)), ("image-digest-mismatch".into(), 5));
    }
}

/// The ledger beside a key says that it is a root; those of others are no matter of it.
#[test]
fn a_root_signs_no_release() {
    let workshop = desk();
    workshop.ok(&split("ledger init ledger --key root.pem --name root --holder Ada --kept safe"));
    let by_root = SIGN.replace("release.pem", "root.pem");
    assert_eq!(workshop.refused(&split(&by_root)), ("key-has-role".into(), 4));
    workshop.ok(&split(SIGN));
}

/// One signature takes the place of the others, or stands beside them.
#[test]
fn blocks_are_replaced_or_added_as_told() {
    let workshop = desk();
    workshop.ok(&split(SIGN));
    workshop.ok(&split("sign signed.suit --key radio.pem --no-credential --add --out both.suit"));
    let both = "verify both.suit --public-key release.cose --public-key radio.cose --require 2";
    assert_eq!(workshop.ok(&split(both))["keys"], 2);
    // Each signs once: a second signature of one key counts for nothing.
    for key in ["release", "radio"] {
        let again = format!("sign both.suit --key {key}.pem --no-credential --add --out three.suit");
        assert_eq!(workshop.refused(&split(&again)), ("release-signed-by-key".into(), 5));
    }
    workshop.ok(&split("sign both.suit --key radio.pem --no-credential --out one.suit"));
    workshop.ok(&split("verify one.suit --public-key radio.cose"));
    let other = "verify one.suit --public-key release.cose";
    assert_eq!(workshop.refused(&split(other)), ("blocks-too-few".into(), 5));
    // By the same key again: the same, since Ed25519 is deterministic.
    workshop.ok(&split("sign one.suit --key radio.pem --no-credential --out again.suit"));
    assert_eq!(workshop.read("again.suit"), workshop.read("one.suit"));
}

#[test]
fn a_mac_makes_no_room_for_a_signature() {
    let workshop = desk();
    let unsigned = workshop.read("gateway.suit");
    let mac = trust::author::mac0(&payload(&unsigned), &[1; 8], &[2; 32]).unwrap();
    workshop.write("gateway.suit", &with_blocks(&unsigned, &[mac]));
    assert_eq!(workshop.refused(&split(SIGN)), ("release-of-device".into(), 5));
    let added = workshop.ok(&split(&format!("{SIGN} --add")));
    assert_eq!(added["blocks"].as_array().unwrap().len(), 2);
    // What a device of ours runs under its own key is no release that lacks a credential.
    workshop.ok(&split("key master --out master.key"));
    workshop.ok(&split(
        "personalize unsigned.suit --image image.bin --master master.key --line line --serial A-1 --out-dir personal",
    ));
    for add in ["", " --add"] {
        let line = format!("sign personal/A-1.suit --key release.pem --no-credential --out p.suit{add}");
        assert_eq!(workshop.refused(&split(&line)), ("release-of-device".into(), 5));
    }
}

/// docs/attacks.md, SUIT52.
#[test]
fn suit52_what_devices_of_ours_run_is_signed_with_a_credential() {
    let workshop = desk();
    let refused = |name: &str| {
        let line = format!("sign {name} --key release.pem --no-credential --out s.suit");
        let found = workshop.refused(&split(&line));
        assert!(!workshop.path("s.suit").exists(), "{name}");
        found
    };
    assert_eq!(refused("unsigned.suit"), ("release-ours".into(), 5));
    assert_eq!(refused("signed.suit"), ("release-ours".into(), 5));
    // An image inside changes nothing, and text that is away neither.
    workshop.ok(&split("sever unsigned.suit --out short.suit"));
    assert_eq!(refused("short.suit"), ("release-ours".into(), 5));
    let create = "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 3 --version 3 --integrated \
                  --out whole.suit --image-out image.bin --force";
    workshop.ok(&split(create));
    assert_eq!(refused("whole.suit"), ("release-ours".into(), 5));
    // Neither do blocks of others beside it, of which a device of ours takes one alone: whoever likes takes them away.
    let unsigned = workshop.read("unsigned.suit");
    for count in 1..=3 {
        let block = |number: u8| {
            let key = SoftwareKey::from_seed(&[number; 32]).unwrap();
            trust::author::sign1_detached(&payload(&unsigned), &key).unwrap()
        };
        let blocks: Vec<_> = (1..=count).map(block).collect();
        workshop.write("blocks.suit", &with_blocks(&unsigned, &blocks));
        assert_eq!(refused("blocks.suit"), ("release-ours".into(), 5), "{count}");
        assert_eq!(refused("blocks.suit --add"), ("release-ours".into(), 5), "{count}");
    }
    // What is severed and away may be anything.
    workshop.write("two.toml", ONE_IMAGE_SEVERED.as_bytes());
    workshop.ok(&split("compose two.toml --out two.suit"));
    assert_eq!(refused("two.suit"), ("release-ours".into(), 5));
    workshop.ok(&split("sever two.suit --member install --out away.suit"));
    assert_eq!(refused("away.suit"), ("member-severed".into(), 5));
}

/// What `create` makes, with its installation severed.
pub(super) const ONE_IMAGE_SEVERED: &str = r##"
format = 1
sequence-number = 9
components = [["app"]]
severed = ["install"]
[sequences]
shared = [
    { override-parameters = { vendor-id = "anchorage.example", class-id = "demo-node", image-digest = { file = "app.bin" }, image-size = { file = "app.bin" } } },
    "vendor-identifier", "class-identifier",
]
install = [{ override-parameters = { uri = { file = "app.bin" } } }, "fetch", "image-match"]
validate = ["image-match"]
invoke = ["invoke"]
"##;

#[test]
fn what_cannot_be_signed_is_refused_with_a_reason() {
    let workshop = desk();
    let before = workshop.snapshot();
    let sign = "--key release.pem --no-credential";
    for (line, code, exit) in [
        (format!("sign root.cose {sign} --out s.suit"), "manifest-malformed", 5),
        (format!("sign gateway.suit {sign} --out release.pem --force"), "same-file", 2),
        (format!("sign gateway.suit {sign} --out gateway.suit --force"), "same-file", 2),
        (format!("sign gateway.suit {sign} --out image.bin"), "file-exists", 2),
        (format!("sign absent.suit {sign} --out s.suit"), "file-read", 3),
        ("sign gateway.suit --key absent.pem --no-credential --out s.suit".to_owned(), "file-read", 3),
    ] {
        let (found, status) = workshop.refused(&split(&line));
        assert_eq!((found.as_str(), status), (code, exit), "{line}");
    }
    let mut changed = workshop.read("gateway.suit");
    let at = changed.len() / 2;
    changed[at] ^= 1;
    workshop.write("changed.suit", &changed);
    let found = workshop.run(&split(&format!("--json sign changed.suit {sign} --out s.suit")));
    assert_ne!(found.exit, 0, "{}", found.stdout);
    std::fs::remove_file(workshop.path("changed.suit")).unwrap();
    assert_eq!(workshop.snapshot(), before, "nothing was written");
}
