//! What `personalize` refuses, with nothing written: other inputs than those with which a folder was begun, and devices that
//! the release or the keys are not for.

use suit_manifest::author::{Encryption, UpdateDescription, authenticate, create, image_uri};
use trust::author::{Recipient, encrypt};
use trust::encryption::ContentAlgorithm;
use trust::provisioning::ProvisioningBlock;

use super::cuts::{SIGKILL, cut_everywhere};
use super::encrypt::{ENCRYPT, MASTER, secret};
use super::personalize::{PERSONALIZE, desk};
use super::provision_both_keys::PLAIN;
use super::workshop::{Workshop, firmware, split};

fn code(workshop: &Workshop, line: &str) -> String {
    workshop.refused(&split(line)).0
}

fn refused(workshop: &Workshop, line: &str) -> (String, String) {
    let object = workshop.run(&[&["--json"], &split(line)[..]].concat()).object();
    let text = |member: &str| object["error"][member].as_str().unwrap_or_default().to_owned();
    (text("code"), text("message"))
}

/// With `--serial` no list is there to tell: the folder does.
const SERIALS: &str = "--serial A-0001 --serial A-0002 --serial B/0003";

#[test]
fn sym31_a_folder_goes_on_with_the_inputs_with_which_it_was_begun() {
    let workshop = desk();
    let line = PERSONALIZE.replace("--devices batch/devices.csv", SERIALS);
    workshop.ok(&split(&line));
    std::fs::remove_file(workshop.path("out/A-0002.suit")).unwrap();
    workshop.write("release-3.bin", &workshop.read("firmware.bin"));
    let create =
        "create --vendor anchorage.example --class demo-node --version 2.0.0 --image-out other.bin --force";
    let mut image = workshop.read("firmware.bin");
    image[100] ^= 1;
    workshop.write("image-3.bin", &image);
    workshop.ok(&split(&format!("{create} --image firmware.bin --sequence 3 --out sequence.suit")));
    workshop.ok(&split(&format!("{create} --image image-3.bin --sequence 2 --out image.suit")));
    for (other, says) in [
        (line.replace("master.key", "other.key"), "the key of its device"),
        (line.replace("--line one", "--line two"), "the key of its device"),
        (format!("{line} --derivation cmac"), "the key of its device"),
        (format!("{line} --revision 1"), "the key of its device"),
        (line.replace("unsigned.suit", "sequence.suit"), "another release"),
        (
            line.replace("unsigned.suit", "image.suit").replace("--image image.bin", "--image other.bin"),
            "another release",
        ),
        (format!("{line} --algorithm a128ctr"), "another release"),
        (format!("{line} --own-images"), "another device has as well"),
        (line.replace("--serial A-0001", ""), "none of these devices"),
    ] {
        assert_eq!(workshop.refused(&split(&other)), ("envelope-foreign".into(), 5), "{other}");
        let (_, message) = refused(&workshop, &other);
        assert!(message.contains(says) && message.contains("out/"), "{message}");
    }
    workshop.ok(&split(&line));
    // Each with an image of its own: none of them is for all.
    std::fs::remove_dir_all(workshop.path("out")).unwrap();
    workshop.ok(&split(&format!("{line} --own-images")));
    let (code, message) = refused(&workshop, &line);
    assert!(code == "envelope-foreign" && message.contains("another content key"), "{message}");
}

