use suit_manifest::report::{Outcome, Report, ReportNonce};
use trust::cbor::Writer;
use trust::{ATTACHED_MAC0_ROOM, write_attached_mac0};

use super::*;

const NONCE: &str = "4242424242424242";

fn container() -> Vec<u8> {
    let nonce = ReportNonce::of(&[0x42; 8]).unwrap();
    let report = Report { manifest_digest: &[5; 32], nonce, outcome: Outcome::Success };
    let mut buffer = [0; suit_manifest::report::MAX_REPORT_LEN];
    let payload = report.encode(&mut buffer).unwrap();
    let mut buffer = vec![0; payload.len() + ATTACHED_MAC0_ROOM];
    let mut writer = Writer::new(&mut buffer);
    write_attached_mac0(&mut writer, payload, &Kid(*b"device 1"), &[0x77; 32]);
    writer.finish().unwrap().to_vec()
}

/// docs/attacks.md, SRV63. Whatever bit is turned, what is kept answers the question, and is kept as it came.
#[test]
fn srv63_every_bit_of_a_report_is_read_or_refused() {
    let nonce: Nonce = NONCE.parse().unwrap();
    let whole = container();
    assert_eq!(ReceivedReport::read(whole.clone(), &nonce).unwrap().device_key(), Some(Kid(*b"device 1")));
    let mut kept = 0;
    for bit in 0..8 * whole.len() {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(report) = ReceivedReport::read(changed.clone(), &nonce) else { continue };
        kept += 1;
        assert_eq!((report.bytes(), report.digest()), (&changed[..], Digest::of(&changed)));
        let (_, tree) = show_report(report.bytes()).unwrap();
        assert_eq!(tree.nonce, Some(&[0x42; 8][..]), "bit {bit}");
        let _words = ReportWords::of(&tree);
    }
    // Those of kid, digest and tag, which only the MAC protects.
    assert!(kept >= 8 * (8 + 31 + 32), "{kept}");
}

#[test]
fn a_nonce_has_one_spelling_and_the_length_of_one() {
    assert!(NONCE.parse::<Nonce>().is_ok() && "ab".repeat(64).parse::<Nonce>().is_ok());
    for wrong in ["", "42424242424242", "424242424242424", &NONCE.replace('4', "A"), &"ab".repeat(65)] {
        assert!(wrong.parse::<Nonce>().is_err(), "{wrong}");
    }
}
