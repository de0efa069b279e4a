//! SUIT reports: what a device writes is what a host reads, and nothing else passes for it.

use ciborium::Value;
use coset::{CoseMac0, TaggedCborSerializable as _};
use proptest::prelude::*;
use trust::cbor::{Span, Writer};
use trust::{ATTACHED_MAC0_ROOM, ErrorKind as Trust, Kid, verify_mac0, write_attached_mac0};

use crate::author::Outline;
use crate::report::*;
use crate::vocabulary::{CapabilityElement, ReportReason};
use crate::{Error, ErrorKind, Reason};

const KID: Kid = Kid(*b"device 1");
const KEY: [u8; 32] = [0x77; 32];
const DIGEST: [u8; 32] = [0xD1; 32];
const NONCE: &[u8] = b"a nonce!";
const ID: [u8; 16] = [0xA1; 16];

/// What a device answers, version 1: the release is for another vendor, in the shared sequence. Never edited, only added to.
const FROZEN_1: &str = "\
    d1844da2010504486465766963652031a05857a4024861206e6f6e636521038004a30519022006858003184a00a10150a1a1\
    a1a1a1a1a1a1a1a1a1a1a1a1a1a1070a18638260822f5820d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1\
    d1d1d1d1d1d15820035bdc5ef9802745124edcf5b9a769e1679a684991da05490fe9e72c8e7d5b56";

fn encoded(report: &Report<'_>) -> Vec<u8> {
    report.encode(&mut [0; MAX_REPORT_LEN]).unwrap().to_vec()
}

fn contained(report: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; report.len() + ATTACHED_MAC0_ROOM];
    let mut writer = Writer::new(&mut buffer);
    write_attached_mac0(&mut writer, report, &KID, &KEY);
    writer.finish().unwrap().to_vec()
}

fn report(outcome: Outcome<'_>) -> Report<'_> {
    Report { manifest_digest: &DIGEST, nonce: ReportNonce::of(NONCE).unwrap(), outcome }
}

fn refused() -> Report<'static> {
    let place = Place { section: SHARED_SECTION, offset: 74, component: 0 };
    let reason = Reason::VendorMismatch;
    report(Outcome::Refused { reason, place, measured: Measured::of(reason, &ID, &[0; 16], &[1; 16]) })
}

fn read(report: &[u8]) -> Result<ReportTree<'_>, Error> {
    ReportTree::read(Span { bytes: report, base: 0 })
}

fn value(outline: &Outline, path: &[&str]) -> String {
    let Some((name, path)) = path.split_first() else { return outline.value.clone() };
    value(outline.parts.iter().find(|part| part.name == *name).unwrap(), path)
}

#[test]
fn a_report_of_a_device_is_frozen() {
    let made = contained(&encoded(&refused()));
    assert_eq!(hex::encode(&made), FROZEN_1);
    let tree = open_report(&made, &KID, &KEY, Some(NONCE)).unwrap();
    assert_eq!((tree.uri, tree.digest.bytes(), tree.nonce), ("", &DIGEST[..], Some(NONCE)));
    assert_eq!(
        (tree.reason(), tree.report_reason()),
        (Some(Reason::VendorMismatch), Some(ReportReason::ConditionFailed))
    );
    assert!(tree.records.is_empty() && tree.extensions.is_empty() && tree.capabilities.is_none());
    let ReportResult::Other { code: 0x0220, record, reason: 10 } = &tree.result else {
        panic!("{:?}", tree.result)
    };
    assert_eq!((record.section, record.offset, record.component), (3, 74, 0));
    assert!(record.manifest_id.is_empty() && record.extensions.is_empty());
    assert_eq!(
        tree.summary(),
        "vendor-mismatch: The update is for another vendor. \
         (condition-failed (10); in the shared sequence (3) at byte 74, component 0)"
    );
    let outline = tree.outline();
    let id = value(&outline, &["result (4)", "result-record (6)", "properties", "vendor-id (1)"]);
    assert_eq!(id, "a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1");
    assert_eq!(value(&outline, &["result (4)", "result-code (5)"]), "0x0220");
}

