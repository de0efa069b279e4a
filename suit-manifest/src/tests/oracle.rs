//! Random programs, run by the processor and by an interpreter that was written from the documents and shares nothing
//! with it: draft-ietf-suit-manifest-37 sections 6.3 to 6.7 and 8.4.8 to 8.4.10, suit-trust-domains-12 section 5.6,
//! suit-update-management-16 sections 4 and 5.

mod interpreter;

use std::collections::BTreeMap;

use ciborium::Value;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use self::interpreter::Interpreter;
use super::support::{
    CLASS, DEVICE, FOREIGN, IMAGE, IMAGE_SIZE, VENDOR, assemble, bytes, component_index, digest_value,
    encode, image_digest, map, parameters, run_sequence, sequence, simple,
};
use crate::argument::{AnyDigest, DigestAlgorithm};
use crate::limits::MAX_CONTENT_LEN;
use crate::manifest::ManifestOf;
use crate::profile::{Decrypting, Installs, Loader, Profile, Record, Whole, WholePlatform};
use crate::vocabulary::CommandCode;
use crate::{ComponentId, Digest, EnvelopeOf, Platform, PlatformError, ProcessorOf, Section, Step};

const COMPONENTS: u32 = 3;
/// The component that is a dependency.
const DEPENDENCY: u32 = 1;
const NOW: u64 = 1_800_000_000;
const PEN: &[u8] = &[0x82, 0x37];

/// A parameter with one of a few values.
type Setting = (i64, u8);

#[derive(Clone, Debug)]
enum Program {
    /// A condition, or a directive that has a reporting policy.
    Plain(i64),
    Index(Vec<u32>, bool),
    Override(Vec<Setting>),
    Default(Vec<Setting>),
    Multiple(Vec<(u32, Vec<Setting>)>),
    CopyParams(Vec<(u32, Vec<i64>)>),
    TryEach(Vec<Vec<Program>>, bool),
    Run(Vec<Program>),
}

// --- Writing it

fn value(key: i64, choice: u8) -> Value {
    let wrap = |value: &Value| bytes(&encode(value));
    let version = |least: i64| Value::Array(vec![2.into(), Value::Array(vec![1.into(), least.into()])]);
    match (key, choice) {
        (1, 0) => bytes(&VENDOR),
        (1, 1) => bytes(&FOREIGN),
        (1, 2) => Value::Tag(112, Box::new(bytes(PEN))),
        (1, _) => Value::Tag(112, Box::new(bytes(&[0x37]))),
        (2, 0) => bytes(&CLASS),
        (2 | 24, 1) => bytes(&FOREIGN),
        (24, _) => bytes(&DEVICE),
        (3, 0) => image_digest(&IMAGE),
        (3, 1) => image_digest(&[9; 32]),
        (3, 2) => wrap(&digest_value(-43, &Sha384::digest(IMAGE))),
        (3, _) => wrap(&digest_value(-44, &Sha512::digest(b"other"))),
        (4, 0) => (NOW + 1).into(),
        (4, _) => NOW.into(),
        (5 | 12 | 13, choice) if key == 5 => u64::from(choice).into(),
        (12 | 13, choice) => Value::Bool(choice == 0),
        (14, 0) => IMAGE_SIZE.into(),
        (14, _) => 1.into(),
        (18, 0) => bytes(b"content"),
        (18, 1) => bytes(b"contenT"),
        (18, _) => bytes(b"conten"),
        (21, choice) => Value::Text(format!("u{choice}")),
        (22, choice) => u64::from(choice).into(),
        (26, 0) => 100.into(),
        (26, _) => 101.into(),
        (27, choice) => i64::from(choice).into(),
        (28, choice) => wrap(&version(i64::from(choice) + 2)),
        (29, _) => wrap(&map([(1, 0.into())])),
        other => panic!("{other:?}"),
    }
}

fn settings(list: &[Setting]) -> Vec<(i64, Value)> {
    let last: BTreeMap<i64, u8> = list.iter().copied().collect();
    last.into_iter().map(|(key, choice)| (key, value(key, choice))).collect()
}

