//! The rules of the command processor, draft-ietf-suit-manifest-37 sections 6.1 to 6.7 and 8.4.6 to 8.4.10.

use ciborium::Value;
use trust::ErrorKind as Trust;

use super::support::*;
use crate::limits::{MAX_ALTERNATIVES, MAX_COMMANDS, MAX_NESTING, MAX_STEPS, MAX_URI_LEN};
use crate::{Condition, ErrorKind, Processor, Reason, Section, Step};

const FETCH: i64 = 21;
const INVOKE: i64 = 23;
const ABORT: i64 = 14;

/// Fetches from `from`: the trace that a test looks for.
fn fetch(from: &str) -> Vec<(i64, Value)> {
    vec![parameters([uri(from)]), simple(FETCH)]
}

fn failed(condition: Condition) -> Result<Vec<String>, ErrorKind> {
    Err(ErrorKind::ConditionFailed(condition))
}

// --- 6.1, 6.2: set up and required checks

#[test]
fn a_release_installs_validates_and_invokes() {
    let envelope = release();
    let authenticated = authenticate(&envelope).unwrap();
    let mut device = Device::default();
    let ran = |device: &mut Device, section| run_on(device, &authenticated, section);
    let fetched = format!("fetch 0 {}", crate::author::image_uri(&IMAGE));
    assert_eq!(ran(&mut device, Section::Install), Ok(vec![fetched]));
    assert_eq!(ran(&mut device, Section::Validate), Ok(vec![]));
    assert_eq!(ran(&mut device, Section::Invoke), Ok(vec!["invoke 0".into()]));
    assert_eq!(
        device.asked,
        ["vendor 0", "class 0", "image 0", "vendor 0", "class 0", "image 0", "vendor 0", "class 0"]
    );
}

#[test]
fn each_condition_that_fails_says_which_one_and_where() {
    let foreign = |change: fn(&mut Device)| {
        let mut device = Device::default();
        change(&mut device);
        let envelope = Parts {
            shared: sequence(
                [
                    identity(),
                    vec![parameters([(5, 0.into()), (24, bytes(&DEVICE))]), simple(24), simple(5), simple(3)],
                ]
                .concat(),
            ),
            ..Parts::default()
        }
        .signed();
        let error = run_on(&mut device, &authenticate(&envelope).unwrap(), Section::Install).err();
        error.map(|error| (error.reason(), envelope[error.position as usize]))
    };
    assert_eq!(foreign(|_| {}), None);
    assert_eq!(foreign(|device| device.vendor = FOREIGN), Some((Reason::VendorMismatch, 1)));
    assert_eq!(foreign(|device| device.class = FOREIGN), Some((Reason::ClassMismatch, 2)));
    assert_eq!(foreign(|device| device.device = FOREIGN), Some((Reason::DeviceMismatch, 0x18)));
    assert_eq!(foreign(|device| device.slot = Some(1)), Some((Reason::SlotMismatch, 5)));
    assert_eq!(foreign(|device| device.slot = None), Some((Reason::SlotMismatch, 5)));
    assert_eq!(foreign(|device| device.images.clear()), Some((Reason::ImageDigestMismatch, 3)));
    assert_eq!(foreign(|device| device.images[0].1 += 1), Some((Reason::ImageDigestMismatch, 3)));
    // That the platform cannot answer is no mismatch.
    assert_eq!(foreign(|device| device.broken = Some(Reason::FlashFailed)), Some((Reason::FlashFailed, 3)));
}

#[test]
fn parameters_do_not_outlive_a_run() {
    let parts = Parts::install(fetch("a")).with(7, bytes(&sequence([simple(FETCH)])));
    let envelope = parts.signed();
    let authenticated = authenticate(&envelope).unwrap();
    let mut device = Device::default();
    assert_eq!(run_on(&mut device, &authenticated, Section::Install), Ok(vec!["fetch 0 a".into()]));
    let second = run_on(&mut device, &authenticated, Section::Validate).unwrap_err();
    assert_eq!(second.kind, ErrorKind::ParameterMissing);
}

