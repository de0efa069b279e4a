//! The profile of a device that decrypts: what it installs, what it refuses, and that it agrees with the others.

use ciborium::Value;
use trust::aes::Key128;
use trust::author::{Recipient, Signer as _, encrypt};
use trust::encryption::ContentAlgorithm;
use trust::{Anchor, TrustStore};

use super::support::*;
use crate::author::{Encryption, SlotImage, UpdateDescription, create, image_uri, inspect, sign};
use crate::host;
use crate::{
    DeviceIdentity, Envelope, Error, ErrorKind, ImageReference, Reason, Target, Walk, Wanted,
    image_reference, image_reference_for, second_image_reference,
};

pub(super) const CIPHERTEXT: [u8; 32] = [0x33; 32];
const CIPHERTEXT_SIZE: u64 = IMAGE_SIZE + 16;

fn info_of(algorithm: ContentAlgorithm) -> Vec<u8> {
    let recipient = Recipient { kid: b"device".to_vec(), key: Key128::new([9; 16]) };
    encrypt(algorithm, b"image", &[recipient]).unwrap().info
}

fn info() -> Vec<u8> {
    info_of(ContentAlgorithm::A128Gcm)
}

pub(super) fn encryption() -> Encryption {
    Encryption { info: info(), digest: CIPHERTEXT, size: CIPHERTEXT_SIZE }
}

fn described() -> UpdateDescription {
    UpdateDescription { uri: image_uri(&CIPHERTEXT), encryption: Some(encryption()), ..update() }
}

/// What a host that wants this finds in a signed envelope.
pub(super) fn found_as(wanted: impl Into<Wanted>, envelope: &[u8]) -> Result<ImageReference<'_>, Error> {
    let anchors = [Anchor::root(root().public_key())];
    let authenticated = host::Envelope::parse(envelope)?.authenticate(&TrustStore::new(&anchors))?;
    image_reference(authenticated.manifest(), wanted)
}

fn found(envelope: &[u8]) -> Result<ImageReference<'_>, Error> {
    found_as(Target::Firmware, envelope)
}

/// The parts of an encrypted release, piece by piece.
pub(super) struct Release {
    pub(super) components: Vec<Value>,
    pub(super) fetch: Vec<(i64, Value)>,
    pub(super) copy: Vec<(i64, Value)>,
    pub(super) validate: Vec<(i64, Value)>,
    /// Empty: there is no such section.
    pub(super) invoke: Vec<(i64, Value)>,
}

pub(super) fn component(segments: &[&[u8]]) -> Value {
    Value::Array(segments.iter().map(|segment| bytes(segment)).collect())
}

impl Default for Release {
    fn default() -> Self {
        let size = (14, CIPHERTEXT_SIZE.into());
        Self {
            components: vec![component(&[b"app"]), component(&[b"app", b"encrypted"])],
            fetch: vec![
                component_index(1),
                parameters([(3, image_digest(&CIPHERTEXT)), size, uri("x")]),
                simple(21),
                simple(3),
            ],
            copy: vec![
                component_index(0),
                parameters([(19, bytes(&info())), (22, 1.into())]),
                simple(22),
                simple(3),
            ],
            validate: vec![component_index(0), simple(3)],
            invoke: vec![component_index(0), simple(23)],
        }
    }
}

impl Release {
    pub(super) fn signed(self) -> Vec<u8> {
        let install = [self.fetch, self.copy].concat();
        let parts = Parts {
            components: self.components,
            shared: sequence([vec![component_index(0)], identity()].concat()),
            ..Parts::default()
        }
        .with(7, bytes(&sequence(self.validate)))
        .with(20, bytes(&sequence(install)));
        let parts = if self.invoke.is_empty() { parts } else { parts.with(9, bytes(&sequence(self.invoke))) };
        parts.signed()
    }

    fn refusal(self) -> ErrorKind {
        found(&self.signed()).unwrap_err().kind
    }
}

