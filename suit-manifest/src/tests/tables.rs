//! Manifests of a table: data that is validated and never invoked.

use ciborium::Value;
use trust::author::Signer as _;
use trust::{Anchor, TrustStore};

use super::decrypting::{CIPHERTEXT, Release, component, encryption, found_as};
use super::support::*;
use crate::author::{SlotImage, UpdateDescription, create, image_uri, inspect};
use crate::profile::{Decrypting, Installs, Loader};
use crate::{
    ComponentId, Condition, EnvelopeOf, Error, ErrorKind, Section, Target, Walk, Walked, image_reference,
    second_image_reference,
};

fn encrypted() -> Release {
    Release {
        components: vec![component(&[b"table"]), component(&[b"table", b"encrypted"])],
        invoke: vec![],
        ..Release::default()
    }
}

fn plain() -> Release {
    Release {
        components: vec![component(&[b"table"])],
        fetch: vec![component_index(0), parameters([uri("x")]), simple(21), simple(3)],
        copy: vec![],
        ..encrypted()
    }
}

fn refusal(release: Release) -> ErrorKind {
    found_as(Target::Table, &release.signed()).unwrap_err().kind
}

#[test]
fn the_components_of_a_table_are_these_bytes() {
    for (target, id, segments) in [
        (Target::Firmware, ComponentId::APP, &[&b"app"[..]][..]),
        (Target::Table, ComponentId::TABLE, &[b"table"]),
    ] {
        assert_eq!(target.component(), id);
        assert_eq!(id.segments().collect::<Vec<_>>(), segments);
        let encrypted: Vec<_> = target.encrypted_component().segments().collect();
        assert_eq!(encrypted, [segments, &[b"encrypted"]].concat());
        for other in [Target::Firmware, Target::Table] {
            assert_eq!(other.has(&target.component(), false), other == target);
            assert_eq!(other.has(&target.encrypted_component(), true), other == target);
            assert!(!other.has(&target.encrypted_component(), false));
        }
    }
}

#[test]
fn a_table_comes_as_it_is_or_encrypted() {
    let envelope = plain().signed();
    let table = found_as(Target::Table, &envelope).unwrap();
    assert_eq!((table.digest, table.size, table.decrypted), (IMAGE, IMAGE_SIZE, None));
    let inspection = inspect(&envelope).unwrap();
    assert_eq!(inspection.manifest().target(), Target::Table);
    assert_eq!(inspection.image_reference(), Ok(table));
    assert_eq!(inspection.second_image_reference(), Ok(None));

    let envelope = encrypted().signed();
    let table = found_as(Target::Table, &envelope).unwrap();
    assert_eq!((table.digest, table.installed_digest()), (CIPHERTEXT, IMAGE));
}

#[test]
fn tables_are_written_as_they_are_read() {
    let update = UpdateDescription { target: Target::Table, ..update() };
    let envelope = create(&update).unwrap();
    let read = inspect(&envelope).unwrap();
    assert_eq!(read.manifest().target(), Target::Table);
    assert!(!read.manifest().has_section(Section::Invoke));
    assert_eq!(read.manifest().version_text(), Some("1.2.3"));
    assert_eq!(read.image_reference().unwrap().digest, IMAGE);
    let firmware = create(&UpdateDescription { target: Target::Firmware, ..update.clone() }).unwrap();
    assert_eq!(inspect(&firmware).unwrap().manifest().target(), Target::Firmware);

    let encryption = Some(encryption());
    let encrypted = UpdateDescription { uri: image_uri(&CIPHERTEXT), encryption, ..update.clone() };
    let envelope = create(&encrypted).unwrap();
    let read = inspect(&envelope).unwrap();
    let components: Vec<_> = read.manifest().components().iter().collect();
    assert_eq!(components, [ComponentId::TABLE, ComponentId::TABLE_ENCRYPTED]);
    let table = read.image_reference().unwrap();
    assert_eq!((table.digest, table.installed_digest()), (CIPHERTEXT, IMAGE));

    let second = SlotImage { digest: [9; 32], size: 5, uri: "y".into(), encryption: None };
    let refused = create(&UpdateDescription { second_slot: Some(second), ..update }).unwrap_err();
    assert_eq!(refused.to_string(), "the table is for both slots: it has no image of its own for slot 1");
}