#[test]
fn vendor_and_class_must_be_checked_before_a_section_runs() {
    let with = |conditions: &[i64]| {
        let shared = identity().into_iter().take(1).chain(conditions.iter().map(|code| simple(*code)));
        let parts = Parts { shared: sequence(shared), ..Parts::install(fetch("a")) };
        run(&parts, Section::Install).map_err(|error| error.kind)
    };
    assert_eq!(with(&[1, 2]), Ok(vec!["fetch 0 a".into()]));
    for unchecked in [&[][..], &[1], &[2]] {
        assert_eq!(with(unchecked), Err(ErrorKind::IdentityUnchecked), "{unchecked:?}");
    }
    // Only what held counts, not what stands there.
    let soft = try_each_or_nil([sequence([simple(1), simple(2), simple(ABORT)]), sequence([simple(ABORT)])]);
    let shared = [identity()[..1].to_vec(), vec![parameters([(2, bytes(&OTHER_CLASS))]), soft]].concat();
    let parts = Parts { shared: sequence(shared), ..Parts::install(fetch("a")) };
    assert_eq!(run(&parts, Section::Install).unwrap_err().kind, ErrorKind::IdentityUnchecked);
    let soft = try_each_or_nil([sequence([simple(1), simple(ABORT)]), sequence([simple(ABORT)])]);
    let shared = sequence([identity().swap_remove(0), soft, simple(2)]);
    let envelope = Parts { shared, ..Parts::install(fetch("a")) }.signed();
    let mut foreign = Device { vendor: FOREIGN, ..Device::default() };
    let refused = run_on(&mut foreign, &authenticate(&envelope).unwrap(), Section::Install).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::IdentityUnchecked);
}

#[test]
fn a_component_that_the_device_lacks_excludes_the_manifest() {
    let envelope = Parts::install(fetch("a")).signed();
    let mut device = Device { supported: 0, ..Device::default() };
    let refused = run_on(&mut device, &authenticate(&envelope).unwrap(), Section::Install).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::ComponentUnsupported);
    assert_eq!(device.asked, Vec::<String>::new(), "nothing else was asked");
}

#[test]
fn with_several_components_every_sequence_starts_with_the_index() {
    let body = sequence([simple(3)]);
    assert_eq!(Parts::several(2).with(7, bytes(&body)).refusal(), ErrorKind::ComponentIndex);
    assert_eq!(Parts::several(2).with_severed(20, &body).refusal(), ErrorKind::ComponentIndex);
    let shared = Parts { shared: sequence(identity()), ..Parts::several(2) };
    assert_eq!(shared.refusal(), ErrorKind::ComponentIndex);
    assert!(Parts::several(1).with(7, bytes(&body)).signed().len() > 1);
    assert_eq!(run(&Parts::several(1).with(7, bytes(&body)), Section::Validate), Ok(vec![]));
}

// --- 8.4.5: the shared sequence

#[test]
fn the_shared_sequence_holds_nothing_with_effects() {
    for code in [18, 21, 22, 23, 31, 11, 19, 29, 33, 34, 35, 99, -1, -257] {
        for shared in [
            [identity(), vec![simple(code)]].concat(),
            [identity(), vec![run_sequence(sequence([simple(code)]))]].concat(),
            [identity(), vec![try_each([sequence([simple(3)]), sequence([simple(code)])])]].concat(),
        ] {
            let parts = Parts { shared: sequence(shared), ..Parts::default() };
            assert_eq!(parts.refusal(), ErrorKind::CommandNotShared, "{code}");
        }
    }
}

