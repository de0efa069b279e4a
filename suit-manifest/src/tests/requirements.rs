//! Requirements that no other test holds alone (docs/requirements): each names its document and section.

use ciborium::Value;
use sha2::{Digest as _, Sha256};
use trust::ErrorKind as Trust;

use super::support::*;
use crate::argument::AnyDigest;
use crate::author::tree::EnvelopeTree;
use crate::profile::{Properties, Record, Whole, WholePlatform};
use crate::{
    ComponentId, Digest, EnvelopeOf, Error, ErrorKind, ManifestOf, Platform, PlatformError, ProcessorOf,
    Reason, Section, Step,
};

const CONTENT: &[u8] = b"content";
/// Digest of the manifest of a dependency.
const MANIFEST: [u8; 32] = [0x77; 32];

/// The modelled device, with answers to the questions of the whole.
#[derive(Default)]
struct Bench {
    device: Device,
    now: Option<u64>,
    /// Whether the dependency in a component is whole.
    whole: [bool; 4],
    /// What was asked of dependencies.
    asked: Vec<(u32, Vec<u8>, Option<u64>)>,
    records: Vec<Record>,
}

impl Platform for Bench {
    fn vendor_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.device.vendor_matches(component, id)
    }

    fn class_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.device.class_matches(component, id)
    }

    fn device_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.device.device_matches(component, id)
    }

    fn component_slot(&mut self, component: u32) -> Option<u64> {
        self.device.component_slot(component)
    }

    fn image_matches(
        &mut self,
        component: u32,
        digest: &Digest<'_>,
        size: u64,
    ) -> Result<bool, PlatformError> {
        self.device.image_matches(component, digest, size)
    }

    fn supports(&self, component_id: &ComponentId<'_>) -> bool {
        self.device.supports(component_id)
    }
}

impl WholePlatform for Bench {
    fn now(&mut self) -> Option<u64> {
        self.now
    }

    fn dependency_is_whole(&mut self, component: u32, _: &AnyDigest<'_>) -> Result<bool, PlatformError> {
        Ok(self.whole[component as usize])
    }

    fn dependency_matches(
        &mut self,
        component: u32,
        digest: &AnyDigest<'_>,
        size: Option<u64>,
    ) -> Result<bool, PlatformError> {
        self.asked.push((component, digest.bytes().to_vec(), size));
        Ok(digest.bytes() == MANIFEST)
    }

    fn record(&mut self, record: &Record) {
        self.records.push(*record);
    }
}

/// An envelope that nobody signed.
fn unsigned(manifest: &[u8], members: &[(Value, Value)]) -> Vec<u8> {
    let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(manifest)))));
    assemble(vec![bytes(&digest)], manifest, members)
}

/// A manifest with three components, the second of which is a dependency, and these commands in install.
fn three(commands: impl IntoIterator<Item = (i64, Value)>) -> Vec<u8> {
    with_dependencies(map([(1, map([]))]), commands)
}

fn with_dependencies(dependencies: Value, commands: impl IntoIterator<Item = (i64, Value)>) -> Vec<u8> {
    let parts = Parts::several(3);
    let common =
        map([(1, dependencies), (2, Value::Array(parts.components)), (4, Value::Bytes(parts.shared))]);
    let install = [vec![component_index(0)], commands.into_iter().collect()].concat();
    encode(&map([
        (1, 1.into()),
        (2, 5.into()),
        (3, bytes(&encode(&common))),
        (20, Value::Bytes(sequence(install))),
    ]))
}