/// Sections 4 and 4.2, each outcome.
#[test]
fn each_outcome_is_said_in_words() {
    let outcomes = [
        (Outcome::Success, "success: the image runs and has confirmed itself", None),
        (
            Outcome::Underway(Progress::Receiving),
            "not over: The envelope was accepted; the image is still to come.",
            Some(ReportReason::Ok),
        ),
        (
            Outcome::Underway(Progress::Pending),
            "not over: The image is installed and waits for a reset.",
            Some(ReportReason::InvokePending),
        ),
        (
            Outcome::Underway(Progress::Trial),
            "not over: The image is on trial: it has not confirmed itself yet.",
            Some(ReportReason::InvokePending),
        ),
        (
            Outcome::Refused {
                reason: Reason::ManifestMalformed,
                place: Place::outside(7),
                measured: Measured::Nothing,
            },
            "manifest-malformed: The envelope or manifest is malformed. (cbor-parse (1); at byte 7 of what was refused)",
            Some(ReportReason::CborParse),
        ),
    ];
    for (outcome, words, reason) in outcomes {
        let made = encoded(&report(outcome));
        let tree = read(&made).unwrap();
        assert_eq!((&*tree.summary(), tree.report_reason()), (words, reason));
        let progress = match outcome {
            Outcome::Underway(progress) => Some(progress),
            _ => None,
        };
        assert_eq!(tree.progress(), progress);
        assert!(tree.outline().parts.len() >= 3);
    }
    // The longest one.
    let place = Place { section: i32::MIN, offset: u32::MAX, component: u32::MAX };
    let reason = Reason::DeviceMismatch;
    let outcome = Outcome::Refused { reason, place, measured: Measured::Device(&ID) };
    let nonce = ReportNonce::of(&[1; MAX_REPORT_NONCE_LEN]).unwrap();
    let longest = encoded(&Report { manifest_digest: &DIGEST, nonce, outcome });
    assert!((MAX_REPORT_LEN - 8..=MAX_REPORT_LEN).contains(&longest.len()), "{}", longest.len());
    for reason in Reason::ALL {
        let number = i64::from(reason.suit_report());
        assert!(ReportReason::from_number(number).is_some_and(|known| known.message().ends_with('.')));
    }
}

/// docs/attacks.md, SYM47: an old report is no answer to a new question.
#[test]
fn sym47_a_report_with_another_nonce_is_refused() {
    let made = contained(&encoded(&refused()));
    let open = |nonce| open_report(&made, &KID, &KEY, nonce).map(drop);
    assert_eq!(open(Some(NONCE)), Ok(()));
    assert_eq!(open(None), Ok(()), "whoever reads a file asks nothing");
    for other in [&b"another nonce"[..], b"a nonce?", b"a nonce!!", b"a nonce", b""] {
        assert_eq!(open(Some(other)), Err(ReportError::Nonce));
    }
    assert_eq!(ReportError::Nonce.reason(), Reason::ReportNonce);
    let without = Report { nonce: ReportNonce::of(b"").unwrap(), ..refused() };
    let without = contained(&encoded(&without));
    assert!(open_report(&without, &KID, &KEY, Some(b"")).unwrap().nonce.is_none());
    assert_eq!(open_report(&without, &KID, &KEY, Some(NONCE)).map(drop), Err(ReportError::Nonce));
    for len in 0..100 {
        let is_one = len == 0 || (MIN_REPORT_NONCE_LEN..=MAX_REPORT_NONCE_LEN).contains(&len);
        assert_eq!(ReportNonce::of(&[1; 100][..len]).is_some(), is_one, "{len}");
    }
}