#[test]
fn the_shared_sequence_runs_before_every_section() {
    let parts = Parts {
        shared: sequence([identity(), vec![parameters([uri("shared")])]].concat()),
        ..Parts::default()
    };
    for (key, section) in
        [(16, Section::PayloadFetch), (20, Section::Install), (7, Section::Validate), (9, Section::Invoke)]
    {
        let parts = parts.clone().with(key, bytes(&sequence([simple(FETCH)])));
        assert_eq!(run(&parts, section), Ok(vec!["fetch 0 shared".into()]));
    }
}

// --- 6.4, 8.4.9: conditions, directives, unknown ones

#[test]
fn a_condition_without_its_parameter_fails() {
    for (code, condition) in [(24, Condition::Device), (5, Condition::ComponentSlot)] {
        assert_eq!(run_install([simple(code)]), failed(condition));
    }
    let without = |parameter: Vec<(i64, Value)>| {
        let shared = [vec![parameters(parameter)], vec![simple(1), simple(2)]].concat();
        let parts = Parts { shared: sequence(shared), ..Parts::install([simple(3)]) };
        run(&parts, Section::Install).map_err(|error| error.kind)
    };
    assert_eq!(without(vec![(2, bytes(&CLASS))]), failed(Condition::Vendor));
    assert_eq!(without(vec![(1, bytes(&VENDOR))]), failed(Condition::Class));
    let identity = vec![(1, bytes(&VENDOR)), (2, bytes(&CLASS))];
    assert_eq!(without(identity.clone()), failed(Condition::ImageMatch));
    let digest_only = [identity.clone(), vec![(3, image_digest(&IMAGE))]].concat();
    assert_eq!(without(digest_only), failed(Condition::ImageMatch));
    let size_only = [identity, vec![(14, IMAGE_SIZE.into())]].concat();
    assert_eq!(without(size_only), failed(Condition::ImageMatch));
}

#[test]
fn an_unknown_condition_fails_and_an_unknown_command_aborts() {
    for code in [4, 6, 7, 8, 25, 26, 27, 28] {
        assert_eq!(run_install([simple(code)]), failed(Condition::Unknown), "{code}");
        let soft = try_each([sequence([simple(code)]), sequence(fetch("b"))]);
        assert_eq!(run_install([soft]), Ok(vec!["fetch 0 b".into()]), "{code}");
    }
    for code in [0, 9, 10, 11, 13, 16, 17, 18, 19, 22, 29, 30, 31, 33, 34, 35, 99, -1, -257] {
        assert_eq!(run_install([simple(code)]), Err(ErrorKind::CommandUnknown), "{code}");
        let soft = try_each([sequence([simple(code)]), sequence(fetch("b"))]);
        assert_eq!(run_install([soft]), Err(ErrorKind::CommandUnknown), "{code}");
    }
    // What is not reached does no harm.
    let behind = try_each([sequence(fetch("a")), sequence([simple(99)])]);
    assert_eq!(run_install([behind]), Ok(vec!["fetch 0 a".into()]));
}

#[test]
fn an_unsupported_parameter_aborts() {
    let values = [
        (4, Value::from(0)),
        (18, bytes(b"content")),
        (22, 0.into()),
        (23, bytes(b"arguments")),
        (25, bytes(b"arguments")),
        (99, 0.into()),
        (-257, 0.into()),
        (1, Value::Tag(112, Box::new(bytes(b"\x01")))),
    ];
    for (key, value) in values {
        let set = parameters([(key, value)]);
        assert_eq!(run_install([set.clone()]), Err(ErrorKind::ParameterUnsupported), "{key}");
        let soft = try_each_or_nil([sequence([set]), sequence([simple(ABORT)])]);
        assert_eq!(run_install([soft]), Err(ErrorKind::ParameterUnsupported), "{key}");
    }
    let encrypted = parameters([(19, bytes(b"encryption"))]);
    assert_eq!(run_install([encrypted]), Err(ErrorKind::EncryptionUnsupported));
}

