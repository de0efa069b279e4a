//! Cases that a loader before this one failed.

use prove::case::Case;
use prove::geometries;

/// Cases, and the fault of the loader that each found.
const FOUND: [(&str, &[&str]); 4] = [
    (
        "a word of slot A that has nothing to hold, and does not read, stopped every swap",
        &[
            "w2-p1024/update/read-lasts/166/1",
            "w16-p512-fault/update/read-lasts/888/1",
            "w16-p512-fault/revert/read-lasts/332/1",
            "w8-p4096/abandon/read-lasts/1480/1",
        ],
    ),
    (
        "a word in one half of the stored objects that takes nothing stopped every list",
        &["w2-p1024/provision/read-lasts/200/1"],
    ),
    (
        "reads of the way back that failed for a moment were a verdict on it",
        &[
            "w4-f407/revert/read/4412/1",
            "w8-p2048/revert/read/3429/1",
            "w32-p8192/revert/read/8269/1",
            "w16-p512-fault/revert/read/5978/1",
        ],
    ),
    (
        "a device of the factory went on with the second part of its journal",
        &["w8-p512-two-parts/provision/error-lasts/0/1"],
    ),
];

#[test]
fn what_was_found_once_stays_mended() {
    for (fault, cases) in FOUND {
        for name in cases {
            let case: Case = name.parse().unwrap();
            let (geometry, make) =
                geometries::ALL.into_iter().find(|(known, _)| *known == case.geometry).unwrap();
            let verdict = make(geometry).judge(&case, false);
            assert!(verdict.violation.is_none(), "{fault}: {name}: {:?}", verdict.violation);
            assert!(!verdict.is_excused, "{fault}: {name}: excused");
        }
    }
}
