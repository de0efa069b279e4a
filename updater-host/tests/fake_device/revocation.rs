//! Which revocation lists a device is given.

use update_protocol::profile::Object;
use update_protocol::profile::anchors::{self, AnchorEntry, DomainEntry};
use update_protocol::uds::Nrc;

use super::{Asked, Bench, FakeDevice};

const LIST: &[&str] = &["--revocations", "list.cwt"];

/// `FD02` of a device whose anchors are the roots of these domains, with these list-sequences.
fn report(domains: &[([u8; 8], u64)]) -> Vec<u8> {
    let mut report = anchors::head(u8::try_from(domains.len()).unwrap()).to_vec();
    for (kid, _) in domains {
        report.extend(AnchorEntry { kid: *kid, rights: 15, domain: *kid }.encode());
    }
    for (domain, list_sequence) in domains {
        report.extend(DomainEntry { domain: *domain, list_sequence: *list_sequence }.encode());
    }
    report
}

fn was_given_the_list(device: &FakeDevice) -> bool {
    device.asked().iter().any(|asked| matches!(asked, Asked::Object(Object::RevocationList, _)))
}

#[test]
fn only_the_lists_of_its_own_anchors() {
    let own = Bench::new().made.root;
    // The list has number 3; the device says 2.
    let other = [0xAA; 8];
    for (domains, given) in
        [(vec![(own, 2)], true), (vec![(other, 2)], false), (vec![(other, 2), (own, 2)], true)]
    {
        let bench = Bench::new();
        let device = bench.device(|script| script.anchors = Some(report(&domains)));
        bench.update(LIST).is_result("confirmed", 0);
        assert_eq!(was_given_the_list(&device), given, "{domains:?}");
    }
}

#[test]
fn a_list_is_compared_with_the_number_of_its_own_domain() {
    let (own, other) = (Bench::new().made.root, [0xAA; 8]);
    // The list has number 3.
    for (report, given) in [
        (Some(report(&[(own, 3)])), false),
        (Some(report(&[(own, 4)])), false),
        (Some(report(&[(other, 9), (own, 2)])), true),
        (Some(report(&[(other, 1), (own, 3)])), false),
        (None, true),
    ] {
        let bench = Bench::new();
        let device = bench.device(|script| script.anchors.clone_from(&report));
        bench.update(LIST).is_result("confirmed", 0);
        assert_eq!(was_given_the_list(&device), given, "{report:?}");
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
        script.anchors = Some(report(&[(bench.made.root, 0)]));
    });
    bench.update(LIST).is_error("anchor-unknown", 7);
}
