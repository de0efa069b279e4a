//! `personalize`: each device gets an envelope of its own, which it takes and no other one, as other programs see it too.

use std::collections::BTreeSet;

use coset::cbor as ciborium;
use serde_json::{Value, json};
use suit_manifest::host::Envelope;
use suit_manifest::{DeviceIdentity, Reason, Target, image_reference_for};
use trust::device_keys::DeviceKeys;
use trust::encryption::EncryptionInfo;
use trust::provisioning::ProvisioningBlock;

use super::cuts::{SIGKILL, cut_everywhere};
use super::encrypt::{MASTER, decrypt_gcm, info, secret};
use super::provision_both_keys::{PLAIN, line_of_master};
use super::workshop::{Workshop, firmware, split};

pub(super) const PERSONALIZE: &str = "personalize unsigned.suit --image image.bin --master master.key --line one --devices \
    batch/devices.csv --out-dir out";
/// Serial, and the name of its files.
const DEVICES: [(&str, &str); 3] = [("A-0001", "A-0001"), ("A-0002", "A-0002"), ("B/0003", "B%2F0003")];
const CREATE: &str = "create --image firmware.bin --vendor anchorage.example --class demo-node --out unsigned.suit \
    --image-out image.bin --force";

/// A line with three devices that use no public keys, and an unsigned release.
pub(super) fn desk() -> Workshop {
    let workshop = line_of_master();
    workshop.write("plain.csv", b"serial,node\nA-0001,16\nA-0002,17\nB/0003,18\n");
    workshop.ok(&split(PLAIN));
    workshop.write("firmware.bin", &firmware());
    workshop.ok(&split(&format!("{CREATE} --sequence 2 --version 2.0.0")));
    workshop
}

/// A device as it leaves the line.
struct Device {
    keys: DeviceKeys,
    identity: DeviceIdentity,
}

impl Device {
    fn of(workshop: &Workshop, name: &str) -> Self {
        let (block, keys) =
            ProvisioningBlock::parse_own_key(&workshop.read(&format!("batch/{name}.block"))).unwrap();
        let identity = block.identity;
        let identity =
            DeviceIdentity { vendor: identity.vendor, class: identity.class, device: identity.device };
        Self { keys, identity }
    }

    /// The digest of the ciphertext that it wants, and the content key.
    fn takes(&self, envelope: &[u8], slot: u64) -> Result<([u8; 32], [u8; 16]), Reason> {
        let (kid, key) = self.keys.authentication().unwrap();
        let authenticated = Envelope::parse(envelope)
            .and_then(|parsed| parsed.authenticate_with(kid, key))
            .map_err(suit_manifest::Error::reason)?;
        let image = image_reference_for(authenticated.manifest(), Target::Firmware, &self.identity, slot)
            .map_err(suit_manifest::Error::reason)?;
        let info = EncryptionInfo::read(image.decrypted.unwrap().info).unwrap();
        let (kid, key) = self.keys.update().unwrap();
        let content_key = info.content_key(&kid.0, &key).map_err(Reason::from)?;
        Ok((image.digest, *content_key.as_bytes()))
    }
}

/// Names of the files in `out` that end so.
fn names(workshop: &Workshop, end: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(workshop.path("out")).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(end) && !name.starts_with('.')).collect()
}

/// What each device takes: digest of the ciphertext and content key. Each envelope is there, and whole.
fn taken(workshop: &Workshop) -> Vec<([u8; 32], [u8; 16])> {
    let take = |(serial, name): (&str, &str)| {
        let envelope = workshop.read(&format!("out/{name}.suit"));
        let device = Device::of(workshop, name);
        let taken = device.takes(&envelope, 0).unwrap_or_else(|reason| panic!("{serial}: {reason:?}"));
        let (kid, key) = device.keys.update().unwrap();
        let ciphertext = workshop.read(&format!("out/{}.enc", hex::encode(taken.0)));
        let info = info(&envelope, false);
        let plaintext = decrypt_gcm(&info, &ciphertext, &hex::encode(kid.0), &hex::encode(key.as_bytes()));
        assert_eq!(plaintext, Some(workshop.read("image.bin")), "{serial}");
        taken
    };
    DEVICES.map(take).to_vec()
}

