//! What the author feature makes, refuses to make, and the dry run over it.

use ciborium::Value;
use trust::author::{CredentialRequest, ScopeRequest, Signer, SoftwareKey, issue_credential};
use trust::{Anchor, PublicKey, Role, TrustStore, UnixTime};

use super::support::*;
use crate::author::{
    AuthorError, Command, MAX_TEXT_LEN, Parameter, Sequences, SlotImage, UpdateDescription, compose, create,
    image_uri, inspect, recertify, sever_text, sign,
};
use crate::limits::MAX_URI_LEN;
use crate::{
    Condition, DeviceIdentity, Envelope, ErrorKind, ImageReference, MAX_ENVELOPE_HEAD_LEN, Section, Target,
    image_reference, image_reference_for, second_image_reference,
};

/// For another key or other times than those of `support`.
fn credential_request(key: PublicKey) -> CredentialRequest {
    CredentialRequest {
        iss: "root".into(),
        sub: "second release key".into(),
        key,
        role: Role::Release,
        scope: ScopeRequest { vendor: VENDOR, classes: vec![], serials: vec![], actions: None },
        issued_at: UnixTime(0),
        not_before: None,
        expires: None,
        cti: [8; 16],
        generation: 0,
        sequence_ceiling: None,
    }
}

#[test]
fn the_uri_of_an_image_is_its_digest() {
    // RFC 6920 section 8.1: "Hello World!"
    let digest = hex::decode("7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069").unwrap();
    assert_eq!(
        image_uri(&digest.try_into().unwrap()),
        "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk"
    );
}

#[test]
fn an_unsigned_envelope_is_no_release() {
    let unsigned = create(&update()).unwrap();
    assert!(!Envelope::parse(&unsigned).unwrap().has_block());
    assert_eq!(refusal(&unsigned), ErrorKind::SignatureMissing);
    let inspection = inspect(&unsigned).unwrap();
    assert_eq!(inspection.manifest().sequence_number(), 5);
    assert_eq!((inspection.sign1(), inspection.credential()), (None, None));
}

#[test]
fn a_release_says_which_image_it_installs() {
    let envelope = release();
    let authenticated = authenticate(&envelope).unwrap();
    let image = image_reference(authenticated.manifest(), Target::Firmware).unwrap();
    assert_eq!((image.digest, image.size, image.uri), (IMAGE, IMAGE_SIZE, image_uri(&IMAGE).as_str()));
    assert_eq!((image.vendor, image.class, image.device), (VENDOR, CLASS, None));
    let inspection = inspect(&envelope).unwrap();
    assert_eq!(inspection.image_reference().unwrap(), image);
    assert_eq!(inspection.digest(), authenticated.digest());
    assert_eq!(inspection.credential(), Some(credential().as_slice()));
}

/// Tool, host and device find the same image for each slot, and none where there is none.
#[test]
fn the_slot_chooses_the_image() {
    let second = SlotImage { digest: [0x5A; 32], size: 4321, uri: image_uri(&[0x5A; 32]), encryption: None };
    let both = UpdateDescription { second_slot: Some(second.clone()), ..update() };
    let envelope = sign(&create(&both).unwrap(), &release_key(), &credential()).unwrap();
    let authenticated = authenticate(&envelope).unwrap();
    let own = DeviceIdentity { vendor: VENDOR, class: CLASS, device: DEVICE };
    let found = |slot| image_reference_for(authenticated.manifest(), Target::Firmware, &own, slot);
    let of = |image: ImageReference<'_>| (image.digest, image.size, image.uri.to_owned());
    assert_eq!(of(found(0).unwrap()), (IMAGE, IMAGE_SIZE, image_uri(&IMAGE)));
    assert_eq!(of(found(1).unwrap()), (second.digest, second.size, second.uri.clone()));
    let refused = found(2).unwrap_err().kind;
    assert_eq!(refused, ErrorKind::ConditionFailed(Condition::ComponentSlot));
    assert_eq!(
        second_image_reference(authenticated.manifest(), Target::Firmware).unwrap().map(of),
        Some(of(found(1).unwrap()))
    );
    for slot in [0, 1] {
        let image = found(slot).unwrap();
        let images = vec![(image.digest, image.size)];
        let mut device = Device { slot: Some(slot), images, ..Device::default() };
        let fetched = run_on(&mut device, &authenticated, Section::Install).unwrap();
        assert_eq!(fetched, [format!("fetch 0 {}", image.uri)]);
    }

    let one = release();
    assert_eq!(
        second_image_reference(authenticate(&one).unwrap().manifest(), Target::Firmware).unwrap(),
        None
    );
    for (field, wrong) in [
        ("image for slot 1", SlotImage { digest: IMAGE, ..second.clone() }),
        ("size of the image for slot 1", SlotImage { size: 0, ..second.clone() }),
        ("URI of the image for slot 1", SlotImage { uri: String::new(), ..second }),
    ] {
        let refused = create(&UpdateDescription { second_slot: Some(wrong), ..update() });
        assert!(matches!(refused, Err(AuthorError::Description(named, _)) if named == field), "{field}");
    }
}

