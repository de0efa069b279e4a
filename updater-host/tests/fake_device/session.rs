//! A device that lets nobody into a programming session is left as it is.

use update_protocol::uds::Nrc;

use super::{Asked, Bench};

#[test]
fn a_device_that_lets_nobody_in_is_not_reset() {
    let bench = Bench::new();
    let device = bench.device(|script| {
        script.refuses_session = Some(Nrc::CONDITIONS_NOT_CORRECT);
        // What it remembers of an older update has nothing to do with it.
        script.old_reason = 0x030f;
    });
    for ended in [bench.update(&[]), bench.run(&["revocations", "list.cwt"])] {
        ended.is_error("nrc-22", 7);
        let message = ended.last["error"]["message"].as_str().unwrap();
        assert!(message.contains("a programming session"), "{message}");
    }
    assert_eq!(device.asked(), [Asked::Programming, Asked::Programming]);
}

#[test]
fn a_refusal_of_the_session_is_not_tried_again_and_has_words() {
    for (nrc, code, words) in [
        (Nrc::SUB_FUNCTION_NOT_IN_SESSION, "nrc-7e", "not supported in the active session"),
        (Nrc::REQUEST_SEQUENCE_ERROR, "nrc-24", "sequence"),
        (Nrc(0x92), "nrc-92", "voltage too high"),
        (Nrc(0x93), "nrc-93", "voltage too low"),
    ] {
        let bench = Bench::new();
        let device = bench.device(|script| script.refuses_session = Some(nrc));
        let ended = bench.update(&[]);
        ended.is_error(code, 7);
        // The words of the protocol are for support; the message has the technician's.
        let detail = ended.last["error"]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
        assert_eq!(device.asked(), [Asked::Programming], "{code}");
    }
}

#[cfg(all(unix, feature = "http"))]
mod with_a_server {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};

    use super::super::interrupt::interrupt;
    use super::super::{After, Ended};
    use super::*;

    /// A server that has no lists and never ends an answer to a report; its URL, and word of every report.
    fn held_up() -> (String, Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (reported, reports) = channel();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut stream in listener.incoming().map(Result::unwrap) {
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                if line.starts_with("GET") {
                    let code = if line.contains("/successions/") {
                        "domain-unknown"
                    } else {
                        "revocation-list-unknown"
                    };
                    let problem = format!(r#"{{"code":"{code}"}}"#);
                    let head = "HTTP/1.1 404 X\r\nConnection: close\r\nContent-Length:";
                    let _ = write!(stream, "{head} {}\r\n\r\n{problem}", problem.len());
                } else {
                    held.push(stream);
                    let _ = reported.send(());
                }
            }
        });
        (url, reports)
    }

    /// An update with these options, ended by Ctrl-C when its server holds up the first report.
    fn stopped_at_a_report(bench: &Bench, options: &[&str]) -> Ended {
        bench.made.write("token", b"a-token-for-tests");
        let (url, reports) = held_up();
        let mut update = vec!["--json", "update", "--release", "release.suit", "--image", "image.bin"];
        update.extend(["--anchor", "root.cose", "--yes", "--server", &url, "--token-file", "token"]);
        update.extend(options);
        let child = bench.command(&update).spawn().unwrap();
        reports.recv().unwrap();
        interrupt(&child);
        let ended = Ended::of(&child.wait_with_output().unwrap());
        ended.is_error("interrupted", 3);
        ended
    }

    #[test]
    fn a_server_that_holds_up_a_report_holds_up_nobody_who_stops() {
        let bench = Bench::new();
        let device = bench.device(|script| script.after = After::StaysOnTrial);
        let ended = stopped_at_a_report(&bench, &["--data-dir", "data"]);
        assert_eq!(ended.last["error"]["message"], "interrupted before anything was sent");
        // Nor was the device bothered.
        assert_eq!(device.asked(), []);
        // What was not delivered is kept, and says of when it is: it may be told later than newer things.
        let kept: Vec<serde_json::Value> = std::fs::read_dir(bench.made.folder().join("data/queue"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
            .collect();
        let registration = kept.iter().find_map(|kept| kept["report"].get("device")).unwrap();
        assert!(registration["at"].as_u64().is_some_and(|at| at > 0), "{registration}");
        // Which manifest runs, not only its number.
        assert_eq!(registration["manifest_digest"], "04".repeat(32), "{registration}");
        assert!(registration.get("release_kid").is_none(), "{registration}");
    }

    /// Whatever keeps them from the server: here it is a person who does not wait.
    #[test]
    fn reports_that_end_with_the_run_are_counted() {
        let bench = Bench::new();
        let _device = bench.device(|script| script.after = After::StaysOnTrial);
        let ended = stopped_at_a_report(&bench, &["--no-cache"]);
        assert!(
            ended.stdout.contains(r#""code":"report-lost","message":"2 reports are lost"#),
            "{}",
            ended.stdout
        );
    }

    #[test]
    fn a_token_in_the_clear_is_told_before_it_travels() {
        let bench = Bench::new();
        bench.made.write("token", b"a-token-for-tests");
        let ended = bench.update(&["--server", "http://192.0.2.1", "--token-file", "token"]);
        ended.is_error("no-device", 3);
        assert!(ended.stdout.contains("token-exposed"), "{}", ended.stdout);
    }
}
