//! Manifests of firmware and a table: one release, walked once for each.

use ciborium::Value;
use trust::author::Signer as _;
use trust::{Anchor, TrustStore};

use super::decrypting::{CIPHERTEXT, Release, component, encryption, found_as};
use super::support::*;
use crate::author::{AuthorError, SlotImage, UpdateDescription, create, image_uri, inspect, sign};
use crate::profile::{Decrypting, Loader};
use crate::{
    AuthenticatedOf, ComponentId, Condition, DeviceIdentity, EnvelopeOf, Error, ErrorKind, Section, Target,
    Walk, Walked, image_reference_for,
};

const TABLE: [u8; 32] = [0x7A; 32];
const TABLE_SIZE: u64 = 99;

fn table() -> SlotImage {
    SlotImage { digest: TABLE, size: TABLE_SIZE, uri: image_uri(&TABLE), encryption: None }
}

fn both() -> UpdateDescription {
    UpdateDescription { table: Some(table()), ..update() }
}

fn signed(update: &UpdateDescription) -> Vec<u8> {
    sign(&create(update).unwrap(), &release_key(), &credential()).unwrap()
}

fn authentic(envelope: &[u8]) -> AuthenticatedOf<'_, Decrypting> {
    let anchors = [Anchor::root(root().public_key())];
    EnvelopeOf::<Decrypting>::parse(envelope)
        .and_then(|parsed| parsed.authenticate(&TrustStore::new(&anchors)))
        .unwrap()
}

/// A release by hand: firmware and a table, both as they are.
fn by_hand() -> Release {
    let of_table = || parameters([(3, image_digest(&TABLE)), (14, TABLE_SIZE.into())]);
    Release {
        components: vec![component(&[b"app"]), component(&[b"table"])],
        fetch: vec![component_index(0), parameters([uri("x")]), simple(21), simple(3)],
        copy: vec![component_index(1), of_table(), parameters([uri("y")]), simple(21), simple(3)],
        validate: vec![component_index(0), simple(3), component_index(1), of_table(), simple(3)],
        invoke: vec![component_index(0), simple(23)],
    }
}

fn refusals(release: Release) -> [Option<ErrorKind>; 2] {
    let envelope = release.signed();
    Target::ALL.map(|target| found_as(target.of_any(), &envelope).err().map(|error| error.kind))
}

/// A device that has both, and answers for one of them.
fn device_of(device: Device) -> Having {
    Having { device, wanted: Target::Firmware.of_any(), decrypts: true }
}

#[test]
fn firmware_and_a_table_are_written_as_they_are_read() {
    let encrypted = SlotImage {
        uri: image_uri(&[0x44; 32]),
        encryption: Some(crate::author::Encryption {
            digest: [0x44; 32],
            size: TABLE_SIZE + 16,
            ..encryption()
        }),
        ..table()
    };
    let (app, table_id) = (ComponentId::APP, ComponentId::TABLE);
    let (app_through, table_through) = (ComponentId::ENCRYPTED, ComponentId::TABLE_ENCRYPTED);
    for (of_firmware, of_table, components) in [
        (false, false, vec![app, table_id]),
        (false, true, vec![app, table_id, table_through]),
        (true, false, vec![app, app_through, table_id]),
        (true, true, vec![app, app_through, table_id, table_through]),
    ] {
        let mut update = both();
        if of_firmware {
            (update.uri, update.encryption) = (image_uri(&CIPHERTEXT), Some(encryption()));
        }
        if of_table {
            update.table = Some(encrypted.clone());
        }
        let envelope = signed(&update);
        let read = inspect(&envelope).unwrap();
        assert_eq!(read.manifest().components().iter().collect::<Vec<_>>(), components);
        assert!(read.manifest().installs_both() && read.manifest().target() == Target::Firmware);
        let firmware = found_as(Target::Firmware.of_any(), &envelope).unwrap();
        assert_eq!((firmware.installed_digest(), firmware.installed_size()), (IMAGE, IMAGE_SIZE));
        assert_eq!((firmware.uri, firmware.decrypted.is_some()), (&*update.uri, of_firmware));
        let table = found_as(Target::Table.of_any(), &envelope).unwrap();
        assert_eq!((table.installed_digest(), table.installed_size()), (TABLE, TABLE_SIZE));
        assert_eq!((table.uri, table.decrypted.is_some()), (&*update.table.unwrap().uri, of_table));
        // A loader without tables has no such components.
        let plain = EnvelopeOf::<Loader>::parse(&envelope).unwrap();
        let anchors = [Anchor::root(root().public_key())];
        if let Ok(read) = plain.authenticate(&TrustStore::new(&anchors)) {
            assert!(!read.manifest().installs_both());
            let refused =
                Walk::rehearse(read.manifest(), (), &mut Device { supported: 1, ..Device::default() });
            assert_eq!(refused.unwrap_err().kind, ErrorKind::ComponentUnsupported);
        }
    }
    let of = |table| create(&UpdateDescription { table: Some(table), ..update() }).unwrap_err().to_string();
    assert_eq!(of(SlotImage { size: 0, ..table() }), "the size of the table is 0; it has to be at least 1");
    assert!(
        of(SlotImage { uri: String::new(), ..table() }).starts_with("the URI of the table has to have 1 to")
    );
    let two = create(&UpdateDescription { target: Target::Table, ..both() });
    assert!(matches!(two, Err(AuthorError::TwoTables)));
}