fn write(program: &Program) -> (i64, Value) {
    let body = |commands: &[Program]| sequence(commands.iter().map(write));
    match program {
        Program::Plain(code) => simple(*code),
        Program::Index(list, false) if list.len() == 1 => component_index(u64::from(list[0])),
        Program::Index(list, false) => {
            component_index(Value::Array(list.iter().map(|index| (*index).into()).collect()))
        }
        Program::Index(_, true) => component_index(true),
        Program::Override(list) => parameters(settings(list)),
        Program::Default(list) => (19, map(settings(list))),
        Program::Multiple(list) => {
            let last: BTreeMap<u32, &Vec<Setting>> =
                list.iter().map(|(index, list)| (*index, list)).collect();
            (34, map(last.into_iter().map(|(index, list)| (i64::from(index), map(settings(list))))))
        }
        Program::CopyParams(list) => {
            let last: BTreeMap<u32, &Vec<i64>> = list.iter().map(|(index, keys)| (*index, keys)).collect();
            let keys = |keys: &[i64]| Value::Array(keys.iter().map(|key| (*key).into()).collect());
            (35, map(last.into_iter().map(|(index, list)| (i64::from(index), keys(list)))))
        }
        Program::TryEach(sequences, or_nil) => {
            let mut items: Vec<Value> =
                sequences.iter().map(|commands| Value::Bytes(body(commands))).collect();
            items.extend(or_nil.then_some(Value::Null));
            (15, Value::Array(items))
        }
        Program::Run(commands) => run_sequence(body(commands)),
    }
}

fn envelope(program: &[Program], has_dependency: bool) -> Vec<u8> {
    let identity =
        [component_index(0_u64), parameters([(1, bytes(&VENDOR)), (2, bytes(&CLASS))]), simple(1), simple(2)];
    let components = (0..COMPONENTS).map(|index| Value::Array(vec![bytes(&[b'0' + index as u8])])).collect();
    let mut common = vec![(2, Value::Array(components)), (4, Value::Bytes(sequence(identity)))];
    if has_dependency {
        common.insert(0, (1, map([(i64::from(DEPENDENCY), map([]))])));
    }
    let body = [vec![component_index(0_u64)], program.iter().map(write).collect()].concat();
    let manifest = encode(&map([
        (1, 1.into()),
        (2, 1.into()),
        (3, bytes(&encode(&map(common)))),
        (20, Value::Bytes(sequence(body))),
    ]));
    let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(&manifest)))));
    assemble(vec![bytes(&digest)], &manifest, &[])
}

// --- Running it on the processor

#[derive(Default)]
struct Machine {
    records: Vec<Record>,
}

impl Platform for Machine {
    fn vendor_matches(&mut self, _: u32, id: &[u8; 16]) -> bool {
        *id == VENDOR
    }

    fn class_matches(&mut self, _: u32, id: &[u8; 16]) -> bool {
        *id == CLASS
    }

    fn device_matches(&mut self, _: u32, id: &[u8; 16]) -> bool {
        *id == DEVICE
    }

    fn component_slot(&mut self, _: u32) -> Option<u64> {
        Some(0)
    }

    fn image_matches(&mut self, _: u32, digest: &Digest<'_>, size: u64) -> Result<bool, PlatformError> {
        Ok(*digest.sha256() == IMAGE && size == IMAGE_SIZE)
    }

    fn supports(&self, _: &ComponentId<'_>) -> bool {
        true
    }
}

impl WholePlatform for Machine {
    fn pen_matches(&mut self, _: u32, pen: &[u8]) -> bool {
        pen == PEN
    }

    fn digest_matches(&mut self, _: u32, digest: &AnyDigest<'_>, size: u64) -> Result<bool, PlatformError> {
        let held = digest.algorithm() == DigestAlgorithm::Sha384 && digest.is_of(&IMAGE);
        Ok(held && size == IMAGE_SIZE)
    }

    fn read_component(
        &mut self,
        _: u32,
        buffer: &mut [u8; MAX_CONTENT_LEN],
    ) -> Result<Option<u64>, PlatformError> {
        buffer[..7].copy_from_slice(b"content");
        Ok(Some(7))
    }

    fn now(&mut self) -> Option<u64> {
        Some(NOW)
    }