/// A device goes through a table as it installs it, and once more at each boot.
#[test]
fn a_walk_over_a_table_ends_after_validate() {
    let envelope = plain().signed();
    let anchors = [Anchor::root(root().public_key())];
    let authenticated = EnvelopeOf::<Decrypting>::parse(&envelope)
        .and_then(|parsed| parsed.authenticate(&TrustStore::new(&anchors)))
        .unwrap();
    let wanted = Target::Table.into();
    let mut device = Having { device: Device::default(), wanted, decrypts: false };
    let mut walk = Walk::install(authenticated.manifest(), Target::Table);
    assert!(matches!(walk.run(&mut device), Ok(Walked::Fetch(image)) if image.component == 0));
    for _ in 0..2 {
        assert_eq!(walk.run(&mut device), Ok(Walked::Complete));
    }
    let mut boot = Walk::boot(authenticated.manifest(), Target::Table, IMAGE_SIZE);
    assert_eq!(boot.run(&mut device), Ok(Walked::Complete));
    let mismatch = Err(ErrorKind::ConditionFailed(Condition::ImageMatch));
    let kind = |walked: Result<Walked<'_>, Error>| walked.map(drop).map_err(|error| error.kind);
    assert_eq!(
        kind(Walk::boot(authenticated.manifest(), Target::Table, IMAGE_SIZE - 1).run(&mut device)),
        mismatch
    );
    device.device.images[0].0 = CIPHERTEXT;
    let mut boot = Walk::boot(authenticated.manifest(), Target::Table, IMAGE_SIZE);
    for _ in 0..2 {
        assert_eq!(kind(boot.run(&mut device)), mismatch);
    }
}

/// What is data for one device is a program for none, and the other way round.
#[test]
fn suit60_a_table_is_never_firmware_and_firmware_is_never_a_table() {
    for envelope in [plain().signed(), encrypted().signed()] {
        let refused = found_as(Target::Firmware, &envelope).unwrap_err().kind;
        assert_eq!(refused, ErrorKind::ComponentUnsupported);
    }
    let firmware = Release::default().signed();
    assert!(found_as(Target::Firmware, &firmware).is_ok());
    assert_eq!(found_as(Target::Table, &firmware).unwrap_err().kind, ErrorKind::ComponentUnsupported);
    // Nor is one of them a part of the other.
    let [app, staging] = [component(&[b"app"]), component(&[b"app", b"encrypted"])];
    let [table, encrypted] = [component(&[b"table"]), component(&[b"table", b"encrypted"])];
    for components in [
        [app.clone(), table.clone()],
        [table.clone(), app.clone()],
        [app, encrypted],
        [table.clone(), staging],
        [table, component(&[b"table", b"other"])],
    ] {
        for invoke in [vec![], vec![component_index(0), simple(23)]] {
            let envelope = Release { components: components.to_vec(), invoke, ..Release::default() }.signed();
            for wanted in [Target::Firmware, Target::Table] {
                let refused = found_as(wanted, &envelope).unwrap_err().kind;
                assert_eq!(refused, ErrorKind::ComponentUnsupported);
            }
        }
    }
}

