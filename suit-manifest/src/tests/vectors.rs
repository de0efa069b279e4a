use super::support::*;
#[test]
fn print() {
    let _x = hex::encode(release());
    std::eprintln!("{_x}");
}