#[test]
fn a_directive_that_fails_aborts_however_soft_failures_are() {
    // fetch without a URI
    let soft = try_each_or_nil([sequence([simple(FETCH)]), sequence(fetch("b"))]);
    assert_eq!(run_install([soft]), Err(ErrorKind::ParameterMissing));
    // an exhausted try-each, and a run-sequence whose failure is not soft, are failed directives
    let exhausted = try_each([sequence([simple(ABORT)]), sequence([simple(5)])]);
    let soft = try_each_or_nil([sequence([exhausted]), sequence(fetch("b"))]);
    assert_eq!(run_install([soft]), failed(Condition::ComponentSlot));
    let hard = run_sequence(sequence([simple(ABORT)]));
    let soft = try_each_or_nil([sequence([hard]), sequence(fetch("b"))]);
    assert_eq!(run_install([soft]), failed(Condition::Abort));
}

// --- 8.4.10.2: try-each

#[test]
fn try_each_takes_the_first_sequence_that_succeeds() {
    let ok = |from: &str| sequence(fetch(from));
    let fails = |from: &str| sequence([fetch(from), vec![simple(ABORT)]].concat());
    assert_eq!(run_install([try_each([ok("a"), ok("b")])]), Ok(vec!["fetch 0 a".into()]));
    // What a sequence did before its condition failed, it did: here fetches.
    let second = vec!["fetch 0 a".to_owned(), "fetch 0 b".into()];
    assert_eq!(run_install([try_each([fails("a"), ok("b")])]), Ok(second.clone()));
    assert_eq!(run_install([try_each([fails("a"), fails("b")])]), failed(Condition::Abort));
    assert_eq!(run_install([try_each_or_nil([fails("a"), fails("b")])]), Ok(second.clone()));
    // It goes on behind the try-each, and the last sequence's condition is the reason of its failure.
    let then = [vec![try_each([fails("a"), ok("b")])], fetch("c")].concat();
    assert_eq!(run_install(then), Ok([second, vec!["fetch 0 c".into()]].concat()));
    assert_eq!(
        run_install([try_each([sequence([simple(5)]), sequence([simple(24)])])]),
        failed(Condition::Device)
    );
}

#[test]
fn try_each_has_two_sequences_and_nil_last_only() {
    let body = || Value::Bytes(sequence([simple(3)]));
    let with = |items: Vec<Value>| Parts::install([(15, Value::Array(items))]).refusal();
    let malformed = |kind| ErrorKind::Malformed(kind);
    assert_eq!(with(vec![body()]), malformed(Trust::OutOfRange));
    assert_eq!(with(vec![]), malformed(Trust::OutOfRange));
    assert_eq!(with(vec![body(), Value::Null]), malformed(Trust::UnexpectedType));
    assert_eq!(with(vec![body(), Value::Null, body()]), malformed(Trust::UnexpectedType));
    assert_eq!(with(vec![body(); MAX_ALTERNATIVES as usize + 1]), malformed(Trust::TooMany));
}

// --- 8.4.8.15, 8.4.10.8: soft-failure and run-sequence

fn soft_failure(value: bool) -> (i64, Value) {
    parameters([(13, Value::Bool(value))])
}

#[test]
fn soft_failure_is_true_in_try_each_and_can_be_cleared() {
    let hard = try_each([sequence([soft_failure(false), simple(ABORT)]), sequence(fetch("b"))]);
    assert_eq!(run_install([hard]), failed(Condition::Abort));
    // Cleared in one sequence, it is true again in the next.
    let next = try_each_or_nil([
        sequence([soft_failure(false), soft_failure(true), simple(ABORT)]),
        sequence([simple(ABORT)]),
    ]);
    assert_eq!(run_install([next]), Ok(vec![]));
}

#[test]
fn soft_failure_is_false_in_run_sequence_and_can_be_set() {
    let behind = |commands: Vec<(i64, Value)>| {
        run_install([vec![run_sequence(sequence(commands))], fetch("behind")].concat())
    };
    assert_eq!(behind(vec![simple(ABORT)]), failed(Condition::Abort));
    let soft = [vec![soft_failure(true)], fetch("a"), vec![simple(ABORT)], fetch("b")].concat();
    assert_eq!(behind(soft), Ok(vec!["fetch 0 a".into(), "fetch 0 behind".into()]));
}