/// What the processor of the whole hands out, each step with what `shown` says of it.
fn run_showing(
    bench: &mut Bench,
    manifest: &[u8],
    shown: impl Fn(Properties<'_>) -> String,
) -> Result<Vec<String>, Error> {
    let envelope = unsigned(manifest, &[]);
    let parsed = EnvelopeOf::<Whole>::parse(&envelope)?;
    let manifest = ManifestOf::<Whole>::read(&parsed, None)?;
    let mut processor = ProcessorOf::ready(&manifest, Section::Install)?;
    let mut steps = vec![];
    loop {
        let (name, component) = match processor.run(bench)? {
            Step::Fetch(fetch) => ("fetch", fetch.component),
            Step::Invoke { component } => ("invoke", component),
            Step::Write { component } => ("write", component),
            Step::Copy { component, .. } => ("copy", component),
            Step::Swap { component, .. } => ("swap", component),
            Step::Wait { component } => ("wait", component),
            Step::Unlink { component } => ("unlink", component),
            Step::ProcessDependency { component } => ("process", component),
            Step::Done => return Ok(steps),
        };
        steps.push(format!("{name} {component}{}", shown(processor.properties(component))));
    }
}

fn steps_on(bench: &mut Bench, manifest: &[u8]) -> Result<Vec<String>, Reason> {
    run_showing(bench, manifest, |_| String::new()).map_err(|error| error.reason())
}

fn steps(commands: impl IntoIterator<Item = (i64, Value)>) -> Result<Vec<String>, Reason> {
    steps_on(&mut Bench::default(), &three(commands))
}

fn named(steps: &[&str]) -> Result<Vec<String>, Reason> {
    Ok(steps.iter().map(|step| (*step).to_owned()).collect())
}

fn list(indices: &[u64]) -> (i64, Value) {
    component_index(Value::Array(indices.iter().map(|index| (*index).into()).collect()))
}

/// suit-manifest section 6.7: where the order is free, nothing is read that is written, whichever comes first.
#[test]
fn free_order_does_not_read_what_it_writes() {
    let order = |is_strict: bool| parameters([(12, Value::Bool(is_strict))]);
    let copy = |to: u64, from: u64| vec![component_index(to), parameters([(22, from.into())]), simple(22)];
    let write = |to: u64| vec![component_index(to), parameters([(18, bytes(CONTENT))]), simple(18)];
    let swap =
        |one: u64, other: u64| vec![component_index(one), parameters([(22, other.into())]), simple(31)];
    for (commands, strict) in [
        ([copy(0, 2), copy(2, 1)].concat(), &["copy 0", "copy 2"][..]),
        ([write(2), copy(0, 2)].concat(), &["write 2", "copy 0"]),
        ([copy(0, 2), write(2)].concat(), &["copy 0", "write 2"]),
        (copy(2, 2), &["copy 2"]),
        (swap(0, 2), &["swap 0"]),
    ] {
        let with = |is_strict| steps([vec![order(is_strict)], commands.clone()].concat());
        assert_eq!(with(false), Err(Reason::StrictOrder), "{strict:?}");
        assert_eq!(with(true), named(strict));
    }
    // What is only read, and what is only written, may be so in any order.
    let apart = [vec![order(false)], copy(0, 2), copy(1, 2), write(0)].concat();
    assert_eq!(steps(apart), named(&["copy 0", "copy 1", "write 0"]));
}

/// suit-manifest section 7.5, suit-trust-domains section 8.1.1
#[test]
fn an_integrated_payload_is_a_byte_string_under_text() {
    let manifest = three([]);
    let with = |key: Value, value: Value| {
        let envelope = unsigned(&manifest, &[(key, value)]);
        let processed = EnvelopeOf::<Whole>::parse(&envelope).map(drop).map_err(|error| error.kind);
        let shown = EnvelopeTree::read(&envelope).map(drop).map_err(|error| error.kind);
        assert_eq!(processed, shown);
        processed
    };
    let name = || Value::Text("#image".into());
    assert_eq!(with(name(), bytes(CONTENT)), Ok(()));
    for value in [Value::Text("content".into()), 7.into(), map([]), Value::Null, Value::Array(vec![])] {
        assert_eq!(with(name(), value), Err(ErrorKind::Malformed(Trust::UnexpectedType)));
    }
    assert_eq!(with(77.into(), bytes(CONTENT)), Err(ErrorKind::EnvelopeMemberUnknown));
}

/// suit-manifest section 8.4.7
#[test]
fn records_are_one_for_each_component_in_their_order() {
    let recorded = |index: (i64, Value)| {
        let mut bench = Bench::default();
        let commands = [index, parameters([uri("u")]), (21, 2.into()), (3, 15.into())];
        let manifest = three([vec![parameters_of_all()], commands.to_vec()].concat());
        run_showing(&mut bench, &manifest, |_| String::new()).unwrap();
        let records = bench.records.iter().filter(|record| record.policy != 0);
        records.map(|record| (record.command.number(), record.component, record.policy)).collect::<Vec<_>>()
    };
    let each = |order: &[u32]| -> Vec<_> {
        let fetched = order.iter().map(|component| (21, *component, 2));
        fetched.chain(order.iter().map(|component| (3, *component, 15))).collect()
    };
    assert_eq!(recorded(component_index(true)), each(&[0, 1, 2]));
    assert_eq!(recorded(list(&[2, 0])), each(&[2, 0]));
    assert_eq!(recorded(component_index(1)), each(&[1]));
}

/// Digest and size of all three, so that image-match holds.
fn parameters_of_all() -> (i64, Value) {
    let image = |digest| map([(3, image_digest(digest)), (14, IMAGE_SIZE.into())]);
    (34, map([(0, image(&IMAGE)), (1, image(&MANIFEST)), (2, image(&IMAGE))]))
}

/// suit-manifest section 8.4.8.16
#[test]
fn a_custom_parameter_in_the_shared_sequence_is_refused() {
    let custom = || parameters([(-7, 1.into())]);
    let unreached = try_each([sequence([simple(1)]), sequence([custom()])]);
    for (command, is_reached) in
        [(custom(), true), (run_sequence(sequence([custom()])), true), (unreached, false)]
    {
        let shared = [vec![component_index(0)], identity(), vec![command.clone()]].concat();
        let parts = Parts { shared: sequence(shared), ..Parts::several(2) };
        let envelope = unsigned(&parts.manifest(), &[]);
        let shown = EnvelopeTree::read(&envelope).unwrap_err();
        assert_eq!(shown.kind, ErrorKind::ParameterUnsupported);
        assert_eq!(envelope[shown.position as usize], 0x26, "at the key");
        // Both profiles abort where it is set.
        let loader = run(&parts, Section::Install).map_err(|error| error.kind);
        let whole = run_showing(&mut Bench::default(), &parts.manifest(), |_| String::new());
        let expected = if is_reached { Err(ErrorKind::ParameterUnsupported) } else { Ok(vec![]) };
        assert_eq!((whole.map_err(|error| error.kind), loader), (expected.clone(), expected));
    }
    // Elsewhere it may stand, and is shown.
    let parts = Parts::install([custom()]);
    assert!(EnvelopeTree::read(&unsigned(&parts.manifest(), &[])).is_ok());
}

/// suit-firmware-encryption section 4: override-parameters and set-parameters, write and copy (and fetch).
#[test]
fn encryption_info_comes_with_the_step_from_either_command() {
    let info = [0xd8, 0x60, 0x80];
    for setter in [20, 19] {
        let set = (
            setter,
            map([(18, bytes(CONTENT)), (19, bytes(&info)), (21, Value::Text("u".into())), (22, 2.into())]),
        );
        let commands = [component_index(0), set, simple(18), simple(21), simple(22), component_index(1)];
        let more = [parameters([(18, bytes(CONTENT))]), simple(18)];
        let manifest = three([commands.to_vec(), more.to_vec()].concat());
        let shown = run_showing(&mut Bench::default(), &manifest, |properties| {
            format!(" {}", properties.encryption_info.map_or("plain".into(), |info| hex::encode(info.bytes)))
        });
        assert_eq!(
            shown.map_err(|error| error.kind),
            Ok(["write 0 d86080", "fetch 0 d86080", "copy 0 d86080", "write 1 plain"]
                .map(String::from)
                .to_vec())
        );
    }
}

// --- suit-trust-domains

/// Section 5.2.2
#[test]
fn dependencies_stand_in_order() {
    let entry = |index: i64| (Value::from(index), map([]));
    for (keys, holds) in [(vec![1, 2], true), (vec![2, 1], false), (vec![1, 1], false)] {
        let dependencies = Value::Map(keys.iter().map(|key| entry(*key)).collect());
        let envelope = unsigned(&with_dependencies(dependencies, []), &[]);
        let parsed = EnvelopeOf::<Whole>::parse(&envelope).unwrap();
        let read = ManifestOf::<Whole>::read(&parsed, None).map(drop).map_err(|error| error.kind);
        let expected = if holds { Ok(()) } else { Err(ErrorKind::Malformed(Trust::KeyOrder)) };
        assert_eq!(read, expected);
        assert_eq!(EnvelopeTree::read(&envelope).map(drop).map_err(|error| error.kind), expected);
    }
}

/// Sections 5.6.2 and 5.6.4
#[test]
fn a_dependency_is_processed_only_while_its_integrity_holds() {
    let on = |whole: bool, commands: Vec<(i64, Value)>| {
        let mut bench = Bench { whole: [whole; 4], ..Bench::default() };
        steps_on(&mut bench, &three([vec![parameters_of_all(), component_index(1)], commands].concat()))
    };
    let (check, process) = (|| simple(7), || simple(11));
    let refused = Err(Reason::DependencyIntegrity);
    assert_eq!(on(true, vec![check(), process(), process()]), named(&["process 1", "process 1"]));
    assert_eq!(on(true, vec![process()]), refused, "not checked");
    // A step of the check that fails aborts, however soft failures are.
    assert_eq!(on(false, vec![check()]), refused);
    let soft = try_each_or_nil([sequence([check()]), sequence([simple(14)])]);
    assert_eq!(on(false, vec![soft]), refused);
    // No dependency, and one without a digest.
    assert_eq!(on(true, vec![component_index(2), check()]), refused);
    assert_eq!(on(true, vec![component_index(2), process()]), refused);
    let mut bench = Bench { whole: [true; 4], ..Bench::default() };
    assert_eq!(steps_on(&mut bench, &three([component_index(1), check()])), refused);
    // What was checked counts no more after anything writes it.
    let content = || parameters([(18, bytes(CONTENT)), (21, Value::Text("u".into())), (22, 2.into())]);
    for (write, step) in
        [(simple(18), "write"), (simple(21), "fetch"), (simple(22), "copy"), (simple(31), "swap")]
    {
        let commands = vec![content(), check(), write.clone(), process()];
        assert_eq!(on(true, commands), refused, "{step}");
        let again = vec![content(), check(), write, check(), process()];
        assert_eq!(on(true, again), Ok(vec![format!("{step} 1"), "process 1".into()]));
    }
    // Written as the source of a swap.
    let swapped =
        vec![check(), component_index(0), parameters([(22, 1.into())]), simple(31), component_index(1)];
    assert_eq!(on(true, [swapped, vec![process()]].concat()), refused);
    // Not in the shared sequence, and what one run has checked is nothing to the next one.
    let parts = Parts::several(3);
    let shared = [vec![component_index(0)], identity(), vec![process()]].concat();
    let parts = Parts { shared: sequence(shared), ..parts };
    let refused = run_showing(&mut Bench::default(), &parts.manifest(), |_| String::new()).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::CommandNotShared);
    let envelope = unsigned(&three([parameters_of_all(), component_index(1), check()]), &[]);
    let parsed = EnvelopeOf::<Whole>::parse(&envelope).unwrap();
    let manifest = ManifestOf::<Whole>::read(&parsed, None).unwrap();
    let mut processor = ProcessorOf::ready(&manifest, Section::Install).unwrap();
    let mut bench = Bench { whole: [true; 4], ..Bench::default() };
    assert_eq!(processor.run(&mut bench), Ok(Step::Done));
    let process_only = unsigned(&three([component_index(1), process()]), &[]);
    let parsed = EnvelopeOf::<Whole>::parse(&process_only).unwrap();
    let next = ManifestOf::<Whole>::read(&parsed, None).unwrap();
    processor.restart(&next, Section::Install);
    let error = processor.run(&mut bench).unwrap_err();
    assert_eq!(error.reason(), Reason::DependencyIntegrity);
}

