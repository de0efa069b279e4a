//! One walk for "which image does this manifest install": the verdict of tool, server and host is the device's, and
//! the device's does not depend on the leftovers in its spare slot. docs/decisions/0015.

use std::cell::RefCell;
use std::collections::BTreeSet;

use device_harness::device::{Boot, Device, download};
use device_harness::factory::{CLASS, DEVICE, Factory, VENDOR, description};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use suit_manifest::author::{Command, Parameter, Sequences, compose};
use suit_manifest::{DeviceIdentity, Envelope, Reason, Target, image_reference_for};
use trust::TrustStore;
use trust::hash::Sha256;
use update_protocol::profile::Object;

type Board = Device<8, 4096>;
type Commands = Vec<Command>;

const IDENTITY: DeviceIdentity = DeviceIdentity { vendor: VENDOR, class: CLASS, device: DEVICE };

/// Three devices that differ in their spare slot, and the images that manifests speak of.
struct Bench {
    factory: Factory,
    images: [Vec<u8>; 3],
    /// Spare slot empty, holding image 0, holding another image.
    boards: [Board; 3],
}

impl Bench {
    fn new() -> Self {
        let factory = Factory::new(1);
        let mut empty = Board::new(4);
        empty.provision(&factory);
        let (image, other) = (empty.image(6000, 1), empty.image(5000, 2));
        // The last one begins like the first one.
        let images = [image.clone(), other.clone(), image[..4096].to_vec()];
        let holding = |held: &[u8]| {
            let mut board = empty.twin();
            board.install(&factory.envelope(1, held), held).unwrap();
            board
        };
        let boards = [empty.twin(), holding(&image), holding(&other)];
        Self { factory, images, boards }
    }

    fn digest(&self, image: usize) -> [u8; 32] {
        Sha256::of(&self.images[image])
    }

    /// Asks the host, then each device to the end, and demands one answer.
    fn verdict(&self, sequences: &Sequences) -> Option<Result<Option<usize>, Reason>> {
        let unsigned = compose(&description(2, &self.images[0]), sequences).unwrap();
        // What does not even have the structure is not signed.
        let envelope = self.factory.sign(&unsigned)?;
        let anchors = [self.factory.anchor()];
        let authenticated =
            Envelope::parse(&envelope).unwrap().authenticate(&TrustStore::new(&anchors)).unwrap();
        let host = image_reference_for(authenticated.manifest(), Target::Firmware, &IDENTITY, 0)
            .map_err(|error| error.reason());
        // Of a digest with another image's size there is no image to send.
        let image = host.ok().and_then(|image| {
            let is_meant = |&known: &usize| {
                self.digest(known) == image.digest && self.images[known].len() as u64 == image.size
            };
            (0..3).find(is_meant)
        });
        for (spare, board) in ["empty", "the same", "another"].iter().zip(&self.boards) {
            let device = on_device(board.twin(), &envelope, image.map(|image| &self.images[image]));
            assert_eq!(device, host.map(|_| ()), "spare slot {spare}: {sequences:?}");
        }
        Some(host.map(|_| image))
    }
}

/// Envelope, image, reset: what the device says, and that it runs what it said.
fn on_device(mut board: Board, envelope: &[u8], image: Option<&Vec<u8>>) -> Result<(), Reason> {
    let nor = board.nor.clone();
    let mut session = board.program();
    let before = nor.medium().operations();
    if let Err(refused) = download(&nor, &mut session, Object::Envelope, envelope) {
        assert_eq!(nor.medium().operations(), before, "a refused manifest changes nothing");
        return Err(refused.reason().expect("a reason"));
    }
    let Some(image) = image else { return Ok(()) };
    download(&nor, &mut session, Object::Image { offset: 0 }, image)
        .map_err(|refused| refused.reason().expect("a reason"))?;
    drop(session);
    assert!(matches!(board.boot(), Boot::Run(_)), "accepted, and does not boot");
    assert_eq!(board.running(image.len()), *image);
    Ok(())
}

fn uri() -> Command {
    Command::Override(vec![Parameter::Uri("x".into())])
}

fn try_each(sequences: Vec<Commands>) -> Command {
    Command::TryEach { sequences, or_nothing: false }
}

fn template(bench: &Bench) -> Sequences {
    Sequences::of(&description(2, &bench.images[0]))
}

fn fetch() -> Commands {
    vec![uri(), Command::Fetch, Command::ImageMatch]
}