#[test]
fn soft_failure_is_not_inherited_and_ends_with_its_sequence() {
    // Not into a run-sequence inside a soft one,
    let inner = run_sequence(sequence([simple(ABORT)]));
    let outer = run_sequence(sequence([soft_failure(true), inner]));
    assert_eq!(run_install([outer]), failed(Condition::Abort));
    // not back from a run-sequence that was soft,
    let soft = run_sequence(sequence([soft_failure(true), simple(ABORT)]));
    assert_eq!(
        run_install([run_sequence(sequence([soft.clone(), simple(ABORT)]))]),
        failed(Condition::Abort)
    );
    assert_eq!(run_install([soft, simple(ABORT)]), failed(Condition::Abort));
    // and a try-each inside a hard run-sequence is soft for itself.
    let inner = try_each([sequence([simple(ABORT)]), sequence(fetch("b"))]);
    assert_eq!(run_install([run_sequence(sequence([inner]))]), Ok(vec!["fetch 0 b".into()]));
}

#[test]
fn soft_failure_cannot_be_set_in_a_section_itself() {
    assert_eq!(run_install([soft_failure(true)]), Err(ErrorKind::SoftFailureMisplaced));
    assert_eq!(run_install([soft_failure(false)]), Err(ErrorKind::SoftFailureMisplaced));
}

// --- 6.5: component index

#[test]
fn parameters_and_commands_belong_to_components() {
    let commands = [
        vec![component_index(0), parameters([uri("a")]), component_index(1), parameters([uri("b")])],
        vec![component_index(1), simple(FETCH), component_index(0), simple(FETCH)],
    ]
    .concat();
    let parts = Parts::several(2).with(20, bytes(&sequence(commands)));
    assert_eq!(run(&parts, Section::Install), Ok(vec!["fetch 1 b".into(), "fetch 0 a".into()]));
    let unset = [component_index(0), parameters([uri("a")]), component_index(1), simple(FETCH)];
    let parts = Parts::several(2).with(20, bytes(&sequence(unset)));
    assert_eq!(run(&parts, Section::Install).unwrap_err().kind, ErrorKind::ParameterMissing);
}

#[test]
fn true_is_every_component_and_a_list_is_in_its_order() {
    let all = |index: Value| {
        let commands = [vec![component_index(index)], fetch("x"), vec![simple(INVOKE)]].concat();
        run(&Parts::several(3).with(20, bytes(&sequence(commands))), Section::Install).unwrap()
    };
    let each = |order: &[u32]| -> Vec<String> {
        let fetches = order.iter().map(|component| format!("fetch {component} x"));
        fetches.chain(order.iter().map(|component| format!("invoke {component}"))).collect()
    };
    assert_eq!(all(Value::Bool(true)), each(&[0, 1, 2]));
    assert_eq!(all(Value::Array(vec![2.into(), 0.into()])), each(&[2, 0]));
    assert_eq!(all(1.into()), each(&[1]));
}

#[test]
fn nested_sequences_run_once_for_each_component() {
    let nested = |caller: fn(Vec<u8>) -> (i64, Value)| {
        let body = sequence([fetch("x"), vec![simple(INVOKE)]].concat());
        let commands = [vec![component_index(true), caller(body)], vec![simple(INVOKE)]].concat();
        run(&Parts::several(2).with(20, bytes(&sequence(commands))), Section::Install).unwrap()
    };
    // The whole body for one, then for the other; behind it the index is true again.
    let expected = ["fetch 0 x", "invoke 0", "fetch 1 x", "invoke 1", "invoke 0", "invoke 1"];
    assert_eq!(nested(run_sequence), expected);
    assert_eq!(nested(|body| try_each([sequence([simple(ABORT)]), body])), expected);
    // A set-component-index inside ends with the sequence.
    let inside = run_sequence(sequence([component_index(1)]));
    let commands = [vec![component_index(0), inside], fetch("x")].concat();
    let parts = Parts::several(2).with(20, bytes(&sequence(commands)));
    assert_eq!(run(&parts, Section::Install), Ok(vec!["fetch 0 x".into()]));
}

