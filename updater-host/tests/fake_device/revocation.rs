//! Which revocation lists a device is given.

use super::{Asked, Bench, FakeDevice};
use update_protocol::profile::Object;
use update_protocol::profile::anchors::{self, AnchorEntry, DomainEntry};
use update_protocol::uds::Nrc;

const LIST: &[&str] = &["--revocations", "list.cwt"];

/// `FD02` of a device whose anchors are the roots of these domains, with this list-sequence.
fn report(kids: &[[u8; 8]], list_sequence: u64) -> Vec<u8> {
    let mut report = anchors::head(u8::try_from(kids.len()).unwrap()).to_vec();
    report.extend(kids.iter().flat_map(|kid| AnchorEntry { kid: *kid, rights: 15, domain: *kid }.encode()));
    report.extend(kids.iter().flat_map(|kid| DomainEntry { domain: *kid, list_sequence }.encode()));
    report
}

fn was_given_the_list(device: &FakeDevice) -> bool {
    device.asked().iter().any(|asked| matches!(asked, Asked::Object(Object::RevocationList, _)))
}

#[test]
fn only_the_lists_of_its_own_anchors() {
    let own = Bench::new().made.root;
    // The list has number 3; the device says 2.
    for (kids, given) in [(vec![own], true), (vec![[0xAA; 8]], false), (vec![[0xAA; 8], own], true)] {
        let bench = Bench::new();
        let device = bench.device(|script| script.anchors = Some(report(&kids, 2)));
        bench.update(LIST).is_result("confirmed", 0);
        assert_eq!(was_given_the_list(&device), given, "{kids:?}");
    }
}

#[test]
fn the_one_number_of_the_record_is_compared_only_with_one_anchor() {
    let own = Bench::new().made.root;
    for (kids, given) in [(Some(vec![own]), false), (Some(vec![[0xAA; 8], own]), true), (None, true)] {
        let bench = Bench::new();
        let device = bench.device(|script| {
            script.anchors = kids.as_ref().map(|kids| report(kids, 3));
            script.revocation_sequence = 3;
        });
        bench.update(LIST).is_result("confirmed", 0);
        assert_eq!(was_given_the_list(&device), given, "{kids:?}");
    }
}

#[test]
fn a_list_of_an_anchor_that_the_device_does_not_know() {
    let refusal = (Object::RevocationList, Nrc::SECURITY_ACCESS_DENIED, 0x0106);
    let bench = Bench::new();
    let _device = bench.device(|script| script.refuses = Some(refusal));
    bench.update(LIST).is_result("confirmed", 0);
    // One that named the anchor contradicts itself.
    let bench = Bench::new();
    let _device = bench.device(|script| {
        script.refuses = Some(refusal);
        script.anchors = Some(report(&[bench.made.root], 0));
    });
    bench.update(LIST).is_error("anchor-unknown", 7);
}