#[test]
fn suit61_a_table_that_is_invoked_and_firmware_that_is_not_are_refused() {
    let invoked = || vec![component_index(0), simple(23)];
    for release in [plain(), encrypted()] {
        assert_eq!(refusal(Release { invoke: invoked(), ..release }), ErrorKind::ImageReference);
    }
    // A section that does nothing is one.
    let nothing = Release { invoke: vec![component_index(0)], ..plain() };
    assert_eq!(refusal(nothing), ErrorKind::ImageReference);
    // Elsewhere than in its section.
    for (validate, install) in [(invoked(), vec![]), (vec![], invoked())] {
        let release = plain();
        let validate = [release.validate, validate].concat();
        let fetch = [release.fetch, install].concat();
        assert_eq!(refusal(Release { validate, fetch, ..plain() }), ErrorKind::ImageReference);
    }
    let firmware = Release { invoke: vec![], ..Release::default() }.signed();
    assert_eq!(found_as(Target::Firmware, &firmware).unwrap_err().kind, ErrorKind::ImageReference);
}

/// What a boot goes by is the first component.
#[test]
fn suit62_a_table_is_the_first_component_and_validated() {
    let unvalidated = Release { validate: vec![component_index(0)], ..plain() };
    assert_eq!(refusal(unvalidated), ErrorKind::ImageReference);
    let unfetched = Release { fetch: vec![component_index(0)], ..plain() };
    assert_eq!(refusal(unfetched), ErrorKind::ImageReference);
    // The ciphertext stays where it is, and is validated there.
    let matched = || {
        let ciphertext = parameters([(3, image_digest(&CIPHERTEXT)), (14, (IMAGE_SIZE + 16).into())]);
        vec![component_index(1), ciphertext, simple(3)]
    };
    let kept = Release { copy: vec![], validate: matched(), ..encrypted() };
    assert_eq!(refusal(kept), ErrorKind::ImageReference);
    let swapped = Release {
        components: vec![component(&[b"table", b"encrypted"]), component(&[b"table"])],
        ..encrypted()
    };
    let envelope = swapped.signed();
    for wanted in [Target::Firmware, Target::Table] {
        assert!(found_as(wanted, &envelope).is_err());
    }
    // Nor when its commands are for it in that place.
    let of_image = || [(3, image_digest(&IMAGE)), (14, IMAGE_SIZE.into())];
    let ciphertext = [(3, image_digest(&CIPHERTEXT)), (14, (IMAGE_SIZE + 16).into()), uri("x")];
    let decryption = [(19, bytes(&encryption().info)), (22, 0.into())];
    let moved = Release {
        components: vec![component(&[b"table", b"encrypted"]), component(&[b"table"])],
        fetch: vec![component_index(0), parameters(ciphertext), simple(21), simple(3)],
        copy: vec![
            component_index(1),
            parameters(of_image().into_iter().chain(decryption)),
            simple(22),
            simple(3),
        ],
        validate: vec![component_index(1), parameters(of_image()), simple(3)],
        ..encrypted()
    };
    assert_eq!(refusal(moved), ErrorKind::ImageReference);
    // Vendor and class are checked as for firmware.
    let parts = Parts {
        components: vec![component(&[b"table"])],
        shared: sequence([identity().swap_remove(0), simple(1)]),
        ..Parts::default()
    };
    let refused = found_as(Target::Table, &parts.signed()).unwrap_err().kind;
    assert_eq!(refused, ErrorKind::IdentityUnchecked);
}

/// A loader that was built without tables knows none.
#[test]
fn suit63_a_loader_without_tables_refuses_each() {
    const { assert!(Decrypting::TAKES_DATA && !Loader::TAKES_DATA) };
    let invoke = |invoke: &[(i64, Value)]| Release { invoke: invoke.to_vec(), ..plain() }.signed();
    for envelope in [invoke(&[]), invoke(&[component_index(0), simple(23)])] {
        let authenticated = authenticate(&envelope).unwrap();
        let manifest = authenticated.manifest();
        assert_eq!(manifest.target(), Target::Firmware);
        let refused = image_reference(manifest, manifest.target()).unwrap_err().kind;
        assert_eq!(refused, ErrorKind::ComponentUnsupported);
        assert!(second_image_reference(manifest, manifest.target()).is_err());
    }
}
