//! Files of 64 MiB that are made to exhaust whoever looks at them: each command answers within a bound of memory, and with
//! a bounded answer.

use std::process::{Command, Stdio};

use suit_manifest::MAX_INTEGRATED_LEN;
use suit_manifest::author::integrate;

use super::members::{rebuilt, wrap};
use super::workshop::{Run, Workshop, finish, split};

/// Memory that the program may take, KiB: `RLIMIT_DATA` counts what it allocates. The files of a `diff` are 128 MiB, and
/// what was integrated in them is taken out of a copy.
const LIMIT: usize = 700 << 10;
/// Bytes of an answer.
const MAX_ANSWER: usize = 12 << 20;
const NULL: u8 = 0xf6;
const ARRAY: u8 = 0x9a;

fn bounded(workshop: &Workshop, line: &str) -> Run {
    let mut command = Command::new("sh");
    let limited = format!("ulimit -d {LIMIT} && exec \"$0\" {line}");
    command.current_dir(workshop.path(".")).arg("-c").arg(limited).arg(env!("CARGO_BIN_EXE_manifest-tool"));
    command.stdin(Stdio::null());
    let run = finish(command);
    let answer = run.stdout.len() + run.stderr.len();
    assert!(answer <= MAX_ANSWER, "{line}: {answer} bytes");
    run
}

/// `[null, null, ...]`
fn nulls(len: usize) -> Vec<u8> {
    let mut item = [&[ARRAY][..], &u32::try_from(len - 5).unwrap().to_be_bytes()].concat();
    item.resize(len, NULL);
    item
}

/// Neither an envelope nor CBOR that is: in the place of its members; in an image; in a file that is no SUIT.
#[test]
fn suit46_a_file_of_small_items_exhausts_no_command() {
    let workshop = Workshop::with_release();
    let items = nulls(MAX_INTEGRATED_LEN);
    let torso = [&[0xd8, 0x6b][..], &items].concat();
    workshop.write("torso.suit", &torso);
    let mut other = torso;
    *other.last_mut().unwrap() = 0xf5;
    workshop.write("other.suit", &other);
    let release = workshop.read("signed.suit");
    workshop.write("image.suit", &integrate(&release, &[("#image", &items)]).unwrap());
    workshop.write("items.cbor", &items);

    let shown = bounded(&workshop, "inspect torso.suit");
    assert!(shown.exit == 0 && shown.stdout.lines().count() < 17_000, "{}", shown.stdout.lines().count());
    let last = shown.stdout.lines().last().unwrap();
    assert!(last.starts_with("  NOT shown as a whole: the file has more than 16384 elements"), "{last}");
    let shown = bounded(&workshop, "--json inspect torso.suit");
    let parts = shown.object()["contents"]["parts"].as_array().unwrap().len();
    assert!(shown.exit == 0 && parts < 17_000, "{parts}");
    for file in ["torso.suit", "image.suit", "items.cbor"] {
        let refused = bounded(&workshop, &format!("--json inspect --edn {file}"));
        assert_eq!(refused.refusal(), ("notation-too-long".to_owned(), 5), "{file}");
    }
    assert_eq!(bounded(&workshop, "--json inspect items.cbor").refusal(), ("file-unknown".to_owned(), 5));
    let message =
        bounded(&workshop, "--json inspect --edn torso.suit").object()["error"]["message"].to_string();
    assert!(message.contains("more than 1048576 items"), "{message}");
    let differing = bounded(&workshop, "--json diff torso.suit other.suit");
    assert_eq!(differing.exit, 6);
    // What differs is beyond what is shown of either: the digest of the file tells.
    let elements = differing.object()["elements"].as_array().unwrap().clone();
    assert_eq!(elements.len(), 1, "{elements:?}");
    assert!(elements[0]["what"].as_str().unwrap().ends_with("NOT shown as a whole"), "{elements:?}");
    let found = bounded(&workshop, "lint torso.suit");
    assert!(found.exit == 6 && found.stdout.starts_with("not-suit: "), "{found:?}");

    let shown = bounded(&workshop, "inspect image.suit");
    assert!(shown.exit == 0 && shown.stdout.contains("\"#image\": 67108864 bytes, integrated"), "{shown:?}");
    assert_eq!(bounded(&workshop, "diff image.suit signed.suit").exit, 6);
    let found = bounded(&workshop, "lint image.suit");
    assert_eq!(
        found.stdout.lines().map(|line| line.split(':').next().unwrap()).collect::<Vec<_>>(),
        ["integrated", "image-differs"]
    );
}