/// A device with firmware alone, or a program that knows of one image, installs no half of it.
#[test]
fn suit67_a_release_of_both_is_for_devices_that_have_both() {
    let envelope = signed(&both());
    for target in Target::ALL {
        let refused = found_as(target, &envelope).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::ComponentUnsupported);
        let identity = DeviceIdentity { vendor: VENDOR, class: CLASS, device: DEVICE };
        let authentic = authentic(&envelope);
        assert!(image_reference_for(authentic.manifest(), target, &identity, 0).is_err());
        assert!(image_reference_for(authentic.manifest(), target.of_any(), &identity, 0).is_ok());
    }
    let read = inspect(&envelope).unwrap();
    assert_eq!(read.image_reference().unwrap_err().kind, ErrorKind::ComponentUnsupported);
    assert!(read.second_image_reference().is_err());
}

/// Each walk takes what is its own, and asks nothing about the other one.
#[test]
fn each_walk_over_both_takes_its_own() {
    let envelope = signed(&both());
    let authentic = authentic(&envelope);
    let manifest = authentic.manifest();
    for (target, own, digest, size) in
        [(Target::Firmware, 0, IMAGE, IMAGE_SIZE), (Target::Table, 1, TABLE, TABLE_SIZE)]
    {
        // What lies in the other component is wrong, and nobody asks.
        let mut images = vec![([0; 32], 0); 2];
        images[own] = (digest, size);
        let mut device = device_of(Device { images, ..Device::default() });
        let mut walk = Walk::install(manifest, target);
        let Walked::Fetch(image) = walk.run(&mut device).unwrap() else { panic!("{target:?}") };
        assert_eq!((image.component as usize, *image.digest.sha256(), image.size), (own, digest, size));
        assert_eq!(walk.run(&mut device), Ok(Walked::Complete));
        assert_eq!(Walk::boot(manifest, target, size).run(&mut device), Ok(Walked::Complete));
        let images = device.device.asked.iter().filter(|asked| asked.starts_with("image"));
        assert!(images.clone().count() > 1 && images.clone().all(|asked| *asked == format!("image {own}")));
        let mismatch = ErrorKind::ConditionFailed(Condition::ImageMatch);
        let wrong = Walk::boot(manifest, target, size + 1).run(&mut device).unwrap_err();
        assert_eq!(wrong.kind, mismatch);
        device.device.images[own].0 = [1; 32];
        assert_eq!(Walk::boot(manifest, target, size).run(&mut device).unwrap_err().kind, mismatch);
        // The conditions of the device are those of both.
        device.device.class = [0; 16];
        let refused = Walk::install(manifest, target).run(&mut device).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::ConditionFailed(Condition::Class));
    }
}

/// What each walk passes over, the other one judges: no half of such a release is good by itself.
#[test]
fn suit68_both_halves_of_a_release_are_whole_and_in_their_places() {
    assert_eq!(refusals(by_hand()), [None, None]);
    let unsupported = Some(ErrorKind::ComponentUnsupported);
    let [app, table] = [component(&[b"app"]), component(&[b"table"])];
    let [staging, through] = [component(&[b"app", b"encrypted"]), component(&[b"table", b"encrypted"])];
    // A boot goes by the first component, and each of both has one.
    for components in [
        vec![table.clone(), app.clone()],
        vec![app.clone(), through.clone()],
        vec![staging.clone(), table.clone()],
        vec![table.clone(), staging.clone()],
        vec![staging, app.clone(), table.clone()],
        vec![through, app.clone(), table.clone()],
    ] {
        let refused = refusals(Release { components, ..by_hand() });
        assert_eq!(refused, [unsupported, unsupported]);
    }
    let wrong = Some(ErrorKind::ImageReference);
    let of_table = || parameters([(3, image_digest(&TABLE)), (14, TABLE_SIZE.into())]);
    // Nothing runs, or the table does.
    for (invoke, refused) in [
        (vec![], [wrong, wrong]),
        (vec![component_index(1), simple(23)], [wrong, None]),
        (vec![component_index(0)], [wrong, None]),
    ] {
        assert_eq!(refusals(Release { invoke, ..by_hand() }), refused);
    }
    // One of them is not fetched, not validated, or fetched twice.
    for (release, refused) in [
        (Release { fetch: vec![component_index(0)], ..by_hand() }, [wrong, None]),
        (Release { copy: vec![], ..by_hand() }, [None, wrong]),
        (Release { validate: vec![component_index(0), simple(3)], ..by_hand() }, [None, wrong]),
        (Release { validate: vec![component_index(1), of_table(), simple(3)], ..by_hand() }, [wrong, None]),
        (
            Release {
                copy: [by_hand().copy, vec![parameters([(3, image_digest(&[9; 32]))]), simple(21)]].concat(),
                ..by_hand()
            },
            [None, wrong],
        ),
    ] {
        assert_eq!(refusals(release), refused);
    }
    // The table comes out of what the firmware was fetched into: nobody's.
    let copied: Vec<(i64, Value)> = vec![
        component_index(1),
        of_table(),
        parameters([(19, bytes(&encryption().info)), (22, 0.into())]),
        simple(22),
        simple(3),
    ];
    assert_eq!(refusals(Release { copy: copied, ..by_hand() }), [None, wrong]);
    assert!(authentic(&by_hand().signed()).manifest().has_section(Section::Invoke));
    let kind = |walked: Result<Walked<'_>, Error>| walked.map(drop).map_err(|error| error.kind);
    let mut device = device_of(Device::default());
    let envelope = Release { components: vec![app, component(&[b"other"])], ..by_hand() }.signed();
    let walked = kind(Walk::install(authentic(&envelope).manifest(), Target::Firmware).run(&mut device));
    assert_eq!(walked, Err(ErrorKind::ComponentUnsupported));
    let _ = table;
}
