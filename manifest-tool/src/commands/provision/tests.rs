use super::node_address;

#[test]
fn node_addresses() {
    assert_eq!(node_address("16"), Ok(16));
    assert_eq!(node_address("0xef"), Ok(239));
    for bad in ["0", "240", "0xF1", "256", "-1", "", "0x", "ten"] {
        assert!(node_address(bad).is_err(), "{bad}");
    }
}
