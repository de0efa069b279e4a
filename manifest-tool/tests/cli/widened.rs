//! A credential that permits more than the one before of its key says so.

use serde_json::Value;

use super::succession::Desk;
use super::workshop::split;

#[test]
fn a_credential_that_permits_more_says_so() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release --ceiling 1000");
    let again = "credential issue --key root.pem --ledger root.ledger --for ci.cose --role release --subject ci --vendor \
                 anchorage.example --force --out ci.cwt";
    let same = desk.ok(&format!("{again} --class demo-node --ceiling 1000"));
    assert_eq!(same["widened"], Value::Null);
    let more = desk.ok(&format!("{again} --class demo-node --class other --ceiling 2000"));
    let more: Vec<&str> =
        more["widened"].as_array().unwrap().iter().map(|what| what.as_str().unwrap()).collect();
    assert!(more[0].starts_with("class ") && more[1] == "sequence numbers up to 2000, not 1000", "{more:?}");
    let run = desk.workshop.run(&split(&format!("{again} --ceiling 2000")));
    assert!(
        run.exit == 0 && run.stderr.contains("permits more") && run.stderr.contains("every class"),
        "{run:?}"
    );
}

/// Each way in which a credential permits more is named: vendor, serials.
#[test]
fn a_credential_for_more_devices_says_so() {
    let desk = Desk::new();
    let widened = |more: &str| {
        let issued = desk.ok(&format!(
            "credential issue --key root.pem --ledger root.ledger --for service.cose --role service --subject service \
             --force --out service.cwt {more}"
        ));
        issued["widened"].as_array().cloned().unwrap_or_default()
    };
    let vendor = "--vendor anchorage.example";
    assert!(widened(&format!("{vendor} --serial A-1")).is_empty());
    assert!(widened(&format!("{vendor} --serial A-1")).is_empty());
    assert_eq!(widened(&format!("{vendor} --serial A-1 --serial B-2")), ["serial B-2"]);
    assert_eq!(widened(vendor), ["every serial"]);
    let other = widened("--vendor other.example");
    assert!(other.len() == 1 && other[0].as_str().unwrap().starts_with("vendor "), "{other:?}");
}

/// It is held against the newest one before of the same key, and against no other one. What was for everything before is not
/// widened by a name.
#[test]
fn a_credential_that_permits_no_more_says_nothing() {
    let desk = Desk::new();
    let widened = |subject: &str, hour: u8, more: &str| {
        let issued = desk.ok(&format!(
            "credential issue --key root.pem --ledger root.ledger --for {subject}.cose --role service --subject {subject} \
             --vendor anchorage.example --force --out {subject}.cwt --now 2098-01-01T{hour:02}:00:00Z {more}"
        ));
        issued["widened"].as_array().cloned().unwrap_or_default()
    };
    assert!(widened("service", 1, "--serial A-1 --class one").is_empty());
    let more = widened("service", 2, "--serial A-1 --serial B-2 --class one --class two");
    assert!(more.len() == 2 && more[1] == "serial B-2", "{more:?}");
    assert!(widened("service", 3, "--serial B-2 --class two").is_empty());
    // Of another key.
    assert!(widened("second", 4, "").is_empty());
    assert_eq!(widened("service", 5, ""), ["every class", "every serial"]);
    assert!(widened("service", 6, "").is_empty());
    assert!(widened("service", 7, "--serial C-3 --class three").is_empty());
}