/// The draft's idiom, section 6.3: pass over what has been done already.
fn fetch_unless_there() -> Command {
    try_each(vec![vec![Command::ImageMatch], fetch()])
}

#[test]
fn walk_payload_fetch_and_install_may_fetch_the_same_image() {
    let bench = Bench::new();
    let whole = template(&bench);
    let twice = Sequences { payload_fetch: Some(fetch()), ..whole.clone() };
    assert_eq!(bench.verdict(&twice), Some(Ok(Some(0))));
    let again = [fetch(), fetch()].concat();
    assert_eq!(bench.verdict(&Sequences { install: Some(again), ..whole.clone() }), Some(Ok(Some(0))));
    // Another image is another matter.
    let other = Command::Override(vec![Parameter::ImageDigest(bench.digest(1)), Parameter::ImageSize(5000)]);
    let two = [vec![other], fetch()].concat();
    let two = Sequences { payload_fetch: Some(two), ..whole };
    assert_eq!(bench.verdict(&two), Some(Err(Reason::ImageReference)));
}

#[test]
fn walk_an_image_match_before_the_fetch_does_not_see_the_spare_slot() {
    let bench = Bench::new();
    let whole = template(&bench);
    let idiom = Sequences { install: Some(vec![fetch_unless_there()]), ..whole.clone() };
    assert_eq!(bench.verdict(&idiom), Some(Ok(Some(0))));
    let ahead = Sequences { payload_fetch: Some(fetch()), ..idiom.clone() };
    assert_eq!(bench.verdict(&ahead), Some(Ok(Some(0))));
    let both = Sequences { payload_fetch: Some(vec![fetch_unless_there()]), ..idiom };
    assert_eq!(bench.verdict(&both), Some(Ok(Some(0))));
    let unfetched = Sequences { install: Some(vec![Command::ImageMatch]), ..whole };
    assert_eq!(bench.verdict(&unfetched), Some(Err(Reason::ImageDigestMismatch)));
}

#[test]
fn walk_a_match_of_a_part_of_the_image_is_none() {
    let bench = Bench::new();
    let whole = template(&bench);
    let part = Command::Override(vec![Parameter::ImageDigest(bench.digest(2)), Parameter::ImageSize(4096)]);
    let validate = vec![try_each(vec![
        vec![part, Command::ImageMatch],
        vec![
            Command::Override(vec![Parameter::ImageDigest(bench.digest(0)), Parameter::ImageSize(6000)]),
            Command::ImageMatch,
        ],
    ])];
    assert_eq!(bench.verdict(&Sequences { validate: Some(validate), ..whole }), Some(Ok(Some(0))));
}

#[test]
fn walk_a_failed_match_after_validate_does_not_hide_the_one_that_held() {
    let bench = Bench::new();
    let whole = template(&bench);
    let other = Command::Override(vec![Parameter::ImageDigest(bench.digest(1))]);
    let invoke = vec![try_each(vec![vec![other, Command::ImageMatch], vec![]]), Command::Invoke];
    // An empty sequence is no sequence.
    assert_eq!(bench.verdict(&Sequences { invoke: Some(invoke.clone()), ..whole.clone() }), None);
    let other = Command::Override(vec![Parameter::ImageDigest(bench.digest(1))]);
    let invoke =
        vec![try_each(vec![vec![other, Command::ImageMatch], vec![Command::CheckVendor]]), Command::Invoke];
    assert_eq!(bench.verdict(&Sequences { invoke: Some(invoke), ..whole }), Some(Ok(Some(0))));
}

fn parameter(digests: [[u8; 32]; 3]) -> impl Strategy<Value = Parameter> {
    let sizes = [6000, 5000, 4096];
    prop_oneof![
        3 => (0..3usize).prop_map(move |image| Parameter::ImageDigest(digests[image])),
        3 => (0..3usize).prop_map(move |image| Parameter::ImageSize(sizes[image])),
        1 => Just(Parameter::ImageSize(0)),
        2 => Just(Parameter::Uri("x".into())),
        1 => (0..2u64).prop_map(Parameter::Slot),
        1 => any::<bool>().prop_map(Parameter::SoftFailure),
        1 => any::<bool>().prop_map(Parameter::StrictOrder),
        1 => Just(Parameter::Device(DEVICE)),
        1 => Just(Parameter::Device([9; 16])),
    ]
}

