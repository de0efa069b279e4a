//! A guest that reports anything but three whole updates is not believed.

use serde_json::json;

use super::*;

fn releases() -> [Release; 2] {
    ["1.0.0", "2.0.0"].map(|version| Release {
        version: version.to_owned(),
        envelope: format!("{version}.suit"),
        image: format!("{version}.bin"),
        image_bytes: 8000,
    })
}

fn good() -> Vec<Value> {
    let up = json!({"kernel": "6.1.0-56-amd64", "seconds": 4.5});
    let mut lines = vec![json!({"case": "guest", "step": "up", "exit": 0, "answer": up})];
    for case in CASES {
        let frames = if case == "vcan-fd" { 300 } else { 2500 };
        let line =
            |step: &str, answer: Value| json!({"case": case, "step": step, "exit": 0, "answer": answer});
        lines.push(line("provision", json!({"serial": "DEMO-0001"})));
        lines.push(line("1.0.0", json!({"result": "confirmed"})));
        lines.push(line("2.0.0", json!({
            "result": "confirmed", "before": {"version": "1.0.0"}, "after": {"version": "2.0.0"}, "seconds": 1.5
        })));
        lines.push(line("info", json!({"version": "2.0.0"})));
        lines.push(line("traffic", json!({"interface": case, "frames": frames, "bytes": 17000})));
    }
    for (module, count) in TESTS {
        lines.push(json!({"case": "can-bus", "step": module, "exit": 0, "answer": {"passed": count}}));
    }
    lines.push(json!({"case": "guest", "step": "done", "exit": 0, "answer": null}));
    lines
}

fn judged(lines: &[Value]) -> Result<Vec<Case>> {
    let reports: Vec<Report> =
        lines.iter().map(|line| serde_json::from_value(line.clone()).expect("well-formed")).collect();
    judge(&reports, &releases())
}

#[test]
fn three_whole_updates_are_good() {
    let cases = judged(&good()).expect("good");
    assert_eq!(cases.iter().map(|case| case.case.as_str()).collect::<Vec<_>>(), CASES);
    assert!(cases.iter().all(|case| case.before == "1.0.0" && case.after == "2.0.0"));
}

#[test]
fn every_missing_report_is_noticed() {
    let whole = good();
    for left_out in 0..whole.len() {
        let mut lines = whole.clone();
        let line = lines.remove(left_out);
        // The provisioning itself is proved by what follows it.
        let needed = line["step"] != "provision";
        assert_eq!(judged(&lines).is_err(), needed, "without {line}");
    }
}

#[test]
fn every_failed_command_is_noticed() {
    for failed in 0..good().len() {
        let mut lines = good();
        lines[failed]["exit"] = json!(7);
        assert!(judged(&lines).is_err());
    }
}

#[test]
fn every_wrong_value_is_noticed() {
    let wrong = [
        ("1.0.0", "/answer/result", json!("reverted")),
        ("2.0.0", "/answer/result", json!("trial")),
        ("2.0.0", "/answer/before/version", json!("2.0.0")),
        ("2.0.0", "/answer/after/version", json!("1.0.0")),
        ("info", "/answer/version", json!("1.0.0")),
        ("traffic", "/answer/bytes", json!(15000)),
        // Too few frames for classic CAN, too many for FD.
        ("traffic", "/answer/frames", json!(1999)),
    ];
    for (step, pointer, value) in wrong {
        let mut lines = good();
        let line = lines.iter_mut().find(|line| line["step"] == step).expect("there");
        *line.pointer_mut(pointer).expect("there") = value;
        assert!(judged(&lines).is_err(), "{step} {pointer}");
    }
    let mut lines = good();
    let fd = lines.iter_mut().find(|line| line["case"] == "vcan-fd" && line["step"] == "traffic");
    fd.expect("there")["answer"]["frames"] = json!(2500);
    assert!(judged(&lines).is_err());
}

#[test]
fn a_test_that_did_not_run_is_noticed() {
    let mut lines = good();
    let tests = lines.iter_mut().find(|line| line["step"] == "slow").expect("there");
    tests["answer"]["passed"] = json!(2);
    let error = judged(&lines).expect_err("bad").to_string();
    assert_eq!(error, "3 tests of can-bus slow had to pass: {\"passed\":2}");
}