/// However a manifest leaves slot 1 without an image, devices that write slot 0 take it: it has one image.
#[test]
fn a_manifest_for_slot_0_alone_has_no_second_image() {
    let image = [Parameter::ImageDigest(IMAGE), Parameter::ImageSize(IMAGE_SIZE)];
    let first = vec![
        Command::Override(vec![Parameter::Slot(0)]),
        Command::CheckSlot,
        Command::Override(image.to_vec()),
    ];
    let unset = Sequences::of(&UpdateDescription {
        second_slot: Some(SlotImage { digest: [0x5A; 32], size: 1, uri: "second".into(), encryption: None }),
        ..update()
    });
    let own = DeviceIdentity { vendor: VENDOR, class: CLASS, device: DEVICE };
    let seventh = vec![Command::Override(vec![Parameter::Slot(7)]), Command::CheckSlot];
    let without_digest = vec![Command::Override(vec![Parameter::ImageSize(IMAGE_SIZE)])];
    for (alternatives, or_nothing) in [
        (vec![first.clone(), seventh.clone()], false),
        (vec![first.clone(), seventh], true),
        (vec![first.clone(), vec![Command::Abort]], false),
        (vec![first, without_digest], false),
    ] {
        let mut sequences = unset.clone();
        *sequences.shared.last_mut().unwrap() = Command::TryEach { sequences: alternatives, or_nothing };
        let install = Some(vec![
            Command::Override(vec![Parameter::Uri("u".into())]),
            Command::Fetch,
            Command::ImageMatch,
        ]);
        sequences.install = install;
        let envelope = compose(&update(), &sequences).unwrap();
        let envelope = sign(&envelope, &release_key(), &credential()).unwrap();
        let authenticated = authenticate(&envelope).unwrap();
        let case = format!("{sequences:?}");
        assert_eq!(
            image_reference(authenticated.manifest(), Target::Firmware).unwrap().digest,
            IMAGE,
            "{case}"
        );
        assert_eq!(second_image_reference(authenticated.manifest(), Target::Firmware), Ok(None), "{case}");
        assert_eq!(inspect(&envelope).unwrap().second_image_reference(), Ok(None), "{case}");
        // A device that writes slot 1 takes nothing of it.
        assert!(image_reference_for(authenticated.manifest(), Target::Firmware, &own, 1).is_err(), "{case}");
    }
}

#[test]
fn a_dry_run_for_a_device_fails_as_the_device_would() {
    let single = UpdateDescription { device: Some(DEVICE), ..update() };
    let envelope = sign(&create(&single).unwrap(), &release_key(), &credential()).unwrap();
    let authenticated = authenticate(&envelope).unwrap();
    let own = DeviceIdentity { vendor: VENDOR, class: CLASS, device: DEVICE };
    let refused = |identity: DeviceIdentity| {
        let refused = image_reference_for(authenticated.manifest(), Target::Firmware, &identity, 0)
            .err()
            .map(|error| error.kind);
        let mut device = Device {
            vendor: identity.vendor,
            class: identity.class,
            device: identity.device,
            ..Device::default()
        };
        let by_device = run_on(&mut device, &authenticated, Section::Install).err();
        assert_eq!(refused, by_device.map(|error| error.kind));
        refused
    };
    assert_eq!(
        image_reference_for(authenticated.manifest(), Target::Firmware, &own, 0).unwrap().device,
        Some(DEVICE)
    );
    assert_eq!(refused(own), None);
    let failed = |condition| Some(ErrorKind::ConditionFailed(condition));
    assert_eq!(refused(DeviceIdentity { vendor: FOREIGN, ..own }), failed(Condition::Vendor));
    assert_eq!(refused(DeviceIdentity { class: FOREIGN, ..own }), failed(Condition::Class));
    assert_eq!(refused(DeviceIdentity { device: FOREIGN, ..own }), failed(Condition::Device));
}

