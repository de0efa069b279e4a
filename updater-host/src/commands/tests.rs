use super::*;

fn block(entries: &str) -> Vec<u8> {
    hex::decode(entries).unwrap()
}

#[test]
fn a_block_says_where_the_device_will_be() {
    // {0: 1, 1: "A-1", 5: 32, 7: 0}
    let bytes = block("a400010163412d310518200700");
    let name = BlockName::read(&bytes).unwrap();
    assert_eq!((name.serial, name.node), ("A-1", 32));
}

#[test]
fn a_block_that_cannot_be_read_is_refused_before_a_device_is_bothered() {
    for bad in [
        "",
        "a0",                       // nothing in it
        "a2000101",                 // truncated
        "a300010163412d310518f1",   // the tester's own address
        "a300010163412d3105190100", // no byte
        "a3000101600510",           // an empty serial
        "a30001016341ff310510",     // no text
        "a30001016341231f",         // no key
        "a30001016341 2d31051020",  // trailing
        "a3016341 2d3100010510",    // unsorted
    ] {
        let bytes = block(&bad.replace(' ', ""));
        assert!(BlockName::read(&bytes).is_err(), "{bad}");
    }
}