#[test]
fn each_device_gets_an_envelope_of_its_own_and_all_have_one_image() {
    let workshop = desk();
    let run = workshop.run(&[&["--json"], &split(PERSONALIZE)[..]].concat());
    assert_eq!(run.exit, 0, "{run:?}");
    let made = run.object();
    assert_eq!(
        [&made["devices"], &made["made"], &made["own_images"], &made["sequence"]],
        [&json!(3), &json!(3), &json!(false), &json!(2)]
    );
    let taken = taken(&workshop);
    assert!(taken.iter().all(|one| *one == taken[0]));
    assert_eq!(names(&workshop, "").len(), 4, "three envelopes and one image");
    assert_eq!(made["ciphertext_files"], json!([format!("out/{}.enc", hex::encode(taken[0].0))]));
    // Nothing that is shown, and nothing in the folder, has a key.
    let words = workshop.run(&split(PERSONALIZE)).stdout;
    assert!(words.contains("3, of which this run made 0"), "{words}");
    for (_, name) in DEVICES {
        let device = Device::of(&workshop, name);
        let (update, authentication) =
            (device.keys.update().unwrap().1, device.keys.authentication().unwrap().1);
        for key in [&update.as_bytes()[..], authentication, &taken[0].1] {
            let digits = hex::encode(key);
            assert!(
                !run.stdout.contains(&digits) && !run.stderr.contains(&digits) && !words.contains(&digits)
            );
            for file in names(&workshop, "") {
                let content = workshop.read(&format!("out/{file}"));
                assert!(!content.windows(key.len()).any(|window| window == key), "{file}");
            }
        }
    }
    // The same again finds everything, and changes nothing.
    let before = workshop.snapshot();
    let again = workshop.ok(&split(PERSONALIZE));
    assert_eq!((&again["made"], &again["ciphertext_files"]), (&json!(0), &made["ciphertext_files"]));
    assert_eq!(workshop.snapshot(), before);
}

#[test]
fn sym29_an_envelope_of_one_device_is_nothing_to_another_one() {
    let workshop = desk();
    workshop.ok(&split(PERSONALIZE));
    for (_, owner) in DEVICES {
        let envelope = workshop.read(&format!("out/{owner}.suit"));
        for (_, other) in DEVICES {
            let taken = Device::of(&workshop, other).takes(&envelope, 0);
            assert_eq!(taken.is_ok(), owner == other, "{owner} {other}");
            assert!(owner == other || taken == Err(Reason::DeviceKeyUnknown), "{taken:?}");
        }
    }
    // With its MAC exchanged for one of the other device, the manifest is still for the key of the first.
    let first = workshop.read("out/A-0001.suit");
    let other = Device::of(&workshop, "A-0002");
    let (kid, key) = other.keys.authentication().unwrap();
    let bare = bare(&first);
    let exchanged = suit_manifest::author::authenticate(&bare, kid, key).unwrap();
    assert_eq!(other.takes(&exchanged, 0), Err(Reason::DeviceKeyUnknown));
}

/// The envelope without its authentication block.
fn bare(envelope: &[u8]) -> Vec<u8> {
    let ciborium::Value::Tag(tag, content) = ciborium::from_reader(envelope).unwrap() else { panic!() };
    let mut members = content.into_map().unwrap();
    let wrapper = members[0].1.as_bytes().unwrap();
    let mut blocks: Vec<ciborium::Value> = ciborium::from_reader(wrapper.as_slice()).unwrap();
    blocks.truncate(1);
    let mut wrapper = Vec::new();
    ciborium::into_writer(&ciborium::Value::Array(blocks), &mut wrapper).unwrap();
    members[0].1 = ciborium::Value::Bytes(wrapper);
    let mut bare = Vec::new();
    let envelope = ciborium::Value::Tag(tag, Box::new(ciborium::Value::Map(members)));
    ciborium::into_writer(&envelope, &mut bare).unwrap();
    bare
}

/// Wherever it stops, the same command goes on with the content key that is out already, and each device gets one envelope.
#[test]
fn sym32_a_run_that_was_killed_goes_on_with_the_same_content_key() {
    let workshop = desk();
    let (mut went_on, mut began_again) = (0, 0);
    let killed = cut_everywhere(&workshop, PERSONALIZE, (SIGKILL, 1), |what, _| {
        let before: Vec<(String, Vec<u8>)> = names(&workshop, ".suit")
            .into_iter()
            .map(|name| (name.clone(), workshop.read(&format!("out/{name}"))))
            .collect();
        let made = workshop.ok(&split(PERSONALIZE));
        assert_eq!(made["made"], 3 - before.len(), "{what}");
        let taken = taken(&workshop);
        assert!(taken.iter().all(|one| *one == taken[0]), "{what}");
        for (name, content) in &before {
            assert_eq!(&workshop.read(&format!("out/{name}")), content, "{what}");
        }
        if before.is_empty() {
            began_again += 1
        } else {
            went_on += 1
        }
        // An image whose run ended before its first envelope is one too many; nothing names it.
        assert!(names(&workshop, ".enc").len() <= 1 + usize::from(before.is_empty()), "{what}");
    });
    assert!(killed > 10 && went_on > 5 && began_again > 3, "{killed} {went_on} {began_again}");
}

#[test]
fn sym32_a_full_disk_leaves_whole_files_alone() {
    let workshop = desk();
    for own in ["", " --own-images"] {
        let line = format!("{PERSONALIZE}{own}");
        let failed = cut_everywhere(&workshop, &line, ("error=ENOSPC", 2), |what, _| {
            for name in names(&workshop, ".suit") {
                let (_, device) =
                    DEVICES.into_iter().find(|(_, file)| name == format!("{file}.suit")).unwrap();
                let envelope = workshop.read(&format!("out/{name}"));
                let (digest, _) = Device::of(&workshop, device).takes(&envelope, 0).unwrap();
                let image = format!("out/{}.enc", hex::encode(digest));
                assert_eq!(trust::sha256(&workshop.read(&image)), digest, "{what}");
            }
            workshop.ok(&split(&line));
            taken(&workshop);
        });
        assert!(failed > 5, "{failed}");
    }
}

