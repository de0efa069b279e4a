//! Releases with an image for each slot, for devices that run images where they lie.

use update_protocol::profile::Object;

use super::fake::{Asked, Script};
use super::{Bench, images};

#[cfg(feature = "http")]
#[path = "../../src/server/tests/fake.rs"]
#[allow(dead_code, reason = "it breaks off and drips for the tests of the client")]
pub(crate) mod fake_server;

const REST: [&str; 5] = ["--confirm-timeout", "1s", "--anchor", "root.cose", "--yes"];

/// Manifest digest of `two.suit`.
fn two(bench: &Bench) -> [u8; 32] {
    *suit_manifest::author::inspect(&bench.made.read("two.suit")).unwrap().digest()
}

/// The device says which slot it writes, and gets the image that is linked for it.
#[test]
fn the_slot_of_the_device_chooses_the_image() {
    let both = ["update", "--release", "two.suit", "--image", "image.bin", "--image", "image2.bin"];
    for (second_slot, name) in [(false, "image.bin"), (true, "image2.bin")] {
        let bench = Bench::new();
        let manifest_digest = two(&bench);
        let device = bench
            .device(|script| (script.second_slot, script.manifest_digest) = (second_slot, manifest_digest));
        let ended = bench.run(&[&both[..], &REST].concat());
        ended.is_result("confirmed", 0);
        assert!(!ended.stdout.contains("image-unused"), "{}", ended.stdout);
        let image = Asked::Object(Object::Image { offset: 0 }, bench.made.read(name));
        assert!(device.asked().contains(&image), "{name}");
        // The image for the other slot alone is refused before the device hears of it.
        let bench = Bench::new();
        let device = bench
            .device(|script| (script.second_slot, script.manifest_digest) = (!second_slot, manifest_digest));
        let one = ["update", "--release", "two.suit", "--image", name];
        let ended = bench.run(&[&one[..], &REST].concat());
        ended.is_error("image-digest-mismatch", 5);
        assert_eq!(ended.last["error"]["hint"], "Pass both images of the release with --image.");
        assert!(images(&device.asked()).is_empty());
    }
}

/// Somebody passes a file too many, and is told.
#[test]
fn an_image_that_the_release_does_not_name_is_passed_over() {
    let bench = Bench::new();
    let device = bench.device(|_| ());
    let ended = bench.update(&["--image", "image2.bin"]);
    ended.is_result("confirmed", 0);
    let warning = ended.stdout.lines().find(|line| line.contains("image-unused")).expect("a warning");
    assert!(warning.contains("does not name 1 of the images"), "{warning}");
    assert_eq!(images(&device.asked()), [(0, super::made::IMAGE_LEN)]);
}

/// A programming session reverts the trial: the device then writes the slot of the image on trial, and the host, which
/// chose by the state before the session, looks again.
#[test]
fn a_trial_that_the_session_reverts_changes_the_image() {
    for (second_slot, before, after) in
        [(false, "image.bin", "image2.bin"), (true, "image2.bin", "image.bin")]
    {
        let bench = Bench::new();
        let manifest_digest = two(&bench);
        let on_trial = |script: &mut Script| {
            (script.second_slot, script.is_on_trial) = (second_slot, true);
            script.manifest_digest = manifest_digest;
        };
        let device = bench.device(on_trial);
        let both = ["update", "--release", "two.suit", "--image", "image.bin", "--image", "image2.bin"];
        bench.run(&[&both[..], &REST].concat()).is_result("confirmed", 0);
        let sent = [
            Asked::Programming,
            Asked::Object(Object::Envelope, bench.made.read("two.suit")),
            Asked::Object(Object::Image { offset: 0 }, bench.made.read(after)),
            Asked::Reset,
        ];
        assert_eq!(device.asked(), sent);
        // Without the image for that slot the device hears of nothing, and goes back to what it runs.
        let bench = Bench::new();
        let device = bench.device(on_trial);
        let one = ["update", "--release", "two.suit", "--image", before];
        bench.run(&[&one[..], &REST].concat()).is_error("slot-changed", 7);
        assert_eq!(device.asked(), [Asked::Programming, Asked::Reset]);
        let one = ["update", "--release", "two.suit", "--image", after];
        bench.run(&[&one[..], &REST].concat()).is_result("confirmed", 0);
    }
}

#[cfg(feature = "http")]
mod with_a_server {
    use sha2::Digest as _;

    use super::super::made::IMAGE_LEN;
    use super::*;
    use fake_server::{Answer, FakeServer};

    /// A server that offers `two.suit`, and has no revocation list.
    fn serving(bench: &Bench) -> FakeServer {
        let sha256 = |bytes: &[u8]| hex::encode(sha2::Sha256::digest(bytes));
        let (first, second) = (bench.made.read("image.bin"), bench.made.read("image2.bin"));
        let (envelope, digest) = (bench.made.read("two.suit"), hex::encode(two(bench)));
        let image = |image: &[u8]| serde_json::json!({"sha256": sha256(image), "size": image.len()});
        let object = serde_json::json!({
            "manifest_digest": digest, "envelope_sha256": sha256(&envelope), "sequence": 5,
            "image": image(&first), "second_image": image(&second),
        });
        let images = [first, second].map(|image| (format!("/v1/images/{}", sha256(&image)), image));
        FakeServer::start(move |request| match request.path.as_str() {
            path if path.starts_with("/v1/releases/latest") => Answer::ok(object.to_string().into_bytes()),
            path if path.ends_with("/envelope") => Answer::ok(envelope.clone()),
            path => match images.iter().find(|(named, _)| named == path) {
                Some((_, image)) => Answer::ok(image.clone()),
                None if path.starts_with("/v1/successions/") => {
                    Answer::new(404, br#"{"code":"domain-unknown"}"#.to_vec())
                }
                None => Answer::new(404, br#"{"code":"revocation-list-unknown"}"#.to_vec()),
            },
        })
    }

    /// Both images come in one run: a device in the other slot, or one whose trial ends, needs no server any more.
    #[test]
    fn a_release_from_a_server_serves_devices_in_either_slot() {
        let bench = Bench::new();
        let manifest_digest = two(&bench);
        let server = serving(&bench);
        let url = server.url();
        let mut server = Some(server);
        for (second_slot, is_on_trial, name) in [
            (true, false, "image2.bin"),
            (false, false, "image.bin"),
            (false, true, "image2.bin"),
            (true, true, "image.bin"),
        ] {
            let device = bench.device(|script| {
                (script.second_slot, script.is_on_trial) = (second_slot, is_on_trial);
                script.manifest_digest = manifest_digest;
            });
            let ended = bench.run(&[&["update", "--server", &url][..], &REST].concat());
            ended.is_result("confirmed", 0);
            let image = Asked::Object(Object::Image { offset: 0 }, bench.made.read(name));
            assert!(device.asked().contains(&image), "{second_slot} {is_on_trial}");
            assert_eq!(images(&device.asked()).len(), 1);
            let events = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
            let events: Vec<serde_json::Value> = events.collect();
            let download = events.iter().rfind(|event| event["event"] == "download");
            let counted = download.map(|event| (event["bytes"].as_u64(), event["total"].as_u64()));
            let both = Some(2 * IMAGE_LEN as u64);
            // The server is there for the first device only.
            assert_eq!(counted, server.take().map(|_| (both, both)));
        }
    }
}