#[test]
fn a_release_installs_validates_and_invokes_one_image() {
    let install = || sequence([parameters([uri("x")]), simple(21), simple(3)]);
    let whole = Parts::default()
        .with(7, bytes(&sequence([simple(3)])))
        .with(9, bytes(&sequence([simple(23)])))
        .with(20, bytes(&install()));
    let refused = |parts: &Parts| {
        let envelope = parts.signed();
        image_reference(authenticate(&envelope).unwrap().manifest(), Target::Firmware)
            .err()
            .map(|error| error.kind)
    };
    assert_eq!(refused(&whole), None);
    for (position, (key, _)) in whole.members.iter().enumerate() {
        let mut parts = whole.clone();
        parts.members.remove(position);
        assert_eq!(refused(&parts), Some(ErrorKind::ImageReference), "without {key}");
    }
    let replaced = |key: i64, commands: Vec<(i64, Value)>| {
        let mut parts = whole.clone();
        parts.members.retain(|(own, _)| *own != key);
        refused(&parts.with(key, bytes(&sequence(commands))))
    };
    let reference = Some(ErrorKind::ImageReference);
    let mismatch = Some(ErrorKind::ConditionFailed(Condition::ImageMatch));
    let fetch = || vec![parameters([uri("x")]), simple(21)];
    assert_eq!(replaced(20, [fetch(), fetch()].concat()), None, "the same image twice");
    let other = vec![parameters([(14, 1.into())]), simple(21)];
    assert_eq!(replaced(20, [fetch(), other].concat()), reference, "two images");
    assert_eq!(replaced(20, vec![simple(3)]), mismatch, "nothing was fetched");
    assert_eq!(replaced(7, vec![parameters([(14, 1.into())])]), reference, "validate matches nothing");
    assert_eq!(replaced(7, vec![parameters([(14, 1.into())]), simple(3)]), mismatch, "another image");
    assert_eq!(replaced(9, vec![simple(3)]), reference, "nothing is invoked");
    assert_eq!(replaced(20, vec![simple(23)]), reference, "install invokes");
    // A device's one slot is 0 (bootloader/src/verify/platform.rs).
    let slot = |slot: u64| [vec![parameters([(5, slot.into())]), simple(5)], fetch()].concat();
    let slot_mismatch = Some(ErrorKind::ConditionFailed(Condition::ComponentSlot));
    assert_eq!((replaced(20, slot(0)), replaced(20, slot(1))), (None, slot_mismatch));
    // payload-fetch may do the fetching.
    let mut ahead = whole.clone();
    ahead.members.retain(|(key, _)| *key != 20);
    assert_eq!(
        refused(&ahead.with(16, bytes(&sequence(fetch()))).with(20, bytes(&sequence([simple(3)])))),
        None
    );
}