    fn battery_mwh(&mut self) -> Option<u64> {
        Some(100)
    }

    fn authorizes(&mut self, _: u32, priority: Option<i64>) -> bool {
        priority.is_some_and(|priority| priority < 1)
    }

    fn version(&mut self, _: u32, numbers: &mut [i64; 8]) -> Option<usize> {
        numbers[..3].copy_from_slice(&[1, 2, 9]);
        Some(3)
    }

    fn dependency_is_whole(&mut self, _: u32, digest: &AnyDigest<'_>) -> Result<bool, PlatformError> {
        Ok(digest.algorithm() == DigestAlgorithm::Sha256 && digest.bytes() == IMAGE)
    }

    /// Its manifest has another digest than what an image has.
    fn dependency_matches(
        &mut self,
        component: u32,
        digest: &AnyDigest<'_>,
        size: Option<u64>,
    ) -> Result<bool, PlatformError> {
        assert_eq!(component, DEPENDENCY);
        let held = digest.algorithm() == DigestAlgorithm::Sha512 && digest.is_of(b"other");
        Ok(held && size.is_none_or(|size| size == IMAGE_SIZE))
    }

    fn record(&mut self, record: &Record) {
        self.records.push(*record);
    }
}

/// What the processor of the whole does.
fn processed(envelope: &[u8]) -> (Result<Vec<String>, &'static str>, Vec<Record>) {
    let parsed = EnvelopeOf::<Whole>::parse(envelope).unwrap();
    let mut machine = Machine::default();
    let mut steps = vec![];
    let mut run = || {
        let manifest = ManifestOf::<Whole>::read(&parsed, None)?;
        let mut processor = ProcessorOf::ready(&manifest, Section::Install)?;
        loop {
            steps.push(match processor.run(&mut machine)? {
                Step::Fetch(fetch) => format!("fetch {} {}", fetch.component, fetch.uri.as_str()),
                Step::Invoke { component } => format!("invoke {component}"),
                Step::Write { component } => {
                    let content = processor.properties(component).content.unwrap();
                    let names: [&[u8]; 3] = [b"content", b"contenT", b"conten"];
                    let choice = names.iter().position(|known| *known == content).unwrap();
                    format!("write {component} {choice}")
                }
                Step::Copy { component, source } => format!("copy {component} {source}"),
                Step::Swap { component, source } => format!("swap {component} {source}"),
                Step::Wait { component } => format!("wait {component}"),
                Step::Unlink { component } => format!("unlink {component}"),
                Step::ProcessDependency { component } => format!("process {component}"),
                Step::Done => return Ok(()),
            });
        }
    };
    let ran: Result<(), crate::Error> = run();
    (ran.map(|()| steps).map_err(|error| error.reason().slug()), machine.records)
}

/// What the processor of a loader does.
fn processed_by<P: Installs>(envelope: &[u8]) -> Result<Vec<String>, &'static str> {
    let mut machine = Machine::default();
    let mut steps = vec![];
    let mut run = || {
        let parsed = EnvelopeOf::<P>::parse(envelope)?;
        let manifest = ManifestOf::<P>::read(&parsed, None)?;
        let mut processor = ProcessorOf::ready(&manifest, Section::Install)?;
        loop {
            steps.push(match processor.run(P::platform(&mut machine))? {
                Step::Fetch(fetch) => format!("fetch {} {}", fetch.component, fetch.uri.as_str()),
                Step::Invoke { component } => format!("invoke {component}"),
                Step::Copy { component, source } => format!("copy {component} {source}"),
                Step::Done => return Ok(()),
                other => panic!("{other:?}"),
            });
        }
    };
    let ran: Result<(), crate::Error> = run();
    ran.map(|()| steps).map_err(|error| error.reason().slug())
}

// --- Programs at random

/// What programs are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Offer {
    Loader,
    Decrypting,
    Whole,
}