/// Section 5.2.2: a dependency is one of the components.
#[test]
fn a_dependency_beyond_the_components_is_refused_when_it_is_read() {
    for index in 0..9 {
        let listed = [0].into_iter().filter(|first| *first < index).chain([index]);
        let manifest = with_dependencies(map(listed.map(|index| (index, map([])))), []);
        let envelope = unsigned(&manifest, &[]);
        let parsed = EnvelopeOf::<Whole>::parse(&envelope).unwrap();
        let read = ManifestOf::<Whole>::read(&parsed, None).map(drop);
        match read {
            Ok(()) => assert!(index < 3, "{index}"),
            Err(error) => {
                assert!(index > 2, "{index}: {error}");
                assert_eq!(error.kind, ErrorKind::ComponentIndex);
                assert_eq!(i64::from(envelope[error.position as usize]), index, "at its key");
            }
        }
    }
}

/// Section 5.6.2: "If the current Component is True, then this Directive applies to all Dependencies."
#[test]
fn process_dependency_for_every_component_is_for_dependencies() {
    let on = |dependencies: &[i64], commands: Vec<(i64, Value)>| {
        let mut bench = Bench { whole: [true; 4], ..Bench::default() };
        let listed = map(dependencies.iter().map(|index| (*index, map([]))));
        steps_on(&mut bench, &with_dependencies(listed, [vec![parameters_of_all()], commands].concat()))
    };
    let checked = |index: u64| [component_index(index), simple(7)];
    let every = || vec![component_index(true), simple(11)];
    assert_eq!(on(&[1], [&checked(1)[..], &every()].concat()), named(&["process 1"]));
    let both = [&checked(0)[..], &checked(2), &every()].concat();
    assert_eq!(on(&[0, 2], both), named(&["process 0", "process 2"]));
    // Each of them has to be checked, and a list means what it says.
    let refused = Err(Reason::DependencyIntegrity);
    assert_eq!(on(&[0, 2], [&checked(0)[..], &every()].concat()), refused);
    assert_eq!(on(&[1], [&checked(1)[..], &[list(&[1, 2]), simple(11)]].concat()), refused);
    // In a sequence that is called for each of them the index is that of one (suit-manifest section 6.5).
    let called = [&checked(1)[..], &[component_index(true), run_sequence(sequence([simple(11)]))]].concat();
    assert_eq!(on(&[1], called), refused);
    let asked = try_each_or_nil([sequence([simple(8), simple(11)]), sequence([simple(14)])]);
    let asked = [&checked(1)[..], &[component_index(true), asked]].concat();
    assert_eq!(on(&[1], asked), named(&["process 1"]));
}