#[test]
fn a_component_index_is_in_range_and_not_repeated() {
    let with = |index: Value| {
        let parts = Parts::several(2).with(20, bytes(&sequence([component_index(index)])));
        run(&parts, Section::Install).map_err(|error| error.kind)
    };
    assert_eq!(with(1.into()), Ok(vec![]));
    assert_eq!(with(2.into()), Err(ErrorKind::ComponentIndex));
    assert_eq!(with(u64::MAX.into()), Err(ErrorKind::ComponentIndex));
    assert_eq!(with(Value::Array(vec![0.into(), 2.into()])), Err(ErrorKind::ComponentIndex));
    assert_eq!(with(Value::Array(vec![1.into(), 1.into()])), Err(ErrorKind::ComponentIndex));
    let shape =
        |index: Value| Parts::several(2).with(20, bytes(&sequence([component_index(index)]))).refusal();
    assert_eq!(shape(Value::Bool(false)), ErrorKind::Malformed(Trust::OutOfRange));
    assert_eq!(shape(Value::Array(vec![])), ErrorKind::Malformed(Trust::OutOfRange));
    assert!(matches!(shape(Value::Array(vec![0.into(); 5])), ErrorKind::Malformed(Trust::TooMany)));
    assert!(matches!(shape((-1).into()), ErrorKind::Malformed(_)));
    assert!(matches!(shape(Value::Null), ErrorKind::Malformed(_)));
}

// --- 6.7: strict order

#[test]
fn a_sequence_that_may_run_out_of_order_keeps_its_component() {
    let relaxed = parameters([(12, Value::Bool(false))]);
    let with = |index: Value, before: Option<(i64, Value)>, body: Vec<(i64, Value)>| {
        let commands =
            [vec![component_index(index)], before.into_iter().collect(), vec![run_sequence(sequence(body))]]
                .concat();
        let parts = Parts::several(2).with(20, bytes(&sequence(commands)));
        run(&parts, Section::Install).map_err(|error| error.kind)
    };
    let set = component_index(1);
    let body = || [vec![set.clone()], fetch("x")].concat();
    let fetched = Ok(vec!["fetch 1 x".to_owned()]);
    // An integer index: the body sets its own, first and once, also in what it calls.
    assert_eq!(with(0.into(), Some(relaxed.clone()), body()), fetched);
    assert_eq!(with(0.into(), Some(relaxed.clone()), fetch("x")), Err(ErrorKind::StrictOrder));
    assert_eq!(with(0.into(), Some(relaxed.clone()), [body(), body()].concat()), Err(ErrorKind::StrictOrder));
    let deeper = vec![set.clone(), run_sequence(sequence([set.clone()]))];
    assert_eq!(with(0.into(), Some(relaxed.clone()), deeper), Err(ErrorKind::StrictOrder));
    // A list or true: the index is preset.
    let both = Ok(vec!["fetch 0 x".to_owned(), "fetch 1 x".into()]);
    assert_eq!(with(true.into(), Some(relaxed.clone()), fetch("x")), both);
    assert_eq!(with(true.into(), Some(relaxed.clone()), body()), Err(ErrorKind::StrictOrder));
    // In strict order anything goes, and strict order is the default inside.
    assert_eq!(with(0.into(), None, [body(), body()].concat()), Ok(vec!["fetch 1 x".into(); 2]));
    let inner = vec![set.clone(), run_sequence(sequence(fetch("x")))];
    assert_eq!(with(0.into(), Some(relaxed.clone()), inner), fetched);
    // It ends with its sequence: the next one of a try-each starts as the first did.
    let first = sequence([relaxed.clone(), simple(ABORT)]);
    let second = sequence([run_sequence(sequence(fetch("x")))]);
    let commands = [component_index(0), try_each([first, second])];
    let parts = Parts::several(2).with(20, bytes(&sequence(commands)));
    assert_eq!(run(&parts, Section::Install), Ok(vec!["fetch 0 x".into()]));
    let again = parameters([(12, Value::Bool(true))]);
    let commands = [vec![component_index(0), relaxed, again, run_sequence(sequence(fetch("x")))]].concat();
    let parts = Parts::several(2).with(20, bytes(&sequence(commands)));
    assert_eq!(run(&parts, Section::Install), Ok(vec!["fetch 0 x".into()]));
}