fn setting(offer: Offer) -> BoxedStrategy<Setting> {
    let base = prop_oneof![
        (Just(1), 0_u8..2),
        (Just(2), 0_u8..2),
        (Just(3), 0_u8..2),
        (Just(5), 0_u8..2),
        (Just(12), 0_u8..2),
        (Just(13), 0_u8..2),
        (Just(14), 0_u8..2),
        (Just(21), 0_u8..3),
        (Just(24), 0_u8..2),
    ];
    match offer {
        Offer::Loader => return base.boxed(),
        Offer::Decrypting => return prop_oneof![4 => base, 1 => (Just(22), 0_u8..4)].boxed(),
        Offer::Whole => {}
    }
    prop_oneof![
        3 => base,
        1 => (Just(1), 0_u8..4),
        2 => (Just(3), 0_u8..4),
        1 => (prop::sample::select(vec![4_i64, 26, 27, 28]), 0_u8..2),
        2 => (Just(18), 0_u8..3),
        2 => (Just(22), 0_u8..4),
        1 => (Just(29), 0_u8..1),
    ]
    .boxed()
}

fn index() -> impl Strategy<Value = Program> {
    prop_oneof![
        6 => (0..COMPONENTS).prop_map(|index| Program::Index(vec![index], false)),
        1 => Just(Program::Index(vec![], true)),
        2 => prop::collection::vec(0..=COMPONENTS, 2..4).prop_map(|list| Program::Index(list, false)),
    ]
}

fn programs(depth: u32, offer: Offer) -> BoxedStrategy<Vec<Program>> {
    let list = move || prop::collection::vec(setting(offer), 1..4);
    let codes = match offer {
        Offer::Loader => vec![1_i64, 2, 3, 5, 14, 21, 23, 24],
        Offer::Decrypting => vec![1_i64, 2, 3, 5, 14, 21, 22, 22, 23, 24],
        Offer::Whole => {
            vec![1_i64, 2, 3, 4, 5, 6, 7, 8, 11, 14, 18, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 33]
        }
    };
    let plain = prop::sample::select(codes).prop_map(Program::Plain);
    let base = prop_oneof![
        5 => plain,
        2 => index(),
        4 => list().prop_map(Program::Override),
    ];
    let leaf = if offer == Offer::Whole {
        let keys = prop::collection::vec(prop::sample::select(vec![1_i64, 3, 12, 14, 18, 21, 22, 28]), 1..3);
        prop_oneof![
            8 => base,
            2 => list().prop_map(Program::Default),
            1 => prop::collection::vec((0..=COMPONENTS, list()), 1..3).prop_map(Program::Multiple),
            1 => prop::collection::vec((0..=COMPONENTS, keys), 1..2).prop_map(Program::CopyParams),
        ]
        .boxed()
    } else {
        base.boxed()
    };
    let command = if depth == 0 {
        leaf
    } else {
        let body = || programs(depth - 1, offer);
        prop_oneof![
            6 => leaf,
            1 => body().prop_map(Program::Run),
            2 => (prop::collection::vec(body(), 2..4), any::<bool>())
                .prop_map(|(sequences, or_nil)| Program::TryEach(sequences, or_nil)),
        ]
        .boxed()
    };
    prop::collection::vec(command, 1..7).boxed()
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn suit34_random_programs_run_as_the_documents_say(program in programs(2, Offer::Whole)) {
        let (ran, records) = processed(&envelope(&program, true));
        prop_assume!(ran != Err("step-limit"));
        let meant = Interpreter::run(&program, true);
        prop_assert_eq!(&ran, &meant);
        // Each step that was served has its record, in its order.
        let steps = |record: &&Record| record.succeeded && !record.command.is_condition();
        let served = records.iter().filter(steps).count();
        prop_assert!(ran.is_err() || served == ran.unwrap().len());
    }

    #[test]
    fn suit34_what_both_profiles_offer_they_decide_alike(program in programs(2, Offer::Loader)) {
        let envelope = envelope(&program, false);
        let (whole, _) = processed(&envelope);
        prop_assert_eq!(whole.clone(), processed_by::<Loader>(&envelope));
        prop_assert_eq!(whole.clone(), processed_by::<Decrypting>(&envelope));
        prop_assume!(whole != Err("step-limit"));
        prop_assert_eq!(whole, Interpreter::run(&program, false));
    }

    #[test]
    fn suit34_a_device_that_decrypts_decides_as_the_whole_does(program in programs(2, Offer::Decrypting)) {
        let envelope = envelope(&program, false);
        let (whole, _) = processed(&envelope);
        prop_assert_eq!(whole.clone(), processed_by::<Decrypting>(&envelope));
        prop_assume!(whole != Err("step-limit"));
        prop_assert_eq!(whole, Interpreter::run(&program, false));
    }
}