/// docs/attacks.md, SYM48: what a device reports is no manifest, and what authenticates a manifest is no report.
#[test]
fn sym48_a_report_authenticates_no_manifest() {
    let made = contained(&encoded(&refused()));
    let reported = CoseMac0::from_tagged_slice(&made).unwrap();
    let payload = [&[0x82, 0x2f, 0x58, 0x20][..], &DIGEST].concat();
    // Under the tag of a report, detached as an envelope has it.
    let detached = CoseMac0 { payload: None, ..reported.clone() }.to_tagged_vec().unwrap();
    assert_eq!(verify_mac0(&detached, &payload, &KID.0, &KEY).unwrap_err().kind, Trust::MacInvalid);
    // A maker's MAC with its digest attached.
    let block = trust::author::mac0(&payload, &KID.0, &KEY).unwrap();
    let mut block = CoseMac0::from_tagged_slice(&block).unwrap();
    block.payload = Some(payload.clone());
    let block = block.to_tagged_vec().unwrap();
    let error = open_report(&block, &KID, &KEY, None).unwrap_err();
    assert_eq!(error.reason(), Reason::RecordMalformed);
    // What a device writes begins as a map, whatever was asked, and what a maker authenticates as an array.
    assert_eq!((reported.payload.unwrap()[0] >> 5, payload[0] >> 5), (5, 4));
}

/// docs/attacks.md, SYM46: under the MAC, every bit counts; without it, a report that is cut is none.
#[test]
fn sym46_every_bit_and_every_shorter_report_is_refused() {
    let inner = encoded(&refused());
    let made = contained(&inner);
    for bit in 0..made.len() * 8 {
        let mut changed = made.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(open_report(&changed, &KID, &KEY, None).is_err(), "bit {bit}");
    }
    for len in 0..made.len() {
        assert!(open_report(&made[..len], &KID, &KEY, None).is_err());
        assert!(show_report(&made[..len]).is_err());
    }
    for len in 0..inner.len() {
        assert_eq!(read(&inner[..len]).unwrap_err().reason(), Reason::RecordMalformed, "{len}");
        assert!(refused().encode(&mut vec![0; len]).is_err());
    }
    assert!(read(&[&inner[..], &[0]].concat()).is_err());
    assert_eq!(show_report(&made).unwrap().0, Some(KID));
    assert_eq!(open_report(&made, &KID, &[0; 32], None).unwrap_err().reason(), Reason::MacInvalid);
    assert_eq!(open_report(&made, &Kid([0; 8]), &KEY, None).unwrap_err().reason(), Reason::DeviceKeyUnknown);
}

fn int(number: i64) -> Value {
    Value::from(number)
}

fn map(entries: Vec<(i64, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (int(key), value)).collect())
}

