//! The walk over a manifest with several components. The project's devices have one, so only a platform with more of
//! them shows that fetch, match, validate and invoke are about the same one.

use super::support::*;
use crate::{Condition, ErrorKind, Walk};

/// Walks `install`, `validate` and `invoke` over two components that both hold the image; the component to fetch.
fn fetched(
    install: Vec<(i64, ciborium::Value)>,
    validate: Vec<(i64, ciborium::Value)>,
    invoke: Vec<(i64, ciborium::Value)>,
) -> Result<u32, ErrorKind> {
    let envelope = Parts::several(2)
        .with(7, bytes(&sequence(validate)))
        .with(9, bytes(&sequence(invoke)))
        .with(20, bytes(&sequence(install)))
        .signed();
    let image = Walk::rehearse(authenticate(&envelope).unwrap().manifest(), (), &mut Device::default());
    image.map(|(image, ())| image.component).map_err(|error| error.kind)
}

/// Image-match in a component, which gets the digest and size of the image first.
fn image_match(component: u64) -> Vec<(i64, ciborium::Value)> {
    let image = parameters([(3, image_digest(&IMAGE)), (14, IMAGE_SIZE.into())]);
    vec![component_index(component), image, simple(3)]
}

#[test]
fn suit20_another_component_than_the_fetched_one_is_neither_matched_nor_invoked() {
    let fetch = || vec![component_index(0), parameters([uri("x")]), simple(21)];
    let install = |component| [fetch(), image_match(component)].concat();
    let invoke = |component: u64| vec![component_index(component), simple(23)];
    let mismatch = Err(ErrorKind::ConditionFailed(Condition::ImageMatch));
    assert_eq!(fetched(install(0), image_match(0), invoke(0)), Ok(0));
    assert_eq!(fetched(install(1), image_match(0), invoke(0)), mismatch, "install matches another");
    assert_eq!(fetched(install(0), image_match(1), invoke(0)), mismatch, "validate matches another");
    assert_eq!(
        fetched(install(0), image_match(0), invoke(1)),
        Err(ErrorKind::ImageReference),
        "invokes another"
    );
    let both = [fetch(), vec![component_index(1), parameters([uri("x")])], image_match(0)].concat();
    assert_eq!(fetched(both, image_match(0), invoke(0)), Ok(0), "a parameter of another does not matter");
}

/// A walk runs its sections with one processor: nothing that one of them set or checked counts for the next.
#[test]
fn suit4_nothing_of_a_section_counts_for_the_next_one() {
    let verdict = |parts: &Parts| {
        let envelope = parts.signed();
        let image = Walk::rehearse(authenticate(&envelope).unwrap().manifest(), (), &mut Device::default());
        image.map(drop).map_err(|error| error.kind)
    };
    let with = |install: &[(i64, ciborium::Value)], validate: &[(i64, ciborium::Value)]| {
        let image = parameters([(3, image_digest(&IMAGE)), (14, IMAGE_SIZE.into()), uri("x")]);
        Parts::default()
            .with(16, bytes(&sequence([image, simple(21)])))
            .with(20, bytes(&sequence(install.to_vec())))
            .with(7, bytes(&sequence(validate.to_vec())))
            .with(9, bytes(&sequence([simple(23)])))
    };
    let (matched, fetched) = ([simple(3)], [simple(21)]);
    assert_eq!(verdict(&with(&matched, &matched)), Ok(()));
    let refused = verdict(&with(&fetched, &matched));
    assert_eq!(refused, Err(ErrorKind::ParameterMissing), "the URI is that of payload-fetch");
    // Nothing in the shared sequence is about the image.
    let shared = sequence([parameters([(1, bytes(&VENDOR)), (2, bytes(&CLASS))]), simple(1), simple(2)]);
    let own = &image_match(0)[1..];
    assert_eq!(verdict(&Parts { shared: shared.clone(), ..with(own, own) }), Ok(()));
    let refused = verdict(&Parts { shared, ..with(own, &[simple(1)]) });
    assert_eq!(refused, Err(ErrorKind::ImageReference), "install alone matches the image");
    // Once the image is there, the shared sequence passes over vendor and class.
    let identified = try_each([sequence([simple(3)]), sequence([simple(1), simple(2)])]);
    let shared = sequence([identity().swap_remove(0), identified]);
    assert_eq!(verdict(&Parts { shared, ..with(&matched, &matched) }), Err(ErrorKind::IdentityUnchecked));
}
