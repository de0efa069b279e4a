//! Devices with several anchors, and hosts that believe more than a device does.

use device_harness::factory::{Factory, provisioning_block};

use crate::bench::{Bench, Life};

const BOTH: &[&str] = &["--anchor", "other.cose", "--revocations", "list.cwt", "--revocations", "other.cwt"];

/// A bench whose device runs release 1, with a second manufacturer whose list 3 takes back its own release key; the
/// first one's list 5 is on the device.
fn with_two_roots(other_is_an_anchor: bool) -> (Bench, Factory, crate::bench::Sim) {
    let (bench, other) = (Bench::new(), Factory::new(2));
    let anchors = [bench.factory.anchor(), other.anchor()];
    let known = if other_is_an_anchor { &anchors[..] } else { &anchors[..1] };
    bench.write("device.cbor", &provisioning_block(known, None));
    bench.write("other.cose", &other.anchor().key().to_cose_key());
    bench.write("list.cwt", &bench.factory.revocation_list(5, &[]));
    bench.write("other.cwt", &other.revocation_list(3, &[other.release_kid()]));
    bench.release(1, Life::Confirms);
    bench.release(2, Life::Confirms);
    let sim = bench.sim("flash", &bench.bus);
    bench.run(&["provision", "device.cbor"]).is_result("provisioned", 0);
    bench.update(1, &[]).is_result("confirmed", 0);
    bench.run(&["revocations", "list.cwt"]).is_result("stored", 0);
    (bench, other, sim)
}

#[test]
fn a_device_with_two_anchors_gets_the_list_of_each() {
    let (bench, other, _sim) = with_two_roots(true);
    bench.update(2, BOTH).is_result("confirmed", 0);
    bench.release_by(&other, 3, Life::Confirms, |_| ());
    bench.update(3, &["--dangerous-skip-host-checks"]).is_error("key-revoked", 7);
    assert_eq!(bench.info()["version"], "2.0.0");
}

#[test]
fn a_device_with_one_anchor_is_not_stopped_by_the_list_of_another() {
    let (bench, _other, _sim) = with_two_roots(false);
    bench.update(2, BOTH).is_result("confirmed", 0);
}

/// The number that is printed is that of the list's own domain.
#[test]
fn the_number_of_a_stored_list_is_that_of_its_domain() {
    let (bench, _other, _sim) = with_two_roots(true);
    let ended = bench.run(&["revocations", "other.cwt"]);
    ended.is_result("stored", 0);
    assert_eq!(ended.last["list_sequence"], 3);
    // The first one's is 5, and stays.
    assert_eq!(bench.info()["revocation_sequence"], 5);
}