/// Section 5.2.2: the digest is that of the manifest inside.
#[test]
fn image_match_of_a_dependency_is_about_its_manifest() {
    let on = |set: Vec<(i64, Value)>, condition: i64| {
        let mut bench = Bench::default();
        let set = (!set.is_empty()).then(|| parameters(set));
        let commands = [component_index(1)].into_iter().chain(set).chain([simple(condition)]);
        let ran = steps_on(&mut bench, &three(commands)).map(drop);
        // The platform is asked for no image.
        assert!(!bench.device.asked.iter().any(|asked| asked.starts_with("image")));
        (ran, bench.asked)
    };
    let (right, wrong) = ((3, image_digest(&MANIFEST)), (3, image_digest(&IMAGE)));
    let size = (14, IMAGE_SIZE.into());
    let (no_match, matches) = (Err(Reason::ImageDigestMismatch), Err(Reason::ImageMatches));
    let asked = |digest: [u8; 32], size| vec![(1, digest.to_vec(), size)];
    assert_eq!(on(vec![right.clone()], 3), (Ok(()), asked(MANIFEST, None)));
    assert_eq!(on(vec![right.clone(), size.clone()], 3), (Ok(()), asked(MANIFEST, Some(IMAGE_SIZE))));
    assert_eq!(on(vec![wrong.clone(), size.clone()], 3), (no_match, asked(IMAGE, Some(IMAGE_SIZE))));
    assert_eq!(on(vec![size.clone()], 3), (no_match, vec![]), "no digest is set");
    // image-not-match is its contrary, but for a digest that is not set.
    assert_eq!(on(vec![right], 25), (matches, asked(MANIFEST, None)));
    assert_eq!(on(vec![wrong], 25), (Ok(()), asked(IMAGE, None)));
    assert_eq!(on(vec![size], 25), (matches, vec![]));
    // A component that is none is asked for its image.
    let mut bench = Bench::default();
    steps_on(&mut bench, &three([parameters_of_all(), component_index(2), simple(3)])).unwrap();
    assert_eq!((bench.device.asked.last().unwrap().as_str(), bench.asked), ("image 2", vec![]));
}