/// What no device takes, no server and no host takes for anybody's release.
#[test]
fn a_release_is_for_a_device_that_there_can_be() {
    let with_shared = |more: Vec<(i64, Value)>| {
        let shared = sequence([identity(), more].concat());
        let install = sequence([parameters([uri("x")]), simple(21), simple(3)]);
        Parts { shared, ..Parts::default() }
            .with(7, bytes(&sequence([simple(3)])))
            .with(9, bytes(&sequence([simple(23)])))
            .with(20, bytes(&install))
            .signed()
    };
    let class = |id: [u8; 16]| vec![parameters([(2, bytes(&id))]), simple(2)];
    let vendor = |id: [u8; 16]| vec![parameters([(1, bytes(&id))]), simple(1)];
    let device = |id: [u8; 16]| vec![parameters([(24, bytes(&id))]), simple(24)];
    let found = |more: Vec<(i64, Value)>| {
        let envelope = with_shared(more);
        let by_verifier = image_reference(authenticate(&envelope).unwrap().manifest(), Target::Firmware);
        assert_eq!(inspect(&envelope).unwrap().image_reference(), by_verifier);
        by_verifier.map(|image| (image.class, image.device)).map_err(|error| error.kind)
    };
    let failed = |condition| Err(ErrorKind::ConditionFailed(condition));
    // CLASS was checked before, and here is another one.
    assert_eq!(found(class(OTHER_CLASS)), failed(Condition::Class));
    assert_eq!(found([device(DEVICE), device(FOREIGN)].concat()), failed(Condition::Device));
    assert_eq!(found([vendor(VENDOR), class(CLASS)].concat()), Ok((CLASS, None)), "twice the same");
    assert_eq!(found([device(DEVICE), device(DEVICE)].concat()), Ok((CLASS, Some(DEVICE))));
    // bootloader/src/install.rs refuses it too.
    assert_eq!(found(vec![parameters([(14, 0.into())])]), Err(ErrorKind::ImageReference), "an empty image");
    // An alternative that is given up says nothing of the device; the first that holds is the one that is taken.
    let given_up =
        try_each([sequence([class(OTHER_CLASS), vec![simple(14)]].concat()), sequence(class(CLASS))]);
    assert_eq!(found(vec![given_up]), Ok((CLASS, None)));
    let either = try_each([sequence(class(CLASS)), sequence(class(OTHER_CLASS))]);
    assert_eq!(found(vec![either]), Ok((CLASS, None)));
}