// --- Suspension

#[test]
fn it_stops_at_a_fetch_and_goes_on_behind_it() {
    let envelope = release();
    let authenticated = authenticate(&envelope).unwrap();
    let mut device = Device { images: vec![], ..Device::default() };
    let mut processor = Processor::new(&authenticated, Section::Install).unwrap();
    let Ok(Step::Fetch(fetch)) = processor.run(&mut device) else { panic!() };
    assert_eq!((fetch.component, fetch.image_size), (0, Some(IMAGE_SIZE)));
    assert_eq!(fetch.digest.unwrap().sha256(), &IMAGE);
    assert!(!device.asked.contains(&"image 0".into()), "not before it was fetched");
    device.images.push((IMAGE, IMAGE_SIZE));
    assert!(!processor.image_matched(0));
    assert_eq!(processor.run(&mut device), Ok(Step::Done));
    assert!(processor.image_matched(0));
    assert!(!processor.image_matched(1) && !processor.image_matched(u32::MAX));
    assert_eq!(processor.run(&mut device), Ok(Step::Done), "and stays so");
}

#[test]
fn an_error_is_for_good() {
    let envelope = release();
    let authenticated = authenticate(&envelope).unwrap();
    let mut device = Device { vendor: FOREIGN, ..Device::default() };
    let mut processor = Processor::new(&authenticated, Section::Invoke).unwrap();
    let error = processor.run(&mut device).unwrap_err();
    device.vendor = VENDOR;
    assert_eq!(processor.run(&mut device), Err(error));
}

#[test]
fn an_image_match_does_not_outlive_what_it_was_about() {
    let held_behind = |commands: Vec<(i64, Value)>| {
        let envelope = Parts::install([vec![simple(3)], commands].concat()).signed();
        let authenticated = authenticate(&envelope).unwrap();
        let mut processor = Processor::new(&authenticated, Section::Install).unwrap();
        while processor.run(&mut Device::default()).unwrap() != Step::Done {}
        processor.image_matched(0)
    };
    assert!(held_behind(vec![]));
    assert!(held_behind(vec![parameters([uri("x")])]));
    assert!(!held_behind(fetch("x")));
    assert!(!held_behind(vec![parameters([(3, image_digest(&[0; 32]))])]));
    assert!(!held_behind(vec![parameters([(14, 1.into())])]));
    let failing = sequence([parameters([(14, 1.into())]), simple(3)]);
    assert!(!held_behind(vec![try_each_or_nil([failing.clone(), failing])]));
}

// --- Limits and shapes

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| {
        let innermost = sequence(fetch("x"));
        (1..depth).fold(innermost, |body, _| sequence([run_sequence(body)]))
    };
    let parts = |depth| Parts::default().with(20, Value::Bytes(nested(depth)));
    assert_eq!(run(&parts(MAX_NESTING), Section::Install), Ok(vec!["fetch 0 x".into()]));
    assert_eq!(parts(MAX_NESTING + 1).refusal(), ErrorKind::NestingTooDeep);
    // Far beyond: refused as early, and not by an exhausted stack.
    assert_eq!(parts(2000).refusal(), ErrorKind::NestingTooDeep);
}