/// A file that is there counts only as what this command would make, to the last bit.
#[test]
fn sym31_what_was_changed_in_the_folder_is_not_taken_as_made() {
    let workshop = desk();
    workshop.ok(&split(PERSONALIZE));
    let (envelope, whole) = ("out/A-0002.suit", workshop.read("out/A-0002.suit"));
    for byte in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[byte] ^= 0x10;
        workshop.write(envelope, &changed);
        assert_eq!(code(&workshop, PERSONALIZE), "envelope-foreign", "{byte}");
    }
    for other in [&[][..], &whole[..whole.len() - 1], &workshop.read("out/A-0001.suit"), b"text"] {
        workshop.write(envelope, other);
        assert_eq!(code(&workshop, PERSONALIZE), "envelope-foreign");
    }
    std::fs::remove_file(workshop.path(envelope)).unwrap();
    std::fs::create_dir(workshop.path(envelope)).unwrap();
    assert_eq!(code(&workshop, PERSONALIZE), "file-read");
    std::fs::remove_dir(workshop.path(envelope)).unwrap();
    workshop.write(envelope, &whole);
    let image = std::fs::read_dir(workshop.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "enc"))
        .unwrap();
    let ciphertext = std::fs::read(&image).unwrap();
    let mut changed = ciphertext.clone();
    changed[9] ^= 1;
    std::fs::write(&image, changed).unwrap();
    assert_eq!(workshop.refused(&split(PERSONALIZE)), ("ciphertext-missing".into(), 5));
    std::fs::remove_file(&image).unwrap();
    assert_eq!(code(&workshop, PERSONALIZE), "ciphertext-missing");
    std::fs::write(&image, ciphertext).unwrap();
    assert_eq!(workshop.ok(&split(PERSONALIZE))["made"], 0);
    // Of a device that the command does not name.
    workshop.write("out/Z-1.suit", &whole);
    assert_eq!(code(&workshop, PERSONALIZE), "envelope-foreign");
}

/// Authentic, with the right digest, and still not the image: only who has the keys makes that.
#[test]
fn sym31_a_ciphertext_of_another_content_is_not_taken_as_the_image() {
    let workshop = desk();
    let image = workshop.read("image.bin");
    let (block, keys) = ProvisioningBlock::parse_own_key(&workshop.read("batch/A-0001.block")).unwrap();
    let (kid, update_key) = keys.update().unwrap();
    let recipient = Recipient { kid: kid.0.to_vec(), key: update_key };
    std::fs::create_dir(workshop.path("out")).unwrap();
    let others = [(image.clone(), None), (image.clone(), Some([9; 32])), (vec![7; image.len()], None)];
    for (content, other_digest) in others {
        let made = encrypt(ContentAlgorithm::A128Gcm, &content, std::slice::from_ref(&recipient)).unwrap();
        let digest = other_digest.unwrap_or(trust::sha256(&made.ciphertext));
        let size = made.ciphertext.len() as u64;
        let update = UpdateDescription {
            vendor: block.identity.vendor,
            class: block.identity.class,
            sequence: 2,
            version: "2.0.0".to_owned(),
            image_digest: trust::sha256(&image),
            image_size: image.len() as u64,
            uri: image_uri(&digest),
            encryption: Some(Encryption { info: made.info, digest, size }),
            vendor_domain: Some("anchorage.example".to_owned()),
            model: Some("demo-node".to_owned()),
            ..UpdateDescription::default()
        };
        let (kid, key) = keys.authentication().unwrap();
        let envelope = authenticate(&create(&update).unwrap(), kid, key).unwrap();
        workshop.write("out/A-0001.suit", &envelope);
        workshop.write(&format!("out/{}.enc", hex::encode(digest)), &made.ciphertext);
        if content == image && other_digest.is_none() {
            assert_eq!(workshop.ok(&split(PERSONALIZE))["made"], 2, "an envelope like one of ours");
            for name in ["A-0002", "B%2F0003"] {
                std::fs::remove_file(workshop.path(&format!("out/{name}.suit"))).unwrap();
            }
        } else {
            assert_eq!(code(&workshop, PERSONALIZE), "ciphertext-missing");
        }
    }
}

/// A kill, and then a slip: another master key, line or release does not go on with what is there.
#[test]
fn sym32_after_a_kill_nothing_else_goes_on() {
    let workshop = desk();
    let line = PERSONALIZE.replace("--devices batch/devices.csv", SERIALS);
    workshop.ok(&split(
        "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 9 --version 2.0.0 --out other.suit \
         --image-out other.bin",
    ));
    let mut refused = 0;
    cut_everywhere(&workshop, &line, (SIGKILL, 2), |what, _| {
        let begun = workshop.path("out/A-0001.suit").exists();
        let others = [line.replace("master.key", "other.key"), line.replace("unsigned.suit", "other.suit")];
        for other in others.iter().filter(|_| begun) {
            refused += 1;
            assert_eq!(code(&workshop, other), "envelope-foreign", "{what}");
        }
    });
    assert!(refused > 5, "{refused}");
}

