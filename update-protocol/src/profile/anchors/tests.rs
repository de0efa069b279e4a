use super::*;

const ANCHOR: AnchorEntry = AnchorEntry { kid: [0x11; 8], rights: 15, domain: [0x22; 8] };
const DOMAIN: DomainEntry = DomainEntry {
    domain: [0x22; 8],
    list_sequence: 0x0102,
    recovery_epoch: 0x0304,
    succession_sequence: 0x0506,
};

/// docs/can-protocol.md, version 1. Never edited: a new version gets a vector of its own.
const FROZEN_1: [u8; 35] = [
    1, 1, // version, one anchor
    0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 15, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22,
    0x22, //
    0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0, 0, 0, 0, 0, 0, 1, 2,
];

/// Version 2.
const FROZEN_2: [u8; 39] = [
    2, 1, // version, one anchor
    0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 15, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22,
    0x22, //
    0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6,
];

#[test]
fn frozen_anchor_report() {
    let bytes = head(1).into_iter().chain(ANCHOR.encode()).chain(DOMAIN.encode());
    assert!(bytes.eq(FROZEN_2));
    let report = AnchorReport::decode(&FROZEN_2).unwrap();
    assert!(report.anchors().eq([ANCHOR]));
    assert!(report.domains().eq([DOMAIN]));
    let report = AnchorReport::decode(&FROZEN_1).unwrap();
    assert!(report.anchors().eq([ANCHOR]));
    assert!(report.domains().eq([DomainEntry { recovery_epoch: 0, succession_sequence: 0, ..DOMAIN }]));
}

#[test]
fn the_root_of_a_domain_governs_it_and_names_its_successor() {
    for (rights, is_root) in
        [(15, true), (7, true), (6, true), (4, false), (2, false), (1, false), (8, false)]
    {
        let mut bytes = [0; HEAD_LEN + ANCHOR_LEN];
        bytes[..HEAD_LEN].copy_from_slice(&head(1));
        bytes[HEAD_LEN..].copy_from_slice(&AnchorEntry { rights, ..ANCHOR }.encode());
        let report = AnchorReport::decode(&bytes).unwrap();
        assert_eq!(report.root_of(ANCHOR.domain).is_some(), is_root, "{rights}");
        assert_eq!(report.root_of([0x33; 8]), None);
    }
}

#[test]
fn a_report_that_is_not_whole_is_refused() {
    for frozen in [&FROZEN_1[..], &FROZEN_2] {
        for len in 0..frozen.len() {
            let whole = len == HEAD_LEN + ANCHOR_LEN;
            assert_eq!(AnchorReport::decode(&frozen[..len]).is_ok(), whole, "{len}");
        }
    }
    assert_eq!(AnchorReport::decode(&[3, 0]), Err(AnchorReportError::Version(3)));
    assert_eq!(AnchorReport::decode(&[0, 0]), Err(AnchorReportError::Version(0)));
    assert_eq!(AnchorReport::decode(&[2, 255, 0]), Err(AnchorReportError::Length));
    assert!(AnchorReport::decode(&[2, 0]).unwrap().anchors().next().is_none());
}