#[test]
fn steps_are_limited() {
    let body = sequence(vec![simple(3); 60]);
    let loops = |count: usize| {
        let commands = vec![run_sequence(body.clone()); count];
        run_install(commands)
    };
    // 3 of the shared sequence, and 61 for each run-sequence
    let fits = (MAX_STEPS as usize - 3) / 61;
    assert_eq!(loops(fits), Ok(vec![]));
    assert_eq!(loops(fits + 1), Err(ErrorKind::StepLimit));
}

#[test]
fn sequences_are_pairs_and_bounded() {
    let shape = |body: &Value| Parts::default().with(20, Value::Bytes(encode(body))).refusal();
    let malformed = |kind| ErrorKind::Malformed(kind);
    assert_eq!(shape(&Value::Array(vec![])), malformed(Trust::OutOfRange));
    assert_eq!(shape(&Value::Array(vec![3.into()])), malformed(Trust::UnexpectedType));
    assert_eq!(shape(&Value::Array(vec![3.into(), 0.into(), 3.into()])), malformed(Trust::UnexpectedType));
    assert_eq!(shape(&map([(3, 0.into())])), malformed(Trust::UnexpectedType));
    let long = vec![0.into(); MAX_COMMANDS as usize * 2 + 2];
    assert_eq!(shape(&Value::Array(long)), malformed(Trust::TooMany));
    let trailing = [sequence([simple(3)]), vec![0]].concat();
    assert_eq!(Parts::default().with(20, Value::Bytes(trailing)).refusal(), malformed(Trust::TrailingBytes));
}

#[test]
fn arguments_have_their_types() {
    let refused = |commands: Vec<(i64, Value)>| {
        assert!(
            matches!(Parts::install(commands.clone()).refusal(), ErrorKind::Malformed(_)),
            "{commands:?}"
        );
    };
    for code in [1, 2, 3, 5, 14, 24, 6, 21, 23] {
        for argument in [16.into(), Value::Null, (-1).into(), bytes(b""), Value::Bool(true)] {
            refused(vec![(code, argument)]);
        }
    }
    for argument in [Value::Null, 0.into(), bytes(b""), bytes(b"\x80"), bytes(b"\x82\x03")] {
        refused(vec![(32, argument.clone())]);
        refused(vec![(15, argument.clone())]);
        refused(vec![(15, Value::Array(vec![argument.clone(), argument]))]);
    }
    for argument in [Value::Null, 0.into(), map([]), Value::Array(vec![])] {
        refused(vec![(20, argument)]);
    }
    for (key, value) in [
        (1, bytes(&[0; 15])),
        (1, Value::Text("x".into())),
        (2, bytes(&[0; 17])),
        (24, bytes(&[])),
        (3, bytes(&[0; 32])),
        (3, bytes(&[encode(&digest_value(-16, &[0; 32])), vec![0]].concat())),
        (5, (-1).into()),
        (12, 0.into()),
        (13, Value::Null),
        (14, (-1).into()),
        (21, bytes(b"uri")),
        (21, Value::Text("u".repeat(MAX_URI_LEN + 1))),
    ] {
        refused(vec![parameters([(key, value)])]);
    }
    let unsorted = Value::Map(vec![(14.into(), 0.into()), (5.into(), 0.into())]);
    refused(vec![(20, unsorted)]);
    let twice = Value::Map(vec![(14.into(), 0.into()), (14.into(), 1.into())]);
    refused(vec![(20, twice)]);
    refused(vec![(3, 0.into()), (99, Value::Float(1.0))]);
    assert!(matches!(
        Parts::default()
            .with(20, bytes(&encode(&Value::Array(vec![Value::Text("x".into()), 0.into()]))))
            .refusal(),
        ErrorKind::Malformed(_)
    ));
}

/// The device has 24 KiB of RAM for everything. Pointers are twice as long here as there.
#[test]
fn a_processor_is_small() {
    assert!(size_of::<Processor<'_>>() <= 2048, "{}", size_of::<Processor<'_>>());
}
