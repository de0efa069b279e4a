//! Every flipped bit, every truncation, and bytes at random: a typed error, never a panic, never an acceptance.

use ciborium::Value;
use proptest::prelude::*;

use super::support::*;
use crate::author::inspect;
use crate::{Envelope, Section, Target, image_reference};

/// Every single bit of the envelope: wrapper, manifest, severed text, and the heads around them.
#[test]
fn every_flipped_bit_is_refused() {
    let good = release();
    assert!(authenticate(&good).is_ok());
    let mut envelope = good.clone();
    for position in 0..good.len() {
        for bit in 0..8 {
            envelope[position] ^= 1 << bit;
            assert!(authenticate(&envelope).is_err(), "bit {bit} of byte {position}");
            envelope[position] ^= 1 << bit;
        }
    }
    assert_eq!(envelope, good);
}

#[test]
fn every_truncation_is_refused() {
    let good = release();
    for len in 0..good.len() {
        assert!(authenticate(&good[..len]).is_err(), "{len} bytes");
        assert!(inspect(&good[..len]).is_err(), "{len} bytes");
    }
}

/// The parser of the manifest itself, behind a good signature: every truncation and every flipped bit of the
/// manifest, signed. It may be a good manifest again, it may not panic or run on.
#[test]
fn every_signed_damage_of_a_manifest_ends() {
    let envelope = release();
    let Value::Tag(107, members) = ciborium::from_reader(envelope.as_slice()).unwrap() else { panic!() };
    let manifest = members.as_map().unwrap()[1].1.as_bytes().unwrap().clone();
    for len in 0..manifest.len() {
        assert!(authenticate(&seal(&manifest[..len], &[], &credential())).is_err(), "{len} bytes");
    }
    let mut damaged = manifest.clone();
    for position in 0..manifest.len() {
        for bit in 0..8 {
            damaged[position] ^= 1 << bit;
            drive(&damaged);
            damaged[position] ^= 1 << bit;
        }
    }
}

/// Runs whatever of a signed manifest can be run.
fn drive(manifest: &[u8]) {
    let envelope = seal(manifest, &[], &credential());
    let Ok(authenticated) = authenticate(&envelope) else { return };
    for section in [Section::PayloadFetch, Section::Install, Section::Validate, Section::Invoke] {
        for mut device in [Device::default(), Device { images: vec![], slot: None, ..Device::default() }] {
            let _steps = run_on(&mut device, &authenticated, section);
        }
    }
    let _image = image_reference(authenticated.manifest(), Target::Firmware);
    let _version = authenticated.manifest().version_text();
}

/// Commands at random, well-formed more often than not.
fn commands(depth: u32) -> BoxedStrategy<Vec<(i64, Value)>> {
    let index = prop_oneof![
        (0_i64..4).prop_map(Value::from),
        Just(Value::Bool(true)),
        prop::collection::vec(0_i64..4, 1..4)
            .prop_map(|indices| Value::Array(indices.into_iter().map(Value::from).collect())),
    ];
    let parameter = prop_oneof![
        Just((1, bytes(&VENDOR))),
        Just((2, bytes(&CLASS))),
        Just((3, image_digest(&IMAGE))),
        (0_i64..2).prop_map(|slot| (5, slot.into())),
        any::<bool>().prop_map(|strict| (12, Value::Bool(strict))),
        any::<bool>().prop_map(|soft| (13, Value::Bool(soft))),
        Just((14, IMAGE_SIZE.into())),
        Just(uri("x")),
        Just((24, bytes(&DEVICE))),
    ];
    let parameters = prop::collection::btree_map(0_u8..1, parameter, 1..3)
        .prop_map(|entries| super::support::parameters(entries.into_values()));
    let leaf = prop_oneof![
        4 => prop::sample::select(vec![1_i64, 2, 3, 5, 14, 24, 21, 23]).prop_map(simple),
        2 => index.prop_map(component_index),
        4 => parameters,
        1 => (-300_i64..40, 0_i64..20).prop_map(|(code, argument)| (code, argument.into())),
    ];
    let command = if depth == 0 {
        leaf.boxed()
    } else {
        let body = || commands(depth - 1).prop_map(sequence);
        prop_oneof![
            5 => leaf,
            1 => body().prop_map(run_sequence),
            1 => prop::collection::vec(body(), 1..4).prop_map(try_each),
            1 => prop::collection::vec(body(), 2..4).prop_map(try_each_or_nil),
        ]
        .boxed()
    };
    prop::collection::vec(command, 1..6).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_envelope(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(authenticate(&bytes).is_err());
        let tagged = [&[0xd8, 0x6b][..], &bytes].concat();
        prop_assert!(authenticate(&tagged).is_err());
        let _inspection = inspect(&tagged);
    }

    #[test]
    fn damaged_envelopes_do_not_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut envelope = release();
        let good = envelope.clone();
        for (index, byte) in edits {
            let position = index.index(envelope.len());
            envelope[position] = byte;
        }
        let _parsed = Envelope::parse(&envelope);
        let _inspection = inspect(&envelope);
        prop_assert!(envelope == good || authenticate(&envelope).is_err());
    }

    #[test]
    fn random_signed_manifests_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        drive(&bytes);
    }

    #[test]
    fn random_command_sequences_end(
        shared in commands(1),
        install in commands(3),
        components in 1_u8..4,
    ) {
        let shared = [vec![component_index(0)], identity(), shared].concat();
        let install = [vec![component_index(0)], install].concat();
        let parts = Parts { shared: sequence(shared), ..Parts::several(components) };
        drive(&parts.with(20, bytes(&sequence(install))).manifest());
    }
}
