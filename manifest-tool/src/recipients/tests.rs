use std::os::unix::fs::PermissionsExt as _;

use super::{is_recipients, read_recipients};
use crate::error::Error;

const KEY: &str = "000102030405060708090a0b0c0d0e0f";
const OTHER: &str = "101112131415161718191a1b1c1d1e1f";

/// Serials, kids and keys; or the line of the fault, and what is said of it.
/// Serial, kid and key of each line.
type Rows = Vec<(String, String, String)>;

fn read(text: &str) -> Result<Rows, (u64, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipients.csv");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    match read_recipients(&path) {
        Ok(devices) => Ok(devices
            .iter()
            .map(|device| {
                let key = hex::encode(&device.key.bytes);
                (device.serial.to_string(), hex::encode(device.key.kid.0), key)
            })
            .collect()),
        Err(Error::DevicesFile { line, fault, .. }) => Err((line, fault.to_string())),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_file_of_recipients_is_csv_with_keys() {
    let row = |serial: &str, kid: &str, key: &str| (serial.to_owned(), kid.to_owned(), key.to_owned());
    let text = format!(
        "serial,kid,key\r\n\r\nA-1,0011223344556677,{KEY}\r\n\"B,\"\"2\"\"\", 00112233445566ff ,{}",
        OTHER.to_uppercase()
    );
    let expected = [row("A-1", "0011223344556677", KEY), row("B,\"2\"", "00112233445566ff", OTHER)];
    for text in [text.clone(), format!("\u{feff}{text}\n"), text.replace("\r\n", "\n")] {
        assert_eq!(read(&text).unwrap(), expected, "{text}");
        assert!(is_recipients(text.as_bytes()));
    }
    assert_eq!(read(&format!("serial,kid,key\n'=1+1,0011223344556677,{KEY}\n")).unwrap()[0].0, "=1+1");
}

#[test]
fn a_line_that_gives_no_recipient_is_named_and_its_key_is_not() {
    let good = format!("A,0011223344556677,{KEY}");
    for (text, line, says) in [
        (String::new(), 1, "header"),
        (format!("{good}\n"), 1, "header"),
        (format!("serial,key,kid\nA,{KEY},0011223344556677\n"), 1, "header"),
        (format!("serial,kid,key,note\n{good},x\n"), 1, "header"),
        ("serial,kid,key\n\n".to_owned(), 1, "no device"),
        (format!("serial,kid,key\n{good},x\n"), 2, "3 values"),
        (format!("serial,kid,key\n{good},x,y,z\n"), 2, "3 values"),
        (format!("serial,kid,key\n\n\nA,{KEY}\n"), 4, "3 values"),
        (format!("serial,kid,key\n\"{good}\n"), 2, "3 values"),
        (format!("serial,kid,key\n,0011223344556677,{KEY}\n"), 2, "serial"),
        (format!("serial,kid,key\n\u{fc},0011223344556677,{KEY}\n"), 2, "serial"),
        // Keys in the other columns: one that is too long for a serial, one in the place of the kid.
        (format!("serial,kid,key\n{KEY}{OTHER},0011223344556677,A\n"), 2, "serial"),
        (format!("serial,kid,key\nA,{KEY},0011223344556677\n"), 2, "kid"),
        (format!("serial,kid,key\nA,00112233445566,{KEY}\n"), 2, "kid"),
        (format!("serial,kid,key\nA,1.1E+15,{KEY}\n"), 2, "kid"),
        (format!("serial,kid,key\n{good}00\n"), 2, "key"),
        (format!("serial,kid,key\nA,0011223344556677,{}\n", &KEY[..30]), 2, "key"),
        (format!("serial,kid,key\nA,0011223344556677,{}zz\n", &KEY[..30]), 2, "key"),
        (format!("serial,kid,key\nA,0011223344556677,{}\n", "0".repeat(32)), 2, "zero"),
        (
            format!("serial,kid,key\n{good}\na,ffffffffffffffff,{OTHER}\n"),
            3,
            "the serial a is already that of line 2",
        ),
        (
            format!("serial,kid,key\n{good}\nB,0011223344556677,{OTHER}\n"),
            3,
            "the kid 0011223344556677 is already",
        ),
        (format!("serial,kid,key\n{good}\nB,ffffffffffffffff,{KEY}\n"), 3, "its key is that of line 2"),
    ] {
        let (found, said) = read(&text).unwrap_err();
        assert!(found == line && said.contains(says), "{text}: {found} {said}");
        assert!(!said.contains(&KEY[..8]) && !said.contains(&OTHER[..8]), "{said}");
    }
}