/// Each of two runs would find a folder without a content key.
#[test]
fn sym36_two_runs_at_once_do_not_make_two_content_keys() {
    let workshop = desk();
    std::fs::create_dir(workshop.path("out")).unwrap();
    let other = trust::host::lock_folder(&workshop.path("out")).unwrap().unwrap();
    assert_eq!(workshop.refused(&split(PERSONALIZE)), ("folder-in-use".into(), 3));
    assert_eq!(std::fs::read_dir(workshop.path("out")).unwrap().count(), 0);
    drop(other);
    assert_eq!(workshop.ok(&split(PERSONALIZE))["made"], 3);
}

#[test]
fn what_lies_in_the_place_of_the_folder_is_named() {
    let workshop = desk();
    workshop.write("out", b"text");
    let (code, message) = refused(&workshop, PERSONALIZE);
    assert!(code == "file-write" && message.contains("it is a file, not a folder"), "{message}");
    assert_eq!(workshop.read("out"), b"text");
}

/// A MAC that made room for a signature, or a credential, would be of use to no device any more.
#[test]
fn sym37_what_the_key_of_a_device_authenticates_is_not_signed() {
    let workshop = Workshop::with_release();
    secret(&workshop, "master.key", &format!("{MASTER}\n"));
    workshop.ok(&split(
        "personalize unsigned.suit --image image.bin --master master.key --line one --serial A-1 --out-dir out",
    ));
    let envelope = workshop.read("out/A-1.suit");
    for line in [
        "sign out/A-1.suit --key release.pem --credential release.cwt --out signed.suit --force",
        "sign out/A-1.suit --key release.cose --credential release.cwt --tbs-out tbs.bin",
        "recertify out/A-1.suit --credential release.cwt --out again.suit",
        "recertify signed.suit out/A-1.suit --credential release.cwt --out-dir again",
    ] {
        assert_eq!(workshop.refused(&split(line)), ("release-of-device".into(), 5), "{line}");
        assert_eq!(workshop.read("out/A-1.suit"), envelope);
    }
}

/// An encrypted image is longer than the longest image, by its tag.
#[test]
fn the_longest_image_is_read_back_when_it_is_encrypted() {
    let workshop = desk();
    let mut image = firmware();
    image.resize(64 * 1024 * 1024, 0x5A);
    workshop.write("firmware.bin", &image);
    workshop.ok(&split(
        "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 2 --version 2 --out unsigned.suit \
         --image-out image.bin --force",
    ));
    workshop.ok(&split(PERSONALIZE));
    let again = workshop.ok(&split(PERSONALIZE));
    assert_eq!(again["made"], 0);
    let encrypted = again["ciphertext_files"][0].as_str().unwrap();
    let verify = format!("verify out/A-0001.suit --block batch/A-0001.block --image {encrypted}");
    assert_eq!(workshop.ok(&split(&verify))["image_decrypted"], true);
}

