use super::*;

const ANCHOR: AnchorEntry = AnchorEntry { kid: [0x11; 8], rights: 15, domain: [0x22; 8] };
const DOMAIN: DomainEntry = DomainEntry { domain: [0x22; 8], list_sequence: 0x0102 };

/// docs/can-protocol.md, version 1. Never edited: a new version gets a vector of its own.
const FROZEN: [u8; 35] = [
    1, 1, // version, one anchor
    0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 15, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22,
    0x22, //
    0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0, 0, 0, 0, 0, 0, 1, 2,
];

#[test]
fn frozen_anchor_report() {
    let bytes = head(1).into_iter().chain(ANCHOR.encode()).chain(DOMAIN.encode());
    assert!(bytes.eq(FROZEN));
    let report = AnchorReport::decode(&FROZEN).unwrap();
    assert!(report.anchors().eq([ANCHOR]));
    assert!(report.domains().eq([DOMAIN]));
}

#[test]
fn a_report_that_is_not_whole_is_refused() {
    for len in 0..FROZEN.len() {
        let whole = len == HEAD_LEN + ANCHOR_LEN;
        assert_eq!(AnchorReport::decode(&FROZEN[..len]).is_ok(), whole, "{len}");
    }
    assert_eq!(AnchorReport::decode(&[2, 0]), Err(AnchorReportError::Version(2)));
    assert_eq!(AnchorReport::decode(&[1, 255, 0]), Err(AnchorReportError::Length));
    assert!(AnchorReport::decode(&[1, 0]).unwrap().anchors().next().is_none());
}
