//! Every state against every kind of request, as one table. A change of behaviour is a change of `table.txt`.

use super::*;

const STATES: [&str; 7] =
    ["default", "extended", "programming", "opened", "begun", "complete", "handing-over"];

fn in_state(state: &str) -> Rig {
    let mut rig = match state {
        "default" | "handing-over" => Rig::new(),
        "extended" => {
            let mut rig = Rig::new();
            rig.ask(&[0x10, 0x03]);
            rig
        }
        "programming" => Rig::programming(),
        _ => Rig::downloading(4),
    };
    match state {
        "begun" => assert_eq!(rig.ask(&[0x36, 1, 1, 2]), [[0x76, 1, 0, 0, 0, 2]]),
        "complete" => assert_eq!(rig.ask(&[0x36, 1, 1, 2, 3, 4]), [[0x76, 1, 0, 0, 0, 4]]),
        "handing-over" => rig.handler.hand_over = true,
        _ => {}
    }
    rig.calls();
    rig
}

const REQUESTS: [(&str, &[u8]); 31] = [
    ("10 01", &[0x10, 0x01]),
    ("10 02", &[0x10, 0x02]),
    ("10 83", &[0x10, 0x83]),
    ("10 04", &[0x10, 0x04]),
    ("10", &[0x10]),
    ("10 02 00", &[0x10, 0x02, 0x00]),
    ("11 01", &[0x11, 0x01]),
    ("11 03", &[0x11, 0x03]),
    ("11 01 00", &[0x11, 0x01, 0x00]),
    ("22 F186", &[0x22, 0xF1, 0x86]),
    ("22 1234", &[0x22, 0x12, 0x34]),
    ("22 F1", &[0x22, 0xF1]),
    ("27 01", &[0x27, 0x01]),
    ("31 01 F001", &[0x31, 0x01, 0xF0, 0x01]),
    ("31 01 1234", &[0x31, 0x01, 0x12, 0x34]),
    ("31 03 F001", &[0x31, 0x03, 0xF0, 0x01]),
    ("31 01 F0", &[0x31, 0x01, 0xF0]),
    ("34 0+4", &[0x34, 0, 0x44, 0, 0, 0, 0, 0, 0, 0, 4]),
    ("34 0+0", &[0x34, 0, 0x44, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("34 00 00", &[0x34, 0, 0x00, 0, 0, 0, 0, 0, 0, 0, 4]),
    ("34 short", &[0x34, 0, 0x44, 0, 0, 0]),
    ("36 00 +1", &[0x36, 0, 9]),
    ("36 01 +1", &[0x36, 1, 9]),
    ("36 01 +5", &[0x36, 1, 9, 9, 9, 9, 9]),
    ("36 02 +1", &[0x36, 2, 9]),
    ("36 02 +3", &[0x36, 2, 9, 9, 9]),
    ("36 01", &[0x36, 1]),
    ("37", &[0x37]),
    ("37 00", &[0x37, 0]),
    ("3E 00", &[0x3E, 0x00]),
    ("3E 80", &[0x3E, 0x80]),
];

#[test]
fn state_by_request() {
    let mut found = String::new();
    for state in STATES {
        writeln!(found, "[{state}]").unwrap();
        for (name, request) in REQUESTS {
            let mut rig = in_state(state);
            let answers = rig.ask(request);
            let answers: Vec<String> = answers
                .iter()
                .map(|answer| {
                    answer.iter().fold(String::new(), |text, byte| std::format!("{text}{byte:02X}"))
                })
                .collect();
            let mut after = std::format!("{:?}", rig.server.session()).to_lowercase();
            if rig.server.is_downloading() {
                after.push_str(" open");
            }
            if rig.events.contains(&Event::Reset) {
                after.push_str(" reset");
            }
            let calls = rig.calls().join(", ");
            let answers = if answers.is_empty() { "-".to_string() } else { answers.join(" ") };
            writeln!(
                found,
                "{}",
                std::format!("{name:<10} | {answers:<22} | {after:<17} | {calls}").trim_end()
            )
            .unwrap();
        }
    }
    if found != include_str!("table.txt") {
        let path = std::env::temp_dir().join("uds-server-table.txt");
        std::fs::write(&path, &found).unwrap();
        panic!("the table has changed: compare src/uds/server/tests/table.txt with {}", path.display());
    }
}

/// The order of NRC checks: with several faults in one request, the first of the standard's order is named.
#[test]
fn order_of_negative_responses() {
    for (state, request, code) in [
        ("default", &[0x27, 0xFF, 0xFF][..], 0x11),
        ("default", &[0x34], 0x7F),                   // session before length
        ("default", &[0x31, 0xFF, 0xFF, 0xFF], 0x7F), // session before sub-function
        ("programming", &[0x31, 0x02], 0x13),         // shortest length before sub-function
        ("programming", &[0x10, 0x05, 0x00], 0x12),   // sub-function before exact length
        ("programming", &[0x11, 0x01, 0x00], 0x13),
        ("programming", &[0x34, 0x10, 0x44, 0, 0], 0x31), // format before exact length
        ("programming", &[0x36, 9], 0x13),                // length before sequence
        ("programming", &[0x36, 9, 9], 0x24),             // sequence before counter
        ("begun", &[0x36, 9, 1, 2, 3, 4, 5], 0x73),       // counter before size
        ("programming", &[0x37, 0], 0x13),
    ] {
        assert_eq!(in_state(state).ask(request), nrc(request[0], code), "{state} {request:02X?}");
    }
}