#[test]
fn an_encrypted_release_names_what_is_fetched_and_what_is_installed() {
    for second_slot in [false, true] {
        let mut update = described();
        let digest = [0x5A; 32];
        if second_slot {
            let encryption = Some(Encryption { digest: [0x44; 32], size: 4337, ..encryption() });
            update.second_slot =
                Some(SlotImage { digest, size: 4321, uri: image_uri(&[0x44; 32]), encryption });
        }
        let envelope = create(&update).unwrap();
        let read = inspect(&envelope).unwrap();
        let image = read.image_reference().unwrap();
        assert_eq!((image.digest, image.size, image.uri), (CIPHERTEXT, CIPHERTEXT_SIZE, &*update.uri));
        assert_eq!((image.installed_digest(), image.installed_size()), (IMAGE, IMAGE_SIZE));
        assert_eq!(image.decrypted.unwrap().info.bytes, info_of_update(&update));
        let second = read.second_image_reference().unwrap();
        assert_eq!(
            second.map(|second| (second.digest, second.installed_digest())),
            second_slot.then_some(([0x44; 32], digest))
        );
    }
}

/// A device has no key pair, and no key without a name: a host tells it, and does not send what the device refuses.
#[test]
fn an_image_that_no_device_can_decrypt_is_for_none() {
    let recipient = |kid: &[u8]| Recipient { kid: kid.to_vec(), key: Key128::new([9; 16]) };
    for (kids, is_for_some) in [(&[b"".as_slice()][..], false), (&[b"", b"device"], true)] {
        let recipients: Vec<_> = kids.iter().map(|kid| recipient(kid)).collect();
        let info = encrypt(ContentAlgorithm::A128Gcm, b"image", &recipients).unwrap().info;
        let update =
            UpdateDescription { encryption: Some(Encryption { info, ..encryption() }), ..described() };
        let envelope = sign(&create(&update).unwrap(), &release_key(), &credential()).unwrap();
        let image = found(&envelope).unwrap();
        let identity = DeviceIdentity { vendor: image.vendor, class: image.class, device: [0; 16] };
        let anchors = [Anchor::root(root().public_key())];
        let authenticated = host::Envelope::parse(&envelope).unwrap();
        let authenticated = authenticated.authenticate(&TrustStore::new(&anchors)).unwrap();
        let of_device = image_reference_for(authenticated.manifest(), Target::Firmware, &identity, 0);
        match is_for_some {
            true => assert_eq!(of_device.unwrap(), image),
            false => assert_eq!(of_device.unwrap_err().reason(), Reason::DeviceKeyUnknown),
        }
    }
}

fn info_of_update(update: &UpdateDescription) -> &[u8] {
    &update.encryption.as_ref().unwrap().info
}

/// One image that is encrypted for each slot is one image.
#[test]
fn an_image_that_is_encrypted_twice_is_no_second_image() {
    let second = Encryption { digest: [0x44; 32], ..encryption() };
    let second = SlotImage { digest: IMAGE, size: IMAGE_SIZE, uri: "y".into(), encryption: Some(second) };
    let update = UpdateDescription { second_slot: Some(second), ..described() };
    let envelope = crate::author::compose(&update, &crate::author::Sequences::of(&update)).unwrap();
    assert!(inspect(&envelope).unwrap().second_image_reference().unwrap().is_none());
}

#[test]
fn a_release_is_encrypted_for_both_slots_or_for_none() {
    let plain = SlotImage { digest: [1; 32], size: 1, uri: "y".into(), encryption: None };
    for update in [
        UpdateDescription { second_slot: Some(plain.clone()), ..described() },
        UpdateDescription {
            second_slot: Some(SlotImage { encryption: Some(encryption()), ..plain }),
            ..update()
        },
    ] {
        let refused = create(&update).unwrap_err().to_string();
        assert!(refused.contains("encryption of the image for slot 1"), "{refused}");
    }
}

/// A loader that does not decrypt says so, and hosts that ask for the whole agree with those that decrypt.
#[test]
fn suit41_an_encrypted_release_is_read_alike_and_refused_by_a_loader() {
    let envelope = Release::default().signed();
    assert_eq!(found(&envelope).unwrap().installed_digest(), IMAGE);
    let anchors = [Anchor::root(root().public_key())];
    let loader = Envelope::parse(&envelope).unwrap().authenticate(&TrustStore::new(&anchors)).unwrap();
    let refused = Walk::rehearse(loader.manifest(), (), &mut Device::default()).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::ComponentUnsupported);
    assert!(second_image_reference(loader.manifest(), Target::Firmware).is_err());
    // With one component it gets as far as the parameter.
    let alone = Parts::default().with(20, bytes(&sequence([parameters([(19, bytes(&info()))])]))).signed();
    let loader = Envelope::parse(&alone).unwrap().authenticate(&TrustStore::new(&anchors)).unwrap();
    let refused = Walk::rehearse(loader.manifest(), (), &mut Device::default()).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::EncryptionUnsupported);
}