fn command(digests: [[u8; 32]; 3]) -> impl Strategy<Value = Command> {
    let sizes = [6000, 5000, 4096];
    let whole = move |image: usize| {
        Command::Override(vec![
            Parameter::ImageDigest(digests[image]),
            Parameter::ImageSize(sizes[image]),
            Parameter::Uri("x".into()),
        ])
    };
    let leaf = prop_oneof![
        4 => Just(Command::ImageMatch),
        3 => Just(Command::Fetch),
        3 => Just(uri()),
        4 => (0..3usize).prop_map(whole),
        2 => vec(parameter(digests), 1..3).prop_map(Command::Override),
        1 => Just(Command::CheckVendor),
        1 => Just(Command::CheckClass),
        1 => Just(Command::CheckDevice),
        1 => Just(Command::CheckSlot),
        1 => Just(Command::Abort),
        1 => Just(Command::Invoke),
    ];
    leaf.prop_recursive(2, 12, 3, |inner| {
        let body = vec(inner, 1..4).boxed();
        prop_oneof![
            3 => (vec(body.clone(), 2..4), any::<bool>())
                .prop_map(|(sequences, or_nothing)| Command::TryEach { sequences, or_nothing }),
            1 => body.prop_map(Command::RunSequence),
        ]
    })
}

/// A section that does its work, with some of its commands replaced or others beside them.
fn section(usual: Vec<Commands>, digests: [[u8; 32]; 3]) -> impl Strategy<Value = Commands> {
    let noise = || vec(command(digests), 0..2);
    let usual = proptest::sample::select(usual);
    prop_oneof![
        3 => usual.clone(),
        3 => (noise(), usual, noise()).prop_map(|(before, usual, behind)| [before, usual, behind].concat()),
        1 => vec(command(digests), 1..5),
    ]
}

fn manifest(bench: &Bench) -> impl Strategy<Value = Sequences> + use<> {
    let digests = [0, 1, 2].map(|image| bench.digest(image));
    let whole = template(bench);
    let fetching = vec![
        fetch(),
        vec![fetch_unless_there()],
        vec![Command::RunSequence(fetch())],
        vec![uri(), try_each(vec![vec![Command::ImageMatch], vec![Command::Fetch]]), Command::ImageMatch],
    ];
    let matching = vec![vec![Command::ImageMatch], vec![try_each(vec![vec![Command::ImageMatch], fetch()])]];
    let invoking = vec![
        vec![Command::Invoke],
        vec![try_each(vec![vec![Command::ImageMatch, Command::Invoke], vec![Command::Invoke]])],
    ];
    let shared = prop_oneof![
        4 => Just(vec![]),
        1 => vec(command(digests), 1..3).prop_filter("may be shared", |commands| commands.iter().all(is_shared)),
    ];
    let installing = [fetching.clone(), matching.clone()].concat();
    (
        shared,
        option::weighted(0.3, section(fetching, digests)),
        option::weighted(0.95, section(installing, digests)),
        option::weighted(0.95, section(matching, digests)),
        option::weighted(0.95, section(invoking, digests)),
    )
        .prop_map(move |(shared, payload_fetch, install, validate, invoke)| Sequences {
            shared: [whole.shared.clone(), shared].concat(),
            payload_fetch,
            install,
            validate,
            invoke,
        })
}

fn is_shared(command: &Command) -> bool {
    match command {
        Command::Fetch | Command::Invoke => false,
        Command::RunSequence(body) => body.iter().all(is_shared),
        Command::TryEach { sequences, .. } => sequences.iter().flatten().all(is_shared),
        _ => true,
    }
}

#[test]
fn walk_any_manifest_has_one_verdict_on_host_and_device() {
    let bench = Bench::new();
    let manifests = manifest(&bench);
    let config = Config { failure_persistence: None, ..Config::with_cases(250) };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let verdicts = RefCell::new(Vec::new());
    let outcome = runner.run(&manifests, |sequences| {
        verdicts.borrow_mut().extend(bench.verdict(&sequences));
        Ok(())
    });
    outcome.unwrap();
    let verdicts = verdicts.into_inner();
    let installed = verdicts.iter().filter(|verdict| matches!(verdict, Ok(Some(_)))).count();
    assert!(installed >= 30, "{installed} of 250 manifests install an image: the generator makes too few");
    let refused: BTreeSet<_> = verdicts.iter().filter_map(|verdict| verdict.err()).collect();
    assert!(refused.len() >= 4, "{refused:?}: the generator makes too few faults");
}