/// Sections 5.4 and 5.6.1 let parameters pass into a dependency and out of it; each manifest has its own here.
#[test]
fn parameters_neither_enter_nor_leave_a_dependency() {
    let set_default = |name: &str| (19, map([(21, Value::Text(name.into()))]));
    let each = || list(&[0, 1, 2]);
    let dependent = three([
        parameters_of_all(),
        each(),
        parameters([uri("dependent")]),
        component_index(1),
        simple(7),
        simple(11),
        each(),
        simple(21),
    ]);
    // A default that is replaced nowhere; then a digest that nobody gave it, whose condition fails.
    let dependency = three([
        each(),
        set_default("default"),
        simple(21),
        parameters([(14, 1.into()), uri("dependency")]),
        component_index(2),
        simple(3),
    ]);
    let (outer, inner) = (unsigned(&dependent, &[]), unsigned(&dependency, &[]));
    let (outer, inner) =
        (EnvelopeOf::<Whole>::parse(&outer).unwrap(), EnvelopeOf::<Whole>::parse(&inner).unwrap());
    let outer = ManifestOf::<Whole>::read(&outer, None).unwrap();
    let inner = ManifestOf::<Whole>::read(&inner, None).unwrap();
    let mut bench = Bench { whole: [true; 4], ..Bench::default() };
    let mut dependent = ProcessorOf::ready(&outer, Section::Install).unwrap();
    assert_eq!(dependent.run(&mut bench), Ok(Step::ProcessDependency { component: 1 }));
    let mut dependency = ProcessorOf::ready(&inner, Section::Install).unwrap();
    let fetched = |processor: &mut ProcessorOf<'_, Whole>, bench: &mut Bench| {
        let mut fetched = Vec::new();
        loop {
            match processor.run(bench) {
                Ok(Step::Fetch(fetch)) => fetched.push(fetch.uri.as_str().to_owned()),
                end => return (fetched, end.map(drop).map_err(|error| error.reason())),
            }
        }
    };
    let failed = Err(Reason::ImageDigestMismatch);
    assert_eq!(fetched(&mut dependency, &mut bench), (vec!["default".to_owned(); 3], failed));
    assert_eq!(fetched(&mut dependent, &mut bench), (vec!["dependent".to_owned(); 3], Ok(())));
}