/// What a device installs lies in its first component, and a boot goes by that one.
#[test]
fn suit42_the_application_is_the_first_component_and_no_other_one_is_invoked() {
    let [app, encrypted] = [component(&[b"app"]), component(&[b"app", b"encrypted"])];
    let fetch_of = |index: u64| {
        vec![
            component_index(index),
            parameters([(3, image_digest(&IMAGE)), (14, IMAGE_SIZE.into()), uri("x")]),
            simple(21),
            simple(3),
        ]
    };
    let image = |index: u64| {
        vec![
            component_index(index),
            parameters([(3, image_digest(&IMAGE)), (14, IMAGE_SIZE.into())]),
            simple(3),
        ]
    };
    let invoke = |index: u64| vec![component_index(index), simple(23)];
    let plain = |components: Vec<Value>, index: u64| Release {
        components,
        fetch: fetch_of(index),
        copy: vec![],
        validate: image(index),
        invoke: invoke(index),
    };
    assert!(found(&plain(vec![app.clone()], 0).signed()).is_ok());
    assert!(found(&plain(vec![app.clone(), encrypted.clone()], 0).signed()).is_ok());
    assert_eq!(plain(vec![encrypted.clone()], 0).refusal(), ErrorKind::ImageReference);
    assert_eq!(plain(vec![app.clone(), encrypted.clone()], 1).refusal(), ErrorKind::ImageReference);
    assert_eq!(plain(vec![encrypted.clone(), app.clone()], 1).refusal(), ErrorKind::ImageReference);
    // Into the other component, and nobody looks there.
    let swapped = Release { components: vec![encrypted, app], ..Release::default() };
    assert_eq!(swapped.refusal(), ErrorKind::ImageReference);
    let stranger =
        Release { components: vec![component(&[b"app"]), component(&[b"staging"])], ..Release::default() };
    assert_eq!(stranger.refusal(), ErrorKind::ComponentUnsupported);
}

/// A copy makes the image of what was fetched, once, and it is all there.
#[test]
fn suit43_a_copy_that_does_not_decrypt_what_was_fetched_installs_nothing() {
    let copy =
        |entries: Vec<(i64, Value)>| vec![component_index(0), parameters(entries), simple(22), simple(3)];
    let with = |copy| Release { copy, ..Release::default() }.refusal();
    let info = || (19, bytes(&info()));
    let from = |index: u64| (22, index.into());
    assert_eq!(with(copy(vec![from(1)])), ErrorKind::ImageReference, "nothing to decrypt it with");
    assert_eq!(with(copy(vec![info()])), ErrorKind::ParameterMissing, "from nowhere");
    assert_eq!(with(copy(vec![info(), from(2)])), ErrorKind::ComponentIndex);
    assert_eq!(with(copy(vec![info(), from(0)])), ErrorKind::ImageReference, "from itself");
    let twice = [copy(vec![info(), from(1)]), vec![simple(22)]].concat();
    assert_eq!(with(twice), ErrorKind::ImageReference, "twice");
    let unfetched = Release { fetch: vec![component_index(1)], ..Release::default() };
    assert_eq!(unfetched.refusal(), ErrorKind::ImageReference, "before it was fetched");
    // Out of a component into which nothing was fetched.
    let fetch = vec![
        component_index(0),
        parameters([(3, image_digest(&CIPHERTEXT)), (14, CIPHERTEXT_SIZE.into()), uri("x")]),
        simple(21),
    ];
    let elsewhere = copy(vec![(3, image_digest(&IMAGE)), (14, IMAGE_SIZE.into()), info(), from(1)]);
    let elsewhere = Release { fetch, copy: elsewhere, ..Release::default() };
    assert_eq!(elsewhere.refusal(), ErrorKind::ImageReference, "from elsewhere");
    // Not as long as the ciphertext of the image is.
    for size in [IMAGE_SIZE, CIPHERTEXT_SIZE - 1, CIPHERTEXT_SIZE + 1] {
        let fetch = vec![
            component_index(1),
            parameters([(3, image_digest(&CIPHERTEXT)), (14, size.into()), uri("x")]),
            simple(21),
        ];
        assert_eq!(Release { fetch, ..Release::default() }.refusal(), ErrorKind::ImageReference, "{size}");
    }
    // Counter mode has no tag.
    let counter = (19, bytes(&info_of(ContentAlgorithm::A128Ctr)));
    assert_eq!(with(copy(vec![counter, from(1)])), ErrorKind::ImageReference);
    // The ciphertext is gone once it is decrypted.
    let after = [copy(vec![info(), from(1)]), vec![component_index(1), simple(3)]].concat();
    assert!(matches!(with(after), ErrorKind::ConditionFailed(_)));
}