fn numbers(numbers: &[i64]) -> Value {
    Value::Array(numbers.iter().map(|number| int(*number)).collect())
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn cbor(value: &Value) -> Vec<u8> {
    let mut encoded = Vec::new();
    ciborium::into_writer(value, &mut encoded).unwrap();
    encoded
}

fn record() -> Value {
    let digest = Value::Array(vec![int(-16), bytes(&[7; 32])]);
    let properties = map(vec![(3, Value::Bytes(cbor(&digest))), (14, int(70_000)), (-300, Value::Null)]);
    Value::Array(vec![numbers(&[1, 0]), int(20), int(300), int(2), properties, Value::Text("more".into())])
}

fn capability_report() -> Value {
    let component = |segments: &[&[u8]], is_prefix: bool| {
        let segments = segments.iter().map(|segment| bytes(segment));
        Value::Array(segments.chain(is_prefix.then_some(Value::Bool(true))).collect())
    };
    let Value::Map(mut entries) = map(vec![
        (
            1,
            Value::Array(vec![
                component(&[b"app"], false),
                component(&[b"files"], true),
                component(&[], true),
            ]),
        ),
        (2, numbers(&[1, 2, 3, 22])),
        (3, numbers(&[1, 2, 19])),
        (4, numbers(&[5, -3, -65534])),
        (5, numbers(&[2, 3])),
        (6, numbers(&[1, 2, 3])),
        (7, numbers(&[2, 4])),
        (8, numbers(&[1])),
        (9, numbers(&[6])),
        (10, numbers(&[1])),
        (300, Value::Text("later".into())),
    ]) else {
        unreachable!()
    };
    entries.push((numbers(&[3, 3, 1]), numbers(&[3])));
    Value::Map(entries)
}

/// A report with everything that the draft has.
fn whole() -> Vec<(i64, Value)> {
    let system = map(vec![(0, Value::Array(vec![bytes(b"app")])), (2, bytes(&ID)), (14, int(1))]);
    vec![
        (2, bytes(b"n")),
        (3, Value::Array(vec![record(), system])),
        (4, map(vec![(5, int(-4)), (6, record()), (7, int(77))])),
        (8, capability_report()),
        (
            99,
            Value::Array(vec![
                Value::Text("https://example.com/m".into()),
                Value::Array(vec![int(-43), bytes(&[9; 48])]),
            ]),
        ),
        (1000, Value::Bool(false)),
    ]
}

/// Sections 3 to 6: what another device may report.
#[test]
fn everything_that_the_draft_has_is_read() {
    let encoded = cbor(&map(whole()));
    let tree = read(&encoded).unwrap();
    assert_eq!(
        (tree.uri, tree.digest.bytes().len(), tree.nonce),
        ("https://example.com/m", 48, Some(&b"n"[..]))
    );
    let [RecordEntry::Record(record), RecordEntry::System(system)] = &tree.records[..] else {
        panic!("{:?}", tree.records)
    };
    assert_eq!(
        (&record.manifest_id[..], record.section, record.offset, record.component),
        (&[1, 0][..], 20, 300, 2)
    );
    assert_eq!((record.properties.len(), record.extensions.len()), (3, 1));
    assert_eq!(record.place(), "in install (20) of dependency [1, 0] at byte 300, component 2");
    assert_eq!((&system.component[..], system.properties.len()), (&[&b"app"[..]][..], 2));
    assert!(matches!(tree.result, ReportResult::Other { code: -4, reason: 77, .. }));
    assert_eq!((tree.reason(), tree.report_reason(), tree.progress()), (None, None, None));
    let capabilities = tree.capabilities.as_ref().unwrap();
    assert_eq!(capabilities.components.len(), 3);
    assert!(capabilities.components[1].is_prefix && !capabilities.components[0].is_prefix);
    assert_eq!(capabilities.lists.len(), CapabilityElement::ALL.len() - 1);
    assert_eq!(capabilities.paths, [(vec![3, 3, 1], vec![3])]);
    assert_eq!((capabilities.extensions.len(), tree.extensions.len()), (1, 1));
    assert_eq!(
        tree.summary(),
        "unknown (77), code -4; in install (20) of dependency [1, 0] at byte 300, component 2"
    );
    let outline = tree.outline();
    assert_eq!(
        value(&outline, &["capability-report (8)", "crypt-algo-capabilities (4)"]),
        "HMAC 256/256 (5), A128KW (-3), A128CTR (-65534)"
    );
    assert_eq!(value(&outline, &["unknown (1000)"]), "false");
}

/// What the CDDL does not allow, each with the kind of its fault.
#[test]
fn what_the_draft_does_not_allow_is_refused() {
    let with = |key: i64, value: Value| {
        let entries =
            whole().into_iter().map(|(known, old)| (known, if known == key { value.clone() } else { old }));
        cbor(&map(entries.collect()))
    };
    type Entries = Vec<(Value, Value)>;
    let capability = |change: &dyn Fn(&mut Entries)| {
        let Value::Map(mut entries) = capability_report() else { unreachable!() };
        change(&mut entries);
        with(8, Value::Map(entries))
    };
    let result = |entries| with(4, map(entries));
    use Trust::*;
    let cases = [
        ("a result of false", with(4, Value::Bool(false)), OutOfRange),
        ("no result code", result(vec![(6, record()), (7, int(1))]), MissingKey),
        ("no result record", result(vec![(5, int(1)), (7, int(1))]), MissingKey),
        ("no result reason", result(vec![(5, int(1)), (6, record())]), MissingKey),
        ("more in a result", result(vec![(5, int(1)), (6, record()), (7, int(1)), (8, int(1))]), UnknownKey),
        ("a short record", with(3, Value::Array(vec![numbers(&[1, 2, 3, 4])])), UnexpectedType),
        ("a record of numbers", with(3, Value::Array(vec![numbers(&[1, 2, 3, 4, 5])])), UnexpectedType),
        (
            "a system without properties",
            with(3, Value::Array(vec![map(vec![(0, Value::Array(vec![]))])])),
            MissingKey,
        ),
        (
            "a system without its component",
            with(3, Value::Array(vec![map(vec![(2, bytes(&ID)), (14, int(1))])])),
            MissingKey,
        ),
        (
            "a component capability of false",
            capability(&|entries| {
                entries[0].1 = Value::Array(vec![Value::Array(vec![Value::Bool(false)])]);
            }),
            OutOfRange,
        ),
        (
            "a wild card that is not the end",
            capability(&|entries| {
                entries[0].1 = Value::Array(vec![Value::Array(vec![Value::Bool(true), bytes(b"a")])]);
            }),
            OutOfRange,
        ),
        ("an empty list of commands", capability(&|entries| entries[1].1 = Value::Array(vec![])), OutOfRange),
        ("no list of algorithms", capability(&|entries| drop(entries.remove(3))), MissingKey),
        ("no components", capability(&|entries| drop(entries.remove(0))), MissingKey),
        (
            "a reference without a digest",
            with(99, Value::Array(vec![Value::Text(String::new())])),
            UnexpectedType,
        ),
        ("a nonce that is text", with(2, Value::Text("n".into())), UnexpectedType),
    ];
    for (what, report, kind) in cases {
        let error = read(&report).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Trust(kind), "{what}: {error:?}");
    }
    for missing in [3, 4, 99] {
        let entries = whole().into_iter().filter(|(key, _)| *key != missing).collect();
        assert_eq!(read(&cbor(&map(entries))).unwrap_err().kind, ErrorKind::Trust(MissingKey));
    }
    let mut turned = whole();
    turned.swap(0, 1);
    assert_eq!(read(&cbor(&map(turned))).unwrap_err().kind, ErrorKind::Trust(KeyOrder));
    let short = with(
        99,
        Value::Array(vec![Value::Text(String::new()), Value::Array(vec![int(-16), bytes(&[9; 31])])]),
    );
    assert_eq!(read(&short).unwrap_err().kind, ErrorKind::DigestLength);
}