/// The key of one device opens nothing of another one.
#[test]
fn sym33_each_device_has_an_image_of_its_own_if_it_is_asked_for() {
    let workshop = desk();
    let line = format!("{PERSONALIZE} --own-images");
    let made = workshop.ok(&split(&line));
    assert_eq!((&made["own_images"], &made["ciphertext_files"]), (&json!(true), &Value::Null));
    let taken = taken(&workshop);
    let digests: BTreeSet<_> = taken.iter().map(|one| one.0).collect();
    let content_keys: BTreeSet<_> = taken.iter().map(|one| one.1).collect();
    assert_eq!((digests.len(), content_keys.len()), (3, 3));
    assert_eq!(names(&workshop, ".enc").len(), 3);
    // It goes on after a kill, and what is there stays.
    std::fs::remove_dir_all(workshop.path("out")).unwrap();
    let killed = cut_everywhere(&workshop, &line, (SIGKILL, 1), |what, _| {
        let before: Vec<_> = names(&workshop, ".suit")
            .into_iter()
            .map(|name| (name.clone(), workshop.read(&format!("out/{name}"))))
            .collect();
        workshop.ok(&split(&line));
        assert_eq!(self::taken(&workshop).into_iter().collect::<BTreeSet<_>>().len(), 3, "{what}");
        for (name, content) in before {
            assert_eq!(workshop.read(&format!("out/{name}")), content, "{what}");
        }
    });
    assert!(killed > 12, "{killed}");
}

/// Two images, for devices that run them where they lie, each with a content key of its own.
#[test]
fn a_release_for_two_slots_is_personalized_too() {
    let workshop = desk();
    let mut second = firmware();
    second[6] ^= 1;
    workshop.write("second.bin", &second);
    let two = "--second-image second.bin --second-image-out image2.bin";
    workshop.ok(&split(&format!("{CREATE} --sequence 3 --version 3 {two}")));
    let line = format!("{PERSONALIZE} --second-image image2.bin");
    for algorithm in ["a128gcm", "a128ctr"] {
        for own in ["", "--own-images"] {
            let line = format!("{line} --algorithm {algorithm} {own}");
            workshop.ok(&split(&line));
            let device = Device::of(&workshop, "B%2F0003");
            let envelope = workshop.read("out/B%2F0003.suit");
            let (first, second) = (device.takes(&envelope, 0).unwrap(), device.takes(&envelope, 1).unwrap());
            assert!(first.0 != second.0 && first.1 != second.1, "{line}");
            assert_eq!(names(&workshop, ".enc").len(), if own.is_empty() { 2 } else { 6 }, "{line}");
            assert_eq!(workshop.ok(&split(&line))["made"], 0, "{line}");
            std::fs::remove_dir_all(workshop.path("out")).unwrap();
        }
    }
    assert_eq!(workshop.refused(&split(PERSONALIZE)), ("usage".into(), 2));
}

/// Nothing covers a personal envelope but a MAC, and the commands that show say so.
#[test]
fn a_mac_is_shown_as_what_it_is() {
    let workshop = desk();
    workshop.ok(&split(PERSONALIZE));
    let (first, second) = ("out/A-0001.suit", "out/A-0002.suit");
    let shown = workshop.ok(&["inspect", first]);
    assert_eq!((&shown["signed"], &shown["authentication_key"]), (&json!(false), &json!("0db5d2ece6f0730c")));
    assert_eq!(workshop.ok(&["inspect", "unsigned.suit"])["authentication_key"], Value::Null);
    let words = workshop.run(&["inspect", first]).stdout;
    assert!(words.contains("authenticated for one device, by its key 0db5d2ece6f0730c"), "{words}");
    let words = workshop.run(&["diff", first, second]).stdout;
    assert!(words.contains("key 0db5d2ece6f0730c of one device"), "{words}");
    assert_eq!(workshop.ok(&["lint", first])["findings"], json!([]));
    let bare = workshop.run(&["lint", "unsigned.suit"]);
    assert!(bare.exit == 6 && bare.stdout.contains("unsigned"), "{bare:?}");
}

/// Serials alone say for whom; then no list is compared.
#[test]
fn devices_are_named_by_their_serials_too() {
    let workshop = desk();
    let line = PERSONALIZE.replace("--devices batch/devices.csv", "--serial A-0001 --serial B/0003");
    assert_eq!(workshop.ok(&split(&line))["devices"], 2);
    assert!(Device::of(&workshop, "A-0001").takes(&workshop.read("out/A-0001.suit"), 0).is_ok());
    // The rest of the list follows, with the same content key.
    assert_eq!(workshop.ok(&split(PERSONALIZE))["made"], 1);
    let taken = taken(&workshop);
    assert!(taken.iter().all(|one| *one == taken[0]));
    // A derivation of another kind makes other keys: the list tells.
    secret(&workshop, "again.key", MASTER);
    let other = PERSONALIZE.replace("master.key", "again.key");
    assert_eq!(workshop.ok(&split(&other))["made"], 0, "the same key from another file");
}