/// Beside encrypt, which SYM24 is about: both keys of each device are compared before anything is written.
#[test]
fn sym24_a_personal_release_is_for_keys_that_its_devices_have() {
    let workshop = desk();
    for other in [
        PERSONALIZE.replace("master.key", "other.key"),
        PERSONALIZE.replace("--line one", "--line two"),
        format!("{PERSONALIZE} --derivation cmac"),
        format!("{PERSONALIZE} --revision 1"),
    ] {
        assert_eq!(workshop.refused(&split(&other)), ("key-check-differs".into(), 4), "{other}");
    }
    let list = String::from_utf8(workshop.read("batch/devices.csv")).unwrap();
    // Of the last device, each key by itself.
    let (first, last) = list.trim_end().rsplit_once('\n').unwrap();
    for (from, to, code_of) in [
        ("authentication=b3", "authentication=b4", "key-check-differs"),
        ("update=4b", "update=4c", "key-check-differs"),
        ("authentication=b3665fffbf ", "", "devices-file"),
        (" update=4b5860e825", "", "devices-file"),
    ] {
        assert!(last.contains(from), "{last}");
        workshop.write("batch/devices.csv", format!("{first}\n{}\n", last.replace(from, to)).as_bytes());
        assert_eq!(code(&workshop, PERSONALIZE), code_of, "{from}");
        assert!(!workshop.path("out/A-0001.suit").exists());
    }
    workshop.write("batch/devices.csv", list.as_bytes());
    // Devices of another class, which the release is not for.
    let other = PLAIN.replace("demo-node", "other-node").replace("--out-dir batch", "--out-dir other");
    workshop.ok(&split(&other));
    let (code_of, message) = refused(&workshop, &PERSONALIZE.replace("batch/", "other/"));
    assert!(code_of == "devices-file" && message.contains("another vendor or class"), "{message}");
    let encrypts = format!("{ENCRYPT} --master master.key --line one --devices other/devices.csv");
    let (code_of, message) = refused(&workshop, &encrypts);
    assert!(code_of == "devices-file" && message.contains("another vendor or class"), "{message}");
    // And a release for one device alone.
    workshop.ok(&split(
        "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 2 --version 2.0.0 --serial A-0002 \
         --out unsigned.suit --image-out image.bin --force",
    ));
    let (code_of, message) = refused(&workshop, PERSONALIZE);
    assert!(code_of == "usage" && message.contains("A-0001 is another one"), "{message}");
    assert_eq!(workshop.ok(&split(&format!("{PERSONALIZE} --serial A-0002")))["made"], 1);
}

#[test]
fn what_is_no_plain_release_of_create_is_not_personalized() {
    let workshop = desk();
    workshop.ok(&split(PERSONALIZE));
    let with = |envelope: &str| {
        PERSONALIZE.replace("unsigned.suit", envelope).replace("--out-dir out", "--out-dir again")
    };
    assert_eq!(code(&workshop, &with("out/A-0001.suit")), "release-signed");
    assert_eq!(code(&workshop, &with("image.bin")), "manifest-malformed");
    workshop.write("other.bin", b"another image");
    let other = PERSONALIZE.replace("--image image.bin", "--image other.bin");
    assert_eq!(code(&workshop, &other), "image-digest-mismatch");
    let twice = PERSONALIZE.replace("--devices batch/devices.csv", "--serial A-1 --serial a-1");
    assert_eq!(code(&workshop, &twice), "usage");
    secret(&workshop, "exposed.key", super::encrypt::MASTER);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(workshop.path("exposed.key"), mode).unwrap();
    assert_eq!(code(&workshop, &PERSONALIZE.replace("master.key", "exposed.key")), "secret-readable");
}

/// docs/attacks.md, SYM34.
#[test]
fn sym34_a_master_key_on_the_command_line_is_refused_and_not_repeated() {
    let workshop = desk();
    let key = String::from_utf8(workshop.read("master.key")).unwrap();
    for value in [key.trim().to_owned(), format!("hex:{}", key.trim()), key.trim()[..32].to_owned()] {
        let run = workshop.run(&split(&PERSONALIZE.replace("master.key", &value)));
        assert_eq!(run.exit, 2, "{run:?}");
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(&key.trim()[..32]), "the key is repeated");
    }
    assert!(!workshop.path("out").exists());
}

/// docs/attacks.md, SYM35.
#[test]
fn sym35_no_number_that_nothing_exceeds_is_given_to_a_device() {
    let workshop = desk();
    let create =
        "create --vendor anchorage.example --class demo-node --version 2.0.0 --image firmware.bin --force";
    for (sequence, exit) in [(u64::from(u32::MAX), 0), (u64::from(u32::MAX) + 1, 6), (u64::MAX, 6)] {
        workshop
            .ok(&split(&format!("{create} --image-out image.bin --sequence {sequence} --out unsigned.suit")));
        let run =
            workshop.run(&split(&PERSONALIZE.replace("--out-dir out", &format!("--out-dir {sequence}"))));
        assert_eq!(run.exit, exit, "{sequence}: {run:?}");
    }
}