/// An encryption-info that nobody here can use, and one that is broken.
#[test]
fn suit44_what_cannot_be_decrypted_is_unsupported_and_what_is_broken_is_malformed() {
    let with = |info: Vec<u8>| {
        let copy = vec![component_index(0), parameters([(19, bytes(&info)), (22, 1.into())]), simple(22)];
        found(&Release { copy, ..Release::default() }.signed()).unwrap_err()
    };
    let good = info();
    let Value::Tag(96, message) = ciborium::from_reader(good.as_slice()).unwrap() else { panic!("no COSE") };
    let message = message.into_array().unwrap();
    let message_with = |tag, changes: &[(usize, Value)]| {
        let mut message = message.clone();
        for (index, value) in changes {
            message[*index] = value.clone();
        }
        encode(&Value::Tag(tag, Value::Array(message).into()))
    };
    assert_eq!(message_with(96, &[]), good);
    let protected = |headers: &[(i64, Value)]| (0, bytes(&encode(&map(headers.to_vec()))));
    let is_gcm = || (1, 1.into());
    for (what, unsupported) in [
        ("a COSE_Mac", message_with(97, &[])),
        ("a ciphertext inside", message_with(96, &[(2, bytes(b"image"))])),
        ("A256GCM", message_with(96, &[protected(&[(1, 3.into())])])),
        ("crit", message_with(96, &[protected(&[is_gcm(), (2, Value::Array(vec![1.into()]))])])),
        ("another header", message_with(96, &[protected(&[is_gcm(), (33, 0.into())])])),
        ("no IV", message_with(96, &[(1, map([]))])),
    ] {
        assert_eq!(with(unsupported).reason(), Reason::EncryptionUnsupported, "{what}");
    }
    let mut broken = good;
    broken.pop();
    assert_eq!(with(broken).reason(), Reason::ManifestMalformed);
}

/// Section 6.7: an order that is free may run the copy first.
#[test]
fn suit45_nothing_is_read_that_is_written_in_a_free_order() {
    let mut release = Release::default();
    release.fetch.insert(1, parameters([(12, false.into())]));
    assert_eq!(release.refusal(), ErrorKind::StrictOrder);
}

/// A condition that no device of ours offers fails softly, as for a loader; what a loader has not is not there.
#[test]
fn a_device_that_decrypts_offers_nothing_else() {
    let idiom = |code| {
        let mut release = Release::default();
        release.fetch.insert(1, try_each_or_nil([sequence([simple(code)]), sequence([simple(14)])]));
        release.signed()
    };
    // check-content
    assert!(found(&idiom(6)).is_ok());
    for code in [18, 31, 33, 34, 29, 11] {
        let mut release = Release::default();
        release.fetch.insert(1, simple(code));
        assert_eq!(release.refusal(), ErrorKind::CommandUnknown, "{code}");
    }
    for key in [18, 23, 25, 7] {
        let mut release = Release::default();
        release.fetch.insert(1, parameters([(key, bytes(b"x"))]));
        assert_eq!(release.refusal(), ErrorKind::ParameterUnsupported, "{key}");
    }
    // In the shared sequence nothing is copied.
    let parts = Parts { shared: sequence([identity(), vec![simple(22)]].concat()), ..Parts::default() };
    assert_eq!(found(&parts.signed()).unwrap_err().kind, ErrorKind::CommandNotShared);
}
