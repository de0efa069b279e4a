//! A large firmware file is read within a bound of memory.

use std::process::{Command, Stdio};

use super::workshop::{CLASS, VENDOR, Workshop, finish, firmware};

/// Length of the text files, bytes.
const LEN: usize = 64 << 20;
/// Memory that the program may take, KiB: `RLIMIT_DATA` counts what it allocates.
const LIMIT: usize = 200 << 10;
/// Data bytes of a record.
const RECORD: usize = 16;
const ADDRESS: usize = 0x0800_0000;

/// A text of data records, each after its `head`; `check` makes the checksum of a sum of bytes.
fn text(start: &str, end: &str, head: impl Fn(usize) -> Vec<u8>, check: impl Fn(u8) -> u8) -> String {
    let firmware = firmware();
    let data: Vec<(String, u8)> = (0..256)
        .map(|index| &firmware[index * RECORD..][..RECORD])
        .map(|data| (hex::encode_upper(data), data.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))))
        .collect();
    let mut text = String::with_capacity(LEN + 100);
    let mut line = |start: &str, head: &[u8], data: &(String, u8)| {
        let sum = head.iter().fold(data.1, |sum, byte| sum.wrapping_add(*byte));
        text += start;
        text += &hex::encode_upper(head);
        text += &data.0;
        text += &hex::encode_upper([check(sum)]);
        text += "\n";
        text.len()
    };
    for index in 0.. {
        let address = ADDRESS + index * RECORD;
        if start == ":" && address & 0xffff == 0 {
            let [.., upper, lower, _, _] = address.to_be_bytes();
            line(start, &[2, 0, 0, 4, upper, lower], &(String::new(), 0));
        }
        if line(start, &head(address), &data[index % data.len()]) >= LEN {
            break;
        }
    }
    text + end
}

fn intel_hex() -> String {
    let head = |address: usize| {
        let [.., upper, lower] = address.to_be_bytes();
        vec![16, upper, lower, 0]
    };
    text(":", ":00000001FF\n", head, u8::wrapping_neg)
}

fn s_records() -> String {
    let head = |address: usize| [&[16 + 5], &address.to_be_bytes()[4..]].concat();
    text("S3", "S70508000000F2\n", head, |sum| !sum)
}

/// Row "64 MiB HEX within memory": 200 MiB, so the text and the image once each and not another time.
#[test]
fn a_64_mib_hex_file_is_read_within_200_mib() {
    let workshop = Workshop::new();
    for (name, text) in [("app.hex", intel_hex()), ("app.srec", s_records())] {
        workshop.write(name, text.as_bytes());
        let tool = workshop.command(&[]);
        let line = format!(
            "ulimit -d {LIMIT} && exec \"$0\" --json create --image {name} --vendor {VENDOR} --class {CLASS} \
             --sequence 1 --version 1 --out {name}.suit --image-out {name}.bin"
        );
        let mut command = Command::new("sh");
        command.current_dir(workshop.path(".")).arg("-c").arg(line).arg(tool.get_program());
        command.stdin(Stdio::null());
        let run = finish(command);
        assert_eq!(run.exit, 0, "{name}: {run:?}");
        let records = text.lines().filter(|line| line.len() > 40).count();
        assert_eq!(run.object()["image"]["size"], records * RECORD, "{name}");
        assert_eq!(workshop.read(&format!("{name}.bin"))[..4096], firmware()[..4096]);
    }
}