/// An image is shown to its last byte while its notation has room, and the refusal names the limit.
#[test]
fn suit46_an_image_beyond_the_notation_is_refused_by_name() {
    let workshop = Workshop::with_release();
    let release = workshop.read("signed.suit");
    workshop.write("bundle.suit", &integrate(&release, &[("#image", &vec![0; MAX_INTEGRATED_LEN])]).unwrap());
    let refused = bounded(&workshop, "--json inspect --edn bundle.suit");
    assert_eq!(refused.refusal(), ("notation-too-long".into(), 5));
    let message = refused.object()["error"]["message"].to_string();
    assert!(message.contains("its notation has more than 33554432 bytes"), "{message}");
    workshop.write("bundle.suit", &integrate(&release, &[("#image", &vec![0; 4 << 20])]).unwrap());
    let shown = bounded(&workshop, "inspect --edn bundle.suit");
    assert!(shown.exit == 0 && shown.stdout.contains(&format!("h'{}'", "00".repeat(4 << 20))));
}

/// Two outlines that are as large as they can be, with nothing in common, or with everything moved.
#[test]
fn suit46_a_diff_of_large_outlines_is_bounded() {
    let workshop = Workshop::new();
    let unsigned = suit_manifest::author::create(&super::lint::update()).unwrap();
    let with = |commands: &[u8], count: u8| {
        let sequence = [&[0x98, 2 * count][..], &commands.repeat(usize::from(count))].concat();
        // run-sequence 64 times, each with 64 commands.
        let called = [&[0x18, 32][..], &wrap(&sequence)].concat();
        rebuilt(&unsigned, |manifest, _| {
            let all = [&[0x98, 128][..], &called.repeat(64)].concat();
            manifest.insert(20, wrap(&all));
        })
    };
    workshop.write("old.suit", &with(&[3, 15], 64));
    workshop.write("new.suit", &with(&[14, 1], 64));
    workshop.write("moved.suit", &with(&[3, 15], 63));
    for file in ["new.suit", "moved.suit"] {
        let run = bounded(&workshop, &format!("--json diff old.suit {file}"));
        let report = run.object();
        let (shown, left) =
            (report["elements"].as_array().unwrap().len(), report["left_out"].as_u64().unwrap());
        let all = shown as u64 + left;
        assert!(run.exit == 6 && shown <= 1000, "{file}: {shown}");
        match file {
            "new.suit" => assert!(shown == 1000 && all >= 64 * 64, "{all}"),
            // One command of each sequence, and the digest of the manifest.
            _ => assert!((65..1000).contains(&all), "{all}"),
        }
        let words = bounded(&workshop, &format!("diff old.suit {file}"));
        assert_eq!(words.stdout.ends_with(&format!("and {left} more elements that differ\n")), left > 0);
    }
}

/// As many findings as commands, and as many images as fit.
#[test]
fn suit46_lint_is_bounded() {
    let workshop = Workshop::with_release();
    let unsigned = workshop.read("unsigned.suit");
    // Custom command -300, and each of them is unsupported.
    let custom = [0x39, 0x01, 0x2b, 0];
    let called = [&[0x18, 32][..], &wrap(&[&[0x98, 128][..], &custom.repeat(64)].concat())].concat();
    let many = rebuilt(&unsigned, |manifest, _| {
        manifest.insert(20, wrap(&[&[0x98, 128][..], &called.repeat(64)].concat()));
    });
    workshop.write("many.suit", &many);
    let found = bounded(&workshop, "--json lint many.suit").object();
    assert_eq!(found["findings"].as_array().unwrap().len(), 1000);
    assert!(found["left_out"].as_u64().unwrap() > 3000, "{}", found["left_out"]);
    let words = bounded(&workshop, "lint many.suit").stdout;
    assert!(
        words.lines().count() == 1001 && words.ends_with(" more findings\n"),
        "{}",
        words.lines().count()
    );
    // Images: the release is read once, however many they are.
    let uris: Vec<String> = (0..4000).map(|index| format!("#{index:04}")).collect();
    let members: Vec<(&str, &[u8])> = uris.iter().map(|uri| (uri.as_str(), &b"image"[..])).collect();
    workshop.write("images.suit", &integrate(&workshop.read("signed.suit"), &members).unwrap());
    let found = bounded(&workshop, "--json lint images.suit").object();
    assert_eq!((found["findings"].as_array().unwrap().len(), &found["left_out"]), (1000, &7000.into()));
    assert_eq!(
        workshop.run(&split("inspect images.suit")).stdout.matches("5 bytes, integrated").count(),
        4000
    );
}