/// The table of a profile says what it decides: everything else is unsupported.
#[test]
fn suit35_a_loader_offers_what_its_profile_says() {
    for code in CommandCode::ALL {
        let argument = match code.number() {
            12 => 0.into(),
            15 => Value::Array(vec![bytes(&sequence([simple(23)])), bytes(&sequence([simple(23)]))]),
            19 | 20 => map([(21, Value::Text("u".into()))]),
            32 => bytes(&sequence([simple(23)])),
            34 => map([(0, map([(14, 1.into())]))]),
            35 => map([(0, Value::Array(vec![14.into()]))]),
            _ => 15.into(),
        };
        let body = sequence([component_index(0_u64), (code.number(), argument)]);
        let manifest = super::support::Parts::several(2).with(20, Value::Bytes(body)).manifest();
        let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(&manifest)))));
        let envelope = assemble(vec![bytes(&digest)], &manifest, &[]);
        let number = i32::try_from(code.number()).unwrap();
        let is_refused = |ran| matches!(ran, Err("command-unknown" | "condition-unknown"));
        assert_eq!(is_refused(processed_by::<Loader>(&envelope)), !Loader::COMMANDS.has(number), "{code:?}");
        let refused = is_refused(processed_by::<Decrypting>(&envelope));
        assert_eq!(refused, !Decrypting::COMMANDS.has(number), "{code:?}");
        assert!(Whole::COMMANDS.has(number));
        let by_whole = processed(&envelope).0;
        assert!(!matches!(by_whole, Err("command-unknown" | "condition-unknown")), "{code:?} {by_whole:?}");
    }
}

#[test]
fn suit35_a_record_says_what_ended_where() {
    let program = [
        Program::Override(vec![(21, 0)]),
        Program::Plain(21),
        Program::TryEach(vec![vec![Program::Plain(14)], vec![Program::Plain(23)]], false),
    ];
    let file = envelope(&program, false);
    let (ran, records) = processed(&file);
    assert_eq!(ran, Ok(vec!["fetch 0 u0".to_owned(), "invoke 0".into()]));
    let seen: Vec<_> = records.iter().map(|record| (record.command.number(), record.succeeded)).collect();
    assert_eq!(seen, [(1, true), (2, true), (21, true), (14, false), (23, true)]);
    assert!(records.iter().all(|record| record.component == 0 && record.policy == 0));
    // The offset is that of the command in its section.
    let tree = crate::author::tree::EnvelopeTree::read(&file).unwrap();
    let install = tree.manifest.section(crate::vocabulary::ManifestElement::Install).unwrap();
    let first = install[0].position - 1;
    assert_eq!(records[2].offset, install[2].position - first);
    assert_eq!(records[2].section, crate::vocabulary::ManifestElement::Install);
    assert_eq!(records[0].section, crate::vocabulary::ManifestElement::Common);
}

/// Vendor and class count for one component, and not for another one's.
#[test]
fn suit35_vendor_and_class_are_held_for_one_component() {
    let shared = |second: u64| {
        sequence([
            component_index(0_u64),
            parameters([(1, bytes(&VENDOR))]),
            simple(1),
            component_index(second),
            parameters([(2, bytes(&CLASS))]),
            simple(2),
        ])
    };
    let run = |second: u64| {
        let body = Value::Bytes(sequence([component_index(0_u64), simple(23)]));
        let parts = super::support::Parts { shared: shared(second), ..super::support::Parts::several(2) };
        let manifest = parts.with(20, body).manifest();
        let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(&manifest)))));
        let envelope = assemble(vec![bytes(&digest)], &manifest, &[]);
        [processed(&envelope).0, processed_by::<Loader>(&envelope), processed_by::<Decrypting>(&envelope)]
    };
    assert!(run(0).iter().all(Result::is_ok));
    assert!(run(1).iter().all(|ran| *ran == Err("identity-unchecked")));
}