#[test]
fn a_description_is_checked() {
    let refused = |change: fn(&mut UpdateDescription)| {
        let mut update = update();
        change(&mut update);
        match create(&update) {
            Err(AuthorError::Description(field, _)) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(|update| update.sequence = 0), "sequence number");
    assert_eq!(refused(|update| update.version = String::new()), "version");
    assert_eq!(refused(|update| update.version = "9".repeat(33)), "version");
    assert_eq!(refused(|update| update.version = "1.0\n".into()), "version");
    assert_eq!(refused(|update| update.image_size = 0), "image size");
    assert_eq!(refused(|update| update.uri = String::new()), "URI");
    assert_eq!(refused(|update| update.description = Some("x".repeat(MAX_TEXT_LEN + 1))), "description");
    assert_eq!(refused(|update| update.uri = "u".repeat(MAX_URI_LEN + 1)), "URI");
    assert!(create(&UpdateDescription { uri: "u".repeat(MAX_URI_LEN), ..update() }).is_ok());
    for sequence in [1, u64::MAX] {
        assert!(create(&UpdateDescription { sequence, ..update() }).is_ok());
    }
    let long = UpdateDescription { description: Some("x".repeat(MAX_TEXT_LEN + 1)), ..update() };
    let words = create(&long).unwrap_err().to_string();
    assert_eq!(words, format!("the description has to have 1 to {MAX_TEXT_LEN} bytes of printable text"));
    let bare = UpdateDescription { vendor_domain: None, model: None, description: None, ..update() };
    assert!(create(&bare).is_ok());
}

#[test]
fn signing_again_replaces_the_signature_and_nothing_else() {
    let first = release();
    let second = sign(&first, &release_key(), &credential()).unwrap();
    assert_eq!(first, second, "Ed25519 is deterministic");

    let other = SoftwareKey::from_seed(&[3; 32]).unwrap();
    let request = credential_request(other.public_key());
    let certified = issue_credential(&request, &root()).unwrap();
    let third = sign(&first, &other, &certified).unwrap();
    let authenticated = authenticate(&third).unwrap();
    assert_eq!(authenticated.authority().credential().key(), &other.public_key());
    assert_eq!(authenticated.digest(), authenticate(&first).unwrap().digest());
}

#[test]
fn nothing_is_signed_that_would_be_refused() {
    let unsigned = create(&update()).unwrap();
    let kind = |result: Result<Vec<u8>, AuthorError>| match result {
        Err(AuthorError::Refused(error)) => error.kind,
        other => panic!("{other:?}"),
    };
    // Section 8.3: the digest is verified before it is signed.
    let mut tampered = unsigned.clone();
    let position = tampered.windows(16).position(|window| window == VENDOR).unwrap();
    tampered[position] ^= 1;
    assert_eq!(kind(sign(&tampered, &release_key(), &credential())), ErrorKind::ManifestDigestMismatch);

    let scope = |vendor, classes| ScopeRequest { vendor, classes, serials: vec![], actions: None };
    let foreign = credential_with(scope(FOREIGN, vec![]), Role::Release);
    assert_eq!(kind(sign(&unsigned, &release_key(), &foreign)), ErrorKind::ScopeVendor);
    let other_class = credential_with(scope(VENDOR, vec![OTHER_CLASS]), Role::Release);
    assert_eq!(kind(sign(&unsigned, &release_key(), &other_class)), ErrorKind::ScopeClass);
    let serials = ScopeRequest { serials: vec!["A-1".into()], ..scope(VENDOR, vec![]) };
    let single = credential_with(serials, Role::Release);
    assert_eq!(kind(sign(&unsigned, &release_key(), &single)), ErrorKind::ScopeDevice);
    let limited = credential_with(ScopeRequest { actions: Some(0), ..scope(VENDOR, vec![]) }, Role::Release);
    assert_eq!(kind(sign(&unsigned, &release_key(), &limited)), ErrorKind::ScopeActions);
    // Neither with a key that the credential is not for, nor with the credential of another role.
    assert!(matches!(sign(&unsigned, &root(), &credential()), Err(AuthorError::Signature(_))));
    let service = credential_with(scope(VENDOR, vec![]), Role::Service);
    assert!(matches!(sign(&unsigned, &release_key(), &service), Err(AuthorError::Role)));
    assert!(matches!(sign(&unsigned, &release_key(), b"\x80"), Err(AuthorError::Signature(_))));

    let malformed = Parts::install([(3, Value::Null)]).signed();
    assert!(matches!(kind(sign(&malformed, &release_key(), &credential())), ErrorKind::Malformed(_)));
    let text = Parts::default().with_severed(23, &encode(&Value::Map(vec![]))).signed();
    assert_eq!(kind(sign(&text, &release_key(), &credential())), ErrorKind::TextMalformed);
}

#[test]
fn what_a_device_needs_must_fit_into_it() {
    let filler = "x".repeat(200);
    let commands = vec![parameters([uri(&filler)]); 25];
    let large = Parts::install(commands).signed();
    match sign(&large, &release_key(), &credential()) {
        Err(AuthorError::TooLarge(len)) => assert!(len > MAX_ENVELOPE_HEAD_LEN),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_text_can_be_severed_away() {
    let long = UpdateDescription { description: Some("x".repeat(MAX_TEXT_LEN)), ..update() };
    let whole = sign(&create(&long).unwrap(), &release_key(), &credential()).unwrap();
    assert!(whole.len() > MAX_ENVELOPE_HEAD_LEN);
    let head = sever_text(&whole).unwrap();
    assert!(head.len() < 1024, "{}", head.len());
    let (whole, without) = (authenticate(&whole).unwrap(), authenticate(&head).unwrap());
    assert_eq!(whole.digest(), without.digest());
    assert_eq!((whole.manifest().version_text(), without.manifest().version_text()), (Some("1.2.3"), None));
    assert_eq!(
        image_reference(whole.manifest(), Target::Firmware).unwrap(),
        image_reference(without.manifest(), Target::Firmware).unwrap()
    );
    assert_eq!(sever_text(&head).unwrap(), head);
}

#[test]
fn times_count_where_there_is_a_clock() {
    let request = CredentialRequest {
        not_before: Some(UnixTime(10)),
        expires: Some(UnixTime(20)),
        ..credential_request(release_key().public_key())
    };
    let limited = issue_credential(&request, &root()).unwrap();
    let anchors = [Anchor::root(root().public_key())];
    let refused = |credential: &[u8], now: Option<u64>| {
        let envelope = sign(&create(&update()).unwrap(), &release_key(), credential).unwrap();
        let store = now.map(UnixTime).into_iter().fold(TrustStore::new(&anchors), TrustStore::at);
        Envelope::parse(&envelope).unwrap().authenticate(&store).err().map(|error| error.kind)
    };
    let not_yet = Some(ErrorKind::Trust(trust::ErrorKind::CredentialNotYetValid));
    let expired = Some(ErrorKind::Trust(trust::ErrorKind::CredentialExpired));
    for (now, expected) in [(9, not_yet), (10, None), (19, None), (20, expired), (u64::MAX, expired)] {
        assert_eq!(refused(&limited, Some(now)), expected, "{now}");
    }
    assert_eq!(refused(&limited, None), None, "no clock");
    assert_eq!(refused(&credential(), Some(u64::MAX)), None, "no times");
}

/// A number that nothing exceeds would end a class of devices: its signer's credential has an end.
#[test]
fn a_sequence_number_above_the_ceiling_is_refused() {
    let signed = |sequence, sequence_ceiling| {
        let request =
            CredentialRequest { sequence_ceiling, ..credential_request(release_key().public_key()) };
        let credential = issue_credential(&request, &root()).unwrap();
        sign(&create(&UpdateDescription { sequence, ..update() }).unwrap(), &release_key(), &credential)
    };
    for (sequence, ceiling) in
        [(5, Some(5)), (0xFFFF_FFFF, None), (i64::MAX.unsigned_abs(), Some(i64::MAX.unsigned_abs()))]
    {
        assert!(authenticate(&signed(sequence, ceiling).unwrap()).is_ok(), "{sequence}");
    }
    for (sequence, ceiling) in
        [(6, Some(5)), (0x1_0000_0000, None), (u64::MAX, Some(i64::MAX.unsigned_abs()))]
    {
        let Err(AuthorError::Refused(refused)) = signed(sequence, ceiling) else {
            panic!("signed {sequence}")
        };
        assert_eq!(refused.kind, ErrorKind::SequenceAboveCeiling);
    }
    // Signed by hand: the verifier refuses what no author makes.
    let request =
        CredentialRequest { sequence_ceiling: Some(4), ..credential_request(release_key().public_key()) };
    let low = issue_credential(&request, &root()).unwrap();
    let envelope = seal(&Parts::default().manifest(), &[], &low); // number 5
    assert_eq!(refusal(&envelope), ErrorKind::SequenceAboveCeiling);
}

#[test]
fn a_renewed_credential_carries_a_release_that_was_signed_before() {
    let old = sign(&create(&update()).unwrap(), &release_key(), &credential()).unwrap();
    let request = CredentialRequest {
        sequence_ceiling: Some(update().sequence),
        ..credential_request(release_key().public_key())
    };
    let renewed = issue_credential(&request, &root()).unwrap();
    let new = recertify(&old, &renewed).unwrap();
    let (before, after) = (authenticate(&old).unwrap(), authenticate(&new).unwrap());
    assert_eq!(before.digest(), after.digest());
    assert_eq!(after.authority().credential().cti(), &[8; 16]);
    assert_eq!(recertify(&new, &credential()).unwrap(), old);

    // Not for a credential that could not have signed it.
    let low = CredentialRequest { sequence_ceiling: Some(update().sequence - 1), ..request };
    let low = issue_credential(&low, &root()).unwrap();
    let Err(AuthorError::Refused(refused)) = recertify(&old, &low) else { panic!("recertified") };
    assert_eq!(refused.kind, ErrorKind::SequenceAboveCeiling);
    let other = SoftwareKey::from_seed(&[9; 32]).unwrap();
    let other = issue_credential(&credential_request(other.public_key()), &root()).unwrap();
    assert!(matches!(
        recertify(&old, &other),
        Err(AuthorError::Signature(trust::author::AuthorError::NotTheSignersCredential))
    ));
    let Err(AuthorError::Refused(refused)) = recertify(&create(&update()).unwrap(), &renewed) else {
        panic!("recertified")
    };
    assert_eq!(refused.kind, ErrorKind::SignatureMissing);
}