// --- suit-update-management

/// Sections 3.3, 3.4 and 8: whatever the text says of versions, the same runs.
#[test]
fn text_about_versions_decides_nothing() {
    let versions = |required: &str, current: &str| {
        let component = map([(7, Value::Text(required.into())), (8, Value::Text(current.into()))]);
        let entries = Value::Map(vec![(Value::Array(vec![bytes(b"app")]), component)]);
        encode(&Value::Map(vec![(Value::Text("en".into()), entries)]))
    };
    let install = sequence([parameters([uri("u")]), simple(21), simple(3)]);
    let parts = Parts::default().with(20, Value::Bytes(install));
    let without = run(&parts, Section::Install).unwrap();
    for (required, current) in [("<1", "0"), (">= 99", "1.2.3"), ("\u{1b}[2J", "\"; rm"), ("", "")] {
        let parts = parts.clone().with(23, Value::Bytes(versions(required, current)));
        assert_eq!(run(&parts, Section::Install).unwrap(), without, "{required:?}");
        let envelope = parts.signed();
        assert_eq!(authenticate(&envelope).unwrap().manifest().version_text(), None);
    }
}

/// Section 4.4.1
#[test]
fn a_version_does_not_begin_with_a_pre_release() {
    let version = |numbers: &[i64]| {
        let numbers = Value::Array(numbers.iter().map(|number| (*number).into()).collect());
        let compared = encode(&Value::Array(vec![2.into(), numbers.clone()]));
        let parameter = three([parameters([(28, bytes(&compared))])]);
        let set = Parts::default().with(6, bytes(&encode(&numbers))).manifest();
        let read = |manifest: &[u8]| {
            let envelope = unsigned(manifest, &[]);
            let tree = EnvelopeTree::read(&envelope).map(drop).map_err(|error| error.kind);
            let parsed = EnvelopeOf::<Whole>::parse(&envelope).unwrap();
            assert_eq!(ManifestOf::<Whole>::read(&parsed, None).map(drop).map_err(|error| error.kind), tree);
            tree
        };
        assert_eq!(read(&parameter), read(&set));
        read(&set)
    };
    for good in [&[0][..], &[1], &[1, -1], &[2, 0, 0], &[1, 2, 3, -3, 4], &[2025, 12, 6]] {
        assert_eq!(version(good), Ok(()), "{good:?}");
    }
    for bad in [&[-1][..], &[-3, 1], &[-1, 0, 0]] {
        assert_eq!(version(bad), Err(ErrorKind::Malformed(Trust::OutOfRange)), "{bad:?}");
    }
}

/// Sections 4.1 and 5.1
#[test]
fn times_are_compared_in_64_bits() {
    let before = |limit: Option<u64>, now: Option<u64>| {
        let set = limit.map(|limit| parameters([(4, limit.into())]));
        let commands = set.into_iter().chain([simple(4)]);
        steps_on(&mut Bench { now, ..Bench::default() }, &three(commands))
    };
    let passed = Err(Reason::UseBeforePassed);
    for (limit, now) in [(1, 0), (1 << 32, (1 << 32) - 1), ((1 << 32) + 5, 1 << 32), (u64::MAX, 1 << 63)] {
        assert_eq!(before(Some(limit), Some(now)), named(&[]), "{limit}");
        assert_eq!(before(Some(now), Some(limit)), passed, "{limit}");
        assert_eq!(before(Some(limit), Some(limit)), passed, "{limit}: at the time itself it is over");
    }
    assert_eq!(before(Some(5), Some((1 << 32) + 1)), passed, "32 bits would say 1");
    assert_eq!(before(None, Some(0)), passed, "no time was set");
    assert_eq!(before(Some(u64::MAX), None), passed, "nobody knows the time");
}