prop_compose! {
    fn places()(section: i32, offset: u32, component: u32) -> Place {
        Place { section, offset, component }
    }
}

proptest! {
    /// What a device writes has room in its buffer, and a host reads each word of it.
    #[test]
    fn a_host_reads_what_a_device_writes(
        digest: [u8; 32], nonce in prop::collection::vec(any::<u8>(), 8..=64), id: [u8; 16],
        kind in 0_usize..7, reason in prop::sample::select(Reason::ALL), place in places(),
        progress in prop::sample::select(&Progress::ALL[..]),
    ) {
        let measured = [Measured::Nothing, Measured::Vendor(&id), Measured::Class(&id), Measured::Device(&id)];
        let outcome = match kind {
            0 => Outcome::Success,
            1 => Outcome::Underway(progress),
            _ => Outcome::Refused { reason, place, measured: measured[kind % 4] },
        };
        let report = Report { manifest_digest: &digest, nonce: ReportNonce::of(&nonce).unwrap(), outcome };
        let made = contained(&encoded(&report));
        let tree = open_report(&made, &KID, &KEY, Some(&nonce)).unwrap();
        prop_assert_eq!(tree.digest.bytes(), &digest[..]);
        match (&tree.result, outcome) {
            (ReportResult::Success, Outcome::Success) => {}
            (ReportResult::Other { .. }, Outcome::Underway(progress)) => {
                prop_assert_eq!(tree.progress(), Some(progress));
            }
            (ReportResult::Other { record, reason: number, .. }, Outcome::Refused { .. }) => {
                prop_assert_eq!(tree.reason(), Some(reason));
                prop_assert_eq!(*number, i64::from(reason.suit_report()));
                prop_assert_eq!(record.section, i64::from(place.section));
                prop_assert_eq!(record.offset, u64::from(place.offset));
                prop_assert_eq!(record.component, u64::from(place.component));
                prop_assert_eq!(record.properties.len(), usize::from(measured[kind % 4] != Measured::Nothing));
            }
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert!(!tree.summary().is_empty() && !tree.outline().parts.is_empty());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        if let Ok(tree) = read(&bytes) {
            prop_assert!(!tree.summary().is_empty() && !tree.outline().parts.is_empty());
        }
        let _ = show_report(&bytes);
    }
}
